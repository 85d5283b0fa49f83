/* Proves: each oracle of check_history.c passes a good history that it judged, and is the first to
 * fire on
 * a bad one. */
#include "tests/support/check_story.h"
#include "tests/support/support.h"

#include "client/base/assert.h"

#include <stdio.h>

/* Values 5 and 6 of client 201 stand at offsets 0 and 1, where 201 has read them. */
static const char setup[] =
    "201 client.send 7 0 5 1 0\n201 client.send 7 0 6 1 0\n"
    "201 client.acked 7 0 5 0 9\n201 client.acked 7 0 6 1 9\n"
    "201 client.position 7 0 0 1\n201 client.read 7 0 0 5 1\n201 client.read 7 0 1 6 1\n";

#define SEND(v)       "201 client.send 7 0 " v " 1 0\n"
#define ACKED(v, at)  "201 client.acked 7 0 " v " " at " 9\n"
#define READ(at, v)   "201 client.read 7 0 " at " " v " 1\n"
#define OTHER(at, v)  "202 client.read 7 0 " at " " v " 1\n"
#define OTHER_AT(pos) "202 client.position 7 0 " pos " 2\n"
#define COMPACTED(to) "1 log.swapped 7 0 0 " to " 100 50\n"
#define END           "phase 3\nfinish\n"

/* Values 7 and 8 with bit 62. */
#define TOMBSTONE_7 "4611686018427387911"
#define TOMBSTONE_8 "4611686018427387912"
/* The newest of its key: a tombstone. */
#define GONE_AT(at)                             \
    "201 client.send 7 0 " TOMBSTONE_7 " 9 0\n" \
    "201 client.acked 7 0 " TOMBSTONE_7 " " at " 9\n" COMPACTED("3")
/* A value of client 63, which writes transactions, and a tombstone of it. */
#define TXN           "270582939655"
#define TXN_TOMBSTONE "4611686289010327559"

static const struct check_case cases[] = {
    {"R34", SEND("7") "201 client.failed 7 0 7 7 0\n" READ("2", "7") OTHER_AT("2") OTHER("2", "7"),
     SEND("7") "201 client.failed 7 0 7 7 0\n" READ("2", "7") READ("3", "7"), false},
    {"S24", COMPACTED("2") END,
     "201 client.send 7 0 7 9 0\n" ACKED("7", "2") COMPACTED(
         "3") "201 client.send 7 0 8 8 0\n" ACKED("8", "3") OTHER_AT("3") OTHER("3", "8") END,
     false},
    {"S25", GONE_AT("2") OTHER_AT("2") OTHER("2", TOMBSTONE_7) END,
     GONE_AT("2") OTHER_AT("3") SEND("8") ACKED("8", "3") OTHER("3", "8") END, false},
    {"C1", OTHER_AT("0") OTHER("0", "5"), OTHER_AT("0") OTHER("0", "6"), false},
    {"C2", OTHER_AT("0") OTHER("0", "5"), READ("2", "5"), false},
    {"C3", END,
     SEND("7") ACKED("7", "2") SEND("8") ACKED("8", "3") OTHER_AT("3") OTHER("3", "8") END, false},
    {"C4", SEND("7") READ("2", "7"), READ("2", "99"), false},
    {"C5", OTHER_AT("0") OTHER("0", "5") OTHER("1", "6"), OTHER_AT("0") OTHER("1", "6"), false},
    {"C6", SEND("7") READ("2", "7"), READ("0", "5"), false},
    {"C7", SEND("7") OTHER_AT("2") ACKED("7", "2") OTHER("2", "7") END,
     SEND("7") ACKED("7", "2") END, false},
    {"C8", SEND("7") SEND("8") ACKED("7", "2") ACKED("8", "3"),
     SEND("7") SEND("8") ACKED("8", "2") ACKED("7", "3"), false},
    {"C9", SEND("7") ACKED("7", "2") READ("2", "7"),
     SEND("7") SEND("8") ACKED("7", "3") READ("2", "7") READ("3", "8"), false},
    {"T1", SEND(TXN) ACKED(TXN, "2") "201 client.decided 7 0 " TXN " 1\n" READ("2", TXN),
     SEND(TXN) ACKED(TXN, "2") "201 client.decided 7 0 " TXN " 0\n" READ("2", TXN), false},
};

static void each_oracle_of_check_history_fires_first_on_its_bad_history(void **state)
{
    (void)state;
    check_story_prove("check_history.c", setup, cases, COUNT_OF(cases));
}

/* A retry without idempotence leaves two copies: neither offset is a lie. */
static void a_value_may_stand_twice_when_the_producer_is_not_idempotent(void **state)
{
    struct check_config config;
    struct check *check;

    (void)state;
    check_config_init(&config);
    config.idempotent = false;
    check = check_create(&config);
    check_story_tell(check, setup);
    check_story_tell(check, SEND("7") ACKED("7", "3") READ("2", "7") READ("3", "7"));
    if (check_violation(check) != NULL) fail_msg("%s", check_violation(check)->text);
    check_destroy(check);
}

static const char *convicted_with(const char *story, uint64_t transactional,
                                  int64_t delete_retention_ns)
{
    static char id[8];
    struct check_config config;
    struct check *check;

    check_config_init(&config);
    config.transactional = transactional;
    config.delete_retention_ns = delete_retention_ns;
    check = check_create(&config);
    check_story_tell(check, setup);
    check_story_tell(check, story);
    id[0] = '\0';
    if (check_violation(check) != NULL) {
        (void)snprintf(id, sizeof id, "%s", check_violation(check)->id);
    }
    check_destroy(check);
    return id;
}

static const char *convicted_by(const char *story)
{
    return convicted_with(story, 0, INT64_MAX);
}

static const char *convicted_in_transactions(const char *story)
{
    return convicted_with(story, UINT64_C(1) << 63, INT64_MAX);
}

/* Tombstones may go after 50 ms. */
static const char *convicted_soon(const char *story)
{
    return convicted_with(story, 0, 50000000);
}

#define KEYED(v, at)     "201 client.send 7 0 " v " 9 0\n201 client.acked 7 0 " v " " at " 9\n"
#define ENDED(v, commit) "201 client.decided 7 0 " v " " commit "\n"

/* Readers pass over its tombstones, and no record of its key is older for it. */
static void what_an_aborted_transaction_wrote_decides_nothing(void **state)
{
    (void)state;
    assert_string_equal(
        convicted_in_transactions(KEYED(TXN_TOMBSTONE, "2") ENDED(TXN_TOMBSTONE, "0") SEND("8")
                                      ACKED("8", "3") OTHER_AT("2") OTHER("3", "8")),
        "");
    assert_string_equal(
        convicted_in_transactions(KEYED(TXN_TOMBSTONE, "2") ENDED(TXN_TOMBSTONE, "1") SEND("8")
                                      ACKED("8", "3") OTHER_AT("2") OTHER("3", "8")),
        "C6");
    assert_string_equal(
        convicted_in_transactions(KEYED("7", "2") KEYED(TXN, "3") ENDED(TXN, "1") SEND("8") ACKED(
            "8", "4") COMPACTED("5") OTHER_AT("3") OTHER("3", TXN) OTHER("4", "8") END),
        "");
    assert_string_equal(convicted_in_transactions(KEYED("7", "2") KEYED(TXN, "3") ENDED(TXN, "0")
                                                      SEND("8") ACKED("8", "4") COMPACTED("5")
                                                          OTHER_AT("4") OTHER("4", "8") END),
                        "S24");
}

/* Where an acknowledged value is read elsewhere first, only the offset acknowledged tells. */
static void a_duplicate_is_no_untrue_offset(void **state)
{
    (void)state;
    assert_string_equal(convicted_by(SEND("7") ACKED("7", "3") READ("2", "7")), "");
    assert_string_equal(convicted_by(SEND("7") ACKED("7", "3") READ("2", "7") READ("3", "7")),
                        "C2");
    assert_string_equal(
        convicted_by(SEND("7") SEND("8") READ("2", "7") READ("3", "8") ACKED("7", "3")), "C9");
    assert_string_equal(convicted_by(SEND("7") ACKED("7", "3") READ("2", "7") END), "C9");
}

#define LED_BY(n, isr)                                                                          \
    "101 controller.partition 7 0 " n " 2 1 11 | isr " isr                                      \
    " replicas 1,2,3 elr -\n" STORY_COMMIT n " log.epoch 7 0 2 10\n" n " replica.role 7 0 2 " n \
    " 2 1\n" n " replica.leading 7 0 2 10 10\n" n " log.appended 7 0 10 19 2 502 100\n"
#define BEGINS_AT_10 "3 log.cutting 7 0 0 10 0 1\n3 log.truncated 7 0 0 10 10 1\n"
#define READ_BY(n, at, v, epoch) \
    n " client.position 7 0 " at " 1\n" n " client.read 7 0 " at " " v " " epoch "\n"

/* Value 7 is retried when what held it is deleted. Who was reset to the new beginning has been told
 * of its producer, as who has copied it knows it. */
static void who_began_above_a_value_takes_it_no_more_than_others(void **state)
{
    static const char begin[] = STORY_CLUSTER STORY_DATA SEND("7");

    (void)state;
    CHECK_STORY("C2", begin, READ_BY("201", "2", "7", "1"), BEGINS_AT_10, LED_BY("3", "1,2,3"),
                READ_BY("202", "10", "7", "2"));
    CHECK_STORY("C2", begin, BEGINS_AT_10, LED_BY("3", "1,2,3"), READ_BY("202", "10", "7", "2"),
                READ_BY("201", "2", "7", "1"));
    CHECK_STORY("C2", begin, READ_BY("201", "2", "7", "1"), STORY_FIRST("3"), LED_BY("3", "1,2,3"),
                READ_BY("202", "10", "7", "2"));
    CHECK_STORY(NULL, begin, READ_BY("201", "2", "7", "1"), SEND("8"), BEGINS_AT_10,
                LED_BY("3", "1,2,3"), READ_BY("202", "10", "8", "2"));
}

/* A process may die between the exchange of the files and log.swapped: the open that finishes it
 * says nothing of it. Values 5 and 6 have one key. */
static void a_compaction_is_known_from_where_an_open_would_finish_it(void **state)
{
    static const char began[] = "1 log.swapping 7 0 0 1 100 0\n0 sim.down 1 1 0\n0 sim.up 1 2\n";
    char story[300];

    (void)state;
    assert_string_equal(convicted_by(OTHER_AT("0") OTHER("1", "6")), "C5");
    (void)snprintf(story, sizeof story, "%s%s", began, OTHER_AT("0") OTHER("1", "6") END);
    assert_string_equal(convicted_by(story), "");
    /* Not what stands behind it, nor the newest of a key. */
    (void)snprintf(story, sizeof story, "%s%s", began, OTHER_AT("1") SEND("7") OTHER("2", "7"));
    assert_string_equal(convicted_by(story), "C5");
    (void)snprintf(story, sizeof story, "1 log.swapping 7 0 0 2 100 0\n%s",
                   OTHER_AT("0") "201 client.send 7 0 7 9 0\n" OTHER("2", "7") END);
    assert_string_equal(convicted_by(story), "C6");
}

/* Of unknown outcome, and its time is over: it may have come, and be gone with what it took. */
static void a_tombstone_without_an_answer_may_have_come_and_gone(void **state)
{
#define VALUE       "201 client.send 7 0 7 9 0\n" ACKED("7", "2")
#define TOMBSTONE   "201 client.send 7 0 " TOMBSTONE_8 " 9 0\n"
#define FAILED(yes) "201 client.failed 7 0 " TOMBSTONE_8 " 7 " yes "\n"
#define AFTER       OTHER_AT("2") OTHER("4", "8") END
#define DRAINED     "+100\n" SEND("8") ACKED("8", "4") COMPACTED("4") AFTER
    (void)state;
    assert_string_equal(convicted_soon(VALUE TOMBSTONE FAILED("0") DRAINED), "");
    assert_string_equal(convicted_soon(VALUE TOMBSTONE DRAINED), "");
    assert_string_equal(convicted_by(VALUE TOMBSTONE DRAINED), "C6");
    assert_string_equal(convicted_soon(VALUE TOMBSTONE FAILED("1") DRAINED), "C6");
    assert_string_equal(convicted_soon(TOMBSTONE FAILED("0") VALUE DRAINED), "C6");
    assert_string_equal(convicted_soon(VALUE DRAINED), "C6");
}

/* The newest record of a key is there and read: it takes the place of an acknowledged one before
 * it, whether its producer was told of it or not. */
static void a_tombstone_without_an_answer_takes_the_place_of_the_one_before_it(void **state)
{
#define WITHOUT_ANSWER                          \
    "201 client.send 7 0 " TOMBSTONE_8 " 9 0\n" \
    "201 client.failed 7 0 " TOMBSTONE_8 " 7 0\n"
    (void)state;
    assert_string_equal(
        convicted_by(GONE_AT("2") WITHOUT_ANSWER OTHER_AT("3") OTHER("3", TOMBSTONE_8) END), "");
    /* Nobody has seen it: as far as anybody knows it was never written. */
    assert_string_equal(convicted_by(GONE_AT("2") WITHOUT_ANSWER OTHER_AT("3") SEND("9")
                                         ACKED("9", "3") OTHER("3", "9") END),
                        "S25");
    /* And it is judged as every record is. */
    assert_string_equal(
        convicted_by(WITHOUT_ANSWER OTHER_AT("2") OTHER("2", TOMBSTONE_8) OTHER("3", TOMBSTONE_8)),
        "R34");
    assert_string_equal(convicted_by(OTHER_AT("2") OTHER("2", TOMBSTONE_8)), "C4");
}

/* Values 7 and 8 are each the newest of their keys; a consumer reads both, then a compaction takes
 * the first. */
static void who_read_before_a_compaction_does_not_vouch_for_what_it_left(void **state)
{
#define SEEN_LIVE(v)                                                                              \
    "201 client.send 7 0 " v " 9 0\n" ACKED(v, "2") "201 client.send 7 0 8 8 0\n" ACKED("8", "3") \
        READ("2", v) READ("3", "8") COMPACTED("4") "+100\nphase 2\n"
    (void)state;
    assert_string_equal(
        convicted_by(SEEN_LIVE("7") OTHER_AT("2") OTHER("2", "7") OTHER("3", "8") END),
        "S24"); /* 6, the newest of the other key, was not read again */
    assert_string_equal(convicted_by(SEEN_LIVE("7") OTHER_AT("1") OTHER("1", "6") OTHER("2", "7")
                                         OTHER("3", "8") END),
                        "");
    assert_string_equal(
        convicted_by(SEEN_LIVE("7") OTHER_AT("1") OTHER("1", "6") OTHER("3", "8") END),
        "C6"); /* the gap tells first */
    assert_string_equal(
        convicted_by(SEEN_LIVE(TOMBSTONE_7) OTHER_AT("1") OTHER("1", "6") OTHER("3", "8") END),
        "S25");
    assert_string_equal(convicted_by(SEEN_LIVE(TOMBSTONE_7) OTHER_AT("1") OTHER("1", "6")
                                         OTHER("2", TOMBSTONE_7) OTHER("3", "8") END),
                        "");
}

static void a_tombstone_of_a_transaction_counts_when_it_is_committed(void **state)
{
#define IN_TRANSACTION \
    "201 client.send 7 0 " TXN_TOMBSTONE " 9 0\n201 client.acked 7 0 " TXN_TOMBSTONE " 2 9\n"
#define DECIDED(commit) "201 client.decided 7 0 " TXN_TOMBSTONE " " commit "\n"
    (void)state;
    assert_string_equal(convicted_in_transactions(IN_TRANSACTION DECIDED("0") END), "");
    assert_string_equal(convicted_in_transactions(IN_TRANSACTION DECIDED("1") END), "C7");
    assert_string_equal(convicted_in_transactions(IN_TRANSACTION READ("2", TXN_TOMBSTONE)), "T1");
    assert_string_equal(
        convicted_in_transactions(IN_TRANSACTION DECIDED("1") READ("2", TXN_TOMBSTONE) END), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_may_stand_twice_when_the_producer_is_not_idempotent),
        cmocka_unit_test(what_an_aborted_transaction_wrote_decides_nothing),
        cmocka_unit_test(a_duplicate_is_no_untrue_offset),
        cmocka_unit_test(who_began_above_a_value_takes_it_no_more_than_others),
        cmocka_unit_test(a_compaction_is_known_from_where_an_open_would_finish_it),
        cmocka_unit_test(a_tombstone_without_an_answer_may_have_come_and_gone),
        cmocka_unit_test(a_tombstone_without_an_answer_takes_the_place_of_the_one_before_it),
        cmocka_unit_test(who_read_before_a_compaction_does_not_vouch_for_what_it_left),
        cmocka_unit_test(a_tombstone_of_a_transaction_counts_when_it_is_committed),
        cmocka_unit_test(each_oracle_of_check_history_fires_first_on_its_bad_history),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

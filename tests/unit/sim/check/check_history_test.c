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

/* Value 7 with bit 62, the newest of its key: a tombstone. */
#define GONE_AT(at)                                 \
    "201 client.send 7 0 4611686018427387911 9 0\n" \
    "201 client.acked 7 0 4611686018427387911 " at " 9\n" COMPACTED("3")
/* A value of client 63, which writes transactions. */
#define TXN "270582939655"

static const struct check_case cases[] = {
    {"R34", SEND("7") "201 client.failed 7 0 7 7 0\n" READ("2", "7") OTHER_AT("2") OTHER("2", "7"),
     SEND("7") "201 client.failed 7 0 7 7 0\n" READ("2", "7") READ("3", "7"), false},
    {"S24", COMPACTED("2") END,
     "201 client.send 7 0 7 9 0\n" ACKED("7", "2") COMPACTED(
         "3") "201 client.send 7 0 8 8 0\n" ACKED("8", "3") OTHER_AT("3") OTHER("3", "8") END,
     false},
    {"S25", GONE_AT("2") OTHER_AT("2") OTHER("2", "-2") END,
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

static const char *convicted_by(const char *story)
{
    static char id[8];
    struct check_config config;
    struct check *check;

    check_config_init(&config);
    config.transactional = UINT64_C(1) << 63;
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

/* Value 7 with bit 62, of the client that writes transactions. */
#define TXN_GONE           "4611686289010327559"
#define KEYED(v, at)       "201 client.send 7 0 " v " 9 0\n201 client.acked 7 0 " v " " at " 9\n"
#define DECIDED(v, commit) "201 client.decided 7 0 " v " " commit "\n"

/* Readers pass over its tombstones, and no record of its key is older for it. */
static void what_an_aborted_transaction_wrote_decides_nothing(void **state)
{
    (void)state;
    assert_string_equal(convicted_by(KEYED(TXN_GONE, "2") DECIDED(TXN_GONE, "0") SEND("8")
                                         ACKED("8", "3") OTHER_AT("2") OTHER("3", "8")),
                        "");
    assert_string_equal(convicted_by(KEYED(TXN_GONE, "2") DECIDED(TXN_GONE, "1") SEND("8")
                                         ACKED("8", "3") OTHER_AT("2") OTHER("3", "8")),
                        "C6");
    assert_string_equal(convicted_by(KEYED("7", "2") KEYED(TXN, "3") DECIDED(TXN, "1") SEND("8")
                                         ACKED("8", "4") COMPACTED("5") OTHER_AT("3")
                                             OTHER("3", TXN) OTHER("4", "8") END),
                        "");
    assert_string_equal(convicted_by(KEYED("7", "2") KEYED(TXN, "3") DECIDED(TXN, "0") SEND(
                            "8") ACKED("8", "4") COMPACTED("5") OTHER_AT("4") OTHER("4", "8") END),
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_may_stand_twice_when_the_producer_is_not_idempotent),
        cmocka_unit_test(what_an_aborted_transaction_wrote_decides_nothing),
        cmocka_unit_test(a_duplicate_is_no_untrue_offset),
        cmocka_unit_test(a_compaction_is_known_from_where_an_open_would_finish_it),
        cmocka_unit_test(each_oracle_of_check_history_fires_first_on_its_bad_history),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

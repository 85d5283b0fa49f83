/* Proves: each oracle of check_replica.c passes a good history that it judged, and is the first to
 * fire on
 * a bad one. */
#include "tests/support/check_story.h"
#include "tests/support/support.h"

#include "client/base/assert.h"

static const char setup[] = STORY_CLUSTER STORY_DATA;

#define BOTH "1 log.appended 7 0 10 19 1 501 100\n" STORY_SECOND("2")
#define LED_BY(n, isr) \
    "101 controller.partition 7 0 " n " 2 1 11 | isr " isr " replicas 1,2,3 elr -\n" STORY_COMMIT
#define LEADS(n, end)                                                    \
    n " log.epoch 7 0 2 " end "\n" n " replica.role 7 0 2 " n " 2 1\n" n \
      " replica.leading 7 0 2 " end " " end "\n"
#define ELR_3                     \
    "1 replica.min_isr 7 0 1 2\n" \
    "101 controller.partition 7 0 1 1 1 11 | isr 1 replicas 1,2,3 elr 3\n" STORY_COMMIT
#define POWERLESS(n, end) \
    "0 sim.down " n " 2 0\n0 sim.up " n " 2\n" n " log.opened 7 0 0 " end " " end " 0 0 0\n"
/* 0-9 is on both disks, 10-19 committed in memory only; then the lights go out for both. */
#define BLACKOUT                                      \
    "1 log.synced 7 0 10\n2 log.synced 7 0 10\n" BOTH \
    "1 replica.hw 7 0 10 20 2 1\n" POWERLESS("1", "10") POWERLESS("2", "10")

static const struct check_case cases[] = {
    {"R5", "", "2 replica.role 7 0 2 2 1 0\n", false},
    {"R6", BOTH "1 replica.hw 7 0 10 20 2 1\n", "1 replica.hw 7 0 10 5 2 1\n", false},
    {"R9", STORY_FIRST("3") "3 replica.hw 7 0 0 10 1 1\n",
     "3 replica.fetch_reply 7 0 1 1 0 0\n3 log.appended 7 0 0 9 0 600 100\n"
     "3 replica.hw 7 0 0 10 1 1\n",
     false},
    {"R10", BOTH "1 replica.hw 7 0 10 20 2 1\n",
     "1 log.appended 7 0 10 19 1 501 100\n1 replica.hw 7 0 10 20 2 1\n", false},
    {"R11", STORY_FIRST("3") ELR_3 BOTH STORY_SECOND("3") "1 replica.hw 7 0 10 20 2 1\n",
     ELR_3 BOTH "1 replica.hw 7 0 10 20 2 1\n", false},
    {"R17", STORY_FIRST("3") LED_BY("3", "1,2,3") LEADS("3", "10"),
     STORY_FIRST("3") LED_BY("3", "1,2,3") "3 log.truncated 7 0 10 0 0 0\n" LEADS("3", "0"), false},
    {"R20", BOTH "1 produce.appended 7 0 10 19 1 1 2 2\n1 replica.hw 7 0 10 20 2 1\n",
     BOTH "1 produce.appended 7 0 10 19 1 1 2 3\n1 replica.hw 7 0 10 20 2 1\n", false},
    {"R30", "1 read.served 7 0 0 10 10 10 1\n", "1 read.served 7 0 0 20 20 20 1\n", false},
    {"R32", LED_BY("2", "1,2") LEADS("2", "10") "2 offsets.listed 7 0 -1 10 2 0 0\n",
     LED_BY("2", "1,2") LEADS("2", "10") "2 offsets.listed 7 0 -1 9 2 0 0\n", false},
    {"R41", POWERLESS("1", "0") LED_BY("2", "1,2") LEADS("2", "10"),
     POWERLESS("1", "0") LED_BY("1", "1,2") LEADS("1", "0"), false},
    {"R44", BLACKOUT LED_BY("2", "1,2") LEADS("2", "10"),
     BLACKOUT LED_BY("2", "1,2") "2 log.truncated 7 0 10 0 0 0\n" LEADS("2", "0"), false},
};

static void each_oracle_of_check_replica_fires_first_on_its_bad_history(void **state)
{
    (void)state;
    check_story_prove("check_replica.c", setup, cases, COUNT_OF(cases));
}

/* Node 2 hears late that it was made leader of epoch 2, when the leader of epoch 3 has committed
 * more: it cannot have that, and will hear of epoch 3 next. */
static void a_leader_of_an_older_epoch_need_not_have_what_a_later_one_committed(void **state)
{
    static const char late[] = STORY_FIRST(
        "3") "101 controller.partition 7 0 2 2 1 11 | isr 2,3 replicas 1,2,3 elr -\n"
             "101 controller.partition 7 0 3 3 2 12 | isr 3 replicas 1,2,3 elr -\n" STORY_COMMIT
             "3 log.epoch 7 0 3 10\n3 replica.role 7 0 2 3 3 2\n3 replica.leading 7 0 3 10 10\n"
             "3 log.appended 7 0 10 19 3 601 100\n3 replica.hw 7 0 10 20 2 3\n" LEADS("2", "10");

    (void)state;
    CHECK_STORY(NULL, setup, late);
}

static void an_end_below_what_was_committed_may_be_refused_or_be_of_an_older_leader(void **state)
{
    static const struct check_case fenced = {
        "R32",
        LED_BY("2", "1,2")
            LEADS("2", "10") "2 offsets.listed 7 0 -1 -1 -1 78 0\n"
                             "2 offsets.listed 7 0 -1 4 2 0 1\n2 offsets.listed 7 0 -2 0 2 0 0\n"
                             "2 log.appended 7 0 10 19 2 601 100\n"
                             "1 offsets.listed 7 0 -1 10 1 0 0\n",
        LED_BY("2", "1,2") LEADS("2", "10") "2 offsets.listed 7 0 -1 0 2 0 0\n", false};

    (void)state;
    check_story_prove_one(&fenced, setup);
}

/* KAFKA-7415: node 2 leads epoch 2 and its epoch cache does not say so. */
static void a_reign_that_writes_nothing_is_in_the_epoch_cache(void **state)
{
    static const struct check_case silent = {
        "R4", "2 log.epoch 7 0 1 0\n" LED_BY("2", "1,2") LEADS("2", "10"),
        "2 log.epoch 7 0 1 0\n" LED_BY("2", "1,2") "2 replica.role 7 0 2 2 2 1\n"
                                                   "2 replica.leading 7 0 2 10 10\n",
        false};

    (void)state;
    check_story_prove_one(&silent, setup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leader_of_an_older_epoch_need_not_have_what_a_later_one_committed),
        cmocka_unit_test(a_reign_that_writes_nothing_is_in_the_epoch_cache),
        cmocka_unit_test(an_end_below_what_was_committed_may_be_refused_or_be_of_an_older_leader),
        cmocka_unit_test(each_oracle_of_check_replica_fires_first_on_its_bad_history),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

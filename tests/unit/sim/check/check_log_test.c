/* Proves: each oracle of check_log.c passes a good history that it judged, and is the first to fire
 * on
 * a bad one. */
#include "tests/support/check_story.h"
#include "tests/support/support.h"

#include "client/base/assert.h"

static const char setup[] = STORY_CLUSTER STORY_DATA;

#define APPEND    "1 log.appended 7 0 10 19 1 501 100\n"
#define KILLED    "0 sim.down 2 1 0\n0 sim.up 2 2\n"
#define POWERLESS "0 sim.down 2 2 0\n0 sim.up 2 2\n"

static const struct check_case cases[] = {
    {"R1", "1 log.synced 7 0 10\n", "1 log.synced 7 0 11\n", false},
    {"R2", APPEND, "1 log.appended 7 0 11 19 1 501 100\n", false},
    {"R3", APPEND, "1 log.appended 7 0 10 19 2 501 100\n", false},
    {"R4", APPEND, "1 log.epoch 7 0 2 11\n", false},
    {"R8", STORY_FIRST("3"),
     "3 replica.fetch_reply 7 0 1 1 0 0\n3 log.appended 7 0 0 9 1 666 100\n", false},
    {"R22", APPEND STORY_SECOND("2") "2 log.truncated 7 0 20 10 10 0\n",
     "2 replica.hw 7 0 0 10 1 1\n2 log.truncated 7 0 10 5 5 0\n", false},
    {"R40", KILLED "2 log.opened 7 0 0 10 0 0 0 0\n", KILLED "2 log.opened 7 0 0 0 0 0 0 0\n",
     false},
    {"R46", "2 log.synced 7 0 10\n" POWERLESS "2 log.opened 7 0 0 10 10 0 0 0\n",
     "2 log.synced 7 0 10\n" POWERLESS "2 log.opened 7 0 0 0 0 0 0 0\n", false},
    {"R47", "2 replica.hw 7 0 0 10 1 1\n" KILLED "2 log.opened 7 0 0 10 0 10 0 0\n",
     KILLED "2 log.opened 7 0 0 10 0 10 0 0\n", false},
    {"R49", "2 replica.hw 7 0 0 10 1 1\n" KILLED "2 log.opened 7 0 0 10 0 10 0 0\n",
     "2 replica.hw 7 0 0 10 1 1\n" KILLED "2 log.opened 7 0 0 10 0 5 0 0\n", false},
    {"K4", "102 log.appended 0 0 0 9 1 77 10\n", "102 log.appended 0 0 0 9 1 99 10\n", false},
};

static void each_oracle_of_check_log_fires_first_on_its_bad_history(void **state)
{
    (void)state;
    check_story_prove("check_log.c", setup, cases, COUNT_OF(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_oracle_of_check_log_fires_first_on_its_bad_history),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

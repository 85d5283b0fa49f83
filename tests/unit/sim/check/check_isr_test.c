/* Proves: each oracle of check_isr.c passes a good history that it judged, and is the first to fire
 * on a bad one. */
#include "tests/support/check_story.h"
#include "tests/support/support.h"

#include "client/base/assert.h"

static const char setup[] = STORY_CLUSTER STORY_DATA;

#define MORE     "1 log.appended 7 0 10 19 1 501 100\n"
#define ENTERS_3 "1 replica.isr 7 0 1 0 0 | 1,2,3\n"

static const struct check_case cases[] = {
    {"R13", "1 replica.isr 7 0 1 0 1 | 1,2\n", "1 replica.isr 7 0 1 0 1 | 1\n", false},
    {"R18", "1 replica.remote 7 0 2 10 10 2 1\n", "1 replica.remote 7 0 2 11 10 2 1\n", false},
    {"R19", STORY_FIRST("3") "1 meta.broker 3 3 0\n1 replica.remote 7 0 3 10 0 3 1\n" ENTERS_3,
     STORY_FIRST("3") "1 meta.broker 3 30 0\n1 replica.remote 7 0 3 10 0 3 1\n" ENTERS_3, false},
    {"R21", STORY_FIRST("3") "1 replica.remote 7 0 3 10 0 3 1\n" ENTERS_3,
     "1 replica.remote 7 0 3 0 -1 3 1\n" ENTERS_3, false},
    {"R23", MORE STORY_SECOND("2"),
     "2 replica.fetch_reply 7 0 0 1 10 10\n2 replica.diverged 7 0 0 5 10 1\n", false},
    {"R28", "1 produce.appended 7 0 0 9 1 -1 2 2\n1 produce.answered 7 0 0 9 0 -1 10 2\n",
     "1 produce.appended 7 0 0 9 1 -1 2 2\n2 log.truncated 7 0 10 0 0 0\n"
     "1 produce.answered 7 0 0 9 0 -1 10 2\n",
     false},
    {"R29", "1 produce.answered 7 0 0 9 0 -1 10 2\n",
     MORE "1 produce.answered 7 0 10 19 0 -1 10 2\n", false},
    {"R33", "1 produce.answered 7 0 0 9 0 1 10 2\n", "1 produce.answered 7 0 10 19 0 1 10 2\n",
     false},
    {"R35", "1 produce.answered 7 0 0 9 0 -1 10 2\n1 produce.answered 7 0 0 9 0 -1 10 2\n",
     "1 produce.answered 7 0 0 9 0 -1 10 2\n3 replica.fetch_reply 7 0 1 1 0 0\n"
     "3 log.appended 7 0 0 9 0 600 100\n3 produce.answered 7 0 0 9 0 -1 10 2\n",
     false},
};

static void each_oracle_of_check_isr_fires_first_on_its_bad_history(void **state)
{
    (void)state;
    check_story_prove("check_isr.c", setup, cases, COUNT_OF(cases));
}

/* F14: the valid answer before it brought only a high watermark, so that nothing of that one can
 * still be on its way to the disk; without the high watermark it may be. */
static void an_append_behind_an_answer_that_is_done_is_of_the_outdated_one(void **state)
{
    static const struct check_case late = {
        "R23",
        MORE "2 replica.fetch_reply 7 0 1 1 10 10\n2 replica.fetch_reply 7 0 0 1 10 10\n"
             "2 log.appended 7 0 10 19 1 501 100\n",
        MORE "2 replica.fetch_reply 7 0 1 1 10 10\n2 replica.hw 7 0 0 10 1 1\n"
             "2 replica.fetch_reply 7 0 0 1 10 10\n2 log.appended 7 0 10 19 1 501 100\n",
        false};

    (void)state;
    check_story_prove_one(&late, setup);
}

/* F22: it may have lost what it had; without an attempt to join the ISR, too. */
static void a_fetch_of_an_earlier_life_counts_for_nothing(void **state)
{
    static const struct check_case late = {
        "R19",
        STORY_FIRST(
            "3") "1 meta.broker 3 3 0\n1 replica.remote 7 0 3 10 0 3 1\n1 meta.broker 3 30 0\n",
        STORY_FIRST("3") "1 meta.broker 3 30 0\n1 replica.remote 7 0 3 10 0 3 1\n", false};

    (void)state;
    check_story_prove_one(&late, setup);
}

/* What was being written when the process died may be there when it opens, before it has a role. */
static void a_follower_reaches_what_its_open_found(void **state)
{
#define REOPENED(end)                                                           \
    MORE "0 sim.down 2 1 0\n0 sim.up 2 2\n2 log.opened 7 0 0 " end " 0 0 0 0\n" \
         "2 replica.role 7 0 1 1 1 0\n1 replica.remote 7 0 2 20 10 2 1\n"
    static const struct check_case found = {"R18", REOPENED("20"), REOPENED("10"), false};

    (void)state;
    check_story_prove_one(&found, setup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_append_behind_an_answer_that_is_done_is_of_the_outdated_one),
        cmocka_unit_test(a_fetch_of_an_earlier_life_counts_for_nothing),
        cmocka_unit_test(a_follower_reaches_what_its_open_found),
        cmocka_unit_test(each_oracle_of_check_isr_fires_first_on_its_bad_history),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

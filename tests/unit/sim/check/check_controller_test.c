/* Proves: each oracle of check_controller.c passes a good history that it judged, and is the first
 * to fire on
 * a bad one. */
#include "tests/support/check_story.h"
#include "tests/support/support.h"

#include "client/base/assert.h"

static const char setup[] = STORY_CLUSTER STORY_DATA;

#define RECORD(leader, le, pe, isr)                                                              \
    "101 controller.partition 7 0 " leader " " le " " pe " 11 | isr " isr " replicas 1,2,3 elr " \
    "-\n"
#define ELIGIBLE(isr, elr) \
    "101 controller.partition 7 0 1 1 1 11 | isr " isr " replicas 1,2,3 elr " elr " last -\n"
#define MOVES(le, pe, isr, replicas, rest)                                             \
    "101 controller.partition 7 0 1 " le " " pe " 11 | isr " isr " replicas " replicas \
    " elr - last -" rest "\n"
#define MIN_2 "1 replica.min_isr 7 0 1 2\n"
#define TURN  "turn 101\n"

static const struct check_case cases[] = {
    {"R12", RECORD("2", "2", "1", "1,2"), RECORD("3", "2", "1", "1,2"), false},
    {"R14", MIN_2 ELIGIBLE("1", "2,3"), MIN_2 ELIGIBLE("1,2", "3"), false},
    {"R15", "101 controller.broker 2 2 1 0 10\n" RECORD("1", "1", "1", "1") TURN,
     "101 controller.broker 2 2 1 0 10\n" TURN, false},
    {"R16", RECORD("2", "2", "1", "1,2") STORY_COMMIT,
     "1 replica.remote 7 0 3 0 0 3 1\n" RECORD("1", "1", "1", "1,2,3") STORY_COMMIT, false},
    {"R36", RECORD("1", "1", "1", "1"), RECORD("1", "1", "2", "1"), false},
    {"R37", "101 controller.alter 7 0 1 1 0 0 1\n", "101 controller.alter 7 0 1 0 0 0 1\n", false},
    {"R38", "3 replica.role 7 0 1 1 1 0\n", "3 replica.role 7 0 1 2 1 0\n", false},
    {"R39", "101 controller.broker 2 2 0 0 11\n", "101 controller.broker 2 1 0 0 11\n", false},
    {"R45",
     STORY_FIRST("3") "1 replica.remote 7 0 3 10 0 3 1\n" RECORD("1", "1", "1", "1,2,3") TURN,
     STORY_FIRST("3") "1 replica.remote 7 0 3 10 0 30 1\n" RECORD("1", "1", "1", "1,2,3") TURN,
     false},
    {"R58",
     MOVES("1", "1", "1,2,3", "1,2,3", " adding 3 removing 2") MOVES("2", "2", "1,3", "1,3", ""),
     MOVES("1", "1", "1,2", "1,2,3", " adding 3 removing 2") MOVES("2", "2", "1", "1,3", ""),
     false},
    {"K7", "1 broker.epoch 1 -1\n", "1 broker.epoch 12 -1\n", false},
    {"K22", "1 meta.applied 9 1 555\n2 meta.applied 9 1 555\n",
     "1 meta.applied 9 1 555\n2 meta.applied 9 1 556\n", false},
    {"K23", RECORD("1", "1", "1", "1"),
     "101 controller.renounced 1 4 0\n" RECORD("1", "1", "1", "1"), false},
    {"K25", "1 meta.applied 8 1 554\n1 meta.applied 9 1 555\n",
     "1 meta.applied 9 1 555\n1 meta.applied 8 1 554\n", false},
    {"K26", "101 controller.producer_ids 1 0 1000 11\n101 controller.producer_ids 2 1000 1000 12\n",
     "101 controller.producer_ids 1 0 1000 11\n101 controller.producer_ids 2 999 1000 12\n", false},
};

static void each_oracle_of_check_controller_fires_first_on_its_bad_history(void **state)
{
    (void)state;
    check_story_prove("check_controller.c", setup, cases, COUNT_OF(cases));
}

static void what_a_deposed_controller_writes_is_void(void **state)
{
    static const char deposed[] =
        "102 controller.active 2 10\n"
        "101 controller.broker 2 2 1 0 10\n" TURN
        "102 controller.partition 7 0 1 1 1 12 | isr 1,2,3 replicas 1,2,3 elr -\nturn 102\n";

    (void)state;
    CHECK_STORY(NULL, STORY_CLUSTER, deposed);
}

static void tell(const char *story, const char *id)
{
    CHECK_STORY(id, setup, story);
}

/* It slept, and wakes up with a metadata log that ends before its successor's changes. */
static void a_deposed_controller_may_accept_what_its_successor_would_not(void **state)
{
#define OUTDATED "101 controller.alter 7 0 1 0 0 0 1\n"
    (void)state;
    tell(OUTDATED, "R37");
    tell("102 controller.active 2 10\n" OUTDATED, NULL);
}

static void a_reassignment_may_be_taken_back_but_leaves_nobody_being_added(void **state)
{
#define BEGUN MOVES("1", "1", "1,2", "1,2,3", " adding 3 removing 2")
    (void)state;
    tell(BEGUN MOVES("2", "2", "1,2", "1,2", ""), NULL);
    tell(BEGUN MOVES("1", "2", "1,2", "1,2", ""), "R58"); /* who went is not fenced out */
    tell(BEGUN MOVES("2", "2", "1,2", "1,2", " adding 3 removing -"), "R58");
    tell(BEGUN MOVES("2", "2", "1,2", "1,2,3", ""), "R58");
    tell(MOVES("2", "1", "1", "1", ""), NULL); /* fewer, and all of them in the ISR */
    tell(MOVES("1", "1", "1", "1,2", ""), "R58");
}

/* KIP-966: node 2 loses power and comes back with less than it had. */
static void who_has_lost_data_is_in_no_elr(void **state)
{
#define LOSES "0 sim.down 2 2 0\n0 sim.up 2 2\n2 log.opened 7 0 0 0 0 0 0 0\n"
    (void)state;
    tell(MIN_2 ELIGIBLE("1", "2") STORY_COMMIT LOSES, "R45");
    tell(MIN_2 ELIGIBLE("1", "3") STORY_COMMIT LOSES, NULL);
}

/* The controller has no partition any more to take a broker out of, and no broker knows it yet. */
static void a_broker_leaves_no_isr_of_a_topic_that_was_removed(void **state)
{
#define FENCED "101 controller.broker 2 2 1 0 10\n" TURN
    (void)state;
    tell("101 controller.removed 7 9\n" FENCED, NULL);
    tell("101 controller.removed 8 9\n" FENCED, "R15");
    /* Its successor has not read that: what is committed counts. */
    tell("101 controller.removed 7 9\n102 controller.active 2 9\n"
         "102 controller.partition 7 0 1 1 1 10 | isr 1,2,3 replicas 1,2,3 elr - last -\n"
         "102 controller.broker 2 2 1 0 11\nturn 102\n",
         "R15");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_lost_data_is_in_no_elr),
        cmocka_unit_test(a_broker_leaves_no_isr_of_a_topic_that_was_removed),
        cmocka_unit_test(a_reassignment_may_be_taken_back_but_leaves_nobody_being_added),
        cmocka_unit_test(each_oracle_of_check_controller_fires_first_on_its_bad_history),
        cmocka_unit_test(what_a_deposed_controller_writes_is_void),
        cmocka_unit_test(a_deposed_controller_may_accept_what_its_successor_would_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

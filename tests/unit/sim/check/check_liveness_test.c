/* Proves: each oracle of check_liveness.c passes a good history that it judged, and is the first to
 * fire on
 * a bad one. */
#include "tests/support/check_story.h"
#include "tests/support/support.h"

#include "client/base/assert.h"

/* Three brokers in sync; the high watermark of broker 3 is for the stories to move. */
static const char setup[] = STORY_CLUSTER STORY_DATA STORY_FIRST(
    "3") "1 replica.remote 7 0 3 10 0 3 1\n"
         "101 controller.partition 7 0 1 1 1 11 | isr 1,2,3 replicas 1,2,3 elr -\n"
         "1 replica.isr 7 0 1 0 0 | 1,2,3\n" STORY_COMMIT "101 meta.applied 19 1 5\n"
         "1 replica.isr 7 0 1 1 1 | 1,2,3\n2 replica.hw 7 0 0 10 1 1\n";

#define HW_3     "3 replica.hw 7 0 0 10 1 1\n"
#define CALM     "phase 2\n"
#define END      "+120000\nfinish\n"
#define HEALED   HW_3 CALM END
#define WAITING  "1 produce.appended 7 0 10 19 1 -1 3 1\n"
#define ANSWERED "1 produce.answered 7 0 10 19 7 -1 10 3\n"
#define MOVES(isr, replicas, rest)                                                                \
    "101 controller.partition 7 0 1 1 2 20 | isr " isr " replicas " replicas " elr - last -" rest \
    "\n"
#define MOVED                                                               \
    "turn 101\n101 log.appended 0 0 20 29 1 79 10\n101 log.synced 0 0 30\n" \
    "101 raft.hw 20 30 1 1\n101 meta.applied 29 1 6\n"
/* Broker 3 is no replica any more, which makes a new leader epoch. */
#define LEAVES                                                                          \
    "3 replica.role 7 0 1 1 1 1\n"                                                      \
    "101 controller.partition 7 0 1 2 2 20 | isr 1,2 replicas 1,2 elr - last -\n" MOVED \
    "1 log.epoch 7 0 2 10\n1 replica.role 7 0 2 1 2 2\n1 replica.leading 7 0 2 10 10\n" \
    "1 replica.isr 7 0 2 2 1 | 1,2\n2 replica.role 7 0 1 1 2 2\n"
#define VOTER "0 sim.node 102 2 0\n0 sim.up 102 1\n"

static const struct check_case cases[] = {
    {"R51", HEALED, HW_3 "0 sim.down 1 1 0\n0 sim.up 1 2\n" CALM END, false},
    {"R52", HEALED, CALM END, false},
    {"R53", HW_3 CALM WAITING ANSWERED END, HW_3 CALM WAITING END, false},
    {"R54", HW_3 MOVES("1,2,3", "1,2,3", "") MOVED CALM END,
     HW_3 MOVES("1,2,3", "1,2,3", " adding 3 removing -") MOVED CALM END, false},
    {"R57", HEALED, HW_3 "0 sim.node 4 1 0\n0 sim.up 4 1\n" CALM END, false},
    {"R59", HW_3 LEAVES "3 replica.role 7 0 0 1 1 1\n" CALM END, HW_3 LEAVES CALM END, false},
    {"K30", HEALED, HW_3 "101 raft.state 3 5 1 -1 101\n" CALM END, false},
    {"K31", VOTER "102 raft.state 0 4 1 101 -1\n" HEALED,
     VOTER "102 raft.state 0 0 1 -1 -1\n" HEALED, false},
    {"K32", HEALED,
     "1 log.appended 0 0 0 9 1 77 10\n1 raft.hw -1 10 1 0\n1 meta.applied 9 1 4\n" HEALED, false},
    {"K34", HEALED, VOTER "102 raft.state 0 3 2 102 102\n" HEALED, false},
};

static void each_oracle_of_check_liveness_fires_first_on_its_bad_history(void **state)
{
    (void)state;
    check_story_prove("check_liveness.c", setup, cases, COUNT_OF(cases));
}

#define ELECTED_102                        \
    "102 log.appended 0 0 0 9 1 77 10\n"   \
    "102 log.appended 0 0 10 19 1 78 10\n" \
    "102 log.synced 0 0 20\n"              \
    "102 raft.state 0 2 2 -1 102\n"        \
    "102 raft.stored 2 -1 102\n"           \
    "102 raft.elected 2 20 1 1\n"          \
    "102 raft.state 2 3 2 102 102\n"
#define LEADS_102                         \
    "turn 102\n"                          \
    "102 log.appended 0 0 20 20 2 79 1\n" \
    "102 log.synced 0 0 21\n"             \
    "102 raft.hw 20 21 2 1\n"             \
    "102 meta.applied 20 2 5\n"
#define LATE_ELECTION                                                                     \
    "101 raft.state 3 5 1 -1 101\n" ELECTED_102 "101 raft.state 5 4 2 102 -1\n" LEADS_102 \
    "101 log.appended 0 0 20 20 2 79 1\n"                                                 \
    "101 raft.hw 20 21 2 0\n"                                                             \
    "101 meta.applied 20 2 5\n"
#define SET(set) "101 raft.voters -1 1 2 | voters=" set "\n"

/* Swarm-quorum, seed 3000266: its removal was committed late, and it made room. */
static void a_leader_that_removes_itself_makes_room_for_another(void **state)
{
    struct check_case one = {
        "K34", VOTER HW_3 CALM "+119000\n" SET("102") LATE_ELECTION "+9000\nfinish\n",
        VOTER HW_3 CALM "+119000\n" SET("101,102") LATE_ELECTION "+9000\nfinish\n", false};

    (void)state;
    check_story_prove_one(&one, setup);
}

/* Swarm-storage, seed 173339302687024: it led from outside of the core, and its disk failed. */
static void a_leader_outside_of_the_core_may_die(void **state)
{
    struct check_case one = {
        "K34",
        VOTER HW_3 "0 sim.phase 2 | 1,2,3,102\n+119000\n0 sim.down 101 1 0\n" ELECTED_102 LEADS_102
                   "+9000\nfinish\n",
        VOTER HW_3
        "0 sim.phase 2 | 1,2,3,101,102\n+119000\n0 sim.down 101 1 0\n" ELECTED_102 LEADS_102
        "+9000\nfinish\n",
        false};

    (void)state;
    check_story_prove_one(&one, setup);
}

/* Swarm-quorum, seed 50276: cut off, it led on, with a write of its coordinator under way. */
static void nothing_is_asked_of_who_is_outside_of_the_core(void **state)
{
    struct check_case one = {"R53",
                             HW_3 "0 sim.phase 2 | 1,2,3,101\n" WAITING ANSWERED
                                  "3 produce.appended 7 0 10 19 1 -1 3 1\n"
                                  "3 produce.answered 7 0 10 19 7 -1 10 3\n" END,
                             HW_3 "0 sim.phase 2 | 1,2,3,101\n" WAITING ANSWERED
                                  "3 produce.appended 7 0 10 19 1 -1 3 1\n" END,
                             false};

    (void)state;
    check_story_prove_one(&one, setup);
    one.good = HW_3 "0 sim.phase 2 | 1,2,101\n" WAITING ANSWERED
                    "3 produce.appended 7 0 10 19 1 -1 3 1\n" END;
    check_story_prove_one(&one, setup);
}

/* Swarm-quorum, seed 4724757193728: a broker outside of the core, cut off from the leader and not
 * fenced, had had all that the leader had, and was waited for until it had lagged too long. */
static void a_coordinator_waits_until_who_is_silent_counts_no_longer(void **state)
{
#define OFFSETS "101 topic.known 7 1 | __consumer_offsets\n"
    struct check_case late = {"R53", OFFSETS HW_3 CALM WAITING "+46000\n" ANSWERED END,
                              OFFSETS HW_3 CALM WAITING "+48000\n" ANSWERED END, false};
    struct check_case never = {"R53", late.good, OFFSETS HW_3 CALM WAITING END, false};
    struct check_case client = {"R53", HW_3 CALM WAITING "+31000\n" ANSWERED END,
                                HW_3 CALM WAITING "+33000\n" ANSWERED END, false};

    (void)state;
    check_story_prove_one(&late, setup);
    check_story_prove_one(&never, setup);
    check_story_prove_one(&client, setup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_oracle_of_check_liveness_fires_first_on_its_bad_history),
        cmocka_unit_test(a_leader_that_removes_itself_makes_room_for_another),
        cmocka_unit_test(a_leader_outside_of_the_core_may_die),
        cmocka_unit_test(nothing_is_asked_of_who_is_outside_of_the_core),
        cmocka_unit_test(a_coordinator_waits_until_who_is_silent_counts_no_longer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

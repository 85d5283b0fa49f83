/* Proves: each oracle of check_snapshot.c passes a good history that it judged, and is the first to
 * fire on a bad one. */
#include "tests/support/check_story.h"
#include "tests/support/support.h"

#include "client/base/assert.h"

/* Voters 101 to 103; 101 leads epoch 1, entries below 1 are committed by 101 and 102. */
static const char setup[] =
    "0 sim.node 101 2 0\n0 sim.node 102 2 0\n0 sim.node 103 2 0\n"
    "0 sim.up 101 1\n0 sim.up 102 1\n0 sim.up 103 1\n"
    "101 raft.state 0 0 0 -1 -1\n102 raft.state 0 0 0 -1 -1\n103 raft.state 0 0 0 -1 -1\n"
    "101 raft.state 0 1 0 -1 -1\n101 raft.state 1 2 1 -1 101\n101 raft.stored 1 -1 101\n"
    "102 raft.vote 101 1 1 0\n102 raft.stored 1 -1 101\n"
    "101 raft.elected 1 0 2 3\n101 raft.state 2 3 1 101 101\n"
    "101 log.epoch 0 0 1 0\n101 log.appended 0 0 0 0 1 70 10\n101 log.synced 0 0 1\n"
    "102 raft.state 0 4 1 101 101\n103 raft.state 0 4 1 101 -1\n"
    "102 log.appended 0 0 0 0 1 70 10\n102 log.synced 0 0 1\n102 raft.flushed 1 1\n"
    "101 raft.fetched 102 1 1 1\n101 raft.hw -1 1 1 1\n102 raft.hw -1 1 1 0\n";

#define WRITTEN(n) n " raft.snapshot 1 1 300 77 1\n"
#define RESTART(n) "0 sim.down " n " 2 0\n0 sim.up " n " 2\n" n " log.opened 0 0 0 1 1 0 0 0\n"
#define STATE(n)   n " raft.state 0 0 1 -1 101\n"

static const struct check_case cases[] = {
    {"K18", WRITTEN("101") "101 log.start 0 0 0 1\n",
     "101 log.appended 0 0 1 1 1 71 10\n101 raft.snapshot 2 1 300 77 1\n", false},
    {"K19", WRITTEN("102") RESTART("102") "102 raft.snapshot 1 1 300 77 0\n" STATE("102"),
     WRITTEN("102") RESTART("102") STATE("102"), false},
};

/* The other half of each. */
static const struct check_case halves[] = {
    {"K18", WRITTEN("101") "101 log.start 0 0 0 1\n", "102 log.start 0 0 0 1\n", false},
    {"K19", WRITTEN("101") WRITTEN("102"), WRITTEN("101") "102 raft.snapshot 1 1 300 78 1\n",
     false},
};

static void each_oracle_of_check_snapshot_fires_first_on_its_bad_history(void **state)
{
    (void)state;
    check_story_prove("check_snapshot.c", setup, cases, COUNT_OF(cases));
    check_story_prove("check_snapshot.c", setup, halves, COUNT_OF(halves));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_oracle_of_check_snapshot_fires_first_on_its_bad_history),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Proves: each oracle of check_voters.c passes a good history that it judged, and is the first to
 * fire on a bad one; majorities of votes and of disks are those of the set in the log. */
#include "tests/support/check_story.h"
#include "tests/support/support.h"

#include "client/base/assert.h"
#include "sim/fault.h"

#include <stdio.h>

#define SET3(n) n " raft.voters 0 1 3 | voters=101,102,103\n"

/* Voters 101 to 103 in the log at 0; 101 leads epoch 1, entry 0 is committed by 101 and 102. */
static const char setup[] =
    "0 sim.node 101 2 0\n0 sim.node 102 2 0\n0 sim.node 103 2 0\n0 sim.node 104 2 0\n"
    "0 sim.up 101 1\n0 sim.up 102 1\n0 sim.up 103 1\n0 sim.up 104 1\n"
    "101 raft.voters -1 1 3 | voters=101,102,103\n"
    "101 raft.state 0 0 0 -1 -1\n102 raft.state 0 0 0 -1 -1\n103 raft.state 0 0 0 -1 -1\n"
    "101 raft.state 0 1 0 -1 -1\n101 raft.state 1 2 1 -1 101\n101 raft.stored 1 -1 101\n"
    "102 raft.vote 101 1 1 0\n102 raft.stored 1 -1 101\n"
    "101 raft.elected 1 0 2 3\n101 raft.state 2 3 1 101 101\n"
    "101 log.epoch 0 0 1 0\n101 log.appended 0 0 0 0 1 70 10\n" SET3(
        "101") "101 log.synced 0 0 1\n"
               "102 raft.state 0 4 1 101 101\n103 raft.state 0 4 1 101 -1\n"
               "102 log.appended 0 0 0 0 1 70 10\n" SET3(
                   "102") "102 log.synced 0 0 1\n102 raft.flushed 1 1\n"
                          "101 raft.fetched 102 1 1 1\n101 raft.hw -1 1 1 1\n102 raft.hw -1 1 1 "
                          "0\n";

#define ENTRY(n) n " log.appended 0 0 1 1 1 71 10\n" n " log.synced 0 0 2\n"
#define ADDED    "101 raft.voters 1 1 4 | voters=101,102,103,104\n"
#define WRITTEN  "101 log.appended 0 0 1 1 1 71 10\n" ADDED
#define HW_2     "101 raft.hw 1 2 1 1\n"
#define REMOVED  "101 raft.voters 1 1 2 | voters=101,102\n"

static const struct check_case cases[] = {
    {"K15", WRITTEN, "101 log.appended 0 0 1 1 1 71 10\n101 raft.voters 1 1 1 | voters=101\n",
     false},
    {"K17", "101 raft.fetched 103 0 1 1\n", "101 raft.fetched 104 0 1 1\n", false},
};

/* The other ways to break it. */
static const struct check_case uncommitted[] = {
    {"K15", WRITTEN,
     WRITTEN "101 log.appended 0 0 2 2 1 72 10\n101 raft.voters 2 1 3 | voters=101,103,104\n",
     false},
};
static const struct check_case late[] = {
    {"K15", WRITTEN, ENTRY("101") ENTRY("102") HW_2 ADDED, false},
};
static const struct check_case kept[] = {
    {"K15", "102 raft.state 4 1 1 101 101\n102 raft.state 1 2 2 -1 102\n",
     "102 raft.voters 1 1 4 | voters=101,102,103,104\n102 raft.state 4 1 1 101 101\n"
     "102 raft.state 1 2 2 -1 102\n",
     false},
};
static const struct check_case other[] = {
    {"K15", ENTRY("101") ENTRY("102") HW_2 "102 raft.hw 1 2 1 0\n",
     ENTRY("101") ENTRY("102") HW_2 "102 raft.voters 0 1 2 | voters=101,102\n102 raft.hw 1 2 1 0\n",
     false},
};
/* Four voters: two disks are no majority any more; of two, one that was removed does not help. */
static const struct check_case majorities[] = {
    {"K6",
     WRITTEN "101 log.synced 0 0 2\n103 log.appended 0 0 0 0 1 70 10\n" ENTRY("102") ENTRY("103")
         HW_2,
     WRITTEN "101 log.synced 0 0 2\n" ENTRY("102") HW_2, false},
};
static const struct check_case removed[] = {
    {"K6", "101 log.appended 0 0 1 1 1 71 10\n" REMOVED "101 log.synced 0 0 2\n" ENTRY("102") HW_2,
     "101 log.appended 0 0 1 1 1 71 10\n" REMOVED
     "101 log.synced 0 0 2\n103 log.appended 0 0 0 0 1 70 10\n" ENTRY("103") HW_2,
     false},
};

static void each_oracle_of_check_voters_fires_first_on_its_bad_history(void **state)
{
    (void)state;
    check_story_prove("check_voters.c", setup, cases, COUNT_OF(cases));
}

static void prove(const struct check_case *cases_of, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        check_story_prove_one(&cases_of[i], setup);
}

static void k15_fires_on_each_way_to_break_it(void **state)
{
    (void)state;
    prove(uncommitted, COUNT_OF(uncommitted));
    prove(late, COUNT_OF(late));
    prove(kept, COUNT_OF(kept));
    prove(other, COUNT_OF(other));
}

/* A voter whose disk was lost with its name is another one: it counts in a set that is younger. */
static void k17_fires_on_a_voter_with_another_directory(void **state)
{
    char wiped[2][160];
    const struct check_case cases_of[] = {
        {"K17", wiped[0], wiped[1], false},
        {"K17",
         ENTRY("102") "101 log.appended 0 0 1 1 1 71 10\n101 raft.voters 1 1 3 | "
                      "voters=101,102,103\n101 raft.fetched 103 0 1 1\n",
         wiped[1], false},
    };

    (void)state;
    for (uint32_t i = 0; i < 2; i++)
        (void)snprintf(wiped[i], sizeof wiped[i],
                       "0 sim.down 103 1 0\n0 sim.fault %d 1 1 103 0 | wipe %sof node-103\n"
                       "0 sim.up 103 2\n101 raft.fetched 103 0 1 1\n",
                       SIM_FAULT_WIPE, i == 0 ? "" : "and new identity ");
    prove(cases_of, COUNT_OF(cases_of));
}

static void majorities_are_those_of_the_set_in_the_log(void **state)
{
    (void)state;
    prove(majorities, COUNT_OF(majorities));
    prove(removed, COUNT_OF(removed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_oracle_of_check_voters_fires_first_on_its_bad_history),
        cmocka_unit_test(k15_fires_on_each_way_to_break_it),
        cmocka_unit_test(k17_fires_on_a_voter_with_another_directory),
        cmocka_unit_test(majorities_are_those_of_the_set_in_the_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Proves: each oracle of check_raft.c passes a good history that it judged, and is the first to
 * fire on
 * a bad one. */
#include "tests/support/check_story.h"
#include "tests/support/support.h"

#include "client/base/assert.h"
#include "sim/fault.h"

#include <stdio.h>
#include <string.h>

/* Voters 101 to 103; 101 leads epoch 1, entry 0 is committed by 101 and 102. */
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

#define ENTRY(n)  n " log.appended 0 0 1 1 1 71 10\n" n " log.synced 0 0 2\n"
#define ENTRY0(n) n " log.appended 0 0 0 0 1 70 10\n" n " log.synced 0 0 1\n"
#define HW_2      "101 raft.hw 1 2 1 1\n"
#define VOTES_FOR(n, other)                                                                       \
    n " raft.stored 2 -1 " n "\n" other " raft.stored 2 -1 " n "\n" other " raft.vote " n " 2 1 " \
      "0\n"
#define ELECTED(n, start) n " raft.elected 2 " start " 2 3\n" n " raft.state 2 3 2 " n " " n "\n"
#define SUCCESSOR         VOTES_FOR("102", "103") ELECTED("102", "1")
#define WAIT              "+400\n101 op.step 0 0\n"
#define WAITS             WAIT WAIT WAIT WAIT WAIT WAIT WAIT WAIT WAIT
#define REOPENED(n)       n " log.opened 0 0 0 1 1 0 0 0\n"
#define RESTART(n)        "0 sim.down " n " 1 0\n0 sim.up " n " 2\n" REOPENED(n)

#define SET_BACK          "101 node.warning 119 | voter 102 lacks entries: its disk was set back\n"

static const struct check_case cases[] = {
    {"K1", SUCCESSOR, "102 raft.elected 1 1 1 1\n", false}, /* it takes itself for the only voter */
    {"K2", "102 raft.stored 2 -1 103\n", "102 raft.stored 1 -1 103\n", false},
    {"K3", SUCCESSOR, "103 raft.stored 2 -1 103\n103 raft.elected 2 1 2 3\n", false},
    {"K5", SUCCESSOR, VOTES_FOR("103", "102") ELECTED("103", "0"), false},
    {"K6", ENTRY("101") ENTRY("102") HW_2, ENTRY("101") HW_2, false},
    {"K8", ENTRY("101") ENTRY("102") HW_2, "101 raft.hw 1 0 1 1\n", false},
    {"K9", "102 raft.hw 1 1 1 0\n", "102 raft.hw 1 2 1 0\n", false},
    {"K11", "101 raft.fetched 102 1 1 1\n", "101 raft.fetched 102 2 1 1\n", false},
    {"K12", ENTRY0("103") "101 raft.fetched 103 1 1 1\n",
     "103 log.appended 0 0 0 0 0 99 10\n103 log.synced 0 0 1\n101 raft.fetched 103 1 1 1\n", false},
    {"K13", ENTRY("101"), RESTART("101") "101 raft.state 5 5 1 -1 101\n" ENTRY("101"), false},
    {"K14", "103 raft.state 4 1 1 101 -1\n", "103 raft.state 4 1 2 101 -1\n", false},
    {"K16", SUCCESSOR "102 log.appended 0 0 1 1 2 80 10\n",
     SUCCESSOR "102 log.appended 0 0 1 1 1 71 10\n102 log.appended 0 0 2 2 2 80 10\n", false},
    {"K20", SUCCESSOR WAIT "101 raft.fetched 103 0 1 1\n",
     SUCCESSOR WAITS "101 raft.fetched 103 0 1 1\n", false},
    {"K21", ENTRY("101") ENTRY("102") VOTES_FOR("102", "103") ELECTED("102", "2") HW_2,
     SUCCESSOR ENTRY("101") ENTRY0("103") ENTRY("103") HW_2, false},
    {"K28", RESTART("102") "102 raft.state 0 0 1 -1 101\n",
     RESTART("102") "102 raft.state 0 0 1 -1 103\n", false},
    {"K29",
     "101 log.failed 0 0 1 5\n101 raft.state 3 5 1 -1 101\n" VOTES_FOR("101", "102")
         ELECTED("101", "1") "101 log.epoch 0 0 2 1\n101 log.appended 0 0 1 1 2 80 10\n"
                             "101 log.synced 0 0 2\n102 log.appended 0 0 1 1 2 80 10\n"
                             "102 log.synced 0 0 2\n101 raft.hw 1 2 2 1\n",
     "101 log.failed 0 0 1 5\n" ENTRY("101") ENTRY("102") HW_2, false},
    {"K35", NULL /* has a number in it, below */, SET_BACK, false},
};

static void each_oracle_of_check_raft_fires_first_on_its_bad_history(void **state)
{
    struct check_case told[COUNT_OF(cases)];
    char wiped[160];

    (void)state;
    memcpy(told, cases, sizeof cases);
    (void)snprintf(wiped, sizeof wiped, "0 sim.fault %d 1 0 102 0 | rot\n" SET_BACK,
                   (int)SIM_FAULT_DISK_ROT);
    told[COUNT_OF(told) - 1].good = wiped;
    check_story_prove("check_raft.c", setup, told, COUNT_OF(told));
}

/* Who votes without a change of state has voted all the same; a pre-vote binds nobody. */
static void a_vote_is_kept_by_whoever_turns_prospective_afterwards(void **state)
{
    static const char *const votes[] = {"103 raft.vote 102 2 1 0\n", "103 raft.vote 102 2 1 1\n"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        CHECK_STORY(i == 0 ? NULL : "K14", setup, "103 raft.state 4 0 2 -1 -1\n", votes[i],
                    "103 raft.state 0 1 2 -1 102\n");
    }
}

#define VOTES_FOR_101_IN_3                                                          \
    "101 raft.stored 3 -1 101\n102 raft.vote 101 3 1 0\n102 raft.stored 3 -1 101\n" \
    "101 raft.elected 3 1 2 3\n101 raft.state 2 3 3 101 101\n"

/* Its votes were on their way while another won the next epoch: what that one committed it need not
 * have, what was committed before its own epoch it must. */
static void who_is_elected_late_owes_what_the_epochs_before_committed(void **state)
{
    static const char appended[] = "101 log.epoch 0 0 3 1\n101 log.appended 0 0 1 1 3 80 10\n"
                                   "101 log.synced 0 0 2\n";

    (void)state;
    CHECK_STORY(NULL, setup, VOTES_FOR("102", "103"), VOTES_FOR_101_IN_3, appended,
                ENTRY0("103") "103 log.appended 0 0 1 1 3 80 10\n103 log.synced 0 0 2\n",
                "101 raft.hw 1 2 3 1\n", "102 raft.elected 2 1 2 3\n");
    CHECK_STORY("K5", setup, VOTES_FOR("103", "102"), VOTES_FOR_101_IN_3, appended,
                "102 log.appended 0 0 1 1 3 80 10\n102 log.synced 0 0 2\n", "101 raft.hw 1 2 3 1\n",
                "103 raft.elected 2 0 2 3\n");
}

/* Voter 103 dies when its vote is renamed and nobody has noted it. */
#define KILLED_OVER_ITS_VOTE "102 raft.stored 2 -1 102\n" RESTART("103")
#define FOUND_IT             "103 raft.stored 2 -1 102\n"
#define TELLS_IT             "103 raft.state 0 0 2 -1 102\n103 raft.vote 102 2 1 0\n"
#define LOST_POWER           "0 sim.down 103 2 0\n0 sim.up 103 3\n" REOPENED("103")

/* What a life reads it has synced: it counts from then on, and has to stay. */
static void a_vote_that_is_found_after_a_kill_is_durable(void **state)
{
    static const struct {
        const char *story;
        const char *id; /* NULL: nothing is wrong */
    } histories[] = {
        {FOUND_IT TELLS_IT ELECTED("102", "1"), NULL},
        {TELLS_IT ELECTED("102", "1"), "K3"},
        {FOUND_IT TELLS_IT LOST_POWER FOUND_IT TELLS_IT, NULL},
        {FOUND_IT TELLS_IT LOST_POWER "103 raft.stored 1 101 -1\n", "K28"},
        {FOUND_IT TELLS_IT LOST_POWER "103 raft.stored 2 -1 -1\n", "K28"},
        {FOUND_IT TELLS_IT LOST_POWER "103 raft.state 0 0 1 -1 -1\n", "K28"},
    };
    struct check_config config;

    (void)state;
    check_config_init(&config);
    for (uint32_t i = 0; i < COUNT_OF(histories); i++) {
        struct check *check = check_create(&config);

        check_story_tell(check, setup);
        check_story_tell(check, KILLED_OVER_ITS_VOTE);
        assert_null(check_violation(check));
        check_story_tell(check, histories[i].story);
        if (histories[i].id == NULL) {
            assert_null(check_violation(check));
        } else {
            assert_non_null(check_violation(check));
            assert_string_equal(check_violation(check)->id, histories[i].id);
        }
        check_destroy(check);
    }
}

/* It was durable when it was told: what a disk forgets then is no fault of the candidate. */
static void a_vote_counts_though_the_disk_was_set_back_since(void **state)
{
    struct check_config config;
    struct check *check;
    char rot[80];

    (void)state;
    check_config_init(&config);
    check = check_create(&config);
    (void)snprintf(rot, sizeof rot, "0 sim.fault %d 1 0 103 0 | rot\n", (int)SIM_FAULT_DISK_ROT);
    check_story_tell(check, setup);
    check_story_tell(check, VOTES_FOR("102", "103"));
    check_story_tell(check, rot);
    check_story_tell(check, RESTART("103") "103 raft.stored 1 101 -1\n");
    check_story_tell(check, "103 raft.state 0 4 1 101 -1\n" ELECTED("102", "1"));
    assert_null(check_violation(check));
    check_destroy(check);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vote_is_kept_by_whoever_turns_prospective_afterwards),
        cmocka_unit_test(who_is_elected_late_owes_what_the_epochs_before_committed),
        cmocka_unit_test(a_vote_that_is_found_after_a_kill_is_durable),
        cmocka_unit_test(a_vote_counts_though_the_disk_was_set_back_since),
        cmocka_unit_test(each_oracle_of_check_raft_fires_first_on_its_bad_history),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

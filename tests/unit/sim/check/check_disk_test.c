/* Proves: the oracles about what logs believe of their disks pass a good history that they judged,
 * and are the first to fire on a bad one. */
#include "tests/support/check_story.h"
#include "tests/support/support.h"

#include "client/base/list.h"
#include "sim/fault.h"

#include <stdio.h>

/* 0-9 is committed, and synced where it must be in durable mode. */
static const char setup[] =
    STORY_CLUSTER "1 log.appended 7 0 0 9 1 500 100\n1 log.synced 7 0 10\n" STORY_FIRST(
        "2") "2 log.synced 7 0 10\n1 replica.remote 7 0 2 10 0 2 1\n1 replica.hw 7 0 0 10 2 1\n";

#define POWERLESS     "0 sim.down 3 2 0\n0 sim.up 3 2\n"
#define STOPPED(node) "0 sim.down " node " 3 0\n0 sim.up " node " 2\n"
#define KILLED        "0 sim.down 3 1 0\n0 sim.up 3 3\n"
/* Node 3 has 0-9 and 10-19 of epoch 1; it cuts the second. */
#define CUT         STORY_FIRST("3") STORY_SECOND("3") "3 log.truncated 7 0 20 10 0 0\n"
#define SECOND_ON_1 "1 log.appended 7 0 10 19 1 501 100\n1 log.synced 7 0 20\n"
#define COUNTED     "1 replica.remote 7 0 2 20 0 2 1\n1 replica.hw 7 0 10 20 2 1\n"
#define FAILED      "0 sim.sync_failed 3 | data/orders-0/00000000000000000000.log\n"
#define TURNS       "turn 3\nturn 3\nturn 3\n"

static const struct check_case cases[] = {
    {"R48", STORY_FIRST("3") STOPPED("3") "3 log.opened 7 0 0 10 10 0 1 0\n",
     STORY_FIRST("3") STOPPED("3") "3 log.opened 7 0 0 10 10 0 1 0\n" KILLED
                                   "3 log.opened 7 0 0 10 10 0 1 0\n",
     false},
    {"S12", STORY_FIRST("3") POWERLESS "3 log.opened 7 0 0 0 0 0 0 0\n",
     "3 log.damaged 7 0 5 90 119\n", false},
    {"S17", CUT POWERLESS "3 log.epoch 7 0 1 -1\n3 log.opened 7 0 0 10 0 0 0 0\n",
     CUT POWERLESS "3 log.epoch 7 0 1 -1\n3 log.opened 7 0 0 20 0 0 0 0\n", false},
    {"S28", "1 log.cleaned 7 0 0 10 1 1 1\n", "1 log.cleaned 7 0 0 11 1 1 1\n", false},
    {"S29", STORY_FIRST("3") FAILED "3 log.synced 7 0 10\n",
     STORY_FIRST("3") FAILED TURNS "3 log.synced 7 0 10\n", false},
    {"S37", SECOND_ON_1 STORY_SECOND("2") "2 log.synced 7 0 20\n" COUNTED,
     SECOND_ON_1 STORY_SECOND("2") COUNTED, true},
};

static void each_oracle_of_check_disk_fires_first_on_its_bad_history(void **state)
{
    (void)state;
    check_story_prove("check_disk.c", setup, cases, COUNT_OF(cases));
}

/* Tells `story` behind the setup; NULL when nothing is wrong, else the id. */
static void tells(const char *story, const char *id)
{
    CHECK_STORY(id, setup, story);
}

static void damage_on_a_disk_that_rots_is_no_broken_promise(void **state)
{
    char story[96];

    (void)state;
    (void)snprintf(story, sizeof story,
                   "0 sim.fault %d 1 0 3 0 | rot\n3 log.damaged 7 0 5 90 119\n",
                   (int)SIM_FAULT_DISK_ROT);
    tells(story, NULL);
}

static void a_log_in_flight_of_a_later_epoch_may_stand_behind_the_cut(void **state)
{
    (void)state;
    tells(CUT POWERLESS "3 log.epoch 7 0 2 -1\n3 log.opened 7 0 0 20 0 0 0 0\n", NULL);
}

static void a_cache_that_misses_the_last_epoch_is_noticed_when_the_log_opens(void **state)
{
    (void)state;
    tells(STORY_FIRST("3") POWERLESS "3 log.epoch 7 0 1 -1\n3 log.opened 7 0 0 10 0 0 0 0\n", NULL);
    tells(STORY_FIRST("3") POWERLESS "3 log.epoch 7 0 -1 -1\n3 log.opened 7 0 0 10 0 0 0 0\n",
          "R4");
}

static void the_newest_epoch_in_memory_begins_where_it_began(void **state)
{
    struct check_replica memory = {.topic = 7,
                                   .log_end = 10,
                                   .high_watermark = -1,
                                   .leader_epoch = -1,
                                   .role = -1,
                                   .with_epoch = true,
                                   .newest_epoch = 1};
    struct check_config config;

    (void)state;
    check_config_init(&config);
    for (int i = 0; i < 3; i++) {
        struct check *check = check_create(&config);

        check_story_tell(check, setup);
        memory.newest_epoch = i == 1 ? 2 : 1;
        memory.newest_start = i == 2 ? 5 : 0;
        assert_true(check_compare_replica(check, 90, 1, &memory) == (i == 0));
        if (i > 0) assert_string_equal(check_violation(check)->id, "R4");
        check_destroy(check);
    }
}

/* A metadata log is in a directory of its own. */
static void a_sync_of_another_directory_counts(void **state)
{
    (void)state;
    tells("0 sim.sync_failed 101 | data/orders-0/00000000000000000000.log\n"
          "turn 101\nturn 101\nturn 101\n101 log.synced 0 0 10\n",
          NULL);
}

static void a_life_that_never_opened_a_log_takes_no_marker_from_it(void **state)
{
    (void)state;
    tells(STORY_FIRST("3") STOPPED("3") KILLED "3 log.opened 7 0 0 10 10 0 1 0\n", NULL);
}

static void the_own_log_of_a_leader_counts_in_durable_mode_when_it_is_synced(void **state)
{
    const struct check_case leader = {
        "S37", SECOND_ON_1 STORY_SECOND("2") "2 log.synced 7 0 20\n" COUNTED,
        "1 log.appended 7 0 10 19 1 501 100\n" STORY_SECOND("2") "2 log.synced 7 0 20\n" COUNTED,
        true};

    (void)state;
    check_story_prove_one(&leader, setup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_oracle_of_check_disk_fires_first_on_its_bad_history),
        cmocka_unit_test(damage_on_a_disk_that_rots_is_no_broken_promise),
        cmocka_unit_test(a_log_in_flight_of_a_later_epoch_may_stand_behind_the_cut),
        cmocka_unit_test(a_cache_that_misses_the_last_epoch_is_noticed_when_the_log_opens),
        cmocka_unit_test(the_newest_epoch_in_memory_begins_where_it_began),
        cmocka_unit_test(a_sync_of_another_directory_counts),
        cmocka_unit_test(a_life_that_never_opened_a_log_takes_no_marker_from_it),
        cmocka_unit_test(the_own_log_of_a_leader_counts_in_durable_mode_when_it_is_synced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

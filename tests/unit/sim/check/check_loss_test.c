/* Proves: the ledger of losses refuses what would take the last proof of who has everything, and
 * lets go what takes none. */
#include "tests/support/check_story.h"
#include "tests/support/support.h"

#include "client/base/assert.h"

/* 0-9 is committed on nodes 1 and 2; node 1, the leader, lost what it had not synced. */
static const char setup[] = STORY_CLUSTER STORY_DATA;
static const char lost_and_down[] = "0 sim.down 1 2 0\n";
static const char lost_and_back[] =
    "0 sim.down 1 2 0\n0 sim.up 1 2\n1 log.opened 7 0 0 0 0 0 0 0\n";

static struct check *told(const char *story)
{
    struct check_config config;
    struct check *check;

    check_config_init(&config);
    check = check_create(&config);
    check_topic_min_isr(check, "orders", 1);
    check_story_tell(check, setup);
    check_story_tell(check, story);
    if (check_violation(check) != NULL) fail_msg("%s", check_violation(check)->text);
    return check;
}

static bool room(const char *story, const int32_t *ids, uint32_t count, enum check_loss_kind kind)
{
    struct check *check = told(story);
    struct check_loss loss = {0};
    bool is = check_loss_room(check, ids, count, kind, &loss);

    if (!is) {
        assert_int_equal(loss.topic, 7);
        assert_int_equal(loss.partition, 0);
    }
    check_destroy(check);
    return is;
}

/* A record of the controller that makes the partition leaderless, with its elr and last leader. */
#define LEADERLESS(elr)              \
    "101 topic.known 7 1 | orders\n" \
    "101 controller.partition 7 0 -1 2 1 20 | isr - replicas 1,2,3 elr " elr "\n"

static struct check_member member(const char *story, int32_t node)
{
    struct check *check = told(story);
    struct check_member is = check_partition_member(check, "orders", 0, node);

    check_destroy(check);
    return is;
}

/* Swarm-groups, seed 1000033: node 2 was all that was eligible, and was so no longer as its machine
 * had been restarted; node 1 alone could lead then. */
static void the_last_leader_is_known_while_another_is_eligible(void **state)
{
    (void)state;
    assert_true(member(LEADERLESS("2 last 1"), 1).last_leader);
    assert_false(member(LEADERLESS("2 last 1"), 2).last_leader);
    assert_true(member(LEADERLESS("2 last 1"), 2).in_sync);
    assert_true(member(LEADERLESS("- last 1"), 1).last_leader);
    assert_false(member(LEADERLESS("1,2 last -"), 1).last_leader);
    assert_false(member("101 topic.known 7 1 | orders\n", 1).last_leader);
}

/* Swarm-groups, seed 173339302686534: the request that would let node 3 in was still on its way as
 * the faults ended, and the lease of node 1 as good as over: node 3 led alone a little later. */
#define JOINS                                     \
    "101 topic.known 7 1 | orders\n" STORY_FIRST( \
        "3") "1 replica.remote 7 0 3 10 0 3 1\n1 replica.isr 7 0 1 0 0 | 1,2,3\n"

static void who_is_about_to_join_is_known_while_the_leader_waits_for_the_answer(void **state)
{
    (void)state;
    assert_true(member(JOINS, 3).joining);
    assert_false(member(JOINS, 2).joining);
    assert_false(member("101 topic.known 7 1 | orders\n", 3).joining);
}

static void all_machines_may_restart_while_nobody_has_lost_anything(void **state)
{
    static const int32_t all[] = {1, 2, 3};

    (void)state;
    assert_true(room("", all, 3, CHECK_LOSS_MACHINE));
}

/* The controller still believes node 1 to lead and to be in sync. When the others have left the
 * ISR, for their machines restarted as well, the last known leader is the one without the data. */
static void no_machine_restarts_with_one_that_lost_its_data(void **state)
{
    static const int32_t all[] = {1, 2, 3}, both[] = {1, 2}, other[] = {2};

    (void)state;
    assert_false(room(lost_and_down, all, 3, CHECK_LOSS_MACHINE));
    assert_false(room(lost_and_back, all, 3, CHECK_LOSS_MACHINE));
    assert_false(room(lost_and_back, both, 2, CHECK_LOSS_MACHINE));
    assert_false(room(lost_and_down, other, 1, CHECK_LOSS_MACHINE));
}

static void the_one_that_lost_its_data_may_restart_alone(void **state)
{
    static const int32_t one[] = {1};

    (void)state;
    assert_true(room(lost_and_down, one, 1, CHECK_LOSS_MACHINE));
    assert_true(room(lost_and_back, one, 1, CHECK_LOSS_MACHINE));
}

/* A process that was killed proves by the boot of its machine that it has everything. */
static void processes_may_die_with_one_that_lost_its_data(void **state)
{
    static const int32_t all[] = {1, 2, 3};

    (void)state;
    assert_true(room(lost_and_back, all, 3, CHECK_LOSS_PROCESS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_leader_is_known_while_another_is_eligible),
        cmocka_unit_test(who_is_about_to_join_is_known_while_the_leader_waits_for_the_answer),
        cmocka_unit_test(all_machines_may_restart_while_nobody_has_lost_anything),
        cmocka_unit_test(no_machine_restarts_with_one_that_lost_its_data),
        cmocka_unit_test(the_one_that_lost_its_data_may_restart_alone),
        cmocka_unit_test(processes_may_die_with_one_that_lost_its_data),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

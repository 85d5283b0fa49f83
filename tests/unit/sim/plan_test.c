/* Proves: a plan that is written is read again the same; the committed sample of this version is
 * read; what is newer, cut or damaged is refused with a sentence; the faults of a plan become a
 * scenario that parses, with roles and variables instead of numbers. */
#include "sim/replay.h"
#include "tests/support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char sample_path[] = "tests/golden/plan-1.gplan";

static char *read_sample(size_t *length)
{
    FILE *file = fopen(sample_path, "rb");
    char *text = calloc(1, 1 << 20);

    assert_non_null(file);
    *length = fread(text, 1, (1 << 20) - 1, file);
    (void)fclose(file);
    return text;
}

static void sample_of_this_version_is_read(void **state)
{
    char error[PLAN_ERROR_MAX] = "";
    struct plan *plan = plan_load(sample_path, error);

    (void)state;
    assert_string_equal(error, "");
    assert_non_null(plan);
    assert_string_equal(plan->scenario, "false-hope");
    assert_int_equal(plan->seed, 7);
    assert_string_equal(plan->verdict, "FAIL");
    assert_string_equal(plan->signature, "FAIL expect never leader(orders-0).leo > 800");
    assert_true(plan->checkpoints.count > 10);
    assert_int_equal(plan->fault_count, 2);
    assert_string_equal(plan->faults[0].anchor, "leader(orders-0)");
    assert_true(plan->faults[0].time_ns > 2 * NS_PER_SEC);
    assert_true(plan->faults[0].log_end > 100);
    assert_string_equal(plan->faults[0].was,
                        "crash: {node: [node(1)], how: power_loss, unsynced: random}");
    assert_int_equal(plan->faults[1].node, 1);
    assert_true(plan->site_count > 10);
    assert_int_equal(plan->sites[0].site.what, DECIDE_CLUSTER_ID);
    plan_destroy(plan);
}

static void newer_version_is_refused_by_its_number(void **state)
{
    char error[PLAN_ERROR_MAX] = "";
    size_t length;
    char *text = read_sample(&length);

    (void)state;
    text[strlen("gregor-plan ")] = '0' + PLAN_VERSION + 1;
    assert_null(plan_parse(text, length, error));
    assert_string_equal(error, "a plan of version 2; this program reads up to version 1");
    assert_null(plan_parse("PK\3\4zip", 7, error));
    assert_string_equal(error, "this is no plan file");
    free(text);
}

static void what_is_cut_or_damaged_is_refused(void **state)
{
    char error[PLAN_ERROR_MAX];
    size_t length;
    char *text = read_sample(&length);
    struct rng rng;

    (void)state;
    for (size_t cut = 0; cut < length; cut += 1 + length / 400) {
        error[0] = '\0';
        assert_null(plan_parse(text, cut, error));
        assert_true(error[0] != '\0');
    }
    rng_init(&rng, 5);
    for (uint32_t i = 0; i < 2000; i++) { /* never a crash: under ASan */
        size_t at = rng_below(&rng, length);
        char was = text[at];
        struct plan *plan;

        text[at] = (char)rng_below(&rng, 256);
        error[0] = '\0';
        plan = plan_parse(text, length, error);
        assert_true((plan == NULL) == (error[0] != '\0'));
        plan_destroy(plan);
        text[at] = was;
    }
    free(text);
}

static void what_is_written_is_read_again(void **state)
{
    char error[PLAN_ERROR_MAX];
    char path[] = "/tmp/plan_test-XXXXXX";
    struct plan *plan = plan_load(sample_path, error);
    struct plan *again;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_true(plan_save(plan, path));
    again = plan_load(path, error);
    assert_non_null(again);
    assert_string_equal(again->text, plan->text);
    assert_int_equal(again->hash, plan->hash);
    assert_memory_equal(&again->checkpoints, &plan->checkpoints, sizeof again->checkpoints);
    assert_int_equal(again->fault_count, plan->fault_count);
    for (uint32_t i = 0; i < plan->fault_count; i++) {
        assert_string_equal(again->faults[i].does, plan->faults[i].does);
        assert_string_equal(again->faults[i].when, plan->faults[i].when);
        assert_int_equal(again->faults[i].time_ns, plan->faults[i].time_ns);
    }
    assert_int_equal(again->site_count, plan->site_count);
    for (uint32_t i = 0; i < plan->site_count; i++) {
        assert_int_equal(again->sites[i].count, plan->sites[i].count);
        assert_memory_equal(again->sites[i].values, plan->sites[i].values,
                            plan->sites[i].count * sizeof(int64_t));
    }
    assert_int_equal(replay_diverged(plan, again), plan->fault_count);
    (void)remove(path);
    plan_destroy(plan);
    plan_destroy(again);
}

static void faults_become_steps_by_role(void **state)
{
    char error[PLAN_ERROR_MAX];
    struct plan *plan = plan_load(sample_path, error);
    struct yaml_error wrong = {""};
    char *text = plan_to_scenario(plan, true);
    struct scenario *scenario = scenario_parse("plan", text, strlen(text), &wrong);

    (void)state;
    assert_string_equal(wrong.text, "");
    assert_int_equal(scenario->step_count, 2);
    assert_int_equal(scenario->expect_count, 1);
    assert_non_null(strstr(text, "  - when: leader(orders-0).leo >= "));
    assert_non_null(strstr(text, "    as: {v1: leader(orders-0)}\n"));
    assert_non_null(strstr(text, "crash: {node: [$v1], how: power_loss"));
    assert_non_null(strstr(text, "restart: {node: [$v1]}"));
    scenario_destroy(scenario);
    free(text);
    /* Scripted faults: the steps that made them are the better anchors. */
    text = plan_to_scenario(plan, false);
    assert_string_equal(text, plan->text);
    free(text);
    plan_destroy(plan);
}

static void divergence_is_the_first_other_fault(void **state)
{
    char error[PLAN_ERROR_MAX];
    struct plan *plan = plan_load(sample_path, error);
    struct plan *again = plan_load(sample_path, error);

    (void)state;
    again->faults[0].node = 3; /* another machine in the same role is no difference */
    assert_int_equal(replay_diverged(plan, again), 2);
    (void)snprintf(again->faults[1].does, PLAN_ACTION_MAX, "heal: {links: all}");
    assert_int_equal(replay_diverged(plan, again), 1);
    again->fault_count = 0;
    assert_int_equal(replay_diverged(plan, again), 0);
    plan_destroy(plan);
    plan_destroy(again);
}

static void runs_part_behind_the_last_equal_checkpoint(void **state)
{
    struct sim_checkpoints fine = {.shift = 8, .count = 10};
    struct sim_checkpoints coarse = {.shift = 10, .count = 2};
    uint64_t equal;

    (void)state;
    for (uint32_t i = 0; i < 10; i++)
        fine.hash[i] = i + 1;
    coarse.hash[0] = fine.hash[3];
    coarse.hash[1] = fine.hash[7];
    assert_int_equal(replay_parted(&fine, &coarse, &equal), 0);
    assert_int_equal(equal, 2048);
    coarse.hash[1]++;
    assert_int_equal(replay_parted(&fine, &coarse, &equal), 2048);
    assert_int_equal(equal, 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sample_of_this_version_is_read),
        cmocka_unit_test(newer_version_is_refused_by_its_number),
        cmocka_unit_test(what_is_cut_or_damaged_is_refused),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(faults_become_steps_by_role),
        cmocka_unit_test(divergence_is_the_first_other_fault),
        cmocka_unit_test(runs_part_behind_the_last_equal_checkpoint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

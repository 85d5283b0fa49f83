/* Proves: the registry is whole and the README tells it; verdicts are kept, counted and the same
 * again; losses are excused with the step that paid; the ghost is compared with memory; a long run
 * stays small in what it keeps. */
#include "tests/support/check_story.h"
#include "tests/support/support.h"

#include "client/base/assert.h"
#include "sim/check/check_private.h"

#include <stdio.h>
#include <string.h>

static struct check *begin(const char *story)
{
    struct check_config config;
    struct check *check;

    check_config_init(&config);
    check = check_create(&config);
    check_story_tell(check, story);
    return check;
}

static void every_oracle_has_its_own_id_and_name_and_a_file_with_tests(void **state)
{
    static const char *const files[] = {
        "check_log.c",     "check_recovery.c",   "check_disk.c",  "check_replica.c",
        "check_isr.c",     "check_controller.c", "check_raft.c",  "check_snapshot.c",
        "check_history.c", "check_liveness.c",   "check_group.c", "check_voters.c",
        "check_consumer.c"};
    const struct check_info *a, *b;

    (void)state;
    for (uint32_t i = 0; (a = check_list(i)) != NULL; i++) {
        bool known = false;

        for (uint32_t n = 0; n < COUNT_OF(files); n++)
            known = known || strcmp(a->file, files[n]) == 0;
        assert_true(known);
        assert_true(strlen(a->sentence) > 10);
        for (uint32_t j = 0; j < i; j++) {
            b = check_list(j);
            assert_string_not_equal(a->id, b->id);
            assert_string_not_equal(a->name, b->name);
        }
    }
    assert_null(check_list(CHECK_ID_COUNT));
}

static void the_readme_has_one_row_for_each_oracle_in_order(void **state)
{
    static const char classes[] = "EPQHL";
    FILE *file = fopen("sim/check/README.md", "r");
    const struct check_info *info;
    char line[512], row[512];
    uint32_t i = 0;
    bool rows = false;

    (void)state;
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (rows) {
            info = check_list(i++);
            assert_non_null(info);
            (void)snprintf(row, sizeof row, "| %s | %s | %c | %s | %s |\n", info->id, info->name,
                           classes[info->class], info->sentence, info->file);
            assert_string_equal(line, row);
        }
        if (strncmp(line, "| id |", 6) == 0) {
            assert_non_null(fgets(line, sizeof line, file));
            rows = true;
        }
    }
    (void)fclose(file);
    assert_int_equal(i, CHECK_ID_COUNT);
}

static void an_oracle_that_saw_nothing_counts_nothing(void **state)
{
    struct check *check = begin("");
    struct check_stat stat;

    (void)state;
    for (uint32_t i = 0; check_stats(check, i, &stat); i++)
        assert_int_equal(stat.evaluations, 0);
    check_finish(check, 0);
    assert_null(check_violation(check));
    check_destroy(check);
}

static void the_first_violation_is_kept_with_its_place(void **state)
{
    struct check *check = begin(STORY_CLUSTER STORY_DATA "1 replica.hw 7 0 10 5 2 1\n"
                                                         "1 log.appended 7 0 99 99 1 5 1\n");
    const struct check_violation *violation = check_violation(check);

    (void)state;
    assert_non_null(violation);
    assert_string_equal(violation->id, "R6");
    assert_string_equal(violation->name, "leader-hw-monotone");
    assert_int_equal(violation->node, 1);
    assert_int_equal(violation->topic, 7);
    assert_int_equal(violation->partition, 0);
    assert_int_equal(violation->epoch, 1);
    assert_int_equal(violation->offset, 5);
    assert_string_equal(violation->text, "high watermark went back in epoch 1: 10 -> 5");
    check_destroy(check);
}

/* Both in-sync replicas lose their memory; the budget is none. */
#define LOSS                                                                             \
    STORY_CLUSTER STORY_DATA "201 client.send 7 0 5 1 0\n201 client.acked 7 0 5 3 9\n"   \
                             "0 sim.step 4 | all lights go out\n"                        \
                             "0 sim.down 1 2 0\n0 sim.down 2 2 0\n0 sim.up 2 2\n"        \
                             "2 log.opened 7 0 0 0 0 0 0 0\n"                            \
                             "101 controller.partition 7 0 2 2 1 11 | isr 1,2 replicas " \
                             "1,2,3 elr -\n" STORY_COMMIT                                \
                             "2 log.epoch 7 0 2 0\n2 replica.role 7 0 2 2 2 1\n"         \
                             "2 replica.leading 7 0 2 0 0\n"

static void a_loss_beyond_the_budget_is_excused_and_names_the_step(void **state)
{
    struct check *check = begin(LOSS "2 log.appended 7 0 0 0 2 9 10\n201 client.position 7 0 0 1\n"
                                     "201 client.send 7 0 6 1 0\n202 client.acked 7 0 6 0 9\n"
                                     "201 client.read 7 0 0 6 2\nphase 3\nfinish\n");
    const struct check_violation *excused = check_excused(check, 0);

    (void)state;
    if (check_violation(check) != NULL) fail_msg("%s", check_violation(check)->text);
    assert_non_null(excused);
    assert_string_equal(excused->id, "R44");
    assert_int_equal(excused->offset, 0);
    assert_non_null(strstr(excused->text, "node 2 lost data by step 4 (all lights go out)"));
    assert_null(check_excused(check, 1));
    check_destroy(check);
}

static void nothing_excuses_a_loss_that_nobody_paid_for(void **state)
{
    struct check *check =
        begin(STORY_CLUSTER STORY_DATA "201 client.send 7 0 5 1 0\n201 client.acked 7 0 5 3 9\n"
                                       "phase 3\nfinish\n");

    (void)state;
    assert_non_null(check_violation(check));
    assert_string_equal(check_violation(check)->id, "C7");
    check_destroy(check);
}

static void an_unclean_election_pays_for_what_it_loses(void **state)
{
    struct check *check = begin(
        STORY_CLUSTER STORY_DATA
        "101 controller.partition 7 0 3 2 1 11 | isr 3 replicas 1,2,3 elr - unclean\n" STORY_COMMIT
        "3 log.epoch 7 0 2 0\n3 replica.role 7 0 2 3 2 1\n3 replica.leading 7 0 2 0 0\n");

    (void)state;
    if (check_violation(check) != NULL) fail_msg("%s", check_violation(check)->text);
    assert_string_equal(check_excused(check, 0)->id, "R17");
    check_destroy(check);
}

static void what_a_deposed_controller_wrote_in_vain_is_forgotten(void **state)
{
    /* Offset 11 of epoch 1 is written, then replaced by the successor's entry. */
    struct check *check =
        begin(STORY_CLUSTER STORY_DATA
              "101 controller.partition 7 0 2 2 1 11 | isr 1,2 replicas 1,2,3 elr -\nturn 101\n"
              "101 controller.renounced 1 11 0\n101 raft.state 3 5 1 -1 101\n"
              "101 raft.stored 2 -1 101\n101 raft.elected 2 10 1 1\n101 raft.state 5 3 2 101 101\n"
              "101 log.epoch 0 0 2 10\n101 log.appended 0 0 10 19 2 80 10\n101 log.synced 0 0 20\n"
              "101 raft.hw 10 20 2 1\n101 controller.active 2 20\n"
              "101 controller.partition 7 0 1 1 1 20 | isr 1 replicas 1,2,3 elr -\nturn 101\n"
              "3 replica.role 7 0 1 1 1 0\n");

    (void)state;
    if (check_violation(check) != NULL) fail_msg("%s", check_violation(check)->text);
    check_destroy(check);
}

static void the_ghost_is_compared_with_memory(void **state)
{
    struct check *check = begin(STORY_CLUSTER STORY_DATA);
    struct check_replica memory = {.topic = 7,
                                   .partition = 0,
                                   .log_end = 10,
                                   .high_watermark = 10,
                                   .leader_epoch = 1,
                                   .role = TRACE_ROLE_LEADER};

    (void)state;
    assert_true(check_compare_replica(check, 5, 1, &memory));
    memory.high_watermark = 9;
    assert_false(check_compare_replica(check, 6, 1, &memory));
    assert_string_equal(check_violation(check)->id, "GHOST");
    assert_string_equal(check_violation(check)->text,
                        "high watermark: the events say 10, the node's memory 9");
    check_destroy(check);
}

static void a_reset_is_in_memory_before_it_is_told(void **state)
{
    struct check_replica memory = {.topic = 7,
                                   .partition = 0,
                                   .log_end = 40,
                                   .high_watermark = 40,
                                   .leader_epoch = 1,
                                   .role = TRACE_ROLE_LEADER};

    (void)state;
    for (int64_t end = 40; end < 42; end++) {
        struct check *check = begin(STORY_CLUSTER STORY_DATA "1 log.cutting 7 0 10 40 10 1\n");

        memory.log_end = end;
        assert_true(check_compare_replica(check, 5, 1, &memory) == (end == 40));
        check_destroy(check);
    }
}

#define LIVELY "2 replica.hw 7 0 0 10 1 1\n101 meta.applied 9 1 5\n"
static void liveness_is_judged_when_the_drain_is_over_and_asks_the_core_only(void **state)
{
    struct check *all = begin(STORY_CLUSTER STORY_DATA LIVELY "0 sim.phase 2\n+120000\n"
                                                              "0 sim.phase 3\n");
    struct check *core = begin(STORY_CLUSTER STORY_DATA LIVELY
                               "0 sim.phase 2 | 1,2,101\n+120000\n0 sim.phase 3\n"
                               "0 sim.down 1 3 0\n0 sim.down 2 3 0\n0 sim.down 101 3 0\nfinish\n");
    struct check *brief = begin(STORY_CLUSTER STORY_DATA LIVELY "phase 2\n+20\nphase 3\nfinish\n");
    struct check_stat stat;

    (void)state;
    assert_non_null(check_violation(all)); /* broker 3 is alive and not in the ISR */
    assert_string_equal(check_violation(all)->id, "R52");
    if (check_violation(core) != NULL) fail_msg("%s", check_violation(core)->text);
    assert_true(check_stats(core, CHECK_R52, &stat));
    assert_int_equal(stat.evaluations, 2);
    assert_null(check_violation(brief));
    assert_true(check_stats(brief, CHECK_R52, &stat));
    assert_int_equal(stat.evaluations, 0);
    check_destroy(all);
    check_destroy(core);
    check_destroy(brief);
}

static void emit(struct check *check, int64_t now, int32_t node, struct trace_event event)
{
    check_event(check, now, node, &event);
}

static void a_long_run_is_judged_batch_by_batch(void **state)
{
    struct check *check = begin(STORY_CLUSTER);
    struct check_stat stat;
    int64_t now = 1000000000;

    (void)state;
    for (int64_t i = 0; i < 50000; i++, now++) {
        for (int32_t node = 1; node <= 2; node++)
            emit(check, now, node,
                 (struct trace_event){TRACE_LOG_APPENDED, 7, {7, 0, i, i, 1, i * 7, 100}, STR("")});
        emit(check, now, 1,
             (struct trace_event){TRACE_REPLICA_HW, 6, {7, 0, i, i + 1, 2, 1}, STR("")});
        emit(check, now, 201, (struct trace_event){TRACE_CLIENT_SEND, 5, {7, 0, i, 1, 0}, STR("")});
        emit(check, now, 201,
             (struct trace_event){TRACE_CLIENT_ACKED, 5, {7, 0, i, i, 1}, STR("")});
        emit(check, now, 202, (struct trace_event){TRACE_CLIENT_READ, 5, {7, 0, i, i, 1}, STR("")});
    }
    if (check_violation(check) != NULL) fail_msg("%s", check_violation(check)->text);
    assert_true(check_stats(check, CHECK_R8, &stat));
    assert_int_equal(stat.evaluations, 50000);
    assert_int_equal(check->batches.count, 50000 + 2); /* the unknown, one of metadata */
    assert_int_equal(check->values.count, 50000);
    check_destroy(check);
}

/* Committed with one in-sync replica, because the leader says that one is enough. */
static void the_configured_min_isr_is_judged_whatever_the_leader_says(void **state)
{
    static const char alone[] =
        STORY_CLUSTER "1 log.appended 7 0 0 9 1 500 100\n"
                      "101 controller.partition 7 0 1 1 1 10 | isr 1 replicas 1,2,3 elr -\n"
                      "1 produce.appended 7 0 0 9 1 -1 1 1\n" STORY_COMMIT
                      "1 replica.isr 7 0 1 1 1 | 1\n1 replica.hw 7 0 0 10 2 1\n"
                      "1 produce.answered 7 0 0 9 0 -1 10 1\n";
    struct check *check = begin(alone);

    (void)state;
    assert_null(check_violation(check));
    check_destroy(check);
    for (int known_first = 0; known_first < 2; known_first++) {
        struct check_config config;

        check_config_init(&config);
        check = check_create(&config);
        check_topic_min_isr(check, "orders", 2);
        if (known_first) check_story_tell(check, "101 topic.known 7 1 | orders\n");
        check_story_tell(check, STORY_CLUSTER);
        if (!known_first) check_story_tell(check, "101 topic.known 7 1 | orders\n");
        check_story_tell(check, alone + strlen(STORY_CLUSTER));
        assert_non_null(check_violation(check));
        assert_string_equal(check_violation(check)->id, "R20");
        check_destroy(check);
    }
    check = begin("101 topic.known 7 1 | orders\n");
    check_topic_min_isr(check, "orders", 2);
    check_topic_min_isr(check, "orders", 0); /* changed since: believed again */
    check_story_tell(check, alone);
    assert_null(check_violation(check));
    check_destroy(check);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_oracle_has_its_own_id_and_name_and_a_file_with_tests),
        cmocka_unit_test(the_readme_has_one_row_for_each_oracle_in_order),
        cmocka_unit_test(an_oracle_that_saw_nothing_counts_nothing),
        cmocka_unit_test(the_first_violation_is_kept_with_its_place),
        cmocka_unit_test(a_loss_beyond_the_budget_is_excused_and_names_the_step),
        cmocka_unit_test(nothing_excuses_a_loss_that_nobody_paid_for),
        cmocka_unit_test(an_unclean_election_pays_for_what_it_loses),
        cmocka_unit_test(what_a_deposed_controller_wrote_in_vain_is_forgotten),
        cmocka_unit_test(the_ghost_is_compared_with_memory),
        cmocka_unit_test(a_reset_is_in_memory_before_it_is_told),
        cmocka_unit_test(liveness_is_judged_when_the_drain_is_over_and_asks_the_core_only),
        cmocka_unit_test(the_configured_min_isr_is_judged_whatever_the_leader_says),
        cmocka_unit_test(a_long_run_is_judged_batch_by_batch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Proves: AlterReplicaLogDirs in both versions: who may be moved where, what a request is told that
 * names something else, and that DescribeLogDirs shows the replica where it is, and beside it the
 * copy that grows (KIP-113). */
#include "tests/support/raw_client.h"

#include "broker/log/log_private.h"
#include "wire/alter_replica_log_dirs.h"
#include "wire/delete_records.h"
#include "wire/describe_log_dirs.h"

#include <stdio.h>
#include <string.h>

static struct node_box box;
static struct raw_client raw;

static struct alter_replica_log_dirs_request request;
static struct alter_replica_log_dirs_response response;
static struct describe_log_dirs_response described;

static void begin(uint64_t seed)
{
    node_box_init(&box, seed, "a", "log.dirs=data,second\n");
    node_box_start_all(&box);
    raw_open(&raw, &box, 0, NODE_BOX_PORT);
    raw_create_topic(&raw, "t", 2, 1);
}

static void end(void)
{
    raw_close(&raw);
    node_box_stop(&box, 0, 90000);
    node_box_deinit(&box);
}

static int16_t move(int16_t version, const char *path, const char *topic, int32_t partition)
{
    struct alter_replica_log_dirs_request_topic of;
    struct alter_replica_log_dirs_request_dir dir;

    alter_replica_log_dirs_request_default(&request);
    alter_replica_log_dirs_request_topic_default(&of);
    alter_replica_log_dirs_request_dir_default(&dir);
    of.name = str_of(topic);
    of.partitions = &partition;
    of.partitions_count = 1;
    dir.path = str_of(path);
    dir.topics = &of;
    dir.topics_count = 1;
    request.dirs = &dir;
    request.dirs_count = 1;
    raw_ask(&raw, API_ALTER_REPLICA_LOG_DIRS, version, &request, &response);
    assert_int_equal(response.results_count, 1);
    assert_true(str_equal(response.results[0].topic_name, str_of(topic)));
    assert_int_equal(response.results[0].partitions_count, 1);
    assert_int_equal(response.results[0].partitions[0].partition_index, partition);
    return response.results[0].partitions[0].error_code;
}

/* Beside whatever the connection waits for. */
static void move_unasked(int32_t partition, uint32_t dir)
{
    struct manager *replicas = &box.node[0].node->replicas;
    struct partition *part;

    assert_int_equal(manager_find_by_name(replicas, STR("t"), partition, &part), ERR_NONE);
    assert_int_equal(manager_move(replicas, part, dir), ERR_NONE);
}

/* The row of t-`partition` in that directory; NULL: none. */
static const struct describe_log_dirs_response_partition *shown(uint32_t dir, int32_t partition)
{
    struct describe_log_dirs_request all;

    describe_log_dirs_request_default(&all);
    all.topics_null = true;
    raw_ask(&raw, API_DESCRIBE_LOG_DIRS, 4, &all, &described);
    assert_int_equal(described.results_count, 2);
    for (uint32_t t = 0; t < described.results[dir].topics_count; t++) {
        const struct describe_log_dirs_response_topic *topic = &described.results[dir].topics[t];

        if (!str_equal(topic->name, STR("t"))) continue;
        for (uint32_t p = 0; p < topic->partitions_count; p++)
            if (topic->partitions[p].partition_index == partition) return &topic->partitions[p];
    }
    return NULL;
}

static void a_replica_is_shown_where_it_has_moved(void **state)
{
    (void)state;
    begin(1);
    for (int16_t version = 1; version <= 2; version++) {
        const char *path = version == 1 ? "second" : "data";
        uint32_t to = version == 1 ? 1 : 0;

        assert_non_null(shown(1 - to, 0));
        assert_int_equal(move(version, path, "t", 0), ERR_NONE);
        for (uint32_t i = 0; i < 1000 && shown(1 - to, 0) != NULL; i++) {
            const struct describe_log_dirs_response_partition *there = shown(to, 0);

            assert_true(there == NULL || there->is_future_key || shown(1 - to, 0) == NULL);
        }
        assert_null(shown(1 - to, 0));
        assert_non_null(shown(to, 0));
        assert_false(shown(to, 0)->is_future_key);
        assert_int_equal(shown(to, 0)->offset_lag, 0);
        /* It is there already: nothing is begun. */
        assert_int_equal(move(version, path, "t", 0), ERR_NONE);
        assert_null(shown(1 - to, 0));
    }
    assert_int_equal(box.node[0].node->replicas.moved, 2);
    end();
}

/* A leader whose proposal is undecided keeps its role: the move waits with a level copy. */
static void a_copy_is_shown_beside_what_it_copies(void **state)
{
    struct partition *part;

    (void)state;
    begin(2);
    assert_int_equal(manager_find_by_name(&box.node[0].node->replicas, STR("t"), 0, &part),
                     ERR_NONE);
    /* It does not let go of its role, so the copy is level and stays one. */
    part->isr.state = ISR_EXPANDING;
    assert_int_equal(move(2, "second", "t", 0), ERR_NONE);
    node_box_run_ms(&box, 500);
    assert_non_null(shown(0, 0));
    assert_false(shown(0, 0)->is_future_key);
    assert_non_null(shown(1, 0));
    assert_true(shown(1, 0)->is_future_key);
    assert_int_equal(shown(1, 0)->offset_lag, 0);
    /* Taken back. */
    assert_int_equal(move(2, "data", "t", 0), ERR_NONE);
    node_box_run_ms(&box, 500);
    assert_null(shown(1, 0));
    part->isr.state = ISR_COMMITTED;
    node_box_run_ms(&box, 500);
    assert_non_null(shown(0, 0));
    assert_int_equal(box.node[0].node->replicas.moved, 0);
    end();
}

static bool has_moved(void *context)
{
    (void)context;
    return box.node[0].node->replicas.moved == 1;
}

/* What it waits for is the checkpoint of the directory in which the log start moved. */
static void a_deletion_is_answered_though_the_replica_moves_meanwhile(void **state)
{
    static uint8_t batch[512];
    struct sim_disk_rule full = {.ops = 1U << DISK_WRITE, .times = 1, .error = ERR_NO_SPACE};
    struct delete_records_request_partition partition;
    struct delete_records_request_topic topic;
    struct delete_records_request ask;
    struct delete_records_response answer;

    (void)state;
    begin(5);
    raw_produce(&raw, "t", 0, raw_batch(batch, sizeof batch, 2, 10));
    (void)snprintf(full.glob, sizeof full.glob, "%s", "*data/log-start-offset-checkpoint*");
    (void)sim_break_disk(box.node[0].world, &full); /* it is tried again, much later */
    delete_records_request_default(&ask);
    delete_records_request_topic_default(&topic);
    delete_records_request_partition_default(&partition);
    partition.offset = 1;
    topic.name = STR("t");
    topic.partitions = &partition;
    topic.partitions_count = 1;
    ask.topics = &topic;
    ask.topics_count = 1;
    ask.timeout_ms = 60000;
    raw_request(&raw, API_DELETE_RECORDS, 2, &ask);
    node_box_run_ms(&box, 100);
    move_unasked(0, 1);
    assert_true(node_box_until(&box, 10000, has_moved, NULL));
    node_box_run_ms(&box, 100);
    assert_null(op_loop_probe(&box.node[0].node->env.loop));
    raw_response(&raw, API_DELETE_RECORDS, 2, &answer);
    assert_int_equal(answer.topics[0].partitions[0].error_code, ERR_NONE);
    assert_int_equal(answer.topics[0].partitions[0].low_watermark, 1);
    end();
}

static void what_cannot_be_moved_is_told(void **state)
{
    (void)state;
    begin(3);
    for (int16_t version = 1; version <= 2; version++) {
        assert_int_equal(move(version, "elsewhere", "t", 0), ERR_LOG_DIR_NOT_FOUND);
        assert_int_equal(move(version, "", "t", 0), ERR_LOG_DIR_NOT_FOUND);
        assert_int_equal(move(version, "second", "nothing", 0), ERR_REPLICA_NOT_AVAILABLE);
        assert_int_equal(move(version, "second", "t", 7), ERR_REPLICA_NOT_AVAILABLE);
        assert_int_equal(move(version, "second", "t", -1), ERR_REPLICA_NOT_AVAILABLE);
        assert_int_equal(move(version, "second", "a/b", 0), ERR_INVALID_TOPIC_EXCEPTION);
        assert_int_equal(move(version, "second", "__cluster_metadata", 0),
                         ERR_REPLICA_NOT_AVAILABLE);
    }
    log_dir_fail(&box.node[0].node->log_dirs[1], ERR_IO);
    assert_int_equal(move(2, "second", "t", 0), ERR_KAFKA_STORAGE_ERROR);
    assert_int_equal(box.node[0].node->replicas.moved, 0);
    end();
}

static void nothing_asked_for_is_nothing_answered(void **state)
{
    (void)state;
    begin(4);
    for (int16_t version = 1; version <= 2; version++) {
        alter_replica_log_dirs_request_default(&request);
        raw_ask(&raw, API_ALTER_REPLICA_LOG_DIRS, version, &request, &response);
        assert_int_equal(response.results_count, 0);
    }
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replica_is_shown_where_it_has_moved),
        cmocka_unit_test(a_copy_is_shown_beside_what_it_copies),
        cmocka_unit_test(a_deletion_is_answered_though_the_replica_moves_meanwhile),
        cmocka_unit_test(what_cannot_be_moved_is_told),
        cmocka_unit_test(nothing_asked_for_is_nothing_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

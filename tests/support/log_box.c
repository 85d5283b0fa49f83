#include "tests/support/log_box.h"

#include "client/wire/record_builder.h"

#include <stdlib.h>
#include <string.h>

static const struct env_limits box_limits = {
    .ops_max = 256, .payload_bytes = 32 << 20, .payload_reserved = 1 << 20};

static void box_boot(struct sim_program *program, struct world *world, struct instant now)
{
    struct log_box *box = CONTAINER_OF(program, struct log_box, program);
    struct log_dir_limits limits = {.logs_max = 64,
                                    .files_max = 4,
                                    .flows_max = 4,
                                    .writes_max = 4,
                                    .staged_max = 512,
                                    .producers_max = 64,
                                    .index_bytes = 1 << 20,
                                    .recovery_bytes = box->recovery_bytes};

    assert_int_equal(ERR_NONE, env_init(&box->env, world, &box_limits, NULL));
    box->env.now = now;
    log_cache_init(&box->cache, &box->env.mem, box->cache_bytes, 1024);
    log_dir_init(&box->dir, &box->env, &box->cache, STR("data"), &limits);
    box->booted = true;
    box->down = false;
    box->log = NULL;
}

static void box_down(struct sim_program *program, struct world *world, enum sim_down how)
{
    struct log_box *box = CONTAINER_OF(program, struct log_box, program);

    (void)world;
    (void)how;
    box->down = true;
    box->booted = false;
    box->log = NULL;
}

static void box_traced(struct sim_observer *observer, struct sim_world *node,
                       const struct trace_event *event)
{
    struct log_box *box = CONTAINER_OF(observer, struct log_box, observer);
    struct log_box_batch *batch;

    if (node == NULL) return;
    box->traced[event->kind]++;
    if (event->fields[1] != 0) return; /* the model is of partition 0 */
    if (event->kind == TRACE_LOG_APPENDED) {
        assert_true(box->count < LOG_BOX_BATCHES);
        batch = &box->batches[box->count];
        *batch = (struct log_box_batch){.base_offset = event->fields[2],
                                        .last_offset = event->fields[3],
                                        .epoch = (int32_t)event->fields[4],
                                        .crc = (uint32_t)event->fields[5]};
        if (box->count > 0)
            assert_true(batch[-1].last_offset + 1 == batch->base_offset ||
                        (box->config.gaps && batch[-1].last_offset < batch->base_offset));
        box->count++;
    } else if (event->kind == TRACE_LOG_TRUNCATED || event->kind == TRACE_LOG_OPENED) {
        while (box->count > 0 && box->batches[box->count - 1].last_offset >= event->fields[3])
            box->count--;
        if (event->kind == TRACE_LOG_TRUNCATED && box->synced_end > event->fields[3])
            box->synced_end = event->fields[3];
    } else if (event->kind == TRACE_LOG_SYNCED) {
        box->synced_end = event->fields[2];
    }
}

void log_box_init(struct log_box *box, uint64_t seed)
{
    struct sim_config config = sim_config_default(seed);
    struct sim_node_config node = sim_node_config_default(1);

    memset(box, 0, sizeof *box);
    config.nodes_max = 2;
    box->program = (struct sim_program){box_boot, box_down, NULL};
    box->observer.traced = box_traced;
    list_init(&box->observer.link);
    node.program = &box->program;
    node.region_size = 128 << 20;
    box->sim = sim_create(&config);
    box->node = sim_node_add(box->sim, &node);
    sim_observe(box->sim, &box->observer);
    box->cache_bytes = 64 << 10;
    box->recovery_bytes = 16 << 20;
    box->config = log_config_default();
    box->config.timestamp_after_max_ms = INT64_MAX;
}

void log_box_deinit(struct log_box *box)
{
    sim_destroy(box->sim);
}

struct box_until {
    struct log_box *box;
    bool (*done)(struct log_box *box);
};

static bool box_until_done(void *context)
{
    struct box_until *until = context;

    return until->done(until->box);
}

bool log_box_wait(struct log_box *box, bool (*done)(struct log_box *box))
{
    struct box_until until = {box, done};
    uint64_t before = box->sim->events;
    struct sim_limits limits = {.until_ns = box->sim->now_ns + 3600 * NS_PER_SEC,
                                .events_max = box->events_left,
                                .done = box_until_done,
                                .context = &until};
    enum sim_outcome outcome;

    if (box->spent) return false;
    if (box->booted) box->env.actor.turn_end(&box->env.actor, sim_node_now(box->node));
    outcome = sim_run(box->sim, &limits);
    if (box->events_left > 0) {
        uint64_t used = box->sim->events - before;

        box->events_left = used < box->events_left ? box->events_left - used : 0;
        if (outcome == SIM_END_EVENTS || box->events_left == 0) {
            box->spent = true;
            return false;
        }
    }
    if (outcome == SIM_END_FAILED) fail_msg("%s", box->sim->failure.text);
    assert_int_equal(SIM_END_DONE, outcome);
    return true;
}

static bool box_never(struct log_box *box)
{
    (void)box;
    return false;
}

void log_box_run_ms(struct log_box *box, int64_t ms)
{
    struct box_until until = {box, box_never};
    struct sim_limits limits = {
        .until_ns = box->sim->now_ns + ms * NS_PER_MS, .done = box_until_done, .context = &until};
    enum sim_outcome outcome;

    if (box->booted) box->env.actor.turn_end(&box->env.actor, sim_node_now(box->node));
    outcome = sim_run(box->sim, &limits);
    if (outcome == SIM_END_FAILED) fail_msg("%s", box->sim->failure.text);
}

static bool box_is_booted(struct log_box *box)
{
    return box->booted;
}

static bool box_dir_settled(struct log_box *box)
{
    return box->dir.flow == NULL && box->dir.state != LOG_DIR_OPENING &&
           box->dir.state != LOG_DIR_CLOSING;
}

enum err log_box_start(struct log_box *box)
{
    struct log_dir_meta meta = {.cluster_id = "cluster-of-the-test", .node_id = 1};

    meta.directory_id.bytes[15] = 1;
    sim_node_start(box->node);
    if (!log_box_wait(box, box_is_booted)) return ERR_CANCELED;
    log_dir_open(&box->dir, STR("cluster-of-the-test"), 1);
    if (!log_box_wait(box, box_dir_settled)) return ERR_CANCELED;
    if (box->dir.state == LOG_DIR_CLOSED && box->dir.err == ERR_NOT_FOUND) {
        log_dir_format(&box->dir, &meta, false);
        if (!log_box_wait(box, box_dir_settled)) return ERR_CANCELED;
        assert_int_equal(ERR_NONE, box->dir.err);
        log_dir_open(&box->dir, STR("cluster-of-the-test"), 1);
        if (!log_box_wait(box, box_dir_settled)) return ERR_CANCELED;
    }
    return box->dir.err;
}

static bool box_log_settled(struct log_box *box)
{
    return box->log->state != LOG_OPENING && box->log->state != LOG_TRUNCATING &&
           box->log->flow == NULL;
}

enum err log_box_open(struct log_box *box)
{
    struct log_open open = {.topic = STR("orders"), .partition = 0, .create = true};

    open.topic_id.bytes[3] = 7;
    box->log = log_open(&box->dir, &open, &box->config);
    assert_non_null(box->log);
    if (!log_box_wait(box, box_log_settled)) return ERR_CANCELED;
    return box->log->err;
}

static bool box_log_closed(struct log_box *box)
{
    return box->log->state == LOG_CLOSED && box->log->flow == NULL;
}

static bool box_is_down(struct log_box *box)
{
    return box->down;
}

void log_box_up(struct log_box *box)
{
    assert_int_equal(ERR_NONE, log_box_start(box));
    assert_int_equal(ERR_NONE, log_box_open(box));
}

void log_box_stop(struct log_box *box)
{
    if (box->log != NULL) {
        log_close(box->log);
        assert_true(log_box_wait(box, box_log_closed));
        log_free(box->log);
        box->log = NULL;
    }
    log_dir_close(&box->dir);
    assert_true(log_box_wait(box, box_dir_settled));
    log_dir_deinit(&box->dir);
    log_cache_deinit(&box->cache);
    env_deinit(&box->env);
    log_box_run_ms(box, 1);
    world_stop(box->env.world, 0);
    box->booted = false;
    (void)box_is_down;
    log_box_run_ms(box, 1);
    assert_true(box->down);
}

void log_box_over(struct log_box *box)
{
    log_box_stop(box);
    log_box_deinit(box);
}

void log_box_kill(struct log_box *box, bool power)
{
    box->events_left = 0;
    box->spent = false;
    sim_node_down(box->node, power ? SIM_DOWN_POWER : SIM_DOWN_KILL);
    if (!box->down) log_box_run_ms(box, 1);
    assert_true(box->down);
}

/* ---- batches -------------------------------------------------------------------------------- */

static struct buf *box_build(struct log_box *box, struct record_builder_config *config,
                             uint32_t records, uint32_t padding, int64_t timestamp,
                             struct bytes *bytes)
{
    struct record_builder builder;
    uint8_t value[2048];
    size_t room = 128 + (size_t)records * (padding + 64);
    struct buf *buf = buf_take(&box->env.payload, room, true);

    assert_non_null(buf);
    assert_true(padding + 8 <= sizeof value);
    record_builder_init(&builder, config, buf->data, room);
    for (uint32_t i = 0; i < records; i++) {
        memset(value, (int)(box->serial & 0xff), sizeof value);
        memcpy(value, &box->serial, sizeof box->serial);
        box->serial++;
        assert_int_equal(ERR_NONE,
                         record_builder_append(&builder, timestamp, BYTES_NULL,
                                               (struct bytes){value, padding + 8}, NULL, 0));
    }
    *bytes = record_builder_finish(&builder);
    return buf;
}

struct buf *log_box_batch(struct log_box *box, uint32_t records, uint32_t padding,
                          int64_t timestamp, struct bytes *bytes)
{
    struct record_builder_config config = record_builder_config_default(box->env.world->cpu);

    return box_build(box, &config, records, padding, timestamp, bytes);
}

struct buf *log_box_produce_batch(struct log_box *box, int64_t producer_id, int16_t epoch,
                                  int32_t sequence, uint32_t records, struct bytes *bytes)
{
    struct record_builder_config config = record_builder_config_default(box->env.world->cpu);

    config.producer_id = producer_id;
    config.producer_epoch = epoch;
    config.base_sequence = sequence;
    return box_build(box, &config, records, 10, 1000, bytes);
}

enum err log_box_append(struct log_box *box, int32_t epoch, uint32_t records, uint32_t padding,
                        struct log_append *append)
{
    struct bytes bytes;
    struct buf *buf = log_box_batch(box, records, padding, 1000 + box->serial, &bytes);
    enum err err = log_append_as_leader(box->log, buf, bytes, epoch, LOG_CLIENT, append);

    buf_unref(buf);
    return err;
}

static struct log_append *box_awaited(struct log_box *box, struct log_append *set);

static bool box_append_settled(struct log_box *box)
{
    return log_append_state(box->log, box_awaited(box, NULL)) != LOG_APPEND_PENDING;
}

static struct log_append *box_awaited(struct log_box *box, struct log_append *set)
{
    static struct log_append *awaited;

    (void)box;
    if (set != NULL) awaited = set;
    return awaited;
}

bool log_box_await(struct log_box *box, struct log_append *append)
{
    (void)box_awaited(box, append);
    return log_box_wait(box, box_append_settled);
}

static bool box_synced(struct log_box *box)
{
    return box->log->synced_end == box->log->log_end || box->log->state != LOG_OPEN;
}

bool log_box_sync(struct log_box *box)
{
    log_sync(box->log);
    return log_box_wait(box, box_synced);
}

bool log_box_truncate(struct log_box *box, int64_t to)
{
    log_truncate(box->log, to);
    return log_box_wait(box, box_log_settled);
}

/* ---- check ---------------------------------------------------------------------------------- */

static struct log_read *box_reading(struct log_read *set)
{
    static struct log_read *reading;

    if (set != NULL) reading = set;
    return reading;
}

static bool box_read_done(struct log_box *box)
{
    (void)box;
    return box_reading(NULL)->done;
}

void log_box_check(struct log_box *box, uint32_t max_bytes)
{
    struct log_read *read = calloc(1, sizeof *read);
    int64_t at = box->log->log_start;
    uint32_t next = 0;

    assert_non_null(read);
    (void)box_reading(read);
    while (at < box->log->log_end) {
        read->offset = at;
        read->limit = box->log->log_end;
        read->max_bytes = max_bytes;
        read->first_whole = true;
        log_read(box->log, read);
        if (!read->done) assert_true(log_box_wait(box, box_read_done));
        assert_int_equal(ERR_NONE, read->err);
        assert_true(read->count > 0);
        for (uint32_t i = 0; i < read->count; i++) {
            struct record_batch_iter iter;
            struct record_batch batch;

            record_batch_iter_init(&iter, read->slices[i]);
            while (record_batch_iter_next(&iter, &batch)) {
                assert_int_equal(ERR_NONE, record_batch_check_crc(box->env.world->cpu, &batch));
                assert_true(batch.base_offset == at);
                while (next < box->count && box->batches[next].base_offset < at)
                    next++;
                assert_true(next < box->count);
                assert_true(box->batches[next].base_offset == at);
                assert_true(box->batches[next].last_offset == record_batch_last_offset(&batch));
                assert_int_equal(box->batches[next].crc, batch.crc);
                assert_int_equal(box->batches[next].epoch, batch.partition_leader_epoch);
                at = record_batch_end_offset(&batch);
            }
            assert_int_equal(0, iter.rest.length);
        }
        assert_true(read->next_offset == at);
        log_read_release(read);
    }
    free(read);
}

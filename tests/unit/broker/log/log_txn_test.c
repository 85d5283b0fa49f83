/* Proves that the last stable offset and the transaction index are what a naive model of the log
 * says, after any mix of appends, markers, rolls, truncations, restarts and power losses
 * (transactions.md 5; S9, S22): and that the index of a damaged or missing file is made anew. */
#include "tests/support/log_box.h"

#include "broker/log/log_private.h"
#include "client/base/rng.h"
#include "client/wire/record_builder.h"
#include "sim/disk.h"

#include <string.h>

enum { MODEL_MAX = 4096, PRODUCERS = 4 };

enum kind { PLAIN, TXN, COMMIT, ABORT };

struct entry {
    int64_t base, last;
    int64_t producer; /* -1 none */
    int32_t sequence;
    enum kind kind;
};

static struct log_box box;
static struct entry model[MODEL_MAX];
static uint32_t model_count;
static uint32_t told; /* aborted transactions that reads listed */
static bool reopened; /* what ended before may count as replicated */
static struct rng rng;

static uint32_t draw(uint32_t below)
{
    return (uint32_t)rng_below(&rng, below);
}

static struct buf *build(enum kind kind, int64_t producer, int16_t epoch, int32_t sequence,
                         int32_t coordinator, struct bytes *bytes)
{
    struct cpu cpu = box.env.world->cpu;
    bool marker = kind == COMMIT || kind == ABORT;
    struct record_builder_config config =
        marker ? record_builder_config_control(cpu) : record_builder_config_default(cpu);
    struct buf *buf = buf_take(&box.env.payload, 400, false);
    struct record_builder builder;
    static const uint8_t value[64] = {1, 2, 3};

    assert_non_null(buf);
    config.producer_id = producer;
    config.producer_epoch = producer < 0 ? -1 : epoch;
    config.base_sequence = producer < 0 ? -1 : sequence;
    if (kind != PLAIN) config.attributes |= RECORD_TRANSACTIONAL;
    record_builder_init(&builder, &config, buf->data, 400);
    if (marker) {
        config.base_sequence = -1;
        assert_int_equal(
            ERR_NONE, record_builder_append_marker(&builder, 1000,
                                                   kind == COMMIT ? CONTROL_COMMIT : CONTROL_ABORT,
                                                   coordinator));
    } else {
        for (uint32_t i = 0; i < 1 + box.serial % 3; i++)
            assert_int_equal(ERR_NONE,
                             record_builder_append(&builder, 1000, BYTES_NULL,
                                                   (struct bytes){value, sizeof value}, NULL, 0));
    }
    box.serial++;
    *bytes = record_builder_finish(&builder);
    return buf;
}

static enum err offer(enum kind kind, int64_t producer, int16_t epoch, int32_t sequence,
                      int32_t coordinator, struct log_append *append)
{
    struct bytes bytes;
    bool marker = kind == COMMIT || kind == ABORT;
    struct buf *buf = build(kind, producer, epoch, marker ? -1 : sequence, coordinator, &bytes);
    enum err err =
        log_append_as_leader(box.log, buf, bytes, 1, marker ? LOG_COORDINATOR : LOG_CLIENT, append);

    buf_unref(buf);
    return err;
}

static int32_t next_sequence(int64_t producer)
{
    for (uint32_t i = model_count; i > 0; i--)
        if (model[i - 1].producer == producer && model[i - 1].sequence >= 0)
            return model[i - 1].sequence + (int32_t)(model[i - 1].last - model[i - 1].base) + 1;
    return 0;
}

static void put(enum kind kind, int64_t producer)
{
    bool marker = kind == COMMIT || kind == ABORT;
    int32_t sequence = producer < 0 || marker ? -1 : next_sequence(producer);
    struct log_append append;

    assert_int_equal(ERR_NONE, offer(kind, producer, 0, sequence, 1, &append));
    assert_true(log_box_await(&box, &append));
    assert_int_equal(LOG_APPEND_DONE, log_append_state(box.log, &append));
    assert_true(model_count < MODEL_MAX);
    model[model_count++] =
        (struct entry){append.base_offset, append.last_offset, producer, sequence, kind};
}

static void model_cut(int64_t end)
{
    while (model_count > 0 && model[model_count - 1].base >= end)
        model_count--;
}

static bool is_marker(const struct entry *entry)
{
    return entry->kind == COMMIT || entry->kind == ABORT;
}

/* The transaction that begins with entry `at`: its marker, or NULL; false: none begins there. */
static bool model_txn(uint32_t at, const struct entry **end)
{
    const struct entry *first = &model[at];

    if (first->kind != TXN) return false;
    for (uint32_t i = at; i > 0; i--) {
        if (model[i - 1].producer != first->producer) continue;
        if (is_marker(&model[i - 1])) break;
        if (model[i - 1].kind == TXN) return false;
    }
    *end = NULL;
    for (uint32_t i = at + 1; i < model_count && *end == NULL; i++)
        if (model[i].producer == first->producer && is_marker(&model[i])) *end = &model[i];
    return true;
}

static void check_stable(void)
{
    int64_t hw = box.log->high_watermark;
    int64_t strict = hw, open = hw;
    int64_t stable = log_last_stable(box.log);
    const struct entry *end;

    for (uint32_t i = 0; i < model_count; i++) {
        if (!model_txn(i, &end)) continue;
        if (end == NULL && model[i].base < open) open = model[i].base;
        if ((end == NULL || end->last >= hw) && model[i].base < strict) strict = model[i].base;
    }
    assert_true(stable >= strict && stable <= open);
    if (!reopened) assert_true(stable == strict);
}

static bool read_is_done(struct log_box *b);
static struct log_read reading;

static bool read_is_done(struct log_box *b)
{
    (void)b;
    return reading.done;
}

/* Every aborted transaction with something in the range, and no other. */
static void check_read(int64_t offset, uint32_t max_bytes)
{
    const struct entry *end;
    uint32_t expected = 0;

    reading = (struct log_read){.offset = offset,
                                .limit = log_last_stable(box.log),
                                .max_bytes = max_bytes,
                                .first_whole = true,
                                .stable = true};
    if (offset >= reading.limit) return;
    log_read(box.log, &reading);
    assert_true(log_box_wait(&box, read_is_done));
    assert_int_equal(ERR_NONE, reading.err);
    assert_true(reading.count > 0 && reading.next_offset > offset);
    for (uint32_t i = 0; i < model_count; i++) {
        bool listed = false;

        if (!model_txn(i, &end) || end == NULL || end->kind != ABORT) continue;
        if (end->last < offset || model[i].base >= reading.next_offset) continue;
        for (uint32_t k = 0; k < reading.aborted.count && !listed; k++) {
            const struct log_aborted *entry = &reading.aborted.entries[k];

            listed = entry->producer_id == model[i].producer &&
                     entry->first_offset == model[i].base && entry->last_offset == end->last;
        }
        assert_true(listed);
        expected++;
    }
    assert_int_equal(expected, reading.aborted.count);
    told += expected;
    log_read_release(&reading);
}

static void check_all(void)
{
    check_stable();
    for (uint32_t i = 0; i < 4; i++) {
        if (model_count == 0) return;
        check_read(model[draw(model_count)].base, 1 + draw(3000));
    }
}

static void start(void)
{
    assert_int_equal(ERR_NONE, log_box_start(&box));
    assert_int_equal(ERR_NONE, log_box_open(&box));
}

static void restart(void)
{
    uint32_t how = draw(3);

    (void)log_dir_checkpoint(&box.dir);
    log_box_run_ms(&box, draw(2) * 50);
    if (how == 0) {
        log_box_stop(&box);
    } else {
        log_box_kill(&box, how == 2);
    }
    start();
    model_cut(box.log->log_end);
    while (box.count > 0 && box.batches[box.count - 1].last_offset >= box.log->log_end)
        box.count--;
    reopened = true;
}

/* The end of a batch at or above the high watermark; it itself when there is none. */
static int64_t boundary(void)
{
    int64_t at = box.log->high_watermark;

    for (uint32_t i = 0; i < model_count; i++)
        if (model[i].last >= at && draw(3) == 0) return model[i].last + 1;
    return at;
}

static void step(void)
{
    uint32_t what = draw(100);
    int64_t producer = 1 + (int64_t)draw(PRODUCERS);
    int64_t hw;

    if (what < 45) {
        put(TXN, producer);
    } else if (what < 55) {
        put(PLAIN, -1); /* of nobody: a producer may not mix */
    } else if (what < 75) {
        put(draw(2) == 0 ? COMMIT : ABORT, producer);
    } else if (what < 88) {
        if (draw(4) == 0) assert_true(log_box_sync(&box));
        log_note_high_watermark(box.log, boundary());
    } else if (what < 94) {
        hw = boundary();
        if (hw == box.log->log_end) return;
        assert_true(log_box_truncate(&box, hw));
        model_cut(box.log->log_end);
        reopened = true; /* the producers were read again */
    } else if (what < 97) {
        restart();
    }
}

static void begin(uint64_t seed)
{
    log_box_init(&box, seed);
    box.config.segment_bytes = 2000;
    box.config.index_interval_bytes = 300;
    box.cache_bytes = seed % 2 == 0 ? 0 : 3000;
    rng_init(&rng, seed);
    model_count = 0;
    reopened = false;
    start();
}

static void the_index_and_the_last_stable_offset_are_those_of_a_naive_model(void **state)
{
    uint32_t segments = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        begin(seed);
        for (uint32_t i = 0; i < 120; i++) {
            step();
            check_all();
        }
        segments += box.log->segment_count;
        log_box_stop(&box);
        log_box_deinit(&box);
    }
    assert_true(told > 3000 && segments > 200);
}

static void a_marker_is_of_the_newest_producer_and_of_the_newest_coordinator(void **state)
{
    struct log_append append;

    (void)state;
    begin(1);
    assert_int_equal(ERR_NONE, offer(TXN, 1, 3, 0, 0, &append));
    assert_int_equal(ERR_INVALID_TXN_STATE,
                     offer(PLAIN, 1, 3, (int32_t)append.last_offset + 1, 0, &append));
    assert_int_equal(ERR_INVALID_PRODUCER_EPOCH, offer(COMMIT, 1, 2, -1, 5, &append));
    assert_int_equal(ERR_NONE, offer(COMMIT, 1, 4, -1, 5, &append));
    assert_int_equal(ERR_TRANSACTION_COORDINATOR_FENCED, offer(ABORT, 1, 4, -1, 4, &append));
    assert_true(log_box_await(&box, &append));
    assert_int_equal(ERR_TRANSACTION_COORDINATOR_FENCED, offer(ABORT, 1, 4, -1, 4, &append));
    /* The marker moved the epoch: a straggler of the transaction is fenced. */
    assert_int_equal(ERR_INVALID_PRODUCER_EPOCH, offer(TXN, 1, 3, 3, 0, &append));
    assert_int_equal(ERR_NONE, offer(ABORT, 1, 4, -1, 5, &append)); /* again: ends nothing */
    assert_true(log_box_await(&box, &append));
    assert_int_equal(0, box.log->aborted.count);
    assert_int_equal(4, log_producers_find(&box.log->producers, 1)->epoch);
    assert_int_equal(5, log_producers_find(&box.log->producers, 1)->coordinator_epoch);
    log_box_stop(&box);
    log_box_deinit(&box);
}

static void sequences_go_on_behind_a_marker_of_the_same_epoch(void **state)
{
    struct log_append first, append;

    (void)state;
    begin(1);
    assert_int_equal(ERR_NONE, offer(TXN, 1, 0, 0, 0, &first));
    assert_int_equal(ERR_NONE, offer(COMMIT, 1, 0, -1, 0, &append)); /* both only staged */
    assert_int_equal(ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, offer(TXN, 1, 0, 40, 0, &append));
    assert_int_equal(ERR_NONE, offer(TXN, 1, 0, (int32_t)(first.last_offset + 1), 0, &append));
    assert_true(log_box_await(&box, &append));
    log_box_stop(&box);
    log_box_deinit(&box);
}

static void begin_with_three_aborts(void)
{
    begin(3);
    for (uint32_t i = 0; i < 3; i++) {
        for (uint32_t k = 0; k < 6; k++)
            put(TXN, 1 + (int64_t)i);
        put(ABORT, 1 + (int64_t)i);
        for (uint32_t k = 0; k < 8; k++)
            put(PLAIN, -1);
    }
    log_note_high_watermark(box.log, box.log->log_end);
    assert_true(box.log->segment_count > 3);
}

static void the_trace_tells_what_begins_and_what_ends_a_transaction(void **state)
{
    (void)state;
    begin_with_three_aborts();
    assert_int_equal(6, box.traced[TRACE_LOG_TXN]);
    put(COMMIT, 3); /* of nothing */
    put(PLAIN, 3);
    assert_int_equal(6, box.traced[TRACE_LOG_TXN]);
    put(TXN, 3);
    assert_int_equal(7, box.traced[TRACE_LOG_TXN]);
    put(COMMIT, 3);
    assert_int_equal(8, box.traced[TRACE_LOG_TXN]);
    log_box_stop(&box);
    log_box_deinit(&box);
}

static void path_of(uint32_t segment, const char *suffix, char path[LOG_PATH_MAX])
{
    log_path_of(path, box.log, box.log->segments[segment]->base, suffix);
}

static void an_index_file_that_does_not_parse_is_made_anew(void **state)
{
    char path[LOG_PATH_MAX];
    uint32_t indexed = 0;

    (void)state;
    begin_with_three_aborts();
    while (!box.log->segments[indexed]->aborted)
        indexed++;
    assert_true(indexed + 1 < box.log->segment_count);
    path_of(indexed, ".txnindex", path);
    log_box_stop(&box);
    assert_true(sim_image_rot(sim_disk_image(box.node->disk), path, 1, 3)); /* its version */
    start();
    reopened = true;
    assert_false(box.log->opened_clean);
    for (uint32_t i = 0; i < model_count; i++)
        check_read(model[i].base, 500);
    log_box_stop(&box);
    log_box_deinit(&box);
}

/* While the broker runs nothing else reads it, and without it aborted records would look
 * committed. */
static void what_needs_an_index_file_that_rots_is_not_answered(void **state)
{
    char path[LOG_PATH_MAX];
    uint32_t indexed = 0;
    int64_t base;

    (void)state;
    begin_with_three_aborts();
    while (!box.log->segments[indexed]->aborted)
        indexed++;
    assert_true(indexed + 1 < box.log->segment_count);
    base = box.log->segments[indexed]->base;
    path_of(indexed, ".txnindex", path);
    assert_true(sim_image_rot(sim_disk_image(box.node->disk), path, 1, 3)); /* its version */
    reading = (struct log_read){.offset = base,
                                .limit = log_last_stable(box.log),
                                .max_bytes = 500,
                                .first_whole = true,
                                .stable = true};
    log_read(box.log, &reading);
    assert_true(log_box_wait(&box, read_is_done));
    assert_int_equal(ERR_KAFKA_STORAGE_ERROR, reading.err);
    assert_int_equal(0, reading.count);
    assert_int_equal(0, reading.bytes);
    assert_true(reading.next_offset == base);
    assert_int_equal(1, box.traced[TRACE_LOG_DAMAGED]);
    assert_int_equal(0, box.log->readers);
    assert_true(log_dir_online(&box.dir));
    /* Whoever reads what is not committed needs no index. */
    reading.stable = false;
    log_read(box.log, &reading);
    assert_true(log_box_wait(&box, read_is_done));
    assert_int_equal(ERR_NONE, reading.err);
    assert_true(reading.next_offset > base);
    log_read_release(&reading);
    log_box_stop(&box);
    start(); /* made anew */
    reopened = true;
    check_read(base, 500);
    log_box_stop(&box);
    log_box_deinit(&box);
}

static bool has_mark(struct log_box *b)
{
    return b->log->mark > 0 && b->dir.marker == NULL;
}

/* A mark vouches for nothing without it: recovery goes back to the base of the segment. */
static void a_mark_whose_index_file_rots_is_passed_by(void **state)
{
    const char *path = "data/orders-0/00000000000000000000.txnindex";
    int64_t end;

    (void)state;
    for (uint64_t at = 1; at < 36; at += 34) { /* versions of the first two entries */
        log_box_init(&box, 4 + at);
        box.config.segment_bytes = 1 << 20;
        box.config.index_interval_bytes = 300;
        box.recovery_bytes = 4096;
        model_count = 0;
        start();
        for (uint32_t i = 0; i < 12; i++) {
            for (uint32_t k = 0; k < 4; k++)
                put(TXN, 1 + (int64_t)(i % 3));
            put(i % 2 == 0 ? ABORT : COMMIT, 1 + (int64_t)(i % 3));
            log_note_high_watermark(box.log, box.log->log_end);
            log_box_run_ms(&box, 200);
        }
        assert_int_equal(1, box.log->segment_count);
        assert_true(log_box_wait(&box, has_mark));
        end = box.log->log_end;
        log_box_kill(&box, false);
        assert_true(sim_image_rot(sim_disk_image(box.node->disk), path, at, 0));
        start();
        reopened = true;
        assert_true(box.log->log_end == end);
        assert_false(box.log->opened_clean);
        log_note_high_watermark(box.log, end);
        for (uint32_t i = 0; i < model_count; i++)
            check_read(model[i].base, 500);
        log_box_stop(&box);
        log_box_deinit(&box);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_index_and_the_last_stable_offset_are_those_of_a_naive_model),
        cmocka_unit_test(a_marker_is_of_the_newest_producer_and_of_the_newest_coordinator),
        cmocka_unit_test(sequences_go_on_behind_a_marker_of_the_same_epoch),
        cmocka_unit_test(the_trace_tells_what_begins_and_what_ends_a_transaction),
        cmocka_unit_test(an_index_file_that_does_not_parse_is_made_anew),
        cmocka_unit_test(a_mark_whose_index_file_rots_is_passed_by),
        cmocka_unit_test(what_needs_an_index_file_that_rots_is_not_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

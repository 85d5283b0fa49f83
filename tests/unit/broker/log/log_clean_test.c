/* Proves compaction against a naive model (storage.md S24, S25, S27): of each key the newest record
 * stays, a tombstone until its horizon; offsets, the end of the log and everything behind the
 * cleaned part stay; a producer is known by its last batches; and the machine may die at any
 * moment. */
#include "broker/log/log_clean_private.h"
#include "client/wire/record_builder.h"
#include "tests/support/log_box.h"
#include "tests/support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OFFSETS = 4096, KEYS = 12, SEGMENT = 1500 };

/* What was appended at an offset. */
struct said {
    uint32_t key;
    uint32_t value; /* 0: a tombstone */
    uint32_t padding;
};

static struct log_box box;
static struct said said[OFFSETS];
static int64_t said_end;
static uint32_t serial;
static int32_t epoch;
static struct log_clean cleaning;
static uint64_t random_state;
static int64_t touched; /* no round ever went beyond */

static uint32_t draw(uint32_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

static void begin(uint64_t seed)
{
    log_box_init(&box, seed);
    box.cache_bytes = 0;
    box.config.segment_bytes = SEGMENT;
    box.config.index_interval_bytes = 100;
    box.config.gaps = true;
    box.config.delete_delay_ms = 1000;
    box.config.delete_retention_ms = 60000;
    box.config.min_cleanable_ratio = 0;
    said_end = 0;
    serial = 0;
    epoch = 1;
    touched = 0;
    random_state = seed;
    log_box_up(&box);
}

static struct record_builder_config plain(void)
{
    return record_builder_config_default(box.env.world->cpu);
}

/* One batch of records with the keys given; those with a minus sign are tombstones. */
static void put_with(struct record_builder_config config, const int32_t *keys, uint32_t count,
                     uint32_t padding)
{
    struct record_builder builder;
    size_t room = 128 + (size_t)count * (padding + 64);
    struct buf *buf = buf_take(&box.env.payload, room, true);
    uint8_t *value = calloc(1, padding + 4);
    struct log_append append;

    assert_non_null(buf);
    assert_non_null(value);
    record_builder_init(&builder, &config, buf->data, room);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t key = (uint32_t)(keys[i] < 0 ? -keys[i] : keys[i]);
        struct said *at = &said[said_end + i];

        *at = (struct said){key, keys[i] < 0 ? 0 : ++serial, padding};
        memcpy(value, &at->value, 4);
        assert_int_equal(
            ERR_NONE, record_builder_append(
                          &builder, box.dir.env->now.wall.ms, (struct bytes){(uint8_t *)&key, 4},
                          keys[i] < 0 ? BYTES_NULL : (struct bytes){value, padding + 4}, NULL, 0));
    }
    assert_int_equal(ERR_NONE, log_append_as_leader(box.log, buf, record_builder_finish(&builder),
                                                    epoch, LOG_CLIENT, &append));
    buf_unref(buf);
    free(value);
    assert_true(log_box_await(&box, &append));
    said_end += count;
    assert_true(box.log->log_end == said_end);
}

static void put(int32_t key)
{
    put_with(plain(), &key, 1, 60);
}

static bool cleaned(struct log_box *b)
{
    (void)b;
    return !cleaning.busy;
}

/* Everything is synced and committed; then one round. False: the box ran out of events. */
static bool clean(uint64_t map_bytes)
{
    if (!log_box_sync(&box)) return false;
    log_note_high_watermark(box.log, box.log->log_end);
    touched = log_active(box.log)->base;
    log_clean_start(&cleaning, box.log, map_bytes);
    if (!log_box_wait(&box, cleaned)) return false;
    return true;
}

static struct log_read reading;

static bool read_done(struct log_box *b)
{
    (void)b;
    return reading.done;
}

/* What a reader of the whole log gets, into `got` by offset: UINT32_MAX nothing, else the value. */
static uint32_t got[OFFSETS];
static uint32_t batches_seen, batches_empty;
static uint32_t batches_of_77;
static struct support_memory copied_memory;
static struct log_epochs copied; /* what who copies the log knows of epochs */

static void read_all(void)
{
    int64_t at = box.log->log_start;
    int64_t last = -1;

    batches_seen = batches_empty = batches_of_77 = 0;
    copied.count = 0;
    memset(got, 0xff, sizeof got);
    while (at < box.log->log_end) {
        reading.offset = at;
        reading.limit = box.log->log_end;
        reading.max_bytes = 700;
        reading.first_whole = true;
        log_read(box.log, &reading);
        if (!reading.done) assert_true(log_box_wait(&box, read_done));
        assert_int_equal(ERR_NONE, reading.err);
        if (reading.count == 0) break; /* nothing behind `at` any more but the empty end */
        for (uint32_t i = 0; i < reading.count; i++) {
            struct record_batch_iter iter;
            struct record_batch batch;

            record_batch_iter_init(&iter, reading.slices[i]);
            while (record_batch_iter_next(&iter, &batch)) {
                struct record_iter records;
                struct record record;

                assert_int_equal(ERR_NONE, record_batch_check_copy(box.env.world->cpu, &batch));
                assert_true(batch.base_offset > last);
                last = record_batch_last_offset(&batch);
                batches_seen++;
                batches_empty += batch.record_count == 0;
                batches_of_77 += batch.producer_id == 77;
                assert_int_equal(ERR_NONE, log_epochs_reserve(&copied, 1));
                (void)log_epochs_assign(&copied, batch.partition_leader_epoch, batch.base_offset);
                if (record_batch_is_control(&batch)) continue;
                record_iter_init(&records, &batch, record_batch_payload(&batch));
                while (record_iter_next(&records, &record) == ERR_NONE) {
                    const struct said *was = &said[record.offset];
                    uint32_t value = 0;

                    assert_true(record.offset < said_end);
                    assert_int_equal(4, record.key.length);
                    assert_memory_equal(record.key.data, &was->key, 4);
                    if (record.value.data != NULL) memcpy(&value, record.value.data, 4);
                    assert_int_equal(was->value, value);
                    assert_true(got[record.offset] == UINT32_MAX);
                    got[record.offset] = value;
                }
            }
        }
        assert_true(reading.next_offset > at);
        at = reading.next_offset;
        log_read_release(&reading);
    }
    assert_true(at <= box.log->log_end);
}

/* The model: `sure`: tombstones are all young. */
static void check(bool sure)
{
    read_all();
    assert_true(box.log->log_end == said_end);
    for (int64_t i = box.log->log_start; i < said_end; i++) {
        bool newest = true;

        for (int64_t j = i + 1; j < said_end && newest; j++)
            newest = said[j].key != said[i].key;
        if (newest && (said[i].value != 0 || sure)) {
            if (got[i] == UINT32_MAX)
                fail_msg("the newest of key %u at %d is gone", said[i].key, (int)i);
        }
        if (i >= touched) assert_true(got[i] != UINT32_MAX);
    }
}

static uint32_t count_got(void)
{
    uint32_t count = 0;

    for (int64_t i = 0; i < said_end; i++)
        count += got[i] != UINT32_MAX;
    return count;
}

/* Every name of the partition's directory that a swap leaves behind only when it is cut short. */
static void no_left_overs(void)
{
    uint8_t list[16384];
    struct log_io io;
    char path[LOG_PATH_MAX];

    log_io_init(&io);
    log_path_log(path, box.log);
    log_io_list(&io, box.env.world, path, list, sizeof list);
    log_box_run_ms(&box, 100);
    assert_true(log_io_done(&io));
    assert_int_equal(ERR_NONE, log_io_err(&io));
    for (uint64_t at = 0; at < io.req.done;) {
        const struct disk_entry *entry = (const void *)(list + at);

        assert_null(strstr(entry->name, ".cleaned"));
        assert_null(strstr(entry->name, ".swap"));
        at += entry->entry_length;
    }
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void of_each_key_the_newest_record_stays_at_its_offset(void **state)
{
    int64_t before;
    uint32_t segments;

    (void)state;
    begin(1);
    for (int32_t i = 0; i < 200; i++)
        put(1 + i % KEYS);
    segments = box.log->segment_count;
    before = box.log->log_end;
    assert_true(segments > 10);
    assert_true(clean(1 << 20));
    assert_int_equal(ERR_NONE, cleaning.err);
    assert_int_equal(KEYS, cleaning.keys);
    assert_true(cleaning.bytes_kept * 4 < cleaning.bytes_read);
    check(true);
    assert_true(box.log->log_end == before);
    /* The closed part has one record a key; the active segment is as it was. */
    assert_true(count_got() <= KEYS + (uint32_t)(before - box.log->known->cleaned));
    no_left_overs();
    log_box_stop(&box);
    log_box_up(&box);
    assert_true(box.log->opened_clean);
    check(true);
    for (int32_t i = 0; i < 50; i++)
        put(3);
    assert_true(clean(1 << 20));
    assert_int_equal(ERR_NONE, cleaning.err);
    check(true);
    /* Segments that have become small become one. */
    assert_true(box.log->segment_count < segments);
    log_box_over(&box);
}

static void a_map_that_fills_goes_on_where_it_ended(void **state)
{
    (void)state;
    begin(2);
    for (int32_t i = 0; i < 400; i++)
        put(1 + i % 150);
    for (uint32_t round = 0; round < 20; round++) {
        int64_t before = box.log->known->cleaned;

        assert_true(clean(1));
        check(true);
        if (cleaning.err == ERR_CANCELED) break; /* nothing is left to do */
        assert_int_equal(ERR_NONE, cleaning.err);
        assert_true(box.log->known->cleaned > before);
        assert_true(cleaning.keys <= LOG_KEYMAP_ROOM_MIN);
    }
    assert_int_equal(ERR_CANCELED, cleaning.err);
    log_box_over(&box);
}

static void a_tombstone_stays_for_its_time_after_the_first_cleaning(void **state)
{
    (void)state;
    begin(3);
    put(1);
    put(-1);
    for (int32_t i = 0; i < 60; i++)
        put(2);
    log_box_run_ms(&box, 600000); /* its age does not count, the horizon does */
    assert_true(clean(1 << 20));
    read_all();
    assert_true(got[0] == UINT32_MAX);
    assert_true(got[1] == 0);
    for (int32_t i = 0; i < 30; i++)
        put(2);
    log_box_run_ms(&box, 50000);
    assert_true(clean(1 << 20));
    read_all();
    assert_true(got[1] == 0);
    log_box_run_ms(&box, 11000);
    for (int32_t i = 0; i < 30; i++)
        put(2);
    assert_true(clean(1 << 20));
    check(false);
    assert_true(got[1] == UINT32_MAX);
    log_box_over(&box);
}

/* Appended by a coordinator: ends the transaction of producer 77. */
static void put_abort(void)
{
    struct record_builder_config config = record_builder_config_control(box.env.world->cpu);
    struct record_builder builder;
    struct buf *buf = buf_take(&box.env.payload, 128, true);
    struct log_append append;

    assert_non_null(buf);
    config.producer_id = 77;
    config.producer_epoch = 2;
    config.attributes |= RECORD_TRANSACTIONAL;
    record_builder_init(&builder, &config, buf->data, 128);
    assert_int_equal(ERR_NONE, record_builder_append_marker(&builder, 1000, CONTROL_ABORT, 0));
    assert_int_equal(ERR_NONE, log_append_as_leader(box.log, buf, record_builder_finish(&builder),
                                                    epoch, LOG_COORDINATOR, &append));
    buf_unref(buf);
    assert_true(log_box_await(&box, &append));
    said[said_end] = (struct said){.key = UINT32_MAX};
    said_end++;
}

/* The marker stands behind what is cleaned: in the active segment, or (closed) in one that is too
 * young. What was aborted is no newest record of its key all the same. */
static void an_aborted_record_hides_nothing_though_its_marker_stands_far_behind(void **state)
{
    (void)state;
    for (uint32_t closed = 0; closed < 2; closed++) {
        struct record_builder_config config;
        int32_t key = 5;

        begin(4);
        config = plain();
        config.producer_id = 77;
        config.producer_epoch = 2;
        config.base_sequence = 0;
        config.attributes |= RECORD_TRANSACTIONAL;
        put(5);
        put_with(config, &key, 1, 60);
        for (int32_t i = 0; i < 40; i++)
            put(6);
        assert_true(log_box_sync(&box));
        log_note_high_watermark(box.log, box.log->log_end);
        assert_int_equal(1, log_last_stable(box.log));
        touched = log_active(box.log)->base;
        log_clean_start(&cleaning, box.log, 1 << 20);
        assert_true(log_box_wait(&box, cleaned));
        read_all();
        assert_true(got[0] != UINT32_MAX && got[1] != UINT32_MAX); /* undecided: not touched */
        put_abort();
        for (int32_t i = 0; closed == 1 && i < 40; i++)
            put(7);
        assert_true(clean(1 << 20));
        read_all();
        assert_true(got[0] != UINT32_MAX);
        assert_true(got[1] == UINT32_MAX);
        log_box_over(&box);
    }
}

/* As a retry of each of the last five is answered: with the offset of the first time (C2). */
static void the_headers_by_which_a_retry_is_known_stay(void **state)
{
    struct record_builder_config config;
    const struct log_producer *producer;
    int32_t key = 5;

    (void)state;
    begin(4);
    config = plain();
    config.producer_id = 77;
    config.producer_epoch = 2;
    for (int32_t i = 0; i < 7; i++) {
        config.base_sequence = 9 + i;
        put_with(config, &key, 1, 60);
    }
    for (int32_t i = 0; i < 100; i++)
        put(5);
    for (uint32_t round = 0; round < 2; round++) {
        assert_true(clean(1 << 20));
        check(round == 0);
        for (uint32_t i = 0; i < 7; i++)
            assert_true(got[i] == UINT32_MAX);
        assert_int_equal(5, batches_of_77);
        for (int32_t i = 0; i < 40; i++)
            put(5);
    }
    /* Without a snapshot that could tell: all is replayed from the batches. */
    log_box_kill(&box, false);
    assert_int_equal(ERR_NONE, log_box_start(&box));
    box.config.verify_all = true;
    assert_int_equal(ERR_NONE, log_box_open(&box));
    producer = log_producers_find(&box.log->producers, 77);
    assert_non_null(producer);
    assert_int_equal(2, producer->epoch);
    assert_int_equal(5, producer->count);
    for (int32_t i = 0; i < 5; i++) {
        assert_int_equal(11 + i, producer->batches[i].first_sequence);
        assert_int_equal(2 + i, producer->batches[i].last_offset);
    }
    log_box_over(&box);
}

static void a_copy_knows_the_epochs(void)
{
    read_all();
    assert_int_equal(box.log->epochs.count, copied.count);
    for (uint32_t i = 0; i < copied.count; i++) {
        assert_int_equal(box.log->epochs.entries[i].epoch, copied.entries[i].epoch);
        assert_true(box.log->epochs.entries[i].start_offset == copied.entries[i].start_offset);
    }
}

/* Divergence is found by epochs (KIP-101): one that a copy has never heard of would make it, as a
 * leader, tell others to cut what is committed. The header that says so is nobody's: of a
 * transaction whose marker is gone it would begin one that never ends. */
static void who_copies_the_log_learns_of_every_epoch(void **state)
{
    struct record_builder_config config;
    int32_t key = 5;

    (void)state;
    begin(14);
    config = plain();
    config.producer_id = 77;
    config.producer_epoch = 2;
    config.base_sequence = 0;
    config.attributes |= RECORD_TRANSACTIONAL;
    for (; epoch <= 8; epoch++) {
        if (epoch == 4) {
            put_with(config, &key, 1, 60);
            put_abort();
        }
        for (int32_t i = 0; i < 25; i++)
            put(5);
    }
    for (uint32_t round = 0; round < 4; round++) {
        assert_true(clean(1 << 20));
        assert_int_equal(8 + round, box.log->epochs.count);
        a_copy_knows_the_epochs();
        assert_true(batches_empty >= 7);
        log_box_run_ms(&box, 200000);
        log_producers_expire(&box.log->producers, -1); /* all */
        for (int32_t i = 0; i < 50; i++)
            put(5);
        epoch++;
    }
    assert_int_equal(0, batches_of_77);
    log_box_kill(&box, false);
    assert_int_equal(ERR_NONE, log_box_start(&box));
    box.config.verify_all = true;
    assert_int_equal(ERR_NONE, log_box_open(&box));
    assert_null(log_producers_find(&box.log->producers, 77));
    a_copy_knows_the_epochs();
    log_box_over(&box);
}

static void nothing_above_the_high_watermark_or_too_young_is_touched(void **state)
{
    struct log_clean_look look;

    (void)state;
    begin(5);
    for (int32_t i = 0; i < 100; i++)
        put(1);
    assert_true(log_box_sync(&box));
    log_note_high_watermark(box.log, 30);
    log_clean_look(box.log, &look);
    assert_true(look.first_uncleanable > 0 && look.first_uncleanable <= 30);
    assert_true(look.wanted);
    box.config.min_compaction_lag_ms = 1000000;
    log_clean_look(box.log, &look);
    assert_true(look.first_uncleanable == 0);
    assert_false(look.wanted);
    box.config.min_compaction_lag_ms = 0;
    box.config.min_cleanable_ratio = 1000000;
    log_clean_look(box.log, &look);
    assert_false(look.wanted);
    box.config.max_compaction_lag_ms = 1000;
    log_box_run_ms(&box, 5000);
    log_clean_look(box.log, &look);
    assert_true(look.overdue && look.wanted);
    log_box_over(&box);
}

static void a_batch_larger_than_a_slice_is_cleaned(void **state)
{
    int32_t keys[3] = {1, 2, 1};

    (void)state;
    begin(6);
    box.config.max_message_bytes = 4 << 20;
    box.config.segment_bytes = 4 << 20;
    put_with(plain(), keys, 3, 300000);
    box.config.segment_bytes = SEGMENT;
    for (int32_t i = 0; i < 40; i++)
        put(3);
    assert_true(clean(1 << 20));
    assert_int_equal(ERR_NONE, cleaning.err);
    check(true);
    assert_true(got[0] == UINT32_MAX && got[1] != UINT32_MAX && got[2] != UINT32_MAX);
    log_box_over(&box);
}

static void many_records_are_cleaned_in_slices(void **state)
{
    int32_t keys[1500];

    (void)state;
    begin(7);
    for (uint32_t i = 0; i < 1500; i++)
        keys[i] = 1 + (int32_t)i % 700;
    box.config.segment_bytes = 1 << 20;
    put_with(plain(), keys, 1500, 1);
    box.config.segment_bytes = SEGMENT;
    for (int32_t i = 0; i < 40; i++)
        put(3);
    assert_true(clean(1 << 20));
    assert_int_equal(ERR_NONE, cleaning.err);
    assert_true(cleaning.slices >= 4);
    check(true);
    log_box_over(&box);
}

static void damage_is_not_copied(void **state)
{
    (void)state;
    begin(8);
    for (int32_t i = 0; i < 100; i++)
        put(1 + i % 3);
    assert_true(log_box_sync(&box));
    {
        struct log_io io;
        char path[LOG_PATH_MAX];
        uint8_t byte = 0x5a;
        struct disk_file file;

        log_io_init(&io);
        log_path_of(path, box.log, box.log->segments[1]->base, ".log");
        log_io_open(&io, box.env.world, path, 0);
        log_box_run_ms(&box, 10);
        file = io.req.file;
        log_io_write(&io, box.env.world, file, (struct bytes){&byte, 1}, 80);
        log_box_run_ms(&box, 10);
        assert_int_equal(ERR_NONE, log_io_err(&io));
        log_io_close(&io, box.env.world, file);
        log_box_run_ms(&box, 10);
    }
    assert_true(clean(1 << 20));
    assert_int_equal(ERR_DAMAGED, cleaning.err);
    assert_true(box.log->uncleanable);
    assert_true(box.log->known->cleaned <= 0);
    assert_true(box.traced[TRACE_LOG_DAMAGED] > 0);
    no_left_overs();
    log_box_over(&box);
}

static void a_cut_or_a_close_ends_it(void **state)
{
    (void)state;
    for (uint32_t when = 1; when < 60; when += 4) {
        begin(100 + when);
        for (int32_t i = 0; i < 80; i++)
            put(1 + i % 5);
        assert_true(log_box_sync(&box));
        log_note_high_watermark(box.log, 60);
        touched = 60;
        log_clean_start(&cleaning, box.log, 1 << 20);
        log_box_run_ms(&box, when / 10);
        if (when % 8 == 1) {
            assert_true(log_box_truncate(&box, 70));
            assert_true(log_box_wait(&box, cleaned));
            assert_true(box.log->log_end == 70);
            said_end = 70;
            check(true);
            put(4);
            check(true);
        }
        log_box_over(&box);
    }
}

/* A read of the turn in which the exchange of files is asked for: it counts as a reader at once,
 * and waits for the exchange from its first step on. */
struct late {
    struct op op;
};
static const char *const late_steps[] = {"START", "ASKED"};

static enum op_result late_run(struct op *op)
{
    struct late *o = CONTAINER_OF(op, struct late, op);

    switch (op->step) {
    case 0:
        AWAIT(o, 1, &cleaning.work->io.done, log_swap_due(box.log));
        assert_false(box.log->swapping);
        log_read(box.log, &reading);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static const struct op_kind late_kind = {"late", late_steps, COUNT_OF(late_steps), late_run, NULL};

static bool about_to_swap(struct log_box *b)
{
    const struct op *op;

    (void)b;
    if (cleaning.work == NULL) return true;
    op = &cleaning.work->op;
    return strcmp(op->kind->step_names[op->step], "SWAPS_SYNCED") == 0;
}

static void a_read_that_begins_when_the_swap_is_asked_for_does_not_hold_it_up(void **state)
{
    struct late late = {0};

    (void)state;
    begin(9);
    for (int32_t i = 0; i < 100; i++)
        put(1 + i % 3);
    assert_true(log_box_sync(&box));
    log_note_high_watermark(box.log, box.log->log_end);
    touched = log_active(box.log)->base;
    log_clean_start(&cleaning, box.log, 1 << 20);
    assert_true(log_box_wait(&box, about_to_swap));
    assert_true(cleaning.busy);
    reading = (struct log_read){
        .offset = 0, .limit = box.log->log_end, .max_bytes = 700, .first_whole = true};
    op_start(&box.env.loop, &late.op, &late_kind, 0);
    assert_true(log_box_wait(&box, cleaned));
    assert_int_equal(ERR_NONE, cleaning.err);
    if (!reading.done) assert_true(log_box_wait(&box, read_done));
    assert_int_equal(ERR_NONE, reading.err);
    assert_true(reading.count > 0);
    log_read_release(&reading);
    check(true);
    no_left_overs();
    log_box_over(&box);
}

static uint64_t checkpoint_wanted;
static uint32_t swaps_failed;

static bool checkpointed(struct log_box *b)
{
    return b->dir.checkpoints_written >= checkpoint_wanted;
}

static bool checkpoint(void)
{
    checkpoint_wanted = log_dir_checkpoint(&box.dir);
    return log_box_wait(&box, checkpointed);
}

/* A history drawn from the seed, with rounds of compaction in between; the machine dies after
 * `events` events of the last round. False: that round was over before. */
static bool story(uint64_t seed, uint64_t events, bool power, uint32_t few)
{
    bool died, told;
    uint64_t size;

    begin(seed);
    for (uint32_t round = 0; round < 3; round++) {
        uint32_t batches = few + draw(few);

        for (uint32_t i = 0; i < batches; i++) {
            int32_t keys[5];
            uint32_t count = 1 + draw(5);

            for (uint32_t k = 0; k < count; k++) {
                keys[k] = 1 + (int32_t)draw(KEYS);
                if (draw(5) == 0) keys[k] = -keys[k];
            }
            put_with(plain(), keys, count, draw(100));
        }
        assert_true(log_box_sync(&box));
        if (round == 2) break;
        assert_true(clean(1 << 20));
        assert_int_equal(ERR_NONE, cleaning.err);
        check(true);
    }
    /* What is promised is known at the next start: bytes that do not fit are damage then. */
    if (!checkpoint()) return false;
    assert_true(box.log->known->recovery_point == said_end);
    box.events_left = events;
    died = !clean(1 << 20);
    size = log_size(box.log);
    told = box.traced[TRACE_LOG_SWAPPING] > box.traced[TRACE_LOG_SWAPPED];
    log_box_kill(&box, power);
    log_box_up(&box);
    assert_true(told || log_size(box.log) == size); /* no open finishes what was not told */
    check(true);
    no_left_overs();
    /* And the log goes on: appends, a round, an orderly stop and another start. */
    put(1);
    assert_true(clean(1 << 20));
    check(true);
    log_box_stop(&box);
    log_box_up(&box);
    assert_true(box.log->opened_clean);
    check(true);
    log_box_over(&box);
    return died;
}

static void random_histories_keep_what_the_model_keeps(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 15; seed++)
        assert_false(story(1000 + seed, 1 << 20, seed % 2 == 0, 30));
}

static void the_machine_may_die_at_any_event(void **state)
{
    uint64_t events = 1;

    (void)state;
    for (; story(2000 + events % 7, events, true, 12); events++)
        assert_true(events < 5000);
    assert_true(events > 60);
    for (events = 1; story(3000 + events % 5, events, events % 3 != 0, 20); events += 7)
        assert_true(events < 5000);
}

/* One request of the last round, the `nth`, comes back with that error. A directory that is offline
 * then is started again. False: the round had fewer requests. */
static bool story_with_error(uint32_t nth, enum err error)
{
    struct sim_disk_rule rule = {.ops = ~0u & ~(1u << DISK_CLOSE),
                                 .glob = "data/orders-0*",
                                 .nth = nth,
                                 .times = 1,
                                 .error = error};
    uint32_t at;
    bool hit;

    begin(4000 + nth % 3);
    for (uint32_t i = 0; i < 60; i++)
        put(1 + (int32_t)draw(KEYS));
    assert_true(log_box_sync(&box));
    assert_true(checkpoint());
    at = sim_disk_add_rule(box.node->disk, &rule);
    (void)clean(1 << 20);
    log_box_run_ms(&box, 3000);
    hit = sim_disk_rule(box.node->disk, at)->injected > 0;
    sim_disk_clear_rules(box.node->disk);
    /* What is told, and what is half done: no reader gets anything else than before, or nothing. */
    if (log_dir_online(&box.dir)) {
        assert_int_equal(LOG_OPEN, box.log->state);
        check(true);
        put(1);
        assert_true(log_box_sync(&box));
    } else {
        swaps_failed += box.traced[TRACE_LOG_SWAPPING] > box.traced[TRACE_LOG_SWAPPED];
    }
    log_box_kill(&box, nth % 2 == 0);
    log_box_up(&box);
    check(true);
    no_left_overs();
    assert_true(clean(1 << 20));
    assert_int_equal(ERR_NONE, cleaning.err);
    check(true);
    log_box_over(&box);
    return hit;
}

static void an_error_at_any_disk_request_costs_no_key_its_newest_record(void **state)
{
    (void)state;
    swaps_failed = 0;
    for (uint32_t nth = 1; story_with_error(nth, nth % 3 == 0 ? ERR_NO_SPACE : ERR_IO); nth++)
        assert_true(nth < 500);
    assert_true(swaps_failed > 5);
}

static int setup(void **state)
{
    (void)state;
    support_memory_init(&copied_memory, 1 << 20);
    log_epochs_init(&copied, &copied_memory.mem);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_epochs_deinit(&copied);
    support_memory_deinit(&copied_memory);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_each_key_the_newest_record_stays_at_its_offset),
        cmocka_unit_test(a_map_that_fills_goes_on_where_it_ended),
        cmocka_unit_test(a_tombstone_stays_for_its_time_after_the_first_cleaning),
        cmocka_unit_test(an_aborted_record_hides_nothing_though_its_marker_stands_far_behind),
        cmocka_unit_test(the_headers_by_which_a_retry_is_known_stay),
        cmocka_unit_test(who_copies_the_log_learns_of_every_epoch),
        cmocka_unit_test(nothing_above_the_high_watermark_or_too_young_is_touched),
        cmocka_unit_test(a_batch_larger_than_a_slice_is_cleaned),
        cmocka_unit_test(many_records_are_cleaned_in_slices),
        cmocka_unit_test(damage_is_not_copied),
        cmocka_unit_test(a_cut_or_a_close_ends_it),
        cmocka_unit_test(a_read_that_begins_when_the_swap_is_asked_for_does_not_hold_it_up),
        cmocka_unit_test(random_histories_keep_what_the_model_keeps),
        cmocka_unit_test(the_machine_may_die_at_any_event),
        cmocka_unit_test(an_error_at_any_disk_request_costs_no_key_its_newest_record),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

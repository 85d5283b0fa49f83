/* Proves of compaction what can come in its way: damage is not copied, a cut or a close ends a
 * round, a reader does not hold up the exchange of files, nothing known of the old files is
 * believed of the new one, and the machine may die at any event of it (storage.md S24, S25, S27;
 * H2). The model is that of clean_box.h. */
#include "tests/support/clean_box.h"

#include "sim/disk.h"

#include <string.h>

enum { KEYS = 12, RANGE_MAX = 20000, ROUNDS = 10 };

static struct clean_box c;

static uint64_t random_state;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

static void damage_is_not_copied(void **state)
{
    (void)state;
    clean_box_begin(&c, 8);
    for (int32_t i = 0; i < 100; i++)
        clean_box_put(&c, 1 + i % 3);
    assert_true(log_box_sync(&c.box));
    {
        struct log_io io;
        char path[LOG_PATH_MAX];
        uint8_t byte = 0x5a;
        struct disk_file file;

        log_io_init(&io);
        log_path_of(path, c.box.log, c.box.log->segments[1]->base, ".log");
        log_io_open(&io, c.box.env.world, path, 0);
        log_box_run_ms(&c.box, 10);
        file = io.req.file;
        log_io_write(&io, c.box.env.world, file, (struct bytes){&byte, 1}, 80);
        log_box_run_ms(&c.box, 10);
        assert_int_equal(ERR_NONE, log_io_err(&io));
        log_io_close(&io, c.box.env.world, file);
        log_box_run_ms(&c.box, 10);
    }
    assert_true(clean_box_clean(&c, 1 << 20));
    assert_int_equal(ERR_DAMAGED, c.cleaning.err);
    assert_true(c.box.log->uncleanable);
    assert_true(c.box.log->known->cleaned <= 0);
    assert_true(c.box.traced[TRACE_LOG_DAMAGED] > 0);
    clean_box_no_left_overs(&c);
    clean_box_over(&c);
}

static void a_cut_or_a_close_ends_it(void **state)
{
    (void)state;
    for (uint32_t when = 1; when < 60; when += 4) {
        clean_box_begin(&c, 100 + when);
        for (int32_t i = 0; i < 80; i++)
            clean_box_put(&c, 1 + i % 5);
        assert_true(log_box_sync(&c.box));
        log_note_high_watermark(c.box.log, 60);
        c.touched = 60;
        log_clean_start(&c.cleaning, c.box.log, 1 << 20);
        log_box_run_ms(&c.box, when / 10);
        if (when % 8 == 1) {
            assert_true(log_box_truncate(&c.box, 70));
            assert_true(log_box_wait(&c.box, clean_box_cleaned));
            assert_true(c.box.log->log_end == 70);
            c.said_end = 70;
            clean_box_check(&c, true);
            clean_box_put(&c, 4);
            clean_box_check(&c, true);
        }
        clean_box_over(&c);
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
        AWAIT(o, 1, &c.cleaning.work->io.done, log_swap_due(c.box.log));
        assert_false(c.box.log->swapping);
        log_read(c.box.log, &c.reading);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static const struct op_kind late_kind = {"late", late_steps, COUNT_OF(late_steps), late_run, NULL};

static bool about_to_swap(struct log_box *b)
{
    const struct op *op;

    (void)b;
    if (c.cleaning.work == NULL) return true;
    op = &c.cleaning.work->op;
    return strcmp(op->kind->step_names[op->step], "SWAPS_SYNCED") == 0;
}

static void a_read_that_begins_when_the_swap_is_asked_for_does_not_hold_it_up(void **state)
{
    struct late late = {0};

    (void)state;
    clean_box_begin(&c, 9);
    for (int32_t i = 0; i < 100; i++)
        clean_box_put(&c, 1 + i % 3);
    assert_true(log_box_sync(&c.box));
    log_note_high_watermark(c.box.log, c.box.log->log_end);
    c.touched = log_active(c.box.log)->base;
    log_clean_start(&c.cleaning, c.box.log, 1 << 20);
    assert_true(log_box_wait(&c.box, about_to_swap));
    assert_true(c.cleaning.busy);
    c.reading = (struct log_read){
        .offset = 0, .limit = c.box.log->log_end, .max_bytes = 700, .first_whole = true};
    op_start(&c.box.env.loop, &late.op, &late_kind, 0);
    assert_true(log_box_wait(&c.box, clean_box_cleaned));
    assert_int_equal(ERR_NONE, c.cleaning.err);
    if (!c.reading.done) assert_true(log_box_wait(&c.box, clean_box_read_done));
    assert_int_equal(ERR_NONE, c.reading.err);
    assert_true(c.reading.count > 0);
    log_read_release(&c.reading);
    clean_box_check(&c, true);
    clean_box_no_left_overs(&c);
    clean_box_over(&c);
}

/* What the answer brings to a consumer, be it a buffer or a range of a file. */
static struct bytes brought(uint8_t *room)
{
    struct bytes bytes = c.reading.slices[0];

    assert_int_equal(1, c.reading.count);
    if (bytes.data != NULL) return bytes;
    assert_true(bytes.length <= RANGE_MAX);
    assert_int_equal(bytes.length,
                     sim_image_read(sim_disk_inode(c.box.node->disk, c.reading.range_file),
                                    c.reading.range_offset, room, bytes.length, SIM_VIEW_VISIBLE));
    return (struct bytes){room, bytes.length};
}

/* All of the log as a consumer fetches it. Every batch has one record here. */
static void consume(bool *seen)
{
    static uint8_t room[RANGE_MAX];

    memset(seen, 0, CLEAN_BOX_OFFSETS * sizeof *seen);
    for (int64_t at = 0; at < c.box.log->log_end; at = c.reading.next_offset) {
        struct record_batch batch;
        struct bytes bytes;

        c.reading = (struct log_read){.offset = at,
                                      .limit = c.box.log->log_end,
                                      .max_bytes = RANGE_MAX,
                                      .first_whole = true,
                                      .ranges = true};
        log_read(c.box.log, &c.reading);
        if (!c.reading.done) assert_true(log_box_wait(&c.box, clean_box_read_done));
        assert_int_equal(ERR_NONE, c.reading.err);
        bytes = brought(room);
        while (bytes.length > 0) {
            assert_int_equal(RECORD_BATCH_WHOLE, record_batch_parse(bytes, &batch));
            assert_int_equal(ERR_NONE, record_batch_check_copy(c.box.env.world->cpu, &batch));
            assert_true(batch.base_offset >= at && batch.base_offset < c.reading.next_offset);
            seen[batch.base_offset] = true;
            bytes.data += batch.bytes.length;
            bytes.length -= batch.bytes.length;
        }
        log_read_release(&c.reading);
    }
}

/* Every second record has a key of its own, the others one together: each segment shrinks. */
static void what_was_found_sound_is_not_believed_of_the_file_that_took_its_place(void **state)
{
    static bool seen[ROUNDS][CLEAN_BOX_OFFSETS];
    uint64_t told;

    (void)state;
    clean_box_begin(&c, 10);
    c.box.config.segment_bytes = 60000;
    for (int32_t i = 0; i < 100; i++)
        clean_box_put_with(&c, clean_box_plain(&c), (int32_t[]){i % 2 == 0 ? 100 + i : 1}, 1, 2000);
    assert_true(log_box_sync(&c.box));
    log_note_high_watermark(c.box.log, c.box.log->log_end);
    for (uint32_t i = 0; i < ROUNDS; i++)
        consume(seen[i]);
    told = c.box.dir.ranges_told;
    assert_true(told > 0 && c.box.log->segments[0]->sound_count > 0);
    assert_true(clean_box_clean(&c, 1 << 20));
    assert_int_equal(ERR_NONE, c.cleaning.err);
    assert_true(c.box.traced[TRACE_LOG_SWAPPED] > 0);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        consume(seen[i]);
        assert_true(c.box.traced[TRACE_LOG_DAMAGED] == 0);
    }
    assert_true(c.box.dir.ranges_told > told); /* of the new file: it has runs of its own */
    clean_box_check(&c, true);
    for (uint32_t i = 0; i < ROUNDS; i++)
        for (int64_t at = 0; at < c.said_end; at++)
            assert_true(seen[i][at] == (c.got[at] != UINT32_MAX));
    assert_true(clean_box_count_got(&c) < 100);
    clean_box_over(&c);
}

static uint64_t checkpoint_wanted;
static uint32_t swaps_failed;

static bool checkpointed(struct log_box *b)
{
    return b->dir.checkpoints_written >= checkpoint_wanted;
}

static bool checkpoint(void)
{
    checkpoint_wanted = log_dir_checkpoint(&c.box.dir);
    return log_box_wait(&c.box, checkpointed);
}

/* A history drawn from the seed, with rounds of compaction in between; the machine dies after
 * `events` events of the last round. False: that round was over before. */
static bool story(uint64_t seed, uint64_t events, bool power, uint32_t few)
{
    bool died, told;
    uint64_t size;

    clean_box_begin(&c, seed);
    random_state = seed;
    for (uint32_t round = 0; round < 3; round++) {
        uint32_t batches = few + draw(few);

        for (uint32_t i = 0; i < batches; i++) {
            int32_t keys[5];
            uint32_t count = 1 + draw(5);

            for (uint32_t k = 0; k < count; k++) {
                keys[k] = 1 + (int32_t)draw(KEYS);
                if (draw(5) == 0) keys[k] = -keys[k];
            }
            clean_box_put_with(&c, clean_box_plain(&c), keys, count, draw(100));
        }
        assert_true(log_box_sync(&c.box));
        if (round == 2) break;
        assert_true(clean_box_clean(&c, 1 << 20));
        assert_int_equal(ERR_NONE, c.cleaning.err);
        clean_box_check(&c, true);
    }
    /* What is promised is known at the next start: bytes that do not fit are damage then. */
    if (!checkpoint()) return false;
    assert_true(c.box.log->known->recovery_point == c.said_end);
    c.box.events_left = events;
    died = !clean_box_clean(&c, 1 << 20);
    size = log_size(c.box.log);
    told = c.box.traced[TRACE_LOG_SWAPPING] > c.box.traced[TRACE_LOG_SWAPPED];
    log_box_kill(&c.box, power);
    log_box_up(&c.box);
    assert_true(told || log_size(c.box.log) == size); /* no open finishes what was not told */
    clean_box_check(&c, true);
    clean_box_no_left_overs(&c);
    /* And the log goes on: appends, a round, an orderly stop and another start. */
    clean_box_put(&c, 1);
    assert_true(clean_box_clean(&c, 1 << 20));
    clean_box_check(&c, true);
    log_box_stop(&c.box);
    log_box_up(&c.box);
    assert_true(c.box.log->opened_clean);
    clean_box_check(&c, true);
    clean_box_over(&c);
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

    clean_box_begin(&c, 4000 + nth % 3);
    for (uint32_t i = 0; i < 60; i++)
        clean_box_put(&c, 1 + (int32_t)draw(KEYS));
    assert_true(log_box_sync(&c.box));
    assert_true(checkpoint());
    at = sim_disk_add_rule(c.box.node->disk, &rule);
    (void)clean_box_clean(&c, 1 << 20);
    log_box_run_ms(&c.box, 3000);
    hit = sim_disk_rule(c.box.node->disk, at)->injected > 0;
    sim_disk_clear_rules(c.box.node->disk);
    /* What is told, and what is half done: no reader gets anything else than before, or nothing. */
    if (log_dir_online(&c.box.dir)) {
        assert_int_equal(LOG_OPEN, c.box.log->state);
        clean_box_check(&c, true);
        clean_box_put(&c, 1);
        assert_true(log_box_sync(&c.box));
    } else {
        swaps_failed += c.box.traced[TRACE_LOG_SWAPPING] > c.box.traced[TRACE_LOG_SWAPPED];
    }
    log_box_kill(&c.box, nth % 2 == 0);
    log_box_up(&c.box);
    clean_box_check(&c, true);
    clean_box_no_left_overs(&c);
    assert_true(clean_box_clean(&c, 1 << 20));
    assert_int_equal(ERR_NONE, c.cleaning.err);
    clean_box_check(&c, true);
    clean_box_over(&c);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_is_not_copied),
        cmocka_unit_test(a_cut_or_a_close_ends_it),
        cmocka_unit_test(a_read_that_begins_when_the_swap_is_asked_for_does_not_hold_it_up),
        cmocka_unit_test(what_was_found_sound_is_not_believed_of_the_file_that_took_its_place),
        cmocka_unit_test(random_histories_keep_what_the_model_keeps),
        cmocka_unit_test(the_machine_may_die_at_any_event),
        cmocka_unit_test(an_error_at_any_disk_request_costs_no_key_its_newest_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

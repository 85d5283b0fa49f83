#include "tests/support/clean_box.h"

#include <stdlib.h>
#include <string.h>

void clean_box_begin(struct clean_box *c, uint64_t seed)
{
    log_box_init(&c->box, seed);
    support_memory_init(&c->copied_memory, 1 << 20);
    log_epochs_init(&c->copied, &c->copied_memory.mem);
    c->box.cache_bytes = 0;
    c->box.config.segment_bytes = CLEAN_BOX_SEGMENT;
    c->box.config.index_interval_bytes = 100;
    c->box.config.gaps = true;
    c->box.config.delete_delay_ms = 1000;
    c->box.config.delete_retention_ms = 60000;
    c->box.config.min_cleanable_ratio = 0;
    c->said_end = 0;
    c->serial = 0;
    c->epoch = 1;
    c->touched = 0;
    log_box_up(&c->box);
}

struct record_builder_config clean_box_plain(struct clean_box *c)
{
    return record_builder_config_default(c->box.env.world->cpu);
}

void clean_box_put_with(struct clean_box *c, struct record_builder_config config,
                        const int32_t *keys, uint32_t count, uint32_t padding)
{
    struct record_builder builder;
    size_t room = 128 + (size_t)count * (padding + 64);
    struct buf *buf = buf_take(&c->box.env.payload, room, true);
    uint8_t *value = calloc(1, padding + 4);
    struct log_append append;

    assert_non_null(buf);
    assert_non_null(value);
    record_builder_init(&builder, &config, buf->data, room);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t key = (uint32_t)(keys[i] < 0 ? -keys[i] : keys[i]);
        struct said *at = &c->said[c->said_end + i];

        *at = (struct said){key, keys[i] < 0 ? 0 : ++c->serial, padding};
        memcpy(value, &at->value, 4);
        assert_int_equal(
            ERR_NONE, record_builder_append(
                          &builder, c->box.dir.env->now.wall.ms, (struct bytes){(uint8_t *)&key, 4},
                          keys[i] < 0 ? BYTES_NULL : (struct bytes){value, padding + 4}, NULL, 0));
    }
    assert_int_equal(ERR_NONE,
                     log_append_as_leader(c->box.log, buf, record_builder_finish(&builder),
                                          c->epoch, LOG_CLIENT, &append));
    buf_unref(buf);
    free(value);
    assert_true(log_box_await(&c->box, &append));
    c->said_end += count;
    assert_true(c->box.log->log_end == c->said_end);
}

void clean_box_put(struct clean_box *c, int32_t key)
{
    clean_box_put_with(c, clean_box_plain(c), &key, 1, 60);
}

bool clean_box_cleaned(struct log_box *b)
{
    return !CONTAINER_OF(b, struct clean_box, box)->cleaning.busy;
}

bool clean_box_clean(struct clean_box *c, uint64_t map_bytes)
{
    if (!log_box_sync(&c->box)) return false;
    log_note_high_watermark(c->box.log, c->box.log->log_end);
    c->touched = log_active(c->box.log)->base;
    log_clean_start(&c->cleaning, c->box.log, map_bytes);
    if (!log_box_wait(&c->box, clean_box_cleaned)) return false;
    return true;
}

bool clean_box_read_done(struct log_box *b)
{
    return CONTAINER_OF(b, struct clean_box, box)->reading.done;
}

void clean_box_read_all(struct clean_box *c)
{
    int64_t at = c->box.log->log_start;
    int64_t last = -1;

    c->batches_seen = c->batches_empty = c->batches_of_77 = 0;
    c->copied.count = 0;
    memset(c->got, 0xff, sizeof c->got);
    while (at < c->box.log->log_end) {
        c->reading.offset = at;
        c->reading.limit = c->box.log->log_end;
        c->reading.max_bytes = 700;
        c->reading.first_whole = true;
        log_read(c->box.log, &c->reading);
        if (!c->reading.done) assert_true(log_box_wait(&c->box, clean_box_read_done));
        assert_int_equal(ERR_NONE, c->reading.err);
        if (c->reading.count == 0) break; /* nothing behind `at` any more but the empty end */
        for (uint32_t i = 0; i < c->reading.count; i++) {
            struct record_batch_iter iter;
            struct record_batch batch;

            record_batch_iter_init(&iter, c->reading.slices[i]);
            while (record_batch_iter_next(&iter, &batch)) {
                struct record_iter records;
                struct record record;

                assert_int_equal(ERR_NONE, record_batch_check_copy(c->box.env.world->cpu, &batch));
                assert_true(batch.base_offset > last);
                last = record_batch_last_offset(&batch);
                c->batches_seen++;
                c->batches_empty += batch.record_count == 0;
                c->batches_of_77 += batch.producer_id == 77;
                assert_int_equal(ERR_NONE, log_epochs_reserve(&c->copied, 1));
                (void)log_epochs_assign(&c->copied, batch.partition_leader_epoch,
                                        batch.base_offset);
                if (record_batch_is_control(&batch)) continue;
                record_iter_init(&records, &batch, record_batch_payload(&batch));
                while (record_iter_next(&records, &record) == ERR_NONE) {
                    const struct said *was = &c->said[record.offset];
                    uint32_t value = 0;

                    assert_true(record.offset < c->said_end);
                    assert_int_equal(4, record.key.length);
                    assert_memory_equal(record.key.data, &was->key, 4);
                    if (record.value.data != NULL) memcpy(&value, record.value.data, 4);
                    assert_int_equal(was->value, value);
                    assert_true(c->got[record.offset] == UINT32_MAX);
                    c->got[record.offset] = value;
                }
            }
        }
        assert_true(c->reading.next_offset > at);
        at = c->reading.next_offset;
        log_read_release(&c->reading);
    }
    assert_true(at <= c->box.log->log_end);
}

/* The model: `sure`: tombstones are all young. */
void clean_box_check(struct clean_box *c, bool sure)
{
    clean_box_read_all(c);
    assert_true(c->box.log->log_end == c->said_end);
    for (int64_t i = c->box.log->log_start; i < c->said_end; i++) {
        bool newest = true;

        for (int64_t j = i + 1; j < c->said_end && newest; j++)
            newest = c->said[j].key != c->said[i].key;
        if (newest && (c->said[i].value != 0 || sure)) {
            if (c->got[i] == UINT32_MAX)
                fail_msg("the newest of key %u at %d is gone", c->said[i].key, (int)i);
        }
        if (i >= c->touched) assert_true(c->got[i] != UINT32_MAX);
    }
}

uint32_t clean_box_count_got(struct clean_box *c)
{
    uint32_t count = 0;

    for (int64_t i = 0; i < c->said_end; i++)
        count += c->got[i] != UINT32_MAX;
    return count;
}

/* Every name of the partition's directory that a swap leaves behind only when it is cut short. */
void clean_box_no_left_overs(struct clean_box *c)
{
    uint8_t list[16384];
    struct log_io io;
    char path[LOG_PATH_MAX];

    log_io_init(&io);
    log_path_log(path, c->box.log);
    log_io_list(&io, c->box.env.world, path, list, sizeof list);
    log_box_run_ms(&c->box, 100);
    assert_true(log_io_done(&io));
    assert_int_equal(ERR_NONE, log_io_err(&io));
    for (uint64_t at = 0; at < io.req.done;) {
        const struct disk_entry *entry = (const void *)(list + at);

        assert_null(strstr(entry->name, ".cleaned"));
        assert_null(strstr(entry->name, ".swap"));
        at += entry->entry_length;
    }
}

void clean_box_over(struct clean_box *c)
{
    log_epochs_deinit(&c->copied);
    support_memory_deinit(&c->copied_memory);
    log_box_over(&c->box);
}

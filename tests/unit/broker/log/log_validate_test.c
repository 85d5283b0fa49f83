/* Proves that a leader takes no batch whose records are not what its header says, leaves what it
 * takes as it came, and stamps and corrects timestamps with the crc. */
#include "tests/support/log_box.h"

#include "client/posix/codecs.h"
#include "client/wire/compress.h"
#include "client/wire/record_builder.h"

#include <stdlib.h>
#include <string.h>

static struct log_box box;
static struct codecs codecs;

static int box_up(void **state)
{
    (void)state;
    assert_int_equal(ERR_NONE, codecs_create(&codecs));
    log_box_init(&box, 1);
    assert_int_equal(ERR_NONE, log_box_start(&box));
    assert_int_equal(ERR_NONE, log_box_open(&box));
    box.env.world->codecs = &codecs;
    return 0;
}

static int box_over(void **state)
{
    (void)state;
    log_box_stop(&box);
    log_box_deinit(&box);
    codecs_destroy(&codecs);
    return 0;
}

static enum err append(struct buf *buf, struct bytes bytes, struct log_append *ticket)
{
    enum err err = log_append_as_leader(box.log, buf, bytes, 0, LOG_CLIENT, ticket);

    if (err == ERR_NONE) {
        assert_true(log_box_await(&box, ticket));
        assert_int_equal(LOG_APPEND_DONE, log_append_state(box.log, ticket));
    }
    buf_unref(buf);
    return err;
}

/* A byte of the records changes, the crc with it. */
static enum err append_bent(uint32_t at, uint8_t value)
{
    struct log_append ticket;
    struct record_batch batch;
    struct bytes bytes;
    struct buf *buf = log_box_batch(&box, 3, 20, 1000, &bytes);

    assert_int_equal(RECORD_BATCH_WHOLE, record_batch_parse(bytes, &batch));
    buf->data[RECORD_BATCH_HEADER + at] = value;
    record_batch_set_timestamp(box.env.world->cpu, buf->data, false, batch.max_timestamp);
    return append(buf, bytes, &ticket);
}

static void a_record_that_does_not_parse_refuses_its_batch(void **state)
{
    (void)state;
    /* length, attributes, timestamp delta, offset delta, key length, value length */
    assert_int_equal(ERR_INVALID_RECORD, append_bent(0, 0x02));
    assert_int_equal(ERR_INVALID_RECORD, append_bent(0, 0x7e));
    assert_int_equal(ERR_INVALID_RECORD, append_bent(5, 0x7e));
    assert_int_equal(ERR_NONE, append_bent(1, 0)); /* as it was */
    assert_true(box.log->log_end == 3);
}

static void offsets_inside_a_batch_count_from_zero(void **state)
{
    (void)state;
    assert_int_equal(ERR_INVALID_RECORD, append_bent(3, 2)); /* 1, 1, 2 */
    assert_int_equal(ERR_INVALID_RECORD, append_bent(3, 1)); /* -1, 1, 2 */
    assert_true(box.log->log_end == 0);
}

static struct buf *compressed(enum codec codec, uint32_t padding, struct bytes *bytes)
{
    struct record_builder_config config = record_builder_config_default(box.env.world->cpu);
    struct record_builder builder;
    size_t room = (size_t)padding * 4 + 4096, bound, length;
    uint8_t *plain = calloc(1, room);
    uint8_t *value = calloc(1, padding);
    uint8_t *packed;
    struct buf *buf;

    assert_non_null(plain);
    assert_non_null(value);
    record_builder_init(&builder, &config, plain, room);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ERR_NONE, record_builder_append(&builder, 1000 + i, BYTES_NULL,
                                                         (struct bytes){value, padding}, NULL, 0));
    bound = compress_bound(codec, record_builder_records(&builder).length);
    packed = malloc(bound);
    assert_non_null(packed);
    assert_int_equal(ERR_NONE,
                     compress_encode(&codecs, codec, COMPRESS_LEVEL_DEFAULT,
                                     record_builder_records(&builder), packed, bound, &length));
    buf = buf_take(&box.env.payload, RECORD_BATCH_HEADER + length, true);
    assert_non_null(buf);
    memcpy(buf->data + RECORD_BATCH_HEADER, packed, length);
    free(packed);
    *bytes = record_builder_finish_compressed(&builder, codec, buf->data, length);
    free(value);
    free(plain);
    return buf;
}

static void a_compressed_batch_is_looked_into_and_kept_as_it_came(void **state)
{
    (void)state;
    for (int codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
        struct log_append ticket;
        struct record_batch batch;
        struct bytes bytes;
        struct buf *buf = compressed((enum codec)codec, 200000, &bytes);
        uint32_t crc;

        assert_int_equal(RECORD_BATCH_WHOLE, record_batch_parse(bytes, &batch));
        crc = batch.crc;
        assert_int_equal(ERR_NONE, append(buf, bytes, &ticket));
        assert_int_equal(crc, box.batches[box.count - 1].crc);
        /* A stream that is none, with a crc that fits. */
        buf = compressed((enum codec)codec, 3000, &bytes);
        memset(buf->data + RECORD_BATCH_HEADER, 0xff, bytes.length - RECORD_BATCH_HEADER);
        record_batch_set_timestamp(box.env.world->cpu, buf->data, false, 1002);
        assert_int_equal(ERR_CORRUPT_MESSAGE, append(buf, bytes, &ticket));
    }
    assert_true(box.log->log_end == 12);
    log_box_check(&box, 1000);
}

static void what_a_batch_grows_to_has_a_bound(void **state)
{
    struct log_append ticket;
    struct bytes bytes;
    struct buf *buf = compressed(CODEC_ZSTD, 12 << 20, &bytes);
    size_t before = mem_in_use(&box.env.mem);

    (void)state;
    assert_true(bytes.length < 100000);
    buf_ref(buf);
    assert_int_equal(ERR_MESSAGE_TOO_LARGE, append(buf, bytes, &ticket));
    assert_int_equal(before, mem_in_use(&box.env.mem));
    buf_unref(buf);
    assert_true(box.log->log_end == 0);
}

static void a_compacted_topic_wants_keys(void **state)
{
    struct log_append ticket;
    struct bytes bytes;
    struct buf *buf = log_box_batch(&box, 2, 10, 1000, &bytes);

    (void)state;
    box.config.gaps = true;
    assert_int_equal(ERR_INVALID_RECORD, append(buf, bytes, &ticket));
}

static void timestamps_are_those_of_the_records(void **state)
{
    struct log_append ticket;
    struct record_batch batch;
    struct bytes bytes;
    int64_t now = box.env.now.wall.ms;
    struct buf *buf = log_box_batch(&box, 2, 10, now, &bytes);

    (void)state;
    /* A header that claims another maximum is put right. */
    record_batch_set_timestamp(box.env.world->cpu, buf->data, false, now + 5000000);
    buf_ref(buf);
    assert_int_equal(ERR_NONE, append(buf, bytes, &ticket));
    assert_int_equal(RECORD_BATCH_WHOLE, record_batch_parse(bytes, &batch));
    assert_true(batch.max_timestamp == now);
    assert_int_equal(ERR_NONE, record_batch_check_crc(box.env.world->cpu, &batch));
    buf_unref(buf);
    box.config.timestamp_before_max_ms = 1000;
    buf = log_box_batch(&box, 2, 10, now - 100000, &bytes);
    assert_int_equal(ERR_INVALID_TIMESTAMP, append(buf, bytes, &ticket));
    box.config.timestamp_after_max_ms = 1000;
    buf = log_box_batch(&box, 2, 10, now + 100000, &bytes);
    assert_int_equal(ERR_INVALID_TIMESTAMP, append(buf, bytes, &ticket));
    log_box_check(&box, 1000);
}

static void log_append_time_is_stamped_with_the_crc_and_taken_back_after_a_failure(void **state)
{
    struct log_append ticket;
    struct record_batch batch;
    struct bytes bytes;
    struct buf *buf = log_box_batch(&box, 2, 10, 1000, &bytes);
    uint8_t before[512];

    (void)state;
    assert_true(bytes.length <= sizeof before);
    memcpy(before, bytes.data, bytes.length);
    box.config.log_append_time = true;
    buf_ref(buf);
    box.env.mem.fail_at = 1;
    assert_int_equal(ERR_NO_MEMORY,
                     log_append_as_leader(box.log, buf, bytes, 0, LOG_CLIENT, &ticket));
    assert_memory_equal(before, bytes.data, bytes.length);
    box.env.mem.fail_at = 0;
    assert_int_equal(ERR_NONE, append(buf, bytes, &ticket));
    assert_int_equal(RECORD_BATCH_WHOLE, record_batch_parse(bytes, &batch));
    assert_true((batch.attributes & RECORD_LOG_APPEND_TIME) != 0);
    assert_true(batch.max_timestamp == ticket.append_time_ms && batch.max_timestamp > 1000);
    assert_int_equal(ERR_NONE, record_batch_check_crc(box.env.world->cpu, &batch));
    buf_unref(buf);
    log_box_check(&box, 1000);
}

static void what_is_in_the_log_already_is_held_to_no_limit_that_came_later(void **state)
{
    struct log_append first, again;
    struct bytes bytes;
    struct buf *buf = log_box_produce_batch(&box, 42, 0, 0, 5, &bytes);

    (void)state;
    assert_int_equal(ERR_NONE, append(buf, bytes, &first));
    for (int limit = 0; limit < 4; limit++) {
        struct log_config config = box.config;

        if (limit == 0) box.config.segment_bytes = 80;
        if (limit == 1) box.config.max_message_bytes = 80;
        if (limit == 2) box.config.gaps = true; /* wants keys */
        if (limit == 3) box.config.timestamp_before_max_ms = 0;
        buf = log_box_produce_batch(&box, 42, 0, 0, 5, &bytes);
        assert_int_equal(ERR_NONE, append(buf, bytes, &again));
        assert_true(again.duplicate);
        assert_true(again.base_offset == first.base_offset);
        assert_true(again.last_offset == first.last_offset);
        /* Damaged on the way it is not what stands there. */
        buf = log_box_produce_batch(&box, 42, 0, 0, 5, &bytes);
        buf->data[bytes.length - 1] ^= 1;
        assert_int_not_equal(ERR_NONE, append(buf, bytes, &again));
        /* The next one is new. */
        if (limit != 3) {
            buf = log_box_produce_batch(&box, 42, 0, 5, 5, &bytes);
            assert_int_equal(limit == 0   ? ERR_RECORD_LIST_TOO_LARGE
                             : limit == 1 ? ERR_MESSAGE_TOO_LARGE
                                          : ERR_INVALID_RECORD,
                             append(buf, bytes, &again));
        }
        box.config = config;
    }
    assert_true(box.log->log_end == 5);
}

int main(void)
{
#define BOX_TEST(test) cmocka_unit_test_setup_teardown(test, box_up, box_over)
    const struct CMUnitTest tests[] = {
        BOX_TEST(a_record_that_does_not_parse_refuses_its_batch),
        BOX_TEST(offsets_inside_a_batch_count_from_zero),
        BOX_TEST(a_compressed_batch_is_looked_into_and_kept_as_it_came),
        BOX_TEST(what_a_batch_grows_to_has_a_bound),
        BOX_TEST(a_compacted_topic_wants_keys),
        BOX_TEST(what_is_in_the_log_already_is_held_to_no_limit_that_came_later),
        BOX_TEST(timestamps_are_those_of_the_records),
        BOX_TEST(log_append_time_is_stamped_with_the_crc_and_taken_back_after_a_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

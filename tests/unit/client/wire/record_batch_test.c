/* Proves: batches frame, parse, patch and check as storage.md 2.1 and 5.2 say; the builder's
 * batches read back; the record iterator takes nothing that is not exact. */
#include "tests/support/support.h"

#include "client/base/assert.h"
#include "client/base/rng.h"
#include "client/wire/record_builder.h"

#include <stdlib.h>
#include <string.h>

static const struct cpu cpu = {.sse42 = false};

static struct bytes text(const char *terminated)
{
    return (struct bytes){(const uint8_t *)terminated, (uint32_t)strlen(terminated)};
}

/* Three records: key and value, null value, null key with two headers. */
static struct bytes build(uint8_t *buffer, size_t capacity,
                          const struct record_builder_config *config)
{
    const struct record_header headers[2] = {{text("h"), text("1")}, {text("i"), BYTES_NULL}};
    struct record_builder builder;

    record_builder_init(&builder, config, buffer, capacity);
    assert_int_equal(record_builder_append(&builder, 1000, text("k"), text("v"), NULL, 0),
                     ERR_NONE);
    assert_int_equal(record_builder_append(&builder, 1007, text("k2"), BYTES_NULL, NULL, 0),
                     ERR_NONE);
    assert_int_equal(record_builder_append(&builder, 990, BYTES_NULL, text(""), headers, 2),
                     ERR_NONE);
    return record_builder_finish(&builder);
}

static struct bytes build_default(uint8_t *buffer, size_t capacity)
{
    struct record_builder_config config = record_builder_config_default(cpu);

    return build(buffer, capacity, &config);
}

static struct record_batch parse(struct bytes bytes)
{
    struct record_batch batch = {0};

    assert_int_equal(record_batch_parse(bytes, &batch), RECORD_BATCH_WHOLE);
    return batch;
}

static void golden_bytes_of_one_record(void **state)
{
    /* made by hand from protocol.md 9; the crc is that of the bytes after it */
    static const uint8_t expected[] = {
        0,    0,    0,    0,
        0,    0,    0,    0,    /* base offset */
        0,    0,    0,    57,   /* batch length */
        0xff, 0xff, 0xff, 0xff, /* leader epoch */
        2,                      /* magic */
        0,    0,    0,    0,    /* crc, below */
        0,    0,                /* attributes */
        0,    0,    0,    0,    /* last offset delta */
        0,    0,    0,    0,
        0,    0,    0x03, 0xe8, /* base timestamp */
        0,    0,    0,    0,
        0,    0,    0x03, 0xe8, /* max timestamp */
        0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, /* producer id */
        0xff, 0xff,             /* producer epoch */
        0xff, 0xff, 0xff, 0xff, /* base sequence */
        0,    0,    0,    1,    /* count */
        14,   0,    0,    0,
        1,    2,    'v',  0, /* length 7: attributes, deltas, null key, value, headers */
    };
    struct record_builder_config config = record_builder_config_default(cpu);
    struct record_builder builder;
    uint8_t buffer[256], copy[sizeof expected];
    struct bytes made;
    uint32_t crc;

    (void)state;
    record_builder_init(&builder, &config, buffer, sizeof buffer);
    assert_int_equal(record_builder_append(&builder, 1000, BYTES_NULL, text("v"), NULL, 0),
                     ERR_NONE);
    made = record_builder_finish(&builder);
    memcpy(copy, expected, sizeof copy);
    crc = crc32c(cpu, 0, expected + 21, sizeof expected - 21);
    for (uint32_t i = 0; i < 4; i++)
        copy[17 + i] = (uint8_t)(crc >> (24 - 8 * i));
    assert_int_equal(made.length, sizeof copy);
    assert_memory_equal(made.data, copy, sizeof copy);
}

static void what_is_built_reads_back(void **state)
{
    struct record_builder_config config = record_builder_config_default(cpu);
    struct record_header header;
    struct record_batch batch;
    struct record_iter iter;
    struct record record;
    uint8_t buffer[512];

    (void)state;
    config.producer_id = 77;
    config.producer_epoch = 3;
    config.base_sequence = INT32_MAX - 1;
    batch = parse(build(buffer, sizeof buffer, &config));
    assert_int_equal(record_batch_check_client(cpu, &batch), ERR_NONE);
    assert_int_equal(batch.record_count, 3);
    assert_int_equal(batch.base_timestamp, 1000);
    assert_int_equal(batch.max_timestamp, 1007);
    assert_int_equal(record_batch_end_offset(&batch), 3);
    assert_int_equal(record_batch_last_sequence(&batch), 0); /* wrapped */
    record_iter_init(&iter, &batch, record_batch_payload(&batch));
    assert_int_equal(record_iter_next(&iter, &record), ERR_NONE);
    assert_true(bytes_equal(record.key, text("k")) && bytes_equal(record.value, text("v")));
    assert_int_equal(record.timestamp, 1000);
    assert_int_equal(record_iter_next(&iter, &record), ERR_NONE);
    assert_null(record.value.data);
    assert_int_equal(record.offset, 1);
    assert_int_equal(record_iter_next(&iter, &record), ERR_NONE);
    assert_null(record.key.data);
    assert_non_null(record.value.data);
    assert_int_equal(record.timestamp, 990);
    assert_int_equal(record.headers_count, 2);
    assert_int_equal(record_headers_next(&record.headers, &header), ERR_NONE);
    assert_true(bytes_equal(header.key, text("h")));
    assert_int_equal(record_headers_next(&record.headers, &header), ERR_NONE);
    assert_null(header.value.data);
    assert_int_equal(record.headers.length, 0);
    assert_int_equal(record_headers_next(&record.headers, &header), ERR_CORRUPT_MESSAGE);
    assert_int_equal(record_iter_next(&iter, &record), ERR_EOF);
}

static void framing_tells_whole_partial_and_corrupt(void **state)
{
    uint8_t buffer[512];
    struct bytes bytes = build_default(buffer, sizeof buffer);
    struct record_batch batch;
    struct bytes cut = bytes;

    (void)state;
    for (cut.length = 0; cut.length < bytes.length; cut.length++)
        assert_int_equal(record_batch_parse(cut, &batch), RECORD_BATCH_PARTIAL);
    buffer[16] = 1; /* magic */
    cut.length = 16;
    assert_int_equal(record_batch_parse(cut, &batch), RECORD_BATCH_PARTIAL);
    cut.length = 17;
    assert_int_equal(record_batch_parse(cut, &batch), RECORD_BATCH_CORRUPT);
    buffer[16] = 2;
    buffer[10] = 0;
    buffer[11] = 13; /* length */
    cut.length = 12;
    assert_int_equal(record_batch_parse(cut, &batch), RECORD_BATCH_CORRUPT);
    buffer[11] = 48;
    assert_int_equal(record_batch_parse(bytes, &batch), RECORD_BATCH_CORRUPT);
    buffer[8] = 0x80;
    assert_int_equal(record_batch_parse(bytes, &batch), RECORD_BATCH_CORRUPT);
    memset(buffer, 0xff, 17); /* as preallocated or erased space might look */
    assert_int_equal(record_batch_parse(bytes, &batch), RECORD_BATCH_CORRUPT);
}

static void batches_are_iterated_up_to_a_partial_one(void **state)
{
    uint8_t buffer[1024];
    struct bytes first = build_default(buffer, sizeof buffer);
    struct bytes second = build_default(buffer + first.length, sizeof buffer - first.length);
    struct bytes both = {buffer, first.length + second.length - 1};
    struct record_batch_iter iter;
    struct record_batch batch;

    (void)state;
    record_batch_set_offset(buffer, 100, 7);
    record_batch_iter_init(&iter, both);
    assert_true(record_batch_iter_next(&iter, &batch));
    assert_int_equal(batch.base_offset, 100);
    assert_int_equal(batch.partition_leader_epoch, 7);
    assert_int_equal(record_batch_check_copy(cpu, &batch), ERR_NONE); /* crc untouched */
    assert_false(record_batch_iter_next(&iter, &batch));
    assert_int_equal(iter.ended, RECORD_BATCH_PARTIAL);
    both.length++;
    record_batch_iter_init(&iter, both);
    assert_true(record_batch_iter_next(&iter, &batch));
    assert_true(record_batch_iter_next(&iter, &batch));
    assert_false(record_batch_iter_next(&iter, &batch));
    assert_int_equal(iter.rest.length, 0);
}

static void every_flipped_bit_inside_the_crc_is_found(void **state)
{
    uint8_t buffer[512];
    struct bytes bytes = build_default(buffer, sizeof buffer);

    (void)state;
    for (uint32_t bit = 17 * 8; bit < bytes.length * 8; bit++) {
        struct record_batch batch;

        buffer[bit / 8] ^= (uint8_t)(1u << bit % 8);
        batch = parse(bytes);
        assert_int_equal(record_batch_check_copy(cpu, &batch), ERR_CORRUPT_MESSAGE);
        buffer[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void log_append_time_rewrites_the_crc(void **state)
{
    uint8_t buffer[512];
    struct bytes bytes = build_default(buffer, sizeof buffer);
    struct record_batch batch;
    struct record_iter iter;
    struct record record;

    (void)state;
    record_batch_set_timestamp(cpu, buffer, true, 5555);
    batch = parse(bytes);
    assert_int_equal(record_batch_check_copy(cpu, &batch), ERR_NONE);
    assert_int_equal(record_batch_check_client(cpu, &batch), ERR_INVALID_TIMESTAMP);
    record_iter_init(&iter, &batch, record_batch_payload(&batch));
    assert_int_equal(record_iter_next(&iter, &record), ERR_NONE);
    assert_int_equal(record.timestamp, 5555);
    record_batch_set_timestamp(cpu, buffer, false, 1007);
    batch = parse(bytes);
    assert_int_equal(record_batch_check_client(cpu, &batch), ERR_NONE);
}

/* Changes one number of a sound batch and gives it a matching crc. */
static enum err check_with(uint32_t at, const void *value, uint32_t size)
{
    uint8_t buffer[512];
    struct bytes bytes = build_default(buffer, sizeof buffer);
    struct record_batch batch;
    uint32_t crc;

    memcpy(buffer + at, value, size);
    crc = crc32c(cpu, 0, buffer + 21, bytes.length - 21);
    for (uint32_t i = 0; i < 4; i++)
        buffer[17 + i] = (uint8_t)(crc >> (24 - 8 * i));
    batch = parse(bytes);
    return record_batch_check_client(cpu, &batch);
}

static void clients_must_keep_to_the_rules(void **state)
{
    (void)state;
    assert_int_equal(check_with(22, "\x00", 1), ERR_NONE);
    assert_int_equal(check_with(7, "\x01", 1), ERR_INVALID_RECORD);   /* base offset */
    assert_int_equal(check_with(60, "\x02", 1), ERR_INVALID_RECORD);  /* count */
    assert_int_equal(check_with(60, "\x04", 1), ERR_CORRUPT_MESSAGE); /* count */
    assert_int_equal(check_with(57, "\xff", 1), ERR_CORRUPT_MESSAGE); /* count */
    assert_int_equal(check_with(22, "\x20", 1), ERR_INVALID_RECORD);  /* control */
    assert_int_equal(check_with(22, "\x10", 1), ERR_INVALID_RECORD);  /* transactional, no id */
    assert_int_equal(check_with(22, "\x05", 1), ERR_CORRUPT_MESSAGE); /* codec 5 */
    assert_int_equal(check_with(43, "\x00\x00\x00\x00\x00\x00\x00\x09", 8), ERR_INVALID_RECORD);
    assert_int_equal(check_with(23, "\xff\xff\xff\xff", 4), ERR_CORRUPT_MESSAGE);
}

static void a_full_buffer_ends_the_batch_unharmed(void **state)
{
    struct record_builder_config config = record_builder_config_default(cpu);
    struct record_builder builder;
    struct record_summary summary;
    struct record_batch batch;
    uint8_t buffer[200];
    int32_t appended = 0;

    (void)state;
    record_builder_init(&builder, &config, buffer, sizeof buffer);
    while (record_builder_append(&builder, 10 + appended, BYTES_NULL, text("0123456789"), NULL,
                                 0) == ERR_NONE)
        appended++;
    assert_true(appended > 3);
    batch = parse(record_builder_finish(&builder));
    assert_int_equal(batch.record_count, appended);
    assert_int_equal(record_summarize(&batch, record_batch_payload(&batch), &summary), ERR_NONE);
    assert_true(summary.dense);
    assert_int_equal(summary.first_without_key, 0);
    assert_int_equal(summary.max_timestamp, 10 + appended - 1);
    assert_int_equal(summary.max_timestamp_delta, appended - 1);
    record_builder_init(&builder, &config, buffer, 20);
    assert_int_equal(record_builder_append(&builder, 1, BYTES_NULL, BYTES_NULL, NULL, 0),
                     ERR_TOO_LARGE);
}

static void compacted_batches_have_holes(void **state)
{
    struct record_builder_config config = record_builder_config_default(cpu);
    struct record_builder builder;
    struct record_summary summary;
    struct record_batch batch;
    uint8_t buffer[256];

    (void)state;
    record_builder_init(&builder, &config, buffer, sizeof buffer);
    assert_int_equal(record_builder_append_at(&builder, 2, 5, text("a"), text("b"), NULL, 0),
                     ERR_NONE);
    assert_int_equal(record_builder_append_at(&builder, 9, 5, text("a"), text("b"), NULL, 0),
                     ERR_NONE);
    EXPECT_BUG((void)!record_builder_append_at(&builder, 9, 5, text("a"), text("b"), NULL, 0));
    batch = parse(record_builder_finish(&builder));
    assert_int_equal(record_batch_check_copy(cpu, &batch), ERR_NONE);
    assert_int_equal(record_batch_check_client(cpu, &batch), ERR_INVALID_RECORD);
    assert_int_equal(record_batch_end_offset(&batch), 10);
    assert_int_equal(record_summarize(&batch, record_batch_payload(&batch), &summary), ERR_NONE);
    assert_false(summary.dense);
    assert_int_equal(summary.first_without_key, -1);
}

static void control_batches_read_back(void **state)
{
    struct record_builder_config config = record_builder_config_control(cpu);
    struct record_builder builder;
    enum control_type type;
    struct record_batch batch;
    struct record_iter iter;
    struct record record;
    uint8_t buffer[256];
    int32_t epoch = 0;

    (void)state;
    config.base_offset = 50;
    config.producer_id = 9;
    config.producer_epoch = 1;
    record_builder_init(&builder, &config, buffer, sizeof buffer);
    assert_int_equal(record_builder_append_marker(&builder, 7, CONTROL_COMMIT, 12), ERR_NONE);
    batch = parse(record_builder_finish(&builder));
    assert_true(record_batch_is_control(&batch));
    assert_int_equal(record_batch_check_copy(cpu, &batch), ERR_NONE);
    record_iter_init(&iter, &batch, record_batch_payload(&batch));
    assert_int_equal(record_iter_next(&iter, &record), ERR_NONE);
    assert_int_equal(record.offset, 50);
    assert_int_equal(record_control_type(&record, &type), ERR_NONE);
    assert_int_equal(type, CONTROL_COMMIT);
    assert_int_equal(record_marker_epoch(&record, &epoch), ERR_NONE);
    assert_int_equal(epoch, 12);
    record.key = (struct bytes){(const uint8_t *)"\x00\x01\x00\x63", 4};
    assert_int_equal(record_control_type(&record, &type), ERR_NONE);
    assert_int_equal(type, CONTROL_UNKNOWN);
    record.key.length = 3;
    assert_int_equal(record_control_type(&record, &type), ERR_CORRUPT_MESSAGE);
}

static void damaged_records_are_found_or_harmless(void **state)
{
    uint8_t buffer[512];
    struct bytes bytes = build_default(buffer, sizeof buffer);
    struct record_batch batch = parse(bytes);
    struct bytes payload = record_batch_payload(&batch);
    uint32_t refused = 0;

    (void)state;
    for (uint32_t bit = 0; bit < payload.length * 8; bit++) {
        uint8_t *exact = malloc(payload.length);
        struct record_summary summary;

        memcpy(exact, payload.data, payload.length);
        exact[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (record_summarize(&batch, (struct bytes){exact, payload.length}, &summary) != ERR_NONE)
            refused++;
        free(exact);
    }
    assert_true(refused > payload.length * 8 / 3);
    for (uint32_t cut = 0; cut < payload.length; cut++) {
        struct record_summary summary;

        assert_int_equal(record_summarize(&batch, (struct bytes){payload.data, cut}, &summary),
                         ERR_CORRUPT_MESSAGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_bytes_of_one_record),
        cmocka_unit_test(what_is_built_reads_back),
        cmocka_unit_test(framing_tells_whole_partial_and_corrupt),
        cmocka_unit_test(batches_are_iterated_up_to_a_partial_one),
        cmocka_unit_test(every_flipped_bit_inside_the_crc_is_found),
        cmocka_unit_test(log_append_time_rewrites_the_crc),
        cmocka_unit_test(clients_must_keep_to_the_rules),
        cmocka_unit_test(a_full_buffer_ends_the_batch_unharmed),
        cmocka_unit_test(compacted_batches_have_holes),
        cmocka_unit_test(control_batches_read_back),
        cmocka_unit_test(damaged_records_are_found_or_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Proves: who reads a record of the workload knows from its bytes alone which it is. */
#include "sim/workload_record.h"
#include "tests/support/support.h"

#include "client/wire/record_builder.h"
#include "sim/check/check.h"

#include <stdlib.h>

enum { ROOM = 512, LENGTH = 20 };

static const int64_t name = INT64_C(3) << 32 | 515;

static struct workload_record *record_new(void)
{
    struct workload_record *record = calloc(1, sizeof *record + LENGTH);

    assert_non_null(record);
    producer_record_init(&record->record);
    workload_record_key(record, UINT64_C(3) << 32 | 7);
    return record;
}

/* As a reader gets it: out of a batch. */
static int64_t name_read_of(const struct producer_record *sent)
{
    const struct record_builder_config config = record_builder_config_default((struct cpu){0});
    struct record_builder builder;
    struct record_batch batch;
    struct record_iter iter;
    struct record record;
    uint8_t buffer[ROOM];

    record_builder_init(&builder, &config, buffer, sizeof buffer);
    assert_int_equal(record_builder_append(&builder, 1000, sent->key, sent->value, sent->headers,
                                           sent->headers_count),
                     ERR_NONE);
    assert_int_equal(record_batch_parse(record_builder_finish(&builder), &batch),
                     RECORD_BATCH_WHOLE);
    record_iter_init(&iter, &batch, record_batch_payload(&batch));
    assert_int_equal(record_iter_next(&iter, &record), ERR_NONE);
    assert_int_equal(record.key.length, 8);
    return workload_record_name(&record);
}

static void a_value_tells_its_name(void **state)
{
    struct workload_record *record = record_new();

    (void)state;
    workload_record_value(record, LENGTH, (uint64_t)name);
    assert_true(record->record.trace_value == name);
    assert_true(name_read_of(&record->record) == name);
    record->value[LENGTH - 1]++; /* a byte that is not its own */
    assert_true(name_read_of(&record->record) == -1);
    free(record);
}

static void a_tombstone_tells_its_name_too(void **state)
{
    struct workload_record *record = record_new();

    (void)state;
    workload_record_tombstone(record, (uint64_t)name);
    assert_null(record->record.value.data);
    assert_true(record->record.trace_value == (name | CHECK_TOMBSTONE));
    assert_true(name_read_of(&record->record) == (name | CHECK_TOMBSTONE));
    free(record);
}

static void a_tombstone_of_somebody_else_has_no_name(void **state)
{
    struct workload_record *record = record_new();

    (void)state;
    assert_true(name_read_of(&record->record) == -1);
    workload_record_tombstone(record, (uint64_t)name);
    record->header.value.length = 7;
    assert_true(name_read_of(&record->record) == -1);
    record->header.value = BYTES_NULL;
    assert_true(name_read_of(&record->record) == -1);
    free(record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_tells_its_name),
        cmocka_unit_test(a_tombstone_tells_its_name_too),
        cmocka_unit_test(a_tombstone_of_somebody_else_has_no_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

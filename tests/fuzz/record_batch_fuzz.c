/* Any bytes as a run of record batches, records compressed or not: every view stays inside, every
 * walk ends. The crc is put right first, else nothing would get past it. */
#include "tests/fuzz/fuzz.h"

#include "client/posix/codecs.h"

#include <stdlib.h>
#include <string.h>

enum { SCRATCH = 1 << 20 };

static void walk(const struct record_batch *batch, struct bytes records)
{
    struct record_iter iter;
    struct record record;
    enum err err;

    record_iter_init(&iter, batch, records);
    while ((err = record_iter_next(&iter, &record)) == ERR_NONE) {
        struct record_header header;
        enum control_type type;

        for (uint32_t i = 0; i < record.headers_count; i++)
            ASSERT(record_headers_next(&record.headers, &header) == ERR_NONE);
        ASSERT(record.headers.length == 0);
        ASSERT(record.offset >= batch->base_offset);
        if (record_batch_is_control(batch)) (void)!record_control_type(&record, &type);
    }
    ASSERT(err == ERR_EOF || err == ERR_CORRUPT_MESSAGE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct cpu cpu = {.sse42 = false};
    static struct codecs codecs;
    static uint8_t *scratch;
    uint8_t *copy = malloc(size + 1);
    struct record_batch_iter iter;
    struct record_batch batch;
    size_t at = 0;

    if (scratch == NULL) {
        scratch = malloc(SCRATCH);
        if (codecs_create(&codecs) != ERR_NONE) abort();
    }
    if (size > 0) memcpy(copy, data, size);
    record_batch_iter_init(&iter, (struct bytes){copy, (uint32_t)size});
    while (record_batch_iter_next(&iter, &batch)) {
        struct record_summary summary;
        struct bytes records;

        record_batch_set_timestamp(cpu, copy + at, (batch.attributes & RECORD_LOG_APPEND_TIME) != 0,
                                   batch.max_timestamp);
        ASSERT(record_batch_parse((struct bytes){copy + at, batch.bytes.length}, &batch) ==
               RECORD_BATCH_WHOLE);
        ASSERT(record_batch_check_crc(cpu, &batch) == ERR_NONE);
        if (record_batch_check_copy(cpu, &batch) == ERR_NONE &&
            compress_open(&codecs, &batch, scratch, SCRATCH, &records) == ERR_NONE) {
            walk(&batch, records);
            (void)!record_summarize(&batch, records, &summary);
            (void)!record_batch_check_client(cpu, &batch);
            (void)record_batch_last_sequence(&batch);
        }
        at += batch.bytes.length;
    }
    ASSERT(iter.ended != RECORD_BATCH_WHOLE);
    ASSERT(at + iter.rest.length == size);
    free(copy);
    return 0;
}

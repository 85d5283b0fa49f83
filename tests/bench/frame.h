/* The few bytes of Kafka's protocol that the benchmarks need, apart from the code they measure:
 * Produce v7, Fetch v4, one topic, one partition. */
#ifndef TESTS_BENCH_FRAME_H
#define TESTS_BENCH_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_TOPIC "bench"

enum {
    FRAME_TOPIC_LENGTH = sizeof FRAME_TOPIC - 1,
    FRAME_CLIENT_LENGTH = 4,
    FRAME_CORRELATION_AT = 8, /* of a request, after size, key, version */
    /* of an answer to Produce v7, its size counted */
    FRAME_ANSWER_ERROR_AT = 4 + 4 + 4 + 2 + FRAME_TOPIC_LENGTH + 4 + 4,
    FRAME_ANSWER_OFFSET_AT = FRAME_ANSWER_ERROR_AT + 2,
    FRAME_ANSWER_BYTES = FRAME_ANSWER_OFFSET_AT + 8 + 8 + 8 + 4,
    /* of a Produce v7 request: what stands before the batch */
    FRAME_PRODUCE_HEAD =
        4 + 8 + 2 + FRAME_CLIENT_LENGTH + 2 + 2 + 4 + 4 + 2 + FRAME_TOPIC_LENGTH + 4 + 4 + 4,
};

struct frame_bytes {
    uint8_t *at;
    size_t length;
};

void frame_put16(uint8_t *at, uint16_t value);
void frame_put32(uint8_t *at, uint32_t value);
void frame_put64(uint8_t *at, uint64_t value);
uint16_t frame_get16(const uint8_t *at);
uint32_t frame_get32(const uint8_t *at);
uint64_t frame_get64(const uint8_t *at);

/* One Produce v7 request with a batch of `records` records of `record_bytes` value bytes, half of
 * them random; malloc. */
struct frame_bytes frame_produce(int16_t acks, uint32_t records, uint32_t record_bytes,
                                 int64_t timestamp_ms, uint64_t *random);
/* The answer to it. */
void frame_answer(uint8_t answer[FRAME_ANSWER_BYTES], uint32_t correlation, int64_t base_offset);
/* One Fetch v4 request for the partition from `offset`; gives its length. */
size_t frame_fetch(uint8_t *at, uint32_t correlation, int64_t offset, uint32_t max_wait_ms,
                   uint32_t min_bytes, uint32_t max_bytes);

#endif

#include "tests/bench/frame.h"

#include <stdlib.h>
#include <string.h>

void frame_put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

void frame_put32(uint8_t *at, uint32_t value)
{
    frame_put16(at, (uint16_t)(value >> 16));
    frame_put16(at + 2, (uint16_t)value);
}

void frame_put64(uint8_t *at, uint64_t value)
{
    frame_put32(at, (uint32_t)(value >> 32));
    frame_put32(at + 4, (uint32_t)value);
}

uint16_t frame_get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

uint32_t frame_get32(const uint8_t *at)
{
    return (uint32_t)frame_get16(at) << 16 | frame_get16(at + 2);
}

uint64_t frame_get64(const uint8_t *at)
{
    return (uint64_t)frame_get32(at) << 32 | frame_get32(at + 4);
}

static uint32_t frame_crc32c(const uint8_t *at, size_t length)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < length; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return ~crc;
}

static uint64_t frame_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint8_t *frame_varint(uint8_t *at, int64_t value)
{
    uint64_t zigzag = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);

    for (; zigzag >= 0x80; zigzag >>= 7)
        *at++ = (uint8_t)(zigzag | 0x80);
    *at++ = (uint8_t)zigzag;
    return at;
}

static uint8_t *frame_record(uint8_t *at, uint32_t delta, uint32_t bytes, uint64_t *random)
{
    uint8_t body[32];
    uint8_t *end = body;

    *end++ = 0;                 /* attributes */
    end = frame_varint(end, 0); /* timestamp delta */
    end = frame_varint(end, (int64_t)delta);
    end = frame_varint(end, -1); /* no key */
    end = frame_varint(end, (int64_t)bytes);
    at = frame_varint(at, (end - body) + (int64_t)bytes + 1);
    memcpy(at, body, (size_t)(end - body));
    at += end - body;
    for (uint32_t i = 0; i < bytes; i++)
        at[i] = i % 2 == 0 ? (uint8_t)frame_random(random) : (uint8_t)'x';
    at += bytes;
    *at++ = 0; /* no headers */
    return at;
}

/* Head of a record batch around what stands behind it already. */
static void frame_batch(uint8_t *batch, const uint8_t *end, uint32_t records, int64_t timestamp_ms)
{
    frame_put64(batch, 0);
    frame_put32(batch + 8, (uint32_t)(end - batch - 12));
    frame_put32(batch + 12, UINT32_MAX); /* no leader epoch */
    batch[16] = 2;
    frame_put16(batch + 21, 0);
    frame_put32(batch + 23, records - 1);
    frame_put64(batch + 27, (uint64_t)timestamp_ms);
    frame_put64(batch + 35, (uint64_t)timestamp_ms);
    frame_put64(batch + 43, UINT64_MAX); /* no producer id, epoch, sequence */
    frame_put16(batch + 51, UINT16_MAX);
    frame_put32(batch + 53, UINT32_MAX);
    frame_put32(batch + 57, records);
    frame_put32(batch + 17, frame_crc32c(batch + 21, (size_t)(end - batch - 21)));
}

static uint8_t *frame_header(uint8_t *at, uint16_t key, uint16_t version, uint32_t correlation)
{
    frame_put16(at + 4, key);
    frame_put16(at + 6, version);
    frame_put32(at + FRAME_CORRELATION_AT, correlation);
    frame_put16(at + 12, FRAME_CLIENT_LENGTH);
    memcpy(at + 14, "load", FRAME_CLIENT_LENGTH);
    return at + 14 + FRAME_CLIENT_LENGTH;
}

static uint8_t *frame_topic(uint8_t *at)
{
    frame_put32(at, 1); /* topics */
    frame_put16(at + 4, FRAME_TOPIC_LENGTH);
    memcpy(at + 6, FRAME_TOPIC, FRAME_TOPIC_LENGTH);
    at += 6 + FRAME_TOPIC_LENGTH;
    frame_put32(at, 1); /* partitions */
    frame_put32(at + 4, 0);
    return at + 8;
}

struct frame_bytes frame_produce(int16_t acks, uint32_t records, uint32_t record_bytes,
                                 int64_t timestamp_ms, uint64_t *random)
{
    uint8_t *frame = malloc(FRAME_PRODUCE_HEAD + 61 + (size_t)records * (record_bytes + 32));
    uint8_t *batch;
    uint8_t *at;

    if (frame == NULL) abort();
    at = frame_header(frame, 0, 7, 0);
    frame_put16(at, UINT16_MAX); /* no transaction */
    frame_put16(at + 2, (uint16_t)acks);
    frame_put32(at + 4, 30000);
    at = frame_topic(at + 8);
    batch = at + 4;
    at = batch + 61;
    for (uint32_t i = 0; i < records; i++)
        at = frame_record(at, i, record_bytes, random);
    frame_put32(batch - 4, (uint32_t)(at - batch));
    frame_batch(batch, at, records, timestamp_ms);
    frame_put32(frame, (uint32_t)(at - frame - 4));
    return (struct frame_bytes){frame, (size_t)(at - frame)};
}

void frame_answer(uint8_t answer[FRAME_ANSWER_BYTES], uint32_t correlation, int64_t base_offset)
{
    memset(answer, 0, FRAME_ANSWER_BYTES);
    frame_put32(answer, FRAME_ANSWER_BYTES - 4);
    frame_put32(answer + 4, correlation);
    (void)frame_topic(answer + 8);
    frame_put64(answer + FRAME_ANSWER_OFFSET_AT, (uint64_t)base_offset);
    frame_put64(answer + FRAME_ANSWER_OFFSET_AT + 8, UINT64_MAX);
}

size_t frame_fetch(uint8_t *frame, uint32_t correlation, int64_t offset, uint32_t max_wait_ms,
                   uint32_t min_bytes, uint32_t max_bytes)
{
    uint8_t *at = frame_header(frame, 1, 4, correlation);

    frame_put32(at, UINT32_MAX); /* a consumer */
    frame_put32(at + 4, max_wait_ms);
    frame_put32(at + 8, min_bytes);
    frame_put32(at + 12, max_bytes);
    at[16] = 0; /* read uncommitted */
    at = frame_topic(at + 17);
    frame_put64(at, (uint64_t)offset);
    frame_put32(at + 8, max_bytes);
    at += 12;
    frame_put32(frame, (uint32_t)(at - frame - 4));
    return (size_t)(at - frame);
}

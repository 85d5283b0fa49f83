#include "client/partitioner.h"

#include "client/base/assert.h"

#define MURMUR_SEED 0x9747b28cU
#define MURMUR_M    0x5bd1e995U

enum { MURMUR_R = 24 };

static uint32_t partitioner_word(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

int32_t partitioner_murmur2(struct bytes key)
{
    uint32_t h = MURMUR_SEED ^ key.length;
    uint32_t whole = key.length & ~3U;
    uint32_t tail = key.length & 3U;

    for (uint32_t i = 0; i < whole; i += 4) {
        uint32_t k = partitioner_word(key.data + i) * MURMUR_M;

        k ^= k >> MURMUR_R;
        h = h * MURMUR_M ^ k * MURMUR_M;
    }
    if (tail >= 3) h ^= (uint32_t)key.data[whole + 2] << 16;
    if (tail >= 2) h ^= (uint32_t)key.data[whole + 1] << 8;
    if (tail >= 1) h = (h ^ key.data[whole]) * MURMUR_M;
    h ^= h >> 13;
    h *= MURMUR_M;
    h ^= h >> 15;
    return (int32_t)h;
}

int32_t partitioner_for_key(struct bytes key, uint32_t count)
{
    ASSERT(count > 0);
    return (int32_t)(((uint32_t)partitioner_murmur2(key) & 0x7fffffffU) % count);
}

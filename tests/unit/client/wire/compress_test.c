/* Proves: every codec gives back what it took, in both framings of snappy; nothing inflates past
 * its maximum; damaged and cut streams are refused without reading or writing out of bounds. */
#include "tests/support/support.h"

#include "client/base/assert.h"
#include "client/base/rng.h"
#include "client/posix/codecs.h"
#include "client/wire/record_builder.h"

#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = 200000 };

static const enum codec all[] = {CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD};
static struct codecs codecs;

static int setup(void **state)
{
    (void)state;
    return codecs_create(&codecs) == ERR_NONE ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    codecs_destroy(&codecs);
    return 0;
}

/* Half noise, half repetition. */
static void fill(struct rng *rng, uint8_t *bytes, size_t length)
{
    rng_bytes(rng, bytes, length);
    for (size_t i = 0; i < length; i++)
        if (i % 128 < 64) bytes[i] = (uint8_t)(i / 1000);
}

/* Into memory of exactly that size. */
static enum err inflate_exactly(enum codec codec, struct bytes input, size_t max, uint8_t **output,
                                size_t *length)
{
    uint8_t *in = malloc(input.length + 1);
    enum err err;

    *output = malloc(max + 1);
    memcpy(in + 1, input.data, input.length);
    err = compress_decode(&codecs, codec, (struct bytes){in + 1, input.length}, *output + 1, max,
                          length);
    memmove(*output, *output + 1, max);
    free(in);
    return err;
}

static void what_goes_in_comes_out(void **state)
{
    static const size_t sizes[] = {0, 1, 10, 1000, 32768, 32769, 65536, 65537, INPUT_MAX};
    uint8_t *input = malloc(INPUT_MAX);
    struct rng rng;

    (void)state;
    rng_init(&rng, 3);
    fill(&rng, input, INPUT_MAX);
    for (size_t c = 0; c < COUNT_OF(all); c++) {
        for (size_t s = 0; s < COUNT_OF(sizes); s++) {
            size_t bound = compress_bound(all[c], sizes[s]);
            uint8_t *packed = malloc(bound);
            struct bytes plain = {input, (uint32_t)sizes[s]};
            size_t length = 0, back = 1;
            uint8_t *output;

            assert_int_equal(compress_encode(&codecs, all[c], COMPRESS_LEVEL_DEFAULT, plain, packed,
                                             bound - 1, &length),
                             ERR_TOO_LARGE);
            assert_int_equal(compress_encode(&codecs, all[c], COMPRESS_LEVEL_DEFAULT, plain, packed,
                                             bound, &length),
                             ERR_NONE);
            plain = (struct bytes){packed, (uint32_t)length};
            assert_int_equal(inflate_exactly(all[c], plain, sizes[s], &output, &back), ERR_NONE);
            assert_int_equal(back, sizes[s]);
            assert_memory_equal(output, input, sizes[s]);
            free(output);
            if (sizes[s] > 0) {
                assert_int_equal(inflate_exactly(all[c], plain, sizes[s] - 1, &output, &back),
                                 ERR_TOO_LARGE);
                free(output);
            }
            free(packed);
        }
    }
    free(input);
}

static void incompressible_input_fits_the_bound(void **state)
{
    uint8_t *input = malloc(INPUT_MAX);
    struct rng rng;

    (void)state;
    rng_init(&rng, 4);
    rng_bytes(&rng, input, INPUT_MAX);
    for (size_t c = 0; c < COUNT_OF(all); c++) {
        for (uint32_t size = 0; size <= INPUT_MAX; size += size < 100 ? 7 : 33331) {
            size_t bound = compress_bound(all[c], size);
            uint8_t *packed = malloc(bound);
            size_t length = 0;

            assert_int_equal(compress_encode(&codecs, all[c], COMPRESS_LEVEL_DEFAULT,
                                             (struct bytes){input, size}, packed, bound, &length),
                             ERR_NONE);
            free(packed);
        }
    }
    free(input);
}

static void levels_change_nothing_for_the_reader(void **state)
{
    static const struct {
        enum codec codec;
        int32_t level;
    } levels[] = {{CODEC_GZIP, 1}, {CODEC_GZIP, 9}, {CODEC_LZ4, 1},   {CODEC_LZ4, 12},
                  {CODEC_ZSTD, 1}, {CODEC_ZSTD, 9}, {CODEC_ZSTD, -5}, {CODEC_GZIP, -1}};
    static uint8_t input[50000], packed[80000], output[50000];
    struct rng rng;

    (void)state;
    rng_init(&rng, 5);
    fill(&rng, input, sizeof input);
    for (size_t i = 0; i < COUNT_OF(levels); i++) {
        size_t length = 0, back = 0;

        assert_int_equal(compress_encode(&codecs, levels[i].codec, levels[i].level,
                                         (struct bytes){input, sizeof input}, packed, sizeof packed,
                                         &length),
                         ERR_NONE);
        assert_int_equal(compress_decode(&codecs, levels[i].codec,
                                         (struct bytes){packed, (uint32_t)length}, output,
                                         sizeof output, &back),
                         ERR_NONE);
        assert_int_equal(back, sizeof input);
        assert_memory_equal(input, output, sizeof input);
    }
}

static void raw_snappy_is_read_too(void **state)
{
    static uint8_t input[50000], packed[80000];
    size_t length = sizeof packed, back = 0;
    struct rng rng;
    uint8_t *output;

    (void)state;
    rng_init(&rng, 6);
    fill(&rng, input, sizeof input);
    assert_int_equal(snappy_compress((const char *)input, sizeof input, (char *)packed, &length),
                     SNAPPY_OK);
    assert_int_equal(inflate_exactly(CODEC_SNAPPY, (struct bytes){packed, (uint32_t)length},
                                     sizeof input, &output, &back),
                     ERR_NONE);
    assert_memory_equal(output, input, sizeof input);
    free(output);
}

static void lz4_frames_are_those_that_java_reads(void **state)
{
    uint8_t packed[400], output[100];
    size_t length = 0, back = 0;
    struct bytes frame;

    (void)state;
    assert_int_equal(compress_encode(&codecs, CODEC_LZ4, COMPRESS_LEVEL_DEFAULT,
                                     (struct bytes){(const uint8_t *)"hello", 5}, packed,
                                     sizeof packed / 2, &length),
                     ERR_NONE);
    assert_memory_equal(packed, "\x04\x22\x4d\x18\x60\x40\x82", 7);
    frame = (struct bytes){packed, (uint32_t)length};
    assert_int_equal(compress_decode(&codecs, CODEC_LZ4, frame, output, sizeof output, &back),
                     ERR_NONE);
    packed[4] = 0x40; /* linked blocks */
    assert_int_equal(compress_decode(&codecs, CODEC_LZ4, frame, output, sizeof output, &back),
                     ERR_CORRUPT_MESSAGE);
    packed[4] = 0x60;
    packed[6] ^= 1; /* header checksum */
    assert_int_equal(compress_decode(&codecs, CODEC_LZ4, frame, output, sizeof output, &back),
                     ERR_CORRUPT_MESSAGE);
    packed[6] ^= 1;
    memcpy(packed + length, packed, length); /* one frame only */
    frame.length *= 2;
    assert_int_equal(compress_decode(&codecs, CODEC_LZ4, frame, output, sizeof output, &back),
                     ERR_CORRUPT_MESSAGE);
}

static void cut_and_damaged_streams_are_refused(void **state)
{
    static uint8_t input[3000], packed[80000];
    struct rng rng;

    (void)state;
    rng_init(&rng, 7);
    fill(&rng, input, sizeof input);
    for (size_t c = 0; c < COUNT_OF(all); c++) {
        size_t length = 0, back = 0;
        uint8_t *output;

        assert_int_equal(compress_encode(&codecs, all[c], COMPRESS_LEVEL_DEFAULT,
                                         (struct bytes){input, sizeof input}, packed, sizeof packed,
                                         &length),
                         ERR_NONE);
        for (uint32_t cut = 0; cut < length; cut += 13) {
            enum err err =
                inflate_exactly(all[c], (struct bytes){packed, cut}, sizeof input, &output, &back);

            /* xerial without a chunk is an empty stream: the record count finds that out */
            if (all[c] == CODEC_SNAPPY && err == ERR_NONE)
                assert_true(back < sizeof input);
            else
                assert_int_not_equal(err, ERR_NONE);
            free(output);
        }
        for (uint32_t round = 0; round < 300; round++) {
            size_t at = (size_t)rng_below(&rng, length);
            uint8_t before = packed[at];

            packed[at] ^= (uint8_t)(1u << rng_below(&rng, 8));
            if (inflate_exactly(all[c], (struct bytes){packed, (uint32_t)length}, sizeof input,
                                &output, &back) == ERR_NONE)
                assert_true(back <= sizeof input);
            free(output);
            packed[at] = before;
        }
    }
    assert_int_equal(compress_decode(&codecs, CODEC_NONE, BYTES_NULL, input, 1, &(size_t){0}),
                     ERR_UNSUPPORTED_COMPRESSION_TYPE);
}

static void compressed_batches_validate(void **state)
{
    static uint8_t plain[100000], target[200000], scratch[100000];
    const struct cpu cpu = codecs_cpu();

    (void)state;
    for (size_t c = 0; c < COUNT_OF(all); c++) {
        struct record_builder_config config = record_builder_config_default(cpu);
        struct record_builder builder;
        struct record_summary summary;
        struct record_batch batch;
        size_t length = 0;

        record_builder_init(&builder, &config, plain, sizeof plain);
        for (int32_t i = 0; i < 1000; i++)
            assert_int_equal(
                record_builder_append(&builder, 100 + i, (struct bytes){(const uint8_t *)"key", 3},
                                      (struct bytes){(const uint8_t *)&i, sizeof i}, NULL, 0),
                ERR_NONE);
        assert_int_equal(compress_encode(&codecs, all[c], COMPRESS_LEVEL_DEFAULT,
                                         record_builder_records(&builder),
                                         target + RECORD_BATCH_HEADER,
                                         sizeof target - RECORD_BATCH_HEADER, &length),
                         ERR_NONE);
        assert_int_equal(
            record_batch_parse(record_builder_finish_compressed(&builder, all[c], target, length),
                               &batch),
            RECORD_BATCH_WHOLE);
        assert_int_equal(record_batch_check_client(cpu, &batch), ERR_NONE);
        assert_int_equal(compress_validate(&codecs, &batch, scratch, sizeof scratch, &summary),
                         ERR_NONE);
        assert_true(summary.dense);
        assert_int_equal(summary.max_timestamp, 1099);
        assert_int_equal(compress_validate(&codecs, &batch, scratch, 1000, &summary),
                         ERR_TOO_LARGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(incompressible_input_fits_the_bound),
        cmocka_unit_test(levels_change_nothing_for_the_reader),
        cmocka_unit_test(raw_snappy_is_read_too),
        cmocka_unit_test(lz4_frames_are_those_that_java_reads),
        cmocka_unit_test(cut_and_damaged_streams_are_refused),
        cmocka_unit_test(compressed_batches_validate),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

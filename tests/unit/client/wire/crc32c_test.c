/* Proves: the published check value; table and instruction agree at every length and alignment. */
#include "tests/support/support.h"

#include "client/base/rng.h"
#include "client/posix/codecs.h"

static const struct cpu plain = {.sse42 = false};

static void the_published_values_come_out(void **state)
{
    uint8_t bytes[32] = {0};

    (void)state;
    assert_int_equal(crc32c(plain, 0, "123456789", 9), 0xE3069283u);
    assert_int_equal(crc32c(codecs_cpu(), 0, "123456789", 9), 0xE3069283u);
    assert_int_equal(crc32c(plain, 0, bytes, 32), 0x8A9136AAu); /* RFC 3720 B.4 */
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = 0xff;
    assert_int_equal(crc32c(plain, 0, bytes, 32), 0x62A8AB43u);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = i;
    assert_int_equal(crc32c(plain, 0, bytes, 32), 0x46DD794Eu);
    assert_int_equal(crc32c(plain, 0, "", 0), 0);
}

static void both_ways_agree_everywhere(void **state)
{
    static uint8_t bytes[40000];
    struct cpu cpu = codecs_cpu();
    struct rng rng;

    (void)state;
    rng_init(&rng, 1);
    rng_bytes(&rng, bytes, sizeof bytes);
    for (uint32_t round = 0; round < 3000; round++) {
        size_t from = (size_t)rng_below(&rng, 64);
        size_t length = (size_t)rng_below(&rng, round < 2000 ? 2000 : sizeof bytes - 64);
        uint32_t begin = (uint32_t)rng_u64(&rng);

        assert_int_equal(crc32c(cpu, begin, bytes + from, length),
                         crc32c(plain, begin, bytes + from, length));
    }
}

static void runs_can_be_split_and_joined(void **state)
{
    static uint8_t bytes[5000];
    struct rng rng;

    (void)state;
    rng_init(&rng, 2);
    rng_bytes(&rng, bytes, sizeof bytes);
    for (uint32_t round = 0; round < 200; round++) {
        size_t cut = (size_t)rng_below(&rng, sizeof bytes + 1);
        uint32_t whole = crc32c(plain, 0, bytes, sizeof bytes);
        uint32_t left = crc32c(plain, 0, bytes, cut);
        uint32_t right = crc32c(plain, 0, bytes + cut, sizeof bytes - cut);

        assert_int_equal(crc32c(plain, left, bytes + cut, sizeof bytes - cut), whole);
        assert_int_equal(crc32c_combine(left, right, sizeof bytes - cut), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_values_come_out),
        cmocka_unit_test(both_ways_agree_everywhere),
        cmocka_unit_test(runs_can_be_split_and_joined),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

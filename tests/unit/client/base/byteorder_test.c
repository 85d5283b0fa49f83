/* Proves: numbers survive the way into bytes and back, varints have the published forms, and bytes
 * that end early or run too long are refused without being read past. */
#include "tests/support/support.h"

#include "client/base/byteorder.h"
#include "client/base/rng.h"

#include <string.h>

static void big_endian_puts_the_high_byte_first(void **state)
{
    static const uint8_t expected[14] = {0x81, 0x02, 0x83, 0x04, 0x05, 0x06, 0x87,
                                         0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e};
    uint8_t bytes[14];

    (void)state;
    be_put16(bytes, 0x8102);
    be_put32(bytes + 2, 0x83040506);
    be_put64(bytes + 6, UINT64_C(0x8708090a0b0c0d0e));
    assert_memory_equal(bytes, expected, sizeof bytes);
    assert_int_equal(be_get16(bytes), 0x8102);
    assert_int_equal(be_get32(bytes + 2), 0x83040506);
    assert_true(be_get64(bytes + 6) == UINT64_C(0x8708090a0b0c0d0e));
}

static void zigzag_alternates_the_signs(void **state)
{
    (void)state;
    assert_int_equal(zigzag32(0), 0);
    assert_int_equal(zigzag32(-1), 1);
    assert_int_equal(zigzag32(1), 2);
    assert_int_equal(zigzag32(INT32_MAX), UINT32_MAX - 1);
    assert_int_equal(zigzag32(INT32_MIN), UINT32_MAX);
    assert_true(zigzag64(INT64_MIN) == UINT64_MAX);
    assert_true(unzigzag64(UINT64_MAX) == INT64_MIN);
    assert_int_equal(unzigzag32(UINT32_MAX), INT32_MIN);
    assert_int_equal(unzigzag32(3), -2);
}

static void known_values_have_known_bytes(void **state)
{
    uint8_t bytes[10];

    (void)state;
    assert_ptr_equal(uvarint_put(bytes, 300), bytes + 2);
    assert_memory_equal(bytes, "\xac\x02", 2);
    assert_ptr_equal(varint_put(bytes, -1), bytes + 1);
    assert_memory_equal(bytes, "\x01", 1);
    assert_ptr_equal(varint_put(bytes, INT32_MIN), bytes + 5);
    assert_memory_equal(bytes, "\xff\xff\xff\xff\x0f", 5);
    assert_ptr_equal(varlong_put(bytes, INT64_MIN), bytes + 10);
    assert_memory_equal(bytes, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10);
}

/* Encodes, decodes, and cuts the bytes at every place. */
static void check_round_trip(uint64_t any)
{
    uint8_t bytes[10];
    const uint8_t *end;
    uint32_t u = 7;
    uint64_t ul = 7;
    int32_t s = 7;
    int64_t sl = 7;

    end = uvarint_put(bytes, (uint32_t)any);
    assert_int_equal(end - bytes, uvarint_size((uint32_t)any));
    for (const uint8_t *cut = bytes; cut < end; cut++)
        assert_null(uvarint_get(bytes, cut, &u));
    assert_int_equal(u, 7);
    assert_ptr_equal(uvarint_get(bytes, end, &u), end);
    assert_int_equal(u, (uint32_t)any);

    end = varint_put(bytes, (int32_t)(uint32_t)any);
    assert_int_equal(end - bytes, varint_size((int32_t)(uint32_t)any));
    for (const uint8_t *cut = bytes; cut < end; cut++)
        assert_null(varint_get(bytes, cut, &s));
    assert_int_equal(s, 7);
    assert_ptr_equal(varint_get(bytes, end, &s), end);
    assert_int_equal(s, (int32_t)(uint32_t)any);

    end = uvarlong_put(bytes, any);
    assert_int_equal(end - bytes, uvarlong_size(any));
    for (const uint8_t *cut = bytes; cut < end; cut++)
        assert_null(uvarlong_get(bytes, cut, &ul));
    assert_int_equal(ul, 7);
    assert_ptr_equal(uvarlong_get(bytes, end, &ul), end);
    assert_true(ul == any);

    end = varlong_put(bytes, (int64_t)any);
    assert_int_equal(end - bytes, varlong_size((int64_t)any));
    for (const uint8_t *cut = bytes; cut < end; cut++)
        assert_null(varlong_get(bytes, cut, &sl));
    assert_int_equal(sl, 7);
    assert_ptr_equal(varlong_get(bytes, end, &sl), end);
    assert_true(sl == (int64_t)any);
}

static void every_form_round_trips_and_refuses_every_cut(void **state)
{
    struct rng rng;

    (void)state;
    rng_init(&rng, 1);
    check_round_trip(0);
    check_round_trip(UINT64_MAX);
    for (uint32_t bit = 0; bit < 64; bit++) {
        check_round_trip(UINT64_C(1) << bit);
        check_round_trip((UINT64_C(1) << bit) - 1);
    }
    for (uint32_t i = 0; i < 2000; i++) {
        uint64_t any = rng_u64(&rng);

        check_round_trip(any >> rng_below(&rng, 64));
    }
}

static void over_long_and_over_full_forms_are_refused(void **state)
{
    static const uint8_t five[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
    static const uint8_t full[] = {0xff, 0xff, 0xff, 0xff, 0x1f};
    static const uint8_t ten[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
    static const uint8_t fuller[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    static const uint8_t padded[] = {0x81, 0x80, 0x00};
    uint32_t u = 7;
    int32_t s = 7;
    uint64_t ul = 7;
    int64_t sl = 7;

    (void)state;
    assert_null(uvarint_get(five, five + sizeof five, &u));
    assert_null(varint_get(five, five + sizeof five, &s));
    assert_null(uvarint_get(full, full + sizeof full, &u));
    assert_null(varint_get(full, full + sizeof full, &s));
    assert_null(uvarlong_get(ten, ten + sizeof ten, &ul));
    assert_null(varlong_get(ten, ten + sizeof ten, &sl));
    assert_null(uvarlong_get(fuller, fuller + sizeof fuller, &ul));
    assert_null(varlong_get(fuller, fuller + sizeof fuller, &sl));
    assert_true(u == 7 && s == 7 && ul == 7 && sl == 7);
    assert_ptr_equal(uvarint_get(padded, padded + sizeof padded, &u), padded + 3);
    assert_int_equal(u, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(big_endian_puts_the_high_byte_first),
        cmocka_unit_test(zigzag_alternates_the_signs),
        cmocka_unit_test(known_values_have_known_bytes),
        cmocka_unit_test(every_form_round_trips_and_refuses_every_cut),
        cmocka_unit_test(over_long_and_over_full_forms_are_refused),
    };

    return cmocka_run_group_tests_name("byteorder", tests, NULL, NULL);
}

/* Proves: text writes what printf would, never past its buffer, always terminated; numbers are read
 * back exactly and nothing else is. */
#include "tests/support/support.h"

#include "client/base/assert.h"
#include "client/base/rng.h"
#include "client/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void every_directive_writes_its_argument(void **state)
{
    char buffer[200];
    struct text text;

    (void)state;
    text_init(&text, buffer, sizeof buffer);
    text_format(&text, "%s|%S|%c|%d|%D|%u|%U|%x|%X|%%", "abc", STR("de"), 'f', INT32_MIN, INT64_MIN,
                UINT32_MAX, UINT64_MAX, (uint32_t)0xbeef, UINT64_MAX);
    assert_string_equal(buffer, "abc|de|f|-2147483648|-9223372036854775808|4294967295|"
                                "18446744073709551615|beef|ffffffffffffffff|%");
    assert_int_equal(text_view(&text).length, strlen(buffer));
    assert_false(text.truncated);
    text_init(&text, buffer, sizeof buffer);
    text_format(&text, "%s %S %d %x", NULL, STR_NULL, 0, (uint32_t)0);
    assert_string_equal(buffer, "null null 0 0");
    EXPECT_BUG(text_format(&text, "%q"));
    EXPECT_BUG(text_format(&text, "%"));
}

static void numbers_agree_with_printf(void **state)
{
    struct rng rng;

    (void)state;
    rng_init(&rng, 1);
    for (uint32_t i = 0; i < 5000; i++) {
        uint64_t any = rng_u64(&rng) >> rng_below(&rng, 64);
        char ours[100];
        char theirs[100];
        struct text text;

        text_init(&text, ours, sizeof ours);
        text_i64(&text, (int64_t)any);
        text_char(&text, ' ');
        text_u64(&text, any);
        text_char(&text, ' ');
        text_hex(&text, any, 8);
        snprintf(theirs, sizeof theirs, "%" PRId64 " %" PRIu64 " %08" PRIx64, (int64_t)any, any,
                 any);
        assert_string_equal(ours, theirs);
    }
}

static void a_full_buffer_cuts_and_says_so(void **state)
{
    (void)state;
    for (size_t size = 1; size < 16; size++) {
        char buffer[20];
        struct text text;

        memset(buffer, 'x', sizeof buffer);
        text_init(&text, buffer, size);
        text_format(&text, "%s%u%S", "abcd", 1234u, STR("efgh"));
        assert_int_equal(strlen(buffer), size - 1 < 12 ? size - 1 : 12);
        assert_memory_equal(buffer, "abcd1234efgh", strlen(buffer));
        assert_int_equal(text.truncated, size < 13);
        for (size_t i = size; i < sizeof buffer; i++)
            assert_int_equal(buffer[i], 'x');
    }
}

static void a_uuid_is_its_22_characters(void **state)
{
    char buffer[40];
    char printed[UUID_TEXT + 1];
    struct uuid id = {{1, 2, 3, 250, 251, 252, 253, 254, 255, 0, 1, 2, 3, 4, 5, 6}};
    struct text text;

    (void)state;
    text_init(&text, buffer, sizeof buffer);
    text_uuid(&text, id);
    uuid_print(id, printed);
    assert_string_equal(buffer, printed);
}

static void numbers_are_read_back(void **state)
{
    struct rng rng;
    int64_t value = 0;
    uint64_t magnitude = 0;

    (void)state;
    rng_init(&rng, 2);
    for (uint32_t i = 0; i < 5000; i++) {
        int64_t any = (int64_t)(rng_u64(&rng) >> rng_below(&rng, 64));
        char buffer[32];
        struct text text;

        text_init(&text, buffer, sizeof buffer);
        text_i64(&text, any);
        assert_true(text_parse_i64(text_view(&text), &value));
        assert_int_equal(value, any);
    }
    assert_true(text_parse_i64(STR("-9223372036854775808"), &value));
    assert_true(value == INT64_MIN);
    assert_true(text_parse_i64(STR("9223372036854775807"), &value));
    assert_true(value == INT64_MAX);
    assert_true(text_parse_u64(STR("18446744073709551615"), &magnitude));
    assert_true(magnitude == UINT64_MAX);
    assert_true(text_parse_i64(STR("007"), &value));
    assert_int_equal(value, 7);
}

static void what_is_no_number_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "-",
        "+1",
        " 1",
        "1 ",
        "1a",
        "0x1",
        "--1",
        "1-",
        "1.",
        "1,0",
        "1e3",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "99999999999999999999999",
    };
    int64_t value = 42;
    uint64_t magnitude = 42;

    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_false(text_parse_i64(str_of(wrong[i]), &value));
        assert_int_equal(value, 42);
    }
    assert_false(text_parse_i64(STR_NULL, &value));
    assert_false(text_parse_u64(STR("-1"), &magnitude));
    assert_false(text_parse_u64(STR("18446744073709551616"), &magnitude));
    assert_int_equal(magnitude, 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_directive_writes_its_argument),
        cmocka_unit_test(numbers_agree_with_printf),
        cmocka_unit_test(a_full_buffer_cuts_and_says_so),
        cmocka_unit_test(a_uuid_is_its_22_characters),
        cmocka_unit_test(numbers_are_read_back),
        cmocka_unit_test(what_is_no_number_is_refused),
    };

    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}

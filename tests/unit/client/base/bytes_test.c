/* Proves: views compare by content, and a uuid's text form is exact in both directions. */
#include "tests/support/support.h"

#include "client/base/assert.h"
#include "client/base/bytes.h"

#include <string.h>

static void text_compares_bytewise(void **state)
{
    (void)state;
    assert_true(str_equal(STR("abc"), str_of("abc")));
    assert_false(str_equal(STR("abc"), STR("abd")));
    assert_false(str_equal(STR("abc"), STR("ab")));
    assert_true(str_equal(STR(""), str_of("")));
    assert_int_equal(str_compare(STR("ab"), STR("abc")), -1);
    assert_int_equal(str_compare(STR("b"), STR("abc")), 1);
    assert_int_equal(str_compare(STR("\x80"), STR("\x7f")), 1);
    assert_int_equal(str_compare(STR(""), STR("")), 0);
    assert_int_equal(str_of(NULL).length, 0);
    assert_null(str_of(NULL).data);
    assert_true(bytes_equal((struct bytes){(const uint8_t *)"a\0b", 3},
                            (struct bytes){(const uint8_t *)"a\0b", 3}));
    assert_false(bytes_equal((struct bytes){(const uint8_t *)"a\0b", 3},
                             (struct bytes){(const uint8_t *)"a\0c", 3}));
}

static void a_uuid_has_22_characters_and_comes_back(void **state)
{
    const struct uuid id = {{0xfb, 0xff, 0xbf, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255}};
    struct uuid again = {{0}};
    char text[UUID_TEXT + 1];

    (void)state;
    uuid_print(id, text);
    assert_int_equal(strlen(text), UUID_TEXT);
    assert_memory_equal(text, "-_-_", 4);
    assert_true(uuid_parse(str_of(text), &again));
    assert_true(uuid_equal(id, again));
    assert_true(uuid_high(id) == UINT64_C(0xfbffbf0304050607));
    uuid_print((struct uuid){{0}}, text);
    assert_string_equal(text, "AAAAAAAAAAAAAAAAAAAAAA");
    assert_true(uuid_is_zero((struct uuid){{0}}));
    assert_false(uuid_is_zero(id));
    assert_int_equal(uuid_compare(id, (struct uuid){{0}}), 1);
    assert_int_equal(uuid_compare((struct uuid){{0}}, id), -1);
}

static void what_is_no_uuid_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "AAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAA=",
        "AAAAAAAAAAAAAAAAAAAAAB", /* bits that belong to no byte */
        "AAAA+AAAAAAAAAAAAAAAAA",
        "AAAA/AAAAAAAAAAAAAAAAA",
    };
    struct uuid id = {{9}};

    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(wrong); i++)
        assert_false(uuid_parse(str_of(wrong[i]), &id));
    assert_false(uuid_parse((struct str){"AAAAAAAAAA\0AAAAAAAAAAA", 22}, &id));
    assert_int_equal(id.bytes[0], 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_compares_bytewise),
        cmocka_unit_test(a_uuid_has_22_characters_and_comes_back),
        cmocka_unit_test(what_is_no_uuid_is_refused),
    };

    return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}

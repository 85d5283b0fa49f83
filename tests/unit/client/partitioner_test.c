/* Proves: keys go where every Java producer puts them (the vectors of clients.md 2.3). */
#include "tests/support/support.h"

#include "client/partitioner.h"

#include <string.h>

struct vector {
    const char *key;
    int32_t hash;
    int32_t of_ten;
    int32_t of_three;
};

static const struct vector vectors[] = {
    {"", 275646681, 1, 0},
    {"a", -1563381124, 4, 1},
    {"ab", 316155434, 4, 2},
    {"abc", 479470107, 7, 0},
    {"abcd", -1323649548, 0, 2},
    {"key-1", 193331640, 0, 0},
    {"21", -973932308, 0, 0},
    {"foobar", -790332482, 6, 0},
    {"a-little-bit-long-string", -985981536, 2, 2},
    {"\xc3\xa9", 186971271, 1, 0},
};

static void keys_hash_as_in_java(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct bytes key = {(const uint8_t *)vectors[i].key, (uint32_t)strlen(vectors[i].key)};

        assert_int_equal(partitioner_murmur2(key), vectors[i].hash);
        assert_int_equal(partitioner_for_key(key, 10), vectors[i].of_ten);
        assert_int_equal(partitioner_for_key(key, 3), vectors[i].of_three);
        assert_int_equal(partitioner_for_key(key, 1), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keys_hash_as_in_java)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

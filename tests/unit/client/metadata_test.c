/* Proves: leader epochs never go back within a topic; bootstrap lists are read strictly. */
#include "tests/support/support.h"

#include "client/metadata.h"

static void epochs_only_grow_within_a_topic(void **state)
{
    (void)state;
    assert_true(metadata_epoch_acceptable(-1, 0, true));
    assert_true(metadata_epoch_acceptable(5, 5, true));
    assert_true(metadata_epoch_acceptable(5, 6, true));
    assert_false(metadata_epoch_acceptable(5, 4, true));
    assert_true(metadata_epoch_acceptable(5, 0, false)); /* created anew */
    assert_true(metadata_epoch_acceptable(5, -1, true)); /* a broker that tells none */
}

static void a_bootstrap_list_is_taken_apart(void **state)
{
    struct str list = STR("alpha:9092,10.0.0.1:1,[::1]:65535");
    struct str host;
    uint16_t port = 0;
    enum err err = ERR_NONE;

    (void)state;
    assert_true(metadata_next_address(&list, &host, &port, &err));
    assert_true(str_equal(host, STR("alpha")));
    assert_int_equal(port, 9092);
    assert_true(metadata_next_address(&list, &host, &port, &err));
    assert_true(str_equal(host, STR("10.0.0.1")));
    assert_int_equal(port, 1);
    assert_true(metadata_next_address(&list, &host, &port, &err));
    assert_true(str_equal(host, STR("::1")));
    assert_int_equal(port, 65535);
    assert_false(metadata_next_address(&list, &host, &port, &err));
    assert_int_equal(err, ERR_NONE);
}

static void a_bad_bootstrap_list_is_refused(void **state)
{
    static const char *const bad[] = {"alpha",   ":9092",    "alpha:",   "alpha:0", "alpha:65536",
                                      "alpha:x", "alpha:1,", ",alpha:1", "alpha:-1"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct str list = str_of(bad[i]);
        struct str host;
        uint16_t port = 0;
        enum err err = ERR_NONE;

        while (metadata_next_address(&list, &host, &port, &err))
            continue;
        assert_int_equal(err, ERR_BAD_CONFIG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epochs_only_grow_within_a_topic),
        cmocka_unit_test(a_bootstrap_list_is_taken_apart),
        cmocka_unit_test(a_bad_bootstrap_list_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

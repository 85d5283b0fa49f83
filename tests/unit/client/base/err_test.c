/* Proves: codes read from a response become errors of the list or UNKNOWN_SERVER_ERROR, never a
 * local condition; names and retriability come from the list. */
#include "tests/support/support.h"

#include "client/base/err.h"

#include <string.h>

static void a_code_from_the_wire_is_known_or_unknown_server_error(void **state)
{
    (void)state;
    for (int32_t code = INT16_MIN; code <= INT16_MAX; code++) {
        enum err err = err_from_wire((int16_t)code);

        assert_true(err_is_wire(err));
        if (code >= -1 && code <= 133) {
            assert_int_equal(err, code);
            assert_string_not_equal(err_name(err), "UNKNOWN");
        } else {
            assert_int_equal(err, ERR_UNKNOWN_SERVER_ERROR);
        }
    }
}

static void names_and_retriability_come_from_the_list(void **state)
{
    (void)state;
    assert_string_equal(err_name(ERR_NOT_LEADER_OR_FOLLOWER), "NOT_LEADER_OR_FOLLOWER");
    assert_string_equal(err_name(ERR_CANCELED), "CANCELED");
    assert_int_equal(err_retry(ERR_NOT_LEADER_OR_FOLLOWER), ERR_RETRIABLE_META);
    assert_int_equal(err_retry(ERR_CORRUPT_MESSAGE), ERR_RETRIABLE);
    assert_int_equal(err_retry(ERR_NONE), ERR_FINAL);
    assert_false(err_is_wire(ERR_CANCELED));
    assert_false(err_is_wire(ERR_DAMAGED));
    assert_true(err_is_wire(ERR_NONE));
    assert_true(strlen(err_text(ERR_IO)) > 0);
    assert_string_equal(err_text(ERR_NONE), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_code_from_the_wire_is_known_or_unknown_server_error),
        cmocka_unit_test(names_and_retriability_come_from_the_list),
    };

    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}

/* Proves: a log directory closes without a byte of memory; it may not be vouched for then, but
 * nothing of it is left behind. */
#include "broker/log/log_private.h"
#include "tests/support/log_box.h"

static struct log_box box;

static void a_directory_closes_when_any_allocation_of_it_is_refused(void **state)
{
    bool refused = true;

    (void)state;
    for (uint64_t nth = 1; refused; nth++) {
        log_box_init(&box, nth);
        assert_int_equal(ERR_NONE, log_box_start(&box));
        box.env.mem.fail_at = nth;
        log_dir_close(&box.dir);
        log_box_run_ms(&box, 1000);
        assert_null(box.dir.flow);
        assert_null(box.dir.keeper);
        assert_int_equal(box.dir.state, LOG_DIR_CLOSED);
        refused = box.env.mem.fail_at == 0;
        assert_int_equal(box.dir.err, refused ? ERR_NO_MEMORY : ERR_NONE);
        box.env.mem.fail_at = 0;
        log_box_stop(&box);
        assert_int_equal(ERR_NONE, log_box_start(&box));
        assert_int_equal(box.dir.was_clean, !refused);
        log_box_stop(&box);
        log_box_deinit(&box);
        if (!refused) assert_true(nth > 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_closes_when_any_allocation_of_it_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Proves the rules of the leader epoch cache (replication.md 8): assign, the end of an epoch,
 * cuts at both sides, and the text of its file. */
#include "tests/support/support.h"

#include "broker/log/log_epochs.h"

#include <string.h>

static struct support_memory memory;
static struct log_epochs epochs;

static int setup(void **state)
{
    (void)state;
    support_memory_init(&memory, 1 << 20);
    log_epochs_init(&epochs, &memory.mem);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_epochs_deinit(&epochs);
    support_memory_deinit(&memory);
    return 0;
}

static bool assign(int32_t epoch, int64_t start)
{
    assert_int_equal(ERR_NONE, log_epochs_reserve(&epochs, 1));
    return log_epochs_assign(&epochs, epoch, start);
}

static void the_end_of_an_epoch_is_where_the_next_one_begins(void **state)
{
    struct log_epoch_end end;

    (void)state;
    end = log_epochs_end_for(&epochs, 3, 50);
    assert_int_equal(-1, end.epoch);
    assert_true(assign(2, 10));
    assert_true(assign(5, 20));
    assert_false(assign(5, 30));
    end = log_epochs_end_for(&epochs, 5, 50);
    assert_true(end.epoch == 5 && end.end_offset == 50);
    end = log_epochs_end_for(&epochs, 4, 50);
    assert_true(end.epoch == 2 && end.end_offset == 20);
    end = log_epochs_end_for(&epochs, 2, 50);
    assert_true(end.epoch == 2 && end.end_offset == 20);
    end = log_epochs_end_for(&epochs, 1, 50);
    assert_true(end.epoch == 1 && end.end_offset == 10);
    end = log_epochs_end_for(&epochs, 6, 50);
    assert_true(end.epoch == -1 && end.end_offset == -1);
    end = log_epochs_end_for(&epochs, -1, 50);
    assert_true(end.epoch == -1 && end.end_offset == -1);
    assert_int_equal(-1, log_epochs_at(&epochs, 9));
    assert_int_equal(2, log_epochs_at(&epochs, 19));
    assert_int_equal(5, log_epochs_at(&epochs, 20));
    assert_true(log_epochs_begins(&epochs, 2, 10));
    assert_true(log_epochs_begins(&epochs, 5, 20));
    assert_false(log_epochs_begins(&epochs, 2, 11));
    assert_false(log_epochs_begins(&epochs, 4, 20));
    assert_false(log_epochs_begins(&epochs, 6, 20));
}

static void empty_epochs_collapse_to_the_last_and_higher_entries_go(void **state)
{
    (void)state;
    assert_true(assign(1, 0));
    assert_true(assign(2, 10));
    assert_true(assign(3, 10));
    assert_int_equal(2, epochs.count);
    assert_int_equal(3, log_epochs_latest(&epochs));
    assert_true(assign(2, 20)); /* a stale leader: newer entries go */
    assert_int_equal(2, log_epochs_latest(&epochs));
    assert_true(epochs.entries[1].start_offset == 20);
}

static void cuts_keep_what_covers_the_rest(void **state)
{
    (void)state;
    assert_true(assign(1, 0));
    assert_true(assign(2, 10));
    assert_true(assign(3, 20));
    assert_false(log_epochs_cut_end(&epochs, 21));
    assert_true(log_epochs_cut_end(&epochs, 20));
    assert_int_equal(2, epochs.count);
    assert_true(log_epochs_cut_start(&epochs, 15));
    assert_int_equal(1, epochs.count);
    assert_true(epochs.entries[0].epoch == 2 && epochs.entries[0].start_offset == 10);
    assert_false(log_epochs_cut_start(&epochs, 15));
    assert_true(assign(4, 20));
    assert_false(log_epochs_cut_start(&epochs, 20)); /* it covers the record before */
    assert_int_equal(2, log_epochs_at(&epochs, 19));
    assert_true(log_epochs_cut_start(&epochs, 21));
    assert_int_equal(1, epochs.count);
    assert_int_equal(4, log_epochs_at(&epochs, 20));
}

static bool found(int32_t epoch, int64_t offset)
{
    assert_int_equal(ERR_NONE, log_epochs_reserve(&epochs, 1));
    return log_epochs_found(&epochs, epoch, offset);
}

static void is_entry(uint32_t at, int32_t epoch, int64_t start)
{
    assert_true(at < epochs.count);
    assert_int_equal(epoch, epochs.entries[at].epoch);
    assert_true(epochs.entries[at].start_offset == start);
}

static void what_stands_in_front_is_found_without_a_loss_behind(void **state)
{
    (void)state;
    assert_true(assign(4, 40));
    assert_true(assign(7, 70));
    assert_true(assign(9, 90));
    assert_false(found(-1, 0));
    assert_true(found(1, 0));
    assert_false(found(1, 5));
    assert_true(found(2, 20));
    assert_true(found(4, 30)); /* it begins earlier */
    assert_false(found(4, 35));
    assert_false(found(3, 36)); /* epochs do not fall */
    assert_false(found(8, 70)); /* what is known stands */
    assert_int_equal(5, epochs.count);
    is_entry(0, 1, 0);
    is_entry(1, 2, 20);
    is_entry(2, 4, 30);
    is_entry(3, 7, 70);
    is_entry(4, 9, 90);
    assert_true(found(8, 50)); /* a file of another history: what it contradicts goes */
    assert_int_equal(5, epochs.count);
    is_entry(3, 8, 50);
    is_entry(4, 9, 90);
    assert_true(found(12, 95));
    is_entry(5, 12, 95);
}

static void the_file_reads_back_and_a_damaged_one_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "0\n",
                                      "1\n0\n",
                                      "0\n1\n",
                                      "0\n1\n2",
                                      "0\n1\n2 3 4\n",
                                      "0\n2\n2 3\n2 4\n",
                                      "0\n1\n-2 3\n",
                                      "0\n1\n2 3\nx",
                                      "0\n2\n1 5\n2 5\n",
                                      "0\n1\n2  3\n"};
    char text[200];
    size_t length;

    (void)state;
    assert_true(assign(1, 0));
    assert_true(assign(7, 1000));
    length = log_epochs_print(&epochs, text, sizeof text);
    assert_int_equal(length, strlen("0\n2\n1 0\n7 1000\n"));
    assert_memory_equal(text, "0\n2\n1 0\n7 1000\n", length);
    assert_true(log_epochs_cut_end(&epochs, 0));
    assert_int_equal(ERR_NONE, log_epochs_parse(&epochs, (struct str){text, (uint32_t)length}));
    assert_int_equal(2, epochs.count);
    assert_int_equal(7, log_epochs_latest(&epochs));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(ERR_DAMAGED, log_epochs_parse(&epochs, str_of(bad[i])));
        assert_int_equal(2, epochs.count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_end_of_an_epoch_is_where_the_next_one_begins, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(empty_epochs_collapse_to_the_last_and_higher_entries_go,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(cuts_keep_what_covers_the_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(what_stands_in_front_is_found_without_a_loss_behind, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_file_reads_back_and_a_damaged_one_is_refused, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

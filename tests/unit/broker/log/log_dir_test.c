/* Proves: a log directory closes without a byte of memory; it may not be vouched for then, but
 * nothing of it is left behind. And that the epoch of a life that has lost nothing is lost neither
 * by a kill at any moment of the next open, nor because the disk was full for a while (KIP-966), at
 * the stop no more than before. */
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

static bool booted(struct log_box *b)
{
    return b->booted;
}

static bool settled(struct log_box *b)
{
    return !log_dir_busy(&b->dir);
}

/* The marker goes at the open, and the running file of an earlier boot says nothing. */
static void a_kill_while_a_directory_opens_does_not_take_the_epoch(void **state)
{
    bool spent = true;
    uint64_t events = 1;

    (void)state;
    for (; spent; events++) {
        log_box_init(&box, events);
        assert_int_equal(ERR_NONE, log_box_start(&box));
        log_dir_vouch(&box.dir, 60);
        log_box_run_ms(&box, 100);
        log_box_kill(&box, true);
        assert_int_equal(ERR_NONE, log_box_start(&box));
        assert_int_equal(ERR_NONE, log_box_open(&box));
        box.dir.broker_epoch = 70;
        log_box_stop(&box);
        sim_node_start(box.node);
        assert_true(log_box_wait(&box, booted));
        box.events_left = events;
        log_dir_open(&box.dir, STR("cluster-of-the-test"), 1);
        spent = !log_box_wait(&box, settled);
        box.events_left = 0;
        log_box_kill(&box, false);
        assert_int_equal(ERR_NONE, log_box_start(&box));
        if (box.dir.previous_broker_epoch != 70)
            fail_msg("killed after %u events: %d", (unsigned)events,
                     (int)box.dir.previous_broker_epoch);
        log_box_kill(&box, false);
        log_box_deinit(&box);
    }
    assert_true(events > 10);
}

static bool vouched(struct log_box *b)
{
    return log_dir_vouched(&b->dir);
}

static void fail_running(enum err err)
{
    struct sim_disk_rule rule = {
        .ops = 1u << DISK_WRITE, .glob = "*.gregor_running*", .nth = 1, .error = err};

    (void)sim_disk_add_rule(box.node->disk, &rule);
}

/* Who waits for it goes on; what could not be written then is written when it can be. */
static void a_full_disk_puts_off_what_vouches_for_the_epoch(void **state)
{
    (void)state;
    log_box_init(&box, 1);
    assert_int_equal(ERR_NONE, log_box_start(&box));
    fail_running(ERR_NO_SPACE);
    log_dir_vouch(&box.dir, 42);
    assert_true(log_box_wait(&box, vouched));
    log_box_run_ms(&box, 2 * LOG_CHECKPOINT_MS);
    sim_disk_clear_rules(box.node->disk);
    log_box_kill(&box, false);
    assert_int_equal(ERR_NONE, log_box_start(&box));
    assert_int_equal(-1, box.dir.previous_broker_epoch);
    fail_running(ERR_NO_SPACE);
    log_dir_vouch(&box.dir, 43);
    assert_true(log_box_wait(&box, vouched));
    log_dir_changed(&box.dir); /* and the checkpoints are not held up by it */
    log_box_run_ms(&box, 2 * LOG_CHECKPOINT_MS + 100);
    assert_true(box.dir.checkpoints_written > 0);
    sim_disk_clear_rules(box.node->disk);
    log_box_run_ms(&box, LOG_CHECKPOINT_MS + 100);
    log_box_kill(&box, false);
    assert_int_equal(ERR_NONE, log_box_start(&box));
    assert_int_equal(43, box.dir.previous_broker_epoch);
    /* Nor at the open after an orderly stop on a machine that was off since. */
    assert_int_equal(ERR_NONE, log_box_open(&box));
    box.dir.broker_epoch = 44;
    log_box_stop(&box);
    sim_node_down(box.node, SIM_DOWN_POWER);
    fail_running(ERR_NO_SPACE);
    assert_int_equal(ERR_NONE, log_box_start(&box));
    assert_int_equal(44, box.dir.previous_broker_epoch);
    assert_true(box.dir.was_clean);
    sim_disk_clear_rules(box.node->disk);
    log_box_run_ms(&box, LOG_CHECKPOINT_MS + 100);
    log_box_kill(&box, false);
    assert_int_equal(ERR_NONE, log_box_start(&box));
    assert_int_equal(44, box.dir.previous_broker_epoch);
    log_box_kill(&box, false);
    log_box_deinit(&box);
}

static int64_t stopped_without_marker(enum err err)
{
    const struct sim_disk_rule rule = {
        .ops = 1u << DISK_WRITE, .glob = "*.kafka_cleanshutdown*", .nth = 1, .error = err};
    int64_t previous;

    log_box_init(&box, 1);
    assert_int_equal(ERR_NONE, log_box_start(&box));
    log_dir_vouch(&box.dir, 42);
    assert_true(log_box_wait(&box, vouched));
    box.dir.broker_epoch = 42;
    (void)sim_disk_add_rule(box.node->disk, &rule);
    log_dir_close(&box.dir);
    log_box_run_ms(&box, 1000);
    assert_int_equal(LOG_DIR_CLOSED, box.dir.state);
    assert_int_equal(err, box.dir.err);
    log_box_stop(&box);
    sim_disk_clear_rules(box.node->disk);
    assert_int_equal(ERR_NONE, log_box_start(&box));
    assert_false(box.dir.was_clean);
    previous = box.dir.previous_broker_epoch;
    log_box_kill(&box, false);
    log_box_deinit(&box);
    return previous;
}

/* No worse than a kill: the machine goes on, and every byte is there. */
static void a_stop_for_want_of_space_does_not_take_the_epoch(void **state)
{
    (void)state;
    assert_int_equal(42, stopped_without_marker(ERR_NO_SPACE));
}

static void a_stop_on_a_disk_that_fails_takes_the_epoch(void **state)
{
    (void)state;
    assert_int_equal(-1, stopped_without_marker(ERR_IO));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_closes_when_any_allocation_of_it_is_refused),
        cmocka_unit_test(a_kill_while_a_directory_opens_does_not_take_the_epoch),
        cmocka_unit_test(a_full_disk_puts_off_what_vouches_for_the_epoch),
        cmocka_unit_test(a_stop_for_want_of_space_does_not_take_the_epoch),
        cmocka_unit_test(a_stop_on_a_disk_that_fails_takes_the_epoch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

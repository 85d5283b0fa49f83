/* Proves: the active controller over a quorum whose commits the test decides begins when all
 * below its epoch is known, answers what is committed and nothing else, and leaves nothing
 * uncommitted, in memory or in a reply, at whatever point its leadership is lost (K23). */
#include "tests/support/control_rig.h"

#include <stdlib.h>
#include <string.h>

static void activation_waits_for_the_log_below_its_epoch(void **state)
{
    struct control_rig *f = *state;

    f->log[f->end++] =
        (struct control_entry){NULL, 0, 1}; /* of an earlier leader, not applied here */
    control_lead(f, 2);
    assert_int_equal(f->controller.state, CONTROLLER_CATCHING_UP);
    control_commit_to(f, 1);
    assert_int_equal(f->controller.state, CONTROLLER_ACTIVE);
    assert_int_equal(image_feature_level(&f->controller.image, STR("metadata.version")), 23);
    assert_int_equal(image_feature_level(&f->loader.image, STR("metadata.version")), 0);
    control_commit(f);
    assert_int_equal(image_feature_level(&f->loader.image, STR("metadata.version")), 23);
    assert_true(f->published > 0);
    control_lose(f);
    control_lead(f, 3);
    assert_int_equal(f->controller.state, CONTROLLER_ACTIVE);
    assert_int_equal(f->end, f->epoch_start + 1); /* bootstrap once */
    assert_int_equal(image_feature_level(&f->controller.image, STR(CONTROL_ELR_FEATURE)), 1);
}

static void append_raw(struct control_rig *f, const struct metadata_record *record, int32_t epoch)
{
    struct bytes value;
    uint8_t *copy;

    assert_int_equal(records_encode(record, &f->arena, &value), ERR_NONE);
    copy = malloc(value.length);
    memcpy(copy, value.data, value.length);
    f->log[f->end++] = (struct control_entry){copy, value.length, epoch};
}

/* KIP-868: of a leader of Kafka's that is gone. */
static void a_transaction_that_was_left_open_is_aborted_first(void **state)
{
    struct control_rig *f = *state;
    struct metadata_record record;

    control_lead(f, 1);
    control_commit(f);
    control_join(f, 1, 1);
    control_lose(f);
    records_default(&record, RECORD_BEGIN_TRANSACTION);
    append_raw(f, &record, 2);
    records_default(&record, RECORD_TOPIC);
    record.topic.name = STR("half");
    record.topic.topic_id.bytes[0] = 9;
    append_raw(f, &record, 2);
    control_lead(f, 3);
    assert_false(controller_active(&f->controller)); /* what is below its epoch was not told */
    control_commit(f);
    assert_true(controller_active(&f->controller));
    assert_true(f->end > f->epoch_start + 1);
    assert_int_equal(records_decode((struct bytes){f->log[f->epoch_start + 1].data,
                                                   f->log[f->epoch_start + 1].length},
                                    &f->arena, &record),
                     ERR_NONE);
    assert_int_equal(record.id, RECORD_ABORT_TRANSACTION);
    assert_true(loader_in_transaction(&f->loader));
    control_commit(f);
    assert_false(loader_in_transaction(&f->loader));
    assert_null(image_topic_by_name(&f->loader.image, STR("half")));
    control_join(f, 2, 1); /* and it goes on */
    assert_non_null(image_broker(&f->loader.image, 2));
}

static void a_standby_answers_not_controller(void **state)
{
    struct control_rig *f = *state;
    struct controller_call *call = control_send_register(f, 1, 1);

    assert_true(call->finished);
    assert_int_equal(call->result, ERR_NOT_CONTROLLER);
    assert_int_equal(f->registered.error_code, ERR_NOT_CONTROLLER);
}

static void an_answer_waits_for_its_commit_also_when_it_wrote_nothing(void **state)
{
    struct control_rig *f = *state;
    struct controller_call *first, *second;

    control_cluster(f, 1);
    first = control_send_create(f, "t", 1, 1);
    assert_false(first->finished);
    second =
        control_send_create(f, "t", 1, 1); /* sees the uncommitted topic, and must wait for it */
    assert_false(second->finished);
    control_commit(f);
    assert_true(first->finished && second->finished);
    assert_int_equal(first->result, ERR_NONE);
    assert_int_equal(f->created.topics[0].error_code, ERR_TOPIC_ALREADY_EXISTS);
}

static void a_deadline_answers_request_timed_out(void **state)
{
    struct control_rig *f = *state;
    struct controller_call *call;

    control_cluster(f, 1);
    call = control_send_create(f, "t", 1, 1);
    op_deadline(&call->op, f->env.loop.now_ns + 10 * NS_PER_MS);
    control_pass_ms(f, 10);
    assert_true(call->finished);
    assert_int_equal(call->result, ERR_REQUEST_TIMED_OUT);
    assert_int_equal(f->created.topics[0].error_code, ERR_REQUEST_TIMED_OUT);
}

static void renouncing_at_every_point_leaves_nothing_uncommitted_k23(void **state)
{
    struct control_rig *f = *state;
    uint64_t digest;

    control_cluster(f, 3);
    for (int32_t committed = 0; committed < 6; committed++) {
        struct controller_call *a =
            control_send_create(f, (const char[]){(char)('a' + committed), 0}, 1, 3);
        struct controller_call *b =
            control_send_create(f, (const char[]){(char)('m' + committed), 0}, 1, 3);

        control_commit_to(f, f->hw + committed < f->end ? f->hw + committed : f->end);
        assert_int_equal(a->finished, committed >= 2);
        control_lose(f);
        assert_true(a->finished && b->finished);
        assert_int_equal(a->result, committed >= 2 ? ERR_NONE : ERR_NOT_CONTROLLER);
        assert_int_equal(b->result, committed >= 4 ? ERR_NONE : ERR_NOT_CONTROLLER);
        assert_int_equal(f->controller.state, CONTROLLER_STANDBY);
        digest = f->loader.image.digest;
        control_lead(f, 10 + committed);
        assert_true(controller_active(&f->controller));
        assert_true(f->controller.image.digest == digest);
        control_commit(f);
    }
    assert_int_equal(f->renounced, 6);
}

static void an_append_that_is_refused_changes_nothing(void **state)
{
    struct control_rig *f = *state;
    struct controller_call *call;
    uint64_t digest;

    control_cluster(f, 1);
    digest = f->controller.image.digest;
    f->append_fails = ERR_NO_MEMORY;
    call = control_send_create(f, "t", 1, 1);
    assert_true(call->finished);
    assert_int_equal(call->result, ERR_NOT_CONTROLLER); /* retriable */
    assert_true(controller_active(&f->controller));
    assert_true(f->controller.image.digest == digest);
    f->append_fails = ERR_NONE;
    assert_int_equal(control_create(f, "t", 1, 1), ERR_NONE);
    /* The quorum knows first that it no longer leads; and the same epoch is never led again,
     * even while it is still told as led. */
    f->append_fails = ERR_NOT_CONTROLLER;
    call = control_send_create(f, "u", 1, 1);
    assert_int_equal(call->result, ERR_NOT_CONTROLLER);
    assert_int_equal(f->controller.state, CONTROLLER_STANDBY);
    f->append_fails = ERR_NONE;
    control_lose(f);
    control_lead(f, 2);
    assert_true(controller_active(&f->controller));
}

static void a_replay_that_fails_gives_the_leadership_up(void **state)
{
    struct control_rig *f = *state;
    struct controller_call *call;

    control_cluster(f, 1);
    /* The image's own cap is lower than the controller thinks: replay must fail. */
    f->controller.image.limits.partitions_max = 1;
    call = control_send_create(f, "t", 2, 1);
    assert_true(call->finished);
    assert_int_equal(call->result, ERR_NOT_CONTROLLER);
    assert_int_equal(f->resigned, 1);
    assert_int_equal(f->controller.state, CONTROLLER_STANDBY);
    control_lose(f);
}

/* The n-th allocation fails, for every n: an error that may be tried again, or the leadership is
 * given up; never a half-made topic. */
static void memory_that_runs_out_leaves_no_half_made_topic(void **state)
{
    struct control_rig *f = *state;
    struct controller_call *call;
    uint32_t refused = 0;

    control_cluster(f, 2);
    for (uint64_t n = 1;; n++) {
        f->fail_at = n;
        call = control_send_create(f, "t", 3, 2);
        f->fail_at = 0;
        if (controller_active(&f->controller)) {
            image_check(&f->controller.image);
            control_commit(f);
        }
        assert_true(n < 500);
        if (call->result == ERR_NONE && f->created.topics_count == 1) break;
        refused++;
        assert_int_equal(call->result, ERR_NOT_CONTROLLER);
        if (controller_active(&f->controller)) continue;
        control_lose(f);
        control_lead(f, 100 + (int32_t)n);
        control_commit(f);
        assert_null(image_topic_by_name(&f->controller.image, STR("t")));
    }
    assert_true(refused > 5);
    assert_int_equal(image_topic_by_name(&f->loader.image, STR("t"))->partitions_count, 3);
}

static void no_op_records_come_when_idle_only(void **state)
{
    struct control_rig *f = *state;
    int64_t end;

    f->controller.config.max_idle_interval_ms = 500;
    control_lead(f, 1);
    control_commit(f);
    control_commit(f);
    end = f->end;
    control_pass_ms(f, 499);
    assert_int_equal(f->end, end);
    control_pass_ms(f, 1);
    assert_int_equal(f->end, end + 1);
    control_pass_ms(f, 500);
    assert_int_equal(f->end, end + 2);
    control_commit(f);
    control_join(f, 1, 1);
    end = f->end;
    control_pass_ms(f, 499);
    assert_int_equal(f->end, end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONTROL_TEST(activation_waits_for_the_log_below_its_epoch),
        CONTROL_TEST(a_transaction_that_was_left_open_is_aborted_first),
        CONTROL_TEST(a_standby_answers_not_controller),
        CONTROL_TEST(an_answer_waits_for_its_commit_also_when_it_wrote_nothing),
        CONTROL_TEST(a_deadline_answers_request_timed_out),
        CONTROL_TEST(renouncing_at_every_point_leaves_nothing_uncommitted_k23),
        CONTROL_TEST(an_append_that_is_refused_changes_nothing),
        CONTROL_TEST(a_replay_that_fails_gives_the_leadership_up),
        CONTROL_TEST(memory_that_runs_out_leaves_no_half_made_topic),
        CONTROL_TEST(no_op_records_come_when_idle_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

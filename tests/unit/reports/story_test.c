/* A story holds what the trace told of the focus, in its order, and knows which message brought a
 * change; the fold of its events is the state of the logs; cut and damaged traces are told as far
 * as they go, and are never trusted with a number. */
#include "client/base/rng.h"
#include "reports/digest.h"
#include "reports/words.h"
#include "tests/support/support.h"
#include "tests/support/trace_builder.h"

#include <stdlib.h>
#include <string.h>

static struct trace_builder builder;
static struct story story;

static int setup(void **context)
{
    (void)context;
    trace_builder_init(&builder);
    return 0;
}

static int teardown(void **context)
{
    (void)context;
    story_free(&story);
    trace_builder_free(&builder);
    return 0;
}

static const struct story_event *find(enum story_what what, int32_t node_id, uint32_t nth)
{
    for (uint32_t i = 0; i < story.event_count; i++) {
        const struct story_event *event = &story.events[i];

        if (event->what != what || event->node < 0) continue;
        if (story.nodes[event->node].id == node_id && nth-- == 0) return event;
    }
    fail_msg("no such event");
    return NULL;
}

static void nodes_are_in_the_order_of_the_figures(void **context)
{
    (void)context;
    trace_builder_failover(&builder, "orders");
    assert_int_equal(story_read(&story, trace_builder_finish(&builder), NULL), ERR_NONE);
    assert_int_equal(story.node_count, 5);
    assert_string_equal(story.nodes[0].name, "producer");
    assert_string_equal(story.nodes[1].name, "broker 1");
    assert_string_equal(story.nodes[4].name, "controller");
    assert_string_equal(story.focus, "orders-0");
    assert_string_equal(story.scenario, "leader-crash");
    assert_int_equal(story.acked, 3);
}

static void a_change_is_put_down_to_the_message_that_brought_it(void **context)
{
    const struct story_event *event;
    const struct story_message *message;

    (void)context;
    trace_builder_failover(&builder, "orders");
    assert_int_equal(story_read(&story, trace_builder_finish(&builder), NULL), ERR_NONE);
    event = find(STORY_APPENDED, 2, 1);
    assert_true(event->cause >= 0);
    message = &story.messages[event->cause];
    assert_int_equal(story.nodes[message->from].id, 1);
    assert_int_equal(story.nodes[message->to].id, 2);
    assert_true(message->answer);
    assert_string_equal(message->label, "#103\xe2\x80\x93#104");
    event = find(STORY_TRUNCATED, 1, 0);
    assert_true(event->cause >= 0);
    assert_string_equal(story.messages[event->cause].label, "e7 ends at 105");
    event = find(STORY_ACK, 201, 0);
    assert_int_equal(event->from, 103);
    assert_int_equal(event->to, 105);
    assert_string_equal(story.messages[event->cause].label, "ack #103\xe2\x80\x93#104");
}

static void the_fold_of_the_events_is_the_state_of_the_logs(void **context)
{
    struct state *state = malloc(sizeof *state);
    const struct state_replica *replica;

    (void)context;
    assert_non_null(state);
    trace_builder_failover(&builder, "orders");
    assert_int_equal(story_read(&story, trace_builder_finish(&builder), NULL), ERR_NONE);
    state_init(state);
    for (uint32_t i = 0; i < story.event_count; i++)
        state_apply(state, &story, &story.events[i]);
    assert_int_equal(state_leader(state), 2);
    for (int32_t node = 1; node <= 3; node++) {
        replica = &state->replicas[node];
        assert_int_equal(replica->log_end, 106);
        assert_int_equal(replica->high_watermark, 106);
        assert_int_equal(state_epoch_at(replica, 104), 7);
        assert_int_equal(state_epoch_at(replica, 105), 8);
        assert_int_equal(state_epoch_at(replica, 106), -2);
    }
    assert_int_equal(state->isr, 0xe);
    free(state);
}

static void a_truncation_is_a_loss_only_if_that_very_record_was_committed(void **context)
{
    struct state *state = malloc(sizeof *state);
    uint32_t cuts = 0;

    (void)context;
    assert_non_null(state);
    for (int loss = 0; loss < 2; loss++) {
        trace_builder_free(&builder);
        trace_builder_init(&builder);
        if (loss != 0)
            trace_builder_loss(&builder);
        else
            trace_builder_failover(&builder, "orders");
        story_free(&story);
        assert_int_equal(story_read(&story, trace_builder_finish(&builder), NULL), ERR_NONE);
        state_init(state);
        for (uint32_t i = 0; i < story.event_count; i++) {
            if (story.events[i].what == STORY_TRUNCATED) {
                assert_int_equal(words_loses(state, &story.events[i]), loss != 0);
                cuts++;
            }
            state_apply(state, &story, &story.events[i]);
        }
    }
    assert_int_equal(cuts, 2);
    free(state);
}

static void the_focus_is_what_the_violation_names(void **context)
{
    (void)context;
    trace_builder_loss(&builder);
    builder.topic++;
    TELL(&builder, 5, 1, TOPIC_KNOWN, "busy", builder.topic, 1);
    for (int64_t i = 0; i < 20; i++)
        TELL(&builder, 100 + i, 1, REPLICA_ROLE, NULL, builder.topic, 0, 2, 1, i, i);
    assert_int_equal(story_read(&story, trace_builder_finish(&builder), NULL), ERR_NONE);
    assert_string_equal(story.focus, "orders-0");
    assert_true(story.violation >= 0);
    story_free(&story);
    assert_int_equal(story_read(&story, trace_builder_finish(&builder), "busy-0"), ERR_NONE);
    assert_string_equal(story.focus, "busy-0");
}

static void a_quorum_without_brokers_is_told_by_its_own_log(void **context)
{
    (void)context;
    trace_builder_quorum(&builder);
    assert_int_equal(story_read(&story, trace_builder_finish(&builder), NULL), ERR_NONE);
    assert_string_equal(story.focus, "__cluster_metadata-0");
    assert_int_equal(find(STORY_ROLE, 101, 2)->from, STORY_ROLE_LEADER);
    assert_int_equal(find(STORY_ROLE, 102, 1)->from, STORY_ROLE_FOLLOWER);
    assert_string_equal(story_node_name(&story, 0), "controller 101");
}

static void a_trace_cut_anywhere_is_told_up_to_the_cut(void **context)
{
    struct bytes trace;
    uint32_t told = 0;

    (void)context;
    trace_builder_failover(&builder, "orders");
    trace = trace_builder_finish(&builder);
    for (uint32_t length = 0; length <= trace.length; length += 31) {
        enum err err = story_read(&story, (struct bytes){trace.data, length}, NULL);

        assert_true(err == ERR_NONE || err == ERR_MALFORMED);
        assert_true(err != ERR_NONE || story.event_count >= told);
        told = err == ERR_NONE ? story.event_count : told;
        story_free(&story);
    }
    assert_true(told > 40);
}

static void damaged_traces_do_no_harm(void **context)
{
    struct bytes trace;
    struct rng rng;
    uint8_t *bytes;

    (void)context;
    trace_builder_failover(&builder, "orders");
    trace = trace_builder_finish(&builder);
    bytes = malloc(trace.length);
    assert_non_null(bytes);
    rng_init(&rng, 20);
    for (uint32_t round = 0; round < 60; round++) {
        struct digest *digest = malloc(sizeof *digest);

        assert_non_null(digest);
        memcpy(bytes, trace.data, trace.length);
        for (uint32_t k = 0; k < 4; k++) {
            uint64_t at = rng_below(&rng, trace.length);

            bytes[at] = (uint8_t)rng_below(&rng, 256);
        }
        if (story_read(&story, (struct bytes){bytes, trace.length}, NULL) == ERR_NONE) {
            digest_make(digest, &story, DIGEST_ROWS);
            assert_true(digest->row_count <= DIGEST_ROWS);
            digest_free(digest);
        }
        story_free(&story);
        free(digest);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nodes_are_in_the_order_of_the_figures, setup, teardown),
        cmocka_unit_test_setup_teardown(a_change_is_put_down_to_the_message_that_brought_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_fold_of_the_events_is_the_state_of_the_logs, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            a_truncation_is_a_loss_only_if_that_very_record_was_committed, setup, teardown),
        cmocka_unit_test_setup_teardown(the_focus_is_what_the_violation_names, setup, teardown),
        cmocka_unit_test_setup_teardown(a_quorum_without_brokers_is_told_by_its_own_log, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_trace_cut_anywhere_is_told_up_to_the_cut, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(damaged_traces_do_no_harm, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Proves: every mark has a name of its own and a meaning; each is reached by the events that mean
 * it and by no others; a campaign tells those that no run has reached. */
#include "tests/support/support.h"

#include "client/base/assert.h"
#include "client/base/err.h"
#include "sim/mark.h"

#include <string.h>

static void every_mark_has_its_own_name_and_a_meaning(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < MARKS; i++) {
        assert_true(strchr(mark_name((enum mark)i), '.') != NULL);
        assert_true(strlen(mark_about((enum mark)i)) > 5);
        for (uint32_t j = 0; j < i; j++)
            assert_string_not_equal(mark_name((enum mark)i), mark_name((enum mark)j));
    }
}

#define EVENT(KIND, ...)                                                               \
    {                                                                                  \
        .kind = TRACE_##KIND, .field_count = 8, .fields = {__VA_ARGS__}, .text = { 0 } \
    }

/* The events, one after the other, of node 1; the mark, and whether others are reached as well. */
static const struct {
    enum mark mark;
    struct trace_event events[3];
    uint32_t count;
    uint32_t reached; /* marks in all */
} cases[] = {
    {MARK_REPLICA_TOOK_OVER, {EVENT(REPLICA_LEADING, 7, 0, 2, 40, 40)}, 1, 1},
    {MARK_REPLICA_DIVERGED_AGAIN, {EVENT(REPLICA_DIVERGED, 7, 0, 1, 5, 9, 2)}, 1, 2},
    {MARK_REPLICA_OFFLINE, {EVENT(REPLICA_ROLE, 7, 0, TRACE_ROLE_OFFLINE)}, 1, 1},
    {MARK_LOG_CUT_MANY, {EVENT(LOG_TRUNCATED, 7, 0, 200, 50)}, 1, 3},
    {MARK_QUORUM_CUT, {EVENT(LOG_TRUNCATED, 0, 0, 200, 50)}, 1, 1},
    {MARK_LOG_TORN, {EVENT(LOG_OPENED, 7, 0, 0, 9, 0, 0, 0, 12)}, 1, 2},
    {MARK_LOG_NO_SPACE, {EVENT(LOG_FAILED, 7, 0, 9, ERR_NO_SPACE)}, 1, 1},
    {MARK_LOG_FAILED, {EVENT(LOG_FAILED, 7, 0, 9, ERR_IO)}, 1, 1},
    {MARK_PRODUCE_ISR_FELL,
     {EVENT(PRODUCE_ANSWERED, 7, 0, 0, 9, ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND)},
     1,
     1},
    {MARK_PRODUCE_TIMED_OUT, {EVENT(PRODUCE_ANSWERED, 7, 0, 0, 9, ERR_REQUEST_TIMED_OUT)}, 1, 1},
    {MARK_LIST_UNKNOWN, {EVENT(OFFSETS_LISTED, 7, 0, -1, -1, 0, ERR_OFFSET_NOT_AVAILABLE)}, 1, 1},
    {MARK_ISR_OUTDATED, {EVENT(CONTROLLER_ALTER, 7, 0, 1, 1, 1, ERR_INVALID_UPDATE_VERSION)}, 1, 1},
    {MARK_ISR_FENCED, {EVENT(CONTROLLER_ALTER, 7, 0, 1, 1, 1, ERR_FENCED_LEADER_EPOCH)}, 1, 1},
    {MARK_PARTITION_LEADERLESS, {EVENT(CONTROLLER_PARTITION, 7, 0, -1, 3, 4, 9)}, 1, 1},
    {MARK_VOTE_REFUSED, {EVENT(RAFT_VOTE, 2, 3, 0, 0)}, 1, 1},
    {MARK_PRE_VOTE_REFUSED, {EVENT(RAFT_VOTE, 2, 3, 0, 1)}, 1, 1},
    {MARK_CANDIDATE_AGAIN, {EVENT(RAFT_STATE, 2, 1, 4, -1, -1)}, 1, 1},
    {MARK_SNAPSHOT_FETCHED, {EVENT(RAFT_SNAPSHOT, 10, 1, 100, 7, 2)}, 1, 1},
    {MARK_GROUP_LOADED, {EVENT(GROUP_COORDINATOR, 3, 1, 1, 20, 2)}, 1, 1},
    {MARK_CONNECTION_IDLE, {EVENT(CONN_CLOSED, 4, ERR_TIMED_OUT)}, 1, 1},
    {MARK_DOWN_IN_RECOVERY, {EVENT(NODE_STARTED, 1, 1), EVENT(SIM_DOWN, 1, 2)}, 2, 1},
    {MARK_DOWN_AS_CONTROLLER, {EVENT(CONTROLLER_ACTIVE, 1, 0), EVENT(SIM_DOWN, 1, 1)}, 2, 1},
    {MARK_DOWN_ASKING_ISR,
     {EVENT(CONTROLLER_ACTIVE, 1, 0), EVENT(CONTROLLER_RENOUNCED, 1, 0, 1),
      EVENT(REPLICA_ISR, 7, 0, 1, 1, 0)},
     3,
     3}, /* gave up, asked, asked while nobody controls; the death comes below */
};

static uint32_t reached_in(const struct marks *marks)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < MARKS; i++)
        count += marks->count[i] > 0;
    return count;
}

static void each_mark_is_reached_by_what_it_means(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(cases); i++) {
        struct marks marks = {0};

        for (uint32_t j = 0; j < cases[i].count; j++)
            marks_event(&marks, 1, &cases[i].events[j]);
        if (reached_in(&marks) != cases[i].reached)
            fail_msg("%s: %u marks", mark_name(cases[i].mark), reached_in(&marks));
        if (cases[i].mark == MARK_DOWN_ASKING_ISR) {
            const struct trace_event down = EVENT(SIM_DOWN, 1, 2);

            assert_int_equal(marks.count[MARK_DOWN_ASKING_ISR], 0);
            marks_event(&marks, 1, &down);
        }
        if (marks.count[cases[i].mark] != 1) fail_msg("%s", mark_name(cases[i].mark));
    }
}

static void what_is_over_is_not_met_any_more(void **state)
{
    const struct trace_event story[] = {EVENT(NODE_STARTED, 1, 1), EVENT(NODE_READY, 9092),
                                        EVENT(REPLICA_ISR, 7, 0, 1, 1, 0),
                                        EVENT(REPLICA_ISR, 7, 0, 1, 2, 1), EVENT(SIM_DOWN, 1, 1)};
    struct marks marks = {0};

    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(story); i++)
        marks_event(&marks, 1, &story[i]);
    assert_int_equal(marks.count[MARK_DOWN_IN_RECOVERY], 0);
    assert_int_equal(marks.count[MARK_DOWN_ASKING_ISR], 0);
    assert_int_equal(marks.count[MARK_ISR_PROPOSED], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mark_has_its_own_name_and_a_meaning),
        cmocka_unit_test(each_mark_is_reached_by_what_it_means),
        cmocka_unit_test(what_is_over_is_not_met_any_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

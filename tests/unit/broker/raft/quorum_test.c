/* Proves: on simulated machines the driver elects, replicates, commits and tells; what was
 * committed survives power losses of all, of the leader and of a voter; observers follow. */
#include "broker/log/log_private.h"
#include "broker/raft/quorum_internal.h"
#include "tests/support/support.h"

#include "tests/support/quorum_box.h"

#include <string.h>

static struct quorum_box box;
static uint32_t appended;

static int64_t append_some(uint32_t count)
{
    int leader = quorum_box_leader(&box);
    int64_t first, last = -1;

    assert_true(leader >= 0);
    for (uint32_t i = 0; i < count; i++) {
        struct quorum *quorum = &box.node[leader].quorum;
        uint8_t value[8] = {1, 2, 3, (uint8_t)appended};
        struct bytes values[2] = {{value, sizeof value}, {value, 4}};
        enum err err = quorum_append(quorum, quorum->epoch, values, 2, &first, &last);

        if (err != ERR_NONE) fail_msg("append: %s", err_name(err));
        assert_int_equal(last, first + 1);
        appended += 2;
        quorum_box_poke(&box, (uint32_t)leader);
    }
    return last;
}

static void all_are_equal(uint32_t nodes)
{
    for (uint32_t i = 0; i < nodes; i++) {
        const struct quorum_box_node *n = &box.node[i];

        assert_int_equal(n->quorum.state, QUORUM_RUNNING);
        assert_int_equal(n->records, appended);
        assert_int_equal(n->digest, box.node[0].digest);
        assert_int_equal(n->end, box.node[0].end);
        assert_int_equal(n->quorum.applied_end, n->log->log_end);
        assert_int_equal(n->quorum.leader, box.node[0].quorum.leader);
    }
}

static void begin(uint64_t seed, uint32_t nodes, uint32_t voters)
{
    appended = 0;
    quorum_box_init(&box, seed, nodes, voters);
    quorum_box_run_ms(&box, 8000);
}

static void a_single_voter_leads_at_once_and_remembers(void **state)
{
    int64_t last;

    (void)state;
    appended = 0;
    quorum_box_init(&box, 1, 1, 1);
    quorum_box_run_ms(&box, 1000);
    assert_int_equal(quorum_box_leader(&box), 0);
    last = append_some(10);
    quorum_box_run_ms(&box, 1000);
    assert_int_equal(box.node[0].quorum.high_watermark, last + 1);
    all_are_equal(1);
    sim_node_down(box.node[0].world, SIM_DOWN_POWER);
    quorum_box_start(&box, 0);
    quorum_box_run_ms(&box, 1000);
    all_are_equal(1);
    assert_int_equal(box.node[0].quorum.epoch, 2);
    assert_int_equal(quorum_box_leader(&box), 0);
    quorum_box_deinit(&box);
}

static void three_voters_and_an_observer_follow_one_leader(void **state)
{
    (void)state;
    begin(2, 4, 3);
    append_some(12);
    quorum_box_run_ms(&box, 2000);
    all_are_equal(4);
    quorum_box_deinit(&box);
}

static void a_leader_that_loses_power_is_replaced_and_follows(void **state)
{
    int leader, next;

    (void)state;
    begin(3, 4, 3);
    append_some(8);
    quorum_box_run_ms(&box, 1000);
    leader = quorum_box_leader(&box);
    sim_node_down(box.node[leader].world, SIM_DOWN_POWER);
    quorum_box_run_ms(&box, 12000);
    next = quorum_box_leader(&box);
    assert_true(next >= 0 && next != leader);
    append_some(8);
    quorum_box_run_ms(&box, 1000);
    quorum_box_start(&box, (uint32_t)leader);
    quorum_box_run_ms(&box, 6000);
    assert_int_equal(quorum_box_leader(&box), next); /* K31 */
    all_are_equal(4);
    quorum_box_deinit(&box);
}

static void a_power_loss_of_all_loses_nothing_committed(void **state)
{
    (void)state;
    begin(4, 3, 3);
    append_some(8);
    quorum_box_run_ms(&box, 1000);
    for (uint32_t i = 0; i < 3; i++)
        sim_node_down(box.node[i].world, SIM_DOWN_POWER);
    for (uint32_t i = 0; i < 3; i++)
        quorum_box_start(&box, i);
    quorum_box_run_ms(&box, 12000);
    assert_true(quorum_box_leader(&box) >= 0);
    all_are_equal(3);
    append_some(3);
    quorum_box_run_ms(&box, 1000);
    all_are_equal(3);
    quorum_box_deinit(&box);
}

static void a_leader_that_stops_hands_over_within_a_second(void **state)
{
    int leader;

    (void)state;
    begin(5, 3, 3);
    append_some(2);
    quorum_box_run_ms(&box, 1000);
    leader = quorum_box_leader(&box);
    quorum_stop(&box.node[leader].quorum);
    quorum_box_poke(&box, (uint32_t)leader);
    quorum_box_run_ms(&box, 1000);
    assert_true(quorum_stopped(&box.node[leader].quorum));
    assert_int_equal(box.node[leader].quorum.state, QUORUM_STOPPED);
    assert_true(quorum_box_leader(&box) >= 0 && quorum_box_leader(&box) != leader);
    quorum_box_deinit(&box);
}

/* F43: the rotten one must not make a majority with the one that is behind. */
static void a_leader_that_was_cut_off_cuts_its_log_and_follows(void **state)
{
    uint64_t cut_off, others = 0;
    uint32_t kept;
    int leader, next;

    (void)state;
    begin(5, 3, 3);
    append_some(8);
    quorum_box_run_ms(&box, 1000);
    kept = appended;
    leader = quorum_box_leader(&box);
    cut_off = UINT64_C(1) << box.node[leader].world->index;
    for (uint32_t i = 0; i < 3; i++)
        if ((int)i != leader) others |= UINT64_C(1) << box.node[i].world->index;
    sim_partition(box.sim, cut_off, others, SIM_CUT_HOLD);
    append_some(4); /* nobody else will ever have them */
    quorum_box_run_ms(&box, 12000);
    assert_true(box.node[leader].log->log_end > box.node[leader].quorum.high_watermark);
    appended = kept;
    sim_heal_all(box.sim);
    quorum_box_run_ms(&box, 6000);
    next = quorum_box_leader(&box);
    assert_true(next >= 0 && next != leader);
    append_some(3);
    quorum_box_run_ms(&box, 2000);
    all_are_equal(3);
    quorum_box_deinit(&box);
}

static void a_voter_with_a_rotten_log_does_not_vote_until_it_has_refetched(void **state)
{
    static const char path[] = "data/__cluster_metadata-0/00000000000000000000.log";
    int leader;
    uint32_t rotten, other;

    (void)state;
    begin(6, 3, 3);
    append_some(8);
    quorum_box_run_ms(&box, 1000);
    leader = quorum_box_leader(&box);
    rotten = (uint32_t)(leader + 1) % 3;
    other = (uint32_t)(leader + 2) % 3;
    for (uint32_t i = 0; i < 3; i++)
        sim_node_down(box.node[i].world, SIM_DOWN_POWER);
    assert_true(sim_image_rot(sim_disk_image(box.node[rotten].world->disk), path, 300, 3));
    quorum_box_start(&box, rotten);
    quorum_box_start(&box, other);
    quorum_box_run_ms(&box, 30000);
    assert_true(box.node[rotten].log->log_end < box.node[other].log->log_end);
    assert_true(box.node[rotten].quorum.raft.distrusted);
    assert_int_equal(quorum_box_leader(&box), -1);
    quorum_box_start(&box, (uint32_t)leader);
    quorum_box_run_ms(&box, 15000);
    assert_true(quorum_box_leader(&box) >= 0);
    assert_false(box.node[rotten].quorum.raft.distrusted);
    all_are_equal(3);
    quorum_box_deinit(&box);
}

static void a_voter_of_another_cluster_gives_up_and_the_others_go_on(void **state)
{
    (void)state;
    appended = 0;
    quorum_box_init(&box, 7, 3, 3);
    box.node[2].foreign = true;
    quorum_box_run_ms(&box, 8000);
    assert_int_equal(box.node[2].quorum.state, QUORUM_FAILED);
    assert_int_equal(box.node[2].quorum.err, ERR_INCONSISTENT_CLUSTER_ID);
    append_some(3);
    quorum_box_run_ms(&box, 2000);
    all_are_equal(2);
    quorum_box_deinit(&box);
}

/* The leader answers a Fetch only when there is something to say, up to half a second later. */
static void a_vote_does_not_wait_behind_a_parked_fetch(void **state)
{
    (void)state;
    begin(9, 3, 3);
    append_some(2);
    quorum_box_run_ms(&box, 2000);
    for (uint32_t round = 0; round < 8; round++) {
        int leader = quorum_box_leader(&box);
        struct raft *raft = &box.node[(leader + 1) % 3].quorum.raft;
        uint32_t place = 0;

        assert_true(leader >= 0);
        while (raft->set.ids[place] != box.node[leader].id)
            place++;
        raft->fetch_timeout_at = (struct mono_time){0}; /* as if it had not heard for long */
        raft->voters[place].ballot = RAFT_BALLOT_UNSENT;
        op_wake(&box.node[(leader + 1) % 3].quorum.driver_source);
        quorum_box_poke(&box, (uint32_t)(leader + 1) % 3);
        quorum_box_run_ms(&box, 60);
        /* Refused by both: it follows the leader again. */
        assert_true(raft->state == RAFT_FOLLOWER);
        assert_int_equal(raft->voters[place].ballot, RAFT_BALLOT_REFUSED);
        quorum_box_run_ms(&box, 700 + round * 60);
    }
    quorum_box_deinit(&box);
}

/* K34: a fetch that waits for news is answered before its request times out, and often enough. */
static void a_quiet_quorum_keeps_its_leader_whatever_the_timeouts(void **state)
{
    static const int32_t rows[][2] = {{2000, 2000}, {500, 1000}, {100, 1000}, {2000, 500}};

    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        int32_t epoch;

        appended = 0;
        quorum_box_init(&box, 10 + i, 4, 3);
        box.request_timeout_ms = rows[i][0];
        box.fetch_timeout_ms = rows[i][1];
        quorum_box_run_ms(&box, 8000);
        assert_true(quorum_box_leader(&box) >= 0);
        epoch = box.node[quorum_box_leader(&box)].quorum.epoch;
        append_some(2);
        quorum_box_run_ms(&box, 10000);
        all_are_equal(4);
        assert_int_equal(box.node[0].quorum.epoch, epoch);
        quorum_box_deinit(&box);
    }
}

/* With nothing in flight no append fails with it. */
static void a_log_that_goes_while_all_is_quiet_is_noticed_at_once(void **state)
{
    struct quorum_box_node *node = &box.node[3];

    (void)state;
    begin(12, 4, 3);
    append_some(3);
    quorum_box_run_ms(&box, 2000);
    log_fail(node->log, ERR_IO);
    (void)op_loop_run(&node->env.loop, node->env.now.mono.ns, 1000);
    assert_null(op_loop_probe(&node->env.loop)); /* nobody sleeps on what has happened */
    assert_int_equal(node->quorum.state, QUORUM_FAILED);
    assert_int_equal(node->quorum.err, ERR_IO);
    quorum_box_deinit(&box);
}

/* The first that each life of a node told of its quorum state, and the last of the one before. */
struct told {
    struct sim_observer observer;
    bool any[3];
    enum trace_kind first[3];
    int64_t found[3][3], last[3][3];
};

static void told_traced(struct sim_observer *observer, struct sim_world *node,
                        const struct trace_event *event)
{
    struct told *told = CONTAINER_OF(observer, struct told, observer);
    uint32_t i;

    if (node == NULL || (event->kind != TRACE_RAFT_STATE && event->kind != TRACE_RAFT_STORED))
        return;
    for (i = 0; box.node[i].world != node; i++)
        ;
    if (!told->any[i]) {
        told->any[i] = true;
        told->first[i] = event->kind;
        memcpy(told->found[i], event->fields, sizeof told->found[i]);
    }
    if (event->kind == TRACE_RAFT_STORED)
        memcpy(told->last[i], event->fields, sizeof told->last[i]);
}

/* swarm-quorum seed 229678915562071: killed over a rename, a life cannot tell of it; the next one,
 * which syncs what it finds, has to (K3). */
static void what_is_found_of_the_quorum_state_is_told_before_it_counts(void **state)
{
    struct told told = {.observer = {.traced = told_traced}};

    (void)state;
    appended = 0;
    quorum_box_init(&box, 5, 3, 3);
    sim_observe(box.sim, &told.observer);
    quorum_box_run_ms(&box, 8000);
    assert_true(quorum_box_leader(&box) >= 0);
    for (uint32_t i = 0; i < 3; i++) {
        int64_t durable[3];

        assert_int_equal(told.first[i], TRACE_RAFT_STATE); /* no file was there */
        memcpy(durable, told.last[i], sizeof durable);
        assert_true(durable[0] > 0);
        told.any[i] = false;
        sim_node_down(box.node[i].world, i == 0 ? SIM_DOWN_POWER : SIM_DOWN_KILL);
        quorum_box_start(&box, i);
        quorum_box_run_ms(&box, 200);
        assert_true(told.any[i]);
        assert_int_equal(told.first[i], TRACE_RAFT_STORED);
        assert_memory_equal(told.found[i], durable, sizeof durable);
        quorum_box_run_ms(&box, 8000);
    }
    quorum_box_deinit(&box);
}

struct warned {
    struct sim_observer observer;
    uint32_t count;
};

static void warned_traced(struct sim_observer *observer, struct sim_world *node,
                          const struct trace_event *event)
{
    (void)node;
    if (event->kind == TRACE_NODE_WARNING) CONTAINER_OF(observer, struct warned, observer)->count++;
}

/* As one that was asked an address for the leader is put into words, at `end` of the log. */
static void ask_by_address(uint32_t follower, uint32_t address, int64_t end)
{
    struct quorum *quorum = &box.node[follower].quorum;
    struct raft_effect effect = {.kind = RAFT_SEND_FETCH,
                                 .peer = RAFT_BOOTSTRAP(address),
                                 .end = end,
                                 .epoch = quorum->epoch,
                                 .log_epoch = quorum->raft.last_epoch};

    quorum_call_send(quorum, &effect);
    quorum_box_poke(&box, follower);
}

/* As DescribeQuorum tells them. */
static uint32_t observers(uint32_t leader)
{
    struct describe_quorum_request_partition part = {.partition_index = 0};
    struct describe_quorum_request_topic topic = {STR("__cluster_metadata"), &part, 1};
    struct describe_quorum_request request = {.topics = &topic, .topics_count = 1};
    struct describe_quorum_response response;
    struct support_memory memory;
    struct arena arena;
    uint32_t count;
    enum err err;

    support_memory_init(&memory, 1 << 20);
    arena_init(&arena, &memory.mem, 64 << 10);
    err = quorum_describe(&box.node[leader].quorum, &request, &arena, &response);
    assert_int_equal(err, ERR_NONE);
    assert_int_equal(response.topics[0].partitions[0].error_code, ERR_NONE);
    assert_int_equal(response.topics[0].partitions[0].current_voters_count, 3);
    count = response.topics[0].partitions[0].observers_count;
    arena_deinit(&arena);
    support_memory_deinit(&memory);
    return count;
}

/* Swarm seed 5386950352552 (K35): a voter that knew no leader asked a bootstrap server that was
 * down. That one came back, was elected and followed; the old question reached it only then, by the
 * younger of two connections, and told of a log that had grown since. */
static void a_late_question_for_the_leader_says_nothing_of_the_log(void **state)
{
    struct warned warned = {.observer = {.traced = warned_traced}};
    const struct quorum_call *call;
    const struct raft_voter *voter;
    uint32_t leader, follower;

    (void)state;
    appended = 0;
    quorum_box_init(&box, 5, 3, 3);
    box.bootstrap = true;
    sim_observe(box.sim, &warned.observer);
    quorum_box_run_ms(&box, 8000);
    append_some(4);
    quorum_box_run_ms(&box, 1000);
    leader = (uint32_t)quorum_box_leader(&box);
    follower = (leader + 1) % 3;
    voter = &box.node[leader].quorum.raft.voters[follower];
    assert_int_equal(voter->id, box.node[follower].id);
    assert_int_equal(voter->end_offset, box.node[leader].log->log_end);
    call = &quorum_link_find(&box.node[follower].quorum, RAFT_BOOTSTRAP(leader))
                ->calls[RAFT_REQUEST_FETCH];
    assert_int_equal(warned.count, 0);
    ask_by_address(follower, leader, 1);
    assert_true(call->started);
    quorum_box_run_ms(&box, 200);
    assert_false(call->started);
    assert_int_equal(warned.count, 0);
    /* It is answered at once, also who has it all: it asks for a name, not for news. */
    ask_by_address(follower, leader, box.node[follower].log->log_end);
    assert_true(call->started);
    quorum_box_run_ms(&box, 50);
    assert_false(call->started);
    assert_int_equal(observers(leader), 0);
    append_some(2);
    quorum_box_run_ms(&box, 1000);
    all_are_equal(3);
    quorum_box_deinit(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_single_voter_leads_at_once_and_remembers),
        cmocka_unit_test(three_voters_and_an_observer_follow_one_leader),
        cmocka_unit_test(a_leader_that_loses_power_is_replaced_and_follows),
        cmocka_unit_test(a_power_loss_of_all_loses_nothing_committed),
        cmocka_unit_test(a_leader_that_stops_hands_over_within_a_second),
        cmocka_unit_test(a_leader_that_was_cut_off_cuts_its_log_and_follows),
        cmocka_unit_test(a_voter_with_a_rotten_log_does_not_vote_until_it_has_refetched),
        cmocka_unit_test(a_voter_of_another_cluster_gives_up_and_the_others_go_on),
        cmocka_unit_test(a_vote_does_not_wait_behind_a_parked_fetch),
        cmocka_unit_test(a_quiet_quorum_keeps_its_leader_whatever_the_timeouts),
        cmocka_unit_test(a_log_that_goes_while_all_is_quiet_is_noticed_at_once),
        cmocka_unit_test(what_is_found_of_the_quorum_state_is_told_before_it_counts),
        cmocka_unit_test(a_late_question_for_the_leader_says_nothing_of_the_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

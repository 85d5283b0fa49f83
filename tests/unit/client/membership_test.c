/* Proves: members over a real broker on the simulated network share the partitions of their topics,
 * each with one owner at a time; who joins, leaves, dies, stops polling or comes back under the
 * same instance id gets and loses what he should; offsets are kept across all of it; and no member
 * waits on a condition that holds. */
#include "tests/support/raw_client.h"

#include "client/membership.h"
#include "client/posix/codecs.h"
#include "wire/consumer_group_describe.h"
#include "wire/produce.h"

#include <stdlib.h>
#include <string.h>

enum { MEMBERS = 4, FIRST_ID = 50, PARTITIONS_MAX = 16 };

struct machine {
    struct sim_program program;
    struct sim_world *world;
    /* as the test wants it */
    struct membership_config config;
    struct str pattern;
    struct str rack;
    enum consumer_reset reset;
    bool silent; /* polls no more */
    bool stop;
    /* what came */
    uint32_t taken;
    uint32_t assigned;
    uint32_t revoked;
    uint32_t lost;
    bool down;
    struct part *part;
};

/* In the machine's memory. */
struct part {
    struct env env;
    struct machine *machine;
    struct consumer consumer;
    struct membership member;
    struct op op;
    bool silent; /* as it was when it looked last: the test wakes nobody */
};

static struct node_box box;
static struct raw_client raw;
static struct codecs codecs;
static struct machine machines[MEMBERS];
static struct sim_observer watcher;
static uint32_t stale; /* OffsetFetch refused with STALE_MEMBER_EPOCH */

/* ---- a machine ------------------------------------------------------------------------------- */

enum part_step { PART_START, PART_READY, PART_CLOSED, PART_STEPS };
static const char *const part_steps[PART_STEPS] = {"START", "READY", "CLOSED"};

static void part_take(struct part *part)
{
    struct machine *machine = part->machine;
    struct consumer_record record;

    part->silent = machine->silent;
    if (machine->silent) return;
    switch (membership_poll(&part->member)) {
    case MEMBERSHIP_NOTHING: break;
    case MEMBERSHIP_ASSIGNED: machine->assigned++; break;
    case MEMBERSHIP_REVOKED: machine->revoked++; break;
    case MEMBERSHIP_LOST: machine->lost++; break;
    }
    membership_handled(&part->member);
    while (consumer_next(&part->consumer, &record))
        machine->taken++;
}

static bool part_woken(const struct part *part)
{
    return membership_due(&part->member) || consumer_has_records(&part->consumer);
}

static enum op_result part_run(struct op *op)
{
    struct part *o = CONTAINER_OF(op, struct part, op);

    switch ((enum part_step)op->step) {
    case PART_START:
        while (!membership_closed(&o->member)) {
            part_take(o);
            if (o->machine->stop) membership_close(&o->member);
            op_deadline(op, env_deadline(&o->env, 100));
            AWAIT(o, PART_READY, &o->consumer.ready,
                  (!o->silent && part_woken(o)) || membership_closed(&o->member) || op_expired(op));
        }
        membership_deinit(&o->member);
        consumer_close(&o->consumer);
        AWAIT(o, PART_CLOSED, &o->consumer.ready, consumer_closed(&o->consumer));
        consumer_deinit(&o->consumer);
        env_stop(&o->env, 0);
        return OP_DONE;
    case PART_STEPS: break;
    }
    IMPOSSIBLE("step");
}

static void part_started(struct env *env)
{
    static const struct op_kind kind = {"part", part_steps, PART_STEPS, part_run, NULL};
    static const struct str topics[] = {{"t", 1}, {"u", 1}};
    struct part *part = CONTAINER_OF(env, struct part, env);
    struct consumer_config config;

    consumer_config_default(&config);
    config.metadata.bootstrap = STR("node-1:9092");
    config.metadata.max_age_ms = 5000;
    config.request_timeout_ms = 5000;
    config.reset = part->machine->reset;
    config.rack = part->machine->rack;
    assert_int_equal(consumer_init(&part->consumer, env, &config), ERR_NONE);
    assert_int_equal(membership_init(&part->member, &part->consumer, &part->machine->config),
                     ERR_NONE);
    if (part->machine->pattern.length > 0) {
        assert_int_equal(membership_subscribe_pattern(&part->member, part->machine->pattern),
                         ERR_NONE);
    } else {
        assert_int_equal(membership_subscribe(&part->member, topics, 2), ERR_NONE);
    }
    op_start(&env->loop, &part->op, &kind, PART_START);
}

static void machine_boot(struct sim_program *program, struct world *world, struct instant now)
{
    struct machine *machine = CONTAINER_OF(program, struct machine, program);
    struct env_limits limits = {.ops_max = 1000, .payload_bytes = 64 << 20};

    (void)now;
    world->codecs = &codecs;
    machine->part = region_take(world->region, sizeof *machine->part, 64);
    *machine->part = (struct part){.machine = machine};
    assert_int_equal(env_init(&machine->part->env, world, &limits, part_started), ERR_NONE);
}

static void machine_down(struct sim_program *program, struct world *world, enum sim_down how)
{
    struct machine *machine = CONTAINER_OF(program, struct machine, program);

    (void)world;
    (void)how;
    machine->down = true;
    machine->part = NULL;
}

static void machine_turned(struct sim_observer *observer, struct sim_world *node)
{
    (void)observer;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct part *part = machines[i].part;
        const struct op *holds;

        if (machines[i].world != node || part == NULL || !op_loop_idle(&part->env.loop)) continue;
        holds = op_loop_probe(&part->env.loop);
        if (holds != NULL)
            fail_msg("%s waits at %s, which holds", holds->kind->name, op_step_name(holds));
    }
}

static void machine_traced(struct sim_observer *observer, struct sim_world *node,
                           const struct trace_event *event)
{
    (void)observer;
    (void)node;
    if (event->kind == TRACE_CLIENT_ERROR && event->fields[0] == API_OFFSET_FETCH &&
        event->fields[1] == ERR_STALE_MEMBER_EPOCH)
        stale++;
}

static void start(uint32_t i)
{
    machines[i].down = false;
    machines[i].stop = false;
    sim_node_start(machines[i].world);
}

/* ---- a cluster of one and its group ---------------------------------------------------------- */

static const char *const racks[] = {"north", "east", "south"};

static int up_with(const char *roles)
{
    memset(machines, 0, sizeof machines);
    assert_int_equal(codecs_create(&codecs), ERR_NONE);
    node_box_init(&box, 5, roles,
                  "offsets.topic.num.partitions=3\ngroup.initial.rebalance.delay.ms=500\n");
    for (uint32_t i = 0; i < box.count; i++)
        strcpy(box.node[i].config.rack, racks[i]);
    node_box_start_all(&box);
    raw_open(&raw, &box, 0, NODE_BOX_PORT);
    raw_create_topic(&raw, "t", 7, 1);
    raw_create_topic(&raw, "u", 2, 1);
    watcher = (struct sim_observer){.turned = machine_turned, .traced = machine_traced};
    stale = 0;
    sim_observe(box.sim, &watcher);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct sim_node_config node = sim_node_config_default(FIRST_ID + (int32_t)i);

        machines[i].program.boot = machine_boot;
        machines[i].program.down = machine_down;
        machines[i].reset = CONSUMER_RESET_EARLIEST;
        membership_config_default(&machines[i].config);
        machines[i].config.group_id = STR("g");
        machines[i].config.session_timeout_ms = 6000;
        machines[i].config.heartbeat_interval_ms = 500;
        machines[i].config.max_poll_interval_ms = 10000;
        machines[i].config.commit_interval_ms = 300;
        machines[i].config.request_timeout_ms = 5000;
        machines[i].config.assignors_count = 1;
        node.program = &machines[i].program;
        node.region_size = (size_t)256 << 20;
        machines[i].world = sim_node_add(box.sim, &node);
    }
    return 0;
}

static int up(void **state)
{
    (void)state;
    return up_with("a");
}

static int up_in_three_racks(void **state)
{
    (void)state;
    return up_with("abb");
}

static bool all_down(void *context)
{
    (void)context;
    for (uint32_t i = 0; i < MEMBERS; i++)
        if (machines[i].part != NULL) return false;
    return true;
}

static int down(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        machines[i].stop = true;
        machines[i].silent = false;
    }
    assert_true(node_box_until(&box, 120000, all_down, NULL));
    raw_close(&raw);
    for (uint32_t i = box.count; i-- > 0;)
        node_box_stop(&box, i, 90000);
    node_box_deinit(&box);
    codecs_destroy(&codecs);
    return 0;
}

static void use(enum assignor assignor)
{
    for (uint32_t i = 0; i < MEMBERS; i++)
        machines[i].config.assignors[0] = assignor;
}

static void produce(const char *topic, int32_t index, uint32_t count)
{
    uint8_t bytes[4096];

    raw_produce(&raw, topic, index, raw_batch(bytes, sizeof bytes, count, 10));
}

/* How many partitions it has that it may read; -1: it is not in a stable group. */
static int owned(uint32_t i)
{
    const struct part *part = machines[i].part;

    if (part == NULL || part->member.state != MEMBERSHIP_STABLE) return -1;
    return (int)part->consumer.partitions_count;
}

static bool has(uint32_t i, const char *topic, int32_t partition)
{
    return consumer_find(&machines[i].part->consumer, str_of(topic), partition) != NULL;
}

/* Members 0 .. count - 1 that run are stable in one generation and have everything once. */
static bool shared(void *context)
{
    uint32_t live = *(const uint32_t *)context;
    int32_t generation = -1;
    int total = 0;

    for (uint32_t i = 0; i < MEMBERS; i++) {
        if ((live & 1U << i) == 0) continue;
        if (owned(i) < 0) return false;
        if (generation >= 0 && machines[i].part->member.generation != generation) return false;
        generation = machines[i].part->member.generation;
        total += owned(i);
    }
    return total == 9;
}

static void until_shared(uint32_t live)
{
    if (node_box_until(&box, 60000, shared, &live)) return;
    for (uint32_t i = 0; i < MEMBERS; i++)
        if (machines[i].part != NULL)
            print_message("%u: state %d error %d generation %d owns %u\n", i,
                          (int)machines[i].part->member.state, (int)machines[i].part->member.error,
                          machines[i].part->member.generation,
                          machines[i].part->consumer.partitions_count);
    fail_msg("not shared");
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void a_single_member_gets_everything(void **state)
{
    (void)state;
    start(0);
    until_shared(1);
    assert_int_equal(machines[0].assigned, 1);
    assert_int_equal(machines[0].part->member.generation, 1);
    assert_true(machines[0].part->member.leader);
}

static void three_members_share_by_each_assignor(void **state)
{
    (void)state;
    for (uint32_t a = 0; a < ASSIGNORS; a++) {
        use((enum assignor)a);
        for (uint32_t i = 0; i < 3; i++)
            start(i);
        until_shared(7);
        for (uint32_t i = 0; i < 3; i++)
            assert_in_range(owned(i), 2, 4);
        for (uint32_t i = 0; i < 3; i++)
            machines[i].stop = true;
        assert_true(node_box_until(&box, 60000, all_down, NULL));
    }
}

/* KIP-881, from the rack of a broker to the assignment: each broker has the only replica of some
 * partitions, and the member beside it gets them. */
static void members_get_the_partitions_of_their_racks(void **state)
{
    (void)state;
    use(ASSIGNOR_RANGE);
    for (uint32_t i = 0; i < 3; i++) {
        machines[i].rack = str_of(racks[2 - i]);
        start(i);
    }
    until_shared(7);
    node_box_run_ms(&box, 2000); /* then all of them know the topics, too */
    for (uint32_t i = 0; i < 3; i++) {
        const struct consumer *consumer = &machines[i].part->consumer;

        assert_true(owned(i) >= 2);
        LIST_FOR_EACH (link, &consumer->partitions) {
            const struct consumer_partition *one =
                LIST_ENTRY(link, struct consumer_partition, link);

            assert_int_equal(one->topic->partitions[one->index].racks,
                             metadata_rack(&consumer->metadata, machines[i].rack));
        }
    }
}

static void who_joins_takes_and_who_leaves_gives(void **state)
{
    (void)state;
    start(0);
    until_shared(1);
    start(1);
    until_shared(3);
    assert_int_equal(machines[0].revoked, 1);
    assert_int_equal(owned(0) + owned(1), 9);
    machines[0].stop = true;
    until_shared(2);
    assert_int_equal(owned(1), 9);
    assert_int_equal(machines[1].lost, 0);
}

static void cooperative_members_keep_what_does_not_move(void **state)
{
    struct consumer_partition *kept;

    (void)state;
    use(ASSIGNOR_COOPERATIVE_STICKY);
    start(0);
    until_shared(1);
    kept = consumer_find(&machines[0].part->consumer, STR("t"), 0);
    start(1);
    until_shared(3);
    assert_ptr_equal(consumer_find(&machines[0].part->consumer, STR("t"), 0), kept);
    assert_int_equal(machines[0].revoked, 1);
    assert_in_range(owned(0), 4, 5);
}

static void a_dead_members_partitions_go_to_the_others_after_its_session(void **state)
{
    (void)state;
    start(0);
    start(1);
    until_shared(3);
    sim_crash(machines[1].world, SIM_DOWN_KILL);
    node_box_run_ms(&box, 3000);
    assert_int_not_equal(owned(0), 9);
    until_shared(1);
}

static bool taken(void *context)
{
    uint32_t total = 0;

    for (uint32_t i = 0; i < MEMBERS; i++)
        total += machines[i].taken;
    return total >= *(const uint32_t *)context;
}

static void offsets_are_kept_when_members_come_and_go(void **state)
{
    uint32_t wanted = 20;

    (void)state;
    produce("t", 0, 10);
    produce("t", 6, 10);
    start(0);
    assert_true(node_box_until(&box, 60000, taken, &wanted));
    start(1);
    until_shared(3);
    machines[0].stop = true;
    until_shared(2);
    machines[1].stop = true;
    assert_true(node_box_until(&box, 60000, all_down, NULL));
    start(2);
    until_shared(4);
    produce("t", 0, 5);
    wanted = 25;
    assert_true(node_box_until(&box, 60000, taken, &wanted));
    node_box_run_ms(&box, 3000);
    assert_int_equal(machines[0].taken + machines[1].taken + machines[2].taken, 25);
}

static void a_member_that_stops_polling_loses_everything_and_comes_back(void **state)
{
    (void)state;
    start(0);
    start(1);
    until_shared(3);
    machines[1].silent = true;
    until_shared(1);
    assert_int_equal(machines[1].lost, 0);
    machines[1].silent = false;
    until_shared(3);
    assert_int_equal(machines[1].lost, 1);
    assert_int_equal(machines[0].lost, 0);
}

static void a_static_member_comes_back_to_its_partitions_without_a_rebalance(void **state)
{
    int32_t generation;
    bool first;

    (void)state;
    machines[0].config.instance_id = STR("one");
    machines[1].config.instance_id = STR("two");
    start(0);
    start(1);
    until_shared(3);
    generation = machines[0].part->member.generation;
    first = has(1, "t", 0);
    machines[1].stop = true;
    node_box_run_ms(&box, 2000);
    assert_null(machines[1].part);
    start(1);
    until_shared(3);
    assert_int_equal(machines[0].part->member.generation, generation);
    assert_int_equal(has(1, "t", 0), first);
}

static void a_twin_with_the_same_instance_id_fences_the_first(void **state)
{
    (void)state;
    machines[0].config.instance_id = STR("one");
    machines[1].config.instance_id = STR("one");
    start(0);
    until_shared(1);
    start(1);
    node_box_run_ms(&box, 5000);
    assert_int_equal(machines[0].part->member.state, MEMBERSHIP_FAILED);
    assert_int_equal(machines[0].part->member.error, ERR_FENCED_INSTANCE_ID);
    assert_int_equal(owned(1), 9);
}

static void a_pattern_finds_topics_that_come_later(void **state)
{
    (void)state;
    machines[0].pattern = STR("[tuv]");
    start(0);
    until_shared(1);
    raw_create_topic(&raw, "v", 2, 1);
    raw_create_topic(&raw, "vv", 2, 1);
    node_box_run_ms(&box, 20000);
    assert_int_equal(owned(0), 11);
    assert_false(has(0, "vv", 0));
    assert_false(has(0, "__consumer_offsets", 0));
}

/* What the coordinator keeps of the one member of the group. */
static struct str described_regex(size_t *names)
{
    struct str group = STR("g");
    struct consumer_group_describe_request request;
    struct consumer_group_describe_response response;

    consumer_group_describe_request_default(&request);
    request.group_ids = &group;
    request.group_ids_count = 1;
    raw_ask(&raw, API_CONSUMER_GROUP_DESCRIBE, 0, &request, &response);
    assert_int_equal(response.groups[0].error_code, 0);
    assert_int_equal(response.groups[0].members_count, 1);
    *names = response.groups[0].members[0].subscribed_topic_names_count;
    return response.groups[0].members[0].subscribed_topic_regex;
}

/* KIP-848: the pattern itself is the subscription, also while it matches nothing. */
static void the_coordinator_resolves_a_pattern_of_the_new_protocol(void **state)
{
    static const struct str only = {"t", 1};
    struct str regex;
    size_t names;

    (void)state;
    machines[0].config.protocol = MEMBERSHIP_CONSUMER;
    machines[0].pattern = STR("[vw].*");
    start(0);
    node_box_run_ms(&box, 5000);
    assert_int_equal(owned(0), 0);
    regex = described_regex(&names);
    assert_true(str_equal(regex, STR("[vw].*")));
    assert_int_equal(names, 0);
    raw_create_topic(&raw, "v", 2, 1);
    raw_create_topic(&raw, "wide", 3, 1);
    raw_create_topic(&raw, "av", 1, 1);
    node_box_run_ms(&box, 15000);
    assert_int_equal(owned(0), 5);
    assert_true(has(0, "wide", 2));
    assert_int_equal(membership_subscribe(&machines[0].part->member, &only, 1), ERR_NONE);
    node_box_run_ms(&box, 15000);
    assert_int_equal(owned(0), 7);
    regex = described_regex(&names);
    assert_int_equal(regex.length, 0);
    assert_int_equal(names, 1);
}

static void a_restarted_coordinator_costs_no_generation(void **state)
{
    int32_t generation;

    (void)state;
    start(0);
    start(1);
    until_shared(3);
    generation = machines[0].part->member.generation;
    raw_close(&raw);
    node_box_stop(&box, 0, 90000);
    node_box_start(&box, 0);
    assert_true(node_box_ready(&box, 0, 60000));
    node_box_run_ms(&box, 10000);
    raw_open(&raw, &box, 0, NODE_BOX_PORT);
    until_shared(3);
    assert_int_equal(machines[0].part->member.generation, generation);
    assert_int_equal(machines[0].lost + machines[1].lost, 0);
}

/* The classic ones rejoin at their heartbeats, and everything is shared by three; the way back is a
 * rebalance, without which the part of the one that left would be nobody's. */
static void a_group_changes_protocols_with_its_members_and_back(void **state)
{
    int32_t generation;

    (void)state;
    machines[1].config.assignors[0] = ASSIGNOR_COOPERATIVE_STICKY;
    machines[0].config.assignors[0] = ASSIGNOR_COOPERATIVE_STICKY;
    start(0);
    start(1);
    until_shared(3);
    generation = machines[0].part->member.generation;
    machines[2].config.protocol = MEMBERSHIP_CONSUMER;
    start(2);
    until_shared(7);
    assert_int_equal(owned(0), 3);
    assert_int_equal(owned(2), 3);
    assert_true(machines[0].part->member.generation > generation);
    generation = machines[0].part->member.generation;
    machines[2].stop = true;
    node_box_run_ms(&box, 3000);
    until_shared(3);
    assert_int_equal(owned(0) + owned(1), 9);
    assert_true(machines[0].part->member.generation > generation);
    assert_int_equal(machines[0].lost + machines[1].lost, 0);
}

/* What the coordinator refuses is asked for again when a heartbeat has told the epoch of now: the
 * member neither fails nor begins anywhere else than at the commit. */
static void offsets_asked_for_in_an_old_epoch_are_asked_for_again(void **state)
{
    uint32_t wanted = 5;

    (void)state;
    machines[0].config.protocol = MEMBERSHIP_CONSUMER;
    start(0);
    until_shared(1);
    produce("t", 0, 5);
    assert_true(node_box_until(&box, 60000, taken, &wanted));
    node_box_run_ms(&box, 1000);
    machines[0].stop = true;
    assert_true(node_box_until(&box, 60000, all_down, NULL));
    machines[0].silent = true; /* what it is given waits for its poll */
    machines[0].taken = 0;
    start(0);
    node_box_run_ms(&box, 3000);
    assert_int_equal(stale, 0);
    assert_int_equal(machines[0].part->consumer.partitions_count, 9);
    machines[0].part->member.generation--;
    machines[0].silent = false;
    node_box_run_ms(&box, 300);
    assert_true(stale > 0);
    assert_true(machines[0].part->member.state < MEMBERSHIP_FAILED);
    assert_int_equal(machines[0].taken, 0);
    until_shared(1);
    produce("t", 0, 3);
    wanted = 3;
    assert_true(node_box_until(&box, 60000, taken, &wanted));
    node_box_run_ms(&box, 2000);
    assert_int_equal(machines[0].taken, 3);
}

static void a_classic_member_joins_a_group_of_the_other_kind(void **state)
{
    (void)state;
    machines[0].config.protocol = MEMBERSHIP_CONSUMER;
    start(0);
    until_shared(1);
    start(1);
    until_shared(3);
    assert_int_equal(machines[1].part->member.state, MEMBERSHIP_STABLE);
    machines[0].stop = true;
    node_box_run_ms(&box, 3000);
    until_shared(2);
    machines[0].config.protocol = MEMBERSHIP_CLASSIC;
    start(0);
    until_shared(3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_single_member_gets_everything, up, down),
        cmocka_unit_test_setup_teardown(three_members_share_by_each_assignor, up, down),
        cmocka_unit_test_setup_teardown(members_get_the_partitions_of_their_racks,
                                        up_in_three_racks, down),
        cmocka_unit_test_setup_teardown(who_joins_takes_and_who_leaves_gives, up, down),
        cmocka_unit_test_setup_teardown(cooperative_members_keep_what_does_not_move, up, down),
        cmocka_unit_test_setup_teardown(
            a_dead_members_partitions_go_to_the_others_after_its_session, up, down),
        cmocka_unit_test_setup_teardown(offsets_are_kept_when_members_come_and_go, up, down),
        cmocka_unit_test_setup_teardown(a_member_that_stops_polling_loses_everything_and_comes_back,
                                        up, down),
        cmocka_unit_test_setup_teardown(
            a_static_member_comes_back_to_its_partitions_without_a_rebalance, up, down),
        cmocka_unit_test_setup_teardown(a_twin_with_the_same_instance_id_fences_the_first, up,
                                        down),
        cmocka_unit_test_setup_teardown(a_pattern_finds_topics_that_come_later, up, down),
        cmocka_unit_test_setup_teardown(the_coordinator_resolves_a_pattern_of_the_new_protocol, up,
                                        down),
        cmocka_unit_test_setup_teardown(a_restarted_coordinator_costs_no_generation, up, down),
        cmocka_unit_test_setup_teardown(a_group_changes_protocols_with_its_members_and_back, up,
                                        down),
        cmocka_unit_test_setup_teardown(offsets_asked_for_in_an_old_epoch_are_asked_for_again, up,
                                        down),
        cmocka_unit_test_setup_teardown(a_classic_member_joins_a_group_of_the_other_kind, up, down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Transcripts of the classic group's state machine (groups.md 4): joins, syncs, rebalances,
 * time-outs, leaving, static members, zombies. After every step the invariants hold (group_check).
 * */
#include "broker/group/group.h"
#include "tests/support/support.h"

#include <string.h>

enum { CALLS = 64, DELAY_MS = 3000, SESSION_MS = 10000, REBALANCE_MS = 30000 };

struct fixture {
    struct support_memory memory;
    struct group_config config;
    struct group group;
    struct group_effects effects;
    struct arena arena;
    struct instant now;
    struct group_call calls[CALLS];
    uint32_t used;
    uint64_t answered;
    uint64_t ticket; /* of the last record asked for */
    enum group_write write;
    uint64_t serial; /* of member ids */
};

static int setup(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof f);
    support_memory_init(&f.memory, 1 << 22);
    f.config = (struct group_config){.initial_delay_ms = DELAY_MS,
                                     .max_size = 5,
                                     .session_min_ms = 6000,
                                     .session_max_ms = 60000};
    f.now.wall.ms = 1000000;
    arena_init(&f.arena, &f.memory.mem, 1 << 20);
    group_init(&f.group, &f.memory.mem, &f.config, STR("g"), 7, f.now.wall.ms);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    group_effects_init(&f->effects);
    group_close(&f->group, ERR_NOT_COORDINATOR, f->now, &f->effects);
    group_deinit(&f->group);
    arena_deinit(&f->arena);
    support_memory_deinit(&f->memory);
    return 0;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void step_begin(struct fixture *f)
{
    group_effects_init(&f->effects);
}

static void step_end(struct fixture *f)
{
    struct list *link;

    while ((link = list_pop(&f->effects.answered)) != NULL) {
        assert_true(LIST_ENTRY(link, struct group_call, link)->done);
        f->answered++;
    }
    f->write = f->effects.write;
    if (f->write != GROUP_WRITE_NONE) f->ticket = f->effects.ticket;
    group_check(&f->group);
}

static struct group_call *call(struct fixture *f)
{
    struct group_call *fresh = &f->calls[f->used++];

    assert_true(f->used <= CALLS);
    group_call_init(fresh, &f->arena);
    return fresh;
}

static struct group_join asks(struct str member)
{
    static const struct group_protocol protocols[] = {
        {{"range", 5}, {(const uint8_t *)"meta", 4}},
        {{"sticky", 6}, {(const uint8_t *)"other", 5}},
    };

    return (struct group_join){.member_id = member,
                               .client_id = STR("client"),
                               .client_host = STR("/10.0.0.1"),
                               .protocol_type = STR("consumer"),
                               .protocols = protocols,
                               .protocols_count = 2,
                               .session_timeout_ms = SESSION_MS,
                               .rebalance_timeout_ms = REBALANCE_MS};
}

static struct group_call *join_as(struct fixture *f, struct group_join join)
{
    struct group_call *c = call(f);

    join.call = c;
    join.fresh.bytes[15] = (uint8_t)++f->serial;
    step_begin(f);
    group_join(&f->group, &join, f->now, &f->effects);
    step_end(f);
    return c;
}

static struct group_call *join(struct fixture *f, struct str member)
{
    return join_as(f, asks(member));
}

static struct group_call *join_static(struct fixture *f, struct str member, struct str instance,
                                      bool can_skip)
{
    struct group_join asked = asks(member);

    asked.instance_id = instance;
    asked.can_skip = can_skip;
    return join_as(f, asked);
}

static void pass(struct fixture *f, int64_t ms)
{
    f->now.mono.ns += ms * NS_PER_MS;
    f->now.wall.ms += ms;
    step_begin(f);
    group_tick(&f->group, f->now, &f->effects);
    step_end(f);
}

static struct group_call *sync_with(struct fixture *f, struct str member, int32_t generation,
                                    const struct group_assignment *assignments, uint32_t count)
{
    struct group_sync sync = {.member_id = member,
                              .generation = generation,
                              .assignments = assignments,
                              .assignments_count = count,
                              .call = call(f)};

    step_begin(f);
    group_sync(&f->group, &sync, f->now, &f->effects);
    step_end(f);
    return sync.call;
}

static void written(struct fixture *f, uint64_t ticket, enum err err)
{
    step_begin(f);
    group_written(&f->group, ticket, err, f->now, &f->effects);
    step_end(f);
}

static enum err beat(struct fixture *f, struct str member, int32_t generation)
{
    struct group_who who = {.member_id = member, .generation = generation};

    return group_heartbeat(&f->group, &who, f->now);
}

static enum err commits(struct fixture *f, struct str member, int32_t generation)
{
    struct group_who who = {.member_id = member, .generation = generation};

    return group_commit(&f->group, &who, f->now);
}

static enum err leave(struct fixture *f, struct str member, struct str instance)
{
    struct group_who who = {.member_id = member, .instance_id = instance};
    enum err err;

    step_begin(f);
    err = group_leave(&f->group, &who, &f->effects);
    group_left(&f->group, f->now, &f->effects);
    step_end(f);
    return err;
}

static void assert_bytes(struct bytes bytes, const char *text)
{
    assert_int_equal(bytes.length, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.length);
}

static void assert_str(struct str str, const char *text)
{
    assert_true(str_equal(str, str_of(text)));
}

static struct group_assignment gives(struct str member, const char *text)
{
    return (struct group_assignment){member, {(const uint8_t *)text, (uint32_t)strlen(text)}};
}

/* A stable group of `count` members, generation 1; their ids. The first one leads. */
static void stable(struct fixture *f, struct str *ids, uint32_t count)
{
    struct group_call *joins[8];
    struct group_call *syncs[8];

    for (uint32_t i = 0; i < count; i++)
        joins[i] = join(f, STR(""));
    /* The delay begins again for everyone who came in the meantime. */
    for (uint32_t i = 0; i < 12 && !joins[0]->done; i++)
        pass(f, DELAY_MS);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(joins[i]->done);
        assert_int_equal(joins[i]->err, ERR_NONE);
        ids[i] = joins[i]->member_id;
    }
    for (uint32_t i = count; i > 0; i--)
        syncs[i - 1] = sync_with(f, ids[i - 1], 1, NULL, 0);
    assert_int_equal(f->write, GROUP_WRITE_SYNC);
    written(f, f->ticket, ERR_NONE);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(syncs[i]->err, ERR_NONE);
    assert_int_equal(f->group.state, GROUP_STABLE);
}

/* ---- joining --------------------------------------------------------------------------------- */

static void the_moves_are_those_of_the_picture(void **state)
{
    static const struct {
        enum group_state from, to;
    } legal[] = {{GROUP_EMPTY, GROUP_PREPARING},      {GROUP_EMPTY, GROUP_DEAD},
                 {GROUP_PREPARING, GROUP_COMPLETING}, {GROUP_PREPARING, GROUP_EMPTY},
                 {GROUP_PREPARING, GROUP_DEAD},       {GROUP_COMPLETING, GROUP_STABLE},
                 {GROUP_COMPLETING, GROUP_PREPARING}, {GROUP_COMPLETING, GROUP_DEAD},
                 {GROUP_STABLE, GROUP_PREPARING},     {GROUP_STABLE, GROUP_DEAD}};

    (void)state;
    for (int from = 0; from < GROUP_STATES; from++) {
        for (int to = 0; to < GROUP_STATES; to++) {
            bool expected = false;

            for (uint32_t i = 0; i < COUNT_OF(legal); i++)
                expected = expected || ((int)legal[i].from == from && (int)legal[i].to == to);
            assert_int_equal(group_state_may((enum group_state)from, (enum group_state)to),
                             expected);
        }
    }
}

static void a_first_member_waits_for_others_and_then_leads(void **state)
{
    struct fixture *f = *state;
    struct group_call *first = join(f, STR(""));
    struct group_call *second;

    assert_int_equal(f->group.state, GROUP_PREPARING);
    pass(f, DELAY_MS - 1);
    assert_false(first->done);
    second = join(f, STR(""));
    pass(f, 1); /* somebody came: the delay begins again */
    assert_false(first->done);
    pass(f, DELAY_MS - 1);
    assert_false(second->done);
    pass(f, 1);
    assert_true(first->done && second->done);
    assert_int_equal(f->group.state, GROUP_COMPLETING);
    assert_int_equal(first->generation, 1);
    assert_int_equal(second->generation, 1);
    assert_true(str_equal(first->leader, first->member_id));
    assert_true(str_equal(second->leader, first->member_id));
    assert_false(str_equal(first->member_id, second->member_id));
    assert_str(first->protocol_name, "range");
    assert_str(first->protocol_type, "consumer");
    assert_int_equal(first->members_count, 2);
    assert_bytes(first->members[1].metadata, "meta");
    assert_int_equal(second->members_count, 0);
    assert_str(first->member_id, "client-00000000-0000-0000-0000-000000000001");
}

static void the_initial_delay_ends_with_the_rebalance_timeout(void **state)
{
    struct fixture *f = *state;
    struct group_call *first = join(f, STR(""));
    int64_t waited = 0;

    f->config.max_size = 100;
    while (!first->done && waited < 10 * REBALANCE_MS) {
        (void)join(f, STR(""));
        pass(f, DELAY_MS);
        waited += DELAY_MS;
    }
    assert_int_equal(waited, REBALANCE_MS);
}

static void a_new_member_is_given_an_id_and_asked_to_come_back(void **state)
{
    struct fixture *f = *state;
    struct group_join asked = asks(STR(""));
    struct group_call *told;
    struct group_call *back;

    asked.id_required = true;
    told = join_as(f, asked);
    assert_int_equal(told->err, ERR_MEMBER_ID_REQUIRED);
    assert_true(told->member_id.length > 0);
    assert_int_equal(f->group.state, GROUP_EMPTY);
    assert_int_equal(f->group.pending_count, 1);
    asked.member_id = told->member_id;
    back = join_as(f, asked);
    assert_int_equal(f->group.pending_count, 0);
    pass(f, DELAY_MS);
    assert_int_equal(back->err, ERR_NONE);
    assert_true(str_equal(back->member_id, told->member_id));
}

static void a_pending_member_that_never_comes_back_holds_nobody_for_ever(void **state)
{
    struct fixture *f = *state;
    struct str ids[1];
    struct group_join asked = asks(STR(""));
    struct group_call *rejoin;

    stable(f, ids, 1);
    asked.id_required = true;
    assert_int_equal(join_as(f, asked)->err, ERR_MEMBER_ID_REQUIRED);
    assert_int_equal(f->group.state, GROUP_STABLE);
    rejoin = join(f, ids[0]); /* the leader asks for a rebalance */
    assert_int_equal(f->group.state, GROUP_PREPARING);
    assert_false(rejoin->done);
    pass(f, SESSION_MS);
    assert_true(rejoin->done);
    assert_int_equal(rejoin->generation, 2);
    assert_int_equal(f->group.pending_count, 0);
}

static void protocols_must_have_one_in_common(void **state)
{
    struct fixture *f = *state;
    static const struct group_protocol odd[] = {{{"odd", 3}, {(const uint8_t *)"", 0}}};
    struct group_join asked = asks(STR(""));

    asked.protocols_count = 0;
    assert_int_equal(join_as(f, asked)->err, ERR_INCONSISTENT_GROUP_PROTOCOL);
    asked = asks(STR(""));
    asked.protocol_type = STR("");
    assert_int_equal(join_as(f, asked)->err, ERR_INCONSISTENT_GROUP_PROTOCOL);
    (void)join(f, STR(""));
    asked = asks(STR(""));
    asked.protocols = odd;
    asked.protocols_count = 1;
    assert_int_equal(join_as(f, asked)->err, ERR_INCONSISTENT_GROUP_PROTOCOL);
    asked = asks(STR(""));
    asked.protocol_type = STR("connect");
    assert_int_equal(join_as(f, asked)->err, ERR_INCONSISTENT_GROUP_PROTOCOL);
}

static void the_protocol_with_most_votes_wins(void **state)
{
    struct fixture *f = *state;
    static const struct group_protocol turned[] = {
        {{"sticky", 6}, {(const uint8_t *)"s", 1}},
        {{"range", 5}, {(const uint8_t *)"r", 1}},
    };
    struct group_join asked = asks(STR(""));
    struct group_call *first = join(f, STR(""));

    asked.protocols = turned;
    (void)join_as(f, asked);
    (void)join_as(f, asked);
    pass(f, DELAY_MS);
    pass(f, DELAY_MS);
    assert_str(first->protocol_name, "sticky");
    assert_bytes(first->members[0].metadata, "other");
    assert_bytes(first->members[2].metadata, "s");
}

static void a_full_group_takes_nobody_in(void **state)
{
    struct fixture *f = *state;
    struct str ids[5];
    struct group_call *refused;

    stable(f, ids, 5);
    refused = join(f, STR(""));
    assert_int_equal(refused->err, ERR_GROUP_MAX_SIZE_REACHED);
    assert_int_equal(refused->member_id.length, 0);
    assert_int_equal(f->group.members.count, 5);
    assert_int_equal(f->group.state, GROUP_STABLE);
}

static void sessions_have_bounds(void **state)
{
    struct fixture *f = *state;
    struct group_join asked = asks(STR(""));

    asked.session_timeout_ms = 5999;
    assert_int_equal(join_as(f, asked)->err, ERR_INVALID_SESSION_TIMEOUT);
    asked.session_timeout_ms = 60001;
    assert_int_equal(join_as(f, asked)->err, ERR_INVALID_SESSION_TIMEOUT);
    assert_int_equal(f->group.state, GROUP_EMPTY);
    assert_true(group_blank(&f->group));
}

static void unknown_members_are_told_so(void **state)
{
    struct fixture *f = *state;
    struct str ids[1];

    assert_int_equal(join(f, STR("who"))->err, ERR_UNKNOWN_MEMBER_ID);
    stable(f, ids, 1);
    assert_int_equal(join(f, STR("who"))->err, ERR_UNKNOWN_MEMBER_ID);
    assert_int_equal(sync_with(f, STR("who"), 1, NULL, 0)->err, ERR_UNKNOWN_MEMBER_ID);
    assert_int_equal(beat(f, STR("who"), 1), ERR_UNKNOWN_MEMBER_ID);
    assert_int_equal(commits(f, STR("who"), 1), ERR_UNKNOWN_MEMBER_ID);
    assert_int_equal(leave(f, STR("who"), STR_NULL), ERR_UNKNOWN_MEMBER_ID);
    assert_int_equal(f->group.state, GROUP_STABLE);
}

/* ---- assignment ------------------------------------------------------------------------------ */

static void assignments_go_out_once_they_are_in_the_log(void **state)
{
    struct fixture *f = *state;
    struct group_call *first = join(f, STR(""));
    struct group_call *second = join(f, STR(""));
    struct group_call *follower;
    struct group_call *leader;
    struct group_assignment plan[2];

    pass(f, DELAY_MS);
    pass(f, DELAY_MS);
    follower = sync_with(f, second->member_id, 1, NULL, 0);
    assert_false(follower->done);
    assert_int_equal(f->write, GROUP_WRITE_NONE);
    plan[0] = gives(first->member_id, "zero");
    plan[1] = gives(second->member_id, "one");
    leader = sync_with(f, first->member_id, 1, plan, 2);
    assert_int_equal(f->write, GROUP_WRITE_SYNC);
    assert_false(leader->done || follower->done);
    assert_int_equal(f->group.state, GROUP_COMPLETING);
    written(f, f->ticket, ERR_NONE);
    assert_int_equal(f->group.state, GROUP_STABLE);
    assert_bytes(leader->assignment, "zero");
    assert_bytes(follower->assignment, "one");
    /* Asked again: the same bytes (G5). */
    assert_bytes(sync_with(f, second->member_id, 1, NULL, 0)->assignment, "one");
}

static void two_syncs_of_the_leader_make_one_record(void **state)
{
    struct fixture *f = *state;
    struct group_call *only = join(f, STR(""));
    struct group_call *first;
    struct group_call *again;
    struct group_assignment plan[1];
    uint64_t ticket;

    pass(f, DELAY_MS);
    plan[0] = gives(only->member_id, "first");
    first = sync_with(f, only->member_id, 1, plan, 1);
    ticket = f->ticket;
    plan[0] = gives(only->member_id, "second");
    again = sync_with(f, only->member_id, 1, plan, 1);
    assert_int_equal(f->write, GROUP_WRITE_NONE);
    assert_int_equal(first->err, ERR_REBALANCE_IN_PROGRESS);
    assert_false(again->done);
    written(f, ticket, ERR_NONE);
    assert_bytes(again->assignment, "first"); /* what the log has */
}

static void an_assignment_that_cannot_be_stored_starts_over(void **state)
{
    struct fixture *f = *state;
    struct group_call *only = join(f, STR(""));
    struct group_assignment plan[1];
    struct group_call *sync;
    struct group_call *back;

    pass(f, DELAY_MS);
    plan[0] = gives(only->member_id, "zero");
    sync = sync_with(f, only->member_id, 1, plan, 1);
    written(f, f->ticket, ERR_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(sync->err, ERR_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(f->group.state, GROUP_PREPARING);
    back = join(f, only->member_id);
    assert_int_equal(back->generation, 2);
}

static void a_record_of_a_passed_generation_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct group_call *only = join(f, STR(""));
    struct group_assignment plan[1];
    struct group_call *sync;
    uint64_t ticket;

    pass(f, DELAY_MS);
    plan[0] = gives(only->member_id, "zero");
    sync = sync_with(f, only->member_id, 1, plan, 1);
    ticket = f->ticket;
    (void)join(f, STR("")); /* a rebalance */
    assert_int_equal(sync->err, ERR_REBALANCE_IN_PROGRESS);
    written(f, ticket, ERR_NONE);
    assert_int_equal(f->group.state, GROUP_PREPARING);
}

static void who_does_not_sync_is_removed(void **state)
{
    struct fixture *f = *state;
    struct group_call *first = join(f, STR(""));
    struct group_call *second = join(f, STR(""));

    pass(f, DELAY_MS);
    pass(f, DELAY_MS);
    (void)sync_with(f, first->member_id, 1, NULL, 0);
    written(f, f->ticket, ERR_NONE);
    assert_int_equal(f->group.state, GROUP_STABLE);
    for (int64_t ms = 0; ms < REBALANCE_MS; ms += 5000) {
        assert_non_null(group_find(&f->group, second->member_id));
        (void)beat(f, first->member_id, 1);
        (void)beat(f, second->member_id, 1); /* alive, but without its assignment */
        pass(f, 5000);
    }
    assert_null(group_find(&f->group, second->member_id));
    assert_int_equal(f->group.state, GROUP_PREPARING);
}

static void a_sync_of_another_generation_is_refused(void **state)
{
    struct fixture *f = *state;
    struct str ids[1];
    struct group_sync sync;

    stable(f, ids, 1);
    assert_int_equal(sync_with(f, ids[0], 0, NULL, 0)->err, ERR_ILLEGAL_GENERATION);
    assert_int_equal(sync_with(f, ids[0], 2, NULL, 0)->err, ERR_ILLEGAL_GENERATION);
    sync = (struct group_sync){.member_id = ids[0],
                               .generation = 1,
                               .protocol_type = STR("connect"),
                               .protocol_name = STR("range"),
                               .call = call(f)};
    step_begin(f);
    group_sync(&f->group, &sync, f->now, &f->effects);
    step_end(f);
    assert_int_equal(sync.call->err, ERR_INCONSISTENT_GROUP_PROTOCOL);
}

/* ---- rebalance ------------------------------------------------------------------------------- */

static void a_newcomer_makes_everybody_join_again(void **state)
{
    struct fixture *f = *state;
    struct str ids[2];
    struct group_call *fresh;
    struct group_call *again[2];

    stable(f, ids, 2);
    fresh = join(f, STR(""));
    assert_int_equal(f->group.state, GROUP_PREPARING);
    assert_int_equal(beat(f, ids[0], 1), ERR_REBALANCE_IN_PROGRESS);
    assert_int_equal(commits(f, ids[1], 1), ERR_NONE); /* what it has read so far */
    again[0] = join(f, ids[0]);
    assert_false(fresh->done);
    again[1] = join(f, ids[1]);
    assert_true(fresh->done && again[0]->done && again[1]->done);
    assert_int_equal(fresh->generation, 2);
    assert_true(str_equal(fresh->leader, ids[0])); /* it stays the leader */
    assert_int_equal(again[0]->members_count, 3);
    assert_int_equal(commits(f, ids[1], 2), ERR_REBALANCE_IN_PROGRESS);
    assert_int_equal(commits(f, ids[1], 1), ERR_ILLEGAL_GENERATION); /* a zombie */
    assert_int_equal(beat(f, ids[1], 1), ERR_ILLEGAL_GENERATION);
}

static void who_does_not_join_again_is_left_behind(void **state)
{
    struct fixture *f = *state;
    struct str ids[2];
    struct group_call *fresh;
    struct group_call *again;

    stable(f, ids, 2);
    fresh = join(f, STR(""));
    again = join(f, ids[1]);
    for (int64_t ms = 0; ms < REBALANCE_MS; ms += 5000) {
        assert_false(again->done);
        assert_int_equal(beat(f, ids[0], 1), ERR_REBALANCE_IN_PROGRESS);
        pass(f, 5000);
    }
    assert_true(again->done && fresh->done);
    assert_int_equal(again->generation, 2);
    assert_null(group_find(&f->group, ids[0]));
    assert_true(str_equal(again->leader, ids[1])); /* the leader was the one who stayed away */
    assert_int_equal(beat(f, ids[0], 1), ERR_UNKNOWN_MEMBER_ID);
}

static void a_follower_that_joins_again_unchanged_disturbs_nobody(void **state)
{
    struct fixture *f = *state;
    struct str ids[2];

    stable(f, ids, 2);
    assert_int_equal(join(f, ids[1])->generation, 1);
    assert_int_equal(f->group.state, GROUP_STABLE);
    (void)join(f, ids[0]); /* the leader's wish is a rebalance */
    assert_int_equal(f->group.state, GROUP_PREPARING);
}

static void silence_ends_a_membership(void **state)
{
    struct fixture *f = *state;
    struct str ids[2];

    stable(f, ids, 2);
    pass(f, SESSION_MS - 1);
    assert_int_equal(beat(f, ids[0], 1), ERR_NONE);
    assert_int_equal(f->group.members.count, 2);
    pass(f, 1);
    assert_null(group_find(&f->group, ids[1]));
    assert_non_null(group_find(&f->group, ids[0]));
    assert_int_equal(f->group.state, GROUP_PREPARING);
}

static void a_commit_is_a_sign_of_life(void **state)
{
    struct fixture *f = *state;
    struct str ids[1];

    stable(f, ids, 1);
    pass(f, SESSION_MS - 1);
    assert_int_equal(commits(f, ids[0], 1), ERR_NONE);
    pass(f, SESSION_MS - 1);
    assert_non_null(group_find(&f->group, ids[0]));
}

static void the_last_member_leaves_an_empty_group(void **state)
{
    struct fixture *f = *state;
    struct str ids[2];

    stable(f, ids, 2);
    assert_int_equal(leave(f, ids[0], STR_NULL), ERR_NONE);
    assert_int_equal(f->group.state, GROUP_PREPARING);
    assert_true(str_equal(f->group.leader->id, ids[1]));
    assert_int_equal(leave(f, ids[1], STR_NULL), ERR_NONE);
    assert_int_equal(f->group.state, GROUP_EMPTY);
    assert_int_equal(f->write, GROUP_WRITE_EMPTY);
    assert_int_equal(f->group.generation, 2);
    assert_int_equal(commits(f, STR(""), -1), ERR_NONE); /* a tool, or assign() */
    assert_false(group_blank(&f->group));
}

static void nobody_commits_from_outside_into_a_group_that_is_alive(void **state)
{
    struct fixture *f = *state;
    struct str ids[1];

    stable(f, ids, 1);
    assert_int_equal(commits(f, STR(""), -1), ERR_UNKNOWN_MEMBER_ID);
    assert_int_equal(commits(f, ids[0], 0), ERR_ILLEGAL_GENERATION);
}

static void the_end_of_a_coordinator_is_told_to_all_who_wait(void **state)
{
    struct fixture *f = *state;
    struct group_call *first = join(f, STR(""));
    struct group_call *second = join(f, STR(""));

    step_begin(f);
    group_close(&f->group, ERR_NOT_COORDINATOR, f->now, &f->effects);
    step_end(f);
    assert_int_equal(first->err, ERR_NOT_COORDINATOR);
    assert_int_equal(second->err, ERR_NOT_COORDINATOR);
    assert_int_equal(f->group.state, GROUP_DEAD);
    assert_int_equal(join(f, STR(""))->err, ERR_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(beat(f, first->member_id, 1), ERR_COORDINATOR_NOT_AVAILABLE);
}

/* ---- static members -------------------------------------------------------------------------- */

/* Two static members, generation 1, stable. */
static void stable_static(struct fixture *f, struct str *ids)
{
    struct group_call *first = join_static(f, STR(""), STR("one"), true);
    struct group_call *second = join_static(f, STR(""), STR("two"), true);
    struct group_assignment plan[2];

    pass(f, DELAY_MS);
    pass(f, DELAY_MS);
    ids[0] = first->member_id;
    ids[1] = second->member_id;
    plan[0] = gives(ids[0], "zero");
    plan[1] = gives(ids[1], "one");
    (void)sync_with(f, ids[1], 1, NULL, 0);
    (void)sync_with(f, ids[0], 1, plan, 2);
    written(f, f->ticket, ERR_NONE);
    assert_int_equal(f->group.state, GROUP_STABLE);
}

static void a_static_member_comes_back_without_a_rebalance(void **state)
{
    struct fixture *f = *state;
    struct str ids[2];
    struct group_call *back;

    stable_static(f, ids);
    assert_str((struct str){ids[1].data, 4}, "two-");
    back = join_static(f, STR(""), STR("two"), true);
    assert_int_equal(f->write, GROUP_WRITE_REPLACE);
    assert_false(back->done); /* not before the log knows its new id */
    written(f, f->ticket, ERR_NONE);
    assert_int_equal(back->err, ERR_NONE);
    assert_int_equal(back->generation, 1);
    assert_false(str_equal(back->member_id, ids[1]));
    assert_int_equal(f->group.state, GROUP_STABLE);
    assert_bytes(sync_with(f, back->member_id, 1, NULL, 0)->assignment, "one");
}

static void its_former_self_is_fenced(void **state)
{
    struct fixture *f = *state;
    struct str ids[2];
    struct group_who old = {.instance_id = STR("two"), .generation = 1};

    stable_static(f, ids);
    old.member_id = ids[1];
    assert_int_equal(group_heartbeat(&f->group, &old, f->now), ERR_NONE);
    (void)join_static(f, STR(""), STR("two"), true);
    written(f, f->ticket, ERR_NONE);
    assert_int_equal(group_heartbeat(&f->group, &old, f->now), ERR_FENCED_INSTANCE_ID);
    assert_int_equal(group_commit(&f->group, &old, f->now), ERR_FENCED_INSTANCE_ID);
    assert_int_equal(join_static(f, ids[1], STR("two"), true)->err, ERR_FENCED_INSTANCE_ID);
    assert_int_equal(join_static(f, ids[1], STR("six"), true)->err, ERR_UNKNOWN_MEMBER_ID);
}

static void a_leader_that_comes_back_must_not_assign(void **state)
{
    struct fixture *f = *state;
    struct str ids[2];
    struct group_call *back;

    stable_static(f, ids);
    back = join_static(f, STR(""), STR("one"), true);
    written(f, f->ticket, ERR_NONE);
    assert_true(back->skip_assignment);
    assert_int_equal(back->members_count, 2);
    assert_true(str_equal(back->leader, back->member_id));
    /* A client before KIP-814 is told that it follows its former self. */
    back = join_static(f, STR(""), STR("one"), false);
    written(f, f->ticket, ERR_NONE);
    assert_false(back->skip_assignment);
    assert_int_equal(back->members_count, 0);
    assert_false(str_equal(back->leader, back->member_id));
}

static void a_replacement_that_cannot_be_stored_is_an_error_without_an_id(void **state)
{
    struct fixture *f = *state;
    struct str ids[2];
    struct group_call *back;

    stable_static(f, ids);
    back = join_static(f, STR(""), STR("two"), true);
    written(f, f->ticket, ERR_NOT_COORDINATOR);
    assert_int_equal(back->err, ERR_NOT_COORDINATOR);
    assert_int_equal(back->member_id.length, 0);
    back = join_static(f, STR(""), STR("two"), true);
    written(f, f->ticket, ERR_NONE);
    assert_int_equal(back->err, ERR_NONE);
}

static void a_static_member_that_changed_its_protocols_rebalances(void **state)
{
    struct fixture *f = *state;
    static const struct group_protocol other[] = {{{"sticky", 6}, {(const uint8_t *)"s", 1}}};
    struct group_join asked = asks(STR(""));
    struct str ids[2];

    stable_static(f, ids);
    asked.instance_id = STR("two");
    asked.protocols = other;
    asked.protocols_count = 1;
    (void)join_as(f, asked);
    assert_int_equal(f->group.state, GROUP_PREPARING);
}

static void static_members_are_waited_for(void **state)
{
    struct fixture *f = *state;
    struct str ids[2];
    struct group_call *lead;

    stable_static(f, ids);
    lead = join(f, STR(""));
    for (int64_t ms = 0; ms < REBALANCE_MS; ms += 5000) {
        (void)beat(f, ids[0], 1);
        (void)beat(f, ids[1], 1);
        pass(f, 5000);
    }
    assert_true(lead->done);
    assert_int_equal(lead->members_count, 3); /* they stay, and are assigned to */
}

static void an_operator_removes_a_static_member(void **state)
{
    struct fixture *f = *state;
    struct str ids[2];

    stable_static(f, ids);
    assert_int_equal(leave(f, STR(""), STR("six")), ERR_UNKNOWN_MEMBER_ID);
    assert_int_equal(f->group.state, GROUP_STABLE);
    assert_int_equal(leave(f, ids[0], STR("two")), ERR_FENCED_INSTANCE_ID);
    assert_int_equal(leave(f, STR(""), STR("two")), ERR_NONE);
    assert_null(group_find(&f->group, ids[1]));
    assert_int_equal(f->group.state, GROUP_PREPARING);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void no_memory_is_an_answer_too(void **state)
{
    struct fixture *f = *state;

    for (uint64_t at = 1; at < 8; at++) {
        struct group_call *c;

        f->memory.mem.fail_at = at;
        c = join(f, STR(""));
        if (c->done) {
            assert_int_equal(c->err, ERR_COORDINATOR_NOT_AVAILABLE);
        }
        f->memory.mem.fail_at = 0;
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_moves_are_those_of_the_picture),
        T(a_first_member_waits_for_others_and_then_leads),
        T(the_initial_delay_ends_with_the_rebalance_timeout),
        T(a_new_member_is_given_an_id_and_asked_to_come_back),
        T(a_pending_member_that_never_comes_back_holds_nobody_for_ever),
        T(protocols_must_have_one_in_common),
        T(the_protocol_with_most_votes_wins),
        T(a_full_group_takes_nobody_in),
        T(sessions_have_bounds),
        T(unknown_members_are_told_so),
        T(assignments_go_out_once_they_are_in_the_log),
        T(two_syncs_of_the_leader_make_one_record),
        T(an_assignment_that_cannot_be_stored_starts_over),
        T(a_record_of_a_passed_generation_changes_nothing),
        T(who_does_not_sync_is_removed),
        T(a_sync_of_another_generation_is_refused),
        T(a_newcomer_makes_everybody_join_again),
        T(who_does_not_join_again_is_left_behind),
        T(a_follower_that_joins_again_unchanged_disturbs_nobody),
        T(silence_ends_a_membership),
        T(a_commit_is_a_sign_of_life),
        T(the_last_member_leaves_an_empty_group),
        T(nobody_commits_from_outside_into_a_group_that_is_alive),
        T(the_end_of_a_coordinator_is_told_to_all_who_wait),
        T(a_static_member_comes_back_without_a_rebalance),
        T(its_former_self_is_fenced),
        T(a_leader_that_comes_back_must_not_assign),
        T(a_replacement_that_cannot_be_stored_is_an_error_without_an_id),
        T(a_static_member_that_changed_its_protocols_rebalances),
        T(static_members_are_waited_for),
        T(an_operator_removes_a_static_member),
        T(no_memory_is_an_answer_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

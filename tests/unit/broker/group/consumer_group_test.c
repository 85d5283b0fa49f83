/* A consumer group of KIP-848 (groups.md 8): joining, giving up before anybody gains, fencing,
 * static members, time; that no partition is held twice and everybody ends up with a fair share,
 * whatever members do in between; that what the log says is what memory says (G17). */
#include "broker/group/consumer_group.h"

#include "client/base/rng.h"
#include "client/wire/record_batch.h"
#include "tests/support/image_build.h"
#include "tests/support/support.h"

#include <string.h>

enum { SESSION_MS = 45000, REBALANCE_MS = 10000, PARTITIONS = 6, LOG_MAX = 1 << 20 };

struct fixture {
    struct support_memory memory;
    struct arena arena;
    struct image image;
    struct consumer_group group;
    struct consumer_group_config config;
    struct instant now;
    struct uuid topic;
    uint8_t log[LOG_MAX]; /* all batches, ever */
    uint32_t log_used;
};

static const int32_t one_replica[] = {1, -1};

static struct uuid make_topic(struct fixture *f, const char *name, uint8_t number, uint32_t parts)
{
    struct uuid id = image_build_topic(&f->image, name, number);

    for (uint32_t i = 0; i < parts; i++)
        image_build_partition(&f->image, id, one_replica, one_replica, 1);
    return id;
}

static int setup(void **state)
{
    static struct fixture f;
    const struct image_limits limits = {10, 100, 2000};

    memset(&f, 0, sizeof f);
    support_memory_init(&f.memory, 1 << 25);
    arena_init(&f.arena, &f.memory.mem, 1 << 23);
    image_init(&f.image, &f.memory.mem, &limits, 1, true);
    image_build_broker(&f.image, 1, false, NULL);
    f.config =
        (struct consumer_group_config){.session_timeout_ms = SESSION_MS,
                                       .heartbeat_interval_ms = 5000,
                                       .max_size = 10,
                                       .enabled = true,
                                       .assignors = {CONSUMER_GROUP_UNIFORM, CONSUMER_GROUP_RANGE},
                                       .assignors_count = 2};
    consumer_group_init(&f.group, &f.memory.mem, STR("g"), 3);
    f.topic = make_topic(&f, "t", 1, PARTITIONS);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    consumer_group_deinit(&f->group);
    image_deinit(&f->image);
    arena_deinit(&f->arena);
    support_memory_deinit(&f->memory);
    return 0;
}

/* ---- a step, through the log ----------------------------------------------------------------- */

static void replay(struct fixture *f, struct consumer_group *group, struct bytes bytes, bool live)
{
    struct record_batch_iter batches;
    struct record_batch batch;

    record_batch_iter_init(&batches, bytes);
    while (record_batch_iter_next(&batches, &batch)) {
        struct record_iter iter;
        struct record record;

        record_iter_init(&iter, &batch, record_batch_payload(&batch));
        while (record_iter_next(&iter, &record) == ERR_NONE) {
            struct group_log_read read;
            bool over = false;

            assert_int_equal(group_log_read(&record, &f->arena, &read), ERR_NONE);
            assert_int_not_equal(read.kind, GROUP_LOG_UNKNOWN);
            assert_int_equal(consumer_group_replay(group, &read, &f->config, live, f->now, &over),
                             ERR_NONE);
        }
    }
    assert_int_equal(batches.rest.length, 0);
}

static void begin(struct fixture *f, struct consumer_group_step *step)
{
    *step = (struct consumer_group_step){.group = &f->group,
                                         .id = STR("g"),
                                         .config = &f->config,
                                         .image = &f->image,
                                         .arena = &f->arena,
                                         .now = f->now};
    assert_int_equal(consumer_group_step_begin(step), ERR_NONE);
}

/* How many records were written and replayed. */
static uint32_t commit(struct fixture *f, const struct consumer_group_step *step)
{
    struct group_log log;
    struct bytes batch;

    group_log_init(&log, &f->arena);
    consumer_group_step_write(step, &log);
    assert_int_equal(log.err, ERR_NONE);
    if (log.count == 0) return 0;
    assert_int_equal(group_log_batch(&log, (struct cpu){0}, 5, f->log + f->log_used,
                                     LOG_MAX - f->log_used, &batch),
                     ERR_NONE);
    f->log_used += batch.length;
    replay(f, &f->group, batch, true);
    consumer_group_check(&f->group);
    return log.count;
}

static struct consumer_group_beat beat_of(const char *id, int32_t epoch)
{
    return (struct consumer_group_beat){.member_id = str_of(id),
                                        .epoch = epoch,
                                        .client_id = STR("c"),
                                        .client_host = STR("/1.2.3.4"),
                                        .rebalance_timeout_ms = -1,
                                        .topics_null = true,
                                        .owned_null = true};
}

static struct consumer_group_answer said; /* the last answer; its sets lie in the arena */
static uint32_t written;

/* The answer goes out once its records are committed and replayed: the member may be gone by then,
 * and its sets replaced. */
static enum err send_beat(struct fixture *f, const struct consumer_group_beat *beat)
{
    struct consumer_group_step step;
    struct parts assigned;

    said = (struct consumer_group_answer){0};
    written = 0;
    if (!consumer_group_beat_ok(beat, &f->config, &f->arena, &said)) return said.err;
    begin(f, &step);
    consumer_group_beat(&step, beat, &said);
    if (said.err != ERR_NONE) return said.err;
    assert_int_equal(parts_join(&f->arena, said.assigned, PARTS_NONE, &assigned), ERR_NONE);
    written = commit(f, &step);
    if (beat->member_id.length > 0) assert_true(str_equal(said.member_id, beat->member_id));
    assert_true(parts_equal(said.assigned, assigned));
    return ERR_NONE;
}

static const struct str topic_t[] = {{"t", 1}};

static enum err join_as(struct fixture *f, const char *id, const char *instance)
{
    struct consumer_group_beat beat = beat_of(id, 0);

    beat.topics = topic_t;
    beat.topics_count = 1;
    beat.topics_null = false;
    beat.owned_null = false;
    beat.rebalance_timeout_ms = REBALANCE_MS;
    if (instance != NULL) beat.instance_id = str_of(instance);
    return send_beat(f, &beat);
}

static enum err join(struct fixture *f, const char *id)
{
    return join_as(f, id, NULL);
}

static enum err keep(struct fixture *f, const char *id, int32_t epoch)
{
    struct consumer_group_beat beat = beat_of(id, epoch);

    return send_beat(f, &beat);
}

static enum err report(struct fixture *f, const char *id, int32_t epoch, struct parts owned)
{
    struct consumer_group_beat beat = beat_of(id, epoch);

    beat.owned = owned;
    beat.owned_null = false;
    return send_beat(f, &beat);
}

static struct consumer_group_member *member(struct fixture *f, const char *id)
{
    return consumer_group_find(&f->group, str_of(id));
}

static struct parts copy_of(struct fixture *f, struct parts from)
{
    struct parts to;

    assert_int_equal(parts_join(&f->arena, from, PARTS_NONE, &to), ERR_NONE);
    return to;
}

/* ---- the way of partitions ------------------------------------------------------------------- */

static void the_first_member_gets_everything(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(join(f, "a"), ERR_NONE);
    assert_int_equal(said.epoch, 1);
    assert_true(said.has_assignment);
    assert_int_equal(said.assigned.count, PARTITIONS);
    assert_int_equal(f->group.epoch, 1);
    assert_int_equal(f->group.assignment_epoch, 1);
    assert_string_equal(consumer_group_state_name(&f->group), "Stable");
    assert_null(member(f, "a")->metadata.instance_id.data);
    assert_int_equal(f->group.instances.count, 0);
    assert_int_equal(keep(f, "a", 1), ERR_NONE);
    assert_int_equal(written, 0);
    assert_false(said.has_assignment);
}

static void a_partition_is_given_up_before_anybody_gains_it(void **state)
{
    struct fixture *f = *state;
    struct parts left;

    assert_int_equal(join(f, "a"), ERR_NONE);
    assert_int_equal(join(f, "b"), ERR_NONE);
    assert_int_equal(said.epoch, 2);
    assert_int_equal(said.assigned.count, 0);
    assert_int_equal(member(f, "b")->state, CONSUMER_GROUP_UNRELEASED);
    assert_int_equal(keep(f, "a", 1), ERR_NONE); /* told, and not asked what it has */
    assert_int_equal(said.epoch, 1);
    assert_int_equal(said.assigned.count, PARTITIONS / 2);
    assert_int_equal(member(f, "a")->state, CONSUMER_GROUP_UNREVOKED);
    left = copy_of(f, said.assigned);
    assert_int_equal(keep(f, "b", 2), ERR_NONE);
    assert_int_equal(member(f, "b")->assigned.count, 0);
    assert_int_equal(keep(f, "a", 1), ERR_NONE); /* a heartbeat proves nothing */
    assert_int_equal(member(f, "a")->state, CONSUMER_GROUP_UNREVOKED);
    assert_string_equal(consumer_group_state_name(&f->group), "Reconciling");
    assert_int_equal(report(f, "a", 1, left), ERR_NONE);
    assert_int_equal(said.epoch, 2);
    assert_int_equal(keep(f, "b", 2), ERR_NONE);
    assert_true(said.has_assignment);
    assert_int_equal(said.assigned.count, PARTITIONS / 2);
    assert_false(parts_overlap(said.assigned, left));
    assert_string_equal(consumer_group_state_name(&f->group), "Stable");
}

static void more_partitions_are_handed_out_with_the_next_heartbeat(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(join(f, "a"), ERR_NONE);
    image_build_partition(&f->image, f->topic, one_replica, one_replica, 1);
    assert_int_equal(keep(f, "a", 1), ERR_NONE);
    assert_int_equal(said.epoch, 2);
    assert_int_equal(said.assigned.count, PARTITIONS + 1);
    assert_int_equal(keep(f, "a", 2), ERR_NONE);
    assert_int_equal(written, 0);
}

static void a_pattern_takes_topics_that_come_later(void **state)
{
    struct fixture *f = *state;
    struct consumer_group_beat beat = beat_of("a", 0);

    beat.regex = STR("log-.*");
    beat.owned_null = false;
    beat.rebalance_timeout_ms = REBALANCE_MS;
    assert_int_equal(send_beat(f, &beat), ERR_NONE);
    assert_int_equal(said.assigned.count, 0);
    (void)make_topic(f, "log-1", 2, 2);
    (void)make_topic(f, "other", 3, 2);
    assert_int_equal(keep(f, "a", 1), ERR_NONE);
    assert_int_equal(said.assigned.count, 2);
    beat = beat_of("b", 0);
    beat.regex = STR("log-[");
    beat.owned_null = false;
    beat.rebalance_timeout_ms = REBALANCE_MS;
    assert_int_equal(send_beat(f, &beat), ERR_INVALID_REGULAR_EXPRESSION);
}

/* ---- who is who ------------------------------------------------------------------------------ */

static void epochs_fence(void **state)
{
    struct fixture *f = *state;
    struct parts all;

    assert_int_equal(keep(f, "a", 1), ERR_UNKNOWN_MEMBER_ID);
    assert_int_equal(join(f, "a"), ERR_NONE);
    all = copy_of(f, said.assigned);
    assert_int_equal(keep(f, "a", 2), ERR_FENCED_MEMBER_EPOCH);
    image_build_partition(&f->image, f->topic, one_replica, one_replica, 1);
    assert_int_equal(keep(f, "a", 1), ERR_NONE);
    image_build_partition(&f->image, f->topic, one_replica, one_replica, 1);
    assert_int_equal(keep(f, "a", 2), ERR_NONE);
    assert_int_equal(member(f, "a")->epoch, 3);
    assert_int_equal(report(f, "a", 1, all), ERR_FENCED_MEMBER_EPOCH);
    assert_int_equal(keep(f, "a", 2), ERR_FENCED_MEMBER_EPOCH); /* does not say what it has */
    assert_int_equal(report(f, "a", 2, all), ERR_NONE);         /* its answer was lost */
    assert_int_equal(said.epoch, 3);
    assert_int_equal(join(f, "a"), ERR_NONE); /* begins anew */
    assert_int_equal(said.epoch, 3);
    assert_int_equal(said.assigned.count, PARTITIONS + 2);
}

static void a_static_member_comes_back_to_what_it_had(void **state)
{
    struct fixture *f = *state;
    struct consumer_group_beat beat;
    struct parts had;

    assert_int_equal(join_as(f, "a", "i"), ERR_NONE);
    had = copy_of(f, said.assigned);
    assert_int_equal(join_as(f, "b", "i"), ERR_UNRELEASED_INSTANCE_ID);
    beat = beat_of("a", CONSUMER_GROUP_LEAVE_STATIC);
    beat.instance_id = STR("i");
    assert_int_equal(send_beat(f, &beat), ERR_NONE);
    assert_int_equal(said.epoch, CONSUMER_GROUP_LEAVE_STATIC);
    assert_int_equal(join(f, "c"), ERR_NONE); /* what the other left is still the other's */
    assert_int_equal(said.assigned.count, 0);
    assert_int_equal(join_as(f, "b", "i"), ERR_NONE);
    assert_int_equal(f->group.epoch, 2); /* c's coming, not b's */
    assert_int_equal(f->group.members.count, 2);
    assert_null(member(f, "a"));
    assert_true(parts_subset(said.assigned, had));
    assert_int_equal(member(f, "b")->assigned.count + member(f, "b")->revoking.count +
                         member(f, "c")->assigned.count,
                     PARTITIONS / 2); /* b came with empty hands: nothing to wait for */
    beat = beat_of("a", 2);
    beat.instance_id = STR("i");
    assert_int_equal(send_beat(f, &beat), ERR_FENCED_INSTANCE_ID);
    beat.instance_id = STR("j");
    assert_int_equal(send_beat(f, &beat), ERR_UNKNOWN_MEMBER_ID);
}

static void requests_that_are_none_are_refused(void **state)
{
    struct fixture *f = *state;
    struct consumer_group_beat whole = beat_of("a", 0);
    struct consumer_group_beat beat;

    whole.topics = topic_t;
    whole.topics_count = 1;
    whole.topics_null = false;
    whole.owned_null = false;
    whole.rebalance_timeout_ms = REBALANCE_MS;
    beat = whole;
    beat.rebalance_timeout_ms = -1;
    assert_int_equal(send_beat(f, &beat), ERR_INVALID_REQUEST);
    beat = whole;
    beat.topics_count = 0;
    assert_int_equal(send_beat(f, &beat), ERR_INVALID_REQUEST);
    beat = whole;
    beat.owned_null = true;
    assert_int_equal(send_beat(f, &beat), ERR_INVALID_REQUEST);
    beat = whole;
    beat.instance_id = STR("");
    assert_int_equal(send_beat(f, &beat), ERR_INVALID_REQUEST);
    beat = whole;
    beat.epoch = -3;
    assert_int_equal(send_beat(f, &beat), ERR_INVALID_REQUEST);
    beat.epoch = CONSUMER_GROUP_LEAVE_STATIC; /* without an instance id */
    assert_int_equal(send_beat(f, &beat), ERR_INVALID_REQUEST);
    beat = whole;
    beat.member_id = STR("");
    beat.own_id = true;
    assert_int_equal(send_beat(f, &beat), ERR_INVALID_REQUEST);
    beat.own_id = false; /* version 0: the broker makes one */
    beat.fresh = (struct uuid){{1, 2, 3}};
    assert_int_equal(send_beat(f, &beat), ERR_NONE);
    assert_int_equal(said.member_id.length, UUID_TEXT);
    beat = whole;
    beat.assignor = STR("sticky");
    assert_int_equal(send_beat(f, &beat), ERR_UNSUPPORTED_ASSIGNOR);
    f->config.max_size = 1;
    assert_int_equal(send_beat(f, &whole), ERR_GROUP_MAX_SIZE_REACHED);
}

static void commits_and_fetches_carry_the_epoch(void **state)
{
    struct fixture *f = *state;
    struct consumer_group_who who = {.member_id = STR("a"), .epoch = 1, .epochs_known = true};
    struct consumer_group_who admin = {.member_id = STR(""), .epoch = -1, .epochs_known = true};

    assert_int_equal(consumer_group_commit(&f->group, &admin), ERR_NONE);
    assert_int_equal(join(f, "a"), ERR_NONE);
    assert_int_equal(consumer_group_commit(&f->group, &admin), ERR_UNKNOWN_MEMBER_ID);
    assert_int_equal(consumer_group_commit(&f->group, &who), ERR_NONE);
    who.epochs_known = false;
    assert_int_equal(consumer_group_commit(&f->group, &who), ERR_UNSUPPORTED_VERSION);
    who.epochs_known = true;
    who.epoch = 0;
    assert_int_equal(consumer_group_commit(&f->group, &who), ERR_STALE_MEMBER_EPOCH);
    who.epoch = 2;
    assert_int_equal(consumer_group_commit(&f->group, &who), ERR_STALE_MEMBER_EPOCH);
    assert_int_equal(consumer_group_fetch(&f->group, STR_NULL, -1), ERR_NONE);
    assert_int_equal(consumer_group_fetch(&f->group, STR("a"), 1), ERR_NONE);
    assert_int_equal(consumer_group_fetch(&f->group, STR("a"), 2), ERR_STALE_MEMBER_EPOCH);
    assert_int_equal(consumer_group_fetch(&f->group, STR("x"), 1), ERR_UNKNOWN_MEMBER_ID);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void pass(struct fixture *f, int64_t ms)
{
    struct consumer_group_step step;

    f->now.mono = mono_add_ms(f->now.mono, ms);
    if (consumer_group_next_deadline(&f->group) > f->now.mono.ns) return;
    begin(f, &step);
    assert_int_equal(consumer_group_expire(&step), ERR_NONE);
    (void)commit(f, &step);
}

static void who_is_silent_for_a_session_is_removed(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(join(f, "a"), ERR_NONE);
    assert_int_equal(join(f, "b"), ERR_NONE);
    pass(f, SESSION_MS - 1);
    assert_int_equal(keep(f, "b", 2), ERR_NONE);
    pass(f, 1);
    assert_null(member(f, "a"));
    assert_int_equal(f->group.epoch, 3);
    assert_int_equal(keep(f, "a", 1), ERR_UNKNOWN_MEMBER_ID);
    assert_int_equal(keep(f, "b", 2), ERR_NONE);
    assert_int_equal(said.assigned.count, PARTITIONS);
    pass(f, SESSION_MS);
    assert_string_equal(consumer_group_state_name(&f->group), "Empty");
}

static void who_does_not_give_up_in_time_is_removed(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(join(f, "a"), ERR_NONE);
    assert_int_equal(join(f, "b"), ERR_NONE);
    assert_int_equal(keep(f, "a", 1), ERR_NONE);
    pass(f, REBALANCE_MS - 1);
    assert_int_equal(keep(f, "a", 1), ERR_NONE); /* it lives, and that is not enough */
    assert_non_null(member(f, "a"));
    pass(f, 1);
    assert_null(member(f, "a"));
    assert_int_equal(keep(f, "b", 2), ERR_NONE);
    assert_int_equal(said.assigned.count, PARTITIONS);
}

/* ---- whatever members do --------------------------------------------------------------------- */

enum { CROWD = 5, STEPS_OF_CROWD = 400 };

struct client {
    char id[2];
    bool in;
    int32_t epoch;
    struct parts_item owned[2 * PARTITIONS];
    uint32_t owned_count;
};

static void client_beat(struct fixture *f, struct client *c, bool says)
{
    struct parts owned = {c->owned, c->owned_count};
    enum err err = !c->in ? join(f, c->id)
                   : says ? report(f, c->id, c->epoch, owned)
                          : keep(f, c->id, c->epoch);

    if (err != ERR_NONE) {
        c->in = false;
        c->owned_count = 0;
        return;
    }
    c->in = true;
    c->epoch = said.epoch;
    if (!said.has_assignment) return;
    assert_true(said.assigned.count <= 2 * PARTITIONS);
    memcpy(c->owned, said.assigned.items, said.assigned.count * sizeof *c->owned);
    c->owned_count = said.assigned.count;
}

static void assert_exclusive(struct fixture *f)
{
    MAP_FOR_EACH (a, &f->group.members) {
        const struct consumer_group_member *one = MAP_ENTRY(a, struct consumer_group_member, node);

        MAP_FOR_EACH (b, &f->group.members) {
            const struct consumer_group_member *other =
                MAP_ENTRY(b, struct consumer_group_member, node);

            if (one == other) continue;
            assert_false(parts_overlap(one->assigned, other->assigned));
            assert_false(parts_overlap(one->assigned, other->revoking));
        }
    }
}

/* Memory and what the whole log makes of nothing are the same. */
static void assert_replays(struct fixture *f)
{
    struct consumer_group again;

    consumer_group_init(&again, &f->memory.mem, STR("g"), 3);
    replay(f, &again, (struct bytes){f->log, f->log_used}, false);
    assert_int_equal(again.epoch, f->group.epoch);
    assert_int_equal(again.assignment_epoch, f->group.assignment_epoch);
    assert_int_equal(again.members.count, f->group.members.count);
    assert_int_equal(again.topics_count, f->group.topics_count);
    MAP_FOR_EACH (node, &f->group.members) {
        const struct consumer_group_member *one =
            MAP_ENTRY(node, struct consumer_group_member, node);
        const struct consumer_group_member *other = consumer_group_find(&again, one->id);

        assert_non_null(other);
        assert_int_equal(one->epoch, other->epoch);
        assert_int_equal(one->previous_epoch, other->previous_epoch);
        assert_int_equal(one->state, other->state);
        assert_true(parts_equal(one->assigned, other->assigned));
        assert_true(parts_equal(one->revoking, other->revoking));
        assert_true(parts_equal(one->target, other->target));
    }
    consumer_group_deinit(&again);
}

static void no_partition_is_held_twice_and_all_come_to_rest(void **state)
{
    struct fixture *f = *state;
    struct client crowd[CROWD] = {0};
    struct rng rng;

    rng_init(&rng, 12345);
    for (uint32_t i = 0; i < CROWD; i++)
        crowd[i].id[0] = (char)('a' + i);
    for (uint32_t step = 0; step < STEPS_OF_CROWD; step++) {
        uint32_t who = (uint32_t)rng_below(&rng, CROWD);
        struct client *c = &crowd[who];
        uint32_t what = (uint32_t)rng_below(&rng, 12);

        if (what == 0 && c->in) {
            assert_int_equal(keep(f, c->id, CONSUMER_GROUP_LEAVE), ERR_NONE);
            c->in = false;
            c->owned_count = 0;
        } else if (what == 1) { /* crashed, and begins anew with its id */
            c->in = false;
            c->owned_count = 0;
        } else {
            bool says = rng_chance(&rng, 500000);

            client_beat(f, c, says);
        }
        assert_exclusive(f);
        if (step % 40 == 0) assert_replays(f);
        arena_reset(&f->arena);
    }
    for (uint32_t round = 0; round < 6; round++)
        for (uint32_t i = 0; i < CROWD; i++)
            client_beat(f, &crowd[i], true);
    assert_string_equal(consumer_group_state_name(&f->group), "Stable");
    for (uint32_t i = 0; i < CROWD; i++)
        assert_in_range(crowd[i].owned_count, PARTITIONS / CROWD, PARTITIONS / CROWD + 1);
    assert_replays(f);
}

/* ---- many ------------------------------------------------------------------------------------ */

enum { MANY = 100, MANY_TOPICS = 10, MANY_PARTITIONS = 100 };

static struct str many_names[MANY_TOPICS];
static char many_texts[MANY_TOPICS][4];

static enum err join_many(struct fixture *f, const char *id, const char *assignor)
{
    struct consumer_group_beat beat = beat_of(id, 0);

    beat.topics = many_names;
    beat.topics_count = MANY_TOPICS;
    beat.topics_null = false;
    beat.owned_null = false;
    beat.rebalance_timeout_ms = REBALANCE_MS;
    beat.assignor = str_of(assignor);
    return send_beat(f, &beat);
}

/* A hundred members come one after the other, then half of them go. */
static void many_members_share_a_thousand_partitions(struct fixture *f, const char *assignor)
{
    static char ids[MANY][5];

    f->config.max_size = MANY;
    for (uint32_t t = 0; t < MANY_TOPICS; t++) {
        many_texts[t][0] = 'm';
        many_texts[t][1] = (char)('a' + t);
        many_names[t] = (struct str){many_texts[t], 2};
        (void)make_topic(f, many_texts[t], (uint8_t)(100 + t), MANY_PARTITIONS);
    }
    for (uint32_t i = 0; i < MANY; i++) {
        ids[i][0] = 'm';
        ids[i][1] = (char)('0' + i / 10);
        ids[i][2] = (char)('0' + i % 10);
        assert_int_equal(join_many(f, ids[i], assignor), ERR_NONE);
        arena_reset(&f->arena);
        f->log_used = 0;
    }
    for (uint32_t round = 0; round < 4; round++) {
        for (uint32_t i = 0; i < MANY; i++) {
            struct consumer_group_member *one = member(f, ids[i]);

            if (one == NULL) continue;
            if (round == 1 && i % 2 == 1) {
                assert_int_equal(keep(f, ids[i], CONSUMER_GROUP_LEAVE), ERR_NONE);
            } else {
                assert_int_equal(report(f, ids[i], one->epoch, copy_of(f, one->assigned)),
                                 ERR_NONE);
            }
            arena_reset(&f->arena);
            f->log_used = 0;
        }
        if (round != 0) continue;
        for (uint32_t i = 0; i < MANY; i++) { /* who came early gave up; who came late takes */
            struct consumer_group_member *one = member(f, ids[i]);

            assert_int_equal(report(f, ids[i], one->epoch, copy_of(f, one->assigned)), ERR_NONE);
            arena_reset(&f->arena);
            f->log_used = 0;
        }
        assert_string_equal(consumer_group_state_name(&f->group), "Stable");
        for (uint32_t i = 0; i < MANY; i++)
            assert_int_equal(member(f, ids[i])->assigned.count,
                             MANY_TOPICS * MANY_PARTITIONS / MANY);
    }
    assert_string_equal(consumer_group_state_name(&f->group), "Stable");
    for (uint32_t i = 0; i < MANY; i += 2)
        assert_int_equal(member(f, ids[i])->assigned.count,
                         MANY_TOPICS * MANY_PARTITIONS / (MANY / 2));
    assert_exclusive(f);
}

static void many_members_share_uniformly(void **state)
{
    many_members_share_a_thousand_partitions(*state, "uniform");
}

static void many_members_share_by_range(void **state)
{
    many_members_share_a_thousand_partitions(*state, "range");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_member_gets_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(a_partition_is_given_up_before_anybody_gains_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(more_partitions_are_handed_out_with_the_next_heartbeat,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_pattern_takes_topics_that_come_later, setup, teardown),
        cmocka_unit_test_setup_teardown(epochs_fence, setup, teardown),
        cmocka_unit_test_setup_teardown(a_static_member_comes_back_to_what_it_had, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_that_are_none_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(commits_and_fetches_carry_the_epoch, setup, teardown),
        cmocka_unit_test_setup_teardown(who_is_silent_for_a_session_is_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(who_does_not_give_up_in_time_is_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(no_partition_is_held_twice_and_all_come_to_rest, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(many_members_share_uniformly, setup, teardown),
        cmocka_unit_test_setup_teardown(many_members_share_by_range, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

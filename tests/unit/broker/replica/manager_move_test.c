/* Proves: a replica that moves to another log directory of its broker takes all of it along, its
 * epochs above all (F13, KAFKA-15608), while it is written to, cut and led by others; wherever the
 * machine dies or the disk fails, exactly one whole log is there afterwards. */
#include "tests/support/replica_rig.h"

#include "broker/log/log_move.h"
#include "client/wire/record_builder.h"

#include <stdio.h>
#include <string.h>

enum { A, B, C };
enum { DATA, SECOND };

static struct replica_rig rig;

static void begin(uint64_t seed)
{
    replica_rig_init(&rig, seed);
    rig.second = true;
}

static void add_topic(uint32_t replicas, int32_t leader)
{
    struct rig_record part = {.kind = RIG_PARTITION, .id = leader, .topic = 1};

    replica_rig_add(&rig, &(struct rig_record){.kind = RIG_TOPIC, .topic = 1});
    for (uint32_t i = 0; i < replicas; i++)
        part.replicas[i] = part.isr[i] = (int32_t)i + 1;
    replica_rig_add(&rig, &part);
}

/* This one leads the next epoch. */
static void lead(int32_t leader)
{
    struct rig_record record = {.kind = RIG_CHANGE, .id = leader, .topic = 1};

    replica_rig_add(&rig, &record);
    replica_rig_publish_all(&rig);
}

static struct partition *part_of(uint32_t machine)
{
    return replica_rig_part(&rig, machine, 1);
}

static struct manager *manager_of(uint32_t machine)
{
    return &rig.machines[machine].node.replicas;
}

static uint32_t waiting_on;
static int64_t waiting_for;

static bool leads(void *context)
{
    const struct partition *part = part_of(waiting_on);

    (void)context;
    return part != NULL && part->role == PARTITION_LEADER && partition_quiet(part);
}

static void await_leader(uint32_t machine)
{
    waiting_on = machine;
    assert_true(replica_rig_until(&rig, 20000, leads, NULL));
}

static bool has_end(void *context)
{
    const struct partition *part = part_of(waiting_on);

    (void)context;
    return part != NULL && part->opened && part->log->log_end >= waiting_for &&
           partition_quiet(part);
}

static void await_end(uint32_t machine, int64_t end)
{
    waiting_on = machine;
    waiting_for = end;
    assert_true(replica_rig_until(&rig, 20000, has_end, NULL));
}

static bool has_moved(void *context)
{
    (void)context;
    return manager_of(waiting_on)->moved >= (uint64_t)waiting_for &&
           part_of(waiting_on)->move == NULL && part_of(waiting_on)->role != PARTITION_NONE;
}

static void await_moved(uint32_t machine, uint32_t moves)
{
    waiting_on = machine;
    waiting_for = moves;
    if (!replica_rig_until(&rig, 20000, has_moved, NULL))
        fail_msg("moved %u of %u, role %s", (unsigned)manager_of(machine)->moved, moves,
                 partition_role_name(part_of(machine)->role));
}

static bool not_moving(void *context)
{
    (void)context;
    return part_of(waiting_on)->move == NULL;
}

static bool is_copying(void *context)
{
    (void)context;
    return manager_move_copy(part_of(waiting_on)) != NULL;
}

static bool is_synced(void *context)
{
    const struct log *log = part_of(waiting_on)->log;

    (void)context;
    return log->synced_end == log->log_end;
}

static void put(uint32_t machine, uint32_t records)
{
    struct partition_append append;

    assert_int_equal(replica_rig_append(&rig, machine, 1, 1, records, &append), ERR_NONE);
    partition_append_end(&append, ERR_NONE);
}

/* What it is to have, wherever it lies. */
struct content {
    int64_t start;
    int64_t end;
    uint32_t epochs;
    struct log_epoch entries[32];
};

static struct content content_of(uint32_t machine)
{
    const struct log *log = part_of(machine)->log;
    struct content content = {log->log_start, log->log_end, log->epochs.count, {{0}}};

    assert_true(log->epochs.count <= COUNT_OF(content.entries));
    memcpy(content.entries, log->epochs.entries, log->epochs.count * sizeof *content.entries);
    return content;
}

/* All of it, and perhaps more that came later. */
static void has(uint32_t machine, const struct content *content)
{
    const struct log *log = part_of(machine)->log;

    assert_int_equal(log->state, LOG_OPEN);
    assert_int_equal(log->log_start, content->start);
    assert_true(log->log_end >= content->end);
    assert_true(log->epochs.count >= content->epochs);
    for (uint32_t i = 0; i < content->epochs; i++) {
        assert_int_equal(log->epochs.entries[i].epoch, content->entries[i].epoch);
        assert_int_equal(log->epochs.entries[i].start_offset, content->entries[i].start_offset);
    }
}

/* Epochs 0 to 5; two of them without a record, of which the newest stays in the cache. */
static void fill(uint32_t machine)
{
    int32_t id = (int32_t)machine + 1;

    await_leader(machine);
    for (uint32_t epoch = 0; epoch < 4; epoch++) {
        if (epoch != 2) put(machine, 2 + epoch);
        waiting_on = machine;
        assert_true(replica_rig_until(&rig, 20000, leads, NULL));
        lead(id);
        await_leader(machine);
    }
    put(machine, 3);
    await_leader(machine);
    lead(id);
    await_leader(machine);
    log_sync(part_of(machine)->log);
    assert_true(replica_rig_until(&rig, 20000, is_synced, NULL));
}

static void only_in(uint32_t machine, uint32_t dir)
{
    for (uint32_t i = 0; i < RIG_DIRS; i++) {
        const struct log_known *known =
            log_dir_find(rig.machines[machine].dirs[i], STR("orders-0"));

        assert_true((known != NULL && (known->listed || known->log != NULL)) == (i == dir));
        if (known != NULL) assert_false(known->moved);
    }
    assert_int_equal(part_of(machine)->dir, dir);
}

static void read_all(uint32_t machine)
{
    struct log *log = part_of(machine)->log;
    int64_t at = log->log_start;

    while (at < log->log_end) {
        static struct log_read read;

        read = (struct log_read){
            .offset = at, .limit = log->log_end, .max_bytes = 1 << 20, .first_whole = true};
        log_read(log, &read);
        for (uint32_t i = 0; i < 1000 && !read.done; i++)
            replica_rig_run_ms(&rig, 1);
        assert_true(read.done);
        assert_int_equal(read.err, ERR_NONE);
        assert_true(read.next_offset > at);
        at = read.next_offset;
        log_read_release(&read);
    }
}

static void it_has_moved_there_and_back_with_everything(void **state)
{
    struct content content;

    (void)state;
    begin(1);
    add_topic(1, 1);
    replica_rig_start(&rig, A);
    fill(A);
    log_raise_start(part_of(A)->log, 1); /* inside of a batch, as DeleteRecords may have it */
    content = content_of(A);
    assert_int_equal(content.epochs, 5);
    only_in(A, DATA);
    assert_int_equal(manager_move(manager_of(A), part_of(A), SECOND), ERR_NONE);
    assert_int_equal(manager_move_to(part_of(A)), SECOND);
    await_moved(A, 1);
    await_leader(A);
    only_in(A, SECOND);
    has(A, &content);
    assert_int_equal(part_of(A)->high_watermark, content.end);
    read_all(A);
    put(A, 4);
    await_leader(A);
    content = content_of(A);
    assert_int_equal(manager_move(manager_of(A), part_of(A), DATA), ERR_NONE);
    await_moved(A, 2);
    await_leader(A);
    only_in(A, DATA);
    has(A, &content);
    read_all(A);
    /* And what stands on the disk is that. */
    replica_rig_kill(&rig, A, true);
    replica_rig_start(&rig, A);
    await_leader(A);
    has(A, &content);
    only_in(A, DATA);
    assert_int_equal(rig.traced[TRACE_LOG_MOVED], 2);
    replica_rig_deinit(&rig);
}

/* No batch that is copied tells of it: its own are deleted. */
static void who_wrote_what_is_deleted_is_known_there(void **state)
{
    static const struct record_batch batch = {
        .record_count = 1, .producer_id = 77, .producer_epoch = 3, .base_sequence = 9};
    struct log_aborted aborted;

    (void)state;
    for (uint32_t start = 6; start <= 13; start += 7) { /* inside of a batch, and the end */
        begin(start);
        add_topic(1, 1);
        replica_rig_start(&rig, A);
        fill(A);
        assert_int_equal(part_of(A)->log->log_end, 13);
        assert_int_equal(log_producers_apply(&part_of(A)->log->producers, &batch, &aborted),
                         ERR_NONE);
        log_raise_start(part_of(A)->log, start);
        assert_int_equal(manager_move(manager_of(A), part_of(A), SECOND), ERR_NONE);
        await_moved(A, 1);
        await_leader(A);
        only_in(A, SECOND);
        for (uint32_t life = 0; life < 2; life++) {
            const struct log *log = part_of(A)->log;
            const struct log_producer *known = log_producers_find(&log->producers, 77);

            assert_int_equal(log->log_start, start);
            assert_int_equal(log->log_end, 13);
            assert_non_null(known);
            assert_int_equal(known->epoch, 3);
            assert_int_equal(known->batches[0].first_sequence, 9);
            if (life > 0) break;
            replica_rig_kill(&rig, A, true);
            replica_rig_start(&rig, A);
            await_leader(A);
        }
        read_all(A);
        replica_rig_deinit(&rig);
    }
}

static void a_wish_may_change_and_a_move_may_be_taken_back(void **state)
{
    struct content content;

    (void)state;
    begin(2);
    add_topic(1, 1);
    replica_rig_start(&rig, A);
    fill(A);
    content = content_of(A);
    /* A wish that finds no memory is none. */
    rig.machines[A].node.env.mem.fail_at = 1;
    assert_int_equal(manager_move(manager_of(A), part_of(A), SECOND), ERR_NO_MEMORY);
    rig.machines[A].node.env.mem.fail_at = 0;
    assert_int_equal(manager_move_to(part_of(A)), MANAGER_DIRS_MAX);
    assert_null(manager_move_copy(part_of(A)));
    assert_int_equal(manager_move(manager_of(A), part_of(A), SECOND), ERR_NONE);
    assert_int_equal(manager_move(manager_of(A), part_of(A), DATA), ERR_NONE);
    waiting_on = A;
    assert_true(replica_rig_until(&rig, 20000, not_moving, NULL));
    assert_int_equal(manager_of(A)->moved, 0);
    /* While the copy grows. */
    assert_int_equal(manager_move(manager_of(A), part_of(A), SECOND), ERR_NONE);
    assert_true(replica_rig_until(&rig, 20000, is_copying, NULL));
    assert_int_equal(manager_move(manager_of(A), part_of(A), DATA), ERR_NONE);
    assert_true(replica_rig_until(&rig, 20000, not_moving, NULL));
    await_leader(A);
    only_in(A, DATA);
    has(A, &content);
    replica_rig_deinit(&rig);
}

/* Three replicas, the follower moves while its leader is written to and others begin to lead. */
static void a_follower_moves_while_leaders_come_and_go(void **state)
{
    (void)state;
    begin(3);
    add_topic(3, 1);
    for (uint32_t i = 0; i < RIG_MACHINES; i++)
        replica_rig_start(&rig, i);
    fill(A);
    for (uint32_t round = 0; round < 6; round++) {
        uint32_t leader = round % 2 == 0 ? A : C;

        assert_int_equal(manager_move(manager_of(B), part_of(B), round % 2 == 0 ? SECOND : DATA),
                         ERR_NONE);
        for (uint32_t i = 0; i < 10; i++) {
            put(leader, 5);
            replica_rig_run_ms(&rig, 1 + round);
        }
        await_moved(B, round + 1);
        await_leader(leader);
        await_end(B, part_of(leader)->log->log_end);
        leader = leader == A ? C : A;
        await_end(leader, part_of(B)->log->log_end);
        lead((int32_t)leader + 1);
        await_leader(leader);
        put(leader, 1);
        await_leader(leader);
        await_end(B, part_of(leader)->log->log_end);
        read_all(B);
    }
    assert_int_equal(part_of(B)->log->epochs.count, part_of(A)->log->epochs.count);
    replica_rig_deinit(&rig);
}

/* The machine dies after so many events of a move. False: the move was over before. */
static bool story(uint64_t events, bool power)
{
    struct sim_limits limits = {.until_ns = INT64_MAX, .events_max = events};
    struct content content;
    bool died;

    begin(100 + events);
    add_topic(1, 1);
    replica_rig_start(&rig, A);
    fill(A);
    content = content_of(A);
    assert_int_equal(manager_move(manager_of(A), part_of(A), SECOND), ERR_NONE);
    rig.machines[A].node.env.actor.turn_end(&rig.machines[A].node.env.actor,
                                            sim_node_now(rig.machines[A].world));
    (void)sim_run(rig.sim, &limits);
    died = manager_of(A)->moved == 0 || part_of(A)->move != NULL;
    replica_rig_kill(&rig, A, power);
    replica_rig_start(&rig, A);
    await_leader(A);
    has(A, &content);
    read_all(A);
    replica_rig_run_ms(&rig, 50); /* what is not needed is out of the way */
    only_in(A, part_of(A)->dir);
    /* It goes on from there, there and back. */
    put(A, 2);
    await_leader(A);
    content = content_of(A);
    assert_int_equal(manager_move(manager_of(A), part_of(A), 1 - part_of(A)->dir), ERR_NONE);
    await_moved(A, 1);
    await_leader(A);
    replica_rig_stop(&rig, A);
    replica_rig_start(&rig, A);
    await_leader(A);
    assert_true(part_of(A)->log->opened_clean);
    has(A, &content);
    only_in(A, part_of(A)->dir);
    replica_rig_deinit(&rig);
    return died;
}

static void the_machine_may_die_at_any_event(void **state)
{
    uint64_t events = 1;

    (void)state;
    while (story(events, events % 3 != 0))
        assert_true(++events < 2000);
    assert_true(events > 60);
}

/* The n-th request to one of the directories fails. False: it was over before. */
static bool failing(uint32_t nth, const char *glob, enum err error)
{
    struct sim_disk_rule rule = {.nth = nth, .times = 1, .error = error};
    struct sim_disk *disk;
    struct content content;
    bool hit;
    uint32_t number;

    begin(5000 + nth);
    disk = rig.machines[A].world->disk;
    add_topic(1, 1);
    replica_rig_start(&rig, A);
    fill(A);
    content = content_of(A);
    rule.ops = 1u << DISK_WRITE | 1u << DISK_SYNC | 1u << DISK_SYNC_DIR | 1u << DISK_RENAME |
               1u << DISK_OPEN | 1u << DISK_MKDIR;
    (void)snprintf(rule.glob, sizeof rule.glob, "%s", glob);
    number = sim_disk_add_rule(disk, &rule);
    assert_int_equal(manager_move(manager_of(A), part_of(A), SECOND), ERR_NONE);
    waiting_on = A;
    assert_true(replica_rig_until(&rig, 20000, not_moving, NULL));
    hit = sim_disk_rule(disk, number)->injected > 0;
    sim_disk_clear_rules(disk);
    /* It is led, wherever it is; or its directory has failed, and nothing is written to it. */
    if (part_of(A)->role != PARTITION_OFFLINE) {
        await_leader(A);
        has(A, &content);
        put(A, 2);
        await_leader(A);
        log_sync(part_of(A)->log);
        if (replica_rig_until(&rig, 20000, is_synced, NULL)) content = content_of(A);
    }
    replica_rig_kill(&rig, A, nth % 2 == 0);
    replica_rig_start(&rig, A);
    if (!replica_rig_until(&rig, 20000, leads, NULL))
        fail_msg("request %u of %s: role %s", nth, glob, partition_role_name(part_of(A)->role));
    has(A, &content);
    read_all(A);
    only_in(A, part_of(A)->dir);
    replica_rig_deinit(&rig);
    return hit;
}

static void a_disk_may_fail_at_any_request(void **state)
{
    uint32_t nth = 1;

    (void)state;
    while (failing(nth, "second*", ERR_IO))
        assert_true(++nth < 500);
    assert_true(nth > 15);
    for (nth = 1; failing(nth, "second*", ERR_NO_SPACE); nth++)
        assert_true(nth < 500);
    for (nth = 1; failing(nth, "data*", ERR_IO); nth++)
        assert_true(nth < 500);
}

/* ---- the copy alone -------------------------------------------------------------------------- */

static struct log *lone, *copy;
static struct log_copied copied;
static struct log_config lone_config;
static struct log_read reading;

static bool lone_quiet(void *context)
{
    (void)context;
    return lone->state != LOG_OPENING && lone->state != LOG_TRUNCATING &&
           lone->assigned_end == lone->log_end &&
           (copy == NULL || (copy->state != LOG_OPENING && copy->state != LOG_TRUNCATING &&
                             copy->assigned_end == copy->log_end && log_move_settled(copy)));
}

static void lone_settle(void)
{
    assert_true(replica_rig_until(&rig, 20000, lone_quiet, NULL));
}

static void lone_append(int32_t epoch, uint32_t batches)
{
    struct env *env = &rig.machines[A].node.env;

    for (uint32_t i = 0; i < batches; i++) {
        struct record_builder_config config = record_builder_config_default(env->world->cpu);
        struct record_builder builder;
        struct buf *buf = buf_take(&env->payload, 512, true);
        struct log_append append;

        env->now = sim_node_now(rig.machines[A].world);
        record_builder_init(&builder, &config, buf->data, 512);
        for (uint32_t r = 0; r < 3; r++) {
            rig.serial++;
            assert_int_equal(ERR_NONE,
                             record_builder_append(
                                 &builder, 1000, BYTES_NULL,
                                 (struct bytes){(const uint8_t *)&rig.serial, sizeof rig.serial},
                                 NULL, 0));
        }
        assert_int_equal(ERR_NONE, log_append_as_leader(lone, buf, record_builder_finish(&builder),
                                                        epoch, LOG_CLIENT, &append));
        buf_unref(buf);
        lone_settle();
    }
}

/* Until the copy is level, or something else is told. */
static enum log_move_step lone_copy(uint32_t reads)
{
    for (;;) {
        enum log_move_step step = log_move_next(&copied, copy, &reading);
        struct log_append append;

        lone_settle();
        if (step == LOG_MOVE_CUT) continue;
        if (step != LOG_MOVE_READ || reads-- == 0) return step;
        reading.max_bytes = 1; /* a batch at a time */
        log_read(lone, &reading);
        for (uint32_t i = 0; i < 1000 && !reading.done; i++)
            replica_rig_run_ms(&rig, 1);
        assert_int_equal(reading.err, ERR_NONE);
        for (uint32_t i = 0; i < reading.count; i++)
            assert_int_equal(log_move_append(copy, &reading, i, &append), ERR_NONE);
        log_read_release(&reading);
        lone_settle();
    }
}

static void lone_drop(struct log *log)
{
    log_delete(log);
    replica_rig_run_ms(&rig, 200);
    assert_int_equal(log->state, LOG_CLOSED);
}

static void cuts_and_starts_and_epochs_reach_the_copy(void **state)
{
    struct log_open open = {.topic = STR("other"), .partition = 3, .create = true};
    struct uuid id = {{7}};

    (void)state;
    begin(4);
    replica_rig_start(&rig, A);
    copy = NULL;
    open.topic_id.bytes[3] = 9;
    lone_config = log_config_default();
    lone_config.segment_bytes = 400;
    lone = log_open(rig.machines[A].dirs[DATA], &open, &lone_config);
    lone_settle();
    lone_append(1, 4); /* 0 to 11 */
    copy = log_move_open(rig.machines[A].dirs[SECOND], lone, id, 0, &lone_config);
    lone_settle();
    list_init(&copied.link);
    log_copied_begin(&copied, lone);
    assert_int_equal(lone_copy(3), LOG_MOVE_READ); /* it has 9 */
    assert_int_equal(copy->log_end, 9);
    /* Cut below the end of the copy, and grown beyond it again with something else. */
    log_truncate(lone, 6);
    lone_settle();
    lone_append(2, 3); /* 6 to 14 */
    log_truncate(lone, 12);
    lone_settle();
    log_begin_epoch(lone, 4);
    lone_append(5, 2); /* 12 to 17 */
    log_begin_epoch(lone, 6);
    lone_settle();
    assert_int_equal(lone_copy(100), LOG_MOVE_LEVEL);
    assert_int_equal(copy->log_end, 18);
    assert_int_equal(log_epochs_at(&copy->epochs, 5), 1);
    assert_int_equal(log_epochs_at(&copy->epochs, 6), 2);
    assert_false(log_move_same(lone, copy)); /* the newest epoch stands in no batch */
    assert_int_equal(log_move_epochs(copy, lone), ERR_NONE);
    lone_settle();
    assert_true(log_move_same(lone, copy));
    assert_int_equal(log_latest_epoch(copy), 6);
    /* The start. */
    log_note_high_watermark(lone, 18);
    log_raise_start(lone, 8);
    assert_int_equal(lone_copy(100), LOG_MOVE_LEVEL);
    assert_int_equal(copy->log_start, 8);
    /* What is cut to before where the copy begins is another log. */
    log_reset(lone, 30);
    lone_settle();
    assert_int_equal(lone_copy(100), LOG_MOVE_ANEW);
    log_copied_end(&copied);
    lone_drop(copy);
    log_move_free(copy);
    copy = NULL;
    lone_drop(lone);
    assert_null(log_dir_find(rig.machines[A].dirs[SECOND],
                             STR("other-3.07000000000000000000000000000000-future")));
    log_free(lone);
    replica_rig_deinit(&rig);
}

static void a_name_on_its_way_is_read_as_it_was_written(void **state)
{
    struct str name;
    struct uuid id;

    (void)state;
    assert_true(log_move_parse(STR("a-b-7.0123456789abcdef0123456789abcdef-moved"), &name, &id));
    assert_true(str_equal(name, STR("a-b-7")));
    assert_int_equal(id.bytes[0], 0x01);
    assert_int_equal(id.bytes[15], 0xef);
    assert_false(log_move_parse(STR("a-b-7.0123456789abcdef0123456789abcdef-future"), &name, &id));
    assert_false(log_move_parse(STR("a-b-7.0123456789abcdef0123456789abcdeX-moved"), &name, &id));
    assert_false(log_move_parse(STR("a-b.0123456789abcdef0123456789abcdef-moved"), &name, &id));
    assert_false(log_move_parse(STR(".0123456789abcdef0123456789abcdef-moved"), &name, &id));
    assert_false(log_move_parse(STR("-moved"), &name, &id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_on_its_way_is_read_as_it_was_written),
        cmocka_unit_test(it_has_moved_there_and_back_with_everything),
        cmocka_unit_test(who_wrote_what_is_deleted_is_known_there),
        cmocka_unit_test(a_wish_may_change_and_a_move_may_be_taken_back),
        cmocka_unit_test(a_follower_moves_while_leaders_come_and_go),
        cmocka_unit_test(cuts_and_starts_and_epochs_reach_the_copy),
        cmocka_unit_test(the_machine_may_die_at_any_event),
        cmocka_unit_test(a_disk_may_fail_at_any_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The active controller over a quorum whose commits the test decides: registration, leases,
 * elections, controlled shutdown, topics, AlterPartition, producer ids; and that a leadership lost
 * at any point leaves nothing uncommitted, in memory or in a reply (K23). After every test the
 * working image equals the committed one once everything is committed (K22), and every traced
 * partition record moved its epochs by the rules (R36). */
#include "broker/controller/controller.h"
#include "tests/support/support.h"

#include <stdlib.h>
#include <string.h>

enum { LOG_MAX = 3000, CALLS = 16, PARTS_MAX = 256, HEARTBEAT_MS = 2000, SESSION_MS = 9000 };

struct entry {
    uint8_t *data; /* NULL: control record */
    uint32_t length;
    int32_t epoch;
};

struct ghost_part {
    int64_t topic, partition, leader_epoch, partition_epoch;
};

#define ELR_FEATURE "eligible.leader.replicas.version"

struct fixture {
    struct region region;
    struct env env;
    struct world world;
    struct controller_quorum quorum;
    struct op_source hw_source;
    struct entry log[LOG_MAX];
    int64_t end, hw, epoch_start;
    int32_t leading;
    enum err append_fails;
    uint64_t fail_at; /* allocation of the next request */
    uint32_t resigned;
    struct loader loader;
    struct controller controller;
    struct arena arena;
    struct controller_call calls[CALLS];
    uint32_t calls_used;
    struct ghost_part parts[PARTS_MAX];
    uint32_t parts_count;
    uint32_t renounced, published;
    bool without_elr;       /* brokers that know no eligible leader replicas register */
    int64_t previous_epoch; /* that they say they have lost nothing of */
    struct loader_publisher publisher;
    union {
        struct broker_registration_request registration;
        struct broker_heartbeat_request heartbeat;
        struct delete_topics_request delete_topics;
        struct allocate_producer_ids_request producer_ids;
    } request;
    struct broker_registration_response registered;
    struct broker_heartbeat_response beat;
    struct create_topics_response created;
    struct delete_topics_response deleted;
    struct alter_partition_response altered;
    struct allocate_producer_ids_response allocated;
    struct incremental_alter_configs_response incremented;
    struct alter_configs_response replaced;
    struct create_partitions_response grown;
    struct elect_leaders_response elected;
    struct update_features_response updated;
    struct controller_registration_response known;
    int16_t metadata_min, metadata_max; /* that registering nodes know; 0: 17 to 23 */
    struct alter_partition_reassignments_response reassigned;
    struct list_partition_reassignments_response reassigning;
    struct unregister_broker_response unregistered;
};

/* ---- a world that only listens, and a quorum that does as it is told ------------------------- */

static uint64_t fake_seed(struct world *world, enum dice_concern concern)
{
    (void)world;
    return 99 + (uint64_t)concern;
}

/* R36 over every record that the controllers wrote; a lost tail takes its epochs with it. */
static void fake_trace(struct world *world, const struct trace_event *event)
{
    struct fixture *f = CONTAINER_OF(world, struct fixture, world);
    struct ghost_part *part = f->parts;

    if (event->kind == TRACE_CONTROLLER_RENOUNCED) {
        f->renounced++;
        f->parts_count = 0;
    }
    if (event->kind != TRACE_CONTROLLER_PARTITION) return;
    while (part < f->parts + f->parts_count &&
           (part->topic != event->fields[0] || part->partition != event->fields[1]))
        part++;
    if (part == f->parts + f->parts_count) {
        assert_true(f->parts_count < PARTS_MAX);
        f->parts_count++;
    } else {
        assert_true(event->fields[4] == part->partition_epoch + 1);
        assert_true(event->fields[3] == part->leader_epoch ||
                    event->fields[3] == part->leader_epoch + 1);
    }
    *part =
        (struct ghost_part){event->fields[0], event->fields[1], event->fields[3], event->fields[4]};
}

static const struct world_ops world_ops = {.seed = fake_seed, .trace = fake_trace};

static struct fixture *of(struct controller_quorum *quorum)
{
    return CONTAINER_OF(quorum, struct fixture, quorum);
}

static int32_t fake_leading(struct controller_quorum *quorum)
{
    return of(quorum)->leading;
}

static int64_t fake_epoch_start(struct controller_quorum *quorum)
{
    return of(quorum)->epoch_start;
}

static int64_t fake_next_offset(struct controller_quorum *quorum)
{
    return of(quorum)->end;
}

static int64_t fake_hw(struct controller_quorum *quorum)
{
    return of(quorum)->hw;
}

static enum err fake_append(struct controller_quorum *quorum, int32_t epoch,
                            const struct bytes *values, uint32_t count, int64_t *first,
                            int64_t *last)
{
    struct fixture *f = of(quorum);

    if (f->leading != epoch) return ERR_NOT_CONTROLLER;
    if (f->append_fails != ERR_NONE) return f->append_fails;
    assert_true(count > 0 && f->end + count < LOG_MAX);
    *first = f->end;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *copy = malloc(values[i].length);

        memcpy(copy, values[i].data, values[i].length);
        f->log[f->end++] = (struct entry){copy, values[i].length, epoch};
    }
    *last = f->end - 1;
    return ERR_NONE;
}

static void fake_resign(struct controller_quorum *quorum, int32_t epoch)
{
    assert_int_equal(of(quorum)->leading, epoch);
    of(quorum)->resigned++; /* the node learns of it later */
}

static const struct controller_quorum_ops quorum_ops = {.leading = fake_leading,
                                                        .epoch_start = fake_epoch_start,
                                                        .next_offset = fake_next_offset,
                                                        .append = fake_append,
                                                        .high_watermark = fake_hw,
                                                        .resign = fake_resign};

static void run(struct fixture *f)
{
    op_loop_run(&f->env.loop, f->env.loop.now_ns, 10000);
    assert_true(op_loop_idle(&f->env.loop));
    assert_null(op_loop_probe(&f->env.loop)); /* no lost wake-up */
}

static void pass_ms(struct fixture *f, int64_t ms)
{
    op_loop_run(&f->env.loop, f->env.loop.now_ns + ms * NS_PER_MS, 10000);
    assert_null(op_loop_probe(&f->env.loop));
}

static void commit_to(struct fixture *f, int64_t hw)
{
    for (; f->hw < hw; f->hw++) {
        const struct entry *entry = &f->log[f->hw];

        if (entry->data != NULL)
            assert_int_equal(loader_record(&f->loader, f->hw, entry->epoch,
                                           (struct bytes){entry->data, entry->length}),
                             ERR_NONE);
        loader_batch(&f->loader, f->hw + 1, entry->epoch, f->hw + 1 == hw);
    }
    op_wake_below(&f->hw_source, f->hw - 1);
    controller_applied(&f->controller);
    run(f);
}

static void commit(struct fixture *f)
{
    commit_to(f, f->end);
}

static void lead(struct fixture *f, int32_t epoch)
{
    f->epoch_start = f->end;
    f->log[f->end++] = (struct entry){NULL, 0, epoch};
    f->leading = epoch;
    controller_quorum_changed(&f->controller);
    run(f);
}

/* Another leader: what was not committed is gone. */
static void lose(struct fixture *f)
{
    f->leading = -1;
    while (f->end > f->hw) {
        f->end--;
        if (f->log[f->end].data != NULL) free(f->log[f->end].data);
    }
    controller_quorum_changed(&f->controller);
    run(f);
}

static void publish(struct loader_publisher *publisher, const struct image *image)
{
    struct fixture *f = CONTAINER_OF(publisher, struct fixture, publisher);

    assert_ptr_equal(image, &f->loader.image);
    f->published++;
}

static int setup(void **state)
{
    static struct fixture f;
    struct controller_config config = controller_config_default();
    struct loader_config loader_config = {.limits = {8, 100, 200}, .hash_seed = 3};

    f = (struct fixture){.leading = -1, .publisher = {.publish = publish}};
    support_region_init(&f.region, 64 << 20);
    f.world = (struct world){.ops = &world_ops, .region = &f.region};
    f.env.world = &f.world;
    mem_init(&f.env.mem, &f.region);
    assert_int_equal(op_loop_init(&f.env.loop, &f.env.mem, 64, NULL), ERR_NONE);
    op_source_init(&f.hw_source);
    f.quorum = (struct controller_quorum){&quorum_ops, &f.hw_source};
    loader_init(&f.loader, &f.world, &f.env.mem, &loader_config);
    loader_add(&f.loader, &f.publisher);
    arena_init(&f.arena, &f.env.mem, 4 << 20);
    config.node_id = 1;
    config.cluster_id = STR("cluster");
    config.limits = loader_config.limits;
    config.max_idle_interval_ms = 0; /* the test of NoOp turns it on */
    assert_int_equal(controller_init(&f.controller, &f.env, &config, &f.quorum, &f.loader),
                     ERR_NONE);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    if (controller_active(&f->controller)) {
        image_check(&f->controller.image);
        commit(f);
        assert_true(f->controller.image.digest == f->loader.image.digest); /* K22 */
    }
    image_check(&f->loader.image);
    controller_stop(&f->controller);
    run(f);
    for (uint32_t i = 0; i < f->calls_used; i++)
        assert_true(f->calls[i].finished);
    controller_deinit(&f->controller);
    while (f->end > 0)
        if (f->log[--f->end].data != NULL) free(f->log[f->end].data);
    loader_deinit(&f->loader);
    arena_deinit(&f->arena);
    op_loop_deinit(&f->env.loop);
    assert_int_equal(mem_in_use(&f->env.mem), 0);
    support_region_deinit(&f->region);
    return 0;
}

/* ---- requests -------------------------------------------------------------------------------- */

static struct controller_call *submit(struct fixture *f, struct controller_call call)
{
    struct controller_call *place = &f->calls[f->calls_used++ % CALLS];

    if (f->calls_used > CALLS) {
        assert_true(place->finished);
        f->calls_used = CALLS; /* all places were used */
        place = &f->calls[0];
        for (uint32_t i = 0; i < CALLS; i++)
            if (f->calls[i].finished) place = &f->calls[i];
    }
    call.arena = &f->arena;
    call.deadline_ns = call.deadline_ns == 0 ? OP_NO_DEADLINE : call.deadline_ns;
    *place = call;
    f->env.mem.fail_at = f->fail_at;
    controller_submit(&f->controller, place);
    run(f);
    f->env.mem.fail_at = 0;
    return place;
}

static struct controller_call *send_register(struct fixture *f, int32_t id, uint8_t incarnation)
{
    static struct broker_registration_request_listener listener;
    static struct broker_registration_request_feature feature[3];

    feature[0] = (struct broker_registration_request_feature){
        STR("metadata.version"), f->metadata_max != 0 ? f->metadata_min : 17,
        f->metadata_max != 0 ? f->metadata_max : 23};
    feature[1] = (struct broker_registration_request_feature){STR(FEATURES_GROUP_VERSION), 0, 1};
    feature[2] = (struct broker_registration_request_feature){STR(ELR_FEATURE), 0, 1};
    listener = (struct broker_registration_request_listener){STR("PLAINTEXT"), STR("h"), 9092, 0};
    broker_registration_request_default(&f->request.registration);
    f->request.registration.broker_id = id;
    f->request.registration.cluster_id = STR("cluster");
    f->request.registration.incarnation_id.bytes[0] = incarnation;
    f->request.registration.listeners = &listener;
    f->request.registration.listeners_count = 1;
    f->request.registration.features = feature;
    f->request.registration.features_count = f->without_elr ? 2 : 3;
    f->request.registration.previous_broker_epoch = f->previous_epoch;
    return submit(f,
                  (struct controller_call){.api = CONTROLLER_BROKER_REGISTRATION,
                                           .request.broker_registration = &f->request.registration,
                                           .response.broker_registration = &f->registered,
                                           .version = 4});
}

static int64_t join(struct fixture *f, int32_t id, uint8_t incarnation)
{
    send_register(f, id, incarnation);
    commit(f);
    assert_int_equal(f->registered.error_code, ERR_NONE);
    return f->registered.broker_epoch;
}

static int64_t epoch_of(struct fixture *f, int32_t id)
{
    return image_broker(&f->controller.image, id)->epoch;
}

static struct controller_call *send_beat(struct fixture *f, int32_t id, int64_t epoch,
                                         int64_t offset, bool shut_down)
{
    broker_heartbeat_request_default(&f->request.heartbeat);
    f->request.heartbeat.broker_id = id;
    f->request.heartbeat.broker_epoch = epoch;
    f->request.heartbeat.current_metadata_offset = offset;
    f->request.heartbeat.want_shut_down = shut_down;
    return submit(f, (struct controller_call){.api = CONTROLLER_BROKER_HEARTBEAT,
                                              .request.broker_heartbeat = &f->request.heartbeat,
                                              .response.broker_heartbeat = &f->beat,
                                              .version = 1});
}

static void beat(struct fixture *f, int32_t id)
{
    send_beat(f, id, epoch_of(f, id), f->loader.image.last_offset, false);
    commit(f);
    assert_int_equal(f->beat.error_code, ERR_NONE);
}

/* A cluster of `count` unfenced brokers. */
static void cluster(struct fixture *f, int32_t count)
{
    lead(f, 1);
    commit(f);
    commit(f); /* what activation wrote */
    for (int32_t id = 1; id <= count; id++) {
        join(f, id, (uint8_t)id);
        beat(f, id);
        assert_false(f->beat.is_fenced);
    }
}

static struct controller_call *send_create(struct fixture *f, const char *name, int32_t partitions,
                                           int16_t factor)
{
    struct create_topics_request *request = arena_zalloc(&f->arena, sizeof(*request));
    struct create_topics_request_topic *topic = arena_zalloc(&f->arena, sizeof(*topic));

    create_topics_request_default(request);
    topic->name = str_of(name);
    topic->num_partitions = partitions;
    topic->replication_factor = factor;
    request->topics = topic;
    request->topics_count = 1;
    return submit(f, (struct controller_call){.api = CONTROLLER_CREATE_TOPICS,
                                              .request.create_topics = request,
                                              .response.create_topics = &f->created,
                                              .version = 7});
}

static enum err create(struct fixture *f, const char *name, int32_t partitions, int16_t factor)
{
    send_create(f, name, partitions, factor);
    commit(f);
    return (enum err)f->created.topics[0].error_code;
}

static const struct image_partition *part(struct fixture *f, const char *name, int32_t index)
{
    return image_partition(image_topic_by_name(&f->controller.image, str_of(name)), index);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void activation_waits_for_the_log_below_its_epoch(void **state)
{
    struct fixture *f = *state;

    f->log[f->end++] = (struct entry){NULL, 0, 1}; /* of an earlier leader, not applied here */
    lead(f, 2);
    assert_int_equal(f->controller.state, CONTROLLER_CATCHING_UP);
    commit_to(f, 1);
    assert_int_equal(f->controller.state, CONTROLLER_ACTIVE);
    assert_int_equal(image_feature_level(&f->controller.image, STR("metadata.version")), 23);
    assert_int_equal(image_feature_level(&f->loader.image, STR("metadata.version")), 0);
    commit(f);
    assert_int_equal(image_feature_level(&f->loader.image, STR("metadata.version")), 23);
    assert_true(f->published > 0);
    lose(f);
    lead(f, 3);
    assert_int_equal(f->controller.state, CONTROLLER_ACTIVE);
    assert_int_equal(f->end, f->epoch_start + 1); /* bootstrap once */
    assert_int_equal(image_feature_level(&f->controller.image, STR(ELR_FEATURE)), 1);
}

static void append_raw(struct fixture *f, const struct metadata_record *record, int32_t epoch)
{
    struct bytes value;
    uint8_t *copy;

    assert_int_equal(records_encode(record, &f->arena, &value), ERR_NONE);
    copy = malloc(value.length);
    memcpy(copy, value.data, value.length);
    f->log[f->end++] = (struct entry){copy, value.length, epoch};
}

/* KIP-868: of a leader of Kafka's that is gone. */
static void a_transaction_that_was_left_open_is_aborted_first(void **state)
{
    struct fixture *f = *state;
    struct metadata_record record;

    lead(f, 1);
    commit(f);
    join(f, 1, 1);
    lose(f);
    records_default(&record, RECORD_BEGIN_TRANSACTION);
    append_raw(f, &record, 2);
    records_default(&record, RECORD_TOPIC);
    record.topic.name = STR("half");
    record.topic.topic_id.bytes[0] = 9;
    append_raw(f, &record, 2);
    lead(f, 3);
    assert_false(controller_active(&f->controller)); /* what is below its epoch was not told */
    commit(f);
    assert_true(controller_active(&f->controller));
    assert_true(f->end > f->epoch_start + 1);
    assert_int_equal(records_decode((struct bytes){f->log[f->epoch_start + 1].data,
                                                   f->log[f->epoch_start + 1].length},
                                    &f->arena, &record),
                     ERR_NONE);
    assert_int_equal(record.id, RECORD_ABORT_TRANSACTION);
    assert_true(loader_in_transaction(&f->loader));
    commit(f);
    assert_false(loader_in_transaction(&f->loader));
    assert_null(image_topic_by_name(&f->loader.image, STR("half")));
    join(f, 2, 1); /* and it goes on */
    assert_non_null(image_broker(&f->loader.image, 2));
}

static void a_standby_answers_not_controller(void **state)
{
    struct fixture *f = *state;
    struct controller_call *call = send_register(f, 1, 1);

    assert_true(call->finished);
    assert_int_equal(call->result, ERR_NOT_CONTROLLER);
    assert_int_equal(f->registered.error_code, ERR_NOT_CONTROLLER);
}

static void an_answer_waits_for_its_commit_also_when_it_wrote_nothing(void **state)
{
    struct fixture *f = *state;
    struct controller_call *first, *second;

    cluster(f, 1);
    first = send_create(f, "t", 1, 1);
    assert_false(first->finished);
    second = send_create(f, "t", 1, 1); /* sees the uncommitted topic, and must wait for it */
    assert_false(second->finished);
    commit(f);
    assert_true(first->finished && second->finished);
    assert_int_equal(first->result, ERR_NONE);
    assert_int_equal(f->created.topics[0].error_code, ERR_TOPIC_ALREADY_EXISTS);
}

static void a_deadline_answers_request_timed_out(void **state)
{
    struct fixture *f = *state;
    struct controller_call *call;

    cluster(f, 1);
    call = send_create(f, "t", 1, 1);
    op_deadline(&call->op, f->env.loop.now_ns + 10 * NS_PER_MS);
    pass_ms(f, 10);
    assert_true(call->finished);
    assert_int_equal(call->result, ERR_REQUEST_TIMED_OUT);
    assert_int_equal(f->created.topics[0].error_code, ERR_REQUEST_TIMED_OUT);
}

static void renouncing_at_every_point_leaves_nothing_uncommitted_k23(void **state)
{
    struct fixture *f = *state;
    uint64_t digest;

    cluster(f, 3);
    for (int32_t committed = 0; committed < 6; committed++) {
        struct controller_call *a =
            send_create(f, (const char[]){(char)('a' + committed), 0}, 1, 3);
        struct controller_call *b =
            send_create(f, (const char[]){(char)('m' + committed), 0}, 1, 3);

        commit_to(f, f->hw + committed < f->end ? f->hw + committed : f->end);
        assert_int_equal(a->finished, committed >= 2);
        lose(f);
        assert_true(a->finished && b->finished);
        assert_int_equal(a->result, committed >= 2 ? ERR_NONE : ERR_NOT_CONTROLLER);
        assert_int_equal(b->result, committed >= 4 ? ERR_NONE : ERR_NOT_CONTROLLER);
        assert_int_equal(f->controller.state, CONTROLLER_STANDBY);
        digest = f->loader.image.digest;
        lead(f, 10 + committed);
        assert_true(controller_active(&f->controller));
        assert_true(f->controller.image.digest == digest);
        commit(f);
    }
    assert_int_equal(f->renounced, 6);
}

static void an_append_that_is_refused_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct controller_call *call;
    uint64_t digest;

    cluster(f, 1);
    digest = f->controller.image.digest;
    f->append_fails = ERR_NO_MEMORY;
    call = send_create(f, "t", 1, 1);
    assert_true(call->finished);
    assert_int_equal(call->result, ERR_NOT_CONTROLLER); /* retriable */
    assert_true(controller_active(&f->controller));
    assert_true(f->controller.image.digest == digest);
    f->append_fails = ERR_NONE;
    assert_int_equal(create(f, "t", 1, 1), ERR_NONE);
    /* The quorum knows first that it no longer leads; and the same epoch is never led again,
     * even while it is still told as led. */
    f->append_fails = ERR_NOT_CONTROLLER;
    call = send_create(f, "u", 1, 1);
    assert_int_equal(call->result, ERR_NOT_CONTROLLER);
    assert_int_equal(f->controller.state, CONTROLLER_STANDBY);
    f->append_fails = ERR_NONE;
    lose(f);
    lead(f, 2);
    assert_true(controller_active(&f->controller));
}

static void a_replay_that_fails_gives_the_leadership_up(void **state)
{
    struct fixture *f = *state;
    struct controller_call *call;

    cluster(f, 1);
    /* The image's own cap is lower than the controller thinks: replay must fail. */
    f->controller.image.limits.partitions_max = 1;
    call = send_create(f, "t", 2, 1);
    assert_true(call->finished);
    assert_int_equal(call->result, ERR_NOT_CONTROLLER);
    assert_int_equal(f->resigned, 1);
    assert_int_equal(f->controller.state, CONTROLLER_STANDBY);
    lose(f);
}

/* The n-th allocation fails, for every n: an error that may be tried again, or the leadership is
 * given up; never a half-made topic. */
static void memory_that_runs_out_leaves_no_half_made_topic(void **state)
{
    struct fixture *f = *state;
    struct controller_call *call;
    uint32_t refused = 0;

    cluster(f, 2);
    for (uint64_t n = 1;; n++) {
        f->fail_at = n;
        call = send_create(f, "t", 3, 2);
        f->fail_at = 0;
        if (controller_active(&f->controller)) {
            image_check(&f->controller.image);
            commit(f);
        }
        assert_true(n < 500);
        if (call->result == ERR_NONE && f->created.topics_count == 1) break;
        refused++;
        assert_int_equal(call->result, ERR_NOT_CONTROLLER);
        if (controller_active(&f->controller)) continue;
        lose(f);
        lead(f, 100 + (int32_t)n);
        commit(f);
        assert_null(image_topic_by_name(&f->controller.image, STR("t")));
    }
    assert_true(refused > 5);
    assert_int_equal(image_topic_by_name(&f->loader.image, STR("t"))->partitions_count, 3);
}

static void no_op_records_come_when_idle_only(void **state)
{
    struct fixture *f = *state;
    int64_t end;

    f->controller.config.max_idle_interval_ms = 500;
    lead(f, 1);
    commit(f);
    commit(f);
    end = f->end;
    pass_ms(f, 499);
    assert_int_equal(f->end, end);
    pass_ms(f, 1);
    assert_int_equal(f->end, end + 1);
    pass_ms(f, 500);
    assert_int_equal(f->end, end + 2);
    commit(f);
    join(f, 1, 1);
    end = f->end;
    pass_ms(f, 499);
    assert_int_equal(f->end, end);
}

/* ---- brokers --------------------------------------------------------------------------------- */

static void a_broker_is_unfenced_when_it_has_applied_its_registration(void **state)
{
    struct fixture *f = *state;
    int64_t epoch;

    lead(f, 1);
    commit(f);
    commit(f);
    epoch = join(f, 5, 1);
    assert_int_equal(epoch, f->end - 1); /* the offset of the record */
    assert_true(image_broker(&f->controller.image, 5)->fenced);
    send_beat(f, 5, epoch, epoch - 1, false);
    commit(f);
    assert_true(f->beat.is_fenced);
    assert_false(f->beat.is_caught_up);
    send_beat(f, 5, epoch, epoch, false);
    commit(f);
    assert_false(f->beat.is_fenced);
    assert_true(f->beat.is_caught_up);
    assert_false(image_broker(&f->loader.image, 5)->fenced);
}

static void registrations_that_cannot_be_are_refused(void **state)
{
    struct fixture *f = *state;

    cluster(f, 1);
    send_register(f, 1, 99); /* the first incarnation's lease is valid */
    commit(f);
    assert_int_equal(f->registered.error_code, ERR_DUPLICATE_BROKER_REGISTRATION);
    assert_int_equal(join(f, 1, 1), epoch_of(f, 1)); /* the same incarnation amends */
    assert_false(image_broker(&f->controller.image, 1)->fenced);
    send_beat(f, 1, epoch_of(f, 1) + 1, 0, false);
    commit(f);
    assert_int_equal(f->beat.error_code, ERR_STALE_BROKER_EPOCH); /* R39 */
    send_beat(f, 4, 0, 0, false);
    commit(f);
    assert_int_equal(f->beat.error_code, ERR_STALE_BROKER_EPOCH);
    f->controller.config.cluster_id = STR("another");
    send_register(f, 2, 1);
    commit(f);
    assert_int_equal(f->registered.error_code, ERR_INCONSISTENT_CLUSTER_ID);
}

static void a_lease_that_ends_fences_one_broker_per_check(void **state)
{
    struct fixture *f = *state;
    const struct image_partition *p;

    cluster(f, 3);
    assert_int_equal(create(f, "t", 3, 3), ERR_NONE);
    for (int32_t t = 0; t < 5; t++) { /* 1 goes on, 2 and 3 are silent */
        pass_ms(f, HEARTBEAT_MS);
        commit(f);
        beat(f, 1);
    }
    /* 10 s: both are stale; checks come every session/8. */
    assert_true(image_broker(&f->controller.image, 2)->fenced);
    assert_false(image_broker(&f->controller.image, 3)->fenced &&
                 f->env.loop.now_ns < (SESSION_MS + SESSION_MS / 8) * NS_PER_MS);
    pass_ms(f, SESSION_MS / 4);
    commit(f);
    assert_true(image_broker(&f->controller.image, 3)->fenced);
    for (int32_t i = 0; i < 3; i++) {
        p = part(f, "t", i);
        assert_int_equal(p->leader, 1);
        assert_int_equal(p->isr_count, 1); /* R15 */
    }
    /* The last one is eligible, and so is nobody else at min ISR 1. */
    pass_ms(f, SESSION_MS + SESSION_MS / 4);
    commit(f);
    p = part(f, "t", 0);
    assert_int_equal(p->leader, IMAGE_NO_LEADER);
    assert_int_equal(p->isr_count, 0);
    assert_int_equal(p->elr_count, 1);
    assert_int_equal(image_elr(p).ids[0], 1);
    /* It comes back and leads again; another one cannot. */
    beat(f, 2);
    assert_int_equal(part(f, "t", 0)->leader, IMAGE_NO_LEADER);
    beat(f, 1);
    assert_int_equal(part(f, "t", 0)->leader, 1);
}

static void a_lease_is_over_when_it_ends_and_not_at_the_next_check(void **state)
{
    struct fixture *f = *state;

    cluster(f, 2);
    pass_ms(f, 500); /* between two checks */
    beat(f, 1);
    for (int32_t t = 0; t < SESSION_MS - 1000; t += 1000) {
        pass_ms(f, 1000);
        commit(f);
        beat(f, 2);
    }
    pass_ms(f, 999);
    assert_false(image_broker(&f->controller.image, 1)->fenced);
    pass_ms(f, 1);
    assert_true(image_broker(&f->controller.image, 1)->fenced);
    assert_false(image_broker(&f->controller.image, 2)->fenced);
}

static void two_stale_brokers_are_fenced_in_two_checks(void **state)
{
    struct fixture *f = *state;
    uint32_t fenced = 0;

    cluster(f, 2);
    for (int32_t step = 0; step < 40 && fenced == 0; step++) {
        pass_ms(f, SESSION_MS / 8);
        for (int32_t id = 1; id <= 2; id++)
            fenced += image_broker(&f->controller.image, id)->fenced;
    }
    assert_int_equal(fenced, 1);
    pass_ms(f, SESSION_MS / 8);
    assert_true(image_broker(&f->controller.image, 1)->fenced);
    assert_true(image_broker(&f->controller.image, 2)->fenced);
}

static void a_new_controller_gives_three_heartbeats_to_those_it_has_not_heard(void **state)
{
    struct fixture *f = *state;

    cluster(f, 2);
    lose(f);
    lead(f, 2);
    commit(f);
    pass_ms(f, HEARTBEAT_MS);
    commit(f);
    beat(f, 1);
    pass_ms(f, 2 * HEARTBEAT_MS + SESSION_MS / 8);
    commit(f);
    assert_true(image_broker(&f->controller.image, 2)->fenced);
    assert_false(image_broker(&f->controller.image, 1)->fenced); /* a whole session */
}

static void a_registration_without_fencing_leaves_the_isrs_kafka_18106(void **state)
{
    struct fixture *f = *state;
    const struct image_partition *p;
    int64_t first;
    int32_t leader, other;

    cluster(f, 2);
    assert_int_equal(create(f, "t", 1, 2), ERR_NONE);
    leader = part(f, "t", 0)->leader;
    other = 3 - leader;
    first = epoch_of(f, leader);
    /* Its lease ends between two checks: gone for registration, not yet fenced. */
    send_beat(f, leader, first, f->end - 1, false);
    commit(f);
    f->controller.next_lease_check_ns = f->env.loop.now_ns + 2 * SESSION_MS * NS_PER_MS;
    pass_ms(f, SESSION_MS - 1000);
    commit(f);
    beat(f, other);
    pass_ms(f, 1000);
    assert_false(image_broker(&f->controller.image, leader)->fenced);
    send_register(f, leader, 77);
    commit(f);
    assert_int_equal(f->registered.error_code, ERR_NONE);
    assert_true(f->registered.broker_epoch > first);
    p = part(f, "t", 0);
    assert_int_equal(p->leader, other);
    assert_int_equal(p->isr_count, 1);
    assert_true(image_broker(&f->controller.image, leader)->fenced);
    /* the record of the registration is the last one, and its offset the epoch */
    assert_int_equal(f->registered.broker_epoch, f->end - 1);
    send_beat(f, leader, first, f->end, false);
    commit(f);
    assert_int_equal(f->beat.error_code, ERR_STALE_BROKER_EPOCH);
}

static void controlled_shutdown_waits_until_all_active_brokers_know(void **state)
{
    struct fixture *f = *state;
    int64_t epoch;
    int32_t leader, other;

    cluster(f, 2);
    assert_int_equal(create(f, "t", 1, 2), ERR_NONE);
    leader = part(f, "t", 0)->leader;
    other = 3 - leader;
    epoch = epoch_of(f, leader);
    send_beat(f, leader, epoch, f->end - 1, true);
    commit(f);
    assert_false(f->beat.should_shut_down);
    assert_true(image_broker(&f->controller.image, leader)->in_controlled_shutdown);
    assert_int_equal(part(f, "t", 0)->leader, other);
    assert_int_equal(part(f, "t", 0)->isr_count, 1);
    send_beat(f, leader, epoch, f->end - 1, true); /* the other has not told yet */
    commit(f);
    assert_false(f->beat.should_shut_down);
    beat(f, other);
    send_beat(f, leader, epoch, f->end - 1, true);
    commit(f);
    assert_true(f->beat.should_shut_down);
    assert_true(image_broker(&f->controller.image, leader)->fenced);
    send_register(f, leader, 55); /* and need not wait for its old lease */
    commit(f);
    assert_int_equal(f->registered.error_code, ERR_NONE);
    assert_false(image_broker(&f->controller.image, leader)->in_controlled_shutdown);
}

static void fence(struct fixture *f, int32_t id)
{
    broker_heartbeat_request_default(&f->request.heartbeat);
    f->request.heartbeat.broker_id = id;
    f->request.heartbeat.broker_epoch = epoch_of(f, id);
    f->request.heartbeat.want_fence = true;
    submit(f, (struct controller_call){.api = CONTROLLER_BROKER_HEARTBEAT,
                                       .request.broker_heartbeat = &f->request.heartbeat,
                                       .response.broker_heartbeat = &f->beat,
                                       .version = 1});
    commit(f);
    assert_true(f->beat.is_fenced);
}

/* The leader of "t" takes `id` into the ISR. */
static void expand(struct fixture *f, int32_t leader, int32_t id)
{
    const struct image_topic *topic = image_topic_by_name(&f->controller.image, STR("t"));
    struct alter_partition_request_broker_state isr[] = {{leader, epoch_of(f, leader)},
                                                         {id, epoch_of(f, id)}};
    struct alter_partition_request_partition in = {
        .leader_epoch = topic->partitions[0].leader_epoch,
        .partition_epoch = topic->partitions[0].partition_epoch,
        .new_isr_with_epochs = isr,
        .new_isr_with_epochs_count = 2};
    struct alter_partition_request_topic in_topic = {
        .topic_id = topic->id, .partitions = &in, .partitions_count = 1};
    struct alter_partition_request request = {.broker_id = leader,
                                              .broker_epoch = epoch_of(f, leader),
                                              .topics = &in_topic,
                                              .topics_count = 1};

    submit(f, (struct controller_call){.api = CONTROLLER_ALTER_PARTITION,
                                       .request.alter_partition = &request,
                                       .response.alter_partition = &f->altered,
                                       .version = 3});
    commit(f);
    assert_int_equal(f->altered.topics[0].partitions[0].error_code, ERR_NONE);
}

static void the_balancer_gives_leadership_back_to_the_preferred(void **state)
{
    struct fixture *f = *state;
    int32_t preferred, other;

    f->controller.config.balance_interval_ms = 3000;
    cluster(f, 2);
    assert_int_equal(create(f, "t", 1, 2), ERR_NONE);
    preferred = part(f, "t", 0)->ids[0];
    other = 3 - preferred;
    assert_int_equal(part(f, "t", 0)->leader, preferred);
    pass_ms(f, 3000);
    assert_int_equal(part(f, "t", 0)->partition_epoch, 0); /* nothing to do, nothing written */
    fence(f, preferred);
    assert_int_equal(part(f, "t", 0)->leader, other);
    beat(f, preferred);
    pass_ms(f, 3000);
    assert_int_equal(part(f, "t", 0)->leader, other); /* not in sync yet */
    expand(f, other, preferred);
    beat(f, preferred);
    beat(f, other);
    pass_ms(f, 3000);
    assert_int_equal(part(f, "t", 0)->leader, preferred);
}

/* ---- topics ---------------------------------------------------------------------------------- */

static void create_topics_checks_names_numbers_and_limits(void **state)
{
    struct fixture *f = *state;
    char name[251];

    memset(name, 'x', 250);
    name[250] = '\0';
    cluster(f, 2);
    assert_int_equal(create(f, "", 1, 1), ERR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(create(f, "..", 1, 1), ERR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(create(f, "a b", 1, 1), ERR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(create(f, name, 1, 1), ERR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(create(f, "t", 0, 1), ERR_INVALID_PARTITIONS);
    assert_int_equal(create(f, "t", 1, 0), ERR_INVALID_REPLICATION_FACTOR);
    assert_int_equal(create(f, "t", 1, 3), ERR_INVALID_REPLICATION_FACTOR);
    assert_int_equal(create(f, "t", 201, 1), ERR_POLICY_VIOLATION);
    assert_int_equal(create(f, "t", 10001, 1), ERR_POLICY_VIOLATION);
    assert_int_equal(create(f, "a.b", -1, -1), ERR_NONE);
    assert_int_equal(f->created.topics[0].num_partitions, 1);
    assert_int_equal(f->created.topics[0].replication_factor, 1);
    assert_false(uuid_is_zero(f->created.topics[0].topic_id));
    assert_int_equal(create(f, "a_b", 1, 1), ERR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(create(f, "a.b", 1, 1), ERR_TOPIC_ALREADY_EXISTS);
}

static void validate_only_writes_nothing_and_configs_are_checked(void **state)
{
    struct fixture *f = *state;
    struct create_topics_request_config config = {STR("retention.ms"), STR("abc")};
    struct create_topics_request_topic topic = {.name = STR("t"),
                                                .num_partitions = 2,
                                                .replication_factor = 1,
                                                .configs = &config,
                                                .configs_count = 1};
    struct create_topics_request request = {
        .topics = &topic, .topics_count = 1, .validate_only = true};
    struct controller_call call = {.api = CONTROLLER_CREATE_TOPICS,
                                   .request.create_topics = &request,
                                   .response.create_topics = &f->created,
                                   .version = 7};

    cluster(f, 1);
    submit(f, call);
    commit(f);
    assert_int_equal(f->created.topics[0].error_code, ERR_INVALID_CONFIG);
    config.name = STR("no.such.config");
    submit(f, call);
    commit(f);
    assert_int_equal(f->created.topics[0].error_code, ERR_INVALID_CONFIG);
    config = (struct create_topics_request_config){STR("retention.ms"), STR("1000")};
    submit(f, call);
    commit(f);
    assert_int_equal(f->created.topics[0].error_code, ERR_NONE);
    assert_null(image_topic_by_name(&f->controller.image, STR("t")));
    request.validate_only = false;
    submit(f, call);
    commit(f);
    assert_true(str_equal(
        image_config_value(&f->loader.image, IMAGE_RESOURCE_TOPIC, STR("t"), STR("retention.ms")),
        STR("1000")));
    assert_int_equal(f->created.topics[0].configs_count, 1);
}

static void manual_assignments_are_taken_or_refused(void **state)
{
    struct fixture *f = *state;
    int32_t first[] = {2, 1}, second[] = {1, 2};
    struct create_topics_request_assignment assignments[] = {{0, first, 2}, {1, second, 2}};
    struct create_topics_request_topic topic = {.name = STR("t"),
                                                .num_partitions = -1,
                                                .replication_factor = -1,
                                                .assignments = assignments,
                                                .assignments_count = 2};
    struct create_topics_request request = {.topics = &topic, .topics_count = 1};
    struct controller_call call = {.api = CONTROLLER_CREATE_TOPICS,
                                   .request.create_topics = &request,
                                   .response.create_topics = &f->created,
                                   .version = 5};

    cluster(f, 2);
    second[0] = 2; /* twice in one partition */
    submit(f, call);
    assert_int_equal(f->created.topics[0].error_code, ERR_INVALID_REPLICA_ASSIGNMENT);
    second[0] = 7; /* not registered */
    submit(f, call);
    assert_int_equal(f->created.topics[0].error_code, ERR_INVALID_REPLICA_ASSIGNMENT);
    second[0] = 1;
    assignments[1].partition_index = 2; /* not consecutive */
    submit(f, call);
    assert_int_equal(f->created.topics[0].error_code, ERR_INVALID_REPLICA_ASSIGNMENT);
    assignments[1].partition_index = 1;
    assignments[1].broker_ids_count = 1; /* not equally long */
    submit(f, call);
    assert_int_equal(f->created.topics[0].error_code, ERR_INVALID_REPLICA_ASSIGNMENT);
    assignments[1].broker_ids_count = 2;
    topic.num_partitions = 2;
    submit(f, call);
    assert_int_equal(f->created.topics[0].error_code, ERR_INVALID_REQUEST);
    topic.num_partitions = -1;
    submit(f, call);
    commit(f);
    assert_int_equal(f->created.topics[0].error_code, ERR_NONE);
    assert_int_equal(part(f, "t", 0)->leader, 2);
    assert_int_equal(part(f, "t", 1)->leader, 1);
    assert_int_equal(part(f, "t", 1)->leader_epoch, 0);
}

static void delete_topics_by_name_and_by_id(void **state)
{
    struct fixture *f = *state;
    struct delete_topics_request_topic topics[3] = {
        {.name = STR("a")}, {.name = STR("a")}, {.name = STR_NULL}};
    struct controller_call call = {.api = CONTROLLER_DELETE_TOPICS,
                                   .request.delete_topics = &f->request.delete_topics,
                                   .response.delete_topics = &f->deleted,
                                   .version = 6};

    cluster(f, 1);
    assert_int_equal(create(f, "a", 1, 1), ERR_NONE);
    assert_int_equal(create(f, "b", 2, 1), ERR_NONE);
    topics[2].topic_id = f->created.topics[0].topic_id;
    delete_topics_request_default(&f->request.delete_topics);
    f->request.delete_topics.topics = topics;
    f->request.delete_topics.topics_count = 3;
    submit(f, call);
    commit(f);
    assert_int_equal(f->deleted.responses[0].error_code, ERR_NONE);
    assert_int_equal(f->deleted.responses[1].error_code, ERR_INVALID_REQUEST);
    assert_int_equal(f->deleted.responses[2].error_code, ERR_NONE);
    assert_true(str_equal(f->deleted.responses[2].name, STR("b")));
    assert_int_equal(f->loader.image.topics_by_id.count, 0);
    assert_int_equal(f->loader.image.partitions_count, 0);
    submit(f, call);
    commit(f);
    assert_int_equal(f->deleted.responses[0].error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(f->deleted.responses[2].error_code, ERR_UNKNOWN_TOPIC_ID);
}

static void alter_partition_changes_the_isr_once_per_request(void **state)
{
    struct fixture *f = *state;
    struct alter_partition_request_broker_state isr[1];
    struct alter_partition_request_partition parts[2];
    struct alter_partition_request_topic topic = {.partitions = parts, .partitions_count = 2};
    struct alter_partition_request request = {.topics = &topic, .topics_count = 1};
    struct controller_call call = {.api = CONTROLLER_ALTER_PARTITION,
                                   .request.alter_partition = &request,
                                   .response.alter_partition = &f->altered,
                                   .version = 3};
    int32_t leader;

    cluster(f, 2);
    assert_int_equal(create(f, "t", 1, 2), ERR_NONE);
    leader = part(f, "t", 0)->leader;
    isr[0].broker_id = leader;
    isr[0].broker_epoch = epoch_of(f, leader);
    memset(parts, 0, sizeof(parts));
    parts[0].new_isr_with_epochs = parts[1].new_isr_with_epochs = isr;
    parts[0].new_isr_with_epochs_count = parts[1].new_isr_with_epochs_count = 1;
    topic.topic_id = image_topic_by_name(&f->controller.image, STR("t"))->id;
    request.broker_id = leader;
    request.broker_epoch = epoch_of(f, leader) + 1;
    submit(f, call);
    commit(f);
    assert_int_equal(f->altered.error_code, ERR_STALE_BROKER_EPOCH);
    request.broker_epoch--;
    submit(f, call);
    commit(f);
    assert_int_equal(f->altered.error_code, ERR_NONE);
    assert_int_equal(f->altered.topics[0].partitions[0].error_code, ERR_NONE);
    assert_int_equal(f->altered.topics[0].partitions[0].partition_epoch, 1);
    assert_int_equal(f->altered.topics[0].partitions[0].isr_count, 1);
    assert_int_equal(f->altered.topics[0].partitions[1].error_code, ERR_INVALID_REQUEST);
    assert_int_equal(part(f, "t", 0)->isr_count, 1);
    assert_int_equal(part(f, "t", 0)->leader_epoch, 0);
    submit(f, call); /* the same again: its partition epoch is old now */
    commit(f);
    assert_int_equal(f->altered.topics[0].partitions[0].error_code, ERR_INVALID_UPDATE_VERSION);
    topic.topic_id.bytes[0] ^= 1;
    submit(f, call);
    commit(f);
    assert_int_equal(f->altered.topics[0].partitions[0].error_code, ERR_UNKNOWN_TOPIC_ID);
}

static void producer_id_blocks_never_overlap_k26(void **state)
{
    struct fixture *f = *state;
    struct controller_call call = {.api = CONTROLLER_ALLOCATE_PRODUCER_IDS,
                                   .request.allocate_producer_ids = &f->request.producer_ids,
                                   .response.allocate_producer_ids = &f->allocated};

    cluster(f, 1);
    f->request.producer_ids.broker_id = 1;
    f->request.producer_ids.broker_epoch = epoch_of(f, 1);
    submit(f, call);
    submit(f, call);
    commit(f);
    assert_int_equal(f->allocated.producer_id_start, 1000);
    assert_int_equal(f->allocated.producer_id_len, 1000);
    lose(f);
    lead(f, 2);
    commit(f);
    submit(f, call);
    commit(f);
    assert_int_equal(f->allocated.producer_id_start, 2000);
    f->request.producer_ids.broker_epoch++;
    submit(f, call);
    commit(f);
    assert_int_equal(f->allocated.error_code, ERR_STALE_BROKER_EPOCH);
}

/* ---- eligible leader replicas (KIP-966) ------------------------------------------------------ */

static enum err increment(struct fixture *f, int8_t type, const char *name, const char *key,
                          int8_t operation, struct str value);

/* Three brokers, min ISR 2, one partition; everybody has gone: `last` last. */
static void all_gone(struct fixture *f, int32_t first, int32_t second, int32_t last)
{
    cluster(f, 3);
    assert_int_equal(create(f, "t", 1, 3), ERR_NONE);
    assert_int_equal(increment(f, IMAGE_RESOURCE_TOPIC, "t", "min.insync.replicas", 0, STR("2")),
                     ERR_NONE);
    fence(f, first);
    assert_int_equal(part(f, "t", 0)->elr_count, 0);
    fence(f, second);
    assert_int_equal(part(f, "t", 0)->elr_count, 1);
    fence(f, last);
    assert_int_equal(part(f, "t", 0)->leader, IMAGE_NO_LEADER);
    assert_int_equal(part(f, "t", 0)->isr_count, 0);
    assert_true(image_ids_contain(image_elr(part(f, "t", 0)), second));
    assert_true(image_ids_contain(image_elr(part(f, "t", 0)), last));
    assert_int_equal(image_last_known_elr(part(f, "t", 0)).ids[0], last);
    pass_ms(f, SESSION_MS); /* their leases are over: others may register in their place */
    commit(f);
}

/* A new process of `id`; its machine has run on (`kept`), or it may have lost data. */
static void comes_back(struct fixture *f, int32_t id, uint8_t incarnation, bool kept)
{
    f->previous_epoch = kept ? epoch_of(f, id) : -1;
    join(f, id, incarnation);
    beat(f, id);
    assert_false(image_broker(&f->controller.image, id)->fenced);
}

static void who_may_have_lost_data_is_eligible_no_more(void **state)
{
    struct fixture *f = *state;

    all_gone(f, 1, 2, 3);
    comes_back(f, 3, 33, false);
    assert_int_equal(part(f, "t", 0)->leader, IMAGE_NO_LEADER);
    assert_int_equal(part(f, "t", 0)->elr_count, 1);
    comes_back(f, 1, 11, true); /* was not in the ISR when it fell below min ISR */
    assert_int_equal(part(f, "t", 0)->leader, IMAGE_NO_LEADER);
    comes_back(f, 2, 22, true);
    assert_int_equal(part(f, "t", 0)->leader, 2);
    assert_int_equal(part(f, "t", 0)->isr_count, 1);
    assert_int_equal(part(f, "t", 0)->elr_count, 0);
    assert_int_equal(part(f, "t", 0)->recovery, IMAGE_RECOVERED);
}

static void an_epoch_of_an_earlier_life_proves_nothing(void **state)
{
    struct fixture *f = *state;

    all_gone(f, 1, 2, 3);
    f->previous_epoch = epoch_of(f, 2) - 1;
    join(f, 2, 22);
    beat(f, 2);
    assert_int_equal(part(f, "t", 0)->leader, IMAGE_NO_LEADER);
    assert_false(image_ids_contain(image_elr(part(f, "t", 0)), 2));
}

/* A process that registers, telling of `epoch`, and ends before anything else. */
static void comes_and_dies(struct fixture *f, int32_t id, uint8_t incarnation, int64_t epoch)
{
    f->previous_epoch = epoch;
    join(f, id, incarnation);
    assert_true(image_broker(&f->controller.image, id)->fenced);
    pass_ms(f, SESSION_MS);
    commit(f);
}

/* Its directory tells of the life before until it is written in the new one. */
static void who_died_before_its_file_told_of_its_registration_stays_eligible(void **state)
{
    struct fixture *f = *state;
    int64_t epoch;

    all_gone(f, 1, 2, 3);
    epoch = epoch_of(f, 2);
    comes_and_dies(f, 2, 22, epoch);
    assert_true(epoch_of(f, 2) > epoch);
    comes_and_dies(f, 2, 23, epoch);
    comes_and_dies(f, 2, 24, epoch);
    assert_true(image_ids_contain(image_elr(part(f, "t", 0)), 2));
    epoch = epoch_of(f, 2); /* written at last, and killed all the same */
    comes_and_dies(f, 2, 25, epoch);
    f->previous_epoch = epoch;
    join(f, 2, 26);
    beat(f, 2);
    assert_int_equal(part(f, "t", 0)->leader, 2);
    assert_int_equal(part(f, "t", 0)->recovery, IMAGE_RECOVERED);
}

static void an_earlier_epoch_proves_nothing_once_the_broker_was_unfenced(void **state)
{
    struct fixture *f = *state;
    int64_t epoch;

    all_gone(f, 1, 2, 3);
    epoch = epoch_of(f, 2);
    comes_back(f, 2, 22, true);
    assert_int_equal(part(f, "t", 0)->leader, 2);
    fence(f, 2);
    pass_ms(f, SESSION_MS);
    commit(f);
    assert_true(image_ids_contain(image_elr(part(f, "t", 0)), 2));
    comes_and_dies(f, 2, 23, epoch);
    assert_false(image_ids_contain(image_elr(part(f, "t", 0)), 2));
}

static void an_earlier_epoch_proves_nothing_after_a_life_that_may_have_lost_data(void **state)
{
    struct fixture *f = *state;
    int64_t epoch;

    all_gone(f, 1, 2, 3);
    epoch = epoch_of(f, 2);
    comes_and_dies(f, 2, 22, -1);
    assert_int_equal(image_broker(&f->controller.image, 2)->kept_epoch, -1);
    comes_and_dies(f, 2, 23, epoch);
    assert_int_equal(image_broker(&f->controller.image, 2)->kept_epoch, -1);
    comes_and_dies(f, 3, 33, -1);
    comes_and_dies(f, 3, 34, -1); /* that nothing is known is no proof */
    assert_int_equal(part(f, "t", 0)->elr_count, 0);
}

static void the_eligible_lead_only_when_they_are_there(void **state)
{
    struct fixture *f = *state;

    all_gone(f, 1, 2, 3);
    f->previous_epoch = epoch_of(f, 2);
    join(f, 2, 22); /* registered, fenced */
    assert_int_equal(part(f, "t", 0)->leader, IMAGE_NO_LEADER);
    comes_back(f, 1, 11, true);
    assert_int_equal(part(f, "t", 0)->leader, IMAGE_NO_LEADER);
    beat(f, 2);
    assert_int_equal(part(f, "t", 0)->leader, 2);
}

static void the_last_leader_leads_when_nobody_is_eligible(void **state)
{
    struct fixture *f = *state;

    all_gone(f, 1, 2, 3);
    comes_back(f, 2, 22, false);
    assert_int_equal(part(f, "t", 0)->elr_count, 1);
    f->previous_epoch = -1;
    join(f, 3, 33);
    assert_int_equal(part(f, "t", 0)->elr_count, 0);
    assert_int_equal(part(f, "t", 0)->leader, IMAGE_NO_LEADER); /* it is fenced (KAFKA-19522) */
    beat(f, 3);
    assert_int_equal(part(f, "t", 0)->leader, 3);
    assert_int_equal(part(f, "t", 0)->recovery, IMAGE_RECOVERING);
    assert_int_equal(part(f, "t", 0)->last_known_elr_count, 0);
}

static void min_isr_lowered_ends_eligibility_and_raised_moves_the_partition_epoch(void **state)
{
    struct fixture *f = *state;
    int32_t epoch;

    cluster(f, 3);
    assert_int_equal(create(f, "t", 1, 3), ERR_NONE);
    epoch = part(f, "t", 0)->partition_epoch;
    assert_int_equal(increment(f, IMAGE_RESOURCE_TOPIC, "t", "min.insync.replicas", 0, STR("2")),
                     ERR_NONE);
    assert_int_equal(part(f, "t", 0)->partition_epoch, epoch + 1);
    assert_int_equal(part(f, "t", 0)->isr_count, 3);
    fence(f, 1);
    fence(f, 2);
    assert_int_equal(part(f, "t", 0)->elr_count, 1);
    assert_int_equal(increment(f, IMAGE_RESOURCE_BROKER, "", "min.insync.replicas", 0, STR("2")),
                     ERR_NONE);
    assert_int_equal(part(f, "t", 0)->elr_count, 1); /* the topic has a value of its own */
    assert_int_equal(increment(f, IMAGE_RESOURCE_TOPIC, "t", "min.insync.replicas", 0, STR("1")),
                     ERR_NONE);
    assert_int_equal(part(f, "t", 0)->elr_count, 0);
    assert_int_equal(part(f, "t", 0)->leader, 3);
    /* Brokers and controllers go by this one: it stays. */
    assert_int_equal(increment(f, IMAGE_RESOURCE_BROKER, "", "min.insync.replicas", 1, STR_NULL),
                     ERR_INVALID_CONFIG);
}

static void a_broker_that_knows_no_eligible_replicas_is_refused(void **state)
{
    struct fixture *f = *state;

    lead(f, 1);
    commit(f);
    f->without_elr = true;
    send_register(f, 5, 1);
    commit(f);
    assert_int_equal(f->registered.error_code, ERR_UNSUPPORTED_VERSION);
}

/* ---- settings, partitions, elections on request ---------------------------------------------- */

static enum err increment(struct fixture *f, int8_t type, const char *name, const char *key,
                          int8_t operation, struct str value)
{
    struct incremental_alter_configs_request_config config = {str_of(key), operation, value};
    struct incremental_alter_configs_request_resource resource = {type, str_of(name), &config, 1};
    struct incremental_alter_configs_request request = {&resource, 1, false};

    submit(f, (struct controller_call){.api = CONTROLLER_INCREMENTAL_ALTER_CONFIGS,
                                       .request.incremental_alter_configs = &request,
                                       .response.incremental_alter_configs = &f->incremented,
                                       .version = 1});
    commit(f);
    return (enum err)f->incremented.responses[0].error_code;
}

static struct str setting(struct fixture *f, int8_t type, const char *name, const char *key)
{
    return image_config_value(&f->loader.image, type, str_of(name), str_of(key));
}

static void settings_change_one_by_one_and_wrong_ones_are_refused(void **state)
{
    struct fixture *f = *state;
    int64_t end;

    cluster(f, 1);
    assert_int_equal(create(f, "t", 1, 1), ERR_NONE);
    assert_int_equal(increment(f, 2, "t", "retention.ms", 0, STR("5")), ERR_NONE);
    assert_true(str_equal(setting(f, 2, "t", "retention.ms"), STR("5")));
    end = f->end;
    assert_int_equal(increment(f, 2, "t", "retention.ms", 0, STR("5")), ERR_NONE);
    assert_int_equal(f->end, end); /* as it was: nothing is written */
    assert_int_equal(increment(f, 2, "t", "retention.ms", 1, STR_NULL), ERR_NONE);
    assert_null(setting(f, 2, "t", "retention.ms").data);
    end = f->end;
    assert_int_equal(increment(f, 2, "t", "retention.ms", 0, STR("-2")), ERR_INVALID_CONFIG);
    assert_int_equal(increment(f, 2, "t", "no.such", 0, STR("1")), ERR_INVALID_CONFIG);
    assert_int_equal(increment(f, 2, "t", "cleanup.policy", 0, STR("shrink")), ERR_INVALID_CONFIG);
    assert_int_equal(increment(f, 2, "t", "cleanup.policy", 2, STR("shrink")), ERR_INVALID_CONFIG);
    assert_int_equal(increment(f, 2, "t", "retention.ms", 2, STR("1")), ERR_INVALID_CONFIG);
    assert_int_equal(increment(f, 2, "t", "retention.ms", 7, STR("1")), ERR_INVALID_REQUEST);
    assert_int_equal(increment(f, 2, "u", "retention.ms", 0, STR("1")),
                     ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(increment(f, 4, "9", "log.retention.ms", 0, STR("1")),
                     ERR_BROKER_ID_NOT_REGISTERED);
    assert_int_equal(increment(f, 4, "1", "min.insync.replicas", 0, STR("1")), ERR_INVALID_CONFIG);
    assert_int_equal(increment(f, 4, "1", "node.id", 0, STR("1")), ERR_INVALID_CONFIG);
    assert_int_equal(increment(f, 8, "1", "x", 0, STR("1")), ERR_INVALID_REQUEST);
    assert_int_equal(f->end, end);
    assert_int_equal(increment(f, 4, "", "min.insync.replicas", 0, STR("2")), ERR_NONE);
    assert_true(str_equal(setting(f, 4, "", "min.insync.replicas"), STR("2")));
    assert_int_equal(increment(f, 4, "1", "log.retention.ms", 0, STR("77")), ERR_NONE);
    assert_true(str_equal(setting(f, 4, "1", "log.retention.ms"), STR("77")));
    /* A list that does not change is no change. */
    assert_int_equal(increment(f, 2, "t", "cleanup.policy", 2, STR("delete")), ERR_NONE);
    assert_int_equal(increment(f, 2, "t", "cleanup.policy", 3, STR("delete")), ERR_INVALID_CONFIG);
    assert_int_equal(increment(f, 2, "t", "cleanup.policy", 2, STR("compact")), ERR_NONE);
    assert_true(str_equal(setting(f, 2, "t", "cleanup.policy"), STR("delete,compact")));
}

static void replacing_settings_takes_away_what_is_not_named(void **state)
{
    struct fixture *f = *state;
    struct alter_configs_request_config config = {STR("segment.bytes"), STR("2000")};
    struct alter_configs_request_resource resource = {2, STR("t"), &config, 1};
    struct alter_configs_request request = {&resource, 1, true};
    struct controller_call call = {.api = CONTROLLER_ALTER_CONFIGS,
                                   .request.alter_configs = &request,
                                   .response.alter_configs = &f->replaced,
                                   .version = 2};
    int64_t end;

    cluster(f, 1);
    assert_int_equal(create(f, "t", 1, 1), ERR_NONE);
    assert_int_equal(increment(f, 2, "t", "retention.ms", 0, STR("5")), ERR_NONE);
    end = f->end;
    submit(f, call);
    commit(f);
    assert_int_equal(f->replaced.responses[0].error_code, ERR_NONE);
    assert_int_equal(f->end, end); /* only validated */
    request.validate_only = false;
    submit(f, call);
    commit(f);
    assert_int_equal(f->replaced.responses[0].error_code, ERR_NONE);
    assert_null(setting(f, 2, "t", "retention.ms").data);
    assert_true(str_equal(setting(f, 2, "t", "segment.bytes"), STR("2000")));
}

static enum err grow(struct fixture *f, const char *name, int32_t count,
                     struct create_partitions_request_assignment *assignments, uint32_t given)
{
    struct create_partitions_request_topic topic = {.name = str_of(name),
                                                    .count = count,
                                                    .assignments = assignments,
                                                    .assignments_count = given,
                                                    .assignments_null = assignments == NULL};
    struct create_partitions_request request = {.topics = &topic, .topics_count = 1};

    submit(f, (struct controller_call){.api = CONTROLLER_CREATE_PARTITIONS,
                                       .request.create_partitions = &request,
                                       .response.create_partitions = &f->grown,
                                       .version = 3});
    commit(f);
    return (enum err)f->grown.results[0].error_code;
}

static void a_topic_gets_more_partitions_and_never_fewer(void **state)
{
    struct fixture *f = *state;
    int32_t ids[] = {2, 1};
    struct create_partitions_request_assignment assignment = {ids, 2};

    cluster(f, 2);
    assert_int_equal(create(f, "t", 2, 2), ERR_NONE);
    assert_int_equal(grow(f, "t", 2, NULL, 0), ERR_INVALID_PARTITIONS);
    assert_int_equal(grow(f, "t", 1, NULL, 0), ERR_INVALID_PARTITIONS);
    assert_int_equal(grow(f, "u", 3, NULL, 0), ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_null(part(f, "t", 2));
    assert_int_equal(grow(f, "t", 4, NULL, 0), ERR_NONE);
    assert_int_equal(part(f, "t", 3)->replicas_count, 2);
    assert_true(part(f, "t", 3)->leader >= 1);
    assert_int_equal(grow(f, "t", 6, &assignment, 1), ERR_INVALID_REPLICA_ASSIGNMENT);
    assignment.broker_ids_count = 1;
    assert_int_equal(grow(f, "t", 5, &assignment, 1), ERR_INVALID_REPLICA_ASSIGNMENT);
    assignment.broker_ids_count = 2;
    ids[0] = 1;
    assert_int_equal(grow(f, "t", 5, &assignment, 1), ERR_INVALID_REPLICA_ASSIGNMENT);
    ids[0] = 2;
    assert_int_equal(grow(f, "t", 5, &assignment, 1), ERR_NONE);
    assert_int_equal(part(f, "t", 4)->leader, 2);
    assert_null(part(f, "t", 5));
}

static enum err feature(struct fixture *f, const char *name, int16_t level, int8_t how)
{
    struct update_features_request_feature_update_key key = {
        .feature = str_of(name), .max_version_level = level, .upgrade_type = how};
    struct update_features_request request = {.feature_updates = &key, .feature_updates_count = 1};

    submit(f, (struct controller_call){.api = CONTROLLER_UPDATE_FEATURES,
                                       .request.update_features = &request,
                                       .response.update_features = &f->updated,
                                       .version = 2});
    commit(f);
    assert_int_equal(f->updated.results_count, 0);
    return (enum err)f->updated.error_code;
}

static int16_t level(struct fixture *f, const char *name)
{
    return image_feature_level(&f->controller.image, str_of(name));
}

static void a_feature_goes_up_when_all_know_it_and_down_where_nothing_is_lost(void **state)
{
    struct fixture *f = *state;
    const char *metadata = "metadata.version";
    const char *elr = "eligible.leader.replicas.version";

    cluster(f, 2);
    assert_int_equal(level(f, metadata), 23);
    assert_int_equal(level(f, elr), 1);
    assert_int_equal(feature(f, metadata, 24, 1), ERR_INVALID_UPDATE_VERSION); /* nobody knows it */
    assert_int_equal(feature(f, metadata, 16, 2), ERR_INVALID_UPDATE_VERSION);
    assert_int_equal(feature(f, metadata, 22, 1), ERR_INVALID_UPDATE_VERSION); /* not said: down */
    assert_int_equal(feature(f, metadata, 22, 2),
                     ERR_INVALID_UPDATE_VERSION); /* 23 could be lost */
    assert_int_equal(feature(f, metadata, 22, 3), ERR_INVALID_UPDATE_VERSION);
    assert_int_equal(feature(f, metadata, 23, 9), ERR_INVALID_UPDATE_VERSION);
    assert_int_equal(feature(f, metadata, 23, 1), ERR_NONE);
    assert_int_equal(feature(f, "kraft.version", 1, 1), ERR_INVALID_UPDATE_VERSION);
    assert_int_equal(level(f, "group.version"), 1); /* as Kafka 4.0 formats */
    assert_int_equal(feature(f, "group.version", 2, 1), ERR_INVALID_UPDATE_VERSION);
    assert_int_equal(feature(f, "group.version", 0, 1), ERR_INVALID_UPDATE_VERSION);
    assert_int_equal(feature(f, "group.version", 0, 2), ERR_NONE);
    assert_int_equal(level(f, "group.version"), 0);
    assert_int_equal(feature(f, "group.version", 1, 1), ERR_NONE);
    assert_int_equal(level(f, "group.version"), 1);
    assert_int_equal(feature(f, "no.such.version", 1, 1), ERR_INVALID_UPDATE_VERSION);
    assert_int_equal(feature(f, elr, 0, 1), ERR_INVALID_UPDATE_VERSION);
    assert_int_equal(feature(f, elr, -1, 2), ERR_INVALID_UPDATE_VERSION);
    assert_int_equal(feature(f, elr, 0, 2), ERR_NONE);
    assert_int_equal(level(f, elr), 0);
    assert_true(f->updated.error_message.data == NULL);
    assert_int_equal(feature(f, elr, 1, 2), ERR_INVALID_UPDATE_VERSION); /* not said: up */
    assert_int_equal(feature(f, elr, 1, 1), ERR_NONE);
    assert_int_equal(level(f, elr), 1);
    assert_int_equal(feature(f, elr, 0, 2), ERR_NONE);
    f->without_elr = true;
    (void)join(f, 3, 9);
    assert_int_equal(feature(f, elr, 1, 1), ERR_INVALID_UPDATE_VERSION); /* broker 3 does not */
    assert_true(f->updated.error_message.length > 0);
}

static void a_node_that_does_not_know_a_level_that_counts_is_not_taken(void **state)
{
    struct fixture *f = *state;

    cluster(f, 1);
    f->metadata_min = 17;
    f->metadata_max = 20;
    send_register(f, 2, 7);
    commit(f);
    assert_int_equal(f->registered.error_code, ERR_UNSUPPORTED_VERSION);
}

static enum err announce(struct fixture *f, int32_t id, int16_t elr_max)
{
    struct controller_registration_request_listener listener = {STR("CONTROLLER"), STR("h"), 9093,
                                                                0};
    struct controller_registration_request_feature features[] = {{STR("metadata.version"), 17, 23},
                                                                 {STR("group.version"), 0, 1},
                                                                 {STR(ELR_FEATURE), 0, elr_max}};
    struct controller_registration_request request = {.controller_id = id,
                                                      .incarnation_id = {{(uint8_t)id}},
                                                      .listeners = &listener,
                                                      .listeners_count = 1,
                                                      .features = features,
                                                      .features_count = 3};

    submit(f, (struct controller_call){.api = CONTROLLER_CONTROLLER_REGISTRATION,
                                       .request.controller_registration = &request,
                                       .response.controller_registration = &f->known,
                                       .version = 0});
    commit(f);
    return (enum err)f->known.error_code;
}

static void a_registered_controller_that_does_not_know_it_holds_a_feature_back(void **state)
{
    struct fixture *f = *state;

    cluster(f, 1);
    assert_int_equal(announce(f, 102, 0), ERR_UNSUPPORTED_VERSION); /* 1 counts */
    assert_int_equal(announce(f, -1, 1), ERR_INVALID_REQUEST);
    assert_int_equal(feature(f, ELR_FEATURE, 0, 2), ERR_NONE);
    assert_int_equal(announce(f, 102, 0), ERR_NONE);
    assert_int_equal(f->loader.image.controllers.count, 1);
    assert_int_equal(feature(f, ELR_FEATURE, 1, 1), ERR_INVALID_UPDATE_VERSION);
    assert_int_equal(announce(f, 102, 1), ERR_NONE); /* a newer build */
    assert_int_equal(feature(f, ELR_FEATURE, 1, 1), ERR_NONE);
}

static enum err elect(struct fixture *f, int8_t type, const char *name, int32_t index)
{
    struct elect_leaders_request_topic topic = {str_of(name), &index, 1};
    struct elect_leaders_request request = {
        .election_type = type, .topic_partitions = &topic, .topic_partitions_count = 1};

    submit(f, (struct controller_call){.api = CONTROLLER_ELECT_LEADERS,
                                       .request.elect_leaders = &request,
                                       .response.elect_leaders = &f->elected,
                                       .version = 2});
    commit(f);
    if (f->elected.error_code != 0) return (enum err)f->elected.error_code;
    return (enum err)f->elected.replica_election_results[0].partition_result[0].error_code;
}

static void an_election_on_request_says_why_there_is_none(void **state)
{
    struct fixture *f = *state;

    cluster(f, 2);
    assert_int_equal(create(f, "t", 1, 2), ERR_NONE);
    assert_int_equal(elect(f, 0, "t", 0), ERR_ELECTION_NOT_NEEDED);
    assert_int_equal(elect(f, 1, "t", 0), ERR_ELECTION_NOT_NEEDED);
    assert_int_equal(elect(f, 0, "t", 1), ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(elect(f, 0, "u", 0), ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(elect(f, 5, "t", 0), ERR_INVALID_REQUEST);
}

static void the_answer_of_an_election_outlives_its_topic(void **state)
{
    struct elect_leaders_request request = {.topic_partitions_null = true};
    struct delete_topics_request_topic gone = {.name = STR("t")};
    struct fixture *f = *state;
    const struct image_topic *topic;
    const char *name;

    cluster(f, 2);
    assert_int_equal(create(f, "t", 1, 2), ERR_NONE);
    topic = image_topic_by_name(&f->controller.image, STR("t"));
    name = topic->name.data;
    fence(f, topic->partitions[0].ids[0]);
    submit(f, (struct controller_call){.api = CONTROLLER_ELECT_LEADERS,
                                       .request.elect_leaders = &request,
                                       .response.elect_leaders = &f->elected,
                                       .version = 2});
    delete_topics_request_default(&f->request.delete_topics);
    f->request.delete_topics.topics = &gone;
    f->request.delete_topics.topics_count = 1;
    submit(f, (struct controller_call){.api = CONTROLLER_DELETE_TOPICS,
                                       .request.delete_topics = &f->request.delete_topics,
                                       .response.delete_topics = &f->deleted,
                                       .version = 6});
    commit(f);
    assert_int_equal(f->elected.replica_election_results_count, 1);
    assert_ptr_not_equal(f->elected.replica_election_results[0].topic.data, name);
    assert_true(str_equal(f->elected.replica_election_results[0].topic, STR("t")));
}

/* ---- reassignments --------------------------------------------------------------------------- */

/* The leader of "t" tells this ISR. */
static enum err tell_isr(struct fixture *f, const int32_t *ids, uint32_t count)
{
    const struct image_topic *topic = image_topic_by_name(&f->controller.image, STR("t"));
    int32_t leader = topic->partitions[0].leader;
    struct alter_partition_request_broker_state isr[8];
    struct alter_partition_request_partition in = {
        .leader_epoch = topic->partitions[0].leader_epoch,
        .partition_epoch = topic->partitions[0].partition_epoch,
        .new_isr_with_epochs = isr,
        .new_isr_with_epochs_count = count};
    struct alter_partition_request_topic in_topic = {
        .topic_id = topic->id, .partitions = &in, .partitions_count = 1};
    struct alter_partition_request request = {.broker_id = leader,
                                              .broker_epoch = epoch_of(f, leader),
                                              .topics = &in_topic,
                                              .topics_count = 1};

    for (uint32_t i = 0; i < count; i++)
        isr[i] = (struct alter_partition_request_broker_state){ids[i], epoch_of(f, ids[i])};
    submit(f, (struct controller_call){.api = CONTROLLER_ALTER_PARTITION,
                                       .request.alter_partition = &request,
                                       .response.alter_partition = &f->altered,
                                       .version = 3});
    commit(f);
    return (enum err)f->altered.topics[0].partitions[0].error_code;
}

#define TELL_ISR(f, ...) \
    tell_isr((f), (int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

/* No ids: the reassignment is cancelled. */
static enum err reassign(struct fixture *f, const char *name, int32_t index, int32_t *ids,
                         uint32_t count)
{
    struct alter_partition_reassignments_request_partition in = {.partition_index = index,
                                                                 .replicas = ids,
                                                                 .replicas_count = count,
                                                                 .replicas_null = ids == NULL};
    struct alter_partition_reassignments_request_topic topic = {str_of(name), &in, 1};
    struct alter_partition_reassignments_request request = {
        .timeout_ms = 1000, .topics = &topic, .topics_count = 1};

    submit(f, (struct controller_call){.api = CONTROLLER_ALTER_REASSIGNMENTS,
                                       .request.alter_reassignments = &request,
                                       .response.alter_reassignments = &f->reassigned});
    commit(f);
    assert_int_equal(f->reassigned.error_code, ERR_NONE);
    assert_true(str_equal(f->reassigned.responses[0].name, str_of(name)));
    assert_int_equal(f->reassigned.responses[0].partitions[0].partition_index, index);
    return (enum err)f->reassigned.responses[0].partitions[0].error_code;
}

#define REASSIGN(f, ...)                            \
    reassign((f), "t", 0, (int32_t[]){__VA_ARGS__}, \
             sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

static void expect_ids(struct image_ids ids, const int32_t *expected, uint32_t count)
{
    assert_int_equal(ids.count, count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(ids.ids[i], expected[i]);
}

#define EXPECT_IDS(ids, ...) \
    expect_ids((ids), (int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

/* A topic "t" of one partition with these replicas. */
static void create_at(struct fixture *f, int32_t *ids, uint32_t count)
{
    struct create_topics_request_assignment assignment = {0, ids, count};
    struct create_topics_request_topic topic = {.name = STR("t"),
                                                .num_partitions = -1,
                                                .replication_factor = -1,
                                                .assignments = &assignment,
                                                .assignments_count = 1};
    struct create_topics_request request = {.topics = &topic, .topics_count = 1};

    submit(f, (struct controller_call){.api = CONTROLLER_CREATE_TOPICS,
                                       .request.create_topics = &request,
                                       .response.create_topics = &f->created,
                                       .version = 7});
    commit(f);
    assert_int_equal(f->created.topics[0].error_code, ERR_NONE);
}

#define CREATE_AT(f, ...) \
    create_at((f), (int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

/* Of "t", or of all. */
static const struct list_partition_reassignments_response *list_ongoing(struct fixture *f, bool all)
{
    int32_t indexes[] = {0, 7};
    struct list_partition_reassignments_request_topic topics[] = {{STR("t"), indexes, 2},
                                                                  {STR("unknown"), indexes, 2}};
    struct list_partition_reassignments_request request = {
        .timeout_ms = 1000, .topics = topics, .topics_count = all ? 0 : 2, .topics_null = all};

    submit(f, (struct controller_call){.api = CONTROLLER_LIST_REASSIGNMENTS,
                                       .request.list_reassignments = &request,
                                       .response.list_reassignments = &f->reassigning});
    commit(f);
    assert_int_equal(f->reassigning.error_code, ERR_NONE);
    return &f->reassigning;
}

static void a_reassignment_is_listed_until_all_targets_are_in_sync(void **state)
{
    const struct list_partition_reassignments_response *list;
    struct fixture *f = *state;

    cluster(f, 5);
    CREATE_AT(f, 1, 2, 3);
    assert_int_equal(list_ongoing(f, true)->topics_count, 0);
    assert_int_equal(REASSIGN(f, 4, 2, 5), ERR_NONE);
    EXPECT_IDS(image_replicas(part(f, "t", 0)), 4, 2, 5, 1, 3);
    EXPECT_IDS(image_adding(part(f, "t", 0)), 4, 5);
    EXPECT_IDS(image_removing(part(f, "t", 0)), 1, 3);
    assert_int_equal(part(f, "t", 0)->leader_epoch, 0); /* the leader stays, so does its epoch */
    for (int all = 0; all <= 1; all++) {
        list = list_ongoing(f, all == 1);
        assert_int_equal(list->topics_count, 1);
        assert_int_equal(list->topics[0].partitions_count, 1);
        assert_int_equal(list->topics[0].partitions[0].replicas_count, 5);
        assert_int_equal(list->topics[0].partitions[0].adding_replicas[1], 5);
        assert_int_equal(list->topics[0].partitions[0].removing_replicas[0], 1);
    }
    assert_int_equal(TELL_ISR(f, 1, 2, 3, 4), ERR_NONE);
    assert_int_equal(part(f, "t", 0)->removing_count, 2);
    lose(f); /* another controller goes on with it */
    lead(f, 2);
    commit(f);
    assert_int_equal(TELL_ISR(f, 1, 2, 3, 4, 5), ERR_NEW_LEADER_ELECTED);
    EXPECT_IDS(image_replicas(part(f, "t", 0)), 4, 2, 5);
    EXPECT_IDS(image_isr(part(f, "t", 0)), 2, 4, 5);
    assert_int_equal(part(f, "t", 0)->leader, 4);
    assert_int_equal(part(f, "t", 0)->leader_epoch, 1);
    assert_int_equal(part(f, "t", 0)->adding_count + part(f, "t", 0)->removing_count, 0);
    assert_int_equal(list_ongoing(f, true)->topics_count, 0);
}

static void a_reassignment_that_cannot_be_is_refused_with_kafkas_codes(void **state)
{
    struct fixture *f = *state;

    cluster(f, 3);
    CREATE_AT(f, 1, 2);
    assert_int_equal(REASSIGN(f, 1, 1), ERR_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(REASSIGN(f, 1, 9), ERR_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(REASSIGN(f, 1, -1), ERR_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(reassign(f, "t", 0, (int32_t[]){0}, 0), ERR_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(reassign(f, "t", 1, (int32_t[]){1}, 1), ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(reassign(f, "t", -1, (int32_t[]){1}, 1), ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(reassign(f, "u", 0, (int32_t[]){1}, 1), ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(reassign(f, "t", 0, NULL, 0), ERR_NO_REASSIGNMENT_IN_PROGRESS);
    assert_int_equal(part(f, "t", 0)->partition_epoch, 0);
    assert_int_equal(REASSIGN(f, 1, 2), ERR_NONE); /* as it is */
    assert_int_equal(part(f, "t", 0)->partition_epoch, 0);
    assert_int_equal(REASSIGN(f, 2, 1), ERR_NONE); /* another order: nobody comes or goes */
    EXPECT_IDS(image_replicas(part(f, "t", 0)), 2, 1);
    assert_int_equal(part(f, "t", 0)->leader_epoch, 0);
    assert_int_equal(reassign(f, "t", 0, NULL, 0), ERR_NO_REASSIGNMENT_IN_PROGRESS);
}

static void fewer_replicas_wait_for_those_that_stay(void **state)
{
    struct fixture *f = *state;

    cluster(f, 3);
    CREATE_AT(f, 1, 2, 3);
    assert_int_equal(TELL_ISR(f, 1, 3), ERR_NONE);
    assert_int_equal(REASSIGN(f, 2), ERR_NONE);
    EXPECT_IDS(image_removing(part(f, "t", 0)), 1, 3); /* 2 is not in sync */
    assert_int_equal(TELL_ISR(f, 1, 2, 3), ERR_NEW_LEADER_ELECTED);
    EXPECT_IDS(image_replicas(part(f, "t", 0)), 2);
    EXPECT_IDS(image_isr(part(f, "t", 0)), 2);
    assert_int_equal(part(f, "t", 0)->leader, 2);
    assert_int_equal(REASSIGN(f, 2, 1), ERR_NONE);
    assert_int_equal(part(f, "t", 0)->adding_count, 1);
    assert_int_equal(REASSIGN(f, 2), ERR_NONE); /* back, by naming it: over at once */
    EXPECT_IDS(image_replicas(part(f, "t", 0)), 2);
    assert_int_equal(part(f, "t", 0)->adding_count + part(f, "t", 0)->removing_count, 0);
    assert_int_equal(part(f, "t", 0)->leader_epoch, 2); /* fences out who was being added */
}

static void a_cancelled_reassignment_takes_those_being_added_out(void **state)
{
    struct fixture *f = *state;

    cluster(f, 4);
    CREATE_AT(f, 1, 2);
    assert_int_equal(REASSIGN(f, 3, 4), ERR_NONE);
    assert_int_equal(TELL_ISR(f, 1, 2, 3), ERR_NONE);
    assert_int_equal(reassign(f, "t", 0, NULL, 0), ERR_NONE);
    EXPECT_IDS(image_replicas(part(f, "t", 0)), 1, 2);
    EXPECT_IDS(image_isr(part(f, "t", 0)), 1, 2);
    assert_int_equal(part(f, "t", 0)->adding_count + part(f, "t", 0)->removing_count, 0);
    assert_int_equal(part(f, "t", 0)->leader, 1);
    assert_int_equal(part(f, "t", 0)->leader_epoch, 1);
    assert_int_equal(reassign(f, "t", 0, NULL, 0), ERR_NO_REASSIGNMENT_IN_PROGRESS);
}

static void going_back_is_refused_when_only_the_added_have_the_data(void **state)
{
    struct fixture *f = *state;

    cluster(f, 3);
    CREATE_AT(f, 1);
    assert_int_equal(REASSIGN(f, 2, 3), ERR_NONE);
    assert_int_equal(TELL_ISR(f, 1, 2), ERR_NONE);
    fence(f, 1);
    assert_int_equal(part(f, "t", 0)->leader, 2);
    EXPECT_IDS(image_isr(part(f, "t", 0)), 2);
    assert_int_equal(reassign(f, "t", 0, NULL, 0), ERR_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(part(f, "t", 0)->adding_count, 2);
    assert_int_equal(
        increment(f, IMAGE_RESOURCE_TOPIC, "t", "unclean.leader.election.enable", 0, STR("true")),
        ERR_NONE);
    assert_int_equal(reassign(f, "t", 0, NULL, 0), ERR_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(part(f, "t", 0)->leader, 2); /* 1 is fenced: nobody could lead */
    beat(f, 1);
    assert_int_equal(reassign(f, "t", 0, NULL, 0), ERR_NONE);
    EXPECT_IDS(image_replicas(part(f, "t", 0)), 1);
    assert_int_equal(part(f, "t", 0)->leader, 1);
    assert_int_equal(part(f, "t", 0)->recovery, IMAGE_RECOVERING); /* it is told: unclean */
}

static void another_target_keeps_an_added_leader_until_the_end_f64(void **state)
{
    struct fixture *f = *state;

    cluster(f, 5);
    CREATE_AT(f, 1, 2);
    assert_int_equal(REASSIGN(f, 3, 4), ERR_NONE);
    assert_int_equal(TELL_ISR(f, 1, 2, 3), ERR_NONE);
    assert_int_equal(elect(f, 0, "t", 0), ERR_NONE);
    assert_int_equal(part(f, "t", 0)->leader, 3);
    assert_int_equal(REASSIGN(f, 1, 5), ERR_NONE);
    EXPECT_IDS(image_replicas(part(f, "t", 0)), 1, 5, 3, 4, 2);
    EXPECT_IDS(image_adding(part(f, "t", 0)), 5);
    EXPECT_IDS(image_removing(part(f, "t", 0)), 3, 4, 2);
    assert_int_equal(part(f, "t", 0)->leader, 3);
    assert_int_equal(TELL_ISR(f, 1, 2, 3, 5), ERR_NEW_LEADER_ELECTED);
    EXPECT_IDS(image_replicas(part(f, "t", 0)), 1, 5);
    EXPECT_IDS(image_isr(part(f, "t", 0)), 1, 5);
    assert_int_equal(part(f, "t", 0)->leader, 1);
}

static void who_was_being_added_stays_so_under_another_target(void **state)
{
    struct fixture *f = *state;

    cluster(f, 5);
    CREATE_AT(f, 1, 2);
    assert_int_equal(REASSIGN(f, 3, 4), ERR_NONE);
    assert_int_equal(REASSIGN(f, 3, 5), ERR_NONE);
    EXPECT_IDS(image_adding(part(f, "t", 0)), 3, 5);
    assert_int_equal(TELL_ISR(f, 1, 2, 5), ERR_NONE);
    assert_int_equal(part(f, "t", 0)->adding_count, 2); /* 3 is still to come */
    assert_int_equal(reassign(f, "t", 0, NULL, 0), ERR_NONE);
    assert_false(image_ids_contain(image_replicas(part(f, "t", 0)), 3));
}

static void who_was_removed_is_not_eligible_when_it_is_added_again_f27(void **state)
{
    struct fixture *f = *state;

    cluster(f, 5);
    CREATE_AT(f, 1, 2, 3, 4);
    assert_int_equal(increment(f, IMAGE_RESOURCE_TOPIC, "t", "min.insync.replicas", 0, STR("3")),
                     ERR_NONE);
    assert_int_equal(TELL_ISR(f, 1), ERR_NONE);
    EXPECT_IDS(image_elr(part(f, "t", 0)), 2, 3, 4);
    assert_int_equal(REASSIGN(f, 1, 5, 3, 4), ERR_NONE);
    assert_int_equal(TELL_ISR(f, 1, 5), ERR_NONE);
    EXPECT_IDS(image_replicas(part(f, "t", 0)), 1, 5, 3, 4);
    EXPECT_IDS(image_elr(part(f, "t", 0)), 3, 4);
    assert_int_equal(REASSIGN(f, 1, 2, 3, 4), ERR_NONE);
    assert_false(image_ids_contain(image_elr(part(f, "t", 0)), 2));
}

static void new_partitions_have_the_factor_that_is_wanted(void **state)
{
    struct fixture *f = *state;

    cluster(f, 4);
    CREATE_AT(f, 1, 2);
    assert_int_equal(REASSIGN(f, 3, 4), ERR_NONE);
    assert_int_equal(part(f, "t", 0)->replicas_count, 4);
    assert_int_equal(grow(f, "t", 2, NULL, 0), ERR_NONE);
    assert_int_equal(part(f, "t", 1)->replicas_count, 2);
}

/* ---- unregistration -------------------------------------------------------------------------- */

static enum err unregister(struct fixture *f, int32_t id)
{
    struct unregister_broker_request request = {.broker_id = id};

    submit(f, (struct controller_call){.api = CONTROLLER_UNREGISTER_BROKER,
                                       .request.unregister_broker = &request,
                                       .response.unregister_broker = &f->unregistered});
    commit(f);
    return (enum err)f->unregistered.error_code;
}

static void a_broker_that_is_unregistered_is_in_no_isr_and_may_come_again(void **state)
{
    struct fixture *f = *state;
    int64_t epoch;

    cluster(f, 3);
    CREATE_AT(f, 1, 2, 3);
    assert_int_equal(unregister(f, 9), ERR_BROKER_ID_NOT_REGISTERED);
    epoch = epoch_of(f, 1);
    assert_int_equal(unregister(f, 1), ERR_NONE);
    assert_null(image_broker(&f->controller.image, 1));
    EXPECT_IDS(image_replicas(part(f, "t", 0)), 1, 2, 3);
    EXPECT_IDS(image_isr(part(f, "t", 0)), 2, 3);
    assert_int_equal(part(f, "t", 0)->leader, 2);
    assert_int_equal(unregister(f, 1), ERR_BROKER_ID_NOT_REGISTERED);
    send_beat(f, 1, epoch, f->loader.image.last_offset, false);
    assert_int_equal(f->beat.error_code, ERR_STALE_BROKER_EPOCH);
    assert_int_equal(REASSIGN(f, 2, 1), ERR_INVALID_REPLICA_ASSIGNMENT);
    join(f, 1, 77);
    beat(f, 1);
    assert_true(epoch_of(f, 1) > epoch);
    assert_int_equal(TELL_ISR(f, 2, 3, 1), ERR_NONE);
}

static void who_is_unregistered_is_eligible_no_more(void **state)
{
    struct fixture *f = *state;

    cluster(f, 2);
    CREATE_AT(f, 1, 2);
    assert_int_equal(increment(f, IMAGE_RESOURCE_TOPIC, "t", "min.insync.replicas", 0, STR("2")),
                     ERR_NONE);
    fence(f, 2);
    EXPECT_IDS(image_elr(part(f, "t", 0)), 2);
    assert_int_equal(unregister(f, 2), ERR_NONE);
    assert_int_equal(part(f, "t", 0)->elr_count, 0);
    join(f, 2, 55); /* nobody knows what it has lost */
    beat(f, 2);
    fence(f, 1);
    assert_int_equal(part(f, "t", 0)->leader, IMAGE_NO_LEADER);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(settings_change_one_by_one_and_wrong_ones_are_refused),
        TEST(replacing_settings_takes_away_what_is_not_named),
        TEST(a_topic_gets_more_partitions_and_never_fewer),
        TEST(an_election_on_request_says_why_there_is_none),
        TEST(a_feature_goes_up_when_all_know_it_and_down_where_nothing_is_lost),
        TEST(a_node_that_does_not_know_a_level_that_counts_is_not_taken),
        TEST(a_registered_controller_that_does_not_know_it_holds_a_feature_back),
        TEST(the_answer_of_an_election_outlives_its_topic),
        TEST(a_reassignment_is_listed_until_all_targets_are_in_sync),
        TEST(a_reassignment_that_cannot_be_is_refused_with_kafkas_codes),
        TEST(fewer_replicas_wait_for_those_that_stay),
        TEST(a_cancelled_reassignment_takes_those_being_added_out),
        TEST(going_back_is_refused_when_only_the_added_have_the_data),
        TEST(another_target_keeps_an_added_leader_until_the_end_f64),
        TEST(who_was_being_added_stays_so_under_another_target),
        TEST(who_was_removed_is_not_eligible_when_it_is_added_again_f27),
        TEST(new_partitions_have_the_factor_that_is_wanted),
        TEST(a_broker_that_is_unregistered_is_in_no_isr_and_may_come_again),
        TEST(who_is_unregistered_is_eligible_no_more),
        TEST(activation_waits_for_the_log_below_its_epoch),
        TEST(a_transaction_that_was_left_open_is_aborted_first),
        TEST(a_standby_answers_not_controller),
        TEST(an_answer_waits_for_its_commit_also_when_it_wrote_nothing),
        TEST(a_deadline_answers_request_timed_out),
        TEST(renouncing_at_every_point_leaves_nothing_uncommitted_k23),
        TEST(an_append_that_is_refused_changes_nothing),
        TEST(a_replay_that_fails_gives_the_leadership_up),
        TEST(memory_that_runs_out_leaves_no_half_made_topic),
        TEST(no_op_records_come_when_idle_only),
        TEST(a_broker_is_unfenced_when_it_has_applied_its_registration),
        TEST(registrations_that_cannot_be_are_refused),
        TEST(a_lease_that_ends_fences_one_broker_per_check),
        TEST(a_lease_is_over_when_it_ends_and_not_at_the_next_check),
        TEST(two_stale_brokers_are_fenced_in_two_checks),
        TEST(a_new_controller_gives_three_heartbeats_to_those_it_has_not_heard),
        TEST(a_registration_without_fencing_leaves_the_isrs_kafka_18106),
        TEST(controlled_shutdown_waits_until_all_active_brokers_know),
        TEST(the_balancer_gives_leadership_back_to_the_preferred),
        TEST(create_topics_checks_names_numbers_and_limits),
        TEST(validate_only_writes_nothing_and_configs_are_checked),
        TEST(manual_assignments_are_taken_or_refused),
        TEST(delete_topics_by_name_and_by_id),
        TEST(alter_partition_changes_the_isr_once_per_request),
        TEST(producer_id_blocks_never_overlap_k26),
        TEST(who_may_have_lost_data_is_eligible_no_more),
        TEST(an_epoch_of_an_earlier_life_proves_nothing),
        TEST(who_died_before_its_file_told_of_its_registration_stays_eligible),
        TEST(an_earlier_epoch_proves_nothing_once_the_broker_was_unfenced),
        TEST(an_earlier_epoch_proves_nothing_after_a_life_that_may_have_lost_data),
        TEST(the_eligible_lead_only_when_they_are_there),
        TEST(the_last_leader_leads_when_nobody_is_eligible),
        TEST(min_isr_lowered_ends_eligibility_and_raised_moves_the_partition_epoch),
        TEST(a_broker_that_knows_no_eligible_replicas_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

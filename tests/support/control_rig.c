#include "tests/support/control_rig.h"

#include <stdlib.h>
#include <string.h>

/* ---- a world that only listens, and a quorum that does as it is told ------------------------- */

static uint64_t fake_seed(struct world *world, enum dice_concern concern)
{
    (void)world;
    return 99 + (uint64_t)concern;
}

/* R36 over every record that the controllers wrote; a lost tail takes its epochs with it. */
static void fake_trace(struct world *world, const struct trace_event *event)
{
    struct control_rig *f = CONTAINER_OF(world, struct control_rig, world);
    struct control_part *part = f->parts;

    if (event->kind == TRACE_CONTROLLER_RENOUNCED) {
        f->renounced++;
        f->parts_count = 0;
    }
    if (event->kind != TRACE_CONTROLLER_PARTITION) return;
    while (part < f->parts + f->parts_count &&
           (part->topic != event->fields[0] || part->partition != event->fields[1]))
        part++;
    if (part == f->parts + f->parts_count) {
        assert_true(f->parts_count < CONTROL_PARTS_MAX);
        f->parts_count++;
    } else {
        assert_true(event->fields[4] == part->partition_epoch + 1);
        assert_true(event->fields[3] == part->leader_epoch ||
                    event->fields[3] == part->leader_epoch + 1);
    }
    *part = (struct control_part){event->fields[0], event->fields[1], event->fields[3],
                                  event->fields[4]};
}

static const struct world_ops world_ops = {.seed = fake_seed, .trace = fake_trace};

static struct control_rig *of(struct controller_quorum *quorum)
{
    return CONTAINER_OF(quorum, struct control_rig, quorum);
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
    struct control_rig *f = of(quorum);

    if (f->leading != epoch) return ERR_NOT_CONTROLLER;
    if (f->append_fails != ERR_NONE) return f->append_fails;
    assert_true(count > 0 && f->end + count < CONTROL_LOG_MAX);
    *first = f->end;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *copy = malloc(values[i].length);

        memcpy(copy, values[i].data, values[i].length);
        f->log[f->end++] = (struct control_entry){copy, values[i].length, epoch};
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

void control_run(struct control_rig *f)
{
    op_loop_run(&f->env.loop, f->env.loop.now_ns, 10000);
    assert_true(op_loop_idle(&f->env.loop));
    assert_null(op_loop_probe(&f->env.loop)); /* no lost wake-up */
}

void control_pass_ms(struct control_rig *f, int64_t ms)
{
    op_loop_run(&f->env.loop, f->env.loop.now_ns + ms * NS_PER_MS, 10000);
    assert_null(op_loop_probe(&f->env.loop));
}

void control_commit_to(struct control_rig *f, int64_t hw)
{
    for (; f->hw < hw; f->hw++) {
        const struct control_entry *entry = &f->log[f->hw];

        if (entry->data != NULL)
            assert_int_equal(loader_record(&f->loader, f->hw, entry->epoch,
                                           (struct bytes){entry->data, entry->length}),
                             ERR_NONE);
        loader_batch(&f->loader, f->hw + 1, entry->epoch, f->hw + 1 == hw);
    }
    op_wake_below(&f->hw_source, f->hw - 1);
    controller_applied(&f->controller);
    control_run(f);
}

void control_commit(struct control_rig *f)
{
    control_commit_to(f, f->end);
}

void control_lead(struct control_rig *f, int32_t epoch)
{
    f->epoch_start = f->end;
    f->log[f->end++] = (struct control_entry){NULL, 0, epoch};
    f->leading = epoch;
    controller_quorum_changed(&f->controller);
    control_run(f);
}

void control_lose(struct control_rig *f)
{
    f->leading = -1;
    while (f->end > f->hw) {
        f->end--;
        if (f->log[f->end].data != NULL) free(f->log[f->end].data);
    }
    controller_quorum_changed(&f->controller);
    control_run(f);
}

static void publish(struct loader_publisher *publisher, const struct image *image)
{
    struct control_rig *f = CONTAINER_OF(publisher, struct control_rig, publisher);

    assert_ptr_equal(image, &f->loader.image);
    f->published++;
}

int control_setup(void **state)
{
    static struct control_rig f;
    struct controller_config config = controller_config_default();
    struct loader_config loader_config = {.limits = {8, 100, 200}, .hash_seed = 3};

    f = (struct control_rig){.leading = -1, .publisher = {.publish = publish}};
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

int control_teardown(void **state)
{
    struct control_rig *f = *state;

    if (controller_active(&f->controller)) {
        image_check(&f->controller.image);
        control_commit(f);
        assert_true(f->controller.image.digest == f->loader.image.digest); /* K22 */
    }
    image_check(&f->loader.image);
    controller_stop(&f->controller);
    control_run(f);
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

struct controller_call *control_submit(struct control_rig *f, struct controller_call call)
{
    struct controller_call *place = &f->calls[f->calls_used++ % CONTROL_CALLS];

    if (f->calls_used > CONTROL_CALLS) {
        assert_true(place->finished);
        f->calls_used = CONTROL_CALLS; /* all places were used */
        place = &f->calls[0];
        for (uint32_t i = 0; i < CONTROL_CALLS; i++)
            if (f->calls[i].finished) place = &f->calls[i];
    }
    call.arena = &f->arena;
    call.deadline_ns = call.deadline_ns == 0 ? OP_NO_DEADLINE : call.deadline_ns;
    *place = call;
    f->env.mem.fail_at = f->fail_at;
    controller_submit(&f->controller, place);
    control_run(f);
    f->env.mem.fail_at = 0;
    return place;
}

struct controller_call *control_send_register(struct control_rig *f, int32_t id,
                                              uint8_t incarnation)
{
    static struct broker_registration_request_listener listener;
    static struct broker_registration_request_feature feature[3];

    feature[0] = (struct broker_registration_request_feature){
        STR("metadata.version"), f->metadata_max != 0 ? f->metadata_min : 17,
        f->metadata_max != 0 ? f->metadata_max : 23};
    feature[1] = (struct broker_registration_request_feature){STR(FEATURES_GROUP_VERSION), 0, 1};
    feature[2] = (struct broker_registration_request_feature){STR(CONTROL_ELR_FEATURE), 0, 1};
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
    return control_submit(
        f, (struct controller_call){.api = CONTROLLER_BROKER_REGISTRATION,
                                    .request.broker_registration = &f->request.registration,
                                    .response.broker_registration = &f->registered,
                                    .version = 4});
}

int64_t control_join(struct control_rig *f, int32_t id, uint8_t incarnation)
{
    control_send_register(f, id, incarnation);
    control_commit(f);
    assert_int_equal(f->registered.error_code, ERR_NONE);
    return f->registered.broker_epoch;
}

int64_t control_epoch_of(struct control_rig *f, int32_t id)
{
    return image_broker(&f->controller.image, id)->epoch;
}

struct controller_call *control_send_beat(struct control_rig *f, int32_t id, int64_t epoch,
                                          int64_t offset, bool shut_down)
{
    broker_heartbeat_request_default(&f->request.heartbeat);
    f->request.heartbeat.broker_id = id;
    f->request.heartbeat.broker_epoch = epoch;
    f->request.heartbeat.current_metadata_offset = offset;
    f->request.heartbeat.want_shut_down = shut_down;
    return control_submit(
        f, (struct controller_call){.api = CONTROLLER_BROKER_HEARTBEAT,
                                    .request.broker_heartbeat = &f->request.heartbeat,
                                    .response.broker_heartbeat = &f->beat,
                                    .version = 1});
}

void control_beat(struct control_rig *f, int32_t id)
{
    control_send_beat(f, id, control_epoch_of(f, id), f->loader.image.last_offset, false);
    control_commit(f);
    assert_int_equal(f->beat.error_code, ERR_NONE);
}

void control_cluster(struct control_rig *f, int32_t count)
{
    control_lead(f, 1);
    control_commit(f);
    control_commit(f); /* what activation wrote */
    for (int32_t id = 1; id <= count; id++) {
        control_join(f, id, (uint8_t)id);
        control_beat(f, id);
        assert_false(f->beat.is_fenced);
    }
}

struct controller_call *control_send_create(struct control_rig *f, const char *name,
                                            int32_t partitions, int16_t factor)
{
    struct create_topics_request *request = arena_zalloc(&f->arena, sizeof(*request));
    struct create_topics_request_topic *topic = arena_zalloc(&f->arena, sizeof(*topic));

    create_topics_request_default(request);
    topic->name = str_of(name);
    topic->num_partitions = partitions;
    topic->replication_factor = factor;
    request->topics = topic;
    request->topics_count = 1;
    return control_submit(f, (struct controller_call){.api = CONTROLLER_CREATE_TOPICS,
                                                      .request.create_topics = request,
                                                      .response.create_topics = &f->created,
                                                      .version = 7});
}

enum err control_create(struct control_rig *f, const char *name, int32_t partitions, int16_t factor)
{
    control_send_create(f, name, partitions, factor);
    control_commit(f);
    return (enum err)f->created.topics[0].error_code;
}

const struct image_partition *control_part(struct control_rig *f, const char *name, int32_t index)
{
    return image_partition(image_topic_by_name(&f->controller.image, str_of(name)), index);
}

void control_fence(struct control_rig *f, int32_t id)
{
    broker_heartbeat_request_default(&f->request.heartbeat);
    f->request.heartbeat.broker_id = id;
    f->request.heartbeat.broker_epoch = control_epoch_of(f, id);
    f->request.heartbeat.want_fence = true;
    control_submit(f, (struct controller_call){.api = CONTROLLER_BROKER_HEARTBEAT,
                                               .request.broker_heartbeat = &f->request.heartbeat,
                                               .response.broker_heartbeat = &f->beat,
                                               .version = 1});
    control_commit(f);
    assert_true(f->beat.is_fenced);
}

enum err control_increment(struct control_rig *f, int8_t type, const char *name, const char *key,
                           int8_t operation, struct str value)
{
    struct incremental_alter_configs_request_config config = {str_of(key), operation, value};
    struct incremental_alter_configs_request_resource resource = {type, str_of(name), &config, 1};
    struct incremental_alter_configs_request request = {&resource, 1, false};

    control_submit(f,
                   (struct controller_call){.api = CONTROLLER_INCREMENTAL_ALTER_CONFIGS,
                                            .request.incremental_alter_configs = &request,
                                            .response.incremental_alter_configs = &f->incremented,
                                            .version = 1});
    control_commit(f);
    return (enum err)f->incremented.responses[0].error_code;
}

enum err control_grow(struct control_rig *f, const char *name, int32_t count,
                      struct create_partitions_request_assignment *assignments, uint32_t given)
{
    struct create_partitions_request_topic topic = {.name = str_of(name),
                                                    .count = count,
                                                    .assignments = assignments,
                                                    .assignments_count = given,
                                                    .assignments_null = assignments == NULL};
    struct create_partitions_request request = {.topics = &topic, .topics_count = 1};

    control_submit(f, (struct controller_call){.api = CONTROLLER_CREATE_PARTITIONS,
                                               .request.create_partitions = &request,
                                               .response.create_partitions = &f->grown,
                                               .version = 3});
    control_commit(f);
    return (enum err)f->grown.results[0].error_code;
}

enum err control_elect(struct control_rig *f, int8_t type, const char *name, int32_t index)
{
    struct elect_leaders_request_topic topic = {str_of(name), &index, 1};
    struct elect_leaders_request request = {
        .election_type = type, .topic_partitions = &topic, .topic_partitions_count = 1};

    control_submit(f, (struct controller_call){.api = CONTROLLER_ELECT_LEADERS,
                                               .request.elect_leaders = &request,
                                               .response.elect_leaders = &f->elected,
                                               .version = 2});
    control_commit(f);
    if (f->elected.error_code != 0) return (enum err)f->elected.error_code;
    return (enum err)f->elected.replica_election_results[0].partition_result[0].error_code;
}

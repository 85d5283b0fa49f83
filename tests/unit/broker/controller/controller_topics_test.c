/* Proves: topics are created and deleted as asked or refused with a reason, AlterPartition
 * changes an ISR once per request, blocks of producer ids never overlap (K26). */
#include "tests/support/control_rig.h"

#include <string.h>

static void create_topics_checks_names_numbers_and_limits(void **state)
{
    struct control_rig *f = *state;
    char name[251];

    memset(name, 'x', 250);
    name[250] = '\0';
    control_cluster(f, 2);
    assert_int_equal(control_create(f, "", 1, 1), ERR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(control_create(f, "..", 1, 1), ERR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(control_create(f, "a b", 1, 1), ERR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(control_create(f, name, 1, 1), ERR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(control_create(f, "t", 0, 1), ERR_INVALID_PARTITIONS);
    assert_int_equal(control_create(f, "t", 1, 0), ERR_INVALID_REPLICATION_FACTOR);
    assert_int_equal(control_create(f, "t", 1, 3), ERR_INVALID_REPLICATION_FACTOR);
    assert_int_equal(control_create(f, "t", 201, 1), ERR_POLICY_VIOLATION);
    assert_int_equal(control_create(f, "t", 10001, 1), ERR_POLICY_VIOLATION);
    assert_int_equal(control_create(f, "a.b", -1, -1), ERR_NONE);
    assert_int_equal(f->created.topics[0].num_partitions, 1);
    assert_int_equal(f->created.topics[0].replication_factor, 1);
    assert_false(uuid_is_zero(f->created.topics[0].topic_id));
    assert_int_equal(control_create(f, "a_b", 1, 1), ERR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(control_create(f, "a.b", 1, 1), ERR_TOPIC_ALREADY_EXISTS);
}

static void validate_only_writes_nothing_and_configs_are_checked(void **state)
{
    struct control_rig *f = *state;
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

    control_cluster(f, 1);
    control_submit(f, call);
    control_commit(f);
    assert_int_equal(f->created.topics[0].error_code, ERR_INVALID_CONFIG);
    config.name = STR("no.such.config");
    control_submit(f, call);
    control_commit(f);
    assert_int_equal(f->created.topics[0].error_code, ERR_INVALID_CONFIG);
    config = (struct create_topics_request_config){STR("retention.ms"), STR("1000")};
    control_submit(f, call);
    control_commit(f);
    assert_int_equal(f->created.topics[0].error_code, ERR_NONE);
    assert_null(image_topic_by_name(&f->controller.image, STR("t")));
    request.validate_only = false;
    control_submit(f, call);
    control_commit(f);
    assert_true(str_equal(
        image_config_value(&f->loader.image, IMAGE_RESOURCE_TOPIC, STR("t"), STR("retention.ms")),
        STR("1000")));
    assert_int_equal(f->created.topics[0].configs_count, 1);
}

static void manual_assignments_are_taken_or_refused(void **state)
{
    struct control_rig *f = *state;
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

    control_cluster(f, 2);
    second[0] = 2; /* twice in one partition */
    control_submit(f, call);
    assert_int_equal(f->created.topics[0].error_code, ERR_INVALID_REPLICA_ASSIGNMENT);
    second[0] = 7; /* not registered */
    control_submit(f, call);
    assert_int_equal(f->created.topics[0].error_code, ERR_INVALID_REPLICA_ASSIGNMENT);
    second[0] = 1;
    assignments[1].partition_index = 2; /* not consecutive */
    control_submit(f, call);
    assert_int_equal(f->created.topics[0].error_code, ERR_INVALID_REPLICA_ASSIGNMENT);
    assignments[1].partition_index = 1;
    assignments[1].broker_ids_count = 1; /* not equally long */
    control_submit(f, call);
    assert_int_equal(f->created.topics[0].error_code, ERR_INVALID_REPLICA_ASSIGNMENT);
    assignments[1].broker_ids_count = 2;
    topic.num_partitions = 2;
    control_submit(f, call);
    assert_int_equal(f->created.topics[0].error_code, ERR_INVALID_REQUEST);
    topic.num_partitions = -1;
    control_submit(f, call);
    control_commit(f);
    assert_int_equal(f->created.topics[0].error_code, ERR_NONE);
    assert_int_equal(control_part(f, "t", 0)->leader, 2);
    assert_int_equal(control_part(f, "t", 1)->leader, 1);
    assert_int_equal(control_part(f, "t", 1)->leader_epoch, 0);
}

static void delete_topics_by_name_and_by_id(void **state)
{
    struct control_rig *f = *state;
    struct delete_topics_request_topic topics[3] = {
        {.name = STR("a")}, {.name = STR("a")}, {.name = STR_NULL}};
    struct controller_call call = {.api = CONTROLLER_DELETE_TOPICS,
                                   .request.delete_topics = &f->request.delete_topics,
                                   .response.delete_topics = &f->deleted,
                                   .version = 6};

    control_cluster(f, 1);
    assert_int_equal(control_create(f, "a", 1, 1), ERR_NONE);
    assert_int_equal(control_create(f, "b", 2, 1), ERR_NONE);
    topics[2].topic_id = f->created.topics[0].topic_id;
    delete_topics_request_default(&f->request.delete_topics);
    f->request.delete_topics.topics = topics;
    f->request.delete_topics.topics_count = 3;
    control_submit(f, call);
    control_commit(f);
    assert_int_equal(f->deleted.responses[0].error_code, ERR_NONE);
    assert_int_equal(f->deleted.responses[1].error_code, ERR_INVALID_REQUEST);
    assert_int_equal(f->deleted.responses[2].error_code, ERR_NONE);
    assert_true(str_equal(f->deleted.responses[2].name, STR("b")));
    assert_int_equal(f->loader.image.topics_by_id.count, 0);
    assert_int_equal(f->loader.image.partitions_count, 0);
    control_submit(f, call);
    control_commit(f);
    assert_int_equal(f->deleted.responses[0].error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(f->deleted.responses[2].error_code, ERR_UNKNOWN_TOPIC_ID);
}

static void alter_partition_changes_the_isr_once_per_request(void **state)
{
    struct control_rig *f = *state;
    struct alter_partition_request_broker_state isr[1];
    struct alter_partition_request_partition parts[2];
    struct alter_partition_request_topic topic = {.partitions = parts, .partitions_count = 2};
    struct alter_partition_request request = {.topics = &topic, .topics_count = 1};
    struct controller_call call = {.api = CONTROLLER_ALTER_PARTITION,
                                   .request.alter_partition = &request,
                                   .response.alter_partition = &f->altered,
                                   .version = 3};
    int32_t leader;

    control_cluster(f, 2);
    assert_int_equal(control_create(f, "t", 1, 2), ERR_NONE);
    leader = control_part(f, "t", 0)->leader;
    isr[0].broker_id = leader;
    isr[0].broker_epoch = control_epoch_of(f, leader);
    memset(parts, 0, sizeof(parts));
    parts[0].new_isr_with_epochs = parts[1].new_isr_with_epochs = isr;
    parts[0].new_isr_with_epochs_count = parts[1].new_isr_with_epochs_count = 1;
    topic.topic_id = image_topic_by_name(&f->controller.image, STR("t"))->id;
    request.broker_id = leader;
    request.broker_epoch = control_epoch_of(f, leader) + 1;
    control_submit(f, call);
    control_commit(f);
    assert_int_equal(f->altered.error_code, ERR_STALE_BROKER_EPOCH);
    request.broker_epoch--;
    control_submit(f, call);
    control_commit(f);
    assert_int_equal(f->altered.error_code, ERR_NONE);
    assert_int_equal(f->altered.topics[0].partitions[0].error_code, ERR_NONE);
    assert_int_equal(f->altered.topics[0].partitions[0].partition_epoch, 1);
    assert_int_equal(f->altered.topics[0].partitions[0].isr_count, 1);
    assert_int_equal(f->altered.topics[0].partitions[1].error_code, ERR_INVALID_REQUEST);
    assert_int_equal(control_part(f, "t", 0)->isr_count, 1);
    assert_int_equal(control_part(f, "t", 0)->leader_epoch, 0);
    control_submit(f, call); /* the same again: its partition epoch is old now */
    control_commit(f);
    assert_int_equal(f->altered.topics[0].partitions[0].error_code, ERR_INVALID_UPDATE_VERSION);
    topic.topic_id.bytes[0] ^= 1;
    control_submit(f, call);
    control_commit(f);
    assert_int_equal(f->altered.topics[0].partitions[0].error_code, ERR_UNKNOWN_TOPIC_ID);
}

static void producer_id_blocks_never_overlap_k26(void **state)
{
    struct control_rig *f = *state;
    struct controller_call call = {.api = CONTROLLER_ALLOCATE_PRODUCER_IDS,
                                   .request.allocate_producer_ids = &f->request.producer_ids,
                                   .response.allocate_producer_ids = &f->allocated};

    control_cluster(f, 1);
    f->request.producer_ids.broker_id = 1;
    f->request.producer_ids.broker_epoch = control_epoch_of(f, 1);
    control_submit(f, call);
    control_submit(f, call);
    control_commit(f);
    assert_int_equal(f->allocated.producer_id_start, 1000);
    assert_int_equal(f->allocated.producer_id_len, 1000);
    control_lose(f);
    control_lead(f, 2);
    control_commit(f);
    control_submit(f, call);
    control_commit(f);
    assert_int_equal(f->allocated.producer_id_start, 2000);
    f->request.producer_ids.broker_epoch++;
    control_submit(f, call);
    control_commit(f);
    assert_int_equal(f->allocated.error_code, ERR_STALE_BROKER_EPOCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONTROL_TEST(create_topics_checks_names_numbers_and_limits),
        CONTROL_TEST(validate_only_writes_nothing_and_configs_are_checked),
        CONTROL_TEST(manual_assignments_are_taken_or_refused),
        CONTROL_TEST(delete_topics_by_name_and_by_id),
        CONTROL_TEST(alter_partition_changes_the_isr_once_per_request),
        CONTROL_TEST(producer_id_blocks_never_overlap_k26),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

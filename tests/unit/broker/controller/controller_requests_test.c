/* Proves: what an administrator asks of the controller is done or refused with a reason:
 * settings, more partitions, levels of features, elections. */
#include "tests/support/control_rig.h"

#include <string.h>

static struct str setting(struct control_rig *f, int8_t type, const char *name, const char *key)
{
    return image_config_value(&f->loader.image, type, str_of(name), str_of(key));
}

static void settings_change_one_by_one_and_wrong_ones_are_refused(void **state)
{
    struct control_rig *f = *state;
    int64_t end;

    control_cluster(f, 1);
    assert_int_equal(control_create(f, "t", 1, 1), ERR_NONE);
    assert_int_equal(control_increment(f, 2, "t", "retention.ms", 0, STR("5")), ERR_NONE);
    assert_true(str_equal(setting(f, 2, "t", "retention.ms"), STR("5")));
    end = f->end;
    assert_int_equal(control_increment(f, 2, "t", "retention.ms", 0, STR("5")), ERR_NONE);
    assert_int_equal(f->end, end); /* as it was: nothing is written */
    assert_int_equal(control_increment(f, 2, "t", "retention.ms", 1, STR_NULL), ERR_NONE);
    assert_null(setting(f, 2, "t", "retention.ms").data);
    end = f->end;
    assert_int_equal(control_increment(f, 2, "t", "retention.ms", 0, STR("-2")),
                     ERR_INVALID_CONFIG);
    assert_int_equal(control_increment(f, 2, "t", "no.such", 0, STR("1")), ERR_INVALID_CONFIG);
    assert_int_equal(control_increment(f, 2, "t", "cleanup.policy", 0, STR("shrink")),
                     ERR_INVALID_CONFIG);
    assert_int_equal(control_increment(f, 2, "t", "cleanup.policy", 2, STR("shrink")),
                     ERR_INVALID_CONFIG);
    assert_int_equal(control_increment(f, 2, "t", "retention.ms", 2, STR("1")), ERR_INVALID_CONFIG);
    assert_int_equal(control_increment(f, 2, "t", "retention.ms", 7, STR("1")),
                     ERR_INVALID_REQUEST);
    assert_int_equal(control_increment(f, 2, "u", "retention.ms", 0, STR("1")),
                     ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(control_increment(f, 4, "9", "log.retention.ms", 0, STR("1")),
                     ERR_BROKER_ID_NOT_REGISTERED);
    assert_int_equal(control_increment(f, 4, "1", "min.insync.replicas", 0, STR("1")),
                     ERR_INVALID_CONFIG);
    assert_int_equal(control_increment(f, 4, "1", "node.id", 0, STR("1")), ERR_INVALID_CONFIG);
    assert_int_equal(control_increment(f, 8, "1", "x", 0, STR("1")), ERR_INVALID_REQUEST);
    assert_int_equal(f->end, end);
    assert_int_equal(control_increment(f, 4, "", "min.insync.replicas", 0, STR("2")), ERR_NONE);
    assert_true(str_equal(setting(f, 4, "", "min.insync.replicas"), STR("2")));
    assert_int_equal(control_increment(f, 4, "1", "log.retention.ms", 0, STR("77")), ERR_NONE);
    assert_true(str_equal(setting(f, 4, "1", "log.retention.ms"), STR("77")));
    /* A list that does not change is no change. */
    assert_int_equal(control_increment(f, 2, "t", "cleanup.policy", 2, STR("delete")), ERR_NONE);
    assert_int_equal(control_increment(f, 2, "t", "cleanup.policy", 3, STR("delete")),
                     ERR_INVALID_CONFIG);
    assert_int_equal(control_increment(f, 2, "t", "cleanup.policy", 2, STR("compact")), ERR_NONE);
    assert_true(str_equal(setting(f, 2, "t", "cleanup.policy"), STR("delete,compact")));
}

static void replacing_settings_takes_away_what_is_not_named(void **state)
{
    struct control_rig *f = *state;
    struct alter_configs_request_config config = {STR("segment.bytes"), STR("2000")};
    struct alter_configs_request_resource resource = {2, STR("t"), &config, 1};
    struct alter_configs_request request = {&resource, 1, true};
    struct controller_call call = {.api = CONTROLLER_ALTER_CONFIGS,
                                   .request.alter_configs = &request,
                                   .response.alter_configs = &f->replaced,
                                   .version = 2};
    int64_t end;

    control_cluster(f, 1);
    assert_int_equal(control_create(f, "t", 1, 1), ERR_NONE);
    assert_int_equal(control_increment(f, 2, "t", "retention.ms", 0, STR("5")), ERR_NONE);
    end = f->end;
    control_submit(f, call);
    control_commit(f);
    assert_int_equal(f->replaced.responses[0].error_code, ERR_NONE);
    assert_int_equal(f->end, end); /* only validated */
    request.validate_only = false;
    control_submit(f, call);
    control_commit(f);
    assert_int_equal(f->replaced.responses[0].error_code, ERR_NONE);
    assert_null(setting(f, 2, "t", "retention.ms").data);
    assert_true(str_equal(setting(f, 2, "t", "segment.bytes"), STR("2000")));
}

static void a_topic_gets_more_partitions_and_never_fewer(void **state)
{
    struct control_rig *f = *state;
    int32_t ids[] = {2, 1};
    struct create_partitions_request_assignment assignment = {ids, 2};

    control_cluster(f, 2);
    assert_int_equal(control_create(f, "t", 2, 2), ERR_NONE);
    assert_int_equal(control_grow(f, "t", 2, NULL, 0), ERR_INVALID_PARTITIONS);
    assert_int_equal(control_grow(f, "t", 1, NULL, 0), ERR_INVALID_PARTITIONS);
    assert_int_equal(control_grow(f, "u", 3, NULL, 0), ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_null(control_part(f, "t", 2));
    assert_int_equal(control_grow(f, "t", 4, NULL, 0), ERR_NONE);
    assert_int_equal(control_part(f, "t", 3)->replicas_count, 2);
    assert_true(control_part(f, "t", 3)->leader >= 1);
    assert_int_equal(control_grow(f, "t", 6, &assignment, 1), ERR_INVALID_REPLICA_ASSIGNMENT);
    assignment.broker_ids_count = 1;
    assert_int_equal(control_grow(f, "t", 5, &assignment, 1), ERR_INVALID_REPLICA_ASSIGNMENT);
    assignment.broker_ids_count = 2;
    ids[0] = 1;
    assert_int_equal(control_grow(f, "t", 5, &assignment, 1), ERR_INVALID_REPLICA_ASSIGNMENT);
    ids[0] = 2;
    assert_int_equal(control_grow(f, "t", 5, &assignment, 1), ERR_NONE);
    assert_int_equal(control_part(f, "t", 4)->leader, 2);
    assert_null(control_part(f, "t", 5));
}

static enum err feature(struct control_rig *f, const char *name, int16_t level, int8_t how)
{
    struct update_features_request_feature_update_key key = {
        .feature = str_of(name), .max_version_level = level, .upgrade_type = how};
    struct update_features_request request = {.feature_updates = &key, .feature_updates_count = 1};

    control_submit(f, (struct controller_call){.api = CONTROLLER_UPDATE_FEATURES,
                                               .request.update_features = &request,
                                               .response.update_features = &f->updated,
                                               .version = 2});
    control_commit(f);
    assert_int_equal(f->updated.results_count, 0);
    return (enum err)f->updated.error_code;
}

static int16_t level(struct control_rig *f, const char *name)
{
    return image_feature_level(&f->controller.image, str_of(name));
}

static void a_feature_goes_up_when_all_know_it_and_down_where_nothing_is_lost(void **state)
{
    struct control_rig *f = *state;
    const char *metadata = "metadata.version";
    const char *elr = "eligible.leader.replicas.version";

    control_cluster(f, 2);
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
    (void)control_join(f, 3, 9);
    assert_int_equal(feature(f, elr, 1, 1), ERR_INVALID_UPDATE_VERSION); /* broker 3 does not */
    assert_true(f->updated.error_message.length > 0);
}

static void a_node_that_does_not_know_a_level_that_counts_is_not_taken(void **state)
{
    struct control_rig *f = *state;

    control_cluster(f, 1);
    f->metadata_min = 17;
    f->metadata_max = 20;
    control_send_register(f, 2, 7);
    control_commit(f);
    assert_int_equal(f->registered.error_code, ERR_UNSUPPORTED_VERSION);
}

static enum err announce(struct control_rig *f, int32_t id, int16_t elr_max)
{
    struct controller_registration_request_listener listener = {STR("CONTROLLER"), STR("h"), 9093,
                                                                0};
    struct controller_registration_request_feature features[] = {
        {STR("metadata.version"), 17, 23},
        {STR("group.version"), 0, 1},
        {STR(CONTROL_ELR_FEATURE), 0, elr_max}};
    struct controller_registration_request request = {.controller_id = id,
                                                      .incarnation_id = {{(uint8_t)id}},
                                                      .listeners = &listener,
                                                      .listeners_count = 1,
                                                      .features = features,
                                                      .features_count = 3};

    control_submit(f, (struct controller_call){.api = CONTROLLER_CONTROLLER_REGISTRATION,
                                               .request.controller_registration = &request,
                                               .response.controller_registration = &f->known,
                                               .version = 0});
    control_commit(f);
    return (enum err)f->known.error_code;
}

static void a_registered_controller_that_does_not_know_it_holds_a_feature_back(void **state)
{
    struct control_rig *f = *state;

    control_cluster(f, 1);
    assert_int_equal(announce(f, 102, 0), ERR_UNSUPPORTED_VERSION); /* 1 counts */
    assert_int_equal(announce(f, -1, 1), ERR_INVALID_REQUEST);
    assert_int_equal(feature(f, CONTROL_ELR_FEATURE, 0, 2), ERR_NONE);
    assert_int_equal(announce(f, 102, 0), ERR_NONE);
    assert_int_equal(f->loader.image.controllers.count, 1);
    assert_int_equal(feature(f, CONTROL_ELR_FEATURE, 1, 1), ERR_INVALID_UPDATE_VERSION);
    assert_int_equal(announce(f, 102, 1), ERR_NONE); /* a newer build */
    assert_int_equal(feature(f, CONTROL_ELR_FEATURE, 1, 1), ERR_NONE);
}

static void an_election_on_request_says_why_there_is_none(void **state)
{
    struct control_rig *f = *state;

    control_cluster(f, 2);
    assert_int_equal(control_create(f, "t", 1, 2), ERR_NONE);
    assert_int_equal(control_elect(f, 0, "t", 0), ERR_ELECTION_NOT_NEEDED);
    assert_int_equal(control_elect(f, 1, "t", 0), ERR_ELECTION_NOT_NEEDED);
    assert_int_equal(control_elect(f, 0, "t", 1), ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(control_elect(f, 0, "u", 0), ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(control_elect(f, 5, "t", 0), ERR_INVALID_REQUEST);
}

static void the_answer_of_an_election_outlives_its_topic(void **state)
{
    struct elect_leaders_request request = {.topic_partitions_null = true};
    struct delete_topics_request_topic gone = {.name = STR("t")};
    struct control_rig *f = *state;
    const struct image_topic *topic;
    const char *name;

    control_cluster(f, 2);
    assert_int_equal(control_create(f, "t", 1, 2), ERR_NONE);
    topic = image_topic_by_name(&f->controller.image, STR("t"));
    name = topic->name.data;
    control_fence(f, topic->partitions[0].ids[0]);
    control_submit(f, (struct controller_call){.api = CONTROLLER_ELECT_LEADERS,
                                               .request.elect_leaders = &request,
                                               .response.elect_leaders = &f->elected,
                                               .version = 2});
    delete_topics_request_default(&f->request.delete_topics);
    f->request.delete_topics.topics = &gone;
    f->request.delete_topics.topics_count = 1;
    control_submit(f, (struct controller_call){.api = CONTROLLER_DELETE_TOPICS,
                                               .request.delete_topics = &f->request.delete_topics,
                                               .response.delete_topics = &f->deleted,
                                               .version = 6});
    control_commit(f);
    assert_int_equal(f->elected.replica_election_results_count, 1);
    assert_ptr_not_equal(f->elected.replica_election_results[0].topic.data, name);
    assert_true(str_equal(f->elected.replica_election_results[0].topic, STR("t")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONTROL_TEST(settings_change_one_by_one_and_wrong_ones_are_refused),
        CONTROL_TEST(replacing_settings_takes_away_what_is_not_named),
        CONTROL_TEST(a_topic_gets_more_partitions_and_never_fewer),
        CONTROL_TEST(a_feature_goes_up_when_all_know_it_and_down_where_nothing_is_lost),
        CONTROL_TEST(a_node_that_does_not_know_a_level_that_counts_is_not_taken),
        CONTROL_TEST(a_registered_controller_that_does_not_know_it_holds_a_feature_back),
        CONTROL_TEST(an_election_on_request_says_why_there_is_none),
        CONTROL_TEST(the_answer_of_an_election_outlives_its_topic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

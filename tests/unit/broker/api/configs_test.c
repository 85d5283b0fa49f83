/* Proves: DescribeConfigs of a broker, of all brokers and of topics tells each value with where it
 * comes from and what stands behind it (KIP-226), whatever set it; and who changes settings,
 * partitions or leaders while no controller can be asked hears so in the place where its client
 * looks for it. */
#include "tests/support/raw_client.h"

#include "broker/controller/image.h"
#include "broker/topic_config.h"
#include "wire/alter_configs.h"
#include "wire/create_partitions.h"
#include "wire/describe_configs.h"
#include "wire/elect_leaders.h"
#include "wire/incremental_alter_configs.h"
#include "wire/update_features.h"

#include <string.h>

enum { OP_SET = 0, OP_DELETE = 1, DESCRIBE_VERSION = 4 };

static struct node_box box;
static struct raw_client raw;
static struct describe_configs_response described;

static void begin(uint64_t seed, const char *roles)
{
    node_box_init(&box, seed, roles, "log.retention.ms=90000\nbroker.rack=north\n");
    node_box_start_all(&box);
    raw_open(&raw, &box, 0, NODE_BOX_PORT);
    raw_create_topic(&raw, "t", 1, 1);
}

static void end(void)
{
    raw_close(&raw);
    node_box_stop(&box, 0, 90000);
    node_box_deinit(&box);
}

static int16_t set(int8_t type, const char *resource, const char *key, int8_t op, const char *value)
{
    struct incremental_alter_configs_request request;
    struct incremental_alter_configs_request_resource of;
    struct incremental_alter_configs_request_config config;
    struct incremental_alter_configs_response response;

    incremental_alter_configs_request_default(&request);
    incremental_alter_configs_request_resource_default(&of);
    incremental_alter_configs_request_config_default(&config);
    config.name = str_of(key);
    config.config_operation = op;
    config.value = value != NULL ? str_of(value) : STR_NULL;
    of.resource_type = type;
    of.resource_name = str_of(resource);
    of.configs = &config;
    of.configs_count = 1;
    request.resources = &of;
    request.resources_count = 1;
    raw_ask(&raw, API_INCREMENTAL_ALTER_CONFIGS, 1, &request, &response);
    assert_int_equal(1, response.responses_count);
    assert_int_equal(type, response.responses[0].resource_type);
    assert_true(str_equal(response.responses[0].resource_name, str_of(resource)));
    return response.responses[0].error_code;
}

/* `key` NULL: all. */
static int16_t describe(int8_t type, const char *resource, const char *key)
{
    struct describe_configs_request request;
    struct describe_configs_request_resource of;
    struct str wanted;

    describe_configs_request_default(&request);
    describe_configs_request_resource_default(&of);
    of.resource_type = type;
    of.resource_name = str_of(resource);
    of.configuration_keys_null = key == NULL;
    if (key != NULL) {
        wanted = str_of(key);
        of.configuration_keys = &wanted;
        of.configuration_keys_count = 1;
    }
    request.resources = &of;
    request.resources_count = 1;
    request.include_synonyms = true;
    request.include_documentation = true;
    raw_ask(&raw, API_DESCRIBE_CONFIGS, DESCRIBE_VERSION, &request, &described);
    assert_int_equal(1, described.results_count);
    assert_int_equal(type, described.results[0].resource_type);
    assert_true(str_equal(described.results[0].resource_name, str_of(resource)));
    return described.results[0].error_code;
}

/* The row of that name, which is there once. */
static const struct describe_configs_response_config *row_of(struct str name)
{
    const struct describe_configs_response_config *found = NULL;

    for (uint32_t i = 0; i < described.results[0].configs_count; i++) {
        if (!str_equal(described.results[0].configs[i].name, name)) continue;
        assert_null(found);
        found = &described.results[0].configs[i];
    }
    if (found == NULL) fail_msg("%.*s is not told", (int)name.length, name.data);
    return found;
}

static const struct describe_configs_response_config *row(const char *name)
{
    return row_of(str_of(name));
}

static void expect(const char *name, const char *value, int source)
{
    const struct describe_configs_response_config *config = row(name);

    if (!str_equal(config->value, str_of(value)))
        fail_msg("%s is %.*s, not %s", name, (int)config->value.length, config->value.data, value);
    assert_int_equal(source, config->config_source);
}

static void expect_behind(const char *name, uint32_t at, const char *value, int source)
{
    const struct describe_configs_response_config *config = row(name);

    assert_true(at < config->synonyms_count);
    assert_true(str_equal(config->synonyms[at].value, str_of(value)));
    assert_int_equal(source, config->synonyms[at].source);
}

static void a_broker_tells_its_file_its_defaults_and_what_was_set_since(void **state)
{
    (void)state;
    begin(1, "a");
    assert_int_equal(ERR_NONE, describe(IMAGE_RESOURCE_BROKER, "1", NULL));
    expect("log.retention.ms", "90000", TOPIC_CONFIG_FROM_STATIC);
    assert_false(row("log.retention.ms")->read_only);
    expect("node.id", "1", TOPIC_CONFIG_FROM_STATIC);
    assert_true(row("node.id")->read_only);
    expect("broker.rack", "north", TOPIC_CONFIG_FROM_STATIC);
    expect("log.flush.interval.messages", "9223372036854775807", TOPIC_CONFIG_FROM_DEFAULT);
    /* A cluster with eligible leaders has it in its log from the first (KIP-966). */
    expect("min.insync.replicas", "1", TOPIC_CONFIG_FROM_DEFAULT_BROKER);
    for (uint32_t i = 0; i < described.results[0].configs_count; i++)
        assert_ptr_equal(row_of(described.results[0].configs[i].name),
                         &described.results[0].configs[i]);

    assert_int_equal(ERR_NONE, set(IMAGE_RESOURCE_BROKER, "", "log.retention.ms", OP_SET, "8000"));
    assert_int_equal(ERR_NONE, set(IMAGE_RESOURCE_BROKER, "1", "log.retention.ms", OP_SET, "7000"));
    assert_int_equal(ERR_NONE, describe(IMAGE_RESOURCE_BROKER, "1", "log.retention.ms"));
    assert_int_equal(1, described.results[0].configs_count);
    expect("log.retention.ms", "7000", TOPIC_CONFIG_FROM_BROKER);
    expect_behind("log.retention.ms", 0, "7000", TOPIC_CONFIG_FROM_BROKER);
    expect_behind("log.retention.ms", 1, "8000", TOPIC_CONFIG_FROM_DEFAULT_BROKER);
    expect_behind("log.retention.ms", 2, "90000", TOPIC_CONFIG_FROM_STATIC);
    assert_int_equal(ERR_NONE, describe(IMAGE_RESOURCE_BROKER, "", NULL));
    assert_int_equal(2, described.results[0].configs_count);
    expect("min.insync.replicas", "1", TOPIC_CONFIG_FROM_DEFAULT_BROKER);
    expect("log.retention.ms", "8000", TOPIC_CONFIG_FROM_DEFAULT_BROKER);
    assert_int_equal(ERR_NONE, describe(IMAGE_RESOURCE_TOPIC, "t", "retention.ms"));
    expect("retention.ms", "7000", TOPIC_CONFIG_FROM_BROKER);

    assert_int_equal(ERR_NONE,
                     set(IMAGE_RESOURCE_BROKER, "1", "log.retention.ms", OP_DELETE, NULL));
    assert_int_equal(ERR_NONE, describe(IMAGE_RESOURCE_BROKER, "1", "log.retention.ms"));
    expect("log.retention.ms", "8000", TOPIC_CONFIG_FROM_DEFAULT_BROKER);
    assert_int_equal(ERR_NONE, describe(IMAGE_RESOURCE_BROKER, "", "log.roll.ms"));
    assert_int_equal(0, described.results[0].configs_count);
    end();
}

/* Keys that no server.properties has: the tools of an operator read them back all the same. */
static void a_broker_tells_the_rates_that_hold_it_back(void **state)
{
    static const char *const rate = "leader.replication.throttled.rate";

    (void)state;
    begin(2, "a");
    assert_int_equal(ERR_NONE, set(IMAGE_RESOURCE_BROKER, "1", rate, OP_SET, "5000"));
    assert_int_equal(ERR_NONE, describe(IMAGE_RESOURCE_BROKER, "1", NULL));
    expect(rate, "5000", TOPIC_CONFIG_FROM_BROKER);
    assert_false(row(rate)->read_only);
    end();
}

static void what_a_broker_cannot_tell_is_an_error(void **state)
{
    (void)state;
    begin(3, "a");
    assert_int_equal(ERR_INVALID_REQUEST, describe(IMAGE_RESOURCE_BROKER, "2", NULL));
    assert_true(described.results[0].error_message.length > 0);
    assert_int_equal(ERR_INVALID_REQUEST, describe(IMAGE_RESOURCE_BROKER, "one", NULL));
    assert_int_equal(ERR_INVALID_REQUEST, describe(77, "1", NULL));
    assert_int_equal(ERR_UNKNOWN_TOPIC_OR_PARTITION,
                     describe(IMAGE_RESOURCE_TOPIC, "nobody", NULL));
    assert_int_equal(0, described.results[0].configs_count);
    end();
}

/* ---- no controller --------------------------------------------------------------------------- */

static void ask_replace(void)
{
    struct alter_configs_request request;
    struct alter_configs_request_resource of;
    struct alter_configs_response response;

    alter_configs_request_default(&request);
    alter_configs_request_resource_default(&of);
    of.resource_type = IMAGE_RESOURCE_TOPIC;
    of.resource_name = STR("t");
    request.resources = &of;
    request.resources_count = 1;
    raw_ask(&raw, API_ALTER_CONFIGS, 2, &request, &response);
    assert_int_equal(1, response.responses_count);
    assert_true(str_equal(response.responses[0].resource_name, STR("t")));
    assert_int_equal(ERR_REQUEST_TIMED_OUT, response.responses[0].error_code);
}

static void ask_partitions(void)
{
    struct create_partitions_request request;
    struct create_partitions_request_topic of;
    struct create_partitions_response response;

    create_partitions_request_default(&request);
    create_partitions_request_topic_default(&of);
    of.name = STR("t");
    of.count = 2;
    of.assignments_null = true;
    request.topics = &of;
    request.topics_count = 1;
    request.timeout_ms = 500;
    raw_ask(&raw, API_CREATE_PARTITIONS, 3, &request, &response);
    assert_int_equal(1, response.results_count);
    assert_true(str_equal(response.results[0].name, STR("t")));
    assert_int_equal(ERR_REQUEST_TIMED_OUT, response.results[0].error_code);
}

/* Version 0 has no error at the top: each partition has it. */
static void ask_election(int16_t version)
{
    struct elect_leaders_request request;
    struct elect_leaders_request_topic of;
    struct elect_leaders_response response;
    int32_t partition = 0;

    elect_leaders_request_default(&request);
    elect_leaders_request_topic_default(&of);
    of.topic = STR("t");
    of.partitions = &partition;
    of.partitions_count = 1;
    request.topic_partitions = &of;
    request.topic_partitions_count = 1;
    request.timeout_ms = -1;
    raw_ask(&raw, API_ELECT_LEADERS, version, &request, &response);
    if (version > 0) assert_int_equal(ERR_REQUEST_TIMED_OUT, response.error_code);
    assert_int_equal(1, response.replica_election_results_count);
    assert_int_equal(1, response.replica_election_results[0].partition_result_count);
    assert_int_equal(ERR_REQUEST_TIMED_OUT,
                     response.replica_election_results[0].partition_result[0].error_code);
}

static void ask_feature(int16_t version)
{
    struct update_features_request request;
    struct update_features_request_feature_update_key of;
    struct update_features_response response;

    update_features_request_default(&request);
    update_features_request_feature_update_key_default(&of);
    of.feature = STR("metadata.version");
    of.max_version_level = 20;
    request.feature_updates = &of;
    request.feature_updates_count = 1;
    request.timeout_ms = 500;
    raw_ask(&raw, API_UPDATE_FEATURES, version, &request, &response);
    assert_int_equal(ERR_REQUEST_TIMED_OUT, response.error_code);
    assert_int_equal(0, response.results_count);
}

static void without_a_controller_a_request_is_told_so_where_its_client_looks(void **state)
{
    (void)state;
    begin(4, "bc");
    node_box_stop(&box, 1, 90000);
    assert_int_equal(ERR_REQUEST_TIMED_OUT,
                     set(IMAGE_RESOURCE_TOPIC, "t", "retention.ms", OP_SET, "5000"));
    ask_replace();
    ask_partitions();
    ask_election(0);
    ask_election(2);
    ask_feature(0);
    ask_feature(2);
    /* What needs no controller is answered as ever. */
    assert_int_equal(ERR_NONE, describe(IMAGE_RESOURCE_TOPIC, "t", "retention.ms"));
    expect("retention.ms", "90000", TOPIC_CONFIG_FROM_STATIC);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broker_tells_its_file_its_defaults_and_what_was_set_since),
        cmocka_unit_test(a_broker_tells_the_rates_that_hold_it_back),
        cmocka_unit_test(what_a_broker_cannot_tell_is_an_error),
        cmocka_unit_test(without_a_controller_a_request_is_told_so_where_its_client_looks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

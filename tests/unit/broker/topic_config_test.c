/* Proves that every topic setting is taken or refused by its table row, and that the value that
 * counts is the nearest: topic, broker, all brokers, server.properties, default. */
#include "broker/topic_config.h"
#include "tests/support/support.h"

#include <string.h>

struct fixture {
    struct support_memory memory;
    struct image image;
    struct config config;
    int64_t offset;
};

static struct fixture f;

static int setup(void **state)
{
    static const struct image_limits limits = {
        .brokers_max = 4, .topics_max = 4, .partitions_max = 16};

    (void)state;
    memset(&f, 0, sizeof f);
    support_memory_init(&f.memory, 4 << 20);
    image_init(&f.image, &f.memory.mem, &limits, 7, false);
    config_default(&f.config);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    image_deinit(&f.image);
    support_memory_deinit(&f.memory);
    return 0;
}

static void put(int8_t type, const char *name, const char *key, const char *value)
{
    struct metadata_record record;

    records_default(&record, RECORD_CONFIG);
    record.config.resource_type = type;
    record.config.resource_name = str_of(name);
    record.config.name = str_of(key);
    record.config.value = value != NULL ? str_of(value) : STR_NULL;
    assert_int_equal(image_apply(&f.image, &record, f.offset++, 1), ERR_NONE);
}

static int64_t retention(void)
{
    return topic_config_number(&f.config, &f.image, STR("t"), STR("retention.ms"));
}

static void the_nearest_value_counts_and_the_chain_tells_all(void **state)
{
    struct config_warnings warnings = {0};
    struct topic_config_chain chain;
    struct errmsg error;

    (void)state;
    assert_int_equal(retention(), 604800000);
    assert_int_equal(config_set(&f.config, STR("log.retention.ms"), STR("4"), &warnings, &error),
                     ERR_NONE);
    assert_int_equal(retention(), 4);
    put(IMAGE_RESOURCE_BROKER, "", "log.retention.ms", "3");
    assert_int_equal(retention(), 3);
    put(IMAGE_RESOURCE_BROKER, "2", "log.retention.ms", "9"); /* another broker */
    assert_int_equal(retention(), 3);
    put(IMAGE_RESOURCE_BROKER, "1", "log.retention.ms", "2");
    assert_int_equal(retention(), 2);
    put(IMAGE_RESOURCE_TOPIC, "t", "retention.ms", "1");
    assert_int_equal(retention(), 1);
    topic_config_lookup(&f.config, &f.image, STR("t"), topic_config_find(STR("retention.ms")),
                        &chain);
    assert_int_equal(chain.count, TOPIC_CONFIG_LEVELS);
    for (uint32_t i = 0; i < chain.count; i++)
        assert_int_equal(chain.levels[i].source, i + 1);
    assert_true(str_equal(chain.levels[4].value, STR("604800000")));
    assert_true(str_equal(chain.levels[1].name, STR("log.retention.ms")));
    topic_config_lookup(&f.config, &f.image, STR_NULL, topic_config_find(STR("retention.ms")),
                        &chain);
    assert_int_equal(chain.levels[0].source, TOPIC_CONFIG_FROM_BROKER);
    put(IMAGE_RESOURCE_TOPIC, "t", "retention.ms", NULL);
    assert_int_equal(retention(), 2);
    assert_true(topic_config_is(&f.config, &f.image, STR("t"), STR("message.timestamp.type"),
                                STR("CreateTime")));
}

static void every_row_takes_its_default_and_refuses_nonsense(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < topic_config_keys_count; i++) {
        const struct topic_config_key *key = &topic_config_keys[i];
        struct topic_config_chain chain;

        if (i > 0) assert_true(strcmp(topic_config_keys[i - 1].name, key->name) < 0);
        topic_config_lookup(&f.config, &f.image, STR("t"), key, &chain);
        assert_null(topic_config_check(str_of(key->name), chain.levels[0].value));
        assert_non_null(topic_config_check(str_of(key->name), STR("nonsense")));
        assert_non_null(topic_config_check(str_of(key->name), STR_NULL));
        /* Lists of replicas act without a broker key behind them. */
        assert_int_equal(key->acts, key->broker_key != NULL || key->words == NULL);
        if (key->broker_key != NULL)
            assert_ptr_equal(topic_config_find_broker(str_of(key->broker_key)), key);
    }
    assert_non_null(topic_config_check(STR("no.such.key"), STR("1")));
    assert_null(topic_config_check(STR("cleanup.policy"), STR("compact")));
    assert_null(topic_config_check(STR("cleanup.policy"), STR("delete,compact")));
    assert_non_null(topic_config_check(STR("cleanup.policy"), STR("compact,compact")));
    assert_null(topic_config_check(STR("min.cleanable.dirty.ratio"), STR("0.01")));
    assert_non_null(topic_config_check(STR("min.cleanable.dirty.ratio"), STR("1.5")));
    assert_non_null(topic_config_check(STR("retention.ms"), STR("-2")));
    assert_null(topic_config_check_broker(STR("min.insync.replicas"), STR("2"), true));
    assert_non_null(topic_config_check_broker(STR("min.insync.replicas"), STR("2"), false));
    assert_non_null(topic_config_check_broker(STR("retention.ms"), STR("2"), true));
}

static void rates_of_replication_are_the_brokers_and_lists_the_topics(void **state)
{
    struct str rate = STR("leader.replication.throttled.rate");
    struct str list = STR("leader.replication.throttled.replicas");

    (void)state;
    assert_null(topic_config_check_broker(rate, STR("0"), true));
    assert_null(topic_config_check_broker(rate, STR("5"), false));
    assert_non_null(topic_config_check_broker(rate, STR("-1"), false));
    assert_non_null(topic_config_check(rate, STR("5")));
    assert_null(topic_config_check(list, STR("0:1,1:2")));
    assert_non_null(topic_config_check(list, STR("0-1")));
    assert_int_equal(topic_config_broker_number(&f.config, &f.image, rate), INT64_MAX);
    put(IMAGE_RESOURCE_BROKER, "", "leader.replication.throttled.rate", "7");
    assert_int_equal(topic_config_broker_number(&f.config, &f.image, rate), 7);
    put(IMAGE_RESOURCE_BROKER, "1", "leader.replication.throttled.rate", "8");
    assert_int_equal(topic_config_broker_number(&f.config, &f.image, rate), 8);
    assert_true(str_equal(topic_config_text(&f.config, &f.image, STR("t"), list), STR("")));
    put(IMAGE_RESOURCE_TOPIC, "t", "leader.replication.throttled.replicas", "0:1");
    assert_true(str_equal(topic_config_text(&f.config, &f.image, STR("t"), list), STR("0:1")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_nearest_value_counts_and_the_chain_tells_all, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(rates_of_replication_are_the_brokers_and_lists_the_topics,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(every_row_takes_its_default_and_refuses_nonsense, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

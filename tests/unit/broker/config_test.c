/* Configuration: Kafka's keys and defaults; what is unknown or not honoured is a warning that names
 * it, what is wrong is an error that says what would be right; every honoured key changes its
 * field. */
#include "broker/config.h"
#include "tests/support/support.h"

#include <stdio.h>
#include <string.h>

struct fixture {
    struct config config;
    struct config_warnings warnings;
    struct errmsg error;
};

static struct fixture f;

static enum err parse(const char *text)
{
    memset(&f, 0, sizeof f);
    return config_parse(&f.config, str_of(text), &f.warnings, &f.error);
}

static void the_default_is_one_node_on_loopback(void **state)
{
    (void)state;
    config_default(&f.config);
    assert_int_equal(config_finish(&f.config, &f.error), ERR_NONE);
    assert_true(config_has_role(&f.config, CONFIG_ROLE_BROKER));
    assert_true(config_has_role(&f.config, CONFIG_ROLE_CONTROLLER));
    assert_string_equal(config_broker_endpoint(&f.config)->host, "127.0.0.1");
    assert_int_equal(config_broker_endpoint(&f.config)->port, 9092);
    assert_int_equal(config_listener(&f.config, "CONTROLLER")->port, 0);
    assert_string_equal(f.config.log_dirs[0], "gregor-data");
}

/* --data-dir DIR and --set log.dirs=DIR of a node without a file. */
static void the_default_node_keeps_its_metadata_where_its_data_is(void **state)
{
    struct config_warnings warnings = {0};
    struct errmsg error;
    static struct config config;

    (void)state;
    config_default(&config);
    assert_int_equal(config_set(&config, STR("log.dirs"), STR("/d"), &warnings, &error), ERR_NONE);
    assert_int_equal(config_finish(&config, &error), ERR_NONE);
    assert_string_equal(config.log_dirs[0], "/d");
    assert_string_equal(config.metadata_log_dir, "/d");
}

static void a_cluster_node_reads_as_in_kafka(void **state)
{
    (void)state;
    assert_int_equal(parse("# a comment\n"
                           "process.roles=broker,controller\n"
                           "node.id = 2\n"
                           "listeners=PLAINTEXT://:9192,CONTROLLER://127.0.0.1:9193\r\n"
                           "advertised.listeners:PLAINTEXT://[::1]:9192\n"
                           "controller.listener.names CONTROLLER\n"
                           "controller.quorum.voters=1@127.0.0.1:9093,2@127.0.0.1:9193,\\\n"
                           "    3@127.0.0.1:9293\n"
                           "log.dirs=/tmp/a\n"
                           "! another comment\n"
                           "log.roll.hours=2\n"),
                     ERR_NONE);
    assert_int_equal(config_finish(&f.config, &f.error), ERR_NONE);
    assert_int_equal(f.warnings.count, 0);
    assert_int_equal(f.config.node_id, 2);
    assert_int_equal(f.config.voter_count, 3);
    assert_int_equal(f.config.voters[2].id, 3);
    assert_int_equal(f.config.voters[2].port, 9293);
    assert_int_equal(f.config.log_roll_ms, 7200000);
    assert_string_equal(config_broker_endpoint(&f.config)->host, "::1");
    assert_true(config_is_voter(&f.config, 2));
}

static void log_directories_are_several_and_the_first_has_the_metadata(void **state)
{
    static const char text[] = "process.roles=broker,controller\nnode.id=2\n"
                               "listeners=PLAINTEXT://:1,CONTROLLER://127.0.0.1:2\n"
                               "controller.listener.names=CONTROLLER\n"
                               "controller.quorum.voters=2@127.0.0.1:2\nlog.dirs=/a,/b\n";
    char longer[512];

    (void)state;
    assert_int_equal(parse(text), ERR_NONE);
    assert_int_equal(config_finish(&f.config, &f.error), ERR_NONE);
    assert_int_equal(f.config.log_dir_count, 2);
    assert_string_equal(f.config.log_dirs[1], "/b");
    assert_string_equal(f.config.metadata_log_dir, "/a");
    (void)snprintf(longer, sizeof longer, "%smetadata.log.dir=/c\n", text);
    assert_int_equal(parse(longer), ERR_NONE);
    assert_int_equal(config_finish(&f.config, &f.error), ERR_NONE);
    assert_string_equal(f.config.metadata_log_dir, "/c");
}

static void every_honoured_number_changes_and_has_bounds(void **state)
{
    struct errmsg value;
    struct str key;
    uint32_t keys = 0;

    (void)state;
    config_default(&f.config);
    for (uint32_t n = 0; config_key(&f.config, n, &key, &value); n++) {
        struct config before = f.config;

        memset(&f.warnings, 0, sizeof f.warnings);
        assert_int_not_equal(config_set(&f.config, key, STR("x"), &f.warnings, &f.error), ERR_NONE);
        assert_non_null(strstr(f.error.text, "is wrong"));
        assert_memory_equal(&before, &f.config, sizeof before);
        keys++;
    }
    assert_true(keys > 40);
    assert_int_equal(
        config_set(&f.config, STR("replica.lag.time.max.ms"), STR("123"), &f.warnings, &f.error),
        ERR_NONE);
    assert_int_equal(f.config.replica_lag_time_max_ms, 123);
    assert_int_not_equal(
        config_set(&f.config, STR("num.partitions"), STR("0"), &f.warnings, &f.error), ERR_NONE);
    assert_non_null(strstr(f.error.text, "from 1 to 10000"));
}

static void unknown_and_unhonoured_keys_are_warnings_that_name_them(void **state)
{
    (void)state;
    assert_int_equal(parse("nod.id=1\nnum.io.threads=8\nfoo.bar=1\n"), ERR_NONE);
    assert_int_equal(f.warnings.count, 3);
    assert_string_equal(f.warnings.text[0].text,
                        "nod.id: unknown key, ignored; did you mean node.id?");
    assert_string_equal(f.warnings.text[1].text,
                        "num.io.threads: known, but not honoured by this version");
    assert_string_equal(f.warnings.text[2].text, "foo.bar: unknown key, ignored");
}

static void wrong_values_tell_the_line_and_what_would_be_right(void **state)
{
    static const struct {
        const char *text;
        const char *expected;
    } rows[] = {
        {"node.id=1\nlisteners=nonsense\n", "2: listeners: \"nonsense\" is wrong: NAME://"},
        {"controller.quorum.voters=1@host\n", "1: controller.quorum.voters"},
        {"process.roles=worker\n", "broker, controller, or broker,controller"},
        {"log.segment.bytes=10\n", "from 1024 to 2147483647"},
        {"unclean.leader.election.enable=maybe\n", "false true"},
        {"listener.security.protocol.map=A:SSL\n", "NAME:PLAINTEXT"},
        {"controller.quorum.voters=1@a:1,1@b:2\n", "each voter id once"},
        {"log.dirs=/a,/b,/a\n", "each directory once"},
        {"log.dirs=/a,,/b\n", "1 to 8"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(parse(rows[i].text), ERR_BAD_CONFIG);
        assert_non_null(strstr(f.error.text, rows[i].expected));
    }
}

static void what_needs_two_keys_is_checked_at_the_end(void **state)
{
    static const struct {
        const char *text;
        const char *expected;
    } rows[] = {
        {"process.roles=broker\n", "node.id: missing"},
        {"node.id=1\n", "process.roles: missing"},
        {"node.id=1\nprocess.roles=broker\n", "controller.quorum.voters: missing"},
        {"node.id=1\nprocess.roles=broker\ncontroller.quorum.voters=1@a:1\n"
         "controller.listener.names=C\n",
         "process.roles has no controller"},
        {"node.id=9\nprocess.roles=controller\ncontroller.quorum.voters=1@a:1\n"
         "controller.listener.names=C\nlisteners=C://:1\n",
         "not among the voters"},
        {"node.id=1\nprocess.roles=controller\ncontroller.quorum.voters=1@a:1\n"
         "controller.listener.names=C\nlisteners=D://:1\n",
         "the listener named by controller.listener.names is missing"},
        {"node.id=1\nprocess.roles=broker,controller\nbroker.session.timeout.ms=1000\n",
         "must be above broker.heartbeat.interval.ms"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(parse(rows[i].text), ERR_NONE);
        assert_int_equal(config_finish(&f.config, &f.error), ERR_BAD_CONFIG);
        assert_non_null(strstr(f.error.text, rows[i].expected));
    }
}

static void of_several_units_the_finest_counts(void **state)
{
    (void)state;
    assert_int_equal(parse("log.retention.hours=2\n"), ERR_NONE);
    assert_int_equal(f.config.log_retention_ms, 7200000);
    assert_int_equal(parse("log.retention.ms=5\nlog.retention.hours=2\n"), ERR_NONE);
    assert_int_equal(f.config.log_retention_ms, 5);
    assert_int_equal(parse("log.retention.hours=2\nlog.retention.minutes=3\n"), ERR_NONE);
    assert_int_equal(f.config.log_retention_ms, 180000);
    assert_int_equal(parse("log.retention.hours=-1\n"), ERR_NONE);
    assert_int_equal(f.config.log_retention_ms, -1);
    assert_int_equal(f.warnings.count, 0);
}

static void a_key_tells_its_value_and_whether_it_was_given(void **state)
{
    struct errmsg value;
    bool given;

    (void)state;
    assert_int_equal(parse("log.retention.hours=2\n"), ERR_NONE);
    assert_int_equal(config_describe(&f.config, STR("log.retention.ms"), &value, &given),
                     CONFIG_INT);
    assert_string_equal(value.text, "7200000");
    assert_true(given);
    (void)config_describe(&f.config, STR("log.retention.ms"), &value, NULL);
    assert_string_equal(value.text, "604800000");
    (void)config_describe(&f.config, STR("log.segment.bytes"), &value, &given);
    assert_false(given);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_is_one_node_on_loopback),
        cmocka_unit_test(the_default_node_keeps_its_metadata_where_its_data_is),
        cmocka_unit_test(a_cluster_node_reads_as_in_kafka),
        cmocka_unit_test(log_directories_are_several_and_the_first_has_the_metadata),
        cmocka_unit_test(every_honoured_number_changes_and_has_bounds),
        cmocka_unit_test(unknown_and_unhonoured_keys_are_warnings_that_name_them),
        cmocka_unit_test(wrong_values_tell_the_line_and_what_would_be_right),
        cmocka_unit_test(of_several_units_the_finest_counts),
        cmocka_unit_test(a_key_tells_its_value_and_whether_it_was_given),
        cmocka_unit_test(what_needs_two_keys_is_checked_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

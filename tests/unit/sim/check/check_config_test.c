/* Proves: what the oracles know besides events goes into a line of text and comes back whole, and a
 * line that is none is refused. */
#include "sim/check/check.h"
#include "tests/support/support.h"

#include <string.h>

static struct check_config odd(void)
{
    struct check_config config;

    check_config_init(&config);
    config.unclean_election = !config.unclean_election;
    config.fsync_before_ack = !config.fsync_before_ack;
    config.idempotent = !config.idempotent;
    config.acks_all = !config.acks_all;
    config.transactional = UINT64_C(1) << 62 | 5;
    config.final_drain = !config.final_drain;
    for (uint32_t i = 0; i < CHECK_OFF_WORDS; i++)
        config.off[i] = (UINT64_C(1) << 61) + i;
    config.only_history = !config.only_history;
    config.min_isr = 3;
    config.loss_budget = -1;
    config.replica_lag_ns++;
    config.fetch_wait_ns++;
    config.session_ns++;
    config.heartbeat_ns++;
    config.member_session_ns++;
    config.request_timeout_ns++;
    config.election_ns++;
    config.quorum_fetch_ns++;
    config.delete_retention_ns = INT64_MAX;
    return config;
}

static void every_field_comes_back(void **state)
{
    struct check_config config = odd(), read;
    char text[CHECK_CONFIG_MAX], again[CHECK_CONFIG_MAX];

    (void)state;
    check_config_print(&config, text, sizeof text);
    assert_true(strlen(text) + 1 < sizeof text);
    check_config_init(&read);
    assert_true(check_config_parse(&read, text));
    assert_memory_equal(&config, &read,
                        sizeof read); /* both began as check_config_init made them */
    check_config_print(&read, again, sizeof again);
    assert_string_equal(text, again);
}

static void what_is_not_known_is_passed_over(void **state)
{
    struct check_config config;

    (void)state;
    check_config_init(&config);
    assert_true(check_config_parse(&config, "of_tomorrow=7 min_isr=2"));
    assert_int_equal(2, config.min_isr);
    assert_true(check_config_parse(&config, ""));
    assert_false(check_config_parse(&config, "min_isr"));
    assert_false(check_config_parse(&config, "min_isr="));
    assert_false(check_config_parse(&config, "min_isr=4x"));
    assert_int_equal(2, config.min_isr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_comes_back),
        cmocka_unit_test(what_is_not_known_is_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

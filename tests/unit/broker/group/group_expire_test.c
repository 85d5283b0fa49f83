/* Which offsets are over (KIP-211, groups.md 5.4): a group of each kind, before its time and at
 * it; what is subscribed to stays; deleted topics; when the group itself goes. */
#include "broker/group/group_expire.h"

#include "tests/support/image_build.h"
#include "tests/support/support.h"

#include <string.h>

enum { RETENTION_MS = 60000, COMMITTED_MS = 1000, EMPTY_MS = 50000 };

struct fixture {
    struct support_memory memory;
    struct arena arena;
    struct image image;
    struct group_config config;
    struct group group;
    struct group_offsets offsets;
    struct consumer_group consumer;
    struct group_log log;
    struct group_expire expire;
};

static int setup(void **state)
{
    static struct fixture f;
    const struct image_limits limits = {10, 100, 1000};
    struct group_offsets_value value = {.offset = 5,
                                        .leader_epoch = -1,
                                        .metadata = STR(""),
                                        .commit_ms = COMMITTED_MS,
                                        .expire_ms = -1};

    memset(&f, 0, sizeof f);
    support_memory_init(&f.memory, 1 << 22);
    arena_init(&f.arena, &f.memory.mem, 1 << 20);
    image_init(&f.image, &f.memory.mem, &limits, 1, true);
    (void)image_build_topic(&f.image, "t", 1);
    (void)image_build_topic(&f.image, "u", 2);
    f.config = (struct group_config){.max_size = 100};
    group_init(&f.group, &f.memory.mem, &f.config, STR("g"), 7, EMPTY_MS);
    group_offsets_init(&f.offsets, &f.memory.mem, 7);
    consumer_group_init(&f.consumer, &f.memory.mem, STR("g"), 7);
    assert_int_equal(group_offsets_put(&f.offsets, STR("t"), 0, &value), ERR_NONE);
    assert_int_equal(group_offsets_put(&f.offsets, STR("u"), 1, &value), ERR_NONE);
    f.expire = (struct group_expire){
        .group = &f.group, .offsets = &f.offsets, .image = &f.image, .retention_ms = RETENTION_MS};
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct group_effects effects;
    struct instant now = {0};

    group_effects_init(&effects);
    group_close(&f->group, ERR_NOT_COORDINATOR, now, &effects);
    group_deinit(&f->group);
    consumer_group_deinit(&f->consumer);
    group_offsets_deinit(&f->offsets);
    image_deinit(&f->image);
    arena_deinit(&f->arena);
    support_memory_deinit(&f->memory);
    return 0;
}

/* How many tombstones at that time; -1 less: and the group goes. */
static uint32_t gone_at(struct fixture *f, int64_t now_ms, bool *group_too)
{
    group_log_init(&f->log, &f->arena);
    f->expire.now_ms = now_ms;
    *group_too = group_expire(&f->expire, &f->log);
    assert_int_equal(f->log.err, ERR_NONE);
    return f->log.count;
}

static void assert_goes(struct fixture *f, int64_t at_ms, uint32_t count, bool with_group)
{
    bool group_too = false;

    assert_int_equal(gone_at(f, at_ms - 1, &group_too), 0);
    assert_false(group_too);
    assert_int_equal(gone_at(f, at_ms, &group_too), count);
    assert_int_equal(group_too, with_group);
}

static void restore(struct fixture *f, const char *type, uint32_t members)
{
    static const uint8_t reads_t[] = {0, 0, 0, 0, 0, 1, 0, 1, 't', 0xff, 0xff, 0xff, 0xff};
    const struct group_restored one = {.id = STR("m"),
                                       .client_id = STR("c"),
                                       .client_host = STR("/h"),
                                       .subscription = {reads_t, sizeof reads_t},
                                       .assignment = {(const uint8_t *)"", 0}};
    const struct group_value value = {.generation = 3,
                                      .protocol_type = str_of(type),
                                      .protocol = STR("range"),
                                      .leader = STR("m"),
                                      .state_since_ms = EMPTY_MS,
                                      .members = &one,
                                      .members_count = members};

    assert_int_equal(group_restore(&f->group, &value), ERR_NONE);
}

static void offsets_of_a_simple_group_live_from_their_commit(void **state)
{
    assert_goes(*state, COMMITTED_MS + RETENTION_MS, 2, true);
}

static void offsets_of_an_empty_group_live_from_when_it_became_empty(void **state)
{
    restore(*state, "consumer", 0);
    assert_goes(*state, EMPTY_MS + RETENTION_MS, 2, true);
}

static void what_a_member_subscribes_to_stays(void **state)
{
    restore(*state, "consumer", 1);
    assert_goes(*state, COMMITTED_MS + RETENTION_MS, 1, false);
}

static void a_group_of_another_kind_keeps_all_while_it_has_members(void **state)
{
    bool group_too = true;

    restore(*state, "connect", 1);
    assert_int_equal(gone_at(*state, INT64_MAX, &group_too), 0);
    assert_false(group_too);
}

static void a_consumer_group_goes_by_commits_and_subscriptions(void **state)
{
    struct fixture *f = *state;
    static struct str names[] = {{"u", 1}};
    struct group_log_read read = {
        .kind = GROUP_LOG_CONSUMER_MEMBER, .group = STR("g"), .member = STR("m")};
    const struct consumer_group_config config = {.session_timeout_ms = 1};
    struct instant now = {0};
    bool over;

    f->expire.consumer = &f->consumer;
    assert_goes(f, COMMITTED_MS + RETENTION_MS, 2, true);
    consumer_group_metadata_none(&read.member_metadata);
    read.member_metadata.subscribed_topic_names = names;
    read.member_metadata.subscribed_topic_names_count = 1;
    assert_int_equal(consumer_group_replay(&f->consumer, &read, &config, false, now, &over),
                     ERR_NONE);
    assert_goes(f, COMMITTED_MS + RETENTION_MS, 1, false);
}

static void offsets_of_a_deleted_topic_go_at_once(void **state)
{
    struct fixture *f = *state;
    struct group_offsets_value value = {.metadata = STR(""), .commit_ms = COMMITTED_MS};
    bool group_too = true;

    value.expire_ms = -1;
    assert_int_equal(group_offsets_put(&f->offsets, STR("deleted"), 0, &value), ERR_NONE);
    restore(f, "consumer", 1);
    assert_int_equal(gone_at(f, COMMITTED_MS, &group_too), 1);
    assert_false(group_too);
}

static void an_expiry_of_its_own_counts_instead(void **state)
{
    struct fixture *f = *state;
    struct group_offsets_value value = {.metadata = STR(""), .commit_ms = COMMITTED_MS};

    value.expire_ms = COMMITTED_MS + 10;
    assert_int_equal(group_offsets_put(&f->offsets, STR("t"), 7, &value), ERR_NONE);
    assert_goes(f, COMMITTED_MS + 10, 1, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(offsets_of_a_simple_group_live_from_their_commit, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(offsets_of_an_empty_group_live_from_when_it_became_empty,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_member_subscribes_to_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(a_group_of_another_kind_keeps_all_while_it_has_members,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_consumer_group_goes_by_commits_and_subscriptions, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(offsets_of_a_deleted_topic_go_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(an_expiry_of_its_own_counts_instead, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The records of __consumer_offsets byte by byte, there and back (groups.md 6); where a group lives
 * (groups.md 1); which commit wins. */
#include "broker/group/group_log.h"

#include "broker/group/consumer_group.h"
#include "broker/group/group_offsets.h"
#include "broker/group/group_place.h"
#include "tests/support/support.h"

#include <string.h>

struct fixture {
    struct support_memory memory;
    struct arena arena;
    struct group_config config;
    struct group group;
    struct instant now;
};

static int setup(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof f);
    support_memory_init(&f.memory, 1 << 22);
    arena_init(&f.arena, &f.memory.mem, 1 << 20);
    f.config = (struct group_config){.max_size = 100};
    group_init(&f.group, &f.memory.mem, &f.config, STR("g"), 7, 0);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct group_effects effects;

    group_effects_init(&effects);
    group_close(&f->group, ERR_NOT_COORDINATOR, f->now, &effects);
    group_deinit(&f->group);
    arena_deinit(&f->arena);
    support_memory_deinit(&f->memory);
    return 0;
}

static void assert_hex(struct bytes bytes, const char *hex)
{
    static const char digits[] = "0123456789abcdef";
    char text[1024];

    assert_true(bytes.length * 2 < sizeof text);
    for (uint32_t i = 0; i < bytes.length; i++) {
        text[2 * i] = digits[bytes.data[i] >> 4];
        text[2 * i + 1] = digits[bytes.data[i] & 15];
    }
    text[2 * bytes.length] = '\0';
    assert_string_equal(text, hex);
}

static void an_offset_is_written_as_kafka_writes_it(void **state)
{
    struct fixture *f = *state;
    struct offset_commit_value value;
    struct group_log log;

    offset_commit_value_default(&value);
    value.offset = 42;
    value.leader_epoch = 7;
    value.metadata = STR("m");
    value.commit_timestamp = 1000;
    group_log_init(&log, &f->arena);
    group_log_offset(&log, STR("g"), STR("t"), 0, &value);
    value.expire_timestamp = 2000;
    group_log_offset(&log, STR("g"), STR("t"), 0, &value);
    group_log_offset_gone(&log, STR("g"), STR("t"), 3);
    group_log_group_gone(&log, STR("g"));
    assert_int_equal(log.err, ERR_NONE);
    assert_hex(log.records[0].key, "0001000167000174"
                                   "00000000");
    assert_hex(log.records[0].value, "0003000000000000002a00000007"
                                     "00016d00000000000003e8");
    assert_hex(log.records[1].value, "0001000000000000002a"
                                     "00016d00000000000003e800000000000007d0");
    assert_hex(log.records[2].key, "000100016700017400000003");
    assert_null(log.records[2].value.data);
    assert_hex(log.records[3].key, "0002000167");
    assert_null(log.records[3].value.data);
}

static const struct group_restored two_members[] = {
    {.id = {"a", 1},
     .instance_id = {NULL, 0},
     .client_id = {"c", 1},
     .client_host = {"/h", 2},
     .rebalance_timeout_ms = 300,
     .session_timeout_ms = 100,
     .subscription = {(const uint8_t *)"sub", 3},
     .assignment = {(const uint8_t *)"xy", 2}},
    {.id = {"b", 1},
     .instance_id = {"i", 1},
     .client_id = {"c", 1},
     .client_host = {"/h", 2},
     .rebalance_timeout_ms = 300,
     .session_timeout_ms = 100,
     .subscription = {(const uint8_t *)"", 0},
     .assignment = {(const uint8_t *)"", 0}},
};

static void restore(struct fixture *f)
{
    struct group_value value = {.generation = 5,
                                .protocol_type = STR("consumer"),
                                .protocol = STR("range"),
                                .leader = STR("b"),
                                .state_since_ms = 9,
                                .members = two_members,
                                .members_count = 2};

    assert_int_equal(group_restore(&f->group, &value), ERR_NONE);
    group_check(&f->group);
}

static void a_group_is_written_as_kafka_writes_it(void **state)
{
    struct fixture *f = *state;
    struct group_log log;

    restore(f);
    group_log_init(&log, &f->arena);
    group_log_group(&log, &f->group, GROUP_WRITE_REPLACE);
    assert_int_equal(log.err, ERR_NONE);
    assert_hex(log.records[0].value, "0003"
                                     "0008636f6e73756d6572"
                                     "00000005"
                                     "000572616e6765"
                                     "000162"
                                     "0000000000000009"
                                     "00000002"
                                     "000161ffff00016300022f680000012c00000064"
                                     "00000003737562000000027879"
                                     "00016200016900016300022f680000012c00000064"
                                     "0000000000000000");
}

static void what_is_written_is_read_again(void **state)
{
    struct fixture *f = *state;
    struct offset_commit_value value;
    struct group_log log;
    struct bytes batch;
    struct record_batch parsed;
    struct record_iter iter;
    struct record record;
    struct group_log_read read;
    struct cpu cpu = {0};
    uint8_t buffer[2048];

    restore(f);
    offset_commit_value_default(&value);
    value.offset = 42;
    value.metadata = STR("m");
    group_log_init(&log, &f->arena);
    group_log_offset(&log, STR("g"), STR("t"), 3, &value);
    group_log_group(&log, &f->group, GROUP_WRITE_REPLACE);
    group_log_offset_gone(&log, STR("g"), STR("t"), 3);
    assert_true(group_log_size(&log) <= sizeof buffer);
    assert_int_equal(group_log_batch(&log, cpu, 1000, buffer, sizeof buffer, &batch), ERR_NONE);
    assert_int_equal(record_batch_parse(batch, &parsed), RECORD_BATCH_WHOLE);
    assert_int_equal(record_batch_check_crc(cpu, &parsed), ERR_NONE);
    record_iter_init(&iter, &parsed, record_batch_payload(&parsed));

    assert_int_equal(record_iter_next(&iter, &record), ERR_NONE);
    assert_int_equal(group_log_read(&record, &f->arena, &read), ERR_NONE);
    assert_int_equal(read.kind, GROUP_LOG_OFFSET);
    assert_true(str_equal(read.group, STR("g")) && str_equal(read.topic, STR("t")));
    assert_int_equal(read.partition, 3);
    assert_int_equal(read.offset.offset, 42);
    assert_int_equal(read.offset.expire_timestamp, -1);

    assert_int_equal(record_iter_next(&iter, &record), ERR_NONE);
    assert_int_equal(group_log_read(&record, &f->arena, &read), ERR_NONE);
    assert_int_equal(read.kind, GROUP_LOG_GROUP);
    assert_int_equal(read.metadata.generation, 5);
    assert_int_equal(read.metadata.members_count, 2);
    assert_true(str_equal(read.metadata.members[1].group_instance_id, STR("i")));
    assert_null(read.metadata.members[0].group_instance_id.data);

    assert_int_equal(record_iter_next(&iter, &record), ERR_NONE);
    assert_int_equal(group_log_read(&record, &f->arena, &read), ERR_NONE);
    assert_true(read.tombstone);
    assert_int_equal(record_iter_next(&iter, &record), ERR_EOF);
}

static void records_of_newer_brokers_are_passed_over(void **state)
{
    struct fixture *f = *state;
    static const uint8_t key[] = {0, 3, 0, 1, 'g'};
    static const uint8_t short_key[] = {0, 1, 0, 9, 'g'};
    static const uint8_t offset_key[] = {0, 1, 0, 1, 'g', 0, 1, 't', 0, 0, 0, 0};
    static const uint8_t value[] = {0, 9, 1};
    struct record record = {.key = {key, sizeof key}, .value = {value, sizeof value}};
    struct group_log_read read;

    assert_int_equal(group_log_read(&record, &f->arena, &read), ERR_NONE);
    assert_int_equal(read.kind, GROUP_LOG_UNKNOWN);
    record.key = (struct bytes){offset_key, sizeof offset_key};
    assert_int_equal(group_log_read(&record, &f->arena, &read), ERR_NONE);
    assert_int_equal(read.kind, GROUP_LOG_UNKNOWN);
    record.key = (struct bytes){short_key, sizeof short_key};
    assert_int_equal(group_log_read(&record, &f->arena, &read), ERR_MALFORMED);
}

static void a_restored_group_goes_on_where_it_was(void **state)
{
    struct fixture *f = *state;
    struct group_effects effects;
    struct group_who who = {.member_id = STR("a"), .generation = 5};

    restore(f);
    group_effects_init(&effects);
    group_loaded(&f->group, f->now, &effects);
    assert_int_equal(f->group.state, GROUP_STABLE);
    assert_true(str_equal(f->group.leader->id, STR("b")));
    assert_int_equal(group_heartbeat(&f->group, &who, f->now), ERR_NONE);
    assert_int_equal(group_find(&f->group, STR("a"))->assignment.length, 2);
    assert_int_equal(group_next_deadline(&f->group), 100 * NS_PER_MS); /* the full session */
    /* A later record of the same group takes its place. */
    restore(f);
    assert_int_equal(f->group.members.count, 2);
}

static void too_many_at_load_rebalance(void **state)
{
    struct fixture *f = *state;
    struct group_effects effects;

    f->config.max_size = 1;
    restore(f);
    group_effects_init(&effects);
    group_loaded(&f->group, f->now, &effects);
    assert_int_equal(f->group.state, GROUP_PREPARING);
}

static void groups_live_where_java_puts_them(void **state)
{
    static const struct {
        const char *id;
        int32_t hash;
        int32_t partition;
    } rows[] = {{"", 0, 0},
                {"a", 97, 47},
                {"my-group", -1906497762, 12},
                {"test-group", 627841412, 12},
                {"console-consumer-12345", 158455506, 6},
                {"txn-1", 110810510, 10},
                {"\xc3\xa9", 233, 33},
                {"\xf0\x9f\x98\x80", 1772899, 49},
                {"polygenelubricants", INT32_MIN, 0}};

    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(group_place_hash(str_of(rows[i].id)), rows[i].hash);
        assert_int_equal(group_place(str_of(rows[i].id), 50), rows[i].partition);
    }
    assert_int_equal(group_place_length(STR("a\xf0\x9f\x98\x80")), 3);
    assert_int_equal(group_place_hash(STR("\xff")), 0xfffd); /* no UTF-8, and no crash */
    assert_int_equal(group_place_hash(STR("\xf0\x9f")), 0xfffd * 31 + 0xfffd);
}

static struct group_offsets_value at(int64_t offset, int64_t record)
{
    return (struct group_offsets_value){
        .offset = offset, .leader_epoch = -1, .metadata = STR(""), .record = record};
}

static void the_commit_with_the_newest_record_wins(void **state)
{
    struct fixture *f = *state;
    struct group_offsets offsets;
    struct group_offsets_value value;

    group_offsets_init(&offsets, &f->memory.mem, 3);
    value = at(10, 5);
    assert_int_equal(group_offsets_put(&offsets, STR("t"), 0, &value), ERR_NONE);
    value = at(99, 4);
    assert_int_equal(group_offsets_put(&offsets, STR("t"), 0, &value), ERR_NONE);
    assert_int_equal(group_offsets_find(&offsets, STR("t"), 0)->offset, 10);
    value = at(7, 6); /* backwards is legal */
    assert_int_equal(group_offsets_put(&offsets, STR("t"), 0, &value), ERR_NONE);
    assert_int_equal(group_offsets_find(&offsets, STR("t"), 0)->offset, 7);
    assert_int_equal(offsets.count, 1);
    assert_null(group_offsets_find(&offsets, STR("t"), 1));
    group_offsets_remove(&offsets, STR("t"), 0);
    assert_null(group_offsets_find(&offsets, STR("t"), 0));
    assert_int_equal(offsets.topics.count, 0);
    group_offsets_deinit(&offsets);
}

static const struct parts_item three_parts[] = {
    {{{0x11}}, 0},
    {{{0x11}}, 2},
    {{{0x22}}, 1},
};
static struct str two_names[] = {{"t", 1}, {"uv", 2}};

/* Records 3 to 8 (KIP-848): keys as of old, values flexible in version 0. */
static void a_consumer_group_is_written_as_kafka_writes_it(void **state)
{
    struct fixture *f = *state;
    struct consumer_group_member_metadata_value member;
    struct parts_item items[COUNT_OF(three_parts)];
    struct group_log_current current = {.epoch = 7, .previous_epoch = 6, .state = 1};
    struct group_log log;

    memcpy(items, three_parts, sizeof items);
    current.assigned = (struct parts){items, 3};
    current.revoking = (struct parts){items + 2, 1};
    consumer_group_metadata_none(&member);
    member.client_id = STR("c");
    member.client_host = STR("/h");
    member.subscribed_topic_names = two_names;
    member.subscribed_topic_names_count = 2;
    member.rebalance_timeout_ms = 300;
    member.server_assignor = STR("range");
    group_log_init(&log, &f->arena);
    group_log_consumer_epoch(&log, STR("g"), 9);
    group_log_consumer_member(&log, STR("g"), STR("m"), &member);
    group_log_consumer_target_epoch(&log, STR("g"), 8);
    group_log_consumer_target(&log, STR("g"), STR("m"), current.assigned);
    group_log_consumer_current(&log, STR("g"), STR("m"), &current);
    assert_int_equal(log.err, ERR_NONE);
    assert_hex(log.records[0].key, "0003000167");
    assert_hex(log.records[0].value, "00000000000900");
    assert_hex(log.records[1].key, "000500016700016d");
    assert_hex(log.records[1].value, "0000"
                                     "0000026303"
                                     "2f68"
                                     "030274037576"
                                     "000000012c"
                                     "0672616e6765"
                                     "01000100"); /* no classic member: said, not left out */
    assert_hex(log.records[2].key, "0006000167");
    assert_hex(log.records[2].value, "00000000000800");
    assert_hex(log.records[3].key, "000700016700016d");
    assert_hex(log.records[3].value, "0000"
                                     "03"
                                     "11000000000000000000000000000000"
                                     "03"
                                     "0000000000000002"
                                     "00"
                                     "22000000000000000000000000000000"
                                     "02"
                                     "00000001"
                                     "00"
                                     "00");
    assert_hex(log.records[4].key, "000800016700016d");
    assert_hex(log.records[4].value, "0000"
                                     "00000007"
                                     "00000006"
                                     "01"
                                     "03"
                                     "11000000000000000000000000000000"
                                     "03"
                                     "0000000000000002"
                                     "00"
                                     "22000000000000000000000000000000"
                                     "02"
                                     "00000001"
                                     "00"
                                     "02"
                                     "22000000000000000000000000000000"
                                     "02"
                                     "00000001"
                                     "00"
                                     "00");
}

/* A value cut anywhere, or of another version, is an error or of a newer broker, never a crash. */
static void a_consumer_record_that_is_damaged_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct parts_item items[COUNT_OF(three_parts)];
    struct group_log_current current = {.epoch = 7, .previous_epoch = 6, .state = 1};
    struct group_log log;

    memcpy(items, three_parts, sizeof items);
    current.assigned = (struct parts){items, 3};
    group_log_init(&log, &f->arena);
    group_log_consumer_current(&log, STR("g"), STR("m"), &current);
    for (uint32_t length = 0; length < log.records[0].value.length; length++) {
        struct record record = {.key = log.records[0].key, .value = log.records[0].value};
        struct group_log_read read;

        record.value.length = length;
        assert_int_not_equal(group_log_read(&record, &f->arena, &read), ERR_NONE);
    }
    for (uint32_t at = 0; at < log.records[0].value.length; at++) {
        struct record record = {.key = log.records[0].key, .value = log.records[0].value};
        uint8_t bytes[256];
        struct group_log_read read;

        assert_true(record.value.length <= sizeof bytes);
        memcpy(bytes, record.value.data, record.value.length);
        bytes[at] = 0xff;
        record.value.data = bytes;
        if (group_log_read(&record, &f->arena, &read) == ERR_NONE)
            assert_true(read.kind == GROUP_LOG_UNKNOWN || read.assigned.count <= 3);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_consumer_group_is_written_as_kafka_writes_it),
        T(a_consumer_record_that_is_damaged_is_an_error),
        T(an_offset_is_written_as_kafka_writes_it),
        T(a_group_is_written_as_kafka_writes_it),
        T(what_is_written_is_read_again),
        T(records_of_newer_brokers_are_passed_over),
        T(a_restored_group_goes_on_where_it_was),
        T(too_many_at_load_rebalance),
        T(groups_live_where_java_puts_them),
        T(the_commit_with_the_newest_record_wins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

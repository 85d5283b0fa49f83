/* The image: records go in and come out again unchanged; impossible records change nothing; the
 * digest of a path of changes is that of the result (K22, R38); the delta tells what changed. */
#include "broker/controller/image.h"
#include "client/base/rng.h"
#include "tests/support/image_build.h"
#include "tests/support/support.h"

#include <string.h>

#define IDS(...) ((const int32_t[]){__VA_ARGS__, -1})

struct fixture {
    struct support_memory memory;
    struct image image;
    struct arena arena;
};

static const struct image_limits limits = {4, 5, 40};

static int setup(void **state)
{
    static struct fixture f;

    support_memory_init(&f.memory, 16 << 20);
    image_init(&f.image, &f.memory.mem, &limits, 1, true);
    arena_init(&f.arena, &f.memory.mem, 4 << 20);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    image_check(&f->image);
    image_deinit(&f->image);
    arena_deinit(&f->arena);
    support_memory_deinit(&f->memory);
    return 0;
}

/* Some of everything. */
static struct uuid fill(struct image *image)
{
    struct metadata_record record;
    struct uuid a, b;

    image_build_broker(image, 1, false, "r1");
    image_build_broker(image, 2, true, NULL);
    image_build_broker(image, 3, false, "");
    image_build_shutdown(image, 3);
    a = image_build_topic(image, "a", 1);
    image_build_partition(image, a, IDS(1, 2, 3), IDS(1, 3), 1);
    image_build_partition(image, a, IDS(2, 3), IDS(3), 3);
    b = image_build_topic(image, "b", 2);
    image_build_partition(image, b, IDS(2), IDS(2), IMAGE_NO_LEADER);
    image_build_config(image, "a", "retention.ms", "1000");
    image_build_config(image, "a", "segment.bytes", "");
    records_default(&record, RECORD_FEATURE_LEVEL);
    record.feature_level.name = STR("metadata.version");
    record.feature_level.feature_level = 21;
    image_build_apply(image, &record);
    records_default(&record, RECORD_PRODUCER_IDS);
    record.producer_ids.next_producer_id = 3000;
    image_build_apply(image, &record);
    records_default(&record, RECORD_REGISTER_CONTROLLER);
    record.register_controller.controller_id = 9;
    image_build_apply(image, &record);
    return a;
}

/* A sink that encodes, decodes and applies to another image: a snapshot and its load. */
struct copy_sink {
    struct image_sink sink;
    struct fixture *f;
    struct image *to;
};

static enum err copy_put(struct image_sink *sink, const struct metadata_record *record)
{
    struct copy_sink *copy = CONTAINER_OF(sink, struct copy_sink, sink);
    struct metadata_record decoded;
    struct bytes value;

    assert_int_equal(records_encode(record, &copy->f->arena, &value), ERR_NONE);
    assert_int_equal(records_decode(value, &copy->f->arena, &decoded), ERR_NONE);
    assert_int_equal(decoded.id, record->id);
    image_build_apply(copy->to, &decoded);
    return ERR_NONE;
}

static void assert_copies(struct fixture *f)
{
    struct copy_sink copy = {{copy_put}, f, NULL};
    struct image to;

    image_init(&to, &f->memory.mem, &limits, 77, false);
    copy.to = &to;
    assert_int_equal(image_emit(&f->image, &copy.sink), ERR_NONE);
    assert_true(to.digest == f->image.digest);
    image_check(&to);
    image_clear(&to);
    assert_true(to.digest == 0);
    assert_int_equal(image_clone(&to, &f->image), ERR_NONE);
    assert_true(to.digest == f->image.digest);
    assert_true(to.last_offset == f->image.last_offset);
    image_deinit(&to);
    arena_reset(&f->arena);
}

static void emitting_and_applying_is_identity(void **state)
{
    struct fixture *f = *state;

    fill(&f->image);
    image_check(&f->image);
    assert_copies(f);
}

/* What a broker may still tell of (KIP-966) is in a snapshot, and ends when it is unfenced. */
static void an_earlier_epoch_that_proves_as_much_is_kept_until_the_broker_is_unfenced(void **state)
{
    struct fixture *f = *state;
    struct metadata_record record;
    uint64_t digest;

    fill(&f->image);
    records_default(&record, RECORD_REGISTER_BROKER);
    record.register_broker.broker_id = 9;
    record.register_broker.broker_epoch = 109;
    image_build_apply(&f->image, &record);
    assert_int_equal(image_broker(&f->image, 9)->kept_epoch, -1); /* as Kafka writes it */
    digest = f->image.digest;
    record.register_broker.kept_broker_epoch = 70;
    image_build_apply(&f->image, &record);
    assert_int_equal(image_broker(&f->image, 9)->kept_epoch, 70);
    assert_true(f->image.digest != digest);
    assert_copies(f);
    image_build_fence(&f->image, 9, 1);
    assert_int_equal(image_broker(&f->image, 9)->kept_epoch, 70);
    image_build_fence(&f->image, 9, -1);
    assert_int_equal(image_broker(&f->image, 9)->kept_epoch, -1);
    image_build_fence(&f->image, 9, 1);
    assert_true(f->image.digest == digest);
    assert_copies(f);
}

static void an_empty_image_has_digest_zero_and_emits_nothing(void **state)
{
    struct fixture *f = *state;

    assert_true(f->image.digest == 0);
    assert_copies(f);
}

static void expect_refused(struct fixture *f, const struct metadata_record *record, enum err err)
{
    uint64_t digest = f->image.digest;
    int64_t offset = f->image.last_offset;

    assert_int_equal(image_apply(&f->image, record, offset + 1, 1), err);
    assert_true(f->image.digest == digest);
    assert_true(f->image.last_offset == offset);
    image_check(&f->image);
}

/* KIP-966: of one topic, then of all; with no memory for all, of none. */
static void eligible_replicas_go_by_one_record(void **state)
{
    struct fixture *f = *state;
    int32_t one[] = {1}, two[] = {2};
    struct metadata_record r, decoded;
    const struct image_partition *part;
    int32_t epochs[2], leader_epoch, untouched;
    struct bytes value;
    struct uuid ids[2];

    ids[0] = fill(&f->image);
    ids[1] = image_topic_by_name(&f->image, STR("b"))->id;
    for (uint32_t i = 0; i < 2; i++) {
        records_default(&r, RECORD_PARTITION_CHANGE);
        r.partition_change.topic_id = ids[i];
        r.partition_change.partition_id = 0;
        r.partition_change.eligible_leader_replicas = i == 0 ? two : NULL;
        r.partition_change.eligible_leader_replicas_count = i == 0 ? 1 : 0;
        r.partition_change.eligible_leader_replicas_null = false;
        r.partition_change.last_known_elr = one;
        r.partition_change.last_known_elr_count = 1;
        r.partition_change.last_known_elr_null = false;
        image_build_apply(&f->image, &r);
        part = image_partition(image_topic_by_id(&f->image, ids[i]), 0);
        epochs[i] = part->partition_epoch;
    }
    leader_epoch = image_partition(image_topic_by_id(&f->image, ids[0]), 0)->leader_epoch;
    untouched = image_partition(image_topic_by_id(&f->image, ids[0]), 1)->partition_epoch;
    records_default(&r, RECORD_CLEAR_ELR);
    r.clear_elr.topic_name = STR("nobody");
    expect_refused(f, &r, ERR_MALFORMED);
    r.clear_elr.topic_name = STR("");
    for (uint64_t nth = 1; nth <= 3; nth++) { /* the list, and a partition of each topic */
        f->memory.mem.fail_at = nth;
        expect_refused(f, &r, ERR_NO_MEMORY);
        f->memory.mem.fail_at = 0;
    }
    r.clear_elr.topic_name = STR("a");
    assert_int_equal(records_encode(&r, &f->arena, &value), ERR_NONE);
    assert_int_equal(records_decode(value, &f->arena, &decoded), ERR_NONE);
    assert_int_equal(decoded.id, RECORD_CLEAR_ELR);
    image_build_apply(&f->image, &decoded);
    part = image_partition(image_topic_by_id(&f->image, ids[0]), 0);
    assert_int_equal(part->elr_count, 0);
    assert_int_equal(part->last_known_elr_count, 0);
    assert_int_equal(part->isr_count, 2);
    assert_int_equal(part->partition_epoch, epochs[0] + 1);
    assert_int_equal(part->leader_epoch, leader_epoch);
    assert_true(part->changed);
    part = image_partition(image_topic_by_id(&f->image, ids[0]), 1);
    assert_int_equal(part->partition_epoch, untouched); /* it had none */
    part = image_partition(image_topic_by_id(&f->image, ids[1]), 0);
    assert_int_equal(part->last_known_elr_count, 1);
    r.clear_elr.topic_name = STR("");
    image_build_apply(&f->image, &r);
    part = image_partition(image_topic_by_id(&f->image, ids[1]), 0);
    assert_int_equal(part->last_known_elr_count, 0);
    assert_int_equal(part->partition_epoch, epochs[1] + 1);
    image_check(&f->image);
    assert_copies(f);
}

static void impossible_records_are_refused_and_change_nothing(void **state)
{
    struct fixture *f = *state;
    struct uuid a = fill(&f->image);
    struct metadata_record r;
    int32_t ids[2] = {1, 1};

    records_default(&r, RECORD_TOPIC);
    r.topic.name = STR("a");
    r.topic.topic_id.bytes[3] = 3;
    expect_refused(f, &r, ERR_MALFORMED); /* the name again */
    r.topic.name = STR("new");
    r.topic.topic_id = a;
    expect_refused(f, &r, ERR_MALFORMED); /* the id again */
    records_default(&r, RECORD_REMOVE_TOPIC);
    expect_refused(f, &r, ERR_MALFORMED);
    records_default(&r, RECORD_UNREGISTER_BROKER);
    r.unregister_broker.broker_id = 1;
    r.unregister_broker.broker_epoch = 5;
    expect_refused(f, &r, ERR_MALFORMED); /* another incarnation */
    records_default(&r, RECORD_BROKER_REGISTRATION_CHANGE);
    r.registration_change.broker_id = 1;
    r.registration_change.broker_epoch = 99;
    expect_refused(f, &r, ERR_MALFORMED);
    records_default(&r, RECORD_REGISTER_BROKER);
    r.register_broker.broker_id = 1;
    r.register_broker.broker_epoch = 3;
    expect_refused(f, &r, ERR_MALFORMED); /* an epoch that goes back */
    records_default(&r, RECORD_PRODUCER_IDS);
    r.producer_ids.next_producer_id = 3000;
    expect_refused(f, &r, ERR_MALFORMED); /* K26 */
    records_default(&r, RECORD_CONFIG);
    r.config.resource_type = 8;
    r.config.name = STR("x");
    r.config.value = STR("y");
    expect_refused(f, &r, ERR_UNSUPPORTED);
    records_default(&r, RECORD_PARTITION);
    r.partition.topic_id = a;
    r.partition.partition_id = 3; /* skips one */
    r.partition.replicas = ids;
    r.partition.replicas_count = 1;
    r.partition.leader_epoch = r.partition.partition_epoch = 0;
    expect_refused(f, &r, ERR_MALFORMED);
    r.partition.partition_id = 2;
    r.partition.replicas_count = 2; /* twice the same */
    expect_refused(f, &r, ERR_MALFORMED);
    r.partition.replicas_count = 0;
    expect_refused(f, &r, ERR_MALFORMED);
    records_default(&r, RECORD_PARTITION_CHANGE);
    r.partition_change.topic_id = a;
    r.partition_change.partition_id = 0;
    r.partition_change.leader = 2; /* not in the ISR: R12 */
    expect_refused(f, &r, ERR_MALFORMED);
    r.partition_change.leader = -3;
    expect_refused(f, &r, ERR_MALFORMED);
    r.partition_change.leader = -2;
    ids[0] = 4;
    r.partition_change.isr = ids;
    r.partition_change.isr_count = 1;
    r.partition_change.isr_null = false; /* no replica: R14 */
    expect_refused(f, &r, ERR_MALFORMED);
}

static void caps_refuse_with_too_many(void **state)
{
    struct fixture *f = *state;
    struct metadata_record r;
    int32_t one = 1;

    for (int32_t id = 1; id <= 4; id++)
        image_build_broker(&f->image, id, false, NULL);
    records_default(&r, RECORD_REGISTER_BROKER);
    r.register_broker.broker_id = 5;
    expect_refused(f, &r, ERR_TOO_MANY);
    for (uint8_t i = 0; i < 5; i++)
        image_build_topic(&f->image, (const char[]){(char)('a' + i), 0}, i);
    records_default(&r, RECORD_TOPIC);
    r.topic.name = STR("more");
    r.topic.topic_id.bytes[0] = 9;
    expect_refused(f, &r, ERR_TOO_MANY);
    records_default(&r, RECORD_PARTITION);
    r.partition.topic_id = image_topic_by_name(&f->image, STR("a"))->id;
    r.partition.replicas = &one;
    r.partition.replicas_count = 1;
    r.partition.leader_epoch = r.partition.partition_epoch = 0;
    for (int32_t i = 0; i < 40; i++) {
        r.partition.partition_id = i;
        image_build_apply(&f->image, &r);
    }
    r.partition.partition_id = 40;
    expect_refused(f, &r, ERR_TOO_MANY);
}

static void the_delta_names_what_changed_since_the_mark(void **state)
{
    struct fixture *f = *state;
    struct uuid a = fill(&f->image);
    struct image_topic *topic = image_topic_by_id(&f->image, a);
    struct metadata_record r;

    assert_true(image_has_changes(&f->image));
    assert_true(topic->created);
    image_mark(&f->image);
    assert_false(image_has_changes(&f->image));
    records_default(&r, RECORD_PARTITION_CHANGE);
    r.partition_change.topic_id = a;
    r.partition_change.partition_id = 1;
    r.partition_change.leader = IMAGE_NO_LEADER;
    image_build_apply(&f->image, &r);
    assert_false(topic->created);
    assert_ptr_equal(LIST_ENTRY(f->image.changed_topics.next, struct image_topic, changed), topic);
    assert_int_equal(image_next_changed(topic, 0), 1);
    assert_int_equal(image_next_changed(topic, 2), -1);
    records_default(&r, RECORD_REMOVE_TOPIC);
    r.remove_topic.topic_id = a;
    image_build_apply(&f->image, &r);
    assert_true(list_empty(&f->image.changed_topics));
    assert_true(topic->deleted); /* readable until the mark */
    assert_int_equal(topic->partitions_count, 2);
    assert_null(image_topic_by_name(&f->image, STR("a")));
    assert_null(
        image_config_value(&f->image, IMAGE_RESOURCE_TOPIC, STR("a"), STR("retention.ms")).data);
    image_build_topic(&f->image, "a", 7); /* the name again, another id */
    image_mark(&f->image);
    assert_non_null(image_topic_by_name(&f->image, STR("a")));
}

static void counts_of_leaders_and_isr_follow_the_partitions(void **state)
{
    struct fixture *f = *state;

    fill(&f->image);
    assert_int_equal(image_broker(&f->image, 1)->leader_count, 1);
    assert_int_equal(image_broker(&f->image, 3)->leader_count, 1);
    assert_int_equal(image_broker(&f->image, 3)->isr_count, 2);
    assert_int_equal(image_broker(&f->image, 2)->leader_count, 0);
    assert_int_equal(image_broker(&f->image, 2)->isr_count, 1);
}

/* Random changes; the digest kept on the way equals that of a replay of the result. */
static void the_digest_of_the_path_is_that_of_the_result_k22(void **state)
{
    struct fixture *f = *state;
    struct uuid a = fill(&f->image);
    struct rng rng;

    rng_init(&rng, 5);
    for (int32_t round = 0; round < 500; round++) {
        const struct image_partition *part = image_partition(image_topic_by_id(&f->image, a), 0);
        uint64_t what = rng_below(&rng, 5);
        int32_t isr[3];
        struct metadata_record r;

        if (what == 0) {
            image_build_fence(&f->image, 1, rng_below(&rng, 2) == 0 ? 1 : -1);
        } else if (what == 1) {
            image_build_config(&f->image, "a", "retention.ms",
                               rng_below(&rng, 2) == 0 ? NULL : "7");
        } else {
            records_default(&r, RECORD_PARTITION_CHANGE);
            r.partition_change.topic_id = a;
            r.partition_change.partition_id = 0;
            isr[0] = part->ids[rng_below(&rng, 3)];
            r.partition_change.isr = isr;
            r.partition_change.isr_count = 1;
            r.partition_change.isr_null = false;
            r.partition_change.leader = what == 2 ? IMAGE_NO_LEADER : isr[0];
            image_build_apply(&f->image, &r);
        }
        if (round % 50 == 0) image_mark(&f->image);
        if (round % 25 == 0) assert_copies(f);
    }
    assert_copies(f);
}

static void any_bytes_decode_or_are_refused(void **state)
{
    struct fixture *f = *state;
    const uint8_t future[] = {2, 2, 0};
    const uint8_t unknown[] = {1, 99, 0};
    const uint8_t version[] = {1, 2, 9};
    const uint8_t trailing[] = {1, 20, 0, 0, 1};
    struct metadata_record record;
    struct rng rng;

    assert_int_equal(records_decode((struct bytes){future, 3}, &f->arena, &record),
                     ERR_UNSUPPORTED);
    assert_int_equal(records_decode((struct bytes){unknown, 3}, &f->arena, &record),
                     ERR_UNSUPPORTED);
    assert_int_equal(records_decode((struct bytes){version, 3}, &f->arena, &record),
                     ERR_UNSUPPORTED);
    assert_int_equal(records_decode((struct bytes){trailing, 5}, &f->arena, &record),
                     ERR_MALFORMED);
    fill(&f->image);
    rng_init(&rng, 11);
    for (uint32_t i = 0; i < 20000; i++) {
        uint8_t bytes[64];
        enum err err;

        rng_bytes(&rng, bytes, sizeof(bytes));
        bytes[0] = 1;
        bytes[1] = (uint8_t)(bytes[1] % 29);
        bytes[2] = bytes[2] % 4;
        err = records_decode((struct bytes){bytes, 3 + i % 61}, &f->arena, &record);
        if (err == ERR_NONE) err = image_apply(&f->image, &record, f->image.last_offset + 1, 1);
        assert_true(err == ERR_NONE || err == ERR_MALFORMED || err == ERR_UNSUPPORTED ||
                    err == ERR_TOO_MANY);
        arena_reset(&f->arena);
    }
    image_check(&f->image);
}

static void memory_that_runs_out_at_any_point_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct image to;

    fill(&f->image);
    image_init(&to, &f->memory.mem, &limits, 3, true);
    for (uint64_t n = 1;; n++) {
        enum err err;

        f->memory.mem.fail_at = n;
        err = image_clone(&to, &f->image);
        f->memory.mem.fail_at = 0;
        image_check(&to);
        if (err == ERR_NONE) break;
        assert_int_equal(err, ERR_NO_MEMORY);
        assert_int_equal(to.last_offset, -1);
        assert_true(n < 1000);
    }
    image_deinit(&to);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(emitting_and_applying_is_identity),
        TEST(an_earlier_epoch_that_proves_as_much_is_kept_until_the_broker_is_unfenced),
        TEST(an_empty_image_has_digest_zero_and_emits_nothing),
        TEST(eligible_replicas_go_by_one_record),
        TEST(impossible_records_are_refused_and_change_nothing),
        TEST(caps_refuse_with_too_many),
        TEST(the_delta_names_what_changed_since_the_mark),
        TEST(counts_of_leaders_and_isr_follow_the_partitions),
        TEST(the_digest_of_the_path_is_that_of_the_result_k22),
        TEST(any_bytes_decode_or_are_refused),
        TEST(memory_that_runs_out_at_any_point_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Proves: an image as a snapshot. Equal states give the same records in the same order, whatever
 * history made them; a snapshot in the place of an older state leaves an equal image, and its
 * difference is an ordinary delta. */
#include "tests/support/support.h"

#include "broker/controller/image.h"
#include "client/base/rng.h"
#include "tests/support/image_build.h"

#include <stdio.h>
#include <string.h>

enum { TEXT = 1 << 20 };

static struct support_memory memory;
static uint8_t first[TEXT], second[TEXT];
static uint8_t topics_made;

static void init(struct image *image, uint64_t seed, bool tracks)
{
    struct image_limits limits = {32, 1000, 10000};

    image_init(image, &memory.mem, &limits, seed, tracks);
}

static int setup(void **state)
{
    (void)state;
    support_memory_init(&memory, 32 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    support_memory_deinit(&memory);
    return 0;
}

/* All records, each with its length. */
static size_t record_bytes(const struct image *image, uint8_t *into)
{
    struct image_cursor *cursor = image_cursor_create(image);
    struct metadata_record record;
    struct arena arena;
    size_t used = 0;

    assert_non_null(cursor);
    arena_init(&arena, &memory.mem, 1 << 20);
    while (image_cursor_next(cursor, &record) == ERR_NONE) {
        struct bytes value;

        assert_int_equal(records_encode(&record, &arena, &value), ERR_NONE);
        assert_true(used + 4 + value.length < TEXT);
        memcpy(into + used, &value.length, 4);
        memcpy(into + used + 4, value.data, value.length);
        used += 4 + value.length;
        arena_reset(&arena);
    }
    image_cursor_destroy(cursor);
    arena_deinit(&arena);
    return used;
}

static void remove_topic(struct image *image, const char *name)
{
    struct metadata_record record;

    records_default(&record, RECORD_REMOVE_TOPIC);
    record.remove_topic.topic_id = image_topic_by_name(image, str_of(name))->id;
    image_build_apply(image, &record);
}

static const int32_t abc[] = {1, 2, 3, -1};
static const int32_t ab[] = {1, 2, -1};

static void the_same_state_gives_the_same_bytes_whatever_made_it(void **state)
{
    struct image a, b;
    struct uuid id;
    size_t size;

    (void)state;
    init(&a, 1, true);
    init(&b, 99, false);
    for (int32_t i = 1; i <= 3; i++) {
        image_build_broker(&a, i, false, "east");
        image_build_broker(&b, 4 - i, false, "east");
    }
    id = image_build_topic(&a, "orders", 7);
    image_build_partition(&a, id, abc, ab, 1);
    id = image_build_topic(&a, "audit", 9);
    image_build_partition(&a, id, ab, ab, 2);
    image_build_config(&a, "orders", "retention.ms", "5");
    image_build_config(&a, "orders", "cleanup.policy", "delete");
    image_build_config(&a, "audit", "min.insync.replicas", "2");

    (void)image_build_topic(&b, "gone", 1);
    image_build_config(&b, "audit", "gone", "1");
    id = image_build_topic(&b, "audit", 9);
    image_build_partition(&b, id, ab, ab, 2);
    image_build_config(&b, "audit", "gone", NULL);
    id = image_build_topic(&b, "orders", 7);
    image_build_partition(&b, id, abc, ab, 1);
    remove_topic(&b, "gone");
    image_build_config(&b, "audit", "min.insync.replicas", "2");
    image_build_config(&b, "orders", "cleanup.policy", "delete");
    image_build_config(&b, "orders", "retention.ms", "5");

    assert_int_equal(a.digest, b.digest);
    size = record_bytes(&a, first);
    assert_int_equal(record_bytes(&b, second), size);
    assert_memory_equal(first, second, size);
    image_deinit(&a);
    image_deinit(&b);
}

/* Something happens: made, changed, deleted. */
static void happen(struct image *image, struct rng *rng)
{
    uint64_t what = rng_below(rng, 8);
    uint8_t number = (uint8_t)(1 + rng_below(rng, 12));
    char name[16];
    struct image_topic *topic;

    snprintf(name, sizeof name, "t%u", number);
    topic = image_topic_by_name(image, str_of(name));
    if (what < 3 && topic == NULL) {
        struct uuid id = image_build_topic(image, name, ++topics_made);

        image_build_partition(image, id, abc, ab, 1);
        image_build_partition(image, id, ab, ab, 2);
    } else if (what == 3 && topic != NULL) {
        remove_topic(image, name);
    } else if (what == 4 && topic != NULL) {
        struct metadata_record record;

        records_default(&record, RECORD_PARTITION_CHANGE);
        record.partition_change.topic_id = topic->id;
        record.partition_change.partition_id = (int32_t)rng_below(rng, 2);
        record.partition_change.leader = 1;
        image_build_apply(image, &record);
    } else if (what == 5) {
        static const char *const values[] = {"1", "2", NULL};
        uint64_t value = rng_below(rng, 3);

        image_build_config(image, name, number % 2 == 0 ? "retention.ms" : "segment.bytes",
                           values[value]);
    } else if (what == 6) {
        int8_t fenced = rng_below(rng, 2) == 0 ? 1 : -1;

        image_build_fence(image, 1 + number % 3, fenced);
    } else if (what == 7 && topic != NULL) {
        image_build_partition(image, topic->id, ab, ab, 1);
    }
}

static void an_older_image_becomes_the_newer_one_by_a_delta(void **state)
{
    struct rng rng;

    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct image log, old, snapshot;
        uint64_t before = 0, after = 0;
        size_t size;
        enum err err;

        rng_init(&rng, seed);
        topics_made = 0;
        before = rng_below(&rng, 40);
        after = rng_below(&rng, 40);
        init(&log, 1, false);
        init(&old, 2, true);
        init(&snapshot, 3, false);
        for (int32_t i = 1; i <= 3; i++)
            image_build_broker(&log, i, false, NULL);
        for (uint64_t i = 0; i < before; i++)
            happen(&log, &rng);
        err = image_clone(&old, &log);
        assert_int_equal(err, ERR_NONE);
        image_mark(&old);
        for (uint64_t i = 0; i < after; i++)
            happen(&log, &rng);
        err = image_clone(&snapshot, &log);
        assert_int_equal(err, ERR_NONE);
        err = image_replace(&old, &snapshot);
        assert_int_equal(err, ERR_NONE);
        assert_int_equal(old.digest, log.digest);
        assert_int_equal(old.last_offset, log.last_offset);
        image_check(&old);
        image_mark(&old);
        image_check(&old);
        size = record_bytes(&old, first);
        assert_int_equal(record_bytes(&log, second), size);
        assert_memory_equal(first, second, size);
        err = image_replace(&old, &snapshot); /* again: nothing differs */
        assert_int_equal(err, ERR_NONE);
        assert_false(image_has_changes(&old));
        image_deinit(&log);
        image_deinit(&old);
        image_deinit(&snapshot);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_same_state_gives_the_same_bytes_whatever_made_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_older_image_becomes_the_newer_one_by_a_delta, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

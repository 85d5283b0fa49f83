/* The loader: committed records become the image, publishers hear of it in their order and not
 * before the log is caught up, and a record that cannot be applied stops it for good. */
#include "broker/controller/loader.h"
#include "tests/support/support.h"

#include <string.h>

struct listener {
    struct loader_publisher publisher;
    struct fixture *f;
    char name;
};

struct fixture {
    struct support_memory memory;
    struct world world;
    struct loader loader;
    struct arena arena;
    struct listener first, second;
    char order[16];
    uint32_t changed_topics; /* of the last delta */
    int64_t traced_offset, traced_digest;
};

static void fake_trace(struct world *world, const struct trace_event *event)
{
    struct fixture *f = CONTAINER_OF(world, struct fixture, world);

    if (event->kind != TRACE_META_APPLIED) return;
    f->traced_offset = event->fields[0];
    f->traced_digest = event->fields[2];
}

static const struct world_ops world_ops = {.trace = fake_trace};

static void publish(struct loader_publisher *publisher, const struct image *image)
{
    struct listener *listener = CONTAINER_OF(publisher, struct listener, publisher);
    struct fixture *f = listener->f;

    f->order[strlen(f->order)] = listener->name;
    f->changed_topics = 0;
    LIST_FOR_EACH (link, &image->changed_topics)
        f->changed_topics++;
}

static int setup(void **state)
{
    static struct fixture f;
    struct loader_config config = {.limits = {4, 4, 8}, .hash_seed = 1};

    f = (struct fixture){.world = {.ops = &world_ops, .trace_detail = true}, .traced_offset = -1};
    support_memory_init(&f.memory, 8 << 20);
    arena_init(&f.arena, &f.memory.mem, 1 << 20);
    loader_init(&f.loader, &f.world, &f.memory.mem, &config);
    f.first = (struct listener){{publish, {NULL, NULL}}, &f, 'a'};
    f.second = (struct listener){{publish, {NULL, NULL}}, &f, 'b'};
    loader_add(&f.loader, &f.first.publisher);
    loader_add(&f.loader, &f.second.publisher);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    image_check(&f->loader.image);
    loader_deinit(&f->loader);
    arena_deinit(&f->arena);
    support_memory_deinit(&f->memory);
    return 0;
}

static enum err topic(struct fixture *f, int64_t offset, const char *name)
{
    struct metadata_record record;
    struct bytes value;

    records_default(&record, RECORD_TOPIC);
    record.topic.name = str_of(name);
    record.topic.topic_id.bytes[0] = (uint8_t)name[0];
    assert_int_equal(records_encode(&record, &f->arena, &value), ERR_NONE);
    return loader_record(&f->loader, offset, 3, value);
}

static void nothing_is_published_before_the_log_is_caught_up(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(topic(f, 1, "x"), ERR_NONE); /* offset 0 was a control record */
    loader_batch(&f->loader, 2, 3, false);
    assert_string_equal(f->order, "");
    assert_false(loader_caught_up(&f->loader));
    assert_int_equal(topic(f, 2, "y"), ERR_NONE);
    loader_batch(&f->loader, 3, 3, true);
    assert_string_equal(f->order, "ab");
    assert_int_equal(f->changed_topics, 2); /* everything is new */
    assert_int_equal(topic(f, 3, "z"), ERR_NONE);
    loader_batch(&f->loader, 4, 3, false); /* from now on each batch */
    assert_string_equal(f->order, "abab");
    assert_int_equal(f->changed_topics, 1);
    assert_int_equal(f->traced_offset, 3);
    assert_true(f->traced_digest == (int64_t)f->loader.image.digest);
}

static void a_control_batch_moves_the_offset_only(void **state)
{
    struct fixture *f = *state;

    loader_batch(&f->loader, 1, 5, true);
    assert_int_equal(f->loader.image.last_offset, 0);
    assert_int_equal(f->loader.image.last_epoch, 5);
    assert_true(f->loader.image.digest == 0);
}

static enum err mark(struct fixture *f, int64_t offset, enum record_id id)
{
    struct metadata_record record;
    struct bytes value;

    records_default(&record, id);
    assert_int_equal(records_encode(&record, &f->arena, &value), ERR_NONE);
    return loader_record(&f->loader, offset, 3, value);
}

static uint32_t topics(const struct fixture *f)
{
    return f->loader.image.topics_by_name.count;
}

/* KIP-868. */
static void a_metadata_transaction_is_applied_whole_or_not_at_all(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(topic(f, 1, "x"), ERR_NONE);
    assert_int_equal(mark(f, 2, RECORD_BEGIN_TRANSACTION), ERR_NONE);
    assert_int_equal(topic(f, 3, "y"), ERR_NONE);
    loader_batch(&f->loader, 4, 3, true);
    assert_string_equal(f->order, "ab"); /* x is told */
    assert_int_equal(topics(f), 1);
    assert_int_equal(f->loader.image.last_offset, 1);
    assert_int_equal(loader_end(&f->loader), 4);
    assert_int_equal(loader_snapshot_open(&f->loader), ERR_BAD_STATE);
    assert_int_equal(topic(f, 4, "z"), ERR_NONE);
    loader_batch(&f->loader, 5, 3, true);
    assert_string_equal(f->order, "ab"); /* nothing new */
    assert_int_equal(mark(f, 5, RECORD_END_TRANSACTION), ERR_NONE);
    loader_batch(&f->loader, 6, 3, true);
    assert_string_equal(f->order, "abab");
    assert_int_equal(f->changed_topics, 2);
    assert_int_equal(topics(f), 3);
    assert_int_equal(f->loader.image.last_offset, 5);

    assert_int_equal(mark(f, 6, RECORD_BEGIN_TRANSACTION), ERR_NONE);
    assert_int_equal(topic(f, 7, "w"), ERR_NONE);
    loader_batch(&f->loader, 8, 3, true);
    assert_int_equal(mark(f, 8, RECORD_ABORT_TRANSACTION), ERR_NONE);
    loader_batch(&f->loader, 9, 3, true);
    assert_int_equal(topics(f), 3);
    assert_int_equal(f->loader.image.last_offset, 8);
    assert_int_equal(topic(f, 9, "w"), ERR_NONE); /* the name is free */

    assert_int_equal(mark(f, 10, RECORD_BEGIN_TRANSACTION), ERR_NONE);
    assert_int_equal(topic(f, 11, "v"), ERR_NONE); /* still open when all ends: nothing leaks */
    assert_int_equal(mark(f, 12, RECORD_BEGIN_TRANSACTION), ERR_MALFORMED);
    assert_int_equal(f->loader.failed, ERR_MALFORMED);
}

/* Of a directory that Kafka wrote. */
static void kinds_without_meaning_here_are_passed_over_and_others_are_not(void **state)
{
    static const uint8_t quota[] = {1, 14, 0, 99, 98, 97}; /* whatever its fields are */
    static const uint8_t future[] = {1, 120, 0};
    struct fixture *f = *state;

    assert_int_equal(loader_record(&f->loader, 1, 3, (struct bytes){quota, sizeof quota}),
                     ERR_NONE);
    loader_batch(&f->loader, 2, 3, true);
    assert_int_equal(f->loader.image.last_offset, 1);
    assert_int_equal(loader_record(&f->loader, 2, 3, (struct bytes){future, sizeof future}),
                     ERR_UNSUPPORTED);
}

static void a_record_that_cannot_be_stops_the_loader_for_good(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(topic(f, 0, "x"), ERR_NONE);
    loader_batch(&f->loader, 1, 3, true);
    assert_int_equal(topic(f, 1, "x"), ERR_MALFORMED);
    assert_int_equal(f->loader.failed, ERR_MALFORMED);
    assert_int_equal(topic(f, 2, "y"), ERR_MALFORMED);
    loader_batch(&f->loader, 3, 3, true);
    assert_int_equal(f->loader.image.last_offset, 0);
    assert_string_equal(f->order, "ab");
    /* Nor is a snapshot written: it would be named after an end that the image does not have. */
    assert_int_equal(loader_snapshot_open(&f->loader), ERR_MALFORMED);
    loader_snapshot_close(&f->loader);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_published_before_the_log_is_caught_up),
        TEST(a_control_batch_moves_the_offset_only),
        TEST(a_metadata_transaction_is_applied_whole_or_not_at_all),
        TEST(kinds_without_meaning_here_are_passed_over_and_others_are_not),
        TEST(a_record_that_cannot_be_stops_the_loader_for_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Proves: subscriptions and assignments are the bytes that Java clients write (groups.md 9.1), come
 * back as they went, are read in every version from 0 on, and in pieces are an error. */
#include "tests/support/support.h"

#include "client/subscription.h"

#include <string.h>

struct box {
    struct support_memory memory;
    struct arena arena;
    uint8_t bytes[512];
};

static int box_up(void **state)
{
    static struct box box;

    memset(&box, 0, sizeof box);
    support_memory_init(&box.memory, 1 << 22);
    arena_init(&box.arena, &box.memory.mem, 1 << 20);
    *state = &box;
    return 0;
}

static int box_down(void **state)
{
    struct box *box = *state;

    arena_deinit(&box->arena);
    support_memory_deinit(&box->memory);
    return 0;
}

static int32_t two[] = {0, 1};
static struct str topics[] = {{"t", 1}};
static struct subscription_topic owned[] = {{{"t", 1}, two, 2}};
static const struct subscription example = {
    .topics = topics, .topics_count = 1, .owned = owned, .owned_count = 1, .generation = 5};

static struct bytes written(struct box *box, const struct subscription *subscription)
{
    struct wire_writer writer;

    wire_writer_init(&writer, box->bytes, sizeof box->bytes);
    subscription_write(&writer, subscription);
    assert_int_equal(wire_writer_finish(&writer), ERR_NONE);
    return (struct bytes){box->bytes, (uint32_t)writer.used};
}

static void a_subscription_is_the_bytes_of_the_sheet(void **state)
{
    static const uint8_t expected[] = {0, 3, 0, 0, 0, 1, 0,   1, 't', 255, 255, 255, 255,
                                       0, 0, 0, 1, 0, 1, 't', 0, 0,   0,   2,   0,   0,
                                       0, 0, 0, 0, 0, 1, 0,   0, 0,   5,   255, 255};
    struct bytes bytes = written(*state, &example);

    assert_int_equal(bytes.length, sizeof expected);
    assert_memory_equal(bytes.data, expected, sizeof expected);
}

static void a_subscription_comes_back_as_it_went(void **state)
{
    struct box *box = *state;
    struct subscription full = example;
    struct subscription read;

    full.rack = STR("r1");
    full.user_data = (struct bytes){(const uint8_t *)"xy", 2};
    assert_int_equal(subscription_read(written(box, &full), &box->arena, &read), ERR_NONE);
    assert_int_equal(read.topics_count, 1);
    assert_true(str_equal(read.topics[0], STR("t")));
    assert_true(bytes_equal(read.user_data, full.user_data));
    assert_int_equal(read.owned_count, 1);
    assert_int_equal(read.owned[0].partitions_count, 2);
    assert_int_equal(read.owned[0].partitions[1], 1);
    assert_int_equal(read.generation, 5);
    assert_true(str_equal(read.rack, STR("r1")));
}

static void older_versions_say_less_and_newer_ones_more(void **state)
{
    struct box *box = *state;
    struct bytes bytes = written(box, &example);
    struct subscription read;

    box->bytes[1] = 0;
    assert_int_equal(subscription_read(bytes, &box->arena, &read), ERR_NONE);
    assert_int_equal(read.owned_count, 0);
    assert_int_equal(read.generation, -1);
    box->bytes[1] = 1;
    assert_int_equal(subscription_read(bytes, &box->arena, &read), ERR_NONE);
    assert_int_equal(read.owned_count, 1);
    assert_int_equal(read.generation, -1);
    box->bytes[1] = 9;
    bytes.length += 7; /* a tail nobody knows */
    assert_int_equal(subscription_read(bytes, &box->arena, &read), ERR_NONE);
    assert_int_equal(read.generation, 5);
    box->bytes[0] = 0x80;
    assert_int_equal(subscription_read(bytes, &box->arena, &read), ERR_MALFORMED);
}

static void every_cut_subscription_is_malformed(void **state)
{
    struct box *box = *state;
    struct bytes bytes = written(box, &example);

    for (uint32_t length = 0; length < bytes.length; length++) {
        struct subscription read;

        assert_int_equal(subscription_read((struct bytes){bytes.data, length}, &box->arena, &read),
                         ERR_MALFORMED);
    }
}

static void an_assignment_comes_back_and_empty_bytes_are_none(void **state)
{
    struct box *box = *state;
    struct subscription_assignment assignment = {.topics = owned, .topics_count = 1};
    struct subscription_assignment read;
    struct wire_writer writer;

    wire_writer_init(&writer, box->bytes, sizeof box->bytes);
    subscription_assignment_write(&writer, &assignment);
    assert_int_equal(wire_writer_finish(&writer), ERR_NONE);
    assert_int_equal(subscription_assignment_read((struct bytes){box->bytes, (uint32_t)writer.used},
                                                  &box->arena, &read),
                     ERR_NONE);
    assert_int_equal(read.topics_count, 1);
    assert_int_equal(read.topics[0].partitions[1], 1);
    assert_int_equal(subscription_assignment_read(BYTES_NULL, &box->arena, &read), ERR_NONE);
    assert_int_equal(read.topics_count, 0);
    assert_int_equal(subscription_assignment_read(
                         (struct bytes){box->bytes, (uint32_t)writer.used - 5}, &box->arena, &read),
                     ERR_MALFORMED);
}

static void user_data_of_sticky_is_read_with_and_without_generation(void **state)
{
    struct box *box = *state;
    struct subscription_assignment assignment = {.topics = owned, .topics_count = 1};
    struct subscription_assignment read;
    struct wire_writer writer;
    int32_t generation = 0;

    wire_writer_init(&writer, box->bytes, sizeof box->bytes);
    subscription_sticky_write(&writer, &assignment, 7);
    assert_int_equal(wire_writer_finish(&writer), ERR_NONE);
    assert_int_equal(subscription_sticky_read((struct bytes){box->bytes, (uint32_t)writer.used},
                                              &box->arena, &read, &generation),
                     ERR_NONE);
    assert_int_equal(generation, 7);
    assert_int_equal(read.topics[0].partitions_count, 2);
    assert_int_equal(subscription_sticky_read((struct bytes){box->bytes, (uint32_t)writer.used - 4},
                                              &box->arena, &read, &generation),
                     ERR_NONE);
    assert_int_equal(generation, -1);
    assert_int_equal(
        subscription_cooperative_read((struct bytes){(const uint8_t *)"\0\0\0\6", 4}, &generation),
        ERR_NONE);
    assert_int_equal(generation, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_subscription_is_the_bytes_of_the_sheet, box_up, box_down),
        cmocka_unit_test_setup_teardown(a_subscription_comes_back_as_it_went, box_up, box_down),
        cmocka_unit_test_setup_teardown(older_versions_say_less_and_newer_ones_more, box_up,
                                        box_down),
        cmocka_unit_test_setup_teardown(every_cut_subscription_is_malformed, box_up, box_down),
        cmocka_unit_test_setup_teardown(an_assignment_comes_back_and_empty_bytes_are_none, box_up,
                                        box_down),
        cmocka_unit_test_setup_teardown(user_data_of_sticky_is_read_with_and_without_generation,
                                        box_up, box_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Striped placement keeps its rules for random clusters: no broker twice in a partition, first
 * replicas unfenced, racks spread, leaders balanced; the same seed gives the same answer. */
#include "broker/controller/placement.h"
#include "tests/support/support.h"

#include <string.h>

enum { BROKERS = 12, PARTITIONS = 40 };

struct fixture {
    struct support_memory memory;
    struct arena arena;
    struct rng rng;
    struct placement_broker brokers[BROKERS];
};

static int setup(void **state)
{
    static struct fixture f;

    support_memory_init(&f.memory, 8 << 20);
    arena_init(&f.arena, &f.memory.mem, 1 << 20);
    rng_init(&f.rng, 42);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    arena_deinit(&f->arena);
    support_memory_deinit(&f->memory);
    return 0;
}

static void brokers(struct fixture *f, uint32_t count, uint32_t racks)
{
    static const char *const names[] = {"a", "b", "c", "d"};

    for (uint32_t i = 0; i < count; i++)
        f->brokers[i] = (struct placement_broker){
            (int32_t)i, racks > 0 ? str_of(names[i % racks]) : STR_NULL, false};
}

static enum err place(struct fixture *f, uint32_t count, uint32_t factor, int32_t **replicas)
{
    return placement_place(f->brokers, count, (struct placement_order){PARTITIONS, factor}, &f->rng,
                           &f->arena, replicas);
}

static void no_broker_twice_and_leaders_are_even(void **state)
{
    struct fixture *f = *state;
    uint32_t led[BROKERS] = {0};
    int32_t *replicas;

    brokers(f, 4, 0);
    assert_int_equal(place(f, 4, 3, &replicas), ERR_NONE);
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        const int32_t *part = replicas + i * 3;

        assert_true(part[0] != part[1] && part[1] != part[2] && part[0] != part[2]);
        led[part[0]]++;
    }
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(led[i], PARTITIONS / 4);
}

static void three_racks_hold_one_replica_each(void **state)
{
    struct fixture *f = *state;
    int32_t *replicas;

    brokers(f, 9, 3);
    assert_int_equal(place(f, 9, 3, &replicas), ERR_NONE);
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        uint32_t seen = 0;

        for (uint32_t r = 0; r < 3; r++)
            seen |= 1u << (replicas[i * 3 + r] % 3);
        assert_int_equal(seen, 7);
    }
}

static void the_first_replica_is_never_fenced_and_the_fenced_come_last(void **state)
{
    struct fixture *f = *state;
    int32_t *replicas;

    brokers(f, 4, 0);
    f->brokers[1].fenced = true;
    assert_int_equal(place(f, 4, 3, &replicas), ERR_NONE);
    for (uint32_t i = 0; i < PARTITIONS * 3; i++)
        assert_int_not_equal(replicas[i], 1);
    brokers(f, 4, 0);
    f->brokers[1].fenced = true;
    assert_int_equal(place(f, 4, 4, &replicas), ERR_NONE);
    for (uint32_t i = 0; i < PARTITIONS; i++)
        assert_int_equal(replicas[i * 4 + 3], 1);
}

static void too_few_brokers_or_all_fenced_is_refused(void **state)
{
    struct fixture *f = *state;
    int32_t *replicas;

    brokers(f, 2, 0);
    assert_int_equal(place(f, 2, 3, &replicas), ERR_INVALID_REPLICATION_FACTOR);
    assert_int_equal(place(f, 2, 0, &replicas), ERR_INVALID_REPLICATION_FACTOR);
    assert_int_equal(place(f, 0, 1, &replicas), ERR_INVALID_REPLICATION_FACTOR);
    f->brokers[0].fenced = f->brokers[1].fenced = true;
    assert_int_equal(place(f, 2, 1, &replicas), ERR_INVALID_REPLICATION_FACTOR);
}

static void one_broker_serves_many_partitions(void **state)
{
    struct fixture *f = *state;
    int32_t *replicas;

    brokers(f, 1, 0);
    assert_int_equal(place(f, 1, 1, &replicas), ERR_NONE);
    for (uint32_t i = 0; i < PARTITIONS; i++)
        assert_int_equal(replicas[i], 0);
}

static void the_same_seed_places_alike_whatever_the_order_of_brokers(void **state)
{
    struct fixture *f = *state;
    struct placement_broker swap;
    int32_t *first, *second;

    brokers(f, 6, 3);
    assert_int_equal(place(f, 6, 3, &first), ERR_NONE);
    brokers(f, 6, 3);
    swap = f->brokers[0];
    f->brokers[0] = f->brokers[5];
    f->brokers[5] = swap;
    rng_init(&f->rng, 42);
    assert_int_equal(place(f, 6, 3, &second), ERR_NONE);
    assert_memory_equal(first, second, PARTITIONS * 3 * sizeof(int32_t));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_broker_twice_and_leaders_are_even),
        TEST(three_racks_hold_one_replica_each),
        TEST(the_first_replica_is_never_fenced_and_the_fenced_come_last),
        TEST(too_few_brokers_or_all_fenced_is_refused),
        TEST(one_broker_serves_many_partitions),
        TEST(the_same_seed_places_alike_whatever_the_order_of_brokers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

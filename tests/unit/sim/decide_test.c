/* Proves: a decision depends on the seed, its site and how often that site was asked, and on
 * nothing else; a log of decisions answers a second run, and what it lacks or what is not legal
 * comes from the seed and is counted. */
#include "sim/sim.h"
#include "tests/support/support.h"

static struct decide_site site(int64_t node, uint64_t a, uint64_t b)
{
    return (struct decide_site){DECIDE_TEST, node, a, b};
}

static struct sim *fresh(uint64_t seed)
{
    struct sim_config config = sim_config_default(seed);

    return sim_create(&config);
}

static void other_sites_move_nothing_here(void **state)
{
    struct sim *quiet = fresh(7);
    struct sim *busy = fresh(7);
    uint32_t equal = 0;

    (void)state;
    for (uint64_t i = 0; i < 5000; i++) {
        int64_t expected = decide_range(quiet, site(1, 2, 3), -1000, 1000);

        for (uint64_t j = 0; j < i % 4; j++)
            (void)decide_u64(busy, site(1, 2, 4 + i));
        assert_int_equal(decide_range(busy, site(1, 2, 3), -1000, 1000), expected);
        equal += decide_u64(busy, site(2, 2, 3)) == decide_u64(busy, site(1, 3, 3));
    }
    assert_int_equal(equal, 0);
    assert_true(decide_stats(busy->decide).sites > 3000);
    sim_destroy(quiet);
    sim_destroy(busy);
}

static void seed_and_every_word_of_a_site_matter(void **state)
{
    struct sim *sim = fresh(7);
    struct sim *other = fresh(8);
    uint64_t values[6];

    (void)state;
    values[0] = decide_u64(sim, site(1, 2, 3));
    values[1] = decide_u64(sim, site(1, 2, 3)); /* the second time */
    values[2] = decide_u64(sim, site(9, 2, 3));
    values[3] = decide_u64(sim, site(1, 9, 3));
    values[4] = decide_u64(sim, site(1, 2, 9));
    values[5] = decide_u64(other, site(1, 2, 3));
    for (uint32_t i = 0; i < 6; i++) {
        for (uint32_t j = 0; j < i; j++)
            assert_true(values[i] != values[j]);
    }
    sim_destroy(sim);
    sim_destroy(other);
}

static void decisions_are_spread_evenly(void **state)
{
    struct sim *sim = fresh(1);
    uint32_t counts[8] = {0};
    uint32_t yes = 0;
    int64_t sum = 0;

    (void)state;
    for (uint64_t i = 0; i < 80000; i++) {
        counts[decide_below(sim, site(0, i, 0), 8)]++; /* the first of many sites */
        yes += decide_chance(sim, site(0, 0, 1), 250000);
        sum += decide_exponential(sim, site(0, 0, 2), 1000);
    }
    for (uint32_t i = 0; i < 8; i++)
        assert_in_range(counts[i], 9600, 10400);
    assert_in_range(yes, 19400, 20600);
    assert_in_range(sum / 80000, 980, 1020);
    sim_destroy(sim);
}

static void copy_into(void *context, struct decide_site where, const int64_t *values,
                      uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        decide_answer(context, where, values[i]);
}

static void log_answers_another_seed(void **state)
{
    struct sim *first = fresh(1);
    struct sim *second = fresh(2);
    int64_t values[20];
    struct decide_stats stats;

    (void)state;
    decide_keep(first->decide);
    for (uint32_t i = 0; i < 20; i++)
        values[i] = decide_range(first, site(i % 3, 0, 0), 0, 1000000);
    decide_each(first->decide, copy_into, second->decide);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(decide_range(second, site(i % 3, 0, 0), 0, 1000000), values[i]);
    stats = decide_stats(second->decide);
    assert_int_equal(stats.answered, 20);
    assert_int_equal(stats.missed, 0);
    assert_true(decide_digest(first->decide) != 0);
    sim_destroy(first);
    sim_destroy(second);
}

static void what_the_log_lacks_comes_from_the_seed_and_is_counted(void **state)
{
    struct sim *plain = fresh(3);
    struct sim *guided = fresh(3);
    int64_t drawn[3];

    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        drawn[i] = decide_range(plain, site(1, 1, 1), 0, 10);
    decide_answer(guided->decide, site(1, 1, 1), 7);
    decide_answer(guided->decide, site(1, 1, 1), 99); /* not legal any more */
    assert_int_equal(decide_range(guided, site(1, 1, 1), 0, 10), 7);
    assert_int_equal(decide_range(guided, site(1, 1, 1), 0, 10), drawn[1]);
    assert_int_equal(decide_range(guided, site(1, 1, 1), 0, 10), drawn[2]);
    assert_int_equal(decide_stats(guided->decide).answered, 1);
    assert_int_equal(decide_stats(guided->decide).missed, 2);
    sim_destroy(plain);
    sim_destroy(guided);
}

static void every_word_is_found_again(void **state)
{
    enum decide_what what;

    (void)state;
    for (uint32_t i = 0; i < DECIDE_WHATS; i++) {
        assert_true(decide_find(decide_word((enum decide_what)i), &what));
        assert_int_equal(what, i);
    }
    assert_false(decide_find("net.dealy", &what));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_sites_move_nothing_here),
        cmocka_unit_test(seed_and_every_word_of_a_site_matter),
        cmocka_unit_test(decisions_are_spread_evenly),
        cmocka_unit_test(log_answers_another_seed),
        cmocka_unit_test(what_the_log_lacks_comes_from_the_seed_and_is_counted),
        cmocka_unit_test(every_word_is_found_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Proves: list agrees with an array under random operations, and misuse is caught. */
#include "tests/support/support.h"

#include "client/base/list.h"
#include "client/base/rng.h"

#include <string.h>

enum { ITEMS = 40 };

struct item {
    struct list link;
    uint32_t name;
};

static void check_order(const struct list *head, const uint32_t *names, uint32_t count)
{
    uint32_t at = 0;

    assert_int_equal(list_empty(head), count == 0);
    LIST_FOR_EACH (link, head) {
        assert_true(at < count);
        assert_int_equal(LIST_ENTRY(link, struct item, link)->name, names[at]);
        assert_ptr_equal(link->next->prev, link);
        at++;
    }
    assert_int_equal(at, count);
}

static void random_use_agrees_with_an_array(void **state)
{
    struct item items[ITEMS];
    uint32_t names[ITEMS];
    uint32_t count = 0;
    struct list head;
    struct rng rng;

    (void)state;
    list_init(&head);
    rng_init(&rng, 1);
    for (uint32_t i = 0; i < ITEMS; i++) {
        items[i].name = i;
        list_init(&items[i].link);
    }
    for (uint32_t step = 0; step < 20000; step++) {
        uint32_t i = (uint32_t)rng_below(&rng, ITEMS);
        bool front = rng_chance(&rng, 500000);
        bool pop = rng_chance(&rng, 100000);

        if (pop) {
            struct list *first = list_pop(&head);

            assert_int_equal(first == NULL, count == 0);
            if (first == NULL) continue;
            assert_int_equal(LIST_ENTRY(first, struct item, link)->name, names[0]);
            count--;
            memmove(names, names + 1, count * sizeof names[0]);
        } else if (list_linked(&items[i].link)) {
            uint32_t at = 0;

            while (names[at] != i)
                at++;
            list_remove(&items[i].link);
            count--;
            memmove(names + at, names + at + 1, (count - at) * sizeof names[0]);
        } else if (front) {
            list_push_front(&head, &items[i].link);
            memmove(names + 1, names, count * sizeof names[0]);
            names[0] = i;
            count++;
        } else {
            list_push(&head, &items[i].link);
            names[count++] = i;
        }
        check_order(&head, names, count);
    }
}

static void splice_moves_all_to_the_tail(void **state)
{
    struct item items[4] = {{.name = 0}, {.name = 1}, {.name = 2}, {.name = 3}};
    const uint32_t names[4] = {0, 1, 2, 3};
    struct list a;
    struct list b;

    (void)state;
    list_init(&a);
    list_init(&b);
    for (uint32_t i = 0; i < 4; i++) {
        list_init(&items[i].link);
        list_push(i < 2 ? &a : &b, &items[i].link);
    }
    list_splice(&a, &b);
    check_order(&a, names, 4);
    check_order(&b, names, 0);
    list_splice(&a, &b);
    check_order(&a, names, 4);
}

static void the_safe_loop_may_remove_every_link(void **state)
{
    struct item items[5];
    struct list head;
    uint32_t seen = 0;

    (void)state;
    list_init(&head);
    for (uint32_t i = 0; i < 5; i++) {
        list_init(&items[i].link);
        list_push(&head, &items[i].link);
    }
    LIST_FOR_EACH_SAFE (link, after, &head) {
        list_remove(link);
        seen++;
    }
    assert_int_equal(seen, 5);
    assert_true(list_empty(&head));
    assert_null(list_pop(&head));
}

static void a_link_is_in_one_list_at_most(void **state)
{
    struct list head;
    struct list link;

    (void)state;
    list_init(&head);
    list_init(&link);
    list_remove(&link); /* harmless */
    list_push(&head, &link);
    EXPECT_BUG(list_push(&head, &link));
    list_remove(&link);
    assert_true(list_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_use_agrees_with_an_array),
        cmocka_unit_test(splice_moves_all_to_the_tail),
        cmocka_unit_test(the_safe_loop_may_remove_every_link),
        cmocka_unit_test(a_link_is_in_one_list_at_most),
    };

    return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}

/* Proves: map finds exactly what is in it for each kind of key, iterates in the order of insertion
 * for every seed, refuses at its maximum, and lives on when its buckets cannot grow. */
#include "tests/support/support.h"

#include "client/base/assert.h"
#include "client/base/map.h"
#include "client/base/rng.h"
#include "client/base/text.h"

#include <string.h>

enum { ITEMS = 500 };

struct item {
    uint64_t number;
    struct uuid id;
    char name[16];
    struct str text;
    struct map_node node;
    bool in;
};

enum kind { KIND_NUMBER, KIND_TEXT, KIND_UUID };

static void items_init(struct item *items)
{
    struct rng rng;

    rng_init(&rng, 4);
    for (uint32_t i = 0; i < ITEMS; i++) {
        struct text text;

        items[i] = (struct item){.number = (uint64_t)i << 32, .id = rng_uuid(&rng)};
        text_init(&text, items[i].name, sizeof items[i].name);
        text_format(&text, "topic-%u", i);
        items[i].text = text_view(&text);
    }
    items[0].text = STR(""); /* the empty name is a name */
}

static enum err add(struct map *map, struct item *item, enum kind kind)
{
    switch (kind) {
    case KIND_NUMBER: return map_add_u64(map, &item->node, item->number);
    case KIND_TEXT: return map_add_str(map, &item->node, item->text);
    case KIND_UUID: return map_add_uuid(map, &item->node, item->id);
    }
    IMPOSSIBLE("all kinds are listed");
}

static struct map_node *find(const struct map *map, const struct item *item, enum kind kind)
{
    switch (kind) {
    case KIND_NUMBER: return map_find_u64(map, item->number);
    case KIND_TEXT: return map_find_str(map, item->text);
    case KIND_UUID: return map_find_uuid(map, item->id);
    }
    IMPOSSIBLE("all kinds are listed");
}

static void check_order(const struct map *map, struct item *const *order, uint32_t count)
{
    uint32_t at = 0;

    MAP_FOR_EACH (node, map) {
        assert_true(at < count);
        assert_ptr_equal(MAP_ENTRY(node, struct item, node), order[at]);
        at++;
    }
    assert_int_equal(at, count);
    assert_int_equal(map->count, count);
}

static void random_use(enum kind kind, uint64_t seed)
{
    static struct item items[ITEMS];
    struct support_memory memory;
    struct item *order[ITEMS];
    uint32_t count = 0;
    struct map map;
    struct rng rng;

    items_init(items);
    support_memory_init(&memory, 1 << 20);
    map_init(&map, &memory.mem, seed, ITEMS);
    rng_init(&rng, 5);
    for (uint32_t step = 0; step < 12000; step++) {
        struct item *item = &items[rng_below(&rng, ITEMS)];

        assert_ptr_equal(find(&map, item, kind), item->in ? &item->node : NULL);
        if (item->in) {
            uint32_t at = 0;

            while (order[at] != item)
                at++;
            map_remove(&map, &item->node);
            count--;
            memmove(order + at, order + at + 1, (count - at) * sizeof order[0]);
        } else {
            assert_int_equal(add(&map, item, kind), ERR_NONE);
            order[count++] = item;
        }
        item->in = !item->in;
        if (step % 50 == 0) check_order(&map, order, count);
    }
    check_order(&map, order, count);
    MAP_FOR_EACH_SAFE (node, after, &map) {
        map_remove(&map, node);
    }
    map_deinit(&map);
    support_memory_deinit(&memory);
}

static void numbers_agree_with_a_model(void **state)
{
    (void)state;
    random_use(KIND_NUMBER, 0);
    random_use(KIND_NUMBER, 77);
}

static void texts_agree_with_a_model(void **state)
{
    (void)state;
    random_use(KIND_TEXT, 0);
    random_use(KIND_TEXT, 77);
}

static void uuids_agree_with_a_model(void **state)
{
    (void)state;
    random_use(KIND_UUID, 0);
    random_use(KIND_UUID, 77);
}

static void buckets_are_used_evenly(void **state)
{
    enum { MANY = 20000 };
    static struct map_node nodes[MANY];
    struct support_memory memory;
    struct map map;
    uint32_t longest = 0;

    (void)state;
    support_memory_init(&memory, 4 << 20);
    map_init(&map, &memory.mem, 9, MANY);
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(map_add_u64(&map, &nodes[i], (uint64_t)i * 4096), ERR_NONE);
    for (uint32_t i = 0; i < MANY; i++) {
        uint32_t length = 0;

        for (const struct map_node *n = &nodes[i]; n != NULL; n = n->chain)
            length++;
        if (length > longest) longest = length;
    }
    assert_in_range(longest, 1, 10);
    MAP_FOR_EACH_SAFE (node, after, &map) {
        map_remove(&map, node);
    }
    map_deinit(&map);
    support_memory_deinit(&memory);
}

static void the_maximum_and_lack_of_memory_are_refusals(void **state)
{
    static struct item items[ITEMS];
    struct support_memory memory;
    struct map map;

    (void)state;
    items_init(items);
    support_memory_init(&memory, 1 << 20);
    map_init(&map, &memory.mem, 1, 40);
    assert_null(map_find_u64(&map, 1));
    assert_null(map_first(&map));
    memory.mem.fail_at = 1;
    assert_int_equal(add(&map, &items[0], KIND_NUMBER), ERR_NO_MEMORY);
    for (uint32_t i = 0; i < 40; i++) {
        memory.mem.fail_at = i == 0 ? 0 : 1; /* never may the buckets grow */
        assert_int_equal(add(&map, &items[i], KIND_NUMBER), ERR_NONE);
    }
    assert_int_equal(add(&map, &items[40], KIND_NUMBER), ERR_TOO_MANY);
    for (uint32_t i = 0; i < 41; i++)
        assert_int_equal(find(&map, &items[i], KIND_NUMBER) != NULL, i < 40);
    memory.mem.fail_at = 0;
    map_remove(&map, &items[7].node);
    EXPECT_BUG(map_remove(&map, &items[7].node));
    EXPECT_BUG(assert_int_equal(add(&map, &items[8], KIND_NUMBER), ERR_NONE));
    EXPECT_BUG(map_deinit(&map));
    MAP_FOR_EACH_SAFE (node, after, &map) {
        map_remove(&map, node);
    }
    map_deinit(&map);
    support_memory_deinit(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_agree_with_a_model),
        cmocka_unit_test(texts_agree_with_a_model),
        cmocka_unit_test(uuids_agree_with_a_model),
        cmocka_unit_test(buckets_are_used_evenly),
        cmocka_unit_test(the_maximum_and_lack_of_memory_are_refusals),
    };

    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}

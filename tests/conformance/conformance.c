#include "tests/conformance/suite.h"

#include <string.h>

struct suite suite;

static void suite_turn_end(struct actor *actor, struct instant now)
{
    struct suite_node *node = CONTAINER_OF(actor, struct suite_node, actor);

    assert_true(node->in_turn); /* W3: at least one completion came before */
    assert_false(suite.submitting);
    assert_int_equal(now.mono.ns, node->now.mono.ns);
    assert_int_equal(now.wall.ms, node->now.wall.ms);
    if (node->at_turn_end != NULL) node->at_turn_end(node);
    node->in_turn = false;
    node->turns++;
}

struct world *suite_world(uint32_t world)
{
    return suite.harness->world(suite.set, world);
}

void suite_attach(uint32_t world)
{
    suite.nodes[world] = (struct suite_node){.actor = {suite_turn_end}, .index = world};
    suite_world(world)->actor = &suite.nodes[world].actor;
}

void suite_begin(uint32_t worlds, uint32_t connections_max, uint32_t files_max)
{
    const struct conf_harness *harness = suite.harness;
    struct conf_options options = {worlds, connections_max, files_max};

    assert_null(suite.set);
    suite = (struct suite){.harness = harness, .world_count = worlds};
    suite.set = harness->create(&options);
    for (uint32_t i = 0; i < worlds; i++)
        suite_attach(i);
}

int suite_teardown(void **state)
{
    (void)state;
    if (suite.set != NULL) suite.harness->destroy(suite.set);
    suite.set = NULL;
    return 0;
}

static struct suite_entry *suite_find(const struct world_req *req)
{
    for (uint32_t i = 0; i < suite.entries_count; i++) {
        if (suite.entries[i].req == req) return &suite.entries[i];
    }
    return NULL;
}

static struct suite_entry *suite_known(const struct world_req *req)
{
    struct suite_entry *entry = suite_find(req);

    ASSERT(entry != NULL); /* also when a world completes what nobody submitted */
    return entry;
}

static void suite_complete(struct world_req *req, struct instant now)
{
    struct suite_entry *entry = suite_known(req);
    struct suite_node *node = &suite.nodes[entry->world];
    assert_false(suite.submitting);   /* W2 */
    assert_false(req->pending);       /* W1 */
    assert_int_equal(entry->told, 0); /* W2: once */
    for (uint32_t i = 0; i < suite.world_count; i++) {
        if (i != entry->world) assert_false(suite.nodes[i].in_turn);
    }
    if (node->in_turn) {
        assert_int_equal(now.mono.ns, node->now.mono.ns); /* W3 */
        assert_int_equal(now.wall.ms, node->now.wall.ms);
    }
    assert_true(now.mono.ns >= node->now.mono.ns); /* W5 */
    node->in_turn = true;
    node->now = now;
    entry->told++;
    entry->order = ++suite.told;
    entry->turn = node->turns;
    entry->at = now;
    entry->result = req->result;
}

void suite_watch(uint32_t world, struct world_req *req)
{
    struct suite_entry *entry = suite_find(req);

    if (entry == NULL) {
        assert_true(suite.entries_count < SUITE_ENTRIES_MAX);
        entry = &suite.entries[suite.entries_count++];
    }
    *entry = (struct suite_entry){.req = req, .world = world};
    world_req_init(req, suite_complete);
}

void suite_enter(uint32_t world)
{
    const struct conf_harness *harness = suite.harness;

    if (!suite.nodes[world].in_turn && harness->enter != NULL) harness->enter(suite.set, world);
    suite.submitting = true;
}

void suite_leave(uint32_t world, const struct world_req *req)
{
    const struct conf_harness *harness = suite.harness;

    suite.submitting = false;
    if (req != NULL) assert_true(req->pending);
    if (!suite.nodes[world].in_turn && harness->leave != NULL) harness->leave(suite.set, world);
}

const struct suite_entry *suite_entry(const struct world_req *req)
{
    return suite_known(req);
}

bool suite_told(const struct world_req *req)
{
    return suite_entry(req)->told > 0;
}

static bool suite_is_told(void *context)
{
    const struct suite_entry *entry = context;

    return entry->told > 0 && !suite.nodes[entry->world].in_turn;
}

enum err suite_wait(const struct world_req *req)
{
    struct suite_entry *entry = suite_known(req);

    assert_true(suite.harness->run(suite.set, suite_is_told, entry, SUITE_LIMIT_MS * NS_PER_MS));
    return entry->result;
}

static bool suite_never(void *context)
{
    (void)context;
    return false;
}

void suite_pass_ms(int64_t ms)
{
    assert_false(suite.harness->run(suite.set, suite_never, NULL, ms * NS_PER_MS));
}

void suite_idle(void)
{
    suite_pass_ms(suite.harness->virtual_time ? 60000 : 40);
}

uint8_t suite_byte(uint64_t position, uint32_t salt)
{
    uint64_t x = (position / 8 + 1) * UINT64_C(0x9e3779b97f4a7c15) + salt;

    x ^= x >> 29;
    return (uint8_t)(x >> (position % 8 * 8));
}

void suite_fill(uint8_t *to, uint64_t from, uint64_t length, uint32_t salt)
{
    for (uint64_t i = 0; i < length; i++)
        to[i] = suite_byte(from + i, salt);
}

void suite_check(const uint8_t *bytes, uint64_t from, uint64_t length, uint32_t salt)
{
    for (uint64_t i = 0; i < length; i++) {
        if (bytes[i] != suite_byte(from + i, salt))
            fail_msg("byte %ju differs", (uintmax_t)(from + i));
    }
}

int conformance_run(const struct conf_harness *harness)
{
    static struct CMUnitTest tests[128];
    const struct {
        const struct CMUnitTest *tests;
        size_t count;
    } parts[] = {
        {suite_timers, suite_timers_count},   {suite_connections, suite_connections_count},
        {suite_streams, suite_streams_count}, {suite_disk, suite_disk_count},
        {suite_others, suite_others_count},
    };
    size_t count = 0;

    suite.harness = harness;
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        ASSERT(count + parts[i].count < COUNT_OF(tests));
        memcpy(tests + count, parts[i].tests, parts[i].count * sizeof *tests);
        count += parts[i].count;
    }
    return _cmocka_run_group_tests(harness->name, tests, count, NULL, NULL);
}

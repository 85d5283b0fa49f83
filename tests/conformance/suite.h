/* What the tests of the suite share: a set of worlds, and a book in which every completion is
 * entered. The book itself checks W1 (pending while the world's), W2 (exactly once, never inside a
 * submit) and W3 (turns of at least one completion, closed by turn_end, with one `now`; time never
 * goes back) in every test. */
#ifndef TESTS_CONFORMANCE_SUITE_H
#define TESTS_CONFORMANCE_SUITE_H

#include "tests/conformance/conformance.h"
#include "tests/support/support.h"

enum { SUITE_ENTRIES_MAX = 256, SUITE_LIMIT_MS = 20000 };

struct suite_entry {
    struct world_req *req;
    uint32_t world;
    uint32_t told;  /* 0 or 1 */
    uint64_t order; /* among all completions of the test */
    uint64_t turn;  /* number of the turn of its world */
    struct instant at;
    enum err result;
};

struct suite_node {
    struct actor actor;
    uint32_t index;
    uint64_t turns;
    bool in_turn;
    struct instant now; /* of the present or last turn */
    void (*at_turn_end)(struct suite_node *node);
};

struct suite {
    const struct conf_harness *harness;
    struct conf_set *set;
    uint32_t world_count;
    struct suite_node nodes[CONF_WORLDS_MAX];
    bool submitting;
    uint64_t told;
    uint32_t entries_count;
    struct suite_entry entries[SUITE_ENTRIES_MAX];
};

/* The one suite of the program. */
extern struct suite suite;

void suite_begin(uint32_t worlds, uint32_t connections_max, uint32_t files_max);
int suite_teardown(void **state);
struct world *suite_world(uint32_t world);
/* After a crash or a power loss of the world. */
void suite_attach(uint32_t world);

/* Prepares a request for (another) submit on this world. */
void suite_watch(uint32_t world, struct world_req *req);
void suite_enter(uint32_t world);
void suite_leave(uint32_t world, const struct world_req *req); /* req: must be pending now */
const struct suite_entry *suite_entry(const struct world_req *req);
bool suite_told(const struct world_req *req);
/* Runs until it is told; the test fails when that does not happen. */
enum err suite_wait(const struct world_req *req);
/* Lets time pass: enough for whatever would happen by itself. */
void suite_idle(void);
void suite_pass_ms(int64_t ms);
/* The bytes of a stream or file: distinct for every position and salt. */
uint8_t suite_byte(uint64_t position, uint32_t salt);
void suite_fill(uint8_t *to, uint64_t from, uint64_t length, uint32_t salt);
void suite_check(const uint8_t *bytes, uint64_t from, uint64_t length, uint32_t salt);

/* SUBMIT(0, timer_start, &timer, &timer.req) and the like: watch, submit, check W1 and W2. */
#define SUBMIT(world_index, call, object)           \
    do {                                            \
        suite_watch((world_index), &(object)->req); \
        suite_enter(world_index);                   \
        call(suite_world(world_index), (object));   \
        suite_leave((world_index), &(object)->req); \
    } while (0)

/* The tests, collected by conformance.c. */
extern const struct CMUnitTest suite_timers[], suite_streams[], suite_connections[], suite_disk[],
    suite_others[];
extern const size_t suite_timers_count, suite_streams_count, suite_connections_count,
    suite_disk_count, suite_others_count;

#endif

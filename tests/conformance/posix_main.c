/* The production world takes the suite: real sockets on the loopback, real files in a fresh
 * directory. Several worlds share this thread, each given short waits in turn. */
#include "tests/conformance/conformance.h"

#include "client/posix/posix_world.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct conf_set {
    struct conf_options options;
    char root[64];
    char directories[CONF_WORLDS_MAX][80];
    struct posix_world *worlds[CONF_WORLDS_MAX];
};

#define CHECK(condition)        \
    do {                        \
        if (!(condition)) {     \
            perror(#condition); \
            abort();            \
        }                       \
    } while (0)

/* Somebody listens to all events: the world counts them. */
static void harness_take(struct posix_trace_taker *taker, struct instant now, int32_t node_id,
                         const struct trace_event *event)
{
    (void)taker;
    (void)now;
    (void)node_id;
    (void)event;
}

static void harness_up(struct conf_set *set, uint32_t index)
{
    static struct posix_trace_taker taker = {.detail = true, .take = harness_take};
    struct posix_options options = posix_options_default();

    options.taker = &taker;
    options.directory = set->directories[index];
    options.region_size = CONF_REGION_SIZE;
    options.connections_max = set->options.connections_max;
    options.files_max = set->options.files_max;
    options.timers_max = 1000;
    options.chunks = 64;
    options.log_fd = -1;
    CHECK(posix_world_create(&options, &set->worlds[index]) == ERR_NONE);
}

static struct conf_set *harness_create(const struct conf_options *options)
{
    struct conf_set *set = calloc(1, sizeof *set);

    CHECK(set != NULL);
    set->options = *options;
    snprintf(set->root, sizeof set->root,
             "/tmp/conformance.XX"
             "XX"
             "XX");
    CHECK(mkdtemp(set->root) != NULL);
    for (uint32_t i = 0; i < options->world_count; i++) {
        snprintf(set->directories[i], sizeof set->directories[i], "%s/%u", set->root, (unsigned)i);
        CHECK(mkdir(set->directories[i], 0755) == 0);
        harness_up(set, i);
    }
    return set;
}

static int harness_remove(const char *path, const struct stat *about, int type, struct FTW *where)
{
    (void)about;
    (void)type;
    (void)where;
    return remove(path);
}

static void harness_destroy(struct conf_set *set)
{
    for (uint32_t i = 0; i < set->options.world_count; i++)
        posix_world_destroy(set->worlds[i]);
    CHECK(nftw(set->root, harness_remove, 16, FTW_DEPTH | FTW_PHYS) == 0);
    free(set);
}

static struct world *harness_world(struct conf_set *set, uint32_t index)
{
    return &set->worlds[index]->world;
}

static struct str harness_host(struct conf_set *set, uint32_t index)
{
    (void)set;
    return index == 0 ? STR("localhost") : STR("127.0.0.1");
}

static bool harness_run(struct conf_set *set, bool (*done)(void *context), void *context,
                        int64_t limit_ns)
{
    int64_t end_ns = posix_clock_mono_ns() + limit_ns;

    if (done(context)) return true;
    do {
        bool told = false;

        for (uint32_t i = 0; i < set->options.world_count; i++) {
            if (!posix_world_turn(set->worlds[i], 0)) continue;
            told = true;
            if (done(context)) return true;
        }
        if (told) continue;
        for (uint32_t i = 0; i < set->options.world_count; i++) {
            if (posix_world_turn(set->worlds[i], 200000) && done(context)) return true;
        }
    } while (posix_clock_mono_ns() < end_ns);
    return false;
}

/* As seen from outside: sockets reset or closed by the kernel, nothing completed any more. */
static void harness_crash(struct conf_set *set, uint32_t index)
{
    posix_world_destroy(set->worlds[index]);
    harness_up(set, index);
}

static uint64_t harness_traced(struct conf_set *set, uint32_t index)
{
    return set->worlds[index]->trace.count;
}

static bool harness_stopped(struct conf_set *set, uint32_t index, int *status)
{
    *status = set->worlds[index]->status;
    return set->worlds[index]->stopped;
}

int main(void)
{
    static const struct conf_harness harness = {
        .name = "posix",
        .can_crash = true,
        .create = harness_create,
        .destroy = harness_destroy,
        .world = harness_world,
        .host = harness_host,
        .run = harness_run,
        .crash = harness_crash,
        .traced = harness_traced,
        .stopped = harness_stopped,
    };

    return conformance_run(&harness);
}

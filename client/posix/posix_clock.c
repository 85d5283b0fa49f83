#include "client/posix/posix_clock.h"

#include "client/posix/posix_ready.h"

#include <sys/mman.h>
#include <time.h>

/* Address space for the array of the heap: it doubles, so old and new exist together. */
enum { CLOCK_BYTES = 64 * 1024 * 1024 };

enum err posix_clock_init(struct posix_clock *clock, struct list *ready, uint32_t timers_max)
{
    void *base = mmap(NULL, CLOCK_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (base == MAP_FAILED) return ERR_NO_MEMORY;
    ASSERT(timers_max <= CLOCK_BYTES / (8 * sizeof(void *)));
    clock->ready = ready;
    clock->sequence = 0;
    region_init(&clock->region, base, CLOCK_BYTES);
    mem_init(&clock->mem, &clock->region);
    heap_init(&clock->timers, &clock->mem, timers_max);
    return ERR_NONE;
}

void posix_clock_deinit(struct posix_clock *clock)
{
    region_reset(&clock->region);
    munmap(clock->region.base, clock->region.size);
}

int64_t posix_clock_mono_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

struct instant posix_clock_now(void)
{
    struct timespec wall;

    clock_gettime(CLOCK_REALTIME, &wall);
    return (struct instant){
        .mono = {posix_clock_mono_ns()},
        .wall = {(int64_t)wall.tv_sec * 1000 + wall.tv_nsec / NS_PER_MS},
    };
}

void posix_clock_start(struct posix_clock *clock, struct world_timer *timer)
{
    enum err err;

    posix_take(&timer->req);
    heap_node_init(&timer->node);
    err = heap_push(&clock->timers, &timer->node, timer->deadline.ns, ++clock->sequence);
    ASSERT(err == ERR_NONE);
}

void posix_clock_move(struct posix_clock *clock, struct world_timer *timer,
                      struct mono_time deadline)
{
    ASSERT(timer->req.pending);
    timer->deadline = deadline;
    if (heap_queued(&timer->node)) {
        heap_update(&clock->timers, &timer->node, deadline.ns, ++clock->sequence);
        return;
    }
    /* Due in this very turn and not told yet: it is taken back. */
    list_remove(&timer->req.link);
    timer->req.pending = false;
    posix_clock_start(clock, timer);
}

void posix_clock_cancel(struct posix_clock *clock, struct world_timer *timer)
{
    ASSERT(timer->req.pending);
    if (heap_queued(&timer->node)) {
        heap_remove(&clock->timers, &timer->node);
        posix_ready(clock->ready, &timer->req, ERR_CANCELED);
        return;
    }
    timer->req.result = ERR_CANCELED; /* due in this very turn, or cancelled before */
}

int64_t posix_clock_next(const struct posix_clock *clock)
{
    const struct heap_node *first = heap_peek(&clock->timers);

    return first != NULL ? first->deadline : INT64_MAX;
}

void posix_clock_expire(struct posix_clock *clock, struct mono_time now)
{
    for (struct heap_node *first; (first = heap_peek(&clock->timers)) != NULL;) {
        struct world_timer *timer = CONTAINER_OF(first, struct world_timer, node);

        if (first->deadline > now.ns) return;
        (void)heap_pop(&clock->timers);
        posix_ready(clock->ready, &timer->req, ERR_NONE);
    }
}

/* Clocks and timers of one world: a 4-ary heap ordered by (deadline, sequence), performance.md 4.4.
 * Owns memory of its own, so that the node's region holds only what the node took. */
#ifndef CLIENT_POSIX_POSIX_CLOCK_H
#define CLIENT_POSIX_POSIX_CLOCK_H

#include "client/world/world.h"

struct posix_clock {
    struct region region;
    struct mem mem;
    struct heap timers;
    uint64_t sequence; /* of the last start or move */
    struct list *ready;
};

MUST_USE enum err posix_clock_init(struct posix_clock *clock, struct list *ready,
                                   uint32_t timers_max);
void posix_clock_deinit(struct posix_clock *clock); /* also with timers pending */

int64_t posix_clock_mono_ns(void);
struct instant posix_clock_now(void);

/* More than timers_max pending is a bug of the node (asserted). */
void posix_clock_start(struct posix_clock *clock, struct world_timer *timer);
void posix_clock_move(struct posix_clock *clock, struct world_timer *timer,
                      struct mono_time deadline);
void posix_clock_cancel(struct posix_clock *clock, struct world_timer *timer);

/* The next deadline, or INT64_MAX. */
int64_t posix_clock_next(const struct posix_clock *clock);
/* All timers due at `now` become ready, in order. */
void posix_clock_expire(struct posix_clock *clock, struct mono_time now);

#endif

/* What every part of a node stands on: its world, its memory, its ops, and the turn.
 *
 * One turn of a node:
 *     completions of the world  ->  change state, wake ops, stage work
 *     env_turn_end():  ops run until none is runnable  ->  staged file writes, one gathered write
 *                      per file  ->  staged sends, one gathered send per connection  ->  one timer
 *                      for the next deadline
 * A broker, a client and a test are all nodes in this sense. */
#ifndef CLIENT_WORLD_ENV_H
#define CLIENT_WORLD_ENV_H

#include "client/base/buf.h"
#include "client/base/mem.h"
#include "client/base/op.h"
#include "client/world/world.h"

/* Work that waits for the end of the turn. Embedded by a log, a connection. */
struct env_flush {
    struct list link;
    void (*flush)(struct env_flush *flush);
};

struct env {
    struct world *world;
    struct mem mem;
    struct buf_budget payload; /* counted buffers of requests and responses */
    struct op_loop loop;
    struct instant now;    /* of the present turn */
    uint64_t range_misses; /* parts of file ranges that were not in the page cache as they left */
    /* private */
    struct actor actor;
    struct list writes;
    struct list sends;
    struct world_timer timer;
    struct world_timer start;
    void (*started)(struct env *env);
    bool stopping;
    int stop_status;
};

struct env_limits {
    uint32_t ops_max;        /* ops with deadlines alive at once */
    size_t payload_bytes;    /* budget of counted buffers */
    size_t payload_reserved; /* of it only for replication and quorum (style.md 4.6) */
};

/* Takes the world's region as a whole. `started` runs in the first turn (so it has a `now`).
 * NO_MEMORY: the region is too small for the limits. */
MUST_USE enum err env_init(struct env *env, struct world *world, const struct env_limits *limits,
                           void (*started)(struct env *env));
/* After an orderly stop, when no op lives and nothing is pending but the timer; asserts that all
 * memory came back. Cancels the timer: the caller lets one more turn pass before the world ends. */
void env_deinit(struct env *env);

/* The orderly end, from inside the last op: once no op lives and no timer is left (this turn or the
 * next), env_deinit() and world_stop(status). */
void env_stop(struct env *env, int status);

/* Once per turn is enough: a second call before the flush changes nothing. */
void env_stage_write(struct env *env, struct env_flush *flush);
void env_stage_send(struct env *env, struct env_flush *flush);

/* Deadline helper: `ms` from now, for op_deadline(). */
int64_t env_deadline(const struct env *env, int64_t ms);

#endif

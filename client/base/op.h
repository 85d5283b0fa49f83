/* Ops: long flows written top to bottom (style.md 4.8).
 *
 * An op is a struct with a `struct op` inside and one function that switches over an enum of named
 * steps. A step names what has been awaited. AWAIT enters a step and stays there until its
 * condition holds; it names the source that is woken when the condition may have changed:
 *
 *     static enum op_result produce_run(struct op *op)
 *     {
 *         struct produce *o = CONTAINER_OF(op, struct produce, op);
 *
 *         switch ((enum produce_step)op->step) {
 *         case PRODUCE_START:
 *             append(o);
 *             AWAIT(o, PRODUCE_REPLICATED, &o->part->hw_source,
 *                   o->part->high_watermark >= o->required || op_expired(op));
 *             reply(o);
 *             return OP_DONE;
 *         }
 *         IMPOSSIBLE("step");
 *     }
 *
 *                      op_start                    condition false
 *     (in a pool) ---------------> RUNNABLE --------------------------> PARKED on a source,
 *          ^                        |   ^                               a deadline, or both
 *          |        OP_DONE         |   |  op_wake, deadline passed,            |
 *          +--- kind->finish -------+   +----- op_wake_below ------------------+
 *
 * Rules: waking is enqueueing, an op never runs inside somebody else's mutation; the condition is
 * read again on every wake-up, so early wake-ups are harmless; state that crosses a wait lives in
 * the op (a local initialised before an AWAIT does not compile); a condition has no effect.
 * A parked op has a source or a deadline (asserted); for a request of its own (a disk read) the op
 * embeds a source that the completion wakes. op_loop_probe() evaluates all parked
 * conditions without effect: one that holds is a lost wake-up.
 *
 * The loop knows no clock: op_loop_run() is told the time and says when it wants to be called
 * again. Time is a plain int64 of nanoseconds here; world.h gives it its type. */
#ifndef CLIENT_BASE_OP_H
#define CLIENT_BASE_OP_H

#include "client/base/assert.h"
#include "client/base/heap.h"
#include "client/base/list.h"

#include <stdbool.h>
#include <stdint.h>

enum op_result {
    OP_PARKED,
    OP_DONE,
    OP_HOLDS, /* only while probing: the awaited condition holds */
};

struct op;
struct op_loop;

/* One per kind of op, constant. */
struct op_kind {
    const char *name;
    const char *const *step_names; /* in order of the enum */
    uint32_t step_count;
    enum op_result (*run)(struct op *op);
    void (*finish)(struct op *op); /* gives the op back to its pool; NULL when it lives elsewhere */
};

enum { OP_NO_KEY = 0 };
#define OP_NO_DEADLINE INT64_MAX

struct op {
    const struct op_kind *kind;
    struct op_loop *loop;
    uint32_t step;
    bool live;           /* private */
    bool runnable;       /* private */
    uint64_t sequence;   /* number of this op in its loop: its name in traces */
    int64_t deadline_ns; /* OP_NO_DEADLINE: none */
    /* private */
    int64_t key;
    struct op_source *source; /* of a parked op; NULL: it waits for its deadline only */
    struct list link;         /* in a source's waiters or the run queue */
    struct list all;          /* every live op of the loop, in order of start */
    struct heap_node timer;
};

/* What ops wait on. Keyed waiters stand in ascending key order (FIFO among equals), so an offset
 * that advances wakes a prefix. Use either keys or none on one source. */
struct op_source {
    struct list waiters;
};

struct op_loop {
    int64_t now_ns; /* of the present turn */
    uint32_t live;
    uint32_t ops_max;
    /* private */
    bool probing;
    uint64_t sequence;
    struct list runnable;
    struct list all;
    struct heap timers;
    void (*stepped)(struct op_loop *loop, const struct op *op); /* trace hook, may be NULL */
};

/* `ops_max` is the sum of the pools that ops come from: more live ops are a bug. Room for their
 * deadlines is taken here (8 bytes each), so that nothing fails later. stepped may be NULL. */
MUST_USE enum err op_loop_init(struct op_loop *loop, struct mem *mem, uint32_t ops_max,
                               void (*stepped)(struct op_loop *loop, const struct op *op));
void op_loop_deinit(struct op_loop *loop); /* asserts that no op is live */

/* Runs what is due and what is runnable until nothing is, but at most `budget` resumptions.
 * Returns when it wants to run again: now (budget used up), a deadline, or OP_NO_DEADLINE. */
int64_t op_loop_run(struct op_loop *loop, int64_t now_ns, uint32_t budget);
bool op_loop_idle(const struct op_loop *loop); /* nothing runnable */

/* The first parked op (in order of start) whose condition holds, or NULL. No effect. */
const struct op *op_loop_probe(struct op_loop *loop);

/* Starts an op at `step`: it becomes runnable. The struct stays the caller's until finish. */
void op_start(struct op_loop *loop, struct op *op, const struct op_kind *kind, uint32_t step);
/* Ends an op from outside (orderly stop, owner gone), running nothing of it but finish. Never from
 * inside its own run. */
void op_cancel(struct op *op);
static inline bool op_live(const struct op *op)
{
    return op->live;
}

/* A deadline that wakes the op; it looks itself whether it expired. Replaces the earlier one. */
void op_deadline(struct op *op, int64_t deadline_ns);
static inline bool op_expired(const struct op *op)
{
    return op->loop->now_ns >= op->deadline_ns;
}

void op_source_init(struct op_source *source);
static inline bool op_source_empty(const struct op_source *source)
{
    return list_empty(&source->waiters);
}
/* All waiters, or those with key <= limit, become runnable. */
void op_wake(struct op_source *source);
void op_wake_below(struct op_source *source, int64_t limit);
/* One op, by its owner. Harmless when it is runnable already; it must be live. */
void op_resume(struct op *op);

/* Wakes `to` whenever `from` is woken: for an op that waits on many things at once. */
struct op_relay {
    struct op op;
    struct op_source *from;
    struct op_source *to;
};
void op_relay_start(struct op_loop *loop, struct op_relay *relay, struct op_source *from,
                    struct op_source *to);
/* Harmless when it was never started (zeroed). */
void op_relay_stop(struct op_relay *relay);

const char *op_step_name(const struct op *op);

/* ---- for the macros ---- */
void op_enter(struct op *op, uint32_t step);
enum op_result op_park(struct op *op, struct op_source *source, int64_t key);
static inline bool op_probing(const struct op *op)
{
    return op->loop->probing;
}

#define AWAIT_KEY(o, STEP, SOURCE, KEY, CONDITION)                   \
    op_enter(&(o)->op, (STEP));                                      \
    __attribute__((fallthrough));                                    \
    case (STEP):                                                     \
        if (!(CONDITION)) return op_park(&(o)->op, (SOURCE), (KEY)); \
        if (op_probing(&(o)->op)) return OP_HOLDS

#define AWAIT(o, STEP, SOURCE, CONDITION) AWAIT_KEY(o, STEP, SOURCE, OP_NO_KEY, CONDITION)

/* Before the switch: a condition that ends the op on any wake-up (an epoch that moved on). */
#define OP_GUARD(o, CONDITION, ENDING)             \
    if (CONDITION) {                               \
        if (op_probing(&(o)->op)) return OP_HOLDS; \
        ENDING;                                    \
        return OP_DONE;                            \
    }                                              \
    ASSERT((o)->op.live)

#endif

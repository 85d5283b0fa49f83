#include "client/base/op.h"

enum err op_loop_init(struct op_loop *loop, struct mem *mem, uint32_t ops_max,
                      void (*stepped)(struct op_loop *loop, const struct op *op))
{
    *loop = (struct op_loop){.ops_max = ops_max, .stepped = stepped};
    list_init(&loop->runnable);
    list_init(&loop->all);
    heap_init(&loop->timers, mem, ops_max);
    return heap_reserve(&loop->timers, ops_max);
}

void op_loop_deinit(struct op_loop *loop)
{
    ASSERT(loop->live == 0);
    ASSERT(list_empty(&loop->all));
    heap_deinit(&loop->timers);
}

bool op_loop_idle(const struct op_loop *loop)
{
    return list_empty(&loop->runnable);
}

static void op_make_runnable(struct op *op)
{
    if (op->runnable) return;
    op->runnable = true;
    op->source = NULL;
    list_remove(&op->link);
    list_push(&op->loop->runnable, &op->link);
}

static void op_unlink(struct op *op)
{
    if (heap_queued(&op->timer)) heap_remove(&op->loop->timers, &op->timer);
    list_remove(&op->link);
    list_remove(&op->all);
    op->live = false;
    op->runnable = false;
    op->source = NULL;
    ASSERT(op->loop->live > 0);
    op->loop->live--;
}

void op_start(struct op_loop *loop, struct op *op, const struct op_kind *kind, uint32_t step)
{
    ASSERT(step < kind->step_count);
    ASSERT(loop->live < loop->ops_max);
    *op = (struct op){.kind = kind,
                      .loop = loop,
                      .step = step,
                      .sequence = loop->sequence++,
                      .deadline_ns = OP_NO_DEADLINE,
                      .live = true};
    list_init(&op->link);
    list_init(&op->all);
    heap_node_init(&op->timer);
    list_push(&loop->all, &op->all);
    loop->live++;
    op_make_runnable(op);
}

static void op_end(struct op *op)
{
    const struct op_kind *kind = op->kind;

    op_unlink(op);
    if (kind->finish != NULL) kind->finish(op);
}

void op_cancel(struct op *op)
{
    ASSERT(op->live);
    op_end(op);
}

void op_deadline(struct op *op, int64_t deadline_ns)
{
    struct op_loop *loop = op->loop;
    enum err pushed;

    ASSERT(op->live);
    op->deadline_ns = deadline_ns;
    if (heap_queued(&op->timer)) heap_remove(&loop->timers, &op->timer);
    if (deadline_ns == OP_NO_DEADLINE) return;
    pushed = heap_push(&loop->timers, &op->timer, deadline_ns, loop->sequence++);
    ASSERT(pushed == ERR_NONE); /* room for ops_max was taken at op_loop_init() */
}

static void op_run_one(struct op *op)
{
    op->runnable = false;
    switch (op->kind->run(op)) {
    case OP_PARKED: break; /* linked by op_park(), or runnable again by its own doing */
    case OP_DONE: op_end(op); break;
    case OP_HOLDS: IMPOSSIBLE("a probe's answer outside a probe");
    }
}

int64_t op_loop_run(struct op_loop *loop, int64_t now_ns, uint32_t budget)
{
    struct heap_node *due;

    ASSERT(now_ns >= loop->now_ns);
    ASSERT(!loop->probing);
    loop->now_ns = now_ns;
    while ((due = heap_peek(&loop->timers)) != NULL && due->deadline <= now_ns) {
        heap_remove(&loop->timers, due);
        op_make_runnable(CONTAINER_OF(due, struct op, timer));
    }
    while (!list_empty(&loop->runnable)) {
        if (budget-- == 0) return now_ns;
        op_run_one(LIST_ENTRY(list_pop(&loop->runnable), struct op, link));
    }
    due = heap_peek(&loop->timers);
    return due != NULL ? due->deadline : OP_NO_DEADLINE;
}

const struct op *op_loop_probe(struct op_loop *loop)
{
    const struct op *held = NULL;

    loop->probing = true;
    LIST_FOR_EACH (link, &loop->all) {
        struct op *op = LIST_ENTRY(link, struct op, all);

        if (op->runnable) continue;
        if (op->kind->run(op) == OP_HOLDS) {
            held = op;
            break;
        }
    }
    loop->probing = false;
    return held;
}

void op_source_init(struct op_source *source)
{
    list_init(&source->waiters);
}

void op_wake(struct op_source *source)
{
    op_wake_below(source, INT64_MAX);
}

void op_wake_below(struct op_source *source, int64_t limit)
{
    while (!list_empty(&source->waiters)) {
        struct op *op = LIST_ENTRY(source->waiters.next, struct op, link);

        if (op->key > limit) return;
        op_make_runnable(op);
    }
}

void op_resume(struct op *op)
{
    ASSERT(op->live);
    op_make_runnable(op);
}

/* A relay has no condition of its own: being run again is being woken. */
static enum op_result op_relay_run(struct op *op)
{
    struct op_relay *relay = CONTAINER_OF(op, struct op_relay, op);

    if (op_probing(op)) return OP_PARKED;
    if (op->step == 1) op_wake(relay->to);
    op->step = 1;
    return op_park(op, relay->from, OP_NO_KEY);
}

static const char *const op_relay_steps[] = {"START", "PARKED"};
static const struct op_kind op_relay_kind = {"relay", op_relay_steps, 2, op_relay_run, NULL};

void op_relay_start(struct op_loop *loop, struct op_relay *relay, struct op_source *from,
                    struct op_source *to)
{
    relay->from = from;
    relay->to = to;
    op_start(loop, &relay->op, &op_relay_kind, 0);
}

void op_relay_stop(struct op_relay *relay)
{
    if (op_live(&relay->op)) op_cancel(&relay->op);
}

const char *op_step_name(const struct op *op)
{
    return op->kind->step_names[op->step];
}

void op_enter(struct op *op, uint32_t step)
{
    ASSERT(!op->loop->probing);
    ASSERT(step < op->kind->step_count);
    op->step = step;
    if (op->loop->stepped != NULL) op->loop->stepped(op->loop, op);
}

/* Ascending keys; a new waiter goes behind its equals. Offsets mostly grow, so look from behind. */
static struct list *op_place(struct op_source *source, int64_t key)
{
    struct list *place = &source->waiters;

    while (place->prev != &source->waiters && LIST_ENTRY(place->prev, struct op, link)->key > key) {
        place = place->prev;
    }
    return place;
}

enum op_result op_park(struct op *op, struct op_source *source, int64_t key)
{
    if (op->loop->probing) return OP_PARKED;
    if (op->runnable) return OP_PARKED; /* woken by its own doing: it runs again */
    ASSERT(source != NULL || op->deadline_ns != OP_NO_DEADLINE);
    /* A deadline that has passed wakes nobody again: the condition must have looked at it. */
    ASSERT(source != NULL || op->deadline_ns > op->loop->now_ns);
    op->key = key;
    op->source = source;
    if (source != NULL) list_push(op_place(source, key), &op->link);
    return OP_PARKED;
}

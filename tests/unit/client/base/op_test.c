/* Ops: what is awaited is what wakes. Parking on sources and deadlines, keyed prefixes, waking
 * during one's own run, the budget of a turn, cancellation, and the probe that finds a wake-up
 * that nobody sent. */
#include "client/base/op.h"
#include "tests/support/support.h"

#include <string.h>

enum wait_step { WAIT_START, WAIT_REACHED, WAIT_EXTRA };
static const char *const wait_steps[] = {"START", "REACHED", "EXTRA"};

struct fixture {
    struct support_memory memory;
    struct op_loop loop;
    struct op_source source;
    int64_t end;     /* the condition: end >= required */
    char order[256]; /* names of finished ops, in order */
};

struct wait {
    struct op op;
    struct fixture *fixture;
    int64_t required;
    char name;
    bool expired;
    bool wakes_itself;
    uint32_t runs;
};

static void wait_finish(struct op *op)
{
    struct wait *o = CONTAINER_OF(op, struct wait, op);
    size_t at = strlen(o->fixture->order);

    o->fixture->order[at] = o->name;
    o->fixture->order[at + 1] = '\0';
}

static enum op_result wait_run(struct op *op)
{
    struct wait *o = CONTAINER_OF(op, struct wait, op);
    struct fixture *f = o->fixture;

    if (!op_probing(op)) o->runs++;
    switch ((enum wait_step)op->step) {
    case WAIT_START:
        if (o->wakes_itself) op_resume(op);
        AWAIT_KEY(o, WAIT_REACHED, &f->source, o->required,
                  f->end >= o->required || op_expired(op));
        o->expired = f->end < o->required;
        op_deadline(op, OP_NO_DEADLINE);
        AWAIT_KEY(o, WAIT_EXTRA, &f->source, o->required, true);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static const struct op_kind wait_kind = {"wait", wait_steps, 3, wait_run, wait_finish};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof *f);

    support_memory_init(&f->memory, 4 << 20);
    assert_int_equal(op_loop_init(&f->loop, &f->memory.mem, 64, NULL), ERR_NONE);
    op_source_init(&f->source);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    op_loop_deinit(&f->loop);
    support_memory_deinit(&f->memory);
    test_free(f);
    return 0;
}

static void start(struct fixture *f, struct wait *o, char name, int64_t required)
{
    *o = (struct wait){.fixture = f, .required = required, .name = name};
    op_start(&f->loop, &o->op, &wait_kind, WAIT_START);
}

static void an_op_parks_until_its_source_is_woken_and_its_condition_holds(void **state)
{
    struct fixture *f = *state;
    struct wait a;

    start(f, &a, 'a', 10);
    assert_int_equal(op_loop_run(&f->loop, 1, 100), OP_NO_DEADLINE);
    assert_string_equal(op_step_name(&a.op), "REACHED");
    op_wake(&f->source); /* a spurious one */
    op_loop_run(&f->loop, 2, 100);
    assert_true(op_live(&a.op));
    f->end = 10;
    op_wake(&f->source);
    assert_true(op_live(&a.op)); /* waking is enqueueing: nothing ran yet */
    op_loop_run(&f->loop, 3, 100);
    assert_false(op_live(&a.op));
    assert_int_equal(a.runs, 3);
}

static void an_offset_wakes_the_prefix_in_order_and_leaves_the_rest(void **state)
{
    struct fixture *f = *state;
    struct wait ops[5];
    const int64_t required[5] = {30, 10, 20, 10, 40};

    for (int i = 0; i < 5; i++)
        start(f, &ops[i], (char)('a' + i), required[i]);
    op_loop_run(&f->loop, 1, 100);
    f->end = 20;
    op_wake_below(&f->source, f->end);
    op_loop_run(&f->loop, 2, 100);
    assert_string_equal(f->order, "bdc");
    assert_int_equal(ops[0].runs, 1); /* not woken */
    f->end = 99;
    op_wake(&f->source);
    op_loop_run(&f->loop, 3, 100);
    assert_string_equal(f->order, "bdcae");
}

static void deadlines_wake_in_time_order_and_ties_in_order_of_setting(void **state)
{
    struct fixture *f = *state;
    struct wait ops[3];

    for (int i = 0; i < 3; i++) {
        start(f, &ops[i], (char)('a' + i), 100);
        op_deadline(&ops[i].op, i == 0 ? 50 : 20);
    }
    assert_int_equal(op_loop_run(&f->loop, 1, 100), 20);
    assert_int_equal(op_loop_run(&f->loop, 19, 100), 20);
    assert_string_equal(f->order, "");
    assert_int_equal(op_loop_run(&f->loop, 20, 100), 50);
    assert_string_equal(f->order, "bc");
    assert_true(ops[1].expired);
    assert_int_equal(op_loop_run(&f->loop, 60, 100), OP_NO_DEADLINE);
    assert_string_equal(f->order, "bca");
}

static void an_op_woken_by_its_own_run_runs_again(void **state)
{
    struct fixture *f = *state;
    struct wait a;

    start(f, &a, 'a', 10);
    a.wakes_itself = true;
    op_loop_run(&f->loop, 1, 100);
    assert_int_equal(a.runs, 2);
    assert_true(op_live(&a.op));
    f->end = 10;
    op_wake(&f->source);
    op_loop_run(&f->loop, 2, 100);
    assert_string_equal(f->order, "a");
}

static void a_turn_has_a_budget_and_asks_to_go_on_at_once(void **state)
{
    struct fixture *f = *state;
    struct wait ops[10];

    f->end = 100;
    for (int i = 0; i < 10; i++)
        start(f, &ops[i], (char)('a' + i), 1);
    assert_int_equal(op_loop_run(&f->loop, 7, 4), 7);
    assert_string_equal(f->order, "abcd");
    assert_false(op_loop_idle(&f->loop));
    assert_int_equal(op_loop_run(&f->loop, 7, 100), OP_NO_DEADLINE);
    assert_string_equal(f->order, "abcdefghij");
}

static void a_cancelled_op_is_gone_from_source_queue_and_heap(void **state)
{
    struct fixture *f = *state;
    struct wait a, b;

    start(f, &a, 'a', 10);
    start(f, &b, 'b', 10);
    op_deadline(&a.op, 30);
    op_loop_run(&f->loop, 1, 100);
    op_cancel(&a.op); /* parked, with a deadline */
    op_wake(&f->source);
    op_cancel(&b.op);                    /* runnable */
    assert_string_equal(f->order, "ab"); /* finish was called */
    assert_true(op_source_empty(&f->source));
    assert_int_equal(op_loop_run(&f->loop, 100, 100), OP_NO_DEADLINE);
    assert_int_equal(f->loop.live, 0);
}

static void the_probe_finds_a_lost_wake_up_and_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct wait a, b;

    start(f, &a, 'a', 10);
    start(f, &b, 'b', 20);
    op_loop_run(&f->loop, 1, 100);
    assert_null(op_loop_probe(&f->loop));
    f->end = 20; /* and nobody wakes */
    assert_ptr_equal(op_loop_probe(&f->loop), &a.op);
    assert_ptr_equal(op_loop_probe(&f->loop), &a.op);
    assert_int_equal(a.runs, 1);
    assert_string_equal(f->order, "");
    op_wake(&f->source);
    assert_null(op_loop_probe(&f->loop)); /* runnable is not parked */
    op_loop_run(&f->loop, 2, 100);
    assert_string_equal(f->order, "ab");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(an_op_parks_until_its_source_is_woken_and_its_condition_holds),
        TEST(an_offset_wakes_the_prefix_in_order_and_leaves_the_rest),
        TEST(deadlines_wake_in_time_order_and_ties_in_order_of_setting),
        TEST(an_op_woken_by_its_own_run_runs_again),
        TEST(a_turn_has_a_budget_and_asks_to_go_on_at_once),
        TEST(a_cancelled_op_is_gone_from_source_queue_and_heap),
        TEST(the_probe_finds_a_lost_wake_up_and_changes_nothing),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

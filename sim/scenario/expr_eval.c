#include "sim/scenario/expr.h"

#include "client/base/assert.h"

static struct expr_value truth(bool holds)
{
    return (struct expr_value){.kind = EXPR_NUMBER, .number = holds};
}

static struct expr_value set_of(uint64_t set)
{
    return (struct expr_value){.kind = EXPR_SET, .set = set};
}

static uint32_t set_count(uint64_t set)
{
    uint32_t count = 0;

    for (; set != 0; set &= set - 1)
        count++;
    return count;
}

/* One of a set: drawn where a step fires, the first one otherwise. */
static uint64_t set_any(uint64_t set, struct expr_source *source)
{
    uint64_t skip;

    if (set == 0) return 0;
    skip = source->choose != NULL ? source->choose(source, set_count(set)) : 0;
    for (; skip > 0; skip--)
        set &= set - 1;
    return set & -set;
}

static bool compare(enum expr_op op, struct expr_value l, struct expr_value r)
{
    if (l.kind == EXPR_UNDEFINED || r.kind == EXPR_UNDEFINED) return false;
    ASSERT(l.kind == r.kind);
    if (l.kind == EXPR_SET) {
        if (op == EXPR_IN) return (l.set & ~r.set) == 0;
        return op == EXPR_EQ ? l.set == r.set : l.set != r.set;
    }
    if (op == EXPR_EQ) return l.number == r.number;
    if (op == EXPR_NE) return l.number != r.number;
    if (op == EXPR_LT) return l.number < r.number;
    if (op == EXPR_LE) return l.number <= r.number;
    if (op == EXPR_GT) return l.number > r.number;
    return l.number >= r.number;
}

static struct expr_value sum(enum expr_op op, struct expr_value l, struct expr_value r)
{
    if (l.kind == EXPR_UNDEFINED || r.kind == EXPR_UNDEFINED) {
        return (struct expr_value){.kind = EXPR_UNDEFINED};
    }
    if (l.kind == EXPR_SET) return set_of(op == EXPR_ADD ? l.set | r.set : l.set & ~r.set);
    return (struct expr_value){
        .kind = EXPR_NUMBER, .number = op == EXPR_ADD ? l.number + r.number : l.number - r.number};
}

static struct expr_value term(const struct expr *expr, struct expr_source *source)
{
    uint64_t argument = 0;

    if (expr->nodes != NULL) {
        struct expr_value nodes = expr_eval(expr->nodes, source);

        if (nodes.kind != EXPR_SET) return (struct expr_value){.kind = EXPR_UNDEFINED};
        argument = nodes.set;
    }
    return source->term(source, expr, argument);
}

struct expr_value expr_eval(const struct expr *expr, struct expr_source *source)
{
    struct expr_value left;

    switch (expr->op) {
    case EXPR_LITERAL: return (struct expr_value){.kind = EXPR_NUMBER, .number = expr->number};
    case EXPR_VAR: return set_of(expr->var < 0 ? source->it : source->vars[expr->var]);
    case EXPR_TERM: return term(expr, source);
    case EXPR_OR: return truth(expr_holds(expr->left, source) || expr_holds(expr->right, source));
    case EXPR_AND: return truth(expr_holds(expr->left, source) && expr_holds(expr->right, source));
    case EXPR_NOT: return truth(!expr_holds(expr->left, source));
    case EXPR_EXISTS:
        left = expr_eval(expr->left, source);
        return truth(left.kind == EXPR_SET && left.set != 0);
    case EXPR_EQ:
    case EXPR_NE:
    case EXPR_LT:
    case EXPR_LE:
    case EXPR_GT:
    case EXPR_GE:
    case EXPR_IN:
        left = expr_eval(expr->left, source);
        return truth(compare(expr->op, left, expr_eval(expr->right, source)));
    case EXPR_ADD:
    case EXPR_SUB:
        left = expr_eval(expr->left, source);
        return sum(expr->op, left, expr_eval(expr->right, source));
    case EXPR_ANY:
        left = expr_eval(expr->left, source);
        return left.kind == EXPR_SET ? set_of(set_any(left.set, source)) : left;
    case EXPR_COUNT_OF:
        left = expr_eval(expr->left, source);
        if (left.kind != EXPR_SET) return left;
        return (struct expr_value){.kind = EXPR_NUMBER, .number = set_count(left.set)};
    }
    IMPOSSIBLE("operator of an expression");
}

bool expr_holds(const struct expr *expr, struct expr_source *source)
{
    struct expr_value value = expr_eval(expr, source);

    return value.kind == EXPR_NUMBER && value.number != 0;
}

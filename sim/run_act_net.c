/* Actions on the network. */
#include "sim/run_act.h"

#include "client/base/assert.h"
#include "sim/plan.h"

static void later_heal(struct run_later *later)
{
    struct run *run = later->run;

    act_tell_pairs(run, later->nodes, later->others, false);
    sim_heal_one_way(run->sim, later->nodes, later->others, later->style);
}

/* ---- network --------------------------------------------------------------------------------- */

uint64_t act_partition(struct run *run, const struct scenario_action *action, int step)
{
    uint64_t from = act_nodes(run, scenario_arg(action, "from"));
    uint64_t to = act_nodes(run, scenario_arg(action, "to"));
    const struct scenario_value *both = scenario_arg(action, "both");
    enum sim_cut style = (enum sim_cut)act_choice(action, "style");
    bool two_way = both != NULL && both->truth;
    struct run_later *later;

    if (from == 0 || to == 0) return 0;
    FOR_NODES (i, from) {
        act_tell(run, two_way ? SIM_FAULT_CUT : SIM_FAULT_CUT_ONE_WAY, true, step, i,
                 two_way ? "cut around" : "one-way cut from");
    }
    act_tell_pairs(run, from, to, true);
    if (two_way) {
        act_tell_pairs(run, to, from, true);
        sim_partition(run->sim, from, to, style);
    } else {
        sim_partition_one_way(run->sim, from, to, style);
    }
    later = act_ends(run, action, from, later_heal);
    if (later != NULL) {
        later->others = to;
        later->style = style;
    }
    if (later != NULL && two_way) {
        struct run_later *back =
            run_later(run, later->event.node.deadline - run->sim->now_ns, later_heal);

        back->nodes = to;
        back->others = from;
        back->style = style;
    }
    return from;
}

/* What an action does to one direction of a link. */
struct link_act {
    const struct scenario_action *action;
    enum sim_fault fault;
    const char *sentence;
    int64_t until_ns;
    int64_t values[2];
};

static void link_pair(struct run *run, const struct link_act *act, uint32_t from, uint32_t to)
{
    const struct scenario_action *action = act->action;
    struct sim_world *first = run->sim->nodes[from];
    struct sim_world *second = run->sim->nodes[to];

    switch ((int)action->kind) {
    case ACTION_CLOG: sim_clog(first, second, act->until_ns); return;
    case ACTION_HEAL: (void)sim_net_mend_all(run->sim, from, to); return;
    case ACTION_CUT: sim_cut_pair(first, second, (enum sim_cut)act_choice(action, "style")); return;
    case ACTION_SLOW_LINK: sim_slow_link(first, second, act->values[0], act->values[1]); return;
    case ACTION_FLAKY:
        sim_flaky(first, second, act->values[0], act->values[1], act->until_ns);
        return;
    case ACTION_SEGMENT:
        sim_segment(first, second, (enum sim_pieces)(act_choice(action, "mode") + 1));
        return;
    case ACTION_SMALL_BUFFERS: sim_small_buffers(first, second, (uint32_t)act->values[0]); return;
    case ACTION_HALF_OPEN: sim_half_open(first, second); return;
    case ACTION_CORRUPT: sim_corrupt(first, second, (uint32_t)act->values[0]); return;
    case ACTION_RESET:
        if (act_choice(action, "moment") == 0) {
            sim_reset(first, second, (enum sim_notice)act_choice(action, "notice"));
        } else {
            sim_reset_at(first, second, (enum sim_moment)act_choice(action, "moment"));
        }
        return;
    default: IMPOSSIBLE("an action on links");
    }
}

static void link_sets(struct run *run, const struct link_act *act, uint64_t from, uint64_t to)
{
    if (act->action->kind == ACTION_CUT || act->action->kind == ACTION_HEAL)
        act_tell_pairs(run, from, to, act->action->kind == ACTION_CUT);
    FOR_NODES (i, from) {
        FOR_NODES (j, to) {
            if (i != j) link_pair(run, act, i, j);
        }
    }
}

/* The opposite of the action, on one direction. */
static void later_link(struct run_later *later)
{
    struct run *run = later->run;

    if (later->action->kind == ACTION_CUT) act_tell_pairs(run, later->nodes, later->others, false);
    FOR_NODES (i, later->nodes) {
        FOR_NODES (j, later->others) {
            struct sim_world *from = run->sim->nodes[i];
            struct sim_world *to = run->sim->nodes[j];

            if (i == j) continue;
            switch ((int)later->action->kind) {
            case ACTION_CUT:
                if (sim_net_is_cut(run->sim, i, j)) sim_net_mend(run->sim, i, j, later->style);
                break;
            case ACTION_SLOW_LINK: sim_slow_link(from, to, 0, 0); break;
            case ACTION_SEGMENT: sim_segment(from, to, SIM_PIECES_STYLES); break;
            case ACTION_SMALL_BUFFERS: sim_small_buffers(from, to, 0); break;
            default: IMPOSSIBLE("an action on links that ends");
            }
        }
    }
}

static void links_end(struct run *run, const struct link_act *act, uint64_t from, uint64_t to)
{
    struct run_later *later;

    void (*end)(struct run_later * later) = later_link;

    switch ((int)act->action->kind) {
    case ACTION_CUT:
    case ACTION_SLOW_LINK:
    case ACTION_SEGMENT:
    case ACTION_SMALL_BUFFERS: break;
    case ACTION_CLOG:
    case ACTION_FLAKY: end = act_over; break;
    default: return; /* at once, or for good */
    }
    if (act->until_ns == run->sim->now_ns) return;
    later = act_ends_in(run, act->action, act->until_ns - run->sim->now_ns, from, end);
    later->others = to;
    if (act->action->kind == ACTION_CUT) {
        later->style = (enum sim_cut)act_choice(act->action, "style");
    }
}

static struct link_act link_act_of(struct run *run, const struct scenario_action *action)
{
    static const struct {
        enum action_kind kind;
        enum sim_fault fault;
        const char *sentence;
        const char *values[2];
    } acts[] = {
        {ACTION_CLOG, SIM_FAULT_CLOG, "clog from", {NULL, NULL}},
        {ACTION_RESET, SIM_FAULT_RESET, "reset of connections of", {NULL, NULL}},
        {ACTION_HEAL, SIM_FAULT_HEAL, "heal of", {NULL, NULL}},
        {ACTION_CUT, SIM_FAULT_CUT_PAIRS, "cut of links of", {NULL, NULL}},
        {ACTION_SLOW_LINK, SIM_FAULT_SLOW_LINK, "slow links from", {"latency", "rate"}},
        {ACTION_FLAKY, SIM_FAULT_FLAKY, "flaky links from", {"hold", "every"}},
        {ACTION_SEGMENT, SIM_FAULT_SEGMENT, "pieces from", {NULL, NULL}},
        {ACTION_SMALL_BUFFERS, SIM_FAULT_SMALL_BUFFERS, "small buffers of", {"size", NULL}},
        {ACTION_HALF_OPEN, SIM_FAULT_HALF_OPEN, "dead connections of", {NULL, NULL}},
        {ACTION_CORRUPT, SIM_FAULT_CORRUPT, "wrong bits from", {"times", NULL}},
    };
    struct link_act act = {.action = action, .fault = SIM_FAULT_COUNT};

    act.until_ns = run->sim->now_ns;
    if (scenario_arg(action, "for") != NULL) act.until_ns += act_quantity(run, action, "for", 0);
    for (uint32_t i = 0; i < COUNT_OF(acts); i++) {
        if (acts[i].kind != action->kind) continue;
        act.fault = acts[i].fault;
        act.sentence = acts[i].sentence;
        for (uint32_t j = 0; j < 2 && acts[i].values[j] != NULL; j++) {
            act.values[j] = act_quantity(run, action, acts[i].values[j], 0);
        }
    }
    ASSERT(act.fault != SIM_FAULT_COUNT);
    if (action->kind == ACTION_SLOW_LINK && act.values[1] > 0) { /* a second -> a ms */
        act.values[1] = act.values[1] < 1000 ? 1 : act.values[1] / 1000;
    }
    return act;
}

uint64_t act_links(struct run *run, const struct scenario_action *action, int step)
{
    const struct scenario_value *value = scenario_arg(action, "links");
    struct link_act act = link_act_of(run, action);
    uint64_t hit = 0;

    if (value->all_links) {
        if (action->kind == ACTION_HEAL) {
            act_tell(run, act.fault, false, step, 0, "heal of all links, beginning with");
            sim_heal_all(run->sim);
            return UINT64_MAX;
        }
        FOR_NODES (j, UINT64_MAX) {
            act_tell(run, act.fault, true, step, j, act.sentence);
        }
        link_sets(run, &act, UINT64_MAX, UINT64_MAX);
        links_end(run, &act, UINT64_MAX, UINT64_MAX);
        return UINT64_MAX;
    }
    for (uint32_t i = 0; i < value->link_count; i++) {
        uint64_t from = expr_eval(value->links[i].from, &run->source).set;
        uint64_t to = expr_eval(value->links[i].to, &run->source).set;

        plan_note_link(run, i, from, to);
        if (to == 0) continue;
        FOR_NODES (j, from) {
            act_tell(run, act.fault, action->kind != ACTION_HEAL, step, j, act.sentence);
        }
        link_sets(run, &act, from, to);
        links_end(run, &act, from, to);
        if (value->links[i].both) {
            link_sets(run, &act, to, from);
            links_end(run, &act, to, from);
        }
        hit |= from;
    }
    return hit;
}

void act_swizzle(struct run *run, const struct scenario_action *action, int step, uint64_t nodes)
{
    FOR_NODES (i, nodes) {
        act_tell(run, SIM_FAULT_SWIZZLE, true, step, i, "swizzle clog around");
    }
    sim_swizzle(run->sim, nodes, act_quantity(run, action, "for", NS_PER_SEC));
}

void act_fail_connects(struct run *run, const struct scenario_action *action, int step,
                       uint64_t nodes)
{
    uint32_t times = (uint32_t)act_quantity(run, action, "times", 1);

    FOR_NODES (i, nodes) {
        act_tell(run, SIM_FAULT_FAIL_CONNECTS, true, step, i, "failing connects to");
        sim_fail_connects(run->sim->nodes[i], (enum sim_connect_fault)act_choice(action, "how"),
                          times);
    }
}

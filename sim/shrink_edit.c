/* The edits of the shrinker, each one pass over what there is to leave out or to make plain. A copy
 * shares everything behind pointers with the scenario it is a copy of: what is changed there is
 * taken anew from its store. What an edit breaks, the lint refuses. */
#include "client/base/assert.h"
#include "sim/shrink.h"

#include <string.h>

void shrink_edit_cut(struct scenario *copy, uint32_t from, uint32_t to)
{
    uint32_t gone = to - from;

    memmove(&copy->steps[from], &copy->steps[to], (copy->step_count - to) * sizeof copy->steps[0]);
    copy->step_count -= gone;
    for (uint32_t i = 0; i < copy->expect_count; i++) {
        int32_t *after = &copy->expects[i].after_step;

        if (*after >= (int32_t)to)
            *after -= (int32_t)gone;
        else if (*after >= (int32_t)from)
            *after = -1;
    }
}

/* ---- 1: the end ------------------------------------------------------------------------------ */

/* n: how far behind the failure the run may end; the first that works. */
static enum shrink_edit pass_end(struct scenario *copy, uint32_t n,
                                 const struct shrink_outcome *outcome)
{
    static const int64_t margins[] = {NS_PER_SEC, 4 * NS_PER_SEC, 15 * NS_PER_SEC};
    int64_t stop_ns;

    if (n >= COUNT_OF(margins)) return SHRINK_END;
    stop_ns = (outcome->since_ns / NS_PER_SEC + 1) * NS_PER_SEC + margins[n];
    if (!outcome->in_safety && copy->step_count > 0) { /* what is left is for the liveness phase */
        stop_ns = margins[n] + NS_PER_SEC;
        for (uint32_t i = 0; i < copy->step_count; i++) {
            if (copy->steps[i].trigger == SCENARIO_AT &&
                copy->steps[i].time.max + NS_PER_SEC > stop_ns)
                stop_ns = (copy->steps[i].time.max / NS_PER_SEC + 1) * NS_PER_SEC + margins[n];
        }
    }
    if (stop_ns >= copy->stop_ns) return SHRINK_SKIP;
    copy->stop_ns = stop_ns;
    return SHRINK_EDIT;
}

static enum shrink_edit pass_liveness(struct scenario *copy, uint32_t n,
                                      const struct shrink_outcome *outcome)
{
    if (n > 1 || !copy->liveness) return SHRINK_END;
    if (n == 0) {
        if (!outcome->in_safety) return SHRINK_SKIP;
        copy->liveness = false;
        return SHRINK_EDIT;
    }
    if (copy->core == SCENARIO_CORE_ALL) return SHRINK_SKIP;
    copy->core = SCENARIO_CORE_ALL;
    return SHRINK_EDIT;
}

/* ---- 2: faults ------------------------------------------------------------------------------- */

/* Only the last 0, 1, 2, 4, .. steps. */
static enum shrink_edit pass_last_steps(struct scenario *copy, uint32_t n,
                                        const struct shrink_outcome *outcome)
{
    uint32_t keep = n == 0 ? 0 : UINT32_C(1) << (n - 1 < 16 ? n - 1 : 16);

    (void)outcome;
    if (keep >= copy->step_count) return SHRINK_END;
    shrink_edit_cut(copy, 0, copy->step_count - keep);
    return SHRINK_EDIT;
}

/* All steps of one kind. */
static enum shrink_edit pass_class(struct scenario *copy, uint32_t n,
                                   const struct shrink_outcome *outcome)
{
    uint32_t gone = 0;

    (void)outcome;
    if (n >= ACTIONS) return SHRINK_END;
    for (uint32_t i = copy->step_count; i-- > 0;) {
        if ((uint32_t)copy->steps[i].actions[0].kind != n) continue;
        shrink_edit_cut(copy, i, i + 1);
        gone++;
    }
    return gone > 0 ? SHRINK_EDIT : SHRINK_SKIP;
}

/* Halves, quarters, .. one by one; from the end, since what is late is less often needed. */
static enum shrink_edit pass_chunks(struct scenario *copy, uint32_t n,
                                    const struct shrink_outcome *outcome)
{
    uint32_t count = copy->step_count;
    uint32_t chunk = (count + 1) / 2;

    (void)outcome;
    if (count == 0) return SHRINK_END;
    for (;;) {
        uint32_t pieces = (count + chunk - 1) / chunk;

        if (n < pieces) {
            uint32_t to = count - n * chunk;

            shrink_edit_cut(copy, to > chunk ? to - chunk : 0, to);
            return SHRINK_EDIT;
        }
        n -= pieces;
        if (chunk == 1) return SHRINK_END;
        chunk = (chunk + 1) / 2;
    }
}

static bool literal_node(const struct scenario_action *action, int32_t *id)
{
    for (uint32_t i = 0; i < ACTION_ARGS_MAX; i++) {
        const struct scenario_value *value = &action->args[i];

        if (!value->set || value->node_count != 1) continue;
        if (value->nodes[0]->op != EXPR_TERM || value->nodes[0]->term != TERM_NODE) return false;
        *id = value->nodes[0]->id;
        return true;
    }
    return false;
}

static struct scenario_action *own_actions(struct scenario *copy, uint32_t step)
{
    struct scenario_step *words = &copy->steps[step];
    struct scenario_action *own =
        store_take(&copy->store, words->action_count * sizeof *words->actions);

    memcpy(own, words->actions, words->action_count * sizeof *own);
    words->actions = own;
    return own;
}

/* The restart of a node that a step before has taken down becomes its `then`. */
static enum shrink_edit pass_fold(struct scenario *copy, uint32_t n,
                                  const struct shrink_outcome *outcome)
{
    int32_t node = -1;
    int32_t down = -1;
    struct scenario_action *then;

    (void)outcome;
    if (n >= copy->step_count) return SHRINK_END;
    if (copy->steps[n].trigger != SCENARIO_AT || copy->steps[n].action_count != 1 ||
        copy->steps[n].actions[0].kind != ACTION_RESTART ||
        !literal_node(&copy->steps[n].actions[0], &node)) {
        return SHRINK_SKIP;
    }
    for (uint32_t i = n; i-- > 0;) {
        const struct scenario_step *step = &copy->steps[i];
        struct scenario_action *action;

        if (step->trigger != SCENARIO_AT || step->actions[0].kind != ACTION_CRASH) continue;
        if (!literal_node(&step->actions[0], &down) || down != node) continue;
        if (step->actions[0].then != NULL) return SHRINK_SKIP;
        action = own_actions(copy, i);
        then = store_take(&copy->store, sizeof *then);
        then->kind = ACTION_RESTART;
        then->after.min = then->after.max = copy->steps[n].time.min - step->time.min;
        if (then->after.min <= 0) then->after.min = then->after.max = 1;
        action->then = then;
        shrink_edit_cut(copy, n, n + 1);
        return SHRINK_EDIT;
    }
    return SHRINK_SKIP;
}

/* ---- 3: the cluster and its clients ---------------------------------------------------------- */

static enum shrink_edit pass_clients(struct scenario *copy, uint32_t n,
                                     const struct shrink_outcome *outcome)
{
    (void)outcome;
    if (n >= copy->client_count) return SHRINK_END;
    if (copy->clients[n].copy_of >= 0) return SHRINK_SKIP;
    copy->clients[n].copy_of = (int32_t)n; /* what is a copy is not written */
    return SHRINK_EDIT;
}

static enum shrink_edit pass_topics(struct scenario *copy, uint32_t n,
                                    const struct shrink_outcome *outcome)
{
    (void)outcome;
    if (n >= copy->topic_count) return SHRINK_END;
    if (copy->topics[n].late || copy->topic_count == 1) return SHRINK_SKIP;
    copy->topics[n].late = true;
    for (uint32_t i = 0; i < copy->client_count; i++) {
        struct scenario_client *client = &copy->clients[i];
        uint32_t kept = 0;

        for (uint32_t j = 0; j < client->topic_count; j++) {
            if (client->topics[j] != n) client->topics[kept++] = client->topics[j];
        }
        client->topic_count = kept;
        if (kept == 0) client->copy_of = (int32_t)i;
    }
    return SHRINK_EDIT;
}

/* The n-th smaller value of a range; false: none. */
static bool lower(struct unit_range *range, uint32_t n)
{
    int64_t value = (int64_t)n + 1;

    if (range->min == range->max && value >= range->min) return false;
    if (value > range->max) return false;
    range->min = range->max = value;
    return true;
}

static enum shrink_edit pass_shape(struct scenario *copy, uint32_t n,
                                   const struct shrink_outcome *outcome)
{
    static const uint32_t counts[] = {1, 2, 3, 4};
    uint32_t way = n / COUNT_OF(counts);
    uint32_t count = counts[n % COUNT_OF(counts)];
    struct unit_range *range;

    (void)outcome;
    if (way == 0) {
        if (count >= copy->controllers || copy->combined) return SHRINK_SKIP;
        copy->controllers = count;
        return SHRINK_EDIT;
    }
    if (way == 1) {
        if (count >= copy->brokers || copy->combined) return SHRINK_SKIP;
        copy->brokers = count;
        for (uint32_t i = 0; i < copy->topic_count; i++) {
            range = &copy->topics[i].replicas;
            if (range->max > (int64_t)count) range->max = (int64_t)count;
            if (range->min > (int64_t)count) range->min = (int64_t)count;
        }
        return SHRINK_EDIT;
    }
    way -= 2;
    if (way / 2 >= copy->topic_count) return SHRINK_END;
    range = way % 2 == 0 ? &copy->topics[way / 2].partitions : &copy->topics[way / 2].replicas;
    return lower(range, count - 1) ? SHRINK_EDIT : SHRINK_SKIP;
}

static enum shrink_edit pass_producers(struct scenario *copy, uint32_t n,
                                       const struct shrink_outcome *outcome)
{
    struct scenario_client *client = &copy->clients[n / 6];

    (void)outcome;
    if (n / 6 >= copy->client_count) return SHRINK_END;
    if (client->kind != SCENARIO_PRODUCER || client->copy_of >= 0) return SHRINK_SKIP;
    switch (n % 6) {
    case 0:
        if (client->batch == 1) return SHRINK_SKIP;
        client->batch = 1;
        return SHRINK_EDIT;
    case 1: client->record_size.min = client->record_size.max = 100; return SHRINK_EDIT;
    case 2: client->linger_ns = 0; return SHRINK_EDIT;
    case 3: client->rate.min = client->rate.max = 100 * 1000; return SHRINK_EDIT;
    case 4: client->keys = 0; return SHRINK_EDIT;
    case 5: client->delivery_timeout_ns = 0; return SHRINK_EDIT;
    }
    return SHRINK_SKIP;
}

static enum shrink_edit pass_racks(struct scenario *copy, uint32_t n,
                                   const struct shrink_outcome *outcome)
{
    (void)outcome;
    if (n > 0 || copy->racks[0] == NULL) return SHRINK_END;
    copy->racks[0] = NULL;
    return SHRINK_EDIT;
}

/* ---- 4: settings ----------------------------------------------------------------------------- */

static void without(struct scenario *copy, struct scenario_config **configs, uint32_t *count,
                    uint32_t from, uint32_t to)
{
    struct scenario_config *own = store_take(&copy->store, (*count + 1) * sizeof *own);

    memcpy(own, *configs, from * sizeof *own);
    memcpy(own + from, *configs + to, (*count - to) * sizeof *own);
    *configs = own;
    *count -= to - from;
}

/* All of a map first, then one by one; the cluster's, then those of the topics. */
static enum shrink_edit pass_settings(struct scenario *copy, uint32_t n,
                                      const struct shrink_outcome *outcome)
{
    (void)outcome;
    for (uint32_t i = 0; i <= copy->topic_count; i++) {
        struct scenario_config **configs = i == 0 ? &copy->configs : &copy->topics[i - 1].configs;
        uint32_t *count = i == 0 ? &copy->config_count : &copy->topics[i - 1].config_count;

        if (*count == 0) continue;
        if (n == 0) {
            without(copy, configs, count, 0, *count);
            return SHRINK_EDIT;
        }
        if (n <= *count) {
            without(copy, configs, count, n - 1, n);
            return SHRINK_EDIT;
        }
        n -= *count + 1;
    }
    return SHRINK_END;
}

static enum shrink_edit pass_world(struct scenario *copy, uint32_t n,
                                   const struct shrink_outcome *outcome)
{
    static const struct unit_range none = {0, 0};

    (void)outcome;
    switch (n) {
    case 0: copy->net = sim_net_config_default(); return SHRINK_EDIT;
    case 1:
        copy->disk_profile = SIM_DISK_NVME;
        copy->loss = sim_disk_config_default(SIM_DISK_NVME).loss;
        return SHRINK_EDIT;
    case 2: copy->node_count = 0; return SHRINK_EDIT;
    case 3:
        copy->skew_ns = copy->drift_ppb = copy->clock_step_ns = none;
        copy->coarse_ns = copy->late_ns = none;
        return SHRINK_EDIT;
    case 4: copy->expect_count = 0; return SHRINK_EDIT;
    case 5: copy->off_count = 0; return SHRINK_EDIT;
    case 6: copy->tag_count = 0; return SHRINK_EDIT;
    case 7: copy->stop_wall_ns = 0; return SHRINK_EDIT;
    case 8: copy->stop_events = 0; return SHRINK_EDIT;
    }
    n -= 9;
    if (n >= copy->expect_count) return SHRINK_END;
    memmove(&copy->expects[n], &copy->expects[n + 1],
            (copy->expect_count - n - 1) * sizeof copy->expects[0]);
    copy->expect_count--;
    return SHRINK_EDIT;
}

/* ---- 5, 6: values ---------------------------------------------------------------------------- */

static int64_t rounded(int64_t ns)
{
    static const int64_t units[] = {10 * NS_PER_SEC, 5 * NS_PER_SEC, NS_PER_SEC, 500 * NS_PER_MS,
                                    100 * NS_PER_MS, 10 * NS_PER_MS, NS_PER_MS,  1000};

    for (uint32_t i = 0; i < COUNT_OF(units); i++) {
        if (ns >= 2 * units[i]) return ns / units[i] * units[i];
    }
    return ns;
}

/* Plain times: of steps, on whole seconds or milliseconds. */
static enum shrink_edit pass_times(struct scenario *copy, uint32_t n,
                                   const struct shrink_outcome *outcome)
{
    static const int64_t units[] = {NS_PER_SEC, 100 * NS_PER_MS, 10 * NS_PER_MS, NS_PER_MS};
    struct scenario_step *step = &copy->steps[n / 8];
    int64_t unit = units[n % 4];
    int64_t was;

    (void)outcome;
    if (n / 8 >= copy->step_count) return SHRINK_END;
    was = step->time.min;
    if (step->trigger != SCENARIO_AT || was % NS_PER_MS == 0) return SHRINK_SKIP;
    step->time.min = was / unit * unit + (n % 8 < 4 ? 0 : unit);
    if (step->time.min <= 0) return SHRINK_SKIP;
    step->time.max = step->time.min;
    return SHRINK_EDIT;
}

static struct expr *own_term(struct scenario *copy, enum term term)
{
    struct expr *expr = store_take(&copy->store, sizeof *expr);

    *expr = (struct expr){.op = EXPR_TERM, .is_set = true, .term = term, .topic = -1, .client = -1};
    return expr;
}

/* Fewer nodes in a set of several: without its last, without its first, one word for all. */
static bool fewer_nodes(struct scenario *copy, struct scenario_value *value, uint32_t way)
{
    bool sum = value->node_count == 1 && value->nodes[0]->op == EXPR_ADD;

    if (value->node_count < 2 && !sum) return false;
    if (way >= 4) {
        value->nodes[0] = own_term(copy, way == 4 ? TERM_BROKERS : TERM_CONTROLLERS);
        value->node_count = 1;
    } else if (sum) {
        value->nodes[0] = way == 2 ? value->nodes[0]->left : value->nodes[0]->right;
    } else {
        value->node_count--;
        if (way == 3) {
            memmove(&value->nodes[0], &value->nodes[1], value->node_count * sizeof value->nodes[0]);
        }
    }
    return true;
}

enum { PLAIN_WAYS = 6 };

static bool plain_value(struct scenario *copy, const struct action_arg *arg,
                        struct scenario_value *value, uint32_t way)
{
    switch (way) {
    case 0: /* not said at all */ value->set = false; return true;
    case 1:
        if (arg->kind == VALUE_CHOICE && value->choice > 0) {
            value->choice = 0;
            return true;
        }
        if (arg->kind == VALUE_NODES && value->node_count > 1) {
            value->node_count = 1;
            return true;
        }
        if (arg->kind == VALUE_LINKS && value->link_count > 1) {
            value->link_count = 1;
            return true;
        }
        if (arg->kind != VALUE_UNIT || arg->unit != UNIT_TIME) return false;
        if (rounded(value->quantity.min) == value->quantity.min) return false;
        value->quantity.min = value->quantity.max = rounded(value->quantity.min);
        return true;
    }
    return arg->kind == VALUE_NODES && fewer_nodes(copy, value, way);
}

static enum shrink_edit pass_values(struct scenario *copy, uint32_t n,
                                    const struct shrink_outcome *outcome)
{
    const uint32_t ways = ACTION_ARGS_MAX * PLAIN_WAYS + 1;
    struct scenario_action *action;
    const struct action_word *word;
    uint32_t way = n % ways;

    (void)outcome;
    if (n / ways >= copy->step_count) return SHRINK_END;
    action = own_actions(copy, n / ways);
    word = language_action(action->kind);
    if (way == ways - 1) {
        struct scenario_action *then;

        if (action->then == NULL) return SHRINK_SKIP;
        then = store_take(&copy->store, sizeof *then);
        *then = *action->then;
        if (then->after.min == rounded(then->after.min)) return SHRINK_SKIP;
        then->after.min = then->after.max = rounded(then->after.min);
        action->then = then;
        return SHRINK_EDIT;
    }
    if (word->args[way / PLAIN_WAYS].name == NULL || !action->args[way / PLAIN_WAYS].set)
        return SHRINK_SKIP;
    return plain_value(copy, &word->args[way / PLAIN_WAYS], &action->args[way / PLAIN_WAYS],
                       way % PLAIN_WAYS)
               ? SHRINK_EDIT
               : SHRINK_SKIP;
}

const struct shrink_pass_info shrink_passes[] = {
    {"end", pass_end},
    {"liveness", pass_liveness},
    {"last steps", pass_last_steps},
    {"classes", pass_class},
    {"chunks", pass_chunks},
    {"fold", pass_fold},
    {"clients", pass_clients},
    {"topics", pass_topics},
    {"shape", pass_shape},
    {"racks", pass_racks},
    {"settings", pass_settings},
    {"world", pass_world},
    {"producers", pass_producers},
    {"values", pass_values},
    {"times", pass_times},
    {NULL, NULL},
};

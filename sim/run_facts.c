/* What conditions ask for and no node remembers: counted from the trace. */
#include "sim/run.h"

#include "client/membership.h"

#include <string.h>

/* ---- topics ---------------------------------------------------------------------------------- */

static int fact_topic(const struct run *run, int64_t topic)
{
    for (uint32_t i = 0; i < run->scenario->topic_count; i++) {
        if (run->facts.topics[i] == topic) return (int)i;
    }
    return -1;
}

static void fact_topic_known(struct run *run, const struct trace_event *event)
{
    for (uint32_t i = 0; i < run->scenario->topic_count; i++) {
        const char *name = run->scenario->topics[i].name;

        if (event->text.length != strlen(name)) continue;
        if (memcmp(event->text.data, name, event->text.length) == 0) {
            run->facts.topics[i] = event->fields[0];
        }
    }
}

static struct run_cut *fact_cut(struct run *run, uint32_t node, int topic, int32_t partition)
{
    struct run_facts *facts = &run->facts;
    struct run_cut *cut;

    for (uint32_t i = 0; i < facts->cut_count; i++) {
        cut = &facts->cuts[i];
        if (cut->node == node && cut->topic == topic && cut->partition == partition) return cut;
    }
    if (facts->cut_count == RUN_CUTS_MAX) return NULL;
    cut = &facts->cuts[facts->cut_count++];
    *cut = (struct run_cut){node, topic, partition, 0};
    return cut;
}

static void fact_truncated(struct run *run, uint32_t node, const struct trace_event *event)
{
    int topic = fact_topic(run, event->fields[0]);
    struct run_cut *cut;

    if (topic < 0 || run->phase < RUN_SAFETY) return;
    cut = fact_cut(run, node, topic, (int32_t)event->fields[1]);
    if (cut != NULL) cut->records += event->fields[2] - event->fields[3];
}

int64_t run_facts_truncated(const struct run *run, uint32_t node, int topic, int32_t partition)
{
    for (uint32_t i = 0; i < run->facts.cut_count; i++) {
        const struct run_cut *cut = &run->facts.cuts[i];

        if (cut->node != node || cut->topic != topic || cut->partition != partition) continue;
        return cut->records;
    }
    return 0;
}

/* ---- topics of groups ------------------------------------------------------------------------ */

/* "group topic", or "group" alone; -1: none of the scenario's. */
static int32_t fact_group(const struct run *run, struct str text, int *topic)
{
    const struct expr_names *names = &run->scenario->names;
    const char *blank = memchr(text.data, ' ', text.length);
    size_t length = blank != NULL ? (size_t)(blank - text.data) : text.length;
    size_t rest = blank != NULL ? text.length - length - 1 : 0;

    *topic = -1;
    for (uint32_t i = 0; blank != NULL && i < names->topic_count; i++) {
        if (strlen(names->topics[i]) != rest) continue;
        if (memcmp(names->topics[i], blank + 1, rest) == 0) *topic = (int)i;
    }
    for (uint32_t i = 0; i < names->group_count; i++) {
        if (strlen(names->groups[i]) != length) continue;
        if (memcmp(names->groups[i], text.data, length) == 0) return (int32_t)i;
    }
    return -1;
}

static struct run_committed *fact_committed(struct run *run, struct str text, int64_t partition)
{
    struct run_facts *facts = &run->facts;
    struct run_committed *one;
    int topic;
    int32_t group = fact_group(run, text, &topic);

    if (group < 0 || topic < 0) return NULL;
    for (uint32_t i = 0; i < facts->committed_count; i++) {
        one = &facts->committed[i];
        if (one->group == group && one->topic == topic && one->partition == partition) return one;
    }
    if (facts->committed_count == RUN_COMMITTED_MAX) return NULL;
    one = &facts->committed[facts->committed_count++];
    *one = (struct run_committed){.group = group,
                                  .topic = topic,
                                  .partition = (int32_t)partition,
                                  .offset = -1,
                                  .record = -1};
    return one;
}

/* ---- groups ---------------------------------------------------------------------------------- */

static void fact_group_state(struct run *run, uint32_t node, const struct trace_event *event)
{
    int topic;
    int32_t number = fact_group(run, event->text, &topic);
    struct run_group *group;

    if (number < 0) return;
    group = &run->facts.groups[number];
    if (event->fields[1] < group->epoch) return; /* a coordinator of the past */
    *group = (struct run_group){event->fields[0], event->fields[1], event->fields[3],
                                event->fields[4], event->fields[5], node,
                                group->regressed};
}

static void fact_coordinator(struct run *run, uint32_t node, const struct trace_event *event)
{
    for (uint32_t i = 0; i < run->scenario->names.group_count; i++) {
        struct run_group *group = &run->facts.groups[i];

        if (group->partition != event->fields[0] || event->fields[2] == 0) continue;
        if (event->fields[1] < group->epoch) continue;
        group->epoch = event->fields[1];
        group->node = node;
    }
}

static void fact_offset(struct run *run, const struct trace_event *event)
{
    struct run_committed *one = fact_committed(run, event->text, event->fields[2]);
    int64_t offset = event->fields[3];

    if (one == NULL || event->fields[4] <= one->record) return;
    if (offset < 0) run->facts.reset = true;
    if (offset >= 0 && offset < one->offset) run->facts.groups[one->group].regressed = true;
    one->offset = offset;
    one->record = event->fields[4];
}

static void fact_owns(struct run *run, uint32_t node, const struct trace_event *event)
{
    struct run_committed *one = fact_committed(run, event->text, event->fields[0]);
    bool gets = event->fields[2] == MEMBERSHIP_OWNS_ASSIGNED;

    if (one != NULL && node < SCENARIO_MACHINES_MAX)
        one->owned[node] = gets ? event->fields[1] + 1 : 0;
}

/* Who keeps partitions over a cooperative rebalance has them in the new generation. */
static void fact_member(struct run *run, uint32_t node, const struct trace_event *event)
{
    int topic;
    int32_t group = fact_group(run, event->text, &topic);

    if (event->fields[1] != MEMBERSHIP_STABLE || node >= SCENARIO_MACHINES_MAX) return;
    for (uint32_t i = 0; i < run->facts.committed_count; i++) {
        struct run_committed *one = &run->facts.committed[i];

        if (one->group == group && one->owned[node] > 0) one->owned[node] = event->fields[2] + 1;
    }
}

/* A process that died owns nothing. */
static void fact_down(struct run *run, const struct trace_event *event)
{
    const struct sim_world *world = sim_node_find(run->sim, (int32_t)event->fields[0]);

    for (uint32_t i = 0; world != NULL && i < run->facts.committed_count; i++) {
        if (world->index < SCENARIO_MACHINES_MAX) run->facts.committed[i].owned[world->index] = 0;
    }
}

static struct expr_value fact_number(int64_t value)
{
    return (struct expr_value){.kind = EXPR_NUMBER, .number = value};
}

/* Undefined while a partition that somebody committed has no leader. */
static struct expr_value fact_lag(struct run *run, int32_t group)
{
    int64_t lag = 0;
    bool any = false;

    for (uint32_t i = 0; i < run->facts.committed_count; i++) {
        const struct run_committed *one = &run->facts.committed[i];
        int leader;

        if (one->group != group) continue;
        leader = cluster_partition_leader(run->cluster, (uint32_t)one->topic, one->partition);
        if (leader < 0) return (struct expr_value){.kind = EXPR_UNDEFINED};
        any = true;
        lag += cluster_replica(run->cluster, (uint32_t)leader, (uint32_t)one->topic, one->partition)
                   ->high_watermark -
               (one->offset > 0 ? one->offset : 0);
    }
    return any ? fact_number(lag) : (struct expr_value){.kind = EXPR_UNDEFINED};
}

static bool fact_shared(const struct run *run, int32_t group)
{
    for (uint32_t i = 0; i < run->facts.committed_count; i++) {
        const struct run_committed *one = &run->facts.committed[i];

        for (uint32_t a = 0; a < SCENARIO_MACHINES_MAX && one->group == group; a++) {
            for (uint32_t b = a + 1; b < SCENARIO_MACHINES_MAX && one->owned[a] > 0; b++) {
                if (one->owned[a] == one->owned[b]) return true;
            }
        }
    }
    return false;
}

struct expr_value run_facts_group(struct run *run, const struct expr *expr)
{
    const struct run_group *group = &run->facts.groups[expr->group];
    bool known = group->partition >= 0;

    if (expr->term == TERM_RESET) return fact_number(run->facts.reset);
    if (expr->term == TERM_LAG) return fact_lag(run, expr->group);
    if (expr->term == TERM_SHARED_OWNER) return fact_number(fact_shared(run, expr->group));
    if (expr->term == TERM_COMMITTED_REGRESSED) return fact_number(group->regressed);
    if (expr->term == TERM_COORDINATOR) {
        uint64_t set = known && run->sim->nodes[group->node]->up ? UINT64_C(1) << group->node : 0;

        return (struct expr_value){.kind = EXPR_SET, .set = set};
    }
    if (!known) return (struct expr_value){.kind = EXPR_UNDEFINED};
    if (expr->field == FIELD_STATE) return fact_number(group->state);
    return fact_number(expr->field == FIELD_GENERATION ? group->generation : group->members);
}

void run_facts_begin(struct run *run)
{
    for (uint32_t i = 0; i < SCENARIO_CLIENTS_MAX; i++)
        run->facts.groups[i].partition = -1;
}

/* ---- all ------------------------------------------------------------------------------------- */

void run_facts_event(struct run *run, uint32_t node, const struct trace_event *event)
{
    if (event->kind == TRACE_TOPIC_KNOWN) fact_topic_known(run, event);
    if (event->kind == TRACE_LOG_TRUNCATED) fact_truncated(run, node, event);
    if (event->kind == TRACE_GROUP_STATE) fact_group_state(run, node, event);
    if (event->kind == TRACE_GROUP_COORDINATOR) fact_coordinator(run, node, event);
    if (event->kind == TRACE_GROUP_OFFSET) fact_offset(run, event);
    if (event->kind == TRACE_CLIENT_OWNS) fact_owns(run, node, event);
    if (event->kind == TRACE_CLIENT_GROUP) fact_member(run, node, event);
    if (event->kind == TRACE_SIM_DOWN) fact_down(run, event);
}

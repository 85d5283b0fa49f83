/* What conditions ask for and no node remembers: counted from the trace. */
#include "sim/run.h"

#include <stdio.h>
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

/* ---- groups ---------------------------------------------------------------------------------- */

struct expr_value run_facts_group(struct run *run, const struct expr *expr)
{
    (void)run;
    (void)expr;
    return (struct expr_value){.kind = EXPR_UNDEFINED};
}

/* ---- all ------------------------------------------------------------------------------------- */

void run_facts_event(struct run *run, uint32_t node, const struct trace_event *event)
{
    if (event->kind == TRACE_TOPIC_KNOWN) {
        fact_topic_known(run, event);
    } else if (event->kind == TRACE_LOG_TRUNCATED) {
        fact_truncated(run, node, event);
    }
}

/* The words beside actions and terms: triggers, guards, workloads, points, names of requests. */
#include "sim/scenario/language.h"

#include "client/base/list.h"
#include "client/wire/api.h"
#include "sim/scenario/scenario.h"

#include <string.h>

/* Words of the full language that this one lacks, and what each needs. A word leaves with its
 * feature. Transactions themselves are there (a producer's `transaction:`, check T1); nobody but
 * the producer ends them. */
static const struct language_word missing[] = {
    {"txn", "a coordinator of transactions"},
    {"atomic", "a coordinator of transactions"},
    {"exactly_once", "a coordinator of transactions"},
    {"processor", "a coordinator of transactions"},
    {"lso", "a term for the last stable offset"},
    {"reads_aborted", "a term for what check T1 judges in every run"},
    {"add_broker", "brokers that join a cluster that runs"},
    {"remove_broker", "a drain of the broker (crash and unregister do without)"},
    {NULL, NULL},
};

static const struct language_word triggers[] = {
    {"at", "at: TIME since the cluster stood"},
    {"after", "after: TIME since the previous step fired"},
    {"every", "every: TIME again and again, `times` often; the next step is armed with its first"},
    {"when", "when: CONDITION holds; one that holds already when its step is armed fires"},
    {"on: point", "on: point GLOB #n: the n-th trace event of such a kind (or recovery.node, "
                  "recovery.segment, recovery.log); fires at that event"},
    {"on: disk", "on: disk OP GLOB #n: the n-th such request, before it is executed; "
                 "OP: " SCENARIO_DISK_OPS "; a directory is synced too"},
    {"on: api", "on: api NAME #n from SET: the n-th such request that arrives at a broker"},
    {"node", "of on: the nodes where it must happen; $it is the one"},
    {"within", "guard: the step must fire within TIME of being armed"},
    {"if", "guard: CONDITION must hold at that moment, or the trigger did not happen"},
    {"hold", "guard: the condition must hold for TIME"},
    {"times", "guard: fires so often, each time the trigger happens again"},
    {"chance", "guard: acts with this probability, drawn each time"},
    {"parallel", "true: the next step is armed with this one"},
    {"optional", "guard: true: the step may never fire"},
    {"as", "binding: {var: SELECTOR}, evaluated when the step fires, then $var"},
    {"do", "one action, or a list in order, or {one_of: [..]}; $it is the node the action before "
           "has hit"},
    {"then", "beside an action: another action that follows it, after: TIME inside delays it"},
    {"pick", "{pick: [a, b]} where a value stands: a run takes one"},
    {NULL, NULL},
};

/* Stages by a name of their own, beside the name of the event that tells of them. */
static const struct {
    const char *name;
    enum trace_kind kind;
} points[] = {
    {"recovery.node", TRACE_NODE_STARTED},
    {"recovery.segment", TRACE_LOG_RECOVERED_TO},
    {"recovery.log", TRACE_LOG_OPENED},
};

static const struct language_word workloads[] = {
    {"producer",
     "producer: NAME, topic, acks: all|1|0, idempotent, rate, batch (records), "
     "records, record_size, keys, tombstones: N (each N-th record has no value), linger, "
     "timeout, first_sequence (wraps at 2^31), "
     "transaction (records in each; it commits or aborts them itself, and then all "
     "consumers are read_committed)"},
    {"consumer", "consumer: NAME, topics: [..], rack, seek (time between two moves: to the end, "
                 "the start, back); reads all partitions, by assignment, from the nearest replica "
                 "if the brokers let it"},
    {"consumer with group",
     "group: NAME, members (machines), crowd (members more that nothing names), protocol: "
     "classic|consumer|mixed|rolling "
     "(every other member; each life the other one), assignor, "
     "static, commit: {every}, session, poll, work; shares the partitions, commits what it read"},
    {NULL, NULL},
};

static const struct language_word others[] = {
    {"count(SET)", "how many nodes are in a set"},
    {"exists SET", "the set is not empty"},
    {"any SET", "one of them, drawn when the step fires"},
    {"SET == SET, SET in SET", "the same nodes; a subset"},
    {"CONDITION for TIME", "holds so long without a break"},
    {"eventually C within T", "of expect: C becomes true in time"},
    {"never C, always C", "of expect: at every turn"},
    {"never C unless D", "of expect: D excuses it"},
    {NULL, NULL},
};

const char *language_missing(const char *word)
{
    for (uint32_t i = 0; missing[i].name != NULL; i++) {
        if (strcmp(missing[i].name, word) == 0) return missing[i].about;
    }
    return NULL;
}

const struct language_word *language_triggers(void)
{
    return triggers;
}

const struct language_word *language_workloads(void)
{
    return workloads;
}

const struct language_word *language_others(void)
{
    return others;
}

/* AlterPartition and alter_partition are the same. */
static bool same_api(const char *a, const char *b)
{
    for (;;) {
        while (*a == '_')
            a++;
        while (*b == '_')
            b++;
        if ((*a | 0x20) != (*b | 0x20)) return false;
        if (*a == '\0') return true;
        a++;
        b++;
    }
}

int16_t language_api(const char *name)
{
    for (int16_t key = 0; key < 128; key++) {
        if (api_find(key) != NULL && same_api(name, api_name(key))) return key;
    }
    return -1;
}

bool language_point(const char *glob, enum trace_kind kind)
{
    struct trace_kind_info info;

    for (uint32_t i = 0; i < COUNT_OF(points); i++) {
        if (points[i].kind == kind && sim_glob(glob, points[i].name)) return true;
    }
    trace_kind_describe(kind, &info);
    if (strncmp(info.name, "sim.", 4) == 0) return false; /* of no node */
    return sim_glob(glob, info.name);
}

/* What a run keeps of itself for its plan: every action with what it came to, and the choices. */
#include "sim/json.h"
#include "sim/plan.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { NOTE_PARTITIONS_MAX = 128 };

struct note_partition {
    uint32_t topic;
    int32_t partition;
    int leader; /* index; -1: none */
    uint64_t replicas;
    int64_t log_end;
    int64_t high_watermark;
    int32_t epoch;
};

/* Who is who, and what the present action was found to mean. */
struct plan_log {
    struct plan_fault *faults;
    uint32_t count;
    struct note_partition partitions[NOTE_PARTITIONS_MAX];
    uint32_t partition_count;
    bool up[CLUSTER_NODES_MAX]; /* before the action */
    int controller;
    int64_t metadata_end;
    struct {
        const struct scenario_value *value;
        uint64_t nodes;
        int64_t quantity;
    } args[ACTION_ARGS_MAX];
    uint32_t arg_count;
    struct {
        uint64_t from;
        uint64_t to;
    } links[SCENARIO_TARGETS_MAX];
};

void plan_note_begin(struct run *run)
{
    if (run->options->out_dir == NULL) return;
    run->plan = sim_alloc(sizeof *run->plan);
    run->plan->faults = sim_alloc(PLAN_FAULTS_MAX * sizeof *run->plan->faults);
    decide_keep(run->sim->decide);
}

void plan_note_destroy(struct run *run)
{
    if (run->plan == NULL) return;
    free(run->plan->faults);
    free(run->plan);
    run->plan = NULL;
}

/* ---- who is who ------------------------------------------------------------------------------ */

static void look_partition(struct run *run, struct plan_log *log, uint32_t topic, int32_t index)
{
    struct note_partition *note = &log->partitions[log->partition_count];
    const struct image_partition *meta = cluster_partition(run->cluster, topic, index);
    const struct partition *part;

    if (log->partition_count == NOTE_PARTITIONS_MAX || meta == NULL) return;
    *note = (struct note_partition){.topic = topic, .partition = index, .log_end = -1};
    note->leader = cluster_partition_leader(run->cluster, topic, index);
    note->replicas = cluster_set(run->cluster, image_replicas(meta));
    log->partition_count++;
    if (note->leader < 0) return;
    part = cluster_replica(run->cluster, (uint32_t)note->leader, topic, index);
    note->log_end = cluster_log_end(part);
    note->high_watermark = part->high_watermark;
    note->epoch = part->leader_epoch;
}

static void look(struct run *run, struct plan_log *log)
{
    const struct image *image = cluster_image(run->cluster);

    log->partition_count = 0;
    for (uint32_t topic = 0; topic < run->scenario->topic_count; topic++) {
        for (uint32_t i = 0; i < run->cluster->partitions[topic]; i++)
            look_partition(run, log, topic, (int32_t)i);
    }
    for (uint32_t i = 0; i < run->cluster->count; i++)
        log->up[i] = run->cluster->nodes[i].world->up;
    log->controller = cluster_active_controller(run->cluster);
    log->metadata_end = image != NULL ? image->last_offset : -1;
}

/* The partition by which a node is known: one it leads, or one it follows. */
static const struct note_partition *leads(const struct plan_log *log, int index)
{
    for (uint32_t i = 0; i < log->partition_count; i++) {
        if (log->partitions[i].leader == index) return &log->partitions[i];
    }
    return NULL;
}

static const struct note_partition *follows(const struct plan_log *log, int index)
{
    for (uint32_t i = 0; i < log->partition_count; i++) {
        if ((log->partitions[i].replicas >> index & 1) != 0) return &log->partitions[i];
    }
    return NULL;
}

static void put(char *into, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends; what does not fit is cut. */
static void put(char *into, size_t size, const char *format, ...)
{
    size_t used = strlen(into);
    va_list args;

    if (used + 1 >= size) return;
    va_start(args, format);
    (void)vsnprintf(into + used, size - used, format, args);
    va_end(args);
}

/* A selector by role; "" when the node is nobody in particular now. */
static void role_of(struct run *run, const struct plan_log *log, int index, char *into, size_t size)
{
    const struct note_partition *part = leads(log, index);

    into[0] = '\0';
    if (!log->up[index]) return;
    if (part != NULL) {
        put(into, size, "leader(%s-%d)", run->scenario->topics[part->topic].name, part->partition);
    } else if (log->controller == index) {
        put(into, size, "active controller");
    } else if ((cluster_controllers(run->cluster) >> index & 1) != 0 && log->controller >= 0) {
        put(into, size, "any (controllers - active controller)");
    } else if ((part = follows(log, index)) != NULL) {
        put(into, size, "any followers(%s-%d)", run->scenario->topics[part->topic].name,
            part->partition);
    }
}

void plan_role(struct run *run, int32_t node, char *into, size_t size)
{
    int index = run->cluster != NULL ? cluster_index(run->cluster, node) : -1;
    struct plan_log *log;

    into[0] = '\0';
    if (index < 0) return;
    log = sim_alloc(sizeof *log);
    look(run, log);
    role_of(run, log, index, into, size);
    free(log);
}

/* ---- one action ------------------------------------------------------------------------------ */

void plan_note_before(struct run *run)
{
    struct plan_log *log = run->plan;

    if (log == NULL) return;
    log->arg_count = 0;
    look(run, log);
}

static uint32_t note_arg(struct plan_log *log, const struct scenario_value *value)
{
    for (uint32_t i = 0; i < log->arg_count; i++) {
        if (log->args[i].value == value) return i;
    }
    if (log->arg_count == ACTION_ARGS_MAX) return ACTION_ARGS_MAX - 1;
    log->args[log->arg_count].value = value;
    log->args[log->arg_count].nodes = 0;
    log->args[log->arg_count].quantity = 0;
    return log->arg_count++;
}

void plan_note_nodes(struct run *run, const struct scenario_value *value, uint64_t nodes)
{
    if (run->plan == NULL || value == NULL) return;
    run->plan->args[note_arg(run->plan, value)].nodes = nodes;
}

void plan_note_link(struct run *run, uint32_t link, uint64_t from, uint64_t to)
{
    if (run->plan == NULL || link >= SCENARIO_TARGETS_MAX) return;
    run->plan->links[link].from = from;
    run->plan->links[link].to = to;
}

void plan_note_quantity(struct run *run, const struct scenario_value *value, int64_t quantity)
{
    if (run->plan == NULL) return;
    run->plan->args[note_arg(run->plan, value)].quantity = quantity;
}

/* node(2), or by role <2:leader(orders-0)>; <2> when it was nobody in particular. */
static void put_node(struct run *run, int index, bool by_role, const char *comma, char *into,
                     size_t size)
{
    char role[PLAN_ANCHOR_MAX] = "";
    int32_t id = run->sim->nodes[index]->id;

    if (!by_role) {
        put(into, size, "%snode(%d)", comma, (int)id);
        return;
    }
    if (index < (int)run->cluster->count) role_of(run, run->plan, index, role, sizeof role);
    put(into, size, "%s<%d%s%s>", comma, (int)id, role[0] != '\0' ? ":" : "", role);
}

static void put_set(struct run *run, uint64_t nodes, bool by_role, char *into, size_t size,
                    const char *separator)
{
    const char *comma = "";

    if (by_role && nodes != 0 && nodes == cluster_brokers(run->cluster)) {
        put(into, size, "brokers");
        return;
    }
    if (by_role && nodes != 0 && nodes == cluster_controllers(run->cluster)) {
        put(into, size, "controllers");
        return;
    }
    for (uint32_t i = 0; i < run->sim->node_count && i < 64; i++) {
        if ((nodes >> i & 1) == 0) continue;
        put_node(run, (int)i, by_role, comma, into, size);
        comma = separator;
    }
}

/* The largest unit in which the value is whole, to three decimals at most. */
static void put_quantity(enum unit unit, int64_t value, char *into, size_t size)
{
    switch (unit) {
    case UNIT_COUNT: put(into, size, "%" PRId64, value); return;
    case UNIT_TIME:
        if (value % NS_PER_MS == 0) {
            put(into, size, "%" PRId64 "ms", value / NS_PER_MS);
        } else {
            put(into, size, "%s%" PRId64 ".%03" PRId64 "us", value < 0 ? "-" : "",
                (value < 0 ? -value : value) / 1000, (value < 0 ? -value : value) % 1000);
        }
        return;
    case UNIT_SIZE: put(into, size, "%" PRId64 "B", value); return;
    case UNIT_RATE:
        put(into, size, "%" PRId64 ".%03" PRId64 "/s", value / 1000, value % 1000);
        return;
    case UNIT_SHARE:
        put(into, size, "%" PRId64 ".%03" PRId64 "%%", value / 10000, value % 10000 / 10);
        return;
    case UNIT_DRIFT:
        put(into, size, "%s%" PRId64 ".%03" PRId64 "ppm", value < 0 ? "-" : "",
            (value < 0 ? -value : value) / 1000, (value < 0 ? -value : value) % 1000);
        return;
    case UNIT_FACTOR:
        put(into, size, "%" PRId64 ".%03" PRId64 "x", value / 1000, value % 1000);
        return;
    case UNITS: return;
    }
}

static void put_choice(const char *choices, int index, char *into, size_t size)
{
    for (; index > 0 && choices != NULL; index--)
        choices = strchr(choices, ' ') != NULL ? strchr(choices, ' ') + 1 : choices;
    put(into, size, "%.*s", (int)strcspn(choices, " "), choices);
}

static void put_links(struct run *run, const struct scenario_value *value, bool by_role, char *into,
                      size_t size)
{
    const struct plan_log *log = run->plan;

    if (value->all_links) {
        put(into, size, "all");
        return;
    }
    put(into, size, "[");
    for (uint32_t i = 0; i < value->link_count; i++) {
        put(into, size, "%s\"", i > 0 ? ", " : "");
        put_set(run, log->links[i].from, by_role, into, size, " + ");
        put(into, size, value->links[i].both ? " <-> " : " -> ");
        put_set(run, log->links[i].to, by_role, into, size, " + ");
        put(into, size, "\"");
    }
    put(into, size, "]");
}

static void put_configs(const struct scenario_value *value, char *into, size_t size)
{
    put(into, size, "{");
    for (uint32_t i = 0; i < value->config_count; i++) {
        put(into, size, "%s%s: \"%s\"", i > 0 ? ", " : "", value->configs[i].key,
            value->configs[i].value);
    }
    put(into, size, "}");
}

static void put_arg(struct run *run, const struct action_arg *arg,
                    const struct scenario_value *value, bool by_role, char *into, size_t size)
{
    const struct plan_log *log = run->plan;
    uint64_t nodes = 0;
    int64_t quantity = value->quantity.min;

    for (uint32_t i = 0; i < log->arg_count; i++) {
        if (log->args[i].value != value) continue;
        nodes = log->args[i].nodes;
        quantity = log->args[i].quantity;
    }
    put(into, size, "%s: ", arg->name);
    switch (arg->kind) {
    case VALUE_NODES:
        /* One selector, where a list would be too long. */
        put(into, size, "[");
        put_set(run, nodes, by_role, into, size,
                __builtin_popcountll(nodes) > SCENARIO_TARGETS_MAX ? " + " : ", ");
        put(into, size, "]");
        return;
    case VALUE_LINKS: put_links(run, value, by_role, into, size); return;
    case VALUE_UNIT: put_quantity(arg->unit, quantity, into, size); return;
    case VALUE_CHOICE: put_choice(arg->choices, value->choice, into, size); return;
    case VALUE_BOOL: put(into, size, value->truth ? "true" : "false"); return;
    case VALUE_TEXT: put(into, size, "\"%s\"", value->text); return;
    case VALUE_TOPIC: put(into, size, "%s", run->scenario->names.topics[value->topic]); return;
    case VALUE_PARTITION:
        put(into, size, "%s-%d", run->scenario->names.topics[value->topic], value->partition);
        return;
    case VALUE_CONFIGS: put_configs(value, into, size); return;
    }
}

/* `hit` stands in for the nodes of an action that says only "those of before". */
static void put_action(struct run *run, const struct scenario_action *action, uint64_t hit,
                       bool by_role, char *into, size_t size)
{
    const struct action_word *word = language_action(action->kind);
    const char *comma = "";
    bool named = false;
    bool takes_nodes = false;

    into[0] = '\0';
    put(into, size, "%s: {", word->name);
    for (uint32_t i = 0; i < ACTION_ARGS_MAX && word->args[i].name != NULL; i++) {
        takes_nodes = takes_nodes || strcmp(word->args[i].name, "node") == 0;
        if (!action->args[i].set) continue;
        put(into, size, "%s", comma);
        put_arg(run, &word->args[i], &action->args[i], by_role, into, size);
        named = named || word->args[i].kind == VALUE_NODES;
        comma = ", ";
    }
    if (takes_nodes && !named) {
        put(into, size, "%snode: [", comma);
        put_set(run, hit, by_role, into, size, ", ");
        put(into, size, "]");
    }
    put(into, size, "}");
}

static void note_anchor(struct run *run, struct plan_fault *fault, int index)
{
    const struct plan_log *log = run->plan;
    const struct note_partition *part = leads(log, index);

    if (index >= (int)run->cluster->count) return;
    role_of(run, log, index, fault->anchor, sizeof fault->anchor);
    if (part == NULL) part = follows(log, index);
    if (fault->anchor[0] == '\0') return;
    if (part == NULL) {
        put(fault->when, sizeof fault->when, "metadata.offset >= %" PRId64, log->metadata_end);
    } else if (part != NULL && part->leader >= 0) {
        fault->log_end = part->log_end;
        fault->high_watermark = part->high_watermark;
        fault->epoch = part->epoch;
        put(fault->when, sizeof fault->when, "leader(%s-%d).leo >= %" PRId64,
            run->scenario->topics[part->topic].name, part->partition, part->log_end);
    }
}

static uint64_t first_set(const struct plan_log *log, const struct scenario_action *action,
                          uint64_t hit)
{
    for (uint32_t i = 0; i < log->arg_count; i++) {
        if (log->args[i].nodes != 0) return log->args[i].nodes;
    }
    return action->kind == ACTION_CLOG || action->kind == ACTION_RESET ||
                   action->kind == ACTION_HEAL
               ? log->links[0].from & hit
               : hit;
}

void plan_note_after(struct run *run, const struct scenario_action *action, int step, uint64_t hit)
{
    struct plan_log *log = run->plan;
    struct plan_fault *fault;
    uint64_t nodes;

    if (log == NULL || log->count == PLAN_FAULTS_MAX || run->phase != RUN_SAFETY) return;
    if (action->kind == ACTION_NOTE || action->kind == ACTION_CHECK) return;
    fault = &log->faults[log->count++];
    *fault = (struct plan_fault){.time_ns = run_time(run),
                                 .event = run->sim->events,
                                 .step = step + 1,
                                 .node = -1,
                                 .log_end = -1,
                                 .high_watermark = -1,
                                 .epoch = -1};
    nodes = first_set(log, action, hit);
    for (uint32_t i = 0; hit != UINT64_MAX && i < run->sim->node_count && i < 64; i++) {
        if ((nodes >> i & 1) == 0) continue;
        fault->node = run->sim->nodes[i]->id;
        note_anchor(run, fault, (int)i);
        break;
    }
    put_action(run, action, hit, false, fault->was, sizeof fault->was);
    put_action(run, action, hit, true, fault->does, sizeof fault->does);
}

/* ---- the end --------------------------------------------------------------------------------- */

struct collect {
    struct plan *plan;
    uint32_t capacity;
};

static void collect_site(void *context, struct decide_site site, const int64_t *values,
                         uint32_t count)
{
    struct collect *collect = context;
    struct plan *plan = collect->plan;

    if (plan->site_count == collect->capacity) {
        collect->capacity = collect->capacity == 0 ? 1024 : collect->capacity * 2;
        plan->sites = realloc(plan->sites, collect->capacity * sizeof *plan->sites);
        if (plan->sites == NULL) abort();
    }
    plan->sites[plan->site_count++] = (struct plan_site){site, (int64_t *)(uintptr_t)values, count};
}

/* The values stay the simulator's. */
static void plan_of(struct run *run, struct plan *plan)
{
    const struct run_result *result = run->result;
    struct collect collect = {plan, 0};

    memset(plan, 0, sizeof *plan);
    plan->build = plan_build();
    (void)snprintf(plan->scenario, sizeof plan->scenario, "%s", run->scenario->name);
    plan->text = (char *)(uintptr_t)run->scenario->source;
    plan->text_length = strlen(run->scenario->source);
    plan->seed = result->seed;
    (void)snprintf(plan->verdict, sizeof plan->verdict, "%s", run_verdict_name(result->verdict));
    (void)snprintf(plan->signature, sizeof plan->signature, "%s", result->signature);
    plan->events = result->events;
    plan->hash = result->hash;
    plan->checkpoints = result->checkpoints;
    plan->faults = run->plan->faults;
    plan->fault_count = run->plan->count;
    decide_each(run->sim->decide, collect_site, &collect);
}

static void write_text(const char *directory, const char *name, const char *text)
{
    char path[1200];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    file = fopen(path, "w");
    if (file == NULL) return;
    fputs(text, file);
    (void)fclose(file);
}

static void write_json(const struct plan *plan, const struct run_result *result, const char *path)
{
    FILE *file = fopen(path, "w");

    if (file == NULL) return;
    fprintf(file, "{\"verdict\": \"%s\", \"scenario\": ", plan->verdict);
    json_text(file, plan->scenario);
    fprintf(file,
            ", \"seed\": %" PRIu64 ", \"hash\": \"%016" PRIx64 "\", \"build\": \"%016" PRIx64
            "\", \"events\": %" PRIu64 ", \"virtual_ns\": %" PRId64 ",\n \"check\": ",
            plan->seed, plan->hash, plan->build, plan->events, result->virtual_ns);
    json_text(file, result->check);
    fprintf(file, ", \"node\": %d, \"partition\": ", (int)result->node);
    json_text(file, result->partition);
    fprintf(file, ", \"signature\": ");
    json_text(file, plan->signature);
    fprintf(file, ",\n \"text\": ");
    json_text(file, result->text);
    fprintf(file, ",\n \"plan\": [");
    for (uint32_t i = 0; i < plan->fault_count; i++) {
        fprintf(file, "%s\n  {\"at_ns\": %" PRId64 ", \"event\": %" PRIu64 ", \"anchor\": ",
                i > 0 ? "," : "", plan->faults[i].time_ns, plan->faults[i].event);
        json_text(file, plan->faults[i].anchor);
        fprintf(file, ", \"did\": ");
        json_text(file, plan->faults[i].was);
        fprintf(file, "}");
    }
    fprintf(file, "]}\n");
    (void)fclose(file);
}

void plan_note_end(struct run *run)
{
    struct run_result *result = run->result;
    char directory[1024];
    char path[1100];
    struct plan plan;

    if (run->plan == NULL || (result->verdict == RUN_PASS && !run->options->plan)) return;
    (void)mkdir(run->options->out_dir, 0777);
    (void)snprintf(directory, sizeof directory, "%s/%s-%llu", run->options->out_dir,
                   run->scenario->name, (unsigned long long)result->seed);
    (void)mkdir(directory, 0777);
    plan_of(run, &plan);
    (void)snprintf(path, sizeof path, "%s/plan.gplan", directory);
    if (!plan_save(&plan, path)) fprintf(stderr, "gregor-sim: %s cannot be written\n", path);
    write_text(directory, "scenario.yaml", run->scenario->source);
    write_text(directory, "report.txt", result->report);
    (void)snprintf(path, sizeof path, "%s/report.json", directory);
    write_json(&plan, result, path);
    free(plan.sites);
}

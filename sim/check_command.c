/* The oracles on traces: those of real brokers, merged, or one of a simulation again.
 *
 * What a trace does not hold cannot be judged, and is listed: an oracle that found nothing to
 * judge says so, and those that need the simulator (liveness wants phases, memory wants nodes)
 * are never counted as passed. Turns end where node or time change: a broker stamps all events
 * of one callback with one time. */
#include "sim/check_command.h"

#include "sim/campaign.h"
#include "sim/check/check.h"
#include "sim/trace_inputs.h"

#include "client/world/trace_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHECK_COMMAND_TRACES = MERGE_FILES_MAX,
    CHECK_COMMAND_FRONT = 256, /* events: nodes are introduced first */
    CHECK_COMMAND_NAME = 250,  /* of a topic: Kafka's limit is 249 */
};

/* A simulation says near the front of its trace how its oracles were set up. */
static bool told_config(struct bytes trace, struct check_config *config)
{
    struct trace_file_reader *reader = calloc(1, sizeof *reader);
    struct trace_event event;
    char text[CHECK_CONFIG_MAX];
    bool told = false;

    if (reader == NULL) return false;
    if (trace_file_open(reader, trace) == ERR_NONE) {
        for (uint32_t i = 0; i < CHECK_COMMAND_FRONT && trace_file_next(reader, &event); i++) {
            if (event.kind != TRACE_SIM_ORACLES || event.text.length >= sizeof text) continue;
            memcpy(text, event.text.data, event.text.length);
            text[event.text.length] = '\0';
            told = check_config_parse(config, text);
            break;
        }
    }
    free(reader);
    return told;
}

static void feed_topic(struct check *check, const struct trace_event *event)
{
    char name[CHECK_COMMAND_NAME];

    if (event->text.length >= sizeof name || event->field_count == 0) return;
    memcpy(name, event->text.data, event->text.length);
    name[event->text.length] = '\0';
    check_topic_min_isr(check, name, (int32_t)event->fields[0]);
}

static void feed(struct check *check, struct bytes trace)
{
    struct trace_file_reader *reader = calloc(1, sizeof *reader);
    struct trace_event event;
    int64_t last_ns = -1;
    int32_t last_node = -1;

    if (reader == NULL) return;
    if (trace_file_open(reader, trace) == ERR_NONE) {
        while (trace_file_next(reader, &event)) {
            bool turned = reader->time_ns != last_ns || reader->node != last_node;

            if (event.kind == TRACE_SIM_VIOLATION) continue; /* that is our own word */
            if (event.kind == TRACE_SIM_TOPIC) feed_topic(check, &event);
            if (turned && last_node >= 0) check_turn_end(check, last_ns, last_node);
            last_ns = reader->time_ns;
            last_node = reader->node;
            check_event(check, reader->time_ns, reader->node, &event);
        }
    }
    if (last_node >= 0) check_turn_end(check, last_ns, last_node);
    check_finish(check, last_ns);
    free(reader);
}

/* In lines of at most 96 characters. */
static void tell_ids(const char *head, const struct check *check, bool judged, bool liveness)
{
    struct check_stat stat;
    size_t column = strlen(head);
    bool any = false;

    for (uint32_t i = 0; check_stats(check, i, &stat); i++) {
        bool is_liveness = stat.info->class == CHECK_LIVENESS;

        if ((stat.evaluations > 0) != judged || is_liveness != liveness) continue;
        if (!any) printf("%s", head);
        any = true;
        if (column + strlen(stat.info->id) + 1 > 96) {
            printf("\n   ");
            column = 3;
        }
        column += (size_t)printf(" %s", stat.info->id);
    }
    if (any) printf("\n");
}

static int judge(const struct trace_inputs *inputs)
{
    struct check_config config;
    struct check *check;
    const struct check_violation *violation;
    struct check_stat stat;
    uint64_t evaluations = 0;
    uint32_t judged = 0;
    int status = CAMPAIGN_PASSED;

    check_config_init(&config);
    if (inputs->simulated) {
        if (!told_config(inputs->trace, &config)) config.min_isr = 0;
    } else {
        config.min_isr = 0;
        /* Nothing says how the producers outside were configured, nor that somebody read all. */
        config.idempotent = false;
        config.acks_all = false;
        config.final_drain = false;
        config.unclean_election = true;
    }
    check = check_create(&config);
    feed(check, inputs->trace);
    for (uint32_t i = 0; check_stats(check, i, &stat); i++) {
        judged += stat.evaluations > 0;
        evaluations += stat.evaluations;
    }
    violation = check_violation(check);
    if (violation != NULL) {
        status = violation->class == CHECK_LIVENESS ? CAMPAIGN_LIVENESS : CAMPAIGN_SAFETY;
        printf("FAIL check=%s node=%d at %lld.%03lld s: %s: %s\n", violation->id,
               (int)violation->node, (long long)(violation->time_ns / 1000000000),
               (long long)(violation->time_ns / 1000000 % 1000), violation->name, violation->text);
    } else {
        printf("PASS %u oracles judged %llu times\n", judged, (unsigned long long)evaluations);
    }
    tell_ids("judged:", check, true, false);
    tell_ids("could not be judged (nothing in the trace for them):", check, false, false);
    tell_ids("could not be judged (liveness needs the simulator's phases):", check, false, true);
    check_destroy(check);
    return status;
}

int check_command(int argc, char **argv)
{
    const char *paths[CHECK_COMMAND_TRACES];
    struct trace_inputs *inputs;
    uint32_t count = 0;
    int status = CAMPAIGN_USAGE;

    for (int i = 2; i < argc; i++) {
        if (argv[i][0] == '-' || count == CHECK_COMMAND_TRACES) {
            fprintf(stderr, "gregor-sim: check: %s: %s; see gregor-sim --help\n",
                    count == CHECK_COMMAND_TRACES ? "too many traces" : "unknown option", argv[i]);
            return CAMPAIGN_USAGE;
        }
        paths[count++] = argv[i];
    }
    if (count == 0) {
        fprintf(stderr, "gregor-sim: check: a trace is wanted; see gregor-sim --help\n");
        return CAMPAIGN_USAGE;
    }
    inputs = calloc(1, sizeof *inputs);
    if (inputs == NULL) return CAMPAIGN_SIMULATOR;
    if (trace_inputs_open(inputs, paths, count)) {
        trace_inputs_tell(inputs, paths);
        status = judge(inputs);
    }
    trace_inputs_close(inputs);
    free(inputs);
    return status;
}

/* gregor cluster reassign generate: from metadata, a plan that spreads topics over brokers. */
#include "client/cli/reassign.h"

#include <stdio.h>
#include <stdlib.h>

static bool named(const char *list, int32_t id)
{
    while (*list != 0) {
        char *end;
        long one = strtol(list, &end, 10);

        if (end == list) return false;
        if (one == id) return true;
        list = *end == ',' ? end + 1 : end;
    }
    return false;
}

bool reassign_check_brokers(const char *list)
{
    for (const char *at = list;;) {
        char *end;
        long one = strtol(at, &end, 10);

        if (end == at || one < 0 || (*end != 0 && *end != ',')) break;
        if (*end == 0) return true;
        at = end + 1;
    }
    cli_complain(CLI_USAGE, "cluster reassign: --brokers '%s': a list of ids, as in 1,2,3", list);
    return false;
}

static uint32_t usable_brokers(const struct reassign *o, const struct metadata_response *response,
                               struct plan_broker *brokers)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < response->brokers_count && count < REASSIGN_BROKERS_MAX; i++) {
        const struct metadata_response_broker *from = &response->brokers[i];

        if (!named(o->brokers_text, from->node_id)) continue;
        brokers[count++] =
            (struct plan_broker){from->node_id, o->rack_aware ? from->rack : STR_NULL};
    }
    return count;
}

static enum cli_exit generate_topic(struct reassign *o, const struct metadata_response_topic *topic,
                                    struct plan_broker *brokers, uint32_t count)
{
    uint32_t factor = 0;

    for (uint32_t k = 0; k < topic->partitions_count; k++) {
        const struct metadata_response_partition *part = &topic->partitions[k];

        if (part->partition_index == 0) factor = part->replica_nodes_count;
        if (!plan_add(&o->current, topic->name, part->partition_index, part->replica_nodes,
                      part->replica_nodes_count))
            return reassign_no_memory();
    }
    if (plan_spread(&o->plan, topic->name, topic->partitions_count, factor, brokers, count,
                    o->plan.count))
        return CLI_FINE;
    return cli_complain(CLI_FAILED,
                        "cluster reassign: %u brokers are too few for %u replicas of "
                        "%.*s",
                        count, factor, STR_ARG(topic->name));
}

enum cli_exit reassign_generate(struct reassign *o)
{
    const struct metadata_response *response = &o->admin.task.response.metadata;
    struct plan_broker *brokers = calloc(REASSIGN_BROKERS_MAX, sizeof *brokers);
    enum cli_exit code = CLI_FINE;
    uint32_t count;

    if (brokers == NULL) return reassign_no_memory();
    if (!o->admin.task.answered) {
        free(brokers);
        return cli_complain_err("cluster reassign", o->admin.task.result, o->admin.task.message);
    }
    count = usable_brokers(o, response, brokers);
    for (uint32_t i = 0; code == CLI_FINE && i < o->plan.topics_count; i++) {
        const struct metadata_response_topic *found = NULL;

        for (uint32_t k = 0; k < response->topics_count; k++)
            if (str_equal(response->topics[k].name, str_of(o->plan.topics[i])))
                found = &response->topics[k];
        code = found == NULL ? cli_complain(CLI_FAILED, "cluster reassign: topic %s does not exist",
                                            o->plan.topics[i])
                             : generate_topic(o, found, brokers, count);
    }
    free(brokers);
    if (code != CLI_FINE) return code;
    plan_sort(&o->current);
    plan_sort(&o->plan);
    puts("Current partition replica assignment");
    plan_print(&o->current);
    puts("\nProposed partition reassignment configuration");
    plan_print(&o->plan);
    return CLI_FINE;
}

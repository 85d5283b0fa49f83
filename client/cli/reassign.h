/* What the files of `gregor cluster reassign` share: the order under way, and who does which part
 * of it. reassign.c leads: it asks, takes the answers and says what comes next. */
#ifndef CLIENT_CLI_REASSIGN_H
#define CLIENT_CLI_REASSIGN_H

#include "client/cli/cli.h"
#include "client/cli/reassign_plan.h"

enum { REASSIGN_BROKERS_MAX = 1000 };
enum verb { VERB_GENERATE, VERB_EXECUTE, VERB_VERIFY, VERB_CANCEL, VERB_LIST, VERBS };

struct reassign {
    struct cli_admin admin;
    enum verb verb;
    struct plan plan;    /* of the file */
    struct plan current; /* replicas as they are, of the plan's partitions */
    struct plan ongoing; /* replicas of those under way; of the plan's partitions */
    struct plan adding;  /* of the ongoing: who is to come */
    const char *file;
    const char *brokers_text;
    int64_t rate; /* -1: not given */
    bool additional;
    bool preserve;
    bool rack_aware;
    int32_t brokers[REASSIGN_BROKERS_MAX]; /* of the cluster */
    uint32_t brokers_count;
    bool all_over;  /* verify: nothing is under way */
    uint32_t looks; /* verify: answers about the present replicas */
    bool again;     /* verify: the last one may be behind, another one is asked for */
    bool throttled; /* the throttle was dealt with */
    bool sent;
    struct incremental_alter_configs_request_resource *resources; /* of the throttles */
    uint32_t resources_count;
};

/* Complains of it. */
enum cli_exit reassign_no_memory(void);

/* reassign_generate.c: whether `list` is one of ids (it complains if not); and, from the metadata
 * answered, a plan for the topics of the file, printed. */
bool reassign_check_brokers(const char *list);
enum cli_exit reassign_generate(struct reassign *o);

/* reassign_throttle.c: the request that sets the throttle of all brokers and of the plan's topics,
 * or clears it; and what came of it, told. */
void reassign_ask_throttle(struct reassign *o, bool clear);
enum cli_exit reassign_take_throttle(struct reassign *o);

#endif

/* The throttle of a reassignment (KIP-73): a rate at each broker, and at each topic of the plan for
 * whom it holds. All are settings of topics and brokers, set and deleted with one request. */
#include "client/cli/reassign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESOURCE_TOPIC = 2, RESOURCE_BROKER = 4, DELETE_SETTING = 1 };

#define LEADER_RATE   "leader.replication.throttled.rate"
#define FOLLOWER_RATE "follower.replication.throttled.rate"
#define LEADER_LIST   "leader.replication.throttled.replicas"
#define FOLLOWER_LIST "follower.replication.throttled.replicas"

typedef struct incremental_alter_configs_request_resource resource_t;
typedef struct incremental_alter_configs_request_config setting_t;

static resource_t *add_resource(struct reassign *o, int8_t type, const char *name)
{
    resource_t *grown = realloc(o->resources, (o->resources_count + 1) * sizeof *grown);

    if (grown == NULL) return NULL;
    o->resources = grown;
    grown = &o->resources[o->resources_count++];
    incremental_alter_configs_request_resource_default(grown);
    grown->resource_type = type;
    grown->resource_name = str_of(strdup(name));
    grown->configs = calloc(2, sizeof *grown->configs);
    return grown;
}

static void set(resource_t *resource, const char *key, const char *value)
{
    setting_t *setting = &resource->configs[resource->configs_count++];

    incremental_alter_configs_request_config_default(setting);
    setting->name = str_of(key);
    if (value == NULL) setting->config_operation = DELETE_SETTING;
    setting->value = value != NULL ? str_of(strdup(value)) : STR_NULL;
}

static void put_entry(FILE *out, const char **comma, int32_t partition, int32_t broker)
{
    fprintf(out, "%s%d:%d", *comma, partition, broker);
    *comma = ",";
}

static bool has(const struct plan_part *part, int32_t id)
{
    for (uint32_t i = 0; part != NULL && i < part->count; i++)
        if (part->replicas[i] == id) return true;
    return false;
}

/* Of one topic: whoever has the data may lead, whoever is to get it follows. */
static char *throttled_list(const struct reassign *o, const char *topic, bool leaders)
{
    const char *comma = "";
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL) return NULL;
    for (uint32_t i = 0; i < o->plan.count; i++) {
        const struct plan_part *part = &o->plan.parts[i];
        const struct plan_part *now = plan_find(&o->current, str_of(part->topic), part->partition);
        const struct plan_part *adding =
            plan_find(&o->adding, str_of(part->topic), part->partition);
        const struct plan_part *from = leaders ? now : part;

        if (strcmp(part->topic, topic) != 0) continue;
        for (uint32_t k = 0; k < from->count; k++) {
            bool fresh = !has(now, from->replicas[k]) || has(adding, from->replicas[k]);

            if (leaders || fresh) put_entry(out, &comma, part->partition, from->replicas[k]);
        }
    }
    fclose(out);
    return text;
}

static void name_topics(struct reassign *o, bool clear)
{
    for (uint32_t i = 0; i < o->plan.count; i++) {
        const char *topic = o->plan.parts[i].topic;
        char *leaders, *followers;
        resource_t *resource;

        if (i > 0 && strcmp(topic, o->plan.parts[i - 1].topic) == 0) continue;
        leaders = clear ? NULL : throttled_list(o, topic, true);
        followers = clear ? NULL : throttled_list(o, topic, false);
        resource = add_resource(o, RESOURCE_TOPIC, topic);
        if (resource != NULL && resource->configs != NULL) {
            set(resource, LEADER_LIST, leaders);
            set(resource, FOLLOWER_LIST, followers);
        }
        free(leaders);
        free(followers);
    }
}

void reassign_ask_throttle(struct reassign *o, bool clear)
{
    struct incremental_alter_configs_request *request =
        &o->admin.task.request.incremental_alter_configs;
    char rate[32];

    admin_task_init(&o->admin.task, API_INCREMENTAL_ALTER_CONFIGS);
    (void)snprintf(rate, sizeof rate, "%lld", (long long)o->rate);
    for (uint32_t i = 0; i < o->brokers_count; i++) {
        char name[16];
        resource_t *resource;

        (void)snprintf(name, sizeof name, "%d", o->brokers[i]);
        resource = add_resource(o, RESOURCE_BROKER, name);
        if (resource == NULL || resource->configs == NULL) continue;
        set(resource, LEADER_RATE, clear ? NULL : rate);
        set(resource, FOLLOWER_RATE, clear ? NULL : rate);
    }
    name_topics(o, clear);
    request->resources = o->resources;
    request->resources_count = o->resources_count;
    o->throttled = true;
}

enum cli_exit reassign_take_throttle(struct reassign *o)
{
    if (o->admin.task.result != ERR_NONE)
        return cli_complain_err("cluster reassign: throttle", o->admin.task.result,
                                o->admin.task.message);
    if (o->verb == VERB_EXECUTE) {
        puts("Warning: You must run verify periodically, until the reassignment completes, to "
             "ensure the throttle is removed.");
        printf("The inter-broker throttle limit was set to %lld B/s\n", (long long)o->rate);
        return CLI_FINE;
    }
    printf("Clearing broker-level throttles on brokers ");
    for (uint32_t i = 0; i < o->brokers_count; i++)
        printf("%s%d", i > 0 ? "," : "", o->brokers[i]);
    printf("\nClearing topic-level throttles on topics ");
    for (uint32_t i = 0; i < o->plan.count; i++) {
        if (i > 0 && strcmp(o->plan.parts[i].topic, o->plan.parts[i - 1].topic) == 0) continue;
        printf("%s%s", i > 0 ? "," : "", o->plan.parts[i].topic);
    }
    putchar('\n');
    return CLI_FINE;
}

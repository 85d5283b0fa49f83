/* A member of a consumer group on a client machine: polls, takes what is there, commits by itself.
 * What it took before a poll counts as processed (at least once). */
#include "sim/workload_private.h"

enum { MEMBER_TAKEN_MAX = 500 /* records taken per resumption */ };

enum err workload_member_begin(struct workload_node *node, const struct metadata_config *metadata)
{
    const struct scenario_client *scenario = node->client->scenario;
    const struct scenario *all = node->client->workload->cluster->scenario;
    struct consumer_config config;
    struct membership_config member;
    struct str topics[SCENARIO_TOPICS_MAX];
    enum err err;

    consumer_config_default(&config);
    config.metadata = *metadata;
    config.trace_value = workload_value;
    config.reset = CONSUMER_RESET_EARLIEST;
    membership_config_default(&member);
    member.group_id = str_of(all->names.groups[scenario->group]);
    if (scenario->commit_ns > 0) {
        member.commit_interval_ms = (int32_t)(scenario->commit_ns / NS_PER_MS);
    }
    if (scenario->session_ns > 0) {
        member.session_timeout_ms = (int32_t)(scenario->session_ns / NS_PER_MS);
        member.heartbeat_interval_ms = member.session_timeout_ms / 3;
    }
    for (uint32_t i = 0; i < scenario->topic_count; i++)
        topics[i] = str_of(all->topics[scenario->topics[i]].name);
    err = consumer_init(&node->consumer, &node->env, &config);
    if (err == ERR_NONE) err = membership_init(&node->member, &node->consumer, &member);
    if (err == ERR_NONE) {
        err = membership_subscribe(&node->member, topics, scenario->topic_count);
    }
    return err;
}

static void member_take(struct workload_node *node)
{
    struct consumer_record record;

    (void)membership_poll(&node->member);
    membership_handled(&node->member);
    for (int i = 0; i < MEMBER_TAKEN_MAX && consumer_next(&node->consumer, &record); i++) {
    }
}

static bool member_woken(const struct workload_node *node)
{
    if (node->finishing && !node->leaving) return true;
    return membership_due(&node->member) || consumer_has_records(&node->consumer) ||
           membership_closed(&node->member);
}

enum member_step { MEMBER_START, MEMBER_READY, MEMBER_CLOSED };
static const char *const member_steps[] = {"START", "READY", "CLOSED"};

static enum op_result member_run(struct op *op)
{
    struct workload_node *o = CONTAINER_OF(op, struct workload_node, op);

    switch ((enum member_step)op->step) {
    case MEMBER_START:
        while (!membership_closed(&o->member)) {
            member_take(o);
            if (o->finishing && !o->leaving) {
                o->leaving = true;
                membership_close(&o->member);
            }
            op_deadline(op, membership_next_poll_ns(&o->member));
            AWAIT(o, MEMBER_READY, &o->consumer.ready, member_woken(o) || op_expired(op));
        }
        op_deadline(op, OP_NO_DEADLINE);
        membership_deinit(&o->member);
        consumer_close(&o->consumer);
        AWAIT(o, MEMBER_CLOSED, &o->consumer.ready, consumer_closed(&o->consumer));
        consumer_deinit(&o->consumer);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a member");
}

const struct op_kind workload_member_kind = {
    "workload_member", member_steps, COUNT_OF(member_steps), member_run, workload_client_over};

#include "reports/plain.h"

#include "client/base/assert.h"
#include "reports/story.h"
#include "reports/words.h"

#include <inttypes.h>
#include <string.h>

bool plain_has_topic(enum trace_kind kind)
{
    struct trace_kind_info info;

    trace_kind_describe(kind, &info);
    return strncmp(info.fields, "topic partition", 15) == 0;
}

static void records(struct out *out, int64_t from, int64_t last)
{
    out_format(out, "#%" PRId64, from);
    if (last > from) out_format(out, "\xe2\x80\x93#%" PRId64, last);
}

static void partition(struct out *out, const struct trace_event *event, const char *topic)
{
    if (event->fields[0] == 0)
        out_cstr(out, "the metadata log");
    else if (strcmp(topic, "?") == 0)
        out_cstr(out, "a new partition");
    else
        out_format(out, "%s-%" PRId64, topic, event->fields[1]);
}

static void replica_role(struct out *out, const struct trace_event *event, const char *topic)
{
    const int64_t *f = event->fields;

    switch ((enum story_role)f[2]) {
    case STORY_ROLE_LEADER: out_cstr(out, "leads "); break;
    case STORY_ROLE_FOLLOWER: out_format(out, "follows node %" PRId64 " in ", f[3]); break;
    case STORY_ROLE_OFFLINE: out_cstr(out, "has no disk for "); break;
    case STORY_ROLE_NONE:
    case STORY_ROLE_CANDIDATE:
    case STORY_ROLE_RESIGNED: out_cstr(out, "knows no leader of "); break;
    }
    partition(out, event, topic);
    out_format(out, ", epoch %" PRId64, f[4]);
}

static bool plain_replica(struct out *out, const struct trace_event *event, const char *topic)
{
    const int64_t *f = event->fields;
    char text[160];

    out_copy(text, sizeof text, event->text);
    switch ((int)event->kind) {
    case TRACE_REPLICA_ROLE: replica_role(out, event, topic); return true;
    case TRACE_REPLICA_HW:
        partition(out, event, topic);
        out_format(out, ": high watermark %" PRId64, f[3]);
        return true;
    case TRACE_REPLICA_ISR:
        partition(out, event, topic);
        out_format(out, f[4] != 0 ? ": ISR is %s" : ": asks for ISR %s", text);
        return true;
    case TRACE_REPLICA_DIVERGED:
        partition(out, event, topic);
        out_format(out, ": is told that epoch %" PRId64 " ends at %" PRId64, f[2], f[3]);
        return true;
    case TRACE_REPLICA_LEADING:
        partition(out, event, topic);
        out_format(out, ": begins epoch %" PRId64 " at #%" PRId64, f[2], f[3]);
        return true;
    case TRACE_LOG_OPENED:
        out_cstr(out, "opens ");
        partition(out, event, topic);
        out_format(out, ": log end %" PRId64 ", HW %" PRId64, f[3], f[5]);
        return true;
    case TRACE_LOG_APPENDED:
        partition(out, event, topic);
        out_cstr(out, ": has ");
        records(out, f[2], f[3]);
        out_format(out, " of epoch %" PRId64, f[4]);
        return true;
    case TRACE_LOG_TRUNCATED:
        out_cstr(out, "cuts ");
        partition(out, event, topic);
        out_format(out, " from %" PRId64 " back to %" PRId64, f[2], f[3]);
        return true;
    case TRACE_CONTROLLER_PARTITION:
        out_cstr(out, "decides for ");
        partition(out, event, topic);
        out_format(out, ": leader %" PRId64 ", epoch %" PRId64, f[2], f[3]);
        if (strncmp(text, "isr ", 4) == 0) /* "isr 1,2 replicas ..." */
            out_format(out, ", ISR %.*s", (int)strcspn(text + 4, " "), text + 4);
        return true;
    case TRACE_CLIENT_SEND:
        out_format(out, "sends value %" PRId64 " to ", f[2]);
        partition(out, event, topic);
        return true;
    case TRACE_CLIENT_ACKED:
        out_format(out, "has the acknowledgement of value %" PRId64 " at #%" PRId64 " of ", f[2],
                   f[3]);
        partition(out, event, topic);
        return true;
    case TRACE_CLIENT_READ:
        out_format(out, "reads #%" PRId64 " of ", f[2]);
        partition(out, event, topic);
        out_format(out, ": value %" PRId64, f[3]);
        return true;
    default: return false;
    }
}

static bool plain_quorum(struct out *out, const struct trace_event *event)
{
    static const char *const states[] = {"knows no leader",     "asks who would vote",
                                         "stands for election", "leads the quorum",
                                         "follows the quorum",  "resigns"};
    const int64_t *f = event->fields;

    switch ((int)event->kind) {
    case TRACE_RAFT_STATE:
        out_format(out, "%s, epoch %" PRId64,
                   f[1] >= 0 && f[1] < (int64_t)COUNT_OF(states) ? states[f[1]] : "is elsewhere",
                   f[2]);
        return true;
    case TRACE_RAFT_VOTE:
        out_format(out, "%s node %" PRId64 " in epoch %" PRId64,
                   f[3] != 0   ? f[2] != 0 ? "would vote for" : "would not vote for"
                   : f[2] != 0 ? "votes for"
                               : "does not vote for",
                   f[0], f[1]);
        return true;
    case TRACE_RAFT_ELECTED:
        out_format(out, "is elected with %" PRId64 " of %" PRId64 " votes, epoch %" PRId64, f[2],
                   f[3], f[0]);
        return true;
    case TRACE_RAFT_HW:
        out_format(out, "the metadata log: high watermark %" PRId64, f[1]);
        return true;
    case TRACE_CONTROLLER_ACTIVE:
        out_format(out, "is the active controller, epoch %" PRId64, f[0]);
        return true;
    case TRACE_CONTROLLER_RENOUNCED:
        out_format(out, "is the active controller no more, epoch %" PRId64, f[0]);
        return true;
    case TRACE_CONTROLLER_BROKER:
        out_format(out, "decides: broker %" PRId64 " is %s", f[0],
                   f[2] != 0   ? "fenced"
                   : f[3] != 0 ? "leaving"
                               : "there");
        return true;
    case TRACE_META_BROKER:
        out_format(out, "learns: broker %" PRId64 " is %s", f[0], f[2] != 0 ? "fenced" : "there");
        return true;
    case TRACE_BROKER_EPOCH: out_format(out, "is registered, epoch %" PRId64, f[0]); return true;
    default: return false;
    }
}

static bool plain_message(struct out *out, const struct trace_event *event)
{
    const char *api = story_api((int32_t)event->fields[2]);

    switch ((int)event->kind) {
    case TRACE_RPC_SENT: out_format(out, "asks: %s", api); return true;
    case TRACE_RPC_RECEIVED: out_format(out, "is asked: %s", api); return true;
    case TRACE_RPC_ANSWERED: out_format(out, "answers: %s", api); return true;
    case TRACE_RPC_REPLIED: out_format(out, "takes the answer: %s", api); return true;
    default: return false;
    }
}

static bool plain_world(struct out *out, const struct trace_event *event)
{
    const int64_t *f = event->fields;
    char text[256];

    out_copy(text, sizeof text, event->text);
    switch ((int)event->kind) {
    case TRACE_SIM_UP:
        out_format(out, f[1] > 1 ? "node %" PRId64 " starts again" : "node %" PRId64 " starts",
                   f[0]);
        return true;
    case TRACE_SIM_DOWN:
        out_format(out, "node %" PRId64 " goes down: %s", f[0], words_down(f[1]));
        return true;
    case TRACE_SIM_FAULT:
        out_format(out, f[1] != 0 ? "fault: %s" : "fault ends: %s", text);
        return true;
    case TRACE_SIM_PHASE:
        out_cstr(out, f[0] == 1   ? "the safety phase begins"
                      : f[0] == 2 ? "all faults are mended: the liveness phase begins"
                                  : "the run ends");
        return true;
    case TRACE_NODE_STATE: out_format(out, "is %s", text); return true;
    case TRACE_NODE_READY: out_cstr(out, "serves"); return true;
    case TRACE_NODE_STARTED: out_format(out, "begins its life %" PRId64, f[0]); return true;
    case TRACE_NODE_STOPPED: out_cstr(out, "has stopped"); return true;
    case TRACE_NODE_RANGES:
        out_format(out, "gave %" PRId64 " answers with ranges of files, %" PRId64 " bytes", f[0],
                   f[1]);
        return true;
    case TRACE_SIM_STEP:
    case TRACE_SIM_VIOLATION:
    case TRACE_NODE_NOTE:
    case TRACE_NODE_WARNING:
    case TRACE_NODE_ERROR: out_cstr(out, text); return true;
    default: return false;
    }
}

/* As the table has it: "op.step op=4 step=2 SERVED". */
static void plain_fields(struct out *out, const struct trace_event *event, const char *topic)
{
    struct trace_kind_info info;
    const char *names;
    char text[160];

    trace_kind_describe(event->kind, &info);
    out_cstr(out, info.name);
    names = info.fields;
    for (uint32_t i = 0; i < event->field_count; i++) {
        int length = (int)strcspn(names, " ");

        if (i == 0 && plain_has_topic(event->kind))
            out_format(out, " %s", topic);
        else
            out_format(out, " %.*s=%" PRId64, length, names, event->fields[i]);
        names += length + (names[length] == ' ');
    }
    if (event->text.length == 0) return;
    out_copy(text, sizeof text, event->text);
    out_format(out, " %s", text);
}

void plain_event(struct out *out, const struct trace_event *event, const char *topic)
{
    if (plain_replica(out, event, topic) || plain_quorum(out, event) || plain_message(out, event) ||
        plain_world(out, event))
        return;
    plain_fields(out, event, topic);
}

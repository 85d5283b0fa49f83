#include "sim/mark.h"

#include "broker/group/group.h"
#include "broker/raft/raft.h"

static const struct {
    const char *name;
    const char *about;
} rows[] = {
#define X(name, word, about) [MARK_##name] = {word, about},
    MARK_LIST(X)
#undef X
};

const char *mark_name(enum mark mark)
{
    return rows[mark].name;
}

const char *mark_about(enum mark mark)
{
    return rows[mark].about;
}

static void reached(struct marks *marks, enum mark mark)
{
    marks->count[mark]++;
}

static void reached_if(struct marks *marks, enum mark mark, bool so)
{
    if (so) reached(marks, mark);
}

/* ---- by one event ---------------------------------------------------------------------------- */

static void produce_answered(struct marks *marks, int64_t err)
{
    switch (err) {
    case ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND: reached(marks, MARK_PRODUCE_ISR_FELL); return;
    case ERR_REQUEST_TIMED_OUT: reached(marks, MARK_PRODUCE_TIMED_OUT); return;
    case ERR_NOT_LEADER_OR_FOLLOWER: reached(marks, MARK_PRODUCE_LEADER_GONE); return;
    case ERR_KAFKA_STORAGE_ERROR: reached(marks, MARK_PRODUCE_DISK); return;
    default: return;
    }
}

static void alter_answered(struct marks *marks, int64_t err)
{
    switch (err) {
    case ERR_INVALID_UPDATE_VERSION: reached(marks, MARK_ISR_OUTDATED); return;
    case ERR_FENCED_LEADER_EPOCH: reached(marks, MARK_ISR_FENCED); return;
    case ERR_INELIGIBLE_REPLICA: reached(marks, MARK_ISR_INELIGIBLE); return;
    default: return;
    }
}

static void log_event(struct marks *marks, const struct trace_event *event)
{
    const int64_t *f = event->fields;

    switch ((int)event->kind) {
    case TRACE_LOG_OPENED:
        reached_if(marks, MARK_LOG_UNCLEAN, f[6] == 0);
        reached_if(marks, MARK_LOG_TORN, f[7] > 0);
        return;
    case TRACE_LOG_TRUNCATED:
        reached_if(marks, MARK_QUORUM_CUT, f[0] == 0);
        reached_if(marks, MARK_LOG_CUT, f[0] != 0);
        reached_if(marks, MARK_LOG_CUT_MANY, f[0] != 0 && f[2] - f[3] >= 100);
        reached_if(marks, MARK_CUT_WITHOUT_CONTROLLER, f[0] != 0 && marks->active == 0);
        return;
    case TRACE_LOG_FAILED:
        reached(marks, f[3] == ERR_NO_SPACE ? MARK_LOG_NO_SPACE : MARK_LOG_FAILED);
        return;
    case TRACE_LOG_DAMAGED: reached(marks, MARK_LOG_DAMAGED); return;
    case TRACE_LOG_ROLLED: reached(marks, MARK_LOG_ROLLED); return;
    case TRACE_LOG_START: reached(marks, MARK_LOG_START_MOVED); return;
    case TRACE_LOG_SWAPPED: reached(marks, MARK_LOG_COMPACTED); return;
    case TRACE_DIR_OFFLINE: reached(marks, MARK_DIR_OFFLINE); return;
    default: return;
    }
}

static void group_state(struct marks *marks, int64_t state)
{
    switch ((enum group_state)state) {
    case GROUP_EMPTY: reached(marks, MARK_GROUP_EMPTY); return;
    case GROUP_PREPARING: reached(marks, MARK_GROUP_PREPARING); return;
    case GROUP_COMPLETING: reached(marks, MARK_GROUP_COMPLETING); return;
    case GROUP_STABLE: reached(marks, MARK_GROUP_STABLE); return;
    case GROUP_DEAD: return;
    }
}

static void quorum_event(struct marks *marks, const struct trace_event *event)
{
    const int64_t *f = event->fields;

    switch ((int)event->kind) {
    case TRACE_RAFT_VOTE:
        if (f[2] != 0) return;
        reached(marks, f[3] != 0 ? MARK_PRE_VOTE_REFUSED : MARK_VOTE_REFUSED);
        return;
    case TRACE_RAFT_STATE:
        reached_if(marks, MARK_CANDIDATE_AGAIN, f[0] == RAFT_CANDIDATE && f[1] == RAFT_PROSPECTIVE);
        reached_if(marks, MARK_QUORUM_RESIGNED, f[0] == RAFT_LEADER && f[1] == RAFT_RESIGNED);
        return;
    case TRACE_RAFT_SNAPSHOT:
        reached(marks, f[4] == 0   ? MARK_SNAPSHOT_LOADED
                       : f[4] == 1 ? MARK_SNAPSHOT_WRITTEN
                                   : MARK_SNAPSHOT_FETCHED);
        return;
    default: return;
    }
}

static void simple_event(struct marks *marks, const struct trace_event *event)
{
    const int64_t *f = event->fields;

    switch ((int)event->kind) {
    case TRACE_REPLICA_LEADING: reached_if(marks, MARK_REPLICA_TOOK_OVER, f[3] > 0); return;
    case TRACE_REPLICA_DIVERGED:
        reached(marks, MARK_REPLICA_DIVERGED);
        reached_if(marks, MARK_REPLICA_DIVERGED_AGAIN, f[5] > 1);
        return;
    case TRACE_REPLICA_ROLE:
        reached_if(marks, MARK_REPLICA_OFFLINE, f[2] == TRACE_ROLE_OFFLINE);
        return;
    case TRACE_REPLICA_MIN_ISR: reached(marks, MARK_PRODUCE_BELOW_MIN_ISR); return;
    case TRACE_PRODUCE_ANSWERED: produce_answered(marks, f[4]); return;
    case TRACE_OFFSETS_LISTED:
        reached_if(marks, MARK_LIST_UNKNOWN, f[5] == ERR_OFFSET_NOT_AVAILABLE);
        return;
    case TRACE_CONTROLLER_ALTER: alter_answered(marks, f[5]); return;
    case TRACE_CONTROLLER_PARTITION: reached_if(marks, MARK_PARTITION_LEADERLESS, f[2] < 0); return;
    case TRACE_CONTROLLER_BROKER:
        reached_if(marks, MARK_BROKER_FENCED, f[2] != 0);
        reached_if(marks, MARK_BROKER_LEAVING, f[3] != 0);
        return;
    case TRACE_CONTROLLER_LEASE: reached_if(marks, MARK_BROKER_LEASE_OVER, f[1] != 0); return;
    case TRACE_GROUP_COORDINATOR:
        reached_if(marks, MARK_GROUP_LOADED, f[2] != 0 && f[4] > 0);
        return;
    case TRACE_GROUP_STATE: group_state(marks, f[3]); return;
    case TRACE_CLIENT_FAILED:
        reached(marks, f[4] != 0 ? MARK_SEND_FAILED : MARK_SEND_UNCLEAR);
        return;
    case TRACE_CONN_CLOSED: reached_if(marks, MARK_CONNECTION_IDLE, f[1] == ERR_TIMED_OUT); return;
    default: return;
    }
}

/* ---- by what stands beside it ---------------------------------------------------------------- */

static void down(struct marks *marks, uint64_t bit)
{
    reached_if(marks, MARK_DOWN_IN_RECOVERY, (marks->recovering & bit) != 0);
    reached_if(marks, MARK_DOWN_AS_CONTROLLER, (marks->active & bit) != 0);
    reached_if(marks, MARK_DOWN_ASKING_ISR, (marks->asking & bit) != 0);
    marks->recovering &= ~bit;
    marks->active &= ~bit;
    marks->asking &= ~bit;
}

static void state_event(struct marks *marks, uint64_t bit, const struct trace_event *event)
{
    switch ((int)event->kind) {
    case TRACE_NODE_STARTED: marks->recovering |= bit; return;
    case TRACE_NODE_READY: marks->recovering &= ~bit; return;
    case TRACE_CONTROLLER_ACTIVE:
        marks->active |= bit;
        reached_if(marks, MARK_CONTROLLER_TWO, (marks->active & ~bit) != 0);
        return;
    case TRACE_CONTROLLER_RENOUNCED:
        marks->active &= ~bit;
        reached_if(marks, MARK_CONTROLLER_FAILED, event->fields[2] != 0);
        return;
    case TRACE_REPLICA_ISR:
        if (event->fields[4] != 0) { /* committed */
            marks->asking &= ~bit;
            return;
        }
        marks->asking |= bit;
        reached(marks, MARK_ISR_PROPOSED);
        reached_if(marks, MARK_ISR_WITHOUT_CONTROLLER, marks->active == 0);
        return;
    case TRACE_SIM_DOWN: down(marks, bit); return;
    default: return;
    }
}

void marks_event(struct marks *marks, uint32_t node, const struct trace_event *event)
{
    uint64_t bit = node < MARK_NODES_MAX ? UINT64_C(1) << node : 0;

    simple_event(marks, event);
    log_event(marks, event);
    quorum_event(marks, event);
    state_event(marks, bit, event);
}

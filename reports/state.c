#include "reports/state.h"

#include <string.h>

void state_init(struct state *state)
{
    *state = (struct state){.leader = -1, .active = -1, .leader_epoch = -1};
    for (uint32_t i = 0; i < STORY_NODES_MAX; i++) {
        state->replicas[i].up = true; /* until told otherwise */
        state->replicas[i].epoch = -1;
        state->replicas[i].leader = -1;
    }
}

static void cut_runs(struct state_replica *replica, int64_t end)
{
    while (replica->run_count > 0 && replica->runs[replica->run_count - 1].start >= end)
        replica->run_count--;
}

static void append(struct state_replica *replica, const struct story_event *event)
{
    int32_t last = replica->run_count > 0 ? replica->runs[replica->run_count - 1].epoch : -2;

    cut_runs(replica, event->from); /* an overwrite that nobody told */
    if (replica->run_count == STATE_RUNS_MAX) {
        memmove(replica->runs + 1, replica->runs + 2,
                (STATE_RUNS_MAX - 2) * sizeof replica->runs[0]);
        replica->runs[0].epoch = -1;
        replica->run_count--;
    }
    if (replica->run_count == 0) {
        if (!replica->known) replica->log_start = event->from;
        if (replica->log_start < event->from)
            replica->runs[replica->run_count++] = (struct state_run){replica->log_start, -1};
    }
    if (replica->run_count == 0 || last != event->epoch) {
        replica->runs[replica->run_count++] = (struct state_run){event->from, event->epoch};
    }
    replica->log_end = event->to;
}

static void set_end(struct state_replica *replica, int64_t end)
{
    cut_runs(replica, end);
    if (replica->run_count == 0 && replica->log_start < end)
        replica->runs[replica->run_count++] = (struct state_run){replica->log_start, -1};
    replica->log_end = end;
    if (replica->high_watermark > end) replica->high_watermark = end;
}

static void opened(struct state_replica *replica, const struct story_event *event)
{
    replica->log_start = event->from;
    replica->high_watermark = event->extra > event->from ? event->extra : event->from;
    set_end(replica, event->to);
}

static void went_down(struct state_replica *replica)
{
    replica->up = false;
    replica->role = STORY_ROLE_NONE;
    replica->epoch = -1;
}

static void decided(struct state *state, const struct story *story, const struct story_event *event)
{
    state->isr = story_ids(story, story_text(story, event), "isr ");
    state->isr_known = true;
    state->leader = story_find_node(story, event->to);
    state->leader_epoch = event->epoch;
}

void state_apply(struct state *state, const struct story *story, const struct story_event *event)
{
    struct state_replica *replica = event->node >= 0 ? &state->replicas[event->node] : NULL;

    if (replica == NULL) return;
    switch ((enum story_what)event->what) {
    case STORY_ROLE:
        replica->known = true;
        replica->role = (enum story_role)event->from;
        replica->leader = story_find_node(story, event->to);
        replica->epoch = event->epoch;
        break;
    case STORY_HW:
        replica->known = true;
        replica->high_watermark = event->to;
        break;
    case STORY_APPENDED:
        append(replica, event);
        replica->known = true;
        break;
    case STORY_TRUNCATED:
        replica->known = true;
        set_end(replica, event->to);
        break;
    case STORY_OPENED:
        replica->known = true;
        opened(replica, event);
        break;
    case STORY_LOG_START: replica->log_start = event->to; break;
    case STORY_ISR:
        state->isr = story_ids(story, story_text(story, event), NULL);
        state->isr_known = true;
        break;
    case STORY_DECISION: decided(state, story, event); break;
    case STORY_ACTIVE: state->active = event->node; break;
    case STORY_RENOUNCED:
        if (state->active == event->node) state->active = -1;
        break;
    case STORY_UP: replica->up = true; break;
    case STORY_DOWN:
        went_down(replica);
        if (state->active == event->node) state->active = -1;
        break;
    case STORY_DIVERGED:
    case STORY_FAULT:
    case STORY_STEP:
    case STORY_PHASE:
    case STORY_ACK:
    case STORY_FAILED:
    case STORY_LOST:
    case STORY_VIOLATION: break;
    }
}

int32_t state_epoch_at(const struct state_replica *replica, int64_t offset)
{
    int32_t epoch = -1;

    if (offset < replica->log_start || offset >= replica->log_end) return -2;
    for (uint32_t i = 0; i < replica->run_count; i++) {
        if (replica->runs[i].start <= offset) epoch = replica->runs[i].epoch;
    }
    return epoch;
}

int32_t state_leader(const struct state *state)
{
    int32_t leader = -1;

    for (int32_t i = 0; i < STORY_NODES_MAX; i++) {
        const struct state_replica *replica = &state->replicas[i];

        if (!replica->up || replica->role != STORY_ROLE_LEADER) continue;
        if (leader < 0 || replica->epoch > state->replicas[leader].epoch) leader = i;
    }
    return leader;
}

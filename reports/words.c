#include "reports/words.h"

#include <ctype.h>
#include <string.h>

const char *words_down(int64_t how)
{
    switch (how) {
    case 1: return "killed";
    case 2: return "power loss";
    case 3: return "stopped";
    default: return "down";
    }
}

void words_ids(struct out *out, const struct story *story, uint64_t mask)
{
    bool first = true;

    for (uint32_t i = 0; i < story->node_count; i++) {
        if ((mask >> i & 1) == 0) continue;
        out_format(out, first ? "%d" : " %d", (int)story->nodes[i].id);
        first = false;
    }
    if (first) out_cstr(out, "none");
}

static void range(struct out *out, int64_t from, int64_t end)
{
    out_format(out, "#%lld", (long long)from);
    if (end - from > 1) out_format(out, "\xe2\x80\x93#%lld", (long long)end - 1);
}

/* The node's name at the beginning of a sentence. */
static void name(struct out *out, const struct story *story, int32_t node)
{
    size_t at = out->length;

    out_cstr(out, story_node_name(story, node));
    if (out->length > at) out->data[at] = (char)toupper((unsigned char)out->data[at]);
}

/* What is committed is a beginning of the log: if anything goes that was, the first does. It was
 * if somebody's high watermark is above it and that log has there a record of the same epoch. */
bool words_loses(const struct state *before, const struct story_event *event)
{
    int32_t epoch;

    if (event->what != STORY_TRUNCATED || event->to >= event->from || event->node < 0) return false;
    epoch = state_epoch_at(&before->replicas[event->node], event->to);
    for (uint32_t i = 0; i < STORY_NODES_MAX; i++) {
        const struct state_replica *replica = &before->replicas[i];

        if (replica->known && replica->high_watermark > event->to &&
            state_epoch_at(replica, event->to) == epoch)
            return true;
    }
    return false;
}

bool words_red(const struct state *before, const struct story_event *event)
{
    return event->what == STORY_VIOLATION ||
           (event->what == STORY_FAULT && event->to != 0 && !event->mends) ||
           (event->what == STORY_DOWN && event->from == 0) || words_loses(before, event);
}

bool words_turns(const struct state *before, const struct story_event *event)
{
    bool leads = event->node >= 0 && before->replicas[event->node].role == STORY_ROLE_LEADER;

    switch ((enum story_what)event->what) {
    case STORY_HW:
    case STORY_APPENDED: return leads;
    case STORY_ISR:
    case STORY_DIVERGED:
    case STORY_LOG_START:
    case STORY_ACK: return false;
    case STORY_ROLE: return event->from != STORY_ROLE_FOLLOWER;
    case STORY_UP: return event->extra > 1 && event->from == 0;
    case STORY_OPENED: return event->to > 0;
    case STORY_TRUNCATED:
    case STORY_DECISION:
    case STORY_ACTIVE:
    case STORY_RENOUNCED:
    case STORY_DOWN:
    case STORY_FAULT:
    case STORY_STEP:
    case STORY_PHASE:
    case STORY_FAILED:
    case STORY_LOST:
    case STORY_VIOLATION: return true;
    }
    return false;
}

static void role(struct out *out, const struct story *story, const struct state *before,
                 const struct story_event *event)
{
    name(out, story, event->node);
    switch ((enum story_role)event->from) {
    case STORY_ROLE_LEADER:
        out_format(out, " leads epoch %d", (int)event->epoch);
        if (before->replicas[event->node].known)
            out_format(out, ", from #%lld", (long long)before->replicas[event->node].log_end);
        break;
    case STORY_ROLE_FOLLOWER:
        out_format(out, " follows %s, epoch %d",
                   story_node_name(story, story_find_node(story, event->to)), (int)event->epoch);
        break;
    case STORY_ROLE_CANDIDATE:
        out_format(out, " stands for election, epoch %d", (int)event->epoch);
        break;
    case STORY_ROLE_RESIGNED: out_format(out, " resigns in epoch %d", (int)event->epoch); break;
    case STORY_ROLE_OFFLINE: out_cstr(out, " has the partition offline"); break;
    case STORY_ROLE_NONE: out_format(out, " knows no leader, epoch %d", (int)event->epoch); break;
    }
}

static void truncated(struct out *out, const struct story *story, const struct state *before,
                      const struct story_event *event)
{
    name(out, story, event->node);
    if (event->to >= event->from) {
        out_format(out, " has nothing to cut at %lld", (long long)event->to);
        return;
    }
    out_format(out, " cuts its log back to %lld: ", (long long)event->to);
    range(out, event->to, event->from);
    if (event->from - event->to == 1) {
        out_cstr(out, words_loses(before, event) ? " goes, and it was committed" : " goes");
    } else {
        out_cstr(out, words_loses(before, event) ? " go, and they were committed" : " go");
    }
}

static void message(struct out *out, const struct story *story, const struct story_event *event)
{
    const struct story_message *lost;

    if (event->cause < 0) return;
    lost = &story->messages[event->cause];
    out_format(out, "The %s from %s to %s never arrives",
               lost->answer ? "answer" : story_api(lost->api), story_node_name(story, lost->from),
               story_node_name(story, lost->to));
}

static void log_words(struct out *out, const struct story *story, const struct state *before,
                      const struct story_event *event)
{
    bool leads = event->node >= 0 && before->replicas[event->node].role == STORY_ROLE_LEADER;

    if (event->what == STORY_HW && leads) {
        out_format(out, "All of the ISR have them: HW %lld", (long long)event->to);
    } else if (event->what == STORY_HW) {
        name(out, story, event->node);
        out_format(out, " learns HW %lld", (long long)event->to);
    } else if (event->what == STORY_APPENDED && leads) {
        range(out, event->from, event->to);
        out_format(out, " appended by the leader of epoch %d", (int)event->epoch);
    } else {
        name(out, story, event->node);
        out_cstr(out, " has ");
        range(out, event->from, event->to);
        out_format(out, " of epoch %d", (int)event->epoch);
    }
}

static void decision(struct out *out, const struct story *story, const struct story_event *event)
{
    name(out, story, event->node);
    out_cstr(out, " decides: ");
    out_cstr(out, story_find_node(story, event->to) >= 0
                      ? story_node_name(story, story_find_node(story, event->to))
                      : "nobody");
    out_format(out, " leads epoch %d, ISR ", (int)event->epoch);
    words_ids(out, story, story_ids(story, story_text(story, event), "isr "));
}

void words_event(struct out *out, const struct story *story, const struct state *before,
                 const struct story_event *event)
{
    switch ((enum story_what)event->what) {
    case STORY_ROLE: role(out, story, before, event); break;
    case STORY_HW:
    case STORY_APPENDED: log_words(out, story, before, event); break;
    case STORY_TRUNCATED: truncated(out, story, before, event); break;
    case STORY_OPENED:
        name(out, story, event->node);
        out_format(out, " opens its log: end %lld, HW %lld", (long long)event->to,
                   (long long)event->extra);
        break;
    case STORY_LOG_START:
        name(out, story, event->node);
        out_format(out, " lets go of what is below #%lld", (long long)event->to);
        break;
    case STORY_ISR:
        out_format(out, "ISR %s, as %s learns", story_text(story, event),
                   story_node_name(story, event->node));
        break;
    case STORY_DIVERGED:
        name(out, story, event->node);
        out_format(out, " is told: epoch %d ends at %lld", (int)event->epoch, (long long)event->to);
        break;
    case STORY_DECISION: decision(out, story, event); break;
    case STORY_ACTIVE:
        name(out, story, event->node);
        out_format(out, " is the active controller, epoch %d", (int)event->epoch);
        break;
    case STORY_RENOUNCED:
        name(out, story, event->node);
        out_cstr(out, " is no longer the active controller");
        break;
    case STORY_UP:
        name(out, story, event->node);
        out_cstr(out, event->extra > 1 ? " starts again" : " starts");
        break;
    case STORY_DOWN:
        name(out, story, event->node);
        out_format(out, " goes down: %s", words_down(event->extra));
        break;
    case STORY_FAULT:
        out_format(out,
                   event->mends     ? "Mended: %s"
                   : event->to != 0 ? "Fault: %s"
                                    : "Fault ends: %s",
                   story_text(story, event));
        break;
    case STORY_STEP: out_format(out, "Step: %s", story_text(story, event)); break;
    case STORY_PHASE:
        out_cstr(out, event->extra == 1   ? "The safety phase begins"
                      : event->extra == 2 ? "All faults are mended: the liveness phase begins"
                                          : "The run ends");
        break;
    case STORY_ACK:
        name(out, story, event->node);
        out_cstr(out, " has the acknowledgement of ");
        range(out, event->from, event->to);
        break;
    case STORY_FAILED:
        name(out, story, event->node);
        out_format(out, event->extra != 0 ? " is refused: %s" : " does not know the outcome: %s",
                   err_name((enum err)event->epoch));
        break;
    case STORY_LOST: message(out, story, event); break;
    case STORY_VIOLATION: out_cstr(out, story_text(story, event)); break;
    }
}

void words_where(struct out *out, const struct story *story, const struct story_event *event)
{
    if (event->cause >= 0) {
        const struct story_message *from = &story->messages[event->cause];

        out_format(out, "%s \xe2\x86\x92 %s", story_node_name(story, from->from),
                   story_node_name(story, from->to));
    } else if (event->node >= 0) {
        out_cstr(out, story_node_name(story, event->node));
    }
}

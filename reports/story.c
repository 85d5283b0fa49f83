#include "reports/story.h"

#include "client/base/assert.h"
#include "client/world/trace_file.h"
#include "reports/calls.h"
#include "reports/state.h"
#include "reports/survey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What reading needs and the story does not. */
struct reading {
    struct story *story;
    struct trace_file_reader reader;
    struct trace_event event;
    struct state state;
    struct calls calls;
    int64_t now_ns;
    int16_t node; /* of the event, -1 */
    /* A node that stops by itself and comes back is being formatted, or the run is over: nothing
     * that anybody asks about. One bit a node. */
    uint64_t asked_to_stop;
    uint64_t stopped_quietly;
};

const char *story_text(const struct story *story, const struct story_event *event)
{
    return story->texts.data + event->text;
}

const char *story_node_name(const struct story *story, int32_t index)
{
    return index >= 0 ? story->nodes[index].name : "nobody";
}

int32_t story_find_node(const struct story *story, int64_t id)
{
    for (uint32_t i = 0; i < story->node_count; i++) {
        if (story->nodes[i].id == id) return (int32_t)i;
    }
    return -1;
}

uint64_t story_ids(const struct story *story, const char *text, const char *key)
{
    uint64_t mask = 0;

    if (key != NULL) {
        text = strstr(text, key);
        if (text == NULL) return 0;
        text += strlen(key);
    }
    while (*text >= '0' && *text <= '9') {
        char *end;
        int32_t index = story_find_node(story, strtol(text, &end, 10));

        if (index >= 0) mask |= (uint64_t)1 << index;
        text = *end == ',' ? end + 1 : end;
    }
    return mask;
}

/* ---- taking down ----------------------------------------------------------------------------- */

static uint32_t keep_text(struct story *story, struct str text)
{
    uint32_t at = (uint32_t)story->texts.length;
    char clean[512];

    if (text.data == NULL || text.length == 0) return 0;
    out_copy(clean, sizeof clean, text);
    out_bytes(&story->texts, clean, strlen(clean) + 1);
    return at;
}

static struct story_event *tell(struct reading *reading, enum story_what what)
{
    struct story *story = reading->story;
    struct story_event *event;

    if (story->event_count == STORY_EVENTS_MAX) {
        story->dropped++;
        return NULL;
    }
    if (story->event_count == story->events_capacity) {
        story->events_capacity = story->events_capacity > 0 ? 2 * story->events_capacity : 256;
        story->events = realloc(story->events, story->events_capacity * sizeof story->events[0]);
        ASSERT(story->events != NULL);
    }
    event = &story->events[story->event_count++];
    *event = (struct story_event){.time_ns = reading->now_ns,
                                  .number = reading->reader.events,
                                  .cause = -1,
                                  .epoch = -1,
                                  .node = reading->node,
                                  .what = (uint8_t)what};
    event->text = keep_text(story, reading->event.text);
    return event;
}

static void fold_last(struct reading *reading, const struct story_event *event)
{
    if (event != NULL) state_apply(&reading->state, reading->story, event);
}

/* ---- what brought it ------------------------------------------------------------------------- */

static void range_label(char *label, size_t size, int64_t from, int64_t end)
{
    if (end - from <= 1) {
        snprintf(label, size, "#%lld", (long long)from);
    } else {
        snprintf(label, size, "#%lld\xe2\x80\x93#%lld", (long long)from, (long long)end - 1);
    }
}

/* The answer of the leader that a follower last took. */
static struct call_inbound *from_leader(struct reading *reading)
{
    int32_t leader = reading->state.replicas[reading->node].leader;

    if (leader < 0) return NULL;
    return &reading->calls.fetched[reading->node][leader];
}

/* The answer of a controller that a broker last took. */
static struct call_inbound *from_controller(struct reading *reading)
{
    struct call_inbound *last = NULL;

    for (uint32_t i = 0; i < reading->story->node_count; i++) {
        struct call_inbound *inbound = &reading->calls.fetched[reading->node][i];

        if ((reading->story->nodes[i].kind & STORY_CONTROLLER) == 0 || !inbound->there) continue;
        if (last == NULL || inbound->message.received_ns > last->message.received_ns)
            last = inbound;
    }
    return last;
}

static int32_t blame(struct reading *reading, struct call_inbound *inbound, enum story_flow flow,
                     const char *label)
{
    if (inbound == NULL) return -1;
    return calls_blame(reading->story, inbound, reading->now_ns, flow, label);
}

static int32_t blame_sort(struct reading *reading, enum call_sort sort, enum story_flow flow,
                          const char *label)
{
    return blame(reading, &reading->calls.inbound[reading->node][sort], flow, label);
}

static bool leads(const struct reading *reading)
{
    return reading->state.replicas[reading->node].role == STORY_ROLE_LEADER;
}

static int32_t cause_of_append(struct reading *reading, int64_t from, int64_t end)
{
    char range[STORY_LABEL];
    char label[STORY_LABEL + 16];

    range_label(range, sizeof range, from, end);
    if (!leads(reading)) return blame(reading, from_leader(reading), STORY_FLOW_RECORDS, range);
    snprintf(label, sizeof label, "Produce %s", range);
    return blame_sort(reading, CALL_PRODUCE, STORY_FLOW_CLIENT, label);
}

static int32_t cause_of_hw(struct reading *reading, int64_t to)
{
    struct call_inbound *fetch = &reading->calls.inbound[reading->node][CALL_FETCH];
    char label[STORY_LABEL];

    if (!leads(reading)) {
        snprintf(label, sizeof label, "HW %lld", (long long)to);
        return blame(reading, from_leader(reading), STORY_FLOW_RECORDS, label);
    }
    if (fetch->offset < 0) return -1;
    snprintf(label, sizeof label, "Fetch from %lld", (long long)fetch->offset);
    return blame(reading, fetch, STORY_FLOW_FETCH, label);
}

static int32_t cause_of_role(struct reading *reading, int64_t role, int64_t leader, int64_t epoch)
{
    char label[STORY_LABEL];
    struct call_inbound *inbound = from_controller(reading);

    snprintf(label, sizeof label, "e%lld: leader %lld", (long long)epoch, (long long)leader);
    if (reading->story->topic != 0 || !reading->story->has_focus)
        return blame(reading, inbound, STORY_FLOW_CONTROL, label);
    if (role == STORY_ROLE_LEADER) {
        snprintf(label, sizeof label, "vote, e%lld", (long long)epoch);
        return blame_sort(reading, CALL_OTHER_REPLY, STORY_FLOW_CONTROL, label);
    }
    if (role != STORY_ROLE_FOLLOWER) return -1;
    return blame_sort(reading, CALL_OTHER, STORY_FLOW_CONTROL, label);
}

/* What told the follower that it diverges, if something did. */
static int32_t cause_of_cut(const struct reading *reading)
{
    const struct story *story = reading->story;

    for (uint32_t i = story->event_count; i > 0 && story->event_count - i < 16; i--) {
        const struct story_event *event = &story->events[i - 1];

        if (event->node == reading->node && event->what == STORY_DIVERGED) return event->cause;
    }
    return -1;
}

/* ---- one event of the trace ------------------------------------------------------------------ */

static bool about_focus(const struct reading *reading)
{
    return reading->story->has_focus && reading->node >= 0 &&
           reading->event.fields[0] == reading->story->topic &&
           (int32_t)reading->event.fields[1] == reading->story->partition;
}

/* What all kinds with numbers in a row have in common. */
static struct story_event *tell_numbers(struct reading *reading, enum story_what what, int64_t from,
                                        int64_t to, int64_t epoch, int64_t extra)
{
    struct story_event *event = tell(reading, what);

    if (event == NULL) return NULL;
    event->from = from;
    event->to = to;
    event->epoch = (int32_t)epoch;
    event->extra = extra;
    return event;
}

static void take_acked(struct reading *reading)
{
    struct story *story = reading->story;
    const int64_t *f = reading->event.fields;
    struct story_event *last =
        story->event_count > 0 ? &story->events[story->event_count - 1] : NULL;
    struct story_event *event;
    char label[STORY_LABEL + 16];
    char range[STORY_LABEL];

    story->acked++;
    if (!about_focus(reading) || f[3] < 0) return;
    if (last != NULL && last->what == STORY_ACK && last->node == reading->node &&
        last->to == f[3] && last->time_ns == reading->now_ns) {
        last->to++; /* records of one batch */
        event = last;
    } else {
        event = tell_numbers(reading, STORY_ACK, f[3], f[3] + 1, -1, 0);
    }
    if (event == NULL) return;
    range_label(range, sizeof range, event->from, event->to);
    snprintf(label, sizeof label, "ack %s", range);
    if (event == last && event->cause >= 0) {
        out_copy(story->messages[event->cause].label, STORY_LABEL, str_of(label));
        return;
    }
    event->cause = blame_sort(reading, CALL_PRODUCE_REPLY, STORY_FLOW_CLIENT, label);
}

/* Events of a replica of the focus. */
static void take_replica(struct reading *reading)
{
    const int64_t *f = reading->event.fields;
    struct story_event *event = NULL;
    char label[STORY_LABEL];
    int32_t cause;

    switch ((int)reading->event.kind) {
    case TRACE_REPLICA_ROLE:
        cause = cause_of_role(reading, f[2], f[3], f[4]);
        event = tell_numbers(reading, STORY_ROLE, f[2], f[3], f[4], f[5]);
        break;
    case TRACE_REPLICA_HW:
        cause = cause_of_hw(reading, f[3]);
        event = tell_numbers(reading, STORY_HW, f[2], f[3], f[5], 0);
        break;
    case TRACE_LOG_APPENDED:
        cause = cause_of_append(reading, f[2], f[3] + 1);
        event = tell_numbers(reading, STORY_APPENDED, f[2], f[3] + 1, f[4], f[5]);
        break;
    case TRACE_LOG_TRUNCATED:
        cause = cause_of_cut(reading);
        event = tell_numbers(reading, STORY_TRUNCATED, f[2], f[3], -1, f[4]);
        break;
    case TRACE_REPLICA_DIVERGED:
        snprintf(label, sizeof label, "e%lld ends at %lld", (long long)f[2], (long long)f[3]);
        cause = blame(reading, from_leader(reading), STORY_FLOW_RECORDS, label);
        event = tell_numbers(reading, STORY_DIVERGED, f[4], f[3], f[2], 0);
        break;
    case TRACE_LOG_OPENED:
        cause = -1;
        event = tell_numbers(reading, STORY_OPENED, f[2], f[3], -1, f[5]);
        break;
    case TRACE_LOG_START:
        cause = -1;
        event = tell_numbers(reading, STORY_LOG_START, f[2], f[3], -1, 0);
        break;
    case TRACE_REPLICA_ISR:
        if (f[4] == 0) return;
        cause = -1;
        event = tell_numbers(reading, STORY_ISR, 0, 0, f[2], f[3]);
        break;
    case TRACE_CONTROLLER_PARTITION:
        cause =
            blame_sort(reading, CALL_OTHER, STORY_FLOW_CONTROL,
                       story_api(reading->calls.inbound[reading->node][CALL_OTHER].message.api));
        event = tell_numbers(reading, STORY_DECISION, 0, f[2], f[3], f[4]);
        break;
    case TRACE_REPLICA_REMOTE: {
        struct call_inbound *fetch = &reading->calls.inbound[reading->node][CALL_FETCH];

        if (fetch->there && fetch->message.from == story_find_node(reading->story, f[2]))
            fetch->offset = f[3];
        return;
    }
    default: return;
    }
    if (event == NULL) return;
    event->cause = cause;
    fold_last(reading, event);
}

/* The quorum's own log: raft's words in those of replicas. */
static void take_raft(struct reading *reading)
{
    static const uint8_t roles[] = {STORY_ROLE_NONE,   STORY_ROLE_CANDIDATE, STORY_ROLE_CANDIDATE,
                                    STORY_ROLE_LEADER, STORY_ROLE_FOLLOWER,  STORY_ROLE_RESIGNED};
    const int64_t *f = reading->event.fields;
    bool focus = reading->story->has_focus && reading->story->topic == 0;
    struct story_event *event = NULL;
    int32_t cause;

    if (!focus || reading->node < 0) return;
    if (reading->event.kind == TRACE_RAFT_STATE) {
        int64_t role = f[1] >= 0 && f[1] < (int64_t)COUNT_OF(roles) ? roles[f[1]] : STORY_ROLE_NONE;

        cause = cause_of_role(reading, role, f[3], f[2]);
        event = tell_numbers(reading, STORY_ROLE, role, f[3], f[2], 0);
    } else if (reading->event.kind == TRACE_RAFT_HW) {
        cause = cause_of_hw(reading, f[1]);
        event = tell_numbers(reading, STORY_HW, f[0], f[1], f[2], 0);
    } else {
        struct call_inbound *fetch = &reading->calls.inbound[reading->node][CALL_FETCH];

        if (fetch->there) fetch->offset = f[1]; /* RAFT_FETCHED */
        return;
    }
    if (event == NULL) return;
    event->cause = cause;
    fold_last(reading, event);
}

static bool is_quiet(const struct reading *reading)
{
    return reading->node >= 0 && (reading->stopped_quietly >> reading->node & 1) != 0;
}

static bool is_start(const struct reading *reading)
{
    return reading->event.text.length > 8 && memcmp(reading->event.text.data, "start of", 8) == 0;
}

static void note_asked(struct reading *reading)
{
    int32_t target = story_find_node(reading->story, reading->event.fields[3]);

    if (target >= 0 && reading->event.text.length > 12 &&
        memcmp(reading->event.text.data, "orderly stop", 12) == 0)
        reading->asked_to_stop |= (uint64_t)1 << target;
}

static void note_stop(struct reading *reading, int64_t how)
{
    uint64_t bit;

    if (reading->node < 0) return;
    bit = (uint64_t)1 << reading->node;
    if (how == 3 && (reading->asked_to_stop & bit) == 0)
        reading->stopped_quietly |= bit;
    else
        reading->stopped_quietly &= ~bit;
    reading->asked_to_stop &= ~bit;
}

/* Numbers of a file are not trusted: differences of what is kept do not overflow. */
static int64_t sane(int64_t number)
{
    const int64_t most = (int64_t)1 << 60;

    return number > most ? most : number < -most ? -most : number;
}

/* Does the violation name the partition that is told? */
static bool is_violated_focus(const struct reading *reading)
{
    const int64_t *f = reading->event.fields;

    return f[3] >= 0 && reading->story->has_focus && f[2] == sane(reading->story->topic) &&
           (int32_t)f[3] == reading->story->partition;
}

/* Events whose node is a field: told by the simulator, which is no node. */
static void take_sim(struct reading *reading)
{
    struct story *story = reading->story;
    const int64_t *f = reading->event.fields;
    struct story_event *event;

    switch ((int)reading->event.kind) {
    case TRACE_SIM_UP:
        reading->node = (int16_t)story_find_node(story, f[0]);
        fold_last(reading, tell_numbers(reading, STORY_UP, is_quiet(reading), 0, -1, f[1]));
        if (reading->node >= 0) reading->stopped_quietly &= ~((uint64_t)1 << reading->node);
        break;
    case TRACE_SIM_DOWN:
        reading->node = (int16_t)story_find_node(story, f[0]);
        if (reading->node >= 0) calls_node_down(&reading->calls, reading->node);
        note_stop(reading, f[1]);
        fold_last(reading, tell_numbers(reading, STORY_DOWN, is_quiet(reading), 0, -1, f[1]));
        break;
    case TRACE_SIM_FAULT:
        reading->node = -1;
        if (f[1] != 0 && !is_start(reading)) story->faults++;
        note_asked(reading);
        event = tell_numbers(reading, STORY_FAULT, f[0], f[1], story_find_node(story, f[3]), f[2]);
        if (event != NULL) event->mends = is_start(reading);
        break;
    case TRACE_SIM_STEP:
        reading->node = -1;
        tell_numbers(reading, STORY_STEP, 0, 0, -1, f[0]);
        break;
    case TRACE_SIM_PHASE:
        reading->node = -1;
        if (f[0] == 3) story->finished_ns = reading->now_ns;
        tell_numbers(reading, STORY_PHASE, 0, 0, -1, f[0]);
        break;
    case TRACE_SIM_VIOLATION:
        reading->node = (int16_t)story_find_node(story, f[1]);
        event =
            tell_numbers(reading, STORY_VIOLATION, is_violated_focus(reading), f[5], f[4], f[0]);
        if (event != NULL && story->violation < 0)
            story->violation = (int32_t)story->event_count - 1;
        break;
    default: break;
    }
}

static void take(struct reading *reading)
{
    struct story *story = reading->story;
    const int64_t *f = reading->event.fields;
    struct story_event *event;
    int32_t lost;

    switch ((int)reading->event.kind) {
    case TRACE_RPC_SENT:
    case TRACE_RPC_RECEIVED:
    case TRACE_RPC_ANSWERED:
    case TRACE_RPC_REPLIED:
        if (reading->node < 0) return;
        lost = calls_take(&reading->calls, story, &reading->event, reading->node, reading->now_ns);
        if (lost >= 0 && (event = tell(reading, STORY_LOST)) != NULL) event->cause = lost;
        return;
    case TRACE_CLIENT_SEND: story->sent++; return;
    case TRACE_CLIENT_ACKED: take_acked(reading); return;
    case TRACE_CLIENT_FAILED:
        story->failed++;
        if (about_focus(reading)) tell_numbers(reading, STORY_FAILED, 0, 0, f[3], f[4]);
        return;
    case TRACE_NODE_STOPPED: /* a real process says it itself */
        if (story->scenario[0] == '\0' && reading->node >= 0)
            fold_last(reading, tell_numbers(reading, STORY_DOWN, 0, 0, -1, 3));
        return;
    case TRACE_CONTROLLER_ACTIVE:
        fold_last(reading, tell_numbers(reading, STORY_ACTIVE, 0, 0, f[0], 0));
        return;
    case TRACE_CONTROLLER_RENOUNCED:
        fold_last(reading, tell_numbers(reading, STORY_RENOUNCED, 0, 0, f[0], 0));
        return;
    case TRACE_RAFT_STATE:
    case TRACE_RAFT_HW:
    case TRACE_RAFT_FETCHED: take_raft(reading); return;
    default: break;
    }
    if (about_focus(reading)) take_replica(reading);
    take_sim(reading);
}

enum err story_read(struct story *story, struct bytes trace, const char *focus)
{
    struct reading *reading;
    enum err err;

    *story = (struct story){.violation = -1, .start_ns = -1};
    out_bytes(&story->texts, "", 1);
    err = survey_read(story, trace, focus);
    if (err != ERR_NONE) return err;
    reading = calloc(1, sizeof *reading);
    ASSERT(reading != NULL);
    reading->story = story;
    state_init(&reading->state);
    calls_init(&reading->calls);
    err = trace_file_open(&reading->reader, trace);
    while (err == ERR_NONE && trace_file_next(&reading->reader, &reading->event)) {
        reading->node = (int16_t)story_find_node(story, reading->reader.node);
        reading->now_ns = sane(reading->reader.time_ns);
        for (uint32_t i = 1; i < TRACE_FIELDS_MAX; i++)
            reading->event.fields[i] = sane(reading->event.fields[i]);
        if (story->start_ns < 0) story->start_ns = reading->now_ns;
        story->end_ns = reading->now_ns;
        background_take(&story->background, story, &reading->event, reading->node, reading->now_ns,
                        reading->reader.events);
        txns_take(&story->txns, &reading->event, reading->node, reading->now_ns,
                  reading->reader.events);
        take(reading);
    }
    story->trace_events = reading->reader.events;
    story->unknown_kinds = reading->reader.unknown;
    story->err = reading->reader.err;
    story->cut = reading->reader.cut;
    background_end(&story->background, story->end_ns);
    story->dropped += reading->calls.refused + story->background.dropped + story->txns.dropped;
    if (story->start_ns < 0) story->start_ns = 0;
    free(reading);
    return err;
}

void story_free(struct story *story)
{
    free(story->events);
    free(story->messages);
    free(story->arrivals);
    background_free(&story->background);
    txns_free(&story->txns);
    out_free(&story->texts);
    *story = (struct story){.violation = -1};
}

/* The whole trace for people with a zoom: JSON that ui.perfetto.dev and chrome://tracing open. A
 * process is a node, a track a partition of it; what overlaps (client operations, faults) is
 * asynchronous. Times are microseconds with three decimals, without floating point. Metadata first,
 * then everything by time (reports.md 8). */
#include "reports/figures.h"
#include "reports/words.h"

#include "client/base/assert.h"
#include "client/world/trace_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRACKS_MAX = 4096, TOPICS_MAX = 1024, FIRST_TRACK = 10, STAGE = 1000000 };

struct json_line {
    int64_t time_ns;
    uint32_t number; /* ties: in the order of writing */
    size_t at;
    size_t length;
};

/* One partition on one node. */
struct track {
    int64_t topic;
    int64_t since_ns;
    int64_t log_end;
    int64_t high_watermark;
    int32_t partition;
    int32_t epoch;
    int16_t node;
    uint8_t role;
};

struct perfetto {
    const struct story *story;
    struct out text; /* of all lines */
    struct json_line *lines;
    uint32_t count;
    uint32_t room;
    struct track tracks[TRACKS_MAX];
    uint32_t track_count;
    struct {
        int64_t id;
        char name[STORY_NAME];
    } topics[TOPICS_MAX];
    uint32_t topic_count;
};

static void json_string(struct out *out, const char *text)
{
    char clean[512];

    out_copy(clean, sizeof clean, str_of(text));
    out_cstr(out, "\"");
    for (const char *at = clean; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\') out_cstr(out, "\\");
        out_bytes(out, (unsigned char)*at < 0x20 ? "?" : at, 1);
    }
    out_cstr(out, "\"");
}

static void micros(struct out *out, int64_t ns)
{
    if (ns < 0) ns = 0;
    out_format(out, "%" PRId64 ".%03" PRId64, ns / 1000, ns % 1000);
}

/* Opens an event: what all of them have. */
static void begin(struct perfetto *p, int64_t time_ns, const char *phase, int64_t pid, int64_t tid)
{
    struct json_line *line;

    if (p->count == p->room) {
        p->room = p->room > 0 ? 2 * p->room : 1024;
        p->lines = realloc(p->lines, p->room * sizeof p->lines[0]);
        ASSERT(p->lines != NULL);
    }
    line = &p->lines[p->count];
    *line = (struct json_line){.time_ns = time_ns, .number = p->count, .at = p->text.length};
    p->count++;
    out_format(&p->text, "{\"ph\":\"%s\",\"pid\":%" PRId64 ",\"tid\":%" PRId64 ",\"ts\":", phase,
               pid, tid);
    micros(&p->text, time_ns);
}

static void name(struct perfetto *p, const char *category, const char *text)
{
    out_format(&p->text, ",\"cat\":\"%s\",\"name\":", category);
    json_string(&p->text, text);
}

static void end(struct perfetto *p)
{
    struct json_line *line = &p->lines[p->count - 1];

    out_cstr(&p->text, "}");
    line->length = p->text.length - line->at;
}

static int64_t pid_of(const struct perfetto *p, int32_t node)
{
    return node >= 0 ? p->story->nodes[node].id : STAGE;
}

/* ---- tracks ---------------------------------------------------------------------------------- */

static const char *topic_name(const struct perfetto *p, int64_t id)
{
    for (uint32_t i = 0; i < p->topic_count; i++) {
        if (p->topics[i].id == id) return p->topics[i].name;
    }
    return id == 0 ? "__cluster_metadata" : "topic";
}

static void know_topic(struct perfetto *p, const struct trace_event *event)
{
    for (uint32_t i = 0; i < p->topic_count; i++) {
        if (p->topics[i].id == event->fields[0]) return;
    }
    if (p->topic_count == TOPICS_MAX) return;
    p->topics[p->topic_count].id = event->fields[0];
    out_copy(p->topics[p->topic_count].name, STORY_NAME, event->text);
    p->topic_count++;
}

static struct track *track_of(struct perfetto *p, int16_t node, const struct trace_event *event)
{
    struct track *track;

    for (uint32_t i = 0; i < p->track_count; i++) {
        track = &p->tracks[i];
        if (track->node == node && track->topic == event->fields[0] &&
            track->partition == (int32_t)event->fields[1])
            return track;
    }
    if (p->track_count == TRACKS_MAX) return NULL;
    track = &p->tracks[p->track_count++];
    *track = (struct track){.topic = event->fields[0],
                            .partition = (int32_t)event->fields[1],
                            .node = node,
                            .epoch = -1};
    return track;
}

static void track_name(const struct perfetto *p, const struct track *track, struct out *out)
{
    out->length = 0;
    out_format(out, "%s-%d", topic_name(p, track->topic), (int)track->partition);
}

static void end_role(struct perfetto *p, struct track *track, int64_t now_ns)
{
    struct out text = {.data = NULL};
    int64_t tid = FIRST_TRACK + (track - p->tracks);

    if (track->role != TRACE_ROLE_NONE && track->epoch >= 0 && now_ns >= track->since_ns) {
        out_format(&text, "%s e%d",
                   track->role == TRACE_ROLE_LEADER     ? "leads"
                   : track->role == TRACE_ROLE_FOLLOWER ? "follows"
                                                        : "offline",
                   (int)track->epoch);
        begin(p, track->since_ns, "X", pid_of(p, track->node), tid);
        out_cstr(&p->text, ",\"dur\":");
        micros(&p->text, now_ns - track->since_ns);
        name(p, "leadership", text.data);
        end(p);
    }
    out_free(&text);
    track->role = TRACE_ROLE_NONE;
    track->epoch = -1;
}

static void counter(struct perfetto *p, const struct track *track, int64_t now_ns)
{
    struct out text = {.data = NULL};

    track_name(p, track, &text);
    begin(p, now_ns, "C", pid_of(p, track->node), 0);
    name(p, "log", text.data);
    out_format(&p->text, ",\"args\":{\"LEO\":%" PRId64 ",\"HW\":%" PRId64 "}", track->log_end,
               track->high_watermark);
    end(p);
    out_free(&text);
}

/* ---- the trace ------------------------------------------------------------------------------- */

static void take_replica(struct perfetto *p, const struct trace_event *event, int16_t node,
                         int64_t now_ns)
{
    const int64_t *f = event->fields;
    struct track *track = track_of(p, node, event);

    if (track == NULL) return;
    switch ((int)event->kind) {
    case TRACE_REPLICA_ROLE:
        if (track->role == (uint8_t)f[2] && track->epoch == (int32_t)f[4]) return;
        end_role(p, track, now_ns);
        track->role = (uint8_t)f[2];
        track->epoch = (int32_t)f[4];
        track->since_ns = now_ns;
        return;
    case TRACE_REPLICA_HW: track->high_watermark = f[3]; break;
    case TRACE_LOG_APPENDED: track->log_end = f[3] + 1; break;
    case TRACE_LOG_TRUNCATED: track->log_end = f[3]; break;
    case TRACE_LOG_OPENED: track->log_end = f[3]; break;
    default: return;
    }
    if (event->fields[0] != 0) counter(p, track, now_ns);
}

static void take(struct perfetto *p, const struct trace_event *event, int16_t node, int64_t now_ns)
{
    char text[256];

    switch ((int)event->kind) {
    case TRACE_TOPIC_KNOWN: know_topic(p, event); return;
    case TRACE_REPLICA_ROLE:
    case TRACE_REPLICA_HW:
    case TRACE_LOG_APPENDED:
    case TRACE_LOG_TRUNCATED:
    case TRACE_LOG_OPENED:
        if (node >= 0) take_replica(p, event, node, now_ns);
        return;
    case TRACE_SIM_DOWN:
        for (uint32_t i = 0; i < p->track_count; i++) {
            if (pid_of(p, p->tracks[i].node) == event->fields[0])
                end_role(p, &p->tracks[i], now_ns);
        }
        return;
    case TRACE_SIM_VIOLATION:
        out_copy(text, sizeof text, event->text);
        begin(p, now_ns, "i", STAGE, 1);
        name(p, "violation", text);
        out_cstr(&p->text, ",\"s\":\"g\"");
        end(p);
        return;
    default: return;
    }
}

/* ---- from the story -------------------------------------------------------------------------- */

static void asynchronous(struct perfetto *p, int64_t begin_ns, int64_t end_ns, int64_t pid,
                         const char *category, const char *text, const char *prefix, uint64_t id)
{
    for (uint32_t half = 0; half < 2; half++) {
        begin(p, half == 0 ? begin_ns : end_ns, half == 0 ? "b" : "e", pid, 1);
        name(p, category, text);
        out_format(&p->text, ",\"id\":\"%s%" PRIu64 "\"", prefix, id);
        end(p);
    }
}

static void write_background(struct perfetto *p)
{
    static const char *const outcomes[] = {"no answer", "acknowledged", "outcome unknown",
                                           "refused"};
    const struct background *background = &p->story->background;
    char text[160];

    for (uint32_t i = 0; i < background->fault_count; i++) {
        const struct background_fault *fault = &background->faults[i];

        snprintf(text, sizeof text, "%s", fault->text);
        if (fault->sort == BACKGROUND_MOMENT) {
            begin(p, fault->begin_ns, "i", pid_of(p, fault->node), 1);
            name(p, "fault", text);
            out_cstr(&p->text, ",\"s\":\"p\"");
            end(p);
        } else {
            if (fault->sort == BACKGROUND_DOWN)
                snprintf(text, sizeof text, "down (%.80s)", fault->text);
            asynchronous(p, fault->begin_ns, fault->end_ns, pid_of(p, fault->node), "fault", text,
                         "f", i + 1);
        }
    }
    for (uint32_t i = 0; i < background->op_count; i++) {
        const struct background_op *op = &background->ops[i];

        snprintf(text, sizeof text, "produce %.60s-%d: %s", topic_name(p, op->topic),
                 (int)op->partition, outcomes[op->outcome]);
        asynchronous(p, op->begin_ns, op->end_ns, pid_of(p, op->node), "client", text, "o", i + 1);
    }
}

/* A message that changed something: a slice of a microsecond at both ends, and an arrow. */
static void write_messages(struct perfetto *p)
{
    for (uint32_t i = 0; i < p->story->message_count; i++) {
        const struct story_message *message = &p->story->messages[i];
        const int64_t ends[2] = {message->sent_ns, message->received_ns};
        const int16_t nodes[2] = {message->from, message->to};
        char text[STORY_LABEL + 40];

        if (message->lost) continue;
        snprintf(text, sizeof text, "%s%s %s", story_api(message->api),
                 message->answer ? " answer" : "", message->label);
        for (uint32_t half = 0; half < 2; half++) {
            begin(p, ends[half], "X", pid_of(p, nodes[half]), 2);
            out_cstr(&p->text, ",\"dur\":1.000");
            name(p, "message", text);
            end(p);
            begin(p, ends[half], half == 0 ? "s" : "f", pid_of(p, nodes[half]), 2);
            name(p, "message", "message");
            out_format(&p->text, ",\"id\":%u%s", i + 1, half == 0 ? "" : ",\"bp\":\"e\"");
            end(p);
        }
    }
}

/* ---- the file -------------------------------------------------------------------------------- */

static void metadata(struct out *out, const char *what, int64_t pid, int64_t tid, const char *value)
{
    out_format(out,
               "{\"ph\":\"M\",\"ts\":0,\"pid\":%" PRId64 ",\"tid\":%" PRId64
               ",\"name\":\"%s\",\"args\":{\"name\":",
               pid, tid, what);
    json_string(out, value);
    out_cstr(out, "}},\n");
}

static void write_names(struct out *out, const struct perfetto *p)
{
    const struct story *story = p->story;
    struct out text = {.data = NULL};

    for (uint32_t i = 0; i < story->node_count; i++) {
        metadata(out, "process_name", story->nodes[i].id, 0, story->nodes[i].name);
        out_format(out,
                   "{\"ph\":\"M\",\"ts\":0,\"pid\":%d,\"tid\":0,\"name\":\"process_sort_index\","
                   "\"args\":{\"sort_index\":%u}},\n",
                   (int)story->nodes[i].id, i + 1);
        metadata(out, "thread_name", story->nodes[i].id, 1, "operations and faults");
        metadata(out, "thread_name", story->nodes[i].id, 2, "messages");
    }
    for (uint32_t i = 0; i < p->track_count; i++) {
        track_name(p, &p->tracks[i], &text);
        metadata(out, "thread_name", pid_of(p, p->tracks[i].node), FIRST_TRACK + (int64_t)i,
                 text.data);
    }
    out_free(&text);
    metadata(out, "thread_name", STAGE, 1, "checks");
    out_format(out,
               "{\"ph\":\"M\",\"ts\":0,\"pid\":%d,\"tid\":0,\"name\":\"process_name\","
               "\"args\":{\"name\":\"the run\"}}",
               STAGE);
}

static int line_order(const void *a, const void *b)
{
    const struct json_line *x = a;
    const struct json_line *y = b;

    if (x->time_ns != y->time_ns) return x->time_ns < y->time_ns ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static void read_trace(struct perfetto *p, struct bytes trace)
{
    struct trace_file_reader *reader = calloc(1, sizeof *reader);
    struct trace_event event;

    ASSERT(reader != NULL);
    if (trace_file_open(reader, trace) == ERR_NONE) {
        while (trace_file_next(reader, &event))
            take(p, &event, (int16_t)story_find_node(p->story, reader->node), reader->time_ns);
    }
    for (uint32_t i = 0; i < p->track_count; i++)
        end_role(p, &p->tracks[i], p->story->end_ns);
    free(reader);
}

void perfetto_write(struct out *out, const struct story *story, struct bytes trace, int64_t from_ns,
                    int64_t to_ns)
{
    struct perfetto *p = calloc(1, sizeof *p);

    ASSERT(p != NULL);
    p->story = story;
    read_trace(p, trace);
    write_background(p);
    write_messages(p);
    qsort(p->lines, p->count, sizeof p->lines[0], line_order); /* numbers differ */
    out_cstr(out, "{\"displayTimeUnit\":\"ms\",\"otherData\":{\"scenario\":");
    json_string(out, story->scenario);
    out_format(out, ",\"seed\":\"%" PRId64 "\",\"focus\":", story->seed);
    json_string(out, story->focus);
    out_cstr(out, "},\n\"traceEvents\":[\n");
    write_names(out, p);
    for (uint32_t i = 0; i < p->count; i++) {
        if (p->lines[i].time_ns < from_ns || p->lines[i].time_ns > to_ns) continue;
        out_cstr(out, ",\n");
        out_bytes(out, p->text.data + p->lines[i].at, p->lines[i].length);
    }
    out_cstr(out, "\n]}\n");
    out_free(&p->text);
    free(p->lines);
    free(p);
}

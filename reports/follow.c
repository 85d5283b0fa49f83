/* One record's life: from the client's send over every log that took it to whoever read it, and
 * what was cut. The trace is read twice: first to learn what value the record carries (the
 * client that sends knows no offset yet), then to tell. */
#include "reports/figures.h"
#include "reports/words.h"

#include "client/base/assert.h"
#include "client/world/trace_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES_MAX = 8 };

struct follow {
    const struct story *story;
    struct out *out;
    int64_t topic;
    int32_t partition;
    int64_t offset;
    int64_t values[VALUES_MAX]; /* more than one: somebody lost an argument */
    uint32_t value_count;
    int64_t first_ns; /* of the first line, -1 */
    uint64_t told;
    uint64_t has; /* nodes whose log has it */
    bool colour;
};

static bool knows(const struct follow *follow, int64_t value)
{
    for (uint32_t i = 0; i < follow->value_count; i++) {
        if (follow->values[i] == value) return true;
    }
    return false;
}

static bool here(const struct follow *follow, const struct trace_event *event)
{
    return event->fields[0] == follow->topic && (int32_t)event->fields[1] == follow->partition;
}

static void learn(struct follow *follow, const struct trace_event *event)
{
    const int64_t *f = event->fields;
    int64_t value;

    if (!here(follow, event)) return;
    if (event->kind == TRACE_CLIENT_ACKED && f[3] == follow->offset)
        value = f[2];
    else if (event->kind == TRACE_CLIENT_READ && f[2] == follow->offset)
        value = f[3];
    else
        return;
    if (value < 0 || knows(follow, value) || follow->value_count == VALUES_MAX) return;
    follow->values[follow->value_count++] = value;
}

/* "1.672682  +0.0 us   p1        sends it", with the sentence to follow. */
static void line(struct follow *follow, int64_t now_ns, int32_t node, const char *mark)
{
    struct out *out = follow->out;
    size_t at = out->length;

    if (follow->first_ns < 0) follow->first_ns = now_ns;
    follow->told++;
    out_format(out, "%" PRId64 ".%06" PRId64, now_ns / 1000000000, now_ns / 1000 % 1000000);
    while (out->length - at < 14)
        out_cstr(out, " ");
    at = out->length;
    out_cstr(out, "+");
    out_duration(out, now_ns - follow->first_ns);
    while (out->length - at < 12)
        out_cstr(out, " ");
    at = out->length;
    out_cstr(out, story_node_name(follow->story, node));
    while (out->length - at < 16)
        out_cstr(out, " ");
    out_format(out, "%-7s ", mark);
}

static void range(struct out *out, int64_t from, int64_t last)
{
    out_format(out, from == last ? "#%" PRId64 : "#%" PRId64 " to ", from);
    if (from != last) out_format(out, "#%" PRId64, last);
}

static void tell_client(struct follow *follow, const struct trace_event *event, int32_t node,
                        int64_t now_ns)
{
    const int64_t *f = event->fields;
    struct out *out = follow->out;

    switch ((int)event->kind) {
    case TRACE_CLIENT_SEND:
        line(follow, now_ns, node, "sends");
        out_format(out, "value %" PRId64, f[2]);
        if (f[4] > 0) out_format(out, ", attempt %" PRId64, f[4] + 1);
        break;
    case TRACE_CLIENT_ACKED:
        line(follow, now_ns, node, "acked");
        out_format(out, "it has the acknowledgement: offset %" PRId64 " after ", f[3]);
        out_duration(out, f[4]);
        break;
    case TRACE_CLIENT_FAILED:
        line(follow, now_ns, node, "failed");
        out_format(out, f[4] != 0 ? "refused: %s" : "the outcome is unknown: %s",
                   err_name((enum err)f[3]));
        break;
    default:
        line(follow, now_ns, node, "reads");
        out_format(out, "value %" PRId64 " of epoch %" PRId64, f[3], f[4]);
        break;
    }
    out_cstr(out, "\n");
}

static void has(struct follow *follow, int32_t node, bool it)
{
    if (node < 0) return;
    if (it)
        follow->has |= (uint64_t)1 << node;
    else
        follow->has &= ~((uint64_t)1 << node);
}

static bool had(const struct follow *follow, int32_t node)
{
    return node >= 0 && (follow->has >> node & 1) != 0;
}

static void tell_log(struct follow *follow, const struct trace_event *event, int32_t node,
                     int64_t now_ns)
{
    const int64_t *f = event->fields;
    struct out *out = follow->out;
    int64_t offset = follow->offset;

    switch ((int)event->kind) {
    case TRACE_PRODUCE_APPENDED:
        if (f[2] > offset || f[3] < offset) return;
        line(follow, now_ns, node, "append");
        out_cstr(out, "the leader gives it its place in ");
        range(out, f[2], f[3]);
        out_format(out, ", epoch %" PRId64 ", acks %" PRId64 ", ISR of %" PRId64, f[4], f[5], f[6]);
        break;
    case TRACE_LOG_APPENDED:
        if (f[2] > offset || f[3] < offset) return;
        has(follow, node, true);
        line(follow, now_ns, node, "log");
        out_cstr(out, "has it, in ");
        range(out, f[2], f[3]);
        out_format(out, " of epoch %" PRId64 ", %" PRId64 " bytes", f[4], f[6]);
        break;
    case TRACE_REPLICA_HW:
        if (f[2] > offset || f[3] <= offset) return;
        line(follow, now_ns, node, "hw");
        out_format(out, "its high watermark passes the record: %" PRId64 " to %" PRId64, f[2],
                   f[3]);
        break;
    case TRACE_PRODUCE_ANSWERED:
        if (f[2] > offset || f[3] < offset) return;
        line(follow, now_ns, node, "answer");
        out_format(out, f[4] == 0 ? "acknowledges it" : "answers %s", err_name((enum err)f[4]));
        break;
    case TRACE_READ_SERVED:
        if (f[2] > offset || f[3] <= offset) return;
        line(follow, now_ns, node, "serve");
        out_cstr(out, f[6] != 0 ? "to a consumer, in " : "to a follower, in ");
        range(out, f[2], f[3] - 1);
        break;
    case TRACE_LOG_TRUNCATED:
        if (f[3] > offset || f[2] <= offset) return;
        has(follow, node, false);
        line(follow, now_ns, node, "CUT");
        out_format(out, "cuts its log from %" PRId64 " back to %" PRId64 ": the record goes", f[2],
                   f[3]);
        break;
    case TRACE_LOG_START:
        if (f[2] > offset || f[3] <= offset) return;
        has(follow, node, false);
        line(follow, now_ns, node, "gone");
        out_format(out, "retention passes it: the log begins at %" PRId64, f[3]);
        break;
    case TRACE_LOG_OPENED: {
        bool there = f[2] <= offset && f[3] > offset;

        if (!there && !had(follow, node)) return;
        line(follow, now_ns, node, there ? "open" : "GONE");
        out_format(out,
                   there ? "opens its log and has it: end %" PRId64
                         : "opens its log without it: end %" PRId64,
                   f[3]);
        has(follow, node, there);
        break;
    }
    default: return;
    }
    out_cstr(out, "\n");
}

static void tell_sim(struct follow *follow, const struct trace_event *event, int64_t now_ns)
{
    const int64_t *f = event->fields;
    int32_t node = story_find_node(follow->story, f[event->kind == TRACE_SIM_DOWN ? 0 : 1]);
    char text[512];

    if (event->kind == TRACE_SIM_DOWN) {
        if (!had(follow, node) || f[1] == 3) return;
        line(follow, now_ns, node, "DOWN");
        out_format(follow->out,
                   "%s, with the record in its log; %" PRId64 " bytes were not synced\n",
                   words_down(f[1]), f[2]);
        return;
    }
    if (f[2] != follow->topic || (int32_t)f[3] != follow->partition || f[5] != follow->offset)
        return;
    out_copy(text, sizeof text, event->text);
    line(follow, now_ns, node, "VIOLATION");
    out_format(follow->out, "%s\n", text);
}

static void tell(struct follow *follow, const struct trace_event *event, int32_t node,
                 int64_t now_ns)
{
    switch ((int)event->kind) {
    case TRACE_CLIENT_SEND:
    case TRACE_CLIENT_FAILED:
        if (here(follow, event) && knows(follow, event->fields[2]))
            tell_client(follow, event, node, now_ns);
        return;
    case TRACE_CLIENT_ACKED:
        if (here(follow, event) && event->fields[3] == follow->offset)
            tell_client(follow, event, node, now_ns);
        return;
    case TRACE_CLIENT_READ:
        if (here(follow, event) && event->fields[2] == follow->offset)
            tell_client(follow, event, node, now_ns);
        return;
    case TRACE_SIM_DOWN:
    case TRACE_SIM_VIOLATION: tell_sim(follow, event, now_ns); return;
    default:
        if (here(follow, event)) tell_log(follow, event, node, now_ns);
    }
}

static void read_all(struct follow *follow, struct bytes trace, bool telling)
{
    struct trace_file_reader *reader = calloc(1, sizeof *reader);
    struct trace_event event;

    ASSERT(reader != NULL);
    if (trace_file_open(reader, trace) == ERR_NONE) {
        while (trace_file_next(reader, &event)) {
            if (telling)
                tell(follow, &event, story_find_node(follow->story, reader->node), reader->time_ns);
            else
                learn(follow, &event);
        }
    }
    free(reader);
}

bool follow_write(struct out *out, const struct story *story, struct bytes trace, int64_t offset)
{
    struct follow follow = {.story = story,
                            .out = out,
                            .topic = story->topic,
                            .partition = story->partition,
                            .offset = offset,
                            .first_ns = -1};
    uint32_t copies = 0;

    read_all(&follow, trace, false);
    out_format(out, "%s@%" PRId64, story->focus, offset);
    for (uint32_t i = 0; i < follow.value_count; i++)
        out_format(out, "%s %" PRId64, i == 0 ? ", value" : " and", follow.values[i]);
    out_cstr(out, "\n");
    read_all(&follow, trace, true);
    for (uint64_t bits = follow.has; bits != 0; bits &= bits - 1)
        copies++;
    if (follow.told == 0) {
        out_cstr(out, "nothing in the trace is about this record\n");
    } else {
        out_format(out, "at the end %u replica%s it", copies, copies == 1 ? " has" : "s have");
        if (copies > 0) {
            out_cstr(out, ": ");
            words_ids(out, story, follow.has);
        }
        out_cstr(out, "\n");
    }
    return follow.told > 0;
}

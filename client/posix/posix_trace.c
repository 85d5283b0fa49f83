#include "client/posix/posix_trace.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct trace_line {
    char *at;
    size_t used;
    size_t max; /* room for text; a newline and the end fit behind it */
};

__attribute__((format(printf, 2, 3))) static void line_add(struct trace_line *line,
                                                           const char *format, ...)
{
    size_t room = line->max - line->used;
    va_list arguments;
    int n;

    va_start(arguments, format);
    n = vsnprintf(line->at + line->used, room + 1, format, arguments);
    va_end(arguments);
    if (n > 0) line->used += (size_t)n < room ? (size_t)n : room;
}

/* err fields read better as names. */
static void line_field(struct trace_line *line, const char *name, size_t length, int64_t value)
{
    if (length == 3 && memcmp(name, "err", 3) == 0 && value >= -200 && value <= 1000) {
        line_add(line, " err=%s", err_name((enum err)value));
    } else {
        line_add(line, " %.*s=%" PRId64, (int)length, name, value);
    }
}

static void line_head(struct trace_line *line, struct instant now, int32_t node_id,
                      const struct trace_kind_info *info)
{
    time_t seconds = (time_t)(now.wall.ms / 1000);
    struct tm utc;

    gmtime_r(&seconds, &utc);
    line_add(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %c [%" PRId32 "] %s", utc.tm_year + 1900,
             utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
             (int)(now.wall.ms % 1000), info->level, node_id, info->name);
}

size_t posix_trace_line(struct instant now, int32_t node_id, const struct trace_event *event,
                        char text[POSIX_TRACE_LINE_MAX])
{
    struct trace_line line = {.at = text, .max = POSIX_TRACE_LINE_MAX - 2};
    struct trace_kind_info info;
    const char *name;

    trace_kind_describe(event->kind, &info);
    line_head(&line, now, node_id, &info);
    name = info.fields;
    for (uint32_t i = 0; i < event->field_count; i++) {
        size_t length = strcspn(name, " ");

        line_field(&line, name, length, event->fields[i]);
        name += length;
        name += strspn(name, " ");
    }
    if (event->text.length > 0) line_add(&line, " %.*s", STR_ARG(event->text));
    /* One event, one line, whatever a peer put into its names. */
    for (size_t i = 0; i < line.used; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) text[i] = '?';
    }
    text[line.used] = '\n';
    text[line.used + 1] = '\0';
    return line.used + 1;
}

/* Nobody to tell when it fails. */
static void trace_write(const struct posix_trace *trace, const char *line, size_t length)
{
    if (write(trace->fd, line, length) < 0) return;
}

static void trace_tell(struct posix_trace *trace, struct instant now, int32_t node_id,
                       enum trace_kind kind)
{
    char text[POSIX_TRACE_LINE_MAX];
    struct trace_line line = {.at = text, .max = sizeof text - 2};
    struct posix_trace_flood *flood = &trace->floods[kind];
    struct trace_kind_info info;

    trace_kind_describe(kind, &info);
    line_head(&line, now, node_id, &info);
    line_add(&line, " and %" PRIu32 " more of this kind", flood->held);
    text[line.used] = '\n';
    trace_write(trace, text, line.used + 1);
    flood->held = 0;
    trace->held--;
}

void posix_trace_tell(struct posix_trace *trace, struct instant now, int32_t node_id, bool all)
{
    if (trace->held == 0 || (!all && now.mono.ns - trace->told_ns < NS_PER_SEC / 10)) return;
    trace->told_ns = now.mono.ns;
    for (uint32_t i = 0; i < TRACE_KIND_COUNT && trace->held > 0; i++) {
        struct posix_trace_flood *flood = &trace->floods[i];

        if (flood->held == 0) continue;
        if (!all && now.mono.ns - flood->since_ns < NS_PER_SEC) continue;
        trace_tell(trace, now, node_id, (enum trace_kind)i);
    }
}

/* True: no line for this one. */
static bool trace_holds(struct posix_trace *trace, struct instant now, int32_t node_id,
                        enum trace_kind kind)
{
    struct posix_trace_flood *flood = &trace->floods[kind];

    if (flood->lines == 0 || now.mono.ns - flood->since_ns >= NS_PER_SEC) {
        if (flood->held > 0) trace_tell(trace, now, node_id, kind);
        flood->since_ns = now.mono.ns;
        flood->lines = 0;
    }
    if (flood->lines < POSIX_TRACE_BURST) {
        flood->lines++;
        return false;
    }
    if (flood->held++ == 0) trace->held++;
    return true;
}

void posix_trace_event(struct posix_trace *trace, struct instant now, int32_t node_id,
                       const struct trace_event *event)
{
    char line[POSIX_TRACE_LINE_MAX];
    struct trace_kind_info info;
    size_t length;

    trace->count++;
    if (trace->taker != NULL) trace->taker->take(trace->taker, now, node_id, event);
    if (trace->fd < 0) return;
    trace_kind_describe(event->kind, &info);
    if (info.level == 'D') return;
    if (info.level == 'I' && trace_holds(trace, now, node_id, event->kind)) return;
    length = posix_trace_line(now, node_id, event, line);
    trace_write(trace, line, length);
}

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

size_t posix_trace_line(struct instant now, int32_t node_id, const struct trace_event *event,
                        char text[POSIX_TRACE_LINE_MAX])
{
    struct trace_line line = {.at = text, .max = POSIX_TRACE_LINE_MAX - 2};
    time_t seconds = (time_t)(now.wall.ms / 1000);
    struct trace_kind_info info;
    struct tm utc;
    const char *name;

    trace_kind_describe(event->kind, &info);
    gmtime_r(&seconds, &utc);
    line_add(&line, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %c [%" PRId32 "] %s", utc.tm_year + 1900,
             utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
             (int)(now.wall.ms % 1000), info.level, node_id, info.name);
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
    length = posix_trace_line(now, node_id, event, line);
    if (write(trace->fd, line, length) < 0) return; /* nobody to tell */
}

/* Where trace events go in production: levels I, W and E as lines for people, D nowhere; and an
 * optional second taker that gets these, or everything (a recorder). */
#ifndef CLIENT_POSIX_POSIX_TRACE_H
#define CLIENT_POSIX_POSIX_TRACE_H

#include "client/world/world.h"

/* Embedded by who takes events. Called on the loop's thread; the event is borrowed. */
struct posix_trace_taker {
    bool detail; /* set before the world is made: also those of level D */
    void (*take)(struct posix_trace_taker *taker, struct instant now, int32_t node_id,
                 const struct trace_event *event);
};

struct posix_trace {
    int fd; /* -1: no lines */
    uint64_t count;
    struct posix_trace_taker *taker; /* may be NULL */
};

enum { POSIX_TRACE_LINE_MAX = 1024 };

void posix_trace_event(struct posix_trace *trace, struct instant now, int32_t node_id,
                       const struct trace_event *event);
/* The line of an event, terminated, with its newline; cut when too long. Returns its length. */
size_t posix_trace_line(struct instant now, int32_t node_id, const struct trace_event *event,
                        char line[POSIX_TRACE_LINE_MAX]);

#endif

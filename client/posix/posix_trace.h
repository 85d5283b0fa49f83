/* Where trace events go in production: levels I, W and E as lines for people, D nowhere; and an
 * optional second taker that gets these, or everything (a recorder).
 *
 * Of one kind of level I the first POSIX_TRACE_BURST of a second become lines, the others a number
 * in one line after it: a start with 100,000 partitions would write most of a million. W and E are
 * never held back, the taker gets all. */
#ifndef CLIENT_POSIX_POSIX_TRACE_H
#define CLIENT_POSIX_POSIX_TRACE_H

#include "client/world/world.h"

/* Embedded by who takes events. Called on the loop's thread; the event is borrowed. */
struct posix_trace_taker {
    bool detail; /* set before the world is made: also those of level D */
    void (*take)(struct posix_trace_taker *taker, struct instant now, int32_t node_id,
                 const struct trace_event *event);
};

enum { POSIX_TRACE_LINE_MAX = 1024, POSIX_TRACE_BURST = 200 };

/* Of one kind, in a second that begins with a line. */
struct posix_trace_flood {
    int64_t since_ns;
    uint32_t lines;
    uint32_t held;
};

struct posix_trace {
    int fd; /* -1: no lines */
    uint64_t count;
    struct posix_trace_taker *taker; /* may be NULL */
    uint32_t held;                   /* kinds with events that were held back */
    int64_t told_ns;                 /* when they were looked at */
    struct posix_trace_flood floods[TRACE_KIND_COUNT];
};

void posix_trace_event(struct posix_trace *trace, struct instant now, int32_t node_id,
                       const struct trace_event *event);
/* One line for each kind of which events were held back: where its second is over, looked at ten
 * times a second, or for all. */
void posix_trace_tell(struct posix_trace *trace, struct instant now, int32_t node_id, bool all);
/* The line of an event, terminated, with its newline; cut when too long. Returns its length. */
size_t posix_trace_line(struct instant now, int32_t node_id, const struct trace_event *event,
                        char line[POSIX_TRACE_LINE_MAX]);

#endif

/* The last trace events of a run, for its report: fixed places, oldest overwritten, nothing
 * formatted before somebody reads. Names of topics are remembered from topic.known. */
#ifndef SIM_RING_H
#define SIM_RING_H

#include "client/world/trace.h"

#include <stdbool.h>

enum { RING_EVENTS = 1 << 14, RING_TEXT_MAX = 47, RING_TOPICS_MAX = 64, RING_LINE_MAX = 512 };

struct ring_event {
    int64_t time_ns;
    int32_t node; /* -1: the simulator */
    uint16_t kind;
    uint16_t field_count;
    int64_t fields[TRACE_FIELDS_MAX];
    char text[RING_TEXT_MAX + 1];
};

struct ring {
    struct ring_event *events;
    uint64_t count; /* ever */
    struct {
        int64_t id;
        char name[64];
    } topics[RING_TOPICS_MAX];
    uint32_t topic_count;
};

struct ring *ring_create(void);
void ring_destroy(struct ring *ring);
void ring_add(struct ring *ring, int64_t time_ns, int32_t node, const struct trace_event *event);
/* The n-th from the end (0: the last); NULL: gone or never there. */
const struct ring_event *ring_last(const struct ring *ring, uint64_t n);
/* One line for people; `zero_ns` is subtracted from its time. */
void ring_print(const struct ring *ring, const struct ring_event *event, int64_t zero_ns,
                char line[RING_LINE_MAX]);
/* The name of a topic by its short identity; "?" when nobody told it. */
const char *ring_topic(const struct ring *ring, int64_t id);
/* One of those that people read first: not level D. */
bool ring_matters(const struct ring_event *event);

#endif

#include "sim/ring.h"

#include "client/world/world.h"
#include "sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ring *ring_create(void)
{
    struct ring *ring = sim_alloc(sizeof *ring);

    ring->events = sim_alloc(RING_EVENTS * sizeof *ring->events);
    return ring;
}

void ring_destroy(struct ring *ring)
{
    if (ring == NULL) return;
    free(ring->events);
    free(ring);
}

static void ring_note_topic(struct ring *ring, const struct trace_event *event)
{
    uint32_t i = 0;

    while (i < ring->topic_count && ring->topics[i].id != event->fields[0])
        i++;
    if (i < ring->topic_count || i == RING_TOPICS_MAX) return;
    ring->topics[i].id = event->fields[0];
    (void)snprintf(ring->topics[i].name, sizeof ring->topics[i].name, "%.*s", STR_ARG(event->text));
    ring->topic_count++;
}

void ring_add(struct ring *ring, int64_t time_ns, int32_t node, const struct trace_event *event)
{
    struct ring_event *place = &ring->events[ring->count++ % RING_EVENTS];
    uint32_t length = event->text.length < RING_TEXT_MAX ? event->text.length : RING_TEXT_MAX;

    if (event->kind == TRACE_TOPIC_KNOWN) ring_note_topic(ring, event);
    place->time_ns = time_ns;
    place->node = node;
    place->kind = (uint16_t)event->kind;
    place->field_count = (uint16_t)event->field_count;
    memcpy(place->fields, event->fields, event->field_count * sizeof(int64_t));
    if (length > 0) memcpy(place->text, event->text.data, length);
    place->text[length] = '\0';
}

const struct ring_event *ring_last(const struct ring *ring, uint64_t n)
{
    if (n >= ring->count || n >= RING_EVENTS) return NULL;
    return &ring->events[(ring->count - 1 - n) % RING_EVENTS];
}

const char *ring_topic(const struct ring *ring, int64_t id)
{
    for (uint32_t i = 0; i < ring->topic_count; i++) {
        if (ring->topics[i].id == id) return ring->topics[i].name;
    }
    return "?";
}

bool ring_matters(const struct ring_event *event)
{
    struct trace_kind_info info;

    trace_kind_describe((enum trace_kind)event->kind, &info);
    return info.level != 'D';
}

void ring_print(const struct ring *ring, const struct ring_event *event, int64_t zero_ns,
                char line[RING_LINE_MAX])
{
    struct trace_kind_info info;
    int64_t time_us = (event->time_ns - zero_ns) / 1000;
    const char *names;
    size_t used;

    trace_kind_describe((enum trace_kind)event->kind, &info);
    used =
        (size_t)snprintf(line, RING_LINE_MAX, "%s%3lld.%06llds ", time_us < 0 ? "-" : " ",
                         (long long)llabs(time_us / 1000000), (long long)llabs(time_us % 1000000));
    if (event->node < 0) {
        used += (size_t)snprintf(line + used, RING_LINE_MAX - used, "   sim %-20s", info.name);
    } else {
        used += (size_t)snprintf(line + used, RING_LINE_MAX - used, "%6d %-20s", (int)event->node,
                                 info.name);
    }
    names = info.fields;
    for (uint32_t i = 0; i < event->field_count && used + 80 < RING_LINE_MAX; i++) {
        int length = (int)strcspn(names, " ");

        if (length == 5 && strncmp(names, "topic", 5) == 0 && event->fields[i] != 0 &&
            i + 1 < event->field_count) {
            used += (size_t)snprintf(line + used, RING_LINE_MAX - used, " %s",
                                     ring_topic(ring, event->fields[i]));
        } else {
            used += (size_t)snprintf(line + used, RING_LINE_MAX - used, " %.*s=%lld", length, names,
                                     (long long)event->fields[i]);
        }
        names += length;
        while (*names == ' ')
            names++;
    }
    if (event->text[0] != '\0') {
        (void)snprintf(line + used, RING_LINE_MAX - used, " \"%s\"", event->text);
    }
}

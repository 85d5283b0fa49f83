#include "reports/calls.h"

#include "client/base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    API_PRODUCE = 0,
    API_FETCH = 1,
    /* A change later than this after a message is not put down to it. */
    BLAME_NS = 1000000000,
};

void calls_init(struct calls *calls)
{
    for (uint32_t i = 0; i < CALL_BUCKETS; i++)
        calls->buckets[i] = -1;
    for (int32_t i = 0; i < STORY_CALLS_MAX; i++) {
        calls->entries[i].state = CALL_FREE;
        calls->entries[i].next = i + 1 < STORY_CALLS_MAX ? i + 1 : -1;
    }
    calls->free = 0;
}

static int32_t *bucket_of(struct calls *calls, int64_t conn, int64_t correlation)
{
    uint64_t hash = ((uint64_t)conn * 31 + (uint64_t)correlation) * 0x9e3779b97f4a7c15u;

    return &calls->buckets[hash >> 52];
}

static struct call_entry *find(struct calls *calls, int64_t conn, int64_t correlation)
{
    int32_t at = *bucket_of(calls, conn, correlation);

    for (; at >= 0; at = calls->entries[at].next) {
        struct call_entry *entry = &calls->entries[at];

        if (entry->conn == conn && entry->correlation == correlation) return entry;
    }
    return NULL;
}

static void forget(struct calls *calls, struct call_entry *entry)
{
    int32_t index = (int32_t)(entry - calls->entries);
    int32_t *link = bucket_of(calls, entry->conn, entry->correlation);

    while (*link != index) {
        ASSERT(*link >= 0);
        link = &calls->entries[*link].next;
    }
    *link = entry->next;
    entry->state = CALL_FREE;
    entry->next = calls->free;
    calls->free = index;
}

static struct call_entry *add(struct calls *calls, int64_t conn, int64_t correlation)
{
    int32_t index = calls->free;
    struct call_entry *entry = find(calls, conn, correlation);
    int32_t *bucket;

    if (entry != NULL) return entry; /* a number used again: the later one counts */
    if (index < 0) {
        calls->refused++;
        return NULL;
    }
    entry = &calls->entries[index];
    calls->free = entry->next;
    bucket = bucket_of(calls, conn, correlation);
    *entry = (struct call_entry){.conn = conn, .correlation = correlation, .next = *bucket};
    *bucket = index;
    return entry;
}

static int32_t store(struct story *story, const struct story_message *message)
{
    if (story->message_count == STORY_MESSAGES_MAX) {
        story->dropped++;
        return -1;
    }
    if (story->message_count == story->messages_capacity) {
        story->messages_capacity = story->messages_capacity > 0 ? 2 * story->messages_capacity : 64;
        story->messages =
            realloc(story->messages, story->messages_capacity * sizeof story->messages[0]);
        ASSERT(story->messages != NULL);
    }
    story->messages[story->message_count] = *message;
    return (int32_t)story->message_count++;
}

static void arrive(struct call_inbound *inbound, const struct call_entry *entry, bool answer,
                   int64_t now_ns)
{
    *inbound = (struct call_inbound){.there = true, .stored = -1, .offset = -1};
    inbound->message = (struct story_message){
        .sent_ns = answer ? entry->answered_ns : entry->sent_ns,
        .received_ns = now_ns,
        .from = answer ? entry->to : entry->from,
        .to = answer ? entry->from : entry->to,
        .api = entry->api,
        .answer = answer,
    };
}

static void requested(struct calls *calls, const struct call_entry *entry, int64_t now_ns)
{
    enum call_sort sort = entry->api == API_FETCH     ? CALL_FETCH
                          : entry->api == API_PRODUCE ? CALL_PRODUCE
                                                      : CALL_OTHER;

    arrive(&calls->inbound[entry->to][sort], entry, false, now_ns);
}

static void replied(struct calls *calls, const struct call_entry *entry, int64_t now_ns)
{
    if (entry->api == API_FETCH) {
        arrive(&calls->fetched[entry->from][entry->to], entry, true, now_ns);
        return;
    }
    arrive(&calls->inbound[entry->from]
                          [entry->api == API_PRODUCE ? CALL_PRODUCE_REPLY : CALL_OTHER_REPLY],
           entry, true, now_ns);
}

/* What ended in an error: worth an arrow when it is a produce or an answer with records. */
static int32_t lose(struct story *story, const struct call_entry *entry, int64_t now_ns)
{
    bool answer = entry->state == CALL_ANSWERED;
    struct story_message message = {.received_ns = now_ns, .api = entry->api, .lost = true};

    if (entry->state == CALL_SERVED || entry->to < 0 || entry->from == entry->to) return -1;
    if (entry->api != API_PRODUCE) return -1;
    message.answer = answer;
    message.sent_ns = answer ? entry->answered_ns : entry->sent_ns;
    message.from = answer ? entry->to : entry->from;
    message.to = answer ? entry->from : entry->to;
    message.flow = STORY_FLOW_CLIENT;
    snprintf(message.label, sizeof message.label, answer ? "answer lost" : "Produce lost");
    return store(story, &message);
}

int32_t calls_take(struct calls *calls, struct story *story, const struct trace_event *event,
                   int16_t node, int64_t now_ns)
{
    struct call_entry *entry;
    int32_t lost = -1;

    if (event->kind == TRACE_RPC_SENT) {
        entry = add(calls, event->fields[0], event->fields[1]);
        if (entry == NULL) return -1;
        entry->from = node;
        entry->to = (int16_t)story_find_node(story, event->fields[5]);
        entry->api = (int16_t)event->fields[2];
        entry->sent_ns = now_ns;
        entry->state = CALL_ASKED;
        return -1;
    }
    entry = find(calls, event->fields[0], event->fields[1]);
    if (entry == NULL) return -1; /* its beginning is not in the trace */
    if (event->kind == TRACE_RPC_RECEIVED && entry->state == CALL_ASKED) {
        entry->to = node;
        entry->state = CALL_SERVED;
        story_arrive(story, now_ns);
        requested(calls, entry, now_ns);
    } else if (event->kind == TRACE_RPC_ANSWERED && entry->state == CALL_SERVED) {
        entry->answered_ns = now_ns;
        entry->state = CALL_ANSWERED;
    } else if (event->kind == TRACE_RPC_REPLIED) {
        if (event->fields[4] != ERR_NONE) {
            lost = lose(story, entry, now_ns);
        } else if (entry->state == CALL_ANSWERED) {
            story_arrive(story, now_ns);
            replied(calls, entry, now_ns);
        }
        forget(calls, entry);
    }
    return lost;
}

void calls_node_down(struct calls *calls, int16_t node)
{
    for (uint32_t i = 0; i < STORY_CALLS_MAX; i++) {
        struct call_entry *entry = &calls->entries[i];

        if (entry->state != CALL_FREE && entry->from == node) forget(calls, entry);
    }
    for (uint32_t i = 0; i < CALL_SORTS; i++)
        calls->inbound[node][i].there = false;
    for (uint32_t i = 0; i < STORY_NODES_MAX; i++)
        calls->fetched[node][i].there = false;
}

int32_t calls_blame(struct story *story, struct call_inbound *inbound, int64_t now_ns,
                    enum story_flow flow, const char *label)
{
    struct story_message *message;
    size_t length;

    if (!inbound->there || now_ns - inbound->message.received_ns > BLAME_NS) return -1;
    if (inbound->message.from == inbound->message.to) return -1;
    if (inbound->stored < 0) {
        inbound->message.flow = (uint8_t)flow;
        inbound->stored = store(story, &inbound->message);
        if (inbound->stored < 0) return -1;
    }
    message = &story->messages[inbound->stored];
    length = strlen(message->label);
    if (strstr(message->label, label) == NULL && length + strlen(label) + 3 < STORY_LABEL) {
        snprintf(message->label + length, STORY_LABEL - length, "%s%s", length > 0 ? ", " : "",
                 label);
    }
    return inbound->stored;
}

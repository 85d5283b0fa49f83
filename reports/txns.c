#include "reports/txns.h"

#include "client/base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_BACK = 16, LEAD_BACK = 4096 };

static void *grow(struct txns *txns, void **table, uint32_t *count, uint32_t *room, uint32_t max,
                  size_t size)
{
    if (*count == max) {
        txns->dropped++;
        return NULL;
    }
    if (*count == *room) {
        *room = *room > 0 ? 2 * *room : 64;
        if (*room > max) *room = max;
        *table = realloc(*table, *room * size);
        ASSERT(*table != NULL);
    }
    return (char *)*table + (size_t)(*count)++ * size;
}

#define GROW(txns, table, count, room, max)                                     \
    grow((txns), (void **)&(txns)->table, &(txns)->count, &(txns)->room, (max), \
         sizeof *(txns)->table)

/* ---- who and where --------------------------------------------------------------------------- */

static void know_topic(struct txns *txns, int64_t topic, struct str name)
{
    for (uint32_t i = 0; i < txns->topic_count; i++)
        if (txns->topics[i].topic == topic) return;
    if (txns->topic_count == TXNS_TOPICS || name.length == 0) return;
    txns->topics[txns->topic_count].topic = topic;
    out_copy(txns->topics[txns->topic_count].name, sizeof txns->topics[0].name, name);
    txns->topic_count++;
}

void txns_topic_name(const struct txns *txns, int64_t topic, char *text, size_t size)
{
    for (uint32_t i = 0; i < txns->topic_count; i++) {
        if (txns->topics[i].topic != topic) continue;
        snprintf(text, size, "%.24s", txns->topics[i].name);
        return;
    }
    snprintf(text, size, "topic %llx", (unsigned long long)topic);
}

void txns_part_name(const struct txns *txns, uint32_t part, char *text, size_t size)
{
    char topic[40];

    txns_topic_name(txns, txns->parts[part].topic, topic, sizeof topic);
    snprintf(text, size, "%s-%d", topic, (int)txns->parts[part].partition);
}

static struct txns_part *find_part(const struct txns *txns, int64_t topic, int64_t partition)
{
    for (uint32_t i = 0; i < txns->part_count; i++)
        if (txns->parts[i].topic == topic && txns->parts[i].partition == partition)
            return &txns->parts[i];
    return NULL;
}

static struct txns_part *enter_part(struct txns *txns, int64_t topic, int64_t partition)
{
    struct txns_part *part = find_part(txns, topic, partition);

    if (part != NULL) return part;
    part = GROW(txns, parts, part_count, part_room, TXNS_PARTS_MAX);
    if (part == NULL) return NULL;
    *part = (struct txns_part){.topic = topic,
                               .partition = (int32_t)partition,
                               .hw_epoch = -1,
                               .top_epoch = -1,
                               .top = -1};
    return part;
}

static struct txns_producer *enter_producer(struct txns *txns, int64_t id)
{
    struct txns_producer *producer;

    for (uint32_t i = 0; i < txns->producer_count; i++)
        if (txns->producers[i].id == id) return &txns->producers[i];
    producer = GROW(txns, producers, producer_count, producer_room, TXNS_PRODUCERS_MAX);
    if (producer != NULL) *producer = (struct txns_producer){.id = id, .latest = -1, .node = -1};
    return producer;
}

/* ---- transactions ---------------------------------------------------------------------------- */

static bool has_marker(const struct txns_one *one)
{
    for (uint32_t i = 0; i < one->part_count; i++)
        if (one->parts[i].marker >= 0) return true;
    return false;
}

/* Of this epoch and not ended yet; a new one if there is none. A producer that began in an epoch,
 * wrote nothing and goes on in another one is still in the same transaction. */
static struct txns_one *enter(struct txns *txns, struct txns_producer *producer, int64_t epoch,
                              int64_t now_ns, uint64_t number)
{
    int32_t at = producer->latest;
    struct txns_one *one;

    for (uint32_t i = 0; i < LOOK_BACK && at >= 0; i++, at = txns->all[at].before)
        if (txns->all[at].epoch == epoch && !has_marker(&txns->all[at])) return &txns->all[at];
    one = producer->latest >= 0 ? &txns->all[producer->latest] : NULL;
    if (one != NULL && one->decided_ns < 0 && one->part_count == 0) {
        one->epoch = epoch;
        return one;
    }
    one = GROW(txns, all, count, room, TXNS_MAX);
    if (one == NULL) return NULL;
    *one = (struct txns_one){.begin_ns = now_ns,
                             .decided_ns = -1,
                             .number = number,
                             .epoch = epoch,
                             .before = producer->latest,
                             .producer = (uint16_t)(producer - txns->producers)};
    producer->latest = (int32_t)(txns->count - 1);
    return one;
}

static struct txns_in *part_of(struct txns_one *one, uint32_t part)
{
    for (uint32_t i = 0; i < one->part_count; i++)
        if (one->parts[i].part == part) return &one->parts[i];
    return NULL;
}

static void take_first(struct txns *txns, struct txns_producer *producer, struct txns_part *part,
                       const struct trace_event *event, int64_t now_ns, uint64_t number)
{
    struct txns_one *one = enter(txns, producer, event->fields[3], now_ns, number);
    uint32_t index = (uint32_t)(part - txns->parts);
    struct txns_in *in = one != NULL ? part_of(one, index) : NULL;

    if (one == NULL) return;
    if (in == NULL) {
        if (one->part_count == TXNS_PARTS) {
            one->parts_hidden++;
            return;
        }
        in = &one->parts[one->part_count++];
        *in = (struct txns_in){.begin_ns = now_ns, .part = (uint16_t)index};
    }
    in->first = event->fields[5];
    in->marker = -1;
    in->lost = false;
    if (part->pending_count == TXNS_PENDING)
        txns->dropped++;
    else
        part->pending[part->pending_count++] = (uint32_t)(one - txns->all);
}

static void take_marker(struct txns *txns, struct txns_producer *producer, struct txns_part *part,
                        const struct trace_event *event, int64_t now_ns)
{
    int32_t at = producer->latest;

    for (uint32_t i = 0; i < LOOK_BACK && at >= 0; i++, at = txns->all[at].before) {
        struct txns_in *in = part_of(&txns->all[at], (uint32_t)(part - txns->parts));

        if (in == NULL || in->lost || in->marker >= 0) continue;
        in->marker = event->fields[5];
        in->marker_ns = now_ns;
        in->result = (uint8_t)event->fields[4];
        return;
    }
}

static void take_log(struct txns *txns, const struct trace_event *event, int64_t now_ns,
                     uint64_t number)
{
    const int64_t *f = event->fields;
    struct txns_part *part = enter_part(txns, f[0], f[1]);
    struct txns_producer *producer = enter_producer(txns, f[2]);

    if (part == NULL || producer == NULL || f[4] < 0 || f[4] > 2 || f[5] < 0) return;
    if (f[6] < part->top_epoch || (f[6] == part->top_epoch && f[5] <= part->top)) return;
    part->top_epoch = f[6];
    part->top = f[5];
    if (f[4] == 0)
        take_first(txns, producer, part, event, now_ns, number);
    else
        take_marker(txns, producer, part, event, now_ns);
}

static void take_client(struct txns *txns, const struct trace_event *event, int16_t node,
                        int64_t now_ns, uint64_t number)
{
    const int64_t *f = event->fields;
    struct txns_producer *producer;
    struct txns_one *one;

    if (f[0] < 0) return; /* it has no id yet */
    producer = enter_producer(txns, f[0]);
    if (producer == NULL) return;
    producer->node = node;
    one = enter(txns, producer, f[1], now_ns, number);
    if (one == NULL || f[2] < 1 || f[2] > 2) return;
    one->decided_ns = now_ns;
    one->decision = (uint8_t)f[2];
}

/* What was above the log of who leads now is nowhere any more. */
static void take_leading(struct txns *txns, const struct trace_event *event)
{
    const int64_t *f = event->fields;
    struct txns_part *part = find_part(txns, f[0], f[1]);
    uint32_t at = txns->count;

    if (part == NULL || f[2] <= part->top_epoch) return;
    part->top_epoch = f[2];
    part->top = f[3] - 1;
    for (uint32_t i = 0; i < LEAD_BACK && at > 0; i++) {
        struct txns_in *in = part_of(&txns->all[--at], (uint32_t)(part - txns->parts));

        if (in == NULL) continue;
        if (in->first >= f[3]) in->lost = true;
        if (in->marker >= f[3]) {
            in->marker = -1;
            if (!in->lost && part->pending_count < TXNS_PENDING)
                part->pending[part->pending_count++] = at;
        }
    }
}

static void take_hw(struct txns *txns, const struct trace_event *event, int64_t now_ns)
{
    const int64_t *f = event->fields;
    struct txns_part *part = find_part(txns, f[0], f[1]);
    struct txns_sample *sample;
    int64_t lso = f[3];
    uint32_t kept = 0;

    if (part == NULL || f[4] != TRACE_ROLE_LEADER || f[5] < part->hw_epoch) return;
    part->hw_epoch = f[5];
    for (uint32_t i = 0; i < part->pending_count; i++) {
        const struct txns_in *in =
            part_of(&txns->all[part->pending[i]], (uint32_t)(part - txns->parts));

        if (in == NULL || in->lost || (in->marker >= 0 && in->marker < f[3])) continue;
        if (in->first < lso) lso = in->first;
        part->pending[kept++] = part->pending[i];
    }
    part->pending_count = kept;
    sample = GROW(txns, samples, sample_count, sample_room, TXNS_SAMPLES_MAX);
    if (sample != NULL)
        *sample = (struct txns_sample){now_ns, f[3], lso, (uint16_t)(part - txns->parts), false};
}

static void take_read(struct txns *txns, const struct trace_event *event, int64_t now_ns)
{
    const int64_t *f = event->fields;
    struct txns_part *part = find_part(txns, f[0], f[1]);
    struct txns_sample *sample;

    if (part == NULL || f[6] == 0 || f[3] <= f[2]) return;
    sample = GROW(txns, samples, sample_count, sample_room, TXNS_SAMPLES_MAX);
    if (sample != NULL)
        *sample = (struct txns_sample){now_ns, f[5], f[3], (uint16_t)(part - txns->parts), true};
}

void txns_take(struct txns *txns, const struct trace_event *event, int16_t node, int64_t now_ns,
               uint64_t number)
{
    switch ((int)event->kind) {
    case TRACE_TOPIC_KNOWN: know_topic(txns, event->fields[0], event->text); return;
    case TRACE_LOG_TXN: take_log(txns, event, now_ns, number); return;
    case TRACE_CLIENT_TXN: take_client(txns, event, node, now_ns, number); return;
    case TRACE_REPLICA_LEADING: take_leading(txns, event); return;
    case TRACE_REPLICA_HW: take_hw(txns, event, now_ns); return;
    case TRACE_READ_SERVED: take_read(txns, event, now_ns); return;
    default: return;
    }
}

void txns_free(struct txns *txns)
{
    free(txns->all);
    free(txns->producers);
    free(txns->parts);
    free(txns->samples);
    *txns = (struct txns){.all = NULL};
}

/* ---- questions ------------------------------------------------------------------------------- */

enum txns_result txns_result(const struct txns_one *one)
{
    enum txns_result result = (enum txns_result)one->decision;

    for (uint32_t i = 0; i < one->part_count; i++) {
        if (one->parts[i].lost) continue;
        if (one->parts[i].marker < 0) return TXNS_OPEN;
        result = (enum txns_result)one->parts[i].result;
    }
    return result;
}

int64_t txns_end(const struct txns_one *one, int64_t trace_end_ns)
{
    int64_t end_ns = one->decided_ns > one->begin_ns ? one->decided_ns : one->begin_ns;

    if (txns_result(one) == TXNS_OPEN) return trace_end_ns;
    for (uint32_t i = 0; i < one->part_count; i++)
        if (!one->parts[i].lost && one->parts[i].marker_ns > end_ns)
            end_ns = one->parts[i].marker_ns;
    return end_ns;
}

const char *txns_word(enum txns_result result)
{
    switch (result) {
    case TXNS_OPEN: return "open";
    case TXNS_COMMITTED: return "committed";
    case TXNS_ABORTED: return "aborted";
    }
    return "open";
}

/* Longer than another: open ones are longest; of equals the earlier. */
static bool longer(const struct txns *txns, uint32_t a, uint32_t b, int64_t end_ns)
{
    const struct txns_one *x = &txns->all[a];
    const struct txns_one *y = &txns->all[b];
    bool x_open = txns_result(x) == TXNS_OPEN;
    bool y_open = txns_result(y) == TXNS_OPEN;
    int64_t x_ns = txns_end(x, end_ns) - x->begin_ns;
    int64_t y_ns = txns_end(y, end_ns) - y->begin_ns;

    if (x_open != y_open) return x_open;
    return x_ns != y_ns ? x_ns > y_ns : a < b;
}

uint32_t txns_longest(const struct txns *txns, int64_t from_ns, int64_t to_ns, uint32_t *chosen,
                      uint32_t max)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < txns->count; i++) {
        const struct txns_one *one = &txns->all[i];
        uint32_t at = count;

        if (one->begin_ns > to_ns || txns_end(one, to_ns) < from_ns) continue;
        while (at > 0 && longer(txns, i, chosen[at - 1], to_ns))
            at--;
        if (at == max) continue;
        if (count < max) count++;
        memmove(chosen + at + 1, chosen + at, (count - 1 - at) * sizeof chosen[0]);
        chosen[at] = i;
    }
    for (uint32_t i = 1; i < count; i++) { /* they are numbered by their beginning */
        for (uint32_t k = i; k > 0 && chosen[k] < chosen[k - 1]; k--) {
            uint32_t other = chosen[k];

            chosen[k] = chosen[k - 1];
            chosen[k - 1] = other;
        }
    }
    return count;
}

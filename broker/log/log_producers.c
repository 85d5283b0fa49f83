#include "broker/log/log_producers.h"

#include "client/base/byteorder.h"

#include <string.h>

enum {
    SNAPSHOT_HEAD = 10,
    SNAPSHOT_ENTRY = 46,
    SNAPSHOT_VERSION = 1,
    WINDOW_HEAD = 10, /* same head: version, crc of the rest, count */
    WINDOW_ENTRY = 36,
    WINDOW_VERSION = 1,
    WINDOW_MARK = 2, /* the same, and the log is synced up to there */
};

void log_producers_init(struct log_producers *producers, struct mem *mem, uint32_t max)
{
    *producers = (struct log_producers){.mem = mem, .max = max};
    list_init(&producers->age);
    list_init(&producers->open);
    list_init(&producers->ended);
}

void log_producers_take(struct log_producers *to, struct log_producers *from)
{
    *to = *from;
    list_init(&to->age);
    list_init(&to->open);
    list_init(&to->ended);
    list_splice(&to->age, &from->age);
    list_splice(&to->open, &from->open);
    list_splice(&to->ended, &from->ended);
    from->index = NULL;
    from->count = 0;
}

static void log_producers_drop_index(struct log_producers *producers)
{
    if (producers->index == NULL) return;
    map_deinit(producers->index);
    mem_free(producers->mem, producers->index, sizeof *producers->index);
    producers->index = NULL;
}

/* Without memory for it they are looked through, only slower. */
static void log_producers_make_index(struct log_producers *producers)
{
    struct map *index = mem_alloc(producers->mem, sizeof *index);

    if (index == NULL) return;
    /* Ids are given out by our own controller: no seed is needed against chosen keys. */
    map_init(index, producers->mem, 0, producers->max);
    producers->index = index;
    LIST_FOR_EACH (link, &producers->age) {
        struct log_producer *producer = LIST_ENTRY(link, struct log_producer, age);

        if (map_add_u64(index, &producer->node, (uint64_t)producer->id) == ERR_NONE) continue;
        while (index->count > 0)
            map_remove(index, map_first(index));
        log_producers_drop_index(producers);
        return;
    }
}

static void log_producers_drop(struct log_producers *producers, struct log_producer *producer)
{
    ASSERT(list_empty(&producer->staged));
    if (producers->index != NULL) map_remove(producers->index, &producer->node);
    if (--producers->count == 0) log_producers_drop_index(producers);
    list_remove(&producer->age);
    list_remove(&producer->open);
    if (producer->batches != &producer->one)
        mem_free(producers->mem, producer->batches,
                 LOG_PRODUCER_BATCHES * sizeof producer->batches[0]);
    mem_free(producers->mem, producer, sizeof *producer);
}

/* Room for a second batch and more. */
static bool log_producers_widen(struct log_producers *producers, struct log_producer *producer)
{
    struct log_producer_batch *batches;

    if (producer->batches != &producer->one) return true;
    batches = mem_alloc(producers->mem, LOG_PRODUCER_BATCHES * sizeof *batches);
    if (batches == NULL) return false;
    batches[0] = producer->one;
    producer->batches = batches;
    return true;
}

static void log_producers_drop_ended(struct log_producers *producers,
                                     struct log_producer_ended *ended)
{
    list_remove(&ended->link);
    mem_free(producers->mem, ended, sizeof *ended);
}

void log_producers_clear(struct log_producers *producers)
{
    while (!list_empty(&producers->ended))
        log_producers_drop_ended(
            producers, LIST_ENTRY(producers->ended.next, struct log_producer_ended, link));
    while (!list_empty(&producers->age))
        log_producers_drop(producers, LIST_ENTRY(producers->age.next, struct log_producer, age));
}

void log_producers_deinit(struct log_producers *producers)
{
    log_producers_clear(producers);
    ASSERT(producers->count == 0 && producers->index == NULL);
}

struct log_producer *log_producers_find(const struct log_producers *producers, int64_t id)
{
    if (producers->index != NULL) {
        struct map_node *node = map_find_u64(producers->index, (uint64_t)id);

        return node == NULL ? NULL : MAP_ENTRY(node, struct log_producer, node);
    }
    LIST_FOR_EACH (link, &producers->age) {
        struct log_producer *producer = LIST_ENTRY(link, struct log_producer, age);

        if (producer->id == id) return producer;
    }
    return NULL;
}

/* At the maximum the idlest one goes, so that nobody is refused; its next batch is then taken with
 * any sequence, as from a producer that expired. */
static bool log_producers_make_room(struct log_producers *producers)
{
    if (producers->count < producers->max) return true;
    LIST_FOR_EACH (link, &producers->age) {
        struct log_producer *producer = LIST_ENTRY(link, struct log_producer, age);

        if (!list_empty(&producer->staged) || producer->txn_first_offset >= 0) continue;
        log_producers_drop(producers, producer);
        return true;
    }
    return false;
}

static struct log_producer *log_producers_enter(struct log_producers *producers, int64_t id,
                                                int16_t epoch)
{
    struct log_producer *producer = log_producers_find(producers, id);

    if (producer != NULL) return producer;
    if (!log_producers_make_room(producers)) return NULL;
    producer = mem_alloc(producers->mem, sizeof *producer);
    if (producer == NULL) return NULL;
    *producer = (struct log_producer){.id = id,
                                      .epoch = epoch,
                                      .last_timestamp = -1,
                                      .seen_ms = producers->clock_ms,
                                      .txn_first_offset = -1,
                                      .coordinator_epoch = -1};
    producer->batches = &producer->one;
    list_init(&producer->staged);
    list_init(&producer->age);
    list_init(&producer->open);
    if (producers->index != NULL &&
        map_add_u64(producers->index, &producer->node, (uint64_t)id) != ERR_NONE) {
        mem_free(producers->mem, producer, sizeof *producer);
        return NULL;
    }
    list_push(&producers->age, &producer->age);
    producers->count++;
    if (producers->index == NULL && producers->count > LOG_PRODUCERS_FEW)
        log_producers_make_index(producers);
    return producer;
}

/* ---- check ---------------------------------------------------------------------------------- */

static bool log_producers_same(const struct log_producer_batch *known,
                               const struct record_batch *batch)
{
    return known->first_sequence == batch->base_sequence &&
           known->offset_delta == batch->last_offset_delta;
}

static int32_t log_producers_last_sequence(const struct log_producer_batch *batch)
{
    return record_batch_sequence_add(batch->first_sequence, batch->offset_delta);
}

/* The batch among the last five of its epoch, staged ones first. */
static bool log_producers_original(const struct log_producer *producer,
                                   const struct record_batch *batch,
                                   struct log_producer_batch *original)
{
    uint32_t left = LOG_PRODUCER_BATCHES;

    for (struct list *link = producer->staged.prev; link != &producer->staged && left > 0;
         link = link->prev, left--) {
        const struct log_producer_staged *staged =
            LIST_ENTRY(link, struct log_producer_staged, link);

        if (staged->epoch != batch->producer_epoch) return false;
        if (staged->batch.first_sequence < 0) left++; /* a marker is none of the five */
        if (log_producers_same(&staged->batch, batch)) {
            *original = staged->batch;
            return true;
        }
    }
    if (producer->epoch != batch->producer_epoch) return false;
    for (uint32_t i = producer->count; i > 0 && left > 0; i--, left--) {
        if (log_producers_same(&producer->batches[i - 1], batch)) {
            *original = producer->batches[i - 1];
            return true;
        }
    }
    return false;
}

static int16_t log_producers_epoch(const struct log_producer *producer)
{
    if (list_empty(&producer->staged)) return producer->epoch;
    return LIST_ENTRY(producer->staged.prev, struct log_producer_staged, link)->epoch;
}

/* The batch that the next one of this epoch follows; markers have no sequence. NULL: none. */
static const struct log_producer_batch *log_producers_last(const struct log_producer *producer,
                                                           int16_t epoch)
{
    for (struct list *link = producer->staged.prev; link != &producer->staged; link = link->prev) {
        const struct log_producer_staged *staged =
            LIST_ENTRY(link, struct log_producer_staged, link);

        if (staged->epoch != epoch) return NULL;
        if (staged->batch.first_sequence >= 0) return &staged->batch;
    }
    if (producer->epoch != epoch || producer->count == 0) return NULL;
    return &producer->batches[producer->count - 1];
}

/* A transaction is open, with what is staged. */
static bool log_producers_in_txn(const struct log_producer *producer)
{
    for (struct list *link = producer->staged.prev; link != &producer->staged; link = link->prev) {
        switch (LIST_ENTRY(link, struct log_producer_staged, link)->step) {
        case LOG_PRODUCER_PLAIN: break;
        case LOG_PRODUCER_TXN: return true;
        case LOG_PRODUCER_COMMIT:
        case LOG_PRODUCER_ABORT:
        case LOG_PRODUCER_EMPTIED: return false;
        }
    }
    return producer->txn_first_offset >= 0;
}

enum log_producer_verdict log_producers_check_epochs(const struct log_producers *producers,
                                                     const struct record_batch *batch,
                                                     int32_t coordinator_epoch)
{
    const struct log_producer *producer = log_producers_find(producers, batch->producer_id);
    int32_t coordinator;

    if (producer == NULL) return LOG_PRODUCER_NEXT;
    if (batch->producer_epoch < log_producers_epoch(producer)) return LOG_PRODUCER_FENCED;
    if (!record_batch_is_control(batch)) return LOG_PRODUCER_NEXT;
    coordinator = producer->coordinator_epoch;
    LIST_FOR_EACH (link, &producer->staged) {
        const struct log_producer_staged *staged =
            LIST_ENTRY(link, struct log_producer_staged, link);

        if (staged->coordinator_epoch > coordinator) coordinator = staged->coordinator_epoch;
    }
    return coordinator_epoch < coordinator ? LOG_PRODUCER_COORDINATOR_FENCED : LOG_PRODUCER_NEXT;
}

enum log_producer_verdict log_producers_check(const struct log_producers *producers,
                                              const struct record_batch *batch,
                                              struct log_producer_batch *original)
{
    const struct log_producer *producer = log_producers_find(producers, batch->producer_id);
    const struct log_producer_batch *last;
    int16_t epoch;

    ASSERT(batch->producer_id >= 0);
    if (producer == NULL) return LOG_PRODUCER_NEXT; /* unknown: any sequence */
    epoch = log_producers_epoch(producer);
    if (batch->producer_epoch < epoch) return LOG_PRODUCER_FENCED;
    if (batch->producer_epoch == epoch) {
        if (log_producers_original(producer, batch, original)) return LOG_PRODUCER_DUPLICATE;
        last = log_producers_last(producer, epoch);
        /* Known by a marker only: nothing to continue (KAFKA-5793 answers any sequence too). */
        if (last != NULL &&
            batch->base_sequence != record_batch_sequence_add(log_producers_last_sequence(last), 1))
            return LOG_PRODUCER_OUT_OF_ORDER;
    } else if (batch->base_sequence != 0) {
        return LOG_PRODUCER_OUT_OF_ORDER;
    }
    if (!record_batch_is_transactional(batch) && log_producers_in_txn(producer))
        return LOG_PRODUCER_IN_TXN;
    return LOG_PRODUCER_NEXT;
}

/* ---- stage and apply ------------------------------------------------------------------------ */

static struct log_producer_batch log_producers_entry(const struct record_batch *batch)
{
    return (struct log_producer_batch){.last_offset = record_batch_last_offset(batch),
                                       .timestamp = batch->max_timestamp,
                                       .first_sequence = batch->base_sequence,
                                       .offset_delta = batch->last_offset_delta};
}

/* A control batch that does not parse, or is none of a transaction, does nothing: its crc is right,
 * so that is what its writer meant. */
static void log_producers_step(const struct record_batch *batch, enum log_producer_step *step,
                               int32_t *coordinator_epoch)
{
    struct record_marker marker;

    *coordinator_epoch = -1;
    *step = record_batch_is_transactional(batch) ? LOG_PRODUCER_TXN : LOG_PRODUCER_PLAIN;
    if (!record_batch_is_control(batch)) return;
    *step = LOG_PRODUCER_PLAIN;
    if (batch->record_count == 0) *step = LOG_PRODUCER_EMPTIED;
    if (record_marker_read(batch, &marker) != ERR_NONE) return;
    if (marker.type == CONTROL_COMMIT) *step = LOG_PRODUCER_COMMIT;
    if (marker.type == CONTROL_ABORT) *step = LOG_PRODUCER_ABORT;
    *coordinator_epoch = marker.coordinator_epoch;
}

/* Known by what was staged alone, and that is gone. */
static void log_producers_forget(struct log_producers *producers, struct log_producer *producer)
{
    if (list_empty(&producer->staged) && producer->count == 0 && producer->last_timestamp < 0)
        log_producers_drop(producers, producer);
}

enum err log_producers_stage(struct log_producers *producers, struct log_producer_staged *staged,
                             const struct record_batch *batch)
{
    struct log_producer *producer =
        log_producers_enter(producers, batch->producer_id, batch->producer_epoch);

    list_init(&staged->link);
    if (producer == NULL) return ERR_NO_MEMORY;
    if ((producer->count > 0 || !list_empty(&producer->staged)) &&
        !log_producers_widen(producers, producer))
        return ERR_NO_MEMORY;
    staged->batch = log_producers_entry(batch);
    staged->epoch = batch->producer_epoch;
    staged->ended = NULL;
    staged->turned = false;
    log_producers_step(batch, &staged->step, &staged->coordinator_epoch);
    if (staged->step == LOG_PRODUCER_COMMIT || staged->step == LOG_PRODUCER_ABORT) {
        staged->ended = mem_alloc(producers->mem, sizeof *staged->ended);
        if (staged->ended == NULL) {
            log_producers_forget(producers, producer);
            return ERR_NO_MEMORY;
        }
    }
    list_push(&producer->staged, &staged->link);
    return ERR_NONE;
}

void log_producers_unstage(struct log_producers *producers, struct log_producer_staged *staged)
{
    struct list *head = staged->link.next; /* the newest: what follows is the producer's head */
    struct log_producer *producer = LIST_ENTRY(head, struct log_producer, staged);

    list_remove(&staged->link);
    mem_free(producers->mem, staged->ended, sizeof *staged->ended);
    log_producers_forget(producers, producer);
}

/* By first offset: what begins later comes later; only a snapshot has them in any order. */
static void log_producers_begin(struct log_producers *producers, struct log_producer *producer,
                                int64_t first_offset)
{
    struct list *after = producers->open.prev;

    producer->txn_first_offset = first_offset;
    while (after != &producers->open &&
           LIST_ENTRY(after, struct log_producer, open)->txn_first_offset > first_offset)
        after = after->prev;
    list_push_front(after, &producer->open);
}

/* The marker ends what is open, if anything is; `ended` is used or freed. The last stable offset of
 * an index entry is what it is once this one counts no more (Kafka's ProducerStateManager). */
static void log_producers_end(struct log_producers *producers, struct log_producer *producer,
                              struct log_producer_ended *ended, int64_t last_offset, bool abort,
                              struct log_aborted *aborted)
{
    int64_t first = producer->txn_first_offset;

    producer->txn_first_offset = -1;
    list_remove(&producer->open);
    if (first < 0) {
        mem_free(producers->mem, ended, sizeof *ended);
        return;
    }
    *ended = (struct log_producer_ended){.first_offset = first, .last_offset = last_offset};
    list_init(&ended->link);
    list_push(&producers->ended, &ended->link);
    if (!abort) return;
    *aborted = (struct log_aborted){.producer_id = producer->id,
                                    .first_offset = first,
                                    .last_offset = last_offset,
                                    .last_stable = last_offset + 1};
    if (!list_empty(&producers->open))
        aborted->last_stable =
            LIST_ENTRY(producers->open.next, struct log_producer, open)->txn_first_offset;
}

static void log_producers_enter_txn(struct log_producers *producers, struct log_producer *producer,
                                    const struct record_batch *batch,
                                    struct log_producer_staged *staged, struct log_aborted *aborted)
{
    switch (staged->step) {
    case LOG_PRODUCER_PLAIN: return;
    case LOG_PRODUCER_TXN:
        staged->turned = producer->txn_first_offset < 0;
        if (staged->turned) log_producers_begin(producers, producer, batch->base_offset);
        return;
    case LOG_PRODUCER_COMMIT:
    case LOG_PRODUCER_ABORT:
        staged->turned = producer->txn_first_offset >= 0;
        producer->coordinator_epoch = staged->coordinator_epoch;
        log_producers_end(producers, producer, staged->ended, record_batch_last_offset(batch),
                          staged->step == LOG_PRODUCER_ABORT, aborted);
        return;
    case LOG_PRODUCER_EMPTIED:
        producer->txn_first_offset = -1;
        list_remove(&producer->open);
        return;
    }
    IMPOSSIBLE("step of a transaction");
}

static void log_producers_enter_batch(struct log_producers *producers,
                                      struct log_producer *producer,
                                      const struct record_batch *batch)
{
    if (batch->producer_epoch != producer->epoch) producer->count = 0;
    producer->epoch = batch->producer_epoch;
    producer->last_timestamp = batch->max_timestamp;
    producer->seen_ms = producers->clock_ms;
    list_remove(&producer->age);
    list_push(&producers->age, &producer->age);
    if (record_batch_is_control(batch) || batch->base_sequence < 0) return;
    if (producer->count == LOG_PRODUCER_BATCHES) {
        memmove(producer->batches, producer->batches + 1,
                (LOG_PRODUCER_BATCHES - 1) * sizeof producer->batches[0]);
        producer->count--;
    }
    producer->batches[producer->count++] = log_producers_entry(batch);
}

enum err log_producers_apply(struct log_producers *producers, const struct record_batch *batch,
                             struct log_aborted *aborted)
{
    struct log_producer_staged staged;
    enum err err;

    aborted->producer_id = -1;
    if (batch->producer_id < 0) return ERR_NONE;
    err = log_producers_stage(producers, &staged, batch);
    if (err == ERR_NONE) log_producers_complete(producers, &staged, batch, aborted);
    return err;
}

void log_producers_complete(struct log_producers *producers, struct log_producer_staged *staged,
                            const struct record_batch *batch, struct log_aborted *aborted)
{
    struct log_producer *producer;

    aborted->producer_id = -1;
    if (!list_linked(&staged->link)) return;
    ASSERT(staged->batch.last_offset == record_batch_last_offset(batch));
    list_remove(&staged->link);
    producer = log_producers_find(producers, batch->producer_id);
    ASSERT(producer != NULL);
    log_producers_enter_batch(producers, producer, batch);
    log_producers_enter_txn(producers, producer, batch, staged, aborted);
}

void log_producers_replicated(struct log_producers *producers, int64_t high_watermark)
{
    while (!list_empty(&producers->ended)) {
        struct log_producer_ended *ended =
            LIST_ENTRY(producers->ended.next, struct log_producer_ended, link);

        if (ended->last_offset >= high_watermark) return;
        log_producers_drop_ended(producers, ended);
    }
}

int64_t log_producers_first_unstable(const struct log_producers *producers)
{
    int64_t first = -1;

    if (!list_empty(&producers->open))
        first = LIST_ENTRY(producers->open.next, struct log_producer, open)->txn_first_offset;
    LIST_FOR_EACH (link, &producers->ended) {
        const struct log_producer_ended *ended = LIST_ENTRY(link, struct log_producer_ended, link);

        if (first < 0 || ended->first_offset < first) first = ended->first_offset;
    }
    return first;
}

void log_producers_expire(struct log_producers *producers, int64_t idle_ms)
{
    LIST_FOR_EACH_SAFE (link, after, &producers->age) {
        struct log_producer *producer = LIST_ENTRY(link, struct log_producer, age);

        if (producers->clock_ms - producer->seen_ms <= idle_ms) break; /* and all behind it */
        if (producer->txn_first_offset >= 0) continue;
        if (list_empty(&producer->staged)) log_producers_drop(producers, producer);
    }
}

/* ---- files ---------------------------------------------------------------------------------- */

static void log_producers_head(struct cpu cpu, uint8_t *file, uint16_t version, uint32_t count,
                               const uint8_t *end)
{
    be_put16(file, version);
    be_put32(file + 6, count);
    be_put32(file + 2, crc32c(cpu, version - 1U, file + 6, (size_t)(end - file - 6)));
}

/* Version, crc (which begins with the version) and length of the whole; *count: of the entries. */
static bool log_producers_head_fits(struct cpu cpu, struct bytes file, uint16_t version,
                                    uint32_t entry_size, uint32_t *count)
{
    if (file.length < SNAPSHOT_HEAD || be_get16(file.data) != version) return false;
    *count = be_get32(file.data + 6);
    if ((uint64_t)*count * entry_size + SNAPSHOT_HEAD != file.length) return false;
    return crc32c(cpu, version - 1U, file.data + 6, file.length - 6) == be_get32(file.data + 2);
}

size_t log_producers_snapshot_size(const struct log_producers *producers)
{
    return SNAPSHOT_HEAD + (size_t)producers->count * SNAPSHOT_ENTRY;
}

/* Its batches below `end`: they are in order. */
static uint32_t log_producers_below(const struct log_producer *producer, int64_t end)
{
    uint32_t count = producer->count;

    while (count > 0 && producer->batches[count - 1].last_offset >= end)
        count--;
    return count;
}

static int64_t log_producers_txn_below(const struct log_producer *producer, int64_t end)
{
    return producer->txn_first_offset < end ? producer->txn_first_offset : -1;
}

/* Only what is in the log counts: a producer known by a staged batch alone has no entry. Where the
 * marker stands of one that is known by that alone nobody knows: it counts. */
static bool log_producers_saved(const struct log_producer *producer, int64_t end)
{
    if (producer->count == 0) return producer->last_timestamp >= 0;
    return log_producers_below(producer, end) > 0 || log_producers_txn_below(producer, end) >= 0;
}

size_t log_producers_snapshot(const struct log_producers *producers, int64_t end, struct cpu cpu,
                              uint8_t *at)
{
    uint8_t *file = at;
    uint32_t count = 0;

    at += SNAPSHOT_HEAD;
    LIST_FOR_EACH (link, &producers->age) {
        const struct log_producer *p = LIST_ENTRY(link, struct log_producer, age);
        uint32_t below = log_producers_below(p, end);
        const struct log_producer_batch *last = below > 0 ? &p->batches[below - 1] : NULL;
        int64_t timestamp = below > 0 && below < p->count ? last->timestamp : p->last_timestamp;

        if (!log_producers_saved(p, end)) continue;
        be_put64(at, (uint64_t)p->id);
        be_put16(at + 8, (uint16_t)p->epoch);
        be_put32(at + 10, last ? (uint32_t)log_producers_last_sequence(last) : UINT32_MAX);
        be_put64(at + 14, last ? (uint64_t)last->last_offset : UINT64_MAX);
        be_put32(at + 22, last ? (uint32_t)last->offset_delta : 0);
        be_put64(at + 26, (uint64_t)timestamp);
        be_put32(at + 34, (uint32_t)p->coordinator_epoch);
        be_put64(at + 38, (uint64_t)log_producers_txn_below(p, end));
        at += SNAPSHOT_ENTRY;
        count++;
    }
    log_producers_head(cpu, file, SNAPSHOT_VERSION, count, at);
    return (size_t)(at - file);
}

/* Window: the batches before the newest, oldest first. Entry: int64 producer id, int64 last offset,
 * int64 timestamp, int32 first sequence, int32 offset delta, int32 zero. */
size_t log_producers_window_size(const struct log_producers *producers)
{
    return WINDOW_HEAD + (size_t)producers->count * (LOG_PRODUCER_BATCHES - 1) * WINDOW_ENTRY;
}

size_t log_producers_window(const struct log_producers *producers, int64_t end, struct cpu cpu,
                            uint8_t *at, bool mark)
{
    uint8_t *file = at;
    uint32_t count = 0;

    at += WINDOW_HEAD;
    LIST_FOR_EACH (link, &producers->age) {
        const struct log_producer *p = LIST_ENTRY(link, struct log_producer, age);
        uint32_t below = log_producers_below(p, end);

        for (uint32_t i = 0; i + 1 < below; i++, at += WINDOW_ENTRY, count++) {
            be_put64(at, (uint64_t)p->id);
            be_put64(at + 8, (uint64_t)p->batches[i].last_offset);
            be_put64(at + 16, (uint64_t)p->batches[i].timestamp);
            be_put32(at + 24, (uint32_t)p->batches[i].first_sequence);
            be_put32(at + 28, (uint32_t)p->batches[i].offset_delta);
            be_put32(at + 32, 0);
        }
    }
    log_producers_head(cpu, file, mark ? WINDOW_MARK : WINDOW_VERSION, count, at);
    return (size_t)(at - file);
}

bool log_producers_marks(struct cpu cpu, struct bytes window)
{
    uint32_t count;

    return log_producers_head_fits(cpu, window, WINDOW_MARK, WINDOW_ENTRY, &count);
}

/* One entry of the snapshot. */
static enum err log_producers_load_one(struct log_producers *producers, const uint8_t *at)
{
    int64_t id = (int64_t)be_get64(at);
    int32_t last_sequence = (int32_t)be_get32(at + 10);
    int32_t delta = (int32_t)be_get32(at + 22);
    struct log_producer *p;

    if (id < 0 || log_producers_find(producers, id) != NULL || delta < 0) return ERR_DAMAGED;
    p = log_producers_enter(producers, id, (int16_t)be_get16(at + 8));
    if (p == NULL) return ERR_NO_MEMORY;
    p->last_timestamp = (int64_t)be_get64(at + 26);
    p->coordinator_epoch = (int32_t)be_get32(at + 34);
    if ((int64_t)be_get64(at + 38) >= 0)
        log_producers_begin(producers, p, (int64_t)be_get64(at + 38));
    if (last_sequence < 0) return ERR_NONE;
    p->batches[p->count++] = (struct log_producer_batch){
        .last_offset = (int64_t)be_get64(at + 14),
        .timestamp = p->last_timestamp,
        .first_sequence =
            (int32_t)(((uint32_t)last_sequence - (uint32_t)delta) & (uint32_t)INT32_MAX),
        .offset_delta = delta};
    return ERR_NONE;
}

enum err log_producers_load(struct log_producers *producers, struct cpu cpu, struct bytes snapshot,
                            struct bytes window)
{
    uint32_t count;
    enum err err;

    ASSERT(producers->count == 0);
    if (!log_producers_head_fits(cpu, snapshot, SNAPSHOT_VERSION, SNAPSHOT_ENTRY, &count))
        return ERR_DAMAGED;
    for (uint32_t i = 0; i < count; i++) {
        err = log_producers_load_one(producers,
                                     snapshot.data + SNAPSHOT_HEAD + (size_t)i * SNAPSHOT_ENTRY);
        if (err == ERR_NONE) continue;
        log_producers_clear(producers);
        return err;
    }
    if (!log_producers_head_fits(cpu, window, WINDOW_VERSION, WINDOW_ENTRY, &count) &&
        !log_producers_head_fits(cpu, window, WINDOW_MARK, WINDOW_ENTRY, &count))
        return ERR_NONE;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *at = window.data + WINDOW_HEAD + (size_t)i * WINDOW_ENTRY;
        struct log_producer *p = log_producers_find(producers, (int64_t)be_get64(at));
        struct log_producer_batch batch = {.last_offset = (int64_t)be_get64(at + 8),
                                           .timestamp = (int64_t)be_get64(at + 16),
                                           .first_sequence = (int32_t)be_get32(at + 24),
                                           .offset_delta = (int32_t)be_get32(at + 28)};

        if (p == NULL || p->count == 0 || p->count == LOG_PRODUCER_BATCHES) continue;
        if (!log_producers_widen(producers, p)) {
            log_producers_clear(producers);
            return ERR_NO_MEMORY;
        }
        p->batches[p->count] = p->batches[p->count - 1]; /* the newest stays last */
        p->batches[p->count - 1] = batch;
        p->count++;
    }
    return ERR_NONE;
}

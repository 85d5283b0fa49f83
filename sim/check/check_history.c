/* What clients saw, judged as from outside: C1 to C9, R34 (clients.md 8, simulation.md 4.4).
 *
 * Every value of the workload is unique within its partition. A result that is unclear stays open
 * for ever: the send may have happened or not. A value below 0 is not the workload's.
 * A tombstone (CHECK_TOMBSTONE) has a name like all others: readers tell which it is.
 * A reader is a client node and a partition: one consumer of a node at a time, without a group;
 * CLIENT_POSITION moves it. Of a transactional client a value counts when CLIENT_DECIDED says so
 * (T1). A stream is a client node, a partition and a key (`trace_key`).
 * Losses that were paid for void what was said before them above the offset they began at. */
#include "sim/check/check_private.h"

#include <stdlib.h>

enum { GAP_SCAN_MAX = 4096 };

void check_history_destroy(struct check *check)
{
    check_table_deinit(&check->values_by_key);
    check_table_deinit(&check->contents_by_key);
    check_table_deinit(&check->streams_by_key);
    check_table_deinit(&check->readers_by_key);
    free(check->values.items);
    free(check->contents.items);
    free(check->streams.items);
    free(check->readers.items);
    free(check->gaps.items);
}

static struct check_at at_history(uint32_t node, const struct check_part *part, int64_t offset)
{
    return (struct check_at){node, part, -1, offset};
}

/* ---- what is known --------------------------------------------------------------------------- */

static struct check_value *value_of(struct check *check, const struct check_part *part,
                                    int64_t value)
{
    uint32_t found = check_table_get(&check->values_by_key, part->index, (uint64_t)value);
    struct check_value fresh = {.part = part->index,
                                .value = value,
                                .stream = UINT32_MAX,
                                .acked_offset = -1,
                                .read_offset = -1};

    if (found == 0) {
        CHECK_PUSH(&check->values, fresh);
        found = check->values.count;
        check_table_set(&check->values_by_key, part->index, (uint64_t)value, found);
    }
    return &check->values.items[found - 1];
}

static struct check_content *content_at(struct check *check, uint32_t part, int64_t offset)
{
    uint32_t found = check_table_get(&check->contents_by_key, part, (uint64_t)offset);

    return found == 0 ? NULL : &check->contents.items[found - 1];
}

static bool content_void(const struct check *check, const struct check_part *part, int64_t offset,
                         const struct check_content *content)
{
    (void)check;
    return check_replica_void(part, offset, content->time_ns);
}

/* C1, C9: what acknowledgements and readers say of one offset. */
static void content(struct check *check, uint32_t node, const struct check_part *part,
                    int64_t offset, int64_t value, bool read)
{
    struct check_content fresh = {.value = value, .time_ns = check->now_ns, .read = read};
    struct check_content *known = content_at(check, part->index, offset);

    check_count(check, CHECK_C1);
    if (known == NULL) {
        CHECK_PUSH(&check->contents, fresh);
        check_table_set(&check->contents_by_key, part->index, (uint64_t)offset,
                        check->contents.count);
        return;
    }
    if (content_void(check, part, offset, known)) {
        *known = fresh;
        return;
    }
    if (known->value != value && known->read != read) {
        CHECK_FAIL(check, C9, at_history(node, part, offset),
                   "offset %D was acknowledged for value %D, and readers find %D there", offset,
                   read ? known->value : value, read ? value : known->value);
        return;
    }
    if (known->value != value) {
        CHECK_FAIL(check, C1, at_history(node, part, offset),
                   "offset %D was %s value %D, and for another value, %D, before", offset,
                   read ? "read with" : "acknowledged for", value, known->value);
        return;
    }
    if (read) known->read = true;
}

/* ---- sends ----------------------------------------------------------------------------------- */

static void sent(struct check *check, uint32_t node, const struct check_part *part,
                 const struct trace_event *event)
{
    struct check_value *value = value_of(check, part, check_field(event, 2));
    uint64_t stream_key = (uint64_t)node << 32 | part->index;
    uint64_t key = (uint64_t)check_field(event, 3);
    uint32_t stream = check_table_get(&check->streams_by_key, stream_key, key);
    struct check_stream fresh = {.max_sequence = -1,
                                 .max_offset = -1,
                                 .newest = -1,
                                 .open_tombstone = -1,
                                 .keyed = key != 0};

    if (value->sent) return; /* another attempt */
    if (stream == 0) {
        CHECK_PUSH(&check->streams, fresh);
        stream = check->streams.count;
        check_table_set(&check->streams_by_key, stream_key, key, stream);
    }
    value->sent = true;
    value->sent_ns = check->now_ns;
    value->stream = stream - 1;
    value->sequence = check->streams.items[stream - 1].sent++;
}

/* A compaction may take a record when one of its key stands behind it (S24). What is newest is
 * known at the end only: an acknowledgement may come late. */
static void stream_reaches(struct check *check, const struct check_value *value, int64_t offset)
{
    struct check_stream *stream;

    if (value->stream == UINT32_MAX) return;
    stream = &check->streams.items[value->stream];
    if (offset > stream->newest) stream->newest = offset;
}

static bool superseded(const struct check *check, const struct check_part *part,
                       const struct check_value *value, int64_t offset)
{
    const struct check_stream *stream;
    int64_t open;

    if (offset >= part->cleaned_to || value->stream == UINT32_MAX) return false;
    stream = &check->streams.items[value->stream];
    open = stream->open_tombstone;
    if (!stream->keyed) return false;
    if (stream->newest > offset) return true;
    return check->config.idempotent ? open > value->sequence : open >= 0; /* any order */
}

/* A tombstone that was never acknowledged may have stood behind what its client sent before; once
 * its time is over a compaction takes it, and no reader can tell of it. */
static void open_tombstones(struct check *check)
{
    for (uint32_t i = 0; i < check->values.count; i++) {
        const struct check_value *value = &check->values.items[i];
        struct check_stream *stream;

        if ((value->value & CHECK_TOMBSTONE) == 0 || !value->sent || value->acked || value->failed)
            continue;
        if (check->now_ns - value->sent_ns < check->config.delete_retention_ns) continue;
        stream = &check->streams.items[value->stream];
        if (value->sequence > stream->open_tombstone) stream->open_tombstone = value->sequence;
    }
}

/* Its time is counted from the acknowledgement, which comes before any cleaning that keeps it. */
static bool tombstone_over(const struct check *check, const struct check_part *part,
                           const struct check_value *value, int64_t offset)
{
    if ((value->value & CHECK_TOMBSTONE) == 0 || offset >= part->cleaned_to) return false;
    return check->now_ns - value->acked_ns >= check->config.delete_retention_ns;
}

static bool may_be_gone(const struct check *check, const struct check_part *part,
                        const struct check_value *value, int64_t offset)
{
    return superseded(check, part, value, offset) || tombstone_over(check, part, value, offset);
}

/* C8: the newest acknowledged value of its stream stands behind the others. */
static void send_order(struct check *check, uint32_t node, const struct check_part *part,
                       const struct check_value *value)
{
    struct check_stream *stream;
    bool newer;

    if (!check->config.idempotent || value->stream == UINT32_MAX) return;
    stream = &check->streams.items[value->stream];
    newer = value->sequence > stream->max_sequence;
    if (stream->max_sequence >= 0 && !part->forgiven) {
        check_count(check, CHECK_C8);
        if (newer != (value->acked_offset > stream->max_offset)) {
            CHECK_FAIL(check, C8, at_history(node, part, value->acked_offset),
                       "value %D, sent %s, stands at offset %D, and the other at %D", value->value,
                       newer ? "later" : "earlier", value->acked_offset, stream->max_offset);
            return;
        }
    }
    if (!newer) return;
    stream->max_sequence = value->sequence;
    stream->max_offset = value->acked_offset;
}

/* C9, of a value that was read elsewhere. As long as nobody has read the offset acknowledged, the
 * value may stand there as well, and then it is a duplicate (C2): the final drain tells. A retry of
 * a producer that is not idempotent leaves a value at two offsets, both true. */
static bool offsets_agree(struct check *check, uint32_t node, const struct check_part *part,
                          const struct check_value *value, bool all_read)
{
    const struct check_content *there;

    if (!value->acked || !value->read || !check->config.acks_all) return true;
    if (!check->config.idempotent) return true;
    check_count(check, CHECK_C9);
    if (value->acked_offset == value->read_offset ||
        check_replica_void(part, value->acked_offset, value->acked_ns) ||
        check_replica_void(part, value->read_offset, value->read_ns))
        return true;
    there = content_at(check, part->index, value->acked_offset);
    if (!all_read && (there == NULL || !there->read)) return true;
    CHECK_FAIL(check, C9, at_history(node, part, value->read_offset),
               "value %D was acknowledged at offset %D and read at %D", value->value,
               value->acked_offset, value->read_offset);
    return false;
}

/* In a transaction; the high half of a value is the number of its client. */
static bool transactional(const struct check *check, int64_t value)
{
    uint64_t client = (uint64_t)(value & ~CHECK_TOMBSTONE) >> 32;

    return value >= 0 && client < 64 && (check->config.transactional >> client & 1) != 0;
}

static void acked(struct check *check, uint32_t node, const struct check_part *part,
                  const struct trace_event *event)
{
    struct check_value *value = value_of(check, part, check_field(event, 2));

    if (check_field(event, 3) < 0) return; /* acks=0: nobody said where */
    value->acked = true;
    value->acked_offset = check_field(event, 3);
    value->acked_ns = check->now_ns;
    if (!transactional(check, value->value)) stream_reaches(check, value, value->acked_offset);
    if (!offsets_agree(check, node, part, value, false)) return;
    if (!check->config.acks_all) return;
    content(check, node, part, value->acked_offset, value->value, false);
    if (!check->violated) send_order(check, node, part, value);
}

static void phantom(struct check *check, uint32_t node, const struct check_part *part,
                    const struct check_value *value)
{
    check_count(check, CHECK_C4);
    if (!value->sent) {
        CHECK_FAIL(check, C4, at_history(node, part, value->read_offset),
                   "value %D was read and nobody had sent it", value->value);
    } else if (value->failed) {
        CHECK_FAIL(check, C4, at_history(node, part, value->read_offset),
                   "value %D was read, its send definitely failed", value->value);
    }
}

static bool aborted_at(struct check *check, const struct check_part *part, int64_t value)
{
    return transactional(check, value) && value_of(check, part, value)->aborted;
}

static void decided(struct check *check, const struct check_part *part,
                    const struct trace_event *event)
{
    struct check_value *value = value_of(check, part, check_field(event, 2));

    value->committed = check_field(event, 3) == 1;
    value->aborted = !value->committed;
    if (value->committed && value->acked) stream_reaches(check, value, value->acked_offset);
}

static void failed(struct check *check, uint32_t node, const struct check_part *part,
                   const struct trace_event *event)
{
    struct check_value *value = value_of(check, part, check_field(event, 2));

    if (check_field(event, 4) == 1) {
        value->failed = true;
    } else {
        value->unclear = true;
    }
    if (value->read) phantom(check, node, part, value);
}

/* ---- reads ----------------------------------------------------------------------------------- */

static struct check_reader *reader_of(struct check *check, uint32_t node,
                                      const struct check_part *part)
{
    uint32_t found = check_table_get(&check->readers_by_key, node, part->index);
    struct check_reader fresh = {.position = -1};

    if (found == 0) {
        CHECK_PUSH(&check->readers, fresh);
        found = check->readers.count;
        check_table_set(&check->readers_by_key, node, part->index, found);
    }
    return &check->readers.items[found - 1];
}

/* Offsets that a reader passed over: whose they are may come out later. */
static void passed_over(struct check *check, uint32_t node, const struct check_part *part,
                        int64_t from, int64_t to)
{
    struct check_gap gap = {part->index, check->nodes[node].id, from, to};

    for (int64_t offset = from; offset < to && offset - from < GAP_SCAN_MAX; offset++) {
        const struct check_content *known = content_at(check, part->index, offset);

        if (known == NULL || content_void(check, part, offset, known)) continue;
        if (offset < part->cleaned_to) continue; /* judged at the end */
        if (aborted_at(check, part, known->value)) continue;
        if (known->read) {
            CHECK_FAIL(check, C5, at_history(node, part, offset),
                       "a reader went from %D to %D: value %D, read at %D before, is missing", from,
                       to, known->value, offset);
        } else {
            CHECK_FAIL(check, C6, at_history(node, part, offset),
                       "poll-skip: a reader went from %D to %D, over acknowledged value %D at %D",
                       from, to, known->value, offset);
        }
        return;
    }
    if (check->gaps.count < CHECK_GAPS_MAX) CHECK_PUSH(&check->gaps, gap);
}

static void reader_moves(struct check *check, uint32_t node, const struct check_part *part,
                         int64_t offset)
{
    struct check_reader *reader = reader_of(check, node, part);
    int64_t from = reader->position;

    reader->position = offset + 1;
    if (from < 0) return;
    check_count(check, CHECK_C5);
    check_count(check, CHECK_C6);
    if (offset < from) {
        CHECK_FAIL(check, C6, at_history(node, part, offset),
                   "nonmonotonic-poll: a reader at %D was given offset %D", from, offset);
    } else if (offset > from) {
        passed_over(check, node, part, from, offset);
    }
}

/* C2, R34: one value, two offsets. A retry is known by what the leader has copied of its producer,
 * or was handed over with a log start above it (log_handover.c). */
static bool only_there(struct check *check, uint32_t node, const struct check_part *part,
                       const struct check_value *value, int64_t offset)
{
    if (!value->read || !check->config.idempotent) return true;
    check_count(check, value->unclear ? CHECK_R34 : CHECK_C2);
    if (value->read_offset == offset ||
        check_replica_void(part, value->read_offset, value->read_ns))
        return true;
    if (value->unclear) {
        CHECK_FAIL(check, R34, at_history(node, part, offset),
                   "value %D, whose send ended unclear, stands at offsets %D and %D", value->value,
                   value->read_offset, offset);
    } else {
        CHECK_FAIL(check, C2, at_history(node, part, offset),
                   "value %D stands at offsets %D and %D", value->value, value->read_offset,
                   offset);
    }
    return false;
}

static void was_read(struct check *check, uint32_t node, struct check_part *part,
                     const struct trace_event *event)
{
    int64_t offset = check_field(event, 2);
    int64_t number = check_field(event, 3);
    struct check_value *value;

    /* A broker that has not heard of the loss yet still serves the lost world. */
    if (part->forgiven && offset >= part->loss_from && check_field(event, 4) < part->loss_epoch) {
        reader_of(check, node, part)->position = -1;
        return;
    }
    reader_moves(check, node, part, offset);
    if (check->violated) return;
    if (number < 0) return;
    content(check, node, part, offset, number, true);
    if (check->violated) return;
    if (offset + 1 > part->read_end) part->read_end = offset + 1;
    part->drained = part->drained || check->phase >= 2;
    value = value_of(check, part, number);
    if (!only_there(check, node, part, value, offset)) return;
    if (transactional(check, number)) {
        check_count(check, CHECK_T1);
        if (!value->committed) {
            CHECK_FAIL(check, T1, at_history(node, part, offset),
                       "value %D at offset %D was read, its transaction %s", number, offset,
                       value->aborted ? "was aborted" : "is undecided");
            return;
        }
    }
    value->read = true;
    value->read_offset = offset;
    value->read_ns = check->now_ns;
    stream_reaches(check, value, offset);
    phantom(check, node, part, value);
    if (!check->violated) (void)offsets_agree(check, node, part, value, false);
}

bool check_history_event(struct check *check, uint32_t node, const struct trace_event *event)
{
    struct check_part *part;

    if (event->kind < TRACE_CLIENT_SEND || event->kind > TRACE_CLIENT_DECIDED) return false;
    part = check_part(check, check_field(event, 0), (int32_t)check_field(event, 1));
    if (event->kind == TRACE_CLIENT_POSITION) {
        reader_of(check, node, part)->position = check_field(event, 2);
        return true;
    }
    if (event->kind == TRACE_CLIENT_READ) {
        was_read(check, node, part, event);
        return true;
    }
    if (check_field(event, 2) < 0) return true;
    switch ((int)event->kind) {
    case TRACE_CLIENT_SEND: sent(check, node, part, event); break;
    case TRACE_CLIENT_ACKED: acked(check, node, part, event); break;
    case TRACE_CLIENT_FAILED: failed(check, node, part, event); break;
    case TRACE_CLIENT_DECIDED: decided(check, part, event); break;
    default: break;
    }
    return true;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void gaps_judged(struct check *check)
{
    for (uint32_t i = 0; i < check->gaps.count && !check->violated; i++) {
        const struct check_gap *gap = &check->gaps.items[i];
        const struct check_part *part = check->parts.items[gap->part];

        for (int64_t offset = gap->from; offset < gap->to && offset - gap->from < GAP_SCAN_MAX;
             offset++) {
            const struct check_content *known = content_at(check, gap->part, offset);

            if (known == NULL || part->forgiven || offset < part->kept_from) continue;
            if (aborted_at(check, part, known->value)) continue;
            if (may_be_gone(check, part, value_of(check, part, known->value), offset)) continue;
            if ((known->value & CHECK_TOMBSTONE) != 0 && offset < part->cleaned_to)
                continue; /* S25 */
            CHECK_FAIL(check, C6, at_history(check_node(check, gap->node), part, offset),
                       "poll-skip: a reader went from %D to %D, over value %D at %D", gap->from,
                       gap->to, known->value, offset);
            break;
        }
    }
}

/* Who read it before a compaction does not tell that it is still there; the final drain does, and
 * it is the last that reads in phase 2. */
static bool still_there(const struct check *check, const struct check_part *part,
                        const struct check_value *value)
{
    return value->read && (!part->drained || value->read_ns >= check->liveness_ns);
}

/* S24, S25: what a compaction has seen and had to leave. False: it has not. */
static bool compacted_keeps(struct check *check, const struct check_part *part,
                            const struct check_value *value)
{
    bool tombstone = (value->value & CHECK_TOMBSTONE) != 0;
    struct check_at at = at_history(UINT32_MAX, part, value->acked_offset);

    if (value->acked_offset >= part->cleaned_to || value->stream == UINT32_MAX) return true;
    check_count(check, tombstone ? CHECK_S25 : CHECK_S24);
    if (still_there(check, part, value) ||
        check_replica_void(part, value->acked_offset, value->acked_ns))
        return true;
    if (tombstone) {
        CHECK_FAIL(check, S25, at,
                   "the tombstone at offset %D, the newest of its key, is gone %D ms after it was "
                   "acknowledged",
                   value->acked_offset, (check->now_ns - value->acked_ns) / 1000000);
    } else {
        CHECK_FAIL(
            check, S24, at,
            "value %D at offset %D, the newest of its key, is gone; the log was compacted up "
            "to %D",
            value->value, value->acked_offset, part->cleaned_to);
    }
    return false;
}

/* C3, C7, C9: after a drain that read everything there was. */
void check_history_finish(struct check *check)
{
    open_tombstones(check);
    gaps_judged(check);
    if (check->violated || check->phase < 3 || !check->config.final_drain ||
        !check->config.acks_all)
        return;
    for (uint32_t i = 0; i < check->values.count; i++) {
        const struct check_value *value = &check->values.items[i];
        const struct check_part *part = check->parts.items[value->part];
        bool below = value->acked_offset < part->read_end;

        if (transactional(check, value->value) && !value->committed) continue;
        if (!value->acked || part->gone || value->acked_offset < part->kept_from) continue;
        if (may_be_gone(check, part, value, value->acked_offset)) continue;
        if (!offsets_agree(check, UINT32_MAX, part, value, true)) return;
        if (!compacted_keeps(check, part, value)) return;
        check_count(check, CHECK_C7);
        if (below) check_count(check, CHECK_C3);
        if (value->read || check_replica_void(part, value->acked_offset, value->acked_ns)) continue;
        if (below) {
            CHECK_FAIL(check, C3, at_history(UINT32_MAX, part, value->acked_offset),
                       "value %D, acknowledged at offset %D, was never read; readers got up to %D",
                       value->value, value->acked_offset, part->read_end - 1);
        } else {
            CHECK_FAIL(check, C7, at_history(UINT32_MAX, part, value->acked_offset),
                       "value %D, acknowledged at offset %D, was never read, not even by the final "
                       "drain, which ended at %D",
                       value->value, value->acked_offset, part->read_end);
        }
        return;
    }
}

/* The quorum and its log: flushes with their hint, cuts, what a leader appends (LeaderChange, and
 * the batches of the controller with their linger), and the way back of what is committed. */
#include "broker/raft/quorum_internal.h"

#include "client/base/assert.h"
#include "client/wire/record.h"
#include "client/wire/record_builder.h"
#include "wire/leader_change_message.h"

int32_t quorum_log_last_epoch(const struct quorum *quorum)
{
    int64_t end = quorum->log->log_end;
    int32_t epoch = end > quorum->log->log_start ? log_epochs_at(&quorum->log->epochs, end - 1)
                                                 : quorum->keep.start_epoch;

    return epoch >= 0 ? epoch : 0;
}

/* ---- flush and cut
 * ---------------------------------------------------------------------------- */

enum quorum_work_step {
    WORK_FLUSH,
    WORK_FLUSHED,
    WORK_HINTED,
    WORK_TRUNCATE,
    WORK_HINT_LOWERED,
    WORK_TRUNCATED,
    WORK_DISOWN,
    WORK_DISOWNED,
};

static const char *const quorum_work_steps[] = {
    "FLUSH", "FLUSHED", "HINTED", "TRUNCATE", "HINT_LOWERED", "TRUNCATED", "DISOWN", "DISOWNED",
};
_Static_assert(COUNT_OF(quorum_work_steps) == WORK_DISOWNED + 1, "one name a step");

/* Every write of the hint goes to the other slot. */
void quorum_log_put_hint(struct quorum *quorum, int64_t end)
{
    uint32_t at;

    quorum->hint_next = (struct quorum_hint){quorum->hint.sequence + 1, end};
    at = quorum_file_print_hint(quorum->hint_file.bytes, quorum->env->world->cpu,
                                &quorum->hint_next);
    quorum_file_patch(&quorum->hint_file, at, QUORUM_HINT_SLOT);
}

bool quorum_log_hinted(struct quorum *quorum)
{
    if (quorum->hint_next.sequence == quorum->hint.sequence) return true; /* none was needed */
    if (quorum->hint_file.err != ERR_NONE) {
        quorum->work.err = quorum->hint_file.err;
        return false;
    }
    quorum->hint = quorum->hint_next;
    return true;
}

static enum op_result quorum_log_work_run(struct op *op)
{
    struct quorum_work *o = CONTAINER_OF(op, struct quorum_work, op);
    struct quorum *q = CONTAINER_OF(o, struct quorum, work);

    switch ((enum quorum_work_step)op->step) {
    case WORK_FLUSH:
        if (q->log->synced_end < o->end) log_sync(q->log);
        AWAIT_KEY(o, WORK_FLUSHED, &q->log->synced_source, o->end,
                  q->log->synced_end >= o->end || q->log->state != LOG_OPEN);
        if (q->log->synced_end < o->end) {
            o->err = ERR_IO;
            return OP_DONE;
        }
        /* Durable first, then promised: a hint ahead of the log would disown good data. */
        if (q->hint.end < o->end) quorum_log_put_hint(q, o->end);
        AWAIT(o, WORK_HINTED, &q->hint_file.done_source, !q->hint_file.busy);
        (void)quorum_log_hinted(q);
        return OP_DONE;
    case WORK_TRUNCATE:
        /* Lowered first: a crash in between leaves a long log with a low hint, which is
         * harmless. Not of a member that lacks what it acknowledged: that stays known until it has
         * it again, over restarts too. */
        if (q->hint.end > o->end && !q->raft.distrusted) quorum_log_put_hint(q, o->end);
        AWAIT(o, WORK_HINT_LOWERED, &q->hint_file.done_source, !q->hint_file.busy);
        if (!quorum_log_hinted(q)) return OP_DONE;
        log_truncate(q->log, o->end);
        AWAIT(o, WORK_TRUNCATED, &q->log->state_source, q->log->state != LOG_TRUNCATING);
        if (q->log->state != LOG_OPEN || q->log->err != ERR_NONE) o->err = ERR_IO;
        return OP_DONE;
    case WORK_DISOWN:
        if (q->hint.end < o->end) quorum_log_put_hint(q, o->end);
        AWAIT(o, WORK_DISOWNED, &q->hint_file.done_source, !q->hint_file.busy);
        (void)quorum_log_hinted(q);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

void quorum_log_work_end(struct op *op)
{
    struct quorum_work *work = CONTAINER_OF(op, struct quorum_work, op);
    struct quorum *quorum = CONTAINER_OF(work, struct quorum, work);

    work->busy = false;
    work->done = true;
    /* What is appended now ends below the end that was watched for. */
    if (op_live(&quorum->watch.op)) op_resume(&quorum->watch.op);
    quorum_driver_wake(quorum);
}

static const struct op_kind quorum_work_kind = {"quorum_work", quorum_work_steps,
                                                COUNT_OF(quorum_work_steps), quorum_log_work_run,
                                                quorum_log_work_end};

void quorum_log_work(struct quorum *quorum, enum quorum_work_kind kind, int64_t end)
{
    struct quorum_work *work = &quorum->work;

    ASSERT(!work->busy && !work->done);
    work->kind = kind;
    work->end = end;
    work->err = ERR_NONE;
    work->busy = true;
    quorum->hint_next = quorum->hint;
    op_start(&quorum->env->loop, &work->op, &quorum_work_kind,
             kind == QUORUM_WORK_FLUSH    ? WORK_FLUSH
             : kind == QUORUM_WORK_DISOWN ? WORK_DISOWN
                                          : WORK_TRUNCATE);
}

/* ---- appends
 * ---------------------------------------------------------------------------------- */

void quorum_log_append(struct quorum *quorum, struct quorum_call *call)
{
    struct log_append append;
    enum err err;

    ASSERT(call != NULL);
    err = log_append_as_follower(quorum->log, call->call.frame.buf, call->records,
                                 quorum->raft.durable.epoch, &append);
    if (err == ERR_NONE && append.last_offset >= append.base_offset) {
        quorum_voting_note(quorum, call->records, append.last_offset + 1);
        return;
    }
    /* Damaged on the way, no memory, or nothing whole in it: not ours to judge, asked for again. */
    quorum->append_refused = true;
}

/* With a set that was only formatted the first leader of all writes it into the log. */
static struct buf *quorum_log_leader_change(struct quorum *quorum, int32_t epoch,
                                            struct quorum_voters *voters, struct bytes *batch)
{
    const struct raft *raft = &quorum->raft;
    struct leader_change_message_voter list[RAFT_VOTERS_MAX], granting[RAFT_VOTERS_MAX];
    struct leader_change_message message = {.leader_id = raft->config.node_id,
                                            .voters = list,
                                            .voters_count = raft->set.count,
                                            .granting_voters = granting};
    struct wire_writer writer;
    int16_t version = raft->set.dynamic ? 1 : 0;
    uint8_t value[512];

    for (uint32_t i = 0; i < raft->set.count; i++) {
        list[i] = (struct leader_change_message_voter){
            .voter_id = raft->set.ids[i], .voter_directory_id = raft->set.directories[i]};
        if (raft->granted[i]) granting[message.granting_voters_count++] = list[i];
    }
    message.version = version;
    wire_writer_init(&writer, value, sizeof value);
    if (leader_change_message_encode(&writer, version, &message) != ERR_NONE) {
        IMPOSSIBLE("nine voters fit");
    }
    if (raft->set.dynamic && raft->set.offset < 0 && quorum->log->log_start == 0) {
        *voters = quorum->voting.current;
        voters->offset = raft->epoch_start + 2; /* after LeaderChange and KRaftVersion */
    }
    return quorum_voting_batch(quorum, raft->epoch_start, epoch,
                               (struct bytes){value, (uint32_t)writer.used},
                               voters->count > 0 ? voters : NULL, batch);
}

static void quorum_log_give_up(struct quorum *quorum)
{
    quorum->resign_wanted = true;
    quorum->resign_epoch = quorum->raft.durable.epoch;
}

/* The first entry of an epoch is the leader's own (K16): it lets the high watermark pass older
 * ones. */
void quorum_log_lead(struct quorum *quorum, int32_t epoch)
{
    struct quorum_voters voters = {.count = 0};
    struct log_append append;
    struct bytes batch;
    struct buf *buf;
    enum err err = ERR_NO_MEMORY;

    if (quorum->log->assigned_end != quorum->raft.epoch_start) {
        quorum_log_give_up(quorum);
        return;
    }
    buf = quorum_log_leader_change(quorum, epoch, &voters, &batch);
    if (buf != NULL) {
        err = log_append_as_leader(quorum->log, buf, batch, epoch, LOG_RAFT, &append);
        buf_unref(buf);
    }
    if (err != ERR_NONE) {
        quorum_log_give_up(quorum);
        return;
    }
    if (voters.count > 0) quorum_voting_await(quorum, &voters);
    quorum->append_epoch = epoch;
    quorum->next_offset = append.last_offset + 1;
    quorum->drained_end = quorum->next_offset;
    op_wake(&quorum->change_source); /* a change of an epoch before is lost */
}

void quorum_log_unlead(struct quorum *quorum)
{
    while (quorum->batch_count > 0) {
        buf_unref(quorum->batches[quorum->batch_first].buf);
        quorum->batches[quorum->batch_first].buf = NULL;
        quorum->batch_first = (quorum->batch_first + 1) % QUORUM_BATCHES_MAX;
        quorum->batch_count--;
    }
    quorum->batch_bytes = 0;
    quorum->append_epoch = -1;
    op_wake(&quorum->change_source);
    op_wake(&quorum->hw_source);
    op_wake(&quorum->applied_source);
}

/* ---- linger
 * ----------------------------------------------------------------------------------- */

static bool quorum_log_may_drain(const struct quorum *quorum)
{
    return quorum->batch_count > 0 && !quorum->storing && quorum->raft.state == RAFT_LEADER &&
           quorum->raft.durable.epoch == quorum->append_epoch && quorum->log->state == LOG_OPEN;
}

/* At once when nothing is in flight; else what comes meanwhile is gathered, for as long as the
 * linger allows, so that it shares a flush. */
bool quorum_log_drain_ready(const struct quorum *quorum)
{
    if (!quorum_log_may_drain(quorum)) return false;
    return quorum->drain_wanted || quorum->raft.flushed_end >= quorum->drained_end ||
           quorum->batch_bytes >= QUORUM_BATCH_MAX || quorum->batch_count == QUORUM_BATCHES_MAX ||
           quorum->env->now.mono.ns >= quorum->linger_until_ns;
}

int64_t quorum_log_drain_deadline(const struct quorum *quorum)
{
    return quorum_log_may_drain(quorum) ? quorum->linger_until_ns : INT64_MAX;
}

void quorum_log_drain(struct quorum *quorum)
{
    quorum->drain_wanted = false;
    while (quorum->batch_count > 0) {
        struct quorum_batch *batch = &quorum->batches[quorum->batch_first];
        struct log_append append;
        enum err err = log_append_as_leader(quorum->log, batch->buf, batch->bytes, batch->epoch,
                                            LOG_RAFT, &append);

        if (err != ERR_NONE) {
            /* The offsets are promised already; what cannot be kept ends the epoch. */
            quorum_log_give_up(quorum);
            quorum_log_unlead(quorum);
            return;
        }
        ASSERT(append.base_offset == batch->base_offset);
        ASSERT(append.last_offset == batch->last_offset);
        if (batch->voters) quorum_voting_note(quorum, batch->bytes, batch->last_offset + 1);
        quorum->drained_end = append.last_offset + 1;
        quorum->batch_bytes -= batch->bytes.length;
        buf_unref(batch->buf);
        batch->buf = NULL;
        quorum->batch_first = (quorum->batch_first + 1) % QUORUM_BATCHES_MAX;
        quorum->batch_count--;
    }
}

/* ---- the log's end
 * ---------------------------------------------------------------------------- */

/* Appends that failed. A cut begins a generation as well, but is what raft asked for. */
uint32_t quorum_log_failures(const struct quorum *quorum)
{
    return quorum->log->generation - quorum->log->cuts;
}

enum quorum_watch_step { WATCH_START, WATCH_MOVED };
static const char *const quorum_watch_steps[] = {"START", "MOVED"};

static bool quorum_log_moved(const struct quorum *quorum)
{
    return quorum->log->log_end != quorum->watched_end && quorum->log->state != LOG_TRUNCATING;
}

static bool quorum_log_gone(const struct quorum *quorum)
{
    return quorum->log->state == LOG_FAILED && !quorum->watched_failed;
}

/* Wakes the driver when the log has grown beyond what raft knows, an append failed, or all of it,
 * though nothing was being appended. */
static enum op_result quorum_log_watch_run(struct op *op)
{
    struct quorum_flow *o = CONTAINER_OF(op, struct quorum_flow, op);
    struct quorum *q = CONTAINER_OF(o, struct quorum, watch);

    switch ((enum quorum_watch_step)op->step) {
    case WATCH_START:
        while (quorum_log_failures(q) == q->log_failures) {
            q->watched_end = q->log->log_end;
            q->watched_failed = q->log->state == LOG_FAILED;
            AWAIT_KEY(o, WATCH_MOVED, &q->log->end_source, q->watched_end + 1,
                      quorum_log_moved(q) || quorum_log_gone(q) ||
                          quorum_log_failures(q) != q->log_failures);
            quorum_driver_wake(q);
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static const struct op_kind quorum_watch_kind = {
    "quorum_watch", quorum_watch_steps, COUNT_OF(quorum_watch_steps), quorum_log_watch_run, NULL};

/* ---- the way back
 * ----------------------------------------------------------------------------- */

/* Ourselves only when everything before our epoch has been told (kraft.md 6). */
void quorum_log_tell_leader(struct quorum *quorum)
{
    int32_t leader = quorum->leader;

    if (leader == quorum->config.node_id && (quorum->append_epoch != quorum->epoch ||
                                             quorum->applied_end <= quorum->raft.epoch_start)) {
        leader = RAFT_NOBODY;
    }
    if (leader == quorum->told_leader && quorum->epoch == quorum->told_epoch) return;
    quorum->told_leader = leader;
    quorum->told_epoch = quorum->epoch;
    quorum->listener->leader(quorum->listener, leader, quorum->epoch);
}

static enum err quorum_log_tell_batch(struct quorum *quorum, const struct record_batch *batch)
{
    int64_t next = quorum->applied_end;
    struct record_iter iter;
    struct record record;
    enum err err;

    if (!record_batch_is_control(batch)) {
        record_iter_init(&iter, batch, record_batch_payload(batch));
        while ((err = record_iter_next(&iter, &record)) == ERR_NONE) {
            struct quorum_record told = {.offset = record.offset,
                                         .epoch = batch->partition_leader_epoch,
                                         .timestamp = record.timestamp,
                                         .value = record.value};

            if (record.offset < quorum->applied_end) continue; /* the snapshot has it */
            if (record.offset < next) return ERR_DAMAGED;
            next = record.offset + 1;
            quorum->listener->record(quorum->listener, &told);
        }
        if (err != ERR_EOF) return ERR_DAMAGED;
    } else {
        err = quorum_voting_apply(quorum, batch);
        if (err != ERR_NONE) return err;
    }
    quorum->applied_end = record_batch_end_offset(batch);
    quorum->applied_epoch = batch->partition_leader_epoch;
    quorum->applied_ms = batch->max_timestamp;
    quorum->keep.bytes_since += batch->bytes.length;
    quorum->listener->batch(quorum->listener, quorum->applied_end, batch->partition_leader_epoch,
                            batch->max_timestamp);
    return ERR_NONE;
}

static enum err quorum_log_tell(struct quorum *quorum)
{
    const struct log_read *read = &quorum->read;

    if (read->err != ERR_NONE) return read->err;
    for (uint32_t i = 0; i < read->count; i++) {
        struct record_batch_iter iter;
        struct record_batch batch;

        record_batch_iter_init(&iter, read->slices[i]);
        while (record_batch_iter_next(&iter, &batch)) {
            if (record_batch_is_compressed(&batch)) return ERR_UNSUPPORTED;
            if (record_batch_end_offset(&batch) <= quorum->applied_end) continue;
            if (quorum_log_tell_batch(quorum, &batch) != ERR_NONE) return ERR_DAMAGED;
        }
        if (iter.rest.length != 0) return ERR_DAMAGED;
    }
    return ERR_NONE;
}

enum quorum_commit_step { COMMIT_START, COMMIT_READY, COMMIT_READ, COMMIT_FREE };
static const char *const quorum_commit_steps[] = {"START", "READY", "READ", "FREE"};

static enum op_result quorum_log_commit_run(struct op *op)
{
    struct quorum_flow *o = CONTAINER_OF(op, struct quorum_flow, op);
    struct quorum *q = CONTAINER_OF(o, struct quorum, commit);
    enum err err;

    switch ((enum quorum_commit_step)op->step) {
    case COMMIT_START:
        while (!quorum_over(q)) {
            AWAIT(o, COMMIT_READY, &q->commit_source,
                  quorum_over(q) || (q->applied_end < q->high_watermark && !q->commit_held));
            if (quorum_over(q)) break;
            q->committing = true;
            q->read = (struct log_read){.offset = q->applied_end,
                                        .limit = q->high_watermark,
                                        .max_bytes = QUORUM_COMMIT_SLICE_BYTES,
                                        .first_whole = true};
            op_source_init(&q->read.source);
            log_read(q->log, &q->read);
            AWAIT(o, COMMIT_READ, &q->read.source, q->read.done);
            /* What was read is committed, whatever is done to the log meanwhile. */
            AWAIT(o, COMMIT_FREE, &q->commit_source, quorum_over(q) || !q->commit_held);
            q->committing = false;
            err = quorum_over(q) ? ERR_NONE : quorum_log_tell(q);
            log_read_release(&q->read);
            if (err == ERR_NO_MEMORY) continue;
            if (err != ERR_NONE) {
                quorum_driver_fail(q, err, STR("the metadata log cannot be read back"));
                break;
            }
            quorum_log_tell_leader(q);
            op_wake_below(&q->applied_source, q->applied_end);
            quorum_keep_wake(q);
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static void quorum_log_commit_end(struct op *op)
{
    struct quorum_flow *flow = CONTAINER_OF(op, struct quorum_flow, op);

    op_wake(&CONTAINER_OF(flow, struct quorum, commit)->state_source);
}

static const struct op_kind quorum_commit_kind = {"quorum_commit", quorum_commit_steps,
                                                  COUNT_OF(quorum_commit_steps),
                                                  quorum_log_commit_run, quorum_log_commit_end};

void quorum_log_start(struct quorum *quorum)
{
    op_start(&quorum->env->loop, &quorum->watch.op, &quorum_watch_kind, WATCH_START);
    op_start(&quorum->env->loop, &quorum->commit.op, &quorum_commit_kind, COMMIT_START);
}

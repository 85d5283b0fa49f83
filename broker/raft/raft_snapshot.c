/* Snapshots in the step: who is sent one instead of records, and the way of one that is fetched
 * (kraft.md 7 and 8, KIP-630).
 *
 *   follower   Fetch --> "fetch snapshot S" --> parts, one after the other --> installed
 *                ^                                |  any error, another S      |
 *                +--------------------------------+----------------------------+
 *
 * Installing empties the log: everything it held below S is in S, and what it held above was
 * parted from the leader's log or is fetched again. Never below the own high watermark (K10). */
#include "broker/raft/raft_internal.h"

#include "client/base/assert.h"

/* ---- leader ---------------------------------------------------------------------------------- */

bool raft_snapshot_needed(const struct raft *raft, const struct raft_fetch_request *request)
{
    if (raft->snapshot_end == RAFT_NO_SNAPSHOT) return false;
    /* An empty log is quicker filled by a snapshot, even when ours still starts at 0. */
    if (request->fetch_offset == 0 || request->fetch_offset < raft->log_start) return true;
    if (raft->log_start == 0) return false;
    if (request->fetch_offset == raft->log_start)
        return request->last_fetched_epoch != raft->start_epoch;
    return request->last_fetched_epoch < raft->start_epoch;
}

/* Counts as contact for check quorum: a long download must not depose the leader. */
void raft_snapshot_request(struct raft *raft, const struct raft_event *event)
{
    const struct raft_snapshot_request *request = &event->snapshot;
    enum err err = ERR_NONE;

    if (request->leader_epoch < raft->durable.epoch) {
        err = ERR_FENCED_LEADER_EPOCH;
    } else if (request->leader_epoch > raft->durable.epoch) {
        err = ERR_UNKNOWN_LEADER_EPOCH;
    } else if (raft->state != RAFT_LEADER) {
        err = ERR_NOT_LEADER_OR_FOLLOWER;
    }
    if (err == ERR_NONE) (void)raft_leader_heard(raft, request->replica, request->directory);
    raft_answer(raft, err, false);
}

void raft_snapshot_log_starts(struct raft *raft, const struct raft_event *event)
{
    const struct raft_log *log = &event->log;

    ASSERT(log->log_start >= raft->log_start);
    ASSERT(log->snapshot_end >= raft->snapshot_end);
    ASSERT(log->snapshot_end <= raft->high_watermark); /* K18 */
    raft->log_start = log->log_start;
    raft->start_epoch = log->start_epoch;
    raft->snapshot_end = log->snapshot_end;
    raft->snapshot_epoch = log->snapshot_epoch;
}

/* ---- follower -------------------------------------------------------------------------------- */

static void raft_snapshot_drop(struct raft *raft)
{
    raft->download.active = false;
    raft_fetch_later(raft);
}

void raft_snapshot_begin(struct raft *raft, const struct raft_fetch_reply *fetched)
{
    if (fetched->snapshot_end <= 0 || fetched->snapshot_epoch < 0 ||
        fetched->snapshot_epoch > raft->durable.epoch) {
        raft_fetch_later(raft); /* no snapshot has such an id */
        return;
    }
    /* What we know to be committed is not in the leader's log. */
    if (fetched->snapshot_end < raft->high_watermark) {
        raft_fail(raft, RAFT_FAULT_BELOW_HW);
        return;
    }
    raft->download = (struct raft_download){.active = true,
                                            .end = fetched->snapshot_end,
                                            .epoch = fetched->snapshot_epoch,
                                            .size = -1,
                                            .position = 0};
}

void raft_snapshot_send(struct raft *raft)
{
    struct raft_effect *effect = raft_effect(raft, RAFT_SEND_SNAPSHOT);

    ASSERT(raft->state == RAFT_FOLLOWER && raft->download.active);
    raft->fetch_round = ++raft->round;
    effect->peer = raft->durable.leader;
    effect->round = raft->fetch_round;
    effect->end = raft->download.end;
    effect->log_epoch = raft->download.epoch;
    effect->position = raft->download.position;
}

static bool raft_snapshot_continues(const struct raft_download *download,
                                    const struct raft_snapshot_reply *part)
{
    if (part->end != download->end || part->epoch != download->epoch) return false;
    if (part->size <= 0 || (download->size >= 0 && part->size != download->size)) return false;
    if (part->position != download->position || part->bytes <= 0) return false;
    return part->bytes <= part->size - part->position;
}

void raft_snapshot_reply(struct raft *raft, const struct raft_event *event)
{
    const struct raft_snapshot_reply *part = &event->part;
    const struct raft_reply *reply = &part->reply;
    bool awaited = event->round == raft->fetch_round && raft->fetch_round != 0;

    if (raft_adopt(raft, reply->epoch, reply->leader) || !awaited) return;
    raft->fetch_round = 0;
    if (raft->state != RAFT_FOLLOWER || !raft->download.active ||
        event->peer != raft->durable.leader || reply->epoch != raft->durable.epoch) {
        raft_fetch_later(raft);
        return;
    }
    /* SNAPSHOT_NOT_FOUND, POSITION_OUT_OF_RANGE: asks what there is now. */
    if (reply->err != ERR_NONE || !raft_snapshot_continues(&raft->download, part)) {
        raft_snapshot_drop(raft);
        return;
    }
    raft->fetch_failures = 0;
    raft->fetch_at = raft->now;
    (void)raft_follower_hears(raft);
    raft->download.size = part->size;
    raft->work = RAFT_SAVING;
    raft_effect(raft, RAFT_SAVE_PART)->position = part->position;
}

void raft_snapshot_saved(struct raft *raft, const struct raft_event *event)
{
    struct raft_download *download = &raft->download;
    struct raft_effect *effect;

    ASSERT(raft->work == RAFT_SAVING);
    raft->work = RAFT_IDLE;
    if (!download->active) return; /* another leader meanwhile */
    ASSERT(event->end > download->position && event->end <= download->size);
    download->position = event->end;
    if (download->position < download->size) return;
    raft->work = RAFT_INSTALLING;
    effect = raft_effect(raft, RAFT_INSTALL);
    effect->end = download->end;
    effect->log_epoch = download->epoch;
    download->active = false;
}

void raft_snapshot_refused(struct raft *raft)
{
    ASSERT(raft->work == RAFT_INSTALLING);
    raft->work = RAFT_IDLE;
    raft_fetch_later(raft);
}

void raft_snapshot_installed(struct raft *raft, const struct raft_event *event)
{
    const struct raft_log *log = &event->log;
    int64_t old = raft->high_watermark;

    ASSERT(raft->work == RAFT_INSTALLING);
    ASSERT(log->snapshot_end >= old && log->log_start == log->snapshot_end);
    raft->work = RAFT_IDLE;
    raft->log_start = log->log_start;
    raft->start_epoch = log->start_epoch;
    raft->snapshot_end = log->snapshot_end;
    raft->snapshot_epoch = log->snapshot_epoch;
    raft->assigned_end = log->log_end;
    raft->log_end = log->log_end;
    raft->flushed_end = log->log_end;
    raft->last_epoch = log->last_epoch;
    RAFT_NOTE(raft, RAFT_NOTE_FLUSHED, log->log_end, raft->durable.epoch);
    raft_change_voters(raft, event->voters);
    if (log->snapshot_end <= old) return;
    raft->high_watermark = log->snapshot_end;
    RAFT_NOTE(raft, RAFT_NOTE_HW, old, raft->high_watermark, raft->durable.epoch, 0);
    raft_effect(raft, RAFT_HW_CHANGED)->high_watermark = raft->high_watermark;
}

/* The follower, voter or observer: fetch, append, flush, fetch again; cut where the leader's log
 * parts from ours (kraft.md 7, replication.md 7). Also who knows no leader asks the voters in
 * turn, and learns it from their errors (KAFKA-17030).
 *
 * One thing at a time:  fetch -> reply -> append -> flush (voters) -> the next fetch, which is the
 * acknowledgement. Flushing is for voters and who can be made one; what a broker holds counts for
 * nothing. */
#include "broker/raft/raft_internal.h"

#include "client/base/assert.h"

void raft_follower_enter(struct raft *raft)
{
    raft->fetch_timeout_at = mono_add_ms(raft->now, raft->config.fetch_timeout_ms);
    raft->fetch_at = raft->now;
    raft->fetched_once = false;
    raft->leader_hw = RAFT_NO_HW;
}

static bool raft_fetches(const struct raft *raft)
{
    bool self = raft_voter_place(raft, raft->config.node_id) < raft->set.count;

    if (raft->state == RAFT_FOLLOWER) return true;
    if (raft->state != RAFT_UNATTACHED) return false;
    return raft->config.bootstrap_count + raft->set.count > (self ? 1u : 0u);
}

/* Whom to ask: the leader, or while none is known each voter and bootstrap server in turn. */
static int32_t raft_fetch_target(struct raft *raft)
{
    uint32_t voters = raft->set.count;

    if (raft->state == RAFT_FOLLOWER) return raft->durable.leader;
    do {
        raft->bootstrap = (raft->bootstrap + 1) % (voters + raft->config.bootstrap_count);
    } while (raft->bootstrap < voters && raft->set.ids[raft->bootstrap] == raft->config.node_id);
    if (raft->bootstrap >= voters) return RAFT_BOOTSTRAP(raft->bootstrap - voters);
    return raft->set.ids[raft->bootstrap];
}

/* The log holds again what was once acknowledged: up to the hint, or up to the high watermark of a
 * leader of an epoch in which it is known (a leader holds all that was committed before, K5). */
static void raft_regain_trust(struct raft *raft)
{
    if (!raft->distrusted || raft->state != RAFT_FOLLOWER || !raft->fetched_once) return;
    if (raft->flushed_end < raft->trusted_from &&
        (raft->leader_hw == RAFT_NO_HW || raft->flushed_end < raft->leader_hw)) {
        return;
    }
    raft->distrusted = false;
    raft_effect(raft, RAFT_TRUST_CHANGED);
}

static void raft_send_fetch(struct raft *raft)
{
    int32_t peer = raft_fetch_target(raft);
    struct raft_effect *effect = raft_effect(raft, RAFT_SEND_FETCH);

    ASSERT(!raft_may_count(raft) || raft->flushed_end == raft->log_end); /* K11 */
    raft->fetch_round = ++raft->round;
    effect->peer = peer;
    effect->round = raft->fetch_round;
    effect->end = raft->log_end;
    effect->log_epoch = raft->last_epoch;
    effect->high_watermark = raft->high_watermark;
}

void raft_follower_settle(struct raft *raft)
{
    if (raft->fault != RAFT_SOUND || raft->work != RAFT_IDLE) return;
    if (raft_may_count(raft) && raft->log_end > raft->flushed_end) {
        raft->work = RAFT_FLUSHING;
        raft_effect(raft, RAFT_FLUSH);
        return;
    }
    /* A former leader lets its own appends come home first. */
    if (raft->assigned_end != raft->log_end) return;
    raft_regain_trust(raft);
    if (!raft_fetches(raft) || raft->fetch_round != 0 || !raft_due(raft, raft->fetch_at)) return;
    if (raft->download.active) {
        raft_snapshot_send(raft);
    } else {
        raft_send_fetch(raft);
    }
}

void raft_follower_tick(struct raft *raft)
{
    if (!raft_due(raft, raft->fetch_timeout_at) || raft_recasting(raft)) return;
    if (raft_may_stand(raft)) {
        raft_become_prospective(raft);
    } else {
        raft_become_unattached(raft, raft->durable.epoch); /* an observer looks around again */
    }
}

struct mono_time raft_follower_deadline(const struct raft *raft)
{
    struct mono_time at = MONO_NEVER;

    if (raft->state == RAFT_FOLLOWER && !raft_recasting(raft)) at = raft->fetch_timeout_at;
    if (raft_fetches(raft) && raft->fetch_round == 0 && raft->work == RAFT_IDLE &&
        raft->assigned_end == raft->log_end && raft->fetch_at.ns < at.ns) {
        at = raft->fetch_at;
    }
    return at;
}

/* ---- the leader speaks
 * ------------------------------------------------------------------------ */

void raft_begin_request(struct raft *raft, const struct raft_event *event)
{
    if (!raft_may_follow(raft, event->peer) || event->peer == raft->config.node_id) {
        raft_answer(raft, ERR_INCONSISTENT_VOTER_SET, false);
        return;
    }
    if (!uuid_is_zero(event->directory) &&
        !uuid_equal(event->directory, raft->config.directory_id)) {
        raft_answer(raft, ERR_INVALID_VOTER_KEY, false);
        return;
    }
    if (event->epoch < raft->durable.epoch) {
        raft_answer(raft, ERR_FENCED_LEADER_EPOCH, false);
        return;
    }
    if (!raft_adopt(raft, event->epoch, event->peer) && raft->state == RAFT_PROSPECTIVE) {
        raft_become_follower(raft, event->epoch, event->peer); /* it is there after all */
    }
    raft_answer(raft, ERR_NONE, false);
}

/* How long the voter at `position` of `count` successors waits (kraft.md 5); not listed: the
 * most. */
static int64_t raft_successor_delay(const struct raft *raft, uint32_t position, uint32_t count)
{
    int64_t most = raft->config.election_backoff_max_ms;
    int64_t delay;

    if (position == count) return most;
    /* DIFFERS: Kafka's first one asks at once, and meets voters that have not been told yet. */
    if (position == 0)
        return raft->config.retry_backoff_ms < most ? raft->config.retry_backoff_ms : most;
    delay = (most >> (count - 1)) << (position - 1);
    return delay < most ? delay : most;
}

void raft_end_request(struct raft *raft, const struct raft_event *event)
{
    uint32_t position = 0;
    int64_t delay;

    ASSERT(event->successor_count <= RAFT_VOTERS_MAX);
    if (!raft_may_follow(raft, event->peer) || event->peer == raft->config.node_id) {
        raft_answer(raft, ERR_INCONSISTENT_VOTER_SET, false);
        return;
    }
    if (event->epoch < raft->durable.epoch) {
        raft_answer(raft, ERR_FENCED_LEADER_EPOCH, false);
        return;
    }
    (void)raft_adopt(raft, event->epoch, event->peer);
    while (position < event->successor_count &&
           event->successors[position] != raft->config.node_id) {
        position++;
    }
    delay = raft_successor_delay(raft, position, event->successor_count);
    if (raft->state == RAFT_FOLLOWER && raft->durable.leader == event->peer) {
        raft->fetched_once = false;
        raft->ended_epoch = event->epoch;
        raft->fetch_timeout_at = mono_add_ms(raft->now, delay);
    } else if (raft->state == RAFT_UNATTACHED) {
        raft->election_at = mono_add_ms(raft->now, delay);
    }
    raft_answer(raft, ERR_NONE, false);
}

/* ---- replies
 * ---------------------------------------------------------------------------------- */

void raft_fetch_later(struct raft *raft)
{
    uint32_t doublings = raft->fetch_failures < 5 ? raft->fetch_failures : 5;
    int64_t ms = (int64_t)raft->config.retry_backoff_ms << doublings;
    int64_t most = raft->config.fetch_timeout_ms / 4;

    raft->fetch_failures++;
    raft->fetch_at = mono_add_ms(raft->now, ms < most ? ms : most);
}

/* What a leader answered before its end may come after the word of that, by another connection. */
bool raft_follower_hears(struct raft *raft)
{
    if (raft->ended_epoch == raft->durable.epoch) return false;
    raft->fetch_timeout_at = mono_add_ms(raft->now, raft->config.fetch_timeout_ms);
    return true;
}

void raft_fetch_failed(struct raft *raft, const struct raft_event *event)
{
    if (event->round != raft->fetch_round || raft->fetch_round == 0) return;
    raft->fetch_round = 0;
    raft_fetch_later(raft);
}

void raft_append_refused(struct raft *raft)
{
    ASSERT(raft->work == RAFT_APPENDING);
    raft->work = RAFT_IDLE;
    raft_fetch_later(raft);
}

/* Follower's high watermark: what the leader says, as far as our log reaches (K9). */
static void raft_follow_hw(struct raft *raft)
{
    int64_t old = raft->high_watermark;
    int64_t next = raft->leader_hw < raft->log_end ? raft->leader_hw : raft->log_end;

    if (next <= old) return;
    raft->high_watermark = next;
    RAFT_NOTE(raft, RAFT_NOTE_HW, old, next, raft->durable.epoch, 0);
    raft_effect(raft, RAFT_HW_CHANGED)->high_watermark = next;
}

void raft_follower_appended(struct raft *raft)
{
    raft_follow_hw(raft);
}

/* Where our log has to be cut (replication.md 7). Each round either finishes or lowers the epoch
 * of our last batch, so it ends. */
static int64_t raft_truncation_target(const struct raft *raft,
                                      const struct raft_fetch_reply *fetched)
{
    int64_t target = fetched->diverging_end;

    if (fetched->own_epoch >= 0) {
        if (fetched->own_epoch != fetched->diverging_epoch) {
            target = fetched->own_end;
        } else if (fetched->own_end < target) {
            target = fetched->own_end;
        }
    }
    return target < raft->log_end ? target : raft->log_end;
}

static void raft_follow_divergence(struct raft *raft, const struct raft_fetch_reply *fetched)
{
    int64_t target = raft_truncation_target(raft, fetched);

    if (fetched->diverging_end < 0 || target >= raft->log_end) {
        raft_fetch_later(raft); /* nothing to cut: an answer that leads nowhere */
        return;
    }
    if (target < raft->high_watermark) { /* K10: committed entries are gone at the leader */
        raft_fail(raft, RAFT_FAULT_BELOW_HW);
        return;
    }
    raft->work = RAFT_TRUNCATING;
    raft_effect(raft, RAFT_TRUNCATE)->end = target;
}

/* The leader remembers that we acknowledged more than we have: our disk was set back. What exactly
 * is not known; all that is committed there, and at least one entry more than there is. */
static void raft_disown(struct raft *raft, int64_t committed)
{
    int64_t lacks = raft->log_end + 1;

    raft_fetch_later(raft);
    if (!raft_may_count(raft)) return;
    if (committed > lacks) lacks = committed;
    if (lacks > raft->trusted_from || !raft->distrusted) raft->trusted_from = lacks;
    if (!raft->distrusted) {
        raft->distrusted = true;
        raft_effect(raft, RAFT_TRUST_CHANGED);
    }
    raft->work = RAFT_DISOWNING;
    raft_effect(raft, RAFT_DISOWN)->end = raft->trusted_from;
}

void raft_fetch_reply(struct raft *raft, const struct raft_event *event)
{
    const struct raft_fetch_reply *fetched = &event->fetched;
    const struct raft_reply *reply = &fetched->reply;
    bool awaited = event->round == raft->fetch_round && raft->fetch_round != 0;

    if (raft_adopt(raft, reply->epoch, reply->leader) || !awaited) return;
    raft->fetch_round = 0;
    if (reply->err == ERR_OFFSET_OUT_OF_RANGE && raft->state == RAFT_FOLLOWER &&
        event->peer == raft->durable.leader && reply->epoch == raft->durable.epoch) {
        raft_disown(raft, fetched->high_watermark);
        return;
    }
    /* An answer without error is the leader's own, in our epoch; who just learned of it by this
     * asks again as its follower. */
    if (reply->err != ERR_NONE || raft->state != RAFT_FOLLOWER ||
        event->peer != raft->durable.leader || reply->epoch != raft->durable.epoch) {
        raft_fetch_later(raft);
        return;
    }
    raft->fetch_failures = 0;
    raft->fetch_at = raft->now;
    if (raft_follower_hears(raft)) raft->fetched_once = true;
    if (fetched->wants_snapshot) {
        raft_snapshot_begin(raft, fetched);
        return;
    }
    if (fetched->diverging) {
        raft_follow_divergence(raft, fetched);
        return;
    }
    if (fetched->high_watermark != RAFT_NO_HW) {
        if (fetched->high_watermark < raft->high_watermark) {
            raft_fail(raft, RAFT_FAULT_HW_BACK);
            return;
        }
        raft->leader_hw = fetched->high_watermark;
    }
    if (fetched->has_records) {
        raft->work = RAFT_APPENDING;
        raft_effect(raft, RAFT_APPEND);
        return;
    }
    raft_follow_hw(raft);
}

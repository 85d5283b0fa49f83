/* The leader: what followers acknowledge, the high watermark, check quorum; and the resigned leader
 * (kraft.md 6 and 7).
 *
 * High watermark: the acknowledged ends of the voters in descending order, own *flushed* end among
 * them; the one at index n/2 stands on a majority of disks. It moves the high watermark only when
 * it passes the start of this epoch (Raft's commit rule): entries of earlier epochs are committed
 * by the first entry of ours, never by count alone (K8). */
#include "broker/raft/raft_internal.h"

#include "client/base/assert.h"

/* A lost majority is noticed after 1.5 times the fetch timeout (kraft.md 2). */
static int64_t raft_check_quorum_ms(const struct raft *raft)
{
    return (int64_t)raft->config.fetch_timeout_ms * 3 / 2;
}

static void raft_send_begin(struct raft *raft)
{
    for (uint32_t i = 0; i < raft->set.count; i++) {
        struct raft_voter *voter = &raft->voters[i];
        struct raft_effect *effect;

        if (i == raft->self || !raft_due(raft, voter->begin_at)) continue;
        voter->begin_at = mono_add_ms(raft->now, raft->config.fetch_timeout_ms / 2);
        effect = raft_effect(raft, RAFT_SEND_BEGIN);
        effect->peer = voter->id;
        effect->round = raft->round;
    }
}

void raft_leader_enter(struct raft *raft)
{
    raft->epoch_start = raft->assigned_end;
    raft->hw_known = false;
    for (uint32_t i = 0; i < raft->set.count; i++) {
        struct raft_voter *voter = &raft->voters[i];

        raft->granted[i] = voter->ballot == RAFT_BALLOT_GRANTED;
        voter->end_offset = -1;
        voter->directory = (struct uuid){{0}};
        voter->last_fetch = raft->now;
        voter->begin_at = raft->now;
        voter->caught_up = (struct mono_time){-1};
        voter->fetched = false;
    }
    raft_effect(raft, RAFT_LEAD);
    raft_send_begin(raft);
}

void raft_leader_elected(struct raft *raft)
{
    uint32_t granted = 0;

    for (uint32_t i = 0; i < raft->set.count; i++)
        granted += raft->granted[i] ? 1 : 0;
    RAFT_NOTE(raft, RAFT_NOTE_ELECTED, raft->durable.epoch, raft->epoch_start, granted,
              raft->set.count);
}

/* The moment up to which a majority was heard, ourselves included when we are a voter: the
 * (majority - 1)-th most recent contact of the others. */
static struct mono_time raft_majority_contact(const struct raft *raft)
{
    uint32_t needed = raft_majority(raft) - (raft_is_voter(raft) ? 1 : 0);
    struct mono_time contact = {0};

    ASSERT(needed > 0);
    for (uint32_t i = 0; i < raft->set.count; i++) {
        uint32_t as_recent = 0;

        if (i == raft->self) continue;
        for (uint32_t j = 0; j < raft->set.count; j++) {
            if (j == raft->self) continue;
            if (raft->voters[j].last_fetch.ns >= raft->voters[i].last_fetch.ns) as_recent++;
        }
        if (as_recent >= needed && raft->voters[i].last_fetch.ns > contact.ns) {
            contact = raft->voters[i].last_fetch;
        }
    }
    return contact;
}

static struct mono_time raft_check_quorum_at(const struct raft *raft)
{
    if (raft->set.count == 1 && raft_is_voter(raft)) return MONO_NEVER; /* KAFKA-16144 */
    return mono_add_ms(raft_majority_contact(raft), raft_check_quorum_ms(raft));
}

void raft_leader_tick(struct raft *raft)
{
    if (raft_due(raft, raft_check_quorum_at(raft))) {
        raft_become_resigned(raft);
        return;
    }
    raft_send_begin(raft);
}

struct mono_time raft_leader_deadline(const struct raft *raft)
{
    struct mono_time at = raft_check_quorum_at(raft);

    for (uint32_t i = 0; i < raft->set.count; i++) {
        if (i == raft->self) continue;
        if (raft->voters[i].begin_at.ns < at.ns) at = raft->voters[i].begin_at;
    }
    return at;
}

void raft_begin_failed(struct raft *raft, const struct raft_event *event)
{
    uint32_t place = raft_voter_place(raft, event->peer);
    struct mono_time retry = mono_add_ms(raft->now, raft->config.retry_backoff_ms);

    if (raft->state != RAFT_LEADER || place == raft->set.count) return;
    if (event->round != raft->round) return;
    if (raft->voters[place].begin_at.ns > retry.ns) raft->voters[place].begin_at = retry;
}

/* ---- high watermark
 * --------------------------------------------------------------------------- */

static int64_t raft_voter_end(const struct raft *raft, uint32_t place)
{
    return place == raft->self ? raft->flushed_end : raft->voters[place].end_offset;
}

void raft_leader_advance(struct raft *raft)
{
    int64_t old = raft->high_watermark;
    int64_t candidate = -1;

    /* The largest end that at least a majority has reached: index n/2 of the sorted ends. */
    for (uint32_t i = 0; i < raft->set.count; i++) {
        int64_t end = raft_voter_end(raft, i);
        uint32_t reached = 0;

        for (uint32_t j = 0; j < raft->set.count; j++) {
            if (raft_voter_end(raft, j) >= end) reached++;
        }
        if (reached >= raft_majority(raft) && end > candidate) candidate = end;
    }
    /* It may be lower after a change of the voters. */
    if (candidate <= raft->epoch_start || (raft->hw_known && candidate <= old)) return;
    ASSERT(candidate >= old); /* a leader holds all that was ever committed (K5) */
    ASSERT(candidate <= raft->log_end);
    raft->hw_known = true;
    raft->high_watermark = candidate;
    RAFT_NOTE(raft, RAFT_NOTE_HW, old, candidate, raft->durable.epoch, 1);
    raft_effect(raft, RAFT_HW_CHANGED)->high_watermark = candidate;
    /* The set without us is committed: our part is done (KIP-853). */
    if (!raft_is_voter(raft) && candidate > raft->set.offset) raft_become_resigned(raft);
}

/* ---- fetch
 * ------------------------------------------------------------------------------------ */

void raft_fetch_check(const struct raft *raft, const struct raft_fetch_request *request,
                      struct raft_fetch_answer *answer)
{
    *answer = (struct raft_fetch_answer){.verdict = RAFT_FETCH_ERROR,
                                         .leader = raft_known_leader(raft),
                                         .epoch = raft->durable.epoch,
                                         .high_watermark = raft_leader_hw(raft),
                                         .diverging_epoch = -1,
                                         .diverging_end = -1,
                                         .snapshot_end = -1,
                                         .snapshot_epoch = -1};
    if (request->leader_epoch < raft->durable.epoch) {
        answer->err = ERR_FENCED_LEADER_EPOCH;
    } else if (request->leader_epoch > raft->durable.epoch) {
        answer->err = ERR_UNKNOWN_LEADER_EPOCH;
    } else if (raft->state != RAFT_LEADER) {
        answer->err = ERR_NOT_LEADER_OR_FOLLOWER;
    } else if (request->fetch_offset < 0 || request->replica == raft->config.node_id) {
        answer->err = ERR_INVALID_REQUEST;
    }
    if (answer->err != ERR_NONE) return;
    /* An empty log parts nowhere; nor does one that begins with our snapshot. */
    if (raft_snapshot_needed(raft, request)) {
        answer->verdict = RAFT_FETCH_SNAPSHOT;
        answer->snapshot_end = raft->snapshot_end;
        answer->snapshot_epoch = raft->snapshot_epoch;
    } else if (request->fetch_offset > raft->log_start &&
               (request->end_epoch != request->last_fetched_epoch ||
                request->end_offset < request->fetch_offset ||
                request->fetch_offset > raft->log_end)) {
        answer->verdict = RAFT_FETCH_DIVERGING;
        answer->diverging_epoch = request->end_epoch;
        answer->diverging_end = request->end_offset;
    } else if (request->fetch_offset < raft->log_end || !request->park_allowed ||
               answer->high_watermark > request->known_hw) {
        answer->verdict = RAFT_FETCH_SERVE;
    } else {
        answer->verdict = RAFT_FETCH_PARK;
    }
}

/* A directory other than the one already counted in this epoch is a second process with the same
 * id: it never counts (K17). */
uint32_t raft_leader_heard(struct raft *raft, int32_t replica, struct uuid directory)
{
    uint32_t place = raft_voter_key_place(raft, replica, directory);
    struct raft_voter *voter = &raft->voters[place];

    if (place == raft->set.count || place == raft->self) return raft->set.count;
    if (!voter->fetched) voter->directory = directory;
    if (!uuid_equal(voter->directory, directory)) return raft->set.count;
    voter->fetched = true;
    voter->last_fetch = raft->now;
    voter->begin_at = mono_add_ms(raft->now, raft->config.fetch_timeout_ms / 2);
    return place;
}

/* What this voter cannot be without, unless its disk was set back: everything it acknowledged in
 * this epoch, and what of its earlier acknowledgements was committed. */
static int64_t raft_voter_had(const struct raft_voter *voter, struct uuid directory)
{
    int64_t had = voter->end_offset;

    if (uuid_equal(voter->known_directory, directory) && voter->known_end > had)
        had = voter->known_end;
    return had;
}

/* Sent before a fetch that was taken already, by a connection that the voter has given up since:
 * where it stood then is neither where it stands now nor a sign of its life. */
static bool raft_fetch_late(const struct raft *raft, const struct raft_fetch_request *request)
{
    uint32_t place = raft_voter_key_place(raft, request->replica, request->directory);
    const struct raft_voter *voter = &raft->voters[place];

    if (place == raft->set.count || request->connection >= voter->connection) return false;
    return request->fetch_offset < raft_voter_had(voter, request->directory);
}

static bool raft_set_back(struct raft *raft, uint32_t place, int64_t fetch_offset)
{
    struct raft_voter *voter = &raft->voters[place];
    int64_t had = raft_voter_had(voter, voter->directory);
    struct raft_effect *effect;

    if (uuid_is_zero(voter->directory)) return false; /* nobody said whose disk it is */
    if (fetch_offset >= had) return false;
    effect = raft_effect(raft, RAFT_SET_BACK);
    effect->peer = voter->id;
    effect->end = had;
    voter->end_offset = fetch_offset; /* once: from here on it may come back */
    voter->known_end = 0;
    return true;
}

/* After the high watermark may have moved. */
static void raft_remember(struct raft *raft)
{
    for (uint32_t i = 0; i < raft->set.count; i++) {
        struct raft_voter *voter = &raft->voters[i];
        int64_t end =
            voter->end_offset < raft->high_watermark ? voter->end_offset : raft->high_watermark;

        if (!voter->fetched || i == raft->self) continue;
        if (!uuid_equal(voter->known_directory, voter->directory)) voter->known_end = 0;
        voter->known_directory = voter->directory;
        if (end > voter->known_end) voter->known_end = end;
    }
}

void raft_leader_fetch(struct raft *raft, const struct raft_event *event)
{
    const struct raft_fetch_request *request = &event->fetch;
    struct raft_fetch_answer answer;
    uint32_t place;

    raft_fetch_check(raft, request, &answer);
    place = answer.verdict == RAFT_FETCH_ERROR || raft_fetch_late(raft, request)
                ? raft->set.count
                : raft_leader_heard(raft, request->replica, request->directory);
    if (place < raft->set.count && request->connection > raft->voters[place].connection)
        raft->voters[place].connection = request->connection;
    if (place < raft->set.count && raft_set_back(raft, place, request->fetch_offset)) {
        answer.verdict = RAFT_FETCH_ERROR;
        answer.err = ERR_OFFSET_OUT_OF_RANGE;
        answer.high_watermark = raft->high_watermark;
    } else if (place < raft->set.count && answer.verdict != RAFT_FETCH_DIVERGING &&
               answer.verdict != RAFT_FETCH_SNAPSHOT) {
        struct raft_voter *voter = &raft->voters[place];

        if (voter->end_offset != request->fetch_offset) {
            voter->end_offset = request->fetch_offset;
            RAFT_NOTE(raft, RAFT_NOTE_FETCHED, voter->id, voter->end_offset, raft->durable.epoch,
                      raft->flushed_end);
            raft_leader_advance(raft);
            raft_fetch_check(raft, request, &answer); /* with the new high watermark */
        }
        if (voter->end_offset >= raft->log_end) voter->caught_up = raft->now;
        raft_remember(raft);
    }
    raft_effect(raft, RAFT_ANSWER_FETCH)->answer = answer;
}

/* ---- resigned
 * --------------------------------------------------------------------------------- */

static void raft_send_end(struct raft *raft)
{
    for (uint32_t i = 0; i < raft->set.count; i++) {
        struct raft_voter *voter = &raft->voters[i];
        struct raft_effect *effect;

        if (i == raft->self || voter->end_acked || !raft_due(raft, voter->retry_at)) continue;
        voter->retry_at = mono_add_ms(raft->now, raft->config.election_timeout_ms / 2);
        effect = raft_effect(raft, RAFT_SEND_END);
        effect->peer = voter->id;
        effect->round = raft->round;
    }
}

/* Successors: the furthest first, by what they acknowledged. After a restart nothing is known. */
void raft_resigned_enter(struct raft *raft)
{
    raft->successor_count = 0;
    for (uint32_t i = 0; i < raft->set.count; i++) {
        uint32_t at = raft->successor_count;

        raft->voters[i].end_acked = false;
        raft->voters[i].retry_at = raft->now;
        if (i == raft->self || raft->voters[i].end_offset < 0) continue;
        while (at > 0 && raft->voters[raft_voter_place(raft, raft->successors[at - 1])].end_offset <
                             raft->voters[i].end_offset) {
            raft->successors[at] = raft->successors[at - 1];
            at--;
        }
        raft->successors[at] = raft->voters[i].id;
        raft->successor_count++;
    }
    raft_send_end(raft);
}

void raft_resigned_tick(struct raft *raft)
{
    if (raft_due(raft, raft->election_at)) {
        raft_become_unattached(raft,
                               raft->durable.epoch + 1); /* never the same epoch again (K13) */
        return;
    }
    raft_send_end(raft);
}

struct mono_time raft_resigned_deadline(const struct raft *raft)
{
    struct mono_time at = raft->election_at;

    for (uint32_t i = 0; i < raft->set.count; i++) {
        const struct raft_voter *voter = &raft->voters[i];

        if (i != raft->self && !voter->end_acked && voter->retry_at.ns < at.ns)
            at = voter->retry_at;
    }
    return at;
}

void raft_end_reply(struct raft *raft, const struct raft_event *event)
{
    uint32_t place = raft_voter_place(raft, event->peer);

    if (place == raft->set.count) return;
    if (raft_adopt(raft, event->reply.epoch, event->reply.leader)) return;
    if (raft->state == RAFT_RESIGNED && event->round == raft->round) {
        raft->voters[place].end_acked = true;
    }
}

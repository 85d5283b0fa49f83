/* Elections: ballots for pre-votes (KIP-996) and votes, and the answers to those of others
 * (kraft.md 5).
 *
 * A pre-vote asks "would you vote for me?" and changes nothing durable. It keeps a voter that was
 * cut off from raising its epoch without limit and from deposing a healthy leader when it comes
 * back; with check quorum it ends the stall in which only a minority link works (KAFKA-15489). */
#include "broker/raft/raft_internal.h"

#include "client/base/assert.h"

static uint32_t raft_count(const struct raft *raft, enum raft_ballot ballot)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < raft->set.count; i++) {
        if (raft->voters[i].ballot == ballot) count++;
    }
    return count;
}

static void raft_send_ballots(struct raft *raft)
{
    for (uint32_t i = 0; i < raft->set.count; i++) {
        struct raft_voter *voter = &raft->voters[i];
        struct raft_effect *effect;

        if (voter->ballot != RAFT_BALLOT_UNSENT || !raft_due(raft, voter->retry_at)) continue;
        voter->ballot = RAFT_BALLOT_SENT;
        effect = raft_effect(raft, RAFT_SEND_VOTE);
        effect->peer = voter->id;
        effect->round = raft->ballot_round;
        effect->log_epoch = raft->last_epoch;
        effect->end = raft->log_end;
        effect->pre_vote = raft->state == RAFT_PROSPECTIVE;
    }
}

/* With a majority of "yes" the member moves on; alone in the quorum it has that from the start. */
static void raft_count_ballots(struct raft *raft)
{
    uint32_t granted = raft_count(raft, RAFT_BALLOT_GRANTED);
    uint32_t refused = raft_count(raft, RAFT_BALLOT_REFUSED);

    if (granted >= raft_majority(raft)) {
        if (raft->state == RAFT_PROSPECTIVE) {
            raft_become_candidate(raft);
        } else {
            raft_become_leader(raft);
        }
        return;
    }
    if (refused <= raft->set.count - raft_majority(raft)) return;
    if (raft->state == RAFT_CANDIDATE) {
        /* Lost for certain: asks nobody any more, and waits its time out. The randomised timeout
         * is what separates rivals. */
        for (uint32_t i = 0; i < raft->set.count; i++) {
            if (raft->voters[i].ballot == RAFT_BALLOT_UNSENT) {
                raft->voters[i].ballot = RAFT_BALLOT_REFUSED;
            }
        }
        return;
    }
    if (raft->durable.leader != RAFT_NOBODY) {
        raft_become_follower(raft, raft->durable.epoch, raft->durable.leader);
    } else {
        raft_become_unattached(raft, raft->durable.epoch);
    }
}

void raft_start_ballot(struct raft *raft)
{
    raft->ballot_round = ++raft->round;
    for (uint32_t i = 0; i < raft->set.count; i++) {
        raft->voters[i].ballot = i == raft->self ? RAFT_BALLOT_GRANTED : RAFT_BALLOT_UNSENT;
        raft->voters[i].retry_at = raft->now;
    }
    if (raft->set.count == 1 && raft_is_voter(raft)) {
        raft_count_ballots(raft);
    } else {
        raft_send_ballots(raft);
    }
}

void raft_election_tick(struct raft *raft)
{
    switch (raft->state) {
    case RAFT_UNATTACHED:
        /* A cut of the log in progress says nothing yet about how far it reaches. */
        if (!raft_may_stand(raft) || raft_recasting(raft)) return;
        if (raft_due(raft, raft->election_at)) raft_become_prospective(raft);
        return;
    case RAFT_PROSPECTIVE:
        if (!raft_due(raft, raft->election_at)) {
            raft_send_ballots(raft);
        } else if (raft->durable.leader != RAFT_NOBODY) {
            raft_become_follower(raft, raft->durable.epoch, raft->durable.leader);
        } else {
            raft_become_unattached(raft, raft->durable.epoch);
        }
        return;
    case RAFT_CANDIDATE:
        if (raft_due(raft, raft->election_at)) {
            raft_become_prospective(raft);
        } else {
            raft_send_ballots(raft);
        }
        return;
    case RAFT_LEADER:
    case RAFT_FOLLOWER:
    case RAFT_RESIGNED: break;
    }
    IMPOSSIBLE("a state without election timer");
}

struct mono_time raft_election_deadline(const struct raft *raft)
{
    struct mono_time at = raft->election_at;

    if (raft->state == RAFT_UNATTACHED) {
        bool waits = raft_may_stand(raft) && !raft_recasting(raft);

        return waits ? at : MONO_NEVER;
    }
    for (uint32_t i = 0; i < raft->set.count; i++) {
        const struct raft_voter *voter = &raft->voters[i];

        if (voter->ballot == RAFT_BALLOT_UNSENT && voter->retry_at.ns < at.ns) at = voter->retry_at;
    }
    return at;
}

/* ---- the other side
 * --------------------------------------------------------------------------- */

static bool raft_up_to_date(const struct raft *raft, const struct raft_vote_request *vote)
{
    if (vote->last_epoch != raft->last_epoch) return vote->last_epoch > raft->last_epoch;
    return vote->log_end >= raft->log_end;
}

/* Changes nothing. DIFFERS: a leader's announced end forgets that we fetched from it, so that the
 * successor it named is not refused by those who still count as followers (KAFKA-20895). */
static bool raft_grants_pre_vote(const struct raft *raft, const struct raft_vote_request *vote)
{
    if (!raft_may_grant(raft) || !raft_up_to_date(raft, vote)) return false;
    switch (raft->state) {
    case RAFT_UNATTACHED:
    case RAFT_PROSPECTIVE:
    case RAFT_CANDIDATE:
    case RAFT_RESIGNED: return true;
    case RAFT_FOLLOWER: return !raft->fetched_once;
    case RAFT_LEADER: return false;
    }
    IMPOSSIBLE("state");
}

static bool raft_grants_vote(struct raft *raft, const struct raft_vote_request *vote)
{
    const struct raft_durable *durable = &raft->durable;

    if (!raft_may_grant(raft) || !raft_up_to_date(raft, vote)) return false;
    if (raft->state != RAFT_UNATTACHED && raft->state != RAFT_PROSPECTIVE) return false;
    if (durable->leader != RAFT_NOBODY) return false;
    if (durable->voted == RAFT_NOBODY) return true;
    return durable->voted == vote->candidate &&
           uuid_equal(durable->voted_directory, vote->candidate_directory);
}

static void raft_give_vote(struct raft *raft, const struct raft_vote_request *vote)
{
    if (raft->durable.voted == RAFT_NOBODY) {
        raft->durable.voted = vote->candidate;
        raft->durable.voted_directory = vote->candidate_directory;
        raft->dirty = true;
    }
    raft->election_at = raft_draw_election(raft);
}

void raft_vote_request(struct raft *raft, const struct raft_event *event)
{
    const struct raft_vote_request *vote = &event->vote;
    bool bad_epoch =
        vote->pre_vote ? vote->last_epoch > vote->epoch : vote->last_epoch >= vote->epoch;
    bool granted;

    if (bad_epoch || vote->last_epoch < 0 || vote->log_end < 0) {
        raft_answer(raft, ERR_INVALID_REQUEST, false);
        return;
    }
    /* Configured voters: a stranger must not raise our epoch. Nor a twin with our own id (K17). */
    if (!raft_may_follow(raft, vote->candidate)) {
        raft_answer(raft, ERR_INCONSISTENT_VOTER_SET, false);
        return;
    }
    if (vote->candidate == raft->config.node_id ||
        (!uuid_is_zero(vote->voter_directory) &&
         !uuid_equal(vote->voter_directory, raft->config.directory_id))) {
        raft_answer(raft, ERR_INVALID_VOTER_KEY, false);
        return;
    }
    if (vote->epoch < raft->durable.epoch) {
        raft_answer(raft, ERR_FENCED_LEADER_EPOCH, false);
        return;
    }
    if (vote->epoch > raft->durable.epoch) raft_become_unattached(raft, vote->epoch);
    granted = vote->pre_vote ? raft_grants_pre_vote(raft, vote) : raft_grants_vote(raft, vote);
    if (granted && !vote->pre_vote) raft_give_vote(raft, vote);
    RAFT_NOTE(raft, RAFT_NOTE_VOTE, vote->candidate, vote->epoch, granted, vote->pre_vote);
    raft_answer(raft, ERR_NONE, granted);
}

/* ---- answers to our ballots
 * ------------------------------------------------------------------- */

void raft_vote_reply(struct raft *raft, const struct raft_event *event)
{
    uint32_t place = raft_voter_place(raft, event->peer);
    struct raft_voter *voter = &raft->voters[place];

    if (place == raft->set.count || place == raft->self) return;
    if (raft_adopt(raft, event->reply.epoch, event->reply.leader)) return;
    if (raft->state != RAFT_PROSPECTIVE && raft->state != RAFT_CANDIDATE) return;
    if (event->round != raft->ballot_round || voter->ballot != RAFT_BALLOT_SENT) return;
    if (event->reply.err == ERR_UNSUPPORTED_VERSION && raft->state == RAFT_PROSPECTIVE) {
        raft_become_candidate(raft); /* it knows no pre-votes: nobody is asked for one (KIP-996) */
        return;
    }
    voter->ballot = event->reply.err == ERR_NONE && event->reply.granted ? RAFT_BALLOT_GRANTED
                                                                         : RAFT_BALLOT_REFUSED;
    raft_count_ballots(raft);
}

void raft_vote_failed(struct raft *raft, const struct raft_event *event)
{
    uint32_t place = raft_voter_place(raft, event->peer);
    struct raft_voter *voter = &raft->voters[place];

    if (place == raft->set.count) return;
    if (raft->state != RAFT_PROSPECTIVE && raft->state != RAFT_CANDIDATE) return;
    if (event->round != raft->ballot_round || voter->ballot != RAFT_BALLOT_SENT) return;
    voter->ballot = RAFT_BALLOT_UNSENT;
    voter->retry_at = mono_add_ms(raft->now, raft->config.retry_backoff_ms);
}

/* What the files of the step share. Nobody else includes this. */
#ifndef BROKER_RAFT_RAFT_INTERNAL_H
#define BROKER_RAFT_RAFT_INTERNAL_H

#include "broker/raft/raft.h"

static inline uint32_t raft_majority(const struct raft *raft)
{
    return raft->set.count / 2 + 1;
}

/* Votes, stands, leads: a voter that has lost nothing it acknowledged. */
static inline bool raft_may_stand(const struct raft *raft)
{
    return raft_is_voter(raft) && !raft->distrusted;
}

static inline bool raft_due(const struct raft *raft, struct mono_time at)
{
    return at.ns <= raft->now.ns;
}

/* May be counted one day, so that what it tells must be durable. */
static inline bool raft_may_count(const struct raft *raft)
{
    return raft_is_voter(raft) || raft->config.may_join;
}

/* Answers ballots: a candidate may know a newer set than we do (KIP-853). */
static inline bool raft_may_grant(const struct raft *raft)
{
    if (raft->distrusted) return false;
    return raft_is_voter(raft) || (raft->set.dynamic && raft->config.may_join);
}

/* Place of a voter; set.count when it is none. */
uint32_t raft_voter_place(const struct raft *raft, int32_t id);
/* Could be a leader: with configured voters one of them; else whoever the driver can find. */
static inline bool raft_may_follow(const struct raft *raft, int32_t leader)
{
    if (leader < 0) return false;
    if (raft->set.dynamic || raft->config.voter_count == 0) return true;
    return raft_voter_place(raft, leader) < raft->set.count;
}
/* Likewise, of a voter with this directory (zero: not said). */
uint32_t raft_voter_key_place(const struct raft *raft, int32_t id, struct uuid directory);
/* Another set counts from here on; NULL: the same. */
void raft_change_voters(struct raft *raft, const struct raft_voters *next);
/* Whom to name as leader in answers: not a leader that resigned. */
int32_t raft_known_leader(const struct raft *raft);

/* ---- effects, notes (raft.c) ---- */
struct raft_effect *raft_effect(struct raft *raft, enum raft_effect_kind kind);
void raft_note(struct raft *raft, enum raft_note_kind kind, const int64_t *fields, uint32_t count);
#define RAFT_NOTE(raft, kind, ...)                            \
    raft_note((raft), (kind), (const int64_t[]){__VA_ARGS__}, \
              (uint32_t)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)))
void raft_fail(struct raft *raft, enum raft_fault fault);
void raft_answer(struct raft *raft, enum err err, bool granted);
struct mono_time raft_draw_election(struct raft *raft);

/* ---- the moves (raft.c); the epoch never goes back ---- */
void raft_become_unattached(struct raft *raft, int32_t epoch);
void raft_become_follower(struct raft *raft, int32_t epoch, int32_t leader);
void raft_become_prospective(struct raft *raft);
void raft_become_candidate(struct raft *raft);
void raft_become_leader(struct raft *raft);
void raft_become_resigned(struct raft *raft);
/* What a peer knows of epoch and leader. True when it made us move. */
bool raft_adopt(struct raft *raft, int32_t epoch, int32_t leader);

/* ---- elections (raft_election.c) ---- */
void raft_start_ballot(struct raft *raft);
void raft_election_tick(struct raft *raft);
struct mono_time raft_election_deadline(const struct raft *raft);
void raft_vote_request(struct raft *raft, const struct raft_event *event);
void raft_vote_reply(struct raft *raft, const struct raft_event *event);
void raft_vote_failed(struct raft *raft, const struct raft_event *event);

/* ---- leader, resigned (raft_leader.c) ---- */
void raft_leader_enter(struct raft *raft);
/* The leadership is durable: only now it is one. Before, a crash leaves a candidate behind, which
 * may win the same epoch again. */
void raft_leader_elected(struct raft *raft);
void raft_leader_tick(struct raft *raft);
struct mono_time raft_leader_deadline(const struct raft *raft);
void raft_leader_fetch(struct raft *raft, const struct raft_event *event);
/* Whoever speaks for this voter was heard; its place, or voter_count: an observer or a stranger. */
uint32_t raft_leader_heard(struct raft *raft, int32_t replica, struct uuid directory);
void raft_leader_advance(struct raft *raft);
void raft_begin_failed(struct raft *raft, const struct raft_event *event);
void raft_resigned_enter(struct raft *raft);
void raft_resigned_tick(struct raft *raft);
struct mono_time raft_resigned_deadline(const struct raft *raft);
void raft_end_reply(struct raft *raft, const struct raft_event *event);

/* ---- follower, and who looks for a leader (raft_follower.c) ---- */
void raft_follower_enter(struct raft *raft);
void raft_follower_tick(struct raft *raft);
/* Flushes, then fetches, when it is time. */
void raft_follower_settle(struct raft *raft);
struct mono_time raft_follower_deadline(const struct raft *raft);
void raft_begin_request(struct raft *raft, const struct raft_event *event);
void raft_end_request(struct raft *raft, const struct raft_event *event);
void raft_fetch_reply(struct raft *raft, const struct raft_event *event);
void raft_fetch_failed(struct raft *raft, const struct raft_event *event);
void raft_append_refused(struct raft *raft);
void raft_follower_appended(struct raft *raft);
void raft_fetch_later(struct raft *raft);
bool raft_follower_hears(struct raft *raft); /* the leader is there; false: it said its end */

/* ---- snapshots (raft_snapshot.c) ---- */
/* The log is being cut or replaced: it says nothing yet about how far it reaches. */
static inline bool raft_recasting(const struct raft *raft)
{
    return raft->work == RAFT_TRUNCATING || raft->work == RAFT_INSTALLING;
}
/* What is asked for is not in the log any more (kraft.md 7). */
bool raft_snapshot_needed(const struct raft *raft, const struct raft_fetch_request *request);
void raft_snapshot_request(struct raft *raft, const struct raft_event *event);
void raft_snapshot_begin(struct raft *raft, const struct raft_fetch_reply *fetched);
void raft_snapshot_send(struct raft *raft);
void raft_snapshot_reply(struct raft *raft, const struct raft_event *event);
void raft_snapshot_saved(struct raft *raft, const struct raft_event *event);
void raft_snapshot_installed(struct raft *raft, const struct raft_event *event);
void raft_snapshot_refused(struct raft *raft);
void raft_snapshot_log_starts(struct raft *raft, const struct raft_event *event);

#endif

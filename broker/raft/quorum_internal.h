/* What the files of the driver share. Nobody else includes this. */
#ifndef BROKER_RAFT_QUORUM_INTERNAL_H
#define BROKER_RAFT_QUORUM_INTERNAL_H

#include "broker/raft/quorum.h"
#include "broker/raft/quorum_request.h"

/* Topic of the metadata log on the wire: id 0000000000000001 in its last eight bytes. */
#define QUORUM_TOPIC STR("__cluster_metadata")
struct uuid quorum_call_topic_id(void);

/* ---- the driver (quorum_driver.c) ---- */
void quorum_driver_start(struct quorum *quorum);
void quorum_driver_wake(struct quorum *quorum);
void quorum_driver_fail(struct quorum *quorum, enum err err, struct str why);
static inline bool quorum_over(const struct quorum *quorum)
{
    return quorum->state == QUORUM_STOPPED || quorum->state == QUORUM_FAILED;
}

/* ---- the log's side (quorum_log.c) ---- */
uint32_t quorum_log_failures(const struct quorum *quorum);
void quorum_log_start(struct quorum *quorum);
/* Raft's disk work: a flush with its hint, or a cut. */
void quorum_log_work(struct quorum *quorum, enum quorum_work_kind kind, int64_t end);
void quorum_log_append(struct quorum *quorum, struct quorum_call *call);
void quorum_log_lead(struct quorum *quorum, int32_t epoch);
void quorum_log_unlead(struct quorum *quorum);
void quorum_log_drain(struct quorum *quorum);
bool quorum_log_drain_ready(const struct quorum *quorum);
int64_t quorum_log_drain_deadline(const struct quorum *quorum);
void quorum_log_tell_leader(struct quorum *quorum);
/* Epoch of the last batch; 0 for an empty log. */
int32_t quorum_log_last_epoch(const struct quorum *quorum);

/* ---- requests to others (quorum_call.c) ---- */
MUST_USE enum err quorum_call_init(struct quorum *quorum);
void quorum_call_deinit(struct quorum *quorum);
void quorum_call_send(struct quorum *quorum, const struct raft_effect *effect);
/* The driver is done with an answer. */
void quorum_call_finish(struct quorum_call *call);
/* Most of the other voters say that we are of another cluster. One that is wrong among many is
 * its own trouble; against most of them no election can be won and nothing be fetched. */
bool quorum_call_foreign(const struct quorum *quorum);
bool quorum_call_ends_out(const struct quorum *quorum); /* EndQuorumEpoch unanswered */
void quorum_call_close(struct quorum *quorum);
/* A peer that is not closed yet; NULL: all are. */
struct peer *quorum_call_open_peer(struct quorum *quorum);

/* ---- requests of others (quorum_request.c) ---- */
struct raft_event *quorum_request_event(struct quorum_request *request);
void quorum_request_answer(struct quorum_request *request, const struct raft_reply *reply);
void quorum_request_answer_fetch(struct quorum_request *request,
                                 const struct raft_fetch_answer *answer);
void quorum_request_refuse(struct quorum_request *request, enum err err);

#endif

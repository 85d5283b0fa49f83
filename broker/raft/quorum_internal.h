/* What the files of the driver share. Nobody else includes this. */
#ifndef BROKER_RAFT_QUORUM_INTERNAL_H
#define BROKER_RAFT_QUORUM_INTERNAL_H

#include "broker/raft/quorum.h"
#include "broker/raft/quorum_request.h"

/* Topic of the metadata log on the wire: id 0000000000000001 in its last eight bytes. */
#define QUORUM_TOPIC STR("__cluster_metadata")
struct uuid quorum_topic_id(void);

/* One event into the machine, its effects out (quorum_driver.c). */
void quorum_give(struct quorum *quorum, struct raft_event *event);
void quorum_wake(struct quorum *quorum);
void quorum_fail(struct quorum *quorum, enum err err, struct str why);

/* ---- the log's side (quorum_log.c) ---- */
void quorum_work_start(struct quorum *quorum, enum quorum_work_kind kind, int64_t end);
void quorum_watch_start(struct quorum *quorum);
void quorum_commit_start(struct quorum *quorum);
void quorum_lead(struct quorum *quorum, int32_t epoch, int64_t start);
void quorum_unlead(struct quorum *quorum);
void quorum_drain_due(struct quorum *quorum);
bool quorum_drain_ready(const struct quorum *quorum);
int64_t quorum_drain_deadline(const struct quorum *quorum);
void quorum_tell_leader(struct quorum *quorum);
int32_t quorum_log_epoch(const struct quorum *quorum);

/* ---- requests to others (quorum_call.c) ---- */
MUST_USE enum err quorum_links_init(struct quorum *quorum);
void quorum_links_deinit(struct quorum *quorum);
void quorum_links_close(struct quorum *quorum);
bool quorum_links_closed(const struct quorum *quorum);
void quorum_call_send(struct quorum *quorum, const struct raft_effect *effect);
/* The driver is done with an answer. */
void quorum_call_finish(struct quorum_call *call);
bool quorum_ends_sent(const struct quorum *quorum);

/* ---- requests of others (quorum_request.c) ---- */
void quorum_request_event(struct quorum_request *request, struct raft_event *event);
void quorum_request_answer(struct quorum_request *request, const struct raft_reply *reply);
void quorum_request_answer_fetch(struct quorum_request *request,
                                 const struct raft_fetch_answer *answer);
void quorum_request_refuse(struct quorum_request *request, enum err err);

#endif

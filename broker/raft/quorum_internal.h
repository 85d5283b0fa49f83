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
void quorum_log_work_end(struct op *op);
void quorum_log_put_hint(struct quorum *quorum, int64_t end);
bool quorum_log_hinted(struct quorum *quorum);
/* Of its last batch, or of the snapshot it begins with; 0 for a log that has had none. */
int32_t quorum_log_last_epoch(const struct quorum *quorum);

/* ---- who votes (quorum_voting.c) ---- */
/* As configured, before anything was read. */
void quorum_voting_init(struct quorum *quorum);
/* What a snapshot says counts, and the log's entries from its end on. */
void quorum_voting_loaded(struct quorum *quorum, const struct quorum_scan *scan);
/* At the start: reads the log through, slice by slice: while (_read_next) { AWAIT; _read_done }. */
bool quorum_voting_read_next(struct quorum *quorum);
MUST_USE enum err quorum_voting_read_done(struct quorum *quorum);
/* Batches below `end` were given to the log. */
void quorum_voting_note(struct quorum *quorum, struct bytes batches, int64_t end);
/* A set that stands at voters->offset was. */
void quorum_voting_await(struct quorum *quorum, const struct quorum_voters *voters);
/* The log holds so much, or so much less: the set that counts from here on; NULL: the same. */
const struct raft_voters *quorum_voting_appended(struct quorum *quorum);
const struct raft_voters *quorum_voting_cut(struct quorum *quorum);
const struct raft_voters *quorum_voting_installed(struct quorum *quorum);
/* A committed control batch is told. */
MUST_USE enum err quorum_voting_apply(struct quorum *quorum, const struct record_batch *batch);
/* A control batch that starts at `offset`: with a LeaderChange value unless that is null; the
 * version and the set, unless `voters` is NULL. NULL: no memory. */
struct buf *quorum_voting_batch(struct quorum *quorum, int64_t offset, int32_t epoch,
                                struct bytes leader_change, const struct quorum_voters *voters,
                                struct bytes *batch);
void quorum_voting_trace(struct quorum *quorum);
/* Where the voter, or the leader, of this id is; NULL: not known. */
const struct quorum_member *quorum_voting_find(const struct quorum *quorum, int32_t id);
/* Who leads is found there; `itself`: it says so, and may have moved since the set was written. */
void quorum_voting_learn(struct quorum *quorum, int32_t id, struct str host, uint16_t port,
                         bool itself);

/* ---- changes of it (quorum_change.c), our own place (quorum_join.c) ---- */
void quorum_change_lost(struct quorum *quorum);
void quorum_join_start(struct quorum *quorum);

/* ---- snapshots: files (quorum_scan.c) ---- */
void quorum_io_init(struct quorum_io *io);
void quorum_io_open(struct quorum *quorum, struct quorum_io *io, const char *path, uint32_t flags);
void quorum_io_close(struct quorum *quorum, struct quorum_io *io, struct disk_file file);
void quorum_io_read(struct quorum *quorum, struct quorum_io *io, struct disk_file file,
                    uint8_t *into, uint64_t offset, uint64_t length);
void quorum_io_write(struct quorum *quorum, struct quorum_io *io, struct disk_file file,
                     struct bytes data, uint64_t offset);
void quorum_io_file(struct quorum *quorum, struct quorum_io *io, enum disk_op op,
                    struct disk_file file);
void quorum_io_path(struct quorum *quorum, struct quorum_io *io, enum disk_op op, const char *path,
                    const char *path_to);
void quorum_io_list(struct quorum *quorum, struct quorum_io *io, const char *path, uint8_t *into,
                    uint64_t length);
static inline enum err quorum_io_err(const struct quorum_io *io)
{
    return io->req.req.result;
}
#define AWAIT_QUORUM_IO(o, STEP, IO) AWAIT(o, STEP, &(IO)->done, !(IO)->req.req.pending)
/* <dir>/<name of the snapshot><suffix> */
void quorum_scan_path(const struct quorum *quorum, char path[QUORUM_PATH_MAX],
                      struct quorum_snapshot_id id, const char *suffix);
void quorum_scan_dir(const struct quorum *quorum, char path[QUORUM_PATH_MAX]);
/* Tells the listener the snapshot in `path`, up to but not including snapshot_loaded(). */
void quorum_scan_start(struct quorum *quorum, struct quorum_scan *scan, const char *path,
                       struct quorum_snapshot_id id);
#define AWAIT_SCAN(o, STEP, SCAN) AWAIT(o, STEP, &(SCAN)->source, !(SCAN)->busy)
/* What was scanned becomes the state of this node. */
void quorum_scan_take(struct quorum *quorum, struct quorum_scan *scan, struct quorum_snapshot_id id,
                      int how);
enum { QUORUM_SNAPSHOT_LOADED, QUORUM_SNAPSHOT_WRITTEN, QUORUM_SNAPSHOT_FETCHED };

/* ---- snapshots: kept (quorum_keep.c) ---- */
/* Loads the newest good one: AWAIT keep.source until keep.loaded. */
void quorum_keep_load(struct quorum *quorum);
void quorum_keep_start(struct quorum *quorum);
void quorum_keep_deinit(struct quorum *quorum);
void quorum_keep_wake(struct quorum *quorum);
/* The log now begins with this one. */
void quorum_keep_installed(struct quorum *quorum, struct quorum_snapshot_id id, uint64_t size);
const struct quorum_kept *quorum_keep_find(const struct quorum *quorum,
                                           struct quorum_snapshot_id id);
struct raft_log quorum_keep_log(const struct quorum *quorum);

/* ---- snapshots: fetched (quorum_install.c) ---- */
void quorum_install_part(struct quorum *quorum, struct quorum_call *call, int64_t position);
void quorum_install(struct quorum *quorum, int64_t end, int32_t epoch);
void quorum_install_finish(struct quorum *quorum);

/* ---- snapshots: given (quorum_serve.c) ---- */
void quorum_serve_answer(struct quorum_request *request, const struct raft_reply *reply);
void quorum_serve_refuse(struct quorum_request *request, enum err top, enum err err);
void quorum_request_init(struct quorum_request *request, struct quorum *quorum,
                         enum raft_request kind, int16_t version);
bool quorum_request_admit(struct quorum_request *request, struct str cluster, bool one,
                          int32_t voter);

/* ---- connections (quorum_link.c) ---- */
MUST_USE enum err quorum_link_init(struct quorum *quorum);
void quorum_link_deinit(struct quorum *quorum);
/* NULL: no way there is known. */
struct quorum_link *quorum_link_find(struct quorum *quorum, int32_t id);
/* One to this address; NULL: no memory. */
struct quorum_link *quorum_link_make(struct quorum *quorum, int32_t id, struct str host,
                                     uint16_t port);
/* The set or the leader changed: there is a way to each. */
void quorum_link_settle(struct quorum *quorum);
void quorum_link_close(struct quorum *quorum);
/* A peer that is not closed yet; NULL: all are. */
struct peer *quorum_link_open_peer(struct quorum *quorum);

/* ---- requests to others (quorum_call.c) ---- */
void quorum_call_send(struct quorum *quorum, const struct raft_effect *effect);
/* The driver is done with an answer. */
void quorum_call_finish(struct quorum_call *call);
/* Most of the other voters say that we are of another cluster. One that is wrong among many is
 * its own trouble; against most of them no election can be won and nothing be fetched. */
bool quorum_call_foreign(const struct quorum *quorum);
bool quorum_call_ends_out(const struct quorum *quorum); /* EndQuorumEpoch unanswered */
void quorum_call_prepare(struct quorum_link *link);
void quorum_call_drop(struct quorum_call *call);

/* ---- requests of others (quorum_request.c) ---- */
struct raft_event *quorum_request_event(struct quorum_request *request);
void quorum_request_answer(struct quorum_request *request, const struct raft_reply *reply);
void quorum_request_answer_fetch(struct quorum_request *request,
                                 const struct raft_fetch_answer *answer);
void quorum_request_refuse(struct quorum_request *request, enum err err);

#endif

/* Requests of other nodes to this node's quorum, for the api layer. Its handler is an op:
 *
 *     quorum_request_vote(&o->quorum_request, quorum, version, &decoded);
 *     AWAIT(o, ANSWERED, &o->quorum_request.source, o->quorum_request.done);
 *     ... encode o->quorum_request.response.vote ...
 *     quorum_request_release(&o->quorum_request);
 *
 * The decoded request is borrowed for the call that starts; the response points into the request
 * struct, into the quorum and (records) into the log's buffers until the release. The handler's
 * frame takes counts of its own of read.holds[0 .. read.count), and of part. */
#ifndef BROKER_RAFT_QUORUM_REQUEST_H
#define BROKER_RAFT_QUORUM_REQUEST_H

#include "broker/raft/quorum.h"
#include "wire/begin_quorum_epoch.h"
#include "wire/describe_quorum.h"
#include "wire/end_quorum_epoch.h"
#include "wire/fetch.h"
#include "wire/fetch_snapshot.h"
#include "wire/vote.h"

struct quorum_request {
    struct op_source source;
    bool done;
    union {
        struct vote_response vote;
        struct begin_quorum_epoch_response begin;
        struct end_quorum_epoch_response end;
        struct fetch_response fetch;
        struct fetch_snapshot_response snapshot;
    } response;
    struct log_read read; /* of a Fetch: holds of the records */
    struct buf *part;     /* of a FetchSnapshot: counted, NULL none */
    /* private */
    struct quorum *quorum;
    enum raft_request kind;
    int16_t version;
    struct list link;
    struct op op; /* of a Fetch: parks, reads */
    struct raft_event event;
    struct raft_fetch_answer answer;
    bool stepped; /* the machine has seen it */
    bool reading;
    int64_t until_ns;
    uint32_t max_bytes;
    /* FetchSnapshot */
    struct quorum_snapshot_id snapshot;
    int64_t position;
    uint64_t size;
    uint32_t length;
    enum err serve_err;
    struct raft_reply serve_reply;
    struct quorum_io io;
    struct disk_file file;
    char path[QUORUM_PATH_MAX];
    struct wire_slice slices[LOG_READ_SLICES];
    union {
        struct vote_response_topic vote;
        struct begin_quorum_epoch_response_topic begin;
        struct end_quorum_epoch_response_topic end;
        struct fetch_response_topic fetch;
        struct fetch_snapshot_response_topic snapshot;
    } topic;
    union {
        struct vote_response_partition vote;
        struct begin_quorum_epoch_response_partition begin;
        struct end_quorum_epoch_response_partition end;
        struct fetch_response_partition fetch;
        struct fetch_snapshot_response_partition snapshot;
    } partition;
    union {
        struct vote_response_node_endpoint vote;
        struct begin_quorum_epoch_response_node_endpoint begin;
        struct end_quorum_epoch_response_node_endpoint end;
        struct fetch_response_node_endpoint fetch;
        struct fetch_snapshot_response_node_endpoint snapshot;
    } endpoint;
};

/* True when a Fetch asks for the metadata log, and so belongs here. */
bool quorum_request_is_metadata(const struct fetch_request *fetch);

void quorum_request_vote(struct quorum_request *request, struct quorum *quorum, int16_t version,
                         const struct vote_request *vote);
void quorum_request_begin(struct quorum_request *request, struct quorum *quorum, int16_t version,
                          const struct begin_quorum_epoch_request *begin);
void quorum_request_end(struct quorum_request *request, struct quorum *quorum, int16_t version,
                        const struct end_quorum_epoch_request *end);
/* `connection`: the number of the one it came by. */
void quorum_request_fetch(struct quorum_request *request, struct quorum *quorum, int16_t version,
                          uint64_t connection, const struct fetch_request *fetch);
void quorum_request_snapshot(struct quorum_request *request, struct quorum *quorum, int16_t version,
                             const struct fetch_snapshot_request *asked);
/* The asker is gone: withdraws it. Harmless when done. A read under way is not withdrawn: `done`
 * may still be false, and comes as ever. */
void quorum_request_cancel(struct quorum_request *request);
/* Gives records back. After done, or cancel. */
void quorum_request_release(struct quorum_request *request);

/* Answered at once; arrays in the arena. NO_MEMORY. */
MUST_USE enum err quorum_describe(struct quorum *quorum,
                                  const struct describe_quorum_request *request,
                                  struct arena *arena, struct describe_quorum_response *response);

#endif

/* Requests of other nodes to this node's quorum, for the api layer. Its handler is an op:
 *
 *     quorum_request_vote(&o->quorum_request, quorum, version, &decoded);
 *     AWAIT(o, ANSWERED, &o->quorum_request.source, o->quorum_request.done);
 *     ... encode o->quorum_request.response.vote ...
 *     quorum_request_release(&o->quorum_request);
 *
 * The decoded request is borrowed for the call that starts; the response points into the request
 * struct, into the quorum and (records) into the log's buffers until the release. The handler's
 * frame takes counts of its own of read.holds[0 .. read.count). */
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
    } response;
    struct log_read read; /* of a Fetch: holds of the records */
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
    struct wire_slice slices[LOG_READ_SLICES];
    union {
        struct vote_response_topic vote;
        struct begin_quorum_epoch_response_topic begin;
        struct end_quorum_epoch_response_topic end;
        struct fetch_response_topic fetch;
    } topic;
    union {
        struct vote_response_partition vote;
        struct begin_quorum_epoch_response_partition begin;
        struct end_quorum_epoch_response_partition end;
        struct fetch_response_partition fetch;
    } partition;
    union {
        struct vote_response_node_endpoint vote;
        struct begin_quorum_epoch_response_node_endpoint begin;
        struct end_quorum_epoch_response_node_endpoint end;
        struct fetch_response_node_endpoint fetch;
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
void quorum_request_fetch(struct quorum_request *request, struct quorum *quorum, int16_t version,
                          const struct fetch_request *fetch);
/* The asker is gone: withdraws it. Harmless when done. A read under way is not withdrawn: `done`
 * may still be false, and comes as ever. */
void quorum_request_cancel(struct quorum_request *request);
/* Gives records back. After done, or cancel. */
void quorum_request_release(struct quorum_request *request);

/* Answered at once; arrays in the arena. NO_MEMORY. */
MUST_USE enum err quorum_describe(struct quorum *quorum,
                                  const struct describe_quorum_request *request,
                                  struct arena *arena, struct describe_quorum_response *response);
/* There is no snapshot yet: SNAPSHOT_NOT_FOUND for each partition asked, or what is wrong before
 * that. */
MUST_USE enum err quorum_describe_snapshot(struct quorum *quorum,
                                           const struct fetch_snapshot_request *request,
                                           struct arena *arena,
                                           struct fetch_snapshot_response *response);

#endif

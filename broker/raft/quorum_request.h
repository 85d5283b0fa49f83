/* Requests of other nodes to this node's quorum, for the api layer. Its handler is an op:
 *
 *     quorum_request_vote(&o->quorum_request, quorum, &decoded);
 *     AWAIT(o, ANSWERED, &o->quorum_request.source, o->quorum_request.done);
 *     ... encode o->quorum_request.response.vote ...
 *     quorum_request_release(&o->quorum_request);
 *
 * The decoded request and the arena it lies in are borrowed until `done`; the response points into the
 * request struct, the quorum and (records) the log's buffers until release. */
#ifndef BROKER_RAFT_QUORUM_REQUEST_H
#define BROKER_RAFT_QUORUM_REQUEST_H

#include "broker/raft/quorum.h"
#include "wire/begin_quorum_epoch.h"
#include "wire/describe_quorum.h"
#include "wire/end_quorum_epoch.h"
#include "wire/fetch.h"
#include "wire/fetch_snapshot.h"
#include "wire/vote.h"

#endif

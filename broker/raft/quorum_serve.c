/* FetchSnapshot: parts of a kept snapshot for who is behind the log (kraft.md 8). The machine
 * judges leader and epoch, and takes it for a sign of life; the bytes come from the file. */
#include "broker/raft/quorum_internal.h"

#include "client/base/assert.h"

static void quorum_serve_fill(struct quorum_request *request, enum err top)
{
    struct quorum *quorum = request->quorum;
    struct fetch_snapshot_response *response = &request->response.snapshot;
    struct fetch_snapshot_response_partition *part = &request->partition.snapshot;
    int32_t id;
    struct str host;
    uint16_t port;

    fetch_snapshot_response_default(response);
    fetch_snapshot_response_topic_default(&request->topic.snapshot);
    fetch_snapshot_response_partition_default(part);
    part->error_code = (int16_t)request->serve_err;
    part->snapshot_id.end_offset = request->snapshot.end;
    part->snapshot_id.epoch = request->snapshot.epoch;
    part->current_leader.leader_id = request->serve_reply.leader;
    part->current_leader.leader_epoch = request->serve_reply.epoch;
    part->unaligned_records = (struct bytes){(const uint8_t *)"", 0};
    if (request->serve_err == ERR_NONE && request->part != NULL) { /* not: refused as a whole */
        part->size = (int64_t)request->size;
        part->position = request->position;
        request->slices[0] = (struct wire_slice){.kind = WIRE_SLICE_MEMORY,
                                                 .length = (uint32_t)request->io.req.done,
                                                 .data = request->part->data};
        part->unaligned_records_slices = request->slices;
        part->unaligned_records_slices_count = 1;
    }
    request->topic.snapshot.name = STR("__cluster_metadata");
    request->topic.snapshot.partitions = part;
    request->topic.snapshot.partitions_count = 1;
    response->error_code = (int16_t)top;
    response->topics = &request->topic.snapshot;
    response->topics_count = top == ERR_NONE ? 1 : 0;
    if (request->version >= 1 && request->serve_err != ERR_NONE &&
        quorum_leader_address(quorum, &id, &host, &port) && id == request->serve_reply.leader) {
        request->endpoint.snapshot = (struct fetch_snapshot_response_node_endpoint){id, host, port};
        response->node_endpoints = &request->endpoint.snapshot;
        response->node_endpoints_count = 1;
    }
    request->done = true;
    op_wake(&request->source);
}

void quorum_serve_refuse(struct quorum_request *request, enum err top, enum err err)
{
    request->serve_reply =
        (struct raft_reply){.err = err, .leader = RAFT_NOBODY, .epoch = request->quorum->epoch};
    request->serve_err = err;
    quorum_serve_fill(request, top);
}

/* ---- the bytes ------------------------------------------------------------------------------- */

enum quorum_serve_step { SERVE_START, SERVE_OPENED, SERVE_READ, SERVE_CLOSED };
static const char *const quorum_serve_steps[] = {"START", "OPENED", "READ", "CLOSED"};

static enum op_result quorum_serve_run(struct op *op)
{
    struct quorum_request *o = CONTAINER_OF(op, struct quorum_request, op);
    struct quorum *q = o->quorum;

    switch ((enum quorum_serve_step)op->step) {
    case SERVE_START:
        quorum_io_init(&o->io);
        quorum_scan_path(q, o->path, o->snapshot, "");
        quorum_io_open(q, &o->io, o->path, DISK_READ_ONLY);
        AWAIT_QUORUM_IO(o, SERVE_OPENED, &o->io);
        if (quorum_io_err(&o->io) != ERR_NONE) {
            /* Cleaned meanwhile: there is a newer one. */
            o->serve_err = quorum_io_err(&o->io) == ERR_NOT_FOUND ? ERR_SNAPSHOT_NOT_FOUND
                                                                  : ERR_KAFKA_STORAGE_ERROR;
            return OP_DONE;
        }
        o->file = o->io.req.file;
        quorum_io_read(q, &o->io, o->file, o->part->data, (uint64_t)o->position, o->length);
        AWAIT_QUORUM_IO(o, SERVE_READ, &o->io);
        o->serve_err = quorum_io_err(&o->io);
        if (o->serve_err == ERR_NONE && o->io.req.done == 0) o->serve_err = ERR_DAMAGED;
        if (o->serve_err != ERR_NONE) o->serve_err = ERR_KAFKA_STORAGE_ERROR;
        o->length = (uint32_t)o->io.req.done;
        quorum_io_close(q, &o->io, o->file);
        AWAIT_QUORUM_IO(o, SERVE_CLOSED, &o->io);
        o->io.req.done = o->length;
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static void quorum_serve_end(struct op *op)
{
    quorum_serve_fill(CONTAINER_OF(op, struct quorum_request, op), ERR_NONE);
}

static const struct op_kind quorum_serve_kind = {"quorum_serve", quorum_serve_steps,
                                                 COUNT_OF(quorum_serve_steps), quorum_serve_run,
                                                 quorum_serve_end};

/* The machine has judged the request. */
void quorum_serve_answer(struct quorum_request *request, const struct raft_reply *reply)
{
    const struct quorum_kept *kept = quorum_keep_find(request->quorum, request->snapshot);

    request->serve_reply = *reply;
    request->serve_err = reply->err;
    if (request->serve_err == ERR_NONE && kept == NULL) {
        request->serve_err = ERR_SNAPSHOT_NOT_FOUND;
    } else if (request->serve_err == ERR_NONE) {
        request->size = kept->size;
        if (request->position < 0 || (uint64_t)request->position >= kept->size)
            request->serve_err = ERR_POSITION_OUT_OF_RANGE;
    }
    if (request->serve_err == ERR_NONE) {
        uint64_t left = kept->size - (uint64_t)request->position;

        request->length = left < request->max_bytes ? (uint32_t)left : request->max_bytes;
        request->part = buf_take(&request->quorum->env->payload, request->length, true);
        if (request->part == NULL) request->serve_err = ERR_KAFKA_STORAGE_ERROR; /* asked again */
    }
    if (request->serve_err != ERR_NONE) {
        quorum_serve_fill(request, ERR_NONE);
        return;
    }
    op_start(&request->quorum->env->loop, &request->op, &quorum_serve_kind, SERVE_START);
}

void quorum_request_snapshot(struct quorum_request *request, struct quorum *quorum, int16_t version,
                             const struct fetch_snapshot_request *asked)
{
    bool one = asked->topics_count == 1 && asked->topics[0].partitions_count == 1;
    const struct fetch_snapshot_request_partition *part;

    quorum_request_init(request, quorum, RAFT_REQUEST_SNAPSHOT, version);
    if (one) {
        part = &asked->topics[0].partitions[0];
        request->snapshot =
            (struct quorum_snapshot_id){part->snapshot_id.end_offset, part->snapshot_id.epoch};
        request->position = part->position;
        request->max_bytes = QUORUM_FETCH_BYTES;
        if (asked->max_bytes > 0 && asked->max_bytes < QUORUM_FETCH_BYTES)
            request->max_bytes = (uint32_t)asked->max_bytes;
        request->event.kind = RAFT_SNAPSHOT_REQUEST;
        request->event.snapshot =
            (struct raft_snapshot_request){.replica = asked->replica_id,
                                           .directory = part->replica_directory_id,
                                           .leader_epoch = part->current_leader_epoch};
        if (!str_equal(asked->topics[0].name, STR("__cluster_metadata")) || part->partition != 0) {
            quorum_serve_refuse(request, ERR_NONE, ERR_UNKNOWN_TOPIC_OR_PARTITION);
            return;
        }
    }
    (void)quorum_request_admit(request, asked->cluster_id, one, -1);
}

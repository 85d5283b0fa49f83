/* ListOffsets and OffsetForLeaderEpoch (protocol.md 7, 15; replication.md 5, 8). */
#include "broker/api/api.h"
#include "broker/node.h"
#include "wire/list_offsets.h"
#include "wire/offset_for_leader_epoch.h"

/* ---- ListOffsets ----------------------------------------------------------------------------- */

enum { LIST_EARLIEST = -2 };

enum list_step { LIST_START, LIST_FOUND };
static const char *const list_steps[] = {"START", "FOUND"};

struct list_part {
    struct partition_list list;
    struct partition *part; /* NULL: `missing` */
    enum err missing;
    int64_t handover_at; /* of a follower; -1: it wants no producers */
    struct list_offsets_response_partition *answer;
};

struct list_offsets {
    struct op op;
    struct request *request;
    struct list_offsets_request body;
    struct list_offsets_response answer;
    struct list_part *parts;
    uint32_t count;
    uint32_t at;
};

static enum err list_topic(struct list_offsets *o, const struct list_offsets_request_topic *in,
                           struct list_offsets_response_topic *out)
{
    list_offsets_response_topic_default(out);
    out->name = in->name;
    out->partitions =
        request_alloc(o->request, (in->partitions_count + 1) * sizeof *out->partitions);
    if (out->partitions == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < in->partitions_count; i++) {
        const struct list_offsets_request_partition *asked = &in->partitions[i];
        struct list_part *p = &o->parts[o->count++];

        p->answer = &out->partitions[out->partitions_count++];
        list_offsets_response_partition_default(p->answer);
        p->answer->partition_index = asked->partition_index;
        p->handover_at = o->body.replica_id >= 0 ? asked->handover_at : -1;
        p->missing = manager_find_by_name(&o->request->node->replicas, in->name,
                                          asked->partition_index, &p->part);
        if (p->missing != ERR_NONE) p->part = NULL;
        if (p->part != NULL) partition_pin(p->part);
        p->list.timestamp = asked->timestamp;
        p->list.current_epoch = asked->current_leader_epoch;
        p->list.replica_id = o->body.replica_id;
        p->list.stable_only = o->body.isolation_level == 1;
        op_source_init(&p->list.lookup.source);
    }
    return ERR_NONE;
}

static enum err list_prepare(struct list_offsets *o)
{
    uint32_t parts = 0;

    list_offsets_response_default(&o->answer);
    for (uint32_t i = 0; i < o->body.topics_count; i++)
        parts += o->body.topics[i].partitions_count;
    o->parts = request_alloc(o->request, (parts + 1) * sizeof *o->parts);
    o->answer.topics =
        request_alloc(o->request, (o->body.topics_count + 1) * sizeof *o->answer.topics);
    if (o->parts == NULL || o->answer.topics == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < o->body.topics_count; i++) {
        enum err err = list_topic(o, &o->body.topics[i], &o->answer.topics[i]);

        if (err != ERR_NONE) return err;
        o->answer.topics_count++;
    }
    return ERR_NONE;
}

static void list_begin(struct list_offsets *o)
{
    struct list_part *p = &o->parts[o->at];

    if (p->part != NULL) partition_list(p->part, &p->list);
}

static bool list_found(const struct list_offsets *o)
{
    const struct list_part *p = &o->parts[o->at];

    return p->part == NULL || partition_list_done(&p->list);
}

/* Who wrote what a follower never gets, of where it begins: in the turn in which the log start was
 * read. At most 1.9 MB, of the 10,000 producers that a log remembers. */
static enum err list_hand_over(struct list_offsets *o, const struct list_part *p)
{
    const struct log *log = p->part->log;
    int64_t at = p->handover_at > p->list.offset ? p->handover_at : p->list.offset;
    struct log_handover handover;
    uint8_t *bytes;

    if (p->handover_at < 0 || p->list.timestamp != LIST_EARLIEST) return ERR_NONE;
    bytes = request_alloc(o->request, log_handover_size(log));
    if (bytes == NULL) return ERR_NO_MEMORY;
    log_handover_put(log, at, bytes, &handover);
    p->answer->producers = handover.snapshot;
    p->answer->producers_window = handover.window;
    return ERR_NONE;
}

static void list_take(struct list_offsets *o)
{
    struct list_part *p = &o->parts[o->at];
    enum err err = p->missing;

    if (p->part != NULL) {
        partition_list_finish(&p->list);
        err = p->list.err;
        if (err == ERR_NONE) err = list_hand_over(o, p);
    }
    if (!err_is_wire(err)) err = ERR_KAFKA_STORAGE_ERROR;
    if (err == ERR_OFFSET_NOT_AVAILABLE && o->request->version < 5) {
        err = ERR_LEADER_NOT_AVAILABLE; /* protocol.md 8, substitutions */
    }
    p->answer->error_code = (int16_t)err;
    if (err != ERR_NONE) return;
    p->answer->offset = p->list.offset;
    p->answer->timestamp = p->list.found_timestamp;
    p->answer->leader_epoch = o->request->version >= 4 ? p->list.leader_epoch : -1;
}

static enum op_result list_run(struct op *op)
{
    struct list_offsets *o = CONTAINER_OF(op, struct list_offsets, op);

    switch ((enum list_step)op->step) {
    case LIST_START:
        for (o->at = 0; o->at < o->count; o->at++) {
            list_begin(o);
            AWAIT(o, LIST_FOUND, &o->parts[o->at].list.lookup.source, list_found(o));
            list_take(o);
        }
        request_reply(o->request, &o->answer);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a lookup");
}

static void list_unpin(struct list_offsets *o)
{
    for (uint32_t i = 0; i < o->count; i++) {
        if (o->parts[i].part != NULL) partition_unpin(o->parts[i].part);
    }
}

static void list_finish(struct op *op)
{
    struct list_offsets *o = CONTAINER_OF(op, struct list_offsets, op);

    list_unpin(o);
    request_finish(o->request);
}

static const struct op_kind list_kind = {"list_offsets", list_steps, COUNT_OF(list_steps), list_run,
                                         list_finish};

void api_offsets_list_handle(struct request *request)
{
    struct list_offsets *o = request_alloc(request, sizeof *o);

    if (o == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    if (request_decode(request, &o->body) != ERR_NONE) return;
    o->request = request;
    if (list_prepare(o) != ERR_NONE) {
        list_unpin(o);
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    op_start(&request->env->loop, &o->op, &list_kind, LIST_START);
}

/* ---- OffsetForLeaderEpoch -------------------------------------------------------------------- */

static void epoch_part(struct request *request, struct str topic,
                       const struct offset_for_leader_epoch_request_partition *in,
                       struct offset_for_leader_epoch_response_partition *out)
{
    struct log_epoch_end end = {.epoch = -1, .end_offset = -1};
    struct partition *part;
    enum err err = manager_find_by_name(&request->node->replicas, topic, in->partition, &part);

    if (err == ERR_NONE) {
        err = partition_end_offset_for(part, in->current_leader_epoch, in->leader_epoch, &end);
    }
    offset_for_leader_epoch_response_partition_default(out);
    out->partition = in->partition;
    out->error_code = (int16_t)(err_is_wire(err) ? err : ERR_KAFKA_STORAGE_ERROR);
    if (err == ERR_NONE) {
        out->leader_epoch = end.epoch;
        out->end_offset = end.end_offset;
    }
}

void api_offsets_epoch_handle(struct request *request)
{
    struct offset_for_leader_epoch_response response;
    struct offset_for_leader_epoch_request body;

    if (request_decode(request, &body) != ERR_NONE) return;
    offset_for_leader_epoch_response_default(&response);
    response.topics = request_alloc(request, (body.topics_count + 1) * sizeof *response.topics);
    for (uint32_t i = 0; response.topics != NULL && i < body.topics_count; i++) {
        struct offset_for_leader_epoch_response_topic *out = &response.topics[i];

        offset_for_leader_epoch_response_topic_default(out);
        out->topic = body.topics[i].topic;
        out->partitions =
            request_alloc(request, (body.topics[i].partitions_count + 1) * sizeof *out->partitions);
        if (out->partitions == NULL) break;
        for (uint32_t j = 0; j < body.topics[i].partitions_count; j++) {
            epoch_part(request, out->topic, &body.topics[i].partitions[j],
                       &out->partitions[out->partitions_count++]);
        }
        response.topics_count++;
    }
    if (response.topics == NULL || response.topics_count < body.topics_count) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    request_answer(request, &response);
}

/* Produce: appends each partition's batch to the log this broker leads, waits as `acks` says, and
 * answers (protocol.md 12, replication.md 2, 3).
 *
 *   START      every batch is checked and staged; offsets are known
 *   DECIDED    one partition after another: written (acks=1), or replicated (acks=all), or failed,
 *              or out of time
 *
 * The frame that carries the batches is given back as soon as they are staged: the log holds what
 * it still has to write. acks=0 is never answered; an error of it closes the connection, so that
 * the client looks for the leader again. */
#include "broker/api/api.h"
#include "broker/node.h"
#include "client/wire/record_batch.h"
#include "wire/produce.h"

#include <string.h>

enum produce_step { PRODUCE_START, PRODUCE_DECIDED };
static const char *const produce_steps[] = {"START", "DECIDED"};

struct produce_part {
    struct partition_append append;
    struct produce_response_partition *answer;
    int64_t append_time_ms;
    struct uuid topic_id; /* zero: not known */
    bool appended;        /* staged: append.part is pinned */
    enum err err;
};

struct produce {
    struct op op;
    struct request *request;
    struct produce_request body;
    struct produce_response answer;
    struct produce_part *parts;
    uint32_t count;
    uint32_t at; /* the partition being waited for */
    struct api_hints hints;
    bool stray; /* something claims a transaction that nobody named */
};

static enum err produce_check_batch(const struct produce *o, struct bytes records)
{
    struct record_batch batch;
    enum codec codec;

    if (records.length == 0) return ERR_INVALID_RECORD; /* null, or no batch */
    switch (record_batch_parse(records, &batch)) {
    case RECORD_BATCH_WHOLE: break;
    case RECORD_BATCH_PARTIAL:
    case RECORD_BATCH_CORRUPT:
        /* Message sets of magic 0 and 1 are refused, not damaged (KIP-724). */
        return records.length > 16 && records.data[16] < RECORD_BATCH_MAGIC ? ERR_INVALID_RECORD
                                                                            : ERR_CORRUPT_MESSAGE;
    }
    if (batch.bytes.length != records.length) return ERR_INVALID_RECORD; /* exactly one */
    if (record_batch_codec(&batch, &codec) != ERR_NONE) return ERR_CORRUPT_MESSAGE;
    if (codec == CODEC_ZSTD && o->request->version < 7) return ERR_UNSUPPORTED_COMPRESSION_TYPE;
    return ERR_NONE;
}

/* A transactional batch without a transactional id fails the request as a whole
 * (protocol.md 12). */
static bool produce_stray_transaction(const struct produce *o)
{
    const struct produce_request *body = &o->body;
    struct record_batch batch;

    if (body->transactional_id.data != NULL) return false;
    for (uint32_t i = 0; i < body->topic_data_count; i++) {
        for (uint32_t j = 0; j < body->topic_data[i].partition_data_count; j++) {
            struct bytes records = body->topic_data[i].partition_data[j].records;

            if (records.length > 0 && record_batch_parse(records, &batch) == RECORD_BATCH_WHOLE &&
                record_batch_is_transactional(&batch)) {
                return true;
            }
        }
    }
    return false;
}

static void produce_part(struct produce *o, struct produce_part *p, struct str topic,
                         const struct produce_request_partition *in)
{
    const struct image *image = o->request->node->replicas.image;
    const struct image_topic *known = image != NULL ? image_topic_by_name(image, topic) : NULL;
    struct partition *part = NULL;

    produce_response_partition_default(p->answer);
    p->answer->index = in->index;
    p->answer->base_offset = -1;
    p->answer->log_append_time_ms = -1;
    p->answer->log_start_offset = -1;
    p->err = o->stray ? ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                      : manager_find_by_name(&o->request->node->replicas, topic, in->index, &part);
    /* Coordinators take what stands there for their own. */
    if (p->err == ERR_NONE && api_topics_internal(topic)) p->err = ERR_INVALID_TOPIC_EXCEPTION;
    if (known != NULL) p->topic_id = known->id;
    if (p->err == ERR_NONE) p->err = produce_check_batch(o, in->records);
    if (p->err == ERR_NONE) {
        p->err = partition_append(part, o->request->frame.buf, in->records, o->body.acks,
                                  LOG_CLIENT, &p->append);
    }
    p->appended = p->err == ERR_NONE;
}

/* Names outlive the frame. */
static enum err produce_topic(struct produce *o, const struct produce_request_topic *in,
                              struct produce_response_topic *out)
{
    char *name = request_alloc(o->request, in->name.length + 1);

    produce_response_topic_default(out);
    out->partition_responses = request_alloc(o->request, (in->partition_data_count + 1) *
                                                             sizeof *out->partition_responses);
    if (name == NULL || out->partition_responses == NULL) return ERR_NO_MEMORY;
    if (in->name.length > 0) memcpy(name, in->name.data, in->name.length);
    out->name = (struct str){name, in->name.length};
    return ERR_NONE;
}

static enum err produce_prepare(struct produce *o)
{
    const struct produce_request *body = &o->body;
    uint32_t parts = 0;

    produce_response_default(&o->answer);
    for (uint32_t i = 0; i < body->topic_data_count; i++) {
        parts += body->topic_data[i].partition_data_count;
    }
    o->parts = request_alloc(o->request, (parts + 1) * sizeof *o->parts);
    o->answer.responses =
        request_alloc(o->request, (body->topic_data_count + 1) * sizeof *o->answer.responses);
    if (o->parts == NULL || o->answer.responses == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < body->topic_data_count; i++) {
        enum err err = produce_topic(o, &body->topic_data[i], &o->answer.responses[i]);

        if (err != ERR_NONE) return err;
    }
    return ERR_NONE;
}

/* All memory is there: from here on nothing fails as a whole. */
static void produce_append(struct produce *o)
{
    o->stray = produce_stray_transaction(o);
    for (uint32_t i = 0; i < o->body.topic_data_count; i++) {
        const struct produce_request_topic *in = &o->body.topic_data[i];
        struct produce_response_topic *out = &o->answer.responses[o->answer.responses_count++];

        for (uint32_t j = 0; j < in->partition_data_count; j++) {
            struct produce_part *p = &o->parts[o->count++];

            p->answer = &out->partition_responses[out->partition_responses_count++];
            produce_part(o, p, in->name, &in->partition_data[j]);
        }
    }
    connection_frame_release(&o->request->frame);
}

static enum err produce_state(const struct produce *o)
{
    const struct partition_append *append = &o->parts[o->at].append;

    return o->body.acks == 1 ? partition_appended(append) : partition_replicated(append);
}

static struct op_source *produce_source(const struct produce *o)
{
    struct partition *part = o->parts[o->at].append.part;

    return o->body.acks == 1 ? &part->log->end_source : &part->hw_source;
}

static void produce_decide(struct produce *o)
{
    struct produce_part *p = &o->parts[o->at];

    if (!p->appended) return;
    p->err = o->body.acks == 0 ? ERR_NONE : produce_state(o);
    if (p->err == ERR_NONE) {
        p->answer->base_offset = p->append.append.base_offset;
        p->answer->log_append_time_ms = p->append.append.append_time_ms;
        p->answer->log_start_offset = p->append.log_start;
    }
    partition_append_end(&p->append, p->err);
}

/* The leader by metadata, of a partition that is not led here (any more). */
static void produce_hint(struct produce *o, const struct produce_part *p)
{
    struct produce_response_leader_id_and_epoch *out = &p->answer->current_leader;

    if (o->request->version < 10 || p->err != ERR_NOT_LEADER_OR_FOLLOWER) return;
    manager_leader(&o->request->node->replicas, p->topic_id, p->answer->index, &out->leader_id,
                   &out->leader_epoch);
    api_hints_add(&o->hints, o->request, out->leader_id);
}

static void produce_hints(struct produce *o)
{
    struct produce_response_node_endpoint *out =
        request_alloc(o->request, (o->hints.count + 1) * sizeof *out);

    if (out == NULL) return; /* Metadata tells as well */
    for (uint32_t i = 0; i < o->hints.count; i++) {
        const struct api_hint *hint = &o->hints.items[i];

        out[i] = (struct produce_response_node_endpoint){
            .node_id = hint->id, .host = hint->host, .port = hint->port, .rack = hint->rack};
    }
    o->answer.node_endpoints = out;
    o->answer.node_endpoints_count = o->hints.count;
}

static void produce_answer(struct produce *o)
{
    bool failed = false;

    for (uint32_t i = 0; i < o->count; i++) {
        enum err err = o->parts[i].err;

        /* Local conditions (no memory, too many) are the broker's, and pass. */
        if (!err_is_wire(err)) err = ERR_KAFKA_STORAGE_ERROR;
        o->parts[i].answer->error_code = (int16_t)err;
        failed = failed || err != ERR_NONE;
        produce_hint(o, &o->parts[i]);
    }
    produce_hints(o);
    if (o->body.acks == 0) {
        request_reply_nothing(o->request, failed);
    } else {
        request_reply(o->request, &o->answer);
    }
}

static enum op_result produce_run(struct op *op)
{
    struct produce *o = CONTAINER_OF(op, struct produce, op);

    switch ((enum produce_step)op->step) {
    case PRODUCE_START:
        produce_append(o);
        for (; o->at < o->count; o->at++) {
            if (o->parts[o->at].appended && o->body.acks != 0) {
                AWAIT_KEY(o, PRODUCE_DECIDED, produce_source(o),
                          o->parts[o->at].append.append.last_offset + 1,
                          produce_state(o) != ERR_REQUEST_TIMED_OUT || op_expired(op));
            }
            produce_decide(o);
        }
        produce_answer(o);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a produce request");
}

static void produce_finish(struct op *op)
{
    request_finish(CONTAINER_OF(op, struct produce, op)->request);
}

static const struct op_kind produce_kind = {"produce", produce_steps, COUNT_OF(produce_steps),
                                            produce_run, produce_finish};

void api_produce_handle(struct request *request)
{
    struct produce *o = request_alloc(request, sizeof *o);

    if (o == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    if (request_decode(request, &o->body) != ERR_NONE) return;
    o->request = request;
    if (produce_prepare(o) != ERR_NONE) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    op_start(&request->env->loop, &o->op, &produce_kind, PRODUCE_START);
    op_deadline(&o->op,
                env_deadline(request->env, o->body.timeout_ms < 0 ? 0 : o->body.timeout_ms));
}

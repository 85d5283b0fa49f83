/* WriteTxnMarkers: a transaction coordinator ends a transaction on the partitions led here
 * (transactions.md 4). Each partition gets a control batch of its own, and is answered once that is
 * replicated: only then may the coordinator call the transaction complete.
 *
 *   START      every marker is staged
 *   DECIDED    one partition after another
 *
 * INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED: somebody newer has taken over. A marker
 * for a producer without an open transaction is written and ends nothing. The broker's own
 * topics are refused: the coordinator of groups does not read markers. */
#include "broker/api/api.h"
#include "broker/node.h"
#include "client/wire/record_builder.h"
#include "wire/write_txn_markers.h"

enum {
    MARKERS_BATCH = 128,
    MARKERS_TIMEOUT_MS = 30000, /* request.timeout.ms of a broker */
};

enum markers_step { MARKERS_START, MARKERS_DECIDED };
static const char *const markers_steps[] = {"START", "DECIDED"};

struct markers_part {
    struct partition_append append;
    struct write_txn_markers_response_partition *answer;
    bool appended;
    enum err err;
};

struct markers {
    struct op op;
    struct request *request;
    struct write_txn_markers_request body;
    struct write_txn_markers_response answer;
    struct markers_part *parts;
    uint32_t count;
    uint32_t at;
};

static enum err markers_append(struct markers *o, const struct write_txn_markers_request_marker *in,
                               struct partition *part, struct partition_append *append)
{
    struct env *env = o->request->env;
    struct record_builder_config config = record_builder_config_control(env->world->cpu);
    struct record_builder builder;
    struct buf *buf;
    enum err err;

    if (in->producer_id < 0 || in->producer_epoch < 0) return ERR_INVALID_REQUEST;
    buf = buf_take(&env->payload, MARKERS_BATCH, false);
    if (buf == NULL) return ERR_NO_MEMORY;
    config.attributes |= RECORD_TRANSACTIONAL;
    config.producer_id = in->producer_id;
    config.producer_epoch = in->producer_epoch;
    record_builder_init(&builder, &config, buf->data, MARKERS_BATCH);
    err = record_builder_append_marker(&builder, env->now.wall.ms,
                                       in->transaction_result ? CONTROL_COMMIT : CONTROL_ABORT,
                                       in->coordinator_epoch);
    if (err == ERR_NONE) {
        err = partition_append(part, buf, record_builder_finish(&builder), -1, LOG_COORDINATOR,
                               append);
    }
    buf_unref(buf);
    return err;
}

static void markers_part(struct markers *o, const struct write_txn_markers_request_marker *in,
                         struct str topic, int32_t index,
                         struct write_txn_markers_response_partition *out)
{
    struct markers_part *p = &o->parts[o->count++];
    struct partition *part = NULL;

    write_txn_markers_response_partition_default(out);
    out->partition_index = index;
    p->answer = out;
    p->err = manager_find_by_name(&o->request->node->replicas, topic, index, &part);
    if (p->err == ERR_NONE && api_topics_internal(topic)) p->err = ERR_INVALID_TOPIC_EXCEPTION;
    if (p->err == ERR_NONE) p->err = markers_append(o, in, part, &p->append);
    p->appended = p->err == ERR_NONE;
}

/* All memory, before anything is appended. */
static enum err markers_prepare(struct markers *o)
{
    const struct write_txn_markers_request *body = &o->body;
    uint32_t parts = 0;

    write_txn_markers_response_default(&o->answer);
    o->answer.markers =
        request_alloc(o->request, (body->markers_count + 1) * sizeof *o->answer.markers);
    if (o->answer.markers == NULL) return ERR_NO_MEMORY;
    for (uint32_t m = 0; m < body->markers_count; m++) {
        const struct write_txn_markers_request_marker *in = &body->markers[m];
        struct write_txn_markers_response_marker *out = &o->answer.markers[m];

        write_txn_markers_response_marker_default(out);
        out->producer_id = in->producer_id;
        out->topics = request_alloc(o->request, (in->topics_count + 1) * sizeof *out->topics);
        if (out->topics == NULL) return ERR_NO_MEMORY;
        for (uint32_t t = 0; t < in->topics_count; t++) {
            const struct write_txn_markers_request_topic *topic = &in->topics[t];

            write_txn_markers_response_topic_default(&out->topics[t]);
            out->topics[t].name = topic->name;
            out->topics[t].partitions =
                request_alloc(o->request, (topic->partition_indexes_count + 1) *
                                              sizeof *out->topics[t].partitions);
            if (out->topics[t].partitions == NULL) return ERR_NO_MEMORY;
            parts += topic->partition_indexes_count;
        }
    }
    o->parts = request_alloc(o->request, (parts + 1) * sizeof *o->parts);
    return o->parts == NULL ? ERR_NO_MEMORY : ERR_NONE;
}

static void markers_append_all(struct markers *o)
{
    for (uint32_t m = 0; m < o->body.markers_count; m++) {
        const struct write_txn_markers_request_marker *in = &o->body.markers[m];
        struct write_txn_markers_response_marker *out = &o->answer.markers[m];

        o->answer.markers_count++;
        for (uint32_t t = 0; t < in->topics_count; t++) {
            struct write_txn_markers_response_topic *topic = &out->topics[t];

            out->topics_count++;
            for (uint32_t i = 0; i < in->topics[t].partition_indexes_count; i++) {
                markers_part(o, in, topic->name, in->topics[t].partition_indexes[i],
                             &topic->partitions[topic->partitions_count++]);
            }
        }
    }
}

static void markers_decide(struct markers *o)
{
    struct markers_part *p = &o->parts[o->at];

    if (p->appended) {
        p->err = partition_replicated(&p->append);
        partition_append_end(&p->append, p->err);
    }
    if (!err_is_wire(p->err)) p->err = ERR_KAFKA_STORAGE_ERROR; /* no memory: it asks again */
    p->answer->error_code = (int16_t)p->err;
}

static enum op_result markers_run(struct op *op)
{
    struct markers *o = CONTAINER_OF(op, struct markers, op);

    switch ((enum markers_step)op->step) {
    case MARKERS_START:
        markers_append_all(o);
        for (; o->at < o->count; o->at++) {
            if (o->parts[o->at].appended) {
                AWAIT_KEY(o, MARKERS_DECIDED, &o->parts[o->at].append.part->hw_source,
                          o->parts[o->at].append.append.last_offset + 1,
                          partition_replicated(&o->parts[o->at].append) != ERR_REQUEST_TIMED_OUT ||
                              op_expired(op));
            }
            markers_decide(o);
        }
        request_reply(o->request, &o->answer);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a request for markers");
}

static void markers_finish(struct op *op)
{
    request_finish(CONTAINER_OF(op, struct markers, op)->request);
}

static const struct op_kind markers_kind = {"write_txn_markers", markers_steps,
                                            COUNT_OF(markers_steps), markers_run, markers_finish};

void api_markers_handle(struct request *request)
{
    struct markers *o = request_alloc(request, sizeof *o);

    if (o == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    if (request_decode(request, &o->body) != ERR_NONE) return;
    o->request = request;
    if (markers_prepare(o) != ERR_NONE) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    op_start(&request->env->loop, &o->op, &markers_kind, MARKERS_START);
    op_deadline(&o->op, env_deadline(request->env, MARKERS_TIMEOUT_MS));
}

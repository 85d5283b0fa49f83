/* DeleteRecords (KIP-107): the log start of a partition moves up; the answer tells the low
 * watermark, below which no live replica serves anything any more. Followers learn the start from
 * their fetches. Segments go with the next pass of retention.
 *
 * DIFFERS: Kafka's log start becomes durable within a minute; here before the answer, on the leader
 * and on every replica that lives (fetcher_request.c): what was deleted does not come back when
 * they are killed, or lose their power (S18). Who was away hears of it before it joins. */
#include "broker/api/api.h"
#include "broker/node.h"
#include "wire/delete_records.h"

enum records_step { RECORDS_START, RECORDS_KEPT, RECORDS_REACHED };
static const char *const records_steps[] = {"START", "KEPT", "REACHED"};

struct records_part {
    struct partition *part; /* pinned; NULL: answered already */
    int64_t offset;         /* the log start that was asked for */
    int32_t leader_epoch;
    uint8_t dir; /* where its log start moved: the replica may be elsewhere when that is kept */
    struct delete_records_response_partition *answer;
};

struct delete_records {
    struct op op;
    struct request *request;
    struct delete_records_request body;
    struct delete_records_response answer;
    struct records_part *parts;
    uint32_t count;
    uint32_t at;
    uint64_t checkpoints[MANAGER_DIRS_MAX]; /* that cover it, of each directory; 0: none needed */
};

static void records_part(struct delete_records *o, struct str topic,
                         const struct delete_records_request_partition *in,
                         struct delete_records_response_partition *out)
{
    struct records_part *p = &o->parts[o->count];
    struct partition *part;
    enum err err =
        manager_find_by_name(&o->request->node->replicas, topic, in->partition_index, &part);

    delete_records_response_partition_default(out);
    out->partition_index = in->partition_index;
    out->low_watermark = -1;
    p->offset = in->offset;
    if (err == ERR_NONE) err = partition_delete_records(part, &p->offset);
    out->error_code = (int16_t)err;
    if (err != ERR_NONE) return;
    p->part = part;
    p->leader_epoch = part->leader_epoch;
    p->dir = part->dir;
    p->answer = out;
    partition_pin(part);
    o->count++;
}

static enum err records_make(struct delete_records *o)
{
    const struct delete_records_request *body = &o->body;
    uint32_t parts = 0;

    delete_records_response_default(&o->answer);
    for (uint32_t i = 0; i < body->topics_count; i++)
        parts += body->topics[i].partitions_count;
    o->parts = request_alloc(o->request, (parts + 1) * sizeof *o->parts);
    o->answer.topics =
        request_alloc(o->request, (body->topics_count + 1) * sizeof *o->answer.topics);
    if (o->parts == NULL || o->answer.topics == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < body->topics_count; i++) {
        struct delete_records_response_topic *out = &o->answer.topics[i];
        uint32_t count = body->topics[i].partitions_count;

        delete_records_response_topic_default(out);
        out->name = body->topics[i].name;
        out->partitions = request_alloc(o->request, (count + 1) * sizeof *out->partitions);
        if (out->partitions == NULL) return ERR_NO_MEMORY;
        out->partitions_count = count;
        o->answer.topics_count++;
    }
    return ERR_NONE;
}

static struct log_dir *records_dir(const struct records_part *p)
{
    return p->part->manager->dirs[p->dir];
}

/* All memory is there: from here on nothing fails as a whole. */
static void records_begin(struct delete_records *o)
{
    for (uint32_t i = 0; i < o->body.topics_count; i++)
        for (uint32_t j = 0; j < o->body.topics[i].partitions_count; j++)
            records_part(o, o->body.topics[i].name, &o->body.topics[i].partitions[j],
                         &o->answer.topics[i].partitions[j]);
    for (uint32_t i = 0; i < o->count; i++) {
        uint32_t dir = o->parts[i].dir;

        if (o->checkpoints[dir] == 0)
            o->checkpoints[dir] = log_dir_checkpoint(records_dir(&o->parts[i]));
    }
}

static bool records_kept(const struct delete_records *o)
{
    const struct records_part *p = &o->parts[o->at];
    const struct log_dir *dir = records_dir(p);

    return dir->checkpoints_written >= o->checkpoints[p->dir] || !log_dir_online(dir);
}

static bool records_lost(const struct records_part *p)
{
    return partition_check_leader(p->part, p->leader_epoch) != ERR_NONE;
}

static bool records_reached(const struct delete_records *o)
{
    const struct records_part *p = &o->parts[o->at];

    return records_lost(p) || partition_low_watermark(p->part) >= p->offset;
}

static void records_take(struct delete_records *o)
{
    const struct records_part *p = &o->parts[o->at];
    enum err err = partition_check_leader(p->part, p->leader_epoch);

    if (err != ERR_NONE && err != ERR_KAFKA_STORAGE_ERROR) err = ERR_NOT_LEADER_OR_FOLLOWER;
    if (err == ERR_NONE && !log_dir_online(records_dir(p))) err = ERR_KAFKA_STORAGE_ERROR;
    if (err == ERR_NONE && (!records_reached(o) || !records_kept(o))) err = ERR_REQUEST_TIMED_OUT;
    p->answer->error_code = (int16_t)err;
    if (err == ERR_NONE) p->answer->low_watermark = partition_low_watermark(p->part);
    TRACE(p->part->manager->env->world, RECORDS_DELETED, (int64_t)p->part->topic, p->part->index,
          p->offset, p->answer->low_watermark, (int64_t)err);
}

static enum op_result records_run(struct op *op)
{
    struct delete_records *o = CONTAINER_OF(op, struct delete_records, op);

    switch ((enum records_step)op->step) {
    case RECORDS_START:
        records_begin(o);
        for (o->at = 0; o->at < o->count; o->at++) {
            AWAIT(o, RECORDS_KEPT, &records_dir(&o->parts[o->at])->checkpoint_source,
                  records_kept(o) || op_expired(op));
            AWAIT(o, RECORDS_REACHED, &o->parts[o->at].part->start_source,
                  records_reached(o) || op_expired(op));
            records_take(o);
        }
        request_reply(o->request, &o->answer);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a deletion");
}

static void records_ended(struct op *op)
{
    struct delete_records *o = CONTAINER_OF(op, struct delete_records, op);

    for (uint32_t i = 0; i < o->count; i++)
        partition_unpin(o->parts[i].part);
    request_finish(o->request);
}

static const struct op_kind records_kind = {"delete_records", records_steps,
                                            COUNT_OF(records_steps), records_run, records_ended};

void api_records_handle(struct request *request)
{
    struct delete_records *o = request_alloc(request, sizeof *o);

    if (o == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    if (request_decode(request, &o->body) != ERR_NONE) return;
    o->request = request;
    if (records_make(o) != ERR_NONE) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    op_start(&request->env->loop, &o->op, &records_kind, RECORDS_START);
    op_deadline(&o->op,
                env_deadline(request->env, o->body.timeout_ms < 0 ? 0 : o->body.timeout_ms));
}

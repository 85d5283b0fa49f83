/* Fetch, of consumers and of follower brokers (protocol.md 13, replication.md 5, 6).
 *
 *   START    partitions in the order of the request, each checked and read within what is left of
 *            the limits; the first one with data gives at least one whole batch (KIP-74)
 *   READ     the bytes of one partition are there
 *   DELAYED  too little to say and time left: until a partition has news, then read again, now
 *            without taking a follower's progress (it was taken)
 *
 * Records leave as slices of the log's own buffers, held until they are sent. No fetch sessions:
 * every answer has session id 0, which every client accepts (protocol.md 14). */
#include "broker/api/api.h"
#include "broker/node.h"
#include "wire/fetch.h"

enum fetch_step { FETCH_START, FETCH_READ, FETCH_DELAYED };
static const char *const fetch_steps[] = {"START", "READ", "DELAYED"};

static const uint8_t fetch_no_records[1]; /* empty, not null: clients fail on null (KAFKA-18646) */

struct fetch_part {
    struct partition_fetch fetch;
    struct partition_watcher watcher;
    struct partition *part; /* NULL: not here, `missing` says why; pinned otherwise */
    enum err missing;
    uint32_t max_bytes;
    int64_t seen; /* limit that was read up to */
    bool started;
    struct fetch_response_partition *answer;
};

struct fetch {
    struct op op;
    struct request *request;
    struct fetch_request body;
    struct fetch_response answer;
    struct fetch_part *parts;
    uint32_t count;
    uint32_t at;
    int64_t bytes; /* read so far */
    int64_t max_bytes;
    bool speak; /* an error or a divergence: answer at once */
    bool delayed;
    struct op_source news;
};

static int32_t fetch_replica(const struct fetch *o)
{
    return o->request->version >= 15 ? o->body.replica_state.replica_id : o->body.replica_id;
}

/* ---- what is asked --------------------------------------------------------------------------- */

static void fetch_fill_part(struct fetch *o, struct fetch_part *p,
                            const struct fetch_request_partition *in)
{
    struct partition_fetch *f = &p->fetch;

    f->replica_id = fetch_replica(o);
    f->replica_epoch = o->request->version >= 15 ? o->body.replica_state.replica_epoch : -1;
    f->current_epoch = in->current_leader_epoch;
    f->offset = in->fetch_offset;
    f->last_fetched_epoch = in->last_fetched_epoch;
    f->log_start = in->log_start_offset;
    f->stable_only = o->body.isolation_level == 1;
    p->max_bytes = in->partition_max_bytes < 0 ? 0 : (uint32_t)in->partition_max_bytes;
    if (p->part != NULL) partition_pin(p->part);
    op_source_init(&f->read.source);
    list_init(&p->watcher.link);
    fetch_response_partition_default(p->answer);
    p->answer->partition_index = in->partition;
}

static enum err fetch_topic(struct fetch *o, const struct fetch_request_topic *in,
                            struct fetch_response_topic *out)
{
    const struct manager *replicas = &o->request->node->replicas;

    fetch_response_topic_default(out);
    out->topic = in->topic;
    out->topic_id = in->topic_id;
    out->partitions =
        request_alloc(o->request, (in->partitions_count + 1) * sizeof *out->partitions);
    if (out->partitions == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < in->partitions_count; i++) {
        struct fetch_part *p = &o->parts[o->count++];
        int32_t index = in->partitions[i].partition;

        p->answer = &out->partitions[out->partitions_count++];
        p->missing = o->request->version >= 13
                         ? manager_find(replicas, in->topic_id, index, &p->part)
                         : manager_find_by_name(replicas, in->topic, index, &p->part);
        if (p->missing != ERR_NONE) p->part = NULL;
        fetch_fill_part(o, p, &in->partitions[i]);
    }
    return ERR_NONE;
}

static enum err fetch_prepare(struct fetch *o)
{
    uint32_t parts = 0;

    fetch_response_default(&o->answer);
    op_source_init(&o->news);
    o->max_bytes = o->body.max_bytes;
    if (o->max_bytes > o->request->node->config.fetch_max_bytes) {
        o->max_bytes = o->request->node->config.fetch_max_bytes;
    }
    for (uint32_t i = 0; i < o->body.topics_count; i++)
        parts += o->body.topics[i].partitions_count;
    o->parts = request_alloc(o->request, (parts + 1) * sizeof *o->parts);
    o->answer.responses =
        request_alloc(o->request, (o->body.topics_count + 1) * sizeof *o->answer.responses);
    if (o->parts == NULL || o->answer.responses == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < o->body.topics_count; i++) {
        enum err err = fetch_topic(o, &o->body.topics[i], &o->answer.responses[i]);

        if (err != ERR_NONE) return err;
        o->answer.responses_count++;
    }
    return ERR_NONE;
}

/* ---- reading --------------------------------------------------------------------------------- */

static void fetch_begin_part(struct fetch *o)
{
    struct fetch_part *p = &o->parts[o->at];
    int64_t left = o->max_bytes - o->bytes;

    if (p->part == NULL) {
        p->fetch.err = p->missing;
        o->speak = true;
        return;
    }
    if (left < 0) left = 0;
    p->fetch.max_bytes = (int64_t)p->max_bytes < left ? p->max_bytes : (uint32_t)left;
    p->fetch.first_whole = o->bytes == 0;
    p->fetch.delayed = o->delayed;
    p->started = true;
    partition_fetch(p->part, &p->fetch);
}

static bool fetch_part_read(const struct fetch *o)
{
    const struct fetch_part *p = &o->parts[o->at];

    return !p->started || partition_fetch_read(&p->fetch);
}

static void fetch_end_part(struct fetch *o)
{
    struct fetch_part *p = &o->parts[o->at];

    if (!p->started) return;
    partition_fetch_finish(&p->fetch);
    p->seen = p->fetch.limit;
    /* Behind what was read already a lack of memory is a limit like max_bytes: the rest comes with
     * the next fetch. */
    if (p->fetch.starved && o->bytes > 0) p->fetch.err = ERR_NONE;
    if (p->fetch.err != ERR_NONE || p->fetch.diverged) {
        o->speak = true;
    } else {
        o->bytes += p->fetch.read.bytes;
    }
}

static bool fetch_enough(const struct fetch *o)
{
    return o->speak || o->count == 0 || o->body.max_wait_ms <= 0 || o->bytes >= o->body.min_bytes ||
           op_expired(&o->op);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void fetch_release_parts(struct fetch *o)
{
    for (uint32_t i = 0; i < o->count; i++) {
        struct fetch_part *p = &o->parts[i];

        if (p->started) partition_fetch_end(&p->fetch);
        p->started = false;
    }
}

static void fetch_watch(struct fetch *o)
{
    for (uint32_t i = 0; i < o->count; i++) {
        struct fetch_part *p = &o->parts[i];

        if (p->part != NULL) partition_watch(p->part, &p->watcher, &o->news);
    }
}

static void fetch_unwatch(struct fetch *o)
{
    for (uint32_t i = 0; i < o->count; i++) {
        if (o->parts[i].part != NULL) partition_unwatch(&o->parts[i].watcher);
    }
}

/* Something a new read would show that the last one did not. Walks what the request names. */
static bool fetch_news(const struct fetch *o)
{
    for (uint32_t i = 0; i < o->count; i++) {
        const struct fetch_part *p = &o->parts[i];

        if (p->part == NULL) continue;
        if (partition_check_leader(p->part, p->fetch.current_epoch) != ERR_NONE) return true;
        if (partition_fetch_limit(p->part, &p->fetch) == p->seen) continue;
        if (partition_fetch_ready(p->part, &p->fetch)) return true;
    }
    return false;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static enum err fetch_records(struct fetch *o, const struct partition_fetch *f,
                              struct fetch_response_partition *out)
{
    struct wire_slice *slices;

    out->records = (struct bytes){fetch_no_records, 0};
    if (f->err != ERR_NONE || f->diverged || f->read.count == 0) return ERR_NONE;
    slices = request_alloc(o->request, f->read.count * sizeof *slices);
    if (slices == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < f->read.count; i++) {
        enum err err = request_hold(o->request, f->read.holds[i]);

        if (err != ERR_NONE) return err;
        slices[i] = (struct wire_slice){.kind = WIRE_SLICE_MEMORY,
                                        .length = f->read.slices[i].length,
                                        .data = f->read.slices[i].data};
    }
    out->records_slices = slices;
    out->records_slices_count = f->read.count;
    return ERR_NONE;
}

static int16_t fetch_error(const struct fetch *o, enum err err)
{
    if (!err_is_wire(err)) err = ERR_KAFKA_STORAGE_ERROR;
    if (err == ERR_KAFKA_STORAGE_ERROR && o->request->version <= 5) {
        err = ERR_NOT_LEADER_OR_FOLLOWER; /* protocol.md 8, substitutions */
    }
    return (int16_t)err;
}

static enum err fetch_answer_part(struct fetch *o, struct fetch_part *p)
{
    const struct partition_fetch *f = &p->fetch;
    struct fetch_response_partition *out = p->answer;

    out->error_code = fetch_error(o, f->err);
    out->high_watermark = f->err == ERR_NONE ? f->high_watermark : -1;
    out->last_stable_offset = f->err == ERR_NONE ? f->last_stable : -1;
    out->log_start_offset = f->err == ERR_NONE ? f->own_log_start : -1;
    out->aborted_transactions_null = !f->stable_only;
    if (f->diverged) {
        out->diverging_epoch.epoch = f->diverging.epoch;
        out->diverging_epoch.end_offset = f->diverging.end_offset;
    }
    if (o->request->version >= 16 &&
        (f->err == ERR_NOT_LEADER_OR_FOLLOWER || f->err == ERR_FENCED_LEADER_EPOCH)) {
        out->current_leader.leader_id = f->leader;
        out->current_leader.leader_epoch = f->leader_epoch;
    }
    return fetch_records(o, f, out);
}

static void fetch_answer(struct fetch *o)
{
    enum err err = ERR_NONE;

    for (uint32_t i = 0; i < o->count && err == ERR_NONE; i++) {
        err = fetch_answer_part(o, &o->parts[i]);
    }
    if (err == ERR_NONE) {
        request_reply(o->request, &o->answer);
    } else {
        request_reply_nothing(o->request, true); /* no memory for the answer: the reader retries */
    }
}

static enum op_result fetch_run(struct op *op)
{
    struct fetch *o = CONTAINER_OF(op, struct fetch, op);

    switch ((enum fetch_step)op->step) {
    case FETCH_START:
        for (;;) {
            o->bytes = 0;
            for (o->at = 0; o->at < o->count; o->at++) {
                fetch_begin_part(o);
                AWAIT(o, FETCH_READ, &o->parts[o->at].fetch.read.source, fetch_part_read(o));
                fetch_end_part(o);
            }
            if (fetch_enough(o)) break;
            fetch_release_parts(o);
            fetch_watch(o);
            AWAIT(o, FETCH_DELAYED, &o->news,
                  fetch_news(o) || op_expired(op) || node_closing(o->request->node));
            fetch_unwatch(o);
            o->delayed = true;
            if (node_closing(o->request->node)) o->speak = true;
        }
        fetch_answer(o);
        fetch_release_parts(o);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a fetch");
}

static void fetch_finish(struct op *op)
{
    struct fetch *o = CONTAINER_OF(op, struct fetch, op);

    for (uint32_t i = 0; i < o->count; i++) {
        if (o->parts[i].part != NULL) partition_unpin(o->parts[i].part);
    }
    request_finish(o->request);
}

static const struct op_kind fetch_kind = {"fetch", fetch_steps, COUNT_OF(fetch_steps), fetch_run,
                                          fetch_finish};

void api_fetch_handle(struct request *request)
{
    struct fetch *o = request_alloc(request, sizeof *o);

    if (o == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    if (request_decode(request, &o->body) != ERR_NONE) return;
    o->request = request;
    if (o->body.session_epoch > 0) {
        fetch_response_default(&o->answer);
        o->answer.error_code = ERR_FETCH_SESSION_ID_NOT_FOUND;
        request_answer(request, &o->answer);
        return;
    }
    if (fetch_prepare(o) != ERR_NONE) {
        for (uint32_t i = 0; i < o->count; i++) {
            if (o->parts[i].part != NULL) partition_unpin(o->parts[i].part);
        }
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    op_start(&request->env->loop, &o->op, &fetch_kind, FETCH_START);
    op_deadline(&o->op,
                env_deadline(request->env, o->body.max_wait_ms < 0 ? 0 : o->body.max_wait_ms));
}

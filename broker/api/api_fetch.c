/* Fetch, of consumers and of follower brokers (protocol.md 13, 14, replication.md 5, 6).
 *
 *   START    a round: the partitions of the request in their order, each checked and read within
 *            what is left of the limits; the first one with data gives at least one whole batch
 *            (KIP-74). Of a session: those that may have news, in the order of their turn
 *   READ     the bytes of one partition are there
 *   DELAYED  too little to say and time left: until a partition has news, then another round, now
 *            without taking a follower's progress (it was taken)
 *
 * Records leave as slices of the log's own buffers, held until they are sent. A fetch of a session
 * costs what changed, not what the session knows (fetch_session.h). */
#include "broker/api/api.h"
#include "broker/api/fetch_session.h"
#include "broker/node.h"
#include "wire/fetch.h"

enum fetch_step { FETCH_START, FETCH_READ, FETCH_DELAYED };
static const char *const fetch_steps[] = {"START", "READ", "DELAYED"};

static const uint8_t fetch_no_records[1]; /* empty, not null: clients fail on null (KAFKA-18646) */

struct fetch_part {
    struct list link; /* in fetch.parts: of this round */
    struct list all;  /* in fetch.all */
    struct partition_fetch fetch;
    struct partition_watcher watcher; /* without a session */
    struct fetch_session_part *entry; /* NULL: without a session, or it was lost */
    struct partition *part;           /* NULL: not here, `missing` says why; pinned otherwise */
    enum err missing;
    struct uuid topic_id;
    struct str topic;
    int32_t index;
    uint32_t max_bytes;
    int64_t seen; /* limit that was read up to */
    bool started;
};

struct fetch {
    struct op op;
    struct request *request;
    struct fetch_request body;
    struct fetch_response answer;
    struct list parts; /* of this round, in order */
    struct list all;   /* of all rounds */
    struct fetch_part *at;
    int64_t bytes; /* read so far */
    int64_t max_bytes;
    bool speak; /* an error or a divergence: answer at once */
    bool delayed;
    bool hastens; /* a follower that serves consumers: a high watermark is news by itself */
    bool whole;   /* the answer has all partitions, with or without news */
    struct fetch_session_use use;
    struct api_hints hints;
};

static int32_t fetch_replica(const struct fetch *o)
{
    return o->request->version >= 15 ? o->body.replica_state.replica_id : o->body.replica_id;
}

static bool fetch_by_id(const struct fetch *o)
{
    return o->request->version >= 13;
}

/* ---- what is asked --------------------------------------------------------------------------- */

static struct fetch_part *fetch_part_new(struct fetch *o)
{
    struct fetch_part *p = request_alloc(o->request, sizeof *p);

    if (p == NULL) return NULL;
    list_init(&p->link);
    list_init(&p->all);
    list_init(&p->watcher.link);
    op_source_init(&p->fetch.read.source);
    list_push(&o->all, &p->all);
    return p;
}

static void fetch_part_set(struct fetch_part *p, struct partition *part)
{
    if (part == p->part) return;
    if (part != NULL) partition_pin(part);
    if (p->part != NULL) partition_unpin(p->part);
    p->part = part;
}

static void fetch_ask(const struct fetch *o, struct partition_fetch *f)
{
    f->replica_id = fetch_replica(o);
    f->replica_epoch = o->request->version >= 15 ? o->body.replica_state.replica_epoch : -1;
    f->stable_only = o->body.isolation_level == 1;
    f->any_replica = o->request->version >= 11;
    f->rack = o->body.rack_id;
    f->read.ranges = true;
}

static void fetch_ask_entry(const struct fetch *o, const struct fetch_session_part *entry,
                            struct partition_fetch *f)
{
    fetch_ask(o, f);
    f->current_epoch = entry->current_epoch;
    f->offset = entry->offset;
    f->last_fetched_epoch = entry->last_fetched_epoch;
    f->log_start = entry->log_start;
}

static uint32_t fetch_limit(int32_t max_bytes)
{
    return max_bytes < 0 ? 0 : (uint32_t)max_bytes;
}

/* One partition of a request without session. */
static enum err fetch_add(struct fetch *o, const struct fetch_request_topic *topic,
                          const struct fetch_request_partition *in)
{
    const struct manager *replicas = &o->request->node->replicas;
    struct fetch_part *p = fetch_part_new(o);
    struct partition *part = NULL;

    if (p == NULL) return ERR_NO_MEMORY;
    p->topic = topic->topic;
    p->topic_id = topic->topic_id;
    p->index = in->partition;
    p->max_bytes = fetch_limit(in->partition_max_bytes);
    p->missing = fetch_by_id(o) ? manager_find(replicas, topic->topic_id, p->index, &part)
                                : manager_find_by_name(replicas, topic->topic, p->index, &part);
    fetch_part_set(p, p->missing == ERR_NONE ? part : NULL);
    fetch_ask(o, &p->fetch);
    p->fetch.current_epoch = in->current_leader_epoch;
    p->fetch.offset = in->fetch_offset;
    p->fetch.last_fetched_epoch = in->last_fetched_epoch;
    p->fetch.log_start = in->log_start_offset;
    list_push(&o->parts, &p->link);
    return ERR_NONE;
}

static enum err fetch_add_all(struct fetch *o)
{
    for (uint32_t t = 0; t < o->body.topics_count; t++) {
        const struct fetch_request_topic *topic = &o->body.topics[t];

        for (uint32_t i = 0; i < topic->partitions_count; i++) {
            enum err err = fetch_add(o, topic, &topic->partitions[i]);

            if (err != ERR_NONE) return err;
        }
    }
    return ERR_NONE;
}

/* ---- sessions -------------------------------------------------------------------------------- */

/* What the request names, into the session. False: no room for all of it. */
static bool fetch_session_name(const struct fetch *o, struct fetch_session *session)
{
    for (uint32_t t = 0; t < o->body.topics_count; t++) {
        const struct fetch_request_topic *topic = &o->body.topics[t];

        for (uint32_t i = 0; i < topic->partitions_count; i++) {
            const struct fetch_request_partition *in = &topic->partitions[i];
            struct fetch_session_part *entry =
                fetch_session_add(session, topic->topic_id, topic->topic, in->partition);

            if (entry == NULL) return false;
            /* A follower takes no high watermark from an answer of another epoch. */
            if (entry->current_epoch != in->current_leader_epoch) entry->told_high_watermark = -1;
            entry->current_epoch = in->current_leader_epoch;
            entry->offset = in->fetch_offset;
            entry->last_fetched_epoch = in->last_fetched_epoch;
            entry->log_start = in->log_start_offset;
            entry->max_bytes = in->partition_max_bytes;
        }
    }
    return true;
}

/* A full fetch that wants a session. Without room it is a fetch without one. */
static void fetch_session_begin(struct fetch *o)
{
    struct fetch_sessions *sessions = &o->request->node->fetch_sessions;
    struct fetch_session *session;
    uint32_t count = 0;

    for (uint32_t t = 0; t < o->body.topics_count; t++) {
        count += o->body.topics[t].partitions_count;
    }
    if (count == 0) return;
    session = fetch_session_open(sessions, fetch_replica(o) >= 0, fetch_by_id(o), count);
    if (session == NULL) return;
    if (!fetch_session_name(o, session)) {
        fetch_session_close(session, ERR_FETCH_SESSION_ID_NOT_FOUND);
        return;
    }
    fetch_session_take(session, &o->use);
}

/* DIFFERS: what is forgotten goes before what is named is added, so that a partition that is both
 * is in the session; no client names one twice. */
static enum err fetch_session_continue(struct fetch *o)
{
    struct fetch_sessions *sessions = &o->request->node->fetch_sessions;
    struct fetch_session *session = fetch_sessions_find(sessions, o->body.session_id);

    if (session == NULL) return ERR_FETCH_SESSION_ID_NOT_FOUND;
    if (session->epoch != o->body.session_epoch) return ERR_INVALID_FETCH_SESSION_EPOCH;
    if (session->by_id != fetch_by_id(o)) return ERR_FETCH_SESSION_TOPIC_ID_ERROR;
    fetch_session_take(session, &o->use);
    session->epoch = fetch_session_next(session->epoch);
    for (uint32_t t = 0; t < o->body.forgotten_topics_data_count; t++) {
        const struct fetch_request_forgotten_topic *topic = &o->body.forgotten_topics_data[t];

        for (uint32_t i = 0; i < topic->partitions_count; i++) {
            fetch_session_forget(session, topic->topic_id, topic->topic, topic->partitions[i]);
        }
    }
    if (!fetch_session_name(o, session)) {
        fetch_session_close(session, ERR_FETCH_SESSION_ID_NOT_FOUND);
        return ERR_FETCH_SESSION_ID_NOT_FOUND;
    }
    if (session->parts.count == 0) {
        fetch_session_leave(&o->use);
        fetch_session_close(session, ERR_NONE);
    }
    return ERR_NONE;
}

/* NONE, or an error of the whole answer. */
static enum err fetch_prepare(struct fetch *o)
{
    struct fetch_sessions *sessions = &o->request->node->fetch_sessions;

    fetch_response_default(&o->answer);
    op_source_init(&o->use.news);
    list_init(&o->parts);
    list_init(&o->all);
    o->max_bytes = o->body.max_bytes;
    o->hastens = fetch_replica(o) >= 0 && o->request->node->config.replica_selector != 0;
    if (o->max_bytes > o->request->node->config.fetch_max_bytes) {
        o->max_bytes = o->request->node->config.fetch_max_bytes;
    }
    if (o->body.session_epoch > 0 && o->request->version >= 7) return fetch_session_continue(o);
    o->whole = true;
    if (o->body.session_id != 0) {
        struct fetch_session *old = fetch_sessions_find(sessions, o->body.session_id);

        if (old != NULL) fetch_session_close(old, ERR_FETCH_SESSION_ID_NOT_FOUND);
    }
    if (o->body.session_epoch == 0 && o->request->version >= 7) fetch_session_begin(o);
    return o->use.session != NULL ? ERR_NONE : fetch_add_all(o);
}

/* One partition of the session takes part in this round. */
static bool fetch_collect_one(struct fetch *o, struct fetch_session_part *entry)
{
    struct fetch_part *p;

    if (entry->holder != NULL) {
        p = CONTAINER_OF(entry->holder, struct fetch_part, entry);
    } else {
        p = fetch_part_new(o);
        if (p == NULL) return false;
        fetch_session_hold(entry, &p->entry);
        p->topic_id = entry->topic_id;
        p->topic = entry->topic;
        p->index = entry->index;
    }
    entry->fresh = false;
    p->missing = fetch_session_attach(entry, &o->request->node->replicas);
    fetch_part_set(p, entry->part);
    p->max_bytes = fetch_limit(entry->max_bytes);
    fetch_ask_entry(o, entry, &p->fetch);
    list_push(&o->parts, &p->link);
    return true;
}

/* The partitions of this round. Without memory for all of them the rest comes next time. */
static void fetch_collect(struct fetch *o)
{
    if (o->use.session == NULL) return;
    while (list_pop(&o->parts) != NULL)
        continue;
    LIST_FOR_EACH (link, &o->use.session->news) {
        if (!fetch_collect_one(o, LIST_ENTRY(link, struct fetch_session_part, news))) {
            o->speak = true;
            return;
        }
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

static struct fetch_part *fetch_next(const struct fetch *o, const struct list *link)
{
    return link->next == &o->parts ? NULL : LIST_ENTRY(link->next, struct fetch_part, link);
}

static void fetch_begin_part(struct fetch *o)
{
    struct fetch_part *p = o->at;
    int64_t left = o->max_bytes - o->bytes;

    p->fetch.err = ERR_NONE;
    p->fetch.diverged = false;
    p->fetch.preferred = -1;
    p->fetch.read.count = 0;
    p->fetch.read.bytes = 0;
    if (p->part == NULL) {
        p->fetch.err = p->missing;
        manager_leader(&o->request->node->replicas, p->topic_id, p->index, &p->fetch.leader,
                       &p->fetch.leader_epoch);
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
    return !o->at->started || partition_fetch_read(&o->at->fetch);
}

static void fetch_end_part(struct fetch *o)
{
    struct fetch_part *p = o->at;

    if (!p->started) return;
    partition_fetch_finish(&p->fetch);
    p->seen = p->fetch.limit;
    /* Behind what was read already a lack of memory is a limit like max_bytes: the rest comes with
     * the next fetch. */
    if (p->fetch.starved && o->bytes > 0) p->fetch.err = ERR_NONE;
    if (p->fetch.err != ERR_NONE || p->fetch.diverged || p->fetch.preferred >= 0) {
        o->speak = true;
    } else {
        if (o->hastens && p->entry != NULL &&
            p->fetch.high_watermark != p->entry->told_high_watermark) {
            o->speak = true;
        }
        o->bytes += p->fetch.read.bytes;
        /* DIFFERS: Kafka waits for min_bytes also where the limits of the request keep it from
         * ever having them; a follower with such settings falls behind for good. */
        if (p->fetch.read.bytes > 0 && p->fetch.read.next_offset < p->fetch.limit) o->speak = true;
    }
}

static bool fetch_enough(const struct fetch *o)
{
    bool nothing = o->use.session == NULL && list_empty(&o->parts);

    return o->speak || nothing || o->use.lost != ERR_NONE || o->body.max_wait_ms <= 0 ||
           o->bytes >= o->body.min_bytes || op_expired(&o->op);
}

/* ---- news ------------------------------------------------------------------------------------ */

/* The answer tells something that the reader does not know. */
static bool fetch_tells(const struct fetch_part *p)
{
    const struct partition_fetch *f = &p->fetch;

    if (f->err != ERR_NONE || f->diverged || f->preferred >= 0 || f->read.bytes > 0) return true;
    return p->entry == NULL || f->high_watermark != p->entry->told_high_watermark ||
           f->own_log_start != p->entry->told_log_start;
}

/* Partitions of which nothing is left to say are not looked at again until they tell. */
static void fetch_rest(struct fetch *o)
{
    LIST_FOR_EACH (link, &o->parts) {
        const struct fetch_part *p = LIST_ENTRY(link, struct fetch_part, link);
        const struct partition_fetch *f = &p->fetch;

        if (p->entry == NULL || p->entry->fresh || fetch_tells(p)) continue;
        if (f->offset < f->limit || partition_fetch_watched(p->part, f)) continue;
        fetch_session_rest(p->entry);
    }
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void fetch_release_parts(struct fetch *o)
{
    LIST_FOR_EACH (link, &o->all) {
        struct fetch_part *p = LIST_ENTRY(link, struct fetch_part, all);

        if (p->started) partition_fetch_end(&p->fetch);
        p->started = false;
    }
}

static void fetch_watch(struct fetch *o)
{
    if (o->use.session != NULL) {
        if (!o->whole) fetch_rest(o);
        return;
    }
    LIST_FOR_EACH (link, &o->parts) {
        struct fetch_part *p = LIST_ENTRY(link, struct fetch_part, link);

        if (p->part != NULL) partition_watch(p->part, &p->watcher, &o->use.news);
    }
}

static void fetch_unwatch(struct fetch *o)
{
    LIST_FOR_EACH (link, &o->parts) {
        partition_unwatch(&LIST_ENTRY(link, struct fetch_part, link)->watcher);
    }
}

/* Something a new read would show that the last one did not. */
static bool fetch_part_news(const struct fetch_part *p)
{
    if (p->part == NULL) return false;
    if (partition_fetch_check(p->part, &p->fetch) != ERR_NONE) return true;
    if (!p->fetch.throttled && partition_fetch_limit(p->part, &p->fetch) == p->seen) return false;
    return partition_fetch_ready(p->part, &p->fetch);
}

static bool fetch_entry_news(const struct fetch *o, const struct fetch_session_part *entry)
{
    struct partition_fetch f;

    if (entry->part == NULL) return true;
    if (o->hastens && entry->told_high_watermark != entry->part->high_watermark) return true;
    if (entry->holder != NULL) {
        return fetch_part_news(CONTAINER_OF(entry->holder, struct fetch_part, entry));
    }
    fetch_ask_entry(o, entry, &f);
    return partition_fetch_ready(entry->part, &f);
}

/* Walks what the request names, or of a session what it was told of. */
static bool fetch_news(const struct fetch *o)
{
    if (o->use.lost != ERR_NONE) return true;
    if (o->use.session != NULL) {
        LIST_FOR_EACH (link, &o->use.session->news) {
            if (fetch_entry_news(o, LIST_ENTRY(link, struct fetch_session_part, news))) return true;
        }
        return false;
    }
    LIST_FOR_EACH (link, &o->parts) {
        if (fetch_part_news(LIST_ENTRY(link, struct fetch_part, link))) return true;
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
        slices[i] = (struct wire_slice){.kind = f->read.slices[i].data == NULL ? WIRE_SLICE_FILE
                                                                               : WIRE_SLICE_MEMORY,
                                        .length = f->read.slices[i].length,
                                        .data = f->read.slices[i].data,
                                        .file = f->read.range_file.handle,
                                        .offset = f->read.range_offset};
    }
    out->records_slices = slices;
    out->records_slices_count = f->read.count;
    return ERR_NONE;
}

/* What a read_committed reader leaves out of these records. */
static enum err fetch_aborted(struct fetch *o, const struct partition_fetch *f,
                              struct fetch_response_partition *out)
{
    const struct log_aborted_list *list = &f->read.aborted;
    struct fetch_response_aborted_transaction *aborted;

    out->aborted_transactions_null = !f->stable_only;
    if (f->err != ERR_NONE || f->read.count == 0 || list->count == 0) return ERR_NONE;
    aborted = request_alloc(o->request, list->count * sizeof *aborted);
    if (aborted == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < list->count; i++) {
        fetch_response_aborted_transaction_default(&aborted[i]);
        aborted[i].producer_id = list->entries[i].producer_id;
        aborted[i].first_offset = list->entries[i].first_offset;
    }
    out->aborted_transactions = aborted;
    out->aborted_transactions_count = list->count;
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

static enum err fetch_hints(struct fetch *o)
{
    struct fetch_response_node_endpoint *out =
        request_alloc(o->request, (o->hints.count + 1) * sizeof *out);

    if (out == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < o->hints.count; i++) {
        const struct api_hint *hint = &o->hints.items[i];

        out[i] = (struct fetch_response_node_endpoint){
            .node_id = hint->id, .host = hint->host, .port = hint->port, .rack = hint->rack};
    }
    o->answer.node_endpoints = out;
    o->answer.node_endpoints_count = o->hints.count;
    return ERR_NONE;
}

static enum err fetch_answer_part(struct fetch *o, const struct fetch_part *p,
                                  struct fetch_response_partition *out)
{
    const struct partition_fetch *f = &p->fetch;
    enum err err;

    fetch_response_partition_default(out);
    out->partition_index = p->index;
    out->error_code = fetch_error(o, f->err);
    out->high_watermark = f->err == ERR_NONE ? f->high_watermark : -1;
    out->last_stable_offset = f->err == ERR_NONE ? f->last_stable : -1;
    out->log_start_offset = f->err == ERR_NONE ? f->own_log_start : -1;
    err = fetch_aborted(o, f, out);
    if (err != ERR_NONE) return err;
    if (f->err == ERR_NONE) out->preferred_read_replica = f->preferred;
    if (f->diverged) {
        out->diverging_epoch.epoch = f->diverging.epoch;
        out->diverging_epoch.end_offset = f->diverging.end_offset;
    }
    if (o->request->version >= 16 &&
        (f->err == ERR_NOT_LEADER_OR_FOLLOWER || f->err == ERR_FENCED_LEADER_EPOCH)) {
        out->current_leader.leader_id = f->leader;
        out->current_leader.leader_epoch = f->leader_epoch;
        api_hints_add(&o->hints, o->request, f->leader);
    }
    return fetch_records(o, f, out);
}

/* What the reader knows once it has the answer. An error is not knowledge, nor is what stands in
 * the order to cut a log: what comes after it is told again. */
static void fetch_told(const struct fetch_part *p)
{
    const struct partition_fetch *f = &p->fetch;
    struct fetch_session_part *entry = p->entry;
    bool known;

    if (entry == NULL) return;
    known = f->err == ERR_NONE && !f->diverged;
    entry->told_high_watermark = known ? f->high_watermark : -1;
    entry->told_log_start = known ? f->own_log_start : -1;
    if (f->err == ERR_NONE && f->read.bytes > 0) fetch_session_rotate(entry);
}

static bool fetch_same_topic(const struct fetch *o, const struct fetch_response_topic *topic,
                             const struct fetch_part *p)
{
    return fetch_by_id(o) ? uuid_equal(topic->topic_id, p->topic_id)
                          : str_equal(topic->topic, p->topic);
}

/* Partitions of one topic that follow each other stand together. */
static enum err fetch_fill(struct fetch *o)
{
    struct fetch_response *answer = &o->answer;
    struct fetch_response_topic *topic = NULL;
    struct fetch_response_partition *out;
    uint32_t count = 0;
    enum err err;

    LIST_FOR_EACH (link, &o->parts) {
        if (o->whole || fetch_tells(LIST_ENTRY(link, struct fetch_part, link))) count++;
    }
    answer->responses = request_alloc(o->request, (count + 1) * sizeof *answer->responses);
    out = request_alloc(o->request, (count + 1) * sizeof *out);
    if (answer->responses == NULL || out == NULL) return ERR_NO_MEMORY;
    LIST_FOR_EACH (link, &o->parts) {
        struct fetch_part *p = LIST_ENTRY(link, struct fetch_part, link);

        if (!o->whole && !fetch_tells(p)) continue;
        if (topic == NULL || !fetch_same_topic(o, topic, p)) {
            topic = &answer->responses[answer->responses_count++];
            fetch_response_topic_default(topic);
            topic->topic = p->topic;
            topic->topic_id = p->topic_id;
            topic->partitions = out;
        }
        err = fetch_answer_part(o, p, out++);
        if (err != ERR_NONE) return err;
        topic->partitions_count++;
    }
    return fetch_hints(o);
}

static void fetch_answer(struct fetch *o)
{
    struct fetch_session *session = o->use.session;

    if (o->use.lost != ERR_NONE && !o->whole) {
        o->answer.error_code = (int16_t)o->use.lost;
        request_reply(o->request, &o->answer);
        return;
    }
    if (fetch_fill(o) != ERR_NONE) {
        if (session != NULL) fetch_session_close(session, ERR_FETCH_SESSION_ID_NOT_FOUND);
        request_reply_nothing(o->request, true); /* no memory for the answer: the reader retries */
        return;
    }
    o->answer.session_id = session != NULL ? session->id : 0;
    request_reply(o->request, &o->answer);
    LIST_FOR_EACH (link, &o->parts) {
        struct fetch_part *p = LIST_ENTRY(link, struct fetch_part, link);

        fetch_told(p);
        if (p->part != NULL && p->fetch.err == ERR_NONE) partition_fetch_served(p->part, &p->fetch);
    }
    fetch_rest(o);
}

static enum op_result fetch_run(struct op *op)
{
    struct fetch *o = CONTAINER_OF(op, struct fetch, op);

    switch ((enum fetch_step)op->step) {
    case FETCH_START:
        for (;;) {
            o->bytes = 0;
            fetch_collect(o);
            for (o->at = fetch_next(o, &o->parts); o->at != NULL;
                 o->at = fetch_next(o, &o->at->link)) {
                fetch_begin_part(o);
                AWAIT(o, FETCH_READ, &o->at->fetch.read.source, fetch_part_read(o));
                fetch_end_part(o);
            }
            if (fetch_enough(o)) break;
            fetch_release_parts(o);
            fetch_watch(o);
            AWAIT(o, FETCH_DELAYED, &o->use.news,
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

static void fetch_drop(struct fetch *o)
{
    fetch_session_leave(&o->use);
    LIST_FOR_EACH (link, &o->all) {
        fetch_part_set(LIST_ENTRY(link, struct fetch_part, all), NULL);
    }
}

static void fetch_finish(struct op *op)
{
    struct fetch *o = CONTAINER_OF(op, struct fetch, op);

    fetch_drop(o);
    request_finish(o->request);
}

static const struct op_kind fetch_kind = {"fetch", fetch_steps, COUNT_OF(fetch_steps), fetch_run,
                                          fetch_finish};

void api_fetch_handle(struct request *request)
{
    struct fetch *o = request_alloc(request, sizeof *o);
    enum err err;

    if (o == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    if (request_decode(request, &o->body) != ERR_NONE) return;
    o->request = request;
    err = fetch_prepare(o);
    if (err == ERR_NO_MEMORY) {
        fetch_drop(o);
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    if (err != ERR_NONE) {
        o->answer.error_code = (int16_t)err;
        request_answer(request, &o->answer);
        return;
    }
    op_start(&request->env->loop, &o->op, &fetch_kind, FETCH_START);
    op_deadline(&o->op,
                env_deadline(request->env, o->body.max_wait_ms < 0 ? 0 : o->body.max_wait_ms));
}

/* Records on their way into the log, and what is done with them once they are committed. */
#include "broker/group/coordinator.h"

#include "broker/config.h"
#include "client/base/text.h"
#include "client/wire/compress.h"

enum { WRITE_TEXT_MAX = 600 };

/* ---- append ---------------------------------------------------------------------------------- */

enum err coordinator_append_error(enum err err)
{
    if (err == ERR_NONE || err == ERR_COORDINATOR_NOT_AVAILABLE || err == ERR_NOT_COORDINATOR)
        return err;
    if (err == ERR_NOT_LEADER_OR_FOLLOWER || err == ERR_KAFKA_STORAGE_ERROR)
        return ERR_NOT_COORDINATOR;
    if (err == ERR_MESSAGE_TOO_LARGE || err == ERR_RECORD_LIST_TOO_LARGE ||
        err == ERR_INVALID_FETCH_SIZE || err == ERR_TOO_LARGE)
        return ERR_UNKNOWN_SERVER_ERROR;
    /* NOT_ENOUGH_REPLICAS, its sister, time-outs; memory: all of them pass. */
    return ERR_COORDINATOR_NOT_AVAILABLE;
}

static enum err append(struct coordinator_shard *shard, const struct group_log *log,
                       struct coordinator_write *write)
{
    struct env *env = shard->coordinator->env;
    size_t size = group_log_size(log);
    enum err err = log->err;

    if (err != ERR_NONE) return err;
    write->buf = buf_take(&env->payload, size, false);
    if (write->buf == NULL) return ERR_NO_MEMORY;
    err = group_log_batch(log, env->world->cpu, env->now.wall.ms, write->buf->data, size,
                          &write->batch);
    if (err == ERR_NONE)
        err = partition_append(shard->part, write->buf, write->batch, -1, LOG_COORDINATOR,
                               &write->append);
    if (err != ERR_NONE) buf_unref(write->buf);
    return err;
}

static enum err begin(struct coordinator_shard *shard, const struct group_log *log,
                      enum coordinator_write_kind kind, struct coordinator_write **begun)
{
    struct coordinator *c = shard->coordinator;
    struct coordinator_write *write;
    enum err err;

    if (!coordinator_serves(shard, shard->epoch)) return ERR_NOT_COORDINATOR;
    write = pool_take(&c->write_pool);
    if (write == NULL) return ERR_COORDINATOR_NOT_AVAILABLE;
    write->kind = kind;
    write->call = NULL;
    write->deadline_ns = env_deadline(c->env, c->config->offsets_commit_timeout_ms);
    op_source_init(&write->source);
    list_init(&write->link);
    err = append(shard, log, write);
    if (err != ERR_NONE) {
        pool_give(&c->write_pool, write);
        return coordinator_append_error(err);
    }
    list_push(&shard->writes, &write->link);
    shard->begun++;
    /* It waits for another key, and until another time. */
    op_deadline(&shard->op, coordinator_writes_deadline(shard));
    op_resume(&shard->op);
    *begun = write;
    return ERR_NONE;
}

enum err coordinator_write(struct coordinator_shard *shard, const struct group_log *log,
                           struct coordinator_write **write)
{
    enum err err = begin(shard, log, COORDINATOR_WRITE_OFFSETS, write);

    if (err == ERR_NONE) (*write)->waited = true;
    return err;
}

enum err coordinator_write_group(struct coordinator_group *cg, enum group_write kind,
                                 uint64_t ticket)
{
    struct coordinator_shard *shard = cg->shard;
    struct coordinator *c = shard->coordinator;
    struct coordinator_write *write;
    struct group_log log;
    enum err err;

    group_log_init(&log, &c->arena);
    group_log_group(&log, &cg->group, kind);
    err = begin(shard, &log, COORDINATOR_WRITE_GROUP, &write);
    arena_reset(&c->arena);
    if (err != ERR_NONE) return err;
    write->group = pool_handle(&c->group_pool, cg);
    write->ticket = ticket;
    return ERR_NONE;
}

enum err coordinator_write_consumer(struct coordinator_group *cg, const struct group_log *log,
                                    struct coordinator_write **write)
{
    enum err err;

    ASSERT(!cg->busy);
    err = begin(cg->shard, log, COORDINATOR_WRITE_CONSUMER, write);
    if (err != ERR_NONE) return err;
    (*write)->group = pool_handle(&cg->shard->coordinator->group_pool, cg);
    cg->busy = true;
    coordinator_note(cg);
    coordinator_arm(cg);
    return ERR_NONE;
}

/* ---- replay ---------------------------------------------------------------------------------- */

static void trace_offset(const struct coordinator_shard *shard, const struct group_log_read *read,
                         int64_t offset, int64_t record)
{
    char buffer[WRITE_TEXT_MAX];
    struct text text;

    text_init(&text, buffer, sizeof buffer);
    text_format(&text, "%S %S", read->group, read->topic);
    TRACE_TEXT(shard->coordinator->env->world, GROUP_OFFSET, text_view(&text), shard->index,
               shard->epoch, read->partition, offset, record);
}

static enum err replay_offset(struct coordinator_shard *shard, const struct group_log_read *read,
                              int64_t offset, bool live)
{
    struct coordinator_group *cg = coordinator_group(shard, read->group);
    struct group_offsets_value value = {.offset = read->offset.offset,
                                        .leader_epoch = read->offset.leader_epoch,
                                        .metadata = read->offset.metadata,
                                        .commit_ms = read->offset.commit_timestamp,
                                        .expire_ms = read->offset.expire_timestamp,
                                        .record = offset};
    enum err err = ERR_NONE;

    if (live) trace_offset(shard, read, read->tombstone ? -1 : value.offset, offset);
    if (read->tombstone) {
        if (cg != NULL) group_offsets_remove(&cg->offsets, read->topic, read->partition);
        return ERR_NONE;
    }
    if (cg == NULL) err = coordinator_group_make(shard, read->group, &cg);
    if (err != ERR_NONE) return err;
    return group_offsets_put(&cg->offsets, read->topic, read->partition, &value);
}

static enum err restore(struct coordinator_shard *shard, struct coordinator_group *cg,
                        const struct group_metadata_value *from)
{
    struct arena *arena = &shard->coordinator->arena;
    struct group_restored *members =
        arena_zalloc(arena, (from->members_count + 1) * sizeof *members);
    struct group_value value = {.generation = from->generation,
                                .protocol_type = from->protocol_type,
                                .protocol = from->protocol,
                                .leader = from->leader,
                                .state_since_ms = from->current_state_timestamp,
                                .members = members,
                                .members_count = from->members_count};

    if (members == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < from->members_count; i++) {
        const struct group_metadata_value_member *member = &from->members[i];

        members[i] = (struct group_restored){.id = member->member_id,
                                             .instance_id = member->group_instance_id,
                                             .client_id = member->client_id,
                                             .client_host = member->client_host,
                                             .rebalance_timeout_ms = member->rebalance_timeout,
                                             .session_timeout_ms = member->session_timeout,
                                             .subscription = member->subscription,
                                             .assignment = member->assignment};
    }
    return group_restore(&cg->group, &value);
}

/* What a state machine had written is told to it, not replayed: this group was one of KIP-848 until
 * the record before this one. */
static void went_back(struct coordinator_group *cg)
{
    struct group_effects effects;

    group_effects_init(&effects);
    group_loaded(&cg->group, cg->shard->coordinator->env->now, &effects);
    coordinator_effects(cg, &effects);
}

static enum err replay_group(struct coordinator_shard *shard, const struct group_log_read *read,
                             bool live)
{
    struct coordinator_group *cg = coordinator_group(shard, read->group);
    enum err err = ERR_NONE;

    if (read->tombstone) {
        struct group_effects effects;
        struct list *link;

        if (cg == NULL) return ERR_NONE;
        group_effects_init(&effects);
        /* An empty group is deleted; one with members goes on as one of KIP-848. */
        group_close(&cg->group, ERR_REBALANCE_IN_PROGRESS, shard->coordinator->env->now, &effects);
        while ((link = list_pop(&effects.answered)) != NULL)
            op_wake(&LIST_ENTRY(link, struct group_call, link)->source);
        if (cg->offsets.count > 0 || cg->consumer != NULL || cg->busy) {
            /* The offsets have tombstones of their own; the group was dropped before them. */
            struct group_value none = {.generation = 0};

            err = group_restore(&cg->group, &none);
            coordinator_note(cg);
            return err;
        }
        coordinator_group_free(cg);
        return ERR_NONE;
    }
    if (cg == NULL) err = coordinator_group_make(shard, read->group, &cg);
    if (err != ERR_NONE) return err;
    err = restore(shard, cg, &read->metadata);
    coordinator_note(cg);
    if (err == ERR_NONE && live) went_back(cg);
    return err;
}

static enum err replay_records(struct coordinator_shard *shard, const struct record_batch *batch,
                               struct bytes records, bool live)
{
    struct arena *arena = &shard->coordinator->arena;
    struct record_iter iter;
    struct record record;
    enum err err;

    record_iter_init(&iter, batch, records);
    while ((err = record_iter_next(&iter, &record)) == ERR_NONE) {
        struct group_log_read read;

        err = group_log_read(&record, arena, &read);
        if (err == ERR_NONE) {
            switch (read.kind) {
            case GROUP_LOG_OFFSET: err = replay_offset(shard, &read, record.offset, live); break;
            case GROUP_LOG_GROUP: err = replay_group(shard, &read, live); break;
            case GROUP_LOG_CONSUMER_GROUP:
            case GROUP_LOG_CONSUMER_TOPICS:
            case GROUP_LOG_CONSUMER_MEMBER:
            case GROUP_LOG_CONSUMER_TARGET_EPOCH:
            case GROUP_LOG_CONSUMER_TARGET:
            case GROUP_LOG_CONSUMER_CURRENT:
                err = coordinator_replay_consumer(shard, &read, live);
                break;
            case GROUP_LOG_UNKNOWN: break;
            }
        }
        arena_reset(arena);
        if (err != ERR_NONE) return err;
    }
    return err == ERR_EOF ? ERR_NONE : err;
}

static enum err replay_batch(struct coordinator_shard *shard, const struct record_batch *batch,
                             bool live)
{
    struct env *env = shard->coordinator->env;
    uint8_t *scratch = NULL;
    struct bytes records;
    enum err err;

    if (record_batch_is_control(batch)) return ERR_NONE;
    if (!record_batch_is_compressed(batch))
        return replay_records(shard, batch, record_batch_payload(batch), live);
    if (env->world->codecs == NULL) return ERR_UNSUPPORTED_COMPRESSION_TYPE;
    scratch = mem_alloc(&env->mem, COORDINATOR_INFLATE_MAX);
    if (scratch == NULL) return ERR_NO_MEMORY;
    err = compress_open(env->world->codecs, batch, scratch, COORDINATOR_INFLATE_MAX, &records);
    if (err == ERR_NONE) err = replay_records(shard, batch, records, live);
    mem_free(&env->mem, scratch, COORDINATOR_INFLATE_MAX);
    return err;
}

enum err coordinator_replay(struct coordinator_shard *shard, struct bytes batches, bool live)
{
    struct record_batch_iter iter;
    struct record_batch batch;

    record_batch_iter_init(&iter, batches);
    while (record_batch_iter_next(&iter, &batch)) {
        enum err err = replay_batch(shard, &batch, live);

        if (err != ERR_NONE) return err;
    }
    return iter.rest.length == 0 ? ERR_NONE : ERR_CORRUPT_MESSAGE;
}

/* ---- what became of it ----------------------------------------------------------------------- */

static struct coordinator_write *first_of(const struct coordinator_shard *shard)
{
    return LIST_ENTRY(shard->writes.next, struct coordinator_write, link);
}

/* All have the same time: they run out in order. */
static struct coordinator_write *first_untold(const struct coordinator_shard *shard)
{
    LIST_FOR_EACH (link, &shard->writes) {
        struct coordinator_write *write = LIST_ENTRY(link, struct coordinator_write, link);

        if (!write->told) return write;
    }
    return NULL;
}

int64_t coordinator_writes_deadline(const struct coordinator_shard *shard)
{
    const struct coordinator_write *write = first_untold(shard);

    return write != NULL ? write->deadline_ns : OP_NO_DEADLINE;
}

bool coordinator_writes_due(const struct coordinator_shard *shard)
{
    const struct coordinator_write *untold = first_untold(shard);

    if (list_empty(&shard->writes)) return false;
    if (partition_replicated(&first_of(shard)->append) != ERR_REQUEST_TIMED_OUT) return true;
    return untold != NULL && untold->deadline_ns <= shard->coordinator->env->now.mono.ns;
}

static void tell(struct coordinator_shard *shard, struct coordinator_write *write, enum err err)
{
    struct coordinator *c = shard->coordinator;
    struct coordinator_group *cg;
    struct group_effects effects;

    if (write->told) return;
    write->told = true;
    write->err = err;
    op_wake(&write->source);
    if (write->call != NULL)
        coordinator_classic_told(pool_get(&c->group_pool, write->group), write);
    if (write->kind != COORDINATOR_WRITE_GROUP) return;
    cg = pool_get(&c->group_pool, write->group);
    if (cg == NULL) return;
    group_effects_init(&effects);
    group_written(&cg->group, write->ticket, err, c->env->now, &effects);
    coordinator_effects(cg, &effects);
}

/* Its group may do the next thing. */
static void idle(struct coordinator_shard *shard, const struct coordinator_write *write)
{
    struct coordinator_group *cg = pool_get(&shard->coordinator->group_pool, write->group);

    if (cg == NULL) return;
    cg->busy = false;
    cg->migrating = false;
    cg->deleting = false; /* of an expiry; DeleteGroups does not begin while it is busy */
    if (cg->consumer != NULL) consumer_group_check(cg->consumer);
    coordinator_settle(cg);
}

static void end(struct coordinator_shard *shard, struct coordinator_write *write, enum err outcome)
{
    bool committed = outcome == ERR_NONE || outcome == ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND;
    enum err err = ERR_NONE;

    list_remove(&write->link);
    partition_append_end(&write->append, outcome);
    if (committed && write->kind != COORDINATOR_WRITE_GROUP)
        err = coordinator_replay(shard, write->batch, true);
    buf_unref(write->buf);
    write->buf = NULL;
    write->ended = true;
    shard->ended++;
    if (err != ERR_NONE) {
        shard->err = err; /* in the log, and not in memory: all of it is loaded again */
        outcome = ERR_COORDINATOR_NOT_AVAILABLE;
    }
    tell(shard, write, coordinator_append_error(outcome));
    if (write->kind == COORDINATOR_WRITE_CONSUMER) idle(shard, write);
    if (!write->waited) pool_give(&shard->coordinator->write_pool, write);
    op_wake(&shard->coordinator->ended_source);
}

void coordinator_writes_take(struct coordinator_shard *shard)
{
    int64_t now_ns = shard->coordinator->env->now.mono.ns;
    struct coordinator_write *write;

    while (!list_empty(&shard->writes)) {
        enum err outcome = partition_replicated(&first_of(shard)->append);

        if (outcome == ERR_REQUEST_TIMED_OUT) break;
        end(shard, first_of(shard), outcome);
    }
    while ((write = first_untold(shard)) != NULL && write->deadline_ns <= now_ns)
        tell(shard, write, ERR_COORDINATOR_NOT_AVAILABLE);
}

void coordinator_writes_fail(struct coordinator_shard *shard)
{
    while (!list_empty(&shard->writes)) {
        struct coordinator_write *write = first_of(shard);

        /* The group is closed next: its calls are answered there. */
        write->kind = COORDINATOR_WRITE_OFFSETS;
        end(shard, write, ERR_NOT_LEADER_OR_FOLLOWER);
    }
}

void coordinator_write_release(struct coordinator *c, struct coordinator_write *write)
{
    write->waited = false;
    if (write->ended) pool_give(&c->write_pool, write);
}

bool coordinator_drained(struct coordinator *c, struct str group, uint64_t load, uint64_t begun)
{
    struct coordinator_shard *shard;

    if (coordinator_find(c, group, &shard) != ERR_NONE) return true;
    return shard->load != load || shard->ended >= begun;
}

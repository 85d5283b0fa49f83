#include "client/consumer.h"

#define PARTITION(link_) LIST_ENTRY(link_, struct consumer_partition, link)

enum consumer_step {
    CONSUMER_START,
    CONSUMER_EVENT,
    CONSUMER_METADATA_CLOSED,
    CONSUMER_STEP_COUNT
};
static const char *const consumer_steps[CONSUMER_STEP_COUNT] = {
    [CONSUMER_START] = "START",
    [CONSUMER_EVENT] = "EVENT",
    [CONSUMER_METADATA_CLOSED] = "METADATA_CLOSED",
};
static enum op_result consumer_run(struct op *op);
static const struct op_kind consumer_kind = {"consumer", consumer_steps, CONSUMER_STEP_COUNT,
                                             consumer_run, NULL};

enum consumer_watch_step { CONSUMER_WATCH_START, CONSUMER_WATCH_CHANGED, CONSUMER_WATCH_COUNT };
static const char *const consumer_watch_steps[CONSUMER_WATCH_COUNT] = {
    [CONSUMER_WATCH_START] = "START",
    [CONSUMER_WATCH_CHANGED] = "CHANGED",
};
static enum op_result consumer_watch_run(struct op *op);
static const struct op_kind consumer_watch_kind = {"consumer.watch", consumer_watch_steps,
                                                   CONSUMER_WATCH_COUNT, consumer_watch_run, NULL};

void consumer_kick(struct consumer *consumer)
{
    consumer->kicked = true;
    op_wake(&consumer->wake);
}

/* ---- state of a partition ------------------------------------------------------------------- */

void consumer_set_state(struct consumer_partition *partition, enum consumer_state state)
{
    static const uint32_t legal[CONSUMER_STATE_COUNT] = {
        [CONSUMER_WAITING] =
            1U << CONSUMER_LOCATING | 1U << CONSUMER_FETCHING | 1U << CONSUMER_FAILED,
        [CONSUMER_LOCATING] =
            1U << CONSUMER_LOCATING | 1U << CONSUMER_FETCHING | 1U << CONSUMER_FAILED,
        [CONSUMER_VALIDATING] =
            1U << CONSUMER_LOCATING | 1U << CONSUMER_FETCHING | 1U << CONSUMER_FAILED,
        [CONSUMER_FETCHING] = 1U << CONSUMER_LOCATING | 1U << CONSUMER_VALIDATING |
                              1U << CONSUMER_FETCHING | 1U << CONSUMER_FAILED,
        [CONSUMER_FAILED] = 1U << CONSUMER_LOCATING | 1U << CONSUMER_FETCHING,
    };

    ASSERT((legal[partition->state] & 1U << state) != 0);
    partition->state = state;
    consumer_kick(partition->consumer);
    op_wake(&partition->consumer->ready);
}

void consumer_end_batch(struct consumer_partition *partition)
{
    buf_unref(partition->inflated);
    partition->inflated = NULL;
    partition->in_batch = false;
}

void consumer_drop_held(struct consumer_partition *partition)
{
    struct consumer *consumer = partition->consumer;

    consumer_end_batch(partition);
    consumer_aborted_drop(partition);
    if (partition->held == NULL) return;
    ASSERT(consumer->buffered >= partition->held_bytes);
    consumer->buffered -= partition->held_bytes;
    buf_unref(partition->held);
    partition->held = NULL;
    partition->held_bytes = 0;
    consumer_kick(consumer);
}

void consumer_fail(struct consumer_partition *partition, enum err err)
{
    consumer_drop_held(partition);
    partition->moves++;
    partition->error = err;
    if (partition->state != CONSUMER_FAILED) consumer_set_state(partition, CONSUMER_FAILED);
}

void consumer_move(struct consumer_partition *partition, int64_t position, int32_t epoch,
                   enum consumer_moved reason)
{
    consumer_drop_held(partition);
    partition->moves++;
    partition->position = position;
    partition->position_epoch = epoch;
    partition->validated_epoch = -1;
    partition->error = ERR_NONE;
    partition->failures = 0;
    partition->retry_at_ns = 0;
    TRACE(partition->consumer->env->world, CLIENT_POSITION,
          (int64_t)uuid_high(partition->topic->id), partition->index, position, reason);
    consumer_set_state(partition, CONSUMER_FETCHING);
}

static void consumer_look_for(struct consumer_partition *partition, int64_t timestamp,
                              enum consumer_moved reason)
{
    consumer_drop_held(partition);
    partition->moves++;
    partition->start = (struct consumer_start){.timestamp = timestamp};
    partition->reason = reason;
    partition->error = ERR_NONE;
    partition->retry_at_ns = 0;
    consumer_set_state(partition, CONSUMER_LOCATING);
}

int64_t consumer_reset_time(const struct consumer *consumer)
{
    int64_t back_ms = consumer->env->now.wall.ms - consumer->config.reset_back_ms;

    switch (consumer->config.reset) {
    case CONSUMER_RESET_EARLIEST: return CONSUMER_EARLIEST;
    case CONSUMER_RESET_LATEST: return CONSUMER_LATEST;
    case CONSUMER_RESET_BACK: return back_ms > 0 ? back_ms : 0;
    case CONSUMER_RESET_NONE: break;
    }
    IMPOSSIBLE("reset policy");
}

void consumer_reset(struct consumer_partition *partition, enum err err)
{
    const struct consumer *consumer = partition->consumer;

    if (consumer->config.reset == CONSUMER_RESET_NONE) {
        consumer_fail(partition, err);
    } else {
        consumer_look_for(partition, consumer_reset_time(consumer), CONSUMER_MOVED_RESET);
    }
}

void consumer_retry(struct consumer_partition *partition, int16_t api, enum err err)
{
    struct consumer *consumer = partition->consumer;

    partition->failures++;
    partition->retry_at_ns =
        env_deadline(consumer->env, metadata_backoff_ms(&consumer->metadata, partition->failures));
    consumer->last_error = err;
    TRACE(consumer->env->world, CLIENT_ERROR, api, err, (int64_t)uuid_high(partition->topic->id),
          partition->index);
    if (!err_is_wire(err) || err_retry(err) == ERR_RETRIABLE_META)
        metadata_refresh(&consumer->metadata);
    consumer_kick(consumer);
}

void consumer_seek(struct consumer_partition *partition, struct consumer_start start)
{
    if (start.by_offset) {
        consumer_move(partition, start.offset, -1, CONSUMER_MOVED_SEEK);
    } else {
        consumer_look_for(partition, start.timestamp, CONSUMER_MOVED_SEEK);
    }
}

enum err consumer_assign(struct consumer *consumer, struct str topic, int32_t partition,
                         struct consumer_start start, struct consumer_partition **assigned)
{
    struct consumer_partition *made;
    enum err err;

    ASSERT(!consumer->closing && partition >= 0);
    if (consumer->partitions_count >= consumer->config.partitions_max) return ERR_TOO_MANY;
    made = mem_zalloc(&consumer->env->mem, sizeof *made);
    if (made == NULL) return ERR_NO_MEMORY;
    err = metadata_use(&consumer->metadata, topic, &made->topic);
    if (err != ERR_NONE) {
        mem_free(&consumer->env->mem, made, sizeof *made);
        return err;
    }
    made->consumer = consumer;
    made->index = partition;
    made->position = -1;
    made->position_epoch = -1;
    made->high_watermark = -1;
    made->log_start = -1;
    made->validated_epoch = -1;
    made->generation = made->topic->generation;
    made->consumed = -1;
    made->consumed_epoch = -1;
    made->committed = -1;
    made->preferred = -1;
    made->state = start.waiting ? CONSUMER_WAITING : CONSUMER_LOCATING;
    made->start = start;
    made->reason = CONSUMER_MOVED_START;
    call_init(&made->locate_call, API_LIST_OFFSETS);
    list_init(&made->session_link);
    list_init(&made->link);
    list_push(&consumer->partitions, &made->link);
    consumer->partitions_count++;
    if (start.by_offset) consumer_move(made, start.offset, -1, CONSUMER_MOVED_START);
    consumer_kick(consumer);
    *assigned = made;
    return ERR_NONE;
}

void consumer_unassign(struct consumer_partition *partition)
{
    struct consumer *consumer = partition->consumer;

    consumer_drop_held(partition);
    partition->moves++; /* answers on their way are ignored */
    list_remove(&partition->link);
    consumer->partitions_count--;
    list_push(&consumer->leaving, &partition->link);
    if (op_live(&partition->locate)) {
        call_cancel(&partition->locate_call);
        op_resume(&partition->locate);
    }
    consumer_kick(consumer);
}

static void consumer_free(struct consumer_partition *partition)
{
    struct consumer *consumer = partition->consumer;

    ASSERT(partition->held == NULL && !op_live(&partition->locate));
    consumer_session_drop(partition);
    list_remove(&partition->link);
    metadata_unuse(&consumer->metadata, partition->topic);
    mem_free(&consumer->env->mem, partition, sizeof *partition);
}

static void consumer_reap(struct consumer *consumer)
{
    LIST_FOR_EACH_SAFE (link, after, &consumer->leaving) {
        struct consumer_partition *partition = PARTITION(link);

        if (!partition->fetching && !op_live(&partition->locate)) consumer_free(partition);
    }
}

void consumer_continue(struct consumer_partition *partition, int64_t offset, int32_t epoch)
{
    consumer_move(partition, offset, epoch, CONSUMER_MOVED_COMMITTED);
}

void consumer_pause(struct consumer_partition *partition)
{
    partition->paused = true;
}

void consumer_resume(struct consumer_partition *partition)
{
    partition->paused = false;
    op_wake(&partition->consumer->ready);
    consumer_kick(partition->consumer);
}

struct consumer_partition *consumer_find(const struct consumer *consumer, struct str topic,
                                         int32_t partition)
{
    LIST_FOR_EACH (link, &consumer->partitions)
        if (PARTITION(link)->index == partition &&
            str_equal(metadata_name(PARTITION(link)->topic), topic))
            return PARTITION(link);
    return NULL;
}

struct consumer_partition *consumer_failed(const struct consumer *consumer)
{
    LIST_FOR_EACH (link, &consumer->partitions)
        if (PARTITION(link)->state == CONSUMER_FAILED) return PARTITION(link);
    return NULL;
}

bool consumer_at_end(const struct consumer_partition *partition)
{
    return partition->state == CONSUMER_FETCHING && partition->high_watermark >= 0 &&
           partition->position >= (partition->consumer->config.read_committed
                                       ? partition->last_stable
                                       : partition->high_watermark) &&
           partition->held == NULL;
}

/* ---- the op --------------------------------------------------------------------------------- */

bool consumer_silent(const struct consumer_partition *partition)
{
    return partition->paused || partition->revoking;
}

static const struct metadata_partition *consumer_known(const struct consumer_partition *partition)
{
    if ((uint32_t)partition->index >= partition->topic->partitions_count) return NULL;
    return &partition->topic->partitions[partition->index];
}

bool consumer_fetchable(const struct consumer_partition *partition)
{
    return partition->state == CONSUMER_FETCHING && partition->held == NULL &&
           !partition->fetching && !consumer_silent(partition) &&
           partition->retry_at_ns <= partition->consumer->env->now.mono.ns;
}

/* KIP-392: a replica that is nearer, as long as the leader that said so leads. */
struct peer *consumer_source(const struct consumer_partition *partition)
{
    struct consumer *consumer = partition->consumer;
    const struct metadata_partition *known = consumer_known(partition);

    if (partition->preferred >= 0 && known != NULL &&
        partition->preferred_epoch == known->leader_epoch &&
        partition->preferred_until_ns > consumer->env->now.mono.ns) {
        struct peer *peer = metadata_peer(&consumer->metadata, partition->preferred);

        if (peer != NULL && peer_usable(peer)) return peer;
    }
    return metadata_leader(&consumer->metadata, partition->topic, partition->index);
}

void consumer_prefer(struct consumer_partition *partition, int32_t node)
{
    struct consumer *consumer = partition->consumer;
    const struct metadata_partition *known = consumer_known(partition);

    partition->preferred = known != NULL ? node : -1;
    if (partition->preferred < 0) return;
    partition->preferred_epoch = known->leader_epoch;
    partition->preferred_until_ns =
        env_deadline(consumer->env, consumer->config.metadata.max_age_ms);
}

/* What the metadata says may change what a partition has to do. */
static void consumer_review(struct consumer_partition *partition)
{
    const struct metadata_partition *known = consumer_known(partition);

    if (partition->generation != partition->topic->generation) {
        partition->generation = partition->topic->generation; /* another topic of that name */
        if (partition->state != CONSUMER_LOCATING && partition->state != CONSUMER_WAITING)
            consumer_reset(partition, ERR_UNKNOWN_TOPIC_ID);
        return;
    }
    if (known == NULL || known->leader < 0 || partition->state != CONSUMER_FETCHING) return;
    if (partition->validated_epoch == known->leader_epoch || partition->fetching) return;
    if (partition->position_epoch < 0 || partition->position_epoch == known->leader_epoch ||
        known->leader_epoch < 0) {
        partition->validated_epoch = known->leader_epoch;
        return;
    }
    consumer_set_state(partition, CONSUMER_VALIDATING);
}

static bool consumer_node_busy(const struct consumer *consumer, int32_t node)
{
    LIST_FOR_EACH (link, &consumer->in_flight)
        if (LIST_ENTRY(link, struct consumer_fetch, link)->node == node) return true;
    return false;
}

static void consumer_turn(struct consumer *consumer)
{
    int64_t now_ns = consumer->env->now.mono.ns;

    consumer->kicked = false;
    consumer_reap(consumer);
    LIST_FOR_EACH (link, &consumer->partitions) {
        struct consumer_partition *partition = PARTITION(link);

        consumer_review(partition);
        if ((partition->state == CONSUMER_LOCATING || partition->state == CONSUMER_VALIDATING) &&
            !op_live(&partition->locate) && partition->retry_at_ns <= now_ns)
            consumer_locate_start(partition);
    }
    LIST_FOR_EACH (link, &consumer->partitions) {
        struct consumer_partition *partition = PARTITION(link);
        struct peer *peer;

        if (consumer->buffered >= consumer->config.buffer_bytes) break;
        if (!consumer_fetchable(partition)) continue;
        peer = consumer_source(partition);
        if (peer == NULL || !peer_usable(peer) || consumer_node_busy(consumer, peer->node_id))
            continue;
        consumer_fetch_start(consumer, peer);
    }
    consumer->kicked = false; /* by the reviews above */
}

static int64_t consumer_next_deadline(const struct consumer *consumer)
{
    int64_t now_ns = consumer->env->now.mono.ns;
    int64_t poll_ns = mono_add_ms((struct mono_time){now_ns}, 50).ns;
    int64_t next = OP_NO_DEADLINE;

    LIST_FOR_EACH (link, &consumer->partitions) {
        const struct consumer_partition *partition = PARTITION(link);
        bool waits =
            partition->state == CONSUMER_FETCHING
                ? !partition->fetching && partition->held == NULL && !consumer_silent(partition)
                : partition->state != CONSUMER_FAILED && partition->state != CONSUMER_WAITING &&
                      !op_live(&partition->locate);
        int64_t at = partition->retry_at_ns > now_ns ? partition->retry_at_ns : poll_ns;

        /* Without a leader, or with its peer in backoff: look again in a while. */
        if (waits && at < next) next = at;
    }
    return next;
}

static void consumer_stop(struct consumer *consumer)
{
    LIST_FOR_EACH (link, &consumer->in_flight) {
        struct consumer_fetch *fetch = LIST_ENTRY(link, struct consumer_fetch, link);

        call_cancel(&fetch->call);
        op_resume(&fetch->op);
    }
    LIST_FOR_EACH (link, &consumer->partitions) {
        struct consumer_partition *partition = PARTITION(link);

        consumer_drop_held(partition);
        if (!op_live(&partition->locate)) continue;
        call_cancel(&partition->locate_call);
        op_resume(&partition->locate);
    }
}

static enum op_result consumer_run(struct op *op)
{
    struct consumer *o = CONTAINER_OF(op, struct consumer, op);

    switch ((enum consumer_step)op->step) {
    case CONSUMER_START:
        for (;;) {
            if (!o->closing) consumer_turn(o);
            if (o->closing) consumer_stop(o);
            o->kicked = false;
            if (o->closing && list_empty(&o->in_flight) && o->locates == 0) break;
            op_deadline(op, o->closing ? OP_NO_DEADLINE : consumer_next_deadline(o));
            AWAIT(o, CONSUMER_EVENT, &o->wake, o->kicked || op_expired(op));
        }
        op_cancel(&o->watch);
        op_deadline(op, OP_NO_DEADLINE);
        metadata_close(&o->metadata);
        AWAIT(o, CONSUMER_METADATA_CLOSED, &o->metadata.changed, metadata_closed(&o->metadata));
        op_wake(&o->ready);
        return OP_DONE;
    case CONSUMER_STEP_COUNT: break;
    }
    IMPOSSIBLE("step");
}

static enum op_result consumer_watch_run(struct op *op)
{
    struct consumer *consumer = CONTAINER_OF(op, struct consumer, watch);

    switch ((enum consumer_watch_step)op->step) {
    case CONSUMER_WATCH_START: op_enter(op, CONSUMER_WATCH_CHANGED); __attribute__((fallthrough));
    case CONSUMER_WATCH_CHANGED:
        if (consumer->watched != consumer->metadata.version) {
            if (op_probing(op)) return OP_HOLDS;
            consumer->watched = consumer->metadata.version;
            consumer_kick(consumer);
            op_wake(&consumer->ready);
        }
        return op_park(op, &consumer->metadata.changed, OP_NO_KEY);
    case CONSUMER_WATCH_COUNT: break;
    }
    IMPOSSIBLE("step");
}

/* ---- life ----------------------------------------------------------------------------------- */

void consumer_config_default(struct consumer_config *config)
{
    *config = (struct consumer_config){
        .reset = CONSUMER_RESET_LATEST,
        .min_bytes = 1,
        .max_wait_ms = 500,
        .max_bytes = 50 * 1024 * 1024,
        .partition_max_bytes = 1024 * 1024,
        .buffer_bytes = 64 * 1024 * 1024,
        .request_timeout_ms = 30000,
        .partitions_max = 100000,
    };
    metadata_config_default(&config->metadata);
}

enum err consumer_init(struct consumer *consumer, struct env *env,
                       const struct consumer_config *config)
{
    enum err err;

    *consumer = (struct consumer){.env = env, .config = *config};
    consumer->config.metadata.peer.request_timeout_ms = config->request_timeout_ms;
    err = metadata_init(&consumer->metadata, env, &consumer->config.metadata);
    if (err != ERR_NONE) return err;
    op_source_init(&consumer->ready);
    op_source_init(&consumer->wake);
    list_init(&consumer->partitions);
    list_init(&consumer->leaving);
    list_init(&consumer->in_flight);
    list_init(&consumer->sessions_live);
    pool_init(&consumer->sessions, &env->mem, sizeof(struct consumer_session),
              config->metadata.nodes_max);
    pool_init(&consumer->fetches, &env->mem, sizeof(struct consumer_fetch),
              config->metadata.nodes_max);
    arena_init(&consumer->arena, &env->mem, CONSUMER_ARENA_MAX);
    op_start(&env->loop, &consumer->op, &consumer_kind, CONSUMER_START);
    op_start(&env->loop, &consumer->watch, &consumer_watch_kind, CONSUMER_WATCH_START);
    return ERR_NONE;
}

void consumer_close(struct consumer *consumer)
{
    if (consumer->closing) return;
    consumer->closing = true;
    consumer_kick(consumer);
}

bool consumer_closed(const struct consumer *consumer)
{
    return consumer->closing && !op_live(&consumer->op);
}

void consumer_deinit(struct consumer *consumer)
{
    ASSERT(consumer_closed(consumer));
    LIST_FOR_EACH_SAFE (link, after, &consumer->partitions)
        consumer_free(PARTITION(link));
    LIST_FOR_EACH_SAFE (link, after, &consumer->leaving)
        consumer_free(PARTITION(link));
    ASSERT(consumer->buffered == 0);
    consumer_session_end_all(consumer);
    pool_deinit(&consumer->sessions);
    pool_deinit(&consumer->fetches);
    arena_deinit(&consumer->arena);
    metadata_deinit(&consumer->metadata);
}

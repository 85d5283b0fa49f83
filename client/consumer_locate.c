/* Where a partition is to be read from: ListOffsets for a position by time, OffsetForLeaderEpoch to
 * validate one after a leader change. One attempt per op; the consumer starts the next. */
#include "client/consumer.h"

enum consumer_locate_step {
    CONSUMER_LOCATE_START,
    CONSUMER_LOCATE_ANSWERED,
    CONSUMER_LOCATE_STEP_COUNT
};
static const char *const consumer_locate_steps[CONSUMER_LOCATE_STEP_COUNT] = {
    [CONSUMER_LOCATE_START] = "START",
    [CONSUMER_LOCATE_ANSWERED] = "ANSWERED",
};

/* ---- by time -------------------------------------------------------------------------------- */

static void consumer_locate_ask_time(struct consumer_partition *partition)
{
    struct list_offsets_request *body = &partition->ask.offsets;
    struct list_offsets_request_topic *topic = &partition->ask_topic.offsets;
    struct list_offsets_request_partition *one = &partition->ask_partition.offsets;

    list_offsets_request_default(body);
    list_offsets_request_topic_default(topic);
    list_offsets_request_partition_default(one);
    body->replica_id = -1;
    body->isolation_level = partition->consumer->config.read_committed;
    body->topics = topic;
    body->topics_count = 1;
    topic->name = metadata_name(partition->topic);
    topic->partitions = one;
    topic->partitions_count = 1;
    one->partition_index = partition->index;
    one->current_leader_epoch = partition->topic->partitions[partition->index].leader_epoch;
    one->timestamp = partition->start.timestamp;
    call_init(&partition->locate_call, API_LIST_OFFSETS);
    partition->locate_call.body = body;
}

static void consumer_locate_take_time(struct consumer_partition *partition)
{
    struct consumer *consumer = partition->consumer;
    struct call *call = &partition->locate_call;
    struct list_offsets_response response;
    const struct list_offsets_response_partition *answer = NULL;
    enum err err = call->result;

    if (err == ERR_NONE)
        err =
            list_offsets_response_decode(&call->reader, call->version, &consumer->arena, &response);
    if (err == ERR_NONE) {
        if (response.topics_count == 1 && response.topics[0].partitions_count == 1)
            answer = &response.topics[0].partitions[0];
        err = answer != NULL ? err_from_wire(answer->error_code) : ERR_MALFORMED;
    }
    if (answer != NULL && err == ERR_NONE && answer->offset < 0 &&
        partition->start.timestamp >= 0) {
        /* Nothing is that young: what comes next will be. */
        partition->start.timestamp = CONSUMER_LATEST;
        consumer_kick(consumer);
    } else if (answer != NULL && err == ERR_NONE && answer->offset >= 0) {
        /* The epoch told is that of the offset, which need not be the record before it. */
        consumer_move(partition, answer->offset, -1, partition->reason);
    } else if (err_is_wire(err) && err != ERR_NONE && err_retry(err) == ERR_FINAL) {
        consumer_fail(partition, err);
    } else {
        consumer_retry(partition, API_LIST_OFFSETS, err);
    }
}

/* ---- by epoch ------------------------------------------------------------------------------- */

static void consumer_locate_ask_epoch(struct consumer_partition *partition)
{
    struct offset_for_leader_epoch_request *body = &partition->ask.epochs;
    struct offset_for_leader_epoch_request_topic *topic = &partition->ask_topic.epochs;
    struct offset_for_leader_epoch_request_partition *one = &partition->ask_partition.epochs;

    offset_for_leader_epoch_request_default(body);
    offset_for_leader_epoch_request_topic_default(topic);
    offset_for_leader_epoch_request_partition_default(one);
    body->replica_id = -1;
    body->topics = topic;
    body->topics_count = 1;
    topic->topic = metadata_name(partition->topic);
    topic->partitions = one;
    topic->partitions_count = 1;
    one->partition = partition->index;
    one->current_leader_epoch = partition->topic->partitions[partition->index].leader_epoch;
    one->leader_epoch = partition->position_epoch;
    call_init(&partition->locate_call, API_OFFSET_FOR_LEADER_EPOCH);
    partition->locate_call.body = body;
}

/* The logs part at `end`, which is below the position: records we were given are gone. */
static void consumer_locate_truncated(struct consumer_partition *partition, int64_t end,
                                      int32_t epoch)
{
    if (partition->consumer->config.reset == CONSUMER_RESET_NONE) {
        consumer_fail(partition, ERR_OFFSET_OUT_OF_RANGE);
    } else {
        consumer_move(partition, end, epoch, CONSUMER_MOVED_TRUNCATED);
    }
}

static void consumer_locate_take_epoch(struct consumer_partition *partition)
{
    struct consumer *consumer = partition->consumer;
    struct call *call = &partition->locate_call;
    int32_t asked_epoch = partition->ask_partition.epochs.current_leader_epoch;
    struct offset_for_leader_epoch_response response;
    const struct offset_for_leader_epoch_response_partition *answer = NULL;
    enum err err = call->result;

    if (err == ERR_NONE)
        err = offset_for_leader_epoch_response_decode(&call->reader, call->version,
                                                      &consumer->arena, &response);
    if (err == ERR_NONE) {
        if (response.topics_count == 1 && response.topics[0].partitions_count == 1)
            answer = &response.topics[0].partitions[0];
        err = answer != NULL ? err_from_wire(answer->error_code) : ERR_MALFORMED;
    }
    if (err == ERR_UNSUPPORTED_VERSION) { /* a broker without it: as before KIP-320 */
        partition->validated_epoch = asked_epoch;
        consumer_set_state(partition, CONSUMER_FETCHING);
    } else if (answer != NULL && err == ERR_NONE) {
        if (answer->end_offset < 0 || answer->leader_epoch < 0) {
            consumer_reset(partition, ERR_OFFSET_OUT_OF_RANGE);
        } else if (answer->end_offset < partition->position) {
            consumer_locate_truncated(partition, answer->end_offset, answer->leader_epoch);
        } else {
            partition->validated_epoch = asked_epoch;
            partition->failures = 0;
            consumer_set_state(partition, CONSUMER_FETCHING);
        }
    } else if (err_is_wire(err) && err_retry(err) == ERR_FINAL) {
        consumer_fail(partition, err);
    } else {
        consumer_retry(partition, API_OFFSET_FOR_LEADER_EPOCH, err);
    }
}

/* ---- the op --------------------------------------------------------------------------------- */

static void consumer_locate_take(struct consumer_partition *partition)
{
    struct consumer *consumer = partition->consumer;

    if (consumer->closing || partition->locate_moves != partition->moves) return;
    arena_reset(&consumer->arena);
    if (partition->locate_call.api == API_LIST_OFFSETS) {
        consumer_locate_take_time(partition);
    } else {
        consumer_locate_take_epoch(partition);
    }
    arena_reset(&consumer->arena);
}

static enum op_result consumer_locate_run(struct op *op)
{
    struct consumer_partition *partition = CONTAINER_OF(op, struct consumer_partition, locate);

    switch ((enum consumer_locate_step)op->step) {
    case CONSUMER_LOCATE_START:
        op_enter(op, CONSUMER_LOCATE_ANSWERED);
        __attribute__((fallthrough));
    case CONSUMER_LOCATE_ANSWERED:
        if (!call_done(&partition->locate_call))
            return op_park(op, &partition->locate_call.done, OP_NO_KEY);
        if (op_probing(op)) return OP_HOLDS;
        consumer_locate_take(partition);
        call_release(&partition->locate_call);
        partition->consumer->locates--;
        consumer_kick(partition->consumer);
        return OP_DONE;
    case CONSUMER_LOCATE_STEP_COUNT: break;
    }
    IMPOSSIBLE("step");
}
static const struct op_kind consumer_locate_kind = {"consumer.locate", consumer_locate_steps,
                                                    CONSUMER_LOCATE_STEP_COUNT, consumer_locate_run,
                                                    NULL};

void consumer_locate_start(struct consumer_partition *partition)
{
    struct consumer *consumer = partition->consumer;
    struct peer *peer = metadata_leader(&consumer->metadata, partition->topic, partition->index);

    if (peer == NULL || !peer_usable(peer)) return;
    if (partition->state == CONSUMER_LOCATING) {
        consumer_locate_ask_time(partition);
    } else {
        consumer_locate_ask_epoch(partition);
    }
    partition->locate_moves = partition->moves;
    partition->locate_call.timeout_ms = consumer->config.request_timeout_ms;
    consumer->locates++;
    op_start(&consumer->env->loop, &partition->locate, &consumer_locate_kind,
             CONSUMER_LOCATE_START);
    peer_call(peer, &partition->locate_call);
}

/* A producer of transactions that is its own coordinator: there is none in the cluster that would
 * end them. As one of Kafka's would (transactions.md 3.4, 4; KIP-890 part 2), it ends each
 * transaction with markers of the next epoch on every partition of its topic, so that nothing that
 * was still on its way can begin another one, and goes on in that epoch.
 *
 *   BEAT       time for the next transaction; its records are sent
 *   DELIVERED  all of them ended: if all were acknowledged it may commit, else it aborts
 *   MARKED     one partition after another, asked again until it has the marker
 *
 * It must not be killed: nobody would end what it left open. */
#include "sim/workload_private.h"

enum {
    TXN_ABORTS_PERCENT = 35,
    TXN_RETRY_MS = 100,
    TXN_TIMEOUT_MS = 5000,
    TXN_ARENA_MAX = 64 * 1024,
};

bool workload_txn(const struct workload_client *client)
{
    return client->kind == WORKLOAD_PRODUCER && client->scenario->transaction > 0;
}

bool workload_any_txn(const struct workload *workload)
{
    for (uint32_t i = 0; i < workload->count; i++)
        if (workload_txn(&workload->clients[i])) return true;
    return false;
}

enum txn_step { TXN_START, TXN_BEAT, TXN_DELIVERED, TXN_MARKED, TXN_BACKED_OFF, TXN_CLOSED };
static const char *const txn_steps[] = {"START",  "BEAT",       "DELIVERED",
                                        "MARKED", "BACKED_OFF", "CLOSED"};

/* The transaction of the producer's epoch: 0 begins, 1 commits, 2 aborts. */
static void txn_tell(struct workload_node *node, int64_t step)
{
    const struct producer *producer = &node->producer;

    TRACE(node->env.world, CLIENT_TXN, producer->identity.id, producer->identity.epoch, step);
}

static void txn_send(struct workload_node *node)
{
    node->txn_records = 0;
    for (uint32_t i = 0; i < node->client->scenario->transaction; i++) {
        if (!workload_producer_has_more(node) || !workload_producer_one(node)) break;
        node->txn_records++;
    }
    producer_flush(&node->producer);
    if (node->txn_records > 0) txn_tell(node, 0);
}

static bool txn_delivered(const struct workload_node *node)
{
    return node->producer.pending == 0;
}

/* Everybody who judges is told before a marker can be in a log. */
static void txn_decide(struct workload_node *node)
{
    struct producer *producer = &node->producer;
    struct unit_range percent = {0, 99};
    struct list *link;
    int64_t topic = producer->latest != NULL ? (int64_t)uuid_high(producer->latest->meta->id) : 0;

    node->txn_commit = workload_client_draw(node, DECIDE_CLIENT_TXN, percent) >= TXN_ABORTS_PERCENT;
    LIST_FOR_EACH (at, &node->done)
        if (LIST_ENTRY(at, struct producer_record, link)->outcome != PRODUCER_ACKED)
            node->txn_commit = false;
    while ((link = list_pop(&node->done)) != NULL) {
        struct producer_record *record = LIST_ENTRY(link, struct producer_record, link);

        if (record->partition >= 0) {
            TRACE(node->env.world, CLIENT_DECIDED, topic, record->partition, record->trace_value,
                  node->txn_commit);
        }
        pool_give(&node->records, record);
    }
    txn_tell(node, node->txn_commit ? 1 : 2);
    node->txn_marker = producer->identity;
    node->txn_partition = 0;
    producer_next_epoch(producer);
    if (producer->identity.id == node->txn_marker.id) node->txn_marker = producer->identity;
}

static bool txn_more(const struct workload_node *node)
{
    const struct producer *producer = &node->producer;

    return node->txn_marker.id >= 0 && producer->latest != NULL &&
           (uint32_t)node->txn_partition < producer->latest->meta->partitions_count;
}

static void txn_ask(struct workload_node *node)
{
    struct metadata *metadata = &node->producer.metadata;
    struct metadata_topic *topic = node->producer.latest->meta;
    struct peer *peer = metadata_leader(metadata, topic, node->txn_partition);

    write_txn_markers_request_default(&node->txn_body);
    write_txn_markers_request_marker_default(&node->txn_of);
    write_txn_markers_request_topic_default(&node->txn_topic);
    node->txn_body.markers = &node->txn_of;
    node->txn_body.markers_count = 1;
    node->txn_of.producer_id = node->txn_marker.id;
    node->txn_of.producer_epoch = node->txn_marker.epoch;
    node->txn_of.transaction_result = node->txn_commit;
    node->txn_of.coordinator_epoch = 0;
    node->txn_of.topics = &node->txn_topic;
    node->txn_of.topics_count = 1;
    node->txn_topic.name = metadata_name(topic);
    node->txn_topic.partition_indexes = &node->txn_partition;
    node->txn_topic.partition_indexes_count = 1;
    call_init(&node->txn_call, API_WRITE_TXN_MARKERS);
    node->txn_call.body = &node->txn_body;
    node->txn_call.timeout_ms = TXN_TIMEOUT_MS;
    if (peer != NULL) {
        peer_call(peer, &node->txn_call);
    } else {
        node->txn_call.finished = true;
        node->txn_call.result = ERR_LEADER_NOT_AVAILABLE;
    }
}

/* True: this partition has it. */
static bool txn_answered(struct workload_node *node)
{
    struct call *call = &node->txn_call;
    struct write_txn_markers_response response;
    enum err err = call->result;

    arena_reset(&node->txn_arena);
    if (err == ERR_NONE) {
        err = write_txn_markers_response_decode(&call->reader, call->version, &node->txn_arena,
                                                &response);
    }
    if (err == ERR_NONE && (response.markers_count != 1 || response.markers[0].topics_count != 1 ||
                            response.markers[0].topics[0].partitions_count != 1)) {
        err = ERR_MALFORMED;
    }
    if (err == ERR_NONE)
        err = err_from_wire(response.markers[0].topics[0].partitions[0].error_code);
    call_release(call);
    if (err == ERR_NONE) return true;
    TRACE(node->env.world, CLIENT_ERROR, API_WRITE_TXN_MARKERS, err,
          (int64_t)uuid_high(node->producer.latest->meta->id), node->txn_partition);
    metadata_refresh(&node->producer.metadata);
    return false;
}

static enum op_result txn_run(struct op *op)
{
    struct workload_node *o = CONTAINER_OF(op, struct workload_node, op);

    switch ((enum txn_step)op->step) {
    case TXN_START:
        arena_init(&o->txn_arena, &o->env.mem, TXN_ARENA_MAX);
        o->next_ns = o->env.now.mono.ns;
        while (!o->finishing) {
            op_deadline(op, workload_producer_has_more(o) ? o->next_ns : OP_NO_DEADLINE);
            AWAIT(o, TXN_BEAT, &o->wake, o->finishing || op_expired(op));
            op_deadline(op, OP_NO_DEADLINE);
            if (o->finishing) break;
            o->next_ns += o->beat_ns * o->client->scenario->transaction;
            txn_send(o);
            AWAIT(o, TXN_DELIVERED, &o->wake, txn_delivered(o));
            txn_decide(o);
            while (txn_more(o)) {
                txn_ask(o);
                AWAIT(o, TXN_MARKED, &o->txn_call.done, call_done(&o->txn_call));
                if (txn_answered(o)) {
                    o->txn_partition++;
                    continue;
                }
                op_deadline(op, env_deadline(&o->env, TXN_RETRY_MS));
                AWAIT(o, TXN_BACKED_OFF, NULL, op_expired(op));
                op_deadline(op, OP_NO_DEADLINE);
            }
        }
        producer_close(&o->producer, false);
        AWAIT(o, TXN_CLOSED, &o->producer.changed, producer_closed(&o->producer));
        arena_deinit(&o->txn_arena);
        producer_deinit(&o->producer);
        pool_deinit(&o->records);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a producer of transactions");
}

const struct op_kind workload_txn_kind = {"workload_txn", txn_steps, COUNT_OF(txn_steps), txn_run,
                                          workload_client_over};

/* Synthetic traces: events are given in any order and written by time. */
#ifndef TESTS_SUPPORT_TRACE_BUILDER_H
#define TESTS_SUPPORT_TRACE_BUILDER_H

#include "client/base/bytes.h"
#include "client/world/trace.h"

struct trace_builder_event;

struct trace_builder {
    struct trace_builder_event *events; /* owned */
    uint32_t count;
    uint32_t capacity;
    uint8_t *file; /* owned */
    int64_t topic;
    int64_t next_correlation;
};

void trace_builder_init(struct trace_builder *builder);
void trace_builder_free(struct trace_builder *builder);
/* The file's bytes, valid until the builder is freed or asked again. */
struct bytes trace_builder_finish(struct trace_builder *builder);

void trace_builder_add(struct trace_builder *builder, int64_t time_us, int32_t node,
                       enum trace_kind kind, const char *text, const int64_t *fields,
                       uint32_t field_count);
#define TELL(builder, time_us, node, KIND, text, ...)                     \
    trace_builder_add((builder), (time_us), (node), TRACE_##KIND, (text), \
                      (const int64_t[]){__VA_ARGS__},                     \
                      (uint32_t)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)))

/* A request that arrives, and its answer if answered_us > 0; a connection for each pair. */
struct trace_builder_call {
    int32_t from;
    int32_t to;
    int32_t api;
    int64_t sent_us;
    int64_t received_us;
    int64_t answered_us;
    int64_t replied_us;
    int64_t err;
};
void trace_builder_rpc(struct trace_builder *builder, struct trace_builder_call call);

/* A leader's crash, a new epoch, the truncation of the old leader's unacknowledged tail: brokers
 * 1 2 3, controller 101, client 201, "orders-0". */
void trace_builder_failover(struct trace_builder *builder, const char *topic);
/* Broker 2 cuts an acknowledged record and then leads: R17. */
void trace_builder_loss(struct trace_builder *builder);
/* Nothing but `records` records produced and replicated. */
void trace_builder_steady(struct trace_builder *builder, int64_t records);
/* As many reigns, a second each, brokers 1 to 3 in turn, ten records in each. */
void trace_builder_reigns(struct trace_builder *builder, int64_t reigns);
/* An election of three controllers and a change of the leader, without any broker. */
void trace_builder_quorum(struct trace_builder *builder);
/* The steady one with transactions in it: of producer 7 one commits, one aborts, one has a marker
 * in one of its two partitions only; what producer 8 began is lost with its leader. */
void trace_builder_txns(struct trace_builder *builder);

#endif

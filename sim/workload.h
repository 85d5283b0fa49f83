/* The clients of a scenario: each a simulated machine with the real producer, consumer or admin
 * client of client/ on it (workload_client.c); and what they have seen, counted from their trace.
 *
 *   admin     creates the topics, then is gone                    SCENARIO_ADMIN
 *   clients   produce and consume until they are told to finish   SCENARIO_FIRST_CLIENT ..
 *   drain     at the end: a fresh consumer reads every partition  behind the last client
 *
 * A value carries its name: client number << 32 | sequence, big-endian, then filler. Oracles judge
 * by it; so does lost_acked(). */
#ifndef SIM_WORKLOAD_H
#define SIM_WORKLOAD_H

#include "sim/cluster.h"

enum { WORKLOAD_CLIENTS_MAX = SCENARIO_CLIENTS_MAX + 2, WORKLOAD_ERRORS = 512 };

enum workload_kind { WORKLOAD_ADMIN, WORKLOAD_PRODUCER, WORKLOAD_CONSUMER, WORKLOAD_DRAIN };

struct workload_node; /* what stands in the region of a client machine */
struct workload;

/* What became of each record of a producer, by sequence. */
enum { WORKLOAD_BIT_ACKED = 1, WORKLOAD_BIT_DRAINED = 2 };

struct workload_client {
    struct sim_program program;
    struct workload *workload;
    enum workload_kind kind;
    const struct scenario_client *scenario; /* producer, consumer */
    uint32_t number;                        /* of the client in the scenario */
    struct sim_world *world;
    struct workload_node *node; /* while it is up */
    struct world_req finish;    /* an injected callback */
    bool finish_sent;
    bool finished; /* stopped in order */
    uint64_t sent;
    uint64_t acked;
    uint64_t failed; /* definitely, or perhaps */
    uint64_t read;
    uint32_t errors[WORKLOAD_ERRORS]; /* by enum err + 256 */
    uint8_t *records;
    uint32_t records_size;
    uint32_t turns;
};

struct workload {
    struct cluster *cluster;
    struct workload_client clients[WORKLOAD_CLIENTS_MAX]; /* admin, clients, drain */
    uint32_t count;
    char bootstrap[SCENARIO_BROKERS_MAX * 16];
    char problem[256]; /* a topic that cannot be created; "" */
    char lost_wakeup[160];
    int32_t lost_wakeup_node;
};

/* Adds the machines behind the cluster's nodes. */
struct workload *workload_create(struct cluster *cluster);
void workload_destroy(struct workload *workload);

void workload_create_topics(struct workload *workload);
bool workload_topics_created(const struct workload *workload);
void workload_start(struct workload *workload);
/* No new records; what was sent is delivered, then the producers are gone. Consumers go on. */
void workload_finish_producers(struct workload *workload);
bool workload_producers_finished(const struct workload *workload);
void workload_finish_consumers(struct workload *workload);
bool workload_consumers_finished(const struct workload *workload);
void workload_drain(struct workload *workload);
bool workload_drained(const struct workload *workload);

/* Whoever watches gives every trace event and every turn of a client here. */
void workload_traced(struct workload *workload, const struct sim_world *world,
                     const struct trace_event *event);
void workload_turned(struct workload *workload, const struct sim_world *world);

/* For conditions; client -1: all producers. */
int64_t workload_acked(const struct workload *workload, int32_t client);
int64_t workload_sent(const struct workload *workload, int32_t client);
int64_t workload_read(const struct workload *workload, int32_t client);
int64_t workload_errors(const struct workload *workload, int32_t client, int32_t err);
/* Acknowledged with an offset, and not found by the drain. */
int64_t workload_lost_acked(const struct workload *workload, int32_t client);
/* Bit mask of the machines' indexes. */
uint64_t workload_set(const struct workload *workload);

/* ---- workload_client.c ---- */
extern const struct sim_program workload_program;
void workload_client_finish(struct workload_node *node);
struct env *workload_client_env(struct workload_node *node);
/* A record's name from its bytes; -1: none of ours. */
int64_t workload_value(struct bytes value);

#endif

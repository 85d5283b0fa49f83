/* The clients of a scenario: each a simulated machine with the real producer, consumer or admin
 * client of client/ on it (workload_client.c); and what they have seen, counted from their trace.
 *
 *   admin     creates the topics, then is gone                    SCENARIO_ADMIN
 *   clients   produce and consume until they are told to finish   SCENARIO_FIRST_CLIENT ..
 *   drain     at the end: a fresh consumer reads every partition  behind the last client
 *   operator  does what steps ask of the cluster, one after the other; there when a step does
 *   crowd     members more of a group, behind all others and in no set: a set has 64 bits. They
 *             live as long as the run, and are judged as everybody else
 *
 * A value carries its name: client number << 32 | sequence, big-endian, then filler. Oracles judge
 * by it; so does lost_acked(). */
#ifndef SIM_WORKLOAD_H
#define SIM_WORKLOAD_H

#include "sim/cluster.h"

enum {
    WORKLOAD_CLIENTS_MAX = SCENARIO_CLIENTS_MAX + SCENARIO_HELPERS + SCENARIO_CROWD_MAX,
    WORKLOAD_ERRORS = 512,
    WORKLOAD_JOBS_MAX = 256, /* of the operator, in one run */
    WORKLOAD_IDS_MAX = 16,   /* brokers that one request names */
};

enum workload_kind {
    WORKLOAD_ADMIN,
    WORKLOAD_PRODUCER,
    WORKLOAD_CONSUMER,
    WORKLOAD_DRAIN,
    WORKLOAD_OPERATOR
};

/* One request of an administrator, asked for by a step. */
struct workload_job {
    const struct scenario_action *action;
    int step;
    uint32_t number; /* add_partitions: in all */
    int64_t before;  /* delete_records; -1: the high watermark */
    int32_t node;    /* who is to answer; -1: whoever is right */
    int32_t voter;   /* add_voter, remove_voter: its id */
    struct uuid directory;
    int32_t ids[WORKLOAD_IDS_MAX]; /* reassign: replicas; unregister: the first one */
    uint32_t ids_count;
    bool done;
    enum err result;
    char message[128];
};

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
    bool finished;          /* stopped in order */
    bool crowd;             /* in no set */
    bool off;               /* a step starts it, or has taken it away: nobody waits for it */
    struct world_req nudge; /* an injected callback: there is more to do */
    bool nudged;
    uint32_t extra; /* records to send besides the rate */
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
    uint32_t named; /* the first ones; behind them is the crowd */
    struct workload_job jobs[WORKLOAD_JOBS_MAX];
    uint32_t job_count;
    uint32_t job_next; /* the first that is not done */
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
/* A partition that the drain has not read to its end; untouched when there is none. */
void workload_unread(const struct workload *workload, char *text, size_t size);

/* The machine of one client of the scenario, as a bit; whether it runs. */
uint64_t workload_machine(const struct workload *workload, uint32_t number);
bool workload_up(const struct workload *workload, uint32_t number);
void workload_start_client(struct workload *workload, uint32_t number);
/* A group whose members steps have all taken away gets its first one back. */
void workload_restore_groups(struct workload *workload);
/* In order, or as a process that is gone; false: it does not run. */
bool workload_stop_client(struct workload *workload, const struct sim_world *world, bool in_order);
bool workload_produce(struct workload *workload, const struct sim_world *world, uint32_t records);
bool workload_finish_one(struct workload_client *client); /* an orderly stop begins */
/* NULL: too many. The caller fills it in, then calls workload_ask(). */
struct workload_job *workload_job(struct workload *workload);
void workload_ask(struct workload *workload);
/* Of a topic, with those that the operator has asked for and not heard of. */
uint32_t workload_partitions(const struct workload *workload, uint32_t topic);
/* Brokers that may get a replica by what the operator waits for. */
uint64_t workload_placements(const struct workload *workload);
/* Nodes that the operator has still to take out of the metadata. */
uint64_t workload_unregisters(const struct workload *workload);
/* What the operator could not do, as a sentence; "" when all was done. */
void workload_jobs_failed(const struct workload *workload, char *text, size_t size);

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
/* Those of one client and of its copies; -1: of all that are in the scenario. */
uint64_t workload_client_set(const struct workload *workload, int32_t client);

/* ---- workload_client.c ---- */
extern const struct sim_program workload_program;
void workload_client_finish(struct workload_node *node);
void workload_client_nudge(struct workload_node *node);
struct env *workload_client_env(struct workload_node *node);
/* workload_drain.c: what it has not read yet, as "t-0 was read up to 5 of 9" */
void workload_drain_unread(const struct workload_node *node, char *text, size_t size);

/* What a request of an administrator is counted as. */
enum sim_fault workload_fault(enum action_kind kind);

#endif

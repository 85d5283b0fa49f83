/* The nodes of a scenario: machines, their configuration, their directories, their lives.
 *
 *   cluster_create   machines, server.properties of each node -> config_parse()
 *   cluster_start    all are switched on; a new directory is formatted first, by the same code as
 *                    `gregor-broker format`, in a short life of its own
 *   crash, restart   a node that starts again runs node_start() on what its disk has kept
 *   cluster_stop     node_stop() from within a turn of the node
 *
 * Brokers are 1..B, controllers 101.., or both in one when combined. Indexes are those of the
 * simulator; clients come behind (workload.h). Everything here reads a node's memory only while it
 * is up, and changes none of it. */
#ifndef SIM_CLUSTER_H
#define SIM_CLUSTER_H

#include "broker/node.h"
#include "sim/node_world.h"
#include "sim/scenario/scenario.h"

enum {
    CLUSTER_NODES_MAX = SCENARIO_BROKERS_MAX + SCENARIO_CONTROLLERS_MAX,
    CLUSTER_BROKER_PORT = 9092,
    CLUSTER_CONTROLLER_PORT = 9093,
    CLUSTER_PROBE_TURNS = 64, /* a node's parked ops are probed after so many of its turns */
    CLUSTER_STOP_TIMER = 1,   /* the one of the node's environment goes with its world */
    CLUSTER_PROPERTIES_MAX = 16384,
};
/* Address space of a node's memory; pages come at first touch. */
#define CLUSTER_REGION_SIZE ((size_t)1 << 30)
#define CLUSTER_META_GLOB   "*meta.properties"

enum cluster_role { CLUSTER_BROKER = 1, CLUSTER_CONTROLLER = 2, CLUSTER_BOTH = 3 };

struct cluster;

struct cluster_node {
    struct sim_program program;
    struct cluster *cluster;
    struct sim_world *world;
    enum cluster_role role;
    int32_t id;
    bool formatted;
    bool format_began;             /* the next one goes on where this one ended */
    uint64_t format_errors;        /* that the disk had injected when it began */
    bool wiped;                    /* the next format is not its first */
    char directory[UUID_TEXT + 1]; /* of one of the first voters */
    bool disk_faulted;             /* may give up by itself */
    uint32_t mends; /* stops because of a directory that was offline in the liveness phase */
    struct sim_image *identity; /* owned: each meta.properties as a life has read it; NULL none */
    uint32_t identity_life;     /* in which that was */
    bool refused;               /* the last life: one of them was damaged */
    bool given_up;     /* it has waited in vain for a cluster that random faults kept from it */
    struct node *node; /* in its region; NULL while it is down or formats */
    struct node_format *format;
    struct world_req stop; /* an injected callback: an orderly stop begins */
    bool stop_sent;        /* in this life */
    uint32_t turns;
    struct sim_event boot_again; /* after the format */
    struct config config;
    char properties[CLUSTER_PROPERTIES_MAX];
};

struct cluster {
    struct sim *sim;
    const struct scenario *scenario;
    struct cluster_node *nodes; /* by index in the simulator */
    uint32_t count;
    char cluster_id[UUID_TEXT + 1];
    struct codecs *codecs;
    uint32_t partitions[SCENARIO_TOPICS_MAX]; /* as drawn for this run */
    uint32_t replicas[SCENARIO_TOPICS_MAX];
    bool topics_off[SCENARIO_TOPICS_MAX]; /* not created yet, or to be deleted */
    char problem[320];                    /* a node that did not start or stopped by itself; "" */
    int32_t problem_node;
    char lost_wakeup[160]; /* a parked op whose condition holds; "" */
    int32_t lost_wakeup_node;
};

/* NULL: a configuration that the nodes refuse, said in `error`. The simulator has no nodes yet. */
struct cluster *cluster_create(struct sim *sim, const struct scenario *scenario,
                               struct codecs *codecs, struct errmsg *error);
/* Offset and drift of a node's clock, as the scenario wants them. */
void cluster_draw_clock(struct sim *sim, const struct scenario *scenario,
                        struct sim_node_config *config);
void cluster_destroy(struct cluster *cluster);
void cluster_start(struct cluster *cluster);
bool cluster_ready(const struct cluster *cluster); /* every node is READY */
/* An orderly stop of one node that is up; it resumes when it was paused. */
void cluster_stop(struct cluster *cluster, uint32_t index);
/* For the next start of a node that is down. False: the nodes refuse it, nothing has changed. */
bool cluster_reconfigure(struct cluster *cluster, uint32_t index, const char *settings,
                         struct errmsg *error);
/* P7, of a node that is down. SAME: meta.properties survives; NEW: it is formatted again at its
 * next start; NONE: nobody formats it. */
enum cluster_identity { CLUSTER_SAME_IDENTITY, CLUSTER_NEW_IDENTITY, CLUSTER_NO_IDENTITY };
void cluster_wipe(struct cluster *cluster, uint32_t index, enum cluster_identity identity);
/* A node that would not start for its meta.properties gets back those of its last READY life; what
 * is known of them is forgotten when the disk becomes another one (cluster_identity.c). */
void cluster_identity_mend(struct cluster *cluster, uint32_t index);
void cluster_identity_forget(struct cluster_node *node);
void cluster_identity_turned(struct cluster_node *node);
bool cluster_down_set(const struct cluster *cluster, uint64_t nodes); /* all of them are down */

/* Bit masks of indexes. */
uint64_t cluster_brokers(const struct cluster *cluster);
uint64_t cluster_controllers(const struct cluster *cluster);
int cluster_index(const struct cluster *cluster, int32_t id); /* -1: no such node */
/* A node that has come up so far that its parts may be read; NULL otherwise. */
const struct node *cluster_node(const struct cluster *cluster, uint32_t index);

/* Whoever watches turns calls this after each. */
void cluster_turned(struct cluster *cluster, const struct sim_world *world);
/* Looks for a lost wake-up in one environment; false: there is one, in `what`. */
bool cluster_probe(struct env *env, char *what, size_t size);

/* ---- state, for conditions, convergence and reports (cluster_state.c) ---- */

/* What one node has of a partition; NULL: nothing, or it is down. */
const struct partition *cluster_replica(const struct cluster *cluster, uint32_t index,
                                        uint32_t topic, int32_t partition);
/* Index of the broker that leads with the highest epoch, by its own word; -1 none. */
int cluster_partition_leader(const struct cluster *cluster, uint32_t topic, int32_t partition);
/* Index of the active controller with the highest epoch; -1 none. */
int cluster_active_controller(const struct cluster *cluster);
/* Voters by the newest set that a running node counts by, in the log (KIP-853); 0: nobody tells. */
uint64_t cluster_voter_set(const struct cluster *cluster);
/* May what the voters of `set` have told be forgotten? Every other voter follows one leader in the
 * newest epoch, or is it, and has synced all that those have: nobody who lacks something can be
 * elected by a vote of theirs, nor in an epoch in which they have voted. */
bool cluster_quorum_spares(const struct cluster *cluster, uint64_t set);
/* The committed metadata that reaches furthest among the running nodes; NULL none. */
const struct image *cluster_image(const struct cluster *cluster);
/* Of the committed image; NULL: no such partition yet. */
const struct image_partition *cluster_partition(const struct cluster *cluster, uint32_t topic,
                                                int32_t partition);
uint64_t cluster_set(const struct cluster *cluster, struct image_ids ids);
int64_t cluster_log_end(const struct partition *part);

#endif

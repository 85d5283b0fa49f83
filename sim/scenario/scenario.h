/* One scenario as read from its file: what the cluster is, what is done to it, what must hold.
 * Plain data, never changed by a run; a campaign parses once and runs it many times. The language:
 * simulation.md 3, scenarios/README.md. */
#ifndef SIM_SCENARIO_SCENARIO_H
#define SIM_SCENARIO_SCENARIO_H

#include "sim/disk.h"
#include "sim/net.h"
#include "sim/scenario/expr.h"
#include "sim/scenario/fault_class.h"

enum {
    SCENARIO_BROKERS_MAX = 24,
    SCENARIO_CONTROLLERS_MAX = 9,
    SCENARIO_TOPICS_MAX = 16,
    /* Sets of machines are 64 bits: so many can be named. They are the brokers and controllers, the
     * clients, three helpers (sim/workload.h); and behind them a crowd that nothing names. */
    SCENARIO_NAMED_MAX = 64,
    SCENARIO_HELPERS = 3,
    SCENARIO_CLIENTS_MAX = 56,
    SCENARIO_CROWD_MAX = 64, /* in all */
    SCENARIO_MACHINES_MAX = SCENARIO_NAMED_MAX + SCENARIO_CROWD_MAX,
    SCENARIO_STEPS_MAX = 512, /* as many faults as a random run has */
    SCENARIO_EXPECTS_MAX = 32,
    SCENARIO_CONFIGS_MAX = 64,
    SCENARIO_REPLICAS_MAX = 16,
    SCENARIO_ACTIONS_MAX = 16, /* of one step */
    SCENARIO_TARGETS_MAX = 8,  /* selectors of one argument */
    SCENARIO_SEEDS_MAX = 1000000,
    SCENARIO_OFFS_MAX = 32,
};

struct scenario_config {
    const char *key;
    const char *value;
    int32_t node; /* -1: all nodes */
};

struct scenario_topic {
    const char *name;
    struct unit_range partitions;
    struct unit_range replicas;                /* how many, */
    int32_t assignment[SCENARIO_REPLICAS_MAX]; /* or which, of every partition */
    uint32_t assignment_count;
    struct scenario_config *configs;
    uint32_t config_count;
    bool swarm; /* config: {swarm: true}: more is drawn per run */
    bool late;  /* not there at the start: a step creates it */
};

/* What one node has of its own; otherwise it is as the cluster's. */
struct scenario_node {
    int32_t id;
    bool has_profile;
    enum sim_disk_profile profile;
    bool has_loss;
    struct sim_loss loss;
    bool has_skew;
    struct unit_range skew_ns;
    bool has_drift;
    struct unit_range drift_ppb;
};

enum scenario_client_kind { SCENARIO_PRODUCER, SCENARIO_CONSUMER };

/* Of a member of a group. */
enum scenario_protocol {
    SCENARIO_SPEAKS_CLASSIC,
    SCENARIO_SPEAKS_CONSUMER, /* that of KIP-848 */
    SCENARIO_SPEAKS_BOTH,     /* every other member */
    SCENARIO_SPEAKS_ROLLING,  /* each life speaks the other one than the life before */
};

struct scenario_client {
    enum scenario_client_kind kind;
    const char *name;
    uint32_t topics[SCENARIO_TOPICS_MAX];
    uint32_t topic_count;
    /* producer */
    int16_t acks;
    bool idempotent;
    struct unit_range rate; /* per 1,000 s */
    uint32_t batch;         /* records handed over together */
    int64_t records;        /* 0: until the safety phase ends */
    struct unit_range record_size;
    uint32_t keys;       /* distinct ones, in turn; 0: records have none */
    uint32_t tombstones; /* each so many-th record has no value; 0: all have */
    int64_t linger_ns;
    int64_t delivery_timeout_ns; /* 0: the default of the client */
    int32_t first_sequence;      /* of an idempotent producer: 0 as real ones, or near the wrap */
    uint32_t transaction;        /* records in each; 0: none. It ends them itself */
    int32_t copy_of;             /* the client that it is like; -1: it stands in the file */
    bool by_step;                /* a step starts it */
    /* consumer */
    const char *rack;       /* NULL: none */
    struct unit_range seek; /* ns between two moves of the position; 0: it never moves */
    /* consumer, as a member of a group */
    const char *group;    /* NULL: it reads everything by itself */
    const char *instance; /* static member; NULL: dynamic */
    int32_t group_number; /* in the names */
    uint32_t members;     /* machines, this one and copies */
    uint32_t crowd;       /* members more, on machines in no set: no step and no fault finds them */
    enum scenario_protocol protocol;
    int assignor;      /* of range roundrobin sticky cooperative-sticky */
    int64_t commit_ns; /* between automatic commits; 0: none but at the end */
    int64_t session_ns;
    int64_t poll_max_ns;    /* max.poll.interval.ms */
    struct unit_range work; /* ns between two polls; 0: none */
};

struct scenario_link {
    struct expr *from;
    struct expr *to;
    bool both;
};

struct scenario_value {
    bool set;
    struct expr *nodes[SCENARIO_TARGETS_MAX];
    uint32_t node_count;
    struct scenario_link links[SCENARIO_TARGETS_MAX];
    uint32_t link_count;
    bool all_links;
    struct unit_range quantity;
    int choice;
    bool truth;
    const char *text;
    int32_t topic; /* PARTITION, TOPIC: number in the scenario */
    int32_t partition;
    struct scenario_config *configs; /* CONFIGS */
    uint32_t config_count;
};

/* One action; or `{one_of: [...]}`, of which one is drawn when it is its turn. */
struct scenario_action {
    enum action_kind kind;          /* of a one_of: that of its first */
    struct scenario_action *one_of; /* array; NULL: a plain action */
    uint32_t one_of_count;
    struct scenario_value args[ACTION_ARGS_MAX];
    struct unit_range after;      /* delay, of a "then" */
    struct scenario_action *then; /* NULL: none */
};

enum scenario_trigger {
    SCENARIO_AT,
    SCENARIO_AFTER,
    SCENARIO_EVERY,
    SCENARIO_WHEN,
    SCENARIO_POINT, /* on: point GLOB #n */
    SCENARIO_DISK,  /* on: disk OP GLOB #n */
    SCENARIO_API,   /* on: api NAME #n from SET */
};

struct scenario_step {
    enum scenario_trigger trigger;
    struct unit_range time; /* AT, AFTER, EVERY */
    struct expr *when;
    const char *glob;  /* POINT: kinds of trace events; DISK: files */
    int disk_op;       /* DISK: in SCENARIO_DISK_OPS */
    int32_t api;       /* API */
    uint32_t nth;      /* POINT, DISK, API: so many matches make it fire */
    struct expr *node; /* POINT, DISK, API: where; NULL: anywhere */
    struct expr *from; /* API: who asks; NULL: anyone */
    int64_t hold_ns;
    int64_t within_ns; /* 0: none */
    uint32_t times;    /* 0: EVERY without end */
    struct expr *only_if;
    uint32_t chance; /* per million */
    bool parallel;
    bool optional;
    struct {
        int32_t var;
        struct expr *selector;
    } as[EXPR_VARS_MAX];
    uint32_t as_count;
    struct scenario_action *actions; /* array */
    uint32_t action_count;
    int line;
    const char *text; /* for people: "step 2 (line 20): crash" */
};

#define SCENARIO_DISK_OPS "write read sync open truncate rename unlink"

enum scenario_verdict { SCENARIO_HOLDS, SCENARIO_EVENTUALLY, SCENARIO_NEVER, SCENARIO_ALWAYS };

struct scenario_expect {
    enum scenario_verdict verdict;
    struct expr *condition;
    int64_t hold_ns;
    int64_t within_ns;   /* EVENTUALLY */
    struct expr *unless; /* NEVER: excuses; NULL: nothing does */
    bool at_end;         /* judged after the final drain */
    int32_t after_step;  /* armed when this step has fired; -1: from the start */
    int line;
    const char *text; /* the condition as written */
};

/* An oracle that does not judge, and why. */
struct scenario_off {
    const char *name; /* or id */
    const char *why;
};

enum scenario_core { SCENARIO_CORE_ALL, SCENARIO_CORE_RANDOM, SCENARIO_CORE_LIST };

struct scenario {
    struct store store;
    const char *file;
    const char *name;
    const char *about;
    bool canary; /* lies to the oracles when its seed divides by 100: it must be found out */
    const char **tags;
    uint32_t tag_count;
    uint64_t *seeds;
    uint32_t seed_count;

    int64_t stop_ns;
    uint64_t stop_events; /* 0: none */
    int64_t stop_wall_ns; /* 0: none */

    uint32_t controllers;
    uint32_t brokers;
    uint32_t voters; /* the first controllers; 0: all are configured (controller.quorum.voters) */
    bool combined;
    const char *racks[SCENARIO_BROKERS_MAX]; /* NULL: none */
    struct scenario_config *configs;
    uint32_t config_count;
    bool swarm_config; /* config: {swarm: true}: hostile values are drawn per run */
    struct sim_net_config net;
    enum sim_disk_profile disk_profile;
    struct sim_loss loss;
    struct unit_range skew_ns;
    struct unit_range drift_ppb;
    struct unit_range clock_step_ns; /* of each wall clock, once */
    struct unit_range coarse_ns;
    struct unit_range late_ns;
    bool free_cpu; /* cpu: free */
    struct scenario_node nodes[SCENARIO_BROKERS_MAX + SCENARIO_CONTROLLERS_MAX];
    uint32_t node_count;

    struct scenario_topic topics[SCENARIO_TOPICS_MAX];
    uint32_t topic_count;
    struct scenario_client clients[SCENARIO_CLIENTS_MAX];
    uint32_t client_count;
    struct unit_range mix; /* workload: {mix: standard}: so many clients are drawn; max 0: none */
    bool mix_groups;       /* {mix: groups} */
    struct fault_profile faults;
    struct scenario_step steps[SCENARIO_STEPS_MAX];
    uint32_t step_count;
    struct scenario_expect expects[SCENARIO_EXPECTS_MAX];
    uint32_t expect_count;

    bool operates; /* some step asks something of the cluster */
    bool liveness;
    int64_t converge_ns; /* 0: computed from the configured timeouts */
    enum scenario_core core;
    int32_t core_nodes[SCENARIO_BROKERS_MAX + SCENARIO_CONTROLLERS_MAX];
    uint32_t core_count;
    struct scenario_off offs[SCENARIO_OFFS_MAX]; /* invariants: off */
    uint32_t off_count;
    const char *onlys[SCENARIO_OFFS_MAX];
    uint32_t only_count;
    uint32_t every;      /* turns between two looks of the periodic checks; 0: as ever */
    int32_t loss_budget; /* replicas; -1: min.insync.replicas - 1 of each topic */

    struct expr_names names;
    /* {pick: [..]} and ranges of the cluster's shape are drawn once a run: a scenario that has some
     * is a pattern, read with the first choice everywhere; runs are of scenario_for_seed(). */
    bool varies;
    const char *source;
    size_t source_length;
};

/* From text; NULL with an error that says where. */
struct scenario *scenario_parse(const char *file, const char *text, size_t length,
                                struct yaml_error *error);
/* The same from a file. */
struct scenario *scenario_load(const char *path, struct yaml_error *error);
/* All defaults. */
struct scenario *scenario_empty(void);
/* What the seed makes of a pattern: a scenario without choices, to be destroyed; NULL with an error
 * when the choices do not go together. Of a scenario that does not vary: a copy. */
struct scenario *scenario_for_seed(const struct scenario *scenario, uint64_t seed,
                                   struct yaml_error *error);
/* YAML that scenario_parse() reads back to the same scenario; of a pattern: to the same pattern. */
void scenario_write(const struct scenario *scenario, const struct text_sink *sink);
/* One action, as it stands behind do: */
void scenario_write_action(const struct scenario_action *action, const struct expr_names *names,
                           const struct text_sink *sink);
void scenario_destroy(struct scenario *scenario);

/* The value of an argument by name; NULL when it was not given. */
const struct scenario_value *scenario_arg(const struct scenario_action *action, const char *name);
/* One action, as it would stand in a step; it lives as long as the scenario. NULL with an error. */
const struct scenario_action *scenario_action_parse(struct scenario *scenario, const char *text,
                                                    struct yaml_error *error);
/* The number of an oracle in check_list(), by its id or name; -1: none. */
int scenario_oracle(const char *word);
/* Clients that the cluster's size leaves names for; of all clients, how many are a crowd. */
uint32_t scenario_clients_room(const struct scenario *scenario);
uint32_t scenario_crowd(const struct scenario *scenario);
/* First controller, of a scenario that is not combined. */
enum { SCENARIO_FIRST_CONTROLLER = 101, SCENARIO_ADMIN = 1000, SCENARIO_FIRST_CLIENT = 1001 };

#endif

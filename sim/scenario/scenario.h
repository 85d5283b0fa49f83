/* One scenario as read from its file: what the cluster is, what is done to it, what must hold.
 * Plain data, never changed by a run; a campaign parses once and runs it many times. The language:
 * simulation.md 3, scenarios/README.md. */
#ifndef SIM_SCENARIO_SCENARIO_H
#define SIM_SCENARIO_SCENARIO_H

#include "sim/disk.h"
#include "sim/net.h"
#include "sim/scenario/expr.h"

enum {
    SCENARIO_BROKERS_MAX = 24,
    SCENARIO_CONTROLLERS_MAX = 9,
    SCENARIO_TOPICS_MAX = 16,
    SCENARIO_CLIENTS_MAX = 16,
    SCENARIO_STEPS_MAX = 64,
    SCENARIO_EXPECTS_MAX = 32,
    SCENARIO_CONFIGS_MAX = 64,
    SCENARIO_REPLICAS_MAX = 16,
    SCENARIO_ACTIONS_MAX = 16, /* of one step */
    SCENARIO_TARGETS_MAX = 8,  /* selectors of one argument */
    SCENARIO_SEEDS_MAX = 1000000,
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
};

enum scenario_client_kind { SCENARIO_PRODUCER, SCENARIO_CONSUMER };

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
    int64_t linger_ns;
    int64_t delivery_timeout_ns; /* 0: the default of the client */
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
};

struct scenario_action {
    enum action_kind kind;
    struct scenario_value args[ACTION_ARGS_MAX];
    struct unit_range after;      /* delay, of a "then" */
    struct scenario_action *then; /* NULL: none */
};

enum scenario_trigger { SCENARIO_AT, SCENARIO_AFTER, SCENARIO_WHEN };

struct scenario_step {
    enum scenario_trigger trigger;
    struct unit_range time; /* AT, AFTER */
    struct expr *when;
    int64_t hold_ns;
    int64_t within_ns; /* 0: none */
    uint32_t times;
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

enum scenario_verdict { SCENARIO_HOLDS, SCENARIO_EVENTUALLY, SCENARIO_NEVER, SCENARIO_ALWAYS };

struct scenario_expect {
    enum scenario_verdict verdict;
    struct expr *condition;
    int64_t hold_ns;
    int64_t within_ns;  /* EVENTUALLY */
    bool at_end;        /* judged after the final drain */
    int32_t after_step; /* armed when this step has fired; -1: from the start */
    int line;
    const char *text; /* the condition as written */
};

enum scenario_core { SCENARIO_CORE_ALL, SCENARIO_CORE_RANDOM, SCENARIO_CORE_LIST };

struct scenario {
    struct store store;
    const char *file;
    const char *text; /* all of it */
    const char *name;
    const char *about;
    uint64_t *seeds;
    uint32_t seed_count;

    int64_t stop_ns;
    uint64_t stop_events; /* 0: none */
    int64_t stop_wall_ns; /* 0: none */

    uint32_t controllers;
    uint32_t brokers;
    bool combined;
    const char *racks[SCENARIO_BROKERS_MAX]; /* NULL: none */
    struct scenario_config *configs;
    uint32_t config_count;
    struct sim_net_config net;
    enum sim_disk_profile disk_profile;
    struct sim_loss loss;
    struct unit_range skew_ns;
    struct unit_range drift_ppb;
    bool free_cpu; /* cpu: free */

    struct scenario_topic topics[SCENARIO_TOPICS_MAX];
    uint32_t topic_count;
    struct scenario_client clients[SCENARIO_CLIENTS_MAX];
    uint32_t client_count;
    struct scenario_step steps[SCENARIO_STEPS_MAX];
    uint32_t step_count;
    struct scenario_expect expects[SCENARIO_EXPECTS_MAX];
    uint32_t expect_count;

    bool liveness;
    int64_t converge_ns; /* 0: computed from the configured timeouts */
    enum scenario_core core;
    int32_t core_nodes[SCENARIO_BROKERS_MAX + SCENARIO_CONTROLLERS_MAX];
    uint32_t core_count;
    int32_t loss_budget; /* replicas; -1: min.insync.replicas - 1 of each topic */

    struct expr_names names;
};

/* From text; NULL with an error that says where. */
struct scenario *scenario_parse(const char *file, const char *text, size_t length,
                                struct yaml_error *error);
/* The same from a file. */
struct scenario *scenario_load(const char *path, struct yaml_error *error);
void scenario_destroy(struct scenario *scenario);

/* The value of an argument by name; NULL when it was not given. */
const struct scenario_value *scenario_arg(const struct scenario_action *action, const char *name);
/* First controller, of a scenario that is not combined. */
enum { SCENARIO_FIRST_CONTROLLER = 101, SCENARIO_ADMIN = 1000, SCENARIO_FIRST_CLIENT = 1001 };

#endif

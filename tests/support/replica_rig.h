/* Brokers reduced to what replication needs: log directory, image, manager, and a listener that
 * serves Fetch and ListOffsets through the real handlers. The controller is the test: a list of
 * metadata records, and on machine RIG_CONTROLLER a handler of AlterPartition that checks and adds
 * to it. Records reach a machine when the test publishes them there. */
#ifndef TESTS_SUPPORT_REPLICA_RIG_H
#define TESTS_SUPPORT_REPLICA_RIG_H

#include "tests/support/support.h"

#include "broker/node.h"
#include "sim/fault.h"

enum {
    RIG_MACHINES = 4,
    RIG_CONTROLLER = 3, /* index of the machine without replicas; ids are index + 1 */
    RIG_DIRS = 2,
    RIG_RECORDS = 64,
    RIG_IDS = 4,
};

enum rig_record_kind { RIG_BROKER, RIG_TOPIC, RIG_PARTITION, RIG_CHANGE, RIG_REMOVE, RIG_FENCE };

struct rig_record {
    enum rig_record_kind kind;
    int32_t id; /* of a broker; leader of a partition, -2: not changed */
    uint8_t topic;
    int32_t index;             /* of the partition */
    int32_t replicas[RIG_IDS]; /* end with 0; empty: not changed */
    int32_t isr[RIG_IDS];
};

struct replica_rig;

struct rig_machine {
    struct sim_program program;
    struct sim_world *world;
    struct replica_rig *rig;
    int32_t id;
    bool booted;
    bool down;
    struct node node; /* parts of it: env, config, cache, dir, replicas, broker_server */
    struct log_dir *dirs[RIG_DIRS];
    struct image image;
    uint32_t published;
    struct manager_links links;
    struct peer controller;
    uint64_t refused_at; /* that allocation of the start of its replicas, or of manager_apply() */
};

struct replica_rig {
    struct sim *sim;
    struct sim_observer observer;
    struct rig_machine machines[RIG_MACHINES];
    struct rig_record records[RIG_RECORDS];
    uint32_t count;
    /* the controller's own image */
    struct support_memory memory;
    struct image truth;
    enum err alter_refusal; /* the next AlterPartition is answered with this, once */
    uint32_t alters;        /* AlterPartition requests seen */
    uint64_t traced[TRACE_KIND_COUNT];
    uint32_t serial;
    bool second; /* set before a machine boots: it has two directories, "data" and "second" */
};

/* Fixture of a test: *state is a rig with seed 7. */
int replica_rig_setup(void **state);
int replica_rig_teardown(void **state);
#define WITH_RIG(test) \
    cmocka_unit_test_setup_teardown(test, replica_rig_setup, replica_rig_teardown)

void replica_rig_init(struct replica_rig *rig, uint64_t seed);
/* All machines that are up stop in good order, memory given back (asserted). */
void replica_rig_deinit(struct replica_rig *rig);
/* Boots, opens the directory, replays what was published, opens the logs, listens. */
void replica_rig_start(struct replica_rig *rig, uint32_t machine);
void replica_rig_kill(struct replica_rig *rig, uint32_t machine, bool power);
void replica_rig_stop(struct replica_rig *rig, uint32_t machine);

/* The controller's decisions; not known to any machine yet. */
void replica_rig_add(struct replica_rig *rig, const struct rig_record *record);
void replica_rig_publish(struct replica_rig *rig, uint32_t machine);
void replica_rig_publish_all(struct replica_rig *rig);
/* A configuration of the topic, known to this machine only. NULL: none any more. */
void replica_rig_config(struct replica_rig *rig, uint32_t machine, const char *key,
                        const char *value);

/* topic 1, 2 ..: its partition 0; NULL: not there. */
struct partition *replica_rig_part(struct replica_rig *rig, uint32_t machine, uint8_t topic);
struct partition *replica_rig_part_at(struct replica_rig *rig, uint32_t machine, uint8_t topic,
                                      int32_t index);
enum err replica_rig_append(struct replica_rig *rig, uint32_t machine, uint8_t topic, int16_t acks,
                            uint32_t records, struct partition_append *append);
/* Ends the turns of all machines for what the test did, and runs. */
bool replica_rig_until(struct replica_rig *rig, int64_t ms, bool (*done)(void *context),
                       void *context);
void replica_rig_run_ms(struct replica_rig *rig, int64_t ms);
/* For replica_rig_until(), of a rig: its first machine leads topic 1. */
bool replica_rig_leads(void *rig);
struct uuid replica_rig_topic_id(uint8_t topic);

#endif

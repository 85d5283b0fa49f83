/* The active controller over a quorum whose commits the test decides, and a world that only
 * listens. Every traced partition record moved its epochs by the rules (R36). */
#ifndef TESTS_SUPPORT_CONTROL_RIG_H
#define TESTS_SUPPORT_CONTROL_RIG_H

#include "tests/support/support.h"

#include "broker/controller/controller.h"

enum {
    CONTROL_LOG_MAX = 3000,
    CONTROL_CALLS = 16,
    CONTROL_PARTS_MAX = 256,
    CONTROL_HEARTBEAT_MS = 2000,
    CONTROL_SESSION_MS = 9000
};

struct control_entry {
    uint8_t *data; /* NULL: control record */
    uint32_t length;
    int32_t epoch;
};

struct control_part {
    int64_t topic, partition, leader_epoch, partition_epoch;
};

#define CONTROL_ELR_FEATURE "eligible.leader.replicas.version"

struct control_rig {
    struct region region;
    struct env env;
    struct world world;
    struct controller_quorum quorum;
    struct op_source hw_source;
    struct control_entry log[CONTROL_LOG_MAX];
    int64_t end, hw, epoch_start;
    int32_t leading;
    enum err append_fails;
    uint64_t fail_at; /* allocation of the next request */
    uint32_t resigned;
    struct loader loader;
    struct controller controller;
    struct arena arena;
    struct controller_call calls[CONTROL_CALLS];
    uint32_t calls_used;
    struct control_part parts[CONTROL_PARTS_MAX];
    uint32_t parts_count;
    uint32_t renounced, published;
    bool without_elr;       /* brokers that know no eligible leader replicas register */
    int64_t previous_epoch; /* that they say they have lost nothing of */
    struct loader_publisher publisher;
    union {
        struct broker_registration_request registration;
        struct broker_heartbeat_request heartbeat;
        struct delete_topics_request delete_topics;
        struct allocate_producer_ids_request producer_ids;
    } request;
    struct broker_registration_response registered;
    struct broker_heartbeat_response beat;
    struct create_topics_response created;
    struct delete_topics_response deleted;
    struct alter_partition_response altered;
    struct allocate_producer_ids_response allocated;
    struct incremental_alter_configs_response incremented;
    struct alter_configs_response replaced;
    struct create_partitions_response grown;
    struct elect_leaders_response elected;
    struct update_features_response updated;
    struct controller_registration_response known;
    int16_t metadata_min, metadata_max; /* that registering nodes know; 0: 17 to 23 */
    struct alter_partition_reassignments_response reassigned;
    struct list_partition_reassignments_response reassigning;
    struct unregister_broker_response unregistered;
};

/* Fixture of a test: *state is a rig. At its end the working image equals the committed one once
 * everything is committed (K22). */
int control_setup(void **state);
int control_teardown(void **state);

/* Nothing is left to do, no time passes. */
void control_run(struct control_rig *f);
void control_pass_ms(struct control_rig *f, int64_t ms);
/* The high watermark; what lies below is told to the loader. */
void control_commit_to(struct control_rig *f, int64_t hw);
void control_commit(struct control_rig *f);
/* The node leads, from an empty record on. */
void control_lead(struct control_rig *f, int32_t epoch);
/* Another leader: what was not committed is gone. */
void control_lose(struct control_rig *f);

/* Places the call and has it run. */
struct controller_call *control_submit(struct control_rig *f, struct controller_call call);

/* Requests; what begins with send is not committed yet. */
struct controller_call *control_send_register(struct control_rig *f, int32_t id,
                                              uint8_t incarnation);
int64_t control_join(struct control_rig *f, int32_t id, uint8_t incarnation);
struct controller_call *control_send_beat(struct control_rig *f, int32_t id, int64_t epoch,
                                          int64_t offset, bool shut_down);
void control_beat(struct control_rig *f, int32_t id);
int64_t control_epoch_of(struct control_rig *f, int32_t id);
/* A cluster of `count` unfenced brokers. */
void control_cluster(struct control_rig *f, int32_t count);
struct controller_call *control_send_create(struct control_rig *f, const char *name,
                                            int32_t partitions, int16_t factor);
enum err control_create(struct control_rig *f, const char *name, int32_t partitions,
                        int16_t factor);
/* Of the working image. */
const struct image_partition *control_part(struct control_rig *f, const char *name, int32_t index);
void control_fence(struct control_rig *f, int32_t id);
/* As administrators ask: what came of it. */
enum err control_increment(struct control_rig *f, int8_t type, const char *name, const char *key,
                           int8_t operation, struct str value);
enum err control_grow(struct control_rig *f, const char *name, int32_t count,
                      struct create_partitions_request_assignment *assignments, uint32_t given);
enum err control_elect(struct control_rig *f, int8_t type, const char *name, int32_t index);

#define CONTROL_TEST(name) cmocka_unit_test_setup_teardown(name, control_setup, control_teardown)

#endif

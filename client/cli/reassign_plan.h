/* A plan: which replicas each of some partitions is to have. The file is that of
 * kafka-reassign-partitions.sh:
 *
 *     {"version":1,"partitions":[
 *         {"topic":"t","partition":0,"replicas":[1,2],"log_dirs":["any","any"]}]}
 *     {"version":1,"topics":[{"topic":"t"}]}                       what to generate one for */
#ifndef CLIENT_CLI_REASSIGN_PLAN_H
#define CLIENT_CLI_REASSIGN_PLAN_H

#include "client/cli/cli.h"

enum { PLAN_PARTS_MAX = 10000, PLAN_REPLICAS_MAX = 64, PLAN_TOPICS_MAX = 10000 };

struct plan_part {
    char *topic; /* owned */
    int32_t partition;
    int32_t replicas[PLAN_REPLICAS_MAX];
    uint32_t count;
};

struct plan {
    struct plan_part *parts; /* by topic and partition */
    uint32_t count;
    char **topics; /* owned; of a file of topics */
    uint32_t topics_count;
};

/* Complains with file, line and column and says false. */
bool plan_read(struct plan *plan, const char *path);
bool plan_read_topics(struct plan *plan, const char *path);
void plan_free(struct plan *plan);
/* False: too many, or no memory. */
bool plan_add(struct plan *plan, struct str topic, int32_t partition, const int32_t *replicas,
              uint32_t count);
void plan_sort(struct plan *plan);
void plan_print(const struct plan *plan);
/* NULL: not in it. */
const struct plan_part *plan_find(const struct plan *plan, struct str topic, int32_t partition);

/* One broker that may hold replicas. */
struct plan_broker {
    int32_t id;
    struct str rack;
};
/* Replicas for `partitions` partitions of a topic, from its `start`-th broker on: leaders go round,
 * followers are shifted against them, racks take turns where all brokers have one. `brokers` is put
 * into another order. False: there are fewer brokers than replicas. */
bool plan_spread(struct plan *plan, struct str topic, uint32_t partitions, uint32_t factor,
                 struct plan_broker *brokers, uint32_t brokers_count, uint32_t start);

#endif

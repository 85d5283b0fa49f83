/* Where the replicas of a new partition go: Kafka's striped placement (replication.md 10).
 *
 * Racks sorted, the first one drawn; brokers of each rack sorted, the first one drawn. For each
 * partition replicas are taken round-robin over the racks, unfenced brokers before fenced ones,
 * the first replica always unfenced. Rack and brokers advance by one per partition; after as many
 * partitions as there are unfenced brokers everything is shuffled. No rack counts as one rack.
 * Pure: the generator is handed in. */
#ifndef BROKER_CONTROLLER_PLACEMENT_H
#define BROKER_CONTROLLER_PLACEMENT_H

#include "client/base/arena.h"
#include "client/base/bytes.h"
#include "client/base/err.h"
#include "client/base/rng.h"

struct placement_broker {
    int32_t id;
    struct str rack;
    bool fenced;
};

struct placement_order {
    uint32_t partitions;
    uint32_t replication_factor;
};

/* `brokers` (usable ones: none about to leave) are put into another order. *replicas: arrays of
 * replication_factor ids, one per partition, back to back, from the arena.
 * INVALID_REPLICATION_FACTOR; NO_MEMORY. */
MUST_USE enum err placement_place(struct placement_broker *brokers, uint32_t count,
                                  struct placement_order order, struct rng *rng,
                                  struct arena *arena, int32_t **replicas);

#endif

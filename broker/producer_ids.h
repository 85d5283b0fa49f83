/* Producer ids for this broker: blocks of 1000 from the controller (AllocateProducerIds), given out
 * one by one (KIP-98, KIP-730). A block that a crash interrupts is lost, never given out twice: the
 * next one begins above it (K26). */
#ifndef BROKER_PRODUCER_IDS_H
#define BROKER_PRODUCER_IDS_H

#include "broker/channel.h"
#include "broker/lifecycle.h"
#include "wire/allocate_producer_ids.h"

struct producer_ids {
    struct op_source source; /* ids came, or an attempt failed */
    uint64_t attempts;       /* that failed, ever */
    /* private */
    struct env *env;
    struct channel *channel;
    const struct lifecycle *lifecycle;
    int32_t broker_id;
    int64_t next;
    int64_t end; /* exclusive */
    struct op op;
    struct call call;
    struct arena arena;
    struct allocate_producer_ids_request request;
};

void producer_ids_init(struct producer_ids *ids, struct env *env, struct channel *channel,
                       const struct lifecycle *lifecycle, int32_t broker_id);
/* The next id; false: none left, a block has been asked for, `source` tells. */
bool producer_ids_take(struct producer_ids *ids, int64_t *id);
/* producer_ids_take() would succeed. No effect. */
bool producer_ids_ready(const struct producer_ids *ids);
/* No block is being asked for. */
bool producer_ids_idle(const struct producer_ids *ids);

#endif

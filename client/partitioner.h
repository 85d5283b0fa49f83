/* Which partition a record without an explicit one goes to (clients.md 2.3): a key by murmur2, as
 * every Java producer does, so that mixed producers agree. Pure. */
#ifndef CLIENT_PARTITIONER_H
#define CLIENT_PARTITIONER_H

#include "client/base/bytes.h"

int32_t partitioner_murmur2(struct bytes key);
/* Over all partitions, also those without a leader; count > 0. */
int32_t partitioner_for_key(struct bytes key, uint32_t count);

#endif

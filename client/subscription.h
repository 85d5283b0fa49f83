/* The bytes that members of protocol type "consumer" exchange through the coordinator, which does
 * not look into them (groups.md 9.1): what a member subscribes to and owns, and what the leader
 * assigns. Big endian, never flexible.
 *
 *   subscription  version | topics | user data | owned (v1) | generation (v2) | rack (v3)
 *   assignment    version | topic, partitions ... | user data
 *   user data of "sticky"              topic, partitions ... | generation (v1)
 *   user data of "cooperative-sticky"  generation
 *
 * Version 3 is written. Of a later one the fields known here are read, the tail is ignored. */
#ifndef CLIENT_SUBSCRIPTION_H
#define CLIENT_SUBSCRIPTION_H

#include "client/wire/wire.h"

enum { SUBSCRIPTION_VERSION = 3 };

struct subscription_topic {
    struct str name;
    int32_t *partitions;
    uint32_t partitions_count;
};

struct subscription {
    struct str *topics;
    uint32_t topics_count;
    struct bytes user_data; /* data NULL: none */
    struct subscription_topic *owned;
    uint32_t owned_count;
    int32_t generation; /* -1: none */
    struct str rack;    /* data NULL: none */
};

struct subscription_assignment {
    struct subscription_topic *topics;
    uint32_t topics_count;
    struct bytes user_data; /* data NULL: none; read, never written */
};

/* With a measuring writer first, as everywhere. */
void subscription_write(struct wire_writer *writer, const struct subscription *subscription);
void subscription_assignment_write(struct wire_writer *writer,
                                   const struct subscription_assignment *assignment);
void subscription_sticky_write(struct wire_writer *writer,
                               const struct subscription_assignment *owned, int32_t generation);

/* Views into `bytes`; arrays from the arena. ERR_MALFORMED, ERR_NO_MEMORY. */
MUST_USE enum err subscription_read(struct bytes bytes, struct arena *arena,
                                    struct subscription *subscription);
/* Empty bytes are an empty assignment. */
MUST_USE enum err subscription_assignment_read(struct bytes bytes, struct arena *arena,
                                               struct subscription_assignment *assignment);
/* Version 1, else version 0 (generation -1). */
MUST_USE enum err subscription_sticky_read(struct bytes bytes, struct arena *arena,
                                           struct subscription_assignment *owned,
                                           int32_t *generation);
MUST_USE enum err subscription_cooperative_read(struct bytes bytes, int32_t *generation);

#endif

/* The way from this node to the active controller: one peer per voter, and which of them leads as
 * far as the quorum knows. The voters may change (KIP-853): a leader that is new here is given the
 * peer of one who has not led for longest. What a caller asks there may be answered
 * NOT_CONTROLLER; it then backs off and asks channel_peer() again. */
#ifndef BROKER_CHANNEL_H
#define BROKER_CHANNEL_H

#include "broker/config.h"
#include "client/peer.h"

enum { CHANNEL_CALLS_MAX = 256, CHANNEL_BACKOFF_MS = 50 };

struct channel {
    struct env *env;
    uint32_t count;
    int32_t leader;                  /* -1: unknown */
    struct op_source changed;        /* the leader */
    int32_t ids[CONFIG_VOTERS_MAX];  /* -1: nobody's yet */
    uint64_t led[CONFIG_VOTERS_MAX]; /* when: by `reigns` */
    uint64_t reigns;
    struct peer peers[CONFIG_VOTERS_MAX];
};

MUST_USE enum err channel_init(struct channel *channel, struct env *env,
                               const struct config *config, struct str client_id, uint64_t seed);
void channel_deinit(struct channel *channel);
/* The quorum's word on who leads. Calls that wait for a controller before it fail, and are the
 * caller's to repeat. */
void channel_set_leader(struct channel *channel, int32_t leader, struct str host, uint16_t port);
/* The peer of the active controller; NULL while it is unknown. */
struct peer *channel_peer(struct channel *channel);
/* Closes all; true once every peer is closed (then `changed` is woken). */
void channel_close(struct channel *channel);
bool channel_closed(const struct channel *channel);

#endif

#include "broker/channel.h"

/* Voters that are not configured are as many as there can be. */
static uint32_t channel_room(const struct config *config)
{
    return config->voter_count > 0 ? config->voter_count : CONFIG_VOTERS_MAX;
}

enum err channel_init(struct channel *channel, struct env *env, const struct config *config,
                      struct str client_id, uint64_t seed)
{
    struct peer_config peer_config;
    enum err err = ERR_NONE;

    *channel = (struct channel){.env = env, .leader = -1};
    op_source_init(&channel->changed);
    peer_config_default(&peer_config);
    peer_config.client_id = client_id;
    peer_config.queued_max = CHANNEL_CALLS_MAX;
    peer_config.request_timeout_ms = (int32_t)config->request_timeout_ms;
    peer_config.limits.reserved = true;
    for (uint32_t i = 0; i < channel_room(config) && err == ERR_NONE; i++) {
        static const struct config_voter nobody = {.id = -1};
        const struct config_voter *voter = i < config->voter_count ? &config->voters[i] : &nobody;

        channel->ids[i] = voter->id;
        err = peer_init(&channel->peers[i], env, &peer_config, voter->id, str_of(voter->host),
                        voter->port, rng_stream(seed, (uint64_t)voter->id, 0));
        if (err == ERR_NONE) channel->count++;
    }
    return err;
}

void channel_deinit(struct channel *channel)
{
    for (uint32_t i = 0; i < channel->count; i++)
        peer_deinit(&channel->peers[i]);
}

/* The peer of this id, which may have moved, or the one that is given to it. */
static void channel_find(struct channel *channel, int32_t id, struct str host, uint16_t port)
{
    uint32_t at = 0;
    enum err err;

    for (uint32_t i = 0; i < channel->count; i++)
        if (channel->led[i] < channel->led[at]) at = i;
    for (uint32_t i = 0; i < channel->count; i++)
        if (channel->ids[i] == id) at = i;
    if (channel->ids[at] != id) {
        peer_drop(&channel->peers[at]);
        channel->ids[at] = id;
        channel->peers[at].node_id = id;
    }
    channel->led[at] = ++channel->reigns;
    err = peer_move(&channel->peers[at], host, port);
    if (err != ERR_NONE) channel->ids[at] = -1; /* as unknown as before */
}

void channel_set_leader(struct channel *channel, int32_t leader, struct str host, uint16_t port)
{
    if (channel->leader == leader) return;
    channel->leader = leader;
    if (leader >= 0 && port != 0) channel_find(channel, leader, host, port);
    /* A controller that lost its place may be dead: heartbeats that wait for it would be missed by
     * the new one, which fences after three intervals. Known once there is a new one. */
    if (leader >= 0) {
        for (uint32_t i = 0; i < channel->count; i++) {
            if (channel->ids[i] != leader) peer_drop(&channel->peers[i]);
        }
    }
    op_wake(&channel->changed);
}

struct peer *channel_peer(struct channel *channel)
{
    for (uint32_t i = 0; i < channel->count; i++) {
        if (channel->ids[i] == channel->leader) return &channel->peers[i];
    }
    return NULL;
}

void channel_close(struct channel *channel)
{
    for (uint32_t i = 0; i < channel->count; i++)
        peer_close(&channel->peers[i]);
}

bool channel_closed(const struct channel *channel)
{
    for (uint32_t i = 0; i < channel->count; i++) {
        if (channel->peers[i].state != PEER_CLOSED) return false;
    }
    return true;
}

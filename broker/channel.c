#include "broker/channel.h"

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
    for (uint32_t i = 0; i < config->voter_count && err == ERR_NONE; i++) {
        const struct config_voter *voter = &config->voters[i];

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

void channel_set_leader(struct channel *channel, int32_t leader)
{
    if (channel->leader == leader) return;
    channel->leader = leader;
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

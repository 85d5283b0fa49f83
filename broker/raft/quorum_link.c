/* The ways of the quorum to others: to each voter, to the bootstrap servers, to a leader that is in
 * no set we know, to who is about to be made a voter. A fixed number; one that is not needed any
 * more is given to another id and moves to its address. */
#include "broker/raft/quorum_internal.h"

#include "client/base/assert.h"

enum { QUORUM_FRAME_MAX = 16 << 20 };

static struct peer_config quorum_link_config(const struct quorum *quorum)
{
    struct peer_config config;

    peer_config_default(&config);
    config.client_id = STR("gregor-quorum");
    config.request_timeout_ms = quorum->config.request_timeout_ms;
    config.setup_timeout_ms = quorum->config.request_timeout_ms;
    config.setup_timeout_max_ms = quorum->config.request_timeout_ms;
    config.reconnect_backoff_ms = quorum->config.retry_backoff_ms;
    config.reconnect_backoff_max_ms = quorum->config.election_timeout_ms;
    config.idle_max_ms = 0;
    config.limits.frame_max = QUORUM_FRAME_MAX;
    config.limits.reserved = true;
    return config;
}

static enum err quorum_link_peers(struct quorum_link *link, int32_t id, struct str host,
                                  uint16_t port)
{
    struct quorum *quorum = link->quorum;
    struct peer_config config = quorum_link_config(quorum);

    for (uint32_t i = 0; i < QUORUM_PEERS; i++) {
        uint64_t seed = rng_u64(&quorum->rng);
        enum err err =
            peer_init(&link->peers[i], quorum->env, &config, id < 0 ? -1 : id, host, port, seed);

        if (err == ERR_NONE) continue;
        while (i > 0)
            peer_deinit(&link->peers[--i]);
        return err;
    }
    link->used = true;
    return ERR_NONE;
}

struct quorum_link *quorum_link_find(struct quorum *quorum, int32_t id)
{
    for (uint32_t i = 0; i < QUORUM_LINKS_MAX; i++)
        if (quorum->links[i].id == id && id != RAFT_NOBODY) return &quorum->links[i];
    return NULL;
}

static bool quorum_link_needed(const struct quorum *quorum, int32_t id)
{
    if (id <= RAFT_BOOTSTRAP(0) || quorum_voting_find(quorum, id) != NULL) return true;
    return quorum->changing != NULL && quorum->changing->member.id == id;
}

/* One that is free, or that nobody needs. */
static struct quorum_link *quorum_link_place(struct quorum *quorum)
{
    struct quorum_link *idle = NULL;

    for (uint32_t i = 0; i < QUORUM_LINKS_MAX; i++) {
        struct quorum_link *link = &quorum->links[i];

        if (link->id == RAFT_NOBODY) return link;
        if (!quorum_link_needed(quorum, link->id)) idle = link;
    }
    return idle;
}

/* Somebody else from here on: what was asked of the former one gets no answer. */
static void quorum_link_leave(struct quorum_link *link)
{
    for (uint32_t i = 0; i < RAFT_REQUESTS; i++)
        quorum_call_drop(&link->calls[i]);
    for (uint32_t i = 0; i < QUORUM_PEERS; i++)
        peer_drop(&link->peers[i]);
    link->foreign = false;
    link->id = RAFT_NOBODY;
}

static enum err quorum_link_move(struct quorum_link *link, struct str host, uint16_t port)
{
    enum err err = ERR_NONE;

    for (uint32_t i = 0; i < QUORUM_PEERS && err == ERR_NONE; i++)
        err = peer_move(&link->peers[i], host, port);
    return err;
}

struct quorum_link *quorum_link_make(struct quorum *quorum, int32_t id, struct str host,
                                     uint16_t port)
{
    struct quorum_link *link = quorum_link_find(quorum, id);

    if (link == NULL) {
        link = quorum_link_place(quorum);
        if (link == NULL) return NULL;
        if (link->id != RAFT_NOBODY) quorum_link_leave(link);
    }
    if (!link->used) {
        if (quorum_link_peers(link, id, host, port) != ERR_NONE) return NULL;
    } else {
        if (quorum_link_move(link, host, port) != ERR_NONE) return NULL;
        for (uint32_t i = 0; i < QUORUM_PEERS; i++)
            link->peers[i].node_id = id < 0 ? -1 : id;
    }
    link->id = id;
    return link;
}

void quorum_link_settle(struct quorum *quorum)
{
    const struct quorum_voting *voting = &quorum->voting;

    for (uint32_t i = 0; i <= voting->current.count; i++) {
        const struct quorum_member *member =
            i < voting->current.count ? &voting->current.members[i] : &voting->leader;

        if (member->id == quorum->config.node_id || member->id < 0) continue;
        if (i < voting->current.count && member->id == voting->leader.id) continue;
        /* What cannot be made now is made at the next change; until then nothing is sent. */
        (void)quorum_link_make(quorum, member->id, str_of(member->host), member->port);
    }
}

enum err quorum_link_init(struct quorum *quorum)
{
    const struct quorum_config *config = &quorum->config;

    quorum->links = mem_zalloc(&quorum->env->mem, QUORUM_LINKS_MAX * sizeof *quorum->links);
    if (quorum->links == NULL) return ERR_NO_MEMORY;
    quorum->nowhere.quorum = quorum;
    quorum->nowhere.id = RAFT_NOBODY;
    quorum_call_prepare(&quorum->nowhere);
    for (uint32_t i = 0; i < QUORUM_LINKS_MAX; i++) {
        quorum->links[i].quorum = quorum;
        quorum->links[i].id = RAFT_NOBODY;
        quorum_call_prepare(&quorum->links[i]);
    }
    quorum_link_settle(quorum);
    for (uint32_t i = 0; i < config->bootstrap_count; i++) {
        if (quorum_link_make(quorum, RAFT_BOOTSTRAP(i), config->bootstrap[i].host,
                             config->bootstrap[i].port) == NULL)
            return ERR_NO_MEMORY;
    }
    return ERR_NONE;
}

void quorum_link_deinit(struct quorum *quorum)
{
    if (quorum->links == NULL) return;
    for (uint32_t i = 0; i < QUORUM_LINKS_MAX; i++) {
        for (uint32_t p = 0; p < QUORUM_PEERS && quorum->links[i].used; p++)
            peer_deinit(&quorum->links[i].peers[p]);
    }
    mem_free(&quorum->env->mem, quorum->links, QUORUM_LINKS_MAX * sizeof *quorum->links);
    quorum->links = NULL;
}

void quorum_link_close(struct quorum *quorum)
{
    for (uint32_t k = 0; k < RAFT_REQUESTS; k++)
        quorum_call_drop(&quorum->nowhere.calls[k]);
    for (uint32_t i = 0; i < QUORUM_LINKS_MAX; i++) {
        struct quorum_link *link = &quorum->links[i];

        if (!link->used) continue;
        for (uint32_t k = 0; k < RAFT_REQUESTS; k++)
            quorum_call_drop(&link->calls[k]);
        for (uint32_t p = 0; p < QUORUM_PEERS; p++)
            peer_close(&link->peers[p]);
    }
}

struct peer *quorum_link_open_peer(struct quorum *quorum)
{
    for (uint32_t i = 0; i < QUORUM_LINKS_MAX; i++) {
        struct quorum_link *link = &quorum->links[i];

        for (uint32_t p = 0; p < QUORUM_PEERS && link->used; p++)
            if (link->peers[p].state != PEER_CLOSED) return &link->peers[p];
    }
    return NULL;
}

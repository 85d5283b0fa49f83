#include "broker/raft/quorum.h"

#include "broker/raft/quorum_internal.h"
#include "client/base/assert.h"
#include "client/wire/record_builder.h"

void quorum_config_default(struct quorum_config *config)
{
    *config = (struct quorum_config){.node_id = -1,
                                     .listener_name = STR("CONTROLLER"),
                                     .election_timeout_ms = 1000,
                                     .fetch_timeout_ms = 2000,
                                     .election_backoff_max_ms = 1000,
                                     .append_linger_ms = 25,
                                     .request_timeout_ms = 2000,
                                     .retry_backoff_ms = 20,
                                     .snapshot_bytes = 20 << 20,
                                     .snapshot_interval_ms = 3600000,
                                     .retention_bytes = 100 << 20,
                                     .retention_ms = INT64_C(604800000)};
}

/* The order of voters is the same everywhere: by id. What cannot be found is no voter. */
static enum err quorum_sort_voters(struct quorum_config *config)
{
    for (uint32_t i = 1; i < config->voter_count; i++) {
        for (uint32_t j = i; j > 0 && config->voters[j].id < config->voters[j - 1].id; j--) {
            struct quorum_voter voter = config->voters[j];

            config->voters[j] = config->voters[j - 1];
            config->voters[j - 1] = voter;
        }
    }
    for (uint32_t i = 0; i < config->voter_count; i++) {
        if (config->voters[i].id < 0) return ERR_BAD_CONFIG;
        if (config->voters[i].host.length > QUORUM_HOST_MAX) return ERR_BAD_CONFIG;
        if (i > 0 && config->voters[i].id == config->voters[i - 1].id) return ERR_BAD_CONFIG;
        if (config->voters[i].id != config->node_id || config->host.data != NULL) continue;
        config->host = config->voters[i].host;
        config->port = config->voters[i].port;
    }
    return ERR_NONE;
}

static void quorum_init_sources(struct quorum *quorum)
{
    op_source_init(&quorum->state_source);
    op_source_init(&quorum->leader_source);
    op_source_init(&quorum->hw_source);
    op_source_init(&quorum->applied_source);
    op_source_init(&quorum->fetch_source);
    op_source_init(&quorum->driver_source);
    op_source_init(&quorum->commit_source);
    op_source_init(&quorum->keep.source);
    op_source_init(&quorum->change_source);
    op_source_init(&quorum->join.source);
    list_init(&quorum->requests);
    list_init(&quorum->replies);
}

enum { QUORUM_ARENA = 64 << 10 }; /* one decoded answer of a voter; records are not copied */

enum err quorum_init(struct quorum *quorum, struct env *env, const struct quorum_config *config,
                     struct log *log, struct quorum_listener *listener)
{
    enum err err;

    if (config->voter_count > RAFT_VOTERS_MAX) return ERR_BAD_CONFIG;
    if (config->bootstrap_count > QUORUM_BOOTSTRAP_MAX) return ERR_BAD_CONFIG;
    *quorum = (struct quorum){.env = env,
                              .config = *config,
                              .log = log,
                              .listener = listener,
                              .leader = RAFT_NOBODY,
                              .append_epoch = -1,
                              .told_leader = RAFT_NOBODY,
                              .told_epoch = -1};
    quorum_init_sources(quorum);
    err = quorum_sort_voters(&quorum->config);
    if (err != ERR_NONE) return err;
    rng_init(&quorum->rng, dice_seed(env->world, DICE_TIMEOUTS));
    arena_init(&quorum->arena, &env->mem, QUORUM_ARENA);
    err = quorum_file_init(&quorum->file, env, config->dir, "quorum-state");
    if (err != ERR_NONE) return err;
    err = quorum_file_init(&quorum->hint_file, env, config->dir, "acknowledged-end");
    quorum->file.owner = &quorum->driver_source;
    quorum->hint_file.owner = &quorum->driver_source;
    quorum->effects = mem_zalloc(&env->mem, sizeof *quorum->effects);
    if (err == ERR_NONE && quorum->effects == NULL) err = ERR_NO_MEMORY;
    quorum_voting_init(quorum);
    if (err == ERR_NONE) err = quorum_link_init(quorum);
    if (err == ERR_NONE) return ERR_NONE;
    quorum_deinit(quorum);
    return err;
}

void quorum_start(struct quorum *quorum)
{
    ASSERT(quorum->state == QUORUM_IDLE);
    ASSERT(quorum->log->state == LOG_OPEN);
    quorum_driver_start(quorum);
}

void quorum_hasten(struct quorum *quorum)
{
    quorum->hasty = true;
    op_wake(&quorum->fetch_source);
}

void quorum_stop(struct quorum *quorum)
{
    ASSERT(quorum->state != QUORUM_IDLE);
    quorum->stop_wanted = true;
    op_wake(&quorum->join.source);
    quorum_driver_wake(quorum);
}

bool quorum_stopped(const struct quorum *quorum)
{
    return quorum->stop_wanted && !op_live(&quorum->driver.op) && !op_live(&quorum->commit.op) &&
           !op_live(&quorum->keep.op) && !op_live(&quorum->join.op) && quorum_over(quorum);
}

void quorum_deinit(struct quorum *quorum)
{
    ASSERT(quorum->state == QUORUM_IDLE || quorum_stopped(quorum));
    quorum_link_deinit(quorum);
    quorum_keep_deinit(quorum);
    quorum_file_deinit(&quorum->file);
    quorum_file_deinit(&quorum->hint_file);
    mem_free(&quorum->env->mem, quorum->effects, sizeof *quorum->effects);
    arena_deinit(&quorum->arena);
}

struct peer *quorum_leader_peer(struct quorum *quorum)
{
    struct quorum_link *link = NULL;

    if (!quorum_over(quorum) && !quorum->stop_wanted && quorum->leader != quorum->config.node_id)
        link = quorum_link_find(quorum, quorum->leader);
    return link != NULL ? &link->peers[QUORUM_PEER_VOTES] : NULL;
}

bool quorum_leader_address(const struct quorum *quorum, int32_t *id, struct str *host,
                           uint16_t *port)
{
    const struct quorum_member *member = quorum_voting_find(quorum, quorum->leader);

    if (quorum->leader == RAFT_NOBODY) return false;
    *id = quorum->leader;
    if (member != NULL) {
        *host = str_of(member->host);
        *port = member->port;
        return true;
    }
    if (quorum->leader != quorum->config.node_id || quorum->config.port == 0) return false;
    *host = quorum->config.host; /* leads on, until it is committed that it is no voter any more */
    *port = quorum->config.port;
    return true;
}

static enum err quorum_build(struct quorum *quorum, struct quorum_batch *batch,
                             const struct bytes *values, uint32_t count)
{
    struct record_builder_config config = record_builder_config_default(quorum->env->world->cpu);
    struct record_builder builder;
    size_t size = RECORD_BATCH_HEADER;

    for (uint32_t i = 0; i < count; i++) {
        size += record_builder_size_max(BYTES_NULL, values[i], NULL, 0);
        if (size > QUORUM_BATCH_MAX) return ERR_TOO_LARGE;
    }
    batch->buf = buf_take(&quorum->env->payload, size, true);
    if (batch->buf == NULL) return ERR_NO_MEMORY;
    config.base_offset = batch->base_offset;
    config.partition_leader_epoch = batch->epoch;
    record_builder_init(&builder, &config, batch->buf->data, size);
    for (uint32_t i = 0; i < count; i++) {
        enum err err = record_builder_append(&builder, quorum->env->now.wall.ms, BYTES_NULL,
                                             values[i], NULL, 0);

        ASSERT(err == ERR_NONE);
    }
    batch->bytes = record_builder_finish(&builder);
    return ERR_NONE;
}

enum err quorum_append(struct quorum *quorum, int32_t epoch, const struct bytes *values,
                       uint32_t count, int64_t *first_offset, int64_t *last_offset)
{
    uint32_t place = (quorum->batch_first + quorum->batch_count) % QUORUM_BATCHES_MAX;
    struct quorum_batch batch = {.base_offset = quorum->next_offset,
                                 .last_offset = quorum->next_offset + count - 1,
                                 .epoch = epoch};
    enum err err;

    ASSERT(count > 0);
    if (!quorum_leads(quorum, epoch)) return ERR_NOT_CONTROLLER;
    if (quorum->batch_count == QUORUM_BATCHES_MAX) return ERR_TOO_MANY;
    err = quorum_build(quorum, &batch, values, count);
    if (err != ERR_NONE) return err;
    if (quorum->batch_count == 0) {
        quorum->linger_until_ns = env_deadline(quorum->env, quorum->config.append_linger_ms);
    }
    quorum->batches[place] = batch;
    quorum->batch_count++;
    quorum->batch_bytes += batch.bytes.length;
    quorum->next_offset = batch.last_offset + 1;
    *first_offset = batch.base_offset;
    *last_offset = batch.last_offset;
    quorum_driver_wake(quorum);
    return ERR_NONE;
}

void quorum_drain(struct quorum *quorum)
{
    quorum->drain_wanted = true;
    quorum_driver_wake(quorum);
}

void quorum_resign(struct quorum *quorum, int32_t epoch)
{
    if (!quorum_leads(quorum, epoch)) return;
    quorum->resign_wanted = true;
    quorum->resign_epoch = epoch;
    quorum_driver_wake(quorum);
}

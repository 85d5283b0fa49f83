/* The directories of a node: log.dirs, and metadata.log.dir when it is none of them.
 *
 * The one with the metadata log comes first and must be there. Another one that cannot be read is
 * offline for this life, one without meta.properties is new and is formatted (a disk was
 * replaced); one of another cluster or node, or locked by somebody, ends the start. In the first
 * two cases `dirs_lossy` tells the manager that what it misses may have been promised: such a
 * replica is not begun anew while it counts as in sync (storage.md DF18). */
#include "broker/node_parts.h"

#include "client/base/text.h"

#include <string.h>

enum {
    NODE_FILES_READING = 256, /* files that reads, checkpoints and the quorum have open besides */
    NODE_FILES_FLOW = 2,      /* of a flow at once */
    NODE_FILES_MIN = 16,      /* segment files of a directory, however small the table is */
};

static uint32_t node_dirs_all(const struct config *config)
{
    for (uint32_t i = 0; i < config->log_dir_count; i++) {
        if (str_equal(str_of(config->log_dirs[i]), str_of(config->metadata_log_dir)))
            return config->log_dir_count;
    }
    return config->log_dir_count + 1;
}

/* The world's table of files, less what others need, is for segment files. */
static void node_share_files(const struct node *node, struct log_dir_limits *limits)
{
    uint32_t dirs = node_dirs_all(&node->config);
    uint32_t others = NODE_FILES_READING +
                      dirs * (limits->flows_max * NODE_FILES_FLOW + (uint32_t)LOG_FILES_CLOSING);
    uint32_t all = node->env.world->files_max;
    uint32_t left = all > others ? (all - others) / dirs : 0;

    if (limits->files_max > left) limits->files_max = left;
    if (limits->files_max < NODE_FILES_MIN) limits->files_max = NODE_FILES_MIN;
}

void node_dirs_init(struct node *node)
{
    const struct config *config = &node->config;
    struct log_dir_limits limits = log_dir_limits_default();

    node->dir_count = 0;
    node_share_files(node, &limits);
    limits.recovery_bytes = (uint32_t)config->gregor_recovery_bytes;
    for (uint32_t i = 0; i <= config->log_dir_count; i++) {
        struct log_dir *dir = &node->log_dirs[i];
        struct str path =
            str_of(i < config->log_dir_count ? config->log_dirs[i] : config->metadata_log_dir);

        if (i == config->log_dir_count && node->meta_dir != NULL) break;
        log_dir_init(dir, &node->env, &node->cache, path, &limits);
        dir->flush_check_ms = config->log_flush_scheduler_interval_ms;
        node->dirs[i] = dir;
        if (str_equal(path, str_of(config->metadata_log_dir))) node->meta_dir = dir;
        node->dir_count++;
        node_relay(node, &dir->state_source);
    }
    node->has_dir = true;
}

bool node_dirs_settled(const struct node *node)
{
    for (uint32_t i = 0; i < node->dir_count; i++) {
        if (log_dir_busy(&node->log_dirs[i])) return false;
    }
    return true;
}

void node_dirs_open(struct node *node, uint32_t at)
{
    struct log_dir *dir = &node->log_dirs[at];

    log_dir_open(dir, dir == node->meta_dir ? STR_NULL : node_cluster_id(node),
                 (int32_t)node->config.node_id);
}

uint32_t node_dirs_meta(const struct node *node)
{
    return (uint32_t)(node->meta_dir - node->log_dirs);
}

/* The directory id is drawn; so is the cluster id of a single node that nobody formatted. */
void node_dirs_format(struct node *node, uint32_t at)
{
    struct log_dir *dir = &node->log_dirs[at];
    struct log_dir_meta meta = {.node_id = (int32_t)node->config.node_id};
    struct rng rng;

    rng_init(&rng, dice_seed(node->env.world, DICE_IDENTITY));
    if (dir == node->meta_dir) {
        uuid_print(rng_uuid(&rng), meta.cluster_id);
    } else {
        memcpy(meta.cluster_id, node->meta_dir->meta.cluster_id, sizeof meta.cluster_id);
        node->dirs_lossy = true;
    }
    meta.directory_id = rng_uuid(&rng);
    log_dir_format(dir, &meta, false);
}

bool node_dirs_new(const struct node *node, uint32_t at)
{
    const struct log_dir *dir = &node->log_dirs[at];

    return (dir != node->meta_dir || node->format_alone) && dir->state == LOG_DIR_CLOSED &&
           dir->err == ERR_NOT_FOUND;
}

static bool id_taken(const struct node *node, const struct log_dir *dir)
{
    if (uuid_is_zero(dir->meta.directory_id)) return false; /* meta.properties of version 0 */
    for (uint32_t i = 0; i < node->dir_count; i++) {
        const struct log_dir *other = &node->log_dirs[i];

        if (other != dir && log_dir_online(other) &&
            uuid_equal(other->meta.directory_id, dir->meta.directory_id))
            return true;
    }
    return false;
}

/* One that is not the metadata's was opened, or was not. False: this node cannot start. */
bool node_dirs_take(struct node *node, uint32_t at)
{
    struct log_dir *dir = &node->log_dirs[at];
    char buffer[400];
    struct text text;

    if (log_dir_online(dir)) {
        if (!id_taken(node, dir)) return true;
        text_init(&text, buffer, sizeof buffer);
        text_format(&text, "%s: has the directory.id of another directory of this node", dir->path);
        node_fail(node, ERR_BAD_CONFIG, text_view(&text));
        return false;
    }
    if (dir->err == ERR_IO || dir->state == LOG_DIR_OFFLINE) {
        node->dirs_lossy = true;
        TRACE_TEXT(node->env.world, DIR_OFFLINE, str_of(dir->path), dir->err);
        TRACE_TEXT(node->env.world, NODE_WARNING, str_of(dir->message.text), dir->err);
        return true;
    }
    node_fail(node, dir->err, str_of(dir->message.text));
    return false;
}

bool node_dirs_any(const struct node *node)
{
    for (uint32_t i = 0; i < node->config.log_dir_count; i++) {
        if (log_dir_online(&node->log_dirs[i])) return true;
    }
    return false;
}

/* Of the broker epoch before: every directory must vouch for one (storage.md 2.10). They are told
 * one by one: a life that ended meanwhile was not unfenced yet, and the earliest epoch is that of
 * the life before, which the controller kept (cluster_control.c) if nothing was lost until then. */
int64_t node_dirs_previous_epoch(const struct node *node)
{
    int64_t epoch = node->meta_dir->previous_broker_epoch;

    for (uint32_t i = 0; i < node->dir_count; i++) {
        const struct log_dir *dir = &node->log_dirs[i];

        if (!log_dir_online(dir)) return -1;
        if (dir->previous_broker_epoch < epoch) epoch = dir->previous_broker_epoch;
    }
    return epoch;
}

void node_dirs_vouch(struct node *node)
{
    for (uint32_t i = 0; i < node->dir_count; i++)
        log_dir_vouch(&node->log_dirs[i], node->lifecycle.broker_epoch);
}

bool node_dirs_vouched(const struct node *node)
{
    for (uint32_t i = 0; i < node->dir_count; i++) {
        const struct log_dir *dir = &node->log_dirs[i];

        if (log_dir_online(dir) && !log_dir_vouched(dir)) return false;
    }
    return true;
}

void node_dirs_close(struct node *node)
{
    int64_t epoch = node->has_replicas ? node->lifecycle.broker_epoch : -1;
    bool read = !node->has_broker || (node->has_replicas && node->replicas.started);

    for (uint32_t i = 0; i < node->dir_count; i++) {
        struct log_dir *dir = &node->log_dirs[i];

        /* A life that was not registered has written nothing: what was so before it is so still. */
        dir->broker_epoch = epoch >= 0 ? epoch : dir->previous_broker_epoch;
        dir->unread = !read && !dir->was_clean;
        log_dir_close(dir); /* one that failed still has files open */
    }
}

bool node_dirs_closed(const struct node *node)
{
    for (uint32_t i = 0; i < node->dir_count; i++) {
        if (log_dir_online(&node->log_dirs[i])) return false;
    }
    return node_dirs_settled(node);
}

/* `refused`: read into a buffer, as the page cache had not all of it when it was asked. `missed`:
 * it had it then, and no more when the range left (client/world/world.h). */
void node_dirs_tell_ranges(const struct node *node)
{
    uint64_t told = 0, bytes = 0, refused = 0;

    for (uint32_t i = 0; i < node->dir_count; i++) {
        told += node->log_dirs[i].ranges_told;
        bytes += node->log_dirs[i].ranges_bytes;
        refused += node->log_dirs[i].ranges_missed;
    }
    if (told + refused == 0) return;
    TRACE(node->env.world, NODE_RANGES, (int64_t)told, (int64_t)bytes, (int64_t)refused,
          (int64_t)node->env.range_misses);
}

void node_dirs_deinit(struct node *node)
{
    for (uint32_t i = 0; i < node->dir_count; i++)
        log_dir_deinit(&node->log_dirs[i]);
}

/* All partitions of this broker: created, led, followed and removed as the committed metadata says
 * (manager_apply.c), and the flows that serve all of them: AlterPartition (manager_alter.c), the
 * ISR expiry, the checkpoint of high watermarks.
 *
 *   start:  manager_init .. manager_start(image up to the own registration record) .. started
 *   then:   manager_apply(image) after each image_apply() round, before image_mark()
 *   stop:   manager_stop .. stopped .. manager_deinit
 *
 * Nothing here is O(partitions) but start, stop, a directory that fails, and the ISR expiry, which
 * goes in slices. */
#ifndef BROKER_REPLICA_MANAGER_H
#define BROKER_REPLICA_MANAGER_H

#include "broker/log/log_clean.h"
#include "broker/log/log_patch.h"
#include "broker/replica/partition.h"
#include "broker/replica/quota.h"
#include "client/base/pool.h"
#include "client/base/rng.h"

struct config;
struct image;
struct image_topic;
struct peer;
struct call;
struct manager_move;

enum {
    MANAGER_DIRS_MAX = 8,
    MANAGER_FETCHERS_MAX = 256,  /* leaders followed at once */
    MANAGER_ALTER_MAX = 1000,    /* partitions of one AlterPartition request */
    MANAGER_EXPIRY_SLICE = 1000, /* leading partitions looked at per turn */
    MANAGER_ALTER_BACKOFF_MS = 50,
};

/* What the manager asks of the broker's life, given by the node. */
struct manager_links {
    /* Epoch of our registration; -1 before. Goes into fetches and AlterPartition (KIP-903). */
    int64_t (*broker_epoch)(struct manager_links *links);
    /* The active controller, or NULL while it is not known. Asked again for each attempt. */
    struct peer *(*controller)(struct manager_links *links);
    /* A log directory failed. May be NULL. */
    void (*dir_failed)(struct manager_links *links);
    /* The last log directory failed: the process ends. May be NULL. */
    void (*dirs_failed)(struct manager_links *links);
};

struct manager_limits {
    uint32_t partitions_max;
    uint32_t topics_max;
};
/* Ops alive at most, for env_limits.ops_max. */
uint32_t manager_ops_max(const struct manager_limits *limits);

struct manager_topic {
    struct map_node by_id;
    struct map_node by_name;
    struct uuid id;
    struct str name; /* owned */
    bool named;      /* in by_name: a recreated topic takes the name over at once */
    uint32_t hosted; /* partitions here */
    uint32_t dying;  /* partitions that left, not freed yet */
    bool deleted;
    uint32_t room;
    struct partition **partitions; /* by index; NULL: not hosted */
    bool configured;
    struct log_config config; /* once for all its partitions */
};

/* A flow of the manager. */
struct manager_op {
    struct op op;
    struct manager *manager;
    struct log_dir *dir; /* of a guard */
};

/* A directory that is not ours (any more) gets another name: T-P.xxxxxxxx-stray. */
struct manager_stray {
    struct op_source source;
    bool done;
    enum err err;
    /* private */
    struct manager *manager;
    struct log_dir *dir;
    struct disk_req req;
    int kind; /* enum manager_stray_kind */
    bool renamed;
    char name[LOG_NAME_MAX + 1];
    char from[LOG_PATH_MAX];
    char to[LOG_PATH_MAX];
};

/* Retention of one directory (manager_retain.c). */
struct manager_retain {
    struct op op;
    struct manager *manager;
    struct log_dir *dir;
    struct partition *part; /* pinned while looked at */
    struct log_sweep sweep;
    int64_t pass_ns; /* the next pass */
    int64_t deadline_ns;
    uint64_t checkpoint;
    uint32_t seen;
    uint32_t looks;
    bool rolled; /* its one roll of this pass */
    bool pending;
};

/* Compaction in one directory (manager_clean.c). */
struct manager_clean {
    struct op op;
    struct manager *manager;
    struct log_dir *dir;
    struct partition *part; /* pinned while looked at */
    struct partition *best; /* pinned: the one that needs it most */
    bool best_overdue;
    int64_t best_ratio;
    struct log_clean clean;
    struct op_source source; /* told to stop */
    uint32_t seen;
};

/* The scrub of one directory, and the repair of what it and readers find (manager_scrub.c). */
struct manager_scrub {
    struct op op;
    struct manager *manager;
    struct log_dir *dir;
    struct partition *part; /* pinned: the scrub stands in it */
    int64_t offset;         /* there */
    int64_t end;            /* of this pass, in this log */
    bool busy;              /* in a request: it may not be let go */
    uint64_t pass_bytes;    /* of closed segments, when the pass began */
    uint64_t slice;         /* bytes read last */
    struct log_read read;
    /* repair */
    struct partition *broken; /* pinned */
    int64_t again_ns;         /* not before */
    uint64_t notes;           /* of damage, seen */
    struct log_patch patch;
    struct call *call;
    struct arena arena;
    uint64_t repaired;
};

struct manager {
    struct env *env;
    const struct config *config;
    struct manager_links *links;
    int32_t broker;
    struct log_dir **dirs;
    uint32_t dirs_count;
    bool dirs_lossy;           /* set by the node: a directory failed or was new at this start */
    const struct image *image; /* committed; borrowed for life */
    struct list partitions;    /* struct partition, in order of creation; also dying ones */
    uint32_t partitions_count;
    bool started; /* every log assigned at start is open, or failed */
    bool stopped;
    struct op_source state_source; /* started, stopped */
    uint64_t alters_sent;
    struct quota leader_quota; /* KIP-73 */
    struct quota follower_quota;
    bool leader_held; /* the leaders' is used up (manager_quota.c) */
    /* private */
    struct manager_limits limits;
    struct isr_brokers brokers; /* over `image` */
    struct pool partition_pool;
    struct map topics;
    struct map topics_by_name;
    struct list leading; /* partitions in role LEADER */
    uint32_t leading_count;
    uint32_t opening; /* partitions of the start that are not open yet */
    uint64_t closes;  /* logs closed or deleted, ever: their names are free */
    struct op_source closed_source;
    struct map fetchers;   /* struct fetcher by leader id */
    struct list unfetched; /* followers for whom there was no memory, or whose leader is unknown */
    uint64_t seed;
    bool starting;
    bool stopping;
    bool refused;       /* there was no memory for a replica: again with the next checkpoint */
    enum err start_err; /* of manager_start() */
    /* manager_alter.c */
    struct list altering; /* partitions whose change waits to be sent */
    struct op_source alter_source;
    struct manager_alter *alter;
    /* manager_lost.c */
    struct manager_lost *lost;
    struct op_source lost_source;
    bool lost_look;
    uint32_t dir_load[MANAGER_DIRS_MAX]; /* partitions in each directory */
    struct manager_op expiry;            /* puts laggards out of in-sync sets */
    uint32_t expiry_left;                /* of the present round */
    struct manager_op checkpoint;
    struct manager_op strays;
    struct manager_op guards[MANAGER_DIRS_MAX]; /* watch for directories that fail */
    struct manager_retain retains[MANAGER_DIRS_MAX];
    struct manager_clean cleans[MANAGER_DIRS_MAX];
    struct manager_scrub scrubs[MANAGER_DIRS_MAX];
    struct manager_op quota;
    struct list held; /* partitions with a reader that was held back */
    struct op_source quota_source;
    struct op_source timer_source; /* expiry and checkpoint, at a stop */
    struct manager_stray *stray;
    uint32_t stray_dir;
    struct rng rng;
    struct manager_move *moves; /* one per directory: replicas that come to it */
    uint64_t moved;             /* replicas that did, ever */
};

MUST_USE enum err manager_init(struct manager *manager, struct env *env,
                               const struct config *config, struct manager_links *links,
                               struct log_dir **dirs, uint32_t dirs_count,
                               const struct manager_limits *limits);
void manager_deinit(struct manager *manager);
/* Directories are ONLINE. Opens the logs of all replicas assigned here, renames strays. AWAIT
 * state_source until started. NO_MEMORY: not all replicas are here, so the broker must not serve;
 * what they have on disk stays as it is. */
MUST_USE enum err manager_start(struct manager *manager, const struct image *image);
/* Some replica may have lost something, and the controller does not know it yet: state_source. */
bool manager_doubts(const struct manager *manager);
/* What changed in the image since its last mark. NO_MEMORY or TOO_MANY: some replicas could not be
 * created or changed; they stay NONE, and the error is traced. */
void manager_apply(struct manager *manager);
/* Orderly: waits answered, fetchers ended, logs closed (and so synced). AWAIT until stopped. */
void manager_stop(struct manager *manager);

/* ---- lookup, for handlers ---- */

/* UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION; NOT_LEADER_OR_FOLLOWER when it exists, but not
 * here. A replica that is not ready is found: its calls answer. */
MUST_USE enum err manager_find(const struct manager *manager, struct uuid topic_id, int32_t index,
                               struct partition **part);
MUST_USE enum err manager_find_by_name(const struct manager *manager, struct str topic,
                                       int32_t index, struct partition **part);
/* Leader by metadata (KIP-951), also of partitions that are elsewhere; -1, -1 unknown. */
void manager_leader(const struct manager *manager, struct uuid topic_id, int32_t index,
                    int32_t *leader, int32_t *leader_epoch);

/* The replica is to move to this directory (manager_move.c); to the one it is in: a move under way
 * ends. It is begun, not done. KAFKA_STORAGE_ERROR, REPLICA_NOT_AVAILABLE, NO_MEMORY. */
MUST_USE enum err manager_move(struct manager *manager, struct partition *part, uint32_t dir);
/* Where it moves to; MANAGER_DIRS_MAX: it does not. */
uint32_t manager_move_to(const struct partition *part);
/* The copy that grows there; NULL: not begun yet. */
const struct log *manager_move_copy(const struct partition *part);

/* For oracles and tests, in order of creation. */
static inline struct partition *manager_first(const struct manager *manager)
{
    return list_empty(&manager->partitions)
               ? NULL
               : LIST_ENTRY(manager->partitions.next, struct partition, link);
}
static inline struct partition *manager_next(const struct manager *manager,
                                             const struct partition *part)
{
    return part->link.next == &manager->partitions
               ? NULL
               : LIST_ENTRY(part->link.next, struct partition, link);
}

#endif

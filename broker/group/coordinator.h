/* The group coordinator of one broker: for every partition of __consumer_offsets that it leads, the
 * groups and offsets that live there (groups.md 1, 5, 7). One shard a hosted partition:
 *
 *              this broker leads: epoch E             all committed and read
 *     IDLE ------------------------------> LOADING ---------------------------> ACTIVE
 *      ^                                      |                                   |
 *      +---------------- the epoch passed, the replica leaves, a read failed -----+
 *
 * - Loading waits until the high watermark has passed what stood in the log when the epoch began,
 *   then reads up to there: what is served is committed. DIFFERS: Kafka reads to the log end and
 *   serves what may still be lost (groups.md 7).
 * - Offsets change when their record is committed, by the same code that loads (G17); a group's
 *   record is told to its state machine (group_written).
 * - A write not committed in offsets.commit.timeout.ms is answered COORDINATOR_NOT_AVAILABLE
 *   and takes effect when it is (groups.md 5.1).
 * - At the end of an epoch every waiting call and write is answered NOT_COORDINATOR.
 *
 * - A group is of the classic protocol, or has `consumer` and is one of KIP-848; its records change
 *   it when they are committed, and one batch of it is under way at a time (`busy`).
 *
 * Not here: offsets of transactions. */
#ifndef BROKER_GROUP_COORDINATOR_H
#define BROKER_GROUP_COORDINATOR_H

#include "broker/group/consumer_group.h"
#include "broker/group/group_log.h"
#include "broker/group/group_offsets.h"
#include "broker/replica/manager.h"

struct config;
struct image;

enum {
    COORDINATOR_SHARDS_MAX = 10000,  /* partitions of __consumer_offsets */
    COORDINATOR_GROUPS_MAX = 200000, /* of all shards */
    COORDINATOR_WRITES_MAX = 16384,  /* appended, not yet committed; of all shards */
    COORDINATOR_ARENA_MAX = 64 * 1024 * 1024,
    COORDINATOR_INFLATE_MAX = 16 * 1024 * 1024, /* a compressed batch of another broker */
    COORDINATOR_RETRY_MS = 500,                 /* a load that failed begins again */
};
#define COORDINATOR_TOPIC "__consumer_offsets"

enum coordinator_state { COORDINATOR_IDLE, COORDINATOR_LOADING, COORDINATOR_ACTIVE };

struct coordinator;
struct coordinator_shard;

/* A group, and what was committed for it. From a pool: handles cross waits. */
struct coordinator_group {
    struct map_node node; /* in the shard's groups, by id */
    struct heap_node timer;
    struct coordinator_shard *shard;
    struct group group;
    struct group_offsets offsets;
    bool deleting;                   /* DeleteGroups is under way: nothing else is done to it */
    struct consumer_group *consumer; /* owned; NULL: a classic group, or only offsets */
    bool busy;                       /* a batch of `consumer` is under way */
    bool held;                       /* busy, or a record of `group` is under way, as last noted */
    bool migrating;   /* that batch makes `consumer`: the classic group stands still */
    int64_t retry_ns; /* its timer's batch was refused: not before */
    char *id;         /* owned */
    uint32_t id_length;
};

enum coordinator_write_kind {
    COORDINATOR_WRITE_OFFSETS,  /* applied when committed */
    COORDINATOR_WRITE_GROUP,    /* told to the group when committed */
    COORDINATOR_WRITE_CONSUMER, /* applied when committed; then its group is not busy any more */
};

/* One batch on its way into the log. */
struct coordinator_write {
    struct list link; /* in the shard's writes, in order of offsets */
    enum coordinator_write_kind kind;
    struct partition_append append;
    struct buf *buf; /* counted: the batch */
    struct bytes batch;
    int64_t deadline_ns;
    struct handle group; /* GROUP, CONSUMER */
    uint64_t ticket;
    struct group_call *call; /* a JoinGroup that is answered once told; NULL: none */
    bool waited;             /* a request will call coordinator_write_release() */
    bool told;               /* err stands: committed, failed, or too late */
    bool ended;              /* out of the shard's list */
    enum err err;            /* as the client is told */
    struct op_source source;
};

struct coordinator_shard {
    struct op op;
    struct list link; /* in coordinator.shards */
    struct coordinator *coordinator;
    struct partition *part; /* pinned */
    int32_t index;
    enum coordinator_state state;
    int32_t epoch;
    uint64_t load; /* number of what is served, among all shards: for who waits */
    struct map groups;
    struct list writes;
    uint64_t begun; /* writes, ever */
    uint64_t ended;
    /* private */
    struct log_read read;
    int64_t at;
    int64_t target;
    enum err err; /* of the load */
};

struct coordinator {
    struct env *env;
    const struct config *config;
    struct manager *replicas;
    struct group_config group_config;
    struct consumer_group_config consumer_config;
    struct rng rng; /* member ids */
    struct list shards;
    struct coordinator_shard **by_index; /* of the present topic */
    uint32_t count;                      /* its partitions; 0: there is no topic */
    struct uuid topic_id;
    bool stopping;
    /* A write of some shard ended, a load is over, a group is held no more, or lives elsewhere. */
    struct op_source ended_source;
    /* private */
    const struct image *image;
    struct pool group_pool;
    struct pool write_pool;
    struct heap timers; /* groups by their next deadline */
    uint64_t timer_sequence;
    uint64_t loads; /* ever */
    struct op timer_op;
    struct op_source timer_source;
    bool timer_moved;
    struct op expire_op;
    struct op_source expire_source;
    bool topic_gone; /* a topic was deleted: the offsets are looked through now */
    uint64_t seed;
    struct arena arena; /* of one event */
};

void coordinator_init(struct coordinator *c, struct env *env, const struct config *config,
                      struct manager *replicas);
void coordinator_deinit(struct coordinator *c);
/* After manager_apply(), also before anything is led. */
void coordinator_apply(struct coordinator *c, const struct image *image);
/* Begins to stop; the shards end when the replicas do (manager_stop). */
void coordinator_stop(struct coordinator *c);
bool coordinator_stopped(const struct coordinator *c);

/* ---- for handlers ---------------------------------------------------------------------------- */

/* The shard that serves this group now. NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS. */
MUST_USE enum err coordinator_find(struct coordinator *c, struct str group,
                                   struct coordinator_shard **shard);
/* The same for a shard that was found before a wait. */
bool coordinator_serves(const struct coordinator_shard *shard, int32_t epoch);
/* NULL: there is none. */
struct coordinator_group *coordinator_group(const struct coordinator_shard *shard,
                                            struct str group);
void coordinator_join(struct coordinator_shard *shard, struct str group, struct group_join *join);
void coordinator_sync(struct coordinator_shard *shard, struct str group,
                      const struct group_sync *sync);
MUST_USE enum err coordinator_heartbeat(struct coordinator_shard *shard, struct str group,
                                        const struct group_who *who);
/* False: there is no such group; else errs has one for each. */
bool coordinator_leave(struct coordinator_shard *shard, struct str group,
                       const struct group_who *who, enum err *errs, uint32_t count);
/* May it commit? `no_group`: what a missing group with a generation is answered. */
MUST_USE enum err coordinator_commit(struct coordinator_shard *shard, struct str group,
                                     const struct group_who *who, enum err no_group);

/* Across a wait a shard is known by its `load`: epochs of two shards may be the same, a group may
 * come to another one (the topic grew), and one epoch may be loaded twice.
 *
 * Nothing of a group of KIP-848 is under way: AWAIT ended_source. */
bool coordinator_free(struct coordinator *c, struct str group);
/* No record of a classic group either, it may change sides; or the load is over: the same. */
bool coordinator_settled(struct coordinator *c, struct str group, uint64_t load);
/* ConsumerGroupHeartbeat, when it is settled. With *write the answer counts once that is told to be
 * committed: AWAIT write->source, release. coordinator_consumer.c */
void coordinator_beat(struct coordinator_shard *shard, struct str group,
                      struct consumer_group_beat *beat, struct arena *arena,
                      struct consumer_group_answer *answer, struct coordinator_write **write);

/* Tombstones of an empty group of either kind, but for its offsets. */
void coordinator_log_gone(const struct coordinator_group *cg, struct group_log *log);
/* Appends records; AWAIT write->source until write->told, then release. The error is as the client
 * is told. */
MUST_USE enum err coordinator_write(struct coordinator_shard *shard, const struct group_log *log,
                                    struct coordinator_write **write);
void coordinator_write_release(struct coordinator *c, struct coordinator_write *write);
/* Every write of the shard up to the number `begun` has ended, or its load is over. Shards
 * come and go across a wait: the group is looked up again. AWAIT ended_source. */
bool coordinator_drained(struct coordinator *c, struct str group, uint64_t load, uint64_t begun);
/* What log errors become for SyncGroup and OffsetCommit (groups.md 4.6, 5.1). */
enum err coordinator_append_error(enum err err);

/* ---- private --------------------------------------------------------------------------------- */

/* coordinator.c */
MUST_USE enum err coordinator_group_make(struct coordinator_shard *shard, struct str id,
                                         struct coordinator_group **made);
void coordinator_group_free(struct coordinator_group *cg);
/* Answers the calls, appends what is asked for, arms the timer; the group may be gone after. */
void coordinator_effects(struct coordinator_group *cg, struct group_effects *effects);
void coordinator_arm(struct coordinator_group *cg);
/* After whatever changed `busy` or the group: the only place that sets `held`. Requests wait for
 * groups to be let go, and are woken here. */
void coordinator_note(struct coordinator_group *cg);
/* After something ended: armed, or gone when nothing is left of it. */
void coordinator_settle(struct coordinator_group *cg);
void coordinator_shard_over(struct coordinator_shard *shard);
/* coordinator_shard.c */
void coordinator_shard_start(struct coordinator_shard *shard);
/* coordinator_write.c */
MUST_USE enum err coordinator_write_group(struct coordinator_group *cg, enum group_write write,
                                          uint64_t ticket);
MUST_USE enum err coordinator_write_consumer(struct coordinator_group *cg,
                                             const struct group_log *log,
                                             struct coordinator_write **write);
/* coordinator_expire.c */
void coordinator_expire_start(struct coordinator *c);
void coordinator_expire_kick(struct coordinator *c);
/* coordinator_consumer.c */
MUST_USE enum err coordinator_replay_consumer(struct coordinator_shard *shard,
                                              const struct group_log_read *read, bool live);
void coordinator_consumer_configure(struct consumer_group_config *to, const struct config *from);
void coordinator_consumer_free(struct coordinator_group *cg);
void coordinator_consumer_due(struct coordinator_group *cg);
struct consumer_group_step coordinator_step(const struct coordinator_shard *shard,
                                            const struct coordinator_group *cg, struct str group,
                                            struct arena *arena);
/* Its records, or those of the classic group that it goes back to. */
void coordinator_step_write(const struct consumer_group_step *step, struct group_log *log);
/* What the step came to, appended. The group is made for it when there is none. */
MUST_USE enum err coordinator_step_append(struct coordinator_shard *shard, struct str group,
                                          const struct group_log *log,
                                          struct coordinator_write **write);
/* coordinator_classic.c: members of the classic protocol in a group of KIP-848. */
void coordinator_classic_join(struct coordinator_group *cg, struct group_join *join);
void coordinator_classic_sync(struct coordinator_group *cg, const struct group_sync *sync);
MUST_USE enum err coordinator_classic_beat(struct coordinator_group *cg,
                                           const struct group_who *who);
void coordinator_classic_leave(struct coordinator_group *cg, const struct group_who *who,
                               enum err *errs, uint32_t count);
void coordinator_classic_told(struct coordinator_group *cg, struct coordinator_write *write);
/* coordinator_write.c: one batch of the log. `live`: it was just committed, the state machines are
 * ahead of it. */
MUST_USE enum err coordinator_replay(struct coordinator_shard *shard, struct bytes batches,
                                     bool live);
bool coordinator_writes_due(const struct coordinator_shard *shard); /* without effect */
void coordinator_writes_take(struct coordinator_shard *shard);
int64_t coordinator_writes_deadline(const struct coordinator_shard *shard);
void coordinator_writes_fail(struct coordinator_shard *shard); /* the epoch is over */

#endif

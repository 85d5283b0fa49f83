/* One replica of one partition on this broker: what it is, what it knows, and what it answers.
 *
 *                        log open, appends done          metadata: other leader
 *      (created) --> NONE ------------------> LEADER ----------------------------> FOLLOWER
 *                    ^ |  \                    | ^                                  |   |
 *                    | |   +--- log open ------|-|--------------------------------->+   |
 *                    | +--- I/O error --> OFFLINE <------------------------------------ +
 *                    +----- new leader epoch while appends are under way, deletion ----+
 *
 * NONE: known, but not acting: its log is being opened, appends of the previous epoch are under
 * way, or it is going away. The legal moves are one table, partition_set_role() the only setter.
 *
 * The high watermark has one setter (partition_set_high_watermark) with two callers: on a leader
 * partition_advance(), which asks isr_high_watermark(); on a follower
 * partition_follow_high_watermark(), the smaller of the leader's and the own log end.
 *
 * Handlers run to completion inside a turn and then wait on a source; what crosses a wait is a
 * pinned partition plus the leader epoch of the promise: a changed epoch or role ends every wait
 * (replication.md 3). */
#ifndef BROKER_REPLICA_PARTITION_H
#define BROKER_REPLICA_PARTITION_H

#include "broker/log/log.h"
#include "broker/replica/isr.h"

struct manager;
struct manager_topic;
struct manager_stray;
struct fetcher;
struct manager_move;

enum partition_role {
    PARTITION_NONE = TRACE_ROLE_NONE,
    PARTITION_FOLLOWER = TRACE_ROLE_FOLLOWER,
    PARTITION_LEADER = TRACE_ROLE_LEADER,
    PARTITION_OFFLINE = TRACE_ROLE_OFFLINE,
};

/* Where a follower stands with its leader (fetcher.h). */
enum partition_fetching {
    PARTITION_IDLE,         /* no fetcher: not a follower, or no leader */
    PARTITION_READY,        /* in the next fetch */
    PARTITION_BUSY,         /* appending or truncating what an answer asked for */
    PARTITION_DELAYED,      /* backs off after an error */
    PARTITION_OUT_OF_RANGE, /* the leader is asked for its offsets */
    PARTITION_PARKED,       /* fenced: until the metadata tells a new epoch */
};

/* For a move to another log directory (manager_move.c). */
enum partition_hold {
    PARTITION_FREE,
    PARTITION_HOLDING, /* it gives its role up, and lets what is under way end */
    PARTITION_HELD,    /* nothing touches the log but who holds it */
};

/* A wish to lie in another log directory, from the request until it is there or stays: few have
 * one (manager_move.c). */
struct partition_move {
    struct partition *part;
    struct manager_move *by; /* it is in its queue, or in its hands */
    struct list link;        /* in that queue */
    uint32_t wish;           /* index of the directory */
    enum partition_hold hold;
};

/* The part of a follower that only its fetcher needs: there are 100,000 that have none. */
struct partition_follow {
    struct partition *part;
    struct list changed_link; /* in fetcher.changed */
    int64_t delayed_until_ns;
    uint64_t request;      /* number of the fetch that named it last; 0: not in the session */
    uint64_t answered;     /* number of the last fetch that answered it */
    int32_t request_epoch; /* leader epoch of the fetch that named it */
    int32_t request_last_epoch;
    int64_t request_offset; /* and the rest */
    int64_t request_log_start;
    int64_t kept_start;     /* log start that a crash leaves, at least: a checkpoint has it */
    int64_t keeping_start;  /* one that a checkpoint under way will have, */
    uint64_t keeping_after; /* when so many are written; 0: none is */
    int64_t leader_hw;      /* of the answer being applied */
    int64_t told_hw;        /* of the last answer of this leader, in this epoch; -1: none yet */
    int64_t leader_log_start;
};

struct partition {
    struct manager *manager;
    struct str topic_name; /* borrowed from the manager's topic */
    struct uuid topic_id;
    uint64_t topic; /* uuid_high(topic_id), for traces */
    int32_t index;  /* partition number */
    enum partition_role role;
    int32_t leader;             /* by metadata; -1 none */
    int32_t leader_epoch;       /* by metadata: the role may still be NONE for it */
    int32_t partition_epoch;    /* version for AlterPartition */
    int32_t min_isr;            /* min.insync.replicas of the topic, not capped */
    int64_t leader_epoch_start; /* LEADER: log end when it began to lead this epoch */
    int64_t high_watermark;     /* exclusive; log_start <= high_watermark <= log_end */
    struct isr isr;
    struct log *log; /* NULL until opened; stays until the partition is freed */

    struct op_source
        hw_source; /* keyed by the high watermark; all when the role or epoch changes */
    struct op_source fetch_source; /* new data, high watermark, log start, role or epoch */
    struct op_source role_source;  /* role or leader epoch */
    struct op_source start_source; /* what the low watermark depends on; role or epoch */

    /* of a follower */
    struct fetcher *fetcher;
    struct partition_follow *follow; /* owned; NULL: no fetcher */
    struct list fetch_link;          /* in the fetcher's list of its state */
    enum partition_fetching fetching;
    uint32_t divergences; /* rounds of truncation in this epoch (R24) */
    int64_t held_cut;     /* a cut that damage below it did not let happen; -1 none */

    /* private */
    struct manager_topic *owner;
    struct manager_stray *stray; /* a directory of this name, but of another topic, moves away */
    struct op op;                /* opens, settles, watches and removes the log: partition_run() */
    struct op_source work;
    struct log_owner log_owner; /* of the log, once it is open (log_changed) */
    struct list watchers;       /* struct partition_watcher */
    struct list link;           /* in manager.partitions, in order of creation */
    struct list leading;        /* in manager.leading */
    struct list altering;       /* in manager.altering */
    struct list held;           /* in manager.held */
    uint32_t pins;
    uint32_t generation;      /* of the log's failures, last seen */
    int64_t seen_end;         /* log end last seen */
    int64_t caught_end;       /* LEADER: log end up to which isr_appended() was told */
    int64_t seen_synced;      /* durable mode: synced end last seen */
    uint64_t seen_closes;     /* manager.closes when its name was last found taken */
    bool opened;              /* its log is open, or failed */
    bool counted;             /* in manager.opening */
    bool settled;             /* the role follows the metadata */
    bool removing;            /* replica gone from here: the log is deleted */
    bool stopping;            /* orderly stop: the log is closed */
    bool gone;                /* removed or stopped: freed when no pin is left */
    bool alter_sent;          /* part of the AlterPartition in flight */
    bool missing;             /* its log was in a directory that is not there */
    bool damaged;             /* a batch is to be repaired: rather not lead */
    bool lost_told;           /* nobody can repair it: said once */
    bool eligible;            /* by metadata it may lead when nobody in sync is there (KIP-966) */
    bool doubtful;            /* what its open cut may have been more than a write cut short */
    bool take;                /* its directory has to take its name first (log_move.h) */
    bool throttled_leading;   /* what it serves to followers counts against the quota */
    bool throttled_following; /* what it fetches */
    uint8_t dir;              /* index of the log directory: MANAGER_DIRS_MAX */
    struct partition_move *move; /* owned; NULL: it stays where it is */
};
_Static_assert(sizeof(struct partition) <= 544, "an idle one takes 2 KiB with all it has");

static inline enum partition_hold partition_held(const struct partition *part)
{
    return part->move == NULL ? PARTITION_FREE : part->move->hold;
}

/* ---- lookup and life of a wait --------------------------------------------------------------- */

/* Keeps the struct (and part->log) alive across a wait. */
void partition_pin(struct partition *part);
void partition_unpin(struct partition *part);
/* Wakes `source` with the partition's fetch_source: for an op that waits on many partitions at
 * once. The partition is pinned by the caller as long as the watcher is linked.
 * With `tell` it needs no pin: that is called instead, and must unwatch (this watcher, no other)
 * when the partition is leaving. */
struct partition_watcher {
    struct list link;
    struct op_source *source;
    void (*tell)(struct partition_watcher *watcher); /* or NULL */
};
void partition_watch(struct partition *part, struct partition_watcher *watcher,
                     struct op_source *source);
void partition_unwatch(struct partition_watcher *watcher);

/* Removed, or the broker stops: whoever keeps a pin for long gives it back. role_source tells. */
bool partition_leaving(const struct partition *part);

/* Requests name the epoch of the leader they talk to; -1 names none. FENCED_LEADER_EPOCH,
 * UNKNOWN_LEADER_EPOCH, KAFKA_STORAGE_ERROR, NOT_LEADER_OR_FOLLOWER. */
MUST_USE enum err partition_check_leader(const struct partition *part, int32_t current_epoch);

/* ---- produce --------------------------------------------------------------------------------- */

/* One partition of a Produce request, embedded by the handler's op:
 *
 *     err = partition_append(part, buf, batch, acks, LOG_CLIENT, &p);
 *     acks=1:   AWAIT_KEY(o, APPENDED, &p->part->log->end_source, p->append.last_offset + 1,
 *                         partition_appended(&p) != ERR_REQUEST_TIMED_OUT || op_expired(op));
 *     acks=all: AWAIT_KEY(o, REPLICATED, &p->part->hw_source, p->append.last_offset + 1,
 *                         partition_replicated(&p) != ERR_REQUEST_TIMED_OUT || op_expired(op));
 *     err = partition_replicated(&p);  partition_append_end(&p);  */
struct partition_append {
    struct partition
        *part; /* pinned from a successful partition_append() to partition_append_end() */
    struct log_append append;
    int32_t leader_epoch;
    int64_t log_start;
    int16_t acks;
};
/* Staged, not yet written. NOT_LEADER_OR_FOLLOWER, NOT_ENOUGH_REPLICAS (acks -1 only),
 * KAFKA_STORAGE_ERROR, INVALID_REQUIRED_ACKS, and what log_append_as_leader() says. `batch` stands
 * in `buf` and is changed in place. */
MUST_USE enum err partition_append(struct partition *part, struct buf *buf, struct bytes batch,
                                   int16_t acks, enum log_origin origin,
                                   struct partition_append *append);
/* Without effect. ERR_REQUEST_TIMED_OUT as long as it is undecided; NONE; NOT_LEADER_OR_FOLLOWER
 * when the replica stopped leading that epoch; KAFKA_STORAGE_ERROR when the write failed;
 * NOT_ENOUGH_REPLICAS_AFTER_APPEND (partition_replicated: the record stays). */
enum err partition_appended(const struct partition_append *append);
enum err partition_replicated(const struct partition_append *append);
/* Unpins. Emits PRODUCE_ANSWERED with `err`: what the client is told. */
void partition_append_end(struct partition_append *append, enum err err);

/* ---- fetch ----------------------------------------------------------------------------------- */

/* One partition of a Fetch request, embedded in the handler's array:
 *
 *     partition_fetch(part, &f);                       checks, a follower's progress
 *     AWAIT(o, READ, &f->read.source, partition_fetch_read(&f));
 *     partition_fetch_finish(&f);                      f->err, f->read.slices / holds / bytes
 *     ... answer, holds go to the response ...
 *     partition_fetch_end(&f);                         releases read and pin
 *
 * A delayed fetch reads again with `delayed` set: a follower's progress is then not taken. */
enum {
    PARTITION_COPY = -3, /* up to the log end, as a follower, but says nothing of its progress: as
                            Kafka's FUTURE_LOCAL_REPLICA_ID */
};
struct partition_fetch { /* zeroed, then the first part filled */
    /* in */
    int32_t replica_id;    /* -1: a consumer; PARTITION_COPY */
    int64_t replica_epoch; /* broker epoch of the follower; -1 */
    int32_t current_epoch; /* of the leader, as the reader knows it; -1 */
    int64_t offset;
    int32_t last_fetched_epoch; /* -1 */
    int64_t log_start;          /* follower's; -1 */
    uint32_t max_bytes;
    bool first_whole; /* KIP-74: at least one batch, whatever its size */
    bool stable_only; /* read_committed */
    bool any_replica; /* a consumer that may read from a follower (KIP-392) */
    struct str rack;  /* its rack; length 0: none */
    bool delayed;
    /* out, after partition_fetch() */
    enum err err;
    int64_t high_watermark;
    int64_t last_stable;
    int64_t own_log_start;
    int64_t limit;                  /* exclusive: what this reader may read up to */
    struct log_epoch_end diverging; /* epoch >= 0 or end_offset >= 0: the follower diverged */
    bool diverged;
    bool throttled;    /* nothing was read: the leaders' quota of this broker is used up */
    int32_t preferred; /* a replica in the reader's rack, to be asked instead; -1: none */
    int32_t leader;    /* hint for NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH (KIP-951) */
    int32_t leader_epoch;
    /* out, after partition_fetch_finish() */
    struct log_read read;
    /* private */
    struct partition *part;   /* pinned while set */
    enum partition_role role; /* in which it was begun */
    bool starved;             /* its error is that no memory was free for the read */
    bool reading;
};
void partition_fetch(struct partition *part, struct partition_fetch *fetch);
static inline bool partition_fetch_read(const struct partition_fetch *fetch)
{
    return !fetch->reading || fetch->read.done;
}
/* Looks again: what was read under a leader epoch that has passed is not served (F7). */
void partition_fetch_finish(struct partition_fetch *fetch);
/* Once partition_fetch_read(). Harmless on one that was never started. */
void partition_fetch_end(struct partition_fetch *fetch);
/* What a reader like this one may see: a follower the log end, a consumer the high watermark or the
 * last stable offset. */
int64_t partition_fetch_limit(const struct partition *part, const struct partition_fetch *fetch);
/* May this replica serve this reader at all: partition_check_leader() for its kind.
 * OFFSET_NOT_AVAILABLE: a follower whose log is being cut. */
MUST_USE enum err partition_fetch_check(const struct partition *part,
                                        const struct partition_fetch *fetch);
/* Each fetch of this follower counts, also when nothing changed: it is to enter the in-sync set. */
bool partition_fetch_watched(const struct partition *part, const struct partition_fetch *fetch);
/* A follower out of sync that gets nothing now: the leaders' quota of this broker is used up. */
bool partition_fetch_throttled(const struct partition *part, const struct partition_fetch *fetch);
/* What was read goes out: counts against the quota, if it is a throttled replica's. */
void partition_fetch_served(struct partition *part, const struct partition_fetch *fetch);
/* Condition of a delayed fetch: reading again would show something: data below the reader's limit,
 * an error, a divergence. Without effect. `fetch` need not have been started. */
bool partition_fetch_ready(const struct partition *part, const struct partition_fetch *fetch);

/* ---- offsets --------------------------------------------------------------------------------- */

/* One partition of ListOffsets. */
struct partition_list {
    /* in */
    int64_t timestamp;     /* -1 latest, -2 earliest, -3 greatest timestamp, else a time */
    int32_t current_epoch; /* -1 */
    int32_t replica_id;    /* -1: a client */
    bool stable_only;
    /* out, when partition_list_done() */
    enum err err; /* also OFFSET_NOT_AVAILABLE (KIP-207) */
    int64_t offset;
    int64_t found_timestamp;
    int32_t leader_epoch; /* of the record at offset; -1 */
    /* AWAIT(o, LISTED, &list->lookup.source, partition_list_done(list)) */
    struct log_time_lookup lookup;
    /* private */
    struct partition *part; /* pinned while set */
    bool looking;
};
void partition_list(struct partition *part, struct partition_list *list);
static inline bool partition_list_done(const struct partition_list *list)
{
    return !list->looking || list->lookup.done;
}
void partition_list_finish(struct partition_list *list); /* decides; unpins */

/* OffsetForLeaderEpoch, of replicas and consumers; NONE with -1, -1 when the epoch is unknown. */
MUST_USE enum err partition_end_offset_for(const struct partition *part, int32_t current_epoch,
                                           int32_t epoch, struct log_epoch_end *end);

/* DeleteRecords: *offset (-1: the high watermark, told back) becomes the log start unless that is
 * higher already. NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR, OFFSET_OUT_OF_RANGE (above the high
 * watermark, R25), POLICY_VIOLATION (a log without retention). */
MUST_USE enum err partition_delete_records(struct partition *part, int64_t *offset);
/* Lowest log start of all replicas on live brokers; -1 while one of them has not told. Of a
 * leader. start_source tells when it may be another: log starts, the replicas, the brokers. */
int64_t partition_low_watermark(const struct partition *part);

/* First offset that a read_committed reader does not get. Without transactions: the high
 * watermark; it moves when that does, and only then. */
int64_t partition_last_stable(const struct partition *part);

/* ---- for the manager and the fetcher --------------------------------------------------------- */

/* What one metadata record (or several, coalesced) says of this replica. */
struct partition_state {
    int32_t leader;
    int32_t leader_epoch;
    int32_t partition_epoch;
    const int32_t *replicas;
    uint32_t replicas_count;
    const int32_t *isr;
    uint32_t isr_count;
    bool eligible; /* this replica is in the ELR (KIP-966) */
};
void partition_init(struct partition *part, struct manager *manager, struct str topic_name,
                    struct uuid topic_id, int32_t index, int32_t min_isr);
void partition_deinit(struct partition *part);
/* Starts the life of the log. */
void partition_start(struct partition *part);
/* An older partition epoch is ignored; an equal one is taken (it may overtake AlterPartition's
 * answer). NO_MEMORY: nothing changed. */
MUST_USE enum err partition_apply(struct partition *part, const struct partition_state *state);
void partition_remove(struct partition *part); /* and delete the log */
void partition_stop(struct partition *part);   /* and close the log */
void partition_go_offline(struct partition *part);
/* Eligible for all it had, though its open has cut the end of that while others are in sync: it is
 * told that it may have lost something, before this broker takes part (manager_lost.c). */
bool partition_doubted(const struct partition *part);
/* Offline for damage below what was promised, and nothing is promised any more: another replica
 * leads, and this one may not before it has caught up. Its log may be emptied and fetched anew. */
bool partition_forfeits(const struct partition *part);
/* Its log was: as after a start. */
void partition_begins_anew(struct partition *part);

/* A leader's high watermark may be able to move: after an append, a follower's progress, a change
 * of the ISR or of who is eligible. Nothing on others. */
void partition_advance(struct partition *part);
/* A follower applied an answer of its leader. */
void partition_follow_high_watermark(struct partition *part, int64_t leader_hw);
/* Cuts the log and the high watermark; `work` is done when the log is open again. */
void partition_truncate(struct partition *part, int64_t to);
/* truncateFullyAndStartAt (KAFKA-9491), with the producers that the leader has handed over, or
 * NULL. DAMAGED, NO_MEMORY (of these): nothing happened. */
MUST_USE enum err partition_reset(struct partition *part, int64_t at,
                                  const struct log_handover *handover);
/* An empty log takes the batch that holds its start (log_begins_with). */
void partition_begin_with(struct partition *part, int64_t base);
/* No append or truncation is under way; in durable mode all of it is synced. */
bool partition_quiet(const struct partition *part);
/* Puts members out that lag (manager's timer); starts the AlterPartition. */
void partition_expire_isr(struct partition *part);

/* AlterPartition's answer for this partition. */
struct partition_altered {
    enum err err;
    int32_t leader_epoch;
    int32_t partition_epoch;
    const int32_t *isr;
    uint32_t isr_count;
};
enum partition_after_alter { PARTITION_ALTER_OVER, PARTITION_ALTER_AGAIN };
enum partition_after_alter partition_altered(struct partition *part,
                                             const struct partition_altered *altered);

const char *partition_role_name(enum partition_role role);
bool partition_role_may(enum partition_role from, enum partition_role to); /* the table */
/* Asserts the invariants R1, R20 and those of the ISR. */
void partition_check(const struct partition *part);

#endif

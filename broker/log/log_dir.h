/* One entry of log.dirs: its lock, its identity, its checkpoints, its open files, its syncs.
 *
 *   .lock  meta.properties  .kafka_cleanshutdown  clean-state  .gregor_running
 *   recovery-point-offset-checkpoint  log-start-offset-checkpoint  replication-offset-checkpoint
 *   cleaner-offset-checkpoint
 *   T-P/ ...                                            (storage.md 1; clean-state is ours, H4)
 *
 *                  +--------------------------------------------------+
 *                  v                                                  |
 *     CLOSED --> OPENING --> ONLINE --> CLOSING -----------------> CLOSED
 *                   |           |          |
 *                   +-----------+----------+--> OFFLINE (an I/O error; until the process restarts)
 *
 * A flow (format, open, close, checkpoint) is started, then awaited on state_source. It never looks
 * into batches: that is log.h. */
#ifndef BROKER_LOG_LOG_DIR_H
#define BROKER_LOG_LOG_DIR_H

#include "broker/log/log_cache.h"
#include "client/base/map.h"
#include "client/base/pool.h"
#include "client/world/env.h"

struct log;
struct log_segment;
struct log_flow;

enum log_dir_state {
    LOG_DIR_CLOSED,
    LOG_DIR_OPENING,
    LOG_DIR_ONLINE,
    LOG_DIR_CLOSING,
    LOG_DIR_OFFLINE,
};

enum {
    LOG_PATH_MAX = 1000,       /* of any path below a root, terminator included */
    LOG_NAME_MAX = 255,        /* of a partition directory */
    LOG_SYNC_FILES = 256,      /* files of one sync round */
    LOG_FILES_CLOSING = 64,    /* segment files on their way out, besides those kept */
    LOG_WRITE_SLICES = 128,    /* of one gathered write */
    LOG_WRITE_BYTES = 8 << 20, /* of one gathered write */
    /* Unsynced bytes of one log that ask for a background sync: what a recovery after a power cut
     * may have to read again per log, besides the segment the recovery point lies in. */
    LOG_SYNC_BYTES = 16 << 20,
    LOG_SYNC_AGE_MS = 10000,  /* or unsynced that long, with the checkpoint right after */
    LOG_CHECKPOINT_MS = 5000, /* high watermarks, recovery points, log starts, when changed */
};

struct log_dir_limits {
    uint32_t logs_max;      /* partitions known to the directory */
    uint32_t files_max;     /* open segment files kept; flows and reads open one or two more each */
    uint32_t flows_max;     /* opens, rolls, truncations ... at once; others wait */
    uint32_t writes_max;    /* gathered writes in flight */
    uint32_t staged_max;    /* batches between append and completion */
    uint32_t producers_max; /* producer ids remembered per log; the idlest is forgotten */
    uint32_t index_bytes;   /* of indexes of closed segments kept in memory */
    uint32_t recovery_bytes; /* of one log between two marks; three times as many a directory */
};
struct log_dir_limits log_dir_limits_default(void);

/* What the directory remembers of a partition, open or not: the lines of the checkpoints, of an
 * open one as they were printed last. */
struct log_known {
    struct map_node node;   /* by name */
    struct log *log;        /* NULL: not open */
    int64_t recovery_point; /* -1: no line */
    int64_t log_start;
    int64_t high_watermark;
    int64_t cleaned;     /* first dirty offset of a compacted log; -1: never compacted */
    int64_t clean_end;   /* -1: no line in clean-state, or the marker does not vouch for it */
    int64_t clean_bytes; /* size of the active segment at the clean stop */
    bool listed;         /* its directory exists */
    bool moved;          /* T-P.U-moved exists, ready to take the name: log_move_id() says U */
    uint16_t name_length;
    char name[]; /* "orders-0", terminated */
};
_Static_assert(offsetof(struct log_known, name) + sizeof "a-topic-of-16-00" <= 128,
               "each partition has one: 192 is the next class");

/* meta.properties, version 1. */
struct log_dir_meta {
    char cluster_id[64]; /* terminated; usually 22 characters of base64 */
    int32_t node_id;
    struct uuid directory_id;
};

struct log_dir {
    struct env *env;
    struct log_cache *cache; /* node-wide; NULL: none */
    struct log_dir_limits limits;
    enum log_dir_state state;
    enum err err;          /* of the last flow, or why it is offline */
    struct errmsg message; /* the same for people */
    struct op_source state_source;
    struct log_dir_meta meta;
    bool was_clean; /* the stop before this start was orderly */
    /* Of the last incarnation, if nothing that it wrote can be missing: it stopped in order, or its
     * machine has run on since. -1: no telling (KIP-966). */
    int64_t previous_broker_epoch;
    int64_t broker_epoch; /* set by the owner: goes into the next clean marker */
    /* Set by the owner before it closes: not every log was opened since a stop that was not clean.
     * What a killed process left in the page cache is on no device yet: no marker, and the epoch
     * lasts as long as the machine runs. */
    bool unread;
    int64_t vouched_epoch; /* told by log_dir_vouch(), and written; -1: none */
    struct map known;      /* struct log_known in the order of first sight */
    uint32_t logs_open;
    char path[256];

    /* private */
    struct pool logs; /* open ones */
    struct pool files;
    struct pool flows;
    struct pool writes;
    struct pool staged;
    struct list file_lru;         /* open files, coldest first */
    struct op_source file_source; /* a file was opened, or could be now */
    struct list file_starved;     /* logs that wait for a place among the open files */
    bool files_short;             /* the world had none, not long ago */
    struct list flow_starved;     /* logs that wait for a flow */
    struct list write_starved;    /* logs that wait for a write */
    struct list sync_wanted;      /* logs whose files the next round syncs */
    struct list indexes;          /* of closed segments, in memory; the one to go first */
    size_t index_bytes;
    size_t sound_bytes;           /* of what was found sound (log_sound.c) */
    uint32_t ranged_files;        /* with ranges that are not sent */
    uint64_t ranges_told;         /* reads answered with a range */
    uint64_t ranges_bytes;        /* of these answers */
    uint64_t ranges_missed;       /* and with a buffer, as the page cache had not all of it */
    struct list exposed_logs;     /* logs that a recovery would read, the next to be marked first */
    uint64_t exposed;             /* bytes, of all of them */
    struct log_marker *marker;    /* sets marks; NULL: not now */
    struct list mark_starved;     /* logs whose writes wait for a mark */
    bool marks_paused;            /* the last one had no space or memory */
    struct log_sync_round *round; /* NULL: none was needed yet */
    struct env_flush sync_flush;
    struct log_dir_flow *flow;   /* format, open, close */
    struct log_dir_flow *keeper; /* writes checkpoints now and then */
    struct log_dir_flow *closer; /* taken at the open: a close needs no memory to stop the keeper */
    struct disk_file lock;
    uint32_t requests;   /* of this directory at the world, for the orderly close */
    int64_t vouch_epoch; /* wanted */
    bool vouch_again;    /* there was no space for it: tried now and then */
    bool checkpoint_dirty;
    bool checkpoint_now;
    bool checkpoint_busy;
    bool checkpoint_unsure; /* the last one is not written: the files may say what was so before */
    struct op_source trash_source; /* something to sweep later */
    struct list trash;             /* struct log_trash: files that go, the first due first */
    struct list trash_taken;       /* those that a sweep is at */
    struct list moved;             /* struct log_moved: one per log_known that says so */
    struct list copied;            /* struct log_copied: logs that are being copied */
    uint64_t checkpoints_written;
    uint64_t forgotten;       /* partitions so far whose lines are to go from the checkpoints, */
    uint64_t forgotten_saved; /* and have gone */
    int64_t flush_check_ms;   /* log.flush.scheduler.interval.ms; LOG_CHECKPOINT_MS at most */
    uint32_t damaged;         /* logs with damage that a read found */
    uint64_t damage_notes;    /* how often a read found any */
    struct op_source damage_source; /* that, or another state */
    bool cleaned_any;               /* some log has a line in cleaner-offset-checkpoint */
    struct op_source checkpoint_source;
};

/* `path`: copied. Nothing is touched yet. */
void log_dir_init(struct log_dir *dir, struct env *env, struct log_cache *cache, struct str path,
                  const struct log_dir_limits *limits);
/* After CLOSED or OFFLINE with all logs closed: everything went back to the pools (asserted). */
void log_dir_deinit(struct log_dir *dir);

/* Makes the directory (and its parent's entry) and writes meta.properties durably. Refuses one that
 * has a meta.properties (EXISTS); with `keeps` only one of another node or cluster. Ends CLOSED
 * with err. */
void log_dir_format(struct log_dir *dir, const struct log_dir_meta *meta, bool keeps);
/* Locks, checks the identity, reads and removes the clean marker, reads the checkpoints, lists the
 * partitions (dir->known, `listed`), removes "-delete" directories. Ends ONLINE, or CLOSED with err
 * and a message: not formatted (NOT_FOUND), foreign cluster, foreign node, locked, unreadable.
 * A null cluster id takes whichever the directory has.
 * `directory_id` is told in dir->meta. */
void log_dir_open(struct log_dir *dir, struct str cluster_id, int32_t node_id);
/* All logs are closed before (log_close). Writes the checkpoints and the clean marker, which is
 * left out when a log did not close well; unlocks. Ends CLOSED. */
void log_dir_close(struct log_dir *dir);

/* The broker is registered with this epoch: should its process die while the machine runs on, the
 * next open says so. Written soon: AWAIT state_source until log_dir_vouched(), or not ONLINE; on a
 * full disk when there is space again. */
void log_dir_vouch(struct log_dir *dir, int64_t broker_epoch);

/* Writes the checkpoint files soon: AWAIT checkpoint_source until checkpoints_written has reached
 * the number returned, or the state is not ONLINE. */
uint64_t log_dir_checkpoint(struct log_dir *dir);
/* Files of deleted segments, renamed, to be unlinked when their delay is over. Driven by an op of
 * the owner: while (log_sweep_next(&sweep, dir)) AWAIT(.., &sweep.source, !sweep.busy). What is
 * left at a close goes at the next open of its log. */
struct log_sweep {
    struct disk_req req;
    struct op_source source;
    bool busy;
    struct log_trash *trash;
    uint32_t part; /* which of its files */
    char path[LOG_PATH_MAX];
};
void log_sweep_init(struct log_sweep *sweep);
/* Starts to unlink the next file that is due; false: none is. */
bool log_sweep_next(struct log_sweep *sweep, struct log_dir *dir);
/* When the next one is due; OP_NO_DEADLINE. */
int64_t log_sweep_due_ns(const struct log_dir *dir);
void log_sweep_forget(struct log_dir *dir); /* at the end, files stay */

/* NULL when there is no partition of this name. */
struct log_known *log_dir_find(const struct log_dir *dir, struct str name);

/* A flow (format, open, close) is under way; state_source tells when it has ended. */
static inline bool log_dir_busy(const struct log_dir *dir)
{
    return dir->flow != NULL;
}

static inline bool log_dir_vouched(const struct log_dir *dir)
{
    return dir->vouched_epoch == dir->vouch_epoch;
}

static inline bool log_dir_online(const struct log_dir *dir)
{
    return dir->state == LOG_DIR_ONLINE;
}

#endif

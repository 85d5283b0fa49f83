/* The log of one partition: record batches in segment files of Kafka's format, and what is known
 * about them in memory. The same struct serves user partitions and __cluster_metadata-0.
 *
 *   log_start <= synced_end <= log_end <= assigned_end          (all ends exclusive)
 *
 *   append:  validate, producer check, offsets   -> assigned_end moves, the batch is staged
 *            turn end: one gathered write         -> in flight, one per log
 *            completion                           -> log_end, indexes, producers, epochs move
 *   failure: everything staged fails as a whole (generation + 1), the file is cut back
 *            to log_end and synced before the next append;
 *            EIO puts the directory offline (architecture.md 2)
 *
 *               open           roll, epochs, repair happen inside OPEN
 *     OPENING -------> OPEN -----------------+------------+------------+
 *        |              ^ |                  |            |            |
 *        |   done       | | log_truncate,    | log_close  | log_delete | I/O error
 *        |              | v log_reset        v            v            v
 *        |           TRUNCATING           CLOSING ---> CLOSED        FAILED
 *        +--------------------------------------------------------------^
 *
 * Whatever takes time is started and then awaited on a source; nothing here blocks or calls
 * back. */
#ifndef BROKER_LOG_LOG_H
#define BROKER_LOG_LOG_H

#include "broker/log/log_dir.h"
#include "broker/log/log_epochs.h"
#include "broker/log/log_producers.h"
#include "client/wire/record_batch.h"

enum log_state {
    LOG_OPENING,
    LOG_OPEN,
    LOG_TRUNCATING,
    LOG_CLOSING,
    LOG_CLOSED,
    LOG_FAILED, /* see err: ERR_IO, ERR_DAMAGED (below what was promised), ERR_NO_SPACE ... */
};

/* Topic configuration (storage.md 16): one for all partitions of a topic, and it may change. */
struct log_config {
    uint32_t segment_bytes;          /* segment.bytes, at most 2^31 - 1 */
    uint32_t index_bytes;            /* segment.index.bytes */
    uint32_t index_interval_bytes;   /* index.interval.bytes */
    uint32_t max_message_bytes;      /* max.message.bytes: a whole batch, of clients */
    int64_t segment_ms;              /* segment.ms */
    int64_t timestamp_after_max_ms;  /* message.timestamp.after.max.ms */
    int64_t timestamp_before_max_ms; /* message.timestamp.before.max.ms */
    int64_t retention_ms;            /* retention.ms; -1: for ever */
    int64_t retention_bytes;         /* retention.bytes; -1: any size */
    int64_t delete_delay_ms;         /* file.delete.delay.ms */
    int64_t delete_retention_ms;     /* delete.retention.ms: of tombstones */
    int64_t min_compaction_lag_ms;   /* min.compaction.lag.ms */
    int64_t max_compaction_lag_ms;   /* max.compaction.lag.ms */
    int64_t flush_messages;          /* flush.messages: offsets between two syncs */
    int64_t flush_ms;                /* flush.ms */
    int64_t producer_expiration_ms;  /* producer.id.expiration.ms */
    int64_t producer_check_ms;       /* producer.id.expiration.check.interval.ms */
    int64_t min_cleanable_ratio;     /* min.cleanable.dirty.ratio, in millionths */
    bool log_append_time;            /* message.timestamp.type */
    bool deletes;                    /* cleanup.policy has "delete" */
    bool gaps;       /* cleanup.policy has "compact": offsets may skip, records have keys */
    bool durable;    /* every append is synced as soon as it is written (gregor.durable.acks) */
    bool verify_all; /* the metadata log: recovery reads all of it, whatever was synced */
};
struct log_config log_config_default(void);

/* Who appends as leader: which checks apply (storage.md 5.2). */
enum log_origin {
    LOG_CLIENT,      /* everything is checked */
    LOG_COORDINATOR, /* group and transaction state of this broker, markers */
    LOG_RAFT,        /* the metadata leader */
};

/* A ticket for one append, for log_append_state(). */
struct log_append {
    int64_t base_offset;
    int64_t last_offset;
    int64_t append_time_ms; /* -1 unless log_append_time */
    uint32_t generation;
    bool duplicate; /* the offsets are those of the first time */
};

enum log_append_state {
    LOG_APPEND_PENDING,
    LOG_APPEND_DONE,
    LOG_APPEND_FAILED, /* not in the log, and will not be; see log->append_err */
};

/* What moved of a log. */
enum log_change {
    LOG_CHANGED_STATE,
    LOG_CHANGED_START,
    LOG_CHANGED_APPENDS, /* completed or failed */
    LOG_CHANGED_SYNCED,
};

/* Who acts on a log that is open. Told by whatever moves something of it, within that call: it may
 * wake, and no more. So nobody who moves a log has to think of who waits for that. */
struct log_owner {
    void (*changed)(struct log_owner *owner, enum log_change change);
};

struct log {
    struct log_dir *dir;
    struct log_known *known;         /* name and checkpointed offsets */
    const struct log_config *config; /* borrowed from the owner */
    enum log_state state;
    enum err err; /* of the last flow; why FAILED */
    struct uuid topic_id;
    uint64_t topic; /* uuid_high(topic_id), for traces */
    int32_t partition;
    uint32_t generation; /* + 1 whenever staged appends failed */

    int64_t log_start;
    int64_t log_end;        /* appends completed */
    int64_t assigned_end;   /* appends staged */
    int64_t synced_end;     /* survives a power loss: the recovery point */
    int64_t high_watermark; /* as the owner said last; from the checkpoint after open */

    struct op_source end_source;    /* log_end moved (keyed), or an append failed (all) */
    struct op_source synced_source; /* synced_end moved (keyed), or it failed (all) */
    struct log_owner *owner;        /* told of all that moves; NULL: none */
    struct op_source state_source;  /* a flow ended */

    int64_t failed_from; /* what the last failure took away: from here on */
    enum err append_err; /* of the last failure */
    bool opened_clean;
    bool future;     /* a copy, no replica yet: nothing of it is told */
    uint16_t wanted; /* private: enum log_wanted, bits */

    struct log_epochs epochs; /* leader epochs of what is in the log, and of leaders before it */
    struct log_producers producers;
    struct log_aborted_list aborted; /* transaction index of the active segment */
    uint64_t cut_bytes;              /* removed by recovery at open */

    /* private */
    struct log_segment **segments; /* ascending; the last is the active one */
    uint32_t segment_count;
    uint32_t segment_room;
    struct list staged;      /* struct log_staged, in order of offsets */
    struct log_write *write; /* in flight */
    struct log_flow *flow;
    struct env_flush flush;
    struct list starved; /* in one of the directory's lists of waiting logs */
    struct list sync_link;
    struct list exposed_link;  /* in dir->exposed_logs */
    uint64_t exposed;          /* bytes that a recovery would read */
    int64_t mark;              /* offset of the newest mark or orderly stop; -1 none (log_mark.c) */
    struct log_tail cached;    /* what the directory's cache holds of it */
    uint64_t assigned_size;    /* of the active segment with what is staged for it */
    int64_t assigned_base;     /* base of the segment that the last staged batch goes to */
    int64_t wanted_to;         /* of a truncation or reset that waits */
    uint64_t gaps_after;       /* this checkpoint tells that offsets may skip (log_admit_gaps) */
    int64_t wanted_below;      /* the segment of a reset begins so far below it */
    int64_t unsynced_since_ns; /* mono; 0: nothing unsynced */
    uint64_t unsynced_bytes;
    uint32_t readers;             /* reads and lookups under way */
    uint32_t readers_waiting;     /* of them, for a swap to be over */
    struct log_clean_work *clean; /* a compaction is at it */
    int64_t expired_ns;           /* mono; when idle producers were last looked for */
    int64_t drop_wanted;          /* log start that the last pass of retention found */
    int64_t drop_to;              /* and that is durable: segments below may go */
    int64_t damaged;      /* offset where a read found no sound batch, twice; -1 none known */
    int64_t damaged_base; /* its segment */
    uint64_t damaged_position;
    int32_t assigned_epoch; /* newest epoch staged or in the log */
    int32_t begun_epoch;    /* begins when what is staged is written; -1 none */
    uint32_t cuts;          /* + 1 whenever the end moved back: reads start again */
    bool epochs_dirty;      /* the file lacks an entry that the next append needs */
    bool epochs_failed;     /* no space for it: tried again with the next append */
    bool create;
    bool closing_well;    /* it was not FAILED when the close began */
    bool saved;           /* as at the last orderly stop: a close has nothing to write */
    bool removed;         /* its directory has another name now */
    bool opened;          /* its ends are known; false: what the directory keeps of it counts */
    bool syncing;         /* its files are in the round in flight */
    bool marking;         /* a mark is being set: no roll, no cut */
    bool stranger : 1;    /* no snapshot at its beginning: who wrote what is gone is not known */
    bool handed : 1;      /* a reset keeps the producers: those of where it begins */
    bool clean_reads : 1; /* the compaction reads segments: none may go */
    bool swapping : 1;    /* files are being exchanged: reads from disk wait */
    bool uncleanable : 1; /* a compaction found what it cannot handle: not before the next open */
};
_Static_assert(sizeof(struct log) <= 624, "each partition has one");

/* "orders-0", cut at the last '-'; false for other names (and for -delete, -future, -stray). */
MUST_USE bool log_name_parse(struct str name, struct str *topic, int32_t *partition);

/* ---- life ----------------------------------------------------------------------------------- */

struct log_open {
    struct str topic; /* directory: topic-partition */
    int32_t partition;
    struct uuid topic_id; /* zero: not known, taken from partition.metadata */
    /* Not zero: a copy of the log that grows beside it, T-P.U-future (log_move.c). New, `base`. */
    struct uuid future;
    int64_t base;
    bool create; /* when it is not there, at log_start 0; durable before OPEN */
};
/* Starts to open and recover; AWAIT state_source until state != LOG_OPENING. NULL when a pool is
 * used up or the name is open already. The log is freed by log_free() alone. `config`: borrowed as
 * long as the log is there. */
struct log *log_open(struct log_dir *dir, const struct log_open *open,
                     const struct log_config *config);
/* Orderly: everything is written, synced, snapshotted. CLOSED (or FAILED). Waits for reads. */
void log_close(struct log *log);
/* Closes and removes: renamed to -delete (durable), then unlinked. CLOSED (or FAILED). */
void log_delete(struct log *log);
/* After log_close() or log_delete() ended with CLOSED; a FAILED log is closed first too. */
void log_free(struct log *log);

/* ---- append --------------------------------------------------------------------------------- */

/* One batch that stands in `buf` (a reference is taken) and is changed in place: base offset,
 * leader epoch, with log_append_time the timestamp. Errors: CORRUPT_MESSAGE, INVALID_RECORD,
 * MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE, INVALID_TIMESTAMP, OUT_OF_ORDER_SEQUENCE_NUMBER,
 * INVALID_PRODUCER_EPOCH, KAFKA_STORAGE_ERROR (offline, being repaired), NO_MEMORY. */
MUST_USE enum err log_append_as_leader(struct log *log, struct buf *buf, struct bytes batch,
                                       int32_t leader_epoch, enum log_origin origin,
                                       struct log_append *append);
/* Whole batches as a leader sent them, offsets kept; a partial one at the end is left out, and so
 * is everything from the first batch of an epoch above epoch_max (KAFKA-18723). All or nothing of
 * the rest: CORRUPT_MESSAGE, OFFSET_OUT_OF_RANGE (does not continue at assigned_end), BAD_STATE
 * (an epoch falls). Nothing whole in it: NONE with last_offset < base_offset. */
MUST_USE enum err log_append_as_follower(struct log *log, struct buf *buf, struct bytes batches,
                                         int32_t epoch_max, struct log_append *append);
/* For AWAIT_KEY on end_source with key last_offset + 1. */
enum log_append_state log_append_state(const struct log *log, const struct log_append *append);

/* A leader begins `epoch` at the end of the log, even if it never appends (KAFKA-7415). In memory
 * at once; durable before the next append is written. */
void log_begin_epoch(struct log *log, int32_t epoch);

/* ---- read ----------------------------------------------------------------------------------- */

enum { LOG_READ_SLICES = 32 };

/* Embedded by the reader. Bytes of whole batches, from the one that holds `offset` on. */
struct log_read {
    /* in */
    int64_t offset;
    int64_t limit;      /* exclusive: high watermark, log end */
    uint32_t max_bytes; /* at most this, except for the first batch with `first_whole` */
    bool first_whole;   /* KIP-74 */
    bool scrub;         /* from the device, not from memory; and epochs are compared */
    bool stable;        /* read_committed: what of it was aborted is told */
    bool ranges;        /* a slice may be without data: a range of an open file, to be sent */
    /* out, when `done` */
    bool done;
    enum err
        err; /* OFFSET_OUT_OF_RANGE, KAFKA_STORAGE_ERROR, CORRUPT_MESSAGE (damage), NO_MEMORY */
    uint32_t count;
    uint32_t bytes;
    int64_t next_offset; /* after the last batch; `offset` when there is none */
    struct bytes slices[LOG_READ_SLICES];
    struct buf *holds[LOG_READ_SLICES]; /* one per slice, counted: log_read_release() */
    struct disk_file range_file;        /* of a slice without data: held by its hold */
    uint64_t range_offset;
    struct log_aborted_list aborted; /* with `stable`: transactions with bytes among these */
    struct op_source source;
    /* private */
    struct op op;
    struct log *log;
    struct log_reader *reader;
    struct log_stable *finding;
};
/* Done at once when the cache has it (or nothing is to read); else AWAIT(&read->source,
 * read->done).
 * Fills every out field; the in fields are the caller's. */
void log_read(struct log *log, struct log_read *read);
/* Gives the holds back; the read may be used again. */
void log_read_release(struct log_read *read);

/* First record at or after a time (storage.md 9), batch granular: the answer is the base offset of
 * the first batch with max_timestamp >= timestamp unless the batch is uncompressed, then the
 * record's. */
struct log_time_lookup {
    int64_t timestamp; /* in; -3: the record with the greatest timestamp (KIP-734) */
    int64_t limit;     /* in, exclusive */
    bool done;
    enum err err;
    int64_t offset; /* -1: none */
    int64_t found_timestamp;
    int32_t leader_epoch;
    struct op_source source;
    /* private */
    struct op op;
    struct log *log;
    struct log_reader *reader;
    uint32_t segment;
};
void log_offset_for_time(struct log *log, struct log_time_lookup *lookup);

/* What was damaged was written again, or is gone: reads decide anew. */
void log_undamaged(struct log *log);

/* ---- ends ----------------------------------------------------------------------------------- */

/* Not synced, and somebody waits for it: durable mode. */
static inline bool log_owes_sync(const struct log *log)
{
    return log->config->durable && log->synced_end < log->log_end;
}
/* Asks for a sync; requests of a turn and of all logs of the directory become one round.
 * AWAIT_KEY on synced_source, key and condition synced_end >= wanted, or state != LOG_OPEN. */
void log_sync(struct log *log);
/* Cuts everything at and above `to` (a batch that straddles it goes whole, log_end is then lower
 * than asked, but never below the log start), durably, with epochs and producers; waits for what
 * is staged. No append until OPEN again. `to` above log_end only trims epochs (KAFKA-10706). AWAIT
 * state_source until state != LOG_TRUNCATING. OPEN with an error in log->err: nothing was cut;
 * DAMAGED: a batch below is rotten, log->damaged says which. */
void log_truncate(struct log *log, int64_t to);
/* truncateFullyAndStartAt: an empty log that begins at `at`. Also from FAILED with ERR_DAMAGED. */
void log_reset(struct log *log, int64_t at);
/* The producers of a log at one offset, as N.snapshot and N.producers have them: what nobody learns
 * from batches that are gone (log_handover.c). */
struct log_handover {
    struct bytes snapshot; /* empty: nobody told */
    struct bytes window;
};
size_t log_handover_size(const struct log *log); /* at most */
/* Of this log at `at`, into so many bytes. */
void log_handover_put(const struct log *log, int64_t at, uint8_t *bytes, struct log_handover *to);
/* As log_reset(), of an open log where nothing is staged, with the producers of `at`; durable
 * before OPEN. DAMAGED, NO_MEMORY: nothing happened. */
MUST_USE enum err log_reset_handed(struct log *log, int64_t at,
                                   const struct log_handover *handover);
/* It is empty, begins above 0, and has not been told who wrote what is below. */
bool log_stranger(const struct log *log);
/* Nobody can tell: it goes on without, until it is opened again. */
void log_stranger_met(struct log *log);
/* `batches`, refused by log_append_as_follower with OFFSET_OUT_OF_RANGE, begin with the one that
 * holds the start of this empty log: it takes them after log_begin_with(*base), which is awaited as
 * log_reset. Start and end stay. */
bool log_begins_with(const struct log *log, struct bytes batches, int64_t *base);
void log_begin_with(struct log *log, int64_t base);
/* `batches`, refused likewise, skip offsets that a compaction of the leader has taken away; taken
 * after log_admit_gaps(), when a checkpoint says that this log may have gaps as well. */
bool log_has_gaps(const struct log *log, struct bytes batches);
void log_admit_gaps(struct log *log);
/* Empty after log_begin_with(): no leader may append to it before a reset to its end. */
bool log_hollow(const struct log *log);
/* Moves up only; at most log_end. */
void log_raise_start(struct log *log, int64_t log_start);
/* Retention (storage.md 11), log_retain.c. */
enum log_retain {
    LOG_RETAIN_DONE,  /* nothing more to decide now */
    LOG_RETAIN_WAITS, /* for log_retain_ready() on state_source; then ask again */
};
/* One look: raises the log start over whole segments below the high watermark that are too old or
 * too many. `rolled`, false at first, is of all looks of a pass: one roll is asked for in each. */
enum log_retain log_retain_look(struct log *log, bool *rolled);
bool log_retain_ready(const struct log *log);
/* After a checkpoint that followed the look: what lies below the log start then goes. */
static inline bool log_retain_pending(const struct log *log)
{
    return log->drop_wanted > log->drop_to;
}
void log_retain_drop(struct log *log);
/* For the checkpoint of the high watermark; transactions that ended below it are stable. */
void log_note_high_watermark(struct log *log, int64_t high_watermark);

/* First offset that a read_committed reader does not get (transactions.md 5). */
int64_t log_last_stable(const struct log *log);

/* KIP-101: (epoch, end) for the largest epoch <= `epoch`; -1, -1 when unknown. */
struct log_epoch_end log_end_offset_for(const struct log *log, int32_t epoch);
static inline int32_t log_latest_epoch(const struct log *log) /* -1 none */
{
    return log_epochs_latest(&log->epochs);
}
uint64_t log_size(const struct log *log); /* bytes of all segments */
/* Of an open log: where its closed segments end, and how many bytes they have. */
int64_t log_closed_end(const struct log *log);
uint64_t log_closed_bytes(const struct log *log);
/* Of those that hold something at or above `offset`. */
uint64_t log_size_from(const struct log *log, int64_t offset);

#endif

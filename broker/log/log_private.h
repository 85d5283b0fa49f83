/* What the files of this folder share and nobody else sees.
 *
 *   log.c         append, completion, failure, what comes next    log_flow.c   roll, epochs, repair
 *   log_validate.c  what a leader checks
 *   log_segment.c the segments in memory       log_open_files.c  what an open reads besides
 *   log_open.c    open and recovery     log_cut.c   truncate     log_reset.c   start over
 *   log_close.c   close, delete         log_begin.c   batches that do not go on at the end
 *   log_open_load.c, log_open_walk.c    what an open takes from files, and from batches
 *   log_lookup.c  indexes of closed segments   log_mark.c  where a recovery begins
 *   log_read.c    reads and time lookups            log_sync.c          group commit
 *   log_handover.c  producers of what a log never had
 *   log_clean*.c  compaction            log_swap.c  its end, also at an open
 *   log_file.c    open segment files                log_io.c            one disk request, save,
 * load,
 *   log_dir*.c    the directory                     log_walk.c          walk a segment */
#ifndef BROKER_LOG_LOG_PRIVATE_H
#define BROKER_LOG_LOG_PRIVATE_H

#include "broker/log/log.h"
#include "broker/log/log_index.h"
#include "broker/log/log_scan.h"

/* What a log tells of itself. A copy that grows in another directory tells nothing: it is nobody's
 * replica before it takes the other's place (log_move.c). */
#define LOG_TRACE(log, KIND, ...)                                                        \
    do {                                                                                 \
        if (!(log)->future)                                                              \
            TRACE((log)->dir->env->world, KIND, (int64_t)(log)->topic, (log)->partition, \
                  __VA_ARGS__);                                                          \
    } while (0)

/* ---- one disk request of an op --------------------------------------------------------------- */

struct log_io {
    struct disk_req req;
    struct op_source done;
    struct bytes slice;
};

void log_io_init(struct log_io *io);
/* Each submits; await log_io_done on io->done. Paths are borrowed. */
void log_io_open(struct log_io *io, struct world *world, const char *path, uint32_t flags);
void log_io_close(struct log_io *io, struct world *world, struct disk_file file);
void log_io_read(struct log_io *io, struct world *world, struct disk_file file, uint8_t *into,
                 uint64_t offset, uint64_t length, uint32_t flags);
void log_io_resident(struct log_io *io, struct world *world, struct disk_file file, uint64_t offset,
                     uint64_t length);
void log_io_write(struct log_io *io, struct world *world, struct disk_file file, struct bytes data,
                  uint64_t offset);
void log_io_sync(struct log_io *io, struct world *world, struct disk_file file);
void log_io_truncate(struct log_io *io, struct world *world, struct disk_file file,
                     uint64_t length);
/* MKDIR, UNLINK, RMDIR, SYNC_DIR */
void log_io_path(struct log_io *io, struct world *world, enum disk_op op, const char *path);
void log_io_rename(struct log_io *io, struct world *world, const char *path, const char *path_to);
void log_io_list(struct log_io *io, struct world *world, const char *path, uint8_t *into,
                 uint64_t length);
static inline bool log_io_done(const struct log_io *io)
{
    return !io->req.req.pending;
}
static inline enum err log_io_err(const struct log_io *io)
{
    return io->req.req.result;
}
#define AWAIT_IO(o, STEP, IO) AWAIT(o, STEP, &(IO)->done, log_io_done(IO))

/* Writes a file as a whole: name.tmp, sync, rename, and the directory if asked. */
struct log_save {
    struct op op;
    struct env *env;
    struct op_source source;
    bool busy;
    bool sync_dir;
    enum err err;
    struct log_io io;
    struct disk_file file;
    struct bytes data; /* borrowed until done */
    char dir[LOG_PATH_MAX];
    char path[LOG_PATH_MAX];
    char temporary[LOG_PATH_MAX];
};
void log_save_start(struct log_save *save, struct env *env, const char *dir, const char *name,
                    struct bytes data, bool sync_dir);
#define AWAIT_SAVE(o, STEP, SAVE) AWAIT(o, STEP, &(SAVE)->source, !(SAVE)->busy)

/* Reads a small file as a whole into mem. */
struct log_load {
    struct op op;
    struct env *env;
    struct op_source source;
    bool busy;
    enum err err; /* NOT_FOUND, TOO_LARGE ... */
    struct log_io io;
    struct disk_file file;
    uint8_t *data; /* owned: log_load_free(); NULL for an empty file */
    uint64_t size;
    uint64_t size_max;
    char path[LOG_PATH_MAX];
};
void log_load_start(struct log_load *load, struct env *env, const char *dir, const char *name,
                    uint64_t size_max);
void log_load_free(struct log_load *load);
/* As after a load of a file that is not there, or is empty. */
void log_load_none(struct log_load *load);
void log_load_empty(struct log_load *load, struct env *env);
static inline struct bytes log_load_bytes(const struct log_load *load)
{
    return (struct bytes){load->data, (uint32_t)load->size};
}
#define AWAIT_LOAD(o, STEP, LOAD) AWAIT(o, STEP, &(LOAD)->source, !(LOAD)->busy)

/* dir/name, terminated; asserts that it fits. */
void log_path(char path[LOG_PATH_MAX], const char *dir, const char *name);
/* dir/00000000000000000042suffix */
void log_path_of(char path[LOG_PATH_MAX], const struct log *log, int64_t base, const char *suffix);
void log_path_log(char path[LOG_PATH_MAX], const struct log *log); /* the partition's directory */
enum { LOG_FILE_NAME = 48 };
void log_file_name(char name[LOG_FILE_NAME], int64_t base, const char *suffix);
/* The number of a name like 00000000000000000042.log; the suffix behind it. */
bool log_file_parse(struct str name, int64_t *base, struct str *suffix);

/* ---- segments -------------------------------------------------------------------------------- */

struct log_file;
struct log_loaded;

struct log_segment {
    int64_t base;
    int64_t end;               /* after its last batch */
    uint64_t size;             /* bytes of completed appends */
    int64_t max_timestamp;     /* -1 unknown */
    int64_t first_timestamp;   /* of the first batch appended here, -1 none or unknown */
    int64_t created_ms;        /* wall, of this process's first sight */
    struct log_index *index;   /* in memory: the active one */
    struct log_loaded *loaded; /* of a closed one, while there is room (log_lookup.c) */
    struct log_file *file;     /* in the directory's cache of open files */
    struct log_run *sound;     /* of a closed one (log_sound.c) */
    uint32_t sound_count;
    uint32_t sound_room;
    uint32_t offset_count; /* entries on disk of a closed one */
    uint32_t time_count;
    int64_t hint_offset; /* where the last read ended: the next one goes on there */
    uint64_t hint_position;
    int64_t retain_ms; /* greatest timestamp as retention knows it; -1 unknown */
    bool ranged;       /* ranges of the file were sent: it is not changed in place any more */
    bool dirty;        /* has bytes that were not synced */
    bool index_bad;    /* the files do not fit the log: read from the start */
    bool aborted;      /* it has a transaction index with entries; of the active one, on disk */
};
_Static_assert(sizeof(struct log_segment) <= 128, "each partition has one: 192 is the next class");

/* ---- what was found sound (log_sound.c) ------------------------------------------------------ */

enum {
    LOG_RANGE_MIN = 16 * 1024,         /* shorter ones are not worth it */
    LOG_RUN_BYTES = 64 * 1024,         /* a run ends with the batch that reaches it */
    LOG_SOUND_BYTES = 4 * 1024 * 1024, /* of a directory: some 10 GB of log */
};

/* Whole batches that follow each other, from `first` up to `next`. */
struct log_run {
    uint32_t position;
    uint32_t length;
    int64_t first;
    int64_t next;
};

void log_sound_note(struct log *log, struct log_segment *segment, const struct log_run *run);
/* The first run that ends above the offset. */
const struct log_run *log_sound_find(const struct log_segment *segment, int64_t offset);
/* Runs that follow each other, from exactly this offset on. */
bool log_sound_from(const struct log_segment *segment, int64_t offset, int64_t limit,
                    uint32_t max_bytes, struct log_run *found);
void log_sound_unread(struct log_segment *segment, uint64_t from, uint64_t to);
void log_sound_forget(struct log *log, struct log_segment *segment);
void log_sound_forget_all(struct log *log);

struct log_segment *log_segment_add(struct log *log, int64_t base);
/* Of the last segment; its file is closed. */
void log_segment_drop_last(struct log *log);
/* Of a closed one. */
void log_segment_drop_at(struct log *log, uint32_t at);
/* Of the first, which is not the last one. */
void log_segment_drop_first(struct log *log);
static inline struct log_segment *log_active(const struct log *log)
{
    return log->segments[log->segment_count - 1];
}
/* Index of the segment with the greatest base <= offset; 0 when there is none. */
uint32_t log_segment_find(const struct log *log, int64_t offset);
MUST_USE enum err log_segment_index(struct log *log, struct log_segment *segment);

/* Used up, and perhaps not for long: whoever asked is refused, and nothing is wrong with the
 * device. Everything else takes the directory offline (storage.md 15). */
static inline bool log_err_passes(enum err err)
{
    return err == ERR_NO_SPACE || err == ERR_NO_MEMORY || err == ERR_TOO_MANY;
}

/* ---- open files ------------------------------------------------------------------------------ */

enum log_file_state {
    LOG_FILE_OPENING,
    LOG_FILE_OPEN,
    LOG_FILE_CLOSING,
};

struct log_file {
    struct list lru;
    struct disk_req req;
    struct log_dir *dir;
    struct log *log; /* NULL: nobody wants it any more */
    struct log_segment *segment;
    struct disk_file file;
    enum log_file_state state;
    uint32_t pins;
    uint32_t ranges; /* not sent yet; they outlive the segment */
    char path[LOG_PATH_MAX];
};

/* The open file, or NULL: it is being opened (or there is no place yet); then file_source is woken,
 * and the flush of the log and the sync are staged again. While the world has no place for another
 * file (dir->files_short), appends and reads that need one are refused. */
struct log_file *log_file_get(struct log *log, struct log_segment *segment);
static inline void log_file_pin(struct log_file *file)
{
    file->pins++;
}
void log_file_unpin(struct log_file *file);
/* For a range: false when too many files have some. */
MUST_USE bool log_file_lend(struct log_file *file);
void log_file_returned(struct log_file *file);
/* Closes it when it is open, ranges aside; not pinned. */
void log_file_drop(struct log_segment *segment);
/* Now and then: the world may have a place again. */
void log_file_retry(struct log_dir *dir);

/* ---- append ---------------------------------------------------------------------------------- */

/* A batch between append and completion. */
struct log_staged {
    struct list link;
    struct buf *buf; /* counted */
    struct bytes bytes;
    struct log_producer_staged producer;
    uint64_t position; /* in its segment */
    int64_t base_offset;
    int64_t last_offset;
    int32_t epoch;
    bool roll;   /* begins a segment */
    bool marker; /* may add to the transaction index */
};

/* One gathered write. */
struct log_write {
    struct disk_req req;
    struct log *log;
    struct log_file *file; /* pinned */
    uint32_t batches;
    uint32_t slice_count;
    uint64_t bytes;
    struct bytes slices[LOG_WRITE_SLICES];
};

enum log_wanted {
    LOG_WANT_REPAIR = 1,
    LOG_WANT_TRUNCATE = 2,
    LOG_WANT_RESET = 4,
    LOG_WANT_CLOSE = 8,
    LOG_WANT_DELETE = 16,
    LOG_WANT_OPEN = 32,
    LOG_WANT_DROP = 64,   /* leading segments below drop_to */
    LOG_WANT_TIMES = 128, /* the greatest timestamp of a segment that was not written here */
    LOG_WANT_ROLL = 256,  /* though nothing is staged: all of the active segment may go */
    LOG_WANT_SWAP = 512,  /* a compacted segment takes the places of its sources */
    /* appends go on */
    LOG_WANTS_BESIDES = LOG_WANT_DROP | LOG_WANT_TIMES | LOG_WANT_ROLL | LOG_WANT_SWAP,
};

/* A batch that a leader may append; the greatest timestamp of its records is told. */
MUST_USE enum err log_validate_batch(struct log *log, const struct record_batch *batch,
                                     enum log_origin origin, int64_t *max_timestamp);
/* Its sequence numbers. NONE with append->duplicate: the ticket of the first time. */
MUST_USE enum err log_validate_producer(struct log *log, const struct record_batch *batch,
                                        enum log_origin origin, struct log_append *append);
/* A whole and sound batch of a client that stands in the log already, with the ticket of the first
 * time; nothing else is looked at. */
MUST_USE bool log_validate_known(struct log *log, const struct record_batch *batch,
                                 enum log_origin origin, struct log_append *append);
/* Whatever the log needs next: starts a flow or stages the write. Any time but inside a flush. */
void log_advance(struct log *log);
/* Everything staged is taken back. */
void log_append_failed(struct log *log, enum err err);
/* The owner, if any, hears of it. */
void log_tell(struct log *log, enum log_change change);
/* One setter for the start of a log that is open, or was: tells the owner. */
void log_set_start(struct log *log, int64_t log_start);
/* One setter for the state: traces nothing, wakes state_source, tells the owner. */
void log_set_state(struct log *log, enum log_state state, enum err err);
/* Offsets may skip: the topic says so, or its log was compacted once. */
bool log_gaps(const struct log *log);
/* The reset (log_handover.c): its producers go, unless they were handed over; and, of those, the
 * two files of the first segment, the snapshot last, each with the directory. */
MUST_USE enum err log_handover_load(const struct log *log, const struct log_handover *handover,
                                    struct log_producers *producers);
void log_handover_begin(struct log *log);
void log_handover_save_window(struct log_flow *flow);
void log_handover_save_snapshot(struct log_flow *flow);
/* Where a follower may go on at `next`, or an empty log begin (log_begin.c). */
bool log_follows(const struct log *log, const struct record_batch *batch, int64_t next);
/* The first offset of it that the log has: the batch that holds its start begins below. */
static inline int64_t log_first_of(const struct log *log, int64_t base_offset)
{
    return base_offset > log->log_end ? base_offset : log->log_end;
}
/* No cut or close of the log is in the way of anybody. */
bool log_quiet(const struct log *log);
void log_fail(struct log *log, enum err err);
void log_readers_left(struct log *log); /* one reader less */
/* One that has looked at nothing yet waits for a swap, or for none; log_reader_goes_on() then. */
void log_reader_waits(struct log *log);
void log_reader_goes_on(struct log *log);
/* A batch that stands in the log now: indexes, epochs, sizes. */
void log_note_epoch(struct log *log, int32_t epoch, int64_t start_offset);
void log_assigned_reset(struct log *log);
void log_flush(struct env_flush *flush); /* end of the turn: the gathered write */
void log_index_batch(struct log *log, struct log_segment *segment, struct log_index *index,
                     uint64_t position, const struct record_batch *batch, uint32_t bytes);

/* ---- read ------------------------------------------------------------------------------------ */

/* What a read or a time lookup needs while it goes to the disk. */
struct log_reader {
    struct log_io io;
    struct log_segment *segment;
    struct log_file *pinned;
    struct disk_file index_file;
    struct buf *buf;
    uint64_t position; /* of the next bytes to look at */
    uint32_t size;     /* asked for */
    uint32_t span;     /* bytes before the batch, at most */
    uint8_t *index;    /* owned: the file as a whole */
    uint32_t index_size;
    uint32_t low; /* binary search in an index file */
    uint32_t high;
    uint32_t want;    /* bytes of a batch that did not fit */
    bool walked;      /* from the beginning of the segment */
    int64_t expected; /* offset at `position`; -1 not known: an index led there */
    bool opened;
    bool retried;
    bool ranged;        /* `run` is asked for as a range */
    struct log_run run; /* that; later the one that is being read */
    int64_t stop;       /* offset of a run that a read does not go into; -1 none */
    uint64_t stop_position;
    uint8_t entries[64 * LOG_INDEX_ENTRY];
    char path[LOG_PATH_MAX];
};

/* No sound batch stands where `offset` should: for who repairs it. */
void log_note_damage(struct log *log, int64_t offset, int64_t base, uint64_t position);
/* The epoch stands outside the crc; what the log knows of its epochs says the same (H7). */
bool log_epoch_fits(const struct log *log, const struct record_batch *batch);

/* The transactions of a read that were aborted (log_stable.c): its bytes are there, its reader is
 * not, and its log keeps still for it. False: they are told, or read->err says why not; true: the
 * op goes on with log_stable_run(), from LOG_STABLE_FIND on. */
enum log_stable_step { LOG_STABLE_FIND = 10, LOG_STABLE_LOADED };
MUST_USE bool log_stable_begin(struct log_read *read);
enum op_result log_stable_run(struct log_read *read);
void log_read_over(struct log_read *read); /* wakes who waits */

/* ---- walk ------------------------------------------------------------------------------------ */

enum { LOG_WALK_BYTES = 256 * 1024 };

enum log_walk_end {
    LOG_WALK_WHOLE, /* to the end of the file, nothing left over */
    LOG_WALK_STOP,  /* before the batch that reaches stop_at */
    LOG_WALK_BAD,   /* scan.why; or a part of a batch at the end of the file */
    LOG_WALK_ERROR, /* err: an I/O error, which says nothing about the bytes (H1) */
};

/* Walks one segment in slices: index, producers, epochs. Bytes that are no batch are read once
 * more, from the device, before they count as such (DF11: a read may be wrong where the disk is
 * not). */
struct log_walk {
    struct op op;
    struct op_source source;
    bool busy;
    enum log_walk_end end;
    enum err err;
    struct log *log;
    struct log_segment *segment;
    struct log_scan scan;
    int64_t stop_at;        /* INT64_MAX: none */
    int64_t first;          /* out: base of the first batch; -1 none */
    int64_t producers_from; /* batches at or above are replayed */
    int64_t epochs_from;    /* below it batches say what the epochs miss; 0: they miss nothing */
    bool index;             /* add to segment->index */
    bool aborted;           /* and to log->aborted */
    bool effects;           /* on epochs and producers; false: it only looks */
    bool known;             /* by the epochs of the log: another one in a batch is rot (DF8) */
    const char *suffix;     /* ".log" */
    uint32_t read_flags;    /* DISK_UNCACHED: what the page cache believes does not count (H5) */
    bool read_again;        /* at least once; the last time from again_at */
    bool ends_short;        /* out, BAD: all that stands there is the beginning of a batch */
    uint64_t again_at;
    uint64_t at;
    struct log_io io;
    struct disk_file file;
    uint8_t *buffer;
    char path[LOG_PATH_MAX];
};
void log_walk_start(struct log_walk *walk, struct log *log, struct log_segment *segment,
                    uint64_t position, int64_t next_offset, int32_t epoch);
#define AWAIT_WALK(o, STEP, WALK) AWAIT(o, STEP, &(WALK)->source, !(WALK)->busy)

/* ---- flows of a log -------------------------------------------------------------------------- */

/* What log_swap.c removes at an open. */
enum log_swap_mode {
    LOG_SWAP_UNFINISHED, /* .cleaned, and .swap of the same base and above */
    LOG_SWAP_BAD,        /* .swap files that are not whole */
    LOG_SWAP_OLD,        /* what a finished one replaces */
};
/* Its steps, behind those of log_open.c. */
enum log_swap_resume_step {
    LOG_SWAP_RESUME = 34,
    LOG_SWAP_CLEARED,
    LOG_SWAP_CLEARED_SYNCED,
    LOG_SWAP_WALKED,
    LOG_SWAP_BAD_GONE,
    LOG_SWAP_OLD_GONE,
    LOG_SWAP_OLD_SYNCED,
    LOG_SWAP_RENAMED,
    LOG_SWAP_RENAMED_SYNCED,
};

enum { LOG_DROP_MAX = 8 }; /* segments of one flow: appends wait meanwhile */

struct log_flow {
    struct op op;
    struct log *log;
    enum err err;
    struct log_io io;
    struct log_save save;
    struct log_load load;
    struct log_walk walk;
    struct disk_file file;
    struct disk_file copy; /* of a cut */
    char path[LOG_PATH_MAX];
    char path_to[LOG_PATH_MAX];
    uint8_t *bytes; /* owned scratch */
    size_t bytes_size;
    size_t bytes_used;
    uint8_t *list; /* owned: the listing of the partition's directory */
    uint64_t list_size;
    uint64_t list_used;
    uint64_t list_at;
    uint32_t segment;
    int64_t offset;
    int64_t snapshot;
    int64_t from; /* of an open that is not clean: what is below needs no walk */
    int64_t promised;
    uint64_t checkpoints;
    uint64_t cut_bytes;
    struct log_load window;
    int64_t old_end;
    /* Of a cut: what stood in the log before the walk, which builds it anew. */
    struct log_producers kept_producers;
    struct log_aborted_list kept_aborted;
    struct log_index *kept_index;
    int64_t kept_max_timestamp;
    int64_t kept_first_timestamp;
    bool kept_sync; /* it was in the list of logs to be synced */
    bool clean;
    bool cut;
    bool made;      /* the first segment, just now */
    bool left_over; /* the name of a segment that the log does not have */
    bool first;
    bool epochs_bad;     /* all batches are to be walked for them */
    int64_t epochs_from; /* what the file knows begins here */
    enum log_state to_state;
    int64_t bases[LOG_DROP_MAX]; /* of segments that go */
    uint32_t base_count;
    uint32_t base_at;
    uint32_t mark_at;      /* log_mark_cut() */
    bool marked;           /* an open that goes on from the mark */
    bool mark_bad;         /* and found that it cannot */
    uint32_t from_segment; /* where the walk of an open began */
    uint64_t from_position;
    int64_t skip_from; /* segments without a line in the manifest */
    int64_t skip_to;
    /* log_swap_resume() */
    struct log_segment swap_segment;
    int64_t swap_base;
    int64_t swap_end;
    bool swap_whole;
};

/* Its ends are known: told, and OPEN. By the open, or by the reset that ends it. */
void log_open_done(struct log *log);
extern const struct op_kind log_open_kind;
extern const struct op_kind log_roll_kind;
extern const struct op_kind log_epochs_kind;
extern const struct op_kind log_repair_kind;
extern const struct op_kind log_truncate_kind;
extern const struct op_kind log_reset_kind;
extern const struct op_kind log_close_kind;
extern const struct op_kind log_delete_kind;
extern const struct op_kind log_drop_kind;
extern const struct op_kind log_times_kind;
extern const struct op_kind log_swap_kind;

/* False: no flow is free; the log waits in the directory's list. */
bool log_flow_start(struct log *log, const struct op_kind *kind);
void log_flow_finish(struct op *op);
/* Scratch of at least `size`; what was there is given back. */
MUST_USE bool log_flow_room(struct log_flow *flow, size_t size);
struct env *log_flow_env(const struct log_flow *flow);
/* The texts that flows save, into flow->bytes. */
MUST_USE bool log_flow_print_epochs(struct log_flow *flow);
MUST_USE bool log_flow_print_manifest(struct log_flow *flow);
/* Four steps of a roll and of a close: each looks how the one before went, and starts a save. */
void log_flow_save_index(struct log_flow *flow);
void log_flow_save_times(struct log_flow *flow);
void log_flow_save_snapshot(struct log_flow *flow, int64_t offset);
void log_flow_save_window(struct log_flow *flow, int64_t offset);
/* The transaction index, when it has entries or the disk has an old one. */
void log_flow_save_aborted(struct log_flow *flow);
void log_flow_saved(struct log_flow *flow);
struct bytes log_flow_bytes(const struct log_flow *flow);

/* A compaction's last step (log_swap.c): nobody is in the way; reads wait. */
bool log_swap_quiet(const struct log *log);
bool log_swap_due(const struct log *log);
/* At an open, with a listing: names of a swap that did not come to its end; brings it there. Ends
 * with flow->err, and the listing is old. */
bool log_swap_left(struct log_flow *o);
enum op_result log_swap_resume(struct log_flow *o);

/* Open: the listing of the partition's directory (log_open_files.c). */
bool log_open_list_room(struct log_flow *o);
const struct disk_entry *log_open_list_next(struct log_flow *o);
int64_t log_open_list_size(struct log_flow *o, int64_t base, const char *suffix);
bool log_open_listed(struct log_flow *o, const char *name);
MUST_USE enum err log_open_segments(struct log_flow *o);
int64_t log_open_snapshot_below(struct log_flow *o, int64_t below);
MUST_USE enum err log_open_check_identity(struct log_flow *o);
MUST_USE bool log_open_print_identity(struct log_flow *o);
/* Submits to flow->io the removal of the next file that a cut takes with it; false: none left. */
bool log_open_next_later(struct log_flow *o);
/* DAMAGED with the base of the segment that does not fit. */
MUST_USE enum err log_open_check_manifest(struct log_flow *o, int64_t *offset);

/* ---- retention ------------------------------------------------------------------------------- */

/* The renamed files of a segment go when file.delete.delay.ms is over. */
void log_retain_trash(struct log *log, int64_t base);
/* Nobody reads, and no file of a segment that may go is in use. */
bool log_retain_quiet(const struct log *log);
/* At an open, with identity checked: leading segments below the log start leave the memory, and
 * then the n-th name that has no meaning any more is unlinked; false: none is left. */
void log_retain_open(struct log_flow *o);
bool log_retain_open_next(struct log_flow *o);

/* ---- lookup (log_lookup.c) ------------------------------------------------------------------- */

/* Where a walk to the batch with `offset`, which is in this segment, begins, and how far it is at
 * most to the beginning of that batch. False: the index is not in memory. */
bool log_lookup(struct log *log, struct log_segment *segment, int64_t offset, uint32_t *position,
                uint32_t *span);
/* The index file of a closed segment as it was read. DAMAGED: it is of no use; NO_MEMORY. */
MUST_USE enum err log_lookup_load(struct log *log, struct log_segment *segment, struct bytes file);
/* Of a segment that is closed now; the index is taken over. */
void log_lookup_keep(struct log *log, struct log_segment *segment, struct log_index *index);
void log_lookup_forget(struct log *log, struct log_segment *segment);

/* ---- marks (log_mark.c) ---------------------------------------------------------------------- */

/* What a recovery would read of the log; 0: nothing. */
void log_mark_exposed(struct log *log, uint64_t exposed);
void log_mark_note(struct log *log, uint32_t bytes); /* appended */
void log_mark_check(struct log *log);                /* may begin one */
void log_mark_retry(struct log_dir *dir);            /* now and then */
/* Too far ahead: the next write waits in dir->mark_starved. */
bool log_mark_full(const struct log *log);
/* Submits to flow->io the removal of the next file of the mark, when it stands above `end`; false:
 * it is gone. */
bool log_mark_cut(struct log_flow *flow, int64_t end);

/* ---- directory ------------------------------------------------------------------------------- */

void log_dir_fail(struct log_dir *dir, enum err err);
void log_dir_changed(struct log_dir *dir); /* a checkpoint is due */
/* Somebody gave an object of the pool back: logs that wait for one. */
void log_dir_unstarve(struct list *starved, const struct pool *pool);
void log_sync_stage(struct log_dir *dir);
void log_sync_free(struct log_dir *dir);
void log_sync_init(struct log_dir *dir);
struct log_known *log_dir_know(struct log_dir *dir, struct str name);
/* Behind T-P: a dot, 32 hex digits, and the suffix. */
struct text;
void log_name_add(struct text *name, struct uuid id, const char *suffix);
void log_dir_forget(struct log_dir *dir, struct log_known *known);
/* T-P.U-moved stands beside `known`. False: no memory. */
MUST_USE bool log_moved_note(struct log_dir *dir, struct log_known *known, struct uuid id);
void log_moved_forget(struct log_dir *dir, struct log_known *known);
/* The log was cut back to `end`: who copies it has to know. */
void log_copied_cut(const struct log *log, int64_t end);
void log_dir_gone(struct log_dir *dir); /* a file or a log went: an orderly close may go on */

#endif

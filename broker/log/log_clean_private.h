/* Shared by log_clean.c, log_clean_group.c, log_clean_feed.c and log_swap.c. */
#ifndef BROKER_LOG_LOG_CLEAN_PRIVATE_H
#define BROKER_LOG_LOG_CLEAN_PRIVATE_H

#include "broker/log/log_aborted.h"
#include "broker/log/log_clean.h"
#include "broker/log/log_filter.h"
#include "broker/log/log_private.h"

enum {
    LOG_CLEAN_BYTES = 256 * 1024, /* of a slice, and of a write */
    LOG_CLEAN_RECORDS = 1000,
};

enum log_clean_pass { LOG_CLEAN_MAP, LOG_CLEAN_COPY };

/* What a slice ends with. */
enum log_clean_next {
    LOG_CLEAN_READ,  /* more bytes of the segment */
    LOG_CLEAN_WRITE, /* what is kept so far */
    LOG_CLEAN_YIELD, /* enough for one turn */
    LOG_CLEAN_OVER,  /* the segment ends, or the map is full */
    LOG_CLEAN_FAILED,
};

/* Segments that become one. */
struct log_swap {
    int64_t bases[LOG_CLEAN_GROUP];
    uint32_t count;
    int64_t end; /* base of the segment behind them */
    uint64_t old_bytes;
    uint64_t size; /* of the new one */
    int64_t max_timestamp;
    int64_t first_timestamp;
    uint32_t offset_count;
    uint32_t time_count;
    bool aborted; /* it has a transaction index */
    bool done;
    /* private: the renaming */
    uint32_t at;
    uint32_t part;
};

struct log_clean_work {
    struct op op;
    struct log_clean *clean;
    struct log *log;
    struct log_keymap map;
    struct log_filter filter;
    struct log_io io;
    struct log_save save;
    struct log_load load;
    enum err err;
    enum log_clean_pass pass;
    bool stop;
    bool mapped;   /* the map is full: no more of it */
    uint32_t cuts; /* of the log, when it began */
    int64_t first_dirty;
    int64_t dirty_end; /* first_uncleanable, or where the map ended */
    /* the segment that is read */
    struct disk_file in_file;
    bool in_open;
    int64_t base;
    int64_t end; /* base of the next segment */
    uint64_t in_size;
    uint64_t in_position; /* of the window in the file */
    uint32_t in_at;       /* looked at */
    struct log_bytes in;
    int64_t next_offset;
    bool batch_open;
    struct record_batch batch;
    struct record_iter records;
    struct log_bytes inflated;
    /* transactions */
    struct log_aborted_list aborted;
    struct log_aborted_pass pass_aborted;
    struct log_aborted entry; /* that stays with the open batch */
    /* the segment that is written */
    struct disk_file out_file;
    bool out_open;
    struct log_bytes out;
    uint64_t out_position;
    struct log_index index;
    bool index_there;
    struct log_aborted_list kept_aborted;
    struct log_swap swap;
    bool swapping; /* .swap names may exist */
    uint32_t part;
    int64_t next_base; /* of the next group */
    uint8_t *bytes;    /* index file under construction */
    size_t bytes_size;
    char path[LOG_PATH_MAX];
    char path_to[LOG_PATH_MAX];
};

/* ".log" ".index" ".timeindex" ".txnindex": the files of a segment that a swap exchanges. */
enum { LOG_SWAP_PARTS = 4 };
extern const char *const log_swap_suffixes[LOG_SWAP_PARTS];

/* One slice over the window (log_clean_feed.c). */
enum log_clean_next log_clean_feed(struct log_clean_work *o);
/* Asks for more of the segment; takes what came. */
MUST_USE bool log_clean_read(struct log_clean_work *o);
MUST_USE bool log_clean_took(struct log_clean_work *o);

/* The log may not be compacted any further (log_clean.c). */
bool log_clean_over(const struct log_clean_work *o);

/* ---- segments and groups (log_clean_group.c) ------------------------------------------------- */

const struct log_segment *log_clean_segment(struct log_clean_work *o, int64_t base);
void log_clean_open(struct log_clean_work *o, const struct log_segment *segment);
bool log_clean_group(struct log_clean_work *o);
void log_clean_open_out(struct log_clean_work *o);
bool log_clean_next_source(struct log_clean_work *o);
void log_clean_finish_group(struct log_clean_work *o);
bool log_clean_save_part(struct log_clean_work *o);
void log_clean_sync_dir(struct log_clean_work *o);
bool log_clean_rename_next(struct log_clean_work *o);
void log_clean_ask_swap(struct log_clean_work *o);
bool log_clean_swap_told(const struct log_clean_work *o);
void log_clean_group_over(struct log_clean_work *o);
bool log_clean_unlink_next(struct log_clean_work *o);

#endif

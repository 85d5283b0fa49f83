/* What the files of dump-log share. */
#ifndef BROKER_LOG_DUMP_PRIVATE_H
#define BROKER_LOG_DUMP_PRIVATE_H

#include "broker/log/dump.h"
#include "broker/log/log_private.h"
#include "client/base/hash128.h"
#include "client/base/text.h"

enum {
    DUMP_LINE_MAX = 16 << 10,  /* longer lines are cut */
    DUMP_FILE_MAX = 32 << 20,  /* of a file that is read as a whole */
    DUMP_LIST_MAX = 32 << 20,  /* of a listing */
    DUMP_NAMES_MAX = 32 << 20, /* names and paths of a run */
};

/* ---- cursor ---------------------------------------------------------------------------------- */

enum dump_cursor_state {
    DUMP_CURSOR_SEGMENT, /* `path` begins */
    DUMP_CURSOR_BATCH,   /* `batch` at `position` of `path`; its bytes until the next call */
    DUMP_CURSOR_BAD,   /* from `position` on, `rest` bytes are no batch; goes on behind the file */
    DUMP_CURSOR_ERROR, /* `err` on `path`: nothing more */
    DUMP_CURSOR_END,
};

struct dump_cursor {
    enum dump_cursor_state state;
    enum err err;
    struct record_batch batch;
    bool crc_ok;
    uint64_t position;
    uint64_t rest;
    struct op_source source;
    bool busy;
    char path[LOG_PATH_MAX];
    /* private */
    struct op op;
    struct env *env;
    char dir[LOG_PATH_MAX];
    int64_t *bases; /* owned, ascending */
    uint32_t base_count;
    uint32_t base_room;
    uint32_t segment;
    bool single; /* `path` alone */
    bool opened;
    bool over; /* with this file */
    struct log_io io;
    struct disk_file file;
    uint64_t file_size;
    uint8_t *buffer; /* owned */
    size_t buffer_size;
    size_t at; /* of the next batch in the buffer */
    size_t have;
    uint64_t next_position; /* of buffer[at] in the file */
};

/* Of one file, or (after dump_cursor_add) of the segments of a directory. */
void dump_cursor_init_file(struct dump_cursor *cursor, struct env *env, const char *path);
void dump_cursor_init_dir(struct dump_cursor *cursor, struct env *env, const char *dir);
MUST_USE enum err dump_cursor_add(struct dump_cursor *cursor, int64_t base);
/* Goes on to the next state; AWAIT source until !busy. After END or ERROR nothing is open. */
void dump_cursor_next(struct dump_cursor *cursor);
/* Closes early: goes on to END. */
void dump_cursor_stop(struct dump_cursor *cursor);
void dump_cursor_deinit(struct dump_cursor *cursor);
#define AWAIT_CURSOR(o, STEP, C) AWAIT(o, STEP, &(C)->source, !(C)->busy)

/* ---- the run --------------------------------------------------------------------------------- */

struct dump_name {
    struct dump_name *next;
    bool directory;
    char name[]; /* terminated */
};

enum dump_item_kind {
    DUMP_ITEM_FILE,
    DUMP_ITEM_PARTITION, /* a directory with segments */
    DUMP_ITEM_ROOT,      /* files of a log directory itself */
};

/* What a path stands for; a log directory stands for itself and its partitions. */
struct dump_item {
    struct dump_item *next;
    enum dump_item_kind kind;
    struct dump_name *names; /* of the directory, sorted */
    char path[];             /* terminated */
};

/* What DIGEST and COMPARE find out about a replica. */
struct dump_replica {
    struct dump_replica *next;
    struct dump_item *item;
    int64_t log_start;
    int64_t log_end;
    int64_t high_watermark; /* -1: no line */
    int64_t to;             /* exclusive */
    uint64_t batches;
    uint64_t records;
    bool unreadable; /* an I/O error, or no memory: nothing is said about it */
    struct hash128_value sum;
};

/* The op of a mode, over the same work. */
struct dump_inner {
    struct op op;
    struct dump_work *work;
    bool busy;
};

struct dump_work {
    struct op op;
    struct dump_inner inner;
    struct dump *dump;
    struct arena names;
    struct arena scratch; /* of one record */
    struct dump_item *items;
    struct dump_item **items_end;
    struct dump_item *item;
    struct dump_name *name;
    struct dump_replica *replicas;
    struct dump_replica **replicas_end;
    struct dump_replica *replica;
    struct hash128 hash;
    struct log_io io;
    struct log_load load;
    struct op_source source; /* the inner op ended */
    uint8_t *list;           /* owned */
    uint64_t list_size;
    uint32_t path_at;
    struct dump_cursor cursor;
    struct dump_cursor other;
    struct text text;
    char path[LOG_PATH_MAX];
    char line[DUMP_LINE_MAX];
};

#define AWAIT_INNER(o, STEP) AWAIT(o, STEP, &(o)->source, !(o)->inner.busy)
void dump_inner_start(struct dump_work *work, const struct op_kind *kind);
void dump_inner_finish(struct op *op);

/* One line of output: begin, text_..., end. */
struct text *dump_line(struct dump_work *work);
void dump_print_line(struct dump_work *work);
/* One line to the errors; the run has failed. */
void dump_error(struct dump_work *work, const char *path, const char *what, const char *detail);
bool dump_is_log(struct str name);
struct str dump_base_name(const char *path);

/* ---- text ------------------------------------------------------------------------------------ */

void dump_print_batch(struct dump_work *work, const struct dump_cursor *cursor, bool metadata);
/* A whole file that holds no batches; by its name. */
void dump_print_file(struct dump_work *work, struct str name, struct bytes file);

/* The modes: inner ops over work->item, work->replicas. */
extern const struct op_kind dump_show_kind;
extern const struct op_kind dump_digest_kind;
extern const struct op_kind dump_compare_kind;

#endif

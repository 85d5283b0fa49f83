/* A log that moves to another directory of its broker (KIP-113): the copy, and the names on disk.
 * The op that drives it, and what a replica does meanwhile, is broker/replica/manager_move.c.
 *
 *   the directory it is in        the directory it goes to
 *   T-P                           T-P.U-future    grows like a follower: batches with their crc
 *                                                 checked, own indexes, producers and epochs
 *                                                 (with those of before it: log_handover.c); cut
 *                                                 and raised with the log it copies
 *   T-P    (nobody appends)       T-P.U-future    has all of it, the same epochs; closed in order,
 *                                                 so synced; its lines stand in the checkpoints
 *   T-P                           T-P.I-moved     renamed, root synced
 *   T-P.I-delete                  T-P.I-moved     renamed, root synced: here it has moved
 *   (unlinked)                    T-P             renamed, root synced, opened
 *
 * U is drawn for each copy, I the topic id. A start finds exactly one whole log: T-P, wherever it
 * is, else T-P.I-moved, which takes the name then. Every -future goes, and every -moved beside a
 * T-P. The lines of the checkpoints of T-P.I-moved stand under T-P.
 *
 * DIFFERS: Kafka renames -future to T-P while the other T-P is still there, and dies with both of
 * them there, or with a copy that has no epochs (KAFKA-15608); -moved is a name that Kafka does not
 * know, and stands between three renames only. A copy that a stop interrupts is begun anew when it
 * is asked for again; Kafka goes on with it. */
#ifndef BROKER_LOG_LOG_MOVE_H
#define BROKER_LOG_LOG_MOVE_H

#include "broker/log/log.h"

enum { LOG_MOVE_BYTES = 1 << 20 /* of one read; appended before the next is begun */ };

/* T-P.I-moved: `name` becomes T-P. */
MUST_USE bool log_move_parse(struct str directory, struct str *name, struct uuid *id);

/* U of the T-P.U-moved beside `known`; zero: there is none. */
struct uuid log_move_id(const struct log_dir *dir, const struct log_known *known);

/* A log that is being copied, as long as that lasts; embedded by who copies it. */
struct log_copied {
    struct list link; /* in dir->copied: one per directory that something moves to, at most */
    struct log *log;
    int64_t lowest_end; /* that a cut has left since it was looked at last; INT64_MAX: no cut */
};
/* Begins, also anew; until log_copied_end(), which is before the log is freed. A first time the
 * link is initialised by the caller. */
void log_copied_begin(struct log_copied *copied, struct log *log);
void log_copied_end(struct log_copied *copied);

/* Starts to open a new copy that begins at `base`, where the first batch of `from` does. NULL: as
 * log_open(), or a name that is too long. */
struct log *log_move_open(struct log_dir *dir, const struct log *from, struct uuid id, int64_t base,
                          const struct log_config *config);
/* Base of the batch that holds the log start, of a read there. */
int64_t log_move_base(const struct log *from, const struct log_read *read);

enum log_move_step {
    LOG_MOVE_READ,  /* *read is prepared for log_read(from) */
    LOG_MOVE_CUT,   /* a truncation or reset of the copy was begun: until it is OPEN again */
    LOG_MOVE_WAIT,  /* `from` is being cut: until it is OPEN again */
    LOG_MOVE_LEVEL, /* the copy ends where the log ends */
    LOG_MOVE_ANEW,  /* what `from` has now begins elsewhere: another copy */
    LOG_MOVE_OVER,  /* one of the two is not open (any more), or there is no memory */
};
/* What there is to do next; both logs are quiet: the copy has no append under way. */
enum log_move_step log_move_next(struct log_copied *copied, struct log *to, struct log_read *read);
/* One slice of the read. */
MUST_USE enum err log_move_append(struct log *to, struct log_read *read, uint32_t slice,
                                  struct log_append *append);
/* The epochs of `from`, all of them, also those that no batch (any more) stands for: no batch says
 * them. Both end at the same offset; durable when log_move_settled(). */
MUST_USE enum err log_move_epochs(struct log *to, const struct log *from);
bool log_move_settled(const struct log *to);
/* Nothing is missing: ends and epochs. */
bool log_move_same(const struct log *from, const struct log *to);
/* Of a copy that was closed, and its memory: the directory of `to` knows it under its name from the
 * next checkpoint on. False: no memory. `cleaned`: of `from`, when the copy was begun. */
MUST_USE bool log_move_known(struct log *from, struct log *to, int64_t cleaned);
/* Frees a copy that is CLOSED, with what the directory knows of it. */
void log_move_free(struct log *to);

/* One name for another in a directory, durably. */
enum log_move_name { LOG_MOVE_FUTURE, LOG_MOVE_MOVED, LOG_MOVE_FINAL, LOG_MOVE_DELETE };
struct text;
/* What stands behind T-P. */
void log_move_name(struct text *name, struct uuid id, enum log_move_name kind);
struct log_rename { /* private but for done, err, source */
    struct op_source source;
    bool done;
    enum err err;
    struct log_dir *dir;
    bool renamed;
    struct disk_req req;
    char from[LOG_PATH_MAX];
    char to[LOG_PATH_MAX];
};
/* `name`: T-P; `from_id` in front of the suffix. */
void log_rename_start(struct log_rename *rename, struct log_dir *dir, struct str name,
                      enum log_move_name from, struct uuid from_id, enum log_move_name to,
                      struct uuid to_id);
/* It is done and went well: T-P.I-moved is T-P now, or is gone. */
void log_move_named(struct log_dir *dir, struct str name, bool listed);

#endif

/* gregor-broker dump-log: what stands in the files of a partition, for people and scripts. Reads
 * through the world's disk and changes nothing: no lock, no repair, so it may look at the
 * directory of a stopped broker and at that of a running one (then a part of a batch at the end is
 * an append under way).
 *
 *   SHOW      every file of a partition (or of all partitions of a log directory), line by line
 *   DIGEST    one sum over the batches, whatever the segment boundaries
 *   COMPARE   replicas side by side: start, end, high watermark, epochs, the first difference
 *
 *   dump.c          what the paths are; the flow over them
 *   dump_cursor.c   batch after batch of a file or a partition
 *   dump_show.c     SHOW       dump_print.c   the text of each kind of file
 *   dump_replica.c  DIGEST, COMPARE */
#ifndef BROKER_LOG_DUMP_H
#define BROKER_LOG_DUMP_H

#include "client/base/arena.h"
#include "client/world/env.h"

/* Where lines go. Embedded by who prints them. */
struct dump_sink {
    void (*line)(struct dump_sink *sink, struct str line);
    void (*error)(struct dump_sink *sink, struct str line);
};

enum dump_mode {
    DUMP_SHOW,
    DUMP_DIGEST,
    DUMP_COMPARE,
};

enum { DUMP_PATHS_MAX = 256 };

struct dump_request {
    enum dump_mode mode;
    bool to_high_watermark; /* DIGEST, COMPARE: only below it */
    int64_t to;             /* DIGEST, COMPARE: only batches that end at or below it; -1: all */
    uint32_t path_count;
    const char *paths[DUMP_PATHS_MAX]; /* borrowed until the end */
};

/* `arguments`: what follows "dump-log". BAD_CONFIG with what is wrong in `error`. */
MUST_USE enum err dump_parse(struct dump_request *request, int argument_count,
                             char *const *arguments, struct errmsg *error);

/* One run. */
struct dump_work;
struct dump {
    struct env *env;
    struct dump_sink *sink;
    struct dump_request request;
    struct op_source done_source;
    bool done;
    bool failed;            /* something could not be read, is damaged, or differs: exit code 1 */
    struct dump_work *work; /* private */
};

/* Starts; AWAIT done_source until done. Everything is given back then. */
void dump_start(struct dump *dump, struct env *env, const struct dump_request *request,
                struct dump_sink *sink);

#endif

/* The tail of all logs of a node in memory: one first-in first-out queue of the counted buffers
 * that batches arrived in, under one cap of bytes. Readers at the end of a log are served from here
 * (architecture.md 6); what fell out is read from disk. Holds completed appends only.
 *
 * A log keeps no more than readers find there (LOG_TAIL_BATCHES) and LOG_TAIL_BYTES of memory: one
 * busy partition lives in the processor's cache, and leaves room for the others. */
#ifndef BROKER_LOG_LOG_CACHE_H
#define BROKER_LOG_LOG_CACHE_H

#include "client/base/buf.h"
#include "client/base/bytes.h"
#include "client/base/list.h"
#include "client/base/pool.h"

enum {
    LOG_TAIL_BATCHES = 512,           /* a reader further behind goes to the page cache */
    LOG_TAIL_BYTES = 4 * 1024 * 1024, /* of one log (performance.md 5.4); one batch may be larger */
};

/* What is cached of one log. */
struct log_tail {
    struct list batches; /* ascending offsets */
    uint32_t count;
    size_t bytes; /* as charged */
};

/* One batch. */
struct log_cached {
    struct list age; /* in the cache, oldest first */
    struct list own; /* in its log's tail */
    struct log_tail *tail;
    size_t charge;   /* the buffer as a whole when the batch is most of it */
    struct buf *buf; /* counted */
    struct bytes bytes;
    int64_t base_offset;
    int64_t last_offset;
};

struct log_cache {
    struct pool pool;
    struct list age;
    size_t bytes;
    size_t bytes_max;
};

/* `bytes_max` is well below the payload budget, which the cached buffers are part of. */
void log_cache_init(struct log_cache *cache, struct mem *mem, size_t bytes_max,
                    uint32_t batches_max);
void log_cache_deinit(struct log_cache *cache);

void log_tail_init(struct log_tail *tail);
/* Drops the oldest of the log, then of the node, to make room; takes a reference. */
void log_cache_add(struct log_cache *cache, struct log_tail *tail, struct buf *buf,
                   struct bytes bytes, int64_t base_offset, int64_t last_offset);
/* The batch that holds `offset`, or NULL. Looks from the end. */
struct log_cached *log_cache_find(const struct log_tail *tail, int64_t offset);
/* Forgets what reaches to `offset` or beyond it. */
/* What ends at or below `offset` was compacted: its bytes are others now. */
void log_cache_cut_below(struct log_cache *cache, struct log_tail *tail, int64_t offset);
void log_cache_cut(struct log_cache *cache, struct log_tail *tail, int64_t offset);

#endif

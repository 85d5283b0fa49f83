/* The tail of all logs of a node in memory: one first-in first-out queue of the counted buffers
 * that batches arrived in, under one cap of bytes. Readers at the end of a log are served from here
 * (architecture.md 6); what fell out is read from disk. Holds completed appends only. */
#ifndef BROKER_LOG_LOG_CACHE_H
#define BROKER_LOG_LOG_CACHE_H

#include "client/base/buf.h"
#include "client/base/bytes.h"
#include "client/base/list.h"
#include "client/base/pool.h"

/* One batch. */
struct log_cached {
    struct list age; /* in the cache, oldest first */
    struct list own; /* in its log, ascending offsets */
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

/* `own`: the log's list. Drops the oldest of the node to make room; takes a reference. */
void log_cache_add(struct log_cache *cache, struct list *own, struct buf *buf, struct bytes bytes,
                   int64_t base_offset, int64_t last_offset);
/* The batch that holds `offset`, or NULL. Looks from the end, a bounded number of steps. */
struct log_cached *log_cache_find(const struct list *own, int64_t offset);
/* Forgets what reaches to `offset` or beyond it. */
void log_cache_cut(struct log_cache *cache, struct list *own, int64_t offset);

#endif

#include "broker/log/log_cache.h"

/* A reader further behind than this many batches goes to the disk: the page cache has it. */
enum { LOG_CACHE_LOOK_MAX = 512 };

void log_cache_init(struct log_cache *cache, struct mem *mem, size_t bytes_max,
                    uint32_t batches_max)
{
    *cache = (struct log_cache){.bytes_max = bytes_max};
    pool_init(&cache->pool, mem, sizeof(struct log_cached), batches_max);
    list_init(&cache->age);
}

void log_cache_deinit(struct log_cache *cache)
{
    ASSERT(list_empty(&cache->age));
    ASSERT(cache->bytes == 0);
    pool_deinit(&cache->pool);
}

static void log_cache_drop(struct log_cache *cache, struct log_cached *cached)
{
    ASSERT(cache->bytes >= cached->bytes.length);
    list_remove(&cached->age);
    list_remove(&cached->own);
    cache->bytes -= cached->bytes.length;
    buf_unref(cached->buf);
    pool_give(&cache->pool, cached);
}

void log_cache_add(struct log_cache *cache, struct list *own, struct buf *buf, struct bytes bytes,
                   int64_t base_offset, int64_t last_offset)
{
    struct log_cached *cached;

    if (bytes.length > cache->bytes_max) return;
    while (cache->bytes + bytes.length > cache->bytes_max)
        log_cache_drop(cache, LIST_ENTRY(cache->age.next, struct log_cached, age));
    cached = pool_take(&cache->pool);
    if (cached == NULL && !list_empty(&cache->age)) {
        log_cache_drop(cache, LIST_ENTRY(cache->age.next, struct log_cached, age));
        cached = pool_take(&cache->pool);
    }
    if (cached == NULL) return;
    *cached = (struct log_cached){.buf = buf_ref(buf),
                                  .bytes = bytes,
                                  .base_offset = base_offset,
                                  .last_offset = last_offset};
    list_init(&cached->age);
    list_init(&cached->own);
    list_push(&cache->age, &cached->age);
    list_push(own, &cached->own);
    cache->bytes += bytes.length;
}

struct log_cached *log_cache_find(const struct list *own, int64_t offset)
{
    struct log_cached *found = NULL;
    uint32_t looked = 0;

    for (struct list *link = own->prev; link != own; link = link->prev) {
        struct log_cached *cached = LIST_ENTRY(link, struct log_cached, own);

        if (cached->last_offset < offset || ++looked > LOG_CACHE_LOOK_MAX) break;
        found = cached;
    }
    /* In a gap of a compacted log the next batch is the answer only if the one before it is known
     * to end below: the first cached batch must hold the offset itself. */
    if (found == NULL || found->last_offset < offset) return NULL;
    if (found->base_offset > offset) return NULL;
    return found;
}

void log_cache_cut(struct log_cache *cache, struct list *own, int64_t offset)
{
    while (!list_empty(own)) {
        struct log_cached *last = LIST_ENTRY(own->prev, struct log_cached, own);

        if (last->last_offset < offset) return;
        log_cache_drop(cache, last);
    }
}

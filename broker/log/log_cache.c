#include "broker/log/log_cache.h"

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
    struct log_tail *tail = cached->tail;

    ASSERT(cache->bytes >= cached->charge);
    ASSERT(tail->bytes >= cached->charge && tail->count > 0);
    list_remove(&cached->age);
    list_remove(&cached->own);
    tail->count--;
    tail->bytes -= cached->charge;
    cache->bytes -= cached->charge;
    buf_unref(cached->buf);
    pool_give(&cache->pool, cached);
}

static void log_cache_drop_oldest(struct log_cache *cache)
{
    log_cache_drop(cache, LIST_ENTRY(cache->age.next, struct log_cached, age));
}

void log_tail_init(struct log_tail *tail)
{
    *tail = (struct log_tail){.count = 0};
    list_init(&tail->batches);
}

void log_cache_add(struct log_cache *cache, struct log_tail *tail, struct buf *buf,
                   struct bytes bytes, int64_t base_offset, int64_t last_offset)
{
    size_t charge = bytes.length > buf->capacity / 2 ? buf->capacity : bytes.length;
    struct log_cached *cached;

    if (charge > cache->bytes_max) return;
    while (tail->count > 0 &&
           (tail->count >= LOG_TAIL_BATCHES || tail->bytes + charge > LOG_TAIL_BYTES))
        log_cache_drop(cache, LIST_ENTRY(tail->batches.next, struct log_cached, own));
    while (cache->bytes + charge > cache->bytes_max)
        log_cache_drop_oldest(cache);
    cached = pool_take(&cache->pool);
    if (cached == NULL && !list_empty(&cache->age)) {
        log_cache_drop_oldest(cache);
        cached = pool_take(&cache->pool);
    }
    if (cached == NULL) return;
    *cached = (struct log_cached){.tail = tail,
                                  .charge = charge,
                                  .buf = buf_ref(buf),
                                  .bytes = bytes,
                                  .base_offset = base_offset,
                                  .last_offset = last_offset};
    list_init(&cached->age);
    list_init(&cached->own);
    list_push(&cache->age, &cached->age);
    list_push(&tail->batches, &cached->own);
    tail->count++;
    tail->bytes += charge;
    cache->bytes += charge;
}

struct log_cached *log_cache_find(const struct log_tail *tail, int64_t offset)
{
    struct log_cached *found = NULL;

    for (struct list *link = tail->batches.prev; link != &tail->batches; link = link->prev) {
        struct log_cached *cached = LIST_ENTRY(link, struct log_cached, own);

        if (cached->last_offset < offset) break;
        found = cached;
    }
    /* In a gap of a compacted log the next batch is the answer only if the one before it is known
     * to end below: the first cached batch must hold the offset itself. */
    if (found == NULL || found->last_offset < offset) return NULL;
    if (found->base_offset > offset) return NULL;
    return found;
}

void log_cache_cut(struct log_cache *cache, struct log_tail *tail, int64_t offset)
{
    while (tail->count > 0) {
        struct log_cached *last = LIST_ENTRY(tail->batches.prev, struct log_cached, own);

        if (last->last_offset < offset) return;
        log_cache_drop(cache, last);
    }
}

void log_cache_cut_below(struct log_cache *cache, struct log_tail *tail, int64_t offset)
{
    while (tail->count > 0) {
        struct log_cached *first = LIST_ENTRY(tail->batches.next, struct log_cached, own);

        if (first->base_offset >= offset) return;
        log_cache_drop(cache, first);
    }
}

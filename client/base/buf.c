#include "client/base/buf.h"

#include "client/base/assert.h"

void buf_budget_init(struct buf_budget *budget, struct mem *mem, size_t limit, size_t reserved)
{
    ASSERT(reserved <= limit);
    *budget = (struct buf_budget){.mem = mem, .limit = limit, .reserved = reserved};
}

void buf_budget_deinit(struct buf_budget *budget)
{
    ASSERT(budget->used == 0);
    ASSERT(budget->buffers == 0);
}

bool buf_fits(const struct buf_budget *budget, size_t size, bool may_use_reserve)
{
    size_t ceiling = may_use_reserve ? budget->limit : budget->limit - budget->reserved;
    size_t capacity;

    if (size > MEM_MAX) return false;
    capacity = mem_class_size(size);
    return budget->used <= ceiling && capacity <= ceiling - budget->used;
}

struct buf *buf_take(struct buf_budget *budget, size_t size, bool may_use_reserve)
{
    struct buf *buf;
    size_t capacity;

    ASSERT(size > 0);
    if (!buf_fits(budget, size, may_use_reserve)) return NULL;
    capacity = mem_class_size(size);
    buf = mem_alloc(budget->mem, sizeof *buf);
    if (buf == NULL) return NULL;
    *buf = (struct buf){.refs = 1, .capacity = (uint32_t)capacity, .budget = budget};
    buf->data = mem_alloc(budget->mem, capacity);
    if (buf->data == NULL) {
        mem_free(budget->mem, buf, sizeof *buf);
        return NULL;
    }
    budget->used += capacity;
    if (budget->used > budget->peak) budget->peak = budget->used;
    budget->buffers++;
    return buf;
}

struct buf *buf_ref(struct buf *buf)
{
    ASSERT(buf->refs > 0 && buf->refs < UINT32_MAX);
    buf->refs++;
    return buf;
}

void buf_unref(struct buf *buf)
{
    struct buf_budget *budget;

    if (buf == NULL) return;
    ASSERT(buf->refs > 0);
    buf->refs--;
    if (buf->refs > 0) return;
    if (buf->released != NULL) buf->released(buf);
    budget = buf->budget;
    ASSERT(budget->used >= buf->capacity && budget->buffers > 0);
    budget->used -= buf->capacity;
    budget->buffers--;
    mem_free(budget->mem, buf->data, buf->capacity);
    mem_free(budget->mem, buf, sizeof *buf);
}

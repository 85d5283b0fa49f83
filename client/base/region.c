#include "client/base/region.h"

#include "client/base/assert.h"
#include "client/base/poison.h"

void region_init(struct region *region, void *base, size_t size)
{
    ASSERT(((uintptr_t)base & (REGION_ALIGN - 1)) == 0);
    *region = (struct region){.base = base, .size = size, .used = 0};
    /* A former life of the same memory may have left it poisoned. */
    UNPOISON(base, size);
}

void *region_take(struct region *region, size_t size, size_t align)
{
    uintptr_t at = (uintptr_t)region->base + region->used;
    size_t padding;
    size_t room = region->size - region->used;

    ASSERT(align != 0 && (align & (align - 1)) == 0);
    padding = (size_t)(-at & (align - 1));
    if (padding > room || size > room - padding) return NULL;
    region->used += padding + size;
    return region->base + (region->used - size);
}

void region_reset(struct region *region)
{
    UNPOISON(region->base, region->used);
    region->used = 0;
}

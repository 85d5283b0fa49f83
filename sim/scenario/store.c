#include "sim/scenario/store.h"

#include "sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct store_block {
    struct store_block *next;
    max_align_t data[];
};

void *store_take(struct store *store, size_t size)
{
    struct store_block *block = sim_alloc(sizeof *block + size);

    block->next = store->blocks;
    store->blocks = block;
    return block->data;
}

char *store_text(struct store *store, const char *text, size_t length)
{
    char *copy = store_take(store, length + 1);

    if (length > 0) memcpy(copy, text, length);
    return copy;
}

char *store_format(struct store *store, const char *format, ...)
{
    char buffer[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(buffer, sizeof buffer, format, args);
    va_end(args);
    return store_text(store, buffer, strlen(buffer));
}

void *store_grow(struct store *store, void *array, size_t count, size_t size)
{
    void *grown;

    /* Capacities are 4, 8, 16, ...: a full one is recognised by its count. */
    if (count != 0 && (count < 4 || (count & (count - 1)) != 0)) return array;
    grown = store_take(store, (count == 0 ? 4 : count * 2) * size);
    if (count > 0) memcpy(grown, array, count * size);
    return grown;
}

void store_free(struct store *store)
{
    while (store->blocks != NULL) {
        struct store_block *block = store->blocks;

        store->blocks = block->next;
        free(block);
    }
}

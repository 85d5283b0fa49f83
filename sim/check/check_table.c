#include "sim/check/check_table.h"

#include "client/base/assert.h"

#include <stdlib.h>

enum { TABLE_FIRST_LOG = 6, TABLE_MAX_LOG = 30, TABLE_ROW_LOG = 3 };

void check_table_deinit(struct check_table *table)
{
    free(table->slots);
    *table = (struct check_table){0};
}

/* Where the key is, or the free slot it would take. Offsets and values come in rows: neighbours in
 * `b` are neighbours in the table, so that a row does not miss the processor's cache each time. */
static struct check_slot *table_place(const struct check_table *table, uint64_t a, uint64_t b)
{
    uint64_t row = b >> TABLE_ROW_LOG;
    uint64_t hash = (a * UINT64_C(0x9e3779b97f4a7c15)) ^ (row * UINT64_C(0xc2b2ae3d27d4eb4f));
    uint64_t mask = (UINT64_C(1) << table->size_log) - 1;

    hash ^= hash >> 29;
    hash *= UINT64_C(0xbf58476d1ce4e5b9);
    hash ^= hash >> 32;
    hash = (hash << TABLE_ROW_LOG) + (b & ((1u << TABLE_ROW_LOG) - 1));
    for (uint64_t at = hash & mask;; at = (at + 1) & mask) {
        struct check_slot *slot = &table->slots[at];

        if (slot->value == 0 || (slot->a == a && slot->b == b)) return slot;
    }
}

uint32_t check_table_get(const struct check_table *table, uint64_t a, uint64_t b)
{
    return table->slots == NULL ? 0 : table_place(table, a, b)->value;
}

static void table_grow(struct check_table *table)
{
    struct check_table old = *table;
    uint32_t size_log = old.slots == NULL ? TABLE_FIRST_LOG : old.size_log + 1;

    ASSERT(size_log <= TABLE_MAX_LOG);
    table->slots = calloc((size_t)1 << size_log, sizeof *table->slots);
    ASSERT(table->slots != NULL);
    table->size_log = size_log;
    if (old.slots == NULL) return;
    for (size_t i = 0; i < (size_t)1 << old.size_log; i++) {
        const struct check_slot *slot = &old.slots[i];

        if (slot->value != 0) *table_place(table, slot->a, slot->b) = *slot;
    }
    free(old.slots);
}

void check_table_set(struct check_table *table, uint64_t a, uint64_t b, uint32_t value)
{
    struct check_slot *slot;

    ASSERT(value != 0);
    if (table->slots == NULL || (uint64_t)table->count * 4 >= (UINT64_C(3) << table->size_log))
        table_grow(table);
    slot = table_place(table, a, b);
    if (slot->value == 0) table->count++;
    *slot = (struct check_slot){a, b, value};
}

/* A map from two numbers to one above 0, for ghosts: grows, never shrinks, has no order anyone can
 * see. */
#ifndef SIM_CHECK_CHECK_TABLE_H
#define SIM_CHECK_CHECK_TABLE_H

#include <stdint.h>

struct check_slot {
    uint64_t a;
    uint64_t b;
    uint32_t value; /* 0: free */
};

struct check_table {
    struct check_slot *slots; /* owned; NULL until the first set */
    uint32_t size_log;
    uint32_t count;
};

void check_table_deinit(struct check_table *table);
/* 0: not there. */
uint32_t check_table_get(const struct check_table *table, uint64_t a, uint64_t b);
/* value > 0; replaces. */
void check_table_set(struct check_table *table, uint64_t a, uint64_t b, uint32_t value);

#endif

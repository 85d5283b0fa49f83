/* Memory of one parsed scenario: everything is taken piece by piece and given back at once. */
#ifndef SIM_SCENARIO_STORE_H
#define SIM_SCENARIO_STORE_H

#include <stddef.h>

struct store_block;

struct store {
    struct store_block *blocks;
};

/* Zeroed, never NULL. */
void *store_take(struct store *store, size_t size);
char *store_text(struct store *store, const char *text, size_t length); /* a terminated copy */
char *store_format(struct store *store, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Room for `count + 1` elements of `size`; `array` has `count` and may move. */
void *store_grow(struct store *store, void *array, size_t count, size_t size);
void store_free(struct store *store);

#endif

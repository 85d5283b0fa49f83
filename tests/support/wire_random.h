/* Random values of any message, and their comparison, driven by the field tables. */
#ifndef TESTS_SUPPORT_WIRE_RANDOM_H
#define TESTS_SUPPORT_WIRE_RANDOM_H

#include "client/base/rng.h"
#include "client/wire/wire.h"

/* Fills `value` (message->body->size bytes) with what `version` can say: edge numbers, nulls where
 * allowed, empty and short arrays. Memory from the arena. */
void wire_random_value(struct rng *rng, struct arena *arena, const struct wire_message *message,
                       int16_t version, void *value);
/* NULL when equal, else the name of the first field that differs. */
const char *wire_random_difference(const struct wire_struct *type, const void *a, const void *b);

#endif

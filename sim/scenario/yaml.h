/* YAML text as a tree that knows where each word stands. The only user of libfyaml.
 *
 * Only what scenarios need: one document, scalars, lists, maps with scalar keys. No anchors, no
 * tags. A key that is written twice is an error here: a scenario that says two things says none. */
#ifndef SIM_SCENARIO_YAML_H
#define SIM_SCENARIO_YAML_H

#include "sim/scenario/store.h"

#include <stdbool.h>
#include <stdint.h>

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml {
    enum yaml_kind kind;
    int line; /* from 1 */
    int column;
    bool quoted;      /* SCALAR: not plain */
    const char *text; /* SCALAR, terminated */
    uint32_t count;   /* of items; of pairs */
    struct yaml **items;
    struct yaml **keys; /* MAP: as many as items */
};

/* The first thing that is wrong with a file: "file:line:column: what; what would be right". */
struct yaml_error {
    char text[640];
};

/* NULL with an error. `file` is only for the message. */
struct yaml *yaml_parse(struct store *store, const char *file, const char *text, size_t length,
                        struct yaml_error *error);
/* Writes the message unless there is one already. */
void yaml_fail(struct yaml_error *error, const char *file, int line, int column, const char *format,
               ...) __attribute__((format(printf, 5, 6)));
static inline bool yaml_failed(const struct yaml_error *error)
{
    return error->text[0] != '\0';
}
/* Value of a key, or NULL. */
struct yaml *yaml_get(const struct yaml *map, const char *key);

#endif

/* JSON as the plans of reassignments are written in: read into values, nothing more. */
#ifndef CLIENT_CLI_JSON_H
#define CLIENT_CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>

enum json_kind { JSON_NULL, JSON_TRUE, JSON_FALSE, JSON_NUMBER, JSON_STRING, JSON_LIST, JSON_MAP };
enum { JSON_DEPTH_MAX = 32 };

struct json {
    enum json_kind kind;
    char *text;     /* STRING; of a member: its value's */
    int64_t number; /* NUMBER, where it is `whole` */
    bool whole;
    struct json *items; /* LIST; MAP: the values */
    char **keys;        /* MAP */
    uint32_t count;
    uint32_t line; /* where it begins, from 1 */
    uint32_t column;
};

struct json_error {
    uint32_t line;
    uint32_t column;
    const char *wrong;
};

/* NULL: `error` says what is wrong and where. Freed by json_free(). */
struct json *json_parse(const char *text, struct json_error *error);
void json_free(struct json *value);
/* A member of a map; NULL: none. */
const struct json *json_get(const struct json *map, const char *key);
/* Whole, from 0 to INT32_MAX. */
bool json_is_id(const struct json *value, int32_t *id);

#endif

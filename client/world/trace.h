/* Typed trace events: how a core tells what it does. See trace_table.h for the vocabulary.
 *
 * Emitting costs a store per field and one call; nothing is formatted. No draw, no decision and no
 * submit happens inside a sink as far as the emitter can tell. */
#ifndef CLIENT_WORLD_TRACE_H
#define CLIENT_WORLD_TRACE_H

#include "client/base/bytes.h"
#include "client/world/trace_table.h"

enum { TRACE_FIELDS_MAX = 8 };

#define TRACE_ENUM(name, level, dotted, fields) TRACE_##name,
enum trace_kind { TRACE_LIST(TRACE_ENUM) TRACE_KIND_COUNT };
#undef TRACE_ENUM

struct trace_event {
    enum trace_kind kind;
    uint32_t field_count;
    int64_t fields[TRACE_FIELDS_MAX];
    struct str text; /* borrowed for the call */
};

/* Which stream of random numbers a seed is for. */
enum dice_concern {
    DICE_IDENTITY, /* directory ids, topic ids, incarnations, cluster ids */
    DICE_TIMEOUTS, /* election and backoff jitter */
    DICE_PLACEMENT,
    DICE_HASH, /* seeds of hash tables */
    DICE_CLIENT,
    DICE_WORKLOAD,
};

struct world;

struct trace_kind_info {
    char level;         /* D I W E */
    const char *name;   /* "replica.hw" */
    const char *fields; /* "topic partition old new ..." */
    uint32_t field_count;
};
void trace_kind_describe(enum trace_kind kind, struct trace_kind_info *info);
/* Field number by name, or -1. For readers, not for the hot path. */
int trace_field(enum trace_kind kind, struct str name);

void trace_emit(struct world *world, enum trace_kind kind, struct str text, const int64_t *fields,
                uint32_t field_count);

/* TRACE_LEVEL_<kind>, a constant: what nobody listens to costs one test (world.trace_detail). */
#define TRACE_LEVEL_ENUM(name, level, dotted, fields) TRACE_LEVEL_##name = level,
enum trace_level { TRACE_LIST(TRACE_LEVEL_ENUM) };
#undef TRACE_LEVEL_ENUM

/* TRACE(world, REPLICA_HW, topic, partition, old, new, role, epoch): fields in table order. The
 * arguments have no effects: they are not evaluated for an event that nobody listens to. */
#define TRACE(world, KIND, ...) TRACE_TEXT(world, KIND, STR_NULL, __VA_ARGS__)
#define TRACE_TEXT(world, KIND, text, ...)                                                \
    do {                                                                                  \
        if (TRACE_LEVEL_##KIND == 'D' && !(world)->trace_detail) break;                   \
        trace_emit((world), TRACE_##KIND, (text), (const int64_t[]){__VA_ARGS__},         \
                   (uint32_t)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))); \
    } while (0)

#endif

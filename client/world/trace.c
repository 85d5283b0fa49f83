#include "client/world/trace.h"

#include "client/base/assert.h"
#include "client/world/world.h"

static const struct {
    char level;
    const char *name;
    const char *fields;
} trace_table[] = {
#define X(name, level, dotted, fields) [TRACE_##name] = {level, dotted, fields},
    TRACE_LIST(X)
#undef X
};

_Static_assert(sizeof trace_table / sizeof trace_table[0] == TRACE_KIND_COUNT, "one row a kind");

/* The words of a field list: where the n-th begins, or how many there are. */
static uint32_t trace_words(const char *fields, struct str find, int *found)
{
    uint32_t count = 0;

    for (const char *at = fields; *at != '\0';) {
        uint32_t length = 0;

        while (at[length] != '\0' && at[length] != ' ')
            length++;
        if (found != NULL && str_equal((struct str){at, length}, find)) *found = (int)count;
        count++;
        at += length;
        while (*at == ' ')
            at++;
    }
    return count;
}

void trace_kind_describe(enum trace_kind kind, struct trace_kind_info *info)
{
    ASSERT(kind < TRACE_KIND_COUNT);
    *info = (struct trace_kind_info){
        .level = trace_table[kind].level,
        .name = trace_table[kind].name,
        .fields = trace_table[kind].fields,
        .field_count = trace_words(trace_table[kind].fields, STR_NULL, NULL),
    };
}

int trace_field(enum trace_kind kind, struct str name)
{
    int found = -1;

    ASSERT(kind < TRACE_KIND_COUNT);
    (void)trace_words(trace_table[kind].fields, name, &found);
    return found;
}

void trace_emit(struct world *world, enum trace_kind kind, struct str text, const int64_t *fields,
                uint32_t field_count)
{
    struct trace_event event = {.kind = kind, .field_count = field_count, .text = text};

    ASSERT(field_count <= TRACE_FIELDS_MAX);
    for (uint32_t i = 0; i < field_count; i++)
        event.fields[i] = fields[i];
    world->ops->trace(world, &event);
}

#include "sim/check/check_query.h"

#include "sim/check/check_private.h"

static const struct check_log *query_log(const struct check *check, int64_t topic,
                                         int32_t partition, int32_t node)
{
    for (uint32_t i = 0; i < check->parts.count; i++) {
        const struct check_part *part = check->parts.items[i];

        if (part->topic != topic || part->partition != partition) continue;
        for (uint32_t j = 0; j < check->node_count; j++) {
            if (check->nodes[j].id != node) continue;
            return part->replicas[j] != NULL ? &part->replicas[j]->log : NULL;
        }
    }
    return NULL;
}

enum check_query check_query_same(const struct check *check, int64_t topic, int32_t partition,
                                  int32_t first, int32_t second, int64_t end)
{
    const struct check_log *a = query_log(check, topic, partition, first);
    const struct check_log *b = query_log(check, topic, partition, second);
    int64_t both;

    if (a == NULL || b == NULL) return CHECK_QUERY_UNKNOWN;
    both = a->end < b->end ? a->end : b->end;
    if (both > end) both = end;
    for (uint32_t i = 0; i < a->count && a->entries[i].base < both; i++) {
        uint32_t own = a->entries[i].batch;
        uint32_t theirs;

        if (own == CHECK_UNKNOWN) continue;
        if (check->batches.items[own].last < b->start) continue;
        if (!check_log_find(b, a->entries[i].base, &theirs) || theirs == CHECK_UNKNOWN) continue;
        if (own != theirs) return CHECK_QUERY_DIFFERS;
    }
    return end == INT64_MAX || both < end ? CHECK_QUERY_SHORT : CHECK_QUERY_SAME;
}

/* Which racks hold replicas of a partition, as bits: a rack is what some broker has told, in the
 * order of telling, METADATA_RACKS_MAX of them at most (later ones count as none). A broker that is
 * not in the answer has no rack, as in Java. */
#include "client/metadata.h"

#include <string.h>

uint64_t metadata_rack(const struct metadata *metadata, struct str name)
{
    for (uint32_t i = 0; i < metadata->racks_count; i++)
        if (str_equal(metadata->racks[i], name)) return UINT64_C(1) << i;
    return 0;
}

enum err metadata_rack_add(struct metadata *metadata, struct str name, uint64_t *rack)
{
    char *copy;

    *rack = name.data == NULL || name.length == 0 ? 0 : metadata_rack(metadata, name);
    if (*rack != 0 || name.data == NULL || name.length == 0) return ERR_NONE;
    if (metadata->racks_count == METADATA_RACKS_MAX) return ERR_NONE;
    copy = mem_alloc(&metadata->env->mem, name.length);
    if (copy == NULL) return ERR_NO_MEMORY;
    memcpy(copy, name.data, name.length);
    *rack = UINT64_C(1) << metadata->racks_count;
    metadata->racks[metadata->racks_count++] = (struct str){copy, name.length};
    return ERR_NONE;
}

uint64_t metadata_racks_of(const struct metadata *metadata, const int32_t *replicas, uint32_t count)
{
    uint64_t racks = 0;

    if (metadata->racks_count == 0) return 0;
    for (uint32_t i = 0; i < count; i++) {
        struct map_node *node = map_find_u64(&metadata->nodes, (uint64_t)(int64_t)replicas[i]);

        if (node != NULL) racks |= MAP_ENTRY(node, struct metadata_node, by_id)->rack;
    }
    return racks;
}

void metadata_racks_deinit(struct metadata *metadata)
{
    for (uint32_t i = 0; i < metadata->racks_count; i++)
        mem_free(&metadata->env->mem, (void *)(uintptr_t)metadata->racks[i].data,
                 metadata->racks[i].length);
    metadata->racks_count = 0;
}

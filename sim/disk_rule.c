/* Handles of files, and rules: which request fails, or succeeds and does worse. */
#include "sim/disk_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- handles --------------------------------------------------------------------------------- */

struct disk_handle *disk_handle_of(struct sim_disk *disk, struct disk_file file)
{
    ASSERT(file.handle != 0 && file.handle <= disk->handle_count);
    ASSERT(disk->handles[file.handle].inode != NULL);
    return &disk->handles[file.handle];
}

uint32_t disk_handle_take(struct sim_disk *disk)
{
    uint32_t handle = disk->free_handle;

    if (handle != 0) {
        disk->free_handle = disk->handles[handle].next;
        return handle;
    }
    if (disk->handle_count + 1 >= disk->handle_capacity) {
        disk->handle_capacity = disk->handle_capacity == 0 ? 64 : disk->handle_capacity * 2;
        disk->handles = realloc(disk->handles, disk->handle_capacity * sizeof *disk->handles);
        if (disk->handles == NULL) abort();
    }
    disk->handles[++disk->handle_count] = (struct disk_handle){0};
    return disk->handle_count;
}

void disk_handle_close(struct sim_disk *disk, struct disk_handle *handle)
{
    sim_image_close(disk->image, handle->inode, (handle->flags & DISK_LOCK) != 0);
    free(handle->path);
    *handle = (struct disk_handle){.next = disk->free_handle};
    disk->free_handle = (uint32_t)(handle - disk->handles);
    disk->open_count--;
}

uint32_t disk_path_site(const char *path)
{
    return (uint32_t)sim_digest(0, path, strlen(path));
}

/* ---- rules ----------------------------------------------------------------------------------- */

bool sim_glob(const char *pattern, const char *text)
{
    for (; *pattern != '\0'; pattern++, text++) {
        if (*pattern == '*') {
            for (;; text++) {
                if (sim_glob(pattern + 1, text)) return true;
                if (*text == '\0') return false;
            }
        }
        if (*text == '\0' || (*pattern != '?' && *pattern != *text)) return false;
    }
    return *text == '\0';
}

bool disk_op_has_file(enum disk_op op)
{
    switch (op) {
    case DISK_CLOSE:
    case DISK_PREALLOCATE:
    case DISK_WRITE:
    case DISK_READ:
    case DISK_SYNC:
    case DISK_RESIDENT:
    case DISK_TRUNCATE: return true;
    case DISK_OPEN:
    case DISK_SYNC_MANY:
    case DISK_RENAME:
    case DISK_UNLINK:
    case DISK_MKDIR:
    case DISK_RMDIR:
    case DISK_LIST:
    case DISK_SYNC_DIR:
    case DISK_FREE_SPACE: return false;
    }
    return false;
}

/* A request's decisions fall at its operation and its path; a SYNC_MANY has none. */
struct decide_site disk_site(struct sim_disk *disk, enum decide_what what,
                             const struct disk_req *req)
{
    uint32_t path = 0;

    if (disk_op_has_file(req->op)) {
        path = disk_handle_of(disk, req->file)->site;
    } else if (req->path != NULL && req->op != DISK_SYNC_MANY) {
        path = disk_path_site(req->path);
    }
    return (struct decide_site){what, disk->node->id, (uint64_t)req->op, path};
}

uint64_t disk_slices_length(const struct disk_req *req)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < req->slice_count; i++)
        total += req->slices[i].length;
    return total;
}

static bool rule_spent(const struct sim_disk_rule *rule)
{
    return rule->times != 0 && rule->injected >= rule->times;
}

/* Does the request touch the rule's place? req NULL: a sync of one file among several. */
static bool rule_in_place(const struct sim_disk_rule *rule, const struct disk_req *req)
{
    uint64_t length;

    if (req != NULL && req->op == DISK_OPEN && rule->changes_only) {
        return (req->flags & DISK_READ_ONLY) == 0;
    }
    if (rule->length == 0 || req == NULL) return true;
    length = req->op == DISK_WRITE ? disk_slices_length(req) : req->length;
    return req->offset < rule->offset + rule->length && rule->offset < req->offset + length;
}

static void rules_mend(struct sim_disk *disk, const struct disk_req *req, const char *path)
{
    for (uint32_t i = 0; i < disk->rule_count; i++) {
        struct sim_disk_rule *rule = &disk->rules[i];

        if (!rule->until_written || !rule_in_place(rule, req)) continue;
        if (rule->glob[0] != '\0' && !sim_glob(rule->glob, path)) continue;
        rule->times = 1;
        rule->injected = 1;
    }
}

struct sim_disk_rule *disk_rule_fires(struct sim_disk *disk, enum disk_op op,
                                      const struct disk_req *req, const char *path)
{
    if (op == DISK_WRITE) rules_mend(disk, req, path);
    for (uint32_t i = 0; i < disk->rule_count; i++) {
        struct sim_disk_rule *rule = &disk->rules[i];

        if ((rule->ops >> op & 1) == 0 || rule_spent(rule)) continue;
        if (rule->glob[0] != '\0' && !sim_glob(rule->glob, path)) continue;
        if (!rule_in_place(rule, req)) continue;
        if (rule->nth > 1) {
            rule->nth--;
            continue;
        }
        rule->injected++;
        disk->stats.errors++;
        if (rule->fault > 0 && rule->effect == SIM_DISK_FAIL) {
            sim_fault_hit(disk->node->sim, (enum sim_fault)(rule->fault - 1));
        }
        return rule;
    }
    return NULL;
}

uint32_t sim_disk_add_rule(struct sim_disk *disk, const struct sim_disk_rule *rule)
{
    uint32_t index = 0;

    while (index < disk->rule_count &&
           (disk->rule_count < SIM_DISK_RULES_MAX || !rule_spent(&disk->rules[index]))) {
        index++;
    }
    if (index == SIM_DISK_RULES_MAX) return UINT32_MAX;
    disk->rules[index] = *rule;
    disk->rules[index].injected = 0;
    if (index == disk->rule_count) disk->rule_count++;
    return index;
}

const struct sim_disk_rule *sim_disk_rule(const struct sim_disk *disk, uint32_t index)
{
    ASSERT(index < disk->rule_count);
    return &disk->rules[index];
}

void sim_disk_clear_rules(struct sim_disk *disk)
{
    disk->rule_count = 0;
}

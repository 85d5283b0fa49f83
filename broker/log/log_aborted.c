#include "broker/log/log_aborted.h"

#include "client/base/byteorder.h"

#include <string.h>

void log_aborted_init(struct log_aborted_list *list, struct mem *mem)
{
    *list = (struct log_aborted_list){.mem = mem};
}

void log_aborted_deinit(struct log_aborted_list *list)
{
    mem_free(list->mem, list->entries, list->room * sizeof *list->entries);
    log_aborted_init(list, list->mem);
}

enum err log_aborted_reserve(struct log_aborted_list *list, uint32_t more)
{
    uint32_t room = list->room == 0 ? 8 : list->room;
    struct log_aborted *grown;

    if (list->room - list->count >= more) return ERR_NONE;
    while (room - list->count < more) {
        room *= 2;
        if (room > LOG_ABORTED_MAX) return ERR_NO_MEMORY;
    }
    grown = mem_alloc(list->mem, room * sizeof *grown);
    if (grown == NULL) return ERR_NO_MEMORY;
    if (list->count > 0) memcpy(grown, list->entries, list->count * sizeof *grown);
    mem_free(list->mem, list->entries, list->room * sizeof *grown);
    list->entries = grown;
    list->room = room;
    return ERR_NONE;
}

enum err log_aborted_add(struct log_aborted_list *list, struct log_aborted entry)
{
    enum err err = log_aborted_reserve(list, 1);

    if (err != ERR_NONE) return err;
    list->entries[list->count++] = entry;
    return ERR_NONE;
}

void log_aborted_put(const struct log_aborted_list *list, uint8_t *at)
{
    for (uint32_t i = 0; i < list->count; i++, at += LOG_ABORTED_ENTRY) {
        be_put16(at, 0);
        be_put64(at + 2, (uint64_t)list->entries[i].producer_id);
        be_put64(at + 10, (uint64_t)list->entries[i].first_offset);
        be_put64(at + 18, (uint64_t)list->entries[i].last_offset);
        be_put64(at + 26, (uint64_t)list->entries[i].last_stable);
    }
}

enum err log_aborted_load(struct log_aborted_list *list, struct bytes file)
{
    int64_t last = -1;

    if (file.length % LOG_ABORTED_ENTRY != 0) return ERR_DAMAGED;
    for (uint32_t at = 0; at < file.length; at += LOG_ABORTED_ENTRY) {
        const uint8_t *from = file.data + at;
        struct log_aborted entry = {.producer_id = (int64_t)be_get64(from + 2),
                                    .first_offset = (int64_t)be_get64(from + 10),
                                    .last_offset = (int64_t)be_get64(from + 18),
                                    .last_stable = (int64_t)be_get64(from + 26)};
        enum err err;

        if (be_get16(from) != 0 || entry.producer_id < 0 || entry.first_offset < 0 ||
            entry.last_offset <= last || entry.last_offset < entry.first_offset)
            return ERR_DAMAGED;
        last = entry.last_offset;
        err = log_aborted_add(list, entry);
        if (err != ERR_NONE) return err;
    }
    return ERR_NONE;
}

/* Insertion: the entries come nearly in order. Producer ids break ties. */
void log_aborted_sort(struct log_aborted_list *list)
{
    for (uint32_t i = 1; i < list->count; i++) {
        struct log_aborted entry = list->entries[i];
        uint32_t at = i;

        for (; at > 0; at--) {
            const struct log_aborted *before = &list->entries[at - 1];

            if (before->first_offset < entry.first_offset ||
                (before->first_offset == entry.first_offset &&
                 before->producer_id <= entry.producer_id))
                break;
            list->entries[at] = *before;
        }
        list->entries[at] = entry;
    }
}

/* ---- pass ------------------------------------------------------------------------------------ */

void log_aborted_pass_init(struct log_aborted_pass *pass, struct mem *mem,
                           const struct log_aborted_list *list)
{
    *pass = (struct log_aborted_pass){.list = list};
    log_aborted_init(&pass->open, mem);
    log_aborted_init(&pass->committing, mem);
}

void log_aborted_pass_deinit(struct log_aborted_pass *pass)
{
    log_aborted_deinit(&pass->open);
    log_aborted_deinit(&pass->committing);
}

static struct log_aborted *aborted_find(struct log_aborted_list *list, int64_t producer_id)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->entries[i].producer_id == producer_id) return &list->entries[i];
    return NULL;
}

static void aborted_remove(struct log_aborted_list *list, struct log_aborted *entry)
{
    *entry = list->entries[--list->count];
}

/* Transactions that have begun by now. */
static enum err aborted_begin(struct log_aborted_pass *pass, int64_t last_offset)
{
    const struct log_aborted_list *list = pass->list;

    while (pass->at < list->count && list->entries[pass->at].first_offset <= last_offset) {
        struct log_aborted entry = list->entries[pass->at++];
        enum err err;

        if (entry.last_offset < last_offset) continue; /* over before this batch: cleaned away */
        err = log_aborted_add(&pass->open, entry);
        if (err != ERR_NONE) return err;
    }
    return ERR_NONE;
}

enum err log_aborted_see(struct log_aborted_pass *pass, const struct record_batch *batch,
                         bool commit, bool *discard, struct log_aborted *entry)
{
    int64_t last = record_batch_last_offset(batch);
    struct log_aborted *found;
    enum err err = aborted_begin(pass, last);

    *discard = false;
    entry->producer_id = -1;
    if (err != ERR_NONE || batch->producer_id < 0) return err;
    found = aborted_find(&pass->open, batch->producer_id);
    if (record_batch_is_control(batch)) {
        struct log_aborted *committing = aborted_find(&pass->committing, batch->producer_id);

        if (batch->record_count == 0) {
            *discard = true; /* emptied by an earlier pass */
        } else if (commit) {
            *discard = committing == NULL;
            if (committing != NULL) aborted_remove(&pass->committing, committing);
        } else {
            *discard = found == NULL || !found->seen;
            if (!*discard) *entry = *found;
            if (found != NULL) aborted_remove(&pass->open, found);
        }
        return ERR_NONE;
    }
    if (!record_batch_is_transactional(batch)) return ERR_NONE;
    if (found != NULL) {
        found->seen = true;
        *discard = true;
        return ERR_NONE;
    }
    if (aborted_find(&pass->committing, batch->producer_id) != NULL) return ERR_NONE;
    return log_aborted_add(&pass->committing,
                           (struct log_aborted){.producer_id = batch->producer_id});
}

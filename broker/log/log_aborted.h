/* Which transactions were aborted, as a compaction wants to know it (KIP-534; storage.md 12.3),
 * from the entries of the transaction indexes and the batches in their order. Pure.
 *
 *   data batch of an aborted transaction    goes, whatever its keys
 *   its marker                              may go in the first pass that sees no batch before it;
 *                                           until then its index entry stays with it
 *   marker of a committed one               the same
 *
 * .txnindex, 34 bytes an entry:  int16 version 0 | int64 producer id | int64 first offset |
 *                                int64 last offset (the marker) | int64 last stable offset */
#ifndef BROKER_LOG_LOG_ABORTED_H
#define BROKER_LOG_LOG_ABORTED_H

#include "client/base/err.h"
#include "client/base/mem.h"
#include "client/wire/record_batch.h"

enum {
    LOG_ABORTED_ENTRY = 34,
    LOG_ABORTED_SEGMENT = 1 << 16, /* entries of one segment: it rolls, so the list is bounded */
    LOG_ABORTED_MAX = 1 << 20,
};

struct log_aborted {
    int64_t producer_id;
    int64_t first_offset;
    int64_t last_offset;
    int64_t last_stable;
    bool seen; /* of a pass: a batch of it was there */
};

/* Entries of one index, or of several; grows by doubling. */
struct log_aborted_list {
    struct mem *mem;
    struct log_aborted *entries;
    uint32_t count;
    uint32_t room;
};
void log_aborted_init(struct log_aborted_list *list, struct mem *mem);
void log_aborted_deinit(struct log_aborted_list *list);
MUST_USE enum err log_aborted_add(struct log_aborted_list *list, struct log_aborted entry);
/* Room for `more` entries: that many adds cannot fail. */
MUST_USE enum err log_aborted_reserve(struct log_aborted_list *list, uint32_t more);
void log_aborted_put(const struct log_aborted_list *list, uint8_t *at); /* the file */
/* What a file holds is added. DAMAGED: length, version, or markers that do not rise. */
MUST_USE enum err log_aborted_load(struct log_aborted_list *list, struct bytes file);

/* One pass over the batches. */
struct log_aborted_pass {
    const struct log_aborted_list *list; /* in the order of first offsets: log_aborted_sort() */
    uint32_t at;
    struct log_aborted_list open;
    struct log_aborted_list committing;
};
void log_aborted_sort(struct log_aborted_list *list);
void log_aborted_pass_init(struct log_aborted_pass *pass, struct mem *mem,
                           const struct log_aborted_list *list);
void log_aborted_pass_deinit(struct log_aborted_pass *pass);
/* *discard: a data batch of an aborted transaction, or a marker that nothing depends on. *entry:
 * the index entry that stays with an abort marker; producer_id -1: none. `commit`: of a marker. */
MUST_USE enum err log_aborted_see(struct log_aborted_pass *pass, const struct record_batch *batch,
                                  bool commit, bool *discard, struct log_aborted *entry);

#endif

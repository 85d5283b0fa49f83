/* Between fetcher.c, fetcher_request.c, fetcher_answer.c and fetcher_range.c; nobody else includes
 * it. */
#ifndef BROKER_REPLICA_FETCHER_INTERNAL_H
#define BROKER_REPLICA_FETCHER_INTERNAL_H

#include "broker/replica/fetcher.h"
#include "broker/replica/manager_internal.h"

/* ---- fetcher.c */
struct world *fetcher_world(const struct fetcher *fetcher);
struct partition *fetcher_first_changed(const struct fetcher *fetcher);
void fetcher_note_changed(struct fetcher *fetcher, struct partition *part);
void fetcher_note_unchanged(struct fetcher *fetcher, struct partition *part);
/* The session names it no longer. */
void fetcher_note_forgotten(struct fetcher *fetcher, const struct partition *part);
/* The only line that moves a partition between the lists. */
void fetcher_set(struct partition *part, enum partition_fetching fetching);

/* ---- fetcher_request.c */
MUST_USE enum err fetcher_build_request(struct fetcher *fetcher);
void fetcher_send(struct fetcher *fetcher);

/* ---- fetcher_answer.c */
void fetcher_take(struct fetcher *fetcher);
void fetcher_cut_to(struct partition *part, int64_t to);

/* ---- fetcher_range.c: ListOffsets, about one partition at a time */
enum {
    FETCHER_LIST_LATEST = -1,
    FETCHER_LIST_EARLIEST = -2,
};
void fetcher_list_begin(struct fetcher *fetcher);
bool fetcher_list_offsets(struct fetcher *fetcher, int64_t timestamp);
int64_t fetcher_listed_offset(struct fetcher *fetcher);
/* The same of an answer about the start: with the producers, until call_release(). */
int64_t fetcher_listed_start(struct fetcher *fetcher);
bool fetcher_list_needs_start(const struct fetcher *fetcher);
void fetcher_list_decide(struct fetcher *fetcher, int64_t leader_start);
void fetcher_list_end(struct fetcher *fetcher);

#endif

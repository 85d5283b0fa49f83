/* One leader that this broker follows: its connection and the loop that fetches from it.
 *
 *   READY partitions -> one Fetch -> answer: each is judged (follower.h) and carried out
 *     append  -> BUSY until written -> high watermark, log start -> READY
 *     cut     -> BUSY until the log is open again -> READY
 *     out of range -> ListOffsets -> cut, reset or READY        error -> DELAYED -> READY
 *     fenced -> PARKED until the metadata names another epoch
 *
 * The leader keeps a session for us (KIP-227): a fetch names the partitions that are READY and of
 * which the session knows something else, and forgets those that are not READY. A fetch that did
 * not come back well is followed by a full one, which replaces the session.
 *
 * One fetch is in flight, and the next is sent when everything of the answer was written: what it
 * says about our log end is then true. A partition may leave at any time; an answer for one that is
 * not part of that fetch any more is dropped. */
#ifndef BROKER_REPLICA_FETCHER_H
#define BROKER_REPLICA_FETCHER_H

#include "broker/replica/partition.h"
#include "client/peer.h"
#include "client/wire/api.h"

#include "wire/fetch.h"
#include "wire/list_offsets.h"

/* In the session, and not ours any more. */
struct fetcher_forgotten {
    struct uuid topic_id;
    int32_t index;
};

struct fetcher {
    struct map_node node; /* in manager.fetchers */
    struct manager *manager;
    int32_t leader;
    struct peer peer;
    struct list ready;
    struct list delayed; /* in order of time: the delay is one constant */
    struct list out_of_range;
    struct list still; /* BUSY and PARKED */
    uint32_t ready_count;
    uint32_t busy_count;
    uint32_t partitions_count; /* all of them */
    int32_t session_id;        /* at the leader; 0: none */
    int32_t session_epoch;     /* of the next fetch; 0: a full one */
    /* private */
    struct op op;
    struct op_source source;
    struct call call;
    struct arena arena;
    uint64_t requests; /* fetches sent, ever: the number of the present one */
    bool full;         /* it names all, or it is incremental */
    struct list changed;
    uint32_t changed_count; /* that the session may know otherwise, or not, or needlessly */
    struct fetcher_forgotten *forgotten;
    uint32_t forgotten_count;
    uint32_t forgotten_room;
    struct fetch_request request;
    struct fetch_response response;
    struct list_offsets_request list_request;
    struct list_offsets_response list_response;
    struct partition *listed; /* pinned while its offsets are asked for */
    int32_t listed_epoch;
    int64_t listed_end;           /* -1 not known */
    int64_t listed_start;         /* -1 not known */
    int64_t listed_own;           /* log end of the listed one when it asked for the start */
    struct log_handover handover; /* with the start: views into the answer */
    bool ending;                  /* nobody is left: the connection closes */
};

/* A follower with a leader begins to fetch; NO_MEMORY is tried again by the fetcher's own delay.
 * fetcher_remove() is harmless on who does not fetch. */
void fetcher_add(struct manager *manager, struct partition *part);
void fetcher_remove(struct partition *part);
/* Something of the log that the leader is told changed by itself. */
void fetcher_changed(struct partition *part);
/* What made it BUSY is over; `failed`: and did not work. */
void fetcher_applied(struct partition *part, bool failed);
/* The metadata says that the leader listens elsewhere now. */
void fetcher_leader_moved(struct manager *manager, int32_t leader);
/* Orderly stop: no partition is left. Frees those that are done; true when none is left. */
bool fetcher_all_ended(const struct manager *manager);

#endif

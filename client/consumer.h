/* The consumer: fetches the partitions it was given, from their leaders, and hands out records in
 * order. Who gives them is another question: the caller (consumer_assign), or membership.h.
 *
 *    consumer_assign
 *    (none) --> WAITING --consumer_continue, consumer_seek, consumer_reset--> ...
 *
 *              consumer_assign                position known
 *     (none) -----------------> LOCATING --------------------------> FETCHING
 *                                 ^  ^                                |    |  new leader epoch
 *                out of range,    |  |                                |    v
 *                topic recreated  +--+--------------------------------+  VALIDATING (KIP-320)
 *                                              any --cannot go on--> FAILED --consumer_seek--> ...
 *
 * - The position moves when records are taken by consumer_next(), not when they are fetched.
 * - One fetch in flight per node, without a fetch session; a partition with records not yet taken
 *   is not fetched, and nothing is fetched while more than buffer_bytes are held: back-pressure.
 * - Every batch's crc is checked before its records are handed out. A bad one stops the partition,
 *   the position stays on it (clients.md 3.4).
 * - A follower that the leader prefers for our rack is read instead of it (KIP-392), until it
 *   fails, the leader changes or the advice is old.
 * - A partition taken away is forgotten at once; its memory goes when nothing refers to it.
 * - After a leader change a position is validated by the epoch of the record before it; a truncated
 *   log moves the position back to where the logs part, or fails with policy NONE. */
#ifndef CLIENT_CONSUMER_H
#define CLIENT_CONSUMER_H

#include "client/base/pool.h"
#include "client/metadata.h"
#include "client/wire/compress.h"
#include "wire/fetch.h"
#include "wire/list_offsets.h"
#include "wire/offset_for_leader_epoch.h"

enum {
    CONSUMER_FETCH_PARTITIONS = 64, /* named in one request; a session has any number */
    CONSUMER_NEAR_RETRY_MS = 1000,  /* no rack is told after a nearer replica was not reached */
    CONSUMER_ARENA_MAX = 1024 * 1024,
    CONSUMER_INFLATE_MAX = 64 * 1024 * 1024, /* what one compressed batch may become */
};

/* Special timestamps of ListOffsets. */
#define CONSUMER_LATEST   INT64_C(-1)
#define CONSUMER_EARLIEST INT64_C(-2)

enum consumer_reset {
    CONSUMER_RESET_EARLIEST,
    CONSUMER_RESET_LATEST,
    CONSUMER_RESET_BACK, /* the first record that is at most reset_back_ms old (KIP-1106) */
    CONSUMER_RESET_NONE,
};

/* Where to begin. */
struct consumer_start {
    bool waiting; /* nowhere yet: WAITING */
    bool by_offset;
    int64_t offset;    /* by_offset */
    int64_t timestamp; /* else: CONSUMER_LATEST, CONSUMER_EARLIEST, or milliseconds */
};

struct consumer_config {
    struct metadata_config metadata;
    enum consumer_reset reset;
    int64_t reset_back_ms;
    int32_t min_bytes;
    int32_t max_wait_ms;
    int32_t max_bytes;
    int32_t partition_max_bytes;
    size_t buffer_bytes; /* of fetched responses held; one response may go beyond */
    int32_t request_timeout_ms;
    uint32_t partitions_max;
    bool read_committed;
    struct str rack;                                     /* borrowed; length 0: none */
    int64_t (*trace_value)(const struct record *record); /* its name in traces; NULL: -1 */
};
void consumer_config_default(struct consumer_config *config);

enum consumer_state {
    CONSUMER_WAITING,
    CONSUMER_LOCATING,
    CONSUMER_VALIDATING,
    CONSUMER_FETCHING,
    CONSUMER_FAILED,
    CONSUMER_STATE_COUNT
};

/* `reason` of the trace event client.position */
enum consumer_moved {
    CONSUMER_MOVED_START = 1,
    CONSUMER_MOVED_SEEK,
    CONSUMER_MOVED_RESET,
    CONSUMER_MOVED_TRUNCATED,
    CONSUMER_MOVED_COMMITTED,
};

struct consumer;

/* An aborted transaction with batches in what was fetched; producer_id -1: it is over. */
struct consumer_aborted {
    int64_t producer_id;
    int64_t first_offset;
};

struct consumer_partition {
    struct list link; /* in consumer.partitions */
    struct consumer *consumer;
    struct metadata_topic *topic; /* used */
    int32_t index;
    enum consumer_state state;
    enum err error;         /* of FAILED */
    int64_t position;       /* next offset to be taken; -1: not located */
    int32_t position_epoch; /* leader epoch of the record before it; -1: not known */
    int64_t high_watermark; /* of the latest answer; -1 */
    int64_t last_stable;    /* likewise: where read_committed ends */
    int64_t log_start;
    bool paused; /* consumer_pause() */
    /* of membership.h */
    bool revoking;    /* nothing is handed out any more */
    bool claimed;     /* scratch: in the new assignment */
    bool fresh;       /* assigned, and the application was not heard yet */
    int64_t consumed; /* position that may be committed; -1 */
    int32_t consumed_epoch;
    int64_t committed; /* the latest that was acknowledged; -1 */
    /* private */
    int32_t preferred; /* node to fetch from; -1: the leader */
    int32_t preferred_epoch;
    int64_t preferred_until_ns;
    struct consumer_start start;
    enum consumer_moved reason;
    uint64_t generation;     /* of the topic */
    int32_t validated_epoch; /* leader epoch for which the position is good */
    int64_t retry_at_ns;
    uint32_t failures;
    bool fetching;                    /* in a fetch in flight */
    struct consumer_session *session; /* that knows it as it was asked for; NULL: none */
    struct list session_link;
    uint64_t asked_moves;
    int64_t asked_offset;
    int32_t asked_epoch;
    struct uuid asked_topic;
    uint64_t moves; /* a fetch or a locate of before a move is ignored */
    struct op locate;
    struct call locate_call;
    uint64_t locate_moves;
    union {
        struct list_offsets_request offsets;
        struct offset_for_leader_epoch_request epochs;
    } ask;
    union {
        struct list_offsets_request_topic offsets;
        struct offset_for_leader_epoch_request_topic epochs;
    } ask_topic;
    union {
        struct list_offsets_request_partition offsets;
        struct offset_for_leader_epoch_request_partition epochs;
    } ask_partition;
    /* fetched and not taken */
    struct buf *held; /* counted: the response */
    uint32_t held_bytes;
    struct consumer_aborted *aborted; /* of this answer, by first offset (consumer_aborted.c) */
    uint32_t aborted_count;
    uint32_t aborted_at; /* those before it have begun */
    struct record_batch_iter batches;
    bool in_batch;
    struct record_batch batch;
    struct record_iter records;
    struct buf *inflated; /* counted: the records of the present batch; NULL: they are in `held` */
};

/* Views, valid until the next consumer_* call or the end of the turn. */
struct consumer_record {
    struct consumer_partition *partition;
    struct record record;
    int32_t leader_epoch;
    struct buf *buf; /* what the views point into: who takes a reference keeps them */
};

struct consumer {
    struct metadata metadata;
    struct op_source ready; /* records, an error, a position, closed */
    struct list partitions;
    uint32_t partitions_count;
    struct list leaving; /* taken away, still referred to */
    size_t buffered;     /* bytes of responses held */
    enum err last_error; /* of the latest attempt of anything */
    /* private */
    struct env *env;
    struct consumer_config config;
    struct op op;
    struct op_source wake;
    struct op watch;
    uint64_t watched;
    bool kicked;
    bool closing;
    uint32_t locates; /* locate ops alive */
    struct pool fetches;
    struct list in_flight; /* consumer_fetch */
    int64_t near_from_ns;  /* until then the leaders are asked: a nearer replica was not reached */
    struct pool sessions;
    struct list sessions_live;
    struct arena arena;
};

/* What one node knows of what we fetch from it (KIP-227): a fetch names only what it does not know
 * yet, or knows otherwise. Epoch 0: the next one is full and begins anew. */
struct consumer_session {
    struct list link; /* in consumer.sessions_live */
    int32_t node;
    int32_t id; /* 0: none */
    int32_t epoch;
    bool by_name; /* topics by name: one of them has no id */
    bool renew;   /* what the node knows is not what we think any more */
    struct list members;
};

/* One Fetch request: of all members of the session, by name only of some. */
struct consumer_fetch {
    struct op op;
    struct list link;
    struct consumer *consumer;
    struct consumer_session *session;
    int32_t node;
    bool full;
    struct call call;
    uint32_t named;
    uint32_t forgotten;
    struct fetch_request body;
    struct fetch_request_topic topics[CONSUMER_FETCH_PARTITIONS];
    struct fetch_request_partition partitions[CONSUMER_FETCH_PARTITIONS];
    struct fetch_request_forgotten_topic forgotten_topics[CONSUMER_FETCH_PARTITIONS];
    int32_t forgotten_partitions[CONSUMER_FETCH_PARTITIONS];
};

MUST_USE enum err consumer_init(struct consumer *consumer, struct env *env,
                                const struct consumer_config *config);
void consumer_close(struct consumer *consumer); /* drops what is not taken; `ready` tells */
bool consumer_closed(const struct consumer *consumer);
void consumer_deinit(struct consumer *consumer);

/* Each partition once. TOO_MANY, NO_MEMORY, INVALID_TOPIC_EXCEPTION. */
MUST_USE enum err consumer_assign(struct consumer *consumer, struct str topic, int32_t partition,
                                  struct consumer_start start,
                                  struct consumer_partition **assigned);
/* Takes it away; the pointer is invalid from now on. */
void consumer_unassign(struct consumer_partition *partition);
/* From where the group stands: the committed offset and its leader epoch (-1: not known). */
void consumer_continue(struct consumer_partition *partition, int64_t offset, int32_t epoch);
/* Nothing more is handed out or asked for; what was fetched is kept. */
void consumer_pause(struct consumer_partition *partition);
void consumer_resume(struct consumer_partition *partition);
struct consumer_partition *consumer_find(const struct consumer *consumer, struct str topic,
                                         int32_t partition);
/* Moves the position; what was fetched is dropped. Ends FAILED. */
void consumer_seek(struct consumer_partition *partition, struct consumer_start start);

/* The next record of any partition; those of one partition in order. */
bool consumer_next(struct consumer *consumer, struct consumer_record *record);
/* Condition of a waiting op: consumer_next() is worth a call. Without effect. */
bool consumer_has_records(const struct consumer *consumer);
/* A partition that cannot go on, or NULL. */
struct consumer_partition *consumer_failed(const struct consumer *consumer);
/* Everything below the high watermark that is known has been taken; of a read_committed consumer,
 * below the last stable offset. */
bool consumer_at_end(const struct consumer_partition *partition);

/* ---- between consumer.c and consumer_*.c ---- */
void consumer_kick(struct consumer *consumer);
void consumer_set_state(struct consumer_partition *partition, enum consumer_state state);
void consumer_fail(struct consumer_partition *partition, enum err err);
/* Gives back what was inflated; all of what was fetched. */
void consumer_end_batch(struct consumer_partition *partition);
void consumer_drop_held(struct consumer_partition *partition);
/* Looks for a position anew, by the reset policy; fails with `err` when there is none. */
void consumer_reset(struct consumer_partition *partition, enum err err);
/* Where the policy begins: a time, CONSUMER_EARLIEST or CONSUMER_LATEST. Not for RESET_NONE. */
int64_t consumer_reset_time(const struct consumer *consumer);
void consumer_move(struct consumer_partition *partition, int64_t position, int32_t epoch,
                   enum consumer_moved reason);
/* An attempt failed: waits, and refreshes metadata when that may help. */
void consumer_retry(struct consumer_partition *partition, int16_t api, enum err err);
/* Those of an answer, in any order; false: no memory, nothing is kept. */
MUST_USE bool consumer_aborted_take(struct consumer_partition *partition,
                                    const struct fetch_response_partition *answer);
/* Whether the next batch belongs to one of them; batches are asked about in their order, once. */
bool consumer_aborted_skips(struct consumer_partition *partition, const struct record_batch *batch);
void consumer_aborted_drop(struct consumer_partition *partition);
void consumer_fetch_start(struct consumer *consumer, struct peer *peer);
/* It is not part of any session any more. */
void consumer_session_drop(struct consumer_partition *partition);
void consumer_session_end_all(struct consumer *consumer);
/* Nothing of it is handed out: paused, or being given up. */
bool consumer_silent(const struct consumer_partition *partition);
bool consumer_fetchable(const struct consumer_partition *partition);
/* Where to fetch from: the preferred replica, else the leader; NULL: not known now. */
struct peer *consumer_source(const struct consumer_partition *partition);
/* Advice of the leader; node -1: none any more. */
void consumer_prefer(struct consumer_partition *partition, int32_t node);
void consumer_locate_start(struct consumer_partition *partition);

#endif

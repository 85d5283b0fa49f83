/* Fetch sessions (KIP-227): what a reader asked for stays known here, so that a fetch names only
 * what changed and an answer holds only what is new. protocol.md 14.
 *
 * A session keeps its partitions in a map and those that may have something to say in a list,
 * `news`: each partition on this broker tells its watchers, and what was told of, or was named by
 * the request, or had more than fitted the answer, is looked at by the next round of the fetch; all
 * else costs nothing. Who was served goes to the end of the list, so that nobody starves.
 *
 *                  open                       epoch n, n + 1, ... (2147483647, then 1)
 *     (slot free) ------> told epoch 1 .. n ------+
 *          ^                  |    ^--------------+
 *          |   closed by (id, 0), (id, -1), emptied by forgets, evicted, broker stops
 *          +------------------+
 *
 * One fetch uses a session at a time. A newer one takes it over and the older is told
 * INVALID_FETCH_SESSION_EPOCH; one whose session goes is told FETCH_SESSION_ID_NOT_FOUND. */
#ifndef BROKER_API_FETCH_SESSION_H
#define BROKER_API_FETCH_SESSION_H

#include "broker/replica/manager.h"
#include "client/base/map.h"
#include "client/base/rng.h"

enum {
    FETCH_SESSION_PARTITIONS_MAX = 1 << 18, /* of all sessions together */
    FETCH_SESSION_STALE_MS = 120000,        /* Kafka's constant: unused that long goes first */
};

struct fetch_session;

struct fetch_session_part {
    struct map_node node; /* in session.parts */
    struct fetch_session *session;
    struct list news;                   /* in session.news: to be looked at */
    struct list used;                   /* in session.used_parts: `holder` is set */
    struct fetch_session_part **holder; /* where the fetch that reads it refers to it */
    bool fresh;                         /* told of since it was looked at last */
    struct partition_watcher watcher;
    struct partition *part; /* watched, not pinned; NULL: not here, or it left */
    struct uuid topic_id;
    struct str topic;
    int32_t index;
    /* what the reader asks for */
    int32_t current_epoch;
    int64_t offset;
    int32_t last_fetched_epoch;
    int64_t log_start;
    int32_t max_bytes;
    /* what it was told; -1: nothing, or an error */
    int64_t told_high_watermark;
    int64_t told_log_start;
    uint32_t key_length;
    uint8_t key[];
};

/* A fetch that uses a session. Zeroed but for `news`: uses none. */
struct fetch_session_use {
    struct fetch_session *session;
    struct op_source news; /* woken when a partition tells something, or the session is lost */
    enum err lost;         /* why it is gone */
};

struct fetch_sessions {
    struct env *env;
    struct map by_id;
    struct list used; /* longest unused first */
    uint32_t slots;
    uint32_t partitions_count;
    uint64_t evictions;
    /* private */
    struct rng rng;
};

struct fetch_session {
    struct map_node node; /* in sessions.by_id */
    struct list used;     /* in sessions.used */
    struct fetch_sessions *sessions;
    int32_t id;
    int32_t epoch;   /* the one that must come next */
    bool by_id;      /* topics by id (Fetch 13+), else by name */
    bool privileged; /* of a follower */
    struct mono_time created;
    struct mono_time last_used;
    struct map parts;
    struct list news;
    struct list used_parts;
    struct fetch_session_use *use;
};

void fetch_sessions_init(struct fetch_sessions *sessions, struct env *env, uint32_t slots);
void fetch_sessions_deinit(struct fetch_sessions *sessions); /* closes all */

/* NULL: unknown. */
struct fetch_session *fetch_sessions_find(const struct fetch_sessions *sessions, int32_t id);
/* A session that will have `size` partitions; another may have to go for it. NULL: all that are
 * there are worth more, or no memory. */
struct fetch_session *fetch_session_open(struct fetch_sessions *sessions, bool privileged,
                                         bool by_id, uint32_t size);
void fetch_session_close(struct fetch_session *session, enum err why);
/* The next epoch of a session. */
int32_t fetch_session_next(int32_t epoch);
/* `use` is from now on who reads; an earlier one lost it. */
void fetch_session_take(struct fetch_session *session, struct fetch_session_use *use);
void fetch_session_leave(struct fetch_session_use *use);

/* Named by a request: known from now on, and looked at. NULL: no memory, or too many. */
struct fetch_session_part *fetch_session_add(struct fetch_session *session, struct uuid topic_id,
                                             struct str topic, int32_t index);
void fetch_session_forget(struct fetch_session *session, struct uuid topic_id, struct str topic,
                          int32_t index);
/* Finds the replica here, unless it is known; NONE, or why there is none. */
MUST_USE enum err fetch_session_attach(struct fetch_session_part *entry,
                                       const struct manager *replicas);
/* `holder` refers to the entry as long as the fetch uses it; set to NULL when that ends. */
void fetch_session_hold(struct fetch_session_part *entry, struct fetch_session_part **holder);
/* Nothing more to say for now: not looked at until it is told of. */
void fetch_session_rest(struct fetch_session_part *entry);
/* It had its turn: the others first, next time. */
void fetch_session_rotate(struct fetch_session_part *entry);

#endif

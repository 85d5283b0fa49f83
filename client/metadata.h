/* What a client knows of its cluster: nodes (each with its peer), the topics somebody uses, their
 * leaders. Owns the peers; refreshes by itself. One instance per producer, consumer or admin, so
 * that the long poll of one does not delay the requests of another.
 *
 *     bootstrap list --> nodes -1, -2, ... --first answer--> nodes of the cluster
 *          ^                                                      |
 *          +---- rebootstrap: every node failed in a row ---------+      (KIP-899)
 *
 * - A partition's leader is taken over only with a leader epoch not below the known one, unless the
 *   topic id changed: then it is another topic and everything starts anew (KIP-320).
 * - An error of one topic discards nothing of the others, and nothing of what was known of it.
 * - Failed answers, and answers that still have errors, back off exponentially with jitter. */
#ifndef CLIENT_METADATA_H
#define CLIENT_METADATA_H

#include "client/base/map.h"
#include "client/peer.h"

enum {
    METADATA_BOOTSTRAP_MAX = 16,
    METADATA_CLUSTER_ID_MAX = 63,
    METADATA_TOPIC_NAME_MAX = 249,
    METADATA_PORT_MAX = 65535,
    METADATA_ARENA_MAX = 16 * 1024 * 1024, /* one decoded answer */
    METADATA_RACKS_MAX = 63,               /* that are told apart: bits */
};

struct metadata_config {
    struct str bootstrap; /* "host:port,host:port"; borrowed for the life */
    struct peer_config peer;
    int32_t max_age_ms;
    int32_t retry_backoff_ms;
    int32_t retry_backoff_max_ms;
    bool auto_create; /* allow_auto_topic_creation */
    uint32_t nodes_max;
    uint32_t topics_max;
    uint32_t partitions_max; /* of one topic */
};
void metadata_config_default(struct metadata_config *config);

struct metadata_node {
    struct map_node by_id;
    struct list leaving; /* in metadata.leaving once it is not of the cluster any more */
    int32_t id;          /* negative: a bootstrap entry */
    bool listed;         /* scratch: in the answer being taken */
    uint64_t rack;       /* its bit (metadata_rack()); 0: none */
    struct peer peer;
};

struct metadata_partition {
    int32_t leader; /* -1 none */
    int32_t leader_epoch;
    enum err error;
    uint64_t racks; /* bits: where its replicas are */
};

struct metadata_topic {
    struct map_node by_name;
    struct uuid id;      /* zero: not told */
    enum err error;      /* of the latest answer; NONE with partitions_count 0: no answer yet */
    uint32_t users;      /* metadata_use() minus metadata_unuse() */
    uint64_t generation; /* +1 when the topic became another one (id changed) */
    uint32_t partitions_count;
    struct metadata_partition *partitions; /* from mem */
    uint32_t racks_version;                /* +1 when replicas are in other racks than before */
    uint32_t name_length;
    char name[METADATA_TOPIC_NAME_MAX + 1];
};

struct metadata {
    struct op_source changed; /* an answer was taken, or a hint, or an attempt failed */
    uint64_t version;         /* +1 with each */
    enum err last_error;      /* of the latest attempt */
    int32_t controller_id;
    char cluster_id[METADATA_CLUSTER_ID_MAX + 1];
    struct map nodes;                     /* metadata_node by id */
    struct map topics;                    /* metadata_topic by name */
    struct str racks[METADATA_RACKS_MAX]; /* told by brokers so far; copies */
    uint32_t racks_count;
    /* private */
    struct env *env;
    struct metadata_config config;
    struct rng rng;
    struct op op;
    struct op_source wake;
    struct call call;
    struct arena arena;
    struct list leaving;
    uint32_t leaving_count;
    bool wanted;
    bool urgent; /* a new topic: no backoff */
    bool closing;
    bool bootstrapped;  /* the nodes are of the cluster */
    uint32_t failures;  /* attempts in a row without an answer */
    uint32_t unsettled; /* answers in a row with errors in them */
    int64_t refreshed_ns;
};

/* ERR_BAD_CONFIG: a bootstrap list that does not parse. Starts the refresh op. */
MUST_USE enum err metadata_init(struct metadata *metadata, struct env *env,
                                const struct metadata_config *config);
/* After metadata_closed(); asserts that no topic is in use. */
void metadata_deinit(struct metadata *metadata);
/* Closes all peers (their calls fail with CANCELED); `changed` tells. */
void metadata_close(struct metadata *metadata);
bool metadata_closed(const struct metadata *metadata);

/* Interest in a topic; the first asks for it at once. TOO_MANY, NO_MEMORY,
 * INVALID_TOPIC_EXCEPTION. */
MUST_USE enum err metadata_use(struct metadata *metadata, struct str name,
                               struct metadata_topic **topic);
void metadata_unuse(struct metadata *metadata, struct metadata_topic *topic);
static inline struct str metadata_name(const struct metadata_topic *topic)
{
    return (struct str){topic->name, topic->name_length};
}
/* By id, for answers that name topics so. NULL: nobody uses it. */
struct metadata_topic *metadata_topic_by_id(const struct metadata *metadata, struct uuid id);

/* Asks for a refresh: what is known did not work. */
void metadata_refresh(struct metadata *metadata);
/* KIP-951: an answer named a newer leader. Taken when the epoch is newer; refreshes when the
 * node is not known. */
void metadata_hint(struct metadata *metadata, struct metadata_topic *topic, int32_t partition,
                   int32_t leader, int32_t leader_epoch);
void metadata_hint_node(struct metadata *metadata, int32_t id, struct str host, int32_t port);

/* The peer that leads a partition; NULL: not known now (a refresh is asked for). */
struct peer *metadata_leader(struct metadata *metadata, const struct metadata_topic *topic,
                             int32_t partition);
struct peer *metadata_peer(const struct metadata *metadata, int32_t node_id);
/* Any node, the least loaded (clients.md 1.2); NULL when there is none. Draws. */
struct peer *metadata_any(struct metadata *metadata);

/* The bit of a rack; 0: no broker has told it. */
uint64_t metadata_rack(const struct metadata *metadata, struct str name);

/* Exponential backoff with jitter of 20 %: for attempt 1, 2, ... Draws. */
int64_t metadata_backoff_ms(struct metadata *metadata, uint32_t attempts);

/* Pure: whether (epoch, of the same topic or not) may replace what is known. */
bool metadata_epoch_acceptable(int32_t known_epoch, int32_t told_epoch, bool same_topic);
/* Pure: the next "host:port" of a list; false at its end. ERR_BAD_CONFIG in *err. "[v6]:port". */
bool metadata_next_address(struct str *list, struct str *host, uint16_t *port, enum err *err);

/* ---- between metadata.c, metadata_answer.c and metadata_racks.c ---- */

/* Takes the answer of the call; *settled: nothing in it asks for another refresh soon. */
MUST_USE enum err metadata_take(struct metadata *metadata, bool *settled);
/* NULL: not known. */
struct metadata_node *metadata_find_node(const struct metadata *metadata, int32_t id);
MUST_USE enum err metadata_add_node(struct metadata *metadata, int32_t id, struct str host,
                                    uint16_t port);
void metadata_drop_node(struct metadata *metadata, struct metadata_node *node);
/* Peers that have closed meanwhile are given back. */
void metadata_reap(struct metadata *metadata);
void metadata_free_partitions(struct metadata *metadata, struct metadata_topic *topic);
MUST_USE enum err metadata_rack_add(struct metadata *metadata, struct str name, uint64_t *rack);
/* Of nodes that are known. */
uint64_t metadata_racks_of(const struct metadata *metadata, const int32_t *replicas,
                           uint32_t count);
void metadata_racks_deinit(struct metadata *metadata);

#endif

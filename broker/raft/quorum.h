/* The metadata quorum of one node: raft.[ch] in the world. Owns the state machine, quorum-state, the
 * hint of the highest acknowledged offset, the connections to the other voters, and what flows
 * through __cluster_metadata-0. The log itself is lent to it.
 *
 *   controller --quorum_append()--> accumulator --drain--> log --flush--> raft: high watermark
 *   followers and observers: fetch --> log --flush--> the next fetch acknowledges
 *   committed batches, in order --> listener (the metadata image of this node)
 *
 * A voter serves Vote, BeginQuorumEpoch, EndQuorumEpoch, Fetch and DescribeQuorum for the api layer
 * (quorum_request.h). A broker without controller role has a quorum too: as an observer.
 *
 *   IDLE --quorum_start--> STARTING --files read--> RUNNING --quorum_stop--> STOPPING --> STOPPED
 *                             |                        |                        |
 *                             +------------------------+---- fault -------------+--> FAILED
 *
 * FAILED: quorum-state unreadable, an I/O error, or a raft fault (raft.h). It answers nothing but
 * errors then; the node stops. */
#ifndef BROKER_RAFT_QUORUM_H
#define BROKER_RAFT_QUORUM_H

#include "broker/log/log.h"
#include "broker/raft/quorum_file.h"
#include "broker/raft/raft.h"
#include "client/peer.h"
#include "client/world/env.h"

enum {
    QUORUM_BATCH_MAX = 8 << 20,       /* one atomic append (kraft.md 2) */
    QUORUM_BATCHES_MAX = 16,          /* appends accumulated and not yet handed to the log */
    QUORUM_FETCH_BYTES = 1 << 20,
    QUORUM_FETCH_WAIT_MS = 500,
    QUORUM_COMMIT_SLICE_BYTES = 256 << 10, /* read back and told per turn */
    QUORUM_OBSERVERS_MAX = 256,       /* remembered by the leader for DescribeQuorum */
    QUORUM_OBSERVER_MS = 300000,
    QUORUM_HOST_MAX = 255,
};

struct quorum_voter {
    int32_t id;
    uint16_t port;
    struct str host; /* borrowed for the life of the quorum */
};

struct quorum_config {
    int32_t node_id;
    struct uuid directory_id;
    struct str cluster_id;            /* borrowed */
    struct str dir;                   /* of the metadata log: ".../__cluster_metadata-0"; borrowed */
    struct quorum_voter voters[RAFT_VOTERS_MAX]; /* any order, distinct ids */
    uint32_t voter_count;
    struct str listener_name;         /* for LeaderEndpoints: "CONTROLLER" */
    int32_t election_timeout_ms;      /* controller.quorum.* */
    int32_t fetch_timeout_ms;
    int32_t election_backoff_max_ms;
    int32_t append_linger_ms;
    int32_t request_timeout_ms;
    int32_t retry_backoff_ms;
};
/* Kafka's defaults (kraft.md 2); the rest is zero. */
void quorum_config_default(struct quorum_config *config);

/* ---- committed records ----------------------------------------------------------------------- */

struct quorum_record {
    int64_t offset;
    int32_t epoch;
    int64_t timestamp;
    struct bytes value; /* borrowed for the call; framed as kraft.md 11 */
};

/* Embedded by the listener. Called from the quorum's own op, in offset order, with what is committed
 * and nothing else. It may append, resign or wake ops; it must not stop the quorum. */
struct quorum_listener {
    /* Every data record (control records are skipped). */
    void (*record)(struct quorum_listener *listener, const struct quorum_record *record);
    /* A batch was told, control batches too: everything below `end` is applied. */
    void (*batch)(struct quorum_listener *listener, int64_t end, int32_t epoch, int64_t timestamp);
    /* The leader or the epoch changed. leader == own node: this node leads `epoch`, and has been
     * told everything below the start of the epoch. A node that loses its place is told at once. */
    void (*leader)(struct quorum_listener *listener, int32_t leader, int32_t epoch);
};

/* ---- the quorum ------------------------------------------------------------------------------ */

enum quorum_state {
    QUORUM_IDLE,
    QUORUM_STARTING,
    QUORUM_RUNNING,
    QUORUM_STOPPING,
    QUORUM_STOPPED,
    QUORUM_FAILED,
};

/* One append of the controller, waiting for its drain. */
struct quorum_batch {
    struct buf *buf; /* counted; NULL: free place */
    struct bytes bytes;
    int64_t base_offset;
    int64_t last_offset;
    int32_t epoch;
};

/* A replica that fetches and is no voter, as the leader saw it. */
struct quorum_observer {
    int32_t id;
    struct uuid directory;
    int64_t log_end;
    struct instant last_fetch;
    struct wall_time caught_up;
};

/* A request of this node's raft to another voter. */
struct quorum_link {
    struct quorum *quorum;
    int32_t id;
    bool usable; /* false: ourselves */
    struct peer peer;
    struct list free_calls;
};

struct quorum_call;
struct quorum_request;

struct quorum {
    struct env *env;
    struct quorum_config config;
    struct log *log;
    struct quorum_listener *listener;
    enum quorum_state state;
    enum err err;          /* why FAILED */
    struct raft raft;
    struct rng rng;

    /* published: what depends on nothing that could be forgotten */
    int32_t leader;        /* RAFT_NOBODY */
    int32_t epoch;
    int64_t high_watermark;
    int64_t applied_end;   /* told to the listener up to here */
    struct op_source state_source;
    struct op_source leader_source;
    struct op_source hw_source;      /* keyed by offset */
    struct op_source applied_source; /* keyed by offset */
    struct op_source fetch_source;   /* log end, high watermark, epoch: parked fetches look again */

    /* private */
    struct op driver;
    struct op_source driver_source;
    struct op commit;
    struct op_source commit_source;
    struct op drain;
    struct op_source drain_source;
    struct quorum_file file;
    struct quorum_hint hint;
    struct quorum_link links[RAFT_VOTERS_MAX];
    struct pool calls;
    struct list requests; /* of the api layer, waiting for the machine */
    struct list replies;  /* calls that came back */
    struct raft_effects effects;
    uint32_t effect_at;
    struct raft_event event;

    struct quorum_batch batches[QUORUM_BATCHES_MAX];
    uint32_t batch_first;
    uint32_t batch_count;
    uint64_t batch_bytes;
    int64_t next_offset;   /* of the next quorum_append() */
    int32_t append_epoch;  /* the epoch this node leads, its LeaderChange staged; -1 */
    int64_t linger_until_ns;
    bool drain_in_flight;

    struct log_read commit_read;
    bool commit_reading;
    int32_t told_leader;
    int32_t told_epoch;
    struct quorum_observer observers[QUORUM_OBSERVERS_MAX];
    uint32_t observer_count;
};

/* Nothing happens yet. The log is OPEN (config.verify_all) and outlives the quorum. */
MUST_USE enum err quorum_init(struct quorum *quorum, struct env *env,
                              const struct quorum_config *config, struct log *log,
                              struct quorum_listener *listener);
/* Reads quorum-state and the hint, then runs. AWAIT state_source until state != QUORUM_STARTING. */
void quorum_start(struct quorum *quorum);
/* Orderly: resigns when leading, lets the voters know (bounded by one request timeout), closes the
 * connections. AWAIT state_source until STOPPED or FAILED. */
void quorum_stop(struct quorum *quorum);
/* After STOPPED or FAILED. */
void quorum_deinit(struct quorum *quorum);

static inline bool quorum_running(const struct quorum *quorum)
{
    return quorum->state == QUORUM_RUNNING;
}
/* This node leads `epoch` and may append in it. */
static inline bool quorum_leads(const struct quorum *quorum, int32_t epoch)
{
    return quorum->state == QUORUM_RUNNING && quorum->append_epoch == epoch && epoch >= 0;
}
/* Where the leader is found; false: not known. */
bool quorum_leader_address(const struct quorum *quorum, int32_t *id, struct str *host,
                           uint16_t *port);

/* Appends `count` record values as one atomic batch. They are copied. The offsets are assigned at
 * once; committed when high_watermark > *last_offset (AWAIT_KEY on hw_source, or on applied_source
 * with applied_end), lost when quorum_leads(epoch) is false first. Errors: NOT_CONTROLLER (does not
 * lead this epoch), TOO_LARGE (above QUORUM_BATCH_MAX: split it), NO_MEMORY and TOO_MANY (later). */
MUST_USE enum err quorum_append(struct quorum *quorum, int32_t epoch, const struct bytes *values,
                                uint32_t count, int64_t *first_offset, int64_t *last_offset);
/* Ends the linger: what is accumulated goes to the log at once. */
void quorum_drain(struct quorum *quorum);
/* The controller cannot go on in this epoch (a failed replay): gives the leadership up. */
void quorum_resign(struct quorum *quorum, int32_t epoch);

#endif

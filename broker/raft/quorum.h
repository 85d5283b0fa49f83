/* The metadata quorum of one node: raft.[ch] in the world. Owns the state machine, quorum-state,
 * the hint of the highest acknowledged offset, the connections to the other voters, and what flows
 * through __cluster_metadata-0. The log itself is lent to it.
 *
 *   controller --quorum_append()--> accumulator --drain--> log --flush--> raft: high watermark
 *   followers and observers: fetch --> log --flush--> the next fetch acknowledges
 *   committed batches, in order --> listener (the metadata image of this node)
 *
 * Who votes (KIP-853): what the log says last, else the newest snapshot, else the snapshot that the
 * directory was formatted with (0-0), else the configuration. quorum_voting.c reads it out of them,
 * quorum_change.c changes it, quorum_join.c is the part of a node that wants to be in it.
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
#include "broker/raft/quorum_snapshot.h"
#include "broker/raft/quorum_voters.h"
#include "broker/raft/raft.h"
#include "client/peer.h"
#include "client/world/env.h"
#include "wire/add_raft_voter.h"
#include "wire/api_versions.h"
#include "wire/begin_quorum_epoch.h"
#include "wire/end_quorum_epoch.h"
#include "wire/fetch.h"
#include "wire/fetch_snapshot.h"
#include "wire/remove_raft_voter.h"
#include "wire/update_raft_voter.h"
#include "wire/vote.h"

enum {
    QUORUM_BATCH_MAX = 8 << 20, /* one atomic append (kraft.md 2) */
    QUORUM_BATCHES_MAX = 16,    /* appends accumulated and not yet handed to the log */
    QUORUM_FETCH_BYTES = 1 << 20,
    QUORUM_FETCH_WAIT_MS = 500,
    QUORUM_COMMIT_SLICE_BYTES = 256 << 10, /* read back and told per turn */
    QUORUM_OBSERVERS_MAX = 256,            /* remembered by the leader for DescribeQuorum */
    QUORUM_OBSERVER_MS = 300000,
    QUORUM_BOOTSTRAP_MAX = 9,
    QUORUM_LINKS_MAX = RAFT_VOTERS_MAX + QUORUM_BOOTSTRAP_MAX + 4, /* and leader, candidate */
    QUORUM_CAUGHT_UP_MS = 3600000, /* ago: an observer may become a voter */
    QUORUM_SNAPSHOTS_MAX = 16,     /* kept; the oldest goes when another one comes */
    QUORUM_SNAPSHOT_SLICE = 1000,  /* records of a snapshot built per turn */
    QUORUM_KEEP_MS = 60000,        /* between looks at what may be cleaned; after a failure */
};

struct quorum_voter {
    int32_t id; /* of a bootstrap server: not known */
    uint16_t port;
    struct str host; /* borrowed for the life of the quorum */
};

struct quorum_config {
    int32_t node_id;
    struct uuid directory_id;
    struct str cluster_id; /* borrowed */
    struct str dir;        /* of the metadata log: ".../__cluster_metadata-0"; borrowed */
    struct quorum_voter voters[RAFT_VOTERS_MAX]; /* any order, distinct ids */
    uint32_t voter_count;                        /* 0: the log or a snapshot says it */
    struct quorum_voter bootstrap[QUORUM_BOOTSTRAP_MAX];
    uint32_t bootstrap_count;
    struct str host; /* where others find this node, if it is a controller */
    uint16_t port;
    bool may_join;               /* a controller */
    bool auto_join;              /* controller.quorum.auto.join.enable */
    int16_t kraft_version_max;   /* that this node understands */
    struct str listener_name;    /* for LeaderEndpoints: "CONTROLLER" */
    int32_t election_timeout_ms; /* controller.quorum.* */
    int32_t fetch_timeout_ms;
    int32_t election_backoff_max_ms;
    int32_t append_linger_ms;
    int32_t request_timeout_ms;
    int32_t retry_backoff_ms;
    int64_t snapshot_bytes;       /* metadata.log.max.record.bytes.between.snapshots */
    int64_t snapshot_interval_ms; /* metadata.log.max.snapshot.interval.ms; 0: by bytes only */
    int64_t retention_bytes;      /* metadata.max.retention.*; -1: any */
    int64_t retention_ms;
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

/* Embedded by the listener. Called from the quorum's own op, in offset order, with what is
 * committed and nothing else. It may append, resign or wake ops; it must not stop the quorum. */
struct quorum_listener {
    /* Every data record (control records are skipped). */
    void (*record)(struct quorum_listener *listener, const struct quorum_record *record);
    /* A batch was told, control batches too: everything below `end` is applied. */
    void (*batch)(struct quorum_listener *listener, int64_t end, int32_t epoch, int64_t timestamp);
    /* The leader or the epoch changed. leader == own node: this node leads `epoch`, and has been
     * told everything below the start of the epoch. A node that loses its place is told at once. */
    void (*leader)(struct quorum_listener *listener, int32_t leader, int32_t epoch);

    /* A snapshot is told: begun, its records, then loaded (in the place of everything told before;
     * what was not in it is gone; everything below `end` is applied) or dropped. Error of a record:
     * the snapshot is refused. An error of loaded: the node stops. */
    void (*snapshot_begun)(struct quorum_listener *listener, int64_t end, int32_t epoch);
    enum err (*snapshot_record)(struct quorum_listener *listener, struct bytes value);
    enum err (*snapshot_loaded)(struct quorum_listener *listener, int64_t end, int32_t epoch);
    void (*snapshot_dropped)(struct quorum_listener *listener);
    /* The state as record values, EOF after the last; nothing is told between open and close. The
     * same state gives the same values in the same order. */
    enum err (*snapshot_open)(struct quorum_listener *listener);
    enum err (*snapshot_next)(struct quorum_listener *listener, struct bytes *value);
    void (*snapshot_close)(struct quorum_listener *listener);
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
    bool voters; /* a control batch with a new set */
};

/* Who votes, as read from the log. A set counts once the log holds it; as only the last one in any
 * log can be uncommitted (one change at a time), the one before it is all that a cut can need. */
struct quorum_voting {
    struct quorum_voters current;    /* as the machine has it */
    struct quorum_voters previous;   /* before that entry */
    struct quorum_voters applied;    /* committed and told: what a snapshot says */
    struct quorum_voters pending[2]; /* on their way to the log, in order */
    uint32_t pending_count;
    struct quorum_voters
        known; /* of configured voters, as they told the leader (UpdateRaftVoter) */
    int32_t known_epoch;
    struct raft_voters raft;     /* of the event that changes it */
    struct log_read read;        /* of the start */
    struct quorum_member leader; /* who is not in the set, or may not be; id -1: nobody */
};

/* One change of the voters (quorum_change.c); the api layer or the controller waits for it. */
enum quorum_change_kind {
    QUORUM_CHANGE_ADD,
    QUORUM_CHANGE_REMOVE,
    QUORUM_CHANGE_UPDATE,
    QUORUM_CHANGE_KRAFT_VERSION, /* by quorum_change_kraft_version() only */
};
struct quorum_change {
    /* in */
    struct quorum *quorum;
    enum quorum_change_kind kind;
    struct quorum_member member; /* REMOVE: id and directory */
    int64_t deadline_ns;
    bool at_once;         /* ADD: answered when it is in the leader's log */
    int32_t leader_epoch; /* UPDATE: as the voter knows it */
    /* out */
    struct op_source source;
    bool done;
    enum err err;
    const char *why; /* NULL, or in words */
    /* private */
    struct op op;
    struct call call;
    struct api_versions_request ask;
    int32_t epoch;
    int64_t offset;
    bool holds; /* the one change that may be under way */
};

/* What a node does for its own place among the voters (quorum_join.c). */
struct quorum_join {
    struct op op;
    struct op_source source;
    struct call call;
    int32_t told_epoch; /* the leader of this one knows who we are; -1 */
    int16_t api;        /* of the call */
    union {
        struct add_raft_voter_request add;
        struct remove_raft_voter_request remove;
        struct update_raft_voter_request update;
    } request;
    union {
        struct add_raft_voter_request_listener add;
        struct update_raft_voter_request_listener update;
    } listener;
};

/* A replica that fetches, as the leader saw it. Voters have the first places. */
struct quorum_replica {
    int32_t id;
    struct uuid directory;
    int64_t log_end; /* -1: not known in this epoch */
    int64_t told_hw; /* Fetch below version 18 does not say what the asker knows */
    struct instant last_fetch;
    struct wall_time caught_up;
    bool used;
};

/* The one request of a kind that may be under way to a voter; a new one takes its place. */
struct quorum_call {
    struct quorum_link *link;
    enum raft_request kind;
    struct op op;
    struct call call;
    uint64_t round;
    bool started;      /* between sending and the driver's taking the answer */
    bool answered;     /* `event` is for the driver */
    struct list ready; /* in quorum->replies */
    struct raft_event event;
    struct bytes records; /* of a Fetch or FetchSnapshot answer, in call.frame */
    union {
        struct vote_request vote;
        struct begin_quorum_epoch_request begin;
        struct end_quorum_epoch_request end;
        struct fetch_request fetch;
        struct fetch_snapshot_request snapshot;
    } request;
    union {
        struct vote_request_topic vote;
        struct begin_quorum_epoch_request_topic begin;
        struct end_quorum_epoch_request_topic end;
        struct fetch_request_topic fetch;
        struct fetch_snapshot_request_topic snapshot;
    } topic;
    union {
        struct vote_request_partition vote;
        struct begin_quorum_epoch_request_partition begin;
        struct end_quorum_epoch_request_partition end;
        struct fetch_request_partition fetch;
        struct fetch_snapshot_request_partition snapshot;
    } partition;
    struct begin_quorum_epoch_request_leader_endpoint begin_endpoint;
    struct end_quorum_epoch_request_leader_endpoint end_endpoint;
    struct end_quorum_epoch_request_preferred_candidate candidates[RAFT_VOTERS_MAX];
    int32_t successors[RAFT_VOTERS_MAX];
};

enum { QUORUM_PEER_VOTES, QUORUM_PEER_FETCHES, QUORUM_PEERS };

/* Another voter, a bootstrap server, the leader, or who is about to be a voter. */
struct quorum_link {
    struct quorum *quorum;
    int32_t id;   /* RAFT_BOOTSTRAP(n); RAFT_NOBODY: free */
    bool used;    /* its peers were made, whoever they are for now */
    bool foreign; /* its latest answer was that we are of another cluster */
    /* Answers come in order on one connection, and a Fetch is parked: what must not wait behind it,
     * a vote above all, has a connection of its own. */
    struct peer peers[QUORUM_PEERS];
    struct quorum_call calls[RAFT_REQUESTS]; /* by enum raft_request */
};

/* One disk request of an op. */
struct quorum_io {
    struct disk_req req;
    struct op_source done;
    struct bytes slice;
};

/* What the disk does for raft: one thing at a time. */
enum quorum_work_kind {
    QUORUM_WORK_FLUSH,
    QUORUM_WORK_TRUNCATE,
    QUORUM_WORK_PART,    /* of a snapshot: save it */
    QUORUM_WORK_INSTALL, /* the snapshot, in the place of the log */
    QUORUM_WORK_DISOWN,  /* the hint says more than there is */
};
struct quorum_work {
    struct op op;
    enum quorum_work_kind kind;
    bool busy;
    bool done; /* the driver has not taken it yet */
    enum err err;
    int64_t end;
    /* snapshots */
    struct quorum_snapshot_id id;
    bool refused;     /* INSTALL: what was fetched is damaged */
    struct buf *part; /* counted */
    struct bytes bytes;
    uint64_t position;
    struct quorum_io io;
    struct disk_file file;
    char path[QUORUM_PATH_MAX];
    char path_to[QUORUM_PATH_MAX];
};

/* A snapshot file read as a whole and told to the listener (quorum_scan.c). */
struct quorum_scan {
    struct op op;
    struct quorum *quorum;
    struct op_source source;
    bool busy;
    bool has_voters;
    struct quorum_voters voters; /* that it says */
    enum err err; /* NONE: whole and told; DAMAGED, UNSUPPORTED, NOT_FOUND, IO, NO_MEMORY */
    struct quorum_snapshot_reader reader;
    struct quorum_snapshot_sink sink;
    struct quorum_io io;
    struct disk_file file;
    uint64_t size;
    uint64_t at;
    uint8_t *buffer; /* owned */
    uint32_t capacity;
    char path[QUORUM_PATH_MAX];
};

struct quorum_kept {
    struct quorum_snapshot_id id;
    uint64_t size;
    int64_t timestamp_ms; /* last contained, or first seen */
};

/* Snapshots of this node: loaded at the start, written, cleaned (quorum_keep.c). */
struct quorum_keep {
    struct op op;
    struct op_source source;
    bool loaded;
    enum err load_err; /* why none could be, and the log alone is not enough */
    bool formatted;    /* 0-0 is there */
    bool busy;         /* writes or cleans */
    bool barred;       /* an installation waits or goes on: nothing is begun */
    struct quorum_kept kept[QUORUM_SNAPSHOTS_MAX]; /* ascending; durable */
    uint32_t count;
    int32_t start_epoch;  /* of the entry before log_start */
    uint64_t bytes_since; /* applied since the newest one */
    int64_t snapshot_ns;  /* the next one, by time */
    int64_t clean_ns;
    uint32_t slice;
    struct quorum_snapshot_writer writer;
    struct quorum_snapshot_chunk *chunk; /* being written */
    uint64_t written;
    struct quorum_scan scan;
    struct quorum_io io;
    struct disk_file file;
    enum err err;
    uint8_t *list; /* owned: of the directory */
    uint64_t list_size;
    uint64_t list_used;
    uint64_t list_at;
    int64_t cut_to;
    uint32_t doomed; /* how many of the oldest go with the cut */
    uint64_t checkpoint;
    struct log_sweep sweep;
    char path[QUORUM_PATH_MAX];
    char path_to[QUORUM_PATH_MAX];
};

struct quorum_flow {
    struct op op;
};

struct quorum_request;

struct quorum {
    struct env *env;
    struct quorum_config config;
    struct log *log;
    struct quorum_listener *listener;
    enum quorum_state state;
    enum err err; /* why FAILED */
    struct raft raft;
    struct rng rng;

    /* published: what depends on nothing that could be forgotten */
    int32_t leader; /* RAFT_NOBODY */
    int32_t epoch;
    int64_t high_watermark;
    int64_t applied_end; /* told to the listener up to here */
    struct op_source state_source;
    struct op_source leader_source;  /* leader or epoch changed */
    struct op_source hw_source;      /* keyed by offset; all on a change of leader */
    struct op_source applied_source; /* likewise */
    struct op_source fetch_source;   /* log end, high watermark, epoch: parked fetches look again */

    /* private */
    struct quorum_flow driver;
    struct op_source driver_source;
    struct quorum_flow watch; /* the log's end */
    struct quorum_flow commit;
    struct op_source commit_source;
    bool commit_held; /* the listener's state stands still */
    bool committing;  /* a read of the log is under way */
    struct quorum_keep keep;
    bool starts_moved;     /* raft does not know yet what is kept, or where the log starts */
    int32_t applied_epoch; /* of the last batch told */
    int64_t applied_ms;    /* its greatest timestamp */
    struct quorum_work work;
    struct quorum_file file; /* quorum-state */
    struct quorum_file hint_file;
    struct quorum_hint hint; /* durable */
    struct quorum_hint hint_next;
    bool storing;               /* the driver waits for `file` */
    struct quorum_link *links;  /* QUORUM_LINKS_MAX */
    struct quorum_link nowhere; /* of requests to who cannot be found: they fail */
    struct quorum_voting voting;
    struct quorum_change *changing; /* the one change under way; NULL */
    struct op_source change_source; /* leader, high watermark: for changes */
    struct quorum_join join;
    struct list requests;             /* of the api layer, in order of arrival */
    struct list replies;              /* struct quorum_call */
    struct quorum_request *answering; /* whose answer the present step (or its store) gives */
    struct quorum_call *applying;     /* whose records the present step appends */
    struct raft_effects *effects;
    struct arena arena;  /* of one answer */
    bool append_refused; /* the log would not have what was fetched */
    bool resign_wanted;
    bool hasty; /* no fetch waits any more */
    bool stop_wanted;
    int32_t resign_epoch;
    int64_t stop_deadline_ns;

    struct quorum_batch batches[QUORUM_BATCHES_MAX];
    uint32_t batch_first;
    uint32_t batch_count;
    uint64_t batch_bytes;
    int64_t next_offset;  /* of the next quorum_append() */
    int32_t append_epoch; /* the epoch this node leads, its LeaderChange staged; -1 */
    int64_t drained_end;  /* handed to the log; in flight until flushed */
    int64_t linger_until_ns;
    bool drain_wanted;
    uint32_t log_failures; /* at the start; see quorum_log_failures() */
    int64_t watched_end;
    bool watched_failed;
    int64_t driver_until_ns; /* its deadline as armed */

    struct log_read read; /* of the commit op */
    int32_t told_leader;
    int32_t told_epoch;
    struct quorum_replica replicas[RAFT_VOTERS_MAX + QUORUM_OBSERVERS_MAX];
};

/* Nothing happens yet. The log is OPEN (config.verify_all) and outlives the quorum. */
MUST_USE enum err quorum_init(struct quorum *quorum, struct env *env,
                              const struct quorum_config *config, struct log *log,
                              struct quorum_listener *listener);
/* Reads quorum-state and the hint, then runs. AWAIT state_source until state != QUORUM_STARTING. */
void quorum_start(struct quorum *quorum);
/* A stop is near: fetches that wait are answered, so that the sessions they belong to can end. */
void quorum_hasten(struct quorum *quorum);
/* Orderly, in any state after the start: resigns when leading and lets the voters know (bounded by
 * one request timeout), closes the connections. AWAIT state_source until quorum_stopped(). */
void quorum_stop(struct quorum *quorum);
bool quorum_stopped(const struct quorum *quorum);
/* Never started, or stopped. */
void quorum_deinit(struct quorum *quorum);

static inline bool quorum_running(const struct quorum *quorum)
{
    return quorum->state == QUORUM_RUNNING;
}
/* This node leads `epoch` and may append in it. */
static inline bool quorum_leads(const struct quorum *quorum, int32_t epoch)
{
    return quorum->state == QUORUM_RUNNING && quorum->append_epoch == epoch && epoch >= 0 &&
           quorum->raft.state == RAFT_LEADER && quorum->raft.durable.epoch == epoch;
}
/* A connection to the leader, for what is asked of it beside the quorum's own requests; NULL: no
 * other node leads, or nobody knows where it is. */
struct peer *quorum_leader_peer(struct quorum *quorum);
/* Where the leader is found; false: not known. */
bool quorum_leader_address(const struct quorum *quorum, int32_t *id, struct str *host,
                           uint16_t *port);

/* kraft.version, as far as the log says (applied or not). */
static inline int16_t quorum_kraft_version(const struct quorum *quorum)
{
    return quorum->voting.current.kraft_version;
}

/* Begins; AWAIT(source, done). The struct may not go away before (quorum_change_cancel()). */
void quorum_change_start(struct quorum_change *change, struct quorum *quorum,
                         enum quorum_change_kind kind);
void quorum_change_cancel(struct quorum_change *change);
/* kraft.version 0 to 1: the configured voters go to the log, at *offset. NONE (also when it is 1
 * already), INVALID_UPDATE_VERSION, REQUEST_TIMED_OUT (later), NOT_LEADER_OR_FOLLOWER; *why in
 * words. */
MUST_USE enum err quorum_change_kraft_version(struct quorum *quorum, bool validate_only,
                                              int64_t *offset, const char **why);

/* Appends `count` record values as one atomic batch. They are copied. The offsets are assigned at
 * once; committed when high_watermark > *last_offset (AWAIT_KEY on hw_source, or on applied_source
 * with applied_end), lost when quorum_leads(epoch) is false first. Errors: NOT_CONTROLLER (does not
 * lead this epoch), TOO_LARGE (above QUORUM_BATCH_MAX: split it), NO_MEMORY and TOO_MANY
 * (later). */
MUST_USE enum err quorum_append(struct quorum *quorum, int32_t epoch, const struct bytes *values,
                                uint32_t count, int64_t *first_offset, int64_t *last_offset);
/* Ends the linger: what is accumulated goes to the log at once. */
void quorum_drain(struct quorum *quorum);
/* The controller cannot go on in this epoch (a failed replay): gives the leadership up. */
void quorum_resign(struct quorum *quorum, int32_t epoch);

#endif

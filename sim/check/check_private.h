/* What the oracles share: the ghost model. One file of oracles per subject; each changes the ghost
 * of its own subject and reads the rest.
 *
 *   check_log.c         logs batch by batch                    LOG_*
 *   check_recovery.c    what a death and an open leave of one  LOG_OPENED
 *   check_replica.c     high watermarks, roles, Committed(p)   REPLICA_HW/ROLE/LEADING, reads
 *   check_isr.c         in-sync sets, followers, acks          REPLICA_ISR/REMOTE/..., PRODUCE_*
 *   check_controller.c  the chain of committed decisions       CONTROLLER_*, META_*
 *   check_raft.c        the metadata quorum                    RAFT_*
 *   check_voters.c      who votes in it                        RAFT_VOTERS
 *   check_group.c       consumer groups                        GROUP_*, CLIENT_OWNS and so on
 *   check_consumer.c    those of KIP-848                       GROUP_HOLDS, _MEMBER, _EPOCHS
 *   check_snapshot.c    its snapshots                          RAFT_SNAPSHOT
 *   check_history.c     what clients saw                       CLIENT_*
 *   check_liveness.c    the end of the run
 *
 * A batch is stored once (struct check_batch); logs hold numbers of batches. Each batch names the
 * one before it, and R8 checks that this never differs between replicas: so two logs that hold the
 * same batch agree on everything before it, and "has an identical prefix" is one binary search. */
#ifndef SIM_CHECK_CHECK_PRIVATE_H
#define SIM_CHECK_CHECK_PRIVATE_H

#include "client/base/assert.h"
#include "client/base/text.h"
#include "sim/check/check.h"
#include "sim/check/check_list.h"
#include "sim/check/check_table.h"

/* ---- logs ------------------------------------------------------------------------------------ */

enum { CHECK_STEP_TEXT = 96 };

enum { CHECK_UNKNOWN = 0 }; /* a batch that recovery found and no event described: fits anything */

struct check_batch {
    int64_t base;
    int64_t last;
    int32_t epoch;
    uint32_t crc;
    uint32_t before; /* CHECK_UNKNOWN: not known, or none */
    uint32_t same;   /* next batch of this partition with this base */
    bool acked;      /* by acks=all */
};

struct check_entry {
    int64_t base;
    uint32_t batch;
};

struct check_log {
    struct check_entry *entries; /* owned, ascending */
    uint32_t count;
    uint32_t room;
    int64_t start;
    int64_t end;
};

enum check_fit { CHECK_FITS, CHECK_MISSING, CHECK_DIFFERS };

/* ---- partitions ------------------------------------------------------------------------------ */

/* What a leader knows of one follower. */
struct check_remote {
    int64_t log_end;
    int64_t broker_epoch;
    int32_t leader_epoch; /* -1: nothing in any */
};

struct check_epoch_start {
    int32_t epoch;
    int64_t start;
};

struct check_replica_ghost {
    uint32_t node;
    struct check_part *part;
    struct check_log log;
    int64_t hw;
    int64_t synced_end;
    int64_t synced_max;               /* ever */
    struct check_epoch_start *epochs; /* owned */
    uint32_t epoch_count;
    uint32_t epoch_room;
    bool epochs_sure; /* false after a restart: the file may hold an entry more or less */
    /* This incarnation. */
    int32_t role;
    int32_t leader_epoch; /* -1 unknown */
    int32_t partition_epoch;
    int64_t leader_start;
    int64_t told_from; /* what was committed when it began to lead */
    bool leading;
    uint64_t isr;                 /* maximal, as held */
    uint64_t isr_committed;       /* as held */
    int32_t isr_epoch;            /* leader epoch of both; -1 none */
    struct check_remote *remotes; /* owned, CHECK_NODES_MAX; NULL until it leads */
    bool reply_landed;            /* what the last valid answer brought is there */
    bool reply_stale;             /* the last answer taken was outdated */
    bool append_barred;           /* only an outdated answer could have brought the next append */
    /* Over incarnations. */
    int32_t reach_epoch; /* leader epoch of `reach` */
    int64_t reach;       /* highest log end in it */
    int32_t down_how;    /* how the last life ended while the log is not open again; 0 it is open */
    int64_t end_before;
    uint32_t opened_in;  /* incarnation that opened the log last */
    int64_t before_open; /* log end before the last opening */
    uint32_t damaged_in; /* incarnation in which it did not open, for damage below a promise */
    int64_t hw_held;    /* highest high watermark since the log was cut: a checkpoint may have it */
    int64_t hw_ever;    /* whatever became of the log: of a disk that is set back (DF19) */
    int64_t start_ever; /* likewise the highest log start */
    bool set_back;      /* its disk was, and it has not been opened since */
    int64_t durable_before; /* what had to survive the last power loss */
    int64_t cutting;        /* below here it stays while a cut goes on; INT64_MAX: none does */
    int64_t cut_end;        /* where it was cut and has not been appended to since; -1 */
    int32_t cut_epoch;      /* of the last batch that went */
    bool unvouched;         /* a life that had it open ended otherwise than by an orderly stop */
    int64_t
        rotten_from; /* from here the last open read an epoch that was never appended; INT64_MAX */
    uint32_t sync_failed; /* of this log: 0 no, else turns that ended since, + 1 */
    bool resetting;       /* that cut takes all: the disk has some of it, or begins at `reset_to` */
    int64_t reset_to;
    bool recovering; /* it has told the newest epoch that recovery found, but not its ends */
    int32_t recovered_epoch;
    bool unassigned;    /* it was no replica once since its log was opened: the log may be gone */
    int32_t anew_epoch; /* leader epoch at which its log began again from nothing; -1 */
    int64_t deleted_to; /* its log begins here at least, also after a crash (S18) */
    bool lost;          /* in U: lost data, and has not refetched it */
    bool alone;         /* lost data while no other in-sync replica had the rest */
};

/* A partition as one record of the controller says. */
struct check_state {
    bool known;
    bool unclean;
    int32_t leader; /* node id, -1 none */
    int32_t leader_epoch;
    int32_t partition_epoch;
    uint64_t isr;
    uint64_t replicas;
    uint64_t elr;
    uint64_t last_known;
    uint64_t adding; /* by a reassignment */
    uint64_t removing;
    int64_t offset;
};

enum { CHECK_TOPICS_MAX = 64, CHECK_TOPIC_NAME = 96 };

struct check_topic {
    char name[CHECK_TOPIC_NAME];
    int64_t topic; /* 0: not seen yet */
    int32_t min_isr;
};

struct check_part {
    int64_t topic;
    int32_t partition;
    uint32_t index;
    struct check_replica_ghost *replicas[CHECK_NODES_MAX];
    struct check_log committed; /* Committed(p) */
    int32_t committed_epoch;    /* highest leader epoch that has added to it */
    struct check_state chain;   /* last committed */
    struct check_state work;    /* last written by the active controller */
    int32_t work_epoch;
    struct check_state *past; /* owned: the chain, ascending by partition epoch */
    uint32_t past_count;
    uint32_t past_room;
    int64_t assigned_end; /* highest offset + 1 anybody gave out */
    int64_t appended_ns;
    int32_t min_isr;            /* effective, as told; 0 unknown */
    int32_t configured_min_isr; /* check_topic_min_isr(); 0 unknown */
    bool gone;                  /* deleted */
    bool isr_dirty;
    /* Losses that were paid for: what was said above loss_from before loss_ns is void. */
    bool unclean;
    bool forgiven;
    int64_t loss_from;
    int64_t loss_ns;
    int32_t loss_epoch; /* leaders below it are of the lost world */
    int64_t read_end;   /* highest offset + 1 a client read */
    bool drained;       /* in phase 2, at whose end everything is read once more */
    int64_t
        cleaned_to;    /* below it some replica was compacted: older records of a key may be gone */
    int64_t kept_from; /* highest log start of any replica: what is below may be gone (R25) */
    int64_t deleted_to; /* a client was told that all below is gone */
};

/* ---- nodes ----------------------------------------------------------------------------------- */

struct check_raft {
    bool known; /* a state was told in this incarnation */
    int32_t state;
    int32_t epoch;
    int32_t voted;
    int32_t stored_epoch; /* durable; -1 none */
    int32_t stored_voted;
    int32_t led_epoch; /* the last it was elected in; -1 */
    int64_t led_start;
    uint32_t led_incarnation;
    bool led_over;        /* it has left that leadership */
    int64_t hw;           /* of this incarnation; -1 unknown */
    int32_t hw_epoch;     /* in which a leader's hw was last told */
    int64_t unsettled_ns; /* since when neither leader nor follower; -1 it is */
    int32_t failed_epoch; /* the metadata disk failed in it; -1 */
};

/* Who votes, as one node counts (RAFT_VOTERS). */
struct check_voters {
    bool known;
    int64_t offset;  /* of the record; -1: of none */
    int64_t version; /* kraft.version; 0: configured */
    uint64_t set;    /* of nodes' indexes */
};

struct check_snapshot {
    int64_t epoch;
    int64_t crc;
};

struct check_node {
    int32_t id;
    int32_t kind; /* SIM_NODE: 1 broker 2 controller 3 both 4 client; 0 unknown */
    bool seen;
    bool up;
    bool voter;
    uint32_t incarnation;
    int64_t up_ns;
    int64_t last_ns;
    int64_t awake_ns; /* end of its last long silence (a pause) */
    bool disk_lied;   /* DISK_LIE, DISK_ROT or WIPE hit it: its disk promises nothing */
    bool log_lied;    /* and the bytes of its logs are among what it may not trust */
    bool disk_armed;  /* a request will fail, or has: in this life or in another */
    bool disk_failed; /* in this life a sync failed, whose pages are gone, or a directory went */
    bool sync_failed; /* of some log of it, in this life */
    int64_t applied;  /* metadata, inclusive; -1 */
    int32_t controller_epoch; /* -1 not active */
    bool renounced;
    int64_t broker_epoch_of[CHECK_NODES_MAX]; /* as this node has learned; -1 */
    struct check_raft raft;
    struct check_voters voters;
    int64_t voter_from;       /* its directory is another: voters below this offset are not it */
    int64_t snapshot_durable; /* end of the newest, over all lives; 0 none */
    int64_t snapshot_loaded;  /* in this life */
    int64_t loss_step;        /* step that took its disk; -1 none */
    char loss_text[CHECK_STEP_TEXT];
};

struct check_broker {
    bool known;
    bool fenced;
    bool leaving;
    int64_t epoch;
};

/* A decision of a controller that is not committed yet. */
struct check_pending {
    int64_t offset;
    int32_t epoch;
    struct check_part *part; /* NULL: a broker */
    struct check_state state;
    uint32_t node;
    struct check_broker broker;
};

struct check_ids {
    int64_t first;
    int64_t count;
    int64_t offset; /* -1 not told */
    int32_t epoch;
};

/* ---- clients --------------------------------------------------------------------------------- */

struct check_value {
    uint32_t part;
    int64_t value;
    int64_t sequence; /* in its stream */
    uint32_t stream;
    bool sent;
    int64_t sent_ns;
    bool acked;
    bool failed;  /* definitely */
    bool unclear; /* failed, may have happened */
    bool read;
    bool committed; /* its transaction, or else */
    bool aborted;
    int64_t acked_offset;
    int64_t acked_ns;
    int64_t read_offset;
    int64_t read_ns;
};

struct check_content {
    int64_t value;
    int64_t time_ns;
    bool read;
};

struct check_stream {
    int64_t sent;
    int64_t max_sequence;
    int64_t max_offset;
    int64_t newest; /* highest offset of its key that was acknowledged or read */
    int64_t
        open_tombstone; /* at the end: sequence of the last one that nobody may tell of, or -1 */
    bool keyed;
};

struct check_reader {
    int64_t position; /* -1 unknown */
};

struct check_gap {
    uint32_t part;
    int32_t node;
    int64_t from;
    int64_t to;
};

struct check_produce {
    uint32_t node;
    uint32_t incarnation;
    uint32_t part;
    int64_t last_offset;
    int64_t time_ns;
    uint32_t open;
};

/* ---- all ------------------------------------------------------------------------------------- */

enum { CHECK_SAMPLES = 64, CHECK_EXCUSED_MAX = 64, CHECK_GAPS_MAX = 4096 };

struct check_sample {
    int64_t time_ns;
    int64_t end;
};

/* A growing array. */
#define CHECK_VEC(type) \
    struct {            \
        type *items;    \
        uint32_t count; \
        uint32_t room;  \
    }

struct check {
    struct check_config config;
    bool min_isr_known; /* config.min_isr is no guess */
    int64_t now_ns;
    int32_t phase;
    int64_t liveness_ns; /* begin of phase 2; -1 */
    bool lively;         /* liveness was judged */
    uint64_t core;       /* the nodes that liveness is asked of */
    bool finished;
    bool elr; /* the cluster keeps eligible leader replicas */
    bool violated;
    struct check_violation violation;
    CHECK_VEC(struct check_violation) excused;
    struct check_topic topics[CHECK_TOPICS_MAX];
    uint32_t topic_count;
    uint64_t evaluations[CHECK_ID_COUNT];

    struct check_node nodes[CHECK_NODES_MAX];
    uint32_t node_count;
    CHECK_VEC(struct check_part *) parts;
    struct check_table parts_by_key;
    struct check_part *last_part;          /* the one asked for last */
    struct check_part *metadata;           /* __cluster_metadata-0 */
    int64_t offsets_topic;                 /* __consumer_offsets; 0 not seen yet */
    CHECK_VEC(struct check_batch) batches; /* [0] is CHECK_UNKNOWN */
    struct check_table batches_by_base;
    struct check_table leaders; /* (partition, leader epoch) -> node + 1 */

    struct check_broker chain_brokers[CHECK_NODES_MAX];
    struct check_broker work_brokers[CHECK_NODES_MAX];
    int32_t
        newest_controller; /* highest epoch of an active controller; what others write is void */
    bool brokers_dirty;
    CHECK_VEC(struct check_part *) dirty;
    CHECK_VEC(struct check_pending) pending;
    CHECK_VEC(struct check_ids) ids;
    struct check_table broker_epochs; /* -> node + 1 */
    struct check_table digests;       /* offset -> number in digest_values */
    CHECK_VEC(int64_t) digest_values;

    struct check_table snapshots; /* end -> number in snapshot_values */
    CHECK_VEC(struct check_snapshot) snapshot_values;
    struct check_table snapshots_held; /* (node, end) */

    struct check_table elected;      /* quorum epoch -> node + 1 */
    struct check_table committed_by; /* quorum epoch -> end of what its leader committed */
    struct check_table votes;        /* (node, epoch) -> candidate + 1 */
    struct check_table voter_sets;   /* offset -> what the committed set there is remembered by */
    int32_t newest_epoch;
    uint32_t newest_leader;
    int64_t newest_ns;
    int64_t contested_ns; /* the last election that no leader made room for (check_raft.c) */
    int32_t left_epoch;   /* its leader had removed itself from the voters; -1 */
    int64_t newest_voters;
    struct check_sample samples[CHECK_SAMPLES];
    uint32_t sample_count;
    int64_t committed_ns; /* of the newest commit */

    struct check_table values_by_key;
    CHECK_VEC(struct check_value) values;
    struct check_table contents_by_key;
    CHECK_VEC(struct check_content) contents;
    struct check_table streams_by_key;
    CHECK_VEC(struct check_stream) streams;
    struct check_table readers_by_key;
    struct check_groups *groups;       /* of check_group.c; NULL until the first group */
    struct check_consumers *consumers; /* of check_consumer.c; NULL until the first group */
    CHECK_VEC(struct check_reader) readers;
    CHECK_VEC(struct check_gap) gaps;
    struct check_table produces_by_key;
    CHECK_VEC(struct check_produce) produces;

    int64_t step; /* last scripted step */
    char step_text[CHECK_STEP_TEXT];
};

/* The array with room for one more; asserts that there is memory. */
void *check_grow(void *items, uint32_t *room, uint32_t count, size_t size);
#define CHECK_PUSH(vec, value)                                                                     \
    do {                                                                                           \
        (vec)->items = check_grow((vec)->items, &(vec)->room, (vec)->count, sizeof *(vec)->items); \
        (vec)->items[(vec)->count++] = (value);                                                    \
    } while (0)

static inline int64_t check_field(const struct trace_event *event, uint32_t i)
{
    return i < event->field_count ? event->fields[i] : -1;
}

/* ---- verdicts (check.c) ---------------------------------------------------------------------- */

struct check_at {
    uint32_t node;                 /* index */
    const struct check_part *part; /* NULL: none */
    int64_t epoch;
    int64_t offset;
};

static inline void check_count(struct check *check, enum check_id id)
{
    check->evaluations[id]++;
}

/* Where the sentence goes; false when a violation is on record already. */
bool check_fail_begin(struct check *check, enum check_id id, struct check_at at, struct text *text);
#define CHECK_FAIL(check, id, at, ...)                               \
    do {                                                             \
        struct text fail_text;                                       \
        if (check_fail_begin((check), CHECK_##id, (at), &fail_text)) \
            text_format(&fail_text, __VA_ARGS__);                    \
    } while (0)
/* A loss that was paid for: the text says by what. False when there are too many. */
bool check_excuse_begin(struct check *check, enum check_id id, struct check_at at,
                        struct text *text);

/* ---- who is who (check.c) -------------------------------------------------------------------- */

uint32_t check_node(struct check *check, int32_t id);
struct check_part *check_part(struct check *check, int64_t topic, int32_t partition);
/* Never NULL. */
struct check_replica_ghost *check_replica(struct check *check, uint32_t node,
                                          struct check_part *part);
/* "isr 1,2 ..." or "1,2": ids behind `word` ("" at the start) as a set of indexes. */
uint64_t check_ids(struct check *check, struct str text, const char *word);
static inline bool check_in(uint64_t set, uint32_t node)
{
    return node < CHECK_SET_MAX && (set >> node & 1) != 0;
}
uint32_t check_set_size(uint64_t set);
/* The ids of a set, for sentences. */
struct check_names {
    char text[96];
};
struct check_names check_names(const struct check *check, uint64_t set);

/* ---- logs (check_log.c) ---------------------------------------------------------------------- */

bool check_log_event(struct check *check, uint32_t node, const struct trace_event *event);
void check_log_push(struct check_log *log, int64_t base, uint32_t batch);
void check_log_cut(struct check_log *log, int64_t end);
/* The batch that holds `offset`; false outside of [start, end) or when nothing is known. */
bool check_log_find(const struct check_log *log, int64_t offset, uint32_t *batch);
/* Does `log` hold what `other` has below `end`? One look at the last batch tells (R8). */
enum check_fit check_log_fits(const struct check_log *log, const struct check_log *other,
                              int64_t end);
/* First offset below `end` at which they part. */
int64_t check_log_parts_at(const struct check *check, const struct check_log *log,
                           const struct check_log *other, int64_t end);
/* Leader epoch of the batch at an offset; -1 unknown. */
int32_t check_log_epoch(const struct check *check, const struct check_log *log, int64_t offset);
struct check_at check_log_at(const struct check_replica_ghost *replica, int64_t epoch,
                             int64_t offset);
/* R1, after any change of an offset. */
void check_log_order(struct check *check, const struct check_replica_ghost *replica);
/* Forgets the epochs that begin at `end` or above it; `keep_at_end`: above it. */
void check_log_cut_epochs(struct check_replica_ghost *replica, int64_t end, bool keep_at_end);

/* ---- their crashes (check_recovery.c) -------------------------------------------------------- */

void check_recovery_down(struct check *check, struct check_replica_ghost *replica, int32_t how);
void check_recovery_opened(struct check *check, struct check_replica_ghost *replica,
                           const struct trace_event *event);
/* S18: an answer to DeleteRecords; who joins; who leads without having been in sync (KIP-966). */
void check_recovery_deleted(struct check *check, uint32_t node, const struct trace_event *event);
void check_recovery_joined(struct check *check, struct check_part *part, uint64_t joined);
void check_recovery_leads(struct check_replica_ghost *replica);
/* As its high watermark and its log start are now. */
void check_recovery_holds(struct check_replica_ghost *replica);
/* The disk of a node is what it was at some time before (DF19). */
void check_recovery_set_back(struct check *check, uint32_t node);
/* Another, empty log takes the place of this one. */
void check_recovery_begin_anew(struct check_replica_ghost *replica);

/* ---- the rest, by file ----------------------------------------------------------------------- */

bool check_snapshot_event(struct check *check, uint32_t node, const struct trace_event *event);
void check_snapshot_down(struct check *check, uint32_t node);
void check_snapshot_started(struct check *check, uint32_t node);
void check_snapshot_log_start(struct check *check, uint32_t node, int64_t start);

void check_disk_cut(const struct check *check, struct check_replica_ghost *replica, int64_t end);
void check_disk_opened(struct check *check, struct check_replica_ghost *replica, int64_t start,
                       int64_t end);
void check_disk_down(const struct check *check, struct check_replica_ghost *replica, bool orderly);
void check_disk_clean(struct check *check, const struct check_replica_ghost *replica);
/* False when S37 is broken. */
bool check_disk_flushed(struct check *check, const struct check_replica_ghost *leader);
bool check_disk_newest_epoch(struct check *check, const struct check_replica_ghost *replica,
                             int32_t epoch, int64_t start);
void check_disk_damaged(struct check *check, const struct check_replica_ghost *replica,
                        int64_t offset);
void check_disk_synced(struct check *check, const struct check_replica_ghost *replica, int64_t end);
void check_disk_sync_failed(struct check *check, uint32_t node, struct str path);
void check_disk_cleaned(struct check *check, const struct check_replica_ghost *replica, int64_t to);
bool check_disk_text_has(struct str text, const char *part);
void check_disk_turn(struct check *check, uint32_t node);

bool check_replica_event(struct check *check, uint32_t node, const struct trace_event *event);
void check_replica_commit(struct check *check, struct check_part *part,
                          const struct check_replica_ghost *leader, int64_t end);
int32_t check_replica_min_isr(const struct check *check, const struct check_part *part);
/* Has data of this partition been lost in a way that voids what was said at `offset`? */
bool check_replica_void(const struct check_part *part, int64_t offset, int64_t said_ns);

bool check_isr_event(struct check *check, uint32_t node, const struct trace_event *event);
void check_isr_chain(struct check *check, struct check_part *part);
void check_isr_appended(struct check *check, struct check_replica_ghost *replica, int64_t base);
void check_isr_truncated(struct check *check, struct check_replica_ghost *replica, int64_t end);

bool check_controller_event(struct check *check, uint32_t node, const struct trace_event *event);
void check_controller_turn(struct check *check, uint32_t node);
/* The metadata log is committed up to here. */
void check_controller_committed(struct check *check, int64_t end);
/* Its log was opened again after a power loss, with less than it had. */
void check_controller_lost(struct check *check, const struct check_replica_ghost *replica);
void check_controller_role(struct check *check, const struct check_replica_ghost *replica,
                           int32_t leader);

bool check_raft_event(struct check *check, uint32_t node, const struct trace_event *event);
void check_raft_appended(struct check *check, uint32_t node, int64_t base, int32_t epoch);
void check_raft_failed(struct check *check, uint32_t node);
void check_raft_down(struct check *check, uint32_t node);
bool check_raft_leads(const struct check *check, uint32_t node);

/* ---- check_voters.c ---- */
/* A leader's high watermark, or what a follower takes for committed, is at `end`. */
void check_voters_committed(struct check *check, uint32_t leader, int64_t end);
void check_voters_follows(struct check *check, uint32_t node, int64_t end);
void check_voters_event(struct check *check, uint32_t node, const struct trace_event *event);
void check_voters_used(struct check *check, uint32_t node, int64_t log_end);
void check_voters_counted(struct check *check, uint32_t leader, uint32_t voter, int64_t end);
/* Its set stands in the log. */
bool check_voters_known(const struct check *check, uint32_t node);
void check_voters_down(struct check *check, uint32_t node);

bool check_history_event(struct check *check, uint32_t node, const struct trace_event *event);
void check_history_finish(struct check *check);
void check_history_destroy(struct check *check);

bool check_group_event(struct check *check, uint32_t node, const struct trace_event *event);
void check_group_down(struct check *check, uint32_t node);
void check_group_destroy(struct check *check);

/* Looks on: true only for what is nobody else's. */
bool check_consumer_event(struct check *check, uint32_t node, const struct trace_event *event);
/* `node` gets a partition that `other` has. True: that is a violation, and told. */
bool check_consumer_takes_over(struct check *check, uint32_t node, uint32_t other,
                               const struct trace_event *event);
void check_consumer_down(struct check *check, uint32_t node);
void check_consumer_finish(struct check *check);
void check_consumer_destroy(struct check *check);

void check_liveness_appended(struct check *check, uint32_t node, const struct check_part *part,
                             int64_t base, int64_t last);
void check_liveness_answered(struct check *check, uint32_t node, const struct check_part *part,
                             int64_t base);
void check_liveness_finish(struct check *check);

#endif

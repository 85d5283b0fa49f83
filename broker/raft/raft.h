/* One member of the metadata quorum as a pure step: an event goes in, effects come out (kraft.md 3
 * to 7). It performs no I/O, reads no clock and knows no peer's address; quorum.[ch] carries the
 * effects out and brings what came of them back as events.
 *
 * Who votes is configured (controller.quorum.voters), or stands in the log (KIP-853): then an entry
 * with a new set takes effect here as soon as the log holds it, committed or not, and a cut takes
 * it back. The driver reads those entries and says so with the event that moved the log's end. Sets
 * that follow each other differ by one voter, so any two majorities of them share one (K15). A
 * leader that is not in the set leads on without counting itself until that set is committed, then
 * resigns. A node that is no voter is an observer: it follows the log and does not stand; one that
 * could be made a voter answers ballots all the same, since the candidate may know a newer set.
 *
 *                      election timeout           majority of pre-votes        majority
 *   +--> UNATTACHED -----------------> PROSPECTIVE -----------------> CANDIDATE -------> LEADER
 *   |     |     ^                       |  ^   ^ |                     |    |              |
 *   |     |     | lost, no leader known |  |   | +---------------------|----+ timeout      |
 * resign,
 *   |     |     +-----------------------+  |   |  (same epoch)         |                   | check
 *   |     | leader learned    lost, leader |   | fetch timeout         | leader learned    | quorum
 *   |     v                   known        v   |                       v                   v
 *   |   FOLLOWER <-------------------------+---+--------------- (FOLLOWER)             RESIGNED
 *   |                                                                                      |
 *   +------------------- election timeout: epoch + 1 --------------------------------------+
 *   Any state, on a higher epoch: UNATTACHED, or FOLLOWER when the leader comes with it.
 *
 * The order of things inside one step is the contract:
 *   notes    are told at once (they are traces)
 *   effects  are carried out in order. When the durable part (epoch, leader, vote) changed, the
 * only
 *            effect is RAFT_STORE; the others are held back until RAFT_STORED comes, and until then
 *            no other event may be given (raft_storing). So nothing leaves a node that depends on
 *            an epoch or a vote that could be forgotten (K2, K3).
 *
 * The log. `assigned_end` >= `log_end` >= `flushed_end`. The driver tells where the log stands;
 * the last two move by RAFT_APPENDED and RAFT_FLUSHED. A follower never asks for more than it
 * has flushed (K11): its fetch offset is its acknowledgement.
 *
 * DIFFERS: a leader counts its own *flushed* end for the high watermark; Kafka counts the log end
 * just before its fsync, which exposes commits too early in a quorum of one, and always would with
 * asynchronous disks (kraft.md 6, K6).
 * DIFFERS: K27, F43. With every acknowledgement (flush) the driver makes a hint durable: the
 * highest end ever acknowledged. A log that opens shorter than its hint has lost what others may
 * count on: such a member is `distrusted`. It neither votes nor stands nor leads until it has
 * refetched.
 *
 * DIFFERS: a disk that was set back (architecture: found out and demoted). Such a member finds its
 * files whole and its hint satisfied; only others know better. A leader remembers what each voter
 * acknowledged, in its epoch and, as far as it was committed, in its epochs before. A voter (same
 * directory) that fetches from below that is told once, by OFFSET_OUT_OF_RANGE with the high
 * watermark: it writes that into its hint and is distrusted until it has it again. A disk is set
 * back between two lives of its node, and a new life opens new connections: a fetch from below that
 * comes by a connection older than another it has fetched by was only late (the voter gave that
 * connection up), and says nothing. What a voter asks a bootstrap address, which may be this leader
 * too, goes by connections that are in no such order: so the driver sends it as nobody's fetch.
 *
 * Snapshots (KIP-630, kraft.md 8). The step knows the newest one that is durable here and where the
 * log starts; RAFT_LOG_STARTS tells when that moved. Who is asked for what lies below its log start
 * answers with the newest snapshot's id; the asker then fetches that in parts, has it installed as
 * a whole, and goes on at its end:
 *
 *   RAFT_SEND_SNAPSHOT -> reply -> RAFT_SAVE_PART -> RAFT_PART_SAVED -> the next part ...
 *                         the last part -> RAFT_INSTALL -> RAFT_INSTALLED (or RAFT_NOT_INSTALLED)
 *
 * A part that got lost is asked for again; a change of leader or epoch begins anew. */
#ifndef BROKER_RAFT_RAFT_H
#define BROKER_RAFT_RAFT_H

#include "client/base/bytes.h"
#include "client/base/err.h"
#include "client/base/rng.h"
#include "client/world/world.h"

enum { RAFT_VOTERS_MAX = 9, RAFT_EFFECTS_MAX = 32, RAFT_NOTES_MAX = 16 };

#define RAFT_NOBODY (-1)
/* The n-th of controller.quorum.bootstrap.servers as a peer: an address whose id is not known. */
#define RAFT_BOOTSTRAP(n) (-2 - (int32_t)(n))
#define RAFT_NO_SNAPSHOT  INT64_C(0)  /* end of the newest snapshot while there is none */
#define RAFT_NO_HW        INT64_C(-1) /* high watermark of an epoch before it is known (kraft 6) */

enum raft_state {
    RAFT_UNATTACHED,
    RAFT_PROSPECTIVE,
    RAFT_CANDIDATE,
    RAFT_LEADER,
    RAFT_FOLLOWER,
    RAFT_RESIGNED,
};
enum { RAFT_STATES = RAFT_RESIGNED + 1 };

/* What quorum-state keeps. */
struct raft_durable {
    int32_t epoch;
    int32_t leader;
    int32_t voted;
    struct uuid voted_directory;
};

/* A set of voters. A voter is an id and the directory it votes from: with another one it is a
 * stranger that has lost the first one's disk. */
struct raft_voters {
    uint32_t count;
    bool dynamic;                             /* it stands in the log or in a snapshot */
    int64_t offset;                           /* of the log's entry that says so; -1: none */
    int32_t ids[RAFT_VOTERS_MAX];             /* ascending, distinct */
    struct uuid directories[RAFT_VOTERS_MAX]; /* zero: whichever it has */
};

struct raft_config {
    int32_t node_id;
    struct uuid directory_id;
    int32_t voters[RAFT_VOTERS_MAX]; /* ascending, distinct: while the log says nothing */
    uint32_t voter_count;            /* 0: the log has to say it */
    uint32_t bootstrap_count;        /* whom to ask beside the voters */
    bool may_join;                   /* a controller: an observer that can be made a voter */
    int32_t election_timeout_ms;     /* drawn from [T, 2T) */
    int32_t fetch_timeout_ms;
    int32_t election_backoff_max_ms; /* after EndQuorumEpoch only */
    int32_t retry_backoff_ms;
};

/* Where the log stands at the start. */
struct raft_log {
    int64_t log_end;
    int64_t flushed_end;
    int32_t last_epoch;       /* of the last batch, or of the snapshot before an empty log; 0 */
    int64_t acknowledged_end; /* the hint; 0 when there is none */
    int64_t log_start;
    int32_t start_epoch;    /* of the entry before log_start, which is a snapshot's end; 0 at 0 */
    int64_t snapshot_end;   /* of the newest durable snapshot; RAFT_NO_SNAPSHOT */
    int32_t snapshot_epoch; /* of the entry before its end */
    const struct raft_voters *voters; /* as it says, for raft_init(); NULL: as configured */
};

/* The rare conditions after which a member does nothing more (an error for people, no assertion:
 * damaged or lost data of another node can cause them). */
enum raft_fault {
    RAFT_SOUND,
    RAFT_FAULT_TWO_LEADERS, /* two leaders of one epoch were seen (K1 broken elsewhere) */
    RAFT_FAULT_BELOW_HW,    /* a leader wants us to cut committed entries (K10) */
    RAFT_FAULT_HW_BACK,     /* a leader's high watermark went back (K8) */
    RAFT_FAULT_STORE,       /* quorum-state could not be written */
    RAFT_FAULT_LOG,         /* the log could not be written, read or flushed (K29) */
};

/* ---- events ---------------------------------------------------------------------------------- */

struct raft_vote_request {
    int32_t epoch;
    int32_t candidate;
    struct uuid candidate_directory;
    struct uuid voter_directory; /* zero: not said */
    int32_t last_epoch;
    int64_t log_end;
    bool pre_vote;
};

/* Part of every reply of the quorum's own requests. */
struct raft_reply {
    enum err err;
    int32_t leader; /* as known to the answering node */
    int32_t epoch;
    bool granted; /* vote */
};

struct raft_fetch_request {
    int32_t replica;
    struct uuid directory; /* zero: not said */
    uint64_t connection;   /* it came by; of two the later opened has the greater number */
    int32_t leader_epoch;  /* current_leader_epoch */
    int64_t fetch_offset;
    int32_t last_fetched_epoch;
    int64_t known_hw;  /* -1: not said */
    bool park_allowed; /* max wait is above 0 and has not passed */
    /* Looked up by the driver in the leader's log (kraft.md 7): endOffsetFor(last_fetched_epoch);
     * an undefined result is given as (last epoch, log end). */
    int32_t end_epoch;
    int64_t end_offset;
};

/* FetchSnapshot as the leader's step sees it; which bytes are sent is the driver's. */
struct raft_snapshot_request {
    int32_t replica;
    struct uuid directory;
    int32_t leader_epoch;
};

enum raft_fetch_verdict {
    RAFT_FETCH_ERROR,     /* err, leader and epoch tell */
    RAFT_FETCH_SNAPSHOT,  /* snapshot_*: what is asked for is no longer in the log */
    RAFT_FETCH_SERVE,     /* records from fetch_offset up to log end, or none */
    RAFT_FETCH_DIVERGING, /* diverging_* */
    RAFT_FETCH_PARK,      /* nothing to say yet */
};

struct raft_fetch_answer {
    enum raft_fetch_verdict verdict;
    enum err err;
    int32_t leader;
    int32_t epoch;
    int64_t high_watermark; /* RAFT_NO_HW while unknown in this epoch */
    int32_t diverging_epoch;
    int64_t diverging_end;
    int64_t snapshot_end;
    int32_t snapshot_epoch;
};

struct raft_fetch_reply {
    struct raft_reply reply;
    int64_t high_watermark;
    bool has_records;
    bool diverging;
    int32_t diverging_epoch;
    int64_t diverging_end;
    bool wants_snapshot; /* the leader says: fetch this one */
    int64_t snapshot_end;
    int32_t snapshot_epoch;
    /* Looked up by the driver in our own log: endOffsetFor(diverging_epoch); -1, -1 undefined. */
    int32_t own_epoch;
    int64_t own_end;
};

/* One part of a snapshot. */
struct raft_snapshot_reply {
    struct raft_reply reply;
    int64_t end; /* of the snapshot */
    int32_t epoch;
    int64_t size;
    int64_t position;
    int64_t bytes; /* that came, from position on */
};

enum raft_event_kind {
    RAFT_START,            /* the first event */
    RAFT_TICK,             /* raft_deadline() has come */
    RAFT_STORED,           /* err */
    RAFT_VOTE_REQUEST,     /* vote */
    RAFT_VOTE_REPLY,       /* peer, round, reply */
    RAFT_BEGIN_REQUEST,    /* peer = leader, epoch, directory = the voter's (or zero) */
    RAFT_BEGIN_REPLY,      /* peer, reply */
    RAFT_END_REQUEST,      /* peer = leader, epoch, successors */
    RAFT_END_REPLY,        /* peer, reply */
    RAFT_FETCH_REQUEST,    /* fetch */
    RAFT_FETCH_REPLY,      /* peer, round, fetched */
    RAFT_SEND_FAILED,      /* peer, round, request: no reply will come */
    RAFT_ASSIGNED,         /* end: the leader's own append was begun */
    RAFT_APPENDED,         /* end, epoch (of the last batch): the log has grown up to here */
    RAFT_APPEND_REFUSED,   /* what was fetched is damaged or does not fit: fetch again */
    RAFT_FLUSHED,          /* end: durable up to here, and so is the hint */
    RAFT_TRUNCATED,        /* end, epoch (of the last batch left) */
    RAFT_LOG_FAILED,       /* err, end: an append, flush or cut failed; the log ends at `end` */
    RAFT_LOG_STARTS,       /* log: log_start, start_epoch, snapshot_* as they are now */
    RAFT_SNAPSHOT_REQUEST, /* snapshot */
    RAFT_SNAPSHOT_REPLY,   /* peer, round, part */
    RAFT_PART_SAVED,       /* end: bytes of the snapshot that are here */
    RAFT_INSTALLED,        /* log: the log is empty and starts at the snapshot's end */
    RAFT_NOT_INSTALLED,    /* what was fetched is damaged: fetch again */
    RAFT_DISOWNED,         /* the hint says it durably: this log lacks what it acknowledged */
    RAFT_RESIGN,           /* epoch: orderly stop or renunciation; ignored in another epoch */
};

enum raft_request {
    RAFT_REQUEST_VOTE,
    RAFT_REQUEST_BEGIN,
    RAFT_REQUEST_END,
    RAFT_REQUEST_FETCH,
    RAFT_REQUEST_SNAPSHOT,
};
enum { RAFT_REQUESTS = RAFT_REQUEST_SNAPSHOT + 1 };

struct raft_event {
    enum raft_event_kind kind;
    struct mono_time now;
    int32_t peer;
    int32_t epoch;
    int64_t end;
    uint64_t round; /* as in the effect that sent the request */
    enum err err;
    enum raft_request request;
    struct uuid directory;
    struct raft_reply reply;
    struct raft_vote_request vote;
    struct raft_fetch_request fetch;
    struct raft_fetch_reply fetched;
    struct raft_snapshot_request snapshot;
    struct raft_snapshot_reply part;
    struct raft_log log;
    const struct raft_voters *voters; /* APPENDED, TRUNCATED, INSTALLED: who votes now; or NULL */
    int32_t successors[RAFT_VOTERS_MAX];
    uint32_t successor_count;
};

/* ---- effects --------------------------------------------------------------------------------- */

enum raft_effect_kind {
    RAFT_STORE,         /* durable -> RAFT_STORED */
    RAFT_ANSWER,        /* reply: to the request of the step that began this */
    RAFT_ANSWER_FETCH,  /* answer */
    RAFT_SEND_SNAPSHOT, /* peer, round, epoch, end, log_epoch (its id), position -> reply */
    RAFT_SAVE_PART,     /* the bytes of the reply of this step at `position` -> RAFT_PART_SAVED */
    RAFT_INSTALL,       /* end, log_epoch: what was fetched -> RAFT_INSTALLED */
    RAFT_SEND_VOTE,     /* peer, round, epoch, log_epoch, end, pre_vote */
    RAFT_SEND_BEGIN,    /* peer, round, epoch */
    RAFT_SEND_END,      /* peer, round, epoch; raft->successors */
    RAFT_SEND_FETCH,    /* peer, round, epoch, end, log_epoch, high_watermark -> reply or failure */
    RAFT_APPEND,        /* the records of the reply of this step -> RAFT_APPENDED */
    RAFT_FLUSH,         /* -> RAFT_FLUSHED */
    RAFT_TRUNCATE,      /* end; lower the hint first -> RAFT_TRUNCATED */
    RAFT_LEAD,          /* epoch: append a LeaderChange batch (raft->granted) -> RAFT_APPENDED */
    RAFT_LEADER_CHANGED, /* peer (may be RAFT_NOBODY), epoch: tell the node */
    RAFT_HW_CHANGED,     /* high_watermark */
    RAFT_TRUST_CHANGED,  /* raft->distrusted */
    RAFT_DISOWN,         /* end: the hint becomes this -> RAFT_DISOWNED */
    RAFT_SET_BACK,       /* peer, end: this voter lacks what it acknowledged below `end` */
    RAFT_FAULTED,        /* fault */
};

struct raft_effect {
    enum raft_effect_kind kind;
    int32_t peer;
    int32_t epoch;
    int32_t log_epoch;
    int64_t end;
    int64_t high_watermark;
    int64_t position;
    uint64_t round;
    bool pre_vote;
    enum raft_fault fault;
    struct raft_durable durable;
    struct raft_reply reply;
    struct raft_fetch_answer answer;
};

/* Traces, in the fields' order of trace_table.h. */
enum raft_note_kind {
    RAFT_NOTE_STATE,   /* old new epoch leader voted */
    RAFT_NOTE_VOTE,    /* candidate epoch granted pre_vote */
    RAFT_NOTE_ELECTED, /* epoch start_offset granted voters (counts) */
    RAFT_NOTE_HW,      /* old new epoch leading */
    RAFT_NOTE_FETCHED, /* voter offset epoch flushed_own */
    RAFT_NOTE_FLUSHED, /* end epoch */
};

struct raft_note {
    enum raft_note_kind kind;
    int64_t fields[5];
    uint32_t field_count;
};

struct raft_effects {
    struct raft_effect effects[RAFT_EFFECTS_MAX];
    uint32_t count;
    struct raft_note notes[RAFT_NOTES_MAX];
    uint32_t note_count;
};

/* ---- the member ------------------------------------------------------------------------------ */

enum raft_ballot { RAFT_BALLOT_UNSENT, RAFT_BALLOT_SENT, RAFT_BALLOT_GRANTED, RAFT_BALLOT_REFUSED };

/* Per voter, by its place in raft.set. */
struct raft_voter {
    int32_t id;
    /* prospective, candidate */
    enum raft_ballot ballot;
    struct mono_time retry_at; /* of an UNSENT ballot */
    /* leader */
    int64_t end_offset;    /* acknowledged in this epoch; -1 before its first fetch */
    struct uuid directory; /* the one counted in this epoch; zero before the first fetch (K17) */
    struct mono_time last_fetch; /* or the election */
    struct mono_time begin_at;   /* next BeginQuorumEpoch */
    struct mono_time caught_up;  /* last time its fetch reached the log end (DescribeQuorum) */
    bool fetched;
    uint64_t connection; /* the latest opened one that it fetched by */
    /* over the epochs this member has led, of `known_directory`: acknowledged and committed */
    int64_t known_end;
    struct uuid known_directory;
    /* resigned */
    bool end_acked;
};

/* Log work of a follower, one at a time. */
enum raft_work {
    RAFT_IDLE,
    RAFT_APPENDING,
    RAFT_FLUSHING,
    RAFT_TRUNCATING,
    RAFT_SAVING,     /* a part of a snapshot */
    RAFT_INSTALLING, /* a snapshot in the place of the log */
    RAFT_DISOWNING,
};

/* A snapshot on its way here. */
struct raft_download {
    bool active;
    int64_t end;
    int32_t epoch;
    int64_t size; /* -1 before the first part */
    int64_t position;
};

struct raft {
    struct raft_config config;
    struct rng *rng;
    struct raft_voters set; /* who votes */
    uint32_t self;          /* place among the voters; set.count for an observer */
    enum raft_state state;
    struct raft_durable durable; /* epoch, leader, vote: as in memory */
    enum raft_fault fault;
    bool distrusted;
    int64_t trusted_from; /* while distrusted: the hint */

    int64_t log_start;
    int32_t start_epoch;
    int64_t snapshot_end;
    int32_t snapshot_epoch;
    int64_t assigned_end;
    int64_t log_end;
    int64_t flushed_end;
    int32_t last_epoch;
    int64_t high_watermark; /* committed as far as this member knows; never goes back */
    enum raft_work work;

    struct raft_voter voters[RAFT_VOTERS_MAX];
    struct mono_time election_at; /* unattached, prospective, candidate, resigned */
    uint64_t round;               /* of the outstanding ballots, then of everything sent */
    uint64_t ballot_round;

    /* leader */
    int64_t epoch_start; /* offset of this epoch's LeaderChange batch */
    bool hw_known;       /* in this epoch */
    bool granted[RAFT_VOTERS_MAX];

    /* follower, and unattached while it looks for a leader */
    struct mono_time fetch_timeout_at;
    struct mono_time fetch_at; /* not before, after a failure */
    uint64_t fetch_round;      /* of the outstanding fetch; 0: none */
    uint32_t fetch_failures;
    uint32_t bootstrap;  /* whom to ask next while no leader is known */
    bool fetched_once;   /* successfully from this leader: refuses pre-votes (KIP-996) */
    int32_t ended_epoch; /* the last one whose leader told us of its end */
    int64_t leader_hw;   /* as this leader said last; RAFT_NO_HW */
    struct raft_download download;

    /* resigned */
    int32_t successors[RAFT_VOTERS_MAX];
    uint32_t successor_count;

    /* private */
    bool started;
    bool dirty; /* the durable part changed in this step */
    bool storing;
    struct raft_effect held[RAFT_EFFECTS_MAX];
    uint32_t held_count;
    struct mono_time now;
    struct raft_effects *out;
};

/* `durable` as read from quorum-state, or epoch 0 with nobody. rng stays the caller's. */
void raft_init(struct raft *raft, const struct raft_config *config, struct rng *rng,
               const struct raft_durable *durable, const struct raft_log *log);

void raft_step(struct raft *raft, const struct raft_event *event, struct raft_effects *effects);

/* While true only RAFT_STORED may be given. */
static inline bool raft_storing(const struct raft *raft)
{
    return raft->storing;
}
/* When RAFT_TICK is wanted; INT64_MAX: never. */
struct mono_time raft_deadline(const struct raft *raft);
/* What a fetch request gets now; no effect. The step notes the position of a voter and answers with
 * this; a parked request asks it again whenever log end, high watermark or state changed. */
void raft_fetch_check(const struct raft *raft, const struct raft_fetch_request *request,
                      struct raft_fetch_answer *answer);

static inline bool raft_is_voter(const struct raft *raft)
{
    return raft->self < raft->set.count;
}
/* The high watermark to tell others: known only in the leader's own epoch. */
static inline int64_t raft_leader_hw(const struct raft *raft)
{
    return raft->state == RAFT_LEADER && raft->hw_known ? raft->high_watermark : RAFT_NO_HW;
}
const char *raft_state_name(enum raft_state state);
const char *raft_fault_text(enum raft_fault fault);
/* Asserts what must hold after every step. */
void raft_check(const struct raft *raft);

#endif

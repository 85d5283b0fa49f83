/* A member of a consumer group: shares the partitions of the subscribed topics
 * with the other members, and keeps the group's offsets. Stands on a consumer, whose partitions it
 * assigns and takes away.
 *
 *   IDLE --subscribe--> PREPARING --> JOINING --> COMPUTING --> SYNCING --> ASSIGNING --> STABLE
 *                        ^ |  ^ give up what       (leader)                  |  give up,     |
 *                        | |  | must go                                      |  take over    |
 *                        | +--+                                              v               |
 *                        +--- rejoin: told so, subscription or metadata changed, fenced -----+
 *   any --membership_close--> LEAVING --> CLOSED        any --fatal answer--> FAILED --> LEAVING
 *
 * With MEMBERSHIP_CONSUMER (KIP-848) the coordinator assigns, heartbeats carry everything, and the
 * generation is the member's epoch (clients.md 3.10):
 *
 *   IDLE --subscribe--> PREPARING --> JOINING --epoch--> STABLE <--given up, taken--> ASSIGNING
 *                          ^                                |     (then it says what it has)
 *                          +---- fenced: all is lost -------+     again, with the same member id
 *
 * The application takes part by polling; all of its side runs inside its own turn:
 *
 *     for (;;) {
 *         switch (membership_poll(&m)) {           says: what I took before is processed
 *         case MEMBERSHIP_REVOKED:                  partitions with `revoking`: finish, commit
 *         case MEMBERSHIP_LOST:                     partitions with `revoking`: others have them
 *         case MEMBERSHIP_ASSIGNED:                 partitions with `fresh`: seek here if you like
 *             membership_handled(&m);               may come later, after waiting
 *         case MEMBERSHIP_NOTHING: break;
 *         }
 *         while (consumer_next(m.consumer, &record)) ...
 *         AWAIT(... &consumer.ready ... membership_due(&m) || consumer_has_records(...))
 *     }
 *
 * - Positions are committed as they stood at a poll: what was taken before it (at least once).
 *   Automatically every commit_interval_ms, before partitions are given up, and at the close.
 * - EAGER (unless all assignors are cooperative): everything is given up before each join.
 *   COOPERATIVE: only what the new assignment leaves out, then a second join (KIP-429).
 * - Without a poll for max_poll_interval_ms a dynamic member leaves; everything is lost then.
 * - A static member (instance_id) does not leave at the close (KIP-345).
 * - Requests go over a connection of their own, so that no fetch delays a heartbeat.
 * - Without a subscription: partitions the caller assigned itself with `start.waiting` begin at the
 *   group's offsets, and commits carry no generation. */
#ifndef CLIENT_MEMBERSHIP_H
#define CLIENT_MEMBERSHIP_H

#include "client/assignor.h"
#include "client/consumer.h"
#include "client/pattern.h"
#include "client/subscription.h"
#include "wire/consumer_group_heartbeat.h"
#include "wire/find_coordinator.h"
#include "wire/heartbeat.h"
#include "wire/join_group.h"
#include "wire/leave_group.h"
#include "wire/metadata.h"
#include "wire/offset_commit.h"
#include "wire/offset_fetch.h"
#include "wire/sync_group.h"

enum {
    MEMBERSHIP_ID_MAX = 511,                 /* of a member id; a longer one is fatal */
    MEMBERSHIP_ARENA_MAX = 32 * 1024 * 1024, /* one rebalance of the leader */
    MEMBERSHIP_COMMIT_MAX = 8 * 1024 * 1024, /* one commit */
    MEMBERSHIP_TOPICS_MAX = 10000,
};

enum membership_protocol { MEMBERSHIP_CLASSIC, MEMBERSHIP_CONSUMER };

struct membership_config {
    struct str group_id;    /* borrowed for the life, as are the others */
    struct str instance_id; /* length 0: dynamic */
    enum membership_protocol protocol;
    struct str remote_assignor; /* CONSUMER: "uniform", "range"; length 0: the broker's choice */
    enum assignor assignors[ASSIGNORS];
    uint32_t assignors_count;
    int32_t session_timeout_ms;
    int32_t heartbeat_interval_ms;
    int32_t max_poll_interval_ms; /* also the rebalance timeout */
    bool auto_commit;
    int32_t commit_interval_ms;
    int32_t request_timeout_ms;
    int32_t close_timeout_ms;
};
void membership_config_default(struct membership_config *config);

enum membership_state {
    MEMBERSHIP_IDLE,
    MEMBERSHIP_PREPARING,
    MEMBERSHIP_JOINING,
    MEMBERSHIP_COMPUTING,
    MEMBERSHIP_SYNCING,
    MEMBERSHIP_ASSIGNING,
    MEMBERSHIP_STABLE,
    MEMBERSHIP_FAILED,
    MEMBERSHIP_LEAVING,
    MEMBERSHIP_CLOSED,
    MEMBERSHIP_STATES
};

enum membership_event {
    MEMBERSHIP_NOTHING,
    MEMBERSHIP_ASSIGNED,
    MEMBERSHIP_REVOKED,
    MEMBERSHIP_LOST,
};

/* `what` of the trace event client.offset, `how` of client.owns */
enum {
    MEMBERSHIP_COMMIT_SENT = 1,
    MEMBERSHIP_COMMIT_ANSWERED = 2,
    MEMBERSHIP_OFFSET_FETCHED = 3,
    MEMBERSHIP_OWNS_ASSIGNED = 1,
    MEMBERSHIP_OWNS_REVOKED = 2,
    MEMBERSHIP_OWNS_LOST = 3,
};

struct membership;

/* One request of the member and what happens with its answer. */
struct membership_call {
    struct op op;
    struct call call;
    struct membership *member;
    void (*answered)(struct membership *member);
};

/* How far giving up the partitions marked `revoking` has come. */
enum membership_giving { GIVING_NOTHING, GIVING_POLL, GIVING_COMMIT, GIVING_EVENT };

/* One commit. Of the application, or of the member itself. */
struct membership_commit {
    struct op_source done;
    bool finished;
    enum err result; /* the first thing that went wrong */
    bool sure;       /* it can have had no effect, or it had it */
    /* private */
    struct membership *member;
    struct list link;
    struct membership_call call;
    struct arena arena;
    struct offset_commit_request body;
    struct offset_commit_request_topic *topics;
    bool again; /* retriable errors are retried until the deadline */
    bool in_flight;
    int64_t deadline_ns;
    int64_t retry_at_ns;
    uint32_t attempts;
    int32_t generation; /* it was sent with */
    uint64_t round;     /* of the member: nothing came or went since it was begun */
};

/* What the coordinator assigned, by topic id. */
struct membership_target {
    struct uuid topic;
    int32_t partition;
};

/* What the leader looks at after it assigned: more partitions mean a new rebalance, and so do
 * replicas in other racks when it has a rack itself, as in Java. */
struct membership_watched {
    struct metadata_topic *topic;
    uint32_t partitions;
    uint32_t racks_version;
};

struct membership {
    struct consumer *consumer;
    enum membership_state state;
    enum err error; /* of FAILED */
    int32_t generation;
    bool leader;
    enum membership_event event; /* waits for membership_handled() */
    uint64_t rebalances;         /* times it became STABLE */
    /* private */
    struct env *env;
    struct membership_config config;
    struct op op;
    struct op_source wake;
    struct op_relay relay;
    bool kicked;
    uint64_t seen; /* version of the metadata */
    bool closing;
    bool event_told;
    int64_t close_deadline_ns;
    /* subscription */
    struct str *subscribed; /* ascending names, each once; a block from mem with the bytes */
    uint32_t subscribed_count;
    size_t subscribed_size;
    bool managed;          /* it has subscribed: the partitions are the group's */
    uint64_t subscription; /* +1 with each change */
    uint64_t joined_subscription;
    struct pattern *pattern; /* from mem; NULL: by names */
    struct str pattern_text; /* a copy */
    bool regex_told;         /* KIP-848: the coordinator has a pattern of ours */
    bool regex_refused;      /* it is too old for one: the names are told */
    struct membership_call list;
    struct metadata_request list_body;
    int64_t list_at_ns;
    uint32_t list_failures;
    bool listed;
    /* membership */
    uint32_t id_length;
    char id[MEMBERSHIP_ID_MAX + 1];
    bool rejoin;
    bool away; /* left for want of polls: joins after the next */
    enum assignor assignor;
    int32_t max_generation;
    struct arena arena; /* one rebalance */
    struct join_group_request join_body;
    struct join_group_response joined;
    struct sync_group_request sync_body;
    struct membership_call join;
    struct membership_call sync;
    struct membership_call leave;
    struct membership_call beat;
    struct heartbeat_request beat_body;
    struct leave_group_request leave_body;
    struct leave_group_request_member leave_member;
    int32_t beat_generation;
    int64_t beat_at_ns;
    int64_t heard_ns;
    int64_t polled_ns;
    bool polled;
    bool leave_sent;
    int64_t compute_deadline_ns;
    struct membership_watched *watched;
    uint32_t watched_count;
    size_t watched_size;
    uint8_t *assignment; /* bytes of the latest; from mem */
    uint32_t assignment_length;
    int32_t assignment_generation;
    enum membership_giving giving;
    bool gave;     /* this assignment left something out */
    bool assigned; /* the new partitions of this assignment were taken over */
    /* CONSUMER */
    struct consumer_group_heartbeat_request group_beat;
    struct consumer_group_heartbeat_request group_leave;
    struct arena beat_arena;
    int32_t beat_interval_ms; /* as the coordinator says */
    bool beat_full;           /* the next one says everything */
    bool beat_owned;          /* the next one says what it has */
    bool told_owned;          /* the one under way does */
    uint64_t told_round;      /* round in which it was written */
    uint64_t told_subscription;
    struct membership_target *target; /* from mem */
    uint32_t target_count;
    bool target_new;   /* not yet taken up */
    bool target_first; /* since it joined: the application is told in any case */
    /* coordinator */
    struct peer peer;
    bool peer_made;
    bool coordinator_known;
    int32_t coordinator;
    struct membership_call find;
    struct find_coordinator_request find_body;
    struct str find_key;
    int64_t retry_at_ns; /* nothing is tried before */
    uint32_t failures;
    /* offsets */
    struct list commits;
    struct membership_commit own; /* auto commit */
    bool own_used;
    int64_t commit_at_ns;
    struct membership_call offsets;
    struct offset_fetch_request offsets_body;
    struct arena fetch_arena;   /* of the request */
    struct arena offsets_arena; /* scratch of an answer */
    uint64_t round;             /* +1 when partitions come or go: older answers do not count */
    uint64_t offsets_round;
    int64_t offsets_at_ns;
    uint32_t offsets_failures;
};

/* The consumer outlives it. ERR_BAD_CONFIG. */
MUST_USE enum err membership_init(struct membership *member, struct consumer *consumer,
                                  const struct membership_config *config);
/* Replaces the subscription; names are copied. None: leaves nothing, joins nothing more. NO_MEMORY,
 * TOO_MANY. */
MUST_USE enum err membership_subscribe(struct membership *member, const struct str *topics,
                                       uint32_t count);
/* All topics, internal ones left out, whose whole name matches (pattern.h). By the protocol of
 * KIP-848 the coordinator says which they are, where it can. BAD_CONFIG. */
MUST_USE enum err membership_subscribe_pattern(struct membership *member, struct str pattern);

/* Says that the application lives and has processed what it took; the event it has to handle. An
 * event is told by every poll until it is handled. */
enum membership_event membership_poll(struct membership *member);
void membership_handled(struct membership *member);
/* Condition of a waiting op: a poll is worth it. Without effect. */
bool membership_due(const struct membership *member);
/* When it should poll again at the latest, if nothing happens. */
int64_t membership_next_poll_ns(const struct membership *member);

/* A commit by hand: init, add offsets (or the present positions), start, wait for `done`, deinit.
 * `again`: repeats what may help, until request_timeout_ms twice; else one attempt. */
void membership_commit_init(struct membership_commit *commit, struct membership *member);
MUST_USE enum err membership_commit_add(struct membership_commit *commit, struct str topic,
                                        int32_t partition, int64_t offset, int32_t epoch,
                                        struct str metadata);
MUST_USE enum err membership_commit_positions(struct membership_commit *commit);
void membership_commit_start(struct membership_commit *commit, bool again);
void membership_commit_deinit(struct membership_commit *commit);

/* Commits, gives up, leaves. Keep polling and handling; the consumer's `ready` tells. */
void membership_close(struct membership *member);
bool membership_closed(const struct membership *member);
void membership_deinit(struct membership *member);

/* ---- for membership_*.c ---- */
void membership_kick(struct membership *member);
void membership_set_state(struct membership *member, enum membership_state state);
void membership_fail(struct membership *member, enum err err);
/* Fenced: no generation any more, and no member id with `forget`. Rejoins. */
void membership_reset(struct membership *member, bool forget, enum err err);
/* Waits before the next attempt of anything; refused coordinators are looked for anew. */
void membership_retry(struct membership *member, int16_t api, enum err err);
bool membership_coordinator_gone(enum err err);
void membership_lose_coordinator(struct membership *member);
bool membership_find(struct membership *member); /* true: it is known */
void membership_ask(struct membership *member, struct membership_call *call, struct peer *peer,
                    int32_t timeout_ms, void (*answered)(struct membership *member));
/* The api, the body and the versions, before membership_ask(). */
void membership_call_init(struct membership_call *call, int16_t api, const void *body);
void membership_call_stop(struct membership_call *call);
struct str membership_id(const struct membership *member);
struct str membership_instance(const struct membership *member); /* null: dynamic */
bool membership_cooperative(const struct membership *member);
void membership_trace_partition(struct membership *member, enum trace_kind kind, struct str topic,
                                const int64_t *fields, uint32_t count);

/* membership_join.c */
void membership_join_send(struct membership *member);
bool membership_compute(struct membership *member); /* true: what to sync is known */
void membership_sync_send(struct membership *member);
void membership_unwatch(struct membership *member);
void membership_drop_pattern(struct membership *member);
/* The coordinator resolves the pattern. */
static inline bool membership_tells_regex(const struct membership *member)
{
    return member->pattern_text.length > 0 && !member->regex_refused;
}
bool membership_watched_changed(const struct membership *member);
/* membership_consumer.c */
bool membership_is_consumer(const struct membership *member);
void membership_consumer_turn(struct membership *member); /* heartbeats, the join too */
void membership_consumer_take(struct membership *member); /* STABLE: up to the next target? */
int64_t membership_consumer_deadline(const struct membership *member);
void membership_consumer_leave(struct membership *member);
void membership_consumer_reset(struct membership *member);
/* membership_assign.c */
bool membership_mark(struct membership *member);      /* before a join; true: something must go */
bool membership_give_up(struct membership *member);   /* true: nothing is left to give up */
bool membership_take_over(struct membership *member); /* true: done */
MUST_USE enum err membership_mark_left_out(struct membership *member);
/* membership_subscribe.c */
bool membership_subscribes(const struct membership *member, struct str topic);
void membership_list_turn(struct membership *member);
/* membership_offsets.c */
void membership_snapshot(struct membership *member);
void membership_offsets_turn(struct membership *member);
bool membership_offsets_wanted(const struct membership *member);
void membership_auto_commit(struct membership *member, bool again, int64_t deadline_ns);
int64_t membership_offsets_deadline(const struct membership *member);
/* membership_beat.c */
void membership_beat_turn(struct membership *member);
int64_t membership_beat_deadline(const struct membership *member);
bool membership_out_of_polls(struct membership *member); /* true: it left */
bool membership_unheard(struct membership *member);      /* true: the coordinator is lost */
int64_t membership_silence_deadline(const struct membership *member);
void membership_leave_send(struct membership *member);

#endif

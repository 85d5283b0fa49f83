/* One consumer group of the classic protocol (groups.md 4): members, generation, rebalance.
 *
 * Pure: a step is told the time and what arrived, changes the group, and says in group_effects
 * which waiting calls it answered and which record has to be appended. No I/O, no clock, no timer:
 * deadlines are fields, group_next_deadline() tells the earliest, group_tick() acts on what is due.
 *
 *             join (initial delay)          all joined, or out of time
 *     EMPTY ---------------------> PREPARING -------------------------> COMPLETING
 *       ^                           ^  |  ^                               |   |
 *       |  nobody joined            |  |  |  join, leave, expiry, sync    |   | the leader's sync
 *       +---------------------------|--+  |  out of time, append failed   |   | is committed
 *                                   |     +-------------------------------+   v
 *                                   |  join, leave, expiry                  STABLE
 *                                   +-----------------------------------------+
 *     any -> DEAD   deleted, or its partition is led by another broker
 *
 * Only completed generations are in the log: answers to JoinGroup of generation g + 1 go out before
 * anything of it is durable (groups.md 6). SyncGroup is answered once the record is committed. */
#ifndef BROKER_GROUP_GROUP_H
#define BROKER_GROUP_GROUP_H

#include "client/base/arena.h"
#include "client/base/map.h"
#include "client/base/op.h"
#include "client/world/world.h"

enum group_state {
    GROUP_EMPTY,
    GROUP_PREPARING,
    GROUP_COMPLETING,
    GROUP_STABLE,
    GROUP_DEAD,
};
enum { GROUP_STATES = GROUP_DEAD + 1 };

enum {
    GROUP_NEW_MEMBER_MS = 300000, /* a new member that waits in its first join (groups.md 4.3) */
    GROUP_MEMBERS_MAX = 100000,   /* of one group, whatever group.max.size says */
    GROUP_UUID_TEXT = 36,
};

struct group_config {
    int64_t initial_delay_ms;
    int64_t max_size;
    int64_t session_min_ms;
    int64_t session_max_ms;
};

struct group_protocol {
    struct str name;
    struct bytes metadata;
};

/* A member as the leader is told of it. */
struct group_listed {
    struct str id;
    struct str instance_id; /* data NULL: none */
    struct bytes metadata;
};

/* A JoinGroup or SyncGroup that waits. Lives in the request's memory; what it is answered with is
 * copied into `arena`, because the group moves on before the answer is encoded. */
struct group_call {
    struct arena *arena;
    struct op_source source; /* woken by the coordinator once done */
    bool done;
    enum err err;
    int32_t generation;
    struct str protocol_type; /* data NULL: none */
    struct str protocol_name;
    struct str leader;
    struct str member_id;
    bool skip_assignment;
    struct group_listed *members; /* of the leader's join */
    uint32_t members_count;
    struct bytes assignment; /* of a sync */
    /* private */
    struct list link; /* in group_effects.answered */
};
void group_call_init(struct group_call *call, struct arena *arena);

struct group_member {
    struct map_node node; /* in group.members, by id */
    struct map_node by_instance;
    struct str id;
    struct str instance_id;
    struct str client_id;
    struct str client_host;
    int32_t rebalance_timeout_ms;
    int32_t session_timeout_ms;
    struct group_protocol *protocols; /* one block with names and metadata */
    uint32_t protocols_count;
    struct bytes assignment; /* owned; length 0: none */
    struct bytes proposed;   /* by the leader, until its record is committed */
    struct group_call *join;
    struct group_call *sync;
    struct group_call *replace; /* a static member that came back: its record is on its way */
    uint64_t replace_write;
    bool is_new;       /* in its first join */
    bool pending_sync; /* has not sent the SyncGroup of this generation */
    int64_t deadline_ns;
    /* private */
    size_t block_size;
    size_t protocols_size;
};

/* Got a member id and was told to come back with it (KIP-394). */
struct group_pending {
    struct list link;
    int64_t deadline_ns;
    size_t block_size;
    struct str id;
};

/* Why the group's record has to be appended now. */
enum group_write {
    GROUP_WRITE_NONE,
    GROUP_WRITE_SYNC,    /* the leader's assignment: group_member.proposed */
    GROUP_WRITE_EMPTY,   /* the last member went */
    GROUP_WRITE_REPLACE, /* a static member has another id */
};

struct group {
    struct mem *mem;
    const struct group_config *config;
    struct str id;
    enum group_state state;
    int64_t state_since_ms; /* wall */
    int32_t generation;
    bool leaderless;          /* its record names no leader: a rebalance once it is loaded */
    struct str protocol_type; /* owned; data NULL: a simple group */
    struct str protocol;      /* selected; owned; data NULL: none */
    struct group_member *leader;
    struct map members;
    struct map instances;
    struct list pending;
    uint32_t pending_count;
    bool left;      /* group_leave() took somebody away: group_left() acts */
    uint64_t write; /* number of the last record asked for; a step counts it up */
    bool syncing;   /* the leader's assignment is being appended: sync_write */
    uint64_t sync_write;
    /* PREPARING */
    bool initial; /* in the initial delay: never completes early */
    bool new_member;
    int64_t remaining_ms;
    int64_t join_deadline_ns;
    /* COMPLETING, STABLE */
    int64_t sync_deadline_ns;
    /* for traces */
    struct world *world; /* NULL: not traced */
    int64_t partition;
    int64_t epoch;
};

struct group_effects {
    struct list answered; /* struct group_call */
    enum group_write write;
    uint64_t ticket; /* of the write, for group_written() */
};
void group_effects_init(struct group_effects *effects);

/* `id` is borrowed for life. */
void group_init(struct group *group, struct mem *mem, const struct group_config *config,
                struct str id, uint64_t seed, int64_t wall_ms);
/* Frees all members; no call waits (group_close() answered them). */
void group_deinit(struct group *group);

struct group_join {
    struct str member_id;   /* "": a new one */
    struct str instance_id; /* data NULL: dynamic */
    struct str client_id;
    struct str client_host;
    struct str protocol_type;
    const struct group_protocol *protocols;
    uint32_t protocols_count;
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms;
    bool id_required;  /* version 4 and up (KIP-394) */
    bool can_skip;     /* version 9 and up: SkipAssignment (KIP-814) */
    struct uuid fresh; /* for an id that has to be made */
    struct group_call *call;
};
void group_join(struct group *group, const struct group_join *join, struct instant now,
                struct group_effects *effects);

struct group_assignment {
    struct str member_id;
    struct bytes assignment;
};
struct group_sync {
    struct str member_id;
    struct str instance_id;
    int32_t generation;
    struct str protocol_type; /* data NULL: not said */
    struct str protocol_name;
    const struct group_assignment *assignments;
    uint32_t assignments_count;
    struct group_call *call;
};
void group_sync(struct group *group, const struct group_sync *sync, struct instant now,
                struct group_effects *effects);

struct group_who {
    struct str member_id;
    struct str instance_id;
    int32_t generation;
    bool epochs_known; /* a commit in a version that carries member epochs (OffsetCommit 9) */
};
MUST_USE enum err group_heartbeat(struct group *group, const struct group_who *who,
                                  struct instant now);
/* May this member commit? Restarts its session (groups.md 5.1, 2 to 7). */
MUST_USE enum err group_commit(struct group *group, const struct group_who *who,
                               struct instant now);
/* One member of a LeaveGroup; after the last one group_left(). */
MUST_USE enum err group_leave(struct group *group, const struct group_who *who,
                              struct group_effects *effects);
void group_left(struct group *group, struct instant now, struct group_effects *effects);

void group_tick(struct group *group, struct instant now, struct group_effects *effects);
int64_t group_next_deadline(const struct group *group); /* INT64_MAX: none */

/* What became of the record with that ticket, as the client is told; ERR_NONE: it is committed. */
void group_written(struct group *group, uint64_t ticket, enum err err, struct instant now,
                   struct group_effects *effects);

/* DEAD; every waiting call is answered with `err`. */
void group_close(struct group *group, enum err err, struct instant now,
                 struct group_effects *effects);

/* ---- from and to the log --------------------------------------------------------------------- */

struct group_restored {
    struct str id;
    struct str instance_id;
    struct str client_id;
    struct str client_host;
    int32_t rebalance_timeout_ms;
    int32_t session_timeout_ms;
    struct bytes subscription;
    struct bytes assignment;
};
/* Takes the place of all that is there: STABLE with members, EMPTY without. `leader` data NULL:
 * none. NO_MEMORY leaves an EMPTY group. */
struct group_value {
    int32_t generation;
    struct str protocol_type;
    struct str protocol;
    struct str leader;
    int64_t state_since_ms;
    const struct group_restored *members;
    uint32_t members_count;
};
MUST_USE enum err group_restore(struct group *group, const struct group_value *value);
/* After the last record: sessions begin anew (groups.md 7); too large: a rebalance. */
void group_loaded(struct group *group, struct instant now, struct group_effects *effects);

/* Metadata of a member for the selected protocol; empty when none is selected. */
struct bytes group_subscription(const struct group *group, const struct group_member *member);
/* Does a member name this topic in what it says of itself? Bytes that do not parse name nothing. */
bool group_subscribes(const struct group *group, struct str topic);
struct group_member *group_find(const struct group *group, struct str member_id);
/* A record of it is on its way into the log, and calls wait for that. */
bool group_writing(const struct group *group);
/* Nothing worth keeping: no member, no pending one, and never a generation. */
bool group_blank(const struct group *group);
const char *group_state_name(enum group_state state); /* as ListGroups says it */
bool group_state_may(enum group_state from, enum group_state to);
/* Asserts the invariants: leader among the members, calls only where the state has them. */
void group_check(const struct group *group);

#endif

/* One consumer group of KIP-848 (groups.md 8): the coordinator assigns, members reconcile.
 *
 * What is kept here is a replay of the committed records of __consumer_offsets and nothing else
 * (G17); consumer_group_replay() is the only thing that changes it, but for sessions. A step (a
 * heartbeat, a join or leave of the classic protocol, something overdue) reads the group, computes
 * on views of its members what becomes of it, and writes the difference as records. They are
 * appended as one batch; the answer goes out when they are committed and replayed. One batch of a
 * group is under way at a time, later requests wait for it, so a step sees what it builds on and
 * nothing has ever to be taken back.
 *
 * Epochs: the group's goes up with every change of members, subscriptions, subscribed topics; the
 * assignment's is that of the group the target was made for; a member's is that of the target it
 * has reached. A member on its way (groups.md 8.4):
 *
 *                       must give something up                it says that it has
 *     STABLE -------------------------------> UNREVOKED --------------------------> next epoch
 *       ^  |  gains what others still have                                              |
 *       |  +--------------------------------> UNRELEASED <------------------------------+
 *       +------ they gave it up ------------------+                  or STABLE, nothing missing
 *
 * A partition is in the assigned or the revoked set of one member at most (G7). Pure: no I/O, no
 * clock, no timer; deadlines are fields. */
#ifndef BROKER_GROUP_CONSUMER_GROUP_H
#define BROKER_GROUP_CONSUMER_GROUP_H

#include "broker/controller/image.h"
#include "broker/group/group_log.h"
#include "broker/group/parts.h"
#include "client/base/map.h"
#include "client/world/world.h"

enum {
    CONSUMER_GROUP_STABLE = 0, /* as they stand in records */
    CONSUMER_GROUP_UNREVOKED = 1,
    CONSUMER_GROUP_UNRELEASED = 2,
    CONSUMER_GROUP_LEAVE = -1, /* epochs of requests */
    CONSUMER_GROUP_LEAVE_STATIC = -2,
    CONSUMER_GROUP_MEMBERS_MAX = 100000,
};

enum consumer_group_assignor { CONSUMER_GROUP_UNIFORM, CONSUMER_GROUP_RANGE };
enum { CONSUMER_GROUP_ASSIGNORS = CONSUMER_GROUP_RANGE + 1 };

struct consumer_group_config {
    int64_t session_timeout_ms;
    int64_t heartbeat_interval_ms;
    int64_t max_size;
    int64_t classic_max_size;
    bool enabled;  /* group.coordinator.rebalance.protocols names it */
    bool upgrades; /* group.consumer.migration.policy */
    bool downgrades;
    enum consumer_group_assignor assignors[CONSUMER_GROUP_ASSIGNORS]; /* the first is the default */
    uint32_t assignors_count;
};

typedef struct consumer_group_member_metadata_value consumer_group_metadata;

/* A topic that somebody subscribes to, as the group epoch knows it (record 4). */
struct consumer_group_topic {
    struct str name;
    struct uuid id;
    int32_t partitions;
};

struct consumer_group_member {
    struct map_node node; /* by id */
    struct map_node by_instance;
    struct str id;
    consumer_group_metadata metadata; /* views into the block */
    int32_t epoch;
    int32_t previous_epoch;
    int8_t state;
    bool known;     /* its record 5 is there */
    bool reachable; /* in the map of instances */
    struct parts assigned;
    struct parts revoking;
    struct parts target;
    int64_t session_ns;   /* deadline */
    int64_t rebalance_ns; /* UNREVOKED: gone by then; INT64_MAX: none */
    int64_t classic_ns;   /* a classic member that has to join or sync by then */
    /* private */
    void *block;
    size_t block_size;
};

struct consumer_group {
    struct mem *mem;
    struct str id; /* borrowed */
    int32_t epoch;
    int32_t assignment_epoch;
    struct map members;
    struct map instances;
    struct consumer_group_topic *topics; /* by name; one block with the names */
    uint32_t topics_count;
    size_t topics_size;
    uint64_t image_seen; /* the topics are those of the image with this digest */
    bool image_compared;
    /* for traces */
    struct world *world; /* NULL: not traced */
    int64_t partition;
    int64_t leader_epoch;
};

void consumer_group_init(struct consumer_group *group, struct mem *mem, struct str id,
                         uint64_t seed);
void consumer_group_deinit(struct consumer_group *group);

/* One record of kinds GROUP_LOG_CONSUMER_*. `live`: committed just now; otherwise it is loaded.
 * NO_MEMORY. True in *over: the group's own tombstone, and nothing is left. */
MUST_USE enum err consumer_group_replay(struct consumer_group *group,
                                        const struct group_log_read *read,
                                        const struct consumer_group_config *config, bool live,
                                        struct instant now, bool *over);
/* After the last record: sessions begin anew. */
void consumer_group_loaded(struct consumer_group *group, const struct consumer_group_config *config,
                           struct instant now);
void consumer_group_restart_session(struct consumer_group_member *member,
                                    const struct consumer_group_config *config, struct instant now);
int64_t consumer_group_next_deadline(const struct consumer_group *group); /* INT64_MAX: none */
/* Each partition has one owner, and so on. */
void consumer_group_check(const struct consumer_group *group);

/* Nothing said: null, where the codec's default is empty. */
void consumer_group_metadata_none(consumer_group_metadata *metadata);
struct consumer_group_member *consumer_group_find(const struct consumer_group *group,
                                                  struct str id);
static inline bool consumer_group_is_classic(const consumer_group_metadata *metadata)
{
    return !metadata->classic_member_metadata_null;
}
const char *consumer_group_state_name(const struct consumer_group *group);
struct str consumer_group_assignor_name(enum consumer_group_assignor assignor);
/* The most asked for, or the default. */
enum consumer_group_assignor consumer_group_assignor_of(const struct consumer_group *group,
                                                        const struct consumer_group_config *config);
/* Subscribed to by name or pattern. */
bool consumer_group_subscribes(const struct consumer_group *group, struct str topic);

struct consumer_group_who {
    struct str member_id;
    struct str instance_id;
    int32_t epoch;
    bool epochs_known; /* the request's version carries member epochs (OffsetCommit 9) */
};
MUST_USE enum err consumer_group_commit(const struct consumer_group *group,
                                        const struct consumer_group_who *who);
/* OffsetFetch 9; `member_id` data NULL with a negative epoch: not by a member. */
MUST_USE enum err consumer_group_fetch(const struct consumer_group *group, struct str member_id,
                                       int32_t epoch);

/* ---- a step ---------------------------------------------------------------------------------- */

/* A member as the step sees and leaves it. Borrows. */
struct consumer_group_view {
    struct consumer_group_member *was; /* NULL: new */
    struct str id;
    consumer_group_metadata metadata;
    int32_t epoch;
    int32_t previous_epoch;
    int8_t state;
    struct parts assigned;
    struct parts revoking;
    struct parts target;
    bool gone;
    bool metadata_changed;
    bool current_changed;
    bool target_changed;
};

struct consumer_group_step {
    struct consumer_group *group; /* NULL: there is none yet */
    struct str id;
    const struct consumer_group_config *config;
    const struct image *image;
    struct arena *arena;
    struct instant now;
    int32_t epoch;
    int32_t assignment_epoch;
    struct consumer_group_view *views;
    uint32_t count;
    uint32_t max;
    struct consumer_group_topic *topics; /* by name */
    uint32_t topics_count;
    bool topics_changed;
    enum err err; /* NO_MEMORY */
};
/* Room for one member more than there are. */
MUST_USE enum err consumer_group_step_begin(struct consumer_group_step *step);
struct consumer_group_view *consumer_group_step_view(struct consumer_group_step *step,
                                                     struct str id);
struct consumer_group_view *consumer_group_step_instance(struct consumer_group_step *step,
                                                         struct str instance_id);
struct consumer_group_view *consumer_group_step_add(struct consumer_group_step *step,
                                                    struct str id);
/* Subscribed topics are compared with the image; the epoch goes up when they changed, or `bump`. */
MUST_USE enum err consumer_group_step_epoch(struct consumer_group_step *step, bool bump);
/* A new target when the group's epoch is ahead of it. consumer_group_target.c */
MUST_USE enum err consumer_group_step_target(struct consumer_group_step *step);
/* The next thing that this member may have. `owned` NULL: it did not say. */
MUST_USE enum err consumer_group_step_reconcile(struct consumer_group_step *step,
                                                struct consumer_group_view *view,
                                                const struct parts *owned);
/* It goes, and the epoch with it: once for all that go, with consumer_group_step_epoch(). */
void consumer_group_step_remove(struct consumer_group_view *view);
/* Another member takes the place of `old`, with all that it has. */
struct consumer_group_view *consumer_group_step_replace(struct consumer_group_step *step,
                                                        struct consumer_group_view *old,
                                                        struct str id);
/* It names these topics. True in *changed: others than before. */
MUST_USE enum err consumer_group_step_subscribe(struct consumer_group_step *step,
                                                struct consumer_group_view *view,
                                                const struct str *said, uint32_t said_count,
                                                bool *changed);
bool consumer_group_step_full(const struct consumer_group_step *step);
/* A member id as text; data NULL: no memory. */
struct str consumer_group_step_id(const struct consumer_group_step *step, struct uuid fresh);
/* The difference as records; none when nothing changed. */
void consumer_group_step_write(const struct consumer_group_step *step, struct group_log *log);
/* All tombstones of the group. */
void consumer_group_step_write_gone(const struct consumer_group_step *step, struct group_log *log);

/* ---- requests -------------------------------------------------------------------------------- */

struct consumer_group_beat {
    struct str member_id;
    int32_t epoch;
    struct str instance_id; /* data NULL: none, as in the others */
    struct str rack_id;
    struct str client_id;
    struct str client_host;
    int32_t rebalance_timeout_ms; /* -1: as before */
    const struct str *topics;
    uint32_t topics_count;
    bool topics_null;
    struct str regex;
    struct str assignor;
    struct parts owned;
    bool owned_null;
    bool own_id;       /* version 1: the member makes its id (KIP-1082) */
    struct uuid fresh; /* for an id that has to be made */
};

struct consumer_group_answer {
    enum err err;
    struct str message; /* data NULL: none */
    struct str member_id;
    int32_t epoch;
    bool has_assignment;
    struct parts assigned; /* of has_assignment; a copy in the step's arena, for the answer goes
                            * out when the members may have changed */
};
/* Is this request one at all? Without looking at the group (groups.md 8.1). */
bool consumer_group_beat_ok(const struct consumer_group_beat *beat,
                            const struct consumer_group_config *config, struct arena *arena,
                            struct consumer_group_answer *answer);
/* The step is begun. Answers, and leaves in the step what has to be written. Restarts the session.
 * consumer_group_beat.c */
void consumer_group_beat(struct consumer_group_step *step, const struct consumer_group_beat *beat,
                         struct consumer_group_answer *answer);
/* Members whose time is up are removed. NO_MEMORY. */
MUST_USE enum err consumer_group_expire(struct consumer_group_step *step);

/* ---- classic members, and groups that change sides: consumer_group_classic.c ---------------- */

/* Instead of consumer_group_step_begin(): the members of a classic group, with what they were
 * assigned, as members of the group that its generation becomes an epoch of. GROUP_ID_NOT_FOUND: it
 * is none that can be taken over; NO_MEMORY. */
MUST_USE enum err consumer_group_import(struct consumer_group_step *step,
                                        const struct group *classic);
/* After a step: nobody is left who speaks the consumer protocol, somebody is who speaks the other,
 * and the policy lets the group go back. */
bool consumer_group_goes_back(const struct consumer_group_step *step);
/* Then in place of consumer_group_step_write(): tombstones, and the classic group without a leader,
 * which is what makes whoever loads it begin a rebalance. */
void consumer_group_step_write_classic(const struct consumer_group_step *step,
                                       struct group_log *log);

/* JoinGroup. Fills the call but for its `done`; members and leader stay empty: it only follows. */
MUST_USE enum err consumer_group_classic_join(struct consumer_group_step *step,
                                              const struct group_join *join);
/* SyncGroup and Heartbeat: both look at what is committed. REBALANCE_IN_PROGRESS: it has to join
 * again, and by when is noted. */
MUST_USE enum err consumer_group_classic_sync(struct consumer_group *group,
                                              const struct group_sync *sync,
                                              const struct consumer_group_config *config,
                                              const struct image *image, struct instant now);
MUST_USE enum err consumer_group_classic_beat(struct consumer_group *group,
                                              const struct group_who *who,
                                              const struct consumer_group_config *config,
                                              struct instant now);
/* One member of a LeaveGroup: it is removed in the step. */
MUST_USE enum err consumer_group_classic_leave(struct consumer_group_step *step,
                                               const struct group_who *who);

#endif

/* The words of the scenario language, in tables: parser, `gregor-sim list`, and the suggestions in
 * error messages all come from here, so that they cannot disagree. A new action is a row here and a
 * case in sim/action.c; a new condition is a row here and a case in sim/cluster_state.c. */
#ifndef SIM_SCENARIO_LANGUAGE_H
#define SIM_SCENARIO_LANGUAGE_H

#include "client/world/trace.h"
#include "sim/fault.h"
#include "sim/scenario/units.h"

/* ---- actions --------------------------------------------------------------------------------- */

enum action_kind {
    ACTION_CRASH,
    ACTION_RESTART,
    ACTION_PAUSE,
    ACTION_SLOW,
    ACTION_PARTITION,
    ACTION_CLOG,
    ACTION_FLAKY_CONNECTS,
    ACTION_RESET,
    ACTION_HEAL,
    ACTION_DISK_SLOW,
    ACTION_DISK_STALL,
    ACTION_DISK_FULL,
    ACTION_DISK_ERROR,
    ACTION_CLOCK,
    ACTION_CRASH_LOOP,
    ACTION_WIPE,
    ACTION_OOM,
    ACTION_SLEEP,
    ACTION_CUT,
    ACTION_SLOW_LINK,
    ACTION_FLAKY,
    ACTION_SEGMENT,
    ACTION_SMALL_BUFFERS,
    ACTION_SWIZZLE,
    ACTION_HALF_OPEN,
    ACTION_CORRUPT,
    ACTION_SHUFFLE,
    ACTION_HOLD_MESSAGE,
    ACTION_COALESCE_METADATA,
    ACTION_LYING_SYNC,
    ACTION_ROT,
    ACTION_LOSE_WRITE,
    ACTION_MISDIRECT,
    ACTION_STALE_READ,
    ACTION_SHORT_IO,
    ACTION_DISK_BLOCK,
    ACTION_DIR_GONE,
    ACTION_SNAPSHOT,
    ACTION_REVERT,
    ACTION_FOREIGN,
    ACTION_NOTE,
    ACTION_CHECK,
    ACTION_BEGIN_LIVENESS,
    ACTION_MARK,
    ACTION_FAIL,
    ACTION_CREATE_TOPIC,
    ACTION_DELETE_TOPIC,
    ACTION_ADD_PARTITIONS,
    ACTION_DELETE_RECORDS,
    ACTION_CONFIG,
    ACTION_REASSIGN,
    ACTION_CANCEL_REASSIGN,
    ACTION_MOVE_DIR,
    ACTION_UNREGISTER,
    ACTION_ELECT,
    ACTION_ADD_VOTER,
    ACTION_REMOVE_VOTER,
    ACTION_FEATURES,
    ACTION_UPGRADE,
    ACTION_START_CLIENT,
    ACTION_STOP_CLIENT,
    ACTION_PRODUCE,
    ACTIONS,
};

enum value_kind {
    VALUE_NODES,  /* selectors: one, or a list of them */
    VALUE_LINKS,  /* "A -> B", "A <-> B", a list of them, or all */
    VALUE_UNIT,   /* a quantity in arg.unit */
    VALUE_CHOICE, /* one of arg.choices */
    VALUE_BOOL,
    VALUE_TEXT,
    VALUE_TOPIC,     /* the name of a topic */
    VALUE_PARTITION, /* "orders-0" */
    VALUE_CONFIGS,   /* a map of Kafka's property names to values */
};

enum { ACTION_ARGS_MAX = 10 };

struct action_arg {
    const char *name;
    enum value_kind kind;
    enum unit unit;
    const char *choices; /* "kill power_loss clean" */
    bool required;
};

struct action_word {
    const char *name;
    const char *about;
    const char *faults; /* ids of simulation.md 1 and storage.md 18 */
    int shorthand;      /* which argument a bare value fills; -1: none */
    struct action_arg args[ACTION_ARGS_MAX];
};

const struct action_word *language_action(enum action_kind kind);
/* The key of an api by its Kafka name, in any case and with or without '_'; -1: none. */
int16_t language_api(const char *name);
/* The index of a word in "a b c", or -1. */
int language_choice(const char *choices, const char *word);

/* ---- terms of conditions and selectors ------------------------------------------------------- */

enum term {
    TERM_LEADER,
    TERM_FOLLOWERS,
    TERM_ISR,
    TERM_REPLICAS,
    TERM_ADDING,
    TERM_REMOVING,
    TERM_ACTIVE_CONTROLLER,
    TERM_CONTROLLERS,
    TERM_BROKERS,
    TERM_CLIENTS,
    TERM_RACK,
    TERM_NODE,
    TERM_UP,
    TERM_REPLICA,
    TERM_CONTROLLER_EPOCH,
    TERM_METADATA_OFFSET,
    TERM_ACKED,
    TERM_SENT,
    TERM_READ,
    TERM_ERRORS,
    TERM_LOST_ACKED,
    TERM_TIME,
    TERM_CLIENT,
    TERM_SAME_PREFIX,
    TERM_TRUNCATED,
    TERM_IDENTICAL,
    TERM_COORDINATOR,
    TERM_GROUP,
    TERM_LAG,
    TERM_COMMITTED_REGRESSED,
    TERM_RESET,
    TERM_SHARED_OWNER,
    TERMS,
};

enum term_arg {
    TERM_ARG_NONE,
    TERM_ARG_TP,
    TERM_ARG_NODES,
    TERM_ARG_CLIENT,
    TERM_ARG_ERROR,
    TERM_ARG_RACK,
    TERM_ARG_ID,
    TERM_ARG_OTHERS, /* a second set of nodes */
    TERM_ARG_TOPIC,
    TERM_ARG_GROUP, /* "g" or "group g" */
};
enum { TERM_ARGS_MAX = 3 };
/* Which fields a term takes: .leo, or .state */
enum term_fields { TERM_FIELDS_NONE, TERM_FIELDS_REPLICA, TERM_FIELDS_GROUP };

struct term_word {
    const char *name;
    const char *about;
    bool is_set; /* of nodes; else a number */
    enum term_fields fields;
    enum term_arg args[TERM_ARGS_MAX];
    bool is_bool; /* a verdict */
};

const struct term_word *language_term(enum term term);

enum field {
    FIELD_NONE,
    FIELD_LEO,
    FIELD_HW,
    FIELD_EPOCH,
    FIELD_LOG_START,
    FIELD_EPOCH_END, /* epoch_end(E) */
    FIELD_STATE,
    FIELD_GENERATION,
    FIELD_MEMBERS,
    FIELDS
};
const char *language_field(enum field field);
enum term_fields language_field_of(enum field field);
/* The states of a group, in the order of broker/group/group.h. */
#define LANGUAGE_GROUP_STATES "empty preparing_rebalance completing_rebalance stable dead"

/* ---- triggers and guards, and all the keys --------------------------------------------------- */

struct language_word {
    const char *name;
    const char *about;
};
/* Terminated by a NULL name. */
const struct language_word *language_triggers(void);
const struct language_word *language_workloads(void);
const struct language_word *language_others(void); /* of conditions, besides terms */

/* Points are the names of trace events, and names of stages that are events by another name. Does
 * a glob match what an event of this kind is called? */
bool language_point(const char *glob, enum trace_kind kind);

/* What a word of the full language needs that is not here: "a coordinator of transactions". NULL:
 * no such word. */
const char *language_missing(const char *word);

/* The entry of a NULL-terminated list that is nearest to a mistyped word, or NULL. */
const char *language_nearest(const char *word, const char *const *words);

/* Writes one table as text for people: triggers, actions, conditions, faults, workloads. False: no
 * such table. NULL: all. */
bool language_list(const char *table, void (*put)(void *context, const char *line), void *context);

#endif

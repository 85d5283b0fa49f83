/* The words of the scenario language, in tables: parser, `gregor-sim list`, and the suggestions in
 * error messages all come from here, so that they cannot disagree. A new action is a row here and a
 * case in sim/action.c; a new condition is a row here and a case in sim/cluster_state.c. */
#ifndef SIM_SCENARIO_LANGUAGE_H
#define SIM_SCENARIO_LANGUAGE_H

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
    ACTIONS,
};

enum value_kind {
    VALUE_NODES,  /* selectors: one, or a list of them */
    VALUE_LINKS,  /* "A -> B", "A <-> B", a list of them, or all */
    VALUE_UNIT,   /* a quantity in arg.unit */
    VALUE_CHOICE, /* one of arg.choices */
    VALUE_BOOL,
    VALUE_TEXT,
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
    TERMS,
};

enum term_arg {
    TERM_ARG_NONE,
    TERM_ARG_TP,
    TERM_ARG_NODES,
    TERM_ARG_CLIENT,
    TERM_ARG_ERROR,
    TERM_ARG_RACK,
    TERM_ARG_ID
};
enum { TERM_ARGS_MAX = 2 };

struct term_word {
    const char *name;
    const char *about;
    bool is_set; /* of nodes; else a number */
    bool fields; /* takes .leo .hw .epoch .log_start */
    enum term_arg args[TERM_ARGS_MAX];
};

const struct term_word *language_term(enum term term);

enum field { FIELD_NONE, FIELD_LEO, FIELD_HW, FIELD_EPOCH, FIELD_LOG_START, FIELDS };
const char *language_field(enum field field);

/* ---- triggers and guards, and all the keys --------------------------------------------------- */

struct language_word {
    const char *name;
    const char *about;
};
/* Terminated by a NULL name. */
const struct language_word *language_triggers(void);

/* The entry of a NULL-terminated list that is nearest to a mistyped word, or NULL. */
const char *language_nearest(const char *word, const char *const *words);

/* Writes one table as text for people: triggers, actions, conditions, faults, workloads. False: no
 * such table. NULL: all. */
bool language_list(const char *table, void (*put)(void *context, const char *line), void *context);

#endif

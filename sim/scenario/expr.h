/* Conditions and selectors: `leader(orders-0).leo > 100 and exists active controller for 2s`.
 *
 *     condition  = or [ "for" TIME ]
 *     or         = and { "or" and }           and = not { "and" not }
 *     not        = "not" not | "exists" sum | sum [ ( == != < <= > >= in ) sum ]
 *     sum        = primary { ( + | - ) primary }
 *     primary    = QUANTITY | "(" or ")" | "any" primary | "count" "(" or ")" | $var
 *                | TERM [ "(" args ")" ] [ .leo | .hw | .epoch | .log_start ]
 *
 * Values are numbers and sets of nodes. What cannot be known (the log end of a leader that does not
 * exist) is undefined: no comparison with it holds. Evaluation changes nothing; only `any` draws,
 * and only where a step that fires selects. Words are told apart by language.h. */
#ifndef SIM_SCENARIO_EXPR_H
#define SIM_SCENARIO_EXPR_H

#include "sim/scenario/language.h"
#include "sim/scenario/yaml.h"

enum { EXPR_NODES_MAX = 64, EXPR_VARS_MAX = 16 };

/* Nodes as a bit mask of their indexes in the simulator. */
struct expr_value {
    enum { EXPR_UNDEFINED, EXPR_NUMBER, EXPR_SET } kind;
    int64_t number;
    uint64_t set;
};

enum expr_op {
    EXPR_OR,
    EXPR_AND,
    EXPR_NOT,
    EXPR_EXISTS,
    EXPR_EQ,
    EXPR_NE,
    EXPR_LT,
    EXPR_LE,
    EXPR_GT,
    EXPR_GE,
    EXPR_IN,
    EXPR_ADD,
    EXPR_SUB,
    EXPR_ANY,
    EXPR_COUNT_OF,
    EXPR_LITERAL,
    EXPR_VAR,
    EXPR_TERM,
};

struct expr {
    enum expr_op op;
    bool is_set; /* of nodes; else a number, or a truth for operators */
    bool is_bool;
    struct expr *left;
    struct expr *right;
    int64_t number; /* LITERAL */
    enum unit unit;
    int32_t var; /* VAR: number of the variable; -1: $it */
    enum term term;
    enum field field;
    int32_t topic; /* number in the scenario */
    int32_t partition;
    int32_t client;     /* number of the workload; -1: all */
    int32_t error;      /* enum err */
    const char *name;   /* rack */
    int32_t id;         /* node */
    struct expr *nodes; /* argument that is a set */
};

/* What the words of expressions may name; grows while the scenario is read. */
struct expr_names {
    const char *topics[64];
    int32_t partitions[64]; /* of each topic, at most */
    uint32_t topic_count;
    const char *clients[64];
    uint32_t client_count;
    const char *racks[64];
    uint32_t rack_count;
    const char *vars[EXPR_VARS_MAX];
    bool vars_used[EXPR_VARS_MAX];
    int vars_line[EXPR_VARS_MAX];
    uint32_t var_count;
    bool has_it; /* $it is known here */
};

struct expr_reader {
    struct store *store;
    const char *file;
    struct expr_names *names;
    struct yaml_error *error;
};

/* A condition; `hold_ns` is that of "for", else 0. NULL with an error. */
struct expr *expr_parse_condition(const struct expr_reader *reader, const struct yaml *at,
                                  int64_t *hold_ns);
/* The same from a part of a scalar: `text` begins `offset` characters into `at`. */
struct expr *expr_parse_text(const struct expr_reader *reader, const struct yaml *at,
                             uint32_t offset, const char *text, int64_t *hold_ns);
/* A set of nodes. */
struct expr *expr_parse_selector(const struct expr_reader *reader, const struct yaml *at,
                                 uint32_t offset, const char *text);

/* Where the values come from. */
struct expr_source {
    struct expr_value (*term)(struct expr_source *source, const struct expr *expr,
                              uint64_t argument);
    uint64_t vars[EXPR_VARS_MAX];
    uint64_t it;
    /* Which of `count`, for "any"; NULL: the lowest. */
    uint64_t (*choose)(struct expr_source *source, uint64_t count);
};
struct expr_value expr_eval(const struct expr *expr, struct expr_source *source);
/* A condition: undefined is false. */
bool expr_holds(const struct expr *expr, struct expr_source *source);

#endif

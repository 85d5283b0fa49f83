/* Reading typed values out of a YAML tree, for scenario*.c. Errors stick: after the first
 * everything
 * returns harmless values, so that nobody needs to look until the end. */
#ifndef SIM_SCENARIO_READ_H
#define SIM_SCENARIO_READ_H

#include "sim/scenario/scenario.h"

struct read {
    struct scenario *scenario;
    const char *file;
    struct yaml_error *error;
};

void read_fail(const struct read *read, const struct yaml *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A map whose keys are all among `known` (terminated by NULL). */
bool read_map(const struct read *read, const struct yaml *at, const char *what,
              const char *const *known);
/* "no such KIND: WORD; did you mean NEAREST?" */
void read_fail_word(const struct read *read, const struct yaml *at, const char *kind,
                    const char *const *known);
bool read_list(const struct read *read, const struct yaml *at, const char *what);
const char *read_text(const struct read *read, const struct yaml *at, const char *what);
/* A name of letters, digits, '.', '_' and '-'. */
const char *read_name(const struct read *read, const struct yaml *at, const char *what);
bool read_bool(const struct read *read, const struct yaml *at);
/* The index in "a b c". */
int read_choice(const struct read *read, const struct yaml *at, const char *what,
                const char *choices);
struct unit_range read_range(const struct read *read, const struct yaml *at, enum unit unit);
/* A fixed quantity within min..max. */
int64_t read_fixed(const struct read *read, const struct yaml *at, enum unit unit, int64_t min,
                   int64_t max);
struct expr_reader read_expr(const struct read *read);

/* scenario_steps.c */
void read_steps(const struct read *read, const struct yaml *at);
void read_expects(const struct read *read, const struct yaml *at);
/* action.c */
void read_action(const struct read *read, const struct yaml *at, struct scenario_action *action);
/* scenario_cluster.c */
void read_cluster(const struct read *read, const struct yaml *at);
/* `swarm` takes the word of that name; NULL: it is none. */
void read_configs(const struct read *read, const struct yaml *at, int32_t node,
                  struct scenario_config **configs, uint32_t *count, bool *swarm);
/* scenario_faults.c */
void read_faults(const struct read *read, const struct yaml *at);
/* A count, or {pick: [...]} of counts within min..max; the greatest. */
int32_t read_pick(const struct read *read, const struct yaml *at, struct scenario_pick *pick,
                  int64_t min, int64_t max);
/* scenario_workload.c */
void read_topics(const struct read *read, const struct yaml *at);
void read_workload(const struct read *read, const struct yaml *at);

#endif

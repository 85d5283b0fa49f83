/* Pieces of YAML, for scenario_write.c and its parts. */
#ifndef SIM_SCENARIO_WRITE_H
#define SIM_SCENARIO_WRITE_H

#include "sim/scenario/scenario.h"

struct write {
    const struct text_sink *sink;
    const struct expr_names *names;
};

void write_text(const struct write *w, const char *text);
void write_format(const struct write *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Plain where YAML reads it back so, also inside {...} and [...]; in double quotes otherwise. */
void write_scalar(const struct write *w, const char *text);
/* "key: 250ms" */
void write_quantity(const struct write *w, const char *key, enum unit unit,
                    struct unit_range range);
void write_share(const struct write *w, const char *key, uint32_t per_million);
/* An expression as a scalar. */
void write_expr(const struct write *w, const struct expr *expr);

/* write_steps.c */
void write_steps(const struct write *w, const struct scenario *scenario);
void write_expects(const struct write *w, const struct scenario *scenario);
/* write.c */
void write_pattern(const struct write *w, const struct scenario *scenario);

#endif

/* Between the files of the configuration:
 *
 *   config.c         the table of keys; numbers and choices, which it describes whole
 *   config_lists.c   keys that it cannot describe: roles, listeners, voters, directories
 *   config_text.c    the lines of a file, the parts of a value, what is said of a wrong one
 *   config_finish.c  what needs more than one key; questions about a finished configuration */
#ifndef BROKER_CONFIG_INTERNAL_H
#define BROKER_CONFIG_INTERNAL_H

#include "broker/config.h"
#include "client/base/text.h"

/* ---- config.c -------------------------------------------------------------------------------- */

void config_kafka_defaults(struct config *config);

/* ---- config_lists.c -------------------------------------------------------------------------- */

/* One key of the table's CONFIG_SPECIAL. */
MUST_USE enum err config_special(struct config *config, struct str key, struct str value,
                                 struct errmsg *error);

/* ---- config_text.c --------------------------------------------------------------------------- */

/* Without the blanks at both ends. */
struct str config_trim(struct str s);
/* Cuts the part before `separator` off the front of `rest`. False when nothing is left. */
bool config_next(struct str *rest, char separator, struct str *part);
/* With a zero behind it; false: longer than `size` allows. */
bool config_copy(char *to, size_t size, struct str value);
/* Both return BAD_CONFIG. */
enum err config_wrong(struct errmsg *error, struct str key, struct str value, const char *right);
enum err config_fail(struct errmsg *error, const char *what);
/* The place for one more warning. */
struct text config_warn(struct config_warnings *warnings);

/* ---- config_finish.c ------------------------------------------------------------------------- */

/* A quorum of one that nobody configured listens on a free port of its own machine. */
void config_add_controller_listener(struct config *config);

#endif

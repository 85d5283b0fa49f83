/* Questions to the ghosts, for conditions of scenarios: they answer and judge nothing. */
#ifndef SIM_CHECK_CHECK_QUERY_H
#define SIM_CHECK_CHECK_QUERY_H

#include "sim/check/check.h"

enum check_query {
    CHECK_QUERY_UNKNOWN, /* one of them has told nothing of this partition */
    CHECK_QUERY_SAME,    /* and both reach `end` */
    CHECK_QUERY_SHORT,   /* the same, as far as both reach */
    CHECK_QUERY_DIFFERS,
};

/* Do the logs of two nodes hold the same batches below `end`? Every batch is compared: this does
 * not lean on an oracle that may be off. What retention took from one of them is not compared. */
enum check_query check_query_same(const struct check *check, int64_t topic, int32_t partition,
                                  int32_t first, int32_t second, int64_t end);

#endif

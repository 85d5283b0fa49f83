/* Any event of a trace as words, without its subject: the lane or the column says who. For what is
 * not about one partition's story (words.h): the chain of a failure, the difference of two runs. */
#ifndef REPORTS_PLAIN_H
#define REPORTS_PLAIN_H

#include "client/world/trace.h"
#include "reports/out.h"

/* `topic`: the name of the topic whose id is the first field, where it has one; "?" unknown. */
void plain_event(struct out *out, const struct trace_event *event, const char *topic);
/* Does the first field name a topic, the second its partition? */
bool plain_has_topic(enum trace_kind kind);

#endif

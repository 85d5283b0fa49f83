/* What a run draws before it begins: the shape of its cluster, hostile values of its settings, its
 * clients. The result is a scenario like any other. */
#ifndef SIM_SWARM_SHAPE_H
#define SIM_SWARM_SHAPE_H

#include "sim/scenario/scenario.h"

/* The topic that an administrator creates and deletes at random. */
#define SWARM_SHAPE_TOPIC "passing"
/* How an older build is told what it may know. */
#define SWARM_SHAPE_BUILD "gregor.feature.metadata.version.max"

/* Is anything to be drawn? */
bool swarm_shape_wanted(const struct scenario *scenario);
/* One run's own copy; scenario_destroy() it, before the original. */
struct scenario *swarm_shape_draw(const struct scenario *scenario, uint64_t seed);
/* What was drawn, for people. */
void swarm_shape_tell(const struct scenario *drawn, const struct scenario *from, char *text,
                      size_t size);

/* "key=value": a setting that one broker may have unlike others; one that a topic may get. */
void swarm_shape_setting(struct rng *rng, char *text, size_t size);
void swarm_shape_topic_setting(struct rng *rng, char *text, size_t size);

#endif

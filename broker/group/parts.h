/* Sets of partitions of topics by id, in ascending order, each once: what a member of a consumer
 * group has, shall have, has to give up. Values: results lie in an arena, kept sets in `mem`. */
#ifndef BROKER_GROUP_PARTS_H
#define BROKER_GROUP_PARTS_H

#include "client/base/arena.h"
#include "client/base/bytes.h"
#include "client/base/err.h"

struct parts_item {
    struct uuid topic;
    int32_t partition;
};

struct parts {
    struct parts_item *items;
    uint32_t count;
};
#define PARTS_NONE ((struct parts){NULL, 0})

int parts_compare(struct parts_item a, struct parts_item b);
bool parts_contain(struct parts set, struct parts_item one);
bool parts_equal(struct parts a, struct parts b);
bool parts_subset(struct parts a, struct parts of);
bool parts_overlap(struct parts a, struct parts b);
/* In the arena; NO_MEMORY. `out` may be one of the inputs. */
MUST_USE enum err parts_minus(struct arena *arena, struct parts a, struct parts b,
                              struct parts *out);
MUST_USE enum err parts_both(struct arena *arena, struct parts a, struct parts b,
                             struct parts *out);
MUST_USE enum err parts_join(struct arena *arena, struct parts a, struct parts b,
                             struct parts *out);

/* Building: room for `max`, pushes in any order, then sorted and without doubles. */
MUST_USE enum err parts_begin(struct arena *arena, uint32_t max, struct parts *set);
void parts_push(struct parts *set, struct uuid topic, int32_t partition);
void parts_end(struct parts *set);

/* Behind the last one of the topic that begins at `from`: a set is a row of topics. */
uint32_t parts_topic_end(struct parts set, uint32_t from);
uint32_t parts_topics(struct parts set); /* how many */
/* The partitions alone, in the arena: those of a topic lie together. NULL: no memory. */
int32_t *parts_indexes(struct arena *arena, struct parts set);

/* A copy that stays, in place of what `kept` held. NO_MEMORY leaves it. */
MUST_USE enum err parts_keep(struct mem *mem, struct parts from, struct parts *kept);
void parts_drop(struct mem *mem, struct parts *kept);

#endif

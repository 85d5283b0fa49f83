/* Events as plain sentences: the story column, the tables and the text timeline say the same. */
#ifndef REPORTS_WORDS_H
#define REPORTS_WORDS_H

#include "reports/state.h"

/* What happened; `before` is the state just before it. */
void words_event(struct out *out, const struct story *story, const struct state *before,
                 const struct story_event *event);
/* Where: "broker 1", "broker 1 -> producer", "" for events of the whole world. */
void words_where(struct out *out, const struct story *story, const struct story_event *event);
/* A turn of the story, as opposed to its flow. */
bool words_turns(const struct state *before, const struct story_event *event);
/* Something committed or acknowledged goes with this truncation. */
bool words_loses(const struct state *before, const struct story_event *event);
bool words_red(const struct state *before, const struct story_event *event);
/* "1 2 3" of a mask of node indexes. */
void words_ids(struct out *out, const struct story *story, uint64_t mask);
const char *words_down(int64_t how);

#endif

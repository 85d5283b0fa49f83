/* Stories for oracles: trace events written down as text, one a line:
 *
 *   NODE kind.name FIELD FIELD ... [| text]     an event, a millisecond after the one before
 *   +MS                                         time passes
 *   turn NODE    phase N    finish              the other calls
 *
 * An oracle is proved by a case: the setup with the good ending passes and was judged, the setup
 * with the bad ending makes exactly this oracle fire first. */
#ifndef TESTS_SUPPORT_CHECK_STORY_H
#define TESTS_SUPPORT_CHECK_STORY_H

#include "sim/check/check.h"

struct check_case {
    const char *id;
    const char *good;
    const char *bad;
    bool fsync; /* config.fsync_before_ack */
};

void check_story_tell(struct check *check, const char *story);
/* Tells the stories one behind the other, the last of them ends with NULL. Nothing is violated
 * before the last one; behind it nothing (id NULL), or `id` is. */
void check_story_judge(const char *id, const char *const *stories);
#define CHECK_STORY(id, ...) check_story_judge(id, (const char *const[]){__VA_ARGS__, NULL})
/* A further case of an oracle, also one of another file. */
void check_story_prove_one(const struct check_case *one, const char *setup);
/* The cases of one file: all pass, and they are exactly the oracles which that file has. */
void check_story_prove(const char *file, const char *setup, const struct check_case *cases,
                       uint32_t count);

/* Brokers 1 to 3, the lone controller 101, clients 201 and 202. Partition 7-0, led by 1 in epoch 1,
 * ISR 1,2 of 1,2,3. Ten metadata entries are committed. */
#define STORY_CLUSTER                                                       \
    "0 sim.node 1 1 0\n0 sim.node 2 1 0\n0 sim.node 3 1 0\n"                \
    "0 sim.node 101 2 0\n0 sim.node 201 4 0\n0 sim.node 202 4 0\n"          \
    "0 sim.up 1 1\n0 sim.up 2 1\n0 sim.up 3 1\n0 sim.up 101 1\n"            \
    "101 raft.state 0 0 0 -1 -1\n101 raft.stored 1 -1 101\n"                \
    "101 raft.state 0 3 1 101 101\n101 raft.elected 1 0 1 1\n"              \
    "101 controller.active 1 0\n"                                           \
    "101 controller.broker 1 1 0 0 1\n101 controller.broker 2 2 0 0 2\n"    \
    "101 controller.broker 3 3 0 0 3\n"                                     \
    "101 controller.partition 7 0 1 1 0 4 | isr 1,2 replicas 1,2,3 elr -\n" \
    "turn 101\n"                                                            \
    "101 log.appended 0 0 0 9 1 77 10\n101 log.synced 0 0 10\n"             \
    "101 raft.hw -1 10 1 1\n"                                               \
    "1 log.epoch 7 0 1 0\n1 replica.role 7 0 2 1 1 0\n"                     \
    "1 replica.leading 7 0 1 0 0\n1 replica.isr 7 0 1 0 1 | 1,2\n"          \
    "2 replica.role 7 0 1 1 1 0\n3 replica.role 7 0 1 1 1 0\n"
/* What was written to the metadata log so far is committed. */
#define STORY_COMMIT                                 \
    "turn 101\n101 log.appended 0 0 10 19 1 78 10\n" \
    "101 log.synced 0 0 20\n101 raft.hw 10 20 1 1\n"
/* Batches 0-9 and 10-19 of partition 7-0, on one node. */
#define STORY_FIRST(node) \
    node " replica.fetch_reply 7 0 1 1 0 0\n" node " log.appended 7 0 0 9 1 500 100\n"
#define STORY_SECOND(node) \
    node " replica.fetch_reply 7 0 1 1 10 10\n" node " log.appended 7 0 10 19 1 501 100\n"
/* 0-9 is replicated to 1 and 2, and committed. */
#define STORY_DATA                                    \
    "1 log.appended 7 0 0 9 1 500 100\n" STORY_FIRST( \
        "2") "1 replica.remote 7 0 2 10 0 2 1\n1 replica.hw 7 0 0 10 2 1\n"

#endif

/* Marks: states that a campaign should have come through, counted (simulation.md 4.7). A mark is a
 * trace event of the product that meets a condition, or a meeting of several; the product needs no
 * code for it, so that what is simulated is what is deployed. A new one is a row here and, when one
 * event does not tell it, a case in mark.c. */
#ifndef SIM_MARK_H
#define SIM_MARK_H

#include "client/world/trace.h"

#include <stdbool.h>

/* X(NAME, "name", "what it means") */
#define MARK_LIST(X)                                                                              \
    X(REPLICA_TOOK_OVER, "replica.took-over", "a replica with records begins to lead")            \
    X(REPLICA_DIVERGED, "replica.diverged", "a follower's log differs from its leader's")         \
    X(REPLICA_DIVERGED_AGAIN, "replica.diverged-again", "and needs a second round to find where") \
    X(REPLICA_OFFLINE, "replica.offline", "a broker's disk has taken a replica from it")          \
    X(LOG_CUT, "log.cut", "records that were never committed are taken away")                     \
    X(LOG_CUT_MANY, "log.cut-many", "a hundred of them or more")                                  \
    X(LOG_UNCLEAN, "log.unclean", "a log opened after an unclean stop")                           \
    X(LOG_TORN, "log.torn", "and its end was torn")                                               \
    X(LOG_NO_SPACE, "log.no-space", "an append found no room")                                    \
    X(LOG_FAILED, "log.failed", "an append met an error of the disk")                             \
    X(LOG_DAMAGED, "log.damaged", "a batch on disk is not what was written")                      \
    X(LOG_ROLLED, "log.rolled", "a new segment")                                                  \
    X(LOG_START_MOVED, "log.start-moved", "the beginning of a log is gone")                       \
    X(LOG_COMPACTED, "log.compacted", "segments were exchanged for compacted ones")               \
    X(DIR_OFFLINE, "dir.offline", "a log directory was given up")                                 \
    X(PRODUCE_BELOW_MIN_ISR, "produce.below-min-isr", "refused: too few in sync")                 \
    X(PRODUCE_ISR_FELL, "produce.isr-fell", "stored, then too few in sync")                       \
    X(PRODUCE_TIMED_OUT, "produce.timed-out", "stored, not committed in time")                    \
    X(PRODUCE_LEADER_GONE, "produce.leader-gone", "stored by a leader that is deposed meanwhile") \
    X(PRODUCE_DISK, "produce.disk", "refused for the disk's sake")                                \
    X(LIST_UNKNOWN, "list.unknown", "a new leader does not tell its end yet (KIP-207)")           \
    X(ISR_PROPOSED, "isr.proposed", "a leader asks for another ISR")                              \
    X(ISR_OUTDATED, "isr.outdated", "an ISR was asked for with an old partition epoch")           \
    X(ISR_FENCED, "isr.fenced", "or with an old leader epoch")                                    \
    X(ISR_INELIGIBLE, "isr.ineligible", "or with a broker that may not be in one (KIP-841)")      \
    X(PARTITION_LEADERLESS, "partition.leaderless", "nobody may lead")                            \
    X(BROKER_FENCED, "broker.fenced", "the controller fences a broker")                           \
    X(BROKER_LEAVING, "broker.leaving", "a broker hands over in order")                           \
    X(BROKER_LEASE_OVER, "broker.lease-over", "a broker was not heard")                           \
    X(CONTROLLER_TWO, "controller.two", "two nodes believe to be the controller")                 \
    X(CONTROLLER_FAILED, "controller.failed", "a controller gives up with records not committed") \
    X(VOTE_REFUSED, "quorum.vote-refused", "a voter refuses a candidate")                         \
    X(PRE_VOTE_REFUSED, "quorum.pre-vote-refused", "or one that only asks")                       \
    X(CANDIDATE_AGAIN, "quorum.candidate-again", "an election without a winner")                  \
    X(QUORUM_RESIGNED, "quorum.resigned", "a leader without a majority resigns")                  \
    X(QUORUM_CUT, "quorum.cut", "the metadata log of a voter is cut")                             \
    X(SNAPSHOT_LOADED, "snapshot.loaded", "a node begins with a snapshot")                        \
    X(SNAPSHOT_WRITTEN, "snapshot.written", "a node writes one")                                  \
    X(SNAPSHOT_FETCHED, "snapshot.fetched", "a node gets one from another")                       \
    X(GROUP_LOADED, "group.loaded", "a coordinator takes over groups")                            \
    X(GROUP_PREPARING, "group.preparing", "a rebalance begins")                                   \
    X(GROUP_COMPLETING, "group.completing", "all members have joined")                            \
    X(GROUP_STABLE, "group.stable", "all have their partitions")                                  \
    X(GROUP_EMPTY, "group.empty", "the last member has left")                                     \
    X(SEND_UNCLEAR, "send.unclear", "a producer does not know whether a record is there")         \
    X(SEND_FAILED, "send.failed", "a producer knows that a record is not there")                  \
    X(CONNECTION_IDLE, "connection.idle", "closed for silence")                                   \
    X(DOWN_IN_RECOVERY, "down.in-recovery", "a node dies before it is ready")                     \
    X(DOWN_AS_CONTROLLER, "down.as-controller", "the active controller dies")                     \
    X(DOWN_ASKING_ISR, "down.asking-isr", "a leader dies while its ISR is being changed")         \
    X(CUT_WITHOUT_CONTROLLER, "cut.without-controller", "a log is cut while nobody controls")     \
    X(ISR_WITHOUT_CONTROLLER, "isr.without-controller", "an ISR asked for while nobody controls")

#define MARK_ENUM(name, word, about) MARK_##name,
enum mark { MARK_LIST(MARK_ENUM) MARKS };
#undef MARK_ENUM

enum { MARK_NODES_MAX = 64 };

struct marks {
    uint64_t count[MARKS];
    /* private: of nodes, as bit masks */
    uint64_t recovering;
    uint64_t active;
    uint64_t asking;
};

const char *mark_name(enum mark mark);
const char *mark_about(enum mark mark);
/* An event of a node (its index), or of the simulator about one (SIM_DOWN). */
void marks_event(struct marks *marks, uint32_t node, const struct trace_event *event);

#endif

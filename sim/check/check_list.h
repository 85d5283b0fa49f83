/* The registry of oracles: every id has one row, one oracle and one name. */
#ifndef SIM_CHECK_CHECK_LIST_H
#define SIM_CHECK_CHECK_LIST_H

/* X(ID, "name", CLASS, "file", "sentence"), in the order of the ids. */
#define CHECK_LIST(X)                                                                              \
    X(R1, "offsets-in-order", EVENT, "check_log.c",                                                \
      "log start <= high watermark <= log end and recovery point <= log end on every replica")     \
    X(R2, "log-contiguous", EVENT, "check_log.c",                                                  \
      "each batch begins where the one before it ended")                                           \
    X(R3, "epochs-rise-along-log", EVENT, "check_log.c",                                           \
      "leader epochs never fall along a log nor exceed what the replica knows")                    \
    X(R4, "epoch-cache-matches-log", EVENT, "check_log.c",                                         \
      "the epoch cache rises strictly and names the epoch of every batch and of every reign")      \
    X(R5, "one-leader-per-epoch", EVENT, "check_replica.c",                                        \
      "a partition has one leader per epoch; epochs known to one incarnation never fall")          \
    X(R6, "leader-hw-monotone", EVENT, "check_replica.c",                                          \
      "a leader's high watermark never falls within one leader epoch")                             \
    X(R8, "log-matching", EVENT, "check_log.c",                                                    \
      "same offset and epoch: same batch, and the same batches before it, down to the highest "    \
      "log start")                                                                                 \
    X(R9, "same-record-below-hw", EVENT, "check_replica.c",                                        \
      "below the smaller high watermark any two replicas hold the same records")                   \
    X(R10, "weak-isr", EVENT, "check_replica.c",                                                   \
      "every member of the ISR a leader holds has everything below that leader's high watermark")  \
    X(R11, "strong-isr", EVENT, "check_replica.c",                                                 \
      "every member of the controller's ISR and ELR has everything below any leader's high "       \
      "watermark")                                                                                 \
    X(R12, "leader-in-isr", EVENT, "check_controller.c",                                           \
      "the leader chosen by the controller is in the ISR")                                         \
    X(R13, "isr-views-agree", EVENT, "check_isr.c",                                                \
      "a leader's maximal ISR contains the controller's, and its committed ISR at a partition "    \
      "epoch is the controller's")                                                                 \
    X(R14, "elr-below-min-isr", EVENT, "check_controller.c",                                       \
      "eligible leader replicas are replicas outside an ISR that is below min ISR")                \
    X(R15, "no-fenced-in-isr", QUIESCENCE, "check_controller.c",                                   \
      "no fenced, unregistered or leaving broker is in an ISR")                                    \
    X(R16, "candidates-complete", EVENT, "check_controller.c",                                     \
      "every valid leader candidate whose disk is intact has all committed records")               \
    X(R17, "leader-complete", EVENT, "check_replica.c",                                            \
      "a broker that begins to lead has all committed records")                                    \
    X(R18, "believed-log-end-true", EVENT, "check_isr.c",                                          \
      "a leader never believes a follower to have more than it had")                               \
    X(R19, "no-stale-incarnation-in-isr", EVENT, "check_isr.c",                                    \
      "a fetch of an earlier incarnation counts for nothing, least for the ISR")                   \
    X(R20, "no-hw-below-min-isr", EVENT, "check_replica.c",                                        \
      "no high watermark moves at a leader with fewer in-sync replicas than min ISR")              \
    X(R21, "isr-entry-caught-up", EVENT, "check_isr.c",                                            \
      "a replica enters the ISR only caught up, by a fetch in this leader epoch")                  \
    X(R22, "no-cut-below-hw", EVENT, "check_log.c",                                                \
      "no follower truncates below its own high watermark")                                        \
    X(R23, "no-stale-reply-used", EVENT, "check_isr.c",                                            \
      "no follower truncates or appends because of an answer to an outdated fetch")                \
    X(R25, "log-start-committed", EVENT, "check_log.c",                                            \
      "no log start moves past what is committed: retention and deletion take nothing above it")   \
    X(R28, "ack-by-min-isr", EVENT, "check_isr.c",                                                 \
      "at an acks=all success at least min ISR in-sync replicas hold the batch")                   \
    X(R29, "acked-is-committed", EVENT, "check_isr.c",                                             \
      "what acks=all acknowledged is committed at the answered offset")                            \
    X(R30, "reads-are-committed", EVENT, "check_replica.c",                                        \
      "a consumer is served committed records only, the same at every time")                       \
    X(R32, "end-never-goes-back", EVENT, "check_replica.c",                                        \
      "a leader tells no end below what was committed when its epoch began")                       \
    X(R33, "acks-1-in-leader-log", EVENT, "check_isr.c",                                           \
      "what acks=1 acknowledged was in the leader's log")                                          \
    X(R34, "unclear-send-at-most-once", HISTORY, "check_history.c",                                \
      "a send with an unclear result of an idempotent producer commits at most once")              \
    X(R35, "no-offset-acked-twice", EVENT, "check_isr.c",                                          \
      "no two batches are acknowledged by acks=all at the same offset")                            \
    X(R36, "partition-epochs-by-one", EVENT, "check_controller.c",                                 \
      "each record raises the partition epoch by one; the leader epoch rises by one with the "     \
      "leader")                                                                                    \
    X(R37, "alter-partition-current", EVENT, "check_controller.c",                                 \
      "an accepted AlterPartition names the current leader, leader epoch, partition epoch and "    \
      "broker epoch")                                                                              \
    X(R38, "state-equals-replay", EVENT, "check_controller.c",                                     \
      "a broker's leader and epochs of a partition are those of the committed record")             \
    X(R39, "one-incarnation", EVENT, "check_controller.c",                                         \
      "nothing changes a broker in the name of another broker epoch than the registered one")      \
    X(R40, "kill-loses-nothing", EVENT, "check_recovery.c",                                        \
      "after a process kill the log has everything that was appended")                             \
    X(R41, "lone-power-loss-survived", EVENT, "check_replica.c",                                   \
      "power losses within the budget take no committed record")                                   \
    X(R44, "flushed-prefix-survives", EVENT, "check_replica.c",                                    \
      "after a power loss beyond the budget the next leader still has the flushed prefix")         \
    X(R45, "restarted-re-enters-by-fetch", EVENT, "check_controller.c",                            \
      "a restarted replica is back in the ISR only by a fetch of its new incarnation")             \
    X(R46, "recovery-keeps-synced", EVENT, "check_recovery.c",                                     \
      "recovery keeps what was synced and invents nothing")                                        \
    X(R47, "recovery-hw-not-above", EVENT, "check_recovery.c",                                     \
      "the high watermark after recovery is not above the one before the crash")                   \
    X(R48, "clean-is-vouched", EVENT, "check_disk.c",                                              \
      "a log counts as cleanly stopped only when the last life that had it open stopped in order") \
    X(R49, "checkpoints-whole", EVENT, "check_recovery.c",                                         \
      "what recovery reads from checkpoints is a value that once held")                            \
    X(R51, "led-again", LIVENESS, "check_liveness.c",                                              \
      "every partition with a live in-sync replica gets a leader that knows it")                   \
    X(R52, "in-sync-again", LIVENESS, "check_liveness.c",                                          \
      "all live replicas are in the ISR, and high watermarks reach the log end")                   \
    X(R53, "requests-answered", LIVENESS, "check_liveness.c",                                      \
      "every acks=all produce is answered within its timeout")                                     \
    X(R54, "reassignments-end", LIVENESS, "check_liveness.c",                                      \
      "a reassignment whose targets are alive is over")                                            \
    X(R57, "unfenced-again", LIVENESS, "check_liveness.c", "a healthy broker is unfenced")         \
    X(R58, "replicas-go-when-others-came", EVENT, "check_controller.c",                            \
      "a replica goes when all who were to come are in the ISR, or if it was itself to come; a "   \
      "new leader epoch fences it out")                                                            \
    X(R59, "who-was-removed-is-gone", LIVENESS, "check_liveness.c",                                \
      "no broker keeps a replica that it is not assigned")                                         \
    X(K1, "one-quorum-leader-per-epoch", EVENT, "check_raft.c",                                    \
      "an epoch of the quorum has at most one leader")                                             \
    X(K2, "no-double-vote", EVENT, "check_raft.c",                                                 \
      "a voter grants at most one candidate per epoch, over all its lives")                        \
    X(K3, "quorum-epoch-durable", EVENT, "check_raft.c",                                           \
      "a voter's epoch never falls, and an election stands on votes that are durable")             \
    X(K4, "metadata-log-matching", EVENT, "check_log.c",                                           \
      "same offset and epoch of the metadata log: same batch, same batches before it")             \
    X(K5, "quorum-leader-complete", EVENT, "check_raft.c",                                         \
      "a new leader of the quorum has every committed entry")                                      \
    X(K6, "commit-is-durable", EVENT, "check_raft.c",                                              \
      "a committed entry is durable on a majority of the voters")                                  \
    X(K7, "reply-is-committed", EVENT, "check_controller.c",                                       \
      "a success of the controller that was seen outside stands in the committed log")             \
    X(K8, "quorum-hw-monotone", EVENT, "check_raft.c",                                             \
      "the leader's high watermark rises, within its log, past the start of its epoch")            \
    X(K9, "follower-quorum-hw", EVENT, "check_raft.c",                                             \
      "a follower's high watermark rises, within its log and what is committed")                   \
    X(K11, "fetch-is-flushed", EVENT, "check_raft.c",                                              \
      "a voter acknowledges by its fetch offset only what it has flushed")                         \
    X(K12, "counted-is-held", EVENT, "check_raft.c",                                               \
      "a leader counts only entries that the voter holds with the same epochs")                    \
    X(K13, "ex-leader-never-appends", EVENT, "check_raft.c",                                       \
      "who led an epoch never appends in it after a restart or resignation")                       \
    X(K14, "pre-vote-changes-nothing", EVENT, "check_raft.c",                                      \
      "a prospective voter keeps epoch and vote")                                                  \
    X(K15, "one-voter-at-a-time", EVENT, "check_voters.c",                                         \
      "voters change by one, when the change before is committed, and count while the log has "    \
      "them")                                                                                      \
    X(K16, "epoch-begins-at-its-start", EVENT, "check_raft.c",                                     \
      "the first entry of an epoch stands at the start its leader announced")                      \
    X(K17, "only-voters-count", EVENT, "check_voters.c",                                           \
      "a leader counts the fetches of the voters of its set, with the directory they had, and of " \
      "nobody else")                                                                               \
    X(K18, "snapshot-is-committed", EVENT, "check_snapshot.c",                                     \
      "a snapshot holds committed entries only, and a metadata log starts at the end of one")      \
    X(K19, "snapshot-whole", EVENT, "check_snapshot.c",                                            \
      "snapshots of one id are the same bytes, and a durable one survives a crash whole")          \
    X(K20, "stale-leader-stops", EVENT, "check_raft.c",                                            \
      "a deposed leader acts for at most 1.5 fetch timeouts")                                      \
    X(K21, "stale-leader-commits-nothing", EVENT, "check_raft.c",                                  \
      "a deposed leader commits nothing that its successor does not have")                         \
    X(K22, "same-metadata-same-state", EVENT, "check_controller.c",                                \
      "at one metadata offset all nodes have the same state")                                      \
    X(K23, "silent-after-renouncing", EVENT, "check_controller.c",                                 \
      "a controller that renounced decides nothing more")                                          \
    X(K25, "applied-is-committed", EVENT, "check_controller.c",                                    \
      "the applied offset rises and stays below the high watermark the node knew")                 \
    X(K26, "ids-given-once", EVENT, "check_controller.c",                                          \
      "producer ids and broker epochs are given out once")                                         \
    X(K28, "quorum-state-whole", EVENT, "check_raft.c",                                            \
      "after a crash a voter has its old or its new quorum state, whole")                          \
    X(K29, "no-commit-after-disk-error", EVENT, "check_raft.c",                                    \
      "a leader whose metadata disk failed commits nothing more in its epoch")                     \
    X(K30, "quorum-leads-again", LIVENESS, "check_liveness.c",                                     \
      "the quorum has a leader with a known high watermark")                                       \
    X(K31, "nobody-campaigns-forever", LIVENESS, "check_liveness.c",                               \
      "no voter stays prospective, candidate or unattached")                                       \
    X(K32, "metadata-reaches-all", LIVENESS, "check_liveness.c",                                   \
      "every node reaches the committed end of the metadata log")                                  \
    X(K34, "one-stable-leader", LIVENESS, "check_liveness.c",                                      \
      "the quorum ends with one leader and no more elections")                                     \
    X(K35, "set-back-is-true", EVENT, "check_raft.c",                                              \
      "a leader of the quorum says that a voter's disk was set back only of a disk that lied")     \
    X(S12, "promise-is-durable", EVENT, "check_disk.c",                                            \
      "recovery finds no damage below a recovery point on a disk that never lied")                 \
    X(S17, "cut-stays-cut", EVENT, "check_disk.c",                                                 \
      "what a truncation took does not come back after a crash")                                   \
    X(S18, "deleted-stays-deleted", EVENT, "check_recovery.c",                                     \
      "what an answer to DeleteRecords says is gone comes back on no replica in sync")             \
    X(S24, "newest-of-key-stays", HISTORY, "check_history.c",                                      \
      "compaction keeps the newest acknowledged record of every key, at its offset")               \
    X(S25, "tombstone-stays", HISTORY, "check_history.c",                                          \
      "an acknowledged tombstone, the newest of its key, is there for delete.retention.ms")        \
    X(S28, "cleaned-is-committed", EVENT, "check_disk.c",                                          \
      "compaction takes in nothing at or above the replica's high watermark")                      \
    X(S29, "failed-sync-is-final", EVENT, "check_disk.c",                                          \
      "after a failed sync of a log the node counts nothing as synced any more")                   \
    X(S37, "flushed-before-counted", EVENT, "check_disk.c",                                        \
      "in durable mode every in-sync replica has synced what the high watermark covers")           \
    X(C1, "inconsistent-offsets", HISTORY, "check_history.c", "one offset never shows two values") \
    X(C2, "duplicate", HISTORY, "check_history.c",                                                 \
      "a value of an idempotent producer stands at one offset")                                    \
    X(C3, "lost-write", HISTORY, "check_history.c",                                                \
      "an acknowledged value below the highest offset read is read by somebody")                   \
    X(C4, "G1a", HISTORY, "check_history.c",                                                       \
      "no value is read that nobody sent or whose send definitely failed")                         \
    X(C5, "unstable-prefix", HISTORY, "check_history.c",                                           \
      "what one reader saw no later reader misses")                                                \
    X(C6, "poll-skip", HISTORY, "check_history.c",                                                 \
      "an assigned reader neither steps back nor jumps over a value")                              \
    X(C7, "unseen", HISTORY, "check_history.c",                                                    \
      "every acknowledged value is read at the latest by the final drain")                         \
    X(C8, "nonmonotonic-send", HISTORY, "check_history.c",                                         \
      "values of one idempotent producer stand in the order they were sent")                       \
    X(C9, "ack-offset-true", HISTORY, "check_history.c",                                           \
      "readers find a value at the offset its acknowledgement named")                              \
    X(T1, "committed-only", HISTORY, "check_history.c",                                            \
      "a read_committed reader is given values of committed transactions only")                    \
    X(C15, "callbacks-paired", EVENT, "check_group.c",                                             \
      "a member is given a partition it does not have, and loses one it has")                      \
    X(G1, "one-coordinator", EVENT, "check_group.c",                                               \
      "one broker is the active coordinator of a partition at a leader epoch")                     \
    X(G2, "generations-rise", EVENT, "check_group.c",                                              \
      "each rebalance that completes has a higher generation than those before, over failovers")   \
    X(G6, "one-owner-per-generation", EVENT, "check_group.c",                                      \
      "within one generation a partition is given to one member")                                  \
    X(G7, "one-holder", EVENT, "check_consumer.c",                                                 \
      "a consumer group (KIP-848) lets one member have a partition, or give it up, at a time")     \
    X(G8, "old-generation-refused", EVENT, "check_group.c",                                        \
      "no commit of an older generation is accepted once the newer one is stable")                 \
    X(G9, "committed-offset-kept", EVENT, "check_group.c",                                         \
      "a member is told the offset that was acknowledged last, or one committed after it")         \
    X(G10, "offset-was-committed", EVENT, "check_group.c",                                         \
      "a member is told only offsets that somebody committed")                                     \
    X(G14, "target-reached", LIVENESS, "check_consumer.c",                                         \
      "when all is quiet each member of a consumer group has what it shall have")                  \
    X(G18, "generation-durable", EVENT, "check_group.c",                                           \
      "a coordinator that takes over knows the newest generation that a member was given")         \
    X(G21, "group-epochs-rise", EVENT, "check_consumer.c",                                         \
      "the epoch of a consumer group never falls, and is never behind one a member was told")      \
    X(G22, "old-epoch-refused", EVENT, "check_consumer.c",                                         \
      "no commit is accepted from a member that was removed before, or in an older member epoch")

#define CHECK_ENUM(id, name, class, file, sentence) CHECK_##id,
enum check_id { CHECK_LIST(CHECK_ENUM) CHECK_ID_COUNT };
#undef CHECK_ENUM

#endif

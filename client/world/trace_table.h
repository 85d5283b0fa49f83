/* Every event a Gregor process can tell, in one table: the vocabulary of oracles, marks, scenario
 * points, reports, log lines and metrics.
 *
 * X(NAME, level, "dotted.name", "field field ...")    at most TRACE_FIELDS_MAX fields, all int64
 *
 * `tp` stands for two fields: topic (first 8 bytes of the topic id) and partition; "topic.known"
 * maps the number to the name. `*text` says what the text of the event holds. The simulator and
 * the recorder of production add time and node. Level: D detail, I info, W warning, E error: what
 * a log line prints; the events are always emitted. Order of the table is part of the trace
 * format: append within a section only together with a new TRACE_VERSION. */
#ifndef CLIENT_WORLD_TRACE_TABLE_H
#define CLIENT_WORLD_TRACE_TABLE_H

#define TRACE_VERSION 2

/* roles, in replica.role and reports */
#define TRACE_ROLE_NONE     0
#define TRACE_ROLE_FOLLOWER 1
#define TRACE_ROLE_LEADER   2
#define TRACE_ROLE_OFFLINE  3

#define TRACE_LIST(X)                                                                                                   \
    /* process and node */                                                                                              \
    X(NODE_STARTED, 'I', "node.started", "incarnation roles")                                                           \
    X(NODE_STATE, 'I', "node.state", "old new") /* *text: new state's name */                                           \
    X(NODE_READY, 'I', "node.ready", "port")                                                                            \
    X(NODE_STOPPED, 'I', "node.stopped", "status")                                                                      \
    X(NODE_NOTE, 'I', "node.note", "")          /* *text: a sentence for people */                                      \
    X(NODE_WARNING, 'W', "node.warning", "err") /* *text */                                                             \
    X(NODE_ERROR, 'E', "node.error", "err")     /* *text */                                                             \
    X(OP_STEP, 'D', "op.step", "op step")       /* *text: kind.STEP */                                                  \
    X(TOPIC_KNOWN, 'D', "topic.known",                                                                                  \
      "topic partitions") /* *text: name; partitions -1: deleted */                                                     \
    /* replica: what one broker believes of one partition (setters of broker/replica) */                                \
    X(REPLICA_ROLE, 'I', "replica.role",                                                                                \
      "topic partition role leader leader_epoch partition_epoch")                                                       \
    X(REPLICA_HW, 'D', "replica.hw", "topic partition old new role leader_epoch")                                       \
    X(REPLICA_ISR, 'I', "replica.isr",                                                                                  \
      "topic partition leader_epoch partition_epoch committed") /* *text: "1,2,3"; committed 0 = maximal ISR pending */ \
    X(REPLICA_REMOTE, 'D', "replica.remote",                                                                            \
      "topic partition follower log_end old broker_epoch leader_epoch") /* leader's view of a follower */               \
    X(REPLICA_FETCH_REPLY, 'D', "replica.fetch_reply",                                                                  \
      "topic partition request_epoch known_epoch fetch_offset log_end") /* follower takes a reply */                    \
    X(REPLICA_DIVERGED, 'I', "replica.diverged",                                                                        \
      "topic partition diverging_epoch diverging_end log_end round")                                                    \
    X(REPLICA_THROTTLED, 'D', "replica.throttled",                                                                      \
      "topic partition replica measured rate") /* replica: who gets nothing now */                                      \
    X(REPLICA_LEADING, 'I', "replica.leading",                                                                          \
      "topic partition leader_epoch start_offset log_end")                                                              \
    X(REPLICA_MIN_ISR, 'D', "replica.min_isr",                                                                          \
      "topic partition isr_size min_isr") /* produce refused */                                                         \
    X(PRODUCE_APPENDED, 'D', "produce.appended",                                                                        \
      "topic partition base_offset last_offset leader_epoch acks isr_size min_isr")                                     \
    X(PRODUCE_ANSWERED, 'D', "produce.answered",                                                                        \
      "topic partition base_offset last_offset err acks hw isr_size")                                                   \
    X(READ_SERVED, 'D', "read.served", "topic partition from to limit hw consumer")                                     \
    X(OFFSETS_LISTED, 'D', "offsets.listed",                                                                            \
      "topic partition timestamp offset leader_epoch err stable")                                                       \
    /* log: bytes of one partition's log (also the metadata log, partition 0 of its topic) */                           \
    X(LOG_OPENED, 'I', "log.opened",                                                                                    \
      "topic partition log_start log_end recovery_point hw clean truncated_bytes")                                      \
    X(LOG_APPENDED, 'D', "log.appended",                                                                                \
      "topic partition base_offset last_offset epoch crc bytes") /* one per batch, at completion */                     \
    X(LOG_FAILED, 'E', "log.failed", "topic partition log_end err")                                                     \
    X(LOG_TRUNCATED, 'I', "log.truncated", "topic partition old_end new_end hw reason")                                 \
    X(LOG_START, 'I', "log.start", "topic partition old new")                                                           \
    X(LOG_SYNCED, 'D', "log.synced", "topic partition synced_end")                                                      \
    X(LOG_ROLLED, 'D', "log.rolled", "topic partition base_offset")                                                     \
    X(LOG_EPOCH, 'D', "log.epoch",                                                                                      \
      "topic partition epoch start_offset") /* start -1: newest at opening, -1 none */                                  \
    X(LOG_DAMAGED, 'E', "log.damaged", "topic partition offset position err")                                           \
    X(LOG_REPAIRED, 'W', "log.repaired", "topic partition base_offset last_offset position")                            \
    X(LOG_RECOVERED_TO, 'I', "log.recovered_to",                                                                        \
      "topic partition segment_base valid_end cut_bytes")                                                               \
    X(LOG_SWAPPED, 'I', "log.swapped", "topic partition base end old_bytes new_bytes")                                  \
    X(LOG_CLEANED, 'I', "log.cleaned", "topic partition from to keys bytes_read bytes_kept")                            \
    X(DIR_OFFLINE, 'E', "dir.offline", "err") /* *text: path */                                                         \
    /* raft: one voter or observer of the metadata quorum */                                                            \
    X(RAFT_STATE, 'I', "raft.state", "old new epoch leader voted")                                                      \
    X(RAFT_VOTE, 'I', "raft.vote", "candidate epoch granted pre_vote")                                                  \
    X(RAFT_STORED, 'D', "raft.stored", "epoch leader voted") /* quorum-state is durable */                              \
    X(RAFT_ELECTED, 'I', "raft.elected", "epoch start_offset granted voters")                                           \
    X(RAFT_HW, 'D', "raft.hw", "old new epoch leading")                                                                 \
    X(RAFT_FETCHED, 'D', "raft.fetched", "voter offset epoch flushed_own") /* leader's view */                          \
    X(RAFT_FLUSHED, 'D', "raft.flushed", "end epoch")                                                                   \
    X(RAFT_SNAPSHOT, 'I', "raft.snapshot",                                                                              \
      "end_offset epoch bytes crc how") /* durable; how: 0 loaded 1 written 2 fetched */                                \
    X(RAFT_VOTERS, 'I', "raft.voters", "offset kraft_version count") /* text: voters=1,2 */                             \
    /* controller and metadata */                                                                                       \
    X(CONTROLLER_ACTIVE, 'I', "controller.active", "epoch offset")                                                      \
    X(CONTROLLER_RENOUNCED, 'I', "controller.renounced", "epoch offset failed")                                         \
    X(CONTROLLER_BROKER, 'I', "controller.broker",                                                                      \
      "broker broker_epoch fenced shutting_down offset")                                                                \
    X(CONTROLLER_PARTITION, 'I', "controller.partition",                                                                \
      "topic partition leader leader_epoch partition_epoch offset") /* "isr 1,2 replicas 1,2,3 elr - last - unclean" */ \
    X(CONTROLLER_ALTER, 'D', "controller.alter",                                                                        \
      "topic partition from leader_epoch partition_epoch err broker_epoch")                                             \
    X(CONTROLLER_LEASE, 'D', "controller.lease", "broker expired")                                                      \
    X(CONTROLLER_PRODUCER_IDS, 'D', "controller.producer_ids", "broker first count offset")                             \
    X(META_APPLIED, 'D', "meta.applied", "offset epoch digest") /* image of one node at offset */                       \
    X(META_BROKER, 'I', "meta.broker", "broker broker_epoch fenced") /* what a broker learned */                        \
    X(BROKER_EPOCH, 'I', "broker.epoch", "broker_epoch previous")                                                       \
    /* requests between processes: arrows of the space-time picture */                                                  \
    X(RPC_SENT, 'D', "rpc.sent", "conn correlation api version bytes peer")                                             \
    X(RPC_RECEIVED, 'D', "rpc.received", "conn correlation api version bytes")                                          \
    X(RPC_ANSWERED, 'D', "rpc.answered", "conn correlation api bytes")                                                  \
    X(RPC_REPLIED, 'D', "rpc.replied", "conn correlation api bytes err")                                                \
    X(CONN_OPENED, 'D', "conn.opened", "conn peer inbound")                                                             \
    X(CONN_CLOSED, 'D', "conn.closed", "conn err")                                                                      \
    X(CONN_HOSTILE, 'W', "conn.hostile", "conn api version err") /* *text: what was wrong */                            \
    /* clients: the history that black-box oracles judge */                                                             \
    X(CLIENT_SEND, 'D', "client.send", "topic partition value key attempt") /* invoked */                               \
    X(CLIENT_ACKED, 'D', "client.acked", "topic partition value offset latency_ns")                                     \
    X(CLIENT_FAILED, 'D', "client.failed", "topic partition value err definite")                                        \
    X(CLIENT_READ, 'D', "client.read", "topic partition offset value epoch")                                            \
    X(CLIENT_POSITION, 'D', "client.position", "topic partition offset reason")                                         \
    X(CLIENT_DECIDED, 'D', "client.decided",                                                                            \
      "topic partition value commit") /* of each record of a transaction, before any marker */                          \
    X(CLIENT_ADMIN, 'I', "client.admin", "api err") /* *text */                                                         \
    X(CLIENT_ERROR, 'D', "client.error", "api err topic partition")                                                     \
    /* the simulator itself */                                                                                          \
    X(SIM_STARTED, 'I', "sim.started", "seed nodes") /* *text: scenario name */                                         \
    X(SIM_NODE, 'I', "sim.node",                                                                                        \
      "node kind rack") /* *text: name; kind 1 broker 2 controller 3 both 4 client */                                   \
    X(SIM_UP, 'I', "sim.up", "node incarnation")                                                                        \
    X(SIM_DOWN, 'W', "sim.down", "node how lost_bytes") /* how: 1 kill 2 power loss 3 clean */                          \
    X(SIM_FAULT, 'W', "sim.fault", "fault on step target strength") /* *text: the sentence */                           \
    X(SIM_PHASE, 'I', "sim.phase",                                                                                      \
      "phase") /* 1 safety 2 liveness 3 done; *text of 2: the core "1,2,101", empty: all */                             \
    X(SIM_STEP, 'I', "sim.step", "step") /* *text: the step's sentence */                                               \
    X(SIM_VIOLATION, 'E', "sim.violation", "check node topic partition epoch offset") /* *text */                       \
    X(SIM_BLOCKED, 'D', "sim.blocked", "conn from to reason") /* 1 cut, 0 open again */                                 \
    X(SIM_SYNC_FAILED, 'W', "sim.sync_failed",                                                                          \
      "node") /* *text: path; its pages are lost (DF14) */                                                              \
    /* groups: what the coordinator of one partition of __consumer_offsets does, at its epoch */                        \
    X(GROUP_COORDINATOR, 'I', "group.coordinator", "partition epoch active end groups")                                 \
    X(GROUP_STATE, 'I', "group.state",                                                                                  \
      "partition epoch old new generation members") /* *text: group; old dead: loaded */                                \
    X(GROUP_OFFSET, 'D', "group.offset",                                                                                \
      "partition epoch index offset record") /* committed; *text: group, blank, topic; offset -1: deleted */            \
    X(CLIENT_GROUP, 'I', "client.group",                                                                                \
      "old new generation member rebalances") /* *text: group */                                                        \
    X(CLIENT_OWNS, 'D', "client.owns",                                                                                  \
      "partition generation how") /* *text: group, blank, topic */                                                      \
    X(CLIENT_OFFSET, 'D', "client.offset",                                                                              \
      "partition offset generation what err member") /* *text: group, blank, topic */                                   \
    X(GROUP_OWNED, 'D', "group.owned",                                                                                  \
      "partition epoch generation index") /* in a new generation; *text: group, member, topic */                        \
    /* groups of KIP-848, as their records are committed or loaded */                                                   \
    X(GROUP_EPOCHS, 'I', "group.epochs",                                                                                \
      "partition epoch group assignment members") /* *text: group; their epochs */                                      \
    X(GROUP_MEMBER, 'D', "group.member",                                                                                \
      "partition epoch member state assigned revoking") /* *text: group, member; -1: gone */                            \
    X(GROUP_HOLDS, 'D', "group.holds",                                                                                  \
      "partition epoch index member holds") /* *text: group, member, topic id; 0: not any more */                       \
    /* transactions */                                                                                                  \
    X(LOG_TXN, 'D', "log.txn",                                                                                          \
      "topic partition producer epoch step offset leader_epoch") /* in this log: 0 begins, 1 commit marker, 2 abort */  \
    X(CLIENT_TXN, 'D', "client.txn",                                                                                    \
      "producer epoch step") /* 0 begins 1 commits 2 aborts; before any marker */                                       \
    /* answers with ranges of files, since the start: told when a node that gave some stops in order */                 \
    X(NODE_RANGES, 'I', "node.ranges", "answers bytes refused missed")                                                  \
    X(LOG_CUTTING, 'I', "log.cutting",                                                                                  \
      "topic partition old_end new_end hw reason") /* on disk from here on, log.truncated when durable */               \
    X(LOG_SWAPPING, 'I', "log.swapping",                                                                                \
      "topic partition base end old_bytes new_bytes") /* an open may finish it, log.swapped when here */                \
    X(LOG_MOVED, 'I', "log.moved",                                                                                      \
      "topic partition log_start log_end hw epochs") /* in another directory of its broker; epochs: entries */          \
    X(CONTROLLER_REMOVED, 'I', "controller.removed", "topic offset") /* by the active one */                            \
    X(RECORDS_DELETED, 'I', "records.deleted", "topic partition offset low err") /* the answer */                       \
    X(SIM_ORACLES, 'I', "sim.oracles",                                                                                  \
      "version") /* *text: check_config.c; in files only, at the front */                                               \
    X(SIM_TOPIC, 'I', "sim.topic", "min_isr") /* *text: its name; in files only, next */

#endif

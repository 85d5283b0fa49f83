/* The actions that make a simulated world bad, as plain functions: no language, no budget (those
 * who call them have both). Each is counted: asked when called, injected when it really hit
 * something; a reader can tell a fault that never happened from one that was survived.
 *
 * One table says what there is: `gregor-sim list faults`, the pages, the reference in
 * scenarios/README.md and the schema for editors are made from it and from the table of actions
 * (sim/scenario/language.c). Ids: N, P, W of simulation.md 1, DF of storage.md 18.3. */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include "sim/node_world.h"

enum sim_fault_class {
    SIM_CLASS_NETWORK,
    SIM_CLASS_PROCESS,
    SIM_CLASS_DISK,
    SIM_CLASS_CLOCK,
    SIM_CLASS_MEMBERSHIP,
    SIM_CLASS_CLIENT,
    SIM_CLASS_UPGRADE,
    SIM_CLASSES,
};

enum sim_fault_kind {
    SIM_FAULT_OWN,    /* asked for by an action; one that never hits is not exercised */
    SIM_FAULT_PART,   /* happens as a part of another one, when chance has it so */
    SIM_FAULT_END,    /* the end of a fault */
    SIM_FAULT_ABSENT, /* not injected, and why */
};

#define SIM_FAULT_LIST_NETWORK(X)                                                                 \
    X(LATENCY, "N1", NETWORK, OWN, 0, "latency", "slow_link",                                     \
      "bytes of a link take longer; base and jitter of all links: cluster.network")               \
    X(SEGMENT, "N2", NETWORK, OWN, 0, "segmentation", "segment",                                  \
      "sends arrive in pieces: byte by byte, anywhere, around the frame header")                  \
    X(SMALL_BUFFERS, "N3", NETWORK, OWN, 0, "back-pressure", "small_buffers",                     \
      "a sender may have only so few bytes on the way")                                           \
    X(CLOG, "N4", NETWORK, OWN, 0, "clog", "clog", "a path stands still, what is on it survives") \
    X(SWIZZLE, "N5", NETWORK, OWN, 0, "swizzle clog", "swizzle",                                  \
      "a random half of the nodes freezes one by one and thaws in another order")                 \
    X(CUT, "N6", NETWORK, OWN, 0, "partition", "partition",                                       \
      "nothing passes between two sets of nodes")                                                 \
    X(CUT_ONE_WAY, "N7", NETWORK, OWN, 0, "one-way partition", "partition",                       \
      "bytes pass in one direction only")                                                         \
    X(CUT_PAIRS, "N8", NETWORK, OWN, 0, "partial partition", "cut",                               \
      "some pairs are cut, the others are not")                                                   \
    X(FLAKY, "N9", NETWORK, OWN, 0, "flaky link", "flaky", "many short clogs, one after another") \
    X(SLOW_LINK, "N9", NETWORK, OWN, 0, "rate cap", "slow_link",                                  \
      "a link carries only so many bytes a second")                                               \
    X(RESET, "N10", NETWORK, OWN, 0, "reset", "reset",                                            \
      "connections break: while idle, within a frame, between request and response")              \
    X(HALF_OPEN, "N11", NETWORK, OWN, 0, "half open", "half_open",                                \
      "the peer has vanished: no end, no reset, no answer")                                       \
    X(FAIL_CONNECTS, "N12", NETWORK, OWN, 0, "fail connects", "fail_connects",                    \
      "attempts are refused, time out, are reset, find the queue full, no name, a wrong address") \
    X(HOLD, "N13", NETWORK, OWN, 0, "held message", "hold_message",                               \
      "one request or response is late by exactly one leader change or restart")                  \
    X(COALESCE, "N13", NETWORK, OWN, 0, "coalesced metadata", "coalesce_metadata",                \
      "a node hears of several metadata changes at once")                                         \
    X(CORRUPT, "N14", NETWORK, OWN, 0, "corruption", "corrupt",                                   \
      "a bit of a frame flips on the way; never drawn at random")                                 \
    X(SHUFFLE, "N15", NETWORK, OWN, 0, "shuffled readiness", "shuffle",                           \
      "connections are accepted and become ready in random order")                                \
    X(HEAL, "", NETWORK, END, 0, "heal", "heal", "links are as they were")

#define SIM_FAULT_LIST_PROCESS(X)                                                                  \
    X(KILL, "P1", PROCESS, OWN, 0, "crash", "crash", "the process is gone, its page cache is not") \
    X(POWER_LOSS, "P2", PROCESS, OWN, 0, "power loss", "crash",                                    \
      "the machine is dark: unsynced data is resolved, peers hear nothing")                        \
    X(STOP, "P3", PROCESS, OWN, 0, "orderly stop", "crash", "the way out that is foreseen")        \
    X(CRASH_LOOP, "P4", PROCESS, OWN, 0, "crash loop", "crash_loop",                               \
      "dies again at the k-th event, or at a named point, of each start")                          \
    X(PAUSE, "P5", PROCESS, OWN, 0, "pause", "pause", "no event for a while, then all at once")    \
    X(SLOW_CPU, "P6", PROCESS, OWN, 0, "slow cpu", "slow", "each event costs more time")           \
    X(WIPE, "P7", PROCESS, OWN, 1, "wipe", "wipe",                                                 \
      "starts again with an empty disk, under the same or a new identity")                         \
    X(OOM, "P8", PROCESS, OWN, 0, "memory failure", "oom", "the n-th allocation is refused")       \
    X(VERSION, "P9", UPGRADE, OWN, 0, "version mix", "upgrade",                                    \
      "a node starts again as a build with other levels of features")                              \
    X(RECONFIGURE, "P10", PROCESS, OWN, 0, "other configuration", "restart",                       \
      "a node starts again with settings that differ from the others'")                            \
    X(POINT, "P12", PROCESS, ABSENT, 0, "fault point", "",                                         \
      "the core asks nobody whether to misbehave; crash_loop stops it at any trace point")         \
    X(START, "", PROCESS, END, 0, "start", "restart", "a node that was down runs")                 \
    X(RESUME, "", PROCESS, END, 0, "resume", "pause", "a node that stood still runs")

#define SIM_FAULT_LIST_CLOCK(X)                                   \
    X(CLOCK_OFFSET, "W1", CLOCK, OWN, 0, "clock offset", "clock", \
      "a wall clock is wrong by a constant")                      \
    X(CLOCK_DRIFT, "W2", CLOCK, OWN, 0, "clock drift", "clock",   \
      "both clocks run too fast or slow")                         \
    X(CLOCK_STEP, "W3", CLOCK, OWN, 0, "clock step", "clock",     \
      "the wall clock jumps, the monotonic one does not")         \
    X(CLOCK_COARSE, "W4", CLOCK, OWN, 0, "coarse clock", "clock", \
      "the wall clock moves in steps: many events share a time")  \
    X(TIMER_LATE, "W5", CLOCK, OWN, 0, "late timers", "clock",    \
      "timers are late by a tail, never early")                   \
    X(SLEEP, "W6", CLOCK, OWN, 0, "sleep", "sleep",               \
      "a machine sleeps: its monotonic clock stops with it, or runs on")

#define SIM_FAULT_LIST_DISK(X)                                                                    \
    X(UNSYNCED_KEPT, "DF1", DISK, PART, 0, "process crash", "crash",                              \
      "a process dies with unsynced data, which its machine keeps")                               \
    X(UNSYNCED_LOST, "DF2", DISK, PART, 0, "lost pages", "crash",                                 \
      "of what is unsynced a power loss keeps: none, all, a prefix, pieces, pages")               \
    X(TORN_PAGE, "DF3", DISK, PART, 0, "torn page", "crash", "old and new sectors in one page")   \
    X(GARBAGE_PAGE, "DF4", DISK, PART, 0, "garbage page", "crash",                                \
      "sectors of an unsynced write are noise")                                                   \
    X(NAMES_LOST, "DF5", DISK, PART, 0, "metadata reorder", "crash",                              \
      "names survive in any subset, whatever becomes of the data")                                \
    X(DISK_LIE, "DF6", DISK, OWN, 0, "lying sync", "lying_sync",                                  \
      "syncs answer and settle nothing until a later honest one")                                 \
    X(DISK_ROT, "DF7", DISK, OWN, 1, "bit rot", "rot", "bits flip at rest, and stay so")          \
    X(HEADER_ROT, "DF8", DISK, OWN, 1, "header rot", "rot",                                       \
      "bits flip where it hurts: batch headers, indexes, checkpoints, voted state")               \
    X(LOST_WRITE, "DF9", DISK, OWN, 1, "lost write", "lose_write",                                \
      "a write is acknowledged, even synced, and the device keeps the old bytes")                 \
    X(MISDIRECTED, "DF10", DISK, OWN, 1, "misdirected write", "misdirect",                        \
      "a write lands at another place of the device")                                             \
    X(STALE_READ, "DF11", DISK, OWN, 1, "stale read", "stale_read",                               \
      "a read returns an earlier version of its sectors")                                         \
    X(READ_ERROR, "DF12", DISK, OWN, 0, "read error", "disk_error",                               \
      "reads fail: the n-th, or those that touch a place, once or until it is rewritten")         \
    X(WRITE_ERROR, "DF13", DISK, OWN, 0, "write error", "disk_error",                             \
      "a write fails with none or some of its bytes applied")                                     \
    X(SYNC_ERROR, "DF14", DISK, OWN, 0, "sync error", "disk_error",                               \
      "a sync fails: its pages stay visible, or revert, and never reach the device")              \
    X(DISK_ERROR, "DF13", DISK, OWN, 0, "disk error", "disk_error",                               \
      "an open, a truncation or a rename fails")                                                  \
    X(DISK_FULL, "DF15", DISK, OWN, 0, "disk full", "disk_full", "so much room is left, no more") \
    X(SHORT_IO, "DF16", DISK, OWN, 0, "short transfers", "short_io",                              \
      "writes reach the disk in two parts, with time between them")                               \
    X(DISK_SLOW, "DF17", DISK, OWN, 0, "slow disk", "disk_slow", "everything takes longer")       \
    X(DISK_STALL, "DF17", DISK, OWN, 0, "disk stall", "disk_stall", "no answer for a while")      \
    X(SUBMIT_STALL, "DF17", DISK, OWN, 0, "stalled submit", "disk_block",                         \
      "the call itself blocks: the node's turn lasts so long")                                    \
    X(DIR_GONE, "DF18", DISK, OWN, 1, "directory gone", "dir_gone",                               \
      "a directory fails, is empty at the next start, or is read-only")                           \
    X(REVERT, "DF19", DISK, OWN, 1, "rollback", "snapshot revert",                                \
      "the whole disk is as it was at an earlier time")                                           \
    X(FOREIGN, "DF20", DISK, OWN, 0, "foreign files", "foreign",                                  \
      "files of another node or partition appear")                                                \
    X(FILE_TIMES, "DF21", DISK, ABSENT, 0, "file times", "",                                      \
      "the world tells nobody a file's time, so nothing can depend on it")

#define SIM_FAULT_LIST_OTHER(X)                                                                  \
    X(MEMBERSHIP, "P11", MEMBERSHIP, OWN, 0, "membership",                                       \
      "create_topic delete_topic add_partitions delete_records config elect",                    \
      "an administrator changes topics, settings and leaders; a hit is an answer without error") \
    X(REASSIGN, "P11", MEMBERSHIP, OWN, 0, "reassignment", "reassign cancel_reassign",           \
      "an administrator moves replicas, or takes that back; a hit is an answer without error")   \
    X(MOVE_DIR, "P11", MEMBERSHIP, OWN, 0, "move of directory", "move_dir",                      \
      "an administrator moves a replica to another log directory; a hit is an answer without "   \
      "error")                                                                                   \
    X(UNREGISTER, "P11", MEMBERSHIP, OWN, 0, "unregistration", "unregister",                     \
      "an administrator takes a broker out of the metadata; a hit is an answer without error")   \
    X(VOTERS, "P11", MEMBERSHIP, OWN, 0, "voters", "add_voter remove_voter",                     \
      "an administrator adds or removes a voter; a hit is an answer without error")              \
    X(FEATURES, "P9", UPGRADE, OWN, 0, "features", "features",                                   \
      "an administrator sets levels of features; a hit is an answer without error")

/* X(NAME, "id", CLASS, KIND, needs the ledger, "word", "actions", "sentence") */
#define SIM_FAULT_LIST(X)     \
    SIM_FAULT_LIST_NETWORK(X) \
    SIM_FAULT_LIST_PROCESS(X) \
    SIM_FAULT_LIST_CLOCK(X)   \
    SIM_FAULT_LIST_DISK(X)    \
    SIM_FAULT_LIST_OTHER(X)

#define SIM_FAULT_ENUM(name, id, class, kind, ledger, word, actions, about) SIM_FAULT_##name,
enum sim_fault { SIM_FAULT_LIST(SIM_FAULT_ENUM) SIM_FAULT_COUNT };
#undef SIM_FAULT_ENUM

struct sim_fault_info {
    const char *id;
    enum sim_fault_class class;
    enum sim_fault_kind kind;
    bool ledger; /* counts against what the protocol claims to survive (storage.md 18.3) */
    const char *word;
    const char *actions; /* "a b": the words of the language that inject it */
    const char *about;
};

/* asked = injected + refused + those that hit nothing; weakened are among those injected. */
struct sim_fault_count {
    uint64_t asked;
    uint64_t injected;
    uint64_t weakened; /* done in a milder form, for the budget's sake */
    uint64_t refused;  /* not done, likewise */
};

struct sim_fault_count sim_fault_counted(const struct sim *sim, enum sim_fault fault);
const struct sim_fault_info *sim_fault_info(enum sim_fault fault);
const char *sim_fault_word(enum sim_fault fault);
bool sim_fault_is_end(enum sim_fault fault); /* of another one: start, resume, heal */
const char *sim_fault_id(enum sim_fault fault);
const char *sim_fault_class_name(enum sim_fault_class class);
void *sim_fault_counters_create(void); /* for sim.c */
/* Whoever injects counts: what was asked for, and, now or later, what has hit. */
void sim_fault_asked(struct sim *sim, enum sim_fault fault);
void sim_fault_hit(struct sim *sim, enum sim_fault fault);
void sim_fault_weakened(struct sim *sim, enum sim_fault fault);
void sim_fault_refused(struct sim *sim, enum sim_fault fault);

/* ---- processes ------------------------------------------------------------------------------- */

/* From inside the node's own turn it dies at the end of the running callback. */
void sim_crash(struct sim_world *node, enum sim_down how);
void sim_restart(struct sim_world *node); /* of a node that is down */
void sim_pause(struct sim_world *node);
void sim_resume(struct sim_world *node);
void sim_slow_cpu(struct sim_world *node, int64_t permille); /* 1000: normal */
void sim_wipe(struct sim_world *node);                       /* of a node that is down */
/* From the next start on: dies at that event or trace point of each start, `times` in all, and is
 * started again. Replaces an earlier one; times 0 ends it. */
void sim_crash_loop(struct sim_world *node, const struct sim_crash_loop *loop);
/* Of a node that is down or dies; does nothing when it runs by then. */
void sim_start_later(struct sim_world *node, int64_t delay_ns);
/* The n-th allocation from now is refused, and so are `times` - 1 after it. */
void sim_oom(struct sim_world *node, uint64_t after, uint32_t times);
void sim_shuffle(struct sim_world *node, bool shuffled);

/* ---- network; a set of nodes is a bit mask of indexes, for at most 64 nodes ------------------ */

void sim_partition(struct sim *sim, uint64_t first, uint64_t second, enum sim_cut style);
void sim_partition_one_way(struct sim *sim, uint64_t from, uint64_t to, enum sim_cut style);
/* The exact opposites: each cut has its own mend. */
void sim_heal(struct sim *sim, uint64_t first, uint64_t second, enum sim_cut style);
void sim_heal_one_way(struct sim *sim, uint64_t from, uint64_t to, enum sim_cut style);
void sim_heal_all(struct sim *sim);
/* One pair of a list: N8 as soon as two nodes that are not cut stay connected. */
void sim_cut_pair(struct sim_world *from, struct sim_world *to, enum sim_cut style);
void sim_clog(struct sim_world *from, struct sim_world *to, int64_t until_ns);
/* Over the window a random half of the set freezes one by one, and thaws in another order. */
void sim_swizzle(struct sim *sim, uint64_t nodes, int64_t window_ns);
/* Until `until_ns` short clogs of up to hold_ns, with gaps of up to twice gap_ns. */
void sim_flaky(struct sim_world *from, struct sim_world *to, int64_t hold_ns, int64_t gap_ns,
               int64_t until_ns);
void sim_slow_link(struct sim_world *from, struct sim_world *to, int64_t extra_ns,
                   int64_t bytes_per_ms);
/* Of bytes from one node to the other, also on connections that stand; STYLES: as drawn. */
void sim_segment(struct sim_world *from, struct sim_world *to, enum sim_pieces pieces);
void sim_small_buffers(struct sim_world *from, struct sim_world *to, uint32_t bytes); /* 0: ends */
void sim_reset(struct sim_world *first, struct sim_world *second, enum sim_notice notice);
/* IDLE: those idle now. MID_FRAME, AFTER_REQUEST: the next of first's frames, or answers to it. */
void sim_reset_at(struct sim_world *first, struct sim_world *second, enum sim_moment moment);
void sim_half_open(struct sim_world *first, struct sim_world *second);
void sim_fail_connects(struct sim_world *to, enum sim_connect_fault fault, uint32_t count);
void sim_corrupt(struct sim_world *from, struct sim_world *to, uint32_t count);
/* The next request that `asking` sends to `asked` with this api key (-1: any), or the answer to
 * it, stops on the way, and all behind it on that connection; every: each of them, on all
 * connections. Until sim_release(). */
struct sim_hold *sim_hold_message(struct sim_world *asking, struct sim_world *asked, int16_t api,
                                  bool response, bool every);
/* `hit`: what it was to be late for has happened meanwhile. */
void sim_release(struct sim *sim, struct sim_hold *hold, bool hit);

/* ---- clock ----------------------------------------------------------------------------------- */

void sim_clock_offset(struct sim_world *node, int64_t offset_ms); /* against the true time */
void sim_clock_step(struct sim_world *node, int64_t step_ms);
void sim_clock_drift(struct sim_world *node, int64_t drift_ppb);
void sim_clock_coarse(struct sim_world *node, int64_t step_ms); /* 0, 1: not */
void sim_timers_late(struct sim_world *node, int64_t mean_ns);
/* Until sim_resume(). */
void sim_sleep(struct sim_world *node, bool monotonic_stops);

/* ---- disk ------------------------------------------------------------------------------------ */

void sim_slow_disk(struct sim_world *node, int64_t permille);
void sim_stall_disk(struct sim_world *node, int64_t until_ns);
void sim_block_submits(struct sim_world *node, int64_t each_ns); /* 0: ends */
/* So many bytes are left from now on; UINT64_MAX: as many as ever. */
void sim_fill_disk(struct sim_world *node, uint64_t free_bytes);
/* Hits are counted when the rule fires. UINT32_MAX: too many rules stand. */
uint32_t sim_break_disk(struct sim_world *node, const struct sim_disk_rule *rule);
void sim_lying_disk(struct sim_world *node, bool lying);
bool sim_rot_disk(struct sim_world *node, const char *path, uint64_t offset, uint32_t bit);
/* Flips `bits` bits within one sector of a file that matches; offset UINT64_MAX: anywhere; header:
 * within the first 21 bytes of a batch. The path it hit, or NULL. */
const char *sim_rot_somewhere(struct sim_world *node, const char *glob, uint64_t offset,
                              bool header, uint32_t bits);
void sim_short_io(struct sim_world *node, uint32_t per_million); /* of the writes; 0: ends */
enum sim_gone { SIM_GONE_FAILED, SIM_GONE_EMPTY, SIM_GONE_READ_ONLY };
/* EMPTY: of a node that is down. */
void sim_dir_gone(struct sim_world *node, const char *dir, enum sim_gone how);
/* A copy of the disk as it is visible now, and the way back to it, of a node that is down. */
void sim_snapshot(struct sim_world *node);
void sim_revert(struct sim_world *node);
/* Files of one machine that match appear on another, which is down; `as` replaces the first
 * directory below the data directory, NULL: the same names. */
void sim_foreign(struct sim_world *node, struct sim_world *from, const char *glob, const char *as);

#endif

/* The classes of random faults, in one table: the parser of `faults:`, the swarm that draws them
 * (sim/swarm_fault.c writes the action of each) and what campaigns count.
 *
 * A class is switched on or off as a whole for a run (simulation.md 1.8). Its ids are those of
 * simulation.md 1 and storage.md 18. */
#ifndef SIM_SCENARIO_FAULT_CLASS_H
#define SIM_SCENARIO_FAULT_CLASS_H

#include "sim/scenario/units.h"

enum fault_group {
    FAULT_GROUP_PROCESS,
    FAULT_GROUP_NETWORK,
    FAULT_GROUP_DISK,
    FAULT_GROUP_CLOCK,
    FAULT_GROUP_MEMBERSHIP,
    FAULT_GROUP_CLIENT,
};
#define FAULT_GROUP_NAMES "process network disk clock membership client"

/* X(NAME, "id", GROUP, OFTEN | SELDOM, "what it does"): on in every second run, or every fifth */
#define FAULT_CLASS_LIST_FIRST(X)                                                               \
    X(KILL, "P1", PROCESS, OFTEN, "a process dies and comes back")                              \
    X(POWER_LOSS, "P2", PROCESS, OFTEN, "a machine loses power, pages not synced are lost")     \
    X(STOP, "P3", PROCESS, OFTEN, "an orderly stop")                                            \
    X(CRASH_LOOP, "P4", PROCESS, OFTEN, "dies, comes back, and dies again while it recovers")   \
    X(PAUSE, "P5", PROCESS, OFTEN, "stands still, then is late for everything")                 \
    X(SLOW_CPU, "P6", PROCESS, OFTEN, "computes many times slower")                             \
    X(CLOG, "N4", NETWORK, OFTEN, "bytes of a path wait")                                       \
    X(SWIZZLE, "N5", NETWORK, OFTEN, "half of the nodes freeze one by one, and thaw otherwise") \
    X(CUT, "N6", NETWORK, OFTEN, "two groups of nodes are cut apart")                           \
    X(CUT_ONE_WAY, "N7", NETWORK, OFTEN, "bytes pass in one direction only")                    \
    X(CUT_PAIR, "N8", NETWORK, OFTEN, "one pair is cut, all others reach both")                 \
    X(RESET, "N10", NETWORK, OFTEN, "connections break")                                        \
    X(HALF_OPEN, "N11", NETWORK, OFTEN, "a peer vanishes without a word")                       \
    X(CONNECT, "N12", NETWORK, OFTEN, "connection attempts fail")                               \
    X(LATE_BYTES, "N13", NETWORK, OFTEN, "bytes arrive after their sender has died")            \
    X(DRIFT, "W2", CLOCK, OFTEN, "clocks run at other speeds")                                  \
    X(JUMP, "W3", CLOCK, OFTEN, "the wall clock jumps")                                         \
    X(READ_ERROR, "DF12", DISK, OFTEN, "reads fail")                                            \
    X(WRITE_ERROR, "DF13", DISK, OFTEN, "writes fail, perhaps in part")                         \
    X(SYNC_ERROR, "DF14", DISK, OFTEN, "syncs fail")                                            \
    X(DISK_FULL, "DF15", DISK, OFTEN, "no room is left for a while")                            \
    X(DISK_SLOW, "DF17", DISK, OFTEN, "a disk is slow or stalls")

#define FAULT_CLASS_LIST_MORE(X)                                                              \
    X(WIPE, "P7", PROCESS, SELDOM, "a broker comes back with an empty disk")                  \
    X(OOM, "P8", PROCESS, SELDOM, "allocations are refused")                                  \
    X(RECONFIGURE, "P10", PROCESS, SELDOM, "a node starts again with other settings")         \
    X(LATENCY, "N1", NETWORK, SELDOM, "a link has more latency, or fewer bytes a second")     \
    X(SEGMENT, "N2", NETWORK, SELDOM, "bytes arrive in pieces")                               \
    X(SMALL_BUFFERS, "N3", NETWORK, SELDOM, "so few bytes may be on the way")                 \
    X(FLAKY, "N9", NETWORK, SELDOM, "many short clogs, one after the other")                  \
    X(SHUFFLE, "N15", NETWORK, SELDOM, "connections become ready in random order")            \
    X(OFFSET, "W1", CLOCK, SELDOM, "a wall clock is wrong by a constant")                     \
    X(COARSE, "W4", CLOCK, SELDOM, "the wall clock moves in steps")                           \
    X(LATE, "W5", CLOCK, SELDOM, "timers are late")                                           \
    X(SLEEP, "W6", CLOCK, SELDOM, "a machine sleeps")                                         \
    X(LIE, "DF6", DISK, SELDOM, "syncs answer and settle nothing")                            \
    X(ROT, "DF7", DISK, SELDOM, "bits of a log flip at rest")                                 \
    X(HEADER_ROT, "DF8", DISK, SELDOM, "bits of a batch header or of a checkpoint flip")      \
    X(LOST_WRITE, "DF9", DISK, SELDOM, "a write is acknowledged and never stored")            \
    X(MISDIRECT, "DF10", DISK, SELDOM, "a write lands somewhere else")                        \
    X(STALE_READ, "DF11", DISK, SELDOM, "a read returns what was there before")               \
    X(SHORT_IO, "DF16", DISK, SELDOM, "writes reach the disk in two parts")                   \
    X(DIR_GONE, "DF18", DISK, SELDOM, "one of two log directories fails")                     \
    X(REVERT, "DF19", DISK, SELDOM, "a broker's disk is as it was a while ago")               \
    X(ADMIN, "P11", MEMBERSHIP, SELDOM,                                                       \
      "an administrator elects leaders, changes topics and settings, a broker goes for good") \
    X(CLIENT, "CL", CLIENT, SELDOM, "clients stand still, members of groups die, bursts of records")

#define FAULT_CLASS_LIST_CLUSTER(X)                                                               \
    X(REASSIGN, "P11R", MEMBERSHIP, SELDOM,                                                       \
      "replicas move to other brokers or directories, or are called back")                        \
    X(VOTERS, "P11V", MEMBERSHIP, SELDOM, "controllers become voters of the quorum, or cease to") \
    X(UNREGISTER, "P11U", MEMBERSHIP, SELDOM,                                                     \
      "a broker that has left is taken out of the metadata, and comes back")                      \
    X(UPGRADE, "P9", MEMBERSHIP, SELDOM,                                                          \
      "nodes become a newer build, then levels of features rise")                                 \
    X(FOREIGN, "DF20", DISK, SELDOM, "a log appears under a name that is not its own")

#define FAULT_CLASS_LIST(X)   \
    FAULT_CLASS_LIST_FIRST(X) \
    FAULT_CLASS_LIST_MORE(X)  \
    FAULT_CLASS_LIST_CLUSTER(X)

#define FAULT_CLASS_ENUM(name, id, group, often, about) FAULT_CLASS_##name,
enum fault_class { FAULT_CLASS_LIST(FAULT_CLASS_ENUM) FAULT_CLASSES };
#undef FAULT_CLASS_ENUM
enum fault_often { FAULT_SELDOM, FAULT_OFTEN };

struct fault_class_info {
    const char *id;
    enum fault_group group;
    enum fault_often often;
    const char *about;
};
const struct fault_class_info *fault_class_info(enum fault_class class);
/* By id; -1: no such class. */
int fault_class_find(const char *id);

/* What random faults of a class came to. */
struct fault_class_count {
    uint64_t done;
    uint64_t full; /* at full strength, and it hit something */
};

enum fault_intensity { FAULT_CALM, FAULT_ROUGH, FAULT_HOSTILE };
#define FAULT_INTENSITY_NAMES "calm rough hostile"
enum { FAULT_INTENSITIES = FAULT_HOSTILE + 1 };

/* faults: as written. */
struct fault_profile {
    bool swarm;
    uint64_t classes;     /* may be drawn: bit mask of enum fault_class */
    uint64_t always;      /* are not left to the coin: those with a rate */
    uint32_t intensities; /* one of them is drawn: bit mask */
    int64_t quiet_start_ns;
    struct unit_range rate[FAULT_CLASSES]; /* per 1,000 s; max 0: drawn */
};

#endif

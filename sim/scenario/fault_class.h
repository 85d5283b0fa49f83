/* The classes of random faults, in one table: the parser of `faults:`, the swarm that draws them
 * (sim/swarm_fault.c writes the action of each) and what campaigns count.
 *
 * A class is switched on or off as a whole for a run (simulation.md 1.8). Its ids are those of
 * simulation.md 1 and storage.md 18. */
#ifndef SIM_SCENARIO_FAULT_CLASS_H
#define SIM_SCENARIO_FAULT_CLASS_H

#include "sim/scenario/units.h"

enum fault_group { FAULT_GROUP_PROCESS, FAULT_GROUP_NETWORK, FAULT_GROUP_DISK, FAULT_GROUP_CLOCK };
#define FAULT_GROUP_NAMES "process network disk clock"

/* X(NAME, "id", GROUP, "what it does") */
#define FAULT_CLASS_LIST(X)                                                              \
    X(KILL, "P1", PROCESS, "a process dies and comes back")                              \
    X(POWER_LOSS, "P2", PROCESS, "a machine loses power, pages not synced are lost")     \
    X(STOP, "P3", PROCESS, "an orderly stop")                                            \
    X(CRASH_LOOP, "P4", PROCESS, "dies, comes back, and dies again while it recovers")   \
    X(PAUSE, "P5", PROCESS, "stands still, then is late for everything")                 \
    X(SLOW_CPU, "P6", PROCESS, "computes many times slower")                             \
    X(CLOG, "N4", NETWORK, "bytes of a path wait")                                       \
    X(SWIZZLE, "N5", NETWORK, "half of the nodes freeze one by one, and thaw otherwise") \
    X(CUT, "N6", NETWORK, "two groups of nodes are cut apart")                           \
    X(CUT_ONE_WAY, "N7", NETWORK, "bytes pass in one direction only")                    \
    X(CUT_PAIR, "N8", NETWORK, "one pair is cut, all others reach both")                 \
    X(RESET, "N10", NETWORK, "connections break")                                        \
    X(HALF_OPEN, "N11", NETWORK, "a peer vanishes without a word")                       \
    X(CONNECT, "N12", NETWORK, "connection attempts fail")                               \
    X(LATE_BYTES, "N13", NETWORK, "bytes arrive after their sender has died")            \
    X(DRIFT, "W2", CLOCK, "clocks run at other speeds")                                  \
    X(JUMP, "W3", CLOCK, "the wall clock jumps")                                         \
    X(READ_ERROR, "DF12", DISK, "reads fail")                                            \
    X(WRITE_ERROR, "DF13", DISK, "writes fail, perhaps in part")                         \
    X(SYNC_ERROR, "DF14", DISK, "syncs fail")                                            \
    X(DISK_FULL, "DF15", DISK, "no room is left for a while")                            \
    X(DISK_SLOW, "DF17", DISK, "a disk is slow or stalls")

#define FAULT_CLASS_ENUM(name, id, group, about) FAULT_CLASS_##name,
enum fault_class { FAULT_CLASS_LIST(FAULT_CLASS_ENUM) FAULT_CLASSES };
#undef FAULT_CLASS_ENUM

struct fault_class_info {
    const char *id;
    enum fault_group group;
    const char *about;
};
const struct fault_class_info *fault_class_info(enum fault_class class);
/* By id; -1: no such class. */
int fault_class_find(const char *id);

enum fault_intensity { FAULT_CALM, FAULT_ROUGH, FAULT_HOSTILE };
#define FAULT_INTENSITY_NAMES "calm rough hostile"
enum { FAULT_INTENSITIES = FAULT_HOSTILE + 1 };

/* faults: as written. */
struct fault_profile {
    bool swarm;
    uint32_t classes;     /* may be drawn: bit mask of enum fault_class */
    uint32_t always;      /* are not left to the coin: those with a rate */
    uint32_t intensities; /* one of them is drawn: bit mask */
    int64_t quiet_start_ns;
    struct unit_range rate[FAULT_CLASSES]; /* per 1,000 s; max 0: drawn */
};

/* A value that a run picks out of a list, with the same chance for each. */
enum { SCENARIO_PICK_MAX = 16 };
struct scenario_pick {
    int32_t values[SCENARIO_PICK_MAX];
    uint32_t count; /* 0: nothing to pick */
};

#endif

/* The actions that make a simulated world bad, as plain functions: no language, no randomness, no
 * budget (those who call them have both). Each is counted: asked when called, injected when it hit
 * something; a reader can tell a fault that never happened from one that was survived.
 *
 * Ids: N, P, W of simulation.md 1, DF of storage.md 18. */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include "sim/node_world.h"

/* X(NAME, "id", "word") */
#define SIM_FAULT_LIST(X)                     \
    X(KILL, "P1", "crash")                    \
    X(POWER_LOSS, "P2", "power loss")         \
    X(START, "", "start")                     \
    X(PAUSE, "P5", "pause")                   \
    X(RESUME, "", "resume")                   \
    X(SLOW_CPU, "P6", "slow cpu")             \
    X(WIPE, "P7", "wipe")                     \
    X(CUT, "N6", "partition")                 \
    X(CUT_ONE_WAY, "N7", "one-way partition") \
    X(HEAL, "", "heal")                       \
    X(CLOG, "N4", "clog")                     \
    X(SLOW_LINK, "N9", "slow link")           \
    X(RESET, "N10", "reset")                  \
    X(FAIL_CONNECTS, "N12", "fail connects")  \
    X(CLOCK_STEP, "W3", "clock step")         \
    X(CLOCK_DRIFT, "W2", "clock drift")       \
    X(DISK_SLOW, "DF17", "slow disk")         \
    X(DISK_STALL, "DF17", "disk stall")       \
    X(DISK_FULL, "DF15", "disk full")         \
    X(DISK_ERROR, "DF12", "disk error")       \
    X(DISK_LIE, "DF6", "lying sync")          \
    X(DISK_ROT, "DF7", "bit rot")

#define SIM_FAULT_ENUM(name, id, word) SIM_FAULT_##name,
enum sim_fault { SIM_FAULT_LIST(SIM_FAULT_ENUM) SIM_FAULT_COUNT };
#undef SIM_FAULT_ENUM

/* asked = injected + refused + those that hit nothing; weakened are among those injected. */
struct sim_fault_count {
    uint64_t asked;
    uint64_t injected;
    uint64_t weakened; /* hit with less than their full strength, for the budget's sake */
    uint64_t refused;  /* not done, for the budget's sake */
};

struct sim_fault_count sim_fault_counted(const struct sim *sim, enum sim_fault fault);
const char *sim_fault_word(enum sim_fault fault);
const char *sim_fault_id(enum sim_fault fault);
void *sim_fault_counters_create(void); /* for sim.c */
/* The budget has something against it (budget.h): the next `fault` is done with less; or not. */
void sim_fault_weaken(struct sim *sim, enum sim_fault fault);
void sim_fault_refuse(struct sim *sim, enum sim_fault fault);

/* Process. From inside the node's own turn it dies at the end of the running callback. */
void sim_crash(struct sim_world *node, enum sim_down how);
void sim_restart(struct sim_world *node); /* of a node that is down */
void sim_pause(struct sim_world *node);
void sim_resume(struct sim_world *node);
void sim_slow_cpu(struct sim_world *node, int64_t permille); /* 1000: normal */
void sim_wipe(struct sim_world *node);                       /* of a node that is down */

/* Network. A set of nodes is a bit mask of indexes, for at most 64 nodes. */
void sim_partition(struct sim *sim, uint64_t first, uint64_t second, enum sim_cut style);
void sim_partition_one_way(struct sim *sim, uint64_t from, uint64_t to, enum sim_cut style);
/* The exact opposites: each cut has its own mend. */
void sim_heal(struct sim *sim, uint64_t first, uint64_t second, enum sim_cut style);
void sim_heal_one_way(struct sim *sim, uint64_t from, uint64_t to, enum sim_cut style);
void sim_heal_all(struct sim *sim);
void sim_clog(struct sim_world *from, struct sim_world *to, int64_t until_ns);
void sim_slow_link(struct sim_world *from, struct sim_world *to, int64_t extra_ns,
                   int64_t bytes_per_ms);
void sim_reset(struct sim_world *first, struct sim_world *second, enum sim_notice notice);
void sim_fail_connects(struct sim_world *to, enum sim_connect_fault fault, uint32_t count);

/* Clock */
void sim_clock_step(struct sim_world *node, int64_t step_ms);
void sim_clock_drift(struct sim_world *node, int64_t drift_ppb);

/* Disk */
void sim_slow_disk(struct sim_world *node, int64_t permille);
void sim_stall_disk(struct sim_world *node, int64_t until_ns);
/* So many bytes are left from now on; UINT64_MAX: as many as ever. */
void sim_fill_disk(struct sim_world *node, uint64_t free_bytes);
uint32_t sim_break_disk(struct sim_world *node, const struct sim_disk_rule *rule);
void sim_lying_disk(struct sim_world *node, bool lying);
bool sim_rot_disk(struct sim_world *node, const char *path, uint64_t offset, uint32_t bit);

#endif

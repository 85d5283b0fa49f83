/* Shared by run_actions.c and the run_act_*.c files only. */
#ifndef SIM_RUN_ACT_H
#define SIM_RUN_ACT_H

#include "sim/run.h"

#define FOR_NODES(index, set)                                                     \
    for (uint32_t index = 0; index < run->sim->node_count && index < 64; index++) \
        if (((set) >> index & 1) != 0)

uint64_t act_nodes(struct run *run, const struct scenario_value *value);
int64_t act_quantity(struct run *run, const struct scenario_action *action, const char *name,
                     int64_t fallback);
int act_choice(const struct scenario_action *action, const char *name);
bool act_truth(const struct scenario_action *action, const char *name);
/* In what state it meets the cluster. */
void act_meets(struct run *run, enum sim_fault fault, uint32_t index);
/* Says what is done to whom, before it happens. */
void act_says(struct run *run, enum sim_fault fault, bool on, int step, uint32_t index,
              const char *sentence);
/* Both. */
void act_tell(struct run *run, enum sim_fault fault, bool on, int step, uint32_t index,
              const char *sentence);
/* Which directions are cut, or open again: for the picture of the network. */
void act_tell_pairs(struct run *run, uint64_t from, uint64_t to, bool cut);
/* What was told last is over in so long, and told to be, with `act` to end it. */
struct run_later *act_ends_in(struct run *run, const struct scenario_action *action,
                              int64_t delay_ns, uint64_t nodes,
                              void (*act)(struct run_later *later));
/* An `act` for what ends by itself. */
void act_over(struct run_later *later);
/* Ends by `act` after the action's "for", if it has one. */
struct run_later *act_ends(struct run *run, const struct scenario_action *action, uint64_t nodes,
                           void (*act)(struct run_later *later));

/* run_act_process.c */
void act_crash(struct run *run, const struct scenario_action *action, int step, uint64_t nodes);
void act_restart(struct run *run, const struct scenario_action *action, int step, uint64_t nodes);
void act_pause(struct run *run, const struct scenario_action *action, int step, uint64_t nodes);
void act_slow(struct run *run, const struct scenario_action *action, int step, uint64_t nodes);
void act_clock(struct run *run, const struct scenario_action *action, int step, uint64_t nodes);
void act_crash_loop(struct run *run, const struct scenario_action *action, int step,
                    uint64_t nodes);
void act_oom(struct run *run, const struct scenario_action *action, int step, uint64_t nodes);
void act_shuffle(struct run *run, const struct scenario_action *action, int step, uint64_t nodes);

/* run_act_upgrade.c */
void act_upgrade(struct run *run, const struct scenario_action *action, int step, uint64_t nodes);

/* run_act_net.c */
uint64_t act_partition(struct run *run, const struct scenario_action *action, int step);
uint64_t act_links(struct run *run, const struct scenario_action *action, int step);
void act_fail_connects(struct run *run, const struct scenario_action *action, int step,
                       uint64_t nodes);
void act_swizzle(struct run *run, const struct scenario_action *action, int step, uint64_t nodes);

/* run_act_hold.c */
uint64_t act_hold(struct run *run, const struct scenario_action *action, int step);
void act_coalesce(struct run *run, const struct scenario_action *action, int step, uint64_t nodes);

/* run_act_disk.c */
void act_disk(struct run *run, const struct scenario_action *action, int step, uint64_t nodes);
/* Those that need the node down, and take it down. */
void act_disk_down(struct run *run, const struct scenario_action *action, int step, uint64_t nodes);
void act_snapshot(struct run *run, uint64_t nodes);

#endif

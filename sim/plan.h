/* The plan file: what a run was, in a form that outlives its seed (simulation.md 5.1).
 *
 *     gregor-plan 1
 *     version 0.1.0
 *     build 9f3c02d1a7e45b10            digest of the program that wrote it
 *     scenario leader-power-loss
 *     seed 42
 *     verdict FAIL
 *     signature R6 leader
 *     events 40311
 *     hash 9f3c02d1a7e45b10
 *     checkpoints 9 HASH HASH ...       the rolling hash at every 2^9 events
 *     text 812                          the scenario, so many bytes
 *     ...
 *     faults 2
 *     fault at 12.345678901s event 20311 step 2 node 2 anchor leader(orders-0)
 *       when leader(orders-0).leo >= 137
 *       hint leo 137 hw 88 epoch 5
 *       was crash: {node: node(2), how: power_loss}      what happened, in the scenario language
 *       do crash: {node: <2:leader(orders-0)>, how: power_loss}    the same by role
 *     decisions 311                     sites
 *     net.delay 1 8589934592 0: 12 7*3 45      values in order; V*N: N times the same
 *     end
 *
 * Version N reads N and N - 1; what is newer is refused by name. */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include "sim/run.h"

enum {
    PLAN_VERSION = 1,
    PLAN_FAULTS_MAX = 4096,
    PLAN_ACTION_MAX = 768,
    PLAN_ANCHOR_MAX = 160,
    PLAN_ERROR_MAX = 256,
};

struct plan_fault {
    int64_t time_ns; /* since the cluster stood */
    uint64_t event;
    int32_t step;                 /* of the scenario, from 1; 0: a random fault */
    int32_t node;                 /* the first node it was done to; -1: none */
    char anchor[PLAN_ANCHOR_MAX]; /* who that was: a selector; "" nobody in particular */
    char when[PLAN_ANCHOR_MAX];   /* a condition that had become true; "" only the time is known */
    int64_t log_end;              /* of the partition that the anchor names; -1: none */
    int64_t high_watermark;
    int32_t epoch;
    char was[PLAN_ACTION_MAX];
    char does[PLAN_ACTION_MAX];
};

struct plan_site {
    struct decide_site site;
    int64_t *values;
    uint32_t count;
};

struct plan {
    char version[32];
    uint64_t build;
    char scenario[128];
    char *text;
    size_t text_length;
    uint64_t seed;
    char verdict[16];
    char signature[160];
    uint64_t events;
    uint64_t hash;
    struct sim_checkpoints checkpoints;
    struct plan_fault *faults;
    uint32_t fault_count;
    struct plan_site *sites;
    uint32_t site_count;
};

/* Of a file, or of plan.gplan in a directory. NULL with a sentence. */
struct plan *plan_load(const char *path, char error[PLAN_ERROR_MAX]);
struct plan *plan_parse(const char *text, size_t length, char error[PLAN_ERROR_MAX]);
void plan_destroy(struct plan *plan);
/* False: cannot be written. */
bool plan_save(const struct plan *plan, const char *path);

/* The scenario whose steps are the faults of the plan, each at its anchor: YAML, malloced. With
 * `always` also when all of them came from the steps of the scenario, which is otherwise given back
 * as it was written. */
char *plan_to_scenario(const struct plan *plan, bool always);

/* Of the running program. */
uint64_t plan_build(void);

/* ---- while a run runs (plan_note.c) ---------------------------------------------------------- */

void plan_note_begin(struct run *run);
/* Around each action: who is who before it, what it came to afterwards. */
void plan_note_before(struct run *run);
void plan_note_nodes(struct run *run, const struct scenario_value *value, uint64_t nodes);
void plan_note_link(struct run *run, uint32_t link, uint64_t from, uint64_t to);
void plan_note_quantity(struct run *run, const struct scenario_value *value, int64_t quantity);
void plan_note_after(struct run *run, const struct scenario_action *action, int step, uint64_t hit);
/* Role of a node right now: "leader(orders-0)", "active controller", "follower(orders-0)", ... */
void plan_role(struct run *run, int32_t node, char *into, size_t size);
/* The run has its verdict: writes what the options ask for. */
void plan_note_end(struct run *run);
void plan_note_destroy(struct run *run);

#endif

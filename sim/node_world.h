/* One simulated machine with the process on it: the world of one node.
 *
 * It owns the node's memory region, its clock, its timers, the queue of completions that wait for
 * the next turn, and the books of what the node holds of the network and the disk (so that a crash
 * returns all of it). It knows nothing of brokers: the program is somebody else's.
 *
 *            sim_node_start                    turn: due timers, then the inbox, then turn_end
 *     OFF/DOWN -----------> UP  <-------------------------------------+
 *        ^                  |  \__ busy (modelled CPU), paused: completions gather meanwhile
 *        +--- crash, power loss, world_stop: everything outstanding is forgotten ---+ */
#ifndef SIM_NODE_WORLD_H
#define SIM_NODE_WORLD_H

#include "sim/disk.h"
#include "sim/sim.h"

/* How a node goes down; the numbers are those of the trace event sim.down. */
enum sim_down {
    SIM_DOWN_NOT = 0,
    SIM_DOWN_KILL = 1,  /* P1: memory gone, page cache kept, peers see resets */
    SIM_DOWN_POWER = 2, /* P2: also unsynced data resolved, peers see nothing at all */
    SIM_DOWN_CLEAN = 3, /* world_stop() */
};

/* What runs on the node. Embedded by its owner; outlives every incarnation. */
struct sim_program {
    /* A turn of its own begins: set world->actor and take what is needed from world->region. */
    void (*boot)(struct sim_program *program, struct world *world, struct instant now);
    /* After the memory was reset; NULL when nobody cares. */
    void (*down)(struct sim_program *program, struct world *world, enum sim_down how);
    /* The heap of the process, for P8; NULL: it has none now. The pointer itself may be NULL. */
    struct mem *(*memory)(struct sim_program *program);
};

/* P4: dies again in each start, `times` in all. */
struct sim_crash_loop {
    enum sim_down how;
    uint64_t event; /* after so many callbacks of its life; 0: at the point */
    char point[64]; /* glob of the name of a trace event */
    uint32_t nth;   /* of them in this life; 0 and 1: the first */
    uint32_t times;
    int64_t again_ns; /* is started again after so long; 0: is left to others */
};

/* Modelled CPU time (P6). Zero everywhere: an infinitely fast node. */
struct sim_costs {
    int64_t turn_ns;
    int64_t callback_ns;
    int64_t timer_ns;
    int64_t submit_ns;   /* of disk, compute and network control requests */
    int64_t send_ns;     /* one gathered send is one system call */
    int64_t ps_per_byte; /* of received and sent payload, picoseconds */
};

/* A node's clock against the world's: mono = base + elapsed * (1 + drift), wall = mono + offset. */
struct sim_clock {
    int64_t base_ns;   /* monotonic reading at `since_ns` */
    int64_t since_ns;  /* virtual time */
    int64_t drift_ppb; /* W2 */
    int64_t wall_ns;   /* W1, W3: wall minus monotonic */
    int64_t coarse_ms; /* W4: the wall clock moves in steps of this; 0 and 1: not */
    int64_t late_ns;   /* W5: mean lateness of a timer, never early; 0: none */
};

struct sim_node_config {
    int32_t id; /* its host name is node-<id> */
    size_t region_size;
    uint32_t connections_max;
    uint32_t files_max;
    uint32_t timers_max;
    struct sim_program *program; /* NULL: somebody drives the world from outside (conformance) */
    struct sim_costs costs;
    struct sim_disk_config disk;
    int64_t wall_offset_ms;
    int64_t drift_ppb;
    int64_t coarse_ms;
    int64_t late_ns;
    uint8_t fill;     /* fresh and reset memory begins with this pattern ... */
    size_t fill_size; /* ... for so many bytes; 0: zeros */
};

struct sim_world {
    struct world world;
    struct sim *sim;
    struct sim_node_config config;
    int32_t id;
    uint32_t index; /* in sim->nodes */
    char name[24];
    bool up;
    bool powered;         /* false from a power loss to the next start: answers nothing */
    bool paused;          /* P5 */
    enum sim_down doomed; /* dies at the end of this turn */
    uint32_t incarnation; /* 1: the first */
    uint32_t boots;       /* of the machine: power losses so far */
    bool stopped;         /* world_stop() was called in this incarnation */
    int stop_status;
    uint32_t stop_leftover; /* requests, connections, files it still held at a clean stop */
    uint64_t traced;        /* trace events of this incarnation */
    struct instant now;     /* of the present turn */
    struct sim_clock clock;
    int64_t slow_permille; /* of its CPU: 1000 is normal */
    bool sleeping;         /* W6: paused, and its monotonic clock stands */
    struct sim_crash_loop loop;
    uint64_t delivered; /* callbacks of this incarnation */
    uint32_t points;    /* of the crash loop, met in this incarnation */
    bool oom_armed;     /* P8: the heap is to refuse */
    uint32_t oom_times; /* so often more */
    struct region region;

    /* private */
    struct world_req boot;
    struct sim_event wake;
    struct sim_event again; /* of the crash loop */
    struct list inbox;      /* completions for the next turn, through world_req.link */
    struct list turn;       /* of the present turn, not yet delivered */
    struct heap timers;
    uint64_t timer_sequence;
    int64_t busy_until_ns;
    int64_t cost_ns; /* of the present turn so far */
    int64_t owed_ns; /* for the next one */
    struct list jobs;
    int64_t worker_free_ns;
    struct sim_net_node net;
    struct sim_disk *disk;
};

/* 64 MiB, nvme, an infinitely fast CPU, a correct clock. */
struct sim_node_config sim_node_config_default(int32_t id);
/* Modelled costs of a node of today, for campaigns. */
struct sim_costs sim_costs_default(void);

/* A machine that is switched off. */
struct sim_world *sim_node_add(struct sim *sim, const struct sim_node_config *config);
void sim_node_destroy(struct sim_world *node);
struct sim_world *sim_node_find(struct sim *sim, int32_t id); /* NULL: none */
static inline struct sim_world *sim_world_of(struct world *world)
{
    return CONTAINER_OF(world, struct sim_world, world);
}

/* Boots the next incarnation: program->boot is delivered as the first callback, at once. */
void sim_node_start(struct sim_world *node);
/* In the node's own turn: it is doomed, everything it submits from now on is ignored and it goes
 * down when the running callback returns. Otherwise at once. Ignored when it is down. */
void sim_node_down(struct sim_world *node, enum sim_down how);
void sim_node_pause(struct sim_world *node);
void sim_node_resume(struct sim_world *node);
/* Nothing of the node is left in the simulator: true after every crash (asserted there). */
bool sim_node_at_baseline(const struct sim_world *node);

/* The node's own clocks at the present virtual time. */
struct instant sim_node_now(const struct sim_world *node);
void sim_clock_set_drift(struct sim_world *node, int64_t drift_ppb);
void sim_clock_step_wall(struct sim_world *node, int64_t step_ms);
void sim_clock_set_offset(struct sim_world *node, int64_t offset_ms); /* from the true time */
/* The monotonic clock stands until sim_node_resume(); the wall clock does not. */
void sim_node_sleep(struct sim_world *node);
/* False: there is no heap to fail now. */
bool sim_node_oom(struct sim_world *node, uint64_t after, uint32_t times);
void sim_node_oom_off(struct sim_world *node);

/* ---- for net.c and disk.c ---- */

/* False: the node is doomed, the request is ignored. Marks the request pending otherwise. */
bool sim_node_admit(struct sim_world *node, struct world_req *req);
/* The completion goes into the next turn. */
void sim_node_complete(struct sim_world *node, struct world_req *req, enum sim_kind kind,
                       enum err result, uint64_t digest);
enum sim_kind sim_req_kind(const struct world_req *req); /* of a completion in inbox or turn */
/* Charges modelled CPU time to the present turn, or to the next. */
void sim_node_charge(struct sim_world *node, int64_t ns);
/* When what the node submits now reaches the world: now and what its turn has cost so far. */
int64_t sim_node_issue_ns(const struct sim_world *node);

#endif

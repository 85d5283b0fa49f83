/* One run: one scenario, one seed, one verdict.
 *
 *   SETUP     directories formatted, nodes READY, topics there, every replica in sync
 *   SAFETY    workload and steps, until stop.time or begin_liveness       (time 0 is its start)
 *   LIVENESS  faults end in the core, producers finish; the core must converge in time
 *   DRAIN     a fresh consumer reads everything
 *   STOPPING  every node stops in order and gives everything back
 *   DONE      the oracles judge the whole
 *
 * Everything that decides comes from the scenario, the seed and the virtual clock. */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include "sim/check/check.h"
#include "sim/mark.h"
#include "sim/ring.h"
#include "sim/spread.h"
#include "sim/workload.h"

enum run_verdict {
    RUN_PASS,
    RUN_FAIL,
    RUN_STUCK,
    RUN_UNEXERCISED,
    RUN_NONDET,
    RUN_CRASH,
    RUN_INCONCLUSIVE,
    RUN_ERROR,
};
enum { RUN_VERDICTS = RUN_ERROR + 1 };

enum run_trace { RUN_TRACE_NONE, RUN_TRACE_RING, RUN_TRACE_FULL };

struct run_options {
    enum run_trace trace;
    const char *out_dir; /* of full traces */
    struct codecs *codecs;
    bool verbose;
    uint32_t check_determinism; /* per million of the seeds are run twice (determinism.h) */
    bool plan;                  /* kept and written also when the run passes */
    /* The plan this run comes from, for the hint how to see it again; NULL: the one it leaves. */
    const char *plan_path;
    bool no_file; /* the scenario stands in no file, only in that plan */
    /* A guided replay: given the simulator before anything is chosen. NULL: none. */
    void (*guide)(struct decide *decide, void *context);
    void *guide_context;
    /* Every delivery of these events goes to the file as a line; NULL: none. */
    const char *watch_path;
    uint64_t watch_from;
    uint64_t watch_to;
    /* Called when the run has come to this event: a checkpoint from which several processes go on
     * with other choices (replay_rewind). NULL: never. */
    void (*rewind)(struct decide *decide, void *context);
    void *rewind_context;
    uint64_t rewind_event;
    /* Every trace event from event tell_from on goes to the file as a line (why.c); NULL: none. */
    const char *tell_path;
    uint64_t tell_from;
    bool no_checks;    /* no oracle sees anything: to measure what they cost */
    bool only_history; /* of the oracles, those that judge what clients saw */
};

enum {
    RUN_MARKS_MAX = 32,
    RUN_ORACLES_MAX = 192,
    RUN_REPORT_MAX = 24576,
    RUN_DRAWN_MAX = 2048,
    RUN_CANARY_EVERY = 100
};

/* Plain data: a forked child hands it to its parent through a pipe. */
struct run_result {
    enum run_verdict verdict;
    uint64_t seed;
    int64_t virtual_ns;
    uint64_t events;
    uint64_t hash;
    int64_t wall_ns;
    char check[40]; /* what was violated; "" */
    int32_t node;   /* -1: none */
    char partition[96];
    char text[640]; /* the sentence */
    char report[RUN_REPORT_MAX];
    char drawn[RUN_DRAWN_MAX]; /* what this run drew: shape, settings, faults; "" */
    struct sim_fault_count faults[SIM_FAULT_COUNT];
    struct spread spread[SIM_FAULT_COUNT];
    struct fault_class_count random[FAULT_CLASSES];
    uint64_t evaluations[RUN_ORACLES_MAX]; /* in the order of check_list() */
    uint64_t marks[MARKS];
    uint32_t oracles;
    char signature[160]; /* what failed and where, without times and numbers */
    struct sim_checkpoints checkpoints;
    struct decide_stats decisions;
    bool missed;      /* a step with `within` never fired */
    int64_t since_ns; /* of the verdict, since the cluster stood */
    bool in_safety;   /* it fell before the liveness phase */
};

void run_scenario(const struct scenario *scenario, uint64_t seed, const struct run_options *options,
                  struct run_result *result);
const char *run_verdict_name(enum run_verdict verdict);

/* ---- the parts of a run (run_*.c) ------------------------------------------------------------ */

enum run_phase {
    RUN_SETUP,
    RUN_SAFETY,
    RUN_LIVENESS,
    RUN_DRAIN,
    RUN_STOPPING,
    RUN_DONE,
};

struct run;
struct swarm;
struct run_hold;

/* Something that happens later: the end of a fault, a delayed action. */
struct run_later {
    struct sim_event event;
    struct run *run;
    struct run_later *next; /* all of the run, for freeing */
    void (*act)(struct run_later *later);
    const struct scenario_action *action;
    int step;
    uint64_t nodes;
    uint64_t others;
    enum sim_fault fault; /* its end is told, of these nodes */
    const char *sentence; /* NULL: there is nothing to tell */
    enum sim_cut style;
    void *context;
};

enum run_step_state { RUN_STEP_WAITING, RUN_STEP_ARMED, RUN_STEP_OVER };

/* One step of this run. */
struct run_step {
    enum run_step_state state;
    struct run *run;
    uint32_t index;
    int64_t armed_ns;
    int64_t due_ns;               /* at, after, every */
    bool kinds[TRACE_KIND_COUNT]; /* on: point, its glob against the names of all events */
    uint32_t matched;             /* on: events since it was armed, or since it fired */
    uint32_t came;                /* how often it was its turn, with times > 1 */
    uint32_t fired;               /* how often it acted */
    bool was_true;                /* the condition, for the rising edge */
    int64_t true_since_ns;
    struct sim_event timer; /* at, after, every, within, hold */
};

struct run_steps {
    struct run_step all[SCENARIO_STEPS_MAX];
    uint32_t next; /* the first that was never armed */
    bool watches;  /* some wait for points, disks or requests */
    bool busy;     /* one fires: what is traced meanwhile makes no other one fire */
    bool missed;   /* a guard ran out: nothing fires any more */
};

/* Records that one replica has cut off its end. */
struct run_cut {
    uint32_t node;
    int topic;
    int32_t partition;
    int64_t records;
};
enum { RUN_CUTS_MAX = 4096 };

/* A group as its coordinators tell of it. */
struct run_group {
    int64_t partition; /* of __consumer_offsets; -1: nobody has told of the group */
    int64_t epoch;
    int64_t state;
    int64_t generation;
    int64_t members;
    uint32_t node; /* the coordinator */
    bool regressed;
};

/* The committed offset of one partition in one group, and who owns it. */
struct run_committed {
    int32_t group;
    int topic;
    int32_t partition;
    int64_t offset; /* -1: none */
    int64_t record; /* of __consumer_offsets: a coordinator that loads tells the past again */
    int64_t owned[SCENARIO_MACHINES_MAX]; /* generation + 1 in which each has it; 0: it has not */
};
enum { RUN_COMMITTED_MAX = 1024 };

/* run_facts.c: what only the trace tells. */
struct run_facts {
    struct run_group groups[SCENARIO_CLIENTS_MAX];
    struct run_committed committed[RUN_COMMITTED_MAX];
    uint32_t committed_count;
    bool reset;                          /* a committed offset was deleted */
    int64_t topics[SCENARIO_TOPICS_MAX]; /* their numbers in the trace; 0: not known yet */
    struct run_cut cuts[RUN_CUTS_MAX];
    uint32_t cut_count;
};

enum run_expect_state { RUN_EXPECT_WAITING, RUN_EXPECT_ARMED, RUN_EXPECT_FULFILLED };

struct run_expect {
    enum run_expect_state state;
    int64_t deadline_ns;
    int64_t true_since_ns;
    uint64_t looked;
    struct run *run;
    uint32_t index;
    struct sim_event timer;
};

/* Where the log of a partition's leader ended some time ago, as the liveness phase saw it. */
struct run_trail {
    int32_t epoch; /* of that leader; -1: none seen */
    int64_t noted_ns;
    int64_t end;  /* at noted_ns */
    int64_t owed; /* at the note before that; INT64_MAX: there was none */
};

struct run {
    const struct scenario *scenario;
    struct scenario *drawn; /* this run's own, when the scenario leaves something to be drawn */
    struct swarm *swarm;    /* random faults; NULL: none */
    const struct run_options *options;
    struct sim *sim;
    struct cluster *cluster;
    struct workload *workload;
    struct check *check;
    struct check_config check_config;
    struct ring *ring;
    struct sim_observer observer;
    struct expr_source source;
    int step; /* whose actions are under way, for decisions; -1: of none */
    enum run_phase phase;
    int64_t zero_ns;
    int64_t wall_start_ns;
    int64_t wall_deadline_ns; /* INT64_MAX: none */
    uint64_t looks;
    bool dirty;          /* something was traced since conditions were looked at */
    bool liveness_asked; /* begin_liveness */
    bool out_of_wall;
    bool drained;
    struct run_steps steps;
    struct run_facts facts;
    bool only_up; /* names of clients mean those that run */
    struct marks reached;
    char marks[RUN_MARKS_MAX][64]; /* of the action mark */
    uint32_t mark_count;
    struct run_expect expects[SCENARIO_EXPECTS_MAX];
    enum sim_fault told_fault; /* what act_tell() has told last */
    const char *told_sentence; /* constant */
    struct run_later *laters;
    struct run_hold *holds; /* run_act_hold.c */
    /* liveness */
    uint64_t core;
    bool converged;
    struct run_trail *trails[SCENARIO_TOPICS_MAX]; /* of each partition */
    uint32_t trail_count[SCENARIO_TOPICS_MAX];
    struct sim_event converge_tick;
    char missing[256]; /* what the core lacks */
    uint32_t memory_turns;
    uint32_t memory_soon; /* turns more in which they are compared after each */
    struct run_result *result;
    bool decided;
    char unexercised[320];  /* the first thing that never happened */
    void *trace_file;       /* run_trace.c */
    struct trace_event lie; /* of a canary: the last advance of a high watermark, to be undone */
    int32_t lie_node;
    void *watch_file;
    void *tell_file;
    struct plan_log *plan; /* plan_note.c; NULL: not kept */
};

/* min.insync.replicas of a topic of the scenario, as configured when it was created. */
int32_t run_min_isr(const struct run *run, uint32_t topic);

/* The first verdict counts. */
void run_decide(struct run *run, enum run_verdict verdict, const char *check, int32_t node,
                const char *format, ...) __attribute__((format(printf, 5, 6)));
void run_not_exercised(struct run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline int64_t run_time(const struct run *run)
{
    return run->sim->now_ns - run->zero_ns;
}

/* A choice of the scenario, at its present step. */
int64_t run_draw(struct run *run, enum decide_what what, uint64_t which, struct unit_range range);

/* run_state.c: terms of conditions */
struct expr_value run_term(struct expr_source *source, const struct expr *expr, uint64_t argument);

/* run_facts.c */
void run_facts_begin(struct run *run);
void run_facts_event(struct run *run, uint32_t node, const struct trace_event *event);
int64_t run_facts_truncated(const struct run *run, uint32_t node, int topic, int32_t partition);
struct expr_value run_facts_group(struct run *run, const struct expr *expr);

/* run_steps.c */
void run_steps_begin(struct run *run);
bool run_steps_look(struct run *run); /* the armed steps; true: look again */
void run_steps_end(struct run *run);  /* of the safety phase: what never fired */
/* `any SET` of actions and bindings. */
uint64_t run_steps_choose(struct expr_source *source, uint64_t count);
/* What steps wait for, at the moment it happens; the actions act at once. */
void run_steps_point(struct run *run, struct sim_world *node, const struct trace_event *event);
void run_steps_disk(struct run *run, struct sim_world *node, enum disk_op op, const char *path);

/* run_expects.c */
void run_expects_begin(struct run *run);
void run_expects_look(struct run *run);
void run_expects_step(struct run *run, uint32_t step); /* it has fired */
void run_expects_end(struct run *run);                 /* after the final drain */
/* After a turn in which something was traced: steps, then expectations. */
void run_look(struct run *run);

/* run.c: the next phase; an oracle, a parked op or a node that gave up has decided the run */
void run_enter(struct run *run, enum run_phase phase);
bool run_broken(struct run *run);
/* run_verdict.c: what oracles are told before the run; the verdict behind it; its signature */
void run_configure_check(struct run *run);
void run_configure_invariants(struct run *run);
void run_judge(struct run *run);
void run_sign(struct run *run);

/* run_actions.c; `it` is what the action before has hit. Returns what this one has hit. */
uint64_t run_act(struct run *run, const struct scenario_action *action, int step, uint64_t it);
/* The same, or later by the `after` of an action in the list of a step. */
uint64_t run_act_of_step(struct run *run, const struct scenario_action *action, int step,
                         uint64_t it);
/* run_act_cluster.c: what an administrator asks of the cluster; the answer comes later. */
void run_act_cluster(struct run *run, const struct scenario_action *action, int step);
/* add_voter, remove_voter: one job each. */
void run_act_voters(struct run *run, const struct scenario_action *action, int step,
                    uint64_t nodes);
/* move_dir: one job for each broker. */
void run_act_move_dir(struct run *run, const struct scenario_action *action, int step,
                      uint64_t nodes);
/* run_act_client.c */
uint64_t run_act_client(struct run *run, const struct scenario_action *action, int step,
                        uint64_t nodes);
struct run_later *run_later(struct run *run, int64_t delay_ns,
                            void (*act)(struct run_later *later));

/* run_act_hold.c: what held messages wait for, after each trace event; node -1: the simulator */
void run_holds_look(struct run *run, int32_t node, const struct trace_event *event);
void run_holds_free(struct run *run);
/* run_act_disk.c */
void run_snapshots_begin(struct run *run);
/* run_act_process.c: the one step of each wall clock, when the scenario has them differ */
void run_clocks_begin(struct run *run);

/* run_converge.c. The nodes that must recover, drawn where the scenario says random. */
void run_choose_core(struct run *run);
enum { RUN_CORE_TEXT = 512 };
/* "1,2,101": the core and the clients, whom liveness is judged for. */
void run_core_text(const struct run *run, char *text, size_t size);
void run_liveness_begin(struct run *run); /* once in a run */
void run_liveness_again(struct run *run); /* what the drain has upset comes to rest, too */
void run_trails_free(struct run *run);
void run_heal_all(struct run *run); /* also outside the core: the orderly stop is for everyone */
int64_t run_liveness_deadline_ns(const struct run *run); /* from now */
bool run_in_sync(struct run *run); /* every partition led, every replica in its ISR */

/* run_report.c: first screen of a failure, into result->report; the losses that were allowed, with
 * who paid for them */
void run_report(struct run *run);
void run_report_allowed(struct run *run);
/* run_watch.c: state digests, a window of deliveries */
void run_watch_begin(struct run *run);
void run_watch_told(struct run *run, int32_t node, const struct trace_event *event);
void run_watch_turned(struct run *run, const struct sim_world *world);
void run_watch_end(struct run *run);
/* run_trace.c: the full trace */
void run_trace_begin(struct run *run);
void run_trace_oracles(struct run *run);
void run_trace_event(struct run *run, int32_t node, const struct trace_event *event);
void run_trace_end(struct run *run);

#endif

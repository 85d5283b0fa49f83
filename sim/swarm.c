#include "sim/swarm.h"

#include "sim/budget.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOMENT_WAIT_NS  (2 * NS_PER_SEC)
#define JANITOR_NS      (500 * NS_PER_MS)
#define JANITOR_WAIT_NS (8 * NS_PER_SEC)

enum {
    QUIET_PER_MILLION = 80000,
    SELDOM_PER_MILLION = 200000,
    SWARM_ITSELF =
        45, /* where it draws what is of no class; a fixed number keeps seeds as they were */
};

/* Exponential, in integers: -ln of the middle of each sixteenth, in thousandths. */
static int64_t interval(struct rng *rng, int64_t mean_ns)
{
    static const int64_t quantiles[] = {32,  98,  170,  247,  330,  421,  521,  633,
                                        758, 901, 1068, 1269, 1520, 1856, 2367, 3466};
    uint64_t which = rng_below(rng, COUNT_OF(quantiles));
    int64_t jitter = rng_range(rng, 0, mean_ns / 16 + 1);

    return mean_ns / 1000 * quantiles[which] + jitter + 1;
}

/* ---- drawing --------------------------------------------------------------------------------- */

static enum fault_intensity draw_intensity(uint32_t allowed, struct rng *rng)
{
    uint32_t chosen[FAULT_INTENSITIES];
    uint32_t count = 0;

    for (uint32_t i = 0; i < FAULT_INTENSITIES; i++) {
        if ((allowed >> i & 1) != 0) chosen[count++] = i;
    }
    return (enum fault_intensity)chosen[rng_below(rng, count)];
}

static void class_fire(struct sim_event *event);

/* Everything of one fault comes from one decision, so that one fault more moves no other. */
static void swarm_dice(struct swarm *swarm, enum decide_what what, enum fault_class class)
{
    const struct decide_site site = {what, -1, (uint64_t) class, 0};

    decide_rng(swarm->run->sim, site, &swarm->rng);
}

static int64_t next_ns(struct swarm *swarm, const struct swarm_class *own)
{
    swarm_dice(swarm, DECIDE_SWARM_INTERVAL, own->class);
    return interval(&swarm->rng, own->mean_ns);
}

static void draw_class(struct swarm *swarm, enum fault_class class)
{
    static const int64_t units[] = {[FAULT_CALM] = 10 * NS_PER_SEC,
                                    [FAULT_ROUGH] = 4 * NS_PER_SEC,
                                    [FAULT_HOSTILE] = NS_PER_SEC};
    const struct fault_profile *faults = &swarm->scenario->faults;
    struct swarm_class *own = &swarm->classes[class];
    bool coin;
    int64_t mean_ns;

    swarm_dice(swarm, DECIDE_SWARM_PROFILE, class);
    coin =
        rng_chance(&swarm->rng, fault_class_info(class)->often == FAULT_OFTEN ? RNG_MILLION / 2
                                                                              : SELDOM_PER_MILLION);
    mean_ns = swarm_decades(&swarm->rng, units[swarm->intensity], 6);

    own->swarm = swarm;
    own->class = class;
    own->mean_ns = mean_ns;
    sim_event_init(&own->event, class_fire);
    if ((faults->always >> class & 1) != 0) {
        int64_t rate = units_draw(faults->rate[class], &swarm->rng);

        own->on = true;
        own->mean_ns = 1000 * NS_PER_SEC / rate;
        return;
    }
    own->on = coin && !swarm->quiet && (faults->classes >> class & 1) != 0;
}

struct swarm *swarm_create(struct run *run, struct scenario *scenario)
{
    struct swarm *swarm;

    if (!scenario->faults.swarm) return NULL;
    swarm = sim_alloc(sizeof *swarm);
    swarm->run = run;
    swarm->moment = -1;
    swarm->departed = -1;
    swarm->scenario = scenario;
    swarm_dice(swarm, DECIDE_SWARM_PROFILE, (enum fault_class)SWARM_ITSELF);
    swarm->intensity = draw_intensity(scenario->faults.intensities, &swarm->rng);
    swarm->quiet = rng_chance(&swarm->rng, QUIET_PER_MILLION);
    for (int i = 0; i < FAULT_CLASSES; i++)
        draw_class(swarm, (enum fault_class)i);
    for (uint32_t i = 0; i < CLUSTER_NODES_MAX; i++)
        swarm->down_since_ns[i] = -1;
    return swarm;
}

void swarm_destroy(struct swarm *swarm)
{
    free(swarm);
}

void swarm_tell(const struct swarm *swarm, char *text, size_t size)
{
    static const char *const intensities[] = {"calm", "rough", "hostile"};
    size_t used;

    (void)snprintf(text, size, "faults %s:", intensities[swarm->intensity]);
    for (int i = 0; i < FAULT_CLASSES; i++) {
        const struct swarm_class *own = &swarm->classes[i];

        used = strlen(text);
        if (!own->on || used + 1 >= size) continue;
        (void)snprintf(text + used, size - used, " %s every %lldms",
                       fault_class_info(own->class)->id, (long long)(own->mean_ns / NS_PER_MS));
    }
    used = strlen(text);
    if (swarm->quiet && used + 1 < size) (void)snprintf(text + used, size - used, " none");
}

/* ---- doing ----------------------------------------------------------------------------------- */

static uint64_t full_strength(const struct sim *sim)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
        struct sim_fault_count count = sim_fault_counted(sim, (enum sim_fault)i);

        sum += count.injected - count.weakened;
    }
    return sum;
}

/* No fault of the world, and counted by nobody else: an orderly stop, what is asked of the cluster
 * and of clients. */
static bool is_full(const struct scenario_action *action)
{
    const struct scenario_value *how = scenario_arg(action, "how");

    if (action->kind == ACTION_UPGRADE) return false;
    if (action->kind >= ACTION_CREATE_TOPIC && action->kind < ACTIONS)
        return workload_fault(action->kind) == SIM_FAULT_MEMBERSHIP;
    return action->kind == ACTION_CRASH && how != NULL && how->choice == 2;
}

/* What hits later than it is asked for, or perhaps never. */
static const struct {
    enum fault_class class;
    enum sim_fault fault;
} deferred[] = {
    {FAULT_CLASS_CONNECT, SIM_FAULT_FAIL_CONNECTS},
    {FAULT_CLASS_READ_ERROR, SIM_FAULT_READ_ERROR},
    {FAULT_CLASS_WRITE_ERROR, SIM_FAULT_WRITE_ERROR},
    {FAULT_CLASS_SYNC_ERROR, SIM_FAULT_SYNC_ERROR},
    {FAULT_CLASS_DISK_FULL, SIM_FAULT_DISK_FULL},
    {FAULT_CLASS_OOM, SIM_FAULT_OOM},
    {FAULT_CLASS_RECONFIGURE, SIM_FAULT_RECONFIGURE},
    {FAULT_CLASS_LATENCY, SIM_FAULT_LATENCY},
    {FAULT_CLASS_SEGMENT, SIM_FAULT_SEGMENT},
    {FAULT_CLASS_SMALL_BUFFERS, SIM_FAULT_SMALL_BUFFERS},
    {FAULT_CLASS_FLAKY, SIM_FAULT_FLAKY},
    {FAULT_CLASS_SHUFFLE, SIM_FAULT_SHUFFLE},
    {FAULT_CLASS_COARSE, SIM_FAULT_CLOCK_COARSE},
    {FAULT_CLASS_LATE, SIM_FAULT_TIMER_LATE},
    {FAULT_CLASS_LIE, SIM_FAULT_DISK_LIE},
    {FAULT_CLASS_LOST_WRITE, SIM_FAULT_LOST_WRITE},
    {FAULT_CLASS_MISDIRECT, SIM_FAULT_MISDIRECTED},
    {FAULT_CLASS_STALE_READ, SIM_FAULT_STALE_READ},
    {FAULT_CLASS_SHORT_IO, SIM_FAULT_SHORT_IO},
    {FAULT_CLASS_DIR_GONE, SIM_FAULT_DIR_GONE},
    {FAULT_CLASS_REASSIGN, SIM_FAULT_REASSIGN},
    {FAULT_CLASS_VOTERS, SIM_FAULT_VOTERS},
    {FAULT_CLASS_UNREGISTER, SIM_FAULT_UNREGISTER},
    {FAULT_CLASS_UPGRADE, SIM_FAULT_VERSION},
    {FAULT_CLASS_FOREIGN, SIM_FAULT_FOREIGN},
};

void swarm_end(struct swarm *swarm)
{
    for (uint32_t i = 0; i < COUNT_OF(deferred); i++) {
        struct sim_fault_count count = sim_fault_counted(swarm->run->sim, deferred[i].fault);
        struct fault_class_count *class = &swarm->run->result->random[deferred[i].class];
        uint64_t full = count.injected - count.weakened;

        if (full > class->done) full = class->done;
        if (class->full < full) class->full = full;
    }
}

static enum sim_fault deferred_fault(enum fault_class class)
{
    for (uint32_t i = 0; i < COUNT_OF(deferred); i++) {
        if (deferred[i].class == class) return deferred[i].fault;
    }
    return SIM_FAULT_COUNT;
}

static void swarm_act(struct swarm *swarm, const struct scenario_action *action, bool weaker)
{
    struct run *run = swarm->run;
    uint64_t before = full_strength(run->sim);
    struct fault_class_count *class;

    if (swarm->doing == FAULT_CLASSES) {
        (void)run_act(run, action, -1, 0);
        return;
    }
    class = &run->result->random[swarm->doing];
    (void)run_act(run, action, -1, 0);
    class->done++;
    if (deferred_fault(swarm->doing) != SIM_FAULT_COUNT) return; /* swarm_end() */
    class->full += !weaker && (full_strength(run->sim) > before || is_full(action));
}

bool swarm_do(struct swarm *swarm, const char *text)
{
    struct run *run = swarm->run;
    struct yaml_error error = {.text = ""};
    const struct scenario_action *parsed = scenario_action_parse(swarm->scenario, text, &error);
    struct scenario_action *action;
    bool weaker = false;

    if (parsed == NULL) {
        run_decide(run, RUN_ERROR, "", -1, "the swarm wrote %s: %s", text, error.text);
        return false;
    }
    action = store_take(&swarm->scenario->store, sizeof *action);
    *action = *parsed;
    switch (budget_judge(run, action)) {
    case BUDGET_FULL: break;
    case BUDGET_WEAKER:
        sim_fault_weakened(run->sim, budget_fault(action));
        budget_weaken(action);
        weaker = true;
        break;
    case BUDGET_REFUSED:
        sim_fault_asked(run->sim, budget_fault(action));
        sim_fault_refused(run->sim, budget_fault(action));
        return false;
    }
    swarm_act(swarm, action, weaker);
    return true;
}

static void laters_schedule(struct swarm *swarm)
{
    int64_t next = INT64_MAX;

    for (uint32_t i = 0; i < swarm->later_count; i++) {
        if (swarm->laters[i].time_ns < next) next = swarm->laters[i].time_ns;
    }
    sim_unschedule(swarm->run->sim, &swarm->later_event);
    if (next != INT64_MAX) sim_schedule(swarm->run->sim, &swarm->later_event, next);
}

static void laters_fire(struct sim_event *event)
{
    struct swarm *swarm = CONTAINER_OF(event, struct swarm, later_event);
    int64_t now = swarm->run->sim->now_ns;

    if (swarm->run->phase != RUN_SAFETY) return;
    for (uint32_t i = 0; i < swarm->later_count;) {
        struct swarm_later due = swarm->laters[i];

        if (due.time_ns > now) {
            i++;
            continue;
        }
        swarm->laters[i] = swarm->laters[--swarm->later_count];
        swarm->doing = due.class;
        (void)swarm_do(swarm, due.text);
    }
    laters_schedule(swarm);
}

void swarm_do_later(struct swarm *swarm, int64_t time_ns, const char *text)
{
    struct swarm_later *later;

    if (swarm->later_count == SWARM_LATERS_MAX) return;
    later = &swarm->laters[swarm->later_count++];
    later->time_ns = time_ns;
    later->class = swarm->doing;
    (void)snprintf(later->text, sizeof later->text, "%s", text);
    laters_schedule(swarm);
}

static void class_fire(struct sim_event *event)
{
    struct swarm_class *own = CONTAINER_OF(event, struct swarm_class, event);
    struct swarm *swarm = own->swarm;

    if (swarm->run->phase != RUN_SAFETY) return;
    if (!own->waits) swarm_dice(swarm, DECIDE_SWARM_FAULT, own->class);
    if (!own->waits && rng_chance(&swarm->rng, RNG_MILLION / 2)) {
        own->waits = true;
        swarm->waiting |= UINT64_C(1) << own->class;
        sim_schedule(swarm->run->sim, event, swarm->run->sim->now_ns + MOMENT_WAIT_NS);
        return;
    }
    own->waits = false;
    swarm->waiting &= ~(UINT64_C(1) << own->class);
    swarm_dice(swarm, DECIDE_SWARM_FAULT, own->class);
    swarm->doing = own->class;
    swarm_fault(swarm, own->class);
    swarm->moment = -1;
    sim_schedule(swarm->run->sim, &own->event, swarm->run->sim->now_ns + next_ns(swarm, own));
}

void swarm_traced(struct swarm *swarm, uint32_t index, const struct trace_event *event)
{
    struct sim *sim = swarm->run->sim;

    if (event->kind != TRACE_PRODUCE_APPENDED || swarm->waiting == 0) return;
    if (swarm->run->phase != RUN_SAFETY) return;
    swarm->moment = (int)index;
    for (uint32_t i = 0; i < FAULT_CLASSES; i++) {
        if ((swarm->waiting >> i & 1) != 0)
            sim_schedule(sim, &swarm->classes[i].event, sim->now_ns);
    }
    swarm->waiting = 0;
}

/* ---- janitor --------------------------------------------------------------------------------- */

static void janitor_fire(struct sim_event *event)
{
    struct swarm *swarm = CONTAINER_OF(event, struct swarm, janitor);
    struct run *run = swarm->run;
    int64_t now = run->sim->now_ns;

    if (run->phase != RUN_SAFETY) return;
    if (swarm->departing > 0 && run->workload->job_next >= swarm->departing) {
        swarm->departed = -1;
        swarm->departing = 0;
    }
    for (uint32_t i = 0; i < run->cluster->count; i++) {
        char text[64];

        if (run->sim->nodes[i]->up || (int)i == swarm->departed) {
            swarm->down_since_ns[i] = -1;
            continue;
        }
        if (swarm->down_since_ns[i] < 0) swarm->down_since_ns[i] = now;
        if (now - swarm->down_since_ns[i] < JANITOR_WAIT_NS) continue;
        (void)snprintf(text, sizeof text, "{restart: {node: node(%d)}}", run->cluster->nodes[i].id);
        swarm->doing = FAULT_CLASSES;
        (void)swarm_do(swarm, text);
    }
    sim_schedule(run->sim, &swarm->janitor, now + JANITOR_NS);
}

void swarm_begin(struct swarm *swarm)
{
    struct sim *sim = swarm->run->sim;
    int64_t start_ns = sim->now_ns + swarm->scenario->faults.quiet_start_ns;

    swarm_member_begin(swarm);
    sim_event_init(&swarm->janitor, janitor_fire);
    sim_event_init(&swarm->later_event, laters_fire);
    sim_schedule(sim, &swarm->janitor, sim->now_ns + JANITOR_NS);
    for (uint32_t i = 0; i < FAULT_CLASSES; i++) {
        struct swarm_class *own = &swarm->classes[i];

        if (own->on) sim_schedule(sim, &own->event, start_ns + next_ns(swarm, own));
    }
}

/* What a run is judged by, and the verdict: signature, faults that never hit, oracles. */
#include "sim/run.h"

#include "sim/plan.h"
#include "sim/swarm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- verdict --------------------------------------------------------------------------------- */

/* What failed and in which role, without times, numbers and places: two runs with the same
 * signature show the same defect, as far as can be told from outside. */
void run_sign(struct run *run)
{
    struct run_result *result = run->result;
    char role[96] = "";
    const char *text = result->text;
    int length = (int)strcspn(text, ":0123456789");

    if (result->verdict == RUN_CRASH) { /* file:line: text */
        const char *rest = strstr(text, ": ");

        (void)snprintf(result->signature, sizeof result->signature, "CRASH %.*s%.100s",
                       (int)strcspn(text, ":"), text, rest != NULL ? rest : "");
        return;
    }
    if (strncmp(result->check, "expect:", 7) == 0) { /* the line is no part of what failed */
        const char *rest = strstr(text, ": ");

        (void)snprintf(result->signature, sizeof result->signature, "%s expect %.120s",
                       run_verdict_name(result->verdict), rest != NULL ? rest + 2 : text);
        return;
    }
    if (result->node >= 0) plan_role(run, result->node, role, sizeof role);
    role[strcspn(role, "(")] = '\0';
    (void)snprintf(result->signature, sizeof result->signature, "%s %s%s%s",
                   run_verdict_name(result->verdict), result->check[0] != '\0' ? result->check : "",
                   role[0] != '\0' ? " " : "", role);
    if (result->check[0] == '\0') {
        size_t used = strlen(result->signature);

        (void)snprintf(result->signature + used, sizeof result->signature - used, "%.*s",
                       length < 80 ? length : 80, text);
    }
}

/* A fault that was asked for and never hit anything is one that this run says nothing about. */
static void run_judge_faults(struct run *run)
{
    if (run->swarm != NULL) return; /* random ones are judged over a whole campaign */
    for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
        enum sim_fault fault = (enum sim_fault)i;
        struct sim_fault_count count = sim_fault_counted(run->sim, fault);

        if (sim_fault_info(fault)->kind != SIM_FAULT_OWN) continue;
        if (count.asked == 0 || count.injected > 0) continue;
        run_not_exercised(run, "%s was asked for %llu times and never hit anything",
                          sim_fault_word(fault), (unsigned long long)count.asked);
    }
}

static void run_judge_jobs(struct run *run)
{
    char text[320];

    if (run->workload == NULL) return;
    workload_jobs_failed(run->workload, text, sizeof text);
    if (text[0] != '\0') run_not_exercised(run, "%s", text);
}

void run_judge(struct run *run)
{
    struct check_stat stat;

    if (run->swarm != NULL) swarm_end(run->swarm);
    run->result->since_ns = run_time(run);
    run->result->in_safety = run->decided && run->phase <= RUN_SAFETY;
    run_judge_jobs(run);
    run_judge_faults(run);
    if (!run->decided) {
        run_enter(run, RUN_DONE);
        check_phase(run->check, run->sim->now_ns, 3);
        check_finish(run->check, run->sim->now_ns);
        (void)run_broken(run);
    }
    if (!run->decided && run->unexercised[0] != '\0') {
        run_decide(run, RUN_UNEXERCISED, "", -1, "%s", run->unexercised);
    }
    for (uint32_t i = 0; i < RUN_ORACLES_MAX && check_stats(run->check, i, &stat); i++) {
        run->result->evaluations[i] = stat.evaluations;
        run->result->oracles = i + 1;
    }
    memcpy(run->result->marks, run->reached.count, sizeof run->result->marks);
    for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
        run->result->faults[i] = sim_fault_counted(run->sim, (enum sim_fault)i);
    }
    run->result->virtual_ns = run->sim->now_ns;
    run->result->events = run->sim->events;
    run->result->hash = sim_hash(run->sim).high;
    run->result->checkpoints = run->sim->checkpoints;
    run->result->decisions = decide_stats(run->sim->decide);
    run->result->missed = run->result->missed || run->steps.missed;
    if (run->result->verdict != RUN_PASS) run_sign(run);
}

/* The least of all topics: no oracle misses a record that may be gone. */
static int64_t run_delete_retention(const struct scenario *scenario, const struct config *config)
{
    int64_t least_ms = config->log_cleaner_delete_retention_ms;

    for (uint32_t i = 0; i < scenario->topic_count; i++) {
        const struct scenario_topic *topic = &scenario->topics[i];

        for (uint32_t j = 0; j < topic->config_count; j++) {
            if (strcmp(topic->configs[j].key, "delete.retention.ms") != 0) continue;
            if (atoll(topic->configs[j].value) < least_ms)
                least_ms = atoll(topic->configs[j].value);
        }
    }
    return least_ms < INT64_MAX / NS_PER_MS ? least_ms * NS_PER_MS : INT64_MAX;
}

/* What the oracles need to know of the configuration. */
void run_configure_check(struct run *run)
{
    const struct config *config = &run->cluster->nodes[0].config;
    struct check_config *check = &run->check_config;
    const struct scenario *scenario = run->scenario;

    check_config_init(check);
    check->only_history = run->options->only_history;
    check->unclean_election = config->unclean_leader_election_enable != 0;
    check->fsync_before_ack = config->gregor_durable_acks != 0;
    check->idempotent = true;
    check->acks_all = true;
    for (uint32_t i = 0; i < scenario->client_count; i++) {
        if (scenario->clients[i].kind != SCENARIO_PRODUCER) continue;
        check->idempotent = check->idempotent && scenario->clients[i].idempotent;
        check->acks_all = check->acks_all && scenario->clients[i].acks == -1;
        if (scenario->clients[i].transaction > 0) check->transactional |= UINT64_C(1) << i;
    }
    check->final_drain = scenario->liveness;
    check->min_isr = (int32_t)config->min_insync_replicas;
    check->loss_budget = scenario->loss_budget;
    for (uint32_t i = 0; i < scenario->topic_count; i++) {
        const struct scenario_topic *topic = &scenario->topics[i];

        for (uint32_t j = 0; j < topic->config_count; j++) {
            if (strcmp(topic->configs[j].key, "unclean.leader.election.enable") == 0 &&
                strcmp(topic->configs[j].value, "true") == 0) {
                check->unclean_election = true;
            }
        }
    }
    check->replica_lag_ns = config->replica_lag_time_max_ms * NS_PER_MS;
    check->fetch_wait_ns = config->replica_fetch_wait_max_ms * NS_PER_MS;
    check->session_ns = config->broker_session_timeout_ms * NS_PER_MS;
    check->heartbeat_ns = config->broker_heartbeat_interval_ms * NS_PER_MS;
    check->member_session_ns = config->group_consumer_session_timeout_ms * NS_PER_MS;
    for (uint32_t i = 0; i < scenario->client_count; i++) { /* classic members bring their own */
        if (scenario->clients[i].session_ns > check->member_session_ns)
            check->member_session_ns = scenario->clients[i].session_ns;
    }
    check->request_timeout_ns = 30 * NS_PER_SEC;
    check->election_ns = config->quorum_election_timeout_ms * NS_PER_MS;
    check->quorum_fetch_ns = config->quorum_fetch_timeout_ms * NS_PER_MS;
    check->delete_retention_ns = run_delete_retention(scenario, config);
}

/* invariants: off and only */
void run_configure_invariants(struct run *run)
{
    const struct scenario *scenario = run->scenario;
    struct check_config *check = &run->check_config;

    for (uint32_t i = 0; i < CHECK_OFF_WORDS && scenario->only_count > 0; i++)
        check->off[i] = UINT64_MAX;
    for (uint32_t i = 0; i < scenario->only_count; i++) {
        int oracle = scenario_oracle(scenario->onlys[i]);

        check->off[oracle / 64] &= ~(UINT64_C(1) << (oracle % 64));
    }
    for (uint32_t i = 0; i < scenario->off_count; i++) {
        int oracle = scenario_oracle(scenario->offs[i].name);

        check->off[oracle / 64] |= UINT64_C(1) << (oracle % 64);
    }
}

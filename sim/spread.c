#include "sim/spread.h"

#include "sim/run.h"

static const char *const roles[SPREAD_ROLES] = {"down", "voter", "active", "follower", "leader"};
static const char *const phases[SPREAD_PHASES] = {"steady", "shrunk", "leaderless", "headless"};
static const char *const buckets[SPREAD_BUCKETS] = {"0", "1", "2-9", "10-99", "100+"};

static uint32_t bucket_of(int64_t above)
{
    if (above <= 0) return 0;
    if (above == 1) return 1;
    if (above < 10) return 2;
    return above < 100 ? 3 : 4;
}

static enum spread_phase phase_of(const struct run *run)
{
    enum spread_phase phase = SPREAD_STEADY;

    if (cluster_active_controller(run->cluster) < 0) return SPREAD_HEADLESS;
    for (uint32_t topic = 0; topic < run->scenario->topic_count; topic++) {
        for (uint32_t i = 0; i < run->cluster->partitions[topic]; i++) {
            const struct image_partition *part = cluster_partition(run->cluster, topic, (int32_t)i);

            if (part == NULL || part->leader < 0) return SPREAD_LEADERLESS;
            if (image_isr(part).count < image_replicas(part).count) phase = SPREAD_SHRUNK;
        }
    }
    return phase;
}

/* The role that matters most, and the most records above a high watermark. */
static enum spread_role role_of(const struct run *run, uint32_t index, int64_t *above)
{
    const struct node *node = cluster_node(run->cluster, index);
    enum spread_role role = SPREAD_CONTROLLER;

    *above = 0;
    if (node == NULL) return SPREAD_DOWN;
    if (node->has_replicas && node->replicas.started) {
        role = SPREAD_FOLLOWER;
        for (const struct partition *part = manager_first(&node->replicas); part != NULL;
             part = manager_next(&node->replicas, part)) {
            int64_t here = part->log != NULL ? part->log->log_end - part->high_watermark : 0;

            if (part->role == PARTITION_LEADER && role != SPREAD_LEADER) {
                role = SPREAD_LEADER;
                *above = 0;
            }
            if ((role == SPREAD_LEADER) != (part->role == PARTITION_LEADER)) continue;
            if (here > *above) *above = here;
        }
    }
    if (cluster_active_controller(run->cluster) == (int)index && role != SPREAD_LEADER) {
        role = SPREAD_ACTIVE;
    }
    return role;
}

void spread_note(struct run *run, struct spread *spread, uint32_t index)
{
    int64_t above;
    enum spread_role role;

    if (index >= run->cluster->count) return;
    role = role_of(run, index, &above);
    spread->count[role][phase_of(run)][bucket_of(above)]++;
}

void spread_add(struct spread *to, const struct spread *from)
{
    for (uint32_t i = 0; i < SPREAD_ROLES; i++) {
        for (uint32_t j = 0; j < SPREAD_PHASES; j++) {
            for (uint32_t k = 0; k < SPREAD_BUCKETS; k++)
                to->count[i][j][k] += from->count[i][j][k];
        }
    }
}

static bool is_empty(const struct spread *spread)
{
    const uint32_t *count = &spread->count[0][0][0];

    for (uint32_t i = 0; i < SPREAD_ROLES * SPREAD_PHASES * SPREAD_BUCKETS; i++)
        if (count[i] != 0) return false;
    return true;
}

static void print_one(FILE *file, const char *word, const struct spread *spread)
{
    uint64_t by_bucket[SPREAD_BUCKETS] = {0};

    fprintf(file, "  spread %-20s", word);
    for (uint32_t i = 0; i < SPREAD_ROLES; i++) {
        uint64_t sum = 0;

        for (uint32_t j = 0; j < SPREAD_PHASES; j++) {
            for (uint32_t k = 0; k < SPREAD_BUCKETS; k++) {
                sum += spread->count[i][j][k];
                if (i != SPREAD_DOWN) by_bucket[k] += spread->count[i][j][k];
            }
        }
        fprintf(file, " %s %llu", roles[i], (unsigned long long)sum);
    }
    fprintf(file, " |");
    for (uint32_t j = 0; j < SPREAD_PHASES; j++) {
        uint64_t sum = 0;

        for (uint32_t i = 0; i < SPREAD_ROLES; i++) {
            for (uint32_t k = 0; k < SPREAD_BUCKETS; k++)
                sum += spread->count[i][j][k];
        }
        fprintf(file, " %s %llu", phases[j], (unsigned long long)sum);
    }
    fprintf(file, " | above hw");
    for (uint32_t k = 0; k < SPREAD_BUCKETS; k++)
        fprintf(file, " %s: %llu", buckets[k], (unsigned long long)by_bucket[k]);
    fprintf(file, "\n");
}

void spread_print_faults(FILE *file, const struct sim_fault_count *faults,
                         const struct spread *spreads)
{
    for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
        const struct sim_fault_count *count = &faults[i];

        if (count->asked > 0) {
            fprintf(file,
                    "  fault %-20s %-4s asked %llu injected %llu weakened %llu refused %llu\n",
                    sim_fault_word((enum sim_fault)i), sim_fault_id((enum sim_fault)i),
                    (unsigned long long)count->asked, (unsigned long long)count->injected,
                    (unsigned long long)count->weakened, (unsigned long long)count->refused);
        }
        if (!is_empty(&spreads[i])) print_one(file, sim_fault_word((enum sim_fault)i), &spreads[i]);
    }
}

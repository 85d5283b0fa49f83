/* Faults of disks (fault.h). */
#include "sim/fault.h"

#include <stdio.h>
#include <string.h>

static void fault_count(struct sim *sim, enum sim_fault fault, bool injected)
{
    sim_fault_asked(sim, fault);
    if (injected) sim_fault_hit(sim, fault);
}

/* ---- disk ------------------------------------------------------------------------------------ */

void sim_slow_disk(struct sim_world *node, int64_t permille)
{
    fault_count(node->sim, SIM_FAULT_DISK_SLOW, permille != 1000);
    sim_disk_slow(node->disk, permille);
}

void sim_stall_disk(struct sim_world *node, int64_t until_ns)
{
    bool stalls = until_ns > node->sim->now_ns;

    fault_count(node->sim, SIM_FAULT_DISK_STALL, stalls);
    if (stalls) {
        sim_disk_stall(node->disk, until_ns);
    } else {
        sim_disk_unstall(node->disk);
    }
}

void sim_fill_disk(struct sim_world *node, uint64_t free_bytes)
{
    uint64_t used = sim_image_used(sim_disk_image(node->disk));
    bool fills = free_bytes != UINT64_MAX;

    fault_count(node->sim, SIM_FAULT_DISK_FULL, fills);
    sim_disk_settings(node->disk)->capacity =
        fills ? used + free_bytes : node->config.disk.capacity;
}

static enum sim_fault rule_fault(const struct sim_disk_rule *rule)
{
    switch (rule->effect) {
    case SIM_DISK_LOSE: return SIM_FAULT_LOST_WRITE;
    case SIM_DISK_MISDIRECT: return SIM_FAULT_MISDIRECTED;
    case SIM_DISK_STALE: return SIM_FAULT_STALE_READ;
    case SIM_DISK_FAIL: break;
    }
    if (rule->ops == 1u << DISK_READ) return SIM_FAULT_READ_ERROR;
    if (rule->ops == 1u << DISK_WRITE) return SIM_FAULT_WRITE_ERROR;
    if ((rule->ops & ~(1u << DISK_SYNC | 1u << DISK_SYNC_MANY)) == 0) return SIM_FAULT_SYNC_ERROR;
    return SIM_FAULT_DISK_ERROR;
}

uint32_t sim_break_disk(struct sim_world *node, const struct sim_disk_rule *rule)
{
    struct sim_disk_rule own = *rule;

    if (own.fault == 0) own.fault = (int)rule_fault(rule) + 1;
    sim_fault_asked(node->sim, (enum sim_fault)(own.fault - 1));
    return sim_disk_add_rule(node->disk, &own);
}

void sim_lying_disk(struct sim_world *node, bool lying)
{
    if (lying) sim_fault_asked(node->sim, SIM_FAULT_DISK_LIE);
    sim_disk_lie(node->disk, lying);
}

bool sim_rot_disk(struct sim_world *node, const char *path, uint64_t offset, uint32_t bit)
{
    bool hit = sim_image_rot(sim_disk_image(node->disk), path, offset, bit);

    fault_count(node->sim, SIM_FAULT_DISK_ROT, hit);
    return hit;
}

/* ---- at rest --------------------------------------------------------------------------------- */

enum { BATCH_HEAD = 12, HEADER_BYTES = 21 };

static uint32_t length_at(const uint8_t *data)
{
    return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

/* Where one of the batches of a log file begins. */
static uint64_t batch_of(struct sim_world *node, const char *path, uint64_t size, uint64_t draw)
{
    struct sim_image *image = sim_disk_image(node->disk);
    uint64_t count = 0;

    for (uint32_t pass = 0; pass < 2; pass++) {
        uint64_t wanted = pass == 1 && count > 0 ? draw % count : UINT64_MAX;
        uint64_t at = 0;

        count = 0;
        while (at + BATCH_HEAD <= size) {
            uint8_t head[BATCH_HEAD];
            uint64_t done = 0;
            uint64_t whole;

            if (sim_image_peek(image, path, SIM_VIEW_VISIBLE, at, head, sizeof head, &done,
                               &whole) != ERR_NONE ||
                done < sizeof head || length_at(head + 8) == 0) {
                break;
            }
            if (count++ == wanted) return at;
            at += BATCH_HEAD + length_at(head + 8);
        }
    }
    return 0;
}

static bool is_log(const char *path)
{
    size_t length = strlen(path);

    return length > 4 && strcmp(path + length - 4, ".log") == 0;
}

const char *sim_rot_somewhere(struct sim_world *node, const char *glob, uint64_t offset,
                              bool header, uint32_t bits)
{
    static char path[DISK_PATH_MAX + 1]; /* borrowed until the next call */
    struct rng rng;
    uint64_t file;
    uint64_t size = 0;
    enum sim_fault fault;
    bool hit = false;

    decide_rng(node->sim, (struct decide_site){DECIDE_DISK_ROT, node->id, 0, 0}, &rng);
    file = rng_u64(&rng);
    if (sim_image_pick(sim_disk_image(node->disk), glob, file, path, sizeof path, &size) == NULL) {
        sim_fault_asked(node->sim, header ? SIM_FAULT_HEADER_ROT : SIM_FAULT_DISK_ROT);
        return NULL;
    }
    if (offset == UINT64_MAX) offset = rng_below(&rng, size);
    if (header && is_log(path)) {
        uint64_t batch = rng_u64(&rng);

        offset = batch_of(node, path, size, batch);
        offset += rng_below(&rng, HEADER_BYTES);
    }
    fault = header || !is_log(path) ? SIM_FAULT_HEADER_ROT : SIM_FAULT_DISK_ROT;
    for (uint32_t i = 0; i < (bits > 0 ? bits : 1); i++) {
        uint32_t bit = (uint32_t)rng_below(&rng, 8);
        uint64_t near =
            i == 0 ? offset : offset - offset % SIM_SECTOR + rng_below(&rng, SIM_SECTOR);

        if (near >= size) near = offset;
        hit = sim_image_rot(sim_disk_image(node->disk), path, near, bit) || hit;
    }
    fault_count(node->sim, fault, hit);
    return hit ? path : NULL;
}

void sim_block_submits(struct sim_world *node, int64_t each_ns)
{
    if (each_ns > 0) sim_fault_asked(node->sim, SIM_FAULT_SUBMIT_STALL);
    sim_disk_stall_submit(node->disk, each_ns);
}

void sim_short_io(struct sim_world *node, uint32_t per_million)
{
    if (per_million > 0) sim_fault_asked(node->sim, SIM_FAULT_SHORT_IO);
    sim_disk_shorten(node->disk, per_million);
}

void sim_dir_gone(struct sim_world *node, const char *dir, enum sim_gone how)
{
    struct sim_disk_rule rule = {.nth = 1, .error = ERR_IO, .fault = SIM_FAULT_DIR_GONE + 1};
    char glob[128];

    (void)snprintf(glob, sizeof glob, "%.100s*", dir);
    if (how == SIM_GONE_EMPTY) {
        ASSERT(!node->up);
        fault_count(node->sim, SIM_FAULT_DIR_GONE,
                    sim_image_empty(sim_disk_image(node->disk), glob) > 0);
        return;
    }
    (void)snprintf(rule.glob, sizeof rule.glob, "%s", glob);
    rule.ops = ~(1u << DISK_CLOSE);
    if (how == SIM_GONE_READ_ONLY) {
        rule.error = ERR_ACCESS;
        rule.changes_only = true;
        rule.ops &=
            ~(1u << DISK_READ | 1u << DISK_LIST | 1u << DISK_FREE_SPACE | 1u << DISK_RESIDENT |
              1u << DISK_SYNC | 1u << DISK_SYNC_MANY | 1u << DISK_SYNC_DIR);
    }
    (void)sim_break_disk(node, &rule);
}

void sim_snapshot(struct sim_world *node)
{
    sim_disk_snapshot(node->disk);
}

void sim_revert(struct sim_world *node)
{
    ASSERT(!node->up);
    fault_count(node->sim, SIM_FAULT_REVERT, sim_disk_revert(node->disk));
}

void sim_foreign(struct sim_world *node, struct sim_world *from, const char *glob, const char *as)
{
    uint32_t count;

    ASSERT(!node->up);
    count = sim_image_take(sim_disk_image(node->disk), sim_disk_image(from->disk), glob, as);
    fault_count(node->sim, SIM_FAULT_FOREIGN, count > 0);
}

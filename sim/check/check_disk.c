/* What logs may believe of their disks: R48, S12, S17, S28, S29, S37, and R4 after a recovery. */
#include "sim/check/check_private.h"

#include <stdio.h>

#include <string.h>

enum { DISK_TOLD_TURNS = 3 }; /* what was on its way to the node when a sync failed has arrived */

/* ---- S17: what a truncation took stays away -------------------------------------------------- */

void check_disk_cut(const struct check *check, struct check_replica_ghost *replica, int64_t end)
{
    if (end >= replica->log.end) return;
    replica->cut_epoch = check_log_epoch(check, &replica->log, replica->log.end - 1);
    replica->cut_end = replica->cut_epoch >= 0 ? end : -1;
}

/* A truncation is told when it is durable. What recovery finds behind it then was on its way from a
 * leader of a later epoch, or else it is what had been cut. A log that is empty has nothing of it:
 * a cut below the log start becomes a reset there. */
static void stays_cut(struct check *check, const struct check_replica_ghost *replica, int64_t start,
                      int64_t end)
{
    struct check_at at = {replica->node, replica->part, replica->recovered_epoch, end};

    if (replica->cut_end < 0 || check->nodes[replica->node].disk_lied) return;
    check_count(check, CHECK_S17);
    if (end > start && end > replica->cut_end && replica->recovered_epoch <= replica->cut_epoch)
        CHECK_FAIL(check, S17, at,
                   "cut to %D and not appended to since, recovered to %D, still of epoch %d",
                   replica->cut_end, end, replica->recovered_epoch);
}

/* R4: the cache that recovery made knows the epoch of the last batch. */
static void knows_last_epoch(struct check *check, const struct check_replica_ghost *replica,
                             int64_t end)
{
    int32_t last = check_log_epoch(check, &replica->log, end - 1);
    struct check_at at = {replica->node, replica->part, replica->recovered_epoch, end};

    if (last < 0 || check->nodes[replica->node].log_lied) return;
    check_count(check, CHECK_R4);
    if (replica->recovered_epoch < last)
        CHECK_FAIL(check, R4, at, "the batch before %D has epoch %d, the cache knows up to %d", end,
                   last, replica->recovered_epoch);
}

void check_disk_opened(struct check *check, struct check_replica_ghost *replica, int64_t start,
                       int64_t end)
{
    if (replica->down_how != 0) check_count(check, CHECK_S12);
    if (replica->recovering) {
        stays_cut(check, replica, start, end);
        if (!check->violated && end <= replica->log.end) knows_last_epoch(check, replica, end);
    }
    replica->recovering = false;
    replica->cut_end = -1;
}

/* In memory: the newest entry is the one that events tell, and what stands before it is older. */
bool check_disk_newest_epoch(struct check *check, const struct check_replica_ghost *replica,
                             int32_t epoch, int64_t start)
{
    const struct check_log *log = &replica->log;
    int32_t told = replica->epoch_count > 0 ? replica->epochs[replica->epoch_count - 1].epoch : -1;
    struct check_at at = {replica->node, replica->part, epoch, start};
    int32_t before = start > log->start ? check_log_epoch(check, log, start - 1) : -1;

    check_count(check, CHECK_R4);
    if (replica->epochs_sure && epoch != told) {
        CHECK_FAIL(check, R4, at, "the newest epoch of the cache is %d, the events say %d", epoch,
                   told);
    } else if (before >= epoch && epoch >= 0 && !check->nodes[replica->node].log_lied) {
        CHECK_FAIL(check, R4, at, "the cache says epoch %d from %D on, the batch before has %d",
                   epoch, start, before);
    }
    return check->violated;
}

/* ---- S12: a recovery point is no more than the disk holds ------------------------------------ */

void check_disk_damaged(struct check *check, const struct check_replica_ghost *replica,
                        int64_t offset)
{
    struct check_at at = {replica->node, replica->part, -1, offset};

    if (check->nodes[replica->node].disk_lied) return;
    /* Pages that a failed sync took, before the process knew: the broker vouches for them. */
    if (check->nodes[replica->node].disk_armed && offset >= replica->synced_end) return;
    check_count(check, CHECK_S12);
    CHECK_FAIL(check, S12, at, "damage is found at %D, below a promise, on a disk that never lied",
               offset);
}

/* ---- S29: after a failed sync no sync counts ------------------------------------------------- */

bool check_disk_text_has(struct str text, const char *part)
{
    uint32_t length = (uint32_t)strlen(part);

    for (uint32_t i = 0; i + length <= text.length; i++)
        if (memcmp(text.data + i, part, length) == 0) return true;
    return false;
}

/* Of several directories only the one is given up: of data logs the one that was to be synced. */
static bool is_log_of(const struct check *check, const struct check_part *part, struct str path)
{
    for (uint32_t i = 0; i < check->topic_count; i++) {
        char name[288];

        if (check->topics[i].topic != part->topic) continue;
        (void)snprintf(name, sizeof name, "%s-%d/", check->topics[i].name, (int)part->partition);
        return check_disk_text_has(path, name);
    }
    return !check_disk_text_has(path, "__cluster_metadata"); /* of a topic without a name */
}

void check_disk_sync_failed(struct check *check, uint32_t node, struct str path)
{
    bool metadata = check_disk_text_has(path, "__cluster_metadata");

    check->nodes[node].disk_failed = true;
    if (!check_disk_text_has(path, ".log")) return;
    check_count(check, CHECK_S29);
    check->nodes[node].sync_failed = true;
    for (uint32_t i = 0; i < check->parts.count; i++) {
        struct check_part *part = check->parts.items[i];
        struct check_replica_ghost *replica = part->replicas[node];

        if (replica == NULL || replica->sync_failed > 0) continue;
        if (part->topic == 0 ? metadata : is_log_of(check, part, path)) replica->sync_failed = 1;
    }
}

void check_disk_turn(struct check *check, uint32_t node)
{
    if (!check->nodes[node].sync_failed) return;
    for (uint32_t i = 0; i < check->parts.count; i++) {
        struct check_replica_ghost *replica = check->parts.items[i]->replicas[node];

        if (replica == NULL || replica->sync_failed == 0) continue;
        if (replica->sync_failed <= DISK_TOLD_TURNS) replica->sync_failed++;
    }
}

void check_disk_synced(struct check *check, const struct check_replica_ghost *replica, int64_t end)
{
    struct check_at at = {replica->node, replica->part, -1, end};

    if (replica->sync_failed <= DISK_TOLD_TURNS) return;
    CHECK_FAIL(check, S29, at, "counts as synced to %D, after a sync of it has failed", end);
}

/* ---- S28 ------------------------------------------------------------------------------------- */

void check_disk_cleaned(struct check *check, const struct check_replica_ghost *replica, int64_t to)
{
    struct check_at at = {replica->node, replica->part, replica->leader_epoch, to};

    check_count(check, CHECK_S28);
    if (to > replica->hw)
        CHECK_FAIL(check, S28, at, "compacted up to %D, the high watermark is %D", to, replica->hw);
}

/* ---- R48: the marker of a clean stop vouches for one stop ------------------------------------ */

void check_disk_down(const struct check *check, struct check_replica_ghost *replica, bool orderly)
{
    /* A life that never opened it has changed nothing of what the one before left. */
    if (replica->opened_in == check->nodes[replica->node].incarnation)
        replica->unvouched = !orderly;
}

void check_disk_clean(struct check *check, const struct check_replica_ghost *replica)
{
    struct check_at at = {replica->node, replica->part, -1, replica->log.end};

    if (check->nodes[replica->node].disk_lied) return;
    check_count(check, CHECK_R48);
    if (replica->unvouched)
        CHECK_FAIL(check, R48, at,
                   "is taken for cleanly stopped, and the last life that had it open was not");
}

/* ---- S37: durable mode counts what is on the device ------------------------------------------ */

bool check_disk_flushed(struct check *check, const struct check_replica_ghost *leader)
{
    if (!check->config.fsync_before_ack) return true;
    for (uint32_t i = 0; i < check->node_count; i++) {
        const struct check_replica_ghost *member = leader->part->replicas[i];

        if (!check_in(leader->isr, i) || member == NULL) continue;
        if (member->lost || member->down_how == 2 || check->nodes[i].disk_lied) continue;
        check_count(check, CHECK_S37);
        if (member->synced_end >= leader->hw || member->log.start >= leader->hw) continue;
        CHECK_FAIL(
            check, S37,
            ((struct check_at){leader->node, leader->part, leader->leader_epoch, leader->hw}),
            "high watermark %D, but in-sync node %d has synced up to %D only", leader->hw,
            check->nodes[i].id, member->synced_end);
        return false;
    }
    return true;
}

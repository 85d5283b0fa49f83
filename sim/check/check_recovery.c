/* The end of a life and what the next one finds: what a process kill and a power loss may take of a
 * log, and what an open may make of the rest: R40, R46, R47, R49; what was deleted: S18. */
#include "sim/check/check_private.h"

/* Is there another in-sync replica that has everything committed? */
static bool another_has_all(const struct check *check, const struct check_replica_ghost *replica)
{
    const struct check_part *part = replica->part;

    for (uint32_t i = 0; i < check->node_count; i++) {
        const struct check_replica_ghost *other = part->replicas[i];

        if (i == replica->node || other == NULL || other->lost) continue;
        if (!check_in(part->chain.isr | part->chain.elr, i) || other->down_how == 2) continue;
        if (check_log_fits(&other->log, &part->committed, part->committed.end) == CHECK_FITS)
            return true;
    }
    return false;
}

void check_recovery_down(struct check *check, struct check_replica_ghost *replica, int32_t how)
{
    replica->role = TRACE_ROLE_NONE;
    replica->leader_epoch = -1;
    replica->partition_epoch = -1;
    replica->leading = false;
    replica->isr = replica->isr_committed = 0;
    replica->isr_epoch = -1;
    replica->reply_landed = true;
    replica->reply_stale = replica->append_barred = false;
    replica->epochs_sure = false;
    replica->rotten_from = INT64_MAX;
    replica->sync_failed = 0;
    if (replica->down_how == 0) replica->end_before = replica->log.end;
    if (how == 2) {
        replica->durable_before = replica->synced_end;
        replica->alone = !another_has_all(check, replica);
    }
    /* Two deaths without an opening between them: the worse one counts. */
    if (replica->down_how != 2) replica->down_how = how;
}

void check_recovery_holds(struct check_replica_ghost *replica)
{
    if (replica->hw > replica->hw_held) replica->hw_held = replica->hw;
    if (replica->hw_held > replica->hw_ever) replica->hw_ever = replica->hw_held;
    if (replica->log.start > replica->start_ever) replica->start_ever = replica->log.start;
}

/* A log that went, with its disk or with its replica, is there again. */
void check_recovery_set_back(struct check *check, uint32_t node)
{
    for (uint32_t i = 0; i < check->parts.count; i++) {
        struct check_replica_ghost *replica = check->parts.items[i]->replicas[node];

        if (replica != NULL) replica->set_back = true;
    }
}

/* The checkpointed high watermark is one that the replica had: they lie between batches. */
static bool hw_ever_held(const struct check_replica_ghost *replica, int64_t start, int64_t end,
                         int64_t hw)
{
    const struct check_log *log = &replica->log;
    uint32_t batch = CHECK_UNKNOWN;

    if (hw == start || hw == end || hw <= log->start || hw >= log->end) return true;
    if (!check_log_find(log, hw, &batch) || batch == CHECK_UNKNOWN) return true;
    for (uint32_t low = 0, high = log->count; low < high;) {
        uint32_t middle = low + (high - low) / 2;

        if (log->entries[middle].base == hw) return true;
        if (log->entries[middle].base < hw) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

/* A reset was under way, and is as it was to be: what went is below where the leader's log
 * begins. */
static bool reset_done(const struct check_replica_ghost *replica, int64_t start, int64_t end)
{
    return replica->resetting && start == end && end == replica->reset_to;
}

/* Of what it had before: a cut that was under way may have taken the rest. */
static int64_t must_have(const struct check_replica_ghost *replica, int64_t end)
{
    return end < replica->cutting ? end : replica->cutting;
}

static void recovery(struct check *check, const struct check_replica_ghost *replica, int64_t start,
                     int64_t end, int64_t hw)
{
    bool anew = reset_done(replica, start, end);
    const struct check_node *node = &check->nodes[replica->node];
    struct check_at at = check_log_at(replica, -1, end);
    int64_t most = replica->end_before > replica->part->assigned_end ? replica->end_before
                                                                     : replica->part->assigned_end;
    int64_t hw_held = replica->set_back ? replica->hw_ever : replica->hw_held;
    int64_t start_held = replica->set_back ? replica->start_ever : replica->log.start;

    if (replica->down_how != 2) {
        check_count(check, CHECK_R40);
        if (end < must_have(replica, replica->end_before)) {
            CHECK_FAIL(check, R40, at, "log ended at %D before the process was killed, now at %D",
                       replica->end_before, end);
            return;
        }
    } else {
        check_count(check, CHECK_R46);
        if (end < must_have(replica, replica->durable_before)) {
            CHECK_FAIL(check, R46, at, "synced to %D before the power loss, recovered to %D",
                       replica->durable_before, end);
            return;
        }
    }
    /* What a leader of the quorum had in flight when it died was told to nobody. */
    if (replica->part->topic == 0 && node->raft.led_incarnation == replica->opened_in) {
        most = INT64_MAX;
    }
    if (end > most) {
        check_count(check, CHECK_R46);
        CHECK_FAIL(check, R46, at, "recovered to %D, nobody ever wrote beyond %D", end, most);
        return;
    }
    if (replica->part->topic == 0) return; /* its high watermark is not kept in a checkpoint */
    check_count(check, CHECK_R47);
    if (hw > hw_held && !anew) {
        CHECK_FAIL(check, R47, at, "high watermark never above %D before the crash, %D after it",
                   hw_held, hw);
        return;
    }
    check_count(check, CHECK_R49);
    if (start > start_held && start > replica->end_before && !anew) {
        CHECK_FAIL(check, R49, at, "log start %D after recovery, it never was above %D", start,
                   start_held);
        return;
    }
    if (!hw_ever_held(replica, start, end, hw))
        CHECK_FAIL(check, R49, at,
                   "high watermark %D after recovery is inside of a batch: it never stood there",
                   hw);
}

/* It was no replica of this broker for a while, and its log went: another one begins. A broker that
 * never heard of it keeps the old log; that is judged like any. */
void check_recovery_begin_anew(struct check_replica_ghost *replica)
{
    check_log_cut(&replica->log, 0);
    check_log_cut_epochs(replica, 0, false);
    replica->log.start = 0;
    replica->hw = replica->hw_held = 0;
    replica->synced_end = replica->synced_max = 0;
    replica->end_before = replica->durable_before = 0;
    replica->cut_end = -1;
    replica->cutting = INT64_MAX;
    replica->deleted_to = 0;
    replica->down_how = 0;
    replica->recovering = replica->set_back = false;
    replica->lost = replica->alone = false;
    replica->anew_epoch = replica->part->chain.leader_epoch;
}

/* ---- S18: what was deleted on request -------------------------------------------------------- */

/* A replica that may lead: from now on its log begins at `start` at least, whatever happens to it
 * but a reset, or a disk that lies. */
static void stays_deleted(struct check *check, struct check_replica_ghost *replica, int64_t start)
{
    const struct check_node *node = &check->nodes[replica->node];

    if (!node->up || replica->down_how != 0 || replica->opened_in != node->incarnation) return;
    if (node->disk_lied) return;
    check_count(check, CHECK_S18);
    if (replica->log.start < start) {
        CHECK_FAIL(check, S18, check_log_at(replica, replica->leader_epoch, replica->log.start),
                   "a client was told that all below %D is deleted, the log of a replica in sync "
                   "begins at %D",
                   start, replica->log.start);
        return;
    }
    if (start > replica->deleted_to) replica->deleted_to = start;
}

void check_recovery_joined(struct check *check, struct check_part *part, uint64_t joined)
{
    if (part->topic == 0 || part->deleted_to == 0) return;
    for (uint32_t i = 0; i < check->node_count && !check->violated; i++) {
        if (check_in(joined, i) && part->replicas[i] != NULL)
            stays_deleted(check, part->replicas[i], part->deleted_to);
    }
}

/* Only a leader that the controller knows as such: of another one's in-sync replicas it has heard,
 * or will. */
void check_recovery_deleted(struct check *check, uint32_t node, const struct trace_event *event)
{
    struct check_part *part =
        check_part(check, check_field(event, 0), (int32_t)check_field(event, 1));
    int64_t low = check_field(event, 3);

    if (check_field(event, 4) != 0 || !part->chain.known ||
        part->chain.leader != check->nodes[node].id)
        return;
    if (low > part->deleted_to) part->deleted_to = low;
    check_recovery_joined(check, part, part->chain.isr);
}

/* One that is eligible and was away, or was elected uncleanly, has what it had. */
void check_recovery_leads(struct check_replica_ghost *replica)
{
    struct check_part *part = replica->part;

    if (replica->log.start < part->deleted_to) part->deleted_to = replica->log.start;
}

static void deleted_is_gone(struct check *check, const struct check_replica_ghost *replica,
                            int64_t start)
{
    if (replica->deleted_to == 0 || check->nodes[replica->node].disk_lied) return;
    check_count(check, CHECK_S18);
    if (start < replica->deleted_to)
        CHECK_FAIL(check, S18, check_log_at(replica, -1, start),
                   "a client was told that all below %D is deleted, after a crash the log begins "
                   "at %D",
                   replica->deleted_to, start);
}

/* ---- opened ---------------------------------------------------------------------------------- */

/* A disk error may keep a start from reading one of several directories. The broker does not serve
 * then what it had promised there and misses; of what it was not in sync with it begins another
 * replica in a directory that can be read (node_dirs.c). */
static bool placed_anew(const struct check *check, const struct check_replica_ghost *replica,
                        int64_t start, int64_t end)
{
    const struct check_state *chain = &replica->part->chain;

    return start == 0 && end == 0 && replica->part->topic != 0 &&
           check->nodes[replica->node].disk_armed &&
           !check_in(chain->isr | chain->elr, replica->node);
}

void check_recovery_opened(struct check *check, struct check_replica_ghost *replica,
                           const struct trace_event *event)
{
    const struct check_node *node = &check->nodes[replica->node];
    struct check_log *log = &replica->log;
    int64_t start = check_field(event, 2), end = check_field(event, 3);
    bool lied = node->disk_lied && end < replica->end_before;
    int64_t had;
    int64_t had_end = log->end;
    bool recovered = replica->recovering && !node->disk_lied;

    if ((replica->unassigned && end == 0) || placed_anew(check, replica, start, end))
        check_recovery_begin_anew(replica);
    had = must_have(replica, replica->end_before);
    replica->unassigned = false;
    if (replica->down_how != 0 && !lied)
        recovery(check, replica, start, end, check_field(event, 5));
    if (!check->violated && replica->down_how == 2 && end < had)
        check_controller_lost(check, replica);
    if (!check->violated) deleted_is_gone(check, replica, start);
    if (check->violated) return;
    check_disk_opened(check, replica, start, end);
    if (!check->violated && check_field(event, 6) == 1) check_disk_clean(check, replica);
    if (check->violated) return;
    replica->opened_in = node->incarnation;
    if (replica->down_how != 0 && end < had) replica->lost = true;
    replica->resetting = replica->set_back = false;
    replica->down_how = 0;
    replica->cutting = INT64_MAX;
    check_log_cut(log, end);
    if (end > log->end) {
        check_log_push(log, log->end, CHECK_UNKNOWN); /* in flight at the crash, and survived */
        log->end = end;
        if (end > replica->reach) replica->reach = end;
    }
    log->start = start;
    replica->hw = check_field(event, 5);
    check_recovery_holds(replica);
    if (replica->hw_held > end) replica->hw_held = end;
    if (replica->synced_end > end) replica->synced_end = end;
    if (check_field(event, 4) > replica->synced_end) replica->synced_end = check_field(event, 4);
    if (replica->synced_end > replica->synced_max) replica->synced_max = replica->synced_end;
    if (replica->part->topic == 0) replica->hw = replica->hw < end ? replica->hw : end;
    replica->before_open = had_end;
    check_log_cut_epochs(replica, end, true);
    replica->epochs_sure =
        recovered && replica->epoch_count > 0 &&
        replica->epochs[replica->epoch_count - 1].epoch == replica->recovered_epoch;
    check_log_order(check, replica);
}

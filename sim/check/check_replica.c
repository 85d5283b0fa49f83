/* Roles and high watermarks: R4 (a leader's own epoch), R5, R6, R9, R10, R11, R17, R20, R30, R32,
 * R41, R44.
 *
 * Committed(p) grows when a leader raises its high watermark, by what stands in that leader's own
 * log (replication.md 14). It is shortened only here, when a leader begins without a part of it
 * and somebody paid for the loss:
 *
 *   nobody lost data                          R17  never allowed, but by an unclean election
 *   losses within the budget, or one loss
 *     while another in-sync replica had all   R41  never allowed
 *   losses beyond the budget                  R44  down to what every in-sync replica had synced;
 *                                                  nothing at all when acks wait for the sync */
#include "sim/check/check_private.h"

#include <stdlib.h>

int32_t check_replica_min_isr(const struct check *check, const struct check_part *part)
{
    int32_t replicas = (int32_t)check_set_size(part->chain.replicas);
    int32_t min = check->config.min_isr;

    if (part->min_isr > 0) min = part->min_isr;
    if (part->configured_min_isr > 0) min = part->configured_min_isr;
    return replicas > 0 && replicas < min ? replicas : min;
}

bool check_replica_void(const struct check_part *part, int64_t offset, int64_t said_ns)
{
    return part->forgiven && offset >= part->loss_from && said_ns <= part->loss_ns;
}

static struct check_at at_replica(const struct check_replica_ghost *replica, int64_t offset)
{
    return (struct check_at){replica->node, replica->part, replica->leader_epoch, offset};
}

/* A leader that the lost world still has: nothing of it is judged, nothing of it counts. */
static bool of_lost_world(const struct check_part *part, int32_t leader_epoch)
{
    return part->forgiven && leader_epoch < part->loss_epoch;
}

/* ---- Committed(p) ---------------------------------------------------------------------------- */

void check_replica_commit(struct check *check, struct check_part *part,
                          const struct check_replica_ghost *leader, int64_t end)
{
    struct check_log *committed = &part->committed;
    const struct check_log *log = &leader->log;
    uint32_t low = 0, high = log->count;

    (void)check;
    if (end > log->end) end = log->end;
    if (end <= committed->end) return;
    if (leader->leader_epoch > part->committed_epoch) part->committed_epoch = leader->leader_epoch;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (log->entries[middle].base < committed->end) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (committed->count == 0 && committed->end == 0) committed->start = log->start;
    for (; low < log->count && log->entries[low].base < end; low++)
        check_log_push(committed, log->entries[low].base, log->entries[low].batch);
    committed->end = end;
}

static uint32_t lost_replicas(const struct check_part *part, bool *alone)
{
    uint32_t lost = 0;

    *alone = false;
    for (uint32_t i = 0; i < CHECK_NODES_MAX; i++) {
        const struct check_replica_ghost *replica = part->replicas[i];

        if (replica == NULL || !replica->lost) continue;
        lost++;
        if (replica->alone) *alone = true;
    }
    return lost;
}

/* Is a power loss of one replica behind this election? It may still lie there, unread. */
static bool lone_power_loss(const struct check_part *part)
{
    uint32_t hit = 0;
    bool alone = false;

    for (uint32_t i = 0; i < CHECK_NODES_MAX; i++) {
        const struct check_replica_ghost *replica = part->replicas[i];

        if (replica == NULL || (!replica->lost && replica->down_how != 2)) continue;
        hit++;
        if (replica->alone) alone = true;
    }
    return hit == 1 && !alone;
}

/* What every in-sync replica was bound to keep. */
static int64_t durable_end(const struct check_part *part)
{
    int64_t least = INT64_MAX;

    for (uint32_t i = 0; i < CHECK_NODES_MAX; i++) {
        const struct check_replica_ghost *replica = part->replicas[i];
        int64_t end;

        if (replica == NULL || !check_in(part->chain.isr | part->chain.elr, i)) continue;
        end = replica->lost ? replica->durable_before : replica->log.end;
        if (end < least) least = end;
    }
    return least == INT64_MAX ? 0 : least;
}

/* Who lost data, and the scripted step behind each. */
static void say_who_paid(const struct check *check, const struct check_part *part,
                         struct text *text)
{
    for (uint32_t i = 0; i < check->node_count; i++) {
        const struct check_replica_ghost *replica = part->replicas[i];
        const struct check_node *node = &check->nodes[i];

        if (replica == NULL || !replica->lost) continue;
        text_format(text, "; node %d lost data", node->id);
        if (node->loss_step >= 0)
            text_format(text, " by step %D (%s)", node->loss_step, node->loss_text);
    }
}

static void forgive(struct check *check, struct check_replica_ghost *leader, enum check_id id,
                    int64_t from, const char *why)
{
    struct check_part *part = leader->part;
    struct text text;

    if (check_excuse_begin(check, id, at_replica(leader, from), &text)) {
        text_format(&text, "committed records %D to %D lost %s", from, part->committed.end - 1,
                    why);
        say_who_paid(check, part, &text);
    }
    part->forgiven = true;
    if (from < part->loss_from) part->loss_from = from;
    part->loss_ns = check->now_ns;
    part->loss_epoch = leader->leader_epoch;
    check_log_cut(&part->committed, from);
}

static void judge_loss(struct check *check, struct check_replica_ghost *leader)
{
    struct check_part *part = leader->part;
    int64_t end = part->committed.end;
    int64_t from = check_log_parts_at(check, &leader->log, &part->committed, end);
    int32_t budget = check->config.loss_budget >= 0 ? check->config.loss_budget
                                                    : check_replica_min_isr(check, part) - 1;
    struct check_at at = at_replica(leader, from);
    bool alone;
    uint32_t lost = lost_replicas(part, &alone);

    if (part->unclean) {
        forgive(check, leader, CHECK_R17, from, "by an unclean election");
        return;
    }
    if (lost == 0) {
        CHECK_FAIL(check, R17, at,
                   "begins to lead epoch %d without the committed records %D to %D; no replica "
                   "had lost data",
                   leader->leader_epoch, from, end - 1);
        return;
    }
    if ((int64_t)lost <= budget || (lost == 1 && !alone)) {
        CHECK_FAIL(check, R41, at,
                   "begins to lead epoch %d without the committed records %D to %D, though only %u "
                   "replica(s) had lost data",
                   leader->leader_epoch, from, end - 1, lost);
        return;
    }
    if (check->config.fsync_before_ack || from < durable_end(part)) {
        CHECK_FAIL(
            check, R44, at,
            "begins to lead epoch %d with the committed records up to %D only: every in-sync "
            "replica had synced up to %D",
            leader->leader_epoch, from, check->config.fsync_before_ack ? end : durable_end(part));
        return;
    }
    forgive(check, leader, CHECK_R44, from, "to power losses beyond the budget");
}

/* Also a leader that never writes: else its reign is nowhere to be found (KAFKA-7415, F4). */
static void epoch_begun(struct check *check, const struct check_replica_ghost *replica)
{
    uint32_t count = replica->epoch_count;

    if (count == 0) return; /* the trace tells nothing of epochs */
    check_count(check, CHECK_R4);
    if (replica->epochs[count - 1].epoch >= replica->leader_epoch) return;
    CHECK_FAIL(check, R4, at_replica(replica, replica->leader_start),
               "begins to lead epoch %d, its epoch cache ends with epoch %d", replica->leader_epoch,
               replica->epochs[count - 1].epoch);
}

static void leading(struct check *check, struct check_replica_ghost *replica,
                    const struct trace_event *event)
{
    struct check_part *part = replica->part;
    bool alone;

    replica->leader_start = check_field(event, 3);
    replica->leading = true;
    replica->told_from = 0;
    check_recovery_leads(replica);
    epoch_begun(check, replica);
    if (check->violated) return;
    if (of_lost_world(part, replica->leader_epoch)) return;
    /* It applies old metadata late: what a later leader has committed meanwhile it cannot have. */
    if (part->committed_epoch > replica->leader_epoch) return;
    if (part->committed.end > 0) {
        uint32_t lost = lost_replicas(part, &alone);

        check_count(check, CHECK_R17);
        if (lone_power_loss(part)) check_count(check, CHECK_R41);
        if (lost > 0) check_count(check, CHECK_R44);
        if (check_log_fits(&replica->log, &part->committed, part->committed.end) != CHECK_FITS)
            judge_loss(check, replica);
    }
    if (check->violated) return;
    replica->lost = replica->alone = false; /* its log is the log now */
    replica->told_from = part->committed.end;
}

/* ---- roles ----------------------------------------------------------------------------------- */

static void led_by(struct check *check, const struct check_replica_ghost *replica)
{
    uint32_t known =
        check_table_get(&check->leaders, replica->part->index, (uint32_t)replica->leader_epoch);

    check_count(check, CHECK_R5);
    if (known != 0 && known != replica->node + 1) {
        CHECK_FAIL(check, R5, at_replica(replica, -1), "leads epoch %d, which node %d has led",
                   replica->leader_epoch, check->nodes[known - 1].id);
        return;
    }
    check_table_set(&check->leaders, replica->part->index, (uint32_t)replica->leader_epoch,
                    replica->node + 1);
}

static void role(struct check *check, struct check_replica_ghost *replica,
                 const struct trace_event *event)
{
    int32_t leader_epoch = (int32_t)check_field(event, 4);
    int32_t partition_epoch = (int32_t)check_field(event, 5);
    struct check_at at = {replica->node, replica->part, leader_epoch, -1};

    check_count(check, CHECK_R5);
    if (leader_epoch < replica->leader_epoch || partition_epoch < replica->partition_epoch) {
        CHECK_FAIL(check, R5, at,
                   "leader epoch %d and partition epoch %d after %d and %d in one incarnation",
                   leader_epoch, partition_epoch, replica->leader_epoch, replica->partition_epoch);
        return;
    }
    if (leader_epoch != replica->leader_epoch || replica->role != (int32_t)check_field(event, 2))
        replica->leading = false;
    replica->role = (int32_t)check_field(event, 2);
    replica->leader_epoch = leader_epoch;
    replica->partition_epoch = partition_epoch;
    if (replica->reach_epoch != leader_epoch) {
        replica->reach_epoch = leader_epoch;
        replica->reach = replica->log.end;
    }
    if (replica->role == TRACE_ROLE_LEADER) led_by(check, replica);
    if (check->violated) return;
    check_controller_role(check, replica, (int32_t)check_field(event, 3));
}

/* ---- high watermark -------------------------------------------------------------------------- */

/* R9, between any two replicas that are alive. */
static void same_below(struct check *check, const struct check_replica_ghost *replica)
{
    const struct check_part *part = replica->part;

    for (uint32_t i = 0; i < check->node_count; i++) {
        const struct check_replica_ghost *other = part->replicas[i];
        int64_t end;

        if (i == replica->node || other == NULL || other->down_how != 0 || other->lost) continue;
        end = other->hw < replica->hw ? other->hw : replica->hw;
        if (part->forgiven && end > part->loss_from) end = part->loss_from;
        if (end <= 0) continue;
        check_count(check, CHECK_R9);
        if (check_log_fits(&replica->log, &other->log, end) != CHECK_DIFFERS) continue;
        CHECK_FAIL(check, R9, at_replica(replica, end - 1),
                   "below the high watermarks (%D here, %D on node %d) the logs differ from offset "
                   "%D on",
                   replica->hw, other->hw, check->nodes[i].id,
                   check_log_parts_at(check, &replica->log, &other->log, end));
        return;
    }
}

/* R10 with the set the leader holds, R11 with the controller's. */
static bool members_have(struct check *check, const struct check_replica_ghost *leader,
                         uint64_t members, bool strong)
{
    for (uint32_t i = 0; i < check->node_count; i++) {
        const struct check_replica_ghost *other;
        enum check_fit fit;

        if (!check_in(members, i) || i == leader->node) continue;
        other = check_replica(check, i, leader->part);
        if (other->lost || other->down_how == 2 || check->nodes[i].disk_lied) continue;
        /* It left the replicas, and this leader has not heard of it yet. */
        if (!strong && other->anew_epoch > leader->leader_epoch) continue;
        check_count(check, strong ? CHECK_R11 : CHECK_R10);
        fit = check_log_fits(&other->log, &leader->log, leader->hw);
        if (fit == CHECK_FITS) continue;
        if (strong) {
            CHECK_FAIL(check, R11, at_replica(leader, leader->hw),
                       "high watermark %D, but node %d of the controller's ISR or ELR %s (log end "
                       "%D)",
                       leader->hw, check->nodes[i].id,
                       fit == CHECK_MISSING ? "has less" : "has other records", other->log.end);
        } else {
            CHECK_FAIL(check, R10, at_replica(leader, leader->hw),
                       "high watermark %D, but in-sync node %d %s (log end %D)", leader->hw,
                       check->nodes[i].id, fit == CHECK_MISSING ? "has less" : "has other records",
                       other->log.end);
        }
        return false;
    }
    return true;
}

static void leader_hw(struct check *check, struct check_replica_ghost *replica, int64_t before)
{
    struct check_part *part = replica->part;
    int32_t min = check_replica_min_isr(check, part);

    check_count(check, CHECK_R6);
    if (replica->hw < before) {
        CHECK_FAIL(check, R6, at_replica(replica, replica->hw),
                   "high watermark went back in epoch %d: %D -> %D", replica->leader_epoch, before,
                   replica->hw);
        return;
    }
    if (of_lost_world(part, replica->leader_epoch)) return;
    if (replica->isr_epoch == replica->leader_epoch) {
        check_count(check, CHECK_R20);
        if ((int32_t)check_set_size(replica->isr_committed) < min) {
            CHECK_FAIL(check, R20, at_replica(replica, replica->hw),
                       "high watermark %D -> %D with ISR %s, fewer than min ISR %d", before,
                       replica->hw, check_names(check, replica->isr_committed).text, min);
            return;
        }
        if (!members_have(check, replica, replica->isr, false)) return;
        if (!check_disk_flushed(check, replica)) return;
    }
    /* Of a stale leader too: its own ISR held it back (WeakIsr), the new one grew out of that. */
    if (part->chain.known && !part->unclean &&
        !members_have(check, replica, part->chain.isr | part->chain.elr, true))
        return;
    if (part->committed.end > 0 &&
        check_log_fits(&replica->log, &part->committed,
                       replica->hw < part->committed.end ? replica->hw : part->committed.end) ==
            CHECK_DIFFERS) {
        check_count(check, CHECK_R9);
        CHECK_FAIL(check, R9, at_replica(replica, replica->hw),
                   "high watermark %D over records that differ from the committed ones from offset "
                   "%D on",
                   replica->hw,
                   check_log_parts_at(check, &replica->log, &part->committed, replica->hw));
        return;
    }
    check_replica_commit(check, part, replica, replica->hw);
}

static void high_watermark(struct check *check, struct check_replica_ghost *replica,
                           const struct trace_event *event)
{
    int64_t before = replica->hw;
    bool leads = check_field(event, 4) == TRACE_ROLE_LEADER;

    replica->hw = check_field(event, 3);
    check_recovery_holds(replica);
    /* Only the answer that is done raises it at a follower: nothing of it is to come (R23). */
    if (!leads && replica->hw > before) replica->reply_landed = true;
    check_count(check, CHECK_R1);
    if (replica->hw > replica->log.end || replica->hw < replica->log.start) {
        CHECK_FAIL(check, R1, at_replica(replica, replica->hw),
                   "high watermark %D outside of the log %D to %D", replica->hw, replica->log.start,
                   replica->log.end);
        return;
    }
    if (leads && replica->role == TRACE_ROLE_LEADER &&
        replica->leader_epoch == (int32_t)check_field(event, 5))
        leader_hw(check, replica, before);
    if (!check->violated) same_below(check, replica);
}

/* ---- reads ----------------------------------------------------------------------------------- */

static void read_served(struct check *check, const struct check_replica_ghost *replica,
                        const struct trace_event *event)
{
    const struct check_part *part = replica->part;
    int64_t from = check_field(event, 2), to = check_field(event, 3);

    if (check_field(event, 6) != 1 || to <= from) return; /* a follower, or nothing */
    if (of_lost_world(part, replica->leader_epoch)) return;
    check_count(check, CHECK_R30);
    if (to > part->committed.end) {
        CHECK_FAIL(check, R30, at_replica(replica, to - 1),
                   "a consumer was served %D to %D, committed is only what is below %D", from,
                   to - 1, part->committed.end);
        return;
    }
    if (check_log_fits(&replica->log, &part->committed, to) == CHECK_DIFFERS)
        CHECK_FAIL(check, R30, at_replica(replica, to - 1),
                   "a consumer was served %D to %D, which are not the committed records", from,
                   to - 1);
}

/* R32: what was committed when an epoch began may have been told as the end by the leader before
 * (KIP-207, F29). A follower that asks is told more: the log end; a reader of what is committed by
 * its transaction less: the last stable offset, where one that is open began. */
static void end_told(struct check *check, const struct check_replica_ghost *replica,
                     const struct trace_event *event)
{
    enum { TIME_LATEST = -1 };
    int64_t offset = check_field(event, 3);

    if (check_field(event, 2) != TIME_LATEST || check_field(event, 5) != 0) return;
    if (check_field(event, 6) == 1) return;
    if (!replica->leading || of_lost_world(replica->part, replica->leader_epoch)) return;
    check_count(check, CHECK_R32);
    if (offset < replica->told_from)
        CHECK_FAIL(check, R32, at_replica(replica, offset),
                   "tells %D as the end; %D was committed when epoch %d began", offset,
                   replica->told_from, replica->leader_epoch);
}

bool check_replica_event(struct check *check, uint32_t node, const struct trace_event *event)
{
    struct check_replica_ghost *replica;

    if (event->kind != TRACE_REPLICA_ROLE && event->kind != TRACE_REPLICA_HW &&
        event->kind != TRACE_REPLICA_LEADING && event->kind != TRACE_READ_SERVED &&
        event->kind != TRACE_OFFSETS_LISTED)
        return false;
    replica = check_replica(
        check, node, check_part(check, check_field(event, 0), (int32_t)check_field(event, 1)));
    switch ((int)event->kind) {
    case TRACE_REPLICA_ROLE: role(check, replica, event); break;
    case TRACE_REPLICA_HW: high_watermark(check, replica, event); break;
    case TRACE_REPLICA_LEADING: leading(check, replica, event); break;
    case TRACE_READ_SERVED: read_served(check, replica, event); break;
    case TRACE_OFFSETS_LISTED: end_told(check, replica, event); break;
    default: break;
    }
    return true;
}

/* In-sync sets and what is promised on their ground: R13, R18, R19, R21, R23, R28, R29, R33,
 * R35. */
#include "sim/check/check_private.h"

#include <stdlib.h>

static struct check_at at_isr(const struct check_replica_ghost *replica, int64_t offset)
{
    return (struct check_at){replica->node, replica->part, replica->leader_epoch, offset};
}

/* ---- R13 ------------------------------------------------------------------------------------- */

/* The leader of the chain's epoch counts everybody whom the controller counts. */
void check_isr_chain(struct check *check, struct check_part *part)
{
    for (uint32_t i = 0; i < check->node_count; i++) {
        const struct check_replica_ghost *leader = part->replicas[i];

        if (leader == NULL || !leader->leading || leader->leader_epoch != part->chain.leader_epoch)
            continue;
        if (leader->isr_epoch != leader->leader_epoch) continue;
        check_count(check, CHECK_R13);
        if ((part->chain.isr & ~leader->isr) == 0) continue;
        CHECK_FAIL(check, R13, at_isr(leader, -1),
                   "the controller's ISR is %s at partition epoch %d, the leader's maximal one %s",
                   check_names(check, part->chain.isr).text, part->chain.partition_epoch,
                   check_names(check, leader->isr).text);
        return;
    }
}

static const struct check_state *chain_at(const struct check_part *part, int32_t partition_epoch)
{
    uint32_t low = 0, high = part->past_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (part->past[middle].partition_epoch < partition_epoch) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < part->past_count && part->past[low].partition_epoch == partition_epoch
               ? &part->past[low]
               : NULL;
}

static void committed_isr(struct check *check, const struct check_replica_ghost *replica,
                          int32_t partition_epoch)
{
    const struct check_part *part = replica->part;
    const struct check_state *state = chain_at(part, partition_epoch);

    if (!part->chain.known) return;
    check_count(check, CHECK_R13);
    if (state == NULL) {
        if (partition_epoch <= part->chain.partition_epoch) return; /* before the trace began */
        CHECK_FAIL(check, R13, at_isr(replica, -1),
                   "ISR %s is committed at partition epoch %d, the controller is at %d",
                   check_names(check, replica->isr).text, partition_epoch,
                   part->chain.partition_epoch);
    } else if (state->isr != replica->isr) {
        CHECK_FAIL(check, R13, at_isr(replica, -1),
                   "ISR %s is committed at partition epoch %d, the controller's was %s",
                   check_names(check, replica->isr).text, partition_epoch,
                   check_names(check, state->isr).text);
    }
}

/* ---- R19, R21 -------------------------------------------------------------------------------- */

static void enters(struct check *check, const struct check_replica_ghost *leader, uint32_t node)
{
    const struct check_remote none = {.log_end = -1, .broker_epoch = -1, .leader_epoch = -1};
    const struct check_remote *remote = leader->remotes != NULL ? &leader->remotes[node] : &none;
    int64_t known = check->nodes[leader->node].broker_epoch_of[node];

    if (remote->broker_epoch >= 0 && known >= 0) {
        check_count(check, CHECK_R19);
        if (remote->broker_epoch != known) {
            CHECK_FAIL(check, R19, at_isr(leader, remote->log_end),
                       "node %d enters the ISR by a fetch of broker epoch %D, it is at %D",
                       check->nodes[node].id, remote->broker_epoch, known);
            return;
        }
    }
    check_count(check, CHECK_R21);
    if (remote->leader_epoch != leader->leader_epoch) {
        CHECK_FAIL(check, R21, at_isr(leader, -1),
                   "node %d enters the ISR without a fetch in leader epoch %d",
                   check->nodes[node].id, leader->leader_epoch);
    } else if (remote->log_end < leader->hw || remote->log_end < leader->leader_start) {
        CHECK_FAIL(check, R21, at_isr(leader, remote->log_end),
                   "node %d enters the ISR with log end %D; high watermark %D, epoch start %D",
                   check->nodes[node].id, remote->log_end, leader->hw, leader->leader_start);
    }
}

static void isr(struct check *check, struct check_replica_ghost *replica,
                const struct trace_event *event)
{
    struct check_part *part = replica->part;
    uint64_t members = check_ids(check, event->text, "");
    int32_t leader_epoch = (int32_t)check_field(event, 2);
    bool committed = check_field(event, 4) == 1;
    uint64_t before = replica->isr_epoch == leader_epoch ? replica->isr : members;

    replica->isr = members;
    replica->isr_epoch = leader_epoch;
    if (committed) {
        replica->isr_committed = members;
        if ((int32_t)check_field(event, 3) > replica->partition_epoch)
            replica->partition_epoch = (int32_t)check_field(event, 3);
        committed_isr(check, replica, (int32_t)check_field(event, 3));
    } else {
        for (uint32_t i = 0; i < check->node_count && !check->violated; i++) {
            if (check_in(members & ~before, i)) enters(check, replica, i);
        }
    }
    if (!check->violated && part->chain.known) check_isr_chain(check, part);
}

/* ---- R18, R19 -------------------------------------------------------------------------------- */

static void remote(struct check *check, struct check_replica_ghost *leader,
                   const struct trace_event *event)
{
    uint32_t node = check_node(check, (int32_t)check_field(event, 2));
    const struct check_replica_ghost *follower = check_replica(check, node, leader->part);
    int32_t leader_epoch = (int32_t)check_field(event, 6);
    int64_t log_end = check_field(event, 3), broker_epoch = check_field(event, 5);
    int64_t known = check->nodes[leader->node].broker_epoch_of[node];

    if (leader->remotes == NULL) {
        leader->remotes = calloc(CHECK_NODES_MAX, sizeof *leader->remotes);
        ASSERT(leader->remotes != NULL);
        for (uint32_t i = 0; i < CHECK_NODES_MAX; i++)
            leader->remotes[i] = (struct check_remote){-1, -1, -1};
    }
    leader->remotes[node] = (struct check_remote){log_end, broker_epoch, leader_epoch};
    if (broker_epoch >= 0 && known >= 0) {
        check_count(check, CHECK_R19);
        if (broker_epoch < known) {
            CHECK_FAIL(check, R19, at_isr(leader, log_end),
                       "counts a fetch of node %d at broker epoch %D, and knows it at %D",
                       check->nodes[node].id, broker_epoch, known);
            return;
        }
    }
    /* A fetch may outlive its sender's incarnation, not its leader epoch. */
    if (follower->reach_epoch != leader_epoch) return;
    check_count(check, CHECK_R18);
    if (log_end > follower->reach)
        CHECK_FAIL(check, R18, at_isr(leader, log_end),
                   "believes node %d to end at %D; in epoch %d it never was above %D",
                   check->nodes[node].id, log_end, leader_epoch, follower->reach);
}

/* ---- R23 ------------------------------------------------------------------------------------- */

static void reply(struct check_replica_ghost *replica, const struct trace_event *event)
{
    replica->reply_stale = check_field(event, 2) != check_field(event, 3) ||
                           check_field(event, 4) != check_field(event, 5);
    if (replica->reply_stale) {
        /* What a valid answer brought may still be on its way to the disk. */
        if (replica->reply_landed) replica->append_barred = true;
    } else {
        replica->reply_landed = false;
        replica->append_barred = false;
    }
}

static void diverged(struct check *check, const struct check_replica_ghost *replica,
                     const struct trace_event *event)
{
    check_count(check, CHECK_R23);
    if (replica->reply_stale)
        CHECK_FAIL(check, R23, at_isr(replica, check_field(event, 3)),
                   "truncates towards epoch %D end %D because of an answer to an outdated fetch",
                   check_field(event, 2), check_field(event, 3));
}

void check_isr_appended(struct check *check, struct check_replica_ghost *replica, int64_t base)
{
    if (replica->role != TRACE_ROLE_FOLLOWER) {
        replica->append_barred = false;
        return;
    }
    check_count(check, CHECK_R23);
    if (replica->append_barred)
        CHECK_FAIL(check, R23, at_isr(replica, base),
                   "appends at %D because of an answer to an outdated fetch", base);
    replica->reply_landed = true;
}

/* A new round begins; what an earlier answer brought is cut off. */
void check_isr_truncated(struct check *check, struct check_replica_ghost *replica, int64_t end)
{
    (void)check;
    (void)end;
    replica->reply_landed = true;
    replica->append_barred = false;
}

/* ---- acknowledgements ------------------------------------------------------------------------ */

static void appended(struct check *check, const struct check_replica_ghost *replica,
                     const struct trace_event *event)
{
    struct check_part *part = replica->part;
    int64_t base = check_field(event, 2), last = check_field(event, 3);

    if (check_field(event, 7) > 0) part->min_isr = (int32_t)check_field(event, 7);
    if (last + 1 > part->assigned_end) part->assigned_end = last + 1;
    if (check_field(event, 5) == -1)
        check_liveness_appended(check, replica->node, part, base, last);
}

/* The members of the leader's maximal ISR that hold the leader's batch at `last`. */
static uint64_t holders(struct check *check, const struct check_replica_ghost *leader, int64_t last)
{
    uint64_t set = 0;

    for (uint32_t i = 0; i < check->node_count; i++) {
        const struct check_replica_ghost *other = leader->part->replicas[i];

        if (other == NULL || !check_in(leader->isr, i)) continue;
        /* What a power loss took since is not this reply's fault: R41 and R44 judge that. */
        if (other->lost || (last < other->log.end &&
                            check_log_fits(&other->log, &leader->log, last + 1) == CHECK_FITS))
            set |= UINT64_C(1) << i; /* of the ISR, so in a set */
    }
    return set;
}

/* R35: the batches of this partition that begin here. */
static void acked_once(struct check *check, const struct check_replica_ghost *leader, int64_t base,
                       int64_t last)
{
    const struct check_part *part = leader->part;
    uint32_t own, index;

    if (!check_log_find(&leader->log, last, &own) || own == CHECK_UNKNOWN) return;
    check_count(check, CHECK_R35);
    for (index = check_table_get(&check->batches_by_base, part->index,
                                 (uint64_t)check->batches.items[own].base);
         index != 0; index = check->batches.items[index].same) {
        if (index == own || !check->batches.items[index].acked) continue;
        if (part->forgiven && base >= part->loss_from) continue;
        CHECK_FAIL(check, R35, at_isr(leader, base),
                   "acknowledges offset %D of epoch %d; another batch of epoch %d was acknowledged "
                   "there",
                   base, check->batches.items[own].epoch, check->batches.items[index].epoch);
        return;
    }
    check->batches.items[own].acked = true;
}

static void acked_all(struct check *check, const struct check_replica_ghost *leader, int64_t base,
                      int64_t last)
{
    const struct check_part *part = leader->part;
    int32_t min = check_replica_min_isr(check, part);
    uint64_t held;

    acked_once(check, leader, base, last);
    if (check->violated) return;
    check_count(check, CHECK_R29);
    if (last >= part->committed.end ||
        check_log_fits(&leader->log, &part->committed, last + 1) == CHECK_DIFFERS) {
        if (part->forgiven && leader->leader_epoch < part->loss_epoch) return;
        CHECK_FAIL(check, R29, at_isr(leader, base),
                   "acknowledges %D to %D with acks=all; committed is what is below %D", base, last,
                   part->committed.end);
        return;
    }
    if (leader->isr_epoch != leader->leader_epoch || last < leader->log.start) return;
    held = holders(check, leader, last);
    check_count(check, CHECK_R28);
    if ((int32_t)check_set_size(held) < min)
        CHECK_FAIL(check, R28, at_isr(leader, base),
                   "acknowledges %D to %D with acks=all; of the ISR %s only %s hold them, min ISR "
                   "is %d",
                   base, last, check_names(check, leader->isr).text, check_names(check, held).text,
                   min);
}

static void answered(struct check *check, const struct check_replica_ghost *replica,
                     const struct trace_event *event)
{
    int64_t base = check_field(event, 2), last = check_field(event, 3);
    int64_t err = check_field(event, 4), acks = check_field(event, 5);

    if (acks == -1) check_liveness_answered(check, replica->node, replica->part, base);
    if (check->violated || err != 0) return;
    if (acks == -1) {
        acked_all(check, replica, base, last);
    } else if (acks == 1) {
        check_count(check, CHECK_R33);
        if (last >= replica->log.end)
            CHECK_FAIL(check, R33, at_isr(replica, base),
                       "acknowledges %D to %D with acks=1, its log ends at %D", base, last,
                       replica->log.end);
    }
}

bool check_isr_event(struct check *check, uint32_t node, const struct trace_event *event)
{
    struct check_replica_ghost *replica;

    switch ((int)event->kind) {
    case TRACE_REPLICA_ISR:
    case TRACE_REPLICA_REMOTE:
    case TRACE_REPLICA_FETCH_REPLY:
    case TRACE_REPLICA_DIVERGED:
    case TRACE_REPLICA_MIN_ISR:
    case TRACE_PRODUCE_APPENDED:
    case TRACE_PRODUCE_ANSWERED: break;
    default: return false;
    }
    replica = check_replica(
        check, node, check_part(check, check_field(event, 0), (int32_t)check_field(event, 1)));
    switch ((int)event->kind) {
    case TRACE_REPLICA_ISR: isr(check, replica, event); break;
    case TRACE_REPLICA_REMOTE: remote(check, replica, event); break;
    case TRACE_REPLICA_FETCH_REPLY: reply(replica, event); break;
    case TRACE_REPLICA_DIVERGED: diverged(check, replica, event); break;
    case TRACE_REPLICA_MIN_ISR: replica->part->min_isr = (int32_t)check_field(event, 3); break;
    case TRACE_PRODUCE_APPENDED: appended(check, replica, event); break;
    case TRACE_PRODUCE_ANSWERED: answered(check, replica, event); break;
    default: break;
    }
    return true;
}

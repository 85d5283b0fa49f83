/* The ledger of losses as whoever injects faults reads it: the same ghosts that R41 and R44 judge
 * by, so that what the injector believes and what the oracle forgives cannot part.
 *
 * A replica has spent a unit from the moment it may have lost records (its machine lost power or
 * its disk failed, and the log is not open again) or has lost some, until it holds everything that
 * is committed again (check_log.c, "earned back"). Of the metadata nothing is promised before it is
 * synced: a loss of what was not synced costs the quorum nothing. */
#include "sim/check/check_private.h"

#include <string.h>

/* It leads when nobody else may. */
static uint64_t last_known(const struct check_state *state)
{
    return state->isr == 0 && state->elr == 0 ? state->last_known : 0;
}

/* In the maximal ISR of the committed leader. */
static bool joining(const struct check *check, const struct check_part *part, uint32_t index)
{
    for (uint32_t i = 0; i < check->node_count; i++) {
        const struct check_replica_ghost *leader = part->replicas[i];

        if (check->nodes[i].id != part->chain.leader || leader == NULL) continue;
        return leader->isr_epoch == part->chain.leader_epoch && check_in(leader->isr, index);
    }
    return false;
}

struct check_member check_partition_member(const struct check *check, const char *topic,
                                           int32_t partition, int32_t node)
{
    struct check_member member = {false, false, false, false};
    int64_t id = 0;

    for (uint32_t i = 0; i < check->topic_count; i++) {
        if (strcmp(check->topics[i].name, topic) == 0) id = check->topics[i].topic;
    }
    for (uint32_t p = 0; p < check->parts.count && id != 0; p++) {
        const struct check_part *part = check->parts.items[p];

        if (part->topic != id || part->partition != partition) continue;
        for (uint32_t i = 0; i < check->node_count; i++) {
            if (check->nodes[i].id != node) continue;
            member.replica = check_in(part->chain.replicas, i);
            member.in_sync =
                check_in(part->chain.isr | part->chain.elr | part->work.isr | part->work.elr |
                             last_known(&part->chain) | last_known(&part->work),
                         i);
            member.last_leader = check_in((part->chain.isr == 0 ? part->chain.last_known : 0) |
                                              (part->work.isr == 0 ? part->work.last_known : 0),
                                          i);
            member.joining = !member.in_sync && joining(check, part, i);
        }
    }
    return member;
}

static bool spent(const struct check *check, const struct check_part *part, uint32_t index)
{
    const struct check_node *node = &check->nodes[index];
    const struct check_replica_ghost *replica = part->replicas[index];

    if (node->disk_armed || node->disk_lied) return true;
    if (part->topic == 0) return false;
    return replica != NULL && (replica->lost || replica->down_how == 2);
}

/* DIFFERS from what the budget says: a disk that fails or lies takes what its process believes to
 * have, and a broker learns that from its logs only, when it is registered already. */
static bool deceived(const struct check *check, uint32_t index)
{
    const struct check_node *node = &check->nodes[index];

    return node->disk_armed || node->disk_failed || node->disk_lied;
}

bool check_disk_spent(const struct check *check, int32_t node)
{
    for (uint32_t i = 0; i < check->node_count; i++) {
        if (check->nodes[i].id == node) return deceived(check, i);
    }
    return false;
}

/* Of the metadata: the voters. */
static bool member(const struct check *check, const struct check_part *part, uint32_t index)
{
    if (part->topic == 0) return check->nodes[index].voter;
    return check_in(part->chain.replicas, index);
}

static int32_t budget_of(const struct check *check, const struct check_part *part)
{
    uint32_t voters = 0;

    if (part->topic != 0) {
        return check->config.loss_budget >= 0 ? check->config.loss_budget
                                              : check_replica_min_isr(check, part) - 1;
    }
    for (uint32_t i = 0; i < check->node_count; i++)
        voters += check->nodes[i].voter;
    /* Of sets that change: the smallest that anybody counts by. */
    for (uint32_t i = 0; i < check->node_count; i++) {
        uint32_t own = check_set_size(check->nodes[i].voters.set);

        if (check_voters_known(check, i) && own > 0 && own < voters) voters = own;
    }
    return ((int32_t)voters - 1) / 2;
}

/* What one event would do to one partition. */
struct weighed {
    bool touched;   /* a member is hit */
    int32_t losers; /* members without their data: of earlier losses, and of this one */
    uint32_t spent; /* of earlier losses, not hit */
    uint32_t again; /* of earlier losses, hit again; down already, it may be */
    uint32_t whole; /* hit, of no earlier loss */
    uint32_t peers; /* not hit, have everything, and the controller knows it */
    bool deceived;  /* some member's disk failed or lied, and others are hit */
};

static struct weighed weigh(const struct check *check, const struct check_part *part,
                            const int32_t *ids, uint32_t count, enum check_loss_kind kind)
{
    struct weighed w = {0};
    uint32_t deceivers = 0, hits = 0;
    bool same = false;

    for (uint32_t i = 0; i < check->node_count; i++) {
        bool hit = false;
        bool gone = spent(check, part, i);

        if (!member(check, part, i)) continue;
        for (uint32_t j = 0; j < count; j++)
            hit = hit || check->nodes[i].id == ids[j];
        w.touched = w.touched || hit;
        w.losers += (hit && (kind == CHECK_LOSS_UNSYNCED || kind == CHECK_LOSS_SYNCED)) || gone;
        w.spent += !hit && gone;
        w.again += hit && gone;
        w.whole += hit && !gone;
        w.peers += !hit && !gone && check_in(part->chain.isr | part->chain.elr, i);
        hits += hit;
        deceivers += deceived(check, i);
        same = same || (hit && deceived(check, i));
    }
    /* Only the one whose disk it is may be restarted, alone. */
    w.deceived = deceivers > 0 && hits > 0 && !(hits == 1 && deceivers == 1 && same);
    return w;
}

bool check_loss_room(const struct check *check, const int32_t *ids, uint32_t count,
                     enum check_loss_kind kind, struct check_loss *loss)
{
    for (uint32_t p = 0; p < check->parts.count; p++) {
        const struct check_part *part = check->parts.items[p];
        int32_t budget = budget_of(check, part);
        struct weighed w;
        bool room = true;

        if (part->gone || (part->topic == 0 && kind != CHECK_LOSS_SYNCED)) continue;
        w = weigh(check, part, ids, count, kind);
        if (!w.touched) continue;
        switch (kind) {
        case CHECK_LOSS_PROCESS: room = !w.deceived; break;
        case CHECK_LOSS_MACHINE:
            /* Nobody can prove any more that nothing was lost: the last leader would lead. */
            room = !w.deceived && w.spent == 0 && (w.again == 0 || w.whole == 0);
            break;
        case CHECK_LOSS_UNSYNCED:
        case CHECK_LOSS_SYNCED:
            room = w.losers <= budget && (part->topic == 0 || (!w.deceived && w.peers > 0));
            break;
        }
        if (room) continue;
        *loss = (struct check_loss){part->topic, part->partition, w.losers, budget};
        return false;
    }
    return true;
}

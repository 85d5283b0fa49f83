/* The ledger of losses as whoever injects faults reads it: the same ghosts that R41 and R44 judge
 * by, so that what the injector believes and what the oracle forgives cannot part.
 *
 * A replica has spent a unit from the moment it may have lost records (its machine lost power or
 * its disk failed, and the log is not open again) or has lost some, until it holds everything that
 * is committed again (check_log.c, "earned back"). Of the metadata nothing is promised before it is
 * synced: a loss of what was not synced costs the quorum nothing. */
#include "sim/check/check_private.h"

#include <string.h>

struct check_member check_partition_member(const struct check *check, const char *topic,
                                           int32_t partition, int32_t node)
{
    struct check_member member = {false, false};
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
                check_in(part->chain.isr | part->chain.elr | part->work.isr | part->work.elr, i);
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

/* DIFFERS from what the budget says: a controller cannot tell a replica that was killed from one
 * that has lost data; when every in-sync replica is restarted at once, the last to come back leads,
 * whatever it has lost (KIP-966 leaves that to its unclean recovery, which this broker has not). So
 * a loss and the restarts of its peers are kept apart. */
static bool restarts(const struct check *check, const struct check_part *part, uint32_t index,
                     enum check_loss_kind kind)
{
    const struct check_replica_ghost *replica = part->replicas[index];

    if (part->topic == 0) return false;
    if (spent(check, part, index)) return true;
    if (kind == CHECK_LOSS_PROCESS) return false;
    return check_in(part->chain.isr | part->chain.elr, index) &&
           (replica == NULL || replica->down_how != 0 || !check->nodes[index].up);
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
    return ((int32_t)voters - 1) / 2;
}

bool check_loss_room(const struct check *check, const int32_t *ids, uint32_t count,
                     enum check_loss_kind kind, struct check_loss *loss)
{
    for (uint32_t p = 0; p < check->parts.count; p++) {
        const struct check_part *part = check->parts.items[p];
        int32_t budget = budget_of(check, part);
        int32_t losers = 0;
        uint32_t peers = 0;
        uint32_t hits = 0;
        uint32_t weak = 0;
        bool alone = false;
        bool touched = false;
        bool others = false; /* has another replica lost data, or is it being restarted? */

        if (part->gone || (part->topic == 0 && kind != CHECK_LOSS_SYNCED)) continue;
        for (uint32_t i = 0; i < check->node_count; i++) {
            bool hit = false;

            if (!member(check, part, i)) continue;
            for (uint32_t j = 0; j < count; j++)
                hit = hit || check->nodes[i].id == ids[j];
            touched = touched || hit;
            losers += (hit && kind != CHECK_LOSS_PROCESS) || spent(check, part, i);
            others = others || (!hit && restarts(check, part, i, kind));
            hits += hit;
            weak += spent(check, part, i);
            alone = alone || (hit && spent(check, part, i));
            peers += !hit && check_in(part->chain.isr, i);
        }
        /* Only the one that has lost data may be restarted, alone. */
        others = others || (weak > 0 && hits > 0 && !(hits == 1 && weak == 1 && alone));
        /* The last one in sync is the only one who may lead. */
        others = others || (peers == 0 && kind != CHECK_LOSS_PROCESS && part->topic != 0);
        if (!touched || (losers <= budget && !others)) continue;
        if (kind == CHECK_LOSS_PROCESS && !others) continue;
        *loss = (struct check_loss){part->topic, part->partition, losers, budget};
        return false;
    }
    return true;
}

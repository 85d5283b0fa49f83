/* What must have come about after the faults stopped: K30 to K32, K34, R51 to R54, R57, R59.
 * Judged from the same events, once, when phase 3 is entered (the nodes are still up) or at
 * check_finish(); R53 also at each late answer. Nodes outside of the core are not asked for
 * anything. */
#include "sim/check/check_private.h"

#include <stdlib.h>

static struct check_at at_end(uint32_t node, const struct check_part *part, int64_t epoch)
{
    return (struct check_at){node, part, epoch, -1};
}

/* ---- R53 ------------------------------------------------------------------------------------- */

static uint64_t produce_key(uint32_t node, const struct check_part *part)
{
    return (uint64_t)node << 32 | part->index;
}

void check_liveness_appended(struct check *check, uint32_t node, const struct check_part *part,
                             int64_t base, int64_t last)
{
    uint64_t key = produce_key(node, part);
    uint32_t found = check_table_get(&check->produces_by_key, key, (uint64_t)base);
    struct check_produce fresh = {.node = node, .part = part->index};
    struct check_produce *produce;

    if (found == 0) {
        CHECK_PUSH(&check->produces, fresh);
        found = check->produces.count;
        check_table_set(&check->produces_by_key, key, (uint64_t)base, found);
    }
    produce = &check->produces.items[found - 1];
    if (produce->incarnation != check->nodes[node].incarnation) produce->open = 0;
    produce->incarnation = check->nodes[node].incarnation;
    produce->last_offset = last;
    if (produce->open++ == 0) produce->time_ns = check->now_ns; /* a repeat waits for itself */
}

/* What a coordinator writes has no timeout: whoever asked is told after offsets.commit.timeout.ms,
 * and the write waits on, for its commit or the end of the leadership. A replica that fell silent,
 * or one outside of the ISR that was about to join, holds it up until it has lagged for
 * replica.lag.time.max.ms; the leader looks every half of that (replication.md 2). */
static int64_t answer_ns(const struct check *check, const struct check_produce *produce)
{
    int64_t limit = check->config.request_timeout_ns;
    int64_t silence = check->config.replica_lag_ns * 3 / 2;
    int64_t topic = check->parts.items[produce->part]->topic;

    if (topic == check->offsets_topic && topic != 0 && silence > limit) limit = silence;
    return limit + check->config.heartbeat_ns;
}

static bool too_late(struct check *check, const struct check_produce *produce)
{
    /* One that is cut off may lead by its own lights: what its coordinator writes goes to a log
     * that nobody follows, and ends with the leadership. */
    if (!check_in(check->core, produce->node)) return false;
    if (check->liveness_ns < 0 || produce->time_ns < check->liveness_ns) return false;
    check_count(check, CHECK_R53);
    return check->now_ns - produce->time_ns > answer_ns(check, produce);
}

void check_liveness_answered(struct check *check, uint32_t node, const struct check_part *part,
                             int64_t base)
{
    uint32_t found =
        check_table_get(&check->produces_by_key, produce_key(node, part), (uint64_t)base);
    struct check_produce *produce;

    if (found == 0) return;
    produce = &check->produces.items[found - 1];
    if (produce->open == 0 || produce->incarnation != check->nodes[node].incarnation) return;
    produce->open--;
    if (produce->open == 0 && too_late(check, produce))
        CHECK_FAIL(check, R53, at_end(node, part, -1),
                   "the produce at offset %D was answered after %D ms", base,
                   (check->now_ns - produce->time_ns) / 1000000);
}

static void requests_answered(struct check *check)
{
    for (uint32_t i = 0; i < check->produces.count && !check->violated; i++) {
        const struct check_produce *produce = &check->produces.items[i];
        const struct check_node *node = &check->nodes[produce->node];

        if (produce->open == 0 || !node->up || produce->incarnation != node->incarnation) continue;
        if (too_late(check, produce))
            CHECK_FAIL(check, R53, at_end(produce->node, check->parts.items[produce->part], -1),
                       "the produce that ends at offset %D has waited for %D ms and still waits",
                       produce->last_offset, (check->now_ns - produce->time_ns) / 1000000);
    }
}

/* What is broken outside of the core stays broken. */
static bool alive(const struct check *check, uint32_t node)
{
    return check_in(check->core, node) && check->nodes[node].up;
}

/* ---- the quorum ------------------------------------------------------------------------------ */

enum { RAFT_LEADS = 3 }; /* as in check_raft.c */

static bool leads(const struct check *check, uint32_t node)
{
    const struct check_raft *raft = &check->nodes[node].raft;

    return alive(check, node) && raft->known && raft->state == RAFT_LEADS;
}

static void quorum_leads(struct check *check)
{
    uint32_t voters = 0;

    for (uint32_t i = 0; i < check->node_count; i++) {
        const struct check_node *node = &check->nodes[i];

        if (node->voter && alive(check, i)) voters++;
        /* A leader outside of the core is one as well, when it is fit enough to commit. */
        if (node->up && node->raft.known && node->raft.state == RAFT_LEADS &&
            node->raft.hw_epoch == node->raft.epoch) {
            check_count(check, CHECK_K30);
            return;
        }
    }
    if (voters == 0) return; /* a trace of brokers only */
    check_count(check, CHECK_K30);
    CHECK_FAIL(check, K30, at_end(UINT32_MAX, NULL, check->newest_epoch),
               "no voter leads with a known high watermark (%u voters are up)", voters);
}

static void one_leader(struct check *check)
{
    uint32_t first = UINT32_MAX;
    int64_t quiet = check_liveness_ns(&check->config) / 2;

    for (uint32_t i = 0; i < check->node_count; i++) {
        if (!leads(check, i)) continue;
        check_count(check, CHECK_K34);
        if (first != UINT32_MAX) {
            CHECK_FAIL(check, K34, at_end(i, NULL, check->nodes[i].raft.epoch),
                       "leads epoch %d, and node %d leads epoch %d", check->nodes[i].raft.epoch,
                       check->nodes[first].id, check->nodes[first].raft.epoch);
            return;
        }
        first = i;
    }
    if (check->newest_epoch >= 0 && check->contested_ns > check->now_ns - quiet)
        CHECK_FAIL(check, K34, at_end(check->newest_leader, NULL, check->newest_epoch),
                   "was elected in epoch %d only %D ms before the end: elections go on",
                   check->newest_epoch, (check->now_ns - check->contested_ns) / 1000000);
}

static void nobody_campaigns(struct check *check)
{
    int64_t limit = 2 * (check->config.quorum_fetch_ns + 2 * check->config.election_ns);

    for (uint32_t i = 0; i < check->node_count; i++) {
        const struct check_node *node = &check->nodes[i];

        if (!node->voter || !alive(check, i) || !node->raft.known) continue;
        check_count(check, CHECK_K31);
        if (node->raft.unsettled_ns < 0 || check->now_ns - node->raft.unsettled_ns <= limit)
            continue;
        CHECK_FAIL(check, K31, at_end(i, NULL, node->raft.epoch),
                   "follows nobody and does not lead, for %D ms (epoch %d)",
                   (check->now_ns - node->raft.unsettled_ns) / 1000000, node->raft.epoch);
        return;
    }
}

/* What was committed a while ago has reached everybody who was up all that time. */
static void metadata_reaches(struct check *check)
{
    int64_t ago = 3 * check->config.heartbeat_ns;
    int64_t end = -1;
    uint32_t kept = check->sample_count < CHECK_SAMPLES ? check->sample_count : CHECK_SAMPLES;

    for (uint32_t i = check->sample_count - kept; i < check->sample_count; i++) {
        const struct check_sample *sample = &check->samples[i % CHECK_SAMPLES];

        if (sample->time_ns <= check->now_ns - ago && sample->end > end) end = sample->end;
    }
    if (check->sample_count > 0 && check->committed_ns <= check->now_ns - ago)
        end = check->metadata->committed.end;
    for (uint32_t i = 0; i < check->node_count && end >= 0; i++) {
        const struct check_node *node = &check->nodes[i];
        const struct check_replica_ghost *replica = check->metadata->replicas[i];

        if (!alive(check, i) || replica == NULL || node->up_ns > check->now_ns - ago) continue;
        check_count(check, CHECK_K32);
        if (replica->log.end >= end && node->raft.hw >= end && node->applied >= end - 1) continue;
        CHECK_FAIL(check, K32, at_end(i, NULL, node->raft.epoch),
                   "metadata log end %D, high watermark %D, applied %D; %D was committed %D ms ago",
                   replica->log.end, node->raft.hw, node->applied, end, ago / 1000000);
        return;
    }
}

/* ---- partitions ------------------------------------------------------------------------------ */

static bool serves(const struct check *check, uint32_t node)
{
    return alive(check, node) && check->chain_brokers[node].known &&
           !check->chain_brokers[node].fenced;
}

static void unfenced(struct check *check)
{
    for (uint32_t i = 0; i < check->node_count; i++) {
        const struct check_node *node = &check->nodes[i];
        const struct check_broker *broker = &check->chain_brokers[i];

        if (!alive(check, i) || node->kind == 2 || node->kind == 4) continue;
        if (!broker->known && node->kind == 0) continue; /* no telling what it is */
        if (broker->leaving) continue;
        check_count(check, CHECK_R57);
        if (broker->known && !broker->fenced) continue;
        CHECK_FAIL(check, R57, at_end(i, NULL, broker->known ? broker->epoch : -1),
                   "is up since %D ms and %s", (check->now_ns - node->up_ns) / 1000000,
                   broker->known ? "still fenced" : "not registered");
        return;
    }
}

static void led(struct check *check, const struct check_part *part)
{
    const struct check_state *chain = &part->chain;
    const struct check_replica_ghost *leader;
    bool candidate = false;

    for (uint32_t i = 0; i < check->node_count; i++) {
        if (check_in(chain->isr != 0 ? chain->isr : chain->elr, i) && serves(check, i))
            candidate = true;
    }
    if (!candidate) return;
    check_count(check, CHECK_R51);
    if (chain->leader < 0) {
        CHECK_FAIL(check, R51, at_end(UINT32_MAX, part, chain->leader_epoch),
                   "no leader, though of the ISR %s somebody serves",
                   check_names(check, chain->isr).text);
        return;
    }
    leader = part->replicas[check_node(check, chain->leader)];
    if (leader != NULL && check->nodes[leader->node].up && leader->leading &&
        leader->leader_epoch == chain->leader_epoch)
        return;
    CHECK_FAIL(check, R51, at_end(check_node(check, chain->leader), part, chain->leader_epoch),
               "node %d is the leader of epoch %d and does not lead", chain->leader,
               chain->leader_epoch);
}

static void in_sync(struct check *check, const struct check_part *part)
{
    const struct check_state *chain = &part->chain;
    const struct check_replica_ghost *leader;
    bool quiet = check->now_ns - part->appended_ns >
                 2 * check->config.fetch_wait_ns + check->config.heartbeat_ns;

    if (chain->leader < 0) return;
    leader = part->replicas[check_node(check, chain->leader)];
    if (leader == NULL || !leader->leading) return;
    for (uint32_t i = 0; i < check->node_count; i++) {
        const struct check_replica_ghost *replica = part->replicas[i];

        if (!check_in(chain->replicas, i) || !serves(check, i) || replica == NULL) continue;
        check_count(check, CHECK_R52);
        if (!check_in(chain->isr, i)) {
            CHECK_FAIL(check, R52, at_end(i, part, chain->leader_epoch),
                       "is alive and not in the ISR %s (log end %D, the leader's %D)",
                       check_names(check, chain->isr).text, replica->log.end, leader->log.end);
            return;
        }
        if (!quiet || (replica->hw == leader->hw && leader->hw == leader->log.end)) continue;
        CHECK_FAIL(check, R52, at_end(i, part, chain->leader_epoch),
                   "high watermark %D; the leader's is %D, its log end %D", replica->hw, leader->hw,
                   leader->log.end);
        return;
    }
}

static void reassigned(struct check *check, const struct check_part *part)
{
    const struct check_state *chain = &part->chain;

    check_count(check, CHECK_R54);
    if (chain->adding == 0 && chain->removing == 0) return;
    for (uint32_t i = 0; i < check->node_count; i++)
        if (check_in(chain->replicas & ~chain->removing, i) && !serves(check, i)) return;
    CHECK_FAIL(check, R54, at_end(UINT32_MAX, part, chain->leader_epoch),
               "adding %s, removing %s of replicas %s, and all who are to stay are there (ISR %s)",
               check_names(check, chain->adding).text, check_names(check, chain->removing).text,
               check_names(check, chain->replicas).text, check_names(check, chain->isr).text);
}

static void gone(struct check *check, const struct check_part *part)
{
    for (uint32_t i = 0; i < check->node_count; i++) {
        const struct check_replica_ghost *replica = part->replicas[i];

        if (replica == NULL || check_in(part->chain.replicas, i) || !serves(check, i)) continue;
        check_count(check, CHECK_R59);
        if (replica->role != TRACE_ROLE_FOLLOWER && replica->role != TRACE_ROLE_LEADER) continue;
        CHECK_FAIL(check, R59, at_end(i, part, replica->leader_epoch),
                   "is no replica (they are %s) and still %s in leader epoch %d",
                   check_names(check, part->chain.replicas).text,
                   replica->role == TRACE_ROLE_LEADER ? "leads" : "follows", replica->leader_epoch);
        return;
    }
}

void check_liveness_finish(struct check *check)
{
    static void (*const quorum[])(struct check * check) = {
        quorum_leads, one_leader, nobody_campaigns, metadata_reaches, unfenced};

    for (uint32_t i = 0; i < COUNT_OF(quorum); i++) {
        if (!check->violated) quorum[i](check);
    }
    for (uint32_t i = 0; i < check->parts.count && !check->violated; i++) {
        const struct check_part *part = check->parts.items[i];

        if (!part->chain.known || part->gone) continue;
        led(check, part);
        if (!check->violated) in_sync(check, part);
        if (!check->violated) reassigned(check, part);
        if (!check->violated) gone(check, part);
    }
    if (!check->violated) requests_answered(check);
}

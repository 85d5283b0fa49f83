/* The controller: R12, R15, R16, R36 to R39, R45, K7, K22, K23, K25, K26.
 *
 * CONTROLLER_PARTITION and CONTROLLER_BROKER tell what an active controller has written, not what
 * is committed. They wait in `pending` until the quorum's high watermark passes their offset, and
 * join the chain if the committed batch there is of the controller's epoch; what a deposed
 * controller wrote in vain is forgotten. `work` is what the active controller has in memory. */
#include "sim/check/check_private.h"

#include <stdlib.h>
#include <string.h>

static struct check_at at_part(uint32_t node, const struct check_part *part,
                               const struct check_state *state)
{
    return (struct check_at){node, part, state->leader_epoch, state->offset};
}

static struct check_at at_node(uint32_t node, int64_t epoch, int64_t offset)
{
    return (struct check_at){node, NULL, epoch, offset};
}

/* ---- K23 ------------------------------------------------------------------------------------- */

static bool may_decide(struct check *check, uint32_t index, const char *what)
{
    const struct check_node *node = &check->nodes[index];

    check_count(check, CHECK_K23);
    if (!node->renounced) return true;
    CHECK_FAIL(check, K23, at_node(index, -1, -1), "renounced, and then decided: %s", what);
    return false;
}

static void controller_active(struct check *check, uint32_t index, int32_t epoch)
{
    struct check_node *node = &check->nodes[index];
    uint32_t known = check_table_get(&check->elected, (uint32_t)epoch, 0);

    check_count(check, CHECK_K1);
    if (known != 0 && known != index + 1) {
        CHECK_FAIL(check, K1, at_node(index, epoch, -1),
                   "active controller of epoch %d, which node %d was elected in", epoch,
                   check->nodes[known - 1].id);
        return;
    }
    node->controller_epoch = epoch;
    node->renounced = false;
    if (epoch > check->newest_controller) check->newest_controller = epoch;
    memcpy(check->work_brokers, check->chain_brokers, sizeof check->work_brokers);
}

/* One that was deposed and does not know it yet: what it writes is never committed, for its
 * successor's epoch begins with an entry on a majority (kraft.md 6). */
static bool deposed(const struct check *check, uint32_t index)
{
    return check->nodes[index].controller_epoch < check->newest_controller;
}

/* ---- partitions ------------------------------------------------------------------------------ */

static bool unclean_word(struct str text)
{
    static const char word[] = "unclean";

    return text.length >= sizeof word - 1 &&
           memcmp(text.data + text.length - (sizeof word - 1), word, sizeof word - 1) == 0;
}

static void epochs_by_one(struct check *check, uint32_t node, const struct check_part *part,
                          const struct check_state *before, const struct check_state *state)
{
    bool moved = state->leader_epoch != before->leader_epoch;

    if (!before->known) return;
    check_count(check, CHECK_R36);
    if (state->partition_epoch != before->partition_epoch + 1) {
        CHECK_FAIL(check, R36, at_part(node, part, state), "partition epoch %d after %d",
                   state->partition_epoch, before->partition_epoch);
    } else if (moved && state->leader_epoch != before->leader_epoch + 1) {
        CHECK_FAIL(check, R36, at_part(node, part, state), "leader epoch %d after %d",
                   state->leader_epoch, before->leader_epoch);
    } else if (!moved && state->leader != before->leader) {
        CHECK_FAIL(check, R36, at_part(node, part, state),
                   "leader %d after %d in the same leader epoch %d", state->leader, before->leader,
                   state->leader_epoch);
    }
}

/* R45: who enters the ISR has fetched in this life, in this leader epoch. */
static void re_enters(struct check *check, uint32_t node, const struct check_part *part,
                      const struct check_state *before, const struct check_state *state)
{
    uint64_t entering = state->isr & ~before->isr;
    /* Who proposed it: the end of a reassignment may give the partition another leader at once. */
    int32_t proposer = before->leader >= 0 ? before->leader : state->leader;
    const struct check_replica_ghost *leader;

    if (!before->known || state->unclean || state->leader < 0) return;
    leader = part->replicas[check_node(check, proposer)];
    if (leader == NULL || leader->remotes == NULL) return;
    for (uint32_t i = 0; i < check->node_count; i++) {
        const struct check_remote *remote = &leader->remotes[i];
        const struct check_broker *broker = &check->work_brokers[i];

        /* A leader from the ELR enters by its election. */
        if (!check_in(entering, i) || check->nodes[i].id == state->leader) continue;
        if (!broker->known || remote->broker_epoch == -1) continue;
        check_count(check, CHECK_R45);
        if (remote->broker_epoch == broker->epoch) continue;
        CHECK_FAIL(
            check, R45, at_part(node, part, state),
            "node %d of broker epoch %D enters the ISR; the leader has heard of broker epoch "
            "%D only",
            check->nodes[i].id, broker->epoch, remote->broker_epoch);
        return;
    }
}

/* R45: logs are opened when the registration is committed, and that took a broker whose machine
 * went down out of everything (KIP-966). */
void check_controller_lost(struct check *check, const struct check_replica_ghost *replica)
{
    const struct check_part *part = replica->part;

    if (part->topic == 0 || !part->chain.known || !check->elr) return;
    check_count(check, CHECK_R45);
    if (check_in(part->chain.isr | part->chain.elr, replica->node))
        CHECK_FAIL(check, R45, at_part(replica->node, part, &part->chain),
                   "lost data and is still in the ISR %s or the ELR %s",
                   check_names(check, part->chain.isr).text,
                   check_names(check, part->chain.elr).text);
}

/* R58: what KIP-455 promises. */
static void replicas_go(struct check *check, uint32_t node, const struct check_part *part,
                        const struct check_state *before, const struct check_state *state)
{
    uint64_t gone = before->replicas & ~state->replicas;
    uint64_t came = before->adding & state->replicas;
    bool back = (gone & ~before->adding) == 0; /* to what it was */

    if (!before->known || state->unclean) return;
    if (gone == 0 && (before->adding | before->removing) == 0) return;
    check_count(check, CHECK_R58);
    if ((state->adding | state->removing) != 0) {
        if (gone == 0) return;
        CHECK_FAIL(check, R58, at_part(node, part, state),
                   "replicas %s went, and the reassignment is not over",
                   check_names(check, gone).text);
    } else if (gone != 0 && state->leader >= 0 && state->leader_epoch == before->leader_epoch) {
        CHECK_FAIL(check, R58, at_part(node, part, state),
                   "replicas %s went, and no new leader epoch fences them out",
                   check_names(check, gone).text);
    } else if ((came & ~state->isr) != 0) {
        CHECK_FAIL(check, R58, at_part(node, part, state),
                   "the reassignment is over, replicas %s went, and %s, which was to come, is not "
                   "in the ISR",
                   check_names(check, gone).text, check_names(check, came & ~state->isr).text);
    } else if (!back && check_set_size(came) < check_set_size(gone) &&
               (state->replicas & ~state->isr) != 0) {
        CHECK_FAIL(check, R58, at_part(node, part, state),
                   "replicas %s went, more than came, and those left are not all in the ISR %s",
                   check_names(check, gone).text, check_names(check, state->isr).text);
    }
}

static bool min_isr_known(const struct check *check, const struct check_part *part)
{
    return check->min_isr_known || part->min_isr > 0 || part->configured_min_isr > 0;
}

static void written_partition(struct check *check, uint32_t node, const struct trace_event *event)
{
    struct check_part *part =
        check_part(check, check_field(event, 0), (int32_t)check_field(event, 1));
    int32_t epoch = check->nodes[node].controller_epoch;
    struct check_state state = {
        .known = true,
        .unclean = unclean_word(event->text),
        .leader = (int32_t)check_field(event, 2),
        .leader_epoch = (int32_t)check_field(event, 3),
        .partition_epoch = (int32_t)check_field(event, 4),
        .offset = check_field(event, 5),
        .isr = check_ids(check, event->text, "isr "),
        .replicas = check_ids(check, event->text, "replicas "),
        .elr = check_ids(check, event->text, "elr "),
        .last_known = check_ids(check, event->text, "last "),
        .adding = check_ids(check, event->text, "adding "),
        .removing = check_ids(check, event->text, "removing "),
    };
    struct check_pending pending = {
        .offset = state.offset, .epoch = epoch, .part = part, .state = state};

    if (state.last_known != 0 || state.elr != 0) check->elr = true;
    if (!may_decide(check, node, "a partition") || deposed(check, node)) return;
    if (part->work_epoch != epoch) part->work = part->chain;
    part->work_epoch = epoch;
    check_count(check, CHECK_R12);
    if (state.leader >= 0 && !check_in(state.isr, check_node(check, state.leader))) {
        CHECK_FAIL(check, R12, at_part(node, part, &state), "leader %d is not in the ISR %s",
                   state.leader, check_names(check, state.isr).text);
        return;
    }
    check_count(check, CHECK_R14);
    if (state.elr != 0 &&
        ((state.elr & (state.isr | ~state.replicas)) != 0 ||
         (min_isr_known(check, part) &&
          (int32_t)check_set_size(state.isr) >= check_replica_min_isr(check, part)))) {
        CHECK_FAIL(check, R14, at_part(node, part, &state),
                   "ELR %s with ISR %s of replicas %s, min ISR is %d",
                   check_names(check, state.elr).text, check_names(check, state.isr).text,
                   check_names(check, state.replicas).text, check_replica_min_isr(check, part));
        return;
    }
    epochs_by_one(check, node, part, &part->work, &state);
    if (!check->violated) replicas_go(check, node, part, &part->work, &state);
    if (check->violated) return;
    re_enters(check, node, part, &part->work, &state);
    if (check->violated) return;
    part->work = state;
    CHECK_PUSH(&check->pending, pending);
    if (part->isr_dirty) return;
    part->isr_dirty = true;
    CHECK_PUSH(&check->dirty, part);
}

/* The active controller has none of its partitions any more. Whether they are gone, brokers tell
 * when that is committed. */
static void written_removal(struct check *check, uint32_t node, int64_t topic)
{
    if (!may_decide(check, node, "a topic") || deposed(check, node)) return;
    for (uint32_t i = 0; i < check->parts.count; i++) {
        struct check_part *part = check->parts.items[i];

        if (part->topic != topic) continue;
        part->work = (struct check_state){.known = false};
        part->work_epoch = check->nodes[node].controller_epoch;
    }
}

/* ---- brokers --------------------------------------------------------------------------------- */

static void written_broker(struct check *check, uint32_t node, const struct trace_event *event)
{
    uint32_t index = check_node(check, (int32_t)check_field(event, 0));
    struct check_broker *work = &check->work_brokers[index];
    struct check_broker broker = {.known = check_field(event, 1) >= 0, /* else unregistered */
                                  .epoch = check_field(event, 1),
                                  .fenced = check_field(event, 2) != 0,
                                  .leaving = check_field(event, 3) != 0};
    struct check_pending pending = {.offset = check_field(event, 4),
                                    .epoch = check->nodes[node].controller_epoch,
                                    .node = index,
                                    .broker = broker};

    if (!may_decide(check, node, "a broker") || deposed(check, node)) return;
    check_count(check, CHECK_R39);
    if (work->known && broker.known && broker.epoch != work->epoch &&
        (broker.epoch != pending.offset || broker.epoch < work->epoch)) {
        CHECK_FAIL(check, R39, at_node(node, broker.epoch, pending.offset),
                   "broker %d is changed in the name of broker epoch %D, registered is %D",
                   check->nodes[index].id, broker.epoch, work->epoch);
        return;
    }
    *work = broker;
    check->brokers_dirty = true;
    CHECK_PUSH(&check->pending, pending);
}

/* A trace that begins late has not told of the registrations. */
static bool brokers_known(const struct check *check)
{
    for (uint32_t i = 0; i < check->node_count; i++) {
        if (check->work_brokers[i].known) return true;
    }
    return false;
}

/* R15, of one partition as the active controller has it. */
static void members_alive(struct check *check, uint32_t node, const struct check_part *part)
{
    const struct check_state *state = &part->work;

    if (!state->known || part->gone || !brokers_known(check)) return;
    for (uint32_t i = 0; i < check->node_count; i++) {
        const struct check_broker *broker = &check->work_brokers[i];

        if (!check_in(state->isr, i)) continue;
        check_count(check, CHECK_R15);
        if (broker->known && !broker->fenced && !broker->leaving) continue;
        if (state->leader == -1 && check_set_size(state->isr) == 1) continue; /* the last one */
        CHECK_FAIL(check, R15, at_part(node, part, state), "ISR %s has node %d, which is %s",
                   check_names(check, state->isr).text, check->nodes[i].id,
                   !broker->known ? "not registered"
                                  : (broker->fenced ? "fenced" : "shutting down"));
        return;
    }
}

void check_controller_turn(struct check *check, uint32_t node)
{
    if (check->brokers_dirty) {
        for (uint32_t i = 0; i < check->parts.count && !check->violated; i++) {
            struct check_part *part = check->parts.items[i];

            /* The work of an earlier controller is the chain's affair. */
            if (part->work_epoch == check->nodes[node].controller_epoch)
                members_alive(check, node, part);
        }
    }
    for (uint32_t i = 0; i < check->dirty.count; i++) {
        if (!check->violated) members_alive(check, node, check->dirty.items[i]);
        check->dirty.items[i]->isr_dirty = false;
    }
    check->dirty.count = 0;
    check->brokers_dirty = false;
}

/* ---- the chain ------------------------------------------------------------------------------- */

/* R16. */
static void candidates_complete(struct check *check, struct check_part *part)
{
    uint64_t candidates = part->chain.isr != 0 ? part->chain.isr : part->chain.elr;

    if (part->unclean || part->committed.end == 0) return;
    for (uint32_t i = 0; i < check->node_count; i++) {
        const struct check_replica_ghost *replica;

        if (!check_in(candidates, i)) continue;
        replica = check_replica(check, i, part);
        if (replica->lost || replica->down_how == 2 || check->nodes[i].disk_lied) continue;
        check_count(check, CHECK_R16);
        if (check_log_fits(&replica->log, &part->committed, part->committed.end) == CHECK_FITS)
            continue;
        CHECK_FAIL(check, R16, at_part(i, part, &part->chain),
                   "a leader candidate (ISR %s) whose log ends at %D lacks committed records up to "
                   "%D",
                   check_names(check, candidates).text, replica->log.end, part->committed.end);
        return;
    }
}

static void commit_partition(struct check *check, const struct check_pending *pending)
{
    struct check_part *part = pending->part;
    uint64_t joined = pending->state.isr & ~part->chain.isr;

    for (uint32_t i = 0; i < check->node_count; i++) {
        if (check_in(part->chain.replicas & ~pending->state.replicas, i) &&
            part->replicas[i] != NULL)
            part->replicas[i]->unassigned = true;
    }
    part->chain = pending->state;
    if (pending->state.unclean) part->unclean = true;
    part->past = check_grow(part->past, &part->past_room, part->past_count, sizeof *part->past);
    part->past[part->past_count++] = pending->state;
    candidates_complete(check, part);
    if (!check->violated) check_isr_chain(check, part);
    if (!check->violated) check_recovery_joined(check, part, joined);
}

/* K26. */
static void commit_broker(struct check *check, const struct check_pending *pending)
{
    uint64_t epoch = (uint64_t)pending->broker.epoch;
    uint32_t owner = check_table_get(&check->broker_epochs, epoch, 0);

    check->chain_brokers[pending->node] = pending->broker;
    if (!pending->broker.known) return;
    check_count(check, CHECK_K26);
    if (owner != 0 && owner != pending->node + 1) {
        CHECK_FAIL(check, K26, at_node(pending->node, (int64_t)epoch, pending->offset),
                   "broker epoch %D is node %d's already", (int64_t)epoch,
                   check->nodes[owner - 1].id);
        return;
    }
    check_table_set(&check->broker_epochs, epoch, 0, pending->node + 1);
}

void check_controller_committed(struct check *check, int64_t end)
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < check->pending.count; i++) {
        const struct check_pending pending = check->pending.items[i];
        int32_t epoch;

        if (pending.offset >= end || check->violated) {
            check->pending.items[left++] = pending;
            continue;
        }
        epoch = check_log_epoch(check, &check->metadata->committed, pending.offset);
        if (epoch >= 0 && pending.epoch >= 0 && epoch != pending.epoch) continue; /* in vain */
        if (pending.part != NULL) {
            commit_partition(check, &pending);
        } else {
            commit_broker(check, &pending);
        }
    }
    check->pending.count = left;
}

/* R38: what a broker applied is what the chain says at that partition epoch. */
void check_controller_role(struct check *check, const struct check_replica_ghost *replica,
                           int32_t leader)
{
    const struct check_part *part = replica->part;
    struct check_at at = {replica->node, part, replica->leader_epoch, -1};

    if (!part->chain.known || replica->partition_epoch < part->past[0].partition_epoch) return;
    check_count(check, CHECK_R38);
    for (uint32_t i = part->past_count; i-- > 0;) {
        const struct check_state *state = &part->past[i];

        if (state->partition_epoch > replica->partition_epoch) continue;
        if (state->partition_epoch < replica->partition_epoch) break;
        if (state->leader == leader && state->leader_epoch == replica->leader_epoch) return;
        CHECK_FAIL(
            check, R38, at,
            "leader %d, leader epoch %d at partition epoch %d; the committed record says %d, "
            "%d",
            leader, replica->leader_epoch, replica->partition_epoch, state->leader,
            state->leader_epoch);
        return;
    }
    CHECK_FAIL(check, R38, at, "partition epoch %d; the committed records end at %d",
               replica->partition_epoch, part->chain.partition_epoch);
}

/* ---- requests to the controller -------------------------------------------------------------- */

static void alter(struct check *check, uint32_t node, const struct trace_event *event)
{
    struct check_part *part =
        check_part(check, check_field(event, 0), (int32_t)check_field(event, 1));
    int32_t from = (int32_t)check_field(event, 2);
    const struct check_state *state;
    const struct check_broker *broker;

    if (check_field(event, 5) != 0 || !may_decide(check, node, "AlterPartition")) return;
    if (deposed(check, node)) return; /* it does not know its successor's changes */
    state = part->work_epoch == check->nodes[node].controller_epoch ? &part->work : &part->chain;
    if (!state->known) return;
    broker = &check->work_brokers[check_node(check, from)];
    check_count(check, CHECK_R37);
    if (from != state->leader || check_field(event, 3) != state->leader_epoch ||
        check_field(event, 4) != state->partition_epoch) {
        CHECK_FAIL(
            check, R37, at_part(node, part, state),
            "accepts AlterPartition of node %d, leader epoch %D, partition epoch %D; current "
            "are %d, %d, %d",
            from, check_field(event, 3), check_field(event, 4), state->leader, state->leader_epoch,
            state->partition_epoch);
    } else if (broker->known && check_field(event, 6) >= 0 &&
               check_field(event, 6) != broker->epoch) {
        CHECK_FAIL(check, R37, at_part(node, part, state),
                   "accepts AlterPartition of broker epoch %D, registered is %D",
                   check_field(event, 6), broker->epoch);
    }
}

/* A block given out by a controller whose record was never committed was never answered. */
static bool ids_void(const struct check *check, const struct check_ids *ids, int32_t epoch)
{
    int32_t committed;

    if (ids->epoch == epoch) return false;
    if (ids->offset < 0) return true; /* no telling */
    committed = check_log_epoch(check, &check->metadata->committed, ids->offset);
    return ids->offset >= check->metadata->committed.end ||
           (committed >= 0 && committed != ids->epoch);
}

static void producer_ids(struct check *check, uint32_t node, const struct trace_event *event)
{
    struct check_ids ids = {.first = check_field(event, 1),
                            .count = check_field(event, 2),
                            .offset = check_field(event, 3),
                            .epoch = check->nodes[node].controller_epoch};

    if (!may_decide(check, node, "producer ids")) return;
    check_count(check, CHECK_K26);
    for (uint32_t i = 0; i < check->ids.count; i++) {
        const struct check_ids *other = &check->ids.items[i];

        if (ids.first >= other->first + other->count || other->first >= ids.first + ids.count)
            continue;
        if (ids_void(check, other, ids.epoch)) continue;
        CHECK_FAIL(check, K26, at_node(node, ids.epoch, ids.offset),
                   "producer ids from %D on were given out before, from %D on", ids.first,
                   other->first);
        return;
    }
    CHECK_PUSH(&check->ids, ids);
}

/* K7: a broker that knows its epoch was answered, so its registration is committed. */
static void broker_epoch(struct check *check, uint32_t node, int64_t epoch)
{
    if (check->metadata->committed.end == 0) return; /* no quorum in this trace */
    check_count(check, CHECK_K7);
    if (epoch >= check->metadata->committed.end)
        CHECK_FAIL(check, K7, at_node(node, epoch, epoch),
                   "was told of its registration at offset %D; committed is what is below %D",
                   epoch, check->metadata->committed.end);
}

/* ---- metadata at the nodes ------------------------------------------------------------------- */

static void applied(struct check *check, uint32_t index, const struct trace_event *event)
{
    struct check_node *node = &check->nodes[index];
    int64_t offset = check_field(event, 0), digest = check_field(event, 2);
    struct check_at at = at_node(index, check_field(event, 1), offset);
    uint32_t known;

    check_count(check, CHECK_K25);
    if (offset < node->applied) {
        CHECK_FAIL(check, K25, at, "applied offset went back: %D -> %D", node->applied, offset);
        return;
    }
    if (node->raft.hw >= 0 && offset >= node->raft.hw) {
        CHECK_FAIL(check, K25, at, "applied offset %D, the high watermark it knows is %D", offset,
                   node->raft.hw);
        return;
    }
    node->applied = offset;
    known = check_table_get(&check->digests, (uint64_t)offset, 0);
    if (known == 0) {
        CHECK_PUSH(&check->digest_values, digest);
        check_table_set(&check->digests, (uint64_t)offset, 0, check->digest_values.count);
        return;
    }
    check_count(check, CHECK_K22);
    if (check->digest_values.items[known - 1] != digest)
        CHECK_FAIL(check, K22, at, "state %X after offset %D, another node had %X",
                   (uint64_t)digest, offset, (uint64_t)check->digest_values.items[known - 1]);
}

bool check_controller_event(struct check *check, uint32_t node, const struct trace_event *event)
{
    switch ((int)event->kind) {
    case TRACE_CONTROLLER_ACTIVE:
        controller_active(check, node, (int32_t)check_field(event, 0));
        return true;
    case TRACE_CONTROLLER_RENOUNCED:
        check->nodes[node].controller_epoch = -1;
        check->nodes[node].renounced = true;
        return true;
    case TRACE_CONTROLLER_PARTITION: written_partition(check, node, event); return true;
    case TRACE_CONTROLLER_REMOVED: written_removal(check, node, check_field(event, 0)); return true;
    case TRACE_CONTROLLER_BROKER: written_broker(check, node, event); return true;
    case TRACE_CONTROLLER_ALTER: alter(check, node, event); return true;
    case TRACE_CONTROLLER_PRODUCER_IDS: producer_ids(check, node, event); return true;
    case TRACE_BROKER_EPOCH: broker_epoch(check, node, check_field(event, 0)); return true;
    case TRACE_META_APPLIED: applied(check, node, event); return true;
    case TRACE_META_BROKER:
        check->nodes[node].broker_epoch_of[check_node(check, (int32_t)check_field(event, 0))] =
            check_field(event, 1);
        return true;
    default: return false;
    }
}

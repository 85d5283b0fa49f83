/* The metadata quorum: K1 to K3, K5, K6, K8, K9, K11 to K14, K16, K20, K21, K28, K29.
 *
 * Notes of the quorum are told when it decides, before its state is durable; what depends on
 * durable state is therefore judged where it has an effect: at an election (K3) and at a commit. */
#include "sim/check/check_private.h"

#include <stdlib.h>
#include <string.h>

/* broker/raft/raft.h, enum raft_state: part of the meaning of RAFT_STATE. */
enum {
    STATE_UNATTACHED,
    STATE_PROSPECTIVE,
    STATE_CANDIDATE,
    STATE_LEADER,
    STATE_FOLLOWER,
    STATE_RESIGNED,
};

static struct check_at at_raft(uint32_t node, int64_t epoch, int64_t offset)
{
    return (struct check_at){node, NULL, epoch, offset};
}

static struct check_replica_ghost *log_of(struct check *check, uint32_t node)
{
    return check_replica(check, node, check->metadata);
}

bool check_raft_leads(const struct check *check, uint32_t node)
{
    return check->nodes[node].raft.known && check->nodes[node].raft.state == STATE_LEADER;
}

static bool settled(int32_t state)
{
    return state == STATE_LEADER || state == STATE_FOLLOWER;
}

/* The epoch of a leader whose metadata disk had failed is over for it, and nothing more was
 * committed: K29 was kept. */
static void failed_reign_ends(struct check *check, const struct check_raft *raft)
{
    if (raft->failed_epoch >= 0 && raft->failed_epoch == raft->epoch) check_count(check, CHECK_K29);
}

void check_raft_down(struct check *check, uint32_t node)
{
    struct check_raft *raft = &check->nodes[node].raft;

    if (raft->known && raft->state == STATE_LEADER) failed_reign_ends(check, raft);
    raft->known = false;
    raft->hw = -1;
    raft->hw_epoch = -1;
    raft->unsettled_ns = -1;
    raft->failed_epoch = -1;
}

/* ---- K20: a leader that was deposed ---------------------------------------------------------- */

static void acts_as_leader(struct check *check, uint32_t index, int64_t epoch)
{
    const struct check_node *node = &check->nodes[index];
    int64_t since = check->newest_ns > node->awake_ns ? check->newest_ns : node->awake_ns;
    int64_t limit = check->config.quorum_fetch_ns * 3 / 2;

    if (epoch >= check->newest_epoch) return;
    check_count(check, CHECK_K20);
    /* A tenth for clocks that run apart. */
    if (check->now_ns - since > limit + limit / 10)
        CHECK_FAIL(check, K20, at_raft(index, epoch, -1),
                   "still leads epoch %D, %D ms after node %d was elected in epoch %d", epoch,
                   (check->now_ns - since) / 1000000, check->nodes[check->newest_leader].id,
                   check->newest_epoch);
}

/* ---- states ---------------------------------------------------------------------------------- */

/* K28: what a life reads of quorum-state, and so its first state, is what was durable or newer. */
static void state_read(struct check *check, uint32_t index, int32_t epoch, int32_t voted)
{
    const struct check_node *node = &check->nodes[index];
    const struct check_raft *raft = &node->raft;

    if (raft->stored_epoch < 0 || node->disk_lied) return;
    check_count(check, CHECK_K28);
    if (epoch < raft->stored_epoch) {
        CHECK_FAIL(check, K28, at_raft(index, epoch, -1),
                   "starts in epoch %d, its durable quorum state was of epoch %d", epoch,
                   raft->stored_epoch);
    } else if (epoch == raft->stored_epoch && raft->stored_voted != -1 &&
               voted != raft->stored_voted) {
        CHECK_FAIL(check, K28, at_raft(index, epoch, -1),
                   "starts in epoch %d with a vote for %d, durable was a vote for %d", epoch, voted,
                   raft->stored_voted);
    }
}

static void state_moves(struct check *check, uint32_t index, int32_t state, int32_t epoch,
                        int32_t voted)
{
    const struct check_raft *raft = &check->nodes[index].raft;

    check_count(check, CHECK_K3);
    if (epoch < raft->epoch) {
        CHECK_FAIL(check, K3, at_raft(index, epoch, -1), "epoch went back: %d -> %d", raft->epoch,
                   epoch);
        return;
    }
    if (state != STATE_PROSPECTIVE) return;
    check_count(check, CHECK_K14);
    if (epoch != raft->epoch || voted != raft->voted)
        CHECK_FAIL(check, K14, at_raft(index, epoch, -1),
                   "became prospective in epoch %d with a vote for %d; before: epoch %d, vote %d",
                   epoch, voted, raft->epoch, raft->voted);
}

static void state(struct check *check, uint32_t index, const struct trace_event *event)
{
    struct check_raft *raft = &check->nodes[index].raft;
    int32_t to = (int32_t)check_field(event, 1);
    int32_t epoch = (int32_t)check_field(event, 2), voted = (int32_t)check_field(event, 4);

    if (!raft->known) {
        state_read(check, index, epoch, voted);
        check_snapshot_started(check, index);
    } else {
        state_moves(check, index, to, epoch, voted);
    }
    if (check->violated) return;
    if (raft->led_epoch == epoch && to != STATE_LEADER) raft->led_over = true;
    if (raft->led_epoch == epoch && to == STATE_LEADER &&
        (raft->led_over || raft->led_incarnation != check->nodes[index].incarnation)) {
        check_count(check, CHECK_K13);
        CHECK_FAIL(check, K13, at_raft(index, epoch, -1),
                   "leads epoch %d again after it had left it", epoch);
        return;
    }
    if (to == STATE_CANDIDATE || to == STATE_LEADER) {
        check->nodes[index].voter = true;
        check_voters_used(check, index, log_of(check, index)->log.end);
        if (check->violated) return;
    }
    if (raft->known && raft->state == STATE_LEADER && to != STATE_LEADER)
        failed_reign_ends(check, raft);
    if (raft->known && raft->state == STATE_LEADER && to == STATE_RESIGNED &&
        check_voters_known(check, index) && !check_in(check->nodes[index].voters.set, index))
        check->left_epoch = raft->epoch;
    if (raft->epoch != epoch) raft->hw_epoch = -1;
    raft->known = true;
    raft->state = to;
    raft->epoch = epoch;
    raft->voted = voted;
    if (settled(to)) {
        raft->unsettled_ns = -1;
    } else if (raft->unsettled_ns < 0) {
        raft->unsettled_ns = check->now_ns;
    }
}

/* ---- votes ----------------------------------------------------------------------------------- */

/* life 0: durable, and so for all lives; otherwise what one incarnation says. */
static void votes_for(struct check *check, uint32_t index, int32_t epoch, int32_t candidate,
                      uint64_t life)
{
    uint64_t key = (uint64_t)index << 32 | (uint32_t)epoch;
    uint32_t known = check_table_get(&check->votes, key, life);

    check_count(check, CHECK_K2);
    if (known != 0 && known != (uint32_t)candidate + 1 && !check->nodes[index].disk_lied) {
        CHECK_FAIL(check, K2, at_raft(index, epoch, -1),
                   "votes for %d in epoch %d, where it had voted for %d", candidate, epoch,
                   (int32_t)(known - 1));
        return;
    }
    check_table_set(&check->votes, key, life, (uint32_t)candidate + 1);
}

static void vote(struct check *check, uint32_t index, const struct trace_event *event)
{
    check->nodes[index].voter = true;
    if (check_field(event, 2) != 1 || check_field(event, 3) != 0) return;
    votes_for(check, index, (int32_t)check_field(event, 1), (int32_t)check_field(event, 0),
              UINT64_C(1) + check->nodes[index].incarnation);
    /* It votes and stays what it is: no state is told again. */
    if (check->nodes[index].raft.epoch == (int32_t)check_field(event, 1))
        check->nodes[index].raft.voted = (int32_t)check_field(event, 0);
}

/* A life that found a quorum-state tells of it before its first state: it has synced it, also what
 * a former life had renamed and died over before it knew. */
static void stored(struct check *check, uint32_t index, const struct trace_event *event)
{
    struct check_raft *raft = &check->nodes[index].raft;
    int32_t epoch = (int32_t)check_field(event, 0), voted = (int32_t)check_field(event, 2);

    if (!raft->known) state_read(check, index, epoch, voted);
    if (check->violated) return;
    check_count(check, CHECK_K3);
    if (epoch < raft->stored_epoch && !check->nodes[index].disk_lied) {
        CHECK_FAIL(check, K3, at_raft(index, epoch, -1), "durable epoch went back: %d -> %d",
                   raft->stored_epoch, epoch);
        return;
    }
    raft->stored_epoch = epoch;
    raft->stored_voted = voted;
    if (voted >= 0) votes_for(check, index, epoch, voted, 0);
}

/* ---- elections ------------------------------------------------------------------------------- */

/* K3: the votes that made it leader are durable, or were until a disk lied: who told of its vote
 * may have been set back since. A lone voter leads while its own is written. */
static void votes_durable(struct check *check, uint32_t leader, int32_t epoch, int64_t voters)
{
    const struct check_voters *set = &check->nodes[leader].voters;
    bool in_log = check_voters_known(check, leader);
    int64_t votes = 0;

    if (in_log) voters = check_set_size(set->set);
    if (voters <= 1) return;
    check_count(check, CHECK_K3);
    for (uint32_t i = 0; i < check->node_count; i++) {
        uint32_t vote_of = check_table_get(&check->votes, (uint64_t)i << 32 | (uint32_t)epoch, 0);

        if (in_log && !check_in(set->set, i)) continue;
        if (vote_of == (uint32_t)check->nodes[leader].id + 1) votes++;
    }
    if (votes < voters / 2 + 1)
        CHECK_FAIL(check, K3, at_raft(leader, epoch, -1),
                   "elected in epoch %d by %D durable votes of %D voters", epoch, votes, voters);
}

/* What a leader of this epoch must have. One that hears of its votes late, when a later epoch has a
 * leader already, owes what the epochs before its own committed (K5 is about those to come): what
 * the later one committed needed none of the votes that it got. */
static int64_t owed(const struct check *check, int32_t epoch)
{
    int64_t end = 0;

    if (epoch >= check->newest_epoch) return check->metadata->committed.end;
    for (int32_t before = 0; before < epoch; before++) {
        int64_t committed = check_table_get(&check->committed_by, (uint32_t)before, 0);

        if (committed > end) end = committed;
    }
    return end;
}

/* The leader before had removed itself from the voters, or it died while nothing was asked of it:
 * somebody has to follow it, and nobody contests. */
static bool made_room(const struct check *check)
{
    uint32_t before = check->newest_leader;

    if (check->newest_epoch < 0) return false;
    if (check->left_epoch == check->newest_epoch) return true;
    return check->phase == 2 && !check->nodes[before].up && !check_in(check->core, before);
}

static void elected(struct check *check, uint32_t index, const struct trace_event *event)
{
    struct check_raft *raft = &check->nodes[index].raft;
    const struct check_log *committed = &check->metadata->committed;
    int32_t epoch = (int32_t)check_field(event, 0);
    uint32_t known = check_table_get(&check->elected, (uint32_t)epoch, 0);
    struct check_at at = at_raft(index, epoch, check_field(event, 1));

    votes_durable(check, index, epoch, check_field(event, 3)); /* the cause before the effect */
    if (check->violated) return;
    check_count(check, CHECK_K1);
    if (known != 0 && known != index + 1) {
        CHECK_FAIL(check, K1, at, "elected in epoch %d, as node %d was before", epoch,
                   check->nodes[known - 1].id);
        return;
    }
    if (raft->led_epoch == epoch) {
        check_count(check, CHECK_K13);
        CHECK_FAIL(check, K13, at, "elected in epoch %d for the second time", epoch);
        return;
    }
    check_count(check, CHECK_K5);
    if (check_log_fits(&log_of(check, index)->log, committed, owed(check, epoch)) != CHECK_FITS) {
        CHECK_FAIL(check, K5, at,
                   "elected in epoch %d with a log that ends at %D, without all entries committed "
                   "below %D",
                   epoch, log_of(check, index)->log.end, owed(check, epoch));
        return;
    }
    check_table_set(&check->elected, (uint32_t)epoch, 0, index + 1);
    check->nodes[index].voter = true;
    raft->led_epoch = epoch;
    raft->led_start = check_field(event, 1);
    raft->led_incarnation = check->nodes[index].incarnation;
    raft->led_over = false;
    if (epoch <= check->newest_epoch) return;
    if (!made_room(check)) check->contested_ns = check->now_ns;
    check->newest_epoch = epoch;
    check->newest_leader = index;
    check->newest_ns = check->now_ns;
    check->newest_voters = check_field(event, 3);
}

/* ---- the log --------------------------------------------------------------------------------- */

void check_raft_appended(struct check *check, uint32_t index, int64_t base, int32_t epoch)
{
    const struct check_node *node = &check->nodes[index];
    const struct check_raft *raft = &node->raft;
    const struct check_log *log = &log_of(check, index)->log;
    uint32_t leader = check_table_get(&check->elected, (uint32_t)epoch, 0);
    int32_t before;

    /* Who follows a newer epoch may fetch again what it wrote itself. */
    if (raft->led_epoch == epoch && raft->epoch <= epoch) {
        check_count(check, CHECK_K13);
        if (raft->led_incarnation != node->incarnation) {
            CHECK_FAIL(check, K13, at_raft(index, epoch, base),
                       "appends at %D in epoch %d, which it led before its restart", base, epoch);
            return;
        }
    }
    /* Who still leads, as far as it knows, and writes. */
    if (raft->led_epoch == epoch && raft->known && raft->state == STATE_LEADER) {
        acts_as_leader(check, index, epoch);
        if (check->violated) return;
    }
    if (leader == 0 || base <= log->start) return;
    before = check_log_epoch(check, log, base - 1);
    if (before < 0 || before == epoch) return;
    check_count(check, CHECK_K16);
    if (base != check->nodes[leader - 1].raft.led_start &&
        check->nodes[leader - 1].raft.led_epoch == epoch)
        CHECK_FAIL(check, K16, at_raft(index, epoch, base),
                   "the first entry of epoch %d is at %D, its leader announced %D", epoch, base,
                   check->nodes[leader - 1].raft.led_start);
}

void check_raft_failed(struct check *check, uint32_t index)
{
    struct check_raft *raft = &check->nodes[index].raft;

    if (raft->known && raft->state == STATE_LEADER) raft->failed_epoch = raft->epoch;
}

/* ---- high watermarks ------------------------------------------------------------------------- */

/* K6. */
static void durable_on_majority(struct check *check, uint32_t leader, int64_t epoch, int64_t end)
{
    const struct check_voters *set = &check->nodes[leader].voters;
    bool in_log = check_voters_known(check, leader);
    int64_t held = 0, voters = 0;

    for (uint32_t i = 0; i < check->node_count; i++) {
        const struct check_replica_ghost *replica;

        if (in_log ? !check_in(set->set, i) : !check->nodes[i].voter) continue;
        voters++;
        replica = log_of(check, i);
        if (replica->synced_end >= end &&
            check_log_fits(&replica->log, &log_of(check, leader)->log, end) == CHECK_FITS)
            held++;
    }
    if (check->newest_voters > 0 && !in_log) voters = check->newest_voters;
    check_count(check, CHECK_K6);
    if (held < voters / 2 + 1)
        CHECK_FAIL(check, K6, at_raft(leader, epoch, end),
                   "commits up to %D, durable on %D of %D voters", end, held, voters);
}

/* K21: a deposed leader's commit must be its successor's too. */
static void not_against_successor(struct check *check, uint32_t leader, int64_t epoch, int64_t end)
{
    const struct check_log *successor;

    if (epoch >= check->newest_epoch || check->newest_leader == leader) return;
    successor = &log_of(check, check->newest_leader)->log;
    check_count(check, CHECK_K21);
    if (check_log_fits(successor, &log_of(check, leader)->log, end) != CHECK_FITS)
        CHECK_FAIL(check, K21, at_raft(leader, epoch, end),
                   "commits up to %D in epoch %D; node %d, elected in epoch %d, does not have that",
                   end, epoch, check->nodes[check->newest_leader].id, check->newest_epoch);
}

static void leader_hw(struct check *check, uint32_t index, int64_t epoch, int64_t old, int64_t end)
{
    struct check_raft *raft = &check->nodes[index].raft;
    const struct check_replica_ghost *replica = log_of(check, index);
    int64_t before = raft->hw_epoch == (int32_t)epoch ? raft->hw : -1;
    struct check_at at = at_raft(index, epoch, end);

    (void)old;
    check_count(check, CHECK_K8);
    if (end < before || end > replica->log.end ||
        (raft->led_epoch == (int32_t)epoch && end <= raft->led_start)) {
        CHECK_FAIL(check, K8, at,
                   "high watermark %D in epoch %D; before %D, log end %D, epoch start %D", end,
                   epoch, before, replica->log.end, raft->led_start);
        return;
    }
    if (raft->failed_epoch >= 0) {
        check_count(check, CHECK_K29);
        if (raft->failed_epoch == (int32_t)epoch) {
            CHECK_FAIL(check, K29, at,
                       "commits up to %D in epoch %D, in which its metadata disk had failed", end,
                       epoch);
            return;
        }
    }
    not_against_successor(check, index, epoch, end);
    if (check->violated) return;
    check_voters_used(check, index, replica->log.end);
    if (check->violated) return;
    durable_on_majority(check, index, epoch, end);
    if (check->violated) return;
    acts_as_leader(check, index, epoch);
    if (check->violated) return;
    raft->hw_epoch = (int32_t)epoch;
    if (end > 0) check_table_set(&check->committed_by, (uint64_t)epoch, 0, (uint32_t)end);
    check_voters_committed(check, index, end);
    check_replica_commit(check, check->metadata, replica, end);
    check->committed_ns = check->now_ns;
    if (check->sample_count == 0 ||
        check->now_ns - check->samples[(check->sample_count - 1) % CHECK_SAMPLES].time_ns >
            check->config.heartbeat_ns / 4)
        check->samples[check->sample_count++ % CHECK_SAMPLES] =
            (struct check_sample){check->now_ns, check->metadata->committed.end};
    check_controller_committed(check, check->metadata->committed.end);
}

static void follower_hw(struct check *check, uint32_t index, int64_t epoch, int64_t end)
{
    const struct check_raft *raft = &check->nodes[index].raft;
    const struct check_replica_ghost *replica = log_of(check, index);

    check_count(check, CHECK_K9);
    if (end < raft->hw || end > replica->log.end || end > check->metadata->committed.end)
        CHECK_FAIL(check, K9, at_raft(index, epoch, end),
                   "high watermark %D; before %D, log end %D, committed below %D", end, raft->hw,
                   replica->log.end, check->metadata->committed.end);
    if (!check->violated) check_voters_follows(check, index, end);
}

static void high_watermark(struct check *check, uint32_t index, const struct trace_event *event)
{
    int64_t end = check_field(event, 1), epoch = check_field(event, 2);

    if (check_field(event, 3) == 1) {
        leader_hw(check, index, epoch, check_field(event, 0), end);
    } else {
        follower_hw(check, index, epoch, end);
    }
    check->nodes[index].raft.hw = end;
    log_of(check, index)->hw = end;
}

/* ---- followers as the leader sees them ------------------------------------------------------- */

static void fetched(struct check *check, uint32_t leader, const struct trace_event *event)
{
    uint32_t voter = check_node(check, (int32_t)check_field(event, 0));
    int64_t end = check_field(event, 1), epoch = check_field(event, 2);
    const struct check_replica_ghost *replica = log_of(check, voter);
    struct check_at at = at_raft(leader, epoch, end);

    check_voters_counted(check, leader, voter, end);
    if (check->violated) return;
    check->nodes[voter].voter = true;
    check_count(check, CHECK_K11);
    if (end > replica->synced_max) {
        CHECK_FAIL(check, K11, at, "voter %d asks from %D on, it has synced up to %D only",
                   check->nodes[voter].id, end, replica->synced_max);
        return;
    }
    /* A request may outlive the epoch in which its sender had what it says. */
    if (check->nodes[voter].raft.epoch == (int32_t)epoch) {
        check_count(check, CHECK_K12);
        if (check_log_fits(&replica->log, &log_of(check, leader)->log, end) != CHECK_FITS) {
            CHECK_FAIL(check, K12, at,
                       "counts voter %d up to %D, which does not hold the same entries there",
                       check->nodes[voter].id, end);
            return;
        }
    }
    acts_as_leader(check, leader, epoch);
}

static void flushed(struct check *check, uint32_t node, int64_t end)
{
    struct check_replica_ghost *replica = log_of(check, node);

    if (end > replica->synced_end) replica->synced_end = end;
    if (end > replica->synced_max) replica->synced_max = end;
}

/* K35: "voter 102 lacks entries below ... its disk was set back". */
static void warned(struct check *check, uint32_t node, struct str text)
{
    static const char begin[] = "voter ";
    uint32_t at = sizeof begin - 1;
    int32_t voter = 0;

    if (!check_disk_text_has(text, "its disk was set back")) return;
    if (text.length <= at || memcmp(text.data, begin, at) != 0) return;
    for (; at < text.length && text.data[at] >= '0' && text.data[at] <= '9'; at++)
        voter = voter * 10 + (text.data[at] - '0');
    check_count(check, CHECK_K35);
    if (check->nodes[check_node(check, voter)].disk_lied) return;
    CHECK_FAIL(check, K35, at_raft(node, check->nodes[node].raft.epoch, -1),
               "takes the disk of voter %d for set back, which never lied", voter);
}

bool check_raft_event(struct check *check, uint32_t node, const struct trace_event *event)
{
    switch ((int)event->kind) {
    case TRACE_RAFT_STATE: state(check, node, event); return true;
    case TRACE_RAFT_VOTE: vote(check, node, event); return true;
    case TRACE_RAFT_STORED: stored(check, node, event); return true;
    case TRACE_RAFT_VOTERS: check_voters_event(check, node, event); return true;
    case TRACE_RAFT_ELECTED: elected(check, node, event); return true;
    case TRACE_RAFT_HW: high_watermark(check, node, event); return true;
    case TRACE_RAFT_FETCHED: fetched(check, node, event); return true;
    case TRACE_RAFT_FLUSHED: flushed(check, node, check_field(event, 0)); return true;
    case TRACE_NODE_WARNING: warned(check, node, event->text); return true;
    default: return false;
    }
}

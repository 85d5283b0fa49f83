/* Who votes in the metadata quorum, as each node counts: K15, K17. A set is told when it begins to
 * count on a node (RAFT_VOTERS): at its start, when its log holds the record, when a cut takes the
 * record back, when a snapshot takes the log's place.
 *
 * Sets of configured voters (kraft.version 0) never change; what is judged here needs version 1. */
#include "sim/check/check_private.h"

static struct check_at at_voters(uint32_t node, int64_t offset)
{
    return (struct check_at){node, NULL, -1, offset};
}

void check_voters_down(struct check *check, uint32_t index)
{
    check->nodes[index].voters = (struct check_voters){.offset = -1};
}

/* What a leader begins to count is what it has just written. */
static void leader_changes(struct check *check, uint32_t index, const struct check_voters *next)
{
    const struct check_node *node = &check->nodes[index];
    const struct check_voters *before = &node->voters;
    uint64_t changed = before->set ^ next->set;
    struct check_names was = check_names(check, before->set);
    struct check_names is = check_names(check, next->set);

    check_count(check, CHECK_K15);
    if (check_set_size(changed) > 1) {
        CHECK_FAIL(check, K15, at_voters(index, next->offset),
                   "changes the voters from %s to %s at once", was.text, is.text);
        return;
    }
    if (before->version > 0 && before->offset >= check->metadata->committed.end) {
        CHECK_FAIL(check, K15, at_voters(index, next->offset),
                   "writes new voters at %D, those of %D are not committed (below %D)",
                   next->offset, before->offset, check->metadata->committed.end);
        return;
    }
    if (next->offset < check->metadata->committed.end)
        CHECK_FAIL(check, K15, at_voters(index, next->offset),
                   "counts its voters of %D only now that they are committed (below %D)",
                   next->offset, check->metadata->committed.end);
}

void check_voters_event(struct check *check, uint32_t index, const struct trace_event *event)
{
    struct check_node *node = &check->nodes[index];
    struct check_voters next = {.known = true,
                                .offset = check_field(event, 0),
                                .version = check_field(event, 1),
                                .set = check_ids(check, event->text, "voters=")};

    if (node->voters.known && next.version > 0 && next.offset > node->voters.offset &&
        check_raft_leads(check, index))
        leader_changes(check, index, &next);
    node->voters = next;
}

/* Stands, leads or commits: by voters that its log or its snapshot has. */
void check_voters_used(struct check *check, uint32_t index, int64_t log_end)
{
    const struct check_voters *voters = &check->nodes[index].voters;

    if (!voters->known || voters->version == 0 || voters->offset < 0) return;
    check_count(check, CHECK_K15);
    if (voters->offset >= log_end)
        CHECK_FAIL(check, K15, at_voters(index, voters->offset),
                   "counts the voters of %D, its log ends at %D", voters->offset, log_end);
}

/* What the set of a record is remembered by; never 0. */
static uint32_t set_mark(uint64_t set)
{
    return (uint32_t)(set ^ set >> 32) << 1 | 1;
}

void check_voters_committed(struct check *check, uint32_t leader, int64_t end)
{
    const struct check_voters *voters = &check->nodes[leader].voters;

    if (!check_voters_known(check, leader) || voters->offset < 0 || voters->offset >= end) return;
    check_table_set(&check->voter_sets, (uint64_t)voters->offset, 0, set_mark(voters->set));
}

/* A set below the high watermark is one that was committed there. */
void check_voters_follows(struct check *check, uint32_t index, int64_t end)
{
    const struct check_voters *voters = &check->nodes[index].voters;

    if (!check_voters_known(check, index) || voters->offset < 0 || voters->offset >= end) return;
    check_count(check, CHECK_K15);
    if (check_table_get(&check->voter_sets, (uint64_t)voters->offset, 0) != set_mark(voters->set))
        CHECK_FAIL(check, K15, at_voters(index, voters->offset),
                   "counts voters of %D, where no such set is committed (below %D)", voters->offset,
                   end);
}

bool check_voters_known(const struct check *check, uint32_t index)
{
    return check->nodes[index].voters.known && check->nodes[index].voters.version > 0;
}

/* A fetch that a leader counts is one of its voters': of the directory that the set names. One that
 * was made anew since is a stranger with an old name (KIP-853). */
void check_voters_counted(struct check *check, uint32_t leader, uint32_t voter, int64_t end)
{
    const struct check_voters *voters = &check->nodes[leader].voters;

    if (!check_voters_known(check, leader)) return;
    check_count(check, CHECK_K17);
    if (!check_in(voters->set, voter))
        CHECK_FAIL(check, K17, at_voters(leader, end),
                   "counts node %d up to %D, which is no voter of its set", check->nodes[voter].id,
                   end);
    if (check->nodes[voter].voter_from > 0 && voters->offset < check->nodes[voter].voter_from)
        CHECK_FAIL(check, K17, at_voters(leader, end),
                   "counts node %d up to %D as a voter of the set at %D, whose disk was lost later "
                   "(below %D): its directory is another",
                   check->nodes[voter].id, end, voters->offset, check->nodes[voter].voter_from);
}

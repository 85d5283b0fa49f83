/* Proves: whatever the network and the disks do (delay, loss, repetition, cuts, crashes that
 * forget what was not flushed, also between a step and its store, one voter whose disk rots), a
 * quorum of 1, 3 or 5 keeps K1 to K6, K8 to K11, K13, K14, K16 and K27 at every step, and once the
 * faults stop it has one leader with a known high watermark, soon, that stays (K30, K31, K32,
 * K34). */
#include "tests/support/support.h"

#include "client/base/rng.h"
#include "tests/support/raft_cluster.h"

#include <string.h>

#define MS NS_PER_MS

static struct cluster cluster;

/* What all seeds together met: a test that never saw a crash proves nothing about crashes. */
static struct {
    uint64_t events, elections, crashes, truncations, refusals, commits, distrusts, installs;
} met;

static void count_met(void)
{
    met.events += cluster.events;
    met.elections += cluster.elections;
    met.crashes += cluster.crashes;
    met.truncations += cluster.truncations;
    met.refusals += cluster.refusals;
    met.commits += cluster.commits;
    met.distrusts += cluster.distrusts;
    met.installs += cluster.installs;
}

static void disturb(struct rng *rng, bool rot)
{
    struct cluster *c = &cluster;
    uint32_t node = (uint32_t)rng_below(rng, c->nodes);
    uint32_t other = (uint32_t)rng_below(rng, c->nodes);
    uint32_t what = (uint32_t)rng_below(rng, 14);

    for (uint32_t i = 0; i < c->voters; i++)
        if (what < 3) {
            cluster_crash(c, node);
            if (rot && c->rot_count == 0 && node < c->voters && c->node[node].hint > 0) {
                uint64_t end = rng_below(rng, (uint64_t)c->node[node].hint);

                cluster_rot(c, node, (int64_t)end);
            }
        } else if (what < 6) {
            cluster_restart(c, node);
        } else if (what < 8) {
            if (node != other) cluster_link(c, node, other, true);
        } else if (what < 10) {
            if (node != other) cluster_link(c, node, other, false);
        } else if (what >= 12) { /* down and up again before anybody notices */
            cluster_crash(c, node);
            cluster_restart(c, node);
        } else if (what == 10) {
            c->cut[node][other] = node != other; /* one direction only */
        } else if (c->node[node].up && !c->node[node].raft.storing) {
            cluster_give(c, node,
                         &(struct raft_event){.kind = RAFT_RESIGN,
                                              .epoch = c->node[node].raft.durable.epoch});
        }
}

static void appends(struct rng *rng)
{
    for (uint32_t i = 0; i < cluster.voters; i++) {
        uint64_t count = rng_below(rng, 3);

        while (count-- > 0)
            cluster_append(&cluster, i);
    }
}

static void snapshots(struct rng *rng)
{
    for (uint32_t i = 0; i < cluster.nodes; i++) {
        uint64_t what = rng_below(rng, 8);

        if (what < 2) cluster_snapshot(&cluster, i, what == 0);
    }
}

static void storm(uint64_t seed, uint32_t voters, bool rot)
{
    struct rng rng;
    uint64_t steps;

    rng_init(&rng, rng_stream(seed, 77, voters));
    cluster_init(&cluster, seed, voters, voters < 5 ? 1 : 0);
    cluster.loss = (uint32_t)rng_below(&rng, 150000);
    cluster.duplicate = (uint32_t)rng_below(&rng, 100000);
    cluster.delay_ns = (int64_t)rng_below(&rng, 200) * MS + MS;
    cluster.disk_ns = (int64_t)rng_below(&rng, 100) * MS + MS;
    steps = 30 + rng_below(&rng, 30);
    while (steps-- > 0 && !cluster_failed(&cluster)) {
        int64_t pause = (int64_t)rng_below(&rng, 700) * MS;

        cluster_run(&cluster, cluster.now + pause);
        appends(&rng);
        snapshots(&rng);
        if (rng_chance(&rng, 600000)) disturb(&rng, rot);
        cluster_match(&cluster);
    }
}

/* `a` and `b` stay unable to talk; equal: all links are good. */
static void heal(uint32_t a, uint32_t b)
{
    cluster.loss = cluster.duplicate = 0;
    cluster.delay_ns = 2 * MS;
    cluster.disk_ns = 2 * MS;
    memset(cluster.cut, 0, sizeof cluster.cut);
    if (a != b) cluster_link(&cluster, a, b, true);
    for (uint32_t i = 0; i < cluster.nodes; i++)
        cluster_restart(&cluster, i);
}

static void fail_with(uint64_t seed, uint32_t voters)
{
    if (!cluster_failed(&cluster)) return;
    fail_msg("seed %llu, %u voters, at %lld ms: %s", (unsigned long long)seed, voters,
             (long long)(cluster.now / MS), cluster.failure);
}

/* K30: twice (fetch timeout + 2 election timeouts), with slack for ballots in flight, lost
 * requests of the storm and the split votes of five voters. */
enum { SETTLE_MS = 30000 };

static void check_settled(uint64_t seed, bool bad_link)
{
    int leader = cluster_leader(&cluster);
    int32_t epoch;
    int64_t committed;

    if (leader < 0) {
        fail_msg("K30: seed %llu: no leader, %u voters", (unsigned long long)seed, cluster.voters);
    }
    epoch = cluster.node[leader].raft.durable.epoch;
    committed = cluster.committed_end;
    cluster_append(&cluster, (uint32_t)leader);
    cluster_run(&cluster, cluster.now + 10000 * MS);
    fail_with(seed, cluster.voters);
    if (cluster_leader(&cluster) != leader || cluster.node[leader].raft.durable.epoch != epoch) {
        fail_msg("K31/K34: seed %llu: the leader does not stay", (unsigned long long)seed);
    }
    assert_true(cluster.committed_end > committed);
    if (bad_link) return;
    for (uint32_t i = 0; i < cluster.nodes; i++) {
        const struct raft *raft = &cluster.node[i].raft;

        if ((int)i != leader) assert_int_equal(raft->state, RAFT_FOLLOWER);
        assert_int_equal(raft->durable.epoch, epoch);
        assert_int_equal(raft->log_end, cluster.node[leader].raft.log_end); /* K32 */
        assert_int_equal(raft->high_watermark, raft->log_end);
        assert_false(raft->distrusted);
    }
}

static void run_seeds(uint64_t first, uint64_t count, uint32_t voters, bool rot, bool bad_link)
{
    for (uint64_t seed = first; seed < first + count; seed++) {
        uint32_t a = (uint32_t)(seed % voters);
        uint32_t b = bad_link ? (a + 1) % voters : a;

        storm(seed, voters, rot);
        fail_with(seed, voters);
        heal(a, b);
        cluster_run(&cluster, cluster.now + SETTLE_MS * MS);
        fail_with(seed, voters);
        check_settled(seed, bad_link);
        cluster_match(&cluster);
        fail_with(seed, voters);
        count_met();
    }
}

static void three_voters_stay_safe_and_settle(void **state)
{
    (void)state;
    run_seeds(1, 500, 3, false, false);
}

static void five_voters_stay_safe_and_settle(void **state)
{
    (void)state;
    run_seeds(5001, 200, 5, false, false);
}

static void one_voter_loses_nothing(void **state)
{
    (void)state;
    run_seeds(7001, 100, 1, false, false);
}

static void two_and_four_voters_need_a_true_majority(void **state)
{
    (void)state;
    run_seeds(8001, 100, 2, false, false);
    run_seeds(8201, 150, 4, false, false);
}

static void one_rotten_disk_of_three_loses_nothing(void **state)
{
    (void)state;
    run_seeds(9001, 300, 3, true, false);
}

static void one_bad_link_ends_with_one_stable_leader(void **state)
{
    (void)state;
    run_seeds(12001, 200, 3, false, true);
    run_seeds(13001, 60, 5, false, true);
}

static void everything_was_met(void **state)
{
    (void)state;
    assert_true(met.elections > 3000);
    assert_true(met.crashes > 3000);
    assert_true(met.truncations > 100);
    assert_true(met.refusals > 1000);
    assert_true(met.commits > 10000);
    assert_true(met.distrusts > 30);
    assert_true(met.installs > 200);
    print_message("%llu events, %llu elections, %llu crashes, %llu truncations, %llu commits, "
                  "%llu distrusted starts\n",
                  (unsigned long long)met.events, (unsigned long long)met.elections,
                  (unsigned long long)met.crashes, (unsigned long long)met.truncations,
                  (unsigned long long)met.commits, (unsigned long long)met.distrusts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_voters_stay_safe_and_settle),
        cmocka_unit_test(five_voters_stay_safe_and_settle),
        cmocka_unit_test(one_voter_loses_nothing),
        cmocka_unit_test(two_and_four_voters_need_a_true_majority),
        cmocka_unit_test(one_rotten_disk_of_three_loses_nothing),
        cmocka_unit_test(one_bad_link_ends_with_one_stable_leader),
        cmocka_unit_test(everything_was_met),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

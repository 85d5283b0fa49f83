/* Proves: snapshots of the metadata log on simulated machines. Every node writes one of the same
 * bytes at the same offset; the log below goes; who is behind fetches one, in parts, and is equal
 * afterwards; a crash at any moment of writing, fetching or cleaning leaves a node that starts and
 * is equal; a damaged one is passed over (kraft.md 8, K18, K19, F42). */
#include "tests/support/support.h"

#include "tests/support/quorum_box.h"

#include <stdio.h>
#include <string.h>

static struct quorum_box box;
static uint32_t appended;

static void begin_with(uint64_t seed, uint32_t nodes, uint32_t voters, int64_t retention_bytes)
{
    appended = 0;
    quorum_box_init(&box, seed, nodes, voters);
    box.snapshot_bytes = 2000;
    box.retention_bytes = retention_bytes;
    box.segment_bytes = 2000;
    quorum_box_run_ms(&box, 8000);
}

static void begin(uint64_t seed, uint32_t nodes, uint32_t voters)
{
    begin_with(seed, nodes, voters, 4000);
}

static void append_some(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        int leader = quorum_box_leader(&box);
        uint8_t value[40] = {1, 2, 3, (uint8_t)appended};
        struct bytes values[2] = {{value, sizeof value}, {value, 4}};
        struct quorum *quorum;
        int64_t first, last;
        enum err err;

        assert_true(leader >= 0);
        quorum = &box.node[leader].quorum;
        err = quorum_append(quorum, quorum->epoch, values, 2, &first, &last);
        assert_int_equal(err, ERR_NONE);
        appended += 2;
        quorum_box_poke(&box, (uint32_t)leader);
        if (i % 5 == 4) quorum_box_run_ms(&box, 150);
    }
    quorum_box_run_ms(&box, 1000);
}

static int64_t newest(uint32_t node)
{
    const struct quorum_keep *keep = &box.node[node].quorum.keep;

    return keep->count > 0 ? keep->kept[keep->count - 1].id.end : 0;
}

static void all_are_equal(uint32_t nodes)
{
    for (uint32_t i = 0; i < nodes; i++) {
        const struct quorum_box_node *n = &box.node[i];

        assert_int_equal(n->quorum.state, QUORUM_RUNNING);
        assert_int_equal(n->records, box.node[0].records);
        assert_int_equal(n->digest, box.node[0].digest);
        assert_int_equal(n->end, box.node[0].end);
        assert_int_equal(n->quorum.applied_end, n->log->log_end);
        assert_true(n->log->log_start <= newest(i));
        assert_false(n->quorum.raft.distrusted);
    }
    assert_int_equal(box.node[0].records, appended);
}

static void every_node_snapshots_and_its_log_begins_there(void **state)
{
    (void)state;
    begin(1, 4, 3);
    append_some(120);
    all_are_equal(4);
    for (uint32_t i = 0; i < 4; i++) {
        const struct quorum_keep *keep = &box.node[i].quorum.keep;

        assert_true(box.node[i].log->log_start > 0); /* observers too */
        assert_true(newest(i) <= box.node[i].quorum.high_watermark);
        assert_int_equal(box.node[i].log->log_start, keep->kept[0].id.end);
        assert_true(box.node[i].log->segment_count < 8);
        assert_true(keep->count < QUORUM_SNAPSHOTS_MAX);
    }
    quorum_box_deinit(&box);
}

static void a_restart_begins_with_the_newest_snapshot(void **state)
{
    (void)state;
    begin(2, 3, 3);
    append_some(60);
    for (uint32_t i = 0; i < 3; i++)
        sim_node_down(box.node[i].world, SIM_DOWN_POWER);
    for (uint32_t i = 0; i < 3; i++)
        quorum_box_start(&box, i);
    quorum_box_run_ms(&box, 12000);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(box.node[i].snapshots_loaded, 1);
    append_some(20);
    all_are_equal(3);
    quorum_box_deinit(&box);
}

static void stay_away_and_come_back(uint32_t who, bool wiped)
{
    sim_node_down(box.node[who].world, SIM_DOWN_POWER);
    if (wiped) sim_image_wipe(sim_disk_image(box.node[who].world->disk));
    quorum_box_run_ms(&box, 6000);
    append_some(80);
    quorum_box_start(&box, who);
    quorum_box_run_ms(&box, 10000);
    assert_true(box.node[who].snapshots_loaded > 0);
    append_some(5);
}

static void who_is_behind_the_log_fetches_a_snapshot(void **state)
{
    int leader;

    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        begin(seed, 4, 3);
        box.padding = 20000; /* more than one part */
        append_some(10);
        leader = quorum_box_leader(&box);
        stay_away_and_come_back((uint32_t)(leader + 1) % 3, false);
        all_are_equal(4);
        stay_away_and_come_back(3, true); /* an observer, from nothing */
        all_are_equal(4);
        quorum_box_deinit(&box);
    }
}

/* Whatever was on its way: the directory then holds parts, names without their sync, logs that the
 * snapshot does not fit. */
static void a_crash_at_any_moment_leaves_a_node_that_starts(void **state)
{
    uint32_t fetched = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        uint32_t who;

        begin(40 + seed, 4, 3);
        append_some(10);
        who = (uint32_t)(quorum_box_leader(&box) + 1) % 3;
        box.padding = 3000;
        for (uint32_t round = 0; round < 12; round++) {
            uint32_t victim = round % 2 == 0 ? who : 3;

            sim_node_down(box.node[victim].world, SIM_DOWN_POWER);
            if (round % 4 >= 2) append_some(40); /* enough that its log is gone elsewhere */
            quorum_box_start(&box, victim);
            quorum_box_run_ms(&box, 20 + (int64_t)(round * 37 + seed * 11) % 260);
            sim_node_down(box.node[victim].world, round % 3 == 0 ? SIM_DOWN_KILL : SIM_DOWN_POWER);
            quorum_box_start(&box, victim);
            quorum_box_run_ms(&box, 5000);
            append_some(7);
            fetched += box.node[victim].snapshots_loaded;
        }
        quorum_box_run_ms(&box, 5000);
        all_are_equal(4);
        quorum_box_deinit(&box);
    }
    assert_true(fetched > 20);
}

static void path_of(char *path, struct quorum_snapshot_id id)
{
    char name[QUORUM_SNAPSHOT_NAME];

    quorum_snapshot_name(name, id, "");
    snprintf(path, 200, "data/__cluster_metadata-0/%s", name);
}

static void rot(uint32_t node, uint32_t place)
{
    char path[200];

    path_of(path, box.node[node].quorum.keep.kept[place].id);
    assert_true(sim_image_rot(sim_disk_image(box.node[node].world->disk), path, 90, 3));
}

static void a_damaged_snapshot_is_passed_over_for_an_older_one(void **state)
{
    (void)state;
    begin_with(5, 1, 1, -1);
    append_some(200);
    assert_true(box.node[0].quorum.keep.count >= 2);
    sim_node_down(box.node[0].world, SIM_DOWN_POWER);
    rot(0, box.node[0].quorum.keep.count - 1);
    quorum_box_start(&box, 0);
    quorum_box_run_ms(&box, 3000);
    append_some(3);
    all_are_equal(1);
    assert_int_equal(box.node[0].snapshots_loaded, 1);
    quorum_box_deinit(&box);
}

static void without_any_good_snapshot_the_others_give_one_and_alone_it_stops(void **state)
{
    uint32_t who;

    (void)state;
    begin(6, 3, 3);
    append_some(100);
    who = (uint32_t)(quorum_box_leader(&box) + 1) % 3;
    assert_true(box.node[who].log->log_start > 0);
    sim_node_down(box.node[who].world, SIM_DOWN_POWER);
    for (uint32_t i = 0; i < box.node[who].quorum.keep.count; i++)
        rot(who, i);
    quorum_box_start(&box, who);
    quorum_box_run_ms(&box, 10000);
    append_some(5);
    all_are_equal(3);
    quorum_box_deinit(&box);

    begin(7, 1, 1);
    append_some(100);
    assert_true(box.node[0].log->log_start > 0);
    sim_node_down(box.node[0].world, SIM_DOWN_POWER);
    for (uint32_t i = 0; i < box.node[0].quorum.keep.count; i++)
        rot(0, i);
    quorum_box_start(&box, 0);
    quorum_box_run_ms(&box, 3000);
    assert_int_equal(box.node[0].quorum.state, QUORUM_FAILED);
    assert_int_equal(box.node[0].quorum.err, ERR_DAMAGED);
    quorum_box_deinit(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_node_snapshots_and_its_log_begins_there),
        cmocka_unit_test(a_restart_begins_with_the_newest_snapshot),
        cmocka_unit_test(who_is_behind_the_log_fetches_a_snapshot),
        cmocka_unit_test(a_crash_at_any_moment_leaves_a_node_that_starts),
        cmocka_unit_test(a_damaged_snapshot_is_passed_over_for_an_older_one),
        cmocka_unit_test(without_any_good_snapshot_the_others_give_one_and_alone_it_stops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

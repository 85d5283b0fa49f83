/* Proves that a follower whose log is rotten below the end that its leader named for a cut writes
 * the batch again from the leader, and then cuts; also what only the leader has beyond the high
 * watermark (storage.md DF7; KIP-966: it may be the last one that has the rest; swarm, seed 31010).
 *
 * And that a log which opens damaged below its recovery point stays as it is, offline, as long as
 * the metadata counts on its replica, or has nobody else lead; then it is fetched anew
 * (swarm-quorum, seed 50276). */
#include "tests/support/replica_acts.h"

#include "broker/log/log_private.h"
#include "sim/disk.h"

#include <string.h>

enum { A, B, C };

static void append(struct replica_rig *rig, uint32_t machine, uint32_t records)
{
    replica_put(rig, machine, records);
    replica_rig_run_ms(rig, 5);
}

struct wait {
    struct replica_rig *rig;
    uint32_t machine;
    int64_t offset;
};

static bool end_is(void *context)
{
    const struct wait *w = context;
    const struct partition *part = replica_rig_part(w->rig, w->machine, 1);

    return part != NULL && part->log != NULL && part->log->log_end == w->offset;
}

static void await_end(struct replica_rig *rig, uint32_t machine, int64_t offset)
{
    struct wait w = {rig, machine, offset};

    assert_true(replica_rig_until(rig, 20000, end_is, &w));
}

/* The value of the batch that begins there: the n-th of the only segment. */
static void rot(struct replica_rig *rig, uint32_t machine, uint32_t nth)
{
    struct sim_image *image = sim_disk_image(rig->machines[machine].world->disk);
    struct log *log = replica_rig_part(rig, machine, 1)->log;
    static uint8_t file[4096];
    uint64_t done, size, at = 0;
    char path[LOG_PATH_MAX];

    log_path_of(path, log, 0, ".log");
    assert_int_equal(ERR_NONE, sim_image_peek(image, path, SIM_VIEW_VISIBLE, 0, file, sizeof file,
                                              &done, &size));
    while (nth-- > 0)
        at += record_batch_total(file + at);
    assert_true(sim_image_rot(image, path, at + 66, 0));
}

/* A has 3 committed records in two batches, then 2 that only B has too, then 4 of its own. B leads
 * epoch 1 from 5 on; C is away, so that nothing above 3 is committed. */
static void diverge(struct replica_rig *rig, uint32_t rotten, bool epochs)
{
    replica_topic(rig, 1, 1, true);
    for (uint32_t i = 0; i < RIG_MACHINES; i++)
        replica_rig_start(rig, i);
    append(rig, A, 2);
    append(rig, A, 1);
    await_end(rig, B, 3);
    await_end(rig, C, 3);
    replica_rig_run_ms(rig, 50);
    replica_rig_kill(rig, RIG_CONTROLLER, false); /* nobody leaves the in-sync set */
    replica_rig_kill(rig, C, false);
    append(rig, A, 2);
    await_end(rig, B, 5);
    replica_rig_kill(rig, B, false);
    append(rig, A, 4);
    await_end(rig, A, 9);
    rot(rig, A, rotten);
    if (!epochs) {
        struct partition *part = replica_rig_part(rig, A, 1);

        replica_rig_add(rig, &(struct rig_record){.kind = RIG_CHANGE, .id = -1, .topic = 1});
        replica_rig_publish(rig, A);
        replica_rig_run_ms(rig, 50);
        assert_int_equal(part->role, PARTITION_FOLLOWER);
        (void)log_epochs_cut_end(&part->log->epochs, 0);
    }
    replica_rig_add(rig, &(struct rig_record){.kind = RIG_CHANGE, .id = 2, .topic = 1});
    replica_rig_start(rig, B);
    replica_rig_run_ms(rig, 200);
    append(rig, B, 3);
    assert_int_equal(replica_rig_part(rig, B, 1)->log->log_end, 8);
    assert_true(replica_rig_part(rig, B, 1)->high_watermark <= 3);
    replica_rig_publish(rig, A);
    await_end(rig, A, 8);
}

static void check_whole(struct replica_rig *rig, int32_t epoch)
{
    const struct partition *part = replica_rig_part(rig, A, 1);

    assert_int_equal(part->role, PARTITION_FOLLOWER);
    assert_int_equal(log_latest_epoch(part->log), epoch);
    assert_true(rig->traced[TRACE_LOG_DAMAGED] >= 1);
    assert_int_equal(1, rig->traced[TRACE_LOG_REPAIRED]);
    assert_int_equal(-1, part->log->damaged);
    assert_int_equal(-1, part->held_cut);
    assert_false(part->damaged);
}

static void a_rotten_batch_below_a_cut_is_mended_first(void **state)
{
    struct replica_rig *rig = *state;

    diverge(rig, 0, true);
    check_whole(rig, 1);
}

/* Without epochs no leader can say where it diverges: it is cut to the high watermark before it
 * fetches anything (KIP-101), and that cut is mended and made up for as well. */
static void a_cut_to_the_high_watermark_is_made_up_for(void **state)
{
    struct replica_rig *rig = *state;

    diverge(rig, 0, false);
    check_whole(rig, 2);
    assert_int_equal(rig->traced[TRACE_LOG_TRUNCATED], 1);
}

/* Nobody may see it yet but replicas, and this is one. */
static void what_is_not_committed_yet_is_mended_too(void **state)
{
    struct replica_rig *rig = *state;

    diverge(rig, 2, true);
    check_whole(rig, 1);
    assert_true(replica_rig_part(rig, B, 1)->high_watermark <= 3);
}

/* No fetch counts for progress but those of the follower's own end. */
static void a_copy_says_nothing_about_who_copies(void **state)
{
    struct replica_rig *rig = *state;
    struct partition_fetch fetch = {.replica_id = PARTITION_COPY,
                                    .replica_epoch = -1,
                                    .current_epoch = 1,
                                    .offset = 3,
                                    .last_fetched_epoch = -1,
                                    .log_start = -1,
                                    .max_bytes = 4096,
                                    .first_whole = true,
                                    .any_replica = true};
    struct partition *part;
    uint64_t told;

    diverge(rig, 2, true);
    part = replica_rig_part(rig, B, 1);
    told = rig->traced[TRACE_REPLICA_REMOTE];
    partition_fetch(part, &fetch);
    assert_int_equal(told, rig->traced[TRACE_REPLICA_REMOTE]);
    assert_int_equal(fetch.err, ERR_NONE);
    assert_int_equal(fetch.limit, 8);
    while (!partition_fetch_read(&fetch))
        replica_rig_run_ms(rig, 1);
    partition_fetch_finish(&fetch);
    assert_true(fetch.read.bytes > 0);
    partition_fetch_end(&fetch);
    fetch.replica_id = -1;
    partition_fetch(part, &fetch);
    assert_true(fetch.limit <= 3);
    partition_fetch_end(&fetch);
    /* A follower is not asked. */
    fetch.replica_id = PARTITION_COPY;
    partition_fetch(replica_rig_part(rig, A, 1), &fetch);
    assert_int_equal(fetch.err, ERR_NOT_LEADER_OR_FOLLOWER);
}

/* A has 3 committed records, synced, its recovery point says so; then its first batch rots, below
 * what B and C have as well. */
static void rot_what_is_promised(struct replica_rig *rig)
{
    struct log *log;

    replica_topic(rig, 1, 1, true);
    for (uint32_t i = 0; i < RIG_MACHINES; i++)
        replica_rig_start(rig, i);
    append(rig, A, 2);
    append(rig, A, 1);
    await_end(rig, B, 3);
    await_end(rig, C, 3);
    replica_rig_run_ms(rig, 50);
    log = replica_rig_part(rig, A, 1)->log;
    log_sync(log);
    replica_rig_run_ms(rig, 500);
    (void)log_dir_checkpoint(log->dir);
    replica_rig_run_ms(rig, 500);
    assert_int_equal(log->known->recovery_point, 3);
    rot(rig, A, 0);
    replica_rig_kill(rig, A, false);
}

static void check_untouched(struct replica_rig *rig)
{
    const struct partition *part = replica_rig_part(rig, A, 1);

    replica_rig_run_ms(rig, 20000); /* checkpoints as well */
    assert_int_equal(part->role, PARTITION_OFFLINE);
    assert_int_equal(part->log->state, LOG_FAILED);
    assert_int_equal(part->log->err, ERR_DAMAGED);
    assert_int_equal(part->log->known->recovery_point, 3);
    assert_int_equal(rig->traced[TRACE_LOG_TRUNCATED], 0);
}

static void a_log_that_opens_damaged_is_fetched_anew_when_others_lead(void **state)
{
    struct replica_rig *rig = *state;
    struct rig_record leads = {.kind = RIG_CHANGE, .id = 2, .topic = 1, .isr = {2, 3}};
    const struct partition *part;

    rot_what_is_promised(rig);
    replica_rig_start(rig, A);
    check_untouched(rig); /* it leads, by metadata */
    replica_rig_add(rig, &leads);
    replica_rig_publish_all(rig);
    append(rig, B, 2);
    await_end(rig, A, 5);
    part = replica_rig_part(rig, A, 1);
    assert_int_equal(part->role, PARTITION_FOLLOWER);
    assert_int_equal(part->log->log_start, 0);
    assert_int_equal(rig->traced[TRACE_LOG_TRUNCATED], 1);
    replica_rig_run_ms(rig, 2000);
    assert_int_equal(replica_rig_part(rig, B, 1)->isr.committed, 7); /* and is in sync again */
    assert_int_equal(part->high_watermark, 5);
    /* Also after a start. */
    replica_rig_kill(rig, A, false);
    replica_rig_start(rig, A);
    await_end(rig, A, 5);
    assert_int_equal(rig->traced[TRACE_LOG_DAMAGED], 1);
}

static void who_counts_keeps_what_it_has(void **state)
{
    struct replica_rig *rig = *state;
    struct rig_record in_sync = {.kind = RIG_CHANGE, .id = 2, .topic = 1, .isr = {2, 1}};
    struct rig_record nobody = {.kind = RIG_CHANGE, .id = -1, .topic = 1, .isr = {2}};
    struct rig_record leads = {.kind = RIG_CHANGE, .id = 2, .topic = 1};

    rot_what_is_promised(rig);
    replica_rig_kill(rig, C, false);
    replica_rig_add(rig, &in_sync);
    replica_rig_start(rig, A);
    check_untouched(rig);
    replica_rig_kill(rig, B, false);
    replica_rig_add(rig, &nobody);
    replica_rig_publish_all(rig);
    check_untouched(rig);
    replica_rig_add(rig, &leads);
    replica_rig_start(rig, B);
    replica_rig_publish_all(rig);
    await_end(rig, A, 3);
    assert_int_equal(replica_rig_part(rig, A, 1)->role, PARTITION_FOLLOWER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(a_rotten_batch_below_a_cut_is_mended_first),
        WITH_RIG(a_cut_to_the_high_watermark_is_made_up_for),
        WITH_RIG(what_is_not_committed_yet_is_mended_too),
        WITH_RIG(a_copy_says_nothing_about_who_copies),
        WITH_RIG(a_log_that_opens_damaged_is_fetched_anew_when_others_lead),
        WITH_RIG(who_counts_keeps_what_it_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

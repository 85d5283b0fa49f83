/* Proves that a walk over the bytes of a segment accepts exactly the sound chain, however the
 * bytes are cut into pieces, and that an index finds what a scan finds. */
#include "tests/support/support.h"

#include "broker/log/log_index.h"
#include "broker/log/log_scan.h"
#include "client/wire/record_builder.h"

#include <string.h>

static const struct cpu cpu;
static uint8_t file[8192];
static uint32_t size;
static uint32_t ends[32];
static uint32_t count;

static void add(int64_t base, int32_t epoch, uint32_t records)
{
    struct record_builder_config config = record_builder_config_default(cpu);
    struct record_builder builder;

    config.base_offset = base;
    config.partition_leader_epoch = epoch;
    record_builder_init(&builder, &config, file + size, sizeof file - size);
    for (uint32_t i = 0; i < records; i++) {
        assert_int_equal(ERR_NONE, record_builder_append(
                                       &builder, 5, BYTES_NULL,
                                       (struct bytes){(const uint8_t *)"payload", 7}, NULL, 0));
    }
    size += record_builder_finish(&builder).length;
    ends[count++] = size;
}

static int setup(void **state)
{
    (void)state;
    size = count = 0;
    for (int i = 0; i < 8; i++)
        add(100 + i * 3, i / 3, 3);
    return 0;
}

/* Batches accepted, fed in pieces of `piece` bytes. */
static uint32_t scan(uint32_t piece, bool gaps, bool *bad, struct log_scan *scan)
{
    uint32_t batches = 0;

    *bad = false;
    log_scan_init(scan, 100, 0, 100, -1, gaps);
    for (uint32_t at = 0; at < size && !*bad; at += piece) {
        struct bytes bytes = {file + at, size - at < piece ? size - at : piece};
        enum log_scan_result result;

        while ((result = log_scan_feed(scan, cpu, &bytes)) == LOG_SCAN_BATCH)
            batches++;
        *bad = result == LOG_SCAN_BAD;
    }
    return batches;
}

static void a_sound_chain_is_accepted_in_pieces_of_any_size(void **state)
{
    struct log_scan walk;
    bool bad;

    (void)state;
    for (uint32_t piece = 1; piece < 300; piece++) {
        assert_int_equal(8, scan(piece, false, &bad, &walk));
        assert_false(bad);
        assert_int_equal(0, log_scan_partial(&walk));
        assert_true(walk.position == size && walk.next_offset == 124);
    }
}

static void any_flipped_bit_ends_the_chain_at_its_batch_or_is_an_epoch_that_rose(void **state)
{
    struct log_scan walk;
    bool bad;

    (void)state;
    for (uint32_t at = 0; at < size; at++) {
        uint32_t batch = 0, accepted;

        while (at >= ends[batch])
            batch++;
        file[at] ^= 0x10;
        accepted = scan(4096, false, &bad, &walk);
        file[at] ^= 0x10;
        /* The leader epoch is outside the crc: a lower one is seen at once, a higher one by the
         * next batch; in the last batch it is not (H7). */
        if (at - (batch == 0 ? 0 : ends[batch - 1]) - 12 < 4) {
            assert_true(accepted == batch || accepted == batch + 1);
            assert_true(bad || batch == 7);
        } else {
            assert_int_equal(batch, accepted);
            assert_true(bad || log_scan_partial(&walk) > 0);
        }
        assert_true(walk.position == (accepted == 0 ? 0 : ends[accepted - 1]));
    }
}

static void gaps_and_falling_epochs_are_seen(void **state)
{
    struct log_scan walk;
    bool bad;

    (void)state;
    add(130, 5, 1);
    assert_int_equal(8, scan(1000, false, &bad, &walk));
    assert_true(bad && walk.why == LOG_SCAN_OFFSET);
    assert_int_equal(9, scan(1000, true, &bad, &walk));
    assert_false(bad);
    add(131, 4, 1); /* an old batch behind a new one (H13) */
    assert_int_equal(9, scan(1000, true, &bad, &walk));
    assert_true(bad && walk.why == LOG_SCAN_EPOCH);
}

static void an_index_lookup_lands_on_or_before_the_batch(void **state)
{
    struct support_memory memory;
    struct log_index index, loaded;
    uint8_t offsets[1000], times[1000];

    (void)state;
    support_memory_init(&memory, 1 << 20);
    log_index_init(&index, &memory.mem);
    log_index_init(&loaded, &memory.mem);
    for (uint32_t i = 0; i < 100; i++)
        log_index_add(&index, 250, i * 2 + 1, i * 100, 100, (int64_t)(i % 7) * 10 + i);
    assert_true(index.offset_count >= 30 && index.offset_count <= 34);
    for (uint32_t offset = 0; offset < 200; offset++) {
        uint32_t position = log_index_find(&index, offset);

        assert_true(position <= offset / 2 * 100);
        assert_true(offset / 2 * 100 - position <= 400);
    }
    log_index_finish(&index);
    log_index_put_offsets(&index, offsets);
    log_index_put_times(&index, times);
    assert_int_equal(ERR_NONE, log_index_load(&loaded, offsets, index.offset_count * 8, times,
                                              index.time_count * 12, 10000));
    assert_int_equal(index.offset_count, loaded.offset_count);
    assert_true(log_index_find(&loaded, 77) == log_index_find(&index, 77));
    assert_true(loaded.max_timestamp == index.max_timestamp);
    assert_int_equal(ERR_DAMAGED, log_index_load(&loaded, offsets, 15, times, 12, 10000));
    assert_int_equal(ERR_DAMAGED,
                     log_index_load(&loaded, offsets, index.offset_count * 8, times, 12, 5000));
    memset(offsets + 40, 0, 40);
    assert_int_equal(ERR_DAMAGED,
                     log_index_load(&loaded, offsets, index.offset_count * 8, times, 12, 10000));
    log_index_cut(&index, 50);
    assert_true(log_index_find(&index, 1000) <= 25 * 100);
    log_index_deinit(&index);
    log_index_deinit(&loaded);
    support_memory_deinit(&memory);
}

/* DF11: the bytes were fine, reading them was not. */
static void what_was_misread_is_accepted_when_it_is_read_again(void **state)
{
    struct log_scan walk;
    uint32_t judged = 0;
    bool bad;

    (void)state;
    for (uint32_t at = ends[2]; at < ends[3]; at++) {
        struct bytes bytes;
        uint32_t batches;
        enum log_scan_result result;

        file[at] ^= 0x40;
        batches = scan(97, false, &bad, &walk);
        file[at] ^= 0x40;
        if (batches == 4) continue; /* an epoch that rose: told by the batch behind it */
        assert_true(bad || log_scan_partial(&walk) > 0); /* a length that grew */
        assert_int_equal(3, batches);
        judged++;
        assert_int_equal(ends[2], walk.position);
        log_scan_again(&walk);
        bytes = (struct bytes){file + walk.position, size - (uint32_t)walk.position};
        while ((result = log_scan_feed(&walk, cpu, &bytes)) == LOG_SCAN_BATCH)
            batches++;
        assert_int_equal(LOG_SCAN_MORE, result);
        assert_int_equal(8, batches);
    }
    assert_true(judged > 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_sound_chain_is_accepted_in_pieces_of_any_size, setup),
        cmocka_unit_test_setup(any_flipped_bit_ends_the_chain_at_its_batch_or_is_an_epoch_that_rose,
                               setup),
        cmocka_unit_test_setup(gaps_and_falling_epochs_are_seen, setup),
        cmocka_unit_test(an_index_lookup_lands_on_or_before_the_batch),
        cmocka_unit_test_setup(what_was_misread_is_accepted_when_it_is_read_again, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

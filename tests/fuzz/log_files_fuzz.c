/* Any bytes as one of the files of a log directory, into open and recovery: no assertion falls, and
 * what opens can be read and closed. Where the file is derived (indexes, snapshots, manifest) every
 * batch that stands in the segments is there afterwards, or the open says why it is not open at all
 * (H1, S16).
 *
 *   input   byte 0: which file; bit 7: the stop before was orderly
 *           byte 1: 0 in its place, 1 behind what it has, 2 over its bytes from bytes 2, 3 on
 *           then the bytes; of a producer snapshot the crc is put right */
#include "tests/fuzz/fuzz.h"
#include "tests/support/log_box.h"

#include "broker/log/log_private.h"
#include "client/base/byteorder.h"
#include "client/wire/crc32c.h"
#include "sim/disk.h"

#include <stdio.h>
#include <string.h>

enum { HEAD = 4, FILE_MAX = 4096 };

/* Derived: nothing that it says may cost a batch. '%': the base of the second segment; '+': the
 * newest mark (log_mark.c), in a log of one segment. */
static const struct {
    const char *name;
    bool derived;
    bool opens; /* and whatever it says is no reason to stay closed */
    bool snapshot;
} files[] = {
    {"orders-0/%.log", false, false, false},
    {"orders-0/%.index", true, true, false},
    {"orders-0/%.timeindex", true, true, false},
    {"orders-0/%.txnindex", true, true, false},
    {"orders-0/%.snapshot", true, true, true},
    {"orders-0/%.producers", true, true, true},
    {"orders-0/leader-epoch-checkpoint", true, true, false},
    {"orders-0/partition.metadata", true, false, false},
    {"orders-0/segment-manifest", true, false, false},
    {"meta.properties", true, false, false},
    {"recovery-point-offset-checkpoint", true, false, false},
    {"replication-offset-checkpoint", true, true, false},
    {"cleaner-offset-checkpoint", false, false, false}, /* a compacted log may have gaps */
    {"log-start-offset-checkpoint", false, false, false},
    {"clean-state", true, true, false},
    {".kafka_cleanshutdown", true, true, false},
    {"orders-0/%.log.swap", false, false, false}, /* takes the place of what it covers */
    {"orders-0/%.cleaned", true, true, false},
    {".gregor_running", true, true, false},
    {"orders-0/+.snapshot", true, true, true},
    {"orders-0/+.producers", true, true, true},
};

static struct log_box box;
static struct log_read reading;
static int64_t named; /* base of the segment whose files are meant, or the mark */

static bool read_done(struct log_box *b)
{
    (void)b;
    return reading.done;
}

/* From the front, read_committed: whatever comes of it. */
static void read_through(void)
{
    for (int64_t at = box.log->log_start; at < box.log->log_end;) {
        reading = (struct log_read){.offset = at,
                                    .limit = box.log->log_end,
                                    .max_bytes = 5000,
                                    .first_whole = true,
                                    .stable = true};
        log_read(box.log, &reading);
        if (!reading.done) assert_true(log_box_wait(&box, read_done));
        if (reading.err != ERR_NONE || reading.count == 0) return;
        at = reading.next_offset;
        log_read_release(&reading);
    }
}

static bool marked(uint32_t which)
{
    return strchr(files[which].name, '+') != NULL;
}

/* Segments, an aborted transaction in the first one, an orderly stop or none. */
static int64_t build(bool orderly, bool marks)
{
    struct log_append append;

    log_box_init(&box, 1);
    box.config.segment_bytes = marks ? 1 << 20 : 400;
    if (marks) box.recovery_bytes = 600;
    box.config.index_interval_bytes = 100;
    assert_int_equal(ERR_NONE, log_box_start(&box));
    assert_int_equal(ERR_NONE, log_box_open(&box));
    for (uint32_t i = 0; i < 14; i++) {
        struct bytes bytes;
        struct buf *buf = log_box_produce_batch(&box, 5, 0, (int32_t)(i * 2), 2, &bytes);

        assert_int_equal(ERR_NONE, log_append_as_leader(box.log, buf, bytes, 1 + (int32_t)i / 6,
                                                        LOG_CLIENT, &append));
        buf_unref(buf);
        assert_true(log_box_await(&box, &append));
    }
    if (marks) log_box_run_ms(&box, 50);
    assert_true(marks ? box.log->mark > 0 : box.log->segment_count > 2);
    named = marks ? box.log->mark : box.log->segments[1]->base;
    assert_true(log_box_sync(&box));
    log_note_high_watermark(box.log, box.log->log_end);
    (void)log_dir_checkpoint(&box.dir);
    log_box_run_ms(&box, 50);
    if (orderly) {
        log_box_stop(&box);
    } else {
        log_box_kill(&box, false);
    }
    return 28;
}

/* The second segment: neither the first one nor the active one. */
static void path_of(uint32_t which, char path[80])
{
    const char *hole = strchr(files[which].name, marked(which) ? '+' : '%');

    if (hole == NULL) {
        (void)snprintf(path, 80, "data/%s", files[which].name);
    } else {
        (void)snprintf(path, 80, "data/orders-0/%020d%s", (int)named, hole + 1);
    }
}

static void plant(uint32_t which, const uint8_t *data, size_t size)
{
    struct sim_image *image = sim_disk_image(box.node->disk);
    static uint8_t copy[FILE_MAX];
    struct sim_inode *inode;
    uint64_t at = 0;
    char path[80];

    path_of(which, path);
    if (size - HEAD > sizeof copy) size = HEAD + sizeof copy;
    memcpy(copy, data + HEAD, size - HEAD);
    assert_int_equal(ERR_NONE, sim_image_open(image, path, DISK_CREATE, &inode));
    if (data[1] % 3 == 0) sim_image_truncate(image, inode, 0);
    if (data[1] % 3 == 1) at = sim_image_size(inode);
    if (data[1] % 3 == 2) at = be_get16(data + 2) % (sim_image_size(inode) + 1);
    if (files[which].snapshot && at == 0 && size - HEAD > 6) {
        struct cpu cpu = {.sse42 = false};

        be_put32(copy + 2, crc32c(cpu, 0, copy + 6, size - HEAD - 6));
    }
    sim_image_write(image, inode, at, copy, size - HEAD);
    (void)sim_image_sync(image, inode, UINT64_MAX);
    sim_image_close(image, inode, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t which;
    int64_t end;
    bool whole;

    if (size < HEAD) return 0;
    which = (data[0] & 0x7f) % (uint32_t)(sizeof files / sizeof files[0]);
    end = build((data[0] & 0x80) != 0, marked(which));
    plant(which, data, size);
    whole = log_box_start(&box) == ERR_NONE && log_box_open(&box) == ERR_NONE;
    ASSERT(whole || !files[which].opens);
    if (whole) {
        if (files[which].derived) {
            ASSERT(box.log->log_start == 0 && box.log->log_end == end);
            log_box_check(&box, 2000);
        }
        read_through();
        log_box_stop(&box);
        /* And what this one left opens as well as it did. */
        ASSERT(log_box_start(&box) == ERR_NONE && log_box_open(&box) == ERR_NONE);
        read_through();
    }
    log_box_kill(&box, false);
    log_box_deinit(&box);
    return 0;
}

/* Any bytes as one of the small files of a node, and as snapshots of its metadata log: no assertion
 * falls; the node serves again, or says why it does not, or waits for voters that it does not have
 * (a promise that is not in its log any more: K27). What starts also stops in order, and starts
 * once more.
 *
 *   input   byte 0: which file; bit 7: the stop before was orderly
 *           byte 1: 0 in its place, 1 behind what it has, 2 over its bytes from bytes 2, 3 on
 *           then the bytes; crcs of batches, and of what was promised, are put right */
#include "tests/fuzz/fuzz.h"
#include "tests/support/node_box.h"

#include "broker/raft/quorum_file.h"
#include "client/base/byteorder.h"
#include "client/wire/crc32c.h"
#include "client/wire/record_batch.h"
#include "sim/disk.h"

#include <stdio.h>
#include <string.h>

enum { HEAD = 4, FILE_MAX = 16384, WAIT_MS = 20000 };

enum kind { PLAIN, SNAPSHOT, PROMISE };

/* '%': the newest snapshot that the node has. */
static const struct {
    const char *name;
    enum kind kind;
} files[] = {
    {"__cluster_metadata-0/%", SNAPSHOT},
    {"__cluster_metadata-0/00000000000000000000-0000000000.checkpoint", SNAPSHOT},
    {"__cluster_metadata-0/00000000000000000900-0000000007.checkpoint", SNAPSHOT}, /* of later */
    {"__cluster_metadata-0/00000000000000000900-0000000007.checkpoint.part", SNAPSHOT},
    {"__cluster_metadata-0/quorum-state", PLAIN},
    {"__cluster_metadata-0/acknowledged-end", PROMISE},
    {"__cluster_metadata-0/partition.metadata", PLAIN},
    {"__cluster_metadata-0/leader-epoch-checkpoint", PLAIN},
    {"__cluster_metadata-0/segment-manifest", PLAIN},
    {"__cluster_metadata-0/00000000000000000000.log", SNAPSHOT},
    {"meta.properties", PLAIN},
    {".gregor_running", PLAIN},
};

static struct node_box box;

static bool newest(char name[80])
{
    static uint8_t list[1 << 16];
    uint64_t done = 0, needed = 0;
    struct rng rng;
    bool found = false;

    rng_init(&rng, 1);
    if (sim_image_list(sim_disk_image(box.node[0].world->disk), "data/__cluster_metadata-0", &rng,
                       list, sizeof list, &done, &needed) != ERR_NONE)
        return false;
    for (uint64_t at = 0; at < done;) {
        const struct disk_entry *entry = (const void *)(list + at);
        size_t length = strlen(entry->name);

        at += entry->entry_length;
        if (length != 42 || strcmp(entry->name + 31, ".checkpoint") != 0) continue;
        if (found && strcmp(entry->name, name) < 0) continue;
        (void)snprintf(name, 80, "%s", entry->name);
        found = true;
    }
    return found;
}

static void path_of(uint32_t which, char path[160])
{
    const char *hole = strchr(files[which].name, '%');
    char name[80];

    (void)snprintf(path, 160, "data/%s", files[which].name);
    if (hole == NULL) return;
    ASSERT(newest(name));
    (void)snprintf(path, 160, "data/__cluster_metadata-0/%s", name);
}

static void build(bool orderly)
{
    node_box_init(&box, 1, "a", "metadata.log.max.record.bytes.between.snapshots=1\n");
    box.unwatched = true;
    node_box_start_all(&box);
    node_box_run_ms(&box, 200);
    if (orderly) {
        node_box_stop(&box, 0, 60000);
    } else {
        sim_node_down(box.node[0].world, SIM_DOWN_KILL);
        node_box_run_ms(&box, 10);
    }
}

static void put_right(enum kind kind, uint8_t *bytes, size_t size)
{
    struct cpu cpu = {.sse42 = false};
    struct record_batch_iter iter;
    struct record_batch batch;
    size_t at = 0;

    switch (kind) {
    case PLAIN: return;
    case PROMISE:
        if (size >= QUORUM_HINT_SLOT) be_put32(bytes + 24, crc32c(cpu, 0, bytes, 24));
        return;
    case SNAPSHOT:
        record_batch_iter_init(&iter, (struct bytes){bytes, (uint32_t)size});
        while (record_batch_iter_next(&iter, &batch)) {
            record_batch_set_timestamp(cpu, bytes + at,
                                       (batch.attributes & RECORD_LOG_APPEND_TIME) != 0,
                                       batch.max_timestamp);
            at += batch.bytes.length;
        }
        return;
    }
}

static void plant(uint32_t which, const uint8_t *data, size_t size)
{
    struct sim_image *image = sim_disk_image(box.node[0].world->disk);
    static uint8_t copy[2 * FILE_MAX];
    uint64_t done = 0, had = 0, at = 0, end;
    struct sim_inode *inode;
    char path[160];

    path_of(which, path);
    if (size - HEAD > FILE_MAX) size = HEAD + FILE_MAX;
    if (sim_image_peek(image, path, SIM_VIEW_VISIBLE, 0, copy, FILE_MAX, &done, &had) != ERR_NONE)
        had = 0;
    if (had > FILE_MAX) had = FILE_MAX;
    if (data[1] % 3 == 0) had = 0;
    if (data[1] % 3 == 1) at = had;
    if (data[1] % 3 == 2) at = be_get16(data + 2) % (had + 1);
    memcpy(copy + at, data + HEAD, size - HEAD);
    end = at + (size - HEAD) > had ? at + (size - HEAD) : had;
    put_right(files[which].kind, copy, end);
    ASSERT(sim_image_open(image, path, DISK_CREATE, &inode) == ERR_NONE);
    sim_image_truncate(image, inode, 0);
    sim_image_write(image, inode, 0, copy, end);
    (void)sim_image_sync(image, inode, UINT64_MAX);
    sim_image_close(image, inode, false);
}

static bool up_or_down(void *context)
{
    const struct node_box_node *n = context;

    return !n->world->up || (n->node != NULL && n->node->state == NODE_READY);
}

/* False: there is nothing to go on with. */
static bool serves(void)
{
    struct node_box_node *n = &box.node[0];

    node_box_start(&box, 0);
    if (!node_box_until(&box, WAIT_MS, up_or_down, n)) {
        ASSERT(n->node->state == NODE_JOINING || n->node->state == NODE_REGISTERING);
        return false;
    }
    if (n->world->up) return true;
    ASSERT(n->world->stopped && n->world->stop_status != 0 && n->errors > 0);
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t which;

    if (size < HEAD) return 0;
    which = (data[0] & 0x7f) % (uint32_t)(sizeof files / sizeof files[0]);
    build((data[0] & 0x80) != 0);
    plant(which, data, size);
    if (serves()) {
        node_box_stop(&box, 0, 60000);
        ASSERT(serves());
    }
    if (box.node[0].world->up) sim_node_down(box.node[0].world, SIM_DOWN_KILL);
    node_box_run_ms(&box, 10);
    node_box_deinit(&box);
    return 0;
}

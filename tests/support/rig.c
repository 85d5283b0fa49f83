#include "tests/support/rig.h"

#include <stdlib.h>
#include <string.h>

void rig_init_with(struct rig *rig, const struct sim_config *config,
                   const struct sim_node_config *node, uint32_t nodes)
{
    *rig = (struct rig){.sim = sim_create(config), .count = nodes};
    for (uint32_t i = 0; i < nodes; i++) {
        struct sim_node_config own = *node;

        own.id = (int32_t)i + 1;
        rig->node[i] = sim_node_add(rig->sim, &own);
        sim_node_start(rig->node[i]);
    }
}

void rig_init(struct rig *rig, uint64_t seed, uint32_t nodes)
{
    struct sim_config config = sim_config_default(seed);
    struct sim_node_config node = sim_node_config_default(0);

    node.disk.loss = (struct sim_loss){.policy = SIM_LOSS_EVERYTHING};
    node.disk.writeback_ns = 0;
    rig_init_with(rig, &config, &node, nodes);
}

void rig_deinit(struct rig *rig)
{
    sim_destroy(rig->sim);
}

struct world *rig_world(struct rig *rig, uint32_t node)
{
    return &rig->node[node]->world;
}

static void rig_complete(struct world_req *req, struct instant now)
{
    (void)now;
    assert_false(req->pending);
}

void rig_req(struct world_req *req)
{
    world_req_init(req, rig_complete);
}

static bool rig_told(void *context)
{
    return !((const struct world_req *)context)->pending;
}

/* Nodes without a program need an actor all the same. */
static void rig_turn_end(struct actor *actor, struct instant now)
{
    (void)actor;
    (void)now;
}

static struct actor rig_actor = {.turn_end = rig_turn_end};

bool rig_wait_ms(struct rig *rig, struct world_req *req, int64_t ms)
{
    struct sim_limits limits = {
        .until_ns = rig->sim->now_ns + ms * NS_PER_MS, .done = rig_told, .context = req};

    for (uint32_t i = 0; i < rig->count; i++) {
        if (rig->node[i]->up && rig->node[i]->world.actor == NULL) {
            rig->node[i]->world.actor = &rig_actor;
        }
    }
    return sim_run(rig->sim, &limits) == SIM_END_DONE;
}

enum err rig_wait(struct rig *rig, struct world_req *req)
{
    assert_true(rig_wait_ms(rig, req, 3600 * 1000));
    return req->result;
}

void rig_run_ms(struct rig *rig, int64_t ms)
{
    struct world_req never = {.pending = true};

    assert_false(rig_wait_ms(rig, &never, ms));
}

/* ---- network --------------------------------------------------------------------------------- */

enum err rig_connect(struct rig *rig, struct rig_pair *pair, uint32_t from, uint32_t to)
{
    static struct net_connect connect;

    pair->at[0] = from;
    pair->at[1] = to;
    rig_req(&pair->end[0].gone);
    rig_req(&pair->end[0].closed);
    connect = (struct net_connect){.conn = &pair->end[0]};
    connect.address = sim_net_address(rig->node[to], RIG_PORT);
    rig_req(&connect.req);
    net_connect(rig_world(rig, from), &connect);
    return rig_wait(rig, &connect.req);
}

void rig_open_pair(struct rig *rig, struct rig_pair *pair, uint32_t from, uint32_t to)
{
    static struct net_accept accept;

    memset(pair, 0, sizeof *pair);
    rig_req(&pair->listener.req);
    rig_req(&pair->listener.closed);
    pair->listener.address.port = RIG_PORT;
    net_listen(rig_world(rig, to), &pair->listener);
    assert_int_equal(rig_wait(rig, &pair->listener.req), ERR_NONE);
    assert_int_equal(rig_connect(rig, pair, from, to), ERR_NONE);
    rig_req(&pair->end[1].gone);
    rig_req(&pair->end[1].closed);
    accept = (struct net_accept){.listener = &pair->listener, .conn = &pair->end[1]};
    rig_req(&accept.req);
    net_accept(rig_world(rig, to), &accept);
    assert_int_equal(rig_wait(rig, &accept.req), ERR_NONE);
}

enum err rig_send(struct rig *rig, struct rig_pair *pair, uint32_t side, const void *data,
                  uint32_t length)
{
    static struct net_send send;
    static struct bytes slice;

    slice = (struct bytes){data, length};
    send = (struct net_send){.conn = &pair->end[side], .slices = &slice, .slice_count = 1};
    rig_req(&send.req);
    net_send(rig_world(rig, pair->at[side]), &send);
    return rig_wait(rig, &send.req);
}

enum err rig_recv(struct rig *rig, struct rig_pair *pair, uint32_t side, void *into,
                  uint32_t length)
{
    static struct net_recv recv;

    recv = (struct net_recv){.conn = &pair->end[side], .into = into, .want = length};
    rig_req(&recv.req);
    net_recv(rig_world(rig, pair->at[side]), &recv);
    return rig_wait(rig, &recv.req);
}

void rig_close(struct rig *rig, struct rig_pair *pair, uint32_t side)
{
    net_close(rig_world(rig, pair->at[side]), &pair->end[side]);
    assert_int_equal(rig_wait(rig, &pair->end[side].closed), ERR_NONE);
}

/* ---- disk ------------------------------------------------------------------------------------ */

static struct disk_req rig_disk_req;

static enum err rig_disk(struct rig *rig, uint32_t node, struct disk_req req)
{
    rig_disk_req = req;
    rig_req(&rig_disk_req.req);
    disk_submit(rig_world(rig, node), &rig_disk_req);
    return rig_wait(rig, &rig_disk_req.req);
}

enum err rig_open(struct rig *rig, uint32_t node, const char *path, uint32_t flags,
                  struct disk_file *file)
{
    enum err error =
        rig_disk(rig, node, (struct disk_req){.op = DISK_OPEN, .path = path, .flags = flags});

    *file = rig_disk_req.file;
    return error;
}

enum err rig_write(struct rig *rig, uint32_t node, struct disk_file file, uint64_t offset,
                   const void *data, uint32_t length)
{
    static struct bytes slice;

    slice = (struct bytes){data, length};
    return rig_disk(
        rig, node,
        (struct disk_req){
            .op = DISK_WRITE, .file = file, .offset = offset, .slices = &slice, .slice_count = 1});
}

enum err rig_read(struct rig *rig, uint32_t node, struct disk_file file, uint64_t offset,
                  void *into, uint32_t length, uint64_t *done)
{
    enum err error = rig_disk(
        rig, node,
        (struct disk_req){
            .op = DISK_READ, .file = file, .offset = offset, .into = into, .length = length});

    *done = rig_disk_req.done;
    return error;
}

enum err rig_file(struct rig *rig, uint32_t node, enum disk_op op, struct disk_file file,
                  uint64_t length)
{
    return rig_disk(rig, node, (struct disk_req){.op = op, .file = file, .length = length});
}

enum err rig_path(struct rig *rig, uint32_t node, enum disk_op op, const char *path,
                  const char *path_to)
{
    return rig_disk(rig, node, (struct disk_req){.op = op, .path = path, .path_to = path_to});
}

void rig_put(struct rig *rig, uint32_t node, const char *path, const void *data, uint32_t length,
             bool sync, bool sync_name)
{
    struct disk_file file;

    assert_int_equal(rig_open(rig, node, path, DISK_CREATE, &file), ERR_NONE);
    assert_int_equal(rig_write(rig, node, file, 0, data, length), ERR_NONE);
    if (sync) assert_int_equal(rig_file(rig, node, DISK_SYNC, file, 0), ERR_NONE);
    assert_int_equal(rig_file(rig, node, DISK_CLOSE, file, 0), ERR_NONE);
    if (sync_name) assert_int_equal(rig_path(rig, node, DISK_SYNC_DIR, ".", NULL), ERR_NONE);
}

bool rig_holds(struct rig *rig, uint32_t node, const char *path, const char *text)
{
    uint8_t content[256];
    uint64_t done;
    uint64_t size;
    struct sim_image *image = sim_disk_image(rig->node[node]->disk);

    if (sim_image_peek(image, path, SIM_VIEW_VISIBLE, 0, content, sizeof content, &done, &size) !=
        ERR_NONE) {
        return false;
    }
    return size == strlen(text) && memcmp(content, text, size) == 0;
}

bool rig_exists(struct rig *rig, uint32_t node, const char *path)
{
    uint64_t done;
    uint64_t size;
    uint8_t none;

    return sim_image_peek(sim_disk_image(rig->node[node]->disk), path, SIM_VIEW_VISIBLE, 0, &none,
                          0, &done, &size) == ERR_NONE;
}

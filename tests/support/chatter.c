#include "tests/support/chatter.h"

#include <string.h>

enum { CHAT_CONNS = 16, CHAT_FRAME = 64 };

struct chat_in {
    struct chat *chat;
    struct net_accept accept;
    struct net_conn conn;
    struct net_recv recv;
};

/* All of one life, at the beginning of the region. */
struct chat {
    struct actor actor;
    struct chatter *chatter;
    struct world *world;
    struct rng rng;
    struct net_listener listener;
    struct chat_in in[CHAT_CONNS];
    struct world_timer timer;
    struct net_connect connect;
    struct net_conn out;
    bool linked;
    struct net_send send;
    struct bytes slice;
    uint8_t frame[CHAT_FRAME];
    uint64_t sent;
    struct disk_req open;
    struct disk_req write;
    struct disk_req sync;
    struct bytes page;
    uint8_t buffer[CHAT_FRAME];
    uint64_t written;
    bool have_file;
};

static void chat_turn_end(struct actor *actor, struct instant now)
{
    (void)actor;
    (void)now;
}

static void chat_ignore(struct world_req *req, struct instant now)
{
    (void)req;
    (void)now;
}

/* ---- disk: open once, then write and sync what came, one at a time --------------------------- */

static void chat_opened(struct world_req *req, struct instant now)
{
    struct chat *chat = CONTAINER_OF(req, struct chat, open.req);

    (void)now;
    chat->have_file = req->result == ERR_NONE;
    chat->written = chat->open.size;
}

static void chat_written(struct world_req *req, struct instant now)
{
    struct chat *chat = CONTAINER_OF(req, struct chat, write.req);

    (void)now;
    chat->written += chat->write.done;
    if (req->result != ERR_NONE || chat->sync.req.pending) return;
    chat->sync.op = DISK_SYNC;
    chat->sync.file = chat->open.file;
    disk_submit(chat->world, &chat->sync);
}

static void chat_store(struct chat *chat, const uint8_t *data, uint32_t length)
{
    if (!chat->have_file || chat->write.req.pending || chat->sync.req.pending) return;
    if (length > CHAT_FRAME) length = CHAT_FRAME;
    memcpy(chat->buffer, data, length);
    chat->page = (struct bytes){chat->buffer, length};
    chat->write.op = DISK_WRITE;
    chat->write.file = chat->open.file;
    chat->write.offset = chat->written;
    chat->write.slices = &chat->page;
    chat->write.slice_count = 1;
    disk_submit(chat->world, &chat->write);
}

/* ---- inbound --------------------------------------------------------------------------------- */

static void chat_accepted(struct world_req *req, struct instant now)
{
    struct chat_in *in = CONTAINER_OF(req, struct chat_in, accept.req);

    (void)now;
    if (req->result == ERR_NONE) net_recv(in->chat->world, &in->recv);
}

static void chat_received(struct world_req *req, struct instant now)
{
    struct chat_in *in = CONTAINER_OF(req, struct chat_in, recv.req);
    struct chat *chat = in->chat;

    (void)now;
    if (req->result != ERR_NONE) {
        if (req->result != ERR_CANCELED) net_close(chat->world, &in->conn);
        return;
    }
    chat->chatter->received += in->recv.loan.length;
    TRACE(chat->world, RPC_RECEIVED, (int64_t)in->conn.id, 0, 0, 0, in->recv.loan.length);
    chat_store(chat, in->recv.loan.data, in->recv.loan.length);
    net_release(chat->world, &in->recv.loan);
    net_recv(chat->world, &in->recv);
}

static void chat_in_closed(struct world_req *req, struct instant now)
{
    struct chat_in *in = CONTAINER_OF(req, struct chat_in, conn.closed);

    (void)now;
    net_accept(in->chat->world, &in->accept);
}

static void chat_listening(struct world_req *req, struct instant now)
{
    struct chat *chat = CONTAINER_OF(req, struct chat, listener.req);

    (void)now;
    for (uint32_t i = 0; i < CHAT_CONNS && req->result == ERR_NONE; i++) {
        net_accept(chat->world, &chat->in[i].accept);
    }
}

/* ---- outbound -------------------------------------------------------------------------------- */

static void chat_connected(struct world_req *req, struct instant now)
{
    (void)now;
    CONTAINER_OF(req, struct chat, connect.req)->linked = req->result == ERR_NONE;
}

static void chat_gone(struct world_req *req, struct instant now)
{
    struct chat *chat = CONTAINER_OF(req, struct chat, out.gone);

    (void)now;
    if (req->result == ERR_CANCELED) return;
    chat->linked = false;
    net_close(chat->world, &chat->out);
}

static void chat_tick(struct world_req *req, struct instant now)
{
    struct chat *chat = CONTAINER_OF(req, struct chat, timer.req);
    int64_t next = rng_exponential(&chat->rng, chat->chatter->period_ns);

    if (chat->linked) {
        if (!chat->send.req.pending) {
            rng_bytes(&chat->rng, chat->frame, CHAT_FRAME);
            chat->slice = (struct bytes){chat->frame, CHAT_FRAME};
            chat->sent++;
            net_send(chat->world, &chat->send);
        }
    } else if (!chat->connect.req.pending && !chat->out.gone.pending && !chat->out.closed.pending) {
        net_connect(chat->world, &chat->connect);
    }
    chat->timer.deadline = (struct mono_time){now.mono.ns + next};
    timer_start(chat->world, &chat->timer);
}

/* ---- life ------------------------------------------------------------------------------------ */

static struct net_address chat_next_address(const struct chatter *chatter)
{
    uint32_t next = (uint32_t)chatter->id % chatter->peers + 1;

    return (struct net_address){.ip = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = (uint8_t)next},
                                .port = RIG_PORT};
}

static void chat_boot(struct sim_program *program, struct world *world, struct instant now)
{
    struct chatter *chatter = CONTAINER_OF(program, struct chatter, program);
    struct chat *chat = region_take(world->region, sizeof *chat, 64);

    assert_non_null(chat);
    memset(chat, 0, sizeof *chat);
    chatter->boots++;
    chat->chatter = chatter;
    chat->world = world;
    chat->actor.turn_end = chat_turn_end;
    world->actor = &chat->actor;
    world->node_id = chatter->id;
    rng_init(&chat->rng, dice_seed(world, DICE_WORKLOAD));
    world_req_init(&chat->listener.req, chat_listening);
    world_req_init(&chat->listener.closed, chat_ignore);
    world_req_init(&chat->timer.req, chat_tick);
    world_req_init(&chat->connect.req, chat_connected);
    world_req_init(&chat->out.gone, chat_gone);
    world_req_init(&chat->out.closed, chat_ignore);
    world_req_init(&chat->send.req, chat_ignore);
    world_req_init(&chat->open.req, chat_opened);
    world_req_init(&chat->write.req, chat_written);
    world_req_init(&chat->sync.req, chat_ignore);
    for (uint32_t i = 0; i < CHAT_CONNS; i++) {
        struct chat_in *in = &chat->in[i];

        in->chat = chat;
        in->accept.listener = &chat->listener;
        in->accept.conn = &in->conn;
        in->recv.conn = &in->conn;
        world_req_init(&in->accept.req, chat_accepted);
        world_req_init(&in->conn.gone, chat_ignore);
        world_req_init(&in->conn.closed, chat_in_closed);
        world_req_init(&in->recv.req, chat_received);
    }
    chat->send.conn = &chat->out;
    chat->send.slices = &chat->slice;
    chat->send.slice_count = 1;
    chat->connect.conn = &chat->out;
    chat->connect.address = chat_next_address(chatter);
    chat->listener.address.port = RIG_PORT;
    net_listen(world, &chat->listener);
    if (!chatter->quiet) {
        chat->open.op = DISK_OPEN;
        chat->open.path = "log";
        chat->open.flags = DISK_CREATE;
        disk_submit(world, &chat->open);
    }
    chat->timer.deadline = now.mono;
    timer_start(world, &chat->timer);
}

void chatter_init(struct chatter *chatter, int32_t id, uint32_t peers, int64_t period_ns)
{
    *chatter = (struct chatter){
        .program = {.boot = chat_boot}, .id = id, .peers = peers, .period_ns = period_ns};
}

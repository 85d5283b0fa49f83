/* The floor of the production world: requests of a fixed size echoed over the loopback.
 * usage: posix-echo [CONNECTIONS [BYTES [SECONDS]]]
 *
 * A child process is the load: each of its connections sends a request and waits for the answer.
 * Prints requests per second and the CPU time that the echoing side spent on one. */
#include "client/posix/posix_world.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ECHO_CONNECTIONS_MAX = 4096, ECHO_BYTES_MAX = 65536 };

struct echo_end {
    struct net_conn conn;
    struct net_connect connect;
    struct net_accept accept;
    struct net_recv recv;
    struct net_send send;
    struct bytes slice;
    uint8_t bytes[ECHO_BYTES_MAX];
};

static struct posix_world *world;
static struct actor actor;
static struct net_listener listener;
static struct world_timer end;
static struct echo_end *ends;
static uint32_t size;
static uint64_t answered;

static void echo_nothing(struct world_req *req, struct instant now)
{
    (void)req;
    (void)now;
}

static void echo_turn_end(struct actor *self, struct instant now)
{
    (void)self;
    (void)now;
}

static void echo_received(struct world_req *req, struct instant now)
{
    struct echo_end *e = CONTAINER_OF(req, struct echo_end, recv.req);

    (void)now;
    if (req->result != ERR_NONE) return;
    answered++;
    net_send(&world->world, &e->send);
}

static void echo_sent(struct world_req *req, struct instant now)
{
    struct echo_end *e = CONTAINER_OF(req, struct echo_end, send.req);

    (void)now;
    if (req->result == ERR_NONE) net_recv(&world->world, &e->recv);
}

static void echo_ready(struct echo_end *e)
{
    world_req_init(&e->recv.req, echo_received);
    world_req_init(&e->send.req, echo_sent);
    e->recv.conn = &e->conn;
    e->recv.into = e->bytes;
    e->recv.want = size;
    e->slice = (struct bytes){e->bytes, size};
    e->send.conn = &e->conn;
    e->send.slices = &e->slice;
    e->send.slice_count = 1;
}

static void echo_accepted(struct world_req *req, struct instant now)
{
    struct echo_end *e = CONTAINER_OF(req, struct echo_end, accept.req);

    (void)now;
    if (req->result != ERR_NONE) return;
    echo_ready(e);
    net_recv(&world->world, &e->recv);
}

static void echo_connected(struct world_req *req, struct instant now)
{
    struct echo_end *e = CONTAINER_OF(req, struct echo_end, connect.req);

    (void)now;
    if (req->result != ERR_NONE) abort();
    echo_ready(e);
    net_send(&world->world, &e->send);
}

static void echo_end(struct world_req *req, struct instant now)
{
    (void)req;
    (void)now;
    world_stop(&world->world, 0);
}

static void echo_create(uint32_t connections)
{
    struct posix_options options = posix_options_default();

    options.connections_max = connections;
    options.region_size = 1 << 20;
    if (posix_world_create(&options, &world) != ERR_NONE) abort();
    actor.turn_end = echo_turn_end;
    world->world.actor = &actor;
    ends = calloc(connections, sizeof *ends);
    if (ends == NULL) abort();
    for (uint32_t i = 0; i < connections; i++) {
        world_req_init(&ends[i].conn.gone, echo_nothing);
        world_req_init(&ends[i].conn.closed, echo_nothing);
        world_req_init(&ends[i].connect.req, echo_connected);
        world_req_init(&ends[i].accept.req, echo_accepted);
        ends[i].connect.conn = &ends[i].conn;
        ends[i].accept.conn = &ends[i].conn;
        ends[i].accept.listener = &listener;
    }
}

static int echo_load(uint32_t connections, uint16_t port)
{
    echo_create(connections);
    for (uint32_t i = 0; i < connections; i++) {
        ends[i].connect.address.ip[10] = 0xff;
        ends[i].connect.address.ip[11] = 0xff;
        ends[i].connect.address.ip[12] = 127;
        ends[i].connect.address.ip[15] = 1;
        ends[i].connect.address.port = port;
        net_connect(&world->world, &ends[i].connect);
    }
    return posix_world_run(world); /* until killed */
}

int main(int argc, char **argv)
{
    uint32_t connections = argc > 1 ? (uint32_t)atoi(argv[1]) : 64;
    int64_t seconds = argc > 3 ? atoi(argv[3]) : 2;
    int port_pipe[2];
    struct rusage used;
    uint16_t port = 0;
    double cpu_us;
    pid_t load;

    size = argc > 2 ? (uint32_t)atoi(argv[2]) : 128;
    if (connections == 0 || connections > ECHO_CONNECTIONS_MAX || size == 0 ||
        size > ECHO_BYTES_MAX || pipe(port_pipe) != 0) {
        fprintf(stderr, "usage: %s [CONNECTIONS [BYTES [SECONDS]]]\n", argv[0]);
        return 2;
    }
    load = fork();
    if (load == 0) {
        if (read(port_pipe[0], &port, sizeof port) != (ssize_t)sizeof port) return 1;
        return echo_load(connections, port);
    }
    echo_create(connections);
    world_req_init(&listener.req, echo_nothing);
    world_req_init(&listener.closed, echo_nothing);
    world_req_init(&end.req, echo_end);
    net_listen(&world->world, &listener);
    (void)posix_world_turn(world, 0);
    if (listener.req.result != ERR_NONE) return 1;
    for (uint32_t i = 0; i < connections; i++)
        net_accept(&world->world, &ends[i].accept);
    port = listener.address.port;
    if (write(port_pipe[1], &port, sizeof port) != (ssize_t)sizeof port) return 1;
    end.deadline.ns = posix_clock_mono_ns() + seconds * NS_PER_SEC;
    timer_start(&world->world, &end);
    (void)posix_world_run(world);
    kill(load, SIGKILL);
    (void)waitpid(load, NULL, 0);
    getrusage(RUSAGE_SELF, &used);
    cpu_us = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
             (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    printf("%u connections x %u B: %.0f requests/s, %.2f us CPU each, %.2f sleeps each\n",
           (unsigned)connections, (unsigned)size, (double)answered / (double)seconds,
           answered > 0 ? cpu_us / (double)answered : 0.0,
           answered > 0 ? (double)world->sleeps / (double)answered : 0.0);
    posix_world_destroy(world);
    free(ends);
    return 0;
}

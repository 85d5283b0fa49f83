/* The production world: sockets, files, threads and clocks behind client/world/world.h. One thread
 * runs the loop and everything of the node; workers do what blocks (posix_disk.h, posix_work.h).
 *
 * A turn: wait (first polling a little, see below), read the clock once, take the events of epoll,
 * what workers finished and the timers that are due; then tell the node everything that is ready,
 * in the order it became so, and close with turn_end(). What is submitted meanwhile is told in the
 * next turn, also when it was executed at once; such a turn asks epoll for nothing (POSIX_SKIPS_MAX
 * in a row): what came meanwhile is told one turn later, for one system call less.
 *
 * Waiting: `poll_us` of zero-timeout waits before a sleep, because a wake-up costs more than that;
 * after POSIX_FRUITLESS_MAX polls in a row that found nothing it gives that up and sleeps at once,
 * so that an idle node uses no CPU (performance.md 4.1), nor one whose peer waits for the same CPU.
 * It then tries one poll after 16, 32, ... 1,024 sleeps. With one CPU it never polls. */
#ifndef CLIENT_POSIX_POSIX_WORLD_H
#define CLIENT_POSIX_POSIX_WORLD_H

#include "client/posix/posix_clock.h"
#include "client/posix/posix_disk.h"
#include "client/posix/posix_net.h"
#include "client/posix/posix_trace.h"
#include "client/posix/posix_work.h"
#include "client/world/world.h"

enum {
    POSIX_EVENTS_MAX = 512,
    POSIX_FRUITLESS_MAX = 10,
    POSIX_POLL_US = 20,
    POSIX_PAUSE_MIN = 16, /* sleeps without a poll, after giving up */
    POSIX_PAUSE_MAX = 1024,
    POSIX_SKIPS_MAX = 3, /* turns in a row that do not look at epoll */
};

struct posix_options {
    const char *directory; /* of relative paths; NULL: the process's */
    size_t region_size;    /* of the node; address space, pages come at first touch */
    uint32_t connections_max;
    uint32_t files_max;
    uint32_t timers_max;
    uint32_t chunks;       /* of POSIX_CHUNK_BYTES, for received loans */
    uint32_t disk_workers; /* at most POSIX_WORKERS_MAX, as compute_workers */
    uint32_t compute_workers;
    uint32_t poll_us;
    bool keep_sigpipe; /* leaves the disposition of SIGPIPE alone: sends do not raise it */
    bool signals;      /* SIGTERM and SIGINT come through posix_world_on_signal() */
    int log_fd;        /* -1: no log lines */
    struct posix_trace_taker *taker; /* or NULL */
    const struct posix_calls *calls; /* system calls; tests make them fail */
};

struct posix_world {
    struct world world;
    struct region region; /* the node's */
    /* private */
    struct instant now; /* of the present turn */
    bool stopped;
    int status;
    struct list ready;
    int epoll_fd;
    struct posix_inbox inbox;
    struct posix_clock clock;
    struct posix_net net;
    struct posix_disk disk;
    struct posix_pool compute;
    struct posix_trace trace;
    uint64_t seed;
    uint32_t poll_us;
    uint32_t fruitless; /* polls in a row */
    uint32_t pause;     /* sleeps until a poll is tried again */
    uint32_t pause_next;
    int signal_fd;    /* -1: none */
    uint32_t signals; /* come and not told */
    struct world_req *on_signal;
    bool outside;     /* somebody else waits on posix_world_fd() */
    uint32_t skipped; /* turns since epoll was asked */
    uint64_t turns;
    uint64_t sleeps;
};

/* What a broker of ordinary size takes. */
struct posix_options posix_options_default(void);
/* Ignores SIGPIPE for the process, unless told not to. */
MUST_USE enum err posix_world_create(const struct posix_options *options,
                                     struct posix_world **world);
/* Also with requests pending: they are forgotten, never completed (as in a crash). Waits for what
 * runs on workers. */
void posix_world_destroy(struct posix_world *world);

/* Turns until world_stop(); gives its status. */
int posix_world_run(struct posix_world *world);
/* At most one turn, after at most `wait_ns` of waiting. For several worlds in one thread, and for
 * programs with a loop of their own. False: there was nothing to tell. */
bool posix_world_turn(struct posix_world *world, int64_t wait_ns);
/* For those: readable when a turn has something to do. */
int posix_world_fd(const struct posix_world *world);
/* How long they may wait on it, from now; INT64_MAX: as long as they like. Workers write to it from
 * this call on until the next turn. */
int64_t posix_world_wait_ns(struct posix_world *world);

/* `req` completes when a SIGTERM or SIGINT comes, or has come since the last was told. */
void posix_world_on_signal(struct posix_world *world, struct world_req *req);

#endif

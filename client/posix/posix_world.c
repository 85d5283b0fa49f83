#include "client/posix/posix_world.h"

#include "client/posix/posix_ready.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

static struct posix_world *posix_of(struct world *world)
{
    return CONTAINER_OF(world, struct posix_world, world);
}

/* ---- the table ---- */

static void ops_timer_start(struct world *world, struct world_timer *timer)
{
    posix_clock_start(&posix_of(world)->clock, timer);
}
static void ops_timer_move(struct world *world, struct world_timer *timer,
                           struct mono_time deadline)
{
    posix_clock_move(&posix_of(world)->clock, timer, deadline);
}
static void ops_timer_cancel(struct world *world, struct world_timer *timer)
{
    posix_clock_cancel(&posix_of(world)->clock, timer);
}
static void ops_resolve(struct world *world, struct net_resolve *resolve)
{
    posix_net_resolve(&posix_of(world)->net, resolve);
}
static void ops_listen(struct world *world, struct net_listener *listener)
{
    posix_net_listen(&posix_of(world)->net, listener);
}
static void ops_unlisten(struct world *world, struct net_listener *listener)
{
    posix_net_unlisten(&posix_of(world)->net, listener);
}
static void ops_accept(struct world *world, struct net_accept *accept)
{
    posix_net_accept(&posix_of(world)->net, accept);
}
static void ops_connect(struct world *world, struct net_connect *connect)
{
    posix_net_connect(&posix_of(world)->net, connect);
}
static void ops_connect_cancel(struct world *world, struct net_connect *connect)
{
    posix_net_connect_cancel(&posix_of(world)->net, connect);
}
static void ops_recv(struct world *world, struct net_recv *recv)
{
    posix_net_recv(&posix_of(world)->net, recv);
}
static void ops_release(struct world *world, struct net_loan *loan)
{
    posix_net_release(&posix_of(world)->net, loan);
}
static void ops_send(struct world *world, struct net_send *send)
{
    posix_net_send(&posix_of(world)->net, send);
}
static void ops_close(struct world *world, struct net_conn *conn)
{
    posix_net_close(&posix_of(world)->net, conn);
}
static void ops_disk(struct world *world, struct disk_req *req)
{
    posix_disk_submit(&posix_of(world)->disk, req);
}

static void compute_run(void *owner, struct world_req *req)
{
    struct compute_job *job = CONTAINER_OF(req, struct compute_job, req);

    (void)owner;
    job->run(job);
    req->result = ERR_NONE;
}

static void ops_compute(struct world *world, struct compute_job *job)
{
    posix_take(&job->req);
    posix_pool_submit(&posix_of(world)->compute, &job->req);
}

/* One seed of the system for this incarnation, spread over the concerns (the finaliser of
 * SplitMix64). */
static uint64_t ops_seed(struct world *world, enum dice_concern concern)
{
    uint64_t z = posix_of(world)->seed + ((uint64_t)concern + 1) * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void ops_trace(struct world *world, const struct trace_event *event)
{
    struct posix_world *w = posix_of(world);

    posix_trace_event(&w->trace, w->now, world->node_id, event);
}

static void ops_stop(struct world *world, int status)
{
    struct posix_world *w = posix_of(world);

    w->stopped = true;
    w->status = status;
}

static const struct world_ops posix_ops = {
    .timer_start = ops_timer_start,
    .timer_move = ops_timer_move,
    .timer_cancel = ops_timer_cancel,
    .resolve = ops_resolve,
    .listen = ops_listen,
    .unlisten = ops_unlisten,
    .accept = ops_accept,
    .connect = ops_connect,
    .connect_cancel = ops_connect_cancel,
    .recv = ops_recv,
    .release = ops_release,
    .send = ops_send,
    .close = ops_close,
    .disk = ops_disk,
    .compute = ops_compute,
    .seed = ops_seed,
    .trace = ops_trace,
    .stop = ops_stop,
};

/* ---- signals ---- */

static void world_signal_told(struct posix_world *w)
{
    struct world_req *req = w->on_signal;

    if (req == NULL || w->signals == 0) return;
    w->signals = 0;
    w->on_signal = NULL;
    posix_ready(&w->ready, req, ERR_NONE);
}

static void world_signals_read(struct posix_world *w)
{
    struct signalfd_siginfo info;

    while (read(w->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        w->signals++;
    world_signal_told(w);
}

void posix_world_on_signal(struct posix_world *w, struct world_req *req)
{
    ASSERT(w->signal_fd >= 0 && w->on_signal == NULL);
    posix_take(req);
    w->on_signal = req;
    world_signal_told(w);
}

/* ---- a turn ---- */

/* Sleeps until an event or for `wait_ns`, rounded up: a timer never fires early. */
static int world_epoll(struct posix_world *w, struct epoll_event *events, int64_t wait_ns)
{
    struct timespec timeout = {.tv_sec = wait_ns / NS_PER_SEC, .tv_nsec = wait_ns % NS_PER_SEC};
    int64_t wait_ms = wait_ns / NS_PER_MS + (wait_ns % NS_PER_MS != 0);
    int n;

    if (wait_ns > 0 && wait_ns < INT64_MAX) {
        n = epoll_pwait2(w->epoll_fd, events, POSIX_EVENTS_MAX, &timeout, NULL);
        if (n >= 0 || (errno != ENOSYS && errno != EPERM)) return n;
    }
    if (wait_ns == INT64_MAX) wait_ms = -1;
    if (wait_ms > 60000) wait_ms = 60000; /* a fruitless turn a minute does no harm */
    return epoll_wait(w->epoll_fd, events, POSIX_EVENTS_MAX, (int)wait_ms);
}

static bool world_has_news(struct posix_world *w)
{
    return !list_empty(&w->ready) || atomic_load(&w->inbox.count) > 0;
}

/* Whether to poll before this sleep. */
static bool world_may_poll(struct posix_world *w)
{
    if (w->poll_us == 0) return false;
    if (w->fruitless < POSIX_FRUITLESS_MAX) return true;
    if (w->pause > 0) {
        w->pause--;
        return false;
    }
    return true;
}

static void world_polled(struct posix_world *w, bool found)
{
    if (found) {
        w->fruitless = 0;
        w->pause_next = POSIX_PAUSE_MIN;
        return;
    }
    if (w->fruitless < POSIX_FRUITLESS_MAX) w->fruitless++;
    if (w->fruitless < POSIX_FRUITLESS_MAX) return;
    w->pause = w->pause_next;
    if (w->pause_next < POSIX_PAUSE_MAX) w->pause_next *= 2;
}

/* Events, polled for until something happens, the poll time is over or `until_ns` has come. */
static int world_poll(struct posix_world *w, struct epoll_event *events, int64_t until_ns)
{
    int64_t end_ns = posix_clock_mono_ns() + (int64_t)w->poll_us * 1000;

    for (;;) {
        int n = world_epoll(w, events, 0);
        int64_t now_ns;

        if (n != 0 || world_has_news(w)) {
            world_polled(w, true);
            return n;
        }
        now_ns = posix_clock_mono_ns();
        if (now_ns >= until_ns) return 0;
        if (now_ns >= end_ns) break;
    }
    world_polled(w, false);
    return 0;
}

static int world_wait(struct posix_world *w, struct epoll_event *events, int64_t wait_ns)
{
    int64_t until_ns = posix_clock_next(&w->clock);
    int64_t now_ns;
    int n = 0;

    if (world_has_news(w) || posix_net_can_feed(&w->net) || wait_ns <= 0) {
        return world_epoll(w, events, 0);
    }
    now_ns = posix_clock_mono_ns();
    if (wait_ns < INT64_MAX - now_ns && now_ns + wait_ns < until_ns) until_ns = now_ns + wait_ns;
    if (until_ns <= now_ns) return world_epoll(w, events, 0);
    if (world_may_poll(w)) {
        n = world_poll(w, events, until_ns);
        if (n != 0 || world_has_news(w)) return n;
        now_ns = posix_clock_mono_ns();
        if (until_ns <= now_ns) return 0;
    }
    if (!posix_inbox_sleep(&w->inbox)) return world_epoll(w, events, 0);
    w->sleeps++;
    n = world_epoll(w, events, until_ns == INT64_MAX ? INT64_MAX : until_ns - now_ns);
    posix_inbox_awake(&w->inbox);
    return n;
}

static void world_take_events(struct posix_world *w, const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        uint64_t subject = events[i].data.u64;
        uint64_t wakes;

        switch ((enum posix_subject)(subject >> 60)) {
        case POSIX_CONN:
        case POSIX_LISTENER: posix_net_event(&w->net, subject, events[i].events); break;
        case POSIX_WAKE:
            /* All wakes at once; a signal that interrupts it leaves the descriptor ready. */
            (void)!read(w->inbox.wake_fd, &wakes, sizeof wakes);
            break;
        case POSIX_SIGNAL: world_signals_read(w); break;
        }
    }
}

static void world_take_work(struct posix_world *w)
{
    struct list plain;
    struct list disk;

    list_init(&plain);
    list_init(&disk);
    posix_inbox_drain(&w->inbox, &plain, &disk);
    list_splice(&w->ready, &plain); /* their results are set */
    for (struct list *link; (link = list_pop(&disk)) != NULL;) {
        posix_disk_returned(&w->disk, LIST_ENTRY(link, struct disk_req, req.link));
    }
}

bool posix_world_turn(struct posix_world *w, int64_t wait_ns)
{
    struct epoll_event events[POSIX_EVENTS_MAX];
    struct list told;
    int n;

    if (w->stopped) return false;
    if (w->outside) {
        w->outside = false;
        posix_inbox_awake(&w->inbox);
    }
    if (!list_empty(&w->ready) && w->skipped < POSIX_SKIPS_MAX) {
        w->skipped++; /* there is something to tell already */
        n = 0;
    } else {
        w->skipped = 0;
        n = world_wait(w, events, wait_ns);
    }
    w->now = posix_clock_now();
    posix_trace_tell(&w->trace, w->now, w->world.node_id, false);
    world_take_events(w, events, n);
    posix_net_feed(&w->net);
    world_take_work(w);
    posix_clock_expire(&w->clock, w->now.mono);
    if (list_empty(&w->ready)) return false;
    list_init(&told);
    list_splice(&told, &w->ready);
    posix_pool_turn_begin(&w->disk.pool);
    for (struct list *link; !w->stopped && (link = list_pop(&told)) != NULL;) {
        struct world_req *req = LIST_ENTRY(link, struct world_req, link);

        req->pending = false;
        req->complete(req, w->now);
    }
    w->turns++;
    if (!w->stopped) w->world.actor->turn_end(w->world.actor, w->now);
    posix_pool_turn_end(&w->disk.pool);
    return true;
}

int posix_world_fd(const struct posix_world *w)
{
    return w->epoll_fd;
}

int64_t posix_world_wait_ns(struct posix_world *w)
{
    int64_t until_ns = posix_clock_next(&w->clock);
    int64_t now_ns;

    if (world_has_news(w) || posix_net_can_feed(&w->net)) return 0;
    if (until_ns != INT64_MAX) {
        now_ns = posix_clock_mono_ns();
        if (until_ns <= now_ns) return 0;
        until_ns -= now_ns;
    }
    w->outside = true;
    return posix_inbox_sleep(&w->inbox) ? until_ns : 0;
}

int posix_world_run(struct posix_world *w)
{
    while (!w->stopped)
        (void)posix_world_turn(w, INT64_MAX);
    return w->status;
}

/* ---- life ---- */

struct posix_options posix_options_default(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    return (struct posix_options){
        .region_size = (size_t)4 << 30,
        .connections_max = 10000,
        .files_max = 8192,
        .timers_max = 200000,
        .chunks = 256,
        .disk_workers = 3,
        .compute_workers = cpus > 4   ? 4
                           : cpus > 1 ? (uint32_t)cpus - 1
                                      : 1,
        .poll_us = cpus > 1 ? POSIX_POLL_US : 0,
        .log_fd = STDERR_FILENO,
        .calls = &posix_calls_real,
    };
}

static enum err world_watch(struct posix_world *w, int fd, enum posix_subject subject)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = posix_subject(subject, 0, 0)}};

    return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? ERR_NONE
                                                                  : posix_calls_err(errno);
}

/* The signals stay blocked in the calling thread, and in the workers (posix_work.c). */
static enum err world_signals_open(struct posix_world *w)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    w->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (w->signal_fd < 0) return posix_calls_err(errno);
    return world_watch(w, w->signal_fd, POSIX_SIGNAL);
}

/* Refused: they stay, that is all. */
static void world_unused(void *pages, size_t size)
{
    (void)madvise(pages, size, MADV_DONTNEED);
}

/* Everything that needs nothing else to be undone. */
static enum err world_base(struct posix_world *w, const struct posix_options *options)
{
    void *base;

    if (getrandom(&w->seed, sizeof w->seed, 0) != (ssize_t)sizeof w->seed) return ERR_IO;
    base = mmap(NULL, options->region_size, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return ERR_NO_MEMORY;
    region_init(&w->region, base, options->region_size);
    w->region.unused = world_unused;
    w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return w->epoll_fd >= 0 ? ERR_NONE : posix_calls_err(errno);
}

static void world_base_undo(struct posix_world *w)
{
    if (w->signal_fd >= 0) close(w->signal_fd);
    if (w->epoll_fd >= 0) close(w->epoll_fd);
    if (w->region.base != NULL) munmap(w->region.base, w->region.size);
}

static enum err world_parts(struct posix_world *w, const struct posix_options *options)
{
    const char *directory = options->directory != NULL ? options->directory : ".";
    enum err err = posix_inbox_init(&w->inbox);

    if (err != ERR_NONE) return err;
    err = world_watch(w, w->inbox.wake_fd, POSIX_WAKE);
    if (err == ERR_NONE) err = posix_clock_init(&w->clock, &w->ready, options->timers_max);
    if (err != ERR_NONE) goto no_clock;
    err = posix_net_init(&w->net, options->calls, &w->ready, &w->inbox, w->epoll_fd,
                         options->connections_max, options->chunks);
    if (err != ERR_NONE) goto no_net;
    w->net.disk = &w->disk;
    err = posix_disk_init(&w->disk, options->calls, &w->ready, &w->inbox, directory,
                          options->files_max, options->disk_workers);
    if (err != ERR_NONE) goto no_disk;
    err = posix_pool_init(&w->compute, &w->inbox, &w->inbox.plain, options->compute_workers, w,
                          compute_run);
    if (err == ERR_NONE) return ERR_NONE;
    posix_disk_deinit(&w->disk);
no_disk:
    posix_net_deinit(&w->net);
no_net:
    posix_clock_deinit(&w->clock);
no_clock:
    posix_inbox_deinit(&w->inbox);
    return err;
}

/* Linux tells which run of the kernel this is. What cannot be read stays zero: unknown. */
static struct uuid world_boot(void)
{
    struct uuid boot = {{0}};
    char text[64];
    uint32_t digits = 0;
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text);

    if (fd >= 0) close(fd);
    for (ssize_t i = 0; i < got && digits < 32; i++) {
        char c = text[i];
        uint8_t nibble;

        if (c >= '0' && c <= '9') {
            nibble = (uint8_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            nibble = (uint8_t)(c - 'a' + 10);
        } else {
            continue;
        }
        boot.bytes[digits / 2] = (uint8_t)(boot.bytes[digits / 2] << 4 | nibble);
        digits++;
    }
    return digits == 32 ? boot : (struct uuid){{0}};
}

enum err posix_world_create(const struct posix_options *options, struct posix_world **world)
{
    struct posix_world *w = calloc(1, sizeof *w);
    enum err err;

    if (w == NULL) return ERR_NO_MEMORY;
    w->world = (struct world){
        .ops = &posix_ops,
        .region = &w->region,
        .cpu = {.sse42 = __builtin_cpu_supports("sse4.2") != 0},
        .boot = world_boot(),
        .connections_max = options->connections_max,
        .files_max = options->files_max,
        .trace_detail = options->taker != NULL && options->taker->detail,
    };
    w->epoll_fd = -1;
    w->signal_fd = -1;
    w->poll_us = options->poll_us;
    w->pause_next = POSIX_PAUSE_MIN;
    w->trace = (struct posix_trace){.fd = options->log_fd, .taker = options->taker};
    w->now = posix_clock_now();
    list_init(&w->ready);
    if (!options->keep_sigpipe) signal(SIGPIPE, SIG_IGN);
    err = world_base(w, options);
    if (err == ERR_NONE && options->signals) err = world_signals_open(w);
    if (err == ERR_NONE) err = world_parts(w, options);
    if (err != ERR_NONE) {
        world_base_undo(w);
        free(w);
        return err;
    }
    *world = w;
    return ERR_NONE;
}

void posix_world_destroy(struct posix_world *w)
{
    posix_trace_tell(&w->trace, w->now, w->world.node_id, true);
    posix_pool_deinit(&w->compute);
    posix_disk_deinit(&w->disk);
    posix_net_deinit(&w->net);
    posix_clock_deinit(&w->clock);
    posix_inbox_deinit(&w->inbox);
    region_reset(&w->region);
    world_base_undo(w);
    free(w);
}

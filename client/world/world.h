/* The only door to the world: clock, network, disk, compute, dice, trace.
 *
 * Everything that is not a function of what came before enters a node here, and nowhere else. Two
 * implementations pass one conformance suite (tests/conformance/): sim/ (virtual) and client/posix/
 * (sockets and files). The core cannot tell which one it runs on.
 *
 * Contracts, each a test of the suite:
 *
 *  W1  A request is a struct that the core owns. From submit to completion it and every buffer it
 *      names belong to the world; `pending` says so. A pending request is never submitted again.
 *  W2  Submit returns nothing and completes nothing: the completion comes later, from the loop, as
 *      one call of `complete`, exactly once. A world may *execute* during submit.
 *  W3  Completions arrive in turns: one or more `complete` calls, then one actor->turn_end(). All
 *      calls of a turn see the same `now`. Nothing else ever calls into the core.
 *  W4  Closing a connection or a listener, or cancelling a timer or a connect, completes what is
 *      outstanding on it with CANCELED; for connections and listeners `closed` completes after all
 *      of those, last. Disk and compute requests are not cancelled; an orderly stop waits for them.
 *  W5  Monotonic time never goes back; a timer never fires early; timers fire in the order
 *      (deadline, sequence of start or move). Wall time may jump.
 *  W6  A connection is a byte stream in each direction: nothing lost, repeated or reordered while
 *      it lives; it may be cut into pieces anywhere. One receive and one send may be outstanding.
 *      No receive posted means the peer is held back. Received bytes come before EOF, and EOF or an
 *      error of the stream is told by the next receive; a connection whose peer reset or vanished
 *      is told once by `gone` also when no receive is posted.
 *      A send may name ranges of files: their bytes are taken late, up to the moment in which the
 *      peer has them, so who changes a range changes what arrives; a file that ends before its
 *      range does ends the send with EOF, and then the connection is of no more use. A file whose
 *      name is gone can be sent all the same.
 *  W7  Disk requests on different files run in any order. A read sees every write that completed
 *      before it was submitted. Two writes to one file may not be in flight at once. A transfer is
 *      whole, or it is an error with the count done. NO_SPACE and IO are different.
 *  W8  Only what was synced survives a power loss: a file's bytes and length by SYNC of the file, a
 *      name by SYNC_DIR of its directory. A sync covers what completed before it was submitted.
 *      Names need both: a new file that is synced, in a directory that is not, may be gone.
 *  W9  After a crash of the node nothing of the old incarnation is completed.
 *
 * The calls are inline wrappers over one table of functions, so that several worlds share a
 * process. The subject comes first; ownership is in the comment of each field. */
#ifndef CLIENT_WORLD_WORLD_H
#define CLIENT_WORLD_WORLD_H

#include "client/base/bytes.h"
#include "client/base/cpu.h"
#include "client/base/err.h"
#include "client/base/heap.h"
#include "client/base/list.h"
#include "client/base/region.h"
#include "client/base/uuid.h"
#include "client/world/trace.h"

/* ---- time ------------------------------------------------------------------------------------ */

/* Two types on purpose: what measures durations cannot be mixed with what stamps records. */
struct mono_time {
    int64_t ns;
};

struct wall_time {
    int64_t ms; /* since 1970, as in record timestamps */
};

struct instant {
    struct mono_time mono;
    struct wall_time wall;
};

#define NS_PER_MS  INT64_C(1000000)
#define NS_PER_SEC INT64_C(1000000000)
#define MONO_NEVER ((struct mono_time){INT64_MAX})

static inline struct mono_time mono_add_ms(struct mono_time t, int64_t ms)
{
    return (struct mono_time){ms > (INT64_MAX - t.ns) / NS_PER_MS ? INT64_MAX
                                                                  : t.ns + ms * NS_PER_MS};
}

static inline int64_t mono_ms_between(struct mono_time from, struct mono_time to)
{
    return (to.ns - from.ns) / NS_PER_MS;
}

/* ---- requests -------------------------------------------------------------------------------- */

struct world_req {
    /* Called once, from the loop, with pending already false. */
    void (*complete)(struct world_req *req, struct instant now);
    enum err result;
    bool pending;
    /* private to the world while pending */
    struct list link;
    uint64_t token;
};

static inline void world_req_init(struct world_req *req,
                                  void (*complete)(struct world_req *req, struct instant now))
{
    *req = (struct world_req){.complete = complete};
    list_init(&req->link);
}

/* What the world calls besides completions. Embedded by the node. */
struct actor {
    /* After the last completion of a turn: run what became runnable, submit what was staged. */
    void (*turn_end)(struct actor *actor, struct instant now);
};

/* ---- clock ----------------------------------------------------------------------------------- */

struct world_timer {
    struct world_req req;
    struct mono_time deadline;
    struct heap_node node; /* private */
};

struct disk_file {
    uint32_t handle; /* private; 0 is none */
};

/* ---- network --------------------------------------------------------------------------------- */

struct net_address {
    uint8_t ip[16]; /* IPv6, or IPv4 mapped into it */
    uint16_t port;
};

enum { NET_ADDRESSES_MAX = 8, NET_SLICES_MAX = 1024 };

/* Name to addresses, in the order to be tried. */
struct net_resolve {
    struct world_req req;
    struct str host; /* borrowed until completion */
    uint16_t port;
    struct net_address addresses[NET_ADDRESSES_MAX]; /* out */
    uint32_t count;                                  /* out */
};

/* A listening port. `req` completes when it listens (or cannot); `closed` after net_unlisten(). */
struct net_listener {
    struct world_req req;
    struct world_req closed;
    struct net_address address; /* port 0: any free one, told here */
    uint32_t handle;            /* private */
};

/* A connection, made by net_connect() or net_accept(). */
struct net_conn {
    struct world_req gone;   /* told once: peer reset or vanished; CANCELED when we close first */
    struct world_req closed; /* the last of its completions, after net_close() */
    struct net_address peer;
    uint64_t id;     /* of two the later opened has the greater; names the connection in traces */
    uint32_t handle; /* private */
};

struct net_connect {
    struct world_req req; /* on an error there is no connection: neither gone nor closed comes */
    struct net_address address;
    struct net_conn *conn; /* filled on success; gone and closed must be initialised before */
};

struct net_accept {
    struct world_req req;
    struct net_listener *listener;
    struct net_conn *conn; /* as in net_connect */
};

/* Received bytes that live in the world's slab until given back. */
struct net_loan {
    const uint8_t *data;
    uint32_t length;
    void *chunk; /* private */
};

/* into == NULL: completes with a loan of 1 or more bytes. Otherwise completes when exactly `want`
 * bytes stand in `into`. result EOF: orderly end (with `into`: `done` bytes came before it). */
struct net_recv {
    struct world_req req;
    struct net_conn *conn;
    uint8_t *into;
    uint32_t want;
    uint32_t done;        /* out, with into */
    struct net_loan loan; /* out, without into; the core gives it back by net_release() */
};

/* Where the bytes of a slice without data stand: in a file that stays open until completion. */
struct net_range {
    struct disk_file file;
    uint64_t offset;
};

/* Gathered send: completes when the transport has taken all bytes, or with an error. A slice with a
 * length and no data stands for the next of the ranges. */
struct net_send {
    struct world_req req;
    struct net_conn *conn;
    const struct bytes *slices;     /* array and bytes borrowed until completion */
    uint32_t slice_count;           /* at most NET_SLICES_MAX */
    uint32_t range_misses;          /* out: parts of ranges that the device had to be asked for */
    const struct net_range *ranges; /* borrowed likewise; as many as slices without data */
};

/* ---- disk ------------------------------------------------------------------------------------ */

enum disk_op {
    DISK_OPEN,        /* path, flags -> file, size */
    DISK_CLOSE,       /* file; syncs nothing; cannot fail */
    DISK_PREALLOCATE, /* file, offset, length: reserve space; the size stays */
    DISK_WRITE,       /* file, offset, slices -> done */
    DISK_READ,        /* file, offset, into, length, flags -> done; short only at end of file */
    DISK_SYNC,        /* file: data and length */
    DISK_SYNC_MANY,   /* files, file_count: as one; the first error, if any */
    DISK_TRUNCATE,    /* file, length: cut or extend (zeros) */
    DISK_RENAME,      /* path -> path_to, replacing */
    DISK_UNLINK,      /* path of a file */
    DISK_MKDIR,       /* path; EXISTS when there */
    DISK_RMDIR,       /* path of an empty directory */
    DISK_LIST,        /* path, into, length -> done (bytes), entries in any order; see disk_entry */
    DISK_SYNC_DIR,    /* path */
    DISK_FREE_SPACE,  /* path -> size: bytes available */
    DISK_RESIDENT,    /* file, offset, length -> done: so many of them, from the first on, are most
                         likely to be had without the device; never beyond the end of the file */
};

enum disk_flags {
    DISK_CREATE = 1,    /* open: make it when missing */
    DISK_EXCLUSIVE = 2, /* open: EXISTS when there (with CREATE) */
    DISK_LOCK = 4,      /* open: exclusive for this process until closed, else LOCKED */
    DISK_READ_ONLY = 8, /* open */
    DISK_UNCACHED = 16, /* read: from the device, not the page cache (storage.md H5) */
};

/* One entry of a listing, packed back to back in `into`, each aligned to 8. */
struct disk_entry {
    uint64_t size;         /* of a file */
    uint16_t entry_length; /* of this entry: the next one begins there */
    uint8_t directory;     /* 1 for a directory */
    char name[];           /* terminated */
};

enum { DISK_PATH_MAX = 1023, DISK_SLICES_MAX = 1024, DISK_SYNC_MAX = 1024 };

struct disk_req {
    struct world_req req;
    enum disk_op op;
    uint32_t flags;
    struct disk_file file;      /* in; out of DISK_OPEN */
    const char *path;           /* terminated, borrowed; relative to the node's working directory */
    const char *path_to;        /* likewise */
    const struct bytes *slices; /* array and bytes borrowed */
    uint32_t slice_count;       /* at most DISK_SLICES_MAX */
    uint32_t file_count;        /* at most DISK_SYNC_MAX */
    const struct disk_file *files; /* borrowed */
    uint8_t *into;                 /* borrowed */
    uint64_t offset;
    uint64_t length;
    uint64_t done; /* out */
    uint64_t size; /* out of DISK_OPEN, DISK_FREE_SPACE; LIST with TOO_LARGE: bytes needed */
};

/* ---- compute --------------------------------------------------------------------------------- */

enum { COMPUTE_MIN_BYTES = 256 * 1024 }; /* below it is an ordinary call, by the caller */

/* A pure function over buffers the job owns; may run on another thread. */
struct compute_job {
    struct world_req req;
    void (*run)(struct compute_job *job);
    uint64_t bytes; /* of work: the simulator's cost */
};

/* ---- the world ------------------------------------------------------------------------------- */

/* What comes from outside and is the same for all nodes of a process. */
struct codecs; /* contexts of the compression libraries (client/wire/compress.h) */

struct world {
    const struct world_ops *ops;
    struct actor *actor;   /* set by the node before it submits anything */
    struct region *region; /* all memory of the node */
    struct cpu cpu;
    struct codecs *codecs;
    int32_t node_id; /* who traces; set by the node once it knows */
    struct uuid
        boot; /* of the machine: another one once unsynced data may be gone; zero: unknown */
    uint32_t connections_max; /* the world refuses more (connect, accept: TOO_MANY) */
    uint32_t files_max;
    bool trace_detail; /* somebody listens to events of level D: else trace.h does not emit them */
};

struct world_ops {
    void (*timer_start)(struct world *world, struct world_timer *timer);
    void (*timer_move)(struct world *world, struct world_timer *timer, struct mono_time deadline);
    void (*timer_cancel)(struct world *world, struct world_timer *timer);

    void (*resolve)(struct world *world, struct net_resolve *resolve);
    void (*listen)(struct world *world, struct net_listener *listener);
    void (*unlisten)(struct world *world, struct net_listener *listener);
    void (*accept)(struct world *world, struct net_accept *accept);
    void (*connect)(struct world *world, struct net_connect *connect);
    void (*connect_cancel)(struct world *world, struct net_connect *connect);
    void (*recv)(struct world *world, struct net_recv *recv);
    void (*release)(struct world *world, struct net_loan *loan);
    void (*send)(struct world *world, struct net_send *send);
    void (*close)(struct world *world, struct net_conn *conn);

    void (*disk)(struct world *world, struct disk_req *req);
    void (*compute)(struct world *world, struct compute_job *job);

    uint64_t (*seed)(struct world *world, enum dice_concern concern);
    void (*trace)(struct world *world, const struct trace_event *event);
    void (*stop)(struct world *world, int status);
};

/* The time of the first event, for initialisation before any turn. */
/* (a node starts inside the completion of a timer with deadline 0: it needs no clock call) */

/* req completes with NONE at the deadline. */
static inline void timer_start(struct world *world, struct world_timer *timer)
{
    world->ops->timer_start(world, timer);
}
/* Of a pending timer: a new deadline, earlier or later, with a new place among equals. */
static inline void timer_move(struct world *world, struct world_timer *timer,
                              struct mono_time deadline)
{
    world->ops->timer_move(world, timer, deadline);
}
static inline void timer_cancel(struct world *world, struct world_timer *timer)
{
    world->ops->timer_cancel(world, timer);
}

static inline void net_resolve(struct world *world, struct net_resolve *resolve)
{
    world->ops->resolve(world, resolve);
}
static inline void net_listen(struct world *world, struct net_listener *listener)
{
    world->ops->listen(world, listener);
}
static inline void net_unlisten(struct world *world, struct net_listener *listener)
{
    world->ops->unlisten(world, listener);
}
/* Takes one connection, now or when it comes. None posted: they wait in the backlog. */
static inline void net_accept(struct world *world, struct net_accept *accept)
{
    world->ops->accept(world, accept);
}
static inline void net_connect(struct world *world, struct net_connect *connect)
{
    world->ops->connect(world, connect);
}
/* Withdraws a connect that is pending: it completes with CANCELED, or with what was already on its
 * way; when that is a success there is a connection, to be closed as any. */
static inline void net_connect_cancel(struct world *world, struct net_connect *connect)
{
    world->ops->connect_cancel(world, connect);
}
static inline void net_recv(struct world *world, struct net_recv *recv)
{
    world->ops->recv(world, recv);
}
/* Gives a loan back, from inside any turn; the loan is dead afterwards. */
static inline void net_release(struct world *world, struct net_loan *loan)
{
    world->ops->release(world, loan);
}
static inline void net_send(struct world *world, struct net_send *send)
{
    world->ops->send(world, send);
}
/* Orderly when all sends have completed; bytes not yet taken by the transport are dropped. */
static inline void net_close(struct world *world, struct net_conn *conn)
{
    world->ops->close(world, conn);
}

static inline void disk_submit(struct world *world, struct disk_req *req)
{
    world->ops->disk(world, req);
}
static inline void compute_submit(struct world *world, struct compute_job *job)
{
    world->ops->compute(world, job);
}

/* Seed of one stream of random numbers (rng.h). Each concern, node and incarnation has its own, so
 * that a new draw in one place moves nothing elsewhere. */
static inline uint64_t dice_seed(struct world *world, enum dice_concern concern)
{
    return world->ops->seed(world, concern);
}

/* The node is done: an orderly stop has finished (0), or it cannot go on (1, said before). */
static inline void world_stop(struct world *world, int status)
{
    world->ops->stop(world, status);
}

#endif

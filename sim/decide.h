/* Every choice of the simulator itself, keyed by the place where it falls (simulation.md 5.1).
 *
 *     value = PRF(seed, what, node, a, b, n)      n: how often this site was asked before
 *
 * A site is a place in the simulated world, not in the order of execution: "the delay of the 7th
 * piece of the 3rd connection from 1 to 2". A choice more or less anywhere moves nothing elsewhere,
 * so a seed lives longer than the code it was found with. There is no stream that sites share.
 *
 * The log keeps (site, n) -> value when asked; a guided replay answers from such a log, and from
 * the PRF where the log has nothing that is legal here (a miss). Values are kept, not bits: they
 * mean the same when the way of drawing them changes. */
#ifndef SIM_DECIDE_H
#define SIM_DECIDE_H

#include "client/base/rng.h"

#include <stdbool.h>

struct sim;
struct decide;

/* What is chosen. The names stand in plan files and the numbers are part of every seed: append
 * only. a and b say which one, where there are several. */
#define DECIDE_TABLE(ROW)                                                                         \
    ROW(NET_STYLE, "net.style")           /* how a connection is cut into pieces; conn */         \
    ROW(NET_LATENCY, "net.latency")       /* conn, side */                                        \
    ROW(NET_BUFFER, "net.buffer")         /* conn, side */                                        \
    ROW(NET_DELAY, "net.delay")           /* of the n-th piece; conn, side */                     \
    ROW(NET_PIECE, "net.piece")           /* its length; conn */                                  \
    ROW(NET_COALESCE, "net.coalesce")     /* conn, side */                                        \
    ROW(NET_OVERTAKE, "net.overtake")     /* a reset overtakes bytes; conn, side */               \
    ROW(NET_RETRANSMIT, "net.retransmit") /* after a power loss; conn, side */                    \
    ROW(NET_CONNECT, "net.connect")       /* latency of an attempt, there and back; to, back */   \
    ROW(DISK_DELAY, "disk.delay")         /* of the device; operation, path */                    \
    ROW(DISK_CACHE, "disk.cache")         /* of the page cache; operation, path */                \
    ROW(DISK_ORDER, "disk.order")         /* of a listing; path */                                \
    ROW(DISK_PARTIAL, "disk.partial")     /* of a failing write; path */                          \
    ROW(DISK_INTERRUPT, "disk.interrupt") /* how far a request came; operation, path */           \
    ROW(DISK_PREFIX, "disk.prefix")       /* of an interrupted write; path */                     \
    ROW(DISK_EVICT, "disk.evict")         /* of a page after a failed sync; file, page */         \
    ROW(POWER_CUT, "power.cut")           /* the last operation that reached the device */        \
    ROW(POWER_KEEP, "power.keep")         /* file, page or operation */                           \
    ROW(POWER_TEAR, "power.tear")         /* file, page */                                        \
    ROW(POWER_SECTORS, "power.sectors")   /* file, page */                                        \
    ROW(POWER_GARBAGE, "power.garbage")   /* file, page */                                        \
    ROW(POWER_NOISE, "power.noise")       /* file, page */                                        \
    ROW(NODE_LATE, "node.late")           /* a timer */                                           \
    ROW(NODE_CLOCK, "node.clock")         /* what it shows at first */                            \
    ROW(NODE_SKEW, "node.skew")                                                                   \
    ROW(NODE_DRIFT, "node.drift")                                                                 \
    ROW(CLUSTER_ID, "cluster.id")                                                                 \
    ROW(TOPIC_PARTITIONS, "topic.partitions") /* topic */                                         \
    ROW(TOPIC_REPLICAS, "topic.replicas")     /* topic */                                         \
    ROW(STEP_TIME, "step.time")               /* step */                                          \
    ROW(STEP_ANY, "step.any")                 /* step, the member of its set */                   \
    ROW(STEP_VALUE, "step.value")             /* step, argument */                                \
    ROW(STEP_THEN, "step.then")               /* step */                                          \
    ROW(LOSS_KEEP, "loss.keep")               /* step: what `unsynced: random` comes to */        \
    ROW(LOSS_TEAR, "loss.tear")               /* step */                                          \
    ROW(LOSS_GARBAGE, "loss.garbage")         /* step */                                          \
    ROW(CORE_MEMBER, "core.member")           /* of the liveness phase */                         \
    ROW(CLIENT_RATE, "client.rate")           /* client */                                        \
    ROW(CLIENT_SIZE, "client.size")           /* of its n-th record; client */                    \
    ROW(TEST, "test")                                                                             \
    ROW(SWARM_PROFILE, "swarm.profile")   /* which faults a run has; class */                     \
    ROW(SWARM_INTERVAL, "swarm.interval") /* until the next of a class */                         \
    ROW(SWARM_FAULT, "swarm.fault")       /* the seed of the n-th of a class */                   \
    ROW(CORE_OUTSIDER, "core.outsider")   /* what it reaches of the core */                       \
    ROW(NET_CORRUPT, "net.corrupt")       /* which bit; conn, side */                             \
    ROW(NET_ACCEPT, "net.accept")         /* of a shuffled backlog */                             \
    ROW(NET_CLOG, "net.clog")             /* of a flaky link: how long, and until the next; to */ \
    ROW(NODE_READY, "node.ready")         /* of shuffled completions */                           \
    ROW(DISK_STRAY, "disk.stray")         /* where a misdirected write lands; operation, path */  \
    ROW(DISK_SHORT, "disk.short")         /* a write in two parts, and where; operation, path */  \
    ROW(DISK_ROT, "disk.rot")             /* where bits flip: the seed */                         \
    ROW(NET_SWIZZLE, "net.swizzle")       /* who freezes, when: the seed */                       \
    ROW(NODE_COARSE, "node.coarse")                                                               \
    ROW(NODE_TIMERS, "node.timers")   /* mean lateness */                                         \
    ROW(NODE_STEP, "node.step")       /* of its wall clock, and when */                           \
    ROW(STEP_CHANCE, "step.chance")   /* whether it acts; step */                                 \
    ROW(STEP_ONE_OF, "step.one_of")   /* which one; step */                                       \
    ROW(CLIENT_WORK, "client.work")   /* of a member between two polls; client */                 \
    ROW(CLIENT_SEEK, "client.seek")   /* when a consumer moves, and where to; client */           \
    ROW(CLIENT_TXN, "client.txn")     /* whether a transaction aborts; client */                  \
    ROW(DISK_EVICTED, "disk.evicted") /* whether pages have left the cache; path */

enum decide_what {
#define DECIDE_ENUM(name, text) DECIDE_##name,
    DECIDE_TABLE(DECIDE_ENUM)
#undef DECIDE_ENUM
        DECIDE_WHATS,
};

struct decide_site {
    enum decide_what what;
    int64_t node; /* id; -1: none */
    uint64_t a;
    uint64_t b;
};

struct decide *decide_create(uint64_t seed);
void decide_destroy(struct decide *decide);

/* Each is one decision; see rng.h for the distributions. */
uint64_t decide_u64(struct sim *sim, struct decide_site site);
uint64_t decide_below(struct sim *sim, struct decide_site site, uint64_t bound);
int64_t decide_range(struct sim *sim, struct decide_site site, int64_t first, int64_t last);
bool decide_chance(struct sim *sim, struct decide_site site, uint32_t per_million);
int64_t decide_exponential(struct sim *sim, struct decide_site site, int64_t mean);
/* One decision that stands for many: the seed of a generator (noise, shuffles). */
void decide_rng(struct sim *sim, struct decide_site site, struct rng *rng);

/* ---- the log --------------------------------------------------------------------------------- */

/* From now on every decision is kept. */
void decide_keep(struct decide *decide);
/* One site with all its values, in the order in which sites were first met. */
typedef void decide_visit(void *context, struct decide_site site, const int64_t *values,
                          uint32_t count);
void decide_each(const struct decide *decide, decide_visit *visit, void *context);

/* Answers of a guided replay: the n-th value of a site is the n-th given here. */
void decide_answer(struct decide *decide, struct decide_site site, int64_t value);

/* From event `event` of the simulation on every choice is another one: not answered, and drawn with
 * `salt` (not 0) in its key. What was chosen before stays. */
void decide_fork(struct decide *decide, uint64_t event, uint64_t salt);

struct decide_stats {
    uint64_t decisions;
    uint64_t sites;
    uint64_t answered; /* from the log of a replay */
    uint64_t missed;   /* by a replay that has a log */
};
struct decide_stats decide_stats(const struct decide *decide);
/* A digest of all decisions so far: part of the trace hash. */
uint64_t decide_digest(const struct decide *decide);

const char *decide_word(enum decide_what what);
/* False: no such word. */
bool decide_find(const char *word, enum decide_what *what);

#endif

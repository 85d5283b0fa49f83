#include "sim/scenario/keys.h"

#include <stddef.h>

/* X(name, shape, about) */
#define TOP(X)                                                                                     \
    X("gregor", "count", "version of the language: 1")                                             \
    X("name", "text", "letters, digits, '.', '_', '-'")                                            \
    X("about", "text", "what this shows, for people")                                              \
    X("tags", "any", "a list of words")                                                            \
    X("seeds", "any", "7, [1, 2] or {from: 1, count: 5}; the command line wins")                   \
    X("stop", "stop", "end of the safety phase")                                                   \
    X("cluster", "cluster", "what runs, on which machines")                                        \
    X("topics", "any", "{NAME: {partitions, replicas: N or [ids], config}}")                       \
    X("workload", "any", "a list of clients; gregor-sim list workloads")                           \
    X("steps", "steps", "what is done, and when; gregor-sim list triggers")                        \
    X("expect", "any", "what must hold: {by: end, that: C}, {that: never C, after: step N}")       \
    X("liveness", "off liveness", "what must recover when the faults have ended")                  \
    X("loss_budget", "any", "{replicas: N}: so many may lose what was not synced")                 \
    X("network", "network", "as in cluster")                                                       \
    X("disk", "disk", "as in cluster")                                                             \
    X("clock", "none clock", "as in cluster")                                                      \
    X("invariants", "any",                                                                         \
      "{off: [{name, why}]}, {only: [names]}, {every: N}: which oracles judge")                    \
    X("faults", "any", "random faults: {swarm, classes, intensity, quiet_start, only, off, rate}") \
    X("canary", "bool", "one seed in a hundred must fail, which shows that failures are told")

#define STOP(X)                                                           \
    X("time", "time", "virtual time, from the moment the cluster stands") \
    X("events", "count", "more of them is STUCK")                         \
    X("wall", "time", "real time; reached is INCONCLUSIVE")

#define CLUSTER(X)                                                              \
    X("controllers", "count", "101, 102, ...")                                  \
    X("brokers", "count", "1, 2, ...")                                          \
    X("voters", "count", "so many of the controllers, in the log (KIP-853)")    \
    X("combined", "bool", "each node is both")                                  \
    X("racks", "any", "one name for each broker")                               \
    X("config", "any", "Kafka's property names, of all nodes")                  \
    X("node", "any", "{2: {config: {...}}}: of one node")                       \
    X("network", "network", "latency and the like of all links (N1)")           \
    X("disk", "disk", "of all nodes")                                           \
    X("clock", "none clock", "how clocks differ; none: all show the true time") \
    X("versions", "one of same", "of the nodes")                                \
    X("cpu", "one of modelled free", "what a turn of a node costs; free: nothing")

#define NETWORK(X)                                                    \
    X("latency", "time", "of a connection and direction, drawn once") \
    X("jitter", "time", "mean of an exponential tail, of each piece") \
    X("bandwidth", "size", "of a connection, a second")               \
    X("pieces", "share", "of connections whose bytes come in pieces (N2)")

#define DISK(X)                                        \
    X("profile", "one of nvme ssd hdd", "how fast")    \
    X("sector", "size", "512B: the only one there is") \
    X("page", "size", "4KiB: the only one there is")   \
    X("power_loss", "power_loss", "what becomes of unsynced pages; the shares sum up to 100%")

#define POWER_LOSS(X)                               \
    X("keep", "share", "reached the device")        \
    X("drop", "share", "did not")                   \
    X("tear", "share", "did in some sectors (DF3)") \
    X("garbage", "share", "are noise in some (DF4)")

#define CLOCK(X)                                                                  \
    X("skew", "time", "wall clock against the true time, drawn per node (W1)")    \
    X("drift", "drift", "of both clocks, drawn per node (W2)")                    \
    X("step", "time", "each node's wall clock jumps once by so much, drawn (W3)") \
    X("coarse", "time", "the wall clock moves in steps (W4)")                     \
    X("late", "time", "mean lateness of timers (W5)")

#define LIVENESS(X)                                                         \
    X("core", "any", "all, random, or a list of nodes: these must recover") \
    X("converge", "time", "in so long; computed from the timeouts when it is not given")

#define WORD(name, shape, about) {name, shape, about},
#define NAME(name, shape, about) name,

static const struct key_word top[] = {TOP(WORD){NULL, NULL, NULL}};
static const struct key_word stop[] = {STOP(WORD){NULL, NULL, NULL}};
static const struct key_word cluster[] = {CLUSTER(WORD){NULL, NULL, NULL}};
static const struct key_word network[] = {NETWORK(WORD){NULL, NULL, NULL}};
static const struct key_word disk[] = {DISK(WORD){NULL, NULL, NULL}};
static const struct key_word power_loss[] = {POWER_LOSS(WORD){NULL, NULL, NULL}};
static const struct key_word clocks[] = {CLOCK(WORD){NULL, NULL, NULL}};
static const struct key_word liveness[] = {LIVENESS(WORD){NULL, NULL, NULL}};

static const char *const top_names[] = {TOP(NAME) NULL};
static const char *const stop_names[] = {STOP(NAME) NULL};
static const char *const cluster_names[] = {CLUSTER(NAME) NULL};
static const char *const network_names[] = {NETWORK(NAME) NULL};
static const char *const disk_names[] = {DISK(NAME) NULL};
static const char *const power_loss_names[] = {POWER_LOSS(NAME) NULL};
static const char *const clock_names[] = {CLOCK(NAME) NULL};
static const char *const liveness_names[] = {LIVENESS(NAME) NULL};

static const struct {
    const char *name;
    const struct key_word *words;
    const char *const *names;
} maps[KEY_MAPS] = {
    [KEYS_TOP] = {"scenario", top, top_names},
    [KEYS_STOP] = {"stop", stop, stop_names},
    [KEYS_CLUSTER] = {"cluster", cluster, cluster_names},
    [KEYS_NETWORK] = {"network", network, network_names},
    [KEYS_DISK] = {"disk", disk, disk_names},
    [KEYS_POWER_LOSS] = {"power_loss", power_loss, power_loss_names},
    [KEYS_CLOCK] = {"clock", clocks, clock_names},
    [KEYS_LIVENESS] = {"liveness", liveness, liveness_names},
};

const char *keys_map_name(enum key_map map)
{
    return maps[map].name;
}

const struct key_word *keys_of(enum key_map map)
{
    return maps[map].words;
}

const char *const *keys_names(enum key_map map)
{
    return maps[map].names;
}

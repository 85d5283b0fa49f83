/* The simulated network: TCP as two byte pipes and two ends (simulation.md 1.2).
 *
 *   end 0 --send--> pipe[0]: flight (on the wire, in order, each with a time of arrival)
 *                            arrived (at the receiver's machine, not read yet)  --recv--> end 1
 *   end 1 --send--> pipe[1]: the same, the other way
 *
 * Bytes are copied when the transport takes them, so nothing here points into a node's region
 * except requests that are pending. A live connection loses, repeats and reorders nothing; it
 * stalls (a cut or clogged link), and it ends: orderly (EOF), by a reset, or by the retransmission
 * limit of a sender whose bytes nobody acknowledges. A peer that lost its power says nothing.
 *
 *   OPEN --(RST, limit)--> BROKEN --(net_close, crash)--> CLOSED;   OPEN --(net_close)--> CLOSED */
#ifndef SIM_NET_H
#define SIM_NET_H

#include "client/base/rng.h"
#include "client/world/world.h"

struct sim;
struct sim_world;
struct sim_net;
struct sim_conn;
struct sim_end;
struct sim_node_net;

/* What a cut does to bytes that would cross it. */
enum sim_cut {
    SIM_CUT_HOLD,      /* held; they arrive after the cut is mended (N6, N13) */
    SIM_CUT_RESET,     /* connections break at once, new ones are refused (N10) */
    SIM_CUT_BLACKHOLE, /* connections are dead for ever, also after the cut is mended (N11) */
    SIM_CUT_STYLES,
};

/* How a gathered send is cut into pieces that arrive separately (N2). */
enum sim_pieces {
    SIM_PIECES_WHOLE,  /* up to 64 KiB */
    SIM_PIECES_TINY,   /* the first bytes one by one */
    SIM_PIECES_RANDOM, /* anywhere */
    SIM_PIECES_HEADER, /* within and just behind the 4 byte length of a frame */
    SIM_PIECES_STYLES,
};

/* What happens to the next connection attempts to a node (N12). */
enum sim_connect_fault {
    SIM_CONNECT_REFUSED,
    SIM_CONNECT_TIMED_OUT,
    SIM_CONNECT_RESET,        /* accepted, then reset */
    SIM_CONNECT_BACKLOG_FULL, /* no answer; the attempt goes on by itself, 1, 2, 4 s later */
    SIM_CONNECT_NO_NAME,      /* its name is not resolved */
    SIM_CONNECT_MOVED,        /* its name leads to an address where nobody is */
};

/* When the connections of a link are reset (N10). */
enum sim_moment {
    SIM_MOMENT_NOW,
    SIM_MOMENT_IDLE,          /* nothing is on the way and nothing is asked */
    SIM_MOMENT_MID_FRAME,     /* half of the next frame has gone */
    SIM_MOMENT_AFTER_REQUEST, /* the answer would leave now: the request was taken */
};

/* Bytes that wait for something that happens elsewhere (N13). */
struct sim_hold {
    struct list link; /* of the network */
    uint32_t asking;  /* node indexes */
    uint32_t asked;
    int16_t api;   /* -1: any */
    bool response; /* the answer is held, not the request */
    bool every;    /* each message, not only the first */
    int fault;     /* enum sim_fault, for the counters */
    uint32_t held; /* so many messages stand */
    bool released;
};

struct sim_net_config {
    int64_t latency_min_ns; /* per direction of a connection: base drawn from min..max, ... */
    int64_t latency_max_ns;
    int64_t jitter_ns;    /* ... plus an exponential tail per piece (N1) */
    int64_t bytes_per_us; /* of one connection; 0: unlimited */
    uint32_t buffer_min;  /* bytes taken and not yet read, drawn from min..max (N3) */
    uint32_t buffer_max;
    uint32_t pieces_per_million; /* connections that are cut into pieces, one style each */
    int64_t retransmit_limit_ns; /* 0: never */
    int64_t connect_limit_ns;    /* unanswered attempts end with TIMED_OUT */
    uint32_t backlog_max;
};

struct sim_net_config sim_net_config_default(void);

/* What the network keeps per node. */
struct sim_net_node {
    struct list ends; /* of connections that this node holds, or that wait in a backlog */
    struct list listeners;
    struct list connects; /* resolve and connect requests under way */
    struct list loans;
    uint32_t conn_count; /* against connections_max */
    uint16_t next_port;
    uint32_t connect_faults;              /* so many of the next attempts to this node ... */
    enum sim_connect_fault connect_fault; /* ... end like this */
    bool shuffled;                        /* accepts in random order (N15) */
    bool names_fail;                      /* resolving fails (N12) */
};

/* ---- the door -------------------------------------------------------------------------------- */

/* Who is at the other end of a node's connection, by its net_conn.id; NULL: nobody any more. */
struct sim_world *sim_net_peer(const struct sim_world *node, uint64_t id);
void sim_net_resolve(struct world *world, struct net_resolve *resolve);
void sim_net_listen(struct world *world, struct net_listener *listener);
void sim_net_unlisten(struct world *world, struct net_listener *listener);
void sim_net_accept(struct world *world, struct net_accept *accept);
void sim_net_connect(struct world *world, struct net_connect *connect);
void sim_net_connect_cancel(struct world *world, struct net_connect *connect);
void sim_net_recv(struct world *world, struct net_recv *recv);
void sim_net_release(struct world *world, struct net_loan *loan);
void sim_net_send(struct world *world, struct net_send *send);
void sim_net_close(struct world *world, struct net_conn *conn);

/* ---- life ------------------------------------------------------------------------------------ */

struct sim_net *sim_net_create(struct sim *sim);
void sim_net_destroy(struct sim_net *net);
void sim_net_node_init(struct sim_world *node);
void sim_net_node_free(struct sim_world *node); /* after sim_net_destroy() */
void sim_net_bind(struct sim_world *node);
void sim_net_crash(struct sim_world *node, bool power);
/* The machine answers again: peers whose bytes it never acknowledged are reset. */
void sim_net_host_up(struct sim_world *node);
bool sim_net_node_idle(const struct sim_world *node);
uint32_t sim_net_held(const struct sim_world *node); /* connections, listeners, requests, loans */

/* The address of a node, on any port. */
struct net_address sim_net_address(const struct sim_world *node, uint16_t port);
/* `host`:`port` leads to that node; port 0: any. Without an alias, loopback addresses lead to
 * whoever listens on the port, the own machine first. host is copied. */
void sim_net_alias(struct sim *sim, struct str host, uint16_t port, int32_t node_id);

/* ---- faults (counted by fault.h) ------------------------------------------------------------- */

/* Nodes by index. Cuts add up: each needs its own mend. One direction each. Returns how many
 * connections were hit at once. */
uint32_t sim_net_cut(struct sim *sim, uint32_t from, uint32_t to, enum sim_cut style);
void sim_net_mend(struct sim *sim, uint32_t from, uint32_t to, enum sim_cut style);
/* All of them, clogs and slowness included; whether there was one. */
bool sim_net_mend_all(struct sim *sim, uint32_t from, uint32_t to);
bool sim_net_is_cut(const struct sim *sim, uint32_t from, uint32_t to);
/* Nothing crosses before `until_ns`; buffered bytes survive (N4). */
void sim_net_clog(struct sim *sim, uint32_t from, uint32_t to, int64_t until_ns);
/* More latency, and a cap on the rate of each connection (0: none) (N1, N9). */
void sim_net_slow(struct sim *sim, uint32_t from, uint32_t to, int64_t extra_ns,
                  int64_t bytes_per_ms);
/* Resets every connection between two nodes: both notice, or only one of them (the other finds
 * out when it sends). Returns how many. */
enum sim_notice { SIM_NOTICE_BOTH, SIM_NOTICE_FIRST, SIM_NOTICE_SECOND };
uint32_t sim_net_reset(struct sim *sim, uint32_t first, uint32_t second, enum sim_notice notice);
void sim_net_fail_connects(struct sim_world *to, enum sim_connect_fault fault, uint32_t count);
/* net_fault.c */
void sim_net_reset_at(struct sim *sim, uint32_t first, uint32_t second, enum sim_moment moment);
uint32_t sim_net_half_open(struct sim *sim, uint32_t first, uint32_t second);
void sim_net_segment(struct sim *sim, uint32_t from, uint32_t to, enum sim_pieces pieces);
void sim_net_small_buffers(struct sim *sim, uint32_t from, uint32_t to, uint32_t bytes);
void sim_net_corrupt(struct sim *sim, uint32_t from, uint32_t to, uint32_t count);
struct sim_hold *sim_net_hold(struct sim *sim, const struct sim_hold *what);
void sim_net_let_go(struct sim *sim, struct sim_hold *hold);
/* The link is clogged from then to then. */
void sim_net_clog_later(struct sim *sim, uint32_t from, uint32_t to, int64_t from_ns,
                        int64_t until_ns);
void sim_net_flaky(struct sim *sim, uint32_t from, uint32_t to, int64_t hold_ns, int64_t gap_ns,
                   int64_t until_ns);

/* Live connections between two nodes (established, held open by at least one). */
uint32_t sim_net_conn_count(const struct sim *sim, uint32_t first, uint32_t second);

#endif

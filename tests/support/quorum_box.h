/* Nodes with a metadata log and a quorum each, on simulated machines, behind the smallest server
 * that can answer the quorum's own requests. */
#ifndef TESTS_SUPPORT_QUORUM_BOX_H
#define TESTS_SUPPORT_QUORUM_BOX_H

#include "broker/raft/quorum.h"
#include "broker/raft/quorum_request.h"
#include "client/connection.h"
#include "sim/fault.h"
#include "sim/node_world.h"
#include "sim/sim.h"

enum { QUORUM_BOX_NODES = 5, QUORUM_BOX_CONNS = 24 };

struct quorum_box_conn {
    struct op op;
    struct quorum_box_node *box;
    struct connection connection;
    struct net_accept accept;
    struct op_source source;
    struct connection_frame frame;
    struct arena arena;
    struct quorum_request request;
    int16_t api;
    int16_t version;
    int32_t correlation;
    bool used;
};

struct quorum_box_node {
    struct sim_program program;
    struct quorum_box *all;
    struct sim_world *world;
    int32_t id;
    bool booted;
    bool foreign; /* its quorum is of another cluster */
    /* of one incarnation */
    struct env env;
    struct log_cache cache;
    struct log_dir dir;
    struct log *log;
    struct log_config log_config;
    struct quorum quorum;
    struct quorum_listener listener;
    struct op op;
    struct op_source source;
    struct net_listener listening;
    struct quorum_box_conn conns[QUORUM_BOX_CONNS];
    bool quorum_started;
    bool was_damaged; /* at the last start */
    /* what the listener was told in this incarnation */
    uint64_t records;
    uint64_t digest;
    int64_t end;
    uint32_t snapshots_loaded; /* over all incarnations */
    bool loading;
    uint32_t load_count;
    uint64_t load_records;
    uint64_t load_digest;
    uint32_t save_count;
    uint8_t save[100];
    int32_t leader;
    int32_t leader_epoch;
};

struct quorum_box {
    struct sim *sim;
    uint32_t nodes;
    uint32_t voters; /* the first ones */
    /* set after the init, before the first run */
    int64_t snapshot_bytes; /* 0: the default */
    int64_t retention_bytes;
    int32_t request_timeout_ms; /* 0: the default */
    int32_t fetch_timeout_ms;   /* 0: the default */
    bool bootstrap;             /* the n-th voter is the n-th bootstrap server too */
    uint32_t segment_bytes;
    uint32_t padding; /* records of a snapshot beside the one that counts */
    struct quorum_box_node node[QUORUM_BOX_NODES];
};

void quorum_box_init(struct quorum_box *box, uint64_t seed, uint32_t nodes, uint32_t voters);
void quorum_box_deinit(struct quorum_box *box);
void quorum_box_start(struct quorum_box *box, uint32_t node);
void quorum_box_run_ms(struct quorum_box *box, int64_t ms);
/* The node that was told to lead, -1 none. */
int quorum_box_leader(const struct quorum_box *box);
/* From outside of a turn: what the node does now happens. */
void quorum_box_poke(struct quorum_box *box, uint32_t node);

#endif

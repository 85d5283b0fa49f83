/* Whole nodes on simulated machines, watched: after every turn no op of any node may wait on a
 * condition that holds (a lost wake-up), and a node that stopped in order may leave nothing. */
#ifndef TESTS_SUPPORT_NODE_BOX_H
#define TESTS_SUPPORT_NODE_BOX_H

#include "tests/support/support.h"

#include "broker/node.h"
#include "sim/fault.h"

enum { NODE_BOX_NODES = 7, NODE_BOX_CLIENT = 99, NODE_BOX_PORT = 9092, NODE_BOX_TEXT = 1024 };

struct node_box_node {
    struct sim_program program;
    struct node_box *all;
    struct sim_world *world;
    int32_t id;
    struct config config;
    bool format_alone;
    bool formatting;   /* the next boot formats instead */
    bool format_keeps; /* and finishes what an earlier format began */
    char cluster_id[64];
    struct node *node; /* NULL: down, or formatting */
    /* of the latest incarnation */
    uint32_t errors; /* NODE_ERROR events */
    char error[200]; /* the first one's text */
    uint64_t hostile;
    int64_t ranges[4]; /* node.ranges, told at a stop; all zero: it was not */
    uint32_t seen;     /* bits of enum node_state that it was in at the end of a turn */
};

struct node_box {
    struct sim *sim;
    struct sim_observer observer;
    uint32_t count;
    struct node_box_node node[NODE_BOX_NODES];
    struct sim_world *client; /* a machine without a program, for raw_client.h */
    bool unwatched;           /* no probing: for runs of very many events */
};

/* Layouts: `roles` has one letter for each node: 'a' both roles, 'b' broker, 'c' controller.
 * `extra`: lines of configuration for all of them, may be "". Nothing is started. */
void node_box_init(struct node_box *box, uint64_t seed, const char *roles, const char *extra);
void node_box_deinit(struct node_box *box);
/* Formats each directory for the cluster "cluster-of-the-test". */
void node_box_format(struct node_box *box);
void node_box_format_one(struct node_box *box, uint32_t node, const char *cluster_id);
void node_box_start(struct node_box *box, uint32_t node);
void node_box_start_all(struct node_box *box); /* formats, starts, until all are READY */

/* Runs until `done`, for at most `ms`; false: time is up. Fails the test when the run fails. */
bool node_box_until(struct node_box *box, int64_t ms, bool (*done)(void *context), void *context);
void node_box_run_ms(struct node_box *box, int64_t ms);
void node_box_run_events(struct node_box *box, uint64_t events);
bool node_box_ready(struct node_box *box, uint32_t node, int64_t ms);
bool node_box_all_ready(struct node_box *box, int64_t ms);
/* Runs until the node is down by itself, which must leave nothing; its exit status. */
int node_box_wait_down(struct node_box *box, uint32_t node, int64_t ms);
/* node_stop() as a signal does it. */
void node_box_ask_stop(struct node_box *box, uint32_t node);
/* An orderly stop with status 0 within `ms`. */
void node_box_stop(struct node_box *box, uint32_t node, int64_t ms);
/* The active controller's index, -1 none. */
int node_box_controller(const struct node_box *box);
/* Entries of the node's data directory, all levels; a digest of their names. */
uint32_t node_box_files(struct node_box *box, uint32_t node, const char *path);

#endif

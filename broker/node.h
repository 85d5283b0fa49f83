/* One node: broker, controller, or both, from start to stop. Owns every part and the order in which
 * they come up and go down; decides nothing that a part could decide.
 *
 *   NEW --node_start--> OPENING   directory locked, identity checked (a single node without
 *                                 configuration formats its own), metadata log recovered
 *       --> JOINING               listening; quorum runs; the metadata flows
 *       --> REGISTERING           (broker) registered, metadata applied up to the registration
 *       --> RECOVERING            (broker) the logs of its replicas are open
 *       --> READY                 unfenced: serves Metadata and Produce. A controller alone: the
 *                                 quorum runs
 *       --> LEAVING               controlled shutdown, bounded
 *       --> CLOSING               everything closed in the opposite order
 *       --> STOPPED               all memory is back; the world is told
 *   any --> FAILED                what is wrong is said in one line; then as CLOSING
 *
 * The simulator runs this struct; so does the program gregor-broker (main.c). */
#ifndef BROKER_NODE_H
#define BROKER_NODE_H

#include "broker/api/fetch_session.h"
#include "broker/api/server.h"
#include "broker/channel.h"
#include "broker/config.h"
#include "broker/controller/controller.h"
#include "broker/controller/loader.h"
#include "broker/group/coordinator.h"
#include "broker/lifecycle.h"
#include "broker/log/log.h"
#include "broker/producer_ids.h"
#include "broker/raft/quorum.h"
#include "broker/raft/quorum_format.h"
#include "broker/registrar.h"
#include "broker/replica/manager.h"

enum node_state {
    NODE_NEW,
    NODE_OPENING,
    NODE_JOINING,
    NODE_REGISTERING,
    NODE_RECOVERING,
    NODE_READY,
    NODE_LEAVING,
    NODE_CLOSING,
    NODE_STOPPED,
};
enum { NODE_STATES = NODE_STOPPED + 1 };

enum {
    NODE_DIRS_MAX = CONFIG_LOG_DIRS_MAX + 1, /* log.dirs, and metadata.log.dir when it is another */
    NODE_RELAYS_MAX = 16 + CONFIG_VOTERS_MAX + NODE_DIRS_MAX,
};
_Static_assert((int)CONFIG_LOG_DIRS_MAX <= (int)MANAGER_DIRS_MAX, "the manager has all of them");

struct node {
    struct env env;
    struct config config;
    enum node_state state;
    int32_t status;        /* of the process: 0, or 1 when it could not be done */
    struct errmsg message; /* what could not */
    struct op_source changed;
    bool format_alone; /* no configuration was given: format the directory when it is new */

    struct log_cache cache;
    struct log_dir log_dirs[NODE_DIRS_MAX];
    uint32_t dir_count;
    uint32_t dir_turn;        /* of the start: how many are opened */
    struct log_dir *meta_dir; /* of them: where the metadata log is */
    struct log *metadata_log;
    struct log_config metadata_config;
    struct loader loader;
    struct quorum quorum;
    struct controller controller; /* only with the controller role */
    struct registrar registrar;   /* likewise */
    struct channel channel;       /* only with the broker role */
    struct lifecycle lifecycle;
    struct producer_ids producer_ids;
    struct manager replicas;
    struct coordinator groups;
    struct server broker_server;
    struct server controller_server;
    struct fetch_sessions fetch_sessions;
    struct pool auto_topics; /* api_topics.c */
    struct list auto_topics_live;

    /* private */
    struct op op;
    bool stop_wanted;
    bool has_broker; /* roles */
    bool has_controller;
    bool dirs_lossy; /* a directory failed or was new at the start: what it held may be missed */
    bool has_dir;    /* parts that came up, for the way down */
    bool has_servers;
    bool has_loader;
    bool has_quorum;
    bool controls;
    bool has_channel;
    bool has_replicas;
    uint32_t relay_count;
    struct op_relay relays[NODE_RELAYS_MAX];
    struct op_relay metadata_relay;      /* ends with the log it listens to */
    struct log_dir *dirs[NODE_DIRS_MAX]; /* log.dirs, for the manager */
    struct quorum_listener listener;
    struct controller_quorum controller_quorum;
    struct manager_links manager_links;
    struct loader_publisher publisher;
    char client_id[24];
    char metadata_path[CONFIG_PATH_MAX + 32];
};

/* `node` is the first thing in the world's region (region_take), which becomes its memory. The
 * config is copied. Starts with the world's first turn. BAD_CONFIG, NO_MEMORY: said in `error`. */
MUST_USE enum err node_start(struct node *node, struct world *world, const struct config *config,
                             bool format_alone, struct errmsg *error);
/* Orderly stop: controlled shutdown, then everything closed. The world is told by world_stop(). A
 * second call gives up waiting for the controller. */
void node_stop(struct node *node);
bool node_stopping(const struct node *node);
/* Requests do not wait any more; while LEAVING they still do. */
bool node_closing(const struct node *node);
struct str node_cluster_id(const struct node *node);
const char *node_state_name(enum node_state state);
/* Port that clients use, once READY; 0 before. */
uint16_t node_port(const struct node *node);

/* Formats all directories of a node of a cluster (gregor-broker format). Runs as a node of its own:
 * ends by world_stop() with 0, or 1 and a NODE_ERROR event. */
enum node_format_voters {
    NODE_FORMAT_CONFIGURED, /* controller.quorum.voters, or this node is none */
    NODE_FORMAT_INITIAL,    /* those that are given (--initial-controllers) */
    NODE_FORMAT_STANDALONE, /* this one alone */
    NODE_FORMAT_NO_INITIAL, /* the log of the others says it */
};
struct node_format {
    struct env env;
    struct log_cache cache;
    struct log_dir dir; /* one after the other */
    struct log_dir_meta meta;
    struct op op;
    struct rng rng;
    struct config config;
    uint32_t at;
    int32_t status;
    struct errmsg message;
    bool keeps;
    bool writes_voters;
    struct quorum_voters voters;
    struct quorum_format quorum;
};
/* `initial`: id@host:port:directory,... with INITIAL; else null. `keeps`: directories formatted for
 * this node already stay as they are, which finishes an interrupted format. BAD_CONFIG: said in
 * `error`. */
MUST_USE enum err node_format_start(struct node_format *format, struct world *world,
                                    const struct config *config, struct str cluster_id,
                                    enum node_format_voters voters, struct str initial, bool keeps,
                                    struct errmsg *error);

#endif

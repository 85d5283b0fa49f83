/* Shared by the net_*.c files only. */
#ifndef SIM_NET_PRIVATE_H
#define SIM_NET_PRIVATE_H

#include "sim/node_world.h"

enum { SEGMENT_MAX = 65536, COALESCE_MAX = 16384 };

enum segment_kind { SEGMENT_DATA, SEGMENT_FIN, SEGMENT_RST };

struct sim_segment {
    struct list link; /* flight, arrived, or the loans of a node */
    enum segment_kind kind;
    int64_t ready_ns;
    uint32_t length;
    uint32_t from;               /* bytes before it were read */
    const struct sim_hold *hold; /* stands until it is released; NULL: nothing holds it */
    struct sim_inode *inode; /* of a range: its bytes are taken when they are read; NULL: memory */
    struct sim_image *image;
    uint64_t offset;
    uint8_t data[];
};

/* Where in a frame the bytes of a pipe are, as they leave (net_fault.c). */
struct sim_frames {
    uint8_t head[12]; /* length, api key, version, correlation id; of a response two of them */
    uint32_t have;
    uint32_t left; /* of the frame, behind the head */
    bool lost;     /* no frames at all */
};

struct sim_pipe {
    struct sim_conn *conn;
    uint32_t side;           /* of the sender */
    struct sim_event arrive; /* of the head of `flight` */
    struct sim_event space;  /* the news that the receiver has read travels back */
    struct list flight;
    struct list arrived;
    uint32_t bytes; /* taken from the sender, not yet read; at most capacity */
    uint32_t capacity;
    int64_t base_ns;
    int64_t last_ready_ns;
    int64_t free_ns; /* the rate limit: when the next byte may leave */
    bool stalled;    /* the head is due, but a link is cut or nobody answers */
    bool silent;     /* data crossed, the acknowledgement could not */
    struct sim_frames frames;
};

enum end_state { END_OPEN, END_BROKEN, END_CLOSED };

struct sim_end {
    struct sim_conn *conn;
    uint32_t side;
    enum end_state state;
    enum err broken; /* what the next receive is told */
    bool dead;       /* its machine lost power: no answers until it runs again */
    bool eof;
    struct sim_world *node;
    struct net_conn *user; /* NULL: not handed out yet (backlog, connecting), or given back */
    struct net_recv *recv;
    struct net_send *send;
    uint32_t send_slice;
    uint32_t send_offset; /* within that slice */
    uint32_t send_range;  /* ranges before it */
    uint64_t send_done;
    struct sim_event limit; /* retransmission limit of what this end has sent */
    struct list node_link;  /* in node->net.ends, or nowhere */
    struct list backlog;    /* in a listener, or nowhere */
};

enum { CALLS_MAX = 64 };

struct sim_conn {
    struct sim *sim;
    uint64_t id;
    struct list link;
    uint64_t site; /* of its decisions: the other node, the how-many-th connection to it */
    enum sim_pieces pieces;
    bool blackholed;
    struct net_address address[2];
    struct sim_end end[2];
    struct sim_pipe pipe[2]; /* pipe[i]: from end i */
    struct {                 /* what end 0 has asked, by correlation id modulo CALLS_MAX */
        int32_t correlation;
        int16_t api;
    } calls[CALLS_MAX];
    uint32_t asked; /* requests and responses that have left */
    uint32_t answered;
};

struct sim_listener {
    struct sim_world *node;
    struct net_listener *user;
    uint16_t port;
    uint32_t backlog_count;
    struct list backlog;
    struct list accepts; /* pending requests, through world_req.link */
    struct list link;
};

/* One resolve or connect under way. */
struct sim_connect {
    struct sim_event event;
    struct sim_world *node;
    struct net_resolve *resolve;
    struct net_connect *user;
    struct sim_conn *conn; /* answered; the answer is on its way */
    int64_t started_ns;
    int64_t retry_ns;
    uint16_t port;
    enum err result;
    struct list link;
};

struct sim_link {
    uint32_t conns; /* ever made from here to there */
    uint16_t cuts[SIM_CUT_STYLES];
    int64_t clog_until_ns;
    int64_t extra_ns;
    int64_t bytes_per_ms;
    bool has_pieces; /* instead of each connection's own (N2) */
    enum sim_pieces pieces;
    uint32_t buffer;              /* bytes on the way, at most (N3); 0: the connection's own */
    uint32_t corrupt;             /* so many frames more get a wrong bit (N14) */
    enum sim_moment reset_moment; /* NOW: nothing is armed (N10) */
};

/* A clog to come, or one after the other (N5, N9). */
struct net_plan {
    struct sim_event event;
    struct list link;
    struct sim *sim;
    uint32_t from;
    uint32_t to;
    int64_t until_ns; /* of the clog; of all of it, when hold_ns > 0 */
    int64_t hold_ns;
    int64_t gap_ns;
};

struct sim_alias {
    char host[64];
    uint16_t port;
    int32_t node_id;
};

struct sim_net {
    struct sim *sim;
    uint64_t next_id;
    struct list conns;        /* in order of id */
    struct sim_link *links;   /* [from * nodes_max + to] */
    struct sim_end **handles; /* [handle], NULL: free; handle 0 is never used */
    uint32_t handle_count;
    uint32_t *free_handles;
    uint32_t free_count;
    uint32_t handle_capacity;
    struct sim_alias *aliases;
    uint32_t alias_count;
    struct list holds;
    uint32_t holding; /* of them not released: nobody looks at frames for nothing */
    struct list plans;
};

/* Where a connection's decisions fall: the nodes, which connection between them, which side. */
static inline struct decide_site net_site(enum decide_what what, const struct sim_conn *conn,
                                          uint32_t side)
{
    return (struct decide_site){what, conn->end[0].node->id, conn->site, side};
}

static inline struct sim_world *pipe_sender(struct sim_pipe *pipe)
{
    return pipe->conn->end[pipe->side].node;
}

static inline struct sim_end *pipe_receiver(struct sim_pipe *pipe)
{
    return &pipe->conn->end[1 - pipe->side];
}

static inline struct sim_pipe *end_incoming(struct sim_end *end)
{
    return &end->conn->pipe[1 - end->side];
}

static inline struct sim_pipe *end_outgoing(struct sim_end *end)
{
    return &end->conn->pipe[end->side];
}

/* net.c */
struct sim_link *net_link(const struct sim *sim, const struct sim_world *from,
                          const struct sim_world *to);
bool net_link_cut(const struct sim_link *link);
void net_revive(struct sim *sim, uint32_t from, uint32_t to);
uint32_t net_pipe_between(const struct sim_conn *conn, uint32_t from, uint32_t to); /* 2: none */
/* net_fault.c */
/* Whatever a fault wants with bytes that leave now; puts them on the wire. */
void net_launch(struct sim_pipe *pipe, struct sim_segment *segment);
void net_plans_drop(struct sim_net *net, uint32_t from, uint32_t to);
bool net_held(const struct sim_pipe *pipe); /* something on it stands */
/* net_pipe.c */
void net_pipe_put(struct sim_pipe *pipe, struct sim_segment *segment);
struct sim_segment *net_segment_create(enum segment_kind kind, uint32_t length);
/* A range that was sent: its bytes as they stand now, for good. */
void net_segment_bind(struct sim_segment *segment);
void net_segment_free(struct sim_segment *segment);
void net_pipe_pump(struct sim_pipe *pipe);
void net_end_break(struct sim_end *end, enum err error);
void net_end_rst(struct sim_end *end); /* tells the other side */
void net_segments_free(struct list *head);
void net_pipe_init(struct sim_pipe *pipe, struct sim_conn *conn, uint32_t side);
void net_end_init(struct sim_end *end, struct sim_conn *conn, uint32_t side);
/* net_conn.c */
struct sim_conn *net_conn_create(struct sim *sim, struct sim_world *client,
                                 struct sim_world *server);
void net_conn_free(struct sim_conn *conn);
void net_end_attach(struct sim_end *end, struct net_conn *user);
void net_end_detach(struct sim_end *end);

#endif

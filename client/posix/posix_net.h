/* Connections and listeners of one world, on level-triggered epoll.
 *
 *   FREE --connect--> CONNECTING --> OPEN --reset, vanished--> OPEN, dead (left the epoll set)
 *     ^--accept---------------------> |                          |
 *     +---------- net_close ----------+--------------------------+
 *
 * A connection is in the epoll set from its birth, so that a reset is told without a receive. The
 * interest in reading is dropped only when bytes wait and nobody asked (one event later), and taken
 * up again at the next receive: a connection in steady use costs no epoll_ctl. An orderly end is
 * EPOLLIN like bytes, so it is told by the next receive. A dead one leaves the set: its error state
 * would be reported for ever. */
#ifndef CLIENT_POSIX_POSIX_NET_H
#define CLIENT_POSIX_POSIX_NET_H

#include "client/posix/posix_calls.h"
#include "client/posix/posix_disk.h"
#include "client/posix/posix_slab.h"
#include "client/posix/posix_work.h"
#include "client/world/world.h"

#include <sys/epoll.h>

enum {
    POSIX_LISTENERS_MAX = 16,
    POSIX_CONNECTIONS_MAX = (1 << 20) - 1,
    POSIX_RECV_TURN_MAX = 1024 * 1024, /* bytes into one receive before others get a turn */
    POSIX_SEND_STEP = 256 * 1024,      /* of a range in one call */
    POSIX_SEND_TURN_MAX = 1024 * 1024, /* of ranges before others get a turn */
    POSIX_BACKLOG = 4096,
};

enum posix_conn_state { POSIX_CONN_FREE, POSIX_CONN_CONNECTING, POSIX_CONN_OPEN };

struct posix_conn {
    enum posix_conn_state state;
    int fd;
    uint16_t generation;
    bool dead;     /* reset or vanished; not in the epoll set */
    bool readable; /* a receive is worth trying at once */
    bool gone_told;
    enum err error;     /* of a dead connection */
    uint32_t interest;  /* EPOLLIN, EPOLLOUT as registered */
    uint32_t next_free; /* index + 1 */
    struct net_conn *conn;
    struct net_connect *connecting;
    struct net_recv *recv;
    struct net_send *send;
    uint32_t send_slice; /* how far the send came */
    uint32_t send_offset;
    uint32_t send_range; /* ranges before it */
    struct list starved; /* waiting for a chunk */
};

struct posix_listener {
    int fd; /* -1: free */
    uint16_t generation;
    bool interest;
    struct net_listener *listener;
    struct list accepts; /* posted, in order */
};

struct posix_net {
    const struct posix_calls *calls;
    struct posix_disk *disk; /* whose files ranges are of */
    uint64_t range_misses;   /* parts of ranges that were not in the page cache when they left */
    struct list *ready;
    int epoll_fd;
    uint32_t connections_max;
    uint32_t connections_open;
    uint64_t last_id;
    uint32_t free_first;
    struct posix_conn *conns;
    struct posix_listener listeners[POSIX_LISTENERS_MAX];
    struct posix_slab slab;
    struct list starved; /* receives without a chunk, in order */
    struct posix_pool resolver;
};

/* What an epoll event is about: in the upper half of its data. */
enum posix_subject { POSIX_CONN, POSIX_LISTENER, POSIX_WAKE, POSIX_SIGNAL };
static inline uint64_t posix_subject(enum posix_subject subject, uint32_t generation,
                                     uint32_t index)
{
    return (uint64_t)subject << 60 | (uint64_t)generation << 32 | index;
}

MUST_USE enum err posix_net_init(struct posix_net *net, const struct posix_calls *calls,
                                 struct list *ready, struct posix_inbox *inbox, int epoll_fd,
                                 uint32_t connections_max, uint32_t chunks);
void posix_net_deinit(struct posix_net *net); /* resets what is open, forgets what is pending */

/* One event of epoll about a connection or listener. */
void posix_net_event(struct posix_net *net, uint64_t subject, uint32_t events);
/* Receives that waited for a chunk and could have one now. */
bool posix_net_can_feed(struct posix_net *net);
void posix_net_feed(struct posix_net *net);

void posix_net_resolve(struct posix_net *net, struct net_resolve *resolve);
void posix_net_listen(struct posix_net *net, struct net_listener *listener);
void posix_net_unlisten(struct posix_net *net, struct net_listener *listener);
void posix_net_accept(struct posix_net *net, struct net_accept *accept);
void posix_net_connect(struct posix_net *net, struct net_connect *connect);
void posix_net_connect_cancel(struct posix_net *net, struct net_connect *connect);
void posix_net_recv(struct posix_net *net, struct net_recv *recv);
void posix_net_release(struct posix_net *net, struct net_loan *loan);
void posix_net_send(struct posix_net *net, struct net_send *send);
void posix_net_close(struct posix_net *net, struct net_conn *conn);

/* Between posix_net.c (who is connected) and posix_stream.c (bytes). */
struct posix_conn *posix_net_conn(struct posix_net *net, const struct net_conn *conn);
void posix_net_interest(struct posix_net *net, struct posix_conn *c, uint32_t events);
/* Goes on with the posted one as far as it goes now; and ends it with a result. */
void posix_stream_recv(struct posix_net *net, struct posix_conn *c);
void posix_stream_recv_done(struct posix_net *net, struct posix_conn *c, enum err err);
void posix_stream_send(struct posix_net *net, struct posix_conn *c);
void posix_stream_send_done(struct posix_net *net, struct posix_conn *c, enum err err);

#endif

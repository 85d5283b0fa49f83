/* One framed connection, server or client side: frames of Kafka's protocol (int32 size, then that
 * many bytes) over the byte stream of the world. Owns the stream, the frame being received and the
 * queue of frames being sent; knows nothing of what stands in a frame.
 *
 *     FREE --net_accept / net_connect, then connection_opened()--> OPEN
 *     OPEN --connection_finish()--> FINISHING   no more receives; closes when the queue is sent
 *     OPEN, FINISHING --connection_close(), EOF, error, gone, hostile size--> CLOSING
 *     CLOSING --all completions are in--> CLOSED   (everything given back; may be initialised anew)
 *
 * Receiving is pulled: connection_next() answers with the next whole frame, or posts a receive and
 * answers no. Who does not ask posts no receive, and so holds the peer back. The paths of bytes:
 *   - frames that came whole in a loan of the world are views into it (not copied, unless the
 *     caller wants to keep them);
 *   - of a frame that is cut, what is there is copied into a counted buffer of the frame's size,
 *     and the rest is received straight into that buffer;
 *   - an idle connection has a receive posted and holds no buffer.
 * When the budget of payload is used up the connection stalls (posts nothing) until a part of it
 * comes back.
 *
 * Sending: frames are queued during a turn and leave at its end in one gathered send; while a send
 * is in flight the next ones queue up. Memory that a frame refers to is counted and held by the
 * frame until the transport has taken it.
 *
 * One source tells everything: a frame may be there, the queue got shorter, the state changed. */
#ifndef CLIENT_CONNECTION_H
#define CLIENT_CONNECTION_H

#include "client/wire/wire.h"
#include "client/world/env.h"

enum connection_state {
    CONNECTION_FREE,
    CONNECTION_OPEN,
    CONNECTION_FINISHING,
    CONNECTION_CLOSING,
    CONNECTION_CLOSED,
    CONNECTION_STATE_COUNT
};

enum {
    CONNECTION_GATHER_FEW = 8,
    CONNECTION_RANGES = 8,   /* of files in one send; more go in the next */
    CONNECTION_STALL_MS = 2, /* a stalled connection looks at the budget again */
};

struct connection_limits {
    uint32_t frame_max;      /* bytes of a received frame without its size; more is hostile */
    uint32_t send_queue_max; /* frames queued or in flight; more is ERR_TOO_MANY */
    size_t send_bytes_max;   /* bytes queued or in flight; one frame always goes */
    bool reserved;           /* buffers may come from the reserved share (replication, quorum) */
};

/* A received frame, without its size. */
struct connection_frame {
    const uint8_t *data;
    uint32_t length;
    struct buf *buf; /* counted, holds `data`; NULL: `data` lives until the next connection_*() call
                        on this connection or the end of the turn, whichever comes first */
};

/* A frame on its way out, one block of memory:
 *     slices (references into `head` and into held memory, in order), holds, head bytes. */
struct connection_out {
    struct list link;
    size_t block_size;
    size_t bytes; /* of all slices */
    uint32_t slices_max;
    uint32_t slices_count;
    uint32_t slices_sent; /* handed to the transport */
    uint32_t holds_count;
    uint32_t head_size;
    struct wire_slice *slices;
    struct buf **holds; /* counted */
    uint8_t *head;
};

struct connection {
    struct net_conn net; /* the `conn` of net_accept and net_connect */
    struct op_source events;
    enum connection_state state;
    enum err ended;         /* why it is CLOSING or CLOSED; EOF: the peer's orderly end */
    uint64_t frames_queued; /* counts, ever: a frame is sent when frames_sent reached its number */
    uint64_t frames_sent;
    uint32_t send_queue; /* frames queued or in flight */
    size_t send_bytes;   /* of them */
    /* private */
    struct env *env;
    struct connection_limits limits;
    struct net_recv recv;
    struct net_send send;
    struct env_flush flush;
    struct list outgoing; /* connection_out, those in flight first */
    struct bytes *gather; /* of the send in flight: gather_few, or gather_max from mem */
    uint32_t gather_max;
    struct bytes gather_few[CONNECTION_GATHER_FEW];
    struct net_range ranges[CONNECTION_RANGES];
    bool loaned; /* recv.loan is ours, bytes from loan_at on are unread */
    uint32_t loan_at;
    uint8_t size_bytes[4]; /* of the next frame */
    uint32_t size_have;
    struct buf *partial; /* counted: the frame being received, partial_size bytes long */
    uint32_t partial_size;
    uint32_t partial_have;
    bool stalled;    /* waits for budget */
    struct op stall; /* lives while stalled */
};

/* Before net_accept or net_connect on &connection->net. */
void connection_init(struct connection *connection, struct env *env,
                     const struct connection_limits *limits);
/* After net_accept or net_connect has succeeded. `peer`: the node there, or -1. When it failed
 * there is nothing to undo: the connection is still FREE. */
void connection_opened(struct connection *connection, int32_t peer, bool inbound);

/* OPEN: the next whole frame, if any. With `keep` it comes in a counted buffer, which is the
 * caller's to release by connection_frame_release(); otherwise see connection_frame.buf (there too
 * the release is needed, and a frame that came in a buffer may stay). False: a receive is posted,
 * or memory is awaited, or it is over; `events` tells. A size below 0 or above the limit closes. */
bool connection_next(struct connection *connection, bool keep, struct connection_frame *frame);
/* Condition of a waiting op: connection_next() is worth a call. Without effect. */
bool connection_readable(const struct connection *connection);
/* Makes a frame outlive the turn: copies it into a counted buffer unless it is in one. */
MUST_USE enum err connection_frame_keep(struct connection *connection,
                                        struct connection_frame *frame);
/* Gives the buffer back, if there is one. */
void connection_frame_release(struct connection_frame *frame);

/* A frame to fill: room for `head_size` bytes, slices and holds. Fill it with a writer over
 * {out->head, out->head_size} that gathers into {out->slices, out->slices_max}. NULL: no memory. */
struct connection_out *connection_out_create(struct connection *connection, size_t head_size,
                                             uint32_t slices, uint32_t holds);
/* A frame that was never queued. */
void connection_out_destroy(struct connection *connection, struct connection_out *out);
/* The frame keeps `buf` until it is sent (takes a count of its own). */
void connection_out_hold(struct connection_out *out, struct buf *buf);
/* Queues; takes `out` over on success. `slices_count` is what the writer says. On an error
 * (TOO_MANY above the limits, BAD_STATE when not OPEN) the frame stays the caller's. */
MUST_USE enum err connection_send(struct connection *connection, struct connection_out *out,
                                  uint32_t slices_count);
/* connection_send() of a frame of n more bytes would not be refused for its limits. */
bool connection_sendable(const struct connection *connection, size_t bytes);

/* Orderly: closes when everything queued is sent. */
void connection_finish(struct connection *connection);
/* Now; what is queued is dropped. Harmless when CLOSING or CLOSED. */
void connection_close(struct connection *connection, enum err why);
/* A peer that breaks the protocol: says so in the trace, then closes. -1 for an unknown api. */
void connection_hostile(struct connection *connection, int32_t api, int32_t version, enum err err,
                        struct str what);

#endif

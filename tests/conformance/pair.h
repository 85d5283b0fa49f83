/* Two connected ends, and sends and receives that are waited for. */
#ifndef TESTS_CONFORMANCE_PAIR_H
#define TESTS_CONFORMANCE_PAIR_H

#include "tests/conformance/suite.h"

/* ends[0] of world 0 connected, ends[1] of world 1 accepted. */
struct pair {
    struct net_listener listener;
    struct net_conn ends[2];
};

/* Where `of` can be reached, as seen from `from`. */
struct net_address pair_address(uint32_t from, uint32_t of, uint16_t port);
/* World `of` listens on any free port. */
void pair_listen(struct net_listener *listener, uint32_t of);
void pair_watch(struct net_conn *conn, uint32_t world); /* gone and closed */
void pair_connect(struct net_connect *connect, struct net_conn *conn, uint32_t from, uint32_t of,
                  uint16_t port); /* submits */
void pair_open(struct pair *pair);
void pair_close(struct net_conn *conn, uint32_t world); /* and waits */

/* Sends a filled buffer of `length` bytes at stream position `from`. */
void pair_send_start(struct net_send *send, struct bytes *slice, struct net_conn *conn,
                     uint32_t world, uint8_t *buffer, uint64_t from, uint32_t length);
/* Takes `length` bytes and checks them against position `from`: in one piece, or in loans, and then
 * it may be more. Returns how many. */
uint32_t pair_receive(struct net_conn *conn, uint32_t world, uint64_t from, uint32_t length,
                      bool loans);
enum err pair_receive_end(struct net_conn *conn, uint32_t world);

#endif

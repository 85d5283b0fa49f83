/* A connection from outside, byte by byte: requests of any key and version as a test wants them,
 * and answers decoded as they come. Nothing of client/ stands between the test and the node. */
#ifndef TESTS_SUPPORT_RAW_CLIENT_H
#define TESTS_SUPPORT_RAW_CLIENT_H

#include "client/wire/api.h"
#include "client/wire/record_builder.h"
#include "tests/support/node_box.h"

enum { RAW_FRAME_MAX = 64 << 20, RAW_WAIT_MS = 60000 };

struct raw_client {
    struct node_box *box;
    struct net_conn conn;
    struct net_connect connect;
    struct net_send send;
    struct net_recv recv;
    struct bytes slice;
    struct support_memory memory;
    struct arena arena; /* of decoded answers */
    int32_t sent;       /* correlation of the last request */
    int32_t answered;
    uint8_t size[4];
    uint8_t *in; /* the answer's frame without its size */
    uint32_t in_length;
    bool in_size; /* asked for and not yet taken */
    bool in_body;
    bool open;
};

void raw_open(struct raw_client *raw, struct node_box *box, uint32_t node, uint16_t port);
void raw_close(struct raw_client *raw);
/* Until the transport has taken them; false: not within `ms` (held back), or the connection died.
 * */
bool raw_send(struct raw_client *raw, const void *data, size_t length, int64_t ms);
/* The frame of a request, malloced. `body` is the generated struct. */
uint8_t *raw_frame(struct raw_client *raw, int16_t key, int16_t version, const void *body,
                   size_t *length);
void raw_request(struct raw_client *raw, int16_t key, int16_t version, const void *body);
/* The next frame. False: none within `ms`, or the node closed. */
bool raw_answer(struct raw_client *raw, int64_t ms);
/* The next frame is the answer to the oldest unanswered request: decodes it. */
void raw_response(struct raw_client *raw, int16_t key, int16_t version, void *response);
void raw_ask(struct raw_client *raw, int16_t key, int16_t version, const void *body,
             void *response);
/* The node closes within `ms`, without a further answer. */
bool raw_closed(struct raw_client *raw, int64_t ms);

/* A batch of `count` records with `value_size` bytes each, in `into` of `size` bytes. */
struct bytes raw_batch(void *into, size_t size, uint32_t count, uint32_t value_size);
struct bytes raw_batch_of(void *into, size_t size, uint32_t count, uint32_t value_size,
                          int64_t producer_id, int16_t epoch, int32_t sequence);

/* A topic made through the node, until it has a leader that the node knows. */
void raw_create_topic(struct raw_client *raw, const char *name, int32_t partitions,
                      int16_t replicas);
/* With acks=all, until it is answered without an error. */
void raw_produce(struct raw_client *raw, const char *topic, int32_t index, struct bytes batch);

/* FindCoordinator of a group: the error; without one the coordinator is node 1. */
int16_t raw_find_coordinator(struct raw_client *raw, const char *group);
/* Until it has one, and that has loaded what it has. */
void raw_until_coordinated(struct raw_client *raw, const char *group);

#endif

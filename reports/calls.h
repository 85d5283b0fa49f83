/* Requests on their way: matches what was sent with what arrived, by connection and correlation
 * number, and remembers for each node what arrived last, so that a change can be put down to the
 * message that brought it. Only those messages go into the story.
 *
 *   RPC_SENT ---> asked ---RPC_RECEIVED---> served ---RPC_ANSWERED---> answered ---RPC_REPLIED-->
 *                   `--- REPLIED with an error, or the other end down: lost ---'
 */
#ifndef REPORTS_CALLS_H
#define REPORTS_CALLS_H

#include "client/world/trace.h"
#include "reports/story.h"

enum call_state { CALL_FREE, CALL_ASKED, CALL_SERVED, CALL_ANSWERED };

struct call_entry {
    int64_t conn;
    int64_t correlation;
    int64_t sent_ns;
    int64_t answered_ns;
    int32_t next; /* in its bucket, -1 */
    int16_t from;
    int16_t to;
    int16_t api;
    uint8_t state;
};

/* The last message of a sort that a node took. */
struct call_inbound {
    struct story_message message;
    int32_t stored; /* number in the story, -1: not yet worth it */
    bool there;
    int64_t offset; /* what the fetch asked from, -1 */
};

enum call_sort { CALL_FETCH, CALL_PRODUCE, CALL_OTHER, CALL_PRODUCE_REPLY, CALL_OTHER_REPLY };
enum { CALL_SORTS = CALL_OTHER_REPLY + 1, CALL_BUCKETS = 4096 };

struct calls {
    struct call_entry entries[STORY_CALLS_MAX];
    int32_t buckets[CALL_BUCKETS];
    int32_t free;
    uint64_t refused; /* no room */
    struct call_inbound inbound[STORY_NODES_MAX][CALL_SORTS];
    struct call_inbound fetched[STORY_NODES_MAX][STORY_NODES_MAX]; /* [taker][server] */
};

void calls_init(struct calls *calls);
/* An rpc event of the node with this index. Returns a message that was lost, to be told, or -1. */
int32_t calls_take(struct calls *calls, struct story *story, const struct trace_event *event,
                   int16_t node, int64_t now_ns);
/* Everything the node had under way is gone. */
void calls_node_down(struct calls *calls, int16_t node);
/* The message in the story, with `label` added to what it carried; -1 where there is none. */
int32_t calls_blame(struct story *story, struct call_inbound *inbound, int64_t now_ns,
                    enum story_flow flow, const char *label);

#endif

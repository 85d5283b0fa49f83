/* Payload buffers: counted, and all of a node drawn from one budget of bytes. When the budget is
 * used up the node stops reading from sockets; it refuses nothing and drops nothing.
 *
 * A share of the budget is reserved for replication and quorum traffic: a produce request that
 * waits for its followers holds payload, and only their fetches release it, so starving those would
 * be a deadlock (style.md 4.6). */
#ifndef CLIENT_BASE_BUF_H
#define CLIENT_BASE_BUF_H

#include "client/base/mem.h"

#include <stdbool.h>

struct buf_budget {
    struct mem *mem;
    size_t limit;    /* bytes of payload, the reserve included */
    size_t reserved; /* of these only for who may use the reserve */
    size_t used;
    size_t peak;
    uint32_t buffers; /* in use */
};

struct buf {
    uint32_t refs;
    uint32_t capacity; /* at least what was asked for; what the budget counts */
    struct buf_budget *budget;
    uint8_t *data;
    /* For what the bytes stand for: called when the last reference goes. NULL: nothing. */
    void (*released)(struct buf *buf);
};

/* reserved <= limit. */
void buf_budget_init(struct buf_budget *budget, struct mem *mem, size_t limit, size_t reserved);
/* Asserts that every buffer was released. */
void buf_budget_deinit(struct buf_budget *budget);

/* One reference, the caller's; bytes uninitialised. NULL when over budget or mem is out. size > 0;
 * above MEM_MAX is always NULL, so check a peer's size against the node's limits first. */
struct buf *buf_take(struct buf_budget *budget, size_t size, bool may_use_reserve);
/* Whether a take would stay within the budget now. */
bool buf_fits(const struct buf_budget *budget, size_t size, bool may_use_reserve);
/* One more reference; returns the same buffer. */
struct buf *buf_ref(struct buf *buf);
/* The last one gives the bytes back. NULL is fine. */
void buf_unref(struct buf *buf);

#endif

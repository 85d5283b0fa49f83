/* What has happened and is told in the next turn: a queue of requests in the order they finished.
 * Submit may put a request here (it was executed at once); only the loop takes from it. */
#ifndef CLIENT_POSIX_POSIX_READY_H
#define CLIENT_POSIX_POSIX_READY_H

#include "client/world/world.h"

static inline void posix_ready(struct list *ready, struct world_req *req, enum err result)
{
    ASSERT(req->pending);
    req->result = result;
    list_push(ready, &req->link);
}

/* W1: from here on the request is the world's. */
static inline void posix_take(struct world_req *req)
{
    ASSERT(!req->pending && req->complete != NULL);
    req->pending = true;
    req->result = ERR_NONE;
    list_init(&req->link);
}

#endif

/* One request being served: its bytes, its memory, its answer. A handler decodes the body from
 * request->reader into request->arena, then answers at once with request_answer(), or starts an op
 * (which lives in the arena) that answers later with request_reply() and ends with
 * request_finish(). */
#ifndef BROKER_API_REQUEST_H
#define BROKER_API_REQUEST_H

#include "client/connection.h"
#include "client/wire/api.h"

enum { REQUEST_ARENA_MAX = 8 * 1024 * 1024 }; /* decoded arrays and answer of one request */

struct node;
struct session;

struct request {
    struct list link;
    struct session *session;
    struct node *node;
    struct env *env;
    struct request_header header;
    int16_t version;               /* of the answer; the request's, but for ApiVersions */
    struct connection_frame frame; /* counted: everything decoded points into it */
    struct wire_reader reader;     /* at the body */
    struct arena arena;
    struct instant received;
    /* private */
    bool answered;
    bool finished;
    struct connection_out *out; /* NULL: no answer is sent (acks=0) */
    uint32_t out_slices;
    struct buf **holds; /* in the arena */
    uint32_t holds_count;
    uint32_t holds_max;
};

/* The body, decoded; an error has closed the connection and finished the request. */
MUST_USE enum err request_decode(struct request *request, void *body);
/* Memory of the request's life, zeroed; NULL past REQUEST_ARENA_MAX. */
void *request_alloc(struct request *request, size_t size);
/* The answer refers to `buf` (takes a count). NO_MEMORY when the arena is at its cap. */
MUST_USE enum err request_hold(struct request *request, struct buf *buf);
/* Encodes the generated response struct of this api and queues it behind the earlier ones. */
void request_reply(struct request *request, const void *response);
/* No answer: acks=0 (and then, after an error, the connection closes). */
void request_reply_nothing(struct request *request, bool close);
/* The request is over (answered, its op ended): gives everything back. */
void request_finish(struct request *request);
/* Reply and finish, for handlers without an op. */
void request_answer(struct request *request, const void *response);
/* Out of memory or bounds while serving: the connection closes, the request is over. */
void request_abandon(struct request *request, enum err err);
/* Private to the session: the holds of an answer that has left or never will. */
void request_drop_holds(struct request *request);

#endif

/* The admin client: one request, sent to the right node, repeated while that may help, until its
 * deadline. What the answer says is left to the caller, as the generated struct.
 *
 * Target: topic changes go to the node that metadata calls the controller (with KRaft any broker,
 * which forwards), everything else to the least loaded node (clients.md 4).
 * A change whose answer was lost may have happened: `unclear` says so; the retry then often ends
 * with TOPIC_ALREADY_EXISTS or UNKNOWN_TOPIC_OR_PARTITION. */
#ifndef CLIENT_ADMIN_H
#define CLIENT_ADMIN_H

#include "client/metadata.h"
#include "wire/create_topics.h"
#include "wire/delete_topics.h"
#include "wire/metadata.h"

enum {
    ADMIN_ARENA_MAX = 64 * 1024 * 1024, /* one decoded answer */
    ADMIN_MESSAGE_MAX = 255,
};

struct admin {
    struct metadata metadata;
    uint32_t tasks; /* alive */
};

/* One request. Fill `request`, start, wait for `done`, read `response`, release. */
struct admin_task {
    /* in */
    int16_t api; /* API_METADATA, API_CREATE_TOPICS, API_DELETE_TOPICS */
    int32_t timeout_ms;
    union {
        struct metadata_request metadata;
        struct create_topics_request create_topics;
        struct delete_topics_request delete_topics;
    } request; /* set to its defaults by admin_task_init(); what it names is borrowed until done */
    /* out */
    struct op_source done;
    bool finished;
    enum err result; /* NONE: `response` is there and no topic in it has an error */
    bool answered;   /* `response` is there (perhaps with errors in it) */
    bool unclear;    /* an attempt was sent and not answered */
    char message[ADMIN_MESSAGE_MAX + 1]; /* of the broker, for the first error */
    union {
        struct metadata_response metadata;
        struct create_topics_response create_topics;
        struct delete_topics_response delete_topics;
    } response; /* until admin_task_release() */
    /* private */
    struct admin *admin;
    struct op op;
    struct call call;
    struct arena arena;
    int64_t deadline_ns;
    uint32_t attempts;
};

MUST_USE enum err admin_init(struct admin *admin, struct env *env,
                             const struct metadata_config *config);
/* When no task is alive; metadata_close() and metadata_closed() of its metadata end it. */
void admin_deinit(struct admin *admin);

void admin_task_init(struct admin_task *task, int16_t api);
void admin_start(struct admin *admin, struct admin_task *task);
void admin_task_release(struct admin_task *task);

#endif

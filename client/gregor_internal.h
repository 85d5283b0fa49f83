/* What the files behind gregor.h share. Everything here lives in the caller's process, beside the
 * core: it may use malloc, and the production world. */
#ifndef CLIENT_GREGOR_INTERNAL_H
#define CLIENT_GREGOR_INTERNAL_H

#include "client/admin.h"
#include "client/consumer.h"
#include "client/gregor.h"
#include "client/membership.h"
#include "client/posix/codecs.h"
#include "client/posix/posix_world.h"
#include "client/producer.h"

/* ---- gregor_config.c ---- */

enum { GREGOR_KEYS = 64, GREGOR_TEXT_MAX = 1023 };

struct gregor_config {
    char *values[GREGOR_KEYS]; /* by place in the table of keys; NULL: the default */
};
/* Of known keys, whose values were checked when they were set. */
int32_t gregor_config_int(const struct gregor_config *config, const char *key);
bool gregor_config_bool(const struct gregor_config *config, const char *key);
/* "by_duration:PT1H30M" (ISO 8601, as Java reads it); false: something else. */
bool gregor_config_back(const char *value, int64_t *back_ms);
bool gregor_config_is_set(const struct gregor_config *config, const char *key);
struct gregor_config *gregor_config_copy(const struct gregor_config *config);
/* bootstrap, client id, timeouts; borrows from `config`. False: `why` is filled. */
bool gregor_config_metadata(const struct gregor_config *config, struct metadata_config *metadata,
                            char *why, size_t why_size);
bool gregor_config_producer(const struct gregor_config *config, struct producer_config *producer,
                            char *why, size_t why_size);
bool gregor_config_consumer(const struct gregor_config *config, struct consumer_config *consumer,
                            struct membership_config *member, char *why, size_t why_size);
void gregor_explain(char *why, size_t why_size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- gregor.c ---- */

struct gregor_client {
    struct posix_world *posix;
    struct codecs codecs;
    struct env env;
    struct world_timer nudge; /* makes the next turn happen */
    bool started;
    bool delivering; /* a callback of a delivery or a commit is running */
    struct list producers;
    struct list consumers;
    struct list left; /* consumers and producers that could not end in time: gregor_left */
};

/* Freed with the client. */
struct gregor_left {
    struct list link;
    void *memory;
};
void gregor_leave(struct gregor_client *client, struct gregor_left *left, void *memory);

/* Before the core is touched from outside a turn: now is now, and a turn follows. */
void gregor_enter(struct gregor_client *client);
int64_t gregor_deadline_ns(int timeout_ms);
/* Turns until `done` says so or the deadline has come, at least one; makes callbacks. */
bool gregor_wait(struct gregor_client *client, bool (*done)(void *context), void *context,
                 int64_t deadline_ns);
int gregor_deliver(struct gregor_client *client);
/* A name that stays: in a list that is freed as a whole. */
struct gregor_name {
    struct gregor_name *next;
    uint32_t length;
    char text[];
};
const struct gregor_name *gregor_intern(struct gregor_name **names, struct str name);
void gregor_forget(struct gregor_name **names);

/* ---- gregor_producer.c, gregor_commit.c ---- */
int gregor_producer_deliver(struct gregor_producer *producer);
struct gregor_producer *gregor_producer_of(struct list *link);
int gregor_consumer_deliver(struct gregor_consumer *consumer);
struct gregor_consumer *gregor_consumer_of(struct list *link);

/* ---- gregor_consumer.c, gregor_commit.c ---- */

struct gregor_consumer {
    struct gregor_left left;
    struct list link;
    struct gregor_client *client;
    struct gregor_config *config;
    struct consumer consumer;
    struct membership member;
    bool grouped; /* member is there */
    bool managed; /* subscribed */
    bool busy;    /* inside a poll or a close */
    struct gregor_name *names;
    gregor_rebalanced *rebalanced;
    void *rebalanced_context;
    struct gregor_consumer_interceptor interceptors[GREGOR_INTERCEPTORS_MAX];
    uint32_t interceptors_count;
    uint32_t poll_records;
    struct list commits; /* gregor_commit, begun */
    struct gregor_admin *admin;
    uint64_t records;
    uint64_t bytes;
    uint64_t polls;
    uint64_t batches_held;
};
struct gregor_partition gregor_consumer_told(struct gregor_consumer *consumer,
                                             const struct consumer_partition *partition);
struct consumer_partition *gregor_consumer_find(struct gregor_consumer *consumer, const char *topic,
                                                int32_t partition);
/* Commits that nobody awaits any more. */
void gregor_commit_drop(struct gregor_consumer *consumer);

/* ---- gregor_admin.c, gregor_admin_groups.c, gregor_result.c ---- */

struct gregor_admin {
    struct gregor_left left;
    struct gregor_client *client;
    struct gregor_config *config;
    struct admin admin;
    int32_t timeout_ms;
    char message[ADMIN_MESSAGE_MAX + 1];
};
/* Runs one task to its end. The caller releases it. */
int gregor_admin_run(struct gregor_admin *admin, struct admin_task *task);
/* Node of a group's coordinator. */
int gregor_admin_coordinator(struct gregor_admin *admin, const char *group, int32_t *node);
int gregor_admin_leader(struct gregor_admin *admin, const char *topic, int32_t partition,
                        int32_t *node);

/* Memory of one result: the first block is the result itself. Zeroed. NULL: no memory (sticks). */
struct gregor_result {
    void *first;
    bool failed;
};
void *gregor_result_take(struct gregor_result *result, size_t size);
const char *gregor_result_text(struct gregor_result *result, struct str text); /* NULL for null */

#endif

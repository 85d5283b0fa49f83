/* How much replication may move, on one side of this broker: what it serves to others as leader,
 * or what it fetches from others (KIP-73). A rate over eleven windows of a second, by the node's
 * clock; bytes are noted when they have moved, so that one answer may exceed it, and then nothing
 * moves until the mean is below it again. What is throttled is said by the topics; who is in sync
 * never is. Pure: no timer, no clock. */
#ifndef BROKER_REPLICA_QUOTA_H
#define BROKER_REPLICA_QUOTA_H

#include "client/base/bytes.h"
#include "client/base/err.h"

enum {
    QUOTA_WINDOWS = 11, /* replication.quota.window.num */
    QUOTA_WINDOW_MS = 1000,
};

struct quota_window {
    int64_t start_ns;
    int64_t bytes;
};

struct quota {
    int64_t rate; /* bytes per second; INT64_MAX: no limit */
    /* private */
    struct quota_window windows[QUOTA_WINDOWS];
    uint32_t count;
    uint32_t newest;
};

void quota_init(struct quota *quota);
void quota_note(struct quota *quota, int64_t now_ns, uint64_t bytes);
/* Bytes per second over the windows that count at `now_ns`. */
int64_t quota_measure(const struct quota *quota, int64_t now_ns);
bool quota_exceeded(const struct quota *quota, int64_t now_ns);
/* When it is exceeded no longer, if nothing moves until then; now_ns when it is not. */
int64_t quota_free_at(const struct quota *quota, int64_t now_ns);

/* Does a list of throttled replicas, "0:1,0:2,1:1" or "*", name this one? */
bool quota_names(struct str list, int32_t partition, int32_t broker);
/* NULL: such a list. Else what is wrong. */
const char *quota_check_list(struct str list);

#endif

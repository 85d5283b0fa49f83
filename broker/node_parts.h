/* How the parts of a node come up, are asked, and go down. Private to node.c and node_parts.c; the
 * order is node.c's. Everything that changes in a part wakes node->changed (relays), so that the
 * node's op waits on one source. */
#ifndef BROKER_NODE_PARTS_H
#define BROKER_NODE_PARTS_H

#include "broker/node.h"

struct manager_limits node_parts_replica_limits(void);

/* One clear line, then down. The first reason counts. */
void node_fail(struct node *node, enum err err, struct str what);
void node_fail_err(struct node *node, const char *what, enum err err);

void node_relay(struct node *node, struct op_source *from);

/* node_dirs.c; `at` is an index of node->log_dirs. */
void node_dirs_init(struct node *node);
void node_dirs_open(struct node *node, uint32_t at);
uint32_t node_dirs_meta(const struct node *node);
bool node_dirs_settled(const struct node *node);
bool node_dirs_new(const struct node *node, uint32_t at);
void node_dirs_format(struct node *node, uint32_t at);
bool node_dirs_take(struct node *node, uint32_t at);
bool node_dirs_any(const struct node *node); /* one of log.dirs is online */
int64_t node_dirs_previous_epoch(const struct node *node);
/* The directories write down that nothing of this incarnation is lost while the machine runs on. */
void node_dirs_vouch(struct node *node);
bool node_dirs_vouched(const struct node *node);
void node_dirs_close(struct node *node);
bool node_dirs_closed(const struct node *node);
void node_dirs_tell_ranges(const struct node *node); /* node.ranges, if there were any */
void node_dirs_deinit(struct node *node);

void node_parts_dir(struct node *node);      /* the log directories and the tail cache */
void node_parts_metadata(struct node *node); /* opens the metadata log; NULL: no memory */
void node_parts_servers(struct node *node);  /* both listeners; nothing is read yet */
bool node_parts_listening(const struct node *node);
enum err node_parts_listen_failed(const struct node *node);
void node_parts_fail_listen(struct node *node);
/* Loader, quorum, controller, broker; the listeners are open. */
MUST_USE enum err node_parts_init(struct node *node);
void node_parts_serve(struct node *node); /* requests are read from here on */

/* The way down, each begun once and then asked. Harmless for parts that never came up. */
void node_parts_close_servers(struct node *node);
bool node_parts_servers_closed(const struct node *node);
bool node_parts_replicas_closed(const struct node *node);
void node_parts_close_channel(struct node *node);
bool node_parts_channel_closed(const struct node *node);
void node_parts_close_quorum(struct node *node);
bool node_parts_quorum_closed(const struct node *node);
void node_parts_close_metadata(struct node *node);
bool node_parts_metadata_closed(const struct node *node);
void node_parts_close_dir(struct node *node);
bool node_parts_dir_closed(const struct node *node);
/* All closed: gives everything back. */
void node_parts_deinit(struct node *node);

#endif

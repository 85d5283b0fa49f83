/* Simulated machines driven from a test: no program runs on them, the test submits between runs. */
#ifndef TESTS_SUPPORT_RIG_H
#define TESTS_SUPPORT_RIG_H

#include "tests/support/support.h"

#include "sim/fault.h"

enum { RIG_NODES_MAX = 4, RIG_PORT = 9092 };

struct rig {
    struct sim *sim;
    struct sim_world *node[RIG_NODES_MAX];
    uint32_t count;
};

/* A connection with both ends. */
struct rig_pair {
    uint32_t at[2]; /* node of each end: 0 connects, 1 accepts */
    struct net_listener listener;
    struct net_conn end[2];
};

void rig_init(struct rig *rig, uint64_t seed, uint32_t nodes);
void rig_init_with(struct rig *rig, const struct sim_config *config,
                   const struct sim_node_config *node, uint32_t nodes);
void rig_deinit(struct rig *rig);
struct world *rig_world(struct rig *rig, uint32_t node);

void rig_req(struct world_req *req); /* initialises it with a completion that does nothing */
/* Runs until it is told and returns its result; fails the test after an hour of virtual time. */
enum err rig_wait(struct rig *rig, struct world_req *req);
/* Runs for so long; true: it was told meanwhile. */
bool rig_wait_ms(struct rig *rig, struct world_req *req, int64_t ms);
void rig_run_ms(struct rig *rig, int64_t ms);

enum err rig_connect(struct rig *rig, struct rig_pair *pair, uint32_t from, uint32_t to);
void rig_open_pair(struct rig *rig, struct rig_pair *pair, uint32_t from, uint32_t to);
enum err rig_send(struct rig *rig, struct rig_pair *pair, uint32_t side, const void *data,
                  uint32_t length);
/* Waits for exactly so many bytes. */
enum err rig_recv(struct rig *rig, struct rig_pair *pair, uint32_t side, void *into,
                  uint32_t length);
void rig_close(struct rig *rig, struct rig_pair *pair, uint32_t side);

enum err rig_open(struct rig *rig, uint32_t node, const char *path, uint32_t flags,
                  struct disk_file *file);
enum err rig_write(struct rig *rig, uint32_t node, struct disk_file file, uint64_t offset,
                   const void *data, uint32_t length);
enum err rig_read(struct rig *rig, uint32_t node, struct disk_file file, uint64_t offset,
                  void *into, uint32_t length, uint64_t *done);
/* SYNC, CLOSE, TRUNCATE, PREALLOCATE of a file; SYNC_DIR, UNLINK, MKDIR, RMDIR of a path. */
enum err rig_file(struct rig *rig, uint32_t node, enum disk_op op, struct disk_file file,
                  uint64_t length);
enum err rig_path(struct rig *rig, uint32_t node, enum disk_op op, const char *path,
                  const char *path_to);
/* A file with these bytes, closed; both it and its name are synced when asked for. */
void rig_put(struct rig *rig, uint32_t node, const char *path, const void *data, uint32_t length,
             bool sync, bool sync_name);
/* The visible content equals this text. */
bool rig_holds(struct rig *rig, uint32_t node, const char *path, const char *text);
bool rig_exists(struct rig *rig, uint32_t node, const char *path);

#endif

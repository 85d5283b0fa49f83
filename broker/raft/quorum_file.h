/* The two small files beside the metadata log that must not lie:
 *
 *   quorum-state       {"leaderId":1,"leaderEpoch":4,"votedId":1,"votedDirectoryId":"...","data_version":1}
 *                      Kafka's file (kraft.md 3): versions 0 and 1 are read, 1 is written. Replaced
 *                      as a whole: .tmp, sync, rename, sync of the directory (K28).
 *   acknowledged-end   ours (K27, F43): the highest log end ever acknowledged. Two slots of 32 bytes,
 *                      at 0 and 4096, written in turn and synced: a torn write leaves the other.
 *                        0 magic "GACK"  4 version int32  8 sequence int64  16 end int64
 *                        24 epoch int32  28 crc32c of the 28 bytes before
 *                      Made once, by .tmp and rename, with both slots valid. */
#ifndef BROKER_RAFT_QUORUM_FILE_H
#define BROKER_RAFT_QUORUM_FILE_H

#include "broker/raft/raft.h"
#include "client/world/env.h"

enum { QUORUM_FILE_MAX = 4096, QUORUM_HINT_SIZE = 8192, QUORUM_HINT_SLOT = 32 };

/* Text of quorum-state; the length. size >= QUORUM_FILE_MAX. */
size_t quorum_file_print(const struct raft_durable *durable, char *text, size_t size);
/* MALFORMED when it is not such a file. */
MUST_USE enum err quorum_file_parse(struct str text, struct raft_durable *durable);

/* Both slots from bytes of the file: the newest valid one. DAMAGED: none is. */
MUST_USE enum err quorum_hint_parse(const uint8_t *bytes, size_t length, bool sse42,
                                    int64_t *sequence, int64_t *end);
void quorum_hint_print(uint8_t slot[QUORUM_HINT_SLOT], int64_t sequence, int64_t end,
                       int32_t epoch, bool sse42);

/* ---- the files in the world: one flow at a time each, awaited on `done_source` --------------- */

struct quorum_file {
    struct env *env;
    struct op op;
    struct disk_req req;
    struct op_source req_source;
    struct op_source done_source;
    bool busy;
    enum err err;
    char *path;
    char *path_tmp;
    char *dir;
    size_t path_size;
    char *text;
    struct bytes slice;
    size_t length;
    struct raft_durable durable;
};

struct quorum_hint {
    struct env *env;
    struct op op;
    struct disk_req req;
    struct op_source req_source;
    struct op_source done_source;
    bool busy;
    bool open;
    enum err err;
    char *path;
    char *path_tmp;
    char *dir;
    size_t path_size;
    uint8_t *bytes;
    struct bytes slice;
    struct disk_file file;
    int64_t sequence;
    int64_t end; /* durable */
    int64_t next_end;
};

MUST_USE enum err quorum_file_init(struct quorum_file *file, struct env *env, struct str dir);
void quorum_file_deinit(struct quorum_file *file);
/* `durable` as read, or epoch 0 with nobody when there is no file; err DAMAGED: unreadable. */
void quorum_file_load(struct quorum_file *file);
void quorum_file_store(struct quorum_file *file, const struct raft_durable *durable);

MUST_USE enum err quorum_hint_init(struct quorum_hint *hint, struct env *env, struct str dir);
void quorum_hint_deinit(struct quorum_hint *hint);
/* Reads it, or makes it with end 0; stays open. */
void quorum_hint_load(struct quorum_hint *hint);
void quorum_hint_store(struct quorum_hint *hint, int64_t end);
void quorum_hint_close(struct quorum_hint *hint);

#endif

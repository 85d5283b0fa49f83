/* The two small files beside the metadata log that must not lie:
 *
 *   quorum-state
 * {"leaderId":1,"leaderEpoch":4,"votedId":1,"votedDirectoryId":"...","data_version":1}
 *                      Kafka's file (kraft.md 3): versions 0 and 1 are read, 1 is written.
 * Replaced as
 *                      a whole: .tmp, sync, rename, sync of the directory (K28).
 *   acknowledged-end   ours (K27, F43): the highest log end ever acknowledged. Two slots, at 0 and
 *                      4096, written in turn and synced: a torn write leaves the other one.
 *                        0 magic "GACK"  4 version int32  8 sequence int64  16 end int64
 *                        24 crc32c of the 24 bytes before
 *                      Made once, as a whole, so that both slots torn means rot.
 *
 * struct quorum_file is either of them: bytes in memory, and a flow that loads, replaces or
 * patches. */
#ifndef BROKER_RAFT_QUORUM_FILE_H
#define BROKER_RAFT_QUORUM_FILE_H

#include "broker/raft/raft.h"
#include "client/world/env.h"

enum {
    QUORUM_STATE_MAX = 4096, /* bytes of quorum-state */
    QUORUM_HINT_SLOT = 28,
    QUORUM_HINT_AT = 4096, /* of the second slot */
    QUORUM_HINT_SIZE = QUORUM_HINT_AT + QUORUM_HINT_SLOT,
    QUORUM_FILE_MAX = 8192,
    QUORUM_PATH_MAX = 1000,
};

/* Text of quorum-state into `text` of QUORUM_STATE_MAX bytes; its length. */
uint32_t quorum_file_print(const struct raft_durable *durable, char *text);
/* MALFORMED when it is no quorum-state of version 0 or 1; *durable then untouched. */
MUST_USE enum err quorum_file_parse(struct str text, struct raft_durable *durable);

struct quorum_hint {
    int64_t sequence;
    int64_t end;
};
/* The newest valid slot. DAMAGED: none is. */
MUST_USE enum err quorum_file_parse_hint(struct bytes bytes, struct cpu cpu,
                                         struct quorum_hint *hint);
/* Writes the slot that hint->sequence belongs to into the file's bytes; where it stands. */
uint32_t quorum_file_print_hint(uint8_t bytes[QUORUM_HINT_SIZE], struct cpu cpu,
                                const struct quorum_hint *hint);

/* One flow at a time; AWAIT(done_source, !busy), then err. */
struct quorum_file {
    struct env *env;
    struct op op;
    struct op_source done_source;
    struct op_source *owner; /* woken at the end, too; NULL: none */
    bool busy;
    enum err err;
    uint8_t *bytes; /* QUORUM_FILE_MAX */
    uint32_t length;
    /* private */
    struct disk_req req;
    struct op_source req_source;
    struct disk_file open; /* kept by patches */
    struct bytes slice;
    uint32_t patch_at;
    uint32_t patch_length;
    char dir[QUORUM_PATH_MAX];
    char path[QUORUM_PATH_MAX];
    char path_tmp[QUORUM_PATH_MAX];
};

/* TOO_LARGE: the path; NO_MEMORY. */
MUST_USE enum err quorum_file_init(struct quorum_file *file, struct env *env, struct str dir,
                                   const char *name);
void quorum_file_deinit(struct quorum_file *file); /* closed, not busy */
/* The whole file into bytes and length. NOT_FOUND, TOO_LARGE, or what the disk says. */
void quorum_file_load(struct quorum_file *file);
/* bytes[0, length) becomes the file, durably, old or new in whole after a crash. */
void quorum_file_replace(struct quorum_file *file);
/* bytes[at, at + length) is written in place and synced. */
void quorum_file_patch(struct quorum_file *file, uint32_t at, uint32_t length);
void quorum_file_close(struct quorum_file *file);

#endif

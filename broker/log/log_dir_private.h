/* Shared by the files log_dir*.c. */
#ifndef BROKER_LOG_LOG_DIR_PRIVATE_H
#define BROKER_LOG_LOG_DIR_PRIVATE_H

#include "broker/log/log_private.h"
#include "broker/log/log_text.h"

enum log_checkpoint {
    LOG_CHECKPOINT_RECOVERY,
    LOG_CHECKPOINT_START,
    LOG_CHECKPOINT_HW,
    LOG_CHECKPOINT_CLEANER,
    LOG_CHECKPOINT_CLEAN, /* ours: what the clean marker vouches for */
};

struct log_dir_flow {
    struct op op;
    struct log_dir *dir;
    struct log_io io;
    struct log_save save;
    struct log_load load;
    struct op_source source; /* of the keeper: told to stop or to hurry */
    char path[LOG_PATH_MAX];
    char path_to[LOG_PATH_MAX];
    uint8_t *bytes;
    size_t bytes_size;
    size_t bytes_used;
    uint8_t *list;
    uint64_t list_size;
    uint64_t list_used;
    uint64_t list_at;
    uint8_t *inner; /* listing of a directory that is being removed */
    uint64_t inner_size;
    uint64_t inner_used;
    uint64_t inner_at;
    enum log_checkpoint kind;
    int64_t checkpoint_ns; /* when the keeper writes the next ones */
    uint32_t state_crc;
    int64_t running_epoch; /* of the running file, if it is of this boot; -1 */
    int64_t marker_epoch;  /* of the clean marker; -1 */
    int64_t vouching;      /* being written by the keeper */
    bool marker;
    bool stop;
    bool keeps; /* a directory that is formatted for this node */
    struct log_dir_meta meta;
    enum err err;
    uint64_t forgotten; /* keeper: what the checkpoints that are being written leave out */
};

/* File names by enum log_checkpoint. */
extern const char *const log_dir_checkpoint_names[];
/* Why, for people; the detail may be empty. */
void log_dir_message(struct log_dir *dir, enum err err, const char *what, const char *detail);
const char *log_dir_why(enum err err);
/* Of the meta.properties that was loaded; false: dir->message says why it is not ours. */
bool log_dir_check_meta(struct log_dir_flow *o);
struct log_dir_flow *log_dir_flow_take(struct log_dir *dir);
void log_dir_flow_free(struct log_dir_flow *flow);
void log_dir_flow_finish(struct op *op);
bool log_dir_flow_room(struct log_dir_flow *o, size_t size);
struct bytes log_dir_flow_bytes(const struct log_dir_flow *o);
void log_dir_keep_start(struct log_dir *dir); /* the keeper; the directory is online */

/* `.gregor_running`: {"version":0,"brokerEpoch":N,"boot":"22 characters"}. */
extern const char log_dir_running_name[];
void log_dir_running_save(struct log_dir_flow *o, int64_t broker_epoch);

void log_dir_set_state(struct log_dir *dir, enum log_dir_state state);
/* Replaces *bytes by the text; false without memory. */
MUST_USE bool log_dir_print(struct log_dir *dir, enum log_checkpoint kind, uint8_t **bytes,
                            size_t *room, size_t *used);
MUST_USE enum err log_dir_parse(struct log_dir *dir, enum log_checkpoint kind, struct str text);

#endif

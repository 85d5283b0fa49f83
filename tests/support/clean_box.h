/* A log_box whose log is compacted, and a naive model of it: what was appended under which key, and
 * so what a reader of the whole log may and must find (storage.md S24, S25, S27). */
#ifndef TESTS_SUPPORT_CLEAN_BOX_H
#define TESTS_SUPPORT_CLEAN_BOX_H

#include "tests/support/log_box.h"

#include "broker/log/log_clean_private.h"
#include "client/wire/record_builder.h"

enum { CLEAN_BOX_OFFSETS = 4096, CLEAN_BOX_SEGMENT = 1500 };

/* What was appended at an offset. */
struct said {
    uint32_t key;
    uint32_t value; /* 0: a tombstone */
    uint32_t padding;
};

struct clean_box {
    struct log_box box;
    struct said said[CLEAN_BOX_OFFSETS];
    int64_t said_end;
    uint32_t serial;
    int32_t epoch; /* of the next append */
    struct log_clean cleaning;
    int64_t touched; /* no round ever went beyond */
    /* what the last reader got, by offset: UINT32_MAX nothing, else the value */
    struct log_read reading;
    uint32_t got[CLEAN_BOX_OFFSETS];
    uint32_t batches_seen, batches_empty;
    uint32_t batches_of_77;
    struct support_memory copied_memory;
    struct log_epochs copied; /* what who copies the log knows of epochs */
};

void clean_box_begin(struct clean_box *c, uint64_t seed);
/* An orderly stop, and the box is gone. */
void clean_box_over(struct clean_box *c);

/* What a record_builder needs for records of nobody. */
struct record_builder_config clean_box_plain(struct clean_box *c);
/* One batch of records with the keys given; those with a minus sign are tombstones. */
void clean_box_put_with(struct clean_box *c, struct record_builder_config config,
                        const int32_t *keys, uint32_t count, uint32_t padding);
void clean_box_put(struct clean_box *c, int32_t key);

/* Everything is synced and committed; then one round. False: the box ran out of events. */
bool clean_box_clean(struct clean_box *c, uint64_t map_bytes);

void clean_box_read_all(struct clean_box *c);
/* Reads all, and compares with the model. `sure`: tombstones are all young. */
void clean_box_check(struct clean_box *c, bool sure);
/* Of the last reading: offsets at which there was a record. */
uint32_t clean_box_count_got(struct clean_box *c);
/* No name is in the directory that a swap leaves behind only when it is cut short. */
void clean_box_no_left_overs(struct clean_box *c);

/* For log_box_wait(). */
bool clean_box_cleaned(struct log_box *box);
bool clean_box_read_done(struct log_box *box);

#endif

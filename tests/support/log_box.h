/* One simulated machine with a log directory on it, driven from a test: the test calls the log
 * between turns and lets the world run until something holds. A model of every batch ever
 * appended tells what a log may hold afterwards. */
#ifndef TESTS_SUPPORT_LOG_BOX_H
#define TESTS_SUPPORT_LOG_BOX_H

#include "tests/support/support.h"

#include "broker/log/log.h"
#include "sim/fault.h"

enum { LOG_BOX_BATCHES = 4096 };

/* What stands, or once stood, at an offset. */
struct log_box_batch {
    int64_t base_offset;
    int64_t last_offset;
    uint32_t crc;
    int32_t epoch;
};

struct log_box {
    struct sim *sim;
    struct sim_world *node;
    struct sim_program program;
    struct sim_observer observer;
    struct env env;
    struct log_cache cache;
    struct log_dir dir;
    struct log *log;
    struct log_config config;
    bool booted;
    bool down;
    size_t cache_bytes;
    uint32_t recovery_bytes; /* between two marks */
    uint64_t events_left;    /* 0: no limit; the run stops dead when they are used up */
    bool spent;
    uint32_t serial; /* makes every batch another one */
    /* the model: batches completed, in order, as LOG_APPENDED and LOG_TRUNCATED told */
    struct log_box_batch batches[LOG_BOX_BATCHES];
    uint32_t count;
    int64_t synced_end; /* as LOG_SYNCED told: survives anything */
    uint64_t traced[TRACE_KIND_COUNT];
};

void log_box_init(struct log_box *box, uint64_t seed);
void log_box_deinit(struct log_box *box); /* the machine may be up or down */
/* Boots; the directory is formatted the first time and opened. Returns its error. */
enum err log_box_start(struct log_box *box);
/* Opens "orders-0" (made when it is not there). Returns log->err. */
enum err log_box_open(struct log_box *box);
/* Both of these, without an error (asserted). */
void log_box_up(struct log_box *box);
/* Orderly: log, directory, node. Everything went back (asserted). */
void log_box_stop(struct log_box *box);
/* An orderly stop, and the box is gone. */
void log_box_over(struct log_box *box);
void log_box_kill(struct log_box *box, bool power);
/* Ends the turn for what the test did and runs until `done` holds. False: the events are spent. */
bool log_box_wait(struct log_box *box, bool (*done)(struct log_box *box));
void log_box_run_ms(struct log_box *box, int64_t ms);

/* A batch of `records` records with `padding` bytes each. */
struct buf *log_box_batch(struct log_box *box, uint32_t records, uint32_t padding,
                          int64_t timestamp, struct bytes *bytes);
/* With a producer id. */
struct buf *log_box_produce_batch(struct log_box *box, int64_t producer_id, int16_t epoch,
                                  int32_t sequence, uint32_t records, struct bytes *bytes);
/* Stages one; not awaited. */
enum err log_box_append(struct log_box *box, int32_t epoch, uint32_t records, uint32_t padding,
                        struct log_append *append);
bool log_box_await(struct log_box *box, struct log_append *append); /* until it is not pending */
bool log_box_sync(struct log_box *box);
bool log_box_truncate(struct log_box *box, int64_t to);
/* Reads everything from log_start to log_end and compares with the model: batch by batch the same,
 * offsets without a hole. */
void log_box_check(struct log_box *box, uint32_t max_bytes);

#endif

/* The transactions of a trace: what each producer began and decided, which partitions it wrote to,
 * where its markers are; and per partition how far readers of committed records may read (the last
 * stable offset, KIP-98). Filled in the same pass as the story, bounded; what was beyond the limits
 * is counted in `dropped`.
 *
 * Every replica tells what is in its log (LOG_TXN). Leader epoch and offset never go back in one
 * log, so what does not go forward was told before, or is of a leader whose time is over. A new
 * leader (REPLICA_LEADING) takes back what was above its log.
 *
 *   LSO = the smaller of HW and the first offset of any transaction here that has no marker below
 *         the HW; it is followed at the partition's leader */
#ifndef REPORTS_TXNS_H
#define REPORTS_TXNS_H

#include "client/world/trace.h"
#include "reports/out.h"

enum {
    TXNS_MAX = 1 << 17,
    TXNS_PARTS_MAX = 256, /* partitions that had one */
    TXNS_PARTS = 8,       /* of one transaction */
    TXNS_PRODUCERS_MAX = 1024,
    TXNS_SAMPLES_MAX = 1 << 20,
    TXNS_PENDING = 64, /* unstable at one time in one partition */
    TXNS_TOPICS = 128,
};

enum txns_result { TXNS_OPEN, TXNS_COMMITTED, TXNS_ABORTED };

struct txns_in {
    int64_t begin_ns;
    int64_t first; /* offset */
    int64_t marker_ns;
    int64_t marker; /* offset, -1 */
    uint16_t part;
    uint8_t result; /* of the marker */
    bool lost;      /* by a leader that was replaced */
};

struct txns_one {
    int64_t begin_ns;
    int64_t decided_ns; /* -1 */
    uint64_t number;    /* of the event that began it */
    int64_t epoch;      /* of its records */
    int32_t before;     /* the producer's previous one, -1 */
    uint16_t producer;
    uint8_t decision;
    uint8_t part_count;
    uint16_t parts_hidden;
    struct txns_in parts[TXNS_PARTS];
};

struct txns_producer {
    int64_t id;
    int32_t latest; /* -1 */
    int16_t node;   /* index of its client, -1 unknown */
};

struct txns_part {
    int64_t topic;
    int64_t hw_epoch;
    int64_t top_epoch; /* leader epoch and offset up to which its log was told */
    int64_t top;
    int32_t partition;
    uint32_t pending[TXNS_PENDING]; /* transactions that are not stable, some that are */
    uint32_t pending_count;
};

/* The leader's high watermark moved, or (read) a reader that is no follower was answered. */
struct txns_sample {
    int64_t time_ns;
    int64_t hw;
    int64_t lso; /* of a read: the end of what it got */
    uint16_t part;
    bool read;
};

struct txns {
    struct txns_one *all; /* owned */
    uint32_t count;
    struct txns_producer *producers; /* owned */
    uint32_t producer_count;
    struct txns_part *parts; /* owned */
    uint32_t part_count;
    struct txns_sample *samples; /* owned */
    uint32_t sample_count;
    uint64_t dropped;
    /* private */
    uint32_t room;
    uint32_t producer_room;
    uint32_t part_room;
    uint32_t sample_room;
    uint32_t topic_count;
    struct {
        int64_t topic;
        char name[64];
    } topics[TXNS_TOPICS];
};

/* Any event, in order; the node is an index of the story, -1. */
void txns_take(struct txns *txns, const struct trace_event *event, int16_t node, int64_t now_ns,
               uint64_t number);
void txns_free(struct txns *txns);

/* How it stands at the end of the trace. */
enum txns_result txns_result(const struct txns_one *one);
/* When the last marker was there; of an open one `trace_end_ns`. */
int64_t txns_end(const struct txns_one *one, int64_t trace_end_ns);
/* "committed", "aborted", "open" */
const char *txns_word(enum txns_result result);
/* Of a topic by its number; without a name "topic" and the number. */
void txns_topic_name(const struct txns *txns, int64_t topic, char *text, size_t size);
/* "orders-0" */
void txns_part_name(const struct txns *txns, uint32_t part, char *text, size_t size);
/* The open ones, then those that lasted longest, at most `max` that touch the window; by their
 * beginning. Returns how many. */
uint32_t txns_longest(const struct txns *txns, int64_t from_ns, int64_t to_ns, uint32_t *chosen,
                      uint32_t max);

#endif

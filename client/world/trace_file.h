/* The trace file: what a simulated cluster or a real broker told, compact, readable without the
 * program that wrote it. Pure functions over memory; who writes files is somebody else.
 *
 *   file    "gregortr" | version u32 | kinds u32 | per kind: name, fields (uvarint length + text)
 *           block ...
 *   block   "blck" u32 | payload bytes u32 | events u32 | time of the first event u64
 *           event ...
 *   event   head uvarint: kind * 4 + 2 (same time and node as the event before) + 1 (it has text)
 *           unless the same: time since the event before, uvarint; node, zig-zag difference
 *           fields, zig-zag, as the difference to the last event of its kind in this block; of kinds
 *           with TRACE_FILE_MASKED fields or more only those that differ, behind a byte with a bit
 *           for each, the first the lowest
 *           text
 *   text    uvarint: even: length * 2 and the bytes; odd: number * 2 + 1 of a text that stands
 *           earlier in this block. Texts with bytes are numbered from 0 as they come, up to
 *           TRACE_FILE_TEXTS of them
 *
 * Version 1, which is still read: kind, time and node (not a difference) always, all fields, text as
 * length + 1 and the bytes, 0 for none.
 *
 * Blocks are independent of each other, so the last n of them are a ring, and a file cut anywhere
 * reads up to the cut. Kinds are named in the head: a reader maps them by name, fields by position,
 * so a newer program reads an older file; kinds it does not know are skipped and counted. */
#ifndef CLIENT_WORLD_TRACE_FILE_H
#define CLIENT_WORLD_TRACE_FILE_H

#include "client/base/err.h"
#include "client/world/trace.h"

enum {
    TRACE_FILE_HEAD_MAX = 16 * 1024,
    TRACE_FILE_BLOCK_HEAD = 20,
    TRACE_FILE_EVENT_MAX = 1024, /* text longer than what fits is cut */
    TRACE_FILE_KINDS_MAX = 512,
    TRACE_FILE_MASKED = 4,
    TRACE_FILE_TEXTS = 255, /* of one block that may be named again */
    TRACE_FILE_SLOTS = 512,
};

/* The head, into a buffer of TRACE_FILE_HEAD_MAX; returns its length. */
uint32_t trace_file_head(uint8_t *buffer);

/* Writes one block. */
struct trace_file_block {
    uint8_t *buffer; /* borrowed */
    uint32_t capacity;
    uint32_t used; /* head included, once begun */
    uint32_t events;
    /* private */
    int64_t last_ns;
    int32_t last_node;
    uint8_t fields[TRACE_KIND_COUNT];
    int64_t last[TRACE_KIND_COUNT][TRACE_FIELDS_MAX];
    struct str texts[TRACE_FILE_TEXTS]; /* in buffer */
    uint32_t text_count;
    uint8_t slots[TRACE_FILE_SLOTS]; /* by hash: number + 1 of a text; the newest wins */
};
/* capacity >= TRACE_FILE_BLOCK_HEAD + TRACE_FILE_EVENT_MAX. */
void trace_file_begin(struct trace_file_block *block, uint8_t *buffer, uint32_t capacity);
/* False: the block is full; finish it and begin another. Times do not decrease within a block. */
bool trace_file_append(struct trace_file_block *block, int64_t time_ns, int32_t node,
                       const struct trace_event *event);
/* Completes the head; the block's bytes are buffer[0 .. returned). */
uint32_t trace_file_end(struct trace_file_block *block);

/* Reads a whole file in memory. */
struct trace_file_reader {
    int64_t time_ns; /* of the last event */
    int32_t node;
    uint64_t events;  /* read */
    uint64_t unknown; /* skipped: kinds this program does not know */
    enum err err;     /* MALFORMED where the bytes make no sense; NONE at an orderly end */
    bool cut;         /* the file ends inside a block */
    /* private */
    const uint8_t *at;
    const uint8_t *end;
    const uint8_t *block_end;
    uint32_t block_left;
    uint32_t kind_count;
    int16_t kinds[TRACE_FILE_KINDS_MAX]; /* number in the file -> enum trace_kind, -1 unknown */
    uint8_t fields[TRACE_FILE_KINDS_MAX];
    int64_t last[TRACE_FILE_KINDS_MAX][TRACE_FIELDS_MAX];
    uint32_t version;
    struct str texts[TRACE_FILE_TEXTS]; /* of the block, in the data */
    uint32_t text_count;
};
/* ERR_MALFORMED: no trace file; ERR_UNSUPPORTED: a newer version. `data` is borrowed. */
MUST_USE enum err trace_file_open(struct trace_file_reader *reader, struct bytes data);
/* The next event; its text is a view into the data. False at the end: see err and cut. */
bool trace_file_next(struct trace_file_reader *reader, struct trace_event *event);

#endif

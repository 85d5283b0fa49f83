/* Files of metadata snapshots (KIP-630, kraft.md 8): the name, and what stands inside.
 *
 *   OOOOOOOOOOOOOOOOOOOO-EEEEEEEEEE.checkpoint         end offset (exclusive), epoch before it
 *                                  .checkpoint.part    being written or fetched: means nothing
 *
 *   control batch  SnapshotHeader {version, last contained log timestamp}
 *   control batch  KRaftVersion, Voters: with kraft.version 1 (KIP-853)
 *   data batches   one record value each time: what the metadata means is not known here
 *   control batch  SnapshotFooter {version}
 *
 * Offsets count from 0, the leader epoch of all batches is the snapshot's, all timestamps are the
 * last contained one. So the same state at the same offset makes the same bytes on every node, and
 * a download may be checked as a whole: framing, offsets without a gap, every CRC, header first,
 * footer last.
 *
 * Pure: bytes in memory, no file. */
#ifndef BROKER_RAFT_QUORUM_SNAPSHOT_H
#define BROKER_RAFT_QUORUM_SNAPSHOT_H

#include "client/base/list.h"
#include "client/base/mem.h"
#include "client/wire/record.h"
#include "client/wire/record_builder.h"

enum {
    QUORUM_SNAPSHOT_NAME = 64,
    QUORUM_SNAPSHOT_BATCH = 64 << 10, /* bytes of one batch; a bigger record has its own */
    QUORUM_SNAPSHOT_BATCH_MAX = 16 << 20,
    QUORUM_SNAPSHOT_MAX = 512 << 20, /* bytes of one snapshot, all held while it is written */
};

struct quorum_snapshot_id {
    int64_t end;
    int32_t epoch;
};

/* "...checkpoint" followed by `suffix` (""), terminated. */
void quorum_snapshot_name(char name[QUORUM_SNAPSHOT_NAME], struct quorum_snapshot_id id,
                          const char *suffix);
/* False: no name of a snapshot. *suffix: what follows ".checkpoint". */
bool quorum_snapshot_parse_name(struct str name, struct quorum_snapshot_id *id, struct str *suffix);

/* ---- writer ---------------------------------------------------------------------------------- */

struct quorum_snapshot_chunk {
    struct list link;
    uint32_t capacity;
    uint32_t used; /* a whole batch, once closed */
    uint8_t data[];
};

struct quorum_snapshot_writer {
    struct mem *mem;
    struct cpu cpu;
    struct quorum_snapshot_id id;
    int64_t timestamp;
    struct list chunks; /* in order */
    uint64_t bytes;     /* of the closed ones */
    uint32_t crc;       /* of all of them, one after the other */
    uint64_t records;
    int64_t next_offset;
    struct quorum_snapshot_chunk *open; /* under construction; NULL none */
    struct record_builder builder;
};

/* Begins with the header. NO_MEMORY; after any error only free() is left to do. */
MUST_USE enum err quorum_snapshot_writer_init(struct quorum_snapshot_writer *writer,
                                              struct mem *mem, struct cpu cpu,
                                              struct quorum_snapshot_id id, int64_t timestamp);
/* Directly after the init: who votes. NO_MEMORY. */
MUST_USE enum err quorum_snapshot_writer_voters(struct quorum_snapshot_writer *writer,
                                                struct bytes kraft_version, struct bytes voters);
/* NO_MEMORY, TOO_LARGE. */
MUST_USE enum err quorum_snapshot_writer_add(struct quorum_snapshot_writer *writer,
                                             struct bytes value);
/* Closes with the footer: chunks, bytes and crc are then those of the file. */
MUST_USE enum err quorum_snapshot_writer_finish(struct quorum_snapshot_writer *writer);
/* Harmless when zeroed or freed. */
void quorum_snapshot_writer_free(struct quorum_snapshot_writer *writer);

/* ---- reader ---------------------------------------------------------------------------------- */

/* Takes the file batch by batch. */
struct quorum_snapshot_reader {
    struct cpu cpu;
    int64_t next_offset;
    int64_t timestamp; /* of the header */
    uint32_t crc;
    bool began; /* the header was there */
    bool ended; /* the footer was */
};

struct quorum_snapshot_sink {
    /* A control record between header and footer; may be NULL. */
    enum err (*control)(struct quorum_snapshot_sink *sink, enum control_type type,
                        struct bytes value);
    /* One record value, in order; an error of it ends the reading and is passed on. */
    enum err (*put)(struct quorum_snapshot_sink *sink, struct bytes value);
};

void quorum_snapshot_reader_init(struct quorum_snapshot_reader *reader, struct cpu cpu);
/* The whole batches at the start of `bytes`; how many bytes they are. DAMAGED: no batch of a
 * snapshot stands here. 0 bytes and NONE: more is needed. */
MUST_USE enum err quorum_snapshot_read(struct quorum_snapshot_reader *reader, struct bytes bytes,
                                       struct quorum_snapshot_sink *sink, uint32_t *used);
/* After the last byte: header and footer were there. */
static inline bool quorum_snapshot_complete(const struct quorum_snapshot_reader *reader)
{
    return reader->began && reader->ended;
}

#endif

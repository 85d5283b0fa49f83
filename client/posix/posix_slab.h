/* Memory behind received loans: a stated number of chunks, each shared by many small receives. The
 * current chunk is filled from its start to its end; when nothing of it is lent it starts again, so
 * that a node which gives back quickly touches the same pages over and over. A loan that is kept
 * keeps its whole chunk. All chunks lent: no receive is executed until one comes back. */
#ifndef CLIENT_POSIX_POSIX_SLAB_H
#define CLIENT_POSIX_POSIX_SLAB_H

#include "client/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { POSIX_CHUNK_BYTES = 256 * 1024, POSIX_CHUNK_ROOM_MIN = 4096 };

struct posix_chunk {
    uint32_t used;
    uint32_t loans; /* outstanding */
    bool current;
    struct posix_chunk *next_free;
};

struct posix_slab {
    uint8_t *memory; /* mapped; pages come at first touch */
    struct posix_chunk *chunks;
    uint32_t chunks_count;
    struct posix_chunk *free;
    struct posix_chunk *current; /* may be NULL */
    uint64_t loans;              /* outstanding, over all chunks */
};

MUST_USE enum err posix_slab_init(struct posix_slab *slab, uint32_t chunks);
void posix_slab_deinit(struct posix_slab *slab);
/* Where the next receive may put its bytes; NULL when everything is lent. */
uint8_t *posix_slab_room(struct posix_slab *slab, size_t *room);
/* `length` bytes at the room just given are lent: the chunk to name in the loan. */
struct posix_chunk *posix_slab_lend(struct posix_slab *slab, uint32_t length);
void posix_slab_release(struct posix_slab *slab, struct posix_chunk *chunk);

#endif

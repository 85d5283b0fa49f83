/* The loader: committed batches of the metadata log -> this node's image -> its publishers.
 *
 * The quorum tells every committed record once, in order of offsets, and the end of each batch
 * (control batches too). What was applied since the last publishing makes one delta. Publishers run
 * in the order in which they were added, which is part of the design: cache first, then replicas
 * (delete, lead, follow), then coordinators (kraft.md 12).
 *
 * Publishers are first called when the log was applied up to the high watermark known at that time
 * (loader_caught_up()); what came before is one delta, "everything is new".
 *
 * Snapshots. One is loaded into an image beside, which then takes the place of the present one as a
 * whole: publishers see what differs, and nobody ever sees half of a snapshot. One is written from
 * the present image in slices; while loader_snapshot_open() .. _close() nothing may be applied.
 *
 * Metadata transactions (KIP-868): from its BeginTransaction on records are held back, the image
 * stays where it was before, EndTransaction applies them all, AbortTransaction drops them. A
 * snapshot is not written meanwhile. A leader that finds one open aborts it (controller.c).
 *
 * A record that cannot be applied stops the loader for good: `failed`. The node must stop: its
 * image is no longer what the log says. */
#ifndef BROKER_CONTROLLER_LOADER_H
#define BROKER_CONTROLLER_LOADER_H

#include "broker/controller/image.h"
#include "client/base/op.h"
#include "client/world/world.h"

/* Embedded by whoever wants to know. The image carries its own delta (image.h); both are borrowed
 * for the call. A publisher may not fail: it records its trouble itself. */
struct loader_publisher {
    void (*publish)(struct loader_publisher *publisher, const struct image *image);
    struct list link; /* private */
};

struct loader {
    struct image image;              /* the committed one, of this node */
    struct op_source applied_source; /* keyed by offset: image.last_offset moved past it */
    enum err failed;                 /* NONE, or why it stopped */
    /* private */
    int16_t metadata_version_max;
    struct world *world;
    struct arena arena;
    struct list publishers;
    bool publishing; /* caught up once */
    bool loading;    /* a snapshot, into `staging` */
    struct image staging;
    int64_t staging_end;
    int32_t staging_epoch;
    struct image_cursor *cursor; /* of the snapshot being written; NULL none */
    int64_t transaction;         /* offset of its BeginTransaction; -1 none is open */
    int64_t told_end;            /* of the batches told */
    int64_t published;           /* last offset that was */
    struct list held;            /* struct loader_held */
    size_t held_bytes;
    uint32_t foreign; /* kinds that were said to be ignored, bits */
};

enum { LOADER_HELD_MAX = 64 << 20 }; /* bytes of one metadata transaction */

struct loader_config {
    struct image_limits limits;
    int16_t metadata_version_max; /* of this build; a record of a newer one: UNSUPPORTED. 0: any */
    uint64_t hash_seed;
};

void loader_init(struct loader *loader, struct world *world, struct mem *mem,
                 const struct loader_config *config);
void loader_deinit(struct loader *loader);
/* In the order of calls, before the first batch. */
void loader_add(struct loader *loader, struct loader_publisher *publisher);

/* One committed record; its offset is above image.last_offset. Errors as records_decode() and
 * image_apply(); the loader has failed then, and refuses everything later with the same error. */
MUST_USE enum err loader_record(struct loader *loader, int64_t offset, int32_t epoch,
                                struct bytes value);
/* Everything below `end` was told. `caught_up`: `end` is the high watermark as known now, so that
 * this may be published (the first time only then; later every batch is). Traces META_APPLIED. */
void loader_batch(struct loader *loader, int64_t end, int32_t epoch, bool caught_up);
/* A snapshot is about to be told: its records, then _loaded(), or _dropped() when it is no good.
 * Errors of a record end nothing but this snapshot. */
void loader_snapshot_begin(struct loader *loader, int64_t end, int32_t epoch);
MUST_USE enum err loader_snapshot_record(struct loader *loader, struct bytes value);
/* Takes the place of the image, which then ends at `end`. An error is for good, as in
 * loader_record(). */
MUST_USE enum err loader_snapshot_loaded(struct loader *loader, bool caught_up);
void loader_snapshot_dropped(struct loader *loader);

/* The present image as record values, one at a time; EOF after the last. A value is good until the
 * next call. NO_MEMORY; BAD_STATE in a transaction; `failed`. */
MUST_USE enum err loader_snapshot_open(struct loader *loader);
MUST_USE enum err loader_snapshot_next(struct loader *loader, struct bytes *value);
void loader_snapshot_close(struct loader *loader);

static inline bool loader_in_transaction(const struct loader *loader)
{
    return loader->transaction >= 0;
}
/* Everything below was told: applied, or held back. */
static inline int64_t loader_end(const struct loader *loader)
{
    int64_t applied = loader->image.last_offset + 1;

    return loader_in_transaction(loader) && loader->told_end > applied ? loader->told_end : applied;
}

static inline bool loader_caught_up(const struct loader *loader)
{
    return loader->publishing;
}

#endif

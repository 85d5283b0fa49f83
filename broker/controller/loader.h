/* The loader: committed batches of the metadata log -> this node's image -> its publishers.
 *
 * The driver of the quorum gives every committed batch once, in order of offsets, control batches
 * too (their records are skipped). All batches given within one call of loader_apply() make one
 * delta. Publishers run in the order in which they were added, which is part of the design: cache
 * first, then replicas (delete, lead, follow), then coordinators (kraft.md 12).
 *
 * Publishers are first called when the log was applied up to the high watermark known at that time
 * (loader_caught_up()); what came before is one delta, "everything is new".
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
    struct world *world;
    struct arena arena;
    struct list publishers;
    bool publishing; /* caught up once */
};

struct loader_config {
    struct image_limits limits;
    uint64_t hash_seed;
};

void loader_init(struct loader *loader, struct world *world, struct mem *mem,
                 const struct loader_config *config);
void loader_deinit(struct loader *loader);
/* In the order of calls, before the first batch. */
void loader_add(struct loader *loader, struct loader_publisher *publisher);

/* Whole committed batches, back to back, the first of them at image.last_offset + 1. Errors as
 * image_apply(), and ERR_MALFORMED for bytes; the loader has failed then. `caught_up`: no committed
 * batch is left that was not given. */
MUST_USE enum err loader_apply(struct loader *loader, struct bytes batches, bool caught_up);
static inline bool loader_caught_up(const struct loader *loader)
{
    return loader->publishing;
}

#endif

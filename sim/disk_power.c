/* Loss of power: which pending operations reached the device, and what each file lost by it.
 *
 * Damage is confined to what was pending: a byte that a completed sync covered is never touched,
 * also when it shares a sector with later bytes (W8). Decisions fall at (path, page): the order in
 * which pages are met means nothing. */
#include "client/base/assert.h"
#include "sim/disk_image_private.h"
#include "sim/sim.h"

#include <stdio.h>
#include <string.h>

/* A file as it was visible before. */
struct before {
    char path[DISK_PATH_MAX + 1];
    struct sim_inode *inode; /* held */
    uint64_t size;
    uint64_t synced_end;
    bool touched;        /* has pending operations */
    struct page **pages; /* of a touched one, held */
    uint64_t page_count;
};

struct befores {
    struct before **items;
    uint32_t count;
    uint32_t capacity;
};

static void before_add(struct befores *befores, const char *path, struct sim_inode *inode)
{
    struct before *before = sim_alloc(sizeof *before);

    (void)snprintf(before->path, sizeof before->path, "%s", path);
    before->inode = image_inode_hold(inode);
    inode->site = (uint32_t)sim_digest(0, path, strlen(path));
    before->size = inode->size;
    before->synced_end = inode->durable_size < inode->size ? inode->durable_size : inode->size;
    before->touched = !list_empty(&inode->pending);
    /* Pages that a failed sync left behind are lost now as well. */
    for (uint64_t i = 0; i < inode->slot_count && !before->touched; i++) {
        before->touched = inode->slots[i].orphan;
    }
    if (before->touched) {
        before->page_count = inode->slot_count;
        before->pages = sim_alloc((before->page_count + 1) * sizeof(struct page *));
        for (uint64_t i = 0; i < before->page_count; i++) {
            before->pages[i] = page_share(inode->slots[i].visible);
        }
    }
    if (befores->count == befores->capacity) {
        befores->capacity = befores->capacity == 0 ? 64 : befores->capacity * 2;
        befores->items = realloc(befores->items, befores->capacity * sizeof *befores->items);
        if (befores->items == NULL) abort();
    }
    befores->items[befores->count++] = before;
}

static void before_walk(struct befores *befores, const struct sim_inode *dir, const char *prefix)
{
    LIST_FOR_EACH (link, &dir->entries) {
        struct entry *entry = LIST_ENTRY(link, struct entry, link);
        char path[DISK_PATH_MAX + 1];

        if (entry->visible == NULL) continue;
        image_entry_path(path, prefix, entry);
        if (entry->visible->directory) {
            entry->visible->site = (uint32_t)sim_digest(0, path, strlen(path));
            before_walk(befores, entry->visible, path);
        } else {
            before_add(befores, path, entry->visible);
        }
    }
}

static void before_free(struct sim_image *image, struct before *before)
{
    for (uint64_t i = 0; i < before->page_count; i++)
        page_drop(&before->pages[i]);
    free(before->pages);
    image_inode_drop(image, before->inode);
    free(before);
}

/* ---- the decision ---------------------------------------------------------------------------- */

struct verdict {
    bool keep;
    uint8_t mask;    /* sectors that take the new bytes */
    uint8_t garbage; /* sectors whose pending bytes become noise */
};

/* One loss of power of one machine. */
struct power {
    const struct sim_loss *loss;
    struct sim *sim;
    int32_t node;
    uint64_t cut; /* mark of the first operation that did not reach the device (PREFIX) */
};

/* Of a page; of other operations, which have none, the page is that behind the last. */
static struct decide_site power_site(const struct power *power, enum decide_what what,
                                     const struct op *op)
{
    uint64_t page = op->kind == OP_DATA ? op->page : UINT64_MAX - (uint64_t)op->kind;

    return (struct decide_site){what, power->node, op->inode->site, page};
}

static bool power_chance(const struct power *power, enum decide_what what, const struct op *op,
                         uint32_t per_million)
{
    return decide_chance(power->sim, power_site(power, what, op), per_million);
}

static uint8_t power_sectors(const struct power *power, const struct op *op)
{
    return (uint8_t)decide_below(power->sim, power_site(power, DECIDE_POWER_SECTORS, op), 256);
}

static struct verdict decide_page(const struct power *power, const struct op *op)
{
    const struct sim_loss *loss = power->loss;
    struct verdict verdict = {.mask = 0xff};

    verdict.keep = power_chance(power, DECIDE_POWER_KEEP, op, loss->keep_per_million);
    if (power_chance(power, DECIDE_POWER_TEAR, op, loss->tear_per_million)) {
        verdict.keep = true;
        verdict.mask = power_sectors(power, op);
    }
    if (power_chance(power, DECIDE_POWER_GARBAGE, op, loss->garbage_per_million)) {
        verdict.keep = true;
        verdict.garbage = power_sectors(power, op);
    }
    return verdict;
}

static struct verdict decide(const struct power *power, const struct op *op)
{
    const struct sim_loss *loss = power->loss;
    struct verdict verdict = {.keep = false, .mask = 0xff};

    switch (loss->policy) {
    case SIM_LOSS_NOTHING: verdict.keep = true; break;
    case SIM_LOSS_EVERYTHING: break;
    case SIM_LOSS_PREFIX: verdict.keep = op->mark < power->cut; break;
    case SIM_LOSS_RANDOM:
        if (op->kind == OP_DATA) verdict = decide_page(power, op);
        verdict.keep = power_chance(power, DECIDE_POWER_KEEP, op, loss->keep_per_million);
        break;
    case SIM_LOSS_PAGES:
        if (op->kind == OP_DATA) return decide_page(power, op);
        verdict.keep = power_chance(power, DECIDE_POWER_KEEP, op, loss->keep_per_million);
        break;
    case SIM_LOSS_NAMES:
        verdict.keep = op->kind != OP_NAME ||
                       power_chance(power, DECIDE_POWER_KEEP, op, loss->keep_per_million);
        break;
    case SIM_LOSS_POLICIES: IMPOSSIBLE("a count, not a policy");
    }
    return verdict;
}

static void make_noise(const struct power *power, struct op *op, uint8_t sectors)
{
    struct rng rng;

    decide_rng(power->sim, power_site(power, DECIDE_POWER_NOISE, op), &rng);
    for (uint32_t at = op->from; at < op->to; at++) {
        uint8_t noise;

        if ((sectors >> at / SIM_SECTOR & 1) == 0) continue;
        noise = (uint8_t)rng_u64(&rng);
        op->bytes[at - op->from] = noise;
    }
}

static void count_fate(struct sim_losses *losses, const struct op *op,
                       const struct verdict *verdict, bool *name_dropped)
{
    losses->pending++;
    if (!verdict->keep) {
        losses->dropped++;
        if (op->kind == OP_NAME) *name_dropped = true;
        return;
    }
    losses->torn += verdict->mask != 0xff && verdict->mask != 0;
    losses->garbage += verdict->garbage != 0;
    if (*name_dropped) losses->reordered = true;
}

/* What no name leads to is known by its number. */
static void sites_reset(struct sim_image *image)
{
    LIST_FOR_EACH (link, &image->inodes) {
        struct sim_inode *inode = LIST_ENTRY(link, struct sim_inode, link);

        inode->site = inode->number;
    }
}

static void resolve_pending(struct sim_image *image, struct power *power, struct sim_losses *losses)
{
    uint64_t first = 0;
    bool name_dropped = false;

    if (!list_empty(&image->order)) {
        first = LIST_ENTRY(image->order.next, struct op, order)->mark;
    }
    power->cut =
        first + decide_below(power->sim, (struct decide_site){DECIDE_POWER_CUT, power->node, 0, 0},
                             image->mark - first + 2);
    while (!list_empty(&image->order)) {
        struct op *op = LIST_ENTRY(image->order.next, struct op, order);
        struct verdict verdict = decide(power, op);

        count_fate(losses, op, &verdict, &name_dropped);
        if (verdict.keep) {
            if (verdict.garbage != 0) {
                make_noise(power, op, verdict.garbage);
                /* Never shared with what processes saw. */
                op->inode->slots[op->page].orphan = true;
            }
            image_op_apply(image, op, verdict.mask);
        }
        image_op_free(image, op);
    }
}

/* ---- the disk afterwards --------------------------------------------------------------------- */

static void inode_restart(struct sim_image *image, struct sim_inode *inode)
{
    uint64_t end = (inode->durable_size + SIM_PAGE - 1) / SIM_PAGE;
    uint64_t charged = 0;

    for (uint64_t i = 0; i < inode->slot_count; i++) {
        struct slot *slot = &inode->slots[i];

        ASSERT(slot->pending == 0);
        /* Bytes behind the length are not there, whatever reached the device. */
        if (i >= end) page_drop(&slot->durable);
        if (i + 1 == end && inode->durable_size % SIM_PAGE != 0 && slot->durable != NULL) {
            uint32_t from = (uint32_t)(inode->durable_size % SIM_PAGE);

            memset(image_page_own(&slot->durable) + from, 0, SIM_PAGE - from);
        }
        page_drop(&slot->visible);
        slot->visible = page_share(slot->durable);
        slot->orphan = false;
        charged += slot->visible != NULL;
    }
    inode->size = inode->durable_size;
    inode->reserved = 0;
    inode->locked = false;
    image_charge(image, inode, charged);
}

/* Visible names become those of the device. Every inode is held meanwhile, so that the list stands
 * still; what nothing names any more goes with the last of those holds. */
static void names_restart(struct sim_image *image)
{
    struct sim_inode **all;
    uint64_t count = 0;

    LIST_FOR_EACH (link, &image->inodes)
        count++;
    all = sim_alloc((count + 1) * sizeof(struct sim_inode *));
    count = 0;
    LIST_FOR_EACH (link, &image->inodes) {
        all[count++] = image_inode_hold(LIST_ENTRY(link, struct sim_inode, link));
    }
    for (uint64_t i = 0; i < count; i++) {
        LIST_FOR_EACH_SAFE (at, after, &all[i]->entries) {
            struct entry *entry = LIST_ENTRY(at, struct entry, link);
            struct sim_inode *old = entry->visible;

            if (old != entry->durable) {
                entry->visible = image_inode_hold(entry->durable);
                if (entry->visible != NULL) entry->visible->names++;
                if (old != NULL) old->names--;
                image_inode_drop(image, old);
            }
            image_entry_tidy(all[i], entry);
        }
    }
    for (uint64_t i = 0; i < count; i++)
        image_inode_drop(image, all[i]);
    free(all);
}

/* ---- the account ----------------------------------------------------------------------------- */

static const uint8_t no_page[SIM_PAGE];

static void compare_page(struct sim_file_loss *loss, const struct page *was, const struct page *is,
                         uint64_t base, uint64_t size)
{
    const uint8_t *old = was != NULL ? was->data : no_page;
    const uint8_t *now = is != NULL ? is->data : no_page;
    uint64_t count = size - base < SIM_PAGE ? size - base : SIM_PAGE;

    if (was == is && base + count <= loss->size_after) return;
    for (uint64_t i = 0; i < count; i++) {
        if (base + i < loss->size_after && old[i] == now[i]) continue;
        if (loss->lost_bytes == 0) loss->first = base + i;
        loss->lost_bytes++;
    }
}

static bool account(struct sim_image *image, const struct before *before,
                    struct sim_file_loss *loss)
{
    const struct sim_inode *inode = image_path_walk(image, before->path, SIM_VIEW_VISIBLE);

    *loss = (struct sim_file_loss){.size = before->size, .synced_end = before->synced_end};
    (void)snprintf(loss->path, sizeof loss->path, "%.255s", before->path);
    if (inode != before->inode) {
        loss->gone = true;
        loss->lost_bytes = before->size;
        return true;
    }
    if (!before->touched) return false;
    loss->size_after = inode->size;
    for (uint64_t base = 0; base < before->size; base += SIM_PAGE) {
        uint64_t i = base / SIM_PAGE;
        const struct page *was = i < before->page_count ? before->pages[i] : NULL;
        const struct page *is = i < inode->slot_count ? inode->slots[i].visible : NULL;

        compare_page(loss, was, is, base, before->size);
    }
    return loss->lost_bytes > 0 || loss->size != loss->size_after;
}

struct sim_losses sim_image_power_loss(struct sim_image *image, const struct sim_loss *loss,
                                       struct sim *sim, int32_t node)
{
    struct power power = {.loss = loss, .sim = sim, .node = node};
    struct befores befores = {0};
    struct sim_losses losses = {0};

    ASSERT(image->opens == 0);
    sites_reset(image);
    before_walk(&befores, image->root, "");
    resolve_pending(image, &power, &losses);
    names_restart(image);
    LIST_FOR_EACH (link, &image->inodes) {
        inode_restart(image, LIST_ENTRY(link, struct sim_inode, link));
    }
    free(image->losses);
    image->losses = sim_alloc((befores.count + 1) * sizeof *image->losses);
    for (uint32_t i = 0; i < befores.count; i++) {
        if (account(image, befores.items[i], &image->losses[losses.count])) {
            losses.lost_bytes += image->losses[losses.count].lost_bytes;
            losses.count++;
        }
        before_free(image, befores.items[i]);
    }
    free(befores.items);
    losses.files = image->losses;
    return losses;
}

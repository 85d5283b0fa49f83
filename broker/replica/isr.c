#include "broker/replica/isr.h"

#include <string.h>

static uint64_t bit(uint32_t index)
{
    return UINT64_C(1) << index;
}

static bool has(uint64_t set, uint32_t index)
{
    return (set & bit(index)) != 0;
}

void isr_init(struct isr *isr, struct mem *mem)
{
    *isr = (struct isr){.mem = mem, .state = ISR_COMMITTED};
}

void isr_deinit(struct isr *isr)
{
    mem_free(isr->mem, isr->replicas, isr->count * sizeof(struct isr_replica));
    isr_init(isr, isr->mem);
}

static struct isr_replica replica_fresh(int32_t id)
{
    return (struct isr_replica){.id = id,
                                .log_end = ISR_UNKNOWN,
                                .log_start = ISR_UNKNOWN,
                                .broker_epoch = -1,
                                .previous_end = INT64_MAX};
}

int32_t isr_index(const struct isr *isr, int32_t id)
{
    for (uint32_t i = 0; i < isr->count; i++) {
        if (isr->replicas[i].id == id) return (int32_t)i;
    }
    return -1;
}

void isr_commit(struct isr *isr, const int32_t *members, uint32_t members_count)
{
    isr->committed = 0;
    for (uint32_t m = 0; m < members_count; m++) {
        int32_t index = isr_index(isr, members[m]);

        if (index >= 0) isr->committed |= bit((uint32_t)index);
    }
    isr_revert(isr);
}

enum err isr_set(struct isr *isr, int32_t self, const int32_t *replicas, uint32_t replicas_count,
                 const int32_t *members, uint32_t members_count)
{
    struct isr_replica *fresh;
    uint32_t own = replicas_count;

    ASSERT(replicas_count > 0);
    if (replicas_count > ISR_REPLICAS_MAX) return ERR_TOO_MANY;
    fresh = mem_alloc(isr->mem, replicas_count * sizeof *fresh);
    if (fresh == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < replicas_count; i++) {
        int32_t known = isr_index(isr, replicas[i]);

        fresh[i] = known >= 0 ? isr->replicas[known] : replica_fresh(replicas[i]);
        if (replicas[i] == self) own = i;
    }
    ASSERT(own < replicas_count);
    isr_deinit(isr);
    isr->replicas = fresh;
    isr->count = (uint16_t)replicas_count;
    isr->self = (uint16_t)own;
    isr_commit(isr, members, members_count);
    isr_check(isr);
    return ERR_NONE;
}

void isr_new_epoch(struct isr *isr, struct mono_time now)
{
    isr->state = ISR_COMMITTED;
    isr->proposed = 0;
    for (uint32_t i = 0; i < isr->count; i++) {
        struct isr_replica *replica = &isr->replicas[i];

        *replica = replica_fresh(replica->id);
        replica->caught_up_once = has(isr->committed, i);
        replica->last_caught_up = now;
    }
}

uint64_t isr_maximal(const struct isr *isr)
{
    /* KIP-497: an expansion counts from the moment it is asked for, a shrink when it is agreed. */
    return isr->state == ISR_EXPANDING ? isr->committed | isr->proposed : isr->committed;
}

uint32_t isr_size(uint64_t set)
{
    uint32_t size = 0;

    for (; set != 0; set &= set - 1) {
        size++;
    }
    return size;
}

uint32_t isr_effective_min(const struct isr *isr, int32_t min_isr)
{
    uint32_t wanted = min_isr < 1 ? 1 : (uint32_t)min_isr;

    return wanted < isr->count ? wanted : isr->count;
}

bool isr_enough(const struct isr *isr, int32_t min_isr)
{
    return isr_size(isr->committed) >= isr_effective_min(isr, min_isr);
}

bool isr_enough_after(const struct isr *isr, int32_t min_isr)
{
    return isr_size(isr_maximal(isr)) >= isr_effective_min(isr, min_isr);
}

void isr_fetched(struct isr *isr, uint32_t index, const struct isr_fetch *fetch)
{
    struct isr_replica *replica;

    ASSERT(index < isr->count);
    ASSERT(index != isr->self);
    ASSERT(fetch->offset >= 0);
    replica = &isr->replicas[index];
    if (fetch->offset >= fetch->leader_end) {
        replica->last_caught_up = fetch->now;
        replica->caught_up_once = true;
    } else if (fetch->offset >= replica->previous_end) {
        /* It has now what was there when it asked before: it was caught up then. Without this a
         * follower of a busy leader would never count as caught up (KIP-16). */
        if (!replica->caught_up_once || replica->previous_fetch.ns > replica->last_caught_up.ns) {
            replica->last_caught_up = replica->previous_fetch;
        }
        replica->caught_up_once = true;
    }
    replica->log_end = fetch->offset;
    replica->log_start = fetch->log_start;
    replica->broker_epoch = fetch->broker_epoch;
    replica->previous_fetch = fetch->now;
    replica->previous_end = fetch->leader_end;
}

void isr_appended(struct isr *isr, int64_t old_end, struct mono_time now)
{
    for (uint32_t i = 0; i < isr->count; i++) {
        struct isr_replica *replica = &isr->replicas[i];

        if (i == isr->self || replica->log_end != old_end) continue;
        replica->last_caught_up = now;
        replica->caught_up_once = true;
    }
}

/* Not fenced, not leaving, and the incarnation that fetched is the one that is registered
 * (KIP-841, KIP-903). */
static bool eligible(const struct isr_replica *replica, const struct isr_facts *facts)
{
    struct isr_broker broker = facts->brokers->find(facts->brokers, replica->id);

    if (!broker.active) return false;
    return replica->broker_epoch == -1 || replica->broker_epoch == broker.epoch;
}

static bool caught_up(const struct isr_replica *replica, const struct isr_facts *facts)
{
    if (replica->log_end == facts->log_end) return true;
    return replica->caught_up_once &&
           mono_ms_between(replica->last_caught_up, facts->now) <= facts->lag_max_ms;
}

int64_t isr_high_watermark(const struct isr *isr, const struct isr_facts *facts)
{
    uint64_t maximal = isr_maximal(isr);
    int64_t candidate = facts->log_end - facts->owed;

    ASSERT(facts->high_watermark <= facts->log_end);
    if (!isr_enough(isr, facts->min_isr)) return facts->high_watermark; /* KIP-966, R20 */
    for (uint32_t i = 0; i < isr->count; i++) {
        const struct isr_replica *replica = &isr->replicas[i];

        if (i == isr->self || replica->log_end >= candidate) continue;
        /* Who is about to join is waited for, or it would never be at the high watermark. */
        if (has(maximal, i) || (caught_up(replica, facts) && eligible(replica, facts))) {
            candidate = replica->log_end;
        }
    }
    return candidate > facts->high_watermark ? candidate : facts->high_watermark;
}

bool isr_may_expand(const struct isr *isr, uint32_t index, const struct isr_facts *facts)
{
    const struct isr_replica *replica = &isr->replicas[index];

    ASSERT(index < isr->count);
    if (isr->state != ISR_COMMITTED || index == isr->self || has(isr->committed, index)) {
        return false;
    }
    if (replica->log_end == ISR_UNKNOWN || replica->log_start < facts->log_start) return false;
    return replica->log_end >= facts->high_watermark &&
           replica->log_end >= facts->leader_epoch_start && eligible(replica, facts);
}

void isr_expand(struct isr *isr, uint32_t index)
{
    ASSERT(isr->state == ISR_COMMITTED);
    ASSERT(!has(isr->committed, index));
    isr->proposed = isr->committed | bit(index);
    isr->state = ISR_EXPANDING;
}

uint64_t isr_laggards(const struct isr *isr, const struct isr_facts *facts)
{
    uint64_t out = 0;

    if (isr->state != ISR_COMMITTED) return 0;
    for (uint32_t i = 0; i < isr->count; i++) {
        const struct isr_replica *replica = &isr->replicas[i];

        if (i == isr->self || !has(isr->committed, i)) continue;
        if (!caught_up(replica, facts)) out |= bit(i);
    }
    return out;
}

void isr_shrink(struct isr *isr, uint64_t out)
{
    ASSERT(isr->state == ISR_COMMITTED);
    ASSERT(out != 0);
    ASSERT((out & ~isr->committed) == 0);
    ASSERT(!has(out, isr->self));
    isr->proposed = isr->committed & ~out;
    isr->state = ISR_SHRINKING;
}

void isr_revert(struct isr *isr)
{
    isr->state = ISR_COMMITTED;
    isr->proposed = 0;
}

uint32_t isr_ids(const struct isr *isr, uint64_t set, int32_t *ids)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < isr->count; i++) {
        if (has(set, i)) ids[count++] = isr->replicas[i].id;
    }
    return count;
}

void isr_check(const struct isr *isr)
{
    uint64_t all = isr->count == 64 ? UINT64_MAX : bit(isr->count) - 1;

    if (isr->count == 0) return;
    ASSERT(isr->self < isr->count);
    ASSERT((isr->committed & ~all) == 0);
    ASSERT((isr->proposed & ~all) == 0);
    switch (isr->state) {
    case ISR_COMMITTED: ASSERT(isr->proposed == 0); break;
    case ISR_EXPANDING: ASSERT(isr_size(isr->proposed) == isr_size(isr->committed) + 1); break;
    case ISR_SHRINKING:
        ASSERT((isr->proposed & ~isr->committed) == 0);
        ASSERT(isr->proposed != isr->committed);
        break;
    }
}

/* What a partition answers: appends of producers, fetches of followers and consumers, offsets.
 * replication.md 2, 3, 5, 6, 8. */
#include "broker/replica/manager_internal.h"
#include "broker/replica/partition.h"

enum { LIST_LATEST = -1, LIST_EARLIEST = -2, LIST_GREATEST = -3, LIST_EARLIEST_LOCAL = -4 };

static struct world *world_of(const struct partition *part)
{
    return part->manager->env->world;
}

static enum err check_epoch(const struct partition *part, int32_t current_epoch)
{
    if (part->role == PARTITION_OFFLINE) return ERR_KAFKA_STORAGE_ERROR;
    if (current_epoch >= 0 && current_epoch < part->leader_epoch) return ERR_FENCED_LEADER_EPOCH;
    if (current_epoch > part->leader_epoch) return ERR_UNKNOWN_LEADER_EPOCH;
    return ERR_NONE;
}

enum err partition_check_leader(const struct partition *part, int32_t current_epoch)
{
    enum err err = check_epoch(part, current_epoch);

    if (err != ERR_NONE) return err;
    return part->role == PARTITION_LEADER ? ERR_NONE : ERR_NOT_LEADER_OR_FOLLOWER;
}

/* ---- produce --------------------------------------------------------------------------------- */

enum err partition_append(struct partition *part, struct buf *buf, struct bytes batch, int16_t acks,
                          enum log_origin origin, struct partition_append *append)
{
    uint32_t size = isr_size(part->isr.committed);
    enum err err = partition_check_leader(part, -1);

    if (acks < -1 || acks > 1) return ERR_INVALID_REQUIRED_ACKS;
    if (err != ERR_NONE) return err;
    if (acks == -1 && !isr_enough(&part->isr, part->min_isr)) {
        TRACE(world_of(part), REPLICA_MIN_ISR, (int64_t)part->topic, part->index, size,
              isr_effective_min(&part->isr, part->min_isr));
        return ERR_NOT_ENOUGH_REPLICAS;
    }
    *append = (struct partition_append){
        .leader_epoch = part->leader_epoch, .log_start = part->log->log_start, .acks = acks};
    err = log_append_as_leader(part->log, buf, batch, part->leader_epoch, origin, &append->append);
    if (err != ERR_NONE) return err;
    append->part = part;
    partition_pin(part);
    TRACE(world_of(part), PRODUCE_APPENDED, (int64_t)part->topic, part->index,
          append->append.base_offset, append->append.last_offset, part->leader_epoch, acks, size,
          isr_effective_min(&part->isr, part->min_isr));
    op_wake(&part->work);
    return ERR_NONE;
}

enum err partition_appended(const struct partition_append *append)
{
    const struct partition *part = append->part;

    /* Leader, follower, leader again on one broker: other records may stand at these offsets now.
     * The epoch tells (replication.md 3). */
    if (part->role != PARTITION_LEADER || part->leader_epoch != append->leader_epoch) {
        return ERR_NOT_LEADER_OR_FOLLOWER;
    }
    switch (log_append_state(part->log, &append->append)) {
    case LOG_APPEND_PENDING: return ERR_REQUEST_TIMED_OUT;
    case LOG_APPEND_DONE: return ERR_NONE;
    case LOG_APPEND_FAILED: return ERR_KAFKA_STORAGE_ERROR;
    }
    IMPOSSIBLE("append state");
}

enum err partition_replicated(const struct partition_append *append)
{
    const struct partition *part = append->part;
    enum err err = partition_appended(append);

    if (err != ERR_NONE) return err;
    if (part->high_watermark <= append->append.last_offset) return ERR_REQUEST_TIMED_OUT;
    return isr_enough_after(&part->isr, part->min_isr) ? ERR_NONE
                                                       : ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND;
}

void partition_append_end(struct partition_append *append, enum err err)
{
    struct partition *part = append->part;

    if (part == NULL) return;
    append->part = NULL;
    TRACE(world_of(part), PRODUCE_ANSWERED, (int64_t)part->topic, part->index,
          append->append.base_offset, append->append.last_offset, (int64_t)err, append->acks,
          part->high_watermark, isr_size(isr_maximal(&part->isr)));
    partition_unpin(part);
}

/* ---- fetch ----------------------------------------------------------------------------------- */

int64_t partition_last_stable(const struct partition *part)
{
    return log_last_stable(part->log);
}

static bool of_follower(const struct partition_fetch *fetch)
{
    return fetch->replica_id >= 0;
}

/* Not a client: what is not committed may be seen. */
static bool of_replica(const struct partition_fetch *fetch)
{
    return of_follower(fetch) || fetch->replica_id == PARTITION_COPY;
}

int64_t partition_fetch_limit(const struct partition *part, const struct partition_fetch *fetch)
{
    if (of_replica(fetch)) return part->log->log_end;
    return fetch->stable_only ? partition_last_stable(part) : part->high_watermark;
}

enum err partition_fetch_check(const struct partition *part, const struct partition_fetch *fetch)
{
    if (part->role == PARTITION_FOLLOWER && !of_replica(fetch) && fetch->any_replica) {
        enum err err = check_epoch(part, fetch->current_epoch);

        if (err != ERR_NONE) return err;
        return part->log->state == LOG_OPEN ? ERR_NONE : ERR_OFFSET_NOT_AVAILABLE;
    }
    return partition_check_leader(part, fetch->current_epoch);
}

static bool in_rack(const struct manager *manager, int32_t id, struct str rack)
{
    const struct image_broker *broker = image_broker(manager->image, id);

    return broker != NULL && broker->rack.data != NULL && str_equal(broker->rack, rack);
}

/* KIP-392, RackAwareReplicaSelector: the leader when it is in the reader's rack; else of the
 * in-sync replicas there that have the offset the one that has most; else the leader: -1. */
static int32_t preferred_replica(const struct partition *part, const struct partition_fetch *fetch)
{
    const struct manager *manager = part->manager;
    const struct isr *isr = &part->isr;
    const struct isr_replica *best = NULL;

    if (part->role != PARTITION_LEADER || of_replica(fetch) || !fetch->any_replica) return -1;
    if (manager->config->replica_selector == 0 || fetch->rack.length == 0) return -1;
    if (in_rack(manager, manager->broker, fetch->rack)) return -1;
    for (uint32_t i = 0; i < isr->count; i++) {
        const struct isr_replica *replica = &isr->replicas[i];

        if (i == isr->self || (isr->committed & (UINT64_C(1) << i)) == 0) continue;
        if (replica->log_start == ISR_UNKNOWN || replica->log_start > fetch->offset) continue;
        if (replica->log_end < fetch->offset || !in_rack(manager, replica->id, fetch->rack)) {
            continue;
        }
        if (!manager->brokers.find(&manager->brokers, replica->id).active) continue;
        if (best == NULL || replica->log_end > best->log_end) best = replica;
    }
    return best != NULL ? best->id : -1;
}

bool partition_fetch_watched(const struct partition *part, const struct partition_fetch *fetch)
{
    int32_t index = of_follower(fetch) ? isr_index(&part->isr, fetch->replica_id) : -1;

    return index >= 0 && (part->isr.committed & (UINT64_C(1) << (uint32_t)index)) == 0;
}

bool partition_fetch_throttled(const struct partition *part, const struct partition_fetch *fetch)
{
    return part->throttled_leading && partition_fetch_watched(part, fetch) &&
           part->manager->leader_held;
}

void partition_fetch_served(struct partition *part, const struct partition_fetch *fetch)
{
    if (!part->throttled_leading || !of_follower(fetch) || fetch->read.bytes == 0) return;
    manager_served(part->manager, fetch->read.bytes);
}

/* The follower ends where our log begins, with records of an older epoch than all that we know:
 * whether ours were the same, nobody can say any more (a log that was reset there, KIP-101). */
static bool fetch_unmatched(const struct log *log, const struct partition_fetch *fetch)
{
    return fetch->offset == log->log_start && fetch->log_start >= 0 &&
           fetch->log_start < fetch->offset &&
           log_epochs_at(&log->epochs, log->log_start - 1) < 0 &&
           fetch->last_fetched_epoch < log_epochs_at(&log->epochs, log->log_start);
}

/* Everything that can be said without reading (replication.md 6, in its order). */
static enum err check_fetch(const struct partition *part, const struct partition_fetch *fetch,
                            struct log_epoch_end *diverging)
{
    const struct log *log = part->log;
    enum err err = partition_fetch_check(part, fetch);

    if (err != ERR_NONE) return err;
    if (of_follower(fetch)) {
        int32_t index = isr_index(&part->isr, fetch->replica_id);

        /* Its metadata is ahead of ours, or ours of its (KAFKA-14078). */
        if (index < 0 || (uint32_t)index == part->isr.self) {
            return fetch->current_epoch >= 0 ? ERR_UNKNOWN_LEADER_EPOCH
                                             : ERR_NOT_LEADER_OR_FOLLOWER;
        }
    }
    if (fetch->last_fetched_epoch >= 0) {
        struct log_epoch_end end = log_end_offset_for(log, fetch->last_fetched_epoch);

        if (end.end_offset < 0) return ERR_OFFSET_OUT_OF_RANGE;
        if (fetch->offset < log->log_start) return ERR_OFFSET_OUT_OF_RANGE;
        if (fetch_unmatched(log, fetch)) return ERR_OFFSET_OUT_OF_RANGE;
        if (end.epoch < fetch->last_fetched_epoch || end.end_offset < fetch->offset) {
            *diverging = end;
            return ERR_NONE;
        }
    }
    if (fetch->offset < log->log_start || fetch->offset > log->log_end) {
        return ERR_OFFSET_OUT_OF_RANGE;
    }
    return ERR_NONE;
}

/* What the fetch proves about the follower. Not for one that diverged (F8), nor for a delayed
 * one. */
static enum err take_progress(struct partition *part, const struct partition_fetch *fetch)
{
    struct manager *manager = part->manager;
    struct isr_broker broker = manager->brokers.find(&manager->brokers, fetch->replica_id);
    uint32_t index = (uint32_t)isr_index(&part->isr, fetch->replica_id);
    int64_t old = part->isr.replicas[index].log_end;
    int64_t old_start = part->isr.replicas[index].log_start;
    struct isr_facts facts = partition_facts(part);
    struct isr_fetch fetched = {.offset = fetch->offset,
                                .log_start = fetch->log_start,
                                .broker_epoch = fetch->replica_epoch,
                                .leader_end = facts.log_end,
                                .now = facts.now};

    /* Sent before that broker was started anew: it may have lost what it had (F22). */
    if (fetch->replica_epoch >= 0 && fetch->replica_epoch < broker.epoch) {
        return ERR_NOT_LEADER_OR_FOLLOWER;
    }
    isr_fetched(&part->isr, index, &fetched);
    if (old_start != fetch->log_start) op_wake(&part->start_source);
    TRACE(world_of(part), REPLICA_REMOTE, (int64_t)part->topic, part->index, fetch->replica_id,
          fetch->offset, old, fetch->replica_epoch, part->leader_epoch);
    if (isr_may_expand(&part->isr, index, &facts)) {
        isr_expand(&part->isr, index);
        partition_alter(part);
    }
    partition_advance(part);
    return ERR_NONE;
}

void partition_fetch(struct partition *part, struct partition_fetch *fetch)
{
    fetch->diverging = (struct log_epoch_end){-1, -1};
    fetch->diverged = false;
    fetch->high_watermark = -1;
    fetch->last_stable = -1;
    fetch->own_log_start = -1;
    fetch->leader = part->leader;
    fetch->leader_epoch = part->leader_epoch;
    fetch->preferred = -1;
    fetch->throttled = false;
    fetch->role = part->role;
    fetch->part = NULL;
    fetch->reading = false;
    fetch->starved = false;
    fetch->err = check_fetch(part, fetch, &fetch->diverging);
    if (fetch->err != ERR_NONE) return;
    fetch->diverged = fetch->diverging.end_offset >= 0;
    if (of_follower(fetch) && !fetch->delayed && !fetch->diverged) {
        fetch->err = take_progress(part, fetch);
        if (fetch->err != ERR_NONE) return;
    }
    /* DIFFERS: Kafka samples the high watermark before it takes the follower's progress; the
     * newer one is as true, and the follower learns it a round trip earlier. */
    fetch->high_watermark = part->high_watermark;
    fetch->last_stable = partition_last_stable(part);
    fetch->own_log_start = part->log->log_start;
    fetch->limit = partition_fetch_limit(part, fetch);
    if (!fetch->diverged) fetch->preferred = preferred_replica(part, fetch);
    if (fetch->preferred >= 0) return;
    if (fetch->diverged || fetch->offset >= fetch->limit || fetch->max_bytes == 0) return;
    fetch->throttled = partition_fetch_throttled(part, fetch);
    if (fetch->throttled) {
        manager_throttled(part, fetch->replica_id, &part->manager->leader_quota);
        return;
    }
    fetch->part = part;
    partition_pin(part);
    fetch->reading = true;
    fetch->read.offset = fetch->offset;
    fetch->read.limit = fetch->limit;
    fetch->read.max_bytes = fetch->max_bytes;
    fetch->read.first_whole = fetch->first_whole;
    fetch->read.stable = fetch->stable_only && !of_replica(fetch);
    log_read(part->log, &fetch->read);
}

static void release_read(struct partition_fetch *fetch)
{
    if (!fetch->reading) return;
    ASSERT(fetch->read.done);
    log_read_release(&fetch->read);
    fetch->reading = false;
    fetch->read.count = 0;
    fetch->read.bytes = 0;
}

void partition_fetch_finish(struct partition_fetch *fetch)
{
    struct partition *part = fetch->part;

    if (!fetch->reading) {
        fetch->read.count = 0;
        fetch->read.bytes = 0;
        return;
    }
    ASSERT(fetch->read.done);
    if (part->role != fetch->role || part->leader_epoch != fetch->leader_epoch) {
        fetch->err =
            part->role == PARTITION_OFFLINE ? ERR_KAFKA_STORAGE_ERROR : ERR_NOT_LEADER_OR_FOLLOWER;
        fetch->leader = part->leader;
        fetch->leader_epoch = part->leader_epoch;
    } else {
        fetch->starved = fetch->read.err == ERR_NO_MEMORY;
        fetch->err = err_is_wire(fetch->read.err) ? fetch->read.err : ERR_KAFKA_STORAGE_ERROR;
    }
    if (fetch->err != ERR_NONE) {
        release_read(fetch);
        return;
    }
    TRACE(world_of(part), READ_SERVED, (int64_t)part->topic, part->index, fetch->offset,
          fetch->read.next_offset, fetch->limit, part->high_watermark, of_replica(fetch) ? 0 : 1);
}

void partition_fetch_end(struct partition_fetch *fetch)
{
    release_read(fetch);
    if (fetch->part != NULL) partition_unpin(fetch->part);
    fetch->part = NULL;
}

bool partition_fetch_ready(const struct partition *part, const struct partition_fetch *fetch)
{
    struct log_epoch_end diverging = {-1, -1};

    if (check_fetch(part, fetch, &diverging) != ERR_NONE) return true;
    if (diverging.end_offset >= 0) return true;
    return fetch->offset < partition_fetch_limit(part, fetch) &&
           !partition_fetch_throttled(part, fetch);
}

/* ---- offsets --------------------------------------------------------------------------------- */

static int64_t list_limit(const struct partition *part, const struct partition_list *list)
{
    if (list->replica_id >= 0) return part->log->log_end;
    return list->stable_only ? partition_last_stable(part) : part->high_watermark;
}

/* KIP-207: until the high watermark has reached this epoch's start, the end that a client would be
 * told may be below what the leader before told (F29). */
static bool end_unknown(const struct partition *part, const struct partition_list *list)
{
    return list->replica_id < 0 && part->high_watermark < part->leader_epoch_start;
}

static void list_say(struct partition_list *list, int64_t offset, int64_t timestamp, int32_t epoch)
{
    list->offset = offset;
    list->found_timestamp = timestamp;
    list->leader_epoch = epoch;
}

void partition_list(struct partition *part, struct partition_list *list)
{
    const struct log *log = part->log;

    list->part = NULL;
    list->looking = false;
    list_say(list, -1, -1, -1);
    list->err = partition_check_leader(part, list->current_epoch);
    if (list->err != ERR_NONE) return;
    list->part = part;
    partition_pin(part);
    switch (list->timestamp) {
    case LIST_LATEST:
        if (end_unknown(part, list)) {
            list->err = ERR_OFFSET_NOT_AVAILABLE;
        } else {
            list_say(list, list_limit(part, list), -1, part->leader_epoch);
        }
        return;
    case LIST_EARLIEST:
    case LIST_EARLIEST_LOCAL:
        list_say(list, log->log_start, -1, log_epochs_at(&log->epochs, log->log_start));
        return;
    default: break;
    }
    if (list->timestamp < LIST_GREATEST) {
        list->err = ERR_INVALID_REQUEST;
        return;
    }
    list->looking = true;
    list->lookup.timestamp = list->timestamp;
    list->lookup.limit = list_limit(part, list);
    log_offset_for_time(part->log, &list->lookup);
}

void partition_list_finish(struct partition_list *list)
{
    struct partition *part = list->part;

    if (part == NULL) return;
    if (list->looking) {
        const struct log_time_lookup *found = &list->lookup;

        ASSERT(found->done);
        list->looking = false;
        if (part->role != PARTITION_LEADER) {
            list->err = ERR_NOT_LEADER_OR_FOLLOWER;
        } else if (found->err != ERR_NONE) {
            list->err = err_is_wire(found->err) ? found->err : ERR_KAFKA_STORAGE_ERROR;
        } else if (found->offset >= 0) {
            list_say(list, found->offset, found->found_timestamp, found->leader_epoch);
        } else if (end_unknown(part, list)) {
            list->err = ERR_OFFSET_NOT_AVAILABLE;
        }
    }
    TRACE(world_of(part), OFFSETS_LISTED, (int64_t)part->topic, part->index, list->timestamp,
          list->offset, list->leader_epoch, (int64_t)list->err, list->stable_only);
    list->part = NULL;
    partition_unpin(part);
}

enum err partition_end_offset_for(const struct partition *part, int32_t current_epoch,
                                  int32_t epoch, struct log_epoch_end *end)
{
    enum err err = partition_check_leader(part, current_epoch);

    if (err != ERR_NONE) return err;
    *end = log_end_offset_for(part->log, epoch);
    return ERR_NONE;
}

/* ---- deletion ------------------------------------------------------------------------------- */

enum err partition_delete_records(struct partition *part, int64_t *offset)
{
    enum err err = partition_check_leader(part, -1);

    if (err != ERR_NONE) return err;
    if (!part->log->config->deletes) return ERR_POLICY_VIOLATION;
    if (*offset == -1) *offset = part->high_watermark;
    if (*offset < 0 || *offset > part->high_watermark) return ERR_OFFSET_OUT_OF_RANGE;
    log_raise_start(part->log, *offset);
    return ERR_NONE;
}

int64_t partition_low_watermark(const struct partition *part)
{
    const struct isr_brokers *brokers = &part->manager->brokers;
    int64_t low = part->log->log_start;

    for (uint32_t i = 0; i < part->isr.count; i++) {
        const struct isr_replica *replica = &part->isr.replicas[i];

        if (i == part->isr.self || !brokers->find(brokers, replica->id).active) continue;
        if (replica->log_start == ISR_UNKNOWN) return -1;
        if (replica->log_start < low) low = replica->log_start;
    }
    return low;
}

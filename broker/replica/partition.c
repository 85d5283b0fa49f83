#include "broker/replica/partition.h"

#include "broker/replica/fetcher.h"
#include "broker/replica/follower.h"
#include "broker/replica/manager.h"
#include "broker/replica/manager_internal.h"
#include "client/base/text.h"

/* ---- role ------------------------------------------------------------------------------------ */

#define ROLE(role) (1U << (role))

/* From the row to the set. LEADER and FOLLOWER to themselves: a new leader epoch. */
static const struct {
    const char *name;
    uint32_t next;
} roles[] = {
    [PARTITION_NONE] = {"NONE", ROLE(PARTITION_FOLLOWER) | ROLE(PARTITION_LEADER) |
                                    ROLE(PARTITION_OFFLINE)},
    [PARTITION_FOLLOWER] = {"FOLLOWER", ROLE(PARTITION_FOLLOWER) | ROLE(PARTITION_LEADER) |
                                            ROLE(PARTITION_NONE) | ROLE(PARTITION_OFFLINE)},
    [PARTITION_LEADER] = {"LEADER", ROLE(PARTITION_LEADER) | ROLE(PARTITION_FOLLOWER) |
                                        ROLE(PARTITION_NONE) | ROLE(PARTITION_OFFLINE)},
    [PARTITION_OFFLINE] = {"OFFLINE", ROLE(PARTITION_NONE)},
};
_Static_assert(COUNT_OF(roles) == PARTITION_OFFLINE + 1, "a row per role");

const char *partition_role_name(enum partition_role role)
{
    return roles[role].name;
}

bool partition_role_may(enum partition_role from, enum partition_role to)
{
    return (roles[from].next & ROLE(to)) != 0;
}

static struct world *world_of(const struct partition *part)
{
    return part->manager->env->world;
}

/* Everybody who waits looks again: the role or the epoch is another. */
static void wake_all(struct partition *part)
{
    op_wake(&part->hw_source);
    op_wake(&part->role_source);
    op_wake(&part->start_source);
    if (part->log != NULL) op_wake(&part->log->end_source); /* who waits for the disk alone */
    partition_wake_readers(part);
    manager_move_look(part);
}

static void partition_set_role(struct partition *part, enum partition_role role)
{
    struct manager *manager = part->manager;

    ASSERT(partition_role_may(part->role, role));
    if (part->role == PARTITION_LEADER) {
        list_remove(&part->leading);
        manager->leading_count--;
    }
    part->role = role;
    if (role == PARTITION_LEADER) {
        list_push(&manager->leading, &part->leading);
        manager->leading_count++;
    } else {
        list_remove(&part->altering);
        part->alter_sent = false;
    }
    TRACE(world_of(part), REPLICA_ROLE, (int64_t)part->topic, part->index, (int64_t)role,
          part->leader, part->leader_epoch, part->partition_epoch);
    wake_all(part);
}

void partition_wake_readers(struct partition *part)
{
    op_wake(&part->fetch_source);
    LIST_FOR_EACH_SAFE (link, after, &part->watchers) {
        struct partition_watcher *watcher = LIST_ENTRY(link, struct partition_watcher, link);

        if (watcher->tell != NULL) {
            watcher->tell(watcher);
        } else {
            op_wake(watcher->source);
        }
    }
}

void partition_note_start(struct partition *part)
{
    fetcher_changed(part); /* the leader waits to hear of it */
    op_wake(&part->start_source);
    partition_wake_readers(part);
}

/* ---- in-sync set and high watermark ---------------------------------------------------------- */

void partition_trace_isr(const struct partition *part)
{
    int32_t ids[ISR_REPLICAS_MAX];
    char buffer[ISR_REPLICAS_MAX * 12 + 1];
    struct text text;
    uint32_t count = isr_ids(&part->isr, isr_maximal(&part->isr), ids);

    text_init(&text, buffer, sizeof buffer);
    for (uint32_t i = 0; i < count; i++) {
        text_format(&text, i == 0 ? "%d" : ",%d", ids[i]);
    }
    TRACE_TEXT(world_of(part), REPLICA_ISR, text_view(&text), (int64_t)part->topic, part->index,
               part->leader_epoch, part->partition_epoch, part->isr.state == ISR_COMMITTED ? 1 : 0);
}

/* The only place that changes it. */
static void partition_set_high_watermark(struct partition *part, int64_t high_watermark)
{
    int64_t old = part->high_watermark;

    ASSERT(high_watermark >= part->log->log_start);
    ASSERT(high_watermark <= part->log->log_end);
    if (part->role == PARTITION_LEADER) ASSERT(high_watermark >= old); /* R6 */
    if (high_watermark == old) return;
    part->high_watermark = high_watermark;
    log_note_high_watermark(part->log, high_watermark);
    TRACE(world_of(part), REPLICA_HW, (int64_t)part->topic, part->index, old, high_watermark,
          (int64_t)part->role, part->leader_epoch);
    op_wake_below(&part->hw_source, high_watermark);
    partition_wake_readers(part);
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    if (value > high) value = high;
    return value < low ? low : value;
}

/* Back inside [log start, log end] and not above `at_most`. */
void partition_clamp_high_watermark(struct partition *part, int64_t at_most)
{
    int64_t hw = part->high_watermark < at_most ? part->high_watermark : at_most;

    partition_set_high_watermark(part, clamp(hw, part->log->log_start, part->log->log_end));
}

void partition_begin_high_watermark(struct partition *part)
{
    part->high_watermark = part->log->log_start;
    partition_set_high_watermark(
        part, clamp(part->log->high_watermark, part->log->log_start, part->log->log_end));
}

struct isr_facts partition_facts(const struct partition *part)
{
    const struct manager *manager = part->manager;

    int64_t owed = log_owes_sync(part->log) ? part->log->log_end - part->log->synced_end : 0;

    return (struct isr_facts){.log_end = part->log->log_end,
                              .owed = owed,
                              .high_watermark = part->high_watermark,
                              .leader_epoch_start = part->leader_epoch_start,
                              .min_isr = part->min_isr,
                              .now = manager->env->now.mono,
                              .lag_max_ms = manager->config->replica_lag_time_max_ms,
                              .brokers = &manager->brokers,
                              .log_start = part->log->log_start};
}

void partition_advance(struct partition *part)
{
    struct isr_facts facts;
    int64_t high_watermark;

    if (part->role != PARTITION_LEADER) return;
    facts = partition_facts(part);
    high_watermark = isr_high_watermark(&part->isr, &facts);
    if (high_watermark > part->high_watermark) partition_set_high_watermark(part, high_watermark);
}

void partition_follow_high_watermark(struct partition *part, int64_t leader_hw)
{
    ASSERT(part->role == PARTITION_FOLLOWER);
    partition_set_high_watermark(part, clamp(leader_hw, part->log->log_start, part->log->log_end));
}

/* A change of the set is on its way to the controller. */
void partition_alter(struct partition *part)
{
    ASSERT(part->role == PARTITION_LEADER);
    ASSERT(part->isr.state != ISR_COMMITTED);
    partition_trace_isr(part);
    part->alter_sent = false;
    if (!list_linked(&part->altering)) list_push(&part->manager->altering, &part->altering);
    op_wake(&part->manager->alter_source);
}

/* The in-sync set is another, or a proposal is decided: everybody who depends on it looks again. */
static void note_isr(struct partition *part)
{
    if (part->role == PARTITION_LEADER) partition_trace_isr(part);
    op_wake(&part->work);         /* to be held for a move, it waits for no proposal */
    op_wake(&part->start_source); /* a replica that is gone no longer holds it back */
    partition_wake_readers(part); /* who left must be asked for its progress to come back */
}

void partition_note_end(struct partition *part)
{
    int64_t end = part->log->log_end;

    if (part->role != PARTITION_LEADER || end == part->caught_end) return;
    isr_appended(&part->isr, part->caught_end, part->manager->env->now.mono);
    part->caught_end = end;
}

void partition_expire_isr(struct partition *part)
{
    struct isr_facts facts;
    uint64_t out;

    if (part->role != PARTITION_LEADER) return;
    partition_note_end(part);
    facts = partition_facts(part);
    /* Who was about to join and has not come is not waited for any longer. */
    partition_advance(part);
    out = isr_laggards(&part->isr, &facts);
    if (out == 0) return;
    isr_shrink(&part->isr, out);
    partition_alter(part);
}

enum partition_after_alter partition_altered(struct partition *part,
                                             const struct partition_altered *altered)
{
    /* The metadata overtook the answer: it said more than the answer can (F19). */
    if (!part->alter_sent) return PARTITION_ALTER_OVER;
    ASSERT(part->role == PARTITION_LEADER);
    switch ((int)altered->err) {
    case ERR_NONE:
        if (altered->leader_epoch != part->leader_epoch ||
            altered->partition_epoch < part->partition_epoch) {
            break;
        }
        part->partition_epoch = altered->partition_epoch;
        isr_commit(&part->isr, altered->isr, altered->isr_count);
        note_isr(part);
        break;
    case ERR_OPERATION_NOT_ATTEMPTED:
    case ERR_INELIGIBLE_REPLICA:
        isr_revert(&part->isr);
        note_isr(part);
        break;
    /* The controller knows more than we do: the change stays pending until the record comes. */
    case ERR_UNKNOWN_TOPIC_OR_PARTITION:
    case ERR_UNKNOWN_TOPIC_ID:
    case ERR_FENCED_LEADER_EPOCH:
    case ERR_INVALID_UPDATE_VERSION:
    case ERR_INVALID_REQUEST:
    case ERR_NEW_LEADER_ELECTED: break;
    default:
        part->alter_sent = false;
        list_remove(&part->altering);
        list_push(&part->manager->altering, &part->altering);
        return PARTITION_ALTER_AGAIN;
    }
    part->alter_sent = false;
    list_remove(&part->altering);
    partition_advance(part); /* KAFKA-13091 */
    return PARTITION_ALTER_OVER;
}

/* ---- leader, follower ------------------------------------------------------------------------ */

bool partition_quiet(const struct partition *part)
{
    const struct log *log = part->log;

    return log != NULL && log->state == LOG_OPEN && log->assigned_end == log->log_end &&
           part->seen_end == log->log_end && !log_owes_sync(log);
}

bool partition_leaving(const struct partition *part)
{
    return part->removing || part->stopping;
}

bool partition_may_settle(const struct partition *part)
{
    return !part->settled && !part->removing && !part->stopping && part->opened &&
           partition_held(part) == PARTITION_FREE && part->role != PARTITION_OFFLINE &&
           partition_quiet(part);
}

static void become_leader(struct partition *part)
{
    struct log *log = part->log;

    /* Also when nothing is ever written in this epoch (KAFKA-7415, F4). */
    log_begin_epoch(log, part->leader_epoch);
    if (log->state != LOG_OPEN) {
        partition_go_offline(part);
        return;
    }
    part->leader_epoch_start = log->log_end;
    part->caught_end = log->log_end;
    isr_new_epoch(&part->isr, part->manager->env->now.mono);
    partition_set_role(part, PARTITION_LEADER);
    TRACE(world_of(part), REPLICA_LEADING, (int64_t)part->topic, part->index, part->leader_epoch,
          part->leader_epoch_start, log->log_end);
    partition_trace_isr(part);
    partition_advance(part);
}

/* The log is open and nothing is under way: does what the metadata said last. */
void partition_settle(struct partition *part)
{
    struct log *log = part->log;
    int64_t start;

    ASSERT(partition_may_settle(part));
    if (part->leader == part->manager->broker && log_hollow(log)) {
        log_reset(log, log->log_end); /* comes back here */
        op_wake(&part->work);
        return;
    }
    if (part->leader == part->manager->broker) {
        part->settled = true;
        become_leader(part);
        return;
    }
    start = follower_start(log->epochs.count, log->log_end, part->high_watermark);
    /* Tried, and refused: for damage, which the leader's copy mends, or for want of memory. It
     * follows without a fetch until that cut is made up for (fetcher.c). */
    if (start < log->log_end && log->err != ERR_NONE) {
        part->held_cut = start;
    } else if (start < log->log_end) {
        partition_truncate(part, start); /* comes back here */
        return;
    }
    part->settled = true;
    partition_set_role(part, PARTITION_FOLLOWER);
    if (part->leader >= 0) fetcher_add(part->manager, part);
}

enum err partition_apply(struct partition *part, const struct partition_state *state)
{
    bool moved = state->leader_epoch != part->leader_epoch || state->leader != part->leader;
    enum err err;

    if (part->removing || state->partition_epoch < part->partition_epoch) return ERR_NONE;
    ASSERT(state->leader_epoch >= part->leader_epoch); /* R5 */
    /* The answer of AlterPartition told this state already, and something newer was proposed since:
     * what may be committed by now stays part of the maximal ISR (R13). */
    if (!moved && part->role == PARTITION_LEADER && part->isr.state != ISR_COMMITTED &&
        state->partition_epoch == part->partition_epoch) {
        return ERR_NONE;
    }
    err = isr_set(&part->isr, part->manager->broker, state->replicas, state->replicas_count,
                  state->isr, state->isr_count);
    if (err != ERR_NONE) return err;
    list_remove(&part->altering);
    part->alter_sent = false;
    part->leader = state->leader;
    part->leader_epoch = state->leader_epoch;
    part->partition_epoch = state->partition_epoch;
    part->eligible = state->eligible;
    if (part->role == PARTITION_OFFLINE || part->damaged || part->doubtful)
        manager_lost_look(part->manager);
    if (part->doubtful && !partition_doubted(part)) {
        /* While nobody is in sync it says nothing, and is not over. */
        part->doubtful = part->eligible && part->isr.committed == 0;
        op_wake(&part->manager->state_source);
    }
    if (partition_forfeits(part)) op_wake(&part->work);
    if (!moved) {
        note_isr(part);
        partition_advance(part);
        return ERR_NONE;
    }
    part->settled = false;
    part->divergences = 0;
    part->held_cut = -1;
    fetcher_remove(part);
    if (partition_may_settle(part)) {
        partition_settle(part);
        return ERR_NONE;
    }
    switch (part->role) {
    case PARTITION_LEADER:
    case PARTITION_FOLLOWER: partition_set_role(part, PARTITION_NONE); break;
    case PARTITION_NONE:
    case PARTITION_OFFLINE: wake_all(part); break;
    }
    op_wake(&part->work);
    return ERR_NONE;
}

void partition_truncate(struct partition *part, int64_t to)
{
    ASSERT(partition_quiet(part));
    ASSERT(part->role != PARTITION_LEADER);
    if (to < part->log->log_start) to = part->log->log_start;
    partition_clamp_high_watermark(part, to);
    log_truncate(part->log, to);
    op_wake(&part->work);
}

void partition_begin_with(struct partition *part, int64_t base)
{
    ASSERT(partition_quiet(part));
    ASSERT(part->role == PARTITION_FOLLOWER);
    log_begin_with(part->log, base);
    op_wake(&part->work);
}

enum err partition_reset(struct partition *part, int64_t at, const struct log_handover *handover)
{
    enum err err = ERR_NONE;

    ASSERT(partition_quiet(part));
    ASSERT(part->role == PARTITION_FOLLOWER);
    if (handover == NULL) {
        log_reset(part->log, at);
    } else {
        err = log_reset_handed(part->log, at, handover);
    }
    op_wake(&part->work);
    return err;
}

void partition_step_down(struct partition *part)
{
    part->settled = false;
    fetcher_remove(part);
    partition_set_role(part, PARTITION_NONE);
}

void partition_go_offline(struct partition *part)
{
    if (part->role == PARTITION_OFFLINE) return;
    fetcher_remove(part);
    partition_set_role(part, PARTITION_OFFLINE);
    op_wake(&part->work);
    manager_lost_look(part->manager);
}

bool partition_doubted(const struct partition *part)
{
    const struct isr *isr = &part->isr;

    if (!part->doubtful || !part->eligible || partition_leaving(part)) return false;
    return isr->committed != 0 && (isr->committed >> isr->self & 1) == 0;
}

bool partition_forfeits(const struct partition *part)
{
    const struct log *log = part->log;
    const struct isr *isr = &part->isr;

    if (part->role != PARTITION_OFFLINE || partition_leaving(part) || log == NULL) return false;
    if (log->state != LOG_FAILED || log->err != ERR_DAMAGED || !log_dir_online(log->dir))
        return false;
    if (part->leader < 0 || part->leader == part->manager->broker || part->eligible) return false;
    return (isr->committed >> isr->self & 1) == 0;
}

void partition_begins_anew(struct partition *part)
{
    ASSERT(part->role == PARTITION_OFFLINE && part->log->state == LOG_OPEN);
    part->settled = false;
    part->damaged = false;
    part->held_cut = -1;
    partition_set_role(part, PARTITION_NONE);
}

/* ---- struct -------------------------------------------------------------------------------- */

void partition_init(struct partition *part, struct manager *manager, struct str topic_name,
                    struct uuid topic_id, int32_t index, int32_t min_isr)
{
    *part = (struct partition){.manager = manager,
                               .topic_name = topic_name,
                               .topic_id = topic_id,
                               .topic = uuid_high(topic_id),
                               .index = index,
                               .role = PARTITION_NONE,
                               .leader = -1,
                               .leader_epoch = -1,
                               .partition_epoch = -1,
                               .min_isr = min_isr,
                               .held_cut = -1};
    isr_init(&part->isr, &manager->env->mem);
    op_source_init(&part->hw_source);
    op_source_init(&part->fetch_source);
    op_source_init(&part->role_source);
    op_source_init(&part->start_source);
    op_source_init(&part->work);
    list_init(&part->watchers);
    list_init(&part->fetch_link);
    list_init(&part->link);
    list_init(&part->leading);
    list_init(&part->altering);
    list_init(&part->held);
}

void partition_deinit(struct partition *part)
{
    ASSERT(part->pins == 0);
    ASSERT(part->log == NULL);
    ASSERT(part->fetching == PARTITION_IDLE);
    ASSERT(list_empty(&part->watchers));
    ASSERT(!list_linked(&part->leading));
    list_remove(&part->altering);
    ASSERT(!list_linked(&part->held));
    ASSERT(part->move == NULL);
    isr_deinit(&part->isr);
}

static void leave(struct partition *part)
{
    fetcher_remove(part);
    manager_scrub_left(part);
    list_remove(&part->held);
    if (part->role == PARTITION_NONE) {
        wake_all(part);
    } else {
        partition_set_role(part, PARTITION_NONE);
    }
    op_wake(&part->work);
    op_wake(&part->manager->closed_source);
}

void partition_remove(struct partition *part)
{
    ASSERT(!part->removing);
    part->removing = true;
    leave(part);
}

void partition_stop(struct partition *part)
{
    if (partition_leaving(part)) {
        part->stopping = true;
        op_wake(&part->manager->closed_source);
        return;
    }
    part->stopping = true;
    leave(part);
}

/* ---- pins ------------------------------------------------------------------------------------ */

void partition_pin(struct partition *part)
{
    part->pins++;
}

void partition_unpin(struct partition *part)
{
    ASSERT(part->pins > 0);
    part->pins--;
    if (part->pins == 0) op_wake(&part->work);
}

void partition_watch(struct partition *part, struct partition_watcher *watcher,
                     struct op_source *source)
{
    watcher->source = source;
    list_init(&watcher->link);
    list_push(&part->watchers, &watcher->link);
}

void partition_unwatch(struct partition_watcher *watcher)
{
    list_remove(&watcher->link);
}

void partition_check(const struct partition *part)
{
    const struct log *log = part->log;

    isr_check(&part->isr);
    if (log == NULL || log->state != LOG_OPEN || !part->opened) return;
    ASSERT(part->high_watermark >= log->log_start);
    ASSERT(part->high_watermark <= log->log_end);
    if (part->role == PARTITION_LEADER) {
        ASSERT(part->leader == part->manager->broker);
        ASSERT(log->epochs.count > 0);
    }
}

/* The registry of oracles, verdicts, and the way of an event: every subject sees every event it
 * knows, in one fixed order, until the first violation. */
#include "sim/check/check.h"

#include "sim/check/check_private.h"
#include "sim/fault.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_S INT64_C(1000000000)

static const struct check_info check_infos[] = {
#define X(id, name, class, file, sentence) \
    [CHECK_##id] = {#id, name, CHECK_##class, sentence, file},
    CHECK_LIST(X)
#undef X
};

_Static_assert(COUNT_OF(check_infos) == CHECK_ID_COUNT, "one row an oracle");

/* ---- configuration, life --------------------------------------------------------------------- */

void check_config_init(struct check_config *config)
{
    *config = (struct check_config){
        .idempotent = true,
        .acks_all = true,
        .final_drain = true,
        .min_isr = 1,
        .loss_budget = -1,
        .replica_lag_ns = 30 * NS_PER_S,
        .fetch_wait_ns = NS_PER_S / 2,
        .delete_retention_ns = 86400 * NS_PER_S,
        .session_ns = 9 * NS_PER_S,
        .heartbeat_ns = 2 * NS_PER_S,
        .member_session_ns = 45 * NS_PER_S,
        .request_timeout_ns = 30 * NS_PER_S,
        .election_ns = NS_PER_S,
        .quorum_fetch_ns = 2 * NS_PER_S,
    };
}

struct check *check_create(const struct check_config *config)
{
    struct check *check = calloc(1, sizeof *check);
    struct check_batch unknown = {.base = -1, .last = -1, .epoch = -1};

    ASSERT(check != NULL);
    check->config = *config;
    check->min_isr_known = config->min_isr > 0;
    if (!check->min_isr_known) check->config.min_isr = 1;
    check->phase = 1;
    check->core = UINT64_MAX;
    check->liveness_ns = -1;
    check->newest_epoch = -1;
    check->left_epoch = -1;
    check->step = -1;
    CHECK_PUSH(&check->batches, unknown);
    check->metadata = check_part(check, 0, 0);
    return check;
}

static void replica_destroy(struct check_replica_ghost *replica)
{
    if (replica == NULL) return;
    free(replica->log.entries);
    free(replica->epochs);
    free(replica->remotes);
    free(replica);
}

void check_destroy(struct check *check)
{
    if (check == NULL) return;
    for (uint32_t i = 0; i < check->parts.count; i++) {
        struct check_part *part = check->parts.items[i];

        for (uint32_t node = 0; node < CHECK_NODES_MAX; node++)
            replica_destroy(part->replicas[node]);
        free(part->committed.entries);
        free(part->past);
        free(part);
    }
    free(check->parts.items);
    free(check->excused.items);
    free(check->batches.items);
    free(check->dirty.items);
    free(check->pending.items);
    free(check->ids.items);
    free(check->digest_values.items);
    check_table_deinit(&check->parts_by_key);
    check_table_deinit(&check->batches_by_base);
    check_table_deinit(&check->leaders);
    check_table_deinit(&check->snapshots);
    check_table_deinit(&check->snapshots_held);
    free(check->snapshot_values.items);
    check_table_deinit(&check->broker_epochs);
    check_table_deinit(&check->digests);
    check_table_deinit(&check->elected);
    check_table_deinit(&check->committed_by);
    check_table_deinit(&check->votes);
    check_table_deinit(&check->voter_sets);
    check_table_deinit(&check->produces_by_key);
    free(check->produces.items);
    check_history_destroy(check);
    check_group_destroy(check);
    check_consumer_destroy(check);
    free(check);
}

void *check_grow(void *items, uint32_t *room, uint32_t count, size_t size)
{
    void *grown;

    if (count < *room) return items;
    *room = *room == 0 ? 8 : *room * 2;
    grown = realloc(items, *room * size);
    ASSERT(grown != NULL);
    return grown;
}

/* ---- who is who ------------------------------------------------------------------------------ */

uint32_t check_node(struct check *check, int32_t id)
{
    struct check_node *node;

    for (uint32_t i = 0; i < check->node_count; i++) {
        if (check->nodes[i].id == id) return i;
    }
    ASSERT(check->node_count < CHECK_NODES_MAX);
    node = &check->nodes[check->node_count];
    *node = (struct check_node){.id = id,
                                .up = true,
                                .applied = -1,
                                .controller_epoch = -1,
                                .loss_step = -1,
                                .raft = {.stored_epoch = -1,
                                         .stored_voted = -1,
                                         .epoch = -1,
                                         .voted = -1,
                                         .led_epoch = -1,
                                         .hw = -1,
                                         .hw_epoch = -1,
                                         .unsettled_ns = -1,
                                         .failed_epoch = -1}};
    for (uint32_t i = 0; i < CHECK_NODES_MAX; i++)
        node->broker_epoch_of[i] = -1;
    return check->node_count++;
}

static int32_t configured_min_isr(const struct check *check, int64_t topic)
{
    for (uint32_t i = 0; i < check->topic_count; i++) {
        if (check->topics[i].topic == topic && topic != 0) return check->topics[i].min_isr;
    }
    return 0;
}

static void topic_parts(struct check *check, int64_t topic)
{
    for (uint32_t i = 0; topic != 0 && i < check->parts.count; i++) {
        struct check_part *part = check->parts.items[i];

        if (part->topic == topic) part->configured_min_isr = configured_min_isr(check, topic);
    }
}

void check_topic_min_isr(struct check *check, const char *name, int32_t min_isr)
{
    struct check_topic *topic = NULL;

    for (uint32_t i = 0; i < check->topic_count && topic == NULL; i++) {
        if (strcmp(check->topics[i].name, name) == 0) topic = &check->topics[i];
    }
    if (topic == NULL) {
        if (check->topic_count == CHECK_TOPICS_MAX || strlen(name) >= CHECK_TOPIC_NAME) return;
        topic = &check->topics[check->topic_count++];
        memcpy(topic->name, name, strlen(name) + 1);
    }
    topic->min_isr = min_isr;
    topic_parts(check, topic->topic);
}

/* A name has got its number, perhaps a new one after a deletion; partitions -1: it is gone. */
static void topic_known(struct check *check, const struct trace_event *event)
{
    int64_t id = check_field(event, 0);

    if (check_field(event, 1) == -1) {
        for (uint32_t i = 0; i < check->parts.count; i++) {
            if (check->parts.items[i]->topic == id) check->parts.items[i]->gone = true;
        }
        return;
    }
    if (str_equal(event->text, STR("__consumer_offsets"))) check->offsets_topic = id;
    for (uint32_t i = 0; i < check->topic_count; i++) {
        struct check_topic *topic = &check->topics[i];

        if (topic->topic == id || !str_equal(event->text, str_of(topic->name))) continue;
        topic->topic = id;
        topic_parts(check, id);
    }
}

struct check_part *check_part(struct check *check, int64_t topic, int32_t partition)
{
    struct check_part *part = check->last_part;
    uint32_t found;

    if (part != NULL && part->topic == topic && part->partition == partition) return part;
    found = check_table_get(&check->parts_by_key, (uint64_t)topic, (uint32_t)partition);
    if (found != 0) return check->last_part = check->parts.items[found - 1];
    part = calloc(1, sizeof *part);
    ASSERT(part != NULL);
    *part = (struct check_part){.topic = topic,
                                .partition = partition,
                                .index = check->parts.count,
                                .work_epoch = -1,
                                .loss_from = INT64_MAX,
                                .loss_epoch = -1,
                                .configured_min_isr = configured_min_isr(check, topic),
                                .appended_ns = -1};
    CHECK_PUSH(&check->parts, part);
    check_table_set(&check->parts_by_key, (uint64_t)topic, (uint32_t)partition, check->parts.count);
    return check->last_part = part;
}

struct check_replica_ghost *check_replica(struct check *check, uint32_t node,
                                          struct check_part *part)
{
    struct check_replica_ghost *replica = part->replicas[node];

    (void)check;
    if (replica != NULL) return replica;
    replica = calloc(1, sizeof *replica);
    ASSERT(replica != NULL);
    *replica = (struct check_replica_ghost){.node = node,
                                            .part = part,
                                            .leader_epoch = -1,
                                            .partition_epoch = -1,
                                            .isr_epoch = -1,
                                            .cut_end = -1,
                                            .cutting = INT64_MAX,
                                            .rotten_from = INT64_MAX,
                                            .reach_epoch = -1,
                                            .anew_epoch = -1,
                                            .reply_landed = true};
    return part->replicas[node] = replica;
}

static bool word_at(struct str text, uint32_t at, const char *word, uint32_t length)
{
    return at + length <= text.length && memcmp(text.data + at, word, length) == 0 &&
           (at == 0 || text.data[at - 1] == ' ');
}

uint64_t check_ids(struct check *check, struct str text, const char *word)
{
    uint32_t length = (uint32_t)strlen(word);
    uint32_t at = 0;
    uint64_t set = 0;

    while (at < text.length && !word_at(text, at, word, length))
        at++;
    for (at += length; at < text.length;) {
        uint32_t begin = at;
        uint32_t number;
        int64_t id;

        while (at < text.length && text.data[at] >= '0' && text.data[at] <= '9')
            at++;
        if (!text_parse_i64((struct str){text.data + begin, at - begin}, &id)) break;
        number = check_node(check, (int32_t)id);
        if (number < CHECK_SET_MAX) set |= UINT64_C(1) << number;
        if (at >= text.length || text.data[at] != ',') break;
        at++;
    }
    return set;
}

uint32_t check_set_size(uint64_t set)
{
    uint32_t size = 0;

    for (; set != 0; set &= set - 1)
        size++;
    return size;
}

struct check_names check_names(const struct check *check, uint64_t set)
{
    struct check_names names;
    struct text text;
    bool first = true;

    text_init(&text, names.text, sizeof names.text);
    if (set == 0) text_char(&text, '-');
    for (uint32_t i = 0; i < check->node_count; i++) {
        if (!check_in(set, i)) continue;
        if (!first) text_char(&text, ',');
        first = false;
        text_i64(&text, check->nodes[i].id);
    }
    return names;
}

/* ---- verdicts -------------------------------------------------------------------------------- */

static void violation_fill(const struct check *check, struct check_violation *violation,
                           enum check_id id, struct check_at at)
{
    *violation = (struct check_violation){
        .id = check_infos[id].id,
        .name = check_infos[id].name,
        .class = check_infos[id].class,
        .time_ns = check->now_ns,
        .node = at.node < check->node_count ? check->nodes[at.node].id : -1,
        .topic = at.part != NULL ? at.part->topic : 0,
        .partition = at.part != NULL ? at.part->partition : -1,
        .epoch = at.epoch,
        .offset = at.offset,
    };
}

bool check_fail_begin(struct check *check, enum check_id id, struct check_at at, struct text *text)
{
    if (check->violated) return false;
    if ((check->config.off[id / 64] >> (id % 64) & 1) != 0) return false;
    if (check->config.only_history && check_infos[id].class != CHECK_HISTORY) return false;
    check->violated = true;
    violation_fill(check, &check->violation, id, at);
    text_init(text, check->violation.text, sizeof check->violation.text);
    return true;
}

bool check_excuse_begin(struct check *check, enum check_id id, struct check_at at,
                        struct text *text)
{
    struct check_violation fresh;
    struct check_violation *excused;

    if (check->excused.count >= CHECK_EXCUSED_MAX) return false;
    violation_fill(check, &fresh, id, at);
    CHECK_PUSH(&check->excused, fresh);
    excused = &check->excused.items[check->excused.count - 1];
    text_init(text, excused->text, sizeof excused->text);
    return true;
}

const struct check_violation *check_violation(const struct check *check)
{
    return check->violated ? &check->violation : NULL;
}

const struct check_violation *check_excused(const struct check *check, uint32_t index)
{
    return index < check->excused.count ? &check->excused.items[index] : NULL;
}

const struct check_info *check_list(uint32_t index)
{
    return index < CHECK_ID_COUNT ? &check_infos[index] : NULL;
}

bool check_stats(const struct check *check, uint32_t index, struct check_stat *stat)
{
    if (index >= CHECK_ID_COUNT) return false;
    *stat = (struct check_stat){&check_infos[index], check->evaluations[index]};
    return true;
}

/* ---- the simulator's own events -------------------------------------------------------------- */

static void node_up(struct check *check, uint32_t index)
{
    struct check_node *node = &check->nodes[index];

    node->up = true;
    node->seen = true;
    node->up_ns = check->now_ns;
    node->awake_ns = check->now_ns;
    node->last_ns = check->now_ns;
    node->incarnation++;
}

static void loses_disk(struct check *check, struct check_node *node)
{
    node->loss_step = check->step;
    memcpy(node->loss_text, check->step_text, sizeof node->loss_text);
}

/* What an incarnation knew dies with it. */
static void node_down(struct check *check, uint32_t index, int32_t how)
{
    struct check_node *node = &check->nodes[index];
    bool orderly = how == 3;

    node->up = false;
    check_consumer_down(check, index);
    node->applied = -1;
    node->controller_epoch = -1;
    node->renounced = false;
    /* Whatever takes the process, a failed sync has taken what was not durable (H5). */
    if (node->disk_failed) how = 2;
    node->disk_failed = false;
    node->sync_failed = false;
    if (how == 2) loses_disk(check, node);
    for (uint32_t i = 0; i < CHECK_NODES_MAX; i++)
        node->broker_epoch_of[i] = -1;
    check_raft_down(check, index);
    check_voters_down(check, index);
    check_group_down(check, index);
    check_snapshot_down(check, index);
    for (uint32_t i = 0; i < check->parts.count; i++) {
        struct check_replica_ghost *replica = check->parts.items[i]->replicas[index];

        if (replica == NULL) continue;
        check_disk_down(check, replica, orderly);
        check_recovery_down(check, replica, how);
    }
}

static void step_begins(struct check *check, int64_t step, struct str sentence)
{
    struct text text;

    check->step = step;
    text_init(&text, check->step_text, sizeof check->step_text);
    text_str(&text, sentence);
}

static void fault(struct check *check, const struct trace_event *event)
{
    int64_t what = check_field(event, 0);
    int64_t target = check_field(event, 3);

    if (check_field(event, 2) >= 0) step_begins(check, check_field(event, 2), event->text);
    if (check_field(event, 1) == 0 || target < 0) return;
    if (what == SIM_FAULT_DISK_ERROR || what == SIM_FAULT_READ_ERROR ||
        what == SIM_FAULT_WRITE_ERROR || what == SIM_FAULT_SYNC_ERROR) {
        check->nodes[check_node(check, (int32_t)target)].disk_armed = true;
    }
    if (what >= 0 && what < SIM_FAULT_COUNT &&
        (what == SIM_FAULT_DISK_LIE || what == SIM_FAULT_FOREIGN ||
         sim_fault_info((enum sim_fault)what)->ledger)) {
        struct check_node *node = &check->nodes[check_node(check, (int32_t)target)];

        node->disk_lied = true;
        if (what != SIM_FAULT_HEADER_ROT || !check_disk_text_has(event->text, "checkpoint"))
            node->log_lied = true;
        loses_disk(check, node);
        if (what == SIM_FAULT_REVERT)
            check_recovery_set_back(check, check_node(check, (int32_t)target));
        if (what == SIM_FAULT_WIPE && check_disk_text_has(event->text, "new identity"))
            node->voter_from = check->metadata->committed.end;
    }
}

/* The simulator tells of each sync that failed; of a real disk we know only that something did. A
 * read or a write that failed takes nothing that had completed. */
static void dir_offline(struct check_node *node)
{
    if (!node->disk_armed) node->disk_failed = true;
}

static void sim_event(struct check *check, const struct trace_event *event)
{
    int32_t id = (int32_t)check_field(event, 0);

    switch ((int)event->kind) {
    case TRACE_SIM_NODE: {
        struct check_node *node = &check->nodes[check_node(check, id)];

        node->kind = (int32_t)check_field(event, 1);
        node->up = false; /* until SIM_UP */
        if (node->kind == 2 || node->kind == 3) node->voter = true;
        return;
    }
    case TRACE_SIM_UP: node_up(check, check_node(check, id)); return;
    case TRACE_SIM_DOWN:
        node_down(check, check_node(check, id), (int32_t)check_field(event, 1));
        return;
    case TRACE_SIM_FAULT: fault(check, event); return;
    case TRACE_SIM_PHASE:
        if (id == 2 && event->text.length > 0) check->core = check_ids(check, event->text, "");
        check_phase(check, check->now_ns, id);
        return;
    case TRACE_SIM_SYNC_FAILED:
        check_disk_sync_failed(check, check_node(check, id), event->text);
        return;
    case TRACE_SIM_STEP: step_begins(check, check_field(event, 0), event->text); return;
    default: return;
    }
}

/* ---- events ---------------------------------------------------------------------------------- */

/* A node that was silent for long was paused: what it does next it could not have done earlier. */
static void node_seen(struct check *check, uint32_t index)
{
    struct check_node *node = &check->nodes[index];

    node->seen = true;
    if (check->now_ns - node->last_ns > check->config.quorum_fetch_ns / 4)
        node->awake_ns = check->now_ns;
    node->last_ns = check->now_ns;
}

void check_event(struct check *check, int64_t time_ns, int32_t node,
                 const struct trace_event *event)
{
    uint32_t index;

    if (check->violated || check->finished) return;
    check->now_ns = time_ns;
    if (event->kind >= TRACE_SIM_STARTED && event->kind <= TRACE_SIM_SYNC_FAILED) {
        sim_event(check, event);
        return;
    }
    index = check_node(check, node);
    node_seen(check, index);
    if (event->kind == TRACE_TOPIC_KNOWN) {
        topic_known(check, event);
        return;
    }
    if (event->kind == TRACE_DIR_OFFLINE) dir_offline(&check->nodes[index]);
    if (check_log_event(check, index, event)) return;
    if (check_replica_event(check, index, event)) return;
    if (check_isr_event(check, index, event)) return;
    if (check_controller_event(check, index, event)) return;
    if (check_raft_event(check, index, event)) return;
    if (check_consumer_event(check, index, event)) return;
    if (check_group_event(check, index, event)) return;
    if (check_snapshot_event(check, index, event)) return;
    (void)check_history_event(check, index, event);
}

void check_turn_end(struct check *check, int64_t time_ns, int32_t node)
{
    if (check->violated || check->finished) return;
    check_disk_turn(check, check_node(check, node));
    if (!check->brokers_dirty && check->dirty.count == 0) return;
    check->now_ns = time_ns;
    check_controller_turn(check, check_node(check, node));
}

/* Once, while the nodes are still up: a cluster that was stopped has nothing left to judge. */
static void judge_liveness(struct check *check)
{
    if (check->violated || check->lively || check->liveness_ns < 0) return;
    if (check->now_ns - check->liveness_ns < check_liveness_ns(&check->config)) return;
    check->lively = true;
    check_liveness_finish(check);
    if (!check->violated) check_consumer_finish(check);
}

void check_phase(struct check *check, int64_t time_ns, int32_t phase)
{
    if (check->violated || check->finished) return;
    check->now_ns = time_ns;
    if (phase >= 2 && check->phase < 2) check->liveness_ns = time_ns;
    check->phase = phase;
    if (phase >= 3) judge_liveness(check);
}

int64_t check_liveness_ns(const struct check_config *config)
{
    int64_t quorum = 4 * (config->quorum_fetch_ns + 2 * config->election_ns);

    return quorum + config->session_ns + 3 * config->heartbeat_ns + config->replica_lag_ns * 3 / 2 +
           5 * NS_PER_S;
}

void check_finish(struct check *check, int64_t time_ns)
{
    if (check->violated || check->finished) return;
    check->now_ns = time_ns;
    check_controller_turn(check, 0);
    if (!check->violated) check_history_finish(check);
    judge_liveness(check);
    check->finished = true;
}

/* ---- ghost against memory -------------------------------------------------------------------- */

static bool ghost_differs(struct check *check, const struct check_replica_ghost *replica,
                          const char *what, int64_t ghost, int64_t memory)
{
    struct text text;
    struct check_at at = {replica->node, replica->part, replica->leader_epoch, memory};

    if (ghost == memory) return false;
    if (!check_fail_begin(check, CHECK_R1, at, &text)) return true;
    check->violation.id = "GHOST";
    check->violation.name = "ghost-equals-memory";
    check->violation.class = CHECK_PERIODIC;
    text_format(&text, "%s: the events say %D, the node's memory %D", what, ghost, memory);
    return true;
}

bool check_compare_replica(struct check *check, int64_t time_ns, int32_t node,
                           const struct check_replica *replica)
{
    const struct check_replica_ghost *ghost = check_replica(
        check, check_node(check, node), check_part(check, replica->topic, replica->partition));

    if (check->violated) return false;
    check->now_ns = time_ns;
    /* A reset is made in memory first, and told when the checkpoint has the new log start. */
    if (ghost->resetting && replica->log_end == ghost->reset_to) return true;
    if (ghost_differs(check, ghost, "log end", ghost->log.end, replica->log_end)) return false;
    if (replica->high_watermark >= 0 &&
        ghost_differs(check, ghost, "high watermark", ghost->hw, replica->high_watermark))
        return false;
    if (replica->leader_epoch >= 0 &&
        ghost_differs(check, ghost, "leader epoch", ghost->leader_epoch, replica->leader_epoch))
        return false;
    if (replica->with_epoch &&
        check_disk_newest_epoch(check, ghost, replica->newest_epoch, replica->newest_start))
        return false;
    return replica->role < 0 || !ghost_differs(check, ghost, "role", ghost->role, replica->role);
}

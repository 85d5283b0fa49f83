/* Partitions: elections when brokers come and go, AlterPartition, deletion of topics, the balancer
 * (replication.md 9, 10). Every decision about one partition is partition_change.c's. */
#include "broker/controller/controller_parts.h"

#include <string.h>

/* ---- elections ------------------------------------------------------------------------------- */

enum election replication_control_election(const struct controller *c,
                                           const struct image_topic *topic)
{
    return partition_change_unclean(&c->image, topic, c->config.unclean_leader_election)
               ? ELECTION_UNCLEAN
               : ELECTION_ONLINE;
}

void replication_control_change(const struct controller *c, const struct image_topic *topic,
                                const struct image_partition *part, struct partition_change *change)
{
    partition_change_init(change, &c->image, part);
    change->min_isr = partition_change_min_isr(&c->image, topic, c->config.min_insync_replicas);
}

static void decide_and_put(const struct partition_change *change, const struct image_topic *topic,
                           uint32_t index, struct records *records)
{
    struct partition_decision decision;

    partition_change_decide(change, &decision);
    if (decision.changed) partition_change_put(&decision, topic->id, (int32_t)index, records);
}

/* One replica goes out of the ISR; one that is lost out of the ELR as well. */
static void replica_leaves(struct controller *c, const struct image_topic *topic, uint32_t index,
                           int32_t id, bool lost, struct records *records)
{
    const struct image_partition *part = &topic->partitions[index];
    struct image_ids old = image_isr(part);
    struct partition_change change;
    int32_t isr[IMAGE_REPLICAS_MAX];
    uint32_t kept = 0;

    if (!image_ids_contain(old, id) && !(lost && image_ids_contain(image_elr(part), id))) return;
    for (uint32_t k = 0; k < old.count; k++)
        if (old.ids[k] != id) isr[kept++] = old.ids[k];
    replication_control_change(c, topic, part, &change);
    change.target_isr = (struct image_ids){isr, kept};
    change.leaving = id;
    if (lost) change.lost = id;
    change.election = replication_control_election(c, topic);
    decide_and_put(&change, topic, index, records);
}

void replication_control_replica_leaves(struct controller *c, const struct image_topic *topic,
                                        uint32_t index, int32_t id, struct records *records)
{
    replica_leaves(c, topic, index, id, true, records);
}

static void leave_topic(struct controller *c, const struct image_topic *topic, int32_t id,
                        bool lost, struct records *records)
{
    for (uint32_t i = 0; i < topic->partitions_count; i++)
        replica_leaves(c, topic, i, id, lost, records);
}

void replication_control_broker_leaves(struct controller *c, int32_t id, struct records *records)
{
    const struct image_broker *broker = image_broker(&c->image, id);

    if (broker == NULL || broker->isr_count == 0) return; /* a leader is in the ISR (R12) */
    MAP_FOR_EACH (node, &c->image.topics_by_id)
        leave_topic(c, MAP_ENTRY(node, struct image_topic, by_id), id, false, records);
}

void replication_control_broker_lost(struct controller *c, int32_t id, struct records *records)
{
    MAP_FOR_EACH (node, &c->image.topics_by_id)
        leave_topic(c, MAP_ENTRY(node, struct image_topic, by_id), id, true, records);
}

void replication_control_broker_joins(struct controller *c, int32_t id, struct records *records)
{
    MAP_FOR_EACH (node, &c->image.topics_by_id) {
        const struct image_topic *topic = MAP_ENTRY(node, struct image_topic, by_id);

        for (uint32_t i = 0; i < topic->partitions_count; i++) {
            struct partition_change change;

            if (topic->partitions[i].leader != IMAGE_NO_LEADER) continue;
            replication_control_change(c, topic, &topic->partitions[i], &change);
            change.joining = id;
            change.election = replication_control_election(c, topic);
            decide_and_put(&change, topic, i, records);
        }
    }
}

void replication_control_balance(struct controller *c, struct records *records)
{
    MAP_FOR_EACH (node, &c->image.topics_by_id) {
        const struct image_topic *topic = MAP_ENTRY(node, struct image_topic, by_id);

        for (uint32_t i = 0; i < topic->partitions_count; i++) {
            const struct image_partition *part = &topic->partitions[i];
            int32_t preferred = part->ids[0];
            struct partition_change change;

            if (part->leader == preferred || !image_ids_contain(image_isr(part), preferred))
                continue;
            if (records->count >= CONTROLLER_ELECTIONS_MAX) return;
            replication_control_change(c, topic, part, &change);
            change.election = ELECTION_PREFERRED;
            decide_and_put(&change, topic, i, records);
        }
    }
}

void replication_control_unclean(struct controller *c, struct records *records)
{
    MAP_FOR_EACH (node, &c->image.topics_by_id) {
        const struct image_topic *topic = MAP_ENTRY(node, struct image_topic, by_id);

        if (replication_control_election(c, topic) != ELECTION_UNCLEAN) continue;
        for (uint32_t i = 0; i < topic->partitions_count; i++) {
            struct partition_change change;

            if (topic->partitions[i].leader != IMAGE_NO_LEADER) continue;
            if (records->count >= CONTROLLER_ELECTIONS_MAX) return;
            replication_control_change(c, topic, &topic->partitions[i], &change);
            change.election = ELECTION_UNCLEAN;
            decide_and_put(&change, topic, i, records);
        }
    }
}

/* ---- min.insync.replicas --------------------------------------------------------------------- */

void replication_control_min_isr(struct controller *c, struct str topic, struct str value,
                                 bool raised, struct records *records)
{
    if (!partition_change_elr(&c->image)) return;
    MAP_FOR_EACH (node, &c->image.topics_by_id) {
        const struct image_topic *t = MAP_ENTRY(node, struct image_topic, by_id);
        int32_t fallback = c->config.min_insync_replicas;
        uint32_t old = partition_change_min_isr(&c->image, t, fallback);
        uint32_t new = partition_change_min_isr_with(&c->image, t, fallback, topic, value);

        if (raised ? new <= old : new >= old) continue;
        for (uint32_t i = 0; i < t->partitions_count; i++) {
            struct partition_change change;

            replication_control_change(c, t, &t->partitions[i], &change);
            change.min_isr = new;
            change.touch = raised;
            decide_and_put(&change, t, i, records);
        }
    }
}

/* ---- AlterPartition -------------------------------------------------------------------------- */

typedef struct alter_partition_request_partition alter_in;
typedef struct alter_partition_response_partition alter_out;

/* The proposed ISR of either version as ids and epochs in the arena. */
static enum err proposed_isr(const alter_in *in, int16_t version, struct arena *arena,
                             struct partition_alter *alter)
{
    uint32_t count = version >= 3 ? in->new_isr_with_epochs_count : in->new_isr_count;
    int32_t *ids = arena_alloc(arena, count * sizeof(*ids));
    int64_t *epochs = arena_alloc(arena, count * sizeof(*epochs));

    if (ids == NULL || epochs == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = version >= 3 ? in->new_isr_with_epochs[i].broker_id : in->new_isr[i];
        epochs[i] = version >= 3 ? in->new_isr_with_epochs[i].broker_epoch : -1;
    }
    alter->isr = ids;
    alter->isr_epochs = epochs;
    alter->isr_count = count;
    return ERR_NONE;
}

/* The state that the answer tells: with the decision applied. */
static enum err fill_alter(alter_out *out, const struct image_partition *part,
                           const struct partition_decision *d, struct arena *arena)
{
    uint32_t count = d->isr.count;

    out->isr = arena_alloc(arena, count * sizeof(int32_t));
    if (out->isr == NULL) return ERR_NO_MEMORY;
    memcpy(out->isr, d->isr.ids, count * sizeof(int32_t));
    out->isr_count = count;
    out->leader_id = part->leader;
    out->leader_epoch = part->leader_epoch;
    if (d->leader != PARTITION_CHANGE_SAME_LEADER) {
        out->leader_id = d->leader;
        out->leader_epoch++;
    }
    out->leader_recovery_state = d->recovery == -1 ? (int8_t)part->recovery : d->recovery;
    out->partition_epoch = part->partition_epoch + (d->changed ? 1 : 0);
    return ERR_NONE;
}

struct alter_topic {
    struct controller *c;
    const struct alter_partition_request *request;
    int16_t version;
    const struct image_topic *topic; /* NULL: unknown */
    uint8_t *seen;                   /* a bit per partition: named once in this request */
    struct records *records;
    struct arena *arena;
};

static enum err alter_one(struct alter_topic *t, const alter_in *in, alter_out *out)
{
    struct controller *c = t->c;
    struct partition_alter alter = {.broker_id = t->request->broker_id,
                                    .leader_epoch = in->leader_epoch,
                                    .partition_epoch = in->partition_epoch,
                                    .recovery = in->leader_recovery_state};
    struct partition_change change;
    struct partition_decision decision;
    const struct image_partition *part;
    uint8_t bit;
    enum err err;

    if (t->topic == NULL) return ERR_UNKNOWN_TOPIC_ID;
    part = image_partition(t->topic, in->partition_index);
    if (part == NULL) return ERR_UNKNOWN_TOPIC_OR_PARTITION;
    /* The second of two would be decided on a state that the first has changed. */
    bit = (uint8_t)(1u << (in->partition_index & 7));
    if ((t->seen[in->partition_index >> 3] & bit) != 0) return ERR_INVALID_REQUEST;
    t->seen[in->partition_index >> 3] |= bit;
    err = proposed_isr(in, t->version, &c->arena, &alter);
    if (err != ERR_NONE) return err;
    err = partition_change_check(&c->image, part, &alter);
    if (err != ERR_NONE) return err;
    replication_control_change(c, t->topic, part, &change);
    change.target_isr = (struct image_ids){alter.isr, alter.isr_count};
    change.target_recovery = alter.recovery;
    change.election = replication_control_election(c, t->topic);
    partition_change_decide(&change, &decision);
    if (decision.changed)
        partition_change_put(&decision, t->topic->id, in->partition_index, t->records);
    err = fill_alter(out, part, &decision, t->arena);
    if (err != ERR_NONE) return err;
    /* The end of a reassignment took the sender out: its ISR is not what it believes. */
    return out->leader_id != t->request->broker_id ? ERR_NEW_LEADER_ELECTED : ERR_NONE;
}

static enum err alter_topic(struct alter_topic *t, const struct alter_partition_request_topic *in,
                            struct alter_partition_response_topic *out)
{
    uint32_t count = in->partitions_count;
    uint32_t bytes;

    t->topic = image_topic_by_id(&t->c->image, in->topic_id);
    bytes = t->topic != NULL ? (t->topic->partitions_count + 7) / 8 : 0;
    t->seen = arena_zalloc(&t->c->arena, bytes);
    out->topic_id = in->topic_id;
    out->partitions = arena_zalloc(t->arena, count * sizeof(*out->partitions));
    if (t->seen == NULL || out->partitions == NULL) return ERR_NO_MEMORY;
    out->partitions_count = count;
    for (uint32_t i = 0; i < count; i++) {
        alter_out *part = &out->partitions[i];
        enum err err = alter_one(t, &in->partitions[i], part);

        if (err == ERR_NO_MEMORY) return err;
        part->partition_index = in->partitions[i].partition_index;
        part->error_code = (int16_t)err;
        TRACE(t->c->env->world, CONTROLLER_ALTER, (int64_t)uuid_high(in->topic_id),
              part->partition_index, t->request->broker_id, in->partitions[i].leader_epoch,
              in->partitions[i].partition_epoch, err, t->request->broker_epoch);
    }
    return ERR_NONE;
}

/* A topic may stand in a request once; twice would get around `seen`. */
static bool topic_twice(const struct alter_partition_request *request)
{
    for (uint32_t i = 0; i < request->topics_count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (uuid_equal(request->topics[i].topic_id, request->topics[j].topic_id)) return true;
    return false;
}

enum err replication_control_alter(struct controller *c,
                                   const struct alter_partition_request *request, int16_t version,
                                   struct alter_partition_response *response, struct arena *arena)
{
    struct records records;
    struct alter_topic t = {
        .c = c, .request = request, .version = version, .records = &records, .arena = arena};
    enum err err = cluster_control_check_epoch(c, request->broker_id, request->broker_epoch);

    if (err == ERR_NONE && topic_twice(request)) err = ERR_INVALID_REQUEST;
    response->error_code = (int16_t)err;
    if (err != ERR_NONE) return ERR_NONE;
    response->topics = arena_zalloc(arena, request->topics_count * sizeof(*response->topics));
    if (response->topics == NULL) return ERR_NO_MEMORY;
    response->topics_count = request->topics_count;
    records_init(&records, &c->arena);
    for (uint32_t i = 0; i < request->topics_count; i++) {
        err = alter_topic(&t, &request->topics[i], &response->topics[i]);
        if (err != ERR_NONE) return err;
    }
    return controller_write(c, &records, CONTROLLER_SPLIT);
}

/* ---- DeleteTopics ---------------------------------------------------------------------------- */

struct deletion {
    struct str name;
    struct uuid id;
};

static enum err find_doomed(const struct controller *c, struct deletion *wanted,
                            const struct image_topic **topic)
{
    bool by_id = !uuid_is_zero(wanted->id);

    *topic = NULL;
    if (by_id == (wanted->name.data != NULL)) return ERR_INVALID_REQUEST; /* both, or neither */
    *topic = by_id ? image_topic_by_id(&c->image, wanted->id)
                   : image_topic_by_name(&c->image, wanted->name);
    if (*topic == NULL) return by_id ? ERR_UNKNOWN_TOPIC_ID : ERR_UNKNOWN_TOPIC_OR_PARTITION;
    return ERR_NONE;
}

static bool named_before(const struct image_topic **doomed, uint32_t count,
                         const struct image_topic *topic)
{
    for (uint32_t i = 0; i < count; i++)
        if (doomed[i] == topic) return true;
    return false;
}

enum err replication_control_keep_name(struct arena *arena, const struct image_topic *topic,
                                       struct str *name)
{
    char *copy = arena_alloc(arena, topic->name.length);

    if (copy == NULL) return ERR_NO_MEMORY;
    memcpy(copy, topic->name.data, topic->name.length);
    *name = (struct str){copy, topic->name.length};
    return ERR_NONE;
}

enum err replication_control_delete(struct controller *c,
                                    const struct delete_topics_request *request, int16_t version,
                                    struct delete_topics_response *response, struct arena *arena)
{
    uint32_t count = version >= 6 ? request->topics_count : request->topic_names_count;
    const struct image_topic **doomed =
        arena_zalloc(&c->arena, count * sizeof(struct image_topic *));
    struct records records;

    response->responses = arena_zalloc(arena, count * sizeof(*response->responses));
    if (doomed == NULL || response->responses == NULL) return ERR_NO_MEMORY;
    response->responses_count = count;
    records_init(&records, &c->arena);
    for (uint32_t i = 0; i < count; i++) {
        struct deletion wanted = {.name = version >= 6 ? request->topics[i].name
                                                       : request->topic_names[i]};
        struct delete_topics_response_topic *out = &response->responses[i];
        struct metadata_record *record;
        enum err err;

        if (version >= 6) wanted.id = request->topics[i].topic_id;
        out->name = wanted.name;
        out->topic_id = wanted.id;
        out->error_message = STR_NULL;
        err = find_doomed(c, &wanted, &doomed[i]);
        if (err == ERR_NONE && named_before(doomed, i, doomed[i])) err = ERR_INVALID_REQUEST;
        out->error_code = (int16_t)err;
        if (err != ERR_NONE) continue;
        err = replication_control_keep_name(arena, doomed[i], &out->name);
        if (err != ERR_NONE) return err;
        out->topic_id = doomed[i]->id;
        record = records_add(&records, RECORD_REMOVE_TOPIC);
        if (record != NULL) record->remove_topic.topic_id = doomed[i]->id;
    }
    return controller_write(c, &records, CONTROLLER_SPLIT);
}

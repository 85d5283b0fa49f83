#include "broker/controller/partition_change.h"

#include "client/base/text.h"

#include <string.h>

/* ---- small sets ------------------------------------------------------------------------------ */

static struct image_ids list_ids(const struct partition_list *list)
{
    return (struct image_ids){list->ids, list->count};
}

static bool list_has(const struct partition_list *list, int32_t id)
{
    return image_ids_contain(list_ids(list), id);
}

static void list_add(struct partition_list *list, int32_t id)
{
    ASSERT(list->count < IMAGE_REPLICAS_MAX);
    list->ids[list->count++] = id;
}

static void list_copy(struct partition_list *list, struct image_ids ids)
{
    *list = (struct partition_list){.count = 0};
    for (uint32_t i = 0; i < ids.count; i++)
        list_add(list, ids.ids[i]);
}

/* Takes out what is in `ids`; the others keep their order. */
static void list_drop(struct partition_list *list, struct image_ids ids)
{
    uint8_t kept = 0;

    for (uint32_t i = 0; i < list->count; i++)
        if (!image_ids_contain(ids, list->ids[i])) list->ids[kept++] = list->ids[i];
    list->count = kept;
}

/* Keeps what is in `of`. */
static void list_keep(struct partition_list *list, const struct partition_list *of)
{
    uint8_t kept = 0;

    for (uint32_t i = 0; i < list->count; i++)
        if (list_has(of, list->ids[i])) list->ids[kept++] = list->ids[i];
    list->count = kept;
}

static bool all_in(struct image_ids ids, const struct partition_list *list)
{
    for (uint32_t i = 0; i < ids.count; i++)
        if (!list_has(list, ids.ids[i])) return false;
    return true;
}

/* ---- the decision ---------------------------------------------------------------------------- */

void partition_change_init(struct partition_change *change, const struct image *image,
                           const struct image_partition *part)
{
    *change = (struct partition_change){.image = image,
                                        .part = part,
                                        .target_isr = image_isr(part),
                                        .target_replicas = image_replicas(part),
                                        .target_removing = image_removing(part),
                                        .target_adding = image_adding(part),
                                        .election = ELECTION_ONLINE,
                                        .target_recovery = -1,
                                        .leaving = PARTITION_CHANGE_NO_BROKER,
                                        .joining = PARTITION_CHANGE_NO_BROKER,
                                        .lost = PARTITION_CHANGE_NO_BROKER,
                                        .elr_enabled = partition_change_elr(image),
                                        .min_isr = 1};
}

/* Unfenced and not in controlled shutdown, as it will be when the change is made. */
static bool acceptable(const struct partition_change *change, int32_t id)
{
    if (id < 0 || id == change->leaving) return false;
    if (id == change->joining) return true;
    return image_broker_active(change->image, id);
}

static bool valid(const struct partition_change *change, const struct partition_decision *d,
                  int32_t id)
{
    bool from_elr = d->isr.count == 0 && list_has(&d->elr, id);

    return (list_has(&d->isr, id) || from_elr) && acceptable(change, id);
}

/* KIP-455: the reassignment is over as soon as everybody who was to come is in sync. */
static void finish_reassignment(struct partition_decision *d)
{
    struct image_ids removing = list_ids(&d->removing);
    struct image_ids adding = list_ids(&d->adding);
    struct partition_list replicas = d->replicas;
    struct partition_list isr = d->isr;

    if (removing.count == 0 && adding.count == 0) return;
    list_drop(&replicas, removing);
    list_drop(&isr, removing);
    if (replicas.count == 0 || isr.count == 0) return;
    if (!all_in(adding, &isr)) return;
    if (adding.count < removing.count && !all_in(list_ids(&replicas), &isr)) return;
    d->replicas = replicas;
    d->isr = isr;
    d->removing.count = 0;
    d->adding.count = 0;
}

/* KIP-966. DIFFERS: always within the new replicas; Kafka lets a removed replica stay (10). */
static void maintain_elr(const struct partition_change *change, struct partition_decision *d)
{
    struct image_ids old_isr = image_isr(change->part);
    struct partition_list elr = d->elr;

    if (!change->elr_enabled) {
        list_keep(&d->elr, &d->replicas); /* of a time when it was on */
        return;
    }
    if (d->isr.count >= change->min_isr) {
        d->elr.count = 0;
        d->last_known_elr.count = 0;
        return;
    }
    d->elr.count = 0;
    for (uint32_t i = 0; i < d->replicas.count; i++) {
        int32_t id = d->replicas.ids[i];

        if (id == change->lost) continue;
        if (!list_has(&elr, id) && !image_ids_contain(old_isr, id)) continue;
        if (!list_has(&d->isr, id)) list_add(&d->elr, id);
    }
}

struct elected {
    int32_t leader;
    bool unclean;
    bool last_known;
};

static int32_t first_valid(const struct partition_change *change,
                           const struct partition_decision *d)
{
    for (uint32_t i = 0; i < d->replicas.count; i++)
        if (valid(change, d, d->replicas.ids[i])) return d->replicas.ids[i];
    return IMAGE_NO_LEADER;
}

static struct elected elect(const struct partition_change *change,
                            const struct partition_decision *d)
{
    int32_t preferred = d->replicas.ids[0];
    int32_t now = change->part->leader;
    int32_t first = first_valid(change, d);

    if (change->election == ELECTION_PREFERRED && valid(change, d, preferred))
        return (struct elected){preferred, false, false};
    if (valid(change, d, now)) return (struct elected){now, false, false};
    if (first != IMAGE_NO_LEADER) return (struct elected){first, false, false};
    /* The last known leader, alone, is better than nobody; KAFKA-19522: if it is there. */
    if (change->elr_enabled && d->isr.count == 0 && d->elr.count == 0 &&
        d->last_known_elr.count == 1 && list_has(&d->replicas, d->last_known_elr.ids[0]) &&
        acceptable(change, d->last_known_elr.ids[0]))
        return (struct elected){d->last_known_elr.ids[0], true, true};
    if (change->election == ELECTION_UNCLEAN)
        for (uint32_t i = 0; i < d->replicas.count; i++)
            if (acceptable(change, d->replicas.ids[i]))
                return (struct elected){d->replicas.ids[i], true, false};
    return (struct elected){IMAGE_NO_LEADER, false, false};
}

static void try_election(const struct partition_change *change, struct partition_decision *d)
{
    const struct image_partition *part = change->part;
    struct elected elected = elect(change, d);

    if (elected.leader == part->leader) return;
    d->leader = elected.leader;
    if (elected.unclean) {
        d->unclean = true;
        d->last_known = elected.last_known;
        list_copy(&d->isr, (struct image_ids){&elected.leader, 1});
        d->elr.count = 0;
        if (part->recovery != IMAGE_RECOVERING) d->recovery = IMAGE_RECOVERING;
    } else if (elected.leader >= 0 && list_has(&d->elr, elected.leader)) {
        list_copy(&d->isr, (struct image_ids){&elected.leader, 1});
        list_drop(&d->elr, (struct image_ids){&elected.leader, 1});
        /* The high watermark moves again (R14). */
        if (d->isr.count >= change->min_isr) d->elr.count = 0;
    }
}

static bool replica_left(const struct image_partition *part, const struct partition_decision *d)
{
    return !all_in(image_replicas(part), &d->replicas);
}

static bool list_settle(struct partition_list *list, struct image_ids old)
{
    list->set = !image_ids_equal(list_ids(list), old);
    return list->set;
}

static void settle_last_known(const struct partition_change *change, struct partition_decision *d)
{
    if (!change->elr_enabled) return;
    if (d->leader == IMAGE_NO_LEADER && d->last_known_elr.count == 0 &&
        list_has(&d->replicas, change->part->leader))
        list_add(&d->last_known_elr, change->part->leader);
    else if (d->leader >= 0)
        d->last_known_elr.count = 0;
}

void partition_change_decide(const struct partition_change *change, struct partition_decision *d)
{
    const struct image_partition *part = change->part;

    *d = (struct partition_decision){.leader = PARTITION_CHANGE_SAME_LEADER, .recovery = -1};
    list_copy(&d->isr, change->target_isr);
    list_copy(&d->replicas, change->target_replicas);
    list_copy(&d->removing, change->target_removing);
    list_copy(&d->adding, change->target_adding);
    list_copy(&d->elr, image_elr(part));
    list_copy(&d->last_known_elr, image_last_known_elr(part));
    if (change->target_recovery != -1 && change->target_recovery != (int8_t)part->recovery)
        d->recovery = change->target_recovery;

    finish_reassignment(d);
    list_keep(&d->last_known_elr, &d->replicas); /* its log is deleted: it knows nothing */
    maintain_elr(change, d);
    try_election(change, d);
    /* Without ELR the last member stays, or nobody would know who has the data. */
    if (d->isr.count == 0 && !change->elr_enabled) {
        list_copy(&d->isr, image_isr(part));
        list_keep(&d->isr, &d->replicas);
    }
    if (d->leader == PARTITION_CHANGE_SAME_LEADER && replica_left(part, d))
        d->leader = part->leader;
    settle_last_known(change, d);

    d->changed = d->leader != PARTITION_CHANGE_SAME_LEADER || d->recovery != -1;
    if (list_settle(&d->isr, image_isr(part))) d->changed = true;
    if (list_settle(&d->replicas, image_replicas(part))) d->changed = true;
    if (list_settle(&d->removing, image_removing(part))) d->changed = true;
    if (list_settle(&d->adding, image_adding(part))) d->changed = true;
    if (list_settle(&d->elr, image_elr(part))) d->changed = true;
    if (list_settle(&d->last_known_elr, image_last_known_elr(part))) d->changed = true;
    if (change->touch && !d->changed) d->changed = d->isr.set = true;
}

/* ---- the record ------------------------------------------------------------------------------ */

static void put_list(const struct partition_list *list, struct records *records, int32_t **ids,
                     uint32_t *count, bool *null)
{
    if (!list->set) return;
    *ids = arena_alloc(records->arena, list->count * sizeof(int32_t));
    if (*ids == NULL) {
        records->error = ERR_NO_MEMORY;
        return;
    }
    memcpy(*ids, list->ids, list->count * sizeof(int32_t));
    *count = list->count;
    *null = false;
}

void partition_change_put(const struct partition_decision *d, struct uuid topic, int32_t index,
                          struct records *records)
{
    struct metadata_record *record;
    struct partition_change_record *r;

    ASSERT(d->changed);
    record = records_add(records, RECORD_PARTITION_CHANGE);
    if (record == NULL) return;
    record->last_known = d->last_known;
    r = &record->partition_change;
    r->topic_id = topic;
    r->partition_id = index;
    r->leader = d->leader;
    r->leader_recovery_state = d->recovery;
    put_list(&d->isr, records, &r->isr, &r->isr_count, &r->isr_null);
    put_list(&d->replicas, records, &r->replicas, &r->replicas_count, &r->replicas_null);
    put_list(&d->removing, records, &r->removing_replicas, &r->removing_replicas_count,
             &r->removing_replicas_null);
    put_list(&d->adding, records, &r->adding_replicas, &r->adding_replicas_count,
             &r->adding_replicas_null);
    put_list(&d->elr, records, &r->eligible_leader_replicas, &r->eligible_leader_replicas_count,
             &r->eligible_leader_replicas_null);
    put_list(&d->last_known_elr, records, &r->last_known_elr, &r->last_known_elr_count,
             &r->last_known_elr_null);
}

/* ---- AlterPartition -------------------------------------------------------------------------- */

static bool eligible(const struct image *image, int32_t id, int64_t epoch)
{
    const struct image_broker *broker = image_broker(image, id);

    if (broker == NULL || broker->fenced || broker->in_controlled_shutdown) return false;
    return epoch == -1 || epoch == broker->epoch; /* KIP-903 */
}

enum err partition_change_check(const struct image *image, const struct image_partition *part,
                                const struct partition_alter *alter)
{
    struct image_ids isr = {alter->isr, alter->isr_count};

    /* Newer than ours: we are a controller that was deposed and does not know it yet. */
    if (alter->leader_epoch > part->leader_epoch) return ERR_NOT_CONTROLLER;
    if (alter->partition_epoch > part->partition_epoch) return ERR_NOT_CONTROLLER;
    if (alter->leader_epoch < part->leader_epoch) return ERR_FENCED_LEADER_EPOCH;
    if (alter->broker_id != part->leader) return ERR_INVALID_REQUEST;
    if (alter->partition_epoch < part->partition_epoch) return ERR_INVALID_UPDATE_VERSION;
    if (isr.count > part->replicas_count) return ERR_INVALID_REQUEST;
    for (uint32_t i = 0; i < isr.count; i++) {
        if (!image_ids_contain(image_replicas(part), isr.ids[i])) return ERR_INVALID_REQUEST;
        if (image_ids_contain((struct image_ids){isr.ids, i}, isr.ids[i]))
            return ERR_INVALID_REQUEST;
    }
    if (!image_ids_contain(isr, part->leader)) return ERR_INVALID_REQUEST;
    if (alter->recovery != IMAGE_RECOVERED && alter->recovery != IMAGE_RECOVERING)
        return ERR_INVALID_REQUEST;
    if (alter->recovery == IMAGE_RECOVERING && isr.count > 1) return ERR_INVALID_REQUEST;
    if (alter->recovery == IMAGE_RECOVERING && part->recovery == IMAGE_RECOVERED)
        return ERR_INVALID_REQUEST;
    for (uint32_t i = 0; i < isr.count; i++)
        if (!eligible(image, isr.ids[i], alter->isr_epochs[i])) return ERR_INELIGIBLE_REPLICA;
    return ERR_NONE;
}

/* ---- configs that decide --------------------------------------------------------------------- */

/* Topic, else the cluster's default for all brokers, else null. */
static struct str topic_config(const struct image *image, struct str topic, struct str key)
{
    struct str value = image_config_value(image, IMAGE_RESOURCE_TOPIC, topic, key);

    if (value.data != NULL) return value;
    return image_config_value(image, IMAGE_RESOURCE_BROKER, STR(""), key);
}

bool partition_change_elr(const struct image *image)
{
    return image_feature_level(image, STR(PARTITION_CHANGE_ELR_FEATURE)) > 0;
}

static uint32_t min_isr_of(const struct image_topic *topic, struct str value, int32_t fallback)
{
    int64_t min = fallback;
    uint32_t replicas = topic->partitions_count > 0 ? topic->partitions[0].replicas_count : 1;

    /* Was validated when it was set; a number that does not parse leaves the default. */
    if (value.data == NULL || !text_parse_i64(value, &min)) min = fallback;
    if (min < 1) min = 1;
    return min > (int64_t)replicas ? replicas : (uint32_t)min;
}

uint32_t partition_change_min_isr(const struct image *image, const struct image_topic *topic,
                                  int32_t min_insync_default)
{
    struct str value = topic_config(image, topic->name, STR("min.insync.replicas"));

    return min_isr_of(topic, value, min_insync_default);
}

uint32_t partition_change_min_isr_with(const struct image *image, const struct image_topic *topic,
                                       int32_t min_insync_default, struct str name,
                                       struct str value)
{
    struct str key = STR("min.insync.replicas");
    struct str own = image_config_value(image, IMAGE_RESOURCE_TOPIC, topic->name, key);
    struct str all = image_config_value(image, IMAGE_RESOURCE_BROKER, STR(""), key);

    if (name.length == 0) {
        all = value;
    } else if (str_equal(name, topic->name)) {
        own = value;
    }
    return min_isr_of(topic, own.data != NULL ? own : all, min_insync_default);
}

bool partition_change_unclean(const struct image *image, const struct image_topic *topic,
                              bool unclean_default)
{
    struct str value = topic_config(image, topic->name, STR("unclean.leader.election.enable"));

    if (value.data == NULL) return unclean_default;
    return str_equal(value, STR("true"));
}

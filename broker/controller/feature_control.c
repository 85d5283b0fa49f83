/* UpdateFeatures (KIP-584, KIP-1022): the levels of features that count in the cluster. A level
 * goes up when this controller, every registered broker and every registered controller know it,
 * and what it depends on is there; all updates of a request, or none.
 *
 *   metadata.version                   down: only where no record that it brought could be lost
 *                                      (SAFE); Kafka refuses the unsafe kind, and so does this
 *   kraft.version                      0 to 1, by the quorum itself; never down
 *   eligible.leader.replicas.version   needs metadata.version 23; the cluster's min.insync.replicas
 *                                      goes to the log with it
 *   group.version                      0 and 1, either way: at 0 the brokers refuse the APIs of
 *                                      KIP-848, and what its groups left is kept
 *
 * DIFFERS: metadata.version begins at 17 (3.7-IV2), not 7: directories of replicas are always
 * written. */
#include "broker/controller/controller_parts.h"

#include "client/base/text.h"

enum { FEATURE_UPGRADE = 1, FEATURE_SAFE_DOWNGRADE = 2, FEATURE_UNSAFE_DOWNGRADE = 3 };
enum { FEATURE_ELR_NEEDS = 23 };

struct feature_update {
    struct controller *c;
    const struct update_features_request *request;
    int16_t version; /* of the request */
    struct records *records;
    bool kraft; /* kraft.version goes to 1 */
    char *why;  /* FEATURE_WHY_MAX */
};
enum { FEATURE_WHY_MAX = 200 };

static enum err refuse(struct feature_update *u, struct str feature, int16_t level, const char *why)
{
    struct text text;

    text_init(&text, u->why, FEATURE_WHY_MAX);
    text_format(&text, "Invalid update version %d for feature %S. %s", (int)level, feature, why);
    return ERR_INVALID_UPDATE_VERSION;
}

static enum err refuse_node(struct feature_update *u, struct str feature, int16_t level,
                            const char *kind, int32_t id)
{
    char why[64];
    struct text text;

    text_init(&text, why, sizeof why);
    text_format(&text, "%s %d does not support it.", kind, id);
    return refuse(u, feature, level, why);
}

/* Levels at which a metadata record changed: going below one could lose what it says. */
static bool metadata_changed(int16_t level)
{
    return level == 17 || level == 20 || level == 23;
}

static const struct features_range *own_range(const struct controller *c, struct str feature)
{
    for (uint32_t i = 0; i < FEATURES_COUNT; i++)
        if (str_equal(c->config.features[i].name, feature)) return &c->config.features[i];
    return NULL;
}

/* Without a word about a feature a node knows its level 0 only. */
static bool knows(const struct image_feature *features, uint32_t count, struct str feature,
                  int16_t level)
{
    for (uint32_t i = 0; i < count; i++)
        if (str_equal(features[i].name, feature))
            return level == 0 || (level >= features[i].min && level <= features[i].max);
    return level == 0;
}

static enum err check_nodes(struct feature_update *u, struct str feature, int16_t level)
{
    struct controller *c = u->c;
    const struct features_range *own = own_range(c, feature);
    bool metadata = str_equal(feature, STR(FEATURES_METADATA_VERSION));

    if (own == NULL) return refuse(u, feature, level, "The controller does not know this feature.");
    if (level > own->max || (level < own->min && (level != 0 || metadata)))
        return refuse_node(u, feature, level, "Controller", c->config.node_id);
    MAP_FOR_EACH (node, &c->image.brokers) {
        const struct image_broker *broker = MAP_ENTRY(node, struct image_broker, node);

        if (!knows(broker->features, broker->features_count, feature, level))
            return refuse_node(u, feature, level, "Broker", broker->id);
    }
    MAP_FOR_EACH (node, &c->image.controllers) {
        const struct image_controller *other = MAP_ENTRY(node, struct image_controller, node);

        if (!knows(other->features, other->features_count, feature, level))
            return refuse_node(u, feature, level, "Controller", other->id);
    }
    return ERR_NONE;
}

/* The level of another feature as it will be after this request. */
static int16_t level_after(const struct feature_update *u, struct str feature)
{
    for (uint32_t i = 0; i < u->request->feature_updates_count; i++)
        if (str_equal(u->request->feature_updates[i].feature, feature))
            return u->request->feature_updates[i].max_version_level;
    return image_feature_level(&u->c->image, feature);
}

static enum err check_metadata(struct feature_update *u, int16_t from, int16_t to, int8_t how)
{
    const struct str name = STR(FEATURES_METADATA_VERSION);

    if (to < from && how == FEATURE_UNSAFE_DOWNGRADE)
        return refuse(u, name, to, "Unsafe metadata downgrade is not supported in this version.");
    for (int16_t level = from; level > to; level--)
        if (metadata_changed(level))
            return refuse(u, name, to,
                          "Refusing to perform the requested downgrade because it might delete "
                          "metadata information.");
    if (to < FEATURE_ELR_NEEDS && level_after(u, STR(FEATURES_ELR_VERSION)) > 0)
        return refuse(u, name, to, "eligible.leader.replicas.version needs at least 23.");
    return ERR_NONE;
}

static enum err check_one(struct feature_update *u,
                          const struct update_features_request_feature_update_key *key)
{
    bool kraft = str_equal(key->feature, STR(FEATURES_KRAFT_VERSION));
    struct controller_quorum *quorum = u->c->quorum;
    int16_t from = kraft && quorum->ops->kraft_version != NULL
                       ? quorum->ops->kraft_version(quorum)
                       : image_feature_level(&u->c->image, key->feature);
    int16_t to = key->max_version_level;
    int8_t how = key->upgrade_type;
    enum err err;

    if (u->version == 0) how = key->allow_downgrade ? FEATURE_SAFE_DOWNGRADE : FEATURE_UPGRADE;
    if (how < FEATURE_UPGRADE || how > FEATURE_UNSAFE_DOWNGRADE)
        return refuse(u, key->feature, to,
                      "The controller does not support the given upgrade type.");
    if (to < 0) return refuse(u, key->feature, to, "A feature version cannot be less than 0.");
    err = check_nodes(u, key->feature, to);
    if (err != ERR_NONE) return err;
    if (to < from && how == FEATURE_UPGRADE)
        return refuse(u, key->feature, to,
                      "Can't downgrade the version of this feature without setting the upgrade "
                      "type to either safe or unsafe downgrade.");
    if (to > from && how != FEATURE_UPGRADE)
        return refuse(u, key->feature, to, "Can't downgrade to a newer version.");
    if (kraft && to < from)
        return refuse(u, key->feature, to, "kraft.version cannot be downgraded.");
    if (str_equal(key->feature, STR(FEATURES_METADATA_VERSION)))
        return check_metadata(u, from, to, how);
    if (str_equal(key->feature, STR(FEATURES_ELR_VERSION)) && to > 0 &&
        level_after(u, STR(FEATURES_METADATA_VERSION)) < FEATURE_ELR_NEEDS)
        return refuse(u, key->feature, to, "It needs metadata.version 23.");
    u->kraft = u->kraft || (kraft && to > from);
    return ERR_NONE;
}

static bool asked_twice(const struct update_features_request *request, uint32_t at)
{
    for (uint32_t i = 0; i < at; i++)
        if (str_equal(request->feature_updates[i].feature, request->feature_updates[at].feature))
            return true;
    return false;
}

static void add_level(struct feature_update *u,
                      const struct update_features_request_feature_update_key *key)
{
    struct metadata_record *record;

    if (str_equal(key->feature, STR(FEATURES_KRAFT_VERSION))) return; /* the quorum's own */
    if (image_feature_level(&u->c->image, key->feature) == key->max_version_level) return;
    record = records_add(u->records, RECORD_FEATURE_LEVEL);
    if (record == NULL) return;
    record->feature_level.name = key->feature;
    record->feature_level.feature_level = key->max_version_level;
    if (str_equal(key->feature, STR(FEATURES_ELR_VERSION)) && key->max_version_level > 0)
        feature_control_elr_safety(u->c, u->records);
}

static enum err update(struct feature_update *u)
{
    const struct update_features_request *request = u->request;
    struct controller_quorum *quorum = u->c->quorum;
    const char *why = NULL;
    int64_t offset = -1;
    enum err err = ERR_NONE;

    for (uint32_t i = 0; i < request->feature_updates_count && err == ERR_NONE; i++) {
        if (asked_twice(request, i)) {
            err = ERR_INVALID_REQUEST;
        } else {
            err = check_one(u, &request->feature_updates[i]);
        }
    }
    if (err != ERR_NONE) return err;
    for (uint32_t i = 0; i < request->feature_updates_count && !request->validate_only; i++)
        add_level(u, &request->feature_updates[i]);
    if (u->records->error != ERR_NONE) return u->records->error;
    if (u->kraft) { /* last, but known to succeed: it cannot be taken back */
        if (quorum->ops->raise_kraft_version == NULL) return ERR_INVALID_UPDATE_VERSION;
        err = quorum->ops->raise_kraft_version(quorum, true, &offset, &why);
        if (err == ERR_INVALID_UPDATE_VERSION)
            return refuse(u, STR(FEATURES_KRAFT_VERSION), 1, why != NULL ? why : "");
    }
    if (err == ERR_NONE && u->records->count > 0)
        err = controller_write(u->c, u->records, CONTROLLER_ATOMIC);
    if (err == ERR_NONE && u->kraft && !request->validate_only) {
        err = quorum->ops->raise_kraft_version(quorum, false, &offset, &why);
        if (err == ERR_NONE && offset > u->c->written) u->c->written = offset;
    }
    return err;
}

/* What a client of version 0 or 1 reads of each feature. */
static enum err fill_results(const struct update_features_request *request, enum err err,
                             struct update_features_response *response, struct arena *arena)
{
    uint32_t count = request->feature_updates_count;

    if (err != ERR_NONE) return ERR_NONE;
    response->results = arena_zalloc(arena, (count > 0 ? count : 1) * sizeof *response->results);
    if (response->results == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        response->results[i].feature = request->feature_updates[i].feature;
        response->results[i].error_message = STR_NULL;
    }
    response->results_count = count;
    return ERR_NONE;
}

enum err feature_control_update(struct controller *c, const struct update_features_request *request,
                                int16_t version, struct update_features_response *response,
                                struct arena *arena)
{
    struct records records;
    struct feature_update u = {.c = c,
                               .request = request,
                               .version = version,
                               .records = &records,
                               .why = arena_zalloc(arena, FEATURE_WHY_MAX)};
    enum err err;

    if (u.why == NULL) return ERR_NO_MEMORY;
    response->error_message = STR_NULL;
    records_init(&records, &c->arena);
    err = update(&u);
    if (err != ERR_NONE && err != ERR_INVALID_UPDATE_VERSION && err != ERR_INVALID_REQUEST &&
        err != ERR_REQUEST_TIMED_OUT)
        return err;
    response->error_code = (int16_t)err;
    if (err != ERR_NONE && u.why[0] != '\0') response->error_message = str_of(u.why);
    return version <= 1 ? fill_results(request, err, response, arena) : ERR_NONE;
}

/* KIP-966: one min.insync.replicas for all stands in the log while the feature is on: what a
 * controller decides by must be what a leader holds its high watermark by. */
void feature_control_elr_safety(const struct controller *c, struct records *records)
{
    struct metadata_record *record;
    struct text text;
    char *value;

    if (image_config_value(&c->image, IMAGE_RESOURCE_BROKER, STR(""), STR("min.insync.replicas"))
            .data != NULL)
        return;
    value = arena_alloc(records->arena, 24);
    record = records_add(records, RECORD_CONFIG);
    if (record == NULL) return;
    if (value == NULL) {
        records->error = ERR_NO_MEMORY;
        return;
    }
    text_init(&text, value, 24);
    text_i64(&text, c->config.min_insync_replicas);
    record->config.resource_type = IMAGE_RESOURCE_BROKER;
    record->config.resource_name = STR("");
    record->config.name = STR("min.insync.replicas");
    record->config.value = text_view(&text);
}

/* A node that registers knows every level that counts. One that we do not know ourselves stands in
 * a directory that Kafka wrote (group.version, transaction.version), and holds nobody back. */
enum err feature_control_admits(const struct controller *c, const struct image_feature *features,
                                uint32_t count)
{
    for (uint32_t i = 0; i < c->image.features_count; i++) {
        const struct image_feature *level = &c->image.features[i];
        const struct features_range *own = own_range(c, level->name);

        if (own == NULL || level->max > own->max) continue;
        if (level->max != 0 && !knows(features, count, level->name, level->max))
            return ERR_UNSUPPORTED_VERSION;
    }
    return ERR_NONE;
}

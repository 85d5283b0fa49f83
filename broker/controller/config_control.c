/* AlterConfigs and IncrementalAlterConfigs: each resource is accepted or refused as a whole; the
 * accepted ones become one atomic batch (KIP-339). A setting that stays as it is writes nothing. */
#include "broker/controller/controller_parts.h"
#include "broker/controller/partition_change.h"
#include "broker/topic_config.h"
#include "client/base/text.h"

#include <string.h>

enum { OPERATION_SET, OPERATION_DELETE, OPERATION_APPEND, OPERATION_SUBTRACT };

/* One resource of either request. */
struct alteration {
    struct controller *c;
    int8_t type;
    struct str name;
    const char *why; /* out: of an error */
};

static enum err refuse(struct alteration *a, enum err err, const char *why)
{
    a->why = why;
    return err;
}

static enum err check_resource(struct alteration *a)
{
    int64_t id;

    switch (a->type) {
    case IMAGE_RESOURCE_TOPIC:
        if (image_topic_by_name(&a->c->image, a->name) != NULL) return ERR_NONE;
        return refuse(a, ERR_UNKNOWN_TOPIC_OR_PARTITION, "The topic does not exist.");
    case IMAGE_RESOURCE_BROKER:
        if (a->name.length == 0) return ERR_NONE;
        if (!text_parse_i64(a->name, &id) || id < 0 || id > INT32_MAX)
            return refuse(a, ERR_INVALID_REQUEST,
                          "A broker resource is named by a number, or by nothing for all.");
        if (image_broker(&a->c->image, (int32_t)id) != NULL) return ERR_NONE;
        return refuse(a, ERR_BROKER_ID_NOT_REGISTERED, "No broker of this id is registered.");
    default: return refuse(a, ERR_INVALID_REQUEST, "Only topics and brokers can be configured.");
    }
}

static enum err check_setting(struct alteration *a, struct str key, struct str value)
{
    const char *wrong = a->type == IMAGE_RESOURCE_TOPIC
                            ? topic_config_check(key, value)
                            : topic_config_check_broker(key, value, a->name.length == 0);

    return wrong == NULL ? ERR_NONE : refuse(a, ERR_INVALID_CONFIG, wrong);
}

/* Of a topic, or of all. */
static bool is_min_isr(const struct alteration *a, struct str key)
{
    return str_equal(key, STR("min.insync.replicas")) &&
           (a->type == IMAGE_RESOURCE_TOPIC || a->name.length == 0);
}

/* KIP-966: controllers and leaders go by the value in the log. */
static enum err check_needed(struct alteration *a, struct str key, struct str value)
{
    if (value.data != NULL || a->type != IMAGE_RESOURCE_BROKER) return ERR_NONE;
    if (!is_min_isr(a, key) || !partition_change_elr(&a->c->image)) return ERR_NONE;
    return refuse(a, ERR_INVALID_CONFIG,
                  "Eligible leader replicas need the cluster's min.insync.replicas.");
}

/* Null value: the setting goes. */
static void put(struct alteration *a, struct str key, struct str value, struct records *records)
{
    struct str old = image_config_value(&a->c->image, a->type, a->name, key);
    struct str topic = a->type == IMAGE_RESOURCE_TOPIC ? a->name : STR("");
    bool min_isr = is_min_isr(a, key);
    struct metadata_record *record;

    if (old.data == NULL && value.data == NULL) return;
    if (old.data != NULL && value.data != NULL && str_equal(old, value)) return;
    if (min_isr) replication_control_min_isr(a->c, topic, value, false, records);
    record = records_add(records, RECORD_CONFIG);
    if (record == NULL) return;
    record->config.resource_type = a->type;
    record->config.resource_name = a->name;
    record->config.name = key;
    record->config.value = value;
    if (min_isr) replication_control_min_isr(a->c, topic, value, true, records);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static bool next_word(struct str *rest, struct str *word)
{
    uint32_t length = 0;

    if (rest->data == NULL || rest->length == 0) return false;
    while (length < rest->length && rest->data[length] != ',')
        length++;
    *word = (struct str){rest->data, length};
    if (length == rest->length) {
        *rest = STR_NULL;
    } else {
        *rest = (struct str){rest->data + length + 1, rest->length - length - 1};
    }
    return true;
}

static bool has_word(struct str list, struct str wanted)
{
    struct str word;

    while (next_word(&list, &word))
        if (str_equal(word, wanted)) return true;
    return false;
}

/* Words of `from` that are (or are not) in `other`, behind what is there. */
static void add_words(struct text *out, struct str from, struct str other)
{
    struct str word;

    while (next_word(&from, &word)) {
        if (has_word(other, word)) continue;
        if (text_view(out).length > 0) text_char(out, ',');
        text_str(out, word);
    }
}

/* The list after KIP-339's append or subtract; it starts from the topic's own value, or the
 * default. */
static enum err change_list(struct alteration *a, struct str key, int8_t operation,
                            struct str *value)
{
    const struct topic_config_key *known = topic_config_find(key);
    struct str old = image_config_value(&a->c->image, a->type, a->name, key);
    struct text out;
    char *room;

    if (a->type != IMAGE_RESOURCE_TOPIC || known == NULL || known->kind != TOPIC_CONFIG_LIST)
        return refuse(a, ERR_INVALID_CONFIG, "Only a list can be appended to or subtracted from.");
    if (value->data == NULL) return refuse(a, ERR_INVALID_CONFIG, "The value is missing.");
    if (old.data == NULL) old = str_of(known->fallback);
    room = arena_alloc(&a->c->arena, (size_t)old.length + value->length + 2);
    if (room == NULL) return ERR_NO_MEMORY;
    text_init(&out, room, (size_t)old.length + value->length + 2);
    if (operation == OPERATION_APPEND) {
        text_str(&out, old);
        add_words(&out, *value, old);
    } else {
        add_words(&out, old, *value);
    }
    *value = text_view(&out);
    return ERR_NONE;
}

/* ---- one resource ---------------------------------------------------------------------------- */

static enum err incremental_one(struct alteration *a,
                                const struct incremental_alter_configs_request_resource *in,
                                struct records *records)
{
    struct str *values = arena_alloc(&a->c->arena, (in->configs_count + 1) * sizeof *values);
    enum err err = check_resource(a);

    if (err != ERR_NONE) return err;
    if (values == NULL) return ERR_NO_MEMORY;
    if (in->configs_count > IMAGE_CONFIGS_MAX)
        return refuse(a, ERR_INVALID_REQUEST, "Too many configs of one resource.");
    for (uint32_t i = 0; i < in->configs_count; i++) {
        struct str key = in->configs[i].name;

        values[i] = in->configs[i].value;
        for (uint32_t j = 0; j < i; j++)
            if (str_equal(key, in->configs[j].name))
                return refuse(a, ERR_INVALID_REQUEST, "A config is named twice.");
        switch (in->configs[i].config_operation) {
        case OPERATION_SET: break;
        case OPERATION_DELETE: values[i] = STR_NULL; continue;
        case OPERATION_APPEND:
        case OPERATION_SUBTRACT:
            err = change_list(a, key, in->configs[i].config_operation, &values[i]);
            if (err != ERR_NONE) return err;
            break;
        default: return refuse(a, ERR_INVALID_REQUEST, "Unknown operation.");
        }
        err = check_setting(a, key, values[i]);
        if (err != ERR_NONE) return err;
    }
    for (uint32_t i = 0; i < in->configs_count; i++) {
        err = check_needed(a, in->configs[i].name, values[i]);
        if (err != ERR_NONE) return err;
    }
    for (uint32_t i = 0; records != NULL && i < in->configs_count; i++)
        put(a, in->configs[i].name, values[i], records);
    return ERR_NONE;
}

static enum err replace_one(struct alteration *a, const struct alter_configs_request_resource *in,
                            struct records *records)
{
    const struct image_resource *old = image_resource(&a->c->image, a->type, a->name);
    enum err err = check_resource(a);

    if (err != ERR_NONE) return err;
    if (in->configs_count > IMAGE_CONFIGS_MAX)
        return refuse(a, ERR_INVALID_REQUEST, "Too many configs of one resource.");
    for (uint32_t i = 0; i < in->configs_count; i++) {
        for (uint32_t j = 0; j < i; j++)
            if (str_equal(in->configs[i].name, in->configs[j].name))
                return refuse(a, ERR_INVALID_REQUEST, "A config is named twice.");
        err = check_setting(a, in->configs[i].name, in->configs[i].value);
        if (err != ERR_NONE) return err;
    }
    if (records == NULL) return ERR_NONE;
    for (uint32_t i = 0; i < in->configs_count; i++)
        put(a, in->configs[i].name, in->configs[i].value, records);
    if (old == NULL) return ERR_NONE;
    LIST_FOR_EACH (link, &old->configs) {
        const struct image_config *config = LIST_ENTRY(link, struct image_config, link);
        bool kept = false;

        for (uint32_t i = 0; i < in->configs_count; i++)
            kept = kept || str_equal(config->key, in->configs[i].name);
        if (!kept && check_needed(a, config->key, STR_NULL) == ERR_NONE)
            put(a, config->key, STR_NULL, records);
    }
    return ERR_NONE;
}

/* DIFFERS: in pieces when min.insync.replicas touches more partitions than a batch has records. */
static enum err write_settings(struct controller *c, struct records *records)
{
    bool fits =
        records->count <= RECORDS_BATCH_MAX && records->bytes <= RECORDS_BATCH_BYTES_MAX / 2;

    return controller_write(c, records, fits ? CONTROLLER_ATOMIC : CONTROLLER_SPLIT);
}

/* ---- the requests ---------------------------------------------------------------------------- */

enum err config_control_incremental(struct controller *c,
                                    const struct incremental_alter_configs_request *request,
                                    struct incremental_alter_configs_response *response,
                                    struct arena *arena)
{
    uint32_t count = request->resources_count;
    struct records records;

    response->responses = arena_zalloc(arena, (count + 1) * sizeof *response->responses);
    if (response->responses == NULL) return ERR_NO_MEMORY;
    response->responses_count = count;
    records_init(&records, &c->arena);
    for (uint32_t i = 0; i < count; i++) {
        const struct incremental_alter_configs_request_resource *in = &request->resources[i];
        struct alteration a = {c, in->resource_type, in->resource_name, NULL};
        enum err err = ERR_NONE;

        for (uint32_t j = 0; j < count; j++)
            if (j != i && request->resources[j].resource_type == a.type &&
                str_equal(request->resources[j].resource_name, a.name))
                err = refuse(&a, ERR_INVALID_REQUEST, "A resource is named twice.");
        if (err == ERR_NONE)
            err = incremental_one(&a, in, request->validate_only ? NULL : &records);
        if (err == ERR_NO_MEMORY) return err;
        response->responses[i].error_code = (int16_t)err;
        response->responses[i].error_message = a.why != NULL ? str_of(a.why) : STR_NULL;
        response->responses[i].resource_type = a.type;
        response->responses[i].resource_name = a.name;
    }
    return write_settings(c, &records);
}

enum err config_control_replace(struct controller *c, const struct alter_configs_request *request,
                                struct alter_configs_response *response, struct arena *arena)
{
    uint32_t count = request->resources_count;
    struct records records;

    response->responses = arena_zalloc(arena, (count + 1) * sizeof *response->responses);
    if (response->responses == NULL) return ERR_NO_MEMORY;
    response->responses_count = count;
    records_init(&records, &c->arena);
    for (uint32_t i = 0; i < count; i++) {
        const struct alter_configs_request_resource *in = &request->resources[i];
        struct alteration a = {c, in->resource_type, in->resource_name, NULL};
        enum err err = ERR_NONE;

        for (uint32_t j = 0; j < count; j++)
            if (j != i && request->resources[j].resource_type == a.type &&
                str_equal(request->resources[j].resource_name, a.name))
                err = refuse(&a, ERR_INVALID_REQUEST, "A resource is named twice.");
        if (err == ERR_NONE) err = replace_one(&a, in, request->validate_only ? NULL : &records);
        if (err == ERR_NO_MEMORY) return err;
        response->responses[i].error_code = (int16_t)err;
        response->responses[i].error_message = a.why != NULL ? str_of(a.why) : STR_NULL;
        response->responses[i].resource_type = a.type;
        response->responses[i].resource_name = a.name;
    }
    return write_settings(c, &records);
}

/* CreateTopics: each topic is accepted or refused on its own; the accepted ones become one atomic
 * batch (replication.md 10, KIP-464 for -1, KIP-525 for what the answer tells). */
#include "broker/controller/controller_parts.h"
#include "broker/controller/placement.h"
#include "broker/topic_config.h"

#include <string.h>

typedef struct create_topics_request_topic create_in;
typedef struct create_topics_response_topic create_out;

enum { TOPIC_NAME_MAX = 249, CONFIG_SOURCE_TOPIC = 1 };

struct creation {
    struct controller *c;
    const struct create_topics_request *request;
    struct records *records;
    struct arena *arena; /* of the response */
    uint32_t partitions; /* accepted so far */
    uint32_t topics;
};

/* What became of one topic. */
struct layout {
    int32_t *replicas; /* partitions times factor, back to back */
    uint32_t partitions;
    uint32_t factor;
};

static enum err refuse(create_out *out, enum err err, const char *why)
{
    out->error_message = str_of(why);
    return err;
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static const char *check_name(struct str name)
{
    if (name.length == 0) return "Topic name is invalid: the empty string is not allowed";
    if (str_equal(name, STR(".")) || str_equal(name, STR("..")))
        return "Topic name is invalid: '.' or '..' is not allowed";
    if (name.length > TOPIC_NAME_MAX)
        return "Topic name is invalid: the length is longer than the max allowed length 249";
    for (uint32_t i = 0; i < name.length; i++)
        if (!name_character(name.data[i]))
            return "Topic name is invalid: it contains one or more characters other than ASCII "
                   "alphanumerics, '.', '_' and '-'";
    return NULL;
}

/* '.' and '_' are the same in the names of metrics, so names that differ only there collide. */
static bool collides(struct str a, struct str b)
{
    if (a.length != b.length || str_equal(a, b)) return false;
    for (uint32_t i = 0; i < a.length; i++) {
        char x = a.data[i] == '.' ? '_' : a.data[i];
        char y = b.data[i] == '.' ? '_' : b.data[i];

        if (x != y) return false;
    }
    return true;
}

static bool collides_with_any(const struct creation *creation, const create_in *in)
{
    if (memchr(in->name.data, '.', in->name.length) == NULL &&
        memchr(in->name.data, '_', in->name.length) == NULL)
        return false;
    MAP_FOR_EACH (node, &creation->c->image.topics_by_id)
        if (collides(in->name, MAP_ENTRY(node, struct image_topic, by_id)->name)) return true;
    for (const create_in *other = creation->request->topics; other < in; other++)
        if (collides(in->name, other->name)) return true;
    return false;
}

static bool named_twice(const struct create_topics_request *request, uint32_t index)
{
    for (uint32_t i = 0; i < request->topics_count; i++)
        if (i != index && str_equal(request->topics[i].name, request->topics[index].name))
            return true;
    return false;
}

/* ---- where the replicas go ------------------------------------------------------------------- */

static enum err manual_partition(const struct creation *creation, const create_in *in,
                                 create_out *out, uint32_t index, struct layout *layout)
{
    const struct image *image = &creation->c->image;
    const struct create_topics_request_assignment *found = NULL;
    bool active = false;

    /* Usually they come in order. */
    if (in->assignments[index].partition_index == (int32_t)index) found = &in->assignments[index];
    for (uint32_t i = 0; found == NULL && i < in->assignments_count; i++)
        if (in->assignments[i].partition_index == (int32_t)index) found = &in->assignments[i];
    if (found == NULL)
        return refuse(out, ERR_INVALID_REPLICA_ASSIGNMENT,
                      "Partitions should be a consecutive 0-based integer sequence.");
    if (found->broker_ids_count != layout->factor)
        return refuse(out, ERR_INVALID_REPLICA_ASSIGNMENT,
                      "All partitions must have the same number of replicas.");
    for (uint32_t i = 0; i < layout->factor; i++) {
        int32_t id = found->broker_ids[i];

        if (image_ids_contain((struct image_ids){found->broker_ids, i}, id))
            return refuse(out, ERR_INVALID_REPLICA_ASSIGNMENT,
                          "The manual partition assignment names a broker more than once.");
        if (image_broker(image, id) == NULL)
            return refuse(out, ERR_INVALID_REPLICA_ASSIGNMENT,
                          "The manual partition assignment names a broker that is not registered.");
        if (image_broker_active(image, id)) active = true;
        layout->replicas[index * layout->factor + i] = id;
    }
    if (!active)
        return refuse(out, ERR_INVALID_REPLICA_ASSIGNMENT,
                      "All brokers specified in the manual partition assignment are fenced or in "
                      "controlled shutdown.");
    return ERR_NONE;
}

static enum err manual_layout(const struct creation *creation, const create_in *in, create_out *out,
                              struct layout *layout)
{
    if (in->replication_factor != -1 || in->num_partitions != -1)
        return refuse(out, ERR_INVALID_REQUEST,
                      "A manual partition assignment was specified, but partitions or replication "
                      "factor were not set to -1.");
    layout->partitions = in->assignments_count;
    layout->factor = in->assignments[0].broker_ids_count;
    if (layout->factor == 0 || layout->factor > IMAGE_REPLICAS_MAX)
        return refuse(out, ERR_INVALID_REPLICA_ASSIGNMENT,
                      "The manual partition assignment includes an empty replica list, or one "
                      "that is too long.");
    if (layout->partitions > RECORDS_BATCH_MAX)
        return refuse(out, ERR_POLICY_VIOLATION, "Excessively large number of partitions.");
    layout->replicas =
        arena_alloc(&creation->c->arena, sizeof(int32_t) * layout->partitions * layout->factor);
    if (layout->replicas == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < layout->partitions; i++) {
        enum err err = manual_partition(creation, in, out, i, layout);

        if (err != ERR_NONE) return err;
    }
    return ERR_NONE;
}

static enum err striped_layout(const struct creation *creation, const create_in *in,
                               create_out *out, struct layout *layout)
{
    struct controller *c = creation->c;
    struct placement_broker *brokers =
        arena_alloc(&c->arena, c->image.brokers.count * sizeof(*brokers));
    int32_t partitions = in->num_partitions == -1 ? c->config.num_partitions : in->num_partitions;
    int32_t factor = in->replication_factor == -1 ? c->config.default_replication_factor
                                                  : in->replication_factor;
    uint32_t usable = 0;
    enum err err;

    if (brokers == NULL) return ERR_NO_MEMORY;
    if (factor <= 0)
        return refuse(out, ERR_INVALID_REPLICATION_FACTOR,
                      "Replication factor must be larger than 0, or -1 to use the default value.");
    if (partitions <= 0)
        return refuse(
            out, ERR_INVALID_PARTITIONS,
            "Number of partitions must be larger than 0, or -1 to use the default value.");
    if (partitions > RECORDS_BATCH_MAX)
        return refuse(out, ERR_POLICY_VIOLATION, "Excessively large number of partitions.");
    MAP_FOR_EACH (node, &c->image.brokers) {
        const struct image_broker *broker = MAP_ENTRY(node, struct image_broker, node);

        if (broker->in_controlled_shutdown) continue;
        brokers[usable++] = (struct placement_broker){broker->id, broker->rack, broker->fenced};
    }
    layout->partitions = (uint32_t)partitions;
    layout->factor = (uint32_t)factor;
    err = layout->factor > IMAGE_REPLICAS_MAX
              ? ERR_INVALID_REPLICATION_FACTOR
              : placement_place(brokers, usable,
                                (struct placement_order){layout->partitions, layout->factor},
                                &c->placement, &c->arena, &layout->replicas);
    if (err == ERR_INVALID_REPLICATION_FACTOR)
        return refuse(out, err,
                      "Unable to replicate the partition: the replication factor is larger than "
                      "the number of usable brokers, or all brokers are fenced.");
    return err;
}

/* ---- one topic ------------------------------------------------------------------------------- */

static enum err check_configs(const create_in *in, create_out *out)
{
    if (in->configs_count > IMAGE_CONFIGS_MAX)
        return refuse(out, ERR_INVALID_CONFIG, "Too many topic configs.");
    for (uint32_t i = 0; i < in->configs_count; i++) {
        const char *wrong = topic_config_check(in->configs[i].name, in->configs[i].value);

        if (wrong != NULL) return refuse(out, ERR_INVALID_CONFIG, wrong);
        for (uint32_t j = 0; j < i; j++)
            if (str_equal(in->configs[i].name, in->configs[j].name))
                return refuse(out, ERR_INVALID_CONFIG, "A topic config is set twice.");
    }
    return ERR_NONE;
}

static enum err check_room(const struct creation *creation, const create_in *in, create_out *out,
                           const struct layout *layout)
{
    const struct image *image = &creation->c->image;
    uint64_t partitions =
        (uint64_t)image->partitions_count + creation->partitions + layout->partitions;
    uint64_t records =
        (uint64_t)creation->records->count + 1 + in->configs_count + layout->partitions;

    if (records > RECORDS_BATCH_MAX)
        return refuse(out, ERR_POLICY_VIOLATION,
                      "Excessively large number of partitions per request.");
    if (partitions > creation->c->config.limits.partitions_max ||
        image->topics_by_id.count + creation->topics >= creation->c->config.limits.topics_max)
        return refuse(out, ERR_POLICY_VIOLATION, "The cluster's limit of topics or partitions.");
    return ERR_NONE;
}

static void put_partition(const struct creation *creation, struct uuid id, uint32_t index,
                          const struct layout *layout)
{
    struct records *records = creation->records;
    int32_t *replicas = layout->replicas + (size_t)index * layout->factor;
    int32_t *isr = arena_alloc(records->arena, layout->factor * sizeof(int32_t));
    struct metadata_record *record = records_add(records, RECORD_PARTITION);
    uint32_t count = 0;

    if (isr == NULL) records->error = ERR_NO_MEMORY;
    if (isr == NULL || record == NULL) return;
    for (uint32_t i = 0; i < layout->factor; i++)
        if (image_broker_active(&creation->c->image, replicas[i])) isr[count++] = replicas[i];
    ASSERT(count > 0);
    record->partition.topic_id = id;
    record->partition.partition_id = (int32_t)index;
    record->partition.replicas = replicas;
    record->partition.replicas_count = layout->factor;
    record->partition.isr = isr;
    record->partition.isr_count = count;
    record->partition.leader = isr[0];
    record->partition.leader_epoch = 0;
    record->partition.partition_epoch = 0;
}

static void put_topic(struct creation *creation, const create_in *in, struct uuid id,
                      const struct layout *layout)
{
    struct metadata_record *record = records_add(creation->records, RECORD_TOPIC);

    if (record == NULL) return;
    record->topic.name = in->name;
    record->topic.topic_id = id;
    for (uint32_t i = 0; i < in->configs_count; i++) {
        record = records_add(creation->records, RECORD_CONFIG);
        if (record == NULL) return;
        record->config.resource_type = IMAGE_RESOURCE_TOPIC;
        record->config.resource_name = in->name;
        record->config.name = in->configs[i].name;
        record->config.value = in->configs[i].value;
    }
    for (uint32_t i = 0; i < layout->partitions; i++)
        put_partition(creation, id, i, layout);
    creation->partitions += layout->partitions;
    creation->topics++;
}

static enum err tell_configs(const struct creation *creation, const create_in *in, create_out *out)
{
    out->configs = arena_zalloc(creation->arena, in->configs_count * sizeof(*out->configs));
    if (out->configs == NULL) return ERR_NO_MEMORY;
    out->configs_count = in->configs_count;
    out->configs_null = false;
    for (uint32_t i = 0; i < in->configs_count; i++) {
        out->configs[i].name = in->configs[i].name;
        out->configs[i].value = in->configs[i].value;
        out->configs[i].config_source = CONFIG_SOURCE_TOPIC;
    }
    return ERR_NONE;
}

static enum err create_one(struct creation *creation, uint32_t index, create_out *out)
{
    const create_in *in = &creation->request->topics[index];
    struct layout layout = {0};
    const char *wrong;
    struct uuid id;
    enum err err;

    if (named_twice(creation->request, index))
        return refuse(out, ERR_INVALID_REQUEST, "Duplicate topic name.");
    wrong = check_name(in->name);
    if (wrong != NULL) return refuse(out, ERR_INVALID_TOPIC_EXCEPTION, wrong);
    if (image_topic_by_name(&creation->c->image, in->name) != NULL)
        return refuse(out, ERR_TOPIC_ALREADY_EXISTS, "Topic already exists.");
    if (collides_with_any(creation, in))
        return refuse(out, ERR_INVALID_TOPIC_EXCEPTION,
                      "Topic name collides with another one that differs only in '.' and '_'.");
    err = check_configs(in, out);
    if (err != ERR_NONE) return err;
    err = in->assignments_count > 0 ? manual_layout(creation, in, out, &layout)
                                    : striped_layout(creation, in, out, &layout);
    if (err != ERR_NONE) return err;
    err = check_room(creation, in, out, &layout);
    if (err != ERR_NONE) return err;
    err = tell_configs(creation, in, out);
    if (err != ERR_NONE) return err;
    out->num_partitions = (int32_t)layout.partitions;
    out->replication_factor = (int16_t)layout.factor;
    if (creation->request->validate_only) return ERR_NONE;
    id = rng_uuid(&creation->c->identity);
    put_topic(creation, in, id, &layout);
    out->topic_id = id;
    return ERR_NONE;
}

enum err create_topics_decide(struct controller *c, const struct create_topics_request *request,
                              struct create_topics_response *response, struct arena *arena)
{
    struct records records;
    struct creation creation = {.c = c, .request = request, .records = &records, .arena = arena};
    uint32_t count = request->topics_count;

    response->topics = arena_alloc(arena, count * sizeof(*response->topics));
    if (response->topics == NULL) return ERR_NO_MEMORY;
    response->topics_count = count;
    records_init(&records, &c->arena);
    for (uint32_t i = 0; i < count; i++) {
        create_out *out = &response->topics[i];
        enum err err;

        create_topics_response_topic_default(out);
        out->name = request->topics[i].name;
        out->error_message = STR_NULL;
        err = create_one(&creation, i, out);
        if (err == ERR_NO_MEMORY) return err;
        out->error_code = (int16_t)err;
    }
    return controller_write(c, &records, CONTROLLER_ATOMIC);
}

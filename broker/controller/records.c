#include "broker/controller/records.h"

#include "client/wire/wire.h"

/* NULL: not built in. */
static const struct wire_message *records_message(uint32_t id)
{
    switch (id) {
    case RECORD_REGISTER_BROKER: return &register_broker_record_message;
    case RECORD_UNREGISTER_BROKER: return &unregister_broker_record_message;
    case RECORD_TOPIC: return &topic_record_message;
    case RECORD_PARTITION: return &partition_record_message;
    case RECORD_CONFIG: return &config_record_message;
    case RECORD_PARTITION_CHANGE: return &partition_change_record_message;
    case RECORD_REMOVE_TOPIC: return &remove_topic_record_message;
    case RECORD_FEATURE_LEVEL: return &feature_level_record_message;
    case RECORD_PRODUCER_IDS: return &producer_ids_record_message;
    case RECORD_BROKER_REGISTRATION_CHANGE: return &broker_registration_change_record_message;
    case RECORD_NO_OP: return &no_op_record_message;
    case RECORD_BEGIN_TRANSACTION: return &begin_transaction_record_message;
    case RECORD_END_TRANSACTION: return &end_transaction_record_message;
    case RECORD_ABORT_TRANSACTION: return &abort_transaction_record_message;
    case RECORD_REGISTER_CONTROLLER: return &register_controller_record_message;
    case RECORD_CLEAR_ELR: return &clear_elr_record_message;
    default: return NULL; /* a number from a disk, not one of our enum */
    }
}

/* By what a controller decides none of them counts (kraft.md 11). */
static bool records_foreign(uint32_t id)
{
    static const uint8_t kinds[] = {
        10, /* DelegationToken */
        11, /* UserScramCredential */
        14, /* ClientQuota */
        18, /* AccessControlEntry */
        19, /* RemoveAccessControlEntry */
        21, /* ZkMigration */
        22, /* RemoveUserScramCredential */
        26, /* RemoveDelegationToken */
        29, /* UnregisterController */
    };

    for (uint32_t i = 0; i < COUNT_OF(kinds); i++)
        if (kinds[i] == id) return true;
    return false;
}

/* All members of the union begin at the same address. */
static void *records_body(struct metadata_record *record)
{
    return &record->register_broker;
}

static const void *records_body_const(const struct metadata_record *record)
{
    return &record->register_broker;
}

void records_default(struct metadata_record *record, enum record_id id)
{
    const struct wire_message *message = records_message((uint32_t)id);

    ASSERT(message != NULL);
    *record = (struct metadata_record){.id = id};
    message->body->set_default(records_body(record));
}

enum err records_decode(struct bytes value, struct arena *arena, struct metadata_record *record)
{
    struct metadata_record decoded = {.id = RECORD_NO_OP};
    struct wire_reader reader;
    const struct wire_message *message;
    uint32_t frame, id, version;
    enum err err;

    wire_reader_init(&reader, value.data, value.length);
    frame = wire_read_uvarint(&reader);
    id = wire_read_uvarint(&reader);
    version = wire_read_uvarint(&reader);
    if (reader.error != ERR_NONE) return reader.error;
    if (frame != RECORDS_FRAME_VERSION) return ERR_UNSUPPORTED;
    if (records_foreign(id)) {
        *record = (struct metadata_record){.id = RECORD_NO_OP, .foreign = id};
        return ERR_NONE;
    }
    message = records_message(id);
    if (message == NULL) return ERR_UNSUPPORTED;
    if (version > INT16_MAX) return ERR_UNSUPPORTED;
    if (!wire_in_range(message->versions, (int16_t)version)) return ERR_UNSUPPORTED;
    decoded.id = (enum record_id)id;
    message->body->set_default(records_body(&decoded));
    err = message->decode(&reader, (int16_t)version, arena, records_body(&decoded));
    if (err != ERR_NONE) return err;
    err = wire_reader_end(&reader);
    if (err != ERR_NONE) return err;
    *record = decoded;
    return ERR_NONE;
}

/* The lowest version that can say it: what older readers understand. */
static int16_t records_version(const struct metadata_record *record)
{
    switch (record->id) {
    case RECORD_REGISTER_BROKER:
        if (record->register_broker.kept_broker_epoch >= 0) return 3;
        return record->register_broker.log_dirs_count > 0 ? 3 : 1;
    case RECORD_BROKER_REGISTRATION_CHANGE:
        return record->registration_change.log_dirs_count > 0 ? 2 : 1;
    case RECORD_PARTITION:
        if (!record->partition.eligible_leader_replicas_null) return 2;
        return record->partition.last_known_elr_null ? 0 : 2;
    case RECORD_PARTITION_CHANGE:
        if (!record->partition_change.eligible_leader_replicas_null) return 2;
        return record->partition_change.last_known_elr_null ? 0 : 2;
    case RECORD_UNREGISTER_BROKER:
    case RECORD_TOPIC:
    case RECORD_CONFIG:
    case RECORD_REMOVE_TOPIC:
    case RECORD_FEATURE_LEVEL:
    case RECORD_PRODUCER_IDS:
    case RECORD_NO_OP:
    case RECORD_BEGIN_TRANSACTION:
    case RECORD_END_TRANSACTION:
    case RECORD_ABORT_TRANSACTION:
    case RECORD_REGISTER_CONTROLLER:
    case RECORD_CLEAR_ELR: return 0;
    }
    IMPOSSIBLE("record id");
}

static void records_write(struct wire_writer *writer, const struct metadata_record *record,
                          const struct wire_message *message, int16_t version)
{
    wire_write_uvarint(writer, RECORDS_FRAME_VERSION);
    wire_write_uvarint(writer, (uint32_t)record->id);
    wire_write_uvarint(writer, (uint32_t)version);
    /* The error is sticky in the writer and read at its end. */
    if (message->encode(writer, version, records_body_const(record)) != ERR_NONE) return;
}

enum err records_encode(const struct metadata_record *record, struct arena *arena,
                        struct bytes *value)
{
    const struct wire_message *message = records_message((uint32_t)record->id);
    int16_t version = records_version(record);
    struct wire_writer writer;
    size_t size;
    uint8_t *buffer;
    enum err err;

    ASSERT(message != NULL);
    wire_writer_measure(&writer);
    records_write(&writer, record, message, version);
    err = wire_writer_finish(&writer);
    if (err != ERR_NONE) return err;
    size = wire_writer_size(&writer).bytes;
    if (size > RECORDS_BATCH_BYTES_MAX) return ERR_TOO_LARGE;
    buffer = arena_alloc(arena, size);
    if (buffer == NULL) return ERR_NO_MEMORY;
    wire_writer_init(&writer, buffer, size);
    records_write(&writer, record, message, version);
    err = wire_writer_finish(&writer);
    if (err != ERR_NONE) return err;
    ASSERT(writer.used == size);
    *value = (struct bytes){buffer, (uint32_t)size};
    return ERR_NONE;
}

void records_init(struct records *records, struct arena *arena)
{
    *records = (struct records){.arena = arena};
}

struct metadata_record *records_add(struct records *records, enum record_id id)
{
    struct records_node *node;

    if (records->error != ERR_NONE) return NULL;
    node = arena_zalloc(records->arena, sizeof(*node));
    if (node == NULL) {
        records->error = ERR_NO_MEMORY;
        return NULL;
    }
    records_default(&node->record, id);
    if (records->last != NULL)
        records->last->next = node;
    else
        records->first = node;
    records->last = node;
    records->count++;
    return &node->record;
}

enum err records_finish(struct records *records)
{
    if (records->error != ERR_NONE) return records->error;
    records->bytes = 0;
    for (struct records_node *node = records->first; node != NULL; node = node->next) {
        records->error = records_encode(&node->record, records->arena, &node->value);
        if (records->error != ERR_NONE) return records->error;
        records->bytes += node->value.length;
    }
    return ERR_NONE;
}

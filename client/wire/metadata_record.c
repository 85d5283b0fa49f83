#include "client/wire/metadata_record.h"

enum { FRAME_VERSION = 1 };

enum err metadata_record_read_frame(struct wire_reader *reader, struct metadata_record_frame *frame)
{
    uint32_t frame_version = wire_read_uvarint(reader);
    uint32_t id = wire_read_uvarint(reader);
    uint32_t version = wire_read_uvarint(reader);

    if (reader->error != ERR_NONE) return reader->error;
    if (frame_version != FRAME_VERSION || version > INT16_MAX) return ERR_UNSUPPORTED;
    *frame = (struct metadata_record_frame){id, (int16_t)version};
    return ERR_NONE;
}

void metadata_record_write_frame(struct wire_writer *writer, enum metadata_record_id id,
                                 int16_t version)
{
    wire_write_uvarint(writer, FRAME_VERSION);
    wire_write_uvarint(writer, (uint32_t)id);
    wire_write_uvarint(writer, (uint32_t)version);
}

const struct wire_message *metadata_record_message(uint32_t id)
{
    for (uint32_t i = 0; i < api_table_messages_count; i++) {
        const struct wire_message *message = api_table_messages[i];

        if (message->kind == WIRE_RECORD && (uint32_t)message->id == id) return message;
    }
    return NULL;
}

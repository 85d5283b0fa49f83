/* The frame around a metadata record inside a record's value (kraft.md 11): frame version 1,
 * record id, record version, each an unsigned varint; then the record's fields. */
#ifndef CLIENT_WIRE_METADATA_RECORD_H
#define CLIENT_WIRE_METADATA_RECORD_H

#include "client/wire/wire.h"
#include "wire/api_table.h"

struct metadata_record_frame {
    uint32_t id; /* METADATA_TOPIC_RECORD, ... or one that is not known here */
    int16_t version;
};

/* Reads the frame; the reader then stands at the fields. ERR_MALFORMED; ERR_UNSUPPORTED for another
 * frame version. */
MUST_USE enum err metadata_record_read_frame(struct wire_reader *reader,
                                             struct metadata_record_frame *frame);
void metadata_record_write_frame(struct wire_writer *writer, enum metadata_record_id id,
                                 int16_t version);
/* NULL for an id without schema. */
const struct wire_message *metadata_record_message(uint32_t id);

#endif

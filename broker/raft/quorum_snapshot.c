#include "broker/raft/quorum_snapshot.h"

#include "client/base/assert.h"
#include "client/base/text.h"
#include "wire/snapshot_footer_record.h"
#include "wire/snapshot_header_record.h"

#include <string.h>

/* ---- names ----------------------------------------------------------------------------------- */

enum { NAME_OFFSET = 20, NAME_EPOCH = 10, NAME_NUMBERS = NAME_OFFSET + 1 + NAME_EPOCH };

static void put_digits(struct text *text, int64_t value, uint32_t digits)
{
    char number[NAME_OFFSET];

    for (uint32_t i = digits; i > 0; i--) {
        number[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    text_str(text, (struct str){number, digits});
}

void quorum_snapshot_name(char name[QUORUM_SNAPSHOT_NAME], struct quorum_snapshot_id id,
                          const char *suffix)
{
    struct text text;

    ASSERT(id.end >= 0 && id.epoch >= 0);
    text_init(&text, name, QUORUM_SNAPSHOT_NAME);
    put_digits(&text, id.end, NAME_OFFSET);
    text_char(&text, '-');
    put_digits(&text, id.epoch, NAME_EPOCH);
    text_format(&text, ".checkpoint%s", suffix);
    ASSERT(!text.truncated);
}

bool quorum_snapshot_parse_name(struct str name, struct quorum_snapshot_id *id, struct str *suffix)
{
    const struct str mark = STR(".checkpoint");
    int64_t end, epoch;

    if (name.length < NAME_NUMBERS + mark.length || name.data[NAME_OFFSET] != '-') return false;
    if (memcmp(name.data + NAME_NUMBERS, mark.data, mark.length) != 0) return false;
    for (uint32_t i = 0; i < NAME_NUMBERS; i++)
        if (i != NAME_OFFSET && (name.data[i] < '0' || name.data[i] > '9')) return false;
    if (!text_parse_i64((struct str){name.data, NAME_OFFSET}, &end)) return false;
    if (!text_parse_i64((struct str){name.data + NAME_OFFSET + 1, NAME_EPOCH}, &epoch))
        return false;
    if (end < 0 || epoch > INT32_MAX) return false;
    *id = (struct quorum_snapshot_id){end, (int32_t)epoch};
    *suffix = (struct str){name.data + NAME_NUMBERS + mark.length,
                           name.length - NAME_NUMBERS - mark.length};
    return true;
}

/* ---- writer ---------------------------------------------------------------------------------- */

static void writer_close(struct quorum_snapshot_writer *writer)
{
    struct quorum_snapshot_chunk *chunk = writer->open;
    struct bytes batch;

    if (chunk == NULL) return;
    writer->open = NULL;
    batch = record_builder_finish(&writer->builder);
    chunk->used = batch.length;
    writer->next_offset += writer->builder.count;
    writer->bytes += chunk->used;
    writer->crc = crc32c(writer->cpu, writer->crc, chunk->data, chunk->used);
}

/* A batch with room for `size` bytes of records. */
static enum err writer_open(struct quorum_snapshot_writer *writer, bool control, size_t size)
{
    struct record_builder_config config = control ? record_builder_config_control(writer->cpu)
                                                  : record_builder_config_default(writer->cpu);
    size_t capacity = QUORUM_SNAPSHOT_BATCH;
    struct quorum_snapshot_chunk *chunk;

    writer_close(writer);
    if (capacity < RECORD_BATCH_HEADER + size) capacity = RECORD_BATCH_HEADER + size;
    if (control) capacity = RECORD_BATCH_HEADER + size;
    if (capacity > QUORUM_SNAPSHOT_BATCH_MAX) return ERR_TOO_LARGE;
    if (writer->bytes + capacity > QUORUM_SNAPSHOT_MAX) return ERR_TOO_LARGE;
    chunk = mem_alloc(writer->mem, sizeof *chunk + capacity);
    if (chunk == NULL) return ERR_NO_MEMORY;
    list_init(&chunk->link);
    chunk->capacity = (uint32_t)capacity;
    chunk->used = 0;
    list_push(&writer->chunks, &chunk->link);
    config.base_offset = writer->next_offset;
    config.partition_leader_epoch = writer->id.epoch;
    record_builder_init(&writer->builder, &config, chunk->data, capacity);
    writer->open = chunk;
    return ERR_NONE;
}

static enum err writer_control(struct quorum_snapshot_writer *writer, enum control_type type,
                               struct bytes value)
{
    enum err err = writer_open(writer, true, 128);

    if (err == ERR_NONE)
        err = record_builder_append_control(&writer->builder, writer->timestamp, type, value);
    writer_close(writer);
    return err;
}

enum err quorum_snapshot_writer_init(struct quorum_snapshot_writer *writer, struct mem *mem,
                                     struct cpu cpu, struct quorum_snapshot_id id,
                                     int64_t timestamp)
{
    struct snapshot_header_record header = {.last_contained_log_timestamp = timestamp};
    struct wire_writer out;
    uint8_t value[32];
    enum err err;

    *writer =
        (struct quorum_snapshot_writer){.mem = mem, .cpu = cpu, .id = id, .timestamp = timestamp};
    list_init(&writer->chunks);
    wire_writer_init(&out, value, sizeof value);
    err = snapshot_header_record_encode(&out, 0, &header);
    ASSERT(err == ERR_NONE);
    return writer_control(writer, CONTROL_SNAPSHOT_HEADER,
                          (struct bytes){value, (uint32_t)out.used});
}

enum err quorum_snapshot_writer_voters(struct quorum_snapshot_writer *writer,
                                       struct bytes kraft_version, struct bytes voters)
{
    enum err err = writer_open(writer, true, 256 + (size_t)kraft_version.length + voters.length);

    if (err == ERR_NONE)
        err = record_builder_append_control(&writer->builder, writer->timestamp,
                                            CONTROL_KRAFT_VERSION, kraft_version);
    if (err == ERR_NONE)
        err = record_builder_append_control(&writer->builder, writer->timestamp,
                                            CONTROL_KRAFT_VOTERS, voters);
    writer_close(writer);
    return err;
}

enum err quorum_snapshot_writer_add(struct quorum_snapshot_writer *writer, struct bytes value)
{
    enum err err = ERR_TOO_LARGE;

    if (writer->open != NULL) {
        err =
            record_builder_append(&writer->builder, writer->timestamp, BYTES_NULL, value, NULL, 0);
    }
    if (err == ERR_TOO_LARGE) {
        err = writer_open(writer, false, record_builder_size_max(BYTES_NULL, value, NULL, 0));
        if (err != ERR_NONE) return err;
        err =
            record_builder_append(&writer->builder, writer->timestamp, BYTES_NULL, value, NULL, 0);
    }
    if (err == ERR_NONE) writer->records++;
    return err;
}

enum err quorum_snapshot_writer_finish(struct quorum_snapshot_writer *writer)
{
    struct snapshot_footer_record footer = {.version = 0};
    struct wire_writer out;
    uint8_t value[32];
    enum err err;

    writer_close(writer);
    wire_writer_init(&out, value, sizeof value);
    err = snapshot_footer_record_encode(&out, 0, &footer);
    ASSERT(err == ERR_NONE);
    return writer_control(writer, CONTROL_SNAPSHOT_FOOTER,
                          (struct bytes){value, (uint32_t)out.used});
}

void quorum_snapshot_writer_free(struct quorum_snapshot_writer *writer)
{
    struct list *link;

    if (writer->mem == NULL) return;
    while ((link = list_pop(&writer->chunks)) != NULL) {
        struct quorum_snapshot_chunk *chunk = LIST_ENTRY(link, struct quorum_snapshot_chunk, link);

        mem_free(writer->mem, chunk, sizeof *chunk + chunk->capacity);
    }
    writer->mem = NULL;
}

/* ---- reader ---------------------------------------------------------------------------------- */

void quorum_snapshot_reader_init(struct quorum_snapshot_reader *reader, struct cpu cpu)
{
    *reader = (struct quorum_snapshot_reader){.cpu = cpu};
}

static enum err read_control(struct quorum_snapshot_reader *reader, const struct record *record,
                             struct quorum_snapshot_sink *sink)
{
    struct snapshot_header_record header;
    struct wire_reader in;
    enum control_type type;

    if (record_control_type(record, &type) != ERR_NONE) return ERR_DAMAGED;
    if ((type == CONTROL_SNAPSHOT_HEADER) != !reader->began) return ERR_DAMAGED;
    if (type == CONTROL_SNAPSHOT_HEADER) {
        wire_reader_init(&in, record->value.data, record->value.length);
        if (snapshot_header_record_decode(&in, 0, NULL, &header) != ERR_NONE) return ERR_DAMAGED;
        reader->timestamp = header.last_contained_log_timestamp;
        reader->began = true;
    } else if (type == CONTROL_SNAPSHOT_FOOTER) {
        reader->ended = true;
    } else if (sink->control != NULL) {
        return sink->control(sink, type, record->value);
    }
    return ERR_NONE;
}

static enum err read_batch(struct quorum_snapshot_reader *reader, const struct record_batch *batch,
                           struct quorum_snapshot_sink *sink)
{
    bool control = record_batch_is_control(batch);
    struct record_iter iter;
    struct record record;
    enum err err;

    if (record_batch_check_copy(reader->cpu, batch) != ERR_NONE) return ERR_DAMAGED;
    if (batch->base_offset != reader->next_offset || reader->ended) return ERR_DAMAGED;
    if (record_batch_is_compressed(batch)) return ERR_UNSUPPORTED; /* Kafka writes none either */
    if (!control && !reader->began) return ERR_DAMAGED;
    record_iter_init(&iter, batch, record_batch_payload(batch));
    while ((err = record_iter_next(&iter, &record)) == ERR_NONE) {
        err = control ? read_control(reader, &record, sink) : sink->put(sink, record.value);
        if (err != ERR_NONE) return err;
    }
    if (err != ERR_EOF) return ERR_DAMAGED;
    reader->next_offset = record_batch_end_offset(batch);
    reader->crc = crc32c(reader->cpu, reader->crc, batch->bytes.data, batch->bytes.length);
    return ERR_NONE;
}

enum err quorum_snapshot_read(struct quorum_snapshot_reader *reader, struct bytes bytes,
                              struct quorum_snapshot_sink *sink, uint32_t *used)
{
    struct record_batch_iter iter;
    struct record_batch batch;

    record_batch_iter_init(&iter, bytes);
    while (record_batch_iter_next(&iter, &batch)) {
        enum err err = read_batch(reader, &batch, sink);

        if (err != ERR_NONE) return err;
    }
    if (iter.ended != RECORD_BATCH_PARTIAL) return ERR_DAMAGED;
    *used = bytes.length - iter.rest.length;
    return ERR_NONE;
}

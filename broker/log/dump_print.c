/* The text of what stands in a file: batches, metadata records, indexes, snapshots, checkpoints. */
#include "broker/log/dump_private.h"

#include "client/wire/metadata_record.h"
#include "client/wire/record.h"
#include "client/wire/wire_print.h"

#include <string.h>

static const char *print_codec(const struct record_batch *batch)
{
    static const char *const names[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    enum codec codec;

    return record_batch_codec(batch, &codec) == ERR_NONE ? names[codec] : "unknown";
}

static const char *print_control(const struct record *record)
{
    enum control_type type;

    if (record_control_type(record, &type) != ERR_NONE) return "malformed";
    switch (type) {
    case CONTROL_ABORT: return "abort";
    case CONTROL_COMMIT: return "commit";
    case CONTROL_LEADER_CHANGE: return "leader-change";
    case CONTROL_SNAPSHOT_HEADER: return "snapshot-header";
    case CONTROL_SNAPSHOT_FOOTER: return "snapshot-footer";
    case CONTROL_KRAFT_VERSION: return "kraft-version";
    case CONTROL_KRAFT_VOTERS: return "kraft-voters";
    case CONTROL_UNKNOWN: return "unknown";
    }
    IMPOSSIBLE("control");
}

/* name{field=value ...}, or what is wrong with it. */
static void print_metadata(struct dump_work *work, struct text *text, struct bytes value)
{
    struct metadata_record_frame frame;
    const struct wire_message *message;
    struct wire_reader reader;
    void *decoded;

    wire_reader_init(&reader, value.data, value.length);
    if (value.data == NULL || metadata_record_read_frame(&reader, &frame) != ERR_NONE) {
        text_cstr(text, "malformed");
        return;
    }
    message = metadata_record_message(frame.id);
    if (message == NULL || !wire_in_range(message->versions, frame.version)) {
        text_format(text, "unknown{id=%u version=%d <%u bytes>}", frame.id, frame.version,
                    (uint32_t)wire_left(&reader));
        return;
    }
    arena_reset(&work->scratch);
    decoded = arena_zalloc(&work->scratch, message->body->size);
    if (decoded == NULL ||
        message->decode(&reader, frame.version, &work->scratch, decoded) != ERR_NONE) {
        text_format(text, "malformed{%s version=%d}", message->name, frame.version);
        return;
    }
    text_format(text, "v%d ", frame.version);
    wire_print(text, message, frame.version, decoded);
}

static void print_records(struct dump_work *work, const struct record_batch *batch)
{
    struct record_iter iter;
    struct record record;
    enum err err;

    if (record_batch_is_compressed(batch)) return; /* nobody compresses metadata */
    record_iter_init(&iter, batch, record_batch_payload(batch));
    while ((err = record_iter_next(&iter, &record)) == ERR_NONE) {
        struct text *text = dump_line(work);

        text_format(text, "    record offset=%D ", record.offset);
        if (record_batch_is_control(batch)) {
            text_format(text, "control=%s", print_control(&record));
        } else {
            print_metadata(work, text, record.value);
        }
        dump_print_line(work);
    }
    if (err != ERR_EOF) {
        text_cstr(dump_line(work), "    record malformed");
        dump_print_line(work);
    }
}

void dump_print_batch(struct dump_work *work, const struct dump_cursor *cursor, bool metadata)
{
    const struct record_batch *batch = &cursor->batch;
    struct text *text = dump_line(work);

    text_format(text, "  batch base=%D last=%D epoch=%d position=%U size=%u crc=%s codec=%s",
                batch->base_offset, record_batch_last_offset(batch), batch->partition_leader_epoch,
                cursor->position, batch->bytes.length, cursor->crc_ok ? "ok" : "BAD",
                print_codec(batch));
    text_format(text, " records=%d time=%D", batch->record_count, batch->max_timestamp);
    if ((batch->attributes & RECORD_LOG_APPEND_TIME) != 0) text_cstr(text, " append-time");
    if (batch->producer_id >= 0) {
        text_format(text, " producer=%D producer-epoch=%d sequence=%d", batch->producer_id,
                    (int32_t)batch->producer_epoch, batch->base_sequence);
    }
    if (record_batch_is_transactional(batch)) text_cstr(text, " transactional");
    if (record_batch_is_control(batch)) text_cstr(text, " control");
    dump_print_line(work);
    if (cursor->crc_ok && (metadata || record_batch_is_control(batch))) print_records(work, batch);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void print_index(struct dump_work *work, struct bytes file, uint32_t entry)
{
    for (uint32_t at = 0; at + entry <= file.length; at += entry) {
        struct text *text = dump_line(work);

        if (entry == LOG_INDEX_ENTRY) {
            text_format(text, "  offset=+%u position=%u", be_get32(file.data + at),
                        be_get32(file.data + at + 4));
        } else {
            text_format(text, "  time=%D offset=+%u", (int64_t)be_get64(file.data + at),
                        be_get32(file.data + at + 8));
        }
        dump_print_line(work);
    }
}

/* Version 1 of Kafka's snapshot (storage.md 2.8). */
static void print_snapshot(struct dump_work *work, struct bytes file)
{
    enum { HEAD = 10, ENTRY = 46 };
    struct text *text = dump_line(work);
    struct cpu cpu = work->dump->env->world->cpu;
    uint32_t count;

    if (file.length < HEAD || be_get16(file.data) != 1) {
        text_cstr(text, "  not a snapshot of version 1");
        dump_print_line(work);
        return;
    }
    count = be_get32(file.data + 6);
    text_format(text, "  producers=%u crc=%s", count,
                crc32c(cpu, 0, file.data + 6, file.length - 6) == be_get32(file.data + 2) ? "ok"
                                                                                          : "BAD");
    dump_print_line(work);
    for (uint32_t i = 0; i < count && HEAD + ((uint64_t)i + 1) * ENTRY <= file.length; i++) {
        const uint8_t *at = file.data + HEAD + (size_t)i * ENTRY;

        text = dump_line(work);
        text_format(text, "  producer=%D producer-epoch=%d last-sequence=%d last-offset=%D",
                    (int64_t)be_get64(at), (int32_t)(int16_t)be_get16(at + 8),
                    (int32_t)be_get32(at + 10), (int64_t)be_get64(at + 14));
        text_format(text, " delta=%d time=%D coordinator-epoch=%d transaction-from=%D",
                    (int32_t)be_get32(at + 22), (int64_t)be_get64(at + 26),
                    (int32_t)be_get32(at + 34), (int64_t)be_get64(at + 38));
        dump_print_line(work);
    }
}

static bool print_is_text(struct bytes file)
{
    for (uint32_t i = 0; i < file.length; i++)
        if (file.data[i] < ' ' && file.data[i] != '\n' && file.data[i] != '\t' &&
            file.data[i] != '\r')
            return false;
    return true;
}

/* Line by line; what a terminal might take for a command becomes '?'. */
static void print_text(struct dump_work *work, struct bytes file)
{
    uint32_t at = 0;

    while (at < file.length) {
        struct text *text = dump_line(work);

        text_cstr(text, "  ");
        for (; at < file.length && file.data[at] != '\n'; at++)
            text_char(text,
                      file.data[at] >= ' ' && file.data[at] <= '~' ? (char)file.data[at] : '?');
        at++;
        dump_print_line(work);
    }
}

void dump_print_file(struct dump_work *work, struct str name, struct bytes file)
{
    struct text *text = dump_line(work);
    struct str suffix = STR("");
    int64_t base;

    text_format(text, "file %S size=%u", name, file.length);
    (void)log_file_parse(name, &base, &suffix);
    if (str_equal(suffix, STR(".index"))) {
        text_format(text, " entries=%u", file.length / LOG_INDEX_ENTRY);
        dump_print_line(work);
        print_index(work, file, LOG_INDEX_ENTRY);
    } else if (str_equal(suffix, STR(".timeindex"))) {
        text_format(text, " entries=%u", file.length / LOG_TIME_ENTRY);
        dump_print_line(work);
        print_index(work, file, LOG_TIME_ENTRY);
    } else if (str_equal(suffix, STR(".snapshot"))) {
        dump_print_line(work);
        print_snapshot(work, file);
    } else if (print_is_text(file)) {
        dump_print_line(work);
        print_text(work, file);
    } else {
        text_cstr(text, " (not shown)");
        dump_print_line(work);
    }
}

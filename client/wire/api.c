#include "client/wire/api.h"

#include "wire/api_versions.h"

#include "client/base/assert.h"

const struct api_entry *api_find(int16_t key)
{
    uint32_t first = 0;
    uint32_t end = api_table_count;

    while (first < end) {
        uint32_t middle = (first + end) / 2;

        if (api_table[middle].key == key) return &api_table[middle];
        if (api_table[middle].key < key)
            first = middle + 1;
        else
            end = middle;
    }
    return NULL;
}

const char *api_name(int16_t key)
{
    const struct api_entry *entry = api_find(key);

    return entry != NULL ? entry->name : "unknown";
}

struct wire_range api_advertised(enum api_listener listener, const struct api_entry *entry)
{
    switch (listener) {
    case API_ON_BROKER: return entry->broker;
    case API_ON_CONTROLLER: return entry->controller;
    }
    IMPOSSIBLE("listener");
}

bool api_accepts(enum api_listener listener, int16_t key, int16_t version)
{
    const struct api_entry *entry = api_find(key);

    return entry != NULL && wire_in_range(api_advertised(listener, entry), version) &&
           wire_in_range(entry->served, version);
}

int16_t api_request_header_version(const struct api_entry *entry, int16_t version)
{
    return version >= entry->flexible_from ? 2 : 1;
}

int16_t api_response_header_version(const struct api_entry *entry, int16_t version)
{
    return version >= entry->flexible_from && entry->key != API_API_VERSIONS ? 1 : 0;
}

enum err api_read_request_header(struct wire_reader *reader, struct arena *arena,
                                 struct request_header *header)
{
    struct wire_reader peek = *reader;
    int16_t key = wire_read_int16(&peek);
    int16_t version = wire_read_int16(&peek);
    int32_t correlation_id = wire_read_int32(&peek);
    const struct api_entry *entry = api_find(key);

    if (peek.error != ERR_NONE) return peek.error;
    if (version < 0) return ERR_MALFORMED;
    if (entry == NULL) {
        request_header_default(header);
        header->request_api_key = key;
        header->request_api_version = version;
        header->correlation_id = correlation_id;
        return ERR_UNSUPPORTED;
    }
    return request_header_decode(reader, api_request_header_version(entry, version), arena, header);
}

enum err api_read_response_header(struct wire_reader *reader, int16_t key, int16_t version,
                                  struct arena *arena, int32_t *correlation_id)
{
    const struct api_entry *entry = api_find(key);
    struct response_header header;
    enum err err;

    if (entry == NULL) return ERR_UNSUPPORTED;
    err =
        response_header_decode(reader, api_response_header_version(entry, version), arena, &header);
    if (err == ERR_NONE) *correlation_id = header.correlation_id;
    return err;
}

struct wire_frame api_begin_request(struct wire_writer *writer, int16_t key, int16_t version,
                                    int32_t correlation_id, struct str client_id)
{
    const struct api_entry *entry = api_find(key);
    struct wire_frame frame = wire_frame_begin(writer);
    struct request_header header = {.request_api_key = key,
                                    .request_api_version = version,
                                    .correlation_id = correlation_id,
                                    .client_id = client_id};

    ASSERT(entry != NULL);
    if (request_header_encode(writer, api_request_header_version(entry, version), &header) !=
        ERR_NONE)
        return frame; /* sticky in the writer */
    return frame;
}

struct wire_frame api_begin_response(struct wire_writer *writer, int16_t key, int16_t version,
                                     int32_t correlation_id)
{
    const struct api_entry *entry = api_find(key);
    struct wire_frame frame = wire_frame_begin(writer);
    struct response_header header = {.correlation_id = correlation_id};

    ASSERT(entry != NULL);
    if (response_header_encode(writer, api_response_header_version(entry, version), &header) !=
        ERR_NONE)
        return frame; /* sticky in the writer */
    return frame;
}

size_t api_request_overhead(int16_t key, int16_t version, struct str client_id)
{
    struct wire_writer writer;

    wire_writer_measure(&writer);
    (void)api_begin_request(&writer, key, version, 0, client_id);
    return writer.used;
}

size_t api_response_overhead(int16_t key, int16_t version)
{
    struct wire_writer writer;

    wire_writer_measure(&writer);
    (void)api_begin_response(&writer, key, version, 0);
    return writer.used;
}

uint32_t api_versions_list(enum api_listener listener,
                           struct api_versions_response_api_version *entries)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < api_table_count; i++) {
        struct wire_range range = api_advertised(listener, &api_table[i]);

        if (range.first > range.last) continue;
        api_versions_response_api_version_default(&entries[count]);
        entries[count].api_key = api_table[i].key;
        entries[count].min_version = range.first;
        entries[count].max_version = range.last;
        count++;
    }
    return count;
}

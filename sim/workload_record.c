#include "sim/workload_record.h"

#include "sim/check/check.h"

enum { NAME_LENGTH = 8, VALUE_LENGTH_MIN = 16 };

/* Big-endian: the client's number and the sequence. */
static void name_write(uint8_t *at, uint64_t name)
{
    for (uint32_t i = 0; i < NAME_LENGTH; i++)
        at[i] = (uint8_t)(name >> (56 - 8 * i));
}

static uint64_t name_read(const uint8_t *at)
{
    uint64_t name = 0;

    for (uint32_t i = 0; i < NAME_LENGTH; i++)
        name = name << 8 | at[i];
    return name;
}

/* Behind the name a pattern that a shifted byte would show. */
void workload_record_value(struct workload_record *record, uint32_t length, uint64_t name)
{
    name_write(record->value, name);
    for (uint32_t i = NAME_LENGTH; i < length; i++)
        record->value[i] = (uint8_t)(name + i * 7);
    record->record.value = (struct bytes){record->value, length};
    record->record.trace_value = (int64_t)name;
}

/* Who reads it must know which it is even when its producer was never told of its offset: it takes
 * the place of what stands before it under its key (S24, S25). */
void workload_record_tombstone(struct workload_record *record, uint64_t name)
{
    static const uint8_t word[] = {'n', 'a', 'm', 'e'};

    name_write(record->name, name);
    record->header =
        (struct record_header){{word, sizeof word}, {record->name, sizeof record->name}};
    record->record.headers = &record->header;
    record->record.headers_count = 1;
    record->record.trace_value = (int64_t)name | CHECK_TOMBSTONE;
}

void workload_record_key(struct workload_record *record, uint64_t key)
{
    name_write(record->key, key);
    record->record.key = (struct bytes){record->key, sizeof record->key};
    record->record.trace_key = (int64_t)key;
}

static int64_t tombstone_name(const struct record *record)
{
    struct bytes headers = record->headers;
    struct record_header header;

    if (record->headers_count != 1 || record_headers_next(&headers, &header) != ERR_NONE ||
        header.value.data == NULL || header.value.length != NAME_LENGTH)
        return -1;
    return (int64_t)name_read(header.value.data) | CHECK_TOMBSTONE;
}

int64_t workload_record_name(const struct record *record)
{
    const struct bytes value = record->value;
    uint64_t name;

    if (value.data == NULL) return tombstone_name(record);
    if (value.length < VALUE_LENGTH_MIN) return -1;
    name = name_read(value.data);
    for (uint32_t i = NAME_LENGTH; i < value.length; i++) {
        if (value.data[i] != (uint8_t)(name + i * 7)) return -1;
    }
    return (int64_t)name;
}

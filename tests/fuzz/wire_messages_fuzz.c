/* Any bytes as any message: refused, or decoded to something that encodes and decodes to itself.
 * Input: kind (0 request, 1 response, 2 metadata record, 3 other), int16 id (other: which),
 * version, then the message. */
#include "tests/fuzz/fuzz.h"

#include "tests/support/wire_random.h"
#include "wire/api_table.h"

#include <stdlib.h>

enum { HEAD = 4, ARENA_MAX = 4 << 20 };

static const struct wire_message *choose(const uint8_t *data)
{
    int id = data[1] << 8 | data[2];
    int others = 0;

    for (uint32_t i = 0; i < api_table_messages_count; i++) {
        const struct wire_message *message = api_table_messages[i];

        if ((int)message->kind != data[0]) continue;
        if (message->kind == WIRE_DATA ? others++ == id : message->id == id) return message;
    }
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct wire_message *message = size < HEAD ? NULL : choose(data);
    struct arena *arena = fuzz_arena(ARENA_MAX);
    struct wire_reader reader;
    struct wire_writer writer;
    struct wire_size need;
    void *value, *again;
    uint8_t *buffer;

    if (message == NULL) return 0;
    value = arena_zalloc(arena, message->body->size);
    again = arena_zalloc(arena, message->body->size);
    wire_reader_init(&reader, data + HEAD, size - HEAD);
    if (message->decode(&reader, data[3], arena, value) != ERR_NONE) return 0;
    need = message->measure(value, data[3]);
    buffer = malloc(need.bytes + 1);
    wire_writer_init(&writer, buffer, need.bytes);
    ASSERT(message->encode(&writer, data[3], value) == ERR_NONE);
    ASSERT(writer.used == need.bytes);
    /* What is sent again is never longer than what came, unknown tags aside. */
    ASSERT(need.bytes <= size - HEAD);
    wire_reader_init(&reader, buffer, need.bytes);
    /* The second decode may meet the arena's cap. */
    if (message->decode(&reader, data[3], arena, again) == ERR_NONE) {
        ASSERT(wire_reader_end(&reader) == ERR_NONE);
        ASSERT(wire_random_difference(message->body, value, again) == NULL);
    }
    free(buffer);
    return 0;
}

/* Proves: frames recorded between real clients and the broker (tests/golden, made by
 * tests/interop/record.py) decode with our codecs, and encoded again are the same bytes; the
 * batches in them pass the checks of a leader, in every codec the clients have. The same for frames
 * made from Kafka's schemas (tests/golden_schemas.py), of which none is missing. */
#include "tests/support/support.h"

#include "client/posix/codecs.h"
#include "client/wire/api.h"
#include "client/wire/compress.h"
#include "client/wire/record_batch.h"
#include "wire/fetch.h"
#include "wire/produce.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_CHARS = 16384, FRAME_MAX = LINE_MAX_CHARS / 2, RECORDS_MAX = 65536, RECORDS = 9 };
enum { API_KEYS = 128, API_VERSIONS_MAX = 32 };

struct fixture {
    struct support_memory memory;
    struct arena arena;
    struct codecs codecs;
    char line[LINE_MAX_CHARS];
    uint8_t frame[FRAME_MAX];
    uint8_t again[FRAME_MAX];
    uint8_t scratch[RECORDS_MAX];
    uint32_t length;
    uint32_t requests;
    uint32_t responses;
    uint32_t batches[5]; /* by codec */
    bool recorded;
    bool seen[2][API_KEYS][API_VERSIONS_MAX]; /* responses, requests */
};

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    support_memory_init(&f->memory, 16 << 20);
    arena_init(&f->arena, &f->memory.mem, 4 << 20);
    assert_int_equal(codecs_create(&f->codecs), ERR_NONE);
}

static void teardown(struct fixture *f)
{
    codecs_destroy(&f->codecs);
    arena_deinit(&f->arena);
    support_memory_deinit(&f->memory);
}

static uint8_t nibble(char c)
{
    assert_true((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void read_hex(struct fixture *f, const char *hex)
{
    f->length = 0;
    for (; hex[0] != '\n' && hex[0] != '\0'; hex += 2) {
        assert_true(f->length < FRAME_MAX);
        f->frame[f->length++] = (uint8_t)(nibble(hex[0]) << 4 | nibble(hex[1]));
    }
}

static const struct api_entry *entry_of(const char *name)
{
    uint32_t i = 0;

    while (i < api_table_count && strcmp(api_table[i].name, name) != 0)
        i++;
    if (i == api_table_count) fail_msg("no api %s", name);
    return &api_table[i];
}

static void check_batches(struct fixture *f, struct bytes records, bool from_client)
{
    struct record_batch_iter iter;
    struct record_batch batch;

    record_batch_iter_init(&iter, records);
    while (record_batch_iter_next(&iter, &batch)) {
        struct record_summary summary;
        enum codec codec;

        assert_int_equal(record_batch_check_copy(codecs_cpu(), &batch), ERR_NONE);
        if (from_client)
            assert_int_equal(record_batch_check_client(codecs_cpu(), &batch), ERR_NONE);
        assert_int_equal(record_batch_codec(&batch, &codec), ERR_NONE);
        assert_int_equal(batch.record_count, RECORDS);
        assert_int_equal(
            compress_validate(&f->codecs, &batch, f->scratch, sizeof f->scratch, &summary),
            ERR_NONE);
        f->batches[codec]++;
    }
    assert_int_equal(iter.rest.length, 0);
}

static void check_payload(struct fixture *f, const struct api_entry *entry, bool request,
                          const void *value)
{
    if (!f->recorded) return;
    if (entry->key == API_PRODUCE && request) {
        const struct produce_request *produce = value;

        assert_int_equal(produce->topic_data_count, 1);
        check_batches(f, produce->topic_data[0].partition_data[0].records, true);
    } else if (entry->key == API_FETCH && !request) {
        const struct fetch_response *fetch = value;

        if (fetch->responses_count == 0) return;
        check_batches(f, fetch->responses[0].partitions[0].records, false);
    }
}

static void check_same(const struct fixture *f, const struct wire_writer *writer,
                       const struct api_entry *entry, int16_t version)
{
    if (writer->used != f->length + 4 || memcmp(f->again + 4, f->frame, f->length) != 0)
        fail_msg("%s v%d: encoded again it differs", entry->name, version);
}

static void check_frame(struct fixture *f, const struct api_entry *entry, bool request,
                        int16_t version)
{
    const struct wire_message *message = request ? entry->request : entry->response;
    struct request_header header = {.request_api_version = version};
    struct wire_reader reader;
    struct wire_writer writer;
    struct wire_frame frame;
    void *value = arena_zalloc(&f->arena, message->body->size);
    int32_t correlation;

    assert_non_null(value);
    wire_reader_init(&reader, f->frame, f->length);
    wire_writer_init(&writer, f->again, sizeof f->again);
    if (request) {
        assert_int_equal(api_read_request_header(&reader, &f->arena, &header), ERR_NONE);
        assert_int_equal(header.request_api_key, entry->key);
        assert_int_equal(header.request_api_version, version);
        assert_true(!f->recorded || api_accepts(API_ON_BROKER, entry->key, version));
        frame = api_begin_request(&writer, entry->key, version, header.correlation_id,
                                  header.client_id);
    } else {
        assert_int_equal(
            api_read_response_header(&reader, entry->key, version, &f->arena, &correlation),
            ERR_NONE);
        frame = api_begin_response(&writer, entry->key, version, correlation);
    }
    if (message->decode(&reader, version, &f->arena, value) != ERR_NONE)
        fail_msg("%s v%d: is refused", message->name, version);
    assert_int_equal(wire_reader_end(&reader), ERR_NONE);
    check_payload(f, entry, request, value);
    assert_int_equal(message->encode(&writer, version, value), ERR_NONE);
    wire_frame_end(&writer, frame);
    assert_int_equal(wire_writer_finish(&writer), ERR_NONE);
    check_same(f, &writer, entry, version);
    *(request ? &f->requests : &f->responses) += 1;
    assert_in_range(version, 0, API_VERSIONS_MAX - 1);
    f->seen[request][entry->key][version] = true;
}

static void check_file(struct fixture *f, const char *path)
{
    FILE *file = fopen(path, "r");

    if (file == NULL) fail_msg("%s cannot be opened; tests run at the root of the tree", path);
    while (fgets(f->line, sizeof f->line, file) != NULL) {
        char direction[16], name[32];
        int version, hex;

        if (f->line[0] == '#') continue;
        assert_int_equal(sscanf(f->line, "%15s %31s %d %n", direction, name, &version, &hex), 3);
        read_hex(f, f->line + hex);
        check_frame(f, entry_of(name), strcmp(direction, "request") == 0, (int16_t)version);
        arena_reset(&f->arena);
    }
    fclose(file);
}

static void frames_of_kcat_are_decoded_and_encoded_to_the_same_bytes(void **state)
{
    static struct fixture f;

    (void)state;
    setup(&f);
    f.recorded = true;
    check_file(&f, "tests/golden/kcat.txt");
    assert_true(f.requests >= 12);
    assert_int_equal(f.requests, f.responses);
    for (int codec = 0; codec < 5; codec++)
        assert_true(f.batches[codec] >= 2); /* produced and fetched */
    teardown(&f);
}

static void frames_of_python_kafka_are_decoded_and_encoded_to_the_same_bytes(void **state)
{
    static struct fixture f;

    (void)state;
    setup(&f);
    f.recorded = true;
    check_file(&f, "tests/golden/python-kafka.txt");
    assert_true(f.requests >= 10);
    assert_int_equal(f.requests, f.responses);
    for (int codec = 0; codec < 4; codec++)
        assert_true(f.batches[codec] >= 2);
    teardown(&f);
}

static void every_version_that_is_told_agrees_with_kafkas_schemas(void **state)
{
    static struct fixture f;
    uint32_t told = 0;

    (void)state;
    setup(&f);
    check_file(&f, "tests/golden/schemas.txt");
    for (uint32_t i = 0; i < api_table_count; i++) {
        const struct api_entry *entry = &api_table[i];

        assert_in_range(entry->key, 0, API_KEYS - 1);
        for (int16_t v = 0; v < API_VERSIONS_MAX; v++) {
            if (!api_accepts(API_ON_BROKER, entry->key, v) &&
                !api_accepts(API_ON_CONTROLLER, entry->key, v))
                continue;
            told++;
            if (!f.seen[true][entry->key][v] || !f.seen[false][entry->key][v])
                fail_msg("%s v%d is told, and has no frames: tests/golden_schemas.py", entry->name,
                         v);
        }
    }
    assert_true(told > 150);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_kcat_are_decoded_and_encoded_to_the_same_bytes),
        cmocka_unit_test(frames_of_python_kafka_are_decoded_and_encoded_to_the_same_bytes),
        cmocka_unit_test(every_version_that_is_told_agrees_with_kafkas_schemas),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Proves: the reader refuses what the contract says (protocol.md 21), the writer refuses what a
 * version cannot say, and known messages are these bytes and no others. */
#include "tests/support/support.h"

#include "client/base/assert.h"
#include "client/wire/api.h"
#include "wire/api_versions.h"
#include "wire/create_topics.h"
#include "wire/fetch.h"
#include "wire/find_coordinator.h"
#include "wire/metadata.h"
#include "wire/produce.h"

#include <string.h>

static struct support_memory memory;
static struct arena arena;

static int setup(void **state)
{
    (void)state;
    support_memory_init(&memory, 16 << 20);
    arena_init(&arena, &memory.mem, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_deinit(&arena);
    support_memory_deinit(&memory);
    return 0;
}

/* "0001 61" to bytes; returns how many. */
static size_t from_hex(const char *hex, uint8_t *bytes)
{
    static const char alphabet[] = "0123456789abcdef";
    size_t digits = 0;

    for (; *hex != '\0'; hex++) {
        const char *place = strchr(alphabet, *hex);

        if (*hex == ' ') continue;
        assert_non_null(place);
        bytes[digits / 2] = (uint8_t)(bytes[digits / 2] << 4 | (place - alphabet));
        digits++;
    }
    return digits / 2;
}

static struct wire_reader reader_of(const char *hex, uint8_t *bytes, bool flexible)
{
    struct wire_reader reader;

    memset(bytes, 0, 256);
    wire_reader_init(&reader, bytes, from_hex(hex, bytes));
    reader.flexible = flexible;
    return reader;
}

static void a_varint_longer_than_needed_or_too_wide_is_refused(void **state)
{
    static const char *const bad[] = {"8000", "ffff00", "ffffffff1f", "8080808080", "80", ""};
    uint8_t bytes[256];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct wire_reader reader = reader_of(bad[i], bytes, true);

        assert_int_equal(wire_read_uvarint(&reader), 0);
        assert_int_equal(reader.error, ERR_MALFORMED);
    }
    for (uint32_t bit = 0; bit < 32; bit++) {
        struct wire_writer writer;
        struct wire_reader reader;

        wire_writer_init(&writer, bytes, sizeof bytes);
        wire_write_uvarint(&writer, 1u << bit);
        wire_write_varint(&writer, INT32_MIN >> bit);
        wire_write_varlong(&writer, INT64_MIN >> bit);
        wire_reader_init(&reader, bytes, writer.used);
        assert_int_equal(wire_read_uvarint(&reader), 1u << bit);
        assert_int_equal(wire_read_varint(&reader), INT32_MIN >> bit);
        assert_true(wire_read_varlong(&reader) == INT64_MIN >> bit);
        assert_int_equal(wire_reader_end(&reader), ERR_NONE);
    }
}

static void errors_stay_and_reads_return_zero(void **state)
{
    uint8_t bytes[256];
    struct wire_reader reader = reader_of("0102", bytes, false);

    (void)state;
    assert_int_equal(wire_read_int32(&reader), 0);
    assert_int_equal(wire_read_int8(&reader), 0);
    assert_int_equal(reader.error, ERR_MALFORMED);
    assert_ptr_equal(reader.at, bytes);
}

static void strings_are_null_only_where_allowed(void **state)
{
    uint8_t bytes[256];
    struct wire_reader reader = reader_of("ffff", bytes, false);

    (void)state;
    assert_null(wire_read_string(&reader, true).data);
    assert_int_equal(wire_reader_end(&reader), ERR_NONE);
    reader = reader_of("ffff", bytes, false);
    (void)wire_read_string(&reader, false);
    assert_int_equal(reader.error, ERR_MALFORMED);
    reader = reader_of("fffe", bytes, false);
    (void)wire_read_string(&reader, true);
    assert_int_equal(reader.error, ERR_MALFORMED);
    reader = reader_of("00", bytes, true);
    (void)wire_read_string(&reader, false);
    assert_int_equal(reader.error, ERR_MALFORMED);
    reader = reader_of("01", bytes, true);
    assert_non_null(wire_read_string(&reader, false).data);
    assert_int_equal(wire_reader_end(&reader), ERR_NONE);
}

static void an_array_count_must_fit_the_bytes_left(void **state)
{
    uint8_t bytes[256];
    struct wire_reader reader = reader_of("00000002 0000000000000001", bytes, false);
    struct wire_array array = wire_read_array(&reader, &arena, 4, 4, false);

    (void)state;
    assert_int_equal(array.count, 2);
    reader = reader_of("00000003 0000000000000001", bytes, false);
    array = wire_read_array(&reader, &arena, 4, 4, false);
    assert_int_equal(reader.error, ERR_MALFORMED);
    assert_null(array.elements);
    reader = reader_of("ffffffff0f", bytes, true);
    array = wire_read_array(&reader, &arena, 1, 4, false);
    assert_int_equal(reader.error, ERR_MALFORMED);
}

static void an_arena_at_its_cap_is_an_error_and_no_damage(void **state)
{
    static uint8_t frame[70000];
    struct metadata_request request = {.topics_count = 7};
    struct wire_reader reader;
    struct arena small;

    (void)state;
    arena_init(&small, &memory.mem, 4096);
    frame[1] = 1; /* 65536 empty names */
    wire_reader_init(&reader, frame, sizeof frame);
    assert_int_equal(metadata_request_decode(&reader, 0, &small, &request), ERR_MALFORMED);
    frame[1] = 0;
    frame[2] = 4; /* 1024 of them need more than the arena has */
    wire_reader_init(&reader, frame, 4 + 2048);
    assert_int_equal(metadata_request_decode(&reader, 0, &small, &request), ERR_NO_MEMORY);
    assert_int_equal(request.topics_count, 7);
    arena_deinit(&small);
}

static enum err read_tags(const char *hex)
{
    uint8_t bytes[256];
    struct wire_reader reader = reader_of(hex, bytes, true);

    wire_tags_skip_all(&reader);
    return wire_reader_end(&reader);
}

static void tagged_fields_keep_order_and_size(void **state)
{
    (void)state;
    assert_int_equal(read_tags("00"), ERR_NONE);
    assert_int_equal(read_tags("02 00 01 aa 05 00"), ERR_NONE);
    assert_int_equal(read_tags("02 05 00 00 01 aa"), ERR_MALFORMED); /* order */
    assert_int_equal(read_tags("02 05 00 05 00"), ERR_MALFORMED);    /* twice */
    assert_int_equal(read_tags("01 05 03 aaaa"), ERR_MALFORMED);     /* beyond the end */
    assert_int_equal(read_tags("02 05 00"), ERR_MALFORMED);          /* fewer than said */
}

static enum err decode_api_versions(const char *hex)
{
    uint8_t bytes[256];
    struct wire_reader reader = reader_of(hex, bytes, false);
    struct api_versions_response response;
    enum err err = api_versions_response_decode(&reader, 3, &arena, &response);

    return err != ERR_NONE ? err : wire_reader_end(&reader);
}

static void a_known_tag_must_fill_its_size_exactly(void **state)
{
    (void)state;
    /* error, no keys, throttle, tags: finalized_features_epoch = 7 */
    assert_int_equal(decode_api_versions("0000 01 00000000 01 01 08 0000000000000007"), ERR_NONE);
    assert_int_equal(decode_api_versions("0000 01 00000000 01 01 09 000000000000000700"),
                     ERR_MALFORMED);
    assert_int_equal(decode_api_versions("0000 01 00000000 01 01 07 00000000000000"),
                     ERR_MALFORMED);
}

static void what_a_version_cannot_say_is_refused_unless_ignorable(void **state)
{
    uint8_t bytes[256];
    struct wire_writer writer;
    struct fetch_request fetch;
    struct fetch_request_topic topic;
    struct fetch_request_partition partition;
    struct find_coordinator_request find;

    (void)state;
    fetch_request_default(&fetch);
    fetch_request_topic_default(&topic);
    fetch_request_partition_default(&partition);
    fetch.topics = &topic;
    fetch.topics_count = 1;
    topic.partitions = &partition;
    topic.partitions_count = 1;
    fetch.session_epoch = 3; /* ignorable below 7 */
    wire_writer_init(&writer, bytes, sizeof bytes);
    assert_int_equal(fetch_request_encode(&writer, 4, &fetch), ERR_NONE);
    partition.last_fetched_epoch = 3; /* not ignorable below 12 */
    wire_writer_init(&writer, bytes, sizeof bytes);
    assert_int_equal(fetch_request_encode(&writer, 11, &fetch), ERR_UNSUPPORTED_VERSION);
    wire_writer_init(&writer, bytes, sizeof bytes);
    assert_int_equal(fetch_request_encode(&writer, 12, &fetch), ERR_NONE);
    find_coordinator_request_default(&find);
    find.key = STR_NULL;
    wire_writer_init(&writer, bytes, sizeof bytes);
    assert_int_equal(find_coordinator_request_encode(&writer, 0, &find), ERR_BAD_STATE);
    find.key = STR("group");
    wire_writer_init(&writer, bytes, sizeof bytes);
    assert_int_equal(find_coordinator_request_encode(&writer, 4, &find), ERR_UNSUPPORTED_VERSION);
    wire_writer_init(&writer, bytes, 6);
    assert_int_equal(find_coordinator_request_encode(&writer, 0, &find), ERR_TOO_LARGE);
    wire_writer_init(&writer, bytes, sizeof bytes);
    assert_int_equal(find_coordinator_request_encode(&writer, 5, &find), ERR_UNSUPPORTED_VERSION);
}

static void records_in_pieces_are_gathered(void **state)
{
    struct wire_slice pieces[2] = {
        {.kind = WIRE_SLICE_MEMORY, .length = 3, .data = (const uint8_t *)"abc"},
        {.kind = WIRE_SLICE_MEMORY, .length = 4, .data = (const uint8_t *)"defg"}};
    struct wire_slice slices[8];
    struct fetch_response response;
    struct fetch_response_topic topic;
    struct fetch_response_partition partition;
    struct wire_writer writer;
    struct wire_frame frame;
    struct wire_size size;
    uint8_t bytes[256];
    uint32_t total;

    (void)state;
    fetch_response_default(&response);
    fetch_response_topic_default(&topic);
    fetch_response_partition_default(&partition);
    response.responses = &topic;
    response.responses_count = 1;
    topic.partitions = &partition;
    topic.partitions_count = 1;
    partition.records_slices = pieces;
    partition.records_slices_count = 2;
    size = fetch_response_measure(&response, 12);
    assert_int_equal(size.payload, 7);
    assert_int_equal(size.slices, 5);
    wire_writer_init(&writer, bytes, sizeof bytes);
    wire_writer_gather(&writer, slices, COUNT_OF(slices));
    frame = api_begin_response(&writer, API_FETCH, 12, 77);
    assert_int_equal(fetch_response_encode(&writer, 12, &response), ERR_NONE);
    wire_frame_end(&writer, frame);
    assert_int_equal(wire_writer_finish(&writer), ERR_NONE);
    assert_int_equal(writer.slices_count, 4);
    assert_ptr_equal(slices[1].data, pieces[0].data);
    assert_ptr_equal(slices[2].data, pieces[1].data);
    assert_int_equal(wire_frame_size(bytes, 1 << 20, &total), ERR_NONE);
    assert_int_equal(total, writer.used + 7 - 4);
    assert_int_equal(total + 4, size.bytes + api_response_overhead(API_FETCH, 12));
    assert_int_equal(wire_frame_size(bytes, total - 1, &total), ERR_TOO_LARGE);
    assert_int_equal(wire_frame_size((const uint8_t[]){0xff, 0, 0, 0}, 9, &total), ERR_MALFORMED);
}

/* ---- golden bytes, made by hand from the protocol's definition ------------------------------- */

static void assert_bytes(const struct wire_writer *writer, const char *hex)
{
    uint8_t expected[256];
    size_t length = from_hex(hex, expected);

    assert_int_equal(writer->error, ERR_NONE);
    assert_int_equal(writer->used, length);
    assert_memory_equal(writer->buffer, expected, length);
}

static void golden_api_versions_request(void **state)
{
    struct api_versions_request request;
    struct wire_writer writer;
    struct wire_frame frame;
    uint8_t bytes[256];

    (void)state;
    api_versions_request_default(&request);
    request.client_software_name = STR("gregor");
    request.client_software_version = STR("0.1");
    wire_writer_init(&writer, bytes, sizeof bytes);
    frame = api_begin_request(&writer, API_API_VERSIONS, 3, 5, STR("me"));
    assert_int_equal(api_versions_request_encode(&writer, 3, &request), ERR_NONE);
    wire_frame_end(&writer, frame);
    /* size; key 18, version 3, correlation 5, client id with int16 length, tags; body, tags */
    assert_bytes(&writer, "00000019 0012 0003 00000005 0002 6d65 00 07 677265676f72 04 302e31 00");
    wire_writer_init(&writer, bytes, sizeof bytes);
    frame = api_begin_request(&writer, API_API_VERSIONS, 0, 5, STR_NULL);
    assert_int_equal(api_versions_request_encode(&writer, 0, &request), ERR_NONE);
    wire_frame_end(&writer, frame);
    assert_bytes(&writer, "0000000a 0012 0000 00000005 ffff");
}

static void golden_api_versions_response(void **state)
{
    struct api_versions_response_api_version key = {18, 0, 4};
    struct api_versions_response response;
    struct wire_writer writer;
    struct wire_frame frame;
    uint8_t bytes[256];

    (void)state;
    api_versions_response_default(&response);
    response.error_code = ERR_UNSUPPORTED_VERSION;
    response.api_keys = &key;
    response.api_keys_count = 1;
    wire_writer_init(&writer, bytes, sizeof bytes);
    frame = api_begin_response(&writer, API_API_VERSIONS, 0, 9);
    assert_int_equal(api_versions_response_encode(&writer, 0, &response), ERR_NONE);
    wire_frame_end(&writer, frame);
    assert_bytes(&writer, "00000010 00000009 0023 00000001 0012 0000 0004");
    response.error_code = 0;
    wire_writer_init(&writer, bytes, sizeof bytes);
    frame = api_begin_response(&writer, API_API_VERSIONS, 3, 9); /* header without tags */
    assert_int_equal(api_versions_response_encode(&writer, 3, &response), ERR_NONE);
    wire_frame_end(&writer, frame);
    assert_bytes(&writer, "00000013 00000009 0000 02 0012 0000 0004 00 00000000 00");
}

static void golden_metadata_request(void **state)
{
    struct metadata_request_topic topic;
    struct metadata_request request;
    struct wire_writer writer;
    uint8_t bytes[256];

    (void)state;
    metadata_request_default(&request);
    metadata_request_topic_default(&topic);
    request.topics_null = true;
    wire_writer_init(&writer, bytes, sizeof bytes);
    assert_int_equal(metadata_request_encode(&writer, 1, &request), ERR_NONE);
    assert_bytes(&writer, "ffffffff");
    request.topics_null = false;
    request.topics = &topic;
    request.topics_count = 1;
    topic.name = STR("t");
    wire_writer_init(&writer, bytes, sizeof bytes);
    assert_int_equal(metadata_request_encode(&writer, 4, &request), ERR_NONE);
    assert_bytes(&writer, "00000001 0001 74 01");
    wire_writer_init(&writer, bytes, sizeof bytes);
    assert_int_equal(metadata_request_encode(&writer, 12, &request), ERR_NONE);
    assert_bytes(&writer, "02 00000000000000000000000000000000 02 74 00 01 00 00");
}

static void golden_produce_request(void **state)
{
    struct produce_request_partition partition;
    struct produce_request_topic topic;
    struct produce_request request;
    struct wire_writer writer;
    uint8_t bytes[256];

    (void)state;
    produce_request_default(&request);
    produce_request_topic_default(&topic);
    produce_request_partition_default(&partition);
    request.acks = -1;
    request.timeout_ms = 1500;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    topic.name = STR("t");
    topic.partition_data = &partition;
    topic.partition_data_count = 1;
    partition.index = 3;
    partition.records = (struct bytes){(const uint8_t *)"xyz", 3};
    wire_writer_init(&writer, bytes, sizeof bytes);
    assert_int_equal(produce_request_encode(&writer, 7, &request), ERR_NONE);
    assert_bytes(&writer, "ffff ffff 000005dc 00000001 0001 74 00000001 00000003 00000003 78797a");
    wire_writer_init(&writer, bytes, sizeof bytes);
    assert_int_equal(produce_request_encode(&writer, 9, &request), ERR_NONE);
    assert_bytes(&writer, "00 ffff 000005dc 02 02 74 02 00000003 04 78797a 00 00 00");
}

static void golden_fetch_response_with_a_diverging_epoch(void **state)
{
    struct fetch_response_partition partition;
    struct fetch_response_topic topic;
    struct fetch_response response;
    struct wire_writer writer;
    uint8_t bytes[256];

    (void)state;
    fetch_response_default(&response);
    fetch_response_topic_default(&topic);
    fetch_response_partition_default(&partition);
    response.responses = &topic;
    response.responses_count = 1;
    topic.topic = STR("t");
    topic.partitions = &partition;
    topic.partitions_count = 1;
    partition.high_watermark = 10;
    partition.last_stable_offset = 10;
    partition.log_start_offset = 0;
    partition.aborted_transactions_null = true;
    partition.diverging_epoch.epoch = 2;
    partition.diverging_epoch.end_offset = 8;
    wire_writer_init(&writer, bytes, sizeof bytes);
    assert_int_equal(fetch_response_encode(&writer, 12, &response), ERR_NONE);
    assert_bytes(&writer, "00000000 0000 00000000 02 02 74 02 00000000 0000 000000000000000a "
                          "000000000000000a 0000000000000000 00 ffffffff 01 "
                          "01 00 0d 00000002 0000000000000008 00 00 00");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_varint_longer_than_needed_or_too_wide_is_refused),
        cmocka_unit_test(errors_stay_and_reads_return_zero),
        cmocka_unit_test(strings_are_null_only_where_allowed),
        cmocka_unit_test(an_array_count_must_fit_the_bytes_left),
        cmocka_unit_test(an_arena_at_its_cap_is_an_error_and_no_damage),
        cmocka_unit_test(tagged_fields_keep_order_and_size),
        cmocka_unit_test(a_known_tag_must_fill_its_size_exactly),
        cmocka_unit_test(what_a_version_cannot_say_is_refused_unless_ignorable),
        cmocka_unit_test(records_in_pieces_are_gathered),
        cmocka_unit_test(golden_api_versions_request),
        cmocka_unit_test(golden_api_versions_response),
        cmocka_unit_test(golden_metadata_request),
        cmocka_unit_test(golden_produce_request),
        cmocka_unit_test(golden_fetch_response_with_a_diverging_epoch),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

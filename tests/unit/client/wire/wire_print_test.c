/* Proves: a message prints as one line, with the fields of its version, nulls told apart, and a
 * peer's bytes kept off the terminal. */
#include "tests/support/support.h"

#include "client/wire/wire_print.h"
#include "wire/metadata.h"
#include "wire/produce.h"

#include <string.h>

static void a_request_prints_the_fields_of_its_version(void **state)
{
    struct produce_request_partition partition;
    struct produce_request_topic topic;
    struct produce_request request;
    char line[256];
    struct text text;

    (void)state;
    produce_request_default(&request);
    produce_request_topic_default(&topic);
    produce_request_partition_default(&partition);
    request.acks = -1;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    topic.name = STR("a\033b");
    topic.partition_data = &partition;
    topic.partition_data_count = 1;
    partition.records = (struct bytes){(const uint8_t *)"xyz", 3};
    text_init(&text, line, sizeof line);
    wire_print(&text, &produce_request_message, 7, &request);
    assert_string_equal(line, "produce_request{transactional_id=null acks=-1 timeout_ms=0 "
                              "topic_data=[{name=\"a?b\" partition_data=[{index=0 "
                              "records=<3 bytes>}]}]}");
    text_init(&text, line, 20);
    wire_print(&text, &produce_request_message, 7, &request);
    assert_true(text.truncated);
    assert_int_equal(strlen(line), 19);
}

static void a_null_array_is_not_an_empty_one(void **state)
{
    struct metadata_request request;
    char line[256];
    struct text text;

    (void)state;
    metadata_request_default(&request);
    text_init(&text, line, sizeof line);
    wire_print(&text, &metadata_request_message, 4, &request);
    assert_string_equal(line, "metadata_request{topics=[] allow_auto_topic_creation=true}");
    request.topics_null = true;
    text_init(&text, line, sizeof line);
    wire_print(&text, &metadata_request_message, 1, &request);
    assert_string_equal(line, "metadata_request{topics=null}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_prints_the_fields_of_its_version),
        cmocka_unit_test(a_null_array_is_not_an_empty_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Proves, for every message and every version: what is encoded decodes to the same value, needs as
 * many bytes as measured, gathers to the same bytes; a frame cut short is refused everywhere; a
 * damaged frame is refused or decodes to something that can be encoded again. */
#include "tests/support/support.h"

#include "tests/support/wire_random.h"
#include "wire/api_table.h"

#include <stdlib.h>
#include <string.h>

enum { FRAME_MAX = 64 * 1024, SLICES_MAX = 256, VALUE_MAX = 1024, ROUNDS = 12 };

struct fixture {
    struct support_memory memory;
    struct arena arena;
    struct rng rng;
    uint8_t *frame; /* exact malloc()ed copies are made of it, so that asan sees every overrun */
    uint8_t *other;
};

static void fixture_init(struct fixture *fixture)
{
    support_memory_init(&fixture->memory, 64 << 20);
    arena_init(&fixture->arena, &fixture->memory.mem, 8 << 20);
    rng_init(&fixture->rng, 42);
    fixture->frame = malloc(FRAME_MAX);
    fixture->other = malloc(FRAME_MAX);
}

static void fixture_deinit(struct fixture *fixture)
{
    arena_deinit(&fixture->arena);
    support_memory_deinit(&fixture->memory);
    free(fixture->frame);
    free(fixture->other);
}

static void *new_value(struct fixture *fixture, const struct wire_message *message)
{
    void *value = arena_zalloc(&fixture->arena, message->body->size);

    assert_non_null(value);
    return value;
}

static size_t encode(const struct wire_message *message, int16_t version, const void *value,
                     uint8_t *frame)
{
    struct wire_writer writer;

    wire_writer_init(&writer, frame, FRAME_MAX);
    assert_int_equal(message->encode(&writer, version, value), ERR_NONE);
    assert_int_equal(wire_writer_finish(&writer), ERR_NONE);
    return writer.used;
}

static enum err decode(struct fixture *fixture, const struct wire_message *message, int16_t version,
                       const uint8_t *frame, size_t length, void *value)
{
    uint8_t *exact = malloc(length + 1);
    struct wire_reader reader;
    enum err err;

    memcpy(exact + 1, frame, length);
    wire_reader_init(&reader, exact + 1, length);
    err = message->decode(&reader, version, &fixture->arena, value);
    if (err == ERR_NONE) err = wire_reader_end(&reader);
    if (err == ERR_NONE && length > 0) {
        /* Views must outlive the copy: decode again from the caller's bytes. */
        wire_reader_init(&reader, frame, length);
        assert_int_equal(message->decode(&reader, version, &fixture->arena, value), ERR_NONE);
    }
    free(exact);
    return err;
}

typedef void body(struct fixture *, const struct wire_message *, int16_t version);

static void for_all(body *check)
{
    struct fixture fixture;
    uint32_t done = 0;

    fixture_init(&fixture);
    for (uint32_t i = 0; i < api_table_messages_count; i++) {
        const struct wire_message *message = api_table_messages[i];

        assert_true(message->body->size <= VALUE_MAX);
        for (int16_t v = message->versions.first; v <= message->versions.last; v++) {
            for (uint32_t round = 0; round < ROUNDS; round++) {
                check(&fixture, message, v);
                arena_reset(&fixture.arena);
                done++;
            }
        }
    }
    assert_true(done > 200 * ROUNDS);
    fixture_deinit(&fixture);
}

static void check_round_trip(struct fixture *fixture, const struct wire_message *message,
                             int16_t version)
{
    void *value = new_value(fixture, message);
    void *again = new_value(fixture, message);
    const char *difference;
    size_t length;
    struct wire_size size;

    wire_random_value(&fixture->rng, &fixture->arena, message, version, value);
    length = encode(message, version, value, fixture->frame);
    size = message->measure(value, version);
    assert_int_equal(size.bytes, length);
    assert_int_equal(decode(fixture, message, version, fixture->frame, length, again), ERR_NONE);
    difference = wire_random_difference(message->body, value, again);
    if (difference != NULL) fail_msg("%s v%d: %s", message->name, version, difference);
}

static void every_value_survives_the_wire(void **state)
{
    (void)state;
    for_all(check_round_trip);
}

static void check_gather(struct fixture *fixture, const struct wire_message *message,
                         int16_t version)
{
    void *value = new_value(fixture, message);
    struct wire_slice slices[SLICES_MAX];
    struct wire_writer writer;
    struct wire_size size;
    size_t length, joined = 0;

    wire_random_value(&fixture->rng, &fixture->arena, message, version, value);
    length = encode(message, version, value, fixture->frame);
    size = message->measure(value, version);
    assert_true(size.slices <= SLICES_MAX);
    /* Exactly the buffer and the slices that were asked for. */
    wire_writer_init(&writer, fixture->other, size.bytes - size.payload);
    wire_writer_gather(&writer, slices, size.slices);
    assert_int_equal(message->encode(&writer, version, value), ERR_NONE);
    assert_int_equal(wire_writer_finish(&writer), ERR_NONE);
    assert_int_equal(writer.referenced, size.payload);
    for (uint32_t i = 0; i < writer.slices_count; i++) {
        assert_true(joined + slices[i].length <= length);
        assert_memory_equal(fixture->frame + joined, slices[i].data, slices[i].length);
        joined += slices[i].length;
    }
    assert_int_equal(joined, length);
}

static void gathered_slices_are_the_same_bytes(void **state)
{
    (void)state;
    for_all(check_gather);
}

static void check_truncation(struct fixture *fixture, const struct wire_message *message,
                             int16_t version)
{
    void *value = new_value(fixture, message);
    size_t length, step;

    wire_random_value(&fixture->rng, &fixture->arena, message, version, value);
    length = encode(message, version, value, fixture->frame);
    step = length / 40 + 1;
    for (size_t cut = 0; cut < length; cut += step)
        assert_int_not_equal(decode(fixture, message, version, fixture->frame, cut, value),
                             ERR_NONE);
    fixture->frame[length] = 0;
    assert_int_not_equal(decode(fixture, message, version, fixture->frame, length + 1, value),
                         ERR_NONE);
}

static void a_frame_cut_short_is_refused(void **state)
{
    (void)state;
    for_all(check_truncation);
}

static void check_mutation(struct fixture *fixture, const struct wire_message *message,
                           int16_t version)
{
    void *value = new_value(fixture, message);
    void *again = new_value(fixture, message);
    size_t length;

    wire_random_value(&fixture->rng, &fixture->arena, message, version, value);
    length = encode(message, version, value, fixture->frame);
    if (length == 0) return;
    for (uint32_t round = 0; round < 10; round++) {
        size_t place = (size_t)rng_below(&fixture->rng, length);
        uint8_t before = fixture->frame[place];

        fixture->frame[place] ^= (uint8_t)(1u << rng_below(&fixture->rng, 8));
        if (decode(fixture, message, version, fixture->frame, length, value) == ERR_NONE) {
            size_t remade = encode(message, version, value, fixture->other);

            assert_int_equal(decode(fixture, message, version, fixture->other, remade, again),
                             ERR_NONE);
            assert_null(wire_random_difference(message->body, value, again));
        }
        fixture->frame[place] = before;
    }
}

static void a_damaged_frame_is_refused_or_means_something(void **state)
{
    (void)state;
    for_all(check_mutation);
}

static void defaults_are_what_a_version_without_the_field_gives(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    for (uint32_t i = 0; i < api_table_messages_count; i++) {
        const struct wire_message *message = api_table_messages[i];
        void *value = new_value(&fixture, message);
        void *again = new_value(&fixture, message);

        message->body->set_default(value);
        for (int16_t v = message->versions.first; v <= message->versions.last; v++) {
            size_t length = encode(message, v, value, fixture.frame);

            assert_int_equal(decode(&fixture, message, v, fixture.frame, length, again), ERR_NONE);
            assert_null(wire_random_difference(message->body, value, again));
        }
        arena_reset(&fixture.arena);
    }
    fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_survives_the_wire),
        cmocka_unit_test(gathered_slices_are_the_same_bytes),
        cmocka_unit_test(a_frame_cut_short_is_refused),
        cmocka_unit_test(a_damaged_frame_is_refused_or_means_something),
        cmocka_unit_test(defaults_are_what_a_version_without_the_field_gives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

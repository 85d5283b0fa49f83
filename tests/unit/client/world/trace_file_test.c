/* What a trace file is written from is what it reads back: every kind, extreme numbers, text;
 * a file cut anywhere reads up to the cut; damaged bytes end in an error, never in a crash; a kind
 * that this program does not know is skipped. */
#include "client/base/rng.h"
#include "client/world/trace_file.h"
#include "tests/support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_SIZE = 1 << 20, BLOCK = 8192, EVENTS = 3000 };

struct written {
    int64_t time_ns;
    int32_t node;
    struct trace_event event;
    char text[64];
};

static struct written written[EVENTS];
static uint8_t file[FILE_SIZE];
static uint8_t scratch[TRACE_FILE_HEAD_MAX];

static int64_t some_number(struct rng *rng)
{
    static const int64_t edges[] = {0, -1, 1, INT64_MAX, INT64_MIN, 1000000};
    uint64_t pick = rng_below(rng, 12);

    return pick < COUNT_OF(edges) ? edges[pick] : (int64_t)rng_below(rng, 5000);
}

/* Fills `written` and `file`; returns the file's length. */
static uint32_t write_file(uint64_t seed)
{
    struct trace_file_block block;
    uint32_t length = trace_file_head(file);
    struct rng rng;
    int64_t now = 0;

    rng_init(&rng, seed);
    trace_file_begin(&block, file + length, BLOCK);
    for (uint32_t i = 0; i < EVENTS; i++) {
        struct written *w = &written[i];
        struct trace_kind_info info;

        now += (int64_t)rng_below(&rng, 2000000);
        memset(w, 0, sizeof *w);
        w->time_ns = now;
        w->node = (int32_t)rng_below(&rng, 200) - 1;
        w->event.kind = (enum trace_kind)rng_below(&rng, TRACE_KIND_COUNT);
        trace_kind_describe(w->event.kind, &info);
        w->event.field_count = info.field_count;
        for (uint32_t f = 0; f < info.field_count; f++)
            w->event.fields[f] = some_number(&rng);
        if (rng_below(&rng, 3) == 0) {
            uint32_t text = (uint32_t)rng_below(&rng, sizeof w->text);

            memset(w->text, 'a' + (int)(i % 26), text);
            w->event.text = (struct str){w->text, text};
        }
        if (!trace_file_append(&block, w->time_ns, w->node, &w->event)) {
            length += trace_file_end(&block);
            assert_true(length + 2 * BLOCK < FILE_SIZE);
            trace_file_begin(&block, file + length, BLOCK);
            assert_true(trace_file_append(&block, w->time_ns, w->node, &w->event));
        }
    }
    return length + trace_file_end(&block);
}

static void assert_same(const struct written *w, const struct trace_file_reader *reader,
                        const struct trace_event *event)
{
    assert_int_equal(reader->time_ns, w->time_ns);
    assert_int_equal(reader->node, w->node);
    assert_int_equal(event->kind, w->event.kind);
    assert_int_equal(event->field_count, w->event.field_count);
    assert_memory_equal(event->fields, w->event.fields, sizeof w->event.fields);
    assert_int_equal(event->text.data == NULL, w->event.text.data == NULL);
    assert_true(str_equal(event->text, w->event.text));
}

static void what_was_written_is_read_back(void **state)
{
    struct trace_file_reader *reader = malloc(sizeof *reader);
    uint32_t length = write_file(7);
    struct trace_event event;

    (void)state;
    assert_int_equal(trace_file_open(reader, (struct bytes){file, length}), ERR_NONE);
    for (uint32_t i = 0; i < EVENTS; i++) {
        assert_true(trace_file_next(reader, &event));
        assert_same(&written[i], reader, &event);
    }
    assert_false(trace_file_next(reader, &event));
    assert_int_equal(reader->err, ERR_NONE);
    assert_false(reader->cut);
    free(reader);
}

static void a_cut_file_reads_up_to_the_cut(void **state)
{
    struct trace_file_reader *reader = malloc(sizeof *reader);
    uint32_t length = write_file(8);
    uint32_t head = trace_file_head(scratch);
    uint32_t last = 0;

    (void)state;
    for (uint32_t cut = head; cut < length; cut += 997) {
        struct trace_event event;
        uint32_t read = 0;

        assert_int_equal(trace_file_open(reader, (struct bytes){file, cut}), ERR_NONE);
        while (trace_file_next(reader, &event))
            assert_same(&written[read++], reader, &event);
        assert_int_equal(reader->err, ERR_NONE);
        assert_true(read >= last);
        last = read;
    }
    assert_true(last > EVENTS * 9 / 10);
    free(reader);
}

static void damaged_bytes_end_in_an_error_or_in_other_numbers(void **state)
{
    struct trace_file_reader *reader = malloc(sizeof *reader);
    uint32_t length = write_file(9);
    uint64_t errors = 0;
    struct rng rng;

    (void)state;
    rng_init(&rng, 3);
    for (uint32_t i = 0; i < 300; i++) {
        uint32_t place = (uint32_t)rng_below(&rng, length);
        uint8_t was = file[place];
        struct trace_event event;

        file[place] = (uint8_t)rng_u64(&rng);
        if (trace_file_open(reader, (struct bytes){file, length}) == ERR_NONE) {
            while (trace_file_next(reader, &event))
                assert_true(event.kind < TRACE_KIND_COUNT);
            errors += reader->err != ERR_NONE;
        } else {
            errors++;
        }
        file[place] = was;
    }
    assert_true(errors > 30);
    free(reader);
}

static void an_unknown_kind_is_skipped_and_counted(void **state)
{
    struct trace_file_reader *reader = malloc(sizeof *reader);
    uint32_t length = write_file(10);
    uint64_t of_kind = 0;
    uint64_t read = 0;
    struct trace_event event;
    uint8_t *name = NULL;

    (void)state;
    for (uint32_t i = 0; i < 4096 && name == NULL; i++) {
        if (memcmp(file + i, "replica.hw", 10) == 0) name = file + i;
    }
    assert_non_null(name);
    if (name != NULL) name[0] = 'X';
    for (uint32_t i = 0; i < EVENTS; i++)
        of_kind += written[i].event.kind == TRACE_REPLICA_HW;
    assert_int_equal(trace_file_open(reader, (struct bytes){file, length}), ERR_NONE);
    while (trace_file_next(reader, &event))
        read++;
    assert_int_equal(reader->unknown, of_kind);
    assert_int_equal(read, EVENTS - of_kind);
    free(reader);
}

/* tests/golden/trace-1.bin: a run of a fifth of a second, written by a program of version 1. The
 * numbers are those that an independent reader of that version counted. */
static void a_file_of_the_version_before_is_read(void **state)
{
    FILE *sample = fopen("tests/golden/trace-1.bin", "rb");
    struct trace_file_reader *reader = malloc(sizeof *reader);
    struct trace_event event;
    uint32_t length;
    uint32_t steps = 0;
    uint32_t active = 0;
    uint64_t text = 0;

    (void)state;
    assert_non_null(sample);
    length = (uint32_t)fread(file, 1, sizeof file, sample);
    (void)fclose(sample);
    assert_int_equal(trace_file_open(reader, (struct bytes){file, length}), ERR_NONE);
    assert_int_equal(reader->version, 1);
    while (trace_file_next(reader, &event)) {
        steps += event.kind == TRACE_OP_STEP;
        active += event.kind == TRACE_OP_STEP && str_equal(event.text, STR("ACTIVE"));
        text += event.text.length;
    }
    assert_int_equal(reader->err, ERR_NONE);
    assert_int_equal(reader->events, 1476);
    assert_int_equal(steps, 1091);
    assert_int_equal(active, 77);
    assert_int_equal(text, 7837);
    free(reader);
}

static void a_text_that_comes_again_costs_two_bytes(void **state)
{
    static const char *const words[] = {"READ", "ACTIVE", "READ", "SERVED", "READ"};
    struct trace_file_block *block = malloc(sizeof *block);
    uint32_t used[5];

    (void)state;
    trace_file_begin(block, file, 1 << 16);
    for (uint32_t i = 0; i < 5; i++) {
        const struct trace_event event = {TRACE_OP_STEP, 2, {7, 7}, str_of(words[i])};
        uint32_t before = block->used;

        assert_true(trace_file_append(block, 5, 1, &event));
        used[i] = block->used - before;
    }
    assert_int_equal(used[1], used[3]);
    assert_int_equal(used[2], used[4]);
    assert_int_equal(used[1] - used[2], strlen("ACTIVE"));
    free(block);
}

static void other_files_and_newer_versions_are_refused(void **state)
{
    struct trace_file_reader *reader = malloc(sizeof *reader);
    uint32_t length = write_file(11);

    (void)state;
    assert_int_equal(trace_file_open(reader, (struct bytes){file, 15}), ERR_MALFORMED);
    file[11]++;
    assert_int_equal(trace_file_open(reader, (struct bytes){file, length}), ERR_UNSUPPORTED);
    file[0] = 'G';
    assert_int_equal(trace_file_open(reader, (struct bytes){file, length}), ERR_MALFORMED);
    free(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(a_cut_file_reads_up_to_the_cut),
        cmocka_unit_test(damaged_bytes_end_in_an_error_or_in_other_numbers),
        cmocka_unit_test(an_unknown_kind_is_skipped_and_counted),
        cmocka_unit_test(a_file_of_the_version_before_is_read),
        cmocka_unit_test(a_text_that_comes_again_costs_two_bytes),
        cmocka_unit_test(other_files_and_newer_versions_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

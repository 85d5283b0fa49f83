/* Proves that dump-log says what stands in a directory: the same sum whatever the segments, the
 * first difference of two replicas, damage, and that it changes nothing while a log is open. */
#include "broker/log/dump.h"
#include "tests/support/log_box.h"

#include <string.h>

struct lines {
    struct dump_sink sink;
    char text[200000];
    size_t length;
    char errors[4000];
    size_t errors_length;
};

static void lines_take(struct dump_sink *sink, struct str line)
{
    struct lines *lines = CONTAINER_OF(sink, struct lines, sink);

    assert_true(lines->length + line.length + 2 < sizeof lines->text);
    memcpy(lines->text + lines->length, line.data, line.length);
    lines->length += line.length;
    lines->text[lines->length++] = '\n';
}

static void lines_error(struct dump_sink *sink, struct str line)
{
    struct lines *lines = CONTAINER_OF(sink, struct lines, sink);

    assert_true(lines->errors_length + line.length + 2 < sizeof lines->errors);
    memcpy(lines->errors + lines->errors_length, line.data, line.length);
    lines->errors_length += line.length;
    lines->errors[lines->errors_length++] = '\n';
}

static struct dump dumping;

static bool dump_is_done(struct log_box *box)
{
    (void)box;
    return dumping.done;
}

static bool box_dump(struct log_box *box, struct lines *lines, int count, const char **arguments)
{
    struct dump_request request;
    struct errmsg error;

    memset(lines, 0, sizeof *lines);
    lines->sink = (struct dump_sink){lines_take, lines_error};
    assert_int_equal(ERR_NONE,
                     dump_parse(&request, count, (char *const *)(uintptr_t)arguments, &error));
    dump_start(&dumping, &box->env, &request, &lines->sink);
    assert_true(log_box_wait(box, dump_is_done));
    return !dumping.failed;
}
#define DUMP(box, lines, ...)                                                \
    box_dump((box), (lines), (int)COUNT_OF(((const char *[]){__VA_ARGS__})), \
             (const char *[]){__VA_ARGS__})

static void box_fill(struct log_box *box, uint32_t count)
{
    struct log_append append;

    for (uint32_t i = 0; i < count; i++) {
        int32_t latest = log_latest_epoch(box->log);
        int32_t epoch = (int32_t)(i / 20);

        if (epoch < latest) epoch = latest;
        assert_int_equal(ERR_NONE, log_box_append(box, epoch, 1 + i % 3, 40, &append));
        assert_true(log_box_await(box, &append));
    }
}

static void box_begin(struct log_box *box, uint32_t segment_bytes)
{
    log_box_init(box, 1);
    box->config.segment_bytes = segment_bytes;
    box->config.index_interval_bytes = 200;
    assert_int_equal(ERR_NONE, log_box_start(box));
    assert_int_equal(ERR_NONE, log_box_open(box));
}

static void the_digest_does_not_depend_on_segments(void **state)
{
    static struct log_box box;
    static struct lines lines;
    char first[100] = "";

    (void)state;
    for (int round = 0; round < 2; round++) {
        box_begin(&box, round == 0 ? 1500 : 1 << 20);
        box_fill(&box, 60);
        assert_true(round == 1 || box.traced[TRACE_LOG_ROLLED] > 3);
        assert_true(DUMP(&box, &lines, "--digest", "data/orders-0"));
        assert_int_equal(0, lines.errors_length);
        assert_memory_equal("digest=", lines.text, 7);
        if (round == 0) {
            memcpy(first, lines.text, sizeof first - 1);
        } else {
            assert_memory_equal(first, lines.text, sizeof first - 1);
        }
        /* With one batch less it is another one. */
        assert_true(DUMP(&box, &lines, "--digest", "--to", "30", "data/orders-0"));
        assert_memory_not_equal(first, lines.text, 40);
        log_box_stop(&box);
        log_box_deinit(&box);
    }
}

static void a_log_that_ends_early_and_a_missing_mark_are_told(void **state)
{
    static struct log_box box;
    static struct lines lines;

    (void)state;
    box_begin(&box, 1500);
    box_fill(&box, 10);
    assert_false(DUMP(&box, &lines, "--digest", "--to", "1000", "data/orders-0"));
    assert_non_null(strstr(lines.errors, "ends below"));
    assert_false(DUMP(&box, &lines, "--digest", "--to", "HW", "data/orders-0"));
    assert_non_null(strstr(lines.errors, "high watermark"));
    log_note_high_watermark(box.log, 5);
    (void)log_dir_checkpoint(&box.dir);
    log_box_run_ms(&box, 100);
    assert_true(DUMP(&box, &lines, "--digest", "--to", "HW", "data/orders-0/"));
    assert_non_null(strstr(lines.text, " to=5 "));
    assert_false(DUMP(&box, &lines, "data/nothing"));
    assert_non_null(strstr(lines.errors, "data/nothing: cannot be read: NOT_FOUND"));
    log_box_stop(&box);
    log_box_deinit(&box);
}

static void every_file_of_a_directory_is_shown(void **state)
{
    static struct log_box box;
    static struct lines lines;

    (void)state;
    box_begin(&box, 1500);
    box_fill(&box, 40);
    assert_true(DUMP(&box, &lines, "data"));
    assert_non_null(strstr(lines.text, "directory data\n"));
    assert_non_null(strstr(lines.text, "partition data/orders-0\n"));
    assert_non_null(strstr(lines.text, "batch base=0 last=0 epoch=0 position=0"));
    assert_non_null(strstr(lines.text, "crc=ok codec=none records=1"));
    assert_non_null(strstr(lines.text, ".index size="));
    assert_non_null(strstr(lines.text, ".timeindex size="));
    assert_non_null(strstr(lines.text, "producers=0 crc=ok"));
    assert_non_null(strstr(lines.text, "file leader-epoch-checkpoint"));
    assert_non_null(strstr(lines.text, "topic_id: "));
    /* It looked, and changed nothing: the log goes on. */
    box_fill(&box, 5);
    log_box_check(&box, 1000);
    log_box_stop(&box);
    assert_int_equal(ERR_NONE, log_box_start(&box));
    assert_int_equal(ERR_NONE, log_box_open(&box));
    assert_true(box.log->opened_clean);
    log_box_stop(&box);
    log_box_deinit(&box);
}

static bool box_two_settled(struct log_box *box)
{
    return box->log->state != LOG_OPENING && box->log->flow == NULL;
}

static void replicas_are_compared_up_to_their_first_difference(void **state)
{
    static struct log_box box;
    static struct lines lines;
    struct log_open open = {.topic = STR("orders"), .partition = 1, .create = true};
    struct log *first;

    (void)state;
    box_begin(&box, 1500);
    box_fill(&box, 40);
    first = box.log;
    box.log = log_open(&box.dir, &open, &box.config);
    assert_non_null(box.log);
    box.log->topic_id.bytes[1] = 1;
    assert_true(log_box_wait(&box, box_two_settled));
    box.config.segment_bytes = 700; /* boundaries do not matter */
    box.serial = 0;
    box_fill(&box, 30);
    assert_true(DUMP(&box, &lines, "--compare", "data/orders-0", "data/orders-1"));
    assert_non_null(strstr(lines.text, "same to=60 data/orders-0 data/orders-1"));
    assert_non_null(strstr(lines.text, "  epochs 0@0 1@"));
    box.serial++; /* another history from here on */
    box_fill(&box, 2);
    assert_false(DUMP(&box, &lines, "--compare", "data/orders-0", "data/orders-1"));
    assert_non_null(strstr(lines.text, "differs offset=60 data/orders-0 base=60"));
    assert_true(DUMP(&box, &lines, "--compare", "--to", "60", "data/orders-0", "data/orders-1"));
    log_close(first);
    log_box_run_ms(&box, 1000);
    assert_int_equal(LOG_CLOSED, first->state);
    log_free(first);
    log_box_stop(&box);
    log_box_deinit(&box);
}

static void damage_is_told(void **state)
{
    static struct log_box box;
    static struct lines lines;

    (void)state;
    box_begin(&box, 1500);
    box_fill(&box, 40);
    assert_true(sim_image_rot(sim_disk_image(box.node->disk),
                              "data/orders-0/00000000000000000000.log", 100, 3));
    assert_false(DUMP(&box, &lines, "data/orders-0"));
    assert_non_null(strstr(lines.text, "crc=BAD"));
    assert_non_null(strstr(lines.errors, "a batch fails its crc"));
    /* A length that cannot be: the rest of the segment is no batch, the next one is shown. */
    assert_true(sim_image_rot(sim_disk_image(box.node->disk),
                              "data/orders-0/00000000000000000000.log", 8, 6));
    assert_false(DUMP(&box, &lines, "--digest", "data/orders-0"));
    assert_non_null(strstr(lines.errors, "its end is no batch, and segments follow"));
    log_box_kill(&box, false);
    log_box_deinit(&box);
}

static void wrong_use_is_refused(void **state)
{
    static const char *const wrong[][3] = {{"--digest"},
                                           {"--to", "x", "data"},
                                           {"--compare", "data"},
                                           {"--nonsense", "data"},
                                           {"--to", "5", "data"},
                                           {"--digest", "--to"},
                                           {"--digest", "--compare", "data"}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct dump_request request;
        struct errmsg error;
        int count = 0;

        while (count < 3 && wrong[i][count] != NULL)
            count++;
        assert_int_equal(ERR_BAD_CONFIG,
                         dump_parse(&request, count, (char *const *)(uintptr_t)wrong[i], &error));
        assert_true(strlen(error.text) > 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_digest_does_not_depend_on_segments),
        cmocka_unit_test(a_log_that_ends_early_and_a_missing_mark_are_told),
        cmocka_unit_test(every_file_of_a_directory_is_shown),
        cmocka_unit_test(replicas_are_compared_up_to_their_first_difference),
        cmocka_unit_test(damage_is_told),
        cmocka_unit_test(wrong_use_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

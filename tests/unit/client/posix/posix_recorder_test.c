/* A recorder's file reads back as what the process told, in order, also across blocks; its times
 * begin with the wall clock and do not step with it; a path that cannot be made is refused. */
#include "client/posix/posix_recorder.h"
#include "tests/support/support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TOLD = 20000 };

static void what_is_told_is_recorded(void **state)
{
    char path[] = "/tmp/gregor-recorder-XXXXXX";
    int fd = mkstemp(path);
    struct posix_recorder *recorder;
    struct trace_file_reader *reader = malloc(sizeof *reader);
    uint8_t *data = malloc(1 << 22);
    struct trace_event event = {.kind = TRACE_LOG_SYNCED, .field_count = 3};
    ssize_t length;

    (void)state;
    assert_true(fd >= 0);
    recorder = posix_recorder_create(path, NULL);
    assert_non_null(recorder);
    for (int64_t i = 0; i < TOLD; i++) {
        struct instant now = {{i}, {i == TOLD / 2 ? 5 : 1000 + i}};

        event.fields[2] = i * 1000003;
        recorder->taker.take(&recorder->taker, now, 7, &event);
    }
    posix_recorder_destroy(recorder);
    length = read(fd, data, 1 << 22);
    assert_true(length > POSIX_RECORDER_BLOCK);
    assert_int_equal(trace_file_open(reader, (struct bytes){data, (uint32_t)length}), ERR_NONE);
    for (int64_t i = 0; i < TOLD; i++) {
        assert_true(trace_file_next(reader, &event));
        assert_int_equal(event.fields[2], i * 1000003);
        assert_int_equal(reader->time_ns, 1000 * NS_PER_MS + i);
        assert_int_equal(reader->node, 7);
    }
    assert_false(trace_file_next(reader, &event));
    assert_int_equal(reader->err, ERR_NONE);
    close(fd);
    unlink(path);
    free(data);
    free(reader);
}

static void a_path_that_cannot_be_made_is_refused(void **state)
{
    (void)state;
    assert_null(posix_recorder_create("/nonexistent/dir/trace", NULL));
    assert_int_equal(errno, ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_told_is_recorded),
        cmocka_unit_test(a_path_that_cannot_be_made_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

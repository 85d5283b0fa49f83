/* When a device counts as slow and when as quick again, the line that a trace event becomes, and
 * which events become none because there were so many. */
#include "tests/support/support.h"

#include "client/posix/posix_disk.h"
#include "client/posix/posix_trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void third_slow_write_of_a_thousand_makes_a_device_slow(void **state)
{
    struct posix_device device = {.slow = false};

    (void)state;
    for (int i = 0; i < 2; i++)
        posix_disk_note(&device, 2 * NS_PER_MS, 0);
    assert_false(device.slow);
    for (int i = 0; i < 997; i++)
        posix_disk_note(&device, 1000, 0);
    posix_disk_note(&device, 2 * NS_PER_MS, 0); /* the 1,000th, with the first still in it */
    assert_true(device.slow);
}

static void slow_writes_that_are_far_apart_do_not_count_together(void **state)
{
    struct posix_device device = {.slow = false};

    (void)state;
    for (int i = 0; i < 5000; i++) {
        posix_disk_note(&device, i % 500 == 0 ? 2 * NS_PER_MS : 1000, 0);
        if (i < 1000) assert_false(device.slow);
    }
    assert_false(device.slow); /* 3 of 1,001 */
    posix_disk_note(&device, NS_PER_MS, 0);
    assert_false(device.slow); /* over a millisecond, not one */
}

static void slow_device_is_quick_again_after_a_quick_second_with_nothing_in_flight(void **state)
{
    struct posix_device device = {.slow = true, .quick_since_ns = 0};

    (void)state;
    posix_disk_note(&device, 1000, NS_PER_SEC - 1);
    assert_true(device.slow);
    posix_disk_note(&device, 200000, NS_PER_SEC); /* not under 200 us: the second starts anew */
    assert_true(device.slow);
    device.on_worker = 1;
    posix_disk_note(&device, 1000, 2 * NS_PER_SEC);
    assert_true(device.slow);
    device.on_worker = 0;
    posix_disk_note(&device, 1000, 2 * NS_PER_SEC + 1);
    assert_false(device.slow);
    assert_int_equal(device.moves, 1);
}

static void trace_line_has_time_level_name_and_named_fields_on_one_line(void **state)
{
    const struct instant now = {.wall = {1000}};
    struct trace_event event = {
        .kind = TRACE_NODE_WARNING, .field_count = 1, .text = STR("disk\nfull")};
    char line[POSIX_TRACE_LINE_MAX];
    size_t length;

    (void)state;
    event.fields[0] = ERR_NO_SPACE;
    length = posix_trace_line(now, 7, &event, line);
    assert_string_equal(line,
                        "1970-01-01T00:00:01.000Z W [7] node.warning err=NO_SPACE disk?full\n");
    assert_int_equal(length, strlen(line));
}

static void trace_line_that_is_too_long_is_cut(void **state)
{
    static char text[5000];
    struct trace_event event = {.kind = TRACE_NODE_NOTE, .text = {text, sizeof text}};
    char line[POSIX_TRACE_LINE_MAX];

    (void)state;
    memset(text, 'x', sizeof text);
    assert_int_equal(posix_trace_line((struct instant){.wall = {0}}, 1, &event, line),
                     POSIX_TRACE_LINE_MAX - 1);
    assert_int_equal(line[POSIX_TRACE_LINE_MAX - 2], '\n');
}

static void events_at(struct posix_trace *trace, enum trace_kind kind, uint32_t count,
                      int64_t mono_ns)
{
    const struct instant now = {.mono = {mono_ns}};
    const struct trace_event event = {.kind = kind};

    for (uint32_t i = 0; i < count; i++)
        posix_trace_event(trace, now, 1, &event);
}

/* Lines since the last time; the last one of them is left in `last`. */
static uint32_t lines_of(int fd, char last[200])
{
    static char text[1 << 20];
    ssize_t length = read(fd, text, sizeof text - 1);
    uint32_t lines = 0;

    assert_true(length >= 0);
    text[length] = '\0';
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        lines++;
        snprintf(last, 200, "%s", line);
    }
    return lines;
}

static void of_many_events_of_a_kind_most_are_told_by_their_number(void **state)
{
    static struct posix_trace trace;
    char last[200] = "";
    int out[2];

    (void)state;
    assert_int_equal(pipe2(out, O_NONBLOCK), 0);
    assert_true(fcntl(out[1], F_SETPIPE_SZ, 1 << 17) > 0);
    assert_int_equal(write(out[1], "\n", 1), 1);
    trace.fd = out[1];
    events_at(&trace, TRACE_LOG_OPENED, POSIX_TRACE_BURST, 5);
    assert_int_equal(lines_of(out[0], last), POSIX_TRACE_BURST);
    events_at(&trace, TRACE_LOG_OPENED, 70, NS_PER_SEC);
    events_at(&trace, TRACE_REPLICA_HW, 7, NS_PER_SEC); /* detail: no line in any case */
    posix_trace_tell(&trace, (struct instant){.mono = {NS_PER_SEC + 4}}, 1, false);
    assert_int_equal(write(out[1], "\n", 1), 1);
    assert_int_equal(lines_of(out[0], last), 0);
    events_at(&trace, TRACE_NODE_WARNING, 300, NS_PER_SEC); /* never held back */
    assert_int_equal(lines_of(out[0], last), 300);
    events_at(&trace, TRACE_REPLICA_ROLE, 1, NS_PER_SEC); /* each kind has lines of its own */
    assert_int_equal(lines_of(out[0], last), 1);

    /* The second is over: by a look, or by another event of the kind. */
    posix_trace_tell(&trace, (struct instant){.mono = {2 * NS_PER_SEC}}, 1, false);
    assert_int_equal(lines_of(out[0], last), 1);
    assert_string_equal(last, "1970-01-01T00:00:00.000Z I [1] log.opened and 70 more of this kind");
    events_at(&trace, TRACE_LOG_OPENED, POSIX_TRACE_BURST + 1, 2 * NS_PER_SEC);
    assert_int_equal(lines_of(out[0], last), POSIX_TRACE_BURST);
    events_at(&trace, TRACE_LOG_OPENED, 1, 3 * NS_PER_SEC);
    assert_int_equal(lines_of(out[0], last), 2);
    assert_int_equal(trace.held, 0);

    events_at(&trace, TRACE_LOG_OPENED, POSIX_TRACE_BURST, 3 * NS_PER_SEC);
    (void)lines_of(out[0], last);
    posix_trace_tell(&trace, (struct instant){.mono = {3 * NS_PER_SEC}}, 1, true);
    assert_int_equal(lines_of(out[0], last), 1);
    assert_string_equal(last, "1970-01-01T00:00:00.000Z I [1] log.opened and 1 more of this kind");
    close(out[0]);
    close(out[1]);
}

static void full_disk_and_failing_device_are_different_errors(void **state)
{
    (void)state;
    assert_int_equal(posix_calls_err(ENOSPC), ERR_NO_SPACE);
    assert_int_equal(posix_calls_err(EDQUOT), ERR_NO_SPACE);
    assert_int_equal(posix_calls_err(EIO), ERR_IO);
    assert_int_equal(posix_calls_err(EROFS), ERR_ACCESS);
    assert_int_equal(posix_calls_err(EAGAIN), ERR_LOCKED);
    assert_int_equal(posix_calls_err(ENOTEMPTY), ERR_EXISTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(third_slow_write_of_a_thousand_makes_a_device_slow),
        cmocka_unit_test(slow_writes_that_are_far_apart_do_not_count_together),
        cmocka_unit_test(slow_device_is_quick_again_after_a_quick_second_with_nothing_in_flight),
        cmocka_unit_test(trace_line_has_time_level_name_and_named_fields_on_one_line),
        cmocka_unit_test(trace_line_that_is_too_long_is_cut),
        cmocka_unit_test(of_many_events_of_a_kind_most_are_told_by_their_number),
        cmocka_unit_test(full_disk_and_failing_device_are_different_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The load generator of the broker benchmarks, and their stop-watch: pre-encoded frames over one
 * connection with a few requests in flight; CPU time of another process (user and system, all its
 * threads) between the first frame and the last answer.
 *
 * usage: bench-load produce PORT PID MB [ACKS [WINDOW]]   Produce v7, 16 records of 1 KiB a batch
 *        bench-load consume PORT PID MB                   Fetch v4 from the end backwards by MB
 *        bench-load start PORT DIR PROGRAM                exec to the line "ready", on a new DIR
 *        bench-load cpu PID SECONDS                       CPU time of PID meanwhile
 *        bench-load run PROGRAM ARGUMENT...               its CPU seconds and peak memory, a line
 *
 * Prints one number: CPU seconds per GB of record values (produce, consume), milliseconds (start),
 * CPU milliseconds (cpu). Exit 1: an answer had an error, offsets had a gap. */
#include "tests/bench/frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    LOAD_RECORDS = 16,
    LOAD_RECORD_BYTES = 1024,
    LOAD_BATCH_BYTES = LOAD_RECORDS * LOAD_RECORD_BYTES,
    LOAD_FRAMES = 64, /* distinct payloads */
    LOAD_WINDOW = 4,
    LOAD_WINDOW_MAX = 64,
    LOAD_FETCH_BYTES = 1 << 20,
};

static _Noreturn void load_fail(const char *what)
{
    fprintf(stderr, "bench-load: %s\n", what);
    exit(1);
}

static int64_t load_clock_ns(clockid_t clock)
{
    struct timespec t;

    if (clock_gettime(clock, &t) != 0) load_fail("no such process");
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static clockid_t load_process(const char *pid)
{
    clockid_t clock;

    if (clock_getcpuclockid((pid_t)atoi(pid), &clock) != 0) load_fail("no such process");
    return clock;
}

/* ---- a blocking connection ---- */

static int load_connect(const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    const int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) load_fail(strerror(errno));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void load_write(int fd, const uint8_t *at, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, at, length);

        if (n <= 0) load_fail("connection closed");
        at += n;
        length -= (size_t)n;
    }
}

static void load_read(int fd, uint8_t *at, size_t length)
{
    while (length > 0) {
        ssize_t n = read(fd, at, length);

        if (n <= 0) load_fail("connection closed");
        at += n;
        length -= (size_t)n;
    }
}

/* ---- produce ---- */

static void load_check(const uint8_t *answer, uint32_t correlation, int64_t *offset)
{
    int64_t base = (int64_t)frame_get64(answer + FRAME_ANSWER_OFFSET_AT);
    uint16_t error = frame_get16(answer + FRAME_ANSWER_ERROR_AT);

    if (frame_get32(answer) != FRAME_ANSWER_BYTES - 4) load_fail("an answer of another size");
    if (frame_get32(answer + 4) != correlation) load_fail("another correlation id");
    if (error != 0) {
        fprintf(stderr, "bench-load: error %d\n", (int16_t)error);
        exit(1);
    }
    if (*offset >= 0 && base != *offset) load_fail("offsets have a gap");
    *offset = base + LOAD_RECORDS;
}

static void load_produce(int fd, struct frame_bytes *frames, uint32_t count, uint32_t window)
{
    uint8_t answers[LOAD_WINDOW_MAX * FRAME_ANSWER_BYTES];
    uint32_t sent = 0;
    uint32_t answered = 0;
    size_t have = 0;
    int64_t offset = -1;

    while (answered < count) {
        ssize_t n;
        size_t at = 0;

        for (; sent < count && sent - answered < window; sent++) {
            struct frame_bytes *frame = &frames[sent % LOAD_FRAMES];

            frame_put32(frame->at + FRAME_CORRELATION_AT, sent);
            load_write(fd, frame->at, frame->length);
        }
        n = read(fd, answers + have, sizeof answers - have);
        if (n <= 0) load_fail("connection closed");
        have += (size_t)n;
        for (; have - at >= FRAME_ANSWER_BYTES; at += FRAME_ANSWER_BYTES)
            load_check(answers + at, answered++, &offset);
        have -= at;
        memmove(answers, answers + at, have);
    }
}

/* A new topic's leader may not be there yet: one batch after another until one is taken. */
static void load_await_leader(int fd, const struct frame_bytes *frame)
{
    const struct timespec pause = {.tv_nsec = 50000000};
    uint8_t answer[FRAME_ANSWER_BYTES];

    for (int i = 0; i < 100; i++) {
        frame_put32(frame->at + FRAME_CORRELATION_AT, 0);
        load_write(fd, frame->at, frame->length);
        load_read(fd, answer, sizeof answer);
        if (frame_get16(answer + FRAME_ANSWER_ERROR_AT) == 0) return;
        (void)nanosleep(&pause, NULL);
    }
    load_fail("no leader takes a batch");
}

static int load_run_produce(char **argv, int argc)
{
    uint32_t count = (uint32_t)((uint64_t)atoi(argv[4]) * 1000000 / LOAD_BATCH_BYTES);
    int16_t acks = argc > 5 ? (int16_t)atoi(argv[5]) : 1;
    uint32_t window = argc > 6 ? (uint32_t)atoi(argv[6]) : LOAD_WINDOW;
    int64_t now_ms = load_clock_ns(CLOCK_REALTIME) / 1000000;
    clockid_t process = load_process(argv[3]);
    struct frame_bytes frames[LOAD_FRAMES];
    uint64_t random = 88172645463325252u;
    int64_t before;
    int fd;

    if (window == 0 || window > LOAD_WINDOW_MAX || count < window) load_fail("wrong use");
    for (uint32_t i = 0; i < LOAD_FRAMES; i++)
        frames[i] = frame_produce(acks, LOAD_RECORDS, LOAD_RECORD_BYTES, now_ms, &random);
    fd = load_connect(argv[2]);
    load_await_leader(fd, &frames[0]);
    load_produce(fd, frames, 256, window); /* warm */
    before = load_clock_ns(process);
    load_produce(fd, frames, count, window);
    printf("%.4f\n",
           (double)(load_clock_ns(process) - before) / ((double)count * LOAD_BATCH_BYTES));
    for (uint32_t i = 0; i < LOAD_FRAMES; i++)
        free(frames[i].at);
    close(fd);
    return 0;
}

/* ---- consume ---- */

/* The batches of an answer: contiguous from *offset on; gives the bytes of record values. */
static uint64_t load_walk(const uint8_t *at, uint32_t length, int64_t *offset)
{
    uint64_t values = 0;

    while (length >= 61) {
        uint32_t size = frame_get32(at + 8) + 12;
        uint32_t records = frame_get32(at + 57);

        if (size > length) break; /* cut by the byte limit */
        if ((int64_t)frame_get64(at) + frame_get32(at + 23) >= *offset) {
            if ((int64_t)frame_get64(at) > *offset) load_fail("offsets have a gap");
            *offset = (int64_t)frame_get64(at) + records;
            values += (uint64_t)records * LOAD_RECORD_BYTES;
        }
        at += size;
        length -= size;
    }
    return values;
}

/* throttle, topics 1, name, partitions 1, index, error, hw, last stable, aborted, records */
static uint64_t load_fetch(int fd, uint8_t *buffer, int64_t *offset, int64_t *high_watermark)
{
    enum { ERROR_AT = 4 + 4 + 4 + 4 + 2 + FRAME_TOPIC_LENGTH + 4 + 4 };
    uint8_t request[256];
    uint32_t length;
    const uint8_t *at;

    load_write(fd, request, frame_fetch(request, 7, *offset, 0, 1, LOAD_FETCH_BYTES));
    load_read(fd, buffer, 4);
    length = frame_get32(buffer);
    if (length > 2 * LOAD_FETCH_BYTES || length < ERROR_AT + 2 + 16 + 8) load_fail("answer's size");
    load_read(fd, buffer + 4, length);
    if (frame_get16(buffer + ERROR_AT) != 0) load_fail("an error in a fetch");
    *high_watermark = (int64_t)frame_get64(buffer + ERROR_AT + 2);
    at = buffer + ERROR_AT + 2 + 16 + 4; /* no aborted transactions: length 0 or -1 */
    return load_walk(at + 4, frame_get32(at), offset);
}

static int load_run_consume(char **argv)
{
    int64_t records = (int64_t)atoi(argv[4]) * 1000000 / LOAD_RECORD_BYTES;
    clockid_t process = load_process(argv[3]);
    uint8_t *buffer = malloc(4 + 2 * LOAD_FETCH_BYTES);
    int64_t high_watermark;
    int64_t offset = 0;
    uint64_t values = 0;
    int64_t before;
    int fd = load_connect(argv[2]);

    if (buffer == NULL) abort();
    (void)load_fetch(fd, buffer, &offset, &high_watermark);
    offset = high_watermark > records ? high_watermark - records : 0;
    (void)load_fetch(fd, buffer, &offset, &high_watermark);
    before = load_clock_ns(process);
    while (offset < high_watermark)
        values += load_fetch(fd, buffer, &offset, &high_watermark);
    if (values == 0) load_fail("nothing to consume");
    printf("%.4f\n", (double)(load_clock_ns(process) - before) / (double)values);
    free(buffer);
    close(fd);
    return 0;
}

/* ---- life of a broker ---- */

static int load_run_start(char **argv)
{
    char listen[32];
    char line[256];
    int out[2];
    FILE *from;
    int64_t before;
    pid_t child;

    snprintf(listen, sizeof listen, "127.0.0.1:%s", argv[2]);
    if (pipe(out) != 0) load_fail("no pipe");
    before = load_clock_ns(CLOCK_MONOTONIC);
    child = fork();
    if (child == 0) {
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        if (freopen("/dev/null", "w", stderr) == NULL) _exit(126);
        execl(argv[4], argv[4], "--data-dir", argv[3], "--listen", listen, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    from = fdopen(out[0], "r");
    if (from == NULL || fgets(line, sizeof line, from) == NULL || strncmp(line, "ready ", 6) != 0) {
        load_fail("the program did not get ready");
    }
    printf("%.3f\n", (double)(load_clock_ns(CLOCK_MONOTONIC) - before) / 1e6);
    kill(child, SIGTERM);
    (void)waitpid(child, NULL, 0);
    fclose(from);
    return 0;
}

static int load_run_cpu(char **argv)
{
    clockid_t process = load_process(argv[2]);
    int64_t before = load_clock_ns(process);

    sleep((unsigned)atoi(argv[3]));
    printf("%.3f\n", (double)(load_clock_ns(process) - before) / 1e6);
    return 0;
}

static int load_run_run(char **argv)
{
    struct rusage used;
    int status;
    pid_t child = fork();

    if (child == 0) {
        execv(argv[2], argv + 2);
        _exit(127);
    }
    if (wait4(child, &status, 0, &used) != child) load_fail("no child");
    printf("cpu %.3f peak_kb %ld\n",
           (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
               (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6,
           used.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc >= 5 && strcmp(argv[1], "produce") == 0) return load_run_produce(argv, argc);
    if (argc == 5 && strcmp(argv[1], "consume") == 0) return load_run_consume(argv);
    if (argc == 5 && strcmp(argv[1], "start") == 0) return load_run_start(argv);
    if (argc == 4 && strcmp(argv[1], "cpu") == 0) return load_run_cpu(argv);
    if (argc >= 3 && strcmp(argv[1], "run") == 0) return load_run_run(argv);
    fprintf(stderr, "bench-load: wrong use; see tests/bench/load.c\n");
    return 2;
}

/* Sends records and says what they cost: user and system time of this process, all threads, from
 * the first record (after a warm-up) to the last answer.
 * usage: bench-producer-... SERVERS TOPIC RECORDS SIZE ACKS */
#include "tests/bench/producer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { WARM_UP = 20000 };

static double cpu_seconds(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double wall_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    static char value[1 << 20];
    uint64_t records;
    size_t size;
    double cpu;
    double wall;

    if (argc != 6) {
        fprintf(stderr, "usage: %s SERVERS TOPIC RECORDS SIZE ACKS\n", argv[0]);
        return 2;
    }
    records = strtoull(argv[3], NULL, 10);
    size = strtoull(argv[4], NULL, 10);
    if (records == 0 || size == 0 || size > sizeof value) return 2;
    memset(value, 'x', size);
    bench_open(argv[1], argv[2], argv[5]);
    for (uint64_t i = 0; i < WARM_UP; i++)
        bench_send(value, size);
    bench_flush();
    cpu = cpu_seconds();
    wall = wall_seconds();
    for (uint64_t i = 0; i < records; i++)
        bench_send(value, size);
    bench_flush();
    cpu = cpu_seconds() - cpu;
    wall = wall_seconds() - wall;
    if (bench_delivered() != records + WARM_UP) {
        fprintf(stderr, "%s: %llu of %llu records were delivered\n", argv[0],
                (unsigned long long)bench_delivered(), (unsigned long long)(records + WARM_UP));
        return 1;
    }
    printf("%.0f records per CPU second, %.0f per second\n", (double)records / cpu,
           (double)records / wall);
    bench_close();
    return 0;
}

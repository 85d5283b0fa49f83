/* What judging a client history costs: a million operations (half sends with their
 * acknowledgements, half reads) of 8 producers and 8 readers over 64 partitions, with every
 * tenth result unclear, by the black-box oracles alone. One JSON line; the bar is 10 s of CPU
 * time. */
#include "client/base/rng.h"
#include "sim/check/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { OPERATIONS = 1000000, PARTITIONS = 64, CLIENTS = 8, PRODUCER = 201, READER = 301 };

static double cpu_seconds(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void tell(struct check *check, int64_t *now_ns, int32_t node, enum trace_kind kind,
                 const int64_t fields[5])
{
    struct trace_event event = {.kind = kind, .field_count = 5};

    for (uint32_t i = 0; i < 5; i++)
        event.fields[i] = fields[i];
    *now_ns += 10000;
    check_event(check, *now_ns, node, &event);
}

int main(void)
{
    static int64_t ends[PARTITIONS];
    static int64_t read[PARTITIONS][CLIENTS];
    static int64_t values[PARTITIONS][OPERATIONS / PARTITIONS];
    struct check_config config;
    struct check *check;
    struct rng rng;
    int64_t now_ns = 0;
    uint64_t sends = 0;
    uint64_t reads = 0;
    double cpu;

    check_config_init(&config);
    config.only_history = true;
    check = check_create(&config);
    rng_init(&rng, 1);
    cpu = cpu_seconds();
    while (sends + reads < OPERATIONS) {
        uint32_t p = (uint32_t)rng_below(&rng, PARTITIONS);
        uint32_t c = (uint32_t)rng_below(&rng, CLIENTS);
        int64_t end = ends[p];

        if (sends <= reads && end < OPERATIONS / PARTITIONS) {
            int64_t value = (int64_t)++sends;
            bool unclear = value % 10 == 0;

            tell(check, &now_ns, PRODUCER + (int32_t)c, TRACE_CLIENT_SEND,
                 (const int64_t[5]){7, p, value, 0, 1});
            tell(check, &now_ns, PRODUCER + (int32_t)c,
                 unclear ? TRACE_CLIENT_FAILED : TRACE_CLIENT_ACKED,
                 (const int64_t[5]){7, p, value, unclear ? 7 : end, 0});
            values[p][end] = value;
            ends[p]++;
        } else if (read[p][c] < end) {
            int64_t offset = read[p][c]++;

            tell(check, &now_ns, READER + (int32_t)c, TRACE_CLIENT_READ,
                 (const int64_t[5]){7, p, offset, values[p][offset], 1});
            reads++;
        }
    }
    check_phase(check, now_ns, 3);
    for (uint32_t p = 0; p < PARTITIONS; p++) /* the final drain */
        for (int64_t offset = 0; offset < ends[p]; offset++)
            tell(check, &now_ns, READER + CLIENTS, TRACE_CLIENT_READ,
                 (const int64_t[5]){7, p, offset, values[p][offset], 1});
    check_finish(check, now_ns);
    cpu = cpu_seconds() - cpu;
    if (check_violation(check) != NULL) {
        fprintf(stderr, "bench-history: %s\n", check_violation(check)->text);
        return 1;
    }
    printf("{\"case\":\"history\",\"operations\":%" PRIu64 ",\"drained\":%" PRIu64
           ",\"cpu_s\":%.2f,\"bar\":\"< 10\",\"met\":\"%s\"}\n",
           sends + reads, sends, cpu, cpu < 10 ? "yes" : "no");
    check_destroy(check);
    return 0;
}

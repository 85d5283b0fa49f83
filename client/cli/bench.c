/* gregor bench produce|consume: how many records a second, what they cost this process, and, for
 * produced ones, how long each took. Stands on gregor.h, as a program of somebody else would. */
#include "client/cli/cli.h"
#include "client/gregor.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { SAMPLES_MAX = 1000000, SIZE_MAX_BYTES = 1 << 20 };

struct bench {
    const char *topic;
    int64_t records;
    int64_t size;
    struct gregor_config *config;
    struct gregor_client *client;
    uint64_t done;
    uint64_t bytes;
    uint64_t failed;
    int first_error;
    uint32_t *samples_us; /* of every `stride`-th record */
    uint32_t samples_count;
    uint64_t stride;
    double wall_s; /* since the first record, as the next one */
    double cpu_s;
};

static double wall_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_seconds(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void start_clock(struct bench *bench)
{
    bench->wall_s = wall_seconds();
    bench->cpu_s = cpu_seconds();
}

static void stop_clock(struct bench *bench)
{
    bench->wall_s = wall_seconds() - bench->wall_s;
    bench->cpu_s = cpu_seconds() - bench->cpu_s;
}

static int by_size(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;

    return (a > b) - (a < b);
}

static double percentile_ms(const struct bench *bench, double part)
{
    return (double)bench->samples_us[(size_t)(part * (double)(bench->samples_count - 1))] / 1e3;
}

static void report(struct bench *bench, const char *verb)
{
    double wall_s = bench->wall_s > 0 ? bench->wall_s : 1e-9;
    double cpu_s = bench->cpu_s > 0 ? bench->cpu_s : 1e-9;

    printf("%s %" PRIu64
           " records, %.1f MB, in %.2f s: %.0f records/s, %.1f MB/s; %.0f records per "
           "CPU second\n",
           verb, bench->done, (double)bench->bytes / 1e6, wall_s, (double)bench->done / wall_s,
           (double)bench->bytes / 1e6 / wall_s, (double)bench->done / cpu_s);
    if (bench->samples_count == 0) return;
    qsort(bench->samples_us, bench->samples_count, sizeof bench->samples_us[0], by_size);
    printf("latency ms: p50 %.2f, p95 %.2f, p99 %.2f, p99.9 %.2f, max %.2f\n",
           percentile_ms(bench, 0.5), percentile_ms(bench, 0.95), percentile_ms(bench, 0.99),
           percentile_ms(bench, 0.999), percentile_ms(bench, 1.0));
}

/* ---- produce --------------------------------------------------------------------------------- */

struct sample {
    struct bench *bench;
    double sent_s;
};

static void count(const struct gregor_delivery *delivery)
{
    struct bench *bench = delivery->context;

    if (delivery->error == GREGOR_OK) {
        bench->done++;
        bench->bytes += (uint64_t)bench->size;
    } else if (bench->failed++ == 0) {
        bench->first_error = delivery->error;
    }
}

static void count_sampled(const struct gregor_delivery *delivery)
{
    struct sample *sample = delivery->context;
    struct gregor_delivery plain = *delivery;
    double took_us = (wall_seconds() - sample->sent_s) * 1e6;

    plain.context = sample->bench;
    count(&plain);
    if (sample->bench->samples_count < SAMPLES_MAX)
        sample->bench->samples_us[sample->bench->samples_count++] =
            took_us < 4e9 ? (uint32_t)took_us : UINT32_MAX;
    free(sample);
}

static int send_one(struct bench *bench, struct gregor_producer *producer,
                    const struct gregor_record *record, bool sampled)
{
    struct sample *sample = sampled ? malloc(sizeof *sample) : NULL;
    int error;

    if (sample == NULL) return gregor_producer_send(producer, record, count, bench);
    *sample = (struct sample){bench, wall_seconds()};
    error = gregor_producer_send(producer, record, count_sampled, sample);
    if (error != GREGOR_OK) free(sample);
    return error;
}

static int produce(struct bench *bench)
{
    char why[256] = "";
    struct gregor_producer *producer =
        gregor_producer_new(bench->client, bench->config, why, sizeof why);
    char *value = malloc((size_t)bench->size);
    struct gregor_record record = {.topic = bench->topic,
                                   .partition = -1,
                                   .value = value,
                                   .value_length = (size_t)bench->size};
    int error = GREGOR_OK;

    if (producer == NULL || value == NULL) {
        free(value);
        return (int)cli_complain(CLI_USAGE, "bench: %s", why);
    }
    for (int64_t i = 0; i < bench->size; i++)
        value[i] = (char)('a' + i * 7 % 26);
    if (gregor_producer_partitions(producer, bench->topic, 30000, &error) < 0) {
        (void)gregor_producer_close(producer, 0);
        free(value);
        return (int)cli_complain_err(bench->topic, (enum err)error, NULL);
    }
    start_clock(bench);
    for (int64_t i = 0; i < bench->records && error == GREGOR_OK; i++)
        error = send_one(bench, producer, &record, (uint64_t)i % bench->stride == 0);
    if (error == GREGOR_OK) error = gregor_producer_flush(producer, 120000);
    stop_clock(bench);
    if (error == GREGOR_OK) error = bench->first_error;
    (void)gregor_producer_close(producer, 10000);
    free(value);
    report(bench, "sent");
    if (error == GREGOR_OK) return CLI_FINE;
    return (int)cli_complain_err("a record was not sent", (enum err)error, NULL);
}

/* ---- consume --------------------------------------------------------------------------------- */

/* Every partition, from its beginning. */
static int assign_all(struct bench *bench, struct gregor_consumer *consumer)
{
    struct gregor_admin *admin = gregor_admin_new(bench->client, bench->config, NULL, 0);
    struct gregor_partition *places = NULL;
    struct gregor_topics *topics = NULL;
    size_t count_all = 0;
    int error = admin == NULL ? GREGOR_ERR_NO_MEMORY
                              : gregor_admin_describe_topic(admin, bench->topic, &topics);

    if (error == GREGOR_OK) {
        count_all = topics->topics[0].partitions_count;
        places = calloc(count_all + 1, sizeof *places);
        if (places == NULL) error = GREGOR_ERR_NO_MEMORY;
    }
    for (size_t i = 0; places != NULL && i < count_all; i++)
        places[i] = (struct gregor_partition){
            .topic = bench->topic, .partition = (int32_t)i, .offset = GREGOR_BEGINNING};
    if (error == GREGOR_OK) error = gregor_consumer_assign(consumer, places, count_all);
    free(places);
    gregor_free(topics);
    gregor_admin_close(admin);
    return error;
}

static int consume(struct bench *bench)
{
    enum { QUIET_MS = 5000 };
    char why[256] = "";
    struct gregor_consumer *consumer =
        gregor_consumer_new(bench->client, bench->config, why, sizeof why);
    int error = GREGOR_OK;

    if (consumer == NULL) return (int)cli_complain(CLI_USAGE, "bench: %s", why);
    error = assign_all(bench, consumer);
    start_clock(bench);
    while (error == GREGOR_OK && bench->done < (uint64_t)bench->records) {
        struct gregor_batch *batch = gregor_consumer_poll(consumer, QUIET_MS, &error);

        if (batch == NULL) break;
        for (size_t i = 0; i < batch->count; i++)
            bench->bytes += batch->records[i].value_length;
        bench->done += batch->count;
        gregor_batch_release(batch);
    }
    stop_clock(bench);
    (void)gregor_consumer_close(consumer, 10000);
    if (error != GREGOR_OK) return (int)cli_complain_err(bench->topic, (enum err)error, NULL);
    report(bench, "read");
    if (bench->done >= (uint64_t)bench->records) return CLI_FINE;
    return (int)cli_complain(CLI_FAILED, "%s had no more than %" PRIu64 " records", bench->topic,
                             bench->done);
}

/* ---- arguments ------------------------------------------------------------------------------- */

static int parse(struct bench *bench, int argc, char **argv)
{
    static const struct option options[] = {
        {"records", required_argument, NULL, 'n'}, {"size", required_argument, NULL, 's'},
        {"acks", required_argument, NULL, 'a'},    {"compression", required_argument, NULL, 'z'},
        {"set", required_argument, NULL, 'S'},     {NULL, 0, NULL, 0}};
    bool good = true;
    int option;

    while (good && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'n':
            if (!cli_number("--records", optarg, 1, INT64_MAX, &bench->records)) return CLI_USAGE;
            break;
        case 's':
            if (!cli_number("--size", optarg, 1, SIZE_MAX_BYTES, &bench->size)) return CLI_USAGE;
            break;
        case 'a': good = cli_set_one(bench->config, "acks", optarg); break;
        case 'z': good = cli_set_one(bench->config, "compression.type", optarg); break;
        case 'S': good = cli_set(bench->config, optarg); break;
        default: return (int)cli_bad_option("bench", argv);
        }
    }
    if (!good) return CLI_USAGE;
    if (argc - optind != 1) return (int)cli_complain(CLI_USAGE, "bench: wants one topic");
    bench->topic = argv[optind];
    bench->stride = 1 + (uint64_t)bench->records / SAMPLES_MAX * 2;
    return CLI_FINE;
}

static int run(struct bench *bench, int argc, char **argv)
{
    bool produces = strcmp(argv[1], "produce") == 0;

    if (!cli_set_one(bench->config, "max.poll.records", "10000")) return CLI_USAGE;
    if (parse(bench, argc - 1, argv + 1) != CLI_FINE) return CLI_USAGE;
    bench->client = gregor_client_new();
    bench->samples_us = malloc(SAMPLES_MAX * sizeof bench->samples_us[0]);
    if (bench->client == NULL || bench->samples_us == NULL)
        return (int)cli_complain(CLI_FAILED, "not enough memory");
    return produces ? produce(bench) : consume(bench);
}

int bench_main(struct cli *cli, int argc, char **argv)
{
    struct bench bench = {.records = 1000000, .size = 100};
    int code;

    if (argc < 2 || (strcmp(argv[1], "produce") != 0 && strcmp(argv[1], "consume") != 0))
        return (int)cli_complain(CLI_USAGE, "bench: produce or consume?");
    bench.config = cli_properties(cli);
    if (bench.config == NULL) return CLI_USAGE;
    code = run(&bench, argc, argv);
    gregor_client_free(bench.client);
    gregor_config_free(bench.config);
    free(bench.samples_us);
    return code;
}

/* ---- txn ------------------------------------------------------------------------------------- */

int txn_main(struct cli *cli, int argc, char **argv)
{
    (void)cli;
    if (argc < 2 || (strcmp(argv[1], "list") != 0 && strcmp(argv[1], "describe") != 0 &&
                     strcmp(argv[1], "abort") != 0))
        return (int)cli_complain(CLI_USAGE, "txn: list, describe or abort?");
    return (int)cli_complain(
        CLI_FAILED, "txn %s: gregor-broker has no coordinator of transactions yet", argv[1]);
}

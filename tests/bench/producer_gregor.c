/* The producer of gregor.h. */
#include "tests/bench/producer.h"

#include "client/gregor.h"

#include <stdio.h>
#include <stdlib.h>

static struct gregor_client *client;
static struct gregor_config *config;
static struct gregor_producer *producer;
static const char *name;
static uint64_t delivered;

static void set(const char *key, const char *value)
{
    char why[256];

    if (gregor_config_set(config, key, value, why, sizeof why) == GREGOR_OK) return;
    fprintf(stderr, "%s\n", why);
    exit(1);
}

static void count(const struct gregor_delivery *delivery)
{
    delivered += delivery->error == GREGOR_OK;
}

void bench_open(const char *servers, const char *topic, const char *acks)
{
    char batch[16];
    char why[256];

    config = gregor_config_new();
    client = gregor_client_new();
    name = topic;
    snprintf(batch, sizeof batch, "%d", PRODUCER_BATCH);
    set("bootstrap.servers", servers);
    set("batch.size", batch);
    set("linger.ms", "5");
    set("enable.idempotence", "false");
    set("acks", acks);
    producer = gregor_producer_new(client, config, why, sizeof why);
    if (producer != NULL) return;
    fprintf(stderr, "%s\n", why);
    exit(1);
}

void bench_send(const void *value, size_t length)
{
    struct gregor_record record = {
        .topic = name, .partition = 0, .value = value, .value_length = length};

    if (gregor_producer_send(producer, &record, count, NULL) == GREGOR_OK) return;
    fprintf(stderr, "a record was not taken\n");
    exit(1);
}

void bench_flush(void)
{
    (void)gregor_producer_flush(producer, 60000);
}

uint64_t bench_delivered(void)
{
    return delivered;
}

void bench_close(void)
{
    (void)gregor_producer_close(producer, 10000);
    gregor_client_free(client);
    gregor_config_free(config);
}

/* The producer of librdkafka. Its queue may hold as many bytes as ours. */
#include "tests/bench/producer.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>

static rd_kafka_t *kafka;
static rd_kafka_topic_t *handle;
static uint64_t delivered;
static uint32_t since;

static void set(rd_kafka_conf_t *conf, const char *key, const char *value)
{
    char why[256];

    if (rd_kafka_conf_set(conf, key, value, why, sizeof why) == RD_KAFKA_CONF_OK) return;
    fprintf(stderr, "%s\n", why);
    exit(1);
}

static void count(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    (void)opaque;
    delivered += message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

void bench_open(const char *servers, const char *topic, const char *acks)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char batch[16];
    char why[256];

    snprintf(batch, sizeof batch, "%d", PRODUCER_BATCH);
    set(conf, "bootstrap.servers", servers);
    set(conf, "batch.size", batch);
    set(conf, "linger.ms", "5");
    set(conf, "acks", acks);
    set(conf, "queue.buffering.max.kbytes", "32768");
    set(conf, "queue.buffering.max.messages", "1000000");
    rd_kafka_conf_set_dr_msg_cb(conf, count);
    kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (kafka == NULL) {
        fprintf(stderr, "%s\n", why);
        exit(1);
    }
    handle = rd_kafka_topic_new(kafka, topic, NULL);
}

void bench_send(const void *value, size_t length)
{
    while (rd_kafka_produce(handle, 0, RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t)value, length, NULL,
                            0, NULL) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            fprintf(stderr, "a record was not taken\n");
            exit(1);
        }
        rd_kafka_poll(kafka, 10);
    }
    if (++since % 1000 == 0) rd_kafka_poll(kafka, 0);
}

void bench_flush(void)
{
    rd_kafka_flush(kafka, 60000);
}

uint64_t bench_delivered(void)
{
    return delivered;
}

void bench_close(void)
{
    rd_kafka_topic_destroy(handle);
    rd_kafka_destroy(kafka);
}

#include "tests/support/real_broker.h"

#include "broker/node.h"
#include "client/posix/codecs.h"
#include "client/posix/posix_world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REAL_REGION = 1 << 30, REAL_WAIT_S = 30, REAL_LOOK_NS = 5000000 };

struct real_broker {
    struct posix_trace_taker taker;
    struct config config;
    struct config_warnings warnings;
    struct codecs codecs;
    struct posix_world *world;
    struct node *node;
    pthread_t thread;
    atomic_int port; /* 0: not yet */
    atomic_bool stop;
    atomic_bool ended;
    char directory[64];
    char address[32];
};

static void real_take(struct posix_trace_taker *taker, struct instant now, int32_t node_id,
                      const struct trace_event *event)
{
    struct real_broker *broker = CONTAINER_OF(taker, struct real_broker, taker);

    (void)now;
    (void)node_id;
    if (event->kind == TRACE_NODE_READY) atomic_store(&broker->port, (int)event->fields[0]);
}

static void *real_run(void *argument)
{
    struct real_broker *broker = argument;
    bool told = false;

    while (!broker->world->stopped) {
        if (atomic_load(&broker->stop) && !told) {
            told = true;
            node_stop(broker->node);
        }
        (void)posix_world_turn(broker->world, REAL_LOOK_NS);
    }
    atomic_store(&broker->ended, true);
    return NULL;
}

static void real_configure(struct real_broker *broker, const char *const *settings)
{
    struct errmsg error;

    config_default(&broker->config);
    broker->config.listeners[0].port = 0;
    assert_int_equal(config_set(&broker->config, STR("log.dirs"), str_of(broker->directory),
                                &broker->warnings, &error),
                     ERR_NONE);
    for (size_t i = 0; settings != NULL && settings[i] != NULL; i += 2)
        if (config_set(&broker->config, str_of(settings[i]), str_of(settings[i + 1]),
                       &broker->warnings, &error) != ERR_NONE)
            fail_msg("%s", error.text);
    if (config_finish(&broker->config, &error) != ERR_NONE) fail_msg("%s", error.text);
}

static void real_wait(const atomic_int *until, const atomic_bool *ended)
{
    struct timespec pause = {0, 1000000};

    for (int i = 0; i < REAL_WAIT_S * 1000; i++) {
        if (until != NULL && atomic_load(until) != 0) return;
        if (until == NULL && atomic_load(ended)) return;
        nanosleep(&pause, NULL);
    }
    fail_msg("the broker did not come up, or go, in %d s", REAL_WAIT_S);
}

struct real_broker *real_broker_start(const char *const *settings)
{
    struct real_broker *broker = calloc(1, sizeof *broker);
    struct posix_options options = posix_options_default();
    struct errmsg error;

    assert_non_null(broker);
    strcpy(broker->directory, "/tmp/gregor-test-XXXXXX");
    assert_non_null(mkdtemp(broker->directory));
    real_configure(broker, settings);
    broker->taker.take = real_take;
    options.region_size = REAL_REGION;
    options.connections_max = 1000;
    options.log_fd = -1;
    options.poll_us = 0;
    options.taker = &broker->taker;
    assert_int_equal(codecs_create(&broker->codecs), ERR_NONE);
    assert_int_equal(posix_world_create(&options, &broker->world), ERR_NONE);
    broker->world->world.codecs = &broker->codecs;
    broker->node = region_take(broker->world->world.region, sizeof *broker->node, 64);
    assert_non_null(broker->node);
    if (node_start(broker->node, &broker->world->world, &broker->config, true, &error) != ERR_NONE)
        fail_msg("%s", error.text);
    assert_int_equal(pthread_create(&broker->thread, NULL, real_run, broker), 0);
    real_wait(&broker->port, NULL);
    snprintf(broker->address, sizeof broker->address, "127.0.0.1:%d", atomic_load(&broker->port));
    return broker;
}

const char *real_broker_address(const struct real_broker *broker)
{
    return broker->address;
}

void real_broker_stop(struct real_broker *broker)
{
    char command[128];

    atomic_store(&broker->stop, true);
    real_wait(NULL, &broker->ended);
    pthread_join(broker->thread, NULL);
    assert_int_equal(broker->world->status, 0);
    posix_world_destroy(broker->world);
    codecs_destroy(&broker->codecs);
    snprintf(command, sizeof command, "rm -rf '%s'", broker->directory);
    assert_int_equal(system(command), 0);
    free(broker);
}

int real_broker_setup(void **state)
{
    static const char *const settings[] = {"group.initial.rebalance.delay.ms", "0", NULL};

    *state = real_broker_start(settings);
    return 0;
}

int real_broker_teardown(void **state)
{
    real_broker_stop(*state);
    return 0;
}

/* The loop behind gregor.h: one production world, driven from the caller's calls. */
#include "client/gregor_internal.h"

#include <stdlib.h>
#include <string.h>

enum { GREGOR_BYTES = 512 * 1024 * 1024, GREGOR_OPS_MAX = 100000, GREGOR_TURNS_MAX = 64 };

#define ERR_SAME(name, code, retry, text) \
    _Static_assert((code) == 0 || (int)GREGOR_ERR_##name == (int)ERR_##name, #name);
#define GREGOR_ERR_NONE 0
ERR_LIST(ERR_SAME)
#undef ERR_SAME

const char *gregor_error_name(int error)
{
    return err_name((enum err)error);
}

const char *gregor_error_text(int error)
{
    return err_text((enum err)error);
}

bool gregor_error_retriable(int error)
{
    return err_retry((enum err)error) != ERR_FINAL;
}

const char *gregor_version(void)
{
    return GREGOR_VERSION;
}

/* ---- names ----------------------------------------------------------------------------------- */

const struct gregor_name *gregor_intern(struct gregor_name **names, struct str name)
{
    struct gregor_name *found;

    for (found = *names; found != NULL; found = found->next)
        if (found->length == name.length && memcmp(found->text, name.data, name.length) == 0)
            return found;
    found = malloc(sizeof *found + name.length + 1);
    if (found == NULL) return NULL;
    found->next = *names;
    found->length = name.length;
    memcpy(found->text, name.data, name.length);
    found->text[name.length] = 0;
    *names = found;
    return found;
}

void gregor_forget(struct gregor_name **names)
{
    while (*names != NULL) {
        struct gregor_name *next = (*names)->next;

        free(*names);
        *names = next;
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

static void client_started(struct env *env)
{
    CONTAINER_OF(env, struct gregor_client, env)->started = true;
}

static void client_nudged(struct world_req *req, struct instant now)
{
    (void)req; /* the turn's end is what was wanted */
    (void)now;
}

static bool client_open(struct gregor_client *client, size_t bytes)
{
    struct posix_options options = posix_options_default();
    struct env_limits limits = {.ops_max = GREGOR_OPS_MAX, .payload_bytes = bytes};

    options.region_size = 4 * bytes + ((size_t)256 << 20); /* address space */
    options.connections_max = 2000;
    options.files_max = 1;
    options.timers_max = 16;
    options.chunks = 64;
    options.disk_workers = 1;
    options.compute_workers = 1;
    options.log_fd = -1;
    options.keep_sigpipe = true;
    if (codecs_create(&client->codecs) != ERR_NONE) return false;
    if (posix_world_create(&options, &client->posix) != ERR_NONE) {
        codecs_destroy(&client->codecs);
        return false;
    }
    client->posix->world.codecs = &client->codecs;
    client->posix->world.cpu = codecs_cpu();
    if (env_init(&client->env, &client->posix->world, &limits, client_started) == ERR_NONE) {
        while (!client->started)
            (void)posix_world_turn(client->posix, 0);
        return true;
    }
    posix_world_destroy(client->posix);
    codecs_destroy(&client->codecs);
    return false;
}

struct gregor_client *gregor_client_new_sized(size_t bytes)
{
    struct gregor_client *client = calloc(1, sizeof *client);

    if (client == NULL) return NULL;
    list_init(&client->producers);
    list_init(&client->consumers);
    list_init(&client->left);
    world_req_init(&client->nudge.req, client_nudged);
    if (bytes > 0 && client_open(client, bytes)) return client;
    free(client);
    return NULL;
}

struct gregor_client *gregor_client_new(void)
{
    return gregor_client_new_sized(GREGOR_BYTES);
}

void gregor_leave(struct gregor_client *client, struct gregor_left *left, void *memory)
{
    left->memory = memory;
    list_init(&left->link);
    list_push(&client->left, &left->link);
}

void gregor_client_free(struct gregor_client *client)
{
    struct list *link;

    if (client == NULL) return;
    posix_world_destroy(client->posix);
    codecs_destroy(&client->codecs);
    while ((link = list_pop(&client->left)) != NULL)
        free(LIST_ENTRY(link, struct gregor_left, link)->memory);
    free(client);
}

/* ---- turns ----------------------------------------------------------------------------------- */

void gregor_enter(struct gregor_client *client)
{
    client->env.now = posix_clock_now();
    client->env.loop.now_ns = client->env.now.mono.ns;
    if (client->nudge.req.pending) return;
    client->nudge.deadline = (struct mono_time){0};
    timer_start(client->env.world, &client->nudge);
}

int64_t gregor_deadline_ns(int timeout_ms)
{
    if (timeout_ms < 0) return INT64_MAX;
    return posix_clock_mono_ns() + (int64_t)timeout_ms * NS_PER_MS;
}

int gregor_deliver(struct gregor_client *client)
{
    int told = 0;

    if (client->delivering) return 0;
    LIST_FOR_EACH_SAFE (link, after, &client->producers)
        told += gregor_producer_deliver(gregor_producer_of(link));
    LIST_FOR_EACH_SAFE (link, after, &client->consumers)
        told += gregor_consumer_deliver(gregor_consumer_of(link));
    return told;
}

/* One turn that may wait, and those that follow from it. */
static void client_turns(struct gregor_client *client, int64_t wait_ns)
{
    (void)posix_world_turn(client->posix, wait_ns);
    for (uint32_t i = 0; i < GREGOR_TURNS_MAX && posix_world_turn(client->posix, 0); i++) {
    }
    client->env.now = posix_clock_now();
}

bool gregor_wait(struct gregor_client *client, bool (*done)(void *context), void *context,
                 int64_t deadline_ns)
{
    gregor_enter(client);
    for (bool turned = false;; turned = true) {
        int64_t now_ns = posix_clock_mono_ns();
        int64_t wait_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;

        (void)gregor_deliver(client);
        if (done(context)) return true;
        if (turned && wait_ns == 0) return false;
        client_turns(client, deadline_ns == INT64_MAX ? INT64_MAX : wait_ns);
    }
}

int gregor_fd(struct gregor_client *client)
{
    return posix_world_fd(client->posix);
}

int gregor_timeout_ms(struct gregor_client *client)
{
    int64_t wait_ns = posix_world_wait_ns(client->posix);

    if (wait_ns == INT64_MAX) return -1;
    if (wait_ns > INT64_C(1000000) * INT32_MAX) return INT32_MAX;
    return (int)((wait_ns + NS_PER_MS - 1) / NS_PER_MS);
}

int gregor_poll(struct gregor_client *client, int timeout_ms)
{
    int64_t deadline_ns = gregor_deadline_ns(timeout_ms);
    int told = 0;

    if (client->delivering) return 0;
    for (;;) {
        int64_t now_ns = posix_clock_mono_ns();
        int64_t wait_ns = deadline_ns - now_ns;

        if (deadline_ns == INT64_MAX) wait_ns = INT64_MAX;
        client_turns(client, wait_ns > 0 ? wait_ns : 0);
        told = gregor_deliver(client);
        if (told > 0 || wait_ns <= 0) return told;
    }
}

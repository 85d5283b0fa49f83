/* Proves, for every version of every api that a listener tells: the node has who answers it, a
 * body that ends too early closes the connection and is counted, and a damaged one does no harm:
 * the node goes on to serve, and an orderly stop finds everything given back. */
#include "tests/support/raw_client.h"

#include "broker/api/api.h"
#include "tests/support/wire_random.h"
#include "wire/api_versions.h"

#include <stdlib.h>

enum { DAMAGED = 2, SETTLE_MS = 70000 };

static struct node_box box;
static struct raw_client raw;
static struct rng rng;

struct listener {
    enum api_listener id;
    uint16_t port;
    const struct server_api *apis;
    const uint32_t *count;
};

static const struct listener listeners[] = {
    {API_ON_BROKER, NODE_BOX_PORT, api_broker, &api_broker_count},
    {API_ON_CONTROLLER, NODE_BOX_PORT + 1, api_controller, &api_controller_count},
};

/* A random request, malloced. */
static uint8_t *random_frame(const struct api_entry *entry, int16_t version, size_t *length)
{
    void *body = arena_zalloc(&raw.arena, entry->request->body->size);
    uint8_t *frame;

    assert_non_null(body);
    wire_random_value(&rng, &raw.arena, entry->request, version, body);
    frame = raw_frame(&raw, entry->key, version, body, length);
    arena_reset(&raw.arena);
    return frame;
}

static void send_alone(const struct listener *listener, uint8_t *frame, size_t length)
{
    be_put32(frame, (uint32_t)length - 4);
    raw_close(&raw);
    raw_open(&raw, &box, 0, listener->port);
    (void)raw_send(&raw, frame, length, 1000);
}

static void check_version(const struct listener *listener, const struct api_entry *entry,
                          int16_t version)
{
    uint64_t before = box.node[0].hostile;
    size_t length;
    uint8_t *frame = random_frame(entry, version, &length);

    send_alone(listener, frame, length - 1);
    if (!raw_closed(&raw, 5000) || box.node[0].hostile != before + 1)
        fail_msg("%s v%d: a body that ends early is taken", entry->name, version);
    free(frame);
    for (uint32_t i = 0; i < DAMAGED; i++) {
        frame = random_frame(entry, version, &length);
        for (uint32_t bits = 0; bits < 3 && length > 14; bits++) {
            size_t at = 14 + (size_t)rng_below(&rng, length - 14);

            frame[at] ^= (uint8_t)(1u << rng_below(&rng, 8));
        }
        send_alone(listener, frame, length);
        node_box_run_ms(&box, 20);
        free(frame);
    }
}

static bool has_handler(const struct listener *listener, int16_t key)
{
    for (uint32_t i = 0; i < *listener->count; i++)
        if (listener->apis[i].key == key) return true;
    return false;
}

static void check_listener(const struct listener *listener)
{
    struct api_versions_request request;
    struct api_versions_response response;
    uint32_t told = 0;

    node_box_init(&box, 7, "a", "");
    node_box_start_all(&box);
    rng_init(&rng, 77);
    raw_open(&raw, &box, 0, listener->port);
    for (uint32_t i = 0; i < api_table_count; i++) {
        const struct api_entry *entry = &api_table[i];

        for (int16_t v = entry->served.first; v <= entry->served.last; v++) {
            if (!api_accepts(listener->id, entry->key, v)) continue;
            if (!has_handler(listener, entry->key)) fail_msg("nobody answers %s", entry->name);
            check_version(listener, entry, v);
            told++;
        }
    }
    assert_true(told > (listener->id == API_ON_BROKER ? 120u : 40u));
    raw_close(&raw);
    node_box_run_ms(&box, SETTLE_MS);
    raw_open(&raw, &box, 0, listener->port);
    api_versions_request_default(&request);
    raw_ask(&raw, API_API_VERSIONS, 0, &request, &response);
    assert_int_equal(response.error_code, 0);
    raw_close(&raw);
    node_box_stop(&box, 0, 60000);
    node_box_deinit(&box);
}

static void no_damaged_request_of_any_version_hurts_a_broker(void **state)
{
    (void)state;
    check_listener(&listeners[0]);
}

static void no_damaged_request_of_any_version_hurts_a_controller(void **state)
{
    (void)state;
    check_listener(&listeners[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_damaged_request_of_any_version_hurts_a_broker),
        cmocka_unit_test(no_damaged_request_of_any_version_hurts_a_controller),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

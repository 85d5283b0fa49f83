/* What a member subscribes to: names, or a pattern over the names of all topics, which are listed
 * anew at every metadata.max.age (and once a second until the first list is there). Where the
 * coordinator resolves the pattern (KIP-848), the list still tells the names of what it assigns. */
#include "client/membership.h"

#include <string.h>

enum { LIST_AGAIN_MS = 30000 };

/* ---- names ---------------------------------------------------------------------------------- */

static bool same_names(const struct membership *member, const struct str *topics, uint32_t count)
{
    if (count != member->subscribed_count) return false;
    for (uint32_t i = 0; i < count; i++)
        if (!membership_subscribes(member, topics[i])) return false;
    return true;
}

bool membership_subscribes(const struct membership *member, struct str topic)
{
    for (uint32_t i = 0; i < member->subscribed_count; i++)
        if (str_equal(member->subscribed[i], topic)) return true;
    return false;
}

/* Puts a name where it belongs; names that are there already do not come in again. */
static uint32_t insert_name(struct str *names, uint32_t count, struct str name)
{
    uint32_t at = count;

    while (at > 0 && str_compare(names[at - 1], name) > 0)
        at--;
    if (at > 0 && str_equal(names[at - 1], name)) return count;
    memmove(&names[at + 1], &names[at], (count - at) * sizeof *names);
    names[at] = name;
    return count + 1;
}

static enum err set_names(struct membership *member, const struct str *topics, uint32_t count)
{
    struct mem *mem = &member->env->mem;
    size_t size = count * sizeof *topics;
    struct str *names = NULL;
    uint32_t kept = 0;
    char *bytes;

    if (count > MEMBERSHIP_TOPICS_MAX) return ERR_TOO_MANY;
    if (same_names(member, topics, count)) return ERR_NONE;
    for (uint32_t i = 0; i < count; i++) {
        if (topics[i].length == 0 || topics[i].length > METADATA_TOPIC_NAME_MAX)
            return ERR_INVALID_TOPIC_EXCEPTION;
        size += topics[i].length;
    }
    if (size > 0) {
        names = mem_alloc(mem, size);
        if (names == NULL) return ERR_NO_MEMORY;
        bytes = (char *)(names + count);
        for (uint32_t i = 0; i < count; i++) {
            memcpy(bytes, topics[i].data, topics[i].length);
            kept = insert_name(names, kept, (struct str){bytes, topics[i].length});
            bytes += topics[i].length;
        }
    }
    mem_free(mem, member->subscribed, member->subscribed_size);
    member->subscribed = names;
    member->subscribed_count = kept;
    member->subscribed_size = size;
    member->subscription++;
    member->managed = true;
    membership_kick(member);
    return ERR_NONE;
}

void membership_drop_pattern(struct membership *member)
{
    mem_free(&member->env->mem, member->pattern, sizeof *member->pattern);
    mem_free(&member->env->mem, (void *)(uintptr_t)member->pattern_text.data,
             member->pattern_text.length);
    member->pattern = NULL;
    member->pattern_text = STR_NULL;
    member->listed = false;
}

enum err membership_subscribe(struct membership *member, const struct str *topics, uint32_t count)
{
    enum err err = set_names(member, topics, count);

    if (err != ERR_NONE) return err;
    if (member->regex_told) member->subscription++; /* perhaps the same names */
    membership_drop_pattern(member);
    return ERR_NONE;
}

/* ---- pattern -------------------------------------------------------------------------------- */

enum err membership_subscribe_pattern(struct membership *member, struct str pattern)
{
    struct mem *mem = &member->env->mem;
    struct pattern *compiled = mem_alloc(mem, sizeof *compiled);
    char *text = mem_alloc(mem, pattern.length);
    enum err err = ERR_NO_MEMORY;

    if (compiled != NULL && (text != NULL || pattern.length == 0))
        err = pattern_compile(compiled, pattern);
    if (err != ERR_NONE) {
        mem_free(mem, compiled, sizeof *compiled);
        mem_free(mem, text, pattern.length);
        return err;
    }
    if (pattern.length > 0) memcpy(text, pattern.data, pattern.length);
    membership_drop_pattern(member);
    member->pattern = compiled;
    member->pattern_text = (struct str){text, pattern.length};
    if (membership_is_consumer(member)) member->subscription++;
    member->managed = true;
    member->list_at_ns = 0;
    membership_kick(member);
    return ERR_NONE;
}

static enum err take_list(struct membership *member)
{
    struct call *call = &member->list.call;
    struct metadata_response response;
    struct str *names;
    uint32_t count = 0;
    enum err err;

    metadata_response_default(&response);
    err = metadata_response_decode(&call->reader, call->version, &member->offsets_arena, &response);
    if (err != ERR_NONE) return err;
    names = arena_alloc(&member->offsets_arena, response.topics_count * sizeof *names);
    if (names == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < response.topics_count; i++) {
        const struct metadata_response_topic *topic = &response.topics[i];

        if (topic->is_internal || topic->error_code != 0 || topic->name.data == NULL) continue;
        if (pattern_matches(member->pattern, topic->name)) names[count++] = topic->name;
    }
    return set_names(member, names, count);
}

static void listed(struct membership *member)
{
    enum err err = member->list.call.result;
    int64_t again_ms = member->consumer->config.metadata.max_age_ms;

    if (again_ms > LIST_AGAIN_MS) again_ms = LIST_AGAIN_MS;
    arena_reset(&member->offsets_arena);
    if (err == ERR_NONE && member->pattern != NULL) err = take_list(member);
    arena_reset(&member->offsets_arena);
    call_release(&member->list.call);
    if (err == ERR_NONE) {
        member->listed = true;
        member->list_failures = 0;
    } else {
        again_ms = metadata_backoff_ms(&member->consumer->metadata, ++member->list_failures);
    }
    member->list_at_ns = env_deadline(member->env, again_ms);
}

void membership_list_turn(struct membership *member)
{
    struct peer *peer;

    if (member->pattern == NULL || member->state >= MEMBERSHIP_FAILED ||
        op_live(&member->list.op) || member->list_at_ns > member->env->now.mono.ns)
        return;
    peer = metadata_any(&member->consumer->metadata);
    if (peer == NULL) {
        member->list_at_ns = env_deadline(
            member->env, metadata_backoff_ms(&member->consumer->metadata, ++member->list_failures));
        return;
    }
    metadata_request_default(&member->list_body);
    member->list_body.topics_null = true;
    member->list_body.allow_auto_topic_creation = false;
    membership_call_init(&member->list, API_METADATA, &member->list_body);
    member->list.call.version_min = 1;
    membership_ask(member, &member->list, peer, member->config.request_timeout_ms, listed);
}

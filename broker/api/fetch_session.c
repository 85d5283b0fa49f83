#include "broker/api/fetch_session.h"

#include "client/base/byteorder.h"

#include <string.h>

enum { KEY_MAX = LOG_NAME_MAX + 32 };

/* ---- partitions ------------------------------------------------------------------------------ */

/* Topic (id or name), then the index: one kind of key for both. 0: no topic has such a name. */
static uint32_t make_key(const struct fetch_session *session, struct uuid topic_id,
                         struct str topic, int32_t index, uint8_t *key)
{
    uint32_t length = session->by_id ? (uint32_t)sizeof topic_id.bytes : (uint32_t)topic.length;

    if (length > KEY_MAX - 4) return 0;
    if (length > 0)
        memcpy(key, session->by_id ? topic_id.bytes : (const uint8_t *)topic.data, length);
    be_put32(key + length, (uint32_t)index);
    return length + 4;
}

static size_t entry_size(uint32_t key_length)
{
    return sizeof(struct fetch_session_part) + key_length;
}

static void detach(struct fetch_session_part *entry)
{
    if (entry->part != NULL) partition_unwatch(&entry->watcher);
    entry->part = NULL;
}

/* Called by the partition: something of it changed. */
static void tell(struct partition_watcher *watcher)
{
    struct fetch_session_part *entry = CONTAINER_OF(watcher, struct fetch_session_part, watcher);
    struct fetch_session *session = entry->session;

    if (partition_leaving(entry->part)) detach(entry);
    entry->fresh = true;
    if (!list_linked(&entry->news)) list_push(&session->news, &entry->news);
    if (session->use != NULL) op_wake(&session->use->news);
}

static void release(struct fetch_session_part *entry)
{
    if (entry->holder == NULL) return;
    *entry->holder = NULL;
    entry->holder = NULL;
    list_remove(&entry->used);
}

static void entry_free(struct fetch_session_part *entry)
{
    struct fetch_session *session = entry->session;
    struct fetch_sessions *sessions = session->sessions;

    release(entry);
    detach(entry);
    list_remove(&entry->news);
    map_remove(&session->parts, &entry->node);
    sessions->partitions_count--;
    mem_free(&sessions->env->mem, entry, entry_size(entry->key_length));
}

static struct fetch_session_part *find(const struct fetch_session *session, const uint8_t *key,
                                       uint32_t length)
{
    struct map_node *node = map_find_str(&session->parts, (struct str){(const char *)key, length});

    return node != NULL ? MAP_ENTRY(node, struct fetch_session_part, node) : NULL;
}

static struct fetch_session_part *entry_new(struct fetch_session *session, const uint8_t *key,
                                            uint32_t length)
{
    struct fetch_sessions *sessions = session->sessions;
    struct fetch_session_part *entry;

    if (sessions->partitions_count >= FETCH_SESSION_PARTITIONS_MAX) return NULL;
    entry = mem_zalloc(&sessions->env->mem, entry_size(length));
    if (entry == NULL) return NULL;
    memcpy(entry->key, key, length);
    entry->key_length = length;
    if (map_add_str(&session->parts, &entry->node,
                    (struct str){(const char *)entry->key, length}) != ERR_NONE) {
        mem_free(&sessions->env->mem, entry, entry_size(length));
        return NULL;
    }
    sessions->partitions_count++;
    entry->session = session;
    entry->told_high_watermark = -1;
    entry->told_log_start = -1;
    list_init(&entry->news);
    list_init(&entry->used);
    return entry;
}

struct fetch_session_part *fetch_session_add(struct fetch_session *session, struct uuid topic_id,
                                             struct str topic, int32_t index)
{
    uint8_t key[KEY_MAX];
    uint32_t length = make_key(session, topic_id, topic, index, key);
    struct fetch_session_part *entry;

    if (length == 0) return NULL;
    entry = find(session, key, length);
    if (entry == NULL) {
        entry = entry_new(session, key, length);
        if (entry == NULL) return NULL;
        entry->index = index;
        entry->topic_id = topic_id;
        entry->topic = session->by_id ? (struct str){"", 0}
                                      : (struct str){(const char *)entry->key, topic.length};
    }
    if (!list_linked(&entry->news)) list_push(&session->news, &entry->news);
    return entry;
}

void fetch_session_forget(struct fetch_session *session, struct uuid topic_id, struct str topic,
                          int32_t index)
{
    uint8_t key[KEY_MAX];
    uint32_t length = make_key(session, topic_id, topic, index, key);
    struct fetch_session_part *entry = length > 0 ? find(session, key, length) : NULL;

    if (entry != NULL) entry_free(entry);
}

enum err fetch_session_attach(struct fetch_session_part *entry, const struct manager *replicas)
{
    struct partition *part = entry->part;
    enum err err;

    if (part != NULL) return ERR_NONE;
    err = entry->session->by_id ? manager_find(replicas, entry->topic_id, entry->index, &part)
                                : manager_find_by_name(replicas, entry->topic, entry->index, &part);
    if (err != ERR_NONE) return err;
    if (partition_leaving(part)) return ERR_NOT_LEADER_OR_FOLLOWER;
    entry->part = part;
    entry->told_high_watermark = -1; /* of another incarnation, perhaps of another topic */
    entry->told_log_start = -1;
    entry->watcher.tell = tell;
    partition_watch(part, &entry->watcher, NULL);
    return ERR_NONE;
}

void fetch_session_hold(struct fetch_session_part *entry, struct fetch_session_part **holder)
{
    ASSERT(entry->holder == NULL);
    entry->holder = holder;
    *holder = entry;
    list_push(&entry->session->used_parts, &entry->used);
}

void fetch_session_rest(struct fetch_session_part *entry)
{
    list_remove(&entry->news);
}

void fetch_session_rotate(struct fetch_session_part *entry)
{
    list_remove(&entry->news);
    list_push(&entry->session->news, &entry->news);
}

/* ---- who reads ------------------------------------------------------------------------------- */

static void lose(struct fetch_session *session, enum err why)
{
    struct fetch_session_use *use = session->use;

    if (use == NULL) return;
    use->lost = why;
    op_wake(&use->news);
    fetch_session_leave(use);
}

void fetch_session_leave(struct fetch_session_use *use)
{
    struct fetch_session *session = use->session;

    if (session == NULL) return;
    ASSERT(session->use == use);
    LIST_FOR_EACH_SAFE (link, after, &session->used_parts) {
        release(LIST_ENTRY(link, struct fetch_session_part, used));
    }
    session->use = NULL;
    use->session = NULL;
}

void fetch_session_take(struct fetch_session *session, struct fetch_session_use *use)
{
    lose(session, ERR_INVALID_FETCH_SESSION_EPOCH);
    ASSERT(use->session == NULL);
    session->use = use;
    use->session = session;
    session->last_used = session->sessions->env->now.mono;
    list_remove(&session->used);
    list_push(&session->sessions->used, &session->used);
}

/* ---- the cache ------------------------------------------------------------------------------- */

void fetch_sessions_init(struct fetch_sessions *sessions, struct env *env, uint32_t slots)
{
    uint64_t seed = dice_seed(env->world, DICE_IDENTITY);

    *sessions = (struct fetch_sessions){.env = env, .slots = slots};
    map_init(&sessions->by_id, &env->mem, dice_seed(env->world, DICE_HASH), slots + 1);
    list_init(&sessions->used);
    rng_init(&sessions->rng, seed);
}

void fetch_sessions_deinit(struct fetch_sessions *sessions)
{
    MAP_FOR_EACH_SAFE (node, after, &sessions->by_id) {
        fetch_session_close(MAP_ENTRY(node, struct fetch_session, node),
                            ERR_FETCH_SESSION_ID_NOT_FOUND);
    }
    ASSERT(sessions->partitions_count == 0);
    map_deinit(&sessions->by_id);
}

struct fetch_session *fetch_sessions_find(const struct fetch_sessions *sessions, int32_t id)
{
    struct map_node *node = map_find_u64(&sessions->by_id, (uint64_t)(uint32_t)id);

    return node != NULL ? MAP_ENTRY(node, struct fetch_session, node) : NULL;
}

int32_t fetch_session_next(int32_t epoch)
{
    return epoch == INT32_MAX ? 1 : epoch + 1;
}

void fetch_session_close(struct fetch_session *session, enum err why)
{
    struct fetch_sessions *sessions = session->sessions;

    lose(session, why);
    MAP_FOR_EACH_SAFE (node, after, &session->parts) {
        entry_free(MAP_ENTRY(node, struct fetch_session_part, node));
    }
    map_deinit(&session->parts);
    list_remove(&session->used);
    map_remove(&sessions->by_id, &session->node);
    mem_free(&sessions->env->mem, session, sizeof *session);
}

static bool older(const struct fetch_sessions *sessions, struct mono_time since)
{
    return mono_ms_between(since, sessions->env->now.mono) > FETCH_SESSION_STALE_MS;
}

/* Followers above consumers, then the bigger one; the id makes the order total. */
static bool worth_less(const struct fetch_session *a, const struct fetch_session *b)
{
    if (a->privileged != b->privileged) return b->privileged;
    if (a->parts.count != b->parts.count) return a->parts.count < b->parts.count;
    return a->id < b->id;
}

/* Kafka's rules: one that is stale; else the one worth least of those that may be put out, unless
 * it is worth more than the new one. A follower may put out any consumer's, everybody what is older
 * than the stale time. Walks the slots: only when all are taken, and a session is to begin. */
static struct fetch_session *evictable(const struct fetch_sessions *sessions, bool privileged,
                                       uint32_t size)
{
    struct fetch_session *least = NULL;
    struct fetch_session *oldest;

    if (list_empty(&sessions->used)) return NULL;
    oldest = LIST_ENTRY(sessions->used.next, struct fetch_session, used);
    if (older(sessions, oldest->last_used)) return oldest;
    LIST_FOR_EACH (link, &sessions->used) {
        struct fetch_session *session = LIST_ENTRY(link, struct fetch_session, used);

        if (!(privileged && !session->privileged) && !older(sessions, session->created)) continue;
        if (least == NULL || worth_less(session, least)) least = session;
    }
    if (least == NULL) return NULL;
    if (least->privileged != privileged) return privileged ? least : NULL;
    return least->parts.count < size ? least : NULL;
}

static int32_t draw_id(struct fetch_sessions *sessions)
{
    int32_t id;

    do {
        id = (int32_t)rng_range(&sessions->rng, 1, INT32_MAX);
    } while (fetch_sessions_find(sessions, id) != NULL);
    return id;
}

struct fetch_session *fetch_session_open(struct fetch_sessions *sessions, bool privileged,
                                         bool by_id, uint32_t size)
{
    struct env *env = sessions->env;
    struct fetch_session *session;

    if (sessions->slots == 0) return NULL;
    if (sessions->by_id.count >= sessions->slots) {
        session = evictable(sessions, privileged, size);
        if (session == NULL) return NULL;
        fetch_session_close(session, ERR_FETCH_SESSION_ID_NOT_FOUND);
        sessions->evictions++;
    }
    session = mem_zalloc(&env->mem, sizeof *session);
    if (session == NULL) return NULL;
    session->id = draw_id(sessions);
    if (map_add_u64(&sessions->by_id, &session->node, (uint64_t)session->id) != ERR_NONE) {
        mem_free(&env->mem, session, sizeof *session);
        return NULL;
    }
    session->sessions = sessions;
    session->epoch = 1;
    session->by_id = by_id;
    session->privileged = privileged;
    session->created = env->now.mono;
    session->last_used = env->now.mono;
    map_init(&session->parts, &env->mem, dice_seed(env->world, DICE_HASH),
             FETCH_SESSION_PARTITIONS_MAX);
    list_init(&session->news);
    list_init(&session->used_parts);
    list_init(&session->used);
    list_push(&sessions->used, &session->used);
    return session;
}

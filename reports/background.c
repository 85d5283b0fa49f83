#include "reports/background.h"

#include "client/base/assert.h"
#include "reports/out.h"
#include "reports/story.h"

#include <stdlib.h>
#include <string.h>

/* One more place in a growing table of at most `max`; NULL: full, counted. */
static void *grow(struct background *background, void **table, uint32_t *count, uint32_t *room,
                  uint32_t max, size_t size)
{
    if (*count == max) {
        background->dropped++;
        return NULL;
    }
    if (*count == *room) {
        *room = *room > 0 ? 2 * *room : 64;
        if (*room > max) *room = max;
        *table = realloc(*table, *room * size);
        ASSERT(*table != NULL);
    }
    return (char *)*table + (size_t)(*count)++ * size;
}

#define GROW(background, table, count, room, max)                                                \
    grow((background), (void **)&(background)->table, &(background)->count, &(background)->room, \
         (max), sizeof *(background)->table)

const char *background_sort_word(enum background_sort sort)
{
    switch (sort) {
    case BACKGROUND_MOMENT: return "fault";
    case BACKGROUND_DOWN: return "down";
    case BACKGROUND_PAUSE: return "paused";
    case BACKGROUND_CUT: return "cut off";
    case BACKGROUND_DISK: return "disk fault";
    case BACKGROUND_SLOW: return "slow";
    }
    return "fault";
}

/* ---- faults ---------------------------------------------------------------------------------- */

/* What a fault is, from its sentence: the numbers are the simulator's own. */
static enum background_sort sort_of(const char *text)
{
    static const struct {
        const char *begin;
        enum background_sort sort;
    } words[] = {{"pause", BACKGROUND_PAUSE},       {"cut ", BACKGROUND_CUT},
                 {"one-way cut", BACKGROUND_CUT},   {"clog", BACKGROUND_CUT},
                 {"slow link", BACKGROUND_CUT},     {"slow disk", BACKGROUND_DISK},
                 {"stalled disk", BACKGROUND_DISK}, {"full disk", BACKGROUND_DISK},
                 {"lying", BACKGROUND_DISK},        {"slow CPU", BACKGROUND_SLOW},
                 {"clock", BACKGROUND_SLOW}};

    for (uint32_t i = 0; i < COUNT_OF(words); i++) {
        if (strncmp(text, words[i].begin, strlen(words[i].begin)) == 0) return words[i].sort;
    }
    return BACKGROUND_MOMENT;
}

static struct background_fault *add_fault(struct background *background, int64_t now_ns,
                                          int16_t node, enum background_sort sort, uint64_t number)
{
    struct background_fault *fault =
        GROW(background, faults, fault_count, fault_room, BACKGROUND_FAULTS_MAX);

    if (fault == NULL) return NULL;
    *fault = (struct background_fault){.begin_ns = now_ns,
                                       .end_ns = now_ns,
                                       .fault = -1,
                                       .number = number,
                                       .node = node,
                                       .sort = (uint8_t)sort,
                                       .open = sort != BACKGROUND_MOMENT};
    return fault;
}

static void close_fault(struct background_fault *fault, int64_t now_ns)
{
    fault->end_ns = now_ns;
    fault->open = false;
}

/* node -1: of all; sort MOMENT: whatever it is. */
static void close_faults(struct background *background, int16_t node, enum background_sort sort,
                         int64_t now_ns)
{
    for (uint32_t i = 0; i < background->fault_count; i++) {
        struct background_fault *fault = &background->faults[i];

        if (!fault->open || (node >= 0 && fault->node != node)) continue;
        if (sort != BACKGROUND_MOMENT && fault->sort != sort) continue;
        close_fault(fault, now_ns);
    }
}

static void close_cuts(struct background *background, int16_t from, int16_t to, int64_t now_ns)
{
    for (uint32_t i = 0; i < background->cut_count; i++) {
        struct background_cut *cut = &background->cuts[i];

        if (!cut->open || (from >= 0 && (cut->from != from || cut->to != to))) continue;
        cut->end_ns = now_ns;
        cut->open = false;
    }
}

static void take_fault(struct background *background, const struct story *story,
                       const struct trace_event *event, int64_t now_ns, uint64_t number)
{
    const int64_t *f = event->fields;
    int16_t node = (int16_t)story_find_node(story, f[3]);
    struct background_fault *fault;
    char text[BACKGROUND_TEXT];

    out_copy(text, sizeof text, event->text);
    if (strncmp(text, "orderly stop", 12) == 0 && node >= 0)
        background->quiet_stop |= (uint64_t)1 << node;
    if (f[1] == 0 && strncmp(text, "heal", 4) == 0) {
        bool all = strncmp(text, "heal of all", 11) == 0;

        close_faults(background, all ? -1 : node, BACKGROUND_CUT, now_ns);
        if (all) close_cuts(background, -1, -1, now_ns);
        return;
    }
    if (f[1] == 0) {
        for (uint32_t i = 0; i < background->fault_count; i++) {
            fault = &background->faults[i];
            if (fault->open && fault->node == node && fault->fault == f[0])
                close_fault(fault, now_ns);
        }
        return;
    }
    if (strncmp(text, "start", 5) == 0) return; /* the end of one */
    fault = add_fault(background, now_ns, node, sort_of(text), number);
    if (fault == NULL) return;
    fault->fault = f[0];
    memcpy(fault->text, text, sizeof text);
}

static void take_sim(struct background *background, const struct story *story,
                     const struct trace_event *event, int64_t now_ns, uint64_t number)
{
    const int64_t *f = event->fields;
    int16_t node = (int16_t)story_find_node(story, f[0]);

    if (event->kind == TRACE_SIM_FAULT) {
        take_fault(background, story, event, now_ns, number);
    } else if (event->kind == TRACE_SIM_DOWN) {
        struct background_fault *fault;

        close_faults(background, node, BACKGROUND_PAUSE, now_ns);
        if (f[1] == 3 && (node < 0 || (background->quiet_stop >> node & 1) == 0)) return;
        fault = add_fault(background, now_ns, node, BACKGROUND_DOWN, number);
        if (fault != NULL)
            out_copy(fault->text, sizeof fault->text,
                     f[1] == 1   ? STR("killed")
                     : f[1] == 2 ? STR("power loss")
                                 : STR("stopped"));
    } else if (event->kind == TRACE_SIM_UP) {
        close_faults(background, node, BACKGROUND_DOWN, now_ns);
        if (node >= 0) background->quiet_stop &= ~((uint64_t)1 << node);
    } else if (event->kind == TRACE_SIM_PHASE && f[0] >= 2) {
        for (uint32_t i = 0; i < background->fault_count; i++) {
            struct background_fault *fault = &background->faults[i];

            if (fault->open && fault->sort != BACKGROUND_DOWN) close_fault(fault, now_ns);
        }
        close_cuts(background, -1, -1, now_ns);
    } else if (event->kind == TRACE_SIM_BLOCKED) {
        int16_t from = (int16_t)story_find_node(story, f[1]);
        int16_t to = (int16_t)story_find_node(story, f[2]);

        if (from < 0 || to < 0) return;
        close_cuts(background, from, to, now_ns);
        if (f[3] != 0) {
            struct background_cut *cut =
                GROW(background, cuts, cut_count, cut_room, BACKGROUND_CUTS_MAX);

            if (cut != NULL) *cut = (struct background_cut){now_ns, now_ns, from, to, true};
        }
    }
}

/* ---- clients --------------------------------------------------------------------------------- */

static uint32_t slot_of(const struct background *background, int64_t value)
{
    uint32_t mask = background->slot_count - 1;
    uint32_t slot = (uint32_t)(((uint64_t)value * 0x9e3779b97f4a7c15u) >> 32) & mask;

    while (background->slots[slot] != 0 &&
           background->ops[background->slots[slot] - 1].value != value)
        slot = (slot + 1) & mask;
    return slot;
}

static void more_slots(struct background *background)
{
    if (background->op_count * 2 < background->slot_count) return;
    background->slot_count = background->slot_count > 0 ? 2 * background->slot_count : 1024;
    free(background->slots);
    background->slots = calloc(background->slot_count, sizeof background->slots[0]);
    ASSERT(background->slots != NULL);
    for (uint32_t i = 0; i < background->op_count; i++)
        background->slots[slot_of(background, background->ops[i].value)] = i + 1;
}

static void take_client(struct background *background, const struct trace_event *event,
                        int16_t node, int64_t now_ns)
{
    const int64_t *f = event->fields;
    struct background_op *op;
    uint32_t slot;

    more_slots(background);
    slot = slot_of(background, f[2]);
    if (background->slots[slot] == 0) {
        if (event->kind != TRACE_CLIENT_SEND) return;
        op = GROW(background, ops, op_count, op_room, BACKGROUND_OPS_MAX);
        if (op == NULL) return;
        *op = (struct background_op){.begin_ns = now_ns,
                                     .end_ns = now_ns,
                                     .value = f[2],
                                     .topic = f[0],
                                     .offset = -1,
                                     .partition = (int32_t)f[1],
                                     .node = node};
        background->slots[slot] = background->op_count;
        return;
    }
    op = &background->ops[background->slots[slot] - 1];
    if (event->kind == TRACE_CLIENT_SEND) return; /* again */
    op->end_ns = now_ns;
    if (event->kind == TRACE_CLIENT_ACKED) {
        op->outcome = BACKGROUND_OK;
        op->offset = f[3];
    } else {
        op->outcome = f[4] != 0 ? BACKGROUND_NO : BACKGROUND_UNKNOWN;
        op->err = (int32_t)f[3];
    }
}

/* ---- groups ---------------------------------------------------------------------------------- */

static void take_group(struct background *background, const struct trace_event *event, int16_t node,
                       int64_t now_ns)
{
    const int64_t *f = event->fields;
    struct background_group *group;

    group = GROW(background, groups, group_count, group_room, BACKGROUND_GROUPS_MAX);
    if (group == NULL) return;
    *group = (struct background_group){.time_ns = now_ns,
                                       .old = f[2],
                                       .state = f[3],
                                       .generation = f[4],
                                       .members = f[5],
                                       .node = node};
    out_copy(group->name, sizeof group->name, event->text);
}

/* The n-th word of a text. */
static struct str word_of(struct str text, uint32_t nth)
{
    uint32_t at = 0;

    for (;; nth--) {
        uint32_t begin = at;

        while (at < text.length && text.data[at] != ' ')
            at++;
        if (nth == 0) return (struct str){text.data + begin, at - begin};
        if (at == text.length) return STR_NULL;
        at++;
    }
}

/* ---- groups of KIP-848 ----------------------------------------------------------------------- */

static void take_epochs(struct background *background, const struct trace_event *event,
                        int16_t node, int64_t now_ns)
{
    const int64_t *f = event->fields;
    struct background_group *group;

    group = GROW(background, groups, group_count, group_room, BACKGROUND_GROUPS_MAX);
    if (group == NULL) return;
    *group = (struct background_group){.time_ns = now_ns,
                                       .state = f[3] < f[2] ? 1 : 3,
                                       .generation = f[2],
                                       .members = f[4],
                                       .node = node,
                                       .consumer = true};
    out_copy(group->name, sizeof group->name, event->text);
}

/* The first eight bytes of a topic's id, of its text: base64 with - and _. */
static int64_t topic_of(struct str text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint64_t id = 0;

    for (uint32_t i = 0; i < 11; i++) {
        const char *at = i < text.length ? memchr(digits, text.data[i], sizeof digits - 1) : NULL;
        uint64_t digit = at != NULL ? (uint64_t)(at - digits) : 0;

        id = i < 10 ? id << 6 | digit : id << 4 | digit >> 2;
    }
    return (int64_t)id;
}

/* Ends what a member has: one partition, or all (topic NULL). True: there was something. */
static bool end_holding(struct background *background, const struct background_owned *like,
                        bool all, int64_t now_ns)
{
    bool any = false;

    for (uint32_t i = background->owned_count; i-- > 0;) {
        struct background_owned *owned = &background->owned[i];

        if (owned->end_ns != INT64_MAX || strcmp(owned->group, like->group) != 0 ||
            strcmp(owned->member, like->member) != 0)
            continue;
        if (!all && (owned->partition != like->partition || strcmp(owned->topic, like->topic) != 0))
            continue;
        if (now_ns >= 0) owned->end_ns = now_ns > owned->time_ns ? now_ns : owned->time_ns + 1;
        any = true;
    }
    return any;
}

static void take_holds(struct background *background, const struct story *story,
                       const struct trace_event *event, int64_t now_ns)
{
    const int64_t *f = event->fields;
    struct background_owned like = {
        .time_ns = now_ns, .end_ns = INT64_MAX, .generation = f[3], .partition = (int32_t)f[2]};
    struct background_owned *owned;

    out_copy(like.group, sizeof like.group, word_of(event->text, 0));
    out_copy(like.member, sizeof like.member, word_of(event->text, 1));
    if (event->kind == TRACE_GROUP_MEMBER) {
        if (f[2] < 0) (void)end_holding(background, &like, true, now_ns);
        return;
    }
    txns_topic_name(&story->txns, topic_of(word_of(event->text, 2)), like.topic, sizeof like.topic);
    if (f[4] == 0) {
        (void)end_holding(background, &like, false, now_ns);
        return;
    }
    if (end_holding(background, &like, false, -1)) return; /* told again by another coordinator */
    owned = GROW(background, owned, owned_count, owned_room, BACKGROUND_OWNED_MAX);
    if (owned != NULL) *owned = like;
}

static void take_owned(struct background *background, const struct trace_event *event,
                       int64_t now_ns)
{
    struct background_owned *owned;

    owned = GROW(background, owned, owned_count, owned_room, BACKGROUND_OWNED_MAX);
    if (owned == NULL) return;
    *owned = (struct background_owned){
        .time_ns = now_ns, .generation = event->fields[2], .partition = (int32_t)event->fields[3]};
    out_copy(owned->group, sizeof owned->group, word_of(event->text, 0));
    out_copy(owned->member, sizeof owned->member, word_of(event->text, 1));
    out_copy(owned->topic, sizeof owned->topic, word_of(event->text, 2));
}

/* ---- all ------------------------------------------------------------------------------------- */

void background_take(struct background *background, const struct story *story,
                     const struct trace_event *event, int16_t node, int64_t now_ns, uint64_t number)
{
    switch ((int)event->kind) {
    case TRACE_SIM_FAULT:
    case TRACE_SIM_DOWN:
    case TRACE_SIM_UP:
    case TRACE_SIM_PHASE:
    case TRACE_SIM_BLOCKED: take_sim(background, story, event, now_ns, number); return;
    case TRACE_CLIENT_SEND:
    case TRACE_CLIENT_ACKED:
    case TRACE_CLIENT_FAILED: take_client(background, event, node, now_ns); return;
    case TRACE_CLIENT_READ: background->reads++; return;
    case TRACE_CLIENT_ERROR: background->errors++; return;
    case TRACE_GROUP_STATE: take_group(background, event, node, now_ns); return;
    case TRACE_GROUP_OWNED: take_owned(background, event, now_ns); return;
    case TRACE_GROUP_EPOCHS: take_epochs(background, event, node, now_ns); return;
    case TRACE_GROUP_HOLDS:
    case TRACE_GROUP_MEMBER: take_holds(background, story, event, now_ns); return;
    default: return;
    }
}

void background_end(struct background *background, int64_t now_ns)
{
    for (uint32_t i = 0; i < background->fault_count; i++) {
        if (background->faults[i].open) background->faults[i].end_ns = now_ns;
    }
    for (uint32_t i = 0; i < background->cut_count; i++) {
        if (background->cuts[i].open) background->cuts[i].end_ns = now_ns;
    }
    for (uint32_t i = 0; i < background->op_count; i++) {
        if (background->ops[i].outcome == BACKGROUND_PENDING) background->ops[i].end_ns = now_ns;
    }
    free(background->slots);
    background->slots = NULL;
}

void background_free(struct background *background)
{
    free(background->faults);
    free(background->cuts);
    free(background->ops);
    free(background->groups);
    free(background->owned);
    free(background->slots);
    *background = (struct background){.faults = NULL};
}

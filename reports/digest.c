#include "reports/digest.h"

#include "client/base/assert.h"

#include <stdlib.h>
#include <string.h>

enum { NEAR = 12, NEAR_VIOLATION = 24 };

static const int64_t near_ns = 2000000000;

/* Work of making one. */
struct maker {
    struct digest *digest;
    uint32_t rows_max;
    bool keys;       /* come before all else */
    uint32_t *index; /* events that could be drawn, ascending */
    uint8_t *rank;
    bool *taken;
    uint32_t count;
    int64_t times[DIGEST_ROWS_MAX];
    uint32_t time_count;
};

void digest_free(struct digest *digest)
{
    free(digest->shown);
    *digest = (struct digest){.shown = NULL};
}

int32_t digest_lane(const struct digest *digest, int32_t node)
{
    for (uint32_t i = 0; i < digest->lane_count; i++) {
        if (digest->lanes[i] == node) return (int32_t)i;
    }
    return -1;
}

int32_t digest_row(const struct digest *digest, int64_t time_ns)
{
    for (uint32_t i = 0; i < digest->row_count; i++) {
        if (digest->rows[i].time_ns == time_ns) return (int32_t)i;
    }
    return -1;
}

static int32_t epoch_number(const struct digest *digest, int32_t epoch)
{
    for (uint32_t i = 0; i < digest->epoch_count; i++) {
        if (digest->epochs[i] == epoch) return (int32_t)i;
    }
    return -1;
}

enum theme digest_tint(const struct digest *digest, int32_t epoch)
{
    int32_t nth = epoch_number(digest, epoch);

    return nth < 0 ? THEME_EMPTY : theme_epoch((uint32_t)nth);
}

enum theme digest_ink(const struct digest *digest, int32_t epoch)
{
    int32_t nth = epoch_number(digest, epoch);

    return nth < 0 ? THEME_MUTED : theme_epoch_ink((uint32_t)nth);
}

/* ---- rank ------------------------------------------------------------------------------------ */

static bool about_violated(const struct story *story, const struct story_event *event)
{
    const struct story_event *violation;

    if (story->violation < 0) return false;
    violation = &story->events[story->violation];
    return violation->to >= event->from && violation->to < event->to;
}

uint32_t digest_rank(const struct story *story, const struct state *before,
                     const struct story_event *event)
{
    const struct state_replica *replica = event->node >= 0 ? &before->replicas[event->node] : NULL;
    bool first = replica != NULL && !replica->known;

    switch ((enum story_what)event->what) {
    case STORY_VIOLATION: return event == &story->events[story->violation] ? 7 : 5;
    case STORY_DOWN:
        if (event->from != 0) return 0;
        return event->extra == 3 && event->node >= 0 &&
                       story->nodes[event->node].kind == STORY_CLIENT
                   ? 1 /* its work is done */
                   : 6;
    case STORY_FAULT: return event->to != 0 && !event->mends ? 6 : 5;
    case STORY_TRUNCATED: return event->to < event->from ? 6 : 3;
    case STORY_UP: return event->extra > 1 && event->from == 0 ? 5 : 0;
    case STORY_OPENED: return event->to > 0 ? 4 : 1;
    case STORY_ROLE: return event->from == STORY_ROLE_LEADER ? 5 : first ? 1 : 2;
    case STORY_DECISION: {
        uint64_t isr = story_ids(story, story_text(story, event), "isr ");

        if (before->leader_epoch < 0) return 1; /* the partition's creation */
        return event->epoch != before->leader_epoch || isr != before->isr ? 4 : 1;
    }
    case STORY_ACTIVE: return 3;
    case STORY_RENOUNCED:
    case STORY_STEP:
    case STORY_PHASE:
    case STORY_LOST: return 3;
    case STORY_ACK: return about_violated(story, event) ? 6 : 0; /* kept, however old */
    case STORY_APPENDED:
        return about_violated(story, event) &&
                       before->replicas[event->node].role == STORY_ROLE_LEADER
                   ? 6
                   : 0;
    case STORY_FAILED:
    case STORY_HW:
    case STORY_ISR:
    case STORY_LOG_START:
    case STORY_DIVERGED: return 0;
    }
    return 0;
}

/* ---- lanes ----------------------------------------------------------------------------------- */

static uint32_t lane_class(const struct story *story, uint32_t node)
{
    return story->nodes[node].kind == STORY_CLIENT       ? 1
           : story->nodes[node].kind == STORY_CONTROLLER ? 2
                                                         : 0;
}

static void count_nodes(const struct story *story, uint64_t *weight)
{
    for (uint32_t i = 0; i < story->event_count; i++) {
        const struct story_event *event = &story->events[i];

        if (event->node < 0) continue;
        if (event->what == STORY_UP || event->what == STORY_DOWN) continue;
        weight[event->node] += 1;
    }
}

/* Replicas before clients and controllers; the busiest of each; at least one of each. */
static void choose_lanes(struct digest *digest, uint64_t wanted_nodes)
{
    static const uint32_t share[] = {5, 1, 1}; /* by class, while others want lanes too */
    const struct story *story = digest->story;
    uint64_t weight[STORY_NODES_MAX] = {0};
    uint64_t chosen = 0;
    uint32_t count = 0;
    uint32_t wanted = 0;

    count_nodes(story, weight);
    for (uint32_t i = 0; wanted_nodes != 0 && i < story->node_count; i++) {
        if ((wanted_nodes >> i & 1) == 0)
            weight[i] = 0;
        else
            weight[i]++;
    }
    for (uint32_t i = 0; i < story->node_count; i++)
        wanted += weight[i] > 0;
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t class = 0; class < 3; class ++) {
            uint32_t room = pass == 0 ? share[class] : DIGEST_LANES;

            while (room > 0 && count < DIGEST_LANES) {
                int32_t best = -1;

                for (uint32_t i = 0; i < story->node_count; i++) {
                    if (weight[i] == 0 || (chosen >> i & 1) != 0) continue;
                    if (lane_class(story, i) != class) continue;
                    if (best < 0 || weight[i] > weight[best]) best = (int32_t)i;
                }
                if (best < 0) break;
                chosen |= (uint64_t)1 << best;
                count++;
                room--;
            }
        }
    }
    for (uint32_t i = 0; i < story->node_count; i++) {
        if ((chosen >> i & 1) != 0) digest->lanes[digest->lane_count++] = (int16_t)i;
    }
    digest->lanes_hidden = wanted - count;
}

/* ---- which events ---------------------------------------------------------------------------- */

static bool drawable(const struct digest *digest, const struct state *before,
                     const struct story_event *event)
{
    const struct story *story = digest->story;

    if (event->node >= 0 && digest_lane(digest, event->node) < 0) return false;
    /* How the nodes are stopped when all is over tells nothing. */
    if (story->finished_ns > 0 && event->time_ns > story->finished_ns &&
        event->what != STORY_VIOLATION)
        return false;
    if ((event->what == STORY_DOWN || event->what == STORY_UP) && event->from != 0) return false;
    if (event->what == STORY_UP && event->extra <= 1) return false;
    switch ((enum story_what)event->what) {
    case STORY_DIVERGED: return false; /* the label of the arrow that tells it */
    case STORY_ISR: return before->leader_epoch < 0 && event->text != 0;
    case STORY_ROLE: {
        const struct state_replica *replica = &before->replicas[event->node];

        return !replica->known || (int64_t)replica->role != event->from ||
               replica->epoch != event->epoch;
    }
    case STORY_STEP: { /* the fault says it again */
        const struct story_event *next = event + 1;

        return next >= story->events + story->event_count || next->what != STORY_FAULT ||
               next->time_ns != event->time_ns;
    }
    case STORY_LOST: {
        const struct story_message *lost = &story->messages[event->cause];

        return digest_lane(digest, lost->from) >= 0 && digest_lane(digest, lost->to) >= 0;
    }
    case STORY_HW:
    case STORY_APPENDED:
    case STORY_TRUNCATED:
    case STORY_OPENED:
    case STORY_LOG_START:
    case STORY_DECISION:
    case STORY_ACTIVE:
    case STORY_RENOUNCED:
    case STORY_UP:
    case STORY_DOWN:
    case STORY_FAULT:
    case STORY_PHASE:
    case STORY_ACK:
    case STORY_FAILED:
    case STORY_VIOLATION: return true;
    }
    return false;
}

static void find_drawable(struct maker *maker)
{
    const struct story *story = maker->digest->story;
    struct state state;

    state_init(&state);
    for (uint32_t i = 0; i < story->event_count; i++) {
        const struct story_event *event = &story->events[i];

        if (event->what != STORY_VIOLATION &&
            (event->time_ns < maker->digest->from_ns || event->time_ns > maker->digest->to_ns)) {
            maker->digest->outside += drawable(maker->digest, &state, event);
        } else if (drawable(maker->digest, &state, event)) {
            maker->index[maker->count] = i;
            maker->rank[maker->count++] = (uint8_t)digest_rank(story, &state, event);
        }
        state_apply(&state, story, event);
    }
}

static bool has_time(const struct maker *maker, int64_t time_ns)
{
    for (uint32_t i = 0; i < maker->time_count; i++) {
        if (maker->times[i] == time_ns) return true;
    }
    return false;
}

static const struct story_message *shown_message(const struct digest *digest,
                                                 const struct story_event *event)
{
    const struct story_message *message;

    if (event->cause < 0) return NULL;
    message = &digest->story->messages[event->cause];
    if (digest_lane(digest, message->from) < 0 || digest_lane(digest, message->to) < 0) return NULL;
    return message;
}

/* With the ends of the message that brought it, if all its moments fit. */
static void include(struct maker *maker, uint32_t at)
{
    const struct story_event *event = &maker->digest->story->events[maker->index[at]];
    const struct story_message *message = shown_message(maker->digest, event);
    int64_t moments[3] = {event->time_ns, event->time_ns, event->time_ns};
    uint32_t more = 0;

    if (maker->taken[at]) return;
    if (message != NULL) {
        moments[1] = message->sent_ns;
        moments[2] = message->received_ns;
    }
    for (uint32_t i = 0; i < 3; i++)
        more += !has_time(maker, moments[i]);
    if (maker->time_count + more > maker->rows_max) return;
    maker->taken[at] = true;
    for (uint32_t i = 0; i < 3; i++) {
        if (!has_time(maker, moments[i])) maker->times[maker->time_count++] = moments[i];
    }
}

static void include_near(struct maker *maker, uint32_t key, uint32_t distance)
{
    const struct story *story = maker->digest->story;
    const struct story_event *event = &story->events[maker->index[key]];
    bool violation = event->what == STORY_VIOLATION;

    if (distance > NEAR && !violation) return;
    if (key >= distance) {
        const struct story_event *other = &story->events[maker->index[key - distance]];

        if (violation || event->time_ns - other->time_ns < near_ns) include(maker, key - distance);
    }
    if (key + distance < maker->count) {
        const struct story_event *other = &story->events[maker->index[key + distance]];

        if (other->time_ns - event->time_ns < near_ns) include(maker, key + distance);
    }
}

static void select_events(struct maker *maker)
{
    bool any = false;

    /* How it ends belongs to every story. */
    if (maker->count > 0 && maker->rank[maker->count - 1] < 6) maker->rank[maker->count - 1] = 6;
    for (uint32_t rank = 7; rank > 2; rank--) {
        for (uint32_t i = 0; i < maker->count; i++) {
            if (maker->rank[i] != rank) continue;
            /* Half of the rows for the keys: a moment without its surroundings says little. */
            if (!maker->keys && rank < 6 && maker->time_count > maker->rows_max / 2) break;
            include(maker, i);
            any = true;
        }
    }
    if (!any && maker->count > 0) {
        include(maker, 0);
        include(maker, maker->count - 1);
        maker->rank[0] = 3;
        maker->rank[maker->count - 1] = 3;
    }
    for (uint32_t distance = 1; distance <= NEAR_VIOLATION; distance++) {
        for (uint32_t i = 0; i < maker->count; i++) {
            if (maker->rank[i] > 2 && maker->taken[i]) include_near(maker, i, distance);
        }
    }
}

/* ---- rows ------------------------------------------------------------------------------------ */

static int time_order(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static int64_t median_step(const struct digest *digest)
{
    int64_t steps[DIGEST_ROWS_MAX];

    if (digest->row_count < 2) return 1000000;
    for (uint32_t i = 1; i < digest->row_count; i++)
        steps[i - 1] = digest->rows[i].pause_ns;
    qsort(steps, digest->row_count - 1, sizeof steps[0], time_order); /* equal ones are equal */
    return steps[(digest->row_count - 1) / 2] > 1000 ? steps[(digest->row_count - 1) / 2] : 1000;
}

static void make_rows(struct maker *maker)
{
    struct digest *digest = maker->digest;
    const struct story *story = digest->story;
    uint32_t at = 0;
    uint32_t received = 0;
    uint32_t row = 0;

    qsort(maker->times, maker->time_count, sizeof maker->times[0], time_order); /* all differ */
    for (uint32_t i = 0; i < maker->time_count; i++) {
        digest->rows[i] = (struct digest_row){.time_ns = maker->times[i]};
        if (i > 0) digest->rows[i].pause_ns = maker->times[i] - maker->times[i - 1];
    }
    digest->row_count = maker->time_count;
    digest->step_ns = median_step(digest);
    for (uint32_t i = 0; i < maker->count; i++) {
        const struct story_event *event = &story->events[maker->index[i]];

        while (row + 1 < digest->row_count && digest->rows[row].time_ns < event->time_ns)
            row++;
        if (maker->taken[i]) {
            digest->shown[digest->shown_count++] = maker->index[i];
        } else {
            if (event->time_ns > digest->rows[row].time_ns)
                digest->hidden_after++;
            else
                digest->rows[row].hidden_events++;
            digest->hidden_events++;
            digest->hidden_keys += maker->rank[i] > 3;
        }
    }
    for (uint32_t i = 0; i < digest->row_count; i++) {
        struct digest_row *r = &digest->rows[i];
        int64_t pause = 20 * digest->step_ns > 200000000 ? 20 * digest->step_ns : 200000000;

        while (at < story->event_count && story->events[at].time_ns < r->time_ns)
            at++;
        if (at < story->event_count) {
            r->hidden_messages = story->events[at].received - received;
            received = story->events[at].received;
        }
        r->cut = i > 0 && (r->pause_ns > pause || r->hidden_events > 0);
    }
}

static void note_epoch(struct digest *digest, int32_t epoch)
{
    if (epoch < 0 || epoch_number(digest, epoch) >= 0) return;
    if (digest->epoch_count < DIGEST_EPOCHS) digest->epochs[digest->epoch_count++] = epoch;
}

/* In the order in which the page shows them: those of the log's last records first. */
static void number_epochs(struct digest *digest)
{
    const struct story *story = digest->story;

    for (uint32_t i = 0; i < story->node_count; i++) {
        const struct state_replica *replica = &digest->start.replicas[i];

        for (uint32_t r = replica->run_count > 2 ? replica->run_count - 2 : 0;
             r < replica->run_count; r++)
            note_epoch(digest, replica->runs[r].epoch);
        note_epoch(digest, replica->epoch);
    }
    for (uint32_t i = 0; i < digest->shown_count; i++) {
        const struct story_event *event = &story->events[digest->shown[i]];

        if (event->what == STORY_ROLE || event->what == STORY_APPENDED)
            note_epoch(digest, event->epoch);
    }
}

void digest_make(struct digest *digest, const struct story *story, uint32_t rows_max)
{
    digest_make_wish(digest, story, rows_max, (struct digest_wish){.nodes = 0});
}

void digest_make_wish(struct digest *digest, const struct story *story, uint32_t rows_max,
                      struct digest_wish wish)
{
    struct maker *maker = calloc(1, sizeof *maker);
    uint32_t room = story->event_count + 1;

    ASSERT(maker != NULL && rows_max <= DIGEST_ROWS_MAX);
    *digest = (struct digest){.story = story,
                              .parts = 1,
                              .from_ns = story->start_ns,
                              .to_ns = story->finished_ns > 0 ? story->finished_ns : story->end_ns};
    if (wish.has_window) {
        digest->from_ns = wish.from_ns;
        digest->to_ns = wish.to_ns;
    }
    *maker = (struct maker){.digest = digest, .rows_max = rows_max, .keys = wish.keys};
    maker->index = calloc(room, sizeof maker->index[0]);
    maker->rank = calloc(room, sizeof maker->rank[0]);
    maker->taken = calloc(room, sizeof maker->taken[0]);
    digest->shown = calloc(room, sizeof digest->shown[0]);
    ASSERT(maker->index != NULL && maker->rank != NULL && maker->taken != NULL &&
           digest->shown != NULL);
    choose_lanes(digest, wish.nodes);
    find_drawable(maker);
    for (uint32_t i = 0; i < maker->count && maker->count <= 2 * DIGEST_ROWS_MAX; i++)
        include(maker, i); /* a short run is shown whole */
    for (uint32_t i = 0; i < maker->count; i++) {
        if (maker->taken[i]) continue;
        maker->time_count = 0;
        memset(maker->taken, 0, room * sizeof maker->taken[0]);
        select_events(maker);
        break;
    }
    make_rows(maker);
    state_init(&digest->start);
    for (uint32_t i = 0; digest->shown_count > 0 && i < digest->shown[0]; i++)
        state_apply(&digest->start, story, &story->events[i]);
    number_epochs(digest);
    free(maker->index);
    free(maker->rank);
    free(maker->taken);
    free(maker);
}

void digest_cut(struct digest *part, const struct digest *whole, uint32_t first, uint32_t count)
{
    const struct story *story = whole->story;
    int64_t begin_ns = whole->rows[first].time_ns;
    int64_t end_ns = whole->rows[first + count - 1].time_ns;

    *part = *whole;
    part->shown = calloc(whole->shown_count + 1, sizeof part->shown[0]);
    ASSERT(part->shown != NULL);
    part->shown_count = 0;
    for (uint32_t i = 0; i < whole->shown_count; i++) {
        int64_t time_ns = story->events[whole->shown[i]].time_ns;

        if (time_ns >= begin_ns && time_ns <= end_ns)
            part->shown[part->shown_count++] = whole->shown[i];
    }
    memmove(part->rows, whole->rows + first, count * sizeof part->rows[0]);
    part->row_count = count;
    if (first + count < whole->row_count) part->hidden_after = 0;
    state_init(&part->start);
    for (uint32_t i = 0; part->shown_count > 0 && i < part->shown[0]; i++)
        state_apply(&part->start, story, &story->events[i]);
}

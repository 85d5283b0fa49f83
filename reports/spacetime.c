/* The space-time figure (reports.md 4). Rows are the digest's moments; their distance grows with
 * the logarithm's poor cousin: 9 to 24 points, as the pause is to the median pause; a long pause or
 * one in which something was left out becomes a band that says so. Time only grows downwards, so an
 * arrow that points upwards would be a bug in the trace. */
#include "reports/figures.h"
#include "reports/words.h"

#include "client/base/assert.h"

#include <stdlib.h>
#include <string.h>

enum {
    TIME_X = 600,
    FIRST_LANE = 1350,
    LANE_STEP = 1580,
    STORY_GAP = 900,
    STORY_WIDTH = 2700,
    TOP = 930, /* first row */
    ROW_MIN = 110,
    ROW_MAX = 240,
    BAND = 580,
    RIBBON = 160, /* of a leader */
    THREAD = 60,  /* of a follower */
    CHIP_FONT = 80,
    LABEL_FONT = 80,
    TIME_APART = 190,
    SENTENCE = 125, /* a line of the story column, about */
};

struct drawing {
    struct scene *scene;
    const struct digest *digest;
    int32_t y[DIGEST_ROWS_MAX];
    int32_t bottom;
    int32_t story_x;
    int32_t told_to; /* lower edge of the story column so far */
    /* of each lane: where its present ribbon began */
    int32_t since[DIGEST_LANES];
};

static int32_t lane_x(int32_t lane)
{
    return FIRST_LANE + lane * LANE_STEP;
}

static enum story_node_kind lane_kind(const struct drawing *d, uint32_t lane)
{
    return d->digest->story->nodes[d->digest->lanes[lane]].kind;
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* How many sentences the story column has for each row: they need their room. */
static void count_sentences(const struct digest *digest, uint32_t *sentences)
{
    const struct story *story = digest->story;
    struct state *state = malloc(sizeof *state);
    uint32_t next = digest->shown_count > 0 ? digest->shown[0] : 0;

    ASSERT(state != NULL);
    *state = digest->start;
    for (uint32_t i = 0; i < digest->shown_count; i++) {
        const struct story_event *event = &story->events[digest->shown[i]];
        int32_t row = digest_row(digest, event->time_ns);

        while (next < digest->shown[i])
            state_apply(state, story, &story->events[next++]);
        if (row >= 0 && words_turns(state, event))
            sentences[row] += event->what == STORY_VIOLATION ? 4 : 1;
    }
    free(state);
}

static void place_rows(struct drawing *d)
{
    const struct digest *digest = d->digest;
    uint32_t sentences[DIGEST_ROWS_MAX] = {0};
    int32_t y = TOP;
    int32_t told = TOP - 200;

    count_sentences(digest, sentences);
    for (uint32_t i = 0; i < digest->row_count; i++) {
        const struct digest_row *row = &digest->rows[i];
        int64_t step = row->pause_ns * 150 / (digest->step_ns > 0 ? digest->step_ns : 1);

        if (row->pause_ns > digest->step_ns * 4) step = ROW_MAX;
        if (step < ROW_MIN) step = ROW_MIN;
        if (step > ROW_MAX) step = ROW_MAX;
        if (i > 0) y += row->cut ? BAND + ROW_MIN : (int32_t)step;
        /* The band of a cut lies below what was told, with room to spare. */
        if (row->cut && y - (BAND + ROW_MIN) / 2 - 200 < told)
            y = told + (BAND + ROW_MIN) / 2 + 200;
        if (sentences[i] > 0 && y < told - 60) y = told - 60;
        d->y[i] = y;
        if (sentences[i] > 0) told = (y > told ? y : told) + (int32_t)sentences[i] * SENTENCE;
    }
    d->bottom = y + 260;
}

/* Height of any moment: that of its row, or between two. */
static int32_t height(const struct drawing *d, int64_t time_ns)
{
    const struct digest *digest = d->digest;

    for (uint32_t i = 0; i < digest->row_count; i++) {
        if (digest->rows[i].time_ns == time_ns) return d->y[i];
        if (digest->rows[i].time_ns > time_ns)
            return i == 0 ? TOP - 60 : (d->y[i - 1] + d->y[i]) / 2;
    }
    return d->bottom;
}

static void draw_times(struct drawing *d)
{
    const struct digest *digest = d->digest;
    int32_t last = -TIME_APART;
    int64_t last_ms = -1;

    for (uint32_t i = 0; i < digest->row_count; i++) {
        struct out text = {.data = NULL};

        if (d->y[i] - last < TIME_APART || digest->rows[i].time_ns / 1000000 == last_ms) continue;
        last = d->y[i];
        last_ms = digest->rows[i].time_ns / 1000000;
        out_seconds(&text, digest->rows[i].time_ns);
        scene_text(d->scene, TIME_X, d->y[i], SCENE_RIGHT, 85, THEME_MUTED, text.data);
        scene_line(d->scene, SCENE_BANDS,
                   (struct scene_box){TIME_X + 30, d->y[i], TIME_X + 80, d->y[i]}, THEME_RULE, 8,
                   SCENE_SOLID, "tick");
        out_free(&text);
    }
}

static void draw_cut(struct drawing *d, uint32_t row)
{
    const struct digest_row *r = &d->digest->rows[row];
    int32_t middle = d->y[row] - (BAND + ROW_MIN) / 2;
    struct out text = {.data = NULL};
    struct scene_item *item;

    out_duration(&text, r->pause_ns);
    if (r->hidden_events > 0) {
        out_format(&text, ", %u change%s left out", r->hidden_events,
                   r->hidden_events == 1 ? "" : "s");
    } else {
        out_cstr(&text, " without a change");
    }
    if (r->hidden_messages > 1) out_format(&text, ", %u messages", r->hidden_messages);
    scene_rect(d->scene, SCENE_BANDS,
               (struct scene_box){TIME_X + 60, middle - 150, d->scene->width - 200, middle + 150},
               THEME_SOFT, THEME_NONE, "gap", text.data);
    for (uint32_t i = 0; i < d->digest->lane_count; i++) {
        int32_t x = lane_x((int32_t)i);

        for (int32_t k = -1; k <= 1; k += 2) {
            scene_line(
                d->scene, SCENE_CUTS,
                (struct scene_box){x - 110, middle + 30 * k + 30, x + 110, middle + 30 * k - 30},
                THEME_PAPER, 30, SCENE_SOLID, "gapcut");
        }
        scene_take(d->scene, (struct scene_box){x - 110, middle - 60, x + 110, middle + 60});
    }
    item = scene_text(d->scene, d->scene->width - 260, middle, SCENE_RIGHT, 85, THEME_MUTED,
                      text.data);
    item->italic = true;
    scene_take(d->scene, item->box);
    out_free(&text);
}

/* ---- lanes ----------------------------------------------------------------------------------- */

/* The stretch of a lane from `since` to y, as it was. */
static void draw_stretch(struct drawing *d, const struct state *state, uint32_t lane, int32_t y)
{
    int32_t node = d->digest->lanes[lane];
    const struct state_replica *replica = &state->replicas[node];
    const struct story *story = d->digest->story;
    int32_t x = lane_x((int32_t)lane);
    int32_t since = d->since[lane];
    bool leads = replica->role == STORY_ROLE_LEADER;
    int32_t half = leads ? RIBBON / 2 : THREAD / 2;
    struct scene_item item = {.shape = SCENE_RECT,
                              .layer = SCENE_LANES,
                              .fill = THEME_EMPTY,
                              .stroke = THEME_DOWN,
                              .ink = THEME_INK,
                              .pen = 9};
    struct out tip = {.data = NULL};

    if (y <= since) return;
    out_cstr(&tip, story_node_name(story, node));
    if (!replica->up) {
        scene_line(d->scene, SCENE_LANES, (struct scene_box){x, since, x, y}, THEME_DOWN, 11,
                   SCENE_DOTTED, "lane down");
        scene_take(d->scene, (struct scene_box){x - 20, since, x + 20, y});
        out_free(&tip);
        return;
    }
    item.class = leads ? "lane leader" : "lane follower";
    if (replica->known && replica->epoch >= 0) {
        item.fill = digest_tint(d->digest, replica->epoch);
        item.stroke = digest_ink(d->digest, replica->epoch);
        out_format(&tip, leads ? ": leads epoch %d" : ": epoch %d", (int)replica->epoch);
    }
    if (replica->role == STORY_ROLE_CANDIDATE || replica->role == STORY_ROLE_RESIGNED ||
        replica->role == STORY_ROLE_OFFLINE)
        item.dash = SCENE_DASHED;
    if (!replica->known && lane_kind(d, lane) == STORY_CLIENT) {
        half = 15;
        item.fill = THEME_CLIENT_LANE;
        item.stroke = THEME_NONE;
        item.class = "lane client";
    } else if (!replica->known && (lane_kind(d, lane) & STORY_CONTROLLER) != 0) {
        half = state->active == node ? THREAD / 2 + 15 : 15;
        item.fill = THEME_CONTROLLER_LANE;
        item.stroke = state->active == node ? THEME_CONTROLLER : THEME_NONE;
        item.class = "lane controller";
    } else if (!replica->known) {
        half = 15;
        item.stroke = THEME_NONE;
    }
    if (item.stroke == THEME_NONE) item.pen = 0;
    item.box = (struct scene_box){x - half, since, x + half, y};
    scene_add(d->scene, item, NULL, tip.data);
    scene_take(d->scene, (struct scene_box){x - half - 10, since, x + half + 10, y});
    if (leads && replica->epoch >= 0 && y - since > 130) {
        struct out tag = {.data = NULL};
        struct scene_item *text;

        out_format(&tag, "e%d", (int)replica->epoch);
        text = scene_text(d->scene, x, since + 70, SCENE_MIDDLE,
                          scene_text_width(tag.data, 80, true) > RIBBON - 20 ? 60 : 80, item.stroke,
                          tag.data);
        text->bold = true;
        out_free(&tag);
    }
    out_free(&tip);
}

static bool same_ribbon(const struct state *a, const struct state *b, int32_t node)
{
    const struct state_replica *x = &a->replicas[node];
    const struct state_replica *y = &b->replicas[node];

    return x->up == y->up && x->known == y->known && x->role == y->role && x->epoch == y->epoch &&
           (y->known || (a->active == node) == (b->active == node));
}

static void draw_lanes(struct drawing *d)
{
    const struct digest *digest = d->digest;
    const struct story *story = digest->story;
    struct state *state = malloc(sizeof *state);
    struct state *next = malloc(sizeof *next);

    ASSERT(state != NULL && next != NULL);
    *state = digest->start;
    *next = digest->start;
    for (uint32_t i = 0; i < digest->lane_count; i++)
        d->since[i] = TOP - 60;
    for (uint32_t i = digest->shown_count > 0 ? digest->shown[0] : 0; i < story->event_count; i++) {
        int32_t lane = digest_lane(digest, story->events[i].node);

        state_apply(next, story, &story->events[i]);
        for (uint32_t l = 0; l < digest->lane_count; l++) {
            int32_t node = digest->lanes[l];
            int32_t y;

            if ((int32_t)l != lane && state->active == next->active) continue;
            if (same_ribbon(state, next, node)) continue;
            y = height(d, story->events[i].time_ns);
            draw_stretch(d, state, l, y);
            d->since[l] = y;
        }
        if (lane >= 0)
            state->replicas[story->events[i].node] = next->replicas[story->events[i].node];
        state->active = next->active;
    }
    for (uint32_t l = 0; l < digest->lane_count; l++)
        draw_stretch(d, state, l, d->bottom);
    free(state);
    free(next);
}

static void draw_heads(struct drawing *d)
{
    for (uint32_t i = 0; i < d->digest->lane_count; i++) {
        char name[24];
        struct scene_item *item;

        out_copy(name, sizeof name, str_of(story_node_name(d->digest->story, d->digest->lanes[i])));
        item = scene_text(d->scene, lane_x((int32_t)i), 680, SCENE_MIDDLE, 105, THEME_INK, name);
        item->bold = true;
    }
}

/* ---- chips ----------------------------------------------------------------------------------- */

/* Beside the lane at (x, y): right or left of it, a little up or down, where there is room. */
static void draw_chip(struct drawing *d, int32_t lane, int32_t y, struct scene_item item,
                      const char *text, const char *tooltip)
{
    static const int32_t shifts[] = {0, 40, -40, 70, -70, 100, -100, 130, -130, 170, 210, 250};
    int32_t width = scene_text_width(text, CHIP_FONT, false) * 115 / 100 + 60;
    int32_t x = lane_x(lane);

    for (uint32_t i = 0; i < 2 * COUNT_OF(shifts); i++) {
        int32_t at = y + shifts[i / 2];
        int32_t left = i % 2 == 0 ? x + RIBBON / 2 + 25 : x - RIBBON / 2 - 25 - width;
        struct scene_box box = {left, at - 65, left + width, at + 65};

        if (!scene_clear(d->scene, box)) continue;
        scene_take(d->scene, box);
        item.shape = SCENE_ROUND;
        item.layer = SCENE_CHIPS;
        item.box = box;
        item.fill = THEME_PAPER;
        item.pen = 7;
        item.font = CHIP_FONT;
        item.label = true;
        scene_add(d->scene, item, text, tooltip);
        return;
    }
    d->scene->dropped++;
    /* The mark stays, without words. */
    item.shape = SCENE_RECT;
    item.layer = SCENE_CHIPS;
    item.box = (struct scene_box){x + RIBBON / 2, y - 8, x + RIBBON / 2 + 30, y + 8};
    item.fill = item.stroke;
    item.stroke = THEME_NONE;
    scene_add(d->scene, item, NULL, tooltip);
}

void figures_state_label(struct out *out, const struct state_replica *replica)
{
    out_format(out, "LEO %lld \xc2\xb7 HW %lld", (long long)replica->log_end,
               (long long)replica->high_watermark);
}

static void draw_start_chips(struct drawing *d)
{
    for (uint32_t i = 0; i < d->digest->lane_count; i++) {
        const struct state_replica *replica = &d->digest->start.replicas[d->digest->lanes[i]];
        struct out text = {.data = NULL};

        if (!replica->known || !replica->up) continue;
        figures_state_label(&text, replica);
        draw_chip(d, (int32_t)i, TOP - 40,
                  (struct scene_item){.stroke = THEME_DOWN, .ink = THEME_INK, .class = "chip"},
                  text.data, "where the figure begins");
        out_free(&text);
    }
}

static bool is_log_change(const struct story_event *event)
{
    return event->what == STORY_HW || event->what == STORY_APPENDED ||
           event->what == STORY_TRUNCATED || event->what == STORY_OPENED ||
           event->what == STORY_LOG_START;
}

/* What changed in one log at one moment, in one chip. */
static void draw_log_chip(struct drawing *d, const struct state *before, uint32_t at)
{
    const struct digest *digest = d->digest;
    const struct story *story = digest->story;
    const struct story_event *first = &story->events[digest->shown[at]];
    struct state *state = malloc(sizeof *state);
    struct out tip = {.data = NULL};
    struct out text = {.data = NULL};
    const struct state_replica *now;
    uint32_t marks = 0;
    bool end = false, hw = false, start = false, red = false, opened = false;

    ASSERT(state != NULL);
    *state = *before;
    for (uint32_t i = at; i < digest->shown_count; i++) {
        const struct story_event *event = &story->events[digest->shown[i]];

        if (event->time_ns != first->time_ns) break;
        if (event->node != first->node || !is_log_change(event)) continue;
        if (marks++ > 0) out_cstr(&tip, "; ");
        words_event(&tip, story, state, event);
        red = red || words_loses(state, event);
        opened = opened || event->what == STORY_OPENED;
        end = end || event->what == STORY_APPENDED || event->what == STORY_TRUNCATED;
        hw = hw || event->what == STORY_HW;
        start = start || event->what == STORY_LOG_START;
        state_apply(state, story, event);
    }
    now = &state->replicas[first->node];
    if ((end && hw) || opened)
        figures_state_label(&text, now);
    else if (end)
        out_format(&text, "LEO %lld", (long long)now->log_end);
    else if (hw)
        out_format(&text, "HW %lld", (long long)now->high_watermark);
    else if (start)
        out_format(&text, "start %lld", (long long)now->log_start);
    draw_chip(d, digest_lane(digest, first->node), height(d, first->time_ns),
              (struct scene_item){.stroke = red ? THEME_RED : THEME_DOWN,
                                  .ink = red ? THEME_RED : THEME_INK,
                                  .event = first->number,
                                  .marks = marks,
                                  .class = "chip"},
              text.data, tip.data);
    out_free(&text);
    out_free(&tip);
    free(state);
}

static bool first_of_its_chip(const struct digest *digest, uint32_t at)
{
    const struct story_event *event = &digest->story->events[digest->shown[at]];

    for (uint32_t i = at; i-- > 0;) {
        const struct story_event *other = &digest->story->events[digest->shown[i]];

        if (other->time_ns != event->time_ns) return true;
        if (other->node == event->node && is_log_change(other)) return false;
    }
    return true;
}

/* ---- everything else ------------------------------------------------------------------------- */

static void draw_cross(struct drawing *d, int32_t x, int32_t y, int32_t size,
                       const struct story_event *event)
{
    struct scene_item item = {.shape = SCENE_LINE,
                              .layer = SCENE_FAULTS,
                              .box = {x - size, y - size, x + size, y + size},
                              .fill = THEME_NONE,
                              .stroke = THEME_RED,
                              .ink = THEME_INK,
                              .pen = 22,
                              .class = "fault"};

    item.event = event->number;
    item.marks = 1;
    scene_add(d->scene, item, NULL, NULL);
    item.box = (struct scene_box){x - size, y + size, x + size, y - size};
    item.event = 0;
    item.marks = 0;
    scene_add(d->scene, item, NULL, NULL);
    scene_take(d->scene, (struct scene_box){x - size, y - size, x + size, y + size});
}

static enum theme flow_colour(uint8_t flow)
{
    static const enum theme colours[] = {THEME_RECORDS, THEME_FETCH, THEME_CLIENT,
                                         THEME_CONTROLLER};

    return colours[flow];
}

static void message_ends(const struct drawing *d, const struct story_message *message,
                         struct scene_box *line)
{
    int32_t from = lane_x(digest_lane(d->digest, message->from));
    int32_t to = lane_x(digest_lane(d->digest, message->to));
    int32_t side = from < to ? 1 : -1;

    *line = (struct scene_box){from + side * 40, height(d, message->sent_ns), to - side * 85,
                               height(d, message->received_ns)};
}

/* On the arrow, in the gap nearest to the receiver, where arrows of one sender have parted. */
static void draw_message_label(struct drawing *d, const struct story_message *message,
                               struct scene_box line)
{
    static const int32_t parts[] = {50, 42, 58, 34, 66, 28, 72, 22, 78};
    static const int32_t shifts[] = {0, 40, -40, 70, -70, 100, -100};
    int32_t width = scene_text_width(message->label, LABEL_FONT, false) * 110 / 100 + 20;
    int32_t dx = line.x1 - line.x0;
    int32_t gap = LANE_STEP - 160;
    int32_t begin = abs(dx) > gap ? line.x1 - (dx > 0 ? gap : -gap) : line.x0;

    if (message->label[0] == '\0') return;
    for (uint32_t s = 0; s < COUNT_OF(shifts); s++) {
        for (uint32_t p = 0; p < COUNT_OF(parts); p++) {
            int32_t x = begin + (line.x1 - begin) * parts[p] / 100;
            int32_t y = line.y0 + (int32_t)((int64_t)(line.y1 - line.y0) * (x - line.x0) /
                                            (dx != 0 ? dx : 1));
            struct scene_box box = {x - width / 2, y + shifts[s] - 50, x + width / 2,
                                    y + shifts[s] + 50};

            if (!scene_clear(d->scene, box)) continue;
            scene_take(d->scene, box);
            scene_add(d->scene,
                      (struct scene_item){.shape = SCENE_RECT,
                                          .layer = SCENE_LABELS,
                                          .box = box,
                                          .fill = THEME_PAPER,
                                          .stroke = THEME_NONE,
                                          .ink = flow_colour(message->flow),
                                          .font = LABEL_FONT,
                                          .label = true,
                                          .class = "message"},
                      message->label, NULL);
            return;
        }
    }
    d->scene->dropped++;
}

static void draw_arrow(struct drawing *d, const struct story_message *message)
{
    static const int32_t pens[] = {15, 10, 15, 10};
    struct scene_box line;
    struct out tip = {.data = NULL};
    struct scene_item item = {.shape = SCENE_ARROW,
                              .layer = SCENE_ARROWS,
                              .fill = THEME_NONE,
                              .ink = THEME_INK,
                              .class = "arrow"};

    message_ends(d, message, &line);
    item.box = line;
    item.pen = pens[message->flow];
    item.stroke = flow_colour(message->flow);
    out_format(&tip, "%s %s, %s to %s: %s", story_api(message->api),
               message->answer ? "answer" : "request",
               story_node_name(d->digest->story, message->from),
               story_node_name(d->digest->story, message->to), message->label);
    if (message->lost) { /* ends in a cross on the way */
        item.shape = SCENE_LINE;
        item.stroke = THEME_RED;
        item.dash = SCENE_DASHED;
        item.box.x1 = line.x0 + (line.x1 - line.x0) * 62 / 100;
        item.box.y1 = line.y0 + (line.y1 - line.y0) * 62 / 100;
    }
    scene_add(d->scene, item, NULL, tip.data);
    out_free(&tip);
}

/* Each message once, however much it brought; the heads first, so that no label covers one. */
static void draw_messages(struct drawing *d, bool labels)
{
    const struct digest *digest = d->digest;

    for (uint32_t i = 0; i < digest->shown_count; i++) {
        const struct story_event *event = &digest->story->events[digest->shown[i]];
        const struct story_message *message;
        struct scene_box line;
        bool drawn = false;

        if (event->cause < 0) continue;
        message = &digest->story->messages[event->cause];
        if (digest_lane(digest, message->from) < 0 || digest_lane(digest, message->to) < 0)
            continue;
        if (digest_row(digest, message->sent_ns) < 0) continue;
        for (uint32_t k = 0; k < i && !drawn; k++)
            drawn = digest->story->events[digest->shown[k]].cause == event->cause;
        if (drawn) continue;
        message_ends(d, message, &line);
        if (labels) {
            draw_message_label(d, message, line);
            continue;
        }
        draw_arrow(d, message);
        scene_take(d->scene,
                   (struct scene_box){(line.x0 < line.x1 ? line.x1 - 130 : line.x1), line.y1 - 35,
                                      (line.x0 < line.x1 ? line.x1 : line.x1 + 130), line.y1 + 35});
    }
}

static void draw_fault(struct drawing *d, const struct story_event *event)
{
    int32_t y = height(d, event->time_ns);
    struct scene_item item = {.shape = SCENE_LINE,
                              .layer = SCENE_BANDS,
                              .box = {TIME_X + 60, y, d->story_x - 100, y},
                              .fill = THEME_NONE,
                              .stroke = event->to != 0 ? THEME_RED : THEME_DOWN,
                              .ink = THEME_INK,
                              .pen = 7,
                              .dash = SCENE_DASHED,
                              .event = event->number,
                              .marks = 1,
                              .class = "fault"};

    scene_add(d->scene, item, NULL, story_text(d->digest->story, event));
}

static void draw_violation(struct drawing *d, const struct story_event *event)
{
    int32_t y = height(d, event->time_ns);
    const char *text = story_text(d->digest->story, event);
    int32_t lines = scene_text_width(text, 90, true) / (STORY_WIDTH - 100) + 1;
    int32_t told = y > d->told_to + 60 ? y : d->told_to + 60; /* where its sentence begins */
    int32_t bottom = told + (lines < 5 ? lines : 5) * SENTENCE;

    scene_add(d->scene,
              (struct scene_item){.shape = SCENE_RECT,
                                  .layer = SCENE_BANDS,
                                  .box = {TIME_X + 60, y - 110, d->scene->width - 200, bottom},
                                  .fill = THEME_RED_PALE,
                                  .stroke = THEME_NONE,
                                  .ink = THEME_INK,
                                  .event = event->number,
                                  .marks = 1,
                                  .class = "violation"},
              NULL, story_text(d->digest->story, event));
    if (digest_lane(d->digest, event->node) >= 0) {
        struct scene_item ring = {.stroke = THEME_RED, .ink = THEME_RED, .class = "violation"};

        draw_chip(d, digest_lane(d->digest, event->node), y, ring, "\xe2\x9c\x97 here", NULL);
    }
}

static void draw_role(struct drawing *d, const struct story_event *event)
{
    int32_t x = lane_x(digest_lane(d->digest, event->node));
    int32_t y = height(d, event->time_ns);
    struct scene_item item = {.shape = SCENE_LINE,
                              .layer = SCENE_LANES,
                              .box = {x - 80, y, x + 80, y},
                              .fill = THEME_NONE,
                              .stroke = digest_ink(d->digest, event->epoch),
                              .ink = THEME_INK,
                              .pen = 14,
                              .event = event->number,
                              .marks = 1,
                              .class = "turn"};

    scene_add(d->scene, item, NULL, NULL);
}

static void draw_dot(struct drawing *d, const struct story_event *event, enum theme colour)
{
    int32_t lane = digest_lane(d->digest, event->node);
    int32_t x = lane >= 0 ? lane_x(lane) : TIME_X + 60;
    int32_t y = height(d, event->time_ns);

    scene_add(d->scene,
              (struct scene_item){.shape = SCENE_ROUND,
                                  .layer = SCENE_FAULTS,
                                  .box = {x - 25, y - 25, x + 25, y + 25},
                                  .fill = colour,
                                  .stroke = THEME_PAPER,
                                  .ink = THEME_INK,
                                  .pen = 6,
                                  .event = event->number,
                                  .marks = 1,
                                  .class = "moment"},
              NULL, NULL);
}

static void draw_decision(struct drawing *d, const struct story_event *event)
{
    const struct story *story = d->digest->story;
    struct out text = {.data = NULL};

    out_cstr(&text, "ISR ");
    words_ids(&text, story,
              event->what == STORY_DECISION ? story_ids(story, story_text(story, event), "isr ")
                                            : story_ids(story, story_text(story, event), NULL));
    draw_chip(d, digest_lane(d->digest, event->node), height(d, event->time_ns),
              (struct scene_item){.stroke = THEME_CONTROLLER,
                                  .ink = THEME_CONTROLLER,
                                  .event = event->number,
                                  .marks = 1,
                                  .class = "chip"},
              text.data, story_text(story, event));
    out_free(&text);
}

static void draw_event(struct drawing *d, const struct state *before, uint32_t at)
{
    const struct story_event *event = &d->digest->story->events[d->digest->shown[at]];

    switch ((enum story_what)event->what) {
    case STORY_HW:
    case STORY_APPENDED:
    case STORY_TRUNCATED:
    case STORY_OPENED:
    case STORY_LOG_START:
        if (first_of_its_chip(d->digest, at)) draw_log_chip(d, before, at);
        break;
    case STORY_ROLE: draw_role(d, event); break;
    case STORY_ISR:
    case STORY_DECISION: draw_decision(d, event); break;
    case STORY_DOWN:
        draw_cross(d, lane_x(digest_lane(d->digest, event->node)), height(d, event->time_ns), 60,
                   event);
        break;
    case STORY_FAULT: draw_fault(d, event); break;
    case STORY_VIOLATION: draw_violation(d, event); break;
    case STORY_LOST: {
        struct scene_box line;

        message_ends(d, &d->digest->story->messages[event->cause], &line);
        draw_cross(d, line.x0 + (line.x1 - line.x0) * 62 / 100,
                   line.y0 + (line.y1 - line.y0) * 62 / 100, 40, event);
        break;
    }
    case STORY_ACK: draw_dot(d, event, THEME_CLIENT); break;
    case STORY_FAILED: draw_dot(d, event, THEME_RED); break;
    case STORY_ACTIVE:
    case STORY_RENOUNCED: draw_dot(d, event, THEME_CONTROLLER); break;
    case STORY_DIVERGED:
    case STORY_UP:
    case STORY_STEP:
    case STORY_PHASE: draw_dot(d, event, THEME_MUTED); break;
    }
}

/* ---- the story column ------------------------------------------------------------------------ */

static void draw_sentence(struct drawing *d, const struct state *before,
                          const struct story_event *event)
{
    int32_t y = height(d, event->time_ns);
    int32_t at = y > d->told_to + 60 ? y : d->told_to + 60;
    bool red = words_red(before, event);
    bool bold = event->what == STORY_VIOLATION;
    struct out text = {.data = NULL};
    uint32_t lines;

    words_event(&text, d->digest->story, before, event);
    if (text.length > 0) {
        scene_line(d->scene, SCENE_BANDS,
                   (struct scene_box){d->story_x - 90, y, d->story_x - 30, at},
                   red ? THEME_RED : THEME_RULE, 8, SCENE_SOLID, "lead");
        lines = scene_paragraph(
            d->scene,
            (struct scene_item){
                .font = 90, .ink = red ? THEME_RED : THEME_INK, .bold = bold, .class = "story"},
            d->story_x, at, STORY_WIDTH, bold ? 5 : 2, text.data);
        d->told_to = at + (int32_t)(lines - 1) * 112 + 60;
    }
    out_free(&text);
}

static void draw_legend(struct drawing *d)
{
    static const struct {
        const char *text;
        enum theme colour;
        enum scene_dash dash;
        int32_t pen;
    } arrows[] = {{"records, HW", THEME_RECORDS, SCENE_SOLID, 15},
                  {"fetch", THEME_FETCH, SCENE_SOLID, 10},
                  {"client", THEME_CLIENT, SCENE_SOLID, 15},
                  {"control", THEME_CONTROLLER, SCENE_SOLID, 10},
                  {"lost", THEME_RED, SCENE_DASHED, 10},
                  {"down", THEME_DOWN, SCENE_DOTTED, 11}};
    int32_t y = d->scene->height - 180;
    int32_t x = 300;

    scene_line(d->scene, SCENE_BANDS,
               (struct scene_box){250, y - 160, d->scene->width - 200, y - 160}, THEME_RULE, 8,
               SCENE_SOLID, "rule");
    scene_rect(d->scene, SCENE_LANES, (struct scene_box){x, y - 60, x + RIBBON, y + 60},
               theme_epoch(0), theme_epoch_ink(0), "legend", NULL);
    scene_text(d->scene, x + 220, y, SCENE_LEFT, 80, THEME_MUTED, "leads (colour: leader epoch)");
    x += 1550;
    scene_rect(d->scene, SCENE_LANES, (struct scene_box){x, y - 60, x + THREAD, y + 60},
               theme_epoch(0), theme_epoch_ink(0), "legend", NULL);
    scene_text(d->scene, x + 120, y, SCENE_LEFT, 80, THEME_MUTED, "follows");
    x += 600;
    for (uint32_t i = 0; i < COUNT_OF(arrows); i++) {
        scene_line(d->scene, SCENE_LANES, (struct scene_box){x, y, x + 240, y}, arrows[i].colour,
                   arrows[i].pen, arrows[i].dash, "legend");
        scene_text(d->scene, x + 290, y, SCENE_LEFT, 80, THEME_MUTED, arrows[i].text);
        x += 460 + scene_text_width(arrows[i].text, 80, false);
    }
}

static void draw_title(struct drawing *d)
{
    const struct digest *digest = d->digest;
    const struct story *story = digest->story;
    struct scene *scene = d->scene;
    struct out text = {.data = NULL};
    struct scene_item *item;

    out_copy(scene->title, sizeof scene->title,
             story->violation >= 0 ? STR("What went wrong, moment by moment")
                                   : STR("What happened, moment by moment"));
    out_format(&text, "%s \xc2\xb7 %u of %u changes shown, from ", story->focus,
               digest->shown_count, digest->shown_count + digest->hidden_events);
    out_seconds(&text, digest->row_count > 0 ? digest->rows[0].time_ns : 0);
    out_cstr(&text, " s to ");
    out_seconds(&text, digest->row_count > 0 ? digest->rows[digest->row_count - 1].time_ns : 0);
    out_cstr(&text, " s; time runs downwards");
    if (digest->hidden_after > 0) out_format(&text, "; %u later ones", digest->hidden_after);
    if (digest->lanes_hidden > 0)
        out_format(&text, "; %u node%s without a lane", digest->lanes_hidden,
                   digest->lanes_hidden == 1 ? "" : "s");
    out_copy(scene->about, sizeof scene->about, str_of(text.data));
    item = scene_text(scene, 250, 220, SCENE_LEFT, 150, THEME_INK, scene->title);
    item->bold = true;
    scene_text(scene, 250, 410, SCENE_LEFT, 90, THEME_MUTED, scene->about);
    out_free(&text);
}

void spacetime_draw(struct scene *scene, const struct digest *digest)
{
    struct drawing *d = calloc(1, sizeof *d);
    struct state *state = malloc(sizeof *state);
    const struct story *story = digest->story;
    uint32_t next = digest->shown_count > 0 ? digest->shown[0] : 0;

    ASSERT(d != NULL && state != NULL);
    scene_init(scene, "spacetime");
    *d = (struct drawing){.scene = scene, .digest = digest};
    d->story_x = lane_x((int32_t)digest->lane_count - 1) + STORY_GAP;
    scene->width = d->story_x + STORY_WIDTH + 350;
    place_rows(d);
    d->told_to = TOP - 200;
    draw_title(d);
    draw_heads(d);
    draw_times(d);
    draw_lanes(d);
    for (uint32_t i = 1; i < digest->row_count; i++) {
        if (digest->rows[i].cut) draw_cut(d, i);
    }
    draw_messages(d, false);
    *state = digest->start;
    for (uint32_t i = 0; i < digest->shown_count; i++) { /* crosses before chips */
        const struct story_event *event = &story->events[digest->shown[i]];

        if (event->what == STORY_DOWN || event->what == STORY_LOST) draw_event(d, state, i);
    }
    draw_start_chips(d);
    for (uint32_t i = 0; i < digest->shown_count; i++) {
        const struct story_event *event = &story->events[digest->shown[i]];

        while (next < digest->shown[i])
            state_apply(state, story, &story->events[next++]);
        if (event->what != STORY_DOWN && event->what != STORY_LOST) draw_event(d, state, i);
        if (words_turns(state, event)) draw_sentence(d, state, event);
    }
    draw_messages(d, true);
    if (d->told_to + 200 > d->bottom) d->bottom = d->told_to + 200;
    scene->height = d->bottom + 480;
    draw_legend(d);
    scene_sort(scene);
    free(state);
    free(d);
}

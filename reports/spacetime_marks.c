/* What happens at one moment on one lane: chips with LEO and HW where they change, crosses,
 * turns of leadership, the violation; and faults that last, as bands behind the lanes. */
#include "reports/spacetime_private.h"
#include "reports/words.h"

#include "client/base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- chips ----------------------------------------------------------------------------------- */

/* Beside the lane at (x, y): right or left of it, a little up or down, where there is room. */
static void draw_chip(struct spacetime *d, int32_t lane, int32_t y, struct scene_item item,
                      const char *text, const char *tooltip)
{
    static const int32_t shifts[] = {0, 40, -40, 70, -70, 100, -100, 130, -130, 170, 210, 250};
    int32_t width = scene_text_width(text, CHIP_FONT, false) * 115 / 100 + 60;
    int32_t x = spacetime_x(d, lane);

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

void spacetime_start_chips(struct spacetime *d)
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
static void draw_log_chip(struct spacetime *d, const struct state *before, uint32_t at)
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
    /* The values are those at the end of the moment, also where not all of it is shown. */
    *state = *before;
    for (uint32_t i = digest->shown[at];
         i < story->event_count && story->events[i].time_ns == first->time_ns; i++)
        state_apply(state, story, &story->events[i]);
    now = &state->replicas[first->node];
    if ((end && hw) || opened)
        figures_state_label(&text, now);
    else if (end)
        out_format(&text, "LEO %lld", (long long)now->log_end);
    else if (hw)
        out_format(&text, "HW %lld", (long long)now->high_watermark);
    else if (start)
        out_format(&text, "start %lld", (long long)now->log_start);
    draw_chip(d, digest_lane(digest, first->node), spacetime_y(d, first->time_ns),
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

static void draw_cross(struct spacetime *d, int32_t x, int32_t y, int32_t size,
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

/* Short, on the node it strikes; across everything where it strikes no lane. */
static void draw_fault(struct spacetime *d, const struct story_event *event)
{
    int32_t lane = digest_lane(d->digest, event->epoch);
    int32_t y = spacetime_y(d, event->time_ns);
    int32_t x = lane >= 0 ? spacetime_x(d, lane) : 0;
    struct scene_item item = {.shape = SCENE_LINE,
                              .layer = SCENE_BANDS,
                              .box = {x - BAND_HALF, y, x + BAND_HALF, y},
                              .fill = THEME_NONE,
                              .stroke = event->to != 0 && !event->mends ? THEME_RED : THEME_DOWN,
                              .ink = THEME_INK,
                              .pen = 12,
                              .event = event->number,
                              .marks = 1,
                              .class = "fault"};

    if (lane < 0) {
        item.box = (struct scene_box){TIME_X + 60, y, d->story_x - 100, y};
        item.pen = 7;
        item.dash = SCENE_DASHED;
    }
    scene_add(d->scene, item, NULL, story_text(d->digest->story, event));
}

/* What a band is, where there is room for the words: beside the lane, near the band's begin. */
static void label_band(struct spacetime *d, int32_t x, int32_t y0, int32_t y1, const char *text)
{
    static const int32_t steps[] = {90, 150, 210, 270, 330, 400, 480, 560};
    int32_t width = scene_text_width(text, 75, false) * 115 / 100 + 40;

    for (uint32_t i = 0; i < 2 * COUNT_OF(steps); i++) {
        int32_t y = y0 + steps[i / 2];
        int32_t left = i % 2 == 0 ? x - RIBBON / 2 - 30 - width : x + RIBBON / 2 + 30;
        struct scene_box box = {left, y - 50, left + width, y + 50};

        if (y > y1) return;
        if (!scene_clear(d->scene, box)) continue;
        scene_take(d->scene, box);
        scene_text(d->scene, left + width / 2, y, SCENE_MIDDLE, 75, THEME_RED, text)->label = true;
        return;
    }
}

void spacetime_bands(struct spacetime *d)
{
    const struct digest *digest = d->digest;
    const struct story *story = digest->story;
    int64_t first_ns = digest->row_count > 0 ? digest->rows[0].time_ns : 0;

    for (uint32_t i = 0; i < story->background.fault_count; i++) {
        const struct background_fault *fault = &story->background.faults[i];
        int32_t lane = digest_lane(digest, fault->node);
        int32_t x = lane >= 0 ? spacetime_x(d, lane) : 0;
        struct out text = {.data = NULL};
        int32_t y0, y1;

        if (lane < 0 || fault->sort == BACKGROUND_MOMENT || fault->end_ns < first_ns) continue;
        y0 = spacetime_y(d, fault->begin_ns);
        y1 = spacetime_y(d, fault->end_ns);
        if (y1 <= y0) continue;
        out_format(&text, "%s, ", background_sort_word((enum background_sort)fault->sort));
        out_duration(&text, fault->end_ns - fault->begin_ns);
        scene_rect(d->scene, SCENE_BANDS, (struct scene_box){x - BAND_HALF, y0, x + BAND_HALF, y1},
                   THEME_RED_PALE, THEME_NONE, "fault", text.data);
        label_band(d, x, y0, y1, text.data);
        out_free(&text);
    }
}

static void draw_violation(struct spacetime *d, const struct story_event *event)
{
    int32_t y = spacetime_y(d, event->time_ns);
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

static void draw_role(struct spacetime *d, const struct story_event *event)
{
    int32_t x = spacetime_x(d, digest_lane(d->digest, event->node));
    int32_t y = spacetime_y(d, event->time_ns);
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

static void draw_dot(struct spacetime *d, const struct story_event *event, enum theme colour)
{
    int32_t lane = digest_lane(d->digest, event->node);
    int32_t x = lane >= 0 ? spacetime_x(d, lane) : TIME_X + 60;
    int32_t y = spacetime_y(d, event->time_ns);

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

static void draw_decision(struct spacetime *d, const struct story_event *event)
{
    const struct story *story = d->digest->story;
    struct out text = {.data = NULL};

    out_cstr(&text, "ISR ");
    words_ids(&text, story,
              event->what == STORY_DECISION ? story_ids(story, story_text(story, event), "isr ")
                                            : story_ids(story, story_text(story, event), NULL));
    draw_chip(d, digest_lane(d->digest, event->node), spacetime_y(d, event->time_ns),
              (struct scene_item){.stroke = THEME_CONTROLLER,
                                  .ink = THEME_CONTROLLER,
                                  .event = event->number,
                                  .marks = 1,
                                  .class = "chip"},
              text.data, story_text(story, event));
    out_free(&text);
}

void spacetime_mark(struct spacetime *d, const struct state *before, uint32_t at)
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
        draw_cross(d, spacetime_x(d, digest_lane(d->digest, event->node)),
                   spacetime_y(d, event->time_ns), 60, event);
        break;
    case STORY_FAULT: draw_fault(d, event); break;
    case STORY_VIOLATION: draw_violation(d, event); break;
    case STORY_LOST: {
        struct scene_box line;

        spacetime_message_ends(d, &d->digest->story->messages[event->cause], &line);
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

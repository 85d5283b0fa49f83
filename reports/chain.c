#include "reports/chain.h"

#include "client/base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHAIN_LANES = 12, /* events of other nodes stand at the margin */
    TIME_X = 700,
    FIRST_LANE = 1150,
    LANE_STEP = 950,
    WORDS_GAP = 650,
    WORDS_WIDTH = 5200,
    TOP = 960,
    ROW = 210,
    CUT = 330, /* a row behind a pause worth telling */
    DOT = 52,
};

static const int64_t pause_ns = 500000000;

struct chain {
    struct scene *scene;
    const struct reports_why *why;
    int32_t lanes[CHAIN_LANES];
    uint32_t lane_count;
    int32_t y[REPORTS_WHY_MAX + 1];
    int32_t words_x;
    int32_t bottom;
};

static int lane_order(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a;
    int32_t y = *(const int32_t *)b;

    return x < y ? -1 : x > y;
}

static void choose_lanes(struct chain *c)
{
    for (uint32_t i = 0; i < c->why->event_count; i++) {
        int32_t node = c->why->events[i].lane;
        uint32_t l = 0;

        while (l < c->lane_count && c->lanes[l] != node)
            l++;
        if (node >= 0 && l == c->lane_count && l < CHAIN_LANES) c->lanes[c->lane_count++] = node;
    }
    qsort(c->lanes, c->lane_count, sizeof c->lanes[0], lane_order); /* all differ */
}

static int32_t lane_x(const struct chain *c, int32_t node)
{
    for (uint32_t l = 0; l < c->lane_count; l++) {
        if (c->lanes[l] == node) return FIRST_LANE + (int32_t)l * LANE_STEP;
    }
    return FIRST_LANE - 250;
}

static void place_rows(struct chain *c)
{
    int32_t y = TOP;

    for (uint32_t i = 0; i < c->why->event_count; i++) {
        const struct reports_why_event *event = &c->why->events[i];

        if (i > 0) y += event->time_ns - event[-1].time_ns >= pause_ns ? CUT : ROW;
        c->y[i] = y;
    }
    c->bottom = y + ROW;
}

static void draw_lanes(struct chain *c)
{
    for (uint32_t l = 0; l < c->lane_count; l++) {
        int32_t x = FIRST_LANE + (int32_t)l * LANE_STEP;
        struct scene_item *item;
        char name[32];

        snprintf(name, sizeof name, "node %d", (int)c->lanes[l]);
        item = scene_text(c->scene, x, TOP - 270, SCENE_MIDDLE, 95, THEME_INK, name);
        item->bold = true;
        scene_line(c->scene, SCENE_BANDS, (struct scene_box){x, TOP - 160, x, c->bottom},
                   THEME_RULE, 20, SCENE_SOLID, "lane");
    }
}

static void draw_links(struct chain *c)
{
    for (uint32_t i = 0; i < c->why->link_count; i++) {
        const struct reports_why_link *link = &c->why->links[i];
        int32_t from = lane_x(c, c->why->events[link->from].lane);
        int32_t to = lane_x(c, c->why->events[link->to].lane);
        struct scene_item item = {.shape = from == to ? SCENE_LINE : SCENE_ARROW,
                                  .layer = SCENE_ARROWS,
                                  .box = {from, c->y[link->from], to, c->y[link->to]},
                                  .fill = THEME_NONE,
                                  .stroke = from == to ? THEME_FETCH : THEME_RECORDS,
                                  .ink = THEME_INK,
                                  .pen = from == to ? 26 : 11,
                                  .class = from == to ? "order" : "message"};

        if (from != to) { /* the head stands before the mark */
            item.box.x1 -= from < to ? DOT + 20 : -DOT - 20;
            item.box.x0 += from < to ? DOT : -DOT;
        }
        scene_add(c->scene, item, NULL, NULL);
    }
}

static void draw_words(struct chain *c, uint32_t at, int32_t x)
{
    const struct reports_why_event *event = &c->why->events[at];
    struct out text = {.data = NULL};
    bool red = event->bad;

    if (at == 0 || event->time_ns / 1000000 != event[-1].time_ns / 1000000) {
        out_seconds(&text, event->time_ns);
        scene_text(c->scene, TIME_X, c->y[at], SCENE_RIGHT, 85, THEME_MUTED, text.data);
    }
    if (at > 0 && event->time_ns - event[-1].time_ns >= pause_ns) {
        text.length = 0;
        out_duration(&text, event->time_ns - event[-1].time_ns);
        out_cstr(&text, " later");
        scene_text(c->scene, c->words_x, c->y[at] - CUT / 2 - 10, SCENE_LEFT, 78, THEME_MUTED,
                   text.data)
            ->italic = true;
    }
    out_free(&text);
    scene_line(c->scene, SCENE_BANDS,
               (struct scene_box){x + DOT + 40, c->y[at], c->words_x - 60, c->y[at]}, THEME_RULE, 5,
               SCENE_DOTTED, "lead");
    if (event->node >= 0) out_format(&text, "node %d ", (int)event->node);
    out_cstr(&text, event->words);
    scene_paragraph(c->scene,
                    (struct scene_item){.font = 92,
                                        .ink = red ? THEME_RED : THEME_INK,
                                        .bold = at == 0 && c->why->decided,
                                        .class = "story"},
                    c->words_x, c->y[at], WORDS_WIDTH, 1, text.data);
    out_free(&text);
}

static void draw_event(struct chain *c, uint32_t at)
{
    const struct reports_why_event *event = &c->why->events[at];
    int32_t x = lane_x(c, event->lane);
    bool first = at == 0 && c->why->decided;
    int32_t size = first ? DOT + 25 : DOT;

    scene_add(c->scene,
              (struct scene_item){.shape = event->bad ? SCENE_RECT : SCENE_ROUND,
                                  .layer = SCENE_CHIPS,
                                  .box = {x - size, c->y[at] - size, x + size, c->y[at] + size},
                                  .fill = event->bad ? THEME_RED
                                          : first    ? THEME_EPOCH_1
                                                     : THEME_RECORDS,
                                  .stroke = first ? THEME_EPOCH_1_INK : THEME_PAPER,
                                  .ink = THEME_INK,
                                  .pen = 12,
                                  .event = event->number,
                                  .marks = 1,
                                  .class = first ? "decides" : "moment"},
              NULL, event->words);
    draw_words(c, at, x);
}

static void draw_violation(struct chain *c)
{
    const struct reports_why_event *last = &c->why->events[c->why->event_count - 1];
    int32_t y = c->bottom + 60;
    uint32_t lines;

    lines = scene_paragraph(
        c->scene,
        (struct scene_item){.font = 100, .ink = THEME_RED, .bold = true, .class = "violation"},
        c->words_x, y, WORDS_WIDTH, 4, c->why->violation);
    scene_rect(
        c->scene, SCENE_BANDS,
        (struct scene_box){250, y - 140, c->scene->width - 200, y + (int32_t)lines * 125 + 20},
        THEME_RED_PALE, THEME_NONE, "violation", NULL);
    scene_add(
        c->scene,
        (struct scene_item){.shape = SCENE_ARROW,
                            .layer = SCENE_ARROWS,
                            .box = {lane_x(c, last->lane), c->y[c->why->event_count - 1] + DOT,
                                    lane_x(c, last->lane), y - 150},
                            .fill = THEME_NONE,
                            .stroke = THEME_RED,
                            .ink = THEME_INK,
                            .pen = 18,
                            .class = "violation"},
        NULL, NULL);
    c->bottom = y + (int32_t)lines * 125;
}

void chain_draw(struct scene *scene, const struct reports_why *why)
{
    struct chain *c = calloc(1, sizeof *c);
    struct scene_item *item;

    ASSERT(c != NULL && why->event_count > 0 && why->event_count <= REPORTS_WHY_MAX);
    scene_init(scene, "why");
    *c = (struct chain){.scene = scene, .why = why};
    choose_lanes(c);
    place_rows(c);
    c->words_x =
        FIRST_LANE + (int32_t)(c->lane_count > 0 ? c->lane_count - 1 : 0) * LANE_STEP + WORDS_GAP;
    scene->width = c->words_x + WORDS_WIDTH + 350;
    out_copy(scene->title, sizeof scene->title,
             why->decided ? STR("From the event that decided it to the violation")
                          : STR("What led to the violation"));
    snprintf(scene->about, sizeof scene->about,
             "%u event%s%s; thick line: what the node did before; arrow: a message that arrived; "
             "square: a fault",
             why->event_count, why->event_count == 1 ? "" : "s",
             why->left_out > 0 ? ", the weightiest of the chain" : "");
    item = scene_text(scene, 250, 220, SCENE_LEFT, 150, THEME_INK, scene->title);
    item->bold = true;
    scene_text(scene, 250, 410, SCENE_LEFT, 90, THEME_MUTED, scene->about);
    draw_lanes(c);
    draw_links(c);
    for (uint32_t i = 0; i < why->event_count; i++)
        draw_event(c, i);
    draw_violation(c);
    scene->height = c->bottom + 250;
    scene_sort(scene);
    free(c);
}

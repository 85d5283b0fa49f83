/* The space-time figure (reports.md 4). Rows are the digest's moments; their distance grows with
 * the logarithm's poor cousin: 9 to 24 points, as the pause is to the median pause; a long pause or
 * one in which something was left out becomes a band that says so. Time only grows downwards, so an
 * arrow that points upwards would be a bug in the trace. */
#include "reports/spacetime_private.h"
#include "reports/words.h"

#include "client/base/assert.h"

#include <stdlib.h>
#include <string.h>

static enum story_node_kind lane_kind(const struct spacetime *d, uint32_t lane)
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

static void place_rows(struct spacetime *d)
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

int32_t spacetime_y(const struct spacetime *d, int64_t time_ns)
{
    const struct digest *digest = d->digest;

    for (uint32_t i = 0; i < digest->row_count; i++) {
        if (digest->rows[i].time_ns == time_ns) return d->y[i];
        if (digest->rows[i].time_ns > time_ns)
            return i == 0 ? TOP - 60 : (d->y[i - 1] + d->y[i]) / 2;
    }
    return d->bottom;
}

static void draw_times(struct spacetime *d)
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

static void draw_cut(struct spacetime *d, uint32_t row)
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
        int32_t x = spacetime_x(d, (int32_t)i);

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
static void draw_stretch(struct spacetime *d, const struct state *state, uint32_t lane, int32_t y)
{
    int32_t node = d->digest->lanes[lane];
    const struct state_replica *replica = &state->replicas[node];
    const struct story *story = d->digest->story;
    int32_t x = spacetime_x(d, (int32_t)lane);
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
                          scene_text_width(tag.data, 80, true) > RIBBON - 20 ? 70 : 80, item.stroke,
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

static void draw_lanes(struct spacetime *d)
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
            y = spacetime_y(d, story->events[i].time_ns);
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

static void draw_heads(struct spacetime *d)
{
    for (uint32_t i = 0; i < d->digest->lane_count; i++) {
        char name[24];
        struct scene_item *item;

        out_copy(name, sizeof name, str_of(story_node_name(d->digest->story, d->digest->lanes[i])));
        item = scene_text(d->scene, spacetime_x(d, (int32_t)i), 680, SCENE_MIDDLE, 105, THEME_INK,
                          name);
        item->bold = true;
    }
}

/* ---- the story column ------------------------------------------------------------------------ */

static void draw_sentence(struct spacetime *d, const struct state *before,
                          const struct story_event *event)
{
    int32_t y = spacetime_y(d, event->time_ns);
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

static void draw_legend(struct spacetime *d)
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

static void draw_title(struct spacetime *d)
{
    const struct digest *digest = d->digest;
    const struct story *story = digest->story;
    struct scene *scene = d->scene;
    struct out text = {.data = NULL};
    struct scene_item *item;

    out_copy(scene->title, sizeof scene->title,
             story->violation >= 0 ? STR("What went wrong, moment by moment")
                                   : STR("What happened, moment by moment"));
    out_format(&text, "%s \xc2\xb7 ", story->focus);
    if (digest->parts > 1)
        out_format(&text, "part %u of %u, %u changes, from ", digest->part + 1, digest->parts,
                   digest->shown_count);
    else
        out_format(&text, "%u of %u changes shown, from ", digest->shown_count,
                   digest->shown_count + digest->hidden_events);
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
    struct spacetime *d = calloc(1, sizeof *d);
    struct state *state = malloc(sizeof *state);
    const struct story *story = digest->story;
    uint32_t next = digest->shown_count > 0 ? digest->shown[0] : 0;

    ASSERT(d != NULL && state != NULL);
    scene_init(scene, digest->part == 0   ? "spacetime"
                      : digest->part == 1 ? "spacetime_2"
                                          : "spacetime_3");
    *d = (struct spacetime){.scene = scene, .digest = digest};
    d->story_x = spacetime_x(d, (int32_t)digest->lane_count - 1) + STORY_GAP;
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
    spacetime_bands(d);
    spacetime_messages(d, false);
    *state = digest->start;
    for (uint32_t i = 0; i < digest->shown_count; i++) { /* crosses before chips */
        const struct story_event *event = &story->events[digest->shown[i]];

        if (event->what == STORY_DOWN || event->what == STORY_LOST) spacetime_mark(d, state, i);
    }
    spacetime_start_chips(d);
    for (uint32_t i = 0; i < digest->shown_count; i++) {
        const struct story_event *event = &story->events[digest->shown[i]];

        while (next < digest->shown[i])
            state_apply(state, story, &story->events[next++]);
        if (event->what != STORY_DOWN && event->what != STORY_LOST) spacetime_mark(d, state, i);
        if (words_turns(state, event)) draw_sentence(d, state, event);
    }
    spacetime_messages(d, true);
    if (d->told_to + 200 > d->bottom) d->bottom = d->told_to + 200;
    scene->height = d->bottom + 480;
    draw_legend(d);
    scene_sort(scene);
    free(state);
    free(d);
}

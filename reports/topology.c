/* The cluster at one moment: who is there, who leads, which links are cut. The moment is that of
 * the violation if anything was broken then, else the first of the greatest misery. Nodes stand
 * on a ring, so that every link is a straight line of its own. */
#include "reports/figures.h"
#include "reports/words.h"

#include "client/base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RING_X = 2300,
    RING_Y = 1750,
    CENTRE_X = 3500,
    CENTRE_Y = 2850,
    HALF_W = 620,
    HALF_H = 250,
    STORY_X = 7100,
    STORY_WIDTH = 3300,
    PLACES_MAX = 14,
};

struct topology {
    struct scene *scene;
    const struct digest *digest;
    int64_t now_ns;
    struct state state; /* then */
    int16_t nodes[PLACES_MAX];
    int32_t x[PLACES_MAX];
    int32_t y[PLACES_MAX];
    uint32_t count;
};

static bool at(int64_t begin_ns, int64_t end_ns, bool open, int64_t now_ns)
{
    return begin_ns <= now_ns && (open || now_ns < end_ns);
}

static const struct background_fault *fault_of(const struct topology *t, int32_t node)
{
    const struct background *background = &t->digest->story->background;
    const struct background_fault *found = NULL;

    for (uint32_t i = 0; i < background->fault_count; i++) {
        const struct background_fault *fault = &background->faults[i];

        if (fault->node != node || fault->sort == BACKGROUND_MOMENT) continue;
        if (!at(fault->begin_ns, fault->end_ns, fault->open, t->now_ns)) continue;
        if (found == NULL || fault->sort == BACKGROUND_DOWN) found = fault;
    }
    return found;
}

static bool cut(const struct topology *t, int32_t from, int32_t to)
{
    const struct background *background = &t->digest->story->background;

    for (uint32_t i = 0; i < background->cut_count; i++) {
        const struct background_cut *c = &background->cuts[i];

        if (c->from == from && c->to == to && at(c->begin_ns, c->end_ns, c->open, t->now_ns))
            return true;
    }
    return false;
}

static uint32_t misery(const struct background *background, int64_t now_ns)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < background->fault_count; i++) {
        const struct background_fault *fault = &background->faults[i];

        if (fault->sort == BACKGROUND_MOMENT ||
            !at(fault->begin_ns, fault->end_ns, fault->open, now_ns))
            continue;
        count += fault->sort == BACKGROUND_SLOW ? 1 : 8; /* a clock that is off cuts nobody off */
    }
    return count;
}

/* False: nothing was ever broken in the window. */
static bool choose_moment(struct topology *t)
{
    const struct story *story = t->digest->story;
    const struct background *background = &story->background;
    uint32_t most = 0;

    if (story->violation >= 0) {
        t->now_ns = story->events[story->violation].time_ns;
        if (misery(background, t->now_ns) > 0) return true;
    }
    for (uint32_t i = 0; i < background->fault_count; i++) {
        int64_t begin = background->faults[i].begin_ns;
        uint32_t now;

        if (begin < t->digest->from_ns || begin > t->digest->to_ns) continue;
        now = misery(background, begin);
        if (now <= most) continue;
        most = now;
        t->now_ns = begin;
    }
    return most > 0;
}

/* sin of whole degrees, in thousandths (Bhaskara's fraction: off by less than 2). */
static int32_t sine(int32_t degrees)
{
    int32_t x = ((degrees % 360) + 360) % 360;
    bool below = x >= 180;
    int32_t p;

    if (below) x -= 180;
    p = x * (180 - x);
    p = 4000 * p / (40500 - p);
    return below ? -p : p;
}

static bool shown(const struct topology *t, uint32_t node)
{
    const struct story_node *n = &t->digest->story->nodes[node];

    if (n->kind != STORY_CLIENT) return true;
    return digest_lane(t->digest, (int32_t)node) >= 0;
}

static void place(struct topology *t)
{
    const struct story *story = t->digest->story;

    for (uint32_t i = 0; i < story->node_count && t->count < PLACES_MAX; i++) {
        if (shown(t, i)) t->nodes[t->count++] = (int16_t)i;
    }
    for (uint32_t i = 0; i < t->count; i++) {
        int32_t degrees = (int32_t)(i * 360 / t->count) - 90;

        t->x[i] = CENTRE_X + RING_X * sine(degrees + 90) / 1000;
        t->y[i] = CENTRE_Y + RING_Y * sine(degrees) / 1000;
    }
}

static void draw_cut(struct topology *t, uint32_t a, uint32_t b, bool there, bool back)
{
    struct scene_box line = {t->x[a], t->y[a], t->x[b], t->y[b]};
    int32_t mx = (line.x0 + line.x1) / 2;
    int32_t my = (line.y0 + line.y1) / 2;
    char tip[160];

    snprintf(tip, sizeof tip, "%.60s and %.60s: %s", story_node_name(t->digest->story, t->nodes[a]),
             story_node_name(t->digest->story, t->nodes[b]),
             there && back ? "cut both ways" : "cut one way");
    if (there && back) {
        scene_line(t->scene, SCENE_ARROWS, line, THEME_RED, 14, SCENE_DASHED, "cut");
        for (int32_t k = -1; k <= 1; k += 2)
            scene_line(t->scene, SCENE_FAULTS,
                       (struct scene_box){mx - 70, my - 70 * k, mx + 70, my + 70 * k}, THEME_RED,
                       24, SCENE_SOLID, "cut");
        return;
    }
    /* One way: an arrow that ends in the middle, in a bar. */
    if (back) line = (struct scene_box){line.x1, line.y1, line.x0, line.y0};
    scene_add(t->scene,
              (struct scene_item){.shape = SCENE_ARROW,
                                  .layer = SCENE_ARROWS,
                                  .box = {line.x0, line.y0, mx, my},
                                  .fill = THEME_NONE,
                                  .stroke = THEME_RED,
                                  .ink = THEME_INK,
                                  .pen = 14,
                                  .dash = SCENE_DASHED,
                                  .class = "cut"},
              NULL, tip);
}

static void draw_links(struct topology *t)
{
    const struct story *story = t->digest->story;

    for (uint32_t a = 0; a < t->count; a++) {
        for (uint32_t b = a + 1; b < t->count; b++) {
            bool there = cut(t, t->nodes[a], t->nodes[b]);
            bool back = cut(t, t->nodes[b], t->nodes[a]);

            if (there || back) draw_cut(t, a, b, there, back);
            if (there && back) continue;
            if (story->nodes[t->nodes[a]].kind == STORY_CLIENT &&
                (story->nodes[t->nodes[b]].kind & STORY_BROKER) == 0)
                continue;
            scene_line(t->scene, SCENE_LANES,
                       (struct scene_box){t->x[a], t->y[a], t->x[b], t->y[b]}, THEME_RULE, 10,
                       SCENE_SOLID, "link");
        }
    }
}

static void draw_node(struct topology *t, uint32_t at_place)
{
    const struct story *story = t->digest->story;
    int32_t node = t->nodes[at_place];
    const struct state_replica *replica = &t->state.replicas[node];
    const struct background_fault *fault = fault_of(t, node);
    int32_t x = t->x[at_place], y = t->y[at_place];
    struct scene_item item = {.shape = SCENE_ROUND,
                              .layer = SCENE_CHIPS,
                              .box = {x - HALF_W, y - HALF_H, x + HALF_W, y + HALF_H},
                              .fill = THEME_PAPER,
                              .stroke = THEME_DOWN,
                              .ink = THEME_INK,
                              .pen = 10,
                              .class = "node"};
    char name[20];
    char what[48] = "";
    bool down = fault != NULL && fault->sort == BACKGROUND_DOWN;
    struct scene_item *text;

    if (story->nodes[node].kind == STORY_CLIENT) {
        item.stroke = THEME_CLIENT;
    } else if (down) {
        item.fill = THEME_EMPTY;
        item.dash = SCENE_DASHED;
    } else if (replica->known && replica->epoch >= 0) {
        item.fill = digest_tint(t->digest, replica->epoch);
        item.stroke = digest_ink(t->digest, replica->epoch);
        snprintf(what, sizeof what, "%s e%d, LEO %lld",
                 replica->role == STORY_ROLE_LEADER ? "leads" : "follows", (int)replica->epoch,
                 (long long)replica->log_end);
        if (replica->role == STORY_ROLE_LEADER) item.pen = 26;
    } else if (t->state.active == node) {
        snprintf(what, sizeof what, "active controller");
        item.stroke = THEME_CONTROLLER;
        item.pen = 26;
    } else if ((story->nodes[node].kind & STORY_CONTROLLER) != 0) {
        item.stroke = THEME_CONTROLLER;
    }
    scene_add(t->scene, item, NULL, story_node_name(story, node));
    out_copy(name, sizeof name, str_of(story_node_name(story, node)));
    text = scene_text(t->scene, x, y - (what[0] != '\0' || fault != NULL ? 110 : 0), SCENE_MIDDLE,
                      105, down ? THEME_MUTED : THEME_INK, name);
    text->bold = true;
    if (what[0] != '\0')
        scene_text(t->scene, x, y + (fault != NULL ? 20 : 70), SCENE_MIDDLE, 80, item.stroke, what);
    if (fault != NULL)
        scene_text(t->scene, x, y + (what[0] != '\0' ? 145 : 70), SCENE_MIDDLE, 85, THEME_RED,
                   down ? fault->text : background_sort_word((enum background_sort)fault->sort));
}

static void draw_story(struct topology *t)
{
    const struct story *story = t->digest->story;
    const struct background *background = &story->background;
    int32_t y = 900;
    uint32_t told = 0;

    for (uint32_t i = 0; i < background->fault_count && told < 10; i++) {
        const struct background_fault *fault = &background->faults[i];
        struct out text = {.data = NULL};
        uint32_t lines;

        if (fault->sort == BACKGROUND_MOMENT ||
            !at(fault->begin_ns, fault->end_ns, fault->open, t->now_ns))
            continue;
        if (fault->sort == BACKGROUND_DOWN)
            out_format(&text, "%s is down (%s) since ", story_node_name(story, fault->node),
                       fault->text);
        else
            out_format(&text, "%s since ", fault->text);
        out_seconds(&text, fault->begin_ns);
        if (fault->open) {
            out_cstr(&text, " s, to the end");
        } else {
            out_cstr(&text, " s, until ");
            out_seconds(&text, fault->end_ns);
            out_cstr(&text, " s");
        }
        lines = scene_paragraph(t->scene,
                                (struct scene_item){.font = 90, .ink = THEME_RED, .class = "story"},
                                STORY_X, y, STORY_WIDTH, 3, text.data);
        y += (int32_t)lines * 112 + 90;
        told++;
        out_free(&text);
    }
    if (t->state.isr_known) {
        struct out text = {.data = NULL};

        out_format(&text, "ISR of %s: ", story->focus);
        words_ids(&text, story, t->state.isr);
        (void)scene_paragraph(t->scene,
                              (struct scene_item){.font = 90, .ink = THEME_INK, .class = "story"},
                              STORY_X, y + 60, STORY_WIDTH, 3, text.data);
        out_free(&text);
    }
}

bool topology_draw(struct scene *scene, const struct digest *digest)
{
    struct topology *t = calloc(1, sizeof *t);
    const struct story *story = digest->story;
    struct out text = {.data = NULL};
    struct scene_item *item;
    bool any;

    ASSERT(t != NULL);
    scene_init(scene, "topology");
    t->scene = scene;
    t->digest = digest;
    any = choose_moment(t);
    if (any) {
        state_init(&t->state);
        for (uint32_t i = 0; i < story->event_count && story->events[i].time_ns <= t->now_ns; i++)
            state_apply(&t->state, story, &story->events[i]);
        place(t);
        scene->width = STORY_X + STORY_WIDTH + 300;
        scene->height = CENTRE_Y + RING_Y + HALF_H + 350;
        out_cstr(&text, "The cluster at ");
        out_seconds(&text, t->now_ns);
        out_cstr(&text, " s");
        out_copy(scene->title, sizeof scene->title, str_of(text.data));
        out_copy(scene->about, sizeof scene->about,
                 STR("Red dashes with a cross: cut both ways; with an arrow that ends on the way: "
                     "cut in that direction. Heavy outline: leads. Dashed: not there"));
        item = scene_text(scene, 250, 210, SCENE_LEFT, 150, THEME_INK, scene->title);
        item->bold = true;
        scene_text(scene, 250, 390, SCENE_LEFT, 85, THEME_MUTED, scene->about);
        draw_links(t);
        for (uint32_t i = 0; i < t->count; i++)
            draw_node(t, i);
        draw_story(t);
        scene_sort(scene);
    }
    out_free(&text);
    free(t);
    return any;
}

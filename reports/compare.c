#include "reports/compare.h"
#include "reports/words.h"

#include "client/base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MIDDLE = 5600,
    GAP = 460, /* from the middle to either axis */
    TIME_GAP = 130,
    WORDS_GAP = 800,
    WORDS_WIDTH = 4100,
    TOP = 1000,
    ROW = 225,
};

/* ---- the turns of one run -------------------------------------------------------------------- */

static void take_turn(struct compare_side *side, const struct story *story,
                      const struct state *state, const struct story_event *event)
{
    struct compare_turn *turn = &side->turns[side->count];
    struct out words = {.data = NULL};

    if (side->count == COMPARE_TURNS) {
        side->left_out++;
        return;
    }
    words_event(&words, story, state, event);
    if (words.data == NULL) return;
    *turn = (struct compare_turn){event->time_ns, event->number, words_red(state, event),
                                  words.data}; /* the turn's own now */
    side->count++;
}

/* Worth telling in a run only because of the record that was violated there. */
static bool of_one_record(const struct story_event *event)
{
    return event->what == STORY_APPENDED || event->what == STORY_ACK || event->what == STORY_LOST;
}

static void read_side(struct compare_side *side, const struct story *story)
{
    struct state *state = malloc(sizeof *state);

    ASSERT(state != NULL);
    state_init(state);
    for (uint32_t i = 0; i < story->event_count; i++) {
        const struct story_event *event = &story->events[i];
        bool over = story->finished_ns > 0 && event->time_ns > story->finished_ns &&
                    event->what != STORY_VIOLATION;

        if (!over && !of_one_record(event) && event->what != STORY_STEP &&
            words_turns(state, event) && digest_rank(story, state, event) > 2)
            take_turn(side, story, state, event);
        state_apply(state, story, event);
    }
    free(state);
}

/* ---- side by side ---------------------------------------------------------------------------- */

static bool same(const struct compare *c, uint32_t one, uint32_t other)
{
    return strcmp(c->sides[0].turns[one].words, c->sides[1].turns[other].words) == 0;
}

static void add_row(struct compare *c, int32_t one, int32_t other)
{
    c->rows[c->row_count++] = (struct compare_row){one, other, 0};
    if (one >= 0 && other >= 0)
        c->equal++;
    else
        c->only[one < 0]++;
}

/* length[i][k]: of the longest common sequence of what follows i in one and k in the other. */
static void align(struct compare *c)
{
    uint32_t n = c->sides[0].count;
    uint32_t m = c->sides[1].count;
    uint16_t(*length)[COMPARE_TURNS + 1] = calloc(COMPARE_TURNS + 1, sizeof *length);
    uint32_t i = 0;
    uint32_t k = 0;

    ASSERT(length != NULL);
    for (uint32_t a = n; a-- > 0;) {
        for (uint32_t b = m; b-- > 0;) {
            if (same(c, a, b))
                length[a][b] = (uint16_t)(length[a + 1][b + 1] + 1);
            else
                length[a][b] =
                    length[a + 1][b] >= length[a][b + 1] ? length[a + 1][b] : length[a][b + 1];
        }
    }
    while (i < n || k < m) {
        if (i < n && k < m && same(c, i, k)) {
            add_row(c, (int32_t)i++, (int32_t)k++);
        } else if (k == m || (i < n && length[i + 1][k] >= length[i][k + 1])) {
            add_row(c, (int32_t)i++, -1);
        } else {
            add_row(c, -1, (int32_t)k++);
        }
    }
    free(length);
}

static bool is_equal(const struct compare_row *row)
{
    return row->one >= 0 && row->other >= 0;
}

/* Of a long stretch of equal rows the ends stay. */
static void fold(struct compare *c)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < c->row_count;) {
        uint32_t end = i;
        uint32_t before = i == 0 ? 1 : COMPARE_AROUND;
        uint32_t after;

        while (end < c->row_count && is_equal(&c->rows[end]))
            end++;
        after = end == c->row_count ? 1 : COMPARE_AROUND;
        if (end - i <= before + after + 1) { /* also none */
            if (end == i) end++;
            while (i < end)
                c->rows[kept++] = c->rows[i++];
            continue;
        }
        for (uint32_t k = 0; k < before; k++)
            c->rows[kept++] = c->rows[i++];
        c->rows[kept++] = (struct compare_row){-1, -1, end - i - after};
        i = end - after;
        while (i < end)
            c->rows[kept++] = c->rows[i++];
    }
    c->row_count = kept;
    c->shown = kept < COMPARE_ROWS ? kept : COMPARE_ROWS;
}

struct compare *compare_make(const struct story *one, const struct story *other)
{
    struct compare *c = calloc(1, sizeof *c);

    ASSERT(c != NULL);
    read_side(&c->sides[0], one);
    read_side(&c->sides[1], other);
    align(c);
    fold(c);
    return c;
}

void compare_free(struct compare *c)
{
    for (uint32_t s = 0; s < 2; s++) {
        for (uint32_t i = 0; i < c->sides[s].count; i++)
            free(c->sides[s].turns[i].words);
    }
    free(c);
}

/* ---- drawing --------------------------------------------------------------------------------- */

static void draw_turn(struct scene *scene, const struct compare_turn *turn, uint32_t side,
                      int32_t y, bool equal)
{
    int32_t sign = side == 0 ? -1 : 1;
    int32_t x = MIDDLE + sign * GAP;
    enum theme ink = equal ? THEME_MUTED : turn->red ? THEME_RED : THEME_INK;
    struct out time = {.data = NULL};
    struct out words = {.data = NULL};
    struct scene_item *item;

    out_seconds(&time, turn->time_ns);
    scene_text(scene, x + sign * TIME_GAP, y, side == 0 ? SCENE_RIGHT : SCENE_LEFT, 82, THEME_MUTED,
               time.data);
    out_cstr(&words, turn->words);
    while (words.length > 4 && scene_text_width(words.data, 92, !equal) > WORDS_WIDTH) {
        words.length -= 4; /* one line a turn; the tooltip has it all */
        while (words.length > 0 && ((unsigned char)words.data[words.length] & 0xc0) == 0x80)
            words.length--;
        out_cstr(&words, "\xe2\x80\xa6");
    }
    item = scene_text(scene, x + sign * WORDS_GAP, y, side == 0 ? SCENE_RIGHT : SCENE_LEFT, 92, ink,
                      words.data);
    item->bold = !equal;
    scene_add(scene,
              (struct scene_item){.shape = SCENE_ROUND,
                                  .layer = SCENE_CHIPS,
                                  .box = {x - 42, y - 42, x + 42, y + 42},
                                  .fill = equal       ? THEME_MARK
                                          : turn->red ? THEME_RED
                                                      : THEME_RECORDS,
                                  .stroke = THEME_PAPER,
                                  .ink = THEME_INK,
                                  .pen = 10,
                                  .class = equal ? "equal" : "only"},
              NULL, turn->words);
    out_free(&time);
    out_free(&words);
}

static void draw_row(struct scene *scene, const struct compare *c, uint32_t at, int32_t y)
{
    const struct compare_row *row = &c->rows[at];

    if (row->folded > 0) {
        char text[64];

        snprintf(text, sizeof text, "%u the same", row->folded);
        scene_rect(scene, SCENE_BANDS,
                   (struct scene_box){MIDDLE - GAP - 100, y - 95, MIDDLE + GAP + 100, y + 95},
                   THEME_SOFT, THEME_NONE, "gap", text);
        scene_text(scene, MIDDLE, y, SCENE_MIDDLE, 82, THEME_MUTED, text)->italic = true;
        return;
    }
    if (is_equal(row))
        scene_line(scene, SCENE_LANES, (struct scene_box){MIDDLE - GAP, y, MIDDLE + GAP, y},
                   THEME_MARK, 14, SCENE_SOLID, "equal");
    if (row->one >= 0) draw_turn(scene, &c->sides[0].turns[row->one], 0, y, is_equal(row));
    if (row->other >= 0) draw_turn(scene, &c->sides[1].turns[row->other], 1, y, is_equal(row));
}

/* The first row that one run has alone. */
static void draw_first(struct scene *scene, const struct compare *c)
{
    for (uint32_t i = 0; i < c->shown; i++) {
        int32_t y = TOP + (int32_t)i * ROW;

        if (is_equal(&c->rows[i]) || c->rows[i].folded > 0) continue;
        scene_line(scene, SCENE_CUTS,
                   (struct scene_box){250, y - ROW / 2, 2 * MIDDLE - 250, y - ROW / 2}, THEME_RED,
                   12, SCENE_DASHED, "parting");
        scene_add(scene,
                  (struct scene_item){
                      .shape = SCENE_RECT,
                      .layer = SCENE_LABELS,
                      .box = {MIDDLE - 280, y - ROW / 2 - 60, MIDDLE + 280, y - ROW / 2 + 60},
                      .fill = THEME_PAPER,
                      .stroke = THEME_NONE,
                      .ink = THEME_RED,
                      .font = 85,
                      .label = true,
                      .class = "parting"},
                  "they part here", NULL);
        return;
    }
}

void compare_draw(struct scene *scene, const struct compare *c, const char *const names[2])
{
    int32_t bottom = TOP + (int32_t)c->shown * ROW;
    struct scene_item *item;

    scene_init(scene, "compare");
    scene->width = 2 * MIDDLE;
    scene->height = bottom + 250;
    out_copy(scene->title, sizeof scene->title, STR("Two runs, turn by turn"));
    snprintf(scene->about, sizeof scene->about,
             "%u turns in both (pale, joined), %u only in the left run, %u only in the right%s",
             c->equal, c->only[0], c->only[1],
             c->shown < c->row_count ? "; the first rows of them" : "");
    item = scene_text(scene, 250, 210, SCENE_LEFT, 150, THEME_INK, scene->title);
    item->bold = true;
    scene_text(scene, 250, 390, SCENE_LEFT, 90, THEME_MUTED, scene->about);
    for (uint32_t side = 0; side < 2; side++) {
        int32_t x = MIDDLE + (side == 0 ? -GAP : GAP);

        item = scene_text(scene, x + (side == 0 ? 60 : -60), TOP - 330,
                          side == 0 ? SCENE_RIGHT : SCENE_LEFT, 105, THEME_INK, names[side]);
        item->bold = true;
        scene_line(scene, SCENE_BANDS, (struct scene_box){x, TOP - 200, x, bottom}, THEME_RULE, 20,
                   SCENE_SOLID, "lane");
    }
    for (uint32_t i = 0; i < c->shown; i++)
        draw_row(scene, c, i, TOP + (int32_t)i * ROW);
    draw_first(scene, c);
    scene_sort(scene);
}

/* The whole run at one glance: for each replica who led (a high bar) and who followed (a low one)
 * in the colour of the leader epoch, membership in the ISR as a thick line below it, and the steps
 * of log end (line) and high watermark (area), all on one scale. Time is metric here, to the right;
 * changes closer than a bin are merged, so the figure's size does not depend on the run's. */
#include "reports/bands.h"
#include "reports/figures.h"
#include "reports/words.h"

#include "client/base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEFT = 1100,
    WIDTH = 9200,
    BARS = 560, /* of the faults, above the rows */
    ROW = 1000,
    BINS = 460, /* two points each */
    CHART = 420,
    HIGH = 260,
    LOW = 100,
};

struct lane_bin {
    enum story_role role;
    int32_t epoch;
    bool known;
    bool up;
    bool isr;
    int64_t log_end;
    int64_t high_watermark;
};

struct gantt {
    struct scene *scene;
    const struct digest *digest;
    int16_t rows[DIGEST_LANES];
    uint32_t row_count;
    struct bands bands;
    int32_t top; /* of the first row */
    struct lane_bin bins[DIGEST_LANES][BINS];
    int64_t low; /* scale of the charts */
    int64_t high;
};

static int64_t span(const struct digest *digest)
{
    return digest->to_ns - digest->from_ns > BINS ? digest->to_ns - digest->from_ns : BINS;
}

static int32_t bin_of(const struct digest *digest, int64_t time_ns)
{
    int64_t bin = (time_ns - digest->from_ns) / (span(digest) / BINS + 1);

    return bin < 0 ? 0 : bin >= BINS ? BINS - 1 : (int32_t)bin;
}

static int32_t bin_x(int32_t bin)
{
    return LEFT + bin * (WIDTH / BINS);
}

static void note_bins(struct gantt *gantt, const struct state *state, int32_t bin)
{
    for (uint32_t r = 0; r < gantt->row_count; r++) {
        int32_t node = gantt->rows[r];
        const struct state_replica *replica = &state->replicas[node];

        gantt->bins[r][bin] = (struct lane_bin){.role = replica->role,
                                                .epoch = replica->epoch,
                                                .known = replica->known,
                                                .up = replica->up,
                                                .isr = (state->isr >> node & 1) != 0,
                                                .log_end = replica->log_end,
                                                .high_watermark = replica->high_watermark};
    }
}

static void choose_rows(struct gantt *gantt)
{
    const struct story *story = gantt->digest->story;
    uint64_t known = 0;

    for (uint32_t i = 0; i < story->event_count; i++) {
        const struct story_event *event = &story->events[i];

        if (event->node >= 0 && (event->what == STORY_ROLE || event->what == STORY_OPENED ||
                                 event->what == STORY_APPENDED))
            known |= (uint64_t)1 << event->node;
    }
    for (uint32_t i = 0; i < gantt->digest->lane_count; i++) {
        if ((known >> gantt->digest->lanes[i] & 1) != 0)
            gantt->rows[gantt->row_count++] = gantt->digest->lanes[i];
    }
}

/* Each bin holds the state at its end. */
static void fill_bins(struct gantt *gantt)
{
    const struct story *story = gantt->digest->story;
    struct state *state = malloc(sizeof *state);
    int32_t bin = 0;

    ASSERT(state != NULL);
    state_init(state);
    for (uint32_t i = 0; i < story->event_count; i++) {
        int32_t at = bin_of(gantt->digest, story->events[i].time_ns);

        if (story->events[i].time_ns > gantt->digest->to_ns) break;
        while (bin < at)
            note_bins(gantt, state, bin++);
        state_apply(state, story, &story->events[i]);
    }
    /* Beyond the trace nothing is known, where it is drawn beside a longer one. */
    while (bin < BINS && (bin == 0 || bin <= bin_of(gantt->digest, story->end_ns)))
        note_bins(gantt, state, bin++);
    gantt->low = INT64_MAX;
    for (uint32_t r = 0; r < gantt->row_count; r++) {
        for (uint32_t b = 0; b < BINS; b++) {
            const struct lane_bin *lane = &gantt->bins[r][b];

            if (!lane->known) continue;
            if (lane->log_end > gantt->high) gantt->high = lane->log_end;
            if (lane->high_watermark < gantt->low) gantt->low = lane->high_watermark;
        }
    }
    if (gantt->low > gantt->high) gantt->low = gantt->high;
    free(state);
}

/* ---- drawing --------------------------------------------------------------------------------- */

static bool same_role(const struct lane_bin *a, const struct lane_bin *b)
{
    return a->role == b->role && a->epoch == b->epoch && a->up == b->up && a->known == b->known;
}

static void draw_role(struct gantt *gantt, const struct lane_bin *lane, int32_t begin, int32_t end,
                      int32_t y)
{
    bool leads = lane->role == STORY_ROLE_LEADER;
    int32_t half = leads ? HIGH / 2 : LOW / 2;
    struct scene_item item = {.shape = SCENE_RECT,
                              .layer = SCENE_LANES,
                              .box = {bin_x(begin), y - half, bin_x(end), y + half},
                              .fill = digest_tint(gantt->digest, lane->epoch),
                              .stroke = digest_ink(gantt->digest, lane->epoch),
                              .pen = 8,
                              .class = leads ? "lane leader" : "lane follower"};
    char text[32] = "";
    char tip[64];

    if (!lane->known && !lane->up) return;
    if (!lane->up) {
        scene_line(gantt->scene, SCENE_LANES, (struct scene_box){bin_x(begin), y, bin_x(end), y},
                   THEME_DOWN, 12, SCENE_DOTTED, "lane down");
        return;
    }
    if (!lane->known || lane->epoch < 0) return;
    snprintf(tip, sizeof tip, "%s epoch %d", leads ? "leads" : "in", (int)lane->epoch);
    if (leads) snprintf(text, sizeof text, "leads e%d", (int)lane->epoch);
    item.ink = item.stroke;
    item.font = 85;
    if (scene_text_width(text, 85, false) > bin_x(end) - bin_x(begin) - 60)
        snprintf(text, sizeof text, "e%d", (int)lane->epoch);
    if (!leads || scene_text_width(text, 85, false) > bin_x(end) - bin_x(begin) - 20)
        text[0] = '\0';
    if (lane->role == STORY_ROLE_CANDIDATE || lane->role == STORY_ROLE_RESIGNED)
        item.dash = SCENE_DASHED;
    scene_add(gantt->scene, item, text, tip);
}

static int32_t chart_y(const struct gantt *gantt, int32_t bottom, int64_t offset)
{
    int64_t range = gantt->high - gantt->low > 0 ? gantt->high - gantt->low : 1;
    int64_t above = offset > gantt->low ? offset - gantt->low : 0;

    if (range > INT64_MAX / (CHART * 2)) return bottom;
    return bottom - 30 - (int32_t)(above * (CHART - 60) / range);
}

static void draw_chart(struct gantt *gantt, uint32_t row, int32_t bottom)
{
    const struct lane_bin *bins = gantt->bins[row];
    int32_t hw_since = 0;
    int32_t end_since = 0;

    for (int32_t b = 1; b <= BINS; b++) {
        const struct lane_bin *hw = &bins[hw_since];
        const struct lane_bin *end = &bins[end_since];
        bool shown = bins[b - 1].known && bins[b - 1].up;

        if (b == BINS || bins[b].high_watermark != hw->high_watermark || bins[b].up != hw->up ||
            bins[b].known != hw->known) {
            if (shown && hw->known)
                scene_rect(gantt->scene, SCENE_BANDS,
                           (struct scene_box){bin_x(hw_since),
                                              chart_y(gantt, bottom, hw->high_watermark), bin_x(b),
                                              bottom},
                           THEME_MARK, THEME_NONE, "hw", NULL);
            hw_since = b;
        }
        if (b == BINS || bins[b].log_end != end->log_end || bins[b].up != end->up ||
            bins[b].known != end->known) {
            int32_t y = chart_y(gantt, bottom, end->log_end);

            if (shown && end->known) {
                scene_line(gantt->scene, SCENE_CUTS,
                           (struct scene_box){bin_x(end_since), y, bin_x(b), y}, THEME_RECORDS, 14,
                           SCENE_SOLID, "leo");
                if (b < BINS && bins[b].up && bins[b].known)
                    scene_line(gantt->scene, SCENE_CUTS,
                               (struct scene_box){bin_x(b), y, bin_x(b),
                                                  chart_y(gantt, bottom, bins[b].log_end)},
                               THEME_RECORDS, 14, SCENE_SOLID, "leo");
            }
            end_since = b;
        }
    }
}

static void draw_isr(struct gantt *gantt, uint32_t row, int32_t y)
{
    int32_t since = -1;

    for (int32_t b = 0; b <= BINS; b++) {
        bool in = b < BINS && gantt->bins[row][b].isr;

        if (in && since < 0) since = b;
        if (in || since < 0) continue;
        scene_line(gantt->scene, SCENE_CUTS, (struct scene_box){bin_x(since), y, bin_x(b), y},
                   THEME_INK, 28, SCENE_SOLID, "isr");
        since = -1;
    }
}

static void draw_row(struct gantt *gantt, uint32_t row)
{
    int32_t y = gantt->top + (int32_t)row * ROW + HIGH / 2;
    int32_t bottom = gantt->top + (int32_t)row * ROW + ROW - 190;
    const struct lane_bin *bins = gantt->bins[row];
    int32_t since = 0;
    char name[20];
    char scale[32];
    struct scene_item *item;

    out_copy(name, sizeof name, str_of(story_node_name(gantt->digest->story, gantt->rows[row])));
    item = scene_text(gantt->scene, LEFT - 100, y, SCENE_RIGHT, 100, THEME_INK, name);
    item->bold = true;
    scene_text(gantt->scene, LEFT - 100, bottom - CHART / 2, SCENE_RIGHT, 75, THEME_MUTED,
               "LEO, HW");
    bands_behind(&gantt->bands, gantt->rows[row], y - HIGH / 2 - 60, bottom);
    for (int32_t b = 1; b <= BINS; b++) {
        if (b < BINS && same_role(&bins[since], &bins[b])) continue;
        draw_role(gantt, &bins[since], since, b, y);
        since = b;
    }
    draw_isr(gantt, row, y + HIGH / 2 + 50);
    draw_chart(gantt, row, bottom);
    scene_line(gantt->scene, SCENE_BANDS, (struct scene_box){LEFT, bottom, LEFT + WIDTH, bottom},
               THEME_RULE, 8, SCENE_SOLID, "rule");
    snprintf(scale, sizeof scale, "%lld", (long long)gantt->bins[row][BINS - 1].log_end);
    if (bins[BINS - 1].known)
        scene_text(gantt->scene, LEFT + WIDTH + 50, chart_y(gantt, bottom, bins[BINS - 1].log_end),
                   SCENE_LEFT, 75, THEME_RECORDS, scale);
}

bool gantt_draw(struct scene *scene, const struct digest *digest)
{
    struct gantt *gantt = calloc(1, sizeof *gantt);
    struct scene_item *item;
    int32_t bottom;
    bool any;

    ASSERT(gantt != NULL);
    scene_init(scene, "gantt");
    *gantt = (struct gantt){.scene = scene, .digest = digest};
    choose_rows(gantt);
    any = gantt->row_count > 0;
    if (any) {
        gantt->bands = (struct bands){scene, digest, LEFT, WIDTH};
        gantt->top = BARS + (int32_t)bands_rows(&gantt->bands) * BANDS_ROW + 180;
        bottom = gantt->top + (int32_t)gantt->row_count * ROW - 120;
        scene->width = LEFT + WIDTH + 700;
        scene->height = bottom + 330;
        out_copy(scene->title, sizeof scene->title, STR("Who led, who followed, who was in sync"));
        snprintf(scene->about, sizeof scene->about,
                 "%.60s over the whole run, in virtual seconds; high bar: leads; colour: leader "
                 "epoch; thick line: in the ISR; below: log end (line), high watermark (area)",
                 digest->story->focus);
        item = scene_text(scene, 250, 210, SCENE_LEFT, 150, THEME_INK, scene->title);
        item->bold = true;
        scene_text(scene, 250, 390, SCENE_LEFT, 85, THEME_MUTED, scene->about);
        fill_bins(gantt);
        (void)bands_draw(&gantt->bands, BARS, bottom, false);
        bands_axis(&gantt->bands, gantt->top - 100, bottom);
        for (uint32_t i = 0; i < gantt->row_count; i++)
            draw_row(gantt, i);
        scene_sort(scene);
    }
    free(gantt);
    return any;
}

/* The lower half of the figure of transactions: around the one that took longest. Its window, the
 * bars in it, the partitions that it wrote to, and how far readers could go there. */
#include "reports/transactions_private.h"

#include <stdio.h>

void transactions_look_closer(struct transactions *t)
{
    const struct digest *whole = t->bands.digest;
    const struct txns_one *one;
    int64_t length;
    int64_t margin;

    (void)txns_longest(t->txns, whole->from_ns, whole->to_ns, &t->longest_of_all, 1);
    one = &t->txns->all[t->longest_of_all];
    length = txns_end(one, whole->to_ns) - one->begin_ns;
    margin = length / 2 > SHORTEST_NS ? length / 2 : SHORTEST_NS;
    t->around = *whole;
    t->around.from_ns =
        one->begin_ns - margin > whole->from_ns ? one->begin_ns - margin : whole->from_ns;
    t->around.to_ns = one->begin_ns + length + margin < whole->to_ns
                          ? one->begin_ns + length + margin
                          : whole->to_ns;
    t->close = (struct bands){t->bands.scene, &t->around, LEFT, WIDTH};
}

/* The part of one transaction in one partition: from its first record to its marker. */
static void draw_touched(struct transactions *t, const struct txns_in *in, int32_t y)
{
    struct scene *scene = t->bands.scene;
    int32_t x0 = bands_x(&t->close, in->begin_ns);
    int32_t x1 = bands_x(&t->close, in->marker >= 0 ? in->marker_ns : t->around.to_ns);
    char text[64];
    bool right;

    txns_part_name(t->txns, in->part, text, sizeof text);
    scene_text(scene, LEFT - 80, y, SCENE_RIGHT, 80, THEME_MUTED, text);
    scene_line(scene, SCENE_CUTS, (struct scene_box){x0, y, x1, y}, THEME_INK, 16,
               in->lost || in->marker < 0 ? SCENE_DOTTED : SCENE_SOLID, "touched");
    if (in->marker >= 0) {
        bool commit = in->result == TXNS_COMMITTED;

        scene_add(scene,
                  (struct scene_item){.shape = SCENE_RECT,
                                      .layer = SCENE_CHIPS,
                                      .box = {x1 - 40, y - 40, x1 + 40, y + 40},
                                      .fill = commit ? THEME_CLIENT : THEME_PAPER,
                                      .stroke = commit ? THEME_CLIENT : THEME_INK,
                                      .pen = 10,
                                      .class = "marker"},
                  NULL, commit ? "commit marker" : "abort marker");
        snprintf(text, sizeof text, "#%lld to %s marker #%lld", (long long)in->first,
                 commit ? "commit" : "abort", (long long)in->marker);
    } else {
        snprintf(text, sizeof text, "#%lld, %s", (long long)in->first,
                 in->lost ? "lost with its leader" : "no marker");
    }
    right = x1 + 100 + scene_text_width(text, 75, false) < LEFT + WIDTH + 600;
    scene_text(scene, right ? x1 + 90 : x0 - 60, y, right ? SCENE_LEFT : SCENE_RIGHT, 75, THEME_INK,
               text)
        ->label = true;
}

struct steps {
    int64_t low;
    int64_t high;
    int64_t first; /* the last stable offset at both ends of the window */
    int64_t last;
    bool any;
};

static struct steps scale_of(const struct transactions *t, uint32_t part)
{
    struct steps s = {.any = false};

    for (uint32_t i = 0; i < t->txns->sample_count; i++) {
        const struct txns_sample *sample = &t->txns->samples[i];

        if (sample->part != part || sample->read || sample->time_ns > t->around.to_ns) continue;
        if (sample->time_ns < t->around.from_ns || !s.any) {
            s.low = s.first = sample->lso;
            s.high = sample->hw;
        }
        if (sample->lso < s.low) s.low = sample->lso;
        if (sample->hw > s.high) s.high = sample->hw;
        s.last = sample->lso;
        s.any = true;
    }
    return s;
}

static int32_t step_y(struct steps s, int32_t bottom, int64_t offset)
{
    int64_t range = s.high > s.low ? s.high - s.low : 1;

    if (offset < s.low) offset = s.low;
    if (offset > s.high) offset = s.high;
    return bottom - 30 - transactions_share(offset - s.low, range, STEPS - 160);
}

static void step(struct transactions *t, int32_t *x, int32_t *y, int32_t to_x, int32_t to_y,
                 bool stable)
{
    enum theme ink = stable ? THEME_INK : THEME_RECORDS;
    int32_t pen = stable ? 22 : 10;
    const char *class = stable ? "lso" : "hw";

    if (to_x > *x)
        scene_line(t->bands.scene, SCENE_CUTS, (struct scene_box){*x, *y, to_x, *y}, ink, pen,
                   SCENE_SOLID, class);
    if (to_y != *y)
        scene_line(t->bands.scene, SCENE_CUTS, (struct scene_box){to_x, *y, to_x, to_y}, ink, pen,
                   SCENE_SOLID, class);
    *x = to_x;
    *y = to_y;
}

/* High watermark, last stable offset, and where the readers have got to. */
static void draw_steps(struct transactions *t, uint32_t part, int32_t bottom)
{
    struct scene *scene = t->bands.scene;
    struct steps s = scale_of(t, part);
    struct {
        int32_t x;
        int32_t y;
    } at[2] = {{-1, 0}, {-1, 0}}; /* hw, lso */
    int32_t dot = -1;
    char text[64];

    txns_part_name(t->txns, part, text, sizeof text);
    scene_text(scene, LEFT - 80, bottom - 300, SCENE_RIGHT, 85, THEME_INK, text);
    if (s.any)
        snprintf(text, sizeof text, "LSO %lld to %lld", (long long)s.first, (long long)s.last);
    else
        snprintf(text, sizeof text, "no leader");
    scene_text(scene, LEFT - 80, bottom - 190, SCENE_RIGHT, 75, THEME_MUTED, text);
    for (uint32_t i = 0; i < t->txns->sample_count && s.any; i++) {
        const struct txns_sample *sample = &t->txns->samples[i];
        int32_t x = bands_x(&t->close, sample->time_ns);
        int32_t y[2];

        if (sample->part != part || sample->time_ns > t->around.to_ns) continue;
        if (sample->read) {
            if (sample->time_ns < t->around.from_ns || x < dot + 40) continue;
            dot = x;
            scene_add(scene,
                      (struct scene_item){.shape = SCENE_ROUND,
                                          .layer = SCENE_FAULTS,
                                          .box = {x - 22, step_y(s, bottom, sample->lso) - 22,
                                                  x + 22, step_y(s, bottom, sample->lso) + 22},
                                          .fill = THEME_PAPER,
                                          .stroke = THEME_CLIENT,
                                          .pen = 10,
                                          .class = "reader"},
                      NULL, "a reader has got so far");
            continue;
        }
        y[0] = step_y(s, bottom, sample->hw);
        y[1] = step_y(s, bottom, sample->lso);
        for (uint32_t k = 0; k < 2; k++) {
            if (sample->time_ns < t->around.from_ns || at[k].x < 0) {
                at[k].x = x;
                at[k].y = y[k];
            } else if (y[k] != at[k].y) {
                step(t, &at[k].x, &at[k].y, x, y[k], k == 1);
            }
        }
    }
    for (uint32_t k = 0; k < 2 && s.any; k++)
        step(t, &at[k].x, &at[k].y, LEFT + WIDTH, at[k].y, k == 1);
    scene_line(scene, SCENE_BANDS, (struct scene_box){LEFT, bottom, LEFT + WIDTH, bottom},
               THEME_RULE, 8, SCENE_SOLID, "rule");
}

/* All bars of one producer there; returns how many had no place beside the one before. */
static uint32_t draw_bars(struct transactions *t, uint16_t producer, int32_t y)
{
    int32_t end = 0;
    uint32_t drawn = 0;
    uint32_t missing = 0;
    char text[64];
    struct scene_item *item;

    for (uint32_t i = 0; i < t->txns->count; i++) {
        const struct txns_one *one = &t->txns->all[i];

        if (one->producer != producer || !transactions_within(&t->close, one)) continue;
        if (i != t->longest_of_all && bands_x(&t->close, one->begin_ns) < end) {
            missing++;
            continue;
        }
        end = bands_x(&t->close, txns_end(one, t->around.to_ns));
        if (end < bands_x(&t->close, one->begin_ns) + 24)
            end = bands_x(&t->close, one->begin_ns) + 24;
        transactions_bar(&t->close, one, y, 75, true, false);
        drawn++;
    }
    if (drawn == 0) return 0;
    transactions_producer_name(t, producer, text, sizeof text);
    item = scene_text(t->bands.scene, LEFT - 80, y, SCENE_RIGHT, 95, THEME_INK, text);
    item->bold = true;
    return missing;
}

static bool has_bars(const struct transactions *t, uint16_t producer)
{
    for (uint32_t i = 0; i < t->txns->count; i++)
        if (t->txns->all[i].producer == producer &&
            transactions_within(&t->close, &t->txns->all[i]))
            return true;
    return false;
}

static void draw_heading(struct transactions *t, int32_t y)
{
    const struct txns_one *one = &t->txns->all[t->longest_of_all];
    struct out text = {.data = NULL};
    struct scene_item *item;
    char name[64];

    transactions_producer_name(t, one->producer, name, sizeof name);
    out_format(&text, "Around the longest: %s, epoch %lld, %s", name, (long long)one->epoch,
               txns_word(txns_result(one)));
    if (txns_result(one) != TXNS_OPEN) {
        out_cstr(&text, " after ");
        out_duration(&text, txns_end(one, 0) - one->begin_ns);
    }
    item = scene_text(t->bands.scene, 250, y, SCENE_LEFT, 115, THEME_INK, text.data);
    item->bold = true;
    out_free(&text);
}

int32_t transactions_close(struct transactions *t, int32_t top)
{
    const struct txns_one *longest = &t->txns->all[t->longest_of_all];
    uint32_t missing = 0;
    int32_t y = top + 420;
    char text[64];

    draw_heading(t, top + 160);
    missing += draw_bars(t, longest->producer, y);
    for (uint32_t i = 0; i < longest->part_count; i++) {
        y += 190;
        draw_touched(t, &longest->parts[i], y);
    }
    y += ROW;
    for (uint32_t i = 0; i < t->producer_count; i++) {
        if (t->producers[i] == longest->producer || !has_bars(t, t->producers[i])) continue;
        missing += draw_bars(t, t->producers[i], y);
        y += ROW;
    }
    y += STEPS - 150;
    for (uint32_t i = 0; i < longest->part_count && i < CLOSE_PARTS; i++, y += STEPS)
        draw_steps(t, longest->parts[i].part, y);
    y -= longest->part_count > 0 ? STEPS : STEPS - 150;
    bands_axis(&t->close, top + 300, y);
    if (missing > 0) {
        snprintf(text, sizeof text, "%u more transactions are too short to be drawn here", missing);
        scene_text(t->bands.scene, LEFT, y + 220, SCENE_LEFT, 80, THEME_MUTED, text);
        y += 130;
    }
    return y + 200;
}

/* Transactions, time to the right. Above the whole run: per producer its transactions, and per
 * partition how many records readers of committed ones have to wait for (HW less last stable
 * offset). Below, larger, what happened around the one that took longest (transactions_close.c):
 * each transaction with the moment of its decision, the partitions it wrote to with their markers,
 * and how high watermark, last stable offset and readers moved there.
 *
 * An outcome is told by colour, by the line around the bar and, where there is room, by a word. */
#include "reports/transactions_private.h"

#include "client/base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int32_t transactions_share(int64_t part, int64_t whole, int32_t height)
{
    while (whole > INT64_MAX / 4096) {
        whole /= 2;
        part /= 2;
    }
    return (int32_t)(part * height / whole);
}

bool transactions_within(const struct bands *bands, const struct txns_one *one)
{
    return one->begin_ns <= bands->digest->to_ns &&
           txns_end(one, bands->digest->to_ns) >= bands->digest->from_ns;
}

/* Producers and partitions with something in the window, in the order of the trace. */
static void collect(struct transactions *t)
{
    bool known[TXNS_PARTS_MAX] = {false};
    bool met[TXNS_PRODUCERS_MAX] = {false};

    for (uint32_t i = 0; i < t->txns->count; i++) {
        const struct txns_one *one = &t->txns->all[i];

        if (!transactions_within(&t->bands, one)) continue;
        if (!met[one->producer]) {
            if (t->producer_count < PRODUCERS)
                t->producers[t->producer_count++] = one->producer;
            else
                t->producers_hidden++;
        }
        met[one->producer] = true;
        for (uint32_t k = 0; k < one->part_count; k++)
            known[one->parts[k].part] = true;
    }
    for (uint32_t i = 0; i < t->txns->part_count; i++) {
        if (!known[i]) continue;
        if (t->part_count < PARTS)
            t->parts[t->part_count++] = i;
        else
            t->parts_hidden++;
    }
}

/* ---- bars ------------------------------------------------------------------------------------ */

static struct scene_item look_of(enum txns_result result)
{
    struct scene_item item = {
        .shape = SCENE_RECT, .layer = SCENE_LANES, .pen = 8, .class = "transaction"};

    switch (result) {
    case TXNS_COMMITTED:
        item.fill = THEME_CLIENT_LANE;
        item.stroke = THEME_CLIENT;
        break;
    case TXNS_ABORTED:
        item.fill = THEME_EMPTY;
        item.stroke = THEME_MUTED;
        item.dash = SCENE_DASHED;
        break;
    case TXNS_OPEN:
        item.fill = THEME_PAPER;
        item.stroke = THEME_INK;
        item.dash = SCENE_DOTTED;
        item.pen = 10;
        break;
    }
    item.ink = item.stroke;
    return item;
}

void transactions_bar(const struct bands *bands, const struct txns_one *one, int32_t y,
                      int32_t half, bool words, bool event)
{
    enum txns_result result = txns_result(one);
    struct scene_item item = look_of(result);
    struct out length = {.data = NULL};
    int32_t x0 = bands_x(bands, one->begin_ns);
    int32_t x1 = bands_x(bands, txns_end(one, bands->digest->to_ns));
    char text[64];
    char tip[96];

    if (x1 < x0 + 16) x1 = x0 + 16;
    item.box = (struct scene_box){x0, y - half, x1, y + half};
    out_duration(&length, txns_end(one, bands->digest->story->end_ns) - one->begin_ns);
    snprintf(tip, sizeof tip, "epoch %lld, %s, %.16s", (long long)one->epoch, txns_word(result),
             length.data);
    out_free(&length);
    snprintf(text, sizeof text, "e%lld %s", (long long)one->epoch, txns_word(result));
    if (scene_text_width(text, 75, false) + 60 > x1 - x0)
        snprintf(text, sizeof text, "e%lld", (long long)one->epoch);
    if (words && scene_text_width(text, 75, false) + 40 <= x1 - x0)
        item.font = 75;
    else
        text[0] = '\0';
    if (event) {
        item.event = one->number;
        item.marks = 1;
    }
    scene_add(bands->scene, item, text[0] != '\0' ? text : NULL, tip);
    if (words && one->decided_ns >= 0 && one->decided_ns <= bands->digest->to_ns &&
        one->decided_ns >= bands->digest->from_ns) {
        int32_t x = bands_x(bands, one->decided_ns);

        scene_line(bands->scene, SCENE_FAULTS,
                   (struct scene_box){x, y + half - 10, x, y + half + 45}, THEME_INK, 16,
                   SCENE_SOLID, "decided");
    }
}

void transactions_producer_name(const struct transactions *t, uint16_t producer, char *text,
                                size_t size)
{
    const struct txns_producer *of = &t->txns->producers[producer];

    if (of->node >= 0)
        snprintf(text, size, "%.20s", story_node_name(t->bands.digest->story, of->node));
    else
        snprintf(text, size, "producer %lld", (long long)of->id);
}

/* ---- the whole run --------------------------------------------------------------------------- */

struct counts {
    uint32_t of[TXNS_ABORTED + 1];
};

/* Bins of a lane with many short ones: merged into stretches, light; the longest on top of them. */
static struct counts draw_lane(struct transactions *t, uint16_t producer, int32_t y)
{
    struct counts counts = {{0}};
    bool busy[BINS] = {false};
    int32_t since = -1;

    for (uint32_t i = 0; i < t->txns->count; i++) {
        const struct txns_one *one = &t->txns->all[i];
        int32_t x0;
        int32_t x1;

        if (one->producer != producer || !transactions_within(&t->bands, one)) continue;
        counts.of[txns_result(one)]++;
        x0 = (bands_x(&t->bands, one->begin_ns) - LEFT) / (WIDTH / BINS);
        x1 = (bands_x(&t->bands, txns_end(one, t->bands.digest->to_ns)) - LEFT) / (WIDTH / BINS);
        for (int32_t b = x0; b <= x1 && b < BINS; b++)
            busy[b] = true;
    }
    for (int32_t b = 0; b <= BINS; b++) {
        bool now = b < BINS && busy[b];

        if (now && since < 0) since = b;
        if (now || since < 0) continue;
        scene_rect(t->bands.scene, SCENE_BANDS,
                   (struct scene_box){LEFT + since * (WIDTH / BINS), y - 25,
                                      LEFT + b * (WIDTH / BINS), y + 25},
                   THEME_MARK, THEME_NONE, "busy", NULL);
        since = -1;
    }
    for (uint32_t i = 0; i < t->longest_count; i++) {
        const struct txns_one *one = &t->txns->all[t->longest[i]];

        if (one->producer == producer) transactions_bar(&t->bands, one, y, 75, false, true);
    }
    return counts;
}

static void draw_producer(struct transactions *t, uint16_t producer, int32_t y)
{
    struct counts counts = draw_lane(t, producer, y);
    struct out said = {.data = NULL};
    char text[64];
    struct scene_item *item;

    transactions_producer_name(t, producer, text, sizeof text);
    item = scene_text(t->bands.scene, LEFT - 80, y - 45, SCENE_RIGHT, 95, THEME_INK, text);
    item->bold = true;
    out_count(&said, counts.of[TXNS_COMMITTED]);
    out_cstr(&said, " committed, ");
    out_count(&said, counts.of[TXNS_ABORTED]);
    out_cstr(&said, " aborted");
    if (counts.of[TXNS_OPEN] > 0) {
        out_cstr(&said, ", ");
        out_count(&said, counts.of[TXNS_OPEN]);
        out_cstr(&said, " open");
    }
    scene_text(t->bands.scene, LEFT - 80, y + 60, SCENE_RIGHT, 75, THEME_MUTED, said.data);
    out_free(&said);
}

/* How many records are below the high watermark and may not be read yet: the most in each bin. */
static void draw_held(struct transactions *t, uint32_t part, int32_t bottom)
{
    int64_t most[BINS] = {0};
    int64_t top = 0;
    int64_t last = 0;
    int32_t at = 0;
    char text[64];

    for (uint32_t i = 0; i < t->txns->sample_count; i++) {
        const struct txns_sample *sample = &t->txns->samples[i];
        int32_t bin = (bands_x(&t->bands, sample->time_ns) - LEFT) / (WIDTH / BINS);

        if (sample->part != part || sample->read) continue;
        if (sample->time_ns > t->bands.digest->to_ns) break;
        if (sample->time_ns < t->bands.digest->from_ns) {
            last = sample->hw - sample->lso;
            continue;
        }
        for (; at <= bin && at < BINS; at++) /* as it was, until it moved */
            if (last > most[at]) most[at] = last;
        at = bin < BINS ? bin : BINS - 1;
        last = sample->hw - sample->lso;
        if (last > most[at]) most[at] = last;
    }
    for (; at < BINS; at++)
        if (last > most[at]) most[at] = last;
    for (int32_t b = 0; b < BINS; b++)
        if (most[b] > top) top = most[b];
    for (int32_t b = 0; b < BINS; b++) {
        int32_t x = LEFT + b * (WIDTH / BINS);
        int32_t next = b;

        if (most[b] == 0) continue;
        while (next + 1 < BINS && most[next + 1] == most[b])
            next++;
        scene_rect(t->bands.scene, SCENE_LANES,
                   (struct scene_box){x, bottom - transactions_share(most[b], top, HELD - 80),
                                      LEFT + (next + 1) * (WIDTH / BINS), bottom},
                   THEME_MARK, THEME_NONE, "held", NULL);
        b = next;
    }
    scene_line(t->bands.scene, SCENE_CUTS, (struct scene_box){LEFT, bottom, LEFT + WIDTH, bottom},
               THEME_RULE, 8, SCENE_SOLID, "rule");
    txns_part_name(t->txns, part, text, sizeof text);
    scene_text(t->bands.scene, LEFT - 80, bottom - 150, SCENE_RIGHT, 85, THEME_INK, text);
    snprintf(text, sizeof text, "at most %lld wait", (long long)top);
    scene_text(t->bands.scene, LEFT - 80, bottom - 40, SCENE_RIGHT, 75, THEME_MUTED, text);
}

static int32_t draw_whole(struct transactions *t, int32_t top)
{
    int32_t first = top + (int32_t)bands_rows(&t->bands) * BANDS_ROW + 200;
    int32_t y = first;

    for (uint32_t i = 0; i < t->producer_count; i++, y += ROW)
        draw_producer(t, t->producers[i], y);
    y += HELD - 120;
    for (uint32_t i = 0; i < t->part_count; i++, y += HELD)
        draw_held(t, t->parts[i], y);
    y -= HELD;
    (void)bands_draw(&t->bands, top, y, false);
    bands_axis(&t->bands, first - 120, y);
    return y + 200;
}

/* ---- heading and legend ---------------------------------------------------------------------- */

static void draw_legend(struct scene *scene, int32_t y)
{
    static const struct {
        enum txns_result result;
        const char *words;
    } bars[] = {{TXNS_COMMITTED, "committed"}, {TXNS_ABORTED, "aborted"}, {TXNS_OPEN, "open"}};
    int32_t x = 250;

    for (uint32_t i = 0; i < COUNT_OF(bars); i++) {
        struct scene_item item = look_of(bars[i].result);

        item.box = (struct scene_box){x, y - 50, x + 260, y + 50};
        scene_add(scene, item, NULL, bars[i].words);
        scene_text(scene, x + 310, y, SCENE_LEFT, 80, THEME_MUTED, bars[i].words);
        x += 310 + scene_text_width(bars[i].words, 80, false) * 115 / 100 + 220;
    }
    scene_text(
        scene, x, y, SCENE_LEFT, 80, THEME_MUTED,
        "stroke below: decided \xc2\xb7 square: its marker, full if it commits \xc2\xb7 thin "
        "line: HW \xc2\xb7 thick line: LSO \xc2\xb7 ring: a reader has got so far");
}

bool transactions_draw(struct scene *scene, const struct digest *digest)
{
    struct transactions *t = calloc(1, sizeof *t);
    struct scene_item *item;
    char text[80];
    int32_t y;
    bool any;

    ASSERT(t != NULL);
    scene_init(scene, "transactions");
    t->bands = (struct bands){scene, digest, LEFT, WIDTH};
    t->txns = &digest->story->txns;
    collect(t);
    any = t->producer_count > 0;
    if (any) {
        t->longest_count = txns_longest(t->txns, digest->from_ns, digest->to_ns, t->longest, LONG);
        transactions_look_closer(t);
        out_copy(scene->title, sizeof scene->title, STR("Transactions"));
        out_copy(scene->about, sizeof scene->about,
                 STR("Grey: at work; a bar: one that took long or is open; below, how many records "
                     "readers of committed ones wait for"));
        item = scene_text(scene, 250, 210, SCENE_LEFT, 150, THEME_INK, scene->title);
        item->bold = true;
        scene_text(scene, 250, 390, SCENE_LEFT, 85, THEME_MUTED, scene->about);
        scene->width = LEFT + WIDTH + 700;
        y = draw_whole(t, 560);
        if (t->producers_hidden + t->parts_hidden > 0) {
            snprintf(text, sizeof text, "%u more producers and %u more partitions are not shown",
                     t->producers_hidden, t->parts_hidden);
            scene_text(scene, LEFT, y + 20, SCENE_LEFT, 80, THEME_MUTED, text);
            y += 130;
        }
        y = transactions_close(t, y);
        draw_legend(scene, y + 60);
        scene->height = y + 240;
        scene_sort(scene);
    }
    free(t);
    return any;
}

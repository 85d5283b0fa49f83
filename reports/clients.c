/* What clients asked and how long it took: each record from its first sending to the answer, by the
 * moment it was sent. Latency upwards, each octave as high as the next (a broker session is ten
 * thousand times a round trip, and both matter). A bin shows the range and the middle of its
 * operations; what never got a clear answer stands on a row of its own, above. Below: how many
 * records were acknowledged. Faults behind everything. */
#include "reports/bands.h"
#include "reports/figures.h"

#include "client/base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEFT = 1250,
    WIDTH = 9050,
    BINS = 300,
    HIGH = 2500,
    RATE = 620,
    LOW_NS = 1 << 16, /* 65 us: the floor */
    OCTAVES = 21,     /* up to 137 s */
};

struct clients_bin {
    uint32_t ok;
    uint32_t unknown; /* or no answer */
    uint32_t no;
    int64_t least_ns;
    int64_t middle_ns;
    int64_t most_ns;
};

struct clients_op {
    uint32_t bin;
    int64_t latency_ns;
};

struct clients {
    struct bands bands;
    struct clients_bin bins[BINS];
    uint64_t ok;
    uint64_t unknown;
    uint64_t no;
    int64_t slowest_ns;
};

/* Height of a latency above the floor: whole octaves, straight lines between them. */
static int32_t octave_height(int64_t ns)
{
    int32_t octave = 0;
    int64_t base = LOW_NS;

    if (ns <= LOW_NS) return 0;
    while (octave < OCTAVES && ns >= 2 * base) {
        base *= 2;
        octave++;
    }
    if (octave == OCTAVES) return HIGH;
    return (int32_t)((octave * (int64_t)HIGH + (ns - base) * HIGH / base) / OCTAVES);
}

static int op_order(const void *a, const void *b)
{
    const struct clients_op *x = a;
    const struct clients_op *y = b;

    if (x->bin != y->bin) return x->bin < y->bin ? -1 : 1;
    return x->latency_ns < y->latency_ns ? -1 : x->latency_ns > y->latency_ns;
}

static uint32_t bin_of(const struct clients *c, int64_t time_ns)
{
    int32_t bin = (bands_x(&c->bands, time_ns) - LEFT) * BINS / (WIDTH + 1);

    return bin < 0 ? 0 : (uint32_t)bin;
}

static void fill(struct clients *c)
{
    const struct background *background = &c->bands.digest->story->background;
    struct clients_op *ops = calloc(background->op_count + 1, sizeof *ops);
    uint32_t count = 0;

    ASSERT(ops != NULL);
    for (uint32_t i = 0; i < background->op_count; i++) {
        const struct background_op *op = &background->ops[i];
        struct clients_bin *bin = &c->bins[bin_of(c, op->begin_ns)];

        if (op->begin_ns < c->bands.digest->from_ns || op->begin_ns > c->bands.digest->to_ns)
            continue;
        if (op->outcome == BACKGROUND_OK) {
            ops[count++] =
                (struct clients_op){(uint32_t)(bin - c->bins), op->end_ns - op->begin_ns};
            bin->ok++;
            c->ok++;
            if (op->end_ns - op->begin_ns > c->slowest_ns)
                c->slowest_ns = op->end_ns - op->begin_ns;
        } else if (op->outcome == BACKGROUND_NO) {
            bin->no++;
            c->no++;
        } else {
            bin->unknown++;
            c->unknown++;
        }
    }
    qsort(ops, count, sizeof ops[0], op_order); /* equal ones are equal */
    for (uint32_t i = 0; i < count;) {
        struct clients_bin *bin = &c->bins[ops[i].bin];

        bin->least_ns = ops[i].latency_ns;
        bin->middle_ns = ops[i + (bin->ok - 1) / 2].latency_ns;
        bin->most_ns = ops[i + bin->ok - 1].latency_ns;
        i += bin->ok;
    }
    free(ops);
}

static void draw_scale(struct clients *c, int32_t bottom)
{
    static const struct {
        int64_t ns;
        const char *text;
    } ticks[] = {{100000, "100 us"},     {1000000, "1 ms"},   {10000000, "10 ms"},
                 {100000000, "100 ms"},  {1000000000, "1 s"}, {10000000000, "10 s"},
                 {100000000000, "100 s"}};

    for (uint32_t i = 0; i < COUNT_OF(ticks); i++) {
        int32_t y = bottom - octave_height(ticks[i].ns);

        scene_line(c->bands.scene, SCENE_BANDS, (struct scene_box){LEFT, y, LEFT + WIDTH, y},
                   THEME_RULE, 6, SCENE_SOLID, "rule");
        scene_text(c->bands.scene, LEFT - 80, y, SCENE_RIGHT, 80, THEME_MUTED, ticks[i].text);
    }
}

static void draw_bin(struct clients *c, uint32_t at, int32_t bottom, int32_t above)
{
    const struct clients_bin *bin = &c->bins[at];
    int32_t x0 = LEFT + (int32_t)at * WIDTH / BINS;
    int32_t x1 = LEFT + (int32_t)(at + 1) * WIDTH / BINS - 4;
    char tip[128];

    if (bin->ok > 0) {
        int32_t middle = bottom - octave_height(bin->middle_ns);
        struct out least = {.data = NULL}, most = {.data = NULL};

        out_duration(&least, bin->least_ns);
        out_duration(&most, bin->most_ns);
        snprintf(tip, sizeof tip, "%u acknowledged, %.24s to %.24s", bin->ok, least.data,
                 most.data);
        out_free(&least);
        out_free(&most);
        scene_rect(c->bands.scene, SCENE_LANES,
                   (struct scene_box){x0, bottom - octave_height(bin->most_ns) - 8, x1,
                                      bottom - octave_height(bin->least_ns) + 8},
                   THEME_CLIENT_LANE, THEME_NONE, "range", tip);
        scene_rect(c->bands.scene, SCENE_CUTS, (struct scene_box){x0, middle - 14, x1, middle + 14},
                   THEME_CLIENT, THEME_NONE, "middle", NULL);
    }
    if (bin->unknown > 0) {
        snprintf(tip, sizeof tip, "%u without a clear answer", bin->unknown);
        scene_rect(c->bands.scene, SCENE_CHIPS, (struct scene_box){x0, above - 45, x1, above + 45},
                   THEME_CONTROLLER, THEME_NONE, "unknown", tip);
    }
    if (bin->no > 0) {
        snprintf(tip, sizeof tip, "%u refused", bin->no);
        scene_rect(c->bands.scene, SCENE_CHIPS,
                   (struct scene_box){x0, above + 105, x1, above + 195}, THEME_INK, THEME_NONE,
                   "refused", tip);
    }
}

static void draw_rate(struct clients *c, int32_t bottom)
{
    uint32_t most = 1;
    char text[64];

    for (uint32_t i = 0; i < BINS; i++) {
        if (c->bins[i].ok > most) most = c->bins[i].ok;
    }
    for (uint32_t i = 0; i < BINS; i++) {
        int32_t x0 = LEFT + (int32_t)i * WIDTH / BINS;
        int32_t x1 = LEFT + (int32_t)(i + 1) * WIDTH / BINS;

        if (c->bins[i].ok == 0) continue;
        scene_rect(
            c->bands.scene, SCENE_LANES,
            (struct scene_box){x0, bottom - (int32_t)((uint64_t)c->bins[i].ok * (RATE - 80) / most),
                               x1, bottom},
            THEME_MARK, THEME_NONE, "rate", NULL);
    }
    scene_line(c->bands.scene, SCENE_CUTS, (struct scene_box){LEFT, bottom, LEFT + WIDTH, bottom},
               THEME_RULE, 8, SCENE_SOLID, "rule");
    snprintf(text, sizeof text, "at most %u", most);
    scene_text(c->bands.scene, LEFT - 80, bottom - RATE / 2 - 60, SCENE_RIGHT, 80, THEME_MUTED,
               "acknowledged");
    scene_text(c->bands.scene, LEFT - 80, bottom - RATE / 2 + 60, SCENE_RIGHT, 75, THEME_MUTED,
               text);
}

static void draw_title(struct clients *c)
{
    struct scene *scene = c->bands.scene;
    struct out text = {.data = NULL};
    struct scene_item *item;

    out_copy(scene->title, sizeof scene->title, STR("What clients saw"));
    out_count(&text, c->ok);
    out_cstr(&text, " records acknowledged, the slowest after ");
    out_duration(&text, c->slowest_ns);
    if (c->unknown > 0) {
        out_cstr(&text, "; ");
        out_count(&text, c->unknown);
        out_cstr(&text, " without a clear answer");
    }
    if (c->no > 0) {
        out_cstr(&text, "; ");
        out_count(&text, c->no);
        out_cstr(&text, " refused");
    }
    out_cstr(&text, ". Bar: fastest to slowest; dark: the middle; by the moment of sending");
    out_copy(scene->about, sizeof scene->about, str_of(text.data));
    out_free(&text);
    item = scene_text(scene, 250, 210, SCENE_LEFT, 150, THEME_INK, scene->title);
    item->bold = true;
    scene_text(scene, 250, 390, SCENE_LEFT, 85, THEME_MUTED, scene->about);
}

bool clients_draw(struct scene *scene, const struct digest *digest)
{
    struct clients *c = calloc(1, sizeof *c);
    bool any = digest->story->background.op_count > 0;
    int32_t top;
    int32_t above;
    int32_t bottom;
    int32_t rate;

    ASSERT(c != NULL);
    scene_init(scene, "clients");
    c->bands = (struct bands){scene, digest, LEFT, WIDTH};
    if (any) fill(c);
    any = any && c->ok + c->unknown + c->no > 0;
    if (any) {
        draw_title(c);
        top = 560;
        above = top + (int32_t)bands_rows(&c->bands) * BANDS_ROW + 160;
        bottom = above + (c->no > 0 ? 350 : 200) + HIGH;
        rate = bottom + RATE + 120;
        scene->width = LEFT + WIDTH + 700;
        scene->height = rate + 330;
        (void)bands_draw(&c->bands, top, rate, true);
        bands_axis(&c->bands, bottom - HIGH, rate);
        draw_scale(c, bottom);
        if (c->unknown > 0)
            scene_text(scene, LEFT - 80, above, SCENE_RIGHT, 80, THEME_CONTROLLER, "unknown");
        if (c->no > 0)
            scene_text(scene, LEFT - 80, above + 150, SCENE_RIGHT, 80, THEME_INK, "refused");
        for (uint32_t i = 0; i < BINS; i++)
            draw_bin(c, i, bottom, above);
        draw_rate(c, rate);
        scene_sort(scene);
    }
    free(c);
    return any;
}

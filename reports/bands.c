#include "reports/bands.h"

#include "client/base/assert.h"

#include <stdio.h>
#include <string.h>

enum { FONT = 80, GAP = 60, TICKS = 8 };

static int64_t span(const struct digest *digest)
{
    return digest->to_ns - digest->from_ns > 1000 ? digest->to_ns - digest->from_ns : 1000;
}

int32_t bands_x(const struct bands *bands, int64_t time_ns)
{
    const struct digest *digest = bands->digest;
    int64_t length = span(digest);
    int64_t at = time_ns - digest->from_ns;

    if (at < 0) at = 0;
    if (at > length) at = length;
    if (length > INT64_MAX / 100000) { /* years: whole parts are enough */
        length /= 100000;
        at /= 100000;
    }
    return bands->left + (int32_t)(at * bands->width / length);
}

void bands_axis(const struct bands *bands, int32_t top, int32_t bottom)
{
    static const int64_t factors[] = {2, 5, 10};
    const struct digest *digest = bands->digest;
    int64_t step = 1000; /* ns */
    int64_t first;

    for (int64_t ten = 1000; span(digest) / step > TICKS; ten *= 10) {
        for (uint32_t i = 0; i < COUNT_OF(factors) && span(digest) / step > TICKS; i++)
            step = ten * factors[i];
    }
    first = (digest->from_ns + step - 1) / step * step;
    for (int64_t t = first; t <= digest->to_ns; t += step) {
        int32_t x = bands_x(bands, t);
        struct out text = {.data = NULL};

        out_seconds(&text, t);
        scene_line(bands->scene, SCENE_BANDS, (struct scene_box){x, top, x, bottom}, THEME_SOFT, 8,
                   SCENE_SOLID, "tick");
        scene_text(bands->scene, x, bottom + 90, SCENE_MIDDLE, 80, THEME_MUTED, text.data);
        out_free(&text);
    }
}

/* Down is drawn where its fault was: the fault's bar then lasts as long as the node is gone. */
static int64_t lasts_until(const struct background *background, uint32_t at)
{
    const struct background_fault *fault = &background->faults[at];

    if (fault->sort != BACKGROUND_MOMENT) return fault->end_ns;
    for (uint32_t i = at + 1; i < background->fault_count; i++) {
        const struct background_fault *next = &background->faults[i];

        if (next->begin_ns > fault->begin_ns) break;
        if (next->sort == BACKGROUND_DOWN && next->node == fault->node) return next->end_ns;
    }
    return fault->end_ns;
}

static bool told_by_its_fault(const struct background *background, uint32_t at)
{
    const struct background_fault *fault = &background->faults[at];

    if (fault->sort != BACKGROUND_DOWN) return false;
    for (uint32_t i = at; i-- > 0;) {
        const struct background_fault *before = &background->faults[i];

        if (before->begin_ns < fault->begin_ns) return false;
        if (before->sort == BACKGROUND_MOMENT && before->node == fault->node) return true;
    }
    return false;
}

struct band {
    int32_t x0;
    int32_t x1;
    bool lasts;
    char text[BACKGROUND_TEXT + 24];
};

/* False: nothing to draw of this one. */
static bool band_of(const struct bands *bands, uint32_t at, struct band *band)
{
    const struct story *story = bands->digest->story;
    const struct background_fault *fault = &story->background.faults[at];
    int64_t end_ns = lasts_until(&story->background, at);
    struct out length = {.data = NULL};

    if (told_by_its_fault(&story->background, at)) return false;
    if (end_ns < bands->digest->from_ns || fault->begin_ns > bands->digest->to_ns) return false;
    band->lasts = end_ns > fault->begin_ns;
    band->x0 = bands_x(bands, fault->begin_ns);
    band->x1 = bands_x(bands, end_ns);
    if (band->x1 < band->x0 + 24) band->x1 = band->x0 + 24;
    if (fault->sort == BACKGROUND_DOWN)
        snprintf(band->text, sizeof band->text, "%.60s: %.40s", story_node_name(story, fault->node),
                 fault->text);
    else
        snprintf(band->text, sizeof band->text, "%s", fault->text);
    if (band->lasts) {
        size_t used = strlen(band->text);

        out_duration(&length, end_ns - fault->begin_ns);
        snprintf(band->text + used, sizeof band->text - used, ", %.16s", length.data);
    }
    out_free(&length);
    return true;
}

uint32_t bands_rows(const struct bands *bands)
{
    struct band band;
    uint32_t count = 0;

    for (uint32_t i = 0; i < bands->digest->story->background.fault_count; i++)
        count += band_of(bands, i, &band);
    if (bands->digest->story->violation >= 0) count++;
    return count < BANDS_ROWS ? count : BANDS_ROWS;
}

static bool place_bar(const struct bands *bands, const struct band *band, int32_t top)
{
    int32_t width = scene_text_width(band->text, FONT, false) * 115 / 100 + GAP;
    int32_t edge = bands->left + bands->width + 500;

    for (int32_t row = 0; row < BANDS_ROWS; row++) {
        int32_t y = top + row * BANDS_ROW;
        bool left = band->x1 + width > edge;
        struct scene_box box = {left ? band->x0 - width : band->x0, y + 10,
                                left ? band->x1 : band->x1 + width, y + BANDS_ROW - 20};
        struct scene_item item = {.shape = SCENE_RECT,
                                  .layer = SCENE_LANES,
                                  .box = {band->x0, y + 35, band->x1, y + BANDS_ROW - 45},
                                  .fill = band->lasts ? THEME_RED_PALE : THEME_RED,
                                  .stroke = THEME_RED,
                                  .ink = THEME_RED,
                                  .pen = 8,
                                  .class = "fault"};

        if (box.x0 < 0 || !scene_clear(bands->scene, box)) continue;
        scene_take(bands->scene, box);
        scene_add(bands->scene, item, NULL, band->text);
        scene_text(bands->scene, left ? band->x0 - GAP / 2 : band->x1 + GAP / 2,
                   y + BANDS_ROW / 2 - 5, left ? SCENE_RIGHT : SCENE_LEFT, FONT, THEME_RED,
                   band->text)
            ->label = true;
        return true;
    }
    return false;
}

uint32_t bands_draw(const struct bands *bands, int32_t top, int32_t bottom, bool behind)
{
    const struct story *story = bands->digest->story;
    uint32_t missing = 0;
    struct band band;

    if (story->violation >= 0) { /* first: it has the best place */
        const struct story_event *event = &story->events[story->violation];
        int32_t x = bands_x(bands, event->time_ns);

        if (event->time_ns >= bands->digest->from_ns && event->time_ns <= bands->digest->to_ns) {
            band = (struct band){x, x + 24, false, "\xe2\x9c\x97 violated"};
            (void)place_bar(bands, &band, top);
            scene_line(bands->scene, SCENE_FAULTS, (struct scene_box){x, top, x, bottom}, THEME_RED,
                       16, SCENE_SOLID, "violation");
        }
    }
    for (uint32_t i = 0; i < story->background.fault_count; i++) {
        if (!band_of(bands, i, &band)) continue;
        missing += !place_bar(bands, &band, top);
        if (band.lasts && behind)
            scene_rect(bands->scene, SCENE_BANDS,
                       (struct scene_box){band.x0, top + BANDS_ROW / 2, band.x1, bottom},
                       THEME_RED_PALE, THEME_NONE, "fault", band.text);
        else if (!band.lasts)
            scene_line(bands->scene, SCENE_FAULTS,
                       (struct scene_box){band.x0, top + BANDS_ROW / 2, band.x0, bottom}, THEME_RED,
                       9, SCENE_DASHED, "fault");
    }
    return missing;
}

void bands_behind(const struct bands *bands, int32_t node, int32_t top, int32_t bottom)
{
    const struct background *background = &bands->digest->story->background;
    struct band band;

    for (uint32_t i = 0; i < background->fault_count; i++) {
        if (background->faults[i].node != node || !band_of(bands, i, &band) || !band.lasts)
            continue;
        scene_rect(bands->scene, SCENE_BANDS, (struct scene_box){band.x0, top, band.x1, bottom},
                   THEME_RED_PALE, THEME_NONE, "fault", band.text);
    }
}

#include "reports/scene.h"

#include "client/base/assert.h"

#include <stdlib.h>
#include <string.h>

/* Helvetica's advance widths of ' ' to '~', in thousandths (its AFM file). */
static const uint16_t widths[95] = {
    278,  278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, /*  !"#.. / */
    556,  556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, /* 0 .. ?   */
    1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778, /* @ .. O   */
    667,  778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, /* P .. _   */
    333,  556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, /* ` .. o   */
    556,  556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584};     /* p .. ~   */

void scene_init(struct scene *scene, const char *name)
{
    *scene = (struct scene){.name = name};
    out_bytes(&scene->strings, "", 1);
}

void scene_free(struct scene *scene)
{
    free(scene->items);
    free(scene->taken);
    out_free(&scene->strings);
    *scene = (struct scene){.name = NULL};
}

static uint32_t keep(struct scene *scene, const char *text)
{
    uint32_t at = (uint32_t)scene->strings.length;

    if (text == NULL || text[0] == '\0') return 0;
    out_bytes(&scene->strings, text, strlen(text) + 1);
    return at;
}

const char *scene_string(const struct scene *scene, uint32_t string)
{
    return scene->strings.data + string;
}

struct scene_item *scene_add(struct scene *scene, struct scene_item item, const char *text,
                             const char *tooltip)
{
    if (scene->count == scene->capacity) {
        scene->capacity = scene->capacity > 0 ? 2 * scene->capacity : 64;
        scene->items = realloc(scene->items, scene->capacity * sizeof scene->items[0]);
        ASSERT(scene->items != NULL);
    }
    item.text = keep(scene, text);
    item.tooltip = keep(scene, tooltip);
    scene->items[scene->count] = item;
    return &scene->items[scene->count++];
}

void scene_sort(struct scene *scene)
{
    struct scene_item *sorted = calloc(scene->count + 1, sizeof sorted[0]);
    uint32_t count = 0;

    ASSERT(sorted != NULL);
    for (int layer = SCENE_BANDS; layer <= SCENE_TEXTS; layer++) {
        for (uint32_t i = 0; i < scene->count; i++) {
            if ((int)scene->items[i].layer == layer) sorted[count++] = scene->items[i];
        }
    }
    free(scene->items);
    scene->items = sorted;
    scene->capacity = scene->count + 1;
}

bool scene_overlap(struct scene_box a, struct scene_box b)
{
    return a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1;
}

void scene_take(struct scene *scene, struct scene_box box)
{
    if (scene->taken_count == scene->taken_capacity) {
        scene->taken_capacity = scene->taken_capacity > 0 ? 2 * scene->taken_capacity : 64;
        scene->taken = realloc(scene->taken, scene->taken_capacity * sizeof scene->taken[0]);
        ASSERT(scene->taken != NULL);
    }
    scene->taken[scene->taken_count++] = box;
}

bool scene_clear(const struct scene *scene, struct scene_box box)
{
    if (box.x0 < 0 || box.y0 < 0 || box.x1 > scene->width) return false;
    for (uint32_t i = 0; i < scene->taken_count; i++) {
        if (scene_overlap(scene->taken[i], box)) return false;
    }
    return true;
}

int32_t scene_text_width(const char *text, int32_t font, bool bold)
{
    int64_t sum = 0;

    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at >= 0x20 && *at < 0x7f)
            sum += widths[*at - 0x20];
        else if (*at >= 0xe0)
            sum += 900;
        else if (*at >= 0xc0 || *at < 0x80)
            sum += 600;
    }
    if (bold) sum = sum * 107 / 100;
    return (int32_t)(sum * font / 1000);
}

struct scene_item *scene_text(struct scene *scene, int32_t x, int32_t y, enum scene_align align,
                              int32_t font, enum theme ink, const char *text)
{
    int32_t width = scene_text_width(text, font, false) * 115 / 100;
    int32_t left = align == SCENE_LEFT ? x : align == SCENE_RIGHT ? x - width : x - width / 2;

    return scene_add(
        scene,
        (struct scene_item){.shape = SCENE_TEXT,
                            .layer = SCENE_TEXTS,
                            .box = {left, y - font * 65 / 100, left + width, y + font * 65 / 100},
                            .fill = THEME_NONE,
                            .stroke = THEME_NONE,
                            .ink = ink,
                            .font = font,
                            .align = align,
                            .class = "txt"},
        text, NULL);
}

/* Length of the longest beginning that fits, cut at a blank. */
static size_t fitting(const char *text, int32_t font, bool bold, int32_t width)
{
    char line[512];
    size_t best = 0;
    size_t length = strlen(text);

    if (length >= sizeof line) length = sizeof line - 1;
    for (size_t i = 1; i <= length; i++) {
        if (text[i] != '\0' && text[i] != ' ') continue;
        memcpy(line, text, i);
        line[i] = '\0';
        if (scene_text_width(line, font, bold) > width) break;
        best = i;
    }
    if (best > 0) return best;
    for (best = length; best > 1; best--) { /* one long word */
        if (((unsigned char)text[best] & 0xc0) == 0x80) continue;
        memcpy(line, text, best);
        line[best] = '\0';
        if (scene_text_width(line, font, bold) <= width) break;
    }
    return best;
}

uint32_t scene_paragraph(struct scene *scene, struct scene_item like, int32_t x, int32_t y,
                         int32_t width, uint32_t lines, const char *text)
{
    uint32_t count = 0;

    while (*text != '\0' && count < lines) {
        size_t length = fitting(text, like.font, like.bold, width);
        char line[520];
        struct scene_item *item;

        out_copy(line, sizeof line - 4, (struct str){text, (uint32_t)length});
        text += length;
        while (*text == ' ')
            text++;
        if (*text != '\0' && count + 1 == lines) strcat(line, "\xe2\x80\xa6");
        item = scene_text(scene, x, y + (int32_t)count * like.font * 125 / 100, SCENE_LEFT,
                          like.font, like.ink, line);
        item->bold = like.bold;
        item->class = like.class != NULL ? like.class : item->class;
        if (count == 0) {
            item->event = like.event;
            item->marks = like.marks;
        }
        count++;
    }
    return count;
}

void scene_rect(struct scene *scene, enum scene_layer layer, struct scene_box box, enum theme fill,
                enum theme stroke, const char *class, const char *tooltip)
{
    scene_add(scene,
              (struct scene_item){.shape = SCENE_RECT,
                                  .layer = layer,
                                  .box = box,
                                  .fill = fill,
                                  .stroke = stroke,
                                  .ink = THEME_INK,
                                  .pen = stroke == THEME_NONE ? 0 : 9,
                                  .class = class},
              NULL, tooltip);
}

void scene_line(struct scene *scene, enum scene_layer layer, struct scene_box box,
                enum theme stroke, int32_t pen, enum scene_dash dash, const char *class)
{
    scene_add(scene,
              (struct scene_item){.shape = SCENE_LINE,
                                  .layer = layer,
                                  .box = box,
                                  .fill = THEME_NONE,
                                  .stroke = stroke,
                                  .ink = THEME_INK,
                                  .pen = pen,
                                  .dash = dash,
                                  .class = class},
              NULL, NULL);
}

/* A figure as a list of marks, before any back end: rectangles, texts, lines at given places. All
 * placing happens here, so it can be tested without Graphviz.
 *
 * Lengths are tenths of a point, y grows downwards. Marks are painted by layer, within a layer in
 * the order in which they were added. `taken` are the boxes that labels keep clear of. */
#ifndef REPORTS_SCENE_H
#define REPORTS_SCENE_H

#include "reports/out.h"
#include "reports/theme.h"

enum scene_shape { SCENE_RECT, SCENE_ROUND, SCENE_TEXT, SCENE_LINE, SCENE_ARROW };
enum scene_align { SCENE_MIDDLE, SCENE_LEFT, SCENE_RIGHT };
enum scene_dash { SCENE_SOLID, SCENE_DASHED, SCENE_DOTTED };
enum scene_layer {
    SCENE_BANDS,
    SCENE_LANES,
    SCENE_CUTS,
    SCENE_ARROWS,
    SCENE_FAULTS,
    SCENE_CHIPS,
    SCENE_LABELS,
    SCENE_TEXTS,
};

struct scene_box {
    int32_t x0;
    int32_t y0;
    int32_t x1;
    int32_t y1;
};

struct scene_item {
    enum scene_shape shape;
    enum scene_layer layer;
    struct scene_box box; /* of a line: from (x0, y0) to (x1, y1) */
    enum theme fill;      /* THEME_NONE: none */
    enum theme stroke;
    enum theme ink; /* of the text */
    int32_t pen;    /* width of the stroke */
    enum scene_dash dash;
    int32_t font; /* size; 0: no text */
    enum scene_align align;
    bool bold;
    bool italic;
    bool strike;
    bool label;        /* one of those that may not overlap */
    uint64_t event;    /* number in the trace of the first event it marks, 0 */
    uint32_t marks;    /* how many events of the digest it marks */
    const char *class; /* words for style sheets; static */
    uint32_t text;     /* scene_string(); 0: none */
    uint32_t tooltip;
};

struct scene {
    const char *name; /* "spacetime": prefix of the ids on a page; static */
    char title[128];
    char about[256]; /* one sentence that tells the plot */
    int32_t width;
    int32_t height;
    struct scene_item *items; /* owned */
    uint32_t count;
    uint32_t capacity;
    struct scene_box *taken; /* owned */
    uint32_t taken_count;
    uint32_t taken_capacity;
    uint32_t dropped; /* labels that found no place */
    struct out strings;
};

void scene_init(struct scene *scene, const char *name);
void scene_free(struct scene *scene);
/* text, tooltip: copied; NULL none. Returns the item, valid until the next is added. */
struct scene_item *scene_add(struct scene *scene, struct scene_item item, const char *text,
                             const char *tooltip);
const char *scene_string(const struct scene *scene, uint32_t string);
/* By layer; call once, before a back end paints. */
void scene_sort(struct scene *scene);

void scene_take(struct scene *scene, struct scene_box box);
bool scene_clear(const struct scene *scene, struct scene_box box);
bool scene_overlap(struct scene_box a, struct scene_box b);

/* Width of a text in Helvetica (Arial and Liberation Sans have the same). */
int32_t scene_text_width(const char *text, int32_t font, bool bold);
/* A text without a frame at a height; box from its width. */
struct scene_item *scene_text(struct scene *scene, int32_t x, int32_t y, enum scene_align align,
                              int32_t font, enum theme ink, const char *text);
/* In lines of at most `width`, at most `lines` of them; returns how many. */
uint32_t scene_paragraph(struct scene *scene, struct scene_item like, int32_t x, int32_t y,
                         int32_t width, uint32_t lines, const char *text);
void scene_rect(struct scene *scene, enum scene_layer layer, struct scene_box box, enum theme fill,
                enum theme stroke, const char *class, const char *tooltip);
void scene_line(struct scene *scene, enum scene_layer layer, struct scene_box box,
                enum theme stroke, int32_t pen, enum scene_dash dash, const char *class);

#endif

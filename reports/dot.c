#include "reports/dot.h"

#include <stdlib.h>

static void points(struct out *out, int32_t tenths)
{
    out_format(out, "%s%d.%d", tenths < 0 ? "-" : "", abs(tenths) / 10, abs(tenths) % 10);
}

static void inches(struct out *out, int32_t tenths)
{
    int64_t parts = (int64_t)(tenths > 1 ? tenths : 1) * 10000 / 720;

    out_format(out, "%lld.%04lld", (long long)(parts / 10000), (long long)(parts % 10000));
}

static void place(struct out *out, int32_t x, int32_t y)
{
    points(out, x);
    out_cstr(out, ",");
    points(out, -y); /* Graphviz counts upwards */
}

static void common(struct out *out, const struct scene *scene, const struct scene_item *item)
{
    if (item->class != NULL) out_format(out, " class=\"%s\"", item->class);
    if (item->event > 0)
        out_format(out, " id=\"%s-e%llu\"", scene->name, (unsigned long long)item->event);
    if (item->tooltip != 0) {
        out_cstr(out, " tooltip=\"");
        out_dot(out, scene_string(scene, item->tooltip));
        out_cstr(out, "\"");
    }
    out_cstr(out, "];\n");
}

/* Bold, italic or struck, and not centred: only a table of one cell keeps to its edge. */
static void table(struct out *out, const struct scene *scene, const struct scene_item *item,
                  int32_t width)
{
    int w = width / 10;
    int h = (item->box.y1 - item->box.y0) / 10;

    out_format(out,
               " label=<<TABLE BORDER=\"0\" CELLBORDER=\"0\" CELLSPACING=\"0\" CELLPADDING=\"0\" "
               "FIXEDSIZE=\"TRUE\" WIDTH=\"%d\" HEIGHT=\"%d\"><TR><TD WIDTH=\"%d\" ALIGN=\"%s\">",
               w, h, w, item->align == SCENE_RIGHT ? "RIGHT" : "LEFT");
    out_cstr(out, item->bold ? "<B>" : item->italic ? "<I>" : "<S>");
    out_html(out, scene_string(scene, item->text));
    out_cstr(out, item->bold ? "</B>" : item->italic ? "</I>" : "</S>");
    out_cstr(out, "</TD></TR></TABLE>>");
}

static void label(struct out *out, const struct scene *scene, const struct scene_item *item,
                  int32_t width)
{
    bool plain = !item->bold && !item->italic && !item->strike;

    if (item->text == 0) {
        out_cstr(out, " label=\"\"");
    } else if (plain) {
        out_cstr(out, " label=\"");
        out_dot(out, scene_string(scene, item->text));
        out_cstr(out, item->align == SCENE_LEFT    ? "\\l\""
                      : item->align == SCENE_RIGHT ? "\\r\""
                                                   : "\"");
    } else if (item->align == SCENE_MIDDLE) {
        out_cstr(out, item->bold ? " label=<<B>" : item->italic ? " label=<<I>" : " label=<<S>");
        out_html(out, scene_string(scene, item->text));
        out_cstr(out, item->bold ? "</B>>" : item->italic ? "</I>>" : "</S>>");
    } else {
        table(out, scene, item, width);
    }
    if (item->text == 0) return;
    out_cstr(out, " fontsize=");
    points(out, item->font);
    out_format(out, " fontcolor=\"%s\"", theme_light(item->ink));
}

/* A text's own box is made wide, so that no font makes Graphviz complain; its edge stays. */
static void node(struct out *out, const struct scene *scene, const struct scene_item *item,
                 uint32_t number)
{
    struct scene_box box = item->box;
    bool anchored = item->shape == SCENE_TEXT && item->align != SCENE_MIDDLE;

    if (anchored) {
        int32_t more = (box.x1 - box.x0) * 2 / 5 + 120;

        /* Never beyond the page: the figure would grow with it. */
        if (item->align == SCENE_LEFT)
            box.x1 = box.x1 + more < scene->width ? box.x1 + more : scene->width;
        else
            box.x0 = box.x0 > more ? box.x0 - more : 0;
        box.y0 -= item->font / 2;
        box.y1 += item->font / 2;
    }
    out_format(out, "  n%u [pos=\"", number);
    place(out, (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2);
    out_cstr(out, "!\" width=");
    inches(out, box.x1 - box.x0);
    out_cstr(out, " height=");
    inches(out, box.y1 - box.y0);
    if (!anchored && item->text != 0) out_cstr(out, " fixedsize=shape");
    if (item->shape == SCENE_TEXT) {
        out_cstr(out, " peripheries=0");
    } else {
        out_format(out, " style=\"%s%s%s\"", item->fill != THEME_NONE ? "filled" : "solid",
                   item->shape == SCENE_ROUND ? ",rounded" : "",
                   item->dash == SCENE_DASHED   ? ",dashed"
                   : item->dash == SCENE_DOTTED ? ",dotted"
                                                : "");
        if (item->fill != THEME_NONE) out_format(out, " fillcolor=\"%s\"", theme_light(item->fill));
        if (item->stroke != THEME_NONE) {
            out_format(out, " color=\"%s\" penwidth=", theme_light(item->stroke));
            points(out, item->pen);
        } else {
            out_cstr(out, " peripheries=0");
        }
    }
    label(out, scene, item, box.x1 - box.x0);
    common(out, scene, item);
}

/* Integer square root, for the length of a line. */
static int64_t root(int64_t square)
{
    int64_t low = 0;
    int64_t high = 3000000;

    while (low < high) {
        int64_t middle = (low + high + 1) / 2;

        if (middle * middle <= square)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static void line(struct out *out, const struct scene *scene, const struct scene_item *item,
                 uint32_t number)
{
    int32_t x0 = item->box.x0, y0 = item->box.y0, x1 = item->box.x1, y1 = item->box.y1;
    int32_t dx = x1 - x0;
    int32_t dy = y1 - y0;
    bool arrow = item->shape == SCENE_ARROW;

    out_format(out, "  p%u [shape=point style=invis width=0.01 height=0.01 pos=\"", number);
    place(out, x0, y0);
    out_format(out, "!\"];\n  q%u [shape=point style=invis width=0.01 height=0.01 pos=\"", number);
    place(out, x1, y1);
    out_format(out, "!\"];\n  p%u -> q%u [pos=\"", number, number);
    if (arrow) {
        int64_t length = root((int64_t)dx * dx + (int64_t)dy * dy);

        out_cstr(out, "e,");
        place(out, x1, y1);
        out_cstr(out, " ");
        if (length > 60) { /* the line ends where the head begins */
            dx -= (int32_t)((int64_t)dx * 55 / length);
            dy -= (int32_t)((int64_t)dy * 55 / length);
        }
    }
    for (int32_t i = 0; i <= 3; i++) {
        if (i > 0) out_cstr(out, " ");
        place(out, x0 + dx * i / 3, y0 + dy * i / 3);
    }
    out_format(out, "\" color=\"%s\" penwidth=", theme_light(item->stroke));
    points(out, item->pen);
    out_format(out, " style=%s",
               item->dash == SCENE_DASHED   ? "dashed"
               : item->dash == SCENE_DOTTED ? "dotted"
                                            : "solid");
    if (!arrow) out_cstr(out, " arrowhead=none");
    common(out, scene, item);
}

void dot_write(struct out *out, const struct scene *scene)
{
    out_cstr(out, "// layout: neato -n2 (every place is given, nothing is computed)\ndigraph ");
    out_format(out,
               "%s {\n  graph [bgcolor=\"%s\" pad=0 outputorder=breadthfirst "
               "fontname=\"Helvetica,Arial,sans-serif\" class=\"gregor %s\"];\n",
               scene->name, theme_light(THEME_PAPER), scene->name);
    out_cstr(out, "  node [shape=box fixedsize=true label=\"\" margin=0 "
                  "fontname=\"Helvetica,Arial,sans-serif\"];\n  edge [arrowsize=0.55];\n");
    /* Two corners keep the page's size, whatever is on it. */
    out_cstr(out, "  a [shape=point style=invis width=0.01 height=0.01 pos=\"0,0!\"];\n"
                  "  b [shape=point style=invis width=0.01 height=0.01 pos=\"");
    place(out, scene->width, scene->height);
    out_cstr(out, "!\"];\n");
    for (uint32_t i = 0; i < scene->count; i++) {
        const struct scene_item *item = &scene->items[i];

        if (item->shape == SCENE_LINE || item->shape == SCENE_ARROW)
            line(out, scene, item, i);
        else
            node(out, scene, item, i);
    }
    out_cstr(out, "}\n");
}

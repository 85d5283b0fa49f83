/* The page of `gregor-sim diff --out`: where two runs part, in words, turn by turn, node by node,
 * and the whole of both beneath each other. */
#include "reports/compare.h"
#include "reports/dot.h"
#include "reports/figures.h"
#include "reports/page.h"
#include "reports/svg.h"

#include "client/base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIGURES = 3 };

struct comparison {
    const struct reports_compare *wanted;
    struct story stories[2];
    struct digest digests[2];
    struct out files[2];
    struct compare *compare;
    struct out svgs[FIGURES];
    struct reports_result result;
    bool failed; /* to write */
};

static const char *const figure_names[FIGURES] = {"compare", "gantt_one", "gantt_other"};

/* ---- figures --------------------------------------------------------------------------------- */

static void paint(struct comparison *c, uint32_t number, struct scene *scene)
{
    struct out dot = {.data = NULL};
    char dot_path[4096];
    char svg_path[4096];

    scene->name = figure_names[number];
    snprintf(dot_path, sizeof dot_path, "%s/%s.dot", c->wanted->directory, scene->name);
    snprintf(svg_path, sizeof svg_path, "%s/%s.svg", c->wanted->directory, scene->name);
    dot_write(&dot, scene);
    c->result.dropped += scene->dropped;
    c->failed = c->failed || !out_write_file(&dot, dot_path);
    if (!c->failed && c->result.note[0] == '\0') {
        enum svg_result drawn = svg_render(&c->svgs[number], scene, dot_path, svg_path, NULL);

        if (drawn == SVG_MISSING)
            out_copy(c->result.note, sizeof c->result.note, STR(PAGE_NO_GRAPHVIZ));
        if (drawn == SVG_FAILED)
            snprintf(c->result.note, sizeof c->result.note, "Graphviz could not draw %s.dot",
                     scene->name);
        c->result.figures = c->result.figures && drawn == SVG_DONE;
    }
    out_free(&dot);
}

static void paint_all(struct comparison *c)
{
    struct scene scene;

    compare_draw(&scene, c->compare, c->wanted->names);
    paint(c, 0, &scene);
    scene_free(&scene);
    for (uint32_t i = 0; i < 2; i++) {
        /* Both on one scale of time. */
        c->digests[i].to_ns =
            c->digests[0].to_ns > c->digests[1].to_ns ? c->digests[0].to_ns : c->digests[1].to_ns;
        if (gantt_draw(&scene, &c->digests[i])) paint(c, 1 + i, &scene);
        scene_free(&scene);
    }
}

/* ---- the page -------------------------------------------------------------------------------- */

static void write_who(struct out *out, int32_t node)
{
    if (node < 0)
        out_cstr(out, "the simulator");
    else
        out_format(out, "node %d", (int)node);
}

static void write_side(struct out *out, const char *name, const char *words)
{
    out_cstr(out, "<br><b>");
    out_html(out, name);
    out_cstr(out, "</b>: ");
    out_html(out, words != NULL ? words : "nothing more");
}

static void write_verdict(struct out *out, const struct comparison *c)
{
    const struct reports_parting *first = c->wanted->partings;

    out_format(out, "<div class=\"verdict%s\">",
               c->wanted->parting_count > 0 && first->differs ? "" : " good");
    if (c->wanted->parting_count > 0 && first->differs) {
        out_cstr(out, "<span class=\"word bad\">They part at ");
        out_seconds(out, first->time_ns);
        out_cstr(out, " s, on ");
        write_who(out, first->node);
        out_cstr(out, ".</span>");
        write_side(out, c->wanted->names[0], first->one);
        write_side(out, c->wanted->names[1], first->other);
    } else {
        out_cstr(out, "<span class=\"word good\">The same events.</span>");
    }
    out_cstr(out, "</div>\n");
}

static void write_spread(struct out *out, const struct comparison *c)
{
    const struct reports_compare *wanted = c->wanted;

    out_cstr(out, "<section id=\"spread\"><h2>How it spreads</h2>\n<div class=\"scroll\" "
                  "tabindex=\"0\" role=\"region\" aria-label=\"how it spreads\"><table><thead><tr>"
                  "<th>where</th><th class=\"n\">s</th><th class=\"n\">agree</th><th class=\"n\">"
                  "only left</th><th class=\"n\">only right</th><th>left</th><th>right</th></tr>"
                  "</thead><tbody>\n");
    for (uint32_t i = 0; i < wanted->parting_count; i++) {
        const struct reports_parting *at = &wanted->partings[i];

        out_format(out, "<tr data-node=\"%d\"><th scope=\"row\">", (int)at->node);
        write_who(out, at->node);
        out_cstr(out, "</th><td class=\"n\">");
        if (at->differs)
            out_seconds(out, at->time_ns);
        else
            out_cstr(out, "same");
        out_cstr(out, "</td><td class=\"n\">");
        out_count(out, at->agreed);
        out_cstr(out, "</td><td class=\"n\">");
        out_count(out, at->only_one);
        out_cstr(out, "</td><td class=\"n\">");
        out_count(out, at->only_other);
        out_cstr(out, "</td><td>");
        if (at->differs) out_html(out, at->one != NULL ? at->one : "nothing more");
        out_cstr(out, "</td><td>");
        if (at->differs) out_html(out, at->other != NULL ? at->other : "nothing more");
        out_cstr(out, "</td></tr>\n");
    }
    out_cstr(out, "</tbody></table></div></section>\n");
}

static void write_list(struct out *out, const struct comparison *c)
{
    out_format(out, "<details%s><summary>The same as text</summary>\n<pre>",
               c->result.figures ? "" : " open");
    for (uint32_t i = 0; i < c->compare->shown; i++) {
        const struct compare_row *row = &c->compare->rows[i];
        bool both = row->one >= 0 && row->other >= 0;
        uint32_t side = row->one >= 0 ? 0 : 1;

        if (row->folded > 0) {
            out_format(out, "  \xe2\x8b\xae %u the same\n", row->folded);
            continue;
        }
        const struct compare_turn *turn =
            &c->compare->sides[side].turns[side == 0 ? row->one : row->other];

        out_cstr(out, both ? "  " : side == 0 ? "< " : "> ");
        out_seconds(out, turn->time_ns);
        out_cstr(out, " ");
        out_html(out, turn->words);
        out_cstr(out, "\n");
    }
    out_cstr(out, "</pre></details>\n");
}

static void write_figure(struct out *out, const struct comparison *c, uint32_t number,
                         const char *heading)
{
    if (c->svgs[number].data == NULL) return;
    out_format(out, "<section id=\"%s\"><h2>", figure_names[number]);
    out_html(out, heading);
    out_cstr(out, "</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"");
    out_html(out, heading);
    out_cstr(out, "\">\n");
    out_cstr(out, c->svgs[number].data);
    out_format(out,
               "</div>\n<p class=\"mute\">Files: <a href=\"%s.dot\">DOT</a>, "
               "<a href=\"%s.svg\">SVG</a></p></section>\n",
               figure_names[number], figure_names[number]);
}

static bool write_page(struct comparison *c)
{
    const char *const *names = c->wanted->names;
    struct out out = {.data = NULL};
    char title[256];
    char path[4096];
    bool written;

    snprintf(title, sizeof title, "%.100s and %.100s", names[0], names[1]);
    page_begin(&out, title);
    out_cstr(&out, "<header><h1>");
    out_html(&out, title);
    out_cstr(&out, "</h1>\n");
    write_verdict(&out, c);
    out_cstr(&out, "</header>\n");
    if (c->result.note[0] != '\0') {
        out_cstr(&out, "<p>");
        out_html(&out, c->result.note);
        out_cstr(&out, "</p>\n");
    }
    write_figure(&out, c, 0, "Turn by turn");
    if (c->compare->shown < c->compare->row_count) {
        out_cstr(&out, "<p class=\"mute\" id=\"leftout\">");
        out_count(&out, c->compare->row_count - c->compare->shown);
        out_cstr(&out, " more rows, later ones, are left out.</p>\n");
    }
    write_list(&out, c);
    write_spread(&out, c);
    write_figure(&out, c, 1, names[0]);
    write_figure(&out, c, 2, names[1]);
    page_end(&out);
    snprintf(path, sizeof path, "%s/compare.html", c->wanted->directory);
    written = out_write_file(&out, path);
    out_free(&out);
    return written;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* One of the two; the other is told about the same partition. */
static enum err read_side(struct comparison *c, uint32_t side, const char *focus)
{
    const struct reports_run *run = side == 0 ? c->wanted->one : c->wanted->other;
    struct bytes trace = run->trace;
    enum err err;

    if (run->trace_path != NULL) {
        if (!out_read_file(&c->files[side], run->trace_path)) return ERR_NOT_FOUND;
        if (c->files[side].length > UINT32_MAX) return ERR_TOO_LARGE;
        trace =
            (struct bytes){(const uint8_t *)c->files[side].data, (uint32_t)c->files[side].length};
    }
    err = story_read(&c->stories[side], trace, run->focus != NULL ? run->focus : focus);
    if (err == ERR_NONE) digest_make(&c->digests[side], &c->stories[side], DIGEST_ROWS);
    return err;
}

enum err reports_render_compare(const struct reports_compare *compare,
                                struct reports_result *result)
{
    struct comparison *c = calloc(1, sizeof *c);
    enum err err;

    ASSERT(c != NULL);
    *c = (struct comparison){.wanted = compare, .result = {.figures = true}};
    err = read_side(c, 0, compare->other->focus);
    if (err == ERR_NONE)
        err = read_side(c, 1, c->stories[0].has_focus ? c->stories[0].focus : NULL);
    if (err == ERR_NONE) {
        c->compare = compare_make(&c->stories[0], &c->stories[1]);
        paint_all(c);
        c->result.rows = c->compare->shown;
        if (c->failed || !write_page(c)) err = ERR_IO;
        compare_free(c->compare);
    }
    if (err == ERR_NONE && result != NULL) *result = c->result;
    for (uint32_t i = 0; i < 2; i++) {
        digest_free(&c->digests[i]);
        story_free(&c->stories[i]);
        out_free(&c->files[i]);
    }
    for (uint32_t i = 0; i < FIGURES; i++)
        out_free(&c->svgs[i]);
    free(c);
    return err;
}

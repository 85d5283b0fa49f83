/* The page of `gregor-sim why`: from where on the failure could not be avoided, how that was found
 * out, and the chain that leads from there to the violation, drawn and as a list. */
#include "reports/chain.h"
#include "reports/dot.h"
#include "reports/page.h"
#include "reports/svg.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct reports_why_point *point_at(const struct reports_why *why, uint64_t event,
                                                const struct reports_why_point **before)
{
    for (uint32_t i = 0; i < why->point_count; i++) {
        if (why->points[i].event != event) continue;
        *before = i > 0 ? &why->points[i - 1] : NULL;
        return &why->points[i];
    }
    return NULL;
}

static void write_verdict(struct out *out, const struct reports_why *why)
{
    const struct reports_why_point *before = NULL;
    const struct reports_why_point *at = point_at(why, why->from, &before);

    out_cstr(out, "<div class=\"verdict\">");
    if (why->decided && at != NULL && before != NULL) {
        out_cstr(out, "<span class=\"word bad\">Unavoidable from event ");
        out_count(out, why->from);
        out_cstr(out, " on, at ");
        out_seconds(out, why->events[0].time_ns);
        out_cstr(out, " s:</span> ");
        if (why->events[0].node >= 0) out_format(out, "node %d ", (int)why->events[0].node);
        out_html(out, why->events[0].words);
        out_format(out,
                   ".<br><span class=\"mute\">With other choices from the event before it, %u of "
                   "%u runs fail alike; from here on, all of %u.</span>",
                   before->failed, before->of, at->of);
    } else {
        out_cstr(out, "<span class=\"word bad\">Nothing in this run decided it:</span> it fails "
                      "alike whatever the choices. The scenario is enough.");
    }
    out_cstr(out, "</div>\n");
}

/* A row a point, with a bar as wide as the share. */
static void write_points(struct out *out, const struct reports_why *why)
{
    out_cstr(out,
             "<section id=\"points\"><h2>How it was found</h2>\n<p>The run was brought to an event "
             "with its own choices and went on from there with others, several times.</p>\n"
             "<table><thead><tr><th class=\"n\">others from event</th><th class=\"n\">fail alike"
             "</th><th class=\"n\">of</th><th></th></tr></thead><tbody>\n");
    for (uint32_t i = 0; i < why->point_count; i++) {
        const struct reports_why_point *point = &why->points[i];

        out_format(out, "<tr%s><td class=\"n\">",
                   why->decided && point->event == why->from ? " class=\"bad\"" : "");
        out_count(out, point->event);
        out_format(out,
                   "</td><td class=\"n\">%u</td><td class=\"n\">%u</td><td><meter min=\"0\" "
                   "max=\"%u\" value=\"%u\"></meter></td></tr>\n",
                   point->failed, point->of, point->of, point->failed);
    }
    out_cstr(out, "</tbody></table></section>\n");
}

static void write_list(struct out *out, const struct reports_why *why)
{
    out_cstr(out, "<details><summary>The same as a list</summary>\n<ol class=\"led\">\n");
    for (uint32_t i = 0; i < why->event_count; i++) {
        const struct reports_why_event *event = &why->events[i];

        out_format(out, "<li%s><span class=\"n\">", event->bad ? " class=\"bad\"" : "");
        out_seconds(out, event->time_ns);
        out_cstr(out, "</span> ");
        if (event->node >= 0) out_format(out, "node %d ", (int)event->node);
        out_html(out, event->words);
        out_cstr(out, "</li>\n");
    }
    out_cstr(out, "</ol></details>\n");
}

static void write_page(struct out *out, const struct reports_why *why, const char *svg,
                       const char *note)
{
    char title[256];

    snprintf(title, sizeof title, "Why \xc2\xb7 %.40s \xc2\xb7 %.100s \xc2\xb7 seed %" PRIu64,
             why->outcome, why->scenario, why->seed);
    page_begin(out, title);
    out_cstr(out, "<header><h1 class=\"bad\">");
    out_html(out, title);
    out_cstr(out, "</h1>\n");
    write_verdict(out, why);
    out_cstr(out, "<p class=\"bad\">");
    out_html(out, why->violation);
    out_cstr(out, "</p>\n<pre class=\"command\">");
    out_html(out, why->again);
    out_cstr(out, "</pre>\n</header>\n");
    if (note[0] != '\0') {
        out_cstr(out, "<p>");
        out_html(out, note);
        out_cstr(out, "</p>\n");
    }
    if (svg != NULL) {
        out_cstr(out, "<section id=\"why\"><div class=\"scroll\" tabindex=\"0\" role=\"region\" "
                      "aria-label=\"what led to it\">\n");
        out_cstr(out, svg);
        out_cstr(out, "</div>\n<p class=\"mute\">");
        if (why->left_out > 0) {
            out_count(out, why->left_out);
            out_cstr(out, " more events of the chain are left out. ");
        }
        out_cstr(out, "Files: <a href=\"why.dot\">DOT</a>, <a href=\"why.svg\">SVG</a></p>"
                      "</section>\n");
    }
    write_list(out, why);
    write_points(out, why);
    page_end(out);
}

enum err reports_render_why(const struct reports_why *why, struct reports_result *result)
{
    struct out dot = {.data = NULL};
    struct out svg = {.data = NULL};
    struct out page = {.data = NULL};
    struct reports_result own = {.note = ""};
    struct scene scene;
    char dot_path[4096];
    char svg_path[4096];
    char page_path[4096];
    bool written;

    snprintf(dot_path, sizeof dot_path, "%s/why.dot", why->directory);
    snprintf(svg_path, sizeof svg_path, "%s/why.svg", why->directory);
    snprintf(page_path, sizeof page_path, "%s/why.html", why->directory);
    chain_draw(&scene, why);
    dot_write(&dot, &scene);
    written = out_write_file(&dot, dot_path);
    if (written) {
        enum svg_result drawn = svg_render(&svg, &scene, dot_path, svg_path, NULL);

        own.figures = drawn == SVG_DONE;
        if (drawn == SVG_MISSING) out_copy(own.note, sizeof own.note, STR(PAGE_NO_GRAPHVIZ));
        if (drawn == SVG_FAILED)
            out_copy(own.note, sizeof own.note, STR("Graphviz could not draw why.dot"));
        write_page(&page, why, own.figures ? svg.data : NULL, own.note);
        written = out_write_file(&page, page_path);
    }
    own.dropped = scene.dropped;
    own.rows = why->event_count;
    if (written && result != NULL) *result = own;
    scene_free(&scene);
    out_free(&dot);
    out_free(&svg);
    out_free(&page);
    return written ? ERR_NONE : ERR_IO;
}

/* The way from a run to its files: read, digest, draw, have painted, write. */
#include "reports/reports.h"
#include "reports/dot.h"
#include "reports/facts.h"
#include "reports/figures.h"
#include "reports/page.h"
#include "reports/svg.h"

#include "client/base/assert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FIGURES = 7, FIGURES_MAX = FIGURES + DIGEST_PARTS - 1 };

struct rendering {
    const struct reports_run *run;
    struct reports_result result;
    struct out file;
    struct bytes trace;
    struct story story;
    struct digest digest;
    struct out svgs[FIGURES_MAX];
    struct page_figure figures[FIGURES_MAX];
    uint32_t figure_count;
    bool missing; /* Graphviz */
    bool no_svg;  /* is wanted */
};

static bool draw_spacetime(struct scene *scene, const struct digest *digest)
{
    if (digest->row_count > 0) {
        spacetime_draw(scene, digest);
        return true;
    }
    scene_init(scene, "spacetime");
    return false;
}

enum { SPACETIME = 1 };
/* A new figure is one more line here, and its place in the two orders below. */
static const struct {
    const char *name;
    const char *heading;
    bool (*draw)(struct scene *scene, const struct digest *digest);
} kinds[FIGURES] = {{"gantt", "The whole run", gantt_draw},
                    {"spacetime", "Moment by moment", draw_spacetime},
                    {"storyboard", "The logs", storyboard_draw},
                    {"topology", "The cluster and its cuts", topology_draw},
                    {"clients", "What clients saw", clients_draw},
                    {"groups", "Consumer groups", groups_draw},
                    {"transactions", "Transactions", transactions_draw}};

/* What failed is read moment by moment; what held, at one glance first. */
static const uint8_t order_of_failure[FIGURES] = {1, 2, 0, 3, 4, 6, 5};
static const uint8_t order_of_success[FIGURES] = {0, 4, 1, 2, 3, 6, 5};

static enum err get_trace(const struct reports_run *run, struct out *file, struct bytes *trace)
{
    if (run->trace_path == NULL) {
        *trace = run->trace;
        return ERR_NONE;
    }
    if (!out_read_file(file, run->trace_path)) return ERR_NOT_FOUND;
    if (file->length > UINT32_MAX) return ERR_TOO_LARGE;
    *trace = (struct bytes){(const uint8_t *)file->data, (uint32_t)file->length};
    return ERR_NONE;
}

/* Read and digested; to be closed with close_rendering() whatever comes back. */
static enum err open_rendering(struct rendering *r, const struct reports_run *run, uint32_t rows)
{
    struct digest_wish wish = {
        .has_window = run->has_window, .from_ns = run->from_ns, .to_ns = run->to_ns};
    enum err err;

    r->run = run;
    r->trace = BYTES_NULL;
    err = get_trace(run, &r->file, &r->trace);
    if (err == ERR_NONE) err = story_read(&r->story, r->trace, run->focus);
    if (err != ERR_NONE) return err;
    for (uint32_t i = 0; i < run->node_count; i++) {
        int32_t node = story_find_node(&r->story, run->nodes[i]);

        if (node >= 0) wish.nodes |= (uint64_t)1 << node;
    }
    digest_make_wish(&r->digest, &r->story, rows, wish);
    wish.keys = true;
    for (uint32_t parts = 1;
         rows == DIGEST_ROWS && r->digest.hidden_keys > 0 && parts <= DIGEST_PARTS; parts++) {
        /* First without the surroundings of the key moments, then in several figures. */
        digest_free(&r->digest);
        digest_make_wish(&r->digest, &r->story, rows * parts, wish);
        r->digest.parts = (r->digest.row_count + rows - 1) / rows;
    }
    return ERR_NONE;
}

static void close_rendering(struct rendering *r)
{
    digest_free(&r->digest);
    for (uint32_t i = 0; i < FIGURES_MAX; i++)
        out_free(&r->svgs[i]);
    story_free(&r->story);
    out_free(&r->file);
    free(r);
}

/* The DOT of a scene, and its picture for the page. */
static enum err paint_scene(struct rendering *r, struct scene *scene, const char *heading)
{
    struct page_figure *figure = &r->figures[r->figure_count];
    struct out *svg = &r->svgs[r->figure_count];
    struct out dot = {.data = NULL};
    struct out said = {.data = NULL};
    char dot_path[4096];
    char svg_path[4096];
    enum err err = ERR_NONE;

    snprintf(dot_path, sizeof dot_path, "%s/%s.dot", r->run->directory, scene->name);
    snprintf(svg_path, sizeof svg_path, "%s/%s.svg", r->run->directory, scene->name);
    dot_write(&dot, scene);
    r->result.dropped += scene->dropped;
    if (!out_write_file(&dot, dot_path)) err = ERR_IO;
    if (err == ERR_NONE && !r->missing && !r->no_svg) {
        enum svg_result result = svg_render(svg, scene, dot_path, svg_path, &said);

        r->missing = result == SVG_MISSING;
        if (result == SVG_FAILED && r->result.note[0] == '\0')
            snprintf(r->result.note, sizeof r->result.note,
                     "Graphviz could not draw %s.dot: %.120s", scene->name,
                     said.data != NULL ? said.data : "it ended in an error");
        *figure = (struct page_figure){
            .name = scene->name, .heading = heading, .svg = result == SVG_DONE ? svg->data : NULL};
        r->figure_count++;
    }
    out_free(&dot);
    out_free(&said);
    return err;
}

static enum err paint(struct rendering *r, uint32_t kind)
{
    struct scene scene;
    enum err err = ERR_NONE;

    if (kinds[kind].draw(&scene, &r->digest)) err = paint_scene(r, &scene, kinds[kind].heading);
    scene_free(&scene);
    return err;
}

/* As many rows in each part, one more in the first ones. */
static enum err paint_parts(struct rendering *r)
{
    static const char *const headings[DIGEST_PARTS] = {"Moment by moment",
                                                       "Moment by moment, the second part",
                                                       "Moment by moment, the third part"};
    struct digest *part = malloc(sizeof *part);
    uint32_t parts = r->digest.parts;
    uint32_t first = 0;
    enum err err = ERR_NONE;

    ASSERT(part != NULL && parts <= DIGEST_PARTS);
    for (uint32_t i = 0; i < parts && err == ERR_NONE; i++) {
        uint32_t rows = (r->digest.row_count + parts - 1 - i) / parts;
        struct scene scene;

        digest_cut(part, &r->digest, first, rows);
        part->part = i;
        spacetime_draw(&scene, part);
        err = paint_scene(r, &scene, headings[i]);
        scene_free(&scene);
        digest_free(part);
        first += rows;
    }
    free(part);
    return err;
}

/* For an index over pages. */
static void tell_head(struct rendering *r, const struct page *page)
{
    const struct reports_run *run = r->run;
    const char *violation = run->violation;

    if (violation == NULL && r->story.violation >= 0)
        violation = story_text(&r->story, &r->story.events[r->story.violation]);
    snprintf(r->result.scenario, sizeof r->result.scenario, "%s", page_scenario(page));
    snprintf(r->result.outcome, sizeof r->result.outcome, "%s", page_outcome(page));
    if (violation != NULL)
        out_copy(r->result.violation, sizeof r->result.violation, str_of(violation));
    r->result.seed = run->has_seed ? run->seed : (uint64_t)r->story.seed;
    r->result.events = run->events > 0 ? run->events : r->story.trace_events;
    r->result.virtual_ns = run->virtual_ns > 0 ? run->virtual_ns : r->story.end_ns;
}

static enum err write_page(struct rendering *r)
{
    struct page page = {.run = r->run,
                        .digest = &r->digest,
                        .figures = r->figures,
                        .figure_count = r->figure_count};
    struct out out = {.data = NULL};
    char path[4096];
    enum err err;

    if (r->missing) snprintf(r->result.note, sizeof r->result.note, "%s", PAGE_NO_GRAPHVIZ);
    if (r->result.note[0] != '\0') page.note = r->result.note;
    tell_head(r, &page);
    page_write(&out, &page);
    snprintf(path, sizeof path, "%s/index.html", r->run->directory);
    err = out_write_file(&out, path) ? ERR_NONE : ERR_IO;
    out_free(&out);
    return err;
}

static enum err write_facts(const struct rendering *r)
{
    struct out out = {.data = NULL};
    char path[4096];
    bool written;

    facts_write(&out, r->run);
    snprintf(path, sizeof path, "%s/facts.txt", r->run->directory);
    written = out_write_file(&out, path);
    out_free(&out);
    return written ? ERR_NONE : ERR_IO;
}

static enum err render(const struct reports_run *run, bool page, bool svg,
                       struct reports_result *result)
{
    struct rendering *r = calloc(1, sizeof *r);
    enum err err;

    ASSERT(r != NULL && run->directory != NULL);
    r->no_svg = !svg;
    err = open_rendering(r, run, DIGEST_ROWS);
    if (err == ERR_NONE && mkdir(run->directory, 0777) != 0 && errno != EEXIST) err = ERR_IO;
    if (err == ERR_NONE) {
        bool failure = r->story.violation >= 0;

        for (uint32_t i = 0; i < FIGURES && err == ERR_NONE; i++) {
            uint32_t kind = failure ? order_of_failure[i] : order_of_success[i];

            err = kind == SPACETIME && r->digest.parts > 1 ? paint_parts(r) : paint(r, kind);
        }
        if (err == ERR_NONE && page) err = write_page(r);
        if (err == ERR_NONE && page) err = write_facts(r);
        if (r->missing && r->result.note[0] == '\0')
            snprintf(r->result.note, sizeof r->result.note,
                     "Figures need Graphviz (Debian and Ubuntu: apt-get install graphviz)");
        r->result.figures = !r->missing;
        r->result.cut = r->story.cut || r->story.err != ERR_NONE;
        r->result.rows = r->digest.row_count;
    }
    if (err == ERR_NONE && result != NULL) *result = r->result;
    close_rendering(r);
    return err;
}

enum err reports_render_run(const struct reports_run *run, struct reports_result *result)
{
    return render(run, true, true, result);
}

enum err reports_render_figures(const struct reports_run *run, bool svg,
                                struct reports_result *result)
{
    return render(run, false, svg, result);
}

/* ---- text ------------------------------------------------------------------------------------ */

enum err reports_render_text(const struct reports_run *run, enum reports_text what,
                             struct reports_look look, char **text, size_t *length)
{
    struct rendering *r = calloc(1, sizeof *r);
    struct out out = {.data = NULL};
    enum err err;

    ASSERT(r != NULL);
    err = open_rendering(r, run, DIGEST_ROWS_MAX);
    if (err == ERR_NONE && run->focus != NULL && strcmp(run->focus, r->story.focus) != 0)
        err = ERR_NOT_FOUND;
    if (err == ERR_NONE) {
        switch (what) {
        case REPORTS_TIMELINE:
            timeline_write(&out, &r->digest,
                           (struct timeline_look){look.columns, look.colour, look.ascii});
            break;
        case REPORTS_FOLLOW:
            if (!follow_write(&out, &r->story, r->trace, look.offset)) err = ERR_NOT_FOUND;
            break;
        case REPORTS_PERFETTO:
            perfetto_write(&out, &r->story, r->trace, run->has_window ? run->from_ns : INT64_MIN,
                           run->has_window ? run->to_ns : INT64_MAX);
            break;
        }
    }
    if (err == ERR_NONE) {
        *text = out.data;
        *length = out.length;
    } else {
        out_free(&out);
    }
    close_rendering(r);
    return err;
}

void reports_facts_load(const char *directory, struct reports_run *run, void **memory)
{
    struct out file = {.data = NULL};
    struct facts *facts;
    char path[4096];

    *memory = NULL;
    snprintf(path, sizeof path, "%s/facts.txt", directory);
    if (!out_read_file(&file, path) || file.data == NULL) return;
    facts = calloc(1, sizeof *facts + file.length + 1);
    ASSERT(facts != NULL);
    memcpy(facts + 1, file.data, file.length);
    (void)facts_read(facts, (char *)(facts + 1), run);
    *memory = facts;
    out_free(&file);
}

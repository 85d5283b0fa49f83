/* The way from a run to its files: read, digest, draw, have painted, write. */
#include "reports/reports.h"
#include "reports/dot.h"
#include "reports/figures.h"
#include "reports/page.h"
#include "reports/svg.h"

#include "client/base/assert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FIGURES = 3 };

struct rendering {
    const struct reports_run *run;
    struct reports_result result;
    struct story story;
    struct digest digest;
    struct out svgs[FIGURES];
    struct page_figure figures[FIGURES];
    uint32_t figure_count;
    bool missing; /* Graphviz */
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

/* A new figure is one more line here, and its place in the two orders below. */
static const struct {
    const char *name;
    const char *heading;
    bool (*draw)(struct scene *scene, const struct digest *digest);
} kinds[FIGURES] = {{"gantt", "The whole run", gantt_draw},
                    {"spacetime", "Moment by moment", draw_spacetime},
                    {"storyboard", "The logs", storyboard_draw}};

/* What failed is read moment by moment; what held, at one glance first. */
static const uint8_t order_of_failure[FIGURES] = {1, 2, 0};
static const uint8_t order_of_success[FIGURES] = {0, 1, 2};

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

static enum err paint(struct rendering *r, uint32_t kind)
{
    struct out dot = {.data = NULL};
    struct out said = {.data = NULL};
    struct scene scene;
    char dot_path[4096];
    char svg_path[4096];
    enum err err = ERR_NONE;

    snprintf(dot_path, sizeof dot_path, "%s/%s.dot", r->run->directory, kinds[kind].name);
    snprintf(svg_path, sizeof svg_path, "%s/%s.svg", r->run->directory, kinds[kind].name);
    if (kinds[kind].draw(&scene, &r->digest)) {
        struct out *svg = &r->svgs[r->figure_count];

        dot_write(&dot, &scene);
        r->result.dropped += scene.dropped;
        if (!out_write_file(&dot, dot_path)) err = ERR_IO;
        if (err == ERR_NONE && !r->missing) {
            enum svg_result result = svg_render(svg, &scene, dot_path, svg_path, &said);

            r->missing = result == SVG_MISSING;
            if (result == SVG_FAILED && r->result.note[0] == '\0')
                snprintf(r->result.note, sizeof r->result.note,
                         "Graphviz could not draw %s.dot: %.120s", kinds[kind].name,
                         said.data != NULL ? said.data : "it ended in an error");
            r->figures[r->figure_count] =
                (struct page_figure){.name = kinds[kind].name,
                                     .heading = kinds[kind].heading,
                                     .svg = result == SVG_DONE ? svg->data : NULL};
            r->figure_count++;
        }
    }
    scene_free(&scene);
    out_free(&dot);
    out_free(&said);
    return err;
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

    if (r->missing)
        snprintf(r->result.note, sizeof r->result.note,
                 "Figures need Graphviz (Debian and Ubuntu: apt-get install graphviz); their DOT "
                 "files lie beside this page.");
    if (r->result.note[0] != '\0') page.note = r->result.note;
    page_write(&out, &page);
    snprintf(path, sizeof path, "%s/index.html", r->run->directory);
    err = out_write_file(&out, path) ? ERR_NONE : ERR_IO;
    out_free(&out);
    return err;
}

enum err reports_render_run(const struct reports_run *run, struct reports_result *result)
{
    struct rendering *r = calloc(1, sizeof *r);
    struct out file = {.data = NULL};
    struct bytes trace = BYTES_NULL;
    enum err err;

    ASSERT(r != NULL && run->directory != NULL);
    r->run = run;
    err = get_trace(run, &file, &trace);
    if (err == ERR_NONE) err = story_read(&r->story, trace, run->focus);
    if (err == ERR_NONE && mkdir(run->directory, 0777) != 0 && errno != EEXIST) err = ERR_IO;
    if (err == ERR_NONE) {
        digest_make(&r->digest, &r->story, DIGEST_ROWS);
        for (uint32_t i = 0; i < FIGURES && err == ERR_NONE; i++)
            err = paint(r, r->story.violation >= 0 ? order_of_failure[i] : order_of_success[i]);
        if (err == ERR_NONE) err = write_page(r);
        r->result.figures = !r->missing;
        r->result.cut = r->story.cut || r->story.err != ERR_NONE;
        r->result.rows = r->digest.row_count;
        digest_free(&r->digest);
    }
    if (err == ERR_NONE && result != NULL) *result = r->result;
    for (uint32_t i = 0; i < FIGURES; i++)
        out_free(&r->svgs[i]);
    story_free(&r->story);
    out_free(&file);
    free(r);
    return err;
}

enum err reports_render_text(const struct reports_run *run, char **text, size_t *length)
{
    struct story *story = calloc(1, sizeof *story);
    struct digest *digest = calloc(1, sizeof *digest);
    struct out file = {.data = NULL};
    struct out out = {.data = NULL};
    struct bytes trace = BYTES_NULL;
    enum err err;

    ASSERT(story != NULL && digest != NULL);
    err = get_trace(run, &file, &trace);
    if (err == ERR_NONE) err = story_read(story, trace, run->focus);
    if (err == ERR_NONE) {
        digest_make(digest, story, DIGEST_ROWS_MAX);
        timeline_write(&out, digest);
        digest_free(digest);
        *text = out.data;
        *length = out.length;
    }
    story_free(story);
    out_free(&file);
    free(story);
    free(digest);
    return err;
}

/* The index of a campaign: a row per scenario with a cell per seed, then the checks with how often
 * they judged, and the faults with how often they struck (reports.md 7). */
#include "reports/page.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FAILURES_MAX = 20 };

static void write_cell(struct out *out, const struct reports_entry *run)
{
    bool good = page_is_good(run->outcome);

    if (run->page != NULL) {
        out_cstr(out, "<a href=\"");
        out_html(out, run->page);
        out_cstr(out, "\" ");
    } else {
        out_cstr(out, "<span ");
    }
    out_format(out, "class=\"cell%s\" title=\"", good ? "" : " bad");
    out_html(out, run->outcome);
    out_format(out, ", seed %" PRIu64 ", ", run->seed);
    out_count(out, run->events);
    out_format(out, " events, hash %016" PRIx64, run->hash);
    if (run->check != NULL) {
        out_cstr(out, ", ");
        out_html(out, run->check);
    }
    out_format(out, "\">%s\xe2\x80\xaf%" PRIu64, good ? "\xe2\x9c\x93" : "\xe2\x9c\x97", run->seed);
    out_cstr(out, run->page != NULL ? "</a>" : "</span>");
}

static bool told_before(const struct reports_index *index, uint32_t at)
{
    for (uint32_t i = 0; i < at; i++) {
        if (strcmp(index->runs[i].scenario, index->runs[at].scenario) == 0) return true;
    }
    return false;
}

static void write_scenario(struct out *out, const struct reports_index *index, uint32_t first)
{
    const char *scenario = index->runs[first].scenario;
    uint64_t events = 0;
    int64_t virtual_ns = 0;
    const char *worst = "PASS";

    out_cstr(out, "<tr><th scope=\"row\">");
    out_html(out, scenario);
    out_cstr(out, "</th><td class=\"strip\">");
    for (uint32_t i = first; i < index->run_count; i++) {
        const struct reports_entry *run = &index->runs[i];

        if (strcmp(run->scenario, scenario) != 0) continue;
        write_cell(out, run);
        events += run->events;
        virtual_ns += run->virtual_ns;
        if (!page_is_good(run->outcome) && page_is_good(worst)) worst = run->outcome;
    }
    out_format(out, "</td><td class=\"%s word\">", page_is_good(worst) ? "good" : "bad");
    out_html(out, worst);
    out_cstr(out, "</td><td class=\"n\">");
    out_count(out, events);
    out_cstr(out, "</td><td class=\"n\">");
    out_seconds(out, virtual_ns);
    out_cstr(out, "</td></tr>\n");
}

/* What did not pass, in words, before everything else. */
static void write_failures(struct out *out, const struct reports_index *index)
{
    uint32_t told = 0;

    for (uint32_t i = 0; i < index->run_count && told < FAILURES_MAX; i++) {
        const struct reports_entry *run = &index->runs[i];

        if (page_is_good(run->outcome)) continue;
        told++;
        out_cstr(out, "<div class=\"verdict\"><span class=\"word bad\">");
        out_html(out, run->outcome);
        out_cstr(out, " \xc2\xb7 ");
        if (run->page != NULL) {
            out_cstr(out, "<a href=\"");
            out_html(out, run->page);
            out_cstr(out, "\">");
        }
        out_html(out, run->scenario);
        out_format(out, " \xc2\xb7 seed %" PRIu64, run->seed);
        if (run->page != NULL) out_cstr(out, "</a>");
        out_cstr(out, "</span> ");
        if (run->check != NULL) {
            out_html(out, run->check);
            out_cstr(out, " ");
        }
        if (run->text != NULL) out_html(out, run->text);
        out_cstr(out, "</div>\n");
    }
}

enum err reports_render_index(const struct reports_index *index)
{
    struct out out = {.data = NULL};
    uint32_t good = 0;
    char path[4096];
    bool written;

    for (uint32_t i = 0; i < index->run_count; i++)
        good += page_is_good(index->runs[i].outcome);
    page_begin(&out, "Gregor: runs");
    out_format(&out, "<h1>%u of %u runs passed</h1>\n", good, index->run_count);
    if (index->build != NULL) {
        out_cstr(&out, "<p class=\"mute\">build ");
        out_html(&out, index->build);
        out_cstr(&out, "</p>\n");
    }
    write_failures(&out, index);
    out_cstr(&out, "<table><caption>A cell is a run; the number is its seed.</caption><thead><tr>"
                   "<th>scenario</th><th>runs</th><th>outcome</th><th class=\"n\">events</th>"
                   "<th class=\"n\">virtual s</th></tr></thead><tbody>\n");
    for (uint32_t i = 0; i < index->run_count; i++) {
        if (!told_before(index, i)) write_scenario(&out, index, i);
    }
    out_cstr(&out, "</tbody></table>\n");
    page_checks(&out, index->checks, index->check_count);
    page_faults(&out, index->faults, index->fault_count);
    page_end(&out);
    snprintf(path, sizeof path, "%s/index.html", index->directory);
    written = out_write_file(&out, path);
    out_free(&out);
    return written ? ERR_NONE : ERR_IO;
}

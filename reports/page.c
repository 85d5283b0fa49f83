/* The page of one run, from the verdict downwards (reports.md 7). No script, nothing fetched. */
#include "reports/page.h"
#include "reports/figures.h"
#include "reports/words.h"

#include "client/base/assert.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LAST_EVENTS = 24 };

static const char style[] =
    "*{box-sizing:border-box}body{margin:0 auto;max-width:1500px;padding:32px 28px 72px;"
    "background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,Helvetica,Arial,sans-serif}\n"
    "h1{font-size:24px;margin:0 0 6px;letter-spacing:-.01em}h2{font-size:17px;margin:40px 0 10px}"
    "p{max-width:75ch}.mute{color:var(--mute)}a{color:var(--link)}\n"
    ".word{font-weight:700}.good{color:var(--good)}.bad{color:var(--bad)}\n"
    ".verdict{border-left:5px solid var(--bad);background:var(--badbg);padding:14px 18px;"
    "margin:18px 0;font-size:16px;max-width:100ch}.verdict.good{border-color:var(--good);"
    "background:var(--soft);color:var(--ink)}\n"
    "dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(165px,1fr));gap:12px 24px;"
    "margin:20px 0}dt{font-size:12px;color:var(--mute)}dd{margin:0;font-size:17px;"
    "font-variant-numeric:tabular-nums;overflow-wrap:anywhere}\n"
    "pre{background:var(--soft);padding:10px 14px;overflow-x:auto;border-radius:6px;"
    "font:13px/1.45 ui-monospace,Menlo,Consolas,monospace}pre.command{user-select:all}\n"
    "table{border-collapse:collapse;font-size:14px}caption{text-align:left;color:var(--mute)}"
    "td,th{padding:4px 18px 4px 0;border-bottom:1px solid var(--rule);text-align:left;"
    "vertical-align:top}td.n,th.n{font-variant-numeric:tabular-nums;text-align:right}"
    "tr.bad td{color:var(--bad)}tr.violation td{background:var(--badbg);font-weight:600}\n"
    ".scroll{overflow-x:auto;border:1px solid var(--rule);border-radius:8px;padding:6px}"
    ".scroll:focus-visible{outline:2px solid var(--ink)}svg.fig{display:block;width:100%;"
    "min-width:860px;height:auto;margin:0 auto}details{margin:14px 0}summary{cursor:pointer}\n"
    ".strip{display:flex;flex-wrap:wrap;gap:4px}.cell{display:inline-block;min-width:26px;"
    "padding:1px 6px;text-align:center;border-radius:4px;text-decoration:none;"
    "border:1px solid var(--rule);color:var(--good)}.cell.bad{background:var(--badbg);"
    "color:var(--bad);border-color:var(--bad);font-weight:700}\n"
    "@media print{.scroll{border:0;overflow:visible}svg.fig{min-width:0}"
    "section{break-inside:avoid}}\n";

bool page_is_good(const char *outcome)
{
    return strcmp(outcome, "PASS") == 0;
}

void page_begin(struct out *out, const char *title)
{
    out_cstr(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                  "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                  "<title>");
    out_html(out, title);
    out_cstr(out, "</title>\n<style>\n");
    theme_css(out);
    out_cstr(out, style);
    out_cstr(out, "</style></head><body>\n");
}

void page_end(struct out *out)
{
    out_cstr(out, "</body></html>\n");
}

static const char *outcome_of(const struct page *page)
{
    if (page->run->outcome != NULL) return page->run->outcome;
    return page->digest->story->violation >= 0 ? "FAIL" : "PASS";
}

static const char *scenario_of(const struct page *page)
{
    if (page->run->scenario != NULL) return page->run->scenario;
    if (page->digest->story->scenario[0] != '\0') return page->digest->story->scenario;
    return "a trace";
}

/* ---- head ------------------------------------------------------------------------------------ */

static void write_title(struct out *out, const struct page *page)
{
    out_format(out, "%s \xc2\xb7 %s", outcome_of(page), scenario_of(page));
    if (page->run->has_seed) {
        out_format(out, " \xc2\xb7 seed %" PRIu64, page->run->seed);
    } else if (page->digest->story->scenario[0] != '\0') {
        out_format(out, " \xc2\xb7 seed %" PRId64, page->digest->story->seed);
    }
}

/* The verdict in words. */
static void write_verdict(struct out *out, const struct page *page)
{
    const struct story *story = page->digest->story;
    bool good = page_is_good(outcome_of(page));
    const char *text = page->run->violation;

    if (text == NULL && story->violation >= 0)
        text = story_text(story, &story->events[story->violation]);
    out_format(out, "<div class=\"verdict%s\">", good ? " good" : "");
    if (good) {
        out_cstr(out, "<span class=\"word good\">Everything held.</span> ");
        out_count(out, story->acked);
        out_cstr(out, " records were acknowledged; no check saw a violation.");
    } else if (text != NULL && text[0] != '\0') {
        if (story->violation >= 0) {
            out_cstr(out, "<span class=\"word bad\">At ");
            out_seconds(out, story->events[story->violation].time_ns);
            out_cstr(out, " s:</span> ");
        }
        out_html(out, text);
    } else {
        out_format(out, "<span class=\"word bad\">%s.</span> The trace names no violation.",
                   outcome_of(page));
    }
    out_cstr(out, "</div>\n");
    if (story->cut || story->err != ERR_NONE || story->dropped > 0) {
        out_cstr(out, "<p class=\"mute\">");
        if (story->cut) out_cstr(out, "The trace ends in the middle of a block. ");
        if (story->err != ERR_NONE)
            out_cstr(out, "The trace ends in bytes that make no sense; what follows is told up to "
                          "there. ");
        if (story->dropped > 0) {
            out_count(out, story->dropped);
            out_cstr(out, " events were beyond the limits of a report and are not in it.");
        }
        out_cstr(out, "</p>\n");
    }
}

static void fact(struct out *out, const char *name, const char *value)
{
    out_format(out, "<div><dt>%s</dt><dd>", name);
    out_html(out, value);
    out_cstr(out, "</dd></div>");
}

static void fact_count(struct out *out, const char *name, uint64_t value)
{
    out_format(out, "<div><dt>%s</dt><dd>", name);
    out_count(out, value);
    out_cstr(out, "</dd></div>");
}

static void write_facts(struct out *out, const struct page *page)
{
    const struct reports_run *run = page->run;
    const struct story *story = page->digest->story;

    out_cstr(out, "<dl><div><dt>virtual time</dt><dd>");
    out_seconds(out, run->virtual_ns != 0 ? run->virtual_ns : story->end_ns);
    out_cstr(out, " s</dd></div>");
    fact_count(out, run->events != 0 ? "events delivered" : "events in the trace",
               run->events != 0 ? run->events : story->trace_events);
    fact_count(out, "faults injected", story->faults);
    fact_count(out, "records sent", story->sent);
    fact_count(out, "acknowledged", story->acked);
    if (story->failed > 0) fact_count(out, "failed or unknown", story->failed);
    if (run->has_hash) {
        out_format(out, "<div><dt>run hash</dt><dd>%016" PRIx64 "</dd></div>", run->hash);
    }
    if (story->has_focus) fact(out, "told here", story->focus);
    if (run->build != NULL) fact(out, "build", run->build);
    out_cstr(out, "</dl>\n");
}

/* ---- tables ---------------------------------------------------------------------------------- */

/* The last shown events, up to the violation if there is one. */
static void write_last_events(struct out *out, const struct page *page)
{
    const struct digest *digest = page->digest;
    const struct story *story = digest->story;
    struct state *state = malloc(sizeof *state);
    uint32_t next = digest->shown_count > 0 ? digest->shown[0] : 0;
    uint32_t end = digest->shown_count;
    uint32_t begin;

    ASSERT(state != NULL);
    for (uint32_t i = 0; story->violation >= 0 && i < digest->shown_count; i++) {
        if (digest->shown[i] == (uint32_t)story->violation) end = i + 1;
    }
    begin = end > LAST_EVENTS ? end - LAST_EVENTS : 0;
    *state = digest->start;
    out_format(out,
               "<section><h2>%s</h2>\n<table><thead><tr><th class=\"n\">s</th><th>where</th>"
               "<th>what</th></tr></thead><tbody>\n",
               story->violation >= 0 ? "The last events before it" : "The last events");
    for (uint32_t i = 0; i < end; i++) {
        const struct story_event *event = &story->events[digest->shown[i]];
        bool violation = event->what == STORY_VIOLATION;

        while (next < digest->shown[i])
            state_apply(state, story, &story->events[next++]);
        if (i >= begin) {
            struct out text = {.data = NULL};

            out_format(out, "<tr%s id=\"row-%" PRIu64 "\"><td class=\"n\">",
                       violation                 ? " class=\"bad violation\""
                       : words_red(state, event) ? " class=\"bad\""
                                                 : "",
                       event->number);
            out_seconds(out, event->time_ns);
            out_bytes(&text, "", 0);
            words_where(&text, story, event);
            out_cstr(out, "</td><td>");
            out_html(out, text.data);
            text.length = 0;
            words_event(&text, story, state, event);
            out_cstr(out, violation ? "</td><td>VIOLATION: " : "</td><td>");
            out_html(out, text.data);
            out_cstr(out, "</td></tr>\n");
            out_free(&text);
        }
    }
    out_cstr(out, "</tbody></table></section>\n");
    free(state);
}

void page_checks(struct out *out, const struct reports_check *checks, uint32_t count)
{
    if (count == 0) return;
    out_cstr(out, "<section><h2>Checks</h2>\n<table><thead><tr><th>check</th><th></th><th "
                  "class=\"n\">judged</th><th class=\"n\">violated</th></tr></thead><tbody>\n");
    for (uint32_t i = 0; i < count; i++) {
        out_format(out, "<tr%s><td>", checks[i].violations > 0 ? " class=\"bad violation\"" : "");
        out_html(out, checks[i].id);
        out_cstr(out, "</td><td>");
        if (checks[i].name != NULL) out_html(out, checks[i].name);
        out_cstr(out, "</td><td class=\"n\">");
        if (checks[i].evaluations == 0)
            out_cstr(out, "not exercised");
        else
            out_count(out, checks[i].evaluations);
        out_cstr(out, "</td><td class=\"n\">");
        out_count(out, checks[i].violations);
        out_cstr(out, "</td></tr>\n");
    }
    out_cstr(out, "</tbody></table></section>\n");
}

void page_faults(struct out *out, const struct reports_fault *faults, uint32_t count)
{
    if (count == 0) return;
    out_cstr(out, "<section><h2>Faults</h2>\n<table><thead><tr><th>fault</th><th></th>"
                  "<th class=\"n\">asked</th><th class=\"n\">injected</th><th class=\"n\">weakened"
                  "</th><th class=\"n\">refused</th></tr></thead><tbody>\n");
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t numbers[] = {faults[i].asked, faults[i].injected, faults[i].weakened,
                                    faults[i].refused};

        out_cstr(out, "<tr><td>");
        out_html(out, faults[i].word != NULL ? faults[i].word : "");
        out_cstr(out, "</td><td class=\"mute\">");
        if (faults[i].id != NULL) out_html(out, faults[i].id);
        for (uint32_t k = 0; k < COUNT_OF(numbers); k++) {
            out_cstr(out, "</td><td class=\"n\">");
            if (k == 1 && numbers[0] > 0 && numbers[1] == 0)
                out_cstr(out, "never");
            else
                out_count(out, numbers[k]);
        }
        out_cstr(out, "</td></tr>\n");
    }
    out_cstr(out, "</tbody></table></section>\n");
}

/* ---- figures and the rest -------------------------------------------------------------------- */

static void write_figure(struct out *out, const struct page_figure *figure)
{
    out_format(out,
               "<section><h2>%s</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
               "aria-label=\"%s\">\n",
               figure->heading, figure->heading);
    out_cstr(out, figure->svg);
    out_format(out,
               "</div>\n<p class=\"mute\">Files: <a href=\"%s.dot\">DOT</a>, "
               "<a href=\"%s.svg\">SVG</a></p></section>\n",
               figure->name, figure->name);
}

static void write_timeline(struct out *out, const struct page *page, bool open)
{
    struct out text = {.data = NULL};
    size_t length;

    timeline_write(&text, page->digest, (struct timeline_look){.columns = 0});
    out_format(out, "<details%s><summary>The same as text</summary>\n<pre>", open ? " open" : "");
    for (char *line = text.data; line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n');

        if (end != NULL) *end = '\0';
        length = strlen(line);
        out_html(out, line);
        out_cstr(out, "\n");
        line = end != NULL ? end + 1 : line + length;
    }
    out_cstr(out, "</pre></details>\n");
    out_free(&text);
}

static void write_plan(struct out *out, const char *plan)
{
    const char *line = plan;

    out_cstr(out, "<details><summary>The scenario</summary>\n<pre>");
    while (*line != '\0') {
        size_t length = strcspn(line, "\n");
        char text[1024];

        out_copy(text, sizeof text, (struct str){line, (uint32_t)length});
        out_html(out, text);
        out_cstr(out, "\n");
        line += length + (line[length] == '\n');
    }
    out_cstr(out, "</pre></details>\n");
}

void page_write(struct out *out, const struct page *page)
{
    struct out title = {.data = NULL};
    bool any = false;

    write_title(&title, page);
    page_begin(out, title.data);
    out_format(out, "<h1 class=\"%s\">", page_is_good(outcome_of(page)) ? "good" : "bad");
    out_html(out, title.data);
    out_cstr(out, "</h1>\n");
    out_free(&title);
    write_verdict(out, page);
    if (page->run->replay != NULL) {
        out_cstr(out, "<pre class=\"command\">");
        out_html(out, page->run->replay);
        out_cstr(out, "</pre>\n");
    }
    write_facts(out, page);
    if (page->note != NULL) {
        out_cstr(out, "<p>");
        out_html(out, page->note);
        out_cstr(out, "</p>\n");
    }
    if (!page_is_good(outcome_of(page)) && page->digest->shown_count > 0)
        write_last_events(out, page);
    for (uint32_t i = 0; i < page->figure_count; i++) {
        if (page->figures[i].svg == NULL) continue;
        write_figure(out, &page->figures[i]);
        any = true;
    }
    if (page->digest->shown_count > 0) write_timeline(out, page, !any);
    if (page->digest->shown_count == 0)
        out_cstr(out, "<p>Nothing changed in this trace that a figure could show.</p>\n");
    if (page_is_good(outcome_of(page)) && page->digest->shown_count > 0)
        write_last_events(out, page);
    page_checks(out, page->run->checks, page->run->check_count);
    page_faults(out, page->run->faults, page->run->fault_count);
    if (page->run->plan != NULL) write_plan(out, page->run->plan);
    page_end(out);
}

/* The page of one run, from the verdict downwards (reports.md 7). Nothing is fetched; the script is
 * for the keys alone, and nothing is lost without it. The first screen of a failing run says what
 * broke, where, after what, and how to run it again. */
#include "reports/page.h"
#include "reports/figures.h"
#include "reports/words.h"

#include "client/base/assert.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char style[] =
    "*{box-sizing:border-box}body{margin:0 auto;max-width:1500px;padding:32px 28px 72px;"
    "background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,Helvetica,Arial,sans-serif}\n"
    "h1{font-size:24px;margin:0 0 6px;letter-spacing:-.01em}h2{font-size:17px;margin:40px 0 10px}"
    "p{max-width:75ch}.mute{color:var(--mute)}a{color:var(--link)}\n"
    ".word{font-weight:700}.good{color:var(--good)}.bad{color:var(--bad)}\n"
    ".verdict{border-left:5px solid var(--bad);background:var(--badbg);padding:14px 18px;"
    "margin:18px 0;font-size:16px;max-width:100ch}.verdict.good{border-color:var(--good);"
    "background:var(--soft);color:var(--ink)}\n"
    "dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(135px,1fr));gap:12px 24px;"
    "margin:20px 0}dt{font-size:12px;color:var(--mute)}dd{margin:0;font-size:17px;"
    "font-variant-numeric:tabular-nums;overflow-wrap:anywhere}\n"
    "pre{background:var(--soft);padding:10px 14px;overflow-x:auto;border-radius:6px;"
    "font:13px/1.45 ui-monospace,Menlo,Consolas,monospace}pre.command{user-select:all;"
    "white-space:pre-wrap;overflow-wrap:anywhere}\n"
    "table{border-collapse:collapse;font-size:14px}caption{text-align:left;color:var(--mute)}"
    "td,th{padding:4px 18px 4px 0;border-bottom:1px solid var(--rule);text-align:left;"
    "vertical-align:top}td.n,th.n{font-variant-numeric:tabular-nums;text-align:right}"
    "tr.bad td{color:var(--bad)}tr.violation td{background:var(--badbg);font-weight:600}\n"
    ".scroll{overflow-x:auto;border:1px solid var(--rule);border-radius:8px;padding:6px}"
    ".scroll:focus-visible{outline:2px solid var(--ink)}svg.fig{display:block;width:100%;"
    "height:auto;margin:0 auto}details{margin:14px 0}summary{cursor:pointer}\n"
    ".strip{display:flex;flex-wrap:wrap;gap:4px}.cell{display:inline-block;min-width:26px;"
    "padding:1px 6px;text-align:center;border-radius:4px;text-decoration:none;"
    "border:1px solid var(--rule);color:var(--good)}.cell.bad{background:var(--badbg);"
    "color:var(--bad);border-color:var(--bad);font-weight:700}\n"
    ".first{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));"
    "gap:8px 40px;align-items:start}.first h2{margin-top:14px}.first>*{min-width:0}"
    "ol.led{list-style:none;margin:0;padding:0}ol.led li{padding:2px 0 2px 82px;text-indent:-82px}"
    "ol.led .n{display:inline-block;width:74px;text-indent:0;color:var(--mute);"
    "font-variant-numeric:tabular-nums}ol.led .bad .n{color:inherit}.bad{color:var(--bad)}"
    "s{color:var(--mute)}kbd{border:1px solid var(--rule);border-radius:4px;padding:0 5px;"
    "font:12px ui-monospace,Menlo,Consolas,monospace}nav{margin:18px 0;font-size:14px}"
    "nav a{margin-right:16px}.command{margin:10px 0}dl.facts{gap:4px 24px;margin:14px 0}"
    "dl.facts dd{font-size:15px}.here td,.here th{background:var(--soft);"
    "box-shadow:inset 3px 0 var(--ink)}.here td+td,.here th+td{box-shadow:none}"
    "svg .here *{stroke:var(--ink);stroke-width:3}:target{outline:2px solid var(--ink)}"
    "#replicas td,#replicas th{padding-right:14px;white-space:nowrap}\n"
    "@media (max-width:760px){body{padding:14px 14px 48px}h1{font-size:20px;line-height:1.25}"
    ".verdict{font-size:15px;line-height:1.4;padding:10px 12px;margin:10px 0}"
    ".first h2{margin:6px 0 4px}ol.led{line-height:1.4}"
    "section>table,body>table{display:block;"
    "overflow-x:auto}ol.led li{padding-left:66px;text-indent:-66px}ol.led .n{width:62px}}\n"
    "@media print{nav,kbd{display:none}.scroll{border:0;overflow:visible}svg.fig{min-width:0}"
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

const char *page_outcome(const struct page *page)
{
    if (page->run->outcome != NULL) return page->run->outcome;
    return page->digest->story->violation >= 0 ? "FAIL" : "PASS";
}

const char *page_scenario(const struct page *page)
{
    if (page->run->scenario != NULL) return page->run->scenario;
    if (page->digest->story->scenario[0] != '\0') return page->digest->story->scenario;
    return "a trace";
}

/* ---- head ------------------------------------------------------------------------------------ */

static void write_title(struct out *out, const struct page *page)
{
    out_format(out, "%s \xc2\xb7 %s", page_outcome(page), page_scenario(page));
    if (page->run->has_seed) {
        out_format(out, " \xc2\xb7 seed %" PRIu64, page->run->seed);
    } else if (page->digest->story->scenario[0] != '\0') {
        out_format(out, " \xc2\xb7 seed %" PRId64, page->digest->story->seed);
    }
}

/* "At 23.200 s, on node-2, orders-0, offset 44, epoch 6:" */
static void write_where(struct out *out, const struct page *page)
{
    const struct story *story = page->digest->story;
    const struct story_event *event = &story->events[story->violation];

    out_cstr(out, "<span class=\"word bad\">At ");
    out_seconds(out, event->time_ns);
    out_cstr(out, " s");
    if (event->node >= 0) {
        out_cstr(out, ", on ");
        out_html(out, story_node_name(story, event->node));
    }
    if (event->from != 0) {
        out_cstr(out, ", ");
        out_html(out, story->focus);
    }
    if (event->to > 0) out_format(out, ", offset %" PRId64, event->to);
    if (event->epoch >= 0) out_format(out, ", epoch %d", (int)event->epoch);
    out_cstr(out, ":</span> ");
}

/* What the violated check demands. */
static void write_check(struct out *out, const struct page *page)
{
    for (uint32_t i = 0; i < page->run->check_count; i++) {
        const struct reports_check *check = &page->run->checks[i];

        if (check->violations == 0) continue;
        out_cstr(out, "<br><span class=\"mute\">What has to hold, ");
        out_html(out, check->id);
        if (check->sentence != NULL || check->name != NULL) {
            out_cstr(out, ": ");
            out_html(out, check->sentence != NULL ? check->sentence : check->name);
        }
        out_cstr(out, ". Judged ");
        out_count(out, check->evaluations);
        out_format(out, " time%s in this run.</span>", check->evaluations == 1 ? "" : "s");
    }
}

/* The verdict in words. */
static void write_verdict(struct out *out, const struct page *page)
{
    const struct story *story = page->digest->story;
    bool good = page_is_good(page_outcome(page));
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
            write_where(out, page);
        }
        out_html(out, text);
    } else {
        out_format(out, "<span class=\"word bad\">%s.</span> The trace names no violation.",
                   page_outcome(page));
    }
    if (!good) write_check(out, page);
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

    out_cstr(out, "<dl class=\"facts\"><div><dt>virtual time</dt><dd>");
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

void page_checks(struct out *out, const struct reports_check *checks, uint32_t count)
{
    uint32_t idle = 0;

    if (count == 0) return;
    for (uint32_t i = 0; i < count; i++)
        idle += checks[i].evaluations == 0;
    out_format(out,
               "<section id=\"checks\"><h2>What has to hold</h2>\n<p>%u of %u checks judged; %u "
               "had nothing to "
               "judge.</p>\n",
               count - idle, count, idle);
    out_cstr(out, "<table><thead><tr><th>check</th><th></th><th "
                  "class=\"n\">judged</th><th class=\"n\">violated</th></tr></thead><tbody>\n");
    for (uint32_t i = 0; i < count; i++) {
        out_format(out, "<tr%s><td>", checks[i].violations > 0 ? " class=\"bad violation\"" : "");
        out_html(out, checks[i].id);
        out_cstr(out, "</td><td>");
        if (checks[i].name != NULL) out_html(out, checks[i].name);
        if (checks[i].sentence != NULL) {
            out_cstr(out, "<br><span class=\"mute\">");
            out_html(out, checks[i].sentence);
            out_cstr(out, "</span>");
        }
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
               "<section id=\"%s\"><h2>%s</h2>\n<div class=\"scroll\" tabindex=\"0\" "
               "role=\"region\" aria-label=\"%s\">\n",
               figure->name, figure->heading, figure->heading);
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

/* Keys: j, k between the key moments, v back to the verdict. */
static const char script[] =
    "<script>\n(function(){var rows=[].slice.call(document.querySelectorAll('tr.moment')),at=-1,"
    "marked=[];function go(to){if(!rows.length)return;at=Math.max(0,Math.min(rows.length-1,to));"
    "marked.forEach(function(e){e.classList.remove('here')});marked=[rows[at]];"
    "var mark=document.getElementById(rows[at].dataset.mark);"
    "if(mark)marked.push(mark);marked.forEach(function(e){e.classList.add('here')});"
    "(mark||rows[at]).scrollIntoView({block:'center',inline:'nearest'})}"
    "document.addEventListener('keydown',function(e){if(e.ctrlKey||e.metaKey||e.altKey)return;"
    "if(e.key==='j')go(at+1);else if(e.key==='k')go(at<0?rows.length-1:at-1);"
    "else if(e.key==='v'){scrollTo(0,0)}})})();\n</script>\n";

static void write_first_screen(struct out *out, const struct page *page)
{
    bool good = page_is_good(page_outcome(page));
    struct out title = {.data = NULL};

    write_title(&title, page);
    out_format(out, "<header><h1 class=\"%s\">", good ? "good" : "bad");
    out_html(out, title.data);
    out_cstr(out, "</h1>\n");
    out_free(&title);
    write_verdict(out, page);
    if (page->run->replay != NULL) {
        out_cstr(out, "<pre class=\"command\">");
        out_html(out, page->run->replay);
        out_cstr(out, "</pre>\n");
    }
    if (page->digest->shown_count > 0) {
        out_format(out, "<div class=\"first\"><div><h2>%s</h2>\n",
                   good ? "How it ended" : "What led to it");
        page_led(out, page);
        out_cstr(out, "</div><div><h2>Where the replicas stood</h2>\n");
        page_replicas(out, page);
        out_cstr(out, "</div></div>\n");
    }
    write_facts(out, page);
    out_cstr(out, "</header>\n");
}

static void write_nav(struct out *out, const struct page *page)
{
    out_cstr(out, "<nav>");
    for (uint32_t i = 0; i < page->figure_count; i++) {
        if (page->figures[i].svg != NULL)
            out_format(out, "<a href=\"#%s\">%s</a>", page->figures[i].name,
                       page->figures[i].heading);
    }
    if (page->digest->shown_count > 0) out_cstr(out, "<a href=\"#moments\">Key moments</a>");
    if (page->run->check_count > 0) out_cstr(out, "<a href=\"#checks\">Checks</a>");
    out_cstr(out, "</nav>\n");
}

/* What the page does not show, in one sentence. */
static void write_left_out(struct out *out, const struct page *page)
{
    const struct digest *digest = page->digest;

    if (digest->shown_count == 0) return;
    out_cstr(out, "<p class=\"mute\" id=\"leftout\">Of ");
    out_count(out, digest->story->trace_events);
    out_cstr(out, " events in the trace ");
    out_count(out, digest->shown_count + digest->hidden_events + digest->outside);
    out_cstr(out, " changed ");
    out_html(out, digest->story->has_focus ? digest->story->focus : "something");
    out_cstr(out, "; ");
    out_count(out, digest->shown_count);
    out_cstr(out, " of them are shown moment by moment, ");
    out_count(out, digest->hidden_events);
    out_cstr(out, " left out where little happened");
    if (digest->outside > 0) {
        out_cstr(out, ", ");
        out_count(out, digest->outside);
        out_cstr(out, " lie outside the window");
    }
    if (digest->hidden_keys > 0) {
        out_cstr(out, "; of those left out ");
        out_count(out, digest->hidden_keys);
        out_format(out, " would be %skey moment%s", digest->hidden_keys == 1 ? "a " : "",
                   digest->hidden_keys == 1 ? "" : "s");
    }
    out_cstr(out, ".");
    if (digest->parts > 1)
        out_format(out, " They take %u pictures, from earlier to later.", digest->parts);
    out_cstr(out, "</p>\n");
}

void page_write(struct out *out, const struct page *page)
{
    struct out title = {.data = NULL};
    bool any = false;

    write_title(&title, page);
    page_begin(out, title.data);
    out_free(&title);
    write_first_screen(out, page);
    write_nav(out, page);
    if (page->note != NULL) {
        out_cstr(out, "<p>");
        out_html(out, page->note);
        out_cstr(out, "</p>\n");
    }
    write_left_out(out, page);
    for (uint32_t i = 0; i < page->figure_count; i++) {
        if (page->figures[i].svg == NULL) continue;
        write_figure(out, &page->figures[i]);
        any = true;
    }
    page_txns(out, page);
    if (page->digest->shown_count > 0) {
        write_timeline(out, page, !any);
        page_moments(out, page);
        page_nodes(out, page);
    } else {
        out_cstr(out, "<p>Nothing changed in this trace that a figure could show.</p>\n");
    }
    page_fault_plan(out, page);
    page_checks(out, page->run->checks, page->run->check_count);
    page_faults(out, page->run->faults, page->run->fault_count);
    if (page->run->plan != NULL) write_plan(out, page->run->plan);
    out_cstr(out, script);
    page_end(out);
}

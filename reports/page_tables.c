/* The tables and lists of a page: where the replicas stood, what each node did last, the key
 * moments, the faults as sentences. All of it from the story, none of it from
 * figures. */
#include "reports/page.h"
#include "reports/words.h"

#include "client/base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PER_NODE = 3, MOMENTS_MAX = 180, MARK_MAX = 48, FAULTS_MAX = 60, TAIL = 3 };

uint32_t page_last_told(const struct story *story)
{
    uint32_t end = story->event_count;

    if (story->violation >= 0) return (uint32_t)story->violation + 1;
    while (end > 0 && story->finished_ns > 0 && story->events[end - 1].time_ns > story->finished_ns)
        end--;
    return end;
}

void page_sentence(struct out *out, const struct story *story, const struct state *state,
                   const struct story_event *event)
{
    struct out text = {.data = NULL};

    words_event(&text, story, state, event);
    if (text.data != NULL) out_html(out, text.data);
    out_free(&text);
}

/* ---- replicas -------------------------------------------------------------------------------- */

static bool changes_replica(const struct story_event *event)
{
    switch ((enum story_what)event->what) {
    case STORY_ROLE:
    case STORY_HW:
    case STORY_APPENDED:
    case STORY_TRUNCATED:
    case STORY_OPENED:
    case STORY_LOG_START:
    case STORY_ISR:
    case STORY_DECISION:
    case STORY_DOWN: return true;
    case STORY_DIVERGED:
    case STORY_ACTIVE:
    case STORY_RENOUNCED:
    case STORY_UP:
    case STORY_FAULT:
    case STORY_STEP:
    case STORY_PHASE:
    case STORY_ACK:
    case STORY_FAILED:
    case STORY_LOST:
    case STORY_VIOLATION: return false;
    }
    return false;
}

/* "262", or "262 -> 506" where the last change changed it. */
static void number_cell(struct out *out, int64_t before, int64_t now)
{
    if (before != now)
        out_format(out, "<td class=\"n\"><s>%" PRId64 "</s> <b>%" PRId64 "</b></td>", before, now);
    else
        out_format(out, "<td class=\"n\">%" PRId64 "</td>", now);
}

static void role_words(struct out *out, const struct state_replica *replica)
{
    static const char *const words[] = {"no leader known", "follows",   "leads",
                                        "offline",         "candidate", "resigned"};

    if (!replica->up)
        out_cstr(out, "down");
    else
        out_format(out, "%s e%d", words[replica->role], (int)replica->epoch);
}

static void role_cell(struct out *out, const struct state_replica *before,
                      const struct state_replica *now)
{
    bool same = before->up == now->up && before->role == now->role && before->epoch == now->epoch;

    out_cstr(out, "<td>");
    if (!same) {
        out_cstr(out, "<s>");
        role_words(out, before);
        out_cstr(out, "</s> <b>");
    }
    role_words(out, now);
    out_cstr(out, same ? "</td>" : "</b></td>");
}

/* The last runs of the log: "e0 from 0, e2 from 506". */
static void tail_cell(struct out *out, const struct state_replica *replica)
{
    uint32_t from = replica->run_count > TAIL ? replica->run_count - TAIL : 0;

    out_cstr(out, "<td>");
    if (from > 0) out_cstr(out, "\xe2\x80\xa6 ");
    for (uint32_t i = from; i < replica->run_count; i++) {
        const struct state_run *run = &replica->runs[i];

        if (i > from) out_cstr(out, ", ");
        if (run->epoch < 0)
            out_format(out, "? from %" PRId64, run->start);
        else
            out_format(out, "e%d from %" PRId64, (int)run->epoch, run->start);
    }
    out_cstr(out, "</td>");
}

void page_replicas(struct out *out, const struct page *page)
{
    const struct story *story = page->digest->story;
    uint32_t end = page_last_told(story);
    struct state *before = malloc(sizeof *before);
    struct state *now = malloc(sizeof *now);
    bool any = false;

    ASSERT(before != NULL && now != NULL);
    state_init(now);
    *before = *now;
    for (uint32_t i = 0; i < end; i++) {
        if (changes_replica(&story->events[i])) *before = *now;
        state_apply(now, story, &story->events[i]);
    }
    for (uint32_t i = 0; i < story->node_count; i++)
        any = any || now->replicas[i].known;
    if (any) {
        out_cstr(out,
                 "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"replicas\">"
                 "<table id=\"replicas\"><caption>");
        out_html(out, story->focus);
        out_cstr(out, story->violation >= 0
                          ? " at the violation; struck: before the last change</caption>"
                          : " at the end; struck: before the last change</caption>");
        out_cstr(out, "<thead><tr><th>replica</th><th>role</th><th class=\"n\">start</th>"
                      "<th class=\"n\">HW</th><th class=\"n\">LEO</th>");
        if (now->isr_known) out_cstr(out, "<th>ISR</th>");
        out_cstr(out, "<th>epochs of the log</th></tr></thead><tbody>\n");
    }
    for (uint32_t i = 0; any && i < story->node_count; i++) {
        const struct state_replica *a = &before->replicas[i];
        const struct state_replica *b = &now->replicas[i];

        if (!b->known) continue;
        out_format(out, "<tr data-node=\"%d\"><th scope=\"row\">", (int)story->nodes[i].id);
        out_html(out, story_node_name(story, (int32_t)i));
        out_cstr(out, "</th>");
        role_cell(out, a, b);
        number_cell(out, a->log_start, b->log_start);
        number_cell(out, a->high_watermark, b->high_watermark);
        number_cell(out, a->log_end, b->log_end);
        if (now->isr_known)
            out_format(out, "<td>%s</td>",
                       (now->isr >> i & 1) != 0      ? "in"
                       : (before->isr >> i & 1) != 0 ? "<s>in</s> <b>out</b>"
                                                     : "out");
        tail_cell(out, b);
        out_cstr(out, "</tr>\n");
    }
    if (any) out_cstr(out, "</tbody></table></div>\n");
    free(before);
    free(now);
}

/* ---- nodes ----------------------------------------------------------------------------------- */

void page_nodes(struct out *out, const struct page *page)
{
    const struct story *story = page->digest->story;
    uint32_t(*last)[PER_NODE] = calloc(STORY_NODES_MAX, sizeof *last);
    uint32_t *count = calloc(STORY_NODES_MAX, sizeof *count);
    struct state *state = malloc(sizeof *state);
    uint32_t end = page_last_told(story);

    ASSERT(last != NULL && count != NULL && state != NULL);
    for (uint32_t i = end; i-- > 0;) {
        const struct story_event *event = &story->events[i];

        if (event->node < 0 || count[event->node] == PER_NODE || event->what == STORY_VIOLATION)
            continue;
        if ((event->what == STORY_DOWN || event->what == STORY_UP) && event->from != 0) continue;
        last[event->node][count[event->node]++] = i;
    }
    out_cstr(out, "<section><h2>The last of each node</h2>\n<table><thead><tr><th>node</th>"
                  "<th class=\"n\">s</th><th>what</th></tr></thead><tbody>\n");
    for (uint32_t n = 0; n < story->node_count; n++) {
        for (uint32_t k = count[n]; k-- > 0;) {
            uint32_t at = last[n][k];

            state_init(state);
            for (uint32_t i = 0; i < at; i++)
                state_apply(state, story, &story->events[i]);
            out_cstr(out, "<tr><th scope=\"row\">");
            if (k == count[n] - 1) out_html(out, story_node_name(story, (int32_t)n));
            out_cstr(out, "</th><td class=\"n\">");
            out_seconds(out, story->events[at].time_ns);
            out_cstr(out, "</td><td>");
            page_sentence(out, story, state, &story->events[at]);
            out_cstr(out, "</td></tr>\n");
        }
    }
    out_cstr(out, "</tbody></table></section>\n");
    free(last);
    free(count);
    free(state);
}

/* ---- faults ---------------------------------------------------------------------------------- */

void page_fault_plan(struct out *out, const struct page *page)
{
    const struct story *story = page->digest->story;
    const struct background *background = &story->background;
    uint32_t told = 0;

    if (background->fault_count == 0) return;
    out_cstr(out, "<section><h2>What was done to the cluster</h2>\n<ol class=\"led\">\n");
    for (uint32_t i = 0; i < background->fault_count && told < FAULTS_MAX; i++) {
        const struct background_fault *fault = &background->faults[i];

        out_cstr(out, "<li><span class=\"n\">");
        out_seconds(out, fault->begin_ns);
        out_cstr(out, "</span> ");
        if (fault->sort == BACKGROUND_DOWN) {
            out_html(out, story_node_name(story, fault->node));
            out_cstr(out, " is gone (");
            out_html(out, fault->text);
            out_cstr(out, ")");
        } else {
            out_html(out, fault->text);
        }
        if (fault->open) {
            out_cstr(out, ", to the end");
        } else if (fault->end_ns > fault->begin_ns) {
            out_cstr(out, ", for ");
            out_duration(out, fault->end_ns - fault->begin_ns);
        }
        out_cstr(out, "</li>\n");
        told++;
    }
    out_cstr(out, "</ol>\n");
    if (told < background->fault_count) {
        out_cstr(out, "<p class=\"mute\">");
        out_count(out, background->fault_count - told);
        out_cstr(out, " more are not listed.</p>\n");
    }
    out_cstr(out, "</section>\n");
}

/* ---- key moments ----------------------------------------------------------------------------- */

/* The id of an event's mark in one of the parts of the figure; false: it has none. */
static bool mark_of(const struct page *page, uint64_t number, char mark[MARK_MAX])
{
    for (uint32_t i = 0; i < page->figure_count; i++) {
        const struct page_figure *figure = &page->figures[i];
        char id[MARK_MAX + 8];

        if (figure->svg == NULL || strncmp(figure->name, "spacetime", 9) != 0) continue;
        snprintf(mark, MARK_MAX, "%.16s-e%" PRIu64, figure->name, number);
        snprintf(id, sizeof id, "id=\"%s\"", mark);
        if (strstr(figure->svg, id) != NULL) return true;
    }
    return false;
}

/* One row each, with a link to its mark; keys step through them (page.c, script). */
void page_moments(struct out *out, const struct page *page)
{
    const struct digest *digest = page->digest;
    const struct story *story = digest->story;
    struct state *state = malloc(sizeof *state);
    uint32_t next = digest->shown_count > 0 ? digest->shown[0] : 0;
    uint32_t told = 0;

    ASSERT(state != NULL);
    *state = digest->start;
    out_cstr(out, "<section><h2>Key moments</h2>\n<p class=\"mute\"><kbd>j</kbd> and <kbd>k</kbd> "
                  "go to the next and the one before, <kbd>v</kbd> to the verdict.</p>\n"
                  "<table id=\"moments\"><thead><tr><th class=\"n\">s</th><th>where</th><th>what"
                  "</th></tr></thead><tbody>\n");
    for (uint32_t i = 0; i < digest->shown_count && told < MOMENTS_MAX; i++) {
        const struct story_event *event = &story->events[digest->shown[i]];
        struct out where = {.data = NULL};
        char mark[MARK_MAX];
        bool marked;

        while (next < digest->shown[i])
            state_apply(state, story, &story->events[next++]);
        if (digest_rank(story, state, event) < 3) continue;
        told++;
        marked = mark_of(page, event->number, mark);
        out_format(out,
                   "<tr class=\"moment%s\" data-event=\"%" PRIu64
                   "\" data-mark=\"%s\"><td class=\"n\">",
                   event->what == STORY_VIOLATION ? " bad violation"
                   : words_red(state, event)      ? " bad"
                                                  : "",
                   event->number, marked ? mark : "");
        if (marked) out_format(out, "<a href=\"#%s\">", mark);
        out_seconds(out, event->time_ns);
        out_cstr(out, marked ? "</a></td><td>" : "</td><td>");
        out_bytes(&where, "", 0);
        words_where(&where, story, event);
        out_html(out, where.data);
        out_free(&where);
        out_cstr(out, event->what == STORY_VIOLATION ? "</td><td>VIOLATION: " : "</td><td>");
        page_sentence(out, story, state, event);
        out_cstr(out, "</td></tr>\n");
    }
    out_cstr(out, "</tbody></table></section>\n");
    free(state);
}

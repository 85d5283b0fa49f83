/* The transactions of a run in words: how they ended, and those that are open or took longest. Each
 * is a key moment, with its bar in the figure. */
#include "reports/page.h"

#include <inttypes.h>
#include <string.h>

enum { SHOWN = 6 };

static void write_parts(struct out *out, const struct txns *txns, const struct txns_one *one)
{
    for (uint32_t i = 0; i < one->part_count; i++) {
        const struct txns_in *in = &one->parts[i];
        char name[64];

        txns_part_name(txns, in->part, name, sizeof name);
        out_cstr(out, i == 0 ? ": " : "; ");
        out_html(out, name);
        out_format(out, " from #%" PRId64, in->first);
        if (in->lost) {
            out_cstr(out, ", lost with its leader");
        } else if (in->marker < 0) {
            out_cstr(out, ", no marker");
        } else {
            out_format(out, ", %s marker #%" PRId64 " at ",
                       in->result == TXNS_COMMITTED ? "commit" : "abort", in->marker);
            out_seconds(out, in->marker_ns);
        }
    }
    if (one->parts_hidden > 0) out_format(out, "; and %u more", one->parts_hidden);
}

/* Its bar is in the figure, if there is one. */
static void write_row(struct out *out, const struct story *story, const struct txns_one *one,
                      bool drawn)
{
    const struct txns *txns = &story->txns;
    const struct txns_producer *producer = &txns->producers[one->producer];
    enum txns_result result = txns_result(one);

    out_format(out, "<tr class=\"moment\" data-event=\"%" PRIu64 "\" data-mark=\"", one->number);
    if (drawn) out_format(out, "transactions-e%" PRIu64, one->number);
    out_cstr(out, "\"><td class=\"n\">");
    if (drawn) out_format(out, "<a href=\"#transactions-e%" PRIu64 "\">", one->number);
    out_seconds(out, one->begin_ns);
    out_cstr(out, drawn ? "</a></td><td>" : "</td><td>");
    if (producer->node >= 0) out_html(out, story_node_name(story, producer->node));
    out_format(out, "</td><td>Producer %" PRId64 ", epoch %" PRId64 ", ", producer->id, one->epoch);
    out_cstr(out, result == TXNS_OPEN ? "is open" : txns_word(result));
    if (result != TXNS_OPEN) {
        out_cstr(out, " after ");
        out_duration(out, txns_end(one, story->end_ns) - one->begin_ns);
    }
    if (one->decided_ns >= 0) {
        out_format(out, ", decided to %s at ",
                   one->decision == TXNS_COMMITTED ? "commit" : "abort");
        out_seconds(out, one->decided_ns);
    }
    write_parts(out, txns, one);
    out_cstr(out, "</td></tr>\n");
}

void page_txns(struct out *out, const struct page *page)
{
    const struct digest *digest = page->digest;
    const struct txns *txns = &digest->story->txns;
    uint64_t counts[TXNS_ABORTED + 1] = {0};
    uint32_t chosen[SHOWN];
    bool drawn = false;
    uint32_t count = txns_longest(txns, digest->from_ns, digest->to_ns, chosen, SHOWN);

    if (count == 0) return;
    for (uint32_t i = 0; i < page->figure_count; i++)
        drawn = drawn || (page->figures[i].svg != NULL &&
                          strcmp(page->figures[i].name, "transactions") == 0);
    for (uint32_t i = 0; i < txns->count; i++)
        counts[txns_result(&txns->all[i])]++;
    out_cstr(out, "<section id=\"longest\"><h2>Transactions that took longest</h2>\n<p>");
    out_count(out, counts[TXNS_COMMITTED]);
    out_cstr(out, " were committed, ");
    out_count(out, counts[TXNS_ABORTED]);
    out_cstr(out, " aborted; ");
    out_count(out, counts[TXNS_OPEN]);
    out_cstr(out, " are open where the trace ends.</p>\n<table><thead><tr><th class=\"n\">s</th>"
                  "<th>who</th><th>what</th></tr></thead><tbody>\n");
    for (uint32_t i = 0; i < count; i++)
        write_row(out, digest->story, &txns->all[chosen[i]], drawn);
    out_cstr(out, "</tbody></table></section>\n");
}

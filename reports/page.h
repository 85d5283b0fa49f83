/* The parts of a page: pure text, no files and no processes. */
#ifndef REPORTS_PAGE_H
#define REPORTS_PAGE_H

#include "reports/digest.h"
#include "reports/reports.h"

#define PAGE_NO_GRAPHVIZ                                                              \
    "Figures need Graphviz (Debian and Ubuntu: apt-get install graphviz); their DOT " \
    "files lie beside this page."

/* A figure ready for the page. */
struct page_figure {
    const char *name; /* "spacetime": its files are NAME.dot and NAME.svg */
    const char *heading;
    const char *svg; /* NULL: could not be drawn */
};

struct page {
    const struct reports_run *run;
    const struct digest *digest;
    const struct page_figure *figures;
    uint32_t figure_count;
    const char *note; /* why there are no figures; NULL */
};

void page_write(struct out *out, const struct page *page);
/* Shared with the index. */
void page_begin(struct out *out, const char *title);
void page_end(struct out *out);
void page_checks(struct out *out, const struct reports_check *checks, uint32_t count);
void page_faults(struct out *out, const struct reports_fault *faults, uint32_t count);
bool page_is_good(const char *outcome);
const char *page_outcome(const struct page *page);
const char *page_scenario(const struct page *page);

/* ---- page_led.c */
/* The turns before the violation (or the end) that say most, as a list. */
void page_led(struct out *out, const struct page *page);

/* ---- page_txns.c */
/* Transactions in words; nothing, where there are none. */
void page_txns(struct out *out, const struct page *page);

/* ---- page_tables.c */
/* The event up to which things are told: the violation, or the last before the run was over. */
uint32_t page_last_told(const struct story *story);
void page_sentence(struct out *out, const struct story *story, const struct state *state,
                   const struct story_event *event);
/* Where each replica of the focus stood, and what the last change changed. */
void page_replicas(struct out *out, const struct page *page);
void page_nodes(struct out *out, const struct page *page);
void page_fault_plan(struct out *out, const struct page *page);
void page_moments(struct out *out, const struct page *page);

#endif

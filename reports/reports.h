/* From a trace to pages: what gregor-sim calls.
 *
 * A page is one self-contained HTML file with its figures inside; the DOT and SVG of each figure
 * lie beside it. Same trace and facts, same bytes: no dates, no paths. Without Graphviz the page is
 * built all the same, with the text timeline instead of figures and the package to install. */
#ifndef REPORTS_REPORTS_H
#define REPORTS_REPORTS_H

#include "client/base/bytes.h"
#include "client/base/err.h"

struct reports_check {
    const char *id;       /* "R6" */
    const char *name;     /* may be NULL */
    const char *sentence; /* what has to hold; may be NULL */
    uint64_t evaluations; /* that could have failed; 0: not exercised */
    uint64_t violations;
};

struct reports_fault {
    const char *id;   /* "N6", may be NULL */
    const char *word; /* "partition" */
    uint64_t asked;
    uint64_t injected;
    uint64_t weakened;
    uint64_t refused;
};

/* All pointers are borrowed for the call; what is NULL, zero or empty is left out of the page. */
struct reports_run {
    struct bytes trace;     /* the trace file's bytes, or */
    const char *trace_path; /* its path */
    const char *directory;  /* of the page; made if missing (its parent must be there) */
    const char *scenario;   /* NULL: as the trace says */
    const char *outcome; /* "PASS", "FAIL", "STUCK", ...; NULL: FAIL if the trace has a violation */
    const char *build;
    const char *replay;    /* the command */
    const char *plan;      /* the scenario's text, or the fault plan */
    const char *violation; /* in words; NULL: the trace's own */
    const char *focus;     /* "orders-0"; NULL: the most eventful partition */
    bool has_seed;
    uint64_t seed;
    bool has_hash;
    uint64_t hash;
    int64_t virtual_ns; /* 0: as the trace says */
    uint64_t events;    /* delivered; 0: those of the trace */
    const struct reports_check *checks;
    uint32_t check_count;
    const struct reports_fault *faults;
    uint32_t fault_count;
    /* what somebody asked to see */
    bool has_window;
    int64_t from_ns; /* in the time of the trace */
    int64_t to_ns;
    const int32_t *nodes; /* lanes; none: the digest chooses */
    uint32_t node_count;
};

struct reports_result {
    bool figures;     /* Graphviz was there */
    bool cut;         /* the trace ends early */
    uint32_t dropped; /* labels that found no place: a figure too crowded */
    uint64_t rows;    /* shown */
    char note[256];   /* one line for people when something is missing; "" */
    /* of a page, what its head says */
    char scenario[64];
    char outcome[16];
    char violation[256]; /* in words; "" */
    uint64_t seed;
    uint64_t events;
    int64_t virtual_ns;
};

/* directory/index.html, the figures, and facts.txt for whoever draws it again. NOT_FOUND: the
 * trace; IO: the directory; MALFORMED, UNSUPPORTED: no trace
 * that can be read (a cut one can). `result` may be NULL. */
MUST_USE enum err reports_render_run(const struct reports_run *run, struct reports_result *result);

/* One line of an index: a run, with where its page is. */
struct reports_entry {
    const char *scenario;
    const char *outcome;
    const char *page; /* relative to the index, "leader-crash-7/index.html"; NULL: none */
    uint64_t seed;
    uint64_t events;
    int64_t virtual_ns;
    uint64_t hash;
    const char *check; /* the violated one, NULL */
    const char *text;  /* what was violated, in words, NULL */
};

/* Over all runs of a campaign. */
struct reports_index {
    const char *directory;
    const char *build;
    const struct reports_entry *runs; /* in the order of the page */
    uint32_t run_count;
    const struct reports_check *checks; /* summed over the runs */
    uint32_t check_count;
    const struct reports_fault *faults;
    uint32_t fault_count;
};
/* directory/index.html. IO: it could not be written. */
MUST_USE enum err reports_render_index(const struct reports_index *index);
/* The figures alone, as NAME.dot in the directory, and as NAME.svg if `svg`. */
MUST_USE enum err reports_render_figures(const struct reports_run *run, bool svg,
                                         struct reports_result *result);

/* What `gregor-sim why` found. The first event decided it, if `decided`; the last is the
 * violation's own. */
enum { REPORTS_WHY_MAX = 50 };
struct reports_why_event {
    int64_t time_ns;
    uint64_t number;   /* of the run: callbacks delivered */
    int32_t lane;      /* the node whose order it belongs to; -1: nobody's */
    int32_t node;      /* who did it; -1: the simulator, to that node */
    bool bad;          /* a fault, a node that goes down */
    const char *words; /* without their subject */
};
struct reports_why_link {
    uint32_t from; /* places in `events` */
    uint32_t to;
};
/* Other choices from this event on: so many of the runs failed alike. */
struct reports_why_point {
    uint64_t event;
    uint32_t failed;
    uint32_t of;
};
struct reports_why {
    const char *directory;
    const char *scenario;
    uint64_t seed;
    const char *outcome;   /* "FAIL R8" */
    const char *violation; /* in words */
    const char *again;     /* the command */
    bool decided;          /* some event did: unavoidable from `from` on, not before */
    uint64_t from;
    const struct reports_why_point *points;
    uint32_t point_count;
    const struct reports_why_event *events;
    uint32_t event_count; /* at most REPORTS_WHY_MAX */
    uint32_t left_out;    /* of the chain */
    const struct reports_why_link *links;
    uint32_t link_count;
};
/* directory/why.html, why.dot, why.svg. IO: they could not be written. */
MUST_USE enum err reports_render_why(const struct reports_why *why, struct reports_result *result);

/* Two runs beside each other, and where they part (sim/diff.c). */
struct reports_parting {
    int32_t node; /* -1: the simulator */
    bool differs;
    int64_t time_ns; /* of the first difference */
    const char *one; /* the event there, in words; NULL: nothing more */
    const char *other;
    uint64_t agreed;
    uint64_t only_one;
    uint64_t only_other;
};
struct reports_compare {
    const char *directory;
    const struct reports_run *one;
    const struct reports_run *other;
    const char *names[2];                   /* of the runs, for people */
    const struct reports_parting *partings; /* the first is the first difference */
    uint32_t parting_count;
};
/* directory/compare.html and its figures. NOT_FOUND, MALFORMED, UNSUPPORTED: one of the traces. */
MUST_USE enum err reports_render_compare(const struct reports_compare *compare,
                                         struct reports_result *result);

enum reports_text {
    REPORTS_TIMELINE, /* one line per change */
    REPORTS_FOLLOW,   /* one record's life */
    REPORTS_PERFETTO, /* JSON for ui.perfetto.dev */
};
struct reports_look {
    uint32_t columns; /* of the terminal; 0: as wide as it gets */
    bool colour;
    bool ascii;
    int64_t offset; /* FOLLOW: of the record; its partition is the focus */
};
/* *text is to be freed by the caller. NOT_FOUND also: no event is about that record, or there is
 * no such partition. */
MUST_USE enum err reports_render_text(const struct reports_run *run, enum reports_text what,
                                      struct reports_look look, char **text, size_t *length);

/* What reports_render_run() left in a directory: into `run`, whose strings then point into
 * *memory, to be freed by the caller (NULL: nothing was there). */
void reports_facts_load(const char *directory, struct reports_run *run, void **memory);

#endif

/* Text that grows: what every writer of this folder writes into. The escapes make hostile names
 * harmless: bytes that are no UTF-8 and control characters come out as '?'. */
#ifndef REPORTS_OUT_H
#define REPORTS_OUT_H

#include "client/base/str.h"

struct out {
    char *data; /* owned, terminated once anything was written */
    size_t length;
    size_t capacity;
};

void out_free(struct out *out);
void out_bytes(struct out *out, const char *data, size_t length);
void out_cstr(struct out *out, const char *text);
void out_format(struct out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Text of HTML, XML and of Graphviz' HTML-like labels, also between double quotes. */
void out_html(struct out *out, const char *text);
/* Inside the double quotes of a DOT string that Graphviz reads as an escString. */
void out_dot(struct out *out, const char *text);
/* 41.207 (seconds); with a unit fit for reading: "9.0 s", "340 ms", "85 us". */
void out_seconds(struct out *out, int64_t time_ns);
void out_duration(struct out *out, int64_t duration_ns);
/* 96 223, with a narrow space every three digits. */
void out_count(struct out *out, uint64_t value);
/* Whole files, for pages and figures; false: errno tells. */
bool out_write_file(const struct out *out, const char *path);
bool out_read_file(struct out *out, const char *path);

/* Fixed-size twins for labels and tooltips: cut at the end of a character, always terminated. */
void out_copy(char *buffer, size_t size, struct str text);

#endif

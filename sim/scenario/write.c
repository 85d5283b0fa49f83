#include "sim/scenario/write.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { WRITE_FORMAT_MAX = 1024, WRITE_EXPR_MAX = 4096 };

void write_text(const struct write *w, const char *text)
{
    sink_text(w->sink, text);
}

void write_format(const struct write *w, const char *format, ...)
{
    char text[WRITE_FORMAT_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    write_text(w, text);
}

static bool plain_anywhere(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           strchr("_.()$<>=!+-/*%; ", c) != NULL;
}

static bool plain(const char *text)
{
    size_t length = strlen(text);

    if (length == 0 || text[length - 1] == ' ') return false;
    if (strchr(" !><=*%-", text[0]) != NULL && !(text[0] == '-' && text[1] >= '0')) return false;
    for (; *text != '\0'; text++) {
        if (!plain_anywhere(*text)) return false;
    }
    return true;
}

void write_scalar(const struct write *w, const char *text)
{
    if (plain(text)) {
        write_text(w, text);
        return;
    }
    write_text(w, "\"");
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            write_text(w, "\\n");
        } else {
            write_format(w, "%s%c", *text == '"' || *text == '\\' ? "\\" : "", *text);
        }
    }
    write_text(w, "\"");
}

void write_quantity(const struct write *w, const char *key, enum unit unit, struct unit_range range)
{
    char text[80];

    units_write(unit, range, text, sizeof text);
    write_format(w, "%s: %s", key, text);
}

void write_share(const struct write *w, const char *key, uint32_t per_million)
{
    write_quantity(w, key, UNIT_SHARE, (struct unit_range){per_million, per_million});
}

void write_expr(const struct write *w, const struct expr *expr)
{
    char text[WRITE_EXPR_MAX];
    struct sink_buffer buffer;
    struct text_sink sink = sink_into(&buffer, text, sizeof text);

    expr_write(expr, w->names, &sink);
    write_scalar(w, text);
}

/* ---- a tree as it was read ------------------------------------------------------------------- */

static void write_flow(const struct write *w, const struct yaml *at)
{
    bool map = at->kind == YAML_MAP;

    if (at->kind == YAML_SCALAR) {
        write_scalar(w, at->text);
        return;
    }
    write_text(w, map ? "{" : "[");
    for (uint32_t i = 0; i < at->count; i++) {
        if (i > 0) write_text(w, ", ");
        if (map) {
            write_scalar(w, at->keys[i]->text);
            write_text(w, ": ");
        }
        write_flow(w, at->items[i]);
    }
    write_text(w, map ? "}" : "]");
}

/* Two levels in block style, everything below in one line. */
void write_pattern(const struct write *w, const struct scenario *scenario)
{
    struct store store = {NULL};
    struct yaml_error error;
    const struct yaml *root =
        yaml_parse(&store, scenario->file, scenario->source, scenario->source_length, &error);

    for (uint32_t i = 0; root != NULL && i < root->count; i++) {
        const struct yaml *at = root->items[i];

        write_format(w, "%s:", root->keys[i]->text);
        if (at->kind == YAML_SCALAR || at->count == 0 || (at->count == 1 && at->kind == YAML_MAP)) {
            write_text(w, " ");
            write_flow(w, at);
            write_text(w, "\n");
            continue;
        }
        write_text(w, "\n");
        for (uint32_t j = 0; j < at->count; j++) {
            write_text(w, "  ");
            if (at->kind == YAML_LIST) {
                write_text(w, "- ");
            } else {
                write_scalar(w, at->keys[j]->text);
                write_text(w, ": ");
            }
            write_flow(w, at->items[j]);
            write_text(w, "\n");
        }
    }
    store_free(&store);
}

#include "sim/scenario/yaml.h"

#include <libfyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { YAML_DEPTH_MAX = 32 };

struct yaml_reader {
    struct fy_parser *parser;
    struct store *store;
    const char *file;
    struct yaml_error *error;
};

void yaml_fail(struct yaml_error *error, const char *file, int line, int column, const char *format,
               ...)
{
    va_list args;
    int used;

    if (yaml_failed(error)) return;
    used = snprintf(error->text, sizeof error->text, "%s:%d:%d: ", file, line, column);
    if (used < 0 || (size_t)used >= sizeof error->text) return;
    va_start(args, format);
    (void)vsnprintf(error->text + used, sizeof error->text - (size_t)used, format, args);
    va_end(args);
}

struct yaml *yaml_get(const struct yaml *map, const char *key)
{
    for (uint32_t i = 0; i < map->count && map->kind == YAML_MAP; i++) {
        if (strcmp(map->keys[i]->text, key) == 0) return map->items[i];
    }
    return NULL;
}

/* ---- events of the library -> tree ----------------------------------------------------------- */

static struct yaml *yaml_build(struct yaml_reader *reader, struct fy_event *event, int depth);

static struct yaml *yaml_node(struct yaml_reader *reader, struct fy_event *event,
                              enum yaml_kind kind)
{
    struct yaml *node = store_take(reader->store, sizeof *node);
    const struct fy_mark *mark = fy_event_start_mark(event);

    node->kind = kind;
    node->line = mark != NULL ? mark->line + 1 : 1;
    node->column = mark != NULL ? mark->column + 1 : 1;
    return node;
}

static void yaml_fail_here(struct yaml_reader *reader, struct fy_event *event, const char *what)
{
    const struct fy_mark *mark = event != NULL ? fy_event_start_mark(event) : NULL;

    yaml_fail(reader->error, reader->file, mark != NULL ? mark->line + 1 : 1,
              mark != NULL ? mark->column + 1 : 1, "%s", what);
}

/* The library's own first message, without its decorations. */
static void yaml_fail_syntax(struct yaml_reader *reader, struct fy_diag *diag)
{
    void *state = NULL;
    struct fy_diag_error *first = fy_diag_errors_iterate(diag, &state);

    if (first == NULL) {
        yaml_fail(reader->error, reader->file, 1, 1, "this is no YAML");
        return;
    }
    yaml_fail(reader->error, reader->file, first->line > 0 ? first->line : 1,
              first->column > 0 ? first->column : 1, "YAML syntax: %.*s",
              (int)strcspn(first->msg, "\n"), first->msg);
}

static void yaml_add(struct yaml_reader *reader, struct yaml *node, struct yaml *key,
                     struct yaml *value)
{
    node->items = store_grow(reader->store, node->items, node->count, sizeof(struct yaml *));
    node->items[node->count] = value;
    if (node->kind == YAML_MAP) {
        node->keys = store_grow(reader->store, node->keys, node->count, sizeof(struct yaml *));
        node->keys[node->count] = key;
    }
    node->count++;
}

/* Items up to the closing event. */
static void yaml_build_inside(struct yaml_reader *reader, struct yaml *node, int depth)
{
    for (;;) {
        struct fy_event *event = fy_parser_parse(reader->parser);
        struct yaml *key = NULL;
        struct yaml *value;

        if (event == NULL) return;
        if (event->type == FYET_SEQUENCE_END || event->type == FYET_MAPPING_END) {
            fy_parser_event_free(reader->parser, event);
            return;
        }
        value = yaml_build(reader, event, depth + 1);
        fy_parser_event_free(reader->parser, event);
        if (value == NULL) return;
        if (node->kind == YAML_MAP) {
            const struct yaml *there;

            key = value;
            if (key->kind != YAML_SCALAR) {
                yaml_fail(reader->error, reader->file, key->line, key->column,
                          "a key must be a plain word");
                return;
            }
            there = yaml_get(node, key->text);
            if (there != NULL) {
                yaml_fail(reader->error, reader->file, key->line, key->column,
                          "\"%s\" is there already, in line %d; a key stands once", key->text,
                          there->line);
                return;
            }
            event = fy_parser_parse(reader->parser);
            if (event == NULL) return;
            value = yaml_build(reader, event, depth + 1);
            fy_parser_event_free(reader->parser, event);
            if (value == NULL) return;
        }
        yaml_add(reader, node, key, value);
    }
}

static struct yaml *yaml_build(struct yaml_reader *reader, struct fy_event *event, int depth)
{
    struct yaml *node;
    size_t length = 0;
    const char *text;

    if (depth > YAML_DEPTH_MAX) {
        yaml_fail_here(reader, event, "nested too deeply");
        return NULL;
    }
    if (event->type == FYET_SCALAR) {
        enum fy_scalar_style style = fy_token_scalar_style(event->scalar.value);

        node = yaml_node(reader, event, YAML_SCALAR);
        text = fy_token_get_text(event->scalar.value, &length);
        node->text = store_text(reader->store, text, text != NULL ? length : 0);
        node->quoted = style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED;
        if (node->quoted) node->column--; /* the library points behind the quote */
        return node;
    }
    if (event->type == FYET_MAPPING_START || event->type == FYET_SEQUENCE_START) {
        node = yaml_node(reader, event, event->type == FYET_MAPPING_START ? YAML_MAP : YAML_LIST);
        yaml_build_inside(reader, node, depth);
        return node;
    }
    {
        const struct fy_mark *mark = fy_event_start_mark(event); /* behind the '*' */

        yaml_fail(reader->error, reader->file, mark != NULL ? mark->line + 1 : 1,
                  mark != NULL ? mark->column : 1,
                  "anchors and aliases are not part of the scenario language");
    }
    return NULL;
}

static struct yaml *yaml_build_document(struct yaml_reader *reader)
{
    struct yaml *root = NULL;
    struct fy_event *event;

    while ((event = fy_parser_parse(reader->parser)) != NULL) {
        if (event->type == FYET_SCALAR || event->type == FYET_MAPPING_START ||
            event->type == FYET_SEQUENCE_START || event->type == FYET_ALIAS) {
            if (root != NULL) {
                yaml_fail_here(reader, event, "a file holds one scenario");
            } else {
                root = yaml_build(reader, event, 0);
            }
        }
        fy_parser_event_free(reader->parser, event);
        if (yaml_failed(reader->error)) return NULL;
    }
    return root;
}

struct yaml *yaml_parse(struct store *store, const char *file, const char *text, size_t length,
                        struct yaml_error *error)
{
    struct fy_diag_cfg diag_config;
    /* A number, because clang wants no sum of flags for an enum. */
    unsigned flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_ALLOW_DUPLICATE_KEYS;
    struct fy_parse_cfg config = {.flags = (enum fy_parse_cfg_flags)flags};
    struct yaml_reader reader = {.store = store, .file = file, .error = error};
    struct yaml *root;

    error->text[0] = '\0';
    fy_diag_cfg_default(&diag_config);
    diag_config.fp = NULL;
    config.diag = fy_diag_create(&diag_config);
    fy_diag_set_collect_errors(config.diag, true);
    reader.parser = fy_parser_create(&config);
    if (reader.parser == NULL || fy_parser_set_string(reader.parser, text, length) != 0) {
        yaml_fail(error, file, 1, 1, "cannot be read");
        root = NULL;
    } else {
        root = yaml_build_document(&reader);
        if (fy_diag_got_error(config.diag)) yaml_fail_syntax(&reader, config.diag);
        if (root == NULL) yaml_fail(error, file, 1, 1, "an empty file is no scenario");
    }
    if (reader.parser != NULL) fy_parser_destroy(reader.parser);
    fy_diag_destroy(config.diag);
    return yaml_failed(error) ? NULL : root;
}

#include "client/cli/json.h"

#include <stdlib.h>
#include <string.h>

struct json_reader {
    const char *at;
    const char *line_begin;
    uint32_t line;
    uint32_t depth;
    struct json_error *error;
};

static bool fail(const struct json_reader *r, const char *wrong)
{
    if (r->error->wrong == NULL)
        *r->error = (struct json_error){r->line, (uint32_t)(r->at - r->line_begin) + 1, wrong};
    return false;
}

static void skip_space(struct json_reader *r)
{
    for (; *r->at == ' ' || *r->at == '\t' || *r->at == '\r' || *r->at == '\n'; r->at++) {
        if (*r->at != '\n') continue;
        r->line++;
        r->line_begin = r->at + 1;
    }
}

static bool hex(struct json_reader *r, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        char c = *r->at;
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                                : 16;

        if (digit == 16) return fail(r, "\\u needs four hexadecimal digits");
        *code = *code * 16 + digit;
    }
    return true;
}

/* UTF-8 of a code point below 0x10000; names of topics need no more. */
static char *put_utf8(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

static bool escape(struct json_reader *r, char **to)
{
    static const char from[] = "\"\\/bfnrt";
    static const char into[] = "\"\\/\b\f\n\r\t";
    const char *found;
    uint32_t code;

    r->at++;
    if (*r->at == 'u') {
        r->at++;
        if (!hex(r, &code)) return false;
        if (code == 0) return fail(r, "a text cannot hold a zero");
        *to = put_utf8(*to, code);
        return true;
    }
    found = *r->at != 0 ? strchr(from, *r->at) : NULL;
    if (found == NULL) return fail(r, "no such escape");
    *(*to)++ = into[found - from];
    r->at++;
    return true;
}

static char *read_string(struct json_reader *r)
{
    char *text, *to;

    if (*r->at != '"') {
        fail(r, "a text in quotes is wanted here");
        return NULL;
    }
    to = text = malloc(strlen(r->at) + 1);
    if (text == NULL) {
        fail(r, "not enough memory");
        return NULL;
    }
    for (r->at++; *r->at != '"';) {
        if ((unsigned char)*r->at < ' ') {
            fail(r, "a text does not end");
            free(text);
            return NULL;
        }
        if (*r->at != '\\') {
            *to++ = *r->at++;
        } else if (!escape(r, &to)) {
            free(text);
            return NULL;
        }
    }
    r->at++;
    *to = 0;
    return text;
}

static bool read_value(struct json_reader *r, struct json *value);

static struct json *more(struct json_reader *r, struct json *value)
{
    uint32_t room = value->count + 1;
    struct json *items = realloc(value->items, room * sizeof *items);
    char **keys = NULL;

    if (items != NULL) value->items = items;
    if (items != NULL && value->kind == JSON_MAP) {
        keys = realloc(value->keys, room * sizeof *keys);
        if (keys != NULL) value->keys = keys;
    }
    if (items == NULL || (value->kind == JSON_MAP && keys == NULL)) {
        fail(r, "not enough memory");
        return NULL;
    }
    items[value->count] = (struct json){.kind = JSON_NULL};
    if (keys != NULL) keys[value->count] = NULL;
    return &items[value->count++];
}

/* Of a list or a map, behind its bracket. */
static bool read_items(struct json_reader *r, struct json *value, char end)
{
    if (++r->depth > JSON_DEPTH_MAX) return fail(r, "too deep");
    skip_space(r);
    while (*r->at != end) {
        struct json *item = more(r, value);

        if (item == NULL) return false;
        if (value->kind == JSON_MAP) {
            value->keys[value->count - 1] = read_string(r);
            if (value->keys[value->count - 1] == NULL) return false;
            skip_space(r);
            if (*r->at != ':') return fail(r, "':' is wanted here");
            r->at++;
        }
        if (!read_value(r, item)) return false;
        skip_space(r);
        if (*r->at == end) break;
        if (*r->at != ',')
            return fail(r, end == ']' ? "',' or ']' is wanted here" : "',' or '}' is wanted here");
        r->at++;
        skip_space(r);
        if (*r->at == end) return fail(r, "a value is missing behind ','");
    }
    r->at++;
    r->depth--;
    return true;
}

static bool read_number(struct json_reader *r, struct json *value)
{
    char *end = NULL, *whole = NULL;
    bool digit =
        (*r->at >= '0' && *r->at <= '9') || (*r->at == '-' && r->at[1] >= '0' && r->at[1] <= '9');

    if (!digit) return fail(r, "a value is wanted here");
    value->kind = JSON_NUMBER;
    value->number = strtoll(r->at, &whole, 10);
    (void)strtod(r->at, &end);
    value->whole = whole == end && value->number != INT64_MAX && value->number != INT64_MIN;
    r->at = end;
    return true;
}

static bool read_value(struct json_reader *r, struct json *value)
{
    static const struct {
        const char *word;
        enum json_kind kind;
    } words[] = {{"null", JSON_NULL}, {"true", JSON_TRUE}, {"false", JSON_FALSE}};

    skip_space(r);
    value->line = r->line;
    value->column = (uint32_t)(r->at - r->line_begin) + 1;
    for (int i = 0; i < 3; i++) {
        size_t length = strlen(words[i].word);

        if (strncmp(r->at, words[i].word, length) != 0) continue;
        value->kind = words[i].kind;
        r->at += length;
        return true;
    }
    switch (*r->at) {
    case '"':
        value->kind = JSON_STRING;
        value->text = read_string(r);
        return value->text != NULL;
    case '[':
    case '{':
        value->kind = *r->at == '[' ? JSON_LIST : JSON_MAP;
        r->at++;
        return read_items(r, value, value->kind == JSON_LIST ? ']' : '}');
    default: return read_number(r, value);
    }
}

static void clear(struct json *value)
{
    for (uint32_t i = 0; i < value->count; i++) {
        clear(&value->items[i]);
        if (value->kind == JSON_MAP) free(value->keys[i]);
    }
    free(value->items);
    free(value->keys);
    free(value->text);
}

void json_free(struct json *value)
{
    if (value == NULL) return;
    clear(value);
    free(value);
}

struct json *json_parse(const char *text, struct json_error *error)
{
    struct json_reader r = {.at = text, .line_begin = text, .line = 1, .error = error};
    struct json *value = calloc(1, sizeof *value);

    *error = (struct json_error){0};
    if (value == NULL) {
        fail(&r, "not enough memory");
        return NULL;
    }
    if (read_value(&r, value)) {
        skip_space(&r);
        if (*r.at != 0) fail(&r, "something stands behind the end");
    }
    if (error->wrong == NULL) return value;
    json_free(value);
    return NULL;
}

const struct json *json_get(const struct json *map, const char *key)
{
    if (map == NULL || map->kind != JSON_MAP) return NULL;
    for (uint32_t i = 0; i < map->count; i++)
        if (strcmp(map->keys[i], key) == 0) return &map->items[i];
    return NULL;
}

bool json_is_id(const struct json *value, int32_t *id)
{
    if (value == NULL || value->kind != JSON_NUMBER || !value->whole) return false;
    if (value->number < 0 || value->number > INT32_MAX) return false;
    *id = (int32_t)value->number;
    return true;
}

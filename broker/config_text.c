/* The text of a configuration: the lines of a server.properties (Java's properties syntax), the
 * parts of a value, and what is said of a wrong one. */
#include "broker/config_internal.h"

#include <string.h>

static bool config_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f';
}

struct str config_trim(struct str s)
{
    while (s.length > 0 && config_space(s.data[0]))
        s = (struct str){s.data + 1, s.length - 1};
    while (s.length > 0 && config_space(s.data[s.length - 1]))
        s.length--;
    return s;
}

bool config_next(struct str *rest, char separator, struct str *part)
{
    uint32_t length = 0;

    if (rest->data == NULL) return false;
    while (length < rest->length && rest->data[length] != separator)
        length++;
    *part = config_trim((struct str){rest->data, length});
    if (length == rest->length) {
        *rest = STR_NULL;
    } else {
        *rest = (struct str){rest->data + length + 1, rest->length - length - 1};
    }
    return true;
}

bool config_copy(char *to, size_t size, struct str value)
{
    if (value.length >= size) return false;
    if (value.length > 0) memcpy(to, value.data, value.length);
    to[value.length] = '\0';
    return true;
}

enum err config_wrong(struct errmsg *error, struct str key, struct str value, const char *right)
{
    struct text text;

    text_init(&text, error->text, sizeof error->text);
    text_format(&text, "%S: \"%S\" is wrong: %s", key, value, right);
    return ERR_BAD_CONFIG;
}

enum err config_fail(struct errmsg *error, const char *what)
{
    struct text text;

    text_init(&text, error->text, sizeof error->text);
    text_cstr(&text, what);
    return ERR_BAD_CONFIG;
}

struct text config_warn(struct config_warnings *warnings)
{
    struct text text;

    warnings->count++;
    if (warnings->count > CONFIG_WARNINGS_MAX) {
        /* The last place tells that there were more. */
        text_init(&text, warnings->text[CONFIG_WARNINGS_MAX - 1].text, sizeof(struct errmsg));
        return text;
    }
    text_init(&text, warnings->text[warnings->count - 1].text, sizeof(struct errmsg));
    return text;
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* Key up to the first '=', ':' or space; a line that ends in a backslash goes on in the next.
 * Escapes inside a value are those of file paths at most: a backslash keeps the next character. */
static uint32_t config_line(struct str text, char *line, size_t size, bool *too_long,
                            uint32_t *lines)
{
    uint32_t at = 0;
    size_t length = 0;

    *too_long = false;
    *lines = 0;
    while (at < text.length) {
        char c = text.data[at++];

        if (c == '\n') {
            ++*lines;
            break;
        }
        if (c == '\\' && at < text.length && line[0] != '#') {
            char next = text.data[at++];

            if (next == '\r' && at < text.length && text.data[at] == '\n') next = text.data[at++];
            if (next == '\n') {
                ++*lines;
                while (at < text.length && config_space(text.data[at]))
                    at++;
                continue;
            }
            c = next;
        }
        if (length + 1 < size) {
            line[length++] = c;
            line[length] = '\0';
        } else {
            *too_long = true;
        }
    }
    return at;
}

static void config_split(struct str line, struct str *key, struct str *value)
{
    uint32_t length = 0;

    while (length < line.length && line.data[length] != '=' && line.data[length] != ':' &&
           !config_space(line.data[length])) {
        length++;
    }
    *key = (struct str){line.data, length};
    *value = config_trim((struct str){line.data + length, line.length - length});
    if (value->length > 0 && (value->data[0] == '=' || value->data[0] == ':')) {
        *value = config_trim((struct str){value->data + 1, value->length - 1});
    }
}

enum err config_parse(struct config *config, struct str text, struct config_warnings *warnings,
                      struct errmsg *error)
{
    uint32_t number = 1;

    config_kafka_defaults(config);
    while (text.length > 0) {
        char line[4096] = "";
        bool too_long;
        uint32_t lines;
        uint32_t used = config_line(text, line, sizeof line, &too_long, &lines);
        struct str trimmed = config_trim(str_of(line));
        struct str key;
        struct str value;
        struct errmsg inner;
        enum err err = ERR_NONE;

        text = (struct str){text.data + used, text.length - used};
        if (trimmed.length > 0 && trimmed.data[0] != '#' && trimmed.data[0] != '!') {
            config_split(trimmed, &key, &value);
            err = too_long ? config_fail(&inner, "a line longer than 4095 bytes")
                           : config_set(config, key, value, warnings, &inner);
        }
        if (err != ERR_NONE) {
            struct text message;

            text_init(&message, error->text, sizeof error->text);
            text_format(&message, "%u: %s", number, inner.text);
            return err;
        }
        number += lines;
    }
    return ERR_NONE;
}

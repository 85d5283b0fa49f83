#include "broker/log/log_text.h"

#include "client/base/text.h"

#include <string.h>

/* Takes a whole line off `rest`; false when no newline is left. */
static bool log_text_line(struct str *rest, struct str *line)
{
    const char *newline;

    if (rest->length == 0) return false;
    newline = memchr(rest->data, '\n', rest->length);
    if (newline == NULL) return false;
    *line = (struct str){rest->data, (uint32_t)(newline - rest->data)};
    rest->length -= line->length + 1;
    rest->data = newline + 1;
    return true;
}

enum err log_text_open(struct log_text *text, struct str bytes)
{
    struct str line;
    uint64_t count;

    *text = (struct log_text){.rest = bytes};
    if (!log_text_line(&text->rest, &line) || !str_equal(line, STR("0"))) return ERR_DAMAGED;
    if (!log_text_line(&text->rest, &line) || !text_parse_u64(line, &count)) return ERR_DAMAGED;
    if (count > text->rest.length) return ERR_DAMAGED; /* a line takes a byte at least */
    text->count = (uint32_t)count;
    return ERR_NONE;
}

enum err log_text_next(struct log_text *text)
{
    if (text->read == text->count) return text->rest.length == 0 ? ERR_EOF : ERR_DAMAGED;
    if (!log_text_line(&text->rest, &text->line)) return ERR_DAMAGED;
    text->read++;
    return ERR_NONE;
}

bool log_text_word(struct log_text *text, struct str *word)
{
    const char *space;
    struct str line = text->line;

    if (line.length == 0) return false;
    space = memchr(line.data, ' ', line.length);
    if (space == NULL) {
        *word = line;
        text->line.length = 0;
        return true;
    }
    *word = (struct str){line.data, (uint32_t)(space - line.data)};
    text->line = (struct str){space + 1, line.length - word->length - 1};
    return word->length > 0 && text->line.length > 0;
}

#include "client/base/text.h"

#include "client/base/assert.h"

#include <stdarg.h>
#include <string.h>

void text_init(struct text *text, char *buffer, size_t size)
{
    ASSERT(size > 0);
    *text = (struct text){.start = buffer, .at = buffer, .end = buffer + size - 1};
    *text->at = '\0';
}

struct str text_view(const struct text *text)
{
    return (struct str){text->start, (uint32_t)(text->at - text->start)};
}

static void text_append(struct text *text, const char *data, size_t length)
{
    size_t room = (size_t)(text->end - text->at);

    if (length > room) {
        length = room;
        text->truncated = true;
    }
    if (length == 0) return;
    memcpy(text->at, data, length);
    text->at += length;
    *text->at = '\0';
}

void text_char(struct text *text, char c)
{
    text_append(text, &c, 1);
}

void text_cstr(struct text *text, const char *terminated)
{
    if (terminated == NULL) terminated = "null";
    text_append(text, terminated, strlen(terminated));
}

void text_str(struct text *text, struct str s)
{
    if (s.data == NULL) s = STR("null");
    text_append(text, s.data, s.length);
}

static void text_number(struct text *text, uint64_t value, uint32_t base, uint32_t digits_min)
{
    char digits[20];
    uint32_t at = COUNT_OF(digits);
    uint32_t stop = COUNT_OF(digits) - digits_min;

    while (value != 0 || at > stop) {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    }
    text_append(text, digits + at, COUNT_OF(digits) - at);
}

void text_i64(struct text *text, int64_t value)
{
    if (value < 0) text_char(text, '-');
    text_u64(text, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void text_u64(struct text *text, uint64_t value)
{
    text_number(text, value, 10, 1);
}

void text_hex(struct text *text, uint64_t value, uint32_t digits)
{
    ASSERT(digits <= 16);
    text_number(text, value, 16, digits == 0 ? 1 : digits);
}

void text_uuid(struct text *text, struct uuid id)
{
    char printed[UUID_TEXT + 1];

    uuid_print(id, printed);
    text_append(text, printed, UUID_TEXT);
}

void text_format(struct text *text, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    for (; *format != '\0'; format++) {
        if (*format != '%') {
            text_char(text, *format);
            continue;
        }
        format++;
        switch (*format) {
        case 's': text_cstr(text, va_arg(args, const char *)); break;
        case 'S': text_str(text, va_arg(args, struct str)); break;
        case 'c': text_char(text, (char)va_arg(args, int)); break;
        case 'd': text_i64(text, va_arg(args, int)); break;
        case 'D': text_i64(text, va_arg(args, int64_t)); break;
        case 'u': text_u64(text, va_arg(args, uint32_t)); break;
        case 'U': text_u64(text, va_arg(args, uint64_t)); break;
        case 'x': text_hex(text, va_arg(args, uint32_t), 1); break;
        case 'X': text_hex(text, va_arg(args, uint64_t), 1); break;
        case '%': text_char(text, '%'); break;
        default: IMPOSSIBLE("a directive that text_format does not know");
        }
    }
    va_end(args);
}

bool text_parse_u64(struct str s, uint64_t *value)
{
    uint64_t result = 0;

    if (s.length == 0) return false;
    for (uint32_t i = 0; i < s.length; i++) {
        uint64_t digit;

        if (s.data[i] < '0' || s.data[i] > '9') return false;
        digit = (uint64_t)(s.data[i] - '0');
        if (result > (UINT64_MAX - digit) / 10) return false;
        result = result * 10 + digit;
    }
    *value = result;
    return true;
}

bool text_parse_i64(struct str s, int64_t *value)
{
    bool negative = s.length > 0 && s.data[0] == '-';
    uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    uint64_t magnitude;

    if (negative) s = (struct str){s.data + 1, s.length - 1};
    if (!text_parse_u64(s, &magnitude) || magnitude > limit) return false;
    *value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

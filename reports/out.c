#include "reports/out.h"

#include "client/base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void out_free(struct out *out)
{
    free(out->data);
    *out = (struct out){.data = NULL};
}

static void reserve(struct out *out, size_t more)
{
    size_t capacity = out->capacity > 0 ? out->capacity : 1024;

    while (capacity - out->length <= more)
        capacity *= 2;
    if (capacity == out->capacity) return;
    out->data = realloc(out->data, capacity);
    ASSERT(out->data != NULL);
    out->capacity = capacity;
}

void out_bytes(struct out *out, const char *data, size_t length)
{
    reserve(out, length + 1);
    if (length > 0) memcpy(out->data + out->length, data, length);
    out->length += length;
    out->data[out->length] = '\0';
}

void out_cstr(struct out *out, const char *text)
{
    out_bytes(out, text, strlen(text));
}

void out_format(struct out *out, const char *format, ...)
{
    va_list args;
    va_list again;
    int length;

    va_start(args, format);
    va_copy(again, args);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    ASSERT(length >= 0);
    reserve(out, (size_t)length + 1);
    vsnprintf(out->data + out->length, (size_t)length + 1, format, again);
    va_end(again);
    out->length += (size_t)length;
}

/* Bytes of the character at `at`; 0: none that XML could carry. */
static uint32_t character(const unsigned char *at)
{
    uint32_t more = at[0] >= 0xf0 ? 3 : at[0] >= 0xe0 ? 2 : 1;

    if (at[0] < 0x80) return at[0] >= 0x20 && at[0] != 0x7f ? 1 : 0;
    if (at[0] < 0xc2 || at[0] > 0xf4) return 0;
    for (uint32_t i = 1; i <= more; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
    }
    if (at[0] == 0xe0 && at[1] < 0xa0) return 0; /* overlong */
    if (at[0] == 0xf0 && at[1] < 0x90) return 0;
    if (at[0] == 0xed && at[1] >= 0xa0) return 0; /* a surrogate */
    if (at[0] == 0xf4 && at[1] >= 0x90) return 0;
    if (at[0] == 0xef && at[1] == 0xbf && at[2] >= 0xbe) return 0;
    return more + 1;
}

static void escape(struct out *out, const char *text, bool dot)
{
    const unsigned char *at = (const unsigned char *)text;

    while (*at != '\0') {
        uint32_t length = character(at);

        if (length == 0) {
            out_cstr(out, *at == '\n' ? " " : "?");
            at++;
            continue;
        }
        if (*at == '&')
            out_cstr(out, "&amp;");
        else if (*at == '"')
            out_cstr(out, dot ? "\\\"" : "&quot;");
        else if (*at == '\\' && dot)
            out_cstr(out, "\\\\");
        else if (*at == '<' && !dot)
            out_cstr(out, "&lt;");
        else if (*at == '>' && !dot)
            out_cstr(out, "&gt;");
        else
            out_bytes(out, (const char *)at, length);
        at += length;
    }
}

void out_html(struct out *out, const char *text)
{
    escape(out, text, false);
}

void out_dot(struct out *out, const char *text)
{
    escape(out, text, true);
}

void out_seconds(struct out *out, int64_t time_ns)
{
    int64_t us = time_ns / 1000;

    out_format(out, "%lld.%03lld", (long long)(us / 1000000), (long long)(us / 1000 % 1000));
}

void out_duration(struct out *out, int64_t duration_ns)
{
    int64_t us = duration_ns / 1000;

    if (us < 1000) {
        out_format(out, "%lld us", (long long)us);
    } else if (us < 1000000) {
        out_format(out, "%lld ms", (long long)(us / 1000));
    } else {
        out_format(out, "%lld.%lld s", (long long)(us / 1000000), (long long)(us / 100000 % 10));
    }
}

void out_count(struct out *out, uint64_t value)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);

    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) out_cstr(out, "\xe2\x80\xaf");
        out_bytes(out, &digits[i], 1);
    }
}

bool out_write_file(const struct out *out, const char *path)
{
    FILE *file = fopen(path, "wb");
    bool good;

    if (file == NULL) return false;
    good = fwrite(out->data, 1, out->length, file) == out->length;
    return fclose(file) == 0 && good;
}

bool out_read_file(struct out *out, const char *path)
{
    FILE *file = fopen(path, "rb");
    char buffer[65536];
    size_t got;
    bool good;

    if (file == NULL) return false;
    while ((got = fread(buffer, 1, sizeof buffer, file)) > 0)
        out_bytes(out, buffer, got);
    good = ferror(file) == 0;
    fclose(file);
    return good;
}

void out_copy(char *buffer, size_t size, struct str text)
{
    size_t length = text.length < size - 1 ? text.length : size - 1;

    if (text.data == NULL) length = 0;
    if (length < text.length) {
        while (length > 0 && ((unsigned char)text.data[length] & 0xc0) == 0x80)
            length--;
    }
    if (length > 0) memcpy(buffer, text.data, length);
    for (size_t i = 0; i < length; i++) {
        if (buffer[i] == '\0') buffer[i] = '?';
    }
    buffer[length] = '\0';
}

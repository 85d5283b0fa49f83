#include "sim/scenario/sink.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SINK_FORMAT_MAX = 1024 };

void sink_text(const struct text_sink *sink, const char *text)
{
    sink->put(sink->context, text, strlen(text));
}

void sink_format(const struct text_sink *sink, const char *format, ...)
{
    char text[SINK_FORMAT_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    sink_text(sink, text);
}

static void buffer_put(void *context, const char *text, size_t length)
{
    struct sink_buffer *buffer = context;

    if (buffer->used + length + 1 > buffer->size) {
        buffer->full = 1;
        return;
    }
    memcpy(buffer->text + buffer->used, text, length);
    buffer->used += length;
    buffer->text[buffer->used] = '\0';
}

struct text_sink sink_into(struct sink_buffer *buffer, char *text, size_t size)
{
    *buffer = (struct sink_buffer){text, size, 0, 0};
    text[0] = '\0';
    return (struct text_sink){buffer_put, buffer};
}

/* Where text is written to, piece by piece. */
#ifndef SIM_SCENARIO_SINK_H
#define SIM_SCENARIO_SINK_H

#include <stddef.h>

struct text_sink {
    void (*put)(void *context, const char *text, size_t length);
    void *context;
};

void sink_text(const struct text_sink *sink, const char *text);
void sink_format(const struct text_sink *sink, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A sink into memory, always terminated; text beyond the size is dropped and `full` says so. */
struct sink_buffer {
    char *text;
    size_t size;
    size_t used;
    int full;
};
struct text_sink sink_into(struct sink_buffer *buffer, char *text, size_t size);

#endif

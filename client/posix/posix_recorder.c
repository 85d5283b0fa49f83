#include "client/posix/posix_recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void recorder_write(struct posix_recorder *recorder, const uint8_t *data, size_t length)
{
    while (length > 0 && !recorder->failed) {
        ssize_t n = write(recorder->fd, data, length);

        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            fprintf(stderr, "trace file: %s; recording ends\n", strerror(errno));
            recorder->failed = true;
            return;
        }
        data += n;
        length -= (size_t)n;
    }
}

static void recorder_flush(struct posix_recorder *recorder)
{
    if (recorder->block.events > 0) {
        recorder_write(recorder, recorder->buffer, trace_file_end(&recorder->block));
    }
    trace_file_begin(&recorder->block, recorder->buffer, sizeof recorder->buffer);
}

static void recorder_take(struct posix_trace_taker *taker, struct instant now, int32_t node_id,
                          const struct trace_event *event)
{
    struct posix_recorder *recorder = CONTAINER_OF(taker, struct posix_recorder, taker);
    /* Wall time, because traces of several processes are laid side by side; but only where it
     * began: from there on the clock that never steps, and that is finer. */
    int64_t time_ns;

    if (recorder->events == 0) recorder->base_ns = now.wall.ms * NS_PER_MS - now.mono.ns;
    time_ns = recorder->base_ns + now.mono.ns;
    if (recorder->next != NULL) recorder->next->take(recorder->next, now, node_id, event);
    if (recorder->failed) return;
    if (recorder->block.events > 0 && time_ns < recorder->block.last_ns) recorder_flush(recorder);
    if (!trace_file_append(&recorder->block, time_ns, node_id, event)) {
        recorder_flush(recorder);
        (void)trace_file_append(&recorder->block, time_ns, node_id, event);
    }
    recorder->events++;
}

struct posix_recorder *posix_recorder_create(const char *path, struct posix_trace_taker *next)
{
    struct posix_recorder *recorder = calloc(1, sizeof *recorder);
    uint8_t *head = malloc(TRACE_FILE_HEAD_MAX);

    if (recorder == NULL || head == NULL) {
        free(recorder);
        free(head);
        return NULL;
    }
    recorder->taker.take = recorder_take;
    recorder->taker.detail = true;
    recorder->taker.detail = true;
    recorder->next = next;
    recorder->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (recorder->fd < 0) {
        int saved = errno;

        free(recorder);
        free(head);
        errno = saved;
        return NULL;
    }
    recorder_write(recorder, head, trace_file_head(head));
    free(head);
    trace_file_begin(&recorder->block, recorder->buffer, sizeof recorder->buffer);
    return recorder;
}

void posix_recorder_destroy(struct posix_recorder *recorder)
{
    if (recorder == NULL) return;
    recorder_flush(recorder);
    close(recorder->fd);
    free(recorder);
}

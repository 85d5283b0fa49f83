/* The floor under the broker: a bare loop that receives Produce v7 frames, appends each batch to a
 * file with one gathered write, and answers. No check, no log, no state.
 * usage: bench-floor PORT FILE      until killed; prints "ready" */
#include "tests/bench/frame.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FLOOR_FRAMES_MAX = 64, FLOOR_ROOM = 1 << 20 };

struct floor {
    uint8_t room[FLOOR_ROOM];
    size_t have;
    int file;
    off_t end;
    int64_t offset;
};

/* Everything that is whole: one write, one send. False: the peer is hostile or gone. */
static bool floor_serve(struct floor *floor, int fd)
{
    uint8_t answers[FLOOR_FRAMES_MAX][FRAME_ANSWER_BYTES];
    struct iovec batches[FLOOR_FRAMES_MAX];
    size_t frames = 0;
    size_t bytes = 0;
    size_t at = 0;

    while (frames < FLOOR_FRAMES_MAX && floor->have - at >= 4) {
        uint8_t *frame = floor->room + at;
        uint32_t size = frame_get32(frame);

        if (size < FRAME_PRODUCE_HEAD + 61 || size > FLOOR_ROOM - 4) return false;
        if (floor->have - at < size + 4) break;
        batches[frames].iov_base = frame + FRAME_PRODUCE_HEAD;
        batches[frames].iov_len = size + 4 - FRAME_PRODUCE_HEAD;
        bytes += batches[frames].iov_len;
        frame_put64(frame + FRAME_PRODUCE_HEAD, (uint64_t)floor->offset);
        frame_answer(answers[frames], frame_get32(frame + FRAME_CORRELATION_AT), floor->offset);
        floor->offset += frame_get32(frame + FRAME_PRODUCE_HEAD + 57);
        frames++;
        at += size + 4;
    }
    if (frames > 0) {
        if (pwritev(floor->file, batches, (int)frames, floor->end) != (ssize_t)bytes) return false;
        floor->end += (off_t)bytes;
        if (send(fd, answers, frames * FRAME_ANSWER_BYTES, MSG_NOSIGNAL) < 0) return false;
    }
    floor->have -= at;
    memmove(floor->room, floor->room + at, floor->have);
    return true;
}

static int floor_listen(const char *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    const int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 16) != 0) exit(1);
    return fd;
}

int main(int argc, char **argv)
{
    static struct floor floor;
    const int one = 1;
    int listener;

    if (argc != 3) return 2;
    listener = floor_listen(argv[1]);
    floor.file = open(argv[2], O_CREAT | O_TRUNC | O_RDWR, 0644);
    if (floor.file < 0) return 1;
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        int set = epoll_create1(0);
        struct epoll_event event = {.events = EPOLLIN};

        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        floor.have = 0;
        (void)epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
        while (epoll_wait(set, &event, 1, -1) == 1) {
            ssize_t n = recv(fd, floor.room + floor.have, FLOOR_ROOM - floor.have, 0);

            if (n <= 0) break;
            floor.have += (size_t)n;
            if (!floor_serve(&floor, fd)) break;
        }
        close(set);
        close(fd);
    }
}

/* The system calls that can fail or be cut short for reasons of the machine, as a table, so that a
 * test can make them fail (EINTR, short transfers, EIO, ENOSPC). Production uses the real ones. */
#ifndef CLIENT_POSIX_POSIX_CALLS_H
#define CLIENT_POSIX_POSIX_CALLS_H

#include "client/base/err.h"

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

struct posix_calls {
    int (*open)(int dir, const char *path, int flags, mode_t mode);
    ssize_t (*pwritev)(int fd, const struct iovec *slices, int count, off_t offset);
    ssize_t (*preadv2)(int fd, const struct iovec *slices, int count, off_t offset, int flags);
    int (*fdatasync)(int fd);
    int (*fsync)(int fd);
    int (*ftruncate)(int fd, off_t length);
    int (*fallocate)(int fd, int mode, off_t offset, off_t length);
    int (*rename)(int dir, const char *from, int dir_to, const char *to);
    int (*unlink)(int dir, const char *path, int flags);
    int (*mkdir)(int dir, const char *path, mode_t mode);
    ssize_t (*sendmsg)(int fd, const struct msghdr *message, int flags);
    ssize_t (*sendfile)(int fd, int from, off_t *offset, size_t length);
    ssize_t (*recv)(int fd, void *into, size_t length, int flags);
    int (*accept)(int fd, struct sockaddr *address, socklen_t *length, int flags);
    int (*connect)(int fd, const struct sockaddr *address, socklen_t length);
};

extern const struct posix_calls posix_calls_real;

/* The house's word for an errno; IO for what has no better one. */
enum err posix_calls_err(int error);

#endif

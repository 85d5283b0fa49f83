#include "client/posix/posix_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static int real_open(int dir, const char *path, int flags, mode_t mode)
{
    return openat(dir, path, flags, mode);
}

static int real_accept(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    return accept4(fd, address, length, flags);
}

static int real_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    return connect(fd, address, length);
}

const struct posix_calls posix_calls_real = {
    .open = real_open,
    .pwritev = pwritev,
    .preadv2 = preadv2,
    .fdatasync = fdatasync,
    .fsync = fsync,
    .ftruncate = ftruncate,
    .fallocate = fallocate,
    .rename = renameat,
    .unlink = unlinkat,
    .mkdir = mkdirat,
    .sendmsg = sendmsg,
    .sendfile = sendfile,
    .recv = recv,
    .accept = real_accept,
    .connect = real_connect,
};

/* errno is the system's enum, not ours: here a default is right. */
enum err posix_calls_err(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT: return ERR_NO_SPACE;
    case ENOENT:
    case ENOTDIR: return ERR_NOT_FOUND;
    case EEXIST:
    case ENOTEMPTY: return ERR_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
    case EISDIR:
    case ETXTBSY: return ERR_ACCESS;
    case EAGAIN: return ERR_LOCKED; /* elsewhere it is no error */
    case ENAMETOOLONG:
    case EFBIG: return ERR_TOO_LARGE;
    case EMFILE:
    case ENFILE: return ERR_TOO_MANY;
    case ENOMEM:
    case ENOBUFS: return ERR_NO_MEMORY;
    case ECONNREFUSED: return ERR_CONNECTION_REFUSED;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE: return ERR_CONNECTION_RESET;
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH: return ERR_TIMED_OUT;
    case EADDRINUSE: return ERR_ADDRESS_IN_USE;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT: return ERR_ADDRESS_UNKNOWN;
    case ENOSYS:
    case EOPNOTSUPP: return ERR_UNSUPPORTED;
    default: return ERR_IO;
    }
}

#include "client/posix/posix_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Two bytes that far apart speak for what is between them (read-ahead brings in as much). */
enum { FILE_PROBE = 64 * 1024 };

/* Of a directory's entries, told by one call. */
enum { FILE_LIST_BYTES = 16 * 1024 };

/* A call that returns -1 and may be interrupted, again until it was not. */
#define UNINTERRUPTED(result, call) \
    do {                            \
        (result) = (call);          \
    } while ((result) < 0 && errno == EINTR)

static enum err file_lock(int fd)
{
    /* Owned by the open file, not the process: two opens of one process exclude each other as well,
     * and other processes that use the classic record locks are kept out. */
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return fcntl(fd, F_OFD_SETLK, &lock) == 0 ? ERR_NONE : posix_calls_err(errno);
}

enum err posix_file_open(const struct posix_calls *calls, int dir, struct disk_req *req, int *fd,
                         dev_t *device)
{
    int flags = O_CLOEXEC | ((req->flags & DISK_READ_ONLY) != 0 ? O_RDONLY : O_RDWR);
    struct stat about;
    enum err err = ERR_NONE;
    int opened;

    if ((req->flags & DISK_CREATE) != 0) {
        flags |= O_CREAT | ((req->flags & DISK_EXCLUSIVE) != 0 ? O_EXCL : 0);
    }
    UNINTERRUPTED(opened, calls->open(dir, req->path, flags, 0644));
    if (opened < 0) return posix_calls_err(errno);
    if (fstat(opened, &about) != 0) {
        err = posix_calls_err(errno);
    } else if (!S_ISREG(about.st_mode)) {
        err = ERR_ACCESS; /* a directory, opened read-only */
    } else if ((req->flags & DISK_LOCK) != 0) {
        err = file_lock(opened);
    }
    if (err != ERR_NONE) {
        close(opened);
        return err;
    }
    req->size = (uint64_t)about.st_size;
    *device = about.st_dev;
    *fd = opened;
    return ERR_NONE;
}

/* The slices from (*slice, *offset) on, as the system wants them; returns how many. */
static int file_slices(const struct disk_req *req, uint32_t slice, uint32_t offset,
                       struct iovec *to)
{
    int count = 0;

    for (uint32_t i = slice; i < req->slice_count && count < IOV_MAX; i++) {
        const struct bytes *from = &req->slices[i];
        uint32_t skip = i == slice ? offset : 0;

        if (from->length == skip) continue;
        to[count].iov_base = (void *)(uintptr_t)(from->data + skip);
        to[count].iov_len = from->length - skip;
        count++;
    }
    return count;
}

enum err posix_file_write(const struct posix_calls *calls, int fd, struct disk_req *req)
{
    struct iovec slices[IOV_MAX];
    uint32_t slice = 0;
    uint32_t offset = 0;

    req->done = 0;
    for (;;) {
        int count = file_slices(req, slice, offset, slices);
        uint64_t left;
        ssize_t n;

        if (count == 0) return ERR_NONE;
        UNINTERRUPTED(n, calls->pwritev(fd, slices, count, (off_t)(req->offset + req->done)));
        if (n < 0) return posix_calls_err(errno);
        if (n == 0) return ERR_IO; /* no progress and no reason: not endlessly */
        req->done += (uint64_t)n;
        for (left = (uint64_t)n; left > 0;) {
            uint32_t room = req->slices[slice].length - offset;

            if (left < room) {
                offset += (uint32_t)left;
                break;
            }
            left -= room;
            slice++;
            offset = 0;
        }
    }
}

enum err posix_file_read(const struct posix_calls *calls, int fd, struct disk_req *req, bool nowait)
{
    if (!nowait && req->done == 0 && (req->flags & DISK_UNCACHED) != 0) {
        /* Clean pages of the range are dropped, also those that a failed write-back marked clean
         * (storage.md H5), so what follows comes from the device. Whole pages only. */
        off_t first = (off_t)(req->offset & ~UINT64_C(4095));

        (void)posix_fadvise(fd, first,
                            (off_t)((req->offset + req->length + 4095) & ~UINT64_C(4095)) - first,
                            POSIX_FADV_DONTNEED);
    }
    while (req->done < req->length) {
        struct iovec into = {req->into + req->done, (size_t)(req->length - req->done)};
        ssize_t n;

        UNINTERRUPTED(n, calls->preadv2(fd, &into, 1, (off_t)(req->offset + req->done),
                                        nowait ? RWF_NOWAIT : 0));
        if (n < 0 && nowait && errno == EAGAIN) return ERR_TIMED_OUT;
        if (n < 0) return posix_calls_err(errno);
        if (n == 0) break;
        req->done += (uint64_t)n;
    }
    return ERR_NONE;
}

/* One byte of every so many is looked at, and the last one. */
bool posix_file_resident(const struct posix_calls *calls, int fd, uint64_t offset, uint64_t length,
                         uint64_t *resident, bool *unknown)
{
    uint64_t at = 0;

    *unknown = false;
    for (;;) {
        uint8_t byte;
        struct iovec into = {&byte, 1};
        ssize_t n;

        UNINTERRUPTED(n, calls->preadv2(fd, &into, 1, (off_t)(offset + at), RWF_NOWAIT));
        if (n < 0) *unknown = errno == EOPNOTSUPP || errno == ENOSYS;
        if (n != 1) break;
        if (at + 1 >= length) {
            *resident = length;
            return true;
        }
        at = at + FILE_PROBE < length - 1 ? at + FILE_PROBE : length - 1;
    }
    *resident = at == length - 1 ? at - at % FILE_PROBE : at;
    return false;
}

enum err posix_file_sync(const struct posix_calls *calls, int fd)
{
    int result;

    UNINTERRUPTED(result, calls->fdatasync(fd));
    return result == 0 ? ERR_NONE : posix_calls_err(errno);
}

static enum err file_preallocate(const struct posix_calls *calls, int fd,
                                 const struct disk_req *req)
{
    int result;

    if (req->length == 0) return ERR_NONE;
    UNINTERRUPTED(
        result, calls->fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)req->offset, (off_t)req->length));
    /* A reservation is a help, not a promise: file systems without it do without. */
    if (result != 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) return ERR_NONE;
    return result == 0 ? ERR_NONE : posix_calls_err(errno);
}

static enum err file_sync_dir(const struct posix_calls *calls, int dir, const char *path)
{
    enum err err = ERR_NONE;
    int result;
    int fd;

    UNINTERRUPTED(fd, calls->open(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
    if (fd < 0) return posix_calls_err(errno);
    UNINTERRUPTED(result, calls->fsync(fd));
    if (result != 0) err = posix_calls_err(errno);
    close(fd);
    return err;
}

static enum err file_free_space(int dir, struct disk_req *req)
{
    struct statvfs about;
    enum err err = ERR_NONE;
    int fd = openat(dir, req->path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) return posix_calls_err(errno);
    if (fstatvfs(fd, &about) == 0) {
        req->size = (uint64_t)about.f_bavail * about.f_frsize;
    } else {
        err = posix_calls_err(errno);
    }
    close(fd);
    return err;
}

/* One entry at `used` if there is room; returns its length in any case. */
static uint64_t file_list_entry(struct disk_req *req, uint64_t used, const char *name,
                                const struct stat *about)
{
    size_t name_length = strlen(name);
    size_t length = (offsetof(struct disk_entry, name) + name_length + 1 + 7) & ~(size_t)7;
    struct disk_entry entry = {
        .size = S_ISDIR(about->st_mode) ? 0 : (uint64_t)about->st_size,
        .entry_length = (uint16_t)length,
        .directory = S_ISDIR(about->st_mode),
    };

    if (used + length <= req->length) {
        uint8_t *at = req->into + used;

        memset(at, 0, length);
        memcpy(at, &entry, offsetof(struct disk_entry, name));
        memcpy(at + offsetof(struct disk_entry, name), name, name_length);
    }
    return length;
}

/* The entries that one call told. */
static uint64_t file_list_some(struct disk_req *req, uint64_t used, int fd, const uint8_t *told,
                               size_t length)
{
    for (size_t at = 0; at < length;) {
        const struct dirent64 *entry = (const struct dirent64 *)(const void *)(told + at);
        struct stat about;

        at += entry->d_reclen;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (entry->d_type == DT_DIR) {
            about.st_mode = S_IFDIR;
        } else if (fstatat(fd, entry->d_name, &about, 0) != 0) {
            continue; /* gone since, or a dead link */
        }
        used += file_list_entry(req, used, entry->d_name, &about);
    }
    return used;
}

/* Without the library's stream of a directory, whose opening costs three more calls: a start lists
 * the directory of each partition. */
static enum err file_list(int dir, struct disk_req *req)
{
    _Alignas(struct dirent64) uint8_t told[FILE_LIST_BYTES];
    int fd = openat(dir, req->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum err err = ERR_NONE;
    uint64_t used = 0;
    ssize_t length;

    if (fd < 0) return posix_calls_err(errno);
    while ((length = getdents64(fd, told, sizeof told)) > 0)
        used = file_list_some(req, used, fd, told, (size_t)length);
    if (length < 0) err = posix_calls_err(errno);
    close(fd);
    if (err != ERR_NONE) return err;
    if (used > req->length) {
        req->size = used;
        return ERR_TOO_LARGE;
    }
    req->done = used;
    return ERR_NONE;
}

enum err posix_file_other(const struct posix_calls *calls, int dir, int fd, struct disk_req *req)
{
    int result = 0;

    switch (req->op) {
    case DISK_PREALLOCATE: return file_preallocate(calls, fd, req);
    case DISK_SYNC: return posix_file_sync(calls, fd);
    case DISK_TRUNCATE: UNINTERRUPTED(result, calls->ftruncate(fd, (off_t)req->length)); break;
    case DISK_RENAME:
        UNINTERRUPTED(result, calls->rename(dir, req->path, dir, req->path_to));
        break;
    case DISK_UNLINK: UNINTERRUPTED(result, calls->unlink(dir, req->path, 0)); break;
    case DISK_RMDIR: UNINTERRUPTED(result, calls->unlink(dir, req->path, AT_REMOVEDIR)); break;
    case DISK_MKDIR: UNINTERRUPTED(result, calls->mkdir(dir, req->path, 0755)); break;
    case DISK_LIST: return file_list(dir, req);
    case DISK_SYNC_DIR: return file_sync_dir(calls, dir, req->path);
    case DISK_FREE_SPACE: return file_free_space(dir, req);
    case DISK_OPEN:
    case DISK_CLOSE:
    case DISK_WRITE:
    case DISK_READ:
    case DISK_RESIDENT:
    case DISK_SYNC_MANY: IMPOSSIBLE("needs the table");
    }
    return result == 0 ? ERR_NONE : posix_calls_err(errno);
}

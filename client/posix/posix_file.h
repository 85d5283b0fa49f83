/* One disk request, executed to its end by the thread that calls: short transfers and EINTR are
 * continued here. Knows no table, no mode, no list. */
#ifndef CLIENT_POSIX_POSIX_FILE_H
#define CLIENT_POSIX_POSIX_FILE_H

#include "client/posix/posix_calls.h"
#include "client/world/world.h"

/* Gives a descriptor, and its device. */
MUST_USE enum err posix_file_open(const struct posix_calls *calls, int dir, struct disk_req *req,
                                  int *fd, dev_t *device);
MUST_USE enum err posix_file_write(const struct posix_calls *calls, int fd, struct disk_req *req);
/* Continues at req->done. With `nowait` it stops with UNSUPPORTED or, when the bytes are not in the
 * page cache, with TIMED_OUT; req->done says how far it came. */
MUST_USE enum err posix_file_read(const struct posix_calls *calls, int fd, struct disk_req *req,
                                  bool nowait);
/* Everything that needs no table: PREALLOCATE, SYNC, TRUNCATE on fd; the rest by path. */
MUST_USE enum err posix_file_other(const struct posix_calls *calls, int dir, int fd,
                                   struct disk_req *req);
/* How much of the range is in the page cache, from its beginning on; `unknown`: this file system
 * does not tell. True: all of it. length > 0. */
bool posix_file_resident(const struct posix_calls *calls, int fd, uint64_t offset, uint64_t length,
                         uint64_t *resident, bool *unknown);
MUST_USE enum err posix_file_sync(const struct posix_calls *calls, int fd);

#endif

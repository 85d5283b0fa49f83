/* The contexts of the compression libraries: the part of client/wire/compress.h that allocates.
 * Created once per thread by a program, destroyed at its end. */
#ifndef CLIENT_POSIX_CODECS_H
#define CLIENT_POSIX_CODECS_H

#include "client/wire/compress.h"

/* ERR_NO_MEMORY: nothing is left behind. */
MUST_USE enum err codecs_create(struct codecs *codecs);
void codecs_destroy(struct codecs *codecs);
/* What this processor can do. */
struct cpu codecs_cpu(void);

#endif

/* What the fuzz targets share. A target is LLVMFuzzerTestOneInput; linked with replay.c it is an
 * ordinary program that runs over files, so that the corpus is part of the tests. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "client/base/arena.h"
#include "client/base/assert.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An arena over fresh memory, the same at every call. */
struct arena *fuzz_arena(size_t max);

#endif

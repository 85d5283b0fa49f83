/* What every unit test needs: memory for a region, and assertions of the core that fail the test
 * (so that expect_assert_failure() works on them). */
#ifndef TESTS_SUPPORT_SUPPORT_H
#define TESTS_SUPPORT_SUPPORT_H

/* cmocka wants these before its own header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/base/mem.h"
#include "client/base/region.h"

struct support_memory {
    struct region region;
    struct mem mem;
};

/* A region of `size` bytes of lazily touched zero pages. */
void support_region_init(struct region *region, size_t size);
void support_region_deinit(struct region *region);
/* A region and its mem; deinit asserts that everything was given back. */
void support_memory_init(struct support_memory *memory, size_t size);
void support_memory_deinit(struct support_memory *memory);

#endif

/* What every unit test needs: memory for a region, and assertions of the core that fail the test
 * (or meet the EXPECT_BUG around them). */
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

/* Statement runs into an ASSERT of the core. A local that is written in the same test after such
 * a line may need to move to another function: the assertion comes back by longjmp(). */
#define EXPECT_BUG(statement)            \
    do {                                 \
        expect_assert_failure(statement) \
    } while (0)

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

#include "tests/support/support.h"

#include "client/base/assert.h"

#include <stdlib.h>
#include <sys/mman.h>

/* The core's assertion hook. mock_assert() jumps out of the test, or into the
 * expect_assert_failure() around it. */
_Noreturn void assert_failed(const char *expression, const char *file, int line)
{
    mock_assert(0, expression, file, line);
    abort();
}

void support_region_init(struct region *region, size_t size)
{
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (base == MAP_FAILED) abort();
    region_init(region, base, size);
}

void support_region_deinit(struct region *region)
{
    region_reset(region);
    munmap(region->base, region->size);
}

void support_memory_init(struct support_memory *memory, size_t size)
{
    support_region_init(&memory->region, size);
    mem_init(&memory->mem, &memory->region);
}

void support_memory_deinit(struct support_memory *memory)
{
    assert_int_equal(mem_in_use(&memory->mem), 0);
    support_region_deinit(&memory->region);
}

#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { REGION = 64 << 20 };

_Noreturn void assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, expression);
    abort();
}

struct arena *fuzz_arena(size_t max)
{
    static struct region region;
    static struct mem mem;
    static struct arena arena;

    if (region.base == NULL) {
        void *base = mmap(NULL, REGION, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (base == MAP_FAILED) abort();
        region_init(&region, base, REGION);
        mem_init(&mem, &region);
        arena_init(&arena, &mem, max);
    }
    arena_reset(&arena);
    return &arena;
}

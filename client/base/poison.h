/* Free memory of our own allocators, made visible to AddressSanitizer: a use after free is reported
 * although nothing ever calls free(). Nothing in other builds. */
#ifndef CLIENT_BASE_POISON_H
#define CLIENT_BASE_POISON_H

#include <stdbool.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISON_BUILD 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON_BUILD 1
#endif
#endif

#if defined(POISON_BUILD)
#include <sanitizer/asan_interface.h>
#define POISON(start, size)   ASAN_POISON_MEMORY_REGION(start, size)
#define UNPOISON(start, size) ASAN_UNPOISON_MEMORY_REGION(start, size)
#define POISONED(at)          (__asan_address_is_poisoned(at) != 0)
#else
#define POISON(start, size)   ((void)(start), (void)(size))
#define UNPOISON(start, size) ((void)(start), (void)(size))
#define POISONED(at)          ((void)(at), false)
#endif

#endif

/* ASSERT: a condition that only a bug can make false. Always compiled in (style: assertions stay
 * on). Bytes from the network or a disk are never asserted on: they get an error.
 *
 * assert_failed() is defined outside the core: the production programs log and abort, the
 * simulator records node, virtual time and seed and abandons the run (a node's memory is one
 * region, so nothing needs unwinding), a test fails. */
#ifndef CLIENT_BASE_ASSERT_H
#define CLIENT_BASE_ASSERT_H

#include <stddef.h>
#include <stdint.h>

_Noreturn void assert_failed(const char *expression, const char *file, int line);

#define ASSERT(condition) ((condition) ? (void)0 : assert_failed(#condition, __FILE__, __LINE__))

/* A place no path may reach. Says why. */
#define IMPOSSIBLE(why) assert_failed("impossible: " why, __FILE__, __LINE__)

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The object that embeds `member` at `pointer`. */
#define CONTAINER_OF(pointer, type, member) \
    ((type *)(void *)((uintptr_t)(pointer)-offsetof(type, member)))

#endif

/* The core's assertion hook, in a file of its own so that a program may bring another one. */
#include "client/base/assert.h"
#include "sim/sim.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void assert_failed(const char *expression, const char *file, int line)
{
    struct sim *sim = sim_current();

    if (sim != NULL) sim_fail(sim, expression, file, line);
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
    exit(6);
}

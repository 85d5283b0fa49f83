/* What a failed assertion does in the production programs. In a file of its own: a program that
 * brings its own assert_failed() (the simulator, a test) does not link this one. */
#include "client/base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "assertion failed: %s (%s:%d)\n", expression, file, line);
    abort();
}

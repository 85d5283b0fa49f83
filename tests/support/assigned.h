/* What an assignor gives, as a line of text that a test can expect. */
#ifndef TESTS_SUPPORT_ASSIGNED_H
#define TESTS_SUPPORT_ASSIGNED_H

#include "tests/support/support.h"

#include "client/assignor.h"

/* Runs it, without an error (asserted): "t0 t1 / t2 / -", member by member, in order. */
const char *assigned_text(struct assignor_task *task, char *result, size_t size);

#endif

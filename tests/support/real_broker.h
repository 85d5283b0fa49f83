/* One broker of the production world on a thread of the test, with its data in a directory of its
 * own: for tests of what runs beside it, over real sockets. */
#ifndef TESTS_SUPPORT_REAL_BROKER_H
#define TESTS_SUPPORT_REAL_BROKER_H

#include "tests/support/support.h"

struct real_broker;

/* Returns when it serves; fails the test otherwise. `settings`: key, value, ..., NULL. */
struct real_broker *real_broker_start(const char *const *settings);
/* "127.0.0.1:PORT" */
const char *real_broker_address(const struct real_broker *broker);
/* An orderly stop; the directory is removed. */
void real_broker_stop(struct real_broker *broker);

/* Setup and teardown of a whole program of tests: one broker, whose groups wait for nobody else to
 * join, in `*state` of every test of it. */
int real_broker_setup(void **state);
int real_broker_teardown(void **state);

#endif

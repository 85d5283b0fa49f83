/* One producer under test: what producer_main.c asks of it. Settings are the same for both: acks
 * and idempotence as told, batches of up to 128 KiB, linger 5 ms, no compression, no callback per
 * record but one that counts. */
#ifndef TESTS_BENCH_PRODUCER_H
#define TESTS_BENCH_PRODUCER_H

#include <stddef.h>
#include <stdint.h>

enum { PRODUCER_BATCH = 131072 };

void bench_open(const char *servers, const char *topic, const char *acks);
void bench_send(const void *value, size_t length); /* waits when there is no room */
void bench_flush(void);
uint64_t bench_delivered(void); /* of all records */
void bench_close(void);

#endif

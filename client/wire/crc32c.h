/* CRC-32C (Castagnoli), the checksum of record batches. Two implementations that agree bit for
 * bit; which one runs is said by the caller, because the core does not ask the processor. */
#ifndef CLIENT_WIRE_CRC32C_H
#define CLIENT_WIRE_CRC32C_H

#include "client/base/cpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 to begin) over `length` bytes. crc32c(0, "123456789", 9) = 0xE3069283. */
uint32_t crc32c(struct cpu cpu, uint32_t crc, const void *data, size_t length);
/* The crc of two runs put together: crc of A, crc of B, length of B. */
uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t length_b);

#endif

/* What the processor can do, found out by the program and handed in: the core asks no machine. */
#ifndef CLIENT_BASE_CPU_H
#define CLIENT_BASE_CPU_H

#include <stdbool.h>

struct cpu {
    bool sse42; /* CRC-32C instruction */
};

#endif

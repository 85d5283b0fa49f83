/* placeholder for interface; the base branch owns this file */
#ifndef CLIENT_BASE_HEAP_H
#define CLIENT_BASE_HEAP_H
#include <stdint.h>
struct heap_node {
    int64_t deadline;
    uint64_t sequence;
    uint32_t position;
};
#endif

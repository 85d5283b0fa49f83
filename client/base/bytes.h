/* Bytes that somebody else owns: a view, borrowed unless a comment says otherwise. */
#ifndef CLIENT_BASE_BYTES_H
#define CLIENT_BASE_BYTES_H

#include "client/base/str.h"
#include "client/base/uuid.h"

/* data == NULL is null (the wire's null bytes); length 0 with data is empty. */
struct bytes {
    const uint8_t *data;
    uint32_t length;
};

#define BYTES_NULL ((struct bytes){NULL, 0})

bool bytes_equal(struct bytes a, struct bytes b);

#endif

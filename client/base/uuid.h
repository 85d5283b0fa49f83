/* Identities of 16 bytes: topics, directories, incarnations. */
#ifndef CLIENT_BASE_UUID_H
#define CLIENT_BASE_UUID_H

#include "client/base/str.h"

/* 16 bytes, most significant first, as on the wire. Text form: URL-safe base64, 22 characters. */
struct uuid {
    uint8_t bytes[16];
};

#define UUID_TEXT 22
bool uuid_equal(struct uuid a, struct uuid b);
bool uuid_is_zero(struct uuid a);
int uuid_compare(struct uuid a, struct uuid b);
void uuid_print(struct uuid id, char text[UUID_TEXT + 1]);
bool uuid_parse(struct str text, struct uuid *id);
/* First 8 bytes as a number: the short identity of a topic in traces. */
uint64_t uuid_high(struct uuid id);

#endif

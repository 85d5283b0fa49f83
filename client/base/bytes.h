/* Views into memory that somebody else owns. Borrowed unless a comment says otherwise. */
#ifndef CLIENT_BASE_BYTES_H
#define CLIENT_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* data == NULL means null (the wire's null string or null bytes); length 0 with data is empty. */
struct bytes {
    const uint8_t *data;
    uint32_t length;
};

/* Text, not terminated, UTF-8 by contract of the wire, unchecked. */
struct str {
    const char *data;
    uint32_t length;
};

#define STR(literal) ((struct str){(literal), (uint32_t)sizeof(literal) - 1})
#define STR_NULL     ((struct str){NULL, 0})
#define BYTES_NULL   ((struct bytes){NULL, 0})

/* printf arguments for "%.*s". */
#define STR_ARG(s) (int)(s).length, ((s).data != NULL ? (s).data : "")

struct str str_of(const char *terminated);
bool str_equal(struct str a, struct str b);
int str_compare(struct str a, struct str b); /* bytewise; shorter first on a common prefix */
bool bytes_equal(struct bytes a, struct bytes b);

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

/* Text that somebody else owns: a view, borrowed unless a comment says otherwise. */
#ifndef CLIENT_BASE_STR_H
#define CLIENT_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Not terminated; UTF-8 by contract of the wire, unchecked. data == NULL is the wire's null. */
struct str {
    const char *data;
    uint32_t length;
};

#define STR(literal) ((struct str){(literal), (uint32_t)sizeof(literal) - 1})
#define STR_NULL     ((struct str){NULL, 0})

/* printf arguments for "%.*s". */
#define STR_ARG(s) (int)(s).length, ((s).data != NULL ? (s).data : "")

struct str str_of(const char *terminated);
bool str_equal(struct str a, struct str b);
int str_compare(struct str a, struct str b); /* bytewise; shorter first on a common prefix */

#endif

#include "client/base/str.h"

#include <string.h>

struct str str_of(const char *terminated)
{
    return (struct str){terminated, terminated != NULL ? (uint32_t)strlen(terminated) : 0};
}

bool str_equal(struct str a, struct str b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

int str_compare(struct str a, struct str b)
{
    uint32_t shared = a.length < b.length ? a.length : b.length;
    int order = shared == 0 ? 0 : memcmp(a.data, b.data, shared);

    if (order != 0) return order < 0 ? -1 : 1;
    return a.length == b.length ? 0 : a.length < b.length ? -1 : 1;
}

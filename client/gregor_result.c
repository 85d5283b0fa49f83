/* Memory of an administrator's answer: blocks in a chain that hangs before the first one, which is
 * what the caller gets and gives back. */
#include "client/gregor_internal.h"

#include <stdlib.h>
#include <string.h>

struct block {
    struct block *next;
    size_t size; /* keeps what follows aligned */
};

void *gregor_result_take(struct gregor_result *result, size_t size)
{
    struct block *block = calloc(1, sizeof *block + size + 1);

    if (block == NULL) {
        result->failed = true;
        return NULL;
    }
    block->size = size;
    if (result->first == NULL) {
        result->first = block + 1;
    } else {
        struct block *head = (struct block *)result->first - 1;

        block->next = head->next;
        head->next = block;
    }
    return block + 1;
}

const char *gregor_result_text(struct gregor_result *result, struct str text)
{
    char *copy;

    if (text.data == NULL) return NULL;
    copy = gregor_result_take(result, (size_t)text.length + 1);
    if (copy == NULL) return "";
    memcpy(copy, text.data, text.length);
    return copy;
}

void gregor_free(void *result)
{
    struct block *block;

    if (result == NULL) return;
    block = (struct block *)result - 1;
    while (block != NULL) {
        struct block *next = block->next;

        free(block);
        block = next;
    }
}

#include "tests/support/assigned.h"

#include "client/base/text.h"

#include <stdlib.h>

static int by_number(const void *a, const void *b)
{
    const struct assignor_partition *one = a;
    const struct assignor_partition *other = b;

    if (one->topic != other->topic) return one->topic < other->topic ? -1 : 1;
    return one->index < other->index ? -1 : one->index > other->index;
}

const char *assigned_text(struct assignor_task *task, char *result, size_t size)
{
    struct text text;

    assert_int_equal(assignor_run(task), ERR_NONE);
    text_init(&text, result, size);
    for (uint32_t m = 0; m < task->members_count; m++) {
        struct assignor_member *member = &task->members[m];

        if (m > 0) text_cstr(&text, " / ");
        if (member->assigned_count == 0) text_char(&text, '-');
        qsort(member->assigned, member->assigned_count, sizeof *member->assigned, by_number);
        for (uint32_t i = 0; i < member->assigned_count; i++) {
            if (i > 0) text_char(&text, ' ');
            text_str(&text, task->topics[member->assigned[i].topic].name);
            text_i64(&text, member->assigned[i].index);
        }
    }
    return result;
}

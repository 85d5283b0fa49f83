/* Who has which partition, for traces: a group's assignments are bytes that belong to its clients,
 * but those of the "consumer" protocol are written down (ConsumerProtocolAssignment: version,
 * [topic, [partition]], user data), and without them nobody could draw who read what. What does not
 * read as one is not told. */
#include "broker/group/group_internal.h"

#include "client/base/text.h"
#include "client/wire/wire.h"

enum { OWNED_TEXT_MAX = 640, OWNED_MAX = 4096 };

static void tell(const struct group *group, const struct group_member *member, struct str topic,
                 int32_t index)
{
    char buffer[OWNED_TEXT_MAX];
    struct text text;

    text_init(&text, buffer, sizeof buffer);
    text_format(&text, "%S %S %S", group->id, member->id, topic);
    TRACE_TEXT(group->world, GROUP_OWNED, text_view(&text), group->partition, group->epoch,
               group->generation, index);
}

static void trace_member(const struct group *group, const struct group_member *member)
{
    struct wire_reader reader;
    int32_t topics;

    wire_reader_init(&reader, member->assignment.data, member->assignment.length);
    (void)wire_read_int16(&reader);
    topics = wire_read_int32(&reader);
    for (int32_t i = 0; i < topics && i < OWNED_MAX && reader.error == ERR_NONE; i++) {
        struct str topic = wire_read_plain_string(&reader, false);
        int32_t count = wire_read_int32(&reader);

        for (int32_t k = 0; k < count && k < OWNED_MAX && reader.error == ERR_NONE; k++) {
            int32_t index = wire_read_int32(&reader);

            if (reader.error == ERR_NONE) tell(group, member, topic, index);
        }
    }
}

void group_trace_owned(const struct group *group)
{
    if (group->world == NULL) return;
    MAP_FOR_EACH (node, &group->members) {
        trace_member(group, group_member_of(node));
    }
}

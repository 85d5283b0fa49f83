/* What is known of one group, row by row, and how it is shown. */
#include "client/cli/groups.h"
#include "client/consumer.h"
#include "client/subscription.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASKED_END = 1, ASKED_START = 2, ASKED_TIME = 4 };

/* ---- memory ---------------------------------------------------------------------------------- */

static void *more(void *old, uint32_t count, size_t size)
{
    void *grown = realloc(old, (count + 1) * size);

    if (grown == NULL) {
        cli_complain(CLI_FAILED, "not enough memory");
        exit(CLI_FAILED);
    }
    memset((char *)grown + count * size, 0, size);
    return grown;
}

static char *copy(struct str text)
{
    char *copied = more(NULL, text.length, 1);

    if (text.length > 0) memcpy(copied, text.data, text.length);
    copied[text.length] = 0;
    return copied;
}

void groups_clear(struct groups *groups)
{
    for (uint32_t i = 0; i < groups->members_count; i++) {
        free(groups->members[i].id);
        free(groups->members[i].instance);
        free(groups->members[i].host);
        free(groups->members[i].client);
    }
    for (uint32_t i = 0; i < groups->rows_count; i++)
        free(groups->rows[i].topic);
    free(groups->members);
    free(groups->rows);
    free(groups->state);
    free(groups->protocol);
    free(groups->topics);
    free(groups->asked_topics);
    free(groups->asked_partitions);
    free(groups->commit_topics);
    free(groups->commit_partitions);
    groups->members = NULL;
    groups->rows = NULL;
    groups->state = NULL;
    groups->protocol = NULL;
    groups->topics = NULL;
    groups->asked_topics = NULL;
    groups->asked_partitions = NULL;
    groups->commit_topics = NULL;
    groups->commit_partitions = NULL;
    groups->members_count = 0;
    groups->rows_count = 0;
    groups->topics_count = 0;
}

void groups_free(struct groups *groups)
{
    groups_clear(groups);
    for (uint32_t i = 0; i < groups->names_count; i++) {
        free(groups->names[i].name);
        free(groups->names[i].state);
    }
    for (uint32_t i = 0; i < groups->filters_count; i++)
        free(groups->filters[i].topic);
    free(groups->names);
    free(groups->filters);
    free(groups);
}

/* ---- arguments ------------------------------------------------------------------------------- */

static int by_name(const void *left, const void *right)
{
    const struct groups_name *one = left;
    const struct groups_name *other = right;

    return strcmp(one->name, other->name);
}

void groups_add_name(struct groups *groups, struct str name, struct str state)
{
    groups->names = more(groups->names, groups->names_count, sizeof *groups->names);
    groups->names[groups->names_count].name = copy(name);
    groups->names[groups->names_count++].state = copy(state);
    if (groups->command == GROUPS_LIST || groups->all)
        qsort(groups->names, groups->names_count, sizeof *groups->names, by_name);
}

bool groups_add_filter(struct groups *groups, const char *text)
{
    char *topic = copy(str_of(text));
    char *colon = strchr(topic, ':');

    if (colon != NULL) {
        *colon = 0;
        if (colon[1] == 0 || strspn(colon + 1, "0123456789,") != strlen(colon + 1)) {
            cli_complain(CLI_USAGE, "--topic: '%s' is not NAME or NAME:0,1", text);
            free(topic);
            return false;
        }
    }
    groups->filters = more(groups->filters, groups->filters_count, sizeof *groups->filters);
    groups->filters[groups->filters_count++] =
        (struct groups_filter){topic, colon != NULL ? colon + 1 : NULL};
    return true;
}

static bool in_list(const char *list, int32_t partition)
{
    for (char *end; *list != 0; list = *end == ',' ? end + 1 : end) {
        if (strtol(list, &end, 10) == partition && end != list) return true;
        if (end == list) end++;
        if (*end == 0) return false;
    }
    return false;
}

static bool wanted(const struct groups *groups, const char *topic, int32_t partition)
{
    if (groups->command != GROUPS_RESET || groups->all_topics) return true;
    for (uint32_t i = 0; i < groups->filters_count; i++)
        if (strcmp(groups->filters[i].topic, topic) == 0 &&
            (groups->filters[i].partitions == NULL ||
             in_list(groups->filters[i].partitions, partition)))
            return true;
    return false;
}

/* ---- what the answers say -------------------------------------------------------------------- */

static struct groups_row *row_of(struct groups *groups, struct str topic, int32_t partition)
{
    struct groups_row *row;

    for (uint32_t i = 0; i < groups->rows_count; i++)
        if (groups->rows[i].partition == partition &&
            str_equal(str_of(groups->rows[i].topic), topic))
            return &groups->rows[i];
    groups->rows = more(groups->rows, groups->rows_count, sizeof *groups->rows);
    row = &groups->rows[groups->rows_count++];
    *row = (struct groups_row){.topic = copy(topic),
                               .partition = partition,
                               .leader = -1,
                               .member = -1,
                               .committed = -1,
                               .start = -1,
                               .end = -1,
                               .at_time = -1,
                               .target = -1};
    return row;
}

static void take_assignment(struct groups *groups, int32_t member, struct bytes bytes)
{
    struct subscription_assignment assignment;
    struct arena arena;

    arena_init(&arena, &groups->cli.env.mem, ADMIN_ARENA_MAX);
    if (subscription_assignment_read(bytes, &arena, &assignment) == ERR_NONE) {
        for (uint32_t t = 0; t < assignment.topics_count; t++) {
            for (uint32_t p = 0; p < assignment.topics[t].partitions_count; p++) {
                row_of(groups, assignment.topics[t].name, assignment.topics[t].partitions[p])
                    ->member = member;
                groups->members[member].partitions++;
            }
        }
    }
    arena_deinit(&arena);
}

void groups_take_members(struct groups *groups, const struct describe_groups_response_group *group)
{
    groups->state = copy(group->group_state);
    groups->protocol = copy(group->protocol_data);
    for (uint32_t i = 0; i < group->members_count; i++) {
        const struct describe_groups_response_member *member = &group->members[i];
        struct groups_member *made;

        groups->members = more(groups->members, groups->members_count, sizeof *groups->members);
        made = &groups->members[groups->members_count];
        made->id = copy(member->member_id);
        made->host = copy(member->client_host);
        made->client = copy(member->client_id);
        if (member->group_instance_id.data != NULL)
            made->instance = copy(member->group_instance_id);
        groups->members_count++;
        if (str_equal(group->protocol_type, STR("consumer")))
            take_assignment(groups, (int32_t)i, member->member_assignment);
    }
}

void groups_take_consumers(struct groups *groups,
                           const struct consumer_group_describe_response_group *group)
{
    groups->state = copy(group->group_state);
    groups->protocol = copy(group->assignor_name);
    for (uint32_t i = 0; i < group->members_count; i++) {
        const struct consumer_group_describe_response_member *member = &group->members[i];
        struct groups_member *made;

        groups->members = more(groups->members, groups->members_count, sizeof *groups->members);
        made = &groups->members[groups->members_count++];
        made->id = copy(member->member_id);
        made->host = copy(member->client_host);
        made->client = copy(member->client_id);
        if (member->instance_id.data != NULL) made->instance = copy(member->instance_id);
        for (uint32_t t = 0; t < member->assignment.topic_partitions_count; t++) {
            const struct consumer_group_describe_response_topic_partition *topic =
                &member->assignment.topic_partitions[t];

            for (uint32_t p = 0; p < topic->partitions_count; p++) {
                row_of(groups, topic->topic_name, topic->partitions[p])->member = (int32_t)i;
                groups->members[i].partitions++;
            }
        }
    }
}

void groups_take_offsets(struct groups *groups, const struct offset_fetch_response *response)
{
    for (uint32_t t = 0; t < response->topics_count; t++)
        for (uint32_t p = 0; p < response->topics[t].partitions_count; p++)
            row_of(groups, response->topics[t].name,
                   response->topics[t].partitions[p].partition_index)
                ->committed = response->topics[t].partitions[p].committed_offset;
}

static void add_topic(struct groups *groups, const char *name)
{
    for (uint32_t i = 0; i < groups->topics_count; i++)
        if (str_equal(groups->topics[i].name, str_of(name))) return;
    groups->topics = more(groups->topics, groups->topics_count, sizeof *groups->topics);
    groups->topics[groups->topics_count++].name = str_of(name);
}

uint32_t groups_topics(struct groups *groups)
{
    for (uint32_t i = 0; i < groups->filters_count; i++)
        add_topic(groups, groups->filters[i].topic);
    for (uint32_t i = 0; i < groups->rows_count; i++)
        if (wanted(groups, groups->rows[i].topic, groups->rows[i].partition))
            add_topic(groups, groups->rows[i].topic);
    return groups->topics_count;
}

void groups_take_leaders(struct groups *groups, const struct metadata_response *response)
{
    for (uint32_t t = 0; t < response->topics_count; t++) {
        const struct metadata_response_topic *topic = &response->topics[t];

        for (uint32_t p = 0; p < topic->partitions_count; p++) {
            const struct metadata_response_partition *part = &topic->partitions[p];
            char *name = copy(topic->name);
            bool take = groups->command == GROUPS_RESET
                            ? wanted(groups, name, part->partition_index)
                            : false;

            for (uint32_t i = 0; i < groups->rows_count && !take; i++)
                take = groups->rows[i].partition == part->partition_index &&
                       strcmp(groups->rows[i].topic, name) == 0;
            if (take) row_of(groups, topic->name, part->partition_index)->leader = part->leader_id;
            free(name);
        }
        if (topic->error_code != 0 && groups->command == GROUPS_RESET) {
            char *name = copy(topic->name);

            groups->code = cli_complain_err(name, err_from_wire(topic->error_code), NULL);
            free(name);
        }
    }
}

/* ---- offsets of the logs --------------------------------------------------------------------- */

static int64_t timestamp_of(const struct groups *groups, uint32_t bit)
{
    if (bit == ASKED_END) return CONSUMER_LATEST;
    return bit == ASKED_START ? CONSUMER_EARLIEST : groups->place_value;
}

static uint32_t bits_wanted(const struct groups *groups)
{
    if (groups->command != GROUPS_RESET) return ASKED_END;
    return ASKED_END | ASKED_START | (groups->place == GROUPS_PLACE_TIME ? ASKED_TIME : 0);
}

static uint32_t next_bit(const struct groups *groups, const struct groups_row *row)
{
    uint32_t open = bits_wanted(groups) & ~row->asked;

    if (row->leader < 0 || !wanted(groups, row->topic, row->partition)) return 0;
    return open & (~open + 1);
}

int32_t groups_fill_listing(struct groups *groups)
{
    int32_t leader = -1;
    uint32_t bit = 0;

    free(groups->asked_topics);
    free(groups->asked_partitions);
    groups->asked_count = 0;
    groups->asked_topics = more(NULL, groups->rows_count, sizeof *groups->asked_topics);
    groups->asked_partitions = more(NULL, groups->rows_count, sizeof *groups->asked_partitions);
    for (uint32_t i = 0; i < groups->rows_count; i++) {
        struct groups_row *row = &groups->rows[i];
        struct list_offsets_request_topic *topic = &groups->asked_topics[groups->asked_count];
        struct list_offsets_request_partition *part =
            &groups->asked_partitions[groups->asked_count];

        if (next_bit(groups, row) == 0) continue;
        if (leader < 0) {
            leader = row->leader;
            bit = next_bit(groups, row);
        }
        if (row->leader != leader || next_bit(groups, row) != bit) continue;
        row->asked |= bit;
        list_offsets_request_topic_default(topic);
        list_offsets_request_partition_default(part);
        topic->name = str_of(row->topic);
        topic->partitions = part;
        topic->partitions_count = 1;
        part->partition_index = row->partition;
        part->timestamp = timestamp_of(groups, bit);
        groups->asked_count++;
    }
    return leader;
}

void groups_take_ends(struct groups *groups, const struct list_offsets_response *response)
{
    int64_t timestamp = groups->asked_count > 0 ? groups->asked_partitions[0].timestamp : 0;

    for (uint32_t t = 0; t < response->topics_count; t++) {
        for (uint32_t p = 0; p < response->topics[t].partitions_count; p++) {
            const struct list_offsets_response_partition *part = &response->topics[t].partitions[p];
            struct groups_row *row =
                row_of(groups, response->topics[t].name, part->partition_index);

            if (part->error_code != 0) continue; /* shown as "-" */
            if (timestamp == CONSUMER_LATEST) {
                row->end = part->offset;
            } else if (timestamp == CONSUMER_EARLIEST) {
                row->start = part->offset;
            } else {
                row->at_time = part->offset;
            }
        }
    }
}

/* ---- a reset --------------------------------------------------------------------------------- */

static int64_t place_of(const struct groups *groups, const struct groups_row *row)
{
    switch (groups->place) {
    case GROUPS_PLACE_EARLIEST: return row->start;
    case GROUPS_PLACE_LATEST: return row->end;
    case GROUPS_PLACE_CURRENT: return row->committed >= 0 ? row->committed : row->end;
    case GROUPS_PLACE_OFFSET: return groups->place_value;
    case GROUPS_PLACE_SHIFT:
        return row->committed >= 0 ? row->committed + groups->place_value : row->end;
    case GROUPS_PLACE_TIME: return row->at_time >= 0 ? row->at_time : row->end;
    case GROUPS_PLACE_NONE: break;
    }
    abort();
}

/* A place outside of the log becomes its nearer end. */
void groups_choose(struct groups *groups)
{
    for (uint32_t i = 0; i < groups->rows_count; i++) {
        struct groups_row *row = &groups->rows[i];

        if (!wanted(groups, row->topic, row->partition)) continue;
        if (row->start < 0 || row->end < 0) {
            groups->code = cli_complain(CLI_FAILED, "%s-%d: its log cannot be reached", row->topic,
                                        row->partition);
            continue;
        }
        row->target = place_of(groups, row);
        if (row->target < row->start) row->target = row->start;
        if (row->target > row->end) row->target = row->end;
    }
}

void groups_fill_commit(struct groups *groups)
{
    struct offset_commit_request *request = &groups->task.request.offset_commit;

    groups->commit_topics = more(NULL, groups->rows_count, sizeof *groups->commit_topics);
    groups->commit_partitions = more(NULL, groups->rows_count, sizeof *groups->commit_partitions);
    request->group_id = groups->asked_name;
    request->member_id = STR("");
    request->topics = groups->commit_topics;
    for (uint32_t i = 0; i < groups->rows_count; i++) {
        const struct groups_row *row = &groups->rows[i];
        struct offset_commit_request_topic *topic = &groups->commit_topics[request->topics_count];
        struct offset_commit_request_partition *part =
            &groups->commit_partitions[request->topics_count];

        if (row->target < 0) continue;
        offset_commit_request_topic_default(topic);
        offset_commit_request_partition_default(part);
        topic->name = str_of(row->topic);
        topic->partitions = part;
        topic->partitions_count = 1;
        part->partition_index = row->partition;
        part->committed_offset = row->target;
        part->committed_metadata = STR("");
        request->topics_count++;
    }
}

/* ---- what is shown --------------------------------------------------------------------------- */

static int by_place(const void *left, const void *right)
{
    const struct groups_row *one = left;
    const struct groups_row *other = right;
    int compared = strcmp(one->topic, other->topic);

    if (compared != 0) return compared;
    return (one->partition > other->partition) - (one->partition < other->partition);
}

/* A number, or "-" where there is none. */
static const char *number(int64_t value, char text[32])
{
    snprintf(text, 32, value >= 0 ? "%" PRId64 : "-", value);
    return text;
}

static int wider(int width, const char *text)
{
    int length = (int)strlen(text);

    return length > width ? length : width;
}

static void print_offsets(const struct groups *groups)
{
    int group = wider(5, groups_name(groups));
    int topic = 5;
    int member = 11;
    int host = 4;

    if (groups->members_count == 0)
        fprintf(stderr, "Consumer group '%s' has no active members.\n", groups_name(groups));
    if (groups->rows_count == 0) return;
    for (uint32_t i = 0; i < groups->rows_count; i++)
        topic = wider(topic, groups->rows[i].topic);
    for (uint32_t i = 0; i < groups->members_count; i++) {
        member = wider(member, groups->members[i].id);
        host = wider(host, groups->members[i].host);
    }
    printf("%-*s %-*s %-10s %-15s %-15s %-15s %-*s %-*s %s\n", group, "GROUP", topic, "TOPIC",
           "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", member, "CONSUMER-ID", host,
           "HOST", "CLIENT-ID");
    for (uint32_t i = 0; i < groups->rows_count; i++) {
        const struct groups_row *row = &groups->rows[i];
        const struct groups_member *of = row->member >= 0 ? &groups->members[row->member] : NULL;
        int64_t lag = row->committed >= 0 && row->end >= 0 ? row->end - row->committed : -1;
        char text[3][32];

        printf("%-*s %-*s %-10d %-15s %-15s %-15s %-*s %-*s %s\n", group, groups_name(groups),
               topic, row->topic, row->partition, number(row->committed, text[0]),
               number(row->end, text[1]), number(lag, text[2]), member, of != NULL ? of->id : "-",
               host, of != NULL ? of->host : "-", of != NULL ? of->client : "-");
    }
}

static void print_reset(const struct groups *groups)
{
    int group = wider(5, groups_name(groups));
    int topic = 5;

    for (uint32_t i = 0; i < groups->rows_count; i++)
        topic = wider(topic, groups->rows[i].topic);
    printf("%-*s %-*s %-10s %s\n", group, "GROUP", topic, "TOPIC", "PARTITION", "NEW-OFFSET");
    for (uint32_t i = 0; i < groups->rows_count; i++)
        if (groups->rows[i].target >= 0)
            printf("%-*s %-*s %-10d %" PRId64 "\n", group, groups_name(groups), topic,
                   groups->rows[i].topic, groups->rows[i].partition, groups->rows[i].target);
}

void groups_finish(struct groups *groups)
{
    if (groups->rows_count > 1)
        qsort(groups->rows, groups->rows_count, sizeof *groups->rows, by_place);
    if (groups->command == GROUPS_DESCRIBE) {
        print_offsets(groups);
    } else if (groups->code == CLI_FINE) {
        print_reset(groups);
        if (!groups->execute) fprintf(stderr, "Nothing is changed yet: add --execute to do it.\n");
    }
    groups_next(groups);
}

void groups_print_list(const struct groups *groups)
{
    int group = 5;

    for (uint32_t i = 0; i < groups->names_count; i++)
        group = wider(group, groups->names[i].name);
    if (groups->view == GROUPS_VIEW_STATE) printf("%-*s %s\n", group, "GROUP", "STATE");
    for (uint32_t i = 0; i < groups->names_count; i++) {
        if (groups->view == GROUPS_VIEW_STATE) {
            printf("%-*s %s\n", group, groups->names[i].name, groups->names[i].state);
        } else {
            puts(groups->names[i].name);
        }
    }
}

void groups_print_members(const struct groups *groups)
{
    int group = wider(5, groups_name(groups));
    int member = 11;
    int host = 4;
    int client = 9;

    for (uint32_t i = 0; i < groups->members_count; i++) {
        member = wider(member, groups->members[i].id);
        host = wider(host, groups->members[i].host);
        client = wider(client, groups->members[i].client);
    }
    if (groups->members_count == 0)
        fprintf(stderr, "Consumer group '%s' has no active members.\n", groups_name(groups));
    printf("%-*s %-*s %-20s %-*s %-*s %s\n", group, "GROUP", member, "CONSUMER-ID",
           "GROUP-INSTANCE-ID", host, "HOST", client, "CLIENT-ID", "#PARTITIONS");
    for (uint32_t i = 0; i < groups->members_count; i++) {
        const struct groups_member *of = &groups->members[i];

        printf("%-*s %-*s %-20s %-*s %-*s %u\n", group, groups_name(groups), member, of->id,
               of->instance != NULL ? of->instance : "-", host, of->host, client, of->client,
               of->partitions);
    }
}

void groups_print_state(const struct groups *groups)
{
    char coordinator[320];

    snprintf(coordinator, sizeof coordinator, "%s (%d)", groups->coordinator_address,
             groups->coordinator);
    printf("%-20s %-25s %-20s %-20s %s\n", "GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY",
           "STATE", "#MEMBERS");
    printf("%-20s %-25s %-20s %-20s %u\n", groups_name(groups), coordinator,
           groups->protocol[0] != 0 ? groups->protocol : "-", groups->state, groups->members_count);
}

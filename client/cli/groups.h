/* gregor groups: the state of one run, shared by groups.c (what is asked in which order) and
 * groups_rows.c (what the answers say, and how it is shown). */
#ifndef CLIENT_CLI_GROUPS_H
#define CLIENT_CLI_GROUPS_H

#include "client/cli/cli.h"

enum { GROUPS_BROKERS_MAX = 1000 };

enum groups_command { GROUPS_LIST, GROUPS_DESCRIBE, GROUPS_DELETE, GROUPS_RESET };
enum groups_view { GROUPS_VIEW_OFFSETS, GROUPS_VIEW_MEMBERS, GROUPS_VIEW_STATE };
enum groups_place {
    GROUPS_PLACE_NONE,
    GROUPS_PLACE_EARLIEST,
    GROUPS_PLACE_LATEST,
    GROUPS_PLACE_CURRENT,
    GROUPS_PLACE_OFFSET,
    GROUPS_PLACE_SHIFT,
    GROUPS_PLACE_TIME,
};

/* What the present request asks. */
enum groups_stage {
    GROUPS_FINDING,
    GROUPS_BROKERS,
    GROUPS_LISTING,
    GROUPS_DELETING,
    GROUPS_DESCRIBING,
    GROUPS_DESCRIBING_CONSUMER, /* it is none of the classic protocol: one of KIP-848? */
    GROUPS_OFFSETS,
    GROUPS_LEADERS,
    GROUPS_ENDS,
    GROUPS_COMMITTING,
    GROUPS_OVER,
};

struct groups_name {
    char *name; /* malloced, as all text here */
    char *state;
};

struct groups_member {
    char *id;
    char *instance; /* NULL: dynamic */
    char *host;
    char *client;
    uint32_t partitions;
};

/* A partition the group has an offset for, or a member. */
struct groups_row {
    char *topic;
    int32_t partition;
    int32_t leader; /* -1: none known */
    int32_t member; /* index; -1: nobody has it */
    int64_t committed;
    int64_t start;
    int64_t end;
    int64_t at_time;
    int64_t target; /* of a reset; -1: none */
    uint32_t asked; /* bits: end, start, at_time */
};

/* --topic NAME[:0,1] */
struct groups_filter {
    char *topic;
    char *partitions; /* NULL: all */
};

struct groups {
    struct cli cli;
    struct admin admin;
    struct admin_task task; /* the present question */
    struct admin_task done; /* the latest answer, while the next question is made */
    struct op op;
    enum groups_command command;
    enum groups_view view;
    enum groups_stage stage;
    enum groups_place place;
    int64_t place_value;
    bool all;
    bool all_topics;
    bool execute;
    enum cli_exit code;
    struct groups_name *names;
    uint32_t names_count;
    uint32_t at;
    uint32_t refound;
    struct groups_filter *filters;
    uint32_t filters_count;
    int32_t brokers[GROUPS_BROKERS_MAX];
    uint32_t brokers_count;
    uint32_t broker_at;
    /* of the present group */
    struct str asked_name;
    int32_t coordinator;
    char coordinator_address[300];
    char *state;
    char *protocol;
    struct groups_member *members;
    uint32_t members_count;
    struct groups_row *rows;
    uint32_t rows_count;
    struct metadata_request_topic *topics;
    uint32_t topics_count;
    struct list_offsets_request_topic *asked_topics;
    struct list_offsets_request_partition *asked_partitions;
    uint32_t asked_count;
    struct offset_commit_request_topic *commit_topics;
    struct offset_commit_request_partition *commit_partitions;
};

void groups_next(struct groups *groups);
void groups_fail(struct groups *groups, const char *what, enum err err);
static inline const char *groups_name(const struct groups *groups)
{
    return groups->at < groups->names_count ? groups->names[groups->at].name : "groups";
}

/* groups_rows.c */
void groups_clear(struct groups *groups); /* what is known of the present group */
void groups_free(struct groups *groups);
void groups_add_name(struct groups *groups, struct str name, struct str state);
bool groups_add_filter(struct groups *groups, const char *text);
void groups_take_consumers(struct groups *groups,
                           const struct consumer_group_describe_response_group *group);
void groups_take_members(struct groups *groups, const struct describe_groups_response_group *group);
void groups_take_offsets(struct groups *groups, const struct offset_fetch_response *response);
uint32_t groups_topics(struct groups *groups); /* those of the rows, and those of the filters */
void groups_take_leaders(struct groups *groups, const struct metadata_response *response);
/* A leader with something to ask of, and the question in asked_topics; -1: all is known. */
int32_t groups_fill_listing(struct groups *groups);
void groups_take_ends(struct groups *groups, const struct list_offsets_response *response);
void groups_choose(struct groups *groups); /* where each row goes */
void groups_fill_commit(struct groups *groups);
void groups_finish(struct groups *groups); /* shows, and goes on to the next group */
void groups_print_list(const struct groups *groups);
void groups_print_members(const struct groups *groups);
void groups_print_state(const struct groups *groups);

#endif

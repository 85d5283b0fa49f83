/* Proves: range, sticky and cooperative-sticky give members with racks exactly what the Java
 * client's give them (KIP-881): the vectors are what its own tests expect (RangeAssignor,
 * AbstractStickyAssignor), with topics t1, t2 .. called a, b ..; and in random groups with racks
 * every partition has one owner, sticky stays balanced, and most are near to their owners. */
#include "tests/support/assigned.h"

#include "client/base/rng.h"

#include <stdlib.h>
#include <string.h>

enum { TOPICS_MAX = 6, MEMBERS_MAX = 6, PARTITIONS_MAX = 10, OWNED_MAX = 64, REGION = 16 << 20 };

struct vector {
    const char *topics;  /* "a6": six partitions */
    uint32_t replicas;   /* of each: on brokers in turn, from topic to topic */
    const char *brokers; /* a rack for each; '-': none */
    const char *members; /* likewise */
    const char *wanted;  /* topics of each member */
    const char *owned;   /* "": nothing */
    const char *expected;
    int32_t far; /* partitions whose owner has a rack, and no replica there; -1: not counted */
};

struct group {
    struct assignor_topic topics[TOPICS_MAX];
    uint64_t racks[TOPICS_MAX][PARTITIONS_MAX];
    struct assignor_member members[MEMBERS_MAX];
    uint32_t wanted[MEMBERS_MAX][TOPICS_MAX];
    struct assignor_partition owned[MEMBERS_MAX][OWNED_MAX];
    struct assignor_task task;
    struct support_memory memory;
    struct arena arena;
    char result[1024];
};

static const char *const ids[MEMBERS_MAX] = {"consumer0", "consumer1", "consumer2",
                                             "consumer3", "consumer4", "consumer5"};

static struct group *group_new(enum assignor assignor)
{
    struct group *group = calloc(1, sizeof *group);

    support_memory_init(&group->memory, REGION);
    arena_init(&group->arena, &group->memory.mem, REGION / 2);
    group->task = (struct assignor_task){.assignor = assignor,
                                         .topics = group->topics,
                                         .members = group->members,
                                         .max_generation = -1,
                                         .arena = &group->arena};
    return group;
}

static void group_free(struct group *group)
{
    arena_deinit(&group->arena);
    support_memory_deinit(&group->memory);
    free(group);
}

static uint64_t rack_bit(char rack, const char *brokers)
{
    if (rack == '-') return 0;
    return strchr(brokers, rack) != NULL ? UINT64_C(1) << (rack - 'a') : ASSIGNOR_RACK_ELSEWHERE;
}

static void add_topics(struct group *group, const char *topics, uint32_t replicas,
                       const char *brokers)
{
    uint32_t nodes = (uint32_t)strlen(brokers);
    uint32_t node = 0;

    for (const char *at = topics; *at != 0; at += at[2] == ' ' ? 3 : 2) {
        uint32_t t = group->task.topics_count++;
        uint32_t partitions = (uint32_t)(at[1] - '0');

        for (uint32_t p = 0; p < partitions; p++, node++)
            for (uint32_t r = 0; r < replicas; r++)
                group->racks[t][p] |= rack_bit(brokers[(node + r) % nodes], brokers);
        group->topics[t] = (struct assignor_topic){{at, 1}, partitions, group->racks[t]};
    }
}

/* "a0 a1 / - / b2" */
static void add_members(struct group *group, const struct vector *vector)
{
    const char *wanted = vector->wanted;
    const char *owned = vector->owned;

    for (uint32_t m = 0; vector->members[m] != 0; m++) {
        struct assignor_member *member = &group->members[m];

        *member = (struct assignor_member){.id = str_of(ids[m]), .generation = -1};
        member->rack = rack_bit(vector->members[m], vector->brokers);
        member->topics = group->wanted[m];
        member->owned = group->owned[m];
        for (; *wanted != 0 && *wanted != ' '; wanted++)
            group->wanted[m][member->topics_count++] = (uint32_t)(*wanted - 'a');
        wanted += *wanted == ' ';
        for (; *owned != 0 && *owned != '/'; owned++)
            if (*owned >= 'a' && *owned <= 'f')
                group->owned[m][member->owned_count++] = (struct assignor_partition){
                    (uint32_t)(owned[0] - 'a'), (int32_t)(owned[1] - '0')};
        owned += *owned == '/';
        group->task.members_count++;
    }
}

static const char *run(struct group *group)
{
    return assigned_text(&group->task, group->result, sizeof group->result);
}

static bool is_far(const struct group *group, uint32_t member, struct assignor_partition p)
{
    uint64_t rack = group->members[member].rack;

    return rack != 0 && (rack & group->racks[p.topic][p.index]) == 0;
}

static int32_t count_far(const struct group *group)
{
    int32_t far = 0;

    for (uint32_t m = 0; m < group->task.members_count; m++)
        for (uint32_t i = 0; i < group->members[m].assigned_count; i++)
            far += is_far(group, m, group->members[m].assigned[i]);
    return far;
}

static void check(enum assignor assignor, const struct vector *vectors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct group *group = group_new(assignor);

        add_topics(group, vectors[i].topics, vectors[i].replicas, vectors[i].brokers);
        add_members(group, &vectors[i]);
        assert_string_equal(run(group), vectors[i].expected);
        if (vectors[i].far >= 0) assert_int_equal(count_far(group), vectors[i].far);
        group_free(group);
    }
}

static const struct vector range_vectors[] = {
    {"a6 b7 c2", 3, "---", "abc", "abc abc abc", "",
     "a0 a1 b0 b1 b2 c0 / a2 a3 b3 b4 c1 / a4 a5 b5 b6", -1},
    {"a6 b7 c2", 3, "abc", "---", "abc abc abc", "",
     "a0 a1 b0 b1 b2 c0 / a2 a3 b3 b4 c1 / a4 a5 b5 b6", -1},
    {"a6 b7 c2", 3, "abc", "abc", "abc abc abc", "",
     "a0 a1 b0 b1 b2 c0 / a2 a3 b3 b4 c1 / a4 a5 b5 b6", 0},
    {"a6 b7 c2", 4, "abcd", "abc", "abc abc abc", "",
     "a0 a1 b0 b1 b2 c0 / a2 a3 b3 b4 c1 / a4 a5 b5 b6", 0},
    {"a6 b7 c2", 3, "abc", "def", "abc abc abc", "",
     "a0 a1 b0 b1 b2 c0 / a2 a3 b3 b4 c1 / a4 a5 b5 b6", -1},
    {"a6 b7 c2", 3, "abc", "-ef", "abc abc abc", "",
     "a0 a1 b0 b1 b2 c0 / a2 a3 b3 b4 c1 / a4 a5 b5 b6", -1},
    {"a6 b7 c2", 1, "abc", "abc", "abc abc abc", "",
     "a0 a3 b0 b3 b6 / a1 a4 b1 b4 c0 / a2 a5 b2 b5 c1", 0},
    {"a6 b7 c2", 2, "abc", "abc", "abc abc abc", "",
     "a0 a2 b0 b2 b3 c1 / a1 a3 b1 b4 c0 / a4 a5 b5 b6", 1},
    {"a6 b7 c2", 3, "ab", "abc", "abc abc abc", "",
     "a0 a1 b0 b1 b2 c0 / a2 a3 b3 b4 c1 / a4 a5 b5 b6", 4},
    {"a6 b7 c2", 3, "---", "abc", "abc abc ac", "",
     "a0 a1 b0 b1 b2 b3 c0 / a2 a3 b4 b5 b6 c1 / a4 a5", -1},
    {"a6 b7 c2", 3, "abc", "---", "abc abc ac", "",
     "a0 a1 b0 b1 b2 b3 c0 / a2 a3 b4 b5 b6 c1 / a4 a5", -1},
    {"a6 b7 c2", 3, "abc", "abc", "abc abc ac", "",
     "a0 a1 b0 b1 b2 b3 c0 / a2 a3 b4 b5 b6 c1 / a4 a5", 0},
    {"a6 b7 c2", 4, "abcd", "abc", "abc abc ac", "",
     "a0 a1 b0 b1 b2 b3 c0 / a2 a3 b4 b5 b6 c1 / a4 a5", 0},
    {"a6 b7 c2", 3, "abc", "def", "abc abc ac", "",
     "a0 a1 b0 b1 b2 b3 c0 / a2 a3 b4 b5 b6 c1 / a4 a5", -1},
    {"a6 b7 c2", 3, "abc", "-ef", "abc abc ac", "",
     "a0 a1 b0 b1 b2 b3 c0 / a2 a3 b4 b5 b6 c1 / a4 a5", -1},
    {"a6 b7 c2", 1, "abc", "abc", "abc abc ac", "",
     "a0 a3 b0 b2 b3 b6 / a1 a4 b1 b4 b5 c0 / a2 a5 c1", 2},
    {"a6 b7 c2", 2, "abc", "abc", "abc abc ac", "",
     "a0 a2 b0 b2 b3 b5 c1 / a1 a3 b1 b4 b6 c0 / a4 a5", 0},
    {"a6 b7 c2", 3, "ab", "abc", "abc abc ac", "",
     "a0 a1 b0 b1 b2 b3 c0 / a2 a3 b4 b5 b6 c1 / a4 a5", 2},
    {"a5 b5 c5", 3, "---", "abc", "abc abc abc", "",
     "a0 a1 b0 b1 c0 c1 / a2 a3 b2 b3 c2 c3 / a4 b4 c4", -1},
    {"a5 b5 c5", 3, "abc", "---", "abc abc abc", "",
     "a0 a1 b0 b1 c0 c1 / a2 a3 b2 b3 c2 c3 / a4 b4 c4", -1},
    {"a5 b5 c5", 3, "abc", "abc", "abc abc abc", "",
     "a0 a1 b0 b1 c0 c1 / a2 a3 b2 b3 c2 c3 / a4 b4 c4", 0},
    {"a5 b5 c5", 4, "abcd", "abc", "abc abc abc", "",
     "a0 a1 b0 b1 c0 c1 / a2 a3 b2 b3 c2 c3 / a4 b4 c4", 0},
    {"a5 b5 c5", 3, "abc", "def", "abc abc abc", "",
     "a0 a1 b0 b1 c0 c1 / a2 a3 b2 b3 c2 c3 / a4 b4 c4", -1},
    {"a5 b5 c5", 3, "abc", "-ef", "abc abc abc", "",
     "a0 a1 b0 b1 c0 c1 / a2 a3 b2 b3 c2 c3 / a4 b4 c4", -1},
    {"a5 b5 c5", 1, "abc", "abc", "abc abc abc", "",
     "a0 a1 b0 b1 c0 c1 / a2 a3 b2 b3 c2 c3 / a4 b4 c4", 10},
    {"a5 b5 c5", 2, "abc", "abc", "abc abc abc", "",
     "a0 a1 b0 b1 c0 c1 / a2 a3 b2 b3 c2 c3 / a4 b4 c4", 5},
    {"a5 b5 c5", 3, "ab", "abc", "abc abc abc", "",
     "a0 a1 b0 b1 c0 c1 / a2 a3 b2 b3 c2 c3 / a4 b4 c4", 3},
    {"a5 b5 c5", 3, "---", "abc", "abc abc ac", "",
     "a0 a1 b0 b1 b2 c0 c1 / a2 a3 b3 b4 c2 c3 / a4 c4", -1},
    {"a5 b5 c5", 3, "abc", "---", "abc abc ac", "",
     "a0 a1 b0 b1 b2 c0 c1 / a2 a3 b3 b4 c2 c3 / a4 c4", -1},
    {"a5 b5 c5", 3, "abc", "abc", "abc abc ac", "",
     "a0 a1 b0 b1 b2 c0 c1 / a2 a3 b3 b4 c2 c3 / a4 c4", 0},
    {"a5 b5 c5", 4, "abcd", "abc", "abc abc ac", "",
     "a0 a1 b0 b1 b2 c0 c1 / a2 a3 b3 b4 c2 c3 / a4 c4", 0},
    {"a5 b5 c5", 3, "abc", "def", "abc abc ac", "",
     "a0 a1 b0 b1 b2 c0 c1 / a2 a3 b3 b4 c2 c3 / a4 c4", -1},
    {"a5 b5 c5", 3, "abc", "-ef", "abc abc ac", "",
     "a0 a1 b0 b1 b2 c0 c1 / a2 a3 b3 b4 c2 c3 / a4 c4", -1},
    {"a5 b5 c5", 1, "abc", "abc", "abc abc ac", "",
     "a0 a1 b0 b1 b4 c0 c1 / a2 a3 b2 b3 c2 c3 / a4 c4", 9},
    {"a5 b5 c5", 2, "abc", "abc", "abc abc ac", "",
     "a2 b0 b1 b3 c2 / a0 a3 b2 b4 c0 c3 / a1 a4 c1 c4", 0},
    {"a5 b5 c5", 3, "ab", "abc", "abc abc ac", "",
     "a0 a1 b0 b1 b2 c0 c1 / a2 a3 b3 b4 c2 c3 / a4 c4", 2},
    {"a6 b6 c2 d2", 3, "ab", "abba", "ab ab cd cd", "",
     "a0 a1 a2 b0 b1 b2 / a3 a4 a5 b3 b4 b5 / c0 d0 / c1 d1", -1},
    {"a6 b6 c2 d2", 2, "ab", "abba", "ab ab cd cd", "",
     "a0 a1 a2 b0 b1 b2 / a3 a4 a5 b3 b4 b5 / c0 d0 / c1 d1", 0},
    {"a6 b6 c2 d2", 1, "ab", "abba", "ab ab cd cd", "",
     "a0 a2 a4 b0 b2 b4 / a1 a3 a5 b1 b3 b5 / c1 d1 / c0 d0", 0},
    {"a6 b6 c2 d2", 3, "ab", "abba", "abcd abcd abcd abcd", "",
     "a0 a1 b0 b1 c0 d0 / a2 a3 b2 b3 c1 d1 / a4 b4 / a5 b5", -1},
    {"a6 b6 c2 d2", 2, "ab", "abba", "abcd abcd abcd abcd", "",
     "a0 a1 b0 b1 c0 d0 / a2 a3 b2 b3 c1 d1 / a4 b4 / a5 b5", 0},
    {"a6 b6 c2 d2", 1, "ab", "abba", "abcd abcd abcd abcd", "",
     "a0 a2 b0 b2 c0 d0 / a1 a3 b1 b3 c1 d1 / a5 b5 / a4 b4", 0},
    {"a6 b6 c2 d2", 1, "abc", "abba", "abcd abcd abcd abcd", "",
     "a0 a3 b0 b3 c0 d0 / a1 a4 b1 b4 c1 d1 / a2 b2 / a5 b5", 6},
    {"a6 b6 c2 d2 e4 f4", 3, "---", "abc", "abcdef abcdef abcdef", "",
     "a0 a1 b0 b1 c0 d0 e0 e1 f0 f1 / a2 a3 b2 b3 c1 d1 e2 f2 / a4 a5 b4 b5 e3 f3", -1},
    {"a6 b6 c2 d2 e4 f4", 2, "abc", "abc", "abcdef abcdef abcdef", "",
     "a0 a2 b0 b2 c0 d0 e1 f1 / a1 a3 b1 b3 c1 d1 e2 f2 / a4 a5 b4 b5 e0 e3 f0 f3", 0},
    {"a6", 1, "abc", "abc", "a a a", "", "a0 a3 / a1 a4 / a2 a5", 0},
};

static const struct vector sticky_vectors[] = {
    {"a6 b7 c2", 3, "---", "abc", "abc abc abc", "",
     "a0 a3 b0 b3 b6 / a1 a4 b1 b4 c0 / a2 a5 b2 b5 c1", -1},
    {"a6 b7 c2", 3, "abc", "---", "abc abc abc", "",
     "a0 a3 b0 b3 b6 / a1 a4 b1 b4 c0 / a2 a5 b2 b5 c1", -1},
    {"a6 b7 c2", 3, "abc", "abc", "abc abc abc", "",
     "a0 a3 b0 b3 b6 / a1 a4 b1 b4 c0 / a2 a5 b2 b5 c1", 0},
    {"a6 b7 c2", 4, "abcd", "abc", "abc abc abc", "",
     "a0 a3 b0 b3 b6 / a1 a4 b1 b4 c0 / a2 a5 b2 b5 c1", 0},
    {"a6 b7 c2", 3, "abc", "def", "abc abc abc", "",
     "a0 a3 b0 b3 b6 / a1 a4 b1 b4 c0 / a2 a5 b2 b5 c1", -1},
    {"a6 b7 c2", 3, "abc", "-ef", "abc abc abc", "",
     "a0 a3 b0 b3 b6 / a1 a4 b1 b4 c0 / a2 a5 b2 b5 c1", -1},
    {"a6 b7 c2", 1, "abc", "abc", "abc abc abc", "",
     "a0 a3 b0 b3 b6 / a1 a4 b1 b4 c0 / a2 a5 b2 b5 c1", 0},
    {"a6 b7 c2", 1, "abc", "abc", "abc abc abc", "a0 a3 b0 b3 b6 / a1 a4 b1 b4 c0 / a2 a5 b2 b5 c1",
     "a0 a3 b0 b3 b6 / a1 a4 b1 b4 c0 / a2 a5 b2 b5 c1", 0},
    {"a6 b7 c2", 2, "abc", "abc", "abc abc abc", "",
     "a0 a3 b0 b3 b6 / a1 a4 b1 b4 c0 / a2 a5 b2 b5 c1", 0},
    {"a6 b7 c2", 2, "abc", "abc", "abc abc abc", "a0 a3 b0 b3 b6 / a1 a4 b1 b4 c0 / a2 a5 b2 b5 c1",
     "a0 a3 b0 b3 b6 / a1 a4 b1 b4 c0 / a2 a5 b2 b5 c1", 0},
    {"a6 b7 c2", 3, "ab", "abc", "abc abc abc", "",
     "a0 a3 b0 b3 b6 / a1 a4 b1 b4 c0 / a2 a5 b2 b5 c1", 5},
    {"a6 b7 c2", 3, "ab", "abc", "abc abc abc", "a0 a3 b0 b3 b6 / a1 a4 b1 b4 c0 / a2 a5 b2 b5 c1",
     "a0 a3 b0 b3 b6 / a1 a4 b1 b4 c0 / a2 a5 b2 b5 c1", 5},
    {"a6 b7 c2", 3, "---", "abc", "abc abc ac", "",
     "a5 b0 b2 b4 b6 / a3 b1 b3 b5 c0 / a0 a1 a2 a4 c1", -1},
    {"a6 b7 c2", 3, "abc", "---", "abc abc ac", "",
     "a5 b0 b2 b4 b6 / a3 b1 b3 b5 c0 / a0 a1 a2 a4 c1", -1},
    {"a6 b7 c2", 3, "abc", "abc", "abc abc ac", "",
     "a5 b0 b2 b4 b6 / a3 b1 b3 b5 c0 / a0 a1 a2 a4 c1", 0},
    {"a6 b7 c2", 4, "abcd", "abc", "abc abc ac", "",
     "a5 b0 b2 b4 b6 / a3 b1 b3 b5 c0 / a0 a1 a2 a4 c1", 0},
    {"a6 b7 c2", 3, "abc", "def", "abc abc ac", "",
     "a5 b0 b2 b4 b6 / a3 b1 b3 b5 c0 / a0 a1 a2 a4 c1", -1},
    {"a6 b7 c2", 3, "abc", "-ef", "abc abc ac", "",
     "a5 b0 b2 b4 b6 / a3 b1 b3 b5 c0 / a0 a1 a2 a4 c1", -1},
    {"a6 b7 c2", 1, "abc", "abc", "abc abc ac", "",
     "a3 b0 b2 b3 b6 / a4 b1 b4 b5 c0 / a0 a1 a2 a5 c1", 4},
    {"a6 b7 c2", 1, "abc", "abc", "abc abc ac", "a3 b0 b2 b3 b6 / a4 b1 b4 b5 c0 / a0 a1 a2 a5 c1",
     "a3 b0 b2 b3 b6 / a4 b1 b4 b5 c0 / a0 a1 a2 a5 c1", 4},
    {"a6 b7 c2", 2, "abc", "abc", "abc abc ac", "",
     "a3 b0 b2 b5 b6 / a0 b1 b3 b4 c0 / a1 a2 a4 a5 c1", 0},
    {"a6 b7 c2", 2, "abc", "abc", "abc abc ac", "a3 b0 b2 b5 b6 / a0 b1 b3 b4 c0 / a1 a2 a4 a5 c1",
     "a3 b0 b2 b5 b6 / a0 b1 b3 b4 c0 / a1 a2 a4 a5 c1", 0},
    {"a6 b7 c2", 3, "ab", "abc", "abc abc ac", "",
     "a5 b0 b2 b4 b6 / a3 b1 b3 b5 c0 / a0 a1 a2 a4 c1", 5},
    {"a6 b7 c2", 3, "ab", "abc", "abc abc ac", "a5 b0 b2 b4 b6 / a3 b1 b3 b5 c0 / a0 a1 a2 a4 c1",
     "a5 b0 b2 b4 b6 / a3 b1 b3 b5 c0 / a0 a1 a2 a4 c1", 5},
};

/* Of the cooperative one alone: what changes hands is given up in one round, taken in the next. */
static const struct vector cooperative_vectors[] = {
    {"a6 b7 c2", 1, "abc", "abc", "abc abc ac", "a0 a1 a2 a3 a4 / a5 b0 b1 b2 b3 / b4 b5 b6 c0 c1",
     "a3 / b1 / c1", 0},
    {"a6 b7 c2", 1, "abc", "abc", "abc abc ac", "a3 / b1 / c1",
     "a3 b0 b2 b3 b6 / a4 b1 b4 b5 c0 / a0 a1 a2 a5 c1", 4},
    {"a6 b7 c2", 3, "abc", "abc", "abc abc ac", "a0 a1 a2 a3 a4 / a5 b0 b1 b2 b3 / b4 b5 b6 c0 c1",
     "a2 a3 a4 / b0 b1 b2 b3 / c0 c1", 0},
    {"a6 b7 c2", 3, "abc", "abc", "abc abc ac", "a2 a3 a4 / b0 b1 b2 b3 / c0 c1",
     "a2 a3 a4 b4 b5 / b0 b1 b2 b3 b6 / a0 a1 a5 c0 c1", 0},
    {"a6 b7 c2", 1, "abc", "abc", "abc abc abc", "a0 a1 a2 a3 a4 / a5 b0 b1 b2 b3 / b4 b5 b6 c0 c1",
     "a0 a3 / b1 / b5 c1", 0},
};

static void range_goes_by_racks_and_keeps_topics_together(void **state)
{
    (void)state;
    check(ASSIGNOR_RANGE, range_vectors, COUNT_OF(range_vectors));
}

static void sticky_ones_go_by_racks_and_give_up_what_is_far(void **state)
{
    (void)state;
    check(ASSIGNOR_STICKY, sticky_vectors, COUNT_OF(sticky_vectors));
    check(ASSIGNOR_COOPERATIVE_STICKY, sticky_vectors, COUNT_OF(sticky_vectors));
    check(ASSIGNOR_COOPERATIVE_STICKY, cooperative_vectors, COUNT_OF(cooperative_vectors));
}

/* ---- random groups --------------------------------------------------------------------------- */

/* Members of racks a, b, c or none subscribe to everything; each owns what chance gives it. */
static void random_group(struct group *group, struct rng *rng, bool racks)
{
    uint32_t members = (uint32_t)rng_range(rng, 1, MEMBERS_MAX);

    add_topics(group, "a3 b5 c1 d4", (uint32_t)rng_range(rng, 1, 3), "abc");
    for (uint32_t m = 0; m < members; m++) {
        struct assignor_member *member = &group->members[m];
        uint64_t rack = (uint64_t)rng_range(rng, 0, 3);

        *member = (struct assignor_member){.id = str_of(ids[m]), .topics = group->wanted[m]};
        member->owned = group->owned[m];
        member->generation = 1;
        if (racks && rack > 0) member->rack = UINT64_C(1) << (rack - 1);
        for (uint32_t t = 0; t < group->task.topics_count; t++)
            group->wanted[m][member->topics_count++] = t;
    }
    for (uint32_t t = 0; t < group->task.topics_count; t++) {
        for (uint32_t p = 0; p < group->topics[t].partitions; p++) {
            struct assignor_member *member =
                &group->members[rng_range(rng, 0, (int64_t)members - 1)];

            group->owned[member - group->members][member->owned_count++] =
                (struct assignor_partition){t, (int32_t)p};
        }
    }
    group->task.members_count = members;
}

static void check_owners(const struct group *group)
{
    for (uint32_t t = 0; t < group->task.topics_count; t++) {
        for (uint32_t p = 0; p < group->topics[t].partitions; p++) {
            uint32_t owners = 0;

            for (uint32_t m = 0; m < group->task.members_count; m++)
                for (uint32_t i = 0; i < group->members[m].assigned_count; i++)
                    owners += group->members[m].assigned[i].topic == t &&
                              group->members[m].assigned[i].index == (int32_t)p;
            assert_int_equal(owners, 1);
        }
    }
}

static uint32_t spread(const struct group *group)
{
    uint32_t most = 0;
    uint32_t fewest = UINT32_MAX;

    for (uint32_t m = 0; m < group->task.members_count; m++) {
        uint32_t count = group->members[m].assigned_count;

        if (count > most) most = count;
        if (count < fewest) fewest = count;
    }
    return most - fewest;
}

/* The greedy way of the assignors leaves some far, and far fewer than without racks. */
static void random_groups_stay_balanced_with_racks(void **state)
{
    struct rng rng;
    int32_t far = 0;
    int32_t far_without = 0;

    (void)state;
    rng_init(&rng, 11);
    for (uint32_t round = 0; round < 2000; round++) {
        struct group *group = group_new(round % 2 == 0 ? ASSIGNOR_RANGE : ASSIGNOR_STICKY);

        random_group(group, &rng, true);
        run(group);
        check_owners(group);
        if (round % 2 == 1) assert_true(spread(group) <= 1);
        far += count_far(group);
        for (uint32_t t = 0; t < group->task.topics_count; t++)
            group->topics[t].racks = NULL; /* the same group, and nobody knows the racks */
        run(group);
        check_owners(group);
        far_without += count_far(group);
        group_free(group);
    }
    assert_true(far * 2 < far_without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(range_goes_by_racks_and_keeps_topics_together),
        cmocka_unit_test(sticky_ones_go_by_racks_and_give_up_what_is_far),
        cmocka_unit_test(random_groups_stay_balanced_with_racks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

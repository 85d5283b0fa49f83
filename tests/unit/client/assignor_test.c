/* Proves: every assignor gives the members of a group exactly what the Java client's gives them
 * (golden vectors of groups.md 9.6), whatever the order in which members stand in the input; and on
 * random groups every partition has one owner that subscribes to it, a balanced load, and, for the
 * cooperative one, no partition that changes hands within one round. */
#include "tests/support/assigned.h"

#include "client/base/rng.h"
#include "client/base/text.h"

#include <stdlib.h>
#include <string.h>

enum { TOPICS_MAX = 8, MEMBERS_MAX = 16, OWNED_MAX = 64, REGION = 64 << 20 };

struct group {
    struct assignor_topic topics[TOPICS_MAX];
    struct assignor_member members[MEMBERS_MAX];
    uint32_t wanted[MEMBERS_MAX][TOPICS_MAX];
    struct assignor_partition owned[MEMBERS_MAX][OWNED_MAX];
    struct assignor_task task;
    struct support_memory memory;
    struct arena arena;
    char result[4096];
};

/* Topic "t7": name t, 7 partitions. */
static struct group *group_of(const char *topics)
{
    struct group *group = calloc(1, sizeof *group);

    support_memory_init(&group->memory, REGION);
    arena_init(&group->arena, &group->memory.mem, REGION / 2);
    group->task = (struct assignor_task){
        .topics = group->topics, .members = group->members, .max_generation = -1};
    group->task.arena = &group->arena;
    for (const char *at = topics; *at != 0; at += at[2] == ' ' ? 3 : 2)
        group->topics[group->task.topics_count++] =
            (struct assignor_topic){.name = {at, 1}, .partitions = (uint32_t)(at[1] - '0')};
    return group;
}

static uint32_t topic_named(const struct group *group, char name)
{
    for (uint32_t t = 0; t < group->task.topics_count; t++)
        if (group->topics[t].name.data[0] == name) return t;
    return UINT32_MAX;
}

/* wanted "tu", owned "t0 t1". */
static void add(struct group *group, const char *id, const char *wanted, const char *owned,
                int32_t generation)
{
    uint32_t m = group->task.members_count++;
    struct assignor_member *member = &group->members[m];

    *member = (struct assignor_member){.id = str_of(id), .generation = generation};
    member->topics = group->wanted[m];
    member->owned = group->owned[m];
    for (; *wanted != 0; wanted++)
        group->wanted[m][member->topics_count++] = topic_named(group, *wanted);
    for (; *owned != 0; owned += owned[2] == ' ' ? 3 : 2)
        group->owned[m][member->owned_count++] =
            (struct assignor_partition){topic_named(group, owned[0]), owned[1] - '0'};
}

/* "t0 t1 / t2 / -" */
static const char *run(struct group *group, enum assignor assignor)
{
    group->task.assignor = assignor;
    return assigned_text(&group->task, group->result, sizeof group->result);
}

static void drop(struct group *group)
{
    arena_deinit(&group->arena);
    support_memory_deinit(&group->memory);
    free(group);
}

static void expect(const char *topics, const char *const *wanted, enum assignor assignor,
                   const char *expected)
{
    static const char *const ids[] = {"c1", "c2", "c3", "c4"};
    struct group *group = group_of(topics);

    for (uint32_t i = 0; wanted[i] != NULL; i++)
        add(group, ids[i], wanted[i], "", -1);
    assert_string_equal(run(group, assignor), expected);
    drop(group);
}

/* ---- fresh groups ---------------------------------------------------------------------------- */

static void range_gives_blocks_per_topic(void **state)
{
    (void)state;
    expect("t7", (const char *[]){"t", "t", "t", NULL}, ASSIGNOR_RANGE, "t0 t1 t2 / t3 t4 / t5 t6");
    expect("t3 u3", (const char *[]){"tu", "tu", NULL}, ASSIGNOR_RANGE, "t0 t1 u0 u1 / t2 u2");
    expect("t1 u2 v3", (const char *[]){"t", "tu", "tuv", NULL}, ASSIGNOR_RANGE,
           "t0 / u0 / u1 v0 v1 v2");
    expect("t2", (const char *[]){"t", "t", "t", "t", NULL}, ASSIGNOR_RANGE, "t0 / t1 / - / -");
    expect("a4 b3 c5 d2", (const char *[]){"ab", "bc", "acd", NULL}, ASSIGNOR_RANGE,
           "a0 a1 b0 b1 / b2 c0 c1 c2 / a2 a3 c3 c4 d0 d1");
}

static void roundrobin_goes_round_those_who_subscribe(void **state)
{
    (void)state;
    expect("t7", (const char *[]){"t", "t", "t", NULL}, ASSIGNOR_ROUNDROBIN,
           "t0 t3 t6 / t1 t4 / t2 t5");
    expect("t3 u3", (const char *[]){"tu", "tu", NULL}, ASSIGNOR_ROUNDROBIN, "t0 t2 u1 / t1 u0 u2");
    expect("t1 u2 v3", (const char *[]){"t", "tu", "tuv", NULL}, ASSIGNOR_ROUNDROBIN,
           "t0 / u0 / u1 v0 v1 v2");
    expect("t2", (const char *[]){"t", "t", "t", "t", NULL}, ASSIGNOR_ROUNDROBIN,
           "t0 / t1 / - / -");
    expect("a4 b3 c5 d2", (const char *[]){"ab", "bc", "acd", NULL}, ASSIGNOR_ROUNDROBIN,
           "a0 a2 b0 b2 / b1 c0 c2 c4 / a1 a3 c1 c3 d0 d1");
}

static void sticky_balances_a_fresh_group(void **state)
{
    static const enum assignor both[] = {ASSIGNOR_STICKY, ASSIGNOR_COOPERATIVE_STICKY};

    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        expect("t7", (const char *[]){"t", "t", "t", NULL}, both[i], "t0 t3 t6 / t1 t4 / t2 t5");
        expect("t3 u3", (const char *[]){"tu", "tu", NULL}, both[i], "t0 t2 u1 / t1 u0 u2");
        expect("t1 u2 v3", (const char *[]){"t", "tu", "tuv", NULL}, both[i],
               "t0 / u0 u1 / v0 v1 v2");
        expect("t2", (const char *[]){"t", "t", "t", "t", NULL}, both[i], "t0 / t1 / - / -");
        expect("a4 b3 c5 d2", (const char *[]){"ab", "bc", "acd", NULL}, both[i],
               "a0 a1 a2 a3 b0 / b1 b2 c0 c2 c4 / c1 c3 d0 d1");
    }
}

static void instance_ids_go_before_member_ids(void **state)
{
    struct group *group = group_of("t5");

    (void)state;
    add(group, "c1", "t", "", -1);
    add(group, "c2", "t", "", -1);
    add(group, "c0", "t", "", -1);
    group->members[0].instance_id = STR("zz");
    group->members[1].instance_id = STR("aa");
    assert_string_equal(run(group, ASSIGNOR_RANGE), "t2 t3 / t0 t1 / t4");
    drop(group);
}

/* ---- cooperative-sticky with owners ---------------------------------------------------------- */

struct owner {
    const char *wanted;
    const char *owned;
    int32_t generation;
};

static void expect_owned(const char *topics, const struct owner *owners, uint32_t count,
                         const char *expected)
{
    static const char *const ids[] = {"c1", "c2", "c3"};

    for (uint32_t turn = 0; turn < 2; turn++) { /* members forwards, then with c1 last */
        struct group *group = group_of(topics);
        char rotated[256];

        for (uint32_t i = 0; i < count; i++) {
            uint32_t m = (i + turn) % count;

            add(group, ids[m], owners[m].wanted, owners[m].owned, owners[m].generation);
        }
        if (turn == 0) {
            assert_string_equal(run(group, ASSIGNOR_COOPERATIVE_STICKY), expected);
        } else {
            const char *first = strchr(expected, '/');
            struct text text;

            text_init(&text, rotated, sizeof rotated);
            text_cstr(&text, first + 2);
            text_cstr(&text, " / ");
            text_str(&text, (struct str){expected, (uint32_t)(first - expected - 1)});
            assert_string_equal(run(group, ASSIGNOR_COOPERATIVE_STICKY), rotated);
        }
        drop(group);
    }
}

static void cooperative_sticky_gives_what_moves_only_in_the_second_round(void **state)
{
    (void)state;
    expect_owned("t6", (struct owner[]){{"t", "t0 t1 t2 t3 t4 t5", 1}, {"t", "", -1}}, 2,
                 "t0 t1 t2 / -");
    expect_owned("t6", (struct owner[]){{"t", "t0 t1 t2", 2}, {"t", "", 2}}, 2,
                 "t0 t1 t2 / t3 t4 t5");
    expect_owned("t6", (struct owner[]){{"t", "t0 t1", 3}, {"t", "t2 t3", 3}}, 2,
                 "t0 t1 t4 / t2 t3 t5");
    expect_owned("t7",
                 (struct owner[]){{"t", "t0 t1 t2 t3", 1}, {"t", "t4 t5 t6", 1}, {"t", "", -1}}, 3,
                 "t0 t1 t2 / t4 t5 / -");
    expect_owned("t7", (struct owner[]){{"t", "t0 t1 t2", 2}, {"t", "t4 t5", 2}, {"t", "", 2}}, 3,
                 "t0 t1 t2 / t4 t5 / t3 t6");
}

static void cooperative_sticky_settles_conflicting_claims(void **state)
{
    (void)state;
    expect_owned("t4", (struct owner[]){{"t", "t0 t1 t2", 3}, {"t", "t0 t3", 2}}, 2, "t0 t1 / t3");
    expect_owned("t4", (struct owner[]){{"t", "t0 t1", 3}, {"t", "t0 t3", 3}}, 2, "t1 / t2 t3");
}

static void cooperative_sticky_follows_different_subscriptions(void **state)
{
    (void)state;
    expect_owned("t3 u3", (struct owner[]){{"t", "t0 t1 t2", 1}, {"tu", "", 1}}, 2,
                 "t0 t1 t2 / u0 u1 u2");
    expect_owned("t3 u3", (struct owner[]){{"tu", "t0 t1 t2 u0 u1 u2", 1}, {"t", "", -1}}, 2,
                 "u0 u1 u2 / -");
    expect_owned("t4 u3 v3",
                 (struct owner[]){{"tuv", "t0 u0 v0 t1", 3}, {"tu", "t2 u1", 3}, {"v", "v1", 3}}, 3,
                 "t0 t1 u0 / t2 t3 u1 u2 / v1 v2");
}

/* ---- random groups --------------------------------------------------------------------------- */

static void random_group(struct group *group, struct rng *rng, char ids[][4], bool general)
{
    uint32_t members = (uint32_t)rng_range(rng, 1, 5);

    for (uint32_t m = 0; m < members; m++) {
        struct assignor_member *member = &group->members[m];

        ids[m][0] = 'c';
        ids[m][1] = (char)('0' + m);
        ids[m][2] = 0;
        *member = (struct assignor_member){.id = {ids[m], 2}, .topics = group->wanted[m]};
        member->owned = group->owned[m];
        member->generation = (int32_t)rng_range(rng, -1, 4);
        for (uint32_t t = 0; t < group->task.topics_count; t++)
            if (!general || rng_range(rng, 0, 2) > 0) group->wanted[m][member->topics_count++] = t;
        for (uint32_t t = 0; t < group->task.topics_count && member->generation >= 0; t++)
            for (uint32_t p = 0; p < group->topics[t].partitions; p++)
                if (rng_range(rng, 0, 3) == 0)
                    group->owned[m][member->owned_count++] =
                        (struct assignor_partition){t, (int32_t)p};
    }
    group->task.members_count = members;
}

static bool wants(const struct assignor_member *member, uint32_t topic)
{
    for (uint32_t i = 0; i < member->topics_count; i++)
        if (member->topics[i] == topic) return true;
    return false;
}

static bool has(const struct assignor_partition *list, uint32_t count, struct assignor_partition p)
{
    for (uint32_t i = 0; i < count; i++)
        if (list[i].topic == p.topic && list[i].index == p.index) return true;
    return false;
}

/* How many members have it; all of them subscribe to it. */
static uint32_t owners_of(const struct group *group, struct assignor_partition p)
{
    uint32_t owners = 0;

    for (uint32_t m = 0; m < group->task.members_count; m++) {
        const struct assignor_member *member = &group->members[m];

        if (!has(member->assigned, member->assigned_count, p)) continue;
        assert_true(wants(member, p.topic));
        owners++;
    }
    return owners;
}

static bool anybody_wants(const struct group *group, uint32_t topic)
{
    for (uint32_t m = 0; m < group->task.members_count; m++)
        if (wants(&group->members[m], topic)) return true;
    return false;
}

static bool somebody_else_claims(const struct group *group, uint32_t member,
                                 struct assignor_partition p)
{
    for (uint32_t m = 0; m < group->task.members_count; m++)
        if (m != member && has(group->members[m].owned, group->members[m].owned_count, p))
            return true;
    return false;
}

static void random_groups_have_one_owner_for_each_partition(void **state)
{
    struct rng rng;

    (void)state;
    rng_init(&rng, 7);
    for (uint32_t round = 0; round < 3000; round++) {
        struct group *group = group_of("a3 b5 c1 d4");
        bool general = round % 2 == 1;
        enum assignor assignor = (enum assignor)(round / 2 % ASSIGNORS);
        char ids[MEMBERS_MAX][4];
        uint32_t most = 0;
        uint32_t fewest = UINT32_MAX;

        random_group(group, &rng, ids, general);
        run(group, assignor);
        for (uint32_t t = 0; t < group->task.topics_count; t++) {
            for (int32_t p = 0; p < (int32_t)group->topics[t].partitions; p++) {
                uint32_t owners = owners_of(group, (struct assignor_partition){t, p});

                assert_true(owners <= 1);
                if (assignor != ASSIGNOR_COOPERATIVE_STICKY)
                    assert_int_equal(owners, anybody_wants(group, t));
            }
        }
        for (uint32_t m = 0; m < group->task.members_count; m++) {
            const struct assignor_member *member = &group->members[m];

            if (member->assigned_count > most) most = member->assigned_count;
            if (member->assigned_count < fewest) fewest = member->assigned_count;
            for (uint32_t i = 0;
                 assignor == ASSIGNOR_COOPERATIVE_STICKY && i < member->assigned_count; i++)
                if (!has(member->owned, member->owned_count, member->assigned[i]) && general)
                    assert_false(somebody_else_claims(group, m, member->assigned[i]));
        }
        if (!general && (assignor == ASSIGNOR_STICKY || assignor == ASSIGNOR_ROUNDROBIN))
            assert_true(most - fewest <= 1);
        drop(group);
    }
}

static void many_members_over_many_partitions_are_quick(void **state)
{
    enum { MEMBERS = 100, PARTITIONS = 1000 };
    struct group *group = group_of("t1");
    static struct assignor_member members[MEMBERS];
    static char ids[MEMBERS][4];
    static const uint32_t only = 0;

    (void)state;
    group->topics[0].partitions = PARTITIONS;
    for (uint32_t m = 0; m < MEMBERS; m++) {
        ids[m][0] = (char)('a' + m / 10);
        ids[m][1] = (char)('0' + m % 10);
        members[m] = (struct assignor_member){
            .id = {ids[m], 2}, .topics = &only, .topics_count = 1, .generation = -1};
    }
    group->task.members = members;
    group->task.members_count = MEMBERS;
    for (uint32_t i = 0; i < ASSIGNORS; i++) {
        group->task.assignor = (enum assignor)i;
        assert_int_equal(assignor_run(&group->task), ERR_NONE);
        for (uint32_t m = 0; m < MEMBERS; m++)
            assert_int_equal(members[m].assigned_count, PARTITIONS / MEMBERS);
    }
    drop(group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(range_gives_blocks_per_topic),
        cmocka_unit_test(roundrobin_goes_round_those_who_subscribe),
        cmocka_unit_test(sticky_balances_a_fresh_group),
        cmocka_unit_test(instance_ids_go_before_member_ids),
        cmocka_unit_test(cooperative_sticky_gives_what_moves_only_in_the_second_round),
        cmocka_unit_test(cooperative_sticky_settles_conflicting_claims),
        cmocka_unit_test(cooperative_sticky_follows_different_subscriptions),
        cmocka_unit_test(random_groups_have_one_owner_for_each_partition),
        cmocka_unit_test(many_members_over_many_partitions_are_quick),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

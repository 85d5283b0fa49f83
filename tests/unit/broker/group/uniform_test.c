/* Proves of the assignor "uniform" (KIP-848, groups.md 8.8): each partition that somebody wants has
 * one owner that does; nobody has two more than somebody who could take one of them, whether all
 * subscribe to the same or each to its own; what is balanced stays where it is. */
#include "tests/support/support.h"

#include "broker/group/uniform.h"
#include "client/base/rng.h"
#include "client/base/text.h"

#include <stdlib.h>
#include <string.h>

enum { TOPICS_MAX = 6, MEMBERS_MAX = 8, PARTITIONS_MAX = 9, REGION = 16 << 20 };
enum { OWNED_MAX = TOPICS_MAX * PARTITIONS_MAX };

struct group {
    struct assignor_topic topics[TOPICS_MAX];
    struct assignor_member members[MEMBERS_MAX];
    uint32_t wanted[MEMBERS_MAX][TOPICS_MAX];
    struct assignor_partition owned[MEMBERS_MAX][OWNED_MAX];
    struct assignor_task task;
    struct support_memory memory;
    struct arena arena;
    char result[2048];
};

/* "t7 u2": two topics with names in ascending order, 7 and 2 partitions. */
static struct group *group_of(const char *topics)
{
    struct group *group = calloc(1, sizeof *group);

    support_memory_init(&group->memory, REGION);
    arena_init(&group->arena, &group->memory.mem, REGION / 2);
    group->task = (struct assignor_task){.topics = group->topics, .members = group->members};
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
    fail_msg("no topic %c", name);
    return 0;
}

/* wanted "tu", owned "t0 t1". */
static void add(struct group *group, const char *wanted, const char *owned)
{
    uint32_t m = group->task.members_count++;
    struct assignor_member *member = &group->members[m];

    *member = (struct assignor_member){.topics = group->wanted[m], .owned = group->owned[m]};
    for (; *wanted != 0; wanted++)
        group->wanted[m][member->topics_count++] = topic_named(group, *wanted);
    for (; *owned != 0; owned += owned[2] == ' ' ? 3 : 2)
        group->owned[m][member->owned_count++] =
            (struct assignor_partition){topic_named(group, owned[0]), owned[1] - '0'};
}

/* "t0 t1 / t2 / -" */
static const char *run(struct group *group)
{
    struct text text;

    assert_int_equal(uniform_run(&group->task), ERR_NONE);
    text_init(&text, group->result, sizeof group->result);
    for (uint32_t m = 0; m < group->task.members_count; m++) {
        const struct assignor_member *member = &group->members[m];

        if (m > 0) text_cstr(&text, " / ");
        if (member->assigned_count == 0) text_char(&text, '-');
        for (uint32_t i = 0; i < member->assigned_count; i++) {
            if (i > 0) text_char(&text, ' ');
            text_str(&text, group->topics[member->assigned[i].topic].name);
            text_i64(&text, member->assigned[i].index);
        }
    }
    return group->result;
}

static void drop(struct group *group)
{
    arena_deinit(&group->arena);
    support_memory_deinit(&group->memory);
    free(group);
}

/* ---- by example ------------------------------------------------------------------------------ */

static void members_that_want_the_same_keep_what_they_have_up_to_their_share(void **state)
{
    struct group *group = group_of("t7");

    (void)state;
    add(group, "t", "t6 t5 t4 t3");
    add(group, "t", "t2 t1 t0");
    add(group, "t", "");
    assert_string_equal(run(group), "t4 t5 t6 / t1 t2 / t0 t3");
    drop(group);
}

static void what_a_member_no_longer_wants_goes_to_who_does(void **state)
{
    struct group *group = group_of("t2 u2");

    (void)state;
    add(group, "t", "t0 u0 u1");
    add(group, "tu", "t1");
    assert_string_equal(run(group), "t0 t1 / u0 u1");
    drop(group);
}

static void a_claim_to_what_is_not_there_or_is_taken_counts_for_nothing(void **state)
{
    struct group *group = group_of("t2 u1");

    (void)state;
    add(group, "t", "t0 t7");
    add(group, "tu", "t0 t1 u0");
    assert_string_equal(run(group), "t0 / t1 u0");
    drop(group);
}

/* Who has most has nothing to give of this topic: then who has most of those that have gives. */
static void a_newcomer_gets_its_share_although_another_has_most_of_all(void **state)
{
    struct group *group = group_of("t5 u7");

    (void)state;
    add(group, "t", "t0 t1 t2 t3 t4");
    add(group, "t", "");
    add(group, "tu", "u0 u1 u2 u3 u4 u5 u6");
    assert_string_equal(run(group), "t2 t3 t4 / t0 t1 / u0 u1 u2 u3 u4 u5 u6");
    drop(group);
}

static void topics_that_nobody_wants_and_members_that_want_none_stay_empty(void **state)
{
    struct group *group = group_of("t2 u3");

    (void)state;
    add(group, "", "u0");
    add(group, "t", "");
    assert_string_equal(run(group), "- / t0 t1");
    drop(group);
    group = group_of("t1");
    assert_int_equal(uniform_run(&group->task), ERR_NONE);
    drop(group);
}

/* ---- by chance ------------------------------------------------------------------------------- */

static bool wants(const struct group *group, uint32_t member, uint32_t topic)
{
    for (uint32_t i = 0; i < group->members[member].topics_count; i++)
        if (group->members[member].topics[i] == topic) return true;
    return false;
}

static void judge_owners(const struct group *group)
{
    for (uint32_t t = 0; t < group->task.topics_count; t++) {
        uint32_t owners[PARTITIONS_MAX] = {0};
        uint32_t expected = 0;

        for (uint32_t m = 0; m < group->task.members_count; m++) {
            const struct assignor_member *member = &group->members[m];

            if (wants(group, m, t)) expected = 1;
            for (uint32_t i = 0; i < member->assigned_count; i++) {
                if (member->assigned[i].topic != t) continue;
                assert_true(wants(group, m, t));
                owners[member->assigned[i].index]++;
            }
        }
        for (uint32_t p = 0; p < group->topics[t].partitions; p++)
            assert_int_equal(owners[p], expected);
    }
}

static void judge_balance(const struct group *group)
{
    for (uint32_t m = 0; m < group->task.members_count; m++) {
        const struct assignor_member *member = &group->members[m];

        for (uint32_t i = 0; i < member->assigned_count; i++) {
            for (uint32_t other = 0; other < group->task.members_count; other++) {
                if (!wants(group, other, member->assigned[i].topic)) continue;
                assert_true(member->assigned_count <= group->members[other].assigned_count + 1);
            }
        }
    }
}

/* The result becomes what is owned. */
static void settle(struct group *group)
{
    for (uint32_t m = 0; m < group->task.members_count; m++) {
        struct assignor_member *member = &group->members[m];

        memcpy(group->owned[m], member->assigned,
               member->assigned_count * sizeof *member->assigned);
        member->owned_count = member->assigned_count;
    }
}

static void subscribe(struct group *group, struct rng *rng, uint32_t m)
{
    uint32_t count = 0;

    for (uint32_t t = 0; t < group->task.topics_count; t++)
        if (rng_below(rng, 2) == 0) group->wanted[m][count++] = t;
    group->members[m].topics_count = count;
}

static void random_groups_are_balanced_and_what_is_balanced_stays(void **state)
{
    enum { GROUPS = 300, ROUNDS = 4 };
    static const char *const names = "abcdef";
    char before[2048];
    struct rng rng;

    (void)state;
    rng_init(&rng, 848);
    for (uint32_t n = 0; n < GROUPS; n++) {
        struct group *group = group_of("");
        uint32_t members = 1 + (uint32_t)rng_below(&rng, MEMBERS_MAX);

        group->task.topics_count = 1 + (uint32_t)rng_below(&rng, TOPICS_MAX);
        for (uint32_t t = 0; t < group->task.topics_count; t++)
            group->topics[t] = (struct assignor_topic){
                .name = {names + t, 1}, .partitions = (uint32_t)rng_below(&rng, PARTITIONS_MAX)};
        while (group->task.members_count < members)
            add(group, "", "");
        for (uint32_t round = 0; round < ROUNDS; round++) {
            for (uint32_t m = 0; m < members; m++)
                if (round == 0 || rng_below(&rng, 3) == 0) subscribe(group, &rng, m);
            (void)run(group);
            judge_owners(group);
            judge_balance(group);
            settle(group);
            memcpy(before, group->result, sizeof before);
            assert_string_equal(run(group), before);
        }
        drop(group);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_that_want_the_same_keep_what_they_have_up_to_their_share),
        cmocka_unit_test(what_a_member_no_longer_wants_goes_to_who_does),
        cmocka_unit_test(a_claim_to_what_is_not_there_or_is_taken_counts_for_nothing),
        cmocka_unit_test(a_newcomer_gets_its_share_although_another_has_most_of_all),
        cmocka_unit_test(topics_that_nobody_wants_and_members_that_want_none_stay_empty),
        cmocka_unit_test(random_groups_are_balanced_and_what_is_balanced_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

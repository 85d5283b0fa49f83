/* Proves: each oracle of check_group.c passes a good history that it judged, and is the first to
 * fire on a bad one. */
#include "tests/support/check_story.h"
#include "tests/support/support.h"

#include "client/base/assert.h"

/* Broker 1 coordinates; member 201 has t-0 in generation 3 and committed offset 5 of it. */
static const char setup[] =
    "1 group.coordinator 4 1 2 10 0\n"
    "1 group.state 4 1 0 1 0 1 | g\n1 group.state 4 1 1 2 3 1 | g\n"
    "1 group.state 4 1 2 3 3 1 | g\n"
    "201 client.owns 0 3 1 | g t\n"
    "201 client.offset 0 5 3 1 0 201 | g t\n1 group.offset 4 1 0 5 11 | g t\n"
    "201 client.offset 0 5 3 2 0 201 | g t\n";

#define NEXT(generation)                                               \
    "1 group.state 4 1 3 1 3 2 | g\n1 group.state 4 1 1 2 " generation \
    " 2 | g\n1 group.state 4 1 2 3 " generation " 2 | g\n"
#define SENT(node, offset, generation) \
    node " client.offset 0 " offset " " generation " 1 0 " node " | g t\n"
#define ACKED(node, offset, generation) \
    node " client.offset 0 " offset " " generation " 2 0 " node " | g t\n"
#define TOLD(node, offset) node " client.offset 0 " offset " 3 3 0 " node " | g t\n"

static const struct check_case cases[] = {
    {"C15", "201 client.owns 0 3 2 | g t\n", "202 client.owns 0 3 2 | g t\n", false},
    {"G1", "2 group.coordinator 4 2 2 10 0\n", "2 group.coordinator 4 1 2 10 0\n", false},
    {"G2", NEXT("4"), NEXT("3"), false},
    {"G6", "202 client.owns 0 4 1 | g t\n", "202 client.owns 0 3 1 | g t\n", false},
    {"G8", SENT("201", "6", "3") NEXT("4") ACKED("201", "6", "3"),
     NEXT("4") SENT("201", "6", "3") ACKED("201", "6", "3"), false},
    {"G9", SENT("201", "6", "3") TOLD("202", "6"),
     SENT("201", "6", "3") "1 group.offset 4 1 0 6 12 | g t\n" ACKED("201", "6", "3")
         TOLD("202", "5"),
     false},
    {"G10", TOLD("202", "5"), TOLD("202", "4"), false},
    {"G18", "2 group.state 4 2 4 3 3 1 | g\n", "2 group.state 4 2 4 3 2 1 | g\n", false},
};

static void each_oracle_of_check_group_fires_first_on_its_bad_history(void **state)
{
    (void)state;
    check_story_prove("check_group.c", setup, cases, COUNT_OF(cases));
}

/* The first violation of the setup and what follows; "" when there is none. */
static void violates(const char *ending, const char *id)
{
    struct check_config config;
    struct check *check;
    const struct check_violation *violation;

    check_config_init(&config);
    check = check_create(&config);
    check_story_tell(check, STORY_CLUSTER);
    check_story_tell(check, setup);
    check_story_tell(check, ending);
    violation = check_violation(check);
    assert_string_equal(violation != NULL ? violation->id : "", id);
    check_destroy(check);
}

static void a_coordinator_that_lost_everything_is_found(void **state)
{
    (void)state;
    violates(TOLD("202", "-1"), "G9");
    violates("2 group.state 4 2 4 0 0 0 | g\n", "G18");
    violates("2 group.state 4 2 0 1 0 1 | g\n2 group.state 4 2 1 2 1 1 | g\n"
             "2 group.state 4 2 2 3 1 1 | g\n",
             "G2");
}

static void a_deposed_coordinators_late_word_does_not_count(void **state)
{
    (void)state;
    violates("2 group.state 4 2 4 3 3 1 | g\n2 group.state 4 2 3 1 3 2 | g\n"
             "2 group.state 4 2 1 2 4 2 | g\n2 group.state 4 2 2 3 4 2 | g\n"
             "1 group.state 4 1 2 3 3 1 | g\n",
             "");
}

static void what_a_dead_member_had_is_nobodys(void **state)
{
    (void)state;
    violates("0 sim.down 201 1 0\n0 sim.up 201 2\n202 client.owns 0 3 1 | g t\n", "");
}

/* Group h of KIP-848: member a is 201, its number half the FNV-1a of "a"; it has t-0 in epoch 1. */
#define NUMBER_A "6319093600277820998"
#define NUMBER_B "6319095249545263314"
#define MEETS_A                                                        \
    "1 group.epochs 4 1 1 1 1 | h\n1 group.member 4 1 1 0 1 0 | h a\n" \
    "201 client.group 2 6 1 " NUMBER_A " 1 | h\n"
#define OWNS(node) node " client.owns 0 1 1 | h t\n"
/* It is removed and does not know; nobody is left. */
#define ALL_GONE "1 group.member 4 1 -1 0 0 0 | h a\n1 group.epochs 4 1 2 1 0 | h\n"
#define DELETED  ALL_GONE "1 group.epochs 4 1 0 0 0 | h\n"
/* The name is a classic group's now, its first generation has t-0 for member b, which is 202. */
#define CLASSIC_B                                                    \
    "1 group.state 4 1 0 1 0 1 | h\n1 group.state 4 1 1 2 1 1 | h\n" \
    "1 group.state 4 1 2 3 1 1 | h\n1 group.owned 4 1 1 0 | h b t\n" \
    "202 client.group 4 5 1 " NUMBER_B " 1 | h\n"
#define CONSUMER_B                                                     \
    "1 group.epochs 4 1 1 1 1 | h\n1 group.member 4 1 1 0 1 0 | h b\n" \
    "202 client.group 2 6 1 " NUMBER_B " 1 | h\n"

static void a_name_that_begins_anew_numbers_anew(void **state)
{
    (void)state;
    violates(MEETS_A OWNS("201") DELETED CLASSIC_B OWNS("202"), "");
    violates(MEETS_A OWNS("201") DELETED CONSUMER_B OWNS("202"), "");
    /* The zombie's answer was under way all the time. */
    violates(MEETS_A DELETED CLASSIC_B OWNS("202") OWNS("201"), "");
    violates(MEETS_A DELETED CONSUMER_B OWNS("202") "201 client.group 6 5 1 " NUMBER_A
                                                    " 1 | h\n" OWNS("201"),
             "");
    /* What it is given next may be the new group's. */
    violates(MEETS_A OWNS("201") DELETED CLASSIC_B
             "1 group.owned 4 1 1 0 | h a t\n" OWNS("202") "201 client.group 4 5 1 " NUMBER_A
                                                           " 2 | h\n",
             "G6");
}

static void within_a_new_life_of_a_name_a_generation_has_one_owner(void **state)
{
    (void)state;
    violates(MEETS_A OWNS("201")
                 DELETED CLASSIC_B OWNS("202") "201 client.owns 0 1 3 | h t\n"
                                               "1 group.owned 4 1 1 0 | h a t\n" OWNS("201"),
             "G6");
    violates(MEETS_A OWNS("201") DELETED CLASSIC_B OWNS(
                 "202") "201 client.owns 0 1 3 | h t\n"
                        "1 group.owned 4 1 2 0 | h a t\n201 client.owns 0 2 1 | h t\n",
             "");
}

/* A downgrade is no end: the classic group goes on in the epoch that the members had. */
static void a_group_that_changes_its_protocol_lives_on(void **state)
{
    (void)state;
    violates(MEETS_A OWNS("201") "1 group.member 4 1 -1 0 0 0 | h a\n1 group.epochs 4 1 0 0 0 | h\n"
                                 "1 group.state 4 1 4 3 1 1 | h\n1 group.owned 4 1 1 0 | h b t\n"
                                 "202 client.group 4 5 1 " NUMBER_B " 1 | h\n" OWNS("202"),
             "G6");
}

static void a_commit_whose_answer_was_lost_may_be_told(void **state)
{
    (void)state;
    violates(SENT("201", "6", "3") TOLD("202", "6"), "");
}

/* Its members are gone, so what they were given is nobody's; who takes the name begins anew. */
static void an_empty_group_gives_its_name_away(void **state)
{
    (void)state;
    violates("1 group.state 4 1 3 1 3 0 | g\n1 group.state 4 1 1 0 4 0 | g\n"
             "1 group.state 4 1 0 4 4 0 | g\n1 group.epochs 4 1 1 1 1 | g\n",
             "");
    violates("1 group.state 4 1 3 4 3 0 | g\n1 group.epochs 4 1 1 1 1 | g\n", "G2");
    violates("2 group.state 4 2 4 3 3 1 | g\n2 group.state 4 2 3 4 3 0 | g\n"
             "2 group.epochs 4 2 1 1 1 | g\n",
             "G2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_oracle_of_check_group_fires_first_on_its_bad_history),
        cmocka_unit_test(a_coordinator_that_lost_everything_is_found),
        cmocka_unit_test(a_commit_whose_answer_was_lost_may_be_told),
        cmocka_unit_test(a_deposed_coordinators_late_word_does_not_count),
        cmocka_unit_test(what_a_dead_member_had_is_nobodys),
        cmocka_unit_test(a_name_that_begins_anew_numbers_anew),
        cmocka_unit_test(within_a_new_life_of_a_name_a_generation_has_one_owner),
        cmocka_unit_test(a_group_that_changes_its_protocol_lives_on),
        cmocka_unit_test(an_empty_group_gives_its_name_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

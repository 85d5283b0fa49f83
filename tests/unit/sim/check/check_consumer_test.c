/* Proves: each oracle of check_consumer.c passes a good history that it judged, and is the first to
 * fire on a bad one. */
#include "tests/support/check_story.h"
#include "tests/support/support.h"

#include "client/base/assert.h"

/* Broker 1 coordinates group g: member a has partition 0 in epoch 1, and
 * client 201 speaks as a. */
#define A "6319093600277820998"
#define B "6319095249545263314"
static const char setup[] =
    STORY_CLUSTER "0 sim.up 201 1\n0 sim.up 202 1\n1 group.coordinator 4 1 2 10 0\n"
                  "1 group.epochs 4 1 1 1 1 | g\n"
                  "1 group.holds 4 1 0 1 1 | g a id\n1 group.member 4 1 1 0 1 0 | g a\n"
                  "201 client.group 2 6 1 " A " 1 | g\n";

#define SENT  "201 client.offset 0 6 1 1 0 201 | g t\n"
#define ACKED "201 client.offset 0 6 1 2 0 201 | g t\n"
#define GONE  "1 group.holds 4 1 0 1 0 | g a id\n1 group.member 4 1 -1 0 0 0 | g a\n"
#define TAKES "1 group.holds 4 1 0 2 1 | g b id\n1 group.member 4 1 2 0 1 0 | g b\n"
#define AHEAD "1 group.epochs 4 1 2 2 2 | g\n"
/* All else is well, as check_liveness.c wants it. */
#define HEALTHY                                                                               \
    STORY_DATA STORY_FIRST("3") "1 replica.remote 7 0 3 10 0 3 1\n"                           \
                                "101 controller.partition 7 0 1 1 1 11 | isr 1,2,3 replicas " \
                                "1,2,3 elr -\n1 replica.isr 7 0 1 0 0 | 1,2,3\n" STORY_COMMIT \
                                "101 meta.applied 19 1 5\n1 replica.isr 7 0 1 1 1 | 1,2,3\n"  \
                                "2 replica.hw 7 0 0 10 1 1\n3 replica.hw 7 0 0 10 1 1\n"
#define END "phase 2\n+120000\nfinish\n"

static const struct check_case cases[] = {
    {"G7", AHEAD GONE TAKES, AHEAD TAKES, false},
    {"G14", HEALTHY END, HEALTHY AHEAD END, false},
    {"G21", "2 group.member 4 2 1 0 1 0 | g a\n2 group.epochs 4 2 1 1 1 | g\n",
     AHEAD "1 group.member 4 1 2 0 1 0 | g a\n2 group.epochs 4 2 1 1 1 | g\n", false},
    {"G22", SENT "1 group.member 4 1 2 0 1 0 | g a\n" ACKED,
     "1 group.member 4 1 2 0 1 0 | g a\n" SENT ACKED, false},
};

static void each_oracle_of_check_consumer_fires_first_on_its_bad_history(void **state)
{
    (void)state;
    check_story_prove("check_consumer.c", setup, cases, COUNT_OF(cases));
}

static void a_member_that_was_removed_commits_nothing(void **state)
{
    static const struct check_case one = {"G22", SENT GONE ACKED, GONE SENT ACKED, false};

    (void)state;
    check_story_prove_one(&one, setup);
}

static void a_coordinator_loads_every_member(void **state)
{
    static const struct check_case one = {
        "G21", "2 group.member 4 2 1 0 1 0 | g a\n2 group.epochs 4 2 1 1 1 | g\n",
        "2 group.epochs 4 2 1 1 1 | g\n", false};

    (void)state;
    check_story_prove_one(&one, setup);
}

/* The one that hands over says so before the other takes. */
static void a_member_that_lives_is_not_taken_from(void **state)
{
    static const struct check_case one = {
        "G7",
        "201 client.owns 0 1 1 | g t\n201 client.owns 0 1 2 | g t\n202 client.owns 0 2 1 | g t\n",
        "201 client.owns 0 1 1 | g t\n202 client.owns 0 2 1 | g t\n", false};

    (void)state;
    check_story_prove_one(&one, setup);
}

/* The answer that gave it the partition reached a process that stood still. */
static void who_was_removed_may_hear_late_what_it_had(void **state)
{
    static const struct check_case one = {
        "G7",
        GONE AHEAD TAKES "202 client.group 2 6 2 " B
                         " 1 | g\n202 client.owns 0 2 1 | g t\n201 client.owns 0 1 1 | g t\n",
        AHEAD "202 client.group 2 6 2 " B " 1 | g\n1 group.member 4 1 2 0 1 0 | g b\n"
              "202 client.owns 0 2 1 | g t\n201 client.owns 0 1 1 | g t\n",
        false};

    (void)state;
    check_story_prove_one(&one, setup);
}

static void what_a_member_was_told_is_not_forgotten(void **state)
{
    static const struct check_case one = {
        "G21", "2 group.member 4 2 1 0 1 0 | g a\n2 group.epochs 4 2 1 1 1 | g\n",
        "201 client.group 6 5 2 " A " 1 | g\n2 group.epochs 4 2 1 1 1 | g\n", false};

    (void)state;
    check_story_prove_one(&one, setup);
}

/* b is a classic member of the group when it goes back, empties, and gives its name to another one.
 * b slept over it, and begins anew with what it had. */
#define CLASSIC "1 group.member 4 1 2 0 0 0 | g b\n201 client.group 4 5 2 " B " 1 | g\n"
#define B       "6319095249545263314"
#define BACK                                                                 \
    GONE "1 group.member 4 1 -1 0 0 0 | g b\n1 group.epochs 4 1 0 0 0 | g\n" \
         "1 group.state 4 1 4 3 2 1 | g\n1 group.state 4 1 3 1 2 1 | g\n"    \
         "1 group.state 4 1 1 0 3 0 | g\n"
#define ANOTHER                                                     \
    "1 group.state 4 1 0 4 3 0 | g\n1 group.epochs 4 1 1 1 1 | g\n" \
    "1 group.member 4 1 1 0 1 0 | g c\n"

static void what_a_member_had_in_another_group_of_that_name_is_no_epoch_of_this(void **state)
{
    static const struct check_case repeats = {
        "G21",
        AHEAD CLASSIC BACK ANOTHER "201 client.group 6 1 2 " B " 1 | g\n"
                                   "1 group.epochs 4 1 1 1 2 | g\n",
        AHEAD CLASSIC BACK ANOTHER "1 group.member 4 1 1 0 0 0 | g b\n"
                                   "201 client.group 6 5 2 " B " 1 | g\n"
                                   "1 group.epochs 4 1 1 1 2 | g\n",
        false};
    static const struct check_case wakes = {
        "G21",
        AHEAD CLASSIC BACK ANOTHER "201 client.group 5 6 2 " B " 2 | g\n"
                                   "1 group.epochs 4 1 1 1 2 | g\n",
        AHEAD CLASSIC BACK ANOTHER "202 client.group 2 6 2 17 1 | g\n"
                                   "1 group.epochs 4 1 1 1 2 | g\n",
        false};

    (void)state;
    check_story_prove_one(&repeats, setup);
    check_story_prove_one(&wakes, setup);
}

/* JoinGroup is answered before anything of the generation is durable; SyncGroup after. */
static void a_generation_that_was_only_joined_may_be_lost(void **state)
{
    static const struct check_case one = {"G21", "201 client.group 2 4 3 " A " 1 | g\n" AHEAD,
                                          "201 client.group 4 5 3 " A " 1 | g\n" AHEAD, false};

    (void)state;
    check_story_prove_one(&one, setup);
}

/* The log has members of the group before; only the last word of the load counts. */
#define LOADS                                                            \
    "2 group.coordinator 4 2 1 10 0\n2 group.member 4 2 2 0 0 0 | g b\n" \
    "2 group.member 4 2 -1 0 0 0 | g b\n2 group.member 4 2 1 0 1 0 | g c\n"

static void a_load_tells_of_groups_that_had_the_name_before(void **state)
{
    static const struct check_case one = {
        "G21", AHEAD CLASSIC BACK ANOTHER LOADS "2 group.epochs 4 2 1 1 1 | g\n",
        AHEAD CLASSIC BACK ANOTHER LOADS "2 group.member 4 2 2 0 1 0 | g c\n"
                                         "2 group.epochs 4 2 1 1 1 | g\n",
        false};

    (void)state;
    check_story_prove_one(&one, setup);
}

/* What a broker says that is deposed, and what its successor tells again, counts for nothing. */
static void a_new_coordinator_tells_everything_again(void **state)
{
    static const struct check_case one = {
        "G7", "2 group.holds 4 2 0 1 1 | g b id\n1 group.holds 4 1 0 1 1 | g a id\n",
        "2 group.holds 4 2 0 1 1 | g b id\n2 group.holds 4 2 0 1 1 | g a id\n", false};

    (void)state;
    check_story_prove_one(&one, setup);
}

/* b has come. Its client speaks as b; it has what it shall have, or waits for what a has. */
#define COMES   "202 client.group 2 6 2 " B " 1 | g\n"
#define HAS     "1 group.member 4 1 2 0 1 0 | g b\n"
#define WAITS   "1 group.member 4 1 2 2 0 0 | g b\n"
#define A_HAS   "1 group.member 4 1 2 0 1 0 | g a\n"
#define A_DIES  "0 sim.down 201 1 0\n"
#define HEALED  HEALTHY "phase 2\n+60000\n"
#define JUDGED  "+40000\nfinish\n" /* the epochs are quiet, and a session may still run */
#define EXPIRED "+70000\nfinish\n"

/* Seed 4724757193720 of swarm-quorum.yaml: sessions of 45 s, 35 s after the last epoch. */
static void who_died_is_behind_until_its_session_ends(void **state)
{
    static const struct check_case lives = {"G14", HEALED AHEAD COMES HAS A_DIES JUDGED,
                                            HEALED AHEAD COMES HAS JUDGED, false};
    static const struct check_case ends = {"G14", HEALED AHEAD COMES HAS A_DIES JUDGED,
                                           HEALED AHEAD COMES HAS A_DIES EXPIRED, false};

    (void)state;
    check_story_prove_one(&lives, setup);
    check_story_prove_one(&ends, setup);
}

static void who_began_anew_leaves_a_member_behind_until_its_session_ends(void **state)
{
    static const struct check_case one = {
        "G14", HEALED AHEAD "201 client.group 0 1 -1 17 0 | g\n" COMES HAS JUDGED,
        HEALED AHEAD "201 client.group 0 1 -1 17 0 | g\n" COMES HAS EXPIRED, false};

    (void)state;
    check_story_prove_one(&one, setup);
}

/* The answer that told it so was lost: nobody ever speaks as b. */
static void who_never_heard_that_it_is_a_member_is_behind_until_its_session_ends(void **state)
{
#define UNHEARD "1 group.member 4 1 1 0 0 0 | g b\n" AHEAD A_HAS
    static const struct check_case one = {"G14", HEALED UNHEARD JUDGED, HEALED UNHEARD EXPIRED,
                                          false};

    (void)state;
    check_story_prove_one(&one, setup);
}

static void who_waits_for_a_dead_member_waits_until_its_session_ends(void **state)
{
    static const struct check_case for_nobody = {"G14", HEALED AHEAD COMES WAITS A_DIES JUDGED,
                                                 HEALED AHEAD COMES WAITS A_HAS JUDGED, false};
    static const struct check_case for_ever = {"G14", HEALED AHEAD COMES WAITS A_DIES JUDGED,
                                               HEALED AHEAD COMES WAITS A_DIES EXPIRED, false};
    static const struct check_case elsewhere = {
        "G14", HEALED AHEAD COMES WAITS A_DIES JUDGED,
        HEALED AHEAD COMES "1 group.member 4 1 1 0 0 0 | g b\n" A_DIES JUDGED, false};

    (void)state;
    check_story_prove_one(&for_nobody, setup);
    check_story_prove_one(&for_ever, setup);
    check_story_prove_one(&elsewhere, setup);
}

/* It gives every member a session again, and those that live must find it first. */
static void a_coordinator_that_loads_begins_all_sessions_anew(void **state)
{
#define LOADS_ALL                                                        \
    "2 group.coordinator 4 2 1 10 0\n2 group.member 4 2 1 0 1 0 | g a\n" \
    "2 group.member 4 2 2 0 1 0 | g b\n2 group.epochs 4 2 2 2 2 | g\n"
    static const struct check_case dead = {
        "G14", HEALED AHEAD COMES HAS A_DIES "+40000\n" LOADS_ALL JUDGED,
        HEALED AHEAD COMES HAS A_DIES "+40000\n" LOADS_ALL EXPIRED, false};

    (void)state;
    check_story_prove_one(&dead, setup);
    CHECK_STORY(NULL, setup, HEALED AHEAD COMES HAS "+40000\n" LOADS_ALL "+20000\nfinish\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_oracle_of_check_consumer_fires_first_on_its_bad_history),
        cmocka_unit_test(a_member_that_was_removed_commits_nothing),
        cmocka_unit_test(a_coordinator_loads_every_member),
        cmocka_unit_test(a_member_that_lives_is_not_taken_from),
        cmocka_unit_test(who_was_removed_may_hear_late_what_it_had),
        cmocka_unit_test(what_a_member_was_told_is_not_forgotten),
        cmocka_unit_test(what_a_member_had_in_another_group_of_that_name_is_no_epoch_of_this),
        cmocka_unit_test(a_generation_that_was_only_joined_may_be_lost),
        cmocka_unit_test(a_load_tells_of_groups_that_had_the_name_before),
        cmocka_unit_test(a_new_coordinator_tells_everything_again),
        cmocka_unit_test(who_died_is_behind_until_its_session_ends),
        cmocka_unit_test(who_began_anew_leaves_a_member_behind_until_its_session_ends),
        cmocka_unit_test(who_never_heard_that_it_is_a_member_is_behind_until_its_session_ends),
        cmocka_unit_test(who_waits_for_a_dead_member_waits_until_its_session_ends),
        cmocka_unit_test(a_coordinator_that_loads_begins_all_sessions_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

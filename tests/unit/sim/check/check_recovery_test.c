/* Proves: each oracle of check_recovery.c passes a good history that it judged, and is the first to
 * fire on a bad one. */
#include "tests/support/check_story.h"
#include "tests/support/support.h"

#include "client/base/assert.h"
#include "sim/fault.h"

#include <stdio.h>

static const char setup[] = STORY_CLUSTER STORY_DATA;

#define APPEND "1 log.appended 7 0 10 19 1 501 100\n"
#define KILLED "0 sim.down 2 1 0\n0 sim.up 2 2\n"
/* Opened in this life; told 6 by the leader, whose answer says so. */
#define DELETED                                                                    \
    KILLED "2 log.opened 7 0 0 10 0 0 0 0\n2 replica.role 7 0 1 1 1 0\n"           \
           "2 replica.hw 7 0 0 10 1 1\n1 log.start 7 0 0 6\n2 log.start 7 0 0 6\n" \
           "1 records.deleted 7 0 6 6 0\n"
#define POWERLESS "0 sim.down 2 2 0\n0 sim.up 2 2\n"

static const struct check_case cases[] = {
    {"R40", KILLED "2 log.opened 7 0 0 10 0 0 0 0\n", KILLED "2 log.opened 7 0 0 0 0 0 0 0\n",
     false},
    {"R46", "2 log.synced 7 0 10\n" POWERLESS "2 log.opened 7 0 0 10 10 0 0 0\n",
     "2 log.synced 7 0 10\n" POWERLESS "2 log.opened 7 0 0 0 0 0 0 0\n", false},
    {"R47", "2 replica.hw 7 0 0 10 1 1\n" KILLED "2 log.opened 7 0 0 10 0 10 0 0\n",
     KILLED "2 log.opened 7 0 0 10 0 10 0 0\n", false},
    {"R49", "2 replica.hw 7 0 0 10 1 1\n" KILLED "2 log.opened 7 0 0 10 0 10 0 0\n",
     "2 replica.hw 7 0 0 10 1 1\n" KILLED "2 log.opened 7 0 0 10 0 5 0 0\n", false},
    {"S18", DELETED KILLED "2 log.opened 7 0 6 10 0 10 0 0\n",
     DELETED KILLED "2 log.opened 7 0 0 10 0 10 0 0\n", false},
};

static void each_oracle_of_check_recovery_fires_first_on_its_bad_history(void **state)
{
    (void)state;
    check_story_prove("check_recovery.c", setup, cases, COUNT_OF(cases));
}

/* A follower's goes back with a new leader's; the checkpoint may still have the old one. */
static void a_checkpoint_may_hold_an_older_and_higher_watermark(void **state)
{
    (void)state;
    CHECK_STORY(NULL, setup,
                "2 replica.hw 7 0 0 10 1 1\n2 replica.hw 7 0 10 5 1 1\n" KILLED
                "2 log.opened 7 0 0 10 0 10 0 0\n");
    CHECK_STORY("R47", setup,
                "2 replica.hw 7 0 0 5 1 1\n" KILLED "2 log.opened 7 0 0 10 0 10 0 0\n");
}

/* truncateFullyAndStartAt is not one write: what a crash leaves of it is the old log, less of it,
 * or the new one. Anywhere else nobody wanted it. */
static void a_reset_that_a_crash_cuts_short_ends_before_it_or_where_it_was_to(void **state)
{
    static const char reset[] = APPEND "2 replica.hw 7 0 0 10 1 1\n2 log.cutting 7 0 10 20 10 1\n";
    static const struct {
        const char *opened;
        const char *id;
    } ends[] = {
        {"2 log.opened 7 0 0 10 0 10 0 0\n", NULL},    {"2 log.opened 7 0 0 5 0 5 0 0\n", NULL},
        {"2 log.opened 7 0 20 20 20 20 0 0\n", NULL},  {"2 log.opened 7 0 0 20 0 20 0 0\n", "R47"},
        {"2 log.opened 7 0 15 15 15 15 0 0\n", "R47"},
    };

    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(ends); i++) {
        CHECK_STORY(ends[i].id, setup, reset, KILLED, ends[i].opened);
        CHECK_STORY(ends[i].id, setup, reset, POWERLESS, ends[i].opened);
    }
}

/* Who counts has to have it when the answer is given; an error says nothing. */
static void what_an_answer_says_is_deleted_is_so_on_every_replica_in_sync(void **state)
{
    static const char opened[] = KILLED "2 log.opened 7 0 0 10 0 0 0 0\n"
                                        "2 replica.role 7 0 1 1 1 0\n2 replica.hw 7 0 0 10 1 1\n";

    (void)state;
    CHECK_STORY("S18", setup, opened, "1 log.start 7 0 0 6\n1 records.deleted 7 0 6 6 0\n");
    CHECK_STORY(NULL, setup, opened, "1 log.start 7 0 0 6\n1 records.deleted 7 0 6 -1 7\n");
}

/* A reset that came to its end, or that the last life began, excuses nothing. */
static void a_reset_excuses_no_other_crash(void **state)
{
    static const char reset[] = APPEND "2 replica.hw 7 0 0 10 1 1\n2 log.cutting 7 0 10 20 10 1\n";

    (void)state;
    CHECK_STORY("R40", setup, reset, "2 log.truncated 7 0 10 20 20 1\n" KILLED,
                "2 log.opened 7 0 10 10 10 10 0 0\n");
    CHECK_STORY("R47", setup, reset, KILLED "2 log.opened 7 0 0 10 0 10 0 0\n" KILLED,
                "2 log.opened 7 0 20 20 20 20 0 0\n");
}

/* A disk that was emptied, and then set back to what it was before, has what it had then (DF19): no
 * more than that, once, and only if it was set back. */
static void a_disk_that_is_set_back_has_what_it_once_had(void **state)
{
    static const struct {
        bool set_back;
        const char *had;
        const char *opened;
        const char *id;
    } rows[] = {
        {true, "2 replica.hw 7 0 0 10 1 1\n", "2 log.opened 7 0 0 10 0 10 0 0\n", NULL},
        {false, "2 replica.hw 7 0 0 10 1 1\n", "2 log.opened 7 0 0 10 0 10 0 0\n", "R47"},
        {true, "", "2 log.opened 7 0 0 10 0 10 0 0\n", "R47"},
        {true, "2 replica.hw 7 0 0 10 1 1\n2 log.start 7 0 0 6\n",
         "2 log.opened 7 0 6 10 0 10 0 0\n", NULL},
        {true, "2 replica.hw 7 0 0 10 1 1\n2 log.start 7 0 0 6\n",
         "2 log.opened 7 0 7 10 0 10 0 0\n", "R49"},
    };
    char emptied[200], fault[80];

    (void)state;
    (void)snprintf(emptied, sizeof emptied,
                   "0 sim.down 2 1 0\n0 sim.fault %d 1 1 2 0 | wipe of\n0 sim.up 2 2\n"
                   "2 log.opened 7 0 0 0 0 0 0 0\n0 sim.down 2 1 0\n",
                   SIM_FAULT_WIPE);
    (void)snprintf(fault, sizeof fault, "0 sim.fault %d 1 1 2 0 | rollback of\n", SIM_FAULT_REVERT);
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        CHECK_STORY(rows[i].id, setup, rows[i].had, emptied, rows[i].set_back ? fault : "",
                    "0 sim.up 2 3\n", rows[i].opened);
    }
    CHECK_STORY("R47", setup, rows[0].had, emptied, fault,
                "0 sim.up 2 3\n2 log.opened 7 0 0 0 0 0 0 0\n0 sim.down 2 1 0\n0 sim.up 2 4\n",
                rows[0].opened);
}

/* The same for an error that was asked for in an earlier life of the node. */
static void a_directory_that_went_offline_has_had_a_failed_request(void **state)
{
    static const char less[] = KILLED "2 log.opened 7 0 0 4 4 0 0 0\n";

    (void)state;
    CHECK_STORY(NULL, setup, "2 dir.offline 5 | data\n", less);
    CHECK_STORY("R40", setup, less);
}

/* Only a failed sync takes pages with it: after a failed write a kill loses nothing (R40). */
static void a_failed_write_takes_nothing_that_had_completed(void **state)
{
    char failed[160];

    (void)state;
    (void)snprintf(failed, sizeof failed,
                   "0 sim.fault %d 1 1 2 0 | disk error on\n2 dir.offline 5 | data\n" KILLED,
                   SIM_FAULT_WRITE_ERROR);
    CHECK_STORY(NULL, setup, failed, "2 log.opened 7 0 0 10 10 0 0 0\n");
    CHECK_STORY("R40", setup, failed, "2 log.opened 7 0 0 4 4 0 0 0\n");
}

/* A start that cannot read one of its directories places what it was not in sync with in another
 * one, from the beginning. Not what it was in sync with, nor a part of it, nor without error. */
static void a_replica_that_promised_nothing_may_begin_in_another_directory(void **state)
{
    static const struct {
        int node;
        bool error;
        int end;
        const char *fails;
    } rows[] = {
        {3, true, 0, NULL},
        {3, false, 0, "R40"},
        {3, true, 4, "R40"},
        {2, true, 0, "R40"},
    };

    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        int node = rows[i].node;
        char error[80];
        char again[160];

        (void)snprintf(error, sizeof error, "0 sim.fault %d 1 1 %d 0 | disk error on\n",
                       SIM_FAULT_READ_ERROR, node);
        (void)snprintf(again, sizeof again,
                       "0 sim.down %d 1 0\n0 sim.up %d 2\n%d log.opened 7 0 0 %d 0 0 0 0\n", node,
                       node, node, rows[i].end);
        CHECK_STORY(rows[i].fails, setup, STORY_FIRST("3"), rows[i].error ? error : "", again);
    }
}

/* H5: the pages of a failed sync are gone, whoever ends the process. What was synced is not. */
static void a_failed_sync_may_take_what_was_not_durable(void **state)
{
    static const char failed[] =
        "2 log.synced 7 0 5\n0 sim.sync_failed 2 | data/orders-0/0.log\n" KILLED;

    (void)state;
    CHECK_STORY(NULL, setup, failed, "2 log.opened 7 0 0 5 5 0 0 0\n");
    CHECK_STORY("R46", setup, failed, "2 log.opened 7 0 0 4 4 0 0 0\n");
}

/* What ends a life while a cut goes on may leave any end from the new one to the old: not less. */
static void a_death_within_a_cut_may_leave_it_done_or_not(void **state)
{
    static const char *const deaths[] = {
        KILLED,
        POWERLESS,
        ("0 sim.sync_failed 2 | data/orders-0/0.log\n" KILLED),
    };
    static const struct {
        const char *cut;
        int end;
        bool fine;
    } rows[] = {
        {"2 log.cutting 7 0 10 7 4 0\n", 7, true},
        {"2 log.cutting 7 0 10 7 4 0\n", 10, true},
        {"2 log.cutting 7 0 10 7 4 0\n", 6, false},
        {"", 7, false},
        /* It is over: what follows is judged like any. */
        {"2 log.cutting 7 0 10 7 4 0\n2 log.truncated 7 0 10 7 4 0\n2 log.synced 7 0 7\n", 6,
         false},
    };
    struct check_config config;

    (void)state;
    check_config_init(&config);
    for (uint32_t i = 0; i < COUNT_OF(rows) * COUNT_OF(deaths); i++) {
        uint32_t row = i / COUNT_OF(deaths);
        struct check *check = check_create(&config);
        char opened[80];

        (void)snprintf(opened, sizeof opened, "2 log.opened 7 0 0 %d %d 0 0 0\n", rows[row].end,
                       rows[row].end);
        check_story_tell(check, setup);
        check_story_tell(check, "2 log.synced 7 0 10\n");
        check_story_tell(check, rows[row].cut);
        check_story_tell(check, deaths[i % COUNT_OF(deaths)]);
        check_story_tell(check, opened);
        if ((check_violation(check) == NULL) != rows[row].fine) fail_msg("row %u", i);
        check_destroy(check);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_oracle_of_check_recovery_fires_first_on_its_bad_history),
        cmocka_unit_test(a_reset_that_a_crash_cuts_short_ends_before_it_or_where_it_was_to),
        cmocka_unit_test(what_an_answer_says_is_deleted_is_so_on_every_replica_in_sync),
        cmocka_unit_test(a_reset_excuses_no_other_crash),
        cmocka_unit_test(a_disk_that_is_set_back_has_what_it_once_had),
        cmocka_unit_test(a_checkpoint_may_hold_an_older_and_higher_watermark),
        cmocka_unit_test(a_directory_that_went_offline_has_had_a_failed_request),
        cmocka_unit_test(a_failed_write_takes_nothing_that_had_completed),
        cmocka_unit_test(a_replica_that_promised_nothing_may_begin_in_another_directory),
        cmocka_unit_test(a_failed_sync_may_take_what_was_not_durable),
        cmocka_unit_test(a_death_within_a_cut_may_leave_it_done_or_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

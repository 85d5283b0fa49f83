/* Proves: each oracle of check_log.c passes a good history that it judged, and is the first to fire
 * on a bad one. */
#include "tests/support/check_story.h"
#include "tests/support/support.h"

#include "client/base/assert.h"
#include "sim/fault.h"

#include <stdio.h>

static const char setup[] = STORY_CLUSTER STORY_DATA;

#define APPEND "1 log.appended 7 0 10 19 1 501 100\n"

static const struct check_case cases[] = {
    {"R1", "1 log.synced 7 0 10\n", "1 log.synced 7 0 11\n", false},
    {"R2", APPEND, "1 log.appended 7 0 11 19 1 501 100\n", false},
    {"R3", APPEND, "1 log.appended 7 0 10 19 2 501 100\n", false},
    {"R4", APPEND, "1 log.epoch 7 0 2 11\n", false},
    {"R8", STORY_FIRST("3"),
     "3 replica.fetch_reply 7 0 1 1 0 0\n3 log.appended 7 0 0 9 1 666 100\n", false},
    {"R22", APPEND STORY_SECOND("2") "2 log.truncated 7 0 20 10 10 0\n",
     "2 replica.hw 7 0 0 10 1 1\n2 replica.hw 7 0 10 5 1 1\n2 log.truncated 7 0 10 5 5 0\n", false},
    {"R25", "1 log.start 7 0 0 10\n", "1 log.start 7 0 0 11\n", false},
    {"K4", "102 log.appended 0 0 0 9 1 77 10\n", "102 log.appended 0 0 0 9 1 99 10\n", false},
};

static void each_oracle_of_check_log_fires_first_on_its_bad_history(void **state)
{
    (void)state;
    check_story_prove("check_log.c", setup, cases, COUNT_OF(cases));
}

/* A follower that copies a compacted log: what came before its first batch is gone. */
static void an_epoch_may_begin_above_the_end_where_compaction_left_a_gap(void **state)
{
    (void)state;
    CHECK_STORY(NULL, setup, "1 log.swapped 7 0 0 4 100 50\n", "3 log.epoch 7 0 1 2\n");
    CHECK_STORY("R4", setup, "3 log.epoch 7 0 1 2\n");
}

/* What followed another leader up to where the log begins now goes on there (KIP-101), before it
 * hears of the start or after it. One batch further down it would be another log. */
static void what_is_below_the_start_of_a_log_need_not_match(void **state)
{
    static const char parted[] =
        "3 log.epoch 7 0 0 0\n3 log.appended 7 0 0 9 0 666 100\n" APPEND "3 log.epoch 7 0 1 10\n";
    static const struct {
        const char *start;
        const char *fails;
    } rows[] = {{"1 log.start 7 0 0 10\n", NULL},
                {"1 log.start 7 0 0 9\n", "R8"},
                {"", "R8"},
                {"1 log.start 7 0 0 10\n3 replica.hw 7 0 0 10 1 1\n3 log.start 7 0 0 10\n", NULL}};

    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_STORY(rows[i].fails, setup, parted, rows[i].start, STORY_SECOND("3"));
}

/* A log that rotted below a promise and did not open may be emptied, to be fetched again, when the
 * metadata does not count on its replica. Not a sound one, nor one that is in sync. */
static void a_damaged_log_may_begin_anew_when_nobody_counts_on_it(void **state)
{
    static const char known[] =
        STORY_FIRST("3") "2 replica.hw 7 0 0 10 1 1\n3 replica.hw 7 0 0 10 1 1\n";
    static const struct {
        int node;
        bool damaged;
        const char *fails;
    } rows[] = {{3, true, NULL}, {3, false, "R22"}, {2, true, "R22"}};

    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        int node = rows[i].node;
        char rotten[240];
        char opened[80];
        char cut[80];

        (void)snprintf(rotten, sizeof rotten,
                       "0 sim.fault %d 1 1 %d 0 | bit rot on\n0 sim.down %d 1 0\n0 sim.up %d 2\n",
                       SIM_FAULT_DISK_ROT, node, node, node);
        (void)snprintf(opened, sizeof opened,
                       rows[i].damaged ? "%d log.damaged 7 0 0 0 -181\n"
                                       : "%d log.opened 7 0 0 10 10 10 0 0\n",
                       node);
        (void)snprintf(cut, sizeof cut, "%d log.truncated 7 0 10 0 0 1\n", node);
        CHECK_STORY(rows[i].fails, setup, known, rotten, opened, cut);
    }
}

/* No checksum covers a batch's leader epoch, nor the file of epochs. What the open reads under one
 * that was never appended may go, below the high watermark too: not what stands before it, nor on a
 * disk that never lied, nor when the epoch is the right one, nor once it was cut and fetched. */
static void what_stands_under_a_rotten_epoch_may_be_cut(void **state)
{
    static const char known[] =
        STORY_SECOND("1") STORY_SECOND("2") "1 replica.remote 7 0 2 20 10 2 1\n1 replica.hw 7 0 10 "
                                            "20 2 1\n2 replica.hw 7 0 0 20 1 1\n";
    static const char again[] =
        "2 log.truncated 7 0 20 10 10 0\n" STORY_SECOND("2") "2 replica.hw 7 0 10 20 1 1\n";
    static const struct {
        bool rot;
        bool file; /* of epochs: no batch is found that has it */
        int epoch;
        int cut;
        bool again;
        const char *fails;
    } rows[] = {{true, false, 49, 10, false, NULL}, {true, false, 49, 0, false, "R22"},
                {true, false, 1, 10, false, "R22"}, {false, false, 49, 10, false, "R22"},
                {true, false, 49, 10, true, "R22"}, {true, true, 49, 0, false, NULL},
                {false, true, 49, 0, false, "R22"}, {true, true, 1, 10, false, "R22"}};

    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        char rot[80];
        char found[80];
        char opened[320];
        char cut[80];

        (void)snprintf(rot, sizeof rot, "0 sim.fault %d 1 1 2 0 | bit rot on\n",
                       SIM_FAULT_DISK_ROT);
        (void)snprintf(found, sizeof found, "2 log.epoch 7 0 %d 10\n", rows[i].epoch);
        (void)snprintf(opened, sizeof opened,
                       "%s0 sim.down 2 1 0\n0 sim.up 2 2\n%s"
                       "2 log.epoch 7 0 %d -1\n2 log.opened 7 0 0 20 0 20 0 0\n"
                       "2 replica.role 7 0 1 1 1 0\n",
                       rows[i].rot ? rot : "", rows[i].file ? "" : found, rows[i].epoch);
        (void)snprintf(cut, sizeof cut, "2 log.truncated 7 0 20 %d %d 0\n", rows[i].cut,
                       rows[i].cut);
        CHECK_STORY(rows[i].fails, setup, known, opened, rows[i].again ? again : "", cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_oracle_of_check_log_fires_first_on_its_bad_history),
        cmocka_unit_test(a_damaged_log_may_begin_anew_when_nobody_counts_on_it),
        cmocka_unit_test(what_stands_under_a_rotten_epoch_may_be_cut),
        cmocka_unit_test(what_is_below_the_start_of_a_log_need_not_match),
        cmocka_unit_test(an_epoch_may_begin_above_the_end_where_compaction_left_a_gap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

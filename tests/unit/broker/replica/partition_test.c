/* The roles of a replica: every legal move, and no other. */
#include "broker/replica/partition.h"
#include "tests/support/support.h"

static void a_role_moves_only_as_the_table_says(void **state)
{
    static const enum partition_role roles[] = {PARTITION_NONE, PARTITION_FOLLOWER,
                                                PARTITION_LEADER, PARTITION_OFFLINE};
    static const bool may[4][4] = {
        /* to:  NONE   FOLLOWER LEADER OFFLINE */
        {false, true, true, true},   /* from NONE */
        {true, true, true, true},    /* FOLLOWER; to itself: a new epoch */
        {true, true, true, true},    /* LEADER; to itself: a new epoch */
        {true, false, false, false}, /* OFFLINE until the process starts anew, or it leaves */
    };

    (void)state;
    for (uint32_t from = 0; from < 4; from++) {
        for (uint32_t to = 0; to < 4; to++) {
            if (partition_role_may(roles[from], roles[to]) != may[from][to]) {
                fail_msg("%s to %s", partition_role_name(roles[from]),
                         partition_role_name(roles[to]));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_role_moves_only_as_the_table_says)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

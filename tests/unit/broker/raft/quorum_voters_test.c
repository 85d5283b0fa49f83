/* Proves: a set of voters survives the way through its records; bytes that are no such set are an
 * error and change nothing; sets change by one; the text of --initial-controllers is read
 * strictly. */
#include "tests/support/support.h"

#include "broker/raft/quorum_voters.h"
#include "client/base/assert.h"

#include <string.h>

static struct support_memory memory;
static struct arena arena;

static int setup(void **state)
{
    (void)state;
    support_memory_init(&memory, 1 << 20);
    arena_init(&arena, &memory.mem, 64 << 10);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_deinit(&arena);
    support_memory_deinit(&memory);
    return 0;
}

static struct arena *test_arena(void)
{
    arena_reset(&arena);
    return &arena;
}

static struct quorum_voters three(void)
{
    struct quorum_voters voters;

    assert_true(quorum_voters_parse(STR("3@[::1]:9093:AAAAAAAAAAAAAAAAAAAAAw,"
                                        "1@one:9093:AAAAAAAAAAAAAAAAAAAAAQ,"
                                        "2@two:9094:AAAAAAAAAAAAAAAAAAAAAg"),
                                    &voters));
    return voters;
}

static void a_set_survives_its_record(void **state)
{
    struct quorum_voters voters = three(), read = {.offset = 7};
    uint8_t value[QUORUM_VOTERS_BYTES];
    struct bytes bytes = quorum_voters_encode(&voters, STR("CONTROLLER"), value);
    int16_t version;

    (void)state;
    assert_int_equal(quorum_voters_decode(bytes, STR("CONTROLLER"), test_arena(), &read), ERR_NONE);
    assert_int_equal(read.offset, 7);
    assert_int_equal(read.kraft_version, 1);
    assert_int_equal(read.count, 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_true(quorum_voters_same(&read.members[i], &voters.members[i]));
    assert_string_equal(read.members[2].host, "::1");
    bytes = quorum_voters_encode_version(1, value);
    assert_int_equal(quorum_voters_decode_version(bytes, &version), ERR_NONE);
    assert_int_equal(version, 1);
}

static void hostile_bytes_are_an_error_and_change_nothing(void **state)
{
    const struct quorum_voters before = three();
    struct quorum_voters voters = before;
    uint8_t value[QUORUM_VOTERS_BYTES], bad[QUORUM_VOTERS_BYTES];
    struct bytes bytes = quorum_voters_encode(&before, STR("CONTROLLER"), value);

    (void)state;
    for (uint32_t cut = 0; cut < bytes.length; cut++) {
        enum err err = quorum_voters_decode((struct bytes){value, cut}, STR("CONTROLLER"),
                                            test_arena(), &voters);

        assert_int_equal(err, ERR_MALFORMED);
        assert_memory_equal(&voters, &before, sizeof voters);
    }
    for (uint32_t at = 0; at < bytes.length; at++) {
        for (uint32_t bit = 0; bit < 8; bit++) {
            struct quorum_voters any = before;

            memcpy(bad, value, bytes.length);
            bad[at] ^= (uint8_t)(1u << bit);
            if (quorum_voters_decode((struct bytes){bad, bytes.length}, STR("CONTROLLER"),
                                     test_arena(), &any) != ERR_NONE) {
                assert_memory_equal(&any, &before, sizeof any);
                continue;
            }
            for (uint32_t i = 1; i < any.count; i++)
                assert_true(any.members[i].id > any.members[i - 1].id);
        }
    }
}

static void a_set_changes_by_one(void **state)
{
    struct quorum_voters voters = three();
    struct quorum_member member = voters.members[1];
    struct uuid other = {{9}};

    (void)state;
    assert_int_equal(quorum_voters_add(&voters, &member), ERR_DUPLICATE_VOTER);
    assert_int_equal(quorum_voters_remove(&voters, 2, other), ERR_VOTER_NOT_FOUND);
    assert_int_equal(quorum_voters_remove(&voters, 2, member.directory), ERR_NONE);
    assert_null(quorum_voters_find(&voters, 2));
    assert_int_equal(quorum_voters_add(&voters, &member), ERR_NONE);
    assert_int_equal(voters.members[1].id, 2);
    for (member.id = 10; voters.count < RAFT_VOTERS_MAX; member.id++)
        assert_int_equal(quorum_voters_add(&voters, &member), ERR_NONE);
    assert_int_equal(quorum_voters_add(&voters, &member), ERR_TOO_MANY);
}

static void the_text_of_initial_controllers_is_read_strictly(void **state)
{
    static const char *const wrong[] = {
        "",
        "1@one:9093",
        "1@one:9093:short",
        "1@one:0:AAAAAAAAAAAAAAAAAAAAAQ",
        "1@one:70000:AAAAAAAAAAAAAAAAAAAAAQ",
        "1@:9093:AAAAAAAAAAAAAAAAAAAAAQ",
        "-1@one:9093:AAAAAAAAAAAAAAAAAAAAAQ",
        "x@one:9093:AAAAAAAAAAAAAAAAAAAAAQ",
        "1@one:9093:AAAAAAAAAAAAAAAAAAAAAA",
        "1@one:9093:AAAAAAAAAAAAAAAAAAAAAQ,",
        "1@one:9093:AAAAAAAAAAAAAAAAAAAAAQ,1@two:9093:AAAAAAAAAAAAAAAAAAAAAg",
    };
    struct quorum_voters voters;

    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(wrong); i++)
        if (quorum_voters_parse(str_of(wrong[i]), &voters)) fail_msg("taken: \"%s\"", wrong[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_survives_its_record),
        cmocka_unit_test(hostile_bytes_are_an_error_and_change_nothing),
        cmocka_unit_test(a_set_changes_by_one),
        cmocka_unit_test(the_text_of_initial_controllers_is_read_strictly),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

/* Proves: quorum-state is written as Kafka reads it, Kafka's two versions are read, anything else
 * is refused; the hint survives a torn slot and tells rot; what was loaded stays. */
#include "tests/support/log_box.h"

#include "broker/raft/quorum_file.h"
#include "client/base/rng.h"

#include <string.h>

static void what_is_printed_is_read_again(void **state)
{
    struct raft_durable written = {.epoch = 7, .leader = 2, .voted = -1}, read;
    char text[QUORUM_STATE_MAX];
    uint32_t length;

    (void)state;
    written.voted_directory.bytes[3] = 9;
    length = quorum_file_print(&written, text);
    assert_int_equal(quorum_file_parse((struct str){text, length}, &read), ERR_NONE);
    assert_int_equal(read.epoch, 7);
    assert_int_equal(read.leader, 2);
    assert_int_equal(read.voted, -1);
    assert_true(uuid_equal(read.voted_directory, written.voted_directory));
}

static void version_0_with_its_voters_is_read(void **state)
{
    struct raft_durable read;

    (void)state;
    assert_int_equal(
        quorum_file_parse(STR("{\"clusterId\":\"\",\"leaderId\":1,\"leaderEpoch\":4,\"votedId\":-1,"
                              "\"appliedOffset\":0,\"currentVoters\":[{\"voterId\":1},"
                              "{\"voterId\":2}],\"data_version\":0}"),
                          &read),
        ERR_NONE);
    assert_int_equal(read.epoch, 4);
    assert_int_equal(read.leader, 1);
}

static void what_is_cut_or_strange_is_refused(void **state)
{
    struct raft_durable written = {.epoch = 7, .leader = 2, .voted = 2}, read;
    char text[QUORUM_STATE_MAX];
    uint32_t length = quorum_file_print(&written, text);

    (void)state;
    for (uint32_t cut = 0; cut < length; cut++) {
        assert_int_equal(quorum_file_parse((struct str){text, cut}, &read), ERR_MALFORMED);
    }
    assert_int_equal(quorum_file_parse(STR("{\"leaderId\":1,\"leaderEpoch\":-4,\"votedId\":-1,"
                                           "\"data_version\":1}"),
                                       &read),
                     ERR_MALFORMED);
    assert_int_equal(quorum_file_parse(STR("{\"leaderId\":1,\"leaderEpoch\":4,\"votedId\":-1,"
                                           "\"data_version\":2}"),
                                       &read),
                     ERR_MALFORMED);
}

static void random_bytes_never_read_as_more_than_they_are(void **state)
{
    struct rng rng;
    char text[64];

    (void)state;
    rng_init(&rng, 3);
    for (int i = 0; i < 20000; i++) {
        static const char alphabet[] = "{}[]\":,-0123 \\nul";
        struct raft_durable read = {.epoch = -5};
        uint32_t length = (uint32_t)rng_below(&rng, sizeof text);

        for (uint32_t j = 0; j < length; j++) {
            text[j] = alphabet[rng_below(&rng, sizeof alphabet - 1)];
        }
        assert_int_not_equal(quorum_file_parse((struct str){text, length}, &read), ERR_NONE);
        assert_int_equal(read.epoch, -5);
    }
}

static void a_torn_slot_leaves_the_other_and_two_are_rot(void **state)
{
    uint8_t bytes[QUORUM_HINT_SIZE] = {0};
    struct cpu cpu = {0};
    struct quorum_hint hint = {.sequence = 4, .end = 40}, read;
    struct bytes all = {bytes, sizeof bytes};
    uint32_t at;

    (void)state;
    assert_int_equal(quorum_file_parse_hint(all, cpu, &read), ERR_DAMAGED);
    (void)quorum_file_print_hint(bytes, cpu, &hint);
    hint = (struct quorum_hint){.sequence = 5, .end = 50};
    at = quorum_file_print_hint(bytes, cpu, &hint);
    assert_int_equal(quorum_file_parse_hint(all, cpu, &read), ERR_NONE);
    assert_int_equal(read.end, 50);
    bytes[at + 20] ^= 1;
    assert_int_equal(quorum_file_parse_hint(all, cpu, &read), ERR_NONE);
    assert_int_equal(read.end, 40);
    bytes[16] ^= 1;
    assert_int_equal(quorum_file_parse_hint(all, cpu, &read), ERR_DAMAGED);
}

static struct quorum_file *box_file(struct log_box *box, struct quorum_file *file)
{
    assert_int_equal(log_box_start(box), ERR_NONE);
    assert_int_equal(quorum_file_init(file, &box->env, STR("data"), "quorum-state"), ERR_NONE);
    return file;
}

static struct quorum_file *awaited_file;

static bool file_idle(struct log_box *box)
{
    (void)box;
    return !awaited_file->busy;
}

static void write_word(struct log_box *box, struct quorum_file *file, const char *word)
{
    file->length = (uint32_t)strlen(word);
    memcpy(file->bytes, word, file->length);
    quorum_file_replace(file);
    awaited_file = file;
    if (log_box_wait(box, file_idle)) assert_int_equal(file->err, ERR_NONE);
}

static void load_word(struct log_box *box, struct quorum_file *file, char word[8])
{
    quorum_file_load(file);
    awaited_file = file;
    assert_true(log_box_wait(box, file_idle));
    assert_int_equal(file->err, ERR_NONE);
    assert_true(file->length < 8);
    memcpy(word, file->bytes, file->length);
    word[file->length] = 0;
}

/* swarm seed 12007: a voter was killed between the rename and the sync of the directory, found its
 * vote after the restart and told of it; a power loss would have taken it back (K3). */
static void what_was_loaded_survives_a_power_loss(void **state)
{
    uint32_t found_new = 0;

    (void)state;
    for (uint64_t at = 1; at < 60; at++) {
        struct quorum_file file;
        struct log_box box;
        char first[8], second[8];

        log_box_init(&box, at);
        write_word(&box, box_file(&box, &file), "old");
        box.events_left = at;
        write_word(&box, &file, "newer");
        log_box_kill(&box, false);
        load_word(&box, box_file(&box, &file), first);
        assert_true(strcmp(first, "old") == 0 || strcmp(first, "newer") == 0);
        if (first[0] == 'n') found_new++;
        log_box_kill(&box, true);
        load_word(&box, box_file(&box, &file), second);
        assert_string_equal(first, second);
        log_box_kill(&box, false);
        log_box_deinit(&box);
    }
    assert_in_range(found_new, 1, 58);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed_is_read_again),
        cmocka_unit_test(version_0_with_its_voters_is_read),
        cmocka_unit_test(what_is_cut_or_strange_is_refused),
        cmocka_unit_test(random_bytes_never_read_as_more_than_they_are),
        cmocka_unit_test(what_was_loaded_survives_a_power_loss),
        cmocka_unit_test(a_torn_slot_leaves_the_other_and_two_are_rot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

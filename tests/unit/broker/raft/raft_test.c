/* Proves: single steps of one member of a quorum of three (itself is 1): what it answers, what it
 * wants stored first, what moves it, after each kind of restart (kraft.md 3 to 7). */
#include "tests/support/support.h"

#include "broker/raft/raft.h"

#include <string.h>

#define MS NS_PER_MS

static struct raft raft;
static struct rng rng;
static struct raft_effects out;
static struct mono_time now;

static struct raft_durable durable(int32_t epoch, int32_t leader, int32_t voted)
{
    struct raft_durable d = {.epoch = epoch, .leader = leader, .voted = voted};

    if (voted == 1) d.voted_directory.bytes[0] = 1;
    return d;
}

static void step(struct raft_event event)
{
    event.now = now;
    raft_step(&raft, &event, &out);
}

static void start_of(uint32_t voters, struct raft_durable d, struct raft_log log)
{
    struct raft_config config = {.node_id = 1,
                                 .voters = {1, 2, 3},
                                 .voter_count = voters,
                                 .election_timeout_ms = 1000,
                                 .fetch_timeout_ms = 2000,
                                 .election_backoff_max_ms = 1000,
                                 .retry_backoff_ms = 20};

    config.directory_id.bytes[0] = 1;
    now = (struct mono_time){1000 * MS};
    rng_init(&rng, 1);
    raft_init(&raft, &config, &rng, &d, &log);
    step((struct raft_event){.kind = RAFT_START});
}

static const struct raft_log ten = {
    .log_end = 10, .flushed_end = 10, .last_epoch = 2, .acknowledged_end = 10};

static void start(struct raft_durable d)
{
    start_of(3, d, ten);
}

static bool has(enum raft_effect_kind kind)
{
    for (uint32_t i = 0; i < out.count; i++) {
        if (out.effects[i].kind == kind) return true;
    }
    return false;
}

static const struct raft_effect *effect(enum raft_effect_kind kind)
{
    uint32_t i = 0;

    assert_true(has(kind));
    while (i + 1 < out.count && out.effects[i].kind != kind)
        i++;
    return &out.effects[i];
}

static void stored(void)
{
    assert_int_equal(out.count, 1); /* nothing but the store leaves the step */
    assert_int_equal(out.effects[0].kind, RAFT_STORE);
    step((struct raft_event){.kind = RAFT_STORED});
}

static void ask_vote(int32_t candidate, int32_t epoch, int32_t last_epoch, int64_t end, bool pre)
{
    step((struct raft_event){.kind = RAFT_VOTE_REQUEST,
                             .vote = {.epoch = epoch,
                                      .candidate = candidate,
                                      .last_epoch = last_epoch,
                                      .log_end = end,
                                      .pre_vote = pre}});
}

static bool granted(void)
{
    assert_true(has(RAFT_ANSWER));
    return effect(RAFT_ANSWER)->reply.granted;
}

static void answer_vote(int32_t peer, bool grant)
{
    step((struct raft_event){
        .kind = RAFT_VOTE_REPLY,
        .peer = peer,
        .round = raft.ballot_round,
        .reply = {.leader = RAFT_NOBODY, .epoch = raft.durable.epoch, .granted = grant}});
}

static void pass(int64_t ms)
{
    now.ns += ms * MS;
    step((struct raft_event){.kind = RAFT_TICK});
}

static void a_vote_is_stored_before_it_is_answered(void **state)
{
    (void)state;
    start(durable(2, RAFT_NOBODY, RAFT_NOBODY));
    ask_vote(2, 2, 2, 10, false); /* malformed: a log of the epoch that is asked for */
    assert_int_equal(effect(RAFT_ANSWER)->reply.err, ERR_INVALID_REQUEST);
    ask_vote(2, 3, 2, 10, false);
    assert_int_equal(out.effects[0].durable.epoch, 3);
    assert_int_equal(out.effects[0].durable.voted, 2);
    stored();
    assert_true(granted());
}

static void a_vote_in_the_present_epoch_is_stored_too(void **state)
{
    (void)state;
    start(durable(5, RAFT_NOBODY, RAFT_NOBODY));
    ask_vote(2, 5, 2, 10, false);
    assert_int_equal(out.effects[0].durable.voted, 2);
    stored();
    assert_true(granted());
    ask_vote(2, 5, 2, 10, false);
    assert_true(granted()); /* the same one again */
    ask_vote(3, 5, 2, 99, false);
    assert_false(granted());
}

static void a_shorter_or_older_log_gets_no_vote(void **state)
{
    (void)state;
    start(durable(5, RAFT_NOBODY, RAFT_NOBODY));
    ask_vote(2, 5, 2, 9, false);
    assert_false(granted());
    ask_vote(2, 5, 1, 99, true);
    assert_false(granted());
    ask_vote(2, 5, 3, 1, true);
    assert_true(granted());
}

static void an_old_epoch_is_fenced_and_told_the_present_one(void **state)
{
    (void)state;
    start(durable(5, 2, RAFT_NOBODY));
    ask_vote(3, 4, 2, 10, false);
    assert_int_equal(effect(RAFT_ANSWER)->reply.err, ERR_FENCED_LEADER_EPOCH);
    assert_int_equal(effect(RAFT_ANSWER)->reply.epoch, 5);
    assert_int_equal(effect(RAFT_ANSWER)->reply.leader, 2);
    step((struct raft_event){.kind = RAFT_BEGIN_REQUEST, .peer = 3, .epoch = 4});
    assert_int_equal(effect(RAFT_ANSWER)->reply.err, ERR_FENCED_LEADER_EPOCH);
    step((struct raft_event){.kind = RAFT_END_REQUEST, .peer = 3, .epoch = 4});
    assert_int_equal(effect(RAFT_ANSWER)->reply.err, ERR_FENCED_LEADER_EPOCH);
    assert_int_equal(raft.durable.leader, 2);
}

static void a_pre_vote_changes_nothing_durable(void **state)
{
    (void)state;
    start(durable(5, RAFT_NOBODY, RAFT_NOBODY));
    ask_vote(2, 5, 2, 10, true);
    assert_true(granted());
    ask_vote(3, 5, 2, 10, true);
    assert_true(granted());
    assert_int_equal(raft.durable.voted, RAFT_NOBODY);
}

static void a_follower_that_hears_its_leader_grants_no_pre_vote(void **state)
{
    (void)state;
    start(durable(5, 2, RAFT_NOBODY));
    ask_vote(3, 5, 2, 10, true);
    assert_true(granted()); /* has not fetched yet in this epoch */
    step(
        (struct raft_event){.kind = RAFT_FETCH_REPLY,
                            .peer = 2,
                            .round = raft.fetch_round,
                            .fetched = {.reply = {.leader = 2, .epoch = 5}, .high_watermark = 10}});
    ask_vote(3, 5, 2, 10, true);
    assert_false(granted());
    step((struct raft_event){.kind = RAFT_END_REQUEST,
                             .peer = 2,
                             .epoch = 5,
                             .successors = {3, 1},
                             .successor_count = 2});
    ask_vote(3, 5, 2, 10, true);
    assert_true(granted());                                       /* KAFKA-20895 */
    assert_int_equal(raft_deadline(&raft).ns, now.ns + 500 * MS); /* second of two */
}

static void an_answer_from_before_the_end_of_a_leader_brings_it_back_for_nobody(void **state)
{
    (void)state;
    start(durable(5, 2, RAFT_NOBODY));
    step((struct raft_event){.kind = RAFT_END_REQUEST,
                             .peer = 2,
                             .epoch = 5,
                             .successors = {3, 1},
                             .successor_count = 2});
    step(
        (struct raft_event){.kind = RAFT_FETCH_REPLY,
                            .peer = 2,
                            .round = raft.fetch_round,
                            .fetched = {.reply = {.leader = 2, .epoch = 5}, .high_watermark = 10}});
    assert_int_equal(raft.fetch_timeout_at.ns, now.ns + 500 * MS);
    ask_vote(3, 5, 2, 10, true);
    assert_true(granted());
}

static void the_first_successor_asks_when_the_others_have_been_told(void **state)
{
    (void)state;
    start(durable(5, 2, RAFT_NOBODY));
    step((struct raft_event){.kind = RAFT_END_REQUEST,
                             .peer = 2,
                             .epoch = 5,
                             .successors = {1, 3},
                             .successor_count = 2});
    assert_int_equal(raft_deadline(&raft).ns, now.ns + raft.config.retry_backoff_ms * MS);
}

static void an_election_goes_through_pre_votes_and_begins_with_a_leader_change(void **state)
{
    (void)state;
    start(durable(5, RAFT_NOBODY, RAFT_NOBODY));
    pass(2000);
    assert_int_equal(raft.state, RAFT_PROSPECTIVE);
    assert_true(effect(RAFT_SEND_VOTE)->pre_vote);
    assert_int_equal(effect(RAFT_SEND_VOTE)->epoch, 5);
    answer_vote(2, true);
    assert_int_equal(raft.state, RAFT_CANDIDATE);
    stored();
    assert_int_equal(effect(RAFT_SEND_VOTE)->epoch, 6);
    answer_vote(3, true);
    assert_int_equal(raft.state, RAFT_LEADER);
    stored();
    assert_true(has(RAFT_LEAD));
    assert_true(has(RAFT_SEND_BEGIN));
    assert_int_equal(raft.epoch_start, 10);
}

static void lead(void)
{
    start(durable(5, RAFT_NOBODY, RAFT_NOBODY));
    pass(2000);
    answer_vote(2, true);
    stored();
    answer_vote(2, true);
    stored();
    step((struct raft_event){.kind = RAFT_ASSIGNED, .end = 11});
    step((struct raft_event){.kind = RAFT_APPENDED, .end = 11, .epoch = 6});
    assert_true(has(RAFT_FLUSH));
}

static void fetch(int32_t replica, int32_t epoch, int64_t offset, int32_t last, int32_t end_epoch,
                  int64_t end)
{
    step((struct raft_event){.kind = RAFT_FETCH_REQUEST,
                             .fetch = {.replica = replica,
                                       .leader_epoch = epoch,
                                       .fetch_offset = offset,
                                       .last_fetched_epoch = last,
                                       .known_hw = RAFT_NO_HW,
                                       .park_allowed = true,
                                       .end_epoch = end_epoch,
                                       .end_offset = end}});
}

static void the_high_watermark_waits_for_a_majority_of_disks(void **state)
{
    (void)state;
    lead();
    fetch(2, 6, 11, 6, 6, 11); /* one of two others; our own flush is under way */
    assert_false(has(RAFT_HW_CHANGED));
    assert_int_equal(effect(RAFT_ANSWER_FETCH)->answer.high_watermark, RAFT_NO_HW);
    step((struct raft_event){.kind = RAFT_FLUSHED, .end = 11});
    assert_int_equal(effect(RAFT_HW_CHANGED)->high_watermark, 11);
}

static void entries_of_an_older_epoch_are_not_committed_by_count(void **state)
{
    (void)state;
    lead();
    fetch(2, 6, 10, 2, 2, 10);
    fetch(3, 6, 10, 2, 2, 10);
    assert_false(raft.hw_known); /* 10 is on all disks, but nothing of epoch 6 is */
    fetch(3, 6, 11, 6, 6, 11);
    assert_false(raft.hw_known);
    fetch(2, 6, 11, 6, 6, 11);
    assert_int_equal(raft.high_watermark, 11);
}

static void a_fetch_is_fenced_diverges_or_parks(void **state)
{
    (void)state;
    lead();
    fetch(2, 5, 11, 6, 6, 11);
    assert_int_equal(effect(RAFT_ANSWER_FETCH)->answer.err, ERR_FENCED_LEADER_EPOCH);
    fetch(2, 7, 11, 6, 6, 11);
    assert_int_equal(effect(RAFT_ANSWER_FETCH)->answer.err, ERR_UNKNOWN_LEADER_EPOCH);
    fetch(2, 6, 12, 3, 2, 10);
    assert_int_equal(effect(RAFT_ANSWER_FETCH)->answer.verdict, RAFT_FETCH_DIVERGING);
    assert_int_equal(effect(RAFT_ANSWER_FETCH)->answer.diverging_end, 10);
    assert_int_equal(raft.voters[1].end_offset, -1); /* what diverges acknowledges nothing */
    fetch(2, 6, 11, 6, 6, 11);
    assert_int_equal(effect(RAFT_ANSWER_FETCH)->answer.verdict, RAFT_FETCH_PARK);
}

static void fetch_by(uint64_t connection, uint8_t disk, int64_t offset, int32_t last)
{
    struct raft_event event = {.kind = RAFT_FETCH_REQUEST,
                               .fetch = {.replica = 2,
                                         .connection = connection,
                                         .leader_epoch = 6,
                                         .fetch_offset = offset,
                                         .last_fetched_epoch = last,
                                         .known_hw = RAFT_NO_HW,
                                         .park_allowed = true,
                                         .end_epoch = last,
                                         .end_offset = offset}};

    event.fetch.directory.bytes[0] = disk;
    step(event);
}

static void fetch_from_disk(uint8_t disk, int64_t offset, int32_t last)
{
    fetch_by(0, disk, offset, last);
}

static void a_late_fetch_by_a_connection_given_up_takes_no_disk_for_set_back(void **state)
{
    struct mono_time heard;

    (void)state;
    lead();
    step((struct raft_event){.kind = RAFT_FLUSHED, .end = 11});
    fetch_by(7, 9, 10, 2);
    fetch_by(8, 9, 11, 6);
    heard = raft.voters[1].last_fetch;
    now = mono_add_ms(now, 1);
    fetch_by(7, 9, 10, 2); /* sent before the one by 8 */
    assert_false(has(RAFT_SET_BACK));
    assert_int_equal(effect(RAFT_ANSWER_FETCH)->answer.err, ERR_NONE);
    assert_int_equal(raft.voters[1].end_offset, 11);
    assert_int_equal(raft.voters[1].last_fetch.ns, heard.ns);
    fetch_by(7, 9, 11, 6); /* two ways to the same leader, both in use */
    assert_int_equal(raft.voters[1].end_offset, 11);
    raft.voters[1].end_offset = -1; /* as when it leads again */
    raft.voters[1].fetched = false;
    fetch_by(7, 9, 10, 2);
    assert_false(has(RAFT_SET_BACK));
    fetch_by(8, 9, 10, 2); /* not by an older one: it does lack it */
    assert_true(has(RAFT_SET_BACK));
    fetch_by(8, 9, 10, 2);
    assert_int_equal(effect(RAFT_ANSWER_FETCH)->answer.verdict, RAFT_FETCH_SERVE);
}

static void a_voter_that_comes_back_with_less_is_told_once(void **state)
{
    (void)state;
    lead();
    step((struct raft_event){.kind = RAFT_FLUSHED, .end = 11});
    fetch_from_disk(9, 11, 6);
    assert_int_equal(raft.high_watermark, 11);
    fetch_from_disk(9, 10, 2);
    assert_int_equal(effect(RAFT_SET_BACK)->peer, 2);
    assert_int_equal(effect(RAFT_SET_BACK)->end, 11);
    assert_int_equal(effect(RAFT_ANSWER_FETCH)->answer.err, ERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(effect(RAFT_ANSWER_FETCH)->answer.high_watermark, 11);
    fetch_from_disk(9, 10, 2);
    assert_int_equal(effect(RAFT_ANSWER_FETCH)->answer.verdict, RAFT_FETCH_SERVE);
    assert_int_equal(raft.high_watermark, 11); /* committed stays committed */
}

static void what_was_committed_is_remembered_over_the_leaders_epochs(void **state)
{
    (void)state;
    lead();
    step((struct raft_event){.kind = RAFT_FLUSHED, .end = 11});
    fetch_from_disk(9, 11, 6);
    raft.voters[1].end_offset = -1; /* as when it leads again */
    raft.voters[1].fetched = false;
    fetch_from_disk(8, 10, 2); /* another disk: it never had any of it */
    assert_false(has(RAFT_SET_BACK));
    raft.voters[1].end_offset = -1;
    raft.voters[1].fetched = false;
    raft.voters[1].known_directory.bytes[0] = 9;
    raft.voters[1].known_end = 11;
    fetch_from_disk(9, 10, 2);
    assert_true(has(RAFT_SET_BACK));
}

static void who_is_told_to_have_had_more_neither_votes_nor_stands(void **state)
{
    (void)state;
    start(durable(5, 2, RAFT_NOBODY));
    step((struct raft_event){
        .kind = RAFT_FETCH_REPLY,
        .peer = 2,
        .round = raft.fetch_round,
        .fetched = {.reply = {.err = ERR_OFFSET_OUT_OF_RANGE, .leader = 2, .epoch = 5},
                    .high_watermark = 12}});
    assert_true(raft.distrusted);
    assert_int_equal(effect(RAFT_DISOWN)->end, 12); /* durable before anything else is fetched */
    assert_false(has(RAFT_SEND_FETCH));
    ask_vote(3, 6, 2, 99, false);
    stored();
    assert_false(granted());
    step((struct raft_event){.kind = RAFT_DISOWNED});
    pass(10000);
    assert_int_equal(raft.state, RAFT_UNATTACHED); /* never prospective */
}

static void a_leader_without_majority_resigns_and_never_leads_that_epoch_again(void **state)
{
    (void)state;
    lead();
    fetch(2, 6, 10, 2, 2, 10);
    pass(2999);
    assert_int_equal(raft.state, RAFT_LEADER);
    pass(1);
    assert_int_equal(raft.state, RAFT_RESIGNED);
    assert_true(has(RAFT_SEND_END));
    assert_int_equal(effect(RAFT_LEADER_CHANGED)->peer, RAFT_NOBODY);
    pass(2000);
    assert_int_equal(raft.state, RAFT_UNATTACHED);
    assert_int_equal(raft.durable.epoch, 7);
}

static void a_restart_keeps_what_was_promised(void **state)
{
    (void)state;
    start(durable(5, 1, 1));
    assert_int_equal(raft.state, RAFT_RESIGNED); /* KAFKA-10527 */
    start(durable(5, RAFT_NOBODY, 1));
    assert_int_equal(raft.state, RAFT_CANDIDATE);
    start(durable(5, RAFT_NOBODY, 2));
    assert_int_equal(raft.state, RAFT_UNATTACHED);
    ask_vote(3, 5, 2, 99, false);
    assert_false(granted());
    start(durable(5, 3, 2));
    assert_int_equal(raft.state, RAFT_FOLLOWER);
    start(durable(1, 3, 2)); /* the log is of epoch 2 */
    assert_int_equal(raft.state, RAFT_UNATTACHED);
    assert_int_equal(raft.durable.epoch, 2);
    assert_int_equal(raft.durable.voted, RAFT_NOBODY);
}

static void a_sole_voter_leads_in_its_first_step(void **state)
{
    (void)state;
    start_of(1, durable(5, 1, 1), ten);
    assert_int_equal(raft.state, RAFT_LEADER);
    assert_int_equal(raft.durable.epoch, 6);
    stored();
    assert_true(has(RAFT_LEAD));
}

static void a_log_shorter_than_its_hint_neither_votes_nor_stands(void **state)
{
    static const struct raft_log rotten = {
        .log_end = 10, .flushed_end = 10, .last_epoch = 2, .acknowledged_end = 25};

    (void)state;
    start_of(3, durable(5, RAFT_NOBODY, RAFT_NOBODY), rotten);
    assert_true(has(RAFT_TRUST_CHANGED));
    ask_vote(2, 5, 3, 99, false);
    assert_false(granted());
    ask_vote(2, 5, 3, 99, true);
    assert_false(granted());
    pass(60000);
    assert_int_equal(raft.state, RAFT_UNATTACHED);
    step((struct raft_event){.kind = RAFT_BEGIN_REQUEST, .peer = 2, .epoch = 5});
    stored();
    step((struct raft_event){.kind = RAFT_FETCH_REPLY,
                             .peer = 2,
                             .round = raft.fetch_round,
                             .fetched = {.reply = {.leader = 2, .epoch = 5},
                                         .high_watermark = 30,
                                         .has_records = true}});
    step((struct raft_event){.kind = RAFT_ASSIGNED, .end = 25});
    step((struct raft_event){.kind = RAFT_APPENDED, .end = 25, .epoch = 4});
    assert_true(raft.distrusted); /* fetched, not flushed */
    step((struct raft_event){.kind = RAFT_FLUSHED, .end = 25});
    assert_false(raft.distrusted);
    assert_true(has(RAFT_TRUST_CHANGED));
}

static void a_cut_below_the_high_watermark_is_an_error_and_not_done(void **state)
{
    (void)state;
    start(durable(5, 2, RAFT_NOBODY));
    step((struct raft_event){.kind = RAFT_FETCH_REPLY,
                             .peer = 2,
                             .round = raft.fetch_round,
                             .fetched = {.reply = {.leader = 2, .epoch = 5}, .high_watermark = 9}});
    step((struct raft_event){.kind = RAFT_FETCH_REPLY,
                             .peer = 2,
                             .round = raft.fetch_round,
                             .fetched = {.reply = {.leader = 2, .epoch = 5},
                                         .high_watermark = 9,
                                         .diverging = true,
                                         .diverging_epoch = 2,
                                         .diverging_end = 7,
                                         .own_epoch = 2,
                                         .own_end = 10}});
    assert_false(has(RAFT_TRUNCATE));
    assert_int_equal(effect(RAFT_FAULTED)->fault, RAFT_FAULT_BELOW_HW);
    pass(9000);
    assert_int_equal(out.count, 0); /* says nothing more */
}

static void two_leaders_of_one_epoch_are_an_error(void **state)
{
    (void)state;
    start(durable(5, 2, RAFT_NOBODY));
    step((struct raft_event){.kind = RAFT_BEGIN_REQUEST, .peer = 3, .epoch = 5});
    assert_int_equal(effect(RAFT_FAULTED)->fault, RAFT_FAULT_TWO_LEADERS);
}

static void a_second_process_with_the_same_id_never_counts(void **state)
{
    struct raft_event event = {.kind = RAFT_FETCH_REQUEST,
                               .fetch = {.replica = 2,
                                         .directory = {{7}},
                                         .leader_epoch = 6,
                                         .fetch_offset = 11,
                                         .last_fetched_epoch = 6,
                                         .end_epoch = 6,
                                         .end_offset = 11}};

    (void)state;
    lead();
    fetch(2, 6, 10, 2, 2, 10);
    step((struct raft_event){.kind = RAFT_FLUSHED, .end = 11});
    step(event);
    assert_false(raft.hw_known); /* K17 */
    assert_int_equal(raft.voters[1].end_offset, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vote_is_stored_before_it_is_answered),
        cmocka_unit_test(a_vote_in_the_present_epoch_is_stored_too),
        cmocka_unit_test(a_shorter_or_older_log_gets_no_vote),
        cmocka_unit_test(an_old_epoch_is_fenced_and_told_the_present_one),
        cmocka_unit_test(a_pre_vote_changes_nothing_durable),
        cmocka_unit_test(a_follower_that_hears_its_leader_grants_no_pre_vote),
        cmocka_unit_test(an_answer_from_before_the_end_of_a_leader_brings_it_back_for_nobody),
        cmocka_unit_test(the_first_successor_asks_when_the_others_have_been_told),
        cmocka_unit_test(an_election_goes_through_pre_votes_and_begins_with_a_leader_change),
        cmocka_unit_test(the_high_watermark_waits_for_a_majority_of_disks),
        cmocka_unit_test(entries_of_an_older_epoch_are_not_committed_by_count),
        cmocka_unit_test(a_fetch_is_fenced_diverges_or_parks),
        cmocka_unit_test(a_late_fetch_by_a_connection_given_up_takes_no_disk_for_set_back),
        cmocka_unit_test(a_voter_that_comes_back_with_less_is_told_once),
        cmocka_unit_test(what_was_committed_is_remembered_over_the_leaders_epochs),
        cmocka_unit_test(who_is_told_to_have_had_more_neither_votes_nor_stands),
        cmocka_unit_test(a_leader_without_majority_resigns_and_never_leads_that_epoch_again),
        cmocka_unit_test(a_restart_keeps_what_was_promised),
        cmocka_unit_test(a_sole_voter_leads_in_its_first_step),
        cmocka_unit_test(a_log_shorter_than_its_hint_neither_votes_nor_stands),
        cmocka_unit_test(a_cut_below_the_high_watermark_is_an_error_and_not_done),
        cmocka_unit_test(two_leaders_of_one_epoch_are_an_error),
        cmocka_unit_test(a_second_process_with_the_same_id_never_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

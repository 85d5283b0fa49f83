/* Proves: a set of voters counts on a member from the moment its log holds it, and no longer when
 * it is cut off; majorities are those of the present set; a voter is an id with its directory; a
 * leader that is not in the set leads on uncounted until that is committed (KIP-853, K15, K17).
 * Member 1. */
#include "tests/support/support.h"

#include "broker/raft/raft.h"

#define MS NS_PER_MS

static struct raft raft;
static struct rng rng;
static struct raft_effects out;
static struct mono_time now;
static struct raft_voters set;

static const struct raft_voters *voters(int64_t offset, const int32_t *ids, uint32_t count)
{
    set = (struct raft_voters){.count = count, .dynamic = true, .offset = offset};
    for (uint32_t i = 0; i < count; i++) {
        set.ids[i] = ids[i];
        set.directories[i].bytes[0] = (uint8_t)ids[i];
    }
    return &set;
}
#define SET(offset, ...)                             \
    voters((offset), (const int32_t[]){__VA_ARGS__}, \
           (uint32_t)(sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t)))

static void step(struct raft_event event)
{
    event.now = now;
    raft_step(&raft, &event, &out);
    if (raft_storing(&raft))
        raft_step(&raft, &(struct raft_event){.kind = RAFT_STORED, .now = now}, &out);
}

static void start(int32_t leader, const struct raft_voters *first, bool may_join)
{
    struct raft_config config = {.node_id = 1,
                                 .may_join = may_join,
                                 .election_timeout_ms = 1000,
                                 .fetch_timeout_ms = 2000,
                                 .election_backoff_max_ms = 1000,
                                 .retry_backoff_ms = 20};
    const struct raft_durable durable = {.epoch = 5, .leader = leader, .voted = RAFT_NOBODY};
    const struct raft_log log = {
        .log_end = 10, .flushed_end = 10, .last_epoch = 2, .acknowledged_end = 10, .voters = first};

    config.directory_id.bytes[0] = 1;
    now = (struct mono_time){1000 * MS};
    rng_init(&rng, 1);
    raft_init(&raft, &config, &rng, &durable, &log);
    step((struct raft_event){.kind = RAFT_START});
}

static bool has(enum raft_effect_kind kind)
{
    for (uint32_t i = 0; i < out.count; i++)
        if (out.effects[i].kind == kind) return true;
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

static void fetched(int32_t replica, uint8_t directory, int64_t offset)
{
    step((struct raft_event){.kind = RAFT_FETCH_REQUEST,
                             .fetch = {.replica = replica,
                                       .directory = {{directory}},
                                       .leader_epoch = raft.durable.epoch,
                                       .fetch_offset = offset,
                                       .last_fetched_epoch = raft.last_epoch,
                                       .end_epoch = raft.last_epoch,
                                       .end_offset = raft.log_end}});
}

static void appended(int64_t end, const struct raft_voters *next)
{
    step((struct raft_event){.kind = RAFT_ASSIGNED, .end = end});
    step((struct raft_event){
        .kind = RAFT_APPENDED, .end = end, .epoch = raft.durable.epoch, .voters = next});
    step((struct raft_event){.kind = RAFT_FLUSHED, .end = end});
}

static void vote_of(int32_t peer)
{
    step((struct raft_event){
        .kind = RAFT_VOTE_REPLY,
        .peer = peer,
        .round = raft.ballot_round,
        .reply = {.leader = RAFT_NOBODY, .epoch = raft.durable.epoch, .granted = true}});
}

/* Leads epoch 6 of 1, 2, 3; its LeaderChange is at 10 and committed. */
static void lead(void)
{
    start(RAFT_NOBODY, SET(-1, 1, 2, 3), true);
    now.ns += 3000 * MS;
    step((struct raft_event){.kind = RAFT_TICK});
    vote_of(2); /* before the vote */
    vote_of(2);
    assert_int_equal(raft.state, RAFT_LEADER);
    appended(11, NULL);
    fetched(2, 2, 11);
    assert_int_equal(raft_leader_hw(&raft), 11);
}

static void a_set_counts_when_the_log_holds_it_committed_or_not(void **state)
{
    (void)state;
    lead();
    appended(12, SET(11, 1, 2, 3, 4));
    assert_int_equal(raft.set.count, 4);
    fetched(2, 2, 12);
    assert_int_equal(raft_leader_hw(&raft), 11); /* two of four */
    fetched(4, 4, 12);
    assert_int_equal(raft_leader_hw(&raft), 12);
}

static void a_new_voter_is_told_who_leads(void **state)
{
    (void)state;
    lead();
    appended(12, SET(11, 1, 2, 3, 4));
    step((struct raft_event){.kind = RAFT_TICK});
    assert_true(has(RAFT_SEND_BEGIN));
    assert_int_equal(effect(RAFT_SEND_BEGIN)->peer, 4);
}

static void a_voter_with_another_directory_is_a_stranger(void **state)
{
    (void)state;
    lead();
    appended(12, NULL);
    fetched(2, 9, 12);
    assert_int_equal(raft_leader_hw(&raft), 11);
    fetched(2, 2, 12);
    assert_int_equal(raft_leader_hw(&raft), 12);
}

static void a_leader_that_removed_itself_counts_no_more_and_resigns_when_that_is_committed(void **s)
{
    (void)s;
    lead();
    appended(12, SET(11, 2, 3));
    assert_int_equal(raft.state, RAFT_LEADER);
    assert_false(raft_is_voter(&raft));
    fetched(2, 2, 12);
    assert_int_equal(raft_leader_hw(&raft), 11); /* its own disk does not help */
    fetched(3, 3, 12);
    assert_int_equal(raft.high_watermark, 12);
    assert_int_equal(raft.state, RAFT_RESIGNED);
}

static void a_cut_takes_the_set_back(void **state)
{
    (void)state;
    start(2, SET(-1, 1, 2, 3), true);
    step((struct raft_event){.kind = RAFT_FETCH_REPLY,
                             .peer = 2,
                             .round = raft.fetch_round,
                             .fetched = {.reply = {.leader = 2, .epoch = 5},
                                         .high_watermark = RAFT_NO_HW,
                                         .has_records = true,
                                         .diverging_epoch = -1}});
    assert_true(has(RAFT_APPEND));
    step(
        (struct raft_event){.kind = RAFT_APPENDED, .end = 11, .epoch = 5, .voters = SET(10, 2, 3)});
    assert_false(raft_is_voter(&raft));
    step((struct raft_event){.kind = RAFT_FLUSHED, .end = 11});
    step((struct raft_event){.kind = RAFT_BEGIN_REQUEST, .peer = 3, .epoch = 6});
    step((struct raft_event){.kind = RAFT_FETCH_REPLY,
                             .peer = 3,
                             .round = raft.fetch_round,
                             .fetched = {.reply = {.leader = 3, .epoch = 6},
                                         .high_watermark = RAFT_NO_HW,
                                         .diverging = true,
                                         .diverging_epoch = 2,
                                         .diverging_end = 10,
                                         .own_epoch = 2,
                                         .own_end = 10}});
    assert_true(has(RAFT_TRUNCATE));
    step((struct raft_event){
        .kind = RAFT_TRUNCATED, .end = 10, .epoch = 2, .voters = SET(-1, 1, 2, 3)});
    assert_true(raft_is_voter(&raft));
}

static bool grants(bool may_join)
{
    start(RAFT_NOBODY, SET(-1, 2, 3), may_join);
    step((struct raft_event){.kind = RAFT_VOTE_REQUEST,
                             .vote = {.epoch = 6,
                                      .candidate = 4, /* of a newer set than ours */
                                      .candidate_directory = {{4}},
                                      .last_epoch = 2,
                                      .log_end = 10}});
    return effect(RAFT_ANSWER)->reply.granted;
}

static void who_may_be_made_a_voter_answers_ballots_of_a_set_it_does_not_know(void **state)
{
    (void)state;
    assert_true(grants(true));
    assert_false(grants(false)); /* a broker */
    now.ns += 60000 * MS;
    step((struct raft_event){.kind = RAFT_TICK});
    assert_int_equal(raft.state, RAFT_UNATTACHED); /* but does not stand */
}

static void a_candidate_that_is_removed_gives_up(void **state)
{
    (void)state;
    start(RAFT_NOBODY, SET(-1, 1, 2, 3), true);
    now.ns += 3000 * MS;
    step((struct raft_event){.kind = RAFT_TICK});
    assert_int_equal(raft.state, RAFT_PROSPECTIVE);
    step(
        (struct raft_event){.kind = RAFT_APPENDED, .end = 11, .epoch = 5, .voters = SET(10, 2, 3)});
    assert_int_equal(raft.state, RAFT_UNATTACHED);
}

static void nobody_is_asked_for_the_leader_but_bootstrap_servers_when_no_set_is_known(void **state)
{
    struct raft_config config = {.node_id = 1,
                                 .bootstrap_count = 2,
                                 .election_timeout_ms = 1000,
                                 .fetch_timeout_ms = 2000,
                                 .retry_backoff_ms = 20};
    const struct raft_durable durable = {.leader = RAFT_NOBODY, .voted = RAFT_NOBODY};
    const struct raft_log log = {.log_end = 0};

    (void)state;
    now = (struct mono_time){1000 * MS};
    raft_init(&raft, &config, &rng, &durable, &log);
    step((struct raft_event){.kind = RAFT_START});
    assert_int_equal(effect(RAFT_SEND_FETCH)->peer, RAFT_BOOTSTRAP(1));
    step((struct raft_event){
        .kind = RAFT_FETCH_REPLY,
        .peer = RAFT_BOOTSTRAP(1),
        .round = raft.fetch_round,
        .fetched = {.reply = {.err = ERR_NOT_LEADER_OR_FOLLOWER, .leader = 7, .epoch = 3}}});
    assert_int_equal(raft.state, RAFT_FOLLOWER);
    assert_int_equal(raft.durable.leader, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_counts_when_the_log_holds_it_committed_or_not),
        cmocka_unit_test(a_new_voter_is_told_who_leads),
        cmocka_unit_test(a_voter_with_another_directory_is_a_stranger),
        cmocka_unit_test(
            a_leader_that_removed_itself_counts_no_more_and_resigns_when_that_is_committed),
        cmocka_unit_test(a_cut_takes_the_set_back),
        cmocka_unit_test(who_may_be_made_a_voter_answers_ballots_of_a_set_it_does_not_know),
        cmocka_unit_test(a_candidate_that_is_removed_gives_up),
        cmocka_unit_test(nobody_is_asked_for_the_leader_but_bootstrap_servers_when_no_set_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "broker/raft/raft.h"

#include "broker/raft/raft_internal.h"
#include "client/base/assert.h"

#include <string.h>

static const struct {
    const char *name;
    uint8_t next; /* bit set of states; the same state again is a higher epoch or a first entry */
} raft_states[] = {
#define TO(state) (1u << (RAFT_##state))
    [RAFT_UNATTACHED] = {"Unattached", TO(UNATTACHED) | TO(PROSPECTIVE) | TO(FOLLOWER)},
    [RAFT_PROSPECTIVE] = {"Prospective", TO(CANDIDATE) | TO(FOLLOWER) | TO(UNATTACHED)},
    [RAFT_CANDIDATE] = {"Candidate", TO(LEADER) | TO(PROSPECTIVE) | TO(FOLLOWER) | TO(UNATTACHED)},
    [RAFT_LEADER] = {"Leader", TO(RESIGNED) | TO(FOLLOWER) | TO(UNATTACHED)},
    [RAFT_FOLLOWER] = {"Follower", TO(FOLLOWER) | TO(PROSPECTIVE) | TO(UNATTACHED)},
    [RAFT_RESIGNED] = {"Resigned", TO(UNATTACHED) | TO(FOLLOWER)},
#undef TO
};
_Static_assert(COUNT_OF(raft_states) == RAFT_STATES, "one row a state");

const char *raft_state_name(enum raft_state state)
{
    return raft_states[state].name;
}

const char *raft_fault_text(enum raft_fault fault)
{
    switch (fault) {
    case RAFT_SOUND: return "nothing is wrong";
    case RAFT_FAULT_TWO_LEADERS: return "two leaders of one epoch of the metadata quorum were seen";
    case RAFT_FAULT_BELOW_HW:
        return "the leader of the metadata quorum lacks records that were committed";
    case RAFT_FAULT_HW_BACK: return "the high watermark of the metadata leader went back";
    case RAFT_FAULT_STORE: return "quorum-state could not be written";
    case RAFT_FAULT_LOG: return "the metadata log could not be read or written";
    }
    IMPOSSIBLE("fault");
}

uint32_t raft_voter_place(const struct raft *raft, int32_t id)
{
    uint32_t i = 0;

    while (i < raft->set.count && raft->set.ids[i] != id)
        i++;
    return i;
}

uint32_t raft_voter_key_place(const struct raft *raft, int32_t id, struct uuid directory)
{
    uint32_t place = raft_voter_place(raft, id);

    if (place == raft->set.count || uuid_is_zero(raft->set.directories[place])) return place;
    if (uuid_is_zero(directory) || uuid_equal(raft->set.directories[place], directory))
        return place;
    return raft->set.count;
}

int32_t raft_known_leader(const struct raft *raft)
{
    return raft->state == RAFT_RESIGNED ? RAFT_NOBODY : raft->durable.leader;
}

/* ---- effects and notes
 * ------------------------------------------------------------------------ */

struct raft_effect *raft_effect(struct raft *raft, enum raft_effect_kind kind)
{
    struct raft_effects *out = raft->out;
    struct raft_effect *effect = &out->effects[out->count];

    ASSERT(out->count < RAFT_EFFECTS_MAX);
    out->count++;
    *effect = (struct raft_effect){.kind = kind, .peer = RAFT_NOBODY, .epoch = raft->durable.epoch};
    return effect;
}

void raft_note(struct raft *raft, enum raft_note_kind kind, const int64_t *fields, uint32_t count)
{
    struct raft_effects *out = raft->out;
    struct raft_note *note = &out->notes[out->note_count];

    ASSERT(out->note_count < RAFT_NOTES_MAX);
    ASSERT(count <= COUNT_OF(note->fields));
    out->note_count++;
    *note = (struct raft_note){.kind = kind, .field_count = count};
    memcpy(note->fields, fields, count * sizeof *fields);
}

void raft_fail(struct raft *raft, enum raft_fault fault)
{
    if (raft->fault != RAFT_SOUND) return;
    raft->fault = fault;
}

void raft_answer(struct raft *raft, enum err err, bool granted)
{
    struct raft_effect *effect = raft_effect(raft, RAFT_ANSWER);

    effect->reply = (struct raft_reply){.err = err,
                                        .leader = raft_known_leader(raft),
                                        .epoch = raft->durable.epoch,
                                        .granted = granted};
}

struct mono_time raft_draw_election(struct raft *raft)
{
    uint64_t span = (uint64_t)raft->config.election_timeout_ms * (uint64_t)NS_PER_MS;
    uint64_t extra = rng_below(raft->rng, span);

    return (struct mono_time){raft->now.ns + (int64_t)(span + extra)};
}

/* ---- moves
 * ------------------------------------------------------------------------------------ */

/* The one place where the state changes. */
static void raft_set_state(struct raft *raft, enum raft_state state,
                           const struct raft_durable *durable)
{
    enum raft_state old = raft->state;
    int32_t told_leader = raft_known_leader(raft);
    int32_t told_epoch = raft->durable.epoch;

    ASSERT((raft_states[old].next & (1u << state)) != 0);
    ASSERT(durable->epoch >= raft->durable.epoch);
    if (durable->epoch == raft->durable.epoch && raft->durable.voted != RAFT_NOBODY) {
        ASSERT(durable->voted == raft->durable.voted); /* K2 */
    }
    if (durable->epoch != raft->durable.epoch || durable->leader != raft->durable.leader ||
        durable->voted != raft->durable.voted ||
        !uuid_equal(durable->voted_directory, raft->durable.voted_directory)) {
        raft->durable = *durable;
        raft->dirty = true;
    }
    raft->state = state;
    raft->round++;
    raft->fetch_round = 0;
    raft->fetch_failures = 0;
    raft->download.active = false;
    raft->hw_known = false;
    RAFT_NOTE(raft, RAFT_NOTE_STATE, old, state, durable->epoch, durable->leader, durable->voted);
    if (told_leader != raft_known_leader(raft) || told_epoch != durable->epoch ||
        old == RAFT_LEADER) {
        raft_effect(raft, RAFT_LEADER_CHANGED)->peer = raft_known_leader(raft);
    }
}

static struct raft_durable raft_durable_of(const struct raft *raft, int32_t epoch, int32_t leader)
{
    struct raft_durable durable = {.epoch = epoch, .leader = leader, .voted = RAFT_NOBODY};

    if (epoch == raft->durable.epoch) { /* the vote of an epoch is kept whatever happens in it */
        durable.voted = raft->durable.voted;
        durable.voted_directory = raft->durable.voted_directory;
    }
    return durable;
}

void raft_become_unattached(struct raft *raft, int32_t epoch)
{
    struct raft_durable durable = raft_durable_of(raft, epoch, RAFT_NOBODY);

    raft_set_state(raft, RAFT_UNATTACHED, &durable);
    raft->election_at = raft_draw_election(raft);
    raft->fetch_at = raft->now;
}

void raft_become_follower(struct raft *raft, int32_t epoch, int32_t leader)
{
    struct raft_durable durable = raft_durable_of(raft, epoch, leader);

    ASSERT(leader != raft->config.node_id);
    ASSERT(raft_may_follow(raft, leader));
    raft_set_state(raft, RAFT_FOLLOWER, &durable);
    raft_follower_enter(raft);
}

void raft_become_prospective(struct raft *raft)
{
    struct raft_durable durable = raft->durable;

    ASSERT(raft_may_stand(raft));
    raft_set_state(raft, RAFT_PROSPECTIVE, &durable);
    raft->election_at = raft_draw_election(raft);
    raft_start_ballot(raft);
}

void raft_become_candidate(struct raft *raft)
{
    struct raft_durable durable = {.epoch = raft->durable.epoch + 1,
                                   .leader = RAFT_NOBODY,
                                   .voted = raft->config.node_id,
                                   .voted_directory = raft->config.directory_id};

    ASSERT(raft_may_stand(raft));
    ASSERT(raft->durable.epoch < INT32_MAX);
    raft_set_state(raft, RAFT_CANDIDATE, &durable);
    raft->election_at = raft_draw_election(raft);
    raft_start_ballot(raft);
}

void raft_become_leader(struct raft *raft)
{
    struct raft_durable durable = raft_durable_of(raft, raft->durable.epoch, raft->config.node_id);

    ASSERT(raft_may_stand(raft));
    raft_set_state(raft, RAFT_LEADER, &durable);
    raft_leader_enter(raft);
}

void raft_become_resigned(struct raft *raft)
{
    struct raft_durable durable = raft->durable;

    /* quorum-state goes on naming us: after a restart we are Resigned again (KAFKA-10527). */
    raft_set_state(raft, RAFT_RESIGNED, &durable);
    raft->election_at = raft_draw_election(raft);
    raft_resigned_enter(raft);
}

bool raft_adopt(struct raft *raft, int32_t epoch, int32_t leader)
{
    int32_t known = raft->durable.leader;

    if (!raft_may_follow(raft, leader)) leader = RAFT_NOBODY;
    if (epoch > raft->durable.epoch) {
        /* That we led a later epoch than we remember can only be told to a disk that was set
         * back. */
        if (leader == RAFT_NOBODY || leader == raft->config.node_id) {
            raft_become_unattached(raft, epoch);
        } else {
            raft_become_follower(raft, epoch, leader);
        }
        return true;
    }
    if (epoch < raft->durable.epoch || leader == RAFT_NOBODY) return false;
    if (leader == raft->config.node_id || leader == known) return false;
    if (known != RAFT_NOBODY) {
        raft_fail(raft, RAFT_FAULT_TWO_LEADERS);
        return true;
    }
    raft_become_follower(raft, epoch, leader);
    return true;
}

/* ---- who votes ------------------------------------------------------------------------------- */

static struct raft_voter raft_new_voter(const struct raft *raft, int32_t id)
{
    return (struct raft_voter){.id = id,
                               .end_offset = -1,
                               .ballot = RAFT_BALLOT_UNSENT,
                               .retry_at = raft->now,
                               .last_fetch = raft->now,
                               .begin_at = raft->now,
                               .caught_up = {-1}};
}

static void raft_take_voters(struct raft *raft, const struct raft_voters *next)
{
    struct raft_voter old[RAFT_VOTERS_MAX];
    struct raft_voters before = raft->set;

    ASSERT(next->count <= RAFT_VOTERS_MAX);
    memcpy(old, raft->voters, sizeof old);
    raft->set = *next;
    for (uint32_t i = 0; i < next->count; i++) {
        if (i > 0) ASSERT(next->ids[i] > next->ids[i - 1]);
        raft->voters[i] = raft_new_voter(raft, next->ids[i]);
        for (uint32_t j = 0; j < before.count; j++) {
            bool same = uuid_is_zero(before.directories[j]) || uuid_is_zero(next->directories[i]) ||
                        uuid_equal(before.directories[j], next->directories[i]);

            if (old[j].id == next->ids[i] && same) raft->voters[i] = old[j];
        }
    }
    raft->self = raft_voter_key_place(raft, raft->config.node_id, raft->config.directory_id);
    for (uint32_t i = 0; i < next->count; i++)
        raft->granted[i] = false;
}

void raft_change_voters(struct raft *raft, const struct raft_voters *next)
{
    bool voter = raft_is_voter(raft);

    if (next == NULL) return;
    raft_take_voters(raft, next);
    switch (raft->state) {
    case RAFT_UNATTACHED:
        if (!voter) raft->election_at = raft_draw_election(raft);
        break;
    case RAFT_PROSPECTIVE:
    case RAFT_CANDIDATE:
        /* What it stands for is over; the others of the set are asked by the next tick. */
        if (!raft_may_stand(raft)) raft_become_unattached(raft, raft->durable.epoch);
        break;
    case RAFT_LEADER: raft_leader_advance(raft); break;
    case RAFT_FOLLOWER:
    case RAFT_RESIGNED: break;
    }
}

/* ---- init
 * ------------------------------------------------------------------------------------- */

void raft_init(struct raft *raft, const struct raft_config *config, struct rng *rng,
               const struct raft_durable *durable, const struct raft_log *log)
{
    struct raft_voters voters = {.count = config->voter_count, .offset = -1};
    int64_t flushed_end = log->flushed_end;

    ASSERT(config->voter_count <= RAFT_VOTERS_MAX);
    ASSERT(config->election_timeout_ms > 0 && config->fetch_timeout_ms > 0);
    ASSERT(log->flushed_end <= log->log_end);
    ASSERT(log->snapshot_end <= log->log_end && log->log_start <= log->log_end);
    ASSERT(log->log_start == 0 || log->snapshot_end >= log->log_start); /* K18 */
    /* Flushed, but the hint did not get that far before the stop: not acknowledged yet. */
    if (flushed_end > log->acknowledged_end) flushed_end = log->acknowledged_end;
    *raft = (struct raft){.config = *config,
                          .rng = rng,
                          .state = RAFT_UNATTACHED,
                          .durable = *durable,
                          .log_start = log->log_start,
                          .start_epoch = log->start_epoch,
                          .snapshot_end = log->snapshot_end,
                          .snapshot_epoch = log->snapshot_epoch,
                          .assigned_end = log->log_end,
                          .log_end = log->log_end,
                          .flushed_end = flushed_end,
                          .ended_epoch = -1,
                          .last_epoch = log->last_epoch,
                          /* What a snapshot holds was committed. */
                          .high_watermark = log->snapshot_end,
                          .trusted_from = log->acknowledged_end,
                          .distrusted = log->log_end < log->acknowledged_end};
    memcpy(voters.ids, config->voters, sizeof voters.ids);
    raft_take_voters(raft, log->voters != NULL ? log->voters : &voters);
}

/* kraft.md 3: what a member is after a restart. */
static void raft_start(struct raft *raft)
{
    struct raft_durable *durable = &raft->durable;
    bool sole = raft_may_stand(raft) && raft->set.count == 1;

    ASSERT(!raft->started);
    raft->started = true;
    raft->election_at = raft_draw_election(raft);
    raft->fetch_at = raft->now;
    if (durable->epoch < raft->last_epoch) {
        *durable = (struct raft_durable){
            .epoch = raft->last_epoch, .leader = RAFT_NOBODY, .voted = RAFT_NOBODY};
        raft->dirty = true;
    }
    if (durable->leader != RAFT_NOBODY &&
        raft_voter_place(raft, durable->leader) == raft->set.count) {
        durable->leader = RAFT_NOBODY; /* the voters changed: nobody knows where it is */
        raft->dirty = true;
    }
    if (sole || !raft_may_stand(raft)) {
        /* Our own leadership of this epoch is over; our vote in it stays given. */
        if (durable->leader == raft->config.node_id) {
            durable->leader = RAFT_NOBODY;
            durable->voted = raft->config.node_id;
            durable->voted_directory = raft->config.directory_id;
            raft->dirty = true;
        }
    }
    if (durable->leader == raft->config.node_id) {
        raft->state = RAFT_RESIGNED;
    } else if (durable->leader != RAFT_NOBODY) {
        raft->state = RAFT_FOLLOWER;
    } else if (durable->voted == raft->config.node_id && !sole && raft_may_stand(raft) &&
               uuid_equal(durable->voted_directory, raft->config.directory_id)) {
        raft->state = RAFT_CANDIDATE;
    }
    RAFT_NOTE(raft, RAFT_NOTE_STATE, raft->state, raft->state, durable->epoch, durable->leader,
              durable->voted);
    raft_effect(raft, RAFT_LEADER_CHANGED)->peer = raft_known_leader(raft);
    if (raft->distrusted) raft_effect(raft, RAFT_TRUST_CHANGED);
    switch (raft->state) {
    case RAFT_UNATTACHED:
        if (sole) raft_become_prospective(raft); /* nobody to wait for: leads in this step */
        break;
    case RAFT_CANDIDATE: raft_start_ballot(raft); break;
    case RAFT_FOLLOWER: raft_follower_enter(raft); break;
    case RAFT_RESIGNED: raft_resigned_enter(raft); break;
    case RAFT_PROSPECTIVE:
    case RAFT_LEADER: IMPOSSIBLE("not after a restart");
    }
}

/* ---- the step
 * --------------------------------------------------------------------------------- */

static void raft_tick(struct raft *raft)
{
    switch (raft->state) {
    case RAFT_UNATTACHED:
    case RAFT_PROSPECTIVE:
    case RAFT_CANDIDATE: raft_election_tick(raft); break;
    case RAFT_LEADER: raft_leader_tick(raft); break;
    case RAFT_FOLLOWER: raft_follower_tick(raft); break;
    case RAFT_RESIGNED: raft_resigned_tick(raft); break;
    }
}

static void raft_send_failed(struct raft *raft, const struct raft_event *event)
{
    switch (event->request) {
    case RAFT_REQUEST_VOTE: raft_vote_failed(raft, event); break;
    case RAFT_REQUEST_BEGIN: raft_begin_failed(raft, event); break;
    case RAFT_REQUEST_END: break; /* tried again at its retry time */
    case RAFT_REQUEST_FETCH:
    case RAFT_REQUEST_SNAPSHOT: raft_fetch_failed(raft, event); break;
    }
}

static void raft_appended(struct raft *raft, const struct raft_event *event)
{
    ASSERT(event->end > raft->log_end && event->epoch >= raft->last_epoch);
    raft->log_end = event->end;
    raft->last_epoch = event->epoch;
    if (raft->assigned_end < event->end) raft->assigned_end = event->end;
    if (raft->work == RAFT_APPENDING) raft->work = RAFT_IDLE;
    raft_change_voters(raft, event->voters); /* not only when they are committed (K15) */
    if (raft->state == RAFT_FOLLOWER) raft_follower_appended(raft);
}

static void raft_flushed(struct raft *raft, const struct raft_event *event)
{
    ASSERT(raft->work == RAFT_FLUSHING);
    raft->work = RAFT_IDLE;
    if (event->end <= raft->flushed_end) return;
    ASSERT(event->end <= raft->log_end);
    raft->flushed_end = event->end;
    RAFT_NOTE(raft, RAFT_NOTE_FLUSHED, event->end, raft->durable.epoch);
    if (raft->state == RAFT_LEADER) raft_leader_advance(raft);
}

static void raft_truncated(struct raft *raft, const struct raft_event *event)
{
    ASSERT(raft->work == RAFT_TRUNCATING);
    raft->work = RAFT_IDLE;
    raft->log_end = event->end;
    raft->assigned_end = event->end;
    raft->last_epoch = event->epoch;
    if (raft->flushed_end > event->end) raft->flushed_end = event->end;
    if (event->end < raft->high_watermark) raft_fail(raft, RAFT_FAULT_BELOW_HW);
    raft_change_voters(raft, event->voters);
}

static void raft_dispatch(struct raft *raft, const struct raft_event *event)
{
    ASSERT(raft->started || event->kind == RAFT_START);
    switch (event->kind) {
    case RAFT_START: raft_start(raft); break;
    case RAFT_TICK: raft_tick(raft); break;
    case RAFT_STORED: IMPOSSIBLE("nothing was being stored");
    case RAFT_VOTE_REQUEST: raft_vote_request(raft, event); break;
    case RAFT_VOTE_REPLY: raft_vote_reply(raft, event); break;
    case RAFT_BEGIN_REQUEST: raft_begin_request(raft, event); break;
    case RAFT_BEGIN_REPLY: (void)raft_adopt(raft, event->reply.epoch, event->reply.leader); break;
    case RAFT_END_REQUEST: raft_end_request(raft, event); break;
    case RAFT_END_REPLY: raft_end_reply(raft, event); break;
    case RAFT_FETCH_REQUEST: raft_leader_fetch(raft, event); break;
    case RAFT_FETCH_REPLY: raft_fetch_reply(raft, event); break;
    case RAFT_SEND_FAILED: raft_send_failed(raft, event); break;
    case RAFT_ASSIGNED:
        ASSERT(event->end >= raft->assigned_end);
        raft->assigned_end = event->end;
        break;
    case RAFT_APPENDED: raft_appended(raft, event); break;
    case RAFT_APPEND_REFUSED: raft_append_refused(raft); break;
    case RAFT_FLUSHED: raft_flushed(raft, event); break;
    case RAFT_TRUNCATED: raft_truncated(raft, event); break;
    case RAFT_LOG_FAILED: raft_fail(raft, RAFT_FAULT_LOG); break;
    case RAFT_DISOWNED:
        ASSERT(raft->work == RAFT_DISOWNING);
        raft->work = RAFT_IDLE;
        break;
    case RAFT_LOG_STARTS: raft_snapshot_log_starts(raft, event); break;
    case RAFT_SNAPSHOT_REQUEST: raft_snapshot_request(raft, event); break;
    case RAFT_SNAPSHOT_REPLY: raft_snapshot_reply(raft, event); break;
    case RAFT_PART_SAVED: raft_snapshot_saved(raft, event); break;
    case RAFT_INSTALLED: raft_snapshot_installed(raft, event); break;
    case RAFT_NOT_INSTALLED: raft_snapshot_refused(raft); break;
    case RAFT_RESIGN:
        if (raft->state == RAFT_LEADER && event->epoch == raft->durable.epoch) {
            raft_become_resigned(raft);
        }
        break;
    }
}

/* What a durable change delays: everything else of the step. */
static void raft_hold(struct raft *raft)
{
    struct raft_effects *out = raft->out;

    memcpy(raft->held, out->effects, out->count * sizeof *raft->held);
    raft->held_count = out->count;
    out->count = 0;
    raft_effect(raft, RAFT_STORE)->durable = raft->durable;
    raft->storing = true;
}

static void raft_release(struct raft *raft, const struct raft_event *event)
{
    ASSERT(event->kind == RAFT_STORED);
    raft->storing = false;
    if (event->err != ERR_NONE) {
        raft_fail(raft, RAFT_FAULT_STORE);
        return;
    }
    memcpy(raft->out->effects, raft->held, raft->held_count * sizeof *raft->held);
    raft->out->count = raft->held_count;
    for (uint32_t i = 0; i < raft->held_count; i++) {
        if (raft->held[i].kind == RAFT_LEAD) raft_leader_elected(raft);
    }
    raft->held_count = 0;
}

void raft_step(struct raft *raft, const struct raft_event *event, struct raft_effects *effects)
{
    effects->count = 0;
    effects->note_count = 0;
    if (raft->fault != RAFT_SOUND) return;
    ASSERT(event->now.ns >= raft->now.ns);
    raft->now = event->now;
    raft->out = effects;
    if (raft->storing) {
        raft_release(raft, event);
    } else {
        raft->dirty = false;
        raft_dispatch(raft, event);
        raft_follower_settle(raft);
        if (raft->dirty && raft->fault == RAFT_SOUND) raft_hold(raft);
    }
    if (raft->fault !=
        RAFT_SOUND) { /* a faulty member says nothing more, not even what it meant to */
        effects->count = 0;
        raft_effect(raft, RAFT_FAULTED)->fault = raft->fault;
    }
    raft->out = NULL;
    raft_check(raft);
}

struct mono_time raft_deadline(const struct raft *raft)
{
    struct mono_time never = MONO_NEVER;
    struct mono_time election = never, fetch = never;

    if (raft->storing || raft->fault != RAFT_SOUND || !raft->started) return never;
    switch (raft->state) {
    case RAFT_UNATTACHED:
        election = raft_election_deadline(raft);
        fetch = raft_follower_deadline(raft);
        break;
    case RAFT_PROSPECTIVE:
    case RAFT_CANDIDATE: election = raft_election_deadline(raft); break;
    case RAFT_LEADER: election = raft_leader_deadline(raft); break;
    case RAFT_FOLLOWER: fetch = raft_follower_deadline(raft); break;
    case RAFT_RESIGNED: election = raft_resigned_deadline(raft); break;
    }
    return election.ns < fetch.ns ? election : fetch;
}

void raft_check(const struct raft *raft)
{
    ASSERT(raft->flushed_end <= raft->log_end && raft->log_end <= raft->assigned_end);
    ASSERT(raft->high_watermark <= raft->log_end || raft->fault != RAFT_SOUND);
    ASSERT(raft->last_epoch <= raft->durable.epoch || !raft->started);
    ASSERT(raft->log_start == 0 || raft->log_start <= raft->snapshot_end); /* K18 */
    if (raft->state == RAFT_LEADER || raft->state == RAFT_RESIGNED) {
        ASSERT(raft->durable.leader == raft->config.node_id);
        ASSERT(raft_is_voter(raft) || raft->set.dynamic);
    }
    if (raft->state == RAFT_CANDIDATE) {
        ASSERT(raft->durable.voted == raft->config.node_id);
        ASSERT(raft->durable.leader == RAFT_NOBODY);
    }
    if (raft->state == RAFT_FOLLOWER) {
        ASSERT(raft->durable.leader != RAFT_NOBODY);
        ASSERT(raft->durable.leader != raft->config.node_id);
    }
    if (raft->hw_known) ASSERT(raft->high_watermark > raft->epoch_start); /* K8 */
}

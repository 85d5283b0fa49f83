/* Changes of the voters at the leader (KIP-853): one at a time, each by one voter, so that any two
 * majorities that could both be counted share a voter (K15).
 *
 *   it leads, and its high watermark is known in this epoch          else NOT_LEADER_OR_FOLLOWER,
 *   no other change is under way, the present set is committed       REQUEST_TIMED_OUT
 *   ADD: a new id; it answers at its address and understands kraft.version 1; it has caught up
 *   the new set is appended, and counts from then on
 *   answered when it is committed, by the new majority; a leader that removed itself resigns then
 *
 * With kraft.version 0 the set stands in the configuration of each node: nothing can be changed,
 * but voters tell the leader who they are (UPDATE), so that it can write them all into the log
 * when the version goes to 1. */
#include "broker/raft/quorum_internal.h"

#include "client/base/assert.h"
#include "wire/api_versions.h"

#define KRAFT_VERSION "kraft.version"

/* ---- may it be? ------------------------------------------------------------------------------ */

static enum err change_refuse(const char **why, enum err err, const char *words)
{
    *why = words;
    return err;
}

/* Whatever is to be changed. */
static enum err change_possible(const struct quorum *quorum, const struct quorum_change *change,
                                const char **why)
{
    const struct quorum_voting *voting = &quorum->voting;

    if (quorum->append_epoch < 0 || !quorum_leads(quorum, quorum->append_epoch))
        return change_refuse(why, ERR_NOT_LEADER_OR_FOLLOWER, "this node does not lead the quorum");
    if (quorum->changing != NULL && quorum->changing != change)
        return change_refuse(why, ERR_REQUEST_TIMED_OUT, "another change of the voters is pending");
    if (!quorum->raft.hw_known)
        return change_refuse(why, ERR_REQUEST_TIMED_OUT,
                             "the new leader has committed nothing yet");
    if (voting->pending_count > 0 || voting->current.offset >= quorum->raft.high_watermark)
        return change_refuse(why, ERR_REQUEST_TIMED_OUT,
                             "the present voters are not committed yet");
    return ERR_NONE;
}

static enum err change_possible_in_log(const struct quorum *quorum,
                                       const struct quorum_change *change, const char **why)
{
    enum err err = change_possible(quorum, change, why);

    if (err == ERR_NONE && quorum->voting.current.kraft_version == 0)
        return change_refuse(why, ERR_UNSUPPORTED_VERSION,
                             "kraft.version is 0: the voters stand in controller.quorum.voters");
    return err;
}

static bool change_caught_up(const struct quorum *quorum, const struct quorum_member *member)
{
    for (uint32_t i = 0; i < COUNT_OF(quorum->replicas); i++) {
        const struct quorum_replica *replica = &quorum->replicas[i];

        if (!replica->used || replica->id != member->id ||
            !uuid_equal(replica->directory, member->directory))
            continue;
        return replica->caught_up.ms >= 0 &&
               quorum->env->now.wall.ms - replica->caught_up.ms <= QUORUM_CAUGHT_UP_MS;
    }
    return false;
}

/* The set as it will be. */
static enum err change_next(struct quorum_change *change, struct quorum_voters *next)
{
    struct quorum *quorum = change->quorum;
    const struct quorum_member *member = &change->member;
    struct quorum_member *present;
    enum err err;

    *next = quorum->voting.current;
    switch (change->kind) {
    case QUORUM_CHANGE_ADD:
        err = quorum_voters_add(next, member);
        if (err == ERR_DUPLICATE_VOTER)
            return change_refuse(&change->why, err, "a voter with this id is there");
        if (err == ERR_TOO_MANY)
            return change_refuse(&change->why, ERR_INVALID_REQUEST, "there are nine voters");
        return err;
    case QUORUM_CHANGE_REMOVE:
        err = quorum_voters_remove(next, member->id, member->directory);
        if (err != ERR_NONE)
            return change_refuse(&change->why, err, "no voter has this id and directory");
        if (next->count == 0)
            return change_refuse(&change->why, ERR_INVALID_REQUEST, "it is the only voter");
        return ERR_NONE;
    case QUORUM_CHANGE_UPDATE:
        present = quorum_voters_find(next, member->id);
        if (present == NULL || !uuid_equal(present->directory, member->directory))
            return change_refuse(&change->why, ERR_VOTER_NOT_FOUND,
                                 "no voter has this id and directory");
        *present = *member;
        return ERR_NONE;
    case QUORUM_CHANGE_KRAFT_VERSION: break;
    }
    *next = quorum->voting.known;
    next->kraft_version = 1;
    return ERR_NONE;
}

/* ---- kraft.version 0: who the configured voters are ------------------------------------------ */

static void change_forget(struct quorum *quorum)
{
    struct quorum_voting *voting = &quorum->voting;
    struct quorum_member *own;

    if (voting->known_epoch == quorum->append_epoch) return;
    voting->known = voting->current;
    voting->known_epoch = quorum->append_epoch;
    own = quorum_voters_find(&voting->known, quorum->config.node_id);
    if (own == NULL) return;
    own->directory = quorum->config.directory_id;
    own->kraft_max = quorum->config.kraft_version_max;
}

static enum err change_remember(struct quorum_change *change)
{
    struct quorum_voting *voting = &change->quorum->voting;
    struct quorum_member *known;

    change_forget(change->quorum);
    known = quorum_voters_find(&voting->known, change->member.id);
    if (known == NULL)
        return change_refuse(&change->why, ERR_VOTER_NOT_FOUND, "no voter has this id");
    *known = change->member;
    return ERR_NONE;
}

static enum err change_upgradable(const struct quorum *quorum, const char **why)
{
    const struct quorum_voting *voting = &quorum->voting;
    enum err err = change_possible(quorum, NULL, why);

    if (err != ERR_NONE) return err;
    if (quorum->config.kraft_version_max < 1)
        return change_refuse(why, ERR_INVALID_UPDATE_VERSION, "the leader does not know it");
    if (voting->current.count > 1 && voting->known_epoch != quorum->append_epoch)
        return change_refuse(why, ERR_INVALID_UPDATE_VERSION,
                             "the voters have not told their directories yet");
    for (uint32_t i = 0; i < voting->current.count; i++) {
        const struct quorum_member *member = &voting->current.members[i];

        if (member->id == quorum->config.node_id) continue;
        member = &voting->known.members[i];
        if (uuid_is_zero(member->directory))
            return change_refuse(why, ERR_INVALID_UPDATE_VERSION,
                                 "not every voter has told its directory yet");
        if (member->kraft_max < 1)
            return change_refuse(why, ERR_INVALID_UPDATE_VERSION, "a voter does not know it");
    }
    return ERR_NONE;
}

/* ---- append ---------------------------------------------------------------------------------- */

/* A control batch in the order of the controller's own appends. */
static enum err change_append(struct quorum_change *change, struct quorum_voters *voters)
{
    struct quorum *quorum = change->quorum;
    uint32_t place = (quorum->batch_first + quorum->batch_count) % QUORUM_BATCHES_MAX;
    struct quorum_batch batch = {.base_offset = quorum->next_offset,
                                 .last_offset = quorum->next_offset + 1,
                                 .epoch = quorum->append_epoch,
                                 .voters = true};

    if (quorum->batch_count == QUORUM_BATCHES_MAX) return ERR_REQUEST_TIMED_OUT;
    voters->offset = batch.last_offset;
    batch.buf = quorum_voting_batch(quorum, batch.base_offset, batch.epoch, BYTES_NULL, voters,
                                    &batch.bytes);
    if (batch.buf == NULL) return ERR_REQUEST_TIMED_OUT;
    quorum->batches[place] = batch;
    quorum->batch_count++;
    quorum->batch_bytes += batch.bytes.length;
    quorum->next_offset = batch.last_offset + 1;
    change->offset = batch.last_offset;
    change->epoch = batch.epoch;
    quorum_drain(quorum);
    return ERR_NONE;
}

/* Everything is judged anew: what was asked over the network took its time. */
static enum err change_apply(struct quorum_change *change)
{
    struct quorum *quorum = change->quorum;
    struct quorum_voters next;
    enum err err;

    if (change->kind == QUORUM_CHANGE_KRAFT_VERSION) {
        err = change_upgradable(quorum, &change->why);
        if (err == ERR_NONE) change_forget(quorum);
    } else {
        err = change_possible_in_log(quorum, change, &change->why);
    }
    if (err == ERR_NONE) err = change_next(change, &next);
    if (err == ERR_NONE && change->kind == QUORUM_CHANGE_ADD &&
        !change_caught_up(quorum, &change->member))
        err = change_refuse(&change->why, ERR_REQUEST_TIMED_OUT,
                            "the new voter has not caught up with the metadata log");
    return err == ERR_NONE ? change_append(change, &next) : err;
}

enum err quorum_change_kraft_version(struct quorum *quorum, bool validate_only, int64_t *offset,
                                     const char **why)
{
    struct quorum_change change = {.quorum = quorum, .kind = QUORUM_CHANGE_KRAFT_VERSION};
    enum err err;

    *why = NULL;
    if (quorum->voting.current.kraft_version >= 1) {
        *offset = quorum->voting.current.offset;
        return ERR_NONE;
    }
    err = validate_only ? change_upgradable(quorum, &change.why) : change_apply(&change);
    *why = change.why;
    *offset = change.offset;
    return err;
}

/* ---- the new voter is asked what it understands ---------------------------------------------- */

static enum err change_ask(struct quorum_change *change)
{
    struct quorum *quorum = change->quorum;
    struct quorum_link *link = quorum_link_make(quorum, change->member.id,
                                                str_of(change->member.host), change->member.port);

    if (link == NULL) return ERR_REQUEST_TIMED_OUT;
    change->ask = (struct api_versions_request){.client_software_name = STR("gregor"),
                                                .client_software_version = STR("1")};
    call_init(&change->call, API_API_VERSIONS);
    change->call.version_min = 4; /* earlier ones do not tell of a feature that begins at 0 */
    change->call.timeout_ms = quorum->config.request_timeout_ms;
    change->call.body = &change->ask;
    peer_call(&link->peers[QUORUM_PEER_VOTES], &change->call);
    return ERR_NONE;
}

static enum err change_judge(struct quorum_change *change)
{
    struct quorum *quorum = change->quorum;
    struct api_versions_response response;
    enum err err = change->call.result;

    if (err == ERR_NONE)
        err = api_versions_response_decode(&change->call.reader, change->call.version,
                                           &quorum->arena, &response);
    if (err != ERR_NONE || response.error_code != ERR_NONE) {
        call_release(&change->call);
        arena_reset(&quorum->arena);
        return change_refuse(&change->why, ERR_REQUEST_TIMED_OUT,
                             "the new voter cannot be reached at its address");
    }
    err = ERR_INVALID_REQUEST;
    for (uint32_t i = 0; i < response.supported_features_count; i++) {
        if (!str_equal(response.supported_features[i].name, STR(KRAFT_VERSION))) continue;
        change->member.kraft_min = response.supported_features[i].min_version;
        change->member.kraft_max = response.supported_features[i].max_version;
        if (change->member.kraft_min <= 1 && change->member.kraft_max >= 1) err = ERR_NONE;
    }
    call_release(&change->call);
    arena_reset(&quorum->arena);
    if (err == ERR_NONE) return err;
    return change_refuse(&change->why, err, "the new voter does not know kraft.version 1");
}

/* ---- the op ---------------------------------------------------------------------------------- */

enum change_step { CHANGE_START, CHANGE_ASKED, CHANGE_COMMITTED };
static const char *const change_steps[] = {"START", "ASKED", "COMMITTED"};

static enum err change_begin(struct quorum_change *change)
{
    struct quorum *quorum = change->quorum;
    struct quorum_voters next;
    enum err err;

    if (change->kind == QUORUM_CHANGE_UPDATE && quorum->voting.current.kraft_version == 0)
        return change_possible(quorum, change, &change->why);
    err = change_possible_in_log(quorum, change, &change->why);
    return err == ERR_NONE ? change_next(change, &next) : err;
}

static enum err change_update(struct quorum_change *change)
{
    struct quorum *quorum = change->quorum;
    const struct quorum_member *present;
    int32_t epoch = quorum->raft.durable.epoch;

    if (change->leader_epoch != -1 && change->leader_epoch < epoch) return ERR_FENCED_LEADER_EPOCH;
    if (change->leader_epoch > epoch) return ERR_UNKNOWN_LEADER_EPOCH;
    if (quorum->voting.current.kraft_version == 0) return change_remember(change);
    if (change->member.kraft_max < 1)
        return change_refuse(&change->why, ERR_INVALID_REQUEST, "it does not know kraft.version 1");
    present = quorum_voters_find(&quorum->voting.current, change->member.id);
    if (present != NULL && quorum_voters_same(present, &change->member)) return ERR_NONE;
    return change_apply(change);
}

/* By what was announced: the machine may have stepped down while its vote is still being written,
 * and nobody is woken before that is done. */
static bool change_lost(const struct quorum_change *change)
{
    const struct quorum *quorum = change->quorum;

    return quorum->state != QUORUM_RUNNING || quorum->append_epoch != change->epoch;
}

static bool change_is_committed(const struct quorum_change *change)
{
    const struct quorum *quorum = change->quorum;

    return quorum->epoch == change->epoch && quorum->raft.high_watermark > change->offset;
}

static enum op_result change_run(struct op *op)
{
    struct quorum_change *o = CONTAINER_OF(op, struct quorum_change, op);
    struct quorum *q = o->quorum;

    switch ((enum change_step)op->step) {
    case CHANGE_START:
        o->err = change_begin(o);
        if (o->err != ERR_NONE) return OP_DONE;
        o->holds = true;
        q->changing = o;
        if (o->kind == QUORUM_CHANGE_ADD) {
            o->err = change_ask(o);
            if (o->err != ERR_NONE) return OP_DONE;
            AWAIT(o, CHANGE_ASKED, &o->call.done, call_done(&o->call));
            o->err = change_judge(o);
            if (o->err != ERR_NONE) return OP_DONE;
        }
        o->err = o->kind == QUORUM_CHANGE_UPDATE ? change_update(o) : change_apply(o);
        /* A voter that tells where it is waits for nothing; nor does who said so. */
        if (o->err != ERR_NONE || o->at_once || o->kind == QUORUM_CHANGE_UPDATE) return OP_DONE;
        AWAIT(o, CHANGE_COMMITTED, &q->change_source,
              change_is_committed(o) || change_lost(o) || op_expired(op));
        /* Who has removed itself has resigned in the same step as it was committed. */
        if (change_is_committed(o)) return OP_DONE;
        o->err = change_lost(o) ? ERR_NOT_LEADER_OR_FOLLOWER : ERR_REQUEST_TIMED_OUT;
        return OP_DONE;
    }
    IMPOSSIBLE("step of a change");
}

static void change_finish(struct op *op)
{
    struct quorum_change *change = CONTAINER_OF(op, struct quorum_change, op);

    if (change->holds) change->quorum->changing = NULL;
    change->holds = false;
    change->done = true;
    op_wake(&change->source);
}

static const struct op_kind change_kind = {"quorum_change", change_steps, COUNT_OF(change_steps),
                                           change_run, change_finish};

void quorum_change_start(struct quorum_change *change, struct quorum *quorum,
                         enum quorum_change_kind kind)
{
    change->quorum = quorum;
    change->kind = kind;
    change->done = false;
    change->holds = false;
    change->err = ERR_NONE;
    change->why = NULL;
    change->epoch = -1;
    change->offset = -1;
    op_source_init(&change->source);
    op_start(&quorum->env->loop, &change->op, &change_kind, CHANGE_START);
    op_deadline(&change->op, change->deadline_ns);
}

void quorum_change_cancel(struct quorum_change *change)
{
    if (change->done || !op_live(&change->op)) return;
    op_cancel(&change->op);
    call_cancel(&change->call);
    call_release(&change->call);
}

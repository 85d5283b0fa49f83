/* Who votes, as read from the log and its snapshots (KIP-853): a set counts as soon as the log
 * holds its record, a cut takes it back, and a snapshot says what was committed at its end.
 *
 *   configuration < snapshot 0-0 of the format < newest snapshot < the log's entries
 *
 * The machine is told with the event that moves the log's end, so that no vote, no high watermark
 * and no fetch is judged by another set than the log's. */
#include "broker/raft/quorum_internal.h"

#include "client/base/assert.h"
#include "client/base/text.h"
#include "client/wire/record_builder.h"

#include <string.h>

static void voting_set_all(struct quorum_voting *voting, const struct quorum_voters *voters)
{
    voting->current = *voters;
    voting->previous = *voters;
    voting->applied = *voters;
}

/* Nobody is configured: the log has to say it, and does since kraft.version 1. */
static struct quorum_voters voting_configured(const struct quorum *quorum)
{
    const struct quorum_config *config = &quorum->config;
    struct quorum_voters voters = {.offset = -1, .kraft_version = config->voter_count == 0};

    for (uint32_t i = 0; i < config->voter_count; i++) {
        const struct quorum_voter *voter = &config->voters[i];
        struct quorum_member member = {.id = -1};
        enum err err =
            quorum_voters_member(&member, voter->id, (struct uuid){{0}}, voter->host, voter->port);

        if (err == ERR_NONE) err = quorum_voters_add(&voters, &member);
        ASSERT(err == ERR_NONE); /* quorum_init() has looked */
    }
    return voters;
}

void quorum_voting_init(struct quorum *quorum)
{
    struct quorum_voters voters = voting_configured(quorum);

    voting_set_all(&quorum->voting, &voters);
    quorum->voting.known_epoch = -1;
    quorum->voting.leader.id = RAFT_NOBODY;
    op_source_init(&quorum->voting.read.source);
}

void quorum_voting_trace(struct quorum *quorum)
{
    const struct quorum_voters *voters = &quorum->voting.current;
    char line[RAFT_VOTERS_MAX * 12 + 16];
    struct text text;

    text_init(&text, line, sizeof line);
    text_cstr(&text, "voters=");
    for (uint32_t i = 0; i < voters->count; i++)
        text_format(&text, i == 0 ? "%d" : ",%d", voters->members[i].id);
    TRACE_TEXT(quorum->env->world, RAFT_VOTERS, text_view(&text), voters->offset,
               voters->kraft_version, (int64_t)voters->count);
}

void quorum_voting_loaded(struct quorum *quorum, const struct quorum_scan *scan)
{
    struct quorum_voters voters = voting_configured(quorum);

    if (scan->has_voters) {
        voters = scan->voters;
        voters.kraft_version = 1;
        voters.offset = -1;
    }
    voting_set_all(&quorum->voting, &voters);
}

const struct quorum_member *quorum_voting_find(const struct quorum *quorum, int32_t id)
{
    const struct quorum_voting *voting = &quorum->voting;

    if (id < 0) return NULL;
    if (voting->leader.id == id) return &voting->leader;
    for (uint32_t i = 0; i < voting->current.count; i++)
        if (voting->current.members[i].id == id) return &voting->current.members[i];
    return NULL;
}

void quorum_voting_learn(struct quorum *quorum, int32_t id, struct str host, uint16_t port,
                         bool itself)
{
    struct quorum_voting *voting = &quorum->voting;
    const struct quorum_member *voter = quorum_voters_find(&voting->current, id);
    struct quorum_member member;

    if (id < 0 || id == quorum->config.node_id || port == 0) return;
    if (voter != NULL && !itself) return; /* the set knows better than a third one */
    if (quorum_voters_member(&member, id, (struct uuid){{0}}, host, port) != ERR_NONE) return;
    if (voter != NULL) member.directory = voter->directory;
    if (quorum_voters_same(&member, &voting->leader)) return;
    if (voter != NULL && voter->port == port && str_equal(str_of(voter->host), host)) return;
    voting->leader = member;
    quorum_link_settle(quorum);
}

/* ---- what comes into the log ----------------------------------------------------------------- */

/* Of more than two only the last two can matter: the others are committed. */
void quorum_voting_await(struct quorum *quorum, const struct quorum_voters *voters)
{
    struct quorum_voting *voting = &quorum->voting;

    if (voting->pending_count == COUNT_OF(voting->pending)) {
        voting->pending[0] = voting->pending[1];
        voting->pending_count--;
    }
    voting->pending[voting->pending_count++] = *voters;
}

/* The last set of a control batch; false: it has none, or none that can be. */
static bool voting_read_batch(struct quorum *quorum, const struct record_batch *batch,
                              struct quorum_voters *voters)
{
    struct record_iter iter;
    struct record record;
    enum control_type type;
    bool found = false;

    if (!record_batch_is_control(batch) || record_batch_is_compressed(batch)) return false;
    record_iter_init(&iter, batch, record_batch_payload(batch));
    while (record_iter_next(&iter, &record) == ERR_NONE) {
        if (record_control_type(&record, &type) != ERR_NONE || type != CONTROL_KRAFT_VOTERS)
            continue;
        if (quorum_voters_decode(record.value, quorum->config.listener_name, &quorum->arena,
                                 voters) == ERR_NONE) {
            voters->offset = record.offset;
            found = true;
        }
        arena_reset(&quorum->arena);
    }
    return found;
}

void quorum_voting_note(struct quorum *quorum, struct bytes batches, int64_t end)
{
    struct record_batch_iter iter;
    struct record_batch batch;
    struct quorum_voters voters;

    record_batch_iter_init(&iter, batches);
    while (record_batch_iter_next(&iter, &batch)) {
        if (record_batch_end_offset(&batch) > end) return;
        if (voting_read_batch(quorum, &batch, &voters)) quorum_voting_await(quorum, &voters);
    }
}

static const struct raft_voters *voting_tell(struct quorum *quorum)
{
    struct quorum_voting *voting = &quorum->voting;

    quorum_voters_to_raft(&voting->current, &voting->raft);
    if (quorum_voters_find(&voting->current, voting->leader.id) != NULL)
        voting->leader.id = RAFT_NOBODY;
    if (quorum->state != QUORUM_RUNNING) return &voting->raft; /* not started yet */
    quorum_link_settle(quorum);
    quorum_voting_trace(quorum);
    op_wake(&quorum->change_source);
    return &voting->raft;
}

const struct raft_voters *quorum_voting_appended(struct quorum *quorum)
{
    struct quorum_voting *voting = &quorum->voting;
    bool moved = false;

    while (voting->pending_count > 0 && voting->pending[0].offset < quorum->log->log_end) {
        voting->previous = voting->current;
        voting->current = voting->pending[0];
        voting->pending[0] = voting->pending[1];
        voting->pending_count--;
        moved = true;
    }
    return moved ? voting_tell(quorum) : NULL;
}

const struct raft_voters *quorum_voting_cut(struct quorum *quorum)
{
    struct quorum_voting *voting = &quorum->voting;
    int64_t end = quorum->log->log_end;

    voting->pending_count = 0;
    if (voting->current.offset < end) return NULL;
    if (voting->previous.offset >= end) {
        /* Only the last one in a log can be uncommitted: committed entries were cut. */
        quorum_driver_fail(quorum, ERR_DAMAGED,
                           STR("a committed set of voters was cut off the metadata log"));
        return NULL;
    }
    voting->current = voting->previous;
    return voting_tell(quorum);
}

const struct raft_voters *quorum_voting_installed(struct quorum *quorum)
{
    quorum->voting.pending_count = 0;
    quorum_voting_loaded(quorum, &quorum->keep.scan);
    return voting_tell(quorum);
}

enum err quorum_voting_apply(struct quorum *quorum, const struct record_batch *batch)
{
    struct quorum_voters voters;

    if (voting_read_batch(quorum, batch, &voters)) quorum->voting.applied = voters;
    return ERR_NONE;
}

/* ---- the log as it is found at the start ----------------------------------------------------- */

bool quorum_voting_read_next(struct quorum *quorum)
{
    struct quorum_voting *voting = &quorum->voting;
    int64_t from = voting->read.next_offset;

    if (from < quorum->applied_end) from = quorum->applied_end;
    if (from < quorum->log->log_start) from = quorum->log->log_start;
    if (from >= quorum->log->log_end) return false;
    voting->read = (struct log_read){.offset = from,
                                     .limit = quorum->log->log_end,
                                     .max_bytes = QUORUM_COMMIT_SLICE_BYTES,
                                     .first_whole = true};
    op_source_init(&voting->read.source);
    log_read(quorum->log, &voting->read);
    return true;
}

enum err quorum_voting_read_done(struct quorum *quorum)
{
    struct quorum_voting *voting = &quorum->voting;
    enum err err = voting->read.err;

    for (uint32_t i = 0; i < voting->read.count && err == ERR_NONE; i++)
        quorum_voting_note(quorum, voting->read.slices[i], quorum->log->log_end);
    if (err == ERR_NONE && voting->read.next_offset <= voting->read.offset) err = ERR_DAMAGED;
    log_read_release(&voting->read);
    (void)quorum_voting_appended(quorum);
    return err;
}

/* ---- what a leader writes -------------------------------------------------------------------- */

static enum err voting_put(struct quorum *quorum, struct record_builder *builder,
                           enum control_type type, struct bytes value)
{
    return record_builder_append_control(builder, quorum->env->now.wall.ms, type, value);
}

struct buf *quorum_voting_batch(struct quorum *quorum, int64_t offset, int32_t epoch,
                                struct bytes leader_change, const struct quorum_voters *voters,
                                struct bytes *batch)
{
    struct record_builder_config config = record_builder_config_control(quorum->env->world->cpu);
    struct record_builder builder;
    uint8_t value[QUORUM_VOTERS_BYTES];
    struct buf *buf = buf_take(&quorum->env->payload, 1024 + sizeof value, true);
    enum err err = ERR_NONE;

    if (buf == NULL) return NULL;
    config.base_offset = offset;
    config.partition_leader_epoch = epoch;
    record_builder_init(&builder, &config, buf->data, buf->capacity);
    if (leader_change.data != NULL)
        err = voting_put(quorum, &builder, CONTROL_LEADER_CHANGE, leader_change);
    ASSERT(err == ERR_NONE);
    if (voters != NULL) {
        err = voting_put(quorum, &builder, CONTROL_KRAFT_VERSION,
                         quorum_voters_encode_version(voters->kraft_version, value));
        ASSERT(err == ERR_NONE);
        err = voting_put(quorum, &builder, CONTROL_KRAFT_VOTERS,
                         quorum_voters_encode(voters, quorum->config.listener_name, value));
        ASSERT(err == ERR_NONE);
    }
    *batch = record_builder_finish(&builder);
    return buf;
}

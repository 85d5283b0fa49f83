/* The op that drives raft: it takes what came in, one event at a time, gives it to the machine, and
 * carries out what comes back. While quorum-state is being written everything else waits. */
#include "broker/raft/quorum_internal.h"

#include "client/base/assert.h"
#include "client/base/text.h"

void quorum_driver_wake(struct quorum *quorum)
{
    op_wake(&quorum->driver_source);
}

void quorum_driver_fail(struct quorum *quorum, enum err err, struct str why)
{
    if (quorum_over(quorum)) return;
    TRACE_TEXT(quorum->env->world, NODE_ERROR, why, err);
    quorum->state = QUORUM_FAILED;
    quorum->err = err;
    quorum->leader = RAFT_NOBODY;
    quorum_log_unlead(quorum);
    while (!list_empty(&quorum->requests)) {
        struct list *link = quorum->requests.next;

        list_remove(link);
        quorum_request_refuse(LIST_ENTRY(link, struct quorum_request, link),
                              ERR_UNKNOWN_SERVER_ERROR);
    }
    op_wake(&quorum->state_source);
    op_wake(&quorum->leader_source);
    op_wake(&quorum->fetch_source);
    op_wake(&quorum->commit_source);
    op_wake(&quorum->keep.source);
    op_wake(&quorum->change_source);
    op_wake(&quorum->join.source);
    op_wake(&quorum->driver_source);
}

/* ---- effects
 * ---------------------------------------------------------------------------------- */

static void quorum_driver_note(struct quorum *quorum, const struct raft_note *note)
{
    static const enum trace_kind kinds[] = {
        [RAFT_NOTE_STATE] = TRACE_RAFT_STATE,     [RAFT_NOTE_VOTE] = TRACE_RAFT_VOTE,
        [RAFT_NOTE_ELECTED] = TRACE_RAFT_ELECTED, [RAFT_NOTE_HW] = TRACE_RAFT_HW,
        [RAFT_NOTE_FETCHED] = TRACE_RAFT_FETCHED, [RAFT_NOTE_FLUSHED] = TRACE_RAFT_FLUSHED,
    };

    trace_emit(quorum->env->world, kinds[note->kind], STR_NULL, note->fields, note->field_count);
}

static void quorum_driver_store(struct quorum *quorum, const struct raft_durable *durable)
{
    quorum->file.length = quorum_file_print(durable, (char *)quorum->file.bytes);
    quorum_file_replace(&quorum->file);
    quorum->storing = true;
}

static void quorum_driver_leader(struct quorum *quorum, int32_t leader, int32_t epoch)
{
    quorum->leader = leader;
    quorum->epoch = epoch;
    for (uint32_t i = 0; i < COUNT_OF(quorum->replicas); i++)
        quorum->replicas[i].used = false;
    if (leader != quorum->config.node_id) quorum_log_unlead(quorum);
    op_wake(&quorum->join.source);
    quorum_log_tell_leader(quorum);
    op_wake(&quorum->leader_source);
    op_wake(&quorum->fetch_source);
    op_wake(&quorum->commit_source);
}

static void quorum_driver_trust(struct quorum *quorum)
{
    if (quorum->raft.distrusted) {
        TRACE_TEXT(quorum->env->world, NODE_WARNING,
                   STR("the metadata log is shorter than what this node acknowledged: it neither "
                       "votes nor leads until it has fetched the rest again"),
                   ERR_DAMAGED);
    } else {
        TRACE_TEXT(quorum->env->world, NODE_WARNING,
                   STR("the metadata log is whole again: this node votes"), ERR_NONE);
    }
}

static void quorum_driver_set_back(struct quorum *quorum, const struct raft_effect *effect)
{
    char line[160];
    struct text text;

    text_init(&text, line, sizeof line);
    text_format(&text,
                "voter %d lacks entries below %D that it had acknowledged: its disk was set back; "
                "it is told to neither vote nor lead until it has them again",
                effect->peer, effect->end);
    TRACE_TEXT(quorum->env->world, NODE_WARNING, text_view(&text), ERR_DAMAGED);
}

static void quorum_driver_effect(struct quorum *quorum, const struct raft_effect *effect)
{
    struct quorum_request *asked = quorum->answering;

    switch (effect->kind) {
    case RAFT_STORE: quorum_driver_store(quorum, &effect->durable); break;
    case RAFT_ANSWER:
        quorum->answering = NULL;
        if (asked != NULL) quorum_request_answer(asked, &effect->reply);
        break;
    case RAFT_ANSWER_FETCH:
        quorum->answering = NULL;
        if (asked != NULL) quorum_request_answer_fetch(asked, &effect->answer);
        break;
    case RAFT_SEND_VOTE:
    case RAFT_SEND_BEGIN:
    case RAFT_SEND_END:
    case RAFT_SEND_FETCH:
    case RAFT_SEND_SNAPSHOT: quorum_call_send(quorum, effect); break;
    case RAFT_SAVE_PART: quorum_install_part(quorum, quorum->applying, effect->position); break;
    case RAFT_INSTALL: quorum_install(quorum, effect->end, effect->log_epoch); break;
    case RAFT_APPEND: quorum_log_append(quorum, quorum->applying); break;
    case RAFT_FLUSH: quorum_log_work(quorum, QUORUM_WORK_FLUSH, quorum->raft.log_end); break;
    case RAFT_TRUNCATE: quorum_log_work(quorum, QUORUM_WORK_TRUNCATE, effect->end); break;
    case RAFT_LEAD: quorum_log_lead(quorum, effect->epoch); break;
    case RAFT_LEADER_CHANGED: quorum_driver_leader(quorum, effect->peer, effect->epoch); break;
    case RAFT_HW_CHANGED:
        quorum->high_watermark = effect->high_watermark;
        log_note_high_watermark(quorum->log, effect->high_watermark);
        op_wake_below(&quorum->hw_source, effect->high_watermark);
        op_wake(&quorum->fetch_source);
        op_wake(&quorum->commit_source);
        op_wake(&quorum->change_source);
        break;
    case RAFT_TRUST_CHANGED: quorum_driver_trust(quorum); break;
    case RAFT_DISOWN: quorum_log_work(quorum, QUORUM_WORK_DISOWN, effect->end); break;
    case RAFT_SET_BACK: quorum_driver_set_back(quorum, effect); break;
    case RAFT_FAULTED:
        quorum_driver_fail(quorum,
                           effect->fault == RAFT_FAULT_LOG || effect->fault == RAFT_FAULT_STORE
                               ? ERR_IO
                               : ERR_DAMAGED,
                           str_of(raft_fault_text(effect->fault)));
        break;
    }
}

static void quorum_driver_give(struct quorum *quorum, struct raft_event *event)
{
    struct raft_effects *effects = quorum->effects;

    event->now = quorum->env->now.mono;
    raft_step(&quorum->raft, event, effects);
    for (uint32_t i = 0; i < effects->note_count; i++) {
        quorum_driver_note(quorum, &effects->notes[i]);
    }
    for (uint32_t i = 0; i < effects->count; i++) {
        quorum_driver_effect(quorum, &effects->effects[i]);
    }
    if (quorum->answering != NULL && !raft_storing(&quorum->raft)) {
        struct quorum_request *asked = quorum->answering;

        quorum->answering = NULL;
        quorum_request_refuse(asked, ERR_UNKNOWN_SERVER_ERROR);
    }
}

/* ---- what there is to do
 * ---------------------------------------------------------------------- */

enum quorum_driver_item {
    ITEM_NONE,
    ITEM_STORED,
    ITEM_LOG_FAILED,
    ITEM_ASSIGNED,
    ITEM_APPENDED,
    ITEM_REFUSED,
    ITEM_WORK,
    ITEM_STARTS,
    ITEM_REPLY,
    ITEM_REQUEST,
    ITEM_RESIGN,
    ITEM_TICK,
    ITEM_DRAIN,
};

static bool quorum_driver_log_failed(const struct quorum *quorum)
{
    return quorum->log->state == LOG_FAILED ||
           quorum_log_failures(quorum) != quorum->log_failures ||
           (quorum->work.done && quorum->work.err != ERR_NONE);
}

/* In order of urgency: what the log did comes before anything that is judged by it. */
static enum quorum_driver_item quorum_driver_next(const struct quorum *quorum)
{
    const struct raft *raft = &quorum->raft;
    const struct log *log = quorum->log;
    bool cutting =
        (quorum->work.busy || quorum->work.done) &&
        (quorum->work.kind == QUORUM_WORK_TRUNCATE || quorum->work.kind == QUORUM_WORK_INSTALL);

    if (quorum_over(quorum)) return ITEM_NONE;
    if (quorum->storing) return quorum->file.busy ? ITEM_NONE : ITEM_STORED;
    if (quorum_driver_log_failed(quorum)) return ITEM_LOG_FAILED;
    if (!cutting && log->assigned_end > raft->assigned_end) return ITEM_ASSIGNED;
    if (!cutting && log->log_end > raft->log_end) return ITEM_APPENDED;
    if (quorum->append_refused) return ITEM_REFUSED;
    if (quorum->work.done) return ITEM_WORK;
    if (quorum->starts_moved && !cutting) return ITEM_STARTS;
    if (!list_empty(&quorum->replies)) return ITEM_REPLY;
    if (!list_empty(&quorum->requests)) return ITEM_REQUEST;
    if (quorum->resign_wanted) return ITEM_RESIGN;
    if (quorum->env->now.mono.ns >= raft_deadline(raft).ns) return ITEM_TICK;
    if (quorum_log_drain_ready(quorum)) return ITEM_DRAIN;
    return ITEM_NONE;
}

static void quorum_driver_tell_durable(struct quorum *quorum, const struct raft_durable *durable)
{
    TRACE(quorum->env->world, RAFT_STORED, durable->epoch, durable->leader, durable->voted);
}

static void quorum_driver_stored(struct quorum *quorum)
{
    struct raft_event event = {.kind = RAFT_STORED, .err = quorum->file.err};

    quorum->storing = false;
    if (event.err == ERR_NONE) quorum_driver_tell_durable(quorum, &quorum->raft.durable);
    quorum_driver_give(quorum, &event);
    op_wake(&quorum->fetch_source); /* parked fetches do not look while something is being stored */
}

static void quorum_driver_worked(struct quorum *quorum)
{
    struct quorum_work *work = &quorum->work;
    struct raft_event event = {.end = work->end};
    enum quorum_work_kind kind = work->kind; /* the step may begin another one */

    work->done = false;
    switch (kind) {
    case QUORUM_WORK_FLUSH: event.kind = RAFT_FLUSHED; break;
    case QUORUM_WORK_PART: event.kind = RAFT_PART_SAVED; break;
    case QUORUM_WORK_DISOWN: event.kind = RAFT_DISOWNED; break;
    case QUORUM_WORK_INSTALL:
        event.kind = work->refused ? RAFT_NOT_INSTALLED : RAFT_INSTALLED;
        event.log = quorum_keep_log(quorum);
        if (!work->refused) event.voters = quorum_voting_installed(quorum);
        quorum->starts_moved = false;
        break;
    case QUORUM_WORK_TRUNCATE:
        event.kind = RAFT_TRUNCATED;
        event.end = quorum->log->log_end;
        event.epoch = quorum_log_last_epoch(quorum);
        event.voters = quorum_voting_cut(quorum);
        break;
    }
    quorum_driver_give(quorum, &event);
    if (kind == QUORUM_WORK_INSTALL) quorum_install_finish(quorum);
}

static void quorum_driver_reply(struct quorum *quorum)
{
    struct quorum_call *call = LIST_ENTRY(quorum->replies.next, struct quorum_call, ready);
    struct raft_fetch_reply *fetched = &call->event.fetched;

    list_remove(&call->ready);
    if (call->event.kind == RAFT_FETCH_REPLY && fetched->diverging) {
        struct log_epoch_end own = log_end_offset_for(quorum->log, fetched->diverging_epoch);

        fetched->own_epoch = own.epoch;
        fetched->own_end = own.end_offset;
    }
    quorum->applying = call;
    quorum_driver_give(quorum, &call->event);
    quorum->applying = NULL;
    /* What raft wanted next may be the same kind to the same voter: then the call is a new one, on
     * its way already. */
    if (call->answered) quorum_call_finish(call);
    if (quorum_call_foreign(quorum)) {
        quorum_driver_fail(quorum, ERR_INCONSISTENT_CLUSTER_ID,
                           STR("the controllers are of another cluster than this directory "
                               "(cluster.id in meta.properties, controller.quorum.voters)"));
    }
}

static void quorum_driver_do(struct quorum *quorum, enum quorum_driver_item item)
{
    struct raft_event event = {.end = quorum->log->log_end};

    switch (item) {
    case ITEM_NONE: break;
    case ITEM_STORED: quorum_driver_stored(quorum); break;
    case ITEM_LOG_FAILED:
        event.kind = RAFT_LOG_FAILED;
        quorum_driver_give(quorum, &event);
        break;
    case ITEM_ASSIGNED:
        event.kind = RAFT_ASSIGNED;
        event.end = quorum->log->assigned_end;
        quorum_driver_give(quorum, &event);
        break;
    case ITEM_APPENDED:
        event.kind = RAFT_APPENDED;
        event.epoch = quorum_log_last_epoch(quorum);
        event.voters = quorum_voting_appended(quorum);
        quorum_driver_give(quorum, &event);
        op_wake(&quorum->fetch_source);
        break;
    case ITEM_REFUSED:
        quorum->append_refused = false;
        event.kind = RAFT_APPEND_REFUSED;
        quorum_driver_give(quorum, &event);
        break;
    case ITEM_WORK: quorum_driver_worked(quorum); break;
    case ITEM_STARTS:
        quorum->starts_moved = false;
        event.kind = RAFT_LOG_STARTS;
        event.log = quorum_keep_log(quorum);
        quorum_driver_give(quorum, &event);
        op_wake(&quorum->fetch_source);
        break;
    case ITEM_REPLY: quorum_driver_reply(quorum); break;
    case ITEM_REQUEST:
        quorum->answering = LIST_ENTRY(quorum->requests.next, struct quorum_request, link);
        list_remove(&quorum->answering->link);
        quorum_driver_give(quorum, quorum_request_event(quorum->answering));
        break;
    case ITEM_RESIGN:
        quorum->resign_wanted = false;
        event.kind = RAFT_RESIGN;
        event.epoch = quorum->resign_epoch;
        quorum_driver_give(quorum, &event);
        break;
    case ITEM_TICK:
        event.kind = RAFT_TICK;
        quorum_driver_give(quorum, &event);
        break;
    case ITEM_DRAIN: quorum_log_drain(quorum); break;
    }
}

/* ---- the op
 * ----------------------------------------------------------------------------------- */

enum quorum_driver_step {
    DRIVER_START,
    DRIVER_STATE_LOADED,
    DRIVER_HINT_LOADED,
    DRIVER_HINT_MADE,
    DRIVER_SNAPSHOT_LOADED,
    DRIVER_EVENT,
    DRIVER_STORED,
    DRIVER_TOLD,
    DRIVER_CLOSED,
    DRIVER_WORKED,
    DRIVER_HINT_CLOSED,
};

static const char *const quorum_driver_steps[] = {
    "START",  "STATE_LOADED", "HINT_LOADED", "HINT_MADE", "SNAPSHOT_LOADED", "EVENT",
    "STORED", "TOLD",         "CLOSED",      "WORKED",    "HINT_CLOSED",
};
_Static_assert(COUNT_OF(quorum_driver_steps) == DRIVER_HINT_CLOSED + 1, "one name a step");

static enum err quorum_driver_take_state(struct quorum *quorum, struct raft_durable *durable)
{
    struct quorum_file *file = &quorum->file;

    *durable = (struct raft_durable){.leader = RAFT_NOBODY, .voted = RAFT_NOBODY};
    if (file->err == ERR_NOT_FOUND) return ERR_NONE; /* the epoch comes from the log (K28) */
    if (file->err != ERR_NONE) return file->err;
    return quorum_file_parse((struct str){(const char *)file->bytes, file->length}, durable);
}

/* No hint yet: nothing is known to have been acknowledged. Both slots are made valid. */
static void quorum_driver_make_hint(struct quorum *quorum)
{
    struct cpu cpu = quorum->env->world->cpu;

    quorum->hint = (struct quorum_hint){.sequence = 0, .end = 0};
    (void)quorum_file_print_hint(quorum->hint_file.bytes, cpu, &quorum->hint);
    quorum->hint.sequence = 1;
    (void)quorum_file_print_hint(quorum->hint_file.bytes, cpu, &quorum->hint);
    quorum->hint_file.length = QUORUM_HINT_SIZE;
    quorum_file_replace(&quorum->hint_file);
}

static enum err quorum_driver_take_hint(struct quorum *quorum)
{
    struct quorum_file *file = &quorum->hint_file;

    if (file->err != ERR_NONE) return file->err;
    return quorum_file_parse_hint((struct bytes){file->bytes, file->length},
                                  quorum->env->world->cpu, &quorum->hint);
}

static void quorum_driver_begin(struct quorum *quorum)
{
    struct raft_config config = {.node_id = quorum->config.node_id,
                                 .directory_id = quorum->config.directory_id,
                                 .voter_count = quorum->config.voter_count,
                                 .bootstrap_count = quorum->config.bootstrap_count,
                                 .may_join = quorum->config.may_join,
                                 .election_timeout_ms = quorum->config.election_timeout_ms,
                                 .fetch_timeout_ms = quorum->config.fetch_timeout_ms,
                                 .election_backoff_max_ms = quorum->config.election_backoff_max_ms,
                                 .retry_backoff_ms = quorum->config.retry_backoff_ms};
    struct raft_log log = quorum_keep_log(quorum);
    struct raft_durable durable;
    struct raft_event event = {.kind = RAFT_START};

    if (quorum_driver_take_state(quorum, &durable) != ERR_NONE) {
        quorum_driver_fail(quorum, ERR_DAMAGED, STR("quorum-state cannot be read"));
        return;
    }
    for (uint32_t i = 0; i < config.voter_count; i++) {
        config.voters[i] = quorum->config.voters[i].id;
    }
    quorum_voters_to_raft(&quorum->voting.current, &quorum->voting.raft);
    if (quorum->voting.current.kraft_version > 0) log.voters = &quorum->voting.raft;
    quorum_voting_trace(quorum);
    /* A former life may have died between the rename and its note: the load has synced it (K3). */
    if (quorum->file.err == ERR_NONE) quorum_driver_tell_durable(quorum, &durable);
    quorum_link_settle(quorum);
    raft_init(&quorum->raft, &config, &quorum->rng, &durable, &log);
    quorum->log_failures = quorum_log_failures(quorum);
    quorum->high_watermark = quorum->raft.high_watermark;
    quorum->state = QUORUM_RUNNING;
    quorum_log_start(quorum);
    quorum_keep_start(quorum);
    quorum_join_start(quorum);
    quorum_driver_give(quorum, &event);
    op_wake(&quorum->state_source);
}

static void quorum_driver_pump(struct quorum *quorum)
{
    enum quorum_driver_item item;

    while ((item = quorum_driver_next(quorum)) != ITEM_NONE) {
        if (quorum->stop_wanted && !quorum->storing) return;
        quorum_driver_do(quorum, item);
    }
}

static int64_t quorum_driver_deadline(const struct quorum *quorum)
{
    int64_t raft = raft_deadline(&quorum->raft).ns;
    int64_t drain = quorum_log_drain_deadline(quorum);

    return raft < drain ? raft : drain;
}

static void quorum_driver_say_goodbye(struct quorum *quorum)
{
    struct raft_event event = {.kind = RAFT_RESIGN, .epoch = quorum->raft.durable.epoch};

    if (quorum->storing) quorum_driver_stored(quorum);
    if (quorum_over(quorum)) return;
    quorum->state = QUORUM_STOPPING;
    quorum_log_unlead(quorum);
    quorum_driver_give(quorum, &event);
    op_deadline(&quorum->driver.op, env_deadline(quorum->env, quorum->config.request_timeout_ms));
}

static void quorum_driver_ended(struct quorum *quorum)
{
    while (!list_empty(&quorum->requests)) {
        struct list *link = quorum->requests.next;

        list_remove(link);
        quorum_request_refuse(LIST_ENTRY(link, struct quorum_request, link),
                              ERR_NOT_LEADER_OR_FOLLOWER);
    }
    if (quorum->state != QUORUM_FAILED) quorum->state = QUORUM_STOPPED;
    op_wake(&quorum->commit_source);
    op_wake(&quorum->keep.source);
    op_wake(&quorum->change_source);
    op_wake(&quorum->join.source);
    op_wake(&quorum->fetch_source);
    op_wake(&quorum->state_source);
    if (op_live(&quorum->watch.op)) op_cancel(&quorum->watch.op);
}

static enum op_result quorum_driver_run(struct op *op)
{
    struct quorum_flow *o = CONTAINER_OF(op, struct quorum_flow, op);
    struct quorum *q = CONTAINER_OF(o, struct quorum, driver);

    switch ((enum quorum_driver_step)op->step) {
    case DRIVER_START:
        quorum_file_load(&q->file);
        AWAIT(o, DRIVER_STATE_LOADED, &q->file.done_source, !q->file.busy);
        quorum_file_load(&q->hint_file);
        AWAIT(o, DRIVER_HINT_LOADED, &q->hint_file.done_source, !q->hint_file.busy);
        if (q->hint_file.err == ERR_NOT_FOUND) {
            quorum_driver_make_hint(q);
        }
        AWAIT(o, DRIVER_HINT_MADE, &q->hint_file.done_source, !q->hint_file.busy);
        if (quorum_driver_take_hint(q) != ERR_NONE) {
            quorum_driver_fail(q, ERR_DAMAGED, STR("acknowledged-end cannot be read"));
        } else {
            quorum_keep_load(q);
        }
        AWAIT(o, DRIVER_SNAPSHOT_LOADED, &q->keep.source, q->keep.loaded || quorum_over(q));
        if (!quorum_over(q)) quorum_driver_begin(q);
        while (!quorum_over(q) && !q->stop_wanted) {
            quorum_driver_pump(q);
            if (quorum_over(q) || q->stop_wanted) break;
            q->driver_until_ns = quorum_driver_deadline(q);
            op_deadline(op, q->driver_until_ns);
            AWAIT(o, DRIVER_EVENT, &q->driver_source,
                  q->stop_wanted || quorum_over(q) || quorum_driver_next(q) != ITEM_NONE ||
                      quorum_driver_deadline(q) < q->driver_until_ns); /* a linger began */
        }
        op_deadline(op, OP_NO_DEADLINE);
        /* FAILED: stays to be stopped. */
        AWAIT(o, DRIVER_STORED, &q->driver_source, q->stop_wanted && !q->file.busy);
        if (!quorum_over(q)) quorum_driver_say_goodbye(q);
        AWAIT(o, DRIVER_TOLD, &q->driver_source,
              quorum_over(q) || !quorum_call_ends_out(q) || op_expired(op));
        op_deadline(op, OP_NO_DEADLINE);
        quorum_link_close(q);
        AWAIT(o, DRIVER_CLOSED, &quorum_link_open_peer(q)->changed,
              quorum_link_open_peer(q) == NULL);
        AWAIT(o, DRIVER_WORKED, &q->driver_source, !q->work.busy);
        quorum_file_close(&q->hint_file);
        AWAIT(o, DRIVER_HINT_CLOSED, &q->hint_file.done_source, !q->hint_file.busy);
        quorum_driver_ended(q);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static const struct op_kind quorum_driver_kind = {
    "quorum_driver", quorum_driver_steps, COUNT_OF(quorum_driver_steps), quorum_driver_run, NULL};

void quorum_driver_start(struct quorum *quorum)
{
    quorum->state = QUORUM_STARTING;
    op_start(&quorum->env->loop, &quorum->driver.op, &quorum_driver_kind, DRIVER_START);
}

#include "tests/support/raft_cluster.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MS NS_PER_MS

enum { CLUSTER_PARTS = 3 }; /* of a snapshot */

static void fail(struct cluster *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct cluster *c, const char *format, ...)
{
    va_list list;

    if (c->failure[0] != '\0') return;
    va_start(list, format);
    vsnprintf(c->failure, sizeof c->failure, format, list);
    va_end(list);
}

bool cluster_failed(const struct cluster *cluster)
{
    return cluster->failure[0] != '\0';
}

static struct cluster_item *item_new(struct cluster *c, enum cluster_what what, uint32_t to,
                                     int64_t delay)
{
    for (uint32_t i = 0; i < CLUSTER_ITEMS; i++) {
        struct cluster_item *item = &c->items[i];

        if (item->what != CLUSTER_FREE) continue;
        if (i >= c->item_top) c->item_top = i + 1;
        memset(item, 0, offsetof(struct cluster_item, entries));
        item->entry_count = 0;
        item->what = what;
        item->to = to;
        item->at = c->now + delay;
        item->sequence = c->sequence++;
        item->incarnation = c->node[to].incarnation;
        return item;
    }
    fail(c, "too many items in flight");
    return &c->items[0];
}

static int64_t draw(struct cluster *c, int64_t mean)
{
    return 1000 + rng_exponential(&c->rng, mean);
}

static int32_t last_epoch(const struct cluster_node *n)
{
    return n->log_end > 0 ? n->log[n->log_end - 1].epoch : 0;
}

static int64_t end_for(const struct cluster_node *n, int32_t epoch, int32_t *found)
{
    int64_t end = n->log_end;

    if (n->log_end == 0 || epoch > last_epoch(n)) { /* undefined */
        *found = -1;
        return -1;
    }
    while (end > 0 && n->log[end - 1].epoch > epoch)
        end--;
    *found = end > 0 ? n->log[end - 1].epoch : epoch;
    return end;
}

static void check_epoch_shown(struct cluster *c, uint32_t node, int32_t epoch)
{
    struct cluster_node *n = &c->node[node];

    if (epoch < n->epoch_shown)
        fail(c, "K3: node %u shows epoch %d after %d", node, epoch, n->epoch_shown);
    if (epoch > n->stored.epoch)
        fail(c, "K3: node %u shows epoch %d, stored %d", node, epoch, n->stored.epoch);
    n->epoch_shown = epoch;
}

static void check_vote(struct cluster *c, uint32_t node, int32_t epoch, int32_t candidate)
{
    if (epoch >= CLUSTER_EPOCHS) {
        fail(c, "epochs grew to %d", epoch);
        return;
    }
    if (c->granted[node][epoch] != RAFT_NOBODY && c->granted[node][epoch] != candidate) {
        fail(c, "K2: node %u votes for %d and %d in epoch %d", node, c->granted[node][epoch],
             candidate, epoch);
    }
    c->granted[node][epoch] = candidate;
}

void cluster_match(struct cluster *c)
{
    for (uint32_t a = 0; a < c->nodes; a++) {
        for (uint32_t b = a + 1; b < c->nodes; b++) {
            const struct cluster_node *x = &c->node[a], *y = &c->node[b];
            int64_t at = x->log_end < y->log_end ? x->log_end : y->log_end;

            while (at > 0 && x->log[at - 1].epoch != y->log[at - 1].epoch)
                at--;
            for (int64_t i = 0; i < at; i++) {
                if (x->log[i].epoch != y->log[i].epoch || x->log[i].value != y->log[i].value) {
                    fail(c, "K4: nodes %u and %u differ at %lld below %lld", a, b, (long long)i,
                         (long long)at);
                }
            }
        }
    }
}

static bool holds(const struct cluster_node *n, int64_t end, int64_t up_to, const struct cluster *c)
{
    if (end < up_to) return false;
    for (int64_t i = 0; i < up_to; i++) {
        if (n->log[i].epoch != c->committed[i].epoch || n->log[i].value != c->committed[i].value) {
            return false;
        }
    }
    return true;
}

static void check_commit(struct cluster *c, uint32_t node, int64_t hw, int32_t epoch)
{
    struct cluster_node *n = &c->node[node];
    uint32_t durable = 0, rotten = 0;

    if (hw > n->log_end) fail(c, "K8: high watermark above the log end");
    if (hw <= n->raft.epoch_start) fail(c, "K8: high watermark not above the start of the epoch");
    if (hw < c->leader_hw[epoch]) fail(c, "K8: high watermark of epoch %d went back", epoch);
    c->leader_hw[epoch] = hw;
    for (int64_t i = 0; i < hw; i++) {
        if (i < c->committed_end) {
            if (n->log[i].epoch != c->committed[i].epoch ||
                n->log[i].value != c->committed[i].value) {
                fail(c, "K5/K21: %d commits something else at %lld", n->raft.config.node_id,
                     (long long)i);
            }
        } else {
            c->committed[i] = n->log[i];
            c->committed_end = i + 1;
            c->commits++;
        }
    }
    for (uint32_t i = 0; i < c->voters; i++) {
        if (holds(&c->node[i], c->node[i].disk_end, hw, c)) durable++;
        if (c->node[i].rotten) rotten++;
    }
    if (durable + rotten < c->voters / 2 + 1) {
        fail(c, "K6: [0,%lld) is committed in epoch %d and durable on %u of %u", (long long)hw,
             epoch, durable, c->voters);
    }
}

static void take_note(struct cluster *c, uint32_t node, const struct raft_note *note)
{
    struct cluster_node *n = &c->node[node];
    const int64_t *f = note->fields;

    switch (note->kind) {
    case RAFT_NOTE_STATE:
        if (f[2] > c->epoch_max) {
            bool grown = f[1] == RAFT_CANDIDATE || f[1] == RAFT_LEADER ||
                         (f[0] == RAFT_RESIGNED && f[1] == RAFT_UNATTACHED);

            if (!grown) fail(c, "K14: node %u invents epoch %d", node, (int)f[2]);
            c->epoch_max = (int32_t)f[2];
        }
        if (f[1] != RAFT_LEADER) n->may_append = -1;
        break;
    case RAFT_NOTE_ELECTED:
        c->elections++;
        if (c->elected[f[0]] != RAFT_NOBODY) {
            fail(c, "K1: epoch %d elects %d and %u", (int)f[0], c->elected[f[0]], node);
        }
        c->elected[f[0]] = (int32_t)node;
        /* The log as assigned: what is in flight is its prefix in any case. */
        if (!holds(n, n->assigned_end, c->committed_end, c)) {
            fail(c, "K5: leader %u of epoch %d lacks committed entries", node, (int)f[0]);
        }
        break;
    case RAFT_NOTE_HW:
        if (f[1] < n->hw_seen) fail(c, "K9: high watermark of node %u went back", node);
        if (f[1] > n->log_end) fail(c, "K9: high watermark above the log end of node %u", node);
        n->hw_seen = f[1];
        if (f[3]) {
            check_commit(c, node, f[1], (int32_t)f[2]);
        } else if (f[1] > c->committed_end || !holds(n, n->log_end, f[1], c)) {
            fail(c, "K9: node %u takes for committed what is not", node);
        }
        break;
    case RAFT_NOTE_VOTE:
        if (!f[2]) c->refusals++;
        break;
    case RAFT_NOTE_FETCHED:
    case RAFT_NOTE_FLUSHED: break;
    }
}

static void take_effect(struct cluster *c, uint32_t node, const struct raft_effect *e);

void cluster_give(struct cluster *c, uint32_t node, struct raft_event *event)
{
    struct cluster_node *n = &c->node[node];
    struct raft_effects *out = &(struct raft_effects){0};

    event->now = (struct mono_time){c->now};
    raft_step(&n->raft, event, out);
    for (uint32_t i = 0; i < out->note_count; i++)
        take_note(c, node, &out->notes[i]);
    for (uint32_t i = 0; i < out->count; i++)
        take_effect(c, node, &out->effects[i]);
}

static void send_request(struct cluster *c, uint32_t node, const struct raft_effect *e,
                         enum raft_request request, struct raft_event *event)
{
    uint32_t to = (uint32_t)e->peer;
    bool lost = rng_chance(&c->rng, c->loss) || c->cut[node][to];
    bool twice = rng_chance(&c->rng, c->duplicate);

    check_epoch_shown(c, node, e->epoch);
    for (int copy = 0; copy < 1 + twice; copy++) {
        struct cluster_item *item =
            item_new(c, lost ? CLUSTER_FAILED : CLUSTER_REQUEST, lost ? node : to,
                     lost ? 300 * MS : draw(c, c->delay_ns));

        item->from = lost ? to : node;
        item->incarnation = c->node[node].incarnation;
        item->request = request;
        item->round = e->round;
        item->event = *event;
        if (lost) return;
    }
}

static void append_entry(struct cluster *c, uint32_t node, struct cluster_entry entry)
{
    struct cluster_node *n = &c->node[node];

    if (n->assigned_end >= CLUSTER_LOG) {
        fail(c, "the log is full");
        return;
    }
    n->log[n->assigned_end++] = entry;
}

static void append_done_later(struct cluster *c, uint32_t node)
{
    struct cluster_item *item = item_new(c, CLUSTER_APPENDED, node, 0);
    int64_t latest = c->now;

    /* Appends of a log complete in order. */
    for (uint32_t i = 0; i < c->item_top; i++) {
        const struct cluster_item *other = &c->items[i];

        if (other != item && other->what == CLUSTER_APPENDED && other->to == node &&
            other->at > latest) {
            latest = other->at;
        }
    }
    item->at = latest + draw(c, c->disk_ns / 4);
    item->event.end = c->node[node].assigned_end;
    cluster_give(c, node,
                 &(struct raft_event){.kind = RAFT_ASSIGNED, .end = c->node[node].assigned_end});
}

static void reply_to(struct cluster *c, uint32_t node, const struct raft_effect *e)
{
    const struct cluster_item *asking = &c->node[node].asking;
    struct cluster_node *n = &c->node[node];
    uint32_t to = asking->from;
    bool lost = rng_chance(&c->rng, c->loss) || c->cut[node][to];
    bool twice = rng_chance(&c->rng, c->duplicate);
    int32_t epoch = e->kind == RAFT_ANSWER ? e->reply.epoch : e->answer.epoch;
    bool part = asking->request == RAFT_REQUEST_SNAPSHOT;

    if (!n->asked) fail(c, "node %u answers what nobody asked", node);
    n->asked = false;
    check_epoch_shown(c, node, epoch);
    if (e->kind == RAFT_ANSWER && asking->request == RAFT_REQUEST_VOTE && e->reply.granted &&
        !asking->event.vote.pre_vote) {
        check_vote(c, node, asking->event.vote.epoch, asking->event.vote.candidate);
    }
    for (int copy = 0; copy < 1 + twice; copy++) {
        struct cluster_item *item = item_new(c, lost ? CLUSTER_FAILED : CLUSTER_REPLY, to,
                                             lost ? 300 * MS : draw(c, c->delay_ns));

        item->from = node;
        item->incarnation = asking->incarnation;
        item->request = asking->request;
        item->round = asking->round;
        item->event.reply = e->reply;
        if (part) {
            struct raft_snapshot_reply *reply = &item->event.part;

            *reply = asking->event.part;
            reply->reply = e->reply;
            reply->size = CLUSTER_PARTS;
            reply->bytes = 1;
            if (e->reply.err == ERR_NONE && n->snapshot_end != reply->end)
                reply->reply.err = ERR_SNAPSHOT_NOT_FOUND;
        }
        if (e->kind == RAFT_ANSWER_FETCH) {
            const struct raft_fetch_answer *a = &e->answer;
            struct raft_fetch_reply *f = &item->event.fetched;

            f->reply = (struct raft_reply){.err = a->err, .leader = a->leader, .epoch = a->epoch};
            f->high_watermark = a->high_watermark;
            f->diverging = a->verdict == RAFT_FETCH_DIVERGING;
            f->diverging_epoch = a->diverging_epoch;
            f->diverging_end = a->diverging_end;
            f->wants_snapshot = a->verdict == RAFT_FETCH_SNAPSHOT;
            f->snapshot_end = a->snapshot_end;
            f->snapshot_epoch = a->snapshot_epoch;
            if (a->verdict == RAFT_FETCH_SERVE) {
                int64_t at = asking->event.fetch.fetch_offset;

                if (at < n->log_start) fail(c, "records below the log start are served");
                while (at < n->raft.log_end && item->entry_count < 8) {
                    item->entries[item->entry_count++] = n->log[at++];
                }
                f->has_records = item->entry_count > 0;
            }
        }
        if (lost) return;
    }
}

static void park(struct cluster *c, uint32_t node)
{
    const struct cluster_item *asking = &c->node[node].asking;
    struct cluster_item *item = item_new(c, CLUSTER_PARKED, node, 0);

    item->from = asking->from;
    item->incarnation = asking->incarnation;
    item->request = asking->request;
    item->round = asking->round;
    item->event = asking->event;
    item->until = c->now + 500 * MS;
    item->at = item->until;
    item->event.end = c->node[node].incarnation;
    c->node[node].asked = false;
}

static void take_effect(struct cluster *c, uint32_t node, const struct raft_effect *e)
{
    struct cluster_node *n = &c->node[node];
    struct raft_event ask = {.peer = (int32_t)node, .epoch = e->epoch};

    switch (e->kind) {
    case RAFT_STORE: {
        struct cluster_item *item = item_new(c, CLUSTER_STORED, node, draw(c, c->disk_ns));

        n->storing = e->durable;
        n->store_done_ns = item->at;
        break;
    }
    case RAFT_ANSWER: reply_to(c, node, e); break;
    case RAFT_ANSWER_FETCH:
        if (e->answer.verdict == RAFT_FETCH_PARK) {
            park(c, node);
        } else {
            reply_to(c, node, e);
        }
        break;
    case RAFT_SEND_VOTE:
        ask.kind = RAFT_VOTE_REQUEST;
        ask.vote = (struct raft_vote_request){.epoch = e->epoch,
                                              .candidate = (int32_t)node,
                                              .candidate_directory = n->raft.config.directory_id,
                                              .last_epoch = e->log_epoch,
                                              .log_end = e->end,
                                              .pre_vote = e->pre_vote};
        if (!e->pre_vote) check_vote(c, node, e->epoch, (int32_t)node);
        send_request(c, node, e, RAFT_REQUEST_VOTE, &ask);
        break;
    case RAFT_SEND_BEGIN:
        ask.kind = RAFT_BEGIN_REQUEST;
        send_request(c, node, e, RAFT_REQUEST_BEGIN, &ask);
        break;
    case RAFT_SEND_END:
        ask.kind = RAFT_END_REQUEST;
        memcpy(ask.successors, n->raft.successors, sizeof ask.successors);
        ask.successor_count = n->raft.successor_count;
        send_request(c, node, e, RAFT_REQUEST_END, &ask);
        break;
    case RAFT_SEND_FETCH:
        if (node < c->voters && e->end > n->disk_end) fail(c, "K11: fetch above what is flushed");
        if (node < c->voters && e->end > n->hint) fail(c, "K27: acknowledged above the hint");
        ask.kind = RAFT_FETCH_REQUEST;
        ask.fetch = (struct raft_fetch_request){.replica = (int32_t)node,
                                                .directory = n->raft.config.directory_id,
                                                .leader_epoch = e->epoch,
                                                .fetch_offset = e->end,
                                                .last_fetched_epoch = e->log_epoch,
                                                .known_hw = e->high_watermark,
                                                .park_allowed = true};
        send_request(c, node, e, RAFT_REQUEST_FETCH, &ask);
        break;
    case RAFT_SEND_SNAPSHOT:
        ask.kind = RAFT_SNAPSHOT_REQUEST;
        ask.snapshot =
            (struct raft_snapshot_request){(int32_t)node, n->raft.config.directory_id, e->epoch};
        ask.part = (struct raft_snapshot_reply){
            .end = e->end, .epoch = e->log_epoch, .position = e->position};
        send_request(c, node, e, RAFT_REQUEST_SNAPSHOT, &ask);
        break;
    case RAFT_SAVE_PART:
        item_new(c, CLUSTER_SAVED, node, draw(c, c->disk_ns))->event.end = e->position + 1;
        break;
    case RAFT_INSTALL: {
        struct cluster_item *item = item_new(c, CLUSTER_INSTALLED, node, draw(c, c->disk_ns));

        if (e->end < n->hw_seen) fail(c, "K10: node %u goes back to a snapshot", node);
        if (e->end > c->committed_end) fail(c, "K18: a snapshot above what is committed");
        item->event.end = e->end;
        item->event.epoch = e->log_epoch;
        break;
    }
    case RAFT_APPEND:
        for (uint32_t i = 0; i < n->fetched_count; i++)
            append_entry(c, node, n->fetched[i]);
        append_done_later(c, node);
        break;
    case RAFT_FLUSH:
        item_new(c, CLUSTER_FLUSHED, node, draw(c, c->disk_ns))->event.end = n->log_end;
        break;
    case RAFT_TRUNCATE:
        c->truncations++;
        if (e->end < n->hw_seen) fail(c, "K10: node %u cuts below its high watermark", node);
        if (n->hint > e->end && !n->raft.distrusted) n->hint = e->end;
        if (!n->rotten && e->end < c->committed_end && holds(n, n->log_end, e->end + 1, c)) {
            fail(c, "K10: node %u cuts a committed entry", node);
        }
        item_new(c, CLUSTER_CUT, node, draw(c, c->disk_ns))->event.end = e->end;
        break;
    case RAFT_LEAD:
        if (n->assigned_end != n->raft.epoch_start) fail(c, "K16: the epoch begins elsewhere");
        n->may_append = e->epoch;
        append_entry(c, node, (struct cluster_entry){e->epoch, 0});
        append_done_later(c, node);
        break;
    case RAFT_LEADER_CHANGED:
        if (e->peer != (int32_t)node) n->may_append = -1;
        break;
    case RAFT_HW_CHANGED: break;
    case RAFT_TRUST_CHANGED:
        if (n->raft.distrusted) c->distrusts++;
        break;
    case RAFT_DISOWN:
        if (n->hint < e->end) n->hint = e->end;
        item_new(c, CLUSTER_DISOWNED, node, draw(c, c->disk_ns));
        break;
    case RAFT_SET_BACK: c->set_back++; break;
    case RAFT_FAULTED: fail(c, "node %u: %s", node, raft_fault_text(e->fault)); break;
    }
}

/* The log in its place begins at the snapshot's end. */
static void begin_at_snapshot(struct cluster *c, struct cluster_node *n)
{
    for (int64_t i = 0; i < n->snapshot_end; i++)
        n->log[i] = c->committed[i];
    n->log_start = n->log_end = n->assigned_end = n->disk_end = n->snapshot_end;
    n->start_epoch = n->snapshot_epoch;
}

/* A start finds a snapshot beyond the log, or one from which the log parts. */
static struct cluster_node *at_snapshot(struct cluster *c, uint32_t node)
{
    struct cluster_node *n = &c->node[node];

    if (n->snapshot_end > 0 &&
        (n->log_end < n->snapshot_end || n->log[n->snapshot_end - 1].epoch != n->snapshot_epoch)) {
        begin_at_snapshot(c, n);
    }
    return n;
}

static void start_member(struct cluster *c, uint32_t node)
{
    struct cluster_node *n = at_snapshot(c, node);
    struct raft_config config = {.node_id = (int32_t)node,
                                 .voter_count = c->voters,
                                 .election_timeout_ms = 1000,
                                 .fetch_timeout_ms = 2000,
                                 .election_backoff_max_ms = 1000,
                                 .retry_backoff_ms = 20};
    struct raft_log log = {.log_end = n->log_end,
                           .flushed_end = n->disk_end,
                           .last_epoch = last_epoch(n),
                           .acknowledged_end = n->hint,
                           .log_start = n->log_start,
                           .start_epoch = n->start_epoch,
                           .snapshot_end = n->snapshot_end,
                           .snapshot_epoch = n->snapshot_epoch};
    uint64_t seed = rng_u64(&c->rng);

    config.directory_id.bytes[0] = (uint8_t)(node + 1);
    for (uint32_t i = 0; i < c->voters; i++)
        config.voters[i] = (int32_t)i;
    rng_init(&n->rng, seed);
    raft_init(&n->raft, &config, &n->rng, &n->stored, &log);
    n->up = true;
    n->may_append = -1;
    n->hw_seen = n->snapshot_end;
    cluster_give(c, node, &(struct raft_event){.kind = RAFT_START});
}

void cluster_init(struct cluster *c, uint64_t seed, uint32_t voters, uint32_t observers)
{
    uint32_t top = c->item_top;

    for (uint32_t i = 0; i < top; i++)
        c->items[i].what = CLUSTER_FREE;
    memset(c, 0, offsetof(struct cluster, node));
    c->item_top = 0;
    c->voters = voters;
    c->nodes = voters + observers;
    rng_init(&c->rng, seed);
    c->loss = c->duplicate = 0;
    c->delay_ns = 2 * MS;
    c->disk_ns = 2 * MS;
    memset(c->cut, 0, sizeof c->cut);
    c->next_value = 1;
    c->committed_end = 0;
    c->epoch_max = 0;
    c->rot_count = 0;
    c->elections = c->crashes = c->truncations = c->refusals = c->commits = c->distrusts = 0;
    c->installs = c->set_back = 0;
    c->failure[0] = '\0';
    for (uint32_t i = 0; i < CLUSTER_EPOCHS; i++)
        c->elected[i] = RAFT_NOBODY;
    memset(c->leader_hw, 0, sizeof c->leader_hw);
    memset(c->granted, 0xff, sizeof c->granted);
    for (uint32_t i = 0; i < c->nodes; i++) {
        struct cluster_node *n = &c->node[i];

        n->incarnation = 1;
        n->assigned_end = n->log_end = n->disk_end = n->hint = 0;
        n->stored = (struct raft_durable){.leader = RAFT_NOBODY, .voted = RAFT_NOBODY};
        n->rotten = false;
        n->log_start = n->snapshot_end = 0;
        n->start_epoch = n->snapshot_epoch = 0;
        n->epoch_shown = 0;
        n->fetched_count = 0;
        start_member(c, i);
    }
}

static struct raft_log starts(const struct cluster_node *n)
{
    return (struct raft_log){.log_start = n->log_start,
                             .start_epoch = n->start_epoch,
                             .snapshot_end = n->snapshot_end,
                             .snapshot_epoch = n->snapshot_epoch};
}

void cluster_snapshot(struct cluster *c, uint32_t node, bool cut)
{
    struct cluster_node *n = &c->node[node];
    struct raft_event event = {.kind = RAFT_LOG_STARTS};

    if (!n->up || n->raft.storing || n->raft.work == RAFT_INSTALLING) return;
    if (n->raft.high_watermark > n->snapshot_end) {
        n->snapshot_end = n->raft.high_watermark;
        n->snapshot_epoch = n->log[n->snapshot_end - 1].epoch;
    }
    if (cut && n->snapshot_end > n->log_start) {
        n->log_start = n->snapshot_end;
        n->start_epoch = n->snapshot_epoch;
    }
    event.log = starts(n);
    cluster_give(c, node, &event);
}

static void deliver_own(struct cluster *c, const struct cluster_item *item)
{
    struct cluster_node *n = &c->node[item->to];
    struct raft_event event = {.end = item->event.end};

    switch (item->what) {
    case CLUSTER_STORED:
        n->stored = n->storing;
        event.kind = RAFT_STORED;
        break;
    case CLUSTER_APPENDED:
        n->log_end = item->event.end;
        event.kind = RAFT_APPENDED;
        event.epoch = last_epoch(n);
        break;
    case CLUSTER_FLUSHED:
        if (n->disk_end < item->event.end) n->disk_end = item->event.end;
        item_new(c, CLUSTER_HINTED, item->to, draw(c, c->disk_ns))->event.end = item->event.end;
        return;
    case CLUSTER_HINTED:
        if (n->hint < item->event.end && n->disk_end >= item->event.end) n->hint = item->event.end;
        event.kind = RAFT_FLUSHED;
        break;
    case CLUSTER_CUT:
        n->log_end = n->assigned_end = item->event.end;
        if (n->disk_end > n->log_end) n->disk_end = n->log_end;
        event.kind = RAFT_TRUNCATED;
        event.epoch = last_epoch(n);
        break;
    case CLUSTER_SAVED: event.kind = RAFT_PART_SAVED; break;
    case CLUSTER_DISOWNED: event.kind = RAFT_DISOWNED; break;
    case CLUSTER_INSTALLED:
        c->installs++;
        n->snapshot_end = item->event.end;
        n->snapshot_epoch = item->event.epoch;
        if (!n->raft.distrusted || n->hint < n->snapshot_end) n->hint = n->snapshot_end;
        begin_at_snapshot(c, n);
        event.kind = RAFT_INSTALLED;
        event.log = starts(n);
        event.log.log_end = n->log_end;
        event.log.last_epoch = n->snapshot_epoch;
        break;
    case CLUSTER_FREE:
    case CLUSTER_REQUEST:
    case CLUSTER_REPLY:
    case CLUSTER_FAILED:
    case CLUSTER_PARKED:
    case CLUSTER_TIMER: return;
    }
    cluster_give(c, item->to, &event);
}

static void look_up(const struct cluster_node *n, struct raft_fetch_request *fetch)
{
    fetch->end_offset = end_for(n, fetch->last_fetched_epoch, &fetch->end_epoch);
    if (n->log_start > 0 && fetch->end_epoch < n->start_epoch) {
        fetch->end_epoch = n->start_epoch;
        fetch->end_offset = n->log_start;
    } else if (fetch->end_epoch < 0) {
        fetch->end_epoch = last_epoch(n);
        fetch->end_offset = n->log_end;
    }
}

static void deliver_request(struct cluster *c, const struct cluster_item *item)
{
    struct cluster_node *n = &c->node[item->to];
    struct raft_event event = item->event;
    struct raft_durable before = n->raft.durable;

    n->asking = *item;
    n->asked = true;
    if (event.kind == RAFT_FETCH_REQUEST) look_up(n, &event.fetch);
    cluster_give(c, item->to, &event);
    if (event.kind == RAFT_VOTE_REQUEST && event.vote.pre_vote &&
        event.vote.epoch <= before.epoch &&
        (n->raft.durable.epoch != before.epoch || n->raft.durable.voted != before.voted ||
         n->raft.durable.leader != before.leader)) {
        fail(c, "K14: a pre-vote changed node %u", item->to);
    }
}

static void deliver_parked(struct cluster *c, const struct cluster_item *item)
{
    struct cluster_node *n = &c->node[item->to];
    struct raft_fetch_request fetch = item->event.fetch;
    struct raft_effect effect = {.kind = RAFT_ANSWER_FETCH};

    fetch.park_allowed = c->now < item->until;
    look_up(n, &fetch);
    n->asking = *item;
    n->asked = true;
    raft_fetch_check(&n->raft, &fetch, &effect.answer);
    reply_to(c, item->to, &effect);
}

static void deliver_reply(struct cluster *c, const struct cluster_item *item, bool failed)
{
    static const enum raft_event_kind kinds[] = {
        [RAFT_REQUEST_VOTE] = RAFT_VOTE_REPLY,         [RAFT_REQUEST_BEGIN] = RAFT_BEGIN_REPLY,
        [RAFT_REQUEST_END] = RAFT_END_REPLY,           [RAFT_REQUEST_FETCH] = RAFT_FETCH_REPLY,
        [RAFT_REQUEST_SNAPSHOT] = RAFT_SNAPSHOT_REPLY,
    };
    struct cluster_node *n = &c->node[item->to];
    struct raft_event event = item->event;

    event.kind = failed ? RAFT_SEND_FAILED : kinds[item->request];
    event.peer = (int32_t)item->from;
    event.round = item->round;
    event.request = item->request;
    if (event.kind == RAFT_FETCH_REPLY) {
        n->fetched_count = item->entry_count;
        memcpy(n->fetched, item->entries, item->entry_count * sizeof *n->fetched);
        if (event.fetched.diverging) {
            event.fetched.own_end =
                end_for(n, event.fetched.diverging_epoch, &event.fetched.own_epoch);
        }
    }
    cluster_give(c, item->to, &event);
}

/* Parked fetches look again when something changed at their leader. */
static void wake_parked(struct cluster *c)
{
    for (uint32_t i = 0; i < c->item_top; i++) {
        struct cluster_item *item = &c->items[i];
        struct cluster_node *n = &c->node[item->to];
        struct raft_fetch_answer answer;
        struct raft_fetch_request fetch;

        if (item->what != CLUSTER_PARKED || !n->up || n->raft.storing || item->at <= c->now) {
            continue;
        }
        fetch = item->event.fetch;
        look_up(n, &fetch);
        raft_fetch_check(&n->raft, &fetch, &answer);
        if (answer.verdict != RAFT_FETCH_PARK) item->at = c->now;
    }
}

static void deliver(struct cluster *c, struct cluster_item *slot)
{
    static struct cluster_item item;
    struct cluster_node *n = &c->node[slot->to];

    if (n->up && n->raft.storing && slot->what != CLUSTER_STORED) {
        slot->at = n->store_done_ns + 1; /* keeps its place by its sequence */
        return;
    }
    item = *slot;
    slot->what = CLUSTER_FREE;
    switch (item.what) {
    case CLUSTER_FREE:
    case CLUSTER_TIMER: break;
    case CLUSTER_REQUEST:
        if (n->up) {
            deliver_request(c, &item);
        } else { /* nobody there: the asker learns it by a time-out */
            struct cluster_item *lost = item_new(c, CLUSTER_FAILED, item.from, 300 * MS);

            lost->from = item.to;
            lost->incarnation = item.incarnation;
            lost->request = item.request;
            lost->round = item.round;
        }
        break;
    case CLUSTER_PARKED:
        if (n->up && item.event.end == n->incarnation) deliver_parked(c, &item);
        break;
    case CLUSTER_REPLY:
        if (n->up && item.incarnation == n->incarnation) deliver_reply(c, &item, false);
        break;
    case CLUSTER_FAILED:
        if (n->up && item.incarnation == n->incarnation) deliver_reply(c, &item, true);
        break;
    case CLUSTER_STORED:
    case CLUSTER_APPENDED:
    case CLUSTER_FLUSHED:
    case CLUSTER_HINTED:
    case CLUSTER_CUT:
    case CLUSTER_SAVED:
    case CLUSTER_INSTALLED:
    case CLUSTER_DISOWNED:
        if (n->up && item.incarnation == n->incarnation) deliver_own(c, &item);
        break;
    }
    wake_parked(c);
}

void cluster_run(struct cluster *c, int64_t until)
{
    while (!cluster_failed(c)) {
        struct cluster_item *next = NULL;
        int64_t timer = INT64_MAX;
        uint32_t who = 0;

        for (uint32_t i = 0; i < c->item_top; i++) {
            struct cluster_item *item = &c->items[i];

            if (item->what == CLUSTER_FREE) continue;
            if (next == NULL || item->at < next->at ||
                (item->at == next->at && item->sequence < next->sequence)) {
                next = item;
            }
        }
        for (uint32_t i = 0; i < c->nodes; i++) {
            int64_t at = c->node[i].up ? raft_deadline(&c->node[i].raft).ns : INT64_MAX;

            if (at < timer) {
                timer = at;
                who = i;
            }
        }
        if ((next == NULL || next->at > until) && timer > until) break;
        c->events++;
        if (next == NULL || timer < next->at) {
            if (timer > c->now) c->now = timer;
            cluster_give(c, who, &(struct raft_event){.kind = RAFT_TICK});
            wake_parked(c);
        } else {
            if (next->at > c->now) c->now = next->at;
            deliver(c, next);
        }
    }
    if (c->now < until) c->now = until;
}

void cluster_crash(struct cluster *c, uint32_t node)
{
    struct cluster_node *n = &c->node[node];
    bool stored = rng_chance(&c->rng, RNG_MILLION / 2);
    uint64_t kept;

    if (!n->up) return;
    c->crashes++;
    n->up = false;
    n->incarnation++;
    /* What was being written may have arrived or not. */
    if (n->raft.storing && stored) n->stored = n->storing;
    kept = rng_below(&c->rng, (uint64_t)(n->assigned_end - n->disk_end) + 1);
    n->log_end = n->disk_end + (int64_t)kept;
    n->assigned_end = n->log_end;
    n->may_append = -1;
}

void cluster_rot(struct cluster *c, uint32_t node, int64_t end)
{
    struct cluster_node *n = &c->node[node];

    if (n->log_end > end) {
        n->log_end = n->assigned_end = end;
        if (n->disk_end > end) n->disk_end = end;
        n->rotten = true;
        c->rot_count++;
    }
}

void cluster_restart(struct cluster *c, uint32_t node)
{
    if (!c->node[node].up) start_member(c, node);
}

void cluster_append(struct cluster *c, uint32_t node)
{
    struct cluster_node *n = &c->node[node];

    if (!n->up || n->raft.storing || n->may_append < 0) return;
    if (n->raft.state != RAFT_LEADER || n->raft.durable.epoch != n->may_append) return;
    append_entry(c, node, (struct cluster_entry){n->may_append, c->next_value++});
    append_done_later(c, node);
}

void cluster_link(struct cluster *c, uint32_t a, uint32_t b, bool cut)
{
    c->cut[a][b] = cut;
    c->cut[b][a] = cut;
}

int cluster_leader(const struct cluster *c)
{
    int found = -1;

    for (uint32_t i = 0; i < c->voters; i++) {
        const struct raft *raft = &c->node[i].raft;

        if (!c->node[i].up || raft->state != RAFT_LEADER || !raft->hw_known) continue;
        if (found >= 0 && c->node[found].raft.durable.epoch > raft->durable.epoch) continue;
        found = (int)i;
    }
    return found;
}

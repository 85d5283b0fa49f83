#include "reports/merge.h"

#include "client/base/assert.h"
#include "client/world/trace_file.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64 * 1024, SHORTER = 4 /* the length before a frame is sent, not received */ };

struct merge_event {
    int64_t time_ns; /* of its own clock; shifted later */
    struct trace_event event;
    int32_t node;
    uint32_t after; /* number of the event that caused it + 1; 0: none */
    bool done;
};

/* One rpc event of one connection. */
struct merge_rpc {
    int64_t conn;
    int64_t correlation;
    uint32_t file;
    uint32_t event;
    uint16_t kind;
};

/* The rpc events of one connection at one end: [begin, end) of merge.rpcs. */
struct merge_end {
    uint32_t begin;
    uint32_t end;
    uint32_t file;
    int64_t conn;
    int64_t peer; /* node number; -1: it was opened from outside */
    bool asks;
    uint32_t other; /* its number + 1; 0: none */
};

struct merge_pair {
    uint32_t asking;
    uint32_t answering;
    uint32_t messages;
    int64_t spread_ns; /* of the way there: small for a true pair */
};

struct merge {
    struct merge_event *events;
    uint32_t count;
    uint32_t room;
    uint32_t first[MERGE_FILES_MAX + 1]; /* event of each file */
    int32_t node[MERGE_FILES_MAX];
    uint32_t files;
    struct merge_rpc *rpcs;
    uint32_t rpc_count;
    struct merge_end *ends;
    uint32_t end_count;
    struct merge_result *result;
};

bool merge_is_simulated(struct bytes trace)
{
    struct trace_file_reader *reader = calloc(1, sizeof *reader);
    struct trace_event event;
    bool found = false;

    ASSERT(reader != NULL);
    if (trace_file_open(reader, trace) == ERR_NONE && trace_file_next(reader, &event))
        found = event.kind == TRACE_SIM_STARTED || event.kind == TRACE_SIM_NODE ||
                event.kind == TRACE_SIM_UP;
    free(reader);
    return found;
}

/* ---- reading --------------------------------------------------------------------------------- */

static enum err read_file(struct merge *m, struct bytes trace)
{
    struct trace_file_reader *reader = calloc(1, sizeof *reader);
    struct trace_event event;
    enum err err;

    ASSERT(reader != NULL);
    m->first[m->files] = m->count;
    m->node[m->files] = -1;
    err = trace_file_open(reader, trace);
    while (err == ERR_NONE && trace_file_next(reader, &event)) {
        if (m->count == m->room) {
            m->room = m->room > 0 ? 2 * m->room : 4096;
            m->events = realloc(m->events, m->room * sizeof m->events[0]);
            ASSERT(m->events != NULL);
        }
        m->events[m->count++] =
            (struct merge_event){.time_ns = reader->time_ns, .event = event, .node = reader->node};
        if (m->node[m->files] < 0) m->node[m->files] = reader->node;
    }
    free(reader);
    m->files++;
    m->first[m->files] = m->count;
    return err;
}

static int rpc_order(const void *a, const void *b)
{
    const struct merge_rpc *x = a;
    const struct merge_rpc *y = b;

    if (x->file != y->file) return x->file < y->file ? -1 : 1;
    if (x->conn != y->conn) return x->conn < y->conn ? -1 : 1;
    return x->event < y->event ? -1 : x->event > y->event;
}

static void collect_ends(struct merge *m)
{
    m->rpcs = calloc(m->count + 1, sizeof m->rpcs[0]);
    ASSERT(m->rpcs != NULL);
    for (uint32_t file = 0; file < m->files; file++) {
        for (uint32_t i = m->first[file]; i < m->first[file + 1]; i++) {
            const struct trace_event *event = &m->events[i].event;

            if (event->kind != TRACE_RPC_SENT && event->kind != TRACE_RPC_RECEIVED &&
                event->kind != TRACE_RPC_ANSWERED && event->kind != TRACE_RPC_REPLIED)
                continue;
            m->rpcs[m->rpc_count++] = (struct merge_rpc){.conn = event->fields[0],
                                                         .correlation = event->fields[1],
                                                         .file = file,
                                                         .event = i,
                                                         .kind = (uint16_t)event->kind};
        }
    }
    qsort(m->rpcs, m->rpc_count, sizeof m->rpcs[0], rpc_order); /* events differ */
    m->ends = calloc(m->rpc_count + 1, sizeof m->ends[0]);
    ASSERT(m->ends != NULL);
    for (uint32_t i = 0; i < m->rpc_count; i++) {
        const struct merge_rpc *rpc = &m->rpcs[i];
        struct merge_end *end = m->end_count > 0 ? &m->ends[m->end_count - 1] : NULL;

        if (end == NULL || end->file != rpc->file || end->conn != rpc->conn) {
            end = &m->ends[m->end_count++];
            *end = (struct merge_end){.begin = i, .file = rpc->file, .conn = rpc->conn, .peer = -1};
        }
        end->end = i + 1;
        if (rpc->kind == TRACE_RPC_SENT) {
            end->asks = true;
            end->peer = m->events[rpc->event].event.fields[5];
        }
    }
}

/* ---- which connection is which --------------------------------------------------------------- */

/* The next rpc of a kind, from `at` on; the end's number of rpcs if there is none. */
static uint32_t next_of(const struct merge *m, const struct merge_end *end, uint32_t at,
                        enum trace_kind kind)
{
    while (at < end->end && m->rpcs[at].kind != (uint16_t)kind)
        at++;
    return at;
}

/* False: they cannot be the two ends of one connection. */
static bool compare_ends(const struct merge *m, const struct merge_end *asking,
                         const struct merge_end *answering, struct merge_pair *pair)
{
    uint32_t a = next_of(m, asking, asking->begin, TRACE_RPC_SENT);
    uint32_t b = next_of(m, answering, answering->begin, TRACE_RPC_RECEIVED);
    int64_t least = INT64_MAX;
    int64_t most = INT64_MIN;

    pair->messages = 0;
    while (a < asking->end && b < answering->end) {
        const struct merge_event *sent = &m->events[m->rpcs[a].event];
        const struct merge_event *received = &m->events[m->rpcs[b].event];
        int64_t way = received->time_ns - sent->time_ns;

        if (m->rpcs[a].correlation != m->rpcs[b].correlation) return false;
        if (sent->event.fields[2] != received->event.fields[2]) return false;
        if (sent->event.fields[4] != received->event.fields[4] + SHORTER) return false;
        if (way < least) least = way;
        if (way > most) most = way;
        pair->messages++;
        a = next_of(m, asking, a + 1, TRACE_RPC_SENT);
        b = next_of(m, answering, b + 1, TRACE_RPC_RECEIVED);
    }
    /* What was received was sent; what was sent may be lost, or received beyond a trace's end. */
    if (b < answering->end || pair->messages == 0) return false;
    pair->spread_ns = most - least;
    return true;
}

static int pair_order(const void *a, const void *b)
{
    const struct merge_pair *x = a;
    const struct merge_pair *y = b;

    if (x->messages != y->messages) return x->messages > y->messages ? -1 : 1;
    if (x->spread_ns != y->spread_ns) return x->spread_ns < y->spread_ns ? -1 : 1;
    if (x->asking != y->asking) return x->asking < y->asking ? -1 : 1;
    return x->answering < y->answering ? -1 : x->answering > y->answering;
}

static void match_ends(struct merge *m)
{
    struct merge_pair *pairs = NULL;
    uint32_t count = 0;
    uint32_t room = 0;

    for (uint32_t a = 0; a < m->end_count; a++) {
        if (!m->ends[a].asks) continue;
        for (uint32_t b = 0; b < m->end_count; b++) {
            struct merge_pair pair = {.asking = a, .answering = b};

            if (m->ends[b].asks || m->ends[a].file == m->ends[b].file ||
                m->node[m->ends[b].file] != m->ends[a].peer)
                continue;
            if (!compare_ends(m, &m->ends[a], &m->ends[b], &pair)) continue;
            if (count == room) {
                room = room > 0 ? 2 * room : 64;
                pairs = realloc(pairs, room * sizeof pairs[0]);
                ASSERT(pairs != NULL);
            }
            pairs[count++] = pair;
        }
    }
    if (count > 0) qsort(pairs, count, sizeof pairs[0], pair_order); /* the numbers differ */
    for (uint32_t i = 0; i < count; i++) {
        struct merge_end *a = &m->ends[pairs[i].asking];
        struct merge_end *b = &m->ends[pairs[i].answering];

        if (a->other != 0 || b->other != 0) continue;
        a->other = pairs[i].answering + 1;
        b->other = pairs[i].asking + 1;
        m->result->messages += pairs[i].messages;
    }
    free(pairs);
}

/* Each `late` event of one end after the `early` one of the other with its correlation. */
static void link_events(struct merge *m, const struct merge_end *from, enum trace_kind early,
                        const struct merge_end *to, enum trace_kind late)
{
    uint32_t a = next_of(m, from, from->begin, early);
    uint32_t b = next_of(m, to, to->begin, late);

    while (a < from->end && b < to->end) {
        if (m->rpcs[a].correlation < m->rpcs[b].correlation) {
            a = next_of(m, from, a + 1, early);
            continue;
        }
        if (m->rpcs[a].correlation == m->rpcs[b].correlation)
            m->events[m->rpcs[b].event].after = m->rpcs[a].event + 1;
        b = next_of(m, to, b + 1, late);
    }
}

static void link_all(struct merge *m)
{
    for (uint32_t i = 0; i < m->end_count; i++) {
        const struct merge_end *asking = &m->ends[i];

        if (!asking->asks || asking->other == 0) continue;
        link_events(m, asking, TRACE_RPC_SENT, &m->ends[asking->other - 1], TRACE_RPC_RECEIVED);
        link_events(m, &m->ends[asking->other - 1], TRACE_RPC_ANSWERED, asking, TRACE_RPC_REPLIED);
    }
    for (uint32_t i = 0; i < m->rpc_count; i++) /* a request given up was not answered */
        if (m->rpcs[i].kind == TRACE_RPC_REPLIED &&
            m->events[m->rpcs[i].event].event.fields[4] != 0)
            m->events[m->rpcs[i].event].after = 0;
}

/* ---- clocks ---------------------------------------------------------------------------------- */

static uint32_t file_of(const struct merge *m, uint32_t event)
{
    uint32_t file = 0;

    while (event >= m->first[file + 1])
        file++;
    return file;
}

/* By how much the clock of `file` is to be moved so that its messages with those already placed
 * make sense: the middle of what they allow, 0 if that is allowed. */
static bool shift_of(const struct merge *m, uint32_t file, const bool *placed, int64_t *shift)
{
    int64_t low = INT64_MIN;
    int64_t high = INT64_MAX;
    bool any = false;

    for (uint32_t i = 0; i < m->count; i++) {
        const struct merge_event *late = &m->events[i];
        uint32_t to, from;
        int64_t gap;

        if (late->after == 0) continue;
        to = file_of(m, i);
        from = file_of(m, late->after - 1);
        gap = late->time_ns - m->events[late->after - 1].time_ns;
        if (to == file && placed[from]) { /* shift >= -gap */
            if (-gap > low) low = -gap;
            any = true;
        } else if (from == file && placed[to]) { /* shift <= gap */
            if (gap < high) high = gap;
            any = true;
        }
    }
    if (low <= 0 && high >= 0)
        *shift = 0;
    else if (low != INT64_MIN && high != INT64_MAX)
        *shift = low / 2 + high / 2;
    else
        *shift = low != INT64_MIN ? low : high;
    return any;
}

static void place_clocks(struct merge *m)
{
    bool placed[MERGE_FILES_MAX] = {true};

    for (uint32_t round = 1; round < m->files; round++) {
        uint32_t next = m->files;
        int64_t shift = 0;

        for (uint32_t file = 0; file < m->files && next == m->files; file++) {
            if (!placed[file] && shift_of(m, file, placed, &shift)) next = file;
        }
        for (uint32_t file = 0; file < m->files && next == m->files; file++) {
            if (!placed[file]) next = file; /* nobody talked to it: as its clock says */
        }
        placed[next] = true;
        m->result->shift_ns[next] = shift;
        for (uint32_t i = m->first[next]; i < m->first[next + 1]; i++)
            m->events[i].time_ns += shift;
    }
}

/* ---- writing --------------------------------------------------------------------------------- */

/* One number for both ends of a connection; those of other processes get their own. */
static void renumber(struct merge *m)
{
    for (uint32_t i = 0; i < m->end_count; i++) {
        const struct merge_end *end = &m->ends[i];
        uint32_t number = end->asks || end->other == 0 ? i + 1 : end->other;

        for (uint32_t k = end->begin; k < end->end; k++)
            m->events[m->rpcs[k].event].event.fields[0] = number;
    }
}

static uint32_t choose_next(struct merge *m, const uint32_t *heads)
{
    uint32_t best = m->files;
    uint32_t earliest = m->files; /* ready or not */

    for (uint32_t file = 0; file < m->files; file++) {
        const struct merge_event *event = &m->events[heads[file]];

        if (heads[file] == m->first[file + 1]) continue;
        if (earliest == m->files || event->time_ns < m->events[heads[earliest]].time_ns)
            earliest = file;
        if (event->after != 0 && !m->events[event->after - 1].done) continue;
        if (best == m->files || event->time_ns < m->events[heads[best]].time_ns) best = file;
    }
    if (best == m->files) {
        m->result->cycles++;
        return earliest;
    }
    if (best != earliest) m->result->delayed++;
    return best;
}

static enum err write_all(struct merge *m)
{
    struct trace_file_block *block = malloc(sizeof *block);
    size_t room = TRACE_FILE_HEAD_MAX + BLOCK;
    size_t at;
    uint8_t *data = malloc(room);
    uint32_t heads[MERGE_FILES_MAX];
    int64_t base = INT64_MAX;
    int64_t last = 0;

    ASSERT(block != NULL && data != NULL);
    for (uint32_t file = 0; file < m->files; file++) {
        heads[file] = m->first[file];
        if (heads[file] < m->first[file + 1] && m->events[heads[file]].time_ns < base)
            base = m->events[heads[file]].time_ns;
    }
    at = trace_file_head(data);
    trace_file_begin(block, data + at, BLOCK);
    for (uint32_t i = 0; i < m->count; i++) {
        uint32_t file = choose_next(m, heads);
        struct merge_event *event = &m->events[heads[file]++];
        int64_t time_ns = event->time_ns - base;

        event->done = true;
        if (time_ns > last) last = time_ns;
        if (trace_file_append(block, last, event->node, &event->event)) continue;
        at += trace_file_end(block);
        room = at + BLOCK;
        data = realloc(data, room);
        ASSERT(data != NULL);
        trace_file_begin(block, data + at, BLOCK);
        (void)trace_file_append(block, last, event->node, &event->event);
    }
    at += trace_file_end(block);
    free(block);
    if (at > UINT32_MAX) {
        free(data);
        return ERR_TOO_LARGE;
    }
    m->result->data = data;
    m->result->length = (uint32_t)at;
    m->result->events = m->count;
    return ERR_NONE;
}

enum err merge_traces(const struct bytes *traces, uint32_t count, struct merge_result *result,
                      uint32_t *which)
{
    struct merge *m = calloc(1, sizeof *m);
    enum err err = ERR_NONE;

    ASSERT(m != NULL && count <= MERGE_FILES_MAX);
    *result = (struct merge_result){.data = NULL};
    m->result = result;
    for (uint32_t i = 0; i < count && err == ERR_NONE; i++) {
        err = read_file(m, traces[i]);
        *which = i;
    }
    if (err == ERR_NONE) {
        collect_ends(m);
        match_ends(m);
        link_all(m);
        place_clocks(m);
        renumber(m);
        err = write_all(m);
    }
    free(m->events);
    free(m->rpcs);
    free(m->ends);
    free(m);
    return err;
}

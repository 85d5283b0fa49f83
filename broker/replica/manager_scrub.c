/* The scrub: every batch of closed segments is read from the device in gregor.scrub.interval.ms
 * and checked (framing, crc, offsets, epochs), at a rate that just does it, and never above
 * gregor.scrub.max.bytes.per.second. One op per directory, one slice at a time.
 *
 * The same op repairs what the scrub or any reader found damaged, before it scrubs on. The place is
 * read once more; damage that stays is met so (storage.md DF7, S30):
 *
 *     a leader with others in sync   leaves the in-sync set (manager_lost.c): a sound one leads
 *     a follower                     fetches the range from its leader, without a word about how
 *                                    far it is itself, and writes it into its place (log_patch.h)
 *     a leader alone                 says once that the range is lost; it is served as
 *                                    CORRUPT_MESSAGE, never as data */
#include "broker/replica/fetcher.h"
#include "broker/replica/manager_internal.h"
#include "client/base/text.h"

#include "wire/fetch.h"

enum {
    SCRUB_SLICE_BYTES = 1 << 20,
    SCRUB_IDLE_MS = 60000,   /* nothing to read: looked at again */
    SCRUB_AGAIN_MS = 1000,   /* after a repair that did not work */
    SCRUB_SCRATCH = 1 << 20, /* of one answer, without its records */
};

enum scrub_step {
    SCRUB_STARTED,
    SCRUB_DUE,
    SCRUB_READ,
    SCRUB_READ_AGAIN,
    SCRUB_FETCHED,
    SCRUB_PATCHED,
};
static const char *const scrub_steps[] = {"STARTED",    "DUE",     "READ",
                                          "READ_AGAIN", "FETCHED", "PATCHED"};

static bool scrub_over(const struct manager_scrub *o)
{
    return o->manager->stopping || !log_dir_online(o->dir);
}

/* The offset where the scrub of a log ends: the active segment is not closed. */
static int64_t scrub_end(const struct log *log)
{
    return log->state == LOG_OPEN ? log_closed_end(log) : 0;
}

static uint64_t closed_bytes(const struct manager_scrub *o)
{
    uint64_t bytes = 0;

    for (const struct partition *part = manager_first(o->manager); part != NULL;
         part = manager_next(o->manager, part)) {
        if (manager_dir(o->manager, part) != o->dir || part->log == NULL) continue;
        if (part->log->state == LOG_OPEN) bytes += log_closed_bytes(part->log);
    }
    return bytes;
}

/* To the first slice behind what was read; the pass is over when there is none. */
static void scrub_move(struct manager_scrub *o, struct partition *next)
{
    while (next != NULL &&
           (manager_dir(o->manager, next) != o->dir || next->log == NULL ||
            partition_leaving(next) || scrub_end(next->log) <= next->log->log_start))
        next = manager_next(o->manager, next);
    if (next != NULL) partition_pin(next);
    if (o->part != NULL) partition_unpin(o->part);
    o->part = next;
    o->offset = next != NULL ? next->log->log_start : 0;
    /* What is closed from now on is of the next pass: a log that grows fast does not hold it up. */
    o->end = next != NULL ? scrub_end(next->log) : 0;
}

void manager_scrub_left(struct partition *part)
{
    /* It may have moved since the scrub of the other directory came to it. */
    for (uint32_t i = 0; i < part->manager->dirs_count; i++) {
        struct manager_scrub *o = &part->manager->scrubs[i];

        if (o->part == part && !o->busy) scrub_move(o, manager_next(o->manager, part));
    }
}

/* What was read last takes its share of the interval, and of a second at the greatest rate. */
static int64_t scrub_pause_ms(struct manager_scrub *o)
{
    const struct config *config = o->manager->config;
    int64_t interval = config->gregor_scrub_interval_ms;
    int64_t least = (int64_t)o->slice * 1000 / config->gregor_scrub_max_bytes_per_second;
    int64_t pause;

    if (interval == 0) return SCRUB_IDLE_MS;
    if (o->part == NULL) {
        o->pass_bytes = closed_bytes(o);
        if (o->pass_bytes == 0) return interval < SCRUB_IDLE_MS ? interval : SCRUB_IDLE_MS;
        scrub_move(o, manager_first(o->manager));
        /* The first of a pass: as if a slice had been read. */
        o->slice = SCRUB_SLICE_BYTES;
        if (o->pass_bytes <= o->slice) return interval / 2 > 0 ? interval / 2 : 1;
    }
    /* A ratio of bytes first: interval times bytes would not fit. */
    pause = o->slice >= o->pass_bytes ? interval : interval / (int64_t)(o->pass_bytes / o->slice);
    if (pause < least) pause = least;
    return pause > 0 ? pause : 1;
}

static void scrub_begin_read(struct manager_scrub *o, struct partition *part, int64_t offset,
                             int64_t limit)
{
    o->read = (struct log_read){.offset = offset,
                                .limit = limit,
                                .max_bytes = SCRUB_SLICE_BYTES,
                                .first_whole = true,
                                .scrub = true};
    log_read(part->log, &o->read);
}

static bool scrub_wanted(const struct manager_scrub *o)
{
    return o->part != NULL && o->manager->config->gregor_scrub_interval_ms > 0 &&
           o->part->log->state == LOG_OPEN;
}

static void scrub_advance(struct manager_scrub *o)
{
    struct partition *part = o->part;
    bool damaged = o->read.err == ERR_CORRUPT_MESSAGE;
    bool over = o->read.err != ERR_NONE || o->read.bytes == 0;

    if (o->read.err == ERR_NONE) o->offset = o->read.next_offset;
    o->slice = o->read.bytes > 0 ? o->read.bytes : 1;
    log_read_release(&o->read);
    /* What is damaged is repaired first, and read once more then; with nobody to repair it the
     * next pass finds it again, and this one goes on with the next log. */
    if (damaged && !part->lost_told) return;
    if (partition_leaving(part) || over || o->offset >= o->end)
        scrub_move(o, manager_next(o->manager, part));
}

/* ---- repair ---------------------------------------------------------------------------------- */

static bool repair_due(const struct manager_scrub *o)
{
    return o->dir->damaged > 0 && o->manager->env->now.mono.ns >= o->again_ns;
}

static bool repair_choose(struct manager_scrub *o)
{
    struct partition *part = manager_first(o->manager);

    while (part != NULL &&
           (manager_dir(o->manager, part) != o->dir || part->log == NULL ||
            part->log->damaged < 0 || part->log->state != LOG_OPEN || partition_leaving(part)))
        part = manager_next(o->manager, part);
    if (part == NULL) return false;
    partition_pin(part);
    o->broken = part;
    return true;
}

/* Where to look again. Cleared first: the read says whether it is still so. */
static void repair_look(struct manager_scrub *o)
{
    struct log *log = o->broken->log;
    int64_t offset = log->damaged > log->log_start ? log->damaged : log->log_start;

    log_undamaged(log);
    scrub_begin_read(o, o->broken, offset, log->log_end);
}

static void repair_tell(struct partition *part, const char *what, int64_t offset)
{
    char buffer[LOG_NAME_MAX + 160];
    struct text text;

    text_init(&text, buffer, sizeof buffer);
    text_format(&text, "%S-%d: the batch at offset %D is damaged: %s", part->topic_name,
                part->index, offset, what);
    TRACE_TEXT(part->manager->env->world, NODE_WARNING, text_view(&text), ERR_DAMAGED);
}

/* True: the leader is to be asked. */
static bool repair_decide(struct manager_scrub *o)
{
    struct partition *part = o->broken;
    bool damaged = part->log->damaged >= 0;

    log_read_release(&o->read);
    if (!damaged || part->log->state != LOG_OPEN) {
        if (!damaged) part->damaged = part->lost_told = false;
        return false;
    }
    if (!part->damaged) {
        part->damaged = true;
        manager_lost_look(part->manager);
    }
    if (part->role == PARTITION_LEADER && isr_size(part->isr.committed) <= 1 && !part->lost_told) {
        part->lost_told = true;
        repair_tell(part, "no other replica is in sync, so it is lost", part->log->damaged);
    }
    /* What stands there is the leader's too: it is committed, or below the end that the leader
     * named for a cut. */
    return part->role == PARTITION_FOLLOWER && part->fetcher != NULL &&
           (part->log->damaged < part->high_watermark || part->log->damaged < part->held_cut);
}

static bool repair_ask(struct manager_scrub *o)
{
    struct partition *part = o->broken;
    struct fetch_request *request;
    struct fetch_request_topic *topic;
    struct fetch_request_partition *from;

    arena_reset(&o->arena);
    request = arena_alloc(&o->arena, sizeof *request);
    topic = arena_alloc(&o->arena, sizeof *topic);
    from = arena_alloc(&o->arena, sizeof *from);
    if (request == NULL || topic == NULL || from == NULL) return false;
    fetch_request_default(request);
    fetch_request_topic_default(topic);
    fetch_request_partition_default(from);
    request->replica_state.replica_id = PARTITION_COPY;
    request->max_bytes = SCRUB_SLICE_BYTES;
    request->topics = topic;
    request->topics_count = 1;
    topic->topic = part->topic_name;
    topic->topic_id = part->topic_id;
    topic->partitions = from;
    topic->partitions_count = 1;
    from->partition = part->index;
    from->current_leader_epoch = part->leader_epoch;
    from->fetch_offset = part->log->damaged;
    from->partition_max_bytes = SCRUB_SLICE_BYTES;
    call_init(o->call, API_FETCH);
    o->call->version_min = 15;
    o->call->version_max = 17;
    o->call->body = request;
    peer_call(&part->fetcher->peer, o->call);
    return true;
}

/* The one batch of the answer that belongs there. */
static bool repair_answer(struct manager_scrub *o, struct bytes *batch)
{
    struct fetch_response *response = arena_alloc(&o->arena, sizeof *response);
    const struct fetch_response_partition *from;
    struct record_batch parsed;
    struct bytes rest;

    if (o->call->result != ERR_NONE || response == NULL) return false;
    if (fetch_response_decode(&o->call->reader, o->call->version, &o->arena, response) != ERR_NONE)
        return false;
    if (response->error_code != 0 || response->responses_count != 1 ||
        response->responses[0].partitions_count != 1)
        return false;
    from = &response->responses[0].partitions[0];
    if (from->error_code != 0 || from->partition_index != o->broken->index) return false;
    rest = from->records;
    while (record_batch_parse(rest, &parsed) == RECORD_BATCH_WHOLE) {
        if (record_batch_last_offset(&parsed) >= o->broken->log->damaged) {
            *batch = parsed.bytes;
            return true;
        }
        rest.data += parsed.bytes.length;
        rest.length -= parsed.bytes.length;
    }
    return false;
}

static bool repair_patch(struct manager_scrub *o)
{
    struct bytes batch;

    if (!repair_answer(o, &batch) || o->broken->log->damaged < 0 ||
        o->broken->log->state != LOG_OPEN)
        return false;
    log_patch_start(&o->patch, o->broken->log, batch);
    return true;
}

static void repair_end(struct manager_scrub *o)
{
    struct partition *part = o->broken;

    o->busy = false;
    o->broken = NULL;
    o->again_ns = part->log->damaged >= 0 ? env_deadline(o->manager->env, SCRUB_AGAIN_MS) : 0;
    partition_unpin(part);
}

static int64_t scrub_deadline(struct manager_scrub *o)
{
    int64_t due_ns = env_deadline(o->manager->env, scrub_pause_ms(o));

    if (o->dir->damaged == 0 || o->again_ns >= due_ns) return due_ns;
    return o->again_ns > 0 ? o->again_ns : env_deadline(o->manager->env, 0);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static enum op_result scrub_run(struct op *op)
{
    struct manager_scrub *o = CONTAINER_OF(op, struct manager_scrub, op);

    switch ((enum scrub_step)op->step) {
    case SCRUB_STARTED:
        while (!scrub_over(o)) {
            op_deadline(op, scrub_deadline(o));
            AWAIT(o, SCRUB_DUE, &o->dir->damage_source,
                  op_expired(op) || scrub_over(o) || o->notes != o->dir->damage_notes);
            if (scrub_over(o)) break;
            if (!op_expired(op) && !repair_due(o)) { /* later: the deadline is another now */
                o->notes = o->dir->damage_notes;
                continue;
            }
            o->notes = o->dir->damage_notes;
            op_deadline(op, OP_NO_DEADLINE);
            o->busy = true;
            if (!repair_due(o)) {
                if (scrub_wanted(o)) {
                    scrub_begin_read(o, o->part, o->offset, o->end);
                    AWAIT(o, SCRUB_READ, &o->read.source, o->read.done);
                    scrub_advance(o);
                } else if (o->part != NULL) {
                    scrub_move(o, manager_next(o->manager, o->part));
                }
                o->busy = false;
                continue;
            }
            if (!repair_choose(o)) {
                o->again_ns = env_deadline(o->manager->env, SCRUB_AGAIN_MS);
                o->busy = false;
                continue;
            }
            repair_look(o);
            AWAIT(o, SCRUB_READ_AGAIN, &o->read.source, o->read.done);
            if (repair_decide(o) && repair_ask(o)) {
                AWAIT(o, SCRUB_FETCHED, &o->call->done, call_done(o->call));
                if (repair_patch(o)) {
                    AWAIT(o, SCRUB_PATCHED, &o->patch.source, !o->patch.busy);
                    if (o->patch.err == ERR_NONE) {
                        o->repaired++;
                        o->broken->damaged = o->broken->lost_told = false;
                        repair_tell(o->broken, "written again from the leader's",
                                    o->patch.base_offset);
                    }
                }
                call_release(o->call);
            }
            repair_end(o);
        }
        scrub_move(o, NULL);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static void scrub_finish(struct op *op)
{
    struct manager_scrub *o = CONTAINER_OF(op, struct manager_scrub, op);
    struct mem *mem = &o->manager->env->mem;

    arena_deinit(&o->arena);
    mem_free(mem, o->call, sizeof *o->call);
    manager_check_stopped(o->manager);
}

static const struct op_kind scrub_kind = {"manager.scrub", scrub_steps, COUNT_OF(scrub_steps),
                                          scrub_run, scrub_finish};

void manager_scrub_start(struct manager *manager)
{
    struct mem *mem = &manager->env->mem;

    for (uint32_t i = 0; i < manager->dirs_count; i++) {
        struct manager_scrub *scrub = &manager->scrubs[i];

        if (!log_dir_online(manager->dirs[i])) continue;
        scrub->call = mem_zalloc(mem, sizeof *scrub->call);
        if (scrub->call == NULL) continue; /* as if it were switched off */
        scrub->manager = manager;
        scrub->dir = manager->dirs[i];
        call_init(scrub->call, API_FETCH);
        arena_init(&scrub->arena, mem, SCRUB_SCRATCH);
        op_start(&manager->env->loop, &scrub->op, &scrub_kind, SCRUB_STARTED);
    }
}

void manager_scrub_stop(struct manager *manager)
{
    for (uint32_t i = 0; i < manager->dirs_count; i++) {
        if (op_live(&manager->scrubs[i].op) && !manager->scrubs[i].busy)
            op_resume(&manager->scrubs[i].op);
    }
}

bool manager_scrub_ended(const struct manager *manager)
{
    for (uint32_t i = 0; i < manager->dirs_count; i++) {
        if (op_live(&manager->scrubs[i].op)) return false;
    }
    return true;
}

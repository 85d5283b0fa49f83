/* Producers that no batch of the log tells of (storage.md 6; KIP-98, KAFKA-9491).
 *
 * A follower that begins where its leader's log does, since what it lacks is deleted, gets no batch
 * of the producers that wrote below. Its leader still knows them, and a retry of theirs may come
 * when the follower leads: so they go over together with the log start (ListOffsets, two tagged
 * fields of ours), in the bytes of the files N.snapshot and N.producers.
 *
 *     leader                                    follower, empty or behind S
 *     producers at its log end                  log_reset_handed(S)
 *       of each the batches that end below S      the old log goes, durably
 *       its transaction, if it begins below S     S.log is made, the directory synced
 *                                                 S.producers saved, the directory synced
 *                                                 S.snapshot saved, the directory synced (OPEN)
 *                                                 first batch
 *
 * What a leader knows at its end is what it knew at S, but for what batches from S on have done
 * since; those the follower gets. Of a producer that wrote there only the batches below S go over,
 * and of one that wrote five times since, none: nobody takes a retry of the sixth any more.
 * A transaction that begins below S and is open is open for the follower; one that ended since ends
 * there when its marker comes, or has none of its records left.
 *
 * A crash between any two of these leaves an empty log without both files at its beginning: a
 * stranger, as is one that an open had to begin anew. It asks before it fetches (fetcher_range.c).
 * The beginning of a hollow log (log_begin.c) is that of the batch which holds its start: the same
 * producers, since that batch ends above.
 *
 * DIFFERS: Kafka's follower begins knowing nobody, and takes a retry of a deleted batch as new. */
#include "broker/log/log_private.h"

size_t log_handover_size(const struct log *log)
{
    return log_producers_snapshot_size(&log->producers) +
           log_producers_window_size(&log->producers);
}

void log_handover_put(const struct log *log, int64_t at, uint8_t *bytes, struct log_handover *to)
{
    struct cpu cpu = log->dir->env->world->cpu;
    size_t size = log_producers_snapshot(&log->producers, at, cpu, bytes);

    to->snapshot = (struct bytes){bytes, (uint32_t)size};
    bytes += size;
    size = log_producers_window(&log->producers, at, cpu, bytes, false);
    to->window = (struct bytes){bytes, (uint32_t)size};
}

/* The set is initialised when this is NONE. */
enum err log_handover_load(const struct log *log, const struct log_handover *handover,
                           struct log_producers *producers)
{
    struct env *env = log->dir->env;
    enum err err;

    log_producers_init(producers, &env->mem, log->producers.max);
    producers->clock_ms = env->now.wall.ms;
    err = log_producers_load(producers, env->world->cpu, handover->snapshot, handover->window);
    if (err != ERR_NONE) log_producers_deinit(producers);
    return err;
}

void log_stranger_met(struct log *log)
{
    log->stranger = false;
}

/* ---- of the reset ---------------------------------------------------------------------------- */

void log_handover_begin(struct log *log)
{
    if (!log->handed) log_producers_clear(&log->producers);
    log->stranger = !log->handed;
}

static void handover_save(struct log_flow *o, size_t room, bool window)
{
    struct log *log = o->log;
    struct cpu cpu = log->dir->env->world->cpu;
    char name[LOG_FILE_NAME];

    if (!log_flow_room(o, room)) {
        o->err = ERR_NO_MEMORY;
        return;
    }
    o->bytes_used = window ? log_producers_window(&log->producers, INT64_MAX, cpu, o->bytes, false)
                           : log_producers_snapshot(&log->producers, INT64_MAX, cpu, o->bytes);
    log_file_name(name, log_active(log)->base, window ? ".producers" : ".snapshot");
    log_path_log(o->path, log);
    log_save_start(&o->save, log_flow_env(o), o->path, name, log_flow_bytes(o), true);
}

void log_handover_save_window(struct log_flow *o)
{
    if (o->err != ERR_NONE || !o->log->handed) return;
    handover_save(o, log_producers_window_size(&o->log->producers), true);
}

void log_handover_save_snapshot(struct log_flow *o)
{
    log_flow_saved(o);
    if (o->err != ERR_NONE || !o->log->handed) return;
    handover_save(o, log_producers_snapshot_size(&o->log->producers), false);
}

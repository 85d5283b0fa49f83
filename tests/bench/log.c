/* What the log costs, over the production world (issue 4; performance.md 9 bench_log):
 *
 *     append       leader append with crc, against the gathered writes alone
 *     lookup       from an offset to a place, indexes in memory
 *     recover      how many bytes a start reads after kill -9, by the size of the log
 *     compact      a compaction with appends beside it, against a loop that copies the same bytes
 *
 * One line of figures per run on stdout, "name value"; log.sh makes a table of them. Pairs take
 * turns, a ratio is taken inside a pair. CPU time is that of the process, all its threads.
 *
 * usage: bench-log append DIR MB BATCH_BYTES BATCHES_A_TURN PAIRS
 *        bench-log lookup DIR MB COUNT
 *        bench-log recover DIR MB
 *        bench-log compact DIR MB PAIRS
 *        bench-log sizes */
#include "broker/controller/image.h"
#include "broker/log/log_clean.h"
#include "broker/log/log_private.h"
#include "broker/replica/partition.h"
#include "client/base/rng.h"
#include "client/posix/codecs.h"
#include "client/posix/posix_clock.h"
#include "client/posix/posix_world.h"
#include "client/wire/record_builder.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    REGION = 1 << 30,
    PAYLOAD = 256 << 20,
    CACHE = 16 << 20,
    BUFFERS_MAX = 8192,
    TURNS_MAX = 1 << 22,
    SMALL = 1024,
    COPY_BYTES = 256 << 10, /* as a slice of a compaction */
};

static struct {
    struct posix_world *world;
    struct env env;
    struct log_cache cache;
    struct log_dir dir;
    struct log *log;
    struct log_config config;
    struct buf *bufs[BUFFERS_MAX];
    struct bytes batches[BUFFERS_MAX];
    uint32_t buffers;
    uint32_t next;
    struct rng rng;
    struct codecs codecs;
} bench;

static void fail(const char *what)
{
    fprintf(stderr, "bench-log: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double clock_s(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_s(void)
{
    return clock_s(CLOCK_PROCESS_CPUTIME_ID);
}

static double wall_s(void)
{
    return clock_s(CLOCK_MONOTONIC);
}

/* ---- a log on this machine ------------------------------------------------------------------- */

static void turn_end(void)
{
    bench.env.actor.turn_end(&bench.env.actor, posix_clock_now());
}

static void turns_until(bool (*done)(void))
{
    turn_end();
    while (!done())
        (void)posix_world_turn(bench.world, INT64_MAX);
}

static bool dir_settled(void)
{
    return !log_dir_busy(&bench.dir) && bench.dir.state != LOG_DIR_OPENING &&
           bench.dir.state != LOG_DIR_CLOSING;
}

static bool log_settled(void)
{
    return bench.log->state != LOG_OPENING && bench.log->flow == NULL;
}

static bool log_is_closed(void)
{
    return bench.log->state == LOG_CLOSED && bench.log->flow == NULL;
}

static bool log_idle(void)
{
    return bench.log->assigned_end == bench.log->log_end;
}

static void started(struct env *env)
{
    (void)env;
}

static bool has_now(void)
{
    return bench.env.now.mono.ns > 0;
}

static void log_up(const char *path, bool create)
{
    struct posix_options options = posix_options_default();
    struct env_limits limits = {
        .ops_max = 4096, .payload_bytes = PAYLOAD, .payload_reserved = 1 << 20};
    struct log_dir_limits dir_limits = log_dir_limits_default();
    struct log_dir_meta meta = {.cluster_id = "bench", .node_id = 1};
    struct log_open open = {.topic = STR("bench"), .partition = 0, .create = create};

    options.region_size = REGION;
    options.log_fd = -1;
    if (codecs_create(&bench.codecs) != ERR_NONE) fail("codecs");
    if (posix_world_create(&options, &bench.world) != ERR_NONE) fail("world");
    bench.world->world.codecs = &bench.codecs;
    if (env_init(&bench.env, &bench.world->world, &limits, started) != ERR_NONE) fail("env");
    log_cache_init(&bench.cache, &bench.env.mem, CACHE, 1 << 16);
    log_dir_init(&bench.dir, &bench.env, &bench.cache, str_of(path), &dir_limits);
    turns_until(has_now);
    meta.directory_id.bytes[15] = 1;
    if (create) {
        log_dir_format(&bench.dir, &meta, false);
        turns_until(dir_settled);
    }
    log_dir_open(&bench.dir, STR("bench"), 1);
    turns_until(dir_settled);
    if (!log_dir_online(&bench.dir)) fail(bench.dir.message.text);
    open.topic_id.bytes[3] = 7;
    bench.log = log_open(&bench.dir, &open, &bench.config);
    if (bench.log == NULL) fail("log_open");
    turns_until(log_settled);
    if (bench.log->state != LOG_OPEN) fail(err_name(bench.log->err));
}

static void log_down(void)
{
    log_close(bench.log);
    turns_until(log_is_closed);
    log_free(bench.log);
    log_dir_close(&bench.dir);
    turns_until(dir_settled);
    log_dir_deinit(&bench.dir);
    log_cache_deinit(&bench.cache);
    for (uint32_t i = 0; i < bench.buffers; i++)
        buf_unref(bench.bufs[i]);
    bench.buffers = 0;
    posix_world_destroy(bench.world);
    codecs_destroy(&bench.codecs);
}

/* ---- batches --------------------------------------------------------------------------------- */

/* One of about `size` bytes, of records of 1 KiB; keys are drawn below `keys` (0: none). */
static struct buf *batch_make(uint32_t size, uint64_t keys, struct bytes *bytes)
{
    static uint8_t value[2 * SMALL];
    struct record_builder_config config = record_builder_config_default(bench.env.world->cpu);
    struct record_builder builder;
    struct buf *buf = buf_take(&bench.env.payload, size, true);
    uint32_t record = size < 2 * SMALL ? size - 100 : SMALL - 30;

    if (buf == NULL) fail("no memory for a batch");
    record_builder_init(&builder, &config, buf->data, size);
    for (;;) {
        uint64_t key = keys > 0 ? rng_below(&bench.rng, keys) : 0;
        struct bytes key_bytes = {(const uint8_t *)&key, keys > 0 ? sizeof key : 0};

        if (keys == 0) key_bytes.data = NULL;
        for (uint32_t i = 0; i < record; i += 8) {
            uint64_t draw = rng_u64(&bench.rng);

            memcpy(value + i, &draw, sizeof draw);
        }
        if (record_builder_append(&builder, bench.env.now.wall.ms, key_bytes,
                                  (struct bytes){value, record}, NULL, 0) != ERR_NONE)
            break;
    }
    *bytes = record_builder_finish(&builder);
    return buf;
}

static void batches_make(uint32_t count, uint32_t size, uint64_t keys)
{
    for (bench.buffers = 0; bench.buffers < count; bench.buffers++)
        bench.bufs[bench.buffers] = batch_make(size, keys, &bench.batches[bench.buffers]);
    bench.next = 0;
}

static void append_next(void)
{
    struct log_append append;
    uint32_t at = bench.next++ % bench.buffers;
    enum err err;

    record_batch_set_offset(bench.bufs[at]->data, 0, -1); /* as a client sent it */
    err =
        log_append_as_leader(bench.log, bench.bufs[at], bench.batches[at], 0, LOG_CLIENT, &append);
    if (err != ERR_NONE) fail(err_name(err));
}

static void append_bytes(uint64_t bytes, uint32_t a_turn)
{
    for (uint64_t done = 0; done < bytes;) {
        for (uint32_t i = 0; i < a_turn; i++) {
            done += bench.batches[bench.next % bench.buffers].length;
            append_next();
        }
        turns_until(log_idle);
    }
}

/* Fresh ones all the time: keys that are drawn once only would not be. */
static void append_drawn(uint64_t bytes, uint32_t size, uint64_t keys)
{
    for (uint64_t done = 0; done < bytes;) {
        batches_make(64, size, keys);
        for (uint32_t i = 0; i < bench.buffers; i++)
            done += bench.batches[i].length;
        for (uint32_t i = 0; i < 64; i++)
            append_next();
        turns_until(log_idle);
        for (uint32_t i = 0; i < bench.buffers; i++)
            buf_unref(bench.bufs[i]);
        bench.buffers = 0;
    }
}

/* ---- append ---------------------------------------------------------------------------------- */

static double append_floor(const char *path, uint64_t bytes, uint32_t a_turn)
{
    char name[600];
    double before;
    uint64_t offset = 0;
    int fd;

    snprintf(name, sizeof name, "%s/floor", path);
    fd = open(name, O_CREAT | O_TRUNC | O_RDWR, 0644);
    if (fd < 0) fail(name);
    before = cpu_s();
    for (uint32_t next = 0; offset < bytes;) {
        struct iovec slices[256];
        ssize_t n;

        for (uint32_t i = 0; i < a_turn; i++, next++) {
            slices[i].iov_base = bench.bufs[next % bench.buffers]->data;
            slices[i].iov_len = bench.batches[next % bench.buffers].length;
        }
        n = pwritev(fd, slices, (int)a_turn, (off_t)offset);
        if (n <= 0) fail("pwritev");
        offset += (uint64_t)n;
    }
    before = cpu_s() - before;
    close(fd);
    unlink(name);
    return before / (double)offset;
}

static bool log_is_open(void)
{
    return bench.log->state == LOG_OPEN && bench.log->flow == NULL;
}

/* Into a log that was emptied. What of it is closed, counts; what is written beside it, counts. */
static double append_log(uint64_t bytes, uint32_t a_turn)
{
    double before = cpu_s();

    append_bytes(bytes, a_turn);
    before = cpu_s() - before;
    log_reset(bench.log, bench.log->log_end);
    turns_until(log_is_open);
    return before / (double)bytes;
}

/* How often the device changed between quick and slow (posix_disk.h): a slow one costs a hand-off
 * to a worker for each write. */
static uint64_t device_moves(void)
{
    uint64_t moves = 0;

    for (uint32_t i = 0; i < bench.world->disk.devices_count; i++)
        moves += bench.world->disk.devices[i].moves;
    return moves;
}

static void bench_append(const char *path, uint64_t mb, uint32_t size, uint32_t a_turn,
                         uint32_t pairs)
{
    uint64_t bytes = mb << 20;

    bench.config.segment_bytes = INT32_MAX;
    log_up(path, true);
    /* As few as the tail cache lets: what was just received is in the processor's cache. */
    batches_make((uint32_t)(LOG_TAIL_BYTES / size) * 5 / 4 + 2 * a_turn, size, 0);
    for (uint32_t i = 0; i < pairs; i++) {
        double floor = 0, log;
        uint64_t moves = device_moves();

        /* Right after as many pages were written and given back: what fresh ones cost is not ours
         * (performance.md 8). */
        (void)append_floor(path, bytes, a_turn);
        if (i % 2 == 0) {
            floor = append_floor(path, bytes, a_turn);
            (void)append_floor(path, bytes, a_turn);
        }
        log = append_log(bytes, a_turn);
        if (i % 2 != 0) {
            (void)append_floor(path, bytes, a_turn);
            floor = append_floor(path, bytes, a_turn);
        }
        printf("ratio %.4f\nlog_s_per_gb %.4f\nfloor_s_per_gb %.4f\n", floor / log, log * 1e9,
               floor * 1e9);
        printf("device_moves %" PRIu64 "\n", device_moves() - moves);
    }
    log_down();
}

/* ---- lookup ---------------------------------------------------------------------------------- */

static struct log_read lookup_read;

static bool read_is_done(void)
{
    return lookup_read.done;
}

static void lookup_through(int64_t offset)
{
    lookup_read = (struct log_read){
        .offset = offset, .limit = bench.log->log_end, .max_bytes = 1, .first_whole = true};
    log_read(bench.log, &lookup_read);
    turns_until(read_is_done);
    if (lookup_read.err != ERR_NONE || lookup_read.count != 1) fail("a lookup found nothing");
    log_read_release(&lookup_read);
}

static void bench_lookup(const char *path, uint64_t mb, uint32_t count)
{
    int64_t end;
    uint64_t sum = 0;
    uint32_t missing = 0;
    double cpu;

    bench.config.segment_bytes = (uint32_t)((mb << 20) / 10);
    log_up(path, true);
    batches_make(512, 4096, 0);
    append_bytes(mb << 20, 64);
    end = log_closed_end(bench.log);
    for (uint32_t i = 0; i < bench.log->segment_count; i++)
        log_lookup_forget(bench.log, bench.log->segments[i]);
    for (uint32_t i = 0; i < 200; i++)
        lookup_through((int64_t)rng_below(&bench.rng, (uint64_t)end));
    cpu = cpu_s();
    for (uint32_t i = 0; i < count; i++) {
        int64_t offset = (int64_t)rng_below(&bench.rng, (uint64_t)end);
        struct log_segment *segment = bench.log->segments[log_segment_find(bench.log, offset)];
        uint32_t position, span;

        if (!log_lookup(bench.log, segment, offset, &position, &span)) {
            missing++;
            continue;
        }
        sum += position;
    }
    cpu = cpu_s() - cpu;
    if (sum == 0 || missing > 0) fail("an index was not in memory");
    printf("segments %u\nindex_mb %.1f\nlookup_us %.4f\n", bench.log->segment_count,
           (double)bench.dir.index_bytes / 1e6, cpu * 1e6 / count);
    log_down();
}

/* ---- recovery -------------------------------------------------------------------------------- */

static uint64_t bytes_read(void)
{
    FILE *io = fopen("/proc/self/io", "r");
    uint64_t bytes = 0;

    if (io == NULL || fscanf(io, "rchar: %" SCNu64, &bytes) != 1) fail("/proc/self/io");
    fclose(io);
    return bytes;
}

/* A process that fills the log as fast as it can and is killed with appends under way; then one
 * that opens it. */
static void bench_recover(const char *path, uint64_t mb)
{
    pid_t child = fork();
    int status;
    uint64_t before;
    double wall, cpu;

    if (child < 0) fail("fork");
    if (child == 0) {
        log_up(path, true);
        batches_make(512, 64 << 10, 0);
        append_bytes(mb << 20, 16);
        for (uint32_t i = 0; i < 16; i++)
            append_next();
        turn_end();
        kill(getpid(), SIGKILL);
    }
    if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status)) fail("the filler");
    before = bytes_read();
    wall = wall_s();
    cpu = cpu_s();
    log_up(path, false);
    printf("log_mb %.1f\nread_mb %.1f\nwall_s %.3f\ncpu_s %.3f\n",
           (double)log_size(bench.log) / 1e6, (double)(bytes_read() - before) / 1048576,
           wall_s() - wall, cpu_s() - cpu);
    if (log_size(bench.log) < mb << 20) fail("the log is shorter than what was written");
    log_down();
}

/* ---- compaction ------------------------------------------------------------------------------ */

static struct log_clean the_clean;
static double turn_cpu_max;
static float *turn_walls;
static uint32_t turn_count;

static int by_value(const void *a, const void *b)
{
    const float *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* Appends a batch every so many turns, and never waits for it. */
static void compact_turns(void)
{
    turn_end();
    while (the_clean.busy) {
        double cpu = clock_s(CLOCK_THREAD_CPUTIME_ID);
        double wall = wall_s();

        (void)posix_world_turn(bench.world, INT64_MAX);
        cpu = clock_s(CLOCK_THREAD_CPUTIME_ID) - cpu;
        wall = wall_s() - wall;
        if (cpu > turn_cpu_max) turn_cpu_max = cpu;
        if (turn_count < TURNS_MAX) turn_walls[turn_count++] = (float)wall;
        if (turn_count % 16 == 0) {
            append_next();
            turn_end();
        }
    }
}

/* Reads what the compaction reads, and writes all of it (or one tenth), synced file by file. */
static double copy_floor(const char *path, uint32_t of_ten, double *wall)
{
    static uint8_t bytes[COPY_BYTES];
    char name[700], copy[600];
    double cpu = cpu_s();

    *wall = wall_s();
    snprintf(copy, sizeof copy, "%s/copy", path);
    for (uint32_t i = 0; i + 1 < bench.log->segment_count; i++) {
        int in, out;
        ssize_t n;
        off_t to = 0;
        uint32_t slice = 0;

        snprintf(name, sizeof name, "%s/bench-0/%020" PRId64 ".log", path,
                 bench.log->segments[i]->base);
        in = open(name, O_RDONLY);
        out = open(copy, O_CREAT | O_TRUNC | O_RDWR, 0644);
        if (in < 0 || out < 0) fail(name);
        for (off_t at = 0; (n = pread(in, bytes, sizeof bytes, at)) > 0; at += n) {
            if (slice++ % 10 >= of_ten) continue;
            if (pwrite(out, bytes, (size_t)n, to) != n) fail(copy);
            to += n;
        }
        if (fdatasync(out) != 0) fail(copy);
        close(in);
        close(out);
        unlink(copy);
    }
    *wall = wall_s() - *wall;
    return cpu_s() - cpu;
}

static bool log_is_synced(void)
{
    return bench.log->synced_end == bench.log->log_end;
}

static void bench_compact(const char *path, uint64_t mb, uint32_t pairs)
{
    turn_walls = malloc(TURNS_MAX * sizeof *turn_walls);
    if (turn_walls == NULL) fail("memory");
    for (uint32_t i = 0; i < pairs; i++) {
        char own[500];
        size_t before;
        double cpu, wall, copied, copied_wall, least, least_wall;

        snprintf(own, sizeof own, "%s/%u", path, i);
        if (mkdir(own, 0755) != 0) fail(own);
        bench.config.segment_bytes = (uint32_t)((mb << 20) / 10);
        bench.config.gaps = true;
        bench.config.deletes = false;
        log_up(own, true);
        /* One key in ten stays: as many keys as a tenth of the records, all drawn many times. */
        append_drawn(mb << 20, 16 << 10, (mb << 10) / 10);
        log_sync(bench.log);
        turns_until(log_is_synced);
        log_note_high_watermark(bench.log, bench.log->log_end);
        batches_make(256, 16 << 10, (mb << 10) / 10);
        copied = copy_floor(own, 10, &copied_wall);
        least = copy_floor(own, 1, &least_wall);
        before = mem_in_use(&bench.env.mem);
        bench.env.mem.peak = before;
        turn_cpu_max = 0;
        turn_count = 0;
        cpu = cpu_s();
        wall = wall_s();
        log_clean_start(&the_clean, bench.log, 128 << 20);
        compact_turns();
        cpu = cpu_s() - cpu;
        wall = wall_s() - wall;
        if (the_clean.err != ERR_NONE) fail(err_name(the_clean.err));
        turns_until(log_idle);
        qsort(turn_walls, turn_count, sizeof *turn_walls, by_value);
        printf("ratio %.4f\nratio_wall %.4f\nratio_tenth %.4f\nkept %.4f\nturn_cpu_ms %.3f\n"
               "turn_wall_p999_ms %.3f\nmemory_mb %.1f\nclean_cpu_s %.3f\ncopy_cpu_s %.3f\n"
               "clean_wall_s %.3f\nappends_beside %u\n",
               copied / cpu, copied_wall / wall, least / cpu,
               (double)the_clean.bytes_kept / (double)the_clean.bytes_read, turn_cpu_max * 1e3,
               (double)turn_walls[(size_t)((double)turn_count * 0.999)] * 1e3,
               (double)(bench.env.mem.peak - before) / 1e6, cpu, copied, wall, turn_count / 16);
        log_down();
    }
    free(turn_walls);
}

/* ---- bytes of an idle partition ----------------------------------------------------------------
 *
 * As the allocator cuts them: of a pool with its head, of mem by size class. One replica, one
 * segment, one idempotent producer that wrote one batch, a name of eight characters; broker and
 * controller in one process, so that there are two images of the metadata. */
static void size_of(const char *what, size_t bytes)
{
    printf("%zu %s\n", bytes, what);
}

static size_t pooled(size_t size)
{
    return 16 + ((size + 15) & ~(size_t)15);
}

static void bench_sizes(void)
{
    size_of("struct log, of a pool", pooled(sizeof(struct log)));
    size_of("struct partition, of a pool", pooled(sizeof(struct partition)));
    size_of("struct log_producer", mem_class_size(sizeof(struct log_producer)));
    size_of("struct log_segment", mem_class_size(sizeof(struct log_segment)));
    size_of("struct log_index, and one entry of time",
            mem_class_size(sizeof(struct log_index)) +
                mem_class_size(sizeof(struct log_time_entry)));
    size_of("struct log_known, and its name", mem_class_size(offsetof(struct log_known, name) + 9));
    size_of("two of struct image_partition, and ids",
            2 * (sizeof(struct image_partition) + mem_class_size(2 * sizeof(int32_t))));
    size_of("struct isr_replica", mem_class_size(sizeof(struct isr_replica)));
    size_of("leader epochs, two and one reserved", mem_class_size(3 * sizeof(struct log_epoch)));
    size_of("list of segments", mem_class_size(2 * sizeof(struct log_segment *)));
    size_of("tables: partition of its topic, bucket of its name, deadline", 8 + 12 + 8);
}

static uint32_t number(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
    bench.config = log_config_default();
    bench.config.timestamp_after_max_ms = INT64_MAX;
    rng_init(&bench.rng, 1);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 7 && strcmp(argv[1], "append") == 0) {
        bench_append(argv[2], number(argv[3]), number(argv[4]), number(argv[5]), number(argv[6]));
    } else if (argc == 5 && strcmp(argv[1], "lookup") == 0) {
        bench_lookup(argv[2], number(argv[3]), number(argv[4]));
    } else if (argc == 4 && strcmp(argv[1], "recover") == 0) {
        bench_recover(argv[2], number(argv[3]));
    } else if (argc == 5 && strcmp(argv[1], "compact") == 0) {
        bench_compact(argv[2], number(argv[3]), number(argv[4]));
    } else if (argc == 2 && strcmp(argv[1], "sizes") == 0) {
        bench_sizes();
    } else {
        fputs("usage: bench-log append|lookup|recover|compact DIR MB ... | sizes\n", stderr);
        return 2;
    }
    return 0;
}

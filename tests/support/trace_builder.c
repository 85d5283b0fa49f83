#include "tests/support/trace_builder.h"

#include "client/base/assert.h"
#include "client/world/trace_file.h"

#include <stdlib.h>
#include <string.h>

enum { TOPIC = 0x7100, BLOCK = 16 * 1024 };

struct trace_builder_event {
    int64_t time_us;
    uint32_t order;
    int32_t node;
    struct trace_event event;
    char text[200];
};

void trace_builder_init(struct trace_builder *builder)
{
    *builder = (struct trace_builder){.topic = TOPIC, .next_correlation = 1};
}

void trace_builder_free(struct trace_builder *builder)
{
    free(builder->events);
    free(builder->file);
    *builder = (struct trace_builder){.topic = 0};
}

void trace_builder_add(struct trace_builder *builder, int64_t time_us, int32_t node,
                       enum trace_kind kind, const char *text, const int64_t *fields,
                       uint32_t field_count)
{
    struct trace_builder_event *added;

    if (builder->count == builder->capacity) {
        builder->capacity = builder->capacity > 0 ? 2 * builder->capacity : 256;
        builder->events = realloc(builder->events, builder->capacity * sizeof builder->events[0]);
        ASSERT(builder->events != NULL);
    }
    added = &builder->events[builder->count];
    *added = (struct trace_builder_event){.time_us = time_us,
                                          .order = builder->count++,
                                          .node = node,
                                          .event = {.kind = kind, .field_count = field_count}};
    memcpy(added->event.fields, fields, field_count * sizeof fields[0]);
    if (text != NULL) {
        ASSERT(strlen(text) < sizeof added->text);
        strcpy(added->text, text);
    }
}

static int by_time(const void *a, const void *b)
{
    const struct trace_builder_event *x = a;
    const struct trace_builder_event *y = b;

    if (x->time_us != y->time_us) return x->time_us < y->time_us ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

struct bytes trace_builder_finish(struct trace_builder *builder)
{
    size_t room = TRACE_FILE_HEAD_MAX + (size_t)builder->count * 256 + 2 * BLOCK;
    struct trace_file_block *block = malloc(sizeof *block);
    uint32_t at;

    free(builder->file);
    builder->file = malloc(room);
    ASSERT(block != NULL && builder->file != NULL);
    qsort(builder->events, builder->count, sizeof builder->events[0], by_time);
    at = trace_file_head(builder->file);
    trace_file_begin(block, builder->file + at, BLOCK);
    for (uint32_t i = 0; i < builder->count; i++) {
        struct trace_builder_event *e = &builder->events[i];

        if (e->text[0] != '\0') e->event.text = str_of(e->text);
        if (trace_file_append(block, e->time_us * 1000, e->node, &e->event)) continue;
        at += trace_file_end(block);
        ASSERT(at + BLOCK <= room);
        trace_file_begin(block, builder->file + at, BLOCK);
        i--;
    }
    at += trace_file_end(block);
    free(block);
    return (struct bytes){builder->file, at};
}

void trace_builder_rpc(struct trace_builder *builder, struct trace_builder_call call)
{
    int64_t conn = call.from * 1000 + call.to;
    int64_t n = builder->next_correlation++;

    TELL(builder, call.sent_us, call.from, RPC_SENT, NULL, conn, n, call.api, 12, 100, call.to);
    if (call.received_us > 0)
        TELL(builder, call.received_us, call.to, RPC_RECEIVED, NULL, conn, n, call.api, 12, 100);
    if (call.answered_us > 0)
        TELL(builder, call.answered_us, call.to, RPC_ANSWERED, NULL, conn, n, call.api, 100);
    if (call.replied_us > 0)
        TELL(builder, call.replied_us, call.from, RPC_REPLIED, NULL, conn, n, call.api, 100,
             call.err);
}

/* ---- what the stories have in common --------------------------------------------------------- */

enum { PRODUCE = 0, FETCH = 1, ALTER = 56, REGISTER = 62, PRODUCER = 201, QUORUM = 101 };

static void introduce(struct trace_builder *b, const char *scenario, const char *topic)
{
    TELL(b, 0, -1, SIM_STARTED, scenario, 7, 5);
    for (int32_t i = 1; i <= 3; i++) {
        static const char *const names[] = {"broker 1", "broker 2", "broker 3"};

        TELL(b, 0, -1, SIM_NODE, names[i - 1], i, 1, 0);
        TELL(b, 1, -1, SIM_UP, NULL, i, 1);
    }
    TELL(b, 0, -1, SIM_NODE, "controller", QUORUM, 2, 0);
    TELL(b, 0, -1, SIM_NODE, "producer", PRODUCER, 4, 0);
    TELL(b, 2, QUORUM, CONTROLLER_ACTIVE, NULL, 3, 17);
    TELL(b, 3, 1, TOPIC_KNOWN, topic, b->topic, 1);
}

/* Everybody has `end` records of `epoch`, all committed. */
static void stand(struct trace_builder *b, int64_t us, int64_t epoch, int64_t end)
{
    TELL(b, us, QUORUM, CONTROLLER_PARTITION, "isr 1,2,3 replicas 1,2,3 elr -", b->topic, 0, 1,
         epoch, 1, 40);
    for (int32_t i = 1; i <= 3; i++) {
        TELL(b, us + 10, i, LOG_OPENED, NULL, b->topic, 0, 0, 0, 0, 0, 1, 0);
        TELL(b, us + 20, i, REPLICA_ROLE, NULL, b->topic, 0, i == 1 ? 2 : 1, 1, epoch, 1);
        TELL(b, us + 30, i, LOG_APPENDED, NULL, b->topic, 0, 0, end - 1, epoch, 77, 900);
        TELL(b, us + 40, i, REPLICA_HW, NULL, b->topic, 0, 0, end, i == 1 ? 2 : 1, epoch);
    }
}

static void fetch(struct trace_builder *b, int32_t from, int32_t to, int64_t sent, int64_t received,
                  int64_t answered, int64_t replied)
{
    trace_builder_rpc(b, (struct trace_builder_call){.from = from,
                                                     .to = to,
                                                     .api = FETCH,
                                                     .sent_us = sent,
                                                     .received_us = received,
                                                     .answered_us = answered,
                                                     .replied_us = replied});
}

static void produce(struct trace_builder *b, int32_t leader, int64_t sent, int64_t received,
                    int64_t answered, int64_t replied)
{
    trace_builder_rpc(b, (struct trace_builder_call){.from = PRODUCER,
                                                     .to = leader,
                                                     .api = PRODUCE,
                                                     .sent_us = sent,
                                                     .received_us = received,
                                                     .answered_us = answered,
                                                     .replied_us = replied});
}

static void append(struct trace_builder *b, int64_t us, int32_t node, int64_t base, int64_t last,
                   int64_t epoch)
{
    TELL(b, us, node, LOG_APPENDED, NULL, b->topic, 0, base, last, epoch, base * 31 + epoch, 120);
}

static void watermark(struct trace_builder *b, int64_t us, int32_t node, int64_t old, int64_t new,
                      int64_t role, int64_t epoch)
{
    TELL(b, us, node, REPLICA_HW, NULL, b->topic, 0, old, new, role, epoch);
}

static void remote(struct trace_builder *b, int64_t us, int32_t leader, int32_t follower,
                   int64_t log_end, int64_t epoch)
{
    TELL(b, us, leader, REPLICA_REMOTE, NULL, b->topic, 0, follower, log_end, log_end - 1, 5,
         epoch);
}

static void role(struct trace_builder *b, int64_t us, int32_t node, int64_t as, int64_t leader,
                 int64_t epoch)
{
    TELL(b, us, node, REPLICA_ROLE, NULL, b->topic, 0, as, leader, epoch, epoch + 1);
}

/* ---- failover -------------------------------------------------------------------------------- */

static void failover_before(struct trace_builder *b)
{
    produce(b, 1, 30005000, 30010000, 30029000, 30033500);
    append(b, 30011000, 1, 103, 104, 7);
    fetch(b, 2, 1, 29990000, 29991000, 30012000, 30017000);
    fetch(b, 3, 1, 29990000, 29992000, 30012100, 30020000);
    append(b, 30017200, 2, 103, 104, 7);
    append(b, 30020200, 3, 103, 104, 7);
    fetch(b, 2, 1, 30018500, 30024000, 30030000, 30035000);
    remote(b, 30024000, 1, 2, 105, 7);
    fetch(b, 3, 1, 30021500, 30027000, 30030200, 30036500);
    remote(b, 30027000, 1, 3, 105, 7);
    watermark(b, 30027000, 1, 103, 105, 2, 7);
    TELL(b, 30033500, PRODUCER, CLIENT_ACKED, NULL, b->topic, 0, 1, 103, 28500000);
    TELL(b, 30033500, PRODUCER, CLIENT_ACKED, NULL, b->topic, 0, 2, 104, 28500000);
    watermark(b, 30035000, 2, 103, 105, 1, 7);
    watermark(b, 30036500, 3, 103, 105, 1, 7);
    TELL(b, 30034000, PRODUCER, CLIENT_SEND, NULL, b->topic, 0, 3, 3, 0);
    trace_builder_rpc(b, (struct trace_builder_call){.from = PRODUCER,
                                                     .to = 1,
                                                     .api = PRODUCE,
                                                     .sent_us = 30034200,
                                                     .received_us = 30037500});
    append(b, 30038000, 1, 105, 106, 7);
    TELL(b, 30039000, -1, SIM_FAULT, "power loss of broker 1", 1, 1, 3, 1, 1000);
    TELL(b, 30039000, -1, SIM_DOWN, NULL, 1, 2, 0);
}

static void failover_after(struct trace_builder *b)
{
    TELL(b, 39040000, QUORUM, CONTROLLER_PARTITION, "isr 2,3 replicas 1,2,3 elr -", b->topic, 0, 2,
         8, 2, 90);
    fetch(b, 2, QUORUM, 38600000, 38605000, 39040000, 39046000);
    fetch(b, 3, QUORUM, 38600000, 38605000, 39040000, 39047500);
    role(b, 39046000, 2, 2, 2, 8);
    role(b, 39047500, 3, 1, 2, 8);
    produce(b, 2, 39052000, 39058000, 39073000, 39078000);
    append(b, 39058500, 2, 105, 105, 8);
    fetch(b, 3, 2, 39049000, 39053000, 39060000, 39065000);
    append(b, 39065300, 3, 105, 105, 8);
    fetch(b, 3, 2, 39066500, 39071000, 39573000, 39577000);
    remote(b, 39071000, 2, 3, 106, 8);
    watermark(b, 39071000, 2, 105, 106, 2, 8);
    watermark(b, 39577000, 3, 105, 106, 1, 8);
    TELL(b, 39078000, PRODUCER, CLIENT_ACKED, NULL, b->topic, 0, 3, 105, 28500000);
}

static void failover_back(struct trace_builder *b)
{
    TELL(b, 44200000, -1, SIM_UP, NULL, 1, 2);
    TELL(b, 44200500, 1, LOG_OPENED, NULL, b->topic, 0, 0, 107, 103, 103, 0, 0);
    fetch(b, 1, QUORUM, 44203000, 44207000, 44210000, 44215000);
    role(b, 44215000, 1, 1, 2, 8);
    fetch(b, 1, 2, 44220000, 44226000, 44229000, 44234000);
    TELL(b, 44234000, 1, REPLICA_DIVERGED, NULL, b->topic, 0, 7, 105, 107, 1);
    TELL(b, 44234200, 1, LOG_TRUNCATED, NULL, b->topic, 0, 107, 105, 103, 1);
    fetch(b, 1, 2, 44237000, 44243000, 44246000, 44251000);
    append(b, 44251300, 1, 105, 105, 8);
    watermark(b, 44251300, 1, 103, 106, 1, 8);
    trace_builder_rpc(b, (struct trace_builder_call){.from = 2,
                                                     .to = QUORUM,
                                                     .api = ALTER,
                                                     .sent_us = 44262000,
                                                     .received_us = 44268000,
                                                     .answered_us = 44271000,
                                                     .replied_us = 44277000});
    TELL(b, 44271000, QUORUM, CONTROLLER_PARTITION, "isr 1,2,3 replicas 1,2,3 elr -", b->topic, 0,
         2, 8, 3, 99);
    TELL(b, 44300000, -1, SIM_PHASE, NULL, 3);
}

void trace_builder_failover(struct trace_builder *b, const char *topic)
{
    introduce(b, "leader-crash", topic);
    stand(b, 2000, 7, 103);
    failover_before(b);
    failover_after(b);
    failover_back(b);
}

/* ---- loss ------------------------------------------------------------------------------------ */

void trace_builder_loss(struct trace_builder *b)
{
    introduce(b, "kip101-hw-truncation", "orders");
    stand(b, 2000, 4, 44);
    produce(b, 1, 12004000, 12008800, 12028000, 12032000);
    append(b, 12009000, 1, 44, 44, 4);
    fetch(b, 2, 1, 11990000, 11991000, 12010000, 12014000);
    append(b, 12014200, 2, 44, 44, 4);
    fetch(b, 3, 1, 11990000, 11991000, 12010000, 12015500);
    append(b, 12015700, 3, 44, 44, 4);
    fetch(b, 2, 1, 12018000, 12022000, 12529000, 0);
    remote(b, 12022000, 1, 2, 45, 4);
    fetch(b, 3, 1, 12020000, 12027000, 12529000, 0);
    remote(b, 12027000, 1, 3, 45, 4);
    watermark(b, 12027000, 1, 44, 45, 2, 4);
    TELL(b, 12032000, PRODUCER, CLIENT_ACKED, NULL, b->topic, 0, 1, 44, 28000000);
    TELL(b, 12033000, -1, SIM_FAULT, "slow link from broker 1 to broker 2", 11, 1, 4, 2, 1000);
    TELL(b, 12037000, QUORUM, CONTROLLER_PARTITION, "isr 1,2 replicas 1,2,3 elr -", b->topic, 0, 1,
         5, 3, 91);
    fetch(b, 2, QUORUM, 12000000, 12001000, 12037500, 12042000);
    role(b, 12042000, 2, 1, 1, 5);
    TELL(b, 12042600, 2, LOG_TRUNCATED, NULL, b->topic, 0, 45, 44, 44, 2);
    TELL(b, 12047000, -1, SIM_FAULT, "power loss of broker 1", 1, 1, 5, 1, 1000);
    TELL(b, 12047000, -1, SIM_DOWN, NULL, 1, 2, 0);
    TELL(b, 21050000, QUORUM, CONTROLLER_PARTITION, "isr 2 replicas 1,2,3 elr -", b->topic, 0, 2, 6,
         4, 95);
    fetch(b, 2, QUORUM, 20900000, 20901000, 21050000, 21056000);
    role(b, 21056000, 2, 2, 2, 6);
    TELL(b, 21056000, -1, SIM_VIOLATION,
         "R17 leader completeness: broker 2 leads epoch 6 of orders-0 with log end 44, but offset "
         "44 "
         "of epoch 4 was acknowledged with acks=all",
         17, 2, b->topic, 0, 6, 44);
}

/* ---- the others ------------------------------------------------------------------------------ */

void trace_builder_steady(struct trace_builder *b, int64_t records)
{
    introduce(b, "steady", "orders");
    stand(b, 2000, 1, 10);
    for (int64_t i = 0; i < records; i++) {
        int64_t us = 1000000 + i * 5000;
        int64_t offset = 10 + i;

        produce(b, 1, us, us + 500, us + 3000, us + 3500);
        append(b, us + 600, 1, offset, offset, 1);
        for (int32_t f = 2; f <= 3; f++) {
            fetch(b, f, 1, us - 1000 + f, us - 500 + f, us + 700 + f, us + 1200 + f);
            append(b, us + 1300 + f, f, offset, offset, 1);
            watermark(b, us + 1300 + f, f, offset - 1, offset, 1, 1);
            remote(b, us + 2000 + f, 1, f, offset + 1, 1);
        }
        watermark(b, us + 2003, 1, offset, offset + 1, 2, 1);
        TELL(b, us, PRODUCER, CLIENT_SEND, NULL, b->topic, 0, i, 0, 0);
        TELL(b, us + 3500, PRODUCER, CLIENT_ACKED, NULL, b->topic, 0, i, offset, 3500000);
    }
}

/* As the log of broker 1 and, a little later, that of broker 2 tell it. */
static void in_logs(struct trace_builder *b, int64_t partition, int64_t producer, int64_t epoch,
                    int64_t step, int64_t offset, int64_t us)
{
    for (int32_t node = 1; node <= 2; node++)
        TELL(b, us + 900 * node, node, LOG_TXN, NULL, b->topic, partition, producer, epoch, step,
             offset, 1);
}

/* Where the record of this offset is written in the steady trace. */
static int64_t moment_of(int64_t offset)
{
    return 1000000 + (offset - 10) * 5000;
}

void trace_builder_txns(struct trace_builder *b)
{
    static const struct {
        int64_t begin, end, step;
    } of[] = {{12, 18, 1}, {20, 26, 2}, {30, 38, 1}};

    trace_builder_steady(b, 40);
    for (int64_t i = 0; i < 3; i++) {
        TELL(b, moment_of(of[i].begin) - 100, PRODUCER, CLIENT_TXN, NULL, 7, i, 0);
        in_logs(b, 0, 7, i, 0, of[i].begin, moment_of(of[i].begin));
        if (i == 2) in_logs(b, 1, 7, i, 0, 5, moment_of(34));
        TELL(b, moment_of(of[i].end) - 100, PRODUCER, CLIENT_TXN, NULL, 7, i, of[i].step);
        in_logs(b, 0, 7, i + 1, of[i].step, of[i].end, moment_of(of[i].end));
    }
    TELL(b, moment_of(22), 1, READ_SERVED, NULL, b->topic, 0, 10, 20, 20, 22, 1);
    in_logs(b, 0, 8, 0, 0, 45, moment_of(45));
    TELL(b, moment_of(60), 2, REPLICA_LEADING, NULL, b->topic, 0, 2, 45, 45);
}

void trace_builder_reigns(struct trace_builder *b, int64_t reigns)
{
    introduce(b, "reigns", "orders");
    stand(b, 2000, 0, 10);
    for (int64_t i = 1; i <= reigns; i++) {
        int64_t us = i * 1000000;
        int32_t leader = (int32_t)(i % 3) + 1;

        TELL(b, us, QUORUM, CONTROLLER_PARTITION, "isr 1,2,3 replicas 1,2,3 elr -", b->topic, 0,
             leader, i, i + 1, 100 + i);
        for (int32_t n = 1; n <= 3; n++) {
            fetch(b, n, QUORUM, us - 5000, us - 4000, us + 100, us + 3000 + n);
            role(b, us + 3000 + n, n, n == leader ? 2 : 1, leader, i);
        }
        append(b, us + 20000, leader, 10 * i, 10 * i + 9, i);
        for (int32_t n = 1; n <= 3; n++) {
            if (n == leader) continue;
            fetch(b, n, leader, us + 15000 + n, us + 16000 + n, us + 20100 + n, us + 22000 + n);
            append(b, us + 22000 + n, n, 10 * i, 10 * i + 9, i);
        }
        watermark(b, us + 30000, leader, 10 * i, 10 * i + 10, 2, i);
    }
}

static void vote(struct trace_builder *b, int32_t from, int32_t to, int64_t us)
{
    trace_builder_rpc(b, (struct trace_builder_call){.from = from,
                                                     .to = to,
                                                     .api = 52,
                                                     .sent_us = us,
                                                     .received_us = us + 2000,
                                                     .answered_us = us + 2500,
                                                     .replied_us = us + 4500});
}

static void begin(struct trace_builder *b, int32_t from, int32_t to, int64_t us)
{
    trace_builder_rpc(b, (struct trace_builder_call){.from = from,
                                                     .to = to,
                                                     .api = 53,
                                                     .sent_us = us,
                                                     .received_us = us + 2000,
                                                     .answered_us = us + 2500,
                                                     .replied_us = us + 4500});
}

void trace_builder_quorum(struct trace_builder *b)
{
    TELL(b, 0, -1, SIM_STARTED, "quorum", 3, 3);
    for (int32_t i = 101; i <= 103; i++) {
        TELL(b, 0, -1, SIM_NODE, NULL, i, 2, 0);
        TELL(b, 1, -1, SIM_UP, NULL, i, 1);
        TELL(b, 100, i, RAFT_STATE, NULL, 0, 0, 0, -1, -1);
        TELL(b, 90, i, LOG_OPENED, NULL, 0, 0, 0, 0, 0, 0, 1, 0);
    }
    TELL(b, 150000, 101, RAFT_STATE, NULL, 0, 2, 1, -1, 101);
    vote(b, 101, 102, 151000);
    vote(b, 101, 103, 151100);
    TELL(b, 155500, 101, RAFT_STATE, NULL, 2, 3, 1, 101, 101);
    TELL(b, 155500, 101, RAFT_ELECTED, NULL, 1, 0, 2, 3);
    TELL(b, 156000, 101, LOG_APPENDED, NULL, 0, 0, 0, 0, 1, 9, 100);
    for (int32_t i = 102; i <= 103; i++) {
        begin(b, 101, i, 156000 + i);
        TELL(b, 158000 + i, i, RAFT_STATE, NULL, 0, 4, 1, 101, -1);
        fetch(b, i, 101, 159000 + i, 161000 + i, 161500 + i, 163500 + i);
        TELL(b, 164000 + i, i, LOG_APPENDED, NULL, 0, 0, 0, 0, 1, 9, 100);
        fetch(b, i, 101, 165000 + i, 167000 + i, 0, 0);
        TELL(b, 167000 + i, 101, RAFT_FETCHED, NULL, i, 1, 1, 1);
    }
    TELL(b, 167102, 101, RAFT_HW, NULL, 0, 1, 1, 1);
    TELL(b, 167200, 101, CONTROLLER_ACTIVE, NULL, 1, 1);
    TELL(b, 900000, -1, SIM_DOWN, NULL, 101, 1, 0);
    TELL(b, 2100000, 102, RAFT_STATE, NULL, 4, 2, 2, -1, 102);
    vote(b, 102, 103, 2101000);
    TELL(b, 2105500, 102, RAFT_STATE, NULL, 2, 3, 2, 102, 102);
    TELL(b, 2106000, 102, LOG_APPENDED, NULL, 0, 0, 1, 1, 2, 9, 100);
    TELL(b, 2106500, 102, CONTROLLER_ACTIVE, NULL, 2, 2);
}

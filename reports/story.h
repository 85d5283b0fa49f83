/* What a trace tells about one partition: read in one pass (after a survey that finds the partition
 * worth telling), kept as small events in the order of the trace.
 *
 * The story knows what changed and which message brought it: a message is kept only if something
 * followed from it; all others are counted. Memory is bounded by the limits below, whatever the
 * length of the trace; what was dropped at a limit is counted in `dropped`. */
#ifndef REPORTS_STORY_H
#define REPORTS_STORY_H

#include "client/base/bytes.h"
#include "client/base/err.h"
#include "reports/background.h"
#include "reports/out.h"
#include "reports/txns.h"

enum {
    STORY_NODES_MAX = 64,
    STORY_TOPICS_MAX = 4096,
    STORY_PARTITIONS_MAX = 16384, /* surveyed */
    STORY_EVENTS_MAX = 1 << 20,
    STORY_MESSAGES_MAX = 1 << 18,
    STORY_ARRIVALS_MAX = 1 << 22,
    STORY_CALLS_MAX = 1 << 14, /* requests in flight at one time */
    STORY_NAME = 64,
    STORY_LABEL = 48,
};

enum story_node_kind {
    STORY_UNKNOWN = 0,
    STORY_BROKER = 1,
    STORY_CONTROLLER = 2,
    STORY_BOTH = 3,
    STORY_CLIENT = 4,
};

struct story_node {
    int32_t id;
    enum story_node_kind kind;
    char name[STORY_NAME];
};

/* In the numbers of replica.role; the two last are the quorum's own. */
enum story_role {
    STORY_ROLE_NONE = 0,
    STORY_ROLE_FOLLOWER = 1,
    STORY_ROLE_LEADER = 2,
    STORY_ROLE_OFFLINE = 3,
    STORY_ROLE_CANDIDATE = 4,
    STORY_ROLE_RESIGNED = 5,
};

/*                      from            to               epoch          extra            text */
enum story_what {
    STORY_ROLE,      /* role            leader           leader epoch   partition epoch        */
    STORY_HW,        /* old             new              leader epoch                          */
    STORY_APPENDED,  /* first offset    end              leader epoch   crc                    */
    STORY_TRUNCATED, /* old end         new end                         hw                     */
    STORY_OPENED,    /* log start       log end                         hw                     */
    STORY_LOG_START, /* old             new                                                    */
    STORY_ISR,       /*                                  leader epoch                 "1,2,3"  */
    STORY_DIVERGED,  /*                 diverging end    diverging epoch                       */
    STORY_DECISION,  /*                 leader           leader epoch   partition epoch  isr.. */
    STORY_ACTIVE,    /*                                  controller epoch                      */
    STORY_RENOUNCED, /*                                  controller epoch                      */
    STORY_UP,        /* quiet                                           incarnation            */
    STORY_DOWN,      /* quiet                                           how                    */
    STORY_FAULT,     /* fault           on               target (index) step          sentence */
    STORY_STEP,      /*                                                               sentence */
    STORY_PHASE,     /*                                                 phase                  */
    STORY_ACK,       /* first offset    end                                                    */
    STORY_FAILED,    /*                                  error          definite               */
    STORY_LOST,      /* (the message that never arrived is the cause)                          */
    STORY_VIOLATION, /* of the focus    offset           epoch          check         sentence */
};

struct story_event {
    int64_t time_ns;
    int64_t from;
    int64_t to;
    int64_t extra;
    uint64_t number; /* in the trace, from 1 */
    uint32_t text;   /* story_text(); 0: none */
    int32_t cause;   /* message, -1: none known */
    int32_t epoch;
    int16_t node; /* index, -1: none */
    uint8_t what;
    bool mends; /* a FAULT that repairs: the start of what was down */
};

enum story_flow { STORY_FLOW_RECORDS, STORY_FLOW_FETCH, STORY_FLOW_CLIENT, STORY_FLOW_CONTROL };

struct story_message {
    int64_t sent_ns;
    int64_t received_ns; /* of a lost one: when it was lost */
    int16_t from;        /* node index */
    int16_t to;
    int16_t api;
    bool answer;
    bool lost;
    uint8_t flow;
    char label[STORY_LABEL]; /* what mattered in it: "#103-#104, HW 103" */
};

struct story {
    struct story_node nodes[STORY_NODES_MAX];
    uint32_t node_count;
    int64_t topic; /* the focus */
    int32_t partition;
    bool has_focus;
    char focus[STORY_NAME + 16]; /* "orders-0" */
    struct story_event *events;  /* owned */
    uint32_t event_count;
    struct story_message *messages; /* owned */
    uint32_t message_count;
    int32_t violation; /* event, -1: none */
    struct background background;
    struct txns txns;
    /* counts over the whole trace */
    int64_t start_ns;
    int64_t end_ns;
    int64_t finished_ns; /* the run was over, then only stopped its nodes; 0: not told */
    uint64_t trace_events;
    uint64_t unknown_kinds;
    uint64_t dropped;
    uint64_t acked;
    uint64_t failed;
    uint64_t sent; /* by clients */
    uint64_t faults;
    int64_t *arrivals; /* owned: when each message was received, anywhere; ascending */
    uint32_t arrival_count;
    enum err err; /* the trace ends in bytes that make no sense */
    bool cut;     /* the trace ends inside a block */
    char scenario[STORY_NAME];
    int64_t seed;
    /* private */
    struct out texts; /* NUL-terminated, one after another; the first is "" */
    uint32_t events_capacity;
    uint32_t messages_capacity;
    uint32_t arrivals_capacity;
};

/* Reads a trace of one file in memory. MALFORMED, UNSUPPORTED: not a trace we can read; the story
 * is then empty, and free of use. `focus`: "topic-partition", or NULL for the most eventful. */
MUST_USE enum err story_read(struct story *story, struct bytes trace, const char *focus);
void story_free(struct story *story);

const char *story_text(const struct story *story, const struct story_event *event);
const char *story_node_name(const struct story *story, int32_t index);
/* Index of a node by its number, -1. */
int32_t story_find_node(const struct story *story, int64_t id);
/* The node numbers after `key` in a decision's text ("isr 1,2 replicas 1,2,3") as a mask of node
 * indexes; key NULL: the text is the list. */
uint64_t story_ids(const struct story *story, const char *text, const char *key);
const char *story_api(int32_t api);
/* A message has been received; and how many were between two moments, neither of them included. */
void story_arrive(struct story *story, int64_t now_ns);
uint32_t story_arrivals(const struct story *story, int64_t after_ns, int64_t before_ns);

#endif

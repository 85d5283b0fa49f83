#include "sim/scenario/language.h"

#include "client/base/list.h"

#include <string.h>

#define NODES(name, required)                         \
    {                                                 \
        name, VALUE_NODES, UNIT_COUNT, NULL, required \
    }
#define QUANTITY(name, unit, required)         \
    {                                          \
        name, VALUE_UNIT, unit, NULL, required \
    }
#define CHOICE(name, choices)                          \
    {                                                  \
        name, VALUE_CHOICE, UNIT_COUNT, choices, false \
    }
#define TEXT(name, required)                         \
    {                                                \
        name, VALUE_TEXT, UNIT_COUNT, NULL, required \
    }
#define TRUTH(name)                               \
    {                                             \
        name, VALUE_BOOL, UNIT_COUNT, NULL, false \
    }
#define LINKS                                        \
    {                                                \
        "links", VALUE_LINKS, UNIT_COUNT, NULL, true \
    }
#define FOR QUANTITY("for", UNIT_TIME, false)

static const struct action_word actions[] = {
    [ACTION_CRASH] = {"crash",
                      "a process dies, or its machine loses power",
                      "P1 P2 P3 DF1 DF2 DF3 DF4 DF5",
                      0,
                      {NODES("node", false), NODES("nodes", false),
                       CHOICE("how", "kill power_loss clean"),
                       CHOICE("unsynced", "keep drop tear garbage random prefix each names")}},
    [ACTION_RESTART] = {"restart",
                        "starts nodes that are down; with: \"key=value key=value\", their settings",
                        "P10",
                        0,
                        {NODES("node", false), NODES("nodes", false), TEXT("with", false)}},
    [ACTION_PAUSE] = {"pause",
                      "a node stands still and is then late for everything",
                      "P5",
                      0,
                      {NODES("node", false), NODES("client", false), FOR}},
    [ACTION_SLOW] = {"slow",
                     "a node's CPU takes so many times as long",
                     "P6",
                     -1,
                     {NODES("node", true), QUANTITY("cpu", UNIT_FACTOR, true), FOR}},
    [ACTION_PARTITION] = {"partition",
                          "bytes stop between two sets of nodes",
                          "N6 N7",
                          -1,
                          {NODES("from", true),
                           NODES("to", true),
                           {"both", VALUE_BOOL, UNIT_COUNT, NULL, false},
                           CHOICE("style", "hold reset blackhole"),
                           FOR}},
    [ACTION_CLOG] = {"clog",
                     "bytes wait on the way, nothing is lost",
                     "N4",
                     -1,
                     {{"links", VALUE_LINKS, UNIT_COUNT, NULL, true},
                      QUANTITY("for", UNIT_TIME, true)}},
    [ACTION_FLAKY_CONNECTS] = {"fail_connects",
                               "the next connection attempts to a node fail",
                               "N12",
                               -1,
                               {NODES("node", true), QUANTITY("times", UNIT_COUNT, true),
                                CHOICE("how", "refused timed_out reset backlog_full no_name "
                                              "moved")}},
    [ACTION_RESET] = {"reset",
                      "connections of the links break: all now, those that are idle, or at the "
                      "next frame or answer",
                      "N10",
                      0,
                      {LINKS, CHOICE("moment", "now idle mid_frame after_request"),
                       CHOICE("notice", "both first second")}},
    [ACTION_HEAL] = {"heal",
                     "cuts, clogs and slowness of the links end",
                     "",
                     0,
                     {{"links", VALUE_LINKS, UNIT_COUNT, NULL, true}}},
    [ACTION_DISK_SLOW] = {"disk_slow",
                          "a disk takes so many times as long",
                          "DF17",
                          -1,
                          {NODES("node", true), QUANTITY("factor", UNIT_FACTOR, true), FOR}},
    [ACTION_DISK_STALL] = {"disk_stall",
                           "a disk answers nothing for a while",
                           "DF17",
                           -1,
                           {NODES("node", true), QUANTITY("for", UNIT_TIME, true)}},
    [ACTION_DISK_FULL] = {"disk_full",
                          "so much room is left, and no more",
                          "DF15",
                          -1,
                          {NODES("node", true), QUANTITY("free", UNIT_SIZE, false), FOR}},
    [ACTION_DISK_ERROR] =
        {"disk_error",
         "the nth matching request fails, `times` in all; offset: reads of that sector until "
         "it is written again; partial: a write applies some bytes; reverts: a sync takes what "
         "was visible",
         "DF12 DF13 DF14",
         -1,
         {NODES("node", true), CHOICE("op", "write read sync open truncate rename"),
          TEXT("file", false), QUANTITY("nth", UNIT_COUNT, false),
          QUANTITY("times", UNIT_COUNT, false), CHOICE("errno", "EIO ENOSPC"),
          QUANTITY("offset", UNIT_SIZE, false), TRUTH("partial"), TRUTH("reverts")}},
    [ACTION_CLOCK] = {"clock",
                      "a node's wall clock is wrong, jumps, moves in steps; both drift; timers are "
                      "late",
                      "W1 W2 W3 W4 W5",
                      -1,
                      {NODES("node", true), QUANTITY("jump", UNIT_TIME, false),
                       QUANTITY("drift", UNIT_DRIFT, false), QUANTITY("skew", UNIT_TIME, false),
                       QUANTITY("coarse", UNIT_TIME, false), QUANTITY("late", UNIT_TIME, false),
                       FOR}},
    [ACTION_CRASH_LOOP] =
        {"crash_loop",
         "dies now, and `times` again: at the n-th event of its next lives, or at "
         "the nth trace event that matches point",
         "P4",
         -1,
         {NODES("node", true), CHOICE("how", "kill power_loss"),
          QUANTITY("event", UNIT_COUNT, false), TEXT("point", false),
          QUANTITY("nth", UNIT_COUNT, false), QUANTITY("times", UNIT_COUNT, false),
          QUANTITY("again", UNIT_TIME, false)}},
    [ACTION_WIPE] = {"wipe",
                     "a node loses its disk; it keeps its identity, gets a new one, or has none",
                     "P7",
                     0,
                     {NODES("node", true), CHOICE("identity", "same new none")}},
    [ACTION_OOM] = {"oom",
                    "the allocation that comes after so many others is refused",
                    "P8",
                    -1,
                    {NODES("node", true), QUANTITY("after", UNIT_COUNT, true),
                     QUANTITY("times", UNIT_COUNT, false)}},
    [ACTION_SLEEP] = {"sleep",
                      "a machine sleeps; its monotonic clock stops meanwhile, or runs on",
                      "W6",
                      -1,
                      {NODES("node", true), QUANTITY("for", UNIT_TIME, true),
                       CHOICE("monotonic", "stops runs")}},
    [ACTION_CUT] = {"cut",
                    "the links named are cut, all others are not",
                    "N8",
                    -1,
                    {LINKS, CHOICE("style", "hold reset blackhole"), FOR}},
    [ACTION_SLOW_LINK] = {"slow_link",
                          "more latency, or so many bytes a second",
                          "N1 N9",
                          -1,
                          {LINKS, QUANTITY("latency", UNIT_TIME, false),
                           QUANTITY("rate", UNIT_SIZE, false), FOR}},
    [ACTION_FLAKY] = {"flaky",
                      "clogs of up to `hold`, one after the other, `every` so often in the mean",
                      "N9",
                      -1,
                      {LINKS, QUANTITY("hold", UNIT_TIME, true), QUANTITY("every", UNIT_TIME, true),
                       QUANTITY("for", UNIT_TIME, true)}},
    [ACTION_SEGMENT] = {"segment",
                        "bytes arrive in pieces, also on connections that stand",
                        "N2",
                        -1,
                        {LINKS, CHOICE("mode", "tiny random header"), FOR}},
    [ACTION_SMALL_BUFFERS] = {"small_buffers",
                              "so few bytes may be on the way",
                              "N3",
                              -1,
                              {LINKS, QUANTITY("size", UNIT_SIZE, true), FOR}},
    [ACTION_SWIZZLE] = {"swizzle",
                        "a random half of the nodes is clogged one by one, and freed in another "
                        "order",
                        "N5",
                        -1,
                        {NODES("nodes", true), QUANTITY("for", UNIT_TIME, true)}},
    [ACTION_HALF_OPEN] =
        {"half_open", "connections of the links are dead, and nobody is told", "N11", 0, {LINKS}},
    [ACTION_CORRUPT] =
        {"corrupt",
         "one bit flips in each of the next pieces; tests that decoders fail cleanly",
         "N14",
         -1,
         {LINKS, QUANTITY("times", UNIT_COUNT, true)}},
    [ACTION_SHUFFLE] = {"shuffle",
                        "connections are accepted and become ready in random order",
                        "N15",
                        -1,
                        {NODES("node", true), FOR}},
    [ACTION_HOLD_MESSAGE] = {"hold_message",
                             "the next request to a node with this api, or the answer to it, and "
                             "what is behind it, waits until a leader changes, the asking node (or "
                             "`of`) has started again, or for so long",
                             "N13",
                             -1,
                             {NODES("from", true), NODES("to", true), TEXT("api", false),
                              TRUTH("response"),
                              CHOICE("until", "leader_change controller_change restart time"),
                              NODES("of", false), QUANTITY("plus", UNIT_TIME, false), FOR}},
    [ACTION_COALESCE_METADATA] =
        {"coalesce_metadata",
         "what controllers tell a node of the metadata waits, and comes at "
         "once",
         "N13",
         -1,
         {NODES("node", true), QUANTITY("for", UNIT_TIME, true)}},
    [ACTION_LYING_SYNC] =
        {"lying_sync", "syncs succeed and settle nothing", "DF6", -1, {NODES("node", true), FOR}},
    [ACTION_ROT] = {"rot",
                    "bits flip in one sector of a file: somewhere, at an offset, in a batch header",
                    "DF7 DF8",
                    -1,
                    {NODES("node", true), TEXT("file", false), QUANTITY("offset", UNIT_SIZE, false),
                     QUANTITY("bits", UNIT_COUNT, false), TRUTH("header")}},
    [ACTION_LOSE_WRITE] = {"lose_write",
                           "a write succeeds, also its sync, and the device keeps what it had",
                           "DF9",
                           -1,
                           {NODES("node", true), TEXT("file", false),
                            QUANTITY("nth", UNIT_COUNT, false),
                            QUANTITY("times", UNIT_COUNT, false)}},
    [ACTION_MISDIRECT] = {"misdirect",
                          "a write lands at another page of the device",
                          "DF10",
                          -1,
                          {NODES("node", true), TEXT("file", false),
                           QUANTITY("nth", UNIT_COUNT, false),
                           QUANTITY("times", UNIT_COUNT, false)}},
    [ACTION_STALE_READ] = {"stale_read",
                           "a read returns an earlier version",
                           "DF11",
                           -1,
                           {NODES("node", true), TEXT("file", false),
                            QUANTITY("nth", UNIT_COUNT, false),
                            QUANTITY("times", UNIT_COUNT, false)}},
    [ACTION_SHORT_IO] = {"short_io",
                         "so many of the writes are done in two parts",
                         "DF16",
                         -1,
                         {NODES("node", true), QUANTITY("share", UNIT_SHARE, true), FOR}},
    [ACTION_DISK_BLOCK] = {"disk_block",
                           "each disk request blocks the node's turn for so long",
                           "DF17",
                           -1,
                           {NODES("node", true), QUANTITY("each", UNIT_TIME, true), FOR}},
    [ACTION_DIR_GONE] = {"dir_gone",
                         "a directory fails, or is empty at the next start, or is read-only",
                         "DF18",
                         -1,
                         {NODES("node", true), TEXT("dir", false),
                          CHOICE("how", "failed empty read_only")}},
    [ACTION_SNAPSHOT] =
        {"snapshot", "the disks are copied, for a later revert", "DF19", 0, {NODES("node", true)}},
    [ACTION_REVERT] = {"revert",
                       "a node goes down and its disk is as at its last snapshot, or at a time",
                       "DF19",
                       -1,
                       {NODES("node", true), QUANTITY("to", UNIT_TIME, false)}},
    [ACTION_FOREIGN] =
        {"foreign",
         "a node goes down and has files of another, or of itself under another name",
         "DF20",
         -1,
         {NODES("node", true), NODES("from", true), TEXT("file", true), TEXT("as", false)}},
    [ACTION_NOTE] =
        {"note", "a sentence in the trace", "", 0, {{"text", VALUE_TEXT, UNIT_COUNT, NULL, true}}},
    [ACTION_CHECK] = {"check", "all periodic checks look now", "", -1, {{NULL, 0, 0, NULL, false}}},
    [ACTION_BEGIN_LIVENESS] =
        {"begin_liveness", "the safety phase ends here", "", -1, {{NULL, 0, 0, NULL, false}}},
    [ACTION_MARK] = {"mark",
                     "the run came by here: counted by campaigns",
                     "",
                     0,
                     {{"name", VALUE_TEXT, UNIT_COUNT, NULL, true}}},
    [ACTION_FAIL] = {"fail",
                     "the run fails with this sentence",
                     "",
                     0,
                     {{"text", VALUE_TEXT, UNIT_COUNT, NULL, true}}},
    [ACTION_CREATE_TOPIC] = {"create_topic",
                             "an administrator creates a topic, named nowhere before",
                             "P11",
                             -1,
                             {{"topic", VALUE_TEXT, UNIT_COUNT, NULL, true},
                              QUANTITY("partitions", UNIT_COUNT, false),
                              QUANTITY("replicas", UNIT_COUNT, false),
                              {"config", VALUE_CONFIGS, UNIT_COUNT, NULL, false}}},
    [ACTION_DELETE_TOPIC] = {"delete_topic",
                             "an administrator deletes a topic",
                             "P11",
                             0,
                             {{"topic", VALUE_TOPIC, UNIT_COUNT, NULL, true}}},
    [ACTION_ADD_PARTITIONS] = {"add_partitions",
                               "an administrator gives a topic more partitions: `count` in all",
                               "P11",
                               -1,
                               {{"topic", VALUE_TOPIC, UNIT_COUNT, NULL, true},
                                QUANTITY("count", UNIT_COUNT, true)}},
    [ACTION_DELETE_RECORDS] = {"delete_records",
                               "an administrator deletes what is before an offset, or below the "
                               "high watermark",
                               "P11",
                               0,
                               {{"partition", VALUE_PARTITION, UNIT_COUNT, NULL, true},
                                QUANTITY("before", UNIT_COUNT, false)}},
    [ACTION_CONFIG] = {"config",
                       "an administrator sets properties of \"topic NAME\", \"broker N\" or "
                       "\"brokers\"",
                       "P11",
                       -1,
                       {{"scope", VALUE_TEXT, UNIT_COUNT, NULL, true},
                        {"set", VALUE_CONFIGS, UNIT_COUNT, NULL, true}}},
    [ACTION_REASSIGN] = {"reassign",
                         "an administrator asks for other replicas of a partition: `first`, and "
                         "the rest of `to` in the order of their numbers",
                         "P11",
                         -1,
                         {{"partition", VALUE_PARTITION, UNIT_COUNT, NULL, true},
                          NODES("to", true),
                          NODES("first", false)}},
    [ACTION_CANCEL_REASSIGN] = {"cancel_reassign",
                                "an administrator takes a reassignment back, if it is not over",
                                "P11",
                                0,
                                {{"partition", VALUE_PARTITION, UNIT_COUNT, NULL, true}}},
    [ACTION_MOVE_DIR] = {"move_dir",
                         "an administrator moves the replicas that brokers have of a partition to "
                         "another directory of their log.dirs",
                         "P11",
                         -1,
                         {{"partition", VALUE_PARTITION, UNIT_COUNT, NULL, true},
                          NODES("nodes", true),
                          {"to", VALUE_TEXT, UNIT_COUNT, NULL, true}}},
    [ACTION_UNREGISTER] = {"unregister",
                           "an administrator takes a broker that is gone out of the metadata",
                           "P11",
                           0,
                           {NODES("broker", true)}},
    [ACTION_ELECT] = {"elect",
                      "an administrator asks for an election of a partition's leader",
                      "P11",
                      0,
                      {{"partition", VALUE_PARTITION, UNIT_COUNT, NULL, true},
                       CHOICE("how", "preferred unclean")}},
    [ACTION_ADD_VOTER] = {"add_voter",
                          "an administrator adds a controller to the voters of the quorum; is "
                          "answered when that is committed, or in the leader's log",
                          "P11",
                          0,
                          {NODES("node", true), CHOICE("ack", "committed appended")}},
    [ACTION_REMOVE_VOTER] = {"remove_voter",
                             "an administrator removes a voter from the quorum, with whichever "
                             "directory it has there",
                             "P11",
                             0,
                             {NODES("node", true)}},
    [ACTION_FEATURES] = {"features",
                         "an administrator sets levels of features: metadata.version, "
                         "kraft.version, ...",
                         "P9",
                         -1,
                         {{"set", VALUE_CONFIGS, UNIT_COUNT, NULL, true},
                          CHOICE("how", "upgrade downgrade unsafe")}},
    [ACTION_UPGRADE] = {"upgrade",
                        "a node stops in order and starts again as a build that knows "
                        "metadata.version up to `to`",
                        "P9",
                        -1,
                        {NODES("node", true), QUANTITY("to", UNIT_COUNT, true)}},
    [ACTION_START_CLIENT] = {"start_client",
                             "a copy of a client begins, with a name of its own or whichever "
                             "machine of the client is off",
                             "",
                             -1,
                             {{"copy_of", VALUE_TEXT, UNIT_COUNT, NULL, true},
                              {"as", VALUE_TEXT, UNIT_COUNT, NULL, false}}},
    [ACTION_STOP_CLIENT] = {"stop_client",
                            "a client stops in order, or its process is gone",
                            "",
                            0,
                            {NODES("client", true), CHOICE("how", "leave vanish")}},
    [ACTION_PRODUCE] = {"produce",
                        "a producer sends so many records at once, besides its rate",
                        "",
                        -1,
                        {NODES("client", true), QUANTITY("n", UNIT_COUNT, true)}},
};
_Static_assert(COUNT_OF(actions) == ACTIONS, "one row an action");

const struct action_word *language_action(enum action_kind kind)
{
    return &actions[kind];
}

int language_choice(const char *choices, const char *word)
{
    size_t length = strlen(word);

    for (int index = 0; *choices != '\0'; index++) {
        size_t here = strcspn(choices, " ");

        if (here == length && strncmp(choices, word, length) == 0) return index;
        choices += here;
        while (*choices == ' ')
            choices++;
    }
    return -1;
}

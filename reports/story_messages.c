/* Of a story, what is about messages alone: how many arrived when, and what requests are called. */
#include "reports/story.h"

#include "client/base/assert.h"

#include <stdlib.h>

void story_arrive(struct story *story, int64_t now_ns)
{
    if (story->arrival_count == STORY_ARRIVALS_MAX) {
        story->dropped++;
        return;
    }
    if (story->arrival_count == story->arrivals_capacity) {
        story->arrivals_capacity =
            story->arrivals_capacity > 0 ? 2 * story->arrivals_capacity : 256;
        story->arrivals =
            realloc(story->arrivals, story->arrivals_capacity * sizeof story->arrivals[0]);
        ASSERT(story->arrivals != NULL);
    }
    story->arrivals[story->arrival_count++] = now_ns;
}

/* Of those before a moment; the times of a trace never fall. */
static uint32_t arrivals_before(const struct story *story, int64_t time_ns)
{
    uint32_t low = 0;
    uint32_t high = story->arrival_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (story->arrivals[middle] < time_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t story_arrivals(const struct story *story, int64_t after_ns, int64_t before_ns)
{
    uint32_t from = arrivals_before(story, after_ns + 1);
    uint32_t to = arrivals_before(story, before_ns);

    return to > from ? to - from : 0;
}

const char *story_api(int32_t api)
{
    switch (api) {
    case 0: return "Produce";
    case 1: return "Fetch";
    case 2: return "ListOffsets";
    case 3: return "Metadata";
    case 8: return "OffsetCommit";
    case 9: return "OffsetFetch";
    case 10: return "FindCoordinator";
    case 11: return "JoinGroup";
    case 12: return "group Heartbeat";
    case 13: return "LeaveGroup";
    case 14: return "SyncGroup";
    case 18: return "ApiVersions";
    case 19: return "CreateTopics";
    case 20: return "DeleteTopics";
    case 22: return "InitProducerId";
    case 23: return "OffsetForLeaderEpoch";
    case 24: return "AddPartitionsToTxn";
    case 26: return "EndTxn";
    case 27: return "WriteTxnMarkers";
    case 28: return "TxnOffsetCommit";
    case 37: return "CreatePartitions";
    case 43: return "ElectLeaders";
    case 45: return "Reassign";
    case 52: return "Vote";
    case 53: return "BeginQuorumEpoch";
    case 54: return "EndQuorumEpoch";
    case 56: return "AlterPartition";
    case 59: return "FetchSnapshot";
    case 62: return "Register";
    case 63: return "Heartbeat";
    case 64: return "Unregister";
    case 67: return "AllocateProducerIds";
    default: return "request";
    }
}

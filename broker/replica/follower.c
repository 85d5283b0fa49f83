#include "broker/replica/follower.h"

#include "client/base/assert.h"

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static enum follower_act judge_error(const struct follower *follower,
                                     const struct follower_answer *answer)
{
    if (answer->err == ERR_OFFSET_OUT_OF_RANGE) return FOLLOWER_OUT_OF_RANGE;
    if (answer->err == ERR_FENCED_LEADER_EPOCH) {
        /* The epochs agree (judged before), so nothing changes until the metadata says so. */
        ASSERT(follower->leader_epoch == answer->request_epoch);
        return FOLLOWER_PARK;
    }
    return FOLLOWER_BACK_OFF;
}

enum follower_act follower_judge(const struct follower *follower,
                                 const struct follower_answer *answer)
{
    /* The epoch too, not only the offset: a late diverging answer of the leader before would cut
     * committed records (KAFKA-18991, R23). */
    if (!follower->ready || answer->request_epoch != follower->leader_epoch ||
        answer->request_offset != follower->log_end) {
        return FOLLOWER_IGNORE;
    }
    if (answer->err != ERR_NONE) return judge_error(follower, answer);
    if (answer->diverged) return FOLLOWER_TRUNCATE;
    return answer->data ? FOLLOWER_APPEND : FOLLOWER_ADVANCE;
}

int64_t follower_truncation(const struct follower_cut *cut)
{
    int64_t target = cut->leader.end_offset;

    if (target < 0) return smaller(cut->high_watermark, cut->log_end);
    if (cut->leader.epoch < 0 || cut->own.end_offset < 0) return smaller(target, cut->log_end);
    /* KIP-279: we lack that epoch: drop what is newer than the one below it, and ask again. */
    if (cut->own.epoch != cut->leader.epoch) return smaller(cut->own.end_offset, cut->log_end);
    return smaller(smaller(cut->own.end_offset, target), cut->log_end);
}

int64_t follower_start(uint32_t epochs_count, int64_t log_end, int64_t high_watermark)
{
    return epochs_count > 0 ? log_end : smaller(high_watermark, log_end);
}

enum follower_range follower_out_of_range(int64_t log_start, int64_t log_end, int64_t leader_end,
                                          int64_t leader_start)
{
    if (leader_end < log_end) return FOLLOWER_RANGE_TRUNCATE;
    if (leader_start > log_end || (leader_start == log_end && log_start < log_end))
        return FOLLOWER_RANGE_RESET;
    return FOLLOWER_RANGE_RESUME;
}

/* A failure that needs several faults in a certain order, and comes with few seeds: the whole story
 * again and again, each fault as long behind the first as it was, or about so long.
 *
 *     - at: 5800ms                                - every: 16s..20s
 *       do: {pause: {.., for: 5s}}                  do:
 *     - at: 8s                            -->         - {pause: {.., for: 5s..7s}}
 *       do: {crash: any followers(t-0)}               - {crash: {.., after: 2s..4s}, then: ..}
 */
#include "sim/shrink.h"

#include <stdlib.h>
#include <string.h>

enum { STORY_ROUNDS = 10 };
#define STORY_STOP_MAX_NS (240 * NS_PER_SEC)
#define STORY_REST_NS     (8 * NS_PER_SEC) /* between the end of one and the next */
#define STORY_REST_MAX_NS (12 * NS_PER_SEC)
#define STORY_BACK_NS     (2 * NS_PER_SEC) /* who was killed comes back so long behind the end */

/* How long things last, and how far apart they are, in per cent of what they were. */
static const struct {
    struct unit_range lasts;
    struct unit_range apart;
} stretches[] = {
    {{100, 100}, {100, 100}}, {{100, 140}, {90, 180}},  {{60, 200}, {60, 200}},
    {{140, 140}, {180, 180}}, {{140, 140}, {100, 100}}, {{100, 100}, {50, 100}},
    {{200, 200}, {100, 200}}, {{70, 100}, {100, 150}},
};

/* On whole tenths, hundredths or thousandths of a second, as people write. */
static int64_t plain(int64_t ns)
{
    int64_t unit = ns >= 2 * NS_PER_SEC    ? 100 * NS_PER_MS
                   : ns >= 100 * NS_PER_MS ? 10 * NS_PER_MS
                                           : NS_PER_MS;

    return ns < NS_PER_MS ? ns : ns / unit * unit;
}

static struct unit_range stretched(struct unit_range range, struct unit_range by)
{
    struct unit_range made = {plain(range.min * by.min / 100), plain(range.max * by.max / 100)};

    if (by.min == 100 && by.max == 100) return range;
    if (made.min < 1) made.min = 1;
    if (made.max < made.min) made.max = made.min;
    return made;
}

static struct scenario_value *duration(struct scenario_action *action)
{
    const struct action_word *word = language_action(action->kind);

    for (uint32_t i = 0; i < ACTION_ARGS_MAX && word->args[i].name != NULL; i++) {
        if (strcmp(word->args[i].name, "for") == 0 && action->args[i].set) return &action->args[i];
    }
    return NULL;
}

/* When the last thing of an action is over, behind its own beginning. */
static int64_t length_of(const struct scenario_action *action)
{
    const struct scenario_value *lasts = scenario_arg(action, "for");
    int64_t length = lasts != NULL ? lasts->quantity.max : 0;
    int64_t then = 0;

    if (action->then != NULL) then = action->then->after.max + length_of(action->then);
    return then > length ? then : length;
}

/* Steps by the clock only, each action with its distance to the first in `after`; the number of
 * actions, 0: these steps are no story. */
static uint32_t gather(const struct scenario *from, struct scenario_action *into)
{
    int64_t start_ns = from->steps[0].time.min;
    int64_t time_ns = start_ns;
    uint32_t count = 0;

    for (uint32_t i = 0; i < from->step_count; i++) {
        const struct scenario_step *step = &from->steps[i];

        if (step->trigger == SCENARIO_AFTER && i > 0) {
            time_ns += step->time.min;
        } else if (step->trigger == SCENARIO_AT) {
            time_ns = step->time.min;
        } else {
            return 0;
        }
        for (uint32_t j = 0; j < step->action_count; j++) {
            int64_t distance_ns = time_ns - start_ns;

            if (count == SCENARIO_ACTIONS_MAX) return 0;
            into[count] = step->actions[j];
            into[count].after.min += distance_ns;
            into[count].after.max += distance_ns;
            count++;
        }
    }
    return count;
}

static bool bind_all(struct scenario_step *story, const struct scenario *from)
{
    for (uint32_t i = 0; i < from->step_count; i++) {
        for (uint32_t j = 0; j < from->steps[i].as_count; j++) {
            if (story->as_count == EXPR_VARS_MAX) return false;
            story->as[story->as_count++] = from->steps[i].as[j];
        }
    }
    return true;
}

/* What is killed for good comes back when the story is over. */
static void revive(struct scenario *copy, struct scenario_action *action, int64_t end_ns)
{
    if (action->kind != ACTION_CRASH || action->then != NULL) return;
    action->then = store_take(&copy->store, sizeof *action->then);
    action->then->kind = ACTION_RESTART;
    action->then->after.min = plain(end_ns - action->after.max + STORY_BACK_NS);
    action->then->after.max = action->then->after.min;
}

char *shrink_story(struct scenario *from, uint32_t n, bool *end)
{
    struct scenario_action *actions;
    struct scenario *copy;
    struct scenario_step *story;
    int64_t end_ns = 0;
    uint32_t count;
    char *text;

    *end = true;
    if (n == COUNT_OF(stretches) || from->step_count < 2) return NULL;
    copy = sim_alloc(sizeof *copy);
    *copy = *from;
    actions = store_take(&copy->store, SCENARIO_ACTIONS_MAX * sizeof *actions);
    count = gather(from, actions);
    story = &copy->steps[0];
    story->as_count = 0;
    if (count == 0 || !bind_all(story, from)) {
        from->store = copy->store;
        free(copy);
        return NULL;
    }
    *end = false;
    for (uint32_t i = 0; i < count; i++) {
        struct scenario_value *lasts = duration(&actions[i]);

        if (lasts != NULL) lasts->quantity = stretched(lasts->quantity, stretches[n].lasts);
        if (actions[i].after.max > 0)
            actions[i].after = stretched(actions[i].after, stretches[n].apart);
        if (actions[i].after.max + length_of(&actions[i]) > end_ns)
            end_ns = actions[i].after.max + length_of(&actions[i]);
    }
    for (uint32_t i = 0; i < count; i++)
        revive(copy, &actions[i], end_ns);
    end_ns = (end_ns + NS_PER_SEC - 1) / NS_PER_SEC * NS_PER_SEC;
    story->trigger = SCENARIO_EVERY;
    story->time = (struct unit_range){end_ns + STORY_REST_NS, end_ns + STORY_REST_MAX_NS};
    story->times = 0;
    story->within_ns = story->hold_ns = 0;
    story->parallel = false;
    story->actions = actions;
    story->action_count = count;
    copy->step_count = 1;
    copy->stop_ns = STORY_ROUNDS * story->time.max;
    if (copy->stop_ns > STORY_STOP_MAX_NS) copy->stop_ns = STORY_STOP_MAX_NS;
    text = shrink_written(copy);
    from->store = copy->store;
    free(copy);
    return text;
}

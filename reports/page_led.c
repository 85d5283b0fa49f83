/* What led to it: the turns before the violation that say most, at most six, as a list.
 *
 * The last two are always told, whatever they are; of those before them the ones of the highest
 * rank (digest.h), of equal rank the later. What is said twice in a row is said once, with how
 * often: a client's twenty lost requests must not push out the crash that lost them. */
#include "reports/page.h"
#include "reports/words.h"

#include "client/base/assert.h"

#include <stdlib.h>
#include <string.h>

enum { LED_MAX = 6, LED_LAST = 2, LED_KEPT = 4096 };

struct turn {
    uint32_t event;
    uint32_t times;
    uint8_t rank;
    bool chosen;
};

struct led {
    const struct story *story;
    struct state state;
    struct turn turns[LED_KEPT]; /* the latest */
    uint32_t count;
    struct out last; /* sentence of the last turn */
};

/* What the event before it at the same moment has said already. */
static bool said(const struct story *story, const struct turn *last,
                 const struct story_event *event)
{
    const struct story_event *before = &story->events[last->event];

    return (event->what == STORY_DOWN || event->what == STORY_UP) && before->what == STORY_FAULT &&
           before->time_ns == event->time_ns && before->epoch == event->node;
}

static uint32_t rank_of(const struct led *led, const struct story_event *event, bool near)
{
    uint32_t rank = digest_rank(led->story, &led->state, event);

    switch ((enum story_what)event->what) {
    case STORY_STEP: return 0; /* the plan's own words: the fault says what was done */
    case STORY_PHASE: return event->extra == 2 ? 4 : 0;
    case STORY_LOST: return near ? 1 : 0;
    case STORY_ROLE:
    case STORY_HW:
    case STORY_APPENDED:
    case STORY_TRUNCATED:
    case STORY_OPENED:
    case STORY_LOG_START:
    case STORY_ISR:
    case STORY_DIVERGED:
    case STORY_DECISION:
    case STORY_ACTIVE:
    case STORY_RENOUNCED:
    case STORY_UP:
    case STORY_DOWN:
    case STORY_FAULT:
    case STORY_ACK:
    case STORY_FAILED:
    case STORY_VIOLATION: break;
    }
    if (!words_turns(&led->state, event) || (event->what == STORY_DOWN && rank < 2)) return 0;
    if (event->what == STORY_FAULT && strncmp(story_text(led->story, event), "clock", 5) == 0)
        rank = 3; /* a skewed clock seldom breaks what was not broken */
    return rank > 2 ? rank : near ? 1 : 0;
}

static void take(struct led *led, uint32_t at, uint32_t rank)
{
    const struct story_event *event = &led->story->events[at];
    struct out text = {.data = NULL};

    if (led->count > 0 && said(led->story, &led->turns[led->count - 1], event)) return;
    words_event(&text, led->story, &led->state, event);
    if (text.data == NULL) return;
    if (led->count > 0 && led->last.data != NULL && strcmp(text.data, led->last.data) == 0) {
        led->turns[led->count - 1].event = at;
        led->turns[led->count - 1].times++;
        out_free(&text);
        return;
    }
    if (led->count == LED_KEPT)
        memmove(led->turns, led->turns + 1, --led->count * sizeof led->turns[0]);
    led->turns[led->count++] = (struct turn){at, 1, (uint8_t)rank, false};
    out_free(&led->last);
    led->last = text;
}

static void choose(struct led *led)
{
    uint32_t chosen = 0;

    for (uint32_t i = led->count; i-- > 0 && chosen < LED_LAST;) {
        led->turns[i].chosen = true;
        chosen++;
    }
    for (uint32_t rank = 7; rank > 2; rank--) {
        for (uint32_t i = led->count; i-- > 0 && chosen < LED_MAX;) {
            if (led->turns[i].chosen || led->turns[i].rank != rank) continue;
            led->turns[i].chosen = true;
            chosen++;
        }
    }
}

static void write_turn(struct out *out, const struct led *led, const struct turn *turn)
{
    const struct story_event *event = &led->story->events[turn->event];

    out_format(out, "<li data-event=\"%llu\"%s><span class=\"n\">",
               (unsigned long long)event->number,
               words_red(&led->state, event) ? " class=\"bad\"" : "");
    out_seconds(out, event->time_ns);
    out_cstr(out, "</span> ");
    page_sentence(out, led->story, &led->state, event);
    if (turn->times > 1) out_format(out, " <span class=\"mute\">(\xc3\x97%u)</span>", turn->times);
    out_cstr(out, "</li>\n");
}

void page_led(struct out *out, const struct page *page)
{
    const struct story *story = page->digest->story;
    uint32_t end = story->violation >= 0 ? (uint32_t)story->violation : page_last_told(story);
    struct led *led = calloc(1, sizeof *led);

    ASSERT(led != NULL);
    led->story = story;
    state_init(&led->state);
    for (uint32_t i = 0; i < end; i++) {
        uint32_t rank =
            rank_of(led, &story->events[i], story->violation >= 0 && end - i <= LED_LAST + 1);

        if (rank > 0) take(led, i, rank);
        state_apply(&led->state, story, &story->events[i]);
    }
    choose(led);
    out_cstr(out, "<ol class=\"led\" id=\"led\">");
    state_init(&led->state);
    for (uint32_t i = 0, next = 0; next < led->count && i < end; i++) {
        if (i == led->turns[next].event) {
            if (led->turns[next].chosen) write_turn(out, led, &led->turns[next]);
            next++;
        }
        state_apply(&led->state, story, &story->events[i]);
    }
    out_cstr(out, "</ol>\n");
    out_free(&led->last);
    free(led);
}

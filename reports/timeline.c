/* The digest as text: a line per event, a column per lane. The time is the first field and names
 * are written out, so that it can be searched. */
#include "reports/figures.h"
#include "reports/words.h"

#include "client/base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMN = 17, CELLS = COLUMN * DIGEST_LANES };

struct line {
    const char *cells[CELLS]; /* each one character on the screen */
    char text[DIGEST_LANES][COLUMN];
};

static const char *lane_glyph(const struct state *state, int32_t node)
{
    const struct state_replica *replica = &state->replicas[node];

    if (!replica->up) return "\xc2\xb7";
    if (!replica->known) return state->active == node ? "\xe2\x95\x8f" : "\xe2\x94\x8a";
    switch (replica->role) {
    case STORY_ROLE_LEADER: return "\xe2\x94\x83";
    case STORY_ROLE_FOLLOWER: return "\xe2\x94\x82";
    case STORY_ROLE_NONE:
    case STORY_ROLE_OFFLINE:
    case STORY_ROLE_CANDIDATE:
    case STORY_ROLE_RESIGNED: return "\xe2\x95\x8e";
    }
    return " ";
}

static void put_state(struct line *line, const struct state *state, const struct digest *digest,
                      const struct story_event *event)
{
    int32_t lane = digest_lane(digest, event->node);
    const struct state_replica *replica = &state->replicas[event->node < 0 ? 0 : event->node];
    char text[64];

    if (lane < 0 || !replica->known) return;
    if (event->what == STORY_DOWN) {
        line->cells[lane * COLUMN] = "\xe2\x9c\x97";
        return;
    }
    if (event->what == STORY_ROLE) {
        snprintf(text, sizeof text, " e%d %lld/%lld", (int)replica->epoch,
                 (long long)replica->high_watermark, (long long)replica->log_end);
    } else if (event->what == STORY_HW || event->what == STORY_APPENDED ||
               event->what == STORY_TRUNCATED || event->what == STORY_OPENED) {
        snprintf(text, sizeof text, " %lld/%lld%s", (long long)replica->high_watermark,
                 (long long)replica->log_end, event->what == STORY_TRUNCATED ? " cut" : "");
    } else {
        return;
    }
    out_copy(line->text[lane], COLUMN, str_of(text));
}

static void put_arrow(struct line *line, const struct digest *digest,
                      const struct story_message *message)
{
    int32_t from = digest_lane(digest, message->from);
    int32_t to = digest_lane(digest, message->to);
    int32_t step = from < to ? 1 : -1;

    if (from < 0 || to < 0) return;
    for (int32_t at = from * COLUMN + step; at != to * COLUMN; at += step) {
        bool lane = at % COLUMN == 0;

        line->cells[at] = lane ? "\xe2\x94\xbc" : "\xe2\x94\x80";
    }
    line->cells[to * COLUMN - step] = message->lost ? "\xe2\x9c\x97"
                                      : step > 0    ? "\xe2\x96\xb6"
                                                    : "\xe2\x97\x80";
}

static void write_line(struct out *out, const struct line *line, uint32_t lanes)
{
    for (uint32_t l = 0; l < lanes; l++) {
        size_t skip = strlen(line->text[l]);

        out_cstr(out, line->cells[l * COLUMN]);
        out_cstr(out, line->text[l]);
        for (uint32_t c = 1 + (uint32_t)skip; c < COLUMN; c++)
            out_cstr(out, line->cells[l * COLUMN + c]);
    }
}

static void write_event(struct out *out, const struct digest *digest, const struct state *before,
                        const struct state *after, const struct story_event *event)
{
    const struct story *story = digest->story;
    struct line *line = calloc(1, sizeof *line);
    size_t at;

    ASSERT(line != NULL);
    for (uint32_t c = 0; c < CELLS; c++)
        line->cells[c] = " ";
    for (uint32_t l = 0; l < digest->lane_count; l++)
        line->cells[l * COLUMN] = lane_glyph(after, digest->lanes[l]);
    if (event->cause >= 0) put_arrow(line, digest, &story->messages[event->cause]);
    put_state(line, after, digest, event);
    at = out->length;
    out_seconds(out, event->time_ns);
    while (out->length - at < 10)
        out_cstr(out, " ");
    write_line(out, line, digest->lane_count);
    out_cstr(out, words_red(before, event) ? "! " : "  ");
    words_event(out, story, before, event);
    out_cstr(out, "\n");
    free(line);
}

static void write_heads(struct out *out, const struct digest *digest)
{
    out_cstr(out, "time      ");
    for (uint32_t l = 0; l < digest->lane_count; l++) {
        char name[COLUMN];
        size_t length;

        out_copy(name, sizeof name - 1, str_of(story_node_name(digest->story, digest->lanes[l])));
        out_cstr(out, name);
        for (length = strlen(name); length < COLUMN; length++)
            out_cstr(out, " ");
    }
    out_cstr(out, "\n");
}

void timeline_write(struct out *out, const struct digest *digest)
{
    const struct story *story = digest->story;
    struct state *state = malloc(sizeof *state);
    struct state *before = malloc(sizeof *before);
    uint32_t next = digest->shown_count > 0 ? digest->shown[0] : 0;
    int32_t told = 0; /* rows whose cut is told */

    ASSERT(state != NULL && before != NULL);
    *state = digest->start;
    out_bytes(out, "", 0);
    write_heads(out, digest);
    for (uint32_t i = 0; i < digest->shown_count; i++) {
        const struct story_event *event = &story->events[digest->shown[i]];
        int32_t row = digest_row(digest, event->time_ns);

        while (next < digest->shown[i])
            state_apply(state, story, &story->events[next++]);
        for (; told <= row; told++) {
            const struct digest_row *r = &digest->rows[told];

            if (!r->cut) continue;
            out_cstr(out, "     \xe2\x8b\xae    ");
            out_duration(out, r->pause_ns);
            if (r->hidden_events > 0) out_format(out, ", %u changes left out", r->hidden_events);
            out_cstr(out, "\n");
        }
        *before = *state;
        state_apply(state, story, event);
        next = digest->shown[i] + 1;
        write_event(out, digest, before, state, event);
    }
    out_cstr(out, "\n\xe2\x94\x83 leads  \xe2\x94\x82 follows  \xe2\x95\x8e neither  "
                  "\xc2\xb7 down  \xe2\x9c\x97 lost, down  HW/LEO\n");
    free(before);
    free(state);
}

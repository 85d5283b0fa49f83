/* The digest as text: a line per event, a column per lane. The time is the first field and names
 * are written out, so that it can be searched.
 *
 *   wide     17 cells a lane: state where it changes, arrows from lane to lane
 *   narrow   3 cells a lane, no arrows; the sentence is wrapped below itself
 *
 * Colour is said twice: whatever is red also has a "!", an epoch also its number. */
#include "reports/figures.h"
#include "reports/words.h"

#include "client/base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COLUMN = 17,
    NARROW = 3,
    CELLS = COLUMN * DIGEST_LANES,
    TIME = 10,
    SENTENCE_MIN = 44, /* what the words want beside wide lanes */
};

enum glyph {
    GLYPH_DOWN,
    GLYPH_ACTIVE,
    GLYPH_OTHER,
    GLYPH_LEADS,
    GLYPH_FOLLOWS,
    GLYPH_NEITHER,
    GLYPH_CROSS,
    GLYPH_LINE,
    GLYPH_ACROSS,
    GLYPH_RIGHT,
    GLYPH_LEFT,
    GLYPH_CUT,
};
static const char *const glyphs[][2] = {
    [GLYPH_DOWN] = {"\xc2\xb7", "."},        [GLYPH_ACTIVE] = {"\xe2\x95\x8f", "A"},
    [GLYPH_OTHER] = {"\xe2\x94\x8a", ":"},   [GLYPH_LEADS] = {"\xe2\x94\x83", "L"},
    [GLYPH_FOLLOWS] = {"\xe2\x94\x82", "F"}, [GLYPH_NEITHER] = {"\xe2\x95\x8e", "?"},
    [GLYPH_CROSS] = {"\xe2\x9c\x97", "x"},   [GLYPH_LINE] = {"\xe2\x94\x80", "-"},
    [GLYPH_ACROSS] = {"\xe2\x94\xbc", "+"},  [GLYPH_RIGHT] = {"\xe2\x96\xb6", ">"},
    [GLYPH_LEFT] = {"\xe2\x97\x80", "<"},    [GLYPH_CUT] = {"\xe2\x8b\xae", ":"},
};

struct timeline {
    struct out *out;
    const struct digest *digest;
    struct timeline_look look;
    bool narrow;
    uint32_t left; /* cells before the sentence */
};

struct line {
    const char *cells[CELLS]; /* each one character on the screen */
    char text[DIGEST_LANES][COLUMN];
};

static const char *glyph(const struct timeline *t, enum glyph which)
{
    return glyphs[which][t->look.ascii ? 1 : 0];
}

static const char *lane_glyph(const struct timeline *t, const struct state *state, int32_t node)
{
    const struct state_replica *replica = &state->replicas[node];

    if (!replica->up) return glyph(t, GLYPH_DOWN);
    if (!replica->known) return glyph(t, state->active == node ? GLYPH_ACTIVE : GLYPH_OTHER);
    switch (replica->role) {
    case STORY_ROLE_LEADER: return glyph(t, GLYPH_LEADS);
    case STORY_ROLE_FOLLOWER: return glyph(t, GLYPH_FOLLOWS);
    case STORY_ROLE_NONE:
    case STORY_ROLE_OFFLINE:
    case STORY_ROLE_CANDIDATE:
    case STORY_ROLE_RESIGNED: return glyph(t, GLYPH_NEITHER);
    }
    return " ";
}

static void put_state(const struct timeline *t, struct line *line, const struct state *state,
                      const struct story_event *event)
{
    int32_t lane = digest_lane(t->digest, event->node);
    const struct state_replica *replica = &state->replicas[event->node < 0 ? 0 : event->node];
    char text[64];

    if (lane < 0) return;
    if (event->what == STORY_DOWN) {
        line->cells[lane * COLUMN] = glyph(t, GLYPH_CROSS);
        return;
    }
    if (!replica->known) return;
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

static void put_arrow(const struct timeline *t, struct line *line,
                      const struct story_message *message)
{
    int32_t from = digest_lane(t->digest, message->from);
    int32_t to = digest_lane(t->digest, message->to);
    int32_t step = from < to ? 1 : -1;

    if (from < 0 || to < 0) return;
    for (int32_t at = from * COLUMN + step; at != to * COLUMN; at += step)
        line->cells[at] = glyph(t, at % COLUMN == 0 ? GLYPH_ACROSS : GLYPH_LINE);
    line->cells[to * COLUMN - step] = message->lost ? glyph(t, GLYPH_CROSS)
                                      : step > 0    ? glyph(t, GLYPH_RIGHT)
                                                    : glyph(t, GLYPH_LEFT);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void paint(const struct timeline *t, const char *codes)
{
    if (t->look.colour) out_format(t->out, "\x1b[%sm", codes);
}

/* The lane's own character, on the tint of its epoch. */
static void write_glyph(const struct timeline *t, const char *cell, const struct state *state,
                        int32_t node)
{
    static const int tints[THEME_EPOCHS] = {153, 215, 105, 79, 222};
    const struct state_replica *replica = &state->replicas[node];

    for (uint32_t i = 0; t->look.colour && replica->up && replica->known && replica->epoch >= 0 &&
                         i < t->digest->epoch_count;
         i++) {
        if (t->digest->epochs[i] != replica->epoch) continue;
        out_format(t->out, "\x1b[48;5;%d;38;5;16m%s\x1b[0m", tints[i % THEME_EPOCHS], cell);
        return;
    }
    out_cstr(t->out, cell);
}

static void write_lanes(const struct timeline *t, const struct line *line,
                        const struct state *state)
{
    for (uint32_t l = 0; l < t->digest->lane_count; l++) {
        write_glyph(t, line->cells[l * COLUMN], state, t->digest->lanes[l]);
        if (t->narrow) {
            out_cstr(t->out, "  ");
            continue;
        }
        out_cstr(t->out, line->text[l]);
        for (size_t c = 1 + strlen(line->text[l]); c < COLUMN; c++)
            out_cstr(t->out, line->cells[l * COLUMN + c]);
    }
}

static size_t characters(const char *text, size_t length)
{
    size_t count = 0;

    for (size_t i = 0; i < length; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

/* The sentence in what is left of the line; more of it below, behind the lanes as they are. */
static void write_sentence(const struct timeline *t, const struct line *line,
                           const struct state *state, const char *text, bool red)
{
    uint32_t room = t->look.columns > t->left + 20 ? t->look.columns - t->left : 0;

    out_cstr(t->out, red ? "! " : "  ");
    while (*text != '\0') {
        size_t length = strlen(text);

        if (room > 0 && characters(text, length) > room) {
            size_t fits = 0;

            for (size_t i = 0; text[i] != '\0' && characters(text, i) <= room; i++) {
                if (text[i] == ' ') fits = i;
            }
            length = fits > 0 ? fits : room;
        }
        if (red) paint(t, "31;1");
        out_bytes(t->out, text, length);
        if (red) paint(t, "0");
        out_cstr(t->out, "\n");
        text += length;
        while (*text == ' ')
            text++;
        if (*text == '\0') return;
        out_format(t->out, "%*s", TIME, "");
        write_lanes(t, line, state);
        out_cstr(t->out, "  ");
    }
}

static void write_event(const struct timeline *t, const struct state *before,
                        const struct state *after, const struct story_event *event)
{
    const struct digest *digest = t->digest;
    struct line *line = calloc(1, sizeof *line);
    struct out sentence = {.data = NULL};
    size_t at;

    ASSERT(line != NULL);
    for (uint32_t c = 0; c < CELLS; c++)
        line->cells[c] = " ";
    for (uint32_t l = 0; l < digest->lane_count; l++)
        line->cells[l * COLUMN] = lane_glyph(t, after, digest->lanes[l]);
    if (event->cause >= 0 && !t->narrow) put_arrow(t, line, &digest->story->messages[event->cause]);
    put_state(t, line, after, event);
    at = t->out->length;
    out_seconds(t->out, event->time_ns);
    while (t->out->length - at < TIME)
        out_cstr(t->out, " ");
    write_lanes(t, line, after);
    for (uint32_t l = 0; l < digest->lane_count; l++) { /* what follows below is the lanes alone */
        for (uint32_t c = 1; c < COLUMN; c++)
            line->cells[l * COLUMN + c] = " ";
        line->cells[l * COLUMN] = lane_glyph(t, after, digest->lanes[l]);
        line->text[l][0] = '\0';
    }
    words_event(&sentence, digest->story, before, event);
    write_sentence(t, line, after, sentence.data != NULL ? sentence.data : "",
                   words_red(before, event));
    if (sentence.length == 0) out_cstr(t->out, "\n");
    out_free(&sentence);
    free(line);
}

static void write_heads(const struct timeline *t)
{
    const struct digest *digest = t->digest;

    out_cstr(t->out, "time      ");
    for (uint32_t l = 0; l < digest->lane_count; l++) {
        char name[COLUMN];
        size_t length;

        if (t->narrow) { /* a number here, the name in the legend */
            out_format(t->out, "%-3u", l + 1);
            continue;
        }
        out_copy(name, sizeof name - 1, str_of(story_node_name(digest->story, digest->lanes[l])));
        out_cstr(t->out, name);
        for (length = strlen(name); length < COLUMN; length++)
            out_cstr(t->out, " ");
    }
    out_cstr(t->out, "\n");
    for (uint32_t l = 0; t->narrow && l < digest->lane_count; l++)
        out_format(t->out, "%s%u %s", l == 0 ? "          " : "  ", l + 1,
                   story_node_name(digest->story, digest->lanes[l]));
    if (t->narrow) out_cstr(t->out, "\n");
}

static void write_cut(const struct timeline *t, const struct digest_row *row)
{
    paint(t, "2");
    out_format(t->out, "     %s    ", glyph(t, GLYPH_CUT));
    out_duration(t->out, row->pause_ns);
    if (row->hidden_events > 0)
        out_format(t->out, ", %u change%s left out", row->hidden_events,
                   row->hidden_events == 1 ? "" : "s");
    paint(t, "0");
    out_cstr(t->out, "\n");
}

static void write_legend(const struct timeline *t)
{
    out_format(t->out,
               "\n%s leads  %s follows  %s neither  %s active controller  %s down  "
               "%s lost, down",
               glyph(t, GLYPH_LEADS), glyph(t, GLYPH_FOLLOWS), glyph(t, GLYPH_NEITHER),
               glyph(t, GLYPH_ACTIVE), glyph(t, GLYPH_DOWN), glyph(t, GLYPH_CROSS));
    out_cstr(t->out, t->narrow ? "\n" : "  HW/LEO\n");
}

void timeline_write(struct out *out, const struct digest *digest, struct timeline_look look)
{
    const struct story *story = digest->story;
    struct state *state = malloc(sizeof *state);
    struct state *before = malloc(sizeof *before);
    uint32_t next = digest->shown_count > 0 ? digest->shown[0] : 0;
    struct timeline t = {.out = out, .digest = digest, .look = look};
    int32_t told = 0; /* rows whose cut is told */

    ASSERT(state != NULL && before != NULL);
    t.left = TIME + digest->lane_count * COLUMN + 2;
    t.narrow = look.columns > 0 && look.columns < t.left + SENTENCE_MIN;
    if (t.narrow) t.left = TIME + digest->lane_count * NARROW + 2;
    *state = digest->start;
    out_bytes(out, "", 0);
    write_heads(&t);
    for (uint32_t i = 0; i < digest->shown_count; i++) {
        const struct story_event *event = &story->events[digest->shown[i]];
        int32_t row = digest_row(digest, event->time_ns);

        while (next < digest->shown[i])
            state_apply(state, story, &story->events[next++]);
        for (; told <= row; told++) {
            if (digest->rows[told].cut) write_cut(&t, &digest->rows[told]);
        }
        *before = *state;
        state_apply(state, story, event);
        next = digest->shown[i] + 1;
        write_event(&t, before, state, event);
    }
    write_legend(&t);
    free(before);
    free(state);
}

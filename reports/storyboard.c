/* The storyboard: the logs of all replicas at the moments that decide, one frame each, at most nine
 * (3 x 3). A cell is a record, coloured by the leader epoch that it carries; the thick bar is the
 * high watermark; the last coloured cell is where the log ends. A frame shows the state just after
 * its moment. The same offset stands in the same column of all frames, if ten columns can do that;
 * otherwise each frame shows the ten up to its longest log, with its offsets above. */
#include "reports/figures.h"
#include "reports/words.h"

#include "client/base/assert.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    FRAMES_MAX = 9,
    ROWS_MAX = 6,
    COLUMNS = 10,
    FRAME_WIDTH = 3720,
    FRAME_GAP = 260,
    LEFT = 250,
    TOP = 560,
    CELL_W = 200,
    CELL_H = 200,
    LABEL_W = 660,
    FOLD_W = 260, /* the cell of all that is before the first column */
    HEAD_H = 620,
};

struct frame {
    int64_t time_ns;
    const struct story_event *why; /* NULL: where the figure begins */
    struct state state;
    struct state before; /* for the words */
    int64_t base;        /* first column */
    bool loses;          /* something committed went */
};

struct board {
    struct scene *scene;
    const struct digest *digest;
    struct frame *frames[FRAMES_MAX]; /* owned */
    uint32_t count;
    int16_t rows[ROWS_MAX]; /* node indexes */
    uint32_t row_count;
    int64_t first; /* shared base, -1: each its own */
};

/* ---- which frames, which cells --------------------------------------------------------------- */

static bool decisive(const struct story_event *event, uint32_t rank)
{
    if (event->what == STORY_FAULT || event->what == STORY_STEP || event->what == STORY_ACTIVE ||
        event->what == STORY_PHASE || event->what == STORY_LOST || event->what == STORY_RENOUNCED)
        return false;
    return rank >= 4;
}

static void add_frame(struct board *board, const struct state *state, const struct state *before,
                      const struct story_event *why)
{
    struct frame *frame = malloc(sizeof *frame);
    const struct digest *digest = board->digest;

    ASSERT(frame != NULL && board->count < FRAMES_MAX);
    *frame = (struct frame){.why = why, .state = *state, .before = *before};
    frame->loses = why != NULL && words_loses(before, why);
    frame->time_ns = why != NULL             ? why->time_ns
                     : digest->row_count > 0 ? digest->rows[0].time_ns
                                             : 0;
    board->frames[board->count++] = frame;
}

/* Has somebody a log with something in it? */
static bool anybody(const struct state *state)
{
    for (uint32_t i = 0; i < STORY_NODES_MAX; i++) {
        if (state->replicas[i].known && state->replicas[i].log_end > 0) return true;
    }
    return false;
}

/* Of moments at the same time only the weightiest: they would show the same logs. */
static void one_of_each_time(const struct digest *digest, uint8_t *ranks)
{
    const struct story *story = digest->story;

    for (uint32_t i = 0; i < digest->shown_count; i++) {
        for (uint32_t k = i + 1; k < digest->shown_count && ranks[i] > 0; k++) {
            if (story->events[digest->shown[k]].time_ns != story->events[digest->shown[i]].time_ns)
                break;
            if (ranks[k] >= ranks[i])
                ranks[i] = 0;
            else
                ranks[k] = 0;
        }
    }
}

/* The nine of highest rank; of equal ones the earliest, but the last moment always. */
static void choose_frames(struct board *board)
{
    const struct digest *digest = board->digest;
    const struct story *story = digest->story;
    uint8_t *ranks = calloc(digest->shown_count + 1, 1);
    struct state *state = malloc(sizeof *state);
    struct state *before = malloc(sizeof *before);
    uint32_t next = digest->shown_count > 0 ? digest->shown[0] : 0;
    uint32_t left = FRAMES_MAX - 2;

    ASSERT(ranks != NULL && state != NULL && before != NULL);
    *state = digest->start;
    for (uint32_t i = 0; i < digest->shown_count; i++) {
        const struct story_event *event = &story->events[digest->shown[i]];
        uint32_t rank;

        while (next < digest->shown[i])
            state_apply(state, story, &story->events[next++]);
        rank = digest_rank(story, state, event);
        ranks[i] = decisive(event, rank) && anybody(state) ? (uint8_t)rank : 0;
        if (words_loses(state, event)) ranks[i] = 7;
    }
    one_of_each_time(digest, ranks);
    for (uint32_t rank = 7; rank >= 4; rank--) {
        for (uint32_t i = 0; i < digest->shown_count; i++) {
            if (ranks[i] != rank) continue;
            if (left == 0)
                ranks[i] = 0;
            else
                left--;
        }
    }
    *state = digest->start;
    next = digest->shown_count > 0 ? digest->shown[0] : 0;
    if (anybody(state)) add_frame(board, state, state, NULL);
    for (uint32_t i = 0; i < digest->shown_count; i++) {
        const struct story_event *event = &story->events[digest->shown[i]];

        while (next < digest->shown[i])
            state_apply(state, story, &story->events[next++]);
        *before = *state;
        state_apply(state, story, event);
        next = digest->shown[i] + 1;
        if (ranks[i] != 0) add_frame(board, state, before, event);
    }
    if (story->violation < 0 && digest->shown_count > 0) {
        const struct story_event *last = &story->events[digest->shown[digest->shown_count - 1]];

        if (board->count == 0 || board->frames[board->count - 1]->why != last)
            add_frame(board, state, state, last);
    }
    free(ranks);
    free(before);
    free(state);
}

static void choose_rows(struct board *board)
{
    for (uint32_t i = 0; i < board->digest->lane_count && board->row_count < ROWS_MAX; i++) {
        int16_t node = board->digest->lanes[i];
        bool known = false;

        for (uint32_t f = 0; f < board->count; f++)
            known = known || board->frames[f]->state.replicas[node].known;
        if (known) board->rows[board->row_count++] = node;
    }
}

static void frame_range(const struct board *board, const struct frame *frame, int64_t *low,
                        int64_t *high)
{
    *low = INT64_MAX;
    *high = 0;
    for (uint32_t i = 0; i < board->row_count; i++) {
        const struct state_replica *replica = &frame->state.replicas[board->rows[i]];
        int64_t end = replica->log_end;

        if (!replica->known) continue;
        if (frame->why != NULL && frame->why->what == STORY_TRUNCATED &&
            frame->why->node == board->rows[i] && frame->why->from > end)
            end = frame->why->from;
        if (end > *high) *high = end;
        if (replica->high_watermark - 2 < *low) *low = replica->high_watermark - 2;
    }
    if (*low < 0 || *low == INT64_MAX) *low = 0;
}

static void choose_cells(struct board *board)
{
    int64_t low = INT64_MAX;
    int64_t high = 0;

    for (uint32_t f = 0; f < board->count; f++) {
        struct frame *frame = board->frames[f];
        int64_t a;
        int64_t b;

        frame_range(board, frame, &a, &b);
        frame->base = b - COLUMNS + 1 > 0 ? b - COLUMNS + 1 : 0;
        if (b == 0) continue; /* empty logs fit everywhere */
        if (a < low) low = a;
        if (b > high) high = b;
    }
    board->first = -1;
    if (high == 0 || high - low > COLUMNS) return;
    board->first = high - COLUMNS + 1 > 0 ? high - COLUMNS + 1 : 0;
    if (board->first > low) board->first = low;
    for (uint32_t f = 0; f < board->count; f++)
        board->frames[f]->base = board->first;
}

/* ---- drawing --------------------------------------------------------------------------------- */

static void draw_cell(struct board *board, const struct frame *frame, int32_t node, int64_t offset,
                      int32_t x, int32_t y)
{
    const struct state_replica *replica = &frame->state.replicas[node];
    const struct story_event *why = frame->why;
    int32_t epoch = state_epoch_at(replica, offset);
    bool cut = why != NULL && why->what == STORY_TRUNCATED && why->node == node &&
               offset >= why->to && offset < why->from;
    bool missing = why != NULL && why->what == STORY_VIOLATION && why->to == offset &&
                   (why->node == node || why->node < 0) && epoch == -2;
    struct scene_item item = {.shape = SCENE_RECT,
                              .layer = SCENE_CHIPS,
                              .box = {x + 5, y + 5, x + CELL_W - 5, y + CELL_H - 5},
                              .fill = THEME_PAPER,
                              .stroke = THEME_RULE,
                              .ink = THEME_INK,
                              .pen = 7,
                              .font = 75,
                              .class = "cell"};
    char text[24] = "";
    char tip[96];

    snprintf(tip, sizeof tip, "%.40s, #%lld", story_node_name(board->digest->story, node),
             (long long)offset);
    if (epoch >= -1) {
        item.fill = replica->up ? digest_tint(board->digest, epoch) : THEME_EMPTY;
        item.stroke = replica->up ? digest_ink(board->digest, epoch) : THEME_DOWN;
        item.ink = replica->up ? item.stroke : THEME_MUTED;
        if (epoch >= 0) snprintf(text, sizeof text, "e%d", (int)epoch);
    } else if (cut) {
        bool red = frame->loses;

        item.stroke = red ? THEME_RED : THEME_DOWN;
        item.ink = red ? THEME_RED : THEME_MUTED;
        item.dash = SCENE_DASHED;
        snprintf(text, sizeof text, "/cut/");
    } else if (missing) {
        item.stroke = THEME_RED;
        item.ink = THEME_RED;
        item.fill = THEME_RED_PALE;
        item.dash = SCENE_DASHED;
        snprintf(text, sizeof text, "\xe2\x9c\x97");
    } else if (offset < replica->log_start) {
        snprintf(text, sizeof text, "\xc2\xb7");
        item.ink = THEME_MUTED;
    }
    if (scene_text_width(text, item.font, false) > CELL_W - 30) item.font = 55;
    scene_add(board->scene, item, text, tip);
}

static void draw_fold(struct board *board, const struct frame *frame, int32_t node, int32_t x,
                      int32_t y)
{
    const struct state_replica *replica = &frame->state.replicas[node];
    char tip[64];

    if (replica->log_start >= frame->base) return;
    snprintf(tip, sizeof tip, "#%lld to #%lld", (long long)replica->log_start,
             (long long)frame->base - 1);
    scene_add(board->scene,
              (struct scene_item){.shape = SCENE_RECT,
                                  .layer = SCENE_CHIPS,
                                  .box = {x + 5, y + 5, x + FOLD_W - 25, y + CELL_H - 5},
                                  .fill = THEME_SOFT,
                                  .stroke = THEME_RULE,
                                  .ink = THEME_MUTED,
                                  .pen = 7,
                                  .font = 75,
                                  .class = "cell"},
              "\xe2\x80\xa6", tip);
}

static void draw_row(struct board *board, const struct frame *frame, int32_t node, int32_t x,
                     int32_t y)
{
    const struct state_replica *replica = &frame->state.replicas[node];
    bool leads = replica->up && replica->role == STORY_ROLE_LEADER;
    struct out label = {.data = NULL};
    struct scene_item *item;
    int32_t cells = x + LABEL_W + FOLD_W;
    char name[20];

    out_copy(name, sizeof name, str_of(story_node_name(board->digest->story, node)));
    out_format(&label, leads ? "%s \xe2\x98\x85" : "%s", name);
    item = scene_text(board->scene, x + LABEL_W - 60, y + CELL_H / 2, SCENE_RIGHT,
                      scene_text_width(label.data, 85, leads) > LABEL_W - 120 ? 68 : 85,
                      replica->up ? THEME_INK : THEME_MUTED, label.data);
    item->bold = leads;
    out_free(&label);
    if (!replica->known) return;
    draw_fold(board, frame, node, x + LABEL_W, y);
    for (int32_t c = 0; c < COLUMNS; c++)
        draw_cell(board, frame, node, frame->base + c, cells + c * CELL_W, y);
    if (replica->high_watermark >= frame->base &&
        replica->high_watermark <= frame->base + COLUMNS && replica->up) {
        int32_t bar = cells + (int32_t)(replica->high_watermark - frame->base) * CELL_W;

        scene_rect(board->scene, SCENE_LABELS,
                   (struct scene_box){bar - 16, y - 12, bar + 16, y + CELL_H + 12}, THEME_INK,
                   THEME_NONE, "hw", "high watermark");
    }
    if (replica->up)
        figures_state_label(&label, replica);
    else
        out_cstr(&label, "down");
    scene_text(board->scene, cells + COLUMNS * CELL_W + 60, y + CELL_H / 2, SCENE_LEFT,
               label.length > 18 ? 55 : 68, THEME_MUTED, label.data);
    out_free(&label);
}

static void draw_heads(struct board *board, const struct frame *frame, uint32_t number, int32_t x,
                       int32_t y, bool red)
{
    const struct story *story = board->digest->story;
    struct out text = {.data = NULL};
    int32_t cells = x + LABEL_W + FOLD_W;

    out_format(&text, "%u  ", number + 1);
    if (frame->why == NULL)
        out_cstr(&text, "Where the figure begins");
    else
        words_event(&text, story, &frame->before, frame->why);
    scene_paragraph(
        board->scene,
        (struct scene_item){
            .font = 95, .ink = red ? THEME_RED : THEME_INK, .bold = true, .class = "caption"},
        x + 120, y + 150, FRAME_WIDTH - 240, 2, text.data);
    text.length = 0;
    out_seconds(&text, frame->time_ns);
    out_cstr(&text, " s");
    if (frame->state.isr_known) {
        out_cstr(&text, "   ISR ");
        words_ids(&text, story, frame->state.isr);
    }
    scene_text(board->scene, x + 120, y + 390, SCENE_LEFT, 80, THEME_MUTED, text.data);
    for (int32_t c = 0; c < COLUMNS; c++) {
        char offset[24];
        int64_t at = frame->base + c;

        snprintf(offset, sizeof offset, "%lld", (long long)at);
        if (at >= 10000 && c % 3 != 0) continue;
        scene_text(board->scene, cells + c * CELL_W + CELL_W / 2, y + HEAD_H - 80, SCENE_MIDDLE, 68,
                   THEME_MUTED, offset);
    }
    out_free(&text);
}

static void draw_frame(struct board *board, uint32_t number, int32_t height)
{
    const struct frame *frame = board->frames[number];
    int32_t x = LEFT + (int32_t)(number % 3) * (FRAME_WIDTH + FRAME_GAP);
    int32_t y = TOP + (int32_t)(number / 3) * (height + FRAME_GAP);
    bool red = frame->why != NULL && frame->why->what == STORY_VIOLATION;
    struct scene_item box = {.shape = SCENE_ROUND,
                             .layer = SCENE_BANDS,
                             .box = {x, y, x + FRAME_WIDTH, y + height},
                             .fill = red ? THEME_RED_PALE : THEME_PAPER,
                             .stroke = red ? THEME_RED : THEME_RULE,
                             .ink = THEME_INK,
                             .pen = red ? 18 : 10,
                             .event = frame->why != NULL ? frame->why->number : 0,
                             .marks = frame->why != NULL,
                             .class = "frame"};

    scene_add(board->scene, box, NULL, NULL);
    if (number % 3 != 0) {
        struct scene_item arrow = {
            .shape = SCENE_ARROW,
            .layer = SCENE_ARROWS,
            .box = {x - FRAME_GAP + 20, y + height / 2, x - 20, y + height / 2},
            .fill = THEME_NONE,
            .stroke = THEME_DOWN,
            .ink = THEME_INK,
            .pen = 11,
            .class = "next"};

        scene_add(board->scene, arrow, NULL, NULL);
    }
    draw_heads(board, frame, number, x, y, red);
    for (uint32_t i = 0; i < board->row_count; i++)
        draw_row(board, frame, board->rows[i], x, y + HEAD_H + (int32_t)i * (CELL_H + 40));
}

bool storyboard_draw(struct scene *scene, const struct digest *digest)
{
    struct board board = {.scene = scene, .digest = digest};
    struct scene_item *item;
    int32_t height;

    scene_init(scene, "storyboard");
    choose_frames(&board);
    choose_rows(&board);
    if (board.row_count > 0) {
        choose_cells(&board);
        height = HEAD_H + (int32_t)board.row_count * (CELL_H + 40) + 80;
        scene->width = 2 * LEFT + 3 * (FRAME_WIDTH + FRAME_GAP) - FRAME_GAP;
        scene->height = TOP + (int32_t)((board.count + 2) / 3) * (height + FRAME_GAP);
        out_copy(scene->title, sizeof scene->title, STR("The logs at the moments that decide"));
        snprintf(scene->about, sizeof scene->about,
                 "%.60s: a row per replica, a cell per record; colour and eN: its leader epoch; "
                 "thick bar: high watermark; /cut/: truncated; grey: on a dead node",
                 digest->story->focus);
        item = scene_text(scene, LEFT, 210, SCENE_LEFT, 150, THEME_INK, scene->title);
        item->bold = true;
        scene_text(scene, LEFT, 390, SCENE_LEFT, 85, THEME_MUTED, scene->about);
        for (uint32_t i = 0; i < board.count; i++)
            draw_frame(&board, i, height);
        scene_sort(scene);
    }
    for (uint32_t i = 0; i < board.count; i++)
        free(board.frames[i]);
    return board.row_count > 0;
}

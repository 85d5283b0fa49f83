/* Consumer groups, time to the right: the state of each group as its coordinator tells, and below
 * it who had which partition from which generation on. A rebalance (Preparing, Completing) is the
 * gap in which nobody may count on a partition: it is drawn through the rows below. */
#include "reports/bands.h"
#include "reports/figures.h"

#include "client/base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEFT = 1900,
    WIDTH = 8400,
    ROW = 230,
    GROUPS_SHOWN = 6,
    ROWS_SHOWN = 24, /* partitions, over all groups */
    MEMBERS = 64,
    STATES = 5,
};

/* In a group of KIP-848 nobody waits: members give up and get partitions one by one, and the state
 * is the group epoch. */
struct groups_row {
    const char *group;
    const char *topic;
    int32_t partition;
};

struct groups {
    struct bands bands;
    const struct background *background;
    const char *names[GROUPS_SHOWN];
    uint32_t name_count;
    const char *members[MEMBERS];
    uint32_t member_count;
    struct groups_row rows[ROWS_SHOWN];
    uint32_t row_count;
    uint32_t rows_hidden;
};

static uint32_t index_of(const char **names, uint32_t *count, uint32_t max, const char *name)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (strcmp(names[i], name) == 0) return i;
    }
    if (*count == max) return max;
    names[(*count)++] = name;
    return *count - 1;
}

static bool shown(const struct groups *g, int64_t time_ns)
{
    return time_ns >= g->bands.digest->from_ns && time_ns <= g->bands.digest->to_ns;
}

static void collect(struct groups *g)
{
    const struct background *b = g->background;

    for (uint32_t i = 0; i < b->group_count; i++) {
        if (shown(g, b->groups[i].time_ns))
            (void)index_of(g->names, &g->name_count, GROUPS_SHOWN, b->groups[i].name);
    }
    for (uint32_t i = 0; i < b->owned_count; i++) {
        const struct background_owned *owned = &b->owned[i];
        uint32_t k = 0;

        (void)index_of(g->members, &g->member_count, MEMBERS, owned->member);
        while (k < g->row_count && (strcmp(g->rows[k].group, owned->group) != 0 ||
                                    strcmp(g->rows[k].topic, owned->topic) != 0 ||
                                    g->rows[k].partition != owned->partition))
            k++;
        if (k < g->row_count) continue;
        if (g->row_count == ROWS_SHOWN)
            g->rows_hidden++;
        else
            g->rows[g->row_count++] =
                (struct groups_row){owned->group, owned->topic, owned->partition};
    }
}

/* "client-1" of "client-1-6f1c...": a client's own name, without the 36 letters a broker added. */
static void short_member(char *text, size_t size, const char *member)
{
    size_t length = strlen(member);

    if (length > 37 && member[length - 37] == '-')
        snprintf(text, size, "%.*s\xe2\x80\xa6%.4s", (int)(length - 37 < 20 ? length - 37 : 20),
                 member, member + length - 36);
    else
        snprintf(text, size, "%.24s", member);
}

static void segment(struct groups *g, int64_t begin_ns, int64_t end_ns, int32_t y, enum theme fill,
                    enum theme ink, const char *text)
{
    int32_t x0 = bands_x(&g->bands, begin_ns);
    int32_t x1 = bands_x(&g->bands, end_ns);
    bool fits;

    if (x1 < x0 + 12) x1 = x0 + 12;
    fits = scene_text_width(text, 75, false) + 60 < x1 - x0;
    scene_add(g->bands.scene,
              (struct scene_item){.shape = SCENE_RECT,
                                  .layer = SCENE_LANES,
                                  .box = {x0, y - 75, x1, y + 75},
                                  .fill = fill,
                                  .stroke = ink,
                                  .ink = ink,
                                  .pen = 6,
                                  .font = fits ? 75 : 0,
                                  .class = "owned"},
              fits ? text : NULL, text);
}

/* The states of one group; its rebalances go down through the rows to `bottom`. */
static void draw_states(struct groups *g, const char *name, int32_t y, int32_t bottom)
{
    static const char *const words[STATES] = {"empty", "joining", "syncing", "stable", "dead"};
    const struct background *b = g->background;
    struct scene_item *item;
    char text[64];

    item = scene_text(g->bands.scene, LEFT - 80, y, SCENE_RIGHT, 95, THEME_INK, name);
    item->bold = true;
    for (uint32_t i = 0; i < b->group_count; i++) {
        const struct background_group *group = &b->groups[i];
        int64_t end_ns = g->bands.digest->to_ns;
        uint32_t state = group->state >= 0 && group->state < STATES ? (uint32_t)group->state : 4;

        if (strcmp(group->name, name) != 0) continue;
        for (uint32_t k = i + 1; k < b->group_count; k++) {
            if (strcmp(b->groups[k].name, name) != 0) continue;
            end_ns = b->groups[k].time_ns;
            break;
        }
        snprintf(text, sizeof text, "%s%s%lld, %lld member%s",
                 group->consumer && state == 3 ? "epoch" : words[state],
                 group->consumer ? " " : " g", (long long)group->generation,
                 (long long)group->members, group->members == 1 ? "" : "s");
        if (state == 4 || (group->consumer && end_ns == group->time_ns)) continue;
        if (state == 1 || state == 2) {
            scene_rect(g->bands.scene, SCENE_BANDS,
                       (struct scene_box){bands_x(&g->bands, group->time_ns), y,
                                          bands_x(&g->bands, end_ns) + 8, bottom},
                       THEME_EMPTY, THEME_NONE, "rebalance", text);
        }
        segment(g, group->time_ns, end_ns, y, state == 3 ? THEME_CLIENT_LANE : THEME_EMPTY,
                state == 3 ? THEME_CLIENT : THEME_MUTED, text);
    }
}

static void draw_row(struct groups *g, const struct groups_row *row, int32_t y)
{
    const struct background *b = g->background;
    char text[64];

    snprintf(text, sizeof text, "%.24s-%d", row->topic, (int)row->partition);
    scene_text(g->bands.scene, LEFT - 80, y, SCENE_RIGHT, 80, THEME_MUTED, text);
    for (uint32_t i = 0; i < b->owned_count; i++) {
        const struct background_owned *owned = &b->owned[i];
        int64_t end_ns = g->bands.digest->to_ns;
        uint32_t member;

        if (strcmp(owned->group, row->group) != 0 || strcmp(owned->topic, row->topic) != 0 ||
            owned->partition != row->partition)
            continue;
        /* Until the group leaves STABLE. */
        if (owned->end_ns > 0) end_ns = owned->end_ns;
        for (uint32_t k = 0; k < b->group_count && owned->end_ns == 0; k++) {
            if (strcmp(b->groups[k].name, row->group) != 0 ||
                b->groups[k].time_ns <= owned->time_ns)
                continue;
            end_ns = b->groups[k].time_ns;
            break;
        }
        member = index_of(g->members, &g->member_count, MEMBERS, owned->member);
        short_member(text, sizeof text, owned->member);
        segment(g, owned->time_ns, end_ns, y, theme_epoch(member), theme_epoch_ink(member), text);
    }
}

static int32_t draw_groups(struct groups *g, int32_t y)
{
    for (uint32_t i = 0; i < g->name_count; i++) {
        int32_t rows = 0;

        for (uint32_t k = 0; k < g->row_count; k++)
            rows += strcmp(g->rows[k].group, g->names[i]) == 0;
        draw_states(g, g->names[i], y, y + rows * ROW + 80);
        for (uint32_t k = 0; k < g->row_count; k++) {
            if (strcmp(g->rows[k].group, g->names[i]) != 0) continue;
            y += ROW;
            draw_row(g, &g->rows[k], y);
        }
        y += ROW + 120;
    }
    return y;
}

bool groups_draw(struct scene *scene, const struct digest *digest)
{
    struct groups *g = calloc(1, sizeof *g);
    struct scene_item *item;
    int32_t top = 560;
    int32_t bottom;
    bool any;

    ASSERT(g != NULL);
    scene_init(scene, "groups");
    g->bands = (struct bands){scene, digest, LEFT, WIDTH};
    g->background = &digest->story->background;
    collect(g);
    any = g->name_count > 0;
    if (any) {
        int32_t y = top + (int32_t)bands_rows(&g->bands) * BANDS_ROW + 200;

        out_copy(scene->title, sizeof scene->title, STR("Consumer groups"));
        snprintf(
            scene->about, sizeof scene->about,
            "State of each group; below it who had which partition (colour: the member); grey: "
            "a rebalance%s",
            g->row_count == 0 ? "; the trace tells no assignments" : "");
        item = scene_text(scene, 250, 210, SCENE_LEFT, 150, THEME_INK, scene->title);
        item->bold = true;
        scene_text(scene, 250, 390, SCENE_LEFT, 85, THEME_MUTED, scene->about);
        scene->width = LEFT + WIDTH + 700;
        bottom = draw_groups(g, y) - 120;
        (void)bands_draw(&g->bands, top, bottom, false);
        bands_axis(&g->bands, y - 120, bottom);
        scene->height = bottom + 330;
        if (g->rows_hidden > 0) {
            char text[64];

            snprintf(text, sizeof text, "%u more partitions are not shown", g->rows_hidden);
            scene_text(scene, LEFT, bottom + 220, SCENE_LEFT, 80, THEME_MUTED, text);
            scene->height += 120;
        }
        scene_sort(scene);
    }
    free(g);
    return any;
}

/* The messages of a space-time figure: one slanted arrow each, from send to receive, and what
 * mattered in it on the way. */
#include "reports/spacetime_private.h"

#include "client/base/assert.h"

#include <stdlib.h>

static enum theme flow_colour(uint8_t flow)
{
    static const enum theme colours[] = {THEME_RECORDS, THEME_FETCH, THEME_CLIENT,
                                         THEME_CONTROLLER};

    return colours[flow];
}

void spacetime_message_ends(const struct spacetime *d, const struct story_message *message,
                            struct scene_box *line)
{
    int32_t from = spacetime_x(d, digest_lane(d->digest, message->from));
    int32_t to = spacetime_x(d, digest_lane(d->digest, message->to));
    int32_t side = from < to ? 1 : -1;

    *line = (struct scene_box){from + side * 40, spacetime_y(d, message->sent_ns), to - side * 85,
                               spacetime_y(d, message->received_ns)};
}

/* On the arrow, in the gap nearest to the receiver, where arrows of one sender have parted. */
static void draw_message_label(struct spacetime *d, const struct story_message *message,
                               struct scene_box line)
{
    static const int32_t parts[] = {50, 42, 58, 34, 66, 28, 72, 22, 78};
    static const int32_t shifts[] = {0, 40, -40, 70, -70, 100, -100};
    int32_t width = scene_text_width(message->label, LABEL_FONT, false) * 110 / 100 + 20;
    int32_t dx = line.x1 - line.x0;
    int32_t gap = spacetime_step(d) - 160;
    int32_t begin = abs(dx) > gap ? line.x1 - (dx > 0 ? gap : -gap) : line.x0;

    if (message->label[0] == '\0') return;
    for (uint32_t s = 0; s < COUNT_OF(shifts); s++) {
        for (uint32_t p = 0; p < COUNT_OF(parts); p++) {
            int32_t x = begin + (line.x1 - begin) * parts[p] / 100;
            int32_t y = line.y0 + (int32_t)((int64_t)(line.y1 - line.y0) * (x - line.x0) /
                                            (dx != 0 ? dx : 1));
            struct scene_box box = {x - width / 2, y + shifts[s] - 50, x + width / 2,
                                    y + shifts[s] + 50};

            if (!scene_clear(d->scene, box)) continue;
            scene_take(d->scene, box);
            scene_add(d->scene,
                      (struct scene_item){.shape = SCENE_RECT,
                                          .layer = SCENE_LABELS,
                                          .box = box,
                                          .fill = THEME_PAPER,
                                          .stroke = THEME_NONE,
                                          .ink = flow_colour(message->flow),
                                          .font = LABEL_FONT,
                                          .label = true,
                                          .class = "message"},
                      message->label, NULL);
            return;
        }
    }
    d->scene->dropped++;
}

static void draw_arrow(struct spacetime *d, const struct story_message *message)
{
    static const int32_t pens[] = {15, 10, 15, 10};
    struct scene_box line;
    struct out tip = {.data = NULL};
    struct scene_item item = {.shape = SCENE_ARROW,
                              .layer = SCENE_ARROWS,
                              .fill = THEME_NONE,
                              .ink = THEME_INK,
                              .class = "arrow"};

    spacetime_message_ends(d, message, &line);
    item.box = line;
    item.pen = pens[message->flow];
    item.stroke = flow_colour(message->flow);
    out_format(&tip, "%s %s, %s to %s: %s", story_api(message->api),
               message->answer ? "answer" : "request",
               story_node_name(d->digest->story, message->from),
               story_node_name(d->digest->story, message->to), message->label);
    if (message->lost) { /* ends in a cross on the way */
        item.shape = SCENE_LINE;
        item.stroke = THEME_RED;
        item.dash = SCENE_DASHED;
        item.box.x1 = line.x0 + (line.x1 - line.x0) * 62 / 100;
        item.box.y1 = line.y0 + (line.y1 - line.y0) * 62 / 100;
    }
    scene_add(d->scene, item, NULL, tip.data);
    out_free(&tip);
}

/* Each message once, however much it brought; the heads first, so that no label covers one. */
void spacetime_messages(struct spacetime *d, bool labels)
{
    const struct digest *digest = d->digest;

    for (uint32_t i = 0; i < digest->shown_count; i++) {
        const struct story_event *event = &digest->story->events[digest->shown[i]];
        const struct story_message *message;
        struct scene_box line;
        bool drawn = false;

        if (event->cause < 0) continue;
        message = &digest->story->messages[event->cause];
        if (digest_lane(digest, message->from) < 0 || digest_lane(digest, message->to) < 0)
            continue;
        if (digest_row(digest, message->sent_ns) < 0) continue;
        for (uint32_t k = 0; k < i && !drawn; k++)
            drawn = digest->story->events[digest->shown[k]].cause == event->cause;
        if (drawn) continue;
        spacetime_message_ends(d, message, &line);
        if (labels) {
            draw_message_label(d, message, line);
            continue;
        }
        draw_arrow(d, message);
        scene_take(d->scene,
                   (struct scene_box){(line.x0 < line.x1 ? line.x1 - 130 : line.x1), line.y1 - 35,
                                      (line.x0 < line.x1 ? line.x1 : line.x1 + 130), line.y1 + 35});
    }
}

/* Figures, before any painting: labels do not cover each other, arrows point down, every event of
 * the digest has one mark, all colours are the theme's, sixty rows are never exceeded; and the DOT
 * of two fixed traces is, byte for byte, the one that was looked at (to accept a new look:
 * GOLDEN=write build/release/unit/reports/figures_test). */
#include "reports/dot.h"
#include "reports/figures.h"
#include "tests/support/support.h"
#include "tests/support/trace_builder.h"

#include <stdlib.h>
#include <string.h>

enum sample { FAILOVER, LOSS, STEADY, LONG, HOSTILE, QUORUM, GROUPS, REIGNS, TXNS, SAMPLES };

struct drawn {
    struct trace_builder builder;
    struct story story;
    struct digest digest;
    struct scene scenes[7];
    uint32_t count; /* of those that have something to show */
};

static struct drawn drawn;

/* Two members, then one of them alone. */
static void groups(struct trace_builder *b)
{
    static const char *const owners[] = {"g c-1 orders", "g c-2 orders"};

    trace_builder_failover(b, "orders");
    TELL(b, 1000000, 1, GROUP_STATE, "g", 7, 1, 0, 1, 0, 0);
    TELL(b, 4000000, 1, GROUP_STATE, "g", 7, 1, 1, 2, 1, 2);
    TELL(b, 4001000, 1, GROUP_STATE, "g", 7, 1, 2, 3, 1, 2);
    for (int64_t i = 0; i < 2; i++)
        TELL(b, 4001000, 1, GROUP_OWNED, owners[i], 7, 1, 1, i);
    TELL(b, 20000000, 1, GROUP_STATE, "g", 7, 1, 3, 1, 1, 2);
    TELL(b, 23000000, 1, GROUP_STATE, "g", 7, 1, 1, 2, 2, 1);
    TELL(b, 23001000, 1, GROUP_STATE, "g", 7, 1, 2, 3, 2, 1);
    for (int64_t i = 0; i < 2; i++)
        TELL(b, 23001000, 1, GROUP_OWNED, owners[0], 7, 1, 2, i);
}

static void draw(enum sample sample)
{
    static bool (*const more[])(struct scene *, const struct digest *) = {
        topology_draw, clients_draw, groups_draw, transactions_draw};

    trace_builder_init(&drawn.builder);
    switch (sample) {
    case FAILOVER: trace_builder_failover(&drawn.builder, "orders"); break;
    case LOSS: trace_builder_loss(&drawn.builder); break;
    case STEADY: trace_builder_steady(&drawn.builder, 3); break;
    case LONG: trace_builder_steady(&drawn.builder, 500); break;
    case HOSTILE: trace_builder_failover(&drawn.builder, "<b>\"&\\l\x01\xff"); break;
    case QUORUM: trace_builder_quorum(&drawn.builder); break;
    case GROUPS: groups(&drawn.builder); break;
    case REIGNS: trace_builder_reigns(&drawn.builder, 40); break;
    case TXNS: trace_builder_txns(&drawn.builder); break;
    case SAMPLES: fail();
    }
    assert_int_equal(story_read(&drawn.story, trace_builder_finish(&drawn.builder), NULL),
                     ERR_NONE);
    digest_make(&drawn.digest, &drawn.story, DIGEST_ROWS);
    spacetime_draw(&drawn.scenes[0], &drawn.digest);
    assert_true(storyboard_draw(&drawn.scenes[1], &drawn.digest));
    assert_true(gantt_draw(&drawn.scenes[2], &drawn.digest));
    drawn.count = 3;
    for (uint32_t i = 0; i < COUNT_OF(more); i++) {
        if (more[i](&drawn.scenes[drawn.count], &drawn.digest))
            drawn.count++;
        else
            scene_free(&drawn.scenes[drawn.count]);
    }
}

static void discard(void)
{
    for (uint32_t i = 0; i < drawn.count; i++)
        scene_free(&drawn.scenes[i]);
    digest_free(&drawn.digest);
    story_free(&drawn.story);
    trace_builder_free(&drawn.builder);
}

static void no_two_labels_cover_each_other(void **context)
{
    (void)context;
    for (int sample = 0; sample < SAMPLES; sample++) {
        uint32_t labels = 0;

        draw((enum sample)sample);
        for (uint32_t s = 0; s < drawn.count; s++) {
            const struct scene *scene = &drawn.scenes[s];

            for (uint32_t i = 0; i < scene->count; i++) {
                if (!scene->items[i].label) continue;
                labels++;
                assert_true(scene->items[i].box.x0 >= 0);
                assert_true(scene->items[i].box.x1 <= scene->width);
                assert_true(scene->items[i].box.y1 <= scene->height);
                for (uint32_t k = i + 1; k < scene->count; k++) {
                    assert_false(scene->items[k].label &&
                                 scene_overlap(scene->items[i].box, scene->items[k].box));
                }
            }
            assert_int_equal(scene->dropped, 0);
        }
        assert_true(labels > 5);
        discard();
    }
}

static void arrows_point_down(void **context)
{
    uint32_t arrows = 0;

    (void)context;
    for (int sample = 0; sample < SAMPLES; sample++) {
        draw((enum sample)sample);
        for (uint32_t i = 0; i < drawn.scenes[0].count; i++) {
            const struct scene_item *item = &drawn.scenes[0].items[i];

            if (item->shape != SCENE_ARROW) continue;
            assert_true(item->box.y1 > item->box.y0);
            arrows++;
        }
        discard();
    }
    assert_true(arrows > 50);
}

static void every_event_of_the_digest_has_one_mark(void **context)
{
    (void)context;
    for (int sample = 0; sample < SAMPLES; sample++) {
        uint32_t marks = 0;

        draw((enum sample)sample);
        for (uint32_t i = 0; i < drawn.scenes[0].count; i++) {
            const struct scene_item *item = &drawn.scenes[0].items[i];

            marks += item->marks;
            assert_int_equal(item->marks > 0, item->event > 0);
        }
        assert_int_equal(marks, drawn.digest.shown_count);
        assert_true(marks > 0);
        discard();
    }
}

static void a_figure_has_sixty_rows_at_most_and_says_what_it_left_out(void **context)
{
    uint32_t hidden = 0;

    (void)context;
    draw(LONG);
    assert_true(drawn.digest.row_count <= DIGEST_ROWS);
    assert_true(drawn.digest.shown_count > 10);
    assert_true(drawn.digest.hidden_events > 1000);
    for (uint32_t i = 0; i < drawn.digest.row_count; i++) {
        hidden += drawn.digest.rows[i].hidden_events;
        assert_true(drawn.digest.rows[i].hidden_events == 0 || i == 0 || drawn.digest.rows[i].cut);
    }
    assert_int_equal(hidden + drawn.digest.hidden_after, drawn.digest.hidden_events);
    discard();
}

/* What has more key moments than one figure shows goes into several, and nothing is shown twice. */
static void a_long_story_is_told_in_parts(void **context)
{
    struct digest whole;
    struct digest part;
    uint32_t shown = 0;
    uint32_t first = 0;

    (void)context;
    draw(REIGNS);
    assert_true(drawn.digest.hidden_keys > 0);
    digest_make_wish(&whole, &drawn.story, DIGEST_ROWS * DIGEST_PARTS,
                     (struct digest_wish){.keys = true});
    assert_true(whole.row_count > DIGEST_ROWS);
    assert_true(whole.hidden_keys < drawn.digest.hidden_keys);
    for (uint32_t i = 0; first < whole.row_count; i++) {
        uint32_t rows =
            whole.row_count - first < DIGEST_ROWS ? whole.row_count - first : DIGEST_ROWS;
        struct state folded;
        struct scene scene;
        uint32_t marks = 0;

        digest_cut(&part, &whole, first, rows);
        part.part = i;
        part.parts = DIGEST_PARTS;
        for (uint32_t k = 0; k < part.shown_count; k++)
            assert_int_equal(part.shown[k], whole.shown[shown + k]);
        shown += part.shown_count;
        state_init(&folded);
        for (uint32_t k = 0; k < part.shown[0]; k++)
            state_apply(&folded, &drawn.story, &drawn.story.events[k]);
        assert_memory_equal(&folded, &part.start, sizeof folded);
        spacetime_draw(&scene, &part);
        assert_int_equal(scene.dropped, 0);
        for (uint32_t k = 0; k < scene.count; k++)
            marks += scene.items[k].marks;
        assert_int_equal(marks, part.shown_count);
        scene_free(&scene);
        digest_free(&part);
        first += rows;
    }
    assert_int_equal(shown, whole.shown_count);
    digest_free(&whole);
    discard();
}

static void the_lost_record_and_its_acknowledgement_are_always_shown(void **context)
{
    uint32_t appended = 0;
    uint32_t acked = 0;

    (void)context;
    draw(LOSS);
    for (uint32_t i = 0; i < drawn.digest.shown_count; i++) {
        const struct story_event *event = &drawn.story.events[drawn.digest.shown[i]];

        appended += event->what == STORY_APPENDED && event->from == 44;
        acked += event->what == STORY_ACK && event->from == 44;
    }
    assert_int_equal(appended, 3);
    assert_int_equal(acked, 1);
    discard();
}

static bool in_theme(const char *colour)
{
    for (uint32_t i = 0; i < THEME_COUNT; i++) {
        if (strncmp(theme_light((enum theme)i), colour, 7) == 0) return true;
    }
    return false;
}

static void every_colour_is_in_the_theme(void **context)
{
    (void)context;
    for (int sample = 0; sample < SAMPLES; sample++) {
        draw((enum sample)sample);
        for (uint32_t s = 0; s < drawn.count; s++) {
            struct out dot = {.data = NULL};
            uint32_t colours = 0;

            dot_write(&dot, &drawn.scenes[s]);
            for (const char *at = dot.data; (at = strstr(at, "=\"#")) != NULL; at += 2) {
                if (strncmp(at - 5, "label", 5) == 0 || strncmp(at - 7, "tooltip", 7) == 0)
                    continue;
                assert_true(in_theme(at + 2));
                colours++;
            }
            assert_true(colours > 10);
            out_free(&dot);
        }
        discard();
    }
}

static void a_colour_has_one_meaning_in_the_dark(void **context)
{
    (void)context;
    for (uint32_t i = 0; i < THEME_COUNT; i++) {
        assert_int_equal(strlen(theme_light((enum theme)i)), 7);
        assert_int_equal(strlen(theme_dark((enum theme)i)), 7);
        for (uint32_t k = i + 1; k < THEME_COUNT; k++)
            assert_string_not_equal(theme_light((enum theme)i), theme_light((enum theme)k));
    }
}

static void golden(enum sample sample, const char *path)
{
    struct out dot = {.data = NULL};
    struct out kept = {.data = NULL};

    draw(sample);
    for (uint32_t s = 0; s < 2; s++)
        dot_write(&dot, &drawn.scenes[s]);
    if (getenv("GOLDEN") != NULL) assert_true(out_write_file(&dot, path));
    assert_true(out_read_file(&kept, path));
    assert_int_equal(kept.length, dot.length);
    assert_memory_equal(kept.data, dot.data, dot.length);
    out_free(&kept);
    out_free(&dot);
    discard();
}

static void the_figures_of_a_failover_look_as_they_did(void **context)
{
    (void)context;
    golden(FAILOVER, "tests/unit/reports/golden/failover.dot");
}

static void the_figures_of_a_loss_look_as_they_did(void **context)
{
    (void)context;
    golden(LOSS, "tests/unit/reports/golden/loss.dot");
}

static void the_text_timeline_tells_every_shown_event(void **context)
{
    struct out text = {.data = NULL};
    uint32_t lines = 0;

    (void)context;
    draw(FAILOVER);
    timeline_write(&text, &drawn.digest, (struct timeline_look){.columns = 0});
    for (const char *at = text.data; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_true(lines >= drawn.digest.shown_count + 3);
    assert_non_null(strstr(text.data, "44.234"));
    assert_non_null(strstr(text.data, "Broker 1 cuts its log back to 105: #105"));
    out_free(&text);
    discard();
}

/* Who had a partition is drawn from its generation to the next rebalance, by the member's name. */
static void a_partition_belongs_to_its_member_until_the_next_rebalance(void **context)
{
    const struct scene *scene;
    uint32_t first = 0, second = 0;

    (void)context;
    draw(GROUPS);
    scene = &drawn.scenes[drawn.count - 1];
    assert_string_equal(scene->name, "groups");
    for (uint32_t i = 0; i < scene->count; i++) {
        const struct scene_item *item = &scene->items[i];

        if (item->tooltip == 0) continue;
        first += strcmp(scene_string(scene, item->tooltip), "c-1") == 0;
        second += strcmp(scene_string(scene, item->tooltip), "c-2") == 0;
    }
    assert_int_equal(first, 3); /* one partition, then both */
    assert_int_equal(second, 1);
    discard();
}

static uint32_t segments_of(const struct scene *scene, const char *tooltip)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < scene->count; i++)
        count += scene->items[i].tooltip != 0 &&
                 strcmp(scene_string(scene, scene->items[i].tooltip), tooltip) == 0;
    return count;
}

/* In a group of KIP-848 until its member gives it up or is gone, whatever the group does. */
static void a_partition_belongs_to_its_member_until_it_gives_it_up(void **context)
{
    static const char *const held[] = {"g m-1 AAAAAAAAAAEAAAAAAAAAAA",
                                       "g m-2 AAAAAAAAAAEAAAAAAAAAAA"};
    const struct scene *scene;
    const struct background *b;

    (void)context;
    trace_builder_init(&drawn.builder);
    trace_builder_failover(&drawn.builder, "orders");
    TELL(&drawn.builder, 0, 1, TOPIC_KNOWN, "parts", 1, 2);
    for (int64_t i = 0; i < 2; i++) {
        TELL(&drawn.builder, 1000000, 1, GROUP_EPOCHS, "g", 0, 1, 1 + i, 1, 1);
        TELL(&drawn.builder, 1100000, 1, GROUP_HOLDS, held[0], 0, 1, i, 1, 1);
        TELL(&drawn.builder, 1200000, 2, GROUP_HOLDS, held[0], 0, 2, i, 1, 1); /* loaded again */
    }
    TELL(&drawn.builder, 5000000, 2, GROUP_EPOCHS, "g", 0, 2, 2, 2, 2);
    TELL(&drawn.builder, 6000000, 2, GROUP_HOLDS, held[0], 0, 2, 1, 2, 0);
    TELL(&drawn.builder, 7000000, 2, GROUP_HOLDS, held[1], 0, 2, 1, 2, 1);
    TELL(&drawn.builder, 9000000, 2, GROUP_MEMBER, "g m-1", 0, 2, -1, 0, 0, 0);
    assert_int_equal(story_read(&drawn.story, trace_builder_finish(&drawn.builder), NULL),
                     ERR_NONE);
    digest_make(&drawn.digest, &drawn.story, DIGEST_ROWS);
    assert_true(groups_draw(&drawn.scenes[0], &drawn.digest));
    drawn.count = 1;
    scene = &drawn.scenes[0];
    b = &drawn.story.background;
    assert_int_equal(b->owned_count, 3);
    assert_string_equal(b->owned[0].topic, "parts");
    assert_int_equal(b->owned[0].end_ns, 9000000000); /* gone */
    assert_int_equal(b->owned[1].end_ns, 6000000000); /* given up */
    assert_int_equal(b->owned[2].end_ns, INT64_MAX);
    assert_int_equal(segments_of(scene, "m-1"), 2);
    assert_int_equal(segments_of(scene, "m-2"), 1);
    assert_int_equal(segments_of(scene, "epoch 2, 2 members"), 1);
    discard();
}

static uint32_t marks_of(const struct scene *scene, const char *class, const char *tooltip)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < scene->count; i++) {
        const struct scene_item *item = &scene->items[i];

        if (item->class == NULL || strcmp(item->class, class) != 0) continue;
        count += tooltip == NULL || (item->tooltip != 0 &&
                                     strstr(scene_string(scene, item->tooltip), tooltip) != NULL);
    }
    return count;
}

static void numbers_of_any_size_are_drawn(void **context)
{
    const int64_t huge = INT64_MAX - 7;

    (void)context;
    trace_builder_init(&drawn.builder);
    trace_builder_txns(&drawn.builder);
    TELL(&drawn.builder, 1201000, 1, REPLICA_HW, NULL, drawn.builder.topic, 0, 49, huge, 2, huge);
    TELL(&drawn.builder, 1202000, 1, LOG_TXN, NULL, drawn.builder.topic, huge, huge, huge, 0, huge,
         huge);
    TELL(&drawn.builder, 1203000, 1, CLIENT_TXN, NULL, INT64_MAX, INT64_MIN, 2);
    TELL(&drawn.builder, 1204000, 1, READ_SERVED, NULL, drawn.builder.topic, 0, -huge, huge, huge,
         huge, 1);
    assert_int_equal(story_read(&drawn.story, trace_builder_finish(&drawn.builder), NULL),
                     ERR_NONE);
    digest_make(&drawn.digest, &drawn.story, DIGEST_ROWS);
    assert_true(transactions_draw(&drawn.scenes[0], &drawn.digest));
    drawn.count = 1;
    for (uint32_t i = 0; i < drawn.scenes[0].count; i++) {
        assert_in_range(drawn.scenes[0].items[i].box.y0, 0, drawn.scenes[0].height);
        assert_in_range(drawn.scenes[0].items[i].box.y1, 0, drawn.scenes[0].height);
    }
    discard();
}

/* One bar each above, those around the longest below, and one in the legend. */
static void a_transaction_is_drawn_as_it_ended(void **context)
{
    const struct scene *scene;

    (void)context;
    draw(TXNS);
    scene = &drawn.scenes[drawn.count - 1];
    assert_string_equal(scene->name, "transactions");
    assert_true(marks_of(scene, "transaction", ", committed") >= 1);
    assert_true(marks_of(scene, "transaction", ", aborted") >= 1);
    assert_true(marks_of(scene, "transaction", ", open") >= 3); /* two of them are open */
    assert_int_equal(marks_of(scene, "marker", "commit marker"), 1);
    assert_int_equal(marks_of(scene, "touched", NULL), 2);
    discard();
    draw(STEADY); /* nothing of transactions where there are none */
    for (uint32_t i = 0; i < drawn.count; i++)
        assert_string_not_equal(drawn.scenes[i].name, "transactions");
    discard();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_partition_belongs_to_its_member_until_the_next_rebalance),
        cmocka_unit_test(a_partition_belongs_to_its_member_until_it_gives_it_up),
        cmocka_unit_test(numbers_of_any_size_are_drawn),
        cmocka_unit_test(a_transaction_is_drawn_as_it_ended),
        cmocka_unit_test(no_two_labels_cover_each_other),
        cmocka_unit_test(arrows_point_down),
        cmocka_unit_test(every_event_of_the_digest_has_one_mark),
        cmocka_unit_test(a_figure_has_sixty_rows_at_most_and_says_what_it_left_out),
        cmocka_unit_test(a_long_story_is_told_in_parts),
        cmocka_unit_test(the_lost_record_and_its_acknowledgement_are_always_shown),
        cmocka_unit_test(every_colour_is_in_the_theme),
        cmocka_unit_test(a_colour_has_one_meaning_in_the_dark),
        cmocka_unit_test(the_figures_of_a_failover_look_as_they_did),
        cmocka_unit_test(the_figures_of_a_loss_look_as_they_did),
        cmocka_unit_test(the_text_timeline_tells_every_shown_event),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Pages: same trace and facts, same bytes; hostile names stay text; nothing is fetched from
 * anywhere; ids are unique; the painter has nothing to complain about; without it the page is there
 * all the same and says what to install; a long run makes no long page. */
#include "reports/dot.h"
#include "reports/figures.h"
#include "reports/reports.h"
#include "reports/svg.h"
#include "tests/support/support.h"
#include "tests/support/trace_builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[64];

static int setup(void **context)
{
    (void)context;
    strcpy(directory, "/tmp/reports-test-XXXXXX");
    return mkdtemp(directory) == NULL;
}

static int teardown(void **context)
{
    static const char *const names[] = {
        "index.html",     "gantt.dot",      "gantt.svg",    "spacetime.dot", "spacetime.svg",
        "storyboard.dot", "storyboard.svg", "topology.dot", "topology.svg",  "clients.dot",
        "clients.svg",    "groups.dot",     "groups.svg",   "facts.txt"};

    (void)context;
    for (uint32_t i = 0; i < COUNT_OF(names); i++) {
        char path[128];

        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
    return rmdir(directory);
}

static struct out read_file(const char *name)
{
    struct out file = {.data = NULL};
    char path[128];

    snprintf(path, sizeof path, "%s/%s", directory, name);
    assert_true(out_read_file(&file, path));
    return file;
}

static struct out render(struct trace_builder *builder, struct reports_result *result)
{
    static const struct reports_check checks[] = {
        {.id = "R6", .name = "high watermark only grows", .evaluations = 1204},
        {.id = "K8", .evaluations = 0},
    };
    static const struct reports_fault faults[] = {
        {.id = "P2", .word = "power loss", .asked = 1, .injected = 1},
    };
    struct reports_run run = {.trace = trace_builder_finish(builder),
                              .directory = directory,
                              .replay = "gregor-sim run a&b.yaml --seed 7",
                              .plan = "steps:\n  - <crash>\n",
                              .has_seed = true,
                              .seed = 7,
                              .has_hash = true,
                              .hash = 0xabc,
                              .checks = checks,
                              .check_count = COUNT_OF(checks),
                              .faults = faults,
                              .fault_count = COUNT_OF(faults)};

    assert_int_equal(reports_render_run(&run, result), ERR_NONE);
    return read_file("index.html");
}

static void need_neato(void)
{
    if (system("command -v neato >/dev/null") != 0) {
        print_message("neato is not installed\n");
        skip();
    }
}

static void the_verdict_the_command_and_the_checks_are_there(void **context)
{
    struct trace_builder builder;
    struct out page;

    (void)context;
    trace_builder_init(&builder);
    trace_builder_loss(&builder);
    page = render(&builder, NULL);
    assert_non_null(strstr(page.data, "<h1 class=\"bad\">FAIL \xc2\xb7 kip101-hw-truncation"));
    assert_non_null(strstr(page.data, "R17 leader completeness"));
    assert_non_null(strstr(page.data, "gregor-sim run a&amp;b.yaml --seed 7"));
    assert_non_null(strstr(page.data, "not exercised"));
    assert_non_null(strstr(page.data, "- &lt;crash&gt;"));
    assert_non_null(strstr(page.data, "0000000000000abc"));
    out_free(&page);
    trace_builder_free(&builder);
}

static void the_same_trace_makes_the_same_bytes(void **context)
{
    struct trace_builder builder;
    struct out first;
    struct out second;

    (void)context;
    trace_builder_init(&builder);
    trace_builder_failover(&builder, "orders");
    first = render(&builder, NULL);
    second = render(&builder, NULL);
    assert_int_equal(first.length, second.length);
    assert_memory_equal(first.data, second.data, first.length);
    assert_null(strstr(first.data, directory));
    out_free(&first);
    out_free(&second);
    trace_builder_free(&builder);
}

/* Tags in their order and nothing unescaped: enough of XML for what Graphviz writes. */
static void assert_well_formed(const char *at, const char *end)
{
    char stack[64][16];
    uint32_t depth = 0;

    while (at < end) {
        const char *close;
        size_t length;

        if (*at == '&') assert_true(strcspn(at, ";") < 10);
        if (*at++ != '<') continue;
        close = memchr(at, '>', (size_t)(end - at));
        assert_non_null(close);
        assert_null(memchr(at, '<', (size_t)(close - at)));
        length = strcspn(at + (*at == '/'), " >/\n");
        assert_true(length > 0 && length < sizeof stack[0]);
        if (*at == '/') {
            assert_true(depth > 0);
            depth--;
            assert_memory_equal(stack[depth], at + 1, length);
        } else if (close[-1] != '/') {
            assert_true(depth < COUNT_OF(stack));
            memcpy(stack[depth], at, length);
            depth++;
        }
        at = close;
    }
    assert_int_equal(depth, 0);
}

static void the_figures_in_a_page_are_well_formed_and_their_ids_unique(void **context)
{
    struct trace_builder builder;
    struct out page;
    uint32_t figures = 0;

    (void)context;
    need_neato();
    trace_builder_init(&builder);
    trace_builder_failover(&builder, "<b>\"&\\l\x01\xff");
    page = render(&builder, NULL);
    for (const char *at = page.data; (at = strstr(at, "<svg")) != NULL; at++) {
        const char *end = strstr(at, "</svg>");

        assert_non_null(end);
        assert_well_formed(at, end + 6);
        figures++;
    }
    assert_int_equal(figures, 5);
    for (const char *at = page.data; (at = strstr(at, " id=\"")) != NULL; at++) {
        char id[80];

        snprintf(id, sizeof id, "%.*s\"", (int)strcspn(at + 5, "\"") + 5, at);
        assert_null(strstr(at + 1, id));
    }
    assert_null(strstr(page.data, "<b>\""));
    assert_non_null(strstr(page.data, "&lt;b&gt;&quot;&amp;\\l?"
                                      "?-0"));
    out_free(&page);
    trace_builder_free(&builder);
}

static void a_page_fetches_nothing(void **context)
{
    struct trace_builder builder;
    struct out page;

    (void)context;
    trace_builder_init(&builder);
    trace_builder_failover(&builder, "orders");
    page = render(&builder, NULL);
    for (const char *at = page.data; (at = strstr(at, "http")) != NULL; at++)
        assert_memory_equal(at, "http://www.w3.org/", 18);
    assert_null(strstr(page.data, "src="));
    assert_null(strstr(page.data, "<link"));
    assert_null(strstr(page.data, "@import"));
    assert_null(strstr(page.data, "url("));
    out_free(&page);
    trace_builder_free(&builder);
}

static void graphviz_has_nothing_to_complain_about(void **context)
{
    (void)context;
    need_neato();
    for (int sample = 0; sample < 4; sample++) {
        static const char *const names[] = {"gantt", "spacetime", "storyboard"};
        struct trace_builder builder;
        struct out page;

        trace_builder_init(&builder);
        if (sample == 0) trace_builder_failover(&builder, "<b>\"&\\l");
        if (sample == 1) trace_builder_loss(&builder);
        if (sample == 2) trace_builder_steady(&builder, 30);
        if (sample == 3) trace_builder_quorum(&builder);
        page = render(&builder, NULL);
        for (uint32_t i = 0; i < COUNT_OF(names); i++) {
            struct scene scene;
            struct out said = {.data = NULL};
            struct out svg = {.data = NULL};
            char dot[128];
            char raw[128];

            scene_init(&scene, names[i]);
            snprintf(dot, sizeof dot, "%s/%s.dot", directory, names[i]);
            snprintf(raw, sizeof raw, "%s/%s.svg", directory, names[i]);
            assert_int_equal(svg_render(&svg, &scene, dot, raw, &said), SVG_DONE);
            assert_int_equal(said.length, 0);
            assert_null(strstr(svg.data, "transparent"));
            out_free(&said);
            out_free(&svg);
            scene_free(&scene);
        }
        out_free(&page);
        trace_builder_free(&builder);
    }
}

static void without_graphviz_the_page_is_there_and_says_what_to_install(void **context)
{
    char *path = strdup(getenv("PATH"));
    struct trace_builder builder;
    struct reports_result result;
    struct out page;

    (void)context;
    assert_non_null(path);
    trace_builder_init(&builder);
    trace_builder_failover(&builder, "orders");
    setenv("PATH", directory, 1);
    page = render(&builder, &result);
    setenv("PATH", path, 1);
    free(path);
    assert_false(result.figures);
    assert_non_null(strstr(page.data, "apt-get install graphviz"));
    assert_non_null(strstr(page.data, "<details open>"));
    assert_non_null(strstr(page.data, "Broker 2 leads epoch 8"));
    assert_null(strstr(page.data, "<svg"));
    out_free(&page);
    page = read_file("spacetime.dot");
    assert_true(page.length > 1000);
    out_free(&page);
    trace_builder_free(&builder);
}

static void a_hundred_thousand_events_make_no_long_page(void **context)
{
    struct trace_builder builder;
    struct reports_result result;
    struct out page;

    (void)context;
    trace_builder_init(&builder);
    trace_builder_steady(&builder, 4800);
    assert_true(builder.count > 100000);
    page = render(&builder, &result);
    assert_true(result.rows <= 60);
    assert_true(page.length < 1000000);
    out_free(&page);
    trace_builder_free(&builder);
}

static void what_is_no_trace_is_refused(void **context)
{
    struct reports_run run = {.trace = {(const uint8_t *)"nonsense, not a trace", 21},
                              .directory = directory};

    (void)context;
    assert_int_equal(reports_render_run(&run, NULL), ERR_MALFORMED);
    run.trace_path = "/nowhere/trace";
    assert_int_equal(reports_render_run(&run, NULL), ERR_NOT_FOUND);
}

static void the_index_has_a_cell_per_run_and_links_to_its_page(void **context)
{
    static const struct reports_entry runs[] = {
        {.scenario = "leader-crash", .outcome = "PASS", .page = "a/index.html", .seed = 1},
        {.scenario = "<evil>", .outcome = "PASS", .seed = 1},
        {.scenario = "leader-crash",
         .outcome = "FAIL",
         .page = "b/index.html",
         .seed = 2,
         .check = "R6"},
    };
    static const struct reports_check checks[] = {{.id = "R6", .evaluations = 9, .violations = 1}};
    struct reports_index index = {.directory = directory,
                                  .runs = runs,
                                  .run_count = COUNT_OF(runs),
                                  .checks = checks,
                                  .check_count = COUNT_OF(checks)};
    struct out page;

    (void)context;
    assert_int_equal(reports_render_index(&index), ERR_NONE);
    page = read_file("index.html");
    assert_non_null(strstr(page.data, "2 of 3 runs passed"));
    assert_non_null(strstr(page.data, "<a href=\"b/index.html\" class=\"cell bad\""));
    assert_non_null(strstr(page.data, "&lt;evil&gt;"));
    assert_null(strstr(page.data, "<evil>"));
    out_free(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_verdict_the_command_and_the_checks_are_there, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_same_trace_makes_the_same_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(the_figures_in_a_page_are_well_formed_and_their_ids_unique,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_page_fetches_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(graphviz_has_nothing_to_complain_about, setup, teardown),
        cmocka_unit_test_setup_teardown(without_graphviz_the_page_is_there_and_says_what_to_install,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_hundred_thousand_events_make_no_long_page, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_no_trace_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_index_has_a_cell_per_run_and_links_to_its_page, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

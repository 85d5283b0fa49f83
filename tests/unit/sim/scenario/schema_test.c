/* Proves: the schema for editors is whole and knows every word of the tables; the reference in
 * scenarios/README.md is the one that the program would print now. */
#include "tests/support/support.h"

#include "sim/scenario/keys.h"
#include "sim/scenario/language.h"
#include "sim/scenario/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 1 << 20 };

static char *text;
static size_t used;

static void collect(void *context, const char *line)
{
    (void)context;
    used += (size_t)snprintf(text + used, TEXT_MAX - used, "%s\n", line);
    assert_true(used < TEXT_MAX - 1);
}

static int set_up(void **state)
{
    (void)state;
    text = calloc(1, TEXT_MAX);
    used = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(text);
    return 0;
}

/* Brackets pair up outside of strings, and nothing is left open. */
static void schema_is_balanced_json(void **state)
{
    char open[256];
    uint32_t depth = 0;
    bool in_string = false;
    char before = ' '; /* the last character that is no blank */

    (void)state;
    schema_write(collect, NULL);
    for (const char *at = text; *at != '\0'; at++) {
        if (in_string) {
            if (*at == '\\') at++;
            if (*at == '"') in_string = false;
            if (!in_string) before = '"';
            continue;
        }
        if (*at == ' ' || *at == '\n') continue;
        if (*at == '"') in_string = true;
        if (*at == '{' || *at == '[') {
            assert_true(depth < sizeof open);
            open[depth++] = *at;
        }
        if (*at == '}' || *at == ']') {
            assert_true(depth > 0);
            assert_int_equal(open[--depth], *at == '}' ? '{' : '[');
            assert_int_not_equal(before, ',');
        }
        if (*at == ',') assert_int_not_equal(before, ',');
        before = *at;
    }
    assert_int_equal(depth, 0);
    assert_false(in_string);
}

static void expect_word(const char *word)
{
    char quoted[96];

    (void)snprintf(quoted, sizeof quoted, "\"%s\":", word);
    if (strstr(text, quoted) == NULL) fail_msg("%s is not in the schema", word);
}

static void schema_knows_every_word(void **state)
{
    (void)state;
    schema_write(collect, NULL);
    for (int i = 0; i < ACTIONS; i++) {
        const struct action_word *word = language_action((enum action_kind)i);

        expect_word(word->name);
        for (uint32_t j = 0; j < ACTION_ARGS_MAX && word->args[j].name != NULL; j++)
            expect_word(word->args[j].name);
    }
    for (enum key_map map = KEYS_TOP; map < KEY_MAPS; map++) {
        for (uint32_t i = 0; keys_names(map)[i] != NULL; i++)
            expect_word(keys_names(map)[i]);
    }
}

static void reference_in_the_readme_is_up_to_date(void **state)
{
    char *readme = calloc(1, TEXT_MAX);
    FILE *file = fopen("scenarios/README.md", "rb");
    char *begin;
    char *end;

    (void)state;
    assert_non_null(readme);
    assert_non_null(file);
    assert_true(fread(readme, 1, TEXT_MAX - 1, file) > 0);
    assert_int_equal(fclose(file), 0);
    begin = strstr(readme, REFERENCE_BEGIN);
    assert_non_null(begin);
    begin += strlen(REFERENCE_BEGIN) + 2;
    end = strstr(begin, REFERENCE_END);
    assert_non_null(end);
    end[-1] = '\0';
    reference_write(collect, NULL);
    if (strcmp(begin, text) != 0) fail_msg("scenarios/README.md is old: make reference");
    free(readme);
}

static void every_fault_of_the_catalogue_is_in_the_reference(void **state)
{
    (void)state;
    reference_write(collect, NULL);
    for (int i = 0; i < SIM_FAULT_COUNT; i++) {
        const struct sim_fault_info *info = sim_fault_info((enum sim_fault)i);
        char row[96];

        if (info->kind == SIM_FAULT_END) continue;
        (void)snprintf(row, sizeof row, "| %s | %s | %s |", info->id,
                       sim_fault_class_name(info->class), info->word);
        if (strstr(text, row) == NULL) fail_msg("%s has no row", info->word);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(schema_is_balanced_json),
        TEST(schema_knows_every_word),
        TEST(reference_in_the_readme_is_up_to_date),
        TEST(every_fault_of_the_catalogue_is_in_the_reference),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

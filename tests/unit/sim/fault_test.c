/* Proves: the table of faults is complete, and it and the table of actions name each other. */
#include "tests/support/support.h"

#include "sim/fault.h"
#include "sim/scenario/language.h"

#include <stdio.h>
#include <string.h>

static bool word_in(const char *words, const char *word)
{
    return language_choice(words, word) >= 0;
}

static const struct action_word *action_named(const char *name)
{
    for (int i = 0; i < ACTIONS; i++) {
        const struct action_word *word = language_action((enum action_kind)i);

        if (strcmp(word->name, name) == 0) return word;
    }
    return NULL;
}

static void every_id_of_the_catalogue_is_there(void **state)
{
    static const struct {
        const char *prefix;
        int count;
    } series[] = {{"N", 15}, {"P", 12}, {"W", 6}, {"DF", 21}};

    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(series); i++) {
        for (int number = 1; number <= series[i].count; number++) {
            char id[16];
            bool found = false;

            (void)snprintf(id, sizeof id, "%s%d", series[i].prefix, number);
            for (int fault = 0; fault < SIM_FAULT_COUNT; fault++) {
                found = found || strcmp(sim_fault_id((enum sim_fault)fault), id) == 0;
            }
            if (!found) fail_msg("%s is in no row", id);
        }
    }
}

static void every_fault_has_an_action_that_says_so(void **state)
{
    (void)state;
    for (int i = 0; i < SIM_FAULT_COUNT; i++) {
        const struct sim_fault_info *info = sim_fault_info((enum sim_fault)i);
        const char *at = info->actions;
        char name[64];

        assert_true(info->about[0] != '\0');
        if (info->kind == SIM_FAULT_ABSENT) assert_string_equal(info->actions, "");
        if (info->kind == SIM_FAULT_END || info->kind == SIM_FAULT_ABSENT) continue;
        if (info->actions[0] == '\0') fail_msg("%s: no action", info->word);
        while (sscanf(at, "%63s", name) == 1) {
            const struct action_word *word = action_named(name);

            if (word == NULL) fail_msg("%s: no such action: %s", info->word, name);
            if (!word_in(word->faults, info->id)) fail_msg("%s does not name %s", name, info->id);
            at += strcspn(at, " ");
            at += strspn(at, " ");
        }
    }
}

static void every_action_names_ids_that_there_are(void **state)
{
    (void)state;
    for (int i = 0; i < ACTIONS; i++) {
        const struct action_word *word = language_action((enum action_kind)i);
        const char *at = word->faults;
        char id[16];

        while (sscanf(at, "%15s", id) == 1) {
            bool found = false;

            for (int fault = 0; fault < SIM_FAULT_COUNT; fault++) {
                const struct sim_fault_info *info = sim_fault_info((enum sim_fault)fault);

                found = found || (strcmp(info->id, id) == 0 && word_in(info->actions, word->name));
            }
            if (!found) fail_msg("%s: %s does not name it", word->name, id);
            at += strcspn(at, " ");
            at += strspn(at, " ");
        }
    }
}

static void those_of_the_ledger_are_the_ones_of_storage_18(void **state)
{
    static const char ledger[] = "DF7 DF8 DF9 DF10 DF11 DF18 DF19 P7";

    (void)state;
    for (int i = 0; i < SIM_FAULT_COUNT; i++) {
        const struct sim_fault_info *info = sim_fault_info((enum sim_fault)i);

        assert_int_equal(info->ledger, info->id[0] != '\0' && word_in(ledger, info->id));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_id_of_the_catalogue_is_there),
        cmocka_unit_test(every_fault_has_an_action_that_says_so),
        cmocka_unit_test(every_action_names_ids_that_there_are),
        cmocka_unit_test(those_of_the_ledger_are_the_ones_of_storage_18),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

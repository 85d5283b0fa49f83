/* Times and nodes into conditions and roles: a failure that comes with one seed only is not
 * understood yet. A variant is kept when it fails with the seed of the scenario and with as many
 * others as the one before, or more. Steps are edited in their text, one block each:
 *
 *       - at: 1234ms                    - when: exists leader(t-0) and leader(t-0).leo >= 50
 *         do: {crash: node(2)}            within: 30s
 *                                         do: {crash: leader(t-0)}
 */
#include "sim/shrink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANCHOR_SEEDS = 10,
    ANCHOR_ENOUGH = ANCHOR_SEEDS, /* of them: no more boosting */
    ANCHOR_WORDS_MAX = 200,
    BOOST_EVENTS = 400000,
    ANCHOR_PARTITIONS_MAX = 3,
    HOW_POWER_LOSS = 1, /* of crash: kill power_loss clean */
    UNSYNCED_TEAR = 2,  /* keep drop tear garbage .. */
    UNSYNCED_GARBAGE = 3,
    HEAVY_BATCH = 5,
};

/* ---- blocks ---------------------------------------------------------------------------------- */

struct block {
    const char *start; /* of "  - " */
    const char *end;
};

static const char *line_end(const char *line)
{
    const char *end = strchr(line, '\n');

    return end != NULL ? end + 1 : line + strlen(line);
}

static bool block_find(const char *text, uint32_t index, struct block *block)
{
    const char *at = strstr(text, "\nsteps:\n");

    if (at == NULL) return false;
    for (at += strlen("\nsteps:\n"); strncmp(at, "  - ", 4) == 0;) {
        const char *end = line_end(at);

        while (strncmp(end, "    ", 4) == 0)
            end = line_end(end);
        if (index-- == 0) {
            *block = (struct block){at, end};
            return true;
        }
        at = end;
    }
    return false;
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The next "node(..)" in [at, end); NULL: none. */
static const char *node_find(const char *at, const char *end, int32_t *id)
{
    for (; at < end; at++) {
        if (strncmp(at, "node(", 5) != 0 || !digit(at[5])) continue;
        *id = (int32_t)strtol(at + 5, NULL, 10);
        return at;
    }
    return NULL;
}

static uint32_t node_uses(const char *at, const char *end, int32_t id)
{
    uint32_t uses = 0;
    int32_t found;

    while ((at = node_find(at, end, &found)) != NULL) {
        uses += found == id;
        at++;
    }
    return uses;
}

static void put_replaced(FILE *out, const char *at, const char *end, int32_t id, const char *with)
{
    const char *next;
    int32_t found;

    while ((next = node_find(at, end, &found)) != NULL) {
        const char *behind = strchr(next, ')') + 1;

        (void)fwrite(at, 1, (size_t)((found == id ? next : behind) - at), out);
        if (found == id) fputs(with, out);
        at = behind;
    }
    (void)fwrite(at, 1, (size_t)(end - at), out);
}

/* Node `id` from this step on by its role; bound to a variable when it is named again. */
static char *with_role(const char *text, const struct block *block, int32_t id, const char *role)
{
    const char *end = text + strlen(text);
    bool once = node_uses(block->start, end, id) == 1;
    const char *act = strstr(block->start, "    do:");
    const char *as = strstr(block->start, "    as: {");
    char var[32];
    char *made = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&made, &length);

    if (out == NULL) abort();
    (void)snprintf(var, sizeof var, "$n%d", (int)id);
    if (once) {
        (void)fwrite(text, 1, (size_t)(block->start - text), out);
        put_replaced(out, block->start, end, id, role);
    } else if (as != NULL && as < act) {
        (void)fwrite(text, 1, (size_t)(as - text), out);
        fprintf(out, "    as: {%s: %s, ", var + 1, role);
        put_replaced(out, as + strlen("    as: {"), end, id, var);
    } else {
        (void)fwrite(text, 1, (size_t)(act - text), out);
        fprintf(out, "    as: {%s: %s}\n", var + 1, role);
        put_replaced(out, act, end, id, var);
    }
    (void)fclose(out);
    return made;
}

/* The block with another trigger; the next step, when it had a time, comes as long after it. */
static char *with_trigger(const struct shrink *shrink, uint32_t index, const char *trigger)
{
    const struct scenario_step *steps = shrink->now->steps;
    const char *text = shrink->text;
    struct block block;
    struct block next;
    const char *rest;
    char *made = NULL;
    size_t length = 0;
    FILE *out;

    if (!block_find(text, index, &block)) return NULL;
    out = open_memstream(&made, &length);
    if (out == NULL) abort();
    (void)fwrite(text, 1, (size_t)(block.start - text), out);
    fprintf(out, "  - %s\n", trigger);
    rest = line_end(block.start);
    if (strncmp(rest, "    within:", 11) == 0) rest = line_end(rest);
    (void)fwrite(rest, 1, (size_t)(block.end - rest), out);
    if (index + 1 < shrink->now->step_count && steps[index].trigger == SCENARIO_AT &&
        steps[index + 1].trigger == SCENARIO_AT && block_find(text, index + 1, &next)) {
        long long gap_ns = (long long)(steps[index + 1].time.min - steps[index].time.min);

        if (gap_ns >= NS_PER_MS) {
            fprintf(out, "  - after: %lldms\n", gap_ns / NS_PER_MS);
        } else {
            fprintf(out, "  - after: %lldns\n", gap_ns > 0 ? gap_ns : 1);
        }
        block.end = line_end(next.start);
    }
    fputs(block.end, out);
    (void)fclose(out);
    return made;
}

/* ---- variants -------------------------------------------------------------------------------- */

/* A variant that must not be worse; true: kept. */
static bool offer(struct shrink *shrink, char *text, int wanted)
{
    char *kept_text;
    struct shrink_outcome outcome = shrink->outcome;
    int score;

    if (text == NULL) return false;
    if (wanted > ANCHOR_SEEDS || strcmp(text, shrink->text) == 0) {
        free(text);
        return false;
    }
    kept_text = strdup(shrink->text);
    if (!shrink_try(shrink, text)) {
        free(kept_text);
        return false;
    }
    score = shrink_score(shrink, shrink->text, ANCHOR_SEEDS, wanted);
    if (score >= wanted) {
        shrink->score = score;
        free(kept_text);
        return true;
    }
    { /* back to what there was */
        struct yaml_error error;

        shrink->kept--;
        scenario_destroy(shrink->now);
        free(shrink->text);
        shrink->text = kept_text;
        shrink->now = scenario_parse("shrunk.yaml", kept_text, strlen(kept_text), &error);
        shrink->outcome = outcome;
    }
    return false;
}

/* The n-th partition of the scenario as "orders-0"; false: no more. */
static bool partition_word(const struct scenario *scenario, uint32_t n, char *word, size_t size)
{
    for (uint32_t i = 0; i < scenario->topic_count; i++) {
        const struct scenario_topic *topic = &scenario->topics[i];

        for (int64_t p = 0; p < topic->partitions.min && p < ANCHOR_PARTITIONS_MAX; p++) {
            if (n-- > 0) continue;
            (void)snprintf(word, size, "%s-%d", topic->name, (int)p);
            return true;
        }
    }
    return false;
}

/* Words with %s for a partition; those without are tried once. */
static const char *const broker_roles[] = {"leader(%s)", "any followers(%s)", "any up(brokers)",
                                           NULL};
static const char *const controller_roles[] = {
    "active controller", "any (controllers - active controller)", "any up(controllers)", NULL};
static const char *const conditions[] = {
    "leader(%s).leo > leader(%s).hw",
    "leader(%s).leo >= 30 and isr(%s) == replicas(%s)",
    "leader(%s).leo >= 30",
    "isr(%s) != replicas(%s)",
    "exists leader(%s)",
    "exists active controller",
    NULL,
};

static void fill(char *into, size_t size, const char *words, const char *partition)
{
    into[0] = '\0';
    while (*words != '\0') {
        size_t used = strlen(into);

        if (strncmp(words, "%s", 2) == 0) {
            (void)snprintf(into + used, size - used, "%s", partition);
            words += 2;
        } else if (used + 1 < size) {
            into[used] = *words++;
            into[used + 1] = '\0';
        } else {
            return;
        }
    }
}

/* All roles for one node of one step; stops at the first that loses nothing. */
static bool try_roles(struct shrink *shrink, uint32_t step, int32_t id)
{
    const char *const *roles = id >= SCENARIO_FIRST_CONTROLLER ? controller_roles : broker_roles;
    char role[ANCHOR_WORDS_MAX];
    char partition[128] = "";
    struct block block;

    for (; *roles != NULL; roles++) {
        for (uint32_t p = 0; partition_word(shrink->now, p, partition, sizeof partition); p++) {
            if (!block_find(shrink->text, step, &block)) return false;
            fill(role, sizeof role, *roles, partition);
            if (offer(shrink, with_role(shrink->text, &block, id, role), shrink->score)) {
                return true;
            }
            if (strstr(*roles, "%s") == NULL) break;
        }
    }
    return false;
}

static void roles_of_step(struct shrink *shrink, uint32_t step)
{
    struct block block;
    int32_t id = -1;
    const char *at;

    if (!block_find(shrink->text, step, &block)) return;
    at = block.start;
    for (uint32_t i = 0; i < 4 && at != NULL; i++) {
        size_t offset;

        at = node_find(at, block.end, &id);
        if (at == NULL || id >= SCENARIO_ADMIN) return;
        offset = (size_t)(at - shrink->text) + 1;
        if (try_roles(shrink, step, id)) {
            if (!block_find(shrink->text, step, &block)) return;
            at = block.start;
        } else {
            at = shrink->text + offset;
            if (!block_find(shrink->text, step, &block)) return;
        }
    }
}

static void trigger_of_step(struct shrink *shrink, uint32_t step)
{
    char words[ANCHOR_WORDS_MAX];
    char trigger[ANCHOR_WORDS_MAX + 64];
    char partition[128] = "";

    bool found = false;

    if (shrink->now->steps[step].trigger == SCENARIO_EVERY) return;
    for (const char *const *condition = conditions; *condition != NULL; condition++) {
        for (uint32_t p = 0; partition_word(shrink->now, p, partition, sizeof partition); p++) {
            fill(words, sizeof words, *condition, partition);
            (void)snprintf(trigger, sizeof trigger, "when: %s\n    within: 30s", words);
            found =
                offer(shrink, with_trigger(shrink, step, trigger), shrink->score + found) || found;
            if (strstr(*condition, "%s") == NULL) break;
        }
    }
}

/* ---- what makes a rare failure frequent ------------------------------------------------------ */

/* Who is to die again and again must live in between. */
static void raise_again(struct scenario *copy, struct scenario_step *step)
{
    struct scenario_action *own = store_take(&copy->store, step->action_count * sizeof *own);

    memcpy(own, step->actions, step->action_count * sizeof *own);
    step->actions = own;
    for (uint32_t i = 0; i < step->action_count; i++) {
        if (own[i].kind != ACTION_CRASH || own[i].then != NULL) continue;
        own[i].then = store_take(&copy->store, sizeof *own[i].then);
        own[i].then->kind = ACTION_RESTART;
        own[i].then->after = (struct unit_range){500 * NS_PER_MS, 3 * NS_PER_SEC};
    }
}

/* What was not synced is torn, or noise, each time power is lost. */
static void spoil(struct scenario *copy, struct scenario_step *step, int unsynced)
{
    struct scenario_action *own = store_take(&copy->store, step->action_count * sizeof *own);

    memcpy(own, step->actions, step->action_count * sizeof *own);
    step->actions = own;
    for (uint32_t i = 0; i < step->action_count; i++) {
        const struct action_word *word = language_action(own[i].kind);
        const struct scenario_value *how = scenario_arg(&own[i], "how");

        if (own[i].kind != ACTION_CRASH || how == NULL || how->choice != HOW_POWER_LOSS) continue;
        for (uint32_t j = 0; j < ACTION_ARGS_MAX && word->args[j].name != NULL; j++) {
            if (strcmp(word->args[j].name, "unsynced") != 0) continue;
            own[i].args[j].set = true;
            own[i].args[j].choice = unsynced;
        }
    }
}

/* Batches of many pages: of what is lost or torn it is the middle of one, not its header. */
static void heavier(struct scenario_client *client)
{
    if (client->kind != SCENARIO_PRODUCER) return;
    client->record_size = (struct unit_range){2048, 6144};
    if (client->batch < HEAVY_BATCH) client->batch = HEAVY_BATCH;
}

static char *boosted(struct shrink *shrink, uint32_t n, bool *end)
{
    static const struct unit_range beats[] = {{NS_PER_SEC, 4 * NS_PER_SEC},
                                              {4 * NS_PER_SEC, 12 * NS_PER_SEC}};
    struct scenario *copy = sim_alloc(sizeof *copy);
    uint32_t steps = shrink->now->step_count;
    char *text = NULL;

    *copy = *shrink->now;
    if (n < 2) { /* longer, with more records */
        copy->stop_ns = n == 0 ? 2 * copy->stop_ns + 10 * NS_PER_SEC : 60 * NS_PER_SEC;
    } else if (n < 4) {
        for (uint32_t i = 0; i < copy->client_count; i++) {
            if (copy->clients[i].kind != SCENARIO_PRODUCER) continue;
            copy->clients[i].rate.min = copy->clients[i].rate.max = n == 2 ? 300000 : 1000000;
        }
    } else if (n < 6) {
        for (uint32_t i = 0; i < steps; i++)
            spoil(copy, &copy->steps[i], n == 4 ? UNSYNCED_TEAR : UNSYNCED_GARBAGE);
    } else if (n == 6) {
        for (uint32_t i = 0; i < copy->client_count; i++)
            heavier(&copy->clients[i]);
    } else if (n - 7 < 2 * (steps + (steps > 1))) { /* again and again: one step, or all of them */
        uint32_t which = (n - 7) / 2;

        copy->stop_ns = 60 * NS_PER_SEC;
        for (uint32_t i = 0; i < steps; i++) {
            if (which != i && which != steps) continue;
            copy->steps[i].trigger = SCENARIO_EVERY;
            copy->steps[i].time = beats[(n - 7) % 2];
            copy->steps[i].times = 0;
            copy->steps[i].within_ns = 0;
            copy->steps[i].hold_ns = 0;
            copy->steps[i].parallel = which == steps;
            raise_again(copy, &copy->steps[i]);
        }
    } else {
        *end = true;
        free(copy);
        return NULL;
    }
    text = shrink_written(copy);
    shrink->now->store = copy->store;
    free(copy);
    return text;
}

/* What brings most defects of replication to light, when it comes again and again. */
static const char *const storms[] = {
    "crash: {node: leader(%s)}, then: {restart: {after: 500ms..3s}}",
    "crash: {node: any followers(%s)}, then: {restart: {after: 500ms..3s}}",
    "pause: {node: leader(%s), for: 3s..9s}",
    "partition: {from: active controller, to: leader(%s), for: 6s}",
    "partition: {from: leader(%s), to: brokers, both: true, for: 6s}",
    "clog: {links: \"leader(%s) -> followers(%s)\", for: 3s}",
    "crash: {node: leader(%s), how: power_loss}, then: {restart: {after: 500ms..3s}}",
    "reset: \"leader(%s) <-> clients\"",
    NULL,
};

/* One storm beside the steps, or in their place. */
static char *stormy(struct shrink *shrink, const char *action, bool alone)
{
    struct scenario *copy = sim_alloc(sizeof *copy);
    char *text;
    char *made = NULL;
    const char *at;
    size_t length = 0;
    FILE *out = open_memstream(&made, &length);

    if (out == NULL) abort();
    *copy = *shrink->now;
    copy->stop_ns = 60 * NS_PER_SEC;
    if (alone) shrink_edit_cut(copy, 0, copy->step_count);
    text = shrink_written(copy);
    free(copy);
    at = strstr(text, "\nsteps:\n");
    at = at != NULL ? at + strlen("\nsteps:\n") : text + strlen(text);
    (void)fwrite(text, 1, (size_t)(at - text), out);
    if (*at == '\0') fputs("steps:\n", out);
    fprintf(out, "  - every: 2s..6s\n%s    do: {%s}\n%s", *at != '\0' ? "    parallel: true\n" : "",
            action, at);
    (void)fclose(out);
    free(text);
    return made;
}

static void boost_storms(struct shrink *shrink)
{
    char action[ANCHOR_WORDS_MAX];
    char partition[128] = "";

    for (int alone = 1; alone >= 0; alone--) {
        if (alone == 0 && shrink->now->step_count == 0) return;
        for (const char *const *storm = storms; *storm != NULL; storm++) {
            for (uint32_t p = 0; partition_word(shrink->now, p, partition, sizeof partition); p++) {
                if (shrink->score >= ANCHOR_ENOUGH) return;
                fill(action, sizeof action, *storm, partition);
                (void)offer(shrink, stormy(shrink, action, alone != 0), shrink->score + 1);
            }
        }
    }
}

static void boost(struct shrink *shrink)
{
    bool end = false;

    shrink->slack = BOOST_EVENTS;
    for (uint32_t n = 0; !end && shrink->score < ANCHOR_ENOUGH; n++)
        (void)offer(shrink, boosted(shrink, n, &end), shrink->score + 1);
}

static void roles(struct shrink *shrink)
{
    for (uint32_t i = 0; i < shrink->now->step_count; i++)
        roles_of_step(shrink, i);
}

static void triggers(struct shrink *shrink)
{
    for (uint32_t i = 0; i < shrink->now->step_count; i++)
        trigger_of_step(shrink, i);
}

/* `text`: steps by the clock, with roles. */
static void stories(struct shrink *shrink, const char *text)
{
    struct yaml_error error = {.text = ""};
    struct scenario *from = scenario_parse("shrunk.yaml", text, strlen(text), &error);
    bool end = from == NULL;

    shrink->slack = BOOST_EVENTS;
    for (uint32_t n = 0; !end && shrink->score < ANCHOR_ENOUGH; n++)
        (void)offer(shrink, shrink_story(from, n, &end), shrink->score + 1);
    if (from != NULL) scenario_destroy(from);
}

void shrink_anchors(struct shrink *shrink)
{
    char *timed;

    shrink->scored = ANCHOR_SEEDS;
    shrink->score = shrink_score(shrink, shrink->text, ANCHOR_SEEDS, 0);
    roles(shrink);
    timed = strdup(shrink->text);
    triggers(shrink);
    if (shrink->score < ANCHOR_ENOUGH) stories(shrink, timed);
    free(timed);
    if (shrink->score >= ANCHOR_ENOUGH) return;
    boost(shrink);
    boost_storms(shrink);
    boost(shrink);
    roles(shrink);
    triggers(shrink);
}

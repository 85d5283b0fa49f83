#include "tests/support/check_story.h"

#include "client/base/assert.h"
#include "client/base/text.h"
#include "tests/support/support.h"

#include <string.h>

enum { WORDS_MAX = 2 + TRACE_FIELDS_MAX };

struct teller {
    struct check *check;
    int64_t now_ns;
};

static int64_t number(struct str word)
{
    int64_t value = 0;

    if (!text_parse_i64(word, &value)) fail_msg("not a number: %.*s", STR_ARG(word));
    return value;
}

static enum trace_kind kind_of(struct str word)
{
    for (uint32_t i = 0; i < TRACE_KIND_COUNT; i++) {
        struct trace_kind_info info;

        trace_kind_describe((enum trace_kind)i, &info);
        if (str_equal(str_of(info.name), word)) return (enum trace_kind)i;
    }
    fail_msg("no such event: %.*s", STR_ARG(word));
    return TRACE_KIND_COUNT;
}

static void tell_event(struct teller *teller, const struct str *words, uint32_t count,
                       struct str text)
{
    struct trace_event event = {.kind = kind_of(words[1]), .field_count = count - 2, .text = text};
    struct trace_kind_info info;

    trace_kind_describe(event.kind, &info);
    if (event.field_count != info.field_count)
        fail_msg("%s has the fields %s", info.name, info.fields);
    for (uint32_t i = 0; i < event.field_count; i++)
        event.fields[i] = number(words[i + 2]);
    teller->now_ns += 1000000;
    check_event(teller->check, teller->now_ns, (int32_t)number(words[0]), &event);
}

static void tell_line(struct teller *teller, struct str line)
{
    struct str words[WORDS_MAX];
    struct str text = STR("");
    uint32_t count = 0;

    for (uint32_t at = 0; at < line.length;) {
        uint32_t begin = at;

        while (at < line.length && line.data[at] != ' ')
            at++;
        assert_true(count < WORDS_MAX);
        words[count++] = (struct str){line.data + begin, at - begin};
        if (at < line.length) at++;
        if (at + 1 < line.length && line.data[at] == '|') {
            text = (struct str){line.data + at + 2, line.length - at - 2};
            break;
        }
    }
    if (count == 0) return;
    if (words[0].data[0] == '+') {
        words[0].data++;
        words[0].length--;
        teller->now_ns += number(words[0]) * 1000000;
    } else if (str_equal(words[0], STR("turn"))) {
        check_turn_end(teller->check, teller->now_ns, (int32_t)number(words[1]));
    } else if (str_equal(words[0], STR("phase"))) {
        check_phase(teller->check, teller->now_ns, (int32_t)number(words[1]));
    } else if (str_equal(words[0], STR("finish"))) {
        check_finish(teller->check, teller->now_ns);
    } else {
        tell_event(teller, words, count, text);
    }
}

static void tell(struct teller *teller, const char *story)
{
    while (*story != '\0') {
        const char *end = strchr(story, '\n');
        size_t length = end != NULL ? (size_t)(end - story) : strlen(story);

        tell_line(teller, (struct str){story, (uint32_t)length});
        story += length + (end != NULL ? 1 : 0);
    }
}

void check_story_tell(struct check *check, const char *story)
{
    struct teller teller = {.check = check};

    tell(&teller, story);
}

void check_story_judge(const char *id, const char *const *stories)
{
    struct check_config config;
    struct teller teller = {0};
    const struct check_violation *violation = NULL;

    check_config_init(&config);
    teller.check = check_create(&config);
    for (uint32_t i = 0; stories[i] != NULL; i++) {
        if (violation != NULL)
            fail_msg("story %u violates %s: %s", i - 1, violation->id, violation->text);
        tell(&teller, stories[i]);
        violation = check_violation(teller.check);
    }
    if (violation == NULL && id != NULL) fail_msg("%s is not violated", id);
    if (violation != NULL && (id == NULL || strcmp(violation->id, id) != 0))
        fail_msg("the last story violates %s: %s", violation->id, violation->text);
    check_destroy(teller.check);
}

static uint64_t evaluations(const struct check *check, const char *id)
{
    struct check_stat stat;

    for (uint32_t i = 0; check_stats(check, i, &stat); i++) {
        if (strcmp(stat.info->id, id) == 0) return stat.evaluations;
    }
    fail_msg("no oracle %s", id);
    return 0;
}

static struct check *told(const struct check_case *one, const char *setup, const char *ending)
{
    struct check_config config;
    struct teller teller = {0};

    check_config_init(&config);
    config.fsync_before_ack = one->fsync;
    config.transactional = UINT64_C(1) << 63; /* client 63 */
    teller.check = check_create(&config);
    tell(&teller, setup);
    if (check_violation(teller.check) != NULL)
        fail_msg("%s: the setup violates %s: %s", one->id, check_violation(teller.check)->id,
                 check_violation(teller.check)->text);
    tell(&teller, ending);
    return teller.check;
}

void check_story_prove_one(const struct check_case *one, const char *setup)
{
    struct check *good = told(one, setup, one->good);
    struct check *bad = told(one, setup, one->bad);
    const struct check_violation *violation = check_violation(good);

    if (violation != NULL)
        fail_msg("%s: the good story violates %s: %s", one->id, violation->id, violation->text);
    if (evaluations(good, one->id) == 0) fail_msg("%s: the good story is not judged", one->id);
    violation = check_violation(bad);
    if (violation == NULL) fail_msg("%s: the bad story passes", one->id);
    if (strcmp(violation->id, one->id) != 0)
        fail_msg("%s: the bad story violates %s: %s", one->id, violation->id, violation->text);
    assert_true(violation->text[0] != '\0');
    assert_true(violation->name[0] != '\0');
    check_destroy(good);
    check_destroy(bad);
}

void check_story_prove(const char *file, const char *setup, const struct check_case *cases,
                       uint32_t count)
{
    uint32_t at = 0;
    const struct check_info *info;

    for (uint32_t i = 0; i < count; i++)
        check_story_prove_one(&cases[i], setup);
    for (uint32_t i = 0; (info = check_list(i)) != NULL; i++) {
        if (strcmp(info->file, file) != 0) continue;
        if (at >= count) fail_msg("%s has no case", info->id);
        assert_string_equal(cases[at].id, info->id);
        at++;
    }
    assert_int_equal(at, count);
}

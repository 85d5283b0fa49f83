/* Which settings a topic may have, and what their values look like. The meaning of a value is the
 * matter of who uses it (broker/log, broker/replica); here only nonsense is refused. */
#include "broker/controller/controller_parts.h"

#include "client/base/text.h"

enum config_kind {
    CONFIG_NUMBER,
    CONFIG_BOOL,
    CONFIG_RATIO,
    CONFIG_WORD,
    CONFIG_WORDS,
    CONFIG_TEXT
};

struct config_rule {
    const char *name;
    enum config_kind kind;
    int64_t min; /* CONFIG_NUMBER */
    int64_t max;
    const char *words; /* CONFIG_WORD, CONFIG_WORDS: "one two " */
};

static const struct config_rule config_rules[] = {
    {"cleanup.policy", CONFIG_WORDS, 0, 0, "delete compact "},
    {"compression.type", CONFIG_WORD, 0, 0, "uncompressed zstd lz4 snappy gzip producer "},
    {"compression.gzip.level", CONFIG_NUMBER, -1, 9, ""},
    {"compression.lz4.level", CONFIG_NUMBER, 1, 17, ""},
    {"compression.zstd.level", CONFIG_NUMBER, -131072, 22, ""},
    {"delete.retention.ms", CONFIG_NUMBER, 0, INT64_MAX, ""},
    {"file.delete.delay.ms", CONFIG_NUMBER, 0, INT64_MAX, ""},
    {"flush.messages", CONFIG_NUMBER, 1, INT64_MAX, ""},
    {"flush.ms", CONFIG_NUMBER, 0, INT64_MAX, ""},
    {"follower.replication.throttled.replicas", CONFIG_TEXT, 0, 0, ""},
    {"index.interval.bytes", CONFIG_NUMBER, 0, INT32_MAX, ""},
    {"leader.replication.throttled.replicas", CONFIG_TEXT, 0, 0, ""},
    {"local.retention.bytes", CONFIG_NUMBER, -2, INT64_MAX, ""},
    {"local.retention.ms", CONFIG_NUMBER, -2, INT64_MAX, ""},
    {"max.compaction.lag.ms", CONFIG_NUMBER, 1, INT64_MAX, ""},
    {"max.message.bytes", CONFIG_NUMBER, 0, INT32_MAX, ""},
    {"message.timestamp.after.max.ms", CONFIG_NUMBER, 0, INT64_MAX, ""},
    {"message.timestamp.before.max.ms", CONFIG_NUMBER, 0, INT64_MAX, ""},
    {"message.timestamp.type", CONFIG_WORD, 0, 0, "CreateTime LogAppendTime "},
    {"min.cleanable.dirty.ratio", CONFIG_RATIO, 0, 0, ""},
    {"min.compaction.lag.ms", CONFIG_NUMBER, 0, INT64_MAX, ""},
    {"min.insync.replicas", CONFIG_NUMBER, 1, INT32_MAX, ""},
    {"preallocate", CONFIG_BOOL, 0, 0, ""},
    {"remote.storage.enable", CONFIG_BOOL, 0, 0, ""},
    {"retention.bytes", CONFIG_NUMBER, INT64_MIN, INT64_MAX, ""},
    {"retention.ms", CONFIG_NUMBER, -1, INT64_MAX, ""},
    {"segment.bytes", CONFIG_NUMBER, 14, INT32_MAX, ""},
    {"segment.index.bytes", CONFIG_NUMBER, 4, INT32_MAX, ""},
    {"segment.jitter.ms", CONFIG_NUMBER, 0, INT64_MAX, ""},
    {"segment.ms", CONFIG_NUMBER, 1, INT64_MAX, ""},
    {"unclean.leader.election.enable", CONFIG_BOOL, 0, 0, ""},
};

static bool is_word(struct str value, const char *words)
{
    while (*words != '\0') {
        uint32_t length = 0;

        while (words[length] != ' ')
            length++;
        if (str_equal(value, (struct str){words, length})) return true;
        words += length + 1;
    }
    return false;
}

/* "a, b" of known words; the empty list is no list. */
static bool are_words(struct str value, const char *words)
{
    uint32_t from = 0;

    for (uint32_t i = 0; i <= value.length; i++) {
        uint32_t first = from, end = i;

        if (i < value.length && value.data[i] != ',') continue;
        while (first < end && value.data[first] == ' ')
            first++;
        while (end > first && value.data[end - 1] == ' ')
            end--;
        if (!is_word((struct str){value.data + first, end - first}, words)) return false;
        from = i + 1;
    }
    return true;
}

/* 0, 1, or 0.digits, 1.000: no floating point in the core. */
static bool is_ratio(struct str value)
{
    if (value.length == 0 || (value.data[0] != '0' && value.data[0] != '1')) return false;
    if (value.length == 1) return true;
    if (value.data[1] != '.' || value.length == 2) return false;
    for (uint32_t i = 2; i < value.length; i++) {
        if (value.data[i] < '0' || value.data[i] > '9') return false;
        if (value.data[0] == '1' && value.data[i] != '0') return false;
    }
    return true;
}

static const char *check_value(const struct config_rule *rule, struct str value)
{
    int64_t number;

    switch (rule->kind) {
    case CONFIG_NUMBER:
        if (!text_parse_i64(value, &number)) return "The value is not a number.";
        return number < rule->min || number > rule->max ? "The value is out of range." : NULL;
    case CONFIG_BOOL:
        return is_word(value, "true false ") ? NULL : "The value is neither true nor false.";
    case CONFIG_RATIO: return is_ratio(value) ? NULL : "The value is not between 0 and 1.";
    case CONFIG_WORD: return is_word(value, rule->words) ? NULL : "The value is not known.";
    case CONFIG_WORDS: return are_words(value, rule->words) ? NULL : "The list is not valid.";
    case CONFIG_TEXT: return NULL;
    }
    IMPOSSIBLE("kind of config");
}

const char *topic_configs_check(struct str name, struct str value)
{
    if (value.data == NULL) return "Null value not supported for topic configs.";
    for (uint32_t i = 0; i < COUNT_OF(config_rules); i++)
        if (str_equal(name, str_of(config_rules[i].name)))
            return check_value(&config_rules[i], value);
    return "Unknown topic config name.";
}

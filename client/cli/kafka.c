#include "client/cli/kafka.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void kafka_add(struct kafka_words *words, const char *word)
{
    if (words->count == KAFKA_WORDS_MAX) {
        cli_complain(CLI_USAGE, "%s: too many options", words->script);
        exit(CLI_USAGE);
    }
    words->words[words->count++] = (char *)(uintptr_t)word;
    words->words[words->count] = NULL;
}

void kafka_add_two(struct kafka_words *words, const char *word, const char *value)
{
    kafka_add(words, word);
    kafka_add(words, value);
}

int kafka_wrong(const struct kafka_words *words, const char *what, const char *which)
{
    return (int)cli_complain(CLI_USAGE, "%s: %s%s", words->script, what, which);
}

static int unknown(const struct kafka_words *words, char **argv)
{
    return kafka_wrong(words, "not here, or without its value: ", argv[optind - 1]);
}

/* ---- kafka-topics ---------------------------------------------------------------------------- */

struct topics_wish {
    const char *action;
    const char *topic;
    const char *partitions;
    const char *replicas;
    bool if_exists;
    bool if_not_exists;
};

static int topics_words(struct kafka_words *words, const struct topics_wish *wish)
{
    if (wish->action == NULL)
        return kafka_wrong(words, "wants --create, --delete, --describe, --list or --alter", "");
    kafka_add_two(words, "topics", wish->action);
    if (strcmp(wish->action, "list") == 0) return CLI_FINE;
    if (wish->topic == NULL && strcmp(wish->action, "describe") != 0)
        return kafka_wrong(words, "wants --topic", "");
    if (strcmp(wish->action, "alter") == 0 && wish->partitions == NULL)
        return kafka_wrong(words, "--alter wants --partitions; for settings see kafka-configs.sh",
                           "");
    if (wish->partitions != NULL) kafka_add_two(words, "--partitions", wish->partitions);
    if (wish->replicas != NULL) kafka_add_two(words, "--replicas", wish->replicas);
    if (wish->if_exists && strcmp(wish->action, "describe") != 0) kafka_add(words, "--if-exists");
    if (wish->if_not_exists) kafka_add(words, "--if-not-exists");
    return CLI_FINE;
}

static int translate_topics(struct kafka_words *words, int argc, char **argv)
{
    static const struct option options[] = {
        {"bootstrap-server", required_argument, NULL, KAFKA_SERVER},
        {"command-config", required_argument, NULL, 'C'},
        {"create", no_argument, NULL, 'c'},
        {"delete", no_argument, NULL, 'd'},
        {"describe", no_argument, NULL, 'D'},
        {"list", no_argument, NULL, 'l'},
        {"alter", no_argument, NULL, 'a'},
        {"topic", required_argument, NULL, 't'},
        {"partitions", required_argument, NULL, 'p'},
        {"replication-factor", required_argument, NULL, 'r'},
        {"config", required_argument, NULL, 'o'},
        {"if-exists", no_argument, NULL, 'e'},
        {"if-not-exists", no_argument, NULL, 'n'},
        {NULL, 0, NULL, 0}};
    struct topics_wish wish = {NULL, NULL, NULL, NULL, false, false};
    const char *configs[64];
    int configs_count = 0;
    char *rest;
    char *name;
    int option;
    int code;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case KAFKA_SERVER: words->bootstrap = optarg; break;
        case 'c': wish.action = "create"; break;
        case 'd': wish.action = "delete"; break;
        case 'D': wish.action = "describe"; break;
        case 'l': wish.action = "list"; break;
        case 'a': wish.action = "alter"; break;
        case 't': wish.topic = optarg; break;
        case 'p': wish.partitions = optarg; break;
        case 'r': wish.replicas = optarg; break;
        case 'e': wish.if_exists = true; break;
        case 'n': wish.if_not_exists = true; break;
        case 'o':
            if (configs_count == 64) return kafka_wrong(words, "too many --config", "");
            configs[configs_count++] = optarg;
            break;
        default: return unknown(words, argv);
        }
    }
    code = topics_words(words, &wish);
    for (int i = 0; code == CLI_FINE && i < configs_count; i++)
        kafka_add_two(words, "--config", configs[i]);
    rest = wish.topic != NULL ? strdup(wish.topic) : NULL; /* names, a comma between */
    while (code == CLI_FINE && rest != NULL && strcmp(wish.action, "list") != 0 &&
           (name = strsep(&rest, ",")) != NULL)
        if (name[0] != 0) kafka_add(words, name);
    return code;
}

/* ---- kafka-consumer-groups ------------------------------------------------------------------- */

struct groups_wish {
    const char *action;
    const char *groups[64];
    int groups_count;
    bool all;
    const char *view; /* --members, --state */
};

static int groups_words(struct kafka_words *words, struct groups_wish *wish,
                        const struct kafka_words *more)
{
    if (wish->action == NULL)
        return kafka_wrong(words, "wants --list, --describe, --delete or --reset-offsets", "");
    if (wish->groups_count == 0 && !wish->all && strcmp(wish->action, "list") != 0)
        return kafka_wrong(words, "wants --group or --all-groups", "");
    if (wish->all && strcmp(wish->action, "describe") != 0)
        return kafka_wrong(words, "--all-groups is for --describe only; name the groups", "");
    kafka_add_two(words, "groups", wish->action);
    if (wish->all) kafka_add(words, "--all");
    if (wish->view != NULL) kafka_add(words, wish->view);
    for (int i = 0; i < more->count; i++)
        kafka_add(words, more->words[i]);
    for (int i = 0; i < wish->groups_count; i++)
        kafka_add(words, wish->groups[i]);
    return CLI_FINE;
}

static int translate_groups(struct kafka_words *words, int argc, char **argv)
{
    static const struct option options[] = {
        {"bootstrap-server", required_argument, NULL, KAFKA_SERVER},
        {"list", no_argument, NULL, 'l'},
        {"describe", no_argument, NULL, 'D'},
        {"delete", no_argument, NULL, 'd'},
        {"reset-offsets", no_argument, NULL, 'r'},
        {"group", required_argument, NULL, 'g'},
        {"all-groups", no_argument, NULL, 'A'},
        {"members", no_argument, NULL, 'm'},
        {"state", no_argument, NULL, 's'},
        {"offsets", no_argument, NULL, 'o'},
        {"verbose", no_argument, NULL, 'v'},
        {"timeout", required_argument, NULL, 'T'},
        {"all-topics", no_argument, NULL, 0},
        {"execute", no_argument, NULL, 0},
        {"dry-run", no_argument, NULL, 0},
        {"to-earliest", no_argument, NULL, 0},
        {"to-latest", no_argument, NULL, 0},
        {"to-current", no_argument, NULL, 0},
        {"topic", required_argument, NULL, 0},
        {"to-offset", required_argument, NULL, 0},
        {"shift-by", required_argument, NULL, 0},
        {"to-datetime", required_argument, NULL, 0},
        {NULL, 0, NULL, 0}};
    struct groups_wish wish = {NULL, {NULL}, 0, false, NULL};
    struct kafka_words more = {.script = words->script};
    int option;
    int index = 0;

    while ((option = getopt_long(argc, argv, "", options, &index)) != -1) {
        switch (option) {
        case KAFKA_SERVER: words->bootstrap = optarg; break;
        case 'o': wish.view = NULL; break; /* what describe shows anyway */
        case 'v': break;                   /* --members always shows what each one owns */
        case 'T':
            if (!cli_number("--timeout", optarg, 1, INT32_MAX, &words->timeout_ms))
                return CLI_USAGE;
            break;
        case 'l': wish.action = "list"; break;
        case 'D': wish.action = "describe"; break;
        case 'd': wish.action = "delete"; break;
        case 'r': wish.action = "reset-offsets"; break;
        case 'A': wish.all = true; break;
        case 'm': wish.view = "--members"; break;
        case 's': wish.view = "--state"; break;
        case 'g':
            if (wish.groups_count == 64) return kafka_wrong(words, "too many groups", "");
            wish.groups[wish.groups_count++] = optarg;
            break;
        case 0: { /* the same word here */
            char *word = NULL;

            if (asprintf(&word, "--%s", options[index].name) < 0) return CLI_FAILED;
            kafka_add(&more, word);
            if (optarg != NULL) kafka_add(&more, optarg);
            break;
        }
        default: return unknown(words, argv);
        }
    }
    return groups_words(words, &wish, &more);
}

/* ---- kafka-configs --------------------------------------------------------------------------- */

struct configs_wish {
    const char *action;
    const char *type;
    const char *name;
    const char *add;
    const char *drop;
    bool all;
};

/* "a=b,c=[d,e]": commas between, but not inside brackets. */
static void add_changes(struct kafka_words *words, const char *option, const char *list)
{
    char *at = list != NULL ? strdup(list) : NULL;

    while (at != NULL && *at != 0) {
        char *start = at;
        char *to = at;
        int depth = 0;

        for (; *at != 0 && (*at != ',' || depth > 0); at++) {
            depth += (*at == '[') - (*at == ']');
            if (*at != '[' && *at != ']') *to++ = *at;
        }
        if (*at == ',') at++;
        *to = 0;
        if (*start != 0) kafka_add_two(words, option, start);
    }
}

static int configs_words(struct kafka_words *words, const struct configs_wish *wish)
{
    const char *type = wish->type == NULL                     ? ""
                       : strncmp(wish->type, "topic", 5) == 0 ? "topic"
                       : strcmp(wish->type, "brokers") == 0 || strcmp(wish->type, "broker") == 0
                           ? "broker"
                           : NULL;

    if (wish->action == NULL) return kafka_wrong(words, "wants --describe or --alter", "");
    if (type == NULL) return kafka_wrong(words, "not here: --entity-type ", wish->type);
    if (type[0] == 0) return kafka_wrong(words, "wants --entity-type topics or brokers", "");
    if (wish->name == NULL && type[0] == 't') return kafka_wrong(words, "wants --entity-name", "");
    kafka_add_two(words, "configs", wish->action);
    if (wish->all) kafka_add(words, "--all");
    add_changes(words, "--set", wish->add);
    add_changes(words, "--delete", wish->drop);
    kafka_add(words, type);
    if (wish->name != NULL) kafka_add(words, wish->name);
    return CLI_FINE;
}

static int translate_configs(struct kafka_words *words, int argc, char **argv)
{
    static const struct option options[] = {
        {"bootstrap-server", required_argument, NULL, KAFKA_SERVER},
        {"describe", no_argument, NULL, 'D'},
        {"alter", no_argument, NULL, 'a'},
        {"entity-type", required_argument, NULL, 't'},
        {"entity-name", required_argument, NULL, 'n'},
        {"entity-default", no_argument, NULL, 'E'},
        {"topic", required_argument, NULL, 'T'},
        {"broker", required_argument, NULL, 'B'},
        {"add-config", required_argument, NULL, 's'},
        {"delete-config", required_argument, NULL, 'd'},
        {"all", no_argument, NULL, 'A'},
        {NULL, 0, NULL, 0}};
    struct configs_wish wish = {NULL, NULL, NULL, NULL, NULL, false};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case KAFKA_SERVER: words->bootstrap = optarg; break;
        case 'E': wish.name = NULL; break; /* `configs` without a broker's number */
        case 'D': wish.action = "describe"; break;
        case 'a': wish.action = "alter"; break;
        case 't': wish.type = optarg; break;
        case 'n': wish.name = optarg; break;
        case 's': wish.add = optarg; break;
        case 'd': wish.drop = optarg; break;
        case 'A': wish.all = true; break;
        case 'T':
        case 'B':
            wish.type = option == 'T' ? "topics" : "brokers";
            wish.name = optarg;
            break;
        default: return unknown(words, argv);
        }
    }
    return configs_words(words, &wish);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int (*translate)(struct kafka_words *words, int argc, char **argv);
    const char *script;
} scripts[] = {
    {"kafka-topics", translate_topics, "kafka-topics.sh"},
    {"kafka-consumer-groups", translate_groups, "kafka-consumer-groups.sh"},
    {"kafka-configs", translate_configs, "kafka-configs.sh"},
    {"kafka-console-producer", kafka_producer, "kafka-console-producer.sh"},
    {"kafka-console-consumer", kafka_consumer, "kafka-console-consumer.sh"},
};

bool kafka_is_script(const char *name)
{
    return strncmp(name, "kafka-", 6) == 0;
}

int kafka_translate(struct kafka_words *words, int argc, char **argv)
{
    *words = (struct kafka_words){.script = argv[0]};
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        int code;

        if (strcmp(argv[0], scripts[i].name) != 0) continue;
        words->script = scripts[i].script;
        optind = 0;
        code = scripts[i].translate(words, argc, argv);
        if (code == CLI_FINE && optind < argc)
            return kafka_wrong(words, "what is this? ", argv[optind]);
        if (code == CLI_FINE && words->bootstrap == NULL)
            return kafka_wrong(words, "wants --bootstrap-server HOST:PORT", "");
        return code;
    }
    return kafka_wrong(words, "no such front end", "");
}

/* The names and options of Kafka's scripts, for hands that know them: `gregor kafka-topics ...` is
 * what kafka-topics.sh runs. Each is turned into a command of gregor's own (clients.md 7). */
#ifndef CLIENT_CLI_KAFKA_H
#define CLIENT_CLI_KAFKA_H

#include "client/cli/cli.h"

enum { KAFKA_WORDS_MAX = 256 };

/* A command of gregor in the making. The words are those of the caller, or made here (never freed:
 * the program ends with the command). */
struct kafka_words {
    const char *script; /* "kafka-topics.sh", for complaints */
    const char *bootstrap;
    int64_t timeout_ms; /* 0: not said */
    int count;
    char *words[KAFKA_WORDS_MAX + 1];
};

/* CLI_FINE: `words` is the command. CLI_USAGE: complained. */
int kafka_translate(struct kafka_words *words, int argc, char **argv);
bool kafka_is_script(const char *name);

/* ---- for kafka_*.c ---- */
void kafka_add(struct kafka_words *words, const char *word);
void kafka_add_two(struct kafka_words *words, const char *word, const char *value);
/* "what" is wrong in this script. */
int kafka_wrong(const struct kafka_words *words, const char *what, const char *which);
int kafka_producer(struct kafka_words *words, int argc, char **argv);
int kafka_consumer(struct kafka_words *words, int argc, char **argv);
/* Options that every script has, and those that are a property of the client. */
#define KAFKA_SERVER   1001
#define KAFKA_PROPERTY 1002

#endif

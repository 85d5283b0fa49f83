/* Reading Kafka's text checkpoints:
 *
 *     0                      version
 *     2                      number of lines
 *     orders 0 117           words, single spaces
 *     orders 1 119
 *
 * Strict: another version, a count that does not match, an unfinished line are DAMAGED, and so is
 * an empty file (DIFFERS: Kafka reads it as no entries, H10; storage.md 21.10). */
#ifndef BROKER_LOG_LOG_TEXT_H
#define BROKER_LOG_LOG_TEXT_H

#include "client/base/bytes.h"
#include "client/base/err.h"

struct log_text {
    struct str rest; /* lines not read yet */
    struct str line; /* words of this line not read yet */
    uint32_t count;  /* as the file says */
    uint32_t read;
};

MUST_USE enum err log_text_open(struct log_text *text, struct str bytes);
/* The next line; ERR_EOF after `count` lines and nothing behind them. */
MUST_USE enum err log_text_next(struct log_text *text);
/* The next word of the line; false when there is none. */
bool log_text_word(struct log_text *text, struct str *word);

#endif

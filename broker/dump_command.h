/* gregor-broker dump-log as a short-lived node of its own: memory, ops, one dump. Ends by
 * world_stop() with 0, or 1 when something could not be read, is damaged, or differs. */
#ifndef BROKER_DUMP_COMMAND_H
#define BROKER_DUMP_COMMAND_H

#include "broker/log/dump.h"

struct dump_command {
    struct env env;
    struct dump dump;
    struct dump_request request;
    struct dump_sink *sink; /* borrowed until the end */
    struct op op;
};

MUST_USE enum err dump_command_start(struct dump_command *command, struct world *world,
                                     const struct dump_request *request, struct dump_sink *sink);

#endif

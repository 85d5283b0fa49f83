/* The `gregor` command: arguments in, a client on the production world, lines out. Each command is
 * one op; its end is the end of the program.
 *
 * Exit codes: 0 fine, 1 it could not be done, 2 wrong use, 3 internal error. */
#ifndef CLIENT_CLI_CLI_H
#define CLIENT_CLI_CLI_H

#include "client/admin.h"
#include "client/gregor.h"
#include "client/posix/codecs.h"
#include "client/posix/posix_world.h"

enum cli_exit { CLI_FINE = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_INTERNAL = 3 };

/* What every command has. Embedded first in the state of a command. */
struct cli {
    const char *bootstrap;
    int32_t timeout_ms;
    bool signals; /* SIGTERM and SIGINT come through posix_world_on_signal() */
    struct posix_world *posix;
    struct codecs codecs;
    struct env env;
    void (*begin)(struct cli *cli); /* in the first turn */
};

/* Runs the world until cli_end(). */
int cli_run(struct cli *cli, void (*begin)(struct cli *cli));
void cli_end(struct cli *cli, enum cli_exit code);
/* "gregor: ..." on stderr, one line. Returns the code, to be returned or passed on. */
enum cli_exit cli_complain(enum cli_exit code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same for an error of the house: its name and what it means. */
enum cli_exit cli_complain_err(const char *what, enum err err, const char *message);
/* Of an option that getopt_long() has just refused in `argv`. */
enum cli_exit cli_bad_option(const char *command, char *const *argv);
/* Metadata settings out of -b and --timeout. */
void cli_metadata_config(const struct cli *cli, struct metadata_config *config);
/* The properties of the library (client/README.md), bootstrap.servers from -b; NULL: no memory,
 * complained. */
struct gregor_config *cli_properties(const struct cli *cli);
/* --set key=value, --config-file PATH; complain and say false. */
bool cli_set(struct gregor_config *config, const char *setting);
bool cli_set_one(struct gregor_config *config, const char *key, const char *value);
bool cli_load(struct gregor_config *config, const char *path);
/* A whole number in [low, high]; complains (naming `option`) and says false otherwise. */
bool cli_number(const char *option, const char *text, int64_t low, int64_t high, int64_t *value);

/* One run of an admin task, then the answer, then the end: for topics.c and cluster.c. */
struct cli_admin {
    struct cli cli;
    struct admin admin;
    struct admin_task task;
    enum cli_exit (*show)(struct cli_admin *command); /* after the task is done */
    /* After show(), the answer is gone: makes `task` another one, or says false. May be NULL. */
    bool (*more)(struct cli_admin *command);
    enum cli_exit code;
    struct op op;
};
int cli_admin_run(struct cli_admin *command);

/* The commands: arguments after the command's own word(s). */
int topics_main(struct cli *cli, int argc, char **argv);
int configs_main(struct cli *cli, int argc, char **argv);
int cluster_main(struct cli *cli, int argc, char **argv);
int produce_main(struct cli *cli, int argc, char **argv);
int consume_main(struct cli *cli, int argc, char **argv);
int groups_main(struct cli *cli, int argc, char **argv);
int bench_main(struct cli *cli, int argc, char **argv);
int txn_main(struct cli *cli, int argc, char **argv);

#endif

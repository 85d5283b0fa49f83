/* The parts of `gregor cluster` that have a file of their own. */
#ifndef CLIENT_CLI_CLUSTER_H
#define CLIENT_CLI_CLUSTER_H

#include "client/cli/cli.h"

/* reassign.c; argv[0] is "reassign". */
int cluster_reassign(struct cli *cli, int argc, char **argv);

#endif

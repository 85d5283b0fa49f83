/* The snapshot that a controller's directory is formatted with (KIP-853): it says who votes before
 * any leader has written anything.
 *
 *   __cluster_metadata-0/00000000000000000000-0000000000.checkpoint
 *
 * Local: it is given to nobody, and counts as long as there is no other one. Written whole and
 * durably; a directory that has a meta.properties already is left alone. */
#ifndef BROKER_RAFT_QUORUM_FORMAT_H
#define BROKER_RAFT_QUORUM_FORMAT_H

#include "broker/raft/quorum_file.h"
#include "broker/raft/quorum_voters.h"

struct quorum_format {
    struct op op;
    struct op_source source;
    bool busy;
    bool refused; /* it was formatted before */
    enum err err;
    /* private */
    struct env *env;
    const struct quorum_voters *voters; /* borrowed */
    struct str listener;
    struct quorum_file meta; /* is there one? */
    struct quorum_file file;
    struct disk_req req;
    struct op_source made;
    char dir[QUORUM_PATH_MAX];
    char path[QUORUM_PATH_MAX];
};

/* `dir`: of the node, made when it is not there. AWAIT(source, !busy). */
void quorum_format_start(struct quorum_format *format, struct env *env, struct str dir,
                         const struct quorum_voters *voters, struct str listener);

#endif

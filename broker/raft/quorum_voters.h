/* A set of voters as it stands in the metadata log and in its snapshots (KIP-853): who, with which
 * directory, found where, understanding what.
 *
 *   control record 5  KRaftVersionRecord  1: the set stands in the log; before: as configured
 *   control record 6  VotersRecord        the whole set
 *
 * DIFFERS: of several endpoints of a voter the one of the controllers' listener is kept, or else
 * the first. Pure. */
#ifndef BROKER_RAFT_QUORUM_VOTERS_H
#define BROKER_RAFT_QUORUM_VOTERS_H

#include "broker/raft/raft.h"
#include "client/base/arena.h"

enum {
    QUORUM_HOST_MAX = 255,
    QUORUM_KRAFT_VERSION_MAX = 1,
    QUORUM_VOTERS_BYTES = RAFT_VOTERS_MAX * (QUORUM_HOST_MAX + 128) + 16, /* of a VotersRecord */
};

struct quorum_member {
    int32_t id;
    struct uuid directory; /* zero: not known (a configured voter) */
    uint16_t port;
    int16_t kraft_min; /* versions of the protocol that it understands */
    int16_t kraft_max;
    char host[QUORUM_HOST_MAX + 1];
};

struct quorum_voters {
    int16_t kraft_version;
    int64_t offset; /* of the entry that says so; -1: of none */
    uint32_t count;
    struct quorum_member members[RAFT_VOTERS_MAX]; /* ascending by id */
};

/* TOO_LARGE: the host. */
MUST_USE enum err quorum_voters_member(struct quorum_member *member, int32_t id,
                                       struct uuid directory, struct str host, uint16_t port);
/* NULL: nobody of this id. */
struct quorum_member *quorum_voters_find(struct quorum_voters *voters, int32_t id);
/* In its place. TOO_MANY; DUPLICATE_VOTER: of this id there is one. */
MUST_USE enum err quorum_voters_add(struct quorum_voters *voters,
                                    const struct quorum_member *member);
/* VOTER_NOT_FOUND: nobody with this id and directory. */
MUST_USE enum err quorum_voters_remove(struct quorum_voters *voters, int32_t id,
                                       struct uuid directory);
bool quorum_voters_same(const struct quorum_member *a, const struct quorum_member *b);
void quorum_voters_to_raft(const struct quorum_voters *voters, struct raft_voters *raft);

/* Values of the two control records; `value` has QUORUM_VOTERS_BYTES. */
struct bytes quorum_voters_encode(const struct quorum_voters *voters, struct str listener,
                                  uint8_t *value);
struct bytes quorum_voters_encode_version(int16_t kraft_version, uint8_t *value);
/* MALFORMED: no such set can be; TOO_MANY: more than RAFT_VOTERS_MAX. offset stays. */
MUST_USE enum err quorum_voters_decode(struct bytes value, struct str listener, struct arena *arena,
                                       struct quorum_voters *voters);
MUST_USE enum err quorum_voters_decode_version(struct bytes value, int16_t *kraft_version);

/* "1@host:9093:DIRECTORY,...", as gregor-broker format has it. False: not of this form. */
bool quorum_voters_parse(struct str text, struct quorum_voters *voters);

#endif

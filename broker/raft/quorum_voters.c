#include "broker/raft/quorum_voters.h"

#include "client/base/assert.h"
#include "client/base/text.h"
#include "wire/kraft_version_record.h"
#include "wire/voters_record.h"

#include <string.h>

enum err quorum_voters_member(struct quorum_member *member, int32_t id, struct uuid directory,
                              struct str host, uint16_t port)
{
    if (host.length > QUORUM_HOST_MAX) return ERR_TOO_LARGE;
    *member = (struct quorum_member){
        .id = id, .directory = directory, .port = port, .kraft_max = QUORUM_KRAFT_VERSION_MAX};
    if (host.length > 0) memcpy(member->host, host.data, host.length);
    return ERR_NONE;
}

struct quorum_member *quorum_voters_find(struct quorum_voters *voters, int32_t id)
{
    for (uint32_t i = 0; i < voters->count; i++)
        if (voters->members[i].id == id) return &voters->members[i];
    return NULL;
}

enum err quorum_voters_add(struct quorum_voters *voters, const struct quorum_member *member)
{
    uint32_t at = voters->count;

    if (quorum_voters_find(voters, member->id) != NULL) return ERR_DUPLICATE_VOTER;
    if (voters->count == RAFT_VOTERS_MAX) return ERR_TOO_MANY;
    for (; at > 0 && voters->members[at - 1].id > member->id; at--)
        voters->members[at] = voters->members[at - 1];
    voters->members[at] = *member;
    voters->count++;
    return ERR_NONE;
}

enum err quorum_voters_remove(struct quorum_voters *voters, int32_t id, struct uuid directory)
{
    struct quorum_member *member = quorum_voters_find(voters, id);
    uint32_t at;

    if (member == NULL || !uuid_equal(member->directory, directory)) return ERR_VOTER_NOT_FOUND;
    at = (uint32_t)(member - voters->members);
    voters->count--;
    memmove(member, member + 1, (voters->count - at) * sizeof *member);
    return ERR_NONE;
}

bool quorum_voters_same(const struct quorum_member *a, const struct quorum_member *b)
{
    return a->id == b->id && uuid_equal(a->directory, b->directory) && a->port == b->port &&
           a->kraft_min == b->kraft_min && a->kraft_max == b->kraft_max &&
           str_equal(str_of(a->host), str_of(b->host));
}

void quorum_voters_to_raft(const struct quorum_voters *voters, struct raft_voters *raft)
{
    *raft = (struct raft_voters){
        .count = voters->count, .dynamic = voters->kraft_version > 0, .offset = voters->offset};
    for (uint32_t i = 0; i < voters->count; i++) {
        raft->ids[i] = voters->members[i].id;
        raft->directories[i] = voters->members[i].directory;
    }
}

/* ---- records --------------------------------------------------------------------------------- */

struct bytes quorum_voters_encode(const struct quorum_voters *voters, struct str listener,
                                  uint8_t *value)
{
    struct voters_record_voter list[RAFT_VOTERS_MAX];
    struct voters_record_endpoint endpoints[RAFT_VOTERS_MAX];
    struct voters_record record = {.voters = list, .voters_count = voters->count};
    struct wire_writer writer;
    enum err err;

    for (uint32_t i = 0; i < voters->count; i++) {
        const struct quorum_member *member = &voters->members[i];

        endpoints[i] =
            (struct voters_record_endpoint){listener, str_of(member->host), member->port};
        list[i] = (struct voters_record_voter){
            .voter_id = member->id,
            .voter_directory_id = member->directory,
            .endpoints = &endpoints[i],
            .endpoints_count = 1,
            .kraft_version_feature = {.min_supported_version = member->kraft_min,
                                      .max_supported_version = member->kraft_max}};
    }
    wire_writer_init(&writer, value, QUORUM_VOTERS_BYTES);
    err = voters_record_encode(&writer, 0, &record);
    ASSERT(err == ERR_NONE);
    return (struct bytes){value, (uint32_t)writer.used};
}

struct bytes quorum_voters_encode_version(int16_t kraft_version, uint8_t *value)
{
    struct kraft_version_record record = {.kraft_version = kraft_version};
    struct wire_writer writer;
    enum err err;

    wire_writer_init(&writer, value, QUORUM_VOTERS_BYTES);
    err = kraft_version_record_encode(&writer, 0, &record);
    ASSERT(err == ERR_NONE);
    return (struct bytes){value, (uint32_t)writer.used};
}

static enum err decode_voter(const struct voters_record_voter *voter, struct str listener,
                             struct quorum_member *member)
{
    const struct voters_record_endpoint *endpoint = voter->endpoints;
    enum err err;

    if (voter->voter_id < 0 || voter->endpoints_count == 0) return ERR_MALFORMED;
    for (uint32_t i = 0; i < voter->endpoints_count; i++)
        if (str_equal(voter->endpoints[i].name, listener)) endpoint = &voter->endpoints[i];
    err = quorum_voters_member(member, voter->voter_id, voter->voter_directory_id, endpoint->host,
                               endpoint->port);
    if (err != ERR_NONE) return ERR_MALFORMED;
    member->kraft_min = voter->kraft_version_feature.min_supported_version;
    member->kraft_max = voter->kraft_version_feature.max_supported_version;
    return ERR_NONE;
}

enum err quorum_voters_decode(struct bytes value, struct str listener, struct arena *arena,
                              struct quorum_voters *voters)
{
    struct quorum_voters next = {.kraft_version = 1, .offset = voters->offset};
    struct voters_record record;
    struct wire_reader reader;
    enum err err;

    wire_reader_init(&reader, value.data, value.length);
    err = voters_record_decode(&reader, 0, arena, &record);
    if (err == ERR_NO_MEMORY) return err;
    if (err != ERR_NONE) return ERR_MALFORMED;
    for (uint32_t i = 0; i < record.voters_count; i++) {
        struct quorum_member member;

        err = decode_voter(&record.voters[i], listener, &member);
        if (err == ERR_NONE) err = quorum_voters_add(&next, &member);
        if (err == ERR_DUPLICATE_VOTER) return ERR_MALFORMED;
        if (err != ERR_NONE) return err;
    }
    *voters = next;
    return ERR_NONE;
}

enum err quorum_voters_decode_version(struct bytes value, int16_t *kraft_version)
{
    struct kraft_version_record record;
    struct wire_reader reader;

    wire_reader_init(&reader, value.data, value.length);
    if (kraft_version_record_decode(&reader, 0, NULL, &record) != ERR_NONE) return ERR_MALFORMED;
    if (record.kraft_version < 0) return ERR_MALFORMED;
    *kraft_version = record.kraft_version;
    return ERR_NONE;
}

/* ---- text ------------------------------------------------------------------------------------ */

/* What stands before the last `mark`; false: there is none. */
static bool cut_last(struct str *text, char mark, struct str *tail)
{
    uint32_t at = text->length;

    while (at > 0 && text->data[at - 1] != mark)
        at--;
    if (at == 0) return false;
    *tail = (struct str){text->data + at, text->length - at};
    text->length = at - 1;
    return true;
}

/* id@host:port:directory; an IPv6 host stands in brackets. */
static bool parse_member(struct str text, struct quorum_member *member)
{
    struct str directory, port, host;
    struct uuid id;
    uint32_t at = 0;
    int64_t node, number;

    while (at < text.length && text.data[at] != '@')
        at++;
    if (at == text.length || !text_parse_i64((struct str){text.data, at}, &node)) return false;
    host = (struct str){text.data + at + 1, text.length - at - 1};
    if (!cut_last(&host, ':', &directory) || !cut_last(&host, ':', &port)) return false;
    if (!uuid_parse(directory, &id) || uuid_is_zero(id)) return false;
    if (!text_parse_i64(port, &number) || number < 1 || number > UINT16_MAX) return false;
    if (node < 0 || node > INT32_MAX) return false;
    if (host.length >= 2 && host.data[0] == '[' && host.data[host.length - 1] == ']')
        host = (struct str){host.data + 1, host.length - 2};
    if (host.length == 0) return false;
    return quorum_voters_member(member, (int32_t)node, id, host, (uint16_t)number) == ERR_NONE;
}

bool quorum_voters_parse(struct str text, struct quorum_voters *voters)
{
    *voters = (struct quorum_voters){.kraft_version = 1, .offset = -1};
    while (text.length > 0) {
        struct quorum_member member;
        uint32_t at = 0;

        while (at < text.length && text.data[at] != ',')
            at++;
        if (!parse_member((struct str){text.data, at}, &member)) return false;
        if (quorum_voters_add(voters, &member) != ERR_NONE) return false;
        if (at == text.length) return true;
        text = (struct str){text.data + at + 1, text.length - at - 1};
    }
    return false;
}

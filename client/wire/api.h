/* The api table and the rules that belong to a key and a version: which header goes with it, on
 * which listener it is served (protocol.md 1, 2, 5, 6). The table itself is generated from the head
 * lines of client/wire/schema. */
#ifndef CLIENT_WIRE_API_H
#define CLIENT_WIRE_API_H

#include "wire/api_table.h"
#include "wire/request_header.h"
#include "wire/response_header.h"

enum api_listener {
    API_ON_BROKER,
    API_ON_CONTROLLER,
};

/* NULL for a key without codec. */
const struct api_entry *api_find(int16_t key);
/* "produce"; "unknown". */
const char *api_name(int16_t key);
/* What a listener tells in ApiVersions; first > last: the api is not there. Produce says 0-9 and
 * takes 3-9 (protocol.md 19). */
struct wire_range api_advertised(enum api_listener listener, const struct api_entry *entry);
/* A request that may be decoded: advertised on this listener, and known to the codec. */
bool api_accepts(enum api_listener listener, int16_t key, int16_t version);
/* 1, or 2 in flexible versions; a version above those known is taken as flexible. */
int16_t api_request_header_version(const struct api_entry *entry, int16_t version);
/* 0, or 1 in flexible versions; ApiVersions: always 0 (KIP-511). */
int16_t api_response_header_version(const struct api_entry *entry, int16_t version);

/* Reads the header of a request, whatever its version. ERR_UNSUPPORTED for a key without codec,
 * where the header's length is unknown; then request_api_key, request_api_version and
 * correlation_id are set all the same, so that the closed connection can be explained. */
MUST_USE enum err api_read_request_header(struct wire_reader *reader, struct arena *arena,
                                          struct request_header *header);
/* Reads the header of the response to a request of this key and version. */
MUST_USE enum err api_read_response_header(struct wire_reader *reader, int16_t key, int16_t version,
                                           struct arena *arena, int32_t *correlation_id);

/* The parts of a frame before the body. Usage, with a writer that measures or writes:
 *   frame = api_begin_request(writer, key, version, correlation_id, client_id);
 *   err = produce_request_encode(writer, version, &request);
 *   wire_frame_end(writer, frame); */
struct wire_frame api_begin_request(struct wire_writer *writer, int16_t key, int16_t version,
                                    int32_t correlation_id, struct str client_id);
struct wire_frame api_begin_response(struct wire_writer *writer, int16_t key, int16_t version,
                                     int32_t correlation_id);
/* Bytes of both together, size prefix included. */
size_t api_request_overhead(int16_t key, int16_t version, struct str client_id);
size_t api_response_overhead(int16_t key, int16_t version);

/* The list for an ApiVersions response; room for api_table_count. Returns how many. */
struct api_versions_response_api_version;
uint32_t api_versions_list(enum api_listener listener,
                           struct api_versions_response_api_version *entries);

#endif

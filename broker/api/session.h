/* One connection of a listener, as an op: reads requests, gives each to its handler, sends the
 * answers in the order of the requests (protocol.md 1).
 *
 * - Requests start in order of arrival and may be worked on at once, up to SESSION_REQUESTS_MAX;
 *   then the connection is not read (back-pressure through TCP).
 * - A connection without a request, an answer or a byte for connections.max.idle.ms is closed; one
 *   whose request is being worked on is not idle. Looked at when the time is over, not per request.
 * - Bytes that no peer of Kafka would send close the connection and never more: unknown key,
 *   version out of range (but ApiVersions answers error 35 in form v0), undecodable body. */
#ifndef BROKER_API_SESSION_H
#define BROKER_API_SESSION_H

#include "broker/api/request.h"

enum { SESSION_REQUESTS_MAX = 8 }; /* unanswered requests of one connection */

struct server;

struct session {
    struct list link;
    struct server *server;
    struct connection connection;
    struct op op;
    struct list requests; /* in order of arrival */
    uint32_t request_count;
    int64_t active_ns;  /* when the last request was taken or answered */
    uint32_t seen_have; /* bytes of an unfinished request when idleness was looked at last */
};

/* The connection was accepted: the session lives until it is closed and all its requests are over,
 * then tells the server. */
void session_start(struct session *session);

#endif

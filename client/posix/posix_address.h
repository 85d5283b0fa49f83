/* Addresses: ours (IPv6, or IPv4 mapped) to the system's and back, and names. */
#ifndef CLIENT_POSIX_POSIX_ADDRESS_H
#define CLIENT_POSIX_POSIX_ADDRESS_H

#include "client/world/world.h"

#include <netinet/in.h>
#include <sys/socket.h>

union posix_sockaddr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage storage;
};

/* `force_v4`: for a kernel without IPv6, :: becomes 0.0.0.0. Returns the length. */
socklen_t posix_address_to(const struct net_address *address, bool force_v4,
                           union posix_sockaddr *to);
void posix_address_from(const union posix_sockaddr *from, struct net_address *address);
bool posix_address_is_any(const struct net_address *address);

/* A number needs no lookup; an empty host is every address of this machine. False: a name. */
bool posix_address_numeric(struct net_resolve *resolve);
/* Asks the system, blocking. */
enum err posix_address_lookup(struct net_resolve *resolve);

#endif

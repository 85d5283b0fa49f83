#include "client/posix/posix_address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

socklen_t posix_address_to(const struct net_address *address, bool force_v4,
                           union posix_sockaddr *to)
{
    memset(to, 0, sizeof *to);
    if (force_v4 || memcmp(address->ip, mapped, sizeof mapped) == 0) {
        to->v4.sin_family = AF_INET;
        to->v4.sin_port = htons(address->port);
        memcpy(&to->v4.sin_addr, address->ip + 12, 4);
        return sizeof to->v4;
    }
    to->v6.sin6_family = AF_INET6;
    to->v6.sin6_port = htons(address->port);
    memcpy(&to->v6.sin6_addr, address->ip, 16);
    return sizeof to->v6;
}

void posix_address_from(const union posix_sockaddr *from, struct net_address *address)
{
    memset(address, 0, sizeof *address);
    if (from->any.sa_family == AF_INET) {
        memcpy(address->ip, mapped, sizeof mapped);
        memcpy(address->ip + 12, &from->v4.sin_addr, 4);
        address->port = ntohs(from->v4.sin_port);
    } else if (from->any.sa_family == AF_INET6) {
        memcpy(address->ip, &from->v6.sin6_addr, 16);
        address->port = ntohs(from->v6.sin6_port);
    }
}

bool posix_address_is_any(const struct net_address *address)
{
    static const uint8_t zero[16];

    return memcmp(address->ip, zero, sizeof zero) == 0;
}

static bool address_host(const struct net_resolve *resolve, char *host, size_t size)
{
    if (resolve->host.length >= size) return false;
    if (resolve->host.length > 0) memcpy(host, resolve->host.data, resolve->host.length);
    host[resolve->host.length] = '\0';
    return true;
}

bool posix_address_numeric(struct net_resolve *resolve)
{
    struct net_address *address = &resolve->addresses[0];
    char host[64];

    resolve->count = 0;
    if (!address_host(resolve, host, sizeof host)) return false;
    *address = (struct net_address){.port = resolve->port};
    if (host[0] == '\0') {
        resolve->count = 1;
    } else if (inet_pton(AF_INET, host, address->ip + 12) == 1) {
        memcpy(address->ip, mapped, sizeof mapped);
        resolve->count = 1;
    } else if (inet_pton(AF_INET6, host, address->ip) == 1) {
        resolve->count = 1;
    }
    return resolve->count == 1;
}

enum err posix_address_lookup(struct net_resolve *resolve)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char host[256];
    int status;

    resolve->count = 0;
    if (!address_host(resolve, host, sizeof host)) return ERR_ADDRESS_UNKNOWN;
    status = getaddrinfo(host, NULL, &hints, &found);
    if (status == EAI_AGAIN) return ERR_TIMED_OUT;
    if (status == EAI_MEMORY) return ERR_NO_MEMORY;
    if (status != 0) return ERR_ADDRESS_UNKNOWN;
    for (const struct addrinfo *at = found; at != NULL && resolve->count < NET_ADDRESSES_MAX;
         at = at->ai_next) {
        union posix_sockaddr address = {0};

        if (at->ai_family != AF_INET && at->ai_family != AF_INET6) continue;
        memcpy(&address, at->ai_addr, at->ai_addrlen);
        posix_address_from(&address, &resolve->addresses[resolve->count]);
        resolve->addresses[resolve->count].port = resolve->port;
        resolve->count++;
    }
    freeaddrinfo(found);
    return resolve->count > 0 ? ERR_NONE : ERR_ADDRESS_UNKNOWN;
}

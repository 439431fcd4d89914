/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Addresses to listen on, as people write them. It looks up no names and opens no socket. */

#include "address.h"

#include "util/cleanup.h"

#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Whether `host` would be an address, were there the interface behind its '%': getaddrinfo() finds no fault
 * with it that tells the two apart. */
static bool is_of_absent_interface(char *host) {
        const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_family = AF_INET6 };
        char *percent = strchr(host, '%');
        struct addrinfo *found;
        bool link_local;

        if (!percent || percent[1] == '\0' || strlen(percent + 1) >= IF_NAMESIZE ||
                        strpbrk(percent + 1, "/: \t") || if_nametoindex(percent + 1) > 0)
                return false;
        *percent = '\0';
        if (getaddrinfo(host, NULL, &hints, &found) != 0)
                return false;
        link_local = IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *) found->ai_addr)->sin6_addr);
        freeaddrinfo(found);
        return link_local;
}

int address_parse(const char *s, Address *ret) {
        const struct addrinfo hints = {
                .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                .ai_socktype = SOCK_STREAM,
        };
        _cleanup_free_ char *host = NULL;
        struct addrinfo *found;
        const char *colon = strrchr(s, ':'), *port;
        bool bracketed = *s == '[';
        char *end;

        if (!colon || colon == s)
                return -EINVAL;
        port = colon + 1;
        /* getaddrinfo() would take " 1", "+1" and a port modulo 65536. */
        if (strspn(port, "0123456789") != strlen(port) || *port == '\0' || strlen(port) > 5 ||
                        strtoul(port, &end, 10) > UINT16_MAX)
                return -EINVAL;
        if (bracketed && colon[-1] != ']')
                return -EINVAL;
        host = bracketed ? strndup(s + 1, (size_t) (colon - s) - 2) : strndup(s, (size_t) (colon - s));
        if (!host)
                return -ENOMEM;
        /* Only as it is usually written: not "1:9464" (0.0.0.1), not IPv6 without brackets. */
        if (bracketed ? !strchr(host, ':') : strspn(host, "0123456789.") != strlen(host))
                return -EINVAL;
        if (!bracketed) {
                size_t dots = 0;

                for (const char *p = host; *p; p++)
                        dots += *p == '.';
                if (dots != 3)
                        return -EINVAL;
        }
        if (getaddrinfo(host, port, &hints, &found) != 0)
                return is_of_absent_interface(host) ? -ENODEV : -EINVAL;
        memset(ret, 0, sizeof(*ret));
        memcpy(&ret->sockaddr, found->ai_addr, found->ai_addrlen);
        ret->size = found->ai_addrlen;
        freeaddrinfo(found);
        return 0;
}

int address_format(const Address *address, char **ret) {
        char host[NI_MAXHOST], port[NI_MAXSERV];
        bool v6 = address->sockaddr.ss_family == AF_INET6;

        if (getnameinfo((const struct sockaddr *) &address->sockaddr, address->size, host, sizeof(host), port,
                            sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
                return -EINVAL;
        if (asprintf(ret, v6 ? "[%s]:%s" : "%s:%s", host, port) < 0)
                return -ENOMEM;
        return 0;
}

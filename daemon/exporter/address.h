/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/socket.h>

typedef struct Address {
        struct sockaddr_storage sockaddr;
        socklen_t size;
} Address;

/* "127.0.0.1:9464", "[::1]:9464", "[fe80::1%eth0]:9464": numbers only, no name is looked up. Port 0: any free
 * one. -EINVAL where it is none of these; -ENODEV where its interface is not there. */
int address_parse(const char *s, Address *ret);

/* The reverse; the caller frees. */
int address_format(const Address *address, char **ret);

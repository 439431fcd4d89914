/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

/*
 * Who made the socket at the other end of a TCP connection. 0: *ret_uid did, on this host, in our network
 * namespace. PEER_REMOTE: it is of another host or namespace. Negative: it is of this host, and cannot be
 * told whose: -ESRCH where it is closed, or hides behind a device.
 */
enum { PEER_REMOTE = 1 };
int peer_find(int fd, uid_t *ret_uid);

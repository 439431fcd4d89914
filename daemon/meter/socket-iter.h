/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How many of a process's sockets are counted and classed elsewhere than it: bpf/socket-iter.bpf.c. */

#include "util/cleanup.h"

#include <stdint.h>

typedef struct SocketIter SocketIter;

/* `groups_fd`: the groups map. */
int socket_iter_new(int groups_fd, SocketIter **ret);
SocketIter *socket_iter_free(SocketIter *iter);
DEFINE_CLEANUP(SocketIter *, socket_iter_free);

/* Of all the process's threads. -ESRCH: it has exited. */
int socket_iter_count(SocketIter *iter, uint32_t slot, int pidfd, unsigned *ret);

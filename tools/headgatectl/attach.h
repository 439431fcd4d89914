/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Processes into a tenant, by pidfd: what 'run' does with itself and 'attach' with others. */

#include "client.h"

#include <sys/types.h>

/* A bus daemon drops a caller that sends more file descriptors in one message. */
#define ATTACH_PIDFDS_MAX 16

/* Both return 0 or an exit code, having said why. */
int attach_open(pid_t pid, int *ret_pidfd);
/* At most ATTACH_PIDFDS_MAX, which stay the caller's: all of them move, or none. */
int attach_pidfds(Client *client, const char *tenant_id, const int *pidfds, size_t n);

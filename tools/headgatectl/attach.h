/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Processes into a tenant, by pidfd: what 'run' does with itself and 'attach' with others. */

#include "client.h"

#include <sys/types.h>

/* A bus daemon drops a caller that sends more file descriptors in one message. */
#define ATTACH_PIDS_MAX 16

/* At most ATTACH_PIDS_MAX. Returns 0 or an exit code, having said why. */
int attach_pids(Client *client, const char *tenant_id, const pid_t *pids, size_t n);

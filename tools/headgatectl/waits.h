/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How long a tenant's tasks waited for a CPU, drawn, and who had it meanwhile; and how long its TCP's round
 * trips were. */

#include "client.h"

/* "half of them below 3.0µs, 99 % below 1.5ms"; false where it is no histogram. `ret` has WAITS_SIZE. */
#define WAITS_SIZE 160
bool waits_format(const json_t *buckets, char *ret);

/* `tenant`: its properties. Of what the node does not meter it says so. */
int waits_print(const Ctl *ctl, Client *client, const json_t *tenant);

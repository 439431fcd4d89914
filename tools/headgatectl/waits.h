/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How long a tenant's tasks waited for a CPU, drawn, and who had it meanwhile; and how long its TCP's round
 * trips were. */

#include "client.h"

/* `tenant`: its properties. Of what the node does not meter it says so. */
int waits_print(const Ctl *ctl, Client *client, const json_t *tenant);

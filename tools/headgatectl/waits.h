/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How long a tenant's tasks waited for a CPU, drawn, and who had it meanwhile. */

#include "client.h"

/* `tenant`: its properties. Prints nothing where the node meters at the basic level but to say so. */
int waits_print(const Ctl *ctl, Client *client, const json_t *tenant);

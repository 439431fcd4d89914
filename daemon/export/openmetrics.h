/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* OpenMetrics 1.0 text of all samples of a node, ending in "# EOF\n". Ordered: the same node gives the same
 * bytes. */

#include "export/text.h"
#include "model/node.h"

/* `only_tenants`: NULL for all, else the tenants that the caller may read. */
int export_openmetrics(const Node *node, char *const *only_tenants, Text *text);

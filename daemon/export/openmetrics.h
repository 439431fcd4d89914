/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* OpenMetrics 1.0 text of all samples of a node, ending in "# EOF\n". Ordered: the same node gives the same
 * bytes. */

#include "model/node.h"

/* `only_tenants`: NULL for all, else the tenants that the caller may read. The caller frees `ret_text`. */
int export_openmetrics(const Node *node, char *const *only_tenants, char **ret_text, size_t *ret_size);

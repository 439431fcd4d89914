/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The same samples as one JSON object: {"NodeId":…, "BootId":…, "Time": µs, "Tenants": {id: {"cpu.time": n,
 * …}}}. */

#include "model/node.h"

int export_json(const Node *node, char *const *only_tenants, char **ret_text, size_t *ret_size);

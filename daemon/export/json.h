/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The same samples as one JSON object: {"NodeId":…, "BootId":…, "Time": µs, "Tenants": {id: {"cpu.time": n,
 * …}}, "Delivered": {allocation: {…}}, "Culprits": {tenant: {culprit: ns}}, "Control": {…}}; of the last
 * three what there is. */

#include "export/text.h"
#include "model/node.h"

/* As export_openmetrics(). */
int export_json(const Node *node, char *const *only_tenants, Text *text);

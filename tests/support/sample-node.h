/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/node.h"

/*
 * A node with three tenants: "alpha" has every metric and every resource, "beta-2" lacks what an old kernel
 * does not count and has no ceilings, "gamma" was never sampled. Its own name needs every escape. It is
 * static: do not free it.
 */
const Node *sample_node(void);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Topologies by hand, for the tests of decide/. */

#include "model/topology.h"

/* "0-3,8"; fails the test where it is no list. */
CpuSet made_set(const char *text);
/* As many nodes, of as many cores, of as many threads. Numbers as kernels mostly give them: first a thread of
 * every core, node by node, then the second of every core. A node has 1 GiB. */
Topology made_topology(unsigned nodes, unsigned cores, unsigned threads);
void made_expect_set(const char *what, const CpuSet *set, const char *text);

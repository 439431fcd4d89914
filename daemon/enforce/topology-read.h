/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The node's CPUs as the kernel shows them in sysfs. */

#include "model/topology.h"

/*
 * From the directory `sysfs`, "/sys" but in tests: devices/system/cpu and, where there is one,
 * devices/system/node. What is said of single CPUs and nodes may be absent, and reads as one core each on
 * node 0; -ENOENT where there is no list of the CPUs that are online.
 */
int topology_read(const char *sysfs, Topology *ret);
/* Which CPUs are online alone, for who only wants to know whether that changed. */
int topology_read_online(const char *sysfs, CpuSet *ret);

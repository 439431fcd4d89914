/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Whether a slice stands as we made it, seen without a word to PID 1: a question costs it a millisecond or
 * two, some 10 ms on a slow node, and at a start an end that is due would wait for those of every tenant.
 * It says no wherever anything is otherwise, and PID 1 is asked then.
 */

#include <stdbool.h>

/*
 * The group at `path` below the mount is there, and its unit, whose name ends the path, is active (systemd
 * keeps a link for its invocation as long) and has a drop-in at run time for each of the `properties`, which
 * end with NULL: what SetUnitProperties(runtime) leaves. `run_fd` is /run/systemd.
 */
bool slice_stands(int run_fd, int mount_fd, const char *path, const char *const *properties);

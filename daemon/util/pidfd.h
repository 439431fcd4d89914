/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Processes by descriptor: pidfd_open(2). A pid is only ever read off a pidfd, never trusted later. */

#include "cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Asking takes no privilege, as a signal would. */
bool pidfd_has_exited(int pidfd);
/* -ESRCH: the process is gone, or in a pid namespace that is not below ours; -EBADF: not
 * open; -EINVAL: no pidfd. */
int pidfd_get_pid(int pidfd, pid_t *ret_pid);
/* Its effective user, as the owner of /proc/PID (proc(5)); the pidfd is asked again afterwards. Errors as
 * above. */
int pidfd_get_uid(int pidfd, uid_t *ret_uid);
/* Bytes of memory that it has to itself (proc_pid_statm(5): resident less shared). -ESRCH, as above. */
int pidfd_get_memory(int pidfd, uint64_t *ret_bytes);
#define PIDFD_NAME_SIZE 17
/* The name of its program, cut to 16 bytes, with what cannot be printed as '?'. */
int pidfd_get_name(int pidfd, char ret[static PIDFD_NAME_SIZE]);

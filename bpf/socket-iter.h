/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the socket iterator is asked, and what it answers: the daemon writes the slot and zeroes the rest
 * before a pass over one process's files.
 *
 * Include after vmlinux.h or <linux/types.h>.
 */

struct socket_iter_pass {
        __u32 slot;      /* whose groups are left out; not 0, which is nobody */
        __u32 elsewhere; /* sockets that belong to another group than the slot's */
};
_Static_assert(sizeof(struct socket_iter_pass) == 8, "two words");

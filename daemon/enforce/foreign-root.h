/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A root qdisc that somebody else made, as it is kept while ours is in its place: from the kernel's dump, to
 * a text and back, into the message that makes it again. Only of kinds that need nothing but what the kernel
 * dumps of them. It opens no socket and no file.
 */

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

struct nl_msg;

#define FOREIGN_ROOT_OPTIONS_MAX 512

typedef struct ForeignRoot {
        int ifindex;
        uint32_t handle;
        char kind[16];
        uint8_t options[FOREIGN_ROOT_OPTIONS_MAX]; /* TCA_OPTIONS as they are given to the kernel */
        size_t options_bytes;
} ForeignRoot;

/*
 * 1 where the message is of the interface's root qdisc, and it can be made again as it is; 0 where the
 * message is of something else that need not be kept; -EOPNOTSUPP where it is of what could not be made
 * again, with why in `ret_words` (static); -EBADMSG.
 */
int foreign_root_parse(const struct nlmsghdr *header, int ifindex, ForeignRoot *ret, const char **ret_words);
/* Makes it anew; the caller frees with nlmsg_free(). -ENOMEM. */
int foreign_root_message(const ForeignRoot *root, struct nl_msg **ret);

#define FOREIGN_ROOT_TEXT_SIZE (2 * FOREIGN_ROOT_OPTIONS_MAX + 256)
/* A few lines; `boot_id` as the kernel writes it, since an interface's number means nothing after the next.
 */
void foreign_root_format(
                const ForeignRoot *root, const char *boot_id, char ret[static FOREIGN_ROOT_TEXT_SIZE]);
/* -ESTALE: of another boot; -EBADMSG. */
int foreign_root_from_text(const char *text, const char *boot_id, ForeignRoot *ret);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the guard of devices shares with the daemon: the rules of one control group, a value that the kernel
 * keeps with the program's attachment there. It is replaced as a whole: an open sees the old rules or the new
 * ones.
 *
 * Include after vmlinux.h or <linux/types.h>.
 */

#define DEVICE_GUARD_LAYOUT 1

#define DEVICE_RULES_MAX 256
#define DEVICE_RULE_ANY 0xffffffffU

struct device_rule {
        __u32 major, minor; /* DEVICE_RULE_ANY: each */
        __u16 kind;         /* BPF_DEVCG_DEV_CHAR or BPF_DEVCG_DEV_BLOCK */
        __u16 access;       /* bits of BPF_DEVCG_ACC_*: what it allows */
};

/* What several rules allow of one device adds up. */
struct device_rules {
        __u32 closed; /* 0: everything is allowed, as where there is no guard */
        __u32 n;
        struct device_rule rules[DEVICE_RULES_MAX];
};
_Static_assert(sizeof(struct device_rules) == 3080, "the same for the kernel's side");

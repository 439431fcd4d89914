// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lets the processes of a control group open and make those device nodes that its rules name, and no others.
 * What another program at the group, above it or below it refuses stays refused. A device that is open
 * already stays open.
 */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "device-guard.h"

/* The kernel's, and not of Linux 6.2's other kind (cgrp storage): this one is found by the attachment, so one
 * program serves every group, and it is there on 6.1. */
struct {
        __uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
        __type(key, __u64); /* the group's id */
        __type(value, struct device_rules);
} device_rules SEC(".maps");

static bool rule_names(const struct device_rule *rule, __u32 kind, __u32 major, __u32 minor) {
        return rule->kind == kind && (rule->major == major || rule->major == DEVICE_RULE_ANY) &&
               (rule->minor == minor || rule->minor == DEVICE_RULE_ANY);
}

SEC("cgroup/dev")
int device_guard(struct bpf_cgroup_dev_ctx *ctx) {
        const struct device_rules *rules = bpf_get_local_storage(&device_rules, 0);
        __u32 kind = ctx->access_type & 0xffff, access = ctx->access_type >> 16, allowed = 0;

        if (!rules->closed)
                return 1;
        for (__u32 i = 0; i < DEVICE_RULES_MAX && i < rules->n; i++)
                if (rule_names(&rules->rules[i], kind, ctx->major, ctx->minor))
                        allowed |= rules->rules[i].access;
        return (access & ~allowed) == 0;
}

char LICENSE[] SEC("license") = "GPL";

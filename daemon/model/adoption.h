/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Control groups that others own and whose use is a tenant's: a pod, a job, a session. They are known by
 * their path below the cgroup mount and by their id; a group of the same path made anew is another group.
 * Which of them may be adopted is judged here, from names alone.
 */

#include "failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct Node;

#define ADOPTED_PATH_MAX 1023 /* bytes */
#define ADOPTED_PER_TENANT_MAX 64
#define ADOPTED_BOOT_ID_SIZE 33

typedef struct AdoptedGroup {
        char *path;  /* owned; "/system.slice/web.service" */
        uint64_t id; /* of the group, 64-bit, good for this boot alone */
        char boot_id[ADOPTED_BOOT_ID_SIZE];
} AdoptedGroup;

typedef struct AdoptedGroups {
        AdoptedGroup *entries; /* owned, in the order of adoption */
        size_t n;
} AdoptedGroups;

const AdoptedGroup *adopted_groups_find(const AdoptedGroups *groups, const char *path);
int adopted_groups_add(AdoptedGroups *groups, const char *path, uint64_t id, const char *boot_id);
void adopted_groups_remove(AdoptedGroups *groups, const char *path);
void adopted_groups_deinit(AdoptedGroups *groups);

/* As it is kept: "<boot id> <id, hexadecimal> <path>". The caller frees; NULL: no memory. */
char *adopted_group_format(const AdoptedGroup *group);
/* -EBADMSG: no such text. */
int adopted_groups_parse(AdoptedGroups *groups, const char *text);

typedef struct AdoptionRules {
        const char *parent;          /* our own group, below the mount */
        char *const *control_groups; /* those of the control class, as `parent` */
        size_t total_max;            /* of all tenants together */
        bool privileged;             /* asked by root: it may be one of systemd's own slices */
} AdoptionRules;

/*
 * Whether the tenant may have the group: 0, or FAILURE_INVALID_GROUP, _ACCESS_DENIED or _LIMIT_EXCEEDED with
 * a sentence; -EALREADY where it has it. A group counts with all below it, so that none may lie below
 * another.
 */
int adoption_judge(const struct Node *node, const char *tenant_id, const char *path,
                const AdoptionRules *rules, Failure *failure);

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Adopted groups and the rules of adoption. Whether a group is there is for others to see. */

#include "adoption.h"
#include "node.h"
#include "util/path.h"
#include "util/printable.h"

#include <inttypes.h>
#include <string.h>

const AdoptedGroup *adopted_groups_find(const AdoptedGroups *groups, const char *path) {
        for (size_t i = 0; i < groups->n; i++)
                if (strcmp(groups->entries[i].path, path) == 0)
                        return &groups->entries[i];
        return NULL;
}

int adopted_groups_add(AdoptedGroups *groups, const char *path, uint64_t id, const char *boot_id) {
        AdoptedGroup group = { .id = id }, *entries;

        entries = reallocarray(groups->entries, groups->n + 1, sizeof(AdoptedGroup));
        if (!entries)
                return -ENOMEM;
        groups->entries = entries;
        group.path = strdup(path);
        if (!group.path)
                return -ENOMEM;
        snprintf(group.boot_id, sizeof group.boot_id, "%s", boot_id);
        entries[groups->n++] = group;
        return 0;
}

void adopted_groups_remove(AdoptedGroups *groups, const char *path) {
        for (size_t i = 0; i < groups->n; i++)
                if (strcmp(groups->entries[i].path, path) == 0) {
                        free(groups->entries[i].path);
                        groups->n--;
                        memmove(groups->entries + i, groups->entries + i + 1,
                                        (groups->n - i) * sizeof(AdoptedGroup));
                        return;
                }
}

void adopted_groups_deinit(AdoptedGroups *groups) {
        for (size_t i = 0; i < groups->n; i++)
                free(groups->entries[i].path);
        free(groups->entries);
        *groups = (AdoptedGroups){};
}

char *adopted_group_format(const AdoptedGroup *group) {
        char *text;

        return asprintf(&text, "%s %" PRIx64 " %s", group->boot_id, group->id, group->path) < 0 ? NULL : text;
}

int adopted_groups_parse(AdoptedGroups *groups, const char *text) {
        char boot_id[ADOPTED_BOOT_ID_SIZE];
        uint64_t id;
        int at = 0;

        if (sscanf(text, "%32[0-9a-f] %" SCNx64 " %n", boot_id, &id, &at) != 2 || at == 0 || text[at] != '/')
                return -EBADMSG;
        return adopted_groups_add(groups, text + at, id, boot_id);
}

static bool overlap(const char *a, const char *b) {
        return path_is_within(a, b) || path_is_below(b, a);
}

static int refuse(Failure *failure, const char *path, const char *why) {
        return failure_set(failure, FAILURE_INVALID_GROUP, "group '%.256s' %s", path, why);
}

/* What no cgroup's path is, as /proc/PID/cgroup has it. */
static int judge_form(const char *path, Failure *failure) {
        if (path[0] != '/')
                return refuse(failure, path,
                                "must be a path below the cgroup mount that begins with '/', as in "
                                "/proc/PID/cgroup");
        if (strlen(path) > ADOPTED_PATH_MAX)
                return failure_set(failure, FAILURE_INVALID_GROUP,
                                "group '%.64s...' is a path of %zu bytes, of at most %d", path, strlen(path),
                                ADOPTED_PATH_MAX);
        if (path[1] == '\0')
                return refuse(failure, path, "is the root of all groups, and holds the whole node");
        if (!is_printable(path))
                return refuse(failure, path, "has a control character in its path");
        for (const char *part = path; *part;) {
                size_t length = strcspn(++part, "/");

                if (length == 0 || (length <= 2 && strspn(part, ".") >= length))
                        return refuse(failure, path, "has an empty part, '.' or '..' in its path");
                part += length;
        }
        return 0;
}

/* systemd.special(7): what all services, users and machines of the node are below. */
static int judge_slices(const char *path, const AdoptionRules *rules, Failure *failure) {
        static const char *const slices[] = { "/init.scope", "/system.slice", "/user.slice",
                "/machine.slice" };

        for (size_t i = 0; i < sizeof slices / sizeof *slices; i++)
                if (!rules->privileged && strcmp(path, slices[i]) == 0)
                        return failure_set(failure, FAILURE_ACCESS_DENIED,
                                        "group '%.256s' is the system's: only root may give it to a tenant",
                                        path);
        return 0;
}

static int judge_ours(const char *path, const AdoptionRules *rules, Failure *failure) {
        if (path_is_within(path, rules->parent))
                return refuse(failure, path, "is Headgate's own: what runs there is its tenant's already");
        if (path_is_below(rules->parent, path))
                return failure_set(failure, FAILURE_INVALID_GROUP,
                                "group '%.256s' holds Headgate's own, %s: every tenant is below it", path,
                                rules->parent);
        for (char *const *group = rules->control_groups; group && *group; group++)
                if (overlap(path, *group))
                        return failure_set(failure, FAILURE_INVALID_GROUP,
                                        "group '%.256s' overlaps '%s', which is of the control class", path,
                                        *group);
        return 0;
}

static int judge_others(const Node *node, const char *tenant_id, const char *path, const AdoptionRules *rules,
                Failure *failure) {
        size_t own = 0, total = 0;

        for (size_t i = 0; i < node->n_tenants; i++) {
                const Tenant *tenant = node->tenants[i];
                bool is_own = strcmp(tenant->id, tenant_id) == 0;

                total += tenant->adopted.n;
                own += is_own ? tenant->adopted.n : 0;
                for (size_t k = 0; k < tenant->adopted.n; k++) {
                        const char *other = tenant->adopted.entries[k].path;

                        if (!overlap(path, other))
                                continue;
                        if (strcmp(path, other) == 0 && is_own)
                                return -EALREADY;
                        return failure_set(failure, FAILURE_INVALID_GROUP,
                                        "group '%.256s' %s '%.256s', which tenant %s has adopted", path,
                                        strcmp(path, other) == 0     ? "is"
                                        : path_is_below(path, other) ? "is below"
                                                                     : "is above",
                                        other, tenant->id);
                }
        }
        if (own >= ADOPTED_PER_TENANT_MAX)
                return failure_set(failure, FAILURE_LIMIT_EXCEEDED,
                                "tenant %s has adopted %zu groups, of at most %d", tenant_id, own,
                                ADOPTED_PER_TENANT_MAX);
        if (total >= rules->total_max)
                return failure_set(failure, FAILURE_LIMIT_EXCEEDED,
                                "the tenants have adopted %zu groups together, of at most %zu (twice "
                                "tenants-max)",
                                total, rules->total_max);
        return 0;
}

int adoption_judge(const Node *node, const char *tenant_id, const char *path, const AdoptionRules *rules,
                Failure *failure) {
        int r;

        r = judge_form(path, failure);
        if (r == 0)
                r = judge_slices(path, rules, failure);
        if (r == 0)
                r = judge_ours(path, rules, failure);
        return r != 0 ? r : judge_others(node, tenant_id, path, rules, failure);
}

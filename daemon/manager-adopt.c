/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Groups of others into tenants and out of them again. An adoption holds for the group that was there, until
 * it is abandoned or the group goes: another of the same path is not adopted, nor is any after a reboot.
 */

#include "manager-internal.h"

#include "util/log.h"

#include <inttypes.h>
#include <string.h>

static int find_tenant(Manager *manager, const char *tenant_id, Tenant **ret, Failure *failure) {
        *ret = node_find_tenant(&manager->node, tenant_id);
        return *ret ? 0
                    : failure_set(failure, FAILURE_NO_SUCH_TENANT,
                                      "no tenant '%.64s'; it appears with its first allocation", tenant_id);
}

/* On disk first: what is not abandoned there would be the tenant's again after a restart. */
static int abandon(Manager *manager, Tenant *tenant, const AdoptedGroup *group) {
        _cleanup_free_ char *path = strdup(group->path);
        AdoptedGroup copy = *group;
        int r;

        if (!path)
                return -ENOMEM;
        copy.path = path;
        adopted_groups_remove(&tenant->adopted, path);
        r = state_put_tenant(manager->state, tenant);
        if (r < 0) {
                int k = adopted_groups_add(&tenant->adopted, path, copy.id, copy.boot_id);

                return k < 0 ? k : r;
        }
        reconciler_drop_adopted(manager->reconciler, &copy);
        node_note_news(&manager->node, tenant);
        manager->tenants_may_go = true;
        return 0;
}

/* What is gone, or never was: out of the tenant, and of the disk; what it was counted stays. */
static int forget(Manager *manager, Tenant *tenant, const AdoptedGroup *group) {
        _cleanup_free_ char *path = strdup(group->path);

        if (!path)
                return -ENOMEM;
        reconciler_drop_adopted(manager->reconciler, group);
        adopted_groups_remove(&tenant->adopted, path);
        node_note_news(&manager->node, tenant);
        manager->tenants_may_go = true;
        return state_put_tenant(manager->state, tenant);
}

/* On disk first: a group that is counted and that no one knows of would be counted for ever. */
static int take(Manager *manager, Tenant *tenant, const char *path, uint64_t id, Failure *failure) {
        const AdoptedGroup *group;
        int r;

        r = adopted_groups_add(&tenant->adopted, path, id, manager->node.boot_id);
        if (r < 0)
                return r;
        r = state_put_tenant(manager->state, tenant);
        if (r < 0) {
                adopted_groups_remove(&tenant->adopted, path);
                return r;
        }
        group = adopted_groups_find(&tenant->adopted, path);
        r = reconciler_hold_adopted(manager->reconciler, tenant, group);
        if (r >= 0)
                return 0;
        manager_log_lost(forget(manager, tenant, group), "An adoption that failed");
        return r == -ENOENT ? failure_set(failure, FAILURE_NO_SUCH_GROUP, "group '%.256s' is gone", path)
                            : failure_set(failure, FAILURE_NOT_ENFORCED,
                                              "group '%.256s' cannot be metered: %s", path, strerror(-r));
}

/* What keeps the node running is not a scheduler's to give away. */
static int judge_processes(Manager *manager, uid_t caller, const char *path, Failure *failure) {
        pid_t pid;
        int r;

        if (caller == 0 || caller == geteuid())
                return 0;
        r = reconciler_find_system_process(manager->reconciler, path, &pid);
        return r > 0 ? failure_set(failure, FAILURE_ACCESS_DENIED,
                                       "group '%.256s' holds process %d, which is the system's: only root "
                                       "may "
                                       "give it to a tenant",
                                       path, (int) pid)
                     : r;
}

int manager_adopt(
                void *userdata, uid_t caller, const char *tenant_id, const char *path, Failure *ret_failure) {
        Manager *manager = userdata;
        AdoptionRules rules;
        Tenant *tenant;
        uint64_t id;
        int r;

        r = find_tenant(manager, tenant_id, &tenant, ret_failure);
        if (r != 0)
                return r;
        r = reconciler_adoption_rules(manager->reconciler, &rules);
        if (r < 0)
                return failure_set(ret_failure, FAILURE_NOT_SUPPORTED,
                                "tenant %s can adopt nothing: this is a dry run", tenant_id);
        rules.privileged = caller == 0 || caller == geteuid();
        r = manager_judge_tenant(manager, tenant, caller, ret_failure);
        if (r != 0)
                return r;
        manager_look_at_adopted(manager); /* one that is gone is nobody's any more */
        r = adoption_judge(&manager->node, tenant_id, path, &rules, ret_failure);
        if (r != 0)
                return r == -EALREADY ? 0 : r;
        r = reconciler_find_foreign(manager->reconciler, path, &id);
        if (r == -ENOENT)
                return failure_set(ret_failure, FAILURE_NO_SUCH_GROUP, "no control group '%.256s'", path);
        if (r >= 0)
                r = judge_processes(manager, caller, path, ret_failure);
        if (r == 0)
                r = take(manager, tenant, path, id, ret_failure);
        if (r != 0)
                return r;
        node_note_news(&manager->node, tenant);
        calendar_mark(&manager->node.calendar, tenant->id);
        (void) manager_reconcile(manager);                     /* it may open what the tenant may */
        (void) manager_take_sample(manager, /* all= */ false); /* from here on it is the tenant's */
        log_write(LOG_INFO, &(LogFields){ .tenant = tenant->id, .object = path },
                        "Group %s is adopted by tenant %s", path, tenant->id);
        manager_tell_tenants(manager);
        return 0;
}

int manager_abandon(
                void *userdata, uid_t caller, const char *tenant_id, const char *path, Failure *ret_failure) {
        Manager *manager = userdata;
        const AdoptedGroup *group;
        Tenant *tenant;
        int r;

        r = find_tenant(manager, tenant_id, &tenant, ret_failure);
        if (r != 0)
                return r;
        group = adopted_groups_find(&tenant->adopted, path);
        if (!group)
                return failure_set(ret_failure, FAILURE_NO_SUCH_GROUP,
                                "tenant %s has not adopted group '%.256s'", tenant_id, path);
        r = manager_judge_tenant(manager, tenant, caller, ret_failure);
        if (r != 0)
                return r;
        (void) reconciler_sample(
                        manager->reconciler, &manager->node, /* all= */ true); /* up to here it was */
        r = abandon(manager, tenant, group);
        if (r < 0)
                return r;
        log_write(LOG_INFO, &(LogFields){ .tenant = tenant->id, .object = path },
                        "Group %s is abandoned by tenant %s", path, tenant->id);
        manager_tell_tenants(manager);
        return 0;
}

static bool has_gone(const Manager *manager, const AdoptedGroup *group) {
        return !reconciler_adopted_lives(manager->reconciler, group);
}

static bool is_of_another_boot(const Manager *manager, const AdoptedGroup *group) {
        return strcmp(group->boot_id, manager->node.boot_id) != 0;
}

static void forget_past(
                Manager *manager, bool (*is_past)(const Manager *, const AdoptedGroup *), const char *what) {
        for (size_t i = 0; i < manager->node.n_tenants; i++) {
                Tenant *tenant = manager->node.tenants[i];

                for (size_t k = tenant->adopted.n; k-- > 0;) {
                        const AdoptedGroup *group = &tenant->adopted.entries[k];

                        if (!is_past(manager, group))
                                continue;
                        log_write(LOG_INFO, &(LogFields){ .tenant = tenant->id, .object = group->path },
                                        "Group %s, which tenant %s had adopted, %s", group->path, tenant->id,
                                        what);
                        manager_log_lost(forget(manager, tenant, group), "The end of an adoption");
                }
        }
}

void manager_look_at_adopted(Manager *manager) {
        forget_past(manager, has_gone, "is gone");
}

void manager_forget_old_adoptions(Manager *manager) {
        forget_past(manager, is_of_another_boot, "was another boot's");
}

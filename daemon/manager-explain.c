/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How things stand, for who asks: it reads, and changes nothing. */

#include "manager-internal.h"

#include "decide/explain.h"

#include <inttypes.h>
#include <string.h>

int manager_diff(void *userdata, const char *tenant_id, DifferenceList *ret, Failure *ret_failure) {
        Manager *manager = userdata;
        int r;

        if (*tenant_id && !node_find_tenant(&manager->node, tenant_id))
                return failure_set(ret_failure, FAILURE_NO_SUCH_TENANT, "no tenant '%.64s'", tenant_id);
        r = reconciler_diff(manager->reconciler, &manager->node, *tenant_id ? tenant_id : NULL, ret);
        if (r == -EOVERFLOW)
                return failure_set(ret_failure, FAILURE_LIMIT_EXCEEDED,
                                "diff: there are more differences than the %u MiB of one answer hold; ask "
                                "for one tenant",
                                (DIFFERENCE_LIST_BYTES_MAX >> 20) + 1);
        return r == -EOPNOTSUPP ? failure_set(ret_failure, FAILURE_NOT_SUPPORTED,
                                                  "this is a dry run: the kernel is not read")
                                : r;
}

static bool is_asked_for(const char *asked, const char *name) {
        return !*asked || strcmp(asked, name) == 0;
}

/* Takes `why`, which `r` says was made. */
static int add(ExplanationList *list, const char *name, const char *value, int r, char *why) {
        _cleanup_free_ char *owned = r < 0 ? NULL : why;

        return r < 0 ? r : explanation_list_add(list, name, value, "", owned);
}

static int explain_resources(Manager *manager, bool is_reader, const Allocation *allocation,
                const char *asked, ExplanationList *list) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < allocation->resources.n; i++) {
                const Resource *entry = &allocation->resources.entries[i];
                char name[RESOURCE_NAME_SIZE], value[64];
                char *why = NULL;

                resource_format_name(entry->kind, entry->target, name);
                if (!is_asked_for(asked, name) && strcmp(asked, resource_info(entry->kind)->name) != 0)
                        continue;
                if (entry->amount.limit == UNLIMITED)
                        snprintf(value, sizeof value, "%" PRIu64 " max", entry->amount.reserved);
                else
                        snprintf(value, sizeof value, "%" PRIu64 " %" PRIu64, entry->amount.reserved,
                                        entry->amount.limit);
                r = explain_part(&manager->node.calendar, is_reader, allocation, entry, &why);
                r = add(list, name, value, r, why);
        }
        return r;
}

static int explain_allocation(Manager *manager, bool is_reader, const Allocation *allocation,
                const char *asked, ExplanationList *list) {
        char *why = NULL;
        int r = 0;

        if (is_asked_for(asked, "State")) {
                r = explain_state(&manager->node.calendar, is_reader, allocation, &why);
                r = add(list, "State", allocation_state_to_string(allocation->state), r, why);
        }
        if (r >= 0 && is_asked_for(asked, "QosClass")) {
                r = explain_qos_class(allocation, &why);
                r = add(list, "QosClass", qos_class_to_string(allocation_qos_class(allocation)), r, why);
        }
        return r < 0 ? r : explain_resources(manager, is_reader, allocation, asked, list);
}

/* "tenant/ID" and "allocation/ID" say which; a bare id is the tenant's where both have it. */
static int find_object(const Manager *manager, const char *object, const Tenant **ret_tenant,
                const Allocation **ret_allocation, Failure *failure) {
        static const char *const kinds[] = { "tenant/", "allocation/" };
        bool may_be[] = { true, true };
        const char *id = object;

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (strncmp(object, kinds[i], strlen(kinds[i])) == 0) {
                        may_be[1 - i] = false;
                        id = object + strlen(kinds[i]);
                }
        *ret_tenant = may_be[0] ? node_find_tenant(&manager->node, id) : NULL;
        *ret_allocation = may_be[1] && !*ret_tenant ? calendar_find(&manager->node.calendar, id) : NULL;
        return *ret_tenant || *ret_allocation
                               ? 0
                               : failure_set(failure, FAILURE_NO_SUCH_TENANT,
                                                 "there is no tenant or allocation '%.64s'", object);
}

int manager_explain(void *userdata, bool is_reader, const char *object, const char *name,
                ExplanationList *ret, Failure *ret_failure) {
        const Allocation *allocation = NULL;
        const Tenant *tenant = NULL;
        Manager *manager = userdata;
        int r = *object ? find_object(manager, object, &tenant, &allocation, ret_failure) : 0;

        if (r != 0)
                return r;
        r = allocation ? explain_allocation(manager, is_reader, allocation, name, ret)
                       : reconciler_explain(manager->reconciler, &manager->node, tenant ? tenant->id : NULL,
                                         name, ret);
        if (r >= 0 && ret->n == 0)
                return failure_set(ret_failure, FAILURE_UNKNOWN_KEY,
                                "%s has no value '%.64s'; without a name all are explained",
                                *object ? object : "the node", name);
        return r;
}

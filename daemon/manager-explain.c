/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How things stand, for who asks: it reads, and changes nothing. */

#include "manager-internal.h"

int manager_diff(void *userdata, const char *tenant_id, DifferenceList *ret, Failure *ret_failure) {
        Manager *manager = userdata;
        int r;

        if (*tenant_id && !node_find_tenant(&manager->node, tenant_id))
                return failure_set(ret_failure, FAILURE_NO_SUCH_TENANT, "no tenant '%.64s'", tenant_id);
        r = reconciler_diff(manager->reconciler, &manager->node, *tenant_id ? tenant_id : NULL, ret);
        return r == -EOPNOTSUPP ? failure_set(ret_failure, FAILURE_NOT_SUPPORTED,
                                                  "this is a dry run: the kernel is not read")
                                : r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A tenant's Mode: what new ones begin in, and what an operator makes of it later. What it means is
 * decide/plan.c's and the reconciler's. */

#include "manager-internal.h"

#include "util/log.h"

static void take_mode(Tenant *tenant, bool observed) {
        tenant->observed = observed;
        tenant->to_be_opened = observed;
        if (observed)
                tenant->doomed = false;
}

int manager_add_tenant(Manager *manager, const char *id, Tenant **ret) {
        int r = node_add_tenant(&manager->node, id, manager_slot_max(manager), ret);

        if (r >= 0)
                take_mode(*ret, manager->options.config->observe);
        return r;
}

int manager_set_mode(
                void *userdata, uid_t caller, const char *tenant_id, const char *mode, Failure *ret_failure) {
        Manager *manager = userdata;
        Tenant *tenant = node_find_tenant(&manager->node, tenant_id);
        bool observed, was_doomed, was_to_be_opened;
        int r;

        if (!tenant)
                return failure_set(ret_failure, FAILURE_NO_SUCH_TENANT,
                                "no tenant '%.64s'; it appears with its first allocation", tenant_id);
        r = manager_judge_tenant(manager, tenant, caller, ret_failure);
        if (r != 0)
                return r;
        if (tenant_mode_from_string(mode, &observed) < 0)
                return failure_set(ret_failure, FAILURE_INVALID_ALLOCATION,
                                "tenant %s: Mode '%.64s' must be enforce or observe", tenant_id, mode);
        if (tenant->observed == observed)
                return 0;
        if (observed) /* its classes go, with what they counted */
                (void) manager_take_sample(manager, /* all= */ false);
        was_doomed = tenant->doomed;
        was_to_be_opened = tenant->to_be_opened;
        take_mode(tenant, observed);
        r = state_put_tenant(manager->state, tenant);
        if (r < 0) {
                tenant->observed = !observed;
                tenant->to_be_opened = was_to_be_opened;
                tenant->doomed = was_doomed;
                return r;
        }
        log_write(LOG_INFO, &(LogFields){ .tenant = tenant_id }, "Tenant %s: Mode is %s", tenant_id, mode);
        node_note_news(&manager->node, tenant);
        calendar_mark(&manager->node.calendar, tenant->id);
        r = manager_reconcile(manager);
        if (r >= 0 && tenant->failed)
                return failure_set(ret_failure, FAILURE_NOT_ENFORCED, "tenant %s: Mode is %s, but: %s",
                                tenant_id, mode,
                                tenant->problems ? tenant->problems[0] : "it could not be brought about");
        return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Which devices a tenant may open: the union of what its current allocations name, and nothing more once one
 * of them, or of those to come, names any. It does not ask which nodes the names mean.
 *
 * From its acceptance on, not from its start: what is promised for a window must not be had before. And after
 * its end, as long as the tenant is here: else the end of the last allocation would open every device.
 */

#include "plan.h"

int plan_make_devices(const PlanInput *input, const CalendarTenant *tenant, TenantPlan *plan) {
        plan->guarded = input->devices_closed || plan->tenant->guarded;
        for (size_t i = 0; tenant && i < tenant->n; i++) {
                const Allocation *allocation = tenant->allocations[i];

                if (!allocation_is_live(allocation) || allocation->devices.n == 0)
                        continue;
                plan->guarded = true;
                if (!allocation_is_current(allocation))
                        continue;
                for (size_t k = 0; k < allocation->devices.n; k++) {
                        const Device *device = &allocation->devices.entries[k];
                        int r = device_set_put(&plan->devices, device->name, device->access);

                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

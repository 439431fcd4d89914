/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.headgate.Node1.Manager: its members, and which handler answers each. */

#include "api-internal.h"

#define METHOD(name, in, in_names, out, out_names, handler) \
        SD_BUS_METHOD_WITH_NAMES(name, in, in_names, out, out_names, handler, SD_BUS_VTABLE_UNPRIVILEGED)
#define METHOD0(name, handler) SD_BUS_METHOD(name, "", "", handler, SD_BUS_VTABLE_UNPRIVILEGED)

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        METHOD("Apply", "aa{sv}", SD_BUS_PARAM(allocations), "ao", SD_BUS_PARAM(paths), api_method_apply),
        METHOD("Sync", "saa{sv}", SD_BUS_PARAM(issuer) SD_BUS_PARAM(allocations), "ao", SD_BUS_PARAM(paths),
                        api_method_sync),
        METHOD("Check", "aa{sv}", SD_BUS_PARAM(allocations), "aa{sv}", SD_BUS_PARAM(verdicts),
                        api_method_check),
        METHOD("Renew", "st", SD_BUS_PARAM(id) SD_BUS_PARAM(lease_usec), "", , api_method_renew),
        METHOD("Release", "sts", SD_BUS_PARAM(id) SD_BUS_PARAM(generation) SD_BUS_PARAM(reason), "", ,
                        api_method_release),
        METHOD("Attach", "sah", SD_BUS_PARAM(tenant) SD_BUS_PARAM(pidfds), "", , api_method_attach),
        METHOD("AttachUnit", "ss", SD_BUS_PARAM(tenant) SD_BUS_PARAM(unit), "", , api_method_attach_unit),
        METHOD("SetMode", "ss", SD_BUS_PARAM(tenant) SD_BUS_PARAM(mode), "", , api_method_set_mode),
        METHOD("Diff", "s", SD_BUS_PARAM(tenant), "aa{sv}", SD_BUS_PARAM(differences), api_method_diff),
        METHOD("Adopt", "ss", SD_BUS_PARAM(tenant) SD_BUS_PARAM(path), "", , api_method_adopt),
        METHOD("Abandon", "ss", SD_BUS_PARAM(tenant) SD_BUS_PARAM(path), "", , api_method_abandon),
        METHOD("Explain", "ss", SD_BUS_PARAM(object) SD_BUS_PARAM(name), "aa{sv}", SD_BUS_PARAM(reasons),
                        api_method_explain),
        METHOD("Snapshot", "s", SD_BUS_PARAM(format), "h", SD_BUS_PARAM(memfd), api_method_snapshot),
        METHOD("GetCalendar", "tt", SD_BUS_PARAM(from_usec) SD_BUS_PARAM(until_usec), "aa{sv}",
                        SD_BUS_PARAM(segments), api_method_get_calendar),
        METHOD("Drain", "s", SD_BUS_PARAM(reason), "", , api_method_drain),
        METHOD0("Resume", api_method_resume),
        METHOD("SetCapacity", "a{st}", SD_BUS_PARAM(capacity), "", , api_method_set_capacity),
        METHOD0("AcceptClock", api_method_accept_clock),
        METHOD("Culprits", "s", SD_BUS_PARAM(tenant_id), "a{st}", SD_BUS_PARAM(culprits),
                        api_method_culprits),
        METHOD("Drift", "", , "aa{sv}a{s(tt)}", SD_BUS_PARAM(drifts) SD_BUS_PARAM(counts), api_method_drift),
        METHOD("ReleaseAll", "", , "as", SD_BUS_PARAM(tenants_left), api_method_release_all),
        SD_BUS_PROPERTY("NodeId", "s", api_get_string, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("BootId", "s", api_get_string, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Version", "s", api_get_string, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("State", "s", api_get_string, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Capacity", "a{st}", api_get_amounts, 0, 0),
        SD_BUS_PROPERTY("Reserved", "a{st}", api_get_amounts, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Idle", "a{st}", api_get_amounts, 0, 0),
        SD_BUS_PROPERTY("OperatorCapacity", "a{st}", api_get_amounts, 0, 0),
        SD_BUS_PROPERTY("DrainReason", "s", api_get_string, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("ClockTrusted", "b", api_get_clock_trusted, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("CalendarHorizon", "t", api_get_horizon, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Features", "a{s(bs)}", api_get_features, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("ControlUsage", "a{st}", api_get_control_usage, 0, 0),
        SD_BUS_PROPERTY("ControlHistograms", "a{sat}", api_get_control_histograms, 0, 0),
        SD_BUS_SIGNAL_WITH_NAMES("AllocationChanged", "ssss",
                        SD_BUS_PARAM(id) SD_BUS_PARAM(old_state) SD_BUS_PARAM(new_state) SD_BUS_PARAM(reason),
                        0),
        SD_BUS_SIGNAL_WITH_NAMES("AllocationEnding", "st", SD_BUS_PARAM(id) SD_BUS_PARAM(left_usec), 0),
        SD_BUS_SIGNAL_WITH_NAMES("CapacityChanged", "a{st}", SD_BUS_PARAM(capacity), 0),
        SD_BUS_VTABLE_END,
};

int api_add_manager(ApiConnection *connection) {
        return sd_bus_add_object_vtable(connection->bus, api_slot(connection), API_PATH,
                        API_MANAGER_INTERFACE, manager_vtable, connection->api);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the files of the systemd driver alone. */

#include "enforce/cgroup-driver.h"
#include "enforce/pid1.h"

#define SYSTEMD_PARENT "headgate.slice"
#define SYSTEMD_SLICE_SUFFIX ".slice"
#define SYSTEMD_SCOPE_SUFFIX ".scope"

/* The tenant's slice, or the parent where there is no tenant; the caller frees. NULL without memory. */
char *systemd_slice(const char *tenant_id);
/* PID 1, by the connection that this turn of the loop has; it stays the driver's. */
int systemd_connect(CgroupDriver *driver, Pid1 **ret);

/* cgroup-systemd-attach.c: those of the driver's ops. */
int systemd_attach(TenantGroup *group, const Process *processes, size_t n, char **ret_group);
int systemd_attach_unit(TenantGroup *group, const char *unit, char **ret_group);
int systemd_untie(CgroupDriver *driver, const char *tenant_id);
/* The same by the slice's name. */
int systemd_untie_slice(Pid1 *pid1, const char *slice);

/* cgroup-systemd-order.c: whether the unit can be started after us at a boot. */
int systemd_may_order(Pid1 *pid1, const char *unit);
int systemd_order_units(CgroupDriver *driver);

/* cgroup-systemd-remove.c */
int systemd_remove(CgroupDriver *driver, const char *tenant_id);

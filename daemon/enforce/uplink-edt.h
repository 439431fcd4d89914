/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What uplink.c hands on where an uplink's discipline is the earliest departure time: each as the function of
 * that name without "edt_" (uplink.h). */

#include "enforce/uplink-internal.h"

#define UPLINK_DIFFERENCES_TOLD 8U

int uplink_edt_apply(Uplink *uplink, const NetPlan *plan, unsigned *changes);
int uplink_edt_change(Uplink *uplink, const NetPlan *from, const NetPlan *to, unsigned *ret_changes);
int uplink_edt_compare(Uplink *uplink, const NetPlan *plan, UplinkDifference tell, void *userdata);
int uplink_edt_observe(Uplink *uplink, const NetPlan *expected, NetPlan *ret);
int uplink_edt_read_stats(Uplink *uplink, NetStats *ret);
int uplink_edt_release(Uplink *uplink);

/* What a pacer whose place HTB is to take has counted; `ret` of no classes: there is none. */
void uplink_edt_read_parting(Uplink *uplink, int ifindex, NetStats *ret);

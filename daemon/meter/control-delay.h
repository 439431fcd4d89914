/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How long packets of the control class wait in the queues of our uplinks, by bpf/control-delay.bpf.c. It
 * goes on counting while we are away: what is pinned and of the same program is adopted as it runs.
 */

#include "bpf/pin.h"
#include "model/histogram.h"
#include "util/cleanup.h"

typedef struct ControlDelay ControlDelay;

/* `classid`: skb->priority of the control class. */
int control_delay_new(const char *pin_dir, uint32_t classid, ControlDelay **ret);
/* What is pinned goes on counting. */
ControlDelay *control_delay_free(ControlDelay *delay);
DEFINE_CLEANUP(ControlDelay *, control_delay_free);
/* Of an earlier run. */
void control_delay_unpin(const char *pin_dir);

bool control_delay_adopted(const ControlDelay *delay);
void control_delay_keep_pins(const ControlDelay *delay, PinTell tell, void *userdata);

/* DURATION_NET_EGRESS_DELAY. */
void control_delay_read(const ControlDelay *delay, Histogram *ret);

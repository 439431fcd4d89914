/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* UPLINK with a plan of four classes: what tests of an uplink begin with. */

#include "enforce/uplink.h"

#include "pair.h"

#define MBPS 1000000ULL
#define CAPACITY (30 * MBPS)
#define USEC_PER_SEC 1000000ULL

#define _cleanup_uplink_ _cleanup_(uplink_free_p)
#define _cleanup_features_ _cleanup_(feature_set_deinit)

/* Slots 0 to 3: 1 Mbit/s, 1 with at most 5, 10 with at most 20, and no floor of a lower priority. */
extern NetClass four[4];
extern const NetPlan plan_of_four;

uint64_t now_usec(void);

/* UPLINK; and what this kernel has in each class, "fq_codel", "fq" or "bfifo", unless NULL. */
Uplink *open_uplink(const char **ret_queue);

/* Applies, and expects so many messages, by our count and by the kernel's notifications. */
void apply_expecting(Uplink *uplink, const NetPlan *plan, unsigned expected);

void expect_class(unsigned minor, const char *const *parts, size_t n);
/* That tc's line of the class has each of these in it. */
#define EXPECT_CLASS(minor, ...)                                  \
        expect_class(minor, (const char *const[]){ __VA_ARGS__ }, \
                        sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *))

const NetClassStats *stats_of(const NetStats *stats, uint32_t slot);

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What slots keep of counters that live and die with classes. No kernel: the readings are made up. */

#include "meter/class-meter.h"
#include "support/class-reading.h"

#include <criterion/criterion.h>

#define SLOTS 8U
#define SLOT READING_SLOT

static ClassMeter *meter;

static void make(void) {
        cr_assert_eq(class_meter_new(NULL, CLASS_WAY_OUT, SLOTS, 4 * SLOTS, &meter), 0);
}

static void end(void) {
        class_meter_free(meter);
}

TestSuite(class_meter, .init = make, .fini = end);

/* One reading of one uplink with one class. */
static NetStats link_with(int ifindex, NetClassStats *class) {
        return (NetStats){ "eth0", ifindex, class, 1 };
}

static uint64_t value(uint32_t slot, Metric metric) {
        Sample sample = {};

        class_meter_read(meter, slot, &sample);
        return sample_has(&sample, metric) ? sample.value[metric] : UINT64_MAX;
}
#define BYTES(slot) value(slot, METRIC_NET_EGRESS_WIRE_BYTES)

Test(class_meter, sums_over_uplinks) {
        NetClassStats on_first = { .slot = SLOT,
                .anew = true,
                .bytes = 1000,
                .packets = 10,
                .drops = 1,
                .overlimits = 2,
                .borrowed = 3,
                .backlog_bytes = 300,
                .backlog_packets = 3 };
        NetClassStats on_third = { .slot = SLOT, .anew = true, .bytes = 500, .backlog_bytes = 7 };
        NetStats links[3] = { link_with(10, &on_first), {}, link_with(12, &on_third) };

        links[2].uplink = "eth2";
        class_meter_add(meter, SLOT);
        class_meter_run(meter, links, 3);
        cr_expect_eq(BYTES(SLOT), 1500);
        cr_expect_eq(value(SLOT, METRIC_NET_EGRESS_WIRE_PACKETS), 10);
        cr_expect_eq(value(SLOT, METRIC_NET_EGRESS_DROPS), 1);
        cr_expect_eq(value(SLOT, METRIC_NET_EGRESS_OVERLIMITS), 2);
        cr_expect_eq(value(SLOT, METRIC_NET_EGRESS_BORROWED), 3);
        cr_expect_eq(value(SLOT, METRIC_NET_EGRESS_BACKLOG), 307);
        cr_expect_eq(value(SLOT, METRIC_NET_EGRESS_BACKLOG_PACKETS), 3);
        cr_expect_eq(BYTES(SLOT + 1), UINT64_MAX, "it comes from nowhere");

        /* The first is not read: what it had stays, what waits there is not known. */
        on_third.anew = false;
        links[0] = (NetStats){};
        class_meter_run(meter, links, 3);
        cr_expect_eq(BYTES(SLOT), 1500);
        cr_expect_eq(value(SLOT, METRIC_NET_EGRESS_BACKLOG), 7);
}

Test(class_meter, of_what_comes_in) {
        NetClassStats class = { .slot = SLOT, .anew = true, .bytes = 1000, .drops = 2, .backlog_bytes = 30 };
        NetStats link = link_with(10, &class);

        end();
        meter = NULL;
        class_meter_add(meter, SLOT);
        class_meter_run(meter, &link, 1);
        class_meter_clear(meter, SLOT);
        cr_expect_eq(BYTES(SLOT), UINT64_MAX, "there is none");

        cr_assert_eq(class_meter_new(NULL, CLASS_WAY_IN, SLOTS, 4 * SLOTS, &meter), 0);
        class_meter_add(meter, SLOT);
        class_meter_run(meter, &link, 1);
        cr_expect_eq(value(SLOT, METRIC_NET_INGRESS_WIRE_BYTES), 1000);
        cr_expect_eq(value(SLOT, METRIC_NET_INGRESS_DROPS), 2);
        cr_expect_eq(value(SLOT, METRIC_NET_INGRESS_BACKLOG), 30);
        cr_expect_eq(BYTES(SLOT), UINT64_MAX, "it is another way");
}

Test(class_meter, outlives_its_classes) {
        class_meter_add(meter, SLOT);
        class_run_at(meter, "eth0", 10, true, 1000);
        class_run_at(meter, "eth0", 10, false, 1500);
        cr_expect_eq(BYTES(SLOT), 1500);
        class_run_at(meter, "eth0", 10, true, 2000); /* more than before, and all of it new */
        cr_expect_eq(BYTES(SLOT), 3500);
        class_run_at(meter, "eth0", 10, false, 300); /* made anew by somebody else */
        cr_expect_eq(BYTES(SLOT), 3800);
        class_run_at(meter, "eth0", 11, true, 50); /* on another interface of the name */
        cr_expect_eq(BYTES(SLOT), 3850);
        class_run_at(meter, "eth0", 11, false, 60);
        class_run_at(meter, "eth0", 10, true, 5); /* and on one of the old number */
        cr_expect_eq(BYTES(SLOT), 3865);
}

/* Another discipline takes its place: both are in one reading. */
Test(class_meter, what_parted_comes_first) {
        NetClassStats classes[] = { { .slot = SLOT, .bytes = 120 },
                { .slot = SLOT, .anew = true, .bytes = 30, .backlog_bytes = 7 } };
        NetStats link = { "eth0", 10, classes, 2 };

        class_meter_add(meter, SLOT);
        class_run_at(meter, "eth0", 10, true, 100);
        class_meter_run(meter, &link, 1);
        cr_expect_eq(BYTES(SLOT), 150);
        cr_expect_eq(value(SLOT, METRIC_NET_EGRESS_BACKLOG), 7);
        class_run_at(meter, "eth0", 10, false, 40);
        cr_expect_eq(BYTES(SLOT), 160);
}

Test(class_meter, is_its_tenants) {
        class_run_at(meter, "eth0", 10, true, 1000);
        cr_expect_eq(BYTES(SLOT), UINT64_MAX, "nobody's");
        class_meter_add(meter, SLOT);
        class_run_at(meter, "eth0", 10, false, 1200); /* it was there before */
        cr_expect_eq(BYTES(SLOT), 0);
        class_run_at(meter, "eth0", 10, false, 1300);
        cr_expect_eq(BYTES(SLOT), 100);

        class_meter_clear(meter, SLOT);
        class_run_at(meter, "eth0", 10, false, 1400);
        cr_expect_eq(BYTES(SLOT), UINT64_MAX);
        class_meter_add(meter, SLOT);
        class_run_at(meter, "eth0", 10, true, 30);
        cr_expect_eq(BYTES(SLOT), 30);
}

Test(class_meter, counts_what_is_no_tenants) {
        NetClassStats classes[] = { { .slot = SLOT_DEFAULT, .anew = true, .bytes = 5 },
                { .slot = SLOT_CONTROL, .anew = true, .bytes = 6 },
                { .slot = SLOTS, .anew = true, .bytes = 7 } };
        NetStats link = { "eth0", 10, classes, 3 };

        class_meter_run(meter, &link, 1);
        cr_expect_eq(BYTES(SLOT_DEFAULT), 5);
        cr_expect_eq(BYTES(SLOT_CONTROL), 6);
}

/* They go on over classes and interfaces, and are together what the slot has. */
Test(class_meter, of_each_uplink) {
        static const struct {
                const char *what, *uplink;
                int ifindex;
                bool anew;
                uint64_t shows, eth0, eth1;
        } steps[] = {
                { "a class", "eth0", 10, true, 1000, 1000, UINT64_MAX },
                { "on another uplink", "eth1", 11, true, 50, 1000, 50 },
                { "it is made anew", "eth0", 10, true, 200, 1200, 50 },
                { "and shows more than before", "eth0", 10, true, 300, 1500, 50 },
                { "by somebody else", "eth0", 10, false, 20, 1520, 50 },
                { "on another interface", "eth0", 12, true, 40, 1560, 50 },
                { "whose number the other had", "eth1", 10, true, 60, 1560, 110 },
                { "which goes on", "eth1", 10, false, 61, 1560, 111 },
                { "an interface that nobody told of", "eth1", 13, false, 500, 1560, 611 },
        };

        class_meter_add(meter, SLOT);
        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
                class_run_at(meter, steps[i].uplink, steps[i].ifindex, steps[i].anew, steps[i].shows);
                cr_expect_eq(class_bytes_at(meter, "eth0"), steps[i].eth0, "%s", steps[i].what);
                cr_expect_eq(class_bytes_at(meter, "eth1"), steps[i].eth1, "%s", steps[i].what);
                cr_expect_eq(BYTES(SLOT), steps[i].eth0 + (steps[i].eth1 == UINT64_MAX ? 0 : steps[i].eth1),
                                "%s", steps[i].what);
        }
}

/* An uplink is not read while one tenant follows another: it is not to see the other's. */
Test(class_meter, of_each_uplink_is_its_tenants) {
        class_meter_add(meter, SLOT);
        class_run_at(meter, "eth0", 10, true, 1000);
        class_meter_clear(meter, SLOT);
        class_meter_add(meter, SLOT);
        cr_expect_eq(class_bytes_at(meter, "eth0"), UINT64_MAX, "the one before it is gone");
        class_run_at(meter, "eth0", 10, false, 1100); /* the class is the same still */
        cr_expect_eq(class_bytes_at(meter, "eth0"), 0);
        class_run_at(meter, "eth0", 10, false, 1107);
        cr_expect_eq(class_bytes_at(meter, "eth0"), 7);
        cr_expect_eq(BYTES(SLOT), 7);
}

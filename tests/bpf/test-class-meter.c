/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is counted of each uplink's classes goes on over restarts. The readings are made up, the pins are not.
 */

#include "host.h"

#include "bpf/pin.h"
#include "meter/class-meter.h"
#include "meter/group-carried.h"
#include "support/class-reading.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(class_meter, .init = host_init, .fini = host_deinit, .timeout = 60);

#define SLOTS 8U
#define SLOT READING_SLOT

static ClassMeter *meter;

static void restart(const char *pin_dir) {
        class_meter_free(meter);
        cr_assert_eq(class_meter_new(pin_dir, CLASS_WAY_OUT, SLOTS, 4 * SLOTS, &meter), 0);
        class_meter_add(meter, SLOT);
}

static uint64_t bytes(void) {
        Sample sample = {};

        class_meter_read(meter, SLOT, &sample);
        return sample.value[METRIC_NET_EGRESS_WIRE_BYTES];
}

Test(class_meter, goes_on_by_the_uplinks_name) {
        const char *pin_dir = host_bpffs();

        restart(pin_dir);
        class_run_at(meter, "eth1", 11, true, 50);
        class_run_at(meter, "eth0", 10, true, 1000);
        restart(pin_dir);
        cr_expect_eq(class_bytes_at(meter, "eth1"), 50, "it is not read any more");
        class_run_at(meter, "eth0", 10, false, 1005);
        cr_expect_eq(class_bytes_at(meter, "eth0"), 1005);
        restart(pin_dir);
        class_run_at(meter, "eth0", 12, false, 2000); /* replugged meanwhile */
        cr_expect_eq(class_bytes_at(meter, "eth0"), 3005);
        cr_expect_eq(bytes(), 3055);
        class_meter_free(meter);
}

/* As after an upgrade from when there were no names: the sum is the slot's still. */
Test(class_meter, goes_on_without_names) {
        const char *pin_dir = host_bpffs();

        restart(pin_dir);
        class_run_at(meter, "eth1", 11, true, 50);
        class_run_at(meter, "eth0", 10, true, 1000);
        pin_remove(pin_dir, "class_uplinks_1");
        restart(pin_dir);
        class_run_at(meter, "eth0", 10, false, 1001);
        class_run_at(meter, "eth0", 10, false, 1010);
        cr_expect_eq(class_bytes_at(meter, "eth0"), 9);
        cr_expect_eq(bytes(), 1059);
        class_meter_free(meter);
}

/* A version that named classes by interface goes on in rows of its own, from what the class shows then. */
static void run_earlier_version(const char *pin_dir, int ifindex, uint64_t from, uint64_t to) {
        _cleanup_(group_carried_free_p) GroupCarried *carried = NULL;
        Sample now = {};
        uint32_t place;

        cr_assert_eq(group_carried_new(&(GroupCarriedOptions){ pin_dir, "class_carried_1", "class_gone_1",
                                                       net_class_metrics(CLASS_WAY_OUT), NET_CLASS_COUNTERS,
                                                       SLOTS, 4 * SLOTS },
                                     &carried),
                        0);
        cr_assert_eq(group_carried_place(carried, SLOT, (uint64_t) ifindex << 32 | SLOT, /* adopted= */ true,
                                     &place),
                        0);
        sample_put(&now, METRIC_NET_EGRESS_WIRE_BYTES, from);
        group_carried_note(carried, place, &now);
        sample_put(&now, METRIC_NET_EGRESS_WIRE_BYTES, to);
        group_carried_note(carried, place, &now);
}

/* Nothing is counted twice; what was counted up to then is of no uplink any more. */
Test(class_meter, goes_on_after_an_earlier_version) {
        const char *pin_dir = host_bpffs();

        restart(pin_dir);
        class_run_at(meter, "eth0", 10, true, 100);
        class_meter_free(TAKE_PTR(meter));
        run_earlier_version(pin_dir, 10, 100, 150);
        restart(pin_dir);
        class_run_at(meter, "eth0", 10, false, 150);
        cr_expect_eq(bytes(), 150);
        class_run_at(meter, "eth0", 10, false, 170);
        cr_expect_eq(bytes(), 170);
        cr_expect_eq(class_bytes_at(meter, "eth0"), 20);
        restart(pin_dir);
        class_run_at(meter, "eth0", 10, false, 180);
        cr_expect_eq(bytes(), 180);
        cr_expect_eq(class_bytes_at(meter, "eth0"), 30, "it is told apart from then on");
        class_meter_free(meter);
}

/* More uplinks than there are numbers, over the years: those of before give way, and what they counted stays.
 */
Test(class_meter, goes_on_over_many_uplinks) {
        const char *pin_dir = host_bpffs();
        char name[16];

        for (unsigned i = 0; i < 2 * CLASS_METER_LINKS_MAX; i++) {
                if (i % CLASS_METER_LINKS_MAX == 0)
                        restart(pin_dir);
                snprintf(name, sizeof(name), "eth%u", i);
                class_run_at(meter, name, 10 + (int) i, true, 100);
                cr_expect_eq(class_bytes_at(meter, name), 100);
                cr_expect_eq(bytes(), 100 * (i + 1));
        }
        cr_expect_eq(class_bytes_at(meter, "eth0"), UINT64_MAX);
        class_meter_free(meter);
}

/* After a restart, where a new one is read before one that had a number. */
Test(class_meter, a_new_uplink_takes_nobody_s_number_who_is_there) {
        const char *pin_dir = host_bpffs();
        NetClassStats classes[2] = { { .slot = SLOT, .anew = true, .bytes = 7 },
                { .slot = SLOT, .bytes = 101 } };
        NetStats links[2] = { { "new0", 99, &classes[0], 1 }, { "eth0", 10, &classes[1], 1 } };
        char name[16];

        restart(pin_dir);
        for (unsigned i = 0; i < CLASS_METER_LINKS_MAX; i++) {
                snprintf(name, sizeof(name), "eth%u", i);
                class_run_at(meter, name, 10 + (int) i, true, 100);
        }
        restart(pin_dir);
        class_meter_run(meter, links, ELEMENTSOF(links));
        cr_expect_eq(class_bytes_at(meter, "new0"), 7);
        cr_expect_eq(class_bytes_at(meter, "eth0"), 101, "it gave way");
        class_meter_free(meter);
}

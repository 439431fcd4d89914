/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/uplink-usage.h"

#include <criterion/criterion.h>

Test(uplink_usage, names_and_values_of_classes_that_are_there) {
        static const struct {
                Metric metric;
                const char *name;
                uint64_t value; /* 0: there is none */
        } cases[] = {
                { METRIC_NET_EGRESS_WIRE_BYTES, "net.egress.wire-bytes@eth1", 10 },
                { METRIC_NET_EGRESS_WIRE_PACKETS, "net.egress.wire-packets@eth1", 11 },
                { METRIC_NET_EGRESS_DROPS, "net.egress.drops@eth1", 12 },
                { METRIC_NET_EGRESS_OVERLIMITS, "net.egress.overlimits@eth1", 13 },
                { METRIC_NET_EGRESS_BORROWED, "net.egress.borrowed@eth1", 14 },
                { METRIC_NET_EGRESS_BACKLOG, "net.egress.backlog@eth1", 15 },
                { METRIC_NET_EGRESS_BACKLOG_PACKETS, "net.egress.backlog-packets@eth1", 16 },
                { METRIC_NET_INGRESS_DROPS, "net.ingress.drops@eth1", 0 },
                { METRIC_NET_EGRESS_BYTES, "net.egress.bytes@eth1", 0 },
        };
        UplinkUsages usages = {};
        UplinkUsage *usage;

        cr_assert_not_null(uplink_usages_get(&usages, "eth0"));
        usage = uplink_usages_get(&usages, "eth1");
        cr_assert_not_null(usage);
        cr_expect_eq(usages.n, 2);
        cr_expect_eq(uplink_usages_get(&usages, "eth1"), usage, "it is there already");
        usage->known[CLASS_WAY_OUT] = true;
        for (uint64_t i = 0; i < NET_CLASS_FIGURES; i++)
                usage->values[CLASS_WAY_OUT][i] = 10 + i;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                char name[UPLINK_USAGE_NAME_SIZE];
                uint64_t value = 0;

                cr_expect_str_eq(uplink_usage_name(usage, cases[i].metric, name), cases[i].name);
                cr_expect_eq(uplink_usage_read(usage, cases[i].metric, &value), cases[i].value > 0, "%s",
                                name);
                cr_expect_eq(value, cases[i].value, "%s", name);
                cr_expect_not(uplink_usage_read(&usages.entries[0], cases[i].metric, &value),
                                "eth0 has none");
        }
        uplink_usages_forget(&usages);
        cr_expect_not(uplink_usage_read(usage, METRIC_NET_EGRESS_DROPS, &(uint64_t){ 0 }), "it is forgotten");
        uplink_usages_deinit(&usages);
        cr_expect_null(usages.entries);
}

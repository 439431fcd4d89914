/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The OpenMetrics text: against golden files, and what must not be in it. The grammar is check-openmetrics's.
 */

#include "export/openmetrics.h"

#include "support/golden.h"
#include "support/sample-node.h"

#include <criterion/criterion.h>
#include <string.h>

static const Node empty_node = { .node_id = (char *) "node-1", .boot_id = (char *) "00", .version = "0.1.0" };

Test(openmetrics, golden) {
        static const struct {
                const char *name;
                const Node *node;
                const char *only_tenants[2];
        } cases[] = {
                { "openmetrics-empty.txt", &empty_node, {} },
                { "openmetrics-all.txt", NULL, {} },
                { "openmetrics-one-tenant.txt", NULL, { "beta-2" } },
                { "openmetrics-no-such-tenant.txt", NULL, { "beta" } },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const Node *node = cases[i].node ? cases[i].node : sample_node();
                _cleanup_text_ Text text = TEXT_NULL;

                cr_assert_eq(export_openmetrics(node,
                                             cases[i].only_tenants[0] ? (char *const *) cases[i].only_tenants
                                                                      : NULL,
                                             &text),
                                0, "%s", cases[i].name);
                cr_assert_eq(text.n, strlen(text.data), "%s: size and text disagree", cases[i].name);
                cr_expect(golden_equal(cases[i].name, text.data, text.n), "%s", cases[i].name);
        }
}

Test(openmetrics, seconds_are_exact) {
        static const struct {
                uint64_t nsec;
                const char *seconds;
        } cases[] = {
                { 0, "0" },
                { 1, "0.000000001" },
                { 10, "0.00000001" },
                { 999999999, "0.999999999" },
                { 1000000000, "1" },
                { 1000000001, "1.000000001" },
                { 1010000000, "1.01" },
                { UINT64_MAX, "18446744073.709551615" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Tenant tenant = { .id = (char *) "a" }, *tenants[] = { &tenant };
                Node node = { .node_id = (char *) "n", .tenants = tenants, .n_tenants = 1 };
                _cleanup_free_ char *line = NULL;
                _cleanup_text_ Text text = TEXT_NULL;

                sample_put(&tenant.usage, METRIC_CPU_TIME, cases[i].nsec);
                cr_assert_eq(export_openmetrics(&node, NULL, &text), 0);
                cr_assert_gt(asprintf(&line,
                                             "\nheadgate_cpu_time_seconds_total{tenant=\"a\",node=\"n\"} "
                                             "%s\n",
                                             cases[i].seconds),
                                0);
                cr_expect(strstr(text.data, line), "%s not in:\n%s", line, text.data);
        }
}

Test(openmetrics, many_tenants_have_a_line_each) {
        enum { N = 2000 };
        static Tenant tenant[N], *tenants[N];
        static char ids[N][16];
        Node node = { .node_id = (char *) "n", .tenants = tenants, .n_tenants = N };
        _cleanup_text_ Text text = TEXT_NULL;
        size_t lines = 0;

        for (size_t i = 0; i < N; i++) {
                snprintf(ids[i], sizeof(ids[i]), "t%04zu", i);
                tenant[i].id = ids[i];
                tenants[i] = &tenant[i];
                sample_put(&tenant[i].usage, METRIC_CPU_SWITCHES, i);
        }
        cr_assert_eq(export_openmetrics(&node, NULL, &text), 0);
        for (const char *p = text.data; (p = strstr(p, "\nheadgate_cpu_switches_total{")); p++)
                lines++;
        cr_expect_eq(lines, N);
        cr_expect(text.n > 6 && strcmp(text.data + text.n - 6, "# EOF\n") == 0);
}

/* Every remainder of the buffer's growth; what is written past its end, a sanitizer sees. */
Test(openmetrics, names_of_any_length) {
        char id[1500];

        memset(id, 'n', sizeof(id));
        for (size_t n = sizeof(id); n > 0; n--) {
                Node node = { .node_id = id };
                _cleanup_text_ Text text = TEXT_NULL;

                id[n - 1] = '\0';
                cr_assert_eq(export_openmetrics(&node, NULL, &text), 0);
                cr_assert_eq(text.n, strlen(text.data));
        }
}

/* Of what is over, nothing is told any more. */
Test(openmetrics, delivered) {
        Delivery delivered = { 1ULL << DELIVERY_CPU_DENIED | 1ULL << DELIVERY_NET_EGRESS_DROPS,
                { [DELIVERY_CPU_DENIED] = 1500000000, [DELIVERY_NET_EGRESS_DROPS] = 7 } };
        Allocation allocation = { .id = (char *) "a-1",
                .tenant_id = (char *) "a",
                .delivered = &delivered,
                .state = ALLOCATION_ACTIVE },
                   *allocations[] = { &allocation };
        Node node = { .node_id = (char *) "n", .calendar = { .allocations = allocations, .n = 1 } };
        static const struct {
                AllocationState state;
                const char *only_tenants[2];
                bool told;
        } cases[] = {
                { ALLOCATION_ACTIVE, {}, true },
                { ALLOCATION_ACTIVE, { "a" }, true },
                { ALLOCATION_ACTIVE, { "b" }, false },
                { ALLOCATION_ENDED, {}, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_text_ Text text = TEXT_NULL;

                allocation.state = cases[i].state;
                cr_assert_eq(export_openmetrics(&node,
                                             cases[i].only_tenants[0] ? (char *const *) cases[i].only_tenants
                                                                      : NULL,
                                             &text),
                                0);
                cr_expect_eq(strstr(text.data, "\nheadgate_delivered_cpu_denied_seconds_total{tenant=\"a\","
                                               "node="
                                               "\"n\","
                                               "allocation=\"a-1\"} 1.5\n") != NULL,
                                cases[i].told, "%zu:\n%s", i, text.data);
                cr_expect_eq(strstr(text.data, "\nheadgate_delivered_net_egress_denied_drops_total{tenant="
                                               "\"a\","
                                               "node=\"n\","
                                               "allocation=\"a-1\"} 7\n") != NULL,
                                cases[i].told, "%zu:\n%s", i, text.data);
                cr_expect_null(strstr(text.data, "delivered_memory"), "%zu", i);
        }
}

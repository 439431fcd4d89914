/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The JSON text of the samples: against golden files, and that what reads JSON reads it. */

#include "export/json.h"

#include "support/golden.h"
#include "support/sample-node.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

Test(export_json, golden) {
        static const struct {
                const char *name;
                const char *only_tenants[4];
        } cases[] = {
                { "json-node.txt", {} },
                { "json-all.txt", { "alpha", "beta-2", "gamma" } },
                { "json-one-tenant.txt", { "beta-2" } },
                { "json-no-such-tenant.txt", { "beta" } },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_text_ Text text = TEXT_NULL;
                json_error_t error;
                json_t *json;

                cr_assert_eq(export_json(sample_node(),
                                             cases[i].only_tenants[0] ? (char *const *) cases[i].only_tenants
                                                                      : NULL,
                                             &text),
                                0, "%s", cases[i].name);
                cr_assert_eq(text.n, strlen(text.data), "%s: size and text disagree", cases[i].name);
                cr_expect(golden_equal(cases[i].name, text.data, text.n), "%s", cases[i].name);
                json = json_loadb(text.data, text.n, JSON_REJECT_DUPLICATES, &error);
                cr_expect(json, "%s: %s", cases[i].name, error.text);
                json_decref(json);
        }
}

Test(export_json, a_node_not_yet_sampled) {
        Node node = { .node_id = (char *) "n", .boot_id = (char *) "b" };
        _cleanup_text_ Text text = TEXT_NULL;

        cr_assert_eq(export_json(&node, NULL, &text), 0);
        cr_expect_str_eq(text.data, "{\"NodeId\":\"n\",\"BootId\":\"b\",\"Time\":0,\"Tenants\":{}}\n");
}

Test(export_json, delivered) {
        Delivery delivered = { 1ULL << DELIVERY_OBSERVED | 1ULL << DELIVERY_CPU_DENIED,
                { [DELIVERY_OBSERVED] = 60000000000, [DELIVERY_CPU_DENIED] = 0 } };
        Allocation allocation = { .id = (char *) "a-1", .tenant_id = (char *) "a", .delivered = &delivered },
                   *allocations[] = { &allocation };
        Node node = { .node_id = (char *) "n",
                .boot_id = (char *) "b",
                .calendar = { .allocations = allocations, .n = 1 } };
        static const struct {
                const char *only_tenants[2], *text;
        } cases[] = {
                { {}, "{\"NodeId\":\"n\",\"BootId\":\"b\",\"Time\":0,\"Tenants\":{},\"Delivered\":{\"a-1\":"
                      "{\"observed\":60000000000,\"cpu.denied\":0}}}\n" },
                { { "b" }, "{\"NodeId\":\"n\",\"BootId\":\"b\",\"Time\":0,\"Tenants\":{}}\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_text_ Text text = TEXT_NULL;

                cr_assert_eq(export_json(&node,
                                             cases[i].only_tenants[0] ? (char *const *) cases[i].only_tenants
                                                                      : NULL,
                                             &text),
                                0);
                cr_expect_str_eq(text.data, cases[i].text);
        }
}

Test(export_json, strings_are_escaped) {
        Node node = { .node_id = (char *) "a\"b\\c\t\x1f\xc3\xa9" };
        _cleanup_text_ Text text = TEXT_NULL;

        cr_assert_eq(export_json(&node, NULL, &text), 0);
        cr_expect_str_eq(text.data, "{\"NodeId\":\"a\\\"b\\\\c\\t\\u001F\xc3\xa9\",\"BootId\":null,"
                                    "\"Time\":0,\"Tenants\":{}}\n");
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What 'top' takes from a Snapshot in JSON, and that what is no whole one is refused. */

#include "export/json.h"
#include "headgatectl/snapshot.h"
#include "support/sample-node.h"

#include <criterion/criterion.h>
#include <string.h>

/* From a copy of no byte more, so that a reader of more is seen by valgrind and the sanitizer. */
static int parse(const char *text, size_t size, Snapshot *ret) {
        _cleanup_free_ char *copy = malloc(size > 0 ? size : 1);
        int r;

        cr_assert_not_null(copy);
        memcpy(copy, text, size);
        r = snapshot_parse(copy, size, ret);
        return r;
}

static const char whole[] = " {\"NodeId\": \"a\\\"}\", \"Time\" : 7,\n\"Tenants\":{ \"web\": {\"cpu.time\": "
                            "5, \"cpu.t\": 99, \"x\": [1, {\"y\": \"]\"}], "
                            "\"cpu.wait.histogram\":[1,2], \"net.egress.wire-bytes@eth0\": 9, "
                            "\"cpu.wait\":0, \"memory.current\":3},"
                            "\"db\":{}},\"Delivered\": "
                            "{\"one\":{\"observed\":1,\"cpu.wanted\":8,\"cpu.denied\":2}, \"two\":{}}, "
                            "\"Control\": null}\n";

Test(ctl_snapshot, whole) {
        _cleanup_snapshot_ Snapshot snapshot = SNAPSHOT_NULL;
        const Sample *web, *db;

        cr_assert_eq(parse(whole, strlen(whole), &snapshot), 0);
        cr_expect_eq(snapshot.time_usec, 7);
        cr_expect_eq(snapshot.n_usage, 2);
        web = snapshot_find(&snapshot, "web");
        db = snapshot_find(&snapshot, "db");
        cr_assert(web && db && !snapshot_find(&snapshot, "we"));
        cr_expect_eq(web->present,
                        1ULL << METRIC_CPU_TIME | 1ULL << METRIC_CPU_WAIT | 1ULL << METRIC_MEMORY_CURRENT);
        cr_expect_eq(web->value[METRIC_CPU_TIME], 5);
        cr_expect_eq(web->value[METRIC_CPU_WAIT], 0);
        cr_expect_eq(web->value[METRIC_MEMORY_CURRENT], 3);
        cr_expect_eq(db->present, 0);

        cr_assert_eq(snapshot.n_delivered, 2);
        cr_expect_str_eq(snapshot.delivered[0].id, "one");
        cr_expect(snapshot.delivered[0].has_wanted && !snapshot.delivered[1].has_wanted);
        cr_expect_eq(snapshot.delivered[0].wanted_nsec, 8);
        cr_expect_eq(snapshot.delivered[0].denied_nsec, 2);
}

Test(ctl_snapshot, cut_short) {
        for (size_t n = 0; n < strlen(whole) - 1; n++) { /* the last is a newline */
                Snapshot snapshot = SNAPSHOT_NULL;

                cr_expect_eq(parse(whole, n, &snapshot), -EBADMSG, "%zu bytes of it", n);
                cr_expect_null(snapshot.usage);
        }
}

Test(ctl_snapshot, numbers) {
        static const struct {
                const char *text;
                bool known;
                uint64_t value;
        } cases[] = {
                { "0", true, 0 },
                { "9223372036854775807", true, INT64_MAX }, /* headgated's largest */
                { " 12 ", true, 12 },
                { "-1", false, 0 }, /* nothing that we print */
                { "1.5", false, 0 },
                { "1e3", false, 0 },
                { "\"max\"", false, 0 },
                { "null", false, 0 },
                { "[1]", false, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_snapshot_ Snapshot snapshot = SNAPSHOT_NULL;
                char text[128];
                const Sample *sample;
                int n = snprintf(text, sizeof(text),
                                "{\"Tenants\":{\"web\":{\"cpu.time\":%s,\"cpu.wait\":1}}}", cases[i].text);

                cr_assert_eq(parse(text, (size_t) n, &snapshot), 0, "%s", cases[i].text);
                sample = snapshot_find(&snapshot, "web");
                cr_assert(sample && sample_has(sample, METRIC_CPU_WAIT), "%s", cases[i].text);
                cr_expect_eq(sample_has(sample, METRIC_CPU_TIME), cases[i].known, "%s", cases[i].text);
                if (cases[i].known)
                        cr_expect_eq(sample->value[METRIC_CPU_TIME], cases[i].value, "%s", cases[i].text);
        }
}

Test(ctl_snapshot, refused) {
        static const char *const texts[] = {
                "[]",
                "7",
                "{} {}",
                "{\"Time\"}",
                "{\"Time\": }",
                "{\"Time\": 1 \"x\": 2}",
                "{\"x\": ]}",
                "{\"x\": }}",
                "{\"Tenants\": []}",
                "{\"Tenants\": {\"web\": 1}}",
                "{\"Delivered\": {\"one\": []}}",
                "{x: 1}",
                "{\"Tenants\":{\"web\":{\"cpu.time\":9223372036854775808}}}",
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                Snapshot snapshot = SNAPSHOT_NULL;

                cr_expect_eq(parse(texts[i], strlen(texts[i]), &snapshot), -EBADMSG, "%s", texts[i]);
        }
}

/* What headgated prints is what is read, value by value. */
Test(ctl_snapshot, of_headgated) {
        const Node *node = sample_node();
        _cleanup_snapshot_ Snapshot snapshot = SNAPSHOT_NULL;
        _cleanup_text_ Text text = TEXT_NULL;

        cr_assert_eq(export_json(node, /* only_tenants= */ NULL, &text), 0);
        cr_assert_eq(parse(text.data, text.n, &snapshot), 0);
        cr_expect_eq(snapshot.time_usec, node->sampled_usec);
        cr_expect_eq(snapshot.n_usage, node->n_tenants);
        for (size_t i = 0; i < node->n_tenants; i++) {
                const Sample *want = &node->tenants[i]->usage,
                             *have = snapshot_find(&snapshot, node->tenants[i]->id);

                cr_assert_not_null(have);
                cr_expect_eq(have->present, want->present, "%s", node->tenants[i]->id);
                for (Metric metric = 0; metric < METRIC_MAX; metric++)
                        if (sample_has(want, metric) && want->value[metric] <= INT64_MAX)
                                cr_expect_eq(have->value[metric], want->value[metric], "%s of %s",
                                                metric_info(metric)->name, node->tenants[i]->id);
        }
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What 'top' shows: rates, views, which of them is chosen, cells and their order. */

#include "headgatectl/headgatectl.h"
#include "headgatectl/rates.h"
#include "headgatectl/top-reading.h"
#include "headgatectl/top-rows.h"
#include "headgatectl/top-views.h"
#include "headgatectl/variant.h"

#include <criterion/criterion.h>
#include <string.h>

static json_t *load(const char *text) {
        json_t *json = text ? json_loads(text, 0, NULL) : NULL;

        cr_assert(!text || json, "%s", text);
        return json;
}

/* The snapshot that is all of `tenants` and `delivered`, in JSON; NULL: none. */
static Snapshot snap(uint64_t time_usec, const char *tenants, const char *delivered) {
        Snapshot snapshot = SNAPSHOT_NULL;
        _cleanup_free_ char *text = NULL;
        int n;

        if (!tenants)
                return snapshot;
        n = asprintf(&text, "{\"Time\": %llu, \"Tenants\": %s, \"Delivered\": %s}",
                        (unsigned long long) time_usec, tenants, delivered ?: "{}");
        cr_assert_gt(n, 0);
        cr_assert_eq(snapshot_parse(text, (size_t) n, &snapshot), 0, "%s", text);
        return snapshot;
}

/* The same of one tenant's counters. */
static Snapshot snap_one(uint64_t time_usec, const char *usage, const char *delivered) {
        _cleanup_free_ char *tenants = NULL;

        if (usage)
                cr_assert_gt(asprintf(&tenants, "{\"web\": %s}", usage), 0);
        return snap(time_usec, tenants, delivered);
}

#define UNKNOWN UINT64_MAX

static uint64_t rate_of(Metric metric, const char *before, const char *after, uint64_t usec) {
        _cleanup_snapshot_ Snapshot a = snap_one(0, before, NULL), b = snap_one(0, after, NULL);
        uint64_t rate = UNKNOWN;

        return rate_between(metric, snapshot_find(&a, "web"), snapshot_find(&b, "web"), usec, &rate)
                               ? rate
                               : UNKNOWN;
}

Test(ctl_top, rates) {
        static const char first[] = "{\"cpu.time\": 5000000000, \"cpu.wait\": 0, \"net.egress.bytes\": 1000, "
                                    "\"io.read.bytes\": 0, \"memory.current\": 1}";
        static const char second[] = "{\"cpu.time\": 8000000000, \"cpu.wait\": 500000000, "
                                     "\"net.egress.bytes\": 251000, \"io.read.bytes\": 3000, "
                                     "\"memory.current\": 9}";
        static const struct {
                const char *name;
                Metric metric;
                const char *before, *after;
                uint64_t usec, rate;
        } cases[] = {
                { "time, in thousandths", METRIC_CPU_TIME, first, second, 2000000, 1500 },
                { "a wait that began", METRIC_CPU_WAIT, first, second, 2000000, 250 },
                { "the network, in bits", METRIC_NET_EGRESS_BYTES, first, second, 2000000, 1000000 },
                { "other bytes", METRIC_IO_READ_BYTES, first, second, 2000000, 1500 },
                { "what is not counted is not 0", METRIC_NET_INGRESS_BYTES, first, second, 2000000, UNKNOWN },
                { "no counter", METRIC_MEMORY_CURRENT, first, second, 2000000, UNKNOWN },
                { "a counter that went back", METRIC_CPU_TIME, second, first, 2000000, UNKNOWN },
                { "a first reading", METRIC_CPU_TIME, NULL, first, 2000000, UNKNOWN },
                { "no time between", METRIC_CPU_TIME, first, second, 0, UNKNOWN },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                cr_expect_eq(rate_of(cases[i].metric, cases[i].before, cases[i].after, cases[i].usec),
                                cases[i].rate, "%s", cases[i].name);
}

Test(ctl_top, all_rates_of_a_tenant) {
        _cleanup_snapshot_ Snapshot before = snap_one(0,
                        "{\"cpu.time\": 0, \"net.egress.bytes\": 0, "
                        "\"io.stall\": 0, \"memory.current\": 1}",
                        NULL);
        _cleanup_snapshot_ Snapshot after = snap_one(0,
                        "{\"cpu.time\": 500000000, \"net.egress.bytes\": 1000, "
                        "\"io.stall\": 10000000, \"memory.current\": 1}",
                        NULL);
        _cleanup_json_ json_t *rates =
                        rates_new(snapshot_find(&before, "web"), snapshot_find(&after, "web"), 1000000);
        _cleanup_json_ json_t *want = load("{\"cpu\": 500, \"net.egress\": 8000, \"io.stall\": 10}");

        cr_expect(json_equal(rates, want));
}

/* Each view can be looked at, by a key and a name of its own, and sorted by each of its columns. */
Test(ctl_top, views) {
        for (const TopView *view = top_views; view->name; view++) {
                char name[TOP_COLUMN_NAME_SIZE], other[TOP_COLUMN_NAME_SIZE];
                size_t n = 0;

                cr_expect(strchr("qQ sr<>", view->key) == NULL, "%s: a key of another meaning", view->name);
                for (const TopView *earlier = top_views; earlier < view; earlier++) {
                        cr_expect_neq(earlier->key, view->key, "%s", view->name);
                        cr_expect_str_neq(earlier->name, view->name);
                }

                for (; view->columns[n].title; n++) {
                        const TopColumn *column = &view->columns[n];
                        TopChoice choice;

                        top_column_name(column, name);
                        for (size_t i = 0; i < n; i++)
                                cr_expect_str_neq(top_column_name(&view->columns[i], other), name);
                        cr_expect_eq(top_choose(view->name, name, false, &choice), 0);
                        cr_expect_eq(choice.view, view);
                        cr_expect_eq(choice.sort, n, "%s by %s", view->name, name);
                        if (column->kind == TOP_COLUMN_RATE)
                                cr_expect(metric_info(column->metric)->counter, "%s: %s", view->name, name);
                }
                cr_expect_lt(view->sort, n, "%s", view->name);
        }
}

Test(ctl_top, choice_by_names) {
        TopChoice choice = {};

        cr_expect_eq(top_choose(NULL, NULL, false, &choice), 0);
        cr_expect_str_eq(choice.view->name, "overview");
        cr_expect_str_eq(choice.view->columns[choice.sort].title, ">CPU%");

        cr_expect_eq(top_choose(NULL, "memory", true, &choice), 0);
        cr_expect_str_eq(choice.view->columns[choice.sort].title, ">MEMORY");
        cr_expect(choice.reverse);

        cr_expect_eq(top_choose("disk", NULL, false, &choice), CTL_USAGE);
        cr_expect_eq(top_choose("io", "memory", false, &choice), CTL_USAGE, "a column of another view");
        cr_expect_eq(top_choose("io", "", false, &choice), CTL_USAGE);
        cr_expect_str_eq(choice.view->columns[choice.sort].title, ">MEMORY", "as it was");
}

Test(ctl_top, choice_by_keys) {
        static const struct {
                const char *keys, *view, *column;
                bool reverse;
        } cases[] = {
                { "", "overview", ">CPU%", false },
                { "c", "cpu", ">CPU%", false },
                { "m", "memory", ">MEMORY", false },
                { "i", "io", ">READ/S", false },
                { "n", "network", ">EGRESS", false },
                { "p", "promises", ">WAIT%", false },
                { "po", "overview", ">CPU%", false },
                { "s", "overview", ">WAIT%", false },
                { ">", "overview", ">WAIT%", false },
                { "s<", "overview", ">CPU%", false },
                { "<<<", "overview", ">PROBLEMS", false },
                { "<<<s", "overview", "TENANT", false },
                { "r", "overview", ">CPU%", true },
                { "rr", "overview", ">CPU%", false },
                { "ssrc", "cpu", ">CPU%", false }, /* another view begins anew */
                { "xZ", "overview", ">CPU%", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                TopChoice choice;

                top_choose(NULL, NULL, false, &choice);
                for (const char *key = cases[i].keys; *key; key++)
                        top_choose_key(&choice, *key);
                top_choose_key(&choice, '\0');

                cr_expect_str_eq(choice.view->name, cases[i].view, "%s", cases[i].keys);
                cr_expect_str_eq(choice.view->columns[choice.sort].title, cases[i].column, "%s",
                                cases[i].keys);
                cr_expect_eq(choice.reverse, cases[i].reverse, "%s", cases[i].keys);
        }
}

/* Tenants a, b, c and d: c is known of nothing but its name and problems, a and d use the same. */
typedef struct Fixture {
        TopStanding standing;
        Snapshot before, now;
        TopRow *rows;
        size_t n;
} Fixture;

static void make_rows(Fixture *fixture, const char *tenants, const char *allocations) {
        _cleanup_json_ json_t *node = json_object(), *list = load(tenants), *held = load(allocations);

        cr_assert_eq(top_standing_init(&fixture->standing, node, list, held), 0);
        cr_assert_eq(top_rows_new(&fixture->standing, &fixture->before, &fixture->now, &fixture->rows,
                                     &fixture->n),
                        0);
}

static void fixture_init(Fixture *fixture) {
        *fixture = (Fixture){
                .before = snap(1,
                                "{\"d\": {\"cpu.time\": 0}, \"b\": {\"cpu.time\": 0}, \"a\": {\"cpu.time\": "
                                "0}}",
                                NULL),
                .now = snap(1000001,
                                "{\"d\": {\"cpu.time\": 500000000, \"memory.current\": 1024}, "
                                "\"b\": {\"cpu.time\": 900000000, \"memory.current\": 0}, "
                                "\"a\": {\"cpu.time\": 500000000, \"memory.current\": 2048}}",
                                NULL),
        };
        make_rows(fixture,
                        "[{\"TenantId\": \"a\"}, {\"TenantId\": \"b\"}, "
                        "{\"TenantId\": \"c\", \"Problems\": [\"x\", \"y\"]}, {\"TenantId\": \"d\"}]",
                        "[{\"AllocationId\": \"1\", \"TenantId\": \"a\", \"State\": \"suspended\"}, "
                        "{\"AllocationId\": \"2\", \"TenantId\": \"c\", \"State\": \"suspended\"}, "
                        "{\"AllocationId\": \"3\", \"TenantId\": \"c\", \"State\": \"held\"}, "
                        "{\"AllocationId\": \"4\", \"TenantId\": \"d\", \"State\": \"active\"}, "
                        "{\"AllocationId\": \"5\", \"TenantId\": \"gone\", \"State\": \"active\"}, "
                        "{\"AllocationId\": \"6\", \"TenantId\": \"b\", \"State\": \"ended\"}]");
}

static void fixture_deinit(Fixture *fixture) {
        free(fixture->rows);
        snapshot_deinit(&fixture->before);
        snapshot_deinit(&fixture->now);
        top_standing_deinit(&fixture->standing);
}

Test(ctl_top, order) {
        static const struct {
                const char *sort;
                bool reverse;
                const char *ids;
        } cases[] = {
                { "cpu", false, "badc" }, /* equals by id, the unknown last */
                { "cpu", true, "adbc" },
                { "memory", false, "adbc" }, /* 0 is known */
                { "memory", true, "bdac" },
                { "tenant", false, "abcd" },
                { "tenant", true, "dcba" },
                { "state", false, "cdba" },
                { "state", true, "abcd" },
                { "problems", false, "cabd" },
                { "problems", true, "abdc" },
                { "egress", false, "abcd" }, /* nobody's is known */
                { "egress", true, "abcd" },
        };
        Fixture fixture;

        fixture_init(&fixture);
        cr_assert_lt(fixture.n, sizeof("1234567"));
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char ids[8] = "";
                TopChoice choice;

                cr_assert_eq(top_choose(NULL, cases[i].sort, cases[i].reverse, &choice), 0);
                cr_assert_eq(top_rows_sort(fixture.rows, fixture.n, &choice), 0);
                for (size_t k = 0; k < fixture.n; k++)
                        ids[k] = fixture.rows[k].id[0];
                cr_expect_str_eq(ids, cases[i].ids, "%s%s: %s", cases[i].sort,
                                cases[i].reverse ? ", reversed" : "", ids);
        }
        fixture_deinit(&fixture);
}

/* The objects are read again where tenants came or went. */
Test(ctl_top, stale) {
        static const struct {
                const char *name, *tenants;
                bool stale;
        } cases[] = {
                { "the same", "{\"d\": {}, \"c\": {}, \"b\": {}, \"a\": {}}", false },
                { "one went", "{\"a\": {}, \"b\": {}, \"c\": {}}", true },
                { "one came", "{\"a\": {}, \"b\": {}, \"c\": {}, \"d\": {}, \"e\": {}}", true },
                { "one for another", "{\"a\": {}, \"b\": {}, \"c\": {}, \"e\": {}}", true },
                { "nobody", "{}", true },
        };
        Fixture fixture;

        fixture_init(&fixture);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_snapshot_ Snapshot snapshot = snap(1, cases[i].tenants, NULL);

                cr_expect_eq(top_standing_is_stale(&fixture.standing, &snapshot), cases[i].stale, "%s",
                                cases[i].name);
        }
        fixture_deinit(&fixture);
}

/* The one row that a tenant has in the view, without its heading. */
static void expect_row(
                const char *view, const char *tenant, const char *before, const char *now, const char *want) {
        /* Another's, and one that is over, are not told of it. */
        static const char allocations[] =
                        "[{\"AllocationId\": \"a\", \"TenantId\": \"web\", \"State\": \"active\"}, "
                        "{\"AllocationId\": \"b\", \"TenantId\": \"web\", \"State\": \"held\"}, "
                        "{\"AllocationId\": \"c\", \"TenantId\": \"db\", \"State\": \"active\"}, "
                        "{\"AllocationId\": \"d\", \"TenantId\": \"web\", \"State\": \"ended\"}, "
                        "{\"AllocationId\": \"e\", \"TenantId\": \"web\", \"State\": \"active\"}]";
        static const char delivered[] = "{\"a\": {\"cpu.wanted\": 600, \"cpu.denied\": 200}, "
                                        "\"d\": {\"cpu.wanted\": 9, \"cpu.denied\": 9}, "
                                        "\"c\": {\"cpu.wanted\": 9, \"cpu.denied\": 9}, "
                                        "\"b\": {\"observed\": 7, \"cpu.wanted\": 200, \"cpu.denied\": 100}, "
                                        "\"e\": {\"observed\": 7, \"cpu.denied\": 9}, "
                                        "\"f\": {\"cpu.wanted\": 9, \"cpu.denied\": 9}}";
        _cleanup_free_ char *tenants = NULL, *text = NULL;
        _cleanup_table_ Table *table = NULL;
        Fixture fixture = {
                .before = snap_one(1, before, NULL),
                .now = snap_one(1000001, now ?: "{}", delivered),
        };
        char *p, *q;
        TopChoice choice;

        cr_assert_gt(asprintf(&tenants, "[{\"TenantId\": \"web\", %s]", tenant + 1), 0);
        make_rows(&fixture, tenants, allocations);
        cr_assert_eq(top_choose(view, NULL, false, &choice), 0);
        cr_assert_eq(top_rows_table(fixture.rows, fixture.n, choice.view, &table), 0);
        cr_assert_eq(table_format_row(table, 0, /* color= */ false, &text), 0);
        fixture_deinit(&fixture);

        /* Widths are the table's own matter: one blank for any number. */
        for (p = q = text; *p; p++)
                if (*p != ' ' || p[1] != ' ')
                        *q++ = *p;
        *q = '\0';
        cr_expect_str_eq(text, want, "%s: %s", view, text);
}

Test(ctl_top, cells) {
        static const char before[] =
                        "{\"cpu.time\": 0, \"cpu.wait\": 0, \"cpu.switches\": 10, \"cpu.throttled\": 0, "
                        "\"io.read.bytes\": 0, \"io.write.operations\": 1, \"io.stall\": 0, "
                        "\"net.egress.bytes\": 0, \"net.egress.packets\": 0, "
                        "\"net.egress.drops\": 0, \"net.ingress.drops\": 1, \"memory.stall\": 0, "
                        "\"memory.faults\": 5, \"memory.reclaimed\": 0}";
        static const char now[] =
                        "{\"cpu.time\": 1500000000, \"cpu.wait\": 12000000, \"cpu.switches\": 1010, "
                        "\"cpu.throttled\": 1000000000, \"io.read.bytes\": 1572864, "
                        "\"io.write.operations\": 8, \"io.stall\": 250000000, \"net.egress.bytes\": 125000, "
                        "\"net.egress.packets\": 100, \"net.egress.drops\": 3, \"net.egress.backlog\": 2048, "
                        "\"net.tcp.sockets\": 12, \"net.tcp.established\": 9, "
                        "\"net.ingress.drops\": 5, \"net.ingress.backlog\": 4096, "
                        "\"memory.current\": 1048576, \"memory.peak\": 2097152, "
                        "\"memory.oom-kills\": 3, \"memory.stall\": 1000000, \"memory.faults\": 6, "
                        "\"memory.reclaimed\": 4096}";
        static const char tenant[] =
                        "{\"Effective\": {\"memory\": [0, 3145728], \"net.egress\": [1000, 2000], "
                        "\"net.egress@eth1\": [1000, 3000], \"net.ingress\": [0, 7000]}, \"Problems\": "
                        "[\"x\"]}";

        expect_row("overview", tenant, before, now, "web active 150.0 1.2 1MiB 3MiB 1Mbit - 1");
        expect_row("cpu", tenant, before, now, "web active 150.0 1.2 100.0 - 1000 - -");
        expect_row("memory", tenant, before, now, "web active 1MiB 3MiB 2MiB - 0.1 3 - - - - 1 - - 4KiB");
        expect_row("io", tenant, before, now, "web active 1.5MiB - - 7 - 25.0");
        expect_row("network", tenant, before, now,
                        "web active 1Mbit - 100 - 5kbit 7kbit - 3 - 2KiB 12 9 - - 4 - 4KiB");

        /* A first reading; nothing is read at all; no limit is none. */
        expect_row("overview", "{\"Effective\": {\"memory\": [0, \"max\"]}}", NULL, now,
                        "web active - - 1MiB max - - 0");
        expect_row("overview", "{\"Effective\": {\"memory\": [0, 0]}}", NULL, NULL,
                        "web active - - - - - - 0");
}

Test(ctl_top, promises) {
        static const struct {
                const char *name, *desired, *effective, *in_force, *promised[3];
        } cases[] = {
                { "all of it", "{\"cpu\": [500, 2000], \"memory\": [1048576, \"max\"]}",
                                "{\"cpu\": [500, 2000], \"memory\": [1048576, \"max\"]}", "yes",
                                { "500m/2", "1MiB/max", "-" } },
                { "nothing", "{}", "{}", "-", { "-", "-", "-" } },
                { "not read back", "{\"cpu\": [0, 2000], \"memory\": [0, 4096]}", "{\"cpu\": [0, 2000]}",
                                "not memory", { "0/2", "0B/4KiB", "-" } },
                { "otherwise", "{\"cpu\": [500, 2000]}", "{\"cpu\": [400, 2000]}", "not cpu",
                                { "500m/2", "-", "-" } },
                { "more than the limit", "{\"cpu\": [500, 2000]}", "{\"cpu\": [500, \"max\"]}", "not cpu",
                                { "500m/2", "-", "-" } },
                { "cut to pages", "{\"memory\": [0, 1048577]}", "{\"memory\": [0, 1048576]}", "yes",
                                { "-", "0B/1MiB", "-" } },
                { "less than pages are", "{\"memory\": [0, 1048576]}", "{\"memory\": [0, 983040]}",
                                "not memory", { "-", "0B/1MiB", "-" } },
                { "on two uplinks", "{\"net.egress\": [1000, 2000], \"net.egress@eth1\": [2000, 3000]}",
                                "{\"net.egress\": [1000, 2000], \"net.egress@eth1\": [0, \"max\"]}",
                                "not net.egress@eth1", { "-", "-", "3kbit/5kbit" } },
                { "no end to one of them", "{\"net.egress\": [0, 8], \"net.egress@eth1\": [0, \"max\"]}",
                                "{}", "not net.egress, net.egress@eth1", { "-", "-", "0bit/max" } },
                { "of another view", "{\"tasks\": [0, 10]}", "{}", "-", { "-", "-", "-" } },
        };
        static const char before[] = "{\"cpu.time\": 0, \"cpu.wait\": 0, \"net.egress.bytes\": 0}";
        static const char now[] = "{\"cpu.time\": 1500000000, \"cpu.wait\": 20000000, "
                                  "\"memory.current\": 1024, \"net.egress.bytes\": 1000}";

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char tenant[256], want[256];

                snprintf(tenant, sizeof(tenant), "{\"Desired\": %s, \"Effective\": %s}", cases[i].desired,
                                cases[i].effective);
                snprintf(want, sizeof(want), "web active %s 0 2.0 37.5 1500m %s 1KiB %s 8kbit %s",
                                cases[i].in_force, cases[i].promised[0], cases[i].promised[1],
                                cases[i].promised[2]);
                expect_row("promises", tenant, before, now, want);
        }
}

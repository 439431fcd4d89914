/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What people see: units, tables, rates, and what a D-Bus error is told as. */

#include "headgatectl/bus-error.h"
#include "headgatectl/check-words.h"
#include "headgatectl/table.h"
#include "headgatectl/units.h"
#include "headgatectl/variant.h"
#include "headgatectl/view.h"
#include "headgatectl/waits.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

Test(ctl_output, units) {
        static const struct {
                char *(*format)(uint64_t value, char *ret);
                uint64_t value;
                const char *text;
        } cases[] = {
                { units_format_millicores, 0, "0" },
                { units_format_millicores, 2000, "2" },
                { units_format_millicores, 1500, "1500m" },
                { units_format_millicores, UINT64_MAX, "max" },
                { units_format_bytes, 0, "0B" },
                { units_format_bytes, 1023, "1023B" },
                { units_format_bytes, 1024, "1KiB" },
                { units_format_bytes, 512 << 20, "512MiB" },
                { units_format_bytes, 3ULL << 29, "1.5GiB" },
                { units_format_bytes, (1ULL << 30) - 1,
                                "1023.9MiB" }, /* never rounded up to what it is not */
                { units_format_bytes, UINT64_MAX - 1, "15.9EiB" },
                { units_format_bytes, UINT64_MAX, "max" },
                { units_format_bps, 8, "8bit" },
                { units_format_bps, 100000000, "100Mbit" },
                { units_format_bps, 2500000000, "2.5Gbit" },
                { units_format_bps, UINT64_MAX, "max" },
                { units_format_usec, 0, "0s" },
                { units_format_usec, 999, "999us" },
                { units_format_usec, 250000, "250ms" },
                { units_format_usec, 1500000, "1.5s" },
                { units_format_usec, 59999999, "59.9s" },
                { units_format_usec, 60000000, "1m" },
                { units_format_usec, 90000000, "1m30s" },
                { units_format_usec, 3600000000, "1h" },
                { units_format_usec, 183600000000, "2d3h" },
                { units_format_usec, UINT64_MAX, "max" },
        };
        char text[UNITS_SIZE];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                cr_expect_str_eq(cases[i].format(cases[i].value, text), cases[i].text, "%s, expected %s",
                                text, cases[i].text);
}

Test(ctl_output, times) {
        static const struct {
                const char *zone;
                uint64_t usec;
                const char *text;
        } cases[] = {
                { "UTC0", 1795341600000000, "2026-11-22T10:00:00+00:00" },
                { "CST-8", 1795341600999999, "2026-11-22T18:00:00+08:00" },
                { "NST3:30", 1795341600000000, "2026-11-22T06:30:00-03:30" },
                { "UTC0", 0, "-" },
                { "UTC0", UINT64_MAX, "never" },
        };
        char text[UNITS_SIZE];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                setenv("TZ", cases[i].zone, /* overwrite= */ 1);
                tzset();
                cr_expect_str_eq(units_format_time(cases[i].usec, text), cases[i].text, "%s, expected %s",
                                text, cases[i].text);
        }
}

Test(ctl_output, times_near_the_present) {
        static const uint64_t now = 1795341600000000; /* 2026-11-22T10:00:00Z */
        static const struct {
                const char *zone;
                uint64_t usec;
                const char *near, *second;
        } cases[] = {
                { "UTC0", now + 3600000000, "11:00", "11:00:00" },
                { "UTC0", now + 3607000000, "11:00:07", "11:00:07" },
                { "UTC0", now + 14 * 3600000000ULL, "2026-11-23 00:00", "2026-11-23 00:00:00" },
                { "CST-8", now + 6 * 3600000000ULL, "2026-11-23 00:00", "2026-11-23 00:00:00" },
                { "CST-8", now - 18 * 3600000000ULL, "00:00", "00:00:00" },
                { "UTC0", now - 365 * 86400000000ULL, "2025-11-22 10:00", "2025-11-22 10:00:00" },
        };
        char text[UNITS_SIZE];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                setenv("TZ", cases[i].zone, /* overwrite= */ 1);
                tzset();
                cr_expect_str_eq(units_format_near(cases[i].usec, now, text), cases[i].near,
                                "%s, expected %s", text, cases[i].near);
                cr_expect_str_eq(units_format_second(cases[i].usec, now, text), cases[i].second,
                                "%s, expected %s", text, cases[i].second);
        }
}

/* At 14:55 local time. */
Test(ctl_output, counter_offers) {
        static const struct {
                const char *check, *words; /* NULL: nothing to say */
        } cases[] = {
                { "{'AllocationId': 'web-1', 'Fits': true, 'Reason': '', 'Missing': {}}", NULL },
                { "{'AllocationId': 'web-1', 'Fits': true, 'Missing': {}, 'Preempts': []}", NULL },
                { "{'AllocationId': 'web-2', 'Fits': true, 'Preempts': ['a', 'b']}",
                                "web-2 fits, by preempting a, b." },
                { "{'AllocationId': 'web-1', 'Fits': false, 'Reason': 'r', 'Missing': {'cpu': [4000, 2100]},"
                  " 'MissingFrom': 1795359600000000, 'MissingUntil': 1795366800000000,"
                  " 'EarliestStart': 1795366800000000}",
                                "web-1 does not fit: cpu 4 wanted, 2100m free, from 15:00 to 17:00. It would "
                                "fit "
                                "from 17:00:00 (in 2h5m)." },
                { "{'AllocationId': 'web-1', 'Fits': false, 'Missing': {'cpu': [4000, 0], 'memory': [2048, "
                  "1024]},"
                  " 'MissingFrom': 1795359300000000, 'MissingUntil': 'max'}",
                                "web-1 does not fit: cpu 4 wanted, 0 free; memory 2KiB wanted, 1KiB free, "
                                "from "
                                "now on. No start was found at which it would fit." },
                /* What is offered is never earlier than what was found. */
                { "{'AllocationId': 'web-1', 'Fits': false, 'Missing': {'cpu': [4000, 0]},"
                  " 'EarliestStart': 1795449600000001}",
                                "web-1 does not fit: cpu 4 wanted, 0 free. It would fit from "
                                "2026-11-23 16:00:01 (in 1d1h)." },
                { "{'AllocationId': 'web-1', 'Fits': false, 'Missing': {'cpu': [4000, 0]},"
                  " 'EarliestStart': 1795449600000000, 'Preempts': ['a']}",
                                "web-1 does not fit: cpu 4 wanted, 0 free. It would fit from "
                                "2026-11-23 16:00:00 (in 1d1h). That would preempt a." },
                { "{'AllocationId': 'web-1', 'Fits': false, 'Reason': 'the node is draining', 'Missing': {}}",
                                "web-1 does not fit: the node is draining." },
                { "{'Fits': false, 'Reason': 'AllocationId is missing', 'Missing': {}}",
                                "A request without an id does not fit: AllocationId is missing." },
                { "{'AllocationId': '\\u001b[2J', 'Fits': false}",
                                "?[2J does not fit: headgated does not say why." },
        };

        setenv("TZ", "UTC0", /* overwrite= */ 1);
        tzset();
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *text = strdup(cases[i].check), *words = NULL;
                _cleanup_json_ json_t *check = NULL;

                for (char *p = text; (p = strchr(p, '\'')); p++)
                        *p = '"';
                check = json_loads(text, 0, NULL);
                cr_assert(check, "%s", text);
                cr_assert_eq(check_words_format(check, 1795359300000000, &words), 0);
                if (cases[i].words)
                        cr_expect(words && strcmp(words, cases[i].words) == 0, "%s: %s", text, words ?: "-");
                else
                        cr_expect_null(words, "%s: %s", text, words);
        }
}

Test(ctl_output, states) {
        static const struct {
                const char *states[3], *tenant;
        } cases[] = {
                { { NULL }, "residual" },
                { { "pending", "ended", "ending" }, "residual" },
                { { "preempted" }, "residual" },
                { { "active" }, "active" },
                { { "held" }, "active" }, /* its lease is over, its share is not */
                { { "suspended" }, "suspended" },
                { { "suspended", "pending" }, "suspended" },
                { { "suspended", "held" }, "active" },
        };
        static const struct {
                const char *state;
                TableStyle style;
        } styles[] = {
                { "ok", TABLE_GOOD },
                { "active", TABLE_GOOD },
                { "draining", TABLE_WARNING },
                { "held", TABLE_WARNING },
                { "suspended", TABLE_WARNING },
                { "preempted", TABLE_BAD },
                { "failed", TABLE_BAD },
                { "degraded", TABLE_BAD },
                { "pending", TABLE_PLAIN },
                { "from a later version", TABLE_PLAIN },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_json_ json_t *list = json_pack("[{ssss}]", "TenantId", "other", "State", "active"),
                                      *by_tenant = NULL;

                for (size_t j = 0; j < ELEMENTSOF(cases[i].states) && cases[i].states[j]; j++)
                        json_array_append_new(list,
                                        json_pack("{ssss}", "TenantId", "web", "State", cases[i].states[j]));
                by_tenant = view_by_tenant(list);
                cr_expect_str_eq(view_tenant_state(json_object_get(by_tenant, "web")), cases[i].tenant,
                                "case %zu", i);
                cr_expect_str_eq(view_tenant_state(json_object_get(by_tenant, "other")), "active");
        }

        for (size_t i = 0; i < ELEMENTSOF(styles); i++)
                cr_expect_eq(view_state_style(styles[i].state), styles[i].style, "%s", styles[i].state);

        cr_expect(view_node_is_sound("ok") && view_node_is_sound("draining"));
        cr_expect_not(view_node_is_sound("degraded") || view_node_is_sound(""));
}

Test(ctl_output, by_name) {
        char text[UNITS_SIZE];

        cr_expect_str_eq(units_format_resource("cpu", 2500, text), "2500m");
        cr_expect_str_eq(units_format_resource("net.egress@eth1", 1000000, text), "1Mbit");
        cr_expect_str_eq(units_format_resource("memory", 4096, text), "4KiB");
        cr_expect_str_eq(units_format_resource("io.read@8:0", 4096, text), "4KiB");
        cr_expect_str_eq(units_format_resource("iops.read", 4096, text), "4096");
        cr_expect_str_eq(units_format_resource("tasks", 512, text), "512");
        cr_expect_str_eq(units_format_resource("from.a.later.version", 512, text), "512");
        cr_expect_str_eq(units_format_metric("cpu.time", 90000000000, text), "1m30s");
        cr_expect_str_eq(units_format_metric("memory.current", 4096, text), "4KiB");
        cr_expect_str_eq(units_format_metric("from.a.later.version", 4096, text), "4096");
}

Test(ctl_output, bars) {
        char text[UNITS_SIZE];

        cr_expect_str_eq(units_format_bar(0, 0, text), "[--------------------]");
        cr_expect_str_eq(units_format_bar(1, 4, text), "[#####---------------]");
        cr_expect_str_eq(units_format_bar(999, 1000, text), "[###################-]");
        cr_expect_str_eq(units_format_bar(5, 4, text), "[####################]");
}

static char *print(const Table *table, bool legend, bool color) {
        size_t size;
        char *text = NULL;
        FILE *f = open_memstream(&text, &size);

        cr_assert_eq(table_print(table, f, "  ", legend, color), 0);
        fclose(f);
        return text;
}

Test(ctl_output, waits_are_told_once_there_are_any) {
        static const struct {
                size_t n;        /* buckets */
                uint64_t counts; /* of the second */
                const char *text;
        } cases[] = {
                { 24, 1000, "half of them below 1.5µs, 99 % below 2.0µs" },
                { 24, 0, NULL },
                { 23, 4, NULL },
                { 0, 0, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_json_ json_t *buckets = json_array();
                char text[WAITS_SIZE] = "";

                for (size_t k = 0; k < cases[i].n; k++)
                        json_array_append_new(buckets, variant_u64_new(k == 1 ? cases[i].counts : 0));
                cr_expect_eq(waits_format(buckets, text), cases[i].text != NULL, "case %zu", i);
                cr_expect_str_eq(text, cases[i].text ?: "", "case %zu: %s", i, text);
        }
}

Test(ctl_output, a_table_is_aligned_and_harmless) {
        static const char *const titles[] = { "NAME", ">N", "", NULL };
        _cleanup_free_ char *plain = NULL, *bare = NULL, *colored = NULL;
        _cleanup_table_ Table *table = NULL;

        cr_assert_eq(table_new(titles, &table), 0);
        table_add(table, "a");
        table_addf(table, "%d", 1);
        table_add(table, "");
        table_add(table, "żółw"); /* four characters, seven bytes */
        table_addf(table, "%d", 1000);
        table_add_styled(table, TABLE_BAD, "\033[2J\n\302\233x");
        cr_expect_eq(table_rows(table), 2);

        plain = print(table, /* legend= */ true, /* color= */ false);
        cr_expect_str_eq(plain,
                        "  NAME     N\n"
                        "  a        1\n"
                        "  żółw  1000  ?[2J???x\n",
                        "%s", plain);

        bare = print(table, /* legend= */ false, /* color= */ false);
        cr_expect_str_eq(bare, strchr(plain, '\n') + 1, "%s", bare);

        colored = print(table, /* legend= */ false, /* color= */ true);
        cr_expect_str_eq(colored,
                        "  a        1\n"
                        "  żółw  1000  \033[1;31m?[2J???x\033[0m\n",
                        "%s", colored);
}

Test(ctl_output, a_narrow_table_drops_columns_from_the_right) {
        static const char *const titles[] = { "NAME", ">NUMBER", "LAST", NULL };
        static const struct {
                size_t width;
                const char *text;
        } cases[] = {
                { 18, "  NAME  NUMBER  LAST\n  ab         1  cdef\n" }, /* the indent is not the table's */
                { 17, "  NAME  NUMBER\n  ab         1\n" }, { 12, "  NAME  NUMBER\n  ab         1\n" },
                { 11, "  NAME\n  ab\n" }, { 0, "  NAME\n  ab\n" },
                { 1000, "  NAME  NUMBER  LAST\n  ab         1  cdef\n" }, /* they come back */
        };
        _cleanup_table_ Table *table = NULL;

        cr_assert_eq(table_new(titles, &table), 0);
        table_add(table, "ab");
        table_addf(table, "%d", 1);
        table_add(table, "cdef");

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *text = NULL;

                table_narrow(table, cases[i].width);
                text = print(table, /* legend= */ true, /* color= */ false);
                cr_expect_str_eq(text, cases[i].text, "%zu wide:\n%s", cases[i].width, text);
        }
}

Test(ctl_output, errors) {
        static const struct {
                const char *name, *message;
                int error;
                CtlExit exit;
                const char *sentence;
        } cases[] = {
                { "org.headgate.Error.InvalidAllocation", "a: EndTime 1 is before StartTime 2", 0, CTL_FAILED,
                                "a: EndTime 1 is before StartTime 2" },
                { "org.headgate.Error.StaleGeneration", "m", 0, CTL_FAILED, "m" },
                { "org.headgate.Error.NoSuchTenant", "no tenant 'x'", 0, CTL_NOT_FOUND,
                                "no tenant 'x' ('headgatectl list' names what there is)" },
                { "org.headgate.Error.NoSuchProcess", "m", 0, CTL_NOT_FOUND, "m" },
                { "org.headgate.Error.Draining", "node-7 takes no new allocations", 0, CTL_FAILED,
                                "node-7 takes no new allocations ('headgatectl status' says why; "
                                "'headgatectl resume' ends it)" },
                { "org.headgate.Error.AccessDenied", "m", 0, CTL_DENIED, "m" },
                { "org.freedesktop.DBus.Error.AccessDenied", "m", 0, CTL_DENIED,
                                "access denied on the system bus: m (try as root, or as a member of the "
                                "group headgate)" },
                { "org.freedesktop.DBus.Error.ServiceUnknown", "The name is not activatable", 0, CTL_FAILED,
                                "cannot reach headgated on the system bus: The name is not activatable (is "
                                "headgated.service running?)" },
                { NULL, NULL, -ENOENT, CTL_FAILED,
                                "cannot reach headgated on the system bus: No such file or directory (is "
                                "headgated.service running?)" },
                { NULL, NULL, -ECONNREFUSED, CTL_FAILED,
                                "cannot reach headgated on the system bus: Connection refused (is "
                                "headgated.service "
                                "running?)" },
                { NULL, NULL, -EACCES, CTL_DENIED,
                                "access denied on the system bus: Permission denied (try as root, or as a "
                                "member of the "
                                "group headgate)" },
                { "com.example.Other", "m", 0, CTL_FAILED, "m" },
                { "com.example.Other", NULL, 0, CTL_FAILED, "com.example.Other" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                sd_bus_error error = SD_BUS_ERROR_MAKE_CONST(cases[i].name, cases[i].message);
                _cleanup_free_ char *sentence = NULL;

                cr_expect_eq(bus_error_explain(&error, cases[i].error, "the system bus", &sentence),
                                cases[i].exit, "%zu", i);
                cr_expect_str_eq(sentence, cases[i].sentence, "%s", sentence);
        }
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "waits.h"

#include "model/histogram.h"
#include "model/sample.h"
#include "units.h"
#include "view.h"

#include <inttypes.h>

static bool read_histogram(const json_t *buckets, Histogram *ret) {
        Histogram histogram = {};

        if (json_array_size(buckets) != HISTOGRAM_BUCKETS)
                return false;
        for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
                histogram.bucket[i] = variant_u64_value(json_array_get(buckets, i));
        *ret = histogram;
        return true;
}

/* "16.4µs": as long as a wait is, coarser than a counter. */
static char *format_nsec(uint64_t nsec, char *ret) {
        static const struct {
                uint64_t nsec;
                const char *unit;
        } units[] = { { 1000000000, "s" }, { 1000000, "ms" }, { 1000, "µs" } };

        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (nsec >= units[i].nsec) {
                        snprintf(ret, UNITS_SIZE, "%" PRIu64 ".%" PRIu64 "%s", nsec / units[i].nsec,
                                        nsec % units[i].nsec * 10 / units[i].nsec, units[i].unit);
                        return ret;
                }
        snprintf(ret, UNITS_SIZE, "%" PRIu64 "ns", nsec);
        return ret;
}

bool waits_format(const json_t *buckets, char *ret) {
        char p50[UNITS_SIZE], p99[UNITS_SIZE];
        Histogram histogram;

        if (!read_histogram(buckets, &histogram) || histogram_count(&histogram) == 0)
                return false;
        snprintf(ret, WAITS_SIZE, "half of them below %s, 99 %% below %s",
                        format_nsec(histogram_quantile_nsec(&histogram, 500), p50),
                        format_nsec(histogram_quantile_nsec(&histogram, 990), p99));
        return true;
}

/* The rows between the first and the last that is not empty. */
static int print_buckets(const Ctl *ctl, const char *title, const Histogram *histogram) {
        const char *const titles[] = { title, ">TIMES", "", NULL };
        _cleanup_table_ Table *table = NULL;
        size_t first = 0, last = HISTOGRAM_BUCKETS;
        uint64_t most = 0;
        int r;

        for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
                most = histogram->bucket[i] > most ? histogram->bucket[i] : most;
        while (first < last && histogram->bucket[first] == 0)
                first++;
        while (last > first && histogram->bucket[last - 1] == 0)
                last--;
        r = table_new(titles, &table);
        if (r < 0)
                return ctl_fail_errno(r, "cannot print a table");
        for (size_t i = first; i < last; i++) {
                uint64_t bound = histogram_bound_nsec(i);
                char text[UNITS_SIZE];

                table_add(table, bound == UINT64_MAX ? "longer" : format_nsec(bound, text));
                table_addf(table, "%" PRIu64, histogram->bucket[i]);
                table_add(table, units_format_bar(histogram->bucket[i], most, text));
        }
        return table_rows(table) > 0 ? view_table(ctl, table, "") : CTL_OK;
}

/* They name other tenants: a tenant's own users are not told them. */
static int print_culprits(const Ctl *ctl, Client *client, const char *tenant_id) {
        static const char *const titles[] = { "WAITED FOR", ">TIME", ">SHARE", NULL };
        _cleanup_table_ Table *table = NULL;
        _cleanup_json_ json_t *culprits = NULL;
        uint64_t all = 0;
        const char *name;
        json_t *nsec;
        int r;

        client->keep = true;
        r = client_ask(client, "Culprits", &culprits, "s", tenant_id);
        client->keep = false;
        if (r == CTL_DENIED)
                return CTL_OK;
        if (r != 0)
                return ctl_fail(r, "%s", client->kept);
        json_object_foreach (culprits, name, nsec)
                all += variant_u64_value(nsec);
        r = table_new(titles, &table);
        if (r < 0)
                return ctl_fail_errno(r, "cannot print a table");
        json_object_foreach (culprits, name, nsec) {
                uint64_t value = variant_u64_value(nsec);
                char text[UNITS_SIZE];

                table_add(table, strcmp(name, tenant_id) == 0 ? "itself" : name);
                table_add(table, format_nsec(value, text));
                table_addf(table, "%.1f%%", all > 0 ? 100.0 * (double) value / (double) all : 0.0);
        }
        if (table_rows(table) == 0)
                return CTL_OK;
        putchar('\n');
        return view_table(ctl, table, "");
}

/* "io.read.latency@8:0": what it is of. */
static int print_latencies(const Ctl *ctl, const json_t *histograms) {
        static const char *const prefixes[] = { "io.read.latency@", "io.write.latency@" };
        const char *name;
        json_t *buckets;
        int r = CTL_OK;

        json_object_foreach ((json_t *) histograms, name, buckets)
                for (size_t i = 0; r == CTL_OK && i < ELEMENTSOF(prefixes); i++) {
                        char title[64], words[WAITS_SIZE];
                        Histogram histogram;

                        if (strncmp(name, prefixes[i], strlen(prefixes[i])) != 0 ||
                                        !read_histogram(buckets, &histogram) || !waits_format(buckets, words))
                                continue;
                        snprintf(title, sizeof(title), ">%s BELOW", i == 0 ? "READ" : "WRITE");
                        putchar('\n');
                        r = print_buckets(ctl, title, &histogram);
                        if (r == CTL_OK)
                                printf("%s %s: %s.\n", i == 0 ? "Reads from" : "Writes to",
                                                name + strlen(prefixes[i]), words);
                }
        return r;
}

int waits_print(const Ctl *ctl, Client *client, const json_t *tenant) {
        static const struct {
                const char *title, *what, *none;
        } words[DURATION_MAX] = {
                [DURATION_CPU_WAIT] = { ">WAIT BELOW", "waits",
                                "Waits are not told apart: the node meters at the basic level, or cannot." },
                [DURATION_NET_TCP_RTT] = { ">RTT BELOW", "round trips",
                                "Round trips are not metered: the node meters at the basic level, or "
                                "cannot." },
                [DURATION_NET_EGRESS_DELAY] = { ">DELAY BELOW", "packets' delays", NULL },
        };
        const json_t *histograms = json_object_get(tenant, "Histograms");
        int r = CTL_OK;

        for (Duration duration = 0; r == CTL_OK && duration < DURATION_MAX; duration++) {
                char p50[UNITS_SIZE], p99[UNITS_SIZE];
                Histogram histogram;

                bool known = read_histogram(
                                json_object_get(histograms, duration_info(duration)->name), &histogram);

                if (known || words[duration].none)
                        putchar('\n');
                if (!known) {
                        if (words[duration].none)
                                puts(words[duration].none);
                        continue;
                }
                if (histogram_count(&histogram) == 0) {
                        printf("No %s yet.\n", words[duration].what);
                        continue;
                }
                r = print_buckets(ctl, words[duration].title, &histogram);
                if (r != CTL_OK)
                        break;
                printf("Half of all %s are below %s, 99 %% below %s.\n", words[duration].what,
                                format_nsec(histogram_quantile_nsec(&histogram, 500), p50),
                                format_nsec(histogram_quantile_nsec(&histogram, 990), p99));
                if (duration == DURATION_CPU_WAIT)
                        r = print_culprits(ctl, client, variant_get_string(tenant, "TenantId"));
        }
        return r == CTL_OK ? print_latencies(ctl, histograms) : r;
}

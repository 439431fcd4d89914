/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Reads the text as it goes. A tree of it would be, of a thousand tenants, eighty thousand values of some
 * hundred bytes each, most of them histograms that nobody looks at here: ten times what this takes. What it
 * does not look for it steps over, brackets and strings in their order, and does not judge.
 */

#include "snapshot.h"

#include <stdlib.h>

typedef struct Scan {
        const char *p, *end;
} Scan;

static bool is_blank(char c) {
        return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* The next that is no blank, '\0' at the end. */
static char peek(Scan *scan) {
        while (scan->p < scan->end && is_blank(*scan->p))
                scan->p++;
        return scan->p < scan->end ? *scan->p : '\0';
}

static bool take(Scan *scan, char c) {
        if (peek(scan) != c)
                return false;
        scan->p++;
        return true;
}

/* What is between the quotes, as it is written: with an escape in it, it is no name that we look for. */
static int take_string(Scan *scan, const char **ret, size_t *ret_n) {
        const char *from, *quote;

        if (!take(scan, '"'))
                return -EBADMSG;
        from = scan->p;
        for (const char *p = from; (quote = memchr(p, '"', (size_t) (scan->end - p))); p = quote + 1) {
                const char *escape = quote;

                while (escape > from && escape[-1] == '\\')
                        escape--;
                if ((quote - escape) % 2 != 0)
                        continue;
                *ret = from;
                *ret_n = (size_t) (quote - from);
                scan->p = quote + 1;
                return 0;
        }
        return -EBADMSG;
}

/* A number, or a word. */
static int skip_word(Scan *scan) {
        const char *from = scan->p;

        while (scan->p < scan->end && !is_blank(*scan->p) && !strchr(",:[]{}\"", *scan->p))
                scan->p++;
        return scan->p > from ? 0 : -EBADMSG;
}

static int skip_value(Scan *scan) {
        size_t depth = 0, n;
        const char *string;
        int r;

        do {
                r = 0;
                switch (peek(scan)) {
                case '[':
                case '{':
                        depth++;
                        scan->p++;
                        break;
                case ']':
                case '}':
                        if (depth-- == 0)
                                return -EBADMSG;
                        scan->p++;
                        break;
                case ',':
                case ':':
                        if (depth == 0)
                                return -EBADMSG;
                        scan->p++;
                        break;
                case '"':
                        r = take_string(scan, &string, &n);
                        break;
                default: /* '\0' too */
                        r = skip_word(scan);
                }
        } while (r == 0 && depth > 0);

        return r;
}

/* 1 where it is a whole number; else it is stepped over. One that is too large stops at the largest. */
static int take_number(Scan *scan, uint64_t *ret) {
        uint64_t value = 0;
        const char *from;
        int r;

        (void) peek(scan);
        for (from = scan->p; scan->p < scan->end && *scan->p >= '0' && *scan->p <= '9'; scan->p++) {
                const uint64_t digit = (uint64_t) (*scan->p - '0');

                value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : 10 * value + digit;
        }
        if (scan->p == from || (peek(scan) != ',' && peek(scan) != '}')) {
                scan->p = from;
                r = skip_value(scan);
                return r < 0 ? r : 0;
        }

        *ret = value;
        return 1;
}

/* An object's next member: 1 with its name, behind which its value is; 0 at the end. `any`: one was before.
 */
static int next_member(Scan *scan, bool *any, const char **ret_name, size_t *ret_n) {
        int r;

        if (take(scan, '}'))
                return 0;
        if (*any && !take(scan, ','))
                return -EBADMSG;
        *any = true;
        r = take_string(scan, ret_name, ret_n);
        if (r < 0)
                return r;
        return take(scan, ':') ? 1 : -EBADMSG;
}

static bool is_name(const char *name, size_t n, const char *wanted) {
        return strncmp(wanted, name, n) == 0 && wanted[n] == '\0';
}

/* They come in the table's order, from `expected` on. What is of one uplink, or of one device, is none. */
static Metric find_metric(const char *name, size_t n, Metric expected) {
        for (int i = 0; i < METRIC_MAX && !memchr(name, '@', n); i++) {
                const Metric metric = (Metric) ((expected + i) % METRIC_MAX);

                if (is_name(name, n, metric_info(metric)->name))
                        return metric;
        }
        return METRIC_INVALID;
}

static int read_sample(Scan *scan, Sample *sample) {
        Metric expected = 0;
        const char *name;
        bool any = false;
        size_t n;
        int r;

        if (!take(scan, '{'))
                return -EBADMSG;
        while ((r = next_member(scan, &any, &name, &n)) > 0) {
                Metric metric = METRIC_INVALID;
                uint64_t value;

                if (peek(scan) >= '0' && peek(scan) <= '9')
                        metric = find_metric(name, n, expected);
                r = metric < 0 ? skip_value(scan) : take_number(scan, &value);
                if (r < 0)
                        return r;
                if (r == 0)
                        continue;
                sample_put(sample, metric, value);
                expected = metric + 1;
        }
        return r;
}

static int read_delivered(Scan *scan, SnapshotDelivered *delivered) {
        const char *name;
        bool any = false;
        size_t n;
        int r;

        if (!take(scan, '{'))
                return -EBADMSG;
        while ((r = next_member(scan, &any, &name, &n)) > 0) {
                const bool is_wanted = is_name(name, n, "cpu.wanted");

                if (is_wanted || is_name(name, n, "cpu.denied"))
                        r = take_number(scan, is_wanted ? &delivered->wanted_nsec : &delivered->denied_nsec);
                else
                        r = skip_value(scan);
                if (r < 0)
                        return r;
                delivered->has_wanted |= is_wanted && r > 0;
        }
        return r;
}

/* The array of n with room for one more: it has as much as the next power of two. NULL: no memory, and it is
 * as it was. */
static void *grow(void *array, size_t n, size_t size) {
        return n > 0 && (n & (n - 1)) != 0 ? array : reallocarray(array, n > 0 ? 2 * n : 1, size);
}

/* NULL: no memory. */
static SnapshotUsage *add_usage(Snapshot *snapshot, const char *id, size_t n) {
        SnapshotUsage *list = grow(snapshot->usage, snapshot->n_usage, sizeof(*list)), *usage;

        if (!list)
                return NULL;
        snapshot->usage = list;
        usage = &list[snapshot->n_usage];
        usage->id = strndup(id, n);
        if (!usage->id)
                return NULL;
        sample_begin(&usage->sample);
        snapshot->n_usage++;
        return usage;
}

static SnapshotDelivered *add_delivered(Snapshot *snapshot, const char *id, size_t n) {
        SnapshotDelivered *list = grow(snapshot->delivered, snapshot->n_delivered, sizeof(*list)), *delivered;

        if (!list)
                return NULL;
        snapshot->delivered = list;
        delivered = &list[snapshot->n_delivered];
        *delivered = (SnapshotDelivered){ .id = strndup(id, n) };
        if (!delivered->id)
                return NULL;
        snapshot->n_delivered++;
        return delivered;
}

static int read_tenants(Scan *scan, Snapshot *snapshot) {
        const char *name;
        bool any = false;
        size_t n;
        int r;

        if (!take(scan, '{'))
                return -EBADMSG;
        while ((r = next_member(scan, &any, &name, &n)) > 0) {
                SnapshotUsage *usage = add_usage(snapshot, name, n);

                r = usage ? read_sample(scan, &usage->sample) : -ENOMEM;
                if (r < 0)
                        return r;
        }
        return r;
}

static int read_allocations(Scan *scan, Snapshot *snapshot) {
        const char *name;
        bool any = false;
        size_t n;
        int r;

        if (!take(scan, '{'))
                return -EBADMSG;
        while ((r = next_member(scan, &any, &name, &n)) > 0) {
                SnapshotDelivered *delivered = add_delivered(snapshot, name, n);

                r = delivered ? read_delivered(scan, delivered) : -ENOMEM;
                if (r < 0)
                        return r;
        }
        return r;
}

static int read_snapshot(Scan *scan, Snapshot *snapshot) {
        const char *name;
        bool any = false;
        size_t n;
        int r;

        if (!take(scan, '{'))
                return -EBADMSG;
        while ((r = next_member(scan, &any, &name, &n)) > 0) {
                if (is_name(name, n, "Time"))
                        r = take_number(scan, &snapshot->time_usec);
                else if (is_name(name, n, "Tenants"))
                        r = read_tenants(scan, snapshot);
                else if (is_name(name, n, "Delivered"))
                        r = read_allocations(scan, snapshot);
                else
                        r = skip_value(scan);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : peek(scan) == '\0' && scan->p == scan->end ? 0 : -EBADMSG;
}

static int compare_usage(const void *a, const void *b) {
        return strcmp(((const SnapshotUsage *) a)->id, ((const SnapshotUsage *) b)->id);
}

int snapshot_parse(const char *text, size_t size, Snapshot *ret) {
        _cleanup_snapshot_ Snapshot snapshot = SNAPSHOT_NULL;
        Scan scan = { text, text + size };
        int r;

        r = read_snapshot(&scan, &snapshot);
        if (r < 0)
                return r;

        if (snapshot.n_usage > 0)
                qsort(snapshot.usage, snapshot.n_usage, sizeof(*snapshot.usage), compare_usage);
        *ret = snapshot;
        snapshot = (Snapshot) SNAPSHOT_NULL;
        return 0;
}

void snapshot_deinit(Snapshot *snapshot) {
        for (size_t i = 0; i < snapshot->n_usage; i++)
                free(snapshot->usage[i].id);
        for (size_t i = 0; i < snapshot->n_delivered; i++)
                free(snapshot->delivered[i].id);
        free(snapshot->usage);
        free(snapshot->delivered);
        *snapshot = (Snapshot) SNAPSHOT_NULL;
}

const Sample *snapshot_find(const Snapshot *snapshot, const char *tenant_id) {
        const SnapshotUsage key = { .id = (char *) tenant_id };
        const SnapshotUsage *found = NULL;

        if (snapshot->n_usage > 0)
                found = bsearch(&key, snapshot->usage, snapshot->n_usage, sizeof(key), compare_usage);
        return found ? &found->sample : NULL;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Counters are whole numbers: what is none is nothing that headgated prints. */
static bool get_number(const json_t *object, const char *name, uint64_t *ret) {
        const json_t *value = json_object_get(object, name);

        if (!json_is_integer(value) || json_integer_value(value) < 0)
                return false;
        *ret = (uint64_t) json_integer_value(value);
        return true;
}

static void read_sample(const json_t *counters, Sample *ret) {
        sample_begin(ret);
        for (Metric metric = 0; metric < METRIC_MAX; metric++) {
                uint64_t value;

                if (get_number(counters, metric_info(metric)->name, &value))
                        sample_put(ret, metric, value);
        }
}

static int read_tenants(json_t *tenants, Snapshot *snapshot) {
        const char *id;
        json_t *counters;

        snapshot->usage = calloc(json_object_size(tenants) + 1, sizeof(*snapshot->usage));
        if (!snapshot->usage)
                return -ENOMEM;
        json_object_foreach (tenants, id, counters) {
                SnapshotUsage *usage = &snapshot->usage[snapshot->n_usage];

                if (!json_is_object(counters))
                        return -EBADMSG;
                usage->id = strdup(id);
                if (!usage->id)
                        return -ENOMEM;
                snapshot->n_usage++;
                read_sample(counters, &usage->sample);
        }
        return 0;
}

static int read_delivered(json_t *allocations, Snapshot *snapshot) {
        const char *id;
        json_t *figures;

        snapshot->delivered = calloc(json_object_size(allocations) + 1, sizeof(*snapshot->delivered));
        if (!snapshot->delivered)
                return -ENOMEM;
        json_object_foreach (allocations, id, figures) {
                SnapshotDelivered *delivered = &snapshot->delivered[snapshot->n_delivered];

                if (!json_is_object(figures))
                        return -EBADMSG;
                delivered->id = strdup(id);
                if (!delivered->id)
                        return -ENOMEM;
                snapshot->n_delivered++;
                delivered->has_wanted = get_number(figures, "cpu.wanted", &delivered->wanted_nsec);
                (void) get_number(figures, "cpu.denied", &delivered->denied_nsec);
        }
        return 0;
}

static int read_snapshot(json_t *root, Snapshot *snapshot) {
        json_t *tenants = json_object_get(root, "Tenants"), *delivered = json_object_get(root, "Delivered");
        int r = 0;

        if (!json_is_object(root) || (tenants && !json_is_object(tenants)) ||
                        (delivered && !json_is_object(delivered)))
                return -EBADMSG;
        (void) get_number(root, "Time", &snapshot->time_usec);
        if (tenants)
                r = read_tenants(tenants, snapshot);
        if (r >= 0 && delivered)
                r = read_delivered(delivered, snapshot);
        return r;
}

static int compare_usage(const void *a, const void *b) {
        return strcmp(((const SnapshotUsage *) a)->id, ((const SnapshotUsage *) b)->id);
}

int snapshot_parse(const char *text, size_t size, Snapshot *ret) {
        _cleanup_snapshot_ Snapshot snapshot = SNAPSHOT_NULL;
        json_t *root = json_loadb(text, size, 0, NULL);
        int r;

        r = root ? read_snapshot(root, &snapshot) : -EBADMSG;
        json_decref(root);
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

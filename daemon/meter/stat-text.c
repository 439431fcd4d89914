/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/stat-text.h"
#include "util/cleanup.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NSEC_PER_USEC 1000ULL

typedef struct StatKey {
        const char *key;
        size_t length;
        Metric metric;
        bool pages; /* counted in pages */
} StatKey;

#define KEY(key, metric, pages) \
        { key, sizeof(key) - 1, metric, pages }
static const StatKey memory_keys[] = {
        KEY("anon", METRIC_MEMORY_ANON, false),
        KEY("file", METRIC_MEMORY_FILE, false),
        KEY("kernel", METRIC_MEMORY_KERNEL, false),
        KEY("pgfault", METRIC_MEMORY_FAULTS, false),
        KEY("pgmajfault", METRIC_MEMORY_MAJOR_FAULTS, false),
        KEY("workingset_refault_anon", METRIC_MEMORY_REFAULTS, false),
        KEY("workingset_refault_file", METRIC_MEMORY_REFAULTS, false),
        KEY("pgsteal", METRIC_MEMORY_RECLAIMED, true),
};

static const char *next_line(const char *line) {
        const char *end = strchr(line, '\n');

        return end ? end + 1 : line + strlen(line);
}

/* The number after `prefix`, which ends where a number may: false where the line has another. */
static bool parse_after(const char *text, const char *prefix, uint64_t *ret) {
        const size_t length = strlen(prefix);
        char *end;
        uint64_t value;

        if (strncmp(text, prefix, length) != 0 || !isdigit((unsigned char) text[length]))
                return false;
        errno = 0;
        value = strtoull(text + length, &end, 10);
        if (errno != 0 || !strchr(" \n", *end)) /* its NUL counts */
                return false;
        *ret = value;
        return true;
}

/* By its length first: there are some fifty lines, and most are of no key. */
static const StatKey *find_key(const char *line) {
        const char *end = strchr(line, ' ');

        for (size_t i = 0; end && i < ELEMENTSOF(memory_keys); i++)
                if (memory_keys[i].length == (size_t) (end - line) &&
                                memcmp(line, memory_keys[i].key, memory_keys[i].length) == 0)
                        return &memory_keys[i];
        return NULL;
}

void stat_text_add_memory(const char *text, uint64_t page_bytes, Sample *sum) {
        for (const char *line = text; *line; line = next_line(line)) {
                const StatKey *key = find_key(line);
                uint64_t value;

                if (key && parse_after(line + key->length, " ", &value))
                        sample_add(sum, key->metric, key->pages ? value * page_bytes : value);
        }
}

void stat_text_add_pressure(const char *text, Metric some, Metric full, Sample *sum) {
        for (const char *line = text; *line; line = next_line(line)) {
                const char *total = strstr(line, "total=");
                const Metric metric = strncmp(line, "some ", 5) == 0   ? some
                                      : strncmp(line, "full ", 5) == 0 ? full
                                                                       : METRIC_INVALID;
                uint64_t usec;

                if (metric != METRIC_INVALID && total && total < next_line(line) &&
                                parse_after(total, "total=", &usec))
                        sample_add(sum, metric, usec * NSEC_PER_USEC);
        }
}

static void parse_device(const char *fields, const char *end, StatDevice *device) {
        static const char *const keys[STAT_DEVICE_VALUES] = { "rbytes=", "wbytes=", "rios=", "wios=" };

        for (const char *field = fields; field && field < end; field = strchr(field + 1, ' ')) {
                uint64_t value;

                for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                        if (parse_after(field + 1, keys[i], &value))
                                device->value[i] = value;
        }
}

static void add_device(const StatDevice *device, Sample *sum) {
        for (size_t i = 0; i < STAT_DEVICE_VALUES; i++)
                sample_add(sum, METRIC_IO_READ_BYTES + (Metric) i, device->value[i]);
}

void stat_devices_deinit(StatDevices *devices) {
        free(devices->entries);
        *devices = (StatDevices){};
}

static bool devices_push(StatDevices *devices, const StatDevice *device) {
        StatDevice *entries = reallocarray(devices->entries, devices->n + 1, sizeof(*entries));

        if (!entries)
                return false;
        devices->entries = entries;
        entries[devices->n++] = *device;
        return true;
}

/* Goes on where it was: no counter of it fell. */
static bool goes_on(const StatDevice *device, const StatDevices *now) {
        for (size_t i = 0; i < now->n; i++) {
                const StatDevice *found = &now->entries[i];
                bool fell = false;

                if (found->major != device->major || found->minor != device->minor)
                        continue;
                for (size_t k = 0; k < STAT_DEVICE_VALUES; k++)
                        fell = fell || found->value[k] < device->value[k];
                return !fell;
        }
        return false;
}

void stat_text_add_io(const char *text, StatDeviceIsLayer is_layer, void *userdata, StatDevices *devices,
                Sample *sum, Sample *lost) {
        StatDevices now = {};
        bool remembered = true;

        for (Metric metric = METRIC_IO_READ_BYTES; metric <= METRIC_IO_WRITE_OPERATIONS; metric++)
                sample_add(sum, metric, 0);
        for (const char *line = text; *line; line = next_line(line)) {
                StatDevice device = {};
                int length = 0;

                if (sscanf(line, "%u:%u%n", &device.major, &device.minor, &length) != 2 ||
                                line[length] != ' ' ||
                                (is_layer && is_layer(device.major, device.minor, userdata)))
                        continue;
                parse_device(line + length, next_line(line), &device);
                add_device(&device, sum);
                remembered = remembered && devices_push(&now, &device);
        }
        for (size_t i = 0; remembered && i < devices->n; i++)
                if (!goes_on(&devices->entries[i], &now))
                        add_device(&devices->entries[i], lost);
        stat_devices_deinit(devices);
        if (remembered)
                *devices = now;
        else
                stat_devices_deinit(&now);
}

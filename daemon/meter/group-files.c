/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/group-files.h"
#include "util/cleanup.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>

/* A flat keyed file of the kernel's, cpu.stat with all its lines, is below a kilobyte. */
#define FILE_SIZE 4096

#define NSEC_PER_USEC 1000ULL

void group_files_open(int group_fd, GroupFiles *ret) {
        *ret = (GroupFiles){
                .cpu_stat = openat(group_fd, "cpu.stat", O_RDONLY | O_CLOEXEC),
                .memory_current = openat(group_fd, "memory.current", O_RDONLY | O_CLOEXEC),
                .memory_peak = openat(group_fd, "memory.peak", O_RDONLY | O_CLOEXEC),
                .memory_events = openat(group_fd, "memory.events", O_RDONLY | O_CLOEXEC),
        };
}

void group_files_close(GroupFiles *files) {
        cleanup_close(&files->cpu_stat);
        cleanup_close(&files->memory_current);
        cleanup_close(&files->memory_peak);
        cleanup_close(&files->memory_events);
        *files = (GroupFiles) GROUP_FILES_NULL;
}

bool group_files_parse(const char *text, const char *key, uint64_t *ret) {
        char *end;
        uint64_t value;

        if (key) {
                size_t length = strlen(key);

                while (strncmp(text, key, length) != 0 || text[length] != ' ') {
                        text = strchr(text, '\n');
                        if (!text)
                                return false;
                        text++;
                }
                text += length + 1;
        }
        if (!isdigit((unsigned char) *text))
                return false;

        errno = 0;
        value = strtoull(text, &end, 10);
        if (errno != 0 || (*end != '\n' && *end != '\0'))
                return false;

        *ret = value;
        return true;
}

static void add(int fd, const char *key, uint64_t factor, Metric metric, Sample *sum) {
        char text[FILE_SIZE];
        uint64_t value;
        ssize_t n;

        n = fd >= 0 ? pread(fd, text, sizeof(text) - 1, 0) : -1;
        if (n <= 0)
                return;
        text[n] = '\0';
        if (group_files_parse(text, key, &value))
                sample_add(sum, metric, value * factor);
}

void group_files_read(const GroupFiles *files, Sample *sum) {
        add(files->cpu_stat, "usage_usec", NSEC_PER_USEC, METRIC_CPU_TIME, sum);
        add(files->cpu_stat, "throttled_usec", NSEC_PER_USEC, METRIC_CPU_THROTTLED, sum);
        add(files->memory_current, NULL, 1, METRIC_MEMORY_CURRENT, sum);
        add(files->memory_peak, NULL, 1, METRIC_MEMORY_PEAK, sum);
        add(files->memory_events, "oom_kill", 1, METRIC_MEMORY_OOM_KILLS, sum);
        add(files->memory_events, "max", 1, METRIC_MEMORY_LIMIT_HITS, sum);
        add(files->memory_events, "high", 1, METRIC_MEMORY_LIMIT_HITS, sum);
}

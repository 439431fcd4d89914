/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/group-stat.h"
#include "meter/group-files.h"
#include "meter/stat-text.h"
#include "util/cleanup.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/major.h>
#include <stdio.h>
#include <string.h>

/* memory.stat is 1.5 KiB on Linux 6.12; a line of io.stat at most 200 bytes a device. */
#define STAT_SIZE 32768

static bool read_file(int dir_fd, const char *name, char *ret, size_t size) {
        _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd >= 0 ? read(fd, ret, size - 1) : -1;

        if (n < 0)
                return false;
        ret[n] = '\0';
        return true;
}

/* Told by what the device is: a loop device whose file was taken from it keeps its figures, and must not come
 * to count. */
bool group_stat_is_layer(unsigned major, unsigned minor, void *userdata) {
        static const char *const marks[] = { "dm", "md", "bcache" };
        const struct dirent *entry;
        bool over_another = false;
        char path[64];
        DIR *slaves;

        if (major == LOOP_MAJOR)
                return true;
        for (size_t i = 0; i < ELEMENTSOF(marks); i++) {
                snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major, minor, marks[i]);
                if (access(path, F_OK) == 0)
                        return true;
        }
        snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/slaves", major, minor);
        slaves = opendir(path);
        if (!slaves)
                return false;
        while (!over_another && (entry = readdir(slaves)))
                over_another = entry->d_name[0] != '.';
        closedir(slaves);
        return over_another;
}

void group_stat_read(int group_fd, Sample *sum) {
        char text[STAT_SIZE];
        uint64_t swap;

        if (read_file(group_fd, "memory.stat", text, sizeof(text)))
                stat_text_add_memory(text, (uint64_t) sysconf(_SC_PAGESIZE), sum);
        if (read_file(group_fd, "memory.swap.current", text, sizeof(text)) &&
                        group_files_parse(text, NULL, &swap))
                sample_add(sum, METRIC_MEMORY_SWAP, swap);
        if (read_file(group_fd, "io.stat", text, sizeof(text)))
                stat_text_add_io(text, group_stat_is_layer, NULL, sum);
        if (read_file(group_fd, "cpu.pressure", text, sizeof(text)))
                stat_text_add_pressure(text, METRIC_CPU_PRESSURE, METRIC_INVALID, sum);
        if (read_file(group_fd, "memory.pressure", text, sizeof(text)))
                stat_text_add_pressure(text, METRIC_MEMORY_PRESSURE, METRIC_MEMORY_STALL, sum);
        if (read_file(group_fd, "io.pressure", text, sizeof(text)))
                stat_text_add_pressure(text, METRIC_IO_PRESSURE, METRIC_IO_STALL, sum);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/group-stat.h"
#include "meter/group-files.h"
#include "meter/stat-text.h"
#include "util/cleanup.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* memory.stat is 1.5 KiB on Linux 6.12; a line of io.stat at most 200 bytes a device. */
#define STAT_SIZE 32768

static const char *const file_names[GROUP_STAT_FILE_MAX] = {
        [GROUP_STAT_MEMORY] = "memory.stat",
        [GROUP_STAT_SWAP] = "memory.swap.current",
        [GROUP_STAT_IO] = "io.stat",
        [GROUP_STAT_CPU_PRESSURE] = "cpu.pressure",
        [GROUP_STAT_MEMORY_PRESSURE] = "memory.pressure",
        [GROUP_STAT_IO_PRESSURE] = "io.pressure",
};

GroupStat group_stat_open(int dir_fd) {
        GroupStat stat = { .dir_fd = dir_fd };

        for (GroupStatFile i = 0; i < GROUP_STAT_FILE_MAX; i++)
                stat.files[i] = -EBADF;
        return stat;
}

void group_stat_close(GroupStat *stat) {
        for (GroupStatFile i = 0; i < GROUP_STAT_FILE_MAX; i++)
                cleanup_close(&stat->files[i]);
        cleanup_close(&stat->dir_fd);
        stat_devices_deinit(&stat->devices);
}

/* Of a controller that was taken away and given again, the files are others: what was open reads no more. */
static bool read_file(GroupStat *stat, GroupStatFile file, char ret[static STAT_SIZE]) {
        int *fd = &stat->files[file];
        ssize_t n = *fd >= 0 ? pread(*fd, ret, STAT_SIZE - 1, 0) : -1;

        if (n < 0) {
                cleanup_close(fd);
                *fd = openat(stat->dir_fd, file_names[file], O_RDONLY | O_CLOEXEC);
                n = *fd >= 0 ? pread(*fd, ret, STAT_SIZE - 1, 0) : -1;
        }
        if (n < 0)
                return false;
        ret[n] = '\0';
        return true;
}

void group_stat_read(GroupStat *stat, BlockLayers *layers, Sample *sum, Sample *lost) {
        static const struct {
                GroupStatFile file;
                Metric some, full;
        } pressures[] = {
                { GROUP_STAT_CPU_PRESSURE, METRIC_CPU_PRESSURE, METRIC_INVALID },
                { GROUP_STAT_MEMORY_PRESSURE, METRIC_MEMORY_PRESSURE, METRIC_MEMORY_STALL },
                { GROUP_STAT_IO_PRESSURE, METRIC_IO_PRESSURE, METRIC_IO_STALL },
        };
        char text[STAT_SIZE];
        uint64_t swap;

        if (read_file(stat, GROUP_STAT_MEMORY, text))
                stat_text_add_memory(text, (uint64_t) sysconf(_SC_PAGESIZE), sum);
        if (read_file(stat, GROUP_STAT_SWAP, text) && group_files_parse(text, NULL, &swap))
                sample_add(sum, METRIC_MEMORY_SWAP, swap);
        if (read_file(stat, GROUP_STAT_IO, text))
                stat_text_add_io(text, block_layers_have, layers, &stat->devices, sum, lost);
        for (size_t i = 0; i < ELEMENTSOF(pressures); i++)
                if (read_file(stat, pressures[i].file, text))
                        stat_text_add_pressure(text, pressures[i].some, pressures[i].full, sum);
}

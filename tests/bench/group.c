/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "group.h"

#include "bench.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

/* As many as a node has by default: the rows of one CPU are as far from another's as they are there. */
#define SLOTS 1024

static char parent[PATH_MAX];
static pid_t owner;

static void write_text(const char *dir, const char *name, const char *text) {
        char path[PATH_MAX + 64];
        _cleanup_close_ int fd = -EBADF;

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                bench_fail("%s: %s", path, strerror(errno));
}

static void await_empty(void) {
        char path[PATH_MAX + 64], text[256];
        struct pollfd event = { .events = POLLPRI };

        snprintf(path, sizeof(path), "%s/cgroup.events", parent);
        event.fd = open(path, O_RDONLY | O_CLOEXEC);
        while (event.fd >= 0 && pread(event.fd, text, sizeof(text), 0) > 0 &&
                        strncmp(text, "populated 0", 11) != 0 && poll(&event, 1, 10000) > 0)
                ;
        cleanup_close(&event.fd);
}

static void end(int sig) {
        exit(128 + sig);
}

/* Children that exit leave the groups alone. */
static void remove_groups(void) {
        _cleanup_free_ char *command = NULL;

        if (getpid() != owner)
                return;
        write_text(parent, "cgroup.kill", "1");
        await_empty();
        if (asprintf(&command, "find '%s' -depth -type d -exec rmdir {} +", parent) < 0 ||
                        system(command) != 0)
                fprintf(stderr, "%s: it could not be removed\n", parent);
}

const char *bench_group_parent(void) {
        const char *mount = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0 ? "/sys/fs/cgroup"
                                                                                   : "/sys/fs/cgroup/unified";

        if (parent[0] != '\0')
                return parent;
        snprintf(parent, sizeof(parent), "%s/headgate-bench-%d", mount, (int) getpid());
        if (mkdir(parent, 0755) < 0)
                bench_fail("%s: %s", parent, strerror(errno));
        owner = getpid();
        signal(SIGTERM, end);
        signal(SIGINT, end);
        atexit(remove_groups);
        return parent;
}

BenchGroup bench_group_make(const char *name) {
        BenchGroup group;
        struct stat st;

        if (snprintf(group.path, sizeof(group.path), "%s/%s", bench_group_parent(), name) >=
                        (int) sizeof(group.path))
                bench_fail("%s: too long a path", name);
        if (mkdir(group.path, 0755) < 0)
                bench_fail("%s: %s", group.path, strerror(errno));
        group.fd = open(group.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (group.fd < 0 || fstat(group.fd, &st) < 0)
                bench_fail("%s: %s", group.path, strerror(errno));
        group.id = st.st_ino;
        return group;
}

void bench_group_enter(const BenchGroup *group, pid_t pid) {
        char text[16];

        snprintf(text, sizeof(text), "%d", (int) pid);
        write_text(group->path, "cgroup.procs", text);
}

uint64_t bench_group_cpu_nsec(const BenchGroup *group) {
        char path[PATH_MAX + 64];
        _cleanup_fclose_ FILE *file = NULL;
        uint64_t usec;

        snprintf(path, sizeof(path), "%s/cpu.stat", group->path);
        file = fopen(path, "re");
        if (!file || fscanf(file, "usage_usec %" SCNu64, &usec) != 1)
                bench_fail("%s: %s", path, strerror(errno));
        return usec * 1000;
}

Meter *bench_meter_new(bool basic, const BenchGroup *groups, size_t n) {
        MeterOptions options = { .slots = SLOTS, .cgroup_root = bench_group_parent(), .basic = basic };
        FeatureSet features = FEATURE_SET_NULL;
        const Feature *cpu;
        Meter *meter = NULL;

        bench_check(meter_new(&options, &features, &meter), NULL, "the meter");
        cpu = feature_set_get(&features, "meter.cpu");
        if (!cpu || !cpu->available)
                bench_fail("%s", cpu ? cpu->words : "there is no meter of CPU time");
        for (size_t i = 0; i < n; i++)
                bench_check(meter_add(meter, (uint32_t) i + 1, groups[i].path, groups[i].fd, groups[i].id,
                                            METER_GROUP_OWN),
                                NULL, groups[i].path);
        feature_set_deinit(&features);
        return meter;
}

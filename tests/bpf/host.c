/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "host.h"
#include "meter/group-files.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static char own_group[PATH_MAX - 300];

static void find_mount(char *ret, size_t size) {
        _cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
        _cleanup_free_ char *line = NULL;
        size_t line_size = 0;

        while (f && getline(&line, &line_size, f) > 0) {
                char point[PATH_MAX];

                if (strstr(line, " - cgroup2 ") && sscanf(line, "%*d %*d %*s %*s %4095s", point) == 1) {
                        snprintf(ret, size, "%s", point);
                        return;
                }
        }
        cr_skip_test("no cgroup2 is mounted");
}

static bool read_text(const char *path, char *ret, size_t size) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd >= 0 ? read(fd, ret, size - 1) : -1;

        if (n < 0)
                return false;
        ret[n] = '\0';
        return true;
}

static void write_text(const char *path, const char *text) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

        cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t) strlen(text), "%s to %s: %m", text,
                        path);
}

/* cgroup.events says when the last process has gone, which is a moment after it was killed. */
static void remove_tree(const char *path) {
        char file[PATH_MAX], events[256];
        _cleanup_close_ int fd = -EBADF;
        struct dirent *entry;
        DIR *dir;

        snprintf(file, sizeof(file), "%s/cgroup.kill", path);
        fd = open(file, O_WRONLY | O_CLOEXEC);
        if (fd >= 0 && write(fd, "1", 1) == 1) {
                struct pollfd event = { .events = POLLPRI };

                snprintf(file, sizeof(file), "%s/cgroup.events", path);
                event.fd = open(file, O_RDONLY | O_CLOEXEC);
                while (event.fd >= 0 && pread(event.fd, events, sizeof(events), 0) > 0 &&
                                strncmp(events, "populated 0", 11) != 0 && poll(&event, 1, 2000) > 0)
                        ;
                cleanup_close(&event.fd);
        }

        dir = opendir(path);
        while (dir && (entry = readdir(dir)))
                if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
                        snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
                        remove_tree(file);
                }
        if (dir)
                closedir(dir);
        rmdir(path);
}

/* Criterion leaves the fini of a test out that failed or was skipped: this process sees that the test has
 * ended. */
static void start_janitor(void) {
        int alive[2];
        char c;

        cr_assert(pipe2(alive, O_CLOEXEC) == 0, "%m");
        if (fork() == 0) {
                close(alive[1]);
                if (read(alive[0], &c, 1) == 0)
                        remove_tree(own_group);
                _exit(0);
        }
        close(alive[0]);
}

void host_init(void) {
        char mount_point[256], path[PATH_MAX], controllers[256] = "";

        if (geteuid() != 0)
                cr_skip_test("needs root");
        find_mount(mount_point, sizeof(mount_point));
        snprintf(own_group, sizeof(own_group), "%s/headgate-test-%d", mount_point, getpid());
        cr_assert(mkdir(own_group, 0755) == 0, "%s: %m", own_group);
        start_janitor();

        /* What this host has on cgroup2, the test's groups have. */
        snprintf(path, sizeof(path), "%s/cgroup.controllers", own_group);
        (void) read_text(path, controllers, sizeof(controllers));
        snprintf(path, sizeof(path), "%s/cgroup.subtree_control", own_group);
        if (strstr(controllers, "cpu "))
                write_text(path, "+cpu");
        if (strstr(controllers, "memory"))
                write_text(path, "+memory");
}

void host_deinit(void) {
        if (own_group[0] != '\0')
                remove_tree(own_group);
}

const char *host_bpffs(void) {
        static char path[64];

        if (path[0] == '\0') {
                cr_assert(unshare(CLONE_NEWNS) == 0, "%m");
                cr_assert(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "%m");
                /* A tmpfs over it first, so that nothing of the directory is left on the host. */
                cr_assert(mount("tmpfs", "/tmp", "tmpfs", 0, "mode=0700") == 0, "%m");
                snprintf(path, sizeof(path), "/tmp/bpffs");
                cr_assert(mkdir(path, 0700) == 0, "%m");
                cr_assert(mount("bpf", path, "bpf", 0, NULL) == 0, "%m");
        }
        return path;
}

static void open_group(TestGroup *group) {
        struct stat st;

        group->fd = open(group->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert(group->fd >= 0 && fstat(group->fd, &st) == 0, "%m");
        group->id = st.st_ino;
}

TestGroup group_make(const char *name) {
        TestGroup group = { .fd = -EBADF };

        snprintf(group.path, sizeof(group.path), "%s/%s", own_group, name);
        cr_assert(mkdir(group.path, 0755) == 0, "%s: %m", group.path);
        open_group(&group);
        return group;
}

TestGroup group_own(void) {
        char mount_point[256], text[PATH_MAX];
        TestGroup group = { .fd = -EBADF };
        const char *path;

        find_mount(mount_point, sizeof(mount_point));
        cr_assert(read_text("/proc/self/cgroup", text, sizeof(text)));
        path = strstr(text, "0::/"); /* cgroup2's line is the last */
        cr_assert_not_null(path);
        snprintf(group.path, sizeof(group.path), "%s%.*s", mount_point, (int) strcspn(path + 3, "\n"),
                        path + 3);
        open_group(&group);
        return group;
}

void group_remove(TestGroup *group) {
        remove_tree(group->path);
        close(group->fd);
        group->fd = -EBADF;
}

const char *group_parent(void) {
        return own_group;
}

bool group_figure(const TestGroup *group, const char *file, const char *key, uint64_t *ret) {
        char path[PATH_MAX + 64], text[4096];

        snprintf(path, sizeof(path), "%s/%s", group->path, file);
        return read_text(path, text, sizeof(text)) && group_files_parse(text, key, ret);
}

uint64_t group_cpu_nsec(const TestGroup *group) {
        uint64_t usec;

        cr_assert(group_figure(group, "cpu.stat", "usage_usec", &usec));
        return usec * 1000;
}

void group_move(const TestGroup *group, pid_t pid) {
        char path[PATH_MAX + 64], text[16];

        snprintf(path, sizeof(path), "%s/cgroup.procs", group->path);
        snprintf(text, sizeof(text), "%d", pid);
        write_text(path, text);
}

/* A test that fails leaves no process behind. */
int packet_socket(uint32_t priority, struct sockaddr_ll *ret_to) {
        int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        cr_assert(setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &priority, sizeof(priority)) == 0, "%m");
        *ret_to = (struct sockaddr_ll){ .sll_family = AF_PACKET,
                .sll_protocol = htons(ETH_P_IP),
                .sll_ifindex = (int) if_nametoindex("hg0"),
                .sll_halen = 6 };
        return fd;
}

void die_with_parent(void) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void work_loop(int command, int answer, void (*work)(void *), void *userdata) {
        char c;

        while (read(command, &c, 1) == 1) {
                work(userdata);
                if (write(answer, &c, 1) != 1)
                        break;
        }
        _exit(0);
}

static bool worker_sleeps(const Worker *worker) {
        char path[64], text[512], state;

        snprintf(path, sizeof(path), "/proc/%d/stat", worker->pid);
        return read_text(path, text, sizeof(text)) && sscanf(strrchr(text, ')'), ") %c", &state) == 1 &&
               state == 'S';
}

/* Asleep at its pipe, off its CPU: what is read of it now no longer moves. */
static void wait_asleep(const Worker *worker) {
        for (unsigned i = 0; i < 1000000 && !worker_sleeps(worker); i++)
                sched_yield();
}

Worker worker_start(const TestGroup *group, void (*work)(void *), void *userdata) {
        int command[2], answer[2];
        Worker worker;

        cr_assert(pipe2(command, O_CLOEXEC) == 0 && pipe2(answer, O_CLOEXEC) == 0);
        worker.pid = fork();
        cr_assert(worker.pid >= 0);
        if (worker.pid == 0) {
                die_with_parent();
                close(command[1]);
                close(answer[0]);
                work_loop(command[0], answer[1], work, userdata);
        }
        close(command[0]);
        close(answer[1]);
        worker.command = command[1];
        worker.answer = answer[0];
        wait_asleep(&worker);
        if (group)
                group_move(group, worker.pid);
        return worker;
}

void worker_begin(Worker *worker) {
        cr_assert(write(worker->command, "", 1) == 1);
}

void worker_finish(Worker *worker) {
        char c;

        cr_assert(read(worker->answer, &c, 1) == 1, "the worker is gone");
        wait_asleep(worker);
}

void worker_run(Worker *worker) {
        worker_begin(worker);
        worker_finish(worker);
}

void workers_run(Worker *workers, size_t n) {
        for (size_t i = 0; i < n; i++)
                worker_begin(workers + i);
        for (size_t i = 0; i < n; i++)
                worker_finish(workers + i);
}

void worker_stop(Worker *worker) {
        close(worker->command);
        close(worker->answer);
        kill(worker->pid, SIGKILL);
        waitpid(worker->pid, NULL, 0);
}

Schedstat worker_schedstat(const Worker *worker) {
        char path[64], text[128];
        Schedstat stat = {};

        snprintf(path, sizeof(path), "/proc/%d/schedstat", worker->pid);
        if (!read_text(path, text, sizeof(text)) ||
                        sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64, &stat.ran_nsec, &stat.waited_nsec,
                                        &stat.arrivals) != 3)
                cr_skip_test("the kernel has no schedstat");
        return stat;
}

static uint64_t own_cpu_nsec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

void burn_msec(unsigned msec) {
        uint64_t end = own_cpu_nsec() + msec * 1000000ULL;

        while (own_cpu_nsec() < end)
                for (volatile unsigned i = 0; i < 100000; i++)
                        ;
}

void pin_to_cpu(unsigned cpu) {
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        cr_assert(sched_setaffinity(0, sizeof(set), &set) == 0, "%m");
}

static Meter *check_meter(int r, FeatureSet *features, Meter *meter) {
        static const char *const needed[] = { "meter.cpu", "meter.network" };

        cr_assert(r == 0, "meter_new: %s", strerror(-r));
        for (size_t i = 0; i < ELEMENTSOF(needed); i++) {
                const Feature *feature = feature_set_get(features, needed[i]);

                cr_assert(feature && feature->available, "%s: %s", needed[i],
                                feature ? feature->words : "not told");
        }
        feature_set_deinit(features);
        return meter;
}

Meter *meter_make(const char *pin_dir, uint32_t slots, uint32_t classid_base) {
        MeterOptions options = {
                .pin_dir = pin_dir, .slots = slots, .cgroup_root = own_group, .classid_base = classid_base
        };
        FeatureSet features = FEATURE_SET_NULL;
        Meter *meter = NULL;
        int r;

        r = meter_new(&options, &features, &meter);
        return check_meter(r, &features, meter);
}

void meter_must_add(Meter *meter, uint32_t slot, const TestGroup *group) {
        int r = meter_add(meter, slot, group->path, group->fd, group->id, METER_GROUP_OWN);

        cr_assert(r == 0, "meter_add %s: %s", group->path, strerror(-r));
}

Sample meter_must_read(Meter *meter, uint32_t slot) {
        Sample sample = {};
        int r;

        r = meter_refresh(meter, /* all= */ true);
        cr_assert(r == 0, "meter_refresh: %s", strerror(-r));
        r = meter_read(meter, slot, &sample);
        cr_assert(r == 0, "meter_read: %s", strerror(-r));
        return sample;
}

void expect_near(uint64_t value, uint64_t expected, unsigned permille, uint64_t slack, const char *what) {
        uint64_t difference = value > expected ? value - expected : expected - value;
        uint64_t allowed = expected * permille / 1000;

        cr_expect(difference <= (allowed > slack ? allowed : slack),
                        "%s: %" PRIu64 " is not near %" PRIu64 " (%+.3f %%)", what, value, expected,
                        expected ? 100.0 * ((double) value - (double) expected) / (double) expected : 0.0);
}

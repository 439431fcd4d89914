/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "driver.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define WAIT_SEC 20

CgroupDriver *driver;
FeatureSet features;
char mount_path[PATH_MAX - 64], root[64];
bool is_systemd;

bool read_text(const char *group, const char *file, char *ret, size_t size) {
        char path[PATH_MAX];
        ssize_t n;
        int fd;

        (void) snprintf(path, sizeof(path), "%s%s/%s", mount_path, group, file);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        n = read(fd, ret, size - 1);
        close(fd);
        if (n < 0)
                return false;
        ret[n] = '\0';
        ret[strcspn(ret, "\n")] = '\0';
        return true;
}

bool write_text(const char *group, const char *file, const char *text) {
        char path[PATH_MAX];
        bool written;
        int fd;

        (void) snprintf(path, sizeof(path), "%s%s/%s", mount_path, group, file);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        written = write(fd, text, strlen(text)) >= 0;
        close(fd);
        return written;
}

int change_directory(int (*change)(const char *), const char *group) {
        char path[PATH_MAX];

        (void) snprintf(path, sizeof(path), "%s%s", mount_path, group);
        return change(path) < 0 ? -errno : 0;
}

int make_directory(const char *path) {
        return mkdir(path, 0755);
}

void assert_text(const char *group, const char *file, const char *expected) {
        char text[128];

        cr_assert(read_text(group, file, text, sizeof(text)), "%s/%s cannot be read", group, file);
        cr_assert_str_eq(text, expected, "%s/%s is %s, not %s", group, file, text, expected);
}

bool within(bool (*holds)(const void *), const void *argument) {
        for (time_t end = time(NULL) + WAIT_SEC; time(NULL) < end; (void) poll(NULL, 0, 10))
                if (holds(argument))
                        return true;
        return false;
}

static void find_mount(void) {
        _cleanup_cgroup_mounts_ CgroupMounts mounts = { 0 };
        static char text[65536];
        FILE *f = fopen("/proc/self/mountinfo", "re");

        cr_assert_not_null(f);
        text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
        fclose(f);
        cr_assert_eq(cgroup_mounts_parse(text, &mounts), 0);
        cr_assert_not_null(mounts.unified, "no cgroup2 mount");
        cr_assert_lt(strlen(mounts.unified), sizeof(mount_path));
        (void) strcpy(mount_path, mounts.unified);
}

void driver_setup(void) {
        const char *name = getenv("HEADGATE_TEST_DRIVER");
        CgroupDriverKind kind = cgroup_driver_kind_from_string(name ? name : "cgroupfs");

        cr_assert_geq((int) kind, 0, "HEADGATE_TEST_DRIVER=%s", name);
        is_systemd = kind == CGROUP_DRIVER_SYSTEMD;
        find_mount();
        if (!is_systemd) {
                char available[256], plus[CONTROLLERS_TEXT_SIZE];

                /* What a manager that delegates would have done before us. */
                cr_assert(read_text("/", "cgroup.controllers", available, sizeof(available)));
                controllers_format(controllers_parse(available), plus);
                if (*plus)
                        cr_assert(write_text("/", "cgroup.subtree_control", plus), "%s", plus);
                (void) write_text("/", "cgroup.subtree_control", "+cpuset"); /* where there is one */
                (void) snprintf(root, sizeof(root), "/headgate-test-%d", getpid());
                cr_assert_eq(change_directory(make_directory, root), 0);
        }
        cr_assert_eq(cgroup_driver_new(kind, root, &features, &driver), 0);
}

void driver_teardown(void) {
        if (!driver)
                return;
        (void) cgroup_driver_remove_parent(driver);
        driver = cgroup_driver_free(driver);
        feature_set_deinit(&features);
        if (!is_systemd)
                cr_expect_eq(change_directory(rmdir, root), 0, "something was left in %s", root);
}

TenantGroup *ensure(const char *tenant_id) {
        TenantGroup *group = NULL;
        int r = tenant_group_ensure(driver, tenant_id, &group);

        cr_assert_eq(r, 0, "%s: %s", tenant_id, strerror(-r));
        return group;
}

TenantGroup *ensure_limited(const char *tenant_id) {
        TenantGroup *group = ensure(tenant_id);
        Settings changes = { 0 };

        settings_put(&changes, SETTING_CPU_MAX, 300000);
        settings_put(&changes, SETTING_TASKS_MAX, 44);
        cr_assert_eq(tenant_group_apply(group, &changes), 0);
        return group;
}

bool is_empty(const void *group) {
        return tenant_group_populated((TenantGroup *) group) == 0;
}

void remove_group(TenantGroup *group) {
        _cleanup_free_ char *tenant_id = strdup(group->tenant_id);
        int r;

        cr_assert(within(is_empty, group));
        r = tenant_group_remove(driver, tenant_id);
        cr_assert_eq(r, 0, "remove %s: %s", tenant_id, strerror(-r));
        cr_assert_not(tenant_group_alive(group));
        tenant_group_free(group);
}

Child spawn(void) {
        Child child = { .pid = fork() };

        cr_assert_geq(child.pid, 0);
        if (child.pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        child.pidfd = (int) syscall(SYS_pidfd_open, child.pid, 0);
        cr_assert_geq(child.pidfd, 0);
        return child;
}

bool has_exited(const void *pidfd) {
        struct pollfd p = { .fd = *(const int *) pidfd, .events = POLLIN };

        return poll(&p, 1, 0) > 0;
}

int reap(Child *child) {
        int status = 0;

        cr_assert(within(has_exited, &child->pidfd), "the process did not end");
        cr_assert_eq(waitpid(child->pid, &status, 0), child->pid);
        close(child->pidfd);
        return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

void assert_place(pid_t pid, const char *group) {
        _cleanup_free_ char *path = NULL;

        cr_assert_eq(process_find_group(pid, &path), 0);
        cr_assert_str_eq(path, group, "%d is in %s, not %s", pid, path, group);
}

void attach(TenantGroup *group, const Child *child, char **ret_path) {
        int r = tenant_group_attach(group, &child->pidfd, 1, ret_path);

        cr_assert_eq(r, 0, "attach: %s", strerror(-r));
}

int run(const char *command) {
        int status = system(command);

        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

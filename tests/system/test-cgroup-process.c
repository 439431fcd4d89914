/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The same drivers, and the processes in their groups: placed, signalled, frozen, killed, squeezed, and those
 * of others left alone. Where each is, and of what it died, the test asks the kernel.
 */

#include "driver.h"
#include "util/strv.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

TestSuite(cgroup_process, .init = driver_setup, .fini = driver_teardown, .timeout = 300);

Test(cgroup_process, attach_signal_and_remove) {
        TenantGroup *group = ensure("test-attach");
        Child a = spawn(), b = spawn();
        const int both[] = { a.pidfd, b.pidfd };
        char *path = NULL;
        size_t length = strlen(tenant_group_path(group));

        cr_assert_eq(tenant_group_populated(group), 0);
        cr_assert_eq(tenant_group_attach(group, both, 2, &path), 0);
        cr_assert_eq(strncmp(path, tenant_group_path(group), length), 0, "%s", path);
        assert_place(a.pid, path);
        assert_place(b.pid, path);
        cr_assert_eq(tenant_group_populated(group), 1);
        cr_assert_eq(tenant_group_remove(driver, "test-attach"), -EBUSY);
        cr_assert(tenant_group_alive(group));
        cr_assert_eq(cgroup_driver_remove_parent(driver), -EBUSY);
        free(path);

        cr_assert_eq(tenant_group_signal(group, SIGUSR1), 0);
        cr_assert_eq(reap(&a), SIGUSR1);
        cr_assert_eq(reap(&b), SIGUSR1);
        cr_assert(within(is_empty, group));
        cr_assert_eq(tenant_group_signal(group, SIGUSR1), 0, "nobody is no error");
        remove_group(group);
}

/* A second attach comes beside the first. */
Test(cgroup_process, attach_again) {
        TenantGroup *group = ensure("test-again");
        Child a = spawn(), b = spawn();
        char *first = NULL, *second = NULL;

        attach(group, &a, &first);
        attach(group, &b, &second);
        assert_place(a.pid, first);
        assert_place(b.pid, second);
        cr_assert_eq(strcmp(first, second) != 0, is_systemd);
        free(first);
        free(second);
        cr_assert_eq(tenant_group_kill(group), 0);
        cr_assert_eq(reap(&a), SIGKILL);
        cr_assert_eq(reap(&b), SIGKILL);
        remove_group(group);
}

Test(cgroup_process, attach_refuses) {
        TenantGroup *group = ensure("test-refuse");
        Child gone = spawn(), here = spawn();
        const int pidfds[] = { here.pidfd, gone.pidfd };
        int many[17];
        _cleanup_free_ char *before = NULL;
        char *path = NULL;
        int r;

        cr_assert_eq(process_find_group(here.pid, &before), 0);
        for (size_t i = 0; i < ELEMENTSOF(many); i++)
                many[i] = here.pidfd;
        cr_assert_eq(tenant_group_attach(group, many, ELEMENTSOF(many), &path), -E2BIG);
        cr_assert_eq(tenant_group_attach(group, many, 0, &path), -EINVAL);
        cr_assert_eq(tenant_group_attach(group, (int[]){ STDERR_FILENO }, 1, &path), -EINVAL);
        cr_assert_eq(tenant_group_attach(group, (int[]){ -1 }, 1, &path), -EBADF);

        cr_assert_eq(kill(gone.pid, SIGKILL), 0);
        cr_assert(within(has_exited, &gone.pidfd));
        r = tenant_group_attach(group, pidfds, 2, &path);
        cr_assert_eq(r, -ESRCH, "%d", r);
        cr_assert_null(path);
        assert_place(here.pid, before);
        reap(&gone);
        cr_assert_eq(kill(here.pid, SIGKILL), 0);
        reap(&here);
        remove_group(group);
}

/* What happens when a pid was another's when it was moved: made by hand, as the moment cannot be met. */
Test(cgroup_process, attach_undoes) {
        _cleanup_free_ char *before = NULL, *own = NULL;
        TenantGroup *group, *elsewhere;
        Child meant, gone, impostor;
        Process *processes;

        if (is_systemd)
                skip("moves by hand are for our own groups");
        group = ensure("test-undo");
        meant = spawn();
        gone = spawn();
        impostor = spawn();
        /* Where the one that is gone was is not where the other belongs. */
        elsewhere = ensure("test-undo-from");
        cr_assert_eq(group_put_process(driver, tenant_group_path(elsewhere), gone.pid), 0);
        cr_assert_eq(process_find_group(getpid(), &own), 0);
        cr_assert_eq(process_find_group(meant.pid, &before), 0);
        cr_assert_eq(processes_identify((int[]){ meant.pidfd, gone.pidfd }, 2, &processes), 0);
        cr_assert_eq(processes[0].pid, meant.pid);
        cr_assert_str_eq(processes[0].group, before);

        processes[1].pid = impostor.pid;
        cr_assert_eq(kill(gone.pid, SIGKILL), 0);
        reap(&(Child){ gone.pid, dup(gone.pidfd) });
        cr_assert_eq(group_put_process(driver, tenant_group_path(group), meant.pid), 0);
        cr_assert_eq(group_put_process(driver, tenant_group_path(group), impostor.pid), 0);
        assert_place(impostor.pid, tenant_group_path(group));
        cr_assert(processes_placed(processes, 1, tenant_group_path(group)));
        cr_assert_not(processes_placed(processes, 2, tenant_group_path(group)));

        processes_undo(driver, processes, 2, tenant_group_path(group));
        assert_place(meant.pid, before);
        assert_place(impostor.pid, own);
        processes_free(processes, 2);
        close(gone.pidfd);
        cr_assert_eq(kill(meant.pid, SIGKILL), 0);
        cr_assert_eq(kill(impostor.pid, SIGKILL), 0);
        reap(&meant);
        reap(&impostor);
        remove_group(elsewhere);
        remove_group(group);
}

static bool is_frozen(const void *path) {
        char text[128];
        uint64_t frozen = 0;
        char file[PATH_MAX];
        FILE *f;

        (void) snprintf(file, sizeof(file), "%s%s/cgroup.events", mount_path, (const char *) path);
        f = fopen(file, "re");
        if (!f)
                return false;
        text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
        fclose(f);
        return cgroup_events_parse(text, "frozen", &frozen) == 0 && frozen == 1;
}

Test(cgroup_process, freeze_and_kill) {
        TenantGroup *group = ensure("test-freeze");
        Child child = spawn();
        char *path = NULL;

        attach(group, &child, &path);
        free(path);
        cr_assert_eq(tenant_group_freeze(group, true), 0);
        cr_assert(within(is_frozen, tenant_group_path(group)));
        cr_assert_eq(tenant_group_freeze(group, false), 0);
        assert_text(tenant_group_path(group), "cgroup.freeze", "0");
        cr_assert_eq(tenant_group_freeze(group, true), 0);
        cr_assert(within(is_frozen, tenant_group_path(group)));
        /* What is frozen still dies. */
        cr_assert_eq(tenant_group_kill(group), 0);
        cr_assert_eq(reap(&child), SIGKILL);
        remove_group(group);
}

Test(cgroup_process, foreign_groups_are_left) {
        char beside[128], among[128], text[128];
        TenantGroup *group;
        _cleanup_strv_ char **ids = NULL;
        char pid[16];
        Child child;

        if (is_systemd)
                skip("headgate.slice is systemd's to fill");
        child = spawn();
        (void) snprintf(beside, sizeof(beside), "%s/foreign", root);
        (void) snprintf(among, sizeof(among), "%s/Foreign", cgroup_driver_parent(driver));
        cr_assert_eq(change_directory(make_directory, beside), 0);
        cr_assert_eq(change_directory(make_directory, among), 0);
        (void) snprintf(pid, sizeof(pid), "%d", child.pid);
        cr_assert(write_text(beside, "cgroup.procs", pid));

        group = ensure("test-foreign");
        cr_assert_eq(cgroup_driver_list(driver, &ids), 0);
        cr_assert_eq(strv_length(ids), 1);
        cr_assert_eq(tenant_group_signal(group, SIGKILL), 0);
        cr_assert_eq(tenant_group_freeze(group, true), 0);
        cr_assert_eq(tenant_group_kill(group), 0);
        remove_group(group);
        cr_assert_eq(cgroup_driver_remove_parent(driver), -EBUSY, "a foreign group is in it");

        cr_assert(read_text(beside, "cgroup.procs", text, sizeof(text)));
        cr_assert_str_eq(text, pid);
        assert_text(beside, "cgroup.freeze", "0");
        assert_place(child.pid, beside);
        cr_assert_eq(change_directory(rmdir, among), 0, "still there, and ours to remove");
        cr_assert_eq(kill(child.pid, SIGKILL), 0);
        reap(&child);
        cr_assert_eq(change_directory(rmdir, beside), 0);
}

/* A group is nobody's to give away while a process of root's is anywhere below it. */
Test(cgroup_process, a_process_of_the_system_is_found) {
        static const char *const places[] = { "foreign/inner/most", "foreign/inner", "foreign" };
        char foreign[128], group[128], pid[16];
        Child child;

        if (is_systemd)
                skip("its groups are no driver's");
        child = spawn();
        (void) snprintf(pid, sizeof(pid), "%d", child.pid);
        (void) snprintf(foreign, sizeof(foreign), "%s/%s", root, places[2]);
        for (size_t i = ELEMENTSOF(places); i-- > 0;) {
                (void) snprintf(group, sizeof(group), "%s/%s", root, places[i]);
                cr_assert_eq(change_directory(make_directory, group), 0);
        }
        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                pid_t found = 0;

                cr_assert_eq(cgroup_foreign_find_system(driver, foreign, &found), 0, "nobody is in %s",
                                foreign);
                (void) snprintf(group, sizeof(group), "%s/%s", root, places[i]);
                cr_assert(write_text(group, "cgroup.procs", pid));
                cr_expect_eq(cgroup_foreign_find_system(driver, foreign, &found), 1, "one is in %s", group);
                cr_expect_eq(found, child.pid);
                cr_assert(write_text("", "cgroup.procs", pid));
        }
        cr_assert_eq(kill(child.pid, SIGKILL), 0);
        reap(&child);
        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                (void) snprintf(group, sizeof(group), "%s/%s", root, places[i]);
                cr_assert_eq(change_directory(rmdir, group), 0);
        }
}

/* Groups that a tenant made below its own go with it, and their processes are reached by a signal. */
Test(cgroup_process, nested_groups) {
        char nested[256], deeper[300], pid[16];
        TenantGroup *group;
        Child child;

        if (is_systemd)
                skip("systemd nests scopes; see attach_signal_and_remove");
        group = ensure("test-nested");
        child = spawn();
        (void) snprintf(nested, sizeof(nested), "%s/test-inner", tenant_group_path(group));
        (void) snprintf(deeper, sizeof(deeper), "%s/job.1", nested);
        cr_assert_eq(change_directory(make_directory, nested), 0);
        cr_assert_eq(change_directory(make_directory, deeper), 0);
        (void) snprintf(pid, sizeof(pid), "%d", child.pid);
        cr_assert(write_text(deeper, "cgroup.procs", pid));
        cr_assert_eq(tenant_group_remove(driver, "test-nested"), -EBUSY);
        cr_assert_eq(tenant_group_signal(group, SIGTERM), 0);
        cr_assert_eq(reap(&child), SIGTERM);
        remove_group(group);
}

/* Beside each a group that is empty. */
static void nest(int fd, unsigned depth) {
        fd = dup(fd);
        for (unsigned i = 0; i < depth; i++) {
                int inner;

                cr_assert_eq(mkdirat(fd, "beside", 0755), 0);
                cr_assert_eq(mkdirat(fd, "inner", 0755), 0);
                inner = openat(fd, "inner", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                cr_assert_geq(inner, 0);
                close(fd);
                fd = inner;
        }
        close(fd);
}

/* However deep: the kernel has no bound of its own. A process at the bottom is in the way. */
Test(cgroup_process, deeply_nested_groups) {
        char nested[256], pid[16];
        TenantGroup *group;
        Child child;
        int fd;

        if (is_systemd)
                skip("systemd removes them");
        group = ensure("test-deep");
        child = spawn();
        (void) snprintf(nested, sizeof(nested), "%s/beside/job", tenant_group_path(group));
        nest(group->fd, 100);
        cr_assert_eq(change_directory(make_directory, nested), 0);
        (void) snprintf(pid, sizeof(pid), "%d", child.pid);
        cr_assert(write_text(nested, "cgroup.procs", pid));
        cr_assert_eq(tenant_group_remove(driver, "test-deep"), -EBUSY);
        fd = dup(0);
        cr_assert_eq(tenant_group_remove(driver, "test-deep"), -EBUSY);
        cr_expect_eq(dup(0), fd + 1, "a descriptor is left open");
        close(fd);
        close(fd + 1);
        cr_assert_eq(kill(child.pid, SIGTERM), 0);
        cr_assert_eq(reap(&child), SIGTERM);
        remove_group(group);
}

static void fill_page_cache(void) {
        static char block[1 << 20];
        char path[] = "/var/tmp/headgate-test-XXXXXX";
        int fd = mkstemp(path);

        (void) unlink(path);
        for (int i = 0; i < 96; i++)
                if (write(fd, block, sizeof(block)) < 0)
                        _exit(EXIT_FAILURE);
        (void) fsync(fd);
        for (;;)
                pause();
}

static bool uses_64_mib(const void *group) {
        uint64_t bytes;

        return tenant_group_memory_current((TenantGroup *) group, &bytes) == 0 && bytes > 64 * MIB;
}

/* Below what is used: first squeezed, so that what can be reclaimed is, and memory.high is as it was
 * afterwards. */
Test(cgroup_process, memory_max_below_use) {
        TenantGroup *group;
        Settings changes = { 0 };
        Child child = { .pid = -1 };
        char text[256], *path = NULL;
        uint64_t bytes;
        int gate[2];

        if (!(cgroup_driver_settings(driver) & (1U << SETTING_MEMORY_MAX)))
                skip("no memory controller here");
        group = ensure("test-squeeze");
        cr_assert_eq(pipe2(gate, O_CLOEXEC), 0);
        child.pid = fork();
        cr_assert_geq(child.pid, 0);
        if (child.pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                close(gate[1]);
                (void) !read(gate[0], text, 1); /* until it is in its group */
                fill_page_cache();
        }
        child.pidfd = (int) syscall(SYS_pidfd_open, child.pid, 0);
        attach(group, &child, &path);
        close(gate[0]);
        close(gate[1]);
        cr_assert(within(uses_64_mib, group));

        settings_put(&changes, SETTING_MEMORY_MAX, 32 * MIB);
        cr_assert_eq(tenant_group_apply(group, &changes), 0);
        assert_text(tenant_group_path(group), "memory.max", "33554432");
        assert_text(tenant_group_path(group), "memory.high", "max");
        cr_assert_eq(tenant_group_memory_current(group, &bytes), 0);
        cr_assert_leq(bytes, 32 * MIB);
        cr_assert_not(has_exited(&child.pidfd));
        free(path);
        cr_assert_eq(tenant_group_kill(group), 0);
        cr_assert_eq(reap(&child), SIGKILL);
        remove_group(group);
}

#define UNIT "headgate-test-tied.service"

static void write_unit(void) {
        FILE *f = fopen("/run/systemd/system/" UNIT, "we");

        cr_assert_not_null(f);
        (void) fprintf(f, "[Service]\nExecStart=sleep infinity\n");
        fclose(f);
        cr_assert_eq(run("systemctl daemon-reload && systemctl start " UNIT), 0);
}

Test(cgroup_process, attach_unit) {
        TenantGroup *group;
        char *path = NULL;

        if (!is_systemd) {
                group = ensure("test-unit");
                cr_assert_eq(tenant_group_attach_unit(group, UNIT, &path), -EOPNOTSUPP);
                remove_group(group);
                return;
        }
        write_unit();
        group = ensure_limited("test-unit");
        cr_assert_eq(tenant_group_attach_unit(group, "headgate-no-such.service", &path), -ENOENT);
        cr_assert_eq(tenant_group_attach_unit(group, "../x.service", &path), -EINVAL);
        cr_assert_eq(tenant_group_attach_unit(group, UNIT, &path), 0);
        cr_assert_str_eq(path, "/system.slice/" UNIT, "it goes on where it was: %s", path);
        free(path);
        cr_assert_eq(run("systemctl restart " UNIT), 0);
        cr_assert_eq(run("test \"$(systemctl show -P Slice " UNIT ")\" = 'headgate-test\\x2dunit.slice'"), 0);
        cr_assert_eq(tenant_group_populated(group), 1);
        cr_assert_eq(tenant_group_remove(driver, "test-unit"), -EBUSY);
        cr_assert_eq(run("systemctl stop " UNIT), 0);
        remove_group(group);

        /* The tie goes with the tenant. */
        cr_assert_eq(run("systemctl start " UNIT), 0);
        cr_assert_eq(run("test \"$(systemctl show -P ControlGroup " UNIT ")\" = /system.slice/" UNIT), 0);
        cr_assert_eq(run("systemctl stop " UNIT), 0);
        cr_assert_eq(access("/etc/systemd/system/" UNIT ".d", F_OK), -1);
        cr_assert_eq(unlink("/run/systemd/system/" UNIT), 0);
        cr_assert_eq(run("systemctl daemon-reload"), 0);
}

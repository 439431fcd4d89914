/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A tree of systemd's and one of groups, made by hand: whole, and with one thing missing. */

#include "enforce/cgroup-slice.h"
#include "util/cleanup.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define UNIT "headgate-a\\x2db.slice"
#define GROUP "cgroup/headgate.slice/" UNIT

static const char *const properties[] = { "CPUWeight", "IOAccounting", NULL };

static const char *const directories[] = { "run", "run/units", "run/system.control",
        "run/system.control/" UNIT ".d", "cgroup", "cgroup/headgate.slice", GROUP };

static const char *const files[] = {
        GROUP "/cgroup.procs",
        "run/system.control/" UNIT ".d/50-CPUWeight.conf",
        "run/system.control/" UNIT ".d/50-IOAccounting.conf",
};

/* The link leads nowhere: it is its name that counts. */
#define LINK "run/units/invocation:" UNIT

static bool stands(const char *missing) {
        char top[] = "/tmp/headgate-test-slice.XXXXXX", command[64];
        _cleanup_close_ int fd = -EBADF, run_fd = -EBADF, mount_fd = -EBADF;
        bool result;

        cr_assert_not_null(mkdtemp(top));
        fd = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
        for (size_t i = 0; i < ELEMENTSOF(directories); i++)
                cr_assert_eq(mkdirat(fd, directories[i], 0700), 0, "%s: %m", directories[i]);
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                _cleanup_close_ int file_fd = openat(fd, files[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

                cr_assert_geq(file_fd, 0, "%s: %m", files[i]);
        }
        cr_assert_eq(symlinkat("0123456789abcdef0123456789abcdef", fd, LINK), 0, "%m");
        if (missing)
                cr_assert_eq(unlinkat(fd, missing, 0), 0, "%s: %m", missing);

        run_fd = openat(fd, "run", O_PATH | O_DIRECTORY | O_CLOEXEC);
        mount_fd = openat(fd, "cgroup", O_PATH | O_DIRECTORY | O_CLOEXEC);
        result = slice_stands(run_fd, mount_fd, "/headgate.slice/" UNIT, properties);
        snprintf(command, sizeof command, "rm -r %s", top);
        cr_assert_eq(system(command), 0);
        return result;
}

Test(cgroup_slice, stands) {
        cr_expect(stands(NULL));
}

Test(cgroup_slice, one_thing_is_missing) {
        cr_expect_not(stands(LINK), "no invocation: it is not active");
        for (size_t i = 0; i < ELEMENTSOF(files); i++)
                cr_expect_not(stands(files[i]), "without %s", files[i]);
}

Test(cgroup_slice, other_groups) {
        _cleanup_close_ int run_fd = open("/run", O_PATH | O_DIRECTORY | O_CLOEXEC);

        cr_expect_not(slice_stands(run_fd, run_fd, "/headgate.slice", properties));
}

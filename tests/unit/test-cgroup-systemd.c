/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How a slice is removed: what PID 1, who is a child of the test, is asked for, by what it says and by what
 * is in the group, which is a directory made by hand. */

#include "enforce/cgroup-driver.h"
#include "enforce/pid1.h"
#include "support/pid1-child.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Nobody has such a tenant: the removal of its drop-ins is of this machine. */
#define TENANT "x8fd2unit"
#define SLICE "headgate-" TENANT ".slice"
#define OTHER "other.service"
#define BELOW "headgate-" TENANT "-b.slice" /* a slice of somebody in it, in which OTHER is */
#define SCOPE "session.scope"               /* beside it */

typedef struct Case {
        const char *name;
        const char *state;       /* of the slice */
        const char *other_state; /* of a unit in it; NULL: there is none */
        bool is_there;           /* its group */
        bool starts_meanwhile;   /* a process is in it when that question is answered */
        const char *started;     /* what became of StartUnit */
        bool stop_refused;
        int expected;
        const char *calls;
} Case;

static const Case cases[] = {
        { "empty", "active", NULL, true, .calls = "StopUnit RevertUnitFiles " },
        { "with a unit that has ended", "active", "inactive", true, .calls = "StopUnit RevertUnitFiles " },
        { "with one that has failed", "active", "failed", true, .calls = "StopUnit RevertUnitFiles " },
        { "with one between two runs", "active", "activating", true, .expected = -EBUSY, .calls = "" },
        { "with one that has no process", "active", "active", true, .expected = -EBUSY, .calls = "" },
        { "with one that starts meanwhile", "active", "inactive", true, .starts_meanwhile = true,
                        .expected = -EBUSY, .calls = "" },
        { "with one that is to be started", "active", "inactive", true, .stop_refused = true,
                        .expected = -EBUSY, .calls = "StopUnit " },
        { "configured, never started", "inactive", NULL, true, .started = "done",
                        .calls = "StartUnit StopUnit RevertUnitFiles " },
        { "one that cannot be started", "inactive", NULL, true, .started = "failed",
                        .calls = "StartUnit RevertUnitFiles " },
        { "gone", "inactive", NULL, false, .calls = "RevertUnitFiles " },
};

/* With the child. */
static struct Shared {
        size_t now; /* which of the cases */
        char calls[128];
} * shared;

static char directory[] = "/tmp/headgate-test-systemd.XXXXXX";
static char address[64];
static CgroupDriver driver;
static TenantGroup parent;

static void make_group(bool populated) {
        _cleanup_fclose_ FILE *f = NULL;

        (void) mkdirat(parent.fd, SLICE, 0700);
        f = fdopen(openat(parent.fd, SLICE "/cgroup.events", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
                        "w");
        fprintf(f, "populated %d\nfrozen 0\n", populated);
}

/* --- the child --- */

static int get_property(sd_bus_message *m, const Case *now) {
        _cleanup_free_ char *unit = pid1_child_unit(m);
        const char *interface, *property;

        pid1_child_check(sd_bus_message_read(m, "ss", &interface, &property));
        if (strcmp(property, "RequiredBy") == 0)
                return strcmp(unit, SLICE) == 0 ? sd_bus_reply_method_return(m, "v", "as", 2, SCOPE, BELOW)
                       : now->other_state       ? sd_bus_reply_method_return(m, "v", "as", 1, OTHER)
                                                : sd_bus_reply_method_return(m, "v", "as", 0);
        if (strcmp(unit, OTHER) != 0)
                return sd_bus_reply_method_return(
                                m, "v", "s", strcmp(unit, SLICE) == 0 ? now->state : "active");
        if (now->starts_meanwhile)
                make_group(/* populated= */ true);
        return sd_bus_reply_method_return(m, "v", "s", now->other_state);
}

static int take_job(sd_bus_message *m, const char *result) {
        pid1_child_check(sd_bus_reply_method_return(m, "o", PID1_CHILD_JOB));
        pid1_child_tell_removed(sd_bus_message_get_bus(m), PID1_CHILD_JOB, result);
        return 1;
}

static int answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const Case *now = &cases[shared->now];
        const char *member = sd_bus_message_get_member(m), *unit, *mode;

        if (strcmp(member, "Get") == 0)
                return get_property(m, now);
        strcat(strcat(shared->calls, member), " ");
        if (strcmp(member, "StartUnit") == 0)
                return take_job(m, now->started);
        if (strcmp(member, "StopUnit") != 0)
                return sd_bus_reply_method_return(m, "a(sss)", 0);
        pid1_child_check(sd_bus_message_read(m, "ss", &unit, &mode));
        if (now->stop_refused && strcmp(mode, "fail") == 0)
                return sd_bus_reply_method_errorf(
                                m, PID1_SERVICE ".TransactionIsDestructive", "%s has a job", OTHER);
        return take_job(m, "done");
}

/* --- the test's end --- */

static void set_up(void) {
        cr_assert_not_null(mkdtemp(directory));
        snprintf(address, sizeof(address), "unix:path=%s/private", directory);
        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        cr_assert_neq(shared, MAP_FAILED);
        parent.fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert_geq(parent.fd, 0);
        pid1_child_start(strchr(address, '/'), answer, NULL);
        driver.parent = &parent;
        driver.pid1 = (Pid1) PID1_AT(address);
        cr_assert_eq(pid1_connect(&driver.pid1), 0);
}

static void tear_down(void) {
        char command[64];

        pid1_rest(&driver.pid1);
        snprintf(command, sizeof(command), "rm -r %s", directory);
        cr_assert_eq(system(command), 0);
}

TestSuite(cgroup_systemd, .init = set_up, .fini = tear_down, .timeout = 60);

Test(cgroup_systemd, a_slice_goes_with_nobody_in_it) {
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                int r;

                *shared = (struct Shared){ .now = i };
                if (cases[i].is_there)
                        make_group(/* populated= */ false);
                r = cgroup_systemd_ops.remove(&driver, TENANT);
                cr_expect_eq(r, cases[i].expected, "%s: %s", cases[i].name, strerror(-r));
                cr_expect_str_eq(shared->calls, cases[i].calls, "%s: %s", cases[i].name, shared->calls);
                (void) unlinkat(parent.fd, SLICE "/cgroup.events", 0);
                (void) unlinkat(parent.fd, SLICE, AT_REMOVEDIR);
        }
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The parent control group of all tenants: one headgated has it, its floors are raised before its children
 * are given theirs and lowered after they were taken theirs (2. and 6. of reconcile.c), and it is read back.
 */

#include "reconcile-internal.h"

#include "util/log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

/* The one that the driver holds now. */
static int lock_parent(Reconciler *reconciler) {
        const int driver_fd = cgroup_driver_parent_fd(reconciler->driver);
        _cleanup_close_ int fd = -EBADF;
        struct stat held, now;

        if (reconciler->parent_fd >= 0 && fstat(reconciler->parent_fd, &held) >= 0 &&
                        fstat(driver_fd, &now) >= 0 && held.st_ino == now.st_ino)
                return 0;
        fd = openat(driver_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
                return -errno;
        cleanup_close(&reconciler->parent_fd);
        reconciler->parent_fd = TAKE_FD(fd);
        return 0;
}

int reconciler_hold_parent(Reconciler *reconciler) {
        int made = cgroup_parent_ensure(reconciler->driver), r;

        if (made > 0)
                reconciler->parent = (Settings){};
        r = made < 0 ? made : lock_parent(reconciler);
        return r < 0 ? r : made;
}

int reconciler_look_at_parent(Reconciler *reconciler) {
        Settings settings;
        int r = reconciler_hold_parent(reconciler);

        if (r < 0)
                return r;
        if (cgroup_parent_give_controllers(reconciler->driver) > 0)
                reconciler_look_again(reconciler);
        return cgroup_parent_observe(reconciler->driver, &settings, &reconciler->siblings);
}

bool reconciler_has_controllers(const Reconciler *reconciler, char *ret_have, char *ret_want) {
        uint32_t enabled, wanted;

        if (cgroup_parent_observe_controllers(reconciler->driver, &enabled, &wanted) < 0)
                return true; /* it has gone, and will be made with them */
        controllers_format(enabled, ret_have);
        controllers_format(wanted, ret_want);
        return enabled == wanted;
}

static void describe(char *ret, size_t size, const Settings *diff, const Settings *observed) {
        Setting setting = (Setting) __builtin_ctz(diff->present);
        char want[SETTING_TEXT_SIZE], have[SETTING_TEXT_SIZE];

        setting_format(setting, diff->value[setting], want);
        setting_format(setting, observed->value[setting], have);
        snprintf(ret, size, "%s is %s and should be %s", setting_info(setting)->file, have, want);
}

/* Observe, compare, write, read back; with `raise_only` never less than it has. */
static int change_parent(
                Reconciler *reconciler, const Settings *planned, bool raise_only, unsigned *written) {
        char have[CONTROLLERS_TEXT_SIZE], want[CONTROLLERS_TEXT_SIZE];
        Settings observed, wanted = *planned, diff;
        int r;

        r = cgroup_parent_observe(reconciler->driver, &observed, &reconciler->siblings);
        if (r < 0)
                return r;
        wanted.present &= observed.present;
        for (Setting setting = 0; raise_only && setting < SETTING_MAX; setting++)
                if (settings_has(&wanted, setting) && wanted.value[setting] < observed.value[setting])
                        wanted.value[setting] = observed.value[setting];
        settings_diff(&observed, &wanted, &diff);
        if (diff.present) {
                *written += (unsigned) __builtin_popcount(diff.present);
                r = cgroup_parent_apply(reconciler->driver, &diff);
                if (r >= 0)
                        r = cgroup_parent_observe(reconciler->driver, &observed, &reconciler->siblings);
                if (r < 0)
                        return r;
                settings_diff(&observed, &wanted, &diff);
        }
        if (diff.present) {
                describe(reconciler->parent_problem, sizeof reconciler->parent_problem, &diff, &observed);
                return -EREMOTEIO;
        }
        settings_diff(&observed, planned, &diff);
        if (!(diff.present & observed.present) && reconciler_has_controllers(reconciler, have, want))
                reconciler->parent = *planned;
        return 0;
}

int reconciler_apply_parent(
                Reconciler *reconciler, const Settings *planned, bool raise_only, unsigned *written) {
        const LogFields fields = { .object = cgroup_driver_parent(reconciler->driver) };
        int r;

        if (settings_equal(&reconciler->parent, planned))
                return 0;
        reconciler->parent = (Settings){};
        reconciler->parent_problem[0] = '\0';
        r = change_parent(reconciler, planned, raise_only, written);
        if (r >= 0)
                return 0;
        if (r != -EREMOTEIO)
                snprintf(reconciler->parent_problem, sizeof reconciler->parent_problem,
                                "it cannot be set: %s", strerror(-r));
        log_write(LOG_ERR, &fields, "The parent control group is not as planned: %s",
                        reconciler->parent_problem);
        return r;
}

const char *reconciler_parent_problem(const Reconciler *reconciler) {
        return reconciler->parent_problem[0] ? reconciler->parent_problem : NULL;
}

int reconciler_note_weight(const Reconciler *reconciler, FeatureSet *features) {
        const Plan *plan = &reconciler->plan;
        const char *parent = cgroup_driver_parent(reconciler->driver);

        if (!(cgroup_driver_settings(reconciler->driver) & (1U << SETTING_CPU_WEIGHT)))
                return 0; /* said by the driver */
        if (plan->parent_weight <= CPU_WEIGHT_MAX)
                return feature_set_put(features, "cpu.floor", true,
                                "by cpu.weight of %s beside its siblings'", parent);
        return feature_set_put(features, "cpu.floor", false,
                        "what is reserved of CPU is not all kept: %s would need a cpu.weight of %" PRIu64
                        " beside its siblings' %" PRIu64
                        ", the kernel takes %u; reserve less, or give the groups beside it less weight",
                        parent, plan->parent_weight, reconciler->siblings.cpu, CPU_WEIGHT_MAX);
}

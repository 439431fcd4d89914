/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Which of the files that settings and limits are held by this node has, as features: each with words on why
 * it is missing where it is.
 */

#include "enforce/cgroup-driver.h"

#include <errno.h>
#include <string.h>

/* A file that is not there, of a setting or of limits. */
typedef struct Lack {
        const char *file;
        CgroupController controller;
        const char *feature, *effect;
} Lack;

static int put_missing(const CgroupDriver *driver, const Lack *lack, FeatureSet *features) {
        const char *controller = controller_to_string(lack->controller);
        uint32_t bit = 1U << lack->controller;

        /* One file for each size of huge pages that there is. */
        if (driver->controllers & bit && lack->controller == CONTROLLER_HUGETLB)
                return feature_set_put(features, lack->feature, true,
                                "this machine has no huge pages of that size: there is nothing to limit");
        if (driver->controllers & bit)
                return feature_set_put(features, lack->feature, false, "this kernel has no %s: %s",
                                lack->file, lack->effect);
        if (driver->mounts.controllers_v1 & bit)
                return feature_set_put(features, lack->feature, false,
                                "the %s controller is not in the unified hierarchy (cgroup v1 has it): %s",
                                controller, lack->effect);
        if (driver->enable_error < 0)
                return feature_set_put(features, lack->feature, false,
                                "the %s controller cannot be enabled below %s (%s%s): %s", controller,
                                driver->root, strerror(-driver->enable_error),
                                driver->enable_error == -EBUSY ? "; processes sit in that group itself" : "",
                                lack->effect);
        return feature_set_put(features, lack->feature, false,
                        "the %s controller is not available below %s: %s", controller, driver->root,
                        lack->effect);
}

/* What nobody asked for is not missed: BFQ and latency targets are asked for by device, in the configuration.
 */
static bool limits_are_missed(LimitFile file) {
        return file == LIMIT_IO_MAX || file == LIMIT_RDMA_MAX || file == LIMIT_MISC_MAX;
}

static int put_limit_features(const CgroupDriver *driver, FeatureSet *features) {
        int r = 0;

        for (int i = 0; r >= 0 && i < LIMIT_FILE_MAX; i++) {
                const LimitFileInfo *info = limit_file_info((LimitFile) i);

                if (!limits_are_missed((LimitFile) i))
                        continue;
                if (driver->limits & (1U << i))
                        r = feature_set_put(features, info->feature, true, "by %s", info->file);
                else
                        r = put_missing(driver,
                                        &(Lack){ info->file, info->controller, info->feature, info->effect },
                                        features);
        }
        return r;
}

int driver_put_features(const CgroupDriver *driver, FeatureSet *features) {
        int r;

        r = feature_set_put(features, "cgroup", true, "groups below %s, by the %s driver",
                        driver->parent->path, cgroup_driver_kind_to_string(driver->ops->kind));
        for (int i = 0; r >= 0 && i < SETTING_MAX; i++) {
                const SettingInfo *info = setting_info((Setting) i);
                const Feature *feature = feature_set_get(features, info->feature);

                /* Two files may serve one feature: it is there when both are. */
                if (feature && !feature->available)
                        continue;
                if (driver->settings & (1U << i))
                        r = feature_set_put(features, info->feature, true, "by %s", info->file);
                else
                        r = put_missing(driver,
                                        &(Lack){ info->file, info->controller, info->feature, info->effect },
                                        features);
        }
        return r < 0 ? r : put_limit_features(driver, features);
}

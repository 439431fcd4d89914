/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What is the same for both drivers: finding the hierarchy, holding a group by its descriptors, reading what
 * holds, squeezing before a memory limit is lowered, placing and unplacing. It never decides a value, never
 * writes a group that is not the parent or a tenant's, and never touches a cgroup v1 hierarchy.
 */

#include "enforce/cgroup-driver.h"
#include "enforce/cgroup-placement.h"
#include "model/identifier.h"
#include "util/strv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#define ATTACH_MAX 16
#define SQUEEZE_MSEC 200
#define SQUEEZE_STEP_MSEC 10

_Static_assert(sizeof(ino_t) == sizeof(uint64_t), "the inode number of a group is its 64-bit id");

static const char *const kinds[CGROUP_DRIVER_MAX] = {
        [CGROUP_DRIVER_SYSTEMD] = "systemd",
        [CGROUP_DRIVER_CGROUPFS] = "cgroupfs",
};

CgroupDriverKind cgroup_driver_kind_from_string(const char *s) {
        if (strcmp(s, "auto") == 0)
                return sd_booted() > 0 ? CGROUP_DRIVER_SYSTEMD : CGROUP_DRIVER_CGROUPFS;
        for (int i = 0; i < CGROUP_DRIVER_MAX; i++)
                if (strcmp(s, kinds[i]) == 0)
                        return (CgroupDriverKind) i;
        return CGROUP_DRIVER_INVALID;
}

const char *cgroup_driver_kind_to_string(CgroupDriverKind kind) {
        return kind >= 0 && kind < CGROUP_DRIVER_MAX ? kinds[kind] : NULL;
}

CgroupDriverKind cgroup_driver_kind(const CgroupDriver *driver) {
        return driver->ops->kind;
}

const char *cgroup_driver_mount(const CgroupDriver *driver) {
        return driver->mounts.unified;
}

const char *cgroup_driver_parent(const CgroupDriver *driver) {
        return driver->parent->path;
}

int cgroup_driver_parent_fd(const CgroupDriver *driver) {
        return driver->parent->fd;
}

uint32_t cgroup_driver_settings(const CgroupDriver *driver) {
        return driver->settings;
}

uint32_t cgroup_driver_limits(const CgroupDriver *driver) {
        return driver->limits;
}

TenantGroup *tenant_group_free(TenantGroup *group) {
        if (!group)
                return NULL;
        for (int i = 0; i < SETTING_MAX; i++)
                if (group->value_fds[i] >= 0)
                        close(group->value_fds[i]);
        if (group->events_fd >= 0)
                close(group->events_fd);
        if (group->fd >= 0)
                close(group->fd);
        free(group->path);
        free(group->unit);
        free(group->tenant_id);
        free(group);
        return NULL;
}

/* Holds the group at `path`. -ENOENT: there is none. Takes over `unit` and `path` in any case. */
static int group_new(CgroupDriver *driver, const char *tenant_id, char *unit, char *path, TenantGroup **ret) {
        _cleanup_(tenant_group_free_p) TenantGroup *group = malloc(sizeof(*group));
        struct stat st;
        int r;

        if (!group) {
                free(unit);
                free(path);
                return -ENOMEM;
        }
        *group = (TenantGroup){
                .driver = driver, .unit = unit, .path = path, .fd = -EBADF, .events_fd = -EBADF
        };
        for (int i = 0; i < SETTING_MAX; i++)
                group->value_fds[i] = -EBADF;

        if (tenant_id) {
                group->tenant_id = strdup(tenant_id);
                if (!group->tenant_id)
                        return -ENOMEM;
        }
        r = group_open_directory(driver->mount_fd, path, &group->fd);
        if (r < 0)
                return r;
        r = group_open_file(group->fd, "cgroup.events", O_RDONLY, &group->events_fd);
        if (r < 0)
                return r;
        if (fstat(group->fd, &st) < 0)
                return -errno;
        group->id = st.st_ino;
        *ret = TAKE_PTR(group);
        return 0;
}

static int group_find(CgroupDriver *driver, const char *tenant_id, TenantGroup **ret) {
        char *unit = NULL, *path = NULL;
        int r;

        r = driver->ops->find(driver, tenant_id, &unit, &path);
        return r < 0 ? r : group_new(driver, tenant_id, unit, path, ret);
}

static int group_make(CgroupDriver *driver, const char *tenant_id, TenantGroup **ret) {
        char *unit = NULL, *path = NULL;
        int r;

        r = driver->ops->make(driver, tenant_id, &unit, &path);
        return r < 0 ? r : group_new(driver, tenant_id, unit, path, ret);
}

/* The settings whose files the parent has, and so its children will: some kernels lack cpu.idle. */
static uint32_t driver_find_settings(const CgroupDriver *driver) {
        uint32_t found = 0;

        for (int i = 0; i < SETTING_MAX; i++) {
                const SettingInfo *info = setting_info((Setting) i);

                if (driver->controllers & (1U << info->controller) &&
                                faccessat(driver->parent->fd, info->file, F_OK, 0) == 0)
                        found |= 1U << i;
        }
        return found;
}

/* The parent, held; made anew where someone removed it. */
static int driver_ensure_parent(CgroupDriver *driver) {
        TenantGroup *parent;
        int r;

        if (driver->parent && tenant_group_alive(driver->parent))
                return 0;
        r = group_make(driver, /* tenant_id= */ NULL, &parent);
        if (r < 0)
                return r;
        tenant_group_free(driver->parent);
        driver->parent = parent;
        r = driver->ops->enable(driver);
        if (r < 0)
                return r;
        driver->settings = driver_find_settings(driver);
        driver->limits = driver_find_limits(driver);
        return 0;
}

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

static int driver_put_features(const CgroupDriver *driver, FeatureSet *features) {
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

static int mounts_find(CgroupMounts *ret) {
        _cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        ssize_t n;

        if (!f)
                return -errno;
        n = getdelim(&text, &size, '\0', f);
        if (n < 0)
                return errno > 0 ? -errno : -ENODATA;
        return cgroup_mounts_parse(text, ret);
}

CgroupDriver *cgroup_driver_free(CgroupDriver *driver) {
        if (!driver)
                return NULL;
        tenant_group_free(driver->parent);
        if (driver->root_fd >= 0)
                close(driver->root_fd);
        if (driver->mount_fd >= 0)
                close(driver->mount_fd);
        free(driver->root);
        cgroup_mounts_deinit(&driver->mounts);
        free(driver);
        return NULL;
}

static int driver_open(CgroupDriver *driver, const char *root) {
        int r;

        r = mounts_find(&driver->mounts);
        if (r < 0)
                return r;
        if (!driver->mounts.unified)
                return -ENODEV;
        driver->mount_fd = open(driver->mounts.unified, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (driver->mount_fd < 0)
                return -errno;
        driver->root = strdup(root);
        if (!driver->root)
                return -ENOMEM;
        r = group_open_directory(driver->mount_fd, driver->root, &driver->root_fd);
        if (r < 0)
                return r;
        return driver_ensure_parent(driver);
}

int cgroup_driver_new(CgroupDriverKind kind, const char *root, FeatureSet *features, CgroupDriver **ret) {
        static const CgroupDriverOps *const ops[CGROUP_DRIVER_MAX] = {
                [CGROUP_DRIVER_SYSTEMD] = &cgroup_systemd_ops,
                [CGROUP_DRIVER_CGROUPFS] = &cgroup_cgroupfs_ops,
        };
        _cleanup_(cgroup_driver_free_p) CgroupDriver *driver = NULL;
        int r;

        if (kind < 0 || kind >= CGROUP_DRIVER_MAX)
                return -EINVAL;
        if (kind == CGROUP_DRIVER_SYSTEMD || !root)
                root = "/";
        if (*root != '/')
                return -EINVAL;
        driver = calloc(1, sizeof(*driver));
        if (!driver)
                return -ENOMEM;
        driver->ops = ops[kind];
        driver->mount_fd = driver->root_fd = -EBADF;

        r = driver_open(driver, root);
        if (r < 0) {
                (void) feature_set_put(features, "cgroup", false, "no group could be made below %s (%s): %s",
                                root, strerror(-r), "nothing is limited");
                return r;
        }
        r = driver_put_features(driver, features);
        if (r >= 0)
                r = cgroup_driver_put_placement_features(driver, features);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(driver);
        return 0;
}

typedef struct SiblingSum {
        const char *own_name;
        SiblingWeights weights;
} SiblingSum;

static void add_weight(int fd, Setting setting, uint64_t *sum) {
        char text[SETTING_TEXT_SIZE];
        uint64_t value;

        if (group_read_file(fd, setting_info(setting)->file, text, sizeof(text)) >= 0 &&
                        setting_parse(setting, text, &value) >= 0)
                *sum += value;
}

static int add_sibling(int parent_fd, const char *name, void *userdata) {
        SiblingSum *sum = userdata;
        _cleanup_close_ int fd = -EBADF;
        char text[SETTING_TEXT_SIZE];

        if (strcmp(name, sum->own_name) == 0 || group_open_directory(parent_fd, name, &fd) < 0)
                return 0;
        if (group_read_file(fd, "cpu.idle", text, sizeof(text)) < 0 || strncmp(text, "1", 1) != 0)
                add_weight(fd, SETTING_CPU_WEIGHT, &sum->weights.cpu);
        add_weight(fd, SETTING_IO_WEIGHT, &sum->weights.io);
        return 0;
}

int cgroup_parent_observe(CgroupDriver *driver, Settings *ret, SiblingWeights *ret_siblings) {
        SiblingSum sum = { .own_name = strrchr(driver->parent->path, '/') + 1 };
        Settings settings;
        int r;

        r = tenant_group_observe(driver->parent, &settings);
        if (r < 0)
                return r;
        r = group_each_child(driver->root_fd, add_sibling, &sum);
        if (r < 0)
                return r;
        *ret = settings;
        *ret_siblings = sum.weights;
        return 0;
}

int cgroup_parent_apply(CgroupDriver *driver, const Settings *changes) {
        return tenant_group_apply(driver->parent, changes);
}

int tenant_group_ensure(CgroupDriver *driver, const char *tenant_id, TenantGroup **ret) {
        int r;

        if (!identifier_valid(tenant_id))
                return -EINVAL;
        r = driver_ensure_parent(driver);
        if (r < 0)
                return r;
        r = group_make(driver, tenant_id, ret);
        return r == -ENOENT ? -ENOLINK : r; /* it went between being made and being opened */
}

const char *tenant_group_path(const TenantGroup *group) {
        return group->path;
}

int tenant_group_fd(const TenantGroup *group) {
        return group->fd;
}

uint64_t tenant_group_id(const TenantGroup *group) {
        return group->id;
}

static int group_read_event(const TenantGroup *group, const char *key, uint64_t *ret) {
        char text[128];
        int r;

        r = group_read_fd(group->events_fd, text, sizeof(text));
        return r < 0 ? r : cgroup_events_parse(text, key, ret);
}

bool tenant_group_alive(const TenantGroup *group) {
        uint64_t populated;

        return group_read_event(group, "populated", &populated) >= 0;
}

int tenant_group_populated(TenantGroup *group) {
        uint64_t populated;
        int r;

        r = group_read_event(group, "populated", &populated);
        return r < 0 ? r : populated != 0;
}

int tenant_group_observe_some(TenantGroup *group, uint32_t which, Settings *ret) {
        Settings settings = { 0 };

        for (int i = 0; i < SETTING_MAX; i++) {
                uint64_t value;
                int r;

                if (!(group->driver->settings & which & (1U << i)))
                        continue;
                r = group_read_setting(group, (Setting) i, &value);
                if (r == -ENOENT) /* a controller that someone took from this group */
                        continue;
                if (r < 0)
                        return r;
                settings_put(&settings, (Setting) i, value);
        }
        /* An idle group shows weight 0, which says nothing. */
        if (settings_has(&settings, SETTING_CPU_IDLE) && settings.value[SETTING_CPU_IDLE] != 0)
                settings.present &= ~(1U << SETTING_CPU_WEIGHT);
        if (settings.present == 0 && !tenant_group_alive(group))
                return -ENOLINK;
        *ret = settings;
        return 0;
}

int tenant_group_observe(TenantGroup *group, Settings *ret) {
        return tenant_group_observe_some(group, UINT32_MAX, ret);
}

int tenant_group_memory_current(TenantGroup *group, uint64_t *ret_bytes) {
        char text[SETTING_TEXT_SIZE];
        int r;

        r = group_read_file(group->fd, "memory.current", text, sizeof(text));
        if (r < 0)
                return r == -ENOENT ? -EOPNOTSUPP : r;
        return setting_parse(SETTING_MEMORY_MAX, text, ret_bytes);
}

static uint64_t monotonic_msec(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}

/*
 * memory.max below what is used kills at once (Documentation/admin-guide/cgroup-v2.rst); memory.high only
 * reclaims. Gives memory.high as it was, UNLIMITED and *ret_squeezed false where nothing had to be done.
 */
static int group_squeeze(
                TenantGroup *group, const Settings *settled, bool *ret_squeezed, uint64_t *ret_high) {
        uint64_t target, current, high, deadline;
        int r;

        *ret_squeezed = false;
        if (!settings_has(settled, SETTING_MEMORY_MAX) || settled->value[SETTING_MEMORY_MAX] == UNLIMITED ||
                        !(group->driver->settings & (1U << SETTING_MEMORY_HIGH)))
                return 0;
        target = settled->value[SETTING_MEMORY_MAX];
        r = tenant_group_memory_current(group, &current);
        if (r < 0)
                return r;
        if (current <= target)
                return 0;

        r = group_read_setting(group, SETTING_MEMORY_HIGH, &high);
        if (r < 0)
                return r;
        if (high > target) {
                r = group_write_setting(group, SETTING_MEMORY_HIGH, target);
                if (r < 0)
                        return r;
                *ret_squeezed = true;
                *ret_high = high;
        }
        deadline = monotonic_msec() + SQUEEZE_MSEC;
        while (tenant_group_memory_current(group, &current) >= 0 && current > target &&
                        monotonic_msec() < deadline)
                (void) poll(NULL, 0, SQUEEZE_STEP_MSEC);
        return 0;
}

static int group_is_idle(TenantGroup *group, bool *ret) {
        uint64_t idle = 0;
        int r = 0;

        if (group->driver->settings & (1U << SETTING_CPU_IDLE))
                r = group_read_setting(group, SETTING_CPU_IDLE, &idle);
        if (r < 0 && r != -ENOENT)
                return r;
        *ret = idle != 0;
        return 0;
}

/*
 * A quota below the burst is refused (EINVAL), which systemd takes for a success that changes nothing: the
 * burst goes first, and comes back with what else systemd has no property for.
 */
static int group_lower_burst(TenantGroup *group, Settings *settled) {
        uint64_t burst;
        int r;

        if (!settings_has(settled, SETTING_CPU_MAX) || !(group->driver->settings & (1U << SETTING_CPU_BURST)))
                return 0;
        r = group_read_setting(group, SETTING_CPU_BURST, &burst);
        if (r < 0 || burst == 0)
                return r;
        if (!settings_has(settled, SETTING_CPU_BURST))
                settings_put(settled, SETTING_CPU_BURST, burst);
        return group_write_setting(group, SETTING_CPU_BURST, 0);
}

int tenant_group_apply(TenantGroup *group, const Settings *changes) {
        Settings settled = *changes;
        bool idle, squeezed;
        uint64_t high = UNLIMITED;
        int r;

        if (!tenant_group_alive(group))
                return -ENOLINK;
        r = group_is_idle(group, &idle);
        if (r < 0)
                return r;
        settled.present &= group->driver->settings;
        settled = settings_settle(&settled, idle);
        if (settled.present == 0)
                return 0;
        r = group_squeeze(group, &settled, &squeezed, &high);
        if (r < 0)
                return r;

        r = group_lower_burst(group, &settled);
        if (r >= 0)
                r = group->driver->ops->apply(group, &settled);
        /* Also after a failure: a squeeze that nobody asked for must not stay. */
        if (squeezed && (r < 0 || !settings_has(&settled, SETTING_MEMORY_HIGH))) {
                int k = group_write_setting(group, SETTING_MEMORY_HIGH, high);

                if (r >= 0)
                        r = k;
        }
        return r;
}

int tenant_group_attach(TenantGroup *group, const int *pidfds, size_t n, char **ret_group) {
        _cleanup_free_ char *path = NULL;
        Process *processes;
        int r;

        if (n == 0)
                return -EINVAL;
        if (n > ATTACH_MAX)
                return -E2BIG;
        if (!tenant_group_alive(group))
                return -ENOLINK;
        r = processes_identify(pidfds, n, &processes);
        if (r < 0)
                return r;
        r = group->driver->ops->attach(group, processes, n, &path);
        if (r >= 0 && !processes_placed(processes, n, path))
                r = -ESRCH;
        if (r < 0 && path)
                processes_undo(group->driver, processes, n, path);
        processes_free(processes, n);
        if (r < 0)
                return r;
        *ret_group = TAKE_PTR(path);
        return 0;
}

int tenant_group_attach_unit(TenantGroup *group, const char *unit, char **ret_group) {
        return group->driver->ops->attach_unit(group, unit, ret_group);
}

int tenant_group_signal(TenantGroup *group, int signal) {
        if (!tenant_group_alive(group))
                return -ENOLINK;
        return group->driver->ops->signal(group, signal);
}

int tenant_group_freeze(TenantGroup *group, bool frozen) {
        return group_write_file(group->fd, "cgroup.freeze", frozen ? "1" : "0");
}

int tenant_group_is_frozen(TenantGroup *group) {
        char text[SETTING_TEXT_SIZE];
        int r;

        r = group_read_file(group->fd, "cgroup.freeze", text, sizeof(text));
        return r < 0 ? r : *text == '1';
}

int tenant_group_kill(TenantGroup *group) {
        return group_write_file(group->fd, "cgroup.kill", "1");
}

/* Refuses while anything is in the group or below it, then has the driver remove it. */
static int driver_remove(CgroupDriver *driver, const char *tenant_id) {
        _cleanup_(tenant_group_free_p) TenantGroup *group = NULL;
        int r;

        r = group_find(driver, tenant_id, &group);
        if (r >= 0) {
                r = tenant_group_populated(group);
                if (r > 0)
                        return -EBUSY;
        }
        if (r < 0 && r != -ENOENT && r != -ENOLINK)
                return r;
        return driver->ops->remove(driver, tenant_id);
}

int tenant_group_remove(CgroupDriver *driver, const char *tenant_id) {
        return identifier_valid(tenant_id) ? driver_remove(driver, tenant_id) : -EINVAL;
}

int tenant_group_untie(CgroupDriver *driver, const char *tenant_id) {
        return driver->ops->untie ? driver->ops->untie(tenant_id) : 0;
}

typedef struct TenantList {
        CgroupDriver *driver;
        char **ids;
} TenantList;

static int add_tenant(int parent_fd, const char *name, void *userdata) {
        TenantList *list = userdata;
        char id[IDENTIFIER_LENGTH_MAX + 1];

        return list->driver->ops->parse_name(name, id) ? strv_push(&list->ids, id) : 0;
}

int cgroup_driver_list(CgroupDriver *driver, char ***ret_tenant_ids) {
        TenantList list = { driver, NULL };
        int r;

        r = group_each_child(driver->parent->fd, add_tenant, &list);
        if (r < 0 && r != -ENOLINK) {
                strv_free(list.ids);
                return r;
        }
        *ret_tenant_ids = list.ids;
        return 0;
}

static int count_child(int parent_fd, const char *name, void *userdata) {
        ++*(size_t *) userdata;
        return 0;
}

int cgroup_driver_remove_parent(CgroupDriver *driver) {
        size_t n = 0;
        int r;

        r = group_each_child(driver->parent->fd, count_child, &n);
        if (r < 0 && r != -ENOLINK)
                return r;
        return n > 0 ? -EBUSY : driver_remove(driver, /* tenant_id= */ NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What is the same for both drivers: finding the hierarchy, the parent of all tenants' groups, and a tenant's
 * group, held by its descriptors, from when it is made until it is removed. It never touches a cgroup v1
 * hierarchy. What is done with a group meanwhile is cgroup-tenant.c.
 */

#include "enforce/cgroup-driver.h"
#include "enforce/cgroup-placement.h"
#include "model/identifier.h"
#include "util/strv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

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
        cleanup_close(&group->freeze_fd);
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
        *group = (TenantGroup){ .driver = driver,
                .unit = unit,
                .path = path,
                .fd = -EBADF,
                .events_fd = -EBADF,
                .freeze_fd = -EBADF };
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

int cgroup_parent_ensure(CgroupDriver *driver) {
        TenantGroup *parent;
        int r;

        if (driver->parent && tenant_group_alive(driver->parent))
                return 0;
        r = group_make(driver, /* tenant_id= */ NULL, &parent);
        if (r < 0)
                return r;
        tenant_group_free(driver->parent);
        driver->parent = parent;
        r = driver_enable_controllers(driver);
        if (r < 0)
                return r;
        driver->settings = driver_find_settings(driver);
        driver->limits = driver_find_limits(driver);
        return 1;
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
        cgroup_driver_rest(driver);
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
        r = cgroup_parent_ensure(driver);
        return r < 0 ? r : 0;
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
        driver->pid1 = (Pid1) PID1_AT(PID1_ADDRESS);

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
        r = cgroup_parent_ensure(driver);
        if (r < 0)
                return r;
        r = group_make(driver, tenant_id, ret);
        return r == -ENOENT ? -ENOLINK : r; /* it went between being made and being opened */
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
        return driver->ops->untie ? driver->ops->untie(driver, tenant_id) : 0;
}

int cgroup_driver_order_units(CgroupDriver *driver) {
        return driver->ops->order_units ? driver->ops->order_units(driver) : 0;
}

void cgroup_driver_rest(CgroupDriver *driver) {
        if (driver->ops->rest)
                driver->ops->rest(driver);
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

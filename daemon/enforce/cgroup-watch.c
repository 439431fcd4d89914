/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Inotify's text and descriptors. Watches are set through held directories, so that a group made anew under
 * the same name is never taken for its predecessor; that one's watch the kernel does not end by itself
 * (kernfs keeps the inode), so it is ended here.
 */

#include "enforce/cgroup-watch.h"
#include "enforce/cgroup-text.h"
#include "enforce/limit-text.h"

#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#define READ_SIZE 16384

typedef struct Watched {
        int descriptor; /* 0: none; inotify(7) begins with 1 */
        uint64_t id;    /* of the group */
        char *name;     /* of its directory, owned */
} Watched;

typedef struct Adopted {
        int descriptor; /* 0: none */
        uint32_t slot;
        uint64_t id;
} Adopted;

struct CgroupWatch {
        int fd;
        Watched parent; /* its name is not kept */
        uint32_t n_slots;
        uint32_t last;    /* slot of the last event */
        Watched *slots;   /* owned */
        Adopted *adopted; /* owned */
        size_t n_adopted;
};

int cgroup_watch_new(uint32_t n_slots, CgroupWatch **ret) {
        _cleanup_(cgroup_watch_free_p) CgroupWatch *watch = calloc(1, sizeof(*watch));

        if (!watch)
                return -ENOMEM;
        watch->n_slots = n_slots;
        watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (watch->fd < 0)
                return -errno;
        watch->slots = calloc(n_slots, sizeof(Watched));
        if (!watch->slots)
                return -ENOMEM;
        *ret = TAKE_PTR(watch);
        return 0;
}

CgroupWatch *cgroup_watch_free(CgroupWatch *watch) {
        if (!watch)
                return NULL;
        cleanup_close(&watch->fd);
        for (uint32_t slot = 0; watch->slots && slot < watch->n_slots; slot++)
                free(watch->slots[slot].name);
        free(watch->slots);
        free(watch->adopted);
        free(watch);
        return NULL;
}

int cgroup_watch_fd(const CgroupWatch *watch) {
        return watch->fd;
}

/* The directory, or the file in it. 0: it is gone by now. */
static int add_watch(const CgroupWatch *watch, int directory_fd, const char *file, uint32_t mask) {
        char path[sizeof("/proc/self/fd/-2147483648/cgroup.events")];
        int descriptor;

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d%s", directory_fd, file);
        descriptor = inotify_add_watch(watch->fd, path, mask);
        if (descriptor < 0)
                return errno == ENOENT || errno == ENODEV ? 0 : -errno;
        return descriptor;
}

static void end_watch(const CgroupWatch *watch, Watched *watched) {
        if (watched->descriptor > 0)
                (void) inotify_rm_watch(watch->fd, watched->descriptor);
        free(watched->name);
        *watched = (Watched){};
}

int cgroup_watch_follow_parent(CgroupWatch *watch, const CgroupDriver *driver) {
        int fd = cgroup_driver_parent_fd(driver), descriptor;
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (watch->parent.descriptor > 0 && watch->parent.id == st.st_ino)
                return 0;
        end_watch(watch, &watch->parent);
        descriptor = add_watch(watch, fd, "", IN_MODIFY | IN_DELETE | IN_ONLYDIR);
        if (descriptor > 0)
                watch->parent = (Watched){ .descriptor = descriptor, .id = st.st_ino };
        return descriptor < 0 ? descriptor : 0;
}

int cgroup_watch_follow(CgroupWatch *watch, uint32_t slot, const TenantGroup *group) {
        Watched *watched = &watch->slots[slot];
        int descriptor;

        if (group && watched->descriptor > 0 && watched->id == tenant_group_id(group))
                return 0;
        end_watch(watch, watched);
        descriptor = group ? add_watch(watch, tenant_group_fd(group), "", IN_MODIFY | IN_ONLYDIR) : 0;
        if (descriptor <= 0)
                return descriptor;
        *watched = (Watched){ descriptor, tenant_group_id(group),
                strdup(strrchr(tenant_group_path(group), '/') + 1) };
        return watched->name ? 0 : -ENOMEM;
}

/* From `cursor` on, around: most are asked for in the order in which they are kept. */
static Adopted *find_adopted(CgroupWatch *watch, uint64_t id, size_t *cursor) {
        for (size_t i = 0; i < watch->n_adopted; i++) {
                Adopted *adopted = &watch->adopted[(*cursor + i) % watch->n_adopted];

                if (adopted->id == id && adopted->descriptor > 0) {
                        *cursor += i + 1;
                        return adopted;
                }
        }
        return NULL;
}

static int watch_adopted(const CgroupWatch *watch, const CgroupDriver *driver, const CgroupAdopted *group) {
        _cleanup_close_ int fd = -EBADF;
        uint64_t id;
        int r = cgroup_foreign_open(driver, group->path, &fd, &id);

        if (r == -ENOENT || (r >= 0 && id != group->id))
                return 0;
        return r < 0 ? r : add_watch(watch, fd, "/cgroup.events", IN_MODIFY);
}

int cgroup_watch_follow_adopted(
                CgroupWatch *watch, const CgroupDriver *driver, const CgroupAdopted *groups, size_t n) {
        Adopted *now = calloc(n + 1, sizeof(*now));
        size_t cursor = 0;
        int r = 0;

        if (!now)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                Adopted *had = find_adopted(watch, groups[i].id, &cursor);
                int descriptor = had ? had->descriptor : watch_adopted(watch, driver, &groups[i]);

                if (had)
                        had->descriptor = 0;
                if (descriptor < 0)
                        r = descriptor;
                now[i] = (Adopted){ descriptor > 0 ? descriptor : 0, groups[i].slot, groups[i].id };
        }
        for (size_t i = 0; i < watch->n_adopted; i++)
                if (watch->adopted[i].descriptor > 0)
                        (void) inotify_rm_watch(watch->fd, watch->adopted[i].descriptor);
        free(watch->adopted);
        watch->adopted = now;
        watch->n_adopted = n;
        return r;
}

static void tell_adopted(const CgroupWatch *watch, int descriptor, CgroupWatchTell tell, void *userdata) {
        for (size_t i = 0; i < watch->n_adopted; i++)
                if (watch->adopted[i].descriptor == descriptor)
                        tell(watch->adopted[i].slot, CGROUP_NEWS_ADOPTED, "cgroup.events", userdata);
}

static bool is_watched(const Watched *watched, int descriptor, const char *gone_name) {
        if (gone_name)
                return watched->name && strcmp(watched->name, gone_name) == 0;
        return watched->descriptor == descriptor;
}

/* By the watch, or of a group that is gone by its name. Events come in runs. */
static void tell_slot(CgroupWatch *watch, int descriptor, const char *gone_name, CgroupNews news,
                const char *file, CgroupWatchTell tell, void *userdata) {
        uint32_t slot = watch->last;

        if (!is_watched(&watch->slots[slot], descriptor, gone_name))
                for (slot = 0; slot < watch->n_slots; slot++)
                        if (is_watched(&watch->slots[slot], descriptor, gone_name))
                                break;
        if (slot == watch->n_slots)
                return;
        watch->last = slot;
        tell(slot, news, file, userdata);
}

static void take_event(
                CgroupWatch *watch, const struct inotify_event *event, CgroupWatchTell tell, void *userdata) {
        const char *name = event->len > 0 ? event->name : "";
        bool is_parent = event->wd == watch->parent.descriptor;

        if (event->mask & IN_DELETE)
                tell_slot(watch, 0, name, CGROUP_NEWS_WRITTEN, "", tell, userdata);
        else if (!(event->mask & IN_MODIFY))
                return;
        else if (event->len == 0) /* a file's own */
                tell_adopted(watch, event->wd, tell, userdata);
        else if (strcmp(name, "cgroup.events") == 0 && !is_parent)
                tell_slot(watch, event->wd, NULL, CGROUP_NEWS_EVENTS, name, tell, userdata);
        else if (!cgroup_file_is_set(name) && !limit_file_is_set(name) &&
                        !(is_parent && strcmp(name, CGROUP_CONTROLLERS_FILE) == 0))
                return; /* memory.events …: the kernel's own */
        else if (is_parent)
                tell(CGROUP_WATCH_PARENT, CGROUP_NEWS_WRITTEN, name, userdata);
        else
                tell_slot(watch, event->wd, NULL, CGROUP_NEWS_WRITTEN, name, tell, userdata);
}

int cgroup_watch_read(CgroupWatch *watch, CgroupWatchTell tell, void *userdata) {
        char buffer[READ_SIZE] __attribute__((__aligned__(__alignof__(struct inotify_event))));
        ssize_t n = read(watch->fd, buffer, sizeof(buffer));
        bool lost = false;

        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        for (char *p = buffer; p < buffer + n;) {
                const struct inotify_event *event = (const struct inotify_event *) p;

                lost = lost || (event->mask & IN_Q_OVERFLOW);
                take_event(watch, event, tell, userdata);
                p += sizeof(*event) + event->len;
        }
        return lost;
}

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

struct CgroupWatch {
        int fd;
        Watched parent; /* its name is not kept */
        uint32_t n_slots;
        uint32_t last;  /* slot of the last event */
        Watched *slots; /* owned */
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
        free(watch);
        return NULL;
}

int cgroup_watch_fd(const CgroupWatch *watch) {
        return watch->fd;
}

/* 0: the directory is gone by now. */
static int add_watch(const CgroupWatch *watch, int directory_fd, uint32_t mask) {
        char path[sizeof("/proc/self/fd/-2147483648")];
        int descriptor;

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", directory_fd);
        descriptor = inotify_add_watch(watch->fd, path, mask | IN_ONLYDIR);
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
        descriptor = add_watch(watch, fd, IN_MODIFY | IN_DELETE);
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
        descriptor = group ? add_watch(watch, tenant_group_fd(group), IN_MODIFY) : 0;
        if (descriptor <= 0)
                return descriptor;
        *watched = (Watched){ descriptor, tenant_group_id(group),
                strdup(strrchr(tenant_group_path(group), '/') + 1) };
        return watched->name ? 0 : -ENOMEM;
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

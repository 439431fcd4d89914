/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Says which groups of ours somebody wrote to, us among them, which of them went, and which fell empty,
 * adopted ones included: one inotify descriptor, one watch a group. It compares nothing: who asks looks at
 * the group.
 *
 * A write through any descriptor is an event of the directory (fs/kernfs uses vfs_write(): measured on 6.1,
 * 6.12 and 6.18); the removal of a group is one of its parent's directory alone.
 */

#include "enforce/cgroup.h"

typedef struct CgroupWatch CgroupWatch;

/* Of the parent and of groups in slots below `n_slots`. */
int cgroup_watch_new(uint32_t n_slots, CgroupWatch **ret);
CgroupWatch *cgroup_watch_free(CgroupWatch *watch);
DEFINE_CLEANUP(CgroupWatch *, cgroup_watch_free);

int cgroup_watch_fd(const CgroupWatch *watch); /* readable with news; the watch's own */

/* Cheap where the group is watched already. -ENOSPC: over fs.inotify.max_user_watches. */
int cgroup_watch_follow_parent(CgroupWatch *watch, const CgroupDriver *driver);
/* The slot's group is this one now; NULL: none. */
int cgroup_watch_follow(CgroupWatch *watch, uint32_t slot, const TenantGroup *group);

typedef struct CgroupAdopted {
        uint32_t slot;
        uint64_t id;
        const char *path; /* below the mount */
} CgroupAdopted;
/* These are adopted now, and no others; of them cgroup.events alone is watched. Cheap where they are the same
 * in the same order. -ENOSPC as above; what is gone is left out. */
int cgroup_watch_follow_adopted(
                CgroupWatch *watch, const CgroupDriver *driver, const CgroupAdopted *groups, size_t n);

#define CGROUP_WATCH_PARENT UINT32_MAX
typedef enum CgroupNews {
        CGROUP_NEWS_WRITTEN, /* or gone */
        CGROUP_NEWS_EVENTS,  /* the kernel changed cgroup.events: it was populated, emptied, frozen or thawed
                              */
        CGROUP_NEWS_ADOPTED, /* the same of a group that is adopted */
} CgroupNews;
/* `file`: which one was written; "": the group went. */
typedef void (*CgroupWatchTell)(uint32_t slot, CgroupNews news, const char *file, void *userdata);
/* Reads some of the news, and tells whom they concern, perhaps repeatedly: 1 where the kernel dropped some,
 * and any group may have been written to. */
int cgroup_watch_read(CgroupWatch *watch, CgroupWatchTell tell, void *userdata);

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which groups were written to, and which went, as inotify says it: on the real kernel, with either driver.
 */

#include "enforce/cgroup-watch.h"

#include "driver.h"

#include <criterion/criterion.h>
#include <unistd.h>

#define SLOTS 16U

TestSuite(cgroup_watch, .init = driver_setup, .fini = driver_teardown);

typedef struct Heard {
        unsigned n[SLOTS], events[SLOTS], parent;
} Heard;

static void hear(uint32_t slot, CgroupNews news, const char *file, void *userdata) {
        Heard *heard = userdata;

        if (slot == CGROUP_WATCH_PARENT)
                heard->parent++;
        else if (news == CGROUP_NEWS_EVENTS)
                heard->events[slot]++;
        else
                heard->n[slot]++;
}

static Heard read_all(CgroupWatch *watch, bool *ret_lost) {
        Heard heard = {}, before;

        *ret_lost = false;
        do {
                int r;

                before = heard;
                r = cgroup_watch_read(watch, hear, &heard);
                cr_assert_geq(r, 0);
                *ret_lost = *ret_lost || r > 0;
        } while (memcmp(&before, &heard, sizeof(heard)) != 0);
        return heard;
}

static CgroupWatch *open_watch(TenantGroup *const *groups, size_t n) {
        CgroupWatch *watch = NULL;
        bool lost;

        cr_assert_eq(cgroup_watch_new(SLOTS, &watch), 0);
        cr_assert_eq(cgroup_watch_follow_parent(watch, driver), 0);
        for (uint32_t i = 0; i < n; i++)
                cr_assert_eq(cgroup_watch_follow(watch, i + 2, groups[i]), 0);
        (void) read_all(watch, &lost);
        return watch;
}

Test(cgroup_watch, tells_whose_file_was_written) {
        TenantGroup *groups[] = { ensure("watch-a"), ensure("watch-b") };
        CgroupWatch *watch = open_watch(groups, 2);
        Heard heard;
        bool lost;

        cr_expect(write_text(tenant_group_path(groups[1]), "cgroup.freeze", "0"));
        heard = read_all(watch, &lost);
        cr_expect_not(lost);
        cr_expect_eq(heard.n[2], 0);
        cr_expect_eq(heard.n[3], 1);
        cr_expect_eq(heard.parent, 0);

        cr_expect_eq(tenant_group_freeze(groups[0], false), 0, "our own are told like any other's");
        heard = read_all(watch, &lost);
        cr_expect_eq(heard.n[2], 1);
        cr_expect_eq(heard.n[3], 0);

        cr_expect(write_text(tenant_group_path(groups[0]), "cgroup.max.depth", "7"));
        heard = read_all(watch, &lost);
        cr_expect_eq(heard.n[2], 0, "it carries nothing of ours");

        cr_expect_eq(cgroup_watch_follow(watch, 2, NULL), 0);
        cr_expect_eq(tenant_group_freeze(groups[0], false), 0);
        heard = read_all(watch, &lost);
        cr_expect_eq(heard.n[2], 0, "it is not watched any more");

        cgroup_watch_free(watch);
        for (size_t i = 0; i < 2; i++)
                remove_group(groups[i]);
}

Test(cgroup_watch, tells_who_went_and_follows_who_came) {
        TenantGroup *group = ensure("watch-c");
        CgroupWatch *watch = open_watch(&group, 1);
        Heard heard;
        bool lost;

        cr_assert_eq(tenant_group_remove(driver, "watch-c"), 0);
        heard = read_all(watch, &lost);
        cr_expect_geq(heard.n[2], 1);
        cr_expect_not(tenant_group_alive(group));

        tenant_group_free(group);
        group = ensure("watch-c");
        cr_expect_eq(cgroup_watch_follow(watch, 2, group), 0);
        (void) read_all(watch, &lost);
        cr_expect_eq(tenant_group_freeze(group, false), 0);
        heard = read_all(watch, &lost);
        cr_expect_eq(heard.n[2], 1, "the new one is watched");

        cgroup_watch_free(watch);
        remove_group(group);
}

/* How many events wait before more are dropped. */
static unsigned queue_length(void) {
        FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
        unsigned length = 0;

        cr_assert(file && fscanf(file, "%u", &length) == 1);
        fclose(file);
        return length;
}

/* More than the kernel queues (fs.inotify.max_queued_events): it says so, and goes on. */
Test(cgroup_watch, says_what_it_lost) {
        TenantGroup *groups[] = { ensure("watch-d"), ensure("watch-e") };
        CgroupWatch *watch = open_watch(groups, 2);
        const unsigned storm = queue_length() + queue_length() / 4;
        Heard heard;
        bool lost;

        for (unsigned i = 0; i < storm; i++) /* one file's run would be one event */
                cr_assert_eq(tenant_group_freeze(groups[i % 2], false), 0);
        heard = read_all(watch, &lost);
        cr_expect(lost);
        cr_expect_lt(heard.n[2] + heard.n[3], storm);

        cr_expect_eq(tenant_group_freeze(groups[1], false), 0);
        heard = read_all(watch, &lost);
        cr_expect_not(lost);
        cr_expect_eq(heard.n[3], 1);

        cgroup_watch_free(watch);
        for (size_t i = 0; i < 2; i++)
                remove_group(groups[i]);
}

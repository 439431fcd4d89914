/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "enforce/arrival-watch.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/headgate-arrival-XXXXXX";
static char *const paths[] = { (char *) "/a.slice/b.slice/one.service", (char *) "two", NULL };
static ArrivalWatch *watch;

static void begin(void) {
        cr_assert_not_null(mkdtemp(root));
        cr_assert_eq(chdir(root), 0);
        cr_assert_eq(arrival_watch_new(root, paths, &watch), 0);
}

static void end(void) {
        char command[96];

        arrival_watch_free(watch);
        (void) snprintf(command, sizeof(command), "rm -r %s", root);
        cr_expect_eq(system(command), 0);
}

TestSuite(arrival_watch, .init = begin, .fini = end);

/* The kernel has told before the change returns. */
static bool told(void) {
        struct pollfd ready = { .fd = arrival_watch_fd(watch), .events = POLLIN };
        bool readable = poll(&ready, 1, 0) == 1;
        int r = arrival_watch_read(watch);

        cr_assert_geq(r, 0);
        cr_assert(readable || r == 0);
        return r;
}

Test(arrival_watch, what_comes_is_told_whatever_above_it_came_when) {
        static const struct {
                const char *name, *make, *remove;
                bool told;
        } steps[] = {
                { "nothing", NULL, NULL, false },
                { "in the root", "two", NULL, true },
                { "another's", "three", NULL, false },
                { "what is above", "a.slice", NULL, true },
                { "in it", "a.slice/b.slice", NULL, true },
                { "and in that", "a.slice/b.slice/one.service", NULL, true },
                { "below it", "a.slice/b.slice/one.service/x", NULL, false },
                { "another's in it", "a.slice/b.slice/three.service", NULL, false },
                { "one that goes", NULL, "two", false },
                { "and is made anew", "two", NULL, true },
                { "all of a way goes", NULL, "a.slice/b.slice/one.service/x", false },
                { "up", NULL, "a.slice/b.slice/one.service", false },
                { "to", NULL, "a.slice/b.slice/three.service", false },
                { "the", NULL, "a.slice/b.slice", false },
                { "root", NULL, "a.slice", false },
                { "and comes", "a.slice", NULL, true },
                { "anew", "a.slice/b.slice", NULL, true },
                { "with it", "a.slice/b.slice/one.service", NULL, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                cr_assert(!steps[i].make || mkdir(steps[i].make, 0700) == 0, "%s: %m", steps[i].name);
                cr_assert(!steps[i].remove || rmdir(steps[i].remove) == 0, "%s: %m", steps[i].name);
                cr_expect_eq(told(), steps[i].told, "%s", steps[i].name);
        }
}

Test(arrival_watch, a_way_that_came_at_once_is_followed_to_its_end) {
        cr_assert(mkdir("a.slice", 0700) == 0 && mkdir("a.slice/b.slice", 0700) == 0);
        cr_expect(told());
        cr_assert_eq(mkdir("a.slice/b.slice/one.service", 0700), 0);
        cr_expect(told());
}

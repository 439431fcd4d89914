/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Who reads everything has everybody's counters read anew with each Snapshot; a tenant's user, who may ask as
 * often as he likes, shares what was read within the last half a second. headgated itself, run dry, which
 * takes no sample unasked within the hour: a snapshot's Time says which one it shows.
 */

#include "contract/daemon-on-bus.h"
#include "contract/own-bus.h"

#include "util/cleanup.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NODE "org.headgate.Node1"
#define NODE_PATH "/org/headgate/Node1"
#define USER 2U /* "bin" on every Debian */
#define SHARED_USEC 500000
#define SNAPSHOTS 20
#define SAMPLES 4

static char directory[] = "/tmp/headgate-shared-XXXXXX";
static DryDaemon daemon_of_test;
static sd_bus *root, *user;

static sd_bus_message *new_call(sd_bus *bus, const char *member) {
        sd_bus_message *m;

        cr_assert_geq(sd_bus_message_new_method_call(bus, &m, NODE, NODE_PATH, NODE ".Manager", member), 0);
        return m;
}

/* Takes the message. */
static sd_bus_message *call(sd_bus *bus, sd_bus_message *m) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply;
        int r = sd_bus_call(bus, m, DRY_DAEMON_WAIT_USEC, &error, &reply);

        cr_assert_geq(r, 0, "%s", error.message);
        sd_bus_message_unref(m);
        return reply;
}

/* When what it shows was sampled. */
static json_int_t snapshot_time(sd_bus *bus) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        sd_bus_message *m = new_call(bus, "Snapshot");
        json_int_t time_usec;
        json_t *node;
        int fd;

        cr_assert_geq(sd_bus_message_append(m, "s", "json"), 0);
        reply = call(bus, m);
        cr_assert_geq(sd_bus_message_read(reply, "h", &fd), 0);
        node = json_loadfd(fd, 0, NULL);
        cr_assert_not_null(node);
        time_usec = json_integer_value(json_object_get(node, "Time"));
        json_decref(node);
        return time_usec;
}

static void set_up(void) {
        sd_bus_message *m;

        daemon_on_bus_start(&daemon_of_test, directory);
        root = own_bus_open(directory, 0);
        user = own_bus_open(directory, USER);
        m = new_call(root, "Apply");
        cr_assert_geq(sd_bus_message_append(m, "aa{sv}", 1, 5, "AllocationId", "s", "a", "Generation", "t",
                                      (uint64_t) 1, "TenantId", "s", "a", "Users", "as", 1, "bin",
                                      "Resources", "a{s(tt)}", 1, "cpu", (uint64_t) 0, (uint64_t) 100),
                        0);
        sd_bus_message_unref(call(root, m));
}

static void tear_down(void) {
        if (!root)
                return;
        sd_bus_close_unref(user);
        sd_bus_close_unref(root);
        daemon_on_bus_stop(&daemon_of_test, directory);
}

TestSuite(snapshot_shared, .init = set_up, .fini = tear_down, .timeout = 120);

Test(snapshot_shared, a_reader_has_a_sample_of_his_own) {
        json_int_t before = snapshot_time(root);

        for (int i = 0; i < SNAPSHOTS; i++) {
                json_int_t time_usec = snapshot_time(root);

                cr_assert_gt(time_usec, before, "snapshot %d", i);
                before = time_usec;
        }
}

Test(snapshot_shared, a_loop_of_a_user_samples_twice_a_second) {
        json_int_t before = snapshot_time(user);

        for (int i = 0; i < SAMPLES;) {
                json_int_t time_usec = snapshot_time(user);

                if (time_usec == before)
                        continue;
                cr_assert_geq(time_usec - before, SHARED_USEC * 99 / 100, "sample %d", i);
                before = time_usec;
                i++;
        }
}

Test(snapshot_shared, a_user_is_shown_what_was_sampled_for_another) {
        json_int_t readers = snapshot_time(root), users = snapshot_time(user);

        cr_expect(users == readers || users - readers >= SHARED_USEC * 99 / 100);
}

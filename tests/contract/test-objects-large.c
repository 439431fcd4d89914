/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * All objects in one answer, at the edge of what a bus daemon takes of one message: what fits is answered,
 * what does not is refused, and headgated, run dry, is never cut off. At its peer socket it is answered all
 * the same.
 */

#include "contract/daemon-on-bus.h"
#include "contract/own-bus.h"

#include "util/cleanup.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NODE "org.headgate.Node1"
#define NODE_PATH "/org/headgate/Node1"
#define MESSAGE_BYTES_MAX (32 << 20) /* dbus-daemon's, where none is configured */
#define LABELS 64                    /* the most that an allocation may have; and each of: */
#define LABEL_LENGTH 250
#define LABELS_BYTES (LABELS * 2 * LABEL_LENGTH)
#define FIRST (9 * MESSAGE_BYTES_MAX / 10 / LABELS_BYTES)
#define STEP 8 /* allocations, a hundredth of a message at most */

static char directory[] = "/tmp/headgate-large-XXXXXX";
static DryDaemon daemon_of_test;
static sd_bus *bus;
static unsigned n_allocations;

static void set_up(void) {
        daemon_on_bus_start(&daemon_of_test, directory);
        bus = own_bus_open(directory, 0);
}

static void tear_down(void) {
        sd_bus_close_unref(bus);
        daemon_on_bus_stop(&daemon_of_test, directory);
}

static void append_labels(sd_bus_message *m) {
        cr_assert_geq(sd_bus_message_open_container(m, 'e', "sv"), 0);
        cr_assert_geq(sd_bus_message_append(m, "s", "Labels"), 0);
        cr_assert_geq(sd_bus_message_open_container(m, 'v', "a{ss}"), 0);
        cr_assert_geq(sd_bus_message_open_container(m, 'a', "{ss}"), 0);
        for (unsigned i = 0; i < LABELS; i++) {
                char name[LABEL_LENGTH + 1], value[LABEL_LENGTH + 1];

                snprintf(name, sizeof(name), "%0*u", LABEL_LENGTH, i);
                snprintf(value, sizeof(value), "%*u", LABEL_LENGTH, i);
                cr_assert_geq(sd_bus_message_append(m, "{ss}", name, value), 0);
        }
        for (int i = 0; i < 3; i++)
                cr_assert_geq(sd_bus_message_close_container(m), 0);
}

static void append_request(sd_bus_message *m) {
        char id[16];

        snprintf(id, sizeof(id), "a-%u", n_allocations++);
        cr_assert_geq(sd_bus_message_open_container(m, 'a', "{sv}"), 0);
        cr_assert_geq(sd_bus_message_append(m, "{sv}{sv}{sv}{sv}", "AllocationId", "s", id, "Generation", "t",
                                      (uint64_t) 1, "TenantId", "s", "t", "Resources", "a{s(tt)}", 1, "cpu",
                                      (uint64_t) 0, (uint64_t) 100),
                        0);
        append_labels(m);
        cr_assert_geq(sd_bus_message_close_container(m), 0);
}

static void apply(unsigned n) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        cr_assert_geq(sd_bus_message_new_method_call(
                                      daemon_of_test.bus, &m, NODE, NODE_PATH, NODE ".Manager", "Apply"),
                        0);
        cr_assert_geq(sd_bus_message_open_container(m, 'a', "a{sv}"), 0);
        for (unsigned i = 0; i < n; i++)
                append_request(m);
        cr_assert_geq(sd_bus_message_close_container(m), 0);
        cr_assert_geq(sd_bus_call(daemon_of_test.bus, m, DRY_DAEMON_WAIT_USEC, &error, NULL), 0, "%s",
                        error.message);
}

static unsigned count_allocations(sd_bus_message *reply) {
        unsigned n = 0;

        cr_assert_geq(sd_bus_message_enter_container(reply, 'a', "{oa{sa{sv}}}"), 0);
        while (sd_bus_message_enter_container(reply, 'e', "oa{sa{sv}}") > 0) {
                const char *path;

                cr_assert_geq(sd_bus_message_read_basic(reply, 'o', &path), 0);
                n += strncmp(path, NODE_PATH "/allocation/", strlen(NODE_PATH "/allocation/")) == 0;
                cr_assert_geq(sd_bus_message_skip(reply, "a{sa{sv}}"), 0);
                cr_assert_geq(sd_bus_message_exit_container(reply), 0);
        }
        return n;
}

/* False: refused. */
static bool all_are_told(sd_bus *connection) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        cr_assert_geq(sd_bus_message_new_method_call(connection, &m, NODE, NODE_PATH,
                                      "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"),
                        0);
        if (sd_bus_call(connection, m, DRY_DAEMON_WAIT_USEC, &error, &reply) < 0) {
                cr_assert_str_eq(error.name, SD_BUS_ERROR_LIMITS_EXCEEDED, "%u allocations: %s: %s",
                                n_allocations, error.name, error.message);
                cr_expect_not_null(strstr(error.message, "the 32 MiB that one message may have on a bus"));
                cr_expect_not_null(strstr(error.message, daemon_of_test.directory), "the peer socket's path");
                return false;
        }
        cr_expect_eq(count_allocations(reply), n_allocations);
        return true;
}

/* The caller frees. */
static char *owner_of_name(void) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *owner;

        cr_assert_geq(sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                      "org.freedesktop.DBus", "GetNameOwner", NULL, &reply, "s", NODE),
                        0);
        cr_assert_geq(sd_bus_message_read(reply, "s", &owner), 0);
        return strdup(owner);
}

static void expect_owner(const char *owner) {
        _cleanup_free_ char *now = owner_of_name();

        cr_expect_str_eq(now, owner, "it was cut off");
}

TestSuite(objects_large, .init = set_up, .fini = tear_down, .timeout = 120);

Test(objects_large, what_does_not_fit_into_a_message_is_refused) {
        _cleanup_free_ char *owner = owner_of_name();

        apply(FIRST);
        while (all_are_told(bus)) {
                expect_owner(owner);
                cr_assert_leq((size_t) n_allocations * LABELS_BYTES, MESSAGE_BYTES_MAX, "too many fit");
                apply(STEP);
        }
        cr_expect_gt((size_t) n_allocations * LABELS_BYTES, MESSAGE_BYTES_MAX / 100 * 90);
        expect_owner(owner);
        cr_expect(all_are_told(daemon_of_test.bus));
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Whoever applies is answered before anybody is told what came of it: headgated, run dry, at a peer socket,
 * where answer and signals come by one connection, in the order in which they were sent.
 */

#include "contract/dry-daemon.h"
#include "util/cleanup.h"

#include <criterion/criterion.h>
#include <string.h>

#define NODE "org.headgate.Node1"
#define NODE_PATH "/org/headgate/Node1"
#define ALLOCATIONS NODE_PATH "/allocation/"
#define TENANTS NODE_PATH "/tenant/" /* here each allocation's has its name */
#define N_IDS_MAX 3

static DryDaemon daemon_of_test;

/* What has come since the last call of each allocation: signals, and those of them that came before its
 * answer. */
static struct {
        bool answered;
        const char *const *ids;
        unsigned told[N_IDS_MAX], early;
} seen;

/* The allocation that a signal is about, or whose tenant; NULL where it is of the node. */
static const char *find_subject(sd_bus_message *m) {
        const char *path = sd_bus_message_get_path(m), *id;

        if (sd_bus_message_is_signal(m, NODE ".Manager", "AllocationChanged"))
                return sd_bus_message_read(m, "s", &id) > 0 ? id : NULL;
        if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.ObjectManager", "InterfacesAdded") &&
                        sd_bus_message_read(m, "o", &path) <= 0)
                return NULL;
        if (strncmp(path, TENANTS, strlen(TENANTS)) == 0)
                return path + strlen(TENANTS);
        return strncmp(path, ALLOCATIONS, strlen(ALLOCATIONS)) == 0 ? path + strlen(ALLOCATIONS) : NULL;
}

static int note_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *subject = sd_bus_message_is_signal(m, NULL, NULL) ? find_subject(m) : NULL;

        for (size_t i = 0; subject && seen.ids[i]; i++)
                if (strcmp(subject, seen.ids[i]) == 0) {
                        seen.told[i]++;
                        seen.early += !seen.answered;
                }
        return 0;
}

static void set_up(void) {
        dry_daemon_start(&daemon_of_test, /* bus= */ NULL);
        cr_assert_geq(sd_bus_add_filter(daemon_of_test.bus, NULL, note_message, NULL), 0);
}

static void tear_down(void) {
        dry_daemon_stop(&daemon_of_test);
}

static int take_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        cr_assert_not(sd_bus_message_is_method_error(m, NULL), "%s", sd_bus_message_get_error(m)->message);
        seen.answered = true;
        return 0;
}

static int append_request(sd_bus_message *m, const char *id, uint64_t generation, uint64_t millicores) {
        return sd_bus_message_append(m, "a{sv}", 4, "AllocationId", "s", id, "Generation", "t", generation,
                        "TenantId", "s", id, "Resources", "a{s(tt)}", 1, "cpu", (uint64_t) 0, millicores);
}

/* All of them in one call, and what is told of it: all that is comes before the answer to the next call. */
static void apply(const char *what, const char *const *ids, uint64_t generation) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        sd_bus *bus = daemon_of_test.bus;
        int r = 1;

        memset(&seen, 0, sizeof(seen));
        seen.ids = ids;
        cr_assert_geq(sd_bus_message_new_method_call(bus, &m, NODE, NODE_PATH, NODE ".Manager", "Apply"), 0);
        cr_assert_geq(sd_bus_message_open_container(m, 'a', "a{sv}"), 0);
        for (size_t i = 0; ids[i]; i++)
                cr_assert_geq(append_request(m, ids[i], generation, 100 * generation), 0);
        cr_assert_geq(sd_bus_message_close_container(m), 0);
        cr_assert_geq(sd_bus_call_async(bus, NULL, m, take_answer, NULL, DRY_DAEMON_WAIT_USEC), 0);
        while (!seen.answered) {
                r = sd_bus_process(bus, NULL);
                cr_assert_geq(r, 0);
                if (r == 0)
                        cr_assert_gt(sd_bus_wait(bus, DRY_DAEMON_WAIT_USEC), 0, "%s: no answer", what);
        }
        cr_assert_geq(sd_bus_call_method(bus, NODE, NODE_PATH, "org.freedesktop.DBus.Peer", "Ping", &error,
                                      NULL, NULL),
                        0, "%s: %s", what, error.message);
        do
                r = sd_bus_process(bus, NULL);
        while (r > 0);
        for (size_t i = 0; ids[i]; i++)
                cr_expect_gt(seen.told[i], 0, "%s: nobody is told of %s", what, ids[i]);
        cr_expect_eq(seen.early, 0, "%s: %u signals came before the answer", what, seen.early);
}

TestSuite(answer_first, .init = set_up, .fini = tear_down, .timeout = 120);

Test(answer_first, one_that_begins_and_changes) {
        const char *const ids[] = { "a", NULL };

        apply("one that begins", ids, 1);
        apply("one that changes", ids, 2);
}

Test(answer_first, many_in_one_call) {
        const char *const ids[] = { "a", "b", "c", NULL };

        apply("three that begin", ids, 1);
        apply("three that change", ids, 2);
}

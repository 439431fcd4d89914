/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is told of how things stand, and what an operator says of the node and of groups: passed on as it is.
 */

#include "api-server.h"

#include "util/strv.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(api_standing, .init = api_server_set_up, .fini = api_server_tear_down);

static void call_and_expect(sd_bus_message *m, const char *id, const char *reason, uint64_t number) {
        sd_bus_message *reply = call(m);

        expect_success(reply);
        sd_bus_message_unref(reply);
        cr_expect_str_eq(asked.id ?: "", id);
        cr_expect_str_eq(asked.reason ?: "", reason);
        cr_expect_eq(asked.generation, number);
}

Test(api_standing, what_is_said_of_leases_and_of_the_node_is_passed_on) {
        sd_bus_message *m = manager_method("Renew");

        cr_assert_geq(sd_bus_message_append(m, "st", "a-b", (uint64_t) 60), 0);
        call_and_expect(m, "a-b", "", 60);
        m = manager_method("Drain");
        cr_assert_geq(sd_bus_message_append(m, "s", "new disks"), 0);
        call_and_expect(m, "", "new disks", 0);
        call_and_expect(manager_method("Resume"), "asked", "", 0);
        call_and_expect(manager_method("AcceptClock"), "asked", "", 0);
        m = manager_method("SetMode");
        cr_assert_geq(sd_bus_message_append(m, "ss", "alpha", "observe"), 0);
        call_and_expect(m, "alpha", "observe", 0);
        m = manager_method("SetCapacity");
        cr_assert_geq(sd_bus_message_append(m, "a{st}", 2, "cpu", (uint64_t) 1, "net.egress@eth1", UNLIMITED),
                        0);
        call_and_expect(m, "net.egress", "eth1", UNLIMITED);
        m = manager_method("SetCapacity");
        cr_assert_geq(sd_bus_message_append(m, "a{st}", 1, "gold", (uint64_t) 1), 0);
        expect_error(call(m), "org.headgate.Error.UnknownKey", "unknown resource 'gold'", "SetCapacity");
}

Test(api_standing, drift_is_told_with_its_counts) {
        Drift drift = {
                .utc_usec = 5,
                .cause = DRIFT_TC,
                .object = strdup("eth1"),
                .key = strdup("class 4847:12"),
                .have = strdup("none"),
                .want = strdup("rate 8 ceil 8 prio 0"),
                .tenant_id = strdup(""),
                .repaired = true,
        };
        const char *key, *cause, *object, *what, *have, *want, *tenant;
        uint64_t time, found, repaired;
        sd_bus_message *reply;
        int was_repaired;

        drift_log_put(&node.drift, &drift);
        reply = call(manager_method("Drift"));
        expect_success(reply);
        cr_assert_gt(sd_bus_message_read(reply, "aa{sv}", 1, 8, &key, "t", &time, &key, "s", &cause, &key,
                                     "s", &object, &key, "s", &what, &key, "s", &have, &key, "s", &want, &key,
                                     "s", &tenant, &key, "b", &was_repaired),
                        0);
        cr_expect_eq(time, 5);
        cr_expect_str_eq(cause, "tc");
        cr_expect_str_eq(object, "eth1");
        cr_expect_str_eq(what, "class 4847:12");
        cr_expect_str_eq(have, "none");
        cr_expect_str_eq(want, "rate 8 ceil 8 prio 0");
        cr_expect_str_eq(tenant, "");
        cr_expect(was_repaired);
        cr_assert_gt(sd_bus_message_enter_container(reply, 'a', "{s(tt)}"), 0);
        for (DriftCause c = 0; c < DRIFT_CAUSE_MAX; c++) {
                cr_assert_gt(sd_bus_message_read(reply, "{s(tt)}", &cause, &found, &repaired), 0);
                cr_expect_str_eq(cause, drift_cause_to_string(c));
                cr_expect_eq(found, c == DRIFT_TC ? 1 : 0, "%s", cause);
                cr_expect_eq(repaired, c == DRIFT_TC ? 1 : 0, "%s", cause);
        }
        sd_bus_message_unref(reply);
        drift_log_deinit(&node.drift);
}

Test(api_standing, release_all_names_who_is_left) {
        sd_bus_message *reply = call(manager_method("ReleaseAll"));
        char **left = NULL;

        expect_success(reply);
        cr_expect_str_eq(asked.id, "asked");
        cr_assert_gt(sd_bus_message_read_strv(reply, &left), 0);
        cr_expect(strv_length(left) == 1 && strcmp(left[0], "alpha") == 0);
        strv_free(left);
        sd_bus_message_unref(reply);
}

Test(api_standing, the_calendar_is_told_segment_by_segment) {
        sd_bus_message *m = manager_method("GetCalendar"), *reply;
        const char *key, *tenant, *resource;
        uint64_t start, end, reserved, limit;

        cr_assert_geq(sd_bus_message_append(m, "tt", (uint64_t) 10, (uint64_t) 20), 0);
        reply = call(m);
        expect_success(reply);
        cr_assert_gt(sd_bus_message_enter_container(reply, 'a', "a{sv}"), 0);
        cr_assert_gt(sd_bus_message_read(reply, "a{sv}", 6, &key, "s", &tenant, &key, "s", &resource, &key,
                                     "t", &start, &key, "t", &end, &key, "t", &reserved, &key, "t", &limit),
                        0);
        cr_expect_str_eq(key, "Limit");
        cr_expect_str_eq(tenant, "alpha");
        cr_expect_str_eq(resource, "cpu");
        cr_expect(start == 10 && end == 20 && reserved == 5 && limit == UNLIMITED);
        cr_assert_gt(sd_bus_message_skip(reply, "a{sv}"), 0);
        cr_expect(sd_bus_message_at_end(reply, false) > 0);
        sd_bus_message_unref(reply);
}

Test(api_standing, who_made_whom_wait_is_told_to_readers) {
        sd_bus_message *m = manager_method("Culprits"), *reply;
        const char *culprit;
        uint64_t nsec;

        cr_assert_geq(sd_bus_message_append(m, "s", "alpha"), 0);
        reply = call(m);
        expect_success(reply);
        cr_assert_gt(sd_bus_message_enter_container(reply, 'a', "{st}"), 0);
        cr_assert_gt(sd_bus_message_read(reply, "{st}", &culprit, &nsec), 0);
        cr_expect_str_eq(culprit, "beta-2");
        cr_expect_eq(nsec, 999999999);
        cr_expect_str_eq(asked.id, "asked", "what is told is not brought up to date before");
        sd_bus_message_unref(reply);

        m = manager_method("Culprits");
        cr_assert_geq(sd_bus_message_append(m, "s", "nobody"), 0);
        expect_error(call(m), "org.headgate.Error.NoSuchTenant", "there is no tenant 'nobody'", "Culprits");
}

Test(api_standing, differences_are_told_one_by_one) {
        sd_bus_message *m = manager_method("Diff"), *reply;
        const char *key, *texts[6];

        cr_assert_geq(sd_bus_message_append(m, "s", "alpha"), 0);
        reply = call(m);
        expect_success(reply);
        cr_assert_gt(sd_bus_message_enter_container(reply, 'a', "a{sv}"), 0);
        for (int i = 0; i < 2; i++) {
                static const char *const want[2][6] = { { "alpha", "/a", "cpu.max", "max", "1", "" },
                        { "", "eth0", "class 4847:10", "", "2", "why" } };

                cr_assert_gt(sd_bus_message_read(reply, "a{sv}", 6, &key, "s", &texts[0], &key, "s",
                                             &texts[1], &key, "s", &texts[2], &key, "s", &texts[3], &key, "s",
                                             &texts[4], &key, "s", &texts[5]),
                                0);
                for (size_t k = 0; k < ELEMENTSOF(texts); k++)
                        cr_expect_str_eq(texts[k], want[i][k]);
        }
        cr_expect_str_eq(key, "HeldBack");
        sd_bus_message_unref(reply);
}

Test(api_standing, reasons_are_told_value_by_value) {
        sd_bus_message *m = manager_method("Explain"), *reply;
        const char *key, *name, *value, *in_force, *why;

        cr_assert_geq(sd_bus_message_append(m, "ss", "alpha", "cpu"), 0);
        reply = call(m);
        expect_success(reply);
        cr_assert_gt(sd_bus_message_read(reply, "aa{sv}", 1, 4, &key, "s", &name, &key, "s", &value, &key,
                                     "s", &in_force, &key, "s", &why),
                        0);
        cr_expect_str_eq(name, "cpu.max");
        cr_expect_str_eq(value, "1 2");
        cr_expect_str_eq(in_force, "max 2");
        cr_expect_str_eq(why, "so it is");
        cr_expect_str_eq(key, "Why");
        sd_bus_message_unref(reply);
}

Test(api_standing, groups_are_adopted_and_abandoned) {
        sd_bus_message *m = manager_method("Adopt");

        cr_assert_geq(sd_bus_message_append(m, "ss", "alpha", "/kubepods/pod1"), 0);
        call_and_expect(m, "alpha", "/kubepods/pod1", 1);
        m = manager_method("Abandon");
        cr_assert_geq(sd_bus_message_append(m, "ss", "alpha", "/kubepods/pod1"), 0);
        call_and_expect(m, "alpha", "/kubepods/pod1", 2);
        asked.answer = FAILURE_INVALID_GROUP;
        m = manager_method("Adopt");
        cr_assert_geq(sd_bus_message_append(m, "ss", "alpha", "/"), 0);
        expect_error(call(m), "org.headgate.Error.InvalidGroup", "words of", "a group that cannot be");
}

Test(api_standing, attach_takes_sixteen_and_no_more) {
        for (unsigned n = 16; n <= 17; n++) {
                sd_bus_message *m = manager_method("Attach"), *reply;

                cr_assert_geq(sd_bus_message_append(m, "s", "alpha"), 0);
                cr_assert_geq(sd_bus_message_open_container(m, 'a', "h"), 0);
                for (unsigned i = 0; i < n; i++)
                        cr_assert_geq(sd_bus_message_append_basic(m, 'h', &(int){ STDIN_FILENO }), 0);
                cr_assert_geq(sd_bus_message_close_container(m), 0);
                reply = call(m);
                if (n == 16) {
                        expect_success(reply);
                        sd_bus_message_unref(reply);
                        cr_expect_eq(asked.n_pidfds, 16);
                } else
                        expect_error(reply, "org.headgate.Error.LimitExceeded", "16", "17 pidfds");
        }
        cr_expect_eq(asked.attached, 1);
}

Test(api_standing, snapshot_is_a_descriptor) {
        sd_bus_message *m = manager_method("Snapshot"), *reply;
        char text[8] = "";
        int fd;

        cr_assert_geq(sd_bus_message_append(m, "s", "openmetrics"), 0);
        reply = call(m);
        expect_success(reply);
        cr_assert_geq(sd_bus_message_read_basic(reply, 'h', &fd), 0);
        cr_expect_eq(pread(fd, text, sizeof text, 0), 6);
        cr_expect_str_eq(text, "# EOF\n");
        sd_bus_message_unref(reply);
}

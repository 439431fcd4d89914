/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The objects and their interfaces, as introspection tells them and as they are read. */

#include "api-server.h"

#include "util/strv.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(api_objects, .init = api_server_set_up, .fini = api_server_tear_down);

Test(api_objects, a_tenant_names_what_it_adopted) {
        sd_bus_message *reply, *m;
        Tenant *alpha = node.tenants[0];
        char **groups;

        cr_assert_eq(adopted_groups_add(&alpha->adopted, "/kubepods/pod1", 1, "b"), 0);
        cr_assert_eq(adopted_groups_add(&alpha->adopted, "/kubepods/pod2", 2, "b"), 0);
        m = method(API_PATH "/tenant/alpha", "org.freedesktop.DBus.Properties", "Get");
        cr_assert_geq(sd_bus_message_append(m, "ss", "org.headgate.Node1.Tenant", "AdoptedGroups"), 0);
        reply = call(m);
        expect_success(reply);
        cr_assert_geq(sd_bus_message_enter_container(reply, 'v', "as"), 0);
        cr_assert_geq(sd_bus_message_read_strv(reply, &groups), 0);
        cr_expect_eq(strv_length(groups), 2);
        cr_expect_str_eq(groups[0], "/kubepods/pod1");
        strv_free(groups);
        sd_bus_message_unref(reply);
        adopted_groups_deinit(&alpha->adopted);
}

Test(api_objects, what_was_left_behind_is_told_with_the_problems) {
        sd_bus_message *reply,
                        *m = method(API_PATH "/tenant/beta_2d2", "org.freedesktop.DBus.Properties", "Get");
        Tenant *beta = node.tenants[1];
        char **problems;

        cr_assert_eq(strv_push(&beta->remains, "process 1 left a socket"), 0);
        cr_assert_geq(sd_bus_message_append(m, "ss", "org.headgate.Node1.Tenant", "Problems"), 0);
        reply = call(m);
        expect_success(reply);
        cr_assert_geq(sd_bus_message_enter_container(reply, 'v', "as"), 0);
        cr_assert_geq(sd_bus_message_read_strv(reply, &problems), 0);
        cr_assert_eq(strv_length(problems), 3);
        cr_expect_str_eq(problems[2], "process 1 left a socket");
        strv_free(problems);
        sd_bus_message_unref(reply);
        beta->remains = strv_free(beta->remains);
}

Test(api_objects, what_was_delivered_is_told) {
        sd_bus_message *m = method("/org/headgate/Node1/allocation/alpha_2d1",
                                       "org.freedesktop.DBus.Properties", "Get"),
                       *reply;
        const char *figure;
        uint64_t value;

        cr_assert_geq(sd_bus_message_append(m, "ss", "org.headgate.Node1.Allocation", "Delivered"), 0);
        reply = call(m);
        expect_success(reply);
        cr_assert_gt(sd_bus_message_enter_container(reply, 'v', "a{st}"), 0);
        cr_assert_gt(sd_bus_message_read(reply, "a{st}", 1, &figure, &value), 0);
        cr_expect_str_eq(figure, "cpu.denied");
        cr_expect_eq(value, 1500000000);
        sd_bus_message_unref(reply);
}

Test(api_objects, whom_the_kernel_killed_is_told) {
        sd_bus_message *m = method("/org/headgate/Node1/tenant/alpha", "org.freedesktop.DBus.Properties",
                                       "Get"),
                       *reply;
        const char *name;
        uint64_t when, peak;
        uint32_t pid;

        cr_assert_geq(sd_bus_message_append(m, "ss", "org.headgate.Node1.Tenant", "OomVictims"), 0);
        reply = call(m);
        expect_success(reply);
        cr_assert_gt(sd_bus_message_enter_container(reply, 'v', "a(sutt)"), 0);
        cr_assert_gt(sd_bus_message_enter_container(reply, 'a', "(sutt)"), 0);
        cr_assert_gt(sd_bus_message_read(reply, "(sutt)", &name, &pid, &when, &peak), 0);
        cr_expect_str_eq(name, "postgres");
        cr_expect(pid == 4711 && when == 1767225599000000 && peak == 3 << 20);
        sd_bus_message_unref(reply);
}

/* Each line of the design's table, as introspection tells it. */
static const char *const manager_interface[] = {
        "<method name=\"Apply\">\n   <arg type=\"aa{sv}\" name=\"allocations\" direction=\"in\"/>\n   <arg "
        "type=\"ao\"",
        "<method name=\"Check\">\n   <arg type=\"aa{sv}\" name=\"allocations\" direction=\"in\"/>\n   <arg "
        "type=\"aa{sv}\"",
        ("<method name=\"Release\">\n   <arg type=\"s\" name=\"id\" direction=\"in\"/>\n   <arg type=\"t\" "
         "name=\"generation\" "
         "direction=\"in\"/>\n   <arg type=\"s\" name=\"reason\""),
        "<method name=\"Attach\">\n   <arg type=\"s\" name=\"tenant\" direction=\"in\"/>\n   <arg "
        "type=\"ah\"",
        "<method name=\"AttachUnit\">\n   <arg type=\"s\" name=\"tenant\" direction=\"in\"/>\n   <arg "
        "type=\"s\"",
        "<method name=\"Adopt\">\n   <arg type=\"s\" name=\"tenant\" direction=\"in\"/>\n   <arg "
        "type=\"s\" name=\"path\"",
        "<method name=\"Abandon\">\n   <arg type=\"s\" name=\"tenant\" direction=\"in\"/>\n   <arg "
        "type=\"s\" name=\"path\"",
        "<method name=\"Snapshot\">\n   <arg type=\"s\" name=\"format\" direction=\"in\"/>\n   <arg "
        "type=\"h\"",
        "<method name=\"Sync\">\n   <arg type=\"s\" name=\"issuer\" direction=\"in\"/>\n   <arg "
        "type=\"aa{sv}\"",
        "<method name=\"Renew\">\n   <arg type=\"s\" name=\"id\" direction=\"in\"/>\n   <arg type=\"t\"",
        "<method name=\"GetCalendar\">\n   <arg type=\"t\"",
        "<method name=\"SetMode\">\n   <arg type=\"s\" name=\"tenant\" direction=\"in\"/>\n   <arg "
        "type=\"s\"",
        "<method name=\"Explain\">\n   <arg type=\"s\" name=\"object\" direction=\"in\"/>\n   <arg "
        "type=\"s\"",
        "<method name=\"Diff\">\n   <arg type=\"s\"",
        "<method name=\"Drain\">\n   <arg type=\"s\"",
        "<method name=\"Resume\">",
        "<method name=\"SetCapacity\">\n   <arg type=\"a{st}\"",
        "<method name=\"AcceptClock\">",
        "<method name=\"Drift\">\n   <arg type=\"aa{sv}\"",
        "<method name=\"ReleaseAll\">\n   <arg type=\"as\"",
        "<signal name=\"AllocationEnding\">\n   <arg type=\"s\" name=\"id\"/>\n   <arg type=\"t\"",
        "<signal name=\"CapacityChanged\">\n   <arg type=\"a{st}\"",
        "<property name=\"NodeId\" type=\"s\"",
        "<property name=\"BootId\" type=\"s\"",
        "<property name=\"Version\" type=\"s\"",
        "<property name=\"State\" type=\"s\"",
        "<property name=\"Capacity\" type=\"a{st}\"",
        "<property name=\"Reserved\" type=\"a{st}\"",
        "<property name=\"Idle\" type=\"a{st}\"",
        "<property name=\"Features\" type=\"a{s(bs)}\"",
        "<signal name=\"AllocationChanged\">\n   <arg type=\"s\"",
        "<interface name=\"org.freedesktop.DBus.ObjectManager\">",
};
static const char *const tenant_interface[] = {
        "<property name=\"TenantId\" type=\"s\"",
        "<property name=\"ControlGroup\" type=\"s\"",
        "<property name=\"AdoptedGroups\" type=\"as\"",
        "<property name=\"Users\" type=\"as\"",
        "<property name=\"Mode\" type=\"s\"",
        "<property name=\"Allocations\" type=\"ao\"",
        "<property name=\"Desired\" type=\"a{s(tt)}\"",
        "<property name=\"Effective\" type=\"a{s(tt)}\"",
        "<property name=\"Usage\" type=\"a{st}\"",
        "<property name=\"Problems\" type=\"as\"",
};
static const char *const allocation_interface[] = {
        "<property name=\"AllocationId\" type=\"s\"",
        "<property name=\"Generation\" type=\"t\"",
        "<property name=\"ExternalIds\" type=\"a{ss}\"",
        "<property name=\"StartTime\" type=\"t\"",
        "<property name=\"Calendar\" type=\"s\"",
        "<property name=\"WarnBeforeEnd\" type=\"t\"",
        "<property name=\"LeaseDuration\" type=\"t\"",
        "<property name=\"OnLeaseExpiry\" type=\"s\"",
        "<property name=\"Priority\" type=\"i\"",
        "<property name=\"PreemptMode\" type=\"s\"",
        "<property name=\"Resources\" type=\"a{s(tt)}\"",
        "<property name=\"Devices\" type=\"a(ss)\"",
        "<property name=\"Users\" type=\"as\"",
        "<property name=\"State\" type=\"s\"",
        "<property name=\"Reason\" type=\"s\"",
        "<property name=\"ActualStart\" type=\"t\"",
        "<property name=\"ActualEnd\" type=\"t\"",
};

static void expect_interface(const char *path, const char *const *lines, size_t n) {
        sd_bus_message *reply = call(method(path, "org.freedesktop.DBus.Introspectable", "Introspect"));
        const char *xml;

        expect_success(reply);
        cr_assert_geq(sd_bus_message_read_basic(reply, 's', &xml), 0);
        for (size_t i = 0; i < n; i++)
                cr_expect_not_null(strstr(xml, lines[i]), "%s has no %s in\n%s", path, lines[i], xml);
        sd_bus_message_unref(reply);
}

Test(api_objects, introspection_is_the_design) {
        char *path;

        expect_interface(API_PATH, manager_interface, ELEMENTSOF(manager_interface));
        cr_assert_geq(sd_bus_path_encode(API_PATH "/tenant", "beta-2", &path), 0);
        expect_interface(path, tenant_interface, ELEMENTSOF(tenant_interface));
        free(path);
        cr_assert_geq(sd_bus_path_encode(API_PATH "/allocation", "alpha-1", &path), 0);
        expect_interface(path, allocation_interface, ELEMENTSOF(allocation_interface));
        free(path);
}

Test(api_objects, all_objects_in_one_call) {
        sd_bus_message *reply =
                        call(method(API_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"));
        size_t n = 0;

        expect_success(reply);
        cr_assert_geq(sd_bus_message_enter_container(reply, 'a', "{oa{sa{sv}}}"), 0);
        while (sd_bus_message_enter_container(reply, 'e', "oa{sa{sv}}") > 0) {
                const char *path;

                cr_assert_geq(sd_bus_message_read_basic(reply, 'o', &path), 0);
                n += strncmp(path, API_PATH "/tenant/", strlen(API_PATH "/tenant/")) == 0 ||
                     strncmp(path, API_PATH "/allocation/", strlen(API_PATH "/allocation/")) == 0;
                cr_assert_geq(sd_bus_message_skip(reply, "a{sa{sv}}"), 0);
                cr_assert_geq(sd_bus_message_exit_container(reply), 0);
        }
        cr_expect_eq(n, node.n_tenants + node.calendar.n);
        sd_bus_message_unref(reply);
}

Test(api_objects, what_is_not_in_the_table_is_denied_to_root_too) {
        expect_error(call(method(API_PATH, "org.freedesktop.DBus.Properties", "Set")),
                        "org.headgate.Error.AccessDenied", "in this version there is no such method",
                        "a setter");
        expect_error(call(manager_method("Explode")), "org.headgate.Error.AccessDenied",
                        "in this version there is no such method", "no such method");
        expect_error(call(method(API_PATH, NULL, "Apply")), "org.headgate.Error.AccessDenied",
                        "no interface was named", "no interface");
}

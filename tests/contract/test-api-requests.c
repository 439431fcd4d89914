/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a scheduler asks for: every key to the model, and every refusal by its name. */

#include "api-server.h"

#include "util/strv.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(api_requests, .init = api_server_set_up, .fini = api_server_tear_down);

Test(api_requests, apply_gives_every_key_to_the_model) {
        sd_bus_message *m = manager_method("Apply"), *reply;
        const char *path;

        cr_assert_geq(sd_bus_message_append(m, "aa{sv}", 1, 22, "AllocationId", "s", "a-b", "Generation", "t",
                                      (uint64_t) 7, "TenantId", "s", "acme", "Issuer", "s", "central",
                                      "ExternalIds", "a{ss}", 1, "slurm", "42", "ProjectId", "s", "p",
                                      "ReservationId", "s", "r", "StartTime", "t", (uint64_t) 11, "EndTime",
                                      "t", (uint64_t) 12, "EndSignal", "s", "HUP", "GraceTime", "t",
                                      (uint64_t) 13, "OnEnd", "s", "kill", "QosClass", "s", "burstable",
                                      "Resources", "a{s(tt)}", 2, "cpu", (uint64_t) 1, (uint64_t) 2,
                                      "net.egress@eth1", (uint64_t) 3, UINT64_MAX, "Users", "as", 2, "alice",
                                      "bob", "Labels", "a{ss}", 1, "k", "v", "CpuSet", "s", "0-3,8",
                                      "CpuSetMode", "s", "exclusive", "NumaNodes", "s", "1", "NumaMode", "s",
                                      "exclusive", "Devices", "a(ss)", 2, "char-drm", "wr", "/dev/null", "m",
                                      "x_mine", "s", "kept"),
                        0);
        reply = call(m);
        expect_success(reply);
        cr_assert_geq(sd_bus_message_enter_container(reply, 'a', "o"), 0);
        cr_assert_geq(sd_bus_message_read_basic(reply, 'o', &path), 0);
        cr_expect_str_eq(path, "/org/headgate/Node1/allocation/a_2db");
        sd_bus_message_unref(reply);

        cr_assert_eq(asked.n, 1);
        cr_expect_str_eq(asked.first->id, "a-b");
        cr_expect_eq(asked.first->generation, 7);
        cr_expect_str_eq(asked.first->tenant_id, "acme");
        cr_expect_str_eq(asked.first->issuer, "central");
        cr_expect_str_eq(string_map_get(&asked.first->external_ids, "slurm"), "42");
        cr_expect_eq(asked.first->start_usec, 11);
        cr_expect(asked.first->start_given);
        cr_expect_eq(asked.first->end_usec, 12);
        cr_expect_eq(asked.first->end_signal, 1);
        cr_expect_eq(asked.first->grace_usec, 13);
        cr_expect_eq(asked.first->on_end, ON_END_KILL);
        cr_expect_eq(asked.first->qos_class, QOS_CLASS_BURSTABLE);
        cr_expect_eq(resource_set_get(&asked.first->resources, RESOURCE_NET_EGRESS, "eth1")->limit,
                        UNLIMITED);
        cr_expect_str_eq(asked.first->cpu_set, "0-3,8");
        cr_expect_eq(asked.first->cpu_set_mode, PLACEMENT_EXCLUSIVE);
        cr_expect_str_eq(asked.first->numa_nodes, "1");
        cr_expect_eq(asked.first->numa_mode, PLACEMENT_EXCLUSIVE);
        cr_expect_eq(asked.first->devices.n, 2);
        cr_expect_str_eq(asked.first->devices.entries[0].name, "/dev/null");
        cr_expect_eq(asked.first->devices.entries[0].access, DEVICE_MKNOD);
        cr_expect_eq(asked.first->devices.entries[1].access, DEVICE_READ | DEVICE_WRITE);
        cr_expect_eq(strv_length(asked.first->users), 2);
        cr_expect_str_eq(string_map_get(&asked.first->labels, "k"), "v");
        cr_expect_str_eq(string_map_get(&asked.first->extensions, "x_mine"), "kept");
}

static void append_unknown_key(sd_bus_message *m) {
        cr_assert_geq(sd_bus_message_append(m, "aa{sv}", 1, 1, "Colour", "s", "blue"), 0);
}
static void append_wrong_type(sd_bus_message *m) {
        cr_assert_geq(sd_bus_message_append(m, "aa{sv}", 1, 1, "Generation", "s", "7"), 0);
}
static void append_twice(sd_bus_message *m) {
        cr_assert_geq(sd_bus_message_append(m, "aa{sv}", 1, 2, "TenantId", "s", "a", "TenantId", "s", "b"),
                        0);
}
static void append_no_choice(sd_bus_message *m) {
        cr_assert_geq(sd_bus_message_append(m, "aa{sv}", 1, 1, "OnEnd", "s", "explode"), 0);
}
static void append_no_placement_mode(sd_bus_message *m) {
        cr_assert_geq(sd_bus_message_append(m, "aa{sv}", 1, 1, "CpuSetMode", "s", "mine"), 0);
}
static void append_claimed_resource(sd_bus_message *m) {
        cr_assert_geq(sd_bus_message_append(m, "aa{sv}", 1, 1, "Resources", "a{s(tt)}", 1, "cpuset@1",
                                      (uint64_t) 1000, (uint64_t) 1000),
                        0);
}
static void append_no_resource(sd_bus_message *m) {
        cr_assert_geq(sd_bus_message_append(m, "aa{sv}", 1, 1, "Resources", "a{s(tt)}", 1, "gold",
                                      (uint64_t) 1, (uint64_t) 1),
                        0);
}
static void append_resource_twice(sd_bus_message *m) {
        cr_assert_geq(sd_bus_message_append(m, "aa{sv}", 1, 1, "Resources", "a{s(tt)}", 2, "cpu",
                                      (uint64_t) 1, (uint64_t) 1, "cpu", (uint64_t) 1, (uint64_t) 1),
                        0);
}
static void append_device_access(sd_bus_message *m) {
        cr_assert_geq(sd_bus_message_append(m, "aa{sv}", 1, 1, "Devices", "a(ss)", 1, "/dev/null", "rx"), 0);
}
static void append_device_twice(sd_bus_message *m) {
        cr_assert_geq(sd_bus_message_append(m, "aa{sv}", 1, 1, "Devices", "a(ss)", 2, "/dev/null", "r",
                                      "/dev/null", "w"),
                        0);
}
static void append_devices_many(sd_bus_message *m) {
        cr_assert_geq(sd_bus_message_open_container(m, 'a', "a{sv}"), 0);
        cr_assert_geq(sd_bus_message_open_container(m, 'a', "{sv}"), 0);
        cr_assert_geq(sd_bus_message_open_container(m, 'e', "sv"), 0);
        cr_assert_geq(sd_bus_message_append(m, "s", "Devices"), 0);
        cr_assert_geq(sd_bus_message_open_container(m, 'v', "a(ss)"), 0);
        cr_assert_geq(sd_bus_message_open_container(m, 'a', "(ss)"), 0);
        for (unsigned i = 0; i <= ALLOCATION_ENTRIES_MAX; i++) {
                char name[16];

                snprintf(name, sizeof name, "c 1:%u", i);
                cr_assert_geq(sd_bus_message_append(m, "(ss)", name, "r"), 0);
        }
        for (unsigned i = 0; i < 5; i++)
                cr_assert_geq(sd_bus_message_close_container(m), 0);
}
static void append_extension_number(sd_bus_message *m) {
        cr_assert_geq(sd_bus_message_append(m, "aa{sv}", 1, 1, "x_mine", "t", (uint64_t) 1), 0);
}
static void append_no_duration(sd_bus_message *m) {
        cr_assert_geq(sd_bus_message_append(m, "aa{sv}", 1, 1, "Duration", "t", (uint64_t) 0), 0);
}
static void append_wrong_second(sd_bus_message *m) {
        cr_assert_geq(sd_bus_message_append(
                                      m, "aa{sv}", 2, 1, "AllocationId", "s", "a", 1, "Colour", "s", "blue"),
                        0);
}

static const struct {
        const char *name;
        void (*append)(sd_bus_message *m);
        const char *error, *words;
} refused[] = {
        { "unknown key", append_unknown_key, "org.headgate.Error.UnknownKey", "unknown key 'Colour'" },
        { "wrong type", append_wrong_type, "org.headgate.Error.InvalidAllocation",
                        "Generation must be of D-Bus type 't', not 's'" },
        { "a key twice", append_twice, "org.headgate.Error.InvalidAllocation", "TenantId is given twice" },
        { "none of the choices", append_no_choice, "org.headgate.Error.InvalidAllocation",
                        "OnEnd 'explode' must be throttle" },
        { "none of the choices of a mode", append_no_placement_mode, "org.headgate.Error.InvalidAllocation",
                        "CpuSetMode 'mine' must be shared or exclusive" },
        { "what another key claims", append_claimed_resource, "org.headgate.Error.UnknownKey",
                        "unknown resource 'cpuset@1'" },
        { "unknown resource", append_no_resource, "org.headgate.Error.UnknownKey",
                        "unknown resource 'gold'" },
        { "a resource twice", append_resource_twice, "org.headgate.Error.InvalidAllocation",
                        "'cpu' is given twice" },
        { "no such access", append_device_access, "org.headgate.Error.InvalidAllocation",
                        "Devices: access 'rx' to '/dev/null' must be one or more of r, w and m" },
        { "a device twice", append_device_twice, "org.headgate.Error.InvalidAllocation",
                        "Devices: '/dev/null' is given twice" },
        { "more devices than fit", append_devices_many, "org.headgate.Error.InvalidAllocation",
                        "Devices has more than 64 entries" },
        { "x_ with a number", append_extension_number, "org.headgate.Error.InvalidAllocation", "x_mine" },
        { "no time at all", append_no_duration, "org.headgate.Error.InvalidAllocation",
                        "request 1: Duration is 0, and must be at least 1" },
        { "which request", append_wrong_second, "org.headgate.Error.UnknownKey", "request 2: " },
};

Test(api_requests, what_is_no_request_is_refused_before_anyone_is_asked) {
        for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
                sd_bus_message *m = manager_method("Apply");

                refused[i].append(m);
                expect_error(call(m), refused[i].error, refused[i].words, refused[i].name);
        }
        cr_expect_eq(asked.applied, 0);
}

/* As the properties of one that has an end, or none, are read. */
Test(api_requests, no_duration_beside_an_end_is_none) {
        sd_bus_message *m = manager_method("Apply");

        cr_assert_geq(sd_bus_message_append(m, "aa{sv}", 1, 3, "AllocationId", "s", "a", "Duration", "t",
                                      (uint64_t) 0, "EndTime", "t", UINT64_MAX),
                        0);
        sd_bus_message_unref(call(m));
        cr_expect_eq(asked.applied, 1);
}

static const struct {
        FailureCode code;
        const char *error;
} errors[] = {
        { FAILURE_INVALID_ALLOCATION, "org.headgate.Error.InvalidAllocation" },
        { FAILURE_UNKNOWN_KEY, "org.headgate.Error.UnknownKey" },
        { FAILURE_INSUFFICIENT_RESOURCES, "org.headgate.Error.InsufficientResources" },
        { FAILURE_STALE_GENERATION, "org.headgate.Error.StaleGeneration" },
        { FAILURE_GENERATION_CONFLICT, "org.headgate.Error.GenerationConflict" },
        { FAILURE_NO_SUCH_TENANT, "org.headgate.Error.NoSuchTenant" },
        { FAILURE_NO_SUCH_ALLOCATION, "org.headgate.Error.NoSuchAllocation" },
        { FAILURE_NO_SUCH_UNIT, "org.headgate.Error.NoSuchUnit" },
        { FAILURE_NO_SUCH_PROCESS, "org.headgate.Error.NoSuchProcess" },
        { FAILURE_NO_SUCH_GROUP, "org.headgate.Error.NoSuchGroup" },
        { FAILURE_INVALID_GROUP, "org.headgate.Error.InvalidGroup" },
        { FAILURE_LIMIT_EXCEEDED, "org.headgate.Error.LimitExceeded" },
        { FAILURE_NOT_SUPPORTED, "org.headgate.Error.NotSupported" },
        { FAILURE_ACCESS_DENIED, "org.headgate.Error.AccessDenied" },
        { FAILURE_DRAINING, "org.headgate.Error.Draining" },
        { FAILURE_NOT_ENFORCED, "org.headgate.Error.NotEnforced" },
};

Test(api_requests, every_refusal_has_its_name) {
        cr_assert_eq(sizeof errors / sizeof errors[0], FAILURE_CODE_MAX - 1, "a code has no case here");
        for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
                sd_bus_message *m = manager_method("Release");

                asked.answer = errors[i].code;
                cr_assert_geq(sd_bus_message_append(m, "sts", "a", (uint64_t) 1, ""), 0);
                expect_error(call(m), errors[i].error, "words of", errors[i].error);
        }
}

Test(api_requests, release_passes_its_words_on) {
        sd_bus_message *m = manager_method("Release"), *reply;

        cr_assert_geq(sd_bus_message_append(m, "sts", "a-b", (uint64_t) 9, "moved away"), 0);
        reply = call(m);
        expect_success(reply);
        sd_bus_message_unref(reply);
        cr_expect_str_eq(asked.id, "a-b");
        cr_expect_eq(asked.generation, 9);
        cr_expect_str_eq(asked.reason, "moved away");
}

Test(api_requests, sync_names_the_issuer_and_answers_with_paths) {
        sd_bus_message *m = manager_method("Sync"), *reply;
        const char *path;

        cr_assert_geq(sd_bus_message_append(m, "saa{sv}", "slurm", 1, 1, "AllocationId", "s", "a-b"), 0);
        reply = call(m);
        expect_success(reply);
        cr_expect_str_eq(asked.id, "slurm");
        cr_assert_geq(sd_bus_message_read(reply, "ao", 1, &path), 0);
        cr_expect_str_eq(path, API_PATH "/allocation/a_2db");
        sd_bus_message_unref(reply);
}

Test(api_requests, check_answers_request_by_request) {
        sd_bus_message *m = manager_method("Check"), *reply;
        const char *id, *reason, *resource, *key;
        uint64_t wanted, available;
        int fits;

        cr_assert_geq(sd_bus_message_append(m, "aa{sv}", 2, 1, "AllocationId", "s", "a", 1, "AllocationId",
                                      "s", "b"),
                        0);
        reply = call(m);
        expect_success(reply);
        cr_assert_geq(sd_bus_message_enter_container(reply, 'a', "a{sv}"), 0);
        cr_assert_geq(sd_bus_message_enter_container(reply, 'a', "{sv}"), 0);
        cr_assert_geq(sd_bus_message_read(reply, "{sv}{sv}{sv}", &(const char *){ NULL }, "s", &id,
                                      &(const char *){ NULL }, "b", &fits, &(const char *){ NULL }, "s",
                                      &reason),
                        0);
        cr_expect_str_eq(id, "a");
        cr_expect_not(fits);
        cr_expect_str_eq(reason, "no room");
        cr_assert_geq(sd_bus_message_read(reply, "{sv}{sv}", &key, "t", &available, &(const char *){ NULL },
                                      "t", &wanted),
                        0);
        cr_expect_str_eq(key, "MissingFrom");
        cr_expect_eq(available, 70);
        cr_expect_eq(wanted, 75, "MissingUntil");
        cr_assert_geq(sd_bus_message_read(reply, "{sv}", &(const char *){ NULL }, "t", &available), 0);
        cr_expect_eq(available, 77, "EarliestStart");
        cr_assert_geq(sd_bus_message_read(reply, "{sv}", &key, "as", 0), 0);
        cr_expect_str_eq(key, "Preempts");
        cr_assert_geq(sd_bus_message_read(reply, "{sv}", &(const char *){ NULL }, "a{s(tt)}", 1, &resource,
                                      &wanted, &available),
                        0);
        cr_expect_str_eq(resource, "cpu");
        cr_expect_eq(wanted, 5);
        cr_expect_eq(available, 3);
        sd_bus_message_unref(reply);
}

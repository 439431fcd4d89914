/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The D-Bus interface over a pair of sockets: no bus, no root, and operations that only write down what they
 * were asked. */

#include "api/api.h"
#include "api/authorize.h"
#include "support/sample-node.h"
#include "util/strv.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

#define TURNS_MAX 1000 /* of the two ends, for one call: each is some bytes further */

typedef struct Asked {
        unsigned applied, checked, released, attached;
        Allocation *first; /* of the last apply */
        size_t n;
        FailureCode answer; /* refuse with this */
        char *id, *reason;
        uint64_t generation;
        size_t n_pidfds;
} Asked;

static Asked asked;
static Node node; /* the sample's tenants, and one allocation */
static Delivery delivered = { 1ULL << DELIVERY_CPU_DENIED, { [DELIVERY_CPU_DENIED] = 1500000000 } };
static sd_bus *server, *client;
static Api *api;

static int refuse(Failure *failure) {
        return asked.answer == FAILURE_NONE
                               ? 0
                               : failure_set(failure, asked.answer, "words of %d", (int) asked.answer);
}

static int fake_apply(void *userdata, uid_t caller, Allocation **requests, size_t n, Failure *ret_failure) {
        asked.applied++;
        asked.n = n;
        cr_assert_eq(caller, getuid());
        asked.first = allocation_free(asked.first);
        for (size_t i = 0; i < n; i++)
                if (i == 0)
                        asked.first = requests[i];
                else
                        allocation_free(requests[i]);
        return refuse(ret_failure);
}

static int fake_check(void *userdata, uid_t caller, Allocation **requests, size_t n, Verdict *ret_verdicts,
                Failure *ret_failure) {
        asked.checked++;
        for (size_t i = 0; i < n; i++) {
                ret_verdicts[i] = (Verdict){ .fits = i > 0, .earliest_usec = 77, .shortage = { 70, 75 } };
                if (i == 0) {
                        cr_assert_gt(failure_set(&ret_verdicts[i].failure, FAILURE_INSUFFICIENT_RESOURCES,
                                                     "no room"),
                                        0);
                        cr_assert_eq(resource_set_put(&ret_verdicts[i].missing, RESOURCE_CPU, "",
                                                     (Amount){ 5, 3 }),
                                        0);
                }
        }
        return refuse(ret_failure);
}

static int fake_release(void *userdata, uid_t caller, const char *id, uint64_t generation, const char *reason,
                Failure *ret_failure) {
        asked.released++;
        asked.id = strdup(id);
        asked.generation = generation;
        asked.reason = strdup(reason);
        return refuse(ret_failure);
}

static int fake_attach(
                void *userdata, const char *tenant_id, const int *pidfds, size_t n, Failure *ret_failure) {
        asked.attached++;
        asked.n_pidfds = n;
        return refuse(ret_failure);
}

static int fake_attach_unit(
                void *userdata, uid_t caller, const char *tenant_id, const char *unit, Failure *ret_failure) {
        cr_assert_eq(caller, getuid());
        return refuse(ret_failure);
}

static int fake_diff(void *userdata, const char *tenant_id, DifferenceList *ret, Failure *ret_failure) {
        cr_assert_str_eq(tenant_id, "alpha");
        cr_assert_eq(difference_list_add(ret, "alpha", "/a", "cpu.max", "max", "1", NULL), 0);
        cr_assert_eq(difference_list_add(ret, NULL, "eth0", "class 4847:10", "", "2", "why"), 0);
        return refuse(ret_failure);
}

static void take_words(const char *id, const char *reason, uint64_t number) {
        free(asked.id);
        free(asked.reason);
        asked.id = id ? strdup(id) : NULL;
        asked.reason = reason ? strdup(reason) : NULL;
        asked.generation = number;
}

static int fake_adopt(
                void *userdata, uid_t caller, const char *tenant_id, const char *path, Failure *ret_failure) {
        cr_assert_eq(caller, getuid());
        take_words(tenant_id, path, 1);
        return refuse(ret_failure);
}

static int fake_abandon(
                void *userdata, uid_t caller, const char *tenant_id, const char *path, Failure *ret_failure) {
        cr_assert_eq(caller, getuid());
        take_words(tenant_id, path, 2);
        return refuse(ret_failure);
}

static int fake_explain(void *userdata, bool is_reader, const char *object, const char *name,
                ExplanationList *ret, Failure *ret_failure) {
        cr_assert(is_reader, "the daemon's own user reads all");
        cr_assert_str_eq(object, "alpha");
        cr_assert_str_eq(name, "cpu");
        cr_assert_eq(explanation_list_add(ret, "cpu.max", "1 2", "max 2", "so it is"), 0);
        return refuse(ret_failure);
}

static int fake_snapshot(void *userdata, const char *format, char *const *only_tenants, int *ret_fd,
                Failure *ret_failure) {
        cr_assert_null(only_tenants, "the daemon's own user reads all");
        if (refuse(ret_failure) > 0)
                return (int) asked.answer;
        *ret_fd = memfd_create("test", MFD_CLOEXEC);
        return write(*ret_fd, "# EOF\n", 6) == 6 ? 0 : -errno;
}

static int fake_set_mode(
                void *userdata, uid_t caller, const char *tenant_id, const char *mode, Failure *ret_failure) {
        cr_assert_eq(caller, getuid());
        take_words(tenant_id, mode, 0);
        return refuse(ret_failure);
}

static int fake_sync(void *userdata, uid_t caller, const char *issuer, Allocation **requests, size_t n,
                Failure *ret_failure) {
        take_words(issuer, NULL, 0);
        return fake_apply(userdata, caller, requests, n, ret_failure);
}

static int fake_renew(
                void *userdata, uid_t caller, const char *id, uint64_t lease_usec, Failure *ret_failure) {
        take_words(id, NULL, lease_usec);
        return refuse(ret_failure);
}

static int fake_drain(void *userdata, const char *reason, Failure *ret_failure) {
        take_words(NULL, reason, 0);
        return refuse(ret_failure);
}

static int fake_nothing(void *userdata, Failure *ret_failure) {
        take_words("asked", NULL, 0);
        return refuse(ret_failure);
}

static int fake_set_capacity(void *userdata, const ResourceSet *capacity, Failure *ret_failure) {
        cr_assert_eq(capacity->n, 2);
        take_words(resource_info(capacity->entries[1].kind)->name, capacity->entries[1].target,
                        capacity->entries[1].amount.limit);
        return refuse(ret_failure);
}

static int fake_calendar(void *userdata, uint64_t from_usec, uint64_t until_usec, Segment **ret,
                size_t *ret_n, Failure *ret_failure) {
        *ret = calloc(2, sizeof(Segment));
        (*ret)[0] = (Segment){
                .tenant_id = "alpha", .window = { from_usec, until_usec }, .amount = { 5, UNLIMITED }
        };
        (*ret)[1] = (Segment){ .tenant_id = "beta", .kind = RESOURCE_NET_EGRESS, .target = "eth1" };
        *ret_n = 2;
        return refuse(ret_failure);
}

static int fake_release_all(void *userdata, char ***ret_tenants_left, Failure *ret_failure) {
        take_words("asked", NULL, 0);
        if (refuse(ret_failure) > 0)
                return (int) asked.answer;
        return strv_push(ret_tenants_left, "alpha");
}

static const ApiOperations operations = {
        .apply = fake_apply,
        .sync = fake_sync,
        .renew = fake_renew,
        .drain = fake_drain,
        .resume = fake_nothing,
        .accept_clock = fake_nothing,
        .release_all = fake_release_all,
        .set_capacity = fake_set_capacity,
        .calendar = fake_calendar,
        .check = fake_check,
        .release = fake_release,
        .attach = fake_attach,
        .attach_unit = fake_attach_unit,
        .set_mode = fake_set_mode,
        .diff = fake_diff,
        .explain = fake_explain,
        .adopt = fake_adopt,
        .abandon = fake_abandon,
        .snapshot = fake_snapshot,
};

static void connect_both(void) {
        static const ApiOptions options = {};
        Allocation *allocation, *replaced;
        sd_id128_t id;
        int fds[2];

        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        cr_assert_geq(sd_id128_randomize(&id), 0);
        cr_assert_geq(sd_bus_new(&server), 0);
        cr_assert_geq(sd_bus_set_fd(server, fds[0], fds[0]), 0);
        cr_assert_geq(sd_bus_set_server(server, true, id), 0);
        cr_assert_geq(sd_bus_negotiate_fds(server, true), 0);
        cr_assert_geq(sd_bus_start(server), 0);
        cr_assert_geq(sd_bus_new(&client), 0);
        cr_assert_geq(sd_bus_set_fd(client, fds[1], fds[1]), 0);
        cr_assert_geq(sd_bus_negotiate_fds(client, true), 0);
        cr_assert_geq(sd_bus_start(client), 0);
        node = *sample_node();
        cr_assert_eq(allocation_new(&allocation), 0);
        allocation->id = strdup("alpha-1");
        allocation->tenant_id = strdup("alpha");
        allocation->delivered = &delivered;
        cr_assert_eq(calendar_put(&node.calendar, allocation, &replaced), 0);
        cr_assert_geq(api_new(&node, &operations, &options, NULL, &api), 0);
        cr_assert_geq(api_serve(api, server), 0);
        for (int turn = 0; sd_bus_is_ready(client) == 0 && turn < TURNS_MAX; turn++) {
                cr_assert_geq(sd_bus_process(client, NULL), 0);
                cr_assert_geq(sd_bus_process(server, NULL), 0);
        }
        cr_assert_gt(sd_bus_is_ready(client), 0);
}

static void disconnect_both(void) {
        api_free(api);
        sd_bus_close_unref(client);
        sd_bus_close_unref(server);
        calendar_deinit(&node.calendar);
        allocation_free(asked.first);
        free(asked.id);
        free(asked.reason);
}

TestSuite(api, .init = connect_both, .fini = disconnect_both);

static int take_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        *(sd_bus_message **) userdata = sd_bus_message_ref(reply);
        return 0;
}

/* Sends the call and lets both ends run until it is answered. */
static sd_bus_message *call(sd_bus_message *m) {
        sd_bus_message *reply = NULL;

        cr_assert_geq(sd_bus_call_async(client, NULL, m, take_reply, &reply, 0), 0);
        for (int turn = 0; !reply && turn < TURNS_MAX; turn++) {
                cr_assert_geq(sd_bus_process(client, NULL), 0);
                cr_assert_geq(sd_bus_process(server, NULL), 0);
        }
        cr_assert_not_null(reply, "no answer");
        sd_bus_message_unref(m);
        return reply;
}

static sd_bus_message *method(const char *path, const char *interface, const char *member) {
        sd_bus_message *m;

        cr_assert_geq(sd_bus_message_new_method_call(client, &m, NULL, path, interface, member), 0);
        return m;
}

static sd_bus_message *manager_method(const char *member) {
        return method(API_PATH, "org.headgate.Node1.Manager", member);
}

static void expect_error(sd_bus_message *reply, const char *name, const char *words, const char *what) {
        const sd_bus_error *error = sd_bus_message_get_error(reply);

        cr_assert_not_null(error, "%s: answered instead of refused", what);
        cr_expect_str_eq(error->name, name, "%s: %s: %s", what, error->name, error->message);
        cr_expect_not_null(strstr(error->message, words), "%s: '%s'", what, error->message);
        sd_bus_message_unref(reply);
}

static void expect_success(sd_bus_message *reply) {
        const sd_bus_error *error = sd_bus_message_get_error(reply);

        cr_assert_null(error, "%s", error ? error->message : "");
}

Test(api, apply_gives_every_key_to_the_model) {
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
        { "which request", append_wrong_second, "org.headgate.Error.UnknownKey", "request 2: " },
};

Test(api, what_is_no_request_is_refused_before_anyone_is_asked) {
        for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
                sd_bus_message *m = manager_method("Apply");

                refused[i].append(m);
                expect_error(call(m), refused[i].error, refused[i].words, refused[i].name);
        }
        cr_expect_eq(asked.applied, 0);
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

Test(api, every_refusal_has_its_name) {
        cr_assert_eq(sizeof errors / sizeof errors[0], FAILURE_CODE_MAX - 1, "a code has no case here");
        for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
                sd_bus_message *m = manager_method("Release");

                asked.answer = errors[i].code;
                cr_assert_geq(sd_bus_message_append(m, "sts", "a", (uint64_t) 1, ""), 0);
                expect_error(call(m), errors[i].error, "words of", errors[i].error);
        }
}

Test(api, release_passes_its_words_on) {
        sd_bus_message *m = manager_method("Release"), *reply;

        cr_assert_geq(sd_bus_message_append(m, "sts", "a-b", (uint64_t) 9, "moved away"), 0);
        reply = call(m);
        expect_success(reply);
        sd_bus_message_unref(reply);
        cr_expect_str_eq(asked.id, "a-b");
        cr_expect_eq(asked.generation, 9);
        cr_expect_str_eq(asked.reason, "moved away");
}

static void call_and_expect(sd_bus_message *m, const char *id, const char *reason, uint64_t number) {
        sd_bus_message *reply = call(m);

        expect_success(reply);
        sd_bus_message_unref(reply);
        cr_expect_str_eq(asked.id ?: "", id);
        cr_expect_str_eq(asked.reason ?: "", reason);
        cr_expect_eq(asked.generation, number);
}

Test(api, what_is_said_of_leases_and_of_the_node_is_passed_on) {
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

Test(api, drift_is_told_with_its_counts) {
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

Test(api, release_all_names_who_is_left) {
        sd_bus_message *reply = call(manager_method("ReleaseAll"));
        char **left = NULL;

        expect_success(reply);
        cr_expect_str_eq(asked.id, "asked");
        cr_assert_gt(sd_bus_message_read_strv(reply, &left), 0);
        cr_expect(strv_length(left) == 1 && strcmp(left[0], "alpha") == 0);
        strv_free(left);
        sd_bus_message_unref(reply);
}

Test(api, sync_names_the_issuer_and_answers_with_paths) {
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

Test(api, the_calendar_is_told_segment_by_segment) {
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

Test(api, what_was_delivered_is_told) {
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

Test(api, whom_the_kernel_killed_is_told) {
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

Test(api, who_made_whom_wait_is_told_to_readers) {
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
        sd_bus_message_unref(reply);

        m = manager_method("Culprits");
        cr_assert_geq(sd_bus_message_append(m, "s", "nobody"), 0);
        expect_error(call(m), "org.headgate.Error.NoSuchTenant", "there is no tenant 'nobody'", "Culprits");
}

Test(api, differences_are_told_one_by_one) {
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

Test(api, reasons_are_told_value_by_value) {
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

Test(api, check_answers_request_by_request) {
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

Test(api, groups_are_adopted_and_abandoned) {
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

Test(api, a_tenant_names_what_it_adopted) {
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

Test(api, what_was_left_behind_is_told_with_the_problems) {
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

Test(api, attach_takes_sixteen_and_no_more) {
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

Test(api, snapshot_is_a_descriptor) {
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

Test(api, introspection_is_the_design) {
        char *path;

        expect_interface(API_PATH, manager_interface, ELEMENTSOF(manager_interface));
        cr_assert_geq(sd_bus_path_encode(API_PATH "/tenant", "beta-2", &path), 0);
        expect_interface(path, tenant_interface, ELEMENTSOF(tenant_interface));
        free(path);
        cr_assert_geq(sd_bus_path_encode(API_PATH "/allocation", "alpha-1", &path), 0);
        expect_interface(path, allocation_interface, ELEMENTSOF(allocation_interface));
        free(path);
}

Test(api, all_objects_in_one_call) {
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

Test(api, what_is_not_in_the_table_is_denied_to_root_too) {
        expect_error(call(method(API_PATH, "org.freedesktop.DBus.Properties", "Set")),
                        "org.headgate.Error.AccessDenied", "Set", "a setter");
        expect_error(call(manager_method("Explode")), "org.headgate.Error.AccessDenied", "Explode",
                        "no such method");
        expect_error(call(method(API_PATH, NULL, "Apply")), "org.headgate.Error.AccessDenied", "Apply",
                        "no interface");
}

static const struct {
        const char *name;
        uid_t uid;
        AccessLevel level;
        bool granted;
} access_cases[] = {
        { "root may all", 0, ACCESS_ROOT, true },
        { "root may not what is not in the table", 0, ACCESS_NOBODY, false },
        { "nobody may ask where the handler decides", 65534, ACCESS_ANYONE, true },
        { "nobody may not read", 65534, ACCESS_READER, false },
        { "nobody may not push", 65534, ACCESS_SCHEDULER, false },
        { "nobody is not root", 65534, ACCESS_ROOT, false },
        { "a user that the system does not know", 4242424, ACCESS_READER, false },
        { "a scheduler pushes", 2, ACCESS_SCHEDULER, true },
        { "a scheduler reads", 2, ACCESS_READER, true },
        { "a scheduler is not root", 2, ACCESS_ROOT, false },
};

Test(authorize, by_user) {
        char *schedulers[] = { (char *) "bin", NULL }; /* uid 2 on every Debian */

        for (size_t i = 0; i < ELEMENTSOF(access_cases); i++)
                cr_expect_eq(authorize_user(access_cases[i].uid, access_cases[i].level, schedulers,
                                             "no-such-group"),
                                access_cases[i].granted, "%s", access_cases[i].name);
}

Test(authorize, a_groups_members_read) {
        /* "daemon" (uid 1) has the group of its name as its own. */
        cr_expect(authorize_user(1, ACCESS_READER, NULL, "daemon"));
        cr_expect_not(authorize_user(1, ACCESS_SCHEDULER, NULL, "daemon"));
        cr_expect_not(authorize_user(2, ACCESS_READER, NULL, "daemon"));
}

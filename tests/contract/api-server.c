/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "api-server.h"

#include "support/sample-node.h"
#include "util/strv.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define TURNS_MAX 1000 /* of the two ends, for one call: each is some bytes further */

Asked asked;
Node node;
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

/* Of others than alpha many, each text of which is this one. */
static int fake_diff(void *userdata, const char *tenant_id, DifferenceList *ret, Failure *ret_failure) {
        const char *t = tenant_id;

        if (strcmp(t, "alpha") != 0) {
                for (int i = 0; i < 100; i++)
                        cr_assert_eq(difference_list_add(ret, t, t, t, t, t, t), 0);
                asked.generation = ret->bytes;
                return 0;
        }
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

static uint64_t fake_boottime_usec(void *userdata) {
        return 1;
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
        .refresh_blames = fake_nothing,
        .boottime_usec = fake_boottime_usec,
        .snapshot = fake_snapshot,
};

void api_server_set_up(void) {
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

void api_server_tear_down(void) {
        api_free(api);
        sd_bus_close_unref(client);
        sd_bus_close_unref(server);
        calendar_deinit(&node.calendar);
        allocation_free(asked.first);
        free(asked.id);
        free(asked.reason);
}

const Api *api_server(void) {
        return api;
}

static int take_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        *(sd_bus_message **) userdata = sd_bus_message_ref(reply);
        return 0;
}

sd_bus_message *call(sd_bus_message *m) {
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

sd_bus_message *method(const char *path, const char *interface, const char *member) {
        sd_bus_message *m;

        cr_assert_geq(sd_bus_message_new_method_call(client, &m, NULL, path, interface, member), 0);
        return m;
}

sd_bus_message *manager_method(const char *member) {
        return method(API_PATH, "org.headgate.Node1.Manager", member);
}

void expect_error(sd_bus_message *reply, const char *name, const char *words, const char *what) {
        const sd_bus_error *error = sd_bus_message_get_error(reply);

        cr_assert_not_null(error, "%s: answered instead of refused", what);
        cr_expect_str_eq(error->name, name, "%s: %s: %s", what, error->name, error->message);
        cr_expect_not_null(strstr(error->message, words), "%s: '%s'", what, error->message);
        sd_bus_message_unref(reply);
}

void expect_success(sd_bus_message *reply) {
        const sd_bus_error *error = sd_bus_message_get_error(reply);

        cr_assert_null(error, "%s", error ? error->message : "");
}

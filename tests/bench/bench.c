/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See bench.h. It measures with the monotonic clock and judges nothing but `holds`. */

#include "bench.h"

#include <jansson.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#define CALL_TIMEOUT_USEC (300 * 1000000ULL)

uint64_t bench_now_nsec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}

void bench_fail(const char *format, ...) {
        va_list args;

        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fputc('\n', stderr);
        exit(EXIT_FAILURE);
}

void bench_check(int r, const sd_bus_error *error, const char *what) {
        if (r < 0)
                bench_fail("%s: %s", what, error && error->message ? error->message : strerror(-r));
}

void *bench_allocate(size_t n, size_t size) {
        void *p = calloc(n, size);

        if (!p)
                bench_fail("out of memory");
        return p;
}

static int compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return (x > y) - (x < y);
}

uint64_t bench_percentile(uint64_t *values, size_t n, unsigned p) {
        qsort(values, n, sizeof(*values), compare);
        return values[(n * p + 99) / 100 - (p > 0)];
}

static sd_bus *connect_to(const char *address, bool bus_client) {
        sd_bus *bus;

        bench_check(sd_bus_new(&bus), NULL, "a bus");
        bench_check(sd_bus_set_address(bus, address), NULL, address);
        bench_check(sd_bus_set_bus_client(bus, bus_client), NULL, address);
        bench_check(sd_bus_start(bus), NULL, address);
        return bus;
}

sd_bus *bench_connect(const char *address) {
        sd_bus *bus;

        if (strcmp(address, "system") != 0)
                return connect_to(address, /* bus_client= */ true);
        bench_check(sd_bus_open_system(&bus), NULL, "the system bus");
        return bus;
}

sd_bus *bench_connect_peer(const char *address) {
        return connect_to(address, /* bus_client= */ false);
}

static int append_share(sd_bus_message *m, const BenchShare *share) {
        const struct {
                const char *name;
                const uint64_t *amount;
        } resources[] = { { "cpu", share->cpu_millicores }, { "memory", share->memory_bytes },
                { "tasks", share->tasks } };
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "Resources");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a{s(tt)}");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{s(tt)}");
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(resources); i++)
                r = sd_bus_message_append(m, "{s(tt)}", resources[i].name, resources[i].amount[0],
                                resources[i].amount[1]);
        for (int i = 0; r >= 0 && i < 3; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int append_request(sd_bus_message *m, size_t i, uint64_t generation, const BenchShare *share) {
        char id[32];
        int r;

        snprintf(id, sizeof(id), "bench-%zu", i);
        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}", "AllocationId", "s", id, "TenantId", "s", id,
                                "Generation", "t", generation);
        if (r >= 0)
                r = append_share(m, share);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int take_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        bool *answered = userdata;

        bench_check(-sd_bus_message_get_errno(m), sd_bus_message_get_error(m), "Apply");
        *answered = true;
        return 0;
}

void bench_begin_apply(sd_bus *bus, size_t first, size_t n, uint64_t generation, const BenchShare *share,
                bool *answered) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        bench_check(sd_bus_message_new_method_call(bus, &m, NODE_NAME, NODE_PATH, NODE_MANAGER, "Apply"),
                        NULL, "Apply");
        bench_check(sd_bus_message_open_container(m, 'a', "a{sv}"), NULL, "Apply");
        for (size_t i = first; i < first + n; i++)
                bench_check(append_request(m, i, generation, share), NULL, "Apply");
        bench_check(sd_bus_message_close_container(m), NULL, "Apply");
        *answered = false;
        bench_check(sd_bus_call_async(bus, NULL, m, take_answer, answered, CALL_TIMEOUT_USEC), NULL, "Apply");
        bench_check(sd_bus_flush(bus), NULL, "Apply");
}

void bench_end_apply(sd_bus *bus, const bool *answered) {
        while (!*answered) {
                int r = sd_bus_process(bus, NULL);

                bench_check(r, NULL, "Apply");
                if (r == 0)
                        bench_check(sd_bus_wait(bus, CALL_TIMEOUT_USEC), NULL, "Apply");
        }
}

void bench_apply(sd_bus *bus, size_t first, size_t n, uint64_t generation, const BenchShare *share) {
        bool answered;

        bench_begin_apply(bus, first, n, generation, share, &answered);
        bench_end_apply(bus, &answered);
}

char *bench_control_group(sd_bus *bus, size_t tenant) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *group = NULL, *object = NULL, *id = NULL;
        const char *mount = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0 ? "/sys/fs/cgroup"
                                                                                   : "/sys/fs/cgroup/unified";
        char *path;

        if (asprintf(&id, "bench-%zu", tenant) < 0)
                bench_fail("out of memory");
        bench_check(sd_bus_path_encode(NODE_PATH "/tenant", id, &object), NULL, id);
        bench_check(sd_bus_get_property_string(bus, NODE_NAME, object, "org.headgate.Node1.Tenant",
                                    "ControlGroup", &error, &group),
                        &error, "ControlGroup");
        if (*group == '\0')
                bench_fail("tenant %s has no control group", id);
        if (asprintf(&path, "%s%s", mount, group) < 0)
                bench_fail("out of memory");
        return path;
}

void bench_report(const BenchFigure *figure) {
        bool has_peer = figure->peer_name;
        double ratio = has_peer ? figure->ours / figure->peer : 0;
        bool holds = (figure->goal_of_ratio ? ratio : figure->ours) <= figure->goal;
        _cleanup_free_ char *goal = NULL, *line = NULL;
        json_t *object;

        if (asprintf(&goal,
                            figure->goal <= 0       ? "-"
                            : figure->goal_of_ratio ? "ratio <= %.4g"
                                                    : "ours <= %.4g",
                            figure->goal) < 0)
                bench_fail("out of memory");
        object = json_pack("{s:s, s:s, s:f, s:s?, s:o, s:o, s:s, s:o, s:s?}", "name", figure->name, "unit",
                        figure->unit, "ours", figure->ours, "peerName", figure->peer_name, "peer",
                        has_peer ? json_real(figure->peer) : json_null(), "ratio",
                        has_peer ? json_real(ratio) : json_null(), "goal", goal, "holds",
                        figure->goal > 0 ? json_boolean(holds) : json_null(), "note", figure->note);
        line = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
        if (!line)
                bench_fail("out of memory");
        puts(line);
        fflush(stdout);
        json_decref(object);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One Apply of one allocation, from the call to the answer that it holds, beside systemd's SetUnitProperties
 * with the values that Headgate wrote, on a slice of its own; with as many tenants as slices, both through
 * the system bus, one of each in turn. After every call, outside of what is timed, the kernel's files are
 * read: a call that was answered before its values were in force ends the bench. Run it as root where systemd
 * is PID 1; guest-apply prepares all.
 *
 * Usage: bench-apply BUS TENANTS ROUNDS
 */

#include "bench.h"

#include "util/strv.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#define WARM_UP 10
#define JOB_WAIT_USEC (30 * 1000000ULL)

/* The files that a new allocation changes, and the property that writes each. */
static const struct {
        const char *file;
        const char *property;
} settings[] = {
        { "cpu.max", "CPUQuotaPerSecUSec" },
        { "memory.high", "MemoryHigh" },
        { "memory.max", "MemoryMax" },
        { "pids.max", "TasksMax" },
};
enum { N_SETTINGS = ELEMENTSOF(settings) };

static BenchShare share_of_round(size_t round) {
        return (BenchShare){
                .cpu_millicores = { 5, 100 + round % 89 },
                .memory_bytes = { 1 << 20, (64 + round % 61) << 20 },
                .tasks = { 0, 100 + round % 83 },
        };
}

/* "max", a number, or cpu.max's two: µs of CPU a second then. */
static uint64_t read_value(const char *group, const char *file) {
        _cleanup_close_ int directory = open(group, O_PATH | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int fd = openat(directory, file, O_RDONLY | O_CLOEXEC);
        uint64_t value, period;
        char text[64];
        ssize_t n;

        if (fd < 0)
                bench_fail("%s/%s: %s", group, file, strerror(errno));
        n = read(fd, text, sizeof(text) - 1);
        if (n < 0)
                bench_fail("%s/%s: %s", group, file, strerror(errno));
        text[n] = '\0';
        if (strncmp(text, "max", 3) == 0)
                return UINT64_MAX;
        switch (sscanf(text, "%" SCNu64 " %" SCNu64, &value, &period)) {
        case 1:
                return value;
        case 2:
                return value * 1000000 / period;
        default:
                bench_fail("%s/%s: \"%s\"", group, file, text);
        }
}

static void check_ours(const char *group, const BenchShare *share) {
        if (read_value(group, "cpu.max") != share->cpu_millicores[1] * 1000 ||
                        read_value(group, "memory.max") != share->memory_bytes[1] ||
                        read_value(group, "pids.max") != share->tasks[1])
                bench_fail("%s: Apply was answered before its values were in force", group);
}

static int append_properties(sd_bus_message *m, const uint64_t values[N_SETTINGS]) {
        int r = sd_bus_message_open_container(m, 'a', "(sv)");

        for (size_t i = 0; r >= 0 && i < N_SETTINGS; i++)
                r = sd_bus_message_append(m, "(sv)", settings[i].property, "t", values[i]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static void slice_name(size_t i, char ret[64]) {
        snprintf(ret, 64, "headgatebench-%zu.slice", i);
}

static sd_bus_message *new_call(sd_bus *bus, const char *member) {
        sd_bus_message *m;

        bench_check(sd_bus_message_new_method_call(bus, &m, "org.freedesktop.systemd1",
                                    "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", member),
                        NULL, member);
        return m;
}

static int count_job(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        size_t *jobs = userdata;

        (*jobs)++;
        return 0;
}

static void make_slices(sd_bus *bus, size_t n, const uint64_t values[N_SETTINGS]) {
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        size_t jobs = 0;

        bench_check(sd_bus_match_signal(bus, &slot, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                    "org.freedesktop.systemd1.Manager", "JobRemoved", count_job, &jobs),
                        NULL, "JobRemoved");
        for (size_t i = 0; i < n; i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = new_call(bus, "StartTransientUnit");
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
                char name[64];

                slice_name(i, name);
                bench_check(sd_bus_message_append(m, "ss", name, "fail"), NULL, name);
                bench_check(append_properties(m, values), NULL, name);
                bench_check(sd_bus_message_append(m, "a(sa(sv))", 0), NULL, name);
                bench_check(sd_bus_call(bus, m, 0, &error, NULL), &error, name);
                while (jobs <= i) {
                        int r = sd_bus_process(bus, NULL);

                        bench_check(r, NULL, "JobRemoved");
                        if (r == 0 && sd_bus_wait(bus, JOB_WAIT_USEC) <= 0)
                                bench_fail("%s did not start", name);
                }
        }
}

static void set_properties(sd_bus *bus, size_t i, const uint64_t values[N_SETTINGS]) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = new_call(bus, "SetUnitProperties");
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        char name[64];

        slice_name(i, name);
        bench_check(sd_bus_message_append(m, "sb", name, /* runtime= */ 1), NULL, name);
        bench_check(append_properties(m, values), NULL, name);
        bench_check(sd_bus_call(bus, m, 0, &error, NULL), &error, name);
}

static void check_peer(size_t i, const uint64_t values[N_SETTINGS]) {
        char name[64], group[128];

        slice_name(i, name);
        snprintf(group, sizeof(group), "/sys/fs/cgroup/headgatebench.slice/%s", name);
        for (size_t k = 0; k < N_SETTINGS; k++)
                if (read_value(group, settings[k].file) != values[k])
                        bench_fail("%s: SetUnitProperties was answered before %s was in force", group,
                                        settings[k].file);
}

static void report(size_t n_tenants, uint64_t *ours, uint64_t *peer, size_t n) {
        static const struct {
                unsigned p;
                double goal;
        } rows[] = { { 50, 0.1 }, { 99, 0.1 } };
        _cleanup_free_ uint64_t *even = bench_new(uint64_t, n / 2), *odd = bench_new(uint64_t, n / 2);
        _cleanup_free_ char *note = NULL;

        /* The peer against itself, even rounds against odd: what this machine makes of two equal things. */
        for (size_t i = 0; i + 1 < n; i += 2) {
                even[i / 2] = peer[i];
                odd[i / 2] = peer[i + 1];
        }
        if (asprintf(&note, "%zu rounds; the peer's p50 against itself: %+.1f %%", n,
                            100.0 * (double) bench_percentile(even, n / 2, 50) /
                                                            (double) bench_percentile(odd, n / 2, 50) -
                                            100.0) < 0)
                bench_fail("out of memory");
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                char name[64];

                snprintf(name, sizeof(name), "apply, %zu tenants, p%u", n_tenants, rows[i].p);
                bench_report(&(BenchFigure){
                                .name = name,
                                .unit = "ms",
                                .ours = (double) bench_percentile(ours, n, rows[i].p) / 1e6,
                                .peer_name = "systemd SetUnitProperties",
                                .peer = (double) bench_percentile(peer, n, rows[i].p) / 1e6,
                                .goal = rows[i].goal,
                                .goal_of_ratio = true,
                                .note = note,
                });
        }
}

int main(int argc, char **argv) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL, *systemd = NULL;
        size_t n_tenants, rounds;
        uint64_t generation = 1;

        if (argc != 4)
                bench_fail("usage: bench-apply BUS TENANTS ROUNDS");
        n_tenants = strtoul(argv[2], NULL, 10);
        rounds = strtoul(argv[3], NULL, 10);
        if (n_tenants < 1 || rounds < 10)
                bench_fail("at least 1 tenant and 10 rounds");

        _cleanup_free_ uint64_t *ours = bench_new(uint64_t, rounds), *peer = bench_new(uint64_t, rounds);
        _cleanup_strv_ char **groups = bench_new(char *, n_tenants + 1);
        uint64_t values[N_SETTINGS];
        BenchShare share = share_of_round(0);

        bus = bench_connect(argv[1]);
        systemd = bench_connect("system");
        bench_apply(bus, 0, n_tenants, generation++, &share);
        for (size_t i = 0; i < n_tenants; i++)
                groups[i] = bench_control_group(bus, i);
        for (size_t k = 0; k < N_SETTINGS; k++)
                values[k] = read_value(groups[0], settings[k].file);
        make_slices(systemd, n_tenants, values);

        for (size_t round = 0; round < WARM_UP + rounds; round++) {
                size_t i = round * 37 % n_tenants;
                uint64_t begin, between, end;

                share = share_of_round(round + 1);
                begin = bench_now_nsec();
                bench_apply(bus, i, 1, generation++, &share);
                between = bench_now_nsec();
                check_ours(groups[i], &share);
                for (size_t k = 0; k < N_SETTINGS; k++)
                        values[k] = read_value(groups[i], settings[k].file);
                if (round >= WARM_UP)
                        ours[round - WARM_UP] = between - begin;

                begin = bench_now_nsec();
                set_properties(systemd, i, values);
                end = bench_now_nsec();
                check_peer(i, values);
                if (round >= WARM_UP)
                        peer[round - WARM_UP] = end - begin;
        }
        report(n_tenants, ours, peer, rounds);
        return EXIT_SUCCESS;
}

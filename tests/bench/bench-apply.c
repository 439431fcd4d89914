/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One Apply of one allocation, from the call to the answer that it holds, through the bus and at the peer
 * socket, beside systemd's SetUnitProperties with the values that Headgate wrote, on a slice of its own; with
 * as many tenants as slices, one of each in turn. Then all in one call, beside as many calls to systemd that
 * do not wait for one another; and one by one again while three times as many processes as there are CPUs
 * want to run. Of a call at the peer socket it is measured apart when its values were in force, by reading
 * the kernel's files again and again until they show them; what comes then is the reading back and the
 * durable part. After every call, outside of what is timed, the files are read: a call that was
 * answered before its values were in force ends the bench. Run it as root where systemd is PID 1; guest-apply
 * prepares all.
 *
 * Usage: bench-apply BUS PEER SIZE[,SIZE…] ROUNDS     numbers of tenants that grow
 *        bench-apply --decide PEER SIZE[,SIZE…] ROUNDS  a daemon that runs dry: what deciding takes
 *        bench-apply --durable PEER DIRECTORY TENANTS ROUNDS  beside a write that is synced in DIRECTORY
 *        bench-apply --once PEER TENANT ROUNDS       changes of one tenant, for who counts what comes of them
 */

#include "bench.h"

#include "util/strv.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define WARM_UP 10
#define PAUSE_MSEC 50 /* between two calls: what the one leaves to be done is not the other's time */
#define BATCHES 3
#define SIZES_MAX 4
#define PIPELINED 100
#define LOAD 3 /* processes that want to run, for each CPU */
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

/* As much as so many tenants may have of two CPUs and 2 GiB. */
static uint64_t floor_millicores, floor_bytes;

static void choose_floors(size_t n_tenants) {
        floor_millicores = 1000 / n_tenants;
        floor_bytes = n_tenants > 1000 ? 0 : (500U << 20) / n_tenants & ~0xfffULL;
}

static BenchShare share_of_round(size_t round) {
        return (BenchShare){
                .cpu_millicores = { floor_millicores, 100 + round % 89 },
                .memory_bytes = { floor_bytes, (64 + round % 61) << 20 },
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

enum { TIME_EMPTY, TIME_ANSWERED, TIME_IN_FORCE, TIME_AFTER, TIME_MAX }; /* of one call by the peer socket */

static bool is_in_force(const int fds[3], const BenchShare *share) {
        const uint64_t wanted[3] = { share->cpu_millicores[1] * 100, share->memory_bytes[1],
                share->tasks[1] };

        for (int i = 0; i < 3; i++) {
                char text[64];
                ssize_t n = pread(fds[i], text, sizeof(text) - 1, 0);

                if (n < 0)
                        bench_fail("a control group's file: %s", strerror(errno));
                text[n] = '\0';
                if (strtoull(text, NULL, 10) != wanted[i])
                        return false;
        }
        return true;
}

static int take_pong(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        *(bool *) userdata = true;
        return 0;
}

/* A call that does nothing, whose answer is looked for again and again, as values in force are: what any call
 * takes here to get to the daemon, and to have it run. */
static uint64_t call_nothing(sd_bus *bus) {
        uint64_t begin = bench_now_nsec();
        bool answered = false;

        bench_check(sd_bus_call_method_async(bus, NULL, "org.headgate.Node1", "/org/headgate/Node1",
                                    "org.freedesktop.DBus.Peer", "Ping", take_pong, &answered, NULL),
                        NULL, "Ping");
        while (!answered)
                bench_check(sd_bus_process(bus, NULL), NULL, "Ping");
        return bench_now_nsec() - begin;
}

/* Sends the call, waits for the kernel's files to show its values, and then for the answer. */
static void apply_and_watch(sd_bus *bus, const char *group, size_t i, uint64_t generation,
                const BenchShare *share, uint64_t ret[TIME_MAX]) {
        static const char *const files[3] = { "cpu.max", "memory.max", "pids.max" };
        _cleanup_close_ int directory = open(group, O_PATH | O_DIRECTORY | O_CLOEXEC);
        uint64_t begin, in_force;
        bool answered;
        int fds[3];

        for (int k = 0; k < 3; k++) {
                fds[k] = openat(directory, files[k], O_RDONLY | O_CLOEXEC);
                if (fds[k] < 0)
                        bench_fail("%s/%s: %s", group, files[k], strerror(errno));
        }
        begin = bench_now_nsec();
        bench_begin_apply(bus, i, 1, generation, share, &answered);
        while (!is_in_force(fds, share))
                if (bench_now_nsec() - begin > JOB_WAIT_USEC * 1000)
                        bench_fail("%s: what was asked for did not come in force", group);
        in_force = bench_now_nsec();
        bench_end_apply(bus, &answered);
        ret[TIME_ANSWERED] = bench_now_nsec() - begin;
        ret[TIME_IN_FORCE] = in_force - begin;
        ret[TIME_AFTER] = ret[TIME_ANSWERED] - ret[TIME_IN_FORCE];
        for (int k = 0; k < 3; k++)
                close(fds[k]);
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

static void make_slices(sd_bus *bus, size_t first, size_t n, const uint64_t values[N_SETTINGS]) {
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        size_t jobs = 0;

        bench_check(sd_bus_match_signal(bus, &slot, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                    "org.freedesktop.systemd1.Manager", "JobRemoved", count_job, &jobs),
                        NULL, "JobRemoved");
        for (size_t i = first; i < n; i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = new_call(bus, "StartTransientUnit");
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
                char name[64];

                slice_name(i, name);
                bench_check(sd_bus_message_append(m, "ss", name, "fail"), NULL, name);
                bench_check(append_properties(m, values), NULL, name);
                bench_check(sd_bus_message_append(m, "a(sa(sv))", 0), NULL, name);
                bench_check(sd_bus_call(bus, m, 0, &error, NULL), &error, name);
                while (jobs <= i - first) {
                        int r = sd_bus_process(bus, NULL);

                        bench_check(r, NULL, "JobRemoved");
                        if (r == 0 && sd_bus_wait(bus, JOB_WAIT_USEC) <= 0)
                                bench_fail("%s did not start", name);
                }
        }
}

static sd_bus_message *new_properties(sd_bus *bus, size_t i, const uint64_t values[N_SETTINGS]) {
        sd_bus_message *m = new_call(bus, "SetUnitProperties");
        char name[64];

        slice_name(i, name);
        bench_check(sd_bus_message_append(m, "sb", name, /* runtime= */ 1), NULL, name);
        bench_check(append_properties(m, values), NULL, name);
        return m;
}

static void set_properties(sd_bus *bus, size_t i, const uint64_t values[N_SETTINGS]) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = new_properties(bus, i, values);
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        bench_check(sd_bus_call(bus, m, 0, &error, NULL), &error, "SetUnitProperties");
}

static int count_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        size_t *left = userdata;

        bench_check(-sd_bus_message_get_errno(m), sd_bus_message_get_error(m), "SetUnitProperties");
        (*left)--;
        return 0;
}

/* As many at a time as a bus daemon lets one connection wait for. */
static void set_all_properties(sd_bus *bus, size_t n, const uint64_t values[N_SETTINGS]) {
        size_t left = n, sent = 0;

        while (left > 0) {
                int r;

                for (; sent < n && sent - (n - left) < PIPELINED; sent++) {
                        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m =
                                        new_properties(bus, sent, values);

                        bench_check(sd_bus_call_async(bus, NULL, m, count_reply, &left, UINT64_MAX), NULL,
                                        "SetUnitProperties");
                }
                r = sd_bus_process(bus, NULL);
                bench_check(r, NULL, "SetUnitProperties");
                if (r == 0)
                        bench_check(sd_bus_wait(bus, UINT64_MAX), NULL, "SetUnitProperties");
        }
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

enum { WAY_BUS, WAY_PEER, WAY_SYSTEMD, WAY_MAX };

typedef struct Bench {
        sd_bus *bus[WAY_MAX];
        bool dry; /* the daemon's, and nobody is beside it */
        size_t n_tenants;
        char **groups;
        uint64_t generation;
        size_t rounds;
        uint64_t *times[WAY_MAX];       /* nsec, of each round */
        uint64_t *peer_times[TIME_MAX]; /* the same of the peer socket, in parts */
        uint64_t peer_time[TIME_MAX];   /* of the last call */
} Bench;

static void report(const char *what, size_t n_tenants, unsigned p, uint64_t ours_nsec, uint64_t peer_nsec,
                const char *peer_name, double goal, const char *note) {
        char name[96];

        snprintf(name, sizeof(name), "%s, %zu tenants, p%u", what, n_tenants, p);
        bench_report(&(BenchFigure){
                        .name = name,
                        .unit = "ms",
                        .ours = (double) ours_nsec / 1e6,
                        .peer_name = peer_name,
                        .peer = (double) peer_nsec / 1e6,
                        .goal = goal,
                        .goal_of_ratio = true,
                        .note = note,
        });
}

/* The peer against itself, even rounds against odd: what this machine makes of two equal things. */
static char *say_noise(const uint64_t *peer, size_t n) {
        _cleanup_free_ uint64_t *even = bench_new(uint64_t, n / 2), *odd = bench_new(uint64_t, n / 2);
        char *note;

        for (size_t i = 0; i + 1 < n; i += 2) {
                even[i / 2] = peer[i];
                odd[i / 2] = peer[i + 1];
        }
        if (asprintf(&note, "%zu rounds; the peer's p50 against itself: %+.1f %%", n,
                            100.0 * (double) bench_percentile(even, n / 2, 50) /
                                                            (double) bench_percentile(odd, n / 2, 50) -
                                            100.0) < 0)
                bench_fail("out of memory");
        return note;
}

static void grow(Bench *bench, size_t n) {
        BenchShare share = share_of_round(0);
        uint64_t values[N_SETTINGS];
        size_t had = bench->n_tenants;

        bench_apply(bench->bus[WAY_PEER], had, n - had, bench->generation++, &share);
        bench->n_tenants = n;
        if (bench->dry)
                return;
        bench->groups = reallocarray(bench->groups, n, sizeof(char *));
        if (!bench->groups)
                bench_fail("out of memory");
        for (size_t i = had; i < n; i++)
                bench->groups[i] = bench_control_group(bench->bus[WAY_PEER], i);
        for (size_t k = 0; k < N_SETTINGS; k++)
                values[k] = read_value(bench->groups[0], settings[k].file);
        make_slices(bench->bus[WAY_SYSTEMD], had, n, values);
}

/* One change of one tenant by one of the ways: how long it took. */
static uint64_t change_one(Bench *bench, int way, size_t i, size_t round) {
        BenchShare share = share_of_round(round);
        uint64_t values[N_SETTINGS], begin, end;

        (void) poll(NULL, 0, bench->dry ? 0 : PAUSE_MSEC);
        if (way == WAY_PEER && !bench->dry) {
                bench->peer_time[TIME_EMPTY] = call_nothing(bench->bus[way]);
                (void) poll(NULL, 0, PAUSE_MSEC);
                apply_and_watch(bench->bus[way], bench->groups[i], i, bench->generation++, &share,
                                bench->peer_time);
                check_ours(bench->groups[i], &share);
                return bench->peer_time[TIME_ANSWERED];
        }
        if (way != WAY_SYSTEMD) {
                begin = bench_now_nsec();
                bench_apply(bench->bus[way], i, 1, bench->generation++, &share);
                end = bench_now_nsec();
                if (!bench->dry)
                        check_ours(bench->groups[i], &share);
                return end - begin;
        }
        for (size_t k = 0; k < N_SETTINGS; k++)
                values[k] = read_value(bench->groups[i], settings[k].file);
        begin = bench_now_nsec();
        set_properties(bench->bus[way], i, values);
        end = bench_now_nsec();
        check_peer(i, values);
        return end - begin;
}

static void run_rounds(Bench *bench, const int *ways, size_t n_ways) {
        for (size_t round = 0; round < WARM_UP + bench->rounds; round++) {
                size_t i = round * 37 % bench->n_tenants;

                for (size_t k = 0; k < n_ways; k++) {
                        uint64_t time = change_one(bench, ways[k], i, n_ways * round + k + 1);

                        if (round >= WARM_UP)
                                bench->times[ways[k]][round - WARM_UP] = time;
                        for (int part = 0; part < TIME_MAX && round >= WARM_UP && ways[k] == WAY_PEER; part++)
                                bench->peer_times[part][round - WARM_UP] = bench->peer_time[part];
                }
        }
}

static uint64_t percentile(Bench *bench, int way, unsigned p) {
        return bench_percentile(bench->times[way], bench->rounds, p);
}

/* What any call takes; until the kernel has it, whatever the disk is; and what comes then. */
static void report_parts(Bench *bench) {
        static const unsigned ps[] = { 50, 99 };
        double goal = bench->n_tenants >= 1000 ? 1.0 / 40 : 0.1;

        for (size_t k = 0; k < ELEMENTSOF(ps); k++) {
                uint64_t peer = percentile(bench, WAY_SYSTEMD, ps[k]);

                report("in force, by the peer socket", bench->n_tenants, ps[k],
                                bench_percentile(bench->peer_times[TIME_IN_FORCE], bench->rounds, ps[k]),
                                peer, "systemd SetUnitProperties", goal,
                                "without the durable part; what limits it is above all what any call takes "
                                "here (the next), then its own: decoding, the plan, a dozen system calls; "
                                "not how many others there are");
                report("an empty call at the peer socket", bench->n_tenants, ps[k],
                                bench_percentile(bench->peer_times[TIME_EMPTY], bench->rounds, ps[k]), peer,
                                "systemd SetUnitProperties", 0,
                                "what in force has in it of the socket, and of waking the daemon");
                report("from there to the answer", bench->n_tenants, ps[k],
                                bench_percentile(bench->peer_times[TIME_AFTER], bench->rounds, ps[k]), peer,
                                "systemd SetUnitProperties", 0, "read back, durable");
        }
}

static void measure_one_by_one(Bench *bench) {
        static const char *const names[] = { "apply by the bus", "apply by the peer socket" };
        static const unsigned ps[] = { 50, 99 };
        double goal = bench->n_tenants >= 1000 ? 1.0 / 40 : 0.1;
        _cleanup_free_ char *note = NULL;

        run_rounds(bench, (const int[]){ WAY_BUS, WAY_PEER, WAY_SYSTEMD }, WAY_MAX);
        note = say_noise(bench->times[WAY_SYSTEMD], bench->rounds);
        for (int way = WAY_BUS; way <= WAY_PEER; way++)
                for (size_t k = 0; k < ELEMENTSOF(ps); k++)
                        report(names[way], bench->n_tenants, ps[k], percentile(bench, way, ps[k]),
                                        percentile(bench, WAY_SYSTEMD, ps[k]), "systemd SetUnitProperties",
                                        goal, note);
        report_parts(bench);
}

/* All tenants in one call: the median of a few. */
static void measure_batch(Bench *bench) {
        uint64_t ours[BATCHES], peer[BATCHES], values[N_SETTINGS];

        for (size_t batch = 0; batch < BATCHES; batch++) {
                BenchShare share = share_of_round(batch + 17);
                uint64_t begin = bench_now_nsec(), between;

                bench_apply(bench->bus[WAY_PEER], 0, bench->n_tenants, bench->generation++, &share);
                ours[batch] = bench_now_nsec() - begin;
                for (size_t i = 0; i < bench->n_tenants; i++)
                        check_ours(bench->groups[i], &share);
                for (size_t k = 0; k < N_SETTINGS; k++)
                        values[k] = read_value(bench->groups[0], settings[k].file);
                between = bench_now_nsec();
                set_all_properties(bench->bus[WAY_SYSTEMD], bench->n_tenants, values);
                peer[batch] = bench_now_nsec() - between;
                for (size_t i = 0; i < bench->n_tenants; i++)
                        check_peer(i, values);
        }
        report("all in one Apply", bench->n_tenants, 50, bench_percentile(ours, BATCHES, 50),
                        bench_percentile(peer, BATCHES, 50), "systemd, pipelined", 0.01,
                        "what limits it: each tenant's files are written and read back, and its row is kept, "
                        "one by one");
}

static size_t start_hogs(pid_t **ret) {
        size_t n = LOAD * (size_t) sysconf(_SC_NPROCESSORS_ONLN);
        pid_t *hogs = bench_new(pid_t, n);

        for (size_t i = 0; i < n; i++) {
                hogs[i] = fork();
                if (hogs[i] < 0)
                        bench_fail("fork: %s", strerror(errno));
                if (hogs[i] == 0) {
                        prctl(PR_SET_PDEATHSIG, SIGKILL);
                        for (;;)
                                __asm__ volatile("");
                }
        }
        *ret = hogs;
        return n;
}

/* Daemon (as its unit has it) and client run before the others: a client that does not waits for its own CPU.
 */
static void measure_under_load(Bench *bench) {
        static const int ways[] = { WAY_PEER, WAY_SYSTEMD };
        const struct sched_param realtime = { .sched_priority = 1 }, none = {};
        const uint64_t idle_in_force = bench_percentile(bench->peer_times[TIME_IN_FORCE], bench->rounds, 99);
        uint64_t idle[WAY_MAX] = {};
        _cleanup_free_ pid_t *hogs = NULL;
        size_t n;

        for (size_t k = 0; k < ELEMENTSOF(ways); k++)
                idle[ways[k]] = percentile(bench, ways[k], 99);
        n = start_hogs(&hogs);
        if (sched_setscheduler(0, SCHED_RR, &realtime) < 0)
                bench_fail("SCHED_RR: %s", strerror(errno));
        run_rounds(bench, ways, ELEMENTSOF(ways));
        (void) sched_setscheduler(0, SCHED_OTHER, &none);
        for (size_t i = 0; i < n; i++) {
                (void) kill(hogs[i], SIGKILL);
                (void) waitpid(hogs[i], NULL, 0);
        }
        report("apply by the peer socket, threefold CPU load", bench->n_tenants, 99,
                        percentile(bench, WAY_PEER, 99), idle[WAY_PEER], "itself, idle", 2,
                        "the client runs in real time, as the daemon does");
        report("apply by the peer socket, threefold CPU load", bench->n_tenants, 99,
                        percentile(bench, WAY_PEER, 99), percentile(bench, WAY_SYSTEMD, 99),
                        "systemd SetUnitProperties", bench->n_tenants >= 1000 ? 1.0 / 40 : 0.1, NULL);
        report("in force, threefold CPU load", bench->n_tenants, 99,
                        bench_percentile(bench->peer_times[TIME_IN_FORCE], bench->rounds, 99), idle_in_force,
                        "itself, idle", 2, "without the durable part");
}

static size_t parse_sizes(const char *text, size_t sizes[SIZES_MAX]) {
        size_t n = 0;

        for (char *end; *text && n < SIZES_MAX; text = *end == ',' ? end + 1 : end) {
                sizes[n] = strtoul(text, &end, 10);
                if (end == text || sizes[n] < (n == 0 ? 1 : sizes[n - 1]))
                        bench_fail("sizes are whole numbers that grow: '%s'", text);
                n++;
        }
        return n;
}

static void measure_sizes(Bench *bench, const char *text) {
        uint64_t first[2] = {}, last[2], first_in_force = 0, in_force;
        size_t sizes[SIZES_MAX] = {}, n = parse_sizes(text, sizes);

        choose_floors(sizes[n - 1]);
        for (size_t k = 0; k < n; k++) {
                grow(bench, sizes[k]);
                if (bench->dry)
                        run_rounds(bench, (const int[]){ WAY_PEER }, 1);
                else
                        measure_one_by_one(bench);
                if (!bench->dry) {
                        in_force = bench_percentile(bench->peer_times[TIME_IN_FORCE], bench->rounds, 99);
                        if (k == 0)
                                first_in_force = in_force;
                        else
                                report("in force, by the peer socket", sizes[k], 99, in_force, first_in_force,
                                                "itself, at the first size", 1.5, NULL);
                }
                last[0] = percentile(bench, WAY_PEER, 50);
                last[1] = percentile(bench, WAY_PEER, 99);
                if (k == 0)
                        memcpy(first, last, sizeof(first));
                else {
                        const char *what = bench->dry ? "decided, by the peer socket"
                                                      : "apply by the peer socket";
                        char of[64];

                        snprintf(of, sizeof(of), "itself, %zu tenants", sizes[0]);
                        report(what, sizes[k], 50, last[0], first[0], of, 1.5, NULL);
                        report(what, sizes[k], 99, last[1], first[1], of, 1.5, NULL);
                }
                if (bench->dry)
                        continue;
                measure_under_load(bench);
                measure_batch(bench);
        }
}

/* What the disk under the state takes for as much as one Apply appends to the log: two pages. */
static uint64_t write_durably(int fd) {
        static const char pages[2 * 4096];
        uint64_t begin = bench_now_nsec();

        if (write(fd, pages, sizeof(pages)) < 0 || fdatasync(fd) < 0)
                bench_fail("a write that is synced: %s", strerror(errno));
        return bench_now_nsec() - begin;
}

/* What comes after the values are in force is the reading back, which the disk has no part in, and the
 * commit. */
static void measure_durable(Bench *bench, const char *directory, size_t n_tenants) {
        _cleanup_close_ int fd = open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
        static const unsigned ps[] = { 50, 99 };

        if (fd < 0)
                bench_fail("%s: %s", directory, strerror(errno));
        choose_floors(n_tenants);
        bench->dry = true; /* no slices */
        grow(bench, n_tenants);
        bench->dry = false;
        bench->groups = bench_new(char *, n_tenants);
        for (size_t i = 0; i < n_tenants; i++)
                bench->groups[i] = bench_control_group(bench->bus[WAY_PEER], i);
        for (size_t round = 0; round < WARM_UP + bench->rounds; round++) {
                uint64_t disk;

                (void) change_one(bench, WAY_PEER, round * 37 % n_tenants, round + 1);
                disk = write_durably(fd);
                if (round < WARM_UP)
                        continue;
                bench->peer_times[TIME_AFTER][round - WARM_UP] = bench->peer_time[TIME_AFTER];
                bench->times[WAY_SYSTEMD][round - WARM_UP] = disk;
        }
        for (size_t k = 0; k < ELEMENTSOF(ps); k++)
                report("the durable part: from in force to the answer", n_tenants, ps[k],
                                bench_percentile(bench->peer_times[TIME_AFTER], bench->rounds, ps[k]),
                                percentile(bench, WAY_SYSTEMD, ps[k]), "8 KiB written and synced there", 0,
                                "no goal: what of it is the disk's");
}

int main(int argc, char **argv) {
        bool decide = argc == 5 && strcmp(argv[1], "--decide") == 0;
        bool durable = argc == 6 && strcmp(argv[1], "--durable") == 0;
        bool once = argc == 5 && strcmp(argv[1], "--once") == 0;
        Bench bench = { .generation = 1, .dry = decide || once };

        if (argc != 5 && !durable)
                bench_fail("usage: see the head of bench-apply.c");
        bench.rounds = strtoul(argv[argc - 1], NULL, 10);
        if (bench.rounds < 10)
                bench_fail("at least 10 rounds");
        for (int part = 0; part < TIME_MAX; part++)
                bench.peer_times[part] = bench_new(uint64_t, bench.rounds);
        for (int way = 0; way < WAY_MAX; way++)
                bench.times[way] = bench_new(uint64_t, bench.rounds);
        bench.bus[WAY_PEER] = bench_connect_peer(argv[2]);
        if (once) {
                choose_floors(1000);
                /* Generations of an earlier run are lower. */
                bench.generation = bench_now_nsec();
                for (size_t round = 0; round < bench.rounds; round++)
                        change_one(&bench, WAY_PEER, strtoul(argv[3], NULL, 10), round);
        } else if (durable)
                measure_durable(&bench, argv[3], strtoul(argv[4], NULL, 10));
        else {
                if (!decide) {
                        bench.bus[WAY_BUS] = bench_connect(argv[1]);
                        bench.bus[WAY_SYSTEMD] = bench_connect("system");
                }
                measure_sizes(&bench, argv[3]);
        }
        return EXIT_SUCCESS;
}

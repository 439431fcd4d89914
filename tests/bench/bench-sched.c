/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What metering costs those who are metered: round trips between two processes pinned to one CPU, through a
 * pipe and over a TCP connection, with nothing attached, at the basic level and at the full one, and beside
 * peers: a hook that does nothing, the packaged runqlat, packets counted as systemd counts them. All take
 * turns, round by round; a figure is the median, over the rounds, of a variant against the nothing of the
 * same round. "Nothing" runs twice a round: what the second is off the first is how sure the figures are.
 *
 * Usage: bench-sched ROUNDS
 */

#include "bench.h"
#include "ping-pong.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "peer-hooks.skel.h"

#define ROUND_TRIPS 20000U
#define CPUS 2U

typedef enum Hooks { HOOKS_NONE, HOOKS_EMPTY, HOOKS_BASIC, HOOKS_FULL, HOOKS_RUNQLAT, HOOKS_ACCOUNT } Hooks;

typedef struct Attached {
        Meter *meter;
        struct peer_hooks_bpf *peer;
        pid_t runqlat; /* 0: none */
        int output;    /* its */
} Attached;

/* Returns when it says that it traces. */
static void start_runqlat(Attached *attached) {
        char text[64];
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0)
                bench_fail("pipe: %s", strerror(errno));
        attached->runqlat = fork();
        if (attached->runqlat < 0)
                bench_fail("fork: %s", strerror(errno));
        if (attached->runqlat == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                dup2(ends[1], STDOUT_FILENO);
                execlp("stdbuf", "stdbuf", "-oL", "runqlat", "3600", "1", NULL);
                _exit(127);
        }
        close(ends[1]);
        attached->output = ends[0];
        if (read(ends[0], text, sizeof(text)) <= 0)
                bench_fail("runqlat does not run here");
}

static Attached attach(Hooks hooks, const BenchGroup *group) {
        Attached attached = {};

        switch (hooks) {
        case HOOKS_NONE:
                break;
        case HOOKS_EMPTY:
        case HOOKS_ACCOUNT:
                attached.peer = peer_hooks_bpf__open_and_load();
                if (!attached.peer)
                        bench_fail("the peers' hooks do not load: %s", strerror(errno));
                if (hooks == HOOKS_EMPTY)
                        attached.peer->links.empty_switch =
                                        bpf_program__attach(attached.peer->progs.empty_switch);
                else if (bpf_prog_attach(bpf_program__fd(attached.peer->progs.account_packet), group->fd,
                                         BPF_CGROUP_INET_EGRESS, BPF_F_ALLOW_MULTI) < 0 ||
                                bpf_prog_attach(bpf_program__fd(attached.peer->progs.account_packet),
                                                group->fd, BPF_CGROUP_INET_INGRESS, BPF_F_ALLOW_MULTI) < 0)
                        bench_fail("the peer's hooks at packets: %s", strerror(errno));
                break;
        case HOOKS_BASIC:
        case HOOKS_FULL:
                attached.meter = bench_meter_new(hooks == HOOKS_BASIC, group, 1);
                break;
        case HOOKS_RUNQLAT:
                start_runqlat(&attached);
                break;
        }
        return attached;
}

static void detach(Attached *attached, const BenchGroup *group) {
        if (attached->meter) {
                meter_remove(attached->meter, 1);
                meter_free(attached->meter);
        }
        if (attached->peer) {
                int fd = bpf_program__fd(attached->peer->progs.account_packet);

                (void) bpf_prog_detach2(fd, group->fd, BPF_CGROUP_INET_EGRESS);
                (void) bpf_prog_detach2(fd, group->fd, BPF_CGROUP_INET_INGRESS);
                peer_hooks_bpf__destroy(attached->peer);
        }
        if (attached->runqlat > 0) {
                kill(attached->runqlat, SIGKILL);
                waitpid(attached->runqlat, NULL, 0);
                close(attached->output);
        }
}

typedef struct Variant {
        PingPongKind kind;
        Hooks hooks;
        unsigned pairs;
        unsigned against; /* which variant is its nothing */
} Variant;

enum {
        PIPE_NONE,
        PIPE_NONE_AGAIN,
        PIPE_EMPTY,
        PIPE_BASIC,
        PIPE_FULL,
        PIPE_RUNQLAT,
        PAIRS_NONE,
        PAIRS_FULL,
        TCP_NONE,
        TCP_NONE_AGAIN,
        TCP_BASIC,
        TCP_FULL,
        TCP_ACCOUNT,
        TCP_RUNQLAT,
        VARIANT_MAX,
};

static const Variant variants[VARIANT_MAX] = {
        [PIPE_NONE] = { PING_PONG_PIPE, HOOKS_NONE, 1, PIPE_NONE },
        [PIPE_NONE_AGAIN] = { PING_PONG_PIPE, HOOKS_NONE, 1, PIPE_NONE },
        [PIPE_EMPTY] = { PING_PONG_PIPE, HOOKS_EMPTY, 1, PIPE_NONE },
        [PIPE_BASIC] = { PING_PONG_PIPE, HOOKS_BASIC, 1, PIPE_NONE },
        [PIPE_FULL] = { PING_PONG_PIPE, HOOKS_FULL, 1, PIPE_NONE },
        [PIPE_RUNQLAT] = { PING_PONG_PIPE, HOOKS_RUNQLAT, 1, PIPE_NONE },
        [PAIRS_NONE] = { PING_PONG_PIPE, HOOKS_NONE, CPUS, PAIRS_NONE },
        [PAIRS_FULL] = { PING_PONG_PIPE, HOOKS_FULL, CPUS, PAIRS_NONE },
        [TCP_NONE] = { PING_PONG_TCP, HOOKS_NONE, 1, TCP_NONE },
        [TCP_NONE_AGAIN] = { PING_PONG_TCP, HOOKS_NONE, 1, TCP_NONE },
        [TCP_BASIC] = { PING_PONG_TCP, HOOKS_BASIC, 1, TCP_NONE },
        [TCP_FULL] = { PING_PONG_TCP, HOOKS_FULL, 1, TCP_NONE },
        [TCP_ACCOUNT] = { PING_PONG_TCP, HOOKS_ACCOUNT, 1, TCP_NONE },
        [TCP_RUNQLAT] = { PING_PONG_TCP, HOOKS_RUNQLAT, 1, TCP_NONE },
};

static double run_variant(const Variant *variant, const BenchGroup *group) {
        Attached attached = attach(variant->hooks, group);
        double nsec = ping_pong_nsec(variant->kind, group, variant->pairs, ROUND_TRIPS);

        detach(&attached, group);
        return nsec;
}

static int compare(const void *a, const void *b) {
        double x = *(const double *) a, y = *(const double *) b;

        return (x > y) - (x < y);
}

static double median(double *values, size_t n) {
        qsort(values, n, sizeof(*values), compare);
        return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

/* How much more than nothing each takes, in percent: [VARIANT_MAX]. Each round begins with another. */
static void measure(const BenchGroup *group, size_t rounds, double ret[VARIANT_MAX]) {
        _cleanup_free_ double *percents = bench_new(double, rounds *VARIANT_MAX);

        for (size_t round = 0; round < rounds; round++) {
                double nsec[VARIANT_MAX];

                for (size_t i = 0; i < VARIANT_MAX; i++) {
                        size_t k = (i + round) % VARIANT_MAX;

                        nsec[k] = run_variant(&variants[k], group);
                }
                for (size_t i = 0; i < VARIANT_MAX; i++)
                        percents[i * rounds + round] = 100 * (nsec[i] / nsec[variants[i].against] - 1);
        }
        for (size_t i = 0; i < VARIANT_MAX; i++)
                ret[i] = median(percents + i * rounds, rounds);
}

typedef struct RunStats {
        uint64_t nsec, runs;
} RunStats;

/* Our own is held by what it hangs at alone, and was loaded last of its name. */
static uint32_t newest_program(const char *name) {
        uint32_t newest = 0;

        for (uint32_t id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
                _cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
                struct bpf_prog_info info = {};
                uint32_t size = sizeof(info);

                if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 &&
                                strncmp(info.name, name, sizeof(info.name) - 1) == 0)
                        newest = id;
        }
        if (newest == 0)
                bench_fail("no program is called %s", name);
        return newest;
}

static RunStats stats_of(uint32_t program) {
        _cleanup_close_ int fd = bpf_prog_get_fd_by_id(program);
        struct bpf_prog_info info = {};
        uint32_t size = sizeof(info);

        if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
                bench_fail("program %u: %s", program, strerror(errno));
        return (RunStats){ info.run_time_ns, info.run_cnt };
}

static double stats_nsec(RunStats before, RunStats after) {
        if (after.runs == before.runs)
                bench_fail("no run of a program was counted");
        return (double) (after.nsec - before.nsec) / (double) (after.runs - before.runs);
}

/* Both hang at the same switches. */
static void measure_hooks(const BenchGroup *group, size_t rounds, double *ret_full, double *ret_empty) {
        _cleanup_free_ double *full = bench_new(double, rounds), *empty = bench_new(double, rounds);
        int enabled = bpf_enable_stats(BPF_STATS_RUN_TIME);
        uint32_t our_program, peer_program;
        Attached ours, peer;

        bench_check(enabled < 0 ? -errno : 0, NULL, "the kernel's figures of BPF programs");
        ours = attach(HOOKS_FULL, group);
        our_program = newest_program("sched_switch_stub");
        peer = attach(HOOKS_EMPTY, group);
        peer_program = newest_program("empty_switch");
        for (size_t i = 0; i < rounds; i++) {
                RunStats ours_before = stats_of(our_program), peer_before = stats_of(peer_program);

                (void) ping_pong_nsec(PING_PONG_PIPE, group, 1, ROUND_TRIPS);
                full[i] = stats_nsec(ours_before, stats_of(our_program));
                empty[i] = stats_nsec(peer_before, stats_of(peer_program));
        }
        detach(&peer, group);
        detach(&ours, group);
        close(enabled);
        *ret_full = median(full, rounds);
        *ret_empty = median(empty, rounds);
}

static void report(const double percents[VARIANT_MAX], double full_nsec, double empty_nsec, size_t rounds) {
        const struct {
                const char *name, *peer_name;
                double ours, peer, goal;
                bool of_ratio;
        } figures[] = {
                { "sched, pipe, full level", "libbpf-tools' runqlat", percents[PIPE_FULL],
                                percents[PIPE_RUNQLAT], 0.25, true },
                { "sched, pipe, full level, alone", NULL, percents[PIPE_FULL], 0, 6, false },
                { "sched, pipe, basic level", "an empty hook", percents[PIPE_BASIC], percents[PIPE_EMPTY] },
                { "sched, pipe, nothing again", NULL, percents[PIPE_NONE_AGAIN], 0, 1, false },
                { "sched, pipe, two CPUs less one", NULL, percents[PAIRS_FULL] - percents[PIPE_FULL], 0, 1,
                                false },
                { "sched, request and response, full level", "two look-ups and adds a packet",
                                percents[TCP_FULL], percents[TCP_ACCOUNT] },
                { "sched, request and response, full level", "libbpf-tools' runqlat", percents[TCP_FULL],
                                percents[TCP_RUNQLAT] },
                { "sched, request and response, basic level", "two look-ups and adds a packet",
                                percents[TCP_BASIC], percents[TCP_ACCOUNT] },
                { "sched, request and response, nothing again", NULL, percents[TCP_NONE_AGAIN], 0, 1, false },
        };
        char note[64];

        snprintf(note, sizeof(note), "medians of %zu rounds", rounds);
        for (size_t i = 0; i < ELEMENTSOF(figures); i++)
                bench_report(&(BenchFigure){ figures[i].name, "% more", figures[i].ours, figures[i].peer_name,
                                figures[i].peer, figures[i].goal, figures[i].of_ratio, note });
        bench_report(&(BenchFigure){ "sched, a switch by bpf_stats, full level", "ns", full_nsec,
                        "an empty hook", empty_nsec, 2, true, note });
}

int main(int argc, char **argv) {
        size_t rounds = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
        double percents[VARIANT_MAX], full_nsec, empty_nsec;
        BenchGroup group;

        if (rounds < 1)
                bench_fail("usage: bench-sched ROUNDS, at least 1");
        group = bench_group_make("a");
        measure(&group, rounds, percents);
        measure_hooks(&group, rounds, &full_nsec, &empty_nsec);
        report(percents, full_nsec, empty_nsec, rounds);
        return EXIT_SUCCESS;
}

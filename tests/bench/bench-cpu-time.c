/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How far the meter's CPU time is from cpu.stat's of the same groups: over short stretches and long ones,
 * tasks that change their CPU all the time, that move from one group to the other while they run, and that
 * live for less than a millisecond. All are asleep or gone at both readings, so that no tick is between them.
 *
 * Usage: bench-cpu-time SECONDS
 */

#include "bench.h"
#include "group.h"

#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define GROUPS 2
#define BURST_LOOPS 200000
#define BURSTS_A_MOVE 20

typedef struct Load {
        const char *name;
        /* A turn of it; the process is in groups[0] or, after an odd number of turns, anywhere. */
        void (*turn)(const BenchGroup groups[GROUPS], unsigned turn);
} Load;

static void burst(void) {
        for (volatile unsigned i = 0; i < BURST_LOOPS; i++)
                ;
}

static void change_cpu(const BenchGroup groups[GROUPS], unsigned turn) {
        long n = sysconf(_SC_NPROCESSORS_ONLN);
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET((size_t) (turn % n), &set);
        (void) sched_setaffinity(0, sizeof(set), &set);
        burst();
}

static void change_group(const BenchGroup groups[GROUPS], unsigned turn) {
        if (turn % BURSTS_A_MOVE == 0)
                bench_group_enter(&groups[turn / BURSTS_A_MOVE % GROUPS], getpid());
        burst();
}

static void take_turns(const BenchGroup groups[GROUPS], unsigned turn) {
        burst();
        sched_yield();
}

static void fork_one(const BenchGroup groups[GROUPS], unsigned turn) {
        pid_t pid = fork();

        if (pid == 0)
                _exit(EXIT_SUCCESS);
        if (pid > 0)
                waitpid(pid, NULL, 0);
}

static const Load loads[] = {
        { "changes of CPU", change_cpu },
        { "moves between groups", change_group },
        { "two that take turns", take_turns },
        { "processes of a moment", fork_one },
};

/* It is moved while it sleeps. */
static pid_t start(const Load *load, const BenchGroup groups[GROUPS], uint64_t until_nsec) {
        int go[2];
        pid_t pid;
        char c = 0;

        if (pipe(go) < 0)
                bench_fail("pipe: %s", strerror(errno));
        pid = fork();
        if (pid < 0)
                bench_fail("fork: %s", strerror(errno));
        if (pid > 0) {
                bench_group_enter(&groups[0], pid);
                if (write(go[1], &c, 1) != 1)
                        bench_fail("%s: it came to its end too soon", load->name);
                close(go[0]);
                close(go[1]);
                return pid;
        }
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (read(go[0], &c, 1) != 1)
                _exit(EXIT_FAILURE);
        for (unsigned turn = 0; bench_now_nsec() < until_nsec; turn++)
                load->turn(groups, turn);
        _exit(EXIT_SUCCESS);
}

/* Of all groups together: what the one loses to the other is a difference of both. */
typedef struct Reading {
        uint64_t meter_nsec[GROUPS], kernel_nsec[GROUPS];
} Reading;

static Reading read_both(Meter *meter, const BenchGroup groups[GROUPS]) {
        Reading reading;

        bench_check(meter_refresh(meter, /* all= */ true), NULL, "the meter");
        for (uint32_t i = 0; i < GROUPS; i++) {
                Sample sample = {};

                bench_check(meter_read(meter, i + 1, &sample), NULL, "the meter");
                reading.meter_nsec[i] = sample.value[METRIC_CPU_TIME];
                reading.kernel_nsec[i] = bench_group_cpu_nsec(groups + i);
        }
        return reading;
}

/* The worst of the groups, in percent. */
static double difference(const Reading *before, const Reading *after, double *ret_seconds) {
        double worst = 0;

        *ret_seconds = 0;
        for (size_t i = 0; i < GROUPS; i++) {
                double kernel = (double) (after->kernel_nsec[i] - before->kernel_nsec[i]);
                double ours = (double) (after->meter_nsec[i] - before->meter_nsec[i]);
                double percent = kernel > 0 ? 100 * (ours - kernel) / kernel : 0;

                *ret_seconds += kernel / 1e9;
                if (percent < 0)
                        percent = -percent;
                if (percent > worst)
                        worst = percent;
        }
        return worst;
}

static void measure(const Load *load, Meter *meter, const BenchGroup groups[GROUPS], unsigned seconds) {
        uint64_t until = bench_now_nsec() + seconds * 1000000000ULL;
        Reading before = read_both(meter, groups), after;
        char name[96], note[64];
        double percent, cpu_seconds;
        pid_t pids[2];
        int status;

        for (size_t i = 0; i < ELEMENTSOF(pids); i++)
                pids[i] = start(load, groups, until);
        for (size_t i = 0; i < ELEMENTSOF(pids); i++)
                if (waitpid(pids[i], &status, 0) < 0 || status != 0)
                        bench_fail("%s: it came to its end too soon", load->name);
        after = read_both(meter, groups);
        percent = difference(&before, &after, &cpu_seconds);
        snprintf(name, sizeof(name), "cpu-time, off cpu.stat, %s", load->name);
        snprintf(note, sizeof(note), "of %.2f s of CPU", cpu_seconds);
        bench_report(&(BenchFigure){ name, "%", percent, NULL, 0, 0.1, false, note });
}

int main(int argc, char **argv) {
        unsigned seconds = argc == 2 ? (unsigned) strtoul(argv[1], NULL, 10) : 0;
        BenchGroup groups[GROUPS];
        Meter *meter;

        if (seconds < 1)
                bench_fail("usage: bench-cpu-time SECONDS, at least 1, for each load");
        groups[0] = bench_group_make("a");
        groups[1] = bench_group_make("b");
        meter = bench_meter_new(/* basic= */ false, groups, GROUPS);
        for (size_t i = 0; i < ELEMENTSOF(loads); i++)
                measure(&loads[i], meter, groups, seconds);
        meter_free(meter);
        return EXIT_SUCCESS;
}

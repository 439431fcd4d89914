/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the daemon itself costs at one sample a second, in percent of a core: its CPU clock over a time, with
 * as many tenants as asked for, in each of which a process wakes up twice a second, so that no counter
 * rests; then the same while it is also asked for a snapshot once a second. Beside it, what it costs a
 * process merely to open, read and scan one cpu.stat of each of the same groups once a second, as agents
 * without BPF do: at least. It waits for time to pass, since that is what is measured.
 *
 * Where the CPU is emulated a percentage means nothing by itself. Given what a core that is not takes for one
 * such file (in us), it also says what the daemon would take there: as many files' worth as it takes here.
 *
 * Usage: bench-daemon-cpu BUS PID TENANTS SECONDS [FILE-USEC]
 */

#include "bench.h"

#include "util/strv.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#define GOAL_PERCENT 0.2
#define GOAL_MB 16

static uint64_t cpu_nsec(clockid_t clock) {
        struct timespec ts;

        if (clock_gettime(clock, &ts) < 0)
                bench_fail("the daemon is gone");
        return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}

/* Of the process, in MB. */
static double resident_mb(const char *pid) {
        char path[64];
        _cleanup_fclose_ FILE *file = NULL;
        uint64_t size, resident;

        snprintf(path, sizeof(path), "/proc/%s/statm", pid);
        file = fopen(path, "re");
        if (!file || fscanf(file, "%" SCNu64 " %" SCNu64, &size, &resident) != 2)
                bench_fail("%s: %s", path, strerror(errno));
        return (double) resident * (double) sysconf(_SC_PAGESIZE) / 1e6;
}

/* The next whole second after `begin`, or at once where that has passed. */
static void wait_until(uint64_t nsec) {
        const struct timespec ts = { .tv_sec = (time_t) (nsec / 1000000000),
                .tv_nsec = (long) (nsec % 1000000000) };

        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
                ;
}

static pid_t start_worker(const char *group) {
        _cleanup_free_ char *path = NULL;
        _cleanup_fclose_ FILE *procs = NULL;
        const struct timespec pause = { .tv_nsec = 500000000 };
        pid_t pid = fork();

        if (pid < 0)
                bench_fail("fork: %s", strerror(errno));
        if (pid == 0) {
                if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                        _exit(EXIT_FAILURE);
                for (;;)
                        nanosleep(&pause, NULL);
        }
        if (asprintf(&path, "%s/cgroup.procs", group) < 0)
                bench_fail("out of memory");
        procs = fopen(path, "we");
        if (!procs || fprintf(procs, "%d\n", (int) pid) < 0 || fflush(procs) != 0) {
                kill(pid, SIGKILL);
                bench_fail("%s: %s", path, strerror(errno));
        }
        return pid;
}

static void snapshot(sd_bus *bus) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        bench_check(sd_bus_call_method(bus, NODE_NAME, NODE_PATH, NODE_MANAGER, "Snapshot", &error, NULL, "s",
                                    "openmetrics"),
                        &error, "Snapshot");
}

static double measure_percent(sd_bus *bus, clockid_t daemon, size_t seconds, bool scraped) {
        uint64_t begin = bench_now_nsec(), cpu = cpu_nsec(daemon);

        for (size_t i = 1; i <= seconds; i++) {
                wait_until(begin + i * 1000000000);
                if (scraped)
                        snapshot(bus);
        }
        cpu = cpu_nsec(daemon) - cpu;
        return 100.0 * (double) cpu / (double) (bench_now_nsec() - begin);
}

/* Percent of a core, were it done once a second. */
static double measure_files_percent(char *const *groups, size_t n, size_t seconds) {
        uint64_t begin = bench_now_nsec(), cpu = 0;

        for (size_t i = 1; i <= seconds; i++) {
                uint64_t before;

                wait_until(begin + i * 1000000000);
                before = cpu_nsec(CLOCK_PROCESS_CPUTIME_ID);
                for (size_t k = 0; k < n; k++) {
                        _cleanup_free_ char *path = NULL;
                        _cleanup_fclose_ FILE *file = NULL;
                        uint64_t usage;

                        if (asprintf(&path, "%s/cpu.stat", groups[k]) < 0)
                                bench_fail("out of memory");
                        file = fopen(path, "re");
                        if (!file || fscanf(file, "usage_usec %" SCNu64, &usage) != 1)
                                bench_fail("%s: %s", path, strerror(errno));
                }
                cpu += cpu_nsec(CLOCK_PROCESS_CPUTIME_ID) - before;
        }
        return 100.0 * (double) cpu / ((double) seconds * 1e9);
}

int main(int argc, char **argv) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        const BenchShare share = {
                .cpu_millicores = { 1, 1000 },
                .memory_bytes = { 1 << 18, 256 << 20 },
                .tasks = { 0, 100 },
        };
        size_t n, seconds;
        clockid_t daemon;
        double files, alone, scraped, file_usec;
        char name[64];

        if (argc != 5 && argc != 6)
                bench_fail("usage: bench-daemon-cpu BUS PID TENANTS SECONDS [FILE-USEC]");
        n = strtoul(argv[3], NULL, 10);
        seconds = strtoul(argv[4], NULL, 10);
        file_usec = argc == 6 ? strtod(argv[5], NULL) : 0;
        if (n < 1 || seconds < 1)
                bench_fail("at least 1 tenant and 1 second");
        if (clock_getcpuclockid((pid_t) strtol(argv[2], NULL, 10), &daemon) != 0)
                bench_fail("no process %s", argv[2]);

        _cleanup_strv_ char **groups = bench_new(char *, n + 1);
        _cleanup_free_ pid_t *workers = bench_new(pid_t, n);

        bus = bench_connect(argv[1]);
        bench_apply(bus, 0, n, 1, &share);
        for (size_t i = 0; i < n; i++) {
                groups[i] = bench_control_group(bus, i);
                workers[i] = start_worker(groups[i]);
        }
        (void) measure_percent(bus, daemon, 3, /* scraped= */ true); /* warm-up */
        alone = measure_percent(bus, daemon, seconds, /* scraped= */ false);
        files = measure_files_percent(groups, n, seconds / 2 + 1);
        scraped = measure_percent(bus, daemon, seconds, /* scraped= */ true);

        snprintf(name, sizeof(name), "daemon-cpu, %zu tenants", n);
        bench_report(&(BenchFigure){ name, "% of a core", alone, "stdio of one cpu.stat each", files,
                        argc == 6 ? 0 : GOAL_PERCENT, false, "one sample a second" });
        if (file_usec > 0) {
                /* In percent, of a second: n files of so many us each. */
                double there = (double) n * file_usec / 1e4;

                snprintf(name, sizeof(name), "daemon-cpu, %zu tenants, not emulated", n);
                bench_report(&(BenchFigure){ name, "% of a core", alone / files * there,
                                "stdio of one cpu.stat each", there, GOAL_PERCENT, false,
                                "reckoned: as many files' worth as in the guest" });
        }
        snprintf(name, sizeof(name), "daemon-cpu, %zu tenants, scraped", n);
        bench_report(&(BenchFigure){ name, "% of a core", scraped, "stdio of one cpu.stat each", files, 0,
                        false, "one sample and one Snapshot a second" });

        snprintf(name, sizeof(name), "daemon-cpu, %zu tenants, resident", n);
        bench_report(&(BenchFigure){ name, "MB", resident_mb(argv[2]), NULL, 0, GOAL_MB, false,
                        "all that is mapped and touched" });

        for (size_t i = 0; i < n; i++) {
                kill(workers[i], SIGKILL);
                waitpid(workers[i], NULL, 0);
        }
        return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What one sample of many tenants costs, each of which has run since the last: reading our tables, one pass
 * of the iterator over the groups, the turn of those that are read from files (which were open, as they are
 * after the first turn), and all of it, histograms too, printed as OpenMetrics. What of it is waiting for
 * memory shows where the same is done again at once. Beside it, reading one file of each group by stdio, and
 * where it is given, the thread in which netdata samples the same groups once a second.
 *
 * The meters are the daemon's, without their programs at the groups' packets: a thousand of these are too
 * many for a machine that others use. Their tables are read all the same.
 *
 * Usage: bench-sample GROUPS ROUNDS [NETDATA-PID]
 */

#include "bench.h"
#include "export/openmetrics.h"
#include "group.h"
#include "meter/group-iter.h"
#include "meter/net-meter.h"
#include "meter/sched-meter.h"
#include "meter/stat-meter.h"
#include "meter/tcp-meter.h"
#include "model/node.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "peer-hooks.skel.h"

#define STAT_GROUPS_A_TURN 16
/* It looks for groups now and then, and is some seconds at it. */
#define NETDATA_FINDS_SECONDS 30
#define NETDATA_SECONDS 10

static size_t allocations;
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

/* Of all that is linked, the C library's own included. */
void *malloc(size_t size) {
        allocations++;
        return __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
        allocations++;
        return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size) {
        allocations++;
        return __libc_realloc(p, size);
}

typedef struct Meters {
        SchedMeter *sched;
        NetMeter *net;
        TcpMeter *tcp;
        GroupIter *iter;
        StatMeter *stats;
        Node node;
} Meters;

typedef struct Workers {
        size_t n;
        int *commands; /* [n] */
        int done;
} Workers;

static void work(void) {
        for (volatile unsigned i = 0; i < 20000; i++)
                ;
}

static void start_worker(Workers *workers, size_t i, const BenchGroup *group, int done) {
        int ends[2];
        pid_t pid;
        char c;

        if (pipe2(ends, O_CLOEXEC) < 0)
                bench_fail("pipe: %s", strerror(errno));
        pid = fork();
        if (pid < 0)
                bench_fail("fork: %s", strerror(errno));
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                close(ends[1]);
                bench_group_enter(group, getpid());
                do
                        work();
                while (write(done, "", 1) == 1 && read(ends[0], &c, 1) == 1);
                _exit(EXIT_SUCCESS);
        }
        close(ends[0]);
        workers->commands[i] = ends[1];
}

static void workers_await(const Workers *workers) {
        char text[512];

        for (size_t n = 0; n < workers->n;) {
                size_t most = workers->n - n < sizeof(text) ? workers->n - n : sizeof(text);
                ssize_t k = read(workers->done, text, most);

                if (k <= 0)
                        bench_fail("the workers are gone");
                n += (size_t) k;
        }
}

static Workers workers_start(const BenchGroup *groups, size_t n) {
        Workers workers = { n, bench_new(int, n), -EBADF };
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0)
                bench_fail("pipe: %s", strerror(errno));
        for (size_t i = 0; i < n; i++)
                start_worker(&workers, i, groups + i, ends[1]);
        close(ends[1]);
        workers.done = ends[0];
        workers_await(&workers);
        return workers;
}

/* Each runs once, and sleeps again. */
static void workers_run(const Workers *workers) {
        for (size_t i = 0; i < workers->n; i++)
                if (write(workers->commands[i], "", 1) != 1)
                        bench_fail("a worker is gone");
        workers_await(workers);
}

static void add_group(Meters *meters, int groups_fd, uint32_t slot, const BenchGroup *group) {
        char id[16];
        Tenant *tenant;

        snprintf(id, sizeof(id), "bench-%" PRIu32, slot);
        bench_check(node_add_tenant(&meters->node, id, UINT32_MAX, &tenant), NULL, id);
        tenant->slot = slot;
        if (bpf_map_update_elem(groups_fd, &group->id, &slot, BPF_ANY) < 0)
                bench_fail("the groups' map: %s", strerror(errno));
        bench_check(group_iter_add(meters->iter, slot, group->path, group->fd, group->id, false), NULL,
                        "the iterator");
        bench_check(stat_meter_add(meters->stats, slot, group->fd, group->id, false), NULL, "the files");
}

static Meters meters_new(const BenchGroup *groups, size_t n) {
        uint32_t slots = (uint32_t) n + 1;
        Meters meters = {};
        int groups_fd = bpf_map_create(
                        BPF_MAP_TYPE_HASH, "groups", sizeof(uint64_t), sizeof(uint32_t), slots, NULL);

        if (groups_fd < 0)
                bench_fail("the groups' map: %s", strerror(errno));
        bench_check(sched_meter_new(&(SchedMeterOptions){ NULL, slots, groups_fd, /* full= */ true },
                                    &meters.sched),
                        NULL, "the scheduler's meter");
        bench_check(net_meter_new(NULL, slots, 0, &meters.net), NULL, "the network meter");
        bench_check(tcp_meter_new(NULL, slots, &meters.tcp), NULL, "the meter of TCP");
        bench_check(group_iter_new(NULL, slots, slots, true, bench_group_parent(), false, &meters.iter), NULL,
                        "the iterator");
        bench_check(stat_meter_new(NULL, slots, slots, &meters.stats), NULL, "the files");
        for (size_t i = 0; i < n; i++)
                add_group(&meters, groups_fd, (uint32_t) i + 1, groups + i);
        sched_meter_groups_changed(meters.sched);
        return meters;
}

/* As the daemon's: read as they are printed. */
static bool read_duration(void *userdata, const Tenant *tenant, Duration duration, Histogram *ret) {
        Meters *meters = userdata;

        if (!tenant || duration == DURATION_NET_EGRESS_DELAY)
                return false;
        if (duration == DURATION_CPU_WAIT)
                return sched_meter_read_waits(meters->sched, tenant->slot, ret) >= 0;
        return tcp_meter_read_rtt(meters->tcp, tenant->slot, ret) >= 0;
}

static void read_sched(Meters *meters) {
        for (size_t i = 0; i < meters->node.n_tenants; i++) {
                Tenant *tenant = meters->node.tenants[i];

                sample_begin(&tenant->usage);
                sched_meter_read(meters->sched, tenant->slot, &tenant->usage);
        }
}

static void read_rest(Meters *meters) {
        for (size_t i = 0; i < meters->node.n_tenants; i++) {
                Tenant *tenant = meters->node.tenants[i];

                net_meter_read(meters->net, tenant->slot, &tenant->usage);
                tcp_meter_read(meters->tcp, tenant->slot, &tenant->usage);
                group_iter_read(meters->iter, tenant->slot, &tenant->usage);
                stat_meter_read(meters->stats, tenant->slot, &tenant->usage);
        }
}

static uint64_t cpu_nsec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}

/* ns of CPU time of each part, in rounds, and of one round how many system calls and allocations. */
typedef struct Costs {
        uint64_t *table, *sample, *whole, *files; /* [rounds] */
        uint64_t *table_again, *pass, *pass_again;
        uint64_t sample_calls, files_calls;
        size_t sample_allocations, files_allocations, whole_allocations;
} Costs;

/* What becomes of a piece of what is printed is its reader's. */
static int forget(void *userdata, const char *bytes, size_t n) {
        return 0;
}

static void measure_ours(Meters *meters, const struct peer_hooks_bpf *hooks, Costs *costs, size_t round) {
        _cleanup_text_ Text text = { .take = forget };
        uint64_t begin, calls = hooks->bss->system_calls;
        size_t before = allocations;

        begin = cpu_nsec();
        sched_meter_settle(meters->sched);
        stat_meter_run(meters->stats, STAT_GROUPS_A_TURN);
        costs->pass[round] = cpu_nsec();
        bench_check(group_iter_run(meters->iter), NULL, "the iterator");
        costs->pass[round] = cpu_nsec() - costs->pass[round];
        costs->table[round] = cpu_nsec();
        read_sched(meters);
        costs->table[round] = cpu_nsec() - costs->table[round];
        read_rest(meters);
        costs->sample[round] = cpu_nsec() - begin;
        /* The clock was read six times, in the kernel. */
        costs->sample_calls = hooks->bss->system_calls - calls - 6;
        costs->sample_allocations = allocations - before;
        meters->node.durations = (DurationSource){ read_duration, meters };
        bench_check(export_openmetrics(&meters->node, NULL, &text), NULL, "OpenMetrics");
        sched_meter_rest(meters->sched);
        tcp_meter_rest(meters->tcp);
        costs->whole[round] = cpu_nsec() - begin;
        costs->whole_allocations = allocations - before;
}

/* What the first time brought into the caches is there. */
static void measure_again(Meters *meters, Costs *costs, size_t round) {
        uint64_t begin;

        for (unsigned time = 0; time < 2; time++) {
                begin = cpu_nsec();
                bench_check(group_iter_run(meters->iter), NULL, "the iterator");
                costs->pass_again[round] = cpu_nsec() - begin;
        }
        for (unsigned time = 0; time < 2; time++) {
                begin = cpu_nsec();
                read_sched(meters);
                costs->table_again[round] = cpu_nsec() - begin;
        }
}

static void measure_files(const BenchGroup *groups, size_t n, const struct peer_hooks_bpf *hooks,
                Costs *costs, size_t round) {
        uint64_t begin = cpu_nsec(), calls = hooks->bss->system_calls;
        size_t before = allocations;

        for (size_t i = 0; i < n; i++)
                (void) bench_group_cpu_nsec(groups + i);
        costs->files_calls = hooks->bss->system_calls - calls;
        costs->files_allocations = allocations - before;
        costs->files[round] = cpu_nsec() - begin;
}

/* What the threads named after cgroups have run, in ns. */
static uint64_t netdata_cpu_nsec(const char *pid) {
        char path[64];
        struct dirent *entry;
        uint64_t sum = 0;
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%s/task", pid);
        dir = opendir(path);
        while (dir && (entry = readdir(dir))) {
                _cleanup_fclose_ FILE *comm = NULL, *stat = NULL;
                char name[PATH_MAX], text[32] = "";
                uint64_t nsec = 0;

                snprintf(name, sizeof(name), "%s/%s/comm", path, entry->d_name);
                comm = fopen(name, "re");
                snprintf(name, sizeof(name), "%s/%s/schedstat", path, entry->d_name);
                stat = fopen(name, "re");
                if (comm && stat && fgets(text, sizeof(text), comm) && strstr(text, "cgroup") &&
                                fscanf(stat, "%" SCNu64, &nsec) == 1)
                        sum += nsec;
        }
        if (dir)
                closedir(dir);
        if (sum == 0)
                bench_fail("process %s has no thread that is about cgroups", pid);
        return sum;
}

/* ns of CPU a sample; it takes one a second of its own. */
static double measure_netdata(const char *pid, const Workers *workers) {
        uint64_t begin = 0;

        for (unsigned i = 0; i < NETDATA_FINDS_SECONDS + NETDATA_SECONDS; i++) {
                if (i == NETDATA_FINDS_SECONDS)
                        begin = netdata_cpu_nsec(pid);
                workers_run(workers);
                sleep(1);
        }
        return (double) (netdata_cpu_nsec(pid) - begin) / NETDATA_SECONDS;
}

static double p50_usec(uint64_t *nsec, size_t n) {
        return (double) bench_percentile(nsec, n, 50) / 1e3;
}

static void report(Costs *costs, size_t n, size_t rounds, double netdata_nsec) {
        double files = p50_usec(costs->files, rounds);
        const char *netdata = netdata_nsec > 0 ? "netdata's threads of cgroups" : NULL;
        const struct {
                const char *what, *unit;
                double ours, peer, goal;
                const char *peer_name;
        } figures[] = {
                { "the scheduler's table", "us of CPU", p50_usec(costs->table, rounds), files, 0.01,
                                "stdio of cpu.stat" },
                { "the scheduler's table, from memory", "us of CPU", p50_usec(costs->table, rounds),
                                p50_usec(costs->table_again, rounds), 0, "again, from the caches" },
                { "the iterator's pass, from memory", "us of CPU", p50_usec(costs->pass, rounds),
                                p50_usec(costs->pass_again, rounds), 0, "again, from the caches" },
                { "all that is counted", "us of CPU", p50_usec(costs->sample, rounds), files, 0,
                                "stdio of cpu.stat" },
                { "all that is counted, beside an agent", "us of CPU", p50_usec(costs->sample, rounds),
                                netdata_nsec / 1e3, 0, netdata },
                { "system calls", "calls", (double) costs->sample_calls, (double) costs->files_calls, 0,
                                "stdio of cpu.stat" },
                { "allocations", "calls", (double) costs->sample_allocations,
                                (double) costs->files_allocations, 0, "stdio of cpu.stat" },
                { "allocations, printed", "calls", (double) costs->whole_allocations,
                                (double) costs->files_allocations, 0, "stdio of cpu.stat" },
                { "all, printed", "us of CPU", p50_usec(costs->whole, rounds), netdata_nsec / 1e3, 1 / 25.0,
                                netdata },
        };
        char name[96], note[64];

        snprintf(note, sizeof(note), "medians of %zu rounds", rounds);
        for (size_t i = 0; i < ELEMENTSOF(figures); i++) {
                snprintf(name, sizeof(name), "sample, %zu tenants, %s", n, figures[i].what);
                bench_report(&(BenchFigure){ name, figures[i].unit, figures[i].ours, figures[i].peer_name,
                                figures[i].peer, figures[i].peer_name ? figures[i].goal : 0, true, note });
        }
}

int main(int argc, char **argv) {
        size_t n = argc >= 3 ? strtoul(argv[1], NULL, 10) : 0,
               rounds = argc >= 3 ? strtoul(argv[2], NULL, 10) : 0;
        struct peer_hooks_bpf *hooks;
        double netdata_nsec = 0;
        Workers workers;
        Meters meters;
        Costs costs;

        if (n < 1 || n > 10000 || rounds < 1 || argc > 4)
                bench_fail("usage: bench-sample GROUPS ROUNDS [NETDATA-PID], at most 10000 groups");

        _cleanup_free_ BenchGroup *groups = bench_new(BenchGroup, n);

        costs = (Costs){ bench_new(uint64_t, rounds), bench_new(uint64_t, rounds),
                bench_new(uint64_t, rounds), bench_new(uint64_t, rounds), bench_new(uint64_t, rounds),
                bench_new(uint64_t, rounds), bench_new(uint64_t, rounds) };
        for (size_t i = 0; i < n; i++) {
                char name[16];

                snprintf(name, sizeof(name), "%zu", i);
                groups[i] = bench_group_make(name);
        }
        workers = workers_start(groups, n);
        if (argc == 4)
                netdata_nsec = measure_netdata(argv[3], &workers);
        meters = meters_new(groups, n);
        hooks = peer_hooks_bpf__open();
        if (!hooks)
                bench_fail("the peers' hooks: %s", strerror(errno));
        hooks->rodata->counted_pid = getpid();
        if (peer_hooks_bpf__load(hooks) < 0)
                bench_fail("the peers' hooks do not load: %s", strerror(errno));
        hooks->links.count_system_call = bpf_program__attach(hooks->progs.count_system_call);
        stat_meter_run(meters.stats, SIZE_MAX);
        for (size_t round = 0; round < rounds; round++) {
                workers_run(&workers);
                measure_ours(&meters, hooks, &costs, round);
                measure_again(&meters, &costs, round);
                workers_run(&workers);
                measure_files(groups, n, hooks, &costs, round);
        }
        report(&costs, n, rounds, netdata_nsec);
        peer_hooks_bpf__destroy(hooks);
        return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who was killed for want of memory: its name, its number, when and how large it was, and of the last alone.
 */

#include "host.h"

#include "bpf/pin.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

TestSuite(oom_meter, .init = host_init, .fini = host_deinit, .timeout = 120);

#define SLOT 2U
#define SLOTS 16U
#define LIMIT_BYTES (32U << 20)
#define KILLS (OOM_VICTIMS_MAX + 2)

static char limited[PATH_MAX]; /* the group that holds the limit: on cgroup2, or on a hierarchy of its own */

static bool write_to(const char *name, const char *text) {
        char path[PATH_MAX + 64];
        _cleanup_close_ int fd = -EBADF;

        snprintf(path, sizeof(path), "%s/%s", limited, name);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        return fd >= 0 && write(fd, text, strlen(text)) >= 0;
}

static void limit_memory(const TestGroup *group) {
        char text[16];
        bool done;

        snprintf(text, sizeof(text), "%u", LIMIT_BYTES);
        snprintf(limited, sizeof(limited), "%s", group->path);
        done = write_to("memory.max", text) && write_to("memory.swap.max", "0");
        if (!done) {
                snprintf(limited, sizeof(limited), "/sys/fs/cgroup/memory/headgate-test-%d", getpid());
                done = mkdir(limited, 0755) == 0 && write_to("memory.limit_in_bytes", text);
                (void) write_to("memory.swappiness", "0");
        }
        if (!done)
                cr_skip_test("no hierarchy has a memory controller");
}

/* What a child has from us, before it takes any. */
static uint64_t own_bytes(void) {
        _cleanup_fclose_ FILE *f = fopen("/proc/self/statm", "re");
        uint64_t pages = 0;

        cr_assert(f && fscanf(f, "%*u %" SCNu64, &pages) == 1);
        return pages * (uint64_t) sysconf(_SC_PAGESIZE);
}

static void eat(void) {
        char *memory = mmap(
                        NULL, 4 * LIMIT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        for (size_t i = 0; i < 4 * LIMIT_BYTES; i += 4096)
                memory[i] = 1;
        _exit(0);
}

/* Of two threads that the process is left with, one that holds nothing has a name of its own. */
static void *idle_thread(void *userdata) {
        prctl(PR_SET_NAME, "idle");
        for (;;)
                pause();
        return NULL;
}

static bool first_thread_ended(void) {
        char path[64], text[512] = "";
        _cleanup_close_ int fd = -EBADF;

        snprintf(path, sizeof(path), "/proc/self/task/%d/stat", getpid());
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strstr(text, ") Z ");
}

static void *eat_thread(void *userdata) {
        prctl(PR_SET_NAME, "hungry");
        while (!first_thread_ended())
                sched_yield();
        eat();
        return NULL;
}

static void eat_without_first_thread(void) {
        pthread_t thread;

        if (pthread_create(&thread, NULL, idle_thread, NULL) != 0 ||
                        pthread_create(&thread, NULL, eat_thread, NULL) != 0)
                _exit(1);
        pthread_exit(NULL);
}

/* A process that asks for more than there is; how it ended. */
static int run_out(const TestGroup *group, unsigned number, void (*hungry)(void), pid_t *ret_pid) {
        int status, go[2];
        pid_t pid;
        char c = 0;

        cr_assert(pipe2(go, O_CLOEXEC) == 0);
        pid = fork();
        cr_assert(pid >= 0);
        if (pid == 0) {
                char name[16];

                die_with_parent();
                snprintf(name, sizeof(name), "eater-%u", number);
                prctl(PR_SET_NAME, name);
                if (read(go[0], &c, 1) != 1)
                        _exit(1);
                hungry();
        }
        group_move(group, pid);
        if (strcmp(limited, group->path) != 0) {
                char text[16];

                snprintf(text, sizeof(text), "%d", pid);
                cr_assert(write_to("tasks", text));
        }
        cr_assert(write(go[1], &c, 1) == 1);
        cr_assert(waitpid(pid, &status, 0) == pid);
        close(go[0]);
        close(go[1]);
        *ret_pid = pid;
        return status;
}

static uint64_t now_usec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_REALTIME, &ts);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

Test(oom_meter, the_last_ones) {
        TestGroup group = group_make("a");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        uint64_t begin_usec = now_usec();
        pid_t pids[KILLS];
        OomVictims victims;

        meter_must_add(meter, SLOT, &group);
        limit_memory(&group);
        cr_expect_eq(meter_read_victims(meter, SLOT).n, 0);
        for (unsigned i = 0; i < KILLS; i++) {
                int status = run_out(&group, i, eat, &pids[i]);

                cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "it ended with %#x", status);
                cr_expect_eq(meter_read_victims(meter, SLOT).n,
                                i < OOM_VICTIMS_MAX ? i + 1 : OOM_VICTIMS_MAX);
                cr_expect_eq(meter_count_victims(meter), i + 1);
        }
        if (strcmp(limited, group.path) != 0)
                rmdir(limited);

        victims = meter_read_victims(meter, SLOT);
        for (unsigned i = 0; i < victims.n; i++) {
                const OomVictim *victim = &victims.entries[i];
                char name[16];

                snprintf(name, sizeof(name), "eater-%u", KILLS - 1 - i);
                cr_expect_str_eq(victim->comm, name);
                cr_expect_eq(victim->pid, (uint32_t) pids[KILLS - 1 - i]);
                cr_expect(victim->time_usec >= begin_usec && victim->time_usec <= now_usec(),
                                "%" PRIu64 " is not between the begin and now", victim->time_usec);
                cr_expect(victim->peak_bytes > LIMIT_BYTES / 2 &&
                                                victim->peak_bytes < LIMIT_BYTES * 5 / 4 + own_bytes(),
                                "it had %" PRIu64 " bytes, and we have %" PRIu64, victim->peak_bytes,
                                own_bytes());
        }
        meter_free(meter);
}

/* A process whose first thread ended before is told of once, by its name. */
Test(oom_meter, without_its_first_thread) {
        TestGroup group = group_make("a");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        OomVictims victims;
        pid_t pid;
        int status;

        meter_must_add(meter, SLOT, &group);
        limit_memory(&group);
        status = run_out(&group, 7, eat_without_first_thread, &pid);
        if (strcmp(limited, group.path) != 0)
                rmdir(limited);
        cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "it ended with %#x", status);
        victims = meter_read_victims(meter, SLOT);
        cr_assert_eq(victims.n, 1, "%zu were told of", victims.n);
        cr_expect_str_eq(victims.entries[0].comm, "eater-7");
        cr_expect_eq(victims.entries[0].pid, (uint32_t) pid);
        cr_expect(victims.entries[0].peak_bytes > LIMIT_BYTES / 2, "it had %" PRIu64 " bytes",
                        victims.entries[0].peak_bytes);
        meter_free(meter);
}

static void do_nothing(void *userdata) {
}

/* Who exits, or is killed by somebody, is none. */
Test(oom_meter, others_who_exit) {
        TestGroup group = group_make("a");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        Worker worker;

        meter_must_add(meter, SLOT, &group);
        worker = worker_start(&group, do_nothing, NULL);
        worker_run(&worker);
        worker_stop(&worker);
        cr_expect_eq(meter_read_victims(meter, SLOT).n, 0);
        cr_expect_eq(meter_count_victims(meter), 0);
        meter_free(meter);
}

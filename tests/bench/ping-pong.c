/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ping-pong.h"

#include "bench.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define MESSAGE_BYTES 64

/* An end of a connection: what it reads from and writes to. */
typedef struct End {
        int in, out;
} End;

static void close_end(End end) {
        close(end.in);
        if (end.out != end.in)
                close(end.out);
}

static void make_pipes(End ends[2]) {
        int there[2], back[2];

        if (pipe2(there, O_CLOEXEC) < 0 || pipe2(back, O_CLOEXEC) < 0)
                bench_fail("pipe: %s", strerror(errno));
        ends[0] = (End){ back[0], there[1] };
        ends[1] = (End){ there[0], back[1] };
}

/* In the group already, so that the connection is the group's. */
static void make_connection(End ends[2]) {
        struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
        socklen_t size = sizeof(name);
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1, fds[2];

        fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind(listener, (struct sockaddr *) &name, size) < 0 || listen(listener, 1) < 0 ||
                        getsockname(listener, (struct sockaddr *) &name, &size) < 0 ||
                        connect(fds[0], (struct sockaddr *) &name, size) < 0)
                bench_fail("a connection over loopback: %s", strerror(errno));
        fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        for (int i = 0; i < 2; i++) {
                if (setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) < 0)
                        bench_fail("TCP_NODELAY: %s", strerror(errno));
                ends[i] = (End){ fds[i], fds[i] };
        }
        close(listener);
}

static uint64_t own_cpu_nsec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}

static void message_read(int fd, char *message, size_t size) {
        for (size_t n = 0; n < size;) {
                ssize_t k = read(fd, message + n, size - n);

                if (k <= 0)
                        _exit(EXIT_FAILURE);
                n += (size_t) k;
        }
}

static void message_write(int fd, const char *message, size_t size) {
        if (write(fd, message, size) != (ssize_t) size)
                _exit(EXIT_FAILURE);
}

/* What the turns take of this side: from the first message that it has until the last is answered. */
static uint64_t take_turns(End end, size_t size, unsigned round_trips, bool first) {
        char message[MESSAGE_BYTES] = "";
        uint64_t begin;

        if (first)
                message_write(end.out, message, size);
        message_read(end.in, message, size);
        begin = own_cpu_nsec();
        for (unsigned i = 0; i < round_trips; i++) {
                message_write(end.out, message, size);
                message_read(end.in, message, size);
        }
        begin = own_cpu_nsec() - begin;
        /* The other's last message is a read more than it wrote. */
        if (!first)
                message_write(end.out, message, size);
        return begin;
}

static void pin(unsigned cpu) {
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        if (sched_setaffinity(0, sizeof(set), &set) < 0)
                _exit(EXIT_FAILURE);
}

/* The two of a pair, in a process that waits for the second. */
static int run_pair(PingPongKind kind, const BenchGroup *group, unsigned cpu, unsigned round_trips,
                uint64_t nsec[2]) {
        size_t size = kind == PING_PONG_PIPE ? 1 : MESSAGE_BYTES;
        End ends[2];
        int status;
        pid_t pid;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        bench_group_enter(group, getpid());
        pin(cpu);
        if (kind == PING_PONG_PIPE)
                make_pipes(ends);
        else
                make_connection(ends);
        pid = fork();
        if (pid < 0)
                return EXIT_FAILURE;
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                close_end(ends[0]);
                nsec[1] = take_turns(ends[1], size, round_trips, /* first= */ false);
                _exit(EXIT_SUCCESS);
        }
        close_end(ends[1]);
        nsec[0] = take_turns(ends[0], size, round_trips, /* first= */ true);
        return waitpid(pid, &status, 0) == pid && status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

double ping_pong_nsec(PingPongKind kind, const BenchGroup *group, unsigned pairs, unsigned round_trips) {
        size_t size = pairs * 2 * sizeof(uint64_t);
        uint64_t *nsec = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        _cleanup_free_ pid_t *pids = bench_new(pid_t, pairs);
        double sum = 0;
        int status;

        if (nsec == MAP_FAILED)
                bench_fail("out of memory");
        for (unsigned i = 0; i < pairs; i++) {
                pids[i] = fork();
                if (pids[i] < 0)
                        bench_fail("fork: %s", strerror(errno));
                if (pids[i] == 0)
                        _exit(run_pair(kind, group, i, round_trips, nsec + 2 * i));
        }
        for (unsigned i = 0; i < pairs; i++)
                if (waitpid(pids[i], &status, 0) < 0 || status != 0)
                        bench_fail("a pair of processes came to its end too soon");
        for (unsigned i = 0; i < 2 * pairs; i++)
                sum += (double) nsec[i];
        munmap(nsec, size);
        return sum / round_trips / pairs;
}

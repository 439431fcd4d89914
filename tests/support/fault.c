/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Preloaded into headgated, for tests alone: counts every step by which it changes the kernel, its state or
 * systemd's units, and at the step that the test names fails it, kills the daemon before or after it, or
 * lies: says that it was done, and does nothing. Steps are writes to files of control groups, groups that
 * come and go, messages of rtnetlink that change something (each of a batch), calls of PID 1 that do, bpf(2)
 * that does, pins that go, and what SQLite writes and syncs. It changes no step while it is not armed. And it
 * puts the clocks that go on in a sleep ahead.
 *
 * The test steers it by a file that both map, HEADGATE_FAULT; tests/support/fault.py says the same in Python.
 */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <linux/rtnetlink.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define LOG_ENTRIES 1000
#define LOG_ENTRY_SIZE 64
#define LOG_NAME_MAX 40 /* its end */
#define PAUSE_NSEC 100000
#define PAUSES_MAX 200000 /* 20 s: then the test is gone */

enum {
        MODE_COUNT, /* only */
        MODE_FAIL,
        MODE_LIE,  /* of control groups and classes; others' steps are done */
        MODE_LATE, /* it is done, and then said to have failed; calls of PID 1 fail before, bpf(2) does not
                      lie */
        MODE_KILL_BEFORE,
        MODE_KILL_AFTER,
};

typedef struct Control {
        volatile uint32_t armed, mode, pause, fired;
        volatile uint64_t at, steps;      /* counted from 1 */
        volatile uint64_t waiting, going; /* with `pause`, before each step: until `going` is as high */
        volatile uint64_t slept_sec;      /* as if the machine had been asleep that long, armed or not */
        char log[LOG_ENTRIES][LOG_ENTRY_SIZE];
} Control;

static Control *control;

#define REAL(name) ((__typeof__(&name)) real(#name))

static void *real(const char *name) {
        return dlsym(RTLD_NEXT, name);
}

static __attribute__((constructor)) void open_control(void) {
        const char *path = getenv("HEADGATE_FAULT");
        int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
        void *map = fd < 0 ? MAP_FAILED
                           : mmap(NULL, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        if (map != MAP_FAILED)
                control = map;
        if (fd >= 0)
                close(fd);
}

static bool armed(void) {
        return control && control->armed;
}

/* Counts it, and gives the mode where it is the one; MODE_COUNT else. */
static int begin_step(const char *kind, const char *what) {
        uint64_t step = ++control->steps;
        size_t length = strlen(what);

        if (step <= LOG_ENTRIES)
                snprintf(control->log[step - 1], LOG_ENTRY_SIZE, "%s %s", kind,
                                length > LOG_NAME_MAX ? what + length - LOG_NAME_MAX : what);
        if (control->pause) {
                control->waiting = step;
                for (unsigned i = 0; control->pause && control->going < step && i < PAUSES_MAX; i++)
                        nanosleep(&(struct timespec){ 0, PAUSE_NSEC }, NULL);
        }
        if (control->mode == MODE_COUNT || step != control->at)
                return MODE_COUNT;
        control->fired = 1;
        if (control->mode == MODE_KILL_BEFORE)
                kill(getpid(), SIGKILL);
        return (int) control->mode;
}

static long end_step(int mode, long result) {
        if (mode == MODE_KILL_AFTER)
                kill(getpid(), SIGKILL);
        if (mode != MODE_LATE)
                return result;
        errno = EIO;
        return -1;
}

/* `done`: what is said where it lies; LIES_NOT: it does not. */
#define LIES_NOT (-2)
#define STEP(kind, what, done, call)                                                        \
        ({                                                                                  \
                int mode_ = begin_step(kind, what);                                         \
                mode_ == MODE_FAIL                        ? (errno = EIO, -1L)              \
                : mode_ == MODE_LIE && (done) != LIES_NOT ? (long) (done)                   \
                                                          : end_step(mode_, (long) (call)); \
        })

static void read_name(int fd, char *buffer, size_t size) {
        char link[32];
        ssize_t n;

        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        n = readlink(link, buffer, size - 1);
        buffer[n > 0 ? n : 0] = '\0';
}

static bool is_on(int fd, long magic) {
        struct statfs st;

        return fstatfs(fd, &st) == 0 && st.f_type == magic;
}

static bool is_state(const char *name) {
        return strstr(name, "state.sqlite-wal") || strstr(name, "state.mark");
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
        char name[PATH_MAX];

        if (!armed())
                return REAL(pwrite64)(fd, data, size, at);
        read_name(fd, name, sizeof name);
        if (is_on(fd, CGROUP2_SUPER_MAGIC))
                return STEP("write", name, (long) size, REAL(pwrite64)(fd, data, size, at));
        if (is_state(name))
                return STEP("state", name, LIES_NOT, REAL(pwrite64)(fd, data, size, at));
        return REAL(pwrite64)(fd, data, size, at);
}

static int sync_step(int fd, int (*call)(int fd)) {
        char name[PATH_MAX];

        if (!armed())
                return call(fd);
        read_name(fd, name, sizeof name);
        return is_state(name) ? (int) STEP("sync", name, LIES_NOT, call(fd)) : call(fd);
}

int fdatasync(int fd) {
        return sync_step(fd, REAL(fdatasync));
}

int fsync(int fd) {
        return sync_step(fd, REAL(fsync));
}

int clock_gettime(clockid_t clock, struct timespec *ret) {
        int r = REAL(clock_gettime)(clock, ret);

        if (r >= 0 && control && (clock == CLOCK_BOOTTIME || clock == CLOCK_REALTIME))
                ret->tv_sec += (time_t) control->slept_sec;
        return r;
}

/* libcgroup makes each directory above, too: those that are there are no step. */
int mkdir(const char *path, mode_t mode) {
        return armed() && access(path, F_OK) < 0 ? (int) STEP("mkdir", path, 0, REAL(mkdir)(path, mode))
                                                 : REAL(mkdir)(path, mode);
}

int mkdirat(int fd, const char *name, mode_t mode) {
        return armed() ? (int) STEP("mkdir", name, 0, REAL(mkdirat)(fd, name, mode))
                       : REAL(mkdirat)(fd, name, mode);
}

/* A directory that is left because of a lie is a group that the next start finds. */
int unlinkat(int fd, const char *name, int flags) {
        return armed() ? (int) STEP("remove", name, 0, REAL(unlinkat)(fd, name, flags))
                       : REAL(unlinkat)(fd, name, flags);
}

int unlink(const char *path) {
        return armed() && strstr(path, "/bpf/") ? (int) STEP("unpin", path, LIES_NOT, REAL(unlink)(path))
                                                : REAL(unlink)(path);
}

static bool bpf_changes(long command) {
        return command == BPF_MAP_UPDATE_ELEM || command == BPF_MAP_DELETE_ELEM || command == BPF_OBJ_PIN ||
               command == BPF_PROG_ATTACH || command == BPF_PROG_DETACH || command == BPF_LINK_CREATE ||
               command == BPF_LINK_UPDATE || command == BPF_LINK_DETACH;
}

/* Always six: more than the kernel takes of any, and what was not given is not looked at. */
long syscall(long number, ...) {
        long a[6], (*call)(long number, ...) = REAL(syscall);
        char what[16];
        va_list list;
        int mode;

        va_start(list, number);
        for (int i = 0; i < 6; i++)
                a[i] = va_arg(list, long);
        va_end(list);
        if (!armed() || number != SYS_bpf || !bpf_changes(a[0]))
                return call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
        snprintf(what, sizeof what, "%ld", a[0]);
        mode = begin_step("bpf", what);
        if (mode == MODE_FAIL) {
                errno = EIO;
                return -1;
        }
        return end_step(mode == MODE_LATE ? MODE_COUNT : mode,
                        call(number, a[0], a[1], a[2], a[3], a[4], a[5]));
}

/* --- rtnetlink: the kernel takes the messages of a datagram one after another, and answers each --- */

static bool message_changes(const struct nlmsghdr *message) {
        return message->nlmsg_type >= RTM_BASE && (message->nlmsg_type & 3) != 2;
}

static ssize_t send_messages(int fd, char *data, size_t size, int flags) {
        ssize_t (*call)(int fd, const void *data, size_t size, int flags) = REAL(send);
        bool late = false;
        size_t sent = 0;

        for (size_t at = 0; at + sizeof(struct nlmsghdr) <= size;) {
                struct nlmsghdr *message = (struct nlmsghdr *) (data + at);
                size_t end = at + NLMSG_ALIGN(message->nlmsg_len);
                char what[32];
                int mode;

                snprintf(what, sizeof what, "type %u", message->nlmsg_type);
                if (control->pause && at > sent) { /* what is before it is done when the test looks */
                        (void) call(fd, data + sent, at - sent, flags);
                        sent = at;
                }
                mode = message_changes(message) ? begin_step("class", what) : MODE_COUNT;
                if (mode == MODE_FAIL)
                        message->nlmsg_type = 0x7ffc; /* EOPNOTSUPP */
                else if (mode == MODE_LIE)
                        message->nlmsg_type = NLMSG_NOOP; /* is acknowledged, as it is asked for */
                else if (mode == MODE_KILL_AFTER) {
                        (void) call(fd, data + sent, end - sent, flags);
                        kill(getpid(), SIGKILL);
                }
                late = late || mode == MODE_LATE;
                at = end;
        }
        if (size > sent && call(fd, data + sent, size - sent, flags) < 0)
                return -1;
        return end_step(late ? MODE_LATE : MODE_COUNT, (long) size);
}

/* Before a batch is sent what precedes the message that kills has to be. */
static size_t length_before_kill(const char *data, size_t size) {
        uint64_t step = control->steps;

        if (control->mode != MODE_KILL_BEFORE)
                return 0;
        for (size_t at = 0; at + sizeof(struct nlmsghdr) <= size;) {
                const struct nlmsghdr *message = (const struct nlmsghdr *) (data + at);

                if (message_changes(message) && ++step == control->at)
                        return at;
                at += NLMSG_ALIGN(message->nlmsg_len);
        }
        return 0;
}

ssize_t send(int fd, const void *data, size_t size, int flags) {
        int domain = 0;
        char *copy;
        ssize_t n;

        if (!armed() || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){ sizeof domain }) < 0 ||
                        domain != AF_NETLINK)
                return REAL(send)(fd, data, size, flags);
        copy = malloc(size);
        if (!copy)
                abort();
        memcpy(copy, data, size);
        if (!control->pause && length_before_kill(copy, size) > 0)
                (void) REAL(send)(fd, copy, length_before_kill(copy, size), flags);
        n = send_messages(fd, copy, size, flags);
        free(copy);
        return n;
}

/* --- PID 1 --- */

static const char *method_called(const struct msghdr *message) {
        static const char *const methods[] = { "SetUnitProperties", "StartUnit", "StopUnit",
                "StartTransientUnit", "RevertUnitFiles", "Reload" };

        for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
                for (size_t k = 0; k < message->msg_iovlen; k++)
                        if (memmem(message->msg_iov[k].iov_base, message->msg_iov[k].iov_len, methods[i],
                                            strlen(methods[i]) + 1))
                                return methods[i];
        return NULL;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
        const char *method = armed() ? method_called(message) : NULL;
        ssize_t n;
        int mode;

        if (!method)
                return REAL(sendmsg)(fd, message, flags);
        mode = begin_step("systemd", method);
        if (mode == MODE_FAIL) {
                errno = ECONNRESET;
                return -1;
        }
        n = REAL(sendmsg)(fd, message, flags);
        if (mode == MODE_LATE) {
                errno = ECONNRESET;
                return -1;
        }
        if (mode == MODE_KILL_AFTER)
                kill(getpid(), SIGKILL);
        return n;
}

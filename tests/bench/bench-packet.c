/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a packet of a tenant costs on its way out: 64-byte UDP over veth with no qdisc, with our metering,
 * classes and HTB at 10 and at 1,000 tenants, and with a list of u32 filters instead, of as many. All take
 * turns, round by round; a figure is the median, over the rounds, of a variant against the nothing of the
 * same round, which runs twice: what the second is off the first is how sure the figures are. Then how exact
 * a rate is, and the bytes under segmentation offload. In namespaces and a control group of its own.
 *
 * Usage: bench-packet ROUNDS
 */

#include "bench.h"
#include "group.h"

#include "enforce/uplink.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/sockios.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define MBPS 1000000ULL
#define PACKETS 20000U
#define PORT 7000U
#define SEGMENT_BYTES 1400U
#define FEW 10U
#define MANY 1000U
#define SLOT 9U /* of the group, on each link of ours */

enum { LINK_PLAIN, LINK_FEW, LINK_MANY, LINK_U32_FEW, LINK_U32_MANY, LINK_RATE, LINKS };

static int node, peer;

static void _printf_(1, 2) run(const char *format, ...) {
        _cleanup_free_ char *command = NULL;
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = vasprintf(&command, format, arguments);
        va_end(arguments);
        if (r < 0 || system(command) != 0)
                bench_fail("'%s' failed", r < 0 ? format : command);
}

static int new_namespace(void) {
        if (unshare(CLONE_NEWNET) < 0)
                bench_fail("no network namespace: %s", strerror(errno));
        return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

static void enter(int namespace) {
        if (setns(namespace, CLONE_NEWNET) < 0)
                bench_fail("setns: %s", strerror(errno));
}

static void add_link(unsigned i) {
        run("ip link add up%u type veth peer name p%u && ip link set p%u address 02:00:00:00:00:02 netns "
            "/proc/%d/fd/%d && "
            "ip address add 10.99.%u.1/24 dev up%u && ip link set up%u up && "
            "ip neigh replace 10.99.%u.2 lladdr 02:00:00:00:00:02 nud permanent dev up%u",
                        i, i, i, (int) getpid(), peer, i, i, i, i, i);
        enter(peer);
        run("ip address add 10.99.%u.2/24 dev p%u && ip link set p%u up", i, i, i);
        enter(node);
}

static Uplink *shape(unsigned i, uint64_t capacity_bps, NetClass *classes, size_t n) {
        char name[16];
        FeatureSet features = FEATURE_SET_NULL;
        NetPlan plan = { name, capacity_bps, classes, n };
        Uplink *uplink;

        snprintf(name, sizeof(name), "up%u", i);
        bench_check(uplink_new(&(UplinkOptions){ name }, &features, &uplink), NULL, "the uplink");
        bench_check(uplink_apply(uplink, &plan, NULL), NULL, "the tree");
        feature_set_deinit(&features);
        return uplink;
}

static void shape_for(unsigned i, size_t n) {
        NetClass *classes = bench_new(NetClass, n);

        for (uint32_t slot = 0; slot < n; slot++)
                classes[slot] = (NetClass){ slot, 1, 100 * MBPS, UNLIMITED };
        uplink_free(shape(i, 400000 * MBPS, classes, n));
        free(classes);
}

/* As many classes, found by a list of filters, of which the last is that of our packets. */
static void shape_by_list(unsigned i, size_t n) {
        char path[] = "/tmp/headgate-bench-XXXXXX";
        int fd = mkstemp(path);
        FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;

        if (!file)
                bench_fail("%s: %s", path, strerror(errno));
        fprintf(file, "qdisc add dev up%u root handle 1: htb\n", i);
        for (size_t k = 1; k <= n; k++)
                fprintf(file,
                                "class add dev up%u parent 1: classid 1:%zx htb rate 40gbit burst 1mb cburst "
                                "1mb quantum 60000\n"
                                "filter add dev up%u parent 1: protocol ip prio 1 u32 match ip dport %zu "
                                "0xffff flowid "
                                "1:%zx\n",
                                i, k, i, PORT + n - k, k);
        fclose(file);
        run("tc -batch %s && rm %s", path, path);
}

static int udp_socket(unsigned link, bool takes) {
        struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(PORT) };
        int fd, size = 4096, much = 1 << 23;

        name.sin_addr.s_addr = htonl(0x0a630002U | link << 8);
        if (takes)
                enter(peer);
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                bench_fail("socket: %s", strerror(errno));
        if (takes) { /* nobody reads it: a full buffer drops at once */
                (void) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
                if (bind(fd, (struct sockaddr *) &name, sizeof(name)) < 0)
                        bench_fail("bind: %s", strerror(errno));
                enter(node);
        } else if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &much, sizeof(much)) < 0 ||
                        connect(fd, (struct sockaddr *) &name, sizeof(name)) < 0)
                bench_fail("connect: %s", strerror(errno));
        return fd;
}

/* Of this thread's CPU time, which the kernel's work up to the other end is part of: others on this machine
 * do not count. */
static uint64_t cpu_nsec(void) {
        struct timespec now;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        return (uint64_t) now.tv_sec * 1000000000U + (uint64_t) now.tv_nsec;
}

static double packet_nsec(int fd) {
        static const char payload[64];
        uint64_t begin = cpu_nsec();

        for (unsigned i = 0; i < PACKETS; i++)
                (void) send(fd, payload, sizeof(payload), 0);
        return (double) (cpu_nsec() - begin) / PACKETS;
}

enum { NONE, NONE_AGAIN, OURS_FEW, OURS_MANY, LIST_FEW, LIST_MANY, VARIANTS };

/* Medians over the rounds: each variant's ns a packet, and its ratio to nothing, in millionths. */
static void measure(const int fds[VARIANTS], unsigned rounds, double ret_nsec[VARIANTS],
                double ret_ratio[VARIANTS]) {
        uint64_t *nsec = bench_new(uint64_t, VARIANTS * rounds),
                 *ratio = bench_new(uint64_t, VARIANTS * rounds);

        for (unsigned round = 0; round < rounds; round++) {
                double of[VARIANTS];

                for (unsigned i = 0; i < VARIANTS; i++) {
                        unsigned k = (i + round) % VARIANTS;

                        of[k] = packet_nsec(fds[k]);
                }
                for (unsigned i = 0; i < VARIANTS; i++) {
                        nsec[i * rounds + round] = (uint64_t) (of[i] * 1e3);
                        ratio[i * rounds + round] = (uint64_t) (of[i] / of[NONE] * 1e6);
                }
        }
        for (unsigned i = 0; i < VARIANTS; i++) {
                ret_nsec[i] = (double) bench_percentile(nsec + i * rounds, rounds, 50) / 1e3;
                ret_ratio[i] = (double) bench_percentile(ratio + i * rounds, rounds, 50) / 1e6;
        }
        free(ratio);
        free(nsec);
}

/* Where this process was, and is to be again: what is below the bench's own groups goes with them. */
static BenchGroup home_group(void) {
        _cleanup_fclose_ FILE *file = fopen("/proc/self/cgroup", "re");
        BenchGroup home = { .fd = -EBADF };
        char line[PATH_MAX];
        const char *slash = strrchr(bench_group_parent(), '/');

        while (file && fgets(line, sizeof(line), file))
                if (strncmp(line, "0::/", 4) == 0)
                        snprintf(home.path, sizeof(home.path), "%.*s%.*s",
                                        (int) (slash - bench_group_parent()), bench_group_parent(),
                                        (int) strcspn(line + 3, "\n"), line + 3);
        if (home.path[0] == '\0')
                bench_fail("this process has no control group");
        return home;
}

static NetClassStats class_of(Uplink *uplink, uint32_t slot) {
        NetStats stats = {};
        NetClassStats class = {};

        bench_check(uplink_read_stats(uplink, &stats), NULL, "statistics");
        for (size_t i = 0; i < stats.n; i++)
                if (stats.classes[i].slot == slot)
                        class = stats.classes[i];
        net_stats_deinit(&stats);
        return class;
}

typedef struct Reading {
        uint64_t nsec, bytes;
        bool waiting;
} Reading;

/* One that took long says nothing of when: it is taken again. */
static Reading read_class(Uplink *uplink) {
        for (;;) {
                uint64_t before = bench_now_nsec(), after;
                NetClassStats class = class_of(uplink, SLOT);

                after = bench_now_nsec();
                if (after - before < 1000000U)
                        return (Reading){ (before + after) / 2, class.bytes, class.backlog_packets > 0 };
        }
}

/*
 * Percent off the rate that a class is given, over the time of two seconds in which it has something to send.
 * It is offered half as much more than it may send, each millisecond.
 */
static double rate_error(int fd, uint64_t rate_bps) {
        NetClass classes[] = { { SLOT_DEFAULT, 1, MBPS, UNLIMITED }, { SLOT, 1, rate_bps, rate_bps } };
        Uplink *uplink = shape(LINK_RATE, 10000 * MBPS, classes, ELEMENTSOF(classes));
        static const char payload[40 * SEGMENT_BYTES];
        /* One system call for many packets where the rate asks for it, at others each by itself. */
        size_t size = rate_bps >= 1000 * MBPS ? sizeof(payload) : SEGMENT_BYTES;
        const struct timespec step = { .tv_nsec = 1000000 };
        uint64_t begin = bench_now_nsec(), nsec = 0, bytes = 0;
        const int segment = SEGMENT_BYTES;
        Reading last = {}, now = {};
        double offered = 0, bps;

        if (setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment)) < 0)
                bench_fail("UDP_SEGMENT: %s", strerror(errno));
        while (now.nsec < begin + 2500000000U) {
                last = now;
                now = read_class(uplink);
                if (now.nsec > begin + 500000000U && last.waiting && now.waiting) {
                        nsec += now.nsec - last.nsec;
                        bytes += now.bytes - last.bytes;
                }
                for (offered += last.nsec ? 1.5 * (double) rate_bps / 8e9 * (double) (now.nsec - last.nsec)
                                          : 0;
                                offered > 0; offered -= (double) size)
                        (void) send(fd, payload, size, MSG_DONTWAIT);
                nanosleep(&step, NULL);
        }
        bench_check(uplink_release(uplink), NULL, "release");
        uplink_free(uplink);
        if (nsec < 500000000U)
                bench_fail("at %lu Mbit/s this machine did not keep the queue filled",
                                (unsigned long) (rate_bps / MBPS));
        bps = (double) bytes * 8e9 / (double) nsec;
        return 100 * (bps > (double) rate_bps ? bps / (double) rate_bps - 1 : 1 - bps / (double) rate_bps);
}

/* So that what passes a class whole is cut only behind it, where the interface counts. */
static void turn_tso_off(unsigned link) {
        struct ethtool_value value = { ETHTOOL_STSO, 0 };
        struct ifreq request = { .ifr_data = (char *) &value };
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        snprintf(request.ifr_name, sizeof(request.ifr_name), "up%u", link);
        if (fd < 0 || ioctl(fd, SIOCETHTOOL, &request) < 0)
                bench_fail("TSO cannot be turned off: %s", strerror(errno));
        close(fd);
}

typedef struct Sent {
        uint64_t bytes, packets;
} Sent;

static Sent interface_sent(unsigned link) {
        _cleanup_fclose_ FILE *file = fopen("/proc/thread-self/net/dev", "re");
        char line[512], name[16];
        Sent sent = {};

        snprintf(name, sizeof(name), "up%u:", link);
        while (file && fgets(line, sizeof(line), file)) {
                const char *at = strstr(line, name);

                if (at)
                        (void) sscanf(at + strlen(name), "%*s %*s %*s %*s %*s %*s %*s %*s %lu %lu",
                                        (unsigned long *) &sent.bytes, (unsigned long *) &sent.packets);
        }
        return sent;
}

/* A process in the group sends so much over TCP; returns when all was taken. */
static void send_stream(const BenchGroup *group, size_t bytes) {
        struct sockaddr_in name = { .sin_family = AF_INET,
                .sin_port = htons(PORT),
                .sin_addr.s_addr = htonl(0x0a630002U | LINK_RATE << 8) };
        static char buffer[65536];
        int listener, taken, one = 1;
        ssize_t n;
        pid_t pid;

        enter(peer);
        listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        (void) setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(listener, (struct sockaddr *) &name, sizeof(name)) < 0 || listen(listener, 1) < 0)
                bench_fail("listen: %s", strerror(errno));
        enter(node);
        pid = fork();
        if (pid == 0) {
                int fd;

                bench_group_enter(group, getpid());
                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                if (connect(fd, (struct sockaddr *) &name, sizeof(name)) < 0)
                        _exit(1);
                for (size_t left = bytes; left > 0; left -= (size_t) n)
                        if ((n = send(fd, buffer, left < sizeof(buffer) ? left : sizeof(buffer), 0)) <= 0)
                                _exit(1);
                _exit(0);
        }
        taken = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        while ((n = recv(taken, buffer, sizeof(buffer), 0)) > 0)
                ;
        close(taken);
        close(listener);
        if (pid < 0 || waitpid(pid, NULL, 0) < 0)
                bench_fail("the sender: %s", strerror(errno));
}

static double off_percent(uint64_t have, uint64_t truth) {
        return 100.0 * (double) (have > truth ? have - truth : truth - have) / (double) truth;
}

static void measure_bytes(Meter *meter, const BenchGroup *group) {
        NetClass classes[] = { { SLOT_DEFAULT, 1, MBPS, UNLIMITED }, { SLOT, 1, 500 * MBPS, UNLIMITED } };
        Uplink *uplink = shape(LINK_RATE, 1000 * MBPS, classes, ELEMENTSOF(classes));
        Sent before = interface_sent(LINK_RATE), after;
        Sample metered_before = {}, metered = {};
        NetClassStats class;

        turn_tso_off(LINK_RATE);
        bench_check(meter_read(meter, SLOT, &metered_before), NULL, "the meter");
        send_stream(group, 64 << 20);
        bench_check(meter_read(meter, SLOT, &metered), NULL, "the meter");
        after = interface_sent(LINK_RATE);
        class = class_of(uplink, SLOT);
        class.bytes += class_of(uplink, SLOT_DEFAULT)
                                       .bytes; /* what belongs to no process: the last answers */

        after.bytes -= before.bytes;
        after.packets -= before.packets;
        bench_report(&(BenchFigure){ "wire bytes of the class", "% off",
                        off_percent(class.bytes, after.bytes), NULL, 0, 0.1, false,
                        "64 MiB of TCP, segmented behind the class; the interface's bytes are the truth" });
        bench_report(&(BenchFigure){ "bytes metered", "% off",
                        off_percent(metered.value[METRIC_NET_EGRESS_BYTES] -
                                                        metered_before.value[METRIC_NET_EGRESS_BYTES],
                                        after.bytes - 14 * after.packets),
                        NULL, 0, 0.1, false, "the same, of IP" });
        bench_check(uplink_release(uplink), NULL, "release");
        uplink_free(uplink);
}

int main(int argc, char **argv) {
        static const uint64_t rates[] = { 10, 100, 1000 };
        unsigned rounds = argc == 2 ? (unsigned) atoi(argv[1]) : 0;
        double nsec[VARIANTS], ratio[VARIANTS];
        BenchGroup group, home;
        int fds[VARIANTS], rate_fd;
        FeatureSet features = FEATURE_SET_NULL;
        char name[64], note[128];
        Meter *meter;

        if (rounds == 0)
                bench_fail("usage: bench-packet ROUNDS");
        group = bench_group_make("tenant");
        home = home_group();
        bench_check(meter_new(&(MeterOptions){ .slots = MANY,
                                              .cgroup_root = bench_group_parent(),
                                              .classid_base = UPLINK_CLASSID(0),
                                              .basic = true },
                                    &features, &meter),
                        NULL, "the meter");
        feature_set_deinit(&features);
        bench_check(meter_add(meter, SLOT, group.path, group.fd, group.id, METER_GROUP_OWN), NULL,
                        group.path);

        peer = new_namespace();
        node = new_namespace();
        for (unsigned i = 0; i < LINKS; i++) {
                add_link(i);
                (void) udp_socket(i, /* takes= */ true);
        }
        shape_for(LINK_FEW, FEW);
        shape_for(LINK_MANY, MANY);
        shape_by_list(LINK_U32_FEW, FEW);
        shape_by_list(LINK_U32_MANY, MANY);

        /* A socket is for good of the group that its process was in. */
        fds[NONE] = fds[NONE_AGAIN] = udp_socket(LINK_PLAIN, false);
        fds[LIST_FEW] = udp_socket(LINK_U32_FEW, false);
        fds[LIST_MANY] = udp_socket(LINK_U32_MANY, false);
        bench_group_enter(&group, getpid());
        fds[OURS_FEW] = udp_socket(LINK_FEW, false);
        fds[OURS_MANY] = udp_socket(LINK_MANY, false);
        rate_fd = udp_socket(LINK_RATE, false);
        bench_group_enter(&home, getpid());

        measure(fds, rounds, nsec, ratio);
        snprintf(note, sizeof(note), "metered, classed, shaped, 1,000 classes; nothing again: %+.1f %%",
                        100 * (ratio[NONE_AGAIN] - 1));
        bench_report(&(BenchFigure){
                        "packet", "ns", nsec[OURS_MANY], "no qdisc", nsec[NONE], 1.3, true, note });
        bench_report(&(BenchFigure){ "packet at 1,000 tenants", "ns", nsec[OURS_MANY], "at 10",
                        nsec[OURS_FEW], 1.1, true, "flat" });
        bench_report(&(BenchFigure){ "packet at 1,000 tenants", "ns", nsec[OURS_MANY], "1,000 u32 filters",
                        nsec[LIST_MANY], 0, false, "the last of the list matches" });
        bench_report(&(BenchFigure){ "packet at 10 tenants", "ns", nsec[OURS_FEW], "10 u32 filters",
                        nsec[LIST_FEW], 0, false, "the last of the list matches" });

        for (size_t i = 0; i < ELEMENTSOF(rates); i++) {
                snprintf(name, sizeof(name), "rate of %lu Mbit/s", (unsigned long) rates[i]);
                bench_report(&(BenchFigure){ name, "% off", rate_error(rate_fd, rates[i] * MBPS), NULL, 0,
                                0.5, false, "1,442-byte packets, over 2 s" });
        }
        measure_bytes(meter, &group);
        meter_remove(meter, SLOT);
        meter_free(meter);
        return 0;
}

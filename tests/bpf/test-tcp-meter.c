/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Connections, counted exactly on a loopback of the test's own; what is sent again against TCP's own counter,
 * and round trips against a wire of known length: a process between two tun devices that holds each packet
 * for a while and loses some.
 */

#include "host.h"

#include "bpf/pin.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_tun.h>
#include <linux/types.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "bpf/tcp-meter.h"

static pid_t peer_pid, wire_pid;

static void stop_processes(void) {
        const pid_t pids[] = { peer_pid, wire_pid };

        for (size_t i = 0; i < ELEMENTSOF(pids); i++)
                if (pids[i] > 0) {
                        kill(pids[i], SIGKILL);
                        waitpid(pids[i], NULL, 0);
                }
        host_deinit();
}

TestSuite(tcp_meter, .init = host_init, .fini = stop_processes, .timeout = 120);

#define SLOT 2U
#define OTHER_SLOT 3U
#define SLOTS 16U

#define PORT 7000
#define CLOSED_PORT 7001
#define HERE "10.99.0.1"
#define THERE "10.99.0.2"
#define NOWHERE "10.98.0.2"

static void run(const char *command) {
        cr_assert(system(command) == 0, "%s", command);
}

static struct sockaddr_in name_of(const char *address, uint16_t port) {
        struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(port) };

        inet_pton(AF_INET, address, &name.sin_addr);
        return name;
}

static int listen_on(const char *address) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in name = name_of(address, PORT);
        int on = 1;

        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
                        bind(fd, (struct sockaddr *) &name, sizeof(name)) < 0 || listen(fd, 64) < 0)
                abort();
        return fd;
}

static int connect_to(const char *address, uint16_t port, int flags) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
        struct sockaddr_in name = name_of(address, port);

        if (connect(fd, (struct sockaddr *) &name, sizeof(name)) < 0 && errno != ECONNREFUSED &&
                        errno != EINPROGRESS)
                abort();
        return fd;
}

/* All different, so that one in the place of another shows. */
#define ESTABLISHED 20U
#define RESET 3U
#define REFUSED 7U
#define ABANDONED 5U

/*
 * Ends each in its turn, the last RESET of them with a reset; not before the other end has spoken, since a
 * reset that overtakes the return of its connect() is an error of connect().
 */
static void serve(void *userdata) {
        int listener = listen_on("127.0.0.1");
        char c;

        for (unsigned i = 0; i < ESTABLISHED + RESET; i++) {
                struct linger linger = { .l_onoff = i >= ESTABLISHED };
                int fd = accept(listener, NULL, NULL);

                if (read(fd, &c, 1) != 1 ||
                                setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) < 0)
                        abort();
                close(fd);
        }
        close(listener);
}

/* Until the other end has closed, or has reset. */
static void connect_many(void *userdata) {
        char c;

        for (unsigned i = 0; i < ESTABLISHED + RESET; i++) {
                int fd = connect_to("127.0.0.1", PORT, 0);

                if (write(fd, "", 1) != 1)
                        abort();
                (void) !read(fd, &c, 1);
                close(fd);
        }
        for (unsigned i = 0; i < REFUSED; i++)
                close(connect_to("127.0.0.1", CLOSED_PORT, 0));
        for (unsigned i = 0; i < ABANDONED; i++)
                close(connect_to(NOWHERE, PORT, SOCK_NONBLOCK));
}

/* What is sent to NOWHERE comes to an interface that has no such address. */
static void make_loopback(void) {
        cr_assert(unshare(CLONE_NEWNET) == 0, "%m");
        run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 && ip link set lo up && "
            "ip link add hg0 type veth peer name hg1 && ip addr add 10.98.0.1/24 dev hg0 && "
            "ip link set hg0 up && ip link set hg1 up && "
            "ip neigh add " NOWHERE " lladdr 02:00:00:00:00:02 dev hg0 nud permanent");
}

static bool is_listening(void) {
        _cleanup_fclose_ FILE *f = fopen("/proc/thread-self/net/tcp", "re");
        _cleanup_free_ char *line = NULL;
        size_t size = 0;

        while (f && getline(&line, &size, f) > 0)
                if (strstr(line, ":1B58 00000000:0000 0A"))
                        return true;
        return false;
}

static void exchange(const TestGroup *server_group, const TestGroup *client_group) {
        Worker server = worker_start(server_group, serve, NULL);
        Worker client = worker_start(client_group, connect_many, NULL);

        worker_begin(&server);
        for (unsigned i = 0; i < 1000000 && !is_listening(); i++)
                sched_yield();
        worker_run(&client);
        worker_finish(&server);
        worker_stop(&client);
        worker_stop(&server);
}

static void expect_counts(const Sample *sample, const char *who, unsigned connects, unsigned accepts,
                unsigned failed, unsigned refused, unsigned resets) {
        const struct {
                Metric metric;
                unsigned value;
        } expected[] = {
                { METRIC_NET_TCP_CONNECTS, connects },
                { METRIC_NET_TCP_ACCEPTS, accepts },
                { METRIC_NET_TCP_FAILED, failed },
                { METRIC_NET_TCP_REFUSED, refused },
                { METRIC_NET_TCP_RESETS, resets },
                { METRIC_NET_TCP_RETRANSMITS, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(expected); i++)
                cr_expect(sample_has(sample, expected[i].metric) &&
                                                sample->value[expected[i].metric] == expected[i].value,
                                "%s: %s is %" PRIu64 ", not %u", who, metric_info(expected[i].metric)->name,
                                sample->value[expected[i].metric], expected[i].value);
}

Test(tcp_meter, connections) {
        TestGroup client, server;
        Sample sample;
        Meter *meter;

        make_loopback();
        client = group_make("a");
        server = group_make("b");
        meter = meter_make(NULL, SLOTS, 0);
        meter_must_add(meter, SLOT, &client);
        meter_must_add(meter, OTHER_SLOT, &server);
        exchange(&server, &client);

        sample = meter_must_read(meter, SLOT);
        expect_counts(&sample, "client", ESTABLISHED + RESET, 0, REFUSED + ABANDONED, REFUSED, RESET);
        sample = meter_must_read(meter, OTHER_SLOT);
        expect_counts(&sample, "server", 0, ESTABLISHED + RESET, 0, 0, 0);

        cr_expect(meter_remove(meter, SLOT) == 0);
        meter_must_add(meter, SLOT, &client);
        sample = meter_must_read(meter, SLOT);
        expect_counts(&sample, "a new tenant in the slot", 0, 0, 0, 0, 0);
        meter_free(meter);
}

/* Both of one slot, one of them with its process in a group below it that was added too. */
Test(tcp_meter, groups_of_a_slot) {
        TestGroup outer, inner, other;
        Sample sample;
        Meter *meter;

        make_loopback();
        outer = group_make("a");
        inner = group_make("a/b");
        other = group_make("c");
        meter = meter_make(NULL, SLOTS, 0);
        meter_must_add(meter, SLOT, &inner);
        meter_must_add(meter, SLOT, &outer);
        meter_must_add(meter, SLOT, &other);
        exchange(&other, &inner);

        sample = meter_must_read(meter, SLOT);
        expect_counts(&sample, "the slot", ESTABLISHED + RESET, ESTABLISHED + RESET, REFUSED + ABANDONED,
                        REFUSED, RESET);
        meter_free(meter);
}

#define RTTS_PIN "tcp_rtts_" STRINGIFY(TCP_METER_LAYOUT)

/* How many round trips are in the table of the slot, whatever its rows say. */
static uint64_t rtts_in_table(const char *pin_dir, uint32_t slot) {
        _cleanup_close_ int fd = -EBADF;
        uint64_t n = 0;
        char dir[256];

        snprintf(dir, sizeof(dir), "%s/meter", pin_dir);
        fd = pin_open(dir, RTTS_PIN);
        cr_assert_geq(fd, 0);
        for (int cpu = 0; cpu < libbpf_num_possible_cpus(); cpu++) {
                uint32_t key = cpu * SLOTS + slot;
                struct tcp_rtts rtts;

                cr_assert_eq(bpf_map_lookup_elem(fd, &key, &rtts), 0);
                for (size_t i = 0; i < TCP_RTT_BUCKETS; i++)
                        n += rtts.bucket[i];
        }
        return n;
}

Test(tcp_meter, round_trips_are_their_tenants) {
        TestGroup client, server;
        const char *pin_dir;
        Meter *meter;

        pin_dir = host_bpffs();
        make_loopback();
        client = group_make("a");
        server = group_make("b");
        meter = meter_make(pin_dir, SLOTS, 0);
        meter_must_add(meter, SLOT, &client);
        meter_must_add(meter, OTHER_SLOT, &server);
        exchange(&server, &client);
        cr_expect_gt(rtts_in_table(pin_dir, SLOT), 0);
        cr_expect_gt(rtts_in_table(pin_dir, OTHER_SLOT), 0);

        cr_expect_eq(meter_remove(meter, SLOT), 0);
        cr_expect_eq(rtts_in_table(pin_dir, SLOT), 0, "the slot's next tenant begins with none");
        cr_expect_gt(rtts_in_table(pin_dir, OTHER_SLOT), 0, "the other has its");
        cr_expect_eq(meter_release(meter), 0);
        meter_free(meter);
}

/* A pinned link counts while nobody is there, and is taken up; the basic level ends it. */
Test(tcp_meter, restarts) {
        MeterOptions options = { .slots = SLOTS, .basic = true };
        FeatureSet features = FEATURE_SET_NULL;
        TestGroup client, server;
        Sample sample;
        Histogram rtt;
        Meter *meter;

        options.pin_dir = host_bpffs();
        make_loopback();
        client = group_make("a");
        server = group_make("b");
        options.cgroup_root = group_parent();
        meter = meter_make(options.pin_dir, SLOTS, 0);
        meter_must_add(meter, SLOT, &client);
        meter_free(meter);
        exchange(&server, &client);

        meter = meter_make(options.pin_dir, SLOTS, 0);
        meter_must_add(meter, SLOT, &client);
        sample = meter_must_read(meter, SLOT);
        expect_counts(&sample, "with nobody there", ESTABLISHED + RESET, 0, REFUSED + ABANDONED, REFUSED,
                        RESET);
        meter_free(meter);

        cr_assert(meter_new(&options, &features, &meter) == 0);
        cr_expect(!feature_set_get(&features, "meter.tcp")->available);
        meter_must_add(meter, SLOT, &client);
        sample = meter_must_read(meter, SLOT);
        cr_expect(!sample_has(&sample, METRIC_NET_TCP_CONNECTS) &&
                        meter_read_duration(meter, SLOT, DURATION_NET_TCP_RTT, &rtt) == -EOPNOTSUPP);
        meter_free(meter);
        feature_set_deinit(&features);
        exchange(&server, &client);

        meter = meter_make(options.pin_dir, SLOTS, 0);
        meter_must_add(meter, SLOT, &client);
        sample = meter_must_read(meter, SLOT);
        expect_counts(&sample, "after the basic level", 0, 0, 0, 0, 0);
        cr_expect(meter_release(meter) == 0);
        meter_free(meter);
}

/* One table without the other would be a sum of round trips that are not in the histogram. */
Test(tcp_meter, goes_on_with_both_tables_or_none) {
        static const char *const lost[] = { "tcp_rows_" STRINGIFY(TCP_METER_LAYOUT), RTTS_PIN };
        const char *pin_dir = host_bpffs();
        TestGroup client, server;
        char dir[256];

        snprintf(dir, sizeof(dir), "%s/meter", pin_dir);
        make_loopback();
        client = group_make("a");
        server = group_make("b");
        for (size_t i = 0; i < ELEMENTSOF(lost); i++) {
                Meter *meter = meter_make(pin_dir, SLOTS, 0);
                Histogram rtt;
                Sample sample;

                meter_must_add(meter, SLOT, &client);
                exchange(&server, &client);
                cr_expect(meter_read_duration(meter, SLOT, DURATION_NET_TCP_RTT, &rtt) == 0 &&
                                rtt.sum_nsec > 0 && histogram_count(&rtt) > 0);
                meter_free(meter);
                pin_remove(dir, lost[i]);

                meter = meter_make(pin_dir, SLOTS, 0);
                meter_must_add(meter, SLOT, &client);
                sample = meter_must_read(meter, SLOT);
                expect_counts(&sample, lost[i], 0, 0, 0, 0, 0);
                cr_expect(meter_read_duration(meter, SLOT, DURATION_NET_TCP_RTT, &rtt) == 0 &&
                                                rtt.sum_nsec == 0,
                                "%s was lost: %" PRIu64 " ns", lost[i], rtt.sum_nsec);
                cr_expect_eq(rtts_in_table(pin_dir, SLOT), 0, "%s was lost", lost[i]);
                exchange(&server, &client);
                sample = meter_must_read(meter, SLOT);
                expect_counts(&sample, "anew", ESTABLISHED + RESET, 0, REFUSED + ABANDONED, REFUSED, RESET);
                cr_expect(meter_release(meter) == 0);
                meter_free(meter);
        }
}

/* One way of the wire. */
#define DELAY_NSEC 50000000ULL
#define PACKET_BYTES 1600
#define PACKETS_HELD 1024U
/* Of those with data, one in so many is lost. */
#define LOSS 20U

#define STREAM_BYTES (1U << 20)

static int tun_open(const char *name) {
        struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
        int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

        if (fd < 0)
                return -errno;
        snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
        if (ioctl(fd, TUNSETIFF, &request) < 0)
                abort();
        return fd;
}

static uint64_t now_nsec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

typedef struct Packet {
        uint64_t due_nsec;
        ssize_t size;
        char data[PACKET_BYTES];
} Packet;

/* One direction: a packet comes out as long after it went in as the wire is. */
typedef struct Way {
        int from, to;
        unsigned in, out, with_data;
        Packet packets[PACKETS_HELD];
} Way;

static void way_move(Way *way, uint64_t now) {
        while (way->in - way->out < PACKETS_HELD) {
                Packet *packet = &way->packets[way->in % PACKETS_HELD];

                packet->size = read(way->from, packet->data, sizeof(packet->data));
                if (packet->size <= 0)
                        break;
                packet->due_nsec = now + DELAY_NSEC;
                if (packet->size < 200 || ++way->with_data % LOSS != 0)
                        way->in++;
        }
        for (; way->out != way->in && way->packets[way->out % PACKETS_HELD].due_nsec <= now; way->out++) {
                const Packet *packet = &way->packets[way->out % PACKETS_HELD];

                (void) !write(way->to, packet->data, packet->size);
        }
}

/* Until the first packet is due, or one comes. */
static void wire_wait(const Way ways[2]) {
        struct pollfd fds[2] = { { ways[0].from, POLLIN, 0 }, { ways[1].from, POLLIN, 0 } };
        uint64_t now = now_nsec(), due = now + 1000000000ULL;

        for (size_t i = 0; i < 2; i++)
                if (ways[i].out != ways[i].in && ways[i].packets[ways[i].out % PACKETS_HELD].due_nsec < due)
                        due = ways[i].packets[ways[i].out % PACKETS_HELD].due_nsec;
        if (due > now)
                (void) ppoll(fds, 2, &(struct timespec){ .tv_nsec = (long) (due - now) % 1000000000L }, NULL);
}

static void be_wire(int here, int there) {
        static Way ways[2];

        ways[0].from = ways[1].to = here;
        ways[0].to = ways[1].from = there;
        for (;;) {
                wire_wait(ways);
                way_move(&ways[0], now_nsec());
                way_move(&ways[1], now_nsec());
        }
}

/* Takes a stream to its end, says so, and is the first to close. */
static void be_peer(int server) {
        static char buffer[65536];

        for (;;) {
                int fd = accept(server, NULL, NULL);
                size_t bytes = 0;
                ssize_t n;

                while (bytes < STREAM_BYTES && (n = recv(fd, buffer, sizeof(buffer), 0)) > 0)
                        bytes += n;
                close(fd);
        }
}

/* The test's namespace with one end of the wire, its peer's with the other. */
static void make_wire(void) {
        int here, there, ready[2];
        char c;

        cr_assert(unshare(CLONE_NEWNET) == 0 && pipe2(ready, O_CLOEXEC) == 0, "%m");
        there = tun_open("hg1");
        if (there < 0)
                cr_skip_test("no /dev/net/tun");
        peer_pid = fork();
        if (peer_pid == 0) {
                int server;

                die_with_parent();
                if (system("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 && "
                           "ip addr add " THERE " peer " HERE " dev hg1 && ip link set hg1 up") != 0)
                        abort();
                server = listen_on(THERE);
                if (write(ready[1], "", 1) != 1)
                        abort();
                be_peer(server);
        }
        cr_assert(read(ready[0], &c, 1) == 1);
        cr_assert(unshare(CLONE_NEWNET) == 0, "%m");
        here = tun_open("hg0");
        run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 && "
            "ip addr add " HERE " peer " THERE " dev hg0 && ip link set hg0 up");
        wire_pid = fork();
        if (wire_pid == 0) {
                die_with_parent();
                be_wire(here, there);
        }
        close(here);
        close(there);
}

static void send_stream(void *userdata) {
        static char buffer[65536];
        int fd = connect_to(THERE, PORT, 0);

        for (size_t bytes = 0; bytes < STREAM_BYTES; bytes += sizeof(buffer))
                if (send(fd, buffer, sizeof(buffer), MSG_NOSIGNAL) != sizeof(buffer))
                        abort();
        if (recv(fd, buffer, 1, 0) != 0)
                abort();
        close(fd);
}

static uint64_t retransmitted_segments(void) {
        _cleanup_fclose_ FILE *f = fopen("/proc/thread-self/net/snmp", "re");
        _cleanup_free_ char *line = NULL;
        uint64_t segments = 0;
        size_t size = 0;

        while (f && getline(&line, &size, f) > 0)
                if (sscanf(line, "Tcp: %*u %*u %*u %*d %*u %*u %*u %*u %*u %*u %*u %" SCNu64, &segments) == 1)
                        return segments;
        cr_assert_fail("TCP has no counters");
        return 0;
}

Test(tcp_meter, a_long_and_lossy_wire) {
        const uint64_t rtt_nsec = 2 * DELAY_NSEC;
        Histogram rtt;
        uint64_t segments;
        TestGroup group;
        Worker worker;
        Sample sample;
        Meter *meter;

        make_wire();
        group = group_make("a");
        meter = meter_make(NULL, SLOTS, 0);
        meter_must_add(meter, SLOT, &group);
        worker = worker_start(&group, send_stream, NULL);
        worker_run(&worker);
        do { /* its end may be sent again while we read */
                segments = retransmitted_segments();
                sample = meter_must_read(meter, SLOT);
        } while (retransmitted_segments() != segments);

        cr_expect(segments >= STREAM_BYTES / 1460 / LOSS, "%" PRIu64 " segments were lost", segments);
        cr_expect_eq(sample.value[METRIC_NET_TCP_RETRANSMITS], segments, "%" PRIu64 ", not %" PRIu64,
                        sample.value[METRIC_NET_TCP_RETRANSMITS], segments);
        cr_assert_eq(meter_read_duration(meter, SLOT, DURATION_NET_TCP_RTT, &rtt), 0);
        cr_expect(histogram_count(&rtt) >= 5, "%" PRIu64 " round trips", histogram_count(&rtt));
        for (size_t i = 0; histogram_bound_nsec(i) <= rtt_nsec; i++)
                cr_expect_eq(rtt.bucket[i], 0, "shorter than the wire: bucket %zu", i);
        cr_expect(rtt.sum_nsec / histogram_count(&rtt) >= rtt_nsec, "shorter than the wire in the mean");
        cr_expect(histogram_quantile_nsec(&rtt, 500) < 2 * rtt_nsec, "the median is %" PRIu64 " ns",
                        histogram_quantile_nsec(&rtt, 500));
        cr_log_info("%" PRIu64 " segments sent again, %" PRIu64 " round trips of %" PRIu64 " us in the mean",
                        segments, histogram_count(&rtt), rtt.sum_nsec / histogram_count(&rtt) / 1000);
        worker_stop(&worker);
        meter_free(meter);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Bytes and packets against the counters of an interface: a veth of the test's own, whose other end is in
 * another network namespace. Segmentation is left to software before the interface, so that it counts what a
 * wire would carry.
 */

#include "host.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <linux/types.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "bpf/net-meter.h"

static pid_t peer_pid;

static void stop_peer(void) {
        if (peer_pid > 0) {
                kill(peer_pid, SIGKILL);
                waitpid(peer_pid, NULL, 0);
        }
        host_deinit();
}

TestSuite(net_meter, .init = host_init, .fini = stop_peer, .timeout = 120);

#define SLOT 2U
#define OTHER_SLOT 3U
#define SLOTS 16U
#define CLASSID_BASE 0x48470010U

#define HERE "10.99.0.1"
#define THERE "10.99.0.2"
#define PORT 7000
#define LINK_HEADER 14U

/* More than a window, so that TCP makes packets of many segments. */
#define TCP_BYTES (8U << 20)

static void run(const char *format, ...) _printf_(1, 2);
static void run(const char *format, ...) {
        char command[512];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(command, sizeof(command), format, arguments);
        va_end(arguments);
        cr_assert(system(command) == 0, "%s", command);
}

static void set_offload(const char *ifname, bool on) {
        static const uint32_t commands[] = { ETHTOOL_STSO, ETHTOOL_SGSO };
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        for (size_t i = 0; i < ELEMENTSOF(commands); i++) {
                struct ethtool_value value = { .cmd = commands[i], .data = on };
                struct ifreq request = { .ifr_data = (void *) &value };

                snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", ifname);
                cr_assert(ioctl(fd, SIOCETHTOOL, &request) == 0, "%m");
        }
}

static void name_to(const char *address, uint16_t port, struct sockaddr_in *ret) {
        *ret = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
        inet_pton(AF_INET, address, &ret->sin_addr);
}

static int listen_on(const char *address) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in name;

        name_to(address, PORT, &name);
        cr_assert(bind(fd, (struct sockaddr *) &name, sizeof(name)) == 0 && listen(fd, 4) == 0, "%m");
        return fd;
}

static void transfer(int fd, bool sends, size_t bytes) {
        static char buffer[65536];

        while (bytes > 0) {
                size_t part = bytes < sizeof(buffer) ? bytes : sizeof(buffer);
                ssize_t n = sends ? send(fd, buffer, part, MSG_NOSIGNAL) : recv(fd, buffer, part, 0);

                if (n <= 0)
                        abort();
                bytes -= n;
        }
}

/* Takes what it is sent, sends as much, and is the first to close: what follows that is its own system's to
 * answer. */
static void serve(int listener) {
        for (;;) {
                int fd = accept(listener, NULL, NULL);

                transfer(fd, /* sends= */ false, TCP_BYTES);
                transfer(fd, /* sends= */ true, TCP_BYTES);
                close(fd);
        }
}

/* This end is hg0 in the test's namespace, the other hg1 in its child's. No address is asked for, nothing
 * else sent. */
static void make_network(bool offload) {
        int ready[2], go[2];
        char c;

        cr_assert(unshare(CLONE_NEWNET) == 0 && pipe2(ready, O_CLOEXEC) == 0 && pipe2(go, O_CLOEXEC) == 0,
                        "%m");
        peer_pid = fork();
        if (peer_pid == 0) {
                struct sockaddr_in name;
                int listener, sink;

                die_with_parent();
                if (unshare(CLONE_NEWNET) < 0 || write(ready[1], "", 1) != 1 || read(go[0], &c, 1) != 1)
                        abort();
                run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 && ip addr add " THERE "/24 dev hg1 && "
                    "ip link set hg1 up && ip neigh add " HERE
                    " lladdr 02:00:00:00:00:01 dev hg1 nud permanent");
                set_offload("hg1", offload);
                listener = listen_on(THERE);
                /* Datagrams fall in here: an answer that nobody listens would be the kernel's, not a
                 * socket's. */
                sink = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
                name_to(THERE, PORT + 1, &name);
                cr_assert(bind(sink, (struct sockaddr *) &name, sizeof(name)) == 0, "%m");
                if (write(ready[1], "", 1) != 1)
                        abort();
                serve(listener);
        }
        cr_assert(read(ready[0], &c, 1) == 1);
        run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 && ip link set lo up && "
            "ip link add hg0 address 02:00:00:00:00:01 type veth peer name hg1 address 02:00:00:00:00:02 && "
            "ip link set hg1 netns %d && ip addr add " HERE "/24 dev hg0 && ip link set hg0 up && "
            "ip neigh add " THERE " lladdr 02:00:00:00:00:02 dev hg0 nud permanent",
                        peer_pid);
        set_offload("hg0", /* on= */ false);
        cr_assert(write(go[1], "", 1) == 1 && read(ready[0], &c, 1) == 1);
}

typedef struct Interface {
        uint64_t rx_bytes, rx_packets, tx_bytes, tx_packets;
} Interface;

/* IP bytes: less the link layer's header. */
static Interface interface_read(void) {
        _cleanup_fclose_ FILE *f = fopen("/proc/thread-self/net/dev", "re");
        _cleanup_free_ char *line = NULL;
        Interface i = {};
        size_t size = 0;

        cr_assert(f);
        while (getline(&line, &size, f) > 0)
                if (sscanf(line, " hg0: %" SCNu64 " %" SCNu64 " %*u %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
                                    &i.rx_bytes, &i.rx_packets, &i.tx_bytes, &i.tx_packets) == 4) {
                        i.rx_bytes -= LINK_HEADER * i.rx_packets;
                        i.tx_bytes -= LINK_HEADER * i.tx_packets;
                        return i;
                }
        cr_assert_fail("hg0 has no counters");
        return i;
}

static int udp_to(const char *address) {
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in name;

        name_to(address, PORT + 1, &name);
        if (connect(fd, (struct sockaddr *) &name, sizeof(name)) < 0)
                abort();
        return fd;
}

static void send_udp(void *userdata) {
        _cleanup_close_ int fd = udp_to(userdata);
        static const size_t sizes[] = { 1, 18, 512, 1000, 1472 };
        char data[1472] = "";

        for (unsigned i = 0; i < 200; i++)
                (void) send(fd, data, sizes[i % ELEMENTSOF(sizes)], 0);
}

#define UDP_SENDS 50U
#define UDP_SEND_BYTES 9500U
#define UDP_SEGMENT_BYTES 1000U
#define UDP_SEGMENTS 10U

static void send_udp_segments(void *userdata) {
        _cleanup_close_ int fd = udp_to(userdata);
        int segment = UDP_SEGMENT_BYTES;
        char data[UDP_SEND_BYTES] = "";

        if (setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment)) < 0)
                abort();
        for (unsigned i = 0; i < UDP_SENDS; i++)
                (void) send(fd, data, sizeof(data), 0);
}

static void exchange_tcp(void *userdata) {
        _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in name;
        char c;

        name_to(userdata, PORT, &name);
        if (connect(fd, (struct sockaddr *) &name, sizeof(name)) < 0)
                abort();
        transfer(fd, /* sends= */ true, TCP_BYTES);
        transfer(fd, /* sends= */ false, TCP_BYTES);
        if (recv(fd, &c, 1, 0) != 0)
                abort();
}

static void work_in(const TestGroup *group, void (*work)(void *), const char *address) {
        Worker worker = worker_start(group, work, (void *) address);

        worker_run(&worker);
        worker_stop(&worker);
}

static void expect_interface(Meter *meter, uint32_t slot, const Interface *before) {
        Interface now = interface_read();
        Sample sample = meter_must_read(meter, slot);

        expect_near(sample.value[METRIC_NET_EGRESS_BYTES], now.tx_bytes - before->tx_bytes, 0, 0,
                        "egress bytes");
        expect_near(sample.value[METRIC_NET_EGRESS_PACKETS], now.tx_packets - before->tx_packets, 0, 0,
                        "egress packets");
        expect_near(sample.value[METRIC_NET_INGRESS_BYTES], now.rx_bytes - before->rx_bytes, 0, 0,
                        "ingress bytes");
        expect_near(sample.value[METRIC_NET_INGRESS_PACKETS], now.rx_packets - before->rx_packets, 0, 0,
                        "ingress packets");
}

static const struct {
        const char *name;
        void (*work)(void *);
} traffics[] = {
        { "datagrams", send_udp },
        { "a stream both ways", exchange_tcp },
};

Test(net_meter, as_the_interface_counts) {
        Meter *meter;

        make_network(/* offload= */ false);
        meter = meter_make(NULL, SLOTS, 0);
        for (size_t i = 0; i < ELEMENTSOF(traffics); i++) {
                TestGroup group = group_make("a");
                Interface before = interface_read();

                cr_log_info("%s", traffics[i].name);
                meter_must_add(meter, SLOT, &group);
                work_in(&group, traffics[i].work, THERE);
                cr_expect(interface_read().tx_packets - before.tx_packets > 100, "%s: nothing was sent",
                                traffics[i].name);
                expect_interface(meter, SLOT, &before);
                cr_assert(meter_remove(meter, SLOT) == 0);
                group_remove(&group);
        }
        meter_free(meter);
}

/* What the other end sent, as its TCP counts: every segment of a packet, and again what it took for lost
 * (RetransSegs, which OutSegs has not; a busy machine is slow to answer). */
typedef struct Segments {
        uint64_t sent, again;
} Segments;

static Segments tcp_segments_sent(void) {
        _cleanup_free_ char *line = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        Segments segments = {};
        char path[64];
        size_t size = 0;

        snprintf(path, sizeof(path), "/proc/%d/net/snmp", peer_pid);
        f = fopen(path, "re");
        cr_assert(f);
        while (getline(&line, &size, f) > 0)
                if (sscanf(line, "Tcp: %*u %*u %*u %*d %*u %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
                                    &segments.sent, &segments.again) == 2)
                        return segments;
        cr_assert_fail("no count of segments");
        return segments;
}

/* What comes as one packet of many segments was as many on the wire, each with its headers. */
Test(net_meter, merged_ingress) {
        TestGroup group;
        Segments before, after;
        uint64_t segments, again, least;
        Meter *meter;
        Sample sample;

        make_network(/* offload= */ true);
        group = group_make("a");
        meter = meter_make(NULL, SLOTS, 0);
        meter_must_add(meter, SLOT, &group);
        before = tcp_segments_sent();
        work_in(&group, exchange_tcp, THERE);
        after = tcp_segments_sent();
        again = after.again - before.again;
        segments = after.sent - before.sent + again;

        sample = meter_must_read(meter, SLOT);
        cr_expect(segments > TCP_BYTES / 1500);
        expect_near(sample.value[METRIC_NET_INGRESS_PACKETS], segments, 0, 0, "packets");
        /*
         * 20 of IP, 20 of TCP, 12 of its time stamps; the first has 8 more. How many have 12 more, as they
         * tell of what is missing (SACK), nobody counts: a thousandth. What comes again has up to a segment
         * of data that came before.
         */
        least = TCP_BYTES + 52 * segments + 8;
        cr_expect(sample.value[METRIC_NET_INGRESS_BYTES] >= least &&
                                        sample.value[METRIC_NET_INGRESS_BYTES] <=
                                                        least + least / 1000 + again * 1448,
                        "%" PRIu64 " bytes, at least %" PRIu64 ", and %" PRIu64 " segments came again",
                        sample.value[METRIC_NET_INGRESS_BYTES], least, again);
        meter_free(meter);
}

/* The interface takes these as they are, and counts one packet: what the wire would carry is known
 * beforehand. */
Test(net_meter, datagrams_of_many_segments) {
        TestGroup group;
        Meter *meter;
        Sample sample;

        make_network(/* offload= */ true);
        group = group_make("a");
        meter = meter_make(NULL, SLOTS, 0);
        meter_must_add(meter, SLOT, &group);
        work_in(&group, send_udp_segments, THERE);

        sample = meter_must_read(meter, SLOT);
        expect_near(sample.value[METRIC_NET_EGRESS_PACKETS], UDP_SENDS * UDP_SEGMENTS, 0, 0, "packets");
        expect_near(sample.value[METRIC_NET_EGRESS_BYTES], UDP_SENDS * (UDP_SEND_BYTES + UDP_SEGMENTS * 28),
                        0, 0, "bytes");
        meter_free(meter);
}

Test(net_meter, loopback_is_apart) {
        TestGroup group;
        Meter *meter;
        Sample sample;

        make_network(/* offload= */ false);
        group = group_make("a");
        meter = meter_make(NULL, SLOTS, 0);
        meter_must_add(meter, SLOT, &group);
        work_in(&group, send_udp, "127.0.0.1");
        work_in(&group, send_udp, HERE);

        sample = meter_must_read(meter, SLOT);
        cr_expect(sample_has(&sample, METRIC_NET_EGRESS_BYTES) && sample.value[METRIC_NET_EGRESS_BYTES] == 0);
        cr_expect(sample_has(&sample, METRIC_NET_INGRESS_BYTES) &&
                        sample.value[METRIC_NET_INGRESS_BYTES] == 0);
        meter_free(meter);
}

#define STAYED 7U

/* As its programs do, of packets that were on their way into a namespace when the sample was taken. */
static void move_to_local(const Meter *meter, uint64_t bytes, uint64_t packets) {
        const uint32_t row = SLOT; /* of the first CPU */
        struct net_row value;

        cr_assert(bpf_map_lookup_elem(meter_net_rows_fd(meter), &row, &value) == 0, "%m");
        value.egress.bytes -= bytes;
        value.egress.packets -= packets;
        value.local_egress.bytes += bytes;
        value.local_egress.packets += packets;
        cr_assert(bpf_map_update_elem(meter_net_rows_fd(meter), &row, &value, BPF_ANY) == 0, "%m");
}

/* A counter that fell would be counted once more from 0 by who reads it. */
Test(net_meter, what_was_told_outlives_a_restart) {
        const char *pins = host_bpffs();
        Sample told, sample;
        TestGroup group;
        char path[256];
        Meter *meter;

        make_network(/* offload= */ false);
        group = group_make("a");
        meter = meter_make(pins, SLOTS, CLASSID_BASE);
        meter_must_add(meter, SLOT, &group);
        work_in(&group, send_udp, THERE);
        told = meter_must_read(meter, SLOT);
        cr_assert(told.value[METRIC_NET_EGRESS_PACKETS] == 200);
        move_to_local(meter, STAYED * 100, STAYED);
        meter_free(meter);

        meter = meter_make(pins, SLOTS, CLASSID_BASE);
        meter_must_add(meter, SLOT, &group);
        sample = meter_must_read(meter, SLOT);
        cr_expect_eq(sample.value[METRIC_NET_EGRESS_PACKETS], told.value[METRIC_NET_EGRESS_PACKETS]);
        cr_expect_eq(sample.value[METRIC_NET_EGRESS_BYTES], told.value[METRIC_NET_EGRESS_BYTES]);
        cr_expect_eq(sample.value[METRIC_NET_LOCAL_EGRESS_PACKETS], STAYED);
        work_in(&group, send_udp, THERE);
        sample = meter_must_read(meter, SLOT);
        cr_expect_eq(sample.value[METRIC_NET_EGRESS_PACKETS], 400 - STAYED);
        cr_expect_eq(sample.value[METRIC_NET_EGRESS_BYTES],
                        2 * told.value[METRIC_NET_EGRESS_BYTES] - STAYED * 100);

        meter_free(meter);

        /* With what was counted it goes. */
        snprintf(path, sizeof(path), "%s/meter/net_rows_%d", pins, NET_METER_LAYOUT);
        cr_assert(unlink(path) == 0, "%s: %m", path);
        meter = meter_make(pins, SLOTS, CLASSID_BASE);
        meter_must_add(meter, SLOT, &group);
        work_in(&group, send_udp, THERE);
        cr_expect_eq(meter_must_read(meter, SLOT).value[METRIC_NET_EGRESS_PACKETS], 200);

        /* The next who has the slot begins at 0. */
        cr_assert(meter_remove(meter, SLOT) == 0);
        meter_must_add(meter, SLOT, &group);
        cr_expect_eq(meter_must_read(meter, SLOT).value[METRIC_NET_EGRESS_PACKETS], 0);
        meter_free(meter);
}

/* A group below another of the same slot is counted once, in whichever order they came; of another slot,
 * refused. */
Test(net_meter, nested_groups) {
        Meter *meter;

        make_network(/* offload= */ false);
        meter = meter_make(NULL, SLOTS, 0);
        for (unsigned inner_first = 0; inner_first < 2; inner_first++) {
                TestGroup outer = group_make("a"), inner = group_make("a/b");
                Interface before = interface_read();

                meter_must_add(meter, SLOT, inner_first ? &inner : &outer);
                meter_must_add(meter, SLOT, inner_first ? &outer : &inner);
                cr_expect(meter_add(meter, OTHER_SLOT, inner.path, inner.fd, inner.id, METER_GROUP_OWN) ==
                                -EBUSY);
                meter_must_add(meter, SLOT, &inner);
                work_in(&inner, send_udp, THERE);
                expect_interface(meter, SLOT, &before);
                cr_assert(meter_remove(meter, SLOT) == 0);
                group_remove(&inner);
                group_remove(&outer);
        }
        meter_free(meter);
}

static uint64_t class_packets(unsigned minor) {
        uint64_t packets = UINT64_MAX;
        char command[128];
        FILE *f;

        snprintf(command, sizeof(command), "tc -s class show dev hg0 classid 4847:%x", minor);
        f = popen(command, "re");
        cr_assert(f);
        for (char line[256]; fgets(line, sizeof(line), f);)
                (void) sscanf(line, " Sent %*u bytes %" SCNu64 " pkt", &packets);
        pclose(f);
        return packets;
}

/* The shaper takes skb->priority for its class with no filter of its own. */
Test(net_meter, packets_get_their_class) {
        TestGroup group, other;
        Interface before, after;
        Meter *meter;

        make_network(/* offload= */ false);
        run("tc qdisc add dev hg0 root handle 4847: htb default 1 && "
            "tc class add dev hg0 parent 4847: classid 4847:1 htb rate 10gbit quantum 60000 && "
            "tc class add dev hg0 parent 4847: classid 4847:12 htb rate 10gbit quantum 60000 && "
            "tc class add dev hg0 parent 4847: classid 4847:13 htb rate 10gbit quantum 60000");
        group = group_make("a");
        other = group_make("b");
        meter = meter_make(NULL, SLOTS, CLASSID_BASE);
        meter_must_add(meter, SLOT, &group);
        meter_must_add(meter, OTHER_SLOT, &other);

        before = interface_read();
        work_in(&group, send_udp, THERE);
        after = interface_read();
        cr_expect(class_packets(0x12) == after.tx_packets - before.tx_packets);
        cr_expect(class_packets(0x13) == 0);
        work_in(&other, send_udp, THERE);
        cr_expect(class_packets(0x13) == interface_read().tx_packets - after.tx_packets);
        meter_free(meter);
}

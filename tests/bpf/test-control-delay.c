/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How long packets of the control class were in an uplink's queue, against what a class of a known rate must
 * make of them; what is not of that class, and what is in another's qdisc, is not counted.
 */

#include "host.h"
#include "meter/control-delay.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>

TestSuite(control_delay, .init = host_init, .fini = host_deinit, .timeout = 60);

/* The programs see the whole machine: neither a headgated that may run beside the test nor the other tests
 * may have the same. */
#define MAJOR_RATE 0x4848
#define MAJOR_OTHER 0x4849
#define MAJOR_AWAY 0x484a
#define CONTROL(major) ((major) << 16 | 0x11)
#define TENANT(major) ((major) << 16 | 0x12)
#define PACKETS 20U
/* So often is sent again where the machine missed some: for up to 6 ms it was seen to call no program. */
#define TAKES 3
/* With its header a packet takes 1.014 ms at 8 Mbit/s; the burst lets one go at once. */
#define DATA_BYTES 1000U
#define PACKET_NSEC 1014000ULL

static void run(const char *command) {
        cr_assert(system(command) == 0, "%s", command);
}

static void make_uplink(unsigned major) {
        char command[512];

        cr_assert(unshare(CLONE_NEWNET) == 0, "%m");
        snprintf(command, sizeof(command),
                        "ip link add hg0 type veth peer name hg1 && "
                        "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 && ip link set hg1 up && "
                        "tc qdisc add dev hg0 root handle %1$x: htb default 12 && "
                        "tc class add dev hg0 parent %1$x: classid %1$x:11 htb rate 8mbit burst 1100 quantum "
                        "1500 && "
                        "tc class add dev hg0 parent %1$x: classid %1$x:12 htb rate 8mbit burst 1100 quantum "
                        "1500 && "
                        "ip link set hg0 up && "
                        "timeout 10 sh -c 'until ip link show hg0 | grep -q \"state UP\"; do :; done'",
                        major);
        run(command);
}

static void send_frames(uint32_t priority) {
        struct sockaddr_ll name;
        _cleanup_close_ int fd = packet_socket(priority, &name);
        char data[DATA_BYTES] = "";

        for (unsigned i = 0; i < PACKETS; i++)
                cr_assert(sendto(fd, data, sizeof(data), 0, (struct sockaddr *) &name, sizeof(name)) > 0,
                                "%m");
}

static Histogram read_delay(const ControlDelay *delay) {
        Histogram histogram;

        control_delay_read(delay, &histogram);
        return histogram;
}

/* As many as were sent before `deadline`, or what there was then. */
static Histogram await_packets(const ControlDelay *delay, uint64_t n) {
        struct timespec now, end;

        clock_gettime(CLOCK_MONOTONIC, &end);
        do {
                Histogram histogram = read_delay(delay);

                if (histogram_count(&histogram) >= n)
                        return histogram;
                (void) poll(NULL, 0, 1);
                clock_gettime(CLOCK_MONOTONIC, &now);
        } while (now.tv_sec < end.tv_sec + 10);
        return read_delay(delay);
}

static ControlDelay *make_delay(const char *pin_dir, unsigned major) {
        ControlDelay *delay = NULL;
        int r = control_delay_new(pin_dir, CONTROL(major), &delay);

        cr_assert(r == 0, "%s", strerror(-r));
        return delay;
}

/* A machine whose CPUs are taken from it for long was seen to miss one or two. */
static void expect_nearly_all(const Histogram *histogram) {
        uint64_t n = histogram_count(histogram);

        cr_expect(n <= PACKETS && n >= PACKETS * 9 / 10, "%" PRIu64 " packets of %u", n, PACKETS);
}

Test(control_delay, as_the_rate_makes_it) {
        /* The i-th has waited for those before it; the burst is a part of a packet more. */
        const uint64_t least_nsec = PACKET_NSEC * (PACKETS - 2) * (PACKETS - 1) / 2 * 7 / 10;
        ControlDelay *delay = make_delay(NULL, MAJOR_RATE);
        Histogram histogram;

        make_uplink(MAJOR_RATE);
        send_frames(TENANT(MAJOR_RATE));
        send_frames(CONTROL(MAJOR_RATE));
        histogram = await_packets(delay, PACKETS);
        expect_nearly_all(&histogram);
        cr_expect(histogram.sum_nsec >= least_nsec && histogram.sum_nsec < 4 * least_nsec,
                        "%" PRIu64 " ns in all, at least %" PRIu64, histogram.sum_nsec, least_nsec);
        cr_expect_geq(histogram_quantile_nsec(&histogram, 990), PACKET_NSEC * (PACKETS - 2) / 2);
        control_delay_free(delay);
}

Test(control_delay, not_in_the_qdisc_of_another) {
        ControlDelay *delay = make_delay(NULL, MAJOR_OTHER);
        Histogram histogram = {};

        make_uplink(0x1234);
        send_frames(CONTROL(MAJOR_OTHER));
        run("ip link del hg0");
        make_uplink(MAJOR_OTHER);
        for (unsigned take = 0; take < TAKES; take++) {
                Histogram before = read_delay(delay), after;

                send_frames(CONTROL(MAJOR_OTHER));
                after = await_packets(delay, histogram_count(&before) + PACKETS);
                histogram = histogram_since(&after, &before);
                if (histogram_count(&histogram) == PACKETS)
                        break;
        }
        expect_nearly_all(&histogram);
        control_delay_free(delay);
}

Test(control_delay, goes_on_while_we_are_away) {
        static const char *pin_dir;
        ControlDelay *delay;
        Histogram histogram;

        pin_dir = host_bpffs();
        make_uplink(MAJOR_AWAY);
        delay = make_delay(pin_dir, MAJOR_AWAY);
        cr_expect_not(control_delay_adopted(delay));
        control_delay_free(delay);
        send_frames(CONTROL(MAJOR_AWAY));
        delay = make_delay(pin_dir, MAJOR_AWAY);
        cr_expect(control_delay_adopted(delay));
        histogram = await_packets(delay, PACKETS);
        expect_nearly_all(&histogram);
        control_delay_free(delay);

        control_delay_unpin(pin_dir);
        delay = make_delay(pin_dir, MAJOR_AWAY);
        cr_expect_not(control_delay_adopted(delay));
        histogram = read_delay(delay);
        cr_expect_eq(histogram_count(&histogram), 0);
        control_delay_free(delay);
}

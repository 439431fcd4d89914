/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The uplink's classifier on an interface of the test's own: what a shaper's classes get, and that what
 * others hung on the same hook is as it was.
 */

#include "enforce/flood-guard.h"
#include "enforce/net-class.h"
#include "host.h"
#include "model/network.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

TestSuite(net_class, .init = host_init, .fini = host_deinit, .timeout = 120);

#define SLOT 2U
#define FOREIGN "protocol all u32 match u32 0 0 flowid 1:1"
#define PACKETS 20U

#define DEFAULT_CLASS 1U
#define TENANT_CLASS 0x12U

static void run(const char *command) {
        cr_assert(system(command) == 0, "%s", command);
}

static char *output_of(const char *command) {
        _cleanup_free_ char *text = NULL;
        FILE *f = popen(command, "re");
        size_t size = 0;

        cr_assert(f);
        if (getdelim(&text, &size, '\0', f) < 0)
                text = strdup("");
        pclose(f);
        return TAKE_PTR(text);
}

/* In a network namespace of its own, with a shaper whose classes tell the packets apart. */
static void make_uplink(void) {
        (void) host_bpffs();
        cr_assert(unshare(CLONE_NEWNET) == 0, "%m");
        run("ip link add hg0 address 02:00:00:00:00:01 type veth peer name hg1 && "
            "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 && ip link set hg1 up && ip link set hg0 up && "
            "tc qdisc add dev hg0 root handle 4847: htb default 1 && "
            "tc class add dev hg0 parent 4847: classid 4847:1 htb rate 10gbit quantum 60000 && "
            "tc class add dev hg0 parent 4847: classid 4847:12 htb rate 10gbit quantum 60000 && "
            "tc class add dev hg0 parent 4847: classid 4847:13 htb rate 10gbit quantum 60000");
}

static uint64_t class_packets(unsigned minor) {
        _cleanup_free_ char *text = NULL;
        uint64_t packets = 0;
        char command[128];

        snprintf(command, sizeof(command), "tc -s class show dev hg0 classid 4847:%x", minor);
        text = output_of(command);
        cr_assert(strstr(text, "Sent ") &&
                        sscanf(strstr(text, "Sent "), "Sent %*u bytes %" SCNu64, &packets) == 1);
        return packets;
}

/* By a packet socket, which no hook at the group sees. */
static void send_frames(void *userdata) {
        struct sockaddr_ll name;
        _cleanup_close_ int fd = packet_socket(*(uint32_t *) userdata, &name);
        char data[64] = "";

        for (unsigned i = 0; i < PACKETS; i++)
                if (sendto(fd, data, sizeof(data), 0, (struct sockaddr *) &name, sizeof(name)) < 0 &&
                                errno != ENOBUFS) /* what is dropped at once is told so */
                        abort();
}

static void send_in(const TestGroup *group, uint32_t priority) {
        Worker worker = worker_start(group, send_frames, &priority);

        worker_run(&worker);
        worker_stop(&worker);
}

static int make_map(const TestGroup *group) {
        int map = bpf_map_create(BPF_MAP_TYPE_HASH, "groups", sizeof(uint64_t), sizeof(uint32_t), 16, NULL);
        uint32_t slot = SLOT;

        cr_assert(map >= 0 && bpf_map_update_elem(map, &group->id, &slot, 0) == 0, "%m");
        return map;
}

static NetClassifier *make_guarding(int map, int floods_fd, const char *pin_dir) {
        FeatureSet features = FEATURE_SET_NULL;
        NetClassifier *classifier = NULL;
        const Feature *feature;
        int r;

        r = net_classifier_new("hg0", map, floods_fd, pin_dir, &features, &classifier);
        feature = feature_set_get(&features, "net.classify@hg0");
        cr_assert(r == 0 && feature && feature->available, "%s", feature ? feature->words : strerror(-r));
        feature_set_deinit(&features);
        return classifier;
}

static NetClassifier *make_classifier(int map, const char *pin_dir) {
        return make_guarding(map, -EBADF, pin_dir);
}

Test(net_class, classes_by_group) {
        TestGroup group = group_make("a"), below = group_make("a/b"), beside = group_make("c");
        _cleanup_close_ int map = make_map(&group);
        NetClassifier *classifier;

        make_uplink();
        send_in(&group, 0);
        cr_expect(class_packets(DEFAULT_CLASS) == PACKETS && class_packets(TENANT_CLASS) == 0);

        classifier = make_classifier(map, NULL);
        send_in(&group, 0);
        cr_expect(class_packets(TENANT_CLASS) == PACKETS);
        send_in(&below, 0);
        cr_expect(class_packets(TENANT_CLASS) == 2 * PACKETS);
        send_in(&beside, 0);
        cr_expect(class_packets(TENANT_CLASS) == 2 * PACKETS && class_packets(DEFAULT_CLASS) == 2 * PACKETS);
        /* One that has a class of ours keeps it. */
        send_in(&group, 0x48470013);
        cr_expect(class_packets(0x13) == PACKETS && class_packets(TENANT_CLASS) == 2 * PACKETS);

        /* It stays when we go, and is one when we come back. */
        net_classifier_free(classifier);
        send_in(&group, 0);
        cr_expect(class_packets(TENANT_CLASS) == 3 * PACKETS);
        classifier = make_classifier(map, NULL);
        send_in(&group, 0);
        cr_expect(class_packets(TENANT_CLASS) == 4 * PACKETS);
        cr_expect(net_classifier_release(classifier) == 0);
        send_in(&group, 0);
        cr_expect(class_packets(TENANT_CLASS) == 4 * PACKETS);
        net_classifier_free(classifier);
}

#define SLOTS 8U

static void open_guard(FloodGuard *guard, uint32_t slots) {
        cr_assert(flood_guard_open(guard, host_bpffs(), if_nametoindex("hg0"), slots) == 0);
}

/* A byte a second, so that what leaves meanwhile is nothing: of 78-byte frames 13 are more than a queue of
 * 1,000 bytes, and two more than one of 80. A class that nobody told of is the default one. */
Test(net_class, drops_what_a_queue_could_not_take) {
        TestGroup group = group_make("a");
        _cleanup_close_ int map = make_map(&group);
        FloodGuard guard = FLOOD_GUARD_NULL;
        NetClassifier *classifier;

        make_uplink();
        open_guard(&guard, SLOTS);
        classifier = make_guarding(map, flood_guard_fd(&guard), host_bpffs());
        cr_expect(net_classifier_alive(classifier, flood_guard_fd(&guard)));
        send_in(&group, 0);
        cr_expect(class_packets(TENANT_CLASS) == PACKETS, "what nobody guards passes");

        flood_guard_set(&guard, SLOT_DEFAULT, 1, 80);
        flood_guard_set(&guard, SLOT, 1, FLOOD_GUARD_NEVER);
        send_in(&group, 0);
        cr_expect(class_packets(TENANT_CLASS) == 2 * PACKETS,
                        "nor is what has a queue of any length dropped");
        flood_guard_set(&guard, SLOT, 1, 1000);
        send_in(&group, 0);
        cr_expect(class_packets(TENANT_CLASS) == 2 * PACKETS + 13, "%lu", class_packets(TENANT_CLASS));
        cr_expect(flood_guard_drops(&guard, SLOT) == PACKETS - 13);
        send_in(&group, 0x48470013);
        cr_expect(class_packets(0x13) == 2, "%lu", class_packets(0x13));
        cr_expect(flood_guard_drops(&guard, SLOT_DEFAULT) == PACKETS - 2);

        /* It goes on without us, and counts for who comes, be it with more tenants. */
        net_classifier_free(classifier);
        flood_guard_close(&guard);
        send_in(&group, 0);
        open_guard(&guard, 2 * SLOTS);
        classifier = make_guarding(map, flood_guard_fd(&guard), host_bpffs());
        cr_expect(flood_guard_drops(&guard, SLOT) == 2 * PACKETS - 13);
        flood_guard_remove(&guard, host_bpffs(), if_nametoindex("hg0"), 2 * SLOTS);
        send_in(&group, 0);
        cr_expect(class_packets(TENANT_CLASS) == 3 * PACKETS + 13, "nothing is guarded any more");
        cr_expect(net_classifier_release(classifier) == 0);
        net_classifier_free(classifier);
}

#define FLOWS_MAX 24U
#define FLOW_BYTES 500U
#define CEIL_BYTES 1000000U
#define QUEUE_BYTES 400000U
#define TICKS 2000U /* milliseconds */

/* Flows of one class, and what became of them; shared with who sends. */
typedef struct Flows {
        unsigned n;
        unsigned permille[FLOWS_MAX]; /* of the ceiling, that each sends */
        uint16_t port;                /* of the first */
        uint64_t sent[FLOWS_MAX], came[FLOWS_MAX], msec;
} Flows;

static uint64_t now_msec(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

/* In turns, each millisecond. What a busy machine is late with is not caught up with, so that no flow ever
 * has more than its rate. */
static void send_flows(void *userdata) {
        struct {
                struct iphdr ip;
                struct udphdr udp;
                char data[FLOW_BYTES - 28];
        } packet = { .ip = { .ihl = 5, .version = 4, .ttl = 1, .protocol = IPPROTO_UDP } };
        Flows *flows = userdata;
        unsigned due[FLOWS_MAX] = {};
        struct sockaddr_ll name;
        _cleanup_close_ int fd = packet_socket(0, &name);

        packet.ip.tot_len = htons(sizeof(packet));
        flows->msec = now_msec();
        for (unsigned tick = 0; tick < TICKS; tick++) {
                for (uint64_t begin = now_msec(); now_msec() == begin;)
                        ;
                for (unsigned i = 0; i < flows->n; i++)
                        for (due[i] += flows->permille[i]; due[i] >= FLOW_BYTES; due[i] -= FLOW_BYTES) {
                                packet.udp.dest = htons((uint16_t) (flows->port + i));
                                (void) sendto(fd, &packet, sizeof(packet), 0, (struct sockaddr *) &name,
                                                sizeof(name));
                                flows->sent[i]++;
                        }
        }
        flows->msec = now_msec() - flows->msec;
}

static int listen_to_peer(void) {
        const struct sockaddr_ll name = { .sll_family = AF_PACKET,
                .sll_protocol = htons(ETH_P_IP),
                .sll_ifindex = (int) if_nametoindex("hg1") };
        int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_IP)),
            size = 1 << 26;

        cr_assert(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) == 0 &&
                        bind(fd, (const struct sockaddr *) &name, sizeof(name)) == 0);
        return fd;
}

static void run_flows(const TestGroup *group, Flows *flows) {
        _cleanup_close_ int listener = listen_to_peer();
        Worker worker = worker_start(group, send_flows, flows);
        char packet[FLOW_BYTES];

        memset(flows->sent, 0, sizeof(flows->sent));
        memset(flows->came, 0, sizeof(flows->came));
        worker_run(&worker);
        worker_stop(&worker);
        while (recv(listener, packet, sizeof(packet), 0) == sizeof(packet)) {
                const struct udphdr *udp = (const void *) (packet + sizeof(struct iphdr));
                unsigned flow = (unsigned) ntohs(udp->dest) - flows->port;

                if (flow < flows->n)
                        flows->came[flow]++;
        }
        for (unsigned i = 0; i < flows->n; i++)
                cr_log_info("%u permille: %lu of %lu", flows->permille[i], flows->came[i], flows->sent[i]);
}

/* No flow lost anything but the first `floods`, and these had all the rest, each as much as another by a
 * fifth: together no more than an eighth above the ceiling, and what is let pass before the shares are found.
 */
static bool had_their_shares(const Flows *flows, unsigned floods) {
        uint64_t most = 0, least = UINT64_MAX, all = 0;

        for (unsigned i = 0; i < flows->n; i++) {
                all += flows->came[i] * (FLOW_BYTES + ETH_HLEN);
                if (i >= floods && flows->came[i] < flows->sent[i])
                        return false;
                if (i < floods && flows->came[i] > most)
                        most = flows->came[i];
                if (i < floods && flows->came[i] < least)
                        least = flows->came[i];
        }
        return 5 * most <= 6 * least && all <= flows->msec * CEIL_BYTES / 1000 * 9 / 8 + 3 * QUEUE_BYTES &&
               all >= flows->msec * CEIL_BYTES / 1000;
}

/* Two flows in a hundred and more are in one bucket, by chance: then others may not be. */
static void expect_shares(const Flows *wanted, unsigned floods) {
        TestGroup group = group_make("a");
        _cleanup_close_ int map = make_map(&group);
        FloodGuard guard = FLOOD_GUARD_NULL;
        Flows *flows = mmap(NULL, sizeof(Flows), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        NetClassifier *classifier;
        bool held = false;

        cr_assert(flows != MAP_FAILED);
        make_uplink();
        open_guard(&guard, SLOTS);
        classifier = make_guarding(map, flood_guard_fd(&guard), host_bpffs());
        flood_guard_set(&guard, SLOT, CEIL_BYTES, QUEUE_BYTES);
        for (unsigned attempt = 0; attempt < 5 && !held; attempt++) {
                const uint64_t before = flood_guard_drops(&guard, SLOT);
                uint64_t lost = 0;

                *flows = *wanted;
                flows->port = (uint16_t) (1000 * (attempt + 1));
                run_flows(&group, flows);
                for (unsigned i = 0; i < flows->n; i++)
                        lost += flows->sent[i] - flows->came[i];
                cr_expect(lost == flood_guard_drops(&guard, SLOT) - before, "%lu lost", lost);
                held = had_their_shares(flows, floods);
        }
        cr_expect(held);
        cr_expect(net_classifier_release(classifier) == 0);
        net_classifier_free(classifier);
        flood_guard_close(&guard);
        munmap(flows, sizeof(Flows));
}

Test(net_class, spares_a_flow_that_has_its_share) {
        Flows flows = { .n = 12, .permille = { 10000, 400 } };

        for (unsigned i = 2; i < flows.n; i++)
                flows.permille[i] = 5;
        expect_shares(&flows, /* floods= */ 1);
}

Test(net_class, divides_a_flood_of_many_flows_evenly) {
        Flows flows = { .n = 9, .permille = { 1250, 1250, 1250, 1250, 1250, 1250, 1250, 1250, 50 } };

        expect_shares(&flows, /* floods= */ 8);
}

/* Filters of others before, behind and beside ours, and a clsact of others', are as they were. */
Test(net_class, others_are_left_alone) {
        static const char show[] = "tc qdisc show dev hg0; tc filter show dev hg0 egress; tc filter show dev "
                                   "hg0 ingress";
        _cleanup_free_ char *before = NULL, *after = NULL;
        TestGroup group = group_make("a");
        _cleanup_close_ int map = make_map(&group);
        NetClassifier *classifier;

        make_uplink();
        run("tc qdisc add dev hg0 clsact && "
            "tc filter add dev hg0 egress pref 1 " FOREIGN " && "
            "tc filter add dev hg0 egress pref 500 " FOREIGN);
        before = output_of(show);
        classifier = make_classifier(map, host_bpffs());
        net_classifier_free(classifier);
        classifier = make_classifier(map, host_bpffs());
        cr_expect(net_classifier_release(classifier) == 0);
        after = output_of(show);
        cr_expect(strcmp(before, after) == 0, "before:\n%s\nafter:\n%s", before, after);
        net_classifier_free(classifier);
}

/* A start that finds what it would make leaves it; over another map it is another program. */
Test(net_class, what_is_in_place_is_left) {
        static const char show[] = "tc filter show dev hg0 egress"; /* with the program's id */
        _cleanup_free_ char *before = NULL, *same = NULL, *other = NULL;
        TestGroup group = group_make("a");
        _cleanup_close_ int map = make_map(&group), other_map = make_map(&group);

        make_uplink();
        net_classifier_free(make_classifier(map, host_bpffs()));
        before = output_of(show);
        cr_assert(strstr(before, " id "), "%s", before);
        net_classifier_free(make_classifier(map, host_bpffs()));
        same = output_of(show);
        cr_expect_str_eq(same, before);
        net_classifier_free(make_classifier(other_map, host_bpffs()));
        other = output_of(show);
        cr_expect_str_neq(other, before);
        send_in(&group, 0);
        cr_expect(class_packets(TENANT_CLASS) == PACKETS);
}

/* A clsact of our making goes with us, also after a restart; not while a filter of another is on it. */
Test(net_class, own_clsact_goes) {
        static const struct {
                const char *name, *foreign;
                bool restart, stays;
        } cases[] = {
                { "alone", NULL, false, false },
                { "alone, restarted", NULL, true, false },
                { "another on egress", "tc filter add dev hg0 egress pref 9 " FOREIGN, true, true },
                { "another on ingress", "tc filter add dev hg0 ingress pref 9 " FOREIGN, false, true },
        };
        TestGroup group = group_make("a");
        _cleanup_close_ int map = make_map(&group);

        make_uplink();
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                NetClassifier *classifier = make_classifier(map, host_bpffs());
                _cleanup_free_ char *text = NULL;

                if (cases[i].foreign)
                        run(cases[i].foreign);
                if (cases[i].restart) {
                        net_classifier_free(classifier);
                        classifier = make_classifier(map, host_bpffs());
                }
                cr_expect(net_classifier_release(classifier) == 0, "%s", cases[i].name);
                text = output_of("tc qdisc show dev hg0; tc filter show dev hg0 egress");
                cr_expect(!strstr(text, "headgate"), "%s:\n%s", cases[i].name, text);
                cr_expect(!strstr(text, "clsact") == !cases[i].stays, "%s:\n%s", cases[i].name, text);
                if (cases[i].stays)
                        run("tc qdisc del dev hg0 clsact");
                net_classifier_free(classifier);
        }
}

/* The hook of another interface is not this one's. */
Test(net_class, a_clsact_next_door) {
        _cleanup_free_ char *text = NULL;
        TestGroup group = group_make("a");
        _cleanup_close_ int map = make_map(&group);
        NetClassifier *classifier;

        make_uplink();
        run("tc qdisc add dev hg1 clsact");
        classifier = make_classifier(map, NULL);
        send_in(&group, 0);
        cr_expect(class_packets(TENANT_CLASS) == PACKETS);
        cr_expect(net_classifier_release(classifier) == 0);
        text = output_of("tc qdisc show dev hg0");
        cr_expect(!strstr(text, "clsact"), "%s", text);
        run("tc qdisc del dev hg1 clsact");
        net_classifier_free(classifier);
}

/* What says of an interface's clsact that we made it says nothing of one that comes after it. */
Test(net_class, marks_go_with_their_interface) {
        _cleanup_free_ char *gone = NULL;
        TestGroup group = group_make("a");
        _cleanup_close_ int map = make_map(&group);
        NetClassifier *classifier;

        make_uplink();
        cr_assert(asprintf(&gone, "%s/net-class-made-clsact-%u", host_bpffs(), if_nametoindex("hg0")) > 0);
        classifier = make_classifier(map, host_bpffs());
        cr_expect(access(gone, F_OK) == 0, "%s: %m", gone);
        run("ip link del hg0 && ip link add hg0 type veth peer name hg1 && ip link set hg0 up");
        cr_expect_not(net_classifier_alive(classifier, -EBADF));
        net_classifier_free(classifier);
        classifier = make_classifier(map, host_bpffs());
        cr_expect(access(gone, F_OK) < 0, "%s is there", gone);
        cr_expect(net_classifier_release(classifier) == 0);
        net_classifier_free(classifier);
}

Test(net_class, refusals) {
        FeatureSet features = FEATURE_SET_NULL;
        NetClassifier *classifier = NULL;
        TestGroup group = group_make("a");
        _cleanup_close_ int map = make_map(&group);

        make_uplink();
        cr_expect(net_classifier_new("hg9", map, -EBADF, NULL, &features, &classifier) == -ENODEV);
        cr_expect(!feature_set_get(&features, "net.classify@hg9")->available);
        cr_expect(net_classifier_new("hg0", -EBADF, -EBADF, NULL, &features, &classifier) == -EOPNOTSUPP);

        /* Our place, taken. */
        run("tc qdisc add dev hg0 clsact && "
            "tc filter add dev hg0 egress pref 72 handle 800::847 " FOREIGN);
        cr_expect(net_classifier_new("hg0", map, -EBADF, NULL, &features, &classifier) < 0);
        cr_expect(!feature_set_get(&features, "net.classify@hg0")->available);
        feature_set_deinit(&features);
}
